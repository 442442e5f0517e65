"""Branches over pytrees: cond and switch, with JAX's signatures.

Depends on `traced`, `ops` and `transforms`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    TransformError,
    TreeError,
    at_user_line,
)
from rtfunc.core.graph import Graph, Variable
from rtfunc.core.interning import interned
from rtfunc.lax.traced import Function, Traced, operands, trace
from rtfunc.ops.branch import cond_p
from rtfunc.ops.comparison import ne
from rtfunc.ops.convert import as_array, convert
from rtfunc.ops.select import clamp
from rtfunc.ops.sub_graphs import same_type
from rtfunc.transforms.arguments import check_callable, leaf_arrays


def cond(
    pred: ArrayLike, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """`true_fun(*operands)` if `pred` else `false_fun(*operands)`, decided when the program runs.

    Both functions are traced, and return pytrees of one structure with equal shapes and dtypes.
    Under `vmap` with a batched `pred` both are computed and selected from.

    Arguments: pred: a boolean scalar, or a number, which counts as true unless it is 0.

    Raises `TreeError` or `TransformError` that name the outputs that differ.

    >>> import rtfunc as rf
    >>> rf.lax.cond(3 > 2, lambda x: x + 1, lambda x: x - 1, 10.0)
    Array(11., dtype=float32, weak_type=True)
    """
    check_callable("cond", true_fun)
    check_callable("cond", false_fun)
    index = as_array("cond", pred)
    if index.shape:
        raise ShapeError(
            at_user_line(
                f"cond: pred must be a scalar, but its shape is {index.shape}. Use "
                "rtfunc.numpy.where to choose elementwise, or reduce it with .any() or .all()."
            )
        )
    if not (index.dtype == dtypes.bool_ or index.dtype in dtypes.real_numeric):
        raise DtypeError(
            at_user_line(f"cond: pred must be a boolean or a number, not {index.aval}.")
        )
    if index.dtype != dtypes.bool_:
        index = ne(index, 0)
    return _branch(
        "cond",
        convert(index, dtypes.int32),
        (false_fun, true_fun),
        operands,
        ("false_fun", "true_fun"),
    )


def switch(index: ArrayLike, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, decided when the program runs.

    An index below 0 counts as 0, one beyond the last branch as the last. All branches are traced,
    and return pytrees of one structure with equal shapes and dtypes.

    >>> import rtfunc as rf
    >>> rf.lax.switch(7, [lambda x: x, lambda x: -x], 2.0)
    Array(-2., dtype=float32, weak_type=True)
    """
    functions = tuple(branches)
    for function in functions:
        check_callable("switch", function)
    if not functions:
        raise ArgumentError(at_user_line("switch: there must be at least one branch."))
    number = as_array("switch", index)
    if number.shape or not dtypes.is_integer(number.dtype):
        raise (ShapeError if number.shape else DtypeError)(
            at_user_line(f"switch: index must be an integer scalar, not {number.aval}.")
        )
    if len(functions) == 1:
        return functions[0](*operands)
    if number.dtype in (dtypes.uint32, dtypes.int64, dtypes.uint64):  # int32 could not hold it
        number = clamp(0, number, len(functions) - 1)
    names = tuple(f"branches[{i}]" for i in range(len(functions)))
    return _branch("switch", convert(number, dtypes.int32), functions, operands, names)


def _branch(
    operation: str,
    index: Array,
    functions: Sequence[Function],
    args: tuple[Any, ...],
    names: Sequence[str],
) -> Any:
    arrays, treedef = operands(operation, args, "operand ")
    avals = [x.aval for x in arrays]

    def flat(function: Function) -> Function:
        return lambda *xs: function(*pytree.unflatten(treedef, xs))

    traces = [
        trace(operation, flat(f), avals, name) for f, name in zip(functions, names, strict=True)
    ]
    first = traces[0]
    for traced, name in zip(traces, names):
        if traced.out_tree != first.out_tree:
            raise TreeError(
                at_user_line(
                    f"{operation}: {names[0]} and {name} return different structures: "
                    f"{pytree.difference(first.out, traced.out)}."
                )
            )
    types = [
        _common_type(
            operation,
            [t.graph.out_avals[i] for t in traces],
            names,
            lambda i=i: pytree.paths(first.out)[i],
        )
        for i in range(len(first.graph.outputs))
    ]
    converted = [
        t
        if all(same_type(a, b) for a, b in zip(t.graph.out_avals, types))
        else trace(operation, _converting(flat(f), types), avals, name)
        for t, f, name in zip(traces, functions, names)
    ]
    captured, branches = _with_common_captures(converted)
    outs = cond_p.bind(index, *captured, *arrays, branches=branches)
    return pytree.unflatten(first.out_tree, outs)


def _common_type(
    operation: str, avals: Sequence[Aval], names: Sequence[str], path: Callable[[], str]
) -> Aval:
    """The type of one output in all branches: weakly typed outputs take the dtype of the others."""
    strong = [a for a in avals if not a.weak_type]
    common = (strong or avals)[0]
    for aval, name in zip(avals, names):
        fits = aval.shape == common.shape
        if fits and aval.dtype != common.dtype:
            dtype, _ = dtypes.promote(aval.dtype, aval.weak_type, common.dtype, not strong)
            fits = aval.weak_type and dtype == common.dtype
        if not fits:
            other = names[avals.index(common)]
            raise TransformError(
                at_user_line(
                    f"{operation}: the output{path()} is {common} in {other} and {aval} in {name}. "
                    "All branches must return the same shapes and dtypes; convert, for example "
                    "with x.astype(...)."
                )
            )
    return common


def _converting(function: Function, types: Sequence[Aval]) -> Function:
    def converted(*xs: Any) -> Any:
        leaves, treedef = pytree.flatten(function(*xs))
        return pytree.unflatten(
            treedef,
            [
                as_array("cond", leaf if isinstance(leaf, (float, complex)) else x, a.dtype)
                for leaf, x, a in zip(
                    leaves, leaf_arrays("cond", leaves, lambda: leaves, ""), types
                )
            ],
        )

    return converted


def _with_common_captures(traces: Sequence[Traced]) -> tuple[list[Any], tuple[Graph, ...]]:
    """The values that any branch closes over, and the branches taking all of them first."""
    union = {id(value): value for t in traces for value in t.captured}
    branches = []
    for traced in traces:
        own = {id(v): i for i, v in enumerate(traced.captured)}
        graph, n = traced.graph, len(traced.captured)
        if list(own) != list(union):
            leading = [
                graph.inputs[own[key]] if key in own else Variable(value.aval)
                for key, value in union.items()
            ]
            graph = interned(Graph((*leading, *graph.inputs[n:]), graph.equations, graph.outputs))
        branches.append(graph)
    return list(union.values()), tuple(branches)
