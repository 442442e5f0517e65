"""Cumulative operations, linear recurrences and products, against NumPy and jax."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.errors import AxisError, DtypeError, ShapeError
from rtfunc.core.forward import jvp_flat
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops.convert import as_array
from rtfunc.ops.cumulative import cumlogsumexp, cummax, cummin, cumprod, cumsum
from rtfunc.ops.iota import broadcasted_iota, iota
from rtfunc.ops.product import reduce_prod
from rtfunc.ops.recurrence import linear_recurrence, linear_recurrence_p

X = np.random.default_rng(0).normal(size=(4, 5, 3))
NUMPY = {
    cumsum: np.cumsum,
    cumprod: np.cumprod,
    cummax: np.maximum.accumulate,
    cummin: np.minimum.accumulate,
    cumlogsumexp: np.logaddexp.accumulate,
}
every = pytest.mark.parametrize("function", NUMPY, ids=lambda f: f.__name__)


def gradient(function, x):
    """Of the sum of the outputs."""
    outs, pullback = vjp_flat(lambda x: [function(x)], [as_array("test", x)], [True])
    ones = as_array("test", np.ones(outs[0].shape, outs[0].dtype))
    return np.asarray(pullback([ones])[0])


@every
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_values_are_numpys(function, axis):
    np.testing.assert_array_equal(function(X, axis), NUMPY[function](X, axis=axis))


@every
def test_reverse_runs_from_the_end(function):
    expected = np.flip(NUMPY[function](np.flip(X, 1), axis=1), 1)
    np.testing.assert_array_equal(function(X, 1, reverse=True), expected)


@every
def test_nan_spreads_to_all_that_follow(function):
    x = np.array([1.0, np.nan, 0.5, 2.0])
    np.testing.assert_array_equal(np.isnan(np.asarray(function(x))), [False, True, True, True])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_integers_keep_their_dtype_and_wrap(dtype):
    x = np.array([100, 100, 100], dtype)
    out = cumsum(x)
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(out, np.cumsum(x, dtype=dtype))
    np.testing.assert_array_equal(cumprod(x), np.cumprod(x, dtype=dtype))


def test_booleans_are_counted():
    out = cumsum(np.array([True, False, True]))
    assert out.dtype == np.int32
    np.testing.assert_array_equal(out, [1, 1, 2])


def test_half_precision_accumulates_in_float32():
    x = np.full(4000, 1.0, "float16")  # in float16 the sum would stop at 2048
    assert float(np.asarray(cumsum(x))[-1]) == 4000.0


def test_log_sum_exp_does_not_overflow():
    out = np.asarray(cumlogsumexp(np.array([800.0, 800.0, -np.inf])))
    np.testing.assert_allclose(out, 800 + np.log([1.0, 2.0, 2.0]), rtol=1e-15)


def test_product_derivative_is_exact_at_zeros():
    np.testing.assert_array_equal(
        gradient(lambda x: cumprod(x), np.array([2.0, 0.0, 3.0])), [1.0, 2.0 + 6.0, 0.0]
    )
    np.testing.assert_array_equal(
        gradient(lambda x: reduce_prod(x), np.array([2.0, 0.0, 3.0])), [0.0, 6.0, 0.0]
    )
    np.testing.assert_array_equal(gradient(lambda x: reduce_prod(x), np.zeros(3)), np.zeros(3))


def test_second_derivative_of_product_at_two_zeros():
    # d2(abc)/da db = c
    x, t = np.array([0.0, 0.0, 5.0]), np.array([1.0, 0.0, 0.0])

    def pull(x):
        _, pullback = vjp_flat(lambda x: [reduce_prod(x)], [x], [True])
        return pullback([as_array("test", np.ones(()))])

    _, tangents = jvp_flat(pull, [as_array("test", x)], [as_array("test", t)])
    np.testing.assert_array_equal(tangents[0], [0.0, 5.0, 0.0])


def test_ties_share_the_derivative_of_a_maximum():
    np.testing.assert_array_equal(
        gradient(lambda x: cummax(x), np.array([1.0, 1.0, 1.0, 2.0])), [1.75, 0.75, 0.5, 1.0]
    )


def test_axis_errors():
    with pytest.raises(AxisError, match="cumsum: axis 3 is out of bounds for an array with 3 axes"):
        cumsum(X, 3)
    with pytest.raises(AxisError, match=r"cummax: axis 0 is out of bounds .* 0 axes"):
        cummax(1.0)
    with pytest.raises(DtypeError, match="cumlogsumexp does not take complex128"):
        cumlogsumexp(X + 1j)


@pytest.mark.parametrize("shape", [(300,), (6, 2), (3, 40)])
@pytest.mark.parametrize("reverse", [False, True])
def test_recurrence_is_the_loop(shape, reverse):
    generator = np.random.default_rng(1)
    decay, x = generator.uniform(-1.1, 1.1, shape), generator.normal(size=shape)
    expected, h = np.zeros(shape), np.zeros(shape[1:])
    for i in reversed(range(shape[0])) if reverse else range(shape[0]):
        expected[i] = h = decay[i] * h + x[i]
    # one rounding per step in either order
    np.testing.assert_allclose(linear_recurrence(decay, x, 0, reverse), expected, rtol=1e-14)


def test_recurrence_broadcasts_and_overflows_to_infinity():
    out = np.asarray(linear_recurrence(2.0, np.ones(200, "float32")))
    assert np.isinf(out[-1])
    np.testing.assert_array_equal(out[:10], 2.0 ** np.arange(1, 11) - 1)


def test_recurrence_errors():
    x = as_array("test", X)
    with pytest.raises(ShapeError, match=r"takes operands of one shape, got \(4, 5, 3\) and \(4,"):
        linear_recurrence_p.infer([x.aval, x.aval.with_shape((4,))], {"axis": 0, "reverse": False})
    with pytest.raises(DtypeError, match="linear_recurrence takes numbers, not bool"):
        linear_recurrence(np.array([True]), np.array([True]))


def test_recurrence_shapes_that_do_not_broadcast():
    with pytest.raises(ShapeError, match="linear_recurrence got shapes that do not broadcast"):
        linear_recurrence(np.ones(3), np.ones(4))


def test_iota_counts():
    np.testing.assert_array_equal(iota("int8", 4), np.arange(4, dtype="int8"))
    np.testing.assert_array_equal(broadcasted_iota("float32", (2, 3), -1), [[0, 1, 2]] * 2)
    np.testing.assert_array_equal(np.asarray(iota("uint8", 300))[-2:], [42, 43])
    with pytest.raises(DtypeError, match="iota counts in numbers, not in bool"):
        iota("bool", 2)
    with pytest.raises(AxisError, match="broadcasted_iota: axis 2 is out of bounds"):
        broadcasted_iota("int32", (2, 3), 2)
    with pytest.raises(ShapeError, match="not negative"):
        iota("int32", -1)


@pytest.mark.oracle
@every
def test_gradient_is_jaxs(function):
    jax = pytest.importorskip("jax")
    lax_function = getattr(jax.lax, function.__name__)
    x = np.asarray(X, "float32")
    expected = jax.grad(lambda x: (lax_function(x, axis=1, reverse=True) ** 2).sum())(x)

    def pull(x):
        outs, pullback = vjp_flat(lambda x: [function(x, 1, reverse=True)], [x], [True])
        return pullback([outs[0] * 2])[0]

    # float32 sums of five terms
    np.testing.assert_allclose(pull(as_array("test", x)), expected, rtol=2e-5, atol=2e-5)
