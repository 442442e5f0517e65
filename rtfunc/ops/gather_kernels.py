"""Eager kernels of gather and scatter, for NumPy and CuPy.

Both address the operand as a table: the axes that indices select come first and are numbered
together by one linear row number, the axes that a window covers whole are the row's contents.
`layout` works out that view once per combination of shapes. Depends on `dtypes` only.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes


@dataclasses.dataclass(frozen=True, slots=True)
class GatherDimensionNumbers:
    """Which axes of operand, indices and output correspond, in `gather` and `scatter`.

    Indices have shape (*B, K): a vector of K start positions for each batch position in B. Each
    selects a window of the operand, with one size per axis of the operand.

    Attributes:
      offset_dims: axes of the output that run over the window; the others, in order, run over B.
      collapsed_slice_dims: axes of the operand with window size 1 that the output does not have.
      start_index_map: for each k < K the axis of the operand that it positions.
      operand_batching_dims: axes of the operand (window size 1, not in the output) that run in step
        with the axes `start_indices_batching_dims` of the indices.
      start_indices_batching_dims: see there.

    For `scatter`, updates take the place of the output.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()

    def window_axes(self, ndim: int) -> tuple[int, ...]:
        """The axes of the operand that `offset_dims` run over, in the same order."""
        dropped = self.collapsed_slice_dims + self.operand_batching_dims
        return tuple(d for d in range(ndim) if d not in dropped)


@dataclasses.dataclass(frozen=True, slots=True)
class _Term:
    """What one selecting axis of the operand adds to the row number.

    Attributes: stride: rows per step along the axis; position: column of the indices that gives the
    start, or None; last: largest start that is in bounds; steps: fixed offsets, broadcastable to
    the shape of the row numbers (batch axes, then window axes), or None.
    """

    stride: int
    position: int | None
    last: int
    steps: np.ndarray | None


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """How operand, row numbers and output correspond.

    Attributes:
      permutation: brings the operand's selecting axes to the front.
      rows: number of rows of the table; row: shape of one row.
      numbers_shape: shape of the array of row numbers, batch axes and then partial windows.
      batch_ndim: number of batch axes in it.
      terms: summands of the row numbers.
      bounds: (column of the indices, largest start in bounds) for every column.
      single: the one axis of the operand that is selected by plain indices, if it is that simple.
      order: the axes of (numbers, row) in the order of the output; None for the same order.
      single_order: the same for the result of `take` along `single`.
    """

    permutation: tuple[int, ...]
    rows: int
    row: tuple[int, ...]
    numbers_shape: tuple[int, ...]
    batch_ndim: int
    terms: tuple[_Term, ...]
    bounds: tuple[tuple[int, int], ...]
    single: int | None
    order: tuple[int, ...] | None
    single_order: tuple[int, ...] | None


def _order(have: list[Any], want: list[Any]) -> tuple[int, ...] | None:
    order = tuple(have.index(axis) for axis in want)
    return None if order == tuple(range(len(order))) else order


@functools.lru_cache(maxsize=1024)
def layout(
    operand_shape: tuple[int, ...],
    indices_shape: tuple[int, ...],
    numbers: GatherDimensionNumbers,
    slice_sizes: tuple[int, ...],
) -> Layout:
    """The `Layout` for operands of these shapes."""
    ndim, batch = len(operand_shape), indices_shape[:-1]
    window_axes = numbers.window_axes(ndim)
    whole = [d for d in window_axes if slice_sizes[d] == operand_shape[d]]
    selecting = [d for d in range(ndim) if d not in whole]
    partial = [d for d in selecting if d in window_axes]
    numbers_shape = (*batch, *(slice_sizes[d] for d in partial))

    strides = {
        d: math.prod(operand_shape[e] for e in selecting[i + 1 :]) for i, d in enumerate(selecting)
    }
    terms = []
    for d in selecting:
        position = numbers.start_index_map.index(d) if d in numbers.start_index_map else None
        steps, axis = None, None
        if d in partial:
            axis = len(batch) + partial.index(d)
        elif d in numbers.operand_batching_dims:
            axis = numbers.start_indices_batching_dims[numbers.operand_batching_dims.index(d)]
        if axis is not None:
            shape = [1] * len(numbers_shape)
            shape[axis] = numbers_shape[axis]
            steps = np.arange(numbers_shape[axis]).reshape(shape)
        if position is not None or steps is not None:
            terms.append(_Term(strides[d], position, operand_shape[d] - slice_sizes[d], steps))

    out_ndim = len(batch) + len(window_axes)
    batch_labels = iter(range(len(batch)))
    labels = [
        ("window", window_axes[numbers.offset_dims.index(a)])
        if a in numbers.offset_dims
        else ("batch", next(batch_labels))
        for a in range(out_ndim)
    ]
    batch_axes: list[Any] = [("batch", i) for i in range(len(batch))]
    indexed = batch_axes + [("window", d) for d in partial]
    whole_axes: list[Any] = [("window", d) for d in whole]
    plain = len(selecting) == 1 == len(terms) and terms[0].steps is None
    single = selecting[0] if plain and len(numbers.start_index_map) == 1 else None
    single_order = None
    if single is not None:
        before = [("window", d) for d in whole if d < single]
        after = [("window", d) for d in whole if d > single]
        single_order = _order(before + batch_axes + after, labels)
    return Layout(
        permutation=tuple(selecting + whole),
        rows=math.prod(operand_shape[d] for d in selecting),
        row=tuple(operand_shape[d] for d in whole),
        numbers_shape=numbers_shape,
        batch_ndim=len(batch),
        terms=tuple(terms),
        bounds=tuple(
            (k, operand_shape[d] - slice_sizes[d]) for k, d in enumerate(numbers.start_index_map)
        ),
        single=single,
        order=_order(indexed + whole_axes, labels),
        single_order=single_order,
    )


