"""The exponential distribution."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density at x.

    -z - log(scale), z = (x - loc) / scale >= 0. All arguments broadcast; minus infinity
    outside the support.

    >>> logpdf(1.0)
    Array(-1., dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("expon.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return outside_impossible(z >= 0, -z - rnp.log(scale), x)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, loc, scale = real_arguments("expon.cdf", x, loc, scale)
    return -rnp.expm1(-rnp.maximum((x - loc) / scale, 0.0))
