"""Arguments of transformed functions: leaves as Arrays, argnums, and names for error messages.

Depends on `core` and `ops.convert`.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError, TransformError, at_user_line
from rtfunc.ops.convert import as_array, owned_array

_simple = (Array, float, int, complex, np.ndarray)


def flatten_argument(x: Any) -> tuple[list[Any], pytree.TreeDef]:
    """As `pytree.flatten`, quick for a single array or number."""
    if type(x) in _simple:
        return [x], _leaf_structure
    return pytree.flatten(x)


_leaf_structure = pytree.structure(0)


def function_name(function: Callable[..., Any]) -> str:
    """What to call a function in messages."""
    return getattr(function, "__name__", type(function).__name__)


def describe(x: Any) -> str:
    """What `x` is, for messages: arrays by type and shape, other values by class."""
    if isinstance(x, Array):
        return f"an array of type {x.aval}"
    if x is None:
        return "None (is a `return` missing?)"
    count = f" of {len(x)}" if isinstance(x, (tuple, list, dict)) else ""
    return f"an object of type {type(x).__name__}{count}"


def check_callable(transform: str, function: Any) -> None:
    """Raise `TransformError` unless `function` can be called."""
    if not callable(function):
        advice = (
            f"Write {transform}(f, x), not {transform}(f(x))."
            if transform in ("vjp", "jvp", "linearize", "linear_transpose", "eval_shape")
            else f"Write {transform}(f)(x), not {transform}(f(x))."
        )
        raise TransformError(
            at_user_line(
                f"{transform} takes a function as its first argument, not {describe(function)}. "
                f"{advice}"
            )
        )


def leaf_arrays(
    transform: str, leaves: Sequence[Any], tree: Callable[[], Any], what: str
) -> list[Array]:
    """The leaves as Arrays; `DtypeError` names the path in `tree()` of one that is not an array."""
    return _arrays(
        transform,
        leaves,
        lambda i: f"{what}{pytree.paths(tree())[i]}".rstrip(),
        "A traced function takes and returns pytrees of arrays and numbers.",
    )


def argument_arrays(
    transform: str,
    leaves: Sequence[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    positions: Sequence[int] | None = None,
    *,
    own: bool = True,
) -> list[Array]:
    """The leaves of the arguments as Arrays; `DtypeError` names the argument that is not one.

    Arguments: leaves: of the positional arguments at `positions` (by default of all of them), then
    of `kwargs`; own: copy NumPy arrays that their owner may change, because the transform's result
    may hold on to them.
    """
    advice = "Pass arrays or numbers, or close over other values."
    if transform == "jit":
        advice = (
            "Mark it as static (static_argnums or static_argnames), or pass a number or an array."
        )
    return _arrays(
        transform, leaves, lambda i: argument_path(args, positions, i, kwargs), advice, own=own
    )


def _arrays(
    transform: str,
    leaves: Sequence[Any],
    name: Callable[[int], str],
    advice: str,
    *,
    own: bool = True,
) -> list[Array]:
    arrays = []
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, Array):
            arrays.append(leaf)
            continue
        try:
            arrays.append(owned_array(transform, leaf) if own else as_array(transform, leaf))
        except DtypeError:
            if isinstance(leaf, (np.ndarray, np.generic)):
                raise
            raise DtypeError(
                at_user_line(
                    f"{transform}: {name(i)} is of type {type(leaf).__name__}, which is not an "
                    f"array. {advice}"
                )
            ) from None
    return arrays


def normalize_argnums(
    transform: str, argnums: int | Sequence[int], count: int
) -> tuple[tuple[int, ...], bool]:
    """Positions counted from the front, and whether a single number was given."""
    single = not isinstance(argnums, (tuple, list))
    try:
        numbers = [operator.index(n) for n in ([argnums] if single else argnums)]  # type: ignore[union-attr]
    except TypeError:
        raise TransformError(
            at_user_line(f"{transform}: argnums are integers or a tuple of them, not {argnums!r}.")
        ) from None
    for n in numbers:
        if not -count <= n < count:
            raise ArgumentError(
                at_user_line(
                    f"{transform}: argument {n} was asked for, but the function was called with "
                    f"{count} positional argument{'s' * (count != 1)}. "
                    "Arguments given by keyword have no number."
                )
            )
    positions = tuple(n % count for n in numbers)
    if len(set(positions)) != len(positions):
        raise ArgumentError(at_user_line(f"{transform}: an argument is named twice in {argnums}."))
    return positions, single


def check_differentiable(
    transform: str, leaf: Array, path: Callable[[], str], *, holomorphic: bool, allow_int: bool
) -> None:
    """Raise `TransformError` if a derivative with respect to `leaf` has no meaning."""
    dtype = leaf.dtype
    if dtypes.is_complex(dtype):
        # One cotangent describes a real function of a complex number, one tangent does not.
        if not holomorphic and transform == "jacfwd":
            raise TransformError(
                at_user_line(
                    f"{transform}: {path()} is {dtype}. For a complex-differentiable function "
                    "pass holomorphic=True; else differentiate with respect to its real and "
                    "imaginary parts, or use rtfunc.jacrev."
                )
            )
    elif holomorphic:
        raise TransformError(
            at_user_line(
                f"{transform} with holomorphic=True takes complex inputs, but {path()} is {dtype}."
            )
        )
    elif not dtypes.is_inexact(dtype) and not allow_int:
        raise TransformError(
            at_user_line(
                f"{transform}: {path()} has dtype {dtype}, and derivatives flow through floats only. "
                "Pass a float (1.0 rather than 1, x.astype(float)), choose other argnums, or pass "
                "allow_int=True to get an empty derivative for it."
            )
        )


def argument_path(
    args: Sequence[Any],
    positions: Sequence[int] | None,
    leaf: int,
    kwargs: Mapping[str, Any] | None = None,
) -> str:
    """What to call the `leaf`-th leaf of the chosen arguments: `argument 0['w']`.

    The leaves are those of the positional arguments at `positions` (None: all), then of `kwargs`.
    """
    if positions is None:
        positions = range(len(args))
    names = [f"argument {n}{path}" for n in positions for path in pytree.paths(args[n])]
    for key in sorted(kwargs or {}):
        names += [f"argument {key!r}{path}" for path in pytree.paths((kwargs or {})[key])]
    return names[leaf]


def parameters_both_ways(
    transform: str, function: Callable[..., Any], numbers: tuple[int, ...], names: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Positions and names of the same parameters, each completed from the other.

    Positions are counted from the front as far as the signature of `function` tells, so that a
    parameter keeps its number when arguments with defaults are left out. Raises `ArgumentError` for
    parameters that `function` does not have.
    """
    if not numbers and not names:
        return (), ()
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return numbers, names
    by_position = [
        p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    count = len(by_position)
    kinds = {p.kind for p in parameters}
    known = {p.name for p in parameters}
    for name in names:
        if name not in known and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise ArgumentError(
                at_user_line(f"{transform}: {function_name(function)} has no parameter {name!r}.")
            )
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        for n in numbers:
            if not -count <= n < count:
                raise ArgumentError(
                    at_user_line(
                        f"{transform}: argument number {n} was named, but "
                        f"{function_name(function)} takes {count} positional "
                        f"argument{'s' * (count != 1)}."
                    )
                )
        numbers = tuple(n % count for n in numbers)
    more_names = [by_position[n] for n in numbers if 0 <= n < count]
    more_numbers = [by_position.index(name) for name in names if name in by_position]
    return (
        tuple(dict.fromkeys([*numbers, *more_numbers])),
        tuple(dict.fromkeys([*names, *more_names])),
    )


def given_positions(numbers: Sequence[int], count: int) -> tuple[int, ...]:
    """Which of the `count` positional arguments of a call the parameter `numbers` are."""
    return tuple(sorted({n % count for n in numbers if -count <= n < count}))


def as_numbers(transform: str, argnums: int | Sequence[int] | None) -> tuple[int, ...]:
    """One position, or several, as a tuple; `TransformError` for what is not an integer."""
    if argnums is None:
        return ()
    try:
        given = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
        return tuple(operator.index(n) for n in given)  # type: ignore[arg-type]
    except TypeError:
        raise TransformError(
            at_user_line(
                f"{transform}: argument numbers are integers or a tuple of them, not {argnums!r}."
            )
        ) from None


def without_static(
    transform: str,
    function: Callable[..., Any],
    static_argnums: int | Sequence[int],
) -> Callable[..., tuple[tuple[int, ...], Callable[..., Any]]]:
    """What tells the dynamic arguments of a call to `function` from those that are Python values.

    Returns a function of the number and values of the positional arguments, whose result is the
    positions of the dynamic ones, and `function` of these alone (and of the keyword arguments).
    """
    numbers, _ = parameters_both_ways(
        transform, function, as_numbers(transform, static_argnums), ()
    )

    def split(*args: Any) -> tuple[tuple[int, ...], Callable[..., Any]]:
        fixed = given_positions(numbers, len(args))
        if not fixed:
            return tuple(range(len(args))), function
        dynamic = tuple(i for i in range(len(args)) if i not in fixed)

        @functools.wraps(function)
        def partial(*given: Any, **kwargs: Any) -> Any:
            filled = list(args)
            for i, value in zip(dynamic, given, strict=True):
                filled[i] = value
            return function(*filled, **kwargs)

        return dynamic, partial

    return split


def wraps(function: Callable[..., Any], name: str, doc: str) -> Callable[[Any], Any]:
    """`functools.wraps` for a transformed function: the name says what was done."""

    def decorate(wrapper: Any) -> Any:
        functools.update_wrapper(wrapper, function)
        wrapper.__name__ = f"{name}({function_name(function)})"
        wrapper.__doc__ = (
            f"{doc} of {function_name(function)}.\n\n{inspect.getdoc(function) or ''}".rstrip()
        )
        return wrapper

    return decorate


def is_array(x: Any) -> bool:
    """Whether `x` can be a leaf of traced data."""
    return isinstance(x, (Array, np.ndarray, np.generic, bool, int, float, complex))
