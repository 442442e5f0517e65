"""Polynomials, against NumPy and the definition of a root."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError, TracerError
from tests.messages import raises

needs_linalg = pytest.mark.skipif(
    importlib.util.find_spec("rtfunc.numpy.linalg") is None, reason="no rtfunc.numpy.linalg"
)
P, Q = np.array([2.0, -1.0, 0.5, 3.0]), np.array([1.0, -2.0])


@needs_linalg
@pytest.mark.parametrize(
    "p", [P, [1.0, -3.0, 2.0], [0.0, 0.0, 1.0, 0.0, -4.0, 0.0], [5.0], [0.0, 0.0], [2.0, 1.0]]
)
def test_roots(p):
    p = np.asarray(p)
    found = np.sort_complex(np.asarray(rnp.roots(p)))
    wanted = np.sort_complex(np.roots(p).astype(complex))
    # Eigenvalues of small matrices with separate eigenvalues.
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@needs_linalg
def test_roots_in_traced_code():
    found = rf.jit(lambda p: rnp.roots(p, strip_zeros=False))(P)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.roots(P)), atol=1e-12)
    with pytest.raises(TracerError, match="strip_zeros=False"):
        rf.jit(rnp.roots)(P)


@needs_linalg
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_polyfit(degree):
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=12), rng.normal(size=(12, 2)), rng.uniform(0.5, 2, 12)
    for values in (y, y[:, 0]):
        found = rnp.polyfit(x, values, degree)
        np.testing.assert_allclose(found, np.polyfit(x, values, degree), rtol=1e-9, atol=1e-10)
        for cov in (True, "unscaled"):
            for f, n in zip(
                rnp.polyfit(x, values, degree, w=w, cov=cov),
                np.polyfit(x, values, degree, w=w, cov=cov),
                strict=True,
            ):
                np.testing.assert_allclose(f, n, rtol=1e-8, atol=1e-10)
    full = rnp.polyfit(x, y, degree, full=True)
    for f, n in zip(full, np.polyfit(x, y, degree, full=True), strict=True):
        np.testing.assert_allclose(f, n, rtol=1e-8, atol=1e-12)
    with raises(ArgumentError, "the degree is not negative, got -1"):
        rnp.polyfit(x, y, -1)
    with raises(ShapeError, "polyfit takes coordinates with one axis"):
        rnp.polyfit(x, y[:3], 1)


@needs_linalg
def test_the_characteristic_polynomial():
    m = np.array([[2.0, 1.0], [0.5, 3.0]])
    np.testing.assert_allclose(np.asarray(rnp.poly(m)).real, np.poly(m), rtol=1e-12)


def test_arithmetic_keeps_integers():
    p, q = np.array([1, 2], "int32"), np.array([3, 0, 1], "int32")
    for name in ("polyadd", "polysub", "polymul"):
        found = getattr(rnp, name)(p, q)
        np.testing.assert_array_equal(found, getattr(np, name)(p, q))
        assert found.dtype == "int32"
    assert rnp.polyder(q).dtype == "int32"


def test_division_and_leading_zeros():
    product = np.polymul(P, Q)
    quotient, rest = rnp.polydiv(product, Q, trim_leading_zeros=True)
    np.testing.assert_allclose(quotient, P, rtol=1e-14)
    np.testing.assert_allclose(rest, [0], atol=1e-13)
    quotient, rest = rnp.polydiv(Q, P)
    np.testing.assert_array_equal(quotient, [0])
    np.testing.assert_array_equal(rest, Q)
    found = rnp.polymul(np.array([0.0, 1.0, 2.0]), Q, trim_leading_zeros=True)
    np.testing.assert_array_equal(found, np.polymul([1.0, 2.0], Q))
    with pytest.raises(TracerError, match="leading zeros of traced coefficients"):
        rf.jit(lambda p: rnp.polymul(p, p, trim_leading_zeros=True))(P)


def test_wrong_orders_and_shapes():
    with raises(ArgumentError, "polyder: the order is not negative, got -1"):
        rnp.polyder(P, -1)
    with raises(ArgumentError, "polyint: 3 constants for 2 integrations"):
        rnp.polyint(P, 2, np.ones(3))
    with raises(ShapeError, "polyadd takes coefficients with one axis, not the shape (2, 2)"):
        rnp.polyadd(np.ones((2, 2)), P)
    with pytest.raises(TracerError, match="trim_zeros of a traced float64"):
        rf.jit(rnp.trim_zeros)(P)
