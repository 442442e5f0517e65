"""sort and top_k as native loops over rows.

Keys become integers in the same order: of floats with NaN last and -0.0 equal to 0.0, of complex
numbers the real part before the imaginary one; of top_k in the opposite order. A row is sorted by
its least significant key first, stably, so that ties keep the order in which earlier steps put them:
short rows by rank, long ones by radix (see `sorting`). The operands are then permuted. For a few of
many, the best elements of groups bound what can be among the results, and only what is within the
bound is sorted. Rows are spread over the pool, each chunk with its own part of the scratch memory.
Depends on `axis_loops`, `sorting`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.axis_loops import around_axis, emit_items, stack_array
from rtfunc.compiler.cpu.emission import Code, Index, i1, i32, i64
from rtfunc.compiler.cpu.sorting import emit_radix, emit_rank, most_ranked, rank_room
from rtfunc.compiler.cpu.target import vector_bytes
from rtfunc.compiler.cpu.templates import Template
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation

i8 = ir.IntType(8)

#: Scratch memory up to this lies on the stack.
_MOST_ON_STACK = 48 << 10
_CHUNKS = 8
_VECTOR = 16
_FEWEST_GROUPS, _MOST_GROUPS = 4 * _VECTOR, 32 * _VECTOR

#: Bits of infinity.
_INFINITY = {
    dtypes.float16: 0x7C00,
    dtypes.bfloat16: 0x7F80,
    dtypes.float32: 0x7F800000,
    dtypes.float64: 0x7FF0000000000000,
}


@dataclasses.dataclass(frozen=True)
class SortSpec:
    """A sort of rows.

    Attributes: operands: dtypes; sizes: before, along and after the axis; num_keys; keep: how many
    elements of a row are written; descending: largest first, and the indices are an output too.
    """

    operands: tuple[np.dtype, ...]
    sizes: tuple[int, int, int]
    num_keys: int
    keep: int
    descending: bool

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.sizes[0] * self.sizes[2]

    @property
    def parts(self) -> list[tuple[int, int, np.dtype]]:
        """Keys, the least significant first: operand, byte in its elements, dtype."""
        found = []
        for number, dtype in enumerate(self.operands[: self.num_keys]):
            part = dtypes.real_of(dtype)
            found.append((number, 0, part))
            if part != dtype:
                found.append((number, part.itemsize, part))
        return found[::-1]

    @property
    def bits(self) -> int:
        """Width of the keys while they are sorted."""
        return 64 if any(dtype.itemsize == 8 for _, _, dtype in self.parts) else 32

    @property
    def is_ranked(self) -> bool:
        """Whether rows are sorted by rank."""
        return self.sizes[1] <= most_ranked(self.bits)

    @property
    def groups(self) -> int:
        """Into how many groups a row is cut to see which few of its elements can be among the largest;
        0 where rows are sorted whole."""
        _, n, inner = self.sizes
        if not self.descending or inner > 1 or len(self.parts) > 1 or self.is_ranked:
            return 0
        groups = max(_FEWEST_GROUPS, 1 << (4 * self.keep - 1).bit_length())
        return groups if groups <= _MOST_GROUPS and n >= 8 * groups else 0

    @property
    def row_bytes(self) -> int:
        """Scratch memory for a row."""
        n = self.sizes[1]
        if self.is_ranked:
            return 2 * rank_room(self.bits, n) * self.bits // 8 + 2 * _room(n, 4)
        return 2 * _room(n, self.bits // 4)

    @property
    def grain(self) -> int | None:
        """Rows of a chunk where every chunk has scratch memory; None if it lies on the stack."""
        return None if self.row_bytes <= _MOST_ON_STACK else -(-self.rows // _CHUNKS)


def _room(count: int, size: int) -> int:
    """Bytes for an array, with what the last vector of it may write too much."""
    return -(-(count + _VECTOR) * size // 64) * 64


def sort_spec(equation: Equation) -> SortSpec | None:
    """The spec of a sort or top_k; None if it has no native form."""
    params, avals = equation.params, [a.aval for a in equation.inputs]
    if any(a.dtype not in dtypes.everything for a in avals):
        return None
    operands = tuple(a.dtype for a in avals)
    if equation.primitive.name == "top_k":
        sizes = around_axis(avals[0].shape, avals[0].ndim - 1)
        spec = SortSpec(operands, sizes, 1, params["k"], True)
    else:
        sizes = around_axis(avals[0].shape, params["axis"])
        spec = SortSpec(operands, sizes, params["num_keys"], sizes[1], False)
    if avals[0].size == 0 or spec.keep == 0 or sizes[1] >= 1 << 31:
        return None
    return spec


def sort_scratch_bytes(spec: SortSpec) -> int:
    """Scratch memory that is not on the stack."""
    return 0 if spec.grain is None else -(-spec.rows // spec.grain) * spec.row_bytes


def emit_sort(module: ir.Module, name: str, spec: SortSpec, vector_bytes: int) -> None:
    """Print the template's function: see `templates`."""
    n = spec.sizes[1]
    cost = n * (4 + n * spec.bits // 256) if spec.is_ranked else 100 * n + 4000
    emit_items(module, name, spec.rows, cost * len(spec.parts), _Printer(spec).rows, spec.grain)


class _Printer:
    def __init__(self, spec: SortSpec):
        self.spec = spec
        _, self.n, self.inner = spec.sizes
        self.key = ir.IntType(spec.bits)
        #: What the radix sort moves.
        self.element: ir.Type = i64 if spec.bits == 32 else ir.VectorType(i64, 2)

    def rows(self, code: Code, table: ir.Value, begin: ir.Value, end: ir.Value) -> None:
        """Sort the rows from `begin` to `end`."""
        spec = self.spec
        outputs = len(spec.operands) + spec.descending
        pointers = code.from_context(table, outputs + len(spec.operands) + 1)
        self.outs, self.operands = pointers[:outputs], pointers[outputs:-1]
        if spec.grain is None:
            self.scratch = stack_array(code, i8, spec.row_bytes)
        else:
            chunk, _ = code.divide(begin, spec.grain)
            self.scratch = code.at(pointers[-1], code.mul(chunk, spec.row_bytes), i8)
        with code.loop(end, begin) as row:
            first, column = code.divide(row, self.inner)
            start = code.add(code.mul(first, self.n * self.inner), column)
            kept = code.add(code.mul(first, spec.keep * self.inner), column)
            if not spec.is_ranked:
                self._by_radix(code, start, kept)
            elif len(spec.parts) == 1 and not spec.descending:
                self._to_ranks(code, start)
            else:
                self._by_rank(code, start, kept)

    def _place(self, code: Code, start: Index, i: Index) -> Index:
        """Offset of the i-th element of a row."""
        return code.add(start, code.mul(i, self.inner))

    # Keys.

    def _key_of(self, b: ir.IRBuilder, raw: ir.Value, dtype: np.dtype, signed: bool) -> ir.Value:
        """Stored bits as an integer in the order of the values."""
        of = raw.type
        width = dtype.itemsize * 8

        def number(value: int, of: ir.Type = of) -> ir.Constant:
            if isinstance(of, ir.VectorType):
                return ir.Constant(of, [number(value, of.element)] * of.count)
            return ir.Constant(of, value - (1 << of.width) * (value >> (of.width - 1)))

        sign = 1 << (width - 1)
        key = raw
        if dtypes.kind(dtype) == "signed":
            key = b.xor(raw, number(sign))
        elif dtypes.is_float(dtype):
            magnitude = b.and_(raw, number(sign - 1))
            flips = b.or_(b.ashr(raw, number(width - 1)), number(sign))
            key = b.xor(raw, flips)
            is_zero = b.icmp_unsigned("==", magnitude, number(0))
            key = b.select(is_zero, number(sign), key)
            is_nan = b.icmp_unsigned(">", magnitude, number(_INFINITY[dtype]))
            key = b.select(is_nan, number(2 * sign - 1), key)
        if self.spec.descending:
            key = b.not_(key)
        target: ir.Type = self.key
        if isinstance(of, ir.VectorType):
            target = ir.VectorType(self.key, of.count)
        if width < self.spec.bits:
            return b.zext(key, target)
        return b.xor(key, number(sign, target)) if signed else key

    def _raw(self, code: Code, part: tuple[int, int, np.dtype], at: Index) -> ir.Value:
        """The stored bits of one key at an offset."""
        operand, byte, dtype = part
        whole = self.spec.operands[operand].itemsize
        address = code.at(self.operands[operand], code.add(code.mul(at, whole), byte), i8)
        return code.b.load(address, typ=ir.IntType(dtype.itemsize * 8), align=dtype.itemsize)

    def _is_contiguous(self, part: tuple[int, int, np.dtype]) -> bool:
        return self.inner == 1 and not dtypes.is_complex(self.spec.operands[part[0]])

    def _raw_vector(
        self, code: Code, part: tuple[int, int, np.dtype], at: Index, count: int
    ) -> ir.Value:
        """The stored bits of the first `count` of a vector of keys."""
        operand, _, dtype = part
        element = ir.IntType(dtype.itemsize * 8)
        address = code.at(self.operands[operand], at, element)
        if count == _VECTOR:
            of = ir.VectorType(element, _VECTOR)
            return code.b.load(address, typ=of, align=dtype.itemsize)
        mask = code.lane_mask(count, _VECTOR)
        return code.masked_load(address, element, dtype.itemsize, mask, _VECTOR)

    # Short rows.

    def _arrays(self, code: Code) -> tuple[ir.Value, ir.Value, list[ir.Value]]:
        """Keys, ranks, and two permutations."""
        room = rank_room(self.spec.bits, self.n) * self.spec.bits // 8
        parts = [0, room, 2 * room, 2 * room + _room(self.n, 4)]
        keys, ranks, *orders = (code.at(self.scratch, part, i8) for part in parts)
        return keys, ranks, orders

    def _rank_by(
        self, code: Code, start: Index, part: tuple[int, int, np.dtype], order: ir.Value | None
    ) -> None:
        """Ranks of the elements, in their present order, by one key."""
        b, dtype = code.b, part[2]
        keys, ranks, _ = self._arrays(code)

        def single(i: Index) -> None:
            source = i if order is None else b.zext(b.load(code.at(order, i, i32), typ=i32), i64)
            raw = self._raw(code, part, self._place(code, start, source))
            b.store(self._key_of(b, raw, dtype, True), code.at(keys, i, self.key))

        if order is None and self._is_contiguous(part):
            size = min(_VECTOR, vector_bytes() * 8 // self.spec.bits)
            whole = self.n // _VECTOR * _VECTOR
            for i in range(0, self.n, _VECTOR):
                count = _VECTOR if i < whole else self.n - whole
                raw = self._raw_vector(code, part, code.add(start, i), count)
                value = self._key_of(b, raw, dtype, True)
                for lane in range(0, count, size):
                    piece = code.shuffle(value, value, range(lane, lane + size))
                    place = code.at(keys, i + lane, self.key)
                    b.store(piece, place, align=self.spec.bits // 8)
        else:
            with code.loop(self.n) as i:
                single(i)
        emit_rank(code, self.spec.bits, keys, ranks, self.n)

    def _rank(self, code: Code, ranks: ir.Value, i: Index) -> ir.Value:
        value = code.b.load(code.at(ranks, i, self.key), typ=self.key)
        return value if self.spec.bits == 64 else code.b.zext(value, i64)

    def _to_ranks(self, code: Code, start: Index) -> None:
        """Sort a short row by its only key, and put every element at its rank."""
        (part,) = self.spec.parts
        self._rank_by(code, start, part, None)
        _, ranks, _ = self._arrays(code)
        with code.loop(self.n) as i:
            source = self._place(code, start, i)
            target = self._place(code, start, self._rank(code, ranks, i))
            self._move(code, source, target)

    def _by_rank(self, code: Code, start: Index, kept: Index) -> None:
        """Sort a short row by one key after the other, and permute it."""
        b = code.b
        _, ranks, orders = self._arrays(code)
        order: ir.Value | None = None
        for number, part in enumerate(self.spec.parts):
            self._rank_by(code, start, part, order)
            target = orders[number % 2]
            with code.loop(self.n) as i:
                value = b.trunc(code.value(i), i32)
                if order is not None:
                    value = b.load(code.at(order, i, i32), typ=i32)
                b.store(value, code.at(target, self._rank(code, ranks, i), i32))
            order = target
        assert order is not None
        with code.loop(self.spec.keep) as i:
            index = b.load(code.at(order, i, i32), typ=i32)
            self._gather(code, start, kept, i, index)

    # Long rows.

    def _by_radix(self, code: Code, start: Index, kept: Index) -> None:
        b, spec = code.b, self.spec
        elements = self.scratch
        spare = code.at(self.scratch, spec.row_bytes // 2, i8)
        count: Index = self.n
        for number, part in enumerate(spec.parts):
            if spec.groups:
                count = self._fill_candidates(code, start, part, elements)
            elif number == 0 and self._is_contiguous(part):
                self._fill_vectors(code, start, part, elements)
            else:
                with code.loop(self.n) as i:
                    place = code.at(elements, i, self.element)
                    index = code.value(i)
                    if number:
                        index = b.zext(b.load(self._index_part(code, place), typ=i32), i64)
                    raw = self._raw(code, part, self._place(code, start, index))
                    self._store_element(b, self._key_of(b, raw, part[2], False), index, place)
            found = emit_radix(code, spec.bits, part[2].itemsize, elements, spare, count)
            spare = b.select(b.icmp_unsigned("==", found, elements), spare, elements)
            elements = found
        with code.loop(spec.keep) as i:
            place = code.at(elements, i, self.element)
            self._gather(code, start, kept, i, b.load(self._index_part(code, place), typ=i32))

    def _index_part(self, code: Code, element: ir.Value) -> ir.Value:
        return element if self.spec.bits == 32 else code.at(element, 1, i64)

    def _store_element(
        self, b: ir.IRBuilder, key: ir.Value, index: ir.Value, place: ir.Value
    ) -> None:
        if self.spec.bits == 32:
            value = b.or_(b.shl(b.zext(key, i64), i64(32)), index)
            b.store(value, place)
            return
        b.store(key, place)
        b.store(index, b.gep(place, [i64(1)], source_etype=i64))

    def _fill_vectors(
        self, code: Code, start: Index, part: tuple[int, int, np.dtype], elements: ir.Value
    ) -> None:
        """Elements of a row whose keys lie beside each other."""
        b = code.b
        of = ir.VectorType(i64, _VECTOR)
        steps = ir.Constant(of, list(range(_VECTOR)))

        def fill(i: Index, count: int) -> None:
            raw = self._raw_vector(code, part, code.add(start, i), count)
            key = self._key_of(b, raw, part[2], False)
            index = b.add(code.splat(code.value(i), _VECTOR), steps)
            place = code.at(elements, i, self.element)
            if self.spec.bits == 32:
                shift = ir.Constant(of, [32] * _VECTOR)
                b.store(b.or_(b.shl(b.zext(key, of), shift), index), place, align=8)
                return
            chosen = [lane for i in range(_VECTOR) for lane in (i, i + _VECTOR)]
            b.store(code.shuffle(key, index, chosen), place, align=8)

        whole = self.n // _VECTOR * _VECTOR
        with code.loop(whole, 0, _VECTOR) as i:
            fill(i, _VECTOR)
        if whole < self.n:
            fill(whole, self.n - whole)

    # A few of many.

    def _fill_candidates(
        self, code: Code, start: Index, part: tuple[int, int, np.dtype], elements: ir.Value
    ) -> ir.Value:
        """Elements of what can be among the first; how many these are, at least the ones that are."""
        b, groups = code.b, self.spec.groups
        of = ir.VectorType(self.key, _VECTOR)
        align = self.spec.bits // 8
        best = stack_array(code, self.key, groups)
        ranks = stack_array(code, self.key, groups)
        last = ir.Constant(of, [(1 << (self.spec.bits - 1)) - 1] * _VECTOR)
        count = code.slot(i64)

        def keys(i: Index, valid: int = _VECTOR) -> ir.Value:
            raw = self._raw_vector(code, part, code.add(start, i), valid)
            return self._key_of(b, raw, part[2], True)

        with code.loop(groups, 0, _VECTOR) as group:
            b.store(last, code.at(best, group, self.key), align=align)
        with (
            code.loop(self.n // groups * groups, 0, groups) as first,
            code.loop(groups, 0, _VECTOR) as group,
        ):
            place = code.at(best, group, self.key)
            old, new = b.load(place, typ=of, align=align), keys(code.add(first, group))
            b.store(b.select(b.icmp_signed("<", new, old), new, old), place, align=align)
        # As many groups as results have an element at least as good as the bound.
        emit_rank(code, self.spec.bits, best, ranks, groups)
        bound = code.slot(self.key)
        with code.loop(groups) as group:
            rank = b.load(code.at(ranks, group, self.key), typ=self.key)
            with code.when(b.icmp_signed("==", rank, self.key(self.spec.keep - 1))):
                b.store(b.load(code.at(best, group, self.key), typ=self.key), bound)
        limit = code.splat(b.load(bound, typ=self.key), _VECTOR)
        b.store(i64(0), count)

        def collect(i: Index, valid: int) -> None:
            within = b.icmp_signed("<=", keys(i, valid), limit)
            if valid < _VECTOR:
                within = b.and_(within, code.lane_mask(valid, _VECTOR))
            found = b.bitcast(within, ir.IntType(_VECTOR))
            with code.when(b.icmp_unsigned("!=", found, found.type(0))):
                self._append(code, start, part, elements, count, i, b.zext(found, i64))

        whole = self.n // _VECTOR * _VECTOR
        with code.loop(whole, 0, _VECTOR) as i:
            collect(i, _VECTOR)
        if whole < self.n:
            collect(whole, self.n - whole)
        return b.load(count, typ=i64)

    def _append(
        self,
        code: Code,
        start: Index,
        part: tuple[int, int, np.dtype],
        elements: ir.Value,
        count: ir.Value,
        first: Index,
        lanes: ir.Value,
    ) -> None:
        """Add the elements whose bits are set in `lanes`, in their order."""
        b = code.b
        before = b.block
        body, done = b.append_basic_block("lane"), b.append_basic_block("lanes_done")
        b.branch(body)
        b.position_at_end(body)
        rest = b.phi(i64)
        rest.add_incoming(lanes, before)
        lane = code.intrinsic("llvm.cttz.i64", i64, rest, ir.Constant(i1, 0))
        index = code.value(code.add(first, lane))
        at = b.load(count, typ=i64)
        key = self._key_of(b, self._raw(code, part, code.add(start, index)), part[2], False)
        self._store_element(b, key, index, code.at(elements, at, self.element))
        b.store(b.add(at, i64(1)), count)
        left = b.and_(rest, b.sub(rest, i64(1)))
        rest.add_incoming(left, b.block)
        b.cbranch(b.icmp_unsigned("!=", left, i64(0)), body, done)
        b.position_at_end(done)

    # Results.

    def _move(self, code: Code, source: Index, target: Index) -> None:
        """Copy one element of every operand."""
        for dtype, x, out in zip(self.spec.operands, self.operands, self.outs):
            of = ir.IntType(dtype.itemsize * 8)
            align = min(8, dtype.itemsize)
            value = code.b.load(code.at(x, source, of), typ=of, align=align)
            code.b.store(value, code.at(out, target, of), align=align)

    def _gather(self, code: Code, start: Index, kept: Index, i: Index, index: ir.Value) -> None:
        """Write the i-th element of the result: the `index`-th of the row."""
        source = self._place(code, start, code.b.zext(index, i64))
        target = self._place(code, kept, i)
        self._move(code, source, target)
        if self.spec.descending:
            code.b.store(index, code.at(self.outs[-1], target, i32))


def template(name: str) -> Template:
    """The native form of `sort` and `top_k`."""
    return Template(sort_spec, emit_sort, sort_scratch_bytes)
