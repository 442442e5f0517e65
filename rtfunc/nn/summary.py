"""A table of a model: its layers, output shapes, parameters and floating-point operations.

The model is traced, not run: shapes come from `eval_shape`, operations from counting the equations
of each layer's Graph. Depends on `layer`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from rtfunc import random, tree
from rtfunc.core.aval import Aval
from rtfunc.core.graph import Equation, Graph, sub_graphs
from rtfunc.nn.layer import Layer, as_spec, intercepting
from rtfunc.transforms.stage import eval_shape, make_graph


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes: path: keys that lead to the layer, with dots; name: of the layer; output: the pytree
    of output Avals; parameters: number of values; flops: operations of one forward pass.
    """

    path: str
    name: str
    output: Any
    parameters: int
    flops: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """What `summary` returns: printed, it is the table.

    Attributes: rows: one for each layer without parts, in order of application; parameters, flops:
    of the whole model; state: number of values in the state; output: Avals of the model's output.
    """

    rows: tuple[Row, ...]
    parameters: int
    state: int
    flops: int
    output: Any

    def __str__(self) -> str:
        header = ("layer", "", "output", "parameters", "flops")
        lines = [
            (r.path, r.name, _describe(r.output), f"{r.parameters:,}", f"{r.flops:,}")
            for r in self.rows
        ]
        last = ("total", "", _describe(self.output), f"{self.parameters:,}", f"{self.flops:,}")
        table = [header, *lines, last]
        widths = [max(len(row[i]) for row in table) for i in range(5)]
        texts = [
            "  ".join(
                cell.rjust(width) if i > 2 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
            for row in table
        ]
        rule = "-" * max(map(len, texts))
        return "\n".join([texts[0], rule, *texts[1:-1], rule, texts[-1]])

    def __repr__(self) -> str:
        return str(self)


def summary(layer: Layer, *specs: Any) -> Summary:
    """Layers, output shapes, parameters and floating-point operations of `layer`, as a table.

    Arguments: specs: input specs, as for `init`: shapes (batch axis included), `ShapeDtypeStruct`s
    or arrays.

    Operations count a multiplication and an addition as two, and any other elementwise function as
    one per element. Nothing is computed and no parameters are made.

    >>> from rtfunc import nn
    >>> nn.summary(nn.sequential(nn.dense(8), nn.relu, nn.dense(2)), (1, 4))
    layer            output  parameters  flops
    ------------------------------------------
    0      dense(8)  (1, 8)          40     72
    1      relu      (1, 8)           0      8
    2      dense(2)  (1, 2)          18     34
    ------------------------------------------
    total            (1, 2)          58    114
    """
    inputs = [as_spec(s) if isinstance(s, (tuple, list, int)) else s for s in specs]
    params, state = eval_shape(lambda key: layer.init(key, *inputs), random.key(0))
    rows: list[Row] = []
    path: list[str] = []

    def watch(
        child: str, part: Layer, p: Any, s: Any, xs: Sequence[Any], key: Any, train: bool
    ) -> Any:
        path.append(child)
        before = len(rows)
        made = part.apply(p, s, *xs, key=key, train=train)
        if len(rows) == before:  # no parts within
            rows.append(_row(".".join(path), part, p, s, xs, made[0]))
        path.pop()
        return made

    def forward(p: Any, s: Any, *xs: Any) -> Any:
        return layer.apply(p, s, *xs)[0]

    with intercepting(watch):
        output = eval_shape(forward, params, state, *inputs)
    if not rows:
        rows.append(_row("", layer, params, state, inputs, output))
    return Summary(tuple(rows), _size(params), _size(state), sum(r.flops for r in rows), output)


def _row(
    path: str, layer: Layer, params: Any, state: Any, inputs: Sequence[Any], output: Any
) -> Row:
    given = tree.map(_aval, (params, state, tuple(inputs)))
    graph = make_graph(lambda p, s, xs: layer.apply(p, s, *xs)[0])(*given)
    return Row(path, layer.name, tree.map(_aval, output), _size(params), count_flops(graph))


def _aval(x: Any) -> Aval:
    return x if isinstance(x, Aval) else Aval(tuple(x.shape), x.dtype)


def _size(params: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in tree.leaves(params))


def _describe(output: Any) -> str:
    shapes = [str(tuple(leaf.shape)) for leaf in tree.leaves(output)]
    return ", ".join(shapes)


#: Primitives that move values without computing with them.
_MOVES = {
    "bitcast_convert",
    "broadcast_in_dim",
    "concatenate",
    "convert_element_type",
    "dynamic_slice",
    "dynamic_update_slice",
    "expand_dims",
    "gather",
    "iota",
    "pad",
    "reshape",
    "rev",
    "slice",
    "squeeze",
    "transpose",
}


def count_flops(graph: Graph) -> int:
    """Floating-point operations of a Graph; a loop's body counts once for each trip known.

    >>> import rtfunc.numpy as rnp
    >>> count_flops(make_graph(lambda x: x @ x)(rnp.ones((4, 4))))
    128
    """
    return sum(_flops(equation) for equation in graph.equations)


def _flops(equation: Equation) -> int:
    name, out = equation.primitive.name, equation.outputs[0].aval
    inside = sum(count_flops(sub) for sub in sub_graphs(equation))
    if inside or name in ("custom_call", "jit_call"):
        return inside * equation.params.get("length", 1)
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        shape = equation.inputs[0].aval.shape
        return 2 * out.size * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.inputs[1].aval
        features = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
        # Of the places of the window, those count that meet no zero between elements.
        spread = math.prod(equation.params["lhs_dilation"])
        return 2 * out.size * (kernel.size // max(features, 1)) // spread
    if name.startswith("reduce_window"):
        return out.size * math.prod(equation.params["window_dimensions"])
    if name in _MOVES or out.dtype.kind in "biu":
        return 0
    return max(out.size, *(atom.aval.size for atom in equation.inputs), 0)
