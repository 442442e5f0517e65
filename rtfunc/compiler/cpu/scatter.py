"""Scatter and dynamic_update_slice as native loops.

Updates are applied in row-major order by one thread, so that the last one wins for "set" and sums are
always made in the same order. Along the last axis of the window, where both sides are contiguous, runs of
elements are combined in vectors. The operand is copied to the result first, unless it is there already.
Depends on `scalars`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.scalars import (
    Operation,
    call_intrinsic,
    emitters,
    from_memory,
    i1,
    i64,
    memory_type,
    pointer,
    to_memory,
    widen,
)
from rtfunc.compiler.cpu.templates import Template
from rtfunc.compiler.views import row_major_strides
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation

_combine = {"add": "add", "mul": "mul", "min": "min", "max": "max"}


@dataclasses.dataclass(frozen=True)
class ScatterSpec:
    """A scatter: where each axis of the result gets its index from.

    Attributes: kind: "set", "add", "mul", "min" or "max"; dtype; shape: of the result; updates: shape of
    the updates; window_axes: for each axis of the result, the axis of the updates that runs over it, or
    None; batch_axes: the axes of the updates that run over the indices; batching: pairs of an axis of the
    result and the batch axis (by position) it goes in step with; starts: axes of the result that computed
    starts position; index_dtype; per_axis: whether every start is an array of its own (a scalar);
    drop: whether windows that are not inside are dropped rather than moved inside.
    """

    kind: str
    dtype: np.dtype
    shape: tuple[int, ...]
    updates: tuple[int, ...]
    window_axes: tuple[int | None, ...]
    batch_axes: tuple[int, ...]
    batching: tuple[tuple[int, int], ...]
    starts: tuple[int, ...]
    index_dtypes: tuple[np.dtype, ...]
    per_axis: bool
    drop: bool

    @property
    def window(self) -> tuple[int, ...]:
        """Size of the window along each axis of the result."""
        return tuple(1 if a is None else self.updates[a] for a in self.window_axes)


def scatter_spec(equation: Equation) -> ScatterSpec | None:
    """The spec of a scatter or dynamic_update_slice; None if it has no native form."""
    params, inputs = equation.params, [a.aval for a in equation.inputs]
    out = equation.outputs[0].aval
    supported = (dtypes.bool_, *dtypes.integers, *dtypes.floats)
    if out.dtype not in supported or any(a.size == 0 for a in (*inputs, out)):
        return None
    if equation.primitive.name == "dynamic_update_slice":
        axes = tuple(range(out.ndim))
        index_dtypes = tuple(a.dtype for a in inputs[2:])
        return ScatterSpec(
            "set", out.dtype, out.shape, inputs[1].shape, axes, (), (), axes, index_dtypes, True, False
        )  # fmt: skip
    numbers = params["dimension_numbers"]
    window_axes: list[int | None] = [None] * out.ndim
    for axis, update_axis in zip(numbers.window_axes(out.ndim), numbers.offset_dims, strict=True):
        window_axes[axis] = update_axis
    batch_axes = tuple(a for a in range(inputs[2].ndim) if a not in numbers.offset_dims)
    batching = tuple(
        zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    )
    kind = params["kind"]
    if kind != "set" and kind not in _combine:
        return None
    return ScatterSpec(
        kind,
        out.dtype,
        out.shape,
        inputs[2].shape,
        tuple(window_axes),
        batch_axes,
        batching,
        numbers.start_index_map,
        (inputs[1].dtype,),
        False,
        params["mode"] == "fill",
    )


def emit_scatter(module: ir.Module, name: str, spec: ScatterSpec, vector_bytes: int) -> None:
    """Print the template's function: see `templates`."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer]), name)
    _Printer(function, spec, vector_bytes).emit()


