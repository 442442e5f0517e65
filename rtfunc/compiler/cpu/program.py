"""A Program as one native function, and the functions that it calls.

The function `int32 program(void **buffers)` gets the addresses of arguments, constants, outputs and the
arena, and runs all steps: kernels, directly or through the thread pool; matrix products by the library;
loops and branches as such; and what has no native form as calls back into Python. Kernels that are alike
but for the buffers they touch share one function: it finds its pointers in a table that the caller
fills. Functions that do the work are printed into modules of a limited size, which are compiled while
the rest is printed; `program` itself stands in the last, which needs no optimisation. Depends on `loops`,
`lowered`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from llvmlite import ir

from rtfunc.compiler.collapse import collapse
from rtfunc.compiler.cpu.emission import call_address
from rtfunc.compiler.cpu.loops import Emitted, emit_kernel
from rtfunc.compiler.cpu.product_plan import ProductPlan
from rtfunc.compiler.cpu.scalars import call_intrinsic, i1, i8, i32, i64, pointer
from rtfunc.compiler.cpu.templates import native_form
from rtfunc.compiler.in_place import carried_in_place
from rtfunc.compiler.kernel import Kernel
from rtfunc.compiler.lowered import Lowered, carry_avals, is_product, workspace_parts
from rtfunc.compiler.schedule import Call, Program
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.graph import Equation, Variable

#: Work, in the units of `Emitted.cost` (about 0.2 ns), that is worth a second thread, and a chunk.
_PARALLEL_COST = 60_000
_CHUNK_COST = 30_000
_MAX_CHUNKS = 64

#: A module of kernels is closed when it has so many instructions.
_PART_INSTRUCTIONS = 250

_kernel_type = ir.FunctionType(ir.VoidType(), [pointer, i64, i64, i64])
_template_type = ir.FunctionType(ir.VoidType(), [pointer])


class Printed(NamedTuple):
    """The modules and what the function takes.

    Attributes: modules: those of kernels, and last the one of `program`, which refers to them; constants: in
    the order of the buffers; hosts: equations that Python runs, by number; arena_bytes; kernels: how many
    functions there are, for the statistics.
    """

    modules: list[ir.Module]
    constants: list[Array]
    hosts: list[Equation]
    arena_bytes: int
    kernels: int


def print_program(
    lowered: Lowered,
    vector_bytes: int,
    done: Callable[[ir.Module], object] = lambda module: None,
    request: Callable[[Iterable[str]], object] = lambda symbols: None,
) -> Printed:
    """Print the function `program`: its buffers are the inputs, the constants (of sub-graphs too), the
    outputs, the arena, and the address of what runs host calls (a `HostFunction`'s pair).

    `done` is called with every module of kernels when it is complete, `request` with names that modules
    declare, as early as possible.
    """
    return _Printer(lowered, vector_bytes, done, request).run()


def runs_in_python(lowered: Lowered) -> bool:
    """Whether any step has no native form."""
    for step in lowered.program.steps:
        if not isinstance(step, Call):
            continue
        inner = lowered.inner.get(step.equation)
        if inner is not None:
            if any(map(runs_in_python, inner)):
                return True
        elif not _is_library_product(step) and native_form(step.equation) is None:
            return True
    return False


def _is_library_product(call: Call) -> bool:
    return call.equation.primitive.name == "dot_general" and is_product(call.equation)


def _all_constants(lowered: Lowered) -> dict[Variable, Array]:
    found = dict(lowered.program.constants)
    for parts in lowered.inner.values():
        for part in parts:
            found.update(_all_constants(part))
    return found


def _bytes(aval: Aval) -> int:
    return aval.size * aval.dtype.itemsize


@dataclasses.dataclass
class _Carried:
    """Where a value that a loop carries is: stack slots that hold pointers.

    Attributes: now: where the step at hand reads it; following: where it writes the new value, a slot or,
    where it is always the same, the pointer itself; other: where the step after it will, if elsewhere.
    """

    now: ir.Value
    following: ir.Value
    other: ir.Value | None

    def target(self, b: ir.IRBuilder) -> ir.Value:
        """Where the step at hand writes."""
        return self.following if self.other is None else b.load(self.following, typ=pointer)

    def advance(self, b: ir.IRBuilder, target: ir.Value) -> None:
        """What was written to `target` is what the next step reads."""
        b.store(target, self.now)
        if self.other is not None:
            b.store(b.load(self.other, typ=pointer), self.following)
            b.store(target, self.other)


class _Printer:
    def __init__(
        self,
        lowered: Lowered,
        vector_bytes: int,
        done: Callable[[ir.Module], object],
        request: Callable[[Iterable[str]], object],
    ):
        self.lowered = lowered
        self.vector_bytes = vector_bytes
        self.done, self.request = done, request
        self.modules: list[ir.Module] = []
        #: Where the next kernel goes, and `program`.
        self.part = ir.Module("kernels")
        self.module = ir.Module("program")
        self.requested = 0
        self.hosts: list[Equation] = []
        self.kernels: dict[Any, Emitted] = {}
        self.table_size = 1
        #: Where each buffer is: a pointer value that dominates its uses.
        self.place: dict[Variable, ir.Value] = {}

    def run(self) -> Printed:
        program, plan = self.lowered.program, self.lowered.plan
        constants = _all_constants(self.lowered)
        function = ir.Function(self.module, ir.FunctionType(i32, [pointer]), "program")
        self.function = function
        entry = function.append_basic_block("entry")
        self.entry = entry
        self.b = b = ir.IRBuilder(entry)
        (buffers,) = function.args
        self.failed = function.append_basic_block("failed")
        given = [*program.inputs, *constants, *(program.base(v) for v in program.outputs)]

        def argument(number: int) -> ir.Value:
            return b.load(b.gep(buffers, [i64(number)], source_etype=pointer), typ=pointer)

        for number, variable in enumerate(given):
            self.place[variable] = argument(number)
        arena = argument(len(given))
        self.host = argument(len(given) + 1)
        self.table = b.alloca(pointer, size=1)  # enlarged at the end, when the size is known
        self.table.operands[0] = i64(1)
        self._place(self.lowered, arena)
        self._steps(self.lowered, arena)
        self.b.ret(i32(0))
        with self.b.goto_block(self.failed):
            self.b.ret(i32(1))
        self.table.operands[0] = i64(self.table_size)
        self._close_part()
        return Printed(
            [*self.modules, self.module],
            list(constants.values()),
            self.hosts,
            plan.size,
            len(self.kernels),
        )

    def _close_part(self) -> None:
        """The module at hand is complete: the next kernel goes into another."""
        if not self.part.globals:
            return
        self.request(self.part.globals)
        self.modules.append(self.part)
        self.done(self.part)
        self.part = ir.Module("kernels")

    def _printed_function(self, name: str, of: ir.FunctionType) -> None:
        """A function is complete: declare it to `program`."""
        self.part.globals[name].linkage = ""  # not of its module alone
        ir.Function(self.module, of, name)
        functions = self.part.functions
        if sum(len(b.instructions) for f in functions for b in f.blocks) > _PART_INSTRUCTIONS:
            self._close_part()

    def _place(self, lowered: Lowered, arena: ir.Value) -> None:
        """Pointers of the variables that lie in an arena."""
        for variable, offset in lowered.plan.offsets.items():
            self.place[variable] = self._byte_offset(arena, offset)

    def _byte_offset(self, base: ir.Value, offset: int | ir.Value) -> ir.Value:
        index = i64(offset) if isinstance(offset, int) else offset
        return self.b.gep(base, [index], source_etype=i8)

    def _pointer(self, program: Program, variable: Variable) -> ir.Value:
        return self.place[program.base(variable)]

    def _steps(self, lowered: Lowered, arena: ir.Value) -> None:
        program = lowered.program
        for number, step in enumerate(program.steps):
            if isinstance(step, Kernel):
                self._kernel(program, step)
                continue
            offset = lowered.plan.workspaces.get(number, 0)
            workspace = self._byte_offset(arena, offset)
            name = step.equation.primitive.name
            if _is_library_product(step):
                self._product(program, step, workspace)
            elif step.equation in lowered.inner:
                inner = lowered.inner[step.equation]
                {"scan": self._scan, "while": self._while, "cond": self._cond}[name](
                    program, step, inner, workspace
                )
            elif not self._template(program, step, workspace):
                self._host_call(program, step)

    # Kernels.

    def _kernel(self, program: Program, kernel: Kernel) -> None:
        kernel = collapse(kernel)
        variables = kernel.touches()
        numbers = {v: i for i, v in enumerate(variables)}
        key = _structure(kernel, numbers)
        emitted = self.kernels.get(key)
        if emitted is None:
            name = f"kernel_{len(self.kernels)}"
            emitted = emit_kernel(self.part, name, kernel, numbers, self.vector_bytes)
            self.kernels[key] = emitted
            self._printed_function(name, _kernel_type)
        body = self.module.globals[emitted.name]
        with self._unless_copied(program, kernel):
            self._fill([self._pointer(program, v) for v in variables])
            self._run(body, emitted.items, emitted.cost)

    @contextlib.contextmanager
    def _unless_copied(self, program: Program, kernel: Kernel) -> Iterator[None]:
        """Run what is printed in the block, unless the kernel copies inputs to where they are."""
        given = {*program.inputs}
        pairs = []
        for store in kernel.stores:
            node = store.node
            source = program.base(node.params["variable"]) if node.op == "load" else None
            if source not in given or node.args or node.params["offset"] != store.offset:
                yield
                return
            pairs.append((self._pointer(program, store.variable), self.place[source]))
        b = self.b
        moved = [b.icmp_unsigned("!=", target, source) for target, source in pairs]
        test = moved[0]
        for other in moved[1:]:
            test = b.or_(test, other)
        with b.if_then(test):
            yield

    def _fill(self, pointers: Sequence[ir.Value]) -> None:
        self.table_size = max(self.table_size, len(pointers))
        for i, p in enumerate(pointers):
            self.b.store(p, self.b.gep(self.table, [i64(i)], source_etype=pointer))

    def _run(self, body: ir.Function, items: int, cost: int) -> None:
        """Call a kernel's function for all its items."""
        if items <= 1 or items * cost < _PARALLEL_COST:
            self.b.call(body, [self.table, i64(0), i64(items), i64(0)])
            return
        grain = max(-(-_CHUNK_COST // cost), -(-items // _MAX_CHUNKS))
        self.b.call(self._parallel_for(), [body, self.table, i64(items), i64(grain)])

    def _parallel_for(self) -> ir.Function:
        known = self.module.globals.get("rtfunc_parallel_for")
        if known is not None:
            return known
        signature = ir.FunctionType(ir.VoidType(), [pointer, pointer, i64, i64])
        return ir.Function(self.module, signature, "rtfunc_parallel_for")

    def _epilogue(
        self, program: Program, kernel: Kernel, plan: ProductPlan
    ) -> tuple[str, ir.Value]:
        """The function that runs a Kernel on blocks of a product, and its frame."""
        from rtfunc.compiler.cpu.epilogues import emit_epilogue, in_blocks
        from rtfunc.compiler.cpu.product_library import epilogue_type

        blocks = in_blocks(kernel, plan.spec.n)
        assert blocks is not None
        variables = blocks.touches()
        numbers = {v: i for i, v in enumerate(variables)}
        key = "epilogue", plan.lanes, _structure(blocks, numbers)
        emitted = self.kernels.get(key)
        if emitted is None:
            emitted = Emitted(f"kernel_{len(self.kernels)}", 1, 1)
            emit_epilogue(self.part, emitted.name, blocks, numbers, self.vector_bytes, plan.lanes)
            self.kernels[key] = emitted
            self._printed_function(emitted.name, epilogue_type)
        self._fill([self._pointer(program, v) for v in variables])
        return emitted.name, self.table

    def _product(self, program: Program, call: Call, workspace: ir.Value) -> None:
        from rtfunc.compiler.cpu.product_calls import is_swapped, product_plan
        from rtfunc.compiler.cpu.product_library import emit_product

        plan = product_plan(call)
        assert plan is not None
        operands = []
        for operand, (variable, offset) in zip(call.equation.inputs, call.operands):
            start = 0 if offset is None else offset.constant * operand.aval.dtype.itemsize
            operands.append(self._byte_offset(self._pointer(program, variable), start))
        if is_swapped(call):
            operands.reverse()
        out = self._pointer(program, call.equation.outputs[0])
        lhs, rhs = operands
        epilogue = None if call.epilogue is None else self._epilogue(program, call.epilogue, plan)
        emit_product(self.module, self.b, plan, out, lhs, rhs, workspace, epilogue)
        self.request(itertools.islice(self.module.globals, self.requested, None))
        self.requested = len(self.module.globals)

    @contextlib.contextmanager
    def _loop(self, start: ir.Value, end: ir.Value) -> Iterator[ir.Value]:
        b = self.b
        head, body, done = (b.append_basic_block(part) for part in ("head", "body", "done"))
        before = b.block
        b.branch(head)
        b.position_at_end(head)
        counter = b.phi(i64)
        counter.add_incoming(start, before)
        b.cbranch(b.icmp_signed("<", counter, end), body, done)
        b.position_at_end(body)
        yield counter
        following = b.add(counter, i64(1))
        counter.add_incoming(following, b.block)
        b.branch(head)
        b.position_at_end(done)

    # Templates.

    def _template(self, program: Program, call: Call, workspace: ir.Value) -> bool:
        """Print the native form of a call, if it has one."""
        found = native_form(call.equation)
        if found is None:
            return False
        template, spec = found
        if call.epilogue is not None:
            self._convolution_with_epilogue(program, call, call.epilogue, spec, workspace)
            return True
        key = call.equation.primitive.name, spec
        known = self.kernels.get(key)
        if known is None:
            known = Emitted(f"{call.equation.primitive.name}_{len(self.kernels)}", 1, 1)
            template.emit(self.part, known.name, spec, self.vector_bytes)
            self.kernels[key] = known
            self._printed_function(known.name, _template_type)
        outs = [self._pointer(program, v) for v in call.equation.outputs]
        operands = [self._pointer(program, v) for v, _ in call.operands]
        self._fill([*outs, *operands, workspace])
        self.b.call(self.module.globals[known.name], [self.table])
        return True

    def _convolution_with_epilogue(
        self, program: Program, call: Call, kernel: Kernel, spec: Any, workspace: ir.Value
    ) -> None:
        from rtfunc.compiler.cpu.epilogues import emit_epilogue, in_boxes
        from rtfunc.compiler.cpu.register_tile import lanes_of
        from rtfunc.compiler.cpu.window_calls import emit_convolution_then

        boxes = in_boxes(kernel, spec)
        assert boxes is not None
        variables = boxes.touches()
        numbers = {v: i for i, v in enumerate(variables, 4)}  # after those of the convolution
        key = "conv_general_dilated", spec, _structure(boxes, numbers)
        known = self.kernels.get(key)
        if known is None:
            known = Emitted(f"convolution_{len(self.kernels)}", 1, 1)
            then = f"{known.name}_then"
            lanes = lanes_of(spec.dtype)
            emit_epilogue(self.part, then, boxes, numbers, self.vector_bytes, lanes, boxes=True)
            self.part.globals[then].linkage = "internal"
            emit_convolution_then(self.part, known.name, spec, then)
            self.kernels[key] = known
            self._printed_function(known.name, _template_type)
        places = [*call.equation.outputs, *(v for v, _ in call.operands)]
        before = [self._pointer(program, v) for v in places]
        after = [self._pointer(program, v) for v in variables]
        self._fill([*before, workspace, *after])
        self.b.call(self.module.globals[known.name], [self.table])

    # Control flow.

    def _inner(self, lowered: Lowered, inputs: Sequence[ir.Value], workspace: ir.Value) -> None:
        """Place a sub-graph's variables and run its steps; its outputs have been placed before."""
        self.place.update(zip(lowered.program.inputs, inputs, strict=True))
        self._place(lowered, workspace)
        self._steps(lowered, workspace)

    def _parts(self, call: Call, inner: list[Lowered], workspace: ir.Value) -> list[ir.Value]:
        pointers, offset = [], 0
        for size in workspace_parts(call, inner):
            pointers.append(self._byte_offset(workspace, offset))
            offset += size
        return pointers

    def _variable(self, value: ir.Value) -> ir.Value:
        """A stack slot for a pointer that changes from step to step."""
        with self.b.goto_entry_block():
            slot = self.b.alloca(pointer)
        self.b.store(value, slot)
        return slot

    def _scan(
        self, program: Program, call: Call, inner: list[Lowered], workspace: ir.Value
    ) -> None:
        b, params, equation = self.b, call.equation.params, call.equation
        (body,) = inner
        constants, carry, length = params["constants"], params["carry"], params["length"]
        operands = [self._pointer(program, v) for v, _ in call.operands]
        fixed, init, xs = (
            operands[:constants],
            operands[constants : constants + carry],
            operands[constants + carry :],
        )
        outs = [self._pointer(program, v) for v in equation.outputs]
        parts = self._parts(call, inner, workspace)
        avals = carry_avals(equation)
        if not length:
            for source, target, aval in zip(init, outs, avals):
                self._copy(source, target, aval)
            return
        # A carry that is not written over itself alternates between the output and a second buffer, so
        # that the last step writes the output.
        slots = []
        in_place = carried_in_place(equation, inner)
        for start, out, second, alone in zip(init, outs, parts[1 : 1 + carry], in_place):
            first, other = (out, second) if length % 2 else (second, out)
            slots.append(
                self._carried(start, out, out) if alone else self._carried(start, first, other)
            )
        with self._loop(i64(0), i64(length)) as step:
            at = b.sub(i64(length - 1), step) if params["reverse"] else step
            moved = []
            for x, v in zip(xs, body.program.inputs[constants + carry :]):
                moved.append(self._byte_offset(x, b.mul(at, i64(_bytes(v.aval)))))
            carried = [b.load(s.now, typ=pointer) for s in slots]
            targets = [s.target(b) for s in slots]
            for y, v in zip(outs[carry:], body.program.outputs[carry:]):
                targets.append(self._byte_offset(y, b.mul(at, i64(_bytes(v.aval)))))
            for v, target in zip(body.program.outputs, targets, strict=True):
                self.place[body.program.base(v)] = target
            self._inner(body, [*fixed, *carried, *moved], parts[0])
            for slot, target in zip(slots, targets):
                slot.advance(b, target)

    def _carried(self, start: ir.Value, first: ir.Value, other: ir.Value) -> _Carried:
        """A value that a loop carries: read at `start` first, written to `first` and `other` in turn."""
        if first is other:
            return _Carried(self._variable(start), first, None)
        return _Carried(self._variable(start), self._variable(first), self._variable(other))

    def _while(
        self, program: Program, call: Call, inner: list[Lowered], workspace: ir.Value
    ) -> None:
        b, params, equation = self.b, call.equation.params, call.equation
        # Sub-graphs come in the order of the params.
        names = [k for k in params if k in ("condition", "body")]
        graphs = dict(zip(names, inner, strict=True))
        condition, body = graphs["condition"], graphs["body"]
        n_condition, n_body = params["condition_constants"], params["body_constants"]
        operands = [self._pointer(program, v) for v, _ in call.operands]
        for_condition = operands[:n_condition]
        for_body = operands[n_condition : n_condition + n_body]
        init = operands[n_condition + n_body :]
        outs = [self._pointer(program, v) for v in equation.outputs]
        parts = self._parts(call, inner, workspace)
        arenas = dict(zip(names, parts))
        avals = carry_avals(equation)
        seconds, flag = parts[2:-1], parts[-1]
        # An alternating carry starts with its second buffer: the output may be where it starts.
        in_place = carried_in_place(equation, inner)
        slots = [
            self._carried(start, out if alone else second, out)
            for start, out, second, alone in zip(init, outs, seconds, in_place)
        ]
        head, then, done = (b.append_basic_block(f"while.{p}") for p in ("head", "body", "done"))
        b.branch(head)
        b.position_at_end(head)
        carried = [b.load(s.now, typ=pointer) for s in slots]
        (test,) = condition.program.outputs
        self.place[condition.program.base(test)] = flag
        self._inner(condition, [*for_condition, *carried], arenas["condition"])
        b.cbranch(b.icmp_unsigned("!=", b.load(flag, typ=i8), i8(0)), then, done)
        b.position_at_end(then)
        carried = [b.load(s.now, typ=pointer) for s in slots]
        targets = [s.target(b) for s in slots]
        for v, target in zip(body.program.outputs, targets, strict=True):
            self.place[body.program.base(v)] = target
        self._inner(body, [*for_body, *carried], arenas["body"])
        for slot, target in zip(slots, targets):
            slot.advance(b, target)
        b.branch(head)
        b.position_at_end(done)
        for slot, out, aval in zip(slots, outs, avals):
            last = b.load(slot.now, typ=pointer)
            with b.if_then(b.icmp_unsigned("!=", last, out)):
                self._copy(last, out, aval)

    def _cond(
        self, program: Program, call: Call, inner: list[Lowered], workspace: ir.Value
    ) -> None:
        b, equation = self.b, call.equation
        operands = [self._pointer(program, v) for v, _ in call.operands]
        outs = [self._pointer(program, v) for v in equation.outputs]
        parts = self._parts(call, inner, workspace)
        index = b.load(operands[0], typ=i32)
        done = b.append_basic_block("cond.done")
        blocks = [b.append_basic_block(f"branch.{i}") for i in range(len(inner))]
        negative = b.icmp_signed("<", index, i32(0))
        index = b.select(negative, i32(0), index)
        switch = b.switch(index, blocks[-1])  # beyond the last means the last
        for i, block in enumerate(blocks[:-1]):
            switch.add_case(i32(i), block)
        for branch, block, part in zip(inner, blocks, parts):
            b.position_at_end(block)
            for v, out in zip(branch.program.outputs, outs, strict=True):
                self.place[branch.program.base(v)] = out
            self._inner(branch, operands[1:], part)
            b.branch(done)
        b.position_at_end(done)

    def _copy(self, source: ir.Value, target: ir.Value, aval: Aval) -> None:
        name = "llvm.memcpy.p0.p0.i64"
        arguments = [target, source, i64(_bytes(aval)), ir.Constant(i1, 0)]
        call_intrinsic(self.b, name, ir.VoidType(), arguments)

    # Python.

    def _host_call(self, program: Program, call: Call) -> None:
        """Call back: `int32 host(context, int64 number, void **pointers)`; stop when it returns an error."""
        b = self.b
        number = len(self.hosts)
        self.hosts.append(call.equation)
        variables = [*(v for v, _ in call.operands), *call.equation.outputs]
        self._fill([self._pointer(program, v) for v in variables])
        code, context = (
            b.load(b.gep(self.host, [i64(k)], source_etype=pointer), typ=pointer) for k in (0, 1)
        )
        signature = ir.FunctionType(i32, [pointer, i64, pointer])
        status = call_address(b, code, signature, [context, i64(number), self.table])
        following = b.append_basic_block("after.host")
        b.cbranch(b.icmp_unsigned("==", status, i32(0)), following, self.failed)
        b.position_at_end(following)


def _structure(kernel: Kernel, numbers: dict[Variable, int]) -> Any:
    """What two kernels that can share a function have in common."""

    def param(key: str, value: Any) -> Any:
        if isinstance(value, Variable):
            return key, numbers[value], value.aval.dtype
        if key == "value":
            return key, value.dtype, value.tobytes()
        return key, repr(value)

    nodes = tuple(
        (
            n.op,
            tuple(a.number for a in n.args),
            n.dtype,
            n.full,
            n.stage,
            tuple(param(k, v) for k, v in n.params.items()),
        )
        for n in kernel.nodes
    )
    stores = tuple((s.node.number, numbers[s.variable], s.offset) for s in kernel.stores)
    return kernel.domain, kernel.reduced, nodes, stores
