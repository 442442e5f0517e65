"""A Kernel as an LLVM function: the printer for the CPU.

The function has the signature that the thread pool calls,

    void kernel(ptr frame, i64 begin, i64 end, i64 worker)

where `frame` is a table of the pointers that this kernel uses and [begin, end) a range of items. An item
is one point of the outer parallel axes, or a block of the vectorised axis there. Code is printed in
vectors, not left to a vectoriser: one axis of the domain, the one along which most accesses are contiguous,
runs in vectors, several abreast where the body is small; what is left at its end is done with masks. If
that axis is reduced, lanes are summed at the end of each pass; if it is parallel, every lane has its own
row.

Every node is computed at the outermost loop where its operands are known. Values that are dear and
needed in several passes over a row are kept in a row of scratch memory. Depends on `accesses`, `kernel`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from rtfunc.compiler.collapse import collapse
from rtfunc.compiler.cpu.accesses import Span, VectorAccess, bytes_of, register_bytes
from rtfunc.compiler.cpu.scalars import (
    Operation,
    convert,
    emitters,
    from_memory,
    i64,
    literal,
    memory_type,
    pointer,
    register_type,
    threefry,
    to_memory,
    widen,
)
from rtfunc.compiler.kernel import Affine, Kernel, Node, Store
from rtfunc.core import dtypes
from rtfunc.core.graph import Variable

_SCRATCH_BYTES = 1 << 14
_MAP_BLOCK = 4096

_heavy = frozenset(
    "exp exp2 expm1 log log2 log10 log1p logistic tanh sin cos tan asin acos atan atan2 sinh cosh asinh "
    "acosh atanh cbrt erf erfc erf_inv pow div sqrt rsqrt threefry2x32 normal_from_uniform".split()
)


class Emitted(NamedTuple):
    """A kernel's function and how to call it: `items` in all, each worth `cost` element operations."""

    name: str
    items: int
    cost: int


def emit_kernel(
    module: ir.Module, name: str, kernel: Kernel, slots: dict[Variable, int], vector_bytes: int
) -> Emitted:
    """Print `kernel` as the function `name` of `module`; `slots` gives each buffer's place in the frame."""
    return KernelPrinter(module, name, collapse(kernel), slots, vector_bytes).emit()


