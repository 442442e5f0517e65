"""Modified Bessel functions of the first kind of orders 0 and 1, scaled by exp(-|x|).

Chebyshev expansions as in Cephes (Moshier, i0.c and i1.c): of exp(-x) I0(x) and exp(-x) I1(x) / x up
to 8, and of these times sqrt(x) as functions of 1 / x beyond; the coefficients were computed with
mpmath to 40 digits. Depends on `blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.ops.arithmetic import div, mul, sub
from rtfunc.ops.comparison import lt
from rtfunc.ops.complex import abs_, sign
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise, unary
from rtfunc.ops.select import select
from rtfunc.ops.special.blocks import fill, in_float64

# Coefficients of Chebyshev polynomials, the highest first.
I0_NEAR = (
    -4.415341646479339e-18, 3.3307945188222384e-17, -2.431279846547955e-16, 1.715391285555133e-15,
    -1.1685332877993451e-14, 7.676185498604936e-14, -4.856446783111929e-13, 2.95505266312964e-12,
    -1.726826291441556e-11, 9.675809035373237e-11, -5.189795601635263e-10, 2.6598237246823866e-09,
    -1.300025009986248e-08, 6.046995022541919e-08, -2.670793853940612e-07, 1.1173875391201037e-06,
    -4.4167383584587505e-06, 1.6448448070728896e-05, -5.754195010082104e-05, 0.00018850288509584165,
    -0.0005763755745385824, 0.0016394756169413357, -0.004324309995050576, 0.010546460394594998,
    -0.02373741480589947, 0.04930528423967071, -0.09490109704804764, 0.17162090152220877,
    -0.3046826723431984, 0.33839763720473803,
)  # fmt: skip
I0_FAR = (
    -7.233197098035753e-18, -4.8305029007498465e-18, 4.465621750561301e-17, 3.4612227363393705e-17,
    -2.8276239842056236e-16, -3.425485615467077e-16, 1.7725601330086068e-15, 3.811680669268027e-15,
    -9.55484669878791e-15, -4.1505693472865785e-14, 1.540086217520184e-14, 3.852778382742172e-13,
    7.180124451383686e-13, -1.7941785315068076e-12, -1.3215811840447713e-11, -3.1499165279632416e-11,
    1.1889147107846437e-11, 4.94060238822497e-10, 3.3962320257083865e-09, 2.266668990498178e-08,
    2.0489185894690638e-07, 2.8913705208347567e-06, 6.889758346916825e-05, 0.0033691164782556943,
    0.4022452055070544,
)  # fmt: skip
I1_NEAR = (
    -3.5415817725421357e-19, 2.7779141127610464e-18, -2.111421214358166e-17, 1.5536319577362005e-16,
    -1.1055969477353862e-15, 7.600684294735408e-15, -5.042185504727912e-14, 3.223793365945575e-13,
    -1.9839743977649436e-12, 1.1736186298890901e-11, -6.663489723502027e-11, 3.625590281552117e-10,
    -1.8872497517228294e-09, 9.381537386495773e-09, -4.445059128796328e-08, 2.0032947535521353e-07,
    -8.568720264695455e-07, 3.4702513081376785e-06, -1.3273163656039436e-05, 4.781565107550054e-05,
    -0.00016176081582589674, 0.0005122859561685758, -0.0015135724506312532, 0.004156422944312888,
    -0.010564084894626197, 0.024726449030626516, -0.05294598120809499, 0.1026436586898471,
    -0.17641651835783406, 0.12629359322181682,
)  # fmt: skip
I1_FAR = (
    7.517313219219004e-18, 4.414346892475619e-18, -4.650305709445141e-17, -3.209525791047657e-17,
    2.9626290015866564e-16, 3.308202306643791e-16, -1.880354775466536e-15, -3.8144030723496664e-15,
    1.042027698408835e-14, 4.272440016711245e-14, -2.1015418427714147e-14, -4.083551111092226e-13,
    -7.198551776245929e-13, 2.035628544147091e-12, 1.4125807436613782e-11, 3.2526035830154884e-11,
    -1.8974958123505413e-11, -5.589743462196584e-10, -3.835380385964237e-09, -2.6314688468895196e-08,
    -2.512236237870209e-07, -3.882564808877691e-06, -0.00011058893876262371, -0.009761097491361469,
    0.38928811750914005,
)  # fmt: skip


def _chebyshev(x: Any, coefficients: Sequence[float]) -> Any:
    """The expansion at x / 2, by Clenshaw's recurrence."""
    above, below = 0.0, 0.0
    for c in coefficients[:-1]:
        above, below = x * above - below + c, above
    return 0.5 * x * above - below + coefficients[-1]


def _i0e_kernel(xp: Any, x: Any) -> Any:
    size = xp.abs(x)
    out = xp.empty_like(x)
    far = size > 8
    fill(xp, out, far, lambda x: _chebyshev(32 / x - 2, I0_FAR) / xp.sqrt(x), size)
    fill(xp, out, ~far, lambda x: _chebyshev(0.5 * x - 2, I0_NEAR), size)
    return out


def _i1e_kernel(xp: Any, x: Any) -> Any:
    size = xp.abs(x)
    out = xp.empty_like(x)
    far = size > 8
    fill(xp, out, far, lambda x: _chebyshev(32 / x - 2, I1_FAR) / xp.sqrt(x), size)
    fill(xp, out, ~far, lambda x: x * _chebyshev(0.5 * x - 2, I1_NEAR), size)
    return xp.copysign(out, x)


bessel_i0e_p = elementwise(
    "bessel_i0e",
    in_float64(_i0e_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, sub(bessel_i1e_p.bind(x), mul(sign(x), y))),),
    half=False,
)
bessel_i0e = unary(
    bessel_i0e_p,
    """exp(-|x|) I0(x), elementwise: the modified Bessel function of order 0, scaled.

    Within 1 ulp in float32 and 6 ulp in float64.
    """,
)


def _i1e_slope(x: Any, y: Any) -> Array:
    """i0e(x) - i1e(x) (sign(x) + 1 / x), which tends to 1/2 - |x| at 0."""
    size = abs_(x)
    half, limit = scalar(0.5, x.dtype), scalar(float(dtypes.finfo(x.dtype).eps), x.dtype)
    small = lt(size, limit)
    safe = select(small, limit, x)
    slope = sub(sub(bessel_i0e_p.bind(x), mul(sign(x), y)), div(y, safe))
    return select(small, sub(half, size), slope)


bessel_i1e_p = elementwise(
    "bessel_i1e",
    in_float64(_i1e_kernel),
    over=dtypes.floats,
    derivatives=(lambda t, y, x: mul(t, _i1e_slope(x, y)),),
    half=False,
)
bessel_i1e = unary(
    bessel_i1e_p,
    """exp(-|x|) I1(x), elementwise: the modified Bessel function of order 1, scaled.

    Within 1 ulp in float32 and 10 ulp in float64.
    """,
)
