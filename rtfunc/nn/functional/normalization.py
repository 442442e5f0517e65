"""Normalizations as functions: layer, RMS, group, instance, batch norm. Depends on `activations`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.nn.activations import standardize
from rtfunc.nn.arguments import check_positive
from rtfunc.ops.convert import as_array, promote_inexact
from rtfunc.ops.window import reduce_window_sum


def layer_norm(
    x: ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    epsilon: float = 1e-5,
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias over the last axes.

    Arguments: normalized_shape: sizes of the last axes, over which mean and (biased) variance are
    taken; weight, bias: of that shape.

    Ba et al. 2016, https://arxiv.org/abs/1607.06450.

    >>> import rtfunc.numpy as rnp
    >>> layer_norm(rnp.array([[1.0, 3.0]]), 2, epsilon=0.0)
    Array([[-1.,  1.]], dtype=float32)
    """
    (x,) = promote_inexact("layer_norm", x)
    axes = trailing_axes("layer_norm", x, normalized_shape)
    _check_affine("layer_norm", x, axes, weight=weight, bias=bias)
    out = _standardized(x, axes, epsilon)
    return scaled(out, weight, bias).astype(x.dtype)


def rms_norm(
    x: ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: ArrayLike | None = None,
    epsilon: float | None = None,
) -> Array:
    """x / sqrt(mean(x**2) + epsilon) * weight over the last axes.

    Arguments: normalized_shape: sizes of the last axes; epsilon: by default the dtype's machine
    epsilon, as in PyTorch.

    Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467.

    >>> import rtfunc.numpy as rnp
    >>> rms_norm(rnp.array([[3.0, -3.0]]), 2, epsilon=0.0)
    Array([[ 1., -1.]], dtype=float32)
    """
    (x,) = promote_inexact("rms_norm", x)
    axes = trailing_axes("rms_norm", x, normalized_shape)
    _check_affine("rms_norm", x, axes, weight=weight)
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    epsilon = float(dtypes.finfo(wide.dtype).eps) if epsilon is None else epsilon
    power = rnp.mean(rnp.square(wide), axis=axes, keepdims=True)
    return scaled(wide / rnp.sqrt(power + epsilon), weight, None).astype(x.dtype)


def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    epsilon: float = 1e-5,
) -> Array:
    """Each group of channels of each example with mean 0 and variance 1, times weight plus bias.

    Arguments: x: (N, C, ...); num_groups: divides C; weight, bias: (C,).

    Wu and He 2018, https://arxiv.org/abs/1803.08494.

    >>> import rtfunc.numpy as rnp
    >>> group_norm(rnp.array([[1.0, 3.0, 5.0, 9.0]]), 2, epsilon=0.0)
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    (x,) = promote_inexact("group_norm", x)
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(
            at_user_line(
                f"group_norm: an input of shape {x.shape} does not have channels on axis 1 that "
                f"divide into {num_groups} groups."
            )
        )
    grouped = x.reshape((x.shape[0], num_groups, -1))
    out = _standardized(grouped, (2,), epsilon).reshape(x.shape)
    along = (1, x.shape[1]) + (1,) * (x.ndim - 2)
    return scaled(out, _reshaped(weight, along), _reshaped(bias, along)).astype(x.dtype)


def instance_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    epsilon: float = 1e-5,
) -> Array:
    """Each channel of each example with mean 0 and variance 1, times weight plus bias.

    Arguments: x: (N, C, ...); weight, bias: (C,).

    Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022.

    >>> import rtfunc.numpy as rnp
    >>> instance_norm(rnp.array([[[1.0, 3.0], [5.0, 9.0]]]), epsilon=0.0)
    Array([[[-1.,  1.],
            [-1.,  1.]]], dtype=float32)
    """
    x = as_array("instance_norm", x)
    if x.ndim < 3:
        raise ShapeError(
            at_user_line(f"instance_norm takes an input (N, C, ...), not of shape {x.shape}.")
        )
    return group_norm(x, x.shape[1], weight, bias, epsilon)


def batch_norm(
    x: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    epsilon: float = 1e-5,
    axis: int = 1,
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, with one of each for every channel.

    Arguments: x: channels on `axis`; mean, variance, weight, bias: (C,). The statistics are those
    of the batch (`batch_statistics`) in training and running averages in evaluation.

    Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167.

    >>> import rtfunc.numpy as rnp
    >>> batch_norm(rnp.array([[1.0], [3.0]]), rnp.array([2.0]), rnp.array([4.0]), epsilon=0.0)
    Array([[-0.5],
           [ 0.5]], dtype=float32)
    """
    (x,) = promote_inexact("batch_norm", x)
    along = tuple(n if i == axis % x.ndim else 1 for i, n in enumerate(x.shape))
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    # The factors are gathered per channel first, so that the array is passed over once.
    factor = 1 / rnp.sqrt(rnp.asarray(variance) + epsilon)
    if weight is not None:
        factor = factor * weight
    out = (wide - _reshaped(mean, along)) * _reshaped(factor, along)
    return scaled(out, None, _reshaped(bias, along)).astype(x.dtype)