class KernelPrinter(VectorAccess):
    """Prints one Kernel."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        kernel: Kernel,
        slots: dict[Variable, int],
        vector_bytes: int,
    ):
        self.module, self.name, self.kernel, self.slots = module, name, kernel, slots
        if not kernel.domain:  # a single point
            offsets = [n.params for n in kernel.nodes if n.op in ("load", "index")]
            for params in offsets:
                params["offset"] = Affine((0,), params["offset"].constant)
            stores = [
                Store(s.node, s.variable, Affine((0,), s.offset.constant)) for s in kernel.stores
            ]
            self.kernel = kernel = Kernel((1,), (False,), kernel.nodes, stores, kernel.name)
        self.axis = self._vector_axis()
        varying = self._varying()
        widest = max([4, *(register_bytes(n.dtype) for n in varying if n.dtype != dtypes.bool_)])
        size = kernel.domain[self.axis]
        self.lanes = vector_bytes // widest
        while self.lanes > 2 * size and self.lanes > 1:
            self.lanes //= 2
        self.unroll = self._unroll(kernel.nodes)
        self.vector_reduced = kernel.reduced[self.axis]
        self.row_axes = [a for a, r in enumerate(kernel.reduced) if not r and a != self.axis]
        self.loop_axes = [a for a, r in enumerate(kernel.reduced) if r and a != self.axis]
        self.stages = 1 + max(
            [0, *(n.stage for n in kernel.nodes if n.full), *(n.stage for n in self._reduces())]
        )
        self.index: dict[int, ir.Value] = {}
        #: What a computed start adds to the offset of the load at hand.
        self.moved: ir.Value | None = None
        self.scratch: dict[Node, ir.Value] = {}

    # Shape of the loops.

    def _reduces(self) -> list[Node]:
        return [n for n in self.kernel.nodes if n.op == "reduce"]

    def _varying(self) -> list[Node]:
        """The nodes that differ from lane to lane: the others are scalars, whatever their width."""
        found: dict[Node, None] = {}
        for node in self.kernel.nodes:
            offset = node.params.get("offset")
            if (offset is not None and offset.coefficients[self.axis]) or any(
                a in found for a in node.args
            ):
                found[node] = None
        return list(found)

    def _vector_axis(self) -> int:
        """The axis along which most accesses of the inner loop are contiguous, the last at a tie."""
        kernel = self.kernel
        accesses = [n.params["offset"] for n in kernel.nodes if n.op == "load"]
        accesses += [s.offset for s in kernel.stores]

        def contiguous(axis: int) -> tuple[int, int, int]:
            score = sum(abs(o.coefficients[axis]) == 1 for o in accesses)
            constant = sum(o.coefficients[axis] == 0 for o in accesses)
            return (2 * score + constant, int(kernel.domain[axis] >= 8), axis)

        return max(range(len(kernel.domain)), key=contiguous)

    def _items(self) -> tuple[int, int]:
        """Number of blocks of the vectorised axis, and the size of a block."""
        size = self.kernel.domain[self.axis]
        if self.vector_reduced:
            return 1, size
        step = self.lanes * self.unroll
        if any(self.kernel.reduced):
            block = step
        else:
            rows = self._rows()
            block = max(step, _MAP_BLOCK // step * step)
            if rows >= 4 and size <= 4 * block:
                block = -(-size // step) * step
        return -(-size // block), block

    def _rows(self) -> int:
        result = 1
        for a in self.row_axes:
            result *= self.kernel.domain[a]
        return result

    # The function.

    def emit(self) -> Emitted:
        """Print the function."""
        kernel = self.kernel
        signature = ir.FunctionType(ir.VoidType(), [pointer, i64, i64, i64])
        function = ir.Function(self.module, signature, self.name)
        frame, begin, end, _ = function.args
        frame.name, begin.name, end.name = "frame", "begin", "end"
        entry = function.append_basic_block("entry")
        self.b = b = ir.IRBuilder(entry)
        self.allocas = entry
        self.buffers = self._pointers(frame)
        self.blocks, self.block = self._items()
        size = kernel.domain[self.axis]
        with self._loop(begin, end, 1, "item") as item:
            self._decode_row(item)
            self.values: dict[Node, list[ir.Value]] = {}
            if self.vector_reduced:
                self._row_of_lanes_summed()
            else:
                self._row_of_lanes_apart(item, size)
        b.ret_void()
        points = kernel.size // max(1, self._rows() * self.blocks)
        weight = 1 + sum(8 if n.op in _heavy else 1 for n in kernel.nodes)
        return Emitted(self.name, self._rows() * self.blocks, max(1, points * weight // 4))

    def _pointers(self, frame: ir.Value) -> dict[Variable, ir.Value]:
        """The pointers of the buffers."""
        b = self.b
        return {
            v: b.load(b.gep(frame, [i64(self.slots[v])], source_etype=pointer), typ=pointer)
            for v in self.kernel.touches()
        }

    @contextlib.contextmanager
    def _loop(self, start: ir.Value, end: ir.Value, step: int, name: str) -> Iterator[ir.Value]:
        """A counted loop around what is printed inside the `with` block; start < end is not assumed."""
        b = self.b
        head, body, done = (
            b.append_basic_block(f"{name}.{part}") for part in ("head", "body", "done")
        )
        before = b.block
        b.branch(head)
        b.position_at_end(head)
        counter = b.phi(i64, name)
        counter.add_incoming(start, before)
        b.cbranch(b.icmp_signed("<", counter, end), body, done)
        b.position_at_end(body)
        yield counter
        following = b.add(counter, i64(step))
        counter.add_incoming(following, b.block)
        b.branch(head)
        b.position_at_end(done)

    def _decode_row(self, item: ir.Value) -> None:
        """Indices of the parallel axes from the number of the item."""
        b = self.b
        rest = item
        if self.blocks > 1:
            self.block_number = b.urem(item, i64(self.blocks))
            rest = b.udiv(item, i64(self.blocks))
        else:
            self.block_number = i64(0)
        axes = self.row_axes
        for position, a in reversed(list(enumerate(axes))):
            n = self.kernel.domain[a]
            self.index[a] = b.urem(rest, i64(n)) if position else rest
            if position:
                rest = b.udiv(rest, i64(n))

    def _row_of_lanes_apart(self, item: ir.Value, size: int) -> None:
        """An item where the vectorised axis is parallel: every lane is a row of its own."""
        b = self.b
        step = self.lanes * self.unroll
        start = b.mul(self.block_number, i64(self.block))
        rest = size % step
        if any(self.kernel.reduced):
            if not rest:
                self._passes(Span(start, self.unroll))
                return
            last = b.icmp_signed("==", self.block_number, i64(self.blocks - 1))
            if self.blocks == 1:
                self._passes(self._partial(start, rest))
                return
            with b.if_else(last) as (then, otherwise):
                with then, self._fresh():
                    self._passes(self._partial(start, rest))
                with otherwise, self._fresh():
                    self._passes(Span(start, self.unroll))
            return
        whole = size - rest
        stop = b.add(start, i64(self.block))
        if self.blocks > 1 or self.block > whole:
            limit = i64(whole)
            stop = b.select(b.icmp_signed("<", stop, limit), stop, limit)
        if whole:
            with self._loop(start, stop, step, "lanes") as position, self._fresh():
                self._point(Span(position, self.unroll))
        if rest:
            if self.blocks == 1:
                with self._fresh():
                    self._point(self._partial(i64(whole), rest))
                return
            last = b.icmp_signed("==", self.block_number, i64(self.blocks - 1))
            with b.if_then(last), self._fresh():
                self._point(self._partial(i64(whole), rest))

    def _partial(self, start: ir.Value, rest: int) -> Span:
        return Span(start, -(-rest // self.lanes), rest % self.lanes)

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[None]:
        """Values computed inside the block are forgotten after it: they do not dominate what follows."""
        before = dict(self.values)
        try:
            yield
        finally:
            self.values = before

    def _point(self, span: Span) -> None:
        """Compute and store everything at one stretch of lanes, without reduced axes."""
        for store in self.kernel.stores:
            self._store(store, span)

    # Passes over the reduced axes.

    def _passes(self, span: Span) -> None:
        """All passes for lanes that are rows of their own."""
        self._row_values(-1, span)
        for stage in range(self.stages):
            reduces, stores = self._due(stage)
            if reduces or stores:
                accumulators = self._accumulators(reduces, span.count)
                with self._reduced_loops(self.loop_axes), self._fresh():
                    for node, slots in accumulators.items():
                        values = self._value(node.args[0], span)
                        values = self._spread(values, span.count)
                        for slot, value in zip(slots, values):
                            self._accumulate(node, slot, value)
                    for store in stores:
                        self._store(store, span)
                for node, slots in accumulators.items():
                    self.values[node] = [self.b.load(s, typ=s.kind) for s in slots]
            self._row_values(stage, span)
        self._row_stores(span)

    def _row_of_lanes_summed(self) -> None:
        """An item where the vectorised axis is reduced: a row, pass by pass."""
        size = self.kernel.domain[self.axis]
        self._choose_scratch()
        self._row_values(-1, None)
        for stage in range(self.stages):
            reduces, stores = self._due(stage)
            kept = [n for n in self.scratch if n.stage == stage]
            if reduces or stores or kept:
                abreast = self._abreast(stage, [*reduces, *(s.node for s in stores), *kept])
                step = self.lanes * abreast
                rest = size % step
                accumulators = self._accumulators(reduces, abreast if size >= step else 1)
                with self._reduced_loops(self.loop_axes), self._fresh():
                    if size >= step:
                        start, end = i64(0), i64(size - rest)
                        with self._loop(start, end, step, "lanes") as at, self._fresh():
                            self._pass_body(Span(at, abreast), accumulators, stores, kept)
                    if rest:
                        span = self._partial(i64(size - rest), rest)
                        with self._fresh():
                            self._pass_body(span, accumulators, stores, kept)
                for node, slots in accumulators.items():
                    self.values[node] = [self._across(node, slots)]
            self._row_values(stage, None)
        self._row_stores(None)

    def _unroll(self, nodes: Sequence[Node]) -> int:
        """How many vectors a loop that computes `nodes` takes abreast."""
        heavy = sum(n.op in _heavy for n in nodes)
        count = 1 if heavy > 1 or len(nodes) > 32 else 2 if heavy or len(nodes) > 14 else 4
        while count > 1 and self.lanes * count > self.kernel.domain[self.axis]:
            count //= 2
        return count

    def _abreast(self, stage: int, wanted: Sequence[Node]) -> int:
        """The same for one pass over a row: passes of light operations are bound by latency."""
        found: dict[Node, None] = {}
        waiting = list(wanted)
        while waiting:
            node = waiting.pop()
            made_before = node in self.scratch and node.stage < stage
            if node in found or made_before or not (node.full or node in wanted):
                continue
            found[node] = None
            waiting += node.args
        if any(n.op in _heavy for n in found):
            return self.unroll
        return self._unroll(list(found))

    def _pass_body(
        self,
        span: Span,
        accumulators: dict[Node, list[Any]],
        stores: Sequence[Store],
        kept: Sequence[Node],
    ) -> None:
        stage = self.current_stage
        for node in kept:
            values = self._spread(self._value(node, span), span.count)
            for k, value in enumerate(values):
                address = self._scratch_address(node, span, k)
                self._masked_store(value, address, span, k, node.dtype, native=True)
        for node, slots in accumulators.items():
            values = self._spread(self._value(node.args[0], span), span.count)
            for k, value in enumerate(values):
                if span.tail and k == span.count - 1:
                    value = self.b.select(
                        self._mask(span.tail), value, self._identity(node, value.type)
                    )
                self._accumulate(node, slots[k % len(slots)], value)
        for store in stores:
            self._store(store, span)
        assert stage == self.current_stage

    def _due(self, stage: int) -> tuple[list[Node], list[Store]]:
        """The reductions and stores that this pass makes."""
        self.current_stage = stage
        reduces = [n for n in self._reduces() if n.stage == stage]
        stores = [s for s in self.kernel.stores if s.node.full and s.node.stage == stage]
        return reduces, stores

    @contextlib.contextmanager
    def _reduced_loops(self, axes: Sequence[int]) -> Iterator[None]:
        """Loops over the reduced axes that are not vectorised, the first outermost."""
        if not axes:
            yield
            return
        axis = axes[0]
        with self._loop(i64(0), i64(self.kernel.domain[axis]), 1, f"i{axis}") as counter:
            self.index[axis] = counter
            with self._reduced_loops(axes[1:]):
                yield

    def _row_values(self, stage: int, span: Span | None) -> None:
        """Compute the row nodes that are known after pass `stage`."""
        for node in self.kernel.nodes:
            if not node.full and node.op != "reduce" and node.stage == stage:
                self._value(node, span)

    def _row_stores(self, span: Span | None) -> None:
        for store in self.kernel.stores:
            if not store.node.full:
                self._store(store, span)

    # Accumulators.

    def _accumulators(self, reduces: Sequence[Node], count: int) -> dict[Node, list[Any]]:
        result = {}
        for node in reduces:
            of = widen(register_type(node.dtype), self.lanes)
            slots = []
            for _ in range(count):
                slot = self._alloca(of)
                slot.kind = of
                self.b.store(self._identity(node, of), slot)
                slots.append(slot)
            result[node] = slots
        return result

    def _alloca(self, of: ir.Type) -> Any:
        with self.b.goto_block(self.allocas):
            return self.b.alloca(of)

    def _identity(self, node: Node, of: ir.Type) -> ir.Constant:
        kind, dtype = node.params["kind"], node.dtype
        value: Any = {"sum": 0, "prod": 1, "and": 1, "or": 0}.get(kind)
        if kind in ("max", "min"):
            limit = dtypes.lowest if kind == "max" else dtypes.highest
            value = float(limit(dtype)) if dtypes.is_float(dtype) else int(limit(dtype))
        return literal(of, value)

    def _accumulate(self, node: Node, slot: Any, value: ir.Value) -> None:
        old = self.b.load(slot, typ=slot.kind)
        self.b.store(self._combine(node, old, value), slot)

    def _combine(self, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
        kind: str = node.params["kind"]
        return emitters[{"sum": "add", "prod": "mul"}.get(kind, kind)](
            Operation(self.b, (a, b), node.dtype, node.dtype, {})
        )

    def _across(self, node: Node, slots: Sequence[Any]) -> ir.Value:
        """All accumulators and lanes combined into one value, in a fixed order."""
        values = [self.b.load(s, typ=s.kind) for s in slots]
        while len(values) > 1:
            half = len(values) // 2
            values = [self._combine(node, values[k], values[k + half]) for k in range(half)]
        value, lanes = values[0], self.lanes
        while lanes > 1:
            lanes //= 2
            undefined = ir.Constant(value.type, ir.Undefined)
            low = self._shuffle(value, undefined, range(lanes))
            high = self._shuffle(value, undefined, range(lanes, 2 * lanes))
            value = self._combine(node, low, high)
        if isinstance(value.type, ir.VectorType):
            value = self.b.extract_element(value, ir.IntType(32)(0))
        return value

    # Values of nodes.

    def _value(self, node: Node, span: Span | None) -> list[ir.Value]:
        """The node's value: one scalar where it is the same in all lanes, else one vector per unroll."""
        known = self.values.get(node)
        if known is None:
            kept = self.scratch.get(node)
            if kept is not None and span is not None and self.current_stage > node.stage:
                known = [
                    self._masked_load(
                        self._scratch_address(node, span, k), span, k, node.dtype, True
                    )
                    for k in range(span.count)
                ]
            else:
                known = self._compute(node, span)
            self.values[node] = known
        return known

    def _compute(self, node: Node, span: Span | None) -> list[ir.Value]:
        if node.op == "load":
            return self._load(node, span)
        if node.op == "literal":
            return [literal(register_type(node.dtype), node.params["value"])]
        if node.op == "index":
            return self._index_value(node, span)
        args = [self._value(a, span) for a in node.args]
        if node.op == "threefry2x32":
            return self._compute_pair(node, args, span)
        dtype = node.args[-1].dtype
        emit = emitters[node.op]
        if all(not isinstance(a[0].type, ir.VectorType) for a in args):
            operands = [a[0] for a in args]
            return [emit(Operation(self.b, operands, dtype, node.dtype, node.params))]
        assert span is not None
        columns = [self._spread(a, span.count) for a in args]
        return [
            emit(Operation(self.b, [c[k] for c in columns], dtype, node.dtype, node.params))
            for k in range(span.count)
        ]

    def _compute_pair(
        self, node: Node, args: list[list[ir.Value]], span: Span | None
    ) -> list[ir.Value]:
        """Both results of threefry: the one asked for is returned, the other remembered."""
        count = 1
        if any(isinstance(a[0].type, ir.VectorType) for a in args):
            assert span is not None
            count = span.count
            args = [self._spread(a, count) for a in args]
        pairs = [
            threefry(self.b, [args[0][k], args[1][k]], [args[2][k], args[3][k]])
            for k in range(count)
        ]
        for other in self.kernel.nodes:
            if other.op == node.op and other.args == node.args and other is not node:
                self.values[other] = [pair[other.params["part"]] for pair in pairs]
        return [pair[node.params["part"]] for pair in pairs]

    def _spread(self, values: list[ir.Value], count: int) -> list[ir.Value]:
        """Vectors for all unrolled copies, from vectors or a scalar."""
        if isinstance(values[0].type, ir.VectorType) or self.lanes == 1:
            return values if len(values) == count else values * count
        return [self._splat(values[0])] * count

    def _scalar_offset(self, offset: Affine) -> ir.Value:
        """The part of an offset that does not come from the vectorised axis."""
        b = self.b
        total: ir.Value | None = self.moved
        for a, c in enumerate(offset.coefficients):
            if c and a != self.axis and self.kernel.domain[a] > 1:
                term = self.index[a] if c == 1 else b.mul(self.index[a], i64(c))
                total = term if total is None else b.add(total, term)
        if offset.constant or total is None:
            constant = i64(offset.constant)
            total = constant if total is None else b.add(total, constant)
        return total

    def _lane_offset(self, offset: Affine, span: Span, k: int) -> tuple[ir.Value, int]:
        """Offset of the first lane of a vector, and the step from lane to lane."""
        c = offset.coefficients[self.axis]
        base = self._scalar_offset(offset)
        if not c:
            return base, 0
        b = self.b
        at = b.add(span.start, i64(k * self.lanes)) if k else span.start
        return b.add(base, at if c == 1 else b.mul(at, i64(c))), c

    def _index_value(self, node: Node, span: Span | None) -> list[ir.Value]:
        offset = node.params["offset"]
        b = self.b
        if not offset.coefficients[self.axis] or span is None or self.lanes == 1:
            at = (
                self._scalar_offset(offset)
                if span is None
                else self._lane_offset(offset, span, 0)[0]
            )
            if span is not None and span.count > 1 and offset.coefficients[self.axis]:
                return [
                    self._from_i64(self._lane_offset(offset, span, k)[0], node.dtype)
                    for k in range(span.count)
                ]
            return [self._from_i64(at, node.dtype)]
        result = []
        for k in range(span.count):
            first, step = self._lane_offset(offset, span, k)
            of = ir.VectorType(i64, self.lanes)
            steps = ir.Constant(of, [i64(step * lane) for lane in range(self.lanes)])
            result.append(self._from_i64(b.add(self._splat(first), steps), node.dtype))
        return result

    def _from_i64(self, value: ir.Value, dtype: np.dtype) -> ir.Value:
        return convert(self.b, value, dtypes.int64, dtype)

    # Memory.

    def _address(self, variable: Variable, offset: ir.Value) -> ir.Value:
        element = memory_type(variable.aval.dtype)
        return self.b.gep(self.buffers[variable], [offset], inbounds=True, source_etype=element)

    def _load(self, node: Node, span: Span | None) -> list[ir.Value]:
        variable, offset = node.params["variable"], node.params["offset"]
        b = self.b
        element = memory_type(node.dtype)
        starts = [self._value(a, span) for a in node.args]
        if any(isinstance(s[0].type, ir.VectorType) for s in starts):
            assert span is not None
            return self._load_lanes(node, starts, span)
        self.moved = None
        for start, stride in zip(starts, node.params.get("strides", ())):
            term = b.mul(start[0], i64(stride))
            self.moved = term if self.moved is None else b.add(self.moved, term)
        try:
            return self._load_moved(node, variable, offset, element, span)
        finally:
            self.moved = None

    def _load_lanes(self, node: Node, starts: list[list[ir.Value]], span: Span) -> list[ir.Value]:
        """Every lane reads at a position of its own."""
        b, offset = self.b, node.params["offset"]
        element = memory_type(node.dtype)
        index_type = ir.VectorType(i64, self.lanes)
        result = []
        for k in range(span.count):
            first, step = self._lane_offset(offset, span, k)
            steps = ir.Constant(index_type, [i64(step * lane) for lane in range(self.lanes)])
            total = b.add(self._splat(first), steps)
            for start, stride in zip(starts, node.params["strides"]):
                value = self._spread(start, span.count)[k]
                total = b.add(total, b.mul(value, literal(index_type, stride)))
            gathered: ir.Value = literal(ir.VectorType(element, self.lanes), 0)
            for lane in range(self._tail(span, k)):
                at = b.extract_element(total, ir.IntType(32)(lane))
                single = b.load(self._address(node.params["variable"], at), typ=element)
                gathered = b.insert_element(gathered, single, ir.IntType(32)(lane))
            result.append(from_memory(b, gathered, node.dtype))
        return result

    def _load_moved(
        self, node: Node, variable: Variable, offset: Affine, element: ir.Type, span: Span | None
    ) -> list[ir.Value]:
        b = self.b
        c = offset.coefficients[self.axis] if span is not None else 0
        if not c or self.kernel.domain[self.axis] == 1:
            address = self._address(variable, self._scalar_offset(offset))
            return [from_memory(b, b.load(address, typ=element), node.dtype)]
        assert span is not None
        result = []
        for k in range(span.count):
            first, step = self._lane_offset(offset, span, k)
            if self.lanes == 1:
                value = b.load(self._address(variable, first), typ=element)
                result.append(from_memory(b, value, node.dtype))
            elif step == 1:
                address = self._address(variable, first)
                result.append(self._masked_load(address, span, k, node.dtype))
            else:
                result.append(self._strided_load(variable, first, step, span, k, node.dtype))
        return result

    def _strided_load(
        self, variable: Variable, first: ir.Value, step: int, span: Span, k: int, dtype: np.dtype
    ) -> ir.Value:
        b = self.b
        element = memory_type(dtype)
        count = self._tail(span, k)
        if step == -1 and count == self.lanes:
            start = b.sub(first, i64(self.lanes - 1))
            of = ir.VectorType(element, self.lanes)
            value = b.load(self._address(variable, start), typ=of, align=bytes_of(element))
            undefined = ir.Constant(of, ir.Undefined)
            value = self._shuffle(value, undefined, range(self.lanes - 1, -1, -1))
            return from_memory(b, value, dtype)
        of = ir.VectorType(element, self.lanes)
        value = ir.Constant(of, ir.Undefined) if count == self.lanes else literal(of, 0)
        base = self._address(variable, first)
        for lane in range(count):
            address = b.gep(base, [i64(step * lane)], inbounds=True, source_etype=element)
            single = b.load(address, typ=element)
            value = b.insert_element(value, single, ir.IntType(32)(lane))
        return from_memory(b, value, dtype)

    def _store(self, store: Store, span: Span | None) -> None:
        b = self.b
        node, variable, offset = store.node, store.variable, store.offset
        values = self._value(node, span)
        dtype = variable.aval.dtype
        if span is None or not offset.coefficients[self.axis] or self.kernel.domain[self.axis] == 1:
            value = values[0]
            if isinstance(value.type, ir.VectorType):
                value = b.extract_element(value, ir.IntType(32)(0))
            address = self._address(variable, self._scalar_offset(offset))
            b.store(to_memory(b, value, dtype), address)
            return
        values = self._spread(values, span.count)
        for k, value in enumerate(values):
            first, step = self._lane_offset(offset, span, k)
            address = self._address(variable, first)
            if self.lanes == 1:
                b.store(to_memory(b, value, dtype), address)
            elif step == 1:
                self._masked_store(value, address, span, k, dtype)
            else:
                stored = to_memory(b, value, dtype)
                element = memory_type(dtype)
                for lane in range(self._tail(span, k)):
                    at = b.gep(address, [i64(step * lane)], inbounds=True, source_etype=element)
                    b.store(b.extract_element(stored, ir.IntType(32)(lane)), at)

    # Scratch rows.

    def _choose_scratch(self) -> None:
        """Give a row of scratch to dear nodes that several passes need."""
        if self.loop_axes:
            return
        size = self.kernel.domain[self.axis]
        users: dict[Node, set[int]] = {}
        roots = [(n.args[0], n.stage) for n in self._reduces()]
        roots += [(s.node, s.node.stage) for s in self.kernel.stores if s.node.full]
        for root, stage in roots:
            pending, seen = [root], set()
            while pending:
                node = pending.pop()
                if node in seen or not node.full:
                    continue
                seen.add(node)
                users.setdefault(node, set()).add(stage)
                pending.extend(node.args)
        budget = _SCRATCH_BYTES
        for node in self.kernel.nodes:
            stages = users.get(node, set())
            if node.op not in _heavy or not any(s > node.stage for s in stages):
                continue
            of = widen(register_type(node.dtype), self.lanes)
            vectors = -(-size // self.lanes)
            needed = vectors * self.lanes * register_bytes(node.dtype)
            if needed > budget:
                continue
            budget -= needed
            with self.b.goto_block(self.allocas):
                self.scratch[node] = self.b.alloca(of, size=vectors)

    def _scratch_address(self, node: Node, span: Span, k: int) -> ir.Value:
        b = self.b
        at = b.add(span.start, i64(k * self.lanes)) if k else span.start
        element = register_type(node.dtype)
        return b.gep(self.scratch[node], [at], inbounds=True, source_etype=element)
