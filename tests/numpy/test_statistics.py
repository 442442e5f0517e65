"""Quantiles by every method, histograms, counts, covariances, against NumPy over dtypes and shapes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TracerError
from tests.messages import raises

METHODS = [
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "lower",
    "higher",
    "nearest",
    "midpoint",
]
X = np.random.default_rng(0).normal(size=(3, 7, 2))
Q = np.array([0.0, 0.1, 0.25, 0.37, 0.5, 0.99, 1.0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [None, 1, (0, -1)])
def test_quantiles_by_every_method(method, axis):
    x = X.copy()
    for values in (x, x[:1, :1], x[:, :4], np.round(x)):
        found = rnp.quantile(values, Q, axis, method=method)
        wanted = np.quantile(values, Q, axis, method=method)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
        scalar = rnp.percentile(values, 30, axis, method=method, keepdims=True)
        wanted = np.percentile(values, 30, axis, method=method, keepdims=True)
        np.testing.assert_allclose(scalar, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", ["linear", "lower", "hazen", "inverted_cdf"])
def test_quantiles_of_what_is_not_nan(method):
    x = X.copy()
    x[0, 1:4, 0] = np.nan
    x[1, :, 1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of the row that has nothing else
        wanted = np.nanquantile(x, Q, 1, method=method)
        median = np.nanmedian(x, 1)
    np.testing.assert_allclose(rnp.nanquantile(x, Q, 1, method=method), wanted, rtol=1e-12)
    np.testing.assert_allclose(rnp.nanmedian(x, 1), median, rtol=1e-12)
    assert np.isnan(rnp.quantile(x, 0.5))
    assert np.isnan(rnp.quantile(x, 0.5, 1)).sum() == 2


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32", "uint8"])
def test_dtypes_of_quantiles(dtype):
    x = rnp.asarray([3, 1, 2]).astype(dtype)
    assert rnp.median(x).dtype == (dtype if "float" in dtype else "float32")
    assert float(rnp.median(x)) == 2
    assert rnp.quantile(x, [0.5]).dtype == rnp.median(x).dtype


def test_infinite_values_do_not_make_nan():
    x = np.array([-np.inf, 1.0, np.inf, np.inf])
    np.testing.assert_array_equal(
        rnp.quantile(x, np.array([0.0, 1.0, 0.9])), [-np.inf, np.inf, np.inf]
    )


def test_quantiles_say_what_is_wrong():
    with raises(ArgumentError, "q is between 0 and 1, got 1.5"):
        rnp.quantile(X, 1.5)
    with raises(ArgumentError, "percentile: q is between 0 and 100"):
        rnp.percentile(X, -1)
    with raises(ArgumentError, "'cubic' is not a method; there are", "median_unbiased"):
        rnp.quantile(X, 0.5, method="cubic")
    with raises(ShapeError, "median of no elements: shape (0,) over axes (0,)"):
        rnp.median(np.zeros(0))
    with raises(DtypeError, "quantile takes real numbers, not complex128"):
        rnp.quantile(X + 1j, 0.5)
    with raises(ArgumentError, "overwrite_input is not supported"):
        rnp.median(X, overwrite_input=True)


@pytest.mark.parametrize("bins", [1, 5, [-2.0, 0.0, 0.1, 3.0]])
@pytest.mark.parametrize("density", [False, True])
def test_histograms(bins, density):
    for values, limits in ((X, None), (X, (-1.0, 0.5)), (np.zeros(0), None), (np.ones(3), None)):
        found = rnp.histogram(values, bins, limits, density=density)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 0 / 0 of no samples
            wanted = np.histogram(values, bins, limits, density=density)
        # A list of edges is float32, as every new array, and so are the widths of its bins.
        np.testing.assert_allclose(
            found[0], wanted[0], rtol=1e-6 if isinstance(bins, list) else 1e-12
        )
        np.testing.assert_allclose(
            found[1], wanted[1], rtol=1e-7 if isinstance(bins, list) else 1e-14
        )


def test_the_last_bin_is_closed_and_nan_is_in_none():
    x = np.array([0.0, 1.0, 2.0, np.nan, 3.0])
    np.testing.assert_array_equal(rnp.histogram(x, np.array([0.0, 1.0, 2.0]))[0], [1, 2])


def test_histograms_of_points():
    points = np.random.default_rng(1).normal(size=(50, 2))
    found = rnp.histogramdd(points, [3, np.array([-1.0, 0.0, 2.0])], density=True)
    wanted = np.histogramdd(points, [3, np.array([-1.0, 0.0, 2.0])], density=True)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)
    for f, w in zip(found[1], wanted[1]):
        np.testing.assert_allclose(f, w, rtol=1e-12)
    found = rnp.histogram2d(points[:, 0], points[:, 1], 4, [[-1, 1], [-2, 2]], weights=points[:, 0])
    wanted = np.histogram2d(points[:, 0], points[:, 1], 4, [[-1, 1], [-2, 2]], weights=points[:, 0])
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)


def test_histograms_say_what_is_wrong():
    with raises(ArgumentError, "at least one bin, not 0"):
        rnp.histogram(X, 0)
    with raises(DtypeError, "bins is a number, an array of edges or a name, not 2.5"):
        rnp.histogram_bin_edges(X, 2.5)
    with raises(ArgumentError, "the range goes upward, not from 1 to 0"):
        rnp.histogram(X, 2, (1, 0))
    with raises(ShapeError, "weights of shape (2,) do not fit 42 samples"):
        rnp.histogram(X, 2, weights=np.ones(2))
    with raises(ShapeError, "histogramdd takes a row per point, not the shape (3,)"):
        rnp.histogramdd(np.ones(3))
    with raises(ArgumentError, "1 bins and 2 ranges for 2 axes"):
        rnp.histogramdd(np.ones((3, 2)), [2])
    with pytest.raises(TracerError, match="bins='auto': the number of bins depends on the values"):
        rf.jit(lambda x: rnp.histogram(x, "auto")[0])(X)


def test_counts_of_integers():
    np.testing.assert_array_equal(rnp.bincount([1, 3, 1], minlength=6), [0, 2, 0, 1, 0, 0])
    np.testing.assert_array_equal(rnp.bincount(np.zeros(0, int)), [])
    np.testing.assert_array_equal(rnp.bincount(np.array([-1, 2])), [1, 0, 1])  # as in JAX
    with raises(DtypeError, "bincount takes integers, not float64"):
        rnp.bincount(np.ones(2))
    with raises(ShapeError, "bincount takes one axis, not the shape (1, 2)"):
        rnp.bincount(np.ones((1, 2), int))
    with raises(ArgumentError, "minlength is not negative, got -1"):
        rnp.bincount(np.ones(2, int), minlength=-1)
    with pytest.raises(TracerError, match=r"bincount of a traced int64\[2\].*length="):
        rf.jit(rnp.bincount)(np.ones(2, int))


@pytest.mark.parametrize("dtype", ["float64", "complex128", "int32"])
def test_covariances(dtype):
    x = (X[:, :, 0] * 5).astype(dtype)
    for options in (
        {},
        {"rowvar": False},
        {"bias": True},
        {"ddof": 2},
        {"aweights": np.arange(1.0, 8)},
        {"y": x[::-1]},
    ):
        found = rnp.cov(x, **options)
        narrow = found.dtype in ("float32", "complex64")
        np.testing.assert_allclose(found, np.cov(x, **options), rtol=2e-5 if narrow else 1e-12)
    np.testing.assert_allclose(
        rnp.corrcoef(x), np.corrcoef(x), rtol=2e-4 if dtype == "int32" else 1e-12
    )
    assert rnp.cov(x[0]).shape == ()
    assert float(rnp.abs(rnp.corrcoef(x[0]))) == 1
    with raises(ShapeError, "cov takes one or two axes, not the shape (3, 7, 2)"):
        rnp.cov(X)
    with raises(ShapeError, "aweights of shape (3,) do not fit 7 observations"):
        rnp.cov(x, aweights=np.ones(3))
