"""`pad`: arrays extended at the ends of their axes, in all modes of NumPy.

Depends on `reductions` and `index_expressions`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.numpy import ranges, reductions
from rtfunc.numpy.arguments import constant
from rtfunc.numpy.creation import asarray
from rtfunc.numpy.floating import rint
from rtfunc.numpy.index_expressions import index
from rtfunc.ops import elementwise
from rtfunc.ops.arithmetic import mul, sub
from rtfunc.ops.convert import convert
from rtfunc.ops.pad_slice import concatenate, slice_
from rtfunc.ops.pad_slice import pad as pad_with
from rtfunc.ops.shape import reshape_p, rev
from rtfunc.ops.sort import sort

_copying_modes = ("edge", "reflect", "symmetric", "wrap")
_statistics: dict[str, Callable[..., Array]] = {
    "maximum": reductions.max,
    "minimum": reductions.min,
    "mean": reductions.mean,
}
_options = {
    "constant": ("constant_values",),
    "linear_ramp": ("end_values",),
    **dict.fromkeys((*_statistics, "median"), ("stat_length",)),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
}


def pad(x: ArrayLike, pad_width: Any, mode: str | Callable = "constant", **options: Any) -> Array:
    """`x` with `pad_width` more elements before and after it on each axis.

    Arguments:
      pad_width: an int, a pair (before, after), a pair for each axis, or a dict from axes to those.
      mode: "constant" (`constant_values=0`), "edge" (the last value), "reflect" (without repeating
        it) and "symmetric" (repeating it; both take `reflect_type="odd"`), "wrap", "linear_ramp"
        (to `end_values=0`), "maximum", "minimum", "mean" and "median" (of `stat_length` elements),
        "empty", or a function of (vector, (before, after), axis, options) that returns the vector
        filled.

    >>> pad(np.array([1, 2, 3], "int32"), 2, mode="reflect")
    Array([3, 2, 1, 2, 3, 2, 1], dtype=int32)
    """
    x = x if isinstance(x, Array) else asarray(x)
    widths = _widths(pad_width, x)
    if callable(mode):
        return _by_function(x, widths, mode, options)
    if mode not in (*_options, *_copying_modes, "empty"):
        modes = sorted({*_options, *_copying_modes, "empty"})
        raise ArgumentError(at_user_line(f"pad: {mode!r} is not a mode; modes are {modes}."))
    unknown = set(options) - set(_options.get(mode, ()))
    if unknown:
        raise ArgumentError(
            at_user_line(f"pad in mode {mode!r} does not take {', '.join(sorted(unknown))}.")
        )
    if mode in ("constant", "empty"):
        return _constant(x, widths, options.get("constant_values", 0))
    for axis, (before, after) in enumerate(widths):
        if not (before or after):
            continue
        if not x.shape[axis]:
            raise ShapeError(
                at_user_line(
                    f"pad in mode {mode!r} cannot extend the empty axis {axis} of {x.shape}."
                )
            )
        x = _extend(x, axis, before, after, mode, options)
    return x


def _widths(pad_width: Any, x: Array) -> list[tuple[int, int]]:
    ndim = x.ndim
    if isinstance(pad_width, Mapping):
        pairs: list[Any] = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            pairs[axis] = width if isinstance(width, (tuple, list)) else (width, width)
        pad_width = pairs
    given = np.asarray(pad_width)
    if given.dtype.kind not in "iu" and given.size:
        raise DtypeError(at_user_line(f"pad takes integers as pad_width, not {pad_width!r}."))
    try:
        found = np.broadcast_to(given, (ndim, 2)).tolist() if ndim else []
    except ValueError:
        raise ShapeError(
            at_user_line(
                f"pad: pad_width {pad_width!r} does not fit {ndim} axes: give an int, a pair "
                "(before, after), or a pair for each axis."
            )
        ) from None
    if any(n < 0 for pair in found for n in pair):
        raise ArgumentError(
            at_user_line(f"pad: pad_width must not be negative, got {pad_width!r}.")
        )
    return [(int(before), int(after)) for before, after in found]


def _pairs(value: Any, ndim: int) -> list[tuple[Any, Any]]:
    """An option given once, as a pair, or as a pair for each axis: as pairs."""
    if isinstance(value, (tuple, list)):
        if all(isinstance(v, (tuple, list)) for v in value):
            pairs = [(v[0], v[-1]) for v in value]
            return pairs * ndim if len(pairs) == 1 else pairs
        return [(value[0], value[-1])] * ndim
    return [(value, value)] * ndim


def _constant(x: Array, widths: Sequence[tuple[int, int]], values: Any) -> Array:
    if not isinstance(values, (tuple, list)):
        fill = asarray(values, x.dtype)
        return pad_with(x, fill, tuple((b, a, 0) for b, a in widths))
    for axis, (width, pair) in enumerate(zip(widths, _pairs(values, x.ndim))):
        for count, value, low in zip(width, pair, (True, False)):
            config = [(0, 0, 0)] * x.ndim
            config[axis] = (count, 0, 0) if low else (0, count, 0)
            x = pad_with(x, asarray(value, x.dtype), config)
    return x


def _extend(x: Array, axis: int, before: int, after: int, mode: str, options: Any) -> Array:
    if mode in _copying_modes:
        if options.get("reflect_type", "even") == "odd":
            return _odd(x, axis, before, after, mode)
        # NumPy's own pad of the indices says which elements to copy.
        places = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
        return index(x, (*(slice(None),) * axis, places))
    if mode == "linear_ramp":
        ends = _pairs(options.get("end_values", 0), x.ndim)[axis]
        parts = (_ramp(x, axis, before, ends[0], True), x, _ramp(x, axis, after, ends[1], False))
        return concatenate(parts, axis)
    lengths = _pairs(options.get("stat_length"), x.ndim)[axis]
    parts = []
    for count, length, low in ((before, lengths[0], True), (after, lengths[1], False)):
        size = x.shape[axis]
        taken = size if length is None else min(operator.index(length), size)
        if taken < 1:
            raise ArgumentError(at_user_line("pad: stat_length must be positive."))
        part = _cut(x, axis, 0, taken) if low else _cut(x, axis, size - taken, size)
        value = _statistic(part, axis, mode)
        if value.dtype != x.dtype:
            value = convert(rint(value) if x.dtype.kind in "iu" else value, x.dtype)
        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        parts.append(elementwise.broadcast_to(value, shape))
    return concatenate([parts[0], x, parts[1]], axis)


def _statistic(x: Array, axis: int, mode: str) -> Array:
    if mode != "median":
        return _statistics[mode](x, axis, keepdims=True)
    (ordered,), size = sort((x,), axis), x.shape[axis]
    return reductions.mean(_cut(ordered, axis, (size - 1) // 2, size // 2 + 1), axis, keepdims=True)


def _cut(x: Array, axis: int, start: int, stop: int) -> Array:
    low, high = [0] * x.ndim, list(x.shape)
    low[axis], high[axis] = start, stop
    return slice_(x, tuple(low), tuple(high))


def _ramp(x: Array, axis: int, count: int, end: Any, low: bool) -> Array:
    size = x.shape[axis]
    edge = _cut(x, axis, 0, 1) if low else _cut(x, axis, size - 1, size)
    shape = tuple(n for i, n in enumerate(edge.shape) if i != axis)
    edge = reshape_p.bind(edge, shape=shape)
    ramp = ranges.linspace(end, edge, count, endpoint=False, axis=axis, dtype=x.dtype)
    return ramp if low else rev(ramp, (axis,))


def _odd(x: Array, axis: int, before: int, after: int, mode: str) -> Array:
    """Reflection through the edge value: 2 edge - x, repeated as often as needed."""
    skip = 1 if mode == "reflect" else 0
    two = constant(2, x)
    while before or after:
        size = x.shape[axis]
        most = max(size - skip, 1)
        low, high = min(before, most), min(after, most)
        first, last = _cut(x, axis, 0, 1), _cut(x, axis, size - 1, size)
        parts = [x]
        if low:
            mirrored = rev(_cut(x, axis, min(skip, size - 1), min(skip, size - 1) + low), (axis,))
            parts.insert(0, sub(mul(two, first), mirrored))
        if high:
            stop = max(size - skip, 1)
            parts.append(sub(mul(two, last), rev(_cut(x, axis, stop - high, stop), (axis,))))
        x = concatenate(parts, axis)
        before, after = before - low, after - high
    return x


def _by_function(x: Array, widths: Any, function: Callable[..., Any], options: Any) -> Array:
    x = pad_with(x, constant(0, x), tuple((b, a, 0) for b, a in widths))
    for axis, width in enumerate(widths):
        moved = [i for i in range(x.ndim) if i != axis]
        rows = x.transpose((*moved, axis))
        shape = rows.shape
        flat = rows.reshape((-1, shape[-1]))
        filled = []
        for i in range(flat.shape[0]):
            row = function(flat[i], width, axis, options)
            filled.append(flat[i] if row is None else asarray(row))
        order = list(range(x.ndim - 1))
        order.insert(axis, x.ndim - 1)
        x = asarray(filled).reshape(shape).transpose(order)
    return x
