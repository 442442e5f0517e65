"""Normalization layers: layer, RMS, group, instance and batch norm.

Parameters and running statistics have PyTorch's names, so the statistics of `batch_norm` are its
state: apply with `train=True` returns the new ones. Depends on `functional`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn import functional
from rtfunc.nn.functional.normalization import trailing_axes
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    input_specs,
    of_one_input,
    parameter,
    parameter_dtype,
    single_input,
)
from rtfunc.ops.convert import as_array, convert
from rtfunc.ops.shape import normalize_axis
from rtfunc.transforms.custom import stop_gradient


def _affine(shape: Sequence[int], dtype: Any, weight: bool, bias: bool) -> dict[str, Any]:
    """The factor, at first 1, and the summand, at first 0, of a normalization."""
    params = {}
    if weight:
        params["weight"] = rnp.ones(tuple(shape), dtype)
    if bias:
        params["bias"] = rnp.zeros(tuple(shape), dtype)
    return params


def _stateless(
    name: str,
    make: Callable[[Any], Params],
    function: Callable[..., Any],
    names: Sequence[str],
) -> Layer:
    """A layer that applies `function(x, *parameters)`; `make(spec)` gives the parameters."""

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        (x,) = input_specs(name, specs)
        return make(x), {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = single_input(name, inputs)
        return function(as_array(name, x), *(parameter(name, params, n) for n in names)), state

    return Layer(init, apply, name)


def _sizes(name: str, normalized_shape: int | Sequence[int] | None, x: Any) -> tuple[int, ...]:
    """The sizes of the last axes that a layer normalizes over; of the last one by default."""
    if normalized_shape is None:
        sizes = tuple(x.shape[-1:])
    elif isinstance(normalized_shape, int):
        sizes = (normalized_shape,)
    else:
        sizes = tuple(normalized_shape)
    trailing_axes(name, x, sizes)
    return sizes


def layer_norm(
    normalized_shape: int | Sequence[int] | None = None,
    *,
    epsilon: float = 1e-5,
    affine: bool = True,
    bias: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Mean 0 and variance 1 over the last axes of each example: PyTorch's `LayerNorm`.

    Input and output (..., *normalized_shape). Parameters (with `affine`): "weight" and, with
    `bias`, "bias", of the normalized shape.

    Arguments: normalized_shape: sizes of the last axes; by default the size of the last one.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.layer_norm(epsilon=0.0)
    >>> params, state = layer.init(random.key(0), (1, 2))
    >>> layer.apply(params, state, rnp.array([[1.0, 3.0]]))[0]
    Array([[-1.,  1.]], dtype=float32)
    """
    names = [n for n, there in (("weight", affine), ("bias", affine and bias)) if there]

    def make(x: Any) -> Params:
        sizes = _sizes("layer_norm", normalized_shape, x)
        return _affine(sizes, parameter_dtype(x, dtype), affine, affine and bias)

    def function(x: Any, weight: Any = None, b: Any = None) -> Any:
        sizes = _sizes("layer_norm", normalized_shape, x)
        return functional.layer_norm(x, sizes, weight, b, epsilon)

    return _stateless("layer_norm", make, function, names)


