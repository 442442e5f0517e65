"""Reverse mode: `vjp`, `grad`, `value_and_grad`, `linear_transpose`. Depends on `core.reverse`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array, placed_like
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ShapeError, TransformError, at_user_line
from rtfunc.core.graph import evaluate
from rtfunc.core.graph_transforms import stage, vjp_graph
from rtfunc.core.primitive import zeros_like
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops.convert import as_array, convert
from rtfunc.transforms.arguments import (
    argument_arrays,
    argument_path,
    check_callable,
    check_differentiable,
    describe,
    flatten_argument,
    function_name,
    leaf_arrays,
    normalize_argnums,
    wraps,
)


def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of `function(*primals)` and its pullback.

    Arguments: function: pytrees of arrays to a pytree of arrays (a pair of it and auxiliary data with
    `has_aux`); primals: where to differentiate.

    Returns `(out, pullback)` or `(out, pullback, aux)`. `pullback(cotangent)`, with a cotangent shaped
    like `out`, returns a tuple with a cotangent for each primal: the product of the cotangent with the
    Jacobian. Integer primals get cotangents of dtype float0.

    >>> import rtfunc as rf
    >>> y, pullback = rf.vjp(lambda x: x**2, 3.0)
    >>> pullback(1.0)
    (Array(6., dtype=float32),)
    """
    check_callable("vjp", function)
    leaves, treedef = pytree.flatten(primals)
    arrays = argument_arrays("vjp", leaves, primals)
    aux_tree: Any = None
    out_tree: Any = None
    count = 0

    def flat(*xs: Any) -> list[Any]:
        nonlocal aux_tree, out_tree, count
        result = function(*pytree.unflatten(treedef, xs))
        aux_leaves: list[Any] = []
        if has_aux:
            result, aux = split_aux("vjp", function, result)
            aux_leaves, aux_tree = pytree.flatten(aux)
        outs, out_tree = pytree.flatten(result)
        count = len(outs)
        outs = leaf_arrays("vjp", outs, lambda: result, f"the output of {function_name(function)} ")
        return [*outs, *aux_leaves]

    outs, pull = vjp_flat(flat, arrays, [True] * len(arrays))
    aux_leaves = outs[count:]
    outs = outs[:count]
    avals = [o.aval for o in outs]

    def pullback(cotangent: Any) -> Any:
        cotangents = _match_cotangent("vjp", cotangent, out_tree, avals)
        into = pull([*cotangents, *[None] * len(aux_leaves)])
        return pytree.unflatten(treedef, [_instantiate(ct, x) for ct, x in zip(into, arrays)])

    out = pytree.unflatten(out_tree, outs)
    if has_aux:
        return out, pullback, pytree.unflatten(aux_tree, aux_leaves)
    return out, pullback


def split_aux(transform: str, function: Any, result: Any) -> tuple[Any, Any]:
    """The pair that a function with `has_aux` returns."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise TransformError(
            at_user_line(
                f"{transform} with has_aux=True takes a function that returns a pair "
                f"(output, auxiliary data), but {function_name(function)} returned "
                f"{describe(result)}."
            )
        )
    return result[0], result[1]


def _match_cotangent(
    transform: str, cotangent: Any, out_tree: pytree.TreeDef, avals: Sequence[Aval]
) -> list[Any]:
    """The leaves of a cotangent as Arrays of the outputs' dtypes; None for integer outputs."""
    leaves = pytree.flatten_up_to(
        out_tree,
        cotangent,
        f"{transform}: the cotangent is a pytree like the output",
        pytree.unflatten(out_tree, list(avals)),
        ("the output", "the cotangent"),
    )
    matched: list[Any] = []
    for ct, aval in zip(leaves, avals, strict=True):
        if not dtypes.is_inexact(aval.dtype):
            matched.append(None)
            continue
        x = as_array("the pullback", ct)
        if x.shape != aval.shape:
            raise ShapeError(
                at_user_line(
                    f"The pullback takes a cotangent of the output's shape {aval.shape}, "
                    f"not {x.shape}."
                )
            )
        if x.dtype != aval.dtype:
            promoted, _ = dtypes.promote(x.dtype, x.weak_type, aval.dtype, aval.weak_type)
            if promoted != aval.dtype:
                raise TransformError(
                    at_user_line(
                        f"The pullback takes a cotangent of the output's dtype {aval.dtype}, "
                        f"not {x.dtype}."
                    )
                )
            x = convert(x, aval.dtype)
        matched.append(x)
    return matched


