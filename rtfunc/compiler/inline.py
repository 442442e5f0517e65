"""Inlining and canonical forms: what the scheduler expects of a Graph.

`inline_calls` puts the Graphs of calls in their place. `canonical` rewrites contractions so that
each is one matrix product per batch, or an elementwise product where nothing is contracted. Depends
on `graph_passes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rtfunc.compiler.calls import called_graph
from rtfunc.compiler.graph_passes import expand
from rtfunc.compiler.views import row_major_strides
from rtfunc.core import dtypes
from rtfunc.core.graph import Atom, Equation, Graph, Variable
from rtfunc.ops.arithmetic import mul_p
from rtfunc.ops.contract import accumulation_dtype
from rtfunc.ops.convert import convert_element_type_p
from rtfunc.ops.reduce import reduce_sum_p
from rtfunc.ops.shape import reshape_p, transpose_p


def inline_calls(graph: Graph) -> Graph:
    """The Graph with the equations of called Graphs in the place of the calls, at any depth."""
    if not any(called_graph(e) is not None for e in graph.equations):
        return graph

    def inlined(equation: Equation) -> tuple[Sequence[Equation], Sequence[Atom]]:
        inner = called_graph(equation)
        if inner is None:
            return [equation], equation.outputs
        return copy_into(inline_calls(inner), equation.inputs, equation)

    return expand(graph, inlined)


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
    makers = {v: e for e in graph.equations for v in e.outputs}
    for equation in graph.equations:
        replaced = None
        if equation.primitive.name == "dot_general":
            replaced = _dot(equation, makers)
        elif equation.primitive.name == "conv_general_dilated" and _needs_conversion(equation):
            replaced = _in_wider(equation)
        equations += [equation] if replaced is None else replaced
    return Graph(graph.inputs, tuple(equations), graph.outputs, graph.constants)


def _dot(
    equation: Equation, makers: dict[Variable, Equation] | None = None
) -> list[Equation] | None:
    (contract, batch) = equation.params["dimension_numbers"]
    lhs, rhs = equation.inputs
    out = equation.outputs[0].aval
    if out.size == 0 or lhs.aval.size == 0:
        return None
    k = math.prod(lhs.aval.shape[a] for a in contract[0])
    if k == 1 and lhs.aval.dtype == out.dtype:
        return _product(equation, contract, batch)
    dtype = lhs.aval.dtype
    if _needs_conversion(equation):
        # The wider product goes through this same rewriting.
        return [
            part
            for e in _in_wider(equation)
            for part in (e.primitive is equation.primitive and _dot(e)) or [e]
        ]
    wide = dtype == out.dtype == dtypes.compute_dtype(dtype) and dtype != dtypes.bool_
    if wide and makers is not None:
        vectors = [_is_vector(x, batch[i], contract[i]) for i, x in enumerate((lhs, rhs))]
        runs = [_runs_along(x, contract[i], makers) for i, x in enumerate((lhs, rhs))]
        if all(vectors) or (vectors[0] and runs[1]) or (vectors[1] and runs[0]):
            return _dot_products(equation, contract, batch)
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


def _is_vector(x: Atom, batch: Sequence[int], contract: Sequence[int]) -> bool:
    free = _free_axes(x.aval.ndim, batch, contract)
    return math.prod(x.aval.shape[a] for a in free) == 1


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


def _needs_conversion(equation: Equation) -> bool:
    """Whether a contraction's result is not what native code computes with its operands' dtype."""
    dtype, out = equation.inputs[0].aval.dtype, equation.outputs[0].aval.dtype
    if not dtypes.is_float(out) or out in (dtype, dtypes.compute_dtype(dtype)):
        return False
    return dtypes.is_float(accumulation_dtype(dtype, out))


def _in_wider(equation: Equation) -> list[Equation]:
    """The contraction of the operands in the dtype in which its sums are kept."""
    builder = _Builder(equation)
    out = equation.outputs[0].aval.dtype
    wide = accumulation_dtype(equation.inputs[0].aval.dtype, out)
    operands = [
        builder.apply(convert_element_type_p, x, dtype=wide, weak_type=False)
        for x in equation.inputs
    ]
    params = {**equation.params, "preferred_element_type": None}
    result = builder.apply(equation.primitive, *operands, **params)
    if out != wide:
        result = builder.apply(convert_element_type_p, result, dtype=out, weak_type=False)
    return builder.finish(result)


def _dot_products(equation: Equation, contract: Any, batch: Any) -> list[Equation]:
    """A contraction with a vector as products that are summed: kernels read the matrix once."""
    builder = _Builder(equation)
    lhs, rhs = equation.inputs
    out = equation.outputs[0].aval
    free = [_free_axes(x.aval.ndim, batch[i], contract[i]) for i, x in enumerate((lhs, rhs))]
    count, summed = len(batch[0]), [lhs.aval.shape[a] for a in contract[0]]
    sizes = [[x.aval.shape[a] for a in axes] for x, axes in zip((lhs, rhs), free)]
    aligned = []
    for i, x in enumerate((lhs, rhs)):
        order = (*batch[i], *free[i], *contract[i])
        if order != tuple(range(x.aval.ndim)):
            x = builder.apply(transpose_p, x, permutation=order)
        parts = [s if i == j else [1] * len(s) for j, s in enumerate(sizes)]
        target = (*x.aval.shape[:count], *parts[0], *parts[1], *summed)
        if x.aval.shape != target:
            x = builder.apply(reshape_p, x, shape=target)
        aligned.append(x)
    product = builder.apply(mul_p, *aligned)
    axes = tuple(range(out.ndim, out.ndim + len(summed)))
    return builder.finish(builder.apply(reduce_sum_p, product, axes=axes))


def _runs_along(x: Atom, axes: Sequence[int], makers: dict[Variable, Equation]) -> bool:
    """Whether the last of `axes` is the one whose elements are contiguous."""
    maker = makers.get(x) if isinstance(x, Variable) else None
    axis = axes[-1] if axes else -1
    if maker is not None and maker.primitive.name == "transpose":
        axis = maker.params["permutation"][axis]
    return axis == x.aval.ndim - 1


def _matrix_form(
    builder: _Builder, x: Atom, batch: tuple[int, ...], contract: tuple[int, ...], right: bool
) -> tuple[Atom, tuple[int, ...], tuple[int, ...]]:
    """An operand whose free and contracted axes each lie as one in memory; its axis numbers."""
    free = _free_axes(x.aval.ndim, batch, contract)
    strides = row_major_strides(x.aval.shape)
    if matrix_layout(x.aval.shape, strides, free, contract) is not None:
        return x, contract, batch
    order = (*batch, *contract, *free) if right else (*batch, *free, *contract)
    moved = builder.apply(transpose_p, x, permutation=order)
    return (
        moved,
        tuple(order.index(a) for a in contract),
        tuple(order.index(a) for a in batch),
    )


def matrix_layout(
    shape: Sequence[int], strides: Sequence[int], free: Sequence[int], contract: Sequence[int]
) -> tuple[int, int] | None:
    """Strides of the joined free axes and the joined contracted axes, or None if they do not join."""
    joined = []
    for axes in (free, contract):
        axes = [a for a in axes if shape[a] != 1]
        for first, second in zip(axes, axes[1:]):
            if strides[first] != strides[second] * shape[second]:
                return None
        joined.append(strides[axes[-1]] if axes else 1)
    return joined[0], joined[1]


def is_product(equation: Equation) -> bool:
    """Whether a contraction is a matrix product that native code computes as it stands."""
    out = equation.outputs[0].aval
    operands = [a.aval for a in equation.inputs]
    dtype = operands[0].dtype
    if not dtypes.is_float(dtype) or dtype.itemsize < 2 or out.size == 0:
        return False
    if out.dtype not in (dtype, dtypes.compute_dtype(dtype)):
        return False
    if any(a.dtype != dtype or a.size == 0 for a in operands):
        return False
    (contract, batch) = equation.params["dimension_numbers"]
    return all(
        matrix_layout(
            aval.shape,
            row_major_strides(aval.shape),
            _free_axes(aval.ndim, batch[position], contract[position]),
            contract[position],
        )
        is not None
        for position, aval in enumerate(operands)
    )
