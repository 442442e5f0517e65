"""Logarithms and the inverse hyperbolic functions made of them.

All share one reduction: x = 2^e (1 + f) with 2/3 ≤ 1 + f < 4/3, so that e = 0 around x = 1 and
log(1 + f) carries the relative accuracy there. In float32 log(1 + f) = f - f²/2 + f³ P(f); in
float64, where P would need 19 terms, the variable is s = f / (2 + f): log(1 + f) =
2s + s³ P(s²) = f - s (f - s² P(s²)), as in fdlibm's e_log.c (Sun Microsystems, 1993).
Depends on `lanes` and `coefficients`.
"""

from __future__ import annotations

import math

import numpy as np

from . import coefficients as c
from .lanes import (
    EXPONENT_BIAS,
    MANTISSA_BITS,
    SMALLEST_NORMAL,
    Lanes,
    fma,
    polynomial,
)

BITS_OF_TWO_THIRDS = {
    32: int(np.float32(2 / 3).view(np.int32)),
    64: int(np.float64(2 / 3).view(np.int64)),
}
BITS_OF_MANTISSA_POWER = {
    bits: (EXPONENT_BIAS[bits] + MANTISSA_BITS[bits]) << MANTISSA_BITS[bits] for bits in (32, 64)
}
"""Stored bits of 2^23 or 2^52: an integer placed in the low bits adds itself to the number."""

DENORMAL_SHIFT = {32: 24, 64: 54}
"""Denormal arguments are multiplied by two to this power."""

LARGE = {32: 2.0**60, 64: 2.0**500}
"""From here x² might overflow, and asinh(x) and acosh(x) round to log(x) + log(2)."""


