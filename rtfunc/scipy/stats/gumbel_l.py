"""The Gumbel distribution of the smallest of many values."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy.stats import extreme_values
from rtfunc.scipy.stats.arguments import real_arguments


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density: z - exp(z) - log(scale), z = (x - loc) / scale.

    >>> logpdf(0.0)
    Array(-1., dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("gumbel_l.logpdf", x, loc, scale)
    z = (loc - x) / scale
    return extreme_values.log_density(z, scale)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, loc, scale = real_arguments("gumbel_l.cdf", x, loc, scale)
    z = (loc - x) / scale
    return extreme_values.upper(z)


def logcdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `cdf`."""
    x, loc, scale = real_arguments("gumbel_l.logcdf", x, loc, scale)
    z = (loc - x) / scale
    return extreme_values.log_upper(z)


def sf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values above x."""
    x, loc, scale = real_arguments("gumbel_l.sf", x, loc, scale)
    z = (loc - x) / scale
    return extreme_values.lower(z)


def logsf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `sf`."""
    x, loc, scale = real_arguments("gumbel_l.logsf", x, loc, scale)
    z = (loc - x) / scale
    return extreme_values.log_lower(z)


def ppf(q: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The quantile: the x at which `cdf` is q."""
    q, loc, scale = real_arguments("gumbel_l.ppf", q, loc, scale)
    return loc + scale * rnp.log(-rnp.log1p(-q))