class _Printer:
    def __init__(self, function: ir.Function, spec: ScatterSpec, vector_bytes: int):
        self.spec = spec
        self.function = function
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.strides = row_major_strides(spec.shape)
        self.update_strides = row_major_strides(spec.updates)
        size = max(4, spec.dtype.itemsize)
        self.lanes = vector_bytes // size

    def emit(self) -> None:
        b, spec = self.b, self.spec
        (table,) = self.function.args
        count = 3 + (len(spec.starts) if spec.per_axis else 1)
        pointers = [
            b.load(b.gep(table, [i64(k)], source_etype=pointer), typ=pointer) for k in range(count)
        ]
        if spec.per_axis:
            self.out, operand, self.update, *self.indices = pointers
        else:
            self.out, operand, *self.indices, self.update = pointers
        size = math.prod(spec.shape) * spec.dtype.itemsize
        with b.if_then(b.icmp_unsigned("!=", self.out, operand)):
            arguments = [self.out, operand, i64(size), ir.Constant(i1, 0)]
            call_intrinsic(b, "llvm.memcpy.p0.p0.i64", ir.VoidType(), arguments)
        sizes = [spec.updates[a] for a in spec.batch_axes]
        with self._loops(sizes) as batch:
            self._window(batch)
        b.ret_void()

    @contextlib.contextmanager
    def _loops(self, sizes: Sequence[int]) -> Iterator[list[ir.Value]]:
        """A nest of loops in row-major order."""
        if not sizes:
            yield []
            return
        with self._loop(sizes[0]) as first, self._loops(sizes[1:]) as rest:
            yield [first, *rest]

    @contextlib.contextmanager
    def _loop(self, size: int, step: int = 1) -> Iterator[ir.Value]:
        b = self.b
        if size <= step:
            yield i64(0)
            return
        before = b.block
        body, done = b.append_basic_block("body"), b.append_basic_block("done")
        b.branch(body)
        b.position_at_end(body)
        counter = b.phi(i64)
        counter.add_incoming(i64(0), before)
        yield counter
        following = b.add(counter, i64(step))
        counter.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, i64(size // step * step)), body, done)
        b.position_at_end(done)

    def _window(self, batch: list[ir.Value]) -> None:
        """Apply the update of one batch position."""
        b, spec = self.b, self.spec
        base: ir.Value = i64(0)
        inside: ir.Value | None = None
        for k, axis in enumerate(spec.starts):
            start = self._start(k, batch)
            last = i64(spec.shape[axis] - spec.window[axis])
            if spec.drop:
                # A negative start is a large one when it is compared without a sign.
                fits = b.icmp_unsigned("<=", start, last)
                inside = fits if inside is None else b.and_(inside, fits)
            else:
                start = b.select(b.icmp_signed("<", start, i64(0)), i64(0), start)
                start = b.select(b.icmp_signed(">", start, last), last, start)
            base = b.add(base, b.mul(start, i64(self.strides[axis])))
        for axis, position in spec.batching:
            base = b.add(base, b.mul(batch[position], i64(self.strides[axis])))
        source: ir.Value = i64(0)
        for axis, index in zip(spec.batch_axes, batch):
            source = b.add(source, b.mul(index, i64(self.update_strides[axis])))
        if inside is None:
            self._apply(base, source)
            return
        with b.if_then(inside):
            self._apply(base, source)

    def _start(self, k: int, batch: list[ir.Value]) -> ir.Value:
        b, spec = self.b, self.spec
        if spec.per_axis:
            dtype, where, base = spec.index_dtypes[k], i64(0), self.indices[k]
        else:
            dtype, base = spec.index_dtypes[0], self.indices[0]
            sizes = [*(spec.updates[a] for a in spec.batch_axes), len(spec.starts)]
            strides = row_major_strides(sizes)
            where = i64(k)
            for index, stride in zip(batch, strides):
                where = b.add(where, b.mul(index, i64(stride)))
        of = ir.IntType(8 * dtype.itemsize)
        value = b.load(b.gep(base, [where], source_etype=of), typ=of)
        if of.width == 64:
            return value
        return (b.sext if dtypes.kind(dtype) == "signed" else b.zext)(value, i64)

    def _apply(self, base: ir.Value, source: ir.Value) -> None:
        """Combine the window at `base` of the result with the update at `source`."""
        spec = self.spec
        axes = [(a, u) for a, u in enumerate(spec.window_axes) if u is not None]
        axes = [(a, u) for a, u in axes if spec.updates[u] > 1]
        run = 1
        # Trailing axes that are contiguous on both sides form one run.
        while axes:
            a, u = axes[-1]
            if self.strides[a] != run or self.update_strides[u] != run:
                break
            run *= spec.updates[u]
            axes.pop()
        with self._loops([spec.updates[u] for _, u in axes]) as indices:
            b = self.b
            target, origin = base, source
            for (a, u), index in zip(axes, indices):
                target = b.add(target, b.mul(index, i64(self.strides[a])))
                origin = b.add(origin, b.mul(index, i64(self.update_strides[u])))
            whole = run // self.lanes * self.lanes
            if whole:
                with self._loop(whole, self.lanes) as at:
                    self._combine(b.add(target, at), b.add(origin, at), self.lanes)
            if run > whole:
                with self._loop(run - whole) as at:
                    at = b.add(at, i64(whole))
                    self._combine(b.add(target, at), b.add(origin, at), 1)

    def _combine(self, target: ir.Value, origin: ir.Value, lanes: int) -> None:
        b, dtype = self.b, self.spec.dtype
        element = memory_type(dtype)
        of = widen(element, lanes)
        align = dtype.itemsize
        here = b.gep(self.out, [target], source_etype=element)
        there = b.gep(self.update, [origin], source_etype=element)
        value = b.load(there, typ=of, align=align)
        op = _combine.get(self.spec.kind)
        if op is not None:
            old = from_memory(b, b.load(here, typ=of, align=align), dtype)
            new = from_memory(b, value, dtype)
            value = to_memory(b, emitters[op](Operation(b, (old, new), dtype, dtype, {})), dtype)
        b.store(value, here, align=align)


def template(name: str) -> Template:
    """The native form of `scatter` and `dynamic_update_slice`."""
    return Template(scatter_spec, emit_scatter)
