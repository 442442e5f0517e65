"""The regularised incomplete beta function and its derivatives.

I(a, b, x) is the probability that a beta variate is below x. In terms of s = log(t / (1 - t)) its
density is log-concave, so that, as in `incomplete_gamma`, a Gauss-Legendre rule over the stretch in
which it falls by e**-44 gives the lower tail below the mean and the upper tail above it. Where that
stretch is long it is cut into pieces; a < 1 is raised by one (DLMF 8.17.20). Derivatives with respect
to a and b, of any order, integrate the density times Bell polynomials of log(t) and log(1 - t).
Depends on `beta`, `blocks`,
`gamma`, `incomplete_gamma`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.ops.arithmetic import add, div, mul, neg, sub
from rtfunc.ops.convert import promote_inexact, scalar
from rtfunc.ops.elementwise import elementwise
from rtfunc.ops.exponential import log, log1p
from rtfunc.ops.special.beta import lgamma_difference, positive_betaln
from rtfunc.ops.special.blocks import (
    by_quadrature,
    exp_less_linear,
    fill,
    in_float64,
    linear_less_log1p,
)
from rtfunc.ops.special.gamma import (
    STIRLING_FROM,
    digamma_p,
    lgamma_1p,
    positive_digamma,
    stirling_error,
)
from rtfunc.ops.special.incomplete_gamma import FALL, positive_polygamma
from rtfunc.ops.special.zeta import polygamma_p

#: The pieces of a long tail, as distances in s.
_PIECES = (0.0, 5.0, 18.0)


def _scaled_density(xp: Any, a: Any, b: Any, p: Any, q: Any) -> Any:
    """p**a q**b / B(a, b) for positive a and b, p + q = 1, both positive."""
    out = xp.empty_like(p)
    large = (a >= STIRLING_FROM) & (b >= STIRLING_FROM)
    fill(xp, out, large, lambda *v: _scaled_density_of_large(xp, *v), a, b, p, q)
    fill(xp, out, ~large, lambda *v: _scaled_density_of_small(xp, *v), a, b, p, q)
    return out


def _scaled_density_of_small(xp: Any, a: Any, b: Any, p: Any, q: Any) -> Any:
    log_p = xp.where(p < 0.5, xp.log(p), xp.log1p(-q))
    log_q = xp.where(q < 0.5, xp.log(q), xp.log1p(-p))
    return xp.exp(a * log_p + b * log_q - positive_betaln(xp, a, b))


def _scaled_density_of_large(xp: Any, a: Any, b: Any, p: Any, q: Any) -> Any:
    n = a + b
    rate = a * q - b * p
    exponent = a * linear_less_log1p(xp, -rate / a) + b * linear_less_log1p(xp, rate / b)
    correction = stirling_error(n) - stirling_error(a) - stirling_error(b)
    return xp.sqrt(a * b / (2 * np.pi * n)) * xp.exp(correction - exponent)


def _fall(xp: Any, a: Any, b: Any, p: Any, q: Any, rate: Any, w: Any) -> Any:
    """By how much the logarithm of t**a (1 - t)**b falls from t = p to logit(t) = logit(p) - w."""
    # a w + (a + b) log1p(p expm1(-w)), or the same in terms of q, whichever has the smaller terms.
    by_p = p <= 0.5
    share, side = xp.where(by_p, p, q), xp.where(by_p, -1.0, 1.0)
    n = a + b
    out = xp.where(by_p, a, -b) * w + n * xp.log1p(share * xp.expm1(side * w))
    # For small w the linear terms are taken together.
    fill(
        xp,
        out,
        w <= 1,
        lambda share, d, n, linear: (
            linear
            + n * (share * exp_less_linear(xp, d) - linear_less_log1p(xp, share * xp.expm1(d)))
        ),
        share,
        side * w,
        n,
        rate * w,
    )
    return out


def _width(xp: Any, a: Any, b: Any, p: Any, q: Any, rate: Any) -> Any:
    """Where `_fall` reaches `FALL`, from above: Newton's method, which is so on a convex function."""
    curvature = (a + b) * p * q
    width = 2 * FALL / (rate + xp.hypot(rate, xp.sqrt(2 * FALL * curvature)))
    for _ in range(4):
        shrunk = q + p * xp.exp(-width)
        slope = rate + (a + b) * p * (1 - xp.exp(-width) / shrunk)
        width = xp.maximum(width - (_fall(xp, a, b, p, q, rate, width) - FALL) / slope, 0.0)
    return width


