"""The Fresnel integrals of sin(pi t**2 / 2) and cos(pi t**2 / 2) over t from 0 to x.

Power series (Abramowitz and Stegun 7.3.11 and 13) up to 1.5. Beyond, the auxiliary functions f and g
(7.3.9 and 10), which do not oscillate: their integrals 7.3.27 and 28, with t replaced by v**2 / x**2,
are those of a Gaussian over 1 + (v / x)**4, which the trapezoidal rule gives to all digits. The angle
pi x**2 / 2 is reduced without rounding. Depends on `blocks` and `gamma`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.ops.arithmetic import mul, square
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise, unary
from rtfunc.ops.special.blocks import fill, in_float64, polynomial
from rtfunc.ops.special.gamma import sin_and_cos_of_turns
from rtfunc.ops.trigonometry import cos, sin

_STEP, _COUNT, _SERIES_TO = 0.16, 31, 1.5
_HALF_PI = math.pi / 2


def _series(first: int) -> list[float]:
    """Coefficients in x**4 of S(x) / x**3 (first 1) or C(x) / x (first 0), the highest first."""
    orders = [2 * n + first for n in range(16)]
    return [
        (-1) ** (k // 2) * _HALF_PI**k / (math.factorial(k) * (2 * k + 1)) for k in reversed(orders)
    ]


_SINE, _COSINE = _series(1), _series(0)


def _auxiliary(xp: Any, x: Any) -> tuple[Any, Any]:
    """f(x) and g(x) for x >= 1.5."""
    f, g = xp.full_like(x, 0.5 * _STEP), xp.zeros_like(x)
    inverse = 1 / x
    for k in range(1, _COUNT + 1):
        v = k * _STEP
        square_ = (v * inverse) ** 2
        weight = _STEP * math.exp(-_HALF_PI * v * v) / (1 + square_ * square_)
        f, g = f + weight, g + weight * square_
    scale = math.sqrt(2) / math.pi * inverse
    return scale * f, scale * g


def _angle(xp: Any, x: Any) -> tuple[Any, Any]:
    """sin and cos of pi x**2 / 2."""
    high = x.astype(np.float32).astype(np.float64)
    low = x - high
    rest = high * low + 0.5 * low * low
    turns = 0.5 * high * high  # exact
    return sin_and_cos_of_turns(xp, (turns - 2 * xp.rint(0.5 * turns)) + rest)


def _beyond(xp: Any, x: Any, cosine: bool) -> Any:
    f, g = _auxiliary(xp, x)
    s, c = _angle(xp, x)
    return 0.5 + (f * s - g * c if cosine else -(f * c + g * s))


def _kernel(cosine: bool) -> Any:
    def near(x: Any) -> Any:
        fourth = (x * x) ** 2
        return polynomial(fourth, _COSINE if cosine else _SINE) * (x if cosine else x**3)

    def kernel(xp: Any, x: Any) -> Any:
        size = xp.abs(x)
        out = xp.full_like(x, 0.5)
        fill(xp, out, size < _SERIES_TO, near, size)
        far = (size >= _SERIES_TO) & (size < 1e16)
        fill(xp, out, far, lambda x: _beyond(xp, x, cosine), size)
        return xp.copysign(xp.where(xp.isnan(x), x, out), x)

    return kernel


def _half_turns(x: Any) -> Array:
    return mul(scalar(_HALF_PI, x.dtype), square(x))


fresnel_s_p = elementwise(
    "fresnel_s",
    in_float64(_kernel(False)),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, sin(_half_turns(x))),),
    half=False,
)
fresnel_s = unary(
    fresnel_s_p,
    """The integral of sin(pi t**2 / 2) over t from 0 to x, elementwise.

    Within 1 ulp in float32 and 16 ulp in float64.
    """,
)
fresnel_c_p = elementwise(
    "fresnel_c",
    in_float64(_kernel(True)),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, cos(_half_turns(x))),),
    half=False,
)
fresnel_c = unary(
    fresnel_c_p,
    """The integral of cos(pi t**2 / 2) over t from 0 to x, elementwise.

    Within 1 ulp in float32 and 16 ulp in float64.
    """,
)
