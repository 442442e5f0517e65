"""Windowed reductions and the derivative of max-pooling, as native templates.

A row of the output, along its last axis, is computed at a time. `emit_reduce_window` first combines the
input rows that the window reaches, vector by vector; where the last axis has a window too (channels first)
the combined row goes into a buffer with the identity around it, and the window along the row is taken from
there with contiguous or every-other-lane loads. `emit_select_and_scatter_add` finds the first extremum of
each window, lanes being windows of a row or channels, and adds the cotangent at its place in the same
pass. Items that share nothing run on the pool's threads: results depend on shapes alone.

Depends on `emission`, `scalars`, `threads_ir`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu import engine
from rtfunc.compiler.cpu.emission import (
    BODY,
    Code,
    Emitted,
    Index,
    compute_dtype,
    i64,
    new_function,
    pointer,
)
from rtfunc.compiler.cpu.register_tile import memory_of
from rtfunc.compiler.cpu.scalars import literal, register_type
from rtfunc.compiler.cpu.threads_ir import MAX_THREADS
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
        return tuple(a.out for a in _axes(self))


@dataclass(frozen=True)
class _Axis:
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


def _axes(spec: WindowSpec) -> list[_Axis]:
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
        found.append(_Axis(n, 0 if extent < reach else (extent - reach) // s + 1, w, s, low, b, d))
    return found


def _placed_axes(spec: WindowSpec) -> list[_Axis]:
    """Axes with their strides; neighbours without a window are one."""
    axes = _axes(spec)
    found: list[_Axis] = []
    in_stride = out_stride = 1
    for axis in reversed(axes):
        placed = _Axis(
            axis.size, axis.out, axis.window, axis.stride, axis.low, axis.base, axis.apart,
            in_stride, out_stride,
        )  # fmt: skip
        in_stride, out_stride = in_stride * axis.size, out_stride * axis.out
        if found and placed.plain and found[0].plain:
            inner = found[0]
            n = inner.size * placed.size
            found[0] = _Axis(n, n, 1, 1, 0, 1, 1, inner.in_stride, inner.out_stride)
        elif not (placed.plain and placed.size == 1):
            found.insert(0, placed)
    return found or [_Axis(1, 1, 1, 1, 0, 1, 1, 1, 1)]


class _Values:
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


def _tap_range(code: Code, axis: _Axis, o: Index) -> tuple[Index, Index]:
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


def _element(code: Code, axis: _Axis, o: Index, k: Index) -> tuple[Index, ir.Value | bool]:
    """Which element of the axis element k of window o is, and whether it is one rather than a gap."""
    place = code.sub(code.add(code.mul(o, axis.stride), code.mul(k, axis.apart)), axis.low)
    if axis.base == 1:
        return place, True
    quotient, rest = code.divide(place, axis.base)
    if isinstance(rest, int):
        return quotient, rest == 0
    return quotient, code.b.icmp_signed("==", rest, code.value(0))


def _taps(
    code: Code,
    axes: Sequence[_Axis],
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
            _taps(code, axes[1:], coordinates[1:], ranges[1:], place, body, following)

    if known and last - first <= 4:  # type: ignore[operator]
        for k in range(first, last):  # type: ignore[arg-type]
            one(k)
    else:
        with code.loop(last, first) as k:
            one(k)


def _empty(module: ir.Module, name: str, arguments: int) -> Emitted:
    function, code = new_function(module, name, [pointer] * arguments)
    code.b.ret_void()
    return Emitted(function, 0)


def _run(
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


def emit_reduce_window(
    module: ir.Module, name: str, spec: WindowSpec, *, workers: int = MAX_THREADS
) -> Emitted:
    """Define a windowed reduction as `void name(ptr out, ptr operand, ptr scratch)`.

    Args:
        module: gets the function, and more whose names begin with `name`.
        name: free in the module.
        spec: what to compute. Windows without an element give the identity: 0, or the lowest (highest)
            value, infinite for floats.
        workers: the most threads that a call will run on; scratch memory is for so many.
    """
    if math.prod(spec.out_shape) == 0:
        return _empty(module, name, 3)
    *outer, last = _placed_axes(spec)
    lanes = engine.vector_bytes() // max(compute_dtype(spec.dtype).itemsize, 4)
    windowed = [a for a in outer if not a.plain]
    itemsize = compute_dtype(spec.dtype).itemsize
    # The buffered row: the reach of all windows, and room for vectors that run over its end.
    length = max(last.reach + 1, 1) + 2 * last.stride * lanes + 2 * lanes
    row_bytes = 0 if last.plain else -(-length * itemsize // 64) * 64
    taps = math.prod(a.window for a in windowed)

    def row(
        code: Code, item: Index, worker: Index, out: ir.Value, x: ir.Value, scratch: ir.Value
    ) -> None:
        values = _Values(code, spec)
        coordinates = code.unravel(item, [a.out for a in outer])
        offset = code.add(0, *(code.mul(o, a.out_stride) for o, a in zip(coordinates, outer)))
        base = code.add(
            0, *(code.mul(o, a.in_stride) for o, a in zip(coordinates, outer) if a.plain)
        )
        positions = [o for o, a in zip(coordinates, outer) if not a.plain]
        ranges = [_tap_range(code, a, o) for a, o in zip(windowed, positions)]
        target = code.at(out, offset, memory_of(spec.dtype))

        def combined(start: Index, count: int) -> ir.Value:
            """The combination of `count` elements of the rows that the window reaches."""
            slot = code.slot(values.type(count))
            code.b.store(values.start(count), slot)

            def add(place: Index, _: Index) -> None:
                address = code.at(x, code.add(place, start), memory_of(spec.dtype))
                total = code.b.load(slot, typ=values.type(count))
                code.b.store(values.combine(total, code.load(address, spec.dtype, count)), slot)

            _taps(code, windowed, positions, ranges, base, add)
            return code.b.load(slot, typ=values.type(count))

        if last.plain:
            _by_vectors(code, 0, last.size, lanes, lambda i, count: code.store(
                combined(i, count), code.at(target, i, memory_of(spec.dtype)), spec.dtype
            ))  # fmt: skip
            return
        buffer = code.at(scratch, code.mul(worker, row_bytes), ir.IntType(8))
        element = memory_of(values.wide)
        first, stop = _fill_ends(code, values, buffer, last, length, lanes)

        def keep(i: Index, count: int) -> None:
            value = combined(i, count)
            place = code.add(code.mul(i, last.base), last.low)
            if last.base == 1:
                code.store(value, code.at(buffer, place, element), values.wide)
                return
            for lane in range(count):
                part = value if count == 1 else code.b.extract_element(value, literal(i64, lane))
                goal = code.at(buffer, code.add(place, lane * last.base), element)
                code.store(part, goal, values.wide)

        _by_vectors(code, first, stop, lanes, keep)

        def window(o: Index, count: int) -> None:
            slot = code.slot(values.type(count))
            code.b.store(values.start(count), slot)

            def add(k: Index) -> None:
                total = code.b.load(slot, typ=values.type(count))
                part = _strided(code, buffer, last, o, k, count, values.wide)
                code.b.store(values.combine(total, part), slot)

            if last.window <= 8:
                for k in range(last.window):
                    add(k)
            else:
                with code.loop(last.window) as k:
                    add(k)
            value = code.b.load(slot, typ=values.type(count))
            code.store(value, code.at(target, o, memory_of(spec.dtype)), spec.dtype)

        fits = last.stride == 1 or (last.stride == 2 and last.window <= 8)
        _by_vectors(code, 0, last.out, lanes if fits else 1, window)

    function, code = new_function(module, name, [pointer] * 3)
    work = last.size * taps + last.out * last.window
    chunks = _run(module, code, name, 3, math.prod(a.out for a in outer), work, row)
    code.b.ret_void()
    return Emitted(function, row_bytes * min(chunks, workers))


def _by_vectors(
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


def _fill_ends(
    code: Code, values: _Values, buffer: ir.Value, axis: _Axis, length: int, lanes: int
) -> tuple[int, int]:
    """Put the identity where the buffered row has no elements; returns which elements go into it."""
    element = memory_of(values.wide)
    first = max(0, -(axis.low // axis.base)) if axis.low < 0 else 0
    stop = min(axis.size, (length - lanes - 1 - axis.low) // axis.base + 1)
    stop = max(stop, first)
    if axis.inside:
        spans = []  # what is beyond goes into lanes that are not stored
    elif axis.base > 1:
        spans = [(0, length - lanes)]
    else:
        spans = [(0, axis.low + first), (axis.low + stop, length - lanes)]
    for begin, end in spans:
        if begin < end:
            with code.loop(end, begin, lanes) as i:
                code.store(values.start(lanes), code.at(buffer, i, element), values.wide)
    return first, stop


def _strided(
    code: Code, base: ir.Value, axis: _Axis, o: Index, k: Index, count: int, dtype: np.dtype
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


def emit_select_and_scatter_add(module: ir.Module, name: str, spec: WindowSpec) -> Emitted:
    """Define the transpose of choosing each window's extremum: `void name(out, source, operand, scratch)`.

    `out`, of the operand's shape, is the sum of the source's elements at the places of the first maximum
    (minimum) of their windows in row-major order, or of the first NaN.

    Args:
        module: gets the function, and more whose names begin with `name`.
        name: free in the module.
        spec: the windows over the operand; kind "max" or "min".

    Raises:
        NotImplementedError: windows overlap and the dtype has 16 bits.
    """
    if math.prod(spec.shape) == 0:
        return _empty(module, name, 4)
    axes = _placed_axes(spec)
    last = axes[-1]
    lanes = engine.vector_bytes() // max(compute_dtype(spec.dtype).itemsize, 4)
    # Items are the points of the outer axes without a window: their windows meet no other item's.
    shared = [a for a in axes[:-1] if a.plain]
    windowed = [a for a in axes[:-1] if not a.plain]
    covered = all(a.window == a.stride and a.apart == 1 and a.low == 0 for a in (*windowed, last) if not a.plain)  # fmt: skip
    covered = covered and all(a.out * a.stride == a.size and a.base == 1 for a in axes if not a.plain)  # fmt: skip
    # Without overlap nothing has to be added up.
    apart = all(a.stride > (a.window - 1) * a.apart for a in axes if not a.plain)
    if not apart and spec.dtype != compute_dtype(spec.dtype):
        raise NotImplementedError("overlapping windows over 16-bit floats sum up in float32")
    size = math.prod(a.size for a in axes)
    item_elements = size // max(math.prod(a.size for a in shared), 1)

    def item(
        code: Code,
        number: Index,
        worker: Index,
        out: ir.Value,
        source: ir.Value,
        x: ir.Value,
        scratch: ir.Value,
    ) -> None:
        coordinates = code.unravel(number, [a.out for a in shared])
        from_x = code.add(0, *(code.mul(o, a.in_stride) for o, a in zip(coordinates, shared)))
        from_source = code.add(0, *(code.mul(o, a.out_stride) for o, a in zip(coordinates, shared)))
        values = _Values(code, spec)
        out, x = (code.at(p, from_x, memory_of(spec.dtype)) for p in (out, x))
        source = code.at(source, from_source, memory_of(spec.dtype))
        if not covered:
            _zero(code, values, out, [a for a in axes if a not in shared], lanes)
        scatter = _Scatter(code, values, spec.dtype, windowed, last, apart, out, source, x)
        rows = [a.out for a in windowed]
        with code.loop(math.prod(rows)) as row:
            positions = code.unravel(row, rows)
            scatter.row(positions, lanes)

    function, code = new_function(module, name, [pointer] * 4)
    count = math.prod(a.size for a in shared)
    _run(module, code, name, 4, count, 4 * item_elements, item)
    code.b.ret_void()
    return Emitted(function, 0)


def _zero(code: Code, values: _Values, out: ir.Value, axes: Sequence[_Axis], lanes: int) -> None:
    """Set the elements of one item to 0."""
    if len(axes) > 1 and axes[0].in_stride == axes[1].in_stride * axes[1].size:
        merged = _Axis(axes[0].size * axes[1].size, 0, 1, 1, 0, 1, 1, axes[1].in_stride, 0)
        _zero(code, values, out, [merged, *axes[2:]], lanes)
        return
    element = memory_of(values.dtype)
    if len(axes) == 1:

        def clear(i: Index, count: int) -> None:
            zero = literal(values.type(count), 0)
            code.store(zero, code.at(out, i, element), values.dtype)

        _by_vectors(code, 0, axes[0].size, lanes, clear)
        return
    with code.walk(axes[0].size, [(out, axes[0].in_stride, element)]) as (_, (place,)):
        _zero(code, values, place, axes[1:], lanes)


class _Scatter:
    """Emits the windows of one row of one item."""

    def __init__(
        self,
        code: Code,
        values: _Values,
        dtype: np.dtype,
        windowed: Sequence[_Axis],
        last: _Axis,
        apart: bool,
        out: ir.Value,
        source: ir.Value,
        x: ir.Value,
    ) -> None:
        self.code, self.values, self.dtype = code, values, dtype
        self.windowed, self.last, self.apart = windowed, last, apart
        self.out, self.source, self.x = out, source, x

    def row(self, positions: Sequence[Index], lanes: int) -> None:
        """All windows of a row: vectors where all their elements are the operand's, else one by one."""
        code, last = self.code, self.last
        ranges = [_tap_range(code, a, o) for a, o in zip(self.windowed, positions)]
        place = code.add(0, *(code.mul(o, a.out_stride) for o, a in zip(positions, self.windowed)))

        def windows(o: Index, count: int) -> None:
            self._windows(positions, ranges, place, o, count)

        if last.plain:
            _by_vectors(code, 0, last.out, lanes, windows)
            return
        simple = last.stride <= 2 and last.base == 1 and last.window <= 8
        begin = min(max(-(-last.low // last.stride), 0), last.out)
        # Vectors of every other element also touch the one after the last.
        reach = (last.window - 1) * last.apart
        if last.stride == 2 and (reach % 2 == 0 or last.apart > 1):
            reach += 1
        end = (last.size - 1 - reach + last.low) // last.stride + 1
        end = min(max(end, begin), last.out)
        if not simple:
            begin = end = 0
        _by_vectors(code, 0, begin, 1, windows)
        whole = end
        if simple:
            smallest = min(n for n in (lanes, lanes // 2, lanes // 4) if n > 1)
            whole = begin + (end - begin) // smallest * smallest
            _by_vectors(code, begin, whole, lanes, windows)
        _by_vectors(code, whole, last.out, 1, windows)

    def _windows(
        self,
        positions: Sequence[Index],
        ranges: Sequence[tuple[Index, Index]],
        place: Index,
        o: Index,
        count: int,
    ) -> None:
        """`count` windows from o on: find the chosen elements, then add there."""
        code, values, last = self.code, self.values, self.last
        kind = values.type(count)
        number_type = ir.VectorType(ir.IntType(32), count) if count > 1 else ir.IntType(32)
        best, choice = code.slot(kind), code.slot(number_type)
        code.b.store(values.start(count), best)
        code.b.store(literal(number_type, -1), choice)
        inner = (0, last.window) if count > 1 else _tap_range(code, last, o)
        axes = [*self.windowed]
        coordinates = list(positions)
        element = memory_of(self.dtype)

        def along_row(
            offset: Index, number: Index, body: Callable[[Index, Index, Index], None]
        ) -> None:
            """`body(offset, number, k)` for the elements of the window along the row."""
            if count > 1 and not last.plain:
                for k in range(last.window):
                    body(offset, code.add(code.mul(number, last.window), k), k)
                return

            def scalar(place: Index, number: Index) -> None:
                body(place, number, 0)

            if last.plain:
                body(code.add(offset, o), number, 0)
            else:
                _taps(code, [last], [o], [inner], offset, scalar, number)

        def load(offset: Index, k: Index) -> ir.Value:
            if count > 1 and not last.plain:
                base = code.at(self.x, code.sub(offset, last.low), element)
                return _strided(code, base, last, o, k, count, self.dtype)
            return code.load(code.at(self.x, offset, element), self.dtype, count)

        def look(offset: Index, number: Index, k: Index) -> None:
            value = load(offset, k)
            so_far = code.b.load(best, typ=kind)
            chosen = code.b.load(choice, typ=number_type)
            take = values.better(value, so_far)
            # The first element is taken whatever it is: it may be as low as the start.
            none = code.b.icmp_signed("==", chosen, literal(number_type, -1))
            take = code.b.or_(take, none)
            code.b.store(code.b.select(take, value, so_far), best)
            index = self._numbers(number, count)
            code.b.store(code.b.select(take, index, chosen), choice)

        _taps(code, axes, coordinates, ranges, 0, lambda f, n: along_row(f, n, look))
        source = code.at(self.source, code.add(place, o), element)
        value = code.load(source, self.dtype, count)
        zero = literal(kind, 0)
        chosen = code.b.load(choice, typ=number_type)

        def part(number: Index) -> ir.Value:
            hit = code.b.icmp_signed("==", chosen, self._numbers(number, count))
            return code.b.select(hit, value, zero)

        def add(offset: Index, number: Index, k: Index) -> None:
            if count > 1 and last.stride == 2 and not last.plain:
                self._add_interleaved(offset, number, k, o, count, part)
                return
            if count > 1 and not last.plain:
                place = code.add(o, code.mul(k, last.apart), -last.low)
                offset = code.add(offset, place)
            self._accumulate(code.at(self.out, offset, element), part(number), count)

        _taps(code, axes, coordinates, ranges, 0, lambda f, n: along_row(f, n, add))

    def _numbers(self, number: Index, count: int) -> ir.Value:
        code = self.code
        if isinstance(number, int):
            kind = ir.VectorType(ir.IntType(32), count) if count > 1 else ir.IntType(32)
            return literal(kind, number)
        narrow = code.b.trunc(number, ir.IntType(32))
        return code.splat(narrow, count) if count > 1 else narrow

    def _add_interleaved(
        self,
        offset: Index,
        number: Index,
        k: Index,
        o: Index,
        count: int,
        part: Callable[[Index], ir.Value],
    ) -> None:
        """Windows in steps of 2: elements k and k + 1 of all go to a contiguous range together."""
        code, last = self.code, self.last
        assert isinstance(k, int)
        paired = last.apart == 1
        if paired and k % 2 == 1:
            return
        even = part(number)
        zero = literal(even.type, 0)
        odd = part(code.add(number, 1)) if paired and k + 1 < last.window else zero
        mixed = code.shuffle(even, odd, [i // 2 + count * (i % 2) for i in range(2 * count)])
        place = code.add(code.mul(o, 2), k * last.apart - last.low)
        address = code.at(self.out, code.add(offset, place), memory_of(self.dtype))
        self._accumulate(address, mixed, 2 * count)

    def _accumulate(self, address: ir.Value, value: ir.Value, count: int) -> None:
        code = self.code
        if not self.apart:
            old = code.load(address, self.dtype, count)
            value = code.b.fadd(old, value) if self.values.is_float else code.b.add(old, value)
        code.store(value, address, self.dtype)
