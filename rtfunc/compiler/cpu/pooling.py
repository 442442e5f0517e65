"""Windowed reductions, as native templates.

A row of the output, along its last axis, is computed at a time. First the input rows that the window
reaches are combined, vector by vector. Where the last axis has a window too (channels first) the combined
row goes into a buffer with the identity around it, and the window along the row is taken from there with
contiguous or every-other-lane loads. Rows run on the pool's threads; how they are shared out depends on
shapes alone, and so do the bits of a sum.

Depends on `windows`, `emission`, `threads_ir`.
"""

from __future__ import annotations

import math

from llvmlite import ir

from rtfunc.compiler.cpu.emission import (
    Code,
    Emitted,
    Index,
    compute_dtype,
    i64,
    new_function,
    pointer,
)
from rtfunc.compiler.cpu.register_tile import memory_of
from rtfunc.compiler.cpu.scalars import literal
from rtfunc.compiler.cpu.threads_ir import MAX_THREADS
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
        return empty_function(module, name, 3)
    *outer, last = placed_axes(spec)
    lanes = lanes_for(spec.dtype)
    windowed = [a for a in outer if not a.plain]
    itemsize = compute_dtype(spec.dtype).itemsize
    # The buffered row: the reach of all windows, and room for vectors that run over its end.
    length = max(last.reach + 1, 1) + 2 * last.stride * lanes + 2 * lanes
    row_bytes = 0 if last.plain else -(-length * itemsize // 64) * 64
    taps = math.prod(a.window for a in windowed)

    def row(
        code: Code, item: Index, worker: Index, out: ir.Value, x: ir.Value, scratch: ir.Value
    ) -> None:
        values = Values(code, spec)
        coordinates = code.unravel(item, [a.out for a in outer])
        offset = code.add(0, *(code.mul(o, a.out_stride) for o, a in zip(coordinates, outer)))
        base = code.add(
            0, *(code.mul(o, a.in_stride) for o, a in zip(coordinates, outer) if a.plain)
        )
        positions = [o for o, a in zip(coordinates, outer) if not a.plain]
        ranges = [tap_range(code, a, o) for a, o in zip(windowed, positions)]
        target = code.at(out, offset, memory_of(spec.dtype))

        def combined(start: Index, count: int) -> ir.Value:
            """The combination of `count` elements of the rows that the window reaches."""
            slot = code.slot(values.type(count))
            code.b.store(values.start(count), slot)

            def add(place: Index, _: Index) -> None:
                address = code.at(x, code.add(place, start), memory_of(spec.dtype))
                total = code.b.load(slot, typ=values.type(count))
                code.b.store(values.combine(total, code.load(address, spec.dtype, count)), slot)

            walk_taps(code, windowed, positions, ranges, base, add)
            return code.b.load(slot, typ=values.type(count))

        if last.plain:
            by_vectors(code, 0, last.size, lanes, lambda i, count: code.store(
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

        by_vectors(code, first, stop, lanes, keep)

        def window(o: Index, count: int) -> None:
            slot = code.slot(values.type(count))
            code.b.store(values.start(count), slot)

            def add(k: Index) -> None:
                total = code.b.load(slot, typ=values.type(count))
                part = strided_elements(code, buffer, last, o, k, count, values.wide)
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
        by_vectors(code, 0, last.out, lanes if fits else 1, window)

    function, code = new_function(module, name, [pointer] * 3)
    work = last.size * taps + last.out * last.window
    chunks = run_items(module, code, name, 3, math.prod(a.out for a in outer), work, row)
    code.b.ret_void()
    return Emitted(function, row_bytes * min(chunks, workers))


def _fill_ends(
    code: Code, values: Values, buffer: ir.Value, axis: WindowAxis, length: int, lanes: int
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
