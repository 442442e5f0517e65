"""Rounding and classification of floats: no derivative. Depends on `elementwise`."""

from __future__ import annotations

from rtfunc.core import dtypes
from rtfunc.ops.elementwise import elementwise, unary

floor_p = elementwise("floor", "floor", over=dtypes.floats)
floor = unary(floor_p, "The largest integer not above x, elementwise.")

ceil_p = elementwise("ceil", "ceil", over=dtypes.floats)
ceil = unary(ceil_p, "The smallest integer not below x, elementwise.")

trunc_p = elementwise("trunc", "trunc", over=dtypes.floats)
trunc = unary(trunc_p, "x without its fraction, elementwise.")

round_p = elementwise("round", "rint", over=dtypes.floats)
round_ = unary(round_p, "The nearest integer, halves to even, elementwise.")

is_finite_p = elementwise(
    "is_finite", "isfinite", over=dtypes.inexacts, out=lambda dtype: dtypes.bool_
)
is_finite = unary(is_finite_p, "Whether x is neither infinite nor NaN, elementwise.")
