"""Sine, cosine, tangent and their inverses.

Arguments are reduced to |r| ≤ π/4 by subtracting n π/2, in parts, with fused multiply-adds (Cody
and Waite), exact but for the rounding of r. Where n is no longer found to within a fraction
of a turn, for |x| above `ACCURATE_BELOW`, the result is still between -1 and 1 for sin and cos but
otherwise meaningless: exact reduction (Payne and Hanek) needs a table and several times the work
for every argument, since nothing here branches. Depends on `lanes` and `coefficients`.
"""

from __future__ import annotations

import math

from . import coefficients as c
from .lanes import Lanes, fma, polynomial, round_product

ACCURATE_BELOW = {32: 2.0**45, 64: 2.0**45}
"""Magnitude of arguments up to which sin, cos and tan are within their stated error."""


def sign_mask(bits: int) -> int:
    """The integer that has the sign bit alone."""
    return -(1 << (bits - 1))


def flip_sign(x: Lanes, flips: Lanes) -> Lanes:
    """x, negated where the sign bit of the integer `flips` is set."""
    return (x.as_integer() ^ (flips & sign_mask(x.bits))).as_float()


def quarter_turns(x: Lanes) -> tuple[Lanes, Lanes]:
    """r = x - n π/2 with |r| ≤ π/4, and an integer whose low bits hold n.

    In float64 for float32 arguments too: in float32 the time of sin would fall by a third, and the
    arguments it holds for to 2^18.
    """
    wide = x.to_double()
    n, stored = round_product(wide, 2 / math.pi)
    r = wide
    for part in c.HALF_PI[64][: 3 if x.bits == 64 else 2]:
        r = fma(n, -part, r)
    if x.bits == 32:
        r, stored = r.to_float(), stored.to_int32()
    return r.at_most(1.0).at_least(-1.0), stored


def sin_and_cos(r: Lanes) -> tuple[Lanes, Lanes]:
    """sin(r) = r + r³ P(r²) and cos(r) = 1 - r²/2 + r⁴ Q(r²) for |r| ≤ π/4."""
    z = r * r
    sine = fma(r * z, polynomial(z, c.SIN[r.bits]), r)
    cosine = polynomial(z, (1.0, -0.5, *c.COS[r.bits]))
    return sine, cosine


def is_odd(n: Lanes) -> Lanes:
    """Whether the lowest bit of an integer is set."""
    return (n & 1).equals(1)


def sin(x: Lanes) -> Lanes:
    """sin(x) = ± sin(r) or ± cos(r) by the quarter turn that x is in."""
    r, n = quarter_turns(x.abs())
    sine, cosine = sin_and_cos(r)
    value = is_odd(n).select(cosine, sine)
    return flip_sign(value, (n << (x.bits - 2)) ^ x.as_integer())


def cos(x: Lanes) -> Lanes:
    """cos(x) = ± cos(r) or ± sin(r) by the quarter turn that x is in."""
    r, n = quarter_turns(x)
    sine, cosine = sin_and_cos(r)
    value = is_odd(n).select(sine, cosine)
    return flip_sign(value, (n + 1) << (x.bits - 2))


def tan(x: Lanes) -> Lanes:
    """tan(x) = tan(r) = r + r³ P(r²), or -1 / tan(r) in odd quarter turns.

    The reciprocal, which may be twice as near to one as tan(r) is, takes in what tan(r) lost to
    rounding.
    """
    r, n = quarter_turns(x.abs())
    z = r * r
    cubic, factor = r * z, polynomial(z, c.TAN[x.bits])
    tangent = fma(cubic, factor, r)
    lost = fma(cubic, factor, r - tangent)
    inverse = 1.0 / tangent
    value = is_odd(n).select(fma(inverse * -inverse, lost, inverse), tangent)
    return flip_sign(value, (n << (x.bits - 1)) ^ x.as_integer())


def reduce_arcsine(a: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """Whether a > 1/2, s, and asin(s) - s, with s = a or √((1 - a)/2), for 0 ≤ a ≤ 1."""
    upper = a > 0.5
    z = upper.select(fma(a, -0.5, 0.5), a * a)
    s = upper.select(z.sqrt(), a)
    return upper, s, s * z * polynomial(z, c.ASIN[a.bits])


def asin(x: Lanes) -> Lanes:
    """asin(x) = x + x³ P(x²), and π/2 - 2 asin(√((1 - x)/2)) for x > 1/2."""
    a = x.abs()
    upper, s, rest = reduce_arcsine(a)
    high, low = c.HALF_PI[x.bits][:2]
    outer = fma(s, -2.0, high) + fma(rest, -2.0, low)
    return upper.select(outer, s + rest).with_sign_of(x)


def acos(x: Lanes) -> Lanes:
    """acos(x) = π/2 - asin(x); 2 asin(√((1 - x)/2)) for x > 1/2, and π less that for x < -1/2."""
    upper, s, rest = reduce_arcsine(x.abs())
    high, low = c.HALF_PI[x.bits][:2]
    angle = s + rest
    doubled = angle + angle
    negative = x < 0.0
    outer = negative.select(2 * high - (doubled - 2 * low), doubled)
    inner = high - (s.with_sign_of(x) - (low - rest.with_sign_of(x)))
    return upper.select(outer, inner)


def arctangent_of_ratio(t: Lanes) -> Lanes:
    """atan(t) = t + t³ P(t²) for 0 ≤ t ≤ 1."""
    z = t * t
    return fma(t * z, polynomial(z, c.ATAN[t.bits]), t)


def atan(x: Lanes) -> Lanes:
    """atan(a), and π/2 - atan(1/a) for a = |x| > 1."""
    a = x.abs()
    inverted = a > 1.0
    angle = arctangent_of_ratio(inverted.select(1.0 / a, a))
    high, low = c.HALF_PI[x.bits][:2]
    return inverted.select(high - (angle - low), angle).with_sign_of(x)


def atan2(y: Lanes, x: Lanes) -> Lanes:
    """The angle of the point (x, y), in [-π, π], with C's values at zeros and infinities."""
    ay, ax = y.abs(), x.abs()
    steep = ay > ax
    near, far = steep.select(ax, ay), steep.select(ay, ax)
    ratio = near / far
    # 0/0 and inf/inf: the angles that C gives are those of the ratios 0 and 1
    ratio = near.equals(far).select(far.equals(0.0).select(far, far.like(1.0)), ratio)
    angle = arctangent_of_ratio(ratio)
    high, low = c.HALF_PI[x.bits][:2]
    angle = steep.select(high - (angle - low), angle)
    left = x.as_integer() < 0
    angle = left.select(2 * high - (angle - 2 * low), angle)
    angle = (x.is_nan() | y.is_nan()).select(angle.like(math.nan), angle)
    return angle.with_sign_of(y)
