"""The uniform distribution on [loc, loc + scale]."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density at x.

    -log(scale) within [loc, loc + scale]. All arguments broadcast; minus infinity outside
    the support.

    >>> logpdf(0.5)
    Array(0., dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("uniform.logpdf", x, loc, scale)
    support = (x >= loc) & (x <= loc + scale)
    return outside_impossible(support, -rnp.log(scale) + 0 * x, x)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x.

    >>> cdf(0.25)
    Array(0.25, dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("uniform.cdf", x, loc, scale)
    return rnp.clip((x - loc) / scale, 0.0, 1.0)
