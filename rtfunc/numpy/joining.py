"""Joining arrays and taking them apart: concatenate, stack, block, split, append, insert, delete.

Depends on `shape` and `ops.pad_slice`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import ArgumentError, DtypeError, IndexingError, ShapeError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.numpy.arguments import as_integer, as_sequence
from rtfunc.numpy.creation import asarray, promote_elements
from rtfunc.numpy.index_expressions import index
from rtfunc.numpy.shape import atleast_1d, atleast_2d, atleast_3d, broadcast_to, expand_dims, ravel
from rtfunc.ops.convert import owned_array
from rtfunc.ops.pad_slice import concatenate_p, slice_
from rtfunc.ops.shape import normalize_axis, reshape_p


def _arrays(operation: str, arrays: Any, dtype: DtypeLike = None) -> list[Array]:
    """The operands of a joining function in `dtype`, or in their common one.

    An array stands for its parts along the first axis.
    """
    if isinstance(arrays, (Array, np.ndarray)):
        if not arrays.ndim:
            raise ShapeError(at_user_line(f"{operation} takes a sequence of arrays."))
        arrays = [arrays[i] for i in range(arrays.shape[0])]
    members = as_sequence(operation, "arrays", arrays)
    if not members:
        raise ArgumentError(at_user_line(f"{operation} needs at least one array."))
    return promote_elements(operation, members, None if dtype is None else as_dtype(dtype))


def concatenate(
    arrays: Sequence[ArrayLike] | ArrayLike, axis: int | None = 0, dtype: DtypeLike = None
) -> Array:
    """The arrays one after the other along an axis that they have (None: flattened first).

    Raises `ShapeError` where their other sizes differ.

    >>> concatenate([np.array([1, 2], "int32"), np.array([3], "int32")])
    Array([1, 2, 3], dtype=int32)
    """
    found = _arrays("concatenate", arrays, dtype)
    if axis is None:
        found, axis = [ravel(x) for x in found], 0
    return _joined("concatenate", found, axis)


concat = concatenate


def _joined(operation: str, arrays: Sequence[Array], axis: int) -> Array:
    first = arrays[0]
    if not first.ndim:
        raise ShapeError(
            at_user_line(f"{operation}: 0-d arrays have no axis to join along. Use stack.")
        )
    number = normalize_axis(operation, axis, first.ndim)
    rest = first.shape[:number] + first.shape[number + 1 :]
    for x in arrays:
        if x.ndim != first.ndim or x.shape[:number] + x.shape[number + 1 :] != rest:
            raise ShapeError(
                at_user_line(
                    f"{operation} along axis {number}: the shapes "
                    f"{', '.join(str(a.shape) for a in arrays)} differ elsewhere. "
                    "All sizes but that one must be equal."
                )
            )
    if len(arrays) == 1:
        return first
    return concatenate_p.bind(*arrays, axis=number)


def stack(
    arrays: Sequence[ArrayLike] | ArrayLike,
    axis: int = 0,
    out: None = None,
    dtype: DtypeLike = None,
) -> Array:
    """Arrays of one shape side by side along a new axis.

    >>> stack([np.array([1, 2], "int32"), np.array([3, 4], "int32")], axis=1)
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    found = _arrays("stack", arrays, dtype)
    shape = found[0].shape
    if any(x.shape != shape for x in found):
        raise ShapeError(
            at_user_line(
                f"stack takes arrays of one shape, not {', '.join(str(x.shape) for x in found)}."
            )
        )
    number = normalize_axis("stack", axis, len(shape) + 1)
    sizes = (*shape[:number], 1, *shape[number:])
    return _joined("stack", [reshape_p.bind(x, shape=sizes) for x in found], number)


