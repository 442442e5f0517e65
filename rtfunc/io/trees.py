"""Pytrees in safetensors files: any tree of arrays and plain values, with its structure.

The arrays are the tensors of the file, under dotted names such as `layers.0.weight`, so that other
programs can read them. The structure is a JSON text in the file's metadata that mirrors the
containers, with plain values in place. Types that only Python code can make again (named tuples,
registered dataclasses) come back through an example tree, `like`. Depends on `safetensors`.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import optree

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array, device_put_buffer
from rtfunc.core.aval import Aval
from rtfunc.core.device import cpu
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    TreeError,
    at_user_line,
)
from rtfunc.io import safetensors
from rtfunc.io.files import FileFormatError, KeyHashes, PathLike

#: The entry of a file's metadata that holds the structure.
STRUCTURE = "rtfunc.tree"
_MAX_DEPTH = 200

#: What safetensors has no dtype for, and the dtype of the same bytes under which it is stored.
_STORED_AS = {
    np.dtype(np.complex128): np.dtype(np.float64),  # with one axis more, of size 2
    dtypes.float8_e4m3b11fnuz: np.dtype(np.uint8),
}


def save(tree: Any, path: PathLike, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a pytree to a safetensors file, which is replaced as a whole or not at all.

    Arguments:
      tree: Arrays, NumPy arrays and scalars of any dtype that Arrays have, Python's numbers, None,
        str and bytes, in dicts (their keys text, numbers or None), lists, tuples, and the other
        containers of pytrees, nested as you like.
      path: the file.
      metadata: text by name that goes with it; `read_metadata` returns it.

    Raises `DtypeError` for a leaf that cannot be stored, saying where it is; `ArgumentError` for a
    tree that nests deeper than 200; `OSError` when the file cannot be written.

    >>> import os, tempfile
    >>> from rtfunc import io
    >>> import rtfunc.numpy as rnp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     io.save({"layers": [rnp.ones(2), None], "name": "small"}, path)
    ...     io.load(path)
    {'layers': [Array([1., 1.], dtype=float32), None], 'name': 'small'}
    """
    text = dict(metadata or {})
    if STRUCTURE in text:
        raise ArgumentError(at_user_line(f"io.save: the metadata cannot have a {STRUCTURE!r}."))
    structure, tensors = describe("io.save", tree)
    text[STRUCTURE] = json.dumps(structure, separators=(",", ":"))
    safetensors.write(tensors, path, text)


def load(path: PathLike, like: Any = None, *, mmap: bool = True) -> Any:
    """Read what `save` wrote, or any other safetensors file; the arrays are Arrays.

    Arguments:
      path: the file.
      like: a tree with the structure that the result shall have, of arrays or ShapeDtypeStructs,
        whose shapes and dtypes are checked. It makes named tuples and registered containers come
        back as what they were; without it they are dicts of their fields. A file of another program
        is a dict of arrays by name, and with `like` the names are matched with the tree's, dotted.
        Arrays are put on the devices of those in `like`.
      mmap: let the arrays share the memory-mapped file, which is then read where and when they are
        looked at and must not be written to meanwhile (it may be replaced: `save` does that).

    Raises `FileFormatError` for a file that is damaged or not a safetensors file; `TreeError`,
    `ShapeError` or `DtypeError`, naming the places, where it does not fit `like`; `OSError` when it
    cannot be read.

    >>> import os, tempfile
    >>> from rtfunc import io, optim
    >>> import rtfunc.numpy as rnp
    >>> state = optim.adam(1e-3).init({"w": rnp.ones(2)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "optimizer.safetensors")
    ...     io.save(state, path)
    ...     type(io.load(path, like=state)[0]).__name__
    'AdamState'
    """
    tensors, metadata = safetensors.read(path, mmap)
    structure = metadata.get(STRUCTURE)
    try:
        if structure is None:
            saved: Any = _from_names(tensors, like)
        else:
            saved = parse(structure, tensors)
        return rebuild("io.load", saved, like)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from None


