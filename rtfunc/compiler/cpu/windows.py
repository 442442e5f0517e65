"""Sliding windows over static shapes, as templates see them: axes, taps, rows in vectors.

What `pooling` and `pooling_derivative` share. Depends on `emission`, `scalars`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.emission import (
    BODY,
    Code,
    Emitted,
    Index,
    compute_dtype,
    new_function,
    pointer,
)
from rtfunc.compiler.cpu.register_tile import memory_of
from rtfunc.compiler.cpu.scalars import literal, register_type
from rtfunc.compiler.cpu.target import vector_bytes
from rtfunc.core import dtypes

_WORK_OF_CHUNK = 1 << 15
_MOST_CHUNKS = 256


@dataclass(frozen=True)
class WindowSpec:
    """The static parameters of a windowed reduction.

    Attributes:
        shape: of the operand, C-contiguous.
        window_dimensions, window_strides, padding, base_dilation, window_dilation: by axis, as in the
            primitives.
        kind: "max", "min" or "sum".
        dtype: of operand and result: floats and integers.
    """

    shape: tuple[int, ...]
    window_dimensions: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]
    kind: str
    dtype: np.dtype

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the result: the number of windows along each axis."""
        return tuple(a.out for a in axes_of(self))


@dataclass(frozen=True)
class WindowAxis:
    """One axis: element k of window o lies at o * stride + k * apart - low among `size` elements that
    lie `base` apart. Strides are of the operand's and the result's memory, in elements."""

    size: int
    out: int
    window: int
    stride: int
    low: int
    base: int
    apart: int
    in_stride: int = 0
    out_stride: int = 0

    @property
    def plain(self) -> bool:
        """Whether the axis has no window."""
        whole = self.window == self.stride == self.base == 1
        return whole and self.low == 0 and self.out == self.size

    @property
    def extent(self) -> int:
        """Length of the axis with the gaps between its elements."""
        return (self.size - 1) * self.base + 1 if self.size else 0

    @property
    def reach(self) -> int:
        """How far the last element of the last window lies from the first of the first."""
        return (self.out - 1) * self.stride + (self.window - 1) * self.apart

    @property
    def inside(self) -> bool:
        """Whether all elements of all windows are elements of the operand."""
        return self.base == 1 and self.low <= 0 and self.reach - self.low < self.size