def vstack(arrays: Sequence[ArrayLike] | ArrayLike, dtype: DtypeLike = None) -> Array:
    """The arrays below each other; 1-d arrays are rows.

    >>> vstack([np.array([1, 2], "int32"), np.array([3, 4], "int32")])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    return concatenate([atleast_2d(x) for x in _arrays("vstack", arrays, dtype)], 0)


def hstack(arrays: Sequence[ArrayLike] | ArrayLike, dtype: DtypeLike = None) -> Array:
    """The arrays beside each other, along the second axis (the first for 1-d arrays).

    >>> hstack([np.array([1, 2], "int32"), np.array([3], "int32")])
    Array([1, 2, 3], dtype=int32)
    """
    found = [atleast_1d(x) for x in _arrays("hstack", arrays, dtype)]
    return concatenate(found, 0 if found[0].ndim == 1 else 1)


def dstack(arrays: Sequence[ArrayLike] | ArrayLike, dtype: DtypeLike = None) -> Array:
    """The arrays behind each other, along the third axis.

    >>> dstack([np.zeros((2, 3)), np.zeros((2, 3))]).shape
    (2, 3, 2)
    """
    return concatenate([atleast_3d(x) for x in _arrays("dstack", arrays, dtype)], 2)


def column_stack(arrays: Sequence[ArrayLike] | ArrayLike) -> Array:
    """The arrays beside each other; 1-d arrays are columns.

    >>> column_stack([np.array([1, 2], "int32"), np.array([3, 4], "int32")])
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    found = _arrays("column_stack", arrays)
    return concatenate([expand_dims(ravel(x), 1) if x.ndim < 2 else x for x in found], 1)


def block(arrays: Any) -> Array:
    """An array from nested lists of blocks: the innermost lists are joined along the last axis.

    >>> block([[np.ones((1, 1), "int32"), np.zeros((1, 2), "int32")]])
    Array([[1, 0, 0]], dtype=int32)
    """
    depth = _depth(arrays)
    members = promote_elements("block", _leaves(arrays))
    ndim = max(depth, *(x.ndim for x in members))
    in_order = iter(members)

    def join(part: Any, axis: int) -> Array:
        if isinstance(part, list):
            return concatenate([join(x, axis + 1) for x in part], axis)
        x = next(in_order)
        return reshape_p.bind(x, shape=(1,) * (ndim - x.ndim) + x.shape) if x.ndim < ndim else x

    return join(arrays, -depth)


def _depth(arrays: Any) -> int:
    if not isinstance(arrays, list):
        if isinstance(arrays, tuple):
            raise ArgumentError(at_user_line("block takes nested lists, not tuples."))
        return 0
    depths = {_depth(x) for x in arrays}
    if len(depths) != 1:
        raise ArgumentError(
            at_user_line("block: the lists must not be empty and all be nested equally deep.")
        )
    return depths.pop() + 1


def _leaves(arrays: Any) -> list[Any]:
    if isinstance(arrays, list):
        return [leaf for part in arrays for leaf in _leaves(part)]
    return [arrays]


# Splitting


def split(
    x: ArrayLike, indices_or_sections: int | Sequence[int] | ArrayLike, axis: int = 0
) -> list[Array]:
    """`x` in equal parts along `axis`, or cut at the given indices.

    Raises `ShapeError` where a number of parts does not divide the size (`array_split` takes it).

    >>> split(np.arange(4, dtype="int32"), 2)
    [Array([0, 1], dtype=int32), Array([2, 3], dtype=int32)]
    """
    return _parts("split", x, indices_or_sections, axis, equal=True)


def array_split(
    x: ArrayLike, indices_or_sections: int | Sequence[int] | ArrayLike, axis: int = 0
) -> list[Array]:
    """As `split`, but where the parts cannot be equal the first ones are larger by one.

    >>> [len(part) for part in array_split(np.arange(5), 2)]
    [3, 2]
    """
    return _parts("array_split", x, indices_or_sections, axis, equal=False)


def _parts(operation: str, x: Any, sections: Any, axis: int, equal: bool) -> list[Array]:
    x = owned_array(operation, x)
    number = normalize_axis(operation, axis, x.ndim)
    size = x.shape[number]
    if isinstance(sections, (int, np.integer)) or (
        isinstance(sections, (Array, np.ndarray)) and not sections.ndim
    ):
        count = int(sections)
        if count < 1:
            raise ArgumentError(at_user_line(f"{operation} into {count} parts is not possible."))
        if equal and size % count:
            raise ShapeError(
                at_user_line(
                    f"split: {count} equal parts of size {size} (axis {number} of {x.shape}) are "
                    "not possible. Use array_split for unequal ones."
                )
            )
        small, larger = divmod(size, count)
        cuts = np.cumsum([0] + [small + 1] * larger + [small] * (count - larger)).tolist()
    else:
        given = as_sequence(operation, "places to cut at, or their number,", sections)
        cuts = [0, *(as_integer(operation, "a place to cut at", i) for i in given), size]
    parts = []
    for start, stop in itertools.pairwise(cuts):
        start, stop, _ = slice(start, stop).indices(size)
        low, high = [0] * x.ndim, list(x.shape)
        low[number], high[number] = start, max(start, stop)
        parts.append(slice_(x, tuple(low), tuple(high)))
    return parts


