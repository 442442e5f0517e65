"""What functions of this package check about their arguments. Depends on `core`, `ops.sliding`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.ops.sliding import Pads, dilated, same_pads


def check_range(
    operation: str, what: str, values: Array, size: int, ignored: int | None = None
) -> None:
    """Raise `ArgumentError` when an integer of `values` is neither in 0..size-1 nor `ignored`.

    Traced values and those on a GPU are not looked at: that would need them, or wait for them.
    """
    if isinstance(values, Tracer) or not isinstance(values._buffer, np.ndarray):
        return
    buffer = values._buffer
    wrong = (buffer < 0) | (buffer >= size)
    if ignored is not None:
        wrong &= buffer != ignored
    if wrong.any():
        raise ArgumentError(
            at_user_line(
                f"{operation}: {what} must be from 0 to {size - 1}, but "
                f"{int(buffer[wrong].flat[0])} is among them."
            )
        )


def check_choice(operation: str, name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise `ArgumentError` unless `value` is one of `choices`."""
    if value not in choices:
        known = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
        raise ArgumentError(at_user_line(f"{operation}: {name} is {known}, not {value!r}."))


def check_positive(operation: str, name: str, value: Any) -> None:
    """Raise `ArgumentError` unless `value` is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(
            at_user_line(f"{operation}: {name} is a positive integer, but got {value!r}.")
        )


# Windows: one number for all spatial axes, or one for each.


def per_axis(operation: str, name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """`value`, an integer or `count` of them, as `count` integers that are at least `least`."""
    try:
        many = value if isinstance(value, (Sequence, np.ndarray)) else (value,) * count
        found = tuple(operator.index(v) for v in many)
    except TypeError:
        found = ()
    if len(found) != count or any(v < least for v in found):
        kind = "positive integer" if least == 1 else f"integer of at least {least}"
        raise ArgumentError(
            at_user_line(
                f"{operation}: {name} is one {kind} or {count} of them, one for each spatial axis, "
                f"not {value!r}."
            )
        )
    return found


def per_axis_pads(
    operation: str,
    padding: Any,
    sizes: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Pads:
    """Padding as a pair (low, high) for each spatial axis.

    From an integer, one for each axis, a pair for each axis, "VALID" (none), or "SAME" (so that the
    output has ceil(size / stride) elements).
    """
    count = len(sizes)
    if isinstance(padding, str):
        if padding.upper() == "VALID":
            return ((0, 0),) * count
        if padding.upper() == "SAME":
            return tuple(
                same_pads(n, dilated(w, d), s)
                for n, w, s, d in zip(sizes, window, stride, dilation)
            )
    else:
        try:
            given = padding if isinstance(padding, Sequence) else (padding,) * count
            pads = tuple(
                (operator.index(p[0]), operator.index(p[1]))
                if isinstance(p, Sequence) and len(p) == 2
                else (operator.index(p), operator.index(p))  # type: ignore[arg-type]
                for p in given
            )
        except TypeError:
            pads = ()
        if len(pads) == count and all(low >= 0 and high >= 0 for low, high in pads):
            return pads
    raise ArgumentError(
        at_user_line(
            f"{operation}: padding is 'SAME', 'VALID', an integer, or for each of {count} spatial "
            f"axes an integer or a pair (low, high), none negative; not {padding!r}."
        )
    )


def spatial_rank(operation: str, value: Any, ndim: int) -> int:
    """The number of spatial axes: as many as `value` has entries, or else all after (N, C)."""
    if isinstance(value, (Sequence, np.ndarray)):
        return len(value)
    if ndim < 3:
        raise ShapeError(
            at_user_line(
                f"{operation} takes an input (N, C, *spatial) of rank 3 or more, not of rank {ndim}."
            )
        )
    return ndim - 2


def check_spatial(operation: str, shape: Sequence[int], count: int) -> None:
    """Raise `ShapeError` unless `shape` is (N, C, *spatial) or (C, *spatial), spatial `count`."""
    if len(shape) not in (count + 1, count + 2):
        axes = ("L", "H, W", "D, H, W")[count - 1] if 1 <= count <= 3 else f"{count} spatial axes"
        raise ShapeError(
            at_user_line(
                f"{operation} takes an input (N, C, {axes}) or, without a batch, (C, {axes}), "
                f"not one of shape {tuple(shape)}."
            )
        )
