"""Collating: one batch from a list of items.

Items are pytrees of one structure; the batch has that structure too, with each leaf stacked on a
new first axis. Results are NumPy arrays in memory of their own, made by `empty`, through which a
worker process has them written straight into memory that it shares with the main process. Depends
on `core`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TreeError

#: Makes an uninitialised array of a shape and dtype.
Empty = Callable[[tuple[int, ...], np.dtype], np.ndarray]


def _is_array(x: Any) -> bool:
    """Whether NumPy makes an array of `x` as it is: also a tensor of PyTorch or an array of JAX."""
    return isinstance(x, np.ndarray | np.generic | Array) or hasattr(x, "__dlpack__")


def default_collate(items: Sequence[Any], *, empty: Empty = np.empty) -> Any:
    """The items stacked leaf by leaf, as NumPy arrays with a first axis of size `len(items)`.

    Arrays, tensors of PyTorch and NumPy scalars keep their dtype; Python numbers become bool, int32
    (int64 where they do not fit), float32 or complex64; strings and bytes become lists. Raises
    `TreeError`, `ShapeError` or `DtypeError`, naming the leaf and the items, when the items do not
    fit together, and `DtypeError` for objects of other types.

    >>> default_collate([(np.zeros(2), 3, "a"), (np.ones(2), 4, "b")])
    (array([[0., 0.],
           [1., 1.]]), array([3, 4], dtype=int32), ['a', 'b'])
    """
    columns, treedef = _columns("default_collate", items)
    batch = []
    for number, column in enumerate(columns):
        if _is_array(column[0]):
            rows = _rows("default_collate", items, number, column)
            batch.append(_stack(items, number, rows, empty))
        else:
            batch.append(_plain("default_collate", items, number, column))
    return pytree.unflatten(treedef, batch)


def pad_collate(
    items: Sequence[Any],
    *,
    value: Any = 0,
    axis: int | Sequence[int] = 0,
    multiple: int = 1,
    empty: Empty = np.empty,
) -> Any:
    """As `default_collate`, with arrays padded at the end of `axis` to the largest of the batch.

    `value` fills the padding: a number, or a pytree of numbers with the structure of the items,
    such as `{"tokens": 0, "labels": -100}`. `axis` are the axes of an item that may differ in size.
    Sizes are rounded up to a multiple of `multiple`, so that a jitted step meets few different
    shapes. Leaves without axes are stacked as they are. With options, pass
    `functools.partial(pad_collate, ...)` to the loader. Raises as `default_collate` does.

    >>> pad_collate([np.array([1, 2, 3]), np.array([4])], value=-1, multiple=2)
    array([[ 1,  2,  3, -1],
           [ 4, -1, -1, -1]])
    """
    if not isinstance(multiple, int) or multiple < 1:
        raise ArgumentError(f"pad_collate: multiple must be a positive integer, not {multiple!r}.")
    columns, treedef = _columns("pad_collate", items)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if pytree.structure(value) == pytree.structure(0):
        values = [value] * len(columns)
    else:
        values = pytree.flatten_up_to(treedef, value, "pad_collate (value)", items[0])
    batch = []
    for number, column in enumerate(columns):
        if _is_array(column[0]):
            rows = _rows("pad_collate", items, number, column)
            padded = _pad(items, number, rows, values[number], axes, multiple, empty)
            batch.append(padded)
        else:
            batch.append(_plain("pad_collate", items, number, column))
    return pytree.unflatten(treedef, batch)


def _columns(operation: str, items: Sequence[Any]) -> tuple[list[list[Any]], Any]:
    """For each leaf its values in all items, and the structure of an item."""
    if not len(items):
        raise ArgumentError(f"{operation} takes at least one item.")
    first, treedef = pytree.flatten(items[0])
    columns = [[leaf] for leaf in first]
    for number in range(1, len(items)):
        leaves, structure = pytree.flatten(items[number])
        if structure != treedef:
            raise TreeError(
                f"{operation}: items 0 and {number} of the batch differ in structure: "
                f"{pytree.difference(items[0], items[number])}. "
                "Lists are containers: make them NumPy arrays (and use pad_collate)."
            )
        for column, leaf in zip(columns, leaves):
            column.append(leaf)
    return columns, treedef


def _place(items: Sequence[Any], number: int) -> str:
    """Where leaf `number` stands in an item, for messages: ` at ['image']`, or nothing."""
    path = pytree.paths(items[0])[number]
    return f" at {path}" if path else ""


def _rows(operation: str, items: Sequence[Any], number: int, column: list[Any]) -> list[np.ndarray]:
    """The values of a leaf as NumPy arrays of one dtype."""
    rows = []
    for i, x in enumerate(column):
        if not _is_array(x):
            raise DtypeError(
                f"{operation}: the items differ in type{_place(items, number)}: item 0 of the "
                f"batch has a {type(column[0]).__name__}, item {i} a {type(x).__name__}."
            )
        row = np.asarray(x)
        if rows and row.dtype != rows[0].dtype:
            raise DtypeError(
                f"{operation}: the items differ in dtype{_place(items, number)}: item 0 of the "
                f"batch has {rows[0].dtype}, item {i} {row.dtype}. "
                "Convert them to one dtype in the dataset."
            )
        rows.append(row)
    return rows


def _stack(items: Sequence[Any], number: int, rows: list[np.ndarray], empty: Empty) -> np.ndarray:
    shape = rows[0].shape
    for i, row in enumerate(rows):
        if row.shape != shape:
            raise ShapeError(
                f"default_collate: the items differ in shape{_place(items, number)}: item 0 of "
                f"the batch has {shape}, item {i} {row.shape}. Bring them to one shape in the "
                "dataset, or pass collate=rtfunc.data.pad_collate."
            )
    out = empty((len(rows), *shape), rows[0].dtype)
    for i, row in enumerate(rows):
        out[i] = row
    return out


def _pad(
    items: Sequence[Any],
    number: int,
    rows: list[np.ndarray],
    value: Any,
    axes: tuple[int, ...],
    multiple: int,
    empty: Empty,
) -> np.ndarray:
    ndim = rows[0].ndim
    padded = {axis % ndim for axis in axes if -ndim <= axis < ndim}
    fixed = [size for axis, size in enumerate(rows[0].shape) if axis not in padded]
    for i, row in enumerate(rows):
        sizes = [size for axis, size in enumerate(row.shape) if axis not in padded]
        if row.ndim != ndim or sizes != fixed:
            raise ShapeError(
                f"pad_collate: the items differ{_place(items, number)} in other axes than "
                f"{sorted(padded)}, which are padded: item 0 of the batch has shape "
                f"{rows[0].shape}, item {i} {row.shape}. Name all axes to pad in axis=."
            )
    largest = [max(row.shape[axis] for row in rows) for axis in range(ndim)]
    shape = [
        math.ceil(size / multiple) * multiple if axis in padded else size
        for axis, size in enumerate(largest)
    ]
    out = empty((len(rows), *shape), rows[0].dtype)
    for i, row in enumerate(rows):
        if row.shape != out.shape[1:]:
            out[i] = value
        out[(i, *(slice(size) for size in row.shape))] = row
    return out


_scalar_dtypes = {bool: dtypes.bool_, float: dtypes.float32, complex: dtypes.complex64}


def _plain(operation: str, items: Sequence[Any], number: int, column: list[Any]) -> Any:
    """A batch of values that are not arrays: a list of strings, or an array of Python numbers."""
    types = {type(x) for x in column}
    if types <= {str} or types <= {bytes}:
        return column
    if types <= {int}:
        widest = max(abs(x + (x < 0)) for x in column)  # of negative numbers one more fits
        if widest >= 2**63:
            i = next(i for i, x in enumerate(column) if abs(x + (x < 0)) == widest)
            raise DtypeError(
                f"{operation}: the integer of item {i} of the batch{_place(items, number)} does not "
                f"fit 64 bits: {column[i]}."
            )
        return np.array(column, dtypes.int32 if widest < 2**31 else dtypes.int64)
    if types <= {int, float} or types <= {bool} or types <= {int, float, complex}:
        widest = next(t for t in (complex, float, bool) if t in types)
        return np.array(column, _scalar_dtypes[widest])
    if len(types) > 1:
        i = next(i for i, x in enumerate(column) if type(x) is not type(column[0]))
        raise DtypeError(
            f"{operation}: the items differ in type{_place(items, number)}: item 0 of the "
            f"batch has a {type(column[0]).__name__}, item {i} a {type(column[i]).__name__}."
        )
    name = f"{type(column[0]).__module__}.{type(column[0]).__qualname__}"
    raise DtypeError(
        f"{operation} makes batches of arrays, numbers and strings, but the items hold a "
        f"{name.removeprefix('builtins.')}{_place(items, number)}. Convert it in the dataset "
        "(an image with numpy.asarray), or pass a collate function of your own."
    )
