"""Jacobians and Hessians: `jacfwd`, `jacrev`, `hessian`. Depends on `vjp`, `jvp` and `vmap`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.errors import TransformError, at_user_line
from rtfunc.ops.convert import as_array
from rtfunc.ops.shape import reshape
from rtfunc.transforms.arguments import (
    argument_arrays,
    argument_path,
    check_callable,
    check_differentiable,
    function_name,
    normalize_argnums,
    wraps,
)
from rtfunc.transforms.jvp import jvp
from rtfunc.transforms.vjp import vjp
from rtfunc.transforms.vmap import vmap


def jacfwd(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """A function that returns the Jacobian of `function`, column by column in forward mode.

    The cost grows with the size of the inputs: choose it for tall Jacobians. The result has the
    structure of the output, each leaf with the structure of the argument (a tuple over `argnums`), each
    of shape output shape + input shape.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.jacfwd(lambda x: x**2)(rnp.arange(1.0, 3.0))
    Array([[2., 0.],
           [0., 4.]], dtype=float32)
    """
    check_callable("jacfwd", function)

    @wraps(function, "jacfwd", "Jacobian")
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen, fixed, single = _choose("jacfwd", function, args, kwargs, argnums, holomorphic)
        leaves, treedef = pytree.flatten(chosen)
        arrays = [as_array("jacfwd", x) for x in leaves]

        def push(*tangents: Any) -> Any:
            result = jvp(fixed, (chosen,), (pytree.unflatten(treedef, tangents),), has_aux=has_aux)
            _check_output("jacfwd", function, pytree.leaves(result[0]), holomorphic)
            return result[1:] if has_aux else result[1]

        tangents = vmap(push, out_axes=(-1, None) if has_aux else -1)(*_basis(arrays))
        aux = None
        if has_aux:
            tangents, aux = tangents

        def split(columns: Array) -> Any:
            shape = columns.shape[:-1]
            pieces, start = [], 0
            for x in arrays:
                piece = columns[..., start : start + x.size]
                pieces.append(reshape(piece, (*shape, *x.shape)))
                start += x.size
            tree = pytree.unflatten(treedef, pieces)
            return tree[0] if single else tree

        result = pytree.map(split, tangents)
        return (result, aux) if has_aux else result

    return jacobian


def jacrev(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function that returns the Jacobian of `function`, row by row in reverse mode.

    The cost grows with the size of the outputs: choose it for wide Jacobians. Result as `jacfwd`'s.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.jacrev(lambda x: x**2)(rnp.arange(1.0, 3.0))
    Array([[2., 0.],
           [0., 4.]], dtype=float32)
    """
    check_callable("jacrev", function)

    @wraps(function, "jacrev", "Jacobian")
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen, fixed, single = _choose(
            "jacrev", function, args, kwargs, argnums, holomorphic, allow_int
        )
        result = vjp(fixed, chosen, has_aux=has_aux)
        out, pullback = result[:2]
        leaves, treedef = pytree.flatten(out)
        outs = [as_array("jacrev", x) for x in leaves]
        _check_output("jacrev", function, outs, holomorphic)
        (rows,) = vmap(lambda *cts: pullback(pytree.unflatten(treedef, cts)))(*_basis(outs))
        pieces, in_tree = pytree.flatten(rows)
        jacobians = []
        start = 0
        for o in outs:
            part = [
                reshape(p[start : start + o.size], (*o.shape, *p.shape[1:]))
                if isinstance(p, Array)
                else np.zeros((*o.shape, *p.shape[1:]), dtypes.float0)
                for p in pieces
            ]
            start += o.size
            tree = pytree.unflatten(in_tree, part)
            jacobians.append(tree[0] if single else tree)
        jac = pytree.unflatten(treedef, jacobians)
        return (jac, result[2]) if has_aux else jac

    return jacobian


def hessian(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """A function that returns the second derivatives of `function`: forward over reverse mode.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> rf.hessian(lambda x: (x**3).sum())(rnp.arange(1.0, 3.0))
    Array([[ 6.,  0.],
           [ 0., 12.]], dtype=float32)
    """
    return jacfwd(jacrev(function, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


def _choose(
    transform: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int | Sequence[int],
    holomorphic: bool,
    allow_int: bool = False,
) -> tuple[Any, Callable[[Any], Any], bool]:
    """The arguments to differentiate, as a tuple, and the function of them alone."""
    positions, single = normalize_argnums(transform, argnums, len(args))
    chosen = tuple(args[n] for n in positions)
    arrays = argument_arrays(transform, pytree.leaves(chosen), args, None, positions)
    for i, x in enumerate(arrays):
        check_differentiable(
            transform,
            x,
            lambda i=i: argument_path(args, positions, i),
            holomorphic=holomorphic,
            allow_int=allow_int,
        )

    def fixed(given: Any) -> Any:
        filled = list(args)
        for n, value in zip(positions, given):
            filled[n] = value
        return function(*filled, **kwargs)

    return chosen, fixed, single


def _check_output(
    transform: str, function: Callable[..., Any], outs: Sequence[Array], holomorphic: bool
) -> None:
    """Raise `TransformError` for outputs that have no Jacobian."""
    for out in outs:
        if holomorphic and not dtypes.is_complex(out.dtype):
            advice = "holomorphic=True takes a function with complex outputs."
        elif not dtypes.is_inexact(out.dtype):
            advice = "Convert it to a float, or return it as auxiliary data with has_aux=True."
        elif not holomorphic and dtypes.is_complex(out.dtype):
            advice = (
                "For a complex-differentiable function pass holomorphic=True; else return its real "
                "and imaginary parts."
            )
        else:
            continue
        raise TransformError(
            at_user_line(
                f"{transform} takes a function with real floating-point outputs, but "
                f"{function_name(function)} returned {out.dtype}. {advice}"
            )
        )


def _basis(arrays: Sequence[Array]) -> list[Any]:
    """Unit tangents of a list of Arrays: the rows of an identity matrix, cut and reshaped."""
    total = sum(math.prod(x.shape) for x in arrays)
    result = []
    start = 0
    for x in arrays:
        rows = np.eye(total, x.size, -start, dtype=bool)
        start += x.size
        dtype = x.dtype if dtypes.is_inexact(x.dtype) else dtypes.float32
        result.append(Array(rows.reshape(total, *x.shape).astype(dtype)))
    return result
