"""The normal distribution."""

from __future__ import annotations

import math

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import real_arguments


def _standard(operation: str, x: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> Array:
    x, loc, scale = real_arguments(operation, x, loc, scale)
    return (x - loc) / scale


def logpdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density: -z**2 / 2 - log(scale sqrt(2 pi)), z = (x - loc) / scale.

    >>> logpdf(0.0)
    Array(-0.9189385, dtype=float32, weak_type=True)
    """
    x, loc, scale = real_arguments("norm.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return -0.5 * z * z - rnp.log(scale) - 0.5 * math.log(2 * math.pi)


def pdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density."""
    return rnp.exp(logpdf(x, loc, scale))


def cdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values up to x."""
    return special.ndtr(_standard("norm.cdf", x, loc, scale))


def logcdf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `cdf`, accurate in both tails."""
    return special.log_ndtr(_standard("norm.logcdf", x, loc, scale))


def sf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The probability of values above x."""
    return special.ndtr(-_standard("norm.sf", x, loc, scale))


def logsf(x: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of `sf`."""
    return special.log_ndtr(-_standard("norm.logsf", x, loc, scale))


def ppf(q: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The quantile: the x at which `cdf` is q."""
    q, loc, scale = real_arguments("norm.ppf", q, loc, scale)
    return special.ndtri(q) * scale + loc


def isf(q: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The x at which `sf` is q."""
    q, loc, scale = real_arguments("norm.isf", q, loc, scale)
    return loc - special.ndtri(q) * scale
