"""Cumulative sums, products, extrema, log-sum-exps and linear recurrences as native loops.

Where axes follow the one that is accumulated along, every lane of a vector is a sequence of its own, and
running values stay in registers. Along the last axis a vector holds neighbours of one sequence, and the
prefixes inside it take log2(lanes) steps (Hillis and Steele, "Data parallel algorithms", 1986); products
of floats and recurrences, which such a regrouping could carry out of range, go one by one, several
sequences abreast. Half precision accumulates in float32. Depends on `axis_loops`, `scalars`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.axis_loops import around_axis, emit_items
from rtfunc.compiler.cpu.emission import Code, Index, i1
from rtfunc.compiler.cpu.scalars import (
    Operation,
    emitters,
    literal,
    memory_type,
    register_type,
    widen,
)
from rtfunc.compiler.cpu.templates import Template
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation

_combine = {
    "cumsum": "add",
    "cumprod": "mul",
    "cummax": "max",
    "cummin": "min",
    "cumlogsumexp": "logaddexp",
}
_ABREAST = 8
_BLOCK_VECTORS = 64


@dataclasses.dataclass(frozen=True)
class CumulativeSpec:
    """A cumulation: its primitive's name, dtype, sizes around the axis, and direction."""

    kind: str
    dtype: np.dtype
    sizes: tuple[int, int, int]
    reverse: bool


def cumulative_spec(equation: Equation) -> CumulativeSpec | None:
    """The spec of a cumulation or recurrence; None if it has no native form."""
    out = equation.outputs[0].aval
    dtype = out.dtype
    if out.size == 0 or dtype not in (dtypes.bool_, *dtypes.integers, *dtypes.floats):
        return None
    if dtype == dtypes.bool_:
        dtype = dtypes.uint8  # the extrema of 0 and 1 in memory
    sizes = around_axis(out.shape, equation.params["axis"])
    return CumulativeSpec(equation.primitive.name, dtype, sizes, equation.params["reverse"])


