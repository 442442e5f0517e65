"""A Graph made ready for a printer: inlined, in canonical form, scheduled, sub-graphs too.

Depends on `inline`, `schedule`, `memory`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from rtfunc.compiler.graph_passes import has_complex, optimize, without_markers
from rtfunc.compiler.in_place import (
    buffer_bytes,
    carried_in_place,
    may_overlay,
    order_readers,
    share_buffers,
)
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
from rtfunc.compiler.loop_invariants import hoist_invariants
from rtfunc.compiler.memory import Plan, aligned, plan_memory
from rtfunc.compiler.schedule import Call, Program, schedule
from rtfunc.core.graph import Equation, Graph, Variable, sub_graphs

#: Calls whose sub-graphs run inside the program.
control_flow = ("scan", "while", "cond")


@dataclasses.dataclass(eq=False)
class Lowered:
    """A Program with its memory plan, and those of the sub-graphs of its calls.

    Attributes: inner: for each call with sub-graphs, their Lowered forms in the order of the params;
    overlays: for some outputs, by position, the input that they may be written over.
    """

    program: Program
    plan: Plan
    inner: dict[Equation, list[Lowered]]
    overlays: dict[int, int] = dataclasses.field(default_factory=dict)


class _Options(NamedTuple):
    """What `lower` was told by the back end."""

    scratch_bytes: Callable[[Call], int]
    rearrange: Callable[[Program], object]
    in_place: bool


def lower(
    graph: Graph,
    scratch_bytes: Callable[[Call], int] = lambda call: 0,
    donated: Collection[int] = (),
    rearrange: Callable[[Program], object] = lambda program: None,
    in_place: bool = True,
) -> Lowered:
    """Lower the outermost Graph: its inputs, constants and outputs have memory of their own.

    `scratch_bytes` says how much memory the back end needs for a call while it runs. `donated` are the
    positions of inputs whose memory the outputs may take. `rearrange` lets the back end join steps of each
    Program before its memory is planned; `in_place` lets results lie in the memory of what they are made of.
    """
    graph = optimize(graph)
    if has_complex(graph):
        from rtfunc.compiler.complex_parts import complex_parts

        graph = optimize(complex_parts(graph))
    program = schedule(_prepared(split_loops(hoist_invariants(inline_calls(graph)))), absorbs)
    options = _Options(scratch_bytes, rearrange, in_place)
    lowered = _finish(program, options, [program.inputs[i] for i in donated])
    lowered.overlays = _overlays(lowered, donated)
    return lowered


def _overlays(lowered: Lowered, donated: Collection[int]) -> dict[int, int]:
    """Which output takes the memory of which donated input: large ones first, each at most once."""
    program = lowered.program
    found: dict[int, int] = {}
    free = list(donated)
    order = sorted(range(len(program.outputs)), key=lambda i: -buffer_bytes(program.outputs[i]))
    for output in order:
        for operand in free:
            if may_overlay(lowered, program.outputs[output], program.inputs[operand]):
                found[output] = operand
                free.remove(operand)
                break
    return found


def _prepared(graph: Graph) -> Graph:
    return canonical(join_pads(optimize(without_markers(graph))))


def _lower_inner(graph: Graph, options: _Options, overwritable: Sequence[int]) -> Lowered:
    graph = split_loops(hoist_invariants(inline_calls(graph)))
    inputs = tuple(Variable(v.aval) for v in graph.inputs)
    call = Equation(None, (), {}, ())  # type: ignore[arg-type]
    equations, outputs = copy_into(graph, inputs, call)
    fresh = Graph(inputs, tuple(equations), tuple(outputs))
    program = schedule(_prepared(fresh), absorbs)
    return _finish(program, options, [program.inputs[i] for i in overwritable])


def _overwritable(equation: Equation, graph: Graph) -> range:
    """Which inputs of a sub-graph its outputs may be written over: not what a loop holds constant."""
    params = equation.params
    first = params.get("constants", params.get("body_constants", 0))
    return range(
        len(graph.inputs) if graph is params.get("condition") else first, len(graph.inputs)
    )


def _finish(program: Program, options: _Options, overwritable: Collection[Variable]) -> Lowered:
    inner: dict[Equation, list[Lowered]] = {}
    for step in program.steps:
        if isinstance(step, Call) and step.equation.primitive.name in control_flow:
            inner[step.equation] = [
                _lower_inner(g, options, _overwritable(step.equation, g))
                for g in sub_graphs(step.equation)
            ]
    options.rearrange(program)
    if options.in_place:
        order_readers(program, overwritable, inner)
        share_buffers(program, inner, overwritable)
    fixed = {*program.inputs, *program.constants, *(program.base(v) for v in program.outputs)}

    def workspace(call: Call) -> int:
        if call.equation in inner:
            return workspace_bytes(call, inner[call.equation])
        return options.scratch_bytes(call)

    plan = plan_memory(program, fixed, workspace)
    return Lowered(program, plan, inner)


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
    """Sizes in bytes of the parts of a call's workspace, in order.

    They are the arenas, a second buffer for everything that is carried (of no size where a step writes
    over it), and the flag of a `while`.
    """
    parts = [aligned(part.plan.size) for part in inner]
    in_place = carried_in_place(call.equation, inner)
    for aval, alone in zip(carry_avals(call.equation), in_place, strict=True):
        parts.append(0 if alone else aligned(aval.size * aval.dtype.itemsize))
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
