"""Floats rounded and taken apart: rounding to integers and decimals, signs, mantissas, exponents.

Rounding leaves integers as they are, as the array API standard has it. Depends on `elementwise`.
"""

from __future__ import annotations

import math

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.numpy.arguments import as_integer, constant, refuse_out
from rtfunc.numpy.elementwise import floor_divide
from rtfunc.ops.arithmetic import add, div, maximum, minimum, mul, neg, nextafter, sub
from rtfunc.ops.comparison import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    eq,
    gt,
    lt,
    ne,
    shift_left,
    shift_right_arithmetic,
)
from rtfunc.ops.complex import abs_, complex_
from rtfunc.ops.complex import imag as _imag
from rtfunc.ops.complex import real as _real
from rtfunc.ops.convert import as_array, bitcast, convert, owned_array, promote_inexact, scalar
from rtfunc.ops.rounding import ceil as _ceil
from rtfunc.ops.rounding import floor as _floor
from rtfunc.ops.rounding import is_finite, round_
from rtfunc.ops.rounding import trunc as _trunc
from rtfunc.ops.select import select
from rtfunc.ops.shape import full

# Rounding


def floor(x: ArrayLike, /) -> Array:
    """The largest integer not above x, elementwise; integers as they are.

    >>> floor(np.float32(-1.5))
    Array(-2., dtype=float32)
    """
    x = owned_array("floor", x)
    return x if x.dtype.kind in "biu" else _floor(x)


def ceil(x: ArrayLike, /) -> Array:
    """The smallest integer not below x, elementwise; integers as they are.

    >>> ceil(np.float32(1.2))
    Array(2., dtype=float32)
    """
    x = owned_array("ceil", x)
    return x if x.dtype.kind in "biu" else _ceil(x)


def trunc(x: ArrayLike, /) -> Array:
    """x without its fraction, elementwise; integers as they are.

    >>> trunc(np.float32(-1.7))
    Array(-1., dtype=float32)
    """
    x = owned_array("trunc", x)
    return x if x.dtype.kind in "biu" else _trunc(x)


fix = trunc


def rint(x: ArrayLike, /) -> Array:
    """The nearest integer as a float, halves to even; the parts of complex numbers by themselves.

    >>> rint(np.array([0.5, 1.5], "float32"))
    Array([0., 2.], dtype=float32)
    """
    (x,) = promote_inexact("rint", x)
    if dtypes.is_complex(x.dtype):
        return complex_(round_(_real(x)), round_(_imag(x)))
    return round_(x)


def round(x: ArrayLike, decimals: int = 0, *, out: None = None) -> Array:
    """x rounded to `decimals` places, halves to even; to tens for -1, and so on.

    >>> round(np.array([1.25, -0.51], "float32"), 1)
    Array([ 1.2, -0.5], dtype=float32)
    """
    refuse_out("round", out)
    x, decimals = owned_array("round", x), as_integer("round", "decimals", decimals)
    if x.dtype == dtypes.bool_:
        return x
    if dtypes.is_integer(x.dtype):
        return x if decimals >= 0 else _round_integer(x, 10**-decimals)
    if dtypes.is_complex(x.dtype):
        return complex_(round(_real(x), decimals), round(_imag(x), decimals))
    if decimals == 0:
        return round_(x)
    wide = convert(x, dtypes.compute_dtype(x.dtype))
    limit = math.log10(float(dtypes.finfo(wide.dtype).max))
    if abs(decimals) > limit:  # no number has such decimals, and none is half as large
        return x if decimals > 0 else mul(x, constant(0, x))
    factor = constant(10.0 ** abs(decimals), wide)
    if decimals > 0:
        # Numbers so large that they have no such decimals would overflow.
        scaled = mul(wide, factor)
        wide = select(is_finite(scaled), div(round_(scaled), factor), wide)
    else:
        wide = mul(round_(div(wide, factor)), factor)
    return convert(wide, x.dtype, x.weak_type)


around = round


def _round_integer(x: Array, unit: int) -> Array:
    if unit > dtypes.iinfo(x.dtype).max:
        return mul(x, constant(0, x))
    one, step = (constant(v, x) for v in (1, unit))
    quotient = floor_divide(x, step)
    rest = sub(x, mul(quotient, step))
    missing = sub(step, rest)
    odd = eq(bitwise_and(quotient, one), one)
    up = bitwise_or(gt(rest, missing), bitwise_and(eq(rest, missing), odd))
    return mul(select(up, add(quotient, one), quotient), step)


def modf(x: ArrayLike, /) -> tuple[Array, Array]:
    """The fraction and the integer part of x, both with the sign of x.

    >>> modf(np.float32(-2.5))
    (Array(-0.5, dtype=float32), Array(-2., dtype=float32))
    """
    (x,) = promote_inexact("modf", x)
    whole = _trunc(x)
    return sub(x, whole), whole


# Signs and exponents


def _bits_dtype(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"int{dtype.itemsize * 8}")


def signbit(x: ArrayLike, /) -> Array:
    """Whether the sign bit is set, elementwise: true for -0.0 as well.

    >>> signbit(np.array([-0.0, 0.0], "float32"))
    Array([ True, False], dtype=bool)
    """
    x = as_array("signbit", x)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"signbit takes real numbers, not {x.dtype}."))
    if dtypes.is_float(x.dtype):
        x = bitcast(x, _bits_dtype(x.dtype))
    return lt(x, constant(0, x))


