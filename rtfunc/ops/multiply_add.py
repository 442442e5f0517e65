"""Fused multiply-add: x * y + z, rounded once.

Processors have an instruction for it and compilers use it, so that a result which must be the same
bit for bit everywhere has to say where it rounds. NumPy cannot say it; the kernel emulates it.
Depends on `arithmetic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.convert import promote_inexact
from rtfunc.ops.elementwise import elementwise


def fma(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Array:
    """x * y + z with one rounding, elementwise; integers become the default float.

    >>> fma(np.float32(0.1), 10.0, -1.0)
    Array(1.4901161e-08, dtype=float32)
    """
    return fma_p.bind(*promote_inexact("fma", x, y, z))


def _impl(xp: Any, x: Any, y: Any, z: Any) -> Any:
    if x.dtype == dtypes.float64:
        return _fma_64(xp, *xp.broadcast_arrays(x, y, z))
    # The product of two float32 is exact in float64; only the sum rounds, and then the result.
    product = x.astype(dtypes.float64) * y.astype(dtypes.float64)
    return _to_odd(xp, *_two_sum(product, z.astype(dtypes.float64))).astype(x.dtype)


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The rounded sum and its exact error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _to_odd(xp: Any, total: Any, error: Any) -> Any:
    """A sum rounded to odd: where inexact, the neighbour with an odd last bit.

    Rounding that once more, to fewer bits, gives the correctly rounded result (Boldo and Melquiond,
    "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
    """
    total = np.asarray(total) if xp is np else total
    even = (total.view(np.int64) & 1) == 0
    inexact = even & (error != 0) & xp.isfinite(total)
    if not xp.any(inexact):
        return total
    return xp.where(inexact, xp.nextafter(total, xp.copysign(np.inf, error)), total)


def _fma_64(xp: Any, x: Any, y: Any, z: Any) -> Any:
    high, low = _two_product(x, y)
    part, low_sum = _two_sum(z, low)
    total, error = _two_sum(high, part)
    result = total + _to_odd(xp, *_two_sum(low_sum, error))
    # Beyond the range in which the splitting is exact, and for infinities and NaN, two roundings
    # do. Where nothing is left, they have the sign of zero.
    extreme = ~(xp.abs(x) < 1e150) | ~(xp.abs(y) < 1e150) | ~xp.isfinite(result) | (result == 0)
    return xp.where(extreme, x * y + z, result)


def _two_product(x: Any, y: Any) -> tuple[Any, Any]:
    """The rounded product and its exact error (Dekker, with Veltkamp's splitting)."""
    product = x * y
    x_high, x_low = _split(x)
    y_high, y_low = _split(y)
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, error


def _split(x: Any) -> tuple[Any, Any]:
    scaled = 134217729.0 * x  # 2**27 + 1
    high = scaled - (scaled - x)
    return high, x - high


fma_p = elementwise(
    "fma",
    _impl,
    over=dtypes.floats,
    derivatives=(
        lambda t, out, x, y, z: mul(t, y),
        lambda t, out, x, y, z: mul(x, t),
        lambda t, out, x, y, z: t,
    ),
    half=False,
)
