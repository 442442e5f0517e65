"""Owen's T function, the integral of exp(-h**2 (1 + x**2) / 2) / (1 + x**2) / (2 pi) over x in [0, a].

Gauss-Legendre quadrature for |a| <= 1, over the part of the interval where the integrand is not
negligible beside its value at 0; for larger a through T(a h, 1 / a) (D. B. Owen, 1956, equation 2.3).
Depends on `blocks`, `error_function`.
"""

from __future__ import annotations

import math
from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.ops.arithmetic import add, div, mul, square
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise
from rtfunc.ops.exponential import exp
from rtfunc.ops.special.blocks import in_float64
from rtfunc.ops.special.error_function import erf, erfc_p
from rtfunc.ops.special.gauss_legendre import RULE_40


def _small(xp: Any, h: Any, a: Any) -> Any:
    """T(h, a) for h >= 0 and 0 <= a <= 1."""
    top = xp.minimum(a, 8.8 / xp.maximum(h, 1e-300))
    total = xp.zeros_like(h)
    half_square = -0.5 * h * h
    for node, weight in RULE_40:
        x = top * float(node)
        square_ = x * x
        total = total + float(weight) * (xp.exp(half_square * square_) / (1 + square_))
    return total * top * xp.exp(half_square) / (2 * math.pi)


def _kernel(xp: Any, h: Any, a: Any) -> Any:
    h, size = xp.abs(h), xp.abs(a)
    large = size > 1
    other = xp.where(large, size * xp.where(xp.isinf(size) & (h == 0), 1.0, h), h)
    out = _small(xp, other, xp.where(large, 1 / xp.where(large, size, 1.0), size))
    erfc = erfc_p.impl
    beyond_h = 0.5 * erfc(xp, h / math.sqrt(2))
    beyond_ah = 0.5 * erfc(xp, other / math.sqrt(2))
    reflected = 0.5 * (beyond_h + beyond_ah) - beyond_h * beyond_ah - out
    # At h = 0 the angle itself, to all digits.
    out = xp.where(h == 0, xp.arctan(size) / (2 * math.pi), xp.where(large, reflected, out))
    return xp.copysign(xp.where(xp.isnan(h) | xp.isnan(a), math.nan, out), a)


def _by_h(t: Any, y: Any, h: Any, a: Any) -> Array:
    density = exp(mul(scalar(-0.5, h.dtype), square(h)))
    turned = erf(mul(scalar(math.sqrt(0.5), h.dtype), mul(a, h)))
    return mul(t, mul(scalar(-0.5 / math.sqrt(2 * math.pi), h.dtype), mul(density, turned)))


def _by_a(t: Any, y: Any, h: Any, a: Any) -> Array:
    both = add(scalar(1, a.dtype), square(a))
    density = exp(mul(scalar(-0.5, h.dtype), mul(square(h), both)))
    return mul(t, div(mul(scalar(0.5 / math.pi, h.dtype), density), both))


owens_t_p = elementwise(
    "owens_t",
    in_float64(_kernel),
    over=dtypes.floats,
    derivatives=(_by_h, _by_a),
    half=False,
)
