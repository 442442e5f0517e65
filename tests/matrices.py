"""Matrices for the tests of linear algebra, the same in every run of a test, and how they compare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

#: Relative to the largest element. Backward errors of LAPACK are some tens of eps, and the matrices
#: here have condition numbers below 100.
TOLERANCE = {"float32": 5e-5, "float64": 1e-12, "complex64": 5e-5, "complex128": 1e-12}
DTYPES = list(TOLERANCE)

_generator = np.random.default_rng()


@pytest.fixture(autouse=True)
def same_matrices() -> None:
    """Import this fixture: each test then draws from the same beginning."""
    global _generator
    _generator = np.random.default_rng(0)


def values(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Normally distributed elements."""
    x = _generator.normal(size=shape)
    if dtype.startswith("complex"):
        x = x + 1j * _generator.normal(size=shape)
    return np.asarray(x).astype(dtype)


def regular(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Well-conditioned square matrices with distinct eigenvalues."""
    diagonal = np.diag(np.arange(1.0, shape[-1] + 1))
    return (0.3 * values(*shape, dtype=dtype) + diagonal).astype(dtype)


def hermitian(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Hermitian matrices with distinct eigenvalues."""
    x = values(*shape, dtype=dtype)
    return ((x + adjoint(x)) / 2 + np.diag(np.arange(shape[-1]) * 3)).astype(dtype)


def positive(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Hermitian positive definite matrices."""
    x = values(*shape, dtype=dtype)
    return (x @ adjoint(x) + np.eye(shape[-1])).astype(dtype)


def adjoint(x: Any) -> np.ndarray:
    return np.asarray(x).conj().swapaxes(-1, -2)


def assert_close(found: Any, expected: Any, tolerance: float | None = None) -> None:
    """Equal shape and dtype; values within `tolerance` (by default the dtype's) of the largest."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if tolerance is None:
        tolerance = TOLERANCE.get(str(found.dtype), 0)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)
