"""The regularised incomplete gamma functions and their derivatives.

P(a, x) is the probability that a gamma variate of shape a is below x. In terms of s = log(t) its
density is exp(a s - exp(s)) / gamma(a), which is log-concave and entire, so one Gauss-Legendre rule,
over the stretch in which the density falls by e**-44 from its value at log(x), gives the lower tail
where x is below the middle and the upper tail above it; nothing cancels, at any size of a and x.
Derivatives with respect to a integrate the density's: the density times a complete Bell polynomial
of log(t) - digamma(a) and the polygamma functions. For x <= 1 the power series of P x**-a (DLMF
8.7.1) serves. The density itself at x is computed as Loader, "Fast and accurate computation of
binomial probabilities" (2000), does. Depends on `blocks`, `gamma`, `zeta`.

For samples, see Figurnov, Mohamed, Mnih, "Implicit reparameterization gradients" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.primitive import Primitive
from rtfunc.ops.arithmetic import add, div, mul, neg, sub
from rtfunc.ops.convert import promote_inexact, scalar
from rtfunc.ops.elementwise import binary, elementwise
from rtfunc.ops.exponential import log
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
    log_less_digamma,
    positive_digamma,
    positive_gamma,
    stirling_error,
)
from rtfunc.ops.special.zeta import polygamma_p, positive_zeta

#: Tails are cut off where they have fallen by e**-44.
FALL = 44.0


def bell(order: int, first: Any, others: Sequence[Any]) -> list[Any]:
    """Complete Bell polynomials B0, ..., B(order) of `first`, *`others`.

    Where g' = first g, and `others` are the derivatives of `first`, B(n) g is the n-th derivative of
    g.
    """
    arguments = [first, *others]
    values: list[Any] = [1.0]
    for n in range(order):
        values.append(sum(math.comb(n, i) * values[n - i] * arguments[i] for i in range(n + 1)))
    return values


def positive_polygamma(xp: Any, n: int, x: Any) -> Any:
    """The n-th derivative of digamma(x) for x > 0 and n >= 1."""
    sign = 1.0 if n % 2 else -1.0
    return sign * math.factorial(n) * positive_zeta(xp, xp.full_like(x, n + 1.0), x)


def log_gamma_slopes(xp: Any, order: int, a: Any) -> list[Any]:
    """Minus the derivatives of digamma(a), of orders 1 to order - 1."""
    return [-positive_polygamma(xp, n, a) for n in range(1, order)]


def _scaled_density(xp: Any, a: Any, x: Any) -> Any:
    """x**a exp(-x) / gamma(a) for a > 0 and 0 < x < infinity."""
    out = xp.empty_like(x)
    large = a >= STIRLING_FROM
    fill(xp, out, large, lambda a, x: _scaled_density_at_large(xp, a, x), a, x)
    fill(xp, out, ~large, lambda a, x: _scaled_density_at_small(xp, a, x), a, x)
    return out


def _scaled_density_at_large(xp: Any, a: Any, x: Any) -> Any:
    exponent = a * linear_less_log1p(xp, (x - a) / a) + stirling_error(a)
    return xp.sqrt(a / (2 * np.pi)) * xp.exp(-exponent)


def _scaled_density_at_small(xp: Any, a: Any, x: Any) -> Any:
    far = x > 600.0  # where x**a may be large while the product vanishes
    near = xp.where(far, 600.0, x)
    out = near**a * xp.exp(-near) / positive_gamma(xp, a)
    return xp.where(far, out * xp.exp(a * xp.log(x / near) - (x - near)), out)


def tail_integral(xp: Any, rule: Any, a: Any, x: Any, order: int, lower: bool) -> Any:
    """The n-th a-derivative of the tail's probability over the scaled density.

    For x > 1/2; the upper tail for a <= 0 as well, without derivatives. It is the integral of
    exp(h(s) - h(log x)) B(n), with h(s) = a s - exp(s) and s = log(x) -+ w, for the lower or the
    upper tail.
    """
    side = -1.0 if lower else 1.0
    rate = side * (x - a)
    # h falls by rate w + x (exp(-w) - 1 + w), at least x w**2 / (2 + w); and by
    # rate w + x (exp(w) - 1 - w), at least x w**2 / 2, on the other side.
    if lower:
        half = rate - FALL / 2
        width = 2 * FALL / (half + xp.hypot(half, xp.sqrt(2 * FALL * a)))
    else:
        width = 2 * FALL / (rate + xp.hypot(rate, xp.sqrt(2 * FALL * x)))
        excess = (FALL + xp.maximum(-rate, 0.0) * width) / x
        width = xp.minimum(width, xp.log1p(width + excess))
    total = xp.zeros_like(x)
    narrow = width <= 1
    if order:
        small = a < 1
        shape = xp.where(small, a + 1, a)
        slope = xp.log1p((x - shape) / shape) + log_less_digamma(xp, shape)
        slopes = log_gamma_slopes(xp, order, shape)
    for node, weight in rule:
        d = width * node
        excess = xp.empty_like(d)
        fill(xp, excess, narrow, lambda d: exp_less_linear(xp, d), side * d)
        fill(xp, excess, ~narrow, lambda d: xp.expm1(d) - d, side * d)
        value = weight * xp.exp(-(rate * d + x * excess))
        if order:
            # For small a, gamma(a) is gamma(a + 1) / a: B(n) of the latter, and the product rule.
            values = bell(order, slope + side * d, slopes)
            of_shifted = values[order] + order * values[order - 1] / a
            value = value * xp.where(small, of_shifted, values[order])
        total = total + value
    return total * width


def _series(xp: Any, a: Any, x: Any, order: int) -> Any:
    """The sum of (-x)**k / (k! (a + k)) over k >= 1, for x <= 1: its n-th derivative in a."""
    total = xp.zeros_like(x)
    sign = (-1.0) ** order * math.factorial(order)
    for k in range(20, 0, -1):
        total = (total + sign / (a + k) ** (order + 1)) * (-x / k)
    return total


def _near_0(xp: Any, a: Any, x: Any, order: int) -> Any:
    """P(a, x) / (x**a / gamma(a + 1)) for 0 < x <= 1; its n-th a-derivative over the same."""
    factors = [a * _series(xp, a, x, i) for i in range(order + 1)]
    for i in range(order, 0, -1):
        factors[i] = factors[i] + i * _series(xp, a, x, i - 1)
    factors[0] = factors[0] + 1
    if not order:
        return factors[0]
    slope = xp.log(x) - positive_digamma(xp, a + 1)
    values = bell(order, slope, log_gamma_slopes(xp, order, a + 1))
    return sum(math.comb(order, i) * values[order - i] * factors[i] for i in range(order + 1))


def _is_lower(xp: Any, a: Any, x: Any) -> Any:
    """Whether the lower tail is the one to integrate: below the mean of log(t)."""
    return x < a - 0.5  # within 1 / (24 a) of exp(digamma(a))


def _outside(xp: Any, a: Any, x: Any) -> Any:
    return ~((a >= 0) & (x >= 0)) | ((a == 0) & (x == 0)) | ((a == np.inf) & (x == np.inf))


def _inside(xp: Any, a: Any, x: Any) -> Any:
    return (a > 0) & (x > 0) & (a < np.inf) & (x < np.inf)


def _igamma_kernel(xp: Any, rule: Any, a: Any, x: Any, *, upper: bool) -> Any:
    low, high = (1.0, 0.0) if upper else (0.0, 1.0)
    out = xp.where((a == 0) | (x == np.inf), high, low)
    inside = _inside(xp, a, x)
    lower = _is_lower(xp, a, x)
    fill(xp, out, inside & (x <= 1), lambda a, x: _ends_near_0(xp, a, x, upper), a, x)

    def tail(a: Any, x: Any, is_lower: bool) -> Any:
        value = _scaled_density(xp, a, x) * tail_integral(xp, rule, a, x, 0, is_lower)
        return 1 - value if is_lower == upper else value

    fill(xp, out, inside & (x > 1) & lower, lambda a, x: tail(a, x, True), a, x)
    fill(xp, out, inside & (x > 1) & ~lower, lambda a, x: tail(a, x, False), a, x)
    out[_outside(xp, a, x)] = np.nan
    return out


def _ends_near_0(xp: Any, a: Any, x: Any, upper: bool) -> Any:
    if not upper:
        return _scale_near_0(xp, a, x) * _near_0(xp, a, x, 0)
    exponent = a * xp.log(x) - lgamma_1p(xp, a)
    return -xp.expm1(exponent) - a * xp.exp(exponent) * _series(xp, a, x, 0)


def _grad_kernel(xp: Any, rule: Any, a: Any, x: Any, *, order: int, scaled: bool) -> Any:
    """The n-th derivative of P(a, x) with respect to a; `scaled`: minus that over the density."""
    out = xp.zeros_like(x)
    inside = _inside(xp, a, x)

    def near_0(a: Any, x: Any) -> Any:
        value = _near_0(xp, a, x, order)
        if scaled:
            return -value * x * xp.exp(x) / a
        return value * _scale_near_0(xp, a, x)

    def tail(a: Any, x: Any, is_lower: bool) -> Any:
        value = tail_integral(xp, rule, a, x, order, is_lower)
        value = value if is_lower else -value
        return -value * x if scaled else value * _scaled_density(xp, a, x)

    lower = _is_lower(xp, a, x)
    fill(xp, out, inside & (x <= 1), near_0, a, x)
    fill(xp, out, inside & (x > 1) & lower, lambda a, x: tail(a, x, True), a, x)
    fill(xp, out, inside & (x > 1) & ~lower, lambda a, x: tail(a, x, False), a, x)
    if scaled:
        out[x == np.inf] = np.inf
    out[~((a > 0) & (x >= 0)) | (a == np.inf)] = np.nan
    return out


def _scale_near_0(xp: Any, a: Any, x: Any) -> Any:
    """x**a / gamma(a + 1) for 0 < x <= 1."""
    by_logarithm = xp.exp(a * xp.log(x) - lgamma_1p(xp, a))
    return xp.where(a < 20, x**a / positive_gamma(xp, a + 1), by_logarithm)


def _density_kernel(xp: Any, a: Any, x: Any) -> Any:
    out = xp.zeros_like(x)
    fill(xp, out, _inside(xp, a, x), lambda a, x: _scaled_density(xp, a, x) / x, a, x)
    at_0 = (x == 0) & (a > 0) & (a <= 1)
    out[at_0] = xp.where(a[at_0] == 1, 1.0, np.inf)
    out[_outside(xp, a, x)] = np.nan
    return out


def _slope(a: Any, x: Any) -> Array:
    """log(x) - digamma(a): the density's logarithm differentiated by a."""
    return sub(log(x), digamma_p.bind(a))