def read_metadata(path: PathLike) -> dict[str, str]:
    """The text that was saved with a file, read without its arrays.

    Raises `FileFormatError` for a damaged file and `OSError` for one that cannot be read.

    >>> import os, tempfile
    >>> from rtfunc import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "empty.safetensors")
    ...     io.save({}, path, metadata={"author": "me"})
    ...     io.read_metadata(path)
    {'author': 'me'}
    """
    metadata = safetensors.read_metadata(path)
    metadata.pop(STRUCTURE, None)
    return metadata


# From a tree to its description.


class _Leaf(NamedTuple):
    """What was stored of a leaf: an array and whether it was weak, or a plain value."""

    value: Any
    weak: bool = False


class _Node(NamedTuple):
    """What was stored of a container: its kind, and its children by their keys."""

    kind: str
    children: dict[Any, Any]


_KEYS = (str, int, float, bool, type(None))
_KINDS: dict[type, str] = {
    dict: "dict",
    OrderedDict: "OrderedDict",
    list: "list",
    tuple: "tuple",
    deque: "deque",
}
_PLAIN = (bool, int, float, complex, str, bytes)


def children_of(tree: Any) -> dict[Any, Any] | None:
    """The children of a container by their keys, field names or numbers; None for a leaf."""
    if isinstance(tree, dict):
        return dict(tree)
    if tree is None:
        return {}
    if not optree.tree_is_leaf(tree, namespace=pytree.NAMESPACE):
        parts = optree.tree_flatten_one_level(tree, namespace=pytree.NAMESPACE)
        return dict(zip(getattr(tree, "_fields", parts[2]), parts[0]))
    return None


def describe(operation: str, tree: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """A description of the tree that JSON can hold, and its arrays by name.

    Arrays are not copied, except NumPy arrays that somebody could write to.
    """
    tensors: dict[str, np.ndarray] = {}

    def visit(node: Any, path: tuple[Any, ...]) -> Any:
        if node is None:
            return None
        if len(path) > _MAX_DEPTH:
            raise ArgumentError(
                at_user_line(f"{operation}: the tree nests deeper than {_MAX_DEPTH}.")
            )
        children = children_of(node)
        if children is None:
            return leaf(node, path)
        for key in children:
            if type(key) not in _KEYS:
                raise DtypeError(
                    at_user_line(
                        f"{operation}: the dict{_at(path)} has the key {key!r:.80}, but files hold "
                        "keys that are text, numbers or None."
                    )
                )
        parts = [[key, visit(child, (*path, key))] for key, child in children.items()]
        kind = _KINDS.get(type(node))
        if kind in ("list", "tuple", "deque"):
            return {kind: [part for _, part in parts]}
        return {kind or "fields": parts}

    def leaf(value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, _PLAIN) and not isinstance(value, np.generic):
            return _plain_description(value)
        if not isinstance(value, Array | np.ndarray | np.generic):
            raise DtypeError(
                at_user_line(
                    f"{operation}: the leaf{_at(path)} is a {type(value).__name__}; files hold "
                    "arrays, numbers, text, bytes and None."
                )
            )
        array = np.asarray(value)
        dtype = array.dtype.newbyteorder("=")
        if dtype not in dtypes.storable and dtype not in _STORED_AS:
            raise DtypeError(
                at_user_line(f"{operation}: the array{_at(path)} has the dtype {array.dtype}.")
            )
        if isinstance(value, np.ndarray) and value.flags.writeable:
            array = array.copy()
        name = ".".join(map(str, path)) or "value"
        if name == "__metadata__" or name in tensors:  # as of {"a.b": x, "a": {"b": y}}
            name = next(
                n for i in range(2, len(tensors) + 3) if (n := f"{name}#{i}") not in tensors
            )
        found: dict[str, Any] = {"array": name}
        if dtype in _STORED_AS:
            found["dtype"] = dtype.name
            shape = (*array.shape, 2) if dtype.kind == "c" else array.shape
            array = np.ascontiguousarray(array, dtype).view(_STORED_AS[dtype]).reshape(shape)
        if isinstance(value, Array) and value.weak_type:
            found["weak"] = True
        tensors[name] = array
        return found

    return visit(tree, ()), tensors


def _at(path: tuple[Any, ...]) -> str:
    return f" at {'.'.join(map(str, path))}" if path else ""


def _plain_description(value: Any) -> Any:
    """Numbers are text in base 16, which is exact, unbounded, and has words for infinity."""
    if isinstance(value, bool):
        return {"bool": bool(value)}
    if isinstance(value, int):
        return {"int": hex(value)}
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, complex):
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, str):
        return {"str": str(value)}
    return {"bytes": bytes(value).hex()}


