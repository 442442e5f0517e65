"""Cutting and joining: slice, pad and concatenate.

Like `shape`, none of them computes anything. slice and pad are each other's transpose. The module
`dynamic_slice` has their like for positions that are known only at run time. Depends on `select`
and `shape`.
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
from rtfunc.core.errors import ArgumentError, DtypeError, IndexingError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, linear_jvp, primitives, transposing
from rtfunc.ops.convert import as_array, check_same_dtype, convert, owned_array, promote, scalar
from rtfunc.ops.select import select, select_p
from rtfunc.ops.shape import broadcast_in_dim_p, normalize_axis, reshape_p


def filled(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> Array:
    """An Array of `shape`, all `value`, by way of the primitive: traces see it as a broadcast."""
    zero = scalar(value, dtype)
    return broadcast_in_dim_p.bind(zero, shape=shape, axes=()) if shape else zero


def axis_integers(operation: str, what: str, values: Any, ndim: int) -> tuple[int, ...]:
    """`values` as one Python int per axis."""
    try:
        numbers = tuple(operator.index(v) for v in values)
    except TypeError:
        raise DtypeError(
            at_user_line(f"{operation}: {what} is a sequence of integers, not {values!r}.")
        ) from None
    if len(numbers) != ndim:
        raise ShapeError(
            at_user_line(
                f"{operation}: {what} has {len(numbers)} entries for an array with {ndim} axes."
            )
        )
    return numbers


# slice


def slice_(
    x: ArrayLike,
    start: Sequence[int],
    limit: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Array:
    """The elements of `x` from `start` up to `limit` along each axis, every `strides`-th of them.

    No index is negative, and `limit` does not exceed the shape. Raises `IndexingError` otherwise.

    >>> slice_(np.arange(10, dtype="int32"), (2,), (8,), (3,))
    Array([2, 5], dtype=int32)
    """
    x = owned_array("slice", x)
    start = axis_integers("slice", "start", start, x.ndim)
    limit = axis_integers("slice", "limit", limit, x.ndim)
    stride = (
        (1,) * x.ndim if strides is None else axis_integers("slice", "strides", strides, x.ndim)
    )
    _slice_infer(x.aval, start=start, limit=limit, stride=stride)
    return static_slice(x, start, limit, stride)


def static_slice(
    x: Array, start: tuple[int, ...], limit: tuple[int, ...], stride: tuple[int, ...]
) -> Array:
    """As `slice_`, of checked arguments; `x` itself where that is all of it."""
    if limit == x.shape and not any(start) and all(s == 1 for s in stride):
        return x
    return slice_p.bind(x, start=start, limit=limit, stride=stride)


def slice_in_dim(
    x: ArrayLike, start: int | None, limit: int | None, stride: int = 1, axis: int = 0
) -> Array:
    """`x` sliced along one axis; negative `start` and `limit` count from the end.

    >>> slice_in_dim(np.arange(5, dtype="int32"), 1, -1)
    Array([1, 2, 3], dtype=int32)
    """
    x = owned_array("slice_in_dim", x)
    axis = normalize_axis("slice_in_dim", axis, x.ndim)
    size = x.shape[axis]
    first = 0 if start is None else operator.index(start)
    last = size if limit is None else operator.index(limit)
    starts, limits, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis] = first + size if first < 0 else first
    limits[axis] = last + size if last < 0 else last
    strides[axis] = operator.index(stride)
    return slice_(x, starts, limits, strides)


def _slice_infer(x: Aval, *, start: Any, limit: Any, stride: Any) -> Aval:
    if not len(start) == len(limit) == len(stride) == x.ndim:
        raise ShapeError(at_user_line(f"slice of {x} takes {x.ndim} starts, limits and strides."))
    for axis, (n, i, j, step) in enumerate(zip(x.shape, start, limit, stride)):
        if not 0 <= i <= j <= n or step < 1:
            raise IndexingError(
                at_user_line(
                    f"slice {i}:{j}:{step} does not fit axis {axis} of {x}: "
                    f"it takes 0 <= start <= limit <= {n} and a positive stride."
                )
            )
    return Aval(tuple(-((i - j) // s) for i, j, s in zip(start, limit, stride)), x.dtype)


def _slice_impl(xp: Any, x: Any, *, start: Any, limit: Any, stride: Any) -> Any:
    return x[tuple(map(slice, start, limit, stride))]


def _slice_transpose(ct: Any, x: Any, *, start: Any, limit: Any, stride: Any) -> Any:
    ends = [i + 1 + (n - 1) * s if n else i for i, n, s in zip(start, ct.shape, stride)]
    return pad_p.bind(
        ct,
        scalar(0, ct.dtype),
        low=start,
        high=tuple(n - e for n, e in zip(x.shape, ends)),
        interior=tuple(s - 1 for s in stride),
    )


def insert_entry(values: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    """A per-axis param with the entry for a batch axis put in at `axis`."""
    return (*values[:axis], value, *values[axis:])


def _slice_batch(
    primitive: Any,
    batch: Any,
    operands: Any,
    batch_axes: Any,
    *,
    start: Any,
    limit: Any,
    stride: Any,
) -> Any:
    d = batch_axes[0]
    out = primitive.bind(
        operands[0],
        start=insert_entry(start, d, 0),
        limit=insert_entry(limit, d, batch.size),
        stride=insert_entry(stride, d, 1),
    )
    return out, d


slice_p = Primitive(
    "slice",
    infer=_slice_infer,
    impl=_slice_impl,
    jvp=linear_jvp(0),
    vjp=transposing(_slice_transpose),
    batch=_slice_batch,
)


# pad


def pad(x: ArrayLike, value: ArrayLike, padding_config: Sequence[tuple[int, int, int]]) -> Array:
    """`x` with the scalar `value` around it and between its elements.

    `padding_config` has (low, high, interior) for each axis: so many before, after, and between
    every two elements. A negative low or high removes elements, the interior ones included.

    >>> pad(np.ones(2, "int32"), 0, [(1, 2, 1)])
    Array([0, 1, 0, 1, 0, 0], dtype=int32)
    """
    x = owned_array("pad", x)
    given, value = value, as_array("pad", value)
    if value.dtype != x.dtype:
        if not value.weak_type:
            check_same_dtype("pad", (x.aval, value.aval))
        dtype, _ = dtypes.promote(x.dtype, x.weak_type, value.dtype, True)
        if dtype != x.dtype and not x.weak_type:
            raise DtypeError(
                at_user_line(
                    f"pad of an {x.dtype} array takes a value of that kind, not {value.dtype}."
                )
            )
        x, value = convert(x, dtype, x.weak_type), as_array("pad", given, dtype, True)
    config = [
        axis_integers("pad", "an entry of padding_config", entry, 3) for entry in padding_config
    ]
    low, high, interior = zip(*config) if config else ((), (), ())
    out = _pad_infer(x.aval, value.aval, low=low, high=high, interior=interior)
    if out.shape == x.shape and not any(low) and not any(high):
        return x
    return pad_p.bind(x, value, low=low, high=high, interior=interior)


def _pad_infer(x: Aval, value: Aval, *, low: Any, high: Any, interior: Any) -> Aval:
    check_same_dtype("pad", (x, value))
    if value.shape:
        raise ShapeError(at_user_line(f"pad takes a scalar as padding value, not {value}."))
    if not len(low) == len(high) == len(interior) == x.ndim:
        raise ShapeError(
            at_user_line(
                f"pad of {x} takes (low, high, interior) for {x.ndim} axes, got {len(low)}."
            )
        )
    shape = tuple(
        lo + n + hi + max(n - 1, 0) * i for n, lo, hi, i in zip(x.shape, low, high, interior)
    )
    if any(n < 0 for n in shape) or any(i < 0 for i in interior):
        raise ShapeError(
            at_user_line(
                f"pad of {x} with low {low}, high {high}, interior {interior} gives the shape "
                f"{shape}: sizes and interior padding are not negative."
            )
        )
    return Aval(shape, x.dtype)


def _pad_impl(xp: Any, x: Any, value: Any, *, low: Any, high: Any, interior: Any) -> Any:
    shape = tuple(
        lo + n + hi + max(n - 1, 0) * i for n, lo, hi, i in zip(x.shape, low, high, interior)
    )
    into, part = [], []
    cropping = True
    for n, size, lo, hi, i in zip(x.shape, shape, low, high, interior):
        step = i + 1
        # Element j goes to lo + j * step; first and last are those that stay inside.
        first = max(0, -(lo // step)) if lo < 0 else 0
        last = min(n, max(first, (size - 1 - lo) // step + 1))
        into.append(slice(lo + first * step, max(lo + (last - 1) * step + 1, 0), step))
        part.append(slice(first, last))
        cropping = cropping and lo <= 0 and hi <= 0 and (i == 0 or n < 2)
        if last <= first:
            into[-1] = slice(0, 0)
    if cropping:
        return x[tuple(part)]
    out = xp.empty(shape, x.dtype)
    out[...] = value
    out[tuple(into)] = x[tuple(part)]
    return out


def _pad_transpose(ct: Any, x: Any, value: Any, *, low: Any, high: Any, interior: Any) -> Any:
    # First undo low and high, then take every (interior + 1)-th element.
    if any(low) or any(high):
        ct = pad_p.bind(
            ct,
            scalar(0, ct.dtype),
            low=tuple(-n for n in low),
            high=tuple(-n for n in high),
            interior=(0,) * x.ndim,
        )
    return static_slice(ct, (0,) * x.ndim, ct.shape, tuple(i + 1 for i in interior))


def _pad_value_transpose(ct: Any, x: Any, value: Any, **params: Any) -> Any:
    # Only padding counts; a mask rather than a difference of sums, which would lose digits.
    padding = pad_p.bind(filled(x.shape, False, dtypes.bool_), scalar(True, dtypes.bool_), **params)
    masked = select(padding, ct, scalar(0, ct.dtype))
    return primitives["reduce_sum"].bind(masked, axes=tuple(range(ct.ndim)))


def _pad_batch(
    primitive: Any,
    batch: Any,
    operands: Any,
    batch_axes: Any,
    *,
    low: Any,
    high: Any,
    interior: Any,
) -> Any:
    (x, value), (d, value_axis) = operands, batch_axes
    if value_axis is None:
        return primitive.bind(
            x,
            value,
            low=insert_entry(low, d, 0),
            high=insert_entry(high, d, 0),
            interior=insert_entry(interior, d, 0),
        ), d
    # A padding value for each member: pad with anything, then choose.
    params = {"low": low, "high": high, "interior": interior}
    unbatched = x.shape if d is None else x.shape[:d] + x.shape[d + 1 :]
    padding = primitive.bind(
        filled(unbatched, False, dtypes.bool_), scalar(True, dtypes.bool_), **params
    )
    if d is None:
        padded = primitive.bind(x, scalar(0, x.dtype), **params)
    else:
        wide = {name: (0, *values) for name, values in params.items()}
        padded = primitive.bind(at_front(x, d), scalar(0, x.dtype), **wide)
    values = reshape_p.bind(value, shape=(batch.size,) + (1,) * len(low))
    return select_p.bind(padding, values, padded), 0


pad_p = Primitive(
    "pad",
    infer=_pad_infer,
    impl=_pad_impl,
    jvp=linear_jvp(),
    vjp=transposing(_pad_transpose, _pad_value_transpose),
    batch=_pad_batch,
)


def shift_in(x: Array, axis: int, fill: ArrayLike, *, forward: bool) -> Array:
    """`x` moved by one place along `axis`, with `fill` coming in where a place becomes free.

    Forward moves to larger indices; the element at the far end is dropped.

    >>> shift_in(as_array("", np.arange(1, 4, dtype="int32")), 0, 0, forward=True)
    Array([0, 1, 2], dtype=int32)
    """
    if not x.shape[axis]:
        return x
    one = tuple(int(i == axis) for i in range(x.ndim))
    minus = tuple(-n for n in one)
    return pad_p.bind(
        x,
        as_array("shift_in", fill, x.dtype, x.weak_type),
        low=one if forward else minus,
        high=minus if forward else one,
        interior=(0,) * x.ndim,
    )


# concatenate


def concatenate(arrays: Sequence[ArrayLike], axis: int = 0) -> Array:
    """`arrays` joined along `axis`, in which alone their shapes may differ.

    Operands are promoted to a common dtype. Raises `ArgumentError` for no arrays, `ShapeError` when
    the shapes do not fit.

    >>> concatenate([np.zeros(1, "int32"), np.ones(2, "int32")], 0)
    Array([0, 1, 1], dtype=int32)
    """
    operands = tuple(arrays)
    if not operands:
        raise ArgumentError(at_user_line("concatenate takes at least one array."))
    operands = promote("concatenate", *operands)
    axis = normalize_axis("concatenate", axis, operands[0].ndim)
    if len(operands) == 1:
        return owned_array("concatenate", arrays[0])
    return concatenate_p.bind(*operands, axis=axis)


def _concatenate_infer(*operands: Aval, axis: int) -> Aval:
    dtype = check_same_dtype("concatenate", operands)
    first = operands[0].shape
    axis = normalize_axis("concatenate", axis, len(first))
    for x in operands:
        others = x.shape[:axis] + x.shape[axis + 1 :]
        if x.ndim != len(first) or others != first[:axis] + first[axis + 1 :]:
            raise ShapeError(
                at_user_line(
                    f"concatenate along axis {axis} takes shapes that agree elsewhere, got "
                    f"{', '.join(str(o.shape) for o in operands)}."
                )
            )
    size = sum(x.shape[axis] for x in operands)
    return Aval((*first[:axis], size, *first[axis + 1 :]), dtype)


def _concatenate_vjp(primitive: Any, needed: Any, operands: Any, *, axis: int) -> Any:
    def pullback(ct: Any) -> list[Any]:
        into, offset = [], 0
        for x, n in zip(operands, needed):
            start, limit = [0] * ct.ndim, list(ct.shape)
            start[axis], limit[axis] = offset, offset + x.shape[axis]
            offset = limit[axis]
            part = static_slice(ct, tuple(start), tuple(limit), (1,) * ct.ndim) if n else None
            into.append(part)
        return into

    return primitive.bind(*operands, axis=axis), pullback


def _concatenate_batch(
    primitive: Any, batch: Any, operands: Any, batch_axes: Any, *, axis: int
) -> Any:
    fronted = [at_front(x, d, batch.size) for x, d in zip(operands, batch_axes)]
    return primitive.bind(*fronted, axis=axis + 1), 0


concatenate_p = Primitive(
    "concatenate",
    infer=_concatenate_infer,
    impl=lambda xp, *operands, axis: xp.concatenate(operands, axis),
    jvp=linear_jvp(),
    vjp=_concatenate_vjp,
    batch=_concatenate_batch,
)
