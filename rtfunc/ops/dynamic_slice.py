"""Blocks at positions that are known only at run time: dynamic_slice and dynamic_update_slice.

They are each other's transpose. A batch of them at different positions is a gather or a scatter; at
one position they stay what they are, which is what loops over a buffer compile best from. Depends
on `gather` and `pad_slice`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.arithmetic import add
from rtfunc.ops.comparison import lt
from rtfunc.ops.convert import as_array, check_same_dtype, convert, owned_array, promote, scalar
from rtfunc.ops.gather import GatherDimensionNumbers, gather_p, scatter_p
from rtfunc.ops.pad_slice import (
    axis_integers,
    concatenate_p,
    filled,
    insert_entry,
    slice_p,
    static_slice,
)
from rtfunc.ops.select import select
from rtfunc.ops.shape import broadcast_in_dim_p, normalize_axis, reshape_p


def _positions(
    operation: str, shape: tuple[int, ...], starts: Any
) -> tuple[tuple[int, ...] | None, list[Array]]:
    """Starts with negative ones counted from the end: as ints if all are, and as Arrays."""
    if isinstance(starts, (Array, np.ndarray)):
        if len(starts.shape) != 1:
            raise ShapeError(
                at_user_line(f"{operation}: starts are one-dimensional or a sequence of scalars.")
            )
        starts = starts.tolist() if isinstance(starts, np.ndarray) else _elements(starts)
    starts = tuple(starts)
    if len(starts) != len(shape):
        raise ShapeError(
            at_user_line(
                f"{operation} of an array of shape {shape} takes {len(shape)} starts, "
                f"got {len(starts)}."
            )
        )
    if all(isinstance(s, (int, np.integer)) for s in starts):
        known = tuple(int(s) + n if s < 0 else int(s) for s, n in zip(starts, shape))
        return known, [scalar(min(max(s, 0), n), dtypes.int32) for s, n in zip(known, shape)]
    return None, [_position(operation, s, n) for s, n in zip(starts, shape)]


def _elements(x: Array) -> list[Array]:
    return [
        reshape_p.bind(slice_p.bind(x, start=(i,), limit=(i + 1,), stride=(1,)), shape=())
        for i in range(x.shape[0])
    ]


def _position(operation: str, start: Any, size: int) -> Array:
    start = as_array(operation, start)
    if start.shape or not dtypes.is_integer(start.dtype):
        raise DtypeError(
            at_user_line(f"{operation} takes integer scalars as starts, not {start.aval}.")
        )
    if start.weak_type or start.dtype.itemsize < 4:
        wide = dtypes.int32 if start.dtype.itemsize <= 4 else start.dtype
        start = convert(start, wide)  # so that adding the size does not overflow
    if start.dtype in dtypes.unsigned:
        return start
    return select(lt(start, scalar(0, start.dtype)), add(start, scalar(size, start.dtype)), start)


def _clamped(start: int, size: int, dim: int) -> int:
    return min(max(start, 0), dim - size)


def dynamic_slice(x: ArrayLike, starts: Any, sizes: Sequence[int]) -> Array:
    """The block of shape `sizes` of `x` that begins at `starts`.

    Starts are integer scalars, which may be traced; negative ones count from the end. The block is
    moved inside where it would reach out.

    >>> dynamic_slice(np.arange(5, dtype="int32"), (3,), (3,))
    Array([2, 3, 4], dtype=int32)
    """
    x = owned_array("dynamic_slice", x)
    sizes = axis_integers("dynamic_slice", "sizes", sizes, x.ndim)
    _check_block("dynamic_slice", x.shape, sizes)
    known, arrays = _positions("dynamic_slice", x.shape, starts)
    if known is None:
        return dynamic_slice_p.bind(x, *arrays, sizes=sizes)
    first = tuple(map(_clamped, known, sizes, x.shape))
    limit = tuple(i + n for i, n in zip(first, sizes))
    return static_slice(x, first, limit, (1,) * x.ndim)


def _check_block(operation: str, shape: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    if len(sizes) != len(shape) or any(not 0 <= k <= n for k, n in zip(sizes, shape)):
        raise ShapeError(
            at_user_line(f"{operation}: a block of shape {sizes} does not fit in shape {shape}.")
        )


def _check_starts(operation: str, x: Aval, starts: Sequence[Aval]) -> None:
    if len(starts) != x.ndim or any(s.shape or not dtypes.is_integer(s.dtype) for s in starts):
        raise ShapeError(
            at_user_line(
                f"{operation} of {x} takes {x.ndim} integer scalars as starts, "
                f"got ({', '.join(map(str, starts))})."
            )
        )


def _dynamic_slice_infer(x: Aval, *starts: Aval, sizes: tuple[int, ...]) -> Aval:
    _check_starts("dynamic_slice", x, starts)
    _check_block("dynamic_slice", x.shape, sizes)
    return Aval(sizes, x.dtype, x.weak_type)


def _block(shape: tuple[int, ...], starts: Any, sizes: tuple[int, ...]) -> tuple[slice, ...]:
    first = [_clamped(int(s), k, n) for s, k, n in zip(starts, sizes, shape)]
    return tuple(slice(i, i + k) for i, k in zip(first, sizes))


def _dynamic_slice_impl(xp: Any, x: Any, *starts: Any, sizes: tuple[int, ...]) -> Any:
    _check_block("dynamic_slice", x.shape, sizes)
    return x[_block(x.shape, starts, sizes)]


def _dynamic_slice_jvp(primitive: Any, primals: Any, tangents: Any, *, sizes: Any) -> Any:
    out = primitive.bind(*primals, sizes=sizes)
    return out, primitive.bind(tangents[0], *primals[1:], sizes=sizes)


def _dynamic_slice_vjp(primitive: Any, needed: Any, operands: Any, *, sizes: Any) -> Any:
    x, *starts = operands

    def pullback(ct: Any) -> list[Any]:
        zeros = filled(x.shape, 0, ct.dtype)
        return [dynamic_update_slice_p.bind(zeros, ct, *starts), *(None for _ in starts)]

    return primitive.bind(*operands, sizes=sizes), pullback


def _as_indices(
    batch: Any, starts: Any, start_axes: Any, moving: Sequence[int]
) -> tuple[Any, GatherDimensionNumbers]:
    """Starts of the axes `moving`, of which some are batched, as indices of a gather or scatter."""
    wide = np.result_type(*(starts[d].dtype for d in moving)) if moving else dtypes.int32
    columns = []
    for d in moving:
        column = convert(starts[d], wide if dtypes.is_integer(wide) else dtypes.int64)
        shape = (batch.size, 1)
        axes = () if start_axes[d] is None else (0,)
        columns.append(broadcast_in_dim_p.bind(column, shape=shape, axes=axes))
    if not columns:
        indices = filled((batch.size, 0), 0, dtypes.int32)
    else:
        indices = columns[0] if len(columns) == 1 else concatenate_p.bind(*columns, axis=1)
    ndim = len(starts)
    return indices, GatherDimensionNumbers(tuple(range(ndim)), (), tuple(moving))


def _dynamic_slice_batch(
    primitive: Any, batch: Any, operands: Any, batch_axes: Any, *, sizes: tuple[int, ...]
) -> Any:
    (x, *starts), (d, *start_axes) = operands, batch_axes
    if all(a is None for a in start_axes):
        zero = scalar(0, dtypes.int32)
        moved = (*starts[:d], zero, *starts[d:])
        return primitive.bind(x, *moved, sizes=insert_entry(sizes, d, batch.size)), d
    shape = x.shape if d is None else x.shape[:d] + x.shape[d + 1 :]
    moving = [a for a in range(len(shape)) if sizes[a] != shape[a]]
    indices, numbers = _as_indices(batch, starts, start_axes, moving)
    return gather_p.batch(
        gather_p,
        batch,
        (x, indices),
        (d, 0),
        dimension_numbers=numbers,
        slice_sizes=sizes,
        mode="clip",
        fill_value=None,
        unique_indices=True,
        indices_are_sorted=True,
    )


dynamic_slice_p = Primitive(
    "dynamic_slice",
    infer=_dynamic_slice_infer,
    impl=_dynamic_slice_impl,
    jvp=_dynamic_slice_jvp,
    vjp=_dynamic_slice_vjp,
    batch=_dynamic_slice_batch,
    weak="explicit",
)


# dynamic_update_slice


def dynamic_update_slice(x: ArrayLike, update: ArrayLike, starts: Any) -> Array:
    """`x` with the block that begins at `starts` replaced by `update`.

    Starts are treated as in `dynamic_slice`: the block is moved inside where it would reach out.

    >>> dynamic_update_slice(np.zeros(4, "int32"), np.ones(2, "int32"), (1,))
    Array([0, 1, 1, 0], dtype=int32)
    """
    x, update = owned_array("dynamic_update_slice", x), owned_array("dynamic_update_slice", update)
    if update.weak_type or x.weak_type:
        x, update = promote("dynamic_update_slice", x, update)
    _, arrays = _positions("dynamic_update_slice", x.shape, starts)
    return dynamic_update_slice_p.bind(x, update, *arrays)


def _update_infer(x: Aval, update: Aval, *starts: Aval) -> Aval:
    dtype = check_same_dtype("dynamic_update_slice", (x, update))
    _check_starts("dynamic_update_slice", x, starts)
    _check_block("dynamic_update_slice", x.shape, update.shape)
    return Aval(x.shape, dtype, x.weak_type and update.weak_type)


def _update_impl(xp: Any, x: Any, update: Any, *starts: Any) -> Any:
    _check_block("dynamic_update_slice", x.shape, update.shape)
    if update.shape == x.shape:
        return update
    out = x.copy()
    out[_block(x.shape, starts, update.shape)] = update
    return out


def _update_jvp(primitive: Any, primals: Any, tangents: Any) -> Any:
    x, update, *starts = primals
    tx, tu = (
        filled(p.shape, 0, p.dtype) if t is None else t for p, t in zip((x, update), tangents)
    )
    return primitive.bind(*primals), primitive.bind(tx, tu, *starts)


def _update_vjp(primitive: Any, needed: Any, operands: Any) -> Any:
    _, update, *starts = operands

    def pullback(ct: Any) -> list[Any]:
        zeros = filled(update.shape, 0, ct.dtype)
        return [
            primitive.bind(ct, zeros, *starts) if needed[0] else None,
            dynamic_slice_p.bind(ct, *starts, sizes=update.shape) if needed[1] else None,
            *(None for _ in starts),
        ]

    return primitive.bind(*operands), pullback


def _update_batch(primitive: Any, batch: Any, operands: Any, batch_axes: Any) -> Any:
    (x, update, *starts), (d, update_axis, *start_axes) = operands, batch_axes
    if all(a is None for a in start_axes):
        x, update = at_front(x, d, batch.size), at_front(update, update_axis, batch.size)
        return primitive.bind(x, update, scalar(0, dtypes.int32), *starts), 0
    sizes = update.shape
    if update_axis is not None:
        sizes = sizes[:update_axis] + sizes[update_axis + 1 :]
    shape = x.shape if d is None else x.shape[:d] + x.shape[d + 1 :]
    moving = [a for a in range(len(shape)) if sizes[a] != shape[a]]
    indices, numbers = _as_indices(batch, starts, start_axes, moving)
    return scatter_p.batch(
        scatter_p,
        batch,
        (x, indices, update),
        (d, 0, update_axis),
        kind="set",
        dimension_numbers=numbers,
        mode="clip",
        unique_indices=True,
        indices_are_sorted=True,
    )


dynamic_update_slice_p = Primitive(
    "dynamic_update_slice",
    infer=_update_infer,
    impl=_update_impl,
    jvp=_update_jvp,
    vjp=_update_vjp,
    batch=_update_batch,
    weak="explicit",
)


def _along(shape: tuple[int, ...], axis: int, start: Any, size: int) -> tuple[list[Any], list[int]]:
    starts: list[Any] = [0] * len(shape)
    starts[axis] = start
    return starts, [size if i == axis else n for i, n in enumerate(shape)]


def dynamic_slice_in_dim(x: ArrayLike, start: ArrayLike, size: int, axis: int = 0) -> Array:
    """`size` elements of `x` along `axis`, beginning at `start`; as `dynamic_slice`.

    >>> dynamic_slice_in_dim(np.arange(5, dtype="int32"), 1, 2)
    Array([1, 2], dtype=int32)
    """
    x = owned_array("dynamic_slice_in_dim", x)
    axis = normalize_axis("dynamic_slice_in_dim", axis, x.ndim)
    return dynamic_slice(x, *_along(x.shape, axis, start, operator.index(size)))


def dynamic_index_in_dim(
    x: ArrayLike, index: ArrayLike, axis: int = 0, keepdims: bool = True
) -> Array:
    """The element of `x` at `index` along `axis`, which stays, with size 1, if `keepdims`.

    >>> dynamic_index_in_dim(np.arange(5, dtype="int32"), 3, keepdims=False)
    Array(3, dtype=int32)
    """
    x = owned_array("dynamic_index_in_dim", x)
    axis = normalize_axis("dynamic_index_in_dim", axis, x.ndim)
    out = dynamic_slice_in_dim(x, index, 1, axis)
    return out if keepdims else reshape_p.bind(out, shape=x.shape[:axis] + x.shape[axis + 1 :])


def dynamic_update_slice_in_dim(
    x: ArrayLike, update: ArrayLike, start: ArrayLike, axis: int
) -> Array:
    """`x` with `update` in place of the elements from `start` along `axis`.

    >>> dynamic_update_slice_in_dim(np.zeros(3, "int32"), np.ones(1, "int32"), 2, 0)
    Array([0, 0, 1], dtype=int32)
    """
    x = owned_array("dynamic_update_slice_in_dim", x)
    axis = normalize_axis("dynamic_update_slice_in_dim", axis, x.ndim)
    starts, _ = _along(x.shape, axis, start, 0)
    return dynamic_update_slice(x, update, starts)


def dynamic_update_index_in_dim(
    x: ArrayLike, update: ArrayLike, index: ArrayLike, axis: int
) -> Array:
    """`x` with `update`, which may lack the axis, in place of the element at `index` along `axis`.

    >>> dynamic_update_index_in_dim(np.zeros(3, "int32"), 7, 1, 0)
    Array([0, 7, 0], dtype=int32)
    """
    x = owned_array("dynamic_update_index_in_dim", x)
    if isinstance(update, (float, complex)):
        update = promote("dynamic_update_index_in_dim", x, update)[1]
    update = owned_array("dynamic_update_index_in_dim", update)
    axis = normalize_axis("dynamic_update_index_in_dim", axis, x.ndim)
    if update.ndim != x.ndim:
        if update.ndim + 1 != x.ndim:
            raise ShapeError(
                at_user_line(
                    f"dynamic_update_index_in_dim: an update of shape {update.shape} "
                    f"does not fit an array of shape {x.shape}."
                )
            )
        update = reshape_p.bind(update, shape=insert_entry(update.shape, axis, 1))
    return dynamic_update_slice_in_dim(x, update, index, axis)
