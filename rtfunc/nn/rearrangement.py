"""Layers that move elements: pixel and channel shuffles, unfold and fold, unflatten.

Depends on `functional`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtfunc.nn import functional
from rtfunc.nn.functional.convolution import Padding, PerAxis
from rtfunc.nn.layer import Layer, of_one_input


def pixel_shuffle(upscale_factor: int) -> Layer:
    """(..., C r², H, W) to (..., C, H r, W r), r being the factor: PyTorch's `PixelShuffle`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.pixel_shuffle(2).apply({}, {}, rnp.ones((1, 8, 3, 3)))[0].shape
    (1, 2, 6, 6)
    """
    return of_one_input(
        f"pixel_shuffle({upscale_factor})", lambda x: functional.pixel_shuffle(x, upscale_factor)
    )


def pixel_unshuffle(downscale_factor: int) -> Layer:
    """(..., C, H r, W r) to (..., C r², H, W), r being the factor: PyTorch's `PixelUnshuffle`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.pixel_unshuffle(2).apply({}, {}, rnp.ones((1, 2, 6, 6)))[0].shape
    (1, 8, 3, 3)
    """
    return of_one_input(
        f"pixel_unshuffle({downscale_factor})",
        lambda x: functional.pixel_unshuffle(x, downscale_factor),
    )


def channel_shuffle(groups: int) -> Layer:
    """Channels in `groups` groups, one of each group after the other: PyTorch's `ChannelShuffle`.

    Input and output (N, C, ...).

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.channel_shuffle(2).apply({}, {}, rnp.arange(4.0).reshape(1, 4, 1))[0].reshape(-1)
    Array([0., 2., 1., 3.], dtype=float32)
    """
    return of_one_input(
        f"channel_shuffle({groups})", lambda x: functional.channel_shuffle(x, groups)
    )


def unflatten(axis: int, sizes: Sequence[int]) -> Layer:
    """`axis` split into axes of the given sizes, one of which may be -1: PyTorch's `Unflatten`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.unflatten(1, (3, 4)).apply({}, {}, rnp.ones((5, 12)))[0].shape
    (5, 3, 4)
    """
    sizes = tuple(sizes)
    return of_one_input(
        f"unflatten({axis}, {sizes})", lambda x: functional.unflatten(x, axis, sizes)
    )


def unfold(
    kernel_size: PerAxis,
    *,
    dilation: PerAxis = 1,
    padding: Padding = 0,
    stride: PerAxis = 1,
) -> Layer:
    """The windows of the input as columns: PyTorch's `Unfold`, for any number of spatial axes.

    Input (N, C, *spatial), output (N, C * prod(kernel_size), L), L being the number of windows.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.unfold(3, padding=1).apply({}, {}, rnp.ones((5, 2, 4, 4)))[0].shape
    (5, 18, 16)
    """
    return of_one_input(
        f"unfold({kernel_size})",
        lambda x: functional.unfold(x, kernel_size, dilation, padding, stride),
    )


def fold(
    output_size: PerAxis,
    kernel_size: PerAxis,
    *,
    dilation: PerAxis = 1,
    padding: Padding = 0,
    stride: PerAxis = 1,
) -> Layer:
    """Columns put back where `unfold` took them, overlaps added: PyTorch's `Fold`.

    Input (N, C * prod(kernel_size), L), output (N, C, *output_size); one number as output_size is
    for two axes.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.fold(4, 3, padding=1).apply({}, {}, rnp.ones((5, 18, 16)))[0].shape
    (5, 2, 4, 4)
    """
    return of_one_input(
        f"fold({output_size}, {kernel_size})",
        lambda x: functional.fold(x, output_size, kernel_size, dilation, padding, stride),
    )
