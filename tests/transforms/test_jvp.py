"""`jvp`."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import errors
from rtfunc.core.dtypes import float0
from tests.messages import raises


def test_value_and_tangent():
    y, t = rf.jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0))
    assert (float(y), float(t)) == (6.0, 23.0)
    y, t = rf.jvp(lambda x: x * x, [2.0], [1.0])
    assert float(t) == 4.0


def test_pytrees():
    y, t = rf.jvp(
        lambda p: {"s": p["a"][0] * p["b"]}, ({"a": [2.0], "b": 3.0},), ({"a": [1.0], "b": 0.0},)
    )
    assert float(t["s"]) == 3.0


def test_integer_primals_and_outputs():
    y, t = rf.jvp(lambda x, n: (x * n, n), (2.0, 3), (1.0, np.zeros((), float0)))
    assert float(t[0]) == 3.0
    assert t[1].dtype == float0


def test_has_aux():
    y, t, aux = rf.jvp(lambda x: (x * x, {"x": x, "s": "t"}), (2.0,), (1.0,), has_aux=True)
    assert (float(t), float(aux["x"]), aux["s"]) == (4.0, 2.0, "t")


def test_constant_outputs_have_zero_tangents():
    y, t = rf.jvp(lambda x: (1.0, rnp.ones(2), x > 0), (2.0,), (1.0,))
    assert float(t[0]) == 0.0
    np.testing.assert_array_equal(t[1], [0.0, 0.0])
    assert t[2].dtype == float0


def test_python_control_flow():
    def f(x):
        return x * 2 if x > 0 else -x

    assert float(rf.jvp(f, (1.0,), (1.0,))[1]) == 2.0
    assert float(rf.jvp(f, (-1.0,), (1.0,))[1]) == -1.0


def test_tangents_take_the_primals_dtype():
    t = rf.jvp(lambda x: x, (np.float64(1),), (1.0,))[1]
    assert t.dtype == np.float64
    assert float(rf.jvp(lambda x: x * 2, (np.float32(1),), (1,))[1]) == 2.0


def test_through_a_while_loop(backend):
    def f(x):
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, 1.0))[1]

    assert float(rf.jvp(f, (2.0,), (1.0,))[1]) == 12.0


def test_of_vjp_and_of_jvp():
    x = np.float64(0.3)
    hvp = rf.jvp(rf.grad(rnp.sin), (x,), (np.float64(1),))[1]
    assert float(hvp) == pytest.approx(-np.sin(0.3), rel=1e-12)
    twice = rf.jvp(lambda x: rf.jvp(rnp.sin, (x,), (np.float64(1),))[1], (x,), (np.float64(1),))[1]
    assert float(twice) == pytest.approx(-np.sin(0.3), rel=1e-12)
    _, pullback = rf.vjp(lambda t: rf.jvp(rnp.sin, (x,), (t,))[1], np.float64(1))
    assert float(pullback(np.float64(2))[0]) == pytest.approx(2 * np.cos(0.3), rel=1e-12)


def test_tangents_missing_or_extra():
    with raises(errors.TreeError, "the tangents' pytree lacks [1]"):
        rf.jvp(lambda x, y: x, (1.0, 2.0), (1.0,))
    with raises(errors.DtypeError, "type str"):
        rf.jvp(lambda x: x, (1.0,), ("a",))