def split_exponent(x: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """Biased e as an integer, e << mantissa bits, and f = m - 1 with x = 2^e m, 2/3 ≤ m < 4/3.

    Holds for positive normal numbers.
    """
    bits, mantissa = x.bits, MANTISSA_BITS[x.bits]
    one = EXPONENT_BIAS[bits] << mantissa
    stored = x.as_integer()
    shifted = stored + (one - BITS_OF_TWO_THIRDS[bits])
    biased = shifted.shift_right_unsigned(mantissa)
    in_place = (biased << mantissa) - one
    return biased, in_place, (stored - in_place).as_float() - 1.0


def exponent_as_number(biased: Lanes, denormal: Lanes | None = None) -> Lanes:
    """e as a floating-point number, without an integer conversion.

    Less `DENORMAL_SHIFT` where the condition `denormal` holds.
    """
    bits = biased.bits
    number = (biased | BITS_OF_MANTISSA_POWER[bits]).as_float()
    zero = 2.0 ** MANTISSA_BITS[bits] + EXPONENT_BIAS[bits]
    if denormal is None:
        return number - zero
    return number - denormal.select(number.like(zero + DENORMAL_SHIFT[bits]), zero)


def log1p_tail(f: Lanes) -> Lanes:
    """log(1 + f) - f for -1/3 ≤ f ≤ 1/3."""
    if f.bits == 32:
        return fma(polynomial(f, c.LOG[32]), f, -0.5) * (f * f)
    s = f / (f + 2.0)
    z = s * s
    return -s * fma(z, -polynomial(z, c.LOG_ODD[64]), f)


def reduce_logarithm(x: Lanes, may_be_denormal: bool = True) -> tuple[Lanes, Lanes, Lanes]:
    """e, f and log(1 + f) - f with x = 2^e (1 + f), for positive finite x."""
    if not may_be_denormal:
        biased, _, f = split_exponent(x)
        return exponent_as_number(biased), f, log1p_tail(f)
    is_denormal = x < SMALLEST_NORMAL[x.bits]
    biased, _, f = split_exponent(is_denormal.select(x * 2.0 ** DENORMAL_SHIFT[x.bits], x))
    return exponent_as_number(biased, is_denormal), f, log1p_tail(f)


def combine_logarithm(e: Lanes, f: Lanes, tail: Lanes) -> Lanes:
    """e log(2) + f + tail."""
    high, low = c.LN2[e.bits]
    # In float32 log(2) is by luck known to 2^-29 in one number, and the low part is not felt.
    tail = tail if e.bits == 32 else fma(e, low, tail)
    return fma(e, high, f + tail)


def at_the_edges(x: Lanes, value: Lanes) -> Lanes:
    """`value` for 0 < x < inf; -inf at ±0, inf at inf, NaN for NaN and below zero."""
    value = (x > 0.0).select(value, x.equals(0.0).select(x.like(-math.inf), x.like(math.nan)))
    return x.equals(math.inf).select(x, value)


def log_positive(x: Lanes) -> Lanes:
    """log(x) for normal, finite x > 0."""
    return combine_logarithm(*reduce_logarithm(x, may_be_denormal=False))


def log(x: Lanes) -> Lanes:
    """log(x) = e log(2) + log(1 + f)."""
    return at_the_edges(x, combine_logarithm(*reduce_logarithm(x)))


def log2(x: Lanes) -> Lanes:
    """log2(x) = e + log(1 + f) log2(e), exact for powers of two."""
    e, f, tail = reduce_logarithm(x)
    high, low = c.LOG2_E[x.bits]
    fraction = fma(f, high, fma(tail, high, f * low))
    return at_the_edges(x, e + fraction)


def log10(x: Lanes) -> Lanes:
    """log10(x) = e log10(2) + log(1 + f) log10(e)."""
    e, f, tail = reduce_logarithm(x)
    high, low = c.LOG10_E[x.bits]
    two_high, two_low = c.LOG10_2[x.bits]
    fraction = fma(f, high, fma(tail, high, fma(f, low, e * two_low)))
    return at_the_edges(x, fma(e, two_high, fraction))


def log1p_above_minus_one(x: Lanes) -> Lanes:
    """log(1 + x) for finite x > -1 whose square counts.

    u = 1 + x is rounded: what it lost is exact in the format and is added to f, scaled as u is.
    """
    bits = x.bits
    u = x + 1.0
    biased, in_place, f = split_exponent(u)
    lost = (x > 1.0).select(1.0 - (u - x), x - (u - 1.0))
    # 2^(1 - e), which is still a number where e is largest
    bits_of_two = (EXPONENT_BIAS[bits] + 1) << MANTISSA_BITS[bits]
    scale = (in_place.like(bits_of_two) - in_place).as_float()
    f = fma(lost * 0.5, scale, f)
    return combine_logarithm(exponent_as_number(biased), f, log1p_tail(f))


def log1p(x: Lanes) -> Lanes:
    """log(1 + x), accurate for small x."""
    value = at_the_edges(x + 1.0, log1p_above_minus_one(x))
    return (x.abs() < 2.0 ** -(MANTISSA_BITS[x.bits] + 2)).select(x, value)


def asinh(x: Lanes) -> Lanes:
    """asinh(a) = log1p(a + a² / (1 + √(1 + a²))), and log(2a) for large a = |x|."""
    a = x.abs()
    square = a * a
    large = a > LARGE[x.bits]
    argument = large.select(a, a + square / ((square + 1.0).sqrt() + 1.0))
    value = log1p_above_minus_one(argument)
    value = large.select(value + math.log(2), value)
    value = (a < 2.0 ** -(MANTISSA_BITS[x.bits] // 2 + 2)).select(a, value)
    return (a < math.inf).select(value, a).with_sign_of(x)


def acosh(x: Lanes) -> Lanes:
    """acosh(x) = log1p(t + √(t² + 2t)) with t = x - 1, and log(2x) for large x."""
    t = x - 1.0
    large = x > LARGE[x.bits]
    argument = large.select(x, t + fma(t, t, t + t).sqrt())
    value = log1p_above_minus_one(argument)
    value = large.select(value + math.log(2), value)
    value = (x >= 1.0).select(value, x.like(math.nan))
    return x.equals(math.inf).select(x, value)


def atanh(x: Lanes) -> Lanes:
    """atanh(a) = log1p(2a / (1 - a)) / 2, of a = |x| with the sign of x put back."""
    a = x.abs()
    value = log1p_above_minus_one((a + a) / (1.0 - a)) * 0.5
    value = (a < 2.0 ** -(MANTISSA_BITS[x.bits] // 2 + 2)).select(a, value)
    value = (a < 1.0).select(value, a.equals(1.0).select(a.like(math.inf), a.like(math.nan)))
    return value.with_sign_of(x)
