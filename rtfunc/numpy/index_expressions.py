"""What stands between the brackets of `x[...]`: reading NumPy's index expressions.

`parse` turns an index into an `Indexing`: a static part (a slice of every axis, reversals, axes
that integers drop) and a part at positions held in arrays (one gather). `read` applies it;
`x.at[...]` applies the same description backward (`index_update`). Depends on `ops.gather`,
`ops.pad_slice` and `ops.dynamic_slice`.

Rules of placement: https://numpy.org/doc/stable/user/basics.indexing.html
"""

from __future__ import annotations

import dataclasses
import math
import operator
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.device import device_of, move_buffer
from rtfunc.core.errors import IndexingError, TracerError, at_user_line
from rtfunc.core.trace import Tracer, context
from rtfunc.ops.arithmetic import add
from rtfunc.ops.comparison import lt
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.dynamic_slice import dynamic_slice_p
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.gather import GatherDimensionNumbers, filling_value, gather_mode, gather_p
from rtfunc.ops.pad_slice import concatenate_p, static_slice
from rtfunc.ops.select import select
from rtfunc.ops.shape import reshape_p, rev_p


@dataclasses.dataclass(slots=True)
class Indexing:
    """An index expression, worked out for an operand's shape. In order of application:

    Attributes:
      start, limit, stride: the slice of each axis; stride is positive.
      reversed_axes: axes that are reversed after slicing.
      box: the shape after that.
      kept: the shape without the axes that integers dropped.
      columns: (axis of `kept`, positions along it) for what is indexed by arrays and traced
        scalars; negative positions have been made to count from the start.
      batch: common shape of the index arrays.
      batch_position: where these axes stand in the result.
      gathered: the shape after gathering.
      shape: the result's shape, `gathered` with the new axes (None) put in.
      in_bounds: whether all positions are known to be inside.
      known: the positions as NumPy arrays where all are known, else None.
    """

    start: tuple[int, ...]
    limit: tuple[int, ...]
    stride: tuple[int, ...]
    reversed_axes: tuple[int, ...]
    box: tuple[int, ...]
    kept: tuple[int, ...]
    columns: list[tuple[int, Any]]
    batch: tuple[int, ...]
    batch_position: int
    gathered: tuple[int, ...]
    shape: tuple[int, ...]
    in_bounds: bool
    known: list[np.ndarray] | None
    has_arrays: bool

    @property
    def numbers(self) -> GatherDimensionNumbers:
        """The dimension numbers of the gather."""
        axes = tuple(axis for axis, _ in self.columns)
        first, count = self.batch_position, len(self.batch)
        batch_axes = range(first, first + count)
        offsets = tuple(a for a in range(len(self.gathered)) if a not in batch_axes)
        return GatherDimensionNumbers(offsets, tuple(sorted(axes)), axes)

    def indices(self) -> Any:
        """The columns side by side on a last axis, as gather takes them."""
        if self.known is not None and len(self.known) == 1 and self.known[0].shape == self.batch:
            # A copy, since a trace may keep what is the caller's array.
            return Array(self.known[0].reshape((*self.batch, 1)).copy())
        if self.known is not None:
            wide = [np.broadcast_to(k, self.batch) for k in self.known]
            return Array(
                np.stack(wide, axis=-1) if wide else np.zeros((*self.batch, 0), dtypes.int32)
            )
        arrays = [c for _, c in self.columns]
        large = any(c.dtype.itemsize == 8 or c.dtype == dtypes.uint32 for c in arrays)
        dtype = dtypes.int64 if large and len(arrays) > 1 else arrays[0].dtype
        columns = []
        for c in arrays:
            c = broadcast_to(convert(c, dtype), self.batch)
            columns.append(reshape_p.bind(c, shape=(*self.batch, 1)))
        return (
            columns[0]
            if len(columns) == 1
            else concatenate_p.bind(*columns, axis=-1 + columns[0].ndim)
        )

    def is_unique(self) -> bool:
        """Whether no element is selected twice, as far as is known."""
        if not self.batch:
            return True
        if self.known is None or not self.in_bounds:
            return False
        sizes = [self.kept[axis] for axis, _ in self.columns]
        if not sizes:
            return math.prod(self.batch) <= 1
        wide = [np.broadcast_to(k, self.batch).ravel() for k in self.known]
        numbers = np.ravel_multi_index(wide, sizes)
        return len(np.unique(numbers)) == len(numbers)


# Parsing


def _error(shape: tuple[int, ...], problem: str) -> IndexingError:
    return IndexingError(at_user_line(f"Indexing an array of shape {shape}: {problem}"))


