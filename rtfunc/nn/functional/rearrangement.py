"""Rearrangements: elements moved between channels and space, and windows taken apart.

Nothing is computed, `fold` excepted, which adds what overlaps. Depends on `ops.pad_slice`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.nn.arguments import (
    check_positive,
    check_spatial,
    per_axis,
    per_axis_pads,
    spatial_rank,
)
from rtfunc.nn.functional.convolution import Padding, PerAxis
from rtfunc.ops.convert import as_array, scalar
from rtfunc.ops.pad_slice import pad as pad_with
from rtfunc.ops.pad_slice import slice_
from rtfunc.ops.shape import normalize_axis
from rtfunc.ops.sliding import dilated, window_count


def pixel_shuffle(x: ArrayLike, upscale_factor: int) -> Array:
    """(..., C r², H, W) to (..., C, H r, W r): channels become pixels, r being the factor.

    Shi et al. 2016, https://arxiv.org/abs/1609.05158.

    Raises `ShapeError` unless r² divides the channels.

    >>> import rtfunc.numpy as rnp
    >>> pixel_shuffle(rnp.arange(4.0).reshape(4, 1, 1), 2)
    Array([[[0., 1.],
            [2., 3.]]], dtype=float32)
    """
    x, r = _image("pixel_shuffle", x), upscale_factor
    check_positive("pixel_shuffle", "upscale_factor", r)
    *lead, channels, height, width = x.shape
    if channels % (r * r):
        raise ShapeError(
            at_user_line(
                f"pixel_shuffle by {r} takes channels in multiples of {r * r}, but the input of "
                f"shape {x.shape} has {channels}."
            )
        )
    out = channels // (r * r)
    n = len(lead)
    split = x.reshape((*lead, out, r, r, height, width))
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return split.transpose(order).reshape((*lead, out, height * r, width * r))


def pixel_unshuffle(x: ArrayLike, downscale_factor: int) -> Array:
    """(..., C, H r, W r) to (..., C r², H, W): the inverse of `pixel_shuffle`.

    >>> import rtfunc.numpy as rnp
    >>> pixel_unshuffle(rnp.arange(4.0).reshape(1, 2, 2), 2).shape
    (4, 1, 1)
    """
    x, r = _image("pixel_unshuffle", x), downscale_factor
    check_positive("pixel_unshuffle", "downscale_factor", r)
    *lead, channels, height, width = x.shape
    if height % r or width % r:
        raise ShapeError(
            at_user_line(
                f"pixel_unshuffle by {r} takes heights and widths in multiples of it, not an input "
                f"of shape {x.shape}."
            )
        )
    n = len(lead)
    split = x.reshape((*lead, channels, height // r, r, width // r, r))
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return split.transpose(order).reshape((*lead, channels * r * r, height // r, width // r))


def _image(operation: str, x: ArrayLike) -> Array:
    x = as_array(operation, x)
    if x.ndim < 3:
        raise ShapeError(
            at_user_line(f"{operation} takes an input (..., C, H, W), not one of shape {x.shape}.")
        )
    return x


def channel_shuffle(x: ArrayLike, groups: int) -> Array:
    """Channels that stand in `groups` groups, one of each group after the other.

    Arguments: x: (N, C, ...), groups dividing C.

    Zhang et al. 2017, https://arxiv.org/abs/1707.01083.

    >>> import rtfunc.numpy as rnp
    >>> channel_shuffle(rnp.arange(4.0).reshape(1, 4, 1), 2).reshape(-1)
    Array([0., 2., 1., 3.], dtype=float32)
    """
    x = as_array("channel_shuffle", x)
    check_positive("channel_shuffle", "groups", groups)
    if x.ndim < 3 or x.shape[1] % groups:
        raise ShapeError(
            at_user_line(
                f"channel_shuffle: an input of shape {x.shape} is not (N, C, ...) with channels "
                f"that divide into {groups} groups."
            )
        )
    split = x.reshape((x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    return rnp.swapaxes(split, 1, 2).reshape(x.shape)


def unflatten(x: ArrayLike, axis: int, sizes: Sequence[int]) -> Array:
    """x with `axis` split into axes of the given sizes, one of which may be -1: `Unflatten`.

    >>> import rtfunc.numpy as rnp
    >>> unflatten(rnp.zeros((5, 12)), 1, (3, -1)).shape
    (5, 3, 4)
    """
    x = as_array("unflatten", x)
    axis = normalize_axis("unflatten", axis, x.ndim)
    known = math.prod(n for n in sizes if n != -1)
    unknown = sum(n == -1 for n in sizes)
    size = x.shape[axis]
    if unknown > 1 or (size % max(known, 1) if unknown else size != known):
        raise ShapeError(
            at_user_line(
                f"unflatten: axis {axis} of an input of shape {x.shape} does not split into "
                f"{tuple(sizes)}."
            )
        )
    filled = tuple(size // max(known, 1) if n == -1 else n for n in sizes)
    return x.reshape((*x.shape[:axis], *filled, *x.shape[axis + 1 :]))


def unfold(
    x: ArrayLike,
    kernel_size: PerAxis,
    dilation: PerAxis = 1,
    padding: Padding = 0,
    stride: PerAxis = 1,
) -> Array:
    """The windows of x as columns ("im2col"): PyTorch's `Unfold`, for any number of spatial axes.

    Arguments: x: (N, C, *spatial), or (C, *spatial) where kernel_size tells the number of axes; the
    others as for `conv`, the padding being zeros.

    Returns (N, C * prod(kernel_size), L), L being the number of windows.

    >>> import rtfunc.numpy as rnp
    >>> unfold(rnp.arange(3.0).reshape(1, 1, 3), 2)
    Array([[[0., 1.],
            [1., 2.]]], dtype=float32)
    """
    x = as_array("unfold", x)
    count = spatial_rank("unfold", kernel_size, x.ndim)
    check_spatial("unfold", x.shape, count)
    windows = _Windows("unfold", x.shape[x.ndim - count :], kernel_size, dilation, padding, stride)
    batched = x.ndim == count + 2
    x = x if batched else rnp.expand_dims(x, 0)
    padded = pad_with(
        x, scalar(0, x.dtype), [(0, 0, 0)] * 2 + [(low, high, 0) for low, high in windows.pads]
    )
    parts = []
    for places in windows.places():
        stop = [p + (m - 1) * s + 1 for p, m, s in zip(places, windows.counts, windows.stride)]
        parts.append(
            slice_(padded, (0, 0, *places), (*x.shape[:2], *stop), (1, 1, *windows.stride))
        )
    out = rnp.stack(parts, axis=2)
    out = out.reshape((x.shape[0], x.shape[1] * len(parts), math.prod(windows.counts)))
    return out if batched else rnp.squeeze(out, 0)


def fold(
    x: ArrayLike,
    output_size: PerAxis,
    kernel_size: PerAxis,
    dilation: PerAxis = 1,
    padding: Padding = 0,
    stride: PerAxis = 1,
) -> Array:
    """Columns put back where `unfold` took them, overlaps added: PyTorch's `Fold`.

    Arguments: x: (N, C * prod(kernel_size), L), or without N; output_size: spatial sizes of the
    result, one number being for two axes; the others as given to `unfold`.

    Returns (N, C, *output_size).

    Raises `ShapeError` unless the shape of x is that of windows of the result.

    >>> import rtfunc.numpy as rnp
    >>> fold(rnp.ones((1, 2, 2)), (3,), 2)
    Array([[[1., 2., 1.]]], dtype=float32)
    """
    x = as_array("fold", x)
    count = len(output_size) if isinstance(output_size, Sequence) else 2
    sizes = per_axis("fold", "output_size", output_size, count)
    windows = _Windows("fold", sizes, kernel_size, dilation, padding, stride)
    number, columns = math.prod(windows.window), math.prod(windows.counts)
    if x.ndim not in (2, 3) or x.shape[-2] % number or x.shape[-1] != columns:
        raise ShapeError(
            at_user_line(
                f"fold to {sizes} with a window {windows.window} takes an input (N, C * {number}, "
                f"{columns}), not one of shape {x.shape}."
            )
        )
    lead = (*x.shape[:-2], x.shape[-2] // number)
    n = len(lead)
    split = x.reshape((*lead, number, *windows.counts))
    total: Any = None
    for tap, places in enumerate(windows.places()):
        part = split[(*(slice(None),) * n, tap)]
        config = [(0, 0, 0)] * n + [
            (p - low, size - (p - low) - dilated(m, s), s - 1)
            for p, m, s, (low, _), size in zip(
                places, windows.counts, windows.stride, windows.pads, sizes
            )
        ]
        spread = pad_with(part, scalar(0, x.dtype), config)
        total = spread if total is None else total + spread
    return total


class _Windows:
    """Where windows lie over spatial axes of the given sizes."""

    def __init__(
        self,
        operation: str,
        sizes: Sequence[int],
        kernel_size: PerAxis,
        dilation: PerAxis,
        padding: Padding,
        stride: PerAxis,
    ) -> None:
        count = len(sizes)
        self.window = per_axis(operation, "kernel_size", kernel_size, count)
        self.dilation = per_axis(operation, "dilation", dilation, count)
        self.stride = per_axis(operation, "stride", stride, count)
        self.pads = per_axis_pads(
            operation, padding, sizes, self.window, self.stride, self.dilation
        )
        self.counts = tuple(
            window_count(n + low + high, dilated(w, d), s)
            for n, (low, high), w, d, s in zip(
                sizes, self.pads, self.window, self.dilation, self.stride
            )
        )
        if 0 in self.counts:
            raise ShapeError(
                at_user_line(
                    f"{operation}: the window {self.window} with dilation {self.dilation} is "
                    f"larger than the spatial sizes {tuple(sizes)} with padding {padding!r}."
                )
            )

    def places(self) -> list[tuple[int, ...]]:
        """For each element of the window, where it lies in the first window."""
        steps = [range(0, w * d, d) for w, d in zip(self.window, self.dilation)]
        return list(itertools.product(*steps))
