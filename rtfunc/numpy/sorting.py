"""Sorting and searching in order: sort, argsort, lexsort, partition, searchsorted, digitize.

Sorting is stable with NaN last; complex numbers are ordered by real, then imaginary part.
Derivatives flow through the sorted values. Depends on `ops.sort`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.core.trace import context
from rtfunc.numpy.arguments import as_sequence
from rtfunc.numpy.creation import asarray, promote_data
from rtfunc.numpy.index_expressions import index, known_values
from rtfunc.numpy.indexing import take_along_axis
from rtfunc.numpy.logic import isnan
from rtfunc.ops import sort as _sort
from rtfunc.ops.arithmetic import add, div, minimum, sub
from rtfunc.ops.comparison import bitwise_and, bitwise_not, bitwise_or, le, lt
from rtfunc.ops.convert import as_array, convert, owned_array, scalar
from rtfunc.ops.select import select
from rtfunc.ops.shape import full, normalize_axis, reshape_p


def _check(operation: str, kind: Any, order: Any) -> None:
    if order is not None:
        raise ArgumentError(
            at_user_line(f"{operation}: Arrays have no fields, so order= is not supported.")
        )
    if kind not in (None, "stable", "quicksort", "mergesort", "heapsort"):
        raise ArgumentError(at_user_line(f"{operation}: {kind!r} is not a kind of sorting."))


def _along(operation: str, x: ArrayLike, axis: int | None) -> tuple[Array, int]:
    x = owned_array(operation, x)
    if axis is None:
        return reshape_p.bind(x, shape=(x.size,)), 0
    return x, normalize_axis(operation, axis, x.ndim)


def sort(
    x: ArrayLike,
    axis: int | None = -1,
    kind: str | None = None,
    order: None = None,
    *,
    stable: bool = True,
    descending: bool = False,
) -> Array:
    """The elements in ascending order along `axis` (None: of the flat array).

    >>> sort(np.array([3, 1, 2], "int32"), descending=True)
    Array([3, 2, 1], dtype=int32)
    """
    _check("sort", kind, order)
    x, number = _along("sort", x, axis)
    if descending:
        return take_along_axis(x, _sort.argsort(x, number, descending=True), number)
    return _sort.sort(x, number)  # type: ignore[return-value]


def argsort(
    x: ArrayLike,
    axis: int | None = -1,
    kind: str | None = None,
    order: None = None,
    *,
    stable: bool = True,
    descending: bool = False,
) -> Array:
    """The indices that sort along `axis` (None: the flat array); equal elements keep their order.

    >>> argsort(np.array([30, 10, 20], "int32"))
    Array([1, 2, 0], dtype=int32)
    """
    _check("argsort", kind, order)
    x, number = _along("argsort", x, axis)
    return _sort.argsort(x, number, descending)


def lexsort(keys: Sequence[ArrayLike] | ArrayLike, axis: int = -1) -> Array:
    """The indices that sort by several keys along `axis`; the last key is the most significant.

    >>> lexsort((np.array([1, 0, 0]), np.array([2, 1, 2])))
    Array([1, 2, 0], dtype=int32)
    """
    found = [asarray(key) for key in as_sequence("lexsort", "keys", keys)]
    if not found:
        raise ArgumentError(at_user_line("lexsort needs at least one key."))
    if any(key.shape != found[0].shape for key in found):
        raise ShapeError(
            at_user_line(
                f"lexsort takes keys of one shape, not {', '.join(str(k.shape) for k in found)}."
            )
        )
    number = normalize_axis("lexsort", axis, found[0].ndim)
    position = _sort.argsort(full(found[0].shape, 0, dtypes.int32), number)
    return _sort.sort((*found[::-1], position), number, num_keys=len(found))[-1]


def partition(x: ArrayLike, kth: int, axis: int | None = -1) -> Array:
    """The elements along `axis` with the `kth` in its sorted place, smaller ones before it.

    As the order within the parts is free, the result is sorted.

    >>> partition(np.array([3, 1, 2], "int32"), 1)
    Array([1, 2, 3], dtype=int32)
    """
    x, number = _along("partition", x, axis)
    normalize_axis("partition (kth)", kth, x.shape[number])
    return sort(x, number)


def argpartition(x: ArrayLike, kth: int, axis: int | None = -1) -> Array:
    """The indices that put the elements along `axis` in the order of `partition`.

    >>> argpartition(np.array([3, 1, 2], "int32"), 1)
    Array([1, 2, 0], dtype=int32)
    """
    x, number = _along("argpartition", x, axis)
    normalize_axis("argpartition (kth)", kth, x.shape[number])
    return argsort(x, number)


def sort_complex(x: ArrayLike) -> Array:
    """The elements sorted along the last axis, as complex numbers.

    >>> sort_complex(np.array([2.0, 1.0], "float32"))
    Array([1.+0.j, 2.+0.j], dtype=complex64)
    """
    x = as_array("sort_complex", x)
    return sort(convert(x, dtypes.complex_of(x.dtype)))


# Searching


def check_method(operation: str, method: str) -> None:
    """`ArgumentError` for a name that JAX has not for its algorithms of searching."""
    names = ("auto", "scan", "scan_unrolled", "sort", "compare_all", "binary_search")
    if method not in names:
        raise ArgumentError(
            at_user_line(f"{operation}: method is one of {', '.join(names)}, not {method!r}.")
        )


def searchsorted(
    x: ArrayLike,
    v: ArrayLike,
    side: str = "left",
    sorter: ArrayLike | None = None,
    *,
    method: str = "scan",
) -> Array:
    """Where the values `v` would go into the sorted 1-d `x`: before equal elements, or after them.

    Arguments: side: "left" or "right" of equal elements; sorter: indices that sort `x`; method: JAX's
    names of algorithms, taken for its sake: it is bisection in each case.

    >>> searchsorted(np.array([1, 3, 5]), np.array([0, 3, 9]))
    Array([0, 1, 3], dtype=int32)
    """
    check_method("searchsorted", method)
    if side not in ("left", "right"):
        raise ArgumentError(at_user_line(f"searchsorted: side is 'left' or 'right', not {side!r}."))
    x, v = promote_data("searchsorted", x, v)
    if x.ndim != 1:
        raise ShapeError(at_user_line(f"searchsorted searches in one axis, not shape {x.shape}."))
    if sorter is not None:
        x = index(x, asarray(sorter))
    size = x.shape[0]
    dtype = dtypes.int32 if size < 2**31 else dtypes.int64
    ordered, wanted = known_values(x), known_values(v)
    if context.trace is None and ordered is not None and wanted is not None:
        wide = dtypes.compute_dtype(x.dtype)
        ordered, wanted = ordered.astype(wide, copy=False), wanted.astype(wide, copy=False)
        return Array(np.asarray(np.searchsorted(ordered, wanted, side)).astype(dtype))
    # Bisection on all values at once: the first `low` elements come before the value.
    low, high = full(v.shape, 0, dtype), full(v.shape, size, dtype)
    one, two, last = (scalar(n, dtype) for n in (1, 2, max(size - 1, 0)))
    for _ in range(size.bit_length()):
        middle = div(add(low, high), two)
        element = index(x, minimum(middle, last))
        before = _precedes(element, v, side)
        open_ = lt(low, high)
        low, high = (
            select(bitwise_and(open_, before), add(middle, one), low),
            select(bitwise_and(open_, bitwise_not(before)), middle, high),
        )
    return low


def _precedes(x: Array, v: Array, side: str) -> Array:
    """Whether the element x comes before the place of v; NaN is larger than all numbers."""
    if side == "left":
        return bitwise_or(lt(x, v), bitwise_and(isnan(v), bitwise_not(isnan(x))))
    return bitwise_or(le(x, v), isnan(v))


def digitize(x: ArrayLike, bins: ArrayLike, right: bool = False, *, method: str = "scan") -> Array:
    """For each element the index of the bin it falls in: bins[i-1] <= x < bins[i].

    The `bins` ascend or descend; with `right`, the intervals include their right end instead.
    `method` is that of `searchsorted`.

    >>> digitize(np.array([0.5, 1.5, 9.0]), np.array([0.0, 1.0, 2.0]))
    Array([1, 2, 3], dtype=int32)
    """
    x, bins = promote_data("digitize", x, bins)
    if bins.ndim != 1:
        raise ShapeError(at_user_line(f"digitize takes 1-d bins, not shape {bins.shape}."))
    size = bins.shape[0]
    ascending = searchsorted(bins, x, "left" if right else "right", method=method)
    if size < 2:
        return ascending
    turned = searchsorted(index(bins, slice(None, None, -1)), x, "left" if right else "right")
    descending = sub(scalar(size, turned.dtype), turned)
    return select(le(index(bins, 0), index(bins, -1)), ascending, descending)
