"""The logarithm of the gamma function and its derivative.

Both are computed in float64, for float32 as well. On the positive axis: Stirling's series from 8,
a ratio of polynomials around the zeros, which are divided out so that the relative error stays
small there, and the recurrence in between. On the negative axis: reflection, whose relative error
is unbounded near the zeros of lgamma and digamma that lie there. Depends on `lanes`,
`coefficients`, `logarithm` and `trigonometric`.
"""

from __future__ import annotations

import math

from . import coefficients as c
from .lanes import Lanes, fma, polynomial
from .logarithm import combine_logarithm, log, reduce_logarithm
from .trigonometric import sin_and_cos

STIRLING_FROM = 8.0

# B_{2k} / (2k (2k - 1)) and B_{2k} / (2k), k = 1, 2, ...: Abramowitz and Stegun 6.1.40 and 6.3.18
LOG_GAMMA_SERIES = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
DIGAMMA_SERIES = (
    1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160,
)  # fmt: skip


def sin_and_cos_of_turns(a: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """|sin(πa)|, |cos(πa)|, and a less the nearest integer."""
    offset = a - a.nearest()
    t = offset.abs()
    swap = t > 0.25
    sine, cosine = sin_and_cos(swap.select(0.5 - t, t) * math.pi)
    return swap.select(cosine, sine), swap.select(sine, cosine), offset


def lgamma(x: Lanes) -> Lanes:
    """log|Γ(x)|; for negative x = -a it is log(π / |a sin(πa)|) - log Γ(a)."""
    if x.bits == 32:
        return lgamma(x.to_double()).to_float()
    a = x.abs()
    product, w = a.like(1.0), a
    for _ in range(5):  # Γ(w) = (w - 1) Γ(w - 1), down to w < 3
        step = w >= 3.0
        w = step.select(w - 1.0, w)
        product = step.select(product * w, product)
    below_one, series = a < 1.0, a >= STIRLING_FROM
    u = below_one.select(a, w - 1.0)
    ratio = polynomial(u, c.LOG_GAMMA_NUMERATOR[64]) / polynomial(u, c.LOG_GAMMA_DENOMINATOR[64])
    logarithm = combine_logarithm(*reduce_logarithm((below_one | series).select(a, product)))
    near = fma(u * (u - 1.0), ratio, below_one.select(-logarithm, logarithm))

    inverse = 1.0 / a
    tail = polynomial(inverse * inverse, LOG_GAMMA_SERIES) * inverse
    half_log = 0.5 * math.log(2 * math.pi) - 0.5
    far = fma(a - 0.5, logarithm - 1.0, tail + half_log)
    value = series.select(far, near)

    sine, _, _ = sin_and_cos_of_turns(a)
    reflected = log(math.pi / (a * sine)) - value
    value = ((x < 0.0) & (a > 1e-20)).select(reflected, value)
    at_pole = sine.equals(0.0) & (x <= 0.0)
    value = (at_pole | a.equals(math.inf)).select(a.like(math.inf), value)
    return x.is_nan().select(x, value)


def digamma(x: Lanes) -> Lanes:
    """d log Γ(x) / dx; for negative x = -a it is digamma(a) + 1/a + π / tan(πa)."""
    if x.bits == 32:
        return digamma(x.to_double()).to_float()
    a = x.abs()
    w, numerator, denominator = a, a.like(0.0), a.like(1.0)
    for _ in range(6):  # digamma(w) = digamma(w - 1) + 1 / (w - 1), down to w < 2
        step = w >= 2.0
        w = step.select(w - 1.0, w)
        numerator = step.select(fma(numerator, w, denominator), numerator)
        denominator = step.select(denominator * w, denominator)
    below_one, series, negative = a < 1.0, a >= STIRLING_FROM, x.as_integer() < 0
    inverse = 1.0 / a
    u = below_one.select(a, w - 1.0)
    root_high, root_low = c.DIGAMMA_ROOT[64]
    distance = (u - (root_high - 1.0)) - root_low
    ratio = polynomial(u, c.DIGAMMA_NUMERATOR[64]) / polynomial(u, c.DIGAMMA_DENOMINATOR[64])
    recurrence = below_one.select(negative.select(a.like(0.0), -inverse), numerator / denominator)
    near = fma(distance, ratio, recurrence)

    z = inverse * inverse
    tail = fma(z, polynomial(z, DIGAMMA_SERIES), 0.5 * inverse)
    far = combine_logarithm(*reduce_logarithm(a)) - tail
    value = series.select(far, near)

    sine, cosine, offset = sin_and_cos_of_turns(a)
    cotangent = (math.pi * cosine / sine).with_sign_of(offset)
    reflected = (value + below_one.select(a.like(0.0), inverse)) + cotangent
    reflected = offset.equals(0.0).select(a.like(math.nan), reflected)
    value = negative.select(reflected, value)
    value = x.equals(math.inf).select(x, value)
    return a.equals(0.0).select(-1.0 / x, value)