class _Slopes:
    """Derivatives of the density's logarithm with respect to its parameters, less the part in t."""

    def __init__(self, xp: Any, a: Any, b: Any, orders: tuple[int, int]):
        top = sum(orders)

        def table(x: Any, count: int) -> list[Any]:
            return [positive_digamma(xp, x)] + [
                positive_polygamma(xp, n, x) for n in range(1, count)
            ]

        self.a, self.b = table(a, orders[0]), table(b, orders[1])
        self.both = table(a + b, top)


def _bell(orders: tuple[int, int], u: Any, v: Any, slopes: Any, add: Any, mul: Any) -> Any:
    """The derivative of the density of the given orders in a and b, over the density.

    `u` and `v` are log(t) and log(1 - t). The first derivatives of the logarithm are
    u - digamma(a) + digamma(a + b) and the like; the rest follows by the product rule.
    """

    def slope(in_b: bool, i: int, j: int) -> Any:
        total = slopes.both[i + j]
        alone = (slopes.b, j, i) if in_b else (slopes.a, i, j)
        if alone[2] == 0:
            total = add(total, mul(-1.0, alone[0][alone[1]]))
        return add(total, v if in_b else u) if i == j == 0 else total

    values: dict[tuple[int, int], Any] = {(0, 0): None}  # None stands for 1
    for i in range(orders[0] + 1):
        for j in range(orders[1] + 1):
            if i == j == 0:
                continue
            in_b = i == 0
            m, n = (i, j - 1) if in_b else (i - 1, j)
            total: Any = None
            for k in range(m + 1):
                for l in range(n + 1):
                    term, rest = slope(in_b, k, l), values[m - k, n - l]
                    count = math.comb(m, k) * math.comb(n, l)
                    term = term if rest is None else mul(term, rest)
                    term = term if count == 1 else mul(float(count), term)
                    total = term if total is None else add(total, term)
            values[i, j] = total
    return values[orders]


def _sum(x: Any, y: Any) -> Any:
    return x + y


def _product(x: Any, y: Any) -> Any:
    return x * y


