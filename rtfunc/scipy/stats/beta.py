"""The beta distribution."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpdf(
    x: ArrayLike, a: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Array:
    """The logarithm of the density at x.

    (a - 1) log(z) + (b - 1) log(1 - z) - betaln(a, b) - log(scale), z = (x - loc) / scale.
    All arguments broadcast; minus infinity outside the support.

    >>> logpdf(0.5, 2.0, 2.0)
    Array(0.40546513, dtype=float32, weak_type=True)
    """
    x, a, b, loc, scale = real_arguments("beta.logpdf", x, a, b, loc, scale)
    z = (x - loc) / scale
    support = (z >= 0) & (z <= 1)
    z = within(support, z, 0.5)
    value = special.xlogy(a - 1, z) + special.xlog1py(b - 1, -z) - special.betaln(a, b)
    return outside_impossible(support, value - rnp.log(scale), x)


def pdf(
    x: ArrayLike, a: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, a, b, loc, scale))


def cdf(
    x: ArrayLike, a: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Array:
    """The probability of values up to x."""
    x, a, b, loc, scale = real_arguments("beta.cdf", x, a, b, loc, scale)
    return special.betainc(a, b, rnp.clip((x - loc) / scale, 0.0, 1.0))
