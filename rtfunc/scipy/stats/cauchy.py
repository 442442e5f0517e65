"""The Cauchy distribution."""

from __future__ import annotations

import math

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy.stats.arguments import real_arguments


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density at x.

    -log(pi scale (1 + ((x - loc) / scale)**2)). All arguments broadcast; minus infinity
    outside the support.

    >>> logpdf(0.0)
    Array(-1.1447299, dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("cauchy.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return -math.log(math.pi) - rnp.log(scale) - rnp.log1p(z * z)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, loc, scale = real_arguments("cauchy.cdf", x, loc, scale)
    return 0.5 + rnp.arctan((x - loc) / scale) / math.pi
