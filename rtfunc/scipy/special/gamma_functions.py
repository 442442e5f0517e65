"""The gamma and beta functions, complete and incomplete, and what is made of them."""

from __future__ import annotations

import math
import operator
from fractions import Fraction

import numpy as np

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, UnsupportedError, at_user_line
from rtfunc.numpy.arguments import constant
from rtfunc.ops.arithmetic import add, div, mul, neg, rem, sub
from rtfunc.ops.comparison import bitwise_and, bitwise_or, eq, ge, gt, lt, ne
from rtfunc.ops.convert import promote_inexact
from rtfunc.ops.exponential import exp, log1p
from rtfunc.ops.rounding import floor
from rtfunc.ops.select import select
from rtfunc.ops.special import betainc as betainc
from rtfunc.ops.special import betaln as betaln
from rtfunc.ops.special import digamma as digamma
from rtfunc.ops.special import gamma as gamma
from rtfunc.ops.special import igamma, igammac, lgamma
from rtfunc.ops.special import polygamma as polygamma
from rtfunc.ops.special import zeta as _hurwitz

gammaln = lgamma
gammainc = igamma
gammaincc = igammac
psi = digamma


def gammasgn(x: ArrayLike) -> Array:
    """The sign of gamma(x), elementwise; NaN at negative whole numbers.

    >>> gammasgn(-0.5)
    Array(-1., dtype=float32, weak_type=True)
    """
    (x,) = promote_inexact("gammasgn", x)
    one, two, zero = (constant(v, x) for v in (1, 2, 0))
    whole = floor(x)
    odd = ne(rem(whole, two), zero)
    sign = select(bitwise_and(lt(x, zero), odd), neg(one), one)
    negative_zero = bitwise_and(eq(x, zero), lt(div(one, x), zero))
    sign = select(negative_zero, neg(one), sign)
    pole = bitwise_and(lt(x, zero), eq(whole, x))
    return select(bitwise_or(pole, ne(x, x)), constant(math.nan, x), sign)


def beta(a: ArrayLike, b: ArrayLike) -> Array:
    """The beta function gamma(a) gamma(b) / gamma(a + b), elementwise.

    Computed through its logarithm, so that the relative error grows with it: 1e-16 (8 + |betaln|) in
    float64.

    >>> beta(2.0, 3.0)
    Array(0.08333334, dtype=float32, weak_type=True)
    """
    a, b = promote_inexact("beta", a, b)
    sign = mul(mul(gammasgn(a), gammasgn(b)), gammasgn(add(a, b)))
    return mul(sign, exp(betaln(a, b)))


def factorial(n: ArrayLike, exact: bool = False) -> Array:
    """n! = gamma(n + 1), elementwise; 0 for negative n.

    Raises `UnsupportedError` for `exact=True`: integers of any size are Python's `math.factorial`.

    >>> factorial(5)
    Array(120., dtype=float32, weak_type=True)
    """
    _refuse_exact("factorial", exact)
    (n,) = promote_inexact("factorial", n)
    zero, one = constant(0, n), constant(1, n)
    negative = lt(n, zero)
    return select(negative, zero, gamma(select(negative, one, add(n, one))))


def comb(N: ArrayLike, k: ArrayLike, *, exact: bool = False, repetition: bool = False) -> Array:
    """The number of ways to choose k of N things, elementwise; 0 for k < 0 and k > N.

    With `repetition` things may be chosen again. Computed from gamma functions, or, where they would
    overflow, as 1 / ((N + 1) B(N - k + 1, k + 1)).

    >>> comb(5.0, 2.0)
    Array(10., dtype=float32, weak_type=True)
    """
    _refuse_exact("comb", exact)
    n, k = promote_inexact("comb", N, k)
    one, zero = constant(1, n), constant(0, n)
    if repetition:
        n = sub(add(n, k), one)
    valid = bitwise_and(bitwise_and(ge(k, zero), ge(n, k)), ge(n, zero))
    n, k = select(valid, n, one), select(valid, k, zero)
    small = lt(n, constant(170 if n.dtype == dtypes.float64 else 34, n))
    left, chosen = add(sub(n, k), one), add(k, one)
    by_logarithm = exp(neg(add(betaln(left, chosen), log1p(n))))
    # The branch that is not taken must not overflow, for its derivative is multiplied by 0.
    whole, left, chosen = (select(small, v, one) for v in (add(n, one), left, chosen))
    by_gamma = div(div(gamma(whole), gamma(left)), gamma(chosen))
    return select(valid, select(small, by_gamma, by_logarithm), zero)


def _refuse_exact(operation: str, exact: bool) -> None:
    if exact:
        raise UnsupportedError(
            at_user_line(
                f"{operation}: exact=True asks for integers of any size, which arrays cannot hold. "
                f"Use Python's math.{operation} for them."
            )
        )


