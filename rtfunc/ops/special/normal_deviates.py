"""Normal deviates from uniform ones, as XLA computes them.

Draws should equal JAX's for the same key, so this follows XLA's evaluation operation by operation;
`erf_inv` of `error_function` is the accurate one. Depends on `blocks` and `giles` (coefficients).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.ops.arithmetic import mul, square
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise, unary
from rtfunc.ops.exponential import exp
from rtfunc.ops.giles import (
    INNER_32,
    LN2_HIGH,
    LN2_LOW,
    LOG1P_32,
    LOG1P_64,
    LOG_32,
    OUTER_32,
    SQRT_2_MINUS_1,
    SQRT_HALF,
)
from rtfunc.ops.special.blocks import fill, in_blocks, ratio
from rtfunc.ops.special.error_function import giles_64

# Normal deviates. Near -1 and 1 the inverse is so steep that how x*x is rounded decides about the
# last six bits of the result. Draws should equal JAX's for the same key, so this follows XLA's
# evaluation of sqrt(2) erf_inv(x) operation by operation: Giles' polynomials (the float32 ones for
# float32) in w = -log1p(-x*x). In float32 each line below is one instruction of XLA's CPU code,
# `_fused` being a fused multiply-add; all 2**23 values that can be drawn are equal to JAX's.


def _fused(x: Any, y: Any, z: Any) -> Any:
    """x * y + z of float32 arrays; the product is exact in float64."""
    return (x.astype(np.float64) * y + z).astype(np.float32)


def _fused_polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    wide = x.astype(np.float64)
    total = (wide * coefficients[0] + coefficients[1]).astype(np.float32)
    for c in coefficients[2:]:
        total = (total * wide + c).astype(np.float32)
    return total


def _log_32(xp: Any, x: Any) -> Any:
    mantissa, exponent = xp.frexp(x)
    exponent = exponent.astype(np.float32)
    small = mantissa < SQRT_HALF
    exponent -= small
    m = xp.where(small, mantissa + mantissa, mantissa) - np.float32(1)
    square, cube = m * m, m * m * m
    first, second, third = (_fused_polynomial(m, table) for table in LOG_32)
    tail = _fused(_fused(first, cube, second), cube, third)
    tail = _fused(tail, cube, exponent * np.float32(LN2_LOW))
    return _fused(exponent, LN2_HIGH, _fused(square, -0.5, m) + tail)


def _log1p_32(xp: Any, x: Any) -> Any:
    """log1p(x) for -1 <= x <= 0."""
    square = x * x
    ratio = _fused_polynomial(x, LOG1P_32[0]) / _fused_polynomial(x, LOG1P_32[1])
    out = x + _fused(square, -0.5, x * square * ratio)
    fill(xp, out, x <= -SQRT_2_MINUS_1, lambda x: _log_32(xp, 1 + x), x)
    return out


def _log1p_64(xp: Any, x: Any) -> Any:
    """As `_log1p_32`; past x = -0.3 the ratio has only 46 bits, but they are JAX's."""
    square = x * x
    out = x + (square * -0.5 + x * square * ratio(x, LOG1P_64))
    fill(xp, out, x <= 1 - math.sqrt(2), lambda x: xp.log(1 + x), x)
    return out


def _giles_32(xp: Any, x: Any) -> Any:
    w = -_log1p_32(xp, -(x * x))
    out = _fused_polynomial(w - np.float32(2.5), INNER_32)
    fill(xp, out, w >= 5, lambda w: _fused_polynomial(xp.sqrt(w) - np.float32(3), OUTER_32), w)
    out[xp.abs(x) == 1] = np.inf
    return out * x


def _normal_kernel(xp: Any, x: Any) -> Any:
    sqrt_2 = x.dtype.type(math.sqrt(2))
    if x.dtype == dtypes.float64:
        return giles_64(xp, x, -_log1p_64(xp, -x * x)) * sqrt_2
    inverse = _giles_32(xp, x.astype(dtypes.float32, copy=False)).astype(x.dtype, copy=False)
    return inverse * sqrt_2


normal_from_uniform_p = elementwise(
    "normal_from_uniform",
    in_blocks(_normal_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _inverse_normal_density(y)),),
    half=False,
)
normal_from_uniform = unary(
    normal_from_uniform_p,
    """sqrt(2) erf_inv(x), elementwise: normally distributed where x is uniform between -1 and 1.

    Equal to XLA's evaluation, to the bit in float32; `erf_inv` is the accurate one.
    """,
)


def _inverse_normal_density(y: Any) -> Any:
    factor = scalar(math.sqrt(math.pi / 2), y.dtype)
    return mul(factor, exp(mul(scalar(0.5, y.dtype), square(y))))
