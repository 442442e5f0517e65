"""Convolutions as functions, over any number of spatial axes, in PyTorch's layouts.

`conv` and `conv_transpose` take the number of spatial axes from the weight; `conv1d` to `conv3d`
and `conv_transpose1d` to `conv_transpose3d` are the same with the number fixed. All are
cross-correlations, as in every library of neural networks: the window is not reversed. A
transposed convolution is what the gradient of a convolution with respect to its input is: zeros
between the input's elements, and the reversed window with its channel axes exchanged. Depends on
`ops.conv`, `functional.padding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.arguments import check_choice, check_positive, check_spatial, per_axis, per_axis_pads
from rtfunc.nn.functional.padding import pad_axes
from rtfunc.ops.conv import ConvDimensionNumbers, conv_general_dilated
from rtfunc.ops.convert import as_array, promote
from rtfunc.ops.shape import rev
from rtfunc.ops.sliding import Pads, dilated, same_pads

#: One number for all spatial axes, or one for each.
PerAxis: TypeAlias = int | Sequence[int]
#: "SAME", "VALID", or numbers or pairs (low, high).
Padding: TypeAlias = str | int | Sequence[int] | Sequence[tuple[int, int]]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def conv(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
) -> Array:
    """The convolution of x with `weight`, over as many spatial axes as the weight has.

    Arguments:
      x: (N, in, *spatial), or (in, *spatial) for a single example.
      weight: (out, in / groups, *window).
      bias: (out,).
      stride: steps of the window.
      padding: elements around x: an integer, one for each axis, a pair (low, high) for each axis,
        "VALID" for none, or "SAME" for an output of ceil(size / stride) elements.
      dilation: distance of the window's elements.
      groups: how many parts of the channels are convolved separately.
      padding_mode: what the padding is made of: "zeros", "reflect" (the elements next to the edge,
        mirrored), "replicate" (the edge) or "circular" (the other side).

    Returns (N, out, *spatial), spatial being floor((size + padding - dilation * (window - 1) - 1) /
    stride) + 1.

    Raises `ShapeError` for shapes that do not fit each other, and for a window larger than the
    padded input.

    >>> import rtfunc.numpy as rnp
    >>> conv(rnp.ones((1, 1, 4)), rnp.ones((1, 1, 3)), padding=1)
    Array([[[2., 3., 3., 2.]]], dtype=float32)
    """
    return _conv("conv", None, x, weight, bias, stride, padding, dilation, groups, padding_mode)


def _conv(
    operation: str,
    count: int | None,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    padding_mode: str,
) -> Array:
    x, weight, count = _operands(operation, count, x, weight, groups, "(out, in / groups")
    stride = per_axis(operation, "stride", stride, count)
    dilation = per_axis(operation, "dilation", dilation, count)
    check_choice(operation, "padding_mode", padding_mode, PADDING_MODES)
    out_features, in_features, *window = weight.shape
    batched = x.ndim == count + 2
    x = x if batched else rnp.expand_dims(x, 0)
    if x.shape[1] != in_features * groups:
        raise ShapeError(
            at_user_line(
                f"{operation}: the input of shape {x.shape[not batched :]} has {x.shape[1]} "
                f"channels, but the weight of shape {weight.shape}{_in_groups(groups)} takes "
                f"{in_features * groups}."
            )
        )
    if out_features % groups:
        raise ShapeError(
            at_user_line(
                f"{operation}: the {out_features} output channels of a weight of shape "
                f"{weight.shape} do not divide into {groups} groups."
            )
        )
    pads = per_axis_pads(operation, padding, x.shape[2:], window, stride, dilation)
    for i, (w, d, (low, high)) in enumerate(zip(window, dilation, pads)):
        if dilated(w, d) > x.shape[i + 2] + low + high:
            raise ShapeError(
                at_user_line(
                    f"{operation}: the window {tuple(window)}"
                    f"{f' with dilation {dilation}' if max(dilation) > 1 else ''} is larger than "
                    f"the input of shape {x.shape[not batched :]} with padding {padding!r}."
                )
            )
    if padding_mode != "zeros":
        x, pads = pad_axes(operation, x, ((0, 0), (0, 0), *pads), padding_mode), ((0, 0),) * count
    out = conv_general_dilated(x, weight, stride, pads, None, dilation, feature_group_count=groups)
    return _finished(operation, out, bias, batched)


def conv_transpose(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    output_size: PerAxis | None = None,
) -> Array:
    """The transposed convolution of x with `weight`: `conv` read backwards, from output to input.

    Arguments:
      x: (N, in, *spatial), or (in, *spatial) for a single example.
      weight: (in, out / groups, *window).
      bias: (out,).
      stride: steps of the corresponding convolution, so that the output is that much larger.
      padding: that of the corresponding convolution, cut from the output: an integer, one for each
        axis, a pair (low, high) for each axis, "VALID" for none, or "SAME" for an output of size *
        stride elements.
      output_padding: elements added at the high end of the output, as a strided convolution has
        inputs of several sizes; less than the stride or the dilation.
      groups, dilation: as for `conv` (in PyTorch's order of arguments).
      output_size: of the spatial axes, in the place of output_padding.

    Returns (N, out, *spatial), spatial being (size - 1) * stride - padding + dilation * (window -
    1) + output_padding + 1, where padding counts both ends.

    Zeiler et al. 2010, https://doi.org/10.1109/CVPR.2010.5539957.

    >>> import rtfunc.numpy as rnp
    >>> conv_transpose(rnp.ones((1, 1, 2)), rnp.ones((1, 1, 3)), stride=2)
    Array([[[1., 1., 2., 1., 1.]]], dtype=float32)
    """
    return _conv_transpose(
        "conv_transpose", None, x, weight, bias, stride, padding, output_padding, groups, dilation,
        output_size,
    )  # fmt: skip


def _conv_transpose(
    operation: str,
    count: int | None,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: PerAxis,
    padding: Padding,
    output_padding: PerAxis,
    groups: int,
    dilation: PerAxis,
    output_size: PerAxis | None,
) -> Array:
    x, weight, count = _operands(operation, count, x, weight, groups, "(in, out / groups")
    stride = per_axis(operation, "stride", stride, count)
    dilation = per_axis(operation, "dilation", dilation, count)
    extents = [dilated(w, d) for w, d in zip(weight.shape[2:], dilation)]
    extra = per_axis(operation, "output_padding", output_padding, count, least=0)
    if output_size is not None:
        pads = _transposed_pads(operation, padding, extents, stride, (0,) * count)
        least = _transposed_sizes(x.shape[-count:], stride, extents, pads)
        extra = _extra_for(operation, output_size, least, stride, x.shape)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ArgumentError(
            at_user_line(
                f"{operation}: output_padding {extra} is not smaller than the stride {stride} or "
                f"the dilation {dilation}."
            )
        )
    in_features, part, *window = weight.shape
    batched = x.ndim == count + 2
    x = x if batched else rnp.expand_dims(x, 0)
    if x.shape[1] != in_features:
        raise ShapeError(
            at_user_line(
                f"{operation}: the input of shape {x.shape[not batched :]} has {x.shape[1]} "
                f"channels, but the weight of shape {weight.shape} takes {in_features}."
            )
        )
    if in_features % groups:
        raise ShapeError(
            at_user_line(
                f"{operation}: the {in_features} input channels of a weight of shape "
                f"{weight.shape} do not divide into {groups} groups."
            )
        )
    pads = _transposed_pads(operation, padding, extents, stride, extra)
    if min(_transposed_sizes(x.shape[2:], stride, extents, pads), default=1) < 1:
        raise ShapeError(
            at_user_line(
                f"{operation}: padding {padding!r} cuts everything from the output of an input of "
                f"shape {x.shape[not batched :]} and a weight of shape {weight.shape}."
            )
        )
    window_axes = tuple(range(2, count + 2))
    order = (0, 1, *window_axes)
    kernel_order = (1, 0, *window_axes)
    kernel = rev(weight, window_axes)
    if groups > 1:
        kernel = kernel.reshape((groups, in_features // groups, part, *window))
        kernel = rnp.swapaxes(kernel, 1, 2).reshape((groups * part, in_features // groups, *window))
        kernel_order = order
    out = conv_general_dilated(
        x,
        kernel,
        (1,) * count,
        pads,
        stride,
        dilation,
        ConvDimensionNumbers(order, kernel_order, order),
        feature_group_count=groups,
    )
    return _finished(operation, out, bias, batched)


def _transposed_sizes(
    sizes: Sequence[int], stride: Sequence[int], extents: Sequence[int], pads: Pads
) -> list[int]:
    """Sizes of the output, from the input's and its padding."""
    return [
        dilated(n, s) + low + high - k + 1
        for n, s, k, (low, high) in zip(sizes, stride, extents, pads)
    ]


def _extra_for(
    operation: str,
    output_size: PerAxis,
    least: Sequence[int],
    stride: Sequence[int],
    shape: Sequence[int],
) -> tuple[int, ...]:
    """The output_padding that leads to `output_size`, where `least` are the sizes without."""
    sizes = per_axis(operation, "output_size", output_size, len(stride))
    extra = tuple(size - low for size, low in zip(sizes, least))
    if any(not 0 <= e < s for e, s in zip(extra, stride)):
        most = tuple(low + s - 1 for low, s in zip(least, stride))
        raise ShapeError(
            at_user_line(
                f"{operation}: output_size {sizes} of an input of shape {tuple(shape)} is not from "
                f"{tuple(least)} to {most}."
            )
        )
    return extra


def _transposed_pads(
    operation: str,
    padding: Padding,
    extents: Sequence[int],
    stride: Sequence[int],
    extra: Sequence[int],
) -> Pads:
    """Padding of the input with zeros between, from the padding of the forward convolution."""
    if isinstance(padding, str) and padding.upper() == "SAME":
        # The forward convolution's own "SAME" for an input of size * stride elements.
        forward = [same_pads(s, k, s) for k, s in zip(extents, stride)]
        extra = [e + max(s - k, 0) for e, k, s in zip(extra, extents, stride)]
    else:
        ones = (1,) * len(extents)
        forward = per_axis_pads(operation, padding, extents, extents, ones, ones)
    return tuple(
        (k - 1 - low, k - 1 - high + e) for k, (low, high), e in zip(extents, forward, extra)
    )


def _operands(
    operation: str, count: int | None, x: ArrayLike, weight: ArrayLike, groups: int, layout: str
) -> tuple[Array, Array, int]:
    """Input and weight of one dtype, and the number of spatial axes."""
    check_positive(operation, "groups", groups)
    x, weight = promote(operation, x, weight)
    if weight.ndim < 3 or (count is not None and weight.ndim != count + 2):
        axes = "*window" if count is None else f"{count} window axes"
        raise ShapeError(
            at_user_line(f"{operation} takes a weight {layout}, {axes}), not {weight.shape}.")
        )
    count = weight.ndim - 2
    check_spatial(operation, x.shape, count)
    return x, weight, count


def _finished(operation: str, out: Array, bias: ArrayLike | None, batched: bool) -> Array:
    if bias is not None:
        bias = as_array(operation, bias)
        if bias.shape != (out.shape[1],):
            raise ShapeError(
                at_user_line(
                    f"{operation}: the bias of {out.shape[1]} output channels has the shape "
                    f"({out.shape[1]},), not {bias.shape}."
                )
            )
        out = out + bias.reshape((-1,) + (1,) * (out.ndim - 2))
    return out if batched else rnp.squeeze(out, 0)


def _in_groups(groups: int) -> str:
    return f" in {groups} groups" if groups > 1 else ""


def _fixed_conv(count: int) -> Callable[..., Array]:
    name = f"conv{count}d"

    def function(
        x: ArrayLike,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
    ) -> Array:
        return _conv(name, count, x, weight, bias, stride, padding, dilation, groups, padding_mode)

    return _named(function, name, "conv", count)


def _fixed_conv_transpose(count: int) -> Callable[..., Array]:
    name = f"conv_transpose{count}d"

    def function(
        x: ArrayLike,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        dilation: PerAxis = 1,
        *,
        output_size: PerAxis | None = None,
    ) -> Array:
        return _conv_transpose(
            name, count, x, weight, bias, stride, padding, output_padding, groups, dilation,
            output_size,
        )  # fmt: skip

    return _named(function, name, "conv_transpose", count)


def _named(function: Any, name: str, general: str, count: int) -> Any:
    axes = ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")[count - 1]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"`nn.functional.{general}` of inputs {axes}, or one example without N: PyTorch's {name}."
    )
    return function


conv1d, conv2d, conv3d = map(_fixed_conv, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_fixed_conv_transpose, (1, 2, 3))
