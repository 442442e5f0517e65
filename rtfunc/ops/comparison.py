"""Comparison, logic and bits: results are booleans or integers, no derivative flows.

Depends on `elementwise`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.primitive import Primitive
from rtfunc.ops.elementwise import binary, elementwise, unary


def _comparison(name: str, kernel: str, over: tuple[np.dtype, ...]) -> Primitive:
    return elementwise(name, kernel, over=over, out=lambda dtype: dtypes.bool_, half=False)


_ordered = (dtypes.bool_, *dtypes.numeric)

eq_p = _comparison("eq", "equal", dtypes.everything)
eq = binary(eq_p, "x == y, elementwise.")
ne_p = _comparison("ne", "not_equal", dtypes.everything)
ne = binary(ne_p, "x != y, elementwise.")
lt_p = _comparison("lt", "less", _ordered)
lt = binary(lt_p, "x < y, elementwise.")
le_p = _comparison("le", "less_equal", _ordered)
le = binary(le_p, "x <= y, elementwise.")
gt_p = _comparison("gt", "greater", _ordered)
gt = binary(gt_p, "x > y, elementwise.")
ge_p = _comparison("ge", "greater_equal", _ordered)
ge = binary(ge_p, "x >= y, elementwise.")

_bits = (dtypes.bool_, *dtypes.integers)

and_p = elementwise("and", "bitwise_and", over=_bits)
bitwise_and = binary(and_p, "x & y, elementwise, of integers or booleans.")
or_p = elementwise("or", "bitwise_or", over=_bits)
bitwise_or = binary(or_p, "x | y, elementwise, of integers or booleans.")
xor_p = elementwise("xor", "bitwise_xor", over=_bits)
bitwise_xor = binary(xor_p, "x ^ y, elementwise, of integers or booleans.")
not_p = elementwise("not", "invert", over=_bits)
bitwise_not = unary(not_p, "~x, elementwise, of integers or booleans.", inexact=False)


def _width(x: Any) -> int:
    return x.dtype.itemsize * 8


def _inside(xp: Any, x: Any, y: Any) -> Any:
    """Where the shift count is between 0 and the width: beyond it all bits are shifted out."""
    return (y >= 0) & (y < _width(x)) if y.dtype.kind == "i" else y < _width(x)


def _shift_left(xp: Any, x: Any, y: Any) -> Any:
    inside = _inside(xp, x, y)
    return xp.where(inside, xp.left_shift(x, xp.where(inside, y, 0)), 0).astype(x.dtype)


def _shift_right_arithmetic(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind == "u":  # the sign bit that fills is 0
        return _shift_right_logical(xp, x, y)
    last = y.dtype.type(_width(x) - 1)
    return xp.right_shift(x, xp.where(_inside(xp, x, y), y, last)).astype(x.dtype)


def _shift_right_logical(xp: Any, x: Any, y: Any) -> Any:
    unsigned = np.dtype(f"uint{_width(x)}")
    inside = _inside(xp, x, y)
    count = xp.where(inside, y, 0).astype(unsigned)
    shifted = xp.right_shift(x.astype(unsigned), count)
    return xp.where(inside, shifted, unsigned.type(0)).astype(x.dtype)


shift_left_p = elementwise("shift_left", _shift_left, over=dtypes.integers)
shift_left = binary(
    shift_left_p, "x << y, elementwise; 0 where y is negative or not below the width."
)
shift_right_arithmetic_p = elementwise(
    "shift_right_arithmetic", _shift_right_arithmetic, over=dtypes.integers
)
shift_right_arithmetic = binary(
    shift_right_arithmetic_p, "x >> y, elementwise, filling with the sign bit."
)
shift_right_logical_p = elementwise(
    "shift_right_logical", _shift_right_logical, over=dtypes.integers
)
shift_right_logical = binary(shift_right_logical_p, "x >> y, elementwise, filling with zeros.")


def _population_count(xp: Any, x: Any) -> Any:
    unsigned = x.astype(np.dtype(f"uint{_width(x)}"))
    return xp.bitwise_count(unsigned).astype(x.dtype)


def _count_leading_zeros(xp: Any, x: Any) -> Any:
    value = x.astype(np.dtype(f"uint{_width(x)}"))
    step = 1
    while step < _width(x):  # copy the highest set bit into all lower ones
        value = value | xp.right_shift(value, value.dtype.type(step))
        step *= 2
    return (_width(x) - xp.bitwise_count(value).astype(np.int64)).astype(x.dtype)


population_count_p = elementwise("population_count", _population_count, over=dtypes.integers)
population_count = unary(population_count_p, "Number of set bits, elementwise.", inexact=False)
clz_p = elementwise("clz", _count_leading_zeros, over=dtypes.integers)
clz = unary(clz_p, "Number of leading zero bits, elementwise.", inexact=False)
