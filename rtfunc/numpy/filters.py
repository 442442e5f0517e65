"""Convolution and correlation of signals with one axis. Depends on `ops.conv`."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: F401  (the examples use it)

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.elementwise import conj
from rtfunc.ops.conv import conv_general_dilated
from rtfunc.ops.convert import convert, promote
from rtfunc.ops.shape import reshape, rev


def convolve(
    a: ArrayLike, v: ArrayLike, mode: str = "full", *, preferred_element_type: Any = None
) -> Array:
    """The discrete convolution of two signals: at n the sum over m of a[m] v[n - m].

    `mode` is "full" (every overlap: N + M - 1 values), "same" (the middle max(N, M) of them) or
    "valid" (complete overlaps only).

    >>> convolve(np.array([1, 2, 3], "int32"), np.array([0, 1, 2], "int32"))
    Array([0, 1, 4, 7, 6], dtype=int32)
    """
    x, y = _signals("convolve", a, v, preferred_element_type)
    if x.shape[0] < y.shape[0]:
        x, y = y, x
    return _slid(x, rev(y, (0,)), _paddings("convolve", mode, y.shape[0]))


def correlate(
    a: ArrayLike, v: ArrayLike, mode: str = "valid", *, preferred_element_type: Any = None
) -> Array:
    """The cross-correlation of two signals: at k the sum over n of a[n + k] conj(v[n]).

    `mode` is as in `convolve`.

    >>> correlate(np.array([1, 2, 3], "int32"), np.array([0, 1, 2], "int32"), "full")
    Array([2, 5, 8, 3, 0], dtype=int32)
    """
    x, y = _signals("correlate", a, v, preferred_element_type)
    y = conj(y)
    if x.shape[0] >= y.shape[0]:
        return _slid(x, y, _paddings("correlate", mode, y.shape[0]))
    # The shorter signal moves over the longer one, which reverses the result.
    before, after = _paddings("correlate", mode, x.shape[0])
    return rev(_slid(y, x, (after, before) if mode != "same" else (before, after)), (0,))


def _signals(operation: str, a: Any, v: Any, preferred: Any) -> tuple[Array, Array]:
    x, y = promote(operation, a, v)
    if x.dtype == dtypes.bool_:
        x, y = convert(x, dtypes.default_int), convert(y, dtypes.default_int)
    if preferred is not None:
        wide = dtypes.as_dtype(preferred)
        x, y = convert(x, wide), convert(y, wide)
    x, y = (reshape(s, (1,)) if not s.ndim else s for s in (x, y))
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size:
        raise ShapeError(
            at_user_line(
                f"{operation} takes signals with one axis that are not empty, got the shapes "
                f"{x.shape} and {y.shape}."
            )
        )
    return x, y


def _paddings(operation: str, mode: str, size: int) -> tuple[int, int]:
    """Zeros before and after the longer signal, for a shorter one of `size`."""
    if mode == "full":
        return size - 1, size - 1
    if mode == "same":
        return size // 2, size - 1 - size // 2
    if mode == "valid":
        return 0, 0
    raise ArgumentError(
        at_user_line(f"{operation}: mode is 'full', 'same' or 'valid', not {mode!r}.")
    )


def _slid(x: Array, y: Array, padding: tuple[int, int]) -> Array:
    """Sums of products of `y` with the windows of `x`, padded with zeros."""
    signal, kernel = reshape(x, (1, 1, -1)), reshape(y, (1, 1, -1))
    out = conv_general_dilated(signal, kernel, (1,), (padding,))
    return reshape(out, (-1,))
