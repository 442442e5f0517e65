"""sqrt(2) erf_inv(x), which makes normal deviates of uniform ones.

In float32 this is, instruction by instruction, the kernel of the primitive `normal_from_uniform`
(`rtfunc.ops.special`), so that draws have the same bits whether a program is compiled or not. In
float64 the logarithm near -1 and 1 is this package's own. Depends on `lanes`, `logarithm` and the
coefficients in `rtfunc.ops.giles`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtfunc.ops import giles

from .lanes import EXPONENT_BIAS, MANTISSA_BITS, Lanes, fma
from .logarithm import log

SQRT_2 = {32: float(np.float32(math.sqrt(2))), 64: math.sqrt(2)}


def normal_from_uniform(x: Lanes) -> Lanes:
    """sqrt(2) erf_inv(x) for -1 ≤ x ≤ 1."""
    return inverse_of_uniform(x) * SQRT_2[x.bits]


def inverse_of_uniform(x: Lanes) -> Lanes:
    """erf_inv(x) as draws take it: Giles' polynomials in w = -log1p(-x²)."""
    w = -log1p_of_negative(-(x * x))
    if x.bits == 32:
        inner = fused(w - 2.5, giles.INNER_32)
        value = (w >= 5.0).select(fused(w.sqrt() - 3.0, giles.OUTER_32), inner)
    else:
        root = w.sqrt()
        value = (w < 16.0).select(
            unfused(root - 3.25, giles.MIDDLE_64), unfused(root - 5.0, giles.OUTER_64)
        )
        value = (w < 6.25).select(unfused(w - 3.125, giles.INNER_64), value)
    return x.abs().equals(1.0).select(value.like(math.inf), value) * x


def log1p_of_negative(x: Lanes) -> Lanes:
    """log1p(x) for -1 ≤ x ≤ 0."""
    square = x * x
    if x.bits == 32:
        ratio = fused(x, giles.LOG1P_32[0]) / fused(x, giles.LOG1P_32[1])
        near = x + fma(square, -0.5, x * square * ratio)
        return (x <= -float(giles.SQRT_2_MINUS_1)).select(log_of_float(1.0 + x), near)
    ratio = unfused(x, giles.LOG1P_64[0]) / unfused(x, giles.LOG1P_64[1])
    near = x + (square * -0.5 + x * square * ratio)
    return (x <= 1 - math.sqrt(2)).select(log(1.0 + x), near)


def log_of_float(x: Lanes) -> Lanes:
    """log(x) for normal float32 x > 0, after Cephes."""
    mantissa_bits, bias = MANTISSA_BITS[32], EXPONENT_BIAS[32]
    stored = x.as_integer()
    biased = stored.shift_right_unsigned(mantissa_bits)
    # The mantissa m with 1/2 ≤ m < 1, and the exponent as a number.
    m = ((stored & ((1 << mantissa_bits) - 1)) | ((bias - 1) << mantissa_bits)).as_float()
    exponent = Lanes(x.builder, x.builder.sitofp(biased.value, x.type)) - float(bias - 1)
    small = m < float(giles.SQRT_HALF)
    exponent = exponent - small.select(exponent.like(1.0), 0.0)
    m = small.select(m + m, m) - 1.0
    square = m * m
    cube = square * m
    first, second, third = (fused(m, table) for table in giles.LOG_32)
    tail = fma(fma(first, cube, second), cube, third)
    tail = fma(tail, cube, exponent * giles.LN2_LOW)
    return fma(exponent, giles.LN2_HIGH, fma(square, -0.5, m) + tail)


def fused(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """Horner's scheme with one rounding a step; the highest power comes first."""
    total = x.like(coefficients[0])
    for c in coefficients[1:]:
        total = fma(total, x, c)
    return total


def unfused(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """Horner's scheme with two roundings a step, as NumPy computes it."""
    total = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        total = total * x + c
    return total
