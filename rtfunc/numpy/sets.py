"""Sets of values: unique elements and membership.

How many values are distinct depends on the data: in traced code `size=` fixes the number. Depends
on `ops.sort`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import TracerError, UnsupportedError, at_user_line
from rtfunc.core.trace import context
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.creation import asarray, promote_data
from rtfunc.numpy.index_expressions import index, known_values
from rtfunc.numpy.joining import concatenate
from rtfunc.numpy.logic import isnan
from rtfunc.numpy.positions import nonzero
from rtfunc.numpy.reductions import any as _any
from rtfunc.numpy.sorting import check_method
from rtfunc.ops import sort as _sort
from rtfunc.ops.arithmetic import sub
from rtfunc.ops.comparison import bitwise_and, bitwise_not, eq, lt, ne
from rtfunc.ops.convert import convert, owned_array, scalar
from rtfunc.ops.cumulative import cummax, cumsum
from rtfunc.ops.iota import iota
from rtfunc.ops.select import select
from rtfunc.ops.shape import expand_dims, full, normalize_axis, reshape_p


def unique(
    x: ArrayLike,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: ArrayLike | None = None,
    sorted: bool = True,
) -> Any:
    """The distinct values in ascending order (whatever `sorted` says), and on request more.

    Arguments:
      return_index: also the index of each one's first occurrence.
      return_inverse: also the index into the result for each element of `x`.
      return_counts: also how often each occurs.
      axis: distinct sub-arrays along this axis instead of elements.
      size: the number of results, which traced code needs: surplus values are left out, and missing
        ones are `fill_value` (the smallest value by default).

    Raises `TracerError` for traced values without `size`.

    >>> unique(np.array([3, 1, 3], "int32"), return_counts=True)
    (Array([1, 3], dtype=int32), Array([1, 2], dtype=int32))
    """
    x = owned_array("unique", asarray(x) if isinstance(x, (list, tuple)) else x)
    values = known_values(x)
    if axis is not None:
        axis = normalize_axis("unique", axis, x.ndim)
    if values is not None and context.trace is None:
        results = _concrete_unique(x, values, axis, equal_nan, size, fill_value)
    else:
        if size is None:
            raise TracerError(
                at_user_line(
                    f"unique of a traced {x.aval}: the shape of the result would depend on its "
                    "values. Pass size=..., the largest number of distinct values."
                )
            )
        if axis is not None:
            raise UnsupportedError(at_user_line("unique along an axis needs concrete values."))
        results = _traced_unique(x, equal_nan, as_integer("unique", "size", size), fill_value)
    wanted = (True, return_index, return_inverse, return_counts)
    chosen = [r for r, w in zip(results, wanted) if w]
    return tuple(chosen) if len(chosen) > 1 else chosen[0]


def _concrete_unique(
    x: Array, values: np.ndarray, axis: int | None, equal_nan: bool, size: Any, fill_value: Any
) -> list[Array]:
    found = np.unique(values, True, True, True, axis, equal_nan=equal_nan)
    first, inverse, counts = (Array(np.asarray(f).astype(np.int32)) for f in found[1:])
    number = 0 if axis is None else axis
    flat = x if axis is not None else reshape_p.bind(x, shape=(x.size,))
    result = index(flat, (*(slice(None),) * (number % max(flat.ndim, 1)), first))
    if size is None:
        return [result, first, inverse, counts]
    missing = as_integer("unique", "size", size) - first.shape[0]
    if missing <= 0:
        cut = slice(None, size)
        kept = index(result, (*(slice(None),) * (number % result.ndim), cut))
        return [kept, first[cut], inverse, counts[cut]]
    place = number % result.ndim
    if fill_value is None:
        fill = index(result, (*(slice(None),) * place, slice(0, 1)))
    else:
        fill = asarray(fill_value, result.dtype)
    shape = (*result.shape[:place], missing, *result.shape[place + 1 :])
    spread = (
        fill + full(shape, 0, result.dtype)
        if result.dtype != dtypes.bool_
        else fill | full(shape, False)
    )
    again = full((missing,), first[0] if first.shape[0] else 0)
    return [
        concatenate([result, spread], place),
        concatenate([first, convert(again, dtypes.int32)]),
        inverse,
        concatenate([counts, full((missing,), 0, dtypes.int32)]),
    ]


def _traced_unique(x: Array, equal_nan: bool, size: int, fill_value: Any) -> list[Array]:
    """By sorting: the first of each run of equal elements is kept."""
    shape, count = x.shape, x.size
    flat = reshape_p.bind(x, shape=(count,))
    if not count:
        zeros = full((size,), 0, dtypes.int32)
        value = full((size,), 0 if fill_value is None else fill_value, x.dtype)
        return [value, zeros, full(shape, 0, dtypes.int32), zeros]
    order = _sort.argsort(flat)
    ordered = index(flat, order)
    differs = ne(ordered[1:], ordered[:-1])
    if equal_nan and dtypes.is_inexact(x.dtype):
        differs = bitwise_and(
            differs, bitwise_not(bitwise_and(isnan(ordered[1:]), isnan(ordered[:-1])))
        )
    starts = concatenate([full((1,), True), differs])
    rank = sub(cumsum(convert(starts, dtypes.int32)), scalar(1, dtypes.int32))
    (bounds,) = nonzero(starts, size=size + 1, fill_value=count)
    places = bounds[:-1]
    present = lt(places, scalar(count, places.dtype))
    fill = ordered[0] if fill_value is None else asarray(fill_value, x.dtype)
    safe = select(present, places, scalar(0, places.dtype))
    result = select(present, index(ordered, safe), fill)
    first = index(order, safe)
    inverse = reshape_p.bind(index(rank, _sort.argsort(order)), shape=shape)
    counts = convert(sub(bounds[1:], places), dtypes.int32)
    return [result, first, inverse, counts]


class UniqueAll(NamedTuple):
    """Result of `unique_all`."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """Result of `unique_counts`."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """Result of `unique_inverse`."""

    values: Array
    inverse_indices: Array


def unique_all(x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAll:
    """Distinct values, first indices, inverse indices and counts; NaNs are distinct.

    >>> unique_all(np.array([3, 1, 3], "int32")).counts
    Array([1, 2], dtype=int32)
    """
    found = unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueAll(*found)


def unique_counts(
    x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None
) -> UniqueCounts:
    """Distinct values and how often each occurs; NaNs are distinct.

    >>> unique_counts(np.array([3, 1, 3], "int32")).values
    Array([1, 3], dtype=int32)
    """
    found = unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueCounts(*found)


def unique_inverse(
    x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None
) -> UniqueInverse:
    """Distinct values and for each element its index among them; NaNs are distinct.

    >>> unique_inverse(np.array([3, 1, 3], "int32")).inverse_indices
    Array([1, 0, 1], dtype=int32)
    """
    found = unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueInverse(*found)


def unique_values(x: ArrayLike, /, *, size: int | None = None, fill_value: Any = None) -> Array:
    """Distinct values; NaNs are distinct.

    >>> unique_values(np.array([3, 1, 3], "int32"))
    Array([1, 3], dtype=int32)
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def isin(
    element: ArrayLike,
    test_elements: ArrayLike,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Whether each element is among `test_elements`; with `invert`, whether it is not.

    `assume_unique` and `method` are JAX's hints, which change nothing here.

    >>> isin(np.array([1, 2, 3]), np.array([3, 1]))
    Array([ True, False,  True], dtype=bool)
    """
    check_method("isin", method)
    x, among = promote_data("isin", element, test_elements)
    among = reshape_p.bind(among, shape=(among.size,))
    found = _any(eq(expand_dims(x, (x.ndim,)), among), -1)
    return bitwise_not(found) if invert else found


# Sets as sorted arrays


def _flat_pair(operation: str, ar1: Any, ar2: Any) -> tuple[Array, Array]:
    a, b = promote_data(operation, ar1, ar2)
    return reshape_p.bind(a, shape=(a.size,)), reshape_p.bind(b, shape=(b.size,))


def _kept(
    operation: str, values: Array, keep: Array, size: int | None, fill_value: Any
) -> tuple[Array, Array]:
    """The `values` at which `keep` holds, exactly `size` of them if it is given, and their places."""
    if size is None and known_values(keep) is None:
        raise TracerError(
            at_user_line(
                f"{operation} of traced values: the shape of the result would depend on them. "
                "Pass size=..., the number of results."
            )
        )
    count = values.shape[0]
    (places,) = nonzero(keep, size=size, fill_value=count)
    if size is None:
        return index(values, places), places
    present = lt(places, scalar(count, places.dtype))
    if fill_value is None:
        # The first of the kept values; 0 where there is none.
        found = index(values, places[:1]) if count and size else full((1,), 0, values.dtype)
        fill = select(present[:1], found, scalar(0, values.dtype))
    else:
        fill = asarray(fill_value, values.dtype)
    if not count:
        return full((size,), 0 if fill_value is None else fill_value, values.dtype), places
    safe = select(present, places, scalar(0, places.dtype))
    return select(present, index(values, safe), fill), places


def union1d(
    ar1: ArrayLike, ar2: ArrayLike, *, size: int | None = None, fill_value: ArrayLike | None = None
) -> Array:
    """The distinct values of both arrays in ascending order; `size` as in `unique`.

    >>> union1d(np.array([3, 1], "int32"), np.array([2, 1], "int32"))
    Array([1, 2, 3], dtype=int32)
    """
    a, b = _flat_pair("union1d", ar1, ar2)
    return unique(concatenate([a, b]), size=size, fill_value=fill_value)


def intersect1d(
    ar1: ArrayLike,
    ar2: ArrayLike,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: ArrayLike | None = None,
) -> Any:
    """The values that both arrays have, each once and in ascending order.

    Arguments:
      assume_unique: that neither array has a value twice.
      return_indices: also the indices of the first occurrences in both.
      size, fill_value: as in `unique`.

    >>> intersect1d(np.array([3, 1, 2], "int32"), np.array([2, 5, 3], "int32"))
    Array([2, 3], dtype=int32)
    """
    a, b = _flat_pair("intersect1d", ar1, ar2)
    if not a.size or not b.size:
        nothing = full((size or 0,), 0 if fill_value is None else fill_value, a.dtype)
        index_ = full((size or 0,), 0, dtypes.int32)
        return (nothing, index_, index_) if return_indices else nothing
    joined = concatenate([a, b])
    order = _sort.argsort(joined)  # stable: those of the first array come before
    ordered = index(joined, order)
    split = scalar(a.size, order.dtype)
    first = _running_place(_begins(ordered))  # where each run of equal values begins
    follows = bitwise_and(eq(ordered[1:], ordered[:-1]), lt(order[:-1], split))
    second = bitwise_and(bitwise_not(lt(order, split)), concatenate([full((1,), False), follows]))
    common, places = _kept("intersect1d", ordered, second, size, fill_value)
    if not return_indices:
        return common
    inside = select(lt(places, scalar(joined.size, places.dtype)), places, scalar(0, places.dtype))
    in_first = index(order, index(first, inside))
    in_second = sub(index(order, inside), split)
    if size is not None:
        present = lt(places, scalar(joined.size, places.dtype))
        in_first = select(present, in_first, scalar(a.size, order.dtype))
        in_second = select(present, in_second, scalar(b.size, order.dtype))
    return common, in_first, in_second


def _running_place(begins: Array) -> Array:
    """For each position the last one at or before it at which `begins` holds."""
    position = iota(dtypes.int32, begins.shape[0])
    return cummax(select(begins, position, scalar(0, dtypes.int32)))


def setdiff1d(
    ar1: ArrayLike,
    ar2: ArrayLike,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: ArrayLike | None = None,
) -> Array:
    """The distinct values of `ar1` that `ar2` lacks, in ascending order.

    With `assume_unique` they stay in the order of `ar1`; `size` as in `unique`.

    >>> setdiff1d(np.array([3, 1, 2], "int32"), np.array([2], "int32"))
    Array([1, 3], dtype=int32)
    """
    a, b = _flat_pair("setdiff1d", ar1, ar2)
    if not assume_unique:
        a = index(a, _sort.argsort(a))
        begins = _begins(a)
    keep = bitwise_not(isin(a, b))
    if not assume_unique:
        keep = bitwise_and(keep, begins)
    return _kept("setdiff1d", a, keep, size, fill_value)[0]


def _begins(ordered: Array) -> Array:
    """Whether each element of a sorted array differs from the one before it."""
    if not ordered.shape[0]:
        return full((0,), True)
    return concatenate([full((1,), True), ne(ordered[1:], ordered[:-1])])


def setxor1d(
    ar1: ArrayLike,
    ar2: ArrayLike,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: ArrayLike | None = None,
) -> Array:
    """The values that exactly one of the arrays has, each once and in ascending order.

    >>> setxor1d(np.array([3, 1], "int32"), np.array([2, 1], "int32"))
    Array([2, 3], dtype=int32)
    """
    a, b = _flat_pair("setxor1d", ar1, ar2)
    joined = concatenate([a, b])
    order = _sort.argsort(joined)
    ordered = index(joined, order)
    of_first = bitwise_not(isin(ordered, b))
    of_second = bitwise_not(isin(ordered, a))
    keep = bitwise_and(_begins(ordered), ne(of_first, of_second))
    return _kept("setxor1d", ordered, keep, size, fill_value)[0]
