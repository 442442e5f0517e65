"""The Dirichlet distribution: proportions that sum to 1."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.scipy import special
from rtfunc.scipy.stats.arguments import outside_impossible, real_arguments, within


def logpdf(x: ArrayLike, alpha: ArrayLike) -> Array:
    """The logarithm of the density at proportions x.

    Arguments: x: [k, ...], proportions along the first axis, as SciPy has them; alpha: [k], their
    concentrations. Minus infinity where a proportion is negative or their sum is not 1 (to 1e-4 in
    float32, 1e-9 in float64). Raises `ShapeError` when the sizes differ.

    >>> import numpy as np
    >>> logpdf(np.array([0.5, 0.5]), np.array([1.0, 1.0]))
    Array(0., dtype=float64)
    """
    x, alpha = real_arguments("dirichlet.logpdf", x, alpha)
    if alpha.ndim != 1 or not x.ndim or x.shape[0] != alpha.shape[0]:
        raise ShapeError(
            at_user_line(
                f"dirichlet.logpdf takes proportions of shape [k, ...] and concentrations of shape "
                f"[k], but got {x.shape} and {alpha.shape}."
            )
        )
    tolerance = 1e-9 if x.dtype.itemsize == 8 else 1e-4
    total = rnp.sum(x, axis=0)
    support = rnp.all(x >= 0, axis=0) & (rnp.abs(total - 1) <= tolerance)
    weights = rnp.reshape(alpha, (-1,) + (1,) * (x.ndim - 1))
    logarithms = special.xlogy(weights - 1, within(support, x, 1.0))
    constant = special.gammaln(rnp.sum(alpha)) - rnp.sum(special.gammaln(alpha))
    return outside_impossible(support, rnp.sum(logarithms, axis=0) + constant, total)


def pdf(x: ArrayLike, alpha: ArrayLike) -> Array:
    """The density at proportions x: the exponential of `logpdf`."""
    return rnp.exp(logpdf(x, alpha))
