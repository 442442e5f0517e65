"""Diagonals of arrays, taken with a reshape and a strided slice: no index arrays are made.

Depends on `ops.shape` and `ops.pad_slice`.
"""

from __future__ import annotations

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import AxisError, ShapeError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.ops.pad_slice import owned_array, slice_p
from rtfunc.ops.shape import normalize_axis, reshape_p, transpose


def diagonal(a: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of the matrices on two axes, as a new last axis.

    Arguments:
      offset: how far above the main diagonal; negative is below.
      axis1, axis2: the axes of rows and columns.

    Raises `ShapeError` for fewer than two axes and `AxisError` for bad axes.

    >>> import rtfunc.numpy as rnp
    >>> diagonal(rnp.arange(9).reshape(3, 3), 1)
    Array([1, 5], dtype=int32)
    """
    return diagonal_of("diagonal", owned_array("diagonal", a), offset, axis1, axis2)


def diagonal_of(operation: str, x: Array, offset: int, axis1: int, axis2: int) -> Array:
    """As `diagonal`, for another operation that is named in errors."""
    if x.ndim < 2:
        raise ShapeError(
            at_user_line(f"{operation} takes an array with at least two axes, not shape {x.shape}.")
        )
    row, column = (normalize_axis(operation, a, x.ndim) for a in (axis1, axis2))
    if row == column:
        raise AxisError(at_user_line(f"{operation} takes two different axes, got {row} twice."))
    offset = as_integer(operation, "the offset of a diagonal", offset)
    x = transpose(x, (*(i for i in range(x.ndim) if i not in (row, column)), row, column))
    *lead, rows, columns = x.shape
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    first = offset if offset >= 0 else -offset * columns
    x = reshape_p.bind(x, shape=(*lead, rows * columns))
    start, limit = (first, first + (length - 1) * (columns + 1) + 1) if length else (0, 0)
    return slice_p.bind(
        x,
        start=(*(0,) * len(lead), start),
        limit=(*lead, limit),
        stride=(*(1,) * len(lead), columns + 1),
    )
