"""Multivariate normal vectors and orthogonal matrices."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import random
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError

KEY = random.key(11)
MEAN = np.array([1.0, -2.0, 0.5])
COV = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])


@pytest.mark.parametrize("method", ["cholesky", "svd", "eigh"])
def test_mean_and_covariance(method):
    x = np.asarray(random.multivariate_normal(KEY, MEAN, COV, (20000,), method=method))
    assert (x.shape, x.dtype) == ((20000, 3), np.float64)
    np.testing.assert_allclose(x.mean(0), MEAN, atol=5 * 1.5 / np.sqrt(20000))
    np.testing.assert_allclose(np.cov(x.T), COV, atol=5 * 3 / np.sqrt(20000))


def test_singular_covariances():
    line = np.outer([1.0, 2.0], [1.0, 2.0])
    for method in ("svd", "eigh"):
        x = np.asarray(random.multivariate_normal(KEY, np.zeros(2), line, (5,), method=method))
        np.testing.assert_allclose(x[:, 1], 2 * x[:, 0], atol=1e-7)  # sqrt of rounding, 1e-16


def test_shapes_and_transforms():
    mean, cov = np.zeros((4, 1, 3)), np.stack([COV, 2 * COV])
    draw = lambda key: random.multivariate_normal(key, mean, cov)  # noqa: E731
    expected = np.asarray(draw(KEY))
    assert expected.shape == (4, 2, 3)
    np.testing.assert_allclose(rf.jit(draw)(KEY), expected, rtol=1e-12)
    keys = random.split(KEY, 3)
    looped = np.stack([draw(keys[i]) for i in range(3)])
    np.testing.assert_allclose(rf.vmap(draw)(keys), looped, rtol=1e-12)
    assert random.multivariate_normal(KEY, np.zeros(3, "float32"), np.eye(3)).dtype == np.float64
    assert random.multivariate_normal(KEY, np.zeros(3), COV, dtype="float32").dtype == np.float32
    assert random.multivariate_normal(KEY, np.zeros(3), COV, (0, 2)).shape == (0, 2, 3)


def test_derivatives_reach_mean_and_covariance():
    total = lambda mean, cov: rnp.sum(rnp.sin(random.multivariate_normal(KEY, mean, cov, (4,))))  # noqa: E731
    by_mean, by_cov = rf.grad(total, argnums=(0, 1))(MEAN, COV)
    for i in range(3):
        step = 1e-6 * np.eye(3)[i]
        slope = (float(total(MEAN + step, COV)) - float(total(MEAN - step, COV))) / 2e-6
        np.testing.assert_allclose(by_mean[i], slope, rtol=1e-6, atol=1e-9)
    step = 1e-6 * np.array([[0.0, 1, 2], [1, 0.5, 0], [2, 0, 1]])
    slope = (float(total(MEAN, COV + step)) - float(total(MEAN, COV - step))) / 2e-6
    np.testing.assert_allclose(np.sum(by_cov * step) * 1e6, slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("n", "m"), [(4, None), (3, 5), (5, 3), (1, 1), (0, 0)])
def test_orthogonal(n, m, dtype):
    q = np.asarray(random.orthogonal(KEY, n, (2,), dtype, m))
    columns = n if m is None else m
    assert (q.shape, q.dtype) == ((2, n, columns), np.dtype(dtype))
    adjoint = np.conj(np.swapaxes(q, -1, -2))
    product = q @ adjoint if n <= columns else adjoint @ q
    # a few steps of rounding in each dot product
    atol = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        product, np.broadcast_to(np.eye(min(n, columns)), product.shape), atol=atol
    )
    drawn = rf.jit(lambda key: random.orthogonal(key, n, (2,), dtype, m))(KEY)
    np.testing.assert_allclose(drawn, q, atol=atol)


def test_orthogonal_matrices_are_uniform():
    """Traces have mean 0 and variance 1, and both determinants are as likely."""
    q = np.asarray(random.orthogonal(KEY, 3, (4000,)))
    traces = np.trace(q, axis1=1, axis2=2)
    assert abs(traces.mean()) < 5 / np.sqrt(4000)
    assert abs(traces.var() - 1) < 5 * np.sqrt(2 / 4000)
    assert abs(np.linalg.det(q).mean()) < 5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: random.multivariate_normal(KEY, MEAN, COV, method="lu"),
            ArgumentError,
            "method is 'cholesky', 'svd' or 'eigh', not 'lu'",
        ),
        (
            lambda: random.multivariate_normal(KEY, 0.0, COV),
            ShapeError,
            r"a mean \[..., n\] and a covariance",
        ),
        (
            lambda: random.multivariate_normal(KEY, MEAN[:2], COV),
            ShapeError,
            r"shapes \(2,\) and \(3, 3\)",
        ),
        (
            lambda: random.multivariate_normal(KEY, MEAN + np.zeros((2, 3)), COV, ()),
            ShapeError,
            r"shape \(2,\) do not broadcast to the shape \(\)",
        ),
        (
            lambda: random.orthogonal(KEY, 2.0),
            DtypeError,
            "random.orthogonal: n is an integer, not float",
        ),
        (
            lambda: random.orthogonal(KEY, 2, m=-1),
            ArgumentError,
            "random.orthogonal: m is -1, below 0",
        ),
        (
            lambda: random.orthogonal(KEY, 2, dtype="int32"),
            DtypeError,
            "random.orthogonal returns float16",
        ),
        (lambda: random.orthogonal(7, 2), DtypeError, "random.orthogonal takes a key"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.oracle
def test_vectors_as_in_jax():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        mean, cov = MEAN.astype("float32"), COV.astype("float32")
        for arguments in ((mean, cov, (4,)), (mean, cov)):
            np.testing.assert_allclose(
                random.multivariate_normal(KEY, *arguments),
                jax.random.multivariate_normal(np.asarray(KEY), *arguments),
                rtol=1e-5,
                atol=1e-6,
            )
        for n, m in ((4, None), (3, 5), (5, 3)):
            np.testing.assert_allclose(
                random.orthogonal(KEY, n, (2,), m=m),
                jax.random.orthogonal(np.asarray(KEY), n, (2,), m=m),
                atol=1e-5,
            )
    finally:
        jax.config.update("jax_enable_x64", before)
