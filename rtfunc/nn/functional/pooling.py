"""Pooling as functions: maxima, means and norms over windows of the spatial axes.

`max_pool`, `avg_pool` and the others take the number of spatial axes from the window or the input;
`max_pool1d` to `max_pool3d` and so on are the same with the number fixed, under PyTorch's names.
With `ceil_mode` the last window may hang over the high end, which is padding there. Depends on
`ops.window`.
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
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.nn.arguments import check_range, check_spatial, per_axis, per_axis_pads, spatial_rank
from rtfunc.nn.functional.convolution import Padding, PerAxis
from rtfunc.ops.convert import as_array, promote_inexact, scalar
from rtfunc.ops.pad_slice import pad as pad_with
from rtfunc.ops.pad_slice import slice_
from rtfunc.ops.select import select
from rtfunc.ops.sliding import Pads, dilated
from rtfunc.ops.window import reduce_window_max, reduce_window_sum
from rtfunc.transforms.custom import stop_gradient


def max_pool(
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window; the derivative goes to its first one.

    Arguments:
      x: (N, C, *spatial); (C, *spatial) where the number of spatial axes is known from elsewhere.
      kernel_size: size of the window, one number for all spatial axes or one for each.
      stride: steps of the window, by default its size.
      padding: elements around x that are no maximum: one number, one for each axis, a pair (low,
        high) for each axis, "SAME" or "VALID"; at most half of the window.
      dilation: distance of the window's elements.
      ceil_mode: whether a last window that is not full counts.
      return_indices: whether to return, besides, where each maximum is: its place in the spatial
        axes made one, for `max_unpool`.

    Returns (N, C, *spatial), spatial being floor((size + padding - dilation * (window - 1) - 1) /
    stride) + 1, or its ceiling; with `return_indices` that and int32 of the same shape.

    Raises `ShapeError` for a window larger than the padded input.

    >>> import rtfunc.numpy as rnp
    >>> max_pool(rnp.array([[[1.0, 3.0, 2.0, 5.0, 4.0]]]), 2, ceil_mode=True)
    Array([[[3., 5., 4.]]], dtype=float32)
    """
    return _max_pool(
        "max_pool", None, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def _max_pool(
    operation: str,
    count: int | None,
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    x = as_array(operation, x)
    _check_real(operation, x)
    windows, pads = _windows(operation, count, x, kernel_size, stride, padding, dilation, ceil_mode)
    out = reduce_window_max(x, *windows)
    return (out, _indices_of_maxima(x, out.shape, len(pads), windows)) if return_indices else out


def _indices_of_maxima(
    x: Array, out_shape: tuple[int, ...], count: int, windows: tuple[tuple[Any, ...], ...]
) -> Array:
    """The place of each window's first maximum in the spatial axes made one."""
    window, steps, pads, _, apart = (w[x.ndim - count :] for w in windows)
    lead, sizes, counts = x.ndim - count, x.shape[-count:], out_shape[-count:]
    config = [(0, 0, 0)] * lead + [(low, high, 0) for low, high in pads]
    padded = pad_with(stop_gradient(x), scalar(dtypes.lowest(x.dtype), x.dtype), config)
    parts, offsets = [], []
    strides = [math.prod(sizes[i + 1 :]) for i in range(count)]
    for tap in np.ndindex(*window):
        start = [k * d for k, d in zip(tap, apart)]
        stop = [p + (m - 1) * s + 1 for p, m, s in zip(start, counts, steps)]
        first = (0,) * lead
        parts.append(
            slice_(padded, (*first, *start), (*x.shape[:lead], *stop), ((1,) * lead + tuple(steps)))
        )
        offsets.append(sum(p * r for p, r in zip(start, strides)))
    # Where a window begins, in front of the input too; within it, places only add up.
    begins = [
        (np.arange(m) * s - low) * r for m, s, (low, _), r in zip(counts, steps, pads, strides)
    ]
    base = functools.reduce(np.add.outer, begins).astype(np.int32)
    chosen = rnp.argmax(rnp.stack(parts, axis=-1), axis=-1)
    return rnp.take(np.array(offsets, np.int32), chosen, axis=0) + base


def max_unpool(
    x: ArrayLike,
    indices: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Maxima put back where `max_pool` with `return_indices` found them, zeros elsewhere.

    Arguments: x, indices: what it returned, (N, C, *spatial); kernel_size, stride, padding: given
    to it; output_size: spatial sizes of the result, by default the smallest that the windows fit
    in: (size - 1) * stride - 2 * padding + kernel_size.

    >>> import rtfunc.numpy as rnp
    >>> x = rnp.array([[[1.0, 3.0, 2.0, 5.0]]])
    >>> max_unpool(*max_pool(x, 2, return_indices=True), 2)
    Array([[[0., 3., 0., 5.]]], dtype=float32)
    """
    return _max_unpool("max_unpool", None, x, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    operation: str,
    count: int | None,
    x: ArrayLike,
    indices: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    x, indices = as_array(operation, x), as_array(operation, indices)
    n = count or spatial_rank(operation, kernel_size, x.ndim)
    check_spatial(operation, x.shape, n)
    if indices.shape != x.shape or not dtypes.is_integer(indices.dtype):
        raise ShapeError(
            at_user_line(
                f"{operation} takes integers of the shape of the input as indices: the input has "
                f"shape {x.shape}, the indices {indices.dtype} {indices.shape}."
            )
        )
    window = per_axis(operation, "kernel_size", kernel_size, n)
    steps = window if stride is None else per_axis(operation, "stride", stride, n)
    pads = per_axis(operation, "padding", padding, n, least=0)
    lead = x.shape[: x.ndim - n]
    smallest = tuple(
        (m - 1) * s - 2 * p + w for m, s, p, w in zip(x.shape[-n:], steps, pads, window)
    )
    sizes = per_axis(operation, "output_size", smallest if output_size is None else output_size, n)
    rows, total = math.prod(lead), math.prod(sizes)
    places = indices.reshape((rows, -1))
    check_range(operation, "indices", places, total)
    zeros = rnp.zeros((rows, total), x.dtype)
    row = np.arange(rows, dtype=np.int32)[:, None]
    return zeros.at[row, places].set(x.reshape((rows, -1))).reshape((*lead, *sizes))


def avg_pool(
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of each window.

    Arguments: as for `max_pool`; count_include_pad: whether zeros of the padding count in the mean;
    divisor_override: a number to divide by instead of the number of elements.

    >>> import rtfunc.numpy as rnp
    >>> avg_pool(rnp.array([[[1.0, 3.0, 2.0, 5.0, 4.0]]]), 2, ceil_mode=True)
    Array([[[2. , 3.5, 4. ]]], dtype=float32)
    """
    return _avg_pool(
        "avg_pool",
        None,
        x,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def _avg_pool(
    operation: str,
    count: int | None,
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    (x,) = promote_inexact(operation, x)
    if divisor_override == 0:
        raise ArgumentError(at_user_line(f"{operation}: divisor_override is not 0."))
    windows, pads = _windows(operation, count, x, kernel_size, stride, padding, 1, ceil_mode)
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    sums = reduce_window_sum(wide, *windows)
    if divisor_override is not None:
        return (sums / divisor_override).astype(x.dtype)
    lead = x.ndim - len(pads)
    counts = [
        _counts(n, w, s, low, high, out, count_include_pad)
        for n, w, s, (low, high), out in zip(
            x.shape[lead:], windows[0][lead:], windows[1][lead:], pads, sums.shape[lead:]
        )
    ]
    divisor = functools.reduce(np.multiply.outer, counts)
    if divisor.size and (divisor == divisor.flat[0]).all():
        return (sums / float(divisor.flat[0])).astype(x.dtype)
    return (sums / divisor.astype(wide.dtype)).astype(x.dtype)


def _counts(
    size: int, window: int, stride: int, low: int, high: int, out: int, include_pad: bool
) -> np.ndarray:
    """How many elements each of `out` windows has along one axis."""
    start = np.arange(out) * stride - low
    stop = np.minimum(start + window, size + high)
    if not include_pad:
        start, stop = np.maximum(start, 0), np.minimum(stop, size)
    return stop - start


def lp_pool(
    x: ArrayLike,
    norm_type: float,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    ceil_mode: bool = False,
) -> Array:
    """(sum of x**p over each window)**(1/p), p being `norm_type`.

    Arguments: as for `max_pool`. The absolute value is not taken, so that an odd p is for values
    that are not negative. The derivative is 0 where the sum is.

    >>> import rtfunc.numpy as rnp
    >>> lp_pool(rnp.array([[[3.0, 4.0]]]), 2, 2)
    Array([[[5.]]], dtype=float32)
    """
    return _lp_pool("lp_pool", None, x, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(
    operation: str,
    count: int | None,
    x: ArrayLike,
    norm_type: float,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    ceil_mode: bool = False,
) -> Array:
    (x,) = promote_inexact(operation, x)
    if norm_type == 0:
        raise ArgumentError(at_user_line(f"{operation}: norm_type is not 0."))
    n = count or spatial_rank(operation, kernel_size, x.ndim)
    size = math.prod(per_axis(operation, "kernel_size", kernel_size, n))
    # PyTorch takes a window that hangs over the end as if it were full of its mean.
    powers = rnp.square(x) if norm_type == 2 else x**norm_type
    means = _avg_pool(operation, count, powers, kernel_size, stride, 0, ceil_mode)
    zero = scalar(0, means.dtype)
    none = means == zero
    sums = select(none, scalar(1, means.dtype), means) * size
    return select(none, zero, sums ** (1 / norm_type))


def _windows(
    operation: str,
    count: int | None,
    x: Array,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
    ceil_mode: bool,
) -> tuple[tuple[tuple[Any, ...], ...], Pads]:
    """The windows as arguments of a windowed reduction, and the padding that was asked for."""
    count = count or spatial_rank(operation, kernel_size, x.ndim)
    check_spatial(operation, x.shape, count)
    lead = x.ndim - count
    sizes = x.shape[lead:]
    window = per_axis(operation, "kernel_size", kernel_size, count)
    step = window if stride is None else per_axis(operation, "stride", stride, count)
    apart = per_axis(operation, "dilation", dilation, count)
    pads = per_axis_pads(operation, padding, sizes, window, step, apart)
    extents = [dilated(w, d) for w, d in zip(window, apart)]
    if any(2 * max(pair) > k for k, pair in zip(extents, pads)):
        raise ArgumentError(
            at_user_line(
                f"{operation}: padding {padding!r} is more than half of the window {window}"
                f"{f' with dilation {apart}' if max(apart) > 1 else ''}, so that some windows "
                "would hold nothing else."
            )
        )
    used = []
    for n, k, s, (low, high) in zip(sizes, extents, step, pads):
        if n + low + high < k:
            raise ShapeError(
                at_user_line(
                    f"{operation}: the window {window}"
                    f"{f' with dilation {apart}' if max(apart) > 1 else ''} is larger than the "
                    f"input of shape {x.shape} with padding {padding!r}."
                )
            )
        if ceil_mode:
            out = -(-(n + low + high - k) // s) + 1
            out -= (out - 1) * s >= n + low  # a window that starts behind the input
            high = (out - 1) * s + k - n - low
        used.append((low, high))
    ones, none = (1,) * lead, ((0, 0),) * lead
    arguments = (
        (*ones, *window),
        (*ones, *step),
        (*none, *used),
        (1,) * x.ndim,
        (*ones, *apart),
    )
    return arguments, pads


def _check_real(operation: str, x: Array) -> None:
    if not (dtypes.is_float(x.dtype) or dtypes.is_integer(x.dtype)):
        raise DtypeError(at_user_line(f"{operation} does not take {x.dtype}."))


# To a given size, or to one element


def adaptive_avg_pool(x: ArrayLike, output_size: Any) -> Array:
    """The mean of each of `output_size` bins that cover the spatial axes evenly.

    Arguments:
      x: (N, C, *spatial); (C, *spatial) where the number of spatial axes is known from elsewhere.
      output_size: numbers of bins, one for all spatial axes or one for each, None for the input's.

    Bin i of n over `size` elements is from floor(i * size / n) to ceil((i + 1) * size / n).

    >>> import rtfunc.numpy as rnp
    >>> adaptive_avg_pool(rnp.array([[[1.0, 2.0, 3.0, 4.0, 6.0]]]), 2)
    Array([[[2.       , 4.3333335]]], dtype=float32)
    """
    return _adaptive_avg_pool("adaptive_avg_pool", None, x, output_size)


def _adaptive_avg_pool(operation: str, count: int | None, x: ArrayLike, output_size: Any) -> Array:
    (x,) = promote_inexact(operation, x)
    bins = _bins(operation, count, x, output_size)
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    lead = x.ndim - len(bins)
    if all(n % b == 0 for n, b in zip(x.shape[lead:], bins)):
        return _means(wide, lead, bins).astype(x.dtype)
    for axis, number in enumerate(bins, lead):
        places, inside = _bin_elements(x.shape[axis], number)
        parts = _parts(wide, axis, places)
        shape = inside.shape + (1,) * (x.ndim - axis - 1)
        parts = select(inside.reshape(shape), parts, scalar(0, wide.dtype))
        lengths = inside.sum(1).reshape(shape[:1] + shape[2:]).astype(wide.dtype)
        wide = rnp.sum(parts, axis=axis + 1) / lengths
    return wide.astype(x.dtype)


def _means(x: Array, lead: int, bins: Sequence[int]) -> Array:
    """Means over bins of equal size, as one reduction."""
    shape = list(x.shape[:lead])
    for n, number in zip(x.shape[lead:], bins):
        shape += [number, n // number]
    return rnp.mean(x.reshape(shape), axis=tuple(range(lead + 1, len(shape), 2)))


def adaptive_max_pool(x: ArrayLike, output_size: Any) -> Array:
    """The maximum of each of `output_size` bins; bins and arguments as `adaptive_avg_pool`.

    >>> import rtfunc.numpy as rnp
    >>> adaptive_max_pool(rnp.array([[[1.0, 2.0, 3.0, 4.0, 6.0]]]), 2)
    Array([[[3., 6.]]], dtype=float32)
    """
    return _adaptive_max_pool("adaptive_max_pool", None, x, output_size)


def _adaptive_max_pool(operation: str, count: int | None, x: ArrayLike, output_size: Any) -> Array:
    x = as_array(operation, x)
    _check_real(operation, x)
    bins = _bins(operation, count, x, output_size)
    lead = x.ndim - len(bins)
    if all(n % b == 0 for n, b in zip(x.shape[lead:], bins)):
        window = (1,) * lead + tuple(n // b for n, b in zip(x.shape[lead:], bins))
        return reduce_window_max(x, window, window)
    # From the last axis to the first, the first maximum of each is the first in memory's order.
    for axis, number in reversed(list(enumerate(bins, lead))):
        places, _ = _bin_elements(x.shape[axis], number)
        x = first_maxima(_parts(x, axis, places), axis + 1)
    return x


def first_maxima(x: Array, axis: int) -> Array:
    """The maxima over `axis`, whose derivative goes to the first place that holds one.

    >>> import rtfunc.numpy as rnp
    >>> first_maxima(rnp.array([[1.0, 3.0, 3.0]]), 1)
    Array([3.], dtype=float32)
    """
    place = rnp.expand_dims(rnp.argmax(stop_gradient(x), axis=axis), axis)
    along = tuple(-1 if i == axis else 1 for i in range(x.ndim))
    chosen = rnp.arange(x.shape[axis], dtype=place.dtype).reshape(along) == place
    return rnp.sum(select(chosen, x, scalar(0, x.dtype)), axis=axis, dtype=x.dtype)


def _bins(operation: str, count: int | None, x: Array, output_size: Any) -> tuple[int, ...]:
    n = count or spatial_rank(operation, output_size, x.ndim)
    check_spatial(operation, x.shape, n)
    sizes = x.shape[x.ndim - n :]
    given = (None,) * n if output_size is None else output_size
    if isinstance(given, Sequence) and len(given) == n:
        given = [m if b is None else b for m, b in zip(sizes, given)]
    if 0 in sizes:
        raise ShapeError(
            at_user_line(f"{operation} does not take an input of shape {x.shape}: it has no bins.")
        )
    return per_axis(operation, "output_size", given, n)


@functools.lru_cache(256)
def _bin_elements(size: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """For each bin the places of its elements, and which of them are in it: two (number, most).

    A shorter bin ends in repetitions of its last place.
    """
    i = np.arange(number)
    start, stop = i * size // number, -(-(i + 1) * size // number)
    places = start[:, None] + np.arange((stop - start).max())
    inside = places < stop[:, None]
    return np.minimum(places, stop[:, None] - 1).astype(np.int32), inside


def _parts(x: Array, axis: int, places: np.ndarray) -> Array:
    """The elements at `places` (n, m), which replace `axis` by two axes."""
    return x[(*(slice(None),) * axis, places)]


def global_avg_pool(x: ArrayLike, keepdims: bool = False) -> Array:
    """The mean over all spatial axes.

    Arguments: x: (N, C, *spatial); keepdims: whether the result is (N, C, 1, ...) rather than
    (N, C).

    >>> import rtfunc.numpy as rnp
    >>> global_avg_pool(rnp.array([[[1.0, 2.0, 6.0]]]))
    Array([[3.]], dtype=float32)
    """
    (x,) = promote_inexact("global_avg_pool", x)
    _bins("global_avg_pool", None, x, 1)
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    return rnp.mean(wide, axis=tuple(range(2, x.ndim)), keepdims=keepdims).astype(x.dtype)


def global_max_pool(x: ArrayLike, keepdims: bool = False) -> Array:
    """The maximum over all spatial axes; arguments as `global_avg_pool`.

    >>> import rtfunc.numpy as rnp
    >>> global_max_pool(rnp.array([[[1.0, 2.0, 6.0]]]))
    Array([[6.]], dtype=float32)
    """
    out = _adaptive_max_pool("global_max_pool", None, x, 1)
    return out if keepdims else out.reshape(out.shape[:2])


# With the number of spatial axes fixed


def _fixed(count: int, public: Callable[..., Array], general: Callable[..., Array]) -> Any:
    name = f"{public.__name__}{count}d"

    @functools.wraps(public)
    def function(*args: Any, **kwargs: Any) -> Array:
        return general(name, count, *args, **kwargs)

    axes = ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")[count - 1]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"`nn.functional.{public.__name__}` of inputs {axes}, or one example without N: PyTorch's "
        f"{name}."
    )
    return function


max_pool1d, max_pool2d, max_pool3d = (_fixed(n, max_pool, _max_pool) for n in (1, 2, 3))
max_unpool1d, max_unpool2d, max_unpool3d = (_fixed(n, max_unpool, _max_unpool) for n in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_fixed(n, avg_pool, _avg_pool) for n in (1, 2, 3))
lp_pool1d, lp_pool2d, lp_pool3d = (_fixed(n, lp_pool, _lp_pool) for n in (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (
    _fixed(n, adaptive_avg_pool, _adaptive_avg_pool) for n in (1, 2, 3)
)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (
    _fixed(n, adaptive_max_pool, _adaptive_max_pool) for n in (1, 2, 3)
)