def axes_of(spec: WindowSpec) -> list[WindowAxis]:
    """The axes of a spec, each with the number of its windows; memory strides are left out."""
    found = []
    for n, w, s, (low, high), b, d in zip(
        spec.shape,
        spec.window_dimensions,
        spec.window_strides,
        spec.padding,
        spec.base_dilation,
        spec.window_dilation,
    ):
        extent = ((n - 1) * b + 1 if n else 0) + low + high
        reach = (w - 1) * d + 1
        found.append(
            WindowAxis(n, 0 if extent < reach else (extent - reach) // s + 1, w, s, low, b, d)
        )
    return found


def placed_axes(spec: WindowSpec) -> list[WindowAxis]:
    """Axes with their strides; neighbours without a window are one."""
    axes = axes_of(spec)
    found: list[WindowAxis] = []
    in_stride = out_stride = 1
    for axis in reversed(axes):
        placed = WindowAxis(
            axis.size, axis.out, axis.window, axis.stride, axis.low, axis.base, axis.apart,
            in_stride, out_stride,
        )  # fmt: skip
        in_stride, out_stride = in_stride * axis.size, out_stride * axis.out
        if found and placed.plain and found[0].plain:
            inner = found[0]
            n = inner.size * placed.size
            found[0] = WindowAxis(n, n, 1, 1, 0, 1, 1, inner.in_stride, inner.out_stride)
        elif not (placed.plain and placed.size == 1):
            found.insert(0, placed)
    return found or [WindowAxis(1, 1, 1, 1, 0, 1, 1, 1, 1)]


class Values:
    """Arithmetic of one dtype, scalars or vectors."""

    def __init__(self, code: Code, spec: WindowSpec) -> None:
        self.code, self.kind = code, spec.kind
        self.dtype, self.wide = spec.dtype, compute_dtype(spec.dtype)
        self.element = register_type(spec.dtype)
        self.is_float = dtypes.is_float(spec.dtype)
        self.unsigned = self.wide.kind == "u"
        identity = 0
        if spec.kind != "sum":
            identity = (dtypes.lowest if spec.kind == "max" else dtypes.highest)(self.wide)
        self.identity = float(identity) if self.is_float else int(identity)

    def start(self, lanes: int) -> ir.Value:
        """The identity in all lanes."""
        return literal(self.type(lanes), self.identity)

    def type(self, lanes: int) -> ir.Type:
        """A scalar for one lane, or a vector."""
        return ir.VectorType(self.element, lanes) if lanes > 1 else self.element

    def combine(self, total: ir.Value, x: ir.Value) -> ir.Value:
        """total + x, or the extremum; NaN where one of them is NaN."""
        b = self.code.b
        if self.kind == "sum":
            return b.fadd(total, x) if self.is_float else b.add(total, x)
        operator = ">" if self.kind == "max" else "<"
        if not self.is_float:
            compare = b.icmp_unsigned if self.unsigned else b.icmp_signed
            return b.select(compare(operator, total, x), total, x)
        best = b.select(b.fcmp_ordered(operator, total, x), total, x)  # x where one is NaN
        return b.select(b.fcmp_unordered("uno", total, total), total, best)

    def better(self, x: ir.Value, best: ir.Value) -> ir.Value:
        """Whether x takes the place of the best so far: greater (less), or the first NaN."""
        b = self.code.b
        operator = ">" if self.kind == "max" else "<"
        if not self.is_float:
            compare = b.icmp_unsigned if self.unsigned else b.icmp_signed
            return compare(operator, x, best)
        # Unordered or greater, unless the best is NaN already.
        greater = b.fcmp_unordered(operator, x, best)
        return b.and_(greater, b.fcmp_ordered("ord", best, best))


def tap_range(code: Code, axis: WindowAxis, o: Index) -> tuple[Index, Index]:
    """Which elements of window `o` lie within the axis's extent: from the first to before the second."""
    if axis.inside:
        return 0, axis.window
    start = code.sub(code.mul(o, axis.stride), axis.low)

    def quotient(x: Index) -> Index:
        if axis.apart == 1:
            return x
        if isinstance(x, int):
            return x // axis.apart
        return code.b.sdiv(x, code.value(axis.apart))

    first = quotient(code.maximum(code.add(code.sub(0, start), axis.apart - 1), 0))
    room = code.sub(axis.extent - 1 + axis.apart, start)
    last = quotient(code.maximum(room, 0))
    return first, code.minimum(last, axis.window)


def _element(code: Code, axis: WindowAxis, o: Index, k: Index) -> tuple[Index, ir.Value | bool]:
    """Which element of the axis element k of window o is, and whether it is one rather than a gap."""
    place = code.sub(code.add(code.mul(o, axis.stride), code.mul(k, axis.apart)), axis.low)
    if axis.base == 1:
        return place, True
    quotient, rest = code.divide(place, axis.base)
    if isinstance(rest, int):
        return quotient, rest == 0
    return quotient, code.b.icmp_signed("==", rest, code.value(0))


def walk_taps(
    code: Code,
    axes: Sequence[WindowAxis],
    coordinates: Sequence[Index],
    ranges: Sequence[tuple[Index, Index]],
    offset: Index,
    body: Callable[[Index, Index], None],
    number: Index = 0,
) -> None:
    """`body(offset of the element, number of the tap in row-major order)` for elements of a window."""
    if not axes:
        body(offset, number)
        return
    axis = axes[0]
    first, last = ranges[0]
    known = isinstance(first, int) and isinstance(last, int)

    def one(k: Index) -> None:
        element, good = _element(code, axis, coordinates[0], k)
        if good is False:
            return
        with code.when(good):
            place = code.add(offset, code.mul(element, axis.in_stride))
            following = code.add(code.mul(number, axis.window), k)
            walk_taps(code, axes[1:], coordinates[1:], ranges[1:], place, body, following)

    if known and last - first <= 4:  # type: ignore[operator]
        for k in range(first, last):  # type: ignore[arg-type]
            one(k)
    else:
        with code.loop(last, first) as k:
            one(k)


def empty_function(module: ir.Module, name: str, arguments: int) -> Emitted:
    """A function that has nothing to do."""
    function, code = new_function(module, name, [pointer] * arguments)
    code.b.ret_void()
    return Emitted(function, 0)


def run_items(
    module: ir.Module,
    code: Code,
    name: str,
    arguments: int,
    items: int,
    work: int,
    body: Callable[..., None],
) -> int:
    """`body(code, item, worker, pointers)` for each item, on the pool; returns how many chunks."""
    function = ir.Function(module, BODY, f"{name}.items")
    function.linkage = "internal"
    function.attributes.add("nounwind")
    inner = Code(ir.IRBuilder(function.append_basic_block("entry")))
    context, begin, end, worker = function.args
    arrays = inner.from_context(context, arguments)
    with inner.loop(end, begin) as item:
        body(inner, item, worker, *arrays)
    inner.b.ret_void()
    grain = max(1, _WORK_OF_CHUNK // max(work, 1), -(-items // _MOST_CHUNKS))
    array = code.context(code.b.function.args)
    if items <= grain:
        zero = code.value(0)
        code.b.call(function, [array, zero, code.value(items), zero])
        return 1
    code.parallel_for(function, array, items, grain)
    return -(-items // grain)


def by_vectors(
    code: Code,
    start: Index,
    stop: Index,
    lanes: int,
    body: Callable[[Index, int], None],
) -> None:
    """`body(index, count)` over a range: in vectors, then in shorter ones, then one by one."""
    sizes = [n for n in (lanes, lanes // 2, lanes // 4) if n > 1] + [1]
    for size in dict.fromkeys(sizes):
        if isinstance(start, int) and isinstance(stop, int):
            count: Index = max(stop - start, 0) // size * size
        else:
            left = code.maximum(code.sub(stop, start), 0)
            count = code.mul(code.divide(left, size)[0], size)
        if isinstance(count, int) and count == 0:
            continue
        end = code.add(start, count)
        with code.loop(end, start, size) as index:
            body(index, size)
        start = end


def strided_elements(
    code: Code, base: ir.Value, axis: WindowAxis, o: Index, k: Index, count: int, dtype: np.dtype
) -> ir.Value:
    """Element k of the windows o, o + 1, ... of a row."""
    start = code.mul(o, axis.stride)
    if count == 1 or axis.stride == 1:
        place = code.add(start, code.mul(k, axis.apart))
        return code.load(code.at(base, place, memory_of(dtype)), dtype, count)
    assert isinstance(k, int)
    # Two neighbouring elements of the window come from the same two vectors.
    even, odd = divmod(k * axis.apart, 2)
    both = code.load(code.at(base, code.add(start, 2 * even), memory_of(dtype)), dtype, 2 * count)
    return code.shuffle(both, both, range(odd, 2 * count, 2))


def lanes_for(dtype: np.dtype) -> int:
    """Lanes of the vectors that values of `dtype` are processed in."""
    return vector_bytes() // max(compute_dtype(dtype).itemsize, 4)
