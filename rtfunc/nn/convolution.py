"""Convolution layers: conv and conv_transpose, over any number of spatial axes.

One layer serves PyTorch's `Conv1d`, `Conv2d` and `Conv3d`: the number of spatial axes comes from
`kernel_size`, or, where that is one number, from the input's spec. Depends on `functional`,
`initializers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.nn import functional, initializers
from rtfunc.nn.arguments import (
    check_choice,
    check_positive,
    check_spatial,
    per_axis,
    spatial_rank,
)
from rtfunc.nn.functional.convolution import PADDING_MODES, Padding, PerAxis
from rtfunc.nn.initializers import Initializer
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    input_specs,
    parameter,
    parameter_dtype,
    single_input,
    split_keys,
)


def conv(
    features: int,
    kernel_size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    weight_init: Initializer = initializers.default_weight,
    bias_init: Initializer | None = None,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Convolution to `features` channels: PyTorch's `Conv1d`, `Conv2d` and `Conv3d`.

    Input (N, in, *spatial), output (N, features, *spatial). Parameters: "weight" (features, in /
    groups, *kernel_size), "bias" (features,).

    Arguments:
      kernel_size: size of the window, one number for every spatial axis or one for each.
      stride, dilation: one number, or one for each spatial axis.
      padding: one number, one for each spatial axis, a pair (low, high) for each, "SAME" or
        "VALID".
      groups: how many parts of the channels are convolved separately; as many as there are channels
        for a depthwise convolution.
      padding_mode: "zeros", "reflect", "replicate" or "circular".
      weight_init, bias_init: PyTorch's defaults unless given; dtype: of the parameters, by default
        that of the input.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.conv(8, 3, padding="SAME")
    >>> params, state = layer.init(random.key(0), (1, 3, 32, 32))
    >>> params["weight"].shape
    (8, 3, 3, 3)
    >>> layer.apply(params, state, rnp.ones((5, 3, 32, 32)))[0].shape
    (5, 8, 32, 32)
    """
    check_positive("conv", "features", features)
    check_choice("conv", "padding_mode", padding_mode, PADDING_MODES)
    name = _name("conv", features, kernel_size, stride, groups)

    def shape(channels: int) -> tuple[int, ...]:
        _check_groups(name, groups, channels, "input")
        _check_groups(name, groups, features, "output")
        return (features, channels // groups)

    def function(x: Any, weight: Any, b: Any) -> Any:
        return functional.conv(
            x, weight, b, stride, padding, dilation, groups, padding_mode=padding_mode
        )

    return _layer(name, kernel_size, features, shape, function, bias, weight_init, bias_init, dtype)


def conv_transpose(
    features: int,
    kernel_size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    bias: bool = True,
    weight_init: Initializer = initializers.default_weight,
    bias_init: Initializer | None = None,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Transposed convolution: PyTorch's `ConvTranspose1d`, `ConvTranspose2d`, `ConvTranspose3d`.

    Input (N, in, *spatial), output (N, features, *spatial). Parameters: "weight" (in, features /
    groups, *kernel_size), "bias" (features,).

    Arguments: as for `conv`; padding: what is cut from the output, "SAME" for an output of size *
    stride elements; output_padding: elements added at its high end. `apply` takes output_size=, the
    spatial sizes of the output, in the place of output_padding, as PyTorch's modules do.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.conv_transpose(8, 4, stride=2, padding=1)
    >>> params, state = layer.init(random.key(0), (1, 3, 16, 16))
    >>> params["weight"].shape
    (3, 8, 4, 4)
    >>> layer.apply(params, state, rnp.ones((5, 3, 16, 16)))[0].shape
    (5, 8, 32, 32)
    """
    check_positive("conv_transpose", "features", features)
    name = _name("conv_transpose", features, kernel_size, stride, groups)

    def shape(channels: int) -> tuple[int, ...]:
        _check_groups(name, groups, channels, "input")
        _check_groups(name, groups, features, "output")
        return (channels, features // groups)

    def function(x: Any, weight: Any, b: Any, output_size: PerAxis | None = None) -> Any:
        return functional.conv_transpose(
            x, weight, b, stride, padding, output_padding, groups, dilation,
            output_size=output_size,
        )  # fmt: skip

    return _layer(name, kernel_size, features, shape, function, bias, weight_init, bias_init, dtype)


def _layer(
    name: str,
    kernel_size: PerAxis,
    features: int,
    shape: Callable[[int], tuple[int, ...]],
    function: Callable[..., Any],
    bias: bool,
    weight_init: Initializer,
    bias_init: Initializer | None,
    dtype: DtypeLike | None,
) -> Layer:
    """The layer of `function(x, weight, bias)`, which may take keywords of `apply` as well; `shape`
    gives the weight's first two sizes.
    """

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        (x,) = input_specs(name, specs)
        count = spatial_rank(name, kernel_size, x.ndim)
        window = per_axis(name, "kernel_size", kernel_size, count)
        check_spatial(name, x.shape, count)
        kind, weight_shape = parameter_dtype(x, dtype), (*shape(x.shape[-count - 1]), *window)
        weight_key, bias_key = split_keys(key, 2)
        params = {"weight": weight_init(weight_key, weight_shape, kind)}
        if bias:
            fan_in, _ = initializers.fans(weight_shape)
            initializer = bias_init or initializers.default_bias(fan_in)
            params["bias"] = initializer(bias_key, (features,), kind)
        return params, {}

    def apply(
        params: Params,
        state: State,
        *inputs: Any,
        key: Any = None,
        train: bool = False,
        **options: Any,
    ) -> tuple[Any, State]:
        x = single_input(name, inputs)
        weight = parameter(name, params, "weight")
        b = parameter(name, params, "bias") if bias else None
        return function(x, weight, b, **options), state

    return Layer(init, apply, name)


def _check_groups(name: str, groups: int, channels: int, which: str) -> None:
    check_positive(name, "groups", groups)
    if channels % groups:
        raise ShapeError(
            at_user_line(
                f"{name}: the {channels} {which} channels do not divide into {groups} groups."
            )
        )


def _name(layer: str, features: int, kernel_size: PerAxis, stride: PerAxis, groups: int) -> str:
    window = tuple(kernel_size) if isinstance(kernel_size, Sequence) else kernel_size
    settings = [str(features), str(window)]
    if stride != 1:
        settings.append(f"stride={tuple(stride) if isinstance(stride, Sequence) else stride}")
    if groups != 1:
        settings.append(f"groups={groups}")
    return f"{layer}({', '.join(settings)})"
