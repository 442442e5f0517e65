"""A Program as steps that run on a GPU.

Kernels are launches of printed functions. Calls are matrix products by cuBLAS and whatever else CuPy
computes, through the primitives' `impl` rules; loops and branches are Python's, over compiled bodies. A
`Plan` is a Program with its buffers numbered: each lives in a slot from the step that writes it to the last
that reads it, and CuPy's pool has its memory again after that. Depends on `kernels`, `lowered`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.compiler.cuda.kernels import Functions, PrintedKernel, print_kernel
from rtfunc.compiler.cuda.products import product_of
from rtfunc.compiler.in_place import touched
from rtfunc.compiler.kernel import Affine, Kernel
from rtfunc.compiler.lowered import Lowered
from rtfunc.compiler.schedule import Call
from rtfunc.core import dtypes
from rtfunc.core.aval import Aval
from rtfunc.core.device import Device, buffers_on
from rtfunc.core.graph import Equation, Variable
from rtfunc.core.trace import context as tracing

#: Buffers by slot; None where nothing lives.
Slots = list[Any]
Step = Callable[[Slots], None]


#: Calls that CuPy computes by launches alone, of these dtypes, and about how many they are.
_recordable = frozenset(
    (
        *("conv_general_dilated", "reduce_window_max", "reduce_window_min", "reduce_window_sum"),
        *("select_and_scatter_add", "select_and_gather_add"),
    )
)
_wide = (dtypes.float32, dtypes.float64)
_LAUNCHES_OF_CALL = 4


class Context:
    """What all Plans of an executable share.

    Attributes: functions: the printed ones; compiled: the same, ready to be launched, once they are.
    """

    def __init__(self, device: Device):
        self.device = device
        self.functions = Functions()
        self.compiled: list[Any] = []
        self.runtime: Any = None


class Plan:
    """A Program for a GPU: `run` takes the buffers of its inputs and returns those of its outputs."""

    def __init__(self, lowered: Lowered, context: Context):
        self.context = context
        self.program = program = lowered.program
        self._slots: dict[Variable, int] = {}
        self.inputs = [(self._slot(v), v.aval) for v in program.inputs]
        self.constants = [(self._slot(v), v.aval, c) for v, c in program.constants.items()]
        self.outputs = [(self._slot(v), v.aval.shape) for v in program.outputs]
        #: Whether the steps are launches alone, known beforehand; and how many.
        self.is_pure, self.launches = True, 0
        self._steps: list[tuple[Step, list[int]]] = []
        self._placed: list[tuple[int, Any]] | None = None
        ends = self._last_uses()
        inner = {e: [Plan(part, context) for part in parts] for e, parts in lowered.inner.items()}
        for number, step in enumerate(program.steps):
            if isinstance(step, Kernel):
                printed = print_kernel(step, context.functions)
                self.launches += len(printed.launches)
                run = self._launches(printed)
            elif step.equation in inner:
                run = self._control_flow(step, inner[step.equation])
            else:
                run = self._call(step)
            self._steps.append((run, ends.get(number, [])))

    def _slot(self, variable: Variable) -> int:
        return self._slots.setdefault(self.program.base(variable), len(self._slots))

    def _last_uses(self) -> dict[int, list[int]]:
        """For each step, the slots that nothing reads after it."""
        kept = {slot for slot, *_ in (*self.outputs, *self.constants)}
        last: dict[int, int] = {}
        for number, step in enumerate(self.program.steps):
            for variable in touched(step):
                last[self._slot(variable)] = number
        ends: dict[int, list[int]] = {}
        for slot, number in last.items():
            if slot not in kept:
                ends.setdefault(number, []).append(slot)
        return ends

    def plain(self, buffers: Sequence[Any]) -> list[Any]:
        """The buffers of inputs as `run` works on them: contiguous."""
        return [_plain(self.context, b) for b in buffers]

    def run(self, buffers: Sequence[Any], into: Sequence[Any] | None = None) -> list[Any]:
        """The outputs for inputs; where `into` has a buffer for an output, it is written there."""
        context = self.context
        if self._placed is None:
            values = [value._buffer for *_, value in self.constants]
            placed = buffers_on(context.device, "jit", values, unasked=False)
            self._placed = [
                (slot, _as_pairs(_plain(context, b), aval))
                for (slot, aval, _), b in zip(self.constants, placed)
            ]
        slots: Slots = [None] * len(self._slots)
        for slot, buffer in self._placed:
            slots[slot] = buffer
        for (slot, aval), buffer in zip(self.inputs, buffers, strict=True):
            slots[slot] = _as_pairs(_plain(context, buffer), aval)
        if into is not None:
            for (slot, _), buffer in zip(self.outputs, into, strict=True):
                slots[slot] = buffer
        for step, ends in self._steps:
            step(slots)
            for slot in ends:
                slots[slot] = None
        results = []
        for number, (slot, shape) in enumerate(self.outputs):
            found = slots[slot]
            found = found if found.shape == shape else found.reshape(shape)
            if into is not None and into[number] is not None and slots[slot] is not into[number]:
                into[number][...] = found
                found = into[number]
            results.append(found)
        return results

    # Kernels.

    def _launches(self, printed: PrintedKernel) -> Step:
        context = self.context
        places = [self._slot(v) for v in printed.variables]
        sizes = [(v.aval.shape, v.aval.dtype) for v in printed.variables]
        missing = list(zip(places, sizes))

        def run(slots: Slots) -> None:
            runtime = context.runtime
            for slot, (shape, dtype) in missing:
                if slots[slot] is None:
                    slots[slot] = runtime.empty(shape, dtype)
            arrays = [slots[slot] for slot in places]
            for dtype, size in printed.partials:
                arrays.append(runtime.empty((size,), dtype))
            for launch in printed.launches:
                runtime.launch(context.compiled[launch.function], launch.grid, launch.block, arrays)

        return run

    # Calls.

    def _reads(self, call: Call) -> list[Callable[[Slots], Any]]:
        """What gives the operands of a call."""
        return [
            self._read(v, a.aval.shape, view)
            for a, (v, view) in zip(call.equation.inputs, call.operands)
        ]

    def _read(
        self, variable: Variable, shape: tuple[int, ...], view: Affine | None
    ) -> Callable[[Slots], Any]:
        slot, context = self._slot(variable), self.context
        if view is None:

            def read(slots: Slots) -> Any:
                found = slots[slot]
                return found if found.shape == shape else found.reshape(shape)

            return read
        size = variable.aval.dtype.itemsize
        strides = tuple(c * size for c in view.coefficients)
        start = view.constant

        def read_through(slots: Slots) -> Any:
            flat = slots[slot].reshape(-1)[start:]
            return context.runtime.xp.lib.stride_tricks.as_strided(flat, shape, strides)

        return read_through

    def _writes(self, equation: Equation) -> Callable[[Slots, Any], None]:
        places = [(self._slot(v), v.aval) for v in equation.outputs]
        context = self.context

        def write(slots: Slots, results: Any) -> None:
            for (slot, aval), result in zip(places, results, strict=True):
                assert (result.shape, result.dtype) == (aval.shape, aval.dtype), equation.primitive
                slots[slot] = _plain(context, result)

        return write

    def _product(self, call: Call) -> Step | None:
        """A matrix product by cuBLAS, if the call is one of floats."""
        product = product_of(call.equation, [view for _, view in call.operands])
        copied = product is None
        if copied:  # what BLAS cannot read as it lies is copied first
            product = product_of(call.equation, [None, None])
        if product is None:
            return None
        self.launches += 1 + 2 * copied
        context, (out,) = self.context, call.equation.outputs
        place, shape, dtype = self._slot(out), out.aval.shape, out.aval.dtype
        slots_read = [self._slot(v) for v, _ in call.operands]
        reads = self._reads(call)

        def run(slots: Slots) -> None:
            runtime = context.runtime
            if copied:
                lhs, rhs = (_plain(context, read(slots)) for read in reads)
            else:
                lhs, rhs = (slots[slot] for slot in slots_read)
            if slots[place] is None:
                slots[place] = runtime.empty(shape, dtype)
            runtime.product(product, rhs, lhs, slots[place])

        return run

    def _call(self, call: Call) -> Step:
        equation, context = call.equation, self.context
        product = self._product(call)
        if product is not None:
            return product
        primitive, params = equation.primitive, equation.params
        reads, write = self._reads(call), self._writes(equation)
        wide = all(v.aval.dtype in _wide for v in equation.inputs)
        if primitive.name in _recordable and wide:
            self.launches += _LAUNCHES_OF_CALL

            def run_recordable(slots: Slots) -> None:
                operands = [read(slots) for read in reads]
                xp = context.runtime.recordable
                write(slots, [tracing.quiet(primitive.impl, xp, *operands, **params)])

            return run_recordable
        self.is_pure = False  # CuPy may wait for the GPU, or copy from the host

        def run(slots: Slots) -> None:
            operands = [read(slots) for read in reads]
            result = primitive.compute_on(context.device, operands, params)
            write(slots, result if primitive.multiple_results else [result])

        return run

    # Control flow.

    def _control_flow(self, call: Call, inner: Sequence[Plan]) -> Step:
        make = {"scan": self._scan, "while": self._while, "cond": self._cond}
        return make[call.equation.primitive.name](call, inner)

    def _scan(self, call: Call, inner: Sequence[Plan]) -> Step:
        params, context = call.equation.params, self.context
        (body,) = inner
        self.is_pure &= body.is_pure
        self.launches += params["length"] * body.launches
        constants, carry, length = params["constants"], params["carry"], params["length"]
        order = range(length - 1, -1, -1) if params["reverse"] else range(length)
        stacked = [v.aval for v in call.equation.outputs[carry:]]
        reads, write = self._reads(call), self._writes(call.equation)

        def run(slots: Slots) -> None:
            operands = [read(slots) for read in reads]
            fixed, state = operands[:constants], operands[constants : constants + carry]
            xs = operands[constants + carry :]
            ys = [context.runtime.empty(a.shape, a.dtype) for a in stacked]
            for i in order:
                into = [*[None] * carry, *(y[i, ...] for y in ys)]
                state = body.run([*fixed, *state, *(x[i, ...] for x in xs)], into)[:carry]
            write(slots, [*state, *ys])

        return run

    def _while(self, call: Call, inner: Sequence[Plan]) -> Step:
        params = call.equation.params
        self.is_pure = False
        names = [k for k in params if k in ("condition", "body")]  # sub-graphs come in this order
        plans = dict(zip(names, inner, strict=True))
        condition, body = plans["condition"], plans["body"]
        count, end = params["condition_constants"], params["condition_constants"]
        end += params["body_constants"]
        reads, write = self._reads(call), self._writes(call.equation)

        def run(slots: Slots) -> None:
            operands = [read(slots) for read in reads]
            for_condition, for_body, state = operands[:count], operands[count:end], operands[end:]
            while bool(condition.run([*for_condition, *state])[0]):
                state = body.run([*for_body, *state])
            write(slots, state)

        return run

    def _cond(self, call: Call, inner: Sequence[Plan]) -> Step:
        self.is_pure = False
        reads, write = self._reads(call), self._writes(call.equation)

        def run(slots: Slots) -> None:
            index, *operands = [read(slots) for read in reads]
            branch = inner[min(max(int(index), 0), len(inner) - 1)]
            write(slots, branch.run(operands))

        return run


def _plain(context: Context, buffer: Any) -> Any:
    """The buffer, contiguous: printed code counts on it."""
    if buffer.flags.c_contiguous:
        return buffer
    return context.runtime.xp.ascontiguousarray(buffer)


def _as_pairs(buffer: Any, aval: Aval) -> Any:
    """The buffer of a complex array as the pairs of floats that Programs compute with."""
    if buffer.dtype == aval.dtype:
        return buffer
    return buffer.reshape(-1).view(aval.dtype).reshape(aval.shape)