def _logarithms(xp: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """log(p) and log(q), where p + q = 1."""
    return (
        xp.where(p < 0.5, xp.log(p), xp.log1p(-q)),
        xp.where(q < 0.5, xp.log(q), xp.log1p(-p)),
    )


def _tail(xp: Any, rule: Any, a: Any, b: Any, p: Any, q: Any, orders: tuple[int, int]) -> Any:
    """The derivatives of I(a, b, p) of the given orders in a and b, over p**a q**b / B(a, b).

    For a >= 1 and p below the mean a / (a + b).
    """
    rate = a * q - b * p
    width = _width(xp, a, b, p, q, rate)
    total = xp.zeros_like(p)
    ends = (*_PIECES[1:], math.inf)
    for start, end in zip(_PIECES, ends):
        length = xp.minimum(width, end) - start
        part = xp.zeros_like(p)
        piece = functools.partial(_piece, xp, rule, start, orders)
        fill(xp, part, length > 0, piece, a, b, p, q, rate, length)
        total = total + part
    return total


def _piece(
    xp: Any,
    rule: Any,
    start: float,
    orders: tuple[int, int],
    a: Any,
    b: Any,
    p: Any,
    q: Any,
    rate: Any,
    length: Any,
) -> Any:
    """The integral over the stretch of the given length below logit(p) - start."""
    weighted = orders != (0, 0)
    slopes = _Slopes(xp, a, b, orders) if weighted else None
    log_p, log_q = _logarithms(xp, p, q)
    total = xp.zeros_like(p)
    for node, weight in rule:
        w = start + length * node
        value = weight * xp.exp(-_fall(xp, a, b, p, q, rate, w))
        if weighted:
            grown = xp.where(  # log((1 - p) / (1 - t)), negative
                p <= 0.5, xp.log1p(p * xp.expm1(-w)), xp.log1p(q * xp.expm1(w)) - w
            )
            u, v = log_p - w - grown, log_q - grown
            value = value * _bell(orders, u, v, slopes, _sum, _product)
        total = total + value
    return total * length


def _below(xp: Any, rule: Any, a: Any, b: Any, p: Any, q: Any, orders: tuple[int, int]) -> Any:
    """The derivatives of I(a, b, p), for p below the mean."""
    out = xp.zeros_like(p)
    small = a < 1
    fill(
        xp,
        out,
        ~small,
        lambda a, b, p, q: _scaled_density(xp, a, b, p, q) * _tail(xp, rule, a, b, p, q, orders),
        a,
        b,
        p,
        q,
    )
    fill(xp, out, small, lambda a, b, p, q: _below_raised(xp, rule, a, b, p, q, orders), a, b, p, q)
    return out


def _below_raised(
    xp: Any, rule: Any, a: Any, b: Any, p: Any, q: Any, orders: tuple[int, int]
) -> Any:
    """I(a, b, p) = I(a + 1, b, p) + p**a q**b / (a B(a, b)), differentiated."""
    # p**a q**b / (a B(a, b)); a B(a, b) tends to 1 with a.
    log_p, log_q = _logarithms(xp, p, q)
    log_beta = lgamma_1p(xp, a) + lgamma_difference(xp, a, b)
    first = xp.exp(a * log_p + b * log_q - log_beta)
    above = first * p * (a + b)
    if orders != (0, 0):
        slopes = _Slopes(xp, a, b, orders)
        slopes.a = _Slopes(xp, a + 1, b, orders).a
        first = first * _bell(orders, log_p, log_q, slopes, _sum, _product)
    rest = _tail(xp, rule, a + 1, b, p, q, orders)
    return first + xp.where(above == 0, 0.0, above * rest)


def _betainc_kernel(
    xp: Any, rule: Any, a: Any, b: Any, x: Any, *, orders: tuple[int, int] = (0, 0)
) -> Any:
    weighted = orders != (0, 0)
    q = 1 - x
    inside = (a > 0) & (b > 0) & (a < np.inf) & (b < np.inf) & (x > 0) & (x < 1)
    lower = a * q >= b * x
    out = xp.zeros_like(x)
    fill(
        xp, out, inside & lower, lambda a, b, p, q: _below(xp, rule, a, b, p, q, orders), a, b, x, q
    )

    def above(a: Any, b: Any, x: Any, q: Any) -> Any:
        value = _below(xp, rule, b, a, q, x, (orders[1], orders[0]))
        return -value if weighted else 1 - value

    fill(xp, out, inside & ~lower, above, a, b, x, q)
    outside = ~((a >= 0) & (b >= 0) & (x >= 0) & (x <= 1))
    if weighted:
        outside |= ~((a > 0) & (b > 0) & (a < np.inf) & (b < np.inf))
    else:
        at_0 = (a == 0) | (b == np.inf)  # where all of the probability is
        at_1 = (b == 0) | (a == np.inf)
        out[(at_0 & (x > 0)) | (at_1 & (x == 1)) | ((x == 1) & ~at_0)] = 1.0
        outside |= at_0 & at_1
    out[outside] = np.nan
    return out


def _density_kernel(xp: Any, a: Any, b: Any, x: Any) -> Any:
    q = 1 - x
    inside = (a > 0) & (b > 0) & (a < np.inf) & (b < np.inf) & (x > 0) & (x < 1)
    out = xp.zeros_like(x)
    fill(xp, out, inside, lambda *v: _scaled_density(xp, *v) / v[2] / v[3], a, b, x, q)
    for end, own, other in ((x == 0, a, b), (x == 1, b, a)):
        out[end & (own < 1)] = np.inf
        out = xp.where(end & (own == 1), other, out)
    out[~((a > 0) & (b > 0) & (a < np.inf) & (b < np.inf) & (x >= 0) & (x <= 1))] = np.nan
    return out


def _slope_a(a: Any, b: Any, x: Any) -> Array:
    return add(sub(log(x), digamma_p.bind(a)), digamma_p.bind(add(a, b)))


def _slope_b(a: Any, b: Any, x: Any) -> Array:
    return add(sub(log1p(neg(x)), digamma_p.bind(b)), digamma_p.bind(add(a, b)))


def _slope_x(a: Any, b: Any, x: Any) -> Array:
    one = scalar(1, x.dtype)
    return sub(div(sub(a, one), x), div(sub(b, one), sub(one, x)))


betainc_grad_x_p = elementwise(
    "betainc_grad_x",
    in_float64(_density_kernel),
    over=dtypes.floats,
    derivatives=(
        lambda t, y, a, b, x: mul(t, mul(y, _slope_a(a, b, x))),
        lambda t, y, a, b, x: mul(t, mul(y, _slope_b(a, b, x))),
        lambda t, y, a, b, x: mul(t, mul(y, _slope_x(a, b, x))),
    ),
    half=False,
)


def betainc_grad_x(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """The derivative of `betainc(a, b, x)` with respect to x, elementwise.

    It is the density of the beta distribution, x**(a-1) (1-x)**(b-1) / B(a, b).

    >>> betainc_grad_x(2.0, 2.0, 0.5)
    Array(1.5, dtype=float32, weak_type=True)
    """
    return betainc_grad_x_p.bind(*promote_inexact("betainc_grad_x", a, b, x))


class _SlopesOf:
    """As `_Slopes`, of Arrays."""

    def __init__(self, a: Any, b: Any, orders: tuple[int, int]):
        def table(x: Any, count: int) -> list[Any]:
            return [polygamma_p.bind(scalar(n, dtypes.int32), x) for n in range(max(count, 1))]

        self.a, self.b = table(a, orders[0]), table(b, orders[1])
        self.both = table(add(a, b), sum(orders))


def _grad_by_x(t: Any, y: Any, a: Any, b: Any, x: Any, *, orders: tuple[int, int]) -> Array:
    factor = _bell(orders, log(x), log1p(neg(x)), _SlopesOf(a, b, orders), add, mul)
    return mul(t, mul(betainc_grad_x_p.bind(a, b, x), factor))


def _grad_by_parameter(in_b: int) -> Any:
    def rule(t: Any, y: Any, a: Any, b: Any, x: Any, *, orders: tuple[int, int]) -> Array:
        higher = (orders[0] + 1 - in_b, orders[1] + in_b)
        return mul(t, betainc_grad_ab_p.bind(a, b, x, orders=higher))

    return rule


betainc_grad_ab_p = elementwise(
    "betainc_grad_ab",
    by_quadrature(_betainc_kernel),
    over=dtypes.floats,
    derivatives=(_grad_by_parameter(0), _grad_by_parameter(1), _grad_by_x),
    half=False,
)

betainc_p = elementwise(
    "betainc",
    by_quadrature(_betainc_kernel),
    over=dtypes.floats,
    derivatives=(
        lambda t, y, a, b, x: mul(t, betainc_grad_ab_p.bind(a, b, x, orders=(1, 0))),
        lambda t, y, a, b, x: mul(t, betainc_grad_ab_p.bind(a, b, x, orders=(0, 1))),
        lambda t, y, a, b, x: mul(t, betainc_grad_x_p.bind(a, b, x)),
    ),
    half=False,
)


def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """The regularised incomplete beta function I(a, b, x), elementwise.

    The integral of t**(a-1) (1-t)**(b-1) / B(a, b) over t from 0 to x, which lies between 0 and 1;
    NaN for negative a or b and x outside. Within 1 ulp in float32; in float64 the relative error is
    below 1e-15 (4 - log I + sqrt(a + b)). Derivatives flow to a, b and x, to any order.

    >>> betainc(2.0, 2.0, 0.5)
    Array(0.5, dtype=float32, weak_type=True)
    """
    return betainc_p.bind(*promote_inexact("betainc", a, b, x))
