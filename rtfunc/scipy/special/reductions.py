"""Reductions of exponentials: logsumexp, softmax, log_softmax."""

from __future__ import annotations

import math
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.numpy.arguments import constant
from rtfunc.numpy.reductions import Axis, log_of_weighted_sum
from rtfunc.ops.convert import convert, promote_inexact
from rtfunc.transforms.custom import stop_gradient


def _real(operation: str, *operands: ArrayLike) -> list[Array]:
    arrays = promote_inexact(operation, *operands)
    if dtypes.is_complex(arrays[0].dtype):
        raise DtypeError(
            at_user_line(
                f"{operation} takes real numbers, not {arrays[0].dtype}. "
                "Take the real part first, with rtfunc.numpy.real(x)."
            )
        )
    return arrays


def _finite_maximum(x: Array, axis: Axis) -> Array:
    """The maximum, or 0 where it is infinite: a shift, which is a constant to derivatives."""
    top = rnp.max(x, axis=axis, keepdims=True, initial=-math.inf)
    return stop_gradient(rnp.where(rnp.isfinite(top), top, constant(0, top)))


def logsumexp(
    a: ArrayLike,
    axis: Axis = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """log(sum(b exp(a))) over `axis`, without overflow.

    Arguments:
      axis: the axes to sum over, all by default; keepdims: whether they stay with size 1.
      b: factors that broadcast with `a`, 1 by default. A factor 0 takes part even beside an infinite
        exponential.
      return_sign: whether to return a pair, the logarithm of the absolute value and the sign.
        Without it a negative sum gives NaN.
      where: which elements take part.

    No elements, and elements that are all minus infinity, give minus infinity; no derivative flows
    to the latter. Raises `DtypeError` for complex numbers.

    >>> import numpy as np
    >>> logsumexp(np.array([1000.0, 1000.0], "float32"))
    Array(1000.6932, dtype=float32)
    """
    if b is None:
        (x,), factor = _real("logsumexp", a), None
    else:
        x, factor = rnp.broadcast_arrays(*_real("logsumexp", a, b))
        x = rnp.where(factor == 0, constant(-math.inf, x), x)
        factor = convert(factor, dtypes.compute_dtype(x.dtype))
    out, total = log_of_weighted_sum("logsumexp", x, factor, axis, keepdims, where)
    if return_sign:
        return out, convert(rnp.sign(total), x.dtype)
    return out if factor is None else rnp.where(total < 0, constant(math.nan, out), out)


def softmax(x: ArrayLike, axis: Axis = None) -> Array:
    """exp(x) / sum(exp(x)) over `axis`, which is all axes by default.

    >>> import numpy as np
    >>> softmax(np.zeros(4, "float32"))
    Array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """
    (x,) = _real("softmax", x)
    exponentials = rnp.exp(x - _finite_maximum(x, axis))
    return exponentials / rnp.sum(exponentials, axis=axis, keepdims=True)


def log_softmax(x: ArrayLike, axis: Axis = None) -> Array:
    """log(softmax(x)) over `axis`, which is all axes by default, accurate for every x.

    >>> import numpy as np
    >>> log_softmax(np.array([0.0, 100.0], "float32"))
    Array([-100.,    0.], dtype=float32)
    """
    (x,) = _real("log_softmax", x)
    shifted = x - _finite_maximum(x, axis)
    return shifted - rnp.log(rnp.sum(rnp.exp(shifted), axis=axis, keepdims=True))
