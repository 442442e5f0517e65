"""`device_put`, `device_get`, `block_until_ready`."""

from __future__ import annotations

import numpy as np

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core import errors
from tests.messages import raises


def test_device_put_takes_pytrees():
    out = rf.device_put({"a": [1.0, np.arange(3)], "b": None})
    assert isinstance(out["a"][0], rf.Array)
    np.testing.assert_array_equal(out["a"][1], [0, 1, 2])
    assert out["b"] is None
    assert out["a"][1].devices() == {rf.Device("cpu")}
    for device in ("cpu", rf.Device("cpu"), rf.devices("cpu")[0]):
        assert rf.device_put(1.0, device).device == rf.Device("cpu")


def test_device_put_copies_what_may_change():
    theirs = np.ones(2)
    ours = rf.device_put(theirs)
    theirs[:] = 5.0
    np.testing.assert_array_equal(ours, [1.0, 1.0])


def test_device_get():
    out = rf.device_get({"a": rnp.ones(2), "s": "text", "n": 3})
    assert type(out["a"]) is np.ndarray
    assert (out["s"], out["n"]) == ("text", 3)


def test_under_transforms(backend):
    f = lambda x: rf.device_put(x) * 2  # noqa: E731
    assert float(rf.jit(f)(1.0)) == 2.0
    assert float(rf.grad(f)(1.0)) == 2.0
    np.testing.assert_array_equal(rf.vmap(f)(np.ones(2)), [2.0, 2.0])


def test_block_until_ready():
    tree = {"a": rnp.ones(2), "s": "text"}
    assert rf.block_until_ready(tree) is tree
    assert float(rf.jit(lambda x: rf.block_until_ready(x))(1.0)) == 1.0
    assert tree["a"].block_until_ready() is tree["a"]


def test_what_is_not_an_array():
    with raises(errors.DtypeError, "device_put", "str"):
        rf.device_put({"a": "text"})
    with raises(errors.DeviceError, "3 is not a Device"):
        rf.device_put(1.0, 3)
