"""Inlining and canonical forms: what the scheduler expects of a Graph.

`inline_calls` puts the Graphs of calls in their place. `canonical` rewrites contractions so that
each is one matrix product per batch, or an elementwise product where nothing is contracted. Depends
on `graph_passes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.compiler.views import row_major_strides
from rtfunc.core import dtypes
from rtfunc.core.graph import Atom, Equation, Graph, Variable
from rtfunc.ops.arithmetic import mul_p
from rtfunc.ops.convert import convert_element_type_p
from rtfunc.ops.shape import reshape_p, transpose_p


def called_graph(equation: Equation) -> Graph | None:
    """The Graph that an equation merely calls, if that is what it does."""
    name, params = equation.primitive.name, equation.params
    if name in ("jit_call", "checkpoint_call"):
        return params["graph"]
    if name == "custom_call":
        return params["call"].graph
    return None


def inline_calls(graph: Graph) -> Graph:
    """The Graph with the equations of called Graphs in the place of the calls, at any depth."""
    if not any(called_graph(e) is not None for e in graph.equations):
        return graph
    equations: list[Equation] = []
    known: dict[Variable, Atom] = {}

    def read(atom: Atom) -> Atom:
        return known.get(atom, atom) if isinstance(atom, Variable) else atom

    for equation in graph.equations:
        inputs = tuple(read(a) for a in equation.inputs)
        inner = called_graph(equation)
        if inner is None:
            equations.append(equation.replace(inputs=inputs))
            continue
        added, outputs = copy_into(inline_calls(inner), inputs, equation)
        equations += added
        known.update(zip(equation.outputs, outputs, strict=True))
    outputs = tuple(read(a) for a in graph.outputs)
    return Graph(graph.inputs, tuple(equations), outputs, graph.constants)


def copy_into(
    graph: Graph, inputs: Sequence[Atom], call: Equation
) -> tuple[list[Equation], list[Atom]]:
    """The equations of `graph` with fresh variables, reading `inputs`; and its outputs."""
    known: dict[Variable, Atom] = dict(zip(graph.inputs, inputs, strict=True))

    def read(atom: Atom) -> Atom:
        return known[atom] if isinstance(atom, Variable) else atom

    equations = []
    for equation in graph.equations:
        outputs = tuple(Variable(v.aval) for v in equation.outputs)
        equations.append(
            equation.replace(
                inputs=tuple(read(a) for a in equation.inputs),
                outputs=outputs,
                source=equation.source or call.source,
                scopes=equation.scopes or call.scopes,
            )
        )
        known.update(zip(equation.outputs, outputs))
    return equations, [read(a) for a in graph.outputs]


class _Builder:
    """Appends equations in the place of one."""

    def __init__(self, origin: Equation):
        self.origin = origin
        self.equations: list[Equation] = []

    def apply(self, primitive: Any, *inputs: Atom, **params: Any) -> Variable:
        aval = primitive.infer([a.aval for a in inputs], params)
        out = Variable(aval)
        origin = self.origin
        self.equations.append(
            Equation(primitive, inputs, params, (out,), origin.source, origin.scopes)
        )
        return out

    def finish(self, result: Variable) -> list[Equation]:
        """The equations, the last of them defining the original's output."""
        last = self.equations[-1]
        assert last.outputs == (result,)
        self.equations[-1] = last.replace(outputs=self.origin.outputs)
        return self.equations


def canonical(graph: Graph) -> Graph:
    """The Graph with every contraction in a form that a matrix product takes directly."""
    equations: list[Equation] = []
    for equation in graph.equations:
        rewrite = _rewrites.get(equation.primitive.name)
        replaced = rewrite(equation) if rewrite is not None else None
        equations += [equation] if replaced is None else replaced
    return Graph(graph.inputs, tuple(equations), graph.outputs, graph.constants)


def _dot(equation: Equation) -> list[Equation] | None:
    (contract, batch) = equation.params["dimension_numbers"]
    lhs, rhs = equation.inputs
    out = equation.outputs[0].aval
    if out.size == 0 or lhs.aval.size == 0:
        return None
    k = math.prod(lhs.aval.shape[a] for a in contract[0])
    if k == 1 and lhs.aval.dtype == out.dtype:
        return _product(equation, contract, batch)
    if lhs.aval.dtype in (dtypes.float16, dtypes.bfloat16):
        return _in_float32(equation)
    builder = _Builder(equation)
    fixed = [
        _matrix_form(builder, x, batch[i], contract[i], i == 1) for i, x in enumerate((lhs, rhs))
    ]
    if not builder.equations:
        return None
    operands = [x for x, _, _ in fixed]
    numbers = (tuple(c for _, c, _ in fixed), tuple(b for _, _, b in fixed))
    params = {**equation.params, "dimension_numbers": numbers}
    builder.apply(equation.primitive, *operands, **params)
    return builder.finish(builder.equations[-1].outputs[0])


