"""Quantiles, percentiles and medians, also of what is not NaN.

Values are sorted, and read or interpolated at a position that the method computes from their number;
derivatives flow to the values read. Depends on `ops.sort` and `reductions`.

Source of the methods: R. J. Hyndman, Y. Fan, Sample quantiles in statistical packages, The American
Statistician 50 (1996), whose nine types NumPy names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.numpy.arguments import refuse_out
from rtfunc.numpy.creation import asarray
from rtfunc.numpy.elementwise import clip
from rtfunc.numpy.floating import floor
from rtfunc.numpy.indexing import take_along_axis, where
from rtfunc.numpy.logic import isnan
from rtfunc.numpy.reductions import Axis
from rtfunc.numpy.reductions import any as _any
from rtfunc.numpy.reductions import sum as _sum
from rtfunc.numpy.shape import broadcast_to, moveaxis
from rtfunc.numpy.sorting import sort
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.shape import normalize_axes, reshape

# Methods that interpolate: the position of the quantile q of n values, counted from 0, is
# q (n + 1 - a - b) + a - 1 with these (a, b).
_continuous = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
# Between two values at the position of "linear".
_between = ("lower", "higher", "nearest", "midpoint")
# Methods that read single values or means of two.
_stepwise = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation")


def quantile(
    a: ArrayLike,
    q: ArrayLike,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    """The quantiles `q`, between 0 and 1, over `axis` (all axes by default); NaN if there is one.

    Arguments:
      q: a number, or an array, whose axes come first in the result.
      method: "linear", "lower", "higher", "nearest" or "midpoint", or one of the types of Hyndman
        and Fan under NumPy's names.

    Raises `ArgumentError` for a known `q` outside 0 to 1, and `ShapeError` for no elements.

    >>> quantile(np.array([1.0, 2.0, 4.0], "float32"), np.array([0.5, 0.75], "float32"))
    Array([2., 3.], dtype=float32)
    """
    return _quantile("quantile", a, q, 1.0, axis, out, overwrite_input, method, keepdims, False)


def percentile(
    a: ArrayLike,
    q: ArrayLike,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    """The percentiles `q`, between 0 and 100; arguments as in `quantile`.

    >>> percentile(np.array([1.0, 2.0, 4.0], "float32"), 75)
    Array(3., dtype=float32)
    """
    return _quantile("percentile", a, q, 100.0, axis, out, overwrite_input, method, keepdims, False)


def nanquantile(
    a: ArrayLike,
    q: ArrayLike,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    """As `quantile`, of the elements that are not NaN; NaN where there are none.

    >>> nanquantile(np.array([1.0, np.nan, 4.0], "float32"), 0.5)
    Array(2.5, dtype=float32)
    """
    return _quantile("nanquantile", a, q, 1.0, axis, out, overwrite_input, method, keepdims, True)


def nanpercentile(
    a: ArrayLike,
    q: ArrayLike,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Array:
    """As `percentile`, of the elements that are not NaN; NaN where there are none.

    >>> nanpercentile(np.array([1.0, np.nan, 4.0], "float32"), 50)
    Array(2.5, dtype=float32)
    """
    return _quantile(
        "nanpercentile", a, q, 100.0, axis, out, overwrite_input, method, keepdims, True
    )


def median(
    a: ArrayLike,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """The median over `axis`: the mean of the two middle values of an even number.

    >>> median(np.array([3.0, 1.0, 2.0, 10.0], "float32"))
    Array(2.5, dtype=float32)
    """
    return _quantile("median", a, 0.5, 1.0, axis, out, overwrite_input, "linear", keepdims, False)


def nanmedian(
    a: ArrayLike,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Array:
    """As `median`, of the elements that are not NaN; NaN where there are none.

    >>> nanmedian(np.array([3.0, np.nan, 2.0], "float32"))
    Array(2.5, dtype=float32)
    """
    return _quantile("nanmedian", a, 0.5, 1.0, axis, out, overwrite_input, "linear", keepdims, True)


def _quantile(
    operation: str,
    a: Any,
    q: Any,
    whole: float,
    axis: Axis,
    out: Any,
    overwrite_input: bool,
    method: str,
    keepdims: bool,
    skip_nan: bool,
) -> Array:
    refuse_out(operation, out)
    if overwrite_input:
        raise ArgumentError(
            at_user_line(f"{operation}: arrays are immutable, so overwrite_input is not supported.")
        )
    if method not in (*_continuous, *_between, *_stepwise):
        raise ArgumentError(
            at_user_line(
                f"{operation}: {method!r} is not a method; there are "
                f"{', '.join((*_continuous, *_between, *_stepwise))}."
            )
        )
    x = as_array(operation, a)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"{operation} takes real numbers, not {x.dtype}."))
    if isinstance(q, (list, tuple)):
        q = asarray(q, dtypes.to_inexact(x.dtype))
    x, q = promote_inexact(operation, a, q)
    if not isinstance(q, Tracer):
        values = np.asarray(q, "float64")
        if not np.all((values >= 0) & (values <= whole)):
            raise ArgumentError(
                at_user_line(f"{operation}: q is between 0 and {whole:g}, got {values}.")
            )
    axes = normalize_axes(operation, axis, x.ndim)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    others = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    count = int(np.prod([x.shape[i] for i in axes], dtype=int))
    if not count:
        raise ShapeError(
            at_user_line(f"{operation} of no elements: shape {x.shape} over axes {axes} has none.")
        )
    dtype = x.dtype
    x = reshape(moveaxis(x, axes, tuple(range(x.ndim - len(axes), x.ndim))), (*others, count))
    x = convert(x, dtypes.compute_dtype(dtype))
    fraction = convert(q, x.dtype) / whole
    ordered = sort(x)  # NaN last
    missing = isnan(ordered)
    if skip_nan:
        n = _sum(convert(~missing, x.dtype), -1)
    else:
        n = broadcast_to(scalar(count, x.dtype), others)
    flat = reshape(fraction, (-1, *(1,) * len(others)))
    result = _read(ordered, flat, n, method)
    result = where(n == 0 if skip_nan else _any(missing, -1), np.nan, result)
    result = reshape(result, (*fraction.shape, *(kept if keepdims else others)))
    return convert(result, dtype)


def _read(ordered: Array, q: Array, n: Array, method: str) -> Array:
    """The quantiles `q` (on a first axis) of the first `n` values on the last axis."""

    def value(position: Array) -> Array:
        position = clip(position, 0, n - 1)
        places = convert(moveaxis(clip(position, 0, None), 0, -1), dtypes.int32)
        return moveaxis(take_along_axis(ordered, places, -1, mode="clip"), -1, 0)

    if method in _stepwise:
        exact = q * n
        below = floor(exact)
        if method == "closest_observation":
            position = exact - 1.5
            below = floor(position)
            even = where((position == below) & (below % 2 == 1), below, below + 1)
            return value(even)
        up = where(exact == below, below - 1, below)
        if method == "inverted_cdf":
            return value(up)
        return (value(up) + value(below)) / 2
    alpha, beta = _continuous.get(method, (1.0, 1.0))
    position = clip(q * (n + 1 - alpha - beta) + (alpha - 1), 0, n - 1)
    below = floor(position)
    weight = position - below
    low, high = value(below), value(below + 1)
    if method == "lower":
        return low
    if method == "higher":
        return where(weight > 0, high, low)
    if method == "nearest":
        up = (weight > 0.5) | ((weight == 0.5) & (below % 2 == 1))
        return where(up, high, low)
    if method == "midpoint":
        return where(weight > 0, (low + high) / 2, low)
    # Equal ends stay as they are, also when they are infinite.
    return where((weight == 0) | (low == high), low, low * (1 - weight) + high * weight)
