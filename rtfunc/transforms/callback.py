"""Python functions called from traced code: `pure_callback`, `io_callback`, debug printing.

They take and return pytrees. What the callback raises reaches the user as it is. Depends on
`ops.callback`.
"""

from __future__ import annotations

import builtins
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rtfunc.core import pytree
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ArgumentError, DtypeError, TreeError, at_user_line
from rtfunc.ops.callback import VMAP_METHODS, host_callback_p
from rtfunc.ops.convert import as_array


class _TreeCallback:
    """A function over pytrees as one over flat arrays; equal when function and structures are."""

    __slots__ = ("function", "in_tree", "operation", "out_tree")

    def __init__(self, operation: str, function: Callable[..., Any], in_tree: Any, out_tree: Any):
        self.operation = operation
        self.function = function
        self.in_tree = in_tree
        self.out_tree = out_tree

    def _key(self) -> tuple[Any, ...]:
        return self.operation, id(self.function), self.in_tree, self.out_tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TreeCallback) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, *leaves: np.ndarray) -> list[Any]:
        args, kwargs = pytree.unflatten(self.in_tree, leaves)
        result = self.function(*args, **kwargs)
        if self.out_tree is None:
            return []
        found, tree = pytree.flatten(result)
        if tree != self.out_tree:
            raise TreeError(
                f"{self.operation}: the callback returned the structure {tree}, but "
                f"result_shape_dtypes has {self.out_tree}."
            )
        return found


def _result_aval(operation: str, leaf: Any) -> Aval:
    try:
        return Aval(tuple(leaf.shape), leaf.dtype)
    except AttributeError:
        raise DtypeError(
            at_user_line(
                f"{operation}: result_shape_dtypes is a pytree of rtfunc.ShapeDtypeStruct(shape, "
                f"dtype) or arrays, but has a leaf of type {type(leaf).__name__}."
            )
        ) from None


def _call(
    operation: str,
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    vmap_method: str | None,
    has_effect: bool,
) -> Any:
    if not callable(callback):
        raise DtypeError(
            at_user_line(f"{operation} takes a function, not {type(callback).__name__}.")
        )
    leaves, in_tree = pytree.flatten((args, dict(kwargs)))
    specs, out_tree = pytree.flatten(result_shape_dtypes)
    outs = host_callback_p.bind(
        *(as_array(operation, leaf) for leaf in leaves),
        callback=_TreeCallback(operation, callback, in_tree, out_tree),
        result_avals=tuple(_result_aval(operation, spec) for spec in specs),
        operation=operation,
        vmap_method=vmap_method,
        has_effect=has_effect,
    )
    return pytree.unflatten(out_tree, outs)


def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """`callback(*args, **kwargs)`, called with NumPy arrays when the values are known.

    For a function that only computes: it may be called any number of times, or not at all when its
    result is not used.

    Arguments:
      callback: the function; gets its arguments with read-only NumPy arrays as leaves.
      result_shape_dtypes: pytree of `ShapeDtypeStruct`s (anything with `shape` and `dtype`) that
        says what it returns.
      vmap_method: what `vmap` does: "sequential" calls it for one member after the other;
        "broadcast_all" calls it once with a leading batch axis on all arrays, "expand_dims" with
        one of size 1 where an argument is not mapped, and the result has the batch axis in front;
        None is an error.

    Raises `UnsupportedError` under differentiation (give it a rule with `custom_jvp`), and
    `ShapeError`, `DtypeError` or `TreeError` when the results are not as announced.

    >>> import numpy as np, rtfunc as rf
    >>> rf.pure_callback(np.sort, rf.ShapeDtypeStruct((3,), "int32"), np.array([2, 3, 1], "int32"))
    Array([1, 2, 3], dtype=int32)
    """
    if vmap_method not in VMAP_METHODS:
        raise ArgumentError(
            at_user_line(
                f"pure_callback: vmap_method is one of {VMAP_METHODS}, not {vmap_method!r}."
            )
        )
    return _call("pure_callback", callback, result_shape_dtypes, args, kwargs, vmap_method, False)


