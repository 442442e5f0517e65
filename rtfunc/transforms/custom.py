"""Derivative rules of the user's own: `custom_vjp`, `custom_jvp`, `stop_gradient`.

Depends on `core.custom`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.custom import CustomJVP, CustomVJP
from rtfunc.core.errors import ShapeError, TransformError, TreeError, at_user_line
from rtfunc.core.primitive import zeros_like
from rtfunc.ops.convert import as_array, convert
from rtfunc.ops.stop_gradient import stop_gradient_p
from rtfunc.transforms.arguments import (
    argument_arrays,
    as_numbers,
    check_callable,
    describe,
    function_name,
    leaf_arrays,
    normalize_argnums,
)


def _positional_count(function: Callable[..., Any]) -> int | None:
    """How many arguments `function` takes if all are positional and their number is fixed."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    fixed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(parameters) if all(p.kind in fixed for p in parameters) else None


def _bound_arguments(
    function: Callable[..., Any], count: int | None, args: Any, kwargs: Any
) -> tuple[Any, ...]:
    """All arguments by position, defaults included, as derivative rules receive them.

    `count` is the function's `_positional_count`: a call with as many needs no look at the signature.
    """
    if not kwargs and len(args) == count:
        return args
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise TransformError(
            at_user_line(f"{function_name(function)} does not take these arguments: {error}.")
        ) from None
    except ValueError:  # a built-in without a signature
        return args
    bound.apply_defaults()
    if bound.kwargs:
        raise TransformError(
            at_user_line(
                f"{function_name(function)} has keyword-only arguments, which a custom derivative "
                "rule cannot receive. Make them positional."
            )
        )
    return bound.args


def _split_static(
    transform: str, args: Sequence[Any], nondiff: Sequence[int]
) -> tuple[list[Any], list[int], Callable[[Sequence[Any]], list[Any]]]:
    """Non-differentiated arguments, the positions of the others, and what puts all together again."""
    static, _ = normalize_argnums(transform, nondiff, len(args))
    positions = [i for i in range(len(args)) if i not in static]

    def merge(values: Sequence[Any]) -> list[Any]:
        merged = list(args)
        for i, value in zip(positions, values, strict=True):
            merged[i] = value
        return merged

    return [args[i] for i in sorted(static)], positions, merge


