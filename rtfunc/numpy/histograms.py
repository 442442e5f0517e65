"""Counting: occurrences of integers, and histograms over bins in one or more dimensions.

Depends on `sorting` for the bin of each sample, and on `.at[...].add` for the counts.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TracerError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.numpy.arguments import as_integer, as_sequence
from rtfunc.numpy.calculus import diff
from rtfunc.numpy.creation import asarray, promote_data, zeros
from rtfunc.numpy.index_expressions import known_values
from rtfunc.numpy.indexing import where
from rtfunc.numpy.ranges import linspace
from rtfunc.numpy.reductions import max as _max
from rtfunc.numpy.reductions import min as _min
from rtfunc.numpy.reductions import sum as _sum
from rtfunc.numpy.sorting import searchsorted
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.shape import reshape

Bins = Any


#: NumPy's names of how many bins there are.
_RULES = ("auto", "fd", "doane", "scott", "stone", "rice", "sturges", "sqrt")


def bincount(
    x: ArrayLike,
    weights: ArrayLike | None = None,
    minlength: int = 0,
    *,
    length: int | None = None,
) -> Array:
    """How often each of 0, 1, 2 ... occurs in `x`, an array of integers with one axis.

    Arguments:
      weights: added up instead of ones.
      minlength: the least number of counts.
      length: exactly so many, which traced code needs; larger values are left out.

    Negative values count as 0, as in JAX. Raises `TracerError` for traced values without `length`.

    >>> bincount(np.array([1, 3, 1]))
    Array([0, 2, 0, 1], dtype=int32)
    """
    x = as_array("bincount", asarray(x) if isinstance(x, (list, tuple)) else x)
    if not (dtypes.is_integer(x.dtype) or x.dtype == dtypes.bool_):
        raise DtypeError(at_user_line(f"bincount takes integers, not {x.dtype}."))
    if x.ndim != 1:
        raise ShapeError(at_user_line(f"bincount takes one axis, not the shape {x.shape}."))
    minlength = as_integer("bincount", "minlength", minlength)
    if minlength < 0:
        raise ArgumentError(at_user_line(f"bincount: minlength is not negative, got {minlength}."))
    if x.dtype == dtypes.bool_:
        x = convert(x, dtypes.default_int)
    if length is None:
        values = known_values(x)
        if values is None:
            raise TracerError(
                at_user_line(
                    f"bincount of a traced {x.aval}: the shape of the result would depend on its "
                    "values. Pass length=..., the number of counts."
                )
            )
        length = max(minlength, int(values.max()) + 1 if values.size else 0)
    else:
        length = max(as_integer("bincount", "length", length), minlength)
    if weights is None:
        added: Any = 1
        dtype = dtypes.default_int
    else:
        added = as_array("bincount", weights)
        dtype = added.dtype
        if added.shape != x.shape:
            raise ShapeError(
                at_user_line(
                    f"bincount: weights of shape {added.shape} do not fit {x.shape[0]} values."
                )
            )
    places = where(x < 0, 0, x) if x.dtype in dtypes.signed else x
    return zeros(length, dtype).at[places].add(added, mode="drop")


def histogram_bin_edges(
    a: ArrayLike,
    bins: Bins = 10,
    range: Sequence[ArrayLike] | None = None,
    weights: ArrayLike | None = None,
) -> Array:
    """The edges of `bins` equal bins over the `range` (from the least to the largest element).

    `bins` may also be the edges themselves, or for known values the name of one of NumPy's rules,
    such as "auto".

    >>> histogram_bin_edges(np.array([0.0, 4.0], "float32"), bins=2)
    Array([0., 2., 4.], dtype=float32)
    """
    x = as_array("histogram", asarray(a) if isinstance(a, (list, tuple)) else a)
    if isinstance(bins, str):
        values = known_values(x)
        if values is None or isinstance(x, Tracer):
            raise TracerError(
                at_user_line(
                    f"histogram with bins={bins!r}: the number of bins depends on the values, "
                    "which are traced here. Give a number of bins."
                )
            )
        if bins not in _RULES:
            raise ArgumentError(
                at_user_line(
                    f"histogram: {bins!r} is not a rule for bins. There are {', '.join(_RULES)}."
                )
            )
        bounds: Any = None if range is None else tuple(float(np.asarray(r)) for r in range)
        edges = np.histogram_bin_edges(values, bins, bounds)
        return Array(edges.astype(dtypes.to_inexact(x.dtype)))
    if isinstance(bins, (list, tuple)) or np.ndim(bins) == 1:
        listed = isinstance(bins, (list, tuple))  # its numbers have the digits of the values
        edges = promote_data("histogram", bins, x)[0] if listed else asarray(bins)
        if edges.ndim != 1:
            raise ShapeError(at_user_line(f"histogram: edges of shape {edges.shape}."))
        return edges if dtypes.is_inexact(edges.dtype) else convert(edges, dtypes.default_float)
    try:
        count = operator.index(bins)
    except TypeError:
        raise DtypeError(
            at_user_line(f"histogram: bins is a number, an array of edges or a name, not {bins!r}.")
        ) from None
    if count < 1:
        raise ArgumentError(at_user_line(f"histogram: at least one bin, not {count}."))
    dtype = dtypes.to_inexact(x.dtype)
    if range is not None:
        low, high = (as_array("histogram", r, dtype) for r in range)
        if (
            not isinstance(low, Tracer)
            and not isinstance(high, Tracer)
            and float(low) > float(high)
        ):
            raise ArgumentError(
                at_user_line(
                    f"histogram: the range goes upward, not from {range[0]} to {range[1]}."
                )
            )
    elif not x.size:
        low, high = scalar(0, dtype), scalar(1, dtype)
    else:
        low, high = (convert(r, dtype) for r in (_min(x), _max(x)))
    same = low == high
    low, high = where(same, low - 0.5, low), where(same, high + 0.5, high)
    return linspace(low, high, count + 1, dtype=dtype)


def _bin_of(x: Array, edges: Array) -> Array:
    """The bin of each sample: the last one includes its right edge; the number of bins if none."""
    count = edges.shape[0] - 1
    place = searchsorted(edges, x, side="right") - 1
    place = where(x == edges[-1], count - 1, place)
    return where((place < 0) | (x != x), count, place)


def histogram(
    a: ArrayLike,
    bins: Bins = 10,
    range: Sequence[ArrayLike] | None = None,
    weights: ArrayLike | None = None,
    density: bool | None = None,
) -> tuple[Array, Array]:
    """How many elements fall into each bin, and the edges of the bins.

    Bins are closed on the left, the last one on both sides. `bins` and `range` are as in
    `histogram_bin_edges`; `weights` are added up instead of ones; with `density`, the integral
    over all bins is 1. Counts are floats, as in JAX.

    >>> histogram(np.array([1.0, 2.0, 1.0], "float32"), bins=2)[0]
    Array([2., 1.], dtype=float32)
    """
    x = as_array("histogram", asarray(a) if isinstance(a, (list, tuple)) else a)
    counts, edges = histogramdd(
        reshape(x, (-1, 1)),
        [bins] if not np.isscalar(bins) and not isinstance(bins, str) else bins,
        None if range is None else [range],
        None if weights is None else reshape(as_array("histogram", weights), (-1,)),
        density,
    )
    return counts, edges[0]


def histogram2d(
    x: ArrayLike,
    y: ArrayLike,
    bins: Bins = 10,
    range: Sequence[Any] | None = None,
    weights: ArrayLike | None = None,
    density: bool | None = None,
) -> tuple[Array, Array, Array]:
    """How many of the points (x, y) fall into each rectangle, and the edges along both axes.

    `bins` is a number or edges for both axes, or a pair of them; otherwise as `histogram`.

    >>> histogram2d(np.array([0.0, 1.0]), np.array([0.0, 1.0]), bins=2)[0]
    Array([[1., 0.],
           [0., 1.]], dtype=float64)
    """
    a, b = promote_inexact("histogram2d", *promote_data("histogram2d", x, y))
    if a.ndim != 1 or a.shape != b.shape:
        raise ShapeError(
            at_user_line(
                f"histogram2d takes coordinates with one axis of one size, not the shapes "
                f"{a.shape} and {b.shape}."
            )
        )
    if not np.isscalar(bins) and len(bins) not in (1, 2):
        bins = [bins, bins]
    counts, edges = histogramdd([a, b], bins, range, weights, density)
    return counts, edges[0], edges[1]


def histogramdd(
    sample: ArrayLike | Sequence[ArrayLike],
    bins: Bins = 10,
    range: Sequence[Any] | None = None,
    weights: ArrayLike | None = None,
    density: bool | None = None,
) -> tuple[Array, list[Array]]:
    """How many points fall into each cell of a grid, and the edges along each axis.

    `sample` has a row per point, or is a list of the coordinates along each axis; `bins` is a
    number, or a list with a number or edges for each axis; otherwise as `histogram`.

    >>> histogramdd(np.array([[0.0, 0.0], [1.0, 1.0]], "float32"), bins=2)[0]
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    if isinstance(sample, (list, tuple)):
        columns = promote_inexact("histogramdd", *promote_data("histogramdd", *sample))
    else:
        points = as_array("histogramdd", sample)  # type: ignore[arg-type]
        if points.ndim != 2:
            raise ShapeError(
                at_user_line(f"histogramdd takes a row per point, not the shape {points.shape}.")
            )
        (points,) = promote_inexact("histogramdd", points)
        columns = [points[:, k] for k in np.arange(points.shape[1])]
    axes = len(columns)
    several = not np.isscalar(bins) and not isinstance(bins, str)
    each = as_sequence("histogramdd", "bins", bins) if several else [bins] * axes
    ranges = [None] * axes if range is None else list(range)
    if len(each) != axes or len(ranges) != axes:
        raise ArgumentError(
            at_user_line(
                f"histogram: {len(each)} bins and {len(ranges)} ranges for {axes} "
                f"{'axis' if axes == 1 else 'axes'}."
            )
        )
    edges = [histogram_bin_edges(c, b, r) for c, b, r in zip(columns, each, ranges)]
    dtype = columns[0].dtype
    sizes = tuple(e.shape[0] - 1 for e in edges)
    places = [_bin_of(c, e) for c, e in zip(columns, edges)]
    if weights is None:
        added: Any = scalar(1, dtype)
    else:
        added = as_array("histogram", weights)
        dtype = dtypes.promote(dtype, False, added.dtype, False)[0]
        added = convert(added, dtype)
        if added.shape != columns[0].shape:
            raise ShapeError(
                at_user_line(
                    f"histogram: weights of shape {added.shape} do not fit "
                    f"{columns[0].shape[0]} samples."
                )
            )
    counts = zeros(sizes, dtype).at[tuple(places)].add(added, mode="drop")
    if density:
        volume: Any = 1.0
        for k, e in enumerate(edges):
            width = reshape(diff(e), tuple(-1 if k == a else 1 for a in np.arange(axes)))
            volume = volume * width
        counts = counts / volume / _sum(counts)
    return counts, edges
