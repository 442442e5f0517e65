"""Trigonometric and hyperbolic functions and their inverses. Depends on `arithmetic`."""

from __future__ import annotations

from typing import Any

from rtfunc.core import dtypes
from rtfunc.ops.arithmetic import add, div, mul, neg, rsqrt, square, sub
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import binary, elementwise, unary


def _one(x: Any) -> Any:
    return scalar(1, x.dtype)


sin_p = elementwise(
    "sin",
    "sin",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, cos(x)),),
)
sin = unary(sin_p, "Sine of x in radians, elementwise.")

cos_p = elementwise(
    "cos",
    "cos",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: neg(mul(t, sin(x))),),
)
cos = unary(cos_p, "Cosine of x in radians, elementwise.")

tan_p = elementwise(
    "tan",
    "tan",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, add(_one(x), square(y))),),
)
tan = unary(tan_p, "Tangent of x in radians, elementwise.")

asin_p = elementwise(
    "asin",
    "arcsin",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, rsqrt(_one_minus_square(x))),),
)
asin = unary(asin_p, "Inverse sine, in radians, elementwise.")

acos_p = elementwise(
    "acos",
    "arccos",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: neg(mul(t, rsqrt(_one_minus_square(x)))),),
)
acos = unary(acos_p, "Inverse cosine, in radians, elementwise.")

atan_p = elementwise(
    "atan",
    "arctan",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: div(t, add(_one(x), square(x))),),
)
atan = unary(atan_p, "Inverse tangent, in radians, elementwise.")


def _one_minus_square(x: Any) -> Any:
    """1 - x**2 without cancellation near |x| = 1."""
    return mul(sub(_one(x), x), add(_one(x), x))


atan2_p = elementwise(
    "atan2",
    "arctan2",
    over=dtypes.floats,
    derivatives=(
        lambda t, z, y, x: mul(t, div(x, add(square(x), square(y)))),
        lambda t, z, y, x: neg(mul(t, div(y, add(square(x), square(y))))),
    ),
)
atan2 = binary(
    atan2_p, "Angle of the point (x, y), called as atan2(y, x), in radians.", inexact=True
)

sinh_p = elementwise(
    "sinh",
    "sinh",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, cosh(x)),),
)
sinh = unary(sinh_p, "Hyperbolic sine, elementwise.")

cosh_p = elementwise(
    "cosh",
    "cosh",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, sinh(x)),),
)
cosh = unary(cosh_p, "Hyperbolic cosine, elementwise.")

tanh_p = elementwise(
    "tanh",
    "tanh",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, sub(_one(x), square(y))),),
)
tanh = unary(tanh_p, "Hyperbolic tangent, elementwise.")

asinh_p = elementwise(
    "asinh",
    "arcsinh",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, rsqrt(add(square(x), _one(x)))),),
)
asinh = unary(asinh_p, "Inverse hyperbolic sine, elementwise.")

acosh_p = elementwise(
    "acosh",
    "arccosh",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, mul(rsqrt(sub(x, _one(x))), rsqrt(add(x, _one(x))))),),
)
acosh = unary(acosh_p, "Inverse hyperbolic cosine, elementwise; NaN for real x below 1.")

atanh_p = elementwise(
    "atanh",
    "arctanh",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: div(t, _one_minus_square(x)),),
)
atanh = unary(atanh_p, "Inverse hyperbolic tangent, elementwise.")
