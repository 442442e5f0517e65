"""iota: counting along an axis. Depends on `convert` and `shape`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval, as_shape
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.primitive import Primitive, no_jvp, no_vjp
from rtfunc.ops.convert import cast
from rtfunc.ops.shape import normalize_axis


def iota(dtype: DtypeLike, size: int) -> Array:
    """The numbers 0, 1, ... `size` - 1 as `dtype`.

    Numbers that an integer dtype does not hold wrap around. Raises `ShapeError` for a negative size
    and `DtypeError` for booleans.

    >>> iota("int32", 4)
    Array([0, 1, 2, 3], dtype=int32)
    """
    return iota_p.bind(shape=as_shape(size), dtype=dtypes.as_dtype(dtype), axis=0)


def broadcasted_iota(dtype: DtypeLike, shape: int | Sequence[int], axis: int) -> Array:
    """An array of `shape` in which each element is its own index along `axis`.

    >>> broadcasted_iota("int32", (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    sizes = as_shape(shape)
    number = normalize_axis("broadcasted_iota", axis, len(sizes))
    return iota_p.bind(shape=sizes, dtype=dtypes.as_dtype(dtype), axis=number)


def _infer(*, shape: tuple[int, ...], dtype: np.dtype, axis: int) -> Aval:
    normalize_axis("iota", axis, len(shape))
    if dtype not in dtypes.numeric:
        raise DtypeError(at_user_line(f"iota counts in numbers, not in {dtype}."))
    return Aval(shape, dtype)


def _impl(xp: Any, *, shape: tuple[int, ...], dtype: np.dtype, axis: int) -> Any:
    _infer(shape=shape, dtype=dtype, axis=axis)
    if dtypes.is_integer(dtype) and dtype.itemsize >= 4:
        count = xp.arange(shape[axis], dtype=dtype)
    else:
        count = cast(xp.arange(shape[axis]), dtype, xp)
    along = [1] * len(shape)
    along[axis] = shape[axis]
    return xp.broadcast_to(count.reshape(along), shape)


def _batch(primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any) -> Any:
    return primitive.bind(**params), None  # no operand can carry a batch


iota_p = Primitive(
    "iota", infer=_infer, impl=_impl, jvp=no_jvp, vjp=no_vjp, batch=_batch, weak="strong"
)
