"""Complex numbers as pairs of real ones: a pass that leaves no complex value in a Graph.

Every complex value becomes two real ones, and every equation on them equations on their parts, so that
kernels, products and memory plans need to know nothing of complex numbers. At the edges of a Graph, a
complex array is what it is in memory: a real array with a last axis of 2. Inputs are taken apart by
slices and outputs put together by a concatenation along that axis, both of which the scheduler makes
strides of; sub-graphs of loops and branches have the same edges, so that their calls keep the number of
their operands. An operation without a form in parts stays: its operands are joined by `complex`, its
results taken apart by `real` and `imag`.

    g = complex_parts(graph)

`g` has the inputs, constants and outputs of `graph`, one for one, with complex64 of shape s as float32
of shape (*s, 2), and complex128 as float64. Depends on `complex_arithmetic`, `inline`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.complex_arithmetic import (
    Parts,
    functions,
    integer_pow,
    mul_parts,
    product,
    to_real,
)
from rtfunc.compiler.graph_passes import has_complex, map_sub_graphs
from rtfunc.compiler.inline import inline_calls
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.graph import Atom, Equation, Graph, Literal, graphs_in
from rtfunc.core.staging import trace_to_graph
from rtfunc.core.trace import context
from rtfunc.ops.comparison import bitwise_or, ne
from rtfunc.ops.complex import complex_p, imag_p, real_p
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.pad_slice import concatenate_p, slice_p
from rtfunc.ops.shape import reshape_p

_control_flow = ("scan", "while", "cond")

#: Operations that do the same to each part; their other operands are real.
_part_by_part = frozenset(
    "reshape transpose broadcast_in_dim rev slice pad concatenate dynamic_slice select copy "
    "dynamic_update_slice reduce_sum cumsum reduce_window_sum stop_gradient".split()
)


def complex_parts(graph: Graph) -> Graph:
    """The Graph on real numbers alone: see the module's docstring. Made once for a Graph."""
    if complex_parts not in graph.derived:
        graph.derived[complex_parts] = _rewritten(graph) if has_complex(graph) else graph
    return graph.derived[complex_parts]


def edge_aval(aval: Aval) -> Aval:
    """What stands for a value at the edge of a Graph."""
    if not dtypes.is_complex(aval.dtype):
        return aval
    return Aval((*aval.shape, 2), dtypes.real_of(aval.dtype), aval.weak_type)


def edge_array(value: Array) -> Array:
    """A constant as it stands at the edge of a Graph."""
    if not dtypes.is_complex(value.dtype):
        return value
    buffer = np.ascontiguousarray(np.asarray(value))
    real = buffer.reshape(-1).view(dtypes.real_of(value.dtype))
    return Array(real.reshape(*value.shape, 2), value.weak_type)


def _rewritten(graph: Graph) -> Graph:
    graph = inline_calls(graph)
    variables = [*graph.constants, *graph.inputs]

    def staged(*values: Any) -> list[Any]:
        known = {v: _taken_apart(x, v.aval) for v, x in zip(variables, values)}
        return [_joined(x, a.aval) for x, a in zip(_evaluated(graph, known), graph.outputs)]

    result, captured = trace_to_graph(staged, [edge_aval(v.aval) for v in variables])
    constants = [edge_array(value) for value in graph.constants.values()]
    fixed = len(captured) + len(constants)
    held = dict(zip(result.inputs[:fixed], [*captured, *constants]))
    return Graph(result.inputs[fixed:], result.equations, result.outputs, held)


def _evaluated(graph: Graph, known: dict[Any, Any]) -> list[Any]:
    """Write down the equations on parts; the values of the outputs."""

    def read(atom: Atom) -> Any:
        if not isinstance(atom, Literal):
            return known[atom]
        value, weak = atom.value, atom.aval.weak_type
        if not dtypes.is_complex(value.dtype):
            return Array(value, weak)
        part = dtypes.real_of(value.dtype)
        return Parts(*(scalar(v, part, weak) for v in (np.real(value), np.imag(value))))

    outer = context.source, context.scopes
    try:
        for equation in graph.equations:
            context.source = equation.source or outer[0]
            context.scopes = equation.scopes or outer[1]
            results = _apply(equation, [read(a) for a in equation.inputs])
            for variable, value in zip(equation.outputs, results, strict=True):
                known[variable] = _of_type(value, variable.aval)
        return [read(a) for a in graph.outputs]
    finally:
        context.source, context.scopes = outer


