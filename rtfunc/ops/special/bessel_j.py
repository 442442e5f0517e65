"""Bessel functions of the first kind J_n(x) of whole orders.

The power series where it does not cancel. Where |x| is moderate or n large: J. Miller's backward
recurrence, normalised by J_0 + 2 J_2 + 2 J_4 + ... = 1 (Abramowitz and Stegun 9.12). Beyond 25,
Hankel's asymptotic expansions of J_0 and J_1 (9.2.5), from which the recurrence 9.1.27 goes up as far
as n < |x|, where it is stable. Depends on `blocks`.
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
from rtfunc.ops.arithmetic import add, mul, sub
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.elementwise import batch_elementwise, jvp_from, vjp_from
from rtfunc.ops.special.blocks import fill, in_float64

_HANKEL_FROM, _TERMS = 25.0, 24


def _hankel(xp: Any, order: int, x: Any) -> Any:
    """J_order(x) for x >= 25 and order 0 or 1."""
    p, q, term = xp.ones_like(x), xp.zeros_like(x), xp.ones_like(x)
    for k in range(1, _TERMS):
        term = term * ((4 * order * order - (2 * k - 1) ** 2) / (8 * k)) / x
        if k % 2:
            q = q + term * (-1) ** (k // 2)
        else:
            p = p + term * (-1) ** (k // 2)
    s, c = xp.sin(x), xp.cos(x)
    # x - pi / 4 and x - 3 pi / 4
    cosine, sine = (c + s, s - c) if order == 0 else (s - c, -(s + c))
    return (p * cosine - q * sine) / xp.sqrt(math.pi * x)


def _upward(xp: Any, n: Any, x: Any) -> Any:
    below, here = _hankel(xp, 0, x), _hankel(xp, 1, x)
    out = xp.where(n == 0, below, here)
    for k in range(1, int(n.max())):
        below, here = here, 2 * k / x * here - below
        out = xp.where(n == k + 1, here, out)
    return out


def _backward(xp: Any, n: Any, x: Any) -> Any:
    largest = float(max(n.max(), x.max()))
    start = 2 * math.ceil(0.5 * (largest + 18 * max(largest, 1) ** (1 / 3) + 18))
    above, here = xp.zeros_like(x), xp.full_like(x, 1e-300)
    total, out = xp.zeros_like(x), xp.zeros_like(x)
    inverse = 2 / x
    for k in range(start, 0, -1):
        out = xp.where(n == k, here, out)
        if k % 2 == 0:
            total = total + 2 * here
        above, here = here, k * inverse * here - above
        large = xp.abs(here) > 1e200
        if xp.any(large):  # what is that small beside the rest may vanish
            factor = xp.where(large, 1e-250, 1.0)
            above, here, total, out = (v * factor for v in (above, here, total, out))
    out = xp.where(n == 0, here, out)
    return out / (total + here)


def _kernel(xp: Any, n: Any, x: Any) -> Any:
    order, size = xp.abs(n), xp.abs(x)
    out = xp.where(size == np.inf, 0.0, xp.full_like(x, np.nan))
    far = (size >= _HANKEL_FROM) & (order <= size) & (size < np.inf)
    near_0 = size * size < 2 * (order + 1)
    fill(xp, out, far, lambda n, x: _upward(xp, n, x), order, size)
    near = ~far & ~near_0 & (size < np.inf)
    fill(xp, out, near, lambda n, x: _backward(xp, n, x), order, size)
    fill(xp, out, near_0, lambda n, x: _ascending(xp, n, x), order, size)
    odd = order % 2 == 1
    return xp.where(odd & ((n < 0) ^ (x < 0)), -out, out)


def _ascending(xp: Any, n: Any, x: Any) -> Any:
    """The power series (9.1.10) where x**2 < 2 (n + 1), whose terms fall from the first one on."""
    out, square = xp.ones_like(x), 0.25 * x * x
    for k in range(18, 0, -1):
        out = 1 - out * (square / (k * (n + k)))
    for k in range(1, int(n.max()) + 1):
        out = xp.where(n >= k, out * (0.5 * x / k), out)
        if not xp.any(out):
            break
    return out


def _infer(n: Aval, x: Aval) -> Aval:
    if not dtypes.is_integer(n.dtype):
        raise DtypeError(at_user_line(f"bessel_j takes integer orders, but got {n.dtype}."))
    if x.dtype not in dtypes.floats:
        raise DtypeError(at_user_line(f"bessel_j takes real floats, but got {x.dtype}."))
    return Aval(broadcast_shapes("bessel_j", n.shape, x.shape), x.dtype, x.weak_type)


def _slope(t: Any, y: Any, n: Any, x: Any) -> Array:
    """(J_(n-1) - J_(n+1)) / 2."""
    one = scalar(1, n.dtype)
    below, above = bessel_j_p.bind(sub(n, one), x), bessel_j_p.bind(add(n, one), x)
    return mul(t, mul(scalar(0.5, x.dtype), sub(below, above)))


bessel_j_p = Primitive(
    "bessel_j",
    infer=_infer,
    impl=in_float64(_kernel),
    jvp=jvp_from((None, _slope)),
    vjp=vjp_from((None, _slope)),
    batch=batch_elementwise,
    weak="explicit",
)


def bessel_j(n: ArrayLike, x: ArrayLike) -> Array:
    """The Bessel function of the first kind J_n(x), elementwise, of whole orders n.

    No derivative flows to n. In float64 within 8 ulp of the larger of |J_n(x)| and, beyond 25, the
    amplitude sqrt(2 / (pi x)): the relative error is unbounded near the zeros.

    >>> bessel_j(1, 1.0)
    Array(0.44005057, dtype=float32, weak_type=True)
    """
    n = as_array("bessel_j", n)
    (x,) = promote_inexact("bessel_j", x)
    if n.dtype.kind == "u":
        n = convert(n, dtypes.int64)
    return bessel_j_p.bind(n, x)
