"""Window functions for signals, and the modified Bessel function that the Kaiser window is made of.

Sizes are Python integers, results new arrays of the default float. Depends on `elementwise`
and `ops.special`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.elementwise import abs as _abs
from rtfunc.numpy.elementwise import exp
from rtfunc.numpy.indexing import where
from rtfunc.ops.convert import convert, promote_inexact
from rtfunc.ops.special import bessel_i0e


def _positions(operation: str, M: Any) -> np.ndarray | None:
    """0 to M - 1 over M - 1, in float64; None for a single sample."""
    size = as_integer(operation, "the number of samples", M)
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


def i0(x: ArrayLike) -> Array:
    """The modified Bessel function of the first kind of order 0, elementwise.

    exp(abs(x)) times the scaled function (`ops.special.bessel`).

    >>> i0(np.array([0.0, 1.0]))
    Array([1.        , 1.26606588], dtype=float64)
    """
    (x,) = promote_inexact("i0", x)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"i0 takes real numbers, not {x.dtype}."))
    dtype, weak = x.dtype, x.weak_type
    size = _abs(convert(x, dtypes.compute_dtype(dtype)))
    return convert(where(size == math.inf, size, exp(size) * bessel_i0e(size)), dtype, weak)
