"""Powers and roots. Depends on `lanes`, `coefficients` and the reductions of exp and log."""

from __future__ import annotations

import math

from . import coefficients as c
from .exponential import halved_powers_of_two, power_of_two, reduce_exponent
from .lanes import EXPONENT_BIAS, SMALLEST_NORMAL, Lanes, fma, polynomial
from .logarithm import DENORMAL_SHIFT, exponent_as_number, split_exponent
from .trigonometric import sign_mask

Pair = tuple[Lanes, Lanes]
"""A number as an unevaluated sum of a rounded number and what rounding it lost."""


def sqrt(x: Lanes) -> Lanes:
    """√x, correctly rounded."""
    return x.sqrt()


def rsqrt(x: Lanes) -> Lanes:
    """1 / √x."""
    return 1.0 / x.sqrt()


def cbrt(x: Lanes) -> Lanes:
    """The real cube root, by Newton's and Halley's methods on y^-3 = x.

    The start divides the stored bits by -3, as W. Kahan does ("Computing a real cube root", 1991);
    h = 1 - x y³ then falls from 0.1 to below the precision of the format, since
    (1 - h)^(-1/3) = 1 + h/3 + 2h²/9 + 14h³/81 + ...
    """
    bits = x.bits
    a = x.abs()
    shift = {32: 24, 64: 54}[bits]
    denormal = a < SMALLEST_NORMAL[bits]
    a = denormal.select(a * 2.0**shift, a)
    y = start_of_inverse_cube_root(a)
    for _ in range({32: 1, 64: 2}[bits]):
        h = 1.0 - a * y * y * y
        y = fma(y * h, fma(h, fma(h, 14 / 81, 2 / 9), 1 / 3), y)
    h = fma(a * y, -(y * y), 1.0)
    y = fma(y * h, fma(h, 2 / 9, 1 / 3), y)
    root = a * y * y
    # one step of Newton on root³ = a, whose residue is computed from the exact square
    square = root * root
    residue = fma(square, root, -a) + fma(root, root, -square) * root
    root = fma(residue, -(y * y) * (1 / 3), root)
    root = denormal.select(root * 2.0 ** -(shift // 3), root)
    usable = (x.abs() < math.inf) & (x.abs() > 0.0)
    return usable.select(root.with_sign_of(x), x)


def start_of_inverse_cube_root(a: Lanes) -> Lanes:
    """a^(-1/3) to 4 %, for normal a: the stored bits, as a number, times -1/3, plus a constant."""
    builder = a.builder
    if a.bits == 32:
        stored = Lanes(builder, builder.sitofp(a.as_integer().value, a.type))
        third = fma(stored, -1 / 3, float(0x54A21D2A))
        return Lanes(builder, builder.fptosi(third.value, a.as_integer().type)).as_float()
    # The upper half of the bits, carried in the significand of 2^52 + n both ways.
    shifter = 2.0**52
    carrier = (EXPONENT_BIAS[64] + 52) << 52
    stored = (a.as_integer().shift_right_unsigned(32) | carrier).as_float() - shifter
    third = fma(stored, -1 / 3, float(0x553EF0FF) + shifter)
    return (third.as_integer() << 32).as_float()


def integer_pow(x: Lanes, exponent: int) -> Lanes:
    """x^n for a constant integer n, by repeated squaring; 1 / x^|n| for negative n."""
    if exponent < 0:
        return 1.0 / integer_pow(x, -exponent)
    result: Lanes | None = None
    square = x
    while exponent:
        if exponent & 1:
            result = square if result is None else result * square
        exponent >>= 1
        if exponent:
            square = square * square
    return x.like(1.0) if result is None else result


def exact_product(a: Lanes, b: Lanes) -> Pair:
    """a·b as a pair."""
    product = a * b
    return product, fma(a, b, -product)


def ordered_sum(a: Lanes, b: Lanes) -> Pair:
    """a + b as a pair, where |a| ≥ |b| (T. Dekker, 1971)."""
    total = a + b
    return total, b - (total - a)


def pair_product(a: Pair, b: Pair) -> Pair:
    """The product of two pairs."""
    high, low = exact_product(a[0], b[0])
    return high, fma(a[0], b[1], fma(a[1], b[0], low))


def log_of_positive_as_pair(a: Lanes) -> Pair:
    """log(a) to about 2^-66, for finite a > 0 in float64.

    log(1 + f) = 2s + s³ (2/3 + s² P(s²)), s = f / (2 + f): the last term is small enough for plain
    arithmetic.
    """
    denormal = a < SMALLEST_NORMAL[64]
    biased, _, f = split_exponent(denormal.select(a * 2.0 ** DENORMAL_SHIFT[64], a))
    e = exponent_as_number(biased, denormal)
    g = f + 2.0
    g_low = f - (g - 2.0)
    inverse = 1.0 / g
    s_high = f * inverse
    s_low = fma(s_high, -g_low, fma(s_high, -g, f)) * inverse
    z_high, z_low = exact_product(s_high, s_high)
    z = (z_high, fma(s_high + s_high, s_low, z_low))
    third_high, third_low = c.TWO_THIRDS[64]
    rest = z_high * polynomial(z_high, c.LOG_ODD_PRECISE[64])
    factor_high, factor_low = ordered_sum(a.like(third_high), rest)
    cube = pair_product((s_high, s_low), z)
    odd = pair_product(cube, (factor_high, factor_low + third_low))
    high, low = ordered_sum(s_high + s_high, odd[0])
    low = low + fma(s_low, 2.0, odd[1])
    ln2_high, ln2_low = c.LN2[64]
    e_high, e_low = exact_product(e, a.like(ln2_high))
    total, lost = ordered_sum(e_high, high)
    lost = lost + (low + fma(e, ln2_low, e_low))
    return ordered_sum(total, lost)


def exp_of_product(a: Lanes, y: Lanes) -> Lanes:
    """a^y = exp(y log(a)) for finite a > 0 and finite y, in float64."""
    y = y.at_most(2.0**70).at_least(-(2.0**70))  # beyond, every a but 1 gives 0 or inf
    log_high, log_low = log_of_positive_as_pair(a)
    high, low = exact_product(y, log_high)
    low = fma(y, log_low, low).at_most(0.5).at_least(-0.5)
    r, stored = reduce_exponent(high.at_most(710.5).at_least(-747.0), 2 * EXPONENT_BIAS[64])
    first, second = halved_powers_of_two(stored)
    # 1 + r is kept to twice the precision, so that exact powers come out exact
    r, low = ordered_sum(r, low)
    total, lost = ordered_sum(r.like(1.0), r)
    value = total + (lost + fma(r * r, polynomial(r, c.EXPM1[64]), low))
    return value * first * second


def exp_of_product_for_float(a: Lanes, y: Lanes) -> Lanes:
    """a^y in float64 arithmetic, to the precision and range of float32."""
    biased, _, f = split_exponent(a)
    s = f / (f + 2.0)
    z = s * s
    logarithm = fma(s * z, polynomial(z, c.LOG_ODD_SHORT[64]), s + s)
    logarithm = fma(exponent_as_number(biased), c.LN2[64][0], logarithm)
    r, stored = reduce_exponent((y * logarithm).at_most(90.0).at_least(-105.0), EXPONENT_BIAS[64])
    value = polynomial(r, (1.0, 1.0, *c.EXPM1_SHORT[64]))
    return value * power_of_two(stored)


def pow(x: Lanes, y: Lanes) -> Lanes:
    """x^y with C's and NumPy's values at zeros, infinities, NaN and for negative x.

    |x|^y is exp(y log|x|), the logarithm carried with the extra bits that y may magnify; float32
    is computed in float64. Source of the cases: C17, F.10.4.4.
    """
    a = x.abs()
    ay = y.abs()
    if x.bits == 32:
        value = exp_of_product_for_float(a.to_double(), y.to_double()).to_float()
    else:
        value = exp_of_product(a, y)
    shrinks = (a < 1.0) ^ (y < 0.0)
    at_limit = shrinks.select(x.like(0.0), math.inf)
    value = (a.equals(0.0) | a.equals(math.inf) | ay.equals(math.inf)).select(at_limit, value)
    value = a.equals(1.0).select(a, value)

    half = y * 0.5
    is_integer = y.trunc().equals(y)
    is_odd = is_integer & ~half.trunc().equals(half)
    sign = is_odd.select(x.as_integer() & sign_mask(x.bits), 0)
    value = (value.as_integer() | sign).as_float()
    no_real_value = (x < 0.0) & (a < math.inf) & ~is_integer
    value = (no_real_value | x.is_nan() | y.is_nan()).select(value.like(math.nan), value)
    return (y.equals(0.0) | x.equals(1.0)).select(value.like(1.0), value)
