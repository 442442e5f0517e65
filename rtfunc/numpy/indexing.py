"""Functions that select elements: take, choose, where, nonzero and their relatives.

Also gives out `index` and `IndexUpdater`, which are `x[...]` and `x.at`, and the functions of
`positions`. Depends on `index_expressions` and `index_update`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import broadcast_shapes
from rtfunc.core.errors import (
    ArgumentError,
    IndexingError,
    ShapeError,
    at_user_line,
)
from rtfunc.core.trace import context
from rtfunc.numpy.arguments import as_sequence, refuse_out
from rtfunc.numpy.index_expressions import index, known_values, parse, read
from rtfunc.numpy.index_update import IndexUpdater
from rtfunc.numpy.positions import (
    argwhere,
    clipped,
    condition_array,
    constrained,
    counted_from_start,
    flatnonzero,
    index_array,
    ix_,
    nonzero,
    ravel,
    ravel_multi_index,
    unravel_index,
    wrapped,
)
from rtfunc.ops.convert import as_array, promote
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.gather import (
    GatherDimensionNumbers,
    filling_value,
    gather_mode,
    gather_p,
    scatter_p,
)
from rtfunc.ops.pad_slice import concatenate_p
from rtfunc.ops.select import select as select_where
from rtfunc.ops.shape import normalize_axis, reshape_p

__all__ = [
    "IndexUpdater",
    "argwhere",
    "choose",
    "compress",
    "extract",
    "flatnonzero",
    "index",
    "ix_",
    "nonzero",
    "put_along_axis",
    "ravel_multi_index",
    "select",
    "take",
    "take_along_axis",
    "unravel_index",
    "where",
]


# Along one axis


def take(
    a: ArrayLike,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Array:
    """The elements of `a` at `indices` along `axis` (of the flattened array by default).

    `mode` "fill", the default, counts negative indices from the end and reads NaN (the limit of
    integer dtypes, or `fill_value`) out of bounds; "clip" moves indices inside, negative ones to 0;
    "wrap" takes them modulo the size.

    >>> take(np.array([1.0, 2.0], "float32"), np.array([-1, 5]))
    Array([ 2., nan], dtype=float32)
    """
    refuse_out("take", out)
    a, i = as_array("take", a), index_array("take", indices)
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis("take", axis, a.ndim)
    if mode not in (None, "fill", "clip", "wrap"):
        raise ArgumentError(
            at_user_line(
                f"take: mode is 'fill', 'clip' or 'wrap', not {mode!r}. Compiled code cannot raise "
                "for an index that is out of bounds."
            )
        )
    if context.trace is None and type(a) is Array and type(i) is Array:
        buffer, positions = a._buffer, i._buffer
        if type(buffer) is np.ndarray and type(positions) is np.ndarray:
            numpy_mode = "raise" if mode in (None, "fill") else mode
            try:
                return Array(np.asarray(buffer.take(positions, axis, None, numpy_mode)), a._weak)
            except (IndexError, TypeError):
                pass  # out of bounds, or uint64 positions
    size = a.shape[axis]
    if mode == "wrap" and size:
        i = wrapped(i, size)
    elif mode == "clip":
        i = clipped(i, size)
    plan = parse(a.shape, (slice(None),) * axis + (i,))
    gather_as = "fill" if mode in (None, "fill") else "clip"
    return read(a, plan, gather_as, fill_value, unique_indices, indices_are_sorted)


def _along_axis(
    operation: str, arr: Array, i: Array, axis: int
) -> tuple[Array, GatherDimensionNumbers, tuple[int, ...]]:
    """Indices, dimension numbers and slice sizes for positions along `axis`."""
    if arr.ndim != i.ndim:
        raise ShapeError(
            at_user_line(
                f"{operation}: array and indices have the same number of axes, got the shapes "
                f"{arr.shape} and {i.shape}."
            )
        )
    others = [d for d in range(arr.ndim) if d != axis]
    for d in others:
        if arr.shape[d] != i.shape[d] and 1 not in (arr.shape[d], i.shape[d]):
            raise ShapeError(
                at_user_line(
                    f"{operation} along axis {axis}: the shapes {arr.shape} and {i.shape} do not "
                    f"broadcast on axis {d}."
                )
            )
    # Where the indices have size 1 they take whole windows; where the array has, one for all.
    windows = [d for d in others if i.shape[d] == 1 and arr.shape[d] != 1]
    stepping = [d for d in others if d not in windows and arr.shape[d] != 1]
    batch = [d for d in range(arr.ndim) if d not in windows]
    numbers = GatherDimensionNumbers(
        offset_dims=tuple(windows),
        collapsed_slice_dims=tuple(d for d in batch if d not in stepping),
        start_index_map=(axis,),
        operand_batching_dims=tuple(stepping),
        start_indices_batching_dims=tuple(batch.index(d) for d in stepping),
    )
    sizes = tuple(arr.shape[d] if d in windows else 1 for d in range(arr.ndim))
    indices = reshape_p.bind(i, shape=(*(i.shape[d] for d in batch), 1))
    return indices, numbers, sizes


def take_along_axis(
    arr: ArrayLike,
    indices: ArrayLike,
    axis: int | None = -1,
    mode: str | None = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool = True,
) -> Array:
    """Elements of `arr` at `indices` along `axis`, in step with the other axes, which broadcast.

    As `argsort` and `argmax` give them. Negative indices count from the end (with
    `wrap_negative_indices=False` they are out of bounds); out of bounds, `mode`
    "fill" (the default) reads NaN or `fill_value`, "clip" the nearest element. With `axis` None,
    `arr` is flattened.

    >>> take_along_axis(np.array([[3, 1, 2]], "int32"), np.array([[1, 2, 0]]), axis=1)
    Array([[1, 2, 3]], dtype=int32)
    """
    arr = as_array("take_along_axis", arr)
    i = index_array("take_along_axis", indices)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = normalize_axis("take_along_axis", axis, arr.ndim)
    i, numbers, sizes = _along_axis("take_along_axis", arr, i, axis)
    mode = gather_mode("take_along_axis", mode)
    return gather_p.bind(
        arr,
        counted_from_start(i, arr.shape[axis]) if wrap_negative_indices else i,
        dimension_numbers=numbers,
        slice_sizes=sizes,
        mode=mode,
        fill_value=filling_value(arr.dtype, mode, fill_value),
        unique_indices=False,
        indices_are_sorted=False,
    )


def put_along_axis(
    arr: ArrayLike,
    indices: ArrayLike,
    values: ArrayLike,
    axis: int | None,
    inplace: bool = False,
    *,
    mode: str | None = None,
) -> Array:
    """A copy of `arr` with `values` at `indices` along `axis`: the opposite of `take_along_axis`.

    Out of bounds, values are dropped; `mode` is as for `x.at[...]`. Raises `ArgumentError` for
    `inplace=True`, NumPy's behaviour.

    >>> put_along_axis(np.zeros((1, 3), "int32"), np.array([[2]]), 7, axis=1)
    Array([[0, 0, 7]], dtype=int32)
    """
    if inplace:
        raise ArgumentError(
            at_user_line("put_along_axis: arrays are immutable; use the copy that it returns.")
        )
    original = arr = as_array("put_along_axis", arr)
    i = index_array("put_along_axis", indices)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = normalize_axis("put_along_axis", axis, arr.ndim)
    shape = list(broadcast_shapes("put_along_axis", *_without(axis, arr.shape, i.shape)))
    shape.insert(axis, i.shape[axis] if i.ndim == arr.ndim else 0)
    i, numbers, _ = _along_axis("put_along_axis", arr, i, axis)
    y = as_array("put_along_axis", values, arr.dtype)
    broadcast_shapes("put_along_axis", y.shape, tuple(shape))
    out = scatter_p.bind(
        arr,
        counted_from_start(i, arr.shape[axis]),
        broadcast_to(y, tuple(shape)),
        kind="set",
        dimension_numbers=numbers,
        mode=gather_mode("put_along_axis", mode),
        unique_indices=False,
        indices_are_sorted=False,
    )
    return out if out.shape == original.shape else reshape_p.bind(out, shape=original.shape)


def _without(axis: int, *shapes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [shape[:axis] + shape[axis + 1 :] for shape in shapes]


# Choosing between arrays


def where(
    condition: ArrayLike,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    /,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """`x` where `condition` holds, else `y`, all broadcast; with `condition` alone, its `nonzero`.

    No derivative flows to what is not chosen.

    >>> where(np.array([True, False]), 1.0, np.array([5.0, 6.0], "float32"))
    Array([1., 6.], dtype=float32)
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ArgumentError(at_user_line("where takes a condition alone, or with both x and y."))
    return select_where(condition_array("where", condition), x, y)