def batch_statistics(x: ArrayLike, axis: int = 1) -> tuple[Array, Array]:
    """Mean and biased variance of every channel, over all other axes: two arrays (C,).

    >>> import rtfunc.numpy as rnp
    >>> batch_statistics(rnp.array([[1.0], [3.0]]))
    (Array([2.], dtype=float32), Array([1.], dtype=float32))
    """
    (x,) = promote_inexact("batch_statistics", x)
    axes = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    mean = rnp.mean(wide, axis=axes, keepdims=True)
    variance = rnp.mean(rnp.square(wide - mean), axis=axes)
    return mean.reshape((-1,)), variance


def local_response_norm(
    x: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """x / (k + alpha * mean of x**2 over `size` channels around each)**beta.

    Arguments: x: (N, C, ...). Channels that are missing at the ends count as zeros, as in PyTorch.

    Krizhevsky et al. 2012, https://doi.org/10.1145/3065386.

    >>> import rtfunc.numpy as rnp
    >>> local_response_norm(rnp.array([[[1.0], [2.0]]]), 2, alpha=2.0, beta=1.0)
    Array([[[0.5       ],
            [0.33333334]]], dtype=float32)
    """
    (x,) = promote_inexact("local_response_norm", x)
    check_positive("local_response_norm", "size", size)
    if x.ndim < 3:
        raise ShapeError(
            at_user_line(f"local_response_norm takes an input (N, C, ...), not of shape {x.shape}.")
        )
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    one, none = (1,) * (x.ndim - 2), ((0, 0),) * (x.ndim - 2)
    around = ((0, 0), (size // 2, (size - 1) // 2), *none)
    sums = reduce_window_sum(rnp.square(wide), (1, size, *one), None, around)
    return (wide / (sums * (alpha / size) + k) ** beta).astype(x.dtype)


# What they share


def trailing_axes(
    operation: str, x: Array, normalized_shape: int | Sequence[int]
) -> tuple[int, ...]:
    """The last axes of `x`, whose sizes must be `normalized_shape`."""
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not sizes or x.shape[-len(sizes) :] != sizes:
        raise ShapeError(
            at_user_line(
                f"{operation}: the input has shape {x.shape}, which does not end in the "
                f"normalized shape {sizes}."
            )
        )
    return tuple(range(x.ndim - len(sizes), x.ndim))


def _check_affine(operation: str, x: Array, axes: tuple[int, ...], **given: Any) -> None:
    """Raise `ShapeError` unless weight and bias have the shape of the normalized axes."""
    sizes = tuple(x.shape[axis] for axis in axes)
    for name, value in given.items():
        if value is not None and tuple(value.shape) != sizes:
            raise ShapeError(
                at_user_line(
                    f"{operation}: the input of shape {x.shape} is normalized over {sizes}, but the "
                    f"{name} has shape {tuple(value.shape)}."
                )
            )


def _standardized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """As `standardize`, with 16-bit floats left in float32 for the weight to come."""
    return standardize(x.astype(dtypes.compute_dtype(x.dtype)), axes, epsilon)


def scaled(x: Array, weight: ArrayLike | None, bias: ArrayLike | None) -> Array:
    """x * weight + bias, without what is None."""
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def _reshaped(x: ArrayLike | None, shape: tuple[int, ...]) -> Any:
    return None if x is None else rnp.reshape(x, shape)
