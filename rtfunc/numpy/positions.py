"""Positions as arrays: where elements are not zero, flat and multi-dimensional indices, grids.

Depends on `index_expressions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike, placed_like
from rtfunc.core.aval import as_shape
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    IndexingError,
    ShapeError,
    TracerError,
    at_user_line,
)
from rtfunc.core.trace import context
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.index_expressions import known_values
from rtfunc.ops.arithmetic import add, div, maximum, minimum, mul, rem, sub
from rtfunc.ops.comparison import ge, lt, ne
from rtfunc.ops.convert import as_array, convert, owned_array, scalar
from rtfunc.ops.cumulative import cumsum
from rtfunc.ops.gather import GatherDimensionNumbers, scatter_p
from rtfunc.ops.iota import iota
from rtfunc.ops.pad_slice import concatenate_p, filled
from rtfunc.ops.reduce import reduce_sum
from rtfunc.ops.select import select as select_where
from rtfunc.ops.shape import reshape_p


def condition_array(operation: str, condition: Any) -> Array:
    """`condition` as booleans: whether it is not zero."""
    condition = as_array(operation, condition)
    if condition.dtype == dtypes.bool_:
        return condition
    return ne(condition, scalar(0, condition.dtype))


def ravel(x: Array) -> Array:
    """`x` on one axis."""
    return x if x.ndim == 1 else reshape_p.bind(x, shape=(x.size,))


def index_array(operation: str, indices: Any) -> Array:
    """`indices` as an Array of integers; lists are accepted."""
    if isinstance(indices, (list, tuple)):
        indices = np.asarray(indices) if len(indices) else np.zeros(0, np.int32)
    indices = as_array(operation, indices)
    if not dtypes.is_integer(indices.dtype):
        raise DtypeError(at_user_line(f"{operation} takes integer indices, not {indices.dtype}."))
    return indices


def wrapped(i: Array, size: int) -> Array:
    """`i` modulo `size`, not negative."""
    if i.dtype.itemsize < 4:
        i = convert(i, dtypes.int32)
    size_ = scalar(size, i.dtype)
    i = rem(i, size_)
    return i if i.dtype in dtypes.unsigned else counted_from_start(i, size)


def counted_from_start(i: Array, size: int) -> Array:
    """`i` with the size added where it is negative."""
    if i.dtype in dtypes.unsigned:
        return i
    if i.dtype.itemsize < 4:
        i = convert(i, dtypes.int32)
    return select_where(lt(i, scalar(0, i.dtype)), add(i, scalar(size, i.dtype)), i)


def clipped(i: Array, size: int) -> Array:
    """`i` limited to the positions of an axis."""
    if i.dtype.itemsize < 4:
        i = convert(i, dtypes.int32)
    return minimum(maximum(i, scalar(0, i.dtype)), scalar(max(size - 1, 0), i.dtype))


def constrained(operation: str, i: Array, size: int, mode: str) -> Array:
    """Positions brought inside as `mode` says; "raise" checks them, which needs their values."""
    if mode == "wrap":
        return wrapped(i, size)
    if mode == "clip":
        return clipped(i, size)
    if mode != "raise":
        raise ArgumentError(
            at_user_line(f"{operation}: mode is 'raise', 'wrap' or 'clip', not {mode!r}.")
        )
    values = known_values(i)
    if values is None:
        raise TracerError(
            at_user_line(
                f"{operation} with mode='raise' checks its indices, which are traced here. "
                "Use mode='clip' or mode='wrap'."
            )
        )
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < size:
        raise IndexingError(
            at_user_line(f"{operation}: an index is out of bounds for the size {size}.")
        )
    return i


def ix_(*args: ArrayLike) -> tuple[Array, ...]:
    """Index arrays that broadcast to the grid of the one-dimensional `args`.

    >>> [a.shape for a in ix_(np.array([0, 2]), np.array([1, 3, 4]))]
    [(2, 1), (1, 3)]
    """
    grid = []
    for axis, arg in enumerate(args):
        a = owned_array("ix_", np.asarray(arg) if isinstance(arg, (list, tuple)) else arg)
        if a.ndim != 1:
            raise ShapeError(at_user_line(f"ix_ takes one-dimensional arrays, not {a.aval}."))
        if a.dtype == dtypes.bool_:
            (a,) = nonzero(a)
        elif not a.size and not dtypes.is_integer(a.dtype):
            a = convert(a, dtypes.int32)
        shape = [1] * len(args)
        shape[axis] = a.size
        grid.append(reshape_p.bind(a, shape=tuple(shape)))
    return tuple(grid)


def unravel_index(indices: Any, shape: int | Sequence[int]) -> tuple[Array, ...]:
    """The positions along each axis of `shape` of flat, row-major `indices`.

    Negative indices count from the end; those out of bounds are moved inside.

    >>> unravel_index(np.array([1, 5], "int32"), (2, 3))
    (Array([0, 1], dtype=int32), Array([1, 2], dtype=int32))
    """
    i = index_array("unravel_index", indices)
    sizes = as_shape(shape)
    i = convert(i, i.dtype)
    if i.dtype.itemsize < 4:
        i = convert(i, dtypes.int32)
    total = math.prod(sizes)
    i = clipped(counted_from_start(i, total), total)
    positions = []
    for axis, size in enumerate(sizes):
        step = math.prod(sizes[axis + 1 :])
        position = div(i, scalar(step, i.dtype)) if step > 1 else i
        positions.append(rem(position, scalar(size, i.dtype)) if axis and size else position)
    return tuple(positions)


def ravel_multi_index(
    multi_index: Sequence[ArrayLike],
    dims: Sequence[int],
    mode: str | Sequence[str] = "raise",
    order: str = "C",
) -> Array:
    """Flat indices from positions along each axis of `dims`: the opposite of `unravel_index`.

    `mode`, one or one per axis, is "raise" (which needs to know the values), "wrap" or "clip";
    `order` is "C" or "F".

    >>> ravel_multi_index((np.array([0, 1], "int32"), np.array([1, 2], "int32")), (2, 3))
    Array([1, 5], dtype=int32)
    """
    sizes = as_shape(dims)
    if len(multi_index) != len(sizes):
        raise ShapeError(
            at_user_line(
                f"ravel_multi_index: {len(multi_index)} index arrays for {len(sizes)} dimensions."
            )
        )
    if order not in ("C", "F"):
        raise ArgumentError(at_user_line(f"ravel_multi_index: order is 'C' or 'F', not {order!r}."))
    modes = (mode,) * len(sizes) if isinstance(mode, str) else tuple(mode)
    total = scalar(0, dtypes.int32)
    for axis, (position, size, m) in enumerate(zip(multi_index, sizes, modes)):
        i = index_array("ravel_multi_index", position)
        i = constrained("ravel_multi_index", i, size, m)
        if i.dtype.itemsize < 4:
            i = convert(i, dtypes.int32)
        step = math.prod(sizes[axis + 1 :] if order == "C" else sizes[:axis])
        total = add(total, mul(i, scalar(step, i.dtype)))
    return total


def nonzero(a: ArrayLike, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
    """The positions of the elements that are not zero, an index array per axis, in row-major order.

    Their number depends on the values. In traced code, which needs to know shapes, `size` fixes it:
    surplus positions are left out, and missing ones are `fill_value` (0 by default, or one per
    axis). Raises `TracerError` for traced values without `size`.

    >>> nonzero(np.array([0, 3, 0, 4]))
    (Array([1, 3], dtype=int32),)
    >>> nonzero(np.array([0, 3]), size=3, fill_value=-1)
    (Array([ 1, -1, -1], dtype=int32),)
    """
    a = as_array("nonzero", a)
    if not a.ndim:
        raise ShapeError(
            at_user_line("nonzero takes an array with axes. Use atleast_1d(x) for a scalar.")
        )
    values = known_values(a)
    if values is None and type(a) is Array and size is None:
        values = np.asarray(a)  # read from the GPU
    if values is not None and (context.trace is None or size is None):
        found = [
            p.astype(np.int32 if n < 2**31 else np.int64)
            for p, n in zip(np.nonzero(values), a.shape)
        ]
        if size is not None:
            found = [
                _resized(p, as_integer("nonzero", "size", size), fill)
                for p, fill in zip(found, _fills(fill_value, a.ndim))
            ]
        return tuple(placed_like(Array(p), a) for p in found)
    if size is None:
        raise TracerError(
            at_user_line(
                f"nonzero of a traced {a.aval}: the shape of the result would depend on its "
                "values. Pass size=..., or use where(condition, x, y)."
            )
        )
    count = as_integer("nonzero", "size", size)
    flags = ravel(condition_array("nonzero", a))
    if not count or not flags.size:
        return tuple(filled((count,), f, dtypes.int32) for f in _fills(fill_value, a.ndim))
    ordinal = sub(cumsum(convert(flags, dtypes.int32), 0), scalar(1, dtypes.int32))
    # Each flagged position goes to its ordinal number; the others out of bounds, where they drop.
    target = select_where(flags, ordinal, scalar(count, dtypes.int32))
    flat = scatter_p.bind(
        filled((count,), 0, dtypes.int32),
        reshape_p.bind(target, shape=(flags.size, 1)),
        iota(dtypes.int32, flags.size),
        kind="set",
        dimension_numbers=GatherDimensionNumbers((), (0,), (0,)),
        mode="fill",
        unique_indices=True,
        indices_are_sorted=False,
    )
    missing = ge(iota(dtypes.int32, count), reduce_sum(convert(flags, dtypes.int32)))
    return tuple(
        select_where(missing, scalar(fill, dtypes.int32), position)
        for position, fill in zip(unravel_index(flat, a.shape), _fills(fill_value, a.ndim))
    )


def _fills(fill_value: Any, ndim: int) -> list[int]:
    values = fill_value if isinstance(fill_value, (tuple, list)) else (fill_value,) * ndim
    if len(values) != ndim:
        raise ArgumentError(
            at_user_line(f"nonzero: fill_value has {len(values)} entries for {ndim} axes.")
        )
    return [0 if v is None else int(v) for v in values]


def _resized(positions: np.ndarray, size: int, fill: int) -> np.ndarray:
    out = np.full(size, fill, positions.dtype)
    count = min(size, len(positions))
    out[:count] = positions[:count]
    return out


def flatnonzero(a: ArrayLike, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The flat positions of the elements that are not zero; `size` as in `nonzero`.

    >>> flatnonzero(np.array([[0, 3], [4, 0]]))
    Array([1, 2], dtype=int32)
    """
    return nonzero(ravel(as_array("flatnonzero", a)), size=size, fill_value=fill_value)[0]


def argwhere(a: ArrayLike, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The positions of the elements that are not zero, one row for each; `size` as in `nonzero`.

    >>> argwhere(np.array([[0, 3], [4, 0]]))
    Array([[0, 1],
           [1, 0]], dtype=int32)
    """
    a = as_array("argwhere", a)
    if not a.ndim:
        found = flatnonzero(a, size=size, fill_value=fill_value)
        return filled((found.size, 0), 0, dtypes.int32)
    columns = [
        reshape_p.bind(p, shape=(p.size, 1)) for p in nonzero(a, size=size, fill_value=fill_value)
    ]
    return columns[0] if len(columns) == 1 else concatenate_p.bind(*columns, axis=1)
