"""The Bernoulli distribution: 1 with probability p, else 0."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The logarithm of the probability at k.

    log(p) for 1 and log(1 - p) for 0, counted from loc. All arguments broadcast; minus
    infinity outside the support.

    >>> logpmf(1, 0.25)
    Array(-1.3862944, dtype=float32, weak_type=True)
    """
    k, p, loc = real_arguments("bernoulli.logpmf", k, p, loc)
    k = k - loc
    support = (k == 0) | (k == 1)
    k = within(support, k, 0.0)
    value = special.xlogy(k, p) + special.xlog1py(1 - k, -p)
    return outside_impossible(support, value, k)


def pmf(k: ArrayLike, p: ArrayLike, loc: ArrayLike = 0.0) -> Array:
    """The probability at k: the exponential of `logpmf`, whose arguments it takes."""
    return rnp.exp(logpmf(k, p, loc))
