"""Identity, triangular, diagonal and Vandermonde matrices. Depends on `creation`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape
from rtfunc.core.device import Device
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.core.trace import context
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.creation import asarray
from rtfunc.numpy.diagonals import diagonal
from rtfunc.ops.arithmetic import add, integer_pow
from rtfunc.ops.comparison import eq, ge
from rtfunc.ops.convert import convert, owned_array, scalar
from rtfunc.ops.iota import broadcasted_iota
from rtfunc.ops.pad_slice import pad, slice_
from rtfunc.ops.select import select
from rtfunc.ops.shape import expand_dims, reshape, transpose


def eye(
    n_rows: int,
    n_cols: int | None = None,
    k: int = 0,
    dtype: DtypeLike = float,
    *,
    device: Device | str | None = None,
) -> Array:
    """A matrix with ones on the k-th diagonal, above the main one for positive k, else zeros.

    >>> eye(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    rows, columns = as_shape((n_rows, n_rows if n_cols is None else n_cols))
    shape, k = (rows, columns), as_integer("eye", "k", k)
    dtype = dtypes.default_float if dtype is None else as_dtype(dtype)
    if context.trace is None:
        result = Array(np.eye(*shape, k, dtype=dtype))
    else:
        result = convert(eq(_row(shape, k), _column(shape)), dtype)
    return result if device is None else asarray(result, device=device)


def _row(shape: tuple[int, ...], k: int) -> Array:
    """Row index plus k."""
    return add(broadcasted_iota(dtypes.int32, shape, len(shape) - 2), scalar(k, dtypes.int32))


def _column(shape: tuple[int, ...]) -> Array:
    return broadcasted_iota(dtypes.int32, shape, len(shape) - 1)


def identity(n: int, dtype: DtypeLike = float) -> Array:
    """The identity matrix of n rows.

    >>> identity(2, dtype=int)
    Array([[1, 0],
           [0, 1]], dtype=int32)
    """
    return eye(n, dtype=dtype)


def tri(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: DtypeLike = float) -> Array:
    """A matrix with ones at and below the k-th diagonal.

    >>> tri(2)
    Array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    rows, columns = as_shape((n_rows, n_rows if n_cols is None else n_cols))
    shape, k = (rows, columns), as_integer("tri", "k", k)
    dtype = dtypes.default_float if dtype is None else as_dtype(dtype)
    if context.trace is None:
        return Array(np.tri(*shape, k, dtype=dtype))
    return convert(ge(_row(shape, k), _column(shape)), dtype)


def _triangle(operation: str, x: Any, k: int, upper: bool) -> Array:
    x = owned_array(operation, x)
    if x.ndim < 2:
        raise ShapeError(
            at_user_line(f"{operation} takes matrices (two axes or more), not shape {x.shape}.")
        )
    rows, columns = x.shape[-2:]
    k = as_integer(operation, "k", k)
    mask = tri(rows, columns, k - 1 if upper else k, dtypes.bool_)
    zero = scalar(0, x.dtype, x.weak_type)
    return select(mask, zero, x) if upper else select(mask, x, zero)


def tril(x: ArrayLike, k: int = 0) -> Array:
    """The lower triangle of matrices: zeros above the k-th diagonal.

    >>> tril(np.ones((2, 2), "float32"))
    Array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    return _triangle("tril", x, k, upper=False)


def triu(x: ArrayLike, k: int = 0) -> Array:
    """The upper triangle of matrices: zeros below the k-th diagonal.

    >>> triu(np.ones((2, 2), "float32"))
    Array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    return _triangle("triu", x, k, upper=True)


def diag(x: Any, k: int = 0) -> Array:
    """A matrix with the 1-d `x` on its k-th diagonal, or the k-th diagonal of the matrix `x`.

    >>> diag(np.array([1, 2], "int32"))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    x = x if isinstance(x, Array) else asarray(x)
    k = as_integer("diag", "k", k)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(at_user_line(f"diag takes one or two axes, not shape {x.shape}."))
    zero = scalar(0, x.dtype, x.weak_type)
    n = x.shape[0] + abs(k)
    along = pad(x, zero, ((max(k, 0), max(-k, 0), 0),))
    return select(eye(n, k=k, dtype=dtypes.bool_), along, zero)


def diagflat(x: Any, k: int = 0) -> Array:
    """A matrix with the elements of `x` on its k-th diagonal.

    >>> diagflat(np.array([[1], [2]], "int32"))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    return diag(reshape(asarray(x), (-1,)), k)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:
    """The Vandermonde matrix of the 1-d `x`: its columns are powers of x, the highest first.

    >>> vander(np.array([1, 2, 3], "int32"))
    Array([[1, 1, 1],
           [4, 2, 1],
           [9, 3, 1]], dtype=int32)
    """
    x = x if isinstance(x, Array) else asarray(x)
    if x.ndim != 1:
        raise ShapeError(at_user_line(f"vander takes one axis, not shape {x.shape}."))
    count = x.shape[0] if N is None else as_integer("vander", "N", N)
    if count < 0:
        raise ArgumentError(at_user_line(f"vander: N is not negative, got {count}."))
    powers = range(count) if increasing else range(count)[::-1]
    if not count:
        return slice_(expand_dims(x, (1,)), (0, 0), (x.shape[0], 0))
    columns = [integer_pow(x, n) for n in powers]
    return transpose(asarray(columns), (1, 0))
