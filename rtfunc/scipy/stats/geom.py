"""The geometric distribution: the number of trials up to the first success."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The logarithm of the probability at k.

    log(p) + (k - 1) log(1 - p), for whole k >= 1 counted from loc. All arguments
    broadcast; minus infinity outside the support.

    >>> logpmf(1, 0.5)
    Array(-0.6931472, dtype=float32, weak_type=True)
    """
    k, p, loc = real_arguments("geom.logpmf", k, p, loc)
    k = k - loc
    support = (k >= 1) & (k == rnp.floor(k))
    k = within(support, k, 1.0)
    value = rnp.log(p) + special.xlog1py(k - 1, -p)
    return outside_impossible(support, value, k)


def pmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The probability at k: the exponential of `logpmf`, whose arguments it takes."""
    return rnp.exp(logpmf(k, p, loc))
