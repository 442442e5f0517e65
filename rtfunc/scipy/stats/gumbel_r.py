"""The Gumbel distribution of the largest of many values."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy.stats import extreme_values
from rtfunc.scipy.stats.arguments import real_arguments


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density: -z - exp(-z) - log(scale), z = (x - loc) / scale.

    >>> logpdf(0.0)
    Array(-1., dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("gumbel_r.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return extreme_values.log_density(z, scale)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, loc, scale = real_arguments("gumbel_r.cdf", x, loc, scale)
    z = (x - loc) / scale
    return extreme_values.lower(z)


def logcdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `cdf`."""
    x, loc, scale = real_arguments("gumbel_r.logcdf", x, loc, scale)
    z = (x - loc) / scale
    return extreme_values.log_lower(z)


def sf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values above x."""
    x, loc, scale = real_arguments("gumbel_r.sf", x, loc, scale)
    z = (x - loc) / scale
    return extreme_values.upper(z)


def logsf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `sf`."""
    x, loc, scale = real_arguments("gumbel_r.logsf", x, loc, scale)
    z = (x - loc) / scale
    return extreme_values.log_upper(z)


def ppf(q: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The quantile: the x at which `cdf` is q."""
    q, loc, scale = real_arguments("gumbel_r.ppf", q, loc, scale)
    return loc - scale * rnp.log(-rnp.log(q))