def emit_cumulative(module: ir.Module, name: str, spec: CumulativeSpec, vector_bytes: int) -> None:
    """Print the template's function: see `templates`."""
    outer, length, inner = spec.sizes
    heavy = 24 if spec.kind == "cumlogsumexp" else 1
    lanes = vector_bytes // max(4 if dtypes.is_float(spec.dtype) else 1, spec.dtype.itemsize)
    printer = _Printer(spec, lanes)
    if inner > 1:
        blocks, width = printer.blocks()
        items, cost, body = outer * blocks, length * width * heavy // 2, printer.beside
    elif printer.is_regrouped():
        items, cost, body = outer, length * heavy, printer.within
    else:
        items, cost = -(-outer // _ABREAST), length * 4 * min(outer, _ABREAST)
        body = printer.one_by_one
    emit_items(module, name, items, max(1, cost), body)


class _Printer:
    def __init__(self, spec: CumulativeSpec, lanes: int):
        self.spec = spec
        self.outer, self.length, self.inner = spec.sizes
        self.lanes = lanes
        self.element = memory_type(spec.dtype)
        self.operands = 2 if spec.kind == "linear_recurrence" else 1

    def is_regrouped(self) -> bool:
        """Whether neighbours may be combined before what stands in front of them is added."""
        if self.spec.kind == "linear_recurrence":
            return False
        return self.spec.kind != "cumprod" or not dtypes.is_float(self.spec.dtype)

    def _identity(self) -> float:
        """What changes nothing in front of the first element; -0.0 keeps the sign of zeros."""
        dtype, kind = self.spec.dtype, self.spec.kind
        if kind == "cumsum":
            return -0.0 if dtypes.is_float(dtype) else 0
        if kind == "cumprod":
            return 1
        if dtypes.is_float(dtype):
            return math.inf if kind == "cummin" else -math.inf
        return int(dtypes.highest(dtype) if kind == "cummin" else dtypes.lowest(dtype))

    def _step(self, code: Code, before: ir.Value, values: list[ir.Value]) -> ir.Value:
        """The running value after one more element."""
        dtype, b = self.spec.dtype, code.b
        if self.spec.kind == "linear_recurrence":
            decay, x = values
            if dtypes.is_float(dtype):
                return b.fadd(b.fmul(decay, before), x)
            return b.add(b.mul(decay, before), x)
        emit = emitters[_combine[self.spec.kind]]
        return emit(Operation(b, (before, values[0]), dtype, dtype, {}))

    def _step_if(
        self, code: Code, before: ir.Value, value: ir.Value, absent: list[bool] | ir.Value
    ) -> ir.Value:
        """The running value where nothing may stand before the element: in lanes, or altogether.

        Then `before` is the identity, which most operations take as any other value. exp(-inf) is
        slow, though: log-sum-exp is kept from it.
        """
        if self.spec.kind != "cumlogsumexp":
            return self._step(code, before, [value])
        if isinstance(absent, list):
            absent = ir.Constant(ir.VectorType(i1, len(absent)), [int(a) for a in absent])
        before = code.b.select(absent, value, before)
        return code.b.select(absent, value, self._step(code, before, [value]))

    def _buffers(self, code: Code, table: ir.Value) -> tuple[ir.Value, list[ir.Value]]:
        out, *operands = code.from_context(table, 1 + self.operands)
        return out, operands

    def _place(self, code: Code, step: Index) -> Index:
        """Position along the axis of the `step`-th element to be added."""
        return code.sub(self.length - 1, step) if self.spec.reverse else step

    # Lanes beside each other.

    def blocks(self) -> tuple[int, int]:
        """Into how many blocks the inner axes are cut, and the size of one."""
        vectors = -(-self.inner // self.lanes)
        # Few sequences are cut finely, so that there is something to share out.
        most = max(4, min(_BLOCK_VECTORS, vectors * self.outer // 8))
        width = min(vectors, most) * self.lanes
        return -(-self.inner // width), width

    def beside(self, code: Code, table: ir.Value, begin: ir.Value, end: ir.Value) -> None:
        """Items are blocks of sequences that lie beside each other."""
        blocks, width = self.blocks()
        out, operands = self._buffers(code, table)
        of = widen(register_type(self.spec.dtype), self.lanes)
        running = code.slot(of, width // self.lanes)
        with code.loop(end, begin) as item:
            row, block = code.divide(item, blocks)
            first = code.mul(block, width)
            start = code.add(code.mul(row, self.length * self.inner), first)
            if self.inner >= width:
                # The last block begins earlier where the others leave less than a block.
                late = code.minimum(first, self.inner - width)
                start = code.add(start, code.sub(late, first))
                valid = self.lanes
            else:
                valid = self.inner % self.lanes or self.lanes
            self._block(code, out, operands, start, width // self.lanes, running, of, valid)

    def _block(
        self,
        code: Code,
        out: ir.Value,
        operands: list[ir.Value],
        start: Index,
        vectors: int,
        running: ir.Value,
        of: ir.Type,
        valid: int,
    ) -> None:
        """All steps for a block of `vectors` vectors; the last has `valid` lanes."""
        dtype = self.spec.dtype
        whole = vectors if valid == self.lanes else vectors - 1

        def one(base: Index, k: Index, is_first: bool, count: int | None) -> None:
            at = code.add(base, code.mul(k, self.lanes))
            values = [
                code.load(code.at(x, at, self.element), dtype, self.lanes, count) for x in operands
            ]
            slot = code.at(running, k, of)
            if is_first:
                value = values[-1]
            else:
                value = self._step(code, code.b.load(slot, typ=of), values)
            code.b.store(value, slot)
            code.store(value, code.at(out, at, self.element), dtype, count)

        def row(step: Index, is_first: bool) -> None:
            base = code.add(start, code.mul(self._place(code, step), self.inner))
            if whole <= 4:
                for k in range(whole):
                    one(base, k, is_first, None)
            else:
                with code.loop(whole) as k:
                    one(base, k, is_first, None)
            if whole < vectors:
                one(base, whole, is_first, valid)

        row(0, True)
        with code.loop(self.length, 1) as step:
            row(step, False)

    # Neighbours in one vector.

    def within(self, code: Code, table: ir.Value, begin: ir.Value, end: ir.Value) -> None:
        """Items are sequences, taken a vector at a time."""
        out, operands = self._buffers(code, table)
        lanes = self.lanes
        while lanes > 1 and lanes >= 2 * self.length:
            lanes //= 2
        reverse, length = self.spec.reverse, self.length
        whole, rest = length // lanes, length % lanes
        of = widen(register_type(self.spec.dtype), lanes)
        identity = literal(of, self._identity())
        slot = code.slot(of)

        def one(base: Index, count: int | None, is_first: ir.Value, is_last: bool) -> None:
            (x,) = operands
            value = code.load(code.at(x, base, self.element), self.spec.dtype, lanes, count)
            limit = lanes if count is None else count
            if limit < lanes and reverse:
                value = code.b.select(code.lane_mask(limit, lanes), value, identity)
            distance = 1
            while distance < lanes:
                if reverse:
                    moved = code.shuffle(value, identity, range(distance, distance + lanes))
                    absent = [lane + distance >= limit for lane in range(lanes)]
                else:
                    chosen = range(lanes - distance, 2 * lanes - distance)
                    moved = code.shuffle(identity, value, chosen)
                    absent = [lane < distance for lane in range(lanes)]
                value = self._step_if(code, moved, value, absent)
                distance *= 2
            before = code.b.load(slot, typ=of)
            if not is_last:
                total = value
                if lanes > 1:
                    total = code.shuffle(value, value, [0 if reverse else lanes - 1] * lanes)
                code.b.store(self._step_if(code, before, total, is_first), slot)
            value = self._step_if(code, before, value, is_first)
            code.store(value, code.at(out, base, self.element), self.spec.dtype, count)

        with code.loop(end, begin) as item:
            base = code.mul(item, length)
            code.b.store(identity, slot)
            with code.loop(whole) as k:
                along = code.mul(k, lanes)
                place = code.sub(length - lanes, along) if reverse else along
                first = code.b.icmp_signed("==", code.value(k), code.value(0))
                one(code.add(base, place), None, first, whole == 1 and not rest)
            if rest:
                place = 0 if reverse else whole * lanes
                one(code.add(base, place), rest, ir.Constant(i1, int(not whole)), True)

    # One element after the other.

    def one_by_one(self, code: Code, table: ir.Value, begin: ir.Value, end: ir.Value) -> None:
        """Items are groups of sequences, the chains of which run abreast."""
        out, operands = self._buffers(code, table)
        abreast = min(self.outer, _ABREAST)
        of = register_type(self.spec.dtype)
        slots = [code.slot(of) for _ in range(abreast)]

        def one(base: Index, slot: ir.Value, is_first: bool) -> None:
            dtype = self.spec.dtype
            values = [code.load(code.at(x, base, self.element), dtype) for x in operands]
            if is_first:
                value = values[-1]
            else:
                value = self._step(code, code.b.load(slot, typ=of), values)
            code.b.store(value, slot)
            code.store(value, code.at(out, base, self.element), dtype)

        with code.loop(end, begin) as item:
            # The last group begins earlier where fewer rows are left.
            row = code.minimum(code.mul(item, _ABREAST), self.outer - abreast)
            start = code.mul(row, self.length)

            def step_of_all(step: Index, is_first: bool, start: Index = start) -> None:
                base = code.add(start, self._place(code, step))
                for k, slot in enumerate(slots):
                    one(code.add(base, k * self.length), slot, is_first)

            step_of_all(0, True)
            with code.loop(self.length, 1) as step:
                step_of_all(step, False)


def template(name: str) -> Template:
    """The native form of cumulative operations."""
    return Template(cumulative_spec, emit_cumulative)
