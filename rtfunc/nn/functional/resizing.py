"""Resizing the spatial axes: `interpolate`, with PyTorch's modes and numbers.

Every mode is a linear map along one axis after the other. What element i of the output reads, and
with which weights, is computed once per shape with NumPy, in the dtype in which PyTorch computes
it, so that its roundings are the same. Where the output is a whole number of times as long, each
input reads its neighbours with the same weights: there slices take the place of indices. Depends on
`functional.padding`, `functional.pooling`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.arguments import check_choice, check_positive
from rtfunc.nn.functional.padding import pad_axes
from rtfunc.nn.functional.pooling import adaptive_avg_pool
from rtfunc.ops.convert import as_array, promote_inexact
from rtfunc.ops.pad_slice import slice_in_dim

#: The number of spatial axes that a mode is for; None for any.
MODES = {
    "nearest": None,
    "nearest-exact": None,
    "linear": None,
    "bilinear": 2,
    "bicubic": 2,
    "trilinear": 3,
    "area": None,
}
_WITH_CORNERS = ("linear", "bilinear", "bicubic", "trilinear")


def interpolate(
    x: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
    antialias: bool = False,
) -> Array:
    """x with its spatial axes resized, to `size` or by `scale_factor`.

    Arguments:
      x: (N, C, *spatial).
      size: sizes of the result, one number for all spatial axes or one for each.
      scale_factor: instead, factors; the result has floor(size * factor) elements.
      mode: "nearest" (with PyTorch's and OpenCV's rounding), "nearest-exact" (as Pillow's and
        scikit-image's), "linear", "bilinear" and "trilinear" (the same for 1 or any number, 2 and
        3 axes), "bicubic", or "area" (means, `adaptive_avg_pool`).
      align_corners: whether the centers of the first and last elements stay where they are, rather
        than the outer edges; for the linear and cubic modes.
      recompute_scale_factor: whether the scale is that of the sizes rather than `scale_factor`,
        from which it differs where the size is rounded.
      antialias: whether to read more elements when making x smaller; for "bilinear" and "bicubic".

    Raises `ArgumentError` unless exactly one of size and scale_factor is given, and for a mode or an
    option that does not go with the number of axes.

    >>> import rtfunc.numpy as rnp
    >>> interpolate(rnp.array([[[1.0, 3.0]]]), scale_factor=2)
    Array([[[1., 1., 3., 3.]]], dtype=float32)
    >>> interpolate(rnp.array([[[1.0, 3.0]]]), 4, mode="linear")
    Array([[[1. , 1.5, 2.5, 3. ]]], dtype=float32)
    """
    x = as_array("interpolate", x)
    check_mode(mode, align_corners, antialias)
    count = x.ndim - 2
    if count < 1 or MODES[mode] not in (None, count):
        axes = "(N, C, *spatial)" if MODES[mode] is None else f"(N, C, {MODES[mode]} spatial axes)"
        raise ShapeError(
            at_user_line(
                f"interpolate in mode {mode!r} takes an input {axes}, not one of shape {x.shape}."
            )
        )
    sizes, factors = _sizes(x.shape[2:], size, scale_factor)
    if recompute_scale_factor:
        factors = (None,) * count
    if mode.startswith("nearest"):
        for axis, (new, factor) in enumerate(zip(sizes, factors), 2):
            places = _nearest(x.shape[axis], new, factor, mode == "nearest-exact")
            x = _taken(x, axis, places)
        return x
    (x,) = promote_inexact("interpolate", x)
    if mode == "area":
        return adaptive_avg_pool(x, sizes)
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    rule = _antialiased if antialias else _cubic if mode == "bicubic" else _linear
    for axis, (new, factor) in enumerate(zip(sizes, factors), 2):
        old = x.shape[axis]
        if antialias:
            if new == old:
                continue
        elif new == old and mode != "bicubic":
            continue
        given = (rule, old, new, factor, align_corners, mode, str(wide.dtype))
        whole = new % old == 0 and factor in (None, new // old)
        if whole and not (align_corners or antialias):
            wide = _in_phases(wide, axis, *_phases(rule, new // old, mode, str(wide.dtype)))
        else:
            wide = _combined(wide, axis, *_taps(*given))
    return wide.astype(x.dtype)


def check_mode(mode: str, align_corners: bool, antialias: bool) -> None:
    """Raise `ArgumentError` for options of `interpolate` that do not go together."""
    check_choice("interpolate", "mode", mode, tuple(MODES))
    if align_corners and mode not in _WITH_CORNERS:
        raise ArgumentError(
            at_user_line(
                f"interpolate: align_corners is for the modes {', '.join(_WITH_CORNERS)}, "
                f"not {mode!r}."
            )
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ArgumentError(
            at_user_line(f"interpolate: antialias is for bilinear and bicubic, not {mode!r}.")
        )


def _sizes(
    old: Sequence[int], size: Any, scale_factor: Any
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The new sizes, and the factors where they were given."""
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            at_user_line("interpolate takes a size or a scale_factor, and not both.")
        )
    given = size if scale_factor is None else scale_factor
    many = tuple(given) if isinstance(given, Sequence) else (given,) * len(old)
    if len(many) != len(old):
        raise ArgumentError(
            at_user_line(
                f"interpolate: {given!r} has {len(many)} entries for {len(old)} spatial axes."
            )
        )
    if scale_factor is None:
        for new in many:
            check_positive("interpolate", "size", new)
        return many, (None,) * len(old)
    sizes = tuple(math.floor(n * float(factor)) for n, factor in zip(old, many))
    if min(sizes) < 1:
        raise ArgumentError(
            at_user_line(
                f"interpolate: scale_factor {scale_factor!r} leaves nothing of an input with the "
                f"spatial sizes {tuple(old)}."
            )
        )
    return sizes, tuple(map(float, many))


