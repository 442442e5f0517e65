"""The sine integral Si(x) and the cosine integral Ci(x).

Power series (Abramowitz and Stegun 5.2.14 and 16) up to 4. Beyond, the auxiliary functions f and g
(5.2.8 and 9), which do not oscillate: their integrals 5.2.12 and 13 by double-exponential quadrature
with t x = exp(u - exp(-u)) (Takahasi and Mori, 1974). Depends on `blocks`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.ops.arithmetic import div, mul, sub
from rtfunc.ops.comparison import lt
from rtfunc.ops.complex import abs_
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise, unary
from rtfunc.ops.select import select
from rtfunc.ops.special.blocks import fill, in_float64, polynomial
from rtfunc.ops.trigonometry import cos, sin

_SERIES_TO = 4.0
_TERMS = 16
_SINE = [(-1) ** n / ((2 * n + 1) * math.factorial(2 * n + 1)) for n in reversed(range(_TERMS))]
_COSINE = [(-1) ** n / (2 * n * math.factorial(2 * n)) for n in reversed(range(1, _TERMS))]


def _rule() -> list[tuple[float, float]]:
    """Nodes s and weights of the integral of exp(-s) h(s) over s > 0."""
    u = np.arange(-32, 34) * 0.115
    s = np.exp(u - np.exp(-u))
    weights = 0.115 * s * (1 + np.exp(-u)) * np.exp(-s)
    return [(float(a), float(w)) for a, w in zip(s, weights) if w > 1e-20]


_RULE = _rule()


def _auxiliary(xp: Any, x: Any) -> tuple[Any, Any]:
    """f(x) and g(x) for x >= 4."""
    f, g = xp.zeros_like(x), xp.zeros_like(x)
    inverse = 1 / x
    for s, weight in _RULE:
        t = s * inverse
        part = weight / (1 + t * t)
        f, g = f + part, g + part * t
    return f * inverse, g * inverse


def _sine_beyond(xp: Any, x: Any) -> Any:
    f, g = _auxiliary(xp, x)
    return math.pi / 2 - f * xp.cos(x) - g * xp.sin(x)


def _cosine_beyond(xp: Any, x: Any) -> Any:
    f, g = _auxiliary(xp, x)
    return f * xp.sin(x) - g * xp.cos(x)


def _sine_kernel(xp: Any, x: Any) -> Any:
    size = xp.abs(x)
    out = xp.full_like(x, math.pi / 2)
    fill(xp, out, size < _SERIES_TO, lambda x: x * polynomial(x * x, _SINE), size)
    far = (size >= _SERIES_TO) & (size < np.inf)
    fill(xp, out, far, lambda x: _sine_beyond(xp, x), size)
    return xp.copysign(xp.where(xp.isnan(x), x, out), x)


def _cosine_kernel(xp: Any, x: Any) -> Any:
    size = xp.abs(x)
    out = xp.zeros_like(x)
    fill(
        xp,
        out,
        (size < _SERIES_TO) & (size > 0),
        lambda x: (np.euler_gamma + xp.log(x)) + x * x * polynomial(x * x, _COSINE),
        size,
    )
    far = (size >= _SERIES_TO) & (size < np.inf)
    fill(xp, out, far, lambda x: _cosine_beyond(xp, x), size)
    out[size == 0] = -np.inf
    out[xp.isnan(x) | (x == -np.inf)] = np.nan
    return out


def _sine_slope(t: Any, y: Any, x: Any) -> Array:
    """sin(x) / x, near 0 by its series, so that it has derivatives there."""
    small = lt(abs_(x), scalar(0.01, x.dtype))
    one, square_ = scalar(1, x.dtype), mul(x, x)
    safe = select(small, one, x)
    inner = sub(one, mul(scalar(1 / 20, x.dtype), square_))
    near = sub(one, mul(scalar(1 / 6, x.dtype), mul(square_, inner)))
    return mul(t, select(small, near, div(sin(safe), safe)))


sine_integral_p = elementwise(
    "sine_integral",
    in_float64(_sine_kernel),
    over=dtypes.floats,
    derivatives=(_sine_slope,),
    half=False,
)
sine_integral = unary(
    sine_integral_p,
    """Si(x), the integral of sin(t) / t over t from 0 to x, elementwise.

    Within 1 ulp in float32 and 8 ulp in float64.
    """,
)
cosine_integral_p = elementwise(
    "cosine_integral",
    in_float64(_cosine_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, div(cos(x), x)),),
    half=False,
)
cosine_integral = unary(
    cosine_integral_p,
    """Ci(x), minus the integral of cos(t) / t over t >= |x|, elementwise; minus infinity at 0.

    Within 16 ulp of the larger of |Ci(x)| and 1 / (1 + |x|) in float64: the relative error is unbounded
    near the zeros.
    """,
)