class custom_vjp:
    """A function with a reverse-mode derivative rule of its own.

    Arguments: function: pytrees of arrays to a pytree of arrays; nondiff_argnums: positional arguments
    that are Python values, not arrays.

    The rule is set by `defvjp(forward, backward)`:
    `forward(*args) -> (output, residuals)` takes the same arguments, and
    `backward(*nondiff_args, residuals, cotangent) -> tuple of cotangents`, one for each of the other
    arguments, None standing for zero.

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> @rf.custom_vjp
    ... def clipped_gradient(x):
    ...     return x
    >>> clipped_gradient.defvjp(lambda x: (x, None), lambda _, ct: (rnp.clip(ct, -1.0, 1.0),))
    >>> rf.grad(lambda x: 10.0 * clipped_gradient(x))(2.0)
    Array(1., dtype=float32)
    """

    def __init__(self, function: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()):
        check_callable("custom_vjp", function)
        functools.update_wrapper(self, function)
        self.function = function
        self.nondiff_argnums = as_numbers("custom_vjp", nondiff_argnums)
        self._count = _positional_count(function)
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def defvjp(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
    ) -> None:
        """Set the rule: see the class."""
        check_callable("defvjp", forward)
        check_callable("defvjp", backward)
        self.forward, self.backward = forward, backward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the function; transforms use its own rule."""
        name = function_name(self.function)
        if self.forward is None or self.backward is None:
            raise TransformError(
                at_user_line(
                    f"No derivative rule is defined for {name}: call {name}.defvjp(forward, backward)."
                )
            )
        args = _bound_arguments(self.function, self._count, args, kwargs)
        static, positions, merge = _split_static("custom_vjp", args, self.nondiff_argnums)
        dynamic = [args[i] for i in positions]
        leaves, treedef = pytree.flatten(dynamic)
        arrays = argument_arrays("custom_vjp", leaves, args, None, positions)
        trees: dict[str, Any] = {}

        def flat(*xs: Any) -> list[Any]:
            result = self.function(*merge(pytree.unflatten(treedef, xs)))
            outs, trees["out"] = pytree.flatten(result)
            return leaf_arrays("custom_vjp", outs, lambda: result, f"the output of {name} ")

        def forward(*xs: Any) -> tuple[list[Any], list[Any]]:
            assert self.forward is not None
            result = self.forward(*merge(pytree.unflatten(treedef, xs)))
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TransformError(
                    at_user_line(
                        f"The forward rule of {name} returns a pair (output, residuals), "
                        f"not {describe(result)}."
                    )
                )
            out, residuals = result
            outs, tree = pytree.flatten(out)
            if trees.setdefault("out", tree) != tree:
                raise TreeError(
                    at_user_line(
                        f"The forward rule of {name} returned an output of structure {tree}, "
                        f"the function itself one of {trees['out']}."
                    )
                )
            kept, trees["residuals"] = pytree.flatten(residuals)
            trees["other"] = [None if isinstance(r, Array) else r for r in kept]
            arrays_only = [r for r in kept if isinstance(r, Array)]
            return leaf_arrays("custom_vjp", outs, lambda: out, "the output "), arrays_only

        def backward(residuals: Any, cotangents: Any, avals: Any) -> list[Any]:
            assert self.backward is not None
            found = iter(residuals)
            kept = [next(found) if r is None else r for r in trees["other"]]
            cts = [zeros_like(aval) if ct is None else ct for ct, aval in zip(cotangents, avals)]
            result = self.backward(
                *static,
                pytree.unflatten(trees["residuals"], kept),
                pytree.unflatten(trees["out"], cts),
            )
            return _flat_cotangents(name, result, dynamic, arrays)

        call = CustomVJP(flat, name, None, forward, backward)
        outs = call.bind(arrays)
        return pytree.unflatten(trees["out"], outs)


def _flat_cotangents(
    name: str, result: Any, dynamic: Sequence[Any], arrays: Sequence[Array]
) -> list[Any]:
    if not isinstance(result, (tuple, list)) or len(result) != len(dynamic):
        count = len(result) if isinstance(result, (tuple, list)) else 1
        raise TreeError(
            at_user_line(
                f"The backward rule of {name} returns a tuple with a cotangent for each of its "
                f"{len(dynamic)} differentiable arguments, but it returned {count}."
            )
        )
    flat: list[Any] = []
    position = 0
    for i, (ct, argument) in enumerate(zip(result, dynamic)):
        treedef = pytree.structure(argument)
        count = treedef.num_leaves
        primals = arrays[position : position + count]
        position += count
        if ct is None:
            flat += [None] * count
            continue
        parts = pytree.flatten_up_to(
            treedef,
            ct,
            f"The backward rule of {name}",
            argument,
            ("the argument", "the cotangent"),
        )
        for part, primal in zip(parts, primals, strict=True):
            if part is None or not dtypes.is_inexact(primal.dtype):
                flat.append(None)
                continue
            x = as_array(f"The backward rule of {name}", part)
            if x.shape != primal.shape:
                raise ShapeError(
                    at_user_line(
                        f"The backward rule of {name} returned a cotangent of shape {x.shape} for "
                        f"argument {i}, which has shape {primal.shape}."
                    )
                )
            flat.append(convert(x, primal.dtype))
    return flat


class custom_jvp:
    """A function with a forward-mode derivative rule of its own; reverse mode transposes it.

    The rule is set by `defjvp(rule)` with
    `rule(*nondiff_args, primals, tangents) -> (output, output tangent)`, linear in the tangents, or by
    `defjvps(*rules)` with one `rule(tangent, output, *primals)` per argument (None for zero).

    >>> import rtfunc as rf, rtfunc.numpy as rnp
    >>> @rf.custom_jvp
    ... def log1pexp(x):
    ...     return rnp.log1p(rnp.exp(x))
    >>> log1pexp.defjvps(lambda t, y, x: t * (1 - 1 / (1 + rnp.exp(x))))
    >>> rf.grad(log1pexp)(0.0)
    Array(0.5, dtype=float32)
    """

    def __init__(self, function: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()):
        check_callable("custom_jvp", function)
        functools.update_wrapper(self, function)
        self.function = function
        self.nondiff_argnums = as_numbers("custom_jvp", nondiff_argnums)
        self._count = _positional_count(function)
        self.rule: Callable[..., Any] | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule: see the class. Returns it, so this is usable as a decorator."""
        check_callable("defjvp", rule)
        self.rule = rule
        return rule

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """Set one rule per argument: `rule(tangent, output, *primals)`; None where it is zero."""
        if self.nondiff_argnums:
            raise TransformError(
                at_user_line("defjvps does not go with nondiff_argnums: use defjvp.")
            )

        def rule(primals: Any, tangents: Any) -> Any:
            out = self(*primals)
            total = None
            for one, t in zip(rules, tangents, strict=True):
                if one is not None:
                    part = one(t, out, *primals)
                    total = part if total is None else pytree.map(lambda a, b: a + b, total, part)
            if total is None:
                total = pytree.map(zeros_like, out)
            return out, total

        self.rule = rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the function; transforms use its own rule."""
        name = function_name(self.function)
        if self.rule is None:
            raise TransformError(
                at_user_line(f"No derivative rule is defined for {name}: call {name}.defjvp(rule).")
            )
        args = _bound_arguments(self.function, self._count, args, kwargs)
        static, positions, merge = _split_static("custom_jvp", args, self.nondiff_argnums)
        dynamic = [args[i] for i in positions]
        leaves, treedef = pytree.flatten(dynamic)
        arrays = argument_arrays("custom_jvp", leaves, args, None, positions)
        trees: dict[str, Any] = {}

        def flat(*xs: Any) -> list[Any]:
            result = self.function(*merge(pytree.unflatten(treedef, xs)))
            outs, trees["out"] = pytree.flatten(result)
            return leaf_arrays("custom_jvp", outs, lambda: result, f"the output of {name} ")

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            assert self.rule is not None
            filled = [zeros_like(p) if t is None else t for p, t in zip(primals, tangents)]
            result = self.rule(
                *static,
                tuple(pytree.unflatten(treedef, primals)),
                tuple(pytree.unflatten(treedef, filled)),
            )
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TransformError(
                    at_user_line(
                        f"The rule of {name} returns a pair (output, tangent), "
                        f"not {describe(result)}."
                    )
                )
            outs, tree = pytree.flatten(result[0])
            out_tangents, tangent_tree = pytree.flatten(result[1])
            trees.setdefault("out", tree)
            if tree != tangent_tree or tree != trees["out"]:
                raise TreeError(
                    at_user_line(
                        f"The rule of {name} returned an output of structure {tree} and a tangent of "
                        f"{tangent_tree}; the function returns {trees['out']}."
                    )
                )
            outs = leaf_arrays("custom_jvp", outs, lambda: result[0], "the output ")
            out_tangents = leaf_arrays(
                "custom_jvp", out_tangents, lambda: result[1], "the tangent "
            )
            for o, t in zip(outs, out_tangents):
                if o.shape != t.shape:
                    raise ShapeError(
                        at_user_line(
                            f"The rule of {name} returned a tangent of shape {t.shape} for an output "
                            f"of shape {o.shape}."
                        )
                    )
            return outs, [
                convert(t, o.dtype) if dtypes.is_inexact(o.dtype) else None
                for o, t in zip(outs, out_tangents)
            ]

        call = CustomJVP(flat, name, None, rule)
        outs = call.bind(arrays)
        return pytree.unflatten(trees["out"], outs)


def stop_gradient(x: Any) -> Any:
    """`x` (a pytree of arrays) as a constant: derivatives do not flow through it.

    >>> import rtfunc as rf
    >>> rf.grad(lambda x: x * rf.stop_gradient(x))(3.0)
    Array(3., dtype=float32)
    """
    return pytree.map(_stop_leaf, x)


def _stop_leaf(x: Any) -> Any:
    if not isinstance(x, Array) or not dtypes.is_inexact(x.dtype):
        return x
    return stop_gradient_p.bind(x)
