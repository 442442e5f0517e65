"""The Hurwitz zeta function and the polygamma functions, which are its values at whole numbers.

zeta(s, q) = sum of (q + k)**-s over k >= 0, summed up to q + k = 10 and closed by the Euler-Maclaurin
formula (DLMF 25.11.28). For negative q and whole s the sum is folded at 0:
the sum over all whole k, which has period 1 in q, less zeta(s, 1 - q). Depends on `blocks`, `gamma`.
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
from rtfunc.ops.arithmetic import add, mul, neg
from rtfunc.ops.comparison import eq
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.elementwise import batch_elementwise, elementwise, jvp_from, vjp_from
from rtfunc.ops.select import select
from rtfunc.ops.special.blocks import fill, in_float64
from rtfunc.ops.special.gamma import digamma_kernel, positive_gamma

#: Terms that are summed, and B(2j) / (2j)!: the relative error is below 1e-16 for all s >= 1.
_SUMMED = 10
_EULER_MACLAURIN = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)  # fmt: skip


def positive_zeta(xp: Any, s: Any, q: Any, order: int = 0) -> Any:
    """The derivative of zeta(s, q) with respect to s of the given order, for s > 1 and q > 0."""
    total = xp.zeros_like(q)
    for k in range(_SUMMED):
        w = q + k
        total = total + w**-s * (-xp.log(w)) ** order
    # Taylor coefficients in s of the closing terms: w**(1-s) / (s-1) + w**-s / 2 + ..., with
    # Pochhammer's symbol as a polynomial that each term extends by two factors.
    w = q + _SUMMED
    factors = [1.0 * xp.ones_like(s)] + [xp.zeros_like(s)] * order
    series = [w / (s - 1) * (-1 / (s - 1)) ** i for i in range(order + 1)]
    series[0] = series[0] + 0.5
    square = 1 / (w * w)
    power = w
    pochhammer = _times_linear(factors, s)
    for j, c in enumerate(_EULER_MACLAURIN):
        power = power * square
        series = [total_ + c * power * p for total_, p in zip(series, pochhammer)]
        pochhammer = _times_linear(pochhammer, s + (2 * j + 1))
        pochhammer = _times_linear(pochhammer, s + (2 * j + 2))
    # The product with w**-s, whose Taylor coefficients are (-log(w))**i / i!.
    log = -xp.log(w)
    tail = sum(series[i] * log ** (order - i) / math.factorial(order - i) for i in range(order + 1))
    closing = math.factorial(order) * tail
    scale = w**-s
    return total + xp.where(scale == 0, 0.0, scale * closing)


def _times_linear(coefficients: list[Any], value: Any) -> list[Any]:
    """Taylor coefficients of a product with a factor of the given value and slope 1."""
    lower = [0.0, *coefficients[:-1]]
    return [c * value + below for c, below in zip(coefficients, lower)]


def _zeta_kernel(xp: Any, s: Any, q: Any, *, order: int) -> Any:
    out = xp.full_like(q, np.nan)
    inside = (s > 1) & (q > 0) & (q < np.inf) & (s < np.inf)
    fill(xp, out, inside, lambda s, q: positive_zeta(xp, s, q, order), s, q)
    if not order:
        whole = (s > 1) & (s < np.inf) & (s == xp.floor(s)) & (q < 0) & (q > -np.inf)
        fill(xp, out, whole, lambda s, q: _negative_zeta(xp, s, q), s, q)
        out[(s == 1) & (q == q)] = np.inf
        out[(s > 1) & (q == 0)] = np.inf
        out[(s == np.inf) & (q < 1) & (q > 0)] = np.inf
        out[(s == np.inf) & (q == 1)] = 1.0
        out[(s == np.inf) & (q > 1)] = 0.0
    out[(s > 1) & (q == np.inf)] = 0.0
    return out


def _negative_zeta(xp: Any, s: Any, q: Any) -> Any:
    """For whole s > 1: the sum over all whole numbers less the part that zeta(s, q) lacks."""
    nearest = xp.rint(q)
    offset = q - nearest
    sign = xp.where(s % 2 == 0, 1.0, -1.0)
    # The largest term is 1 / offset**s; of the others, those below and above are folded together.
    above = positive_zeta(xp, s, 1 + offset)
    below = positive_zeta(xp, s, 1 - offset) - positive_zeta(xp, s, 1 - q)
    out = offset**-s + (above + sign * below)
    out[offset == 0] = np.inf
    return out


def _zeta_by_q(t: Any, y: Any, s: Any, q: Any, *, order: int) -> Any:
    """The derivative of -s zeta(s + 1, q), of the given order in s."""
    above = add(s, scalar(1, s.dtype))
    slope = mul(s, zeta_p.bind(above, q, order=order))
    if order:
        lower = zeta_p.bind(above, q, order=order - 1)
        slope = add(slope, mul(scalar(order, s.dtype), lower))
    return neg(mul(t, slope))


zeta_p = elementwise(
    "zeta",
    in_float64(_zeta_kernel),
    over=dtypes.floats,
    derivatives=(
        lambda t, y, s, q, *, order: mul(t, zeta_p.bind(s, q, order=order + 1)),
        _zeta_by_q,
    ),
    half=False,
)


def zeta(s: ArrayLike, q: ArrayLike) -> Array:
    """The Hurwitz zeta function, the sum of (q + k)**-s over k = 0, 1, 2, ..., elementwise.

    Infinite at s = 1 and where q is 0 or a negative whole number, NaN for s < 1 and, where q is
    negative, for s that are not whole. Within 1 ulp in float32 and 5 ulp in float64 for q > 0.
    Derivatives flow to both arguments.

    >>> zeta(2.0, 1.0)
    Array(1.644934, dtype=float32, weak_type=True)
    """
    return zeta_p.bind(*promote_inexact("zeta", s, q), order=0)


def _polygamma_infer(n: Aval, x: Aval) -> Aval:
    if not dtypes.is_integer(n.dtype):
        raise DtypeError(at_user_line(f"polygamma takes integer orders n, but got {n.dtype}."))
    if x.dtype not in dtypes.floats:
        raise DtypeError(
            at_user_line(
                f"polygamma takes real floats, but got {x.dtype}. "
                "Convert it first, for example with x.astype(float)."
            )
        )
    return Aval(broadcast_shapes("polygamma", n.shape, x.shape), x.dtype, x.weak_type)


def _polygamma_kernel(xp: Any, n: Any, x: Any) -> Any:
    factor = xp.where(n % 2 == 1, 1.0, -1.0) * positive_gamma(xp, n + 1)
    out = factor * _zeta_kernel(xp, n + 1, x, order=0)
    pole = (x <= 0) & (x == xp.floor(x)) & (n % 2 == 0)  # the sides of even poles differ in sign
    out[pole] = np.nan
    out[n < 0] = np.nan
    fill(xp, out, n == 0, lambda x: digamma_kernel(xp, x), x)
    return out


polygamma_p = Primitive(
    "polygamma",
    infer=_polygamma_infer,
    impl=in_float64(_polygamma_kernel),
    jvp=jvp_from(
        (None, lambda t, y, n, x: mul(t, polygamma_p.bind(add(n, scalar(1, n.dtype)), x)))
    ),
    vjp=vjp_from(
        (None, lambda t, y, n, x: mul(t, polygamma_p.bind(add(n, scalar(1, n.dtype)), x)))
    ),
    batch=batch_elementwise,
    weak="explicit",
)


def polygamma(n: ArrayLike, x: ArrayLike) -> Array:
    """The n-th derivative of digamma(x), elementwise, for whole n >= 0.

    NaN for negative or fractional n. At 0 and negative whole x it is infinite for odd n and NaN for
    even n. No derivative flows to n. Within 1 ulp in float32 and 8 ulp in float64 for x > 0; for
    x < 0 the error is relative to the largest of the terms that are added.

    >>> polygamma(1, 1.0)
    Array(1.644934, dtype=float32, weak_type=True)
    """
    n = as_array("polygamma", n)
    (x,) = promote_inexact("polygamma", x)
    whole = None
    if dtypes.is_float(n.dtype):
        rounded = convert(n, dtypes.int32)
        whole = eq(n, convert(rounded, n.dtype))
        n = rounded
    elif n.dtype == dtypes.bool_:
        n = convert(n, dtypes.int32)
    nan = scalar(math.nan, x.dtype, True)
    out = polygamma_p.bind(n, x)
    return out if whole is None else select(whole, out, nan)
