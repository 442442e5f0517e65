"""Staging: running a function to write down its Graph.

`GraphTrace` computes nothing: each primitive becomes an equation. Every operation under it is
staged, those on constants too, so large constants are not built while tracing. Values from outside
(Arrays that the function closes over, tracers of surrounding transforms) are captured and become
inputs of the Graph. Depends on `graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.graph import Atom, Equation, Graph, Literal, Variable, sub_graphs
from rtfunc.core.primitive import Primitive
from rtfunc.core.trace import (
    Trace,
    Tracer,
    check_alive,
    context,
    current_source,
    own_trace,
    use_trace,
)


class GraphTracer(Tracer):
    """A value that will exist when the Graph runs."""

    __slots__ = ("variable",)

    variable: Variable

    def __init__(self, trace: Trace, variable: Variable):
        self._trace = trace
        self.variable = variable

    @property
    def aval(self) -> Aval:
        return self.variable.aval

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.aval.shape

    @property
    def dtype(self) -> np.dtype:
        return self.variable.aval.dtype

    @property
    def weak_type(self) -> bool:
        return self.variable.aval.weak_type


class GraphTrace(Trace):
    """Writes down every primitive as an equation."""

    __slots__ = ("captured", "equations")

    def __init__(self, parent: Trace | None):
        super().__init__(parent)
        self.equations: list[Equation] = []
        self.captured: dict[int, tuple[Array, Variable]] = {}

    def input(self, aval: Aval) -> GraphTracer:
        """A tracer for an input of the staged function."""
        return GraphTracer(self, Variable(aval))

    def atom(self, value: Any) -> Atom:
        """The Variable or Literal that stands for `value` in this Graph."""
        if type(value) is GraphTracer and value._trace is self:
            return value.variable
        if isinstance(value, Tracer):
            check_alive(value)
        elif not value.shape and isinstance(value._buffer, np.ndarray):
            return Literal(value._buffer, value._weak)
        known = self.captured.get(id(value))
        if known is None:
            self.captured[id(value)] = known = (value, Variable(value.aval))
        return known[1]

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        inputs = tuple([self.atom(a) for a in args])
        inferred = primitive.infer([a.aval for a in inputs], params)
        source = context.source or current_source()
        if primitive.multiple_results:
            outputs = tuple([Variable(aval) for aval in inferred])
            self.equations.append(
                Equation(primitive, inputs, params, outputs, source, context.scopes)
            )
            return [GraphTracer(self, v) for v in outputs]
        variable = Variable(inferred)
        self.equations.append(
            Equation(primitive, inputs, params, (variable,), source, context.scopes)
        )
        return GraphTracer(self, variable)

    def process_custom(self, call: Any, args: Sequence[Any]) -> Sequence[Any]:
        return call.stage(self, args)


class LinearTrace(GraphTrace):
    """Writes down what touches its tracers; everything else is computed by its parent.

    For functions whose other values are at hand: the linear part of a derivative.
    """

    __slots__ = ()

    def _mine(self, args: Sequence[Any]) -> bool:
        return any(type(a) is GraphTracer and a._trace is self for a in args)

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if self._mine(args):
            return super().process(primitive, args, params)
        with use_trace(self.parent):
            return primitive.bind(*args, **params)

    def process_custom(self, call: Any, args: Sequence[Any]) -> Sequence[Any]:
        if self._mine(args):
            return super().process_custom(call, args)
        with use_trace(self.parent):
            return call.bind(args)


def finish_graph(
    trace: GraphTrace, inputs: Sequence[GraphTracer], results: Sequence[Any]
) -> tuple[Graph, list[Any]]:
    """The Graph that `trace` wrote down, without dead code, and the values it captured.

    The Graph's inputs are the captured values' variables first, then `inputs`.
    """
    outputs = tuple(trace.atom(r) for r in results)
    captured = list(trace.captured.values())
    variables = tuple([v for _, v in captured] + [i.variable for i in inputs])
    graph = live_part(Graph(variables, tuple(trace.equations), outputs))
    return _drop_unused(graph, [value for value, _ in captured])


def trace_to_graph(
    function: Callable[..., Sequence[Any]], in_avals: Sequence[Aval]
) -> tuple[Graph, list[Any]]:
    """Stage `function` (flat Arrays to a flat sequence of Arrays) on inputs of the given Avals.

    Returns the Graph and the captured values. The Graph's inputs are the captured values' variables
    first, then the arguments'.
    """
    trace = GraphTrace(context.trace)
    args = [trace.input(aval) for aval in in_avals]
    with own_trace(trace):
        results = function(*args)
        for r in results:
            if not isinstance(r, Array):
                raise DtypeError(
                    at_user_line(f"A traced function returned {type(r).__name__}, not an Array.")
                )
        return finish_graph(trace, args, results)


def _drop_unused(graph: Graph, captured: list[Any]) -> tuple[Graph, list[Any]]:
    """Without the captured inputs that nothing reads."""
    used = {a for e in graph.equations for a in e.inputs} | set(graph.outputs)
    kept = [i for i in range(len(captured)) if graph.inputs[i] in used]
    if len(kept) == len(captured):
        return graph, captured
    inputs = tuple(graph.inputs[i] for i in kept) + graph.inputs[len(captured) :]
    return Graph(inputs, graph.equations, graph.outputs), [captured[i] for i in kept]


#: Names of primitives whose equations stay even where nothing reads their outputs.
effectful: set[str] = set()


def has_effect(equation: Equation) -> bool:
    """Whether an equation does something beside computing its outputs (printing, callbacks)."""
    if equation.primitive.name in effectful:
        return bool(equation.params.get("has_effect", True))
    return any(has_effect(e) for sub in sub_graphs(equation) for e in sub.equations)


def live_part(graph: Graph) -> Graph:
    """Without the equations whose outputs nothing reads (dead code)."""
    live = {a for a in graph.outputs if isinstance(a, Variable)}
    kept = []
    for equation in reversed(graph.equations):
        if any(v in live for v in equation.outputs) or has_effect(equation):
            kept.append(equation)
            live.update(a for a in equation.inputs if isinstance(a, Variable))
    if len(kept) == len(graph.equations):
        return graph
    return Graph(graph.inputs, tuple(reversed(kept)), graph.outputs, graph.constants)
