"""Fractional max pooling: maxima of windows whose distances are random and need not be whole.

The windows' places along an axis follow one random number for each example and channel, as in
PyTorch. Depends on `functional.pooling`.
"""

from __future__ import annotations

from typing import Any

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.arguments import per_axis, spatial_rank
from rtfunc.nn.functional.convolution import PerAxis
from rtfunc.nn.functional.pooling import first_maxima
from rtfunc.ops.convert import as_array


def fractional_max_pool(
    x: ArrayLike,
    kernel_size: PerAxis,
    output_size: PerAxis | None = None,
    output_ratio: Any = None,
    *,
    random_key: Any = None,
    samples: ArrayLike | None = None,
) -> Array:
    """The maximum of each of `output_size` windows: PyTorch's `fractional_max_pool2d` and `3d`.

    Window i of an axis begins at int((i + u) a) - int(u a), a = (size - kernel) / (output - 1), for
    a random number u from 0 to 1, and the last one at the end.

    Arguments:
      x: (N, C, *spatial).
      kernel_size: size of a window, one number for all spatial axes or one for each.
      output_size: of the spatial axes; or output_ratio: what part of the input's sizes it is.
      random_key: for the random numbers; or samples: the numbers, (N, C, spatial axes), for the axes
        in PyTorch's order (the last axis first if there are two).

    Raises `ShapeError` where so many windows do not fit, and `ArgumentError` unless exactly one of
    output_size and output_ratio, and of random_key and samples, is given.

    Graham 2014, https://arxiv.org/abs/1412.6071.

    >>> import rtfunc.numpy as rnp
    >>> x = rnp.arange(25.0).reshape(1, 1, 5, 5)
    >>> fractional_max_pool(x, 2, 3, samples=rnp.full((1, 1, 2), 0.5))[0, 0]
    Array([[ 6.,  8.,  9.],
           [16., 18., 19.],
           [21., 23., 24.]], dtype=float32)
    """
    x, name = as_array("fractional_max_pool", x), "fractional_max_pool"
    if (output_size is None) == (output_ratio is None):
        raise ArgumentError(
            at_user_line(f"{name} takes an output_size or an output_ratio, and not both.")
        )
    if (random_key is None) == (samples is None):
        raise ArgumentError(
            at_user_line(f"{name} draws random numbers: pass random_key=, or samples= themselves.")
        )
    count = spatial_rank(name, kernel_size, x.ndim)
    if x.ndim != count + 2 or count < 1:
        raise ShapeError(at_user_line(f"{name} takes an input (N, C, *spatial), not {x.shape}."))
    kernel = per_axis(name, "kernel_size", kernel_size, count)
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else [output_ratio] * count
        output_size = [int(n * ratio) for n, ratio in zip(x.shape[2:], ratios, strict=True)]
    sizes = per_axis(name, "output_size", output_size, count)
    if any(out + k - 1 > n for n, out, k in zip(x.shape[2:], sizes, kernel)):
        raise ShapeError(
            at_user_line(
                f"{name}: {sizes} windows of size {kernel} do not fit in an input of shape {x.shape}."
            )
        )
    kind = dtypes.compute_dtype(dtypes.to_inexact(x.dtype))
    if samples is None:
        u = random.uniform(random_key, (*x.shape[:2], count), kind)
    else:
        u = as_array(name, samples).astype(kind)
    if u.shape != (*x.shape[:2], count):
        raise ShapeError(
            at_user_line(
                f"{name}: samples for an input of shape {x.shape} have the shape "
                f"{(*x.shape[:2], count)}, not {u.shape}."
            )
        )
    # From the last axis to the first, the first maximum of each is the first in memory's order.
    for axis in reversed(range(count)):
        number = u[..., 1 - axis if count == 2 else axis]
        starts = _starts(number, x.shape[axis + 2], sizes[axis], kernel[axis])
        x = _maxima_from(x, starts, axis + 2, kernel[axis])
    return x


def _starts(u: Array, size: int, out: int, kernel: int) -> Array:
    """Where the windows begin (..., out)."""
    last = rnp.full((*u.shape, 1), size - kernel, dtypes.int32)
    if out == 1:
        return last
    # Rounded as PyTorch does, whose quotient has the input's precision.
    step = rnp.asarray(size - kernel, dtype=u.dtype) / (out - 1)
    u = u[..., None]
    places = rnp.trunc((rnp.arange(out - 1, dtype=u.dtype) + u) * step) - rnp.trunc(u * step)
    return rnp.concatenate([places.astype(dtypes.int32), last], axis=-1)


def _maxima_from(x: Array, starts: Array, axis: int, kernel: int) -> Array:
    out = starts.shape[-1]
    places = (starts[..., None] + rnp.arange(kernel, dtype=starts.dtype)).reshape(
        (*starts.shape[:2], *(1,) * (axis - 2), out * kernel, *(1,) * (x.ndim - axis - 1))
    )
    windows = rnp.take_along_axis(x, places, axis=axis)
    shape = (*x.shape[:axis], out, kernel, *x.shape[axis + 1 :])
    return first_maxima(windows.reshape(shape), axis + 1)