def vsplit(x: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """As `split` along the first axis.

    >>> len(vsplit(np.zeros((4, 2)), 2))
    2
    """
    return split(x, indices_or_sections, 0)


def hsplit(x: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """As `split` along the second axis (the first of 1-d arrays).

    >>> len(hsplit(np.zeros((4, 2)), 2))
    2
    """
    x = owned_array("hsplit", x)
    return split(x, indices_or_sections, 0 if x.ndim == 1 else 1)


def dsplit(x: ArrayLike, indices_or_sections: Any) -> list[Array]:
    """As `split` along the third axis.

    >>> len(dsplit(np.zeros((1, 1, 4)), 2))
    2
    """
    return split(x, indices_or_sections, 2)


# Adding and removing elements


def append(x: ArrayLike, values: ArrayLike, axis: int | None = None) -> Array:
    """`values` after `x` along `axis` (both flattened by default).

    >>> append(np.array([1, 2], "int32"), np.array([3], "int32"))
    Array([1, 2, 3], dtype=int32)
    """
    return concatenate([x, values], axis)


def _known_places(operation: str, places: Any, size: int) -> np.ndarray:
    """Indices as a concrete integer array; booleans as where they are true."""
    if isinstance(places, slice):
        return np.arange(size)[places]
    if isinstance(places, Tracer):
        raise ArgumentError(
            at_user_line(
                f"{operation}: the size of the result follows from the indices, which are traced. "
                "Make them a static argument."
            )
        )
    known = np.asarray(places)
    if known.size == 0:
        known = known.astype(np.int64)
    if known.dtype == np.bool_:
        if known.shape != (size,):
            raise IndexingError(
                at_user_line(f"{operation}: a mask of shape {known.shape} on an axis of {size}.")
            )
        known = np.flatnonzero(known)
    if known.dtype.kind not in "iu":
        raise DtypeError(at_user_line(f"{operation} takes integer indices, not {known.dtype}."))
    return known


def _checked(operation: str, places: np.ndarray, size: int, limit: int) -> np.ndarray:
    bad = places[(places < -size) | (places >= limit)]
    if bad.size:
        raise IndexingError(
            at_user_line(
                f"{operation}: index {bad[0]} is out of bounds for an axis of size {size}."
            )
        )
    return np.where(places < 0, places + size, places)


def delete(
    x: ArrayLike, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False
) -> Array:
    """`x` without the elements at the indices `obj` (int, slice, list, mask) along `axis`.

    `assume_unique_indices` is a hint of JAX's, which is not needed here.

    >>> delete(np.array([10, 20, 30], "int32"), 1)
    Array([10, 30], dtype=int32)
    """
    x = owned_array("delete", x)
    if axis is None:
        x, axis = ravel(x), 0
    number = normalize_axis("delete", axis, x.ndim)
    size = x.shape[number]
    places = _known_places("delete", obj, size).reshape(-1)
    kept = np.setdiff1d(np.arange(size), _checked("delete", places, size, size))
    return index(x, (*(slice(None),) * number, kept))


def insert(x: ArrayLike, obj: Any, values: ArrayLike, axis: int | None = None) -> Array:
    """`values` put into `x` before the indices `obj` along `axis` (of the flat array by default).

    >>> insert(np.array([1, 3], "int32"), 1, 2)
    Array([1, 2, 3], dtype=int32)
    """
    x = owned_array("insert", x)
    if axis is None:
        x, axis = ravel(x), 0
    number = normalize_axis("insert", axis, x.ndim)
    size = x.shape[number]
    known = _known_places("insert", obj, size)
    places = _checked("insert", known.reshape(-1), size, size + 1)
    new = asarray(values, x.dtype)
    if known.ndim == 0:
        # As in NumPy: for one index, the values' first axis is the one that is inserted.
        new = reshape_p.bind(new, shape=(1,) * (x.ndim - new.ndim) + new.shape)
        order = list(range(1, x.ndim))
        order.insert(number, 0)
        new = new.transpose(order)
        places = np.repeat(places, new.shape[number])
        count = new.shape[number]
    else:
        count = places.size
    shape = (*x.shape[:number], count, *x.shape[number + 1 :])
    new = broadcast_to(new, shape)
    # Of all elements, old and new, in the order of their places (new ones before old ones).
    keys = np.concatenate([2 * np.arange(size) + 1, 2 * places])
    order = np.argsort(keys, kind="stable")
    return index(concatenate([x, new], number), (*(slice(None),) * number, order))
