"""Exponential integrals: expi(x) = Ei(x) and expn(n, x) = E_n(x).

E_n(x) is x**(n-1) times the incomplete gamma function of 1 - n, whose quadrature serves for x > 1/2;
power series (Abramowitz and Stegun 5.1.10-12) serve below. Ei of positive x sums its power series, all
of whose terms are positive, and beyond 40 the asymptotic one (5.1.51). Depends on `blocks`, `gamma`,
`incomplete_gamma`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval, broadcast_shapes
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.arithmetic import div, mul, neg, sub
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.elementwise import batch_elementwise, elementwise, jvp_from, unary, vjp_from
from rtfunc.ops.exponential import exp
from rtfunc.ops.special.blocks import by_quadrature, fill
from rtfunc.ops.special.gamma import positive_digamma, positive_gamma
from rtfunc.ops.special.incomplete_gamma import tail_integral

#: The zero of Ei, in two parts.
_ROOT_HIGH, _ROOT_LOW = 0.3725074107813666, 1.3140183414386028e-17


def _positive_ei(xp: Any, x: Any) -> Any:
    out = xp.full_like(x, np.inf)
    near_root = (x > 0.2) & (x < 0.6)
    fill(xp, out, near_root, lambda x: _ei_near_root(xp, x), x)
    fill(xp, out, (x <= 40) & ~near_root, lambda x: _ei_series(xp, x), x)
    fill(xp, out, (x > 40) & (x < 800), lambda x: _ei_asymptotic(xp, x), x)
    return out


def _ei_series(xp: Any, x: Any) -> Any:
    total, term = xp.zeros_like(x), xp.ones_like(x)
    for k in range(1, 40 if x.max() < 6 else 140):
        term = term * (x / k)
        total = total + term / k
    return np.euler_gamma + xp.log(x) + total


def _ei_near_root(xp: Any, x: Any) -> Any:
    """log(x / root) and, term by term, (x**k - root**k) / (k k!)."""
    d = (x - _ROOT_HIGH) - _ROOT_LOW
    quotient, power = xp.zeros_like(x), 1.0  # (x**k - root**k) / (x - root)
    total = xp.zeros_like(x)
    for k in range(1, 20):
        quotient = quotient * x + power
        power = power * _ROOT_HIGH
        total = total + quotient / (k * math.factorial(k))
    return xp.log1p(d / _ROOT_HIGH) + d * total


def _ei_asymptotic(xp: Any, x: Any) -> Any:
    total = xp.ones_like(x)
    for k in range(38, 0, -1):
        total = 1 + total * (k / x)
    half = xp.exp(0.5 * x)
    return half * (half / x * total)


def _expi_kernel(xp: Any, rule: Any, x: Any) -> Any:
    out = xp.full_like(x, np.nan)
    fill(xp, out, x > 0, lambda x: _positive_ei(xp, x), x)
    fill(xp, out, x < 0, lambda x: -_positive_en(xp, rule, xp.ones_like(x), -x), x)
    out[x == 0] = -np.inf
    return out


def _positive_en(xp: Any, rule: Any, n: Any, x: Any) -> Any:
    """E_n(x) for whole n >= 1 and x > 0."""
    out = xp.zeros_like(x)
    far = (x > 0.5) & (x < 800)
    fill(
        xp,
        out,
        far,
        lambda n, x: xp.exp(-x) * tail_integral(xp, rule, 1 - n, x, 0, False),
        n,
        x,
    )
    fill(xp, out, x <= 0.5, lambda n, x: _en_series(xp, n, x), n, x)
    return out


def _en_series(xp: Any, n: Any, x: Any) -> Any:
    total, term = xp.zeros_like(x), xp.ones_like(x)
    for k in range(20):
        place = k - (n - 1)
        total = total - xp.where(place == 0, 0.0, term / xp.where(place == 0, 1.0, place))
        term = term * (-x / (k + 1))
    sign = xp.where(n % 2 == 1, 1.0, -1.0)
    power = sign * x ** (n - 1) / positive_gamma(xp, n)
    logarithm = positive_digamma(xp, n) - xp.log(x)
    return total + xp.where(power == 0, 0.0, power * logarithm)


def _expn_kernel(xp: Any, rule: Any, n: Any, x: Any) -> Any:
    out = xp.full_like(x, np.nan)
    positive = (n >= 1) & (x > 0)
    fill(xp, out, positive, lambda n, x: _positive_en(xp, rule, n, x), n, x)
    fill(xp, out, (n < 1) & (x > 0), lambda n, x: _en_below_1(xp, n, x), n, x)
    at_0 = x == 0
    out[at_0] = xp.where(n[at_0] > 1, 1 / xp.where(n[at_0] > 1, n[at_0] - 1, 1.0), np.inf)
    return out


def _en_below_1(xp: Any, n: Any, x: Any) -> Any:
    """E_0 = exp(-x) / x, and E_-k = (exp(-x) + k E_(1-k)) / x."""
    decay = xp.exp(-x)
    out = decay / x
    for k in range(1, int(-n.min()) + 1):
        out = xp.where(-n >= k, (decay + k * out) / x, out)
    return xp.where(decay == 0, 0.0, out)


expi_p = elementwise(
    "expi",
    by_quadrature(_expi_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, div(exp(x), x)),),
    half=False,
)
expi = unary(
    expi_p,
    """The exponential integral Ei(x), elementwise: the principal value of the integral of exp(t) / t
    over t from minus infinity to x.

    Minus infinity at 0. Within 1 ulp in float32 and 8 ulp in float64, at its zero 0.3725 as well.
    """,
)


def _expn_infer(n: Aval, x: Aval) -> Aval:
    if not dtypes.is_integer(n.dtype):
        raise DtypeError(at_user_line(f"expn takes integer orders n, but got {n.dtype}."))
    if x.dtype not in dtypes.floats:
        raise DtypeError(
            at_user_line(
                f"expn takes real floats, but got {x.dtype}. "
                "Convert it first, for example with x.astype(float)."
            )
        )
    return Aval(broadcast_shapes("expn", n.shape, x.shape), x.dtype, x.weak_type)


def _expn_slope(t: Any, y: Any, n: Any, x: Any) -> Array:
    return neg(mul(t, expn_p.bind(sub(n, scalar(1, n.dtype)), x)))


expn_p = Primitive(
    "expn",
    infer=_expn_infer,
    impl=by_quadrature(_expn_kernel),
    jvp=jvp_from((None, _expn_slope)),
    vjp=vjp_from((None, _expn_slope)),
    batch=batch_elementwise,
    weak="explicit",
)


def expn(n: ArrayLike, x: ArrayLike) -> Array:
    """The exponential integral E_n(x), the integral of exp(-x t) / t**n over t >= 1, elementwise.

    `n` is whole; no derivative flows to it. NaN for x < 0. Within 1 ulp in float32 and 8 ulp in
    float64.

    >>> expn(1, 1.0)
    Array(0.21938394, dtype=float32, weak_type=True)
    """
    n = as_array("expn", n)
    (x,) = promote_inexact("expn", x)
    if n.dtype == dtypes.bool_ or dtypes.is_float(n.dtype):
        n = convert(n, dtypes.int32)
    elif dtypes.is_integer(n.dtype) and n.dtype.kind == "u":
        n = convert(n, dtypes.int64)
    return expn_p.bind(n, x)