def _of_type(value: Any, aval: Aval) -> Any:
    """A result with the shape, dtype and weakness that the equation had."""
    if isinstance(value, Parts):
        part = Aval(aval.shape, dtypes.real_of(aval.dtype), aval.weak_type)
        return Parts(_of_type(value.real, part), _of_type(value.imag, part))
    return broadcast_to(convert(value, aval.dtype, aval.weak_type), aval.shape)


# Edges.


def _taken_apart(value: Any, aval: Aval) -> Any:
    """A value from outside; of a complex one its parts."""
    if not dtypes.is_complex(aval.dtype):
        return value

    def part(k: int) -> Any:
        ndim = len(aval.shape)
        piece = slice_p.bind(
            value, start=(0,) * ndim + (k,), limit=(*aval.shape, k + 1), stride=(1,) * (ndim + 1)
        )
        return reshape_p.bind(piece, shape=aval.shape)

    return Parts(part(0), part(1))


def _joined(value: Any, aval: Aval) -> Any:
    """A value for outside; a complex one as a real array with an axis of its parts."""
    if not isinstance(value, Parts):
        return value
    pieces = [reshape_p.bind(x, shape=(*aval.shape, 1)) for x in (value.real, value.imag)]
    whole = concatenate_p.bind(*pieces, axis=len(aval.shape))
    return convert(whole, whole.dtype, aval.weak_type)


# Equations.


