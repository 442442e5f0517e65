"""Counted loops, addresses and vectors for templates that are written as LLVM IR.

`Code` wraps an `ir.IRBuilder`. Indices are Python ints as long as they are known and LLVM values
from then on, and arithmetic on known ones is done at once, so that a template reads as the loop
nest that it is and emits little. Depends on llvmlite and `scalars` (forms of the dtypes in memory
and registers).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.scalars import from_memory, memory_type, register_type, to_memory
from rtfunc.core import dtypes

i1, i32, i64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
pointer = ir.PointerType()

Index: TypeAlias = int | ir.Value
"""A count or offset: known while emitting, or an i64 of the program."""

BODY = ir.FunctionType(ir.VoidType(), [pointer, i64, i64, i64])
"""Type of a chunk body of the pool: context, begin, end, worker."""


class Emitted(NamedTuple):
    """A template in a module.

    Attributes:
        function: internal; takes the output, the operands and scratch memory, each by its address.
            The output overlaps none of the others.
        scratch_bytes: how much memory, aligned to 64 bytes, it needs as scratch.
    """

    function: ir.Function
    scratch_bytes: int


def new_function(
    module: ir.Module, name: str, arguments: Sequence[ir.Type], *, inline: bool = False
) -> tuple[ir.Function, Code]:
    """An internal function without a result, and `Code` at its start."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    if not inline:
        function.attributes.add("noinline")
    return function, Code(ir.IRBuilder(function.append_basic_block("entry")))


def call_address(
    builder: ir.IRBuilder, address: ir.Value, signature: ir.FunctionType, args: Sequence[ir.Value]
) -> ir.Value:
    """Call the function at an address."""
    instruction = ir.CallInstr(builder.block, _Typed(address, signature), args)
    builder._insert(instruction)
    return instruction


class _Typed:
    """A pointer with the signature of what it points to, as llvmlite's call instruction wants it."""

    def __init__(self, value: ir.Value, signature: ir.FunctionType):
        self.value = value
        self.function_type = signature
        self.type = value.type

    def get_reference(self) -> str:
        """Its name in the text of a module."""
        return self.value.get_reference()


def constant_table(module: ir.Module, name: str, values: Sequence[int]) -> ir.GlobalVariable:
    """A constant array of i32."""
    kind = ir.ArrayType(i32, len(values))
    table = ir.GlobalVariable(module, kind, module.get_unique_name(name))
    table.linkage = "internal"
    table.global_constant = True
    table.initializer = ir.Constant(kind, [ir.Constant(i32, v) for v in values])
    return table