def select(
    condlist: Sequence[ArrayLike], choicelist: Sequence[ArrayLike], default: ArrayLike = 0
) -> Array:
    """From the first of `choicelist` whose condition in `condlist` holds, else `default`.

    >>> x = np.arange(4, dtype="int32")
    >>> select([x < 1, x > 2], [x, x * 10], -1)
    Array([ 0, -1, -1, 30], dtype=int32)
    """
    condlist = as_sequence("select", "conditions", condlist)
    choicelist = as_sequence("select", "choices", choicelist)
    if len(condlist) != len(choicelist) or not condlist:
        raise ArgumentError(
            at_user_line(
                f"select takes as many conditions as choices, at least one; got {len(condlist)} "
                f"and {len(choicelist)}."
            )
        )
    *choices, out = promote("select", *choicelist, default)
    conditions = [condition_array("select", c) for c in condlist]
    shape = broadcast_shapes("select", *(a.shape for a in (*conditions, *choices, out)))
    for condition, choice in zip(reversed(conditions), reversed(choices)):
        out = select_where(condition, choice, out)
    return broadcast_to(out, shape)


def choose(a: ArrayLike, choices: Any, out: None = None, mode: str = "raise") -> Array:
    """For each position the element of `choices[a]` there; `a` and all choices broadcast.

    `mode` says what becomes of values of `a` that are no choice: "raise" (which needs to know
    them), "wrap" or "clip".

    >>> choose(np.array([1, 0, 1]), [np.zeros(3, "int32"), np.arange(3, dtype="int32")])
    Array([0, 0, 2], dtype=int32)
    """
    refuse_out("choose", out)
    a = index_array("choose", a)
    if isinstance(choices, (list, tuple)):
        options = promote("choose", *choices)
    else:
        stacked = as_array("choose", choices)
        options = [index(stacked, k) for k in range(stacked.shape[0])]
    a = constrained("choose", a, len(options), mode)
    shape = broadcast_shapes("choose", a.shape, *(o.shape for o in options))
    rows = [reshape_p.bind(broadcast_to(o, shape), shape=(1, *shape)) for o in options]
    table = rows[0] if len(rows) == 1 else concatenate_p.bind(*rows, axis=0)
    position = reshape_p.bind(broadcast_to(a, shape), shape=(1, *shape))
    chosen = take_along_axis(table, position, axis=0, mode="promise_in_bounds")
    return reshape_p.bind(chosen, shape=shape)


