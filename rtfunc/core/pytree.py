"""Pytrees: nested containers of leaves, on optree.

Tuples, lists, dicts (in sorted key order), OrderedDicts, named tuples, deques, None (an empty node)
and registered types are containers; everything else is a leaf. `rtfunc.tree` is the public face.
Depends on optree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import optree

from rtfunc.core.errors import TreeError, at_user_line

NAMESPACE = "rtfunc"
TreeDef: TypeAlias = optree.PyTreeSpec
T = TypeVar("T")


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeDef]:
    """The leaves of `tree` in order, and its structure."""
    return optree.tree_flatten(tree, is_leaf, namespace=NAMESPACE)


def unflatten(treedef: TreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of structure `treedef` with the given leaves."""
    return optree.tree_unflatten(treedef, leaves)


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of `tree` in order."""
    return optree.tree_leaves(tree, is_leaf, namespace=NAMESPACE)


def structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeDef:
    """The structure of `tree`."""
    return optree.tree_structure(tree, is_leaf, namespace=NAMESPACE)


def map(function: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Any = None) -> Any:
    """`function` applied to corresponding leaves; `rest` may have trees where `tree` has leaves.

    Raises `TreeError` naming the place at which the structures differ.
    """
    values, treedef = flatten(tree, is_leaf)
    others = [flatten_up_to(treedef, other, "tree.map", tree) for other in rest]
    return unflatten(treedef, [function(*group) for group in zip(values, *others, strict=True)])


def flatten_up_to(
    treedef: TreeDef,
    tree: Any,
    operation: str,
    like: Any = None,
    names: tuple[str, str] = ("the first", "the second"),
) -> list[Any]:
    """The subtrees of `tree` at the places where `treedef` has leaves.

    Raises `TreeError` where there are none; with `like`, a tree of structure `treedef`, it says
    where, with `names` for `like` and `tree`.
    """
    try:
        return treedef.flatten_up_to(tree)
    except (ValueError, TypeError, KeyError):
        detail = "" if like is None else difference(like, tree, names)
        raise TreeError(
            at_user_line(
                f"{operation}: the trees have different structures"
                + (f": {detail}." if detail else f", {treedef} and {structure(tree)}.")
            )
        ) from None


def paths(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[str]:
    """For each leaf, where it stands, as it would be written in Python: `['w'][0].bias`."""
    accessors = optree.tree_accessors(tree, is_leaf, namespace=NAMESPACE)
    return [accessor.codify("") for accessor in accessors]


def key_paths(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[tuple[Any, ...]]:
    """For each leaf, the keys, indices and field names that lead to it."""
    return list(optree.tree_paths(tree, is_leaf, namespace=NAMESPACE))


def difference(a: Any, b: Any, names: tuple[str, str] = ("the first", "the second")) -> str:
    """Where the structures of two trees first differ, in words; empty when they are equal."""
    return _difference(a, b, "", names)


def _difference(a: Any, b: Any, path: str, names: tuple[str, str]) -> str:
    if structure(a) == structure(b):
        return ""
    here = f"at {path}" if path else "at the top"
    one, two = _children(a), _children(b)
    if one is None or two is None or type(a) is not type(b):
        return f"{here}, {_describe(a)} does not match {_describe(b)}"
    if list(one) != list(two):
        missing = [k for k in one if k not in two]
        added = [k for k in two if k not in one]
        return f"{here}, " + " and ".join(
            text
            for text, found in (
                (f"{names[1]} lacks {', '.join(missing)}", missing),
                (f"{names[0]} lacks {', '.join(added)}", added),
            )
            if found
        )
    for key in one:
        found = _difference(one[key], two[key], path + key, names)
        if found:
            return found
    return f"{here}, {_describe(a)} does not match {_describe(b)}"


def _children(tree: Any) -> dict[str, Any] | None:
    """The immediate children by their path, or None for a leaf."""
    children = optree.tree_leaves(tree, lambda x: x is not tree, namespace=NAMESPACE)
    if len(children) == 1 and children[0] is tree:
        return None
    accessors = optree.tree_accessors(tree, lambda x: x is not tree, namespace=NAMESPACE)
    return {a.codify(""): child for a, child in zip(accessors, children)}


def _describe(x: Any) -> str:
    if x is None:
        return "None"
    if _children(x) is None:
        return f"a leaf ({type(x).__name__})"
    return f"a {type(x).__name__} of {len(_children(x) or ())}"


def register_node(
    cls: type[T],
    flatten_function: Callable[[T], tuple[Iterable[Any], Any]],
    unflatten_function: Callable[[Any, Sequence[Any]], T],
) -> None:
    """Make `cls` a container: `flatten_function(x) -> (children, static data)` and its inverse
    `unflatten_function(static data, children)`."""
    # optree declares containers to be collections of leaves; what is registered need not be one.
    register: Any = optree.register_pytree_node
    register(cls, flatten_function, unflatten_function, namespace=NAMESPACE)


def register_dataclass(
    cls: type[T], data_fields: Sequence[str] | None = None, static_fields: Sequence[str] = ()
) -> type[T]:
    """Make a dataclass a container of its `data_fields`; `static_fields` belong to the structure.

    By default all fields are data, except those declared with `field(metadata={"static": True})`.
    Usable as a decorator.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    static = set(static_fields) | {f.name for f in fields if f.metadata.get("static")}
    data = tuple(data_fields or (f.name for f in fields if f.name not in static))
    fixed = tuple(name for name in (f.name for f in fields) if name not in data)

    def flatten_function(x: T) -> tuple[Any, Any, Any]:
        children = tuple(getattr(x, name) for name in data)
        return children, tuple(getattr(x, name) for name in fixed), data

    def unflatten_function(values: Any, children: Sequence[Any]) -> T:
        x = object.__new__(cls)
        for name, value in (*zip(data, children), *zip(fixed, values)):
            object.__setattr__(x, name, value)
        return x

    register: Any = optree.register_pytree_node
    register(
        cls,
        flatten_function,
        unflatten_function,
        path_entry_type=optree.DataclassEntry,
        namespace=NAMESPACE,
    )
    return cls
