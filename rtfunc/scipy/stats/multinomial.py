"""The multinomial distribution: counts of n draws among k classes."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpmf(x: ArrayLike, n: ArrayLike, p: ArrayLike) -> Array:
    """The logarithm of the probability of counts x.

    Arguments: x: [..., k], counts along the last axis; n: [...], how many draws; p: [..., k], the
    probabilities of the classes. Minus infinity where counts are negative, not whole, or do not sum
    to n.

    >>> import numpy as np
    >>> logpmf(np.array([1.0, 0.0]), 1, np.array([0.25, 0.75]))
    Array(-1.38629436, dtype=float64)
    """
    x, n, p = real_arguments("multinomial.logpmf", x, n, p)
    whole = rnp.all((x >= 0) & (x == rnp.floor(x)), axis=-1)
    total = rnp.sum(x, axis=-1)
    support = whole & (total == n)
    counts = within(rnp.expand_dims(support, -1), x, 0.0)
    terms = special.xlogy(counts, p) - special.gammaln(counts + 1)
    return outside_impossible(support, special.gammaln(n + 1) + rnp.sum(terms, axis=-1), total)


def pmf(x: ArrayLike, n: ArrayLike, p: ArrayLike) -> Array:
    """The probability of counts x: the exponential of `logpmf`."""
    return rnp.exp(logpmf(x, n, p))