def known_values(value: Any) -> np.ndarray | None:
    """The NumPy array behind a concrete Array or ndarray on the CPU."""
    if type(value) is Array:
        value = value._buffer
    return value if type(value) is np.ndarray else None


def _entry(shape: tuple[int, ...], item: Any) -> Any:
    """One item of an index as None, Ellipsis, slice, int, bool, ndarray or Array."""
    if item is None or item is Ellipsis or type(item) in (int, slice, bool):
        return item
    if isinstance(item, np.bool_):
        return bool(item)
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, (list, tuple)):
        if any(isinstance(part, Tracer) for part in item):
            raise _error(
                shape,
                "a list with traced values is not an index. "
                "Join them first, with rtfunc.numpy.stack(...).",
            )
        found = np.asarray(item)
        item = found.astype(np.int64) if found.size == 0 else found
    known = known_values(item)
    value: Any = item if known is None else known
    dtype = getattr(value, "dtype", None)
    if dtype is None or not (dtype == np.bool_ or dtypes.is_integer(dtype)):
        if dtype is None and hasattr(item, "__index__"):
            return operator.index(item)
        what = f"{dtype} array" if dtype is not None else type(item).__name__
        raise _error(
            shape,
            f"an index is made of integers, slices, None, ..., and integer or boolean arrays, "
            f"not of a {what}.",
        )
    if known is None and type(item).__module__.startswith("cupy"):
        return Array(item)
    if isinstance(value, Tracer) and dtype == np.bool_:
        raise TracerError(
            at_user_line(
                f"Indexing an array of shape {shape} with a traced boolean mask: the shape of the "
                "result would depend on its values. Use rtfunc.numpy.where(mask, x, other), "
                "x.at[mask].set(value), or rtfunc.numpy.nonzero(mask, size=...) for a fixed count."
            )
        )
    if known is None and dtype == np.bool_:
        value = value._concrete("index")  # a mask on a GPU
    if known is not None and not known.shape:
        return bool(known) if dtype == np.bool_ else known
    return value


def _consumed(entry: Any) -> int:
    if entry is None or entry is Ellipsis or type(entry) is bool:
        return 0
    if type(entry) is np.ndarray and entry.dtype == np.bool_:
        return entry.ndim
    return 1


def _slice_of(shape: tuple[int, ...], entry: slice, size: int) -> tuple[int, int, int]:
    if any(isinstance(part, Tracer) for part in (entry.start, entry.stop, entry.step)):
        raise TracerError(
            at_user_line(
                f"Indexing an array of shape {shape}: the bounds of a slice are traced, but the "
                "shape of the result must be known. Use rtfunc.lax.dynamic_slice_in_dim(x, start, "
                "size) for a slice of fixed size."
            )
        )
    try:
        return entry.indices(size)
    except (TypeError, ValueError) as error:
        raise _error(shape, f"{entry} is not a slice of integers ({error}).") from None


def _in_bounds(known: np.ndarray, size: int, wrap: bool) -> tuple[bool, bool]:
    """Whether all are inside; and whether some are negative, to be counted from the end."""
    if not known.size:
        return True, False
    low = int(known.min())
    return (-size if wrap else 0) <= low and int(known.max()) < size, low < 0 and wrap


def _normalized(index: Any, size: int, wrap: bool) -> tuple[Any, bool]:
    """`index` with the size added where it is negative; whether it is known to be in bounds."""
    known = known_values(index)
    if known is not None:
        inside, negative = _in_bounds(known, size, wrap)
        if known.dtype.itemsize < 4:
            known = known.astype(np.int32)
        if negative:
            known = np.where(known < 0, known + size, known)
        return known, inside
    if index.dtype in dtypes.unsigned:
        return index, False
    if index.dtype.itemsize < 4 or index.weak_type:
        index = convert(index, dtypes.int64 if index.dtype.itemsize == 8 else dtypes.int32)
    if not wrap:
        return index, False
    zero = scalar(0, index.dtype)
    return select(lt(index, zero), add(index, scalar(size, index.dtype)), index), False


