"""The logistic distribution."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import real_arguments


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density: -z - 2 log(1 + exp(-z)) - log(scale), z = (x - loc) / scale.

    >>> logpdf(0.0)
    Array(-1.3862944, dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("logistic.logpdf", x, loc, scale)
    z = rnp.abs(x - loc) / scale
    return -z - 2 * rnp.log1p(rnp.exp(-z)) - rnp.log(scale)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    x, loc, scale = real_arguments("logistic.cdf", x, loc, scale)
    return special.expit((x - loc) / scale)


def sf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values above x."""
    x, loc, scale = real_arguments("logistic.sf", x, loc, scale)
    return special.expit((loc - x) / scale)


def logcdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `cdf`."""
    x, loc, scale = real_arguments("logistic.logcdf", x, loc, scale)
    return -rnp.logaddexp(0.0, (loc - x) / scale)


def logsf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `sf`."""
    x, loc, scale = real_arguments("logistic.logsf", x, loc, scale)
    return -rnp.logaddexp(0.0, (x - loc) / scale)


def ppf(q: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The quantile: the x at which `cdf` is q."""
    q, loc, scale = real_arguments("logistic.ppf", q, loc, scale)
    return loc + scale * special.logit(q)


def isf(q: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The x at which `sf` is q."""
    q, loc, scale = real_arguments("logistic.isf", q, loc, scale)
    return loc - scale * special.logit(q)
