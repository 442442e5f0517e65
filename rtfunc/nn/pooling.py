"""Pooling layers: max, avg, lp, adaptive, fractional pooling, unpooling, over any number of spatial axes.

One layer serves PyTorch's `MaxPool1d`, `MaxPool2d` and `MaxPool3d`: one number as kernel_size is for
every axis after (N, C). To one element: the functions `global_avg_pool` and `global_max_pool`.
Depends on `functional`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.nn import functional
from rtfunc.nn.functional.convolution import Padding, PerAxis
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    from_function,
    of_one_input,
    single_input,
)


def max_pool(
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Layer:
    """The maximum of each window: PyTorch's `MaxPool1d`, `MaxPool2d` and `MaxPool3d`.

    Input and output (N, C, *spatial); with `return_indices` two outputs, for `max_unpool`.

    Arguments: kernel_size, stride (the window's size by default), dilation: one number, or one for
    each spatial axis; padding: also a pair (low, high) for each, "SAME" or "VALID"; ceil_mode:
    whether a last window that is not full counts.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.max_pool(2).apply({}, {}, rnp.array([[[1.0, 3.0, 2.0, 5.0]]]))[0]
    Array([[[3., 5.]]], dtype=float32)
    """
    return of_one_input(
        _name("max_pool", kernel_size, stride),
        lambda x: functional.max_pool(
            x, kernel_size, stride, padding, dilation, ceil_mode, return_indices
        ),
    )


def max_unpool(
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    output_size: Sequence[int] | None = None,
) -> Layer:
    """Maxima put back where `max_pool` found them, zeros elsewhere: PyTorch's `MaxUnpool1d` to `3d`.

    Inputs: maxima and indices, (N, C, *spatial) both. Arguments: those given to `max_pool`;
    output_size: spatial sizes of the result, by default the smallest that the windows fit in.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> there_and_back = nn.sequential(nn.max_pool(2, return_indices=True), nn.max_unpool(2))
    >>> there_and_back.apply({}, {}, rnp.array([[[1.0, 3.0, 2.0, 5.0]]]))[0]
    Array([[[0., 3., 0., 5.]]], dtype=float32)
    """
    return from_function(
        lambda x, indices: functional.max_unpool(
            x, indices, kernel_size, stride, padding, output_size
        ),
        _name("max_unpool", kernel_size, stride),
    )


def avg_pool(
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Layer:
    """The mean of each window: PyTorch's `AvgPool1d`, `AvgPool2d` and `AvgPool3d`.

    Input and output (N, C, *spatial).

    Arguments: as for `max_pool`; count_include_pad: whether zeros of the padding count in the mean;
    divisor_override: a number to divide by instead of the number of elements.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.avg_pool(2).apply({}, {}, rnp.array([[[1.0, 3.0, 2.0, 5.0]]]))[0]
    Array([[[2. , 3.5]]], dtype=float32)
    """
    return of_one_input(
        _name("avg_pool", kernel_size, stride),
        lambda x: functional.avg_pool(
            x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        ),
    )


def lp_pool(
    norm_type: float,
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    ceil_mode: bool = False,
) -> Layer:
    """(sum of x**p over each window)**(1/p), p being `norm_type`: PyTorch's `LPPool1d` to `LPPool3d`.

    Input and output (N, C, *spatial). Arguments: as for `max_pool`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.lp_pool(2, 2).apply({}, {}, rnp.array([[[3.0, 4.0]]]))[0]
    Array([[[5.]]], dtype=float32)
    """
    return of_one_input(
        _name("lp_pool", kernel_size, stride),
        lambda x: functional.lp_pool(x, norm_type, kernel_size, stride, ceil_mode),
    )


def adaptive_avg_pool(output_size: Any) -> Layer:
    """The mean of each of `output_size` bins: PyTorch's `AdaptiveAvgPool1d` to `AdaptiveAvgPool3d`.

    Input (N, C, *spatial), output (N, C, *output_size).

    Arguments: output_size: one number for every spatial axis, or one for each, None for the
    input's.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.adaptive_avg_pool(1).apply({}, {}, rnp.ones((5, 3, 8, 6)))[0].shape
    (5, 3, 1, 1)
    """
    return of_one_input(
        f"adaptive_avg_pool({output_size})",
        lambda x: functional.adaptive_avg_pool(x, output_size),
    )


def adaptive_max_pool(output_size: Any) -> Layer:
    """The maximum of each of `output_size` bins: `AdaptiveMaxPool1d` to `AdaptiveMaxPool3d`.

    Input, output and argument: as for `adaptive_avg_pool`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.adaptive_max_pool((None, 2)).apply({}, {}, rnp.ones((5, 3, 8, 6)))[0].shape
    (5, 3, 8, 2)
    """
    return of_one_input(
        f"adaptive_max_pool({output_size})",
        lambda x: functional.adaptive_max_pool(x, output_size),
    )


def fractional_max_pool(
    kernel_size: PerAxis, *, output_size: PerAxis | None = None, output_ratio: Any = None
) -> Layer:
    """Maxima of windows at random, fractional distances: `FractionalMaxPool2d`, `FractionalMaxPool3d`.

    Input (N, C, *spatial), output (N, C, *output_size), or `output_ratio` times the input's sizes.
    `apply` needs a key in training. Without one in evaluation the windows lie evenly, where PyTorch's
    are random all the same.

    Graham 2014, https://arxiv.org/abs/1412.6071.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.fractional_max_pool(2, output_ratio=0.7)
    >>> layer.apply({}, {}, rnp.ones((5, 3, 20, 10)), key=random.key(0), train=True)[0].shape
    (5, 3, 14, 7)
    """
    name = _name("fractional_max_pool", kernel_size, None)

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        return {}, {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = single_input(name, inputs)
        if train and key is None:
            raise ArgumentError(
                at_user_line(
                    f"{name} draws random numbers in training: pass a key, as in "
                    "model.apply(params, state, x, key=key, train=True)."
                )
            )
        even = None if key is not None else rnp.full((*x.shape[:2], max(x.ndim - 2, 0)), 0.5)
        out = functional.fractional_max_pool(
            x, kernel_size, output_size, output_ratio, random_key=key, samples=even
        )
        return out, state

    return Layer(init, apply, name)


def _name(layer: str, kernel_size: PerAxis, stride: PerAxis | None) -> str:
    def shown(value: PerAxis) -> Any:
        return tuple(value) if isinstance(value, Sequence) else value

    steps = "" if stride is None else f", stride={shown(stride)}"
    return f"{layer}({shown(kernel_size)}{steps})"