def parse(shape: tuple[int, ...], index: Any, wrap: bool = True) -> Indexing:
    """The `Indexing` that `index` means for an array of `shape`.

    With `wrap`, negative positions count from the end; without, they are out of bounds.

    Raises `IndexingError` for a malformed index and for integers out of bounds, and `TracerError`
    for traced masks and slice bounds.
    """
    items = index if type(index) is tuple else (index,)
    entries: list[Any] = [_entry(shape, item) for item in items]
    consumed = sum(map(_consumed, entries))
    ellipses = sum(e is Ellipsis for e in entries)
    if ellipses > 1:
        raise _error(shape, "an index has at most one ellipsis (...).")
    if consumed > len(shape):
        raise _error(
            shape,
            f"{consumed} indices for {len(shape)} {'axis' if len(shape) == 1 else 'axes'}.",
        )
    if not ellipses:
        entries.append(Ellipsis)

    start, limit, stride = [0] * len(shape), list(shape), [1] * len(shape)
    reversed_axes: list[int] = []
    dropped: list[int] = []
    columns: list[tuple[int, Any]] = []  # by axis of the operand
    batch_shapes: list[tuple[int, ...]] = []
    in_bounds, has_arrays = True, False
    # The result's axes in order: a size, None for a new axis, "batch" where an array index stands.
    layout: list[Any] = []
    axis = 0
    for entry in entries:
        if entry is None:
            layout.append(None)
            continue
        if type(entry) is bool:
            has_arrays = True
            batch_shapes.append((int(entry),))
            layout.append("batch")
            continue
        if entry is Ellipsis:
            rest = len(shape) - consumed
            layout.extend(shape[axis : axis + rest])
            if not rest and ellipses:
                layout.append("nothing")  # an empty ellipsis separates, too
            axis += rest
            continue
        size = shape[axis]
        if type(entry) is slice:
            first, last, step = _slice_of(shape, entry, size)
            count = len(range(first, last, step))
            if step < 0:
                reversed_axes.append(axis)
                first, step = first + (count - 1) * step, -step
            if count:
                start[axis], limit[axis] = first, first + (count - 1) * step + 1
                stride[axis] = step if count > 1 else 1
            else:
                start[axis] = limit[axis] = 0
            layout.append(count)
            axis += 1
            continue
        layout.append("batch")
        if type(entry) is int or (type(entry) is np.ndarray and not entry.ndim):
            number = int(entry)
            if (-size if wrap else 0) <= number < size:
                number += size if number < 0 else 0
                start[axis], limit[axis] = number, number + 1
                dropped.append(axis)
                axis += 1
                continue
            if type(entry) is int and not (number < 0 and not wrap):
                raise _error(
                    shape, f"index {number} is out of bounds for axis {axis} with size {size}."
                )
        if type(entry) is np.ndarray and entry.dtype == np.bool_:
            covered = shape[axis : axis + entry.ndim]
            if entry.shape != covered:
                raise _error(
                    shape,
                    f"a boolean mask of shape {entry.shape} does not fit axes of sizes {covered}.",
                )
            positions: tuple[Any, ...] = np.nonzero(entry)
        else:
            positions = (np.asarray(entry) if type(entry) is int else entry,)
        for position in positions:
            if position.ndim:
                has_arrays = True
            batch_shapes.append(position.shape)
            normalized, inside = _normalized(position, shape[axis], wrap)
            in_bounds = in_bounds and inside
            columns.append((axis, normalized))
            axis += 1

    try:
        batch = batch_shapes[0] if len(batch_shapes) == 1 else np.broadcast_shapes(*batch_shapes)
    except ValueError:
        raise _error(
            shape,
            "index arrays do not broadcast together: shapes "
            f"{', '.join(str(s) for s in batch_shapes)}.",
        ) from None
    axes, batch_position = _place(layout, batch)
    gathered = tuple(n for n in axes if n is not None)
    box = tuple(len(range(i, j, s)) for i, j, s in zip(start, limit, stride))
    remaining = [a for a in range(len(shape)) if a not in dropped]
    known = None
    if all(type(c) is np.ndarray for _, c in columns):
        known = [c for _, c in columns]
    return Indexing(
        start=tuple(start),
        limit=tuple(limit),
        stride=tuple(stride),
        reversed_axes=tuple(reversed_axes),
        box=box,
        kept=tuple(box[a] for a in remaining),
        columns=[
            (remaining.index(a), Array(c) if type(c) is np.ndarray else c) for a, c in columns
        ],
        batch=batch,
        batch_position=batch_position,
        gathered=gathered,
        shape=tuple(1 if n is None else n for n in axes),
        in_bounds=in_bounds,
        known=known,
        has_arrays=has_arrays,
    )


def _place(layout: list[Any], batch: tuple[int, ...]) -> tuple[list[Any], int]:
    """The result's axes with the batch put in, and its position if new axes are not counted.

    It stands where the array indices are if they are next to each other (integers count among
    them), otherwise in front.
    """
    places = [i for i, entry in enumerate(layout) if entry == "batch"]
    sizes = [n for n in layout if n not in ("batch", "nothing")]
    if not places:
        return sizes, 0
    adjacent = places[-1] - places[0] == len(places) - 1
    before = [n for n in layout[: places[0]] if n != "nothing"] if adjacent else []
    position = sum(n is not None for n in before)
    return [*before, *batch, *sizes[len(before) :]], position


