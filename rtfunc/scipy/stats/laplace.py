"""The Laplace distribution."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy.stats.arguments import real_arguments


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density at x.

    -|x - loc| / scale - log(2 scale). All arguments broadcast; minus infinity outside the
    support.

    >>> logpdf(0.0)
    Array(-0.6931472, dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("laplace.logpdf", x, loc, scale)
    return -rnp.abs(x - loc) / scale - rnp.log(2 * scale)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, loc, scale = real_arguments("laplace.cdf", x, loc, scale)
    z = (x - loc) / scale
    tail = 0.5 * rnp.exp(-rnp.abs(z))
    return rnp.where(z < 0, tail, 1 - tail)
