"""Student's t distribution of df degrees of freedom."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import real_arguments


def logpdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The logarithm of the density at x.

    -(df + 1) / 2 log(1 + z**2 / df) - log(sqrt(df) B(1/2, df / 2) scale), z = (x - loc) /
    scale. All arguments broadcast; minus infinity outside the support.

    >>> logpdf(0.0, 3.0)
    Array(-1.0008888, dtype=float32, weak_type=True)
    """
    x, df, loc, scale = real_arguments("t.logpdf", x, df, loc, scale)
    z = (x - loc) / scale
    constant = special.betaln(0.5, df / 2) + 0.5 * rnp.log(df) + rnp.log(scale)
    return -(df + 1) / 2 * rnp.log1p(z * z / df) - constant


def pdf(x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Array:
    """The density at x: the exponential of `logpdf`, whose arguments it takes."""
    return rnp.exp(logpdf(x, df, loc, scale))
