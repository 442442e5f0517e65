"""What functions of this package do with arguments that are not arrays, or are not one array.

Whole numbers and sequences are checked here, so that what is wrong is said in one way; constants
beside arrays are made, and `out=` is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.ops.convert import as_array
from rtfunc.ops.elementwise import refused_out


def constant(value: Any, like: Array) -> Array:
    """A weak scalar of the dtype of `like`: whether a result is weak is left to the others."""
    return Array(np.asarray(value, like.dtype), True)


def number_in(operation: str, x: ArrayLike, dtype: DtypeLike) -> Array:
    """`x` as an Array; a Python number at once in `dtype`, the dtype of the result, if one is given."""
    if isinstance(x, Array):
        return x
    exact = dtype is not None and isinstance(x, (float, complex))
    return as_array(operation, x, as_dtype(dtype) if exact else None)


def as_integer(operation: str, what: str, n: Any) -> int:
    """`n` as a Python integer; `DtypeError` says that `what` has to be one."""
    try:
        return operator.index(n)
    except TypeError:
        if isinstance(n, Array) and n.dtype.kind in "iu":  # traced: its message says what to do
            raise
        got = f"{n.dtype}{list(n.shape)}" if isinstance(n, (Array, np.ndarray)) else repr(n)
        raise DtypeError(at_user_line(f"{operation}: {what} is an integer, not {got}.")) from None


def as_sequence(operation: str, what: str, values: Any) -> list[Any]:
    """The members of an iterable; `DtypeError` says that `what` has to be one."""
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes)):
        if getattr(values, "ndim", 1):
            return list(values)
    got = values if values is None or np.isscalar(values) else type(values).__name__
    raise DtypeError(at_user_line(f"{operation} takes a sequence of {what}, not {got!r}."))


def refuse_out(operation: str, out: Any) -> None:
    """Raise `ArgumentError` when a caller asks for a result to be written into `out`."""
    if out is not None:
        raise refused_out(operation)
