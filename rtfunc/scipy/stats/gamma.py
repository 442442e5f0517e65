"""The gamma distribution of shape a."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpdf(x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density at x.

    (a - 1) log(z) - z - log(gamma(a)) - log(scale), z = (x - loc) / scale >= 0. All
    arguments broadcast; minus infinity outside the support.

    >>> logpdf(1.0, 2.0)
    Array(-1., dtype=float32, weak_type=True)
    """
    x, a, loc, scale = real_arguments("gamma.logpdf", x, a, loc, scale)
    z = (x - loc) / scale
    support = z >= 0
    z = within(support, z, 1.0)
    value = special.xlogy(a - 1, z) - z - special.gammaln(a) - rnp.log(scale)
    return outside_impossible(support, value, x)


def pdf(x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, a, loc, scale))


def cdf(x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, a, loc, scale = real_arguments("gamma.cdf", x, a, loc, scale)
    return special.gammainc(a, rnp.maximum((x - loc) / scale, 0.0))