# Reading


def placed_with(x: Any, array: Any) -> Any:
    """A concrete index array on the device where the concrete `x` lies."""
    if type(x) is Array and type(array) is Array and type(x._buffer) is not np.ndarray:
        return Array(move_buffer(array._buffer, device_of(x._buffer)))
    return array


def gather_params(plan: Indexing, mode: str, unique: bool, are_sorted: bool) -> dict[str, Any]:
    """What gather and scatter for `plan` have in common."""
    mode = gather_mode("Indexing", mode)
    return {
        "dimension_numbers": plan.numbers,
        # What is known to be in bounds needs no checks in compiled code.
        "mode": "promise_in_bounds" if plan.in_bounds else mode,
        "unique_indices": not plan.batch or (unique and (plan.in_bounds or mode != "clip")),
        "indices_are_sorted": are_sorted or not plan.batch,
    }


def cut_box(x: Any, plan: Indexing) -> Any:
    """The static part: slices, reversals, and integers' axes dropped."""
    x = static_slice(x, plan.start, plan.limit, plan.stride)
    if plan.reversed_axes:
        x = rev_p.bind(x, axes=plan.reversed_axes)
    return x if x.shape == plan.kept else reshape_p.bind(x, shape=plan.kept)


def read(
    x: Any,
    plan: Indexing,
    mode: str | None = None,
    fill_value: Any = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
) -> Array:
    """The elements of `x` that `plan` selects; `mode` None reads the nearest out of bounds."""
    if mode is None:
        mode = "clip" if fill_value is None else "fill"
    x = cut_box(x, plan)
    if plan.columns and not plan.has_arrays and (plan.in_bounds or mode != "fill"):
        # Scalars whose values are not known: the compiler makes more of a slice than of a gather.
        starts = dict(plan.columns)
        sizes = tuple(1 if a in starts else n for a, n in enumerate(x.shape))
        if 0 in (x.shape[a] for a in starts):
            raise _error(x.shape, "an axis of size 0 has no elements to select.")
        zero = scalar(0, dtypes.int32)
        positions = [placed_with(x, starts.get(a, zero)) for a in range(x.ndim)]
        x = dynamic_slice_p.bind(x, *positions, sizes=sizes)
    elif plan.columns or plan.has_arrays:
        starts = {axis for axis, _ in plan.columns}
        params = gather_params(plan, mode, unique_indices, indices_are_sorted)
        x = gather_p.bind(
            x,
            placed_with(x, plan.indices()),
            slice_sizes=tuple(1 if a in starts else n for a, n in enumerate(x.shape)),
            fill_value=filling_value(x.dtype, params["mode"], fill_value),
            **params,
        )
    return x if x.shape == plan.shape else reshape_p.bind(x, shape=plan.shape)


# What NumPy takes for basic indexing, which makes a view.
basic_types = frozenset({int, slice, type(None), type(Ellipsis), np.int64, np.int32})


def index(x: Array, idx: Any) -> Array:
    """`x[idx]`, with every form of NumPy's indexing.

    Integers are checked. Positions in arrays that are out of bounds, which compiled code cannot
    report, read the nearest element; `x.at[idx].get(mode="fill")` reads NaN instead. Raises
    `IndexingError` for a malformed index and integers out of bounds, `TracerError` for traced
    boolean masks and slice bounds.

    >>> x = Array(np.arange(6, dtype="int32").reshape(2, 3))
    >>> index(x, (0, slice(None, None, -1)))
    Array([2, 1, 0], dtype=int32)
    >>> index(x, (slice(None), np.array([0, 2])))
    Array([[0, 2],
           [3, 5]], dtype=int32)
    """
    if context.trace is None and type(x) is Array:
        kind = type(idx)
        try:
            if kind in basic_types or (kind is tuple and basic_types.issuperset(map(type, idx))):
                found = x._buffer[idx]
                if not isinstance(found, np.generic):
                    return Array(found, x._weak)
                return Array(np.asarray(found), x._weak)
            found = numpy_index(x, idx)
            if found is not None:
                return Array(np.asarray(x._buffer[found]), x._weak)
        except (IndexError, TypeError, ValueError):
            pass  # below is the error that a user understands, or what happens out of bounds
    return read(x, parse(x.shape, idx))


def numpy_index(x: Array, idx: Any) -> Any:
    """`idx` with NumPy arrays for concrete Arrays; None if not all is concrete and on the CPU."""
    if type(x._buffer) is not np.ndarray:
        return None
    items = []
    for item in idx if type(idx) is tuple else (idx,):
        if isinstance(item, Array):
            item = known_values(item)
            if item is None:
                return None
        items.append(item)
    return tuple(items)