# Places and weights along one axis


@functools.lru_cache(256)
def _nearest(old: int, new: int, factor: float | None, exact: bool) -> np.ndarray:
    # In float32 whatever the input is, as PyTorch does.
    scale = np.float32(1 / factor) if factor else np.float32(old) / np.float32(new)
    centers = np.arange(new, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return np.minimum(np.floor(centers * scale), old - 1).astype(np.int32)


_Rule = Callable[[int, int, Any, bool, str], tuple[np.ndarray, np.ndarray]]


@functools.lru_cache(256)
def _taps(
    rule: _Rule,
    old: int,
    new: int,
    factor: float | None,
    align_corners: bool,
    mode: str,
    dtype: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Places and weights (new, taps) that `rule` gives for the scale, computed in `dtype`."""
    real = np.dtype(dtype).type
    if align_corners:
        scale = real(old - 1) / real(new - 1) if new > 1 else real(0)
    else:
        scale = real(1 / factor) if factor else real(old) / real(new)
    places, weights = rule(old, new, scale, align_corners, mode)
    return places.astype(np.int32), weights.astype(dtype)


def _sources(new: int, scale: Any, align_corners: bool) -> np.ndarray:
    """The place in the input of each element of the output, as a real number."""
    real = type(scale)
    i = np.arange(new, dtype=real)
    return i * scale if align_corners else (i + real(0.5)) * scale - real(0.5)


def _linear(
    old: int, new: int, scale: Any, align_corners: bool, mode: str
) -> tuple[np.ndarray, np.ndarray]:
    source = np.maximum(_sources(new, scale, align_corners), 0)
    low = np.minimum(source.astype(np.int64), old - 1)
    share = np.clip(source - low.astype(source.dtype), 0, 1)
    places = np.stack([low, np.minimum(low + 1, old - 1)], 1)
    return places, np.stack([1 - share, share], 1)


def _cubic(
    old: int, new: int, scale: Any, align_corners: bool, mode: str
) -> tuple[np.ndarray, np.ndarray]:
    source = _sources(new, scale, align_corners)
    low = np.minimum(np.floor(source).astype(np.int64), old - 1)
    share = np.clip(source - low.astype(source.dtype), 0, 1)
    offsets = np.arange(-1, 3)
    weights = _keys(np.abs(share[:, None] - offsets.astype(source.dtype)), -0.75)
    return np.clip(low[:, None] + offsets, 0, old - 1), weights


def _keys(distance: np.ndarray, a: float) -> np.ndarray:
    """The cubic convolution kernel (Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711)."""
    d = distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0)).astype(d.dtype)


def _antialiased(
    old: int, new: int, scale: Any, align_corners: bool, mode: str
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a filter that is as much wider as the output is smaller, as Pillow's."""
    reach = 2.0 if mode == "bicubic" else 1.0
    wider = max(scale, type(scale)(1))
    support = reach * wider
    centers = scale * (np.arange(new) + 0.5)
    start = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    stop = np.minimum((centers + support + 0.5).astype(np.int64), old)
    places = start[:, None] + np.arange((stop - start).max())
    distance = np.abs((places - centers[:, None] + 0.5) / wider)
    weights = _keys(distance, -0.5) if mode == "bicubic" else np.maximum(1 - distance, 0)
    weights = np.where(places < stop[:, None], weights, 0)
    return np.minimum(places, stop[:, None] - 1), weights / weights.sum(1, keepdims=True)


@functools.lru_cache(256)
def _phases(rule: _Rule, times: int, mode: str, dtype: str) -> tuple[int, np.ndarray]:
    """How the `times` outputs of an input read its neighbours: their reach, and (times, 2 reach + 1).

    Away from the edges these are the same for every input; at an edge, as if it went on.
    """
    middle = 4
    old = 2 * middle + 1
    places, weights = _taps(rule, old, old * times, None, False, mode, dtype)
    own = slice(middle * times, (middle + 1) * times)
    offsets, weights = places[own] - middle, weights[own]
    reach = int(np.abs(offsets).max())
    table = np.zeros((times, 2 * reach + 1), dtype)
    np.add.at(table, (np.arange(times)[:, None], offsets + reach), weights)
    return reach, table


# Reading them


def _taken(x: Array, axis: int, places: np.ndarray) -> Array:
    """x at `places` along `axis`: as a view where they are evenly spread."""
    old, new = x.shape[axis], len(places)
    times, step = new // old, old // new
    if times and times * old == new and (places == np.arange(new) // times).all():
        x = rnp.expand_dims(x, axis + 1)
        spread = (*x.shape[: axis + 1], times, *x.shape[axis + 2 :])
        shape = (*x.shape[:axis], new, *x.shape[axis + 2 :])
        return rnp.broadcast_to(x, spread).reshape(shape)
    if step and (places == places[0] + np.arange(new) * step).all():
        return slice_in_dim(x, int(places[0]), int(places[-1]) + 1, step, axis)
    return x[(*(slice(None),) * axis, places)]


def _combined(x: Array, axis: int, places: np.ndarray, weights: np.ndarray) -> Array:
    """The sum over taps of x at their places, times their weights."""
    shape = (-1,) + (1,) * (x.ndim - axis - 1)
    terms = [
        _taken(x, axis, places[:, tap]) * weights[:, tap].reshape(shape)
        for tap in range(places.shape[1])
        if weights[:, tap].any()
    ]
    return functools.reduce(lambda a, b: a + b, terms)


def _in_phases(x: Array, axis: int, reach: int, table: np.ndarray) -> Array:
    """As `_combined`, for a whole factor: by slices, whose derivatives are slices too.

    An index array reads as quickly, but its derivative adds element by element.
    """
    size, times = x.shape[axis], len(table)
    pairs = [(reach, reach) if i == axis else (0, 0) for i in range(x.ndim)]
    padded = pad_axes("interpolate", x, pairs, "replicate")
    along = (times,) + (1,) * (x.ndim - axis - 1)
    terms = []
    for offset in range(2 * reach + 1):
        part = rnp.expand_dims(slice_in_dim(padded, offset, offset + size, axis=axis), axis + 1)
        if table[:, offset].any():
            terms.append(part * table[:, offset].reshape(along))
    out = functools.reduce(lambda a, b: a + b, terms)
    return out.reshape((*x.shape[:axis], size * times, *x.shape[axis + 1 :]))