# From a description to a tree.


def parse(text: str, tensors: Mapping[str, np.ndarray]) -> Any:
    """The stored tree of a description, as `_Node`s and `_Leaf`s; `FileFormatError` if malformed."""
    try:
        structure = json.loads(text)
        return _parsed(structure, tensors, 0)
    except FileFormatError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise FileFormatError(f"the structure of the tree is malformed: {error!s:.200}") from None


def _parsed(node: Any, tensors: Mapping[str, np.ndarray], depth: int) -> Any:
    if node is None:
        return _Node("None", {})
    if depth > _MAX_DEPTH or type(node) is not dict or not node:
        raise FileFormatError("the structure of the tree is malformed")
    kind, content = next(iter(node.items()))
    if kind == "array":
        return _parsed_array(node, tensors)
    if len(node) != 1:
        raise FileFormatError("the structure of the tree is malformed")
    if kind in ("list", "tuple", "deque"):
        if type(content) is not list:
            raise FileFormatError("the structure of the tree is malformed")
        parts = [_parsed(part, tensors, depth + 1) for part in content]
        return _Node(kind, dict(enumerate(parts)))
    if kind in ("dict", "OrderedDict", "fields"):
        children = {}
        hashes = KeyHashes()
        for key, part in content:
            if type(key) not in _KEYS:
                raise FileFormatError("the structure of the tree has an unsuitable key")
            hashes.add(key)
            if key in children:
                raise FileFormatError("the structure of the tree has an unsuitable key")
            children[key] = _parsed(part, tensors, depth + 1)
        return _Node(kind, children)
    if kind not in _PLAIN_PARSERS:
        raise FileFormatError(f"the structure of the tree has an unknown {kind!r:.50}")
    return _Leaf(_PLAIN_PARSERS[kind](content))


_PLAIN_PARSERS: dict[str, Any] = {
    "bool": bool,
    "int": lambda text: int(text, 16),
    "float": float.fromhex,
    "complex": lambda parts: complex(*map(float.fromhex, parts)),
    "str": str,
    "bytes": bytes.fromhex,
}