def _density_by_x(a: Any, x: Any) -> Array:
    """(a - 1) / x - 1: the density's logarithm differentiated by x."""
    one = scalar(1, x.dtype)
    return sub(div(sub(a, one), x), one)


igamma_grad_x_p = elementwise(
    "igamma_grad_x",
    in_float64(_density_kernel),
    over=dtypes.floats,
    derivatives=(
        lambda t, y, a, x: mul(t, mul(y, _slope(a, x))),
        lambda t, y, a, x: mul(t, mul(y, _density_by_x(a, x))),
    ),
    half=False,
)
igamma_grad_x = binary(
    igamma_grad_x_p,
    """The derivative of `igamma(a, x)` with respect to x, elementwise.

    It is the density of the gamma distribution of shape a, x**(a-1) exp(-x) / gamma(a), accurate
    at any size of a.
    """,
    inexact=True,
)


def _bell_of(order: int, a: Any, x: Any) -> Array:
    """The n-th derivative of the density with respect to a, over the density."""
    others = [neg(polygamma_p.bind(scalar(n, dtypes.int32), a)) for n in range(1, order)]
    arguments = [_slope(a, x), *others]
    values: list[Any] = [scalar(1, x.dtype)]
    for n in range(order):
        total: Any = None
        for i in range(n + 1):
            term = mul(mul(scalar(math.comb(n, i), x.dtype), values[n - i]), arguments[i])
            total = term if total is None else add(total, term)
        values.append(total)
    return values[order]


