"""The error function, its complement, plain and scaled, its inverse, the normal quantile and log(ndtr).

NumPy has none of them. The kernels evaluate published rational and polynomial approximations in
float64, region by region, and round once to the dtype of the operand. The errors that the
docstrings state are measured against mpmath. Depends on `arithmetic`, `exponential`
and `giles` (coefficients).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.ops.arithmetic import add, div, mul, neg, square, sub
from rtfunc.ops.comparison import gt
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise, unary
from rtfunc.ops.exponential import exp
from rtfunc.ops.giles import INNER_64, MIDDLE_64, OUTER_64
from rtfunc.ops.select import select
from rtfunc.ops.special.blocks import fill, in_float64, polynomial, ratio

_TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)

# erf and erfc. Rational approximations of Sun's fdlibm 5.3, s_erf.c (freely granted by Sun
# Microsystems, 1993): erf near 0, around 1, and exp(-x*x) / x times a rational function of 1 / x**2
# beyond.

_ERF_AT_1 = 8.45062911510467529297e-01
_NEAR_0 = (
    (-2.37630166566501626084e-05, -5.77027029648944159157e-03, -2.84817495755985104766e-02,
     -3.25042107247001499370e-01, 1.28379167095512558561e-01),
    (-3.96022827877536812320e-06, 1.32494738004321644526e-04, 5.08130628187576562776e-03,
     6.50222499887672944485e-02, 3.97917223959155352819e-01, 1.0),
)  # fmt: skip
_AROUND_1 = (
    (-2.16637559486879084300e-03, 3.54783043256182359371e-02, -1.10894694282396677476e-01,
     3.18346619901161753674e-01, -3.72207876035701323847e-01, 4.14856118683748331666e-01,
     -2.36211856075265944077e-03),
    (1.19844998467991074170e-02, 1.36370839120290507362e-02, 1.26171219808761642112e-01,
     7.18286544141962662868e-02, 5.40397917702171048937e-01, 1.06420880400844228286e-01, 1.0),
)  # fmt: skip
_UP_TO_2_86 = (
    (-9.81432934416914548592e00, -8.12874355063065934246e01, -1.84605092906711035994e02,
     -1.62396669462573470355e02, -6.23753324503260060396e01, -1.05586262253232909814e01,
     -6.93858572707181764372e-01, -9.86494403484714822705e-03),
    (-6.04244152148580987438e-02, 6.57024977031928170135e00, 1.08635005541779435134e02,
     4.29008140027567833386e02, 6.45387271733267880336e02, 4.34565877475229228821e02,
     1.37657754143519042600e02, 1.96512716674392571292e01, 1.0),
)  # fmt: skip
_BEYOND_2_86 = (
    (-4.83519191608651397019e02, -1.02509513161107724954e03, -6.37566443368389627722e02,
     -1.60636384855821916062e02, -1.77579549177547519889e01, -7.99283237680523006574e-01,
     -9.86494292470009928597e-03),
    (-2.24409524465858183362e01, 4.74528541206955367215e02, 2.55305040643316442583e03,
     3.19985821950859553908e03, 1.53672958608443695994e03, 3.25792512996573918826e02,
     3.03380607434824582924e01, 1.0),
)  # fmt: skip


def _erf_near_0(x: Any) -> Any:
    return x + x * ratio(x * x, _NEAR_0)


def _tail_exponent(xp: Any, x: Any) -> Any:
    """log(erfc(x) exp(x*x) x) + 0.5625 for x >= 1.25."""
    s = 1 / (x * x)
    return xp.where(x < 1 / 0.35, ratio(s, _UP_TO_2_86), ratio(s, _BEYOND_2_86))


def _tail(xp: Any, x: Any) -> Any:
    """erfc(x) for x >= 1.25.

    exp(-x*x) is taken at x rounded to 21 bits, whose square is exact, times a correction near 1.
    """
    exponent = _tail_exponent(xp, x)
    z = (x.view(np.int64) & ~np.int64(0xFFFFFFFF)).view(np.float64)
    return xp.exp(-z * z - 0.5625) * xp.exp((z - x) * (z + x) + exponent) / x


def _erf_kernel(xp: Any, x: Any) -> Any:
    size = xp.abs(x)
    out = xp.copysign(xp.ones_like(x), x)
    fill(xp, out, ~(size >= 0.84375), _erf_near_0, x)  # NaN too
    around_1 = (size >= 0.84375) & (size < 1.25)
    fill(xp, out, around_1, lambda x: xp.copysign(_erf_around_1(xp, xp.abs(x)), x), x)
    beyond = (size >= 1.25) & (size < 6)
    fill(xp, out, beyond, lambda x: xp.copysign(1 - _tail(xp, xp.abs(x)), x), x)
    return out


def _erf_around_1(xp: Any, x: Any) -> Any:
    return _ERF_AT_1 + ratio(x - 1, _AROUND_1)


def _erfc_kernel(xp: Any, x: Any) -> Any:
    out = xp.where(x < 0, 2.0, 0.0)
    fill(xp, out, ~(xp.abs(x) >= 0.84375), lambda x: _erfc_near_0(xp, x), x)
    around_1 = (xp.abs(x) >= 0.84375) & (xp.abs(x) < 1.25)
    fill(xp, out, around_1, lambda x: _erfc_around_1(xp, x), x)
    fill(xp, out, (x >= 1.25) & (x < 28), lambda x: _tail(xp, x), x)
    fill(xp, out, (x <= -1.25) & (x > -6), lambda x: 2 - _tail(xp, -x), x)
    return out


def _erfc_near_0(xp: Any, x: Any) -> Any:
    part = x * ratio(x * x, _NEAR_0)
    return xp.where(x < 0.25, 1 - (x + part), 0.5 - ((x - 0.5) + part))


def _erfc_around_1(xp: Any, x: Any) -> Any:
    part = ratio(xp.abs(x) - 1, _AROUND_1)
    return xp.where(x >= 0, (1 - _ERF_AT_1) - part, 1 + (_ERF_AT_1 + part))


# erf_inv. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2010), the float64
# version: x times a polynomial in w = -log(1 - x*x), in three ranges of w.


def _erf_inv_kernel(xp: Any, x: Any) -> Any:
    # -log((1 - x) (1 + x)): 1 - x is exact where it matters, near 1.
    w = -xp.log((1 - x) * (1 + x))
    return giles_64(xp, x, w)


def giles_64(xp: Any, x: Any, w: Any) -> Any:
    """erf_inv(x), with w = -log(1 - x*x)."""
    out = xp.full_like(w, np.nan)
    fill(xp, out, w < 6.25, lambda w: polynomial(w - 3.125, INNER_64), w)
    middle = (w >= 6.25) & (w < 16)
    fill(xp, out, middle, lambda w: polynomial(xp.sqrt(w) - 3.25, MIDDLE_64), w)
    outer = (w >= 16) & (w < np.inf)
    fill(xp, out, outer, lambda w: polynomial(xp.sqrt(w) - 5, OUTER_64), w)
    out[xp.abs(x) == 1] = np.inf
    return out * x


erf_p = elementwise(
    "erf",
    in_float64(_erf_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _gaussian(x)),),
    half=False,
)
erf = unary(erf_p, "The error function, elementwise, within 1 ulp.")

erfc_p = elementwise(
    "erfc",
    in_float64(_erfc_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: neg(mul(t, _gaussian(x))),),
    half=False,
)
erfc = unary(
    erfc_p,
    "1 - erf(x), elementwise, accurate where erf(x) is near 1: within 1 ulp, 2.5 ulp in float64.",
)

erf_inv_p = elementwise(
    "erf_inv",
    in_float64(_erf_inv_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _inverse_gaussian(y)),),
    half=False,
)
erf_inv = unary(
    erf_inv_p,
    """The y with erf(y) = x, elementwise; infinite at -1 and 1, NaN beyond them.

    Within 1 ulp, 4 ulp in float64.
    """,
)


def _erfcx_kernel(xp: Any, x: Any) -> Any:
    """exp(x*x) erfc(x). exp(x*x) is taken at x rounded to 21 bits, times a correction."""
    out = xp.empty_like(x)
    far = x >= 1.25
    fill(xp, out, far, lambda x: xp.exp(_tail_exponent(xp, x) - 0.5625) / x, x)
    fill(xp, out, ~far, lambda x: _growth(xp, x) * _erfc_kernel(xp, x), x)
    return out


def _growth(xp: Any, x: Any) -> Any:
    z = (x.view(np.int64) & ~np.int64(0xFFFFFFFF)).view(np.float64)
    z = xp.where(xp.abs(x) < 40, z, 0.0)
    return xp.where(x < -40, np.inf, xp.exp(z * z) * xp.exp((x - z) * (x + z)))


erfcx_p = elementwise(
    "erfcx",
    in_float64(_erfcx_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _erfcx_slope(y, x)),),
    half=False,
)
erfcx = unary(
    erfcx_p,
    """exp(x*x) erfc(x), elementwise: the scaled complementary error function.

    Within 1 ulp in float32 and 3 ulp in float64; overflows below -9.38 and -26.6.
    """,
)


def _erfcx_slope(y: Any, x: Any) -> Any:
    """2 x erfcx(x) - 2 / sqrt(pi)."""
    return sub(mul(mul(scalar(2, x.dtype), x), y), scalar(_TWO_OVER_SQRT_PI, x.dtype))


def _log_ndtr_kernel(xp: Any, x: Any) -> Any:
    out = xp.empty_like(x)
    low = x < -1
    z = x * math.sqrt(0.5)
    fill(xp, out, ~low, lambda z: xp.log1p(-0.5 * _erfc_kernel(xp, z)), z)
    fill(xp, out, low, lambda x, z: -0.5 * x * x + xp.log(0.5 * _erfcx_kernel(xp, -z)), x, z)
    out[x == -np.inf] = -np.inf
    return out


log_ndtr_p = elementwise(
    "log_ndtr",
    in_float64(_log_ndtr_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _hazard(y, x)),),
    half=False,
)
log_ndtr = unary(
    log_ndtr_p,
    """The logarithm of the normal distribution function, elementwise, accurate in both tails.

    Within 1 ulp in float32 and 12 ulp in float64 for x < 3; beyond, the error grows as x**2 / 2 ulp.
    """,
)


# ndtri. In the middle by erf_inv; in the tails, whose size is w = -2 log(p), from an asymptotic
# formula by Newton's method on log_ndtr, which is concave.


def _ndtri_kernel(xp: Any, p: Any) -> Any:
    out = xp.full_like(p, np.nan)
    tail = xp.minimum(p, 1 - p)
    middle = tail > 0.07
    fill(xp, out, middle, lambda p: math.sqrt(2) * _erf_inv_kernel(xp, 2 * p - 1), p)
    fill(xp, out, (tail > 0) & ~middle, lambda q: _lower_quantile(xp, q), tail)
    out = xp.where((p > 0.5) & ~middle, -out, out)
    out[p == 0] = -np.inf
    out[p == 1] = np.inf
    return out


def _lower_quantile(xp: Any, p: Any) -> Any:
    target = xp.log(p)
    size = xp.sqrt(-2 * target)
    x = (xp.log(size) + 0.5 * math.log(2 * math.pi)) / size - size
    for _ in range(4):
        scaled = _erfcx_kernel(xp, -x * math.sqrt(0.5))
        value = xp.log(0.5 * scaled) - (0.5 * x * x + target)
        x = x - value * scaled * math.sqrt(math.pi / 2)
    return x


ndtri_p = elementwise(
    "ndtri",
    in_float64(_ndtri_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, p: mul(t, _inverse_density(y)),),
    half=False,
)
ndtri = unary(
    ndtri_p,
    """The normal quantile: the x at which the normal distribution function is p, elementwise.

    Infinite at 0 and 1, NaN beyond them. Within 1 ulp in float32 and 8 ulp in float64.
    """,
)


def _inverse_density(y: Any) -> Any:
    factor = scalar(math.sqrt(2 * math.pi), y.dtype)
    return mul(factor, exp(mul(scalar(0.5, y.dtype), square(y))))


def _hazard(y: Any, x: Any) -> Any:
    """The normal density over the distribution function, whose logarithm is y.

    For negative x it is sqrt(2 / pi) / erfcx(-x / sqrt(2)), in which nothing underflows.
    """
    zero = scalar(0, x.dtype)
    positive = gt(x, zero)
    exponent = neg(add(mul(scalar(0.5, x.dtype), square(x)), y))
    density = mul(scalar(1 / math.sqrt(2 * math.pi), x.dtype), exp(exponent))
    scaled = mul(scalar(-math.sqrt(0.5), x.dtype), select(positive, zero, x))
    ratio = div(scalar(math.sqrt(2 / math.pi), x.dtype), erfcx_p.bind(scaled))
    return select(positive, density, ratio)


def _gaussian(x: Any) -> Any:
    return mul(scalar(_TWO_OVER_SQRT_PI, x.dtype), exp(neg(square(x))))


def _inverse_gaussian(y: Any) -> Any:
    return mul(scalar(1 / _TWO_OVER_SQRT_PI, y.dtype), exp(square(y)))