def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    ordered: bool = True,
    **kwargs: Any,
) -> Any:
    """As `pure_callback`, for a function with effects: called exactly once for each execution.

    Effects happen in the order of the program, with or without `ordered`. Under `vmap` it is called
    once for each member, in order.

    >>> import rtfunc as rf
    >>> seen = []
    >>> rf.io_callback(lambda x: seen.append(float(x)), None, 2.0)
    >>> seen
    [2.0]
    """
    return _call("io_callback", callback, result_shape_dtypes, args, kwargs, "sequential", True)


def debug_callback(
    callback: Callable[..., Any], *args: Any, ordered: bool = True, **kwargs: Any
) -> None:
    """Call `callback(*args, **kwargs)` for its effect when the values are known.

    It gets NumPy arrays and what it returns is ignored. Differentiation calls it with the values of
    the function itself; `vmap` calls it once for each member, in order.

    >>> import rtfunc as rf
    >>> rf.jit(lambda x: debug_callback(lambda v: print(v), x))(1.5)
    1.5
    """
    _effect("debug_callback", callback, args, kwargs)


def _effect(
    operation: str, callback: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    leaves, in_tree = pytree.flatten((args, dict(kwargs)))
    host_callback_p.bind(
        *(as_array(operation, leaf) for leaf in leaves),
        callback=_TreeCallback(operation, callback, in_tree, None),
        result_avals=(),
        operation=operation,
        vmap_method="sequential",
        has_effect=True,
    )


def debug_print(format: str, *args: Any, ordered: bool = True, **kwargs: Any) -> None:
    """Print `format.format(*args, **kwargs)` when the values are known; `rtfunc.debug.print`.

    Works inside `jit`, `vmap` (a line for each member) and differentiation. Arguments are arrays,
    pytrees of arrays, or anything else, which is formatted as it is. Raises `ArgumentError` when
    fields and arguments do not match.

    >>> import rtfunc as rf
    >>> rf.jit(lambda x: debug_print("x = {x:.2f}", x=x))(1.5)
    x = 1.50
    """
    _check_format(format, args, kwargs)
    leaves, tree = pytree.flatten((args, kwargs))
    dynamic = [isinstance(leaf, (Array, np.ndarray)) for leaf in leaves]
    static = [None if d else leaf for d, leaf in zip(dynamic, leaves)]

    def show(*values: np.ndarray) -> None:
        found = iter(values)
        whole = [next(found) if d else leaf for d, leaf in zip(dynamic, static)]
        shown_args, shown_kwargs = pytree.unflatten(tree, whole)
        builtins.print(format.format(*shown_args, **shown_kwargs))

    arrays = tuple(leaf for d, leaf in zip(dynamic, leaves) if d)
    _effect("debug.print", show, arrays, {})


class _FieldChecker(string.Formatter):
    """Goes through the fields of a format without formatting anything."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        first = field_name.replace("[", ".").split(".")[0]
        key = int(first) if first.isdigit() else first
        return self.get_value(key, args, kwargs), key

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return value

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""

    def check_unused_args(self, used_args: Any, args: Sequence[Any], kwargs: Any) -> None:
        unused = [str(i) for i in range(len(args)) if i not in used_args]
        unused += [name for name in kwargs if name not in used_args]
        if unused:
            raise ValueError(f"no field for argument {', '.join(unused)}")


def _check_format(format: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    try:
        _FieldChecker().vformat(format, args, kwargs)
    except (KeyError, IndexError, ValueError) as error:
        problem = error.args[0]
        if isinstance(error, KeyError):
            problem = f"no argument for field {problem}"
        raise ArgumentError(
            at_user_line(
                f"debug.print: the format {format!r} does not fit its {len(args)} positional and "
                f"{len(kwargs)} keyword arguments: {problem}."
            )
        ) from None
