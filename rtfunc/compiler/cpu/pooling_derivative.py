"""The derivative of max-pooling, as a native template.

In one pass the first extremum of each window is found and the cotangent added at its place; lanes are the
windows of a row (channels first) or channels (channels last). Axes without a window are shared out to the
pool's threads: no two of their points touch the same element. Depends on `windows`, `emission`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.emission import Code, Emitted, Index, compute_dtype, new_function, pointer
from rtfunc.compiler.cpu.register_tile import memory_of
from rtfunc.compiler.cpu.scalars import literal
from rtfunc.compiler.cpu.windows import (
    Values,
    WindowAxis,
    WindowSpec,
    by_vectors,
    empty_function,
    lanes_for,
    placed_axes,
    run_items,
    strided_elements,
    tap_range,
    walk_taps,
)


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
        return empty_function(module, name, 4)
    axes = placed_axes(spec)
    last = axes[-1]
    lanes = lanes_for(spec.dtype)
    # Items are the points of the outer axes without a window: their windows meet no other item's.
    shared = [a for a in axes[:-1] if a.plain]
    windowed = [a for a in axes[:-1] if not a.plain]
    moved = [a for a in axes if not a.plain]
    # Whether every element is in one window: then all are stored, and need not be cleared first.
    covered = all(
        a.window == a.stride
        and a.apart == a.base == 1
        and a.low == 0
        and a.out * a.stride == a.size
        for a in moved
    )
    # Without overlap nothing has to be added up.
    apart = all(a.stride > (a.window - 1) * a.apart for a in moved)
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
        values = Values(code, spec)
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
    run_items(module, code, name, 4, count, 4 * item_elements, item)
    code.b.ret_void()
    return Emitted(function, 0)


def _zero(
    code: Code, values: Values, out: ir.Value, axes: Sequence[WindowAxis], lanes: int
) -> None:
    """Set the elements of one item to 0."""
    if len(axes) > 1 and axes[0].in_stride == axes[1].in_stride * axes[1].size:
        merged = WindowAxis(axes[0].size * axes[1].size, 0, 1, 1, 0, 1, 1, axes[1].in_stride, 0)
        _zero(code, values, out, [merged, *axes[2:]], lanes)
        return
    element = memory_of(values.dtype)
    if len(axes) == 1:

        def clear(i: Index, count: int) -> None:
            zero = literal(values.type(count), 0)
            code.store(zero, code.at(out, i, element), values.dtype)

        by_vectors(code, 0, axes[0].size, lanes, clear)
        return
    with code.walk(axes[0].size, [(out, axes[0].in_stride, element)]) as (_, (place,)):
        _zero(code, values, place, axes[1:], lanes)


class _Scatter:
    """Emits the windows of one row of one item."""

    def __init__(
        self,
        code: Code,
        values: Values,
        dtype: np.dtype,
        windowed: Sequence[WindowAxis],
        last: WindowAxis,
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
        ranges = [tap_range(code, a, o) for a, o in zip(self.windowed, positions)]
        place = code.add(0, *(code.mul(o, a.out_stride) for o, a in zip(positions, self.windowed)))

        def windows(o: Index, count: int) -> None:
            self._windows(positions, ranges, place, o, count)

        if last.plain:
            by_vectors(code, 0, last.out, lanes, windows)
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
        by_vectors(code, 0, begin, 1, windows)
        whole = end
        if simple:
            smallest = min(n for n in (lanes, lanes // 2, lanes // 4) if n > 1)
            whole = begin + (end - begin) // smallest * smallest
            by_vectors(code, begin, whole, lanes, windows)
        by_vectors(code, whole, last.out, 1, windows)

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
        inner = (0, last.window) if count > 1 else tap_range(code, last, o)
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
                walk_taps(code, [last], [o], [inner], offset, scalar, number)

        def load(offset: Index, k: Index) -> ir.Value:
            if count > 1 and not last.plain:
                base = code.at(self.x, code.sub(offset, last.low), element)
                return strided_elements(code, base, last, o, k, count, self.dtype)
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

        walk_taps(code, axes, coordinates, ranges, 0, lambda f, n: along_row(f, n, look))
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

        walk_taps(code, axes, coordinates, ranges, 0, lambda f, n: along_row(f, n, add))

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
