"""Epilogues: elementwise Kernels that run on each block of a product or convolution as soon as it is made.

    h = relu(x @ w + b)       an update of w after its gradient, x.T @ g

A Kernel that reads the result of a product point by point need not wait for all of it: it is attached to
the product's call, and the thread that has made a block of the result runs the Kernel there, while the block
lies in its cache. That saves the second pass over the result, and waking the threads for it.
`attach_epilogues` finds such pairs of steps; `emit_epilogue` prints the Kernel as a function of a block,

    void epilogue(ptr frame, i64 first_row, i64 end_of_rows, i64 first_column, i64 end_of_columns)

for a product, and `void epilogue(ptr frame, ptr bounds)` for a convolution, whose blocks are boxes. Depends
on `loops`, `product_calls`, `convolution_plan`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from llvmlite import ir

from rtfunc.compiler.collapse import collapse
from rtfunc.compiler.cpu.accesses import Span
from rtfunc.compiler.cpu.convolution_geometry import ConvolutionSpec
from rtfunc.compiler.cpu.convolution_plan import plan_convolution
from rtfunc.compiler.cpu.loops import KernelPrinter
from rtfunc.compiler.cpu.product_calls import product_plan
from rtfunc.compiler.cpu.product_library import epilogue_type
from rtfunc.compiler.cpu.scalars import i64, pointer
from rtfunc.compiler.cpu.window_calls import convolution_spec
from rtfunc.compiler.in_place import read, written
from rtfunc.compiler.kernel import Affine, Kernel
from rtfunc.compiler.schedule import Call, Program
from rtfunc.compiler.views import row_major_strides
from rtfunc.core.graph import Equation, Variable

#: Products with fewer columns leave their consumers alone, which may find longer runs.
_FEWEST_COLUMNS = 32
#: The same for the last axis of a convolution's result.
_SHORTEST_RUN = 4
#: Larger Kernels gain less by the result's being in the cache than they lose by short runs through other
#: arrays: an Adam update took a tenth longer, a gradient of gelu a twentieth.
_MOST_NODES = 16


# Which Kernels.


def attach_epilogues(program: Program) -> None:
    """Turn Kernels that follow a product or a convolution into its epilogue, where that is possible."""
    steps = program.steps
    for number in range(len(steps) - 1, -1, -1):
        call = steps[number]
        if not isinstance(call, Call) or call.epilogue is not None:
            continue
        split = _splitting(call)
        if split is None:
            continue
        for later in range(number + 1, len(steps)):
            kernel = steps[later]
            if not isinstance(kernel, Kernel) or not _follows(program, call, kernel, split):
                continue
            place = _place(program, number, later)
            if place is not None:
                del steps[later], steps[number]
                steps.insert(place, dataclasses.replace(call, epilogue=kernel))
                break


def _splitting(call: Call) -> Callable[[Kernel], Kernel | None] | None:
    """How a Kernel over the result of a call is split into blocks; None if the call has no epilogue."""
    plan = product_plan(call)
    if plan is not None:
        columns = plan.spec.n
        return None if columns < _FEWEST_COLUMNS else lambda kernel: in_blocks(kernel, columns)
    spec = box_spec(call.equation)
    return None if spec is None else lambda kernel: in_boxes(kernel, spec)


def box_spec(equation: Equation) -> ConvolutionSpec | None:
    """The spec of a convolution that goes on with each block of its result."""
    if equation.primitive.name != "conv_general_dilated":
        return None
    spec = convolution_spec(equation)
    sizes = () if spec is None else box_sizes(spec)
    return spec if sizes and sizes[-1] >= _SHORTEST_RUN else None


def box_sizes(spec: ConvolutionSpec) -> tuple[int, ...]:
    """Sizes of the axes of a convolution's blocks; () if they do not suit."""
    plan = plan_convolution(spec)
    return tuple(plan.axis_size(axis) for axis in plan.result_axes() or ())


def _follows(
    program: Program, call: Call, kernel: Kernel, split: Callable[[Kernel], Kernel | None]
) -> bool:
    """Whether a Kernel reads the result point by point, and splits into blocks like it."""
    out = program.base(call.equation.outputs[0])
    if any(kernel.reduced) or kernel.size != out.aval.size or len(kernel.nodes) > _MOST_NODES:
        return False
    loads = [
        n for n in kernel.nodes if n.op == "load" and program.base(n.params["variable"]) is out
    ]
    same = Affine(row_major_strides(kernel.domain))
    if not loads or any(n.args or n.params["offset"] != same for n in loads):
        return False
    return split(kernel) is not None


def _place(program: Program, number: int, later: int) -> int | None:
    """Where steps `number` and `later` may be done as one: as a position once both are taken out."""
    steps, base = program.steps, program.base
    out = base(steps[number].equation.outputs[0])  # type: ignore[union-attr]
    kernel = steps[later]
    between = steps[number + 1 : later]
    made = {base(v) for s in between for v in written(s)}
    used = {base(v) for s in between for v in read(s)}
    needs, makes = {base(v) for v in read(kernel)}, {base(v) for v in written(kernel)}
    if not needs & made and not makes & (made | used):
        return number
    if out not in used and out not in made:
        return later - 1
    return None


