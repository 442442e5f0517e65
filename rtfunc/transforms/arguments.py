"""Arguments of transformed functions: leaves as Arrays, argnums, and names for error messages.

Depends on `core` and `ops.convert`.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError, TransformError, at_user_line
from rtfunc.ops.convert import as_array

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


def check_callable(transform: str, function: Any) -> None:
    """Raise `TransformError` unless `function` can be called."""
    if not callable(function):
        raise TransformError(
            at_user_line(
                f"{transform} takes a function as its first argument, not "
                f"{type(function).__name__}. Write {transform}(f)(x), not {transform}(f(x))."
            )
        )


def leaf_arrays(transform: str, leaves: Sequence[Any], tree: Callable[[], Any], what: str) -> list[Array]:
    """The leaves as Arrays; `DtypeError` names the path in `tree()` of one that is not an array."""
    arrays = []
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, Array):
            arrays.append(leaf)
            continue
        try:
            arrays.append(as_array(transform, leaf))
        except DtypeError:
            path = pytree.paths(tree())[i]
            raise DtypeError(
                at_user_line(
                    f"{transform}: {what}{path} is of type {type(leaf).__name__}, which is not an "
                    f"array. {_advice(transform)}"
                )
            ) from None
    return arrays


def _advice(transform: str) -> str:
    if transform == "jit":
        return "Mark it as static (static_argnums or static_argnames), or pass a number or an array."
    return "Pass arrays or numbers, or close over other values."


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
                    "Arguments given by keyword are not differentiated or static by number."
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
        if not holomorphic and transform in ("grad", "value_and_grad", "jacrev", "jacfwd"):
            raise TransformError(
                at_user_line(
                    f"{transform}: {path()} is {dtype}. For a complex-differentiable function "
                    "pass holomorphic=True; else differentiate with respect to its real and "
                    "imaginary parts, or use rtfunc.vjp."
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


def argument_path(args: Sequence[Any], positions: Sequence[int], leaf: int) -> str:
    """What to call the `leaf`-th leaf of the chosen arguments: `argument 0['w']`."""
    names = [
        f"argument {n}{path}"
        for n in positions
        for path in pytree.paths(args[n])
    ]
    return names[leaf]


def wraps(function: Callable[..., Any], name: str, doc: str) -> Callable[[Any], Any]:
    """`functools.wraps` for a transformed function: the name says what was done."""

    def decorate(wrapper: Any) -> Any:
        functools.update_wrapper(wrapper, function)
        wrapper.__name__ = f"{name}({function_name(function)})"
        wrapper.__doc__ = f"{doc} of {function_name(function)}.\n\n{inspect.getdoc(function) or ''}".rstrip()
        return wrapper

    return decorate


def is_array(x: Any) -> bool:
    """Whether `x` can be a leaf of traced data."""
    return isinstance(x, (Array, np.ndarray, np.generic, bool, int, float, complex))
