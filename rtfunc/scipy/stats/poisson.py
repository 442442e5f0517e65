"""The Poisson distribution of mean mu."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpmf(k: ArrayLike, mu: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The logarithm of the probability at k.

    k log(mu) - mu - log(k!), for whole k >= 0 counted from loc. All arguments broadcast;
    minus infinity outside the support.

    >>> logpmf(2, 3.0)
    Array(-1.4959226, dtype=float32, weak_type=True)
    """
    k, mu, loc = real_arguments("poisson.logpmf", k, mu, loc)
    k = k - loc
    support = (k >= 0) & (k == rnp.floor(k))
    k = within(support, k, 0.0)
    value = special.xlogy(k, mu) - mu - special.gammaln(k + 1)
    return outside_impossible(support, value, k)


def pmf(k: ArrayLike, mu: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The probability at k: the exponential of `logpmf`, whose arguments it takes."""
    return rnp.exp(logpmf(k, mu, loc))