def in_blocks(kernel: Kernel, columns: int) -> Kernel | None:
    """The Kernel with axes of rows and, last, one axis of so many columns; None if there is no such form."""
    size, barrier = 1, len(kernel.domain)
    while barrier and size < columns:
        barrier -= 1
        size *= kernel.domain[barrier]
    if size != columns:
        if size % columns or barrier != len(kernel.domain) - 1:
            return None
        kernel = _with_split_axis(kernel, columns)
        barrier = len(kernel.domain) - 1
    kernel = collapse(kernel, [barrier])
    return kernel if kernel.domain[-1] == columns else None


def in_boxes(kernel: Kernel, spec: ConvolutionSpec) -> Kernel | None:
    """The Kernel with the axes of a convolution's blocks; None if there is no such form."""
    sizes = box_sizes(spec)
    barriers, axis = [], 0
    for size in sizes:
        barriers.append(axis)
        count = 1
        while axis < len(kernel.domain) and count < size:
            count *= kernel.domain[axis]
            axis += 1
        if count != size:
            return None
    if axis != len(kernel.domain):
        return None
    kernel = collapse(kernel, barriers)
    return kernel if kernel.domain == sizes else None


def _with_split_axis(kernel: Kernel, columns: int) -> Kernel:
    """The Kernel with its last axis as two, the second of so many points."""
    *outer, last = kernel.domain

    def split(offset: Affine) -> Affine:
        *before, c = offset.coefficients
        return Affine((*before, c * columns, c), offset.constant)

    domain = (*outer, last // columns, columns)
    return kernel.with_axes(domain, (*kernel.reduced, kernel.reduced[-1]), split)


# Printing.


#: void epilogue(frame, bounds)
box_type = ir.FunctionType(ir.VoidType(), [pointer, pointer])


def emit_epilogue(
    module: ir.Module,
    name: str,
    kernel: Kernel,
    slots: dict[Variable, int],
    vector_bytes: int,
    lanes: int,
    boxes: bool = False,
) -> None:
    """Print a Kernel in the form of `in_blocks`, or of `in_boxes`, as the function `name`.

    Along the last axis, blocks begin at multiples of `lanes`, and end there or with the axis.
    """
    printer = _BlockPrinter(module, name, kernel, slots, vector_bytes)
    if boxes:
        printer.emit_boxes(lanes)
    else:
        printer.emit_blocks(lanes)


class _BlockPrinter(KernelPrinter):
    def _vector_axis(self) -> int:
        return len(self.kernel.domain) - 1

    def emit_blocks(self, lanes: int) -> None:
        """The function of rows and columns."""
        function = self._begin(epilogue_type, lanes)
        _, first_row, last_row, first, last = function.args
        with self._loop(first_row, last_row, 1, "row") as row:
            self._place_row(row)
            self._run_of_lanes(first, last)
        self.b.ret_void()

    def emit_boxes(self, lanes: int) -> None:
        """The function of bounds."""
        function = self._begin(box_type, lanes)
        bounds = function.args[1]

        def bound(number: int) -> ir.Value:
            return self.b.load(self.b.gep(bounds, [i64(number)], source_etype=i64), typ=i64)

        def around(axis: int) -> None:
            first, last = bound(2 * axis), bound(2 * axis + 1)
            if axis == self.axis:
                self._run_of_lanes(first, last)
                return
            with self._loop(first, last, 1, f"i{axis}") as self.index[axis]:
                around(axis + 1)

        around(0)
        self.b.ret_void()

    def _begin(self, of: ir.FunctionType, lanes: int) -> ir.Function:
        self.lanes, self.unroll = min(self.lanes, lanes), 1
        function = ir.Function(self.module, of, self.name)
        self.allocas = function.append_basic_block("entry")
        self.b = ir.IRBuilder(self.allocas)
        self.buffers = self._pointers(function.args[0])
        return function

    def _run_of_lanes(self, first: ir.Value, last: ir.Value) -> None:
        """All points of a stretch of the last axis."""
        b, size = self.b, self.kernel.domain[self.axis]
        self.values = {}
        rest = size % self.lanes
        whole = i64(size - rest)
        stop = b.select(b.icmp_signed("<", last, whole), last, whole)
        with self._loop(first, stop, self.lanes, "lanes") as at, self._fresh():
            self._point(Span(at, 1))
        if rest:
            with b.if_then(b.icmp_signed("==", last, i64(size))), self._fresh():
                self._point(self._partial(whole, rest))

    def _place_row(self, row: ir.Value) -> None:
        """Indices of the axes of rows from the number of the row."""
        for axis in reversed(self.row_axes):
            n = self.kernel.domain[axis]
            if axis == self.row_axes[0]:
                self.index[axis] = row
            else:
                self.index[axis], row = self.b.urem(row, i64(n)), self.b.udiv(row, i64(n))