def _grad_a_by_x(t: Any, y: Any, a: Any, x: Any, *, order: int) -> Array:
    return mul(t, mul(igamma_grad_x_p.bind(a, x), _bell_of(order, a, x)))


igamma_grad_a_p = elementwise(
    "igamma_grad_a",
    by_quadrature(lambda *args, order: _grad_kernel(*args, order=order, scaled=False)),
    over=dtypes.floats,
    derivatives=(
        lambda t, y, a, x, *, order: mul(t, igamma_grad_a_p.bind(a, x, order=order + 1)),
        _grad_a_by_x,
    ),
    half=False,
)


def igamma_grad_a(a: ArrayLike, x: ArrayLike) -> Array:
    """The derivative of `igamma(a, x)` with respect to a, elementwise; NaN for a <= 0 or x < 0.

    Within 1e-14 relatively in float64. It can be differentiated in turn, to any order.

    >>> igamma_grad_a(1.0, 1.0)
    Array(-0.4317297, dtype=float32, weak_type=True)
    """
    return igamma_grad_a_p.bind(*promote_inexact("igamma_grad_a", a, x), order=1)


def _incomplete(name: str, upper: bool) -> Primitive:
    def signed(t: Any) -> Any:
        return neg(t) if upper else t

    return elementwise(
        name,
        by_quadrature(lambda *args: _igamma_kernel(*args, upper=upper)),
        over=dtypes.floats,
        derivatives=(
            lambda t, y, a, x: mul(signed(t), igamma_grad_a_p.bind(a, x, order=1)),
            lambda t, y, a, x: mul(signed(t), igamma_grad_x_p.bind(a, x)),
        ),
        half=False,
    )


