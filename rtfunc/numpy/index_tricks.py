"""Index arrays of diagonals and triangles, and objects that are indexed to make indices or arrays.

Their values depend on sizes only, so the results are constants, also in traced code. Depends on
`joining`, `ranges` and `positions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.creation import asarray, promote_elements
from rtfunc.numpy.joining import concatenate
from rtfunc.numpy.ranges import slice_range
from rtfunc.numpy.shape import moveaxis
from rtfunc.ops.convert import as_array
from rtfunc.ops.shape import reshape


def _constant_indices(found: tuple[np.ndarray, ...]) -> tuple[Array, ...]:
    return tuple(Array(positions.astype(dtypes.default_int)) for positions in found)


def _size(operation: str, n: Any) -> int:
    size = as_integer(operation, "a size", n)
    if size < 0:
        raise ArgumentError(at_user_line(f"{operation}: a size is not negative, got {size}."))
    return size


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """Row and column indices of the lower triangle of an `n` x `m` matrix (`m` is `n` by default).

    `k` is the last diagonal that belongs to it, above the main one where positive.

    >>> tril_indices(2)
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    n = _size("tril_indices", n)
    m = n if m is None else _size("tril_indices", m)
    rows, columns = _constant_indices(np.tril_indices(n, as_integer("tril_indices", "k", k), m))
    return rows, columns


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """Row and column indices of the upper triangle of an `n` x `m` matrix (`m` is `n` by default).

    `k` is the first diagonal that belongs to it, above the main one where positive.

    >>> triu_indices(2)
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    n = _size("triu_indices", n)
    m = n if m is None else _size("triu_indices", m)
    rows, columns = _constant_indices(np.triu_indices(n, as_integer("triu_indices", "k", k), m))
    return rows, columns


def _matrix_sizes(operation: str, arr: ArrayLike) -> tuple[int, int]:
    shape = np.shape(arr)  # type: ignore[arg-type]
    if len(shape) != 2:
        raise ShapeError(
            at_user_line(f"{operation} takes a matrix, not an array of shape {shape}.")
        )
    return shape[0], shape[1]


def tril_indices_from(arr: ArrayLike, k: int = 0) -> tuple[Array, Array]:
    """`tril_indices` for the shape of the matrix `arr`.

    >>> tril_indices_from(np.zeros((1, 2)))
    (Array([0], dtype=int32), Array([0], dtype=int32))
    """
    n, m = _matrix_sizes("tril_indices_from", arr)
    return tril_indices(n, k, m)


def triu_indices_from(arr: ArrayLike, k: int = 0) -> tuple[Array, Array]:
    """`triu_indices` for the shape of the matrix `arr`.

    >>> triu_indices_from(np.zeros((1, 2)))
    (Array([0, 0], dtype=int32), Array([0, 1], dtype=int32))
    """
    n, m = _matrix_sizes("triu_indices_from", arr)
    return triu_indices(n, k, m)


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """Indices of the main diagonal of an array with `ndim` axes of size `n`.

    >>> diag_indices(2)
    (Array([0, 1], dtype=int32), Array([0, 1], dtype=int32))
    """
    n = _size("diag_indices", n)
    count = _size("diag_indices", ndim)
    return _constant_indices((np.arange(n),) * count)


def diag_indices_from(arr: ArrayLike) -> tuple[Array, ...]:
    """Indices of the main diagonal of `arr`, whose two or more axes have the same size.

    >>> diag_indices_from(np.zeros((2, 2)))
    (Array([0, 1], dtype=int32), Array([0, 1], dtype=int32))
    """
    shape = np.shape(arr)  # type: ignore[arg-type]
    if len(shape) < 2 or len(set(shape)) != 1:
        raise ShapeError(
            at_user_line(
                f"diag_indices_from takes two or more axes of one size, not the shape {shape}."
            )
        )
    return diag_indices(shape[0], len(shape))


def mask_indices(
    n: int, mask_func: Callable[..., Any], k: Any = 0, *, size: int | None = None
) -> tuple[Array, Array]:
    """Indices at which `mask_func(ones((n, n)), k)` is not zero, for example of `triu`.

    `size` is how many to return: surplus ones are left out, missing ones are 0.

    >>> mask_indices(2, np.triu, 1)
    (Array([0], dtype=int32), Array([1], dtype=int32))
    """
    n = _size("mask_indices", n)
    flags = np.asarray(mask_func(np.ones((n, n), np.int32), k))
    found = np.nonzero(flags)
    if size is not None:
        wanted = _size("mask_indices", size)
        found = tuple(np.pad(p[:wanted], (0, max(wanted - len(p), 0))) for p in found)
    rows, columns = _constant_indices(found)
    return rows, columns


class _IndexExpression:
    """Gives back what stands between the brackets."""

    def __init__(self, name: str, always_tuple: bool):
        self._name = name
        self._always_tuple = always_tuple

    def __repr__(self) -> str:
        return self._name

    def __getitem__(self, item: Any) -> Any:
        return (item,) if self._always_tuple and not isinstance(item, tuple) else item


#: `s_[1:, None]` is the index `(slice(1, None), None)`.
s_ = _IndexExpression("s_", always_tuple=False)
#: As `s_`, but always a tuple.
index_exp = _IndexExpression("index_exp", always_tuple=True)


class _Concatenator:
    """`r_[...]` and `c_[...]`: the entries, slices as ranges, joined along an axis."""

    def __init__(self, name: str, axis: int, ndim: int, new_axes: int):
        self._name = name
        self._defaults = axis, ndim, new_axes

    def __repr__(self) -> str:
        return self._name

    def __getitem__(self, key: Any) -> Array:
        entries = key if isinstance(key, tuple) else (key,)
        axis, ndim, new_axes = self._defaults
        matrix = ""
        if entries and isinstance(entries[0], str):
            directive, *rest = entries
            entries = tuple(rest)
            if directive in ("r", "c"):
                matrix = directive
            else:
                axis, ndim, new_axes = self._directive(directive)
        if not entries:
            raise ArgumentError(at_user_line(f"{self._name}[...] needs at least one entry."))
        ranges = [isinstance(entry, slice) for entry in entries]
        parts = promote_elements(
            self._name, [slice_range(e) if is_range else e for e, is_range in zip(entries, ranges)]
        )
        # Scalars and ranges count as having one axis, the others as they are.
        given = [1 if is_range else part.ndim for is_range, part in zip(ranges, parts)]
        rank = max([ndim, *given, 1])
        placed = []
        for part, own in zip(parts, given):
            if part.ndim < rank:
                # Where the existing axes go: at the end by default, from `new_axes` otherwise.
                first = new_axes if new_axes >= 0 else rank - max(own, 1) + new_axes + 1
                own = max(own, 1)
                if not part.ndim:
                    part = reshape(part, (1,))
                missing = rank - own
                part = reshape(part, (*(1,) * missing, *part.shape))
                source = list(range(missing, rank))
                part = moveaxis(part, source, [min(first, missing) + i for i in range(own)])
            placed.append(part)
        joined = concatenate(placed, axis)
        if matrix:
            if joined.ndim > 1:
                return joined
            return reshape(joined, (1, -1) if matrix == "r" else (-1, 1))
        return joined

    def _directive(self, directive: str) -> tuple[int, int, int]:
        axis, ndim, new_axes = self._defaults
        try:
            numbers = [int(part) for part in directive.split(",")]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 3:
            raise ArgumentError(
                at_user_line(
                    f"{self._name}[...]: {directive!r} is no directive; it is 'r', 'c', or one to "
                    "three integers: axis, number of axes, place of the existing axes."
                )
            )
        found = [*numbers, *(axis, ndim, new_axes)[len(numbers) :]]
        return found[0], found[1], found[2]


#: `r_[1:3, 5]` joins along the first axis: array([1, 2, 5]).
r_ = _Concatenator("r_", axis=0, ndim=1, new_axes=-1)
#: `c_[x, y]` makes columns of its entries.
c_ = _Concatenator("c_", axis=-1, ndim=2, new_axes=0)


def iterable(y: Any) -> bool:
    """Whether `y` can be iterated over.

    >>> iterable([1]), iterable(2)
    (True, False)
    """
    try:
        iter(y)
    except (TypeError, DtypeError):
        return False
    return True


def ndim(a: ArrayLike) -> int:
    """The number of axes of `a`.

    >>> ndim(np.zeros((2, 3)))
    2
    """
    return asarray(a).ndim if isinstance(a, (list, tuple)) else as_array("ndim", a).ndim


def size(a: ArrayLike, axis: int | tuple[int, ...] | None = None) -> int:
    """The number of elements of `a`, or its size along `axis`.

    >>> size(np.zeros((2, 3))), size(np.zeros((2, 3)), 1)
    (6, 3)
    """
    from rtfunc.ops.shape import normalize_axes

    a = asarray(a) if isinstance(a, (list, tuple)) else as_array("size", a)
    if axis is None:
        return a.size
    return int(np.prod([a.shape[i] for i in normalize_axes("size", axis, a.ndim)], dtype=int))


def shape(a: ArrayLike) -> tuple[int, ...]:
    """The sizes of the axes of `a`.

    >>> shape([[1, 2]])
    (1, 2)
    """
    return asarray(a).shape if isinstance(a, (list, tuple)) else as_array("shape", a).shape
