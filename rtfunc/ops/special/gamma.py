"""The gamma function, its logarithm, and the logarithm's derivative.

Between 1 and 3 (lgamma, gamma) or 1 and 2 (digamma) polynomials, which interpolate the function at
Chebyshev nodes, divided by its zero so that the relative error stays small there; they were computed
with mpmath to 60 digits. Recurrences carry arguments below 10 there, Stirling's series (Abramowitz
and Stegun 6.1.40, 6.3.18) serves beyond, reflection on the negative axis. Depends on `blocks` and,
for derivatives, `zeta`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise, unary
from rtfunc.ops.special.blocks import fill, in_float64, polynomial

#: lgamma(2 + z) / z for |z| <= 1/2, within 5e-19.
_LOG_GAMMA = (
    6.47397344931488e-08, -1.341570273460026e-07, 2.0192169921430425e-07, -4.303234692956732e-07,
    9.584290249224467e-07, -2.044935323180052e-06, 4.374221208333783e-06, -9.438454884054723e-06,
    2.0507292365464966e-05, -4.492635166770342e-05, 9.945750665169756e-05, -0.00022315475069647703,
    0.0005096695250262799, -0.0011927539120033873, 0.0028905103307343394, -0.007385551028668096,
    0.02058080842778463, -0.06735230105319814, 0.3224670334241132, 0.42278433509846713,
)  # fmt: skip
#: digamma(x) / (x - root) as a function of x - 1.5 for 1 <= x <= 2, within 2e-17.
DIGAMMA = (
    0.00012241591000017364, -0.00017837342400462127, 9.158816882126479e-05, -0.00014460384609240475,
    0.0003268931647361584, -0.0004860641705041214, 0.0006899428514219278, -0.001036422724782803,
    0.0015635739915515084, -0.0023455016279107115, 0.003518079271702813, -0.0052799364178857415,
    0.007927024136843637, -0.011908220169786002, 0.01790724819228875, -0.02697579665686472,
    0.040760833944741226, -0.06192213327556183, 0.09498872445282817, -0.14840492305388006,
    0.24054248424078736, -0.4236274212814606, 0.9510558760318328,
)  # fmt: skip
#: The positive root of digamma, in two parts.
DIGAMMA_ROOT = 1.4616321449683622, 9.549995429965697e-17
#: gamma(2.5 + z) for |z| <= 1/2, within 1e-17.
_GAMMA = (
    -8.313302656842926e-08, 2.0596536908194426e-07, -4.1776251081622287e-07, 1.0654353273017196e-06,
    -2.5623552561487493e-06, 7.2581880432596835e-06, -1.2801307100027384e-05, 6.132933502302795e-05,
    3.94175124020712e-06, 0.0007544741845553543, 0.0016074004868690253, 0.010392403423184675,
    0.028360780594777788, 0.10967323400222673, 0.25387124684114376, 0.6545585779813361,
    0.9347345216260855, 1.329340388179137,
)  # fmt: skip

#: Where Stirling's series begin. Their terms are B(2k) / (2k (2k - 1)) and B(2k) / (2k).
STIRLING_FROM = 10.0
_LOG_GAMMA_SERIES = (
    -3617 / 122400, 1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12,
)  # fmt: skip
DIGAMMA_SERIES = (
    -3617 / 8160, 1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12,
)  # fmt: skip
_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


def stirling_error(x: Any) -> Any:
    """lgamma(x) - ((x - 1/2) log(x) - x + log(2 pi) / 2) for x >= 10."""
    inverse = 1 / x
    return inverse * polynomial(inverse * inverse, _LOG_GAMMA_SERIES)


def sin_and_cos_of_turns(xp: Any, a: Any) -> tuple[Any, Any]:
    """sin(pi a) and cos(pi a); a whole `a` gives sin 0 exactly."""
    offset = a - 2 * xp.rint(a / 2)  # in [-1, 1], exact
    size = xp.abs(offset)
    far = size > 0.5
    near = xp.where(far, 1 - size, size)
    swap = near > 0.25
    angle = np.pi * xp.where(swap, 0.5 - near, near)
    sine, cosine = xp.sin(angle), xp.cos(angle)
    sine, cosine = xp.where(swap, cosine, sine), xp.where(swap, sine, cosine)
    return xp.copysign(sine, offset), xp.where(far, -cosine, cosine)


def positive_lgamma(xp: Any, x: Any) -> Any:
    """lgamma(x) for x > 0; NaN stays."""
    out = xp.full_like(x, np.inf)
    fill(xp, out, (x >= STIRLING_FROM) & (x < np.inf), _lgamma_by_stirling, x)
    fill(xp, out, ~(x >= STIRLING_FROM), lambda x: _lgamma_below_10(xp, x), x)
    return out


def lgamma_1p(xp: Any, z: Any) -> Any:
    """lgamma(1 + z) for z >= 0, accurate near 0, where 1 + z would be rounded."""
    out = xp.empty_like(z)
    small = z <= 0.5
    fill(xp, out, small, lambda z: z * polynomial(z, _LOG_GAMMA) - xp.log1p(z), z)
    fill(xp, out, ~small, lambda z: positive_lgamma(xp, 1 + z), z)
    return out


def _lgamma_by_stirling(x: Any) -> Any:
    return (x - 0.5) * (np.log(x) - 1) + (stirling_error(x) + (_HALF_LOG_2_PI - 0.5))


def _lgamma_below_10(xp: Any, x: Any) -> Any:
    z, product = x - 2, xp.ones_like(x)
    for _ in range(8):  # gamma(w) = (w - 1) gamma(w - 1), down to w <= 2.5
        step = z > 0.5
        z = xp.where(step, z - 1, z)
        product = xp.where(step, product * (z + 2), product)
    out = xp.log(product)
    # Below 1.5, gamma(w) = gamma(w + 1) / w: in terms of z = w - 1, which is exact near 1 ...
    near_1 = (x < 1.5) & (x >= 0.5)
    z = xp.where(near_1, x - 1, z)
    out = xp.where(near_1, -xp.log1p(z), out)
    # ... and gamma(w) = gamma(w + 2) / (w (w + 1)) below 0.5.
    small = x < 0.5
    z = xp.where(small, x, z)
    out = xp.where(small, -xp.log(x) - xp.log1p(z), out)
    return out + z * polynomial(z, _LOG_GAMMA)


def lgamma_kernel(xp: Any, x: Any) -> Any:
    """log|gamma(x)| for any float64 x."""
    a = xp.abs(x)
    out = positive_lgamma(xp, xp.where(a == 0, 1.0, a))
    reflected = (x < 0) & (a > 1e-20)
    fill(xp, out, reflected, lambda a, value: _lgamma_reflected(xp, a, value), a, out)
    out[a == 0] = np.inf
    return out


def _lgamma_reflected(xp: Any, a: Any, value: Any) -> Any:
    """log|gamma(-a)| = log(pi / |a sin(pi a)|) - lgamma(a)."""
    sine = xp.abs(sin_and_cos_of_turns(xp, a)[0])
    out = xp.log(np.pi / (a * sine)) - value
    out[(sine == 0) | (a == np.inf)] = np.inf
    return out


def positive_digamma(xp: Any, x: Any) -> Any:
    """digamma(x) for x > 0; NaN stays."""
    out = xp.full_like(x, np.inf)
    far = (x >= STIRLING_FROM) & (x < np.inf)
    fill(xp, out, far, lambda x: xp.log(x) - _log_less_digamma_series(x), x)
    fill(xp, out, ~(x >= STIRLING_FROM), lambda x: _digamma_below_10(xp, x), x)
    return out


def _log_less_digamma_series(x: Any) -> Any:
    inverse = 1 / x
    square = inverse * inverse
    return 0.5 * inverse + square * polynomial(square, DIGAMMA_SERIES)


def log_less_digamma(xp: Any, x: Any) -> Any:
    """log(x) - digamma(x) for x > 0, about 1 / (2 x), without cancellation."""
    out = xp.empty_like(x)
    fill(xp, out, x >= STIRLING_FROM, _log_less_digamma_series, x)
    near = ~(x >= STIRLING_FROM)
    fill(xp, out, near, lambda x: xp.log(x) - _digamma_below_10(xp, x), x)
    return out


def _digamma_below_10(xp: Any, x: Any) -> Any:
    w, total = x, xp.zeros_like(x)
    for _ in range(8):  # digamma(w) = digamma(w - 1) + 1 / (w - 1), down to w <= 2
        step = w > 2
        w = xp.where(step, w - 1, w)
        total = xp.where(step, total + 1 / w, total)
    small = x < 1
    u = xp.where(small, x, w - 1)
    total = xp.where(small, -1 / x, total)
    distance = (u - (DIGAMMA_ROOT[0] - 1)) - DIGAMMA_ROOT[1]
    return total + distance * polynomial(u - 0.5, DIGAMMA)


def digamma_kernel(xp: Any, x: Any) -> Any:
    """digamma(x) for any float64 x."""
    a = xp.abs(x)
    out = positive_digamma(xp, xp.where(a == 0, 1.0, a))
    fill(xp, out, x < 0, lambda a, value: _digamma_reflected(xp, a, value), a, out)
    zero = a == 0
    out[zero] = -xp.copysign(np.inf, x[zero])
    return out


def _digamma_reflected(xp: Any, a: Any, value: Any) -> Any:
    """digamma(-a) = digamma(a) + 1/a + pi / tan(pi a)."""
    sine, cosine = sin_and_cos_of_turns(xp, a)
    out = (value + 1 / a) + np.pi * (cosine / sine)
    tiny = a < 1e-8  # where 1/a is left over of terms as large
    out = xp.where(tiny, 1 / a - np.euler_gamma - a * (np.pi**2 / 6), out)
    out[(sine == 0) | (a == np.inf)] = np.nan
    return out


def positive_gamma(xp: Any, x: Any) -> Any:
    """gamma(x) for x > 0; NaN stays, overflow is infinite."""
    out = xp.full_like(x, np.inf)
    fill(xp, out, ~(x >= 20), lambda x: _gamma_below_20(xp, x), x)
    fill(xp, out, (x >= 20) & (x < 172), lambda x: _gamma_by_stirling(xp, x), x)
    return out


def _gamma_below_20(xp: Any, x: Any) -> Any:
    w, product = x, xp.ones_like(x)
    for _ in range(17):
        step = w > 3
        w = xp.where(step, w - 1, w)
        product = xp.where(step, product * w, product)
    out = xp.where(x < 2, 1 / x, product)  # 1 / (x (x + 1)) where x < 1
    out = xp.where(x < 1, out / (x + 1), out)
    shifted = xp.where(x < 1, x - 0.5, xp.where(x < 2, x - 1.5, w - 2.5))
    return out * polynomial(shifted, _GAMMA)


def _gamma_by_stirling(xp: Any, x: Any) -> Any:
    root = x ** (0.5 * x - 0.25)  # its square may overflow where the result does not
    return root * (math.sqrt(2 * math.pi) * xp.exp(-x) * xp.exp(stirling_error(x))) * root


def _gamma_kernel(xp: Any, x: Any) -> Any:
    out = positive_gamma(xp, xp.abs(x))
    fill(xp, out, x < 0, lambda x, value: _gamma_reflected(xp, x, value), x, out)
    zero = x == 0
    out[zero] = xp.copysign(np.inf, x[zero])
    return out


def _gamma_reflected(xp: Any, x: Any, value: Any) -> Any:
    """gamma(-a) = -pi / (a sin(pi a) gamma(a)); where gamma(a) overflows, through its logarithm."""
    a = -x
    sine = sin_and_cos_of_turns(xp, a)[0]
    out = -np.pi / (a * sine) / value
    fill(
        xp,
        out,
        (value == np.inf) & (a > 1),
        lambda a, sine: -xp.sign(sine) * xp.exp(lgamma_kernel(xp, -a)),
        a,
        sine,
    )
    out[(sine == 0) | (a == np.inf)] = np.nan
    return out


def _digamma_of(x: Any) -> Array:
    return digamma_p.bind(x)


lgamma_p = elementwise(
    "lgamma",
    in_float64(lgamma_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _digamma_of(x)),),
    half=False,
)
lgamma = unary(
    lgamma_p,
    """log|gamma(x)|, elementwise; infinite at 0 and at negative whole numbers.

    Within 1 ulp in float32 and 4 ulp in float64 for x > 0. For x < 0 the error is at most 4 ulp of
    1 + |log(gamma(-x))|: the relative error is unbounded near the zeros there.
    """,
)

digamma_p = elementwise(
    "digamma",
    in_float64(digamma_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _trigamma(x)),),
    half=False,
)
digamma = unary(
    digamma_p,
    """The derivative of lgamma(x), elementwise; NaN at negative whole numbers.

    Within 1 ulp in float32 and 4 ulp in float64 for x > 0; relative errors are unbounded near the
    zeros on the negative axis.
    """,
)

gamma_p = elementwise(
    "gamma",
    in_float64(_gamma_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, mul(y, _digamma_of(x))),),
    half=False,
)
gamma = unary(
    gamma_p,
    """The gamma function, elementwise: (x - 1)! at whole numbers; NaN at negative ones.

    Within 1 ulp in float32 and 8 ulp in float64; overflows from 35.04 and 171.62 on.
    """,
)


def _trigamma(x: Any) -> Array:
    from rtfunc.ops.special.zeta import polygamma_p

    return polygamma_p.bind(scalar(1, dtypes.int32), x)
