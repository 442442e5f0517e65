"""Comparisons, logic, bits and questions about values, under NumPy's names; all but the bitwise
functions return booleans, and no derivative flows. Depends on `ops`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.ops.arithmetic import add, mul, sub
from rtfunc.ops.comparison import bitwise_and as bitwise_and
from rtfunc.ops.comparison import bitwise_not as bitwise_not
from rtfunc.ops.comparison import bitwise_or as bitwise_or
from rtfunc.ops.comparison import bitwise_xor as bitwise_xor
from rtfunc.ops.comparison import (
    eq,
    ge,
    gt,
    le,
    lt,
    ne,
    population_count,
    shift_left,
    shift_right_arithmetic,
    shift_right_logical,
)
from rtfunc.ops.complex import abs_
from rtfunc.ops.complex import imag as _imag
from rtfunc.ops.convert import as_array, convert, promote, promote_inexact, scalar
from rtfunc.ops.reduce import reduce_and
from rtfunc.ops.rounding import is_finite
from rtfunc.ops.shape import full

equal, not_equal = eq, ne
less, less_equal, greater, greater_equal = lt, le, gt, ge
bitwise_invert = invert = bitwise_not


# Logic


def _truth(operation: str, x: ArrayLike) -> Array:
    """Whether x is not zero, elementwise."""
    x = as_array(operation, x)
    return x if x.dtype == dtypes.bool_ else ne(x, scalar(0, x.dtype))


def logical_and(x: ArrayLike, y: ArrayLike, /) -> Array:
    """Whether both x and y are not zero, elementwise.

    >>> logical_and(np.array([0, 1, 2]), True)
    Array([False,  True,  True], dtype=bool)
    """
    return bitwise_and(_truth("logical_and", x), _truth("logical_and", y))


def logical_or(x: ArrayLike, y: ArrayLike, /) -> Array:
    """Whether x or y is not zero, elementwise.

    >>> logical_or(np.array([0, 1]), False)
    Array([False,  True], dtype=bool)
    """
    return bitwise_or(_truth("logical_or", x), _truth("logical_or", y))


def logical_xor(x: ArrayLike, y: ArrayLike, /) -> Array:
    """Whether exactly one of x and y is not zero, elementwise.

    >>> logical_xor(np.array([0, 1]), True)
    Array([ True, False], dtype=bool)
    """
    return bitwise_xor(_truth("logical_xor", x), _truth("logical_xor", y))


def logical_not(x: ArrayLike, /) -> Array:
    """Whether x is zero, elementwise.

    >>> logical_not(np.array([0, 3]))
    Array([ True, False], dtype=bool)
    """
    return bitwise_not(_truth("logical_not", x))


# Bits


def left_shift(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x << y, elementwise; 0 where y is negative or not below the width of the dtype.

    >>> left_shift(np.int32(1), 4)
    Array(16, dtype=int32)
    """
    return shift_left(x, y)