def _as_positions(xp: Any, indices: Any) -> Any:
    if indices.dtype == dtypes.uint64:
        indices = xp.minimum(indices, np.uint64(2**63 - 1))
    return indices.astype(np.int64, copy=False)


def _row_numbers(xp: Any, indices: Any, plan: Layout, mode: str) -> tuple[Any, Any]:
    """Row numbers (shape `plan.numbers_shape`), and which batch positions are valid (None: all)."""
    positions = _as_positions(xp, indices)
    valid = None
    if mode == "fill":
        for k, last in plan.bounds:
            column = positions[..., k]
            inside = (column >= 0) & (column <= last)
            valid = inside if valid is None else valid & inside
        if valid is not None and bool(valid.all()):
            valid = None
    total: Any = None
    for term in plan.terms:
        part: Any = None
        if term.position is not None:
            part = positions[..., term.position]
            if mode == "clip":
                part = xp.minimum(xp.maximum(part, 0), term.last)
            part = part.reshape(part.shape + (1,) * (len(plan.numbers_shape) - plan.batch_ndim))
        if term.steps is not None:
            steps = term.steps if xp is np else xp.asarray(term.steps)
            part = steps if part is None else part + steps
        if term.stride != 1:
            part = part * term.stride
        total = part if total is None else total + part
    if total is None:
        total = xp.zeros(plan.numbers_shape, np.int64)
    elif total.shape != plan.numbers_shape:
        total = xp.broadcast_to(total, plan.numbers_shape)
    return total, valid


def gather_impl(
    xp: Any,
    operand: Any,
    indices: Any,
    *,
    numbers: GatherDimensionNumbers,
    slice_sizes: tuple[int, ...],
    mode: str,
    fill: Any,
) -> Any:
    """Windows of `operand` at `indices`; `fill` is the scalar for those out of bounds."""
    plan = layout(operand.shape, indices.shape, numbers, slice_sizes)
    if plan.single is not None and mode != "fill" and xp is np and plan.rows:
        # The common case, rows of a table: NumPy clamps as it goes.
        out = operand.take(_as_positions(np, indices)[..., 0], plan.single, None, "clip")
        return out if plan.single_order is None else out.transpose(plan.single_order)
    shape = plan.numbers_shape + plan.row
    if plan.rows == 0 or math.prod(shape) == 0:
        # Nothing to read: an empty result, or one of which every element is out of bounds.
        out = xp.full(shape, fill, operand.dtype)
        return out if plan.order is None else out.transpose(plan.order)
    rows, valid = _row_numbers(xp, indices, plan, mode)
    if valid is not None:
        valid = valid.reshape(valid.shape + (1,) * (len(plan.numbers_shape) - plan.batch_ndim))
        rows = xp.where(valid, rows, 0)
    moved = operand.transpose(plan.permutation)
    split = len(plan.permutation) - len(plan.row)
    if split < 2 or moved.flags.c_contiguous:
        table = moved if split == 1 else moved.reshape((plan.rows, *plan.row))
        out = table.take(rows, 0, None, "clip") if xp is np else table[rows]
    else:
        if mode == "promise_in_bounds":
            rows = xp.minimum(xp.maximum(rows, 0), plan.rows - 1)  # a broken promise must not wrap
        out = moved[xp.unravel_index(rows, moved.shape[:split])]
    if valid is not None:
        valid = valid.reshape(valid.shape + (1,) * len(plan.row))
        out = xp.where(valid, out, xp.asarray(fill, operand.dtype))
    return out if plan.order is None else out.transpose(plan.order)


