"""Reductions, their versions without NaN, and cumulative sums, against NumPy and against JAX."""

from __future__ import annotations

import itertools
import warnings

import ml_dtypes
import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ArgumentError, AxisError, DtypeError, ShapeError
from rtfunc.core.graph import evaluate
from rtfunc.core.staging import trace_to_graph
from rtfunc.testing import check_grads
from rtfunc.transforms.vmap import vmap

X = np.random.default_rng(0).normal(size=(2, 3, 4))
MASK = np.random.default_rng(1).random((2, 3, 4)) < 0.7
MASK[0, 0, :] = True
HOLES = np.where(MASK, X, np.nan)
#: NumPy adds in another order than two passes over a mask do.
TOLERANCE = 1e-13

SIMPLE = ["sum", "prod", "max", "min", "mean", "var", "std", "all", "any", "ptp", "count_nonzero"]
NAN = ["nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"]


def check(name, *args, tolerance=TOLERANCE, **options):
    found = getattr(rnp, name)(*args, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(getattr(np, name)(*args, **options))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return found


@pytest.mark.parametrize("name", [*SIMPLE, *NAN])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (), (1, 0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_are_numpys(name, axis, keepdims):
    if axis == () and name in ("nanmax", "nanmin"):
        pytest.skip("NumPy refuses no axes here")
    check(name, HOLES if name in NAN else X, axis=axis, keepdims=keepdims)


@pytest.mark.parametrize(
    "name", ["sum", "prod", "mean", "var", "std", "all", "any", "nansum", "nanmean"]
)
def test_where(name):
    check(name, X, axis=1, where=MASK)
    check(name, X, axis=(0, 2), where=MASK[0, :, :1], keepdims=True)


def test_initial():
    for name in ("sum", "prod", "max", "min"):
        check(name, X, axis=1, initial=0.5)
    for name in ("max", "min"):
        check(name, X, axis=1, initial=0.5, where=MASK)
        check(name, np.zeros((0, 2)), axis=0, initial=3.0)
        with pytest.raises(ArgumentError, match=f"{name}: where= needs initial="):
            getattr(rnp, name)(X, where=MASK)


@pytest.mark.parametrize("name", ["argmax", "argmin", "nanargmax", "nanargmin"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_arguments_of_extremes(name, axis, keepdims):
    x = HOLES[:1] if name.startswith("nan") and axis is None else X
    assert check(name, x, axis=axis, keepdims=keepdims).dtype == np.int32


def test_nan_is_ignored_or_returned():
    nothing = np.array([[np.nan, np.nan], [1.0, np.nan]])
    np.testing.assert_array_equal(rnp.nanmax(nothing, 1), [np.nan, 1])
    np.testing.assert_array_equal(rnp.nanargmax(nothing, 1), [-1, 0])
    np.testing.assert_array_equal(rnp.nanmean(nothing, 1), [np.nan, 1])
    assert np.isnan(rnp.max(nothing))
    assert int(rnp.argmax(nothing)) == 0
    np.testing.assert_array_equal(rnp.nancumsum(nothing, 1), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(rnp.nancumprod(nothing), [1, 1, 1, 1])
    np.testing.assert_array_equal(rnp.nanmin(np.array([3, 1])), 1)


@pytest.mark.parametrize("name", ["sum", "prod", "any", "all", "mean", "count_nonzero"])
def test_empty_reductions(name):
    check(name, np.zeros((0, 3)), axis=0)
    check(name, np.zeros((0, 3)))
    check(name, np.zeros((0, 3)), axis=1)


def test_empty_extremes_are_refused():
    with pytest.raises(ShapeError, match=r"max of no elements: shape \(0, 3\) over axes \(0,\)"):
        rnp.max(np.zeros((0, 3)), axis=0)
    assert rnp.max(np.zeros((0, 3)), axis=1).shape == (0,)
    with pytest.raises(ShapeError, match="argmax of an empty sequence"):
        rnp.argmax(np.zeros(0))


# Dtypes and accuracy


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", [*SIMPLE, "cumsum", "cumprod", "argmax", "nansum", "nanmean", "average"]
)
def test_dtypes_are_jaxs(name):
    jax = pytest.importorskip("jax")
    for dtype in (
        "bool",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "float16",
        "bfloat16",
        "float32",
        "complex64",
    ):
        x = np.array([[1, 0, 1], [1, 1, 1]]).astype(
            ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
        )
        try:
            expected = getattr(jax.numpy, name)(x, axis=1)
        except (TypeError, ValueError):
            continue
        found = getattr(rnp, name)(x, axis=1)
        assert found.dtype == expected.dtype, dtype
        assert not found.weak_type
        np.testing.assert_allclose(
            np.asarray(found).astype("complex64"),
            np.asarray(expected).astype("complex64"),
            rtol=1e-2,
        )


def test_results_are_strong():
    for name in ("sum", "max", "mean", "cumsum"):
        assert not getattr(rnp, name)(3.0).weak_type


def test_dtype_argument():
    x = np.array([100, 100, 100], "int8")
    assert rnp.sum(x, dtype="int8").dtype == np.int8
    assert int(rnp.sum(x, dtype="int8")) == 44
    assert rnp.mean(x, dtype="float64").dtype == np.float64
    assert rnp.sum(np.float32([1]), dtype="float64").dtype == np.float64
    assert rnp.cumsum(x, dtype="int64").dtype == np.int64


def test_half_precision_is_accumulated_in_float32():
    x = np.full(4096, 100.0, "float16")
    assert float(rnp.mean(x)) == 100
    assert float(rnp.var(x)) == 0
    assert float(rnp.logsumexp(np.zeros(4096, "float16"))) == float(np.float16(np.log(4096)))


def test_variance_is_stable():
    x = np.float32(1e4) + np.array([-1, 0, 1], "float32")
    np.testing.assert_allclose(rnp.var(x), 2 / 3, rtol=1e-6)


def test_variance_options():
    for options in ({"ddof": 1}, {"correction": 1}, {"ddof": 1, "where": MASK, "axis": 1}):
        check("var", X, **options)
        check("std", X, **options)
    z = X + 1j * X[::-1]
    check("var", z, axis=1)
    assert rnp.var(z).dtype == np.float64
    assert np.isnan(rnp.var(np.ones(1), ddof=1))
    with pytest.raises(ArgumentError, match="ddof and correction are the same"):
        rnp.var(X, ddof=1, correction=1)


def test_average():
    check("average", X, axis=1)
    check("average", X, axis=1, weights=np.array([1.0, 2.0, 3.0]))
    check("average", X, axis=(0, 2), weights=np.abs(X[:, 0, :]))
    check("average", X, weights=np.abs(X))
    result, total = rnp.average(X, axis=0, weights=np.array([1.0, 3.0]), returned=True)
    assert result.shape == total.shape == (3, 4)
    with pytest.raises(
        ShapeError, match=r"average: weights of shape \(2,\) do not fit \(2, 3, 4\)"
    ):
        rnp.average(X, axis=1, weights=np.ones(2))


def test_logsumexp():
    for axis, keepdims in itertools.product((None, 0, (0, 2)), (False, True)):
        np.testing.assert_allclose(
            rnp.logsumexp(X, axis, keepdims),
            np.log(np.sum(np.exp(X), axis, keepdims=keepdims)),
            rtol=1e-14,
        )
    np.testing.assert_allclose(rnp.logsumexp(np.array([1e4, 1e4])), 1e4 + np.log(2))
    assert float(rnp.logsumexp(np.array([-np.inf, -np.inf]))) == -np.inf
    assert float(rnp.logsumexp(np.array([np.inf, 1.0]))) == np.inf
    np.testing.assert_allclose(
        rnp.logsumexp(X, 1, where=MASK), np.log(np.sum(np.exp(X), 1, where=MASK)), rtol=1e-14
    )
    check_grads(lambda x: rnp.logsumexp(x, 1), (X,))
    for function in (rnp.logsumexp, rf.jit(rnp.logsumexp)):  # nothing flows where all is impossible
        np.testing.assert_array_equal(rf.grad(function)(np.full(2, -np.inf)), [0.0, 0.0])


# Cumulative


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_cumulative(name, axis):
    check(name, X, axis=axis)
    check(name, np.zeros((0, 2)), axis=axis if axis != -1 else 1) if axis != 2 else None


def test_cumulative_of_the_standard():
    for name in ("cumulative_sum", "cumulative_prod"):
        check(name, X, axis=1, include_initial=True)
        check(name, X[0, 0])
        with pytest.raises(ArgumentError, match=f"{name} needs axis="):
            getattr(rnp, name)(X)


# Transforms


@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "prod",
        "max",
        "mean",
        "var",
        "std",
        "ptp",
        "cumsum",
        "cumprod",
        "nansum",
        "nanvar",
        "logsumexp",
        "average",
    ],
)
def test_derivatives(name):
    check_grads(lambda x: getattr(rnp, name)(x, axis=1), (X,))
    check_grads(getattr(rnp, name), (X[0, :, :2],))


@pytest.mark.parametrize("name", [*SIMPLE, *NAN, "argmax", "nanargmin", "cumsum", "logsumexp"])
def test_staged_and_batched(name):
    function = getattr(rnp, name)
    expected = function(X, axis=0)
    graph, captured = trace_to_graph(lambda x: [function(x, axis=0)], [Aval(X.shape, X.dtype)])
    graph.check()
    (found,) = evaluate(graph, [*captured, rnp.asarray(X)])
    assert found.aval == expected.aval
    np.testing.assert_array_equal(found, expected)
    looped = np.stack([function(X[:, i], axis=0) for i in range(3)])
    np.testing.assert_allclose(
        vmap(lambda x: function(x, axis=0), in_axes=1)(X), looped, rtol=1e-13
    )


# Errors


def test_errors():
    with pytest.raises(AxisError, match="sum: axis 3 is out of bounds for an array with 3 axes"):
        rnp.sum(X, axis=3)
    with pytest.raises(AxisError, match="an axis is given twice"):
        rnp.mean(X, axis=(0, -3))
    with pytest.raises(DtypeError, match="where= takes booleans, not int64"):
        rnp.sum(X, where=np.ones(4, int))
    with pytest.raises(ArgumentError, match="sum: arrays are immutable, so out= is not supported"):
        rnp.sum(X, out=X)
    with pytest.raises(
        DtypeError, match="sum takes arrays and numbers, but got an argument of type list"
    ):
        rnp.sum([1, 2])
    with pytest.raises(DtypeError, match="takes integers as axes, not float"):
        rnp.sum(X, axis=1.5)


def test_variance_with_a_known_mean():
    x = np.arange(6.0).reshape(2, 3) ** 2
    mean = x.mean(1, keepdims=True)
    for name in ("var", "std"):
        found = getattr(rnp, name)(x, 1, mean=mean)
        np.testing.assert_allclose(found, getattr(np, name)(x, 1), rtol=1e-15)
    np.testing.assert_allclose(rnp.var(x, mean=1.0, ddof=1), ((x - 1) ** 2).sum() / 5)
    with pytest.raises(ShapeError, match=r"a mean of shape \(2, 2, 3\) does not fit"):
        rnp.var(x, mean=np.ones((2, 2, 3)))
