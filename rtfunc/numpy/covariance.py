"""Covariance and correlation matrices. Depends on `contraction` and `reductions`."""

from __future__ import annotations

import numpy as np  # noqa: F401  (the examples use it)

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.contraction import matmul
from rtfunc.numpy.creation import promote_data
from rtfunc.numpy.diagonals import diagonal
from rtfunc.numpy.elementwise import clip, conj, maximum, real, sqrt
from rtfunc.numpy.joining import concatenate
from rtfunc.numpy.reductions import mean
from rtfunc.numpy.reductions import sum as _sum
from rtfunc.ops.complex import complex_, imag
from rtfunc.ops.convert import as_array, promote_inexact
from rtfunc.ops.shape import reshape, transpose


def cov(
    m: ArrayLike,
    y: ArrayLike | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    *,
    dtype: DtypeLike = None,
) -> Array:
    """The covariance matrix of variables, the rows of `m` (and `y`), from observations, its columns.

    Arguments:
      rowvar: False when the variables are columns.
      bias: whether to divide by the number of observations instead of that minus 1; `ddof` replaces
        the 1.
      fweights: how often each observation counts, integers; aweights: its weight.

    >>> cov(np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]], "float32"))
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    operands = promote_data("cov", *((m,) if y is None else (m, y)), dtype=wanted)
    parts = operands if wanted else promote_inexact("cov", *operands)
    for p in parts:
        if p.ndim > 2:
            raise ShapeError(at_user_line(f"cov takes one or two axes, not the shape {p.shape}."))
    if ddof is not None and int(ddof) != ddof:
        raise ArgumentError(at_user_line(f"cov: ddof is an integer, not {ddof!r}."))
    rows = [reshape(p, (1, -1)) if p.ndim < 2 else (p if rowvar else transpose(p)) for p in parts]
    if not rowvar and parts[0].ndim == 2 and parts[0].shape[0] == 1:
        rows[0] = transpose(parts[0])
    x = rows[0] if len(rows) == 1 else concatenate(rows, 0)
    if ddof is None:
        ddof = 0 if bias else 1
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        (w,) = promote_data("cov", given, dtype=dtypes.real_of(x.dtype))
        if w.shape != (x.shape[1],):
            raise ShapeError(
                at_user_line(
                    f"cov: {name} of shape {w.shape} do not fit {x.shape[1]} observations."
                )
            )
        weights = w if weights is None else weights * w
    if weights is None:
        center = mean(x, 1, keepdims=True)
        factor = maximum(x.shape[1] - ddof, 0)
        centered = x - center
        weighted = centered
    else:
        total = _sum(weights)
        center = _sum(x * weights, 1, keepdims=True) / total
        factor = total
        if ddof:
            spread = weights
            if aweights is not None:
                spread = weights * promote_data("cov", aweights, dtype=weights.dtype)[0]
            factor = maximum(total - ddof * _sum(spread) / total, 0)
        centered = x - center
        weighted = centered * weights
    factor = as_array("cov", factor, dtypes.real_of(x.dtype))
    result = matmul(centered, conj(transpose(weighted))) / factor
    return reshape(result, ()) if result.shape == (1, 1) else result


def corrcoef(
    x: ArrayLike, y: ArrayLike | None = None, rowvar: bool = True, *, dtype: DtypeLike = None
) -> Array:
    """The matrix of correlation coefficients, between -1 and 1; arguments as in `cov`.

    >>> corrcoef(np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]], "float32"))
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviation = sqrt(real(diagonal(c)))
    c = c / reshape(deviation, (-1, 1)) / reshape(deviation, (1, -1))
    if dtypes.is_complex(c.dtype):
        return complex_(clip(real(c), -1, 1), clip(imag(c), -1, 1))
    return clip(c, -1, 1)