def rms_norm(
    normalized_shape: int | Sequence[int] | None = None,
    *,
    epsilon: float | None = None,
    affine: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Mean square 1 over the last axes of each example: PyTorch's `RMSNorm`.

    Input and output (..., *normalized_shape). Parameter (with `affine`): "weight".

    Arguments: normalized_shape: sizes of the last axes; by default the size of the last one;
    epsilon: by default the machine epsilon.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.rms_norm(epsilon=0.0)
    >>> params, state = layer.init(random.key(0), (1, 2))
    >>> layer.apply(params, state, rnp.array([[3.0, -3.0]]))[0]
    Array([[ 1., -1.]], dtype=float32)
    """

    def make(x: Any) -> Params:
        sizes = _sizes("rms_norm", normalized_shape, x)
        return _affine(sizes, parameter_dtype(x, dtype), affine, False)

    def function(x: Any, weight: Any = None) -> Any:
        sizes = _sizes("rms_norm", normalized_shape, x)
        return functional.rms_norm(x, sizes, weight, epsilon)

    return _stateless("rms_norm", make, function, ["weight"] if affine else [])


def _channels(name: str, x: Any, axis: int = 1) -> int:
    if x.ndim < 2:
        raise ShapeError(at_user_line(f"{name} takes an input (N, C, ...), not {x.shape}."))
    return x.shape[normalize_axis(name, axis, x.ndim)]


def group_norm(
    num_groups: int,
    *,
    epsilon: float = 1e-5,
    affine: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Mean 0 and variance 1 over each group of channels of each example: PyTorch's `GroupNorm`.

    Input and output (N, C, ...). Parameters (with `affine`): "weight" (C,), "bias" (C,).

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.group_norm(2, epsilon=0.0)
    >>> params, state = layer.init(random.key(0), (1, 4))
    >>> layer.apply(params, state, rnp.array([[1.0, 3.0, 5.0, 9.0]]))[0]
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    name = f"group_norm({num_groups})"

    def make(x: Any) -> Params:
        channels = _channels(name, x)
        if num_groups < 1 or channels % num_groups:
            raise ShapeError(
                at_user_line(f"{name}: {channels} channels do not divide into {num_groups} groups.")
            )
        return _affine((channels,), parameter_dtype(x, dtype), affine, affine)

    def function(x: Any, weight: Any = None, bias: Any = None) -> Any:
        return functional.group_norm(x, num_groups, weight, bias, epsilon)

    return _stateless(name, make, function, ["weight", "bias"] if affine else [])


def instance_norm(
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.1,
    affine: bool = False,
    track_running_stats: bool = False,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Mean 0 and variance 1 over each channel of each example: PyTorch's `InstanceNorm1d` to `3d`.

    Input and output (N, C, ...). Parameters (with `affine`): "weight" (C,), "bias" (C,). State
    (with `track_running_stats`): "running_mean" (C,), "running_var" (C,), "num_batches_tracked" (),
    which PyTorch does not count here.

    Arguments: track_running_stats: whether training keeps averages over examples of mean and
    variance, which evaluation then uses; momentum: how far they move, as for `batch_norm`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.instance_norm(epsilon=0.0).apply({}, {}, rnp.array([[[1.0, 3.0]]]))[0]
    Array([[[-1.,  1.]]], dtype=float32)
    """
    _check_momentum("instance_norm", momentum)

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        (x,) = input_specs("instance_norm", specs)
        channels, kind = _channels("instance_norm", x), parameter_dtype(x, dtype)
        params = _affine((channels,), kind, affine, affine)
        return params, _running(channels, kind) if track_running_stats else {}

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = as_array("instance_norm", single_input("instance_norm", inputs))
        weight, bias = (parameter("instance_norm", params, n) if affine else None for n in _AFFINE)
        if not track_running_stats:
            return functional.instance_norm(x, weight, bias, epsilon), state
        mean, variance = (parameter("instance_norm", state, n) for n in _RUNNING)
        if not train:
            return functional.batch_norm(x, mean, variance, weight, bias, epsilon), state
        out = functional.instance_norm(x, weight, bias, epsilon)
        count = math.prod(x.shape[2:])
        if count < 2:
            raise ShapeError(
                at_user_line(
                    f"instance_norm in training takes more than one value per channel of an "
                    f"example, but the input of shape {x.shape} has {count}."
                )
            )
        wide = x.astype(dtypes.compute_dtype(x.dtype))
        axes = tuple(range(2, x.ndim))
        new = [
            rnp.mean(rnp.mean(wide, axis=axes), axis=0),
            rnp.mean(rnp.var(wide, axis=axes, ddof=1), axis=0),
        ]
        return out, {**state, **_moved((mean, variance), stop_gradient(new), momentum)}

    return Layer(init, apply, "instance_norm")


def batch_norm(
    *,
    epsilon: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    axis: int = 1,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Mean 0 and variance 1 of each channel: PyTorch's `BatchNorm1d`, `BatchNorm2d`, `BatchNorm3d`.

    Input and output (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W). Parameters (with `affine`):
    "weight" (C,), "bias" (C,). State (with `track_running_stats`): "running_mean" (C,),
    "running_var" (C,), "num_batches_tracked" ().

    In training the batch's own statistics are used, and the running ones move toward them (the
    variance being the unbiased one there); in evaluation the running ones are used.

    Arguments: momentum: how far the running statistics move, `(1 - momentum) * old + momentum *
    new`; None for the plain average of all batches; axis: where the channels are.

    Raises `ShapeError` in training when there is only one value per channel.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.batch_norm(epsilon=0.0)
    >>> params, state = layer.init(random.key(0), (1, 1))
    >>> out, state = layer.apply(params, state, rnp.array([[1.0], [3.0]]), train=True)
    >>> out.tolist(), state["running_mean"]
    ([[-1.0], [1.0]], Array([0.2], dtype=float32))
    """

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        (x,) = input_specs("batch_norm", specs)
        channels, kind = _channels("batch_norm", x, axis), parameter_dtype(x, dtype)
        params = _affine((channels,), kind, affine, affine)
        if not track_running_stats:
            return params, {}
        return params, _running(channels, kind)

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = as_array("batch_norm", single_input("batch_norm", inputs))
        channels = _channels("batch_norm", x, axis)
        weight, bias = (parameter("batch_norm", params, n) if affine else None for n in _AFFINE)
        for what, value in (("weight", weight), ("running_mean", state.get("running_mean"))):
            if value is not None and value.shape != (channels,):
                raise ShapeError(
                    at_user_line(
                        f"batch_norm: the input of shape {x.shape} has {channels} channels on axis "
                        f"{axis}, but {what} has shape {value.shape}."
                    )
                )
        if not train and track_running_stats:
            mean, variance = (parameter("batch_norm", state, n) for n in _RUNNING)
            out = functional.batch_norm(x, mean, variance, weight, bias, epsilon, axis)
            return out, state
        count = math.prod(x.shape) // max(channels, 1)
        if train and count < 2:
            raise ShapeError(
                at_user_line(
                    f"batch_norm in training takes more than one value per channel, but the input "
                    f"of shape {x.shape} has {count}. Use a larger batch, or train=False."
                )
            )
        mean, variance = functional.batch_statistics(x, axis)
        out = functional.batch_norm(x, mean, variance, weight, bias, epsilon, axis)
        if not (train and track_running_stats):
            return out, state
        return out, _tracked(state, mean, variance, count)

    def _tracked(state: State, mean: Any, variance: Any, count: int) -> State:
        """The running statistics after one more batch of `count` values per channel."""
        old = [parameter("batch_norm", state, n) for n in _RUNNING]
        batches = parameter("batch_norm", state, "num_batches_tracked") + 1
        new = stop_gradient([mean, variance * (count / (count - 1))])
        share = momentum if momentum is not None else 1 / batches.astype(mean.dtype)
        return {**_moved(old, new, share), "num_batches_tracked": batches}

    if momentum is not None:
        _check_momentum("batch_norm", momentum)
    return Layer(init, apply, "batch_norm")


def _check_momentum(layer: str, momentum: float) -> None:
    if not 0 <= momentum <= 1:
        none = " or None" if layer == "batch_norm" else ""
        raise ArgumentError(
            at_user_line(f"{layer}: momentum is from 0 to 1{none}, but got {momentum}.")
        )


def _running(channels: int, dtype: Any) -> State:
    """Running statistics before the first batch."""
    return {
        "running_mean": rnp.zeros((channels,), dtype),
        "running_var": rnp.ones((channels,), dtype),
        "num_batches_tracked": rnp.zeros((), dtypes.int32),
    }


def _moved(old: Sequence[Any], new: Sequence[Any], share: Any) -> dict[str, Any]:
    """Running mean and variance, moved toward new ones by `share` of the way."""
    moved = [convert(a * (1 - share) + b * share, a.dtype) for a, b in zip(old, new)]
    return dict(zip(_RUNNING, moved))


def local_response_norm(
    size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Layer:
    """x / (k + alpha * mean of x**2 over `size` channels around each)**beta: `LocalResponseNorm`.

    Input and output (N, C, ...).

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.local_response_norm(1, alpha=1.0, beta=1.0).apply({}, {}, rnp.ones((1, 1, 1)))[0]
    Array([[[0.5]]], dtype=float32)
    """
    return of_one_input(
        f"local_response_norm({size})",
        lambda x: functional.local_response_norm(x, size, alpha, beta, k),
    )


_AFFINE = ("weight", "bias")
_RUNNING = ("running_mean", "running_var")