igamma_p = _incomplete("igamma", False)
igamma = binary(
    igamma_p,
    """The regularised lower incomplete gamma function P(a, x), elementwise.

    The integral of t**(a-1) exp(-t) / gamma(a) over t from 0 to x: 0 at x = 0, 1 at infinity; NaN
    for a < 0 or x < 0. Within 1 ulp in float32; in float64 the relative error is below 1e-15
    (1 - log P), for any a and x.
    """,
    inexact=True,
)

igammac_p = _incomplete("igammac", True)
igammac = binary(
    igammac_p,
    """The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), elementwise.

    Accurate where P is near 1, as `igamma` is where it is near 0.
    """,
    inexact=True,
)


def _random_by_a(t: Any, y: Any, a: Any, x: Any, *, order: int) -> Array:
    above = random_gamma_grad_p.bind(a, x, order=order + 1)
    return mul(t, sub(above, mul(y, _slope(a, x))))


def _random_by_x(t: Any, y: Any, a: Any, x: Any, *, order: int) -> Array:
    return neg(mul(t, add(_bell_of(order, a, x), mul(y, _density_by_x(a, x)))))


random_gamma_grad_p = elementwise(
    "random_gamma_grad",
    by_quadrature(lambda *args, order: _grad_kernel(*args, order=order, scaled=True)),
    over=dtypes.floats,
    derivatives=(_random_by_a, _random_by_x),
    half=False,
)


def random_gamma_grad(a: ArrayLike, x: ArrayLike) -> Array:
    """The derivative of a gamma variate x with respect to its shape a, elementwise.

    A variate whose quantile P(a, x) is held fixed moves by -(dP/da) / (dP/dx) (Figurnov et al.,
    "Implicit reparameterization gradients", 2018). NaN for a <= 0 or x < 0. Within 1e-14 relatively
    in float64, in the far tails as well. It can be differentiated in turn.

    >>> random_gamma_grad(1.0, 1.0)
    Array(1.173563, dtype=float32, weak_type=True)
    """
    return random_gamma_grad_p.bind(*promote_inexact("random_gamma_grad", a, x), order=1)
