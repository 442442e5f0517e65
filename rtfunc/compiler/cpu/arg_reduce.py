"""argmax and argmin as native loops: the first occurrence, NaN before all numbers.

Where axes follow the reduced one, every lane of a vector is a sequence of its own. Along the last axis
each lane keeps the best of its own elements, and at the end of a row the values are mapped to
integers in the same order, of which one reduction finds the best and another its lowest index. Depends
on `axis_loops`, `scalars`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.axis_loops import around_axis, emit_items
from rtfunc.compiler.cpu.emission import Code, Index, i32
from rtfunc.compiler.cpu.scalars import convert, literal, memory_type, register_type, widen
from rtfunc.compiler.cpu.templates import Template
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation

_ABREAST = 4


@dataclasses.dataclass(frozen=True)
class ArgReduceSpec:
    """An arg-reduction: of the largest or smallest, dtype, dtype of indices, sizes about the axis."""

    largest: bool
    dtype: np.dtype
    index_dtype: np.dtype
    sizes: tuple[int, int, int]


def arg_reduce_spec(equation: Equation) -> ArgReduceSpec | None:
    """The spec of an argmax or argmin; None if it has no native form."""
    x = equation.inputs[0].aval
    dtype = x.dtype
    supported = (dtypes.bool_, *dtypes.integers, *dtypes.floats)
    sizes = around_axis(x.shape, equation.params["axis"])
    if x.size == 0 or dtype not in supported or sizes[1] >= 1 << 31:
        return None
    if dtype == dtypes.bool_:
        dtype = dtypes.uint8
    largest = equation.primitive.name == "argmax"
    return ArgReduceSpec(largest, dtype, equation.params["dtype"], sizes)


def emit_arg_reduce(module: ir.Module, name: str, spec: ArgReduceSpec, vector_bytes: int) -> None:
    """Print the template's function: see `templates`."""
    outer, length, inner = spec.sizes
    lanes = vector_bytes // max(4, spec.dtype.itemsize)
    printer = _Printer(spec, lanes)
    if inner > 1:
        blocks = printer.blocks()
        emit_items(module, name, outer * blocks, length * lanes * _ABREAST // 2, printer.beside)
    else:
        emit_items(module, name, outer, length // 2 + 64, printer.within)


class _Printer:
    def __init__(self, spec: ArgReduceSpec, lanes: int):
        self.spec = spec
        self.outer, self.length, self.inner = spec.sizes
        self.lanes = lanes
        self.element = memory_type(spec.dtype)
        self.is_float = dtypes.is_float(spec.dtype)
        self.is_signed = dtypes.kind(spec.dtype) != "unsigned"

    def _is_better(self, b: ir.IRBuilder, x: ir.Value, best: ir.Value) -> ir.Value:
        """Whether x stands before the best so far: beyond it, or the first NaN."""
        relation = ">" if self.spec.largest else "<"
        if self.is_float:
            is_number = b.fcmp_ordered("ord", best, best)
            return b.and_(b.fcmp_unordered(relation, x, best), is_number)
        compare = b.icmp_signed if self.is_signed else b.icmp_unsigned
        return compare(relation, x, best)

    def _load(self, code: Code, x: ir.Value, at: Index, lanes: int, count: int | None) -> ir.Value:
        return code.load(code.at(x, at, self.element), self.spec.dtype, lanes, count)

    # Lanes beside each other.

    def blocks(self) -> int:
        """Into how many blocks the inner axes are cut."""
        return -(-self.inner // (self.lanes * self._abreast()))

    def _abreast(self) -> int:
        return min(_ABREAST, -(-self.inner // self.lanes))

    def beside(self, code: Code, table: ir.Value, begin: ir.Value, end: ir.Value) -> None:
        """Items are blocks of sequences that lie beside each other."""
        b, lanes = code.b, self.lanes
        abreast = self._abreast()
        width = abreast * lanes
        valid = None if self.inner >= width else self.inner % lanes or None
        out, x = code.from_context(table, 2)
        value_type = widen(register_type(self.spec.dtype), lanes)
        index_type = widen(i32, lanes)
        best = [code.slot(value_type) for _ in range(abreast)]
        where = [code.slot(index_type) for _ in range(abreast)]
        with code.loop(end, begin) as item:
            row, block = code.divide(item, self.blocks())
            # The last block begins earlier where the others leave less than a block.
            first = code.mul(block, width)
            if self.inner >= width:
                first = code.minimum(first, self.inner - width)
            start = code.add(code.mul(row, self.length * self.inner), first)

            def at(step: Index, k: int, start: Index = start) -> ir.Value:
                place = code.add(start, code.mul(step, self.inner), k * lanes)
                return self._load(code, x, place, lanes, valid if k == abreast - 1 else None)

            for k in range(abreast):
                b.store(at(0, k), best[k])
                b.store(literal(index_type, 0), where[k])
            with code.loop(self.length, 1) as step:
                number = code.value(step)
                index = b.trunc(number, i32)
                index = code.splat(index, lanes) if lanes > 1 else index
                for k in range(abreast):
                    value, old = at(step, k), b.load(best[k], typ=value_type)
                    better = self._is_better(b, value, old)
                    b.store(b.select(better, value, old), best[k])
                    old_index = b.load(where[k], typ=index_type)
                    b.store(b.select(better, index, old_index), where[k])
            target = code.add(code.mul(row, self.inner), first)
            for k in range(abreast):
                value = b.load(where[k], typ=index_type)
                place = code.add(target, k * lanes)
                self._store(code, value, out, place, valid if k == abreast - 1 else None)

    def _store(
        self, code: Code, index: ir.Value, out: ir.Value, at: Index, count: int | None
    ) -> None:
        dtype = self.spec.index_dtype
        value = convert(code.b, index, dtypes.int32, dtype)
        code.store(value, code.at(out, at, memory_type(dtype)), dtype, count)

    # Neighbours in one vector.

    def within(self, code: Code, table: ir.Value, begin: ir.Value, end: ir.Value) -> None:
        """Items are rows, every lane of a vector taking its own part of one."""
        b, length = code.b, self.length
        lanes = self.lanes
        while lanes > 2 and lanes >= 2 * length:
            lanes //= 2
        out, x = code.from_context(table, 2)
        value_type, index_type = widen(register_type(self.spec.dtype), lanes), widen(i32, lanes)
        count = length if length < lanes else None
        vectors = max(1, length // lanes)
        abreast = min(_ABREAST, vectors)
        best = [code.slot(value_type) for _ in range(abreast)]
        where = [code.slot(index_type) for _ in range(abreast)]
        numbers = ir.Constant(index_type, list(range(lanes)))

        def indices(first: Index) -> ir.Value:
            if isinstance(first, int):
                return ir.Constant(index_type, [first + lane for lane in range(lanes)])
            return b.add(code.splat(b.trunc(first, i32), lanes), numbers)

        def update(row: Index, first: Index, k: int) -> None:
            value = self._load(code, x, code.add(row, first), lanes, None)
            old, old_index = b.load(best[k], typ=value_type), b.load(where[k], typ=index_type)
            better = self._is_better(b, value, old)
            b.store(b.select(better, value, old), best[k])
            b.store(b.select(better, indices(first), old_index), where[k])

        with code.loop(end, begin) as item:
            row = code.mul(item, length)
            for k in range(abreast):
                value = self._load(code, x, code.add(row, k * lanes), lanes, count)
                b.store(value, best[k])
                b.store(indices(k * lanes), where[k])
            step = abreast * lanes
            whole = vectors // abreast * step
            with code.loop(whole, step, step) as first:
                for k in range(abreast):
                    update(row, code.add(first, k * lanes), k)
            for number in range(whole // lanes, vectors):
                update(row, number * lanes, number - whole // lanes)
            if length > lanes and length % lanes:
                # Elements that are seen twice do no harm.
                update(row, length - lanes, 0)
            values = [b.load(slot, typ=value_type) for slot in best]
            places = [b.load(slot, typ=index_type) for slot in where]
            index = self._best_lane(code, values, places, lanes, count)
            self._store(code, index, out, item, None)

    def _best_lane(
        self,
        code: Code,
        values: list[ir.Value],
        places: list[ir.Value],
        lanes: int,
        count: int | None,
    ) -> ir.Value:
        """The lowest index of the best value."""
        b = code.b
        keys = [self._key(b, v) for v in values]
        kind = ("s" if self.is_signed else "u") + ("max" if self.spec.largest else "min")
        if count is not None:
            mask = code.lane_mask(count, lanes)
            worst = self._worst(keys[0].type.element.width)
            keys = [b.select(mask, k, literal(k.type, worst)) for k in keys]
            places = [b.select(mask, p, literal(p.type, -1)) for p in places]
        key = keys[0]
        for other in keys[1:]:
            key = self._binary(code, kind, key, other)
        best = code.splat(self._across(code, kind, key), lanes)
        found: ir.Value | None = None
        for key, place in zip(keys, places):
            candidate = b.select(b.icmp_unsigned("==", key, best), place, literal(place.type, -1))
            found = candidate if found is None else self._binary(code, "umin", found, candidate)
        assert found is not None
        return self._across(code, "umin", found)

    def _worst(self, width: int) -> int:
        low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if self.is_signed else (0, -1)
        return low if self.spec.largest else high

    def _key(self, b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        """Integers in the order of the values, equal where those are."""
        if not self.is_float:
            return value
        width = 64 if self.spec.dtype == dtypes.float64 else 32
        of = ir.VectorType(ir.IntType(width), value.type.count)
        # 0.0 + -0.0 is 0.0.
        bits = b.bitcast(b.fadd(value, literal(value.type, 0.0)), of)
        magnitude = literal(of, (1 << (width - 1)) - 1)
        negative = b.ashr(bits, literal(of, width - 1))
        key = b.xor(bits, b.and_(negative, magnitude))
        extreme = (1 << (width - 1)) - 1 if self.spec.largest else -(1 << (width - 1))
        return b.select(b.fcmp_unordered("uno", value, value), literal(of, extreme), key)

    def _binary(self, code: Code, kind: str, x: ir.Value, y: ir.Value) -> ir.Value:
        name = f"llvm.{kind}.v{x.type.count}{x.type.element.intrinsic_name}"
        return code.intrinsic(name, x.type, x, y)

    def _across(self, code: Code, kind: str, x: ir.Value) -> ir.Value:
        name = f"llvm.vector.reduce.{kind}.v{x.type.count}{x.type.element.intrinsic_name}"
        return code.intrinsic(name, x.type.element, x)


def template(name: str) -> Template:
    """The native form of `argmax` and `argmin`."""
    return Template(arg_reduce_spec, emit_arg_reduce)