def copysign(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x with the sign of y, elementwise.

    >>> copysign(np.float32(3), -0.0)
    Array(-3., dtype=float32)
    """
    x, y = promote_inexact("copysign", x, y)
    x = convert(x, x.dtype, x.weak_type and y.weak_type)
    return select(ne(signbit(x), signbit(y)), neg(x), x)


def spacing(x: ArrayLike, /) -> Array:
    """The distance from x to the next float away from zero, with the sign of x.

    >>> spacing(np.float32(1.0)) == np.finfo("float32").eps
    Array(True, dtype=bool)
    """
    (x,) = promote_inexact("spacing", x)
    size = abs_(x)
    return copysign(sub(nextafter(size, full((), math.inf, x.dtype)), size), x)


def frexp(x: ArrayLike, /) -> tuple[Array, Array]:
    """A mantissa in [0.5, 1) with the sign of x, and an integer exponent: x = mantissa 2**exponent.

    Zero, infinities and NaN are returned as they are with exponent 0.

    >>> frexp(np.float32(-6.0))
    (Array(-0.75, dtype=float32), Array(3, dtype=int32))
    """
    (x,) = promote_inexact("frexp", x)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"frexp takes real numbers, not {x.dtype}."))
    dtype = x.dtype
    wide = convert(x, dtypes.compute_dtype(dtype))
    info = dtypes.finfo(wide.dtype)
    # Subnormal numbers are scaled up first.
    tiny = lt(abs_(wide), constant(info.smallest_normal, wide))
    lift = int(info.nmant) + 1
    scaled = select(tiny, mul(wide, constant(2.0**lift, wide)), wide)
    bits = bitcast(scaled, _bits_dtype(wide.dtype))
    mask = (1 << int(info.nexp)) - 1
    biased = shift_right_arithmetic(bits, constant(info.nmant, bits))
    biased = bitwise_and(biased, constant(mask, bits))
    offset = select(tiny, constant(lift, bits), constant(0, bits))
    exponent = sub(sub(biased, constant((mask >> 1) - 1, bits)), offset)
    plain = bitwise_or(eq(wide, constant(0, wide)), bitwise_not(is_finite(wide)))
    exponent = select(plain, constant(0, bits), exponent)
    # Multiplication by powers of two is exact and carries the derivative; in two steps, for 2**-e
    # of a subnormal number overflows.
    half = div(exponent, constant(2, bits))
    down = mul(wide, _power_of_two(neg(half), wide.dtype))
    mantissa = mul(down, _power_of_two(sub(half, exponent), wide.dtype))
    return convert(mantissa, dtype, x.weak_type), convert(exponent, dtypes.int32)


def _power_of_two(exponent: Array, dtype: np.dtype) -> Array:
    """2.0**exponent, made of bits, in float32 or float64; the result must be a normal number."""
    info = dtypes.finfo(dtype)
    bits = _bits_dtype(dtype)
    bias = scalar((1 << (int(info.nexp) - 1)) - 1, bits)
    return bitcast(shift_left(add(convert(exponent, bits), bias), scalar(info.nmant, bits)), dtype)


def ldexp(x: ArrayLike, exponent: ArrayLike, /) -> Array:
    """x * 2**exponent, elementwise; `exponent` is an integer.

    >>> ldexp(np.float32(0.75), 3)
    Array(6., dtype=float32)
    """
    exponent = as_array("ldexp", exponent)
    if not dtypes.is_integer(exponent.dtype) and exponent.dtype != dtypes.bool_:
        raise DtypeError(at_user_line(f"ldexp takes integer exponents, not {exponent.dtype}."))
    (x,) = promote_inexact("ldexp", x)
    dtype = x.dtype
    if dtypes.is_complex(dtype):
        raise DtypeError(at_user_line(f"ldexp takes real numbers, not {dtype}."))
    wide = convert(x, dtypes.compute_dtype(dtype))
    info = dtypes.finfo(wide.dtype)
    # Three steps reach every result from every operand, each factor being a normal number.
    step = int(info.maxexp) - 2
    left = convert(exponent, dtypes.int64 if exponent.dtype.itemsize == 8 else dtypes.int32)
    for _ in range(3):
        low, high = constant(-step, left), constant(step, left)
        part = minimum(maximum(left, low), high)
        wide = mul(wide, _power_of_two(part, wide.dtype))
        left = sub(left, part)
    return convert(wide, dtype, x.weak_type)


# Replacing


def nan_to_num(
    x: ArrayLike,
    copy: bool = True,
    nan: ArrayLike = 0.0,
    posinf: ArrayLike | None = None,
    neginf: ArrayLike | None = None,
) -> Array:
    """x with NaN replaced by `nan` and infinities by the given values or the largest finite ones.

    >>> nan_to_num(np.array([np.nan, 2.0], "float32"))
    Array([0., 2.], dtype=float32)
    """
    x = owned_array("nan_to_num", x)
    if not dtypes.is_inexact(x.dtype):
        return x
    if dtypes.is_complex(x.dtype):
        parts = (nan_to_num(p, copy, nan, posinf, neginf) for p in (_real(x), _imag(x)))
        return complex_(*parts)
    info = dtypes.finfo(x.dtype)
    top = info.max if posinf is None else posinf
    bottom = info.min if neginf is None else neginf
    infinity = constant(math.inf, x)
    nan, top, bottom = (as_array("nan_to_num", v, x.dtype) for v in (nan, top, bottom))
    replaced = select(eq(x, infinity), top, select(eq(x, neg(infinity)), bottom, x))
    return select(ne(x, x), nan, replaced)
