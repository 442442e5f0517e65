"""Norms of vectors and matrices, and condition numbers. Depends on `decompositions`, `solving`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.linalg.decompositions import svdvals
from rtfunc.numpy.linalg.solving import inv
from rtfunc.numpy.logic import isnan
from rtfunc.numpy.reductions import max as amax
from rtfunc.numpy.reductions import min as amin
from rtfunc.numpy.reductions import sum as sum_
from rtfunc.ops.arithmetic import div, mul, sqrt
from rtfunc.ops.comparison import bitwise_and, bitwise_not, eq, ne
from rtfunc.ops.complex import abs_
from rtfunc.ops.convert import convert, promote_inexact, scalar
from rtfunc.ops.exponential import power
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.reduce import reduce_or_p
from rtfunc.ops.select import select
from rtfunc.ops.shape import expand_dims, normalize_axes, reshape_p, transpose

#: What `ord` is: a number or the name of a norm.
Order = Any
Axis = int | Sequence[int] | None


def _wrong_order(operation: str, order: Order, of: str) -> ArgumentError:
    return ArgumentError(at_user_line(f"{operation}: {order!r} is not an order of a norm of {of}."))


def _root(x: Array) -> Array:
    """The square root, with derivative 0 at 0."""
    zero = eq(x, scalar(0, x.dtype))
    return select(zero, scalar(0, x.dtype), sqrt(select(zero, scalar(1, x.dtype), x)))


def _vector_norm(
    operation: str, x: Array, axes: tuple[int, ...], keep: bool, order: Order
) -> Array:
    if order is None or order == 2:
        return _root(sum_(mx.absolute_squares(x), axes, keepdims=keep))
    if isinstance(order, str):
        raise _wrong_order(operation, order, "vectors")
    if order == math.inf:
        return amax(abs_(x), axes, keepdims=keep)
    if order == -math.inf:
        return amin(abs_(x), axes, keepdims=keep)
    real_dtype = dtypes.real_of(x.dtype)
    if order == 0:
        return sum_(convert(ne(x, scalar(0, x.dtype)), real_dtype), axes, keepdims=keep)
    if order == 1:
        return sum_(abs_(x), axes, keepdims=keep)
    try:
        exponent = float(order)
    except (TypeError, ValueError):
        raise _wrong_order(operation, order, "vectors") from None
    powers = power(abs_(x), scalar(exponent, real_dtype))
    return power(sum_(powers, axes, keepdims=keep), scalar(1 / exponent, real_dtype))


def _matrix_norm(
    operation: str, x: Array, axes: tuple[int, ...], keep: bool, order: Order
) -> Array:
    row, column = axes
    if order in (None, "fro", "f"):
        return _root(sum_(mx.absolute_squares(x), axes, keepdims=keep))
    if order in (1, -1, math.inf, -math.inf):
        summed, searched = (row, column) if order in (1, -1) else (column, row)
        sums = sum_(abs_(x), summed, keepdims=True)
        out = (amax if order > 0 else amin)(sums, searched, keepdims=True)
        return out if keep else _without(out, axes)
    if order not in (2, -2, "nuc"):
        raise _wrong_order(operation, order, "matrices")
    rest = [i for i in range(x.ndim) if i not in axes]
    values = svdvals(transpose(x, (*rest, row, column)))
    if order == "nuc":
        out = sum_(values, -1)
    else:
        out = (amax if order == 2 else amin)(values, -1)
    return expand_dims(out, sorted(axes)) if keep else out


def _without(x: Array, axes: Sequence[int]) -> Array:
    return reshape_p.bind(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


def norm(x: ArrayLike, /, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> Array:
    """A norm of vectors or matrices, chosen by `axis`.

    Arguments:
      x: an array.
      ord: of vectors: a number p for sum(|x|^p)^(1/p), also inf (the largest), -inf (the smallest
        absolute value) or 0 (how many are not 0). Of matrices: "fro" (Frobenius), "nuc" (the sum of
        the singular values), 2 and -2 (the largest and the smallest singular value), 1 and -1 (the
        largest and the smallest sum of a column of absolute values), inf and -inf (of a row). None
        is the root of the sum of squares.
      axis: one axis for vectors, two for matrices. None: x itself is a vector or a matrix, or all its
        elements are taken when `ord` is None.
      keepdims: keep the reduced axes with size 1.

    The derivative of the root of a sum of squares is 0 where all elements are 0 (JAX's is NaN).
    Raises `ArgumentError` for an order that does not fit, `ShapeError` for a wrong number of axes.

    >>> import rtfunc.numpy as rnp
    >>> norm(rnp.array([[3.0, 4.0], [0.0, 5.0]]), axis=1)
    Array([5., 5.], dtype=float32)
    """
    (a,) = promote_inexact("norm", x)
    if axis is None:
        if ord is None:
            return _vector_norm("norm", a, tuple(range(a.ndim)), keepdims, 2)
        axes = tuple(range(a.ndim))
    else:
        axes = normalize_axes("norm", axis, a.ndim)
    if len(axes) == 1:
        return _vector_norm("norm", a, axes, keepdims, ord)
    if len(axes) == 2:
        return _matrix_norm("norm", a, axes, keepdims, ord)
    raise ShapeError(
        at_user_line(
            f"norm takes one axis (of vectors) or two (of matrices), but got {len(axes)} for shape "
            f"{a.shape}. Say which with axis=."
        )
    )


def vector_norm(
    x: ArrayLike, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2
) -> Array:
    """The norm of vectors that lie along `axis`: one axis, several, or None for all elements.

    Arguments as of `norm`. Integers become float32.

    >>> import rtfunc.numpy as rnp
    >>> vector_norm(rnp.array([[1.0, -2.0], [3.0, 4.0]]), ord=1)
    Array(10., dtype=float32)
    """
    (a,) = promote_inexact("vector_norm", x)
    return _vector_norm(
        "vector_norm", a, normalize_axes("vector_norm", axis, a.ndim), keepdims, ord
    )


def matrix_norm(x: ArrayLike, /, *, keepdims: bool = False, ord: Order = "fro") -> Array:
    """The norm of the matrices [..., m, n] on the last two axes; `ord` as of `norm`.

    >>> import rtfunc.numpy as rnp
    >>> matrix_norm(rnp.array([[3.0, 0.0], [0.0, 4.0]]), ord="nuc")
    Array(7., dtype=float32)
    """
    (a,) = promote_inexact("matrix_norm", x)
    if a.ndim < 2:
        raise ShapeError(
            at_user_line(f"matrix_norm takes an array with at least two axes, not shape {a.shape}.")
        )
    return _matrix_norm("matrix_norm", a, (a.ndim - 2, a.ndim - 1), keepdims, ord)


def cond(x: ArrayLike, p: Order = None) -> Array:
    """The condition number norm(x, p) norm(x^-1, p) of matrices [..., m, n].

    Arguments: p: an order of matrix norms; None and 2 take the ratio of the largest to the smallest
    singular value, -2 its inverse, and only these take matrices that are not square.

    Infinite for singular matrices. Raises `ShapeError` for empty ones.

    >>> import rtfunc.numpy as rnp
    >>> cond(rnp.array([[1.0, 0.0], [0.0, 4.0]]))
    Array(4., dtype=float32)
    """
    (a,) = promote_inexact("cond", x)
    if a.ndim < 2 or not min(a.shape[-2:]):
        raise ShapeError(
            at_user_line(f"cond takes matrices that are not empty, but got shape {a.shape}.")
        )
    if p in (None, 2, -2):
        values = svdvals(a)
        largest, smallest = amax(values, -1), amin(values, -1)
        out = div(smallest, largest) if p == -2 else div(largest, smallest)
    else:
        out = mul(matrix_norm(a, ord=p), matrix_norm(inv(a), ord=p))
    # A singular matrix gives NaN where infinity is multiplied with 0.
    from_operand = reduce_or_p.bind(isnan(a), axes=(a.ndim - 2, a.ndim - 1))
    singular = bitwise_and(isnan(out), bitwise_not(from_operand))
    return select(singular, scalar(math.inf, out.dtype), out)