class Code:
    """Emits at the end of a builder's block."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.b = builder

    @property
    def module(self) -> ir.Module:
        """The module that is written."""
        return self.b.module

    # Indices.

    def value(self, index: Index) -> ir.Value:
        """An index as an i64 value."""
        return ir.Constant(i64, index) if isinstance(index, int) else index

    def add(self, *terms: Index) -> Index:
        """The sum."""
        known = sum(t for t in terms if isinstance(t, int))
        total: Index | None = None
        for term in terms:
            if not isinstance(term, int):
                total = term if total is None else self.b.add(total, term)
        if total is None:
            return known
        return total if known == 0 else self.b.add(total, self.value(known))

    def sub(self, x: Index, y: Index) -> Index:
        """x - y."""
        if isinstance(y, int):
            return self.add(x, -y)
        return self.b.sub(self.value(x), y)

    def mul(self, x: Index, y: Index) -> Index:
        """The product."""
        if isinstance(x, int):
            x, y = y, x
        if isinstance(y, int):
            if isinstance(x, int):
                return x * y
            if y in (0, 1):
                return x if y else 0
        return self.b.mul(self.value(x), self.value(y))

    def divide(self, x: Index, y: int) -> tuple[Index, Index]:
        """Quotient and remainder, for x that is not negative."""
        if y == 1:
            return x, 0
        if isinstance(x, int):
            return divmod(x, y)
        divisor = self.value(y)
        return self.b.udiv(x, divisor), self.b.urem(x, divisor)

    def unravel(self, index: Index, sizes: Sequence[int]) -> list[Index]:
        """Coordinates of the `index`-th point of a box in row-major order."""
        found: list[Index] = []
        for size in reversed(sizes[1:]):
            index, last = self.divide(index, size)
            found.append(last)
        return [index, *reversed(found)] if sizes else []

    def minimum(self, x: Index, y: Index) -> Index:
        """The smaller one."""
        if isinstance(x, int) and isinstance(y, int):
            return min(x, y)
        x, y = self.value(x), self.value(y)
        return self.b.select(self.b.icmp_signed("<", x, y), x, y)

    def maximum(self, x: Index, y: Index) -> Index:
        """The larger one."""
        if isinstance(x, int) and isinstance(y, int):
            return max(x, y)
        x, y = self.value(x), self.value(y)
        return self.b.select(self.b.icmp_signed(">", x, y), x, y)

    # Control.

    @contextmanager
    def loop(self, stop: Index, start: Index = 0, step: int = 1) -> Iterator[Index]:
        """Run the block for start, start + step, ... below stop."""
        with self.walk(stop, [], start, step) as (index, _):
            yield index

    @contextmanager
    def walk(
        self,
        stop: Index,
        pointers: Sequence[tuple[ir.Value, Index, ir.Type]],
        start: Index = 0,
        step: int = 1,
        carried: list[ir.Value] | None = None,
    ) -> Iterator[tuple[Index, list[ir.Value]]]:
        """`loop` that moves pointers along: of each (pointer, elements a step, type of element).

        `carried` are values that each round hands to the next: in the block the list holds those of
        this round, which the block replaces by those of the next, and after the block the last ones.
        """
        b = self.b
        carried = [] if carried is None else carried
        known = isinstance(stop, int) and isinstance(start, int)
        if known and start < stop <= start + step:  # type: ignore[operator]
            yield start, [p for p, _, _ in pointers]
            return
        before = b.block
        body, end = b.append_basic_block("loop"), b.append_basic_block("after")
        stop_value, start_value = self.value(stop), self.value(start)
        surely = known and start < stop  # type: ignore[operator]
        if surely:
            b.branch(body)
        else:
            b.cbranch(b.icmp_signed("<", start_value, stop_value), body, end)
        b.position_at_end(body)
        firsts = [start_value, *(p for p, _, _ in pointers), *carried]
        phis = []
        for first in firsts:
            phi = b.phi(first.type)
            phi.add_incoming(first, before)
            phis.append(phi)
        index, moving = phis[0], phis[1 : 1 + len(pointers)]
        carried[:] = phis[1 + len(pointers) :]
        yield index, list(moving)
        following = b.add(index, self.value(step))
        moved = [self.at(phi, n, kind) for phi, (_, n, kind) in zip(moving, pointers)]
        for phi, value in zip(phis, [following, *moved, *carried]):
            phi.add_incoming(value, b.block)
        body_end = b.block
        b.cbranch(b.icmp_signed("<", following, stop_value), body, end)
        b.position_at_end(end)
        if not surely:
            for i, first in enumerate(firsts[1 + len(pointers) :]):
                phi = b.phi(first.type)
                phi.add_incoming(first, before)
                phi.add_incoming(carried[i], body_end)
                carried[i] = phi

    @contextmanager
    def when(self, condition: ir.Value | bool) -> Iterator[None]:
        """Run the block if the condition holds."""
        if condition is True:
            yield
            return
        condition = ir.Constant(i1, 0) if condition is False else condition
        body, end = self.b.append_basic_block("then"), self.b.append_basic_block("after")
        self.b.cbranch(condition, body, end)
        self.b.position_at_end(body)
        yield
        self.b.branch(end)
        self.b.position_at_end(end)

    def less(self, x: Index, y: Index) -> ir.Value | bool:
        """x < y."""
        if isinstance(x, int) and isinstance(y, int):
            return x < y
        return self.b.icmp_signed("<", self.value(x), self.value(y))

    def within(self, x: Index, size: int) -> ir.Value | bool:
        """0 <= x < size."""
        if isinstance(x, int):
            return 0 <= x < size
        return self.b.icmp_unsigned("<", x, self.value(size))

    # Memory.

    def at(self, base: ir.Value, offset: Index, of: ir.Type) -> ir.Value:
        """The address `offset` elements of type `of` after `base`."""
        if isinstance(offset, int) and offset == 0:
            return base
        return self.b.gep(base, [self.value(offset)], source_etype=of)

    def slot(self, of: ir.Type, count: int = 1) -> ir.Value:
        """Memory on the stack, made at the function's start."""
        with self.b.goto_entry_block():
            return self.b.alloca(of, count)

    def intrinsic(self, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
        """Call an LLVM intrinsic by its full name."""
        function = self.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(result, [a.type for a in arguments])
            function = ir.Function(self.module, kind, name)
        return self.b.call(function, arguments)

    def parallel_for(
        self, body: ir.Value, context: ir.Value, total: Index, grain: Index = 1
    ) -> None:
        """Run a chunk body on the pool."""
        function = self.module.globals.get("rtfunc_parallel_for")
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, i64, i64])
            function = ir.Function(self.module, kind, "rtfunc_parallel_for")
        self.b.call(function, [body, context, self.value(total), self.value(grain)])

    def context(self, values: Sequence[ir.Value]) -> ir.Value:
        """Pointers in an array on the stack, for `from_context`."""
        array = self.slot(pointer, len(values))
        for i, value in enumerate(values):
            self.b.store(value, self.at(array, i, pointer))
        return array

    def from_context(self, array: ir.Value, count: int) -> list[ir.Value]:
        """The pointers of `context`."""
        return [self.b.load(self.at(array, i, pointer), typ=pointer) for i in range(count)]

    # Vectors. `valid` says how many of the first lanes take part; None for all.

    def splat(self, scalar: ir.Value, lanes: int) -> ir.Value:
        """The scalar in all lanes."""
        kind = ir.VectorType(scalar.type, lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        first = self.b.insert_element(undefined, scalar, ir.Constant(i32, 0))
        zeros = ir.Constant(ir.VectorType(i32, lanes), None)
        return self.b.shuffle_vector(first, undefined, zeros)

    def lane_mask(self, valid: Index, lanes: int) -> ir.Value:
        """Whether each lane is below `valid`."""
        if isinstance(valid, int):
            return ir.Constant(ir.VectorType(i1, lanes), [int(i < valid) for i in range(lanes)])
        return self.b.icmp_signed("<", self._numbers(lanes), self._narrow_splat(valid, lanes))

    def range_mask(self, first: Index, size: Index, lanes: int) -> ir.Value:
        """Whether first, first + 1, ... are at least 0 and below `size`; all less than 2^31."""
        positions = self.b.add(self._narrow_splat(first, lanes), self._numbers(lanes))
        return self.b.icmp_unsigned("<", positions, self._narrow_splat(size, lanes))

    def _numbers(self, lanes: int) -> ir.Value:
        return ir.Constant(ir.VectorType(i32, lanes), list(range(lanes)))

    def _narrow_splat(self, index: Index, lanes: int) -> ir.Value:
        if isinstance(index, int):
            return ir.Constant(ir.VectorType(i32, lanes), [index] * lanes)
        return self.splat(self.b.trunc(index, i32), lanes)

    def load(
        self, address: ir.Value, dtype: np.dtype, lanes: int = 1, valid: Index | None = None
    ) -> ir.Value:
        """Elements of `dtype` in the form of registers; lanes that are not valid are 0."""
        element = memory_type(dtype)
        if lanes == 1:
            value = self.b.load(address, typ=element, align=dtype.itemsize)
        elif valid is None or valid == lanes:
            value = self.b.load(address, typ=ir.VectorType(element, lanes), align=dtype.itemsize)
        else:
            value = self.masked_load(
                address, element, dtype.itemsize, self.lane_mask(valid, lanes), lanes
            )
        return from_memory(self.b, value, dtype)

    def masked_load(
        self, address: ir.Value, element: ir.Type, align: int, mask: ir.Value, lanes: int
    ) -> ir.Value:
        """Elements where the mask is set, 0 elsewhere."""
        kind = ir.VectorType(element, lanes)
        name = f"llvm.masked.load.v{lanes}{element.intrinsic_name}.p0"
        zero = ir.Constant(kind, None)
        return self.intrinsic(name, kind, address, ir.Constant(i32, align), mask, zero)

    def store(
        self,
        value: ir.Value,
        address: ir.Value,
        dtype: np.dtype,
        valid: Index | None = None,
        streaming: bool = False,
    ) -> None:
        """Store a scalar or vector of registers as `dtype`.

        A whole vector that is `streaming` goes past the caches; its address is a multiple of its size.
        """
        value = to_memory(self.b, value, dtype)
        of = value.type
        if not isinstance(of, ir.VectorType) or valid is None or valid == of.count:
            if streaming:
                instruction = self.b.store(value, address, align=of.count * dtype.itemsize)
                once = self.module.add_metadata([ir.Constant(i32, 1)])
                instruction.set_metadata("nontemporal", once)
            else:
                self.b.store(value, address, align=dtype.itemsize)
            return
        if isinstance(valid, int) and valid == 1:
            # LLVM (20) stores a truncated vector under a mask of one lane at its full width.
            value = self.b.extract_element(value, ir.Constant(i32, 0))
            if streaming:
                instruction = self.b.store(value, address, align=of.count * dtype.itemsize)
                once = self.module.add_metadata([ir.Constant(i32, 1)])
                instruction.set_metadata("nontemporal", once)
            else:
                self.b.store(value, address, align=dtype.itemsize)
            return
        name = f"llvm.masked.store.v{of.count}{of.element.intrinsic_name}.p0"
        mask = self.lane_mask(valid, of.count)
        self.intrinsic(name, ir.VoidType(), value, address, ir.Constant(i32, dtype.itemsize), mask)

    def multiply_add(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        """x * y + z, in one instruction where the machine has it."""
        of = x.type
        if isinstance(of, ir.VectorType):
            suffix = f"v{of.count}{of.element.intrinsic_name}"
        else:
            suffix = of.intrinsic_name
        return self.intrinsic(f"llvm.fmuladd.{suffix}", of, x, y, z)

    def shuffle(self, x: ir.Value, y: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """The chosen lanes of x followed by y."""
        return self.b.shuffle_vector(x, y, ir.Constant(ir.VectorType(i32, len(lanes)), list(lanes)))

    def transpose(self, rows: Sequence[ir.Value], together: int = 1) -> list[ir.Value]:
        """Columns of a matrix of which a power of 2 of rows are given as vectors.

        With as many rows as lanes there is a column a result; with fewer, several columns stand one
        after the other in each result. Each of the log2(rows) stages turns the bits of the position
        (row, lane) by one, until lanes stand before rows. So many neighbouring lanes as stay `together`
        count as one.
        """
        found = list(rows)
        count, lanes = len(found), found[0].type.count // together
        low = [j // 2 + lanes * (j % 2) for j in range(lanes)]
        high = [j + lanes // 2 for j in low]

        def all_of(places: list[int]) -> list[int]:
            return [place * together + i for place in places for i in range(together)]

        for _ in range(count.bit_length() - 1):
            mixed = []
            for x, y in zip(found[: count // 2], found[count // 2 :]):
                mixed += [self.shuffle(x, y, all_of(low)), self.shuffle(x, y, all_of(high))]
            found = mixed
        return found


def compute_dtype(dtype: np.dtype) -> np.dtype:
    """In which dtype sums of products of `dtype` are kept."""
    return dtypes.compute_dtype(dtype)


def compute_type(dtype: np.dtype) -> ir.Type:
    """The LLVM type of one value in which `dtype` is computed."""
    return register_type(compute_dtype(dtype))


def check_float(what: str, dtype: np.dtype) -> None:
    """Raise `ValueError` where `dtype` is not one of floats."""
    if not dtypes.is_float(dtype):
        raise ValueError(f"{what} computes with floating-point numbers, not {dtype}")
