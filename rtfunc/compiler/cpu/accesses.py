"""Vectors of lanes in registers and memory: loads, stores and shuffles, with masks at the end of a row.

`Span` is a stretch of the vectorised axis, several vectors abreast; `VectorAccess` is what the printer of
kernels builds on. Depends on `scalars`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.maths.lanes import intrinsic_suffix
from rtfunc.compiler.cpu.scalars import (
    call_intrinsic,
    from_memory,
    literal,
    memory_type,
    register_type,
    to_memory,
    widen,
)
from rtfunc.core import dtypes


class Span(NamedTuple):
    """A stretch of the vectorised axis: `count` vectors from `start`, the last with `tail` lanes.

    `tail` is 0 where the last vector is full.
    """

    start: ir.Value
    count: int
    tail: int = 0


class VectorAccess:
    """Emits accesses of `lanes` values at once.

    Attributes: b: the builder; module: for declarations; lanes: values in a vector.
    """

    b: ir.IRBuilder
    module: ir.Module
    lanes: int

    def _shuffle(self, a: ir.Value, b: ir.Value, order: Sequence[int] | range) -> ir.Value:
        mask = ir.Constant(
            ir.VectorType(ir.IntType(32), len(order)), [ir.IntType(32)(k) for k in order]
        )
        return self.b.shuffle_vector(a, b, mask)

    def _splat(self, value: ir.Value) -> ir.Value:
        of = ir.VectorType(value.type, self.lanes)
        if isinstance(value, ir.Constant):
            return ir.Constant(of, [value] * self.lanes)
        undefined = ir.Constant(of, ir.Undefined)
        single = self.b.insert_element(undefined, value, ir.IntType(32)(0))
        return self._shuffle(single, undefined, [0] * self.lanes)

    def _tail(self, span: Span, k: int) -> int:
        """Number of lanes of vector `k` that exist."""
        return span.tail if span.tail and k == span.count - 1 else self.lanes

    def _mask(self, count: int) -> ir.Constant:
        of = ir.VectorType(ir.IntType(1), self.lanes)
        return ir.Constant(of, [ir.IntType(1)(int(k < count)) for k in range(self.lanes)])

    def _masked_load(
        self, address: ir.Value, span: Span, k: int, dtype: np.dtype, native: bool = False
    ) -> ir.Value:
        b = self.b
        element = register_type(dtype) if native else memory_type(dtype)
        of = widen(element, self.lanes)
        count = self._tail(span, k)
        if count == self.lanes:
            value = b.load(address, typ=of, align=max(1, bytes_of(element)))
        else:
            value = call_intrinsic(
                b,
                f"llvm.masked.load.{intrinsic_suffix(of)}.p0",
                of,
                [address, ir.IntType(32)(bytes_of(element)), self._mask(count), literal(of, 0)],
            )
        return value if native else from_memory(b, value, dtype)

    def _masked_store(
        self,
        value: ir.Value,
        address: ir.Value,
        span: Span,
        k: int,
        dtype: np.dtype,
        native: bool = False,
    ) -> None:
        b = self.b
        element = register_type(dtype) if native else memory_type(dtype)
        of = widen(element, self.lanes)
        if not native:
            value = to_memory(b, value, dtype)
        count = self._tail(span, k)
        if count == 1 < self.lanes:
            # LLVM stores too many bytes for a truncated vector of which the mask leaves one lane.
            single = b.extract_element(value, ir.IntType(32)(0))
            place = b.bitcast(address, element.as_pointer())  # a stack slot is one of vectors
            b.store(single, place, align=max(1, bytes_of(element)))
        elif count == self.lanes:
            b.store(value, address, align=max(1, bytes_of(element)))
        else:
            call_intrinsic(
                b,
                f"llvm.masked.store.{intrinsic_suffix(of)}.p0",
                ir.VoidType(),
                [value, address, ir.IntType(32)(bytes_of(element)), self._mask(count)],
            )


def register_bytes(dtype: np.dtype) -> int:
    """Bytes of one value in a register."""
    return max(4, dtype.itemsize) if dtypes.is_float(dtype) else max(1, dtype.itemsize)


def bytes_of(of: ir.Type) -> int:
    """Bytes of one element in memory."""
    if isinstance(of, ir.IntType):
        return max(1, of.width // 8)
    return {ir.HalfType: 2, ir.FloatType: 4, ir.DoubleType: 8}[type(of)]