def _free_axes(ndim: int, batch: Sequence[int], contract: Sequence[int]) -> list[int]:
    return [a for a in range(ndim) if a not in batch and a not in contract]


def _product(equation: Equation, contract: Any, batch: Any) -> list[Equation]:
    """A contraction over nothing: an elementwise product of broadcast operands."""
    builder = _Builder(equation)
    lhs, rhs = equation.inputs
    free_left = _free_axes(lhs.aval.ndim, batch[0], contract[0])
    free_right = _free_axes(rhs.aval.ndim, batch[1], contract[1])
    shape = equation.outputs[0].aval.shape
    n, left = len(batch[0]), len(free_left)
    aligned = []
    for x, own_batch, free, position in (
        (lhs, batch[0], free_left, n),
        (rhs, batch[1], free_right, n + left),
    ):
        order = (*own_batch, *free)
        rest = tuple(a for a in range(x.aval.ndim) if a not in order)
        if (*order, *rest) != tuple(range(x.aval.ndim)):
            x = builder.apply(transpose_p, x, permutation=(*order, *rest))
        target = [1] * len(shape)
        target[:n] = shape[:n]
        target[position : position + len(free)] = shape[position : position + len(free)]
        if x.aval.shape != tuple(target):
            x = builder.apply(reshape_p, x, shape=tuple(target))
        aligned.append(x)
    return builder.finish(builder.apply(mul_p, *aligned))


def _in_float32(equation: Equation) -> list[Equation]:
    """Half precision operands are multiplied in float32 and the result is rounded once."""
    builder = _Builder(equation)
    wide = [
        builder.apply(convert_element_type_p, x, dtype=dtypes.float32, weak_type=False)
        for x in equation.inputs
    ]
    params = {**equation.params, "preferred_element_type": None}
    product = builder.apply(equation.primitive, *wide, **params)
    # The product in float32 goes through this same rewriting.
    inner = builder.equations.pop()
    builder.equations += _dot(inner) or [inner]
    out = equation.outputs[0].aval
    return builder.finish(
        builder.apply(convert_element_type_p, product, dtype=out.dtype, weak_type=out.weak_type)
    )


def _matrix_form(
    builder: _Builder, x: Atom, batch: tuple[int, ...], contract: tuple[int, ...], right: bool
) -> tuple[Atom, tuple[int, ...], tuple[int, ...]]:
    """An operand whose free and contracted axes each lie as one in memory; its axis numbers."""
    free = _free_axes(x.aval.ndim, batch, contract)
    strides = row_major_strides(x.aval.shape)
    if matrix_layout(x.aval.shape, strides, batch, free, contract) is not None:
        return x, contract, batch
    order = (*batch, *contract, *free) if right else (*batch, *free, *contract)
    moved = builder.apply(transpose_p, x, permutation=order)
    return (
        moved,
        tuple(order.index(a) for a in contract),
        tuple(order.index(a) for a in batch),
    )


def matrix_layout(
    shape: Sequence[int],
    strides: Sequence[int],
    batch: Sequence[int],
    free: Sequence[int],
    contract: Sequence[int],
) -> tuple[int, int] | None:
    """Strides of the joined free axes and the joined contracted axes, or None if they do not join
    into a matrix that BLAS takes: one stride is 1 and the other at least the other size."""
    joined = []
    for axes in (free, contract):
        axes = [a for a in axes if shape[a] != 1]
        for first, second in zip(axes, axes[1:]):
            if strides[first] != strides[second] * shape[second]:
                return None
        size = math.prod(shape[a] for a in axes)
        joined.append((size, strides[axes[-1]] if axes else 0))
    (n, s_n), (k, s_k) = joined
    if n == 1 and k == 1:
        return 1, 1
    if n == 1:
        return (k, 1) if s_k == 1 else (1, s_k) if s_k >= 1 else None
    if k == 1:
        return (1, n) if s_n == 1 else (s_n, 1) if s_n >= 1 else None
    if s_k == 1 and s_n >= k:
        return s_n, 1
    if s_n == 1 and s_k >= n:
        return 1, s_k
    return None


_rewrites: dict[str, Callable[[Equation], list[Equation] | None]] = {"dot_general": _dot}
