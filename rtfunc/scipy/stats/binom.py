"""The binomial distribution: successes among n trials, each of probability p."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpmf(k: ArrayLike, n: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The logarithm of the probability at k.

    log(binomial coefficient) + k log(p) + (n - k) log(1 - p). All arguments broadcast;
    minus infinity outside the support.

    >>> logpmf(1, 2, 0.5)
    Array(-0.6931472, dtype=float32, weak_type=True)
    """
    k, n, p, loc = real_arguments("binom.logpmf", k, n, p, loc)
    k = k - loc
    support = (k >= 0) & (k <= n) & (k == rnp.floor(k))
    k = within(support, k, 0.0)
    ways = -special.betaln(n - k + 1, k + 1) - rnp.log1p(n)
    value = ways + special.xlogy(k, p) + special.xlog1py(n - k, -p)
    return outside_impossible(support, value, k)


def pmf(k: ArrayLike, n: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The probability at k: the exponential of `logpmf`, whose arguments it takes."""
    return rnp.exp(logpmf(k, n, p, loc))