def _apply(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    """The results of an equation, on real operands and parts."""
    name, params = equation.primitive.name, equation.params
    if name in _control_flow:
        return _call(equation, operands)
    avals = [a.aval for a in (*equation.inputs, *equation.outputs)]
    if not any(dtypes.is_complex(a.dtype) for a in avals):
        if any(True for _ in graphs_in(params)):
            params = _without_complex(equation).params
        return _bound(equation, operands, params)
    if name in functions:
        return [functions[name](*operands)]
    if name in to_real:
        return [to_real[name](*operands)]
    if name in _part_by_part:
        return [_by_parts(equation, operands, params)]
    rule = _rules.get(name)
    result = rule(equation, operands) if rule is not None else None
    return _whole(equation, operands) if result is None else result


def _bound(equation: Equation, operands: Sequence[Any], params: Any) -> Sequence[Any]:
    out = equation.primitive.bind(*operands, **params)
    return out if equation.primitive.multiple_results else [out]


def _without_complex(equation: Equation) -> Equation:
    """The equation with its sub-graphs rewritten."""
    alone = Graph((), (equation,), ())
    return map_sub_graphs(complex_parts, alone).equations[0]


def _call(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    """A loop or branch: its sub-graphs have edges as this Graph has."""
    given = [_joined(x, a.aval) for x, a in zip(operands, equation.inputs)]
    # Weakness is part of the type that a loop carries.
    given = [convert(x, x.dtype, a.aval.weak_type) for x, a in zip(given, equation.inputs)]
    outs = _bound(equation, given, _without_complex(equation).params)
    return [_taken_apart(x, v.aval) for x, v in zip(outs, equation.outputs)]


def _whole(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    """An operation that has no form in parts."""
    joined = [complex_p.bind(x.real, x.imag) if isinstance(x, Parts) else x for x in operands]
    outs = _bound(equation, joined, equation.params)
    return [
        Parts(real_p.bind(x), imag_p.bind(x)) if dtypes.is_complex(x.dtype) else x for x in outs
    ]


def _by_parts(equation: Equation, operands: list[Any], *params: Any) -> Parts:
    """The same operation on the real parts and on the imaginary ones."""
    results = []
    for number, part in enumerate(("real", "imag")):
        chosen = [getattr(x, part) if isinstance(x, Parts) else x for x in operands]
        results.append(equation.primitive.bind(*chosen, **params[number % len(params)]))
    return Parts(*results)


def _convert(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    (x,) = operands
    dtype = equation.params["dtype"]
    if dtypes.is_complex(dtype):
        part = dtypes.real_of(dtype)
        if isinstance(x, Parts):
            return [Parts(convert(x.real, part), convert(x.imag, part))]
        real = convert(x, part)
        return [Parts(real, broadcast_to(scalar(0, part), real.shape))]
    if dtype == dtypes.bool_:
        zero = scalar(0, x.dtype)
        return [bitwise_or(ne(x.real, zero), ne(x.imag, zero))]
    return [convert(x.real, dtype)]


def _complex(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    return [Parts(*operands)]


def _integer_pow(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    return [integer_pow(operands[0], equation.params["exponent"])]


def _iota(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    part = dtypes.real_of(equation.params["dtype"])
    real = equation.primitive.bind(**{**equation.params, "dtype": part})
    return [Parts(real, broadcast_to(scalar(0, part), real.shape))]


def _gather(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    params = equation.params
    fill = params["fill_value"]
    if fill is None:
        return [
            _by_parts(
                equation, operands, {**params, "fill_value": np.nan}, {**params, "fill_value": 0.0}
            )
        ]
    fill = complex(fill)
    both = [{**params, "fill_value": v} for v in (fill.real, fill.imag)]
    return [_by_parts(equation, operands, *both)]


def _scatter(equation: Equation, operands: list[Any]) -> Sequence[Any] | None:
    if equation.params["kind"] not in ("set", "add"):
        return None
    return [_by_parts(equation, operands, equation.params)]


def _bilinear(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    """A contraction or convolution: four real ones."""
    preferred = equation.params["preferred_element_type"]
    if preferred is not None:
        preferred = dtypes.real_of(preferred)
    params = {**equation.params, "preferred_element_type": preferred}
    return [product(lambda x, y: equation.primitive.bind(x, y, **params), *operands)]


def _reduce_prod(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    """Halves of the reduced axes are multiplied until one element is left."""
    (x,) = operands
    axes = equation.params["axes"]
    shape = equation.inputs[0].aval.shape
    out_shape = equation.outputs[0].aval.shape
    for axis in axes:
        while shape[axis] > 1:
            half = shape[axis] // 2
            first, second = (_part_of(x, shape, axis, k * half, (k + 1) * half) for k in (0, 1))
            rest = _part_of(x, shape, axis, 2 * half, shape[axis])
            x = mul_parts(first, second)
            if shape[axis] % 2:
                x = Parts(
                    concatenate_p.bind(x.real, rest.real, axis=axis),
                    concatenate_p.bind(x.imag, rest.imag, axis=axis),
                )
            shape = (*shape[:axis], half + shape[axis] % 2, *shape[axis + 1 :])
        if shape[axis] == 0:
            part = dtypes.real_of(equation.inputs[0].aval.dtype)
            return [Parts(*(broadcast_to(scalar(v, part), out_shape) for v in (1, 0)))]
    return [Parts(*(reshape_p.bind(p, shape=out_shape) for p in (x.real, x.imag)))]


def _part_of(x: Parts, shape: tuple[int, ...], axis: int, begin: int, end: int) -> Parts:
    start, limit = [0] * len(shape), list(shape)
    start[axis], limit[axis] = begin, end
    params = {"start": tuple(start), "limit": tuple(limit), "stride": (1,) * len(shape)}
    return Parts(slice_p.bind(x.real, **params), slice_p.bind(x.imag, **params))


def _sort(equation: Equation, operands: list[Any]) -> Sequence[Any]:
    """Parts are operands of their own, and keys if their whole is one: the real part goes first."""
    num_keys = equation.params["num_keys"]
    flat, keys = [], 0
    for number, x in enumerate(operands):
        parts = [x.real, x.imag] if isinstance(x, Parts) else [x]
        flat += parts
        keys += len(parts) if number < num_keys else 0
    outs = iter(equation.primitive.bind(*flat, **{**equation.params, "num_keys": keys}))
    return [Parts(next(outs), next(outs)) if isinstance(x, Parts) else next(outs) for x in operands]


_rules: dict[str, Callable[[Equation, list[Any]], Sequence[Any] | None]] = {
    "convert_element_type": _convert,
    "complex": _complex,
    "integer_pow": _integer_pow,
    "iota": _iota,
    "gather": _gather,
    "scatter": _scatter,
    "dot_general": _bilinear,
    "conv_general_dilated": _bilinear,
    "reduce_prod": _reduce_prod,
    "sort": _sort,
}
