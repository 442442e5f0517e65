"""The normal distribution of vectors, given by its mean and its covariance."""

from __future__ import annotations

import math

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import broadcast_shapes
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.scipy import linalg
from rtfunc.scipy.stats.arguments import real_arguments


def logpdf(x: ArrayLike, mean: ArrayLike, cov: ArrayLike) -> Array:
    """The logarithm of the density at vectors x, -(n log(2 pi) + log(det(cov)) + d^2) / 2 with the
    Mahalanobis distance d of x and the mean, by the Cholesky factor of the covariance.

    Arguments: x, mean: [..., n]; cov: [..., n, n], symmetric and positive definite. Their leading
    axes broadcast. Derivatives flow to all. A covariance that is not positive definite gives NaN.
    Raises `ShapeError` when the sizes differ.

    >>> import numpy as np
    >>> logpdf(np.zeros(2), np.zeros(2), np.eye(2))
    Array(-1.83787707, dtype=float64)
    """
    x, mean, cov = real_arguments("multivariate_normal.logpdf", x, mean, cov)
    n = x.shape[-1] if x.ndim else None
    if n is None or mean.shape[-1:] != (n,) or cov.shape[-2:] != (n, n):
        raise ShapeError(
            at_user_line(
                "multivariate_normal.logpdf takes vectors [..., n], a mean [..., n] and a covariance "
                f"[..., n, n], but got {x.shape}, {mean.shape} and {cov.shape}."
            )
        )
    factor = rnp.linalg.cholesky(cov)
    apart = x - mean
    batch = broadcast_shapes("multivariate_normal.logpdf", apart.shape[:-1], cov.shape[:-2])
    apart = rnp.broadcast_to(apart, (*batch, n))[..., None]
    white = linalg.solve_triangular(rnp.broadcast_to(factor, (*batch, n, n)), apart, lower=True)[
        ..., 0
    ]
    half_log_det = rnp.sum(rnp.log(rnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return -0.5 * (n * math.log(2 * math.pi) + rnp.sum(white**2, axis=-1)) - half_log_det


def pdf(x: ArrayLike, mean: ArrayLike, cov: ArrayLike) -> Array:
    """The density at vectors x: the exponential of `logpdf`."""
    return rnp.exp(logpdf(x, mean, cov))
