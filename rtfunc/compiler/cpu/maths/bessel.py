"""Modified Bessel functions of the first kind of orders 0 and 1, scaled by exp(-|x|).

The expansions are those of `rtfunc.ops.special.bessel`, so that compiled and eager results are the
same function; both are computed in float64, for float32 as well. Depends on `lanes` and on those
coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtfunc.ops.special import bessel as c

from .lanes import Lanes


def bessel_i0e(x: Lanes) -> Lanes:
    """exp(-|x|) I0(x)."""
    if x.bits == 32:
        return bessel_i0e(x.to_double()).to_float()
    size = x.abs()
    near = chebyshev(size * 0.5 - 2.0, c.I0_NEAR)
    far = chebyshev(32.0 / size - 2.0, c.I0_FAR) / size.sqrt()
    return (size > 8.0).select(far, near)


def bessel_i1e(x: Lanes) -> Lanes:
    """exp(-|x|) I1(x)."""
    if x.bits == 32:
        return bessel_i1e(x.to_double()).to_float()
    size = x.abs()
    near = size * chebyshev(size * 0.5 - 2.0, c.I1_NEAR)
    far = chebyshev(32.0 / size - 2.0, c.I1_FAR) / size.sqrt()
    return (size > 8.0).select(far, near).with_sign_of(x)


def chebyshev(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """The expansion at x / 2, the highest coefficient first, by Clenshaw's recurrence."""
    above, below = x.like(0.0), x.like(0.0)
    for coefficient in coefficients[:-1]:
        above, below = x * above - below + coefficient, above
    return 0.5 * x * above - below + coefficients[-1]