def right_shift(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x >> y, elementwise: signed integers are filled with their sign bit.

    >>> right_shift(np.int32(-16), 2)
    Array(-4, dtype=int32)
    """
    x, y = promote("right_shift", x, y)
    return shift_right_logical(x, y) if x.dtype.kind == "u" else shift_right_arithmetic(x, y)


bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


def bitwise_count(x: ArrayLike, /) -> Array:
    """Number of bits set in the absolute value of x, elementwise, as uint8.

    >>> bitwise_count(np.int32(-7))
    Array(3, dtype=uint8)
    """
    x = as_array("bitwise_count", x)
    if x.dtype == dtypes.bool_:
        return convert(x, dtypes.uint8)
    if not dtypes.is_integer(x.dtype):
        raise DtypeError(at_user_line(f"bitwise_count takes integers, not {x.dtype}."))
    return convert(population_count(x if x.dtype.kind == "u" else abs_(x)), dtypes.uint8)


# Questions about floats


def _false(x: Array) -> Array:
    return full(x.shape, False, dtypes.bool_)


def isnan(x: ArrayLike, /) -> Array:
    """Whether x is not a number, elementwise.

    >>> isnan(np.array([1.0, np.nan]))
    Array([False,  True], dtype=bool)
    """
    x = as_array("isnan", x)
    return ne(x, x) if dtypes.is_inexact(x.dtype) else _false(x)


def isfinite(x: ArrayLike, /) -> Array:
    """Whether x is neither infinite nor NaN, elementwise.

    >>> isfinite(np.array([1.0, np.inf]))
    Array([ True, False], dtype=bool)
    """
    x = as_array("isfinite", x)
    return is_finite(x) if dtypes.is_inexact(x.dtype) else full(x.shape, True, dtypes.bool_)


def isinf(x: ArrayLike, /) -> Array:
    """Whether x is infinite, elementwise; for complex numbers, whether a part is.

    >>> isinf(np.array([1.0, -np.inf]))
    Array([False,  True], dtype=bool)
    """
    x = as_array("isinf", x)
    if not dtypes.is_inexact(x.dtype):
        return _false(x)
    size = abs_(x)
    return eq(size, scalar(math.inf, size.dtype))


def _is_infinity(operation: str, x: ArrayLike, value: float) -> Array:
    x = as_array(operation, x)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"{operation} takes real numbers, not {x.dtype}."))
    return eq(x, scalar(value, x.dtype)) if dtypes.is_float(x.dtype) else _false(x)


def isposinf(x: ArrayLike, /) -> Array:
    """Whether x is plus infinity, elementwise.

    >>> isposinf(np.array([np.inf, -np.inf]))
    Array([ True, False], dtype=bool)
    """
    return _is_infinity("isposinf", x, math.inf)


def isneginf(x: ArrayLike, /) -> Array:
    """Whether x is minus infinity, elementwise.

    >>> isneginf(np.array([np.inf, -np.inf]))
    Array([False,  True], dtype=bool)
    """
    return _is_infinity("isneginf", x, -math.inf)


def iscomplex(x: ArrayLike, /) -> Array:
    """Whether the imaginary part is not zero, elementwise.

    >>> iscomplex(np.array([1 + 0j, 1j]))
    Array([False,  True], dtype=bool)
    """
    x = as_array("iscomplex", x)
    if not dtypes.is_complex(x.dtype):
        return _false(x)
    part = _imag(x)
    return ne(part, scalar(0, part.dtype))


def isreal(x: ArrayLike, /) -> Array:
    """Whether the imaginary part is zero, elementwise.

    >>> isreal(np.array([1 + 0j, 1j]))
    Array([ True, False], dtype=bool)
    """
    return bitwise_not(iscomplex(x))


# Closeness


def isclose(
    x: ArrayLike,
    y: ArrayLike,
    rtol: ArrayLike = 1e-05,
    atol: ArrayLike = 1e-08,
    equal_nan: bool = False,
) -> Array:
    """Whether abs(x - y) <= atol + rtol * abs(y), elementwise; equal infinities are close.

    >>> isclose(np.array([1.0, np.inf]), np.array([1.0 + 1e-9, np.inf]))
    Array([ True,  True], dtype=bool)
    """
    x, y = promote_inexact("isclose", x, y)
    real = dtypes.real_of(x.dtype)
    rtol, atol = (as_array("isclose", tolerance, real) for tolerance in (rtol, atol))
    near = le(abs_(sub(x, y)), add(atol, mul(rtol, abs_(y))))
    both_finite = bitwise_and(is_finite(x), is_finite(y))
    close = bitwise_or(bitwise_and(both_finite, near), eq(x, y))
    return bitwise_or(close, bitwise_and(ne(x, x), ne(y, y))) if equal_nan else close


def allclose(
    x: ArrayLike,
    y: ArrayLike,
    rtol: ArrayLike = 1e-05,
    atol: ArrayLike = 1e-08,
    equal_nan: bool = False,
) -> Array:
    """Whether `isclose` holds for all elements.

    >>> allclose(np.array([1.0, 2.0]), 1.0)
    Array(False, dtype=bool)
    """
    return reduce_and(isclose(x, y, rtol, atol, equal_nan))


def array_equal(x: Any, y: Any, equal_nan: bool = False) -> Array:
    """Whether x and y have the same shape and elements.

    >>> array_equal(np.array([1, 2]), np.array([1, 2]))
    Array(True, dtype=bool)
    """
    x, y = _either(x), _either(y)
    if x.shape != y.shape:
        return scalar(False, dtypes.bool_)
    return _all_equal(x, y, equal_nan)


def array_equiv(x: Any, y: Any) -> Array:
    """Whether x and y, broadcast to a common shape, have the same elements.

    >>> array_equiv(np.array([1, 1]), 1)
    Array(True, dtype=bool)
    """
    x, y = _either(x), _either(y)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return scalar(False, dtypes.bool_)
    return _all_equal(x, y, False)


def _either(x: Any) -> Array:
    return as_array("array_equal", np.asarray(x) if isinstance(x, (list, tuple)) else x)


def _all_equal(x: Array, y: Array, equal_nan: bool) -> Array:
    x, y = promote("array_equal", x, y)
    same = eq(x, y)
    return reduce_and(bitwise_or(same, bitwise_and(ne(x, x), ne(y, y))) if equal_nan else same)
