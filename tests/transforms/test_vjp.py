"""`vjp` and `linear_transpose`."""

from __future__ import annotations

import collections

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core import errors
from rtfunc.core.dtypes import float0
from tests.messages import raises


def test_value_and_pullback():
    x = np.array([1.0, 2.0])
    y, pullback = rf.vjp(lambda x: x**2, x)
    np.testing.assert_array_equal(y, [1.0, 4.0])
    np.testing.assert_array_equal(pullback(np.array([1.0, 10.0]))[0], [2.0, 40.0])
    np.testing.assert_array_equal(pullback(np.array([0.0, 1.0]))[0], [0.0, 4.0])  # again


def test_a_cotangent_for_every_primal():
    pullback = rf.vjp(lambda x, y, z: x * y, 2.0, 3.0, 5.0)[1]
    assert [float(ct) for ct in pullback(1.0)] == [3.0, 2.0, 0.0]
    assert pullback(1.0)[2].dtype == np.float32


def test_pytrees_in_and_out():
    point = collections.namedtuple("point", "x y")
    y, pullback = rf.vjp(
        lambda p, q: {"s": p.x + q[0], "m": (p.y * q[0], None)}, point(1.0, 2.0), [3.0]
    )
    assert float(y["s"]) == 4.0
    assert y["m"][1] is None
    into = pullback({"s": 1.0, "m": (10.0, None)})
    assert isinstance(into[0], point)
    assert [float(x) for x in rf.tree.leaves(into)] == [1.0, 30.0, 21.0]


def test_integer_primals_and_outputs():
    (y, n), pullback = rf.vjp(lambda x, n: (x * n, n + 1), 2.0, np.array([1, 2]))
    into = pullback((np.ones(2, "f"), np.zeros(2, float0)))
    assert float(into[0]) == 3.0
    assert into[1].dtype == float0
    assert into[1].shape == (2,)


def test_has_aux():
    y, pullback, aux = rf.vjp(lambda x: (x * 2, {"x": x, "n": 3, "s": "text"}), 1.0, has_aux=True)
    assert (float(y), float(aux["x"]), aux["n"], aux["s"]) == (2.0, 1.0, 3, "text")
    assert float(aux["x"] + 1) == 2.0  # no tracer
    assert float(pullback(1.0)[0]) == 2.0
    with raises(errors.TransformError, "vjp with has_aux=True", "pair", "an array"):
        rf.vjp(lambda x: x, 1.0, has_aux=True)


def test_a_cotangent_takes_the_outputs_dtype():
    pullback = rf.vjp(lambda x: x.astype("float16"), np.float32(1))[1]
    assert pullback(1.0)[0].dtype == np.float32
    with raises(errors.TransformError, "dtype float16", "not float32"):
        pullback(np.float32(1))


def test_what_is_kept_is_not_the_users_memory():
    x = np.ones(3)
    y, pullback = rf.vjp(lambda x: x * x, x)
    same, _ = rf.vjp(lambda x: x, x)
    x[:] = 5.0
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [2.0] * 3)
    np.testing.assert_array_equal(same, [1.0] * 3)


def test_a_value_used_many_times():
    y, pullback = rf.vjp(lambda x: x + x * x + x, 3.0)
    assert float(pullback(1.0)[0]) == 8.0


def test_outputs_that_are_inputs_or_constants():
    y, pullback = rf.vjp(lambda x, y: (x, 1.0, y), 2.0, 3.0)
    assert [float(ct) for ct in pullback((1.0, 7.0, 5.0))] == [1.0, 5.0]


def test_the_pullback_transforms():
    _, pullback = rf.vjp(rnp.sin, np.arange(3.0))
    rows = rf.vmap(lambda ct: pullback(ct)[0])(np.eye(3))
    np.testing.assert_allclose(rows, np.diag(np.cos(np.arange(3.0))), rtol=1e-12)
    np.testing.assert_allclose(
        rf.jit(lambda ct: pullback(ct)[0])(np.ones(3)), np.cos(np.arange(3.0)), rtol=1e-12
    )


def test_no_primals():
    y, pullback = rf.vjp(lambda: rnp.ones(2))
    assert pullback(rnp.ones(2)) == ()


# linear_transpose


def test_the_transpose_of_a_linear_function():
    a = np.arange(6.0).reshape(2, 3)
    transposed = rf.linear_transpose(lambda x, y: a @ x + 2.0 * y, np.zeros(3), np.zeros(2))
    x, y = transposed(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(x, a.T @ [1.0, 2.0])
    np.testing.assert_array_equal(y, [2.0, 4.0])


def test_transposing_needs_shapes_only():
    spec = rf.ShapeDtypeStruct((3,), "float64")
    (x,) = rf.linear_transpose(lambda x: {"s": x.sum(), "z": 0.0}, spec)({"s": 2.0, "z": 1.0})
    np.testing.assert_array_equal(x, [2.0] * 3)
    (x,) = rf.linear_transpose(lambda x: 0.0, spec)(1.0)
    np.testing.assert_array_equal(x, np.zeros(3))
    transposed = rf.linear_transpose(lambda x: rf.jit(lambda y: y[::-1] * 2)(x), spec)
    np.testing.assert_array_equal(transposed(np.arange(3.0))[0], [4.0, 2.0, 0.0])


@pytest.mark.parametrize("function", [lambda x: x * x, rnp.sin, lambda x: rnp.where(x > 0, x, 0.0)])
def test_functions_that_are_not_linear(function):
    with raises(errors.TransformError, "linear_transpose takes a linear function", "rtfunc.vjp"):
        rf.linear_transpose(function, np.ones(3))
