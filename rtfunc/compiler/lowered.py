"""A Graph made ready for a printer: inlined, in canonical form, scheduled, sub-graphs too.

Depends on `inline`, `schedule`, `memory`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from rtfunc.compiler.graph_passes import has_complex, optimize, without_markers
from rtfunc.compiler.inline import (
    canonical,
    copy_into,
    inline_calls,
    is_product,
    matrix_layout,
)
from rtfunc.compiler.joins import join_pads
from rtfunc.compiler.kernel import Affine
from rtfunc.compiler.loop_fission import split_loops
from rtfunc.compiler.memory import Plan, aligned, lifetimes, plan_memory
from rtfunc.compiler.schedule import Call, Program, schedule
from rtfunc.core.graph import Equation, Graph, Variable, sub_graphs

#: Calls whose sub-graphs run inside the program.
control_flow = ("scan", "while", "cond")


@dataclasses.dataclass(eq=False)
class Lowered:
    """A Program with its memory plan, and those of the sub-graphs of its calls.

    Attributes: inner: for each call with sub-graphs, their Lowered forms in the order of the params.
    """

    program: Program
    plan: Plan
    inner: dict[Equation, list[Lowered]]


def lower(graph: Graph, scratch_bytes: Callable[[Call], int] = lambda call: 0) -> Lowered:
    """Lower the outermost Graph: its inputs, constants and outputs have memory of their own.

    `scratch_bytes` says how much memory the back end needs for a call while it runs.
    """
    graph = optimize(graph)
    if has_complex(graph):
        from rtfunc.compiler.complex_parts import complex_parts

        graph = optimize(complex_parts(graph))
    return _finish(schedule(_prepared(split_loops(inline_calls(graph))), absorbs), scratch_bytes)


def _prepared(graph: Graph) -> Graph:
    return canonical(join_pads(optimize(without_markers(graph))))


def _lower_inner(graph: Graph, scratch_bytes: Callable[[Call], int]) -> Lowered:
    graph = split_loops(inline_calls(graph))
    inputs = tuple(Variable(v.aval) for v in graph.inputs)
    call = Equation(None, (), {}, ())  # type: ignore[arg-type]
    equations, outputs = copy_into(graph, inputs, call)
    fresh = Graph(inputs, tuple(equations), tuple(outputs))
    return _finish(schedule(_prepared(fresh), absorbs), scratch_bytes)


def _finish(program: Program, scratch_bytes: Callable[[Call], int]) -> Lowered:
    inner: dict[Equation, list[Lowered]] = {}
    for step in program.steps:
        if isinstance(step, Call) and step.equation.primitive.name in control_flow:
            inner[step.equation] = [
                _lower_inner(g, scratch_bytes) for g in sub_graphs(step.equation)
            ]
    _write_in_place(program)
    fixed = {*program.inputs, *program.constants, *(program.base(v) for v in program.outputs)}

    def workspace(call: Call) -> int:
        if call.equation in inner:
            return workspace_bytes(call, inner[call.equation])
        return scratch_bytes(call)

    plan = plan_memory(program, fixed, workspace)
    return Lowered(program, plan, inner)


#: Calls that change a copy of their first operand.
_updates = ("scatter", "dynamic_update_slice")


def _write_in_place(program: Program) -> None:
    """Let calls that update an operand work on its buffer, where nothing reads it afterwards."""
    given = {*program.inputs, *program.constants}
    for number, step in enumerate(program.steps):
        if not isinstance(step, Call) or step.equation.primitive.name not in _updates:
            continue
        (out,) = step.equation.outputs
        operand, others = program.base(step.operands[0][0]), [v for v, _ in step.operands[1:]]
        if operand in given or operand in map(program.base, others):
            continue
        if program.base(out) is operand or operand in map(program.base, program.outputs):
            continue
        last = lifetimes(program)[operand][1]
        if last == number:
            program.aliases[operand] = program.base(out)


def carry_avals(equation: Equation) -> list:
    """Avals of what a loop carries from step to step."""
    params = equation.params
    if equation.primitive.name == "scan":
        body, start = params["body"], params["constants"]
        return [v.aval for v in body.inputs[start : start + params["carry"]]]
    if equation.primitive.name == "while":
        return [v.aval for v in params["body"].inputs[params["body_constants"] :]]
    return []


def workspace_bytes(call: Call, inner: list[Lowered]) -> int:
    """Memory that a call takes while it runs: the arenas of its Programs, and buffers for carries."""
    return sum(workspace_parts(call, inner))


def workspace_parts(call: Call, inner: list[Lowered]) -> list[int]:
    """Sizes in bytes of the parts of a call's workspace, in order."""
    parts = [aligned(part.plan.size) for part in inner]
    copies = {"scan": 1, "while": 2}.get(call.equation.primitive.name, 0)
    for aval in carry_avals(call.equation) * copies:
        parts.append(aligned(aval.size * aval.dtype.itemsize))
    if call.equation.primitive.name == "while":
        parts.append(aligned(1))
    return parts


def absorbs(equation: Equation, position: int, offset: Affine) -> bool:
    """Whether a call reads an operand through strides as well as from a buffer of its own."""
    if equation.primitive.name != "dot_general" or not is_product(equation):
        return False
    (contract, batch) = equation.params["dimension_numbers"]
    shape = equation.inputs[position].aval.shape
    free = [a for a in range(len(shape)) if a not in (*batch[position], *contract[position])]
    layout = matrix_layout(shape, offset.coefficients, free, contract[position])
    return layout is not None