def poch(z: ArrayLike, m: ArrayLike) -> Array:
    """Pochhammer's symbol gamma(z + m) / gamma(z), elementwise, for z that is not a pole.

    >>> poch(2.0, 3.0)
    Array(24., dtype=float32, weak_type=True)
    """
    z, m = promote_inexact("poch", z, m)
    total = add(z, m)
    value = mul(mul(gammasgn(total), gammasgn(z)), exp(sub(lgamma(total), lgamma(z))))
    return select(eq(m, constant(0, m)), constant(1, m), value)


def multigammaln(a: ArrayLike, d: int) -> Array:
    """The logarithm of the multivariate gamma function of dimension d, elementwise.

    pi**(d (d-1) / 4) times the product of gamma(a - i/2) over i = 0, ..., d - 1; NaN where it is not
    defined, for a <= (d - 1) / 2.

    Raises `ArgumentError` unless d is a positive integer.

    >>> multigammaln(3.0, 2)
    Array(1.550195, dtype=float32, weak_type=True)
    """
    try:
        dimension = operator.index(d)
    except TypeError:
        dimension = 0
    if dimension < 1:
        raise ArgumentError(at_user_line(f"multigammaln: d is a positive integer, not {d!r}."))
    (a,) = promote_inexact("multigammaln", a)
    total = constant(dimension * (dimension - 1) / 4 * math.log(math.pi), a)
    for i in range(dimension):
        total = add(total, lgamma(sub(a, constant(i / 2, a))))
    defined = gt(a, constant((dimension - 1) / 2, a))
    return select(defined, total, constant(math.nan, a))


def zeta(x: ArrayLike, q: ArrayLike = 1.0) -> Array:
    """Riemann's zeta function, or Hurwitz's: the sum of (q + k)**-x over k >= 0, elementwise.

    For x > 1; infinite at 1 and NaN below.

    >>> zeta(2.0)
    Array(1.644934, dtype=float32, weak_type=True)
    """
    return _hurwitz(x, q)


def bernoulli(n: int) -> Array:
    """The Bernoulli numbers B0, ..., Bn as float32, with B1 = -1/2.

    Computed exactly, in rational numbers; infinite past B128, which overflows.

    Raises `ArgumentError` unless n is a whole number that is not negative.

    >>> bernoulli(4)
    Array([ 1.        , -0.5       ,  0.16666667,  0.        , -0.03333334], dtype=float32)
    """
    try:
        count = operator.index(n)
    except TypeError:
        count = -1
    if count < 0:
        raise ArgumentError(
            at_user_line(f"bernoulli: n is a whole number that is not negative, not {n!r}.")
        )
    numbers = [Fraction(1)]
    for m in range(1, count + 1):
        if m > 1 and m % 2:
            numbers.append(Fraction(0))
            continue
        total = sum((math.comb(m + 1, k) * numbers[k] for k in range(m)), Fraction(0))
        numbers.append(-total / Fraction(m + 1))
    limit = Fraction(float(dtypes.finfo(dtypes.float32).max))
    values = [float(b) if abs(b) <= limit else math.copysign(math.inf, b) for b in numbers]
    return Array(np.array(values, dtypes.float32))


def loggamma(x: ArrayLike) -> Array:
    """The principal branch of the logarithm of the gamma function, elementwise.

    Real for real x > 0, NaN for negative ones; for complex x the branch that is real on the positive
    axis, with a cut along the negative one (unlike log(gamma(x)), whose imaginary part jumps). By
    Stirling's series after the recurrence, and by reflection where the real part is negative. In
    float64 within some 1e-14 of the larger of 1 and |loggamma(x)|.

    >>> round(float(loggamma(3 + 4j).imag), 3)
    4.743
    """
    (x,) = promote_inexact("loggamma", x)
    if not dtypes.is_complex(x.dtype):
        return rnp.where(x < 0, math.nan, gammaln(x))
    left = x.real < 0
    right = _loggamma_right(rnp.where(left, 1 - x, x))
    # log(sin(pi x)), continued from the upper half plane without its jumps
    upper = rnp.where(x.imag < 0, rnp.conj(x), x)
    turned = rnp.where(left, upper, -0.5 + 1j)
    sine = (-1j * math.pi) * (turned - 0.5) + rnp.log1p(-rnp.exp(2j * math.pi * turned))
    reflected = math.log(2 * math.pi) - sine
    reflected = rnp.where(x.imag < 0, rnp.conj(reflected), reflected) - right
    return rnp.where(left, reflected, right)


def _loggamma_right(x: Array) -> Array:
    """For complex numbers whose real part is not negative."""
    below = 0 * x
    z, small = x, rnp.abs(x) < 10
    for k in range(10):
        below = below + rnp.log(rnp.where(small, x + k, 1.0))
    z = rnp.where(small, x + 10, x)
    inverse = 1 / z
    square, tail = inverse * inverse, 0 * z
    for coefficient in (1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12):
        tail = tail * square + coefficient
    half_log = 0.5 * math.log(2 * math.pi)
    return (z - 0.5) * rnp.log(z) - z + half_log + tail * inverse - below