def compress(
    condition: ArrayLike,
    a: ArrayLike,
    axis: int | None = None,
    out: None = None,
    *,
    size: int | None = None,
    fill_value: ArrayLike = 0,
) -> Array:
    """The slices of `a` along `axis` (elements, if None) for which the 1-D `condition` holds.

    With `size`, exactly so many: surplus ones are left out, missing ones are `fill_value`.

    >>> compress(np.array([True, False, True]), np.arange(3, dtype="int32"))
    Array([0, 2], dtype=int32)
    """
    refuse_out("compress", out)
    a = as_array("compress", a)
    flags = as_array(
        "compress", np.asarray(condition) if isinstance(condition, (list, tuple)) else condition
    )
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis("compress", axis, a.ndim)
    if flags.ndim != 1:
        raise ShapeError(
            at_user_line(f"compress takes a condition with one axis, not {flags.aval}.")
        )
    length = a.shape[axis]
    if flags.shape[0] > length:
        extra = known_values(flags)
        if extra is not None and extra[length:].any():
            raise IndexingError(
                at_user_line(
                    f"compress: the condition of size {flags.shape[0]} selects beyond axis {axis} "
                    f"of size {length}."
                )
            )
        flags = index(flags, slice(0, length))
    (positions,) = nonzero(flags, size=size, fill_value=length)
    return take(a, positions, axis, fill_value=fill_value if size is not None else None)


def extract(
    condition: ArrayLike, arr: ArrayLike, *, size: int | None = None, fill_value: ArrayLike = 0
) -> Array:
    """The elements of `arr` at which `condition` holds, both flattened; `size` as in `compress`.

    >>> extract(np.array([[True, False]]), np.array([[7, 8]], "int32"))
    Array([7], dtype=int32)
    """
    flags, arr = as_array("extract", condition), as_array("extract", arr)
    return compress(ravel(flags), ravel(arr), size=size, fill_value=fill_value)