def _instantiate(cotangent: Any, primal: Array) -> Any:
    if cotangent is not None:
        return placed_like(cotangent, primal)
    if not dtypes.is_inexact(primal.dtype):
        return np.zeros(primal.shape, dtypes.float0)
    return placed_like(zeros_like(Aval(primal.shape, primal.dtype)), primal)


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function that returns the value of `function` and its gradient.

    Arguments: function: returns a scalar (a pair of it and auxiliary data with `has_aux`); argnums: the
    positional argument(s) to differentiate with respect to, pytrees included; holomorphic: whether
    function is complex-differentiable in complex arguments; allow_int: give integer arguments a
    derivative of dtype float0 rather than raising.

    Returns a function of the same arguments with result `(value, gradient)`, or
    `((value, aux), gradient)`. The gradient has the structure of the argument, or is a tuple over
    `argnums`. Raises `TransformError` for outputs that are not scalar floats and for integer arguments.

    >>> import rtfunc as rf
    >>> rf.value_and_grad(lambda x: x**2)(3.0)
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32))
    """
    return _value_and_grad(function, argnums, has_aux, holomorphic, allow_int, "value_and_grad")


def _value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
    allow_int: bool,
    transform: str,
) -> Callable[..., Any]:
    check_callable(transform, function)

    @wraps(function, transform, "Value and gradient" if transform != "grad" else "Gradient")
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        positions, single = normalize_argnums(transform, argnums, len(args))
        parts = [flatten_argument(args[n]) for n in positions]
        arrays = argument_arrays(
            transform, [leaf for leaves, _ in parts for leaf in leaves], args, None, positions
        )
        for i, x in enumerate(arrays):
            if holomorphic or x.dtype.kind in "biuc" or allow_int:
                check_differentiable(
                    transform,
                    x,
                    lambda i=i: argument_path(args, positions, i),
                    holomorphic=holomorphic,
                    allow_int=allow_int,
                )
        aux_tree: Any = None

        def flat(*xs: Any) -> list[Any]:
            nonlocal aux_tree
            given = list(args)
            start = 0
            for n, (leaves, treedef) in zip(positions, parts):
                given[n] = pytree.unflatten(treedef, xs[start : start + len(leaves)])
                start += len(leaves)
            result = function(*given, **kwargs)
            if not has_aux:
                return [_scalar_output(transform, function, result, holomorphic)]
            value, aux = split_aux(transform, function, result)
            aux_leaves, aux_tree = pytree.flatten(aux)
            return [_scalar_output(transform, function, value, holomorphic), *aux_leaves]

        outs, pullback = vjp_flat(flat, arrays, [True] * len(arrays))
        value, aux_leaves = outs[0], outs[1:]
        seed = placed_like(Array(np.ones((), value.dtype)), value)
        into = pullback([seed, *[None] * len(aux_leaves)])
        into = [_instantiate(ct, x) for ct, x in zip(into, arrays)]
        gradients = []
        start = 0
        for leaves, treedef in parts:
            gradients.append(pytree.unflatten(treedef, into[start : start + len(leaves)]))
            start += len(leaves)
        gradient = gradients[0] if single else tuple(gradients)
        if has_aux:
            return (value, pytree.unflatten(aux_tree, aux_leaves)), gradient
        return value, gradient

    return differentiated


def _scalar_output(transform: str, function: Any, value: Any, holomorphic: bool) -> Array:
    if not isinstance(value, Array):
        leaves = pytree.leaves(value)
        if len(leaves) != 1 or leaves[0] is not value:
            raise TransformError(
                at_user_line(
                    f"{transform} takes a function that returns one scalar, but "
                    f"{function_name(function)} returned {describe(value)}. "
                    "Return (loss, auxiliary data) with has_aux=True to return more."
                )
            )
        value = as_array(f"{transform}: the output of {function_name(function)}", value)
    if value.shape != ():
        raise TransformError(
            at_user_line(
                f"{transform} takes a function with a scalar output, but {function_name(function)} "
                f"returned shape {value.shape}. Reduce it, for example with .sum() or .mean(), or use "
                "jacrev or jacfwd for a Jacobian."
            )
        )
    if holomorphic:
        if not dtypes.is_complex(value.dtype):
            raise TransformError(
                at_user_line(
                    f"{transform} with holomorphic=True takes a complex output, not {value.dtype}."
                )
            )
    elif not dtypes.is_float(value.dtype):
        advice = (
            "Take its real part or absolute value, or pass holomorphic=True."
            if dtypes.is_complex(value.dtype)
            else "Convert it to a float."
        )
        raise TransformError(
            at_user_line(
                f"{transform} takes a function with a real floating-point output, but "
                f"{function_name(function)} returned {value.dtype}. {advice}"
            )
        )
    return value


def grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function that returns the gradient of `function`.

    Arguments are those of `value_and_grad`. Returns the gradient, or `(gradient, aux)` with `has_aux`.

    >>> import rtfunc as rf
    >>> rf.grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (Array(3., dtype=float32), Array(2., dtype=float32))
    """
    with_value = _value_and_grad(function, argnums, has_aux, holomorphic, allow_int, "grad")

    @wraps(function, "grad", "Gradient")
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, result = with_value(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def linear_transpose(function: Callable[..., Any], *primals: Any) -> Callable[[Any], Any]:
    """The transpose of a function that is linear in `primals`.

    Arguments: primals: arrays or `ShapeDtypeStruct`s: only shapes and dtypes matter.

    Returns a function from a cotangent of the output to a tuple of cotangents of the primals. Raises
    `TransformError` when `function` is not linear.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> transposed = rf.linear_transpose(lambda x: 3.0 * x[1:], rnp.zeros(3))
    >>> transposed(rnp.ones(2))
    (Array([0., 3., 3.], dtype=float32),)
    """
    check_callable("linear_transpose", function)
    leaves, treedef = pytree.flatten(primals)
    avals = [
        x if isinstance(x, Aval) else a.aval
        for x, a in zip(
            leaves,
            argument_arrays(
                "linear_transpose",
                [np.zeros(()) if isinstance(x, Aval) else x for x in leaves],
                primals,
            ),
        )
    ]
    out_tree: Any = None

    def flat(*xs: Any) -> list[Any]:
        nonlocal out_tree
        result = function(*pytree.unflatten(treedef, xs))
        outs, out_tree = pytree.flatten(result)
        return leaf_arrays("linear_transpose", outs, lambda: result, "the output ")

    graph = stage(flat, avals)
    split = vjp_graph(graph, (True,) * len(avals))
    if split.residuals:
        raise TransformError(
            at_user_line(
                f"linear_transpose takes a linear function, but the derivative of "
                f"{function_name(function)} depends on its inputs. Use rtfunc.vjp."
            )
        )

    def transposed(cotangent: Any) -> Any:
        cotangents = _match_cotangent("linear_transpose", cotangent, out_tree, graph.out_avals)
        into = split.spread(evaluate(split.pullback, split.fill(cotangents)))
        return pytree.unflatten(
            treedef,
            [zeros_like(a) if ct is None else ct for ct, a in zip(into, avals)],
        )

    return transposed
