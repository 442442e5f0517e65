"""Cumulative sums and products, under NumPy's names. Depends on `ops.cumulative`."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: F401  (the examples use it)

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.numpy.arguments import number_in, refuse_out
from rtfunc.numpy.reductions import sum_dtype
from rtfunc.ops.convert import as_array, convert, scalar
from rtfunc.ops.cumulative import cumprod_p, cumsum_p
from rtfunc.ops.pad_slice import concatenate
from rtfunc.ops.shape import full, normalize_axis, reshape_p


def _cumulated(operation: str, primitive: Any, x: ArrayLike, axis: Any, dtype: DtypeLike) -> Array:
    x = number_in(operation, x, dtype)
    if dtype is not None:
        x = convert(x, as_dtype(dtype))
    elif x.dtype == dtypes.bool_:
        x = convert(x, dtypes.default_int)
    if axis is None:
        x, number = _flat(x), 0
    else:
        number = normalize_axis(operation, axis, x.ndim)
    result = primitive.bind(x, axis=number, reverse=False)
    return convert(result, result.dtype)


def _flat(x: Array) -> Array:
    return reshape_p.bind(x, shape=(x.size,))


def cumsum(
    x: ArrayLike, axis: int | None = None, dtype: DtypeLike = None, out: None = None
) -> Array:
    """Sums of the elements up to each place along `axis`; over the flat array by default.

    Integers keep their dtype unless `dtype` is given; booleans count as int32.

    >>> cumsum(np.array([1.0, 2.0, 3.0], "float32"))
    Array([1., 3., 6.], dtype=float32)
    """
    refuse_out("cumsum", out)
    return _cumulated("cumsum", cumsum_p, x, axis, dtype)


def cumprod(
    x: ArrayLike, axis: int | None = None, dtype: DtypeLike = None, out: None = None
) -> Array:
    """Products of the elements up to each place along `axis`; over the flat array by default.

    >>> cumprod(np.array([1, 2, 3], "int32"))
    Array([1, 2, 6], dtype=int32)
    """
    refuse_out("cumprod", out)
    return _cumulated("cumprod", cumprod_p, x, axis, dtype)


def cumulative_sum(
    x: ArrayLike,
    /,
    *,
    axis: int | None = None,
    dtype: DtypeLike = None,
    include_initial: bool = False,
) -> Array:
    """As `cumsum`, of integers in at least 32 bits; with `include_initial`, a zero comes first.

    `axis` may be left out for 1-d `x`.

    >>> cumulative_sum(np.array([1, 2], "int32"), include_initial=True)
    Array([0, 1, 3], dtype=int32)
    """
    return _standard("cumulative_sum", cumsum_p, x, axis, dtype, include_initial, 0)


def cumulative_prod(
    x: ArrayLike,
    /,
    *,
    axis: int | None = None,
    dtype: DtypeLike = None,
    include_initial: bool = False,
) -> Array:
    """As `cumprod`, of integers in at least 32 bits; with `include_initial`, a one comes first.

    `axis` may be left out for 1-d `x`.

    >>> cumulative_prod(np.array([2, 3], "int32"), include_initial=True)
    Array([1, 2, 6], dtype=int32)
    """
    return _standard("cumulative_prod", cumprod_p, x, axis, dtype, include_initial, 1)


def _standard(
    operation: str, primitive: Any, x: Any, axis: Any, dtype: Any, initial: bool, first: int
) -> Array:
    x = as_array(operation, x)
    if axis is None:
        if x.ndim != 1:
            raise ArgumentError(
                at_user_line(f"{operation} needs axis= for an array of shape {x.shape}.")
            )
        axis = 0
    result = _cumulated(operation, primitive, x, axis, sum_dtype(x.dtype, dtype))
    if not initial:
        return result
    number = normalize_axis(operation, axis, x.ndim)
    shape = (*x.shape[:number], 1, *x.shape[number + 1 :])
    return concatenate([full(shape, scalar(first, result.dtype)), result], number)
