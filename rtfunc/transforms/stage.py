"""Staging for inspection: `make_graph` and `eval_shape`; the flat staging that `jit` shares.

Depends on `core.staging`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.graph_passes import optimize as optimized
from rtfunc.core import pytree
from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import float0
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.graph import Graph
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.convert import as_array
from rtfunc.transforms.arguments import (
    argument_path,
    check_callable,
    function_name,
    leaf_arrays,
    without_static,
    wraps,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Staged:
    """A staged function.

    Attributes: graph: inputs are the captured values, then the flat arguments; captured: Arrays and
    tracers that the function closes over; out_tree: structure of the output; empty: leaves of the
    output that are no outputs of the Graph, because they hold no data (derivatives of dtype float0).
    """

    graph: Graph
    captured: list[Any]
    out_tree: pytree.TreeDef
    empty: Mapping[int, np.ndarray] = dataclasses.field(default_factory=dict)

    def result(self, outs: Sequence[Any]) -> Any:
        """The function's result, given the outputs of the Graph."""
        if self.empty:
            given = iter(outs)
            count = self.out_tree.num_leaves
            outs = [self.empty[i] if i in self.empty else next(given) for i in range(count)]
        return pytree.unflatten(self.out_tree, outs)

    def closed(self) -> Graph:
        """The Graph of the arguments alone, with captured values as constants."""
        if not self.captured:
            return self.graph
        n = len(self.captured)
        constants = dict(zip(self.graph.inputs, self.captured))
        return Graph(self.graph.inputs[n:], self.graph.equations, self.graph.outputs, constants)


def stage_function(
    transform: str,
    function: Callable[..., Any],
    treedef: pytree.TreeDef,
    avals: Sequence[Aval],
) -> Staged:
    """Stage `function(*args, **kwargs)` where `treedef` is the structure of `(args, kwargs)`."""
    out_tree: Any = None
    empty: dict[int, np.ndarray] = {}

    def flat(*xs: Any) -> list[Any]:
        nonlocal out_tree
        args, kwargs = pytree.unflatten(treedef, xs)
        result = function(*args, **kwargs)
        outs, out_tree = pytree.flatten(result)
        outs = leaf_arrays(
            transform, outs, lambda: result, f"the output of {function_name(function)} "
        )
        for i, out in enumerate(outs):
            if out.dtype == float0:
                empty[i] = np.zeros(out.shape, float0)
        return [out for i, out in enumerate(outs) if i not in empty] if empty else outs

    graph, captured = trace_to_graph(flat, avals)
    return Staged(graph, captured, out_tree, empty)


def argument_avals(
    transform: str,
    leaves: Sequence[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    positions: Sequence[int] | None = None,
) -> list[Aval]:
    """The Avals of arguments' leaves, which are arrays, numbers or Avals themselves.

    `positions` says which of `args` the leaves belong to, if not to all.
    """
    avals = []
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, Aval):
            avals.append(leaf)
            continue
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype") and not hasattr(leaf, "__array__"):
            avals.append(Aval(leaf.shape, leaf.dtype))
            continue
        try:
            avals.append(as_array(transform, leaf).aval)
        except DtypeError:
            raise DtypeError(
                at_user_line(
                    f"{transform}: {argument_path(args, positions, i, kwargs)} is of type "
                    f"{type(leaf).__name__}, which has no shape and dtype. Pass an array, a number "
                    "or a rtfunc.ShapeDtypeStruct, or make it static."
                )
            ) from None
    return avals


def make_graph(
    function: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    *,
    optimize: bool = False,
) -> Callable[..., Graph]:
    """A function that returns the Graph of `function` for arguments like the given ones.

    Arguments: static_argnums: positional arguments to treat as Python values; optimize: show the Graph
    after the compiler's passes (dead code, common subexpressions, constant folding, algebra).

    >>> import rtfunc as rf
    >>> print(rf.make_graph(lambda x: x * 2 + 1)(1.0).outputs[0].aval)
    float32[]*
    """
    check_callable("make_graph", function)
    split = without_static("make_graph", function, static_argnums)

    @wraps(function, "make_graph", "Graph")
    def made(*args: Any, **kwargs: Any) -> Graph:
        positions, partial = split(*args)
        leaves, treedef = pytree.flatten((tuple(args[i] for i in positions), kwargs))
        avals = argument_avals("make_graph", leaves, args, kwargs, positions)
        graph = stage_function("make_graph", partial, treedef, avals).closed()
        if optimize:
            return optimized(graph)
        return graph

    return made


make_jaxpr = make_graph


def eval_shape(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of `function(*args, **kwargs)`, without computing it.

    Arguments may be arrays or `ShapeDtypeStruct`s. Returns the output's pytree with a
    `ShapeDtypeStruct` for every leaf.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.eval_shape(rnp.dot, rf.ShapeDtypeStruct((2, 3), "float32"), rnp.ones(3))
    Aval(float32[2])
    """
    check_callable("eval_shape", function)
    leaves, treedef = pytree.flatten((args, kwargs))
    avals = argument_avals("eval_shape", leaves, args, kwargs)
    staged = stage_function("eval_shape", function, treedef, avals)
    avals = staged.result(staged.graph.out_avals)
    return pytree.map(lambda x: x if isinstance(x, Aval) else Aval(x.shape, x.dtype), avals)
