"""Dead code in control flow: results that nothing reads, and operands that no result needs.

Derivatives ask scans, branches and calls for more than is used in the end: a gradient rarely reads
the primal ys, and second derivatives compute first ones. `drop_unused` trims such operations, and
their Graphs at any depth; the compiler runs it. Depends on `branch`, `call`, `loop`, `scan`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core.graph import Atom, Equation, Graph, Variable
from rtfunc.core.primitive import Primitive
from rtfunc.core.staging import has_effect
from rtfunc.ops.branch import cond_p
from rtfunc.ops.call import checkpoint_call_p, jit_call_p
from rtfunc.ops.loop import while_p
from rtfunc.ops.scan import scan_p
from rtfunc.ops.sub_graphs import chosen, either, rearranged, split

#: What remains of an equation: marks of the operands, marks of the results, and new params.
Trimmed = tuple[Sequence[bool], Sequence[bool], dict[str, Any]]


def drop_unused(graph: Graph) -> Graph:
    """The Graph without dead code, inside the Graphs that equations hold too.

    Inputs and outputs stay as they are. Equations with effects stay.
    """
    known = graph.derived.get(drop_unused)
    if known is not None:
        return known
    live: set[Atom] = set(graph.outputs)
    kept: list[Equation] = []
    for equation in reversed(graph.equations):
        marks = tuple(v in live for v in equation.outputs)
        if True not in marks and not has_effect(equation):
            continue
        rule = _rules.get(equation.primitive)
        if rule is not None:
            inputs, outputs, params = rule(marks, **equation.params)
            equation = equation.replace(
                inputs=tuple(chosen(inputs, equation.inputs)),
                outputs=tuple(chosen(outputs, equation.outputs)),
                params={**equation.params, **params},
            )
        live.update(a for a in equation.inputs if isinstance(a, Variable))
        kept.append(equation)
    result = Graph(graph.inputs, tuple(reversed(kept)), graph.outputs, graph.constants)
    graph.derived[drop_unused] = result
    result.derived[drop_unused] = result
    return result


def _with_outputs(graph: Graph, kept: Sequence[bool]) -> tuple[Graph, tuple[bool, ...]]:
    """The Graph with the marked outputs only, trimmed, and which of its inputs it reads."""
    kept = tuple(kept)
    key = (_with_outputs, kept)
    if key not in graph.derived:
        trimmed = drop_unused(rearranged(graph, graph.inputs, chosen(kept, graph.outputs)))
        read: set[Atom] = {a for e in trimmed.equations for a in e.inputs} | set(trimmed.outputs)
        graph.derived[key] = trimmed, tuple(v in read for v in graph.inputs)
    return graph.derived[key]


def _with_inputs(graph: Graph, kept: Sequence[bool]) -> Graph:
    """The Graph with the marked inputs only; it does not read the others."""
    kept = tuple(kept)
    if all(kept):
        return graph
    key = (_with_inputs, kept)
    if key not in graph.derived:
        graph.derived[key] = drop_unused(
            Graph(tuple(chosen(kept, graph.inputs)), graph.equations, graph.outputs)
        )
    return graph.derived[key]


def _call(marks: Sequence[bool], *, graph: Graph, **params: Any) -> Trimmed:
    trimmed, read = _with_outputs(graph, marks)
    return read, marks, {"graph": _with_inputs(trimmed, read)}


def _cond(marks: Sequence[bool], *, branches: tuple[Graph, ...]) -> Trimmed:
    trimmed = [_with_outputs(branch, marks) for branch in branches]
    read = tuple(any(flags) for flags in zip(*(r for _, r in trimmed)))
    return (True, *read), marks, {"branches": tuple(_with_inputs(g, read) for g, _ in trimmed)}


def _while(
    marks: Sequence[bool],
    *,
    condition: Graph,
    body: Graph,
    condition_constants: int,
    body_constants: int,
) -> Trimmed:
    test, test_read = _with_outputs(condition, (True,))
    moving = either(marks, test_read[condition_constants:])
    while True:
        step, step_read = _with_outputs(body, moving)
        grown = either(moving, step_read[body_constants:])
        if grown == moving:
            break
        moving = grown
    test_fixed, fixed = test_read[:condition_constants], step_read[:body_constants]
    params = {
        "condition": _with_inputs(test, test_fixed + moving),
        "body": _with_inputs(step, fixed + moving),
        "condition_constants": sum(test_fixed),
        "body_constants": sum(fixed),
    }
    return test_fixed + fixed + moving, moving, params


def _scan(
    marks: Sequence[bool], *, body: Graph, constants: int, carry: int, **params: Any
) -> Trimmed:
    moving, ys = tuple(marks[:carry]), tuple(marks[carry:])
    while True:
        step, read = _with_outputs(body, moving + ys)
        fixed, found, sliced = map(tuple, split(read, constants, carry))
        grown = either(moving, found)
        if grown == moving:
            break
        moving = grown
    kept = fixed + moving + sliced
    new = {"body": _with_inputs(step, kept), "constants": sum(fixed), "carry": sum(moving)}
    return kept, moving + ys, new


_rules: dict[Primitive, Callable[..., Trimmed]] = {
    jit_call_p: _call,
    checkpoint_call_p: _call,
    cond_p: _cond,
    while_p: _while,
    scan_p: _scan,
}
