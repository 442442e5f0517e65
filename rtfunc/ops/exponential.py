"""Exponentials, logarithms, the logistic function and general powers. Depends on `arithmetic`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.ops.arithmetic import add, div, mul, sub
from rtfunc.ops.comparison import bitwise_and, eq
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import binary, elementwise, unary
from rtfunc.ops.select import select

LN2, LN10 = float(np.log(2.0)), float(np.log(10.0))

exp_p = elementwise(
    "exp",
    "exp",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, y),),
)
exp = unary(exp_p, "e**x, elementwise.")

exp2_p = elementwise(
    "exp2",
    "exp2",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, mul(scalar(LN2, x.dtype), y)),),
)
exp2 = unary(exp2_p, "2**x, elementwise.")

expm1_p = elementwise(
    "expm1",
    "expm1",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, add(y, scalar(1, x.dtype))),),
)
expm1 = unary(expm1_p, "e**x - 1, elementwise, accurate near 0.")

log_p = elementwise(
    "log",
    "log",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: div(t, x),),
)
log = unary(log_p, "Natural logarithm, elementwise; NaN for negative real x.")

log2_p = elementwise(
    "log2",
    "log2",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: div(t, mul(scalar(LN2, x.dtype), x)),),
)
log2 = unary(log2_p, "Logarithm to base 2, elementwise.")

log10_p = elementwise(
    "log10",
    "log10",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: div(t, mul(scalar(LN10, x.dtype), x)),),
)
log10 = unary(log10_p, "Logarithm to base 10, elementwise.")

log1p_p = elementwise(
    "log1p",
    "log1p",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: div(t, add(x, scalar(1, x.dtype))),),
)
log1p = unary(log1p_p, "log(1 + x), elementwise, accurate near 0.")


def _logistic_impl(xp: Any, x: Any) -> Any:
    one = x.dtype.type(1)
    return xp.true_divide(one, one + xp.exp(-x))


logistic_p = elementwise(
    "logistic",
    _logistic_impl,
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, mul(y, sub(scalar(1, x.dtype), y))),),
)
logistic = unary(logistic_p, "1 / (1 + exp(-x)), elementwise: the sigmoid function.")


def _logaddexp_impl(xp: Any, x: Any, y: Any) -> Any:
    return xp.logaddexp(x, y)


logaddexp_p = elementwise(
    "logaddexp",
    _logaddexp_impl,
    over=dtypes.floats,
    derivatives=(
        lambda t, z, x, y: mul(t, exp(_difference(x, z))),
        lambda t, z, x, y: mul(t, exp(_difference(y, z))),
    ),
)
logaddexp = binary(logaddexp_p, "log(exp(x) + exp(y)), elementwise.", inexact=True)


def _difference(x: Any, z: Any) -> Any:
    """x - z, with 0 where both are the same infinity."""
    return select(eq(x, z), scalar(0, x.dtype), sub(x, z))


def _power_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind in "iu":
        return _integer_power_by_squaring(xp, x, y)
    return xp.power(x, y)


def _integer_power_by_squaring(xp: Any, x: Any, y: Any) -> Any:
    """x**y for integer arrays, wrapping; negative exponents give 0 except for bases 1 and -1."""
    x, y = xp.broadcast_arrays(x, y)
    result, base, left = xp.ones_like(x), x.copy(), xp.maximum(y, 0)
    while left.size and left.max() > 0:
        result = xp.where(left & 1 == 1, result * base, result)
        base = base * base
        left = left >> 1
    if y.dtype.kind == "i":
        odd = xp.where(y & 1 == 1, x, xp.ones_like(x))
        result = xp.where(y < 0, xp.where(x == 1, x, xp.where(x == -1, odd, x * 0)), result)
    return result.astype(x.dtype)


def _power_by_exponent(t: Any, z: Any, x: Any, y: Any) -> Any:
    """t z log(x), with the limit 0 where x = 0 and the power vanishes."""
    base = select(eq(x, scalar(0, x.dtype)), scalar(1, x.dtype), x)
    return mul(t, mul(z, log(base)))


def _power_by_base(t: Any, z: Any, x: Any, y: Any) -> Any:
    """t y x**(y-1), 0 where x = y = 0."""
    zero, one = scalar(0, y.dtype), scalar(1, y.dtype)
    exponent = select(bitwise_and(eq(x, zero), eq(y, zero)), one, sub(y, one))
    return mul(t, mul(y, power(x, exponent)))


pow_p = elementwise(
    "pow",
    _power_impl,
    over=dtypes.numeric,
    derivatives=(_power_by_base, _power_by_exponent),
)
power = binary(pow_p, "x**y, elementwise.")
