"""Geometry of sliding windows, for convolutions and windowed reductions.

Along one axis, a window of `window` elements that lie `window_dilation` apart slides in steps of
`stride` over `size` elements that lie `base_dilation` apart, with `low` and `high` positions of
padding around them. Depends on `core` only.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

from rtfunc.core.errors import ArgumentError, at_user_line

Pads = tuple[tuple[int, int], ...]


def dilated(size: int, dilation: int) -> int:
    """The extent of `size` elements that lie `dilation` apart."""
    return 0 if size == 0 else (size - 1) * dilation + 1


def window_count(size: int, window: int, stride: int) -> int:
    """How many windows of the extent `window` fit into `size` in steps of `stride`."""
    return 0 if size < window else (size - window) // stride + 1


def same_pads(size: int, window: int, stride: int, lower: bool = False) -> tuple[int, int]:
    """The padding with which there are ceil(size / stride) windows; the odd one goes high."""
    out = -(-size // stride)
    total = max((out - 1) * stride + window - size, 0)
    half = total // 2
    return (total - half, half) if lower else (half, total - half)


def as_pads(
    operation: str,
    padding: Any,
    sizes: Sequence[int],
    windows: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    """`padding` as a pair per axis: from pairs, or from "VALID", "SAME" or "SAME_LOWER".

    `sizes` and `windows` are extents with their dilation.
    """
    if isinstance(padding, str):
        kind = padding.upper()
        if kind == "VALID":
            return ((0, 0),) * len(sizes)
        if kind in ("SAME", "SAME_LOWER"):
            return tuple(
                same_pads(n, w, s, kind == "SAME_LOWER") for n, w, s in zip(sizes, windows, strides)
            )
        raise ArgumentError(
            at_user_line(
                f"{operation} takes padding 'VALID', 'SAME', 'SAME_LOWER' or pairs (low, high), "
                f"not {padding!r}."
            )
        )
    try:
        pads = tuple((operator.index(low), operator.index(high)) for low, high in padding)
    except (TypeError, ValueError):
        raise ArgumentError(
            at_user_line(
                f"{operation} takes padding 'VALID', 'SAME', 'SAME_LOWER' or a pair (low, high) of "
                f"integers per axis, not {padding!r}."
            )
        ) from None
    if len(pads) != len(sizes):
        raise ArgumentError(
            at_user_line(
                f"{operation} takes a padding pair for each of {len(sizes)} axes, got {len(pads)}."
            )
        )
    return pads


def positive(operation: str, name: str, values: Any, count: int) -> tuple[int, ...]:
    """`values` (None: all 1) as `count` positive integers."""
    if values is None:
        return (1,) * count
    try:
        found = tuple(operator.index(v) for v in values)
    except TypeError:
        found = ()
    if len(found) != count or any(v < 1 for v in found):
        raise ArgumentError(
            at_user_line(f"{operation} takes {count} positive integers as {name}, not {values!r}.")
        )
    return found


def pads_of_transpose(
    size: int,
    window: int,
    stride: int,
    out_size: int,
    low: int,
    base_dilation: int,
    window_dilation: int,
) -> tuple[int, int]:
    """Padding for the windows over a cotangent; strides and base dilations change places there."""
    extent = dilated(window, window_dilation)
    before = extent - low - 1
    after = dilated(size, base_dilation) + extent - 1 - dilated(out_size, stride) - before
    return before, after


Meeting = tuple[slice, slice]


@functools.lru_cache(1024)
def meeting_slices(
    size: int,
    window: int,
    stride: int,
    low: int,
    base_dilation: int,
    window_dilation: int,
    out_size: int,
) -> tuple[Meeting | None, ...]:
    """For each element of the window, the windows in which it meets the operand, and where.

    Along one axis: element k of window o lies at o * stride + k * window_dilation - low, which is
    element i of the operand if it equals i * base_dilation. Returns for each k slices over o and i,
    or None where they never meet.
    """
    found: list[Meeting | None] = []
    # Windows that meet for one k lie `step` apart.
    step = base_dilation // math.gcd(stride, base_dilation)
    advance = stride * step // base_dilation
    for k in range(window):
        offset = k * window_dilation - low
        first = next((o for o in range(step) if (o * stride + offset) % base_dilation == 0), None)
        if first is None:
            found.append(None)
            continue
        start = (first * stride + offset) // base_dilation
        skipped = max(0, -(start // advance))  # windows before the operand
        first, start = first + skipped * step, start + skipped * advance
        count = min(-(-(out_size - first) // step), -(-(size - start) // advance))
        if count <= 0:
            found.append(None)
            continue
        found.append(
            (
                slice(first, first + (count - 1) * step + 1, step),
                slice(start, start + (count - 1) * advance + 1, advance),
            )
        )
    return tuple(found)


def taps(meetings: Any) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """(slices of windows, slices of the operand) for each window element, in row-major order."""
    for combination in itertools.product(*meetings):
        if None not in combination:
            yield tuple([c[0] for c in combination]), tuple([c[1] for c in combination])
