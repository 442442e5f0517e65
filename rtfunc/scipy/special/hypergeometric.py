"""Hypergeometric functions as sums and integrals made of the functions of `rtfunc.numpy`.

Their series run in a `scan`, so that derivatives flow to all arguments and compiled code has them in
one loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rtfunc import lax
from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.ops.convert import promote_inexact
from rtfunc.ops.special import gamma, lgamma

_TERMS_OF_1F1, _TERMS_OF_2F1 = 320, 420
#: Where the asymptotic expansion of 1F1 begins, beyond what a and b add.
_FAR = 60.0


def _reals(operation: str, *operands: ArrayLike) -> list[Array]:
    arrays = promote_inexact(operation, *operands)
    if dtypes.is_complex(arrays[0].dtype):
        raise DtypeError(at_user_line(f"{operation} takes real numbers, not {arrays[0].dtype}."))
    return [rnp.asarray(x) for x in rnp.broadcast_arrays(*arrays)]


def _series(ratio: Callable[[Any], Any], terms: int, like: Array) -> Array:
    """1 + ratio(0) + ratio(0) ratio(1) + ..."""

    def step(carry: tuple[Any, Any], k: Any) -> tuple[Any, None]:
        term, total = carry
        term = term * ratio(k)
        return (term, total + term), None

    one = rnp.ones_like(like)
    (_, total), _ = lax.scan(step, (one, one), rnp.arange(terms, dtype=like.dtype))
    return total


def hyp1f1(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """Kummer's confluent hypergeometric function 1F1(a; b; x), elementwise, of real numbers.

    The sum of (a)_k / (b)_k x**k / k!. Its series (for x < 0 after Kummer's transformation, Abramowitz
    and Stegun 13.1.27), and the asymptotic expansion 13.5.1 for large |x|. For positive a and b and
    positive x, and negative x with b > a, all terms are positive: in float64 within some 1e-14, besides
    what exp(x) and the gamma function lose. Elsewhere they cancel. Derivatives flow to all arguments.

    >>> round(float(hyp1f1(1.0, 1.0, 2.0)), 4)  # exp(2)
    7.3891
    """
    a, b, x = _reals("hyp1f1", a, b, x)
    negative = x < 0
    top, size = rnp.where(negative, b - a, a), rnp.abs(x)
    far = size > _FAR + rnp.abs(top) * rnp.abs(b - top)
    near = rnp.where(far, 1.0, size)
    value = _series(lambda k: (top + k) / (b + k) * (near / (k + 1)), _TERMS_OF_1F1, size)
    value = value * rnp.where(negative, rnp.exp(rnp.where(far, 0.0, x)), 1.0)

    distant = rnp.where(far, size, _FAR)
    tail = _asymptotic(b - top, 1 - top, distant)
    # the poles of the gamma function, at which the expansion has no exponential part
    polynomial = (top <= 0) & (top == rnp.floor(top))
    safe = rnp.where(polynomial, 1.0, top)
    scale = lgamma(b) - lgamma(safe) + (top - b) * rnp.log(distant)
    scale = rnp.exp(scale + rnp.where(negative, 0.0, distant)) * _sign_of_gamma(b)
    limit = rnp.where(polynomial, math.nan, scale * _sign_of_gamma(safe) * tail)
    return rnp.where(far & ~polynomial, limit, value)


def _asymptotic(p: Array, q: Array, x: Array) -> Array:
    """The sum of (p)_k (q)_k / k! / x**k, to its first 24 terms."""
    return _series(lambda k: (p + k) * (q + k) / ((k + 1) * x), 24, x)


def _sign_of_gamma(x: Array) -> Array:
    floor = rnp.floor(x)
    return rnp.where((x < 0) & (floor % 2 != 0), -1.0, 1.0)


def hyp2f1(a: ArrayLike, b: ArrayLike, c: ArrayLike, x: ArrayLike) -> Array:
    """Gauss's hypergeometric function 2F1(a, b; c; x), elementwise, of real numbers and x <= 1.

    The sum of (a)_k (b)_k / (c)_k x**k / k!. Its series for 0 <= x <= 0.9, Pfaff's transformation
    (Abramowitz and Stegun 15.3.4) for x < 0, Euler's integral (15.3.1) beyond 0.9, which needs
    c > b > 0 or c > a > 0 and is NaN otherwise, and Gauss's value 15.1.20 at 1. NaN for x > 1. For
    positive parameters in float64 within some 1e-13. Derivatives flow to all arguments.

    >>> round(float(hyp2f1(1.0, 1.0, 2.0, 0.5)), 4)  # log(4)
    1.3863
    """
    a, b, c, x = _reals("hyp2f1", a, b, c, x)
    negative = x < 0
    second = rnp.where(negative, c - b, b)
    place = rnp.where(negative, x / (x - 1), x)
    far = place > 0.9
    near = rnp.where(far, 0.5, place)
    value = _series(lambda k: (a + k) * (second + k) / ((c + k) * (k + 1)) * near, _TERMS_OF_2F1, x)
    inside = rnp.where(far & (place < 1), place, 0.5)
    value = rnp.where(far, _by_euler(a, second, c, inside), value)
    factor = rnp.where(negative, rnp.power(1 - rnp.where(negative, x, 0.0), -a), 1.0)
    value = value * factor
    gap = c - a - b
    converges = rnp.where(gap > 0, gap, 1.0)
    at_1 = gamma(c) * gamma(converges) / (gamma(c - a) * gamma(c - b))
    value = rnp.where(x == 1, rnp.where(gap > 0, at_1, math.inf), value)
    return rnp.where(x > 1, math.nan, value)


def _by_euler(a: Array, b: Array, c: Array, x: Array) -> Array:
    """By the integral of t**(b-1) (1-t)**(c-b-1) (1-x t)**-a over [0, 1], for c > b > 0."""
    exchanged = ~((b > 0) & (c > b))
    a, b = rnp.where(exchanged, b, a), rnp.where(exchanged, a, b)
    possible = (b > 0) & (c > b)
    b, c = rnp.where(possible, b, 1.0), rnp.where(possible, c, 2.0)
    log_t, log_rest, log_weight = (
        rnp.asarray(v, dtype=x.dtype).reshape(-1, *(1,) * x.ndim) for v in _NODES
    )
    # 1 - x t = (1 - x) + x (1 - t), without cancellation
    last = rnp.log((1 - x) + x * rnp.exp(log_rest))
    logarithms = log_weight + b * log_t + (c - b) * log_rest - a * last
    total = rnp.sum(rnp.exp(logarithms), axis=0)
    scale = rnp.exp(lgamma(c) - lgamma(b) - lgamma(c - b))
    return rnp.where(possible, scale * total, math.nan)


def _double_exponential() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log(t), log(1 - t) and the logarithms of the weights over t (1 - t) of the integral over [0, 1].

    t = 1 / (1 + exp(-pi sinh(u))): H. Takahasi and M. Mori, Double exponential formulas for numerical
    integration, 1974.
    """
    step = 1 / 16
    u = np.arange(-88, 89) * step
    angle = math.pi * np.sinh(u)
    log_t, log_rest = -np.logaddexp(0, -angle), -np.logaddexp(0, angle)
    return log_t, log_rest, np.log(step * math.pi * np.cosh(u))


_NODES = _double_exponential()
