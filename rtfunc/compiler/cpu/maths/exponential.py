"""Exponentials, the hyperbolic functions made of them, and the logistic function.

All share one reduction: x = n log(2) + r with |r| ≤ log(2)/2, exp(x) = 2^n exp(r), in the manner of
W. Cody and W. Waite, "Software Manual for the Elementary Functions" (1980), with fused
multiply-adds; and one polynomial, for (exp(r) - 1 - r)/r². Powers of two are assembled in the
exponent bits, where the processor has no instruction that scales by them. Depends on `lanes` and
`coefficients`.
"""

from __future__ import annotations

from . import coefficients as c
from .lanes import EXPONENT_BIAS, MANTISSA_BITS, Lanes, fma, polynomial, round_product

EXP_RANGE = {32: (-104.0, 89.0), 64: (-746.0, 710.0)}
"""Arguments below and above give 0 and inf."""

EXP2_RANGE = {32: (-151.0, 129.0), 64: (-1076.0, 1025.0)}
"""The same for powers of two."""

TANH_SATURATES = {32: 9.02, 64: 19.1}
"""From here tanh(x) rounds to 1."""

EXPM1_SATURATES = {32: -18.0, 64: -38.0}
"""From here down exp(x) - 1 rounds to -1."""

NEGLIGIBLE_SQUARE = {32: 2.0**-25, 64: 2.0**-54}
"""Below this in magnitude, x + x² rounds to x."""


def reduce_exponent(x: Lanes, offset: int) -> tuple[Lanes, Lanes]:
    """r = x - n log(2), and an integer whose low bits hold n + offset."""
    r, _, stored = _reduced(x, offset)
    return r, stored


def _reduced(x: Lanes, offset: int) -> tuple[Lanes, Lanes, Lanes]:
    """`reduce_exponent` with n as a number too, in the middle."""
    high, low = c.LN2[x.bits]
    n, stored = round_product(x, c.LOG2_E[x.bits][0], offset)
    r = fma(n, -low, fma(n, -high, x))
    return r, n, stored


def power_of_two(stored: Lanes) -> Lanes:
    """2^n where the low bits of `stored` hold n + bias, for n in the range of normal numbers."""
    return (stored << MANTISSA_BITS[stored.bits]).as_float()


def halved_powers_of_two(stored: Lanes) -> tuple[Lanes, Lanes]:
    """Two factors of 2^n, of nearly the same size; the low bits of `stored` hold n + 2·bias.

    Multiplying by one and then by the other rounds once, and reaches denormal numbers and infinity,
    whose powers of two have no exponent bits.
    """
    half = stored.shift_right_unsigned(1)
    return power_of_two(half), power_of_two(stored - half)


def scaled(x: Lanes, n: Lanes, stored: Lanes) -> Lanes:
    """x 2^n, rounded once; the low bits of `stored` hold n + 2·bias."""
    if x.has_scaling:
        return x.times_power_of_two(n)
    first, second = halved_powers_of_two(stored)
    return x * first * second


def exp_of_remainder(r: Lanes) -> Lanes:
    """exp(r) = 1 + r + r² P(r) for |r| ≤ log(2)/2."""
    return polynomial(r, (1.0, 1.0, *c.EXPM1[r.bits]))


def expm1_of_remainder(r: Lanes) -> Lanes:
    """exp(r) - 1 = r + r² P(r) for |r| ≤ log(2)/2, with small relative error."""
    return fma(r * r, polynomial(r, c.EXPM1[r.bits]), r)


def exp_normal(x: Lanes) -> Lanes:
    """exp(x) where the result is known to be a normal number."""
    r, stored = reduce_exponent(x, EXPONENT_BIAS[x.bits])
    return exp_of_remainder(r) * power_of_two(stored)


def exp(x: Lanes) -> Lanes:
    """exp(x) = 2^n exp(r).

    Where the result is 0, as for the masked entries of a softmax, the arithmetic is done on 0 instead: a
    product that underflows takes the processor a hundred cycles.
    """
    low, high = EXP_RANGE[x.bits]
    vanishes = x < low
    r, n, stored = _reduced(vanishes.select(0.0, x).at_most(high), 2 * EXPONENT_BIAS[x.bits])
    return vanishes.select(0.0, scaled(exp_of_remainder(r), n, stored))


def exp2(x: Lanes) -> Lanes:
    """2^x = 2^n exp(log(2) (x - n)), exact for integers."""
    low, high = EXP2_RANGE[x.bits]
    x = x.at_least(low).at_most(high)
    n, stored = round_product(x, 1.0, 2 * EXPONENT_BIAS[x.bits])
    return scaled(exp_of_remainder((x - n) * c.LN2[x.bits][0]), n, stored)


def expm1(x: Lanes) -> Lanes:
    """exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1), doubled last so that 2^n cannot overflow."""
    high = EXP_RANGE[x.bits][1]
    clamped = x.at_least(EXPM1_SATURATES[x.bits]).at_most(high)
    r, stored = reduce_exponent(clamped, EXPONENT_BIAS[x.bits] - 1)
    half = power_of_two(stored)
    value = fma(half, expm1_of_remainder(r), half - 0.5)
    return (x.abs() < NEGLIGIBLE_SQUARE[x.bits]).select(x, value + value)


def half_exp(magnitude: Lanes) -> Lanes:
    """exp(a)/2 for a ≥ 0, finite wherever cosh(a) is."""
    a = magnitude.at_most(EXP_RANGE[magnitude.bits][1] + 1)
    r, stored = reduce_exponent(a, EXPONENT_BIAS[a.bits] - 4)
    return exp_of_remainder(r) * power_of_two(stored) * 8.0


def sinh(x: Lanes) -> Lanes:
    """sinh(x) = exp(x)/2 - exp(-x)/2, and x + x³ P(x²) for |x| < 1."""
    a = x.abs()
    h = half_exp(a)
    far = (h - 0.25 / h).with_sign_of(x)
    z = x * x
    near = fma(x * z, polynomial(z, c.SINH[x.bits]), x)
    return (a < 1.0).select(near, far)


def cosh(x: Lanes) -> Lanes:
    """cosh(x) = exp(x)/2 + exp(-x)/2."""
    h = half_exp(x.abs())
    return h + 0.25 / h


def tanh(x: Lanes) -> Lanes:
    """tanh(x) = 1 - 2 / (exp(2x) + 1), and x + x³ P(x²) for |x| < 0.625."""
    a = x.abs()
    limited = a.at_most(TANH_SATURATES[x.bits])
    r, stored = reduce_exponent(limited + limited, EXPONENT_BIAS[x.bits])
    inverse = 2.0 / fma(exp_of_remainder(r), power_of_two(stored), 1.0)
    z = x * x
    near = fma(x * z, polynomial(z, c.TANH[x.bits]), x)
    return (a < 0.625).select(near, 1.0 - inverse).with_sign_of(x)


def logistic(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x)), as exp(x) / (1 + exp(x)) for negative x, which keeps denormal results."""
    z = exp(-x.abs())
    return (x < 0.0).select(z, x.like(1.0)) / (z + 1.0)
