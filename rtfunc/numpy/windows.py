"""Window functions for signals, and the modified Bessel function that the Kaiser window is made of.

Sizes are Python integers, results new arrays of the default float. Depends on `elementwise`.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.numpy.elementwise import abs as _abs
from rtfunc.numpy.elementwise import exp, maximum, minimum, sqrt
from rtfunc.numpy.indexing import where
from rtfunc.ops.convert import convert, promote_inexact


def _positions(operation: str, M: Any) -> np.ndarray | None:
    """0 to M - 1 over M - 1, in float64; None for a single sample."""
    size = operator.index(M)
    if size < 0:
        raise ArgumentError(at_user_line(f"{operation}: a size is not negative, got {size}."))
    return np.arange(size) / (size - 1) if size != 1 else None


def _window(values: np.ndarray | None) -> Array:
    return Array(np.ones(1, np.float32) if values is None else values.astype(dtypes.default_float))


def bartlett(M: int) -> Array:
    """The Bartlett window of `M` samples: a triangle with zeros at both ends.

    >>> bartlett(5)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    t = _positions("bartlett", M)
    return _window(None if t is None else 1 - np.abs(2 * t - 1))


def hanning(M: int) -> Array:
    """The Hann window of `M` samples, 1/2 - 1/2 cos(2 pi t).

    >>> hanning(5)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    t = _positions("hanning", M)
    return _window(None if t is None else 0.5 - 0.5 * np.cos(2 * math.pi * t))


def hamming(M: int) -> Array:
    """The Hamming window of `M` samples, 0.54 - 0.46 cos(2 pi t).

    >>> hamming(3)
    Array([0.08, 1.  , 0.08], dtype=float32)
    """
    t = _positions("hamming", M)
    return _window(None if t is None else 0.54 - 0.46 * np.cos(2 * math.pi * t))


def blackman(M: int) -> Array:
    """The Blackman window of `M` samples, 0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t).

    >>> blackman(3).shape
    (3,)
    """
    t = _positions("blackman", M)
    if t is None:
        return _window(None)
    return _window(0.42 - 0.5 * np.cos(2 * math.pi * t) + 0.08 * np.cos(4 * math.pi * t))


def kaiser(M: int, beta: ArrayLike) -> Array:
    """The Kaiser window of `M` samples with shape parameter `beta`, i0(beta sqrt(1 - u^2)) / i0(beta).

    u runs from -1 to 1. Differentiable in `beta`.

    >>> kaiser(3, 0.0)
    Array([1., 1., 1.], dtype=float32)
    """
    t = _positions("kaiser", M)
    if t is None:
        return _window(None)
    (beta,) = promote_inexact("kaiser", beta)
    root = Array(np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0)).astype(beta.dtype))
    return i0(beta * root) / i0(beta)


# Chebyshev coefficients of exp(-x) I0(x) on [0, 8], and of exp(-x) sqrt(x) I0(x) in 1/x beyond.
# Source: Cephes, i0.c (S. L. Moshier); C. W. Clenshaw, NPL Mathematical Tables 5, 1962.
_NEAR = (
    -4.41534164647933937950e-18,
    3.33079451882223809783e-17,
    -2.43127984654795469359e-16,
    1.71539128555513303061e-15,
    -1.16853328779934516808e-14,
    7.67618549860493561688e-14,
    -4.85644678311192946090e-13,
    2.95505266312963983461e-12,
    -1.72682629144155570723e-11,
    9.67580903537323691224e-11,
    -5.18979560163526290666e-10,
    2.65982372468238665035e-9,
    -1.30002500998624804212e-8,
    6.04699502254191894932e-8,
    -2.67079385394061173391e-7,
    1.11738753912010371815e-6,
    -4.41673835845875056359e-6,
    1.64484480707288970893e-5,
    -5.75419501008210370398e-5,
    1.88502885095841655729e-4,
    -5.76375574538582365885e-4,
    1.63947561694133579842e-3,
    -4.32430999505057594430e-3,
    1.05464603945949983183e-2,
    -2.37374148058994688156e-2,
    4.93052842396707084878e-2,
    -9.49010970480476444210e-2,
    1.71620901522208775349e-1,
    -3.04682672343198398683e-1,
    6.76795274409476084995e-1,
)
_FAR = (
    -7.23318048787475395456e-18,
    -4.83050448594418207126e-18,
    4.46562142029675999901e-17,
    3.46122286769746109310e-17,
    -2.82762398051658348494e-16,
    -3.42548561967721913462e-16,
    1.77256013305652638360e-15,
    3.81168066935262242075e-15,
    -9.55484669882830764870e-15,
    -4.15056934728722208663e-14,
    1.54008621752140982691e-14,
    3.85277838274214270114e-13,
    7.18012445138366623367e-13,
    -1.79417853150680611778e-12,
    -1.32158118404477131188e-11,
    -3.14991652796324136454e-11,
    1.18891471078464383424e-11,
    4.94060238822496958910e-10,
    3.39623202570838634515e-9,
    2.26666899049817806459e-8,
    2.04891858946906374183e-7,
    2.89137052083475648297e-6,
    6.88975834691682398426e-5,
    3.36911647825569408990e-3,
    8.04490411014108831608e-1,
)


def _chebyshev(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Half the value of the series at x in [-2, 2], by Clenshaw's recurrence."""
    if x.dtype.itemsize < 8:  # what a float32 does not see
        coefficients = tuple(c for c in coefficients if abs(c) > 1e-9)
    before = last = x * 0
    current = last + coefficients[0]
    for c in coefficients[1:]:
        before, last = last, current
        current = x * last - before + c
    return (current - before) / 2


def i0(x: ArrayLike) -> Array:
    """The modified Bessel function of the first kind of order 0, elementwise.

    Source: Cephes (S. L. Moshier), by Chebyshev series.

    >>> i0(np.array([0.0, 1.0]))
    Array([1.        , 1.26606588], dtype=float64)
    """
    (x,) = promote_inexact("i0", x)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"i0 takes real numbers, not {x.dtype}."))
    dtype, weak = x.dtype, x.weak_type
    size = _abs(convert(x, dtypes.compute_dtype(dtype)))
    small = minimum(size, 8.0)
    large = maximum(size, 8.0)
    near = exp(small) * _chebyshev(small / 2 - 2, _NEAR)
    far = exp(large) * (_chebyshev(32 / large - 2, _FAR) / sqrt(large))
    return convert(where(size <= 8, near, where(large == math.inf, large, far)), dtype, weak)