_ufuncs = {"add": "add", "mul": "multiply", "min": "minimum", "max": "maximum"}

#: Dtypes for which CuPy's ufunc.at computes what NumPy's does.
_atomic = {
    "add": ("int32", "uint32", "uint64", "float32", "float64"),
    # Those of float64 go through float32 in CuPy 14, those of floats drop NaN.
    "min": ("int32", "uint32", "uint64"),
    "max": ("int32", "uint32", "uint64"),
    "mul": (),
}

#: Row numbers and elements are expanded to at most this many element numbers at once.
_chunk = 1 << 20


def scatter_impl(
    xp: Any,
    operand: Any,
    indices: Any,
    updates: Any,
    *,
    kind: str,
    numbers: GatherDimensionNumbers,
    slice_sizes: tuple[int, ...],
    mode: str,
    unique_indices: bool,
) -> Any:
    """`operand` with the windows at `indices` combined with `updates`, in row-major order."""
    plan = layout(operand.shape, indices.shape, numbers, slice_sizes)
    if operand.size == 0 or updates.size == 0:
        return operand.copy()
    rows, valid = _row_numbers(xp, indices, plan, mode)
    accumulate = dtypes.compute_dtype(operand.dtype) if kind in ("add", "mul") else operand.dtype
    table = xp.array(operand.transpose(plan.permutation), accumulate, order="C", copy=True)
    moved_shape = table.shape
    table = table.reshape((plan.rows, -1))
    if plan.order is not None:
        updates = updates.transpose([plan.order.index(i) for i in range(len(plan.order))])
    updates = updates.reshape((rows.size, -1)).astype(accumulate, copy=False)
    if valid is not None:
        shape = valid.shape + (1,) * (len(plan.numbers_shape) - plan.batch_ndim)
        kept = xp.broadcast_to(valid.reshape(shape), plan.numbers_shape).reshape(-1)
        rows, updates = rows.reshape(-1)[kept], updates[kept]
    # One-dimensional and contiguous, so that NumPy goes through the updates in order.
    rows = xp.ascontiguousarray(rows.reshape(-1))
    if mode == "promise_in_bounds":
        rows = xp.minimum(xp.maximum(rows, 0), plan.rows - 1)  # a broken promise must not wrap
    if xp is np:
        _combine(kind, table, rows, updates, unique_indices)
    else:
        table = _combine_cupy(xp, kind, table, rows, updates, unique_indices)
    order = plan.permutation
    out = table.reshape(moved_shape).astype(operand.dtype, copy=False)
    return out.transpose([order.index(d) for d in range(len(order))])


def _combine(kind: str, table: Any, rows: Any, updates: Any, unique: bool) -> None:
    """Combine `updates` (N, M) into the rows `rows` (N,) of `table` (R, M), first to last."""
    if kind == "set":
        if table.shape[1] == 1:
            table[:, 0][rows] = updates[:, 0]
        else:
            table[rows] = updates
        return
    ufunc = getattr(np, _ufuncs[kind])
    if unique:
        table[rows] = ufunc(table[rows], updates)
        return
    width = table.shape[1]
    flat = table.reshape(-1)
    if width == 1:
        ufunc.at(flat, rows, updates.reshape(-1))
    elif width > 512:
        for row, update in zip(rows.tolist(), updates):
            ufunc(table[row], update, out=table[row])
    else:
        # ufunc.at is several times faster on single elements than on rows.
        columns, step = np.arange(width), max(1, _chunk // width)
        for begin in range(0, len(rows), step):
            part = rows[begin : begin + step, None] * width + columns
            ufunc.at(flat, part.reshape(-1), updates[begin : begin + step].reshape(-1))


def _combine_cupy(xp: Any, kind: str, table: Any, rows: Any, updates: Any, unique: bool) -> Any:
    """As `_combine`, on a GPU, where updates run concurrently; returns the table."""
    if kind == "set":
        if not unique:
            # The last update of a row wins: find out which it is, then write only that one.
            turns = xp.arange(len(rows), dtype=np.int32)
            last = xp.full(len(table), -1, np.int32)
            xp.maximum.at(last, rows, turns)
            winners = last[rows] == turns
            rows, updates = rows[winners], updates[winners]
        table[rows] = updates
    elif unique:
        table[rows] = getattr(xp, _ufuncs[kind])(table[rows], updates)
    elif table.dtype.name not in _atomic[kind]:
        # CuPy has no atomic operation for these: on the host.
        host = table.get()
        _combine(kind, host, rows.get(), updates.get(), unique)
        table = xp.asarray(host)
    else:
        getattr(xp, _ufuncs[kind]).at(table, rows, updates)
    return table
