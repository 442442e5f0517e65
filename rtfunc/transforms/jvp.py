"""Forward mode: `jvp` and `linearize`. Depends on `core.forward` and `core.linear`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array, placed_like
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ShapeError, TransformError, at_user_line
from rtfunc.core.forward import jvp_flat
from rtfunc.core.graph import evaluate
from rtfunc.core.linear import linearize_flat
from rtfunc.core.primitive import zeros_like
from rtfunc.ops.convert import as_array, convert
from rtfunc.transforms.arguments import (
    argument_arrays,
    argument_path,
    check_callable,
    function_name,
    leaf_arrays,
)
from rtfunc.transforms.vjp import split_aux


def jvp(
    function: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
) -> Any:
    """The value of `function(*primals)` and its derivative along `tangents`.

    Arguments: primals, tangents: sequences (tuples or lists) of equal structure, shapes and dtypes, one
    entry per positional argument. Tangents of integer primals are ignored.

    Returns `(out, out_tangent)`, or `(out, out_tangent, aux)` with `has_aux`.

    >>> import rtfunc as rf
    >>> rf.jvp(lambda x: x * x, (3.0,), (1.0,))
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    check_callable("jvp", function)
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            raise TransformError(
                at_user_line(
                    f"jvp takes {name} as a tuple or list with one entry per argument, "
                    f"not {type(value).__name__}. Write jvp(f, (x,), (t,))."
                )
            )
    leaves, treedef = pytree.flatten(tuple(primals))
    arrays = argument_arrays("jvp", leaves, tuple(primals))
    given = match_tangents("jvp", tuple(tangents), treedef, arrays)
    flat, rebuild = _flat_function("jvp", function, treedef, has_aux)
    outs, out_tangents = jvp_flat(flat, arrays, given)
    return rebuild(outs, out_tangents)


def match_tangents(
    transform: str, tangents: Any, treedef: pytree.TreeDef, primals: Sequence[Array]
) -> list[Any]:
    """The tangents' leaves as Arrays of the primals' shapes and dtypes; None for integer primals."""
    like = pytree.unflatten(treedef, list(primals))
    found = pytree.flatten_up_to(
        treedef, tangents, transform, like, ("the primals' pytree", "the tangents' pytree")
    )
    result: list[Any] = []
    for i, (t, x) in enumerate(zip(found, primals, strict=True)):
        if not dtypes.is_inexact(x.dtype):
            result.append(None)
            continue
        t = as_array(transform, t)
        if t.shape != x.shape:
            raise ShapeError(
                at_user_line(
                    f"{transform}: the tangent of {argument_path(like, None, i)} has shape "
                    f"{t.shape}, its primal {x.shape}. They must be equal."
                )
            )
        if t.dtype != x.dtype:
            if dtypes.promote(t.dtype, t.weak_type, x.dtype, False)[0] != x.dtype:
                raise TransformError(
                    at_user_line(
                        f"{transform}: the tangent of {argument_path(like, None, i)} has dtype "
                        f"{t.dtype}, its primal {x.dtype}. They must be equal: convert it with "
                        f"t.astype({str(x.dtype)!r})."
                    )
                )
            t = convert(t, x.dtype)
        result.append(t)
    return result


def _flat_function(
    transform: str, function: Callable[..., Any], treedef: pytree.TreeDef, has_aux: bool
) -> tuple[Callable[..., list[Any]], Callable[..., Any]]:
    """The function over flat leaves, and what turns flat outputs and tangents into its result."""
    trees: list[Any] = []

    def flat(*xs: Any) -> list[Any]:
        result = function(*pytree.unflatten(treedef, xs))
        aux_leaves, aux_tree = [], None
        if has_aux:
            result, aux = split_aux(transform, function, result)
            aux_leaves, aux_tree = pytree.flatten(aux)
        outs, out_tree = pytree.flatten(result)
        trees[:] = [out_tree, aux_tree, len(outs)]
        outs = leaf_arrays(
            transform, outs, lambda: result, f"the output of {function_name(function)} "
        )
        return [*outs, *aux_leaves]

    def rebuild(outs: Sequence[Any], out_tangents: Sequence[Any]) -> Any:
        out_tree, aux_tree, count = trees
        out = pytree.unflatten(out_tree, outs[:count])
        tangent = pytree.unflatten(
            out_tree, [tangent_of(t, o) for o, t in zip(outs[:count], out_tangents)]
        )
        if has_aux:
            return out, tangent, pytree.unflatten(aux_tree, outs[count:])
        return out, tangent

    return flat, rebuild


def tangent_of(tangent: Any, primal: Array) -> Any:
    """A tangent for users: zeros for None, float0 zeros for integers."""
    if tangent is not None:
        return tangent
    if not dtypes.is_inexact(primal.dtype):
        return np.zeros(primal.shape, dtypes.float0)
    return placed_like(zeros_like(Aval(primal.shape, primal.dtype)), primal)


def linearize(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of `function(*primals)` and its derivative there as a function of tangents.

    The derivative is computed once, as a Graph; applying it costs only the linear part (calls of
    jitted functions, loops and branches compute their values again along with their tangents).
    Returns `(out, pushforward)` or `(out, pushforward, aux)`.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> y, pushforward = rf.linearize(rnp.sin, 0.0)
    >>> pushforward(2.0)
    Array(2., dtype=float32)
    """
    check_callable("linearize", function)
    leaves, treedef = pytree.flatten(primals)
    arrays = argument_arrays("linearize", leaves, primals)
    flat, rebuild = _flat_function("linearize", function, treedef, has_aux)
    outs, nonzero, graph, captured = linearize_flat(flat, arrays)

    def pushforward(*tangents: Any) -> Any:
        given = match_tangents("linearize", tangents, treedef, arrays)
        given = [t if t is None else convert(t, t.dtype) for t in given]  # the Graph's are not weak
        found = iter(evaluate(graph, [*captured, *(t for t in given if t is not None)]))
        spread = [next(found) if n else None for n in nonzero]
        return rebuild(outs, spread)[1]

    result = rebuild(outs, [None] * len(outs))
    return (result[0], pushforward, result[2]) if has_aux else (result[0], pushforward)