def _parsed_array(node: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> _Leaf:
    name = node["array"]
    if type(name) is not str or name not in tensors:
        raise FileFormatError(f"the tree has an array {name!r:.100}, which the file does not hold")
    array = tensors[name]
    if "dtype" in node:
        dtype = next((d for d in _STORED_AS if d.name == node["dtype"]), None)
        pairs = dtype is not None and dtype.kind == "c"
        if (
            dtype is None
            or array.dtype != _STORED_AS[dtype]
            or (pairs and array.shape[-1:] != (2,))
        ):
            raise FileFormatError(f"the array {name!r:.100} is not stored as its dtype asks for")
        array = array.view(dtype).reshape(array.shape[:-1] if pairs else array.shape)
    return _Leaf(array, node.get("weak") is True)


def _from_names(tensors: Mapping[str, np.ndarray], like: Any) -> Any:
    """The stored tree of a file without a structure: flat, or nested as the names of `like` are."""
    if like is None:
        return _Node("dict", {name: _Leaf(array) for name, array in tensors.items()})
    taken = set()

    def visit(node: Any, path: tuple[Any, ...]) -> Any:
        children = children_of(node)
        if children is not None:
            parts = {key: visit(child, (*path, key)) for key, child in children.items()}
            return _Node("fields", {k: part for k, part in parts.items() if part is not None})
        name = ".".join(map(str, path))
        taken.add(name)
        return _Leaf(tensors[name]) if name in tensors else None

    tree = visit(like, ())
    if isinstance(tree, _Node):
        tree.children.update({n: _Leaf(a) for n, a in tensors.items() if n not in taken})
    return tree


_CONTAINERS: dict[str, Any] = {
    "dict": dict,
    "fields": dict,
    "OrderedDict": OrderedDict,
    "list": lambda children: list(children.values()),
    "tuple": lambda children: tuple(children.values()),
    "deque": lambda children: deque(children.values()),
    "None": lambda children: None,
}


def rebuild(operation: str, saved: Any, like: Any = None) -> Any:
    """The tree of what `parse` returned, with the structure of `like` where it is given."""
    if like is None:
        return _rebuilt(saved)
    faults: list[tuple[type[Exception], str]] = []
    tree = _fitted(saved, like, (), faults)
    if faults:
        kind = next((k for k, _ in faults if k is TreeError), faults[0][0])
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise kind(
            at_user_line(
                f"{operation}: the file does not fit `like`: "
                + "; ".join(text for _, text in faults[:8])
                + more
                + "."
            )
        )
    return tree


def _rebuilt(saved: Any) -> Any:
    if isinstance(saved, _Node):
        return _CONTAINERS[saved.kind]({k: _rebuilt(part) for k, part in saved.children.items()})
    if isinstance(saved.value, np.ndarray):
        return _array(saved) if saved.value.dtype in dtypes.storable else saved.value
    return saved.value


def _array(saved: _Leaf) -> Array:
    return Array(saved.value, saved.weak)


def _fitted(saved: Any, like: Any, path: tuple[Any, ...], faults: list[Any]) -> Any:
    """`saved` in the structure of `like`; what does not fit is added to `faults`."""
    place = ".".join(map(str, path)) or "the tree"
    children = children_of(like)
    if (children is None) != isinstance(saved, _Leaf):
        one, other = ("a leaf", "a container")[:: -1 if children is None else 1]
        faults.append((TreeError, f"{place} is {one} in the file and {other} in `like`"))
        return like
    if children is not None:
        for key in saved.children:
            if key not in children:
                faults.append((TreeError, f"{'.'.join(map(str, (*path, key)))} is unexpected"))
        made = {}
        for key, child in children.items():
            if key in saved.children:
                made[key] = _fitted(saved.children[key], child, (*path, key), faults)
            elif child is None:
                made[key] = None
            else:
                faults.append((TreeError, f"{'.'.join(map(str, (*path, key)))} is missing"))
        return like if faults else _like_container(like, made)
    value = saved.value
    if isinstance(like, Array | np.ndarray | np.generic | Aval):
        if not isinstance(value, np.ndarray):
            faults.append((TreeError, f"{place} is a {type(value).__name__} and not an array"))
        elif tuple(value.shape) != tuple(like.shape):
            faults.append(
                (ShapeError, f"{place} has shape {value.shape} and not {tuple(like.shape)}")
            )
        elif value.dtype != like.dtype:
            faults.append((DtypeError, f"{place} has dtype {value.dtype} and not {like.dtype}"))
        else:
            device = like.device if isinstance(like, Array) else cpu
            array = _array(saved)
            return array if device == cpu else Array(device_put_buffer(value, device), saved.weak)
        return like
    if isinstance(value, np.ndarray):
        faults.append((TreeError, f"{place} is an array and not a {type(like).__name__}"))
    return value


def _like_container(like: Any, children: dict[Any, Any]) -> Any:
    """A container as `like` with other children, which stand under the same keys."""
    if like is None:
        return None
    parts = optree.tree_flatten_one_level(like, namespace=pytree.NAMESPACE)
    keys = getattr(like, "_fields", parts[2])
    return parts[3](parts[1], [children[key] for key in keys])
