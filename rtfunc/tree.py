"""Pytrees: nested containers of arrays, which all transforms take and return.

import rtfunc as rf
params = {"w": rf.numpy.ones((2, 3)), "b": rf.numpy.zeros(3)}
rf.tree.map(lambda p: 0.9 * p, params)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from rtfunc.core import pytree
from rtfunc.core.errors import TreeError, at_user_line
from rtfunc.core.pytree import TreeDef as TreeDef
from rtfunc.core.pytree import register_dataclass as register_dataclass
from rtfunc.core.pytree import register_node as register_node

IsLeaf = Callable[[Any], bool] | None


def flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeDef]:
    """The leaves of `tree` in order, and its structure.

    >>> flatten({"b": 1, "a": (2, None)})[0]
    [2, 1]
    """
    return pytree.flatten(tree, is_leaf)


def unflatten(treedef: TreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of structure `treedef` with the given leaves.

    >>> unflatten(structure((1, [2])), [10, 20])
    (10, [20])
    """
    return pytree.unflatten(treedef, leaves)


def leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of `tree` in order.

    >>> leaves([1, {"x": 2}])
    [1, 2]
    """
    return pytree.leaves(tree, is_leaf)


def structure(tree: Any, is_leaf: IsLeaf = None) -> TreeDef:
    """The structure of `tree`: hashable and comparable.

    >>> structure([1, 2]) == structure([3, 4])
    True
    """
    return pytree.structure(tree, is_leaf)


def map(function: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """`function` applied to the leaves of `tree` and the corresponding subtrees of `rest`.

    Raises `TreeError`, naming the place, where the structures differ.

    >>> map(lambda x, y: x + y, {"a": 1}, {"a": 10})
    {'a': 11}
    """
    return pytree.map(function, tree, *rest, is_leaf=is_leaf)


def reduce(
    function: Callable[[Any, Any], Any], tree: Any, *initial: Any, is_leaf: IsLeaf = None
) -> Any:
    """The leaves combined from left to right.

    >>> reduce(lambda a, b: a + b, [1, (2, 3)])
    6
    """
    return functools.reduce(function, pytree.leaves(tree, is_leaf), *initial)


def all(tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether all leaves are true.

    >>> all({"a": True, "b": 1})
    True
    """
    return not any(not leaf for leaf in pytree.leaves(tree, is_leaf))


def transpose(outer: TreeDef, inner: TreeDef | None, tree: Any) -> Any:
    """A tree of structure `outer` of trees of structure `inner`, turned inside out.

    >>> transpose(structure([0, 0]), structure({"a": 0}), [{"a": 1}, {"a": 2}])
    {'a': [1, 2]}
    """
    parts = pytree.flatten_up_to(outer, tree, "tree.transpose")
    if inner is None:
        inner = pytree.structure(parts[0])
    rows = [pytree.flatten_up_to(inner, part, "tree.transpose") for part in parts]
    columns = [pytree.unflatten(outer, column) for column in zip(*rows)]
    return pytree.unflatten(inner, columns)


def paths(tree: Any, is_leaf: IsLeaf = None) -> list[tuple[Any, ...]]:
    """For each leaf, the keys, indices and field names that lead to it.

    >>> paths({"a": [1, 2]})
    [('a', 0), ('a', 1)]
    """
    return pytree.key_paths(tree, is_leaf)


def flatten_with_path(
    tree: Any, is_leaf: IsLeaf = None
) -> tuple[list[tuple[tuple[Any, ...], Any]], TreeDef]:
    """Pairs of path and leaf, and the structure.

    >>> flatten_with_path({"a": 5})[0]
    [(('a',), 5)]
    """
    values, treedef = pytree.flatten(tree, is_leaf)
    return list(zip(pytree.key_paths(tree, is_leaf), values, strict=True)), treedef


def leaves_with_path(tree: Any, is_leaf: IsLeaf = None) -> list[tuple[tuple[Any, ...], Any]]:
    """Pairs of path and leaf.

    >>> leaves_with_path([7])
    [((0,), 7)]
    """
    return flatten_with_path(tree, is_leaf)[0]


def map_with_path(
    function: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None
) -> Any:
    """As `map`, with the leaf's path as first argument of `function`.

    >>> map_with_path(lambda path, x: (path, x), {"a": 1})
    {'a': (('a',), 1)}
    """
    values, treedef = pytree.flatten(tree, is_leaf)
    others = [pytree.flatten_up_to(treedef, r, "tree.map_with_path", tree) for r in rest]
    found = pytree.key_paths(tree, is_leaf)
    return pytree.unflatten(
        treedef, [function(*group) for group in zip(found, values, *others, strict=True)]
    )


def keystr(path: tuple[Any, ...], separator: str = ".") -> str:
    """A path as text: `layers.0.weight`.

    >>> keystr(("layers", 0, "weight"))
    'layers.0.weight'
    """
    return separator.join(str(key) for key in path)


def broadcast_prefix(prefix: Any, tree: Any) -> list[Any]:
    """The leaves of `prefix`, each repeated for all leaves of `tree` below its place.

    Raises `TreeError` when `prefix` is not a prefix of `tree`.

    >>> broadcast_prefix((0, None), ({"a": 1, "b": 2}, 3))
    [0, 0, None]
    """
    result: list[Any] = []
    is_none = lambda x: x is None  # noqa: E731
    heads, treedef = pytree.flatten(prefix, is_none)
    try:
        parts = treedef.flatten_up_to(tree)
    except (ValueError, TypeError, KeyError):
        raise TreeError(
            at_user_line(
                f"{prefix} is not a prefix of the tree: {pytree.difference(prefix, tree)}."
            )
        ) from None
    for head, part in zip(heads, parts, strict=True):
        result += [head] * len(pytree.leaves(part))
    return result


__all__ = [
    "TreeDef",
    "all",
    "broadcast_prefix",
    "flatten",
    "flatten_with_path",
    "keystr",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "paths",
    "reduce",
    "register_dataclass",
    "register_node",
    "structure",
    "transpose",
    "unflatten",
]
