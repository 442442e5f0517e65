"""The negative binomial distribution: the number of failures before the n-th success."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpmf(k: ArrayLike, n: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The logarithm of the probability at k.

    log((k + n - 1)! / k! / (n - 1)!) + n log(p) + k log(1 - p), for whole k >= 0 counted from
    loc. All arguments broadcast; minus infinity outside the support.

    >>> logpmf(0, 1, 0.5)
    Array(-0.6931472, dtype=float32, weak_type=True)
    """
    k, n, p, loc = real_arguments("nbinom.logpmf", k, n, p, loc)
    k = k - loc
    support = (k >= 0) & (k == rnp.floor(k))
    k = within(support, k, 1.0)
    value = (
        special.gammaln(k + n)
        - special.gammaln(k + 1)
        - special.gammaln(n)
        + n * rnp.log(p)
        + special.xlog1py(k, -p)
    )
    return outside_impossible(support, value, k)


def pmf(k: ArrayLike, n: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The probability at k: the exponential of `logpmf`, whose arguments it takes."""
    return rnp.exp(logpmf(k, n, p, loc))
