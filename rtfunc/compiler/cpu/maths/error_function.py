"""The error function, its complement and its inverse.

Depends on `lanes`, `coefficients`, and the reductions of exp and log.
"""

from __future__ import annotations

import math

from . import coefficients as c
from .exponential import (
    exp_normal,
    exp_of_remainder,
    halved_powers_of_two,
    reduce_exponent,
)
from .lanes import EXPONENT_BIAS, Lanes, fma, polynomial
from .logarithm import log_positive

ERF_SATURATES = {32: 3.94, 64: 5.94}
"""From here erf(x) rounds to 1."""

ERFC_VANISHES = {32: 10.1, 64: 27.3}
"""From here erfc(x) rounds to 0."""


def erf(x: Lanes) -> Lanes:
    """erf(x) = x + x P(x²) for |x| < 1, else 1 - exp(Q(|x|) - |x|), Q fitted to log(erfc).

    The form is that of N. Juffa's erff(); both parts are fitted anew.
    """
    z = x * x
    near = fma(x, polynomial(z, c.ERF[x.bits]), x)
    a = x.abs().at_most(ERF_SATURATES[x.bits])
    far = 1.0 - exp_normal(polynomial(a, c.ERF_TAIL[x.bits]) - a)
    return (x.abs() < 1.0).select(near, far.with_sign_of(x))


def erfc(x: Lanes) -> Lanes:
    """erfc(a) = exp(-a²) P(t) / (a + 4) with t = (a - 4) / (a + 4); erfc(-a) = 2 - erfc(a).

    After M. Shepherd and J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x",
    Mathematics of Computation 36 (1981), with a factor that shares its division with t. That is
    computed as 2a / (a + 4) - 1, which is accurate where it counts. What a² and a + 4 lose to
    rounding goes into the exponent.
    """
    bits = x.bits
    a = x.abs().at_most(ERFC_VANISHES[bits])
    shifted = a + 4.0
    inverse = 1.0 / shifted
    ratio = polynomial(fma(a + a, inverse, -1.0), c.ERFC[bits]) * inverse
    square = a * a
    lost = fma(a - (shifted - 4.0), inverse, fma(a, a, -square))
    r, stored = reduce_exponent(-square, 2 * EXPONENT_BIAS[bits])
    first, second = halved_powers_of_two(stored)
    value = exp_of_remainder(r - lost) * ratio * first * second
    return (x < 0.0).select(2.0 - value, value)


def erf_inv(x: Lanes) -> Lanes:
    """The inverse of erf: x + x R(x²) for |x| < 0.85, else s + R(s) with s = √-log(1 - |x|).

    R are ratios of polynomials.

    The division into ranges is that of M. Wichura, "Algorithm AS 241: The percentage points of the
    normal distribution", Applied Statistics 37 (1988); fitted anew.
    """
    bits = x.bits
    a = x.abs()
    s = (-log_positive(1.0 - a)).sqrt()
    centre, tail = fma(x, -x, 0.7225), s - 1.375
    numerator = polynomial(tail, c.ERF_INV_TAIL_NUMERATOR[bits])
    denominator = polynomial(tail, c.ERF_INV_TAIL_DENOMINATOR[bits])
    if bits == 64:
        far, end = s > 4.09, s - 4.0
        numerator = far.select(polynomial(end, c.ERF_INV_FAR_NUMERATOR[64]), numerator)
        denominator = far.select(polynomial(end, c.ERF_INV_FAR_DENOMINATOR[64]), denominator)
    near = a < 0.85
    numerator = near.select(polynomial(centre, c.ERF_INV_NUMERATOR[bits]) * a, numerator)
    denominator = near.select(polynomial(centre, c.ERF_INV_DENOMINATOR[bits]), denominator)
    limit = a.equals(1.0).select(a.like(math.inf), math.nan)
    value = near.select(a, s) + numerator / denominator
    return (a < 1.0).select(value, limit).with_sign_of(x)
