"""Tracing of the functions that control flow is made of: steps, conditions, branches.

Depends on `core` and `transforms`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError, ShapeError, TreeError, at_user_line
from rtfunc.core.graph import Graph
from rtfunc.core.interning import interned
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.convert import as_array
from rtfunc.ops.sub_graphs import same_type
from rtfunc.transforms.arguments import leaf_arrays

Function = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Traced:
    """A traced function: its Graph, which takes `captured` first, and its result's structure."""

    graph: Graph
    captured: list[Any]
    out: Any
    out_tree: pytree.TreeDef


def trace(operation: str, function: Function, avals: Sequence[Aval], name: str) -> Traced:
    """Trace `function`, of flat arguments and with a pytree as its result."""
    result: Any = None

    def flat(*xs: Any) -> list[Array]:
        nonlocal result
        result = function(*xs)
        return leaf_arrays(
            operation, pytree.leaves(result), lambda: result, f"the output of {name} "
        )

    graph, captured = trace_to_graph(flat, avals)
    return Traced(interned(graph), captured, result, pytree.structure(result))


def operands(operation: str, tree: Any, what: str) -> tuple[list[Array], pytree.TreeDef]:
    """The leaves of `tree` as Arrays, and its structure.

    An operand may come out again as a result, so NumPy arrays that can change are copied.
    """
    leaves, treedef = pytree.flatten(tree)
    owned = [x.copy() if isinstance(x, np.ndarray) and x.flags.writeable else x for x in leaves]
    return leaf_arrays(operation, owned, lambda: tree, what), treedef


def trace_step(
    operation: str,
    step: Function,
    name: str,
    init: Any,
    carry: list[Array],
    *,
    slices: Sequence[Aval] = (),
    carry_of: Callable[[Any], Any] = lambda out: out,
    paths: Callable[[], list[str]],
) -> tuple[Traced, list[Array]]:
    """Trace one step of a loop, and check that the carry keeps its structure and types.

    A weakly typed initial carry that a step returns as another dtype is promoted, and the step
    traced once more. `carry_of` finds the carry in what a step returns, and `paths` names its
    leaves in messages. Returns the trace and the initial carry.
    """
    for attempt in range(2):
        traced = trace(operation, step, [*(x.aval for x in carry), *slices], name)
        out = carry_of(traced.out)
        check_structure(operation, name, init, out)
        returned = traced.graph.out_avals[: len(carry)]
        if all(same_type(x.aval, a) for x, a in zip(carry, returned)):
            return traced, carry
        given = pytree.leaves(init)
        promoted = [_promoted(operation, *both) for both in zip(given, carry, returned)]
        if attempt or all(p is x for p, x in zip(promoted, carry)):
            raise _carry_error(operation, paths(), carry, returned)
        carry = promoted
    raise AssertionError


def check_structure(operation: str, name: str, init: Any, out: Any) -> None:
    """Raise `TreeError` unless a step returns the carry with the structure of the initial one."""
    if pytree.structure(out) != pytree.structure(init):
        raise TreeError(
            at_user_line(
                f"{operation}: the carry enters {name} with one structure and leaves with "
                f"another: {pytree.difference(init, out)}. Return the carry as it came in."
            )
        )


def _promoted(operation: str, given: Any, x: Array, returned: Aval) -> Array:
    """A weakly typed carry in the dtype that it meets; a number that was `given` keeps its digits."""
    if not x.weak_type or x.dtype == returned.dtype:
        return x
    dtype, _ = dtypes.promote(x.dtype, True, returned.dtype, returned.weak_type)
    return as_array(operation, given if isinstance(given, (float, complex)) else x, dtype)


def _carry_error(
    operation: str, paths: Sequence[str], carry: Sequence[Array], returned: Sequence[Aval]
) -> Exception:
    wrong = [
        (f"'s leaf {path}" if path else "") + f" enters as {x.aval} and leaves as {a}"
        for path, x, a in zip(paths, carry, returned, strict=True)
        if not same_type(x.aval, a)
    ]
    shapes = any(x.shape != a.shape for x, a in zip(carry, returned))
    advice = (
        "Every step must return the shapes that it was given"
        if shapes
        else "Convert the initial carry or what the step returns, for example with x.astype(...)"
    )
    more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    message = f"{operation}: the carry{', and the carry'.join(wrong[:3])}{more}. {advice}."
    return (ShapeError if shapes else DtypeError)(at_user_line(message))
