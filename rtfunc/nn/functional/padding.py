"""Padding as functions: constant, reflect, replicate, circular.

Made of slices, reversals and concatenations, so that compiled code reads the input in place and
the derivative adds slices. Depends on `ops.pad_slice`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.arguments import check_choice
from rtfunc.ops.convert import as_array, scalar
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.pad_slice import pad as pad_with
from rtfunc.ops.shape import rev

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(x: ArrayLike, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Array:
    """x with more elements at the ends of its last axes: torch.nn.functional.pad.

    Arguments:
      pad: (low, high) of the last axis, then of the one before, and so on, in one sequence: (left,
        right, top, bottom). Negative numbers cut.
      mode: "constant" (`value`), "reflect" (the elements next to the edge, mirrored), "replicate"
        (the edge) or "circular" (the other side).

    Raises `ArgumentError` for an odd number of widths, and `ShapeError` for more of them than axes
    and for a reflection wider than the axis has elements.

    >>> import rtfunc.numpy as rnp
    >>> pad(rnp.array([1.0, 2.0, 3.0]), (2, 1), "reflect")
    Array([3., 2., 1., 2., 3., 2.], dtype=float32)
    """
    x = as_array("pad", x)
    check_choice("pad", "mode", mode, _MODES)
    try:
        widths = [operator.index(n) for n in pad]
    except TypeError:
        widths = [0]
    if len(widths) % 2:
        raise ArgumentError(
            at_user_line(
                f"pad takes integers (low, high) for the last axis, then the one before, and so "
                f"on, in one sequence; not {pad!r}."
            )
        )
    pairs = list(zip(widths[::2], widths[1::2]))[::-1]
    if len(pairs) > x.ndim:
        raise ShapeError(
            at_user_line(f"pad: {pad!r} is for {len(pairs)} axes, the input has shape {x.shape}.")
        )
    return pad_axes("pad", x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, mode, value)


def pad_axes(
    operation: str,
    x: Array,
    pairs: Sequence[tuple[int, int]],
    mode: str,
    value: float = 0.0,
) -> Array:
    """x padded by `pairs` (low, high), one for every axis."""
    for size, (low, high) in zip(x.shape, pairs):
        if size + low + high < 0 or size + min(low, 0) + min(high, 0) < 0:
            raise ShapeError(
                at_user_line(f"{operation}: the padding {tuple(pairs)} cuts more than {x.shape}.")
            )
    if mode in ("constant", "zeros"):
        return pad_with(x, scalar(value, x.dtype), [(low, high, 0) for low, high in pairs])
    for axis, (low, high) in enumerate(pairs):
        if low < 0 or high < 0:
            x = slice_in_dim(x, max(-low, 0), x.shape[axis] - max(-high, 0), axis=axis)
        low, high = max(low, 0), max(high, 0)
        if low or high:
            x = _extended(operation, x, axis, low, high, mode)
    return x


def _extended(operation: str, x: Array, axis: int, low: int, high: int, mode: str) -> Array:
    size = x.shape[axis]
    most = {"reflect": size - 1, "circular": size, "replicate": max(low, high) if size else 0}[mode]
    if max(low, high) > most:
        raise ShapeError(
            at_user_line(
                f"{operation}: mode {mode!r} takes up to {max(most, 0)} elements of padding on axis "
                f"{axis} of an input of shape {x.shape}, not {max(low, high)}."
            )
        )

    def part(start: int, stop: int) -> Array:
        return slice_in_dim(x, start, stop, axis=axis)

    if mode == "reflect":
        before, after = (
            rev(part(1, low + 1), (axis,)),
            rev(part(size - 1 - high, size - 1), (axis,)),
        )
    elif mode == "circular":
        before, after = part(size - low, size), part(0, high)
    else:
        before, after = (
            rnp.broadcast_to(edge, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
            for edge, count in ((part(0, 1), low), (part(size - 1, size), high))
        )
    parts = [part_ for part_, count in ((before, low), (x, 1), (after, high)) if count]
    return concatenate(parts, axis)
