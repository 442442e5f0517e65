"""The Pareto distribution of shape b, on x >= loc + scale."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density: log(b / scale) - (b + 1) log(z), z = (x - loc) / scale >= 1.

    >>> logpdf(1.0, 1.0)
    Array(0., dtype=float32, weak_type=True)
    """
    x, b, loc, scale = real_arguments("pareto.logpdf", x, b, loc, scale)
    z = (x - loc) / scale
    support = z >= 1
    value = rnp.log(b / scale) - (b + 1) * rnp.log(within(support, z, 1.0))
    return outside_impossible(support, value, x)


def pdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, b, loc, scale))


def logsf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `sf`."""
    x, b, loc, scale = real_arguments("pareto.logsf", x, b, loc, scale)
    z = (x - loc) / scale
    return -b * rnp.log(rnp.maximum(z, 1.0))


def sf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values above x."""
    x, b, loc, scale = real_arguments("pareto.sf", x, b, loc, scale)
    return rnp.exp(logsf(x, b, loc, scale))


def cdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, b, loc, scale = real_arguments("pareto.cdf", x, b, loc, scale)
    return -rnp.expm1(logsf(x, b, loc, scale))


def logcdf(x: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `cdf`."""
    x, b, loc, scale = real_arguments("pareto.logcdf", x, b, loc, scale)
    return rnp.log(-rnp.expm1(logsf(x, b, loc, scale)))


def ppf(q: ArrayLike, b: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The quantile: the x at which `cdf` is q."""
    q, b, loc, scale = real_arguments("pareto.ppf", q, b, loc, scale)
    return loc + scale * rnp.exp(-rnp.log1p(-q) / b)
