"""What the operations that hold Graphs share: calls, branches and loops.

Checks of their operands, rearranged Graphs, and two analyses: through which outputs a derivative
flows (`derivative_flow`) and what does not change between the steps of a loop
(`invariant_variables`). Sub-graphs have no constants, so a derived Graph goes through
`core.graph_transforms.lifted`, and its constants become leading operands. Depends on `core` and
`shape`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.errors import GraphError, at_user_line
from rtfunc.core.graph import Atom, Equation, Graph, Literal, Variable, evaluate
from rtfunc.core.primitive import Primitive, no_vjp
from rtfunc.core.staging import has_effect, live_part
from rtfunc.ops.shape import broadcast_in_dim_p


def same_type(a: Aval, b: Aval) -> bool:
    """Whether two Avals agree in shape and dtype; weakness may differ."""
    return a.shape == b.shape and a.dtype == b.dtype


def check_operands(operation: str, operands: Sequence[Aval], expected: Sequence[Aval]) -> None:
    """Raise `GraphError` unless the operands have the types that the sub-graph takes."""
    if len(operands) != len(expected) or not all(map(same_type, operands, expected)):
        raise GraphError(
            at_user_line(
                f"{operation}: operands of types {', '.join(map(str, operands))} are given to a "
                f"graph that takes {', '.join(map(str, expected))}."
            )
        )


def joined(first: Iterable[Aval], second: Iterable[Aval]) -> tuple[Aval, ...]:
    """Avals that stand for either of two: weak where both are."""
    return tuple(
        a if a.weak_type == b.weak_type else Aval(a.shape, a.dtype)
        for a, b in zip(first, second, strict=True)
    )


def run(graph: Graph, buffers: Sequence[Any]) -> list[Any]:
    """Evaluate a Graph on buffers."""
    arrays = [Array(b, a.weak_type) for b, a in zip(buffers, graph.in_avals, strict=True)]
    return [out._buffer for out in evaluate(graph, arrays)]


def rearranged(
    graph: Graph, inputs: Sequence[Variable], outputs: Sequence[Atom | Aval | None]
) -> Graph:
    """The same equations with other inputs and outputs, without those that become dead.

    An Aval among the outputs stands for zeros of that type.
    """
    equations = list(graph.equations)
    atoms: list[Atom] = []
    for out in outputs:
        if isinstance(out, Aval):
            out = _zeros(out, equations)
        assert out is not None
        atoms.append(out)
    return live_part(Graph(tuple(inputs), tuple(equations), tuple(atoms), graph.constants))


def _zeros(aval: Aval, equations: list[Equation]) -> Atom:
    zero = Literal(np.zeros((), aval.dtype), aval.weak_type)
    if not aval.shape:
        return zero
    variable = Variable(aval)
    params = {"shape": aval.shape, "axes": ()}
    equations.append(Equation(broadcast_in_dim_p, (zero,), params, (variable,)))
    return variable


def spread(marks: Sequence[bool], values: Iterable[Any]) -> list[Any]:
    """One entry per mark: the next of `values` where it is True, else None."""
    found = iter(values)
    return [next(found) if m else None for m in marks]


def chosen(marks: Sequence[bool], values: Iterable[Any]) -> list[Any]:
    """The values that are marked."""
    return [v for m, v in zip(marks, values, strict=True) if m]


def split(values: Sequence[Any], *sizes: int) -> list[list[Any]]:
    """Consecutive parts of the given sizes, and the rest."""
    parts, start = [], 0
    for size in sizes:
        parts.append(list(values[start : start + size]))
        start += size
    return [*parts, list(values[start:])]


def either(a: Iterable[bool], b: Iterable[bool]) -> tuple[bool, ...]:
    """Elementwise `or`."""
    return tuple(x or y for x, y in zip(a, b, strict=True))


def batched_at_front(
    operands: Sequence[Any], batch_axes: Sequence[int | None], batched: Sequence[bool], size: int
) -> list[Any]:
    """Operands with the batch on axis 0 where `batched`, repeated for those that have none."""
    return [
        at_front(x, axis, size if b else None)
        for x, axis, b in zip(operands, batch_axes, batched, strict=True)
    ]


# Analyses

#: For operations that hold Graphs: which results a derivative flows to, given
#: `(marks of the operands, **params)`. Of other operations every inexact result is reached.
flow_rules: dict[Primitive, Callable[..., Sequence[bool]]] = {}


def derivative_flow(graph: Graph, marked: Sequence[bool]) -> tuple[bool, ...]:
    """For each output, whether a derivative may flow to it from the marked inputs."""
    marked = tuple(marked)
    key = (derivative_flow, marked)
    known = graph.derived.get(key)
    if known is not None:
        return known
    reached: set[Atom] = {
        v for v, m in zip(graph.inputs, marked, strict=True) if m and is_inexact(v.aval.dtype)
    }
    for equation in graph.equations:
        marks = [a in reached for a in equation.inputs]
        if True not in marks or equation.primitive.vjp is no_vjp:
            continue
        rule = flow_rules.get(equation.primitive)
        flows = rule(marks, **equation.params) if rule else (True,) * len(equation.outputs)
        reached.update(v for v, f in zip(equation.outputs, flows) if f and is_inexact(v.aval.dtype))
    graph.derived[key] = result = tuple(a in reached for a in graph.outputs)
    return result


def invariant_variables(graph: Graph, fixed: Iterable[Variable]) -> dict[Variable, Equation | None]:
    """What depends on the `fixed` inputs and on constants only, with its equations."""
    found: dict[Variable, Equation | None] = dict.fromkeys([*fixed, *graph.constants])
    for equation in graph.equations:
        if not has_effect(equation) and all(
            isinstance(a, Literal) or a in found for a in equation.inputs
        ):
            found.update(dict.fromkeys(equation.outputs, equation))
    return found
