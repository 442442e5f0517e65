"""Passes over Graphs: each a small pure function from Graph to Graph.

`optimize` runs them in order: common subexpressions, constant folding, algebra, dead code, in
sub-graphs too. They keep values and dtypes exactly as they are. Depends on `core` and `ops`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.graph import Atom, Equation, Graph, Literal, Variable, sub_graphs
from rtfunc.core.staging import has_effect
from rtfunc.core.trace import use_trace
from rtfunc.ops.control_dce import drop_unused
from rtfunc.ops.elementwise import batch_elementwise


def optimize(graph: Graph) -> Graph:
    """The Graph after all passes, sub-graphs included; kept on the Graph, so it is made once."""
    if optimize not in graph.derived:
        result = graph
        for run in (merge_common, fold_constants, simplify, merge_common, drop_unused):
            result = run(result)
        graph.derived[optimize] = map_sub_graphs(optimize, result)
    return graph.derived[optimize]


def map_sub_graphs(function: Callable[[Graph], Graph], graph: Graph) -> Graph:
    """`function` applied to the sub-graphs of every equation."""
    changed = False
    equations = []
    for equation in graph.equations:
        if any(True for _ in sub_graphs(equation)):
            params = {k: _map_value(function, v) for k, v in equation.params.items()}
            if any(params[k] is not v for k, v in equation.params.items()):
                equation = equation.replace(params=params)
                changed = True
        equations.append(equation)
    if not changed:
        return graph
    return Graph(graph.inputs, tuple(equations), graph.outputs, graph.constants)


def _map_value(function: Callable[[Graph], Graph], value: Any) -> Any:
    if isinstance(value, Graph):
        return function(value)
    if isinstance(value, tuple) and any(isinstance(item, Graph) for item in value):
        return tuple(function(i) if isinstance(i, Graph) else i for i in value)
    return value


def substitute(graph: Graph, rewrite: Callable[[Equation], Sequence[Atom] | Equation]) -> Graph:
    """Rebuild a Graph: `rewrite(equation)`, whose inputs are already rewritten, gives the equation
    to keep, or the atoms that stand for its outputs."""

    def expanded(equation: Equation) -> tuple[Sequence[Equation], Sequence[Atom]]:
        result = rewrite(equation)
        return ([result], result.outputs) if isinstance(result, Equation) else ([], result)

    return expand(graph, expanded)


def expand(
    graph: Graph, rewrite: Callable[[Equation], tuple[Sequence[Equation], Sequence[Atom]]]
) -> Graph:
    """Rebuild a Graph: `rewrite(equation)`, whose inputs are already rewritten, gives the equations in
    its place, and the atoms that stand for its outputs."""
    known: dict[Variable, Atom] = {}

    def read(atom: Atom) -> Atom:
        return known.get(atom, atom) if isinstance(atom, Variable) else atom

    kept: list[Equation] = []
    for equation in graph.equations:
        inputs = tuple([read(a) for a in equation.inputs])
        if any(a is not b for a, b in zip(inputs, equation.inputs)):
            equation = equation.replace(inputs=inputs)
        added, results = rewrite(equation)
        kept += added
        known.update((v, a) for v, a in zip(equation.outputs, results, strict=True) if a is not v)
    outputs = tuple(read(a) for a in graph.outputs)
    same = len(kept) == len(graph.equations) and all(map(operator.is_, kept, graph.equations))
    if not known and same:
        return graph
    return Graph(graph.inputs, tuple(kept), outputs, graph.constants)


def merge_common(graph: Graph) -> Graph:
    """Equal equations on equal operands are computed once (common subexpression elimination)."""
    first: dict[Any, Sequence[Atom]] = {}

    def rewrite(equation: Equation) -> Sequence[Atom] | Equation:
        if has_effect(equation) or equation.params.get("prevent_cse"):
            return equation
        try:
            key = (
                equation.primitive,
                tuple(map(_atom_key, equation.inputs)),
                tuple(sorted((k, _param_key(v)) for k, v in equation.params.items())),
            )
            known = first.get(key)
        except TypeError:  # a param that does not hash
            return equation
        if known is not None:
            return known
        first[key] = equation.outputs
        return equation

    return substitute(graph, rewrite)


def _atom_key(atom: Atom) -> Any:
    if isinstance(atom, Variable):
        return id(atom)
    return atom.value.tobytes(), atom.value.dtype, atom.aval.weak_type


def _param_key(value: Any) -> Any:
    """Distinguishes 1, 1.0 and True, which hash alike."""
    if isinstance(value, tuple):
        return tuple(_param_key(v) for v in value)
    hash(value)
    if isinstance(value, Graph) or callable(value):
        return "identity", id(value)
    return type(value).__name__, repr(value)


def fold_constants(graph: Graph) -> Graph:
    """Equations on scalar literals are computed now."""

    def rewrite(equation: Equation) -> Sequence[Atom] | Equation:
        if (
            not equation.inputs
            or not all(isinstance(a, Literal) for a in equation.inputs)
            or any(v.aval.shape for v in equation.outputs)
            or not equation.primitive.leaf
            or "axis_names" in equation.params  # a collective needs its surrounding vmap
            or has_effect(equation)
        ):
            return equation
        operands = [Array(a.value, a.aval.weak_type) for a in equation.inputs]  # type: ignore[union-attr]
        with use_trace(None):
            out = equation.primitive.bind(*operands, **equation.params)
        outs = out if equation.primitive.multiple_results else [out]
        return [Literal(np.asarray(o._buffer), o.weak_type) for o in outs]

    return substitute(graph, rewrite)


def _is_value(atom: Atom, value: float) -> bool:
    return isinstance(atom, Literal) and atom.value.dtype.kind != "b" and bool(atom.value == value)


def simplify(graph: Graph) -> Graph:
    """Algebra that changes no bit of the result: neutral operands, chains of index operations."""
    definitions: dict[Variable, Equation] = {}

    def rewrite(equation: Equation) -> Sequence[Atom] | Equation:
        simplified = _simplify(equation, definitions)
        if isinstance(simplified, Equation):
            definitions.update(dict.fromkeys(simplified.outputs, simplified))
        return simplified

    return substitute(graph, rewrite)


def _simplify(
    equation: Equation, definitions: dict[Variable, Equation]
) -> Sequence[Atom] | Equation:
    equation = _with_literals(equation, definitions)
    name, inputs = equation.primitive.name, equation.inputs
    out = equation.outputs[0].aval if equation.outputs else None
    if name in _neutral and out is not None:
        left, right = inputs
        value, sides = _neutral[name]
        if _is_value(right, value) and left.aval == out and "right" in sides:
            return [left]
        if _is_value(left, value) and right.aval == out and "left" in sides:
            return [right]
    if name in _identity_if_same_type and len(inputs) == 1 and inputs[0].aval == out:
        if name != "transpose" or equation.params["permutation"] == tuple(
            range(inputs[0].aval.ndim)
        ):
            return [inputs[0]]
    if name == "integer_pow" and equation.params["exponent"] == 1:
        return [inputs[0]]
    inner = definitions.get(inputs[0]) if inputs and isinstance(inputs[0], Variable) else None
    if inner is None or inner.primitive.name != name:
        return equation
    if name == "reshape":
        return _again(equation, inner)
    if name == "transpose":
        first, second = inner.params["permutation"], equation.params["permutation"]
        order = tuple(first[i] for i in second)
        if order == tuple(range(len(order))):
            return [inner.inputs[0]]
        return _again(equation, inner, permutation=order)
    if name == "broadcast_in_dim":
        axes = tuple(equation.params["axes"][a] for a in inner.params["axes"])
        return _again(equation, inner, axes=axes)
    if name == "neg" and dtypes.is_inexact(inputs[0].aval.dtype):
        return [inner.inputs[0]] if inner.inputs[0].aval == out else equation
    return equation


def _with_literals(equation: Equation, definitions: dict[Variable, Equation]) -> Equation:
    """An elementwise equation reads scalars as such, not spread out to its shape."""
    if equation.primitive.batch is not batch_elementwise or len(equation.inputs) < 2:
        return equation
    shape = equation.outputs[0].aval.shape

    def scalar(atom: Atom) -> Atom:
        inner = definitions.get(atom) if isinstance(atom, Variable) else None
        if inner is None or inner.primitive.name != "broadcast_in_dim":
            return atom
        return inner.inputs[0] if isinstance(inner.inputs[0], Literal) else atom

    inputs = [scalar(a) for a in equation.inputs]
    if inputs == list(equation.inputs):
        return equation
    if not any(a.aval.shape == shape for a in inputs):
        # Something has to give the result its shape.
        inputs[0] = equation.inputs[0]
        if inputs[0].aval.shape != shape:
            return equation
    return equation.replace(inputs=tuple(inputs))


def _again(equation: Equation, inner: Equation, **params: Any) -> Sequence[Atom] | Equation:
    """`equation` applied directly to the operand of `inner`."""
    combined = equation.replace(inputs=inner.inputs, params={**equation.params, **params})
    source = inner.inputs[0]
    if combined.primitive.name != "transpose" and source.aval == combined.outputs[0].aval:
        return [source]
    return combined


#: Neutral elements: adding 0 changes -0.0 to 0.0 on the left and right, so only what is exact is
#: here.
_neutral = {"mul": (1, ("left", "right")), "div": (1, ("right",)), "sub": (0, ("right",))}

_identity_if_same_type = {"reshape", "transpose", "broadcast_in_dim", "convert_element_type"}


def without_markers(graph: Graph) -> Graph:
    """Without the operations that only derivatives look at: for Graphs that will be run, not transformed."""
    return substitute(graph, lambda e: e.inputs if e.primitive.name == "stop_gradient" else e)


def has_complex(graph: Graph) -> bool:
    """Whether any value in a Graph or its sub-graphs is complex."""
    if any(dtypes.is_complex(a.dtype) for a in (*graph.in_avals, *graph.out_avals)):
        return True
    return any(
        any(dtypes.is_complex(a.aval.dtype) for a in (*e.inputs, *e.outputs))
        or any(has_complex(sub) for sub in sub_graphs(e))
        for e in graph.equations
    )
