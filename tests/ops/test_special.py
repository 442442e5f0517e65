"""Error functions against mpmath; fused multiply-add against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import rtfunc.numpy
from rtfunc.core.errors import DtypeError
from rtfunc.ops.multiply_add import fma
from rtfunc.ops.special import erf, erf_inv, erfc, normal_from_uniform

generator = np.random.default_rng(0)
mpmath = pytest.importorskip("mpmath")


def worst_error(found, exact, x) -> float:
    """The largest error in units in the last place of the exact result."""
    worst = 0.0
    with mpmath.workprec(120):
        for value, at in zip(np.asarray(found), x):
            expected = exact(mpmath.mpf(float(at)))
            step = np.spacing(np.abs(value.dtype.type(float(expected))))
            error = abs(mpmath.mpf(float(value)) - expected) / mpmath.mpf(float(step))
            worst = max(worst, float(error))
    return worst


def points(*ranges, dtype):
    return np.concatenate([generator.uniform(a, b, n) for a, b, n in ranges]).astype(dtype)


# The limits are the documented accuracies.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erf_is_within_1_ulp(dtype):
    x = points((-6, 6, 600), (-1.5, 1.5, 600), (-1e-3, 1e-3, 100), dtype=dtype)
    assert worst_error(erf(x), mpmath.erf, x) < 1.0


@pytest.mark.parametrize(
    ("dtype", "limit", "last"), [("float32", 1.0, 9.0), ("float64", 2.5, 26.0)]
)
def test_erfc_is_within_its_limit(dtype, limit, last):
    x = points((-6, 9, 600), (-1.5, 1.5, 600), (8, last, 400), dtype=dtype)
    assert worst_error(erfc(x), mpmath.erfc, x) < limit


@pytest.mark.parametrize(
    ("dtype", "limit", "gap"), [("float32", 1.0, 1e-6), ("float64", 4.0, 1e-15)]
)
def test_erf_inv_is_within_its_limit(dtype, limit, gap):
    near_1 = (1 - np.geomspace(gap, 0.5, 300)).astype(dtype)
    x = np.concatenate([points((-1, 1, 600), (-1e-4, 1e-4, 50), dtype=dtype), near_1])
    assert worst_error(erf_inv(x), mpmath.erfinv, x) < limit


def test_ends():
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(erf(x), [0.0, -0.0, 1.0, -1.0, np.nan])
    np.testing.assert_array_equal(erfc(x), [1.0, 1.0, 0.0, 2.0, np.nan])
    assert np.signbit(np.asarray(erf(x))[1])
    for function in (erf_inv, normal_from_uniform):
        for dtype in ("float32", "float64"):
            out = function(np.array([1.0, -1.0, 0.0, np.nan], dtype))
            np.testing.assert_array_equal(out, [np.inf, -np.inf, 0.0, np.nan])
    np.testing.assert_array_equal(erf_inv(np.array([1.5, -2.0])), [np.nan, np.nan])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_rounds_once(dtype):
    x = np.linspace(-0.99, 0.99, 200).astype("float32")
    half = np.asarray(rtfunc.numpy.asarray(x).astype(dtype))
    wide = half.astype("float64")
    for function in (erf, erfc, erf_inv):
        found = np.asarray(function(half))
        assert found.dtype == half.dtype
        np.testing.assert_array_equal(found, np.asarray(function(wide)).astype(half.dtype))


def test_normal_from_uniform_is_the_quantile():
    x = np.linspace(-0.999, 0.999, 1001)
    expected = np.sqrt(2) * np.asarray(erf_inv(x))
    # It rounds x*x as XLA does, and takes its logarithm: 40 ulp where that is worst.
    np.testing.assert_allclose(normal_from_uniform(x), expected, rtol=1e-14)
    single = x.astype("float32")
    np.testing.assert_allclose(normal_from_uniform(single), expected, rtol=2e-5, atol=1e-6)


def test_integers_become_floats_and_complex_is_refused():
    assert erf(1).dtype == np.float32
    with pytest.raises(DtypeError, match="erf takes real floats, but got complex128"):
        erf(np.array(1j))


def exactly_rounded(x, y, z, dtype):
    """x * y + z rounded once: correctly rounded from the exact rational number."""
    exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
    near = dtype(float(exact)) if dtype is np.float32 else float(exact)
    around = [near, np.nextafter(near, dtype(np.inf)), np.nextafter(near, dtype(-np.inf))]
    distances = [abs(Fraction(float(v)) - exact) for v in around]
    best = min(distances)
    closest = [v for v, d in zip(around, distances) if d == best]
    unsigned = np.dtype(f"uint{dtype(0).itemsize * 8}")
    return next((v for v in closest if not np.array(v, dtype).view(unsigned) & 1), closest[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_rounds_once(dtype):
    x, y = (generator.normal(size=300).astype(dtype) for _ in range(2))
    near = (-x * y * (1 + generator.normal(size=300) * 1e-7)).astype(dtype)
    for z in (generator.normal(size=300).astype(dtype), near, (-x * y).astype(dtype)):
        expected = [exactly_rounded(*v, dtype) for v in zip(x, y, z)]
        np.testing.assert_array_equal(fma(x, y, z), np.array(expected, dtype))


def test_fma_does_not_round_twice():
    # x * y = 1 + 2**-12 is exact; with z it lies just above the middle of two float32, by less than
    # half a step of float64, which rounding to float64 first would lose.
    x, y, z = np.float32(1 + 2**-12), np.float32(1 + 2**-12), np.float32(2**-60)
    exact = 1 + 2**-11 + 2**-24  # halfway between two float32, plus z
    above = np.nextafter(np.float32(exact - 2**-24), np.float32(2))
    assert np.asarray(fma(x, y, z)) == above


def test_fma_of_infinities():
    out = fma(np.array([np.inf, 1e300, np.nan]), np.array([1.0, 1e300, 1.0]), 0.0)
    np.testing.assert_array_equal(out, [np.inf, np.inf, np.nan])


@pytest.mark.oracle
def test_normal_from_uniform_is_xlas_to_the_bit():
    jax = pytest.importorskip("jax")
    count = np.arange(0, 2**23, 7, dtype="uint32")
    u = (count | np.uint32(0x3F800000)).view("float32") - np.float32(1)
    x = u * np.float32(2) + np.float32(2**-24 - 1)
    xla = jax.jit(lambda x: np.float32(np.sqrt(2)) * jax.lax.erf_inv(x))
    np.testing.assert_array_equal(normal_from_uniform(x), xla(x))
