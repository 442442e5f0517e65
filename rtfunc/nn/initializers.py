"""Initial values of parameters: functions `(key, shape, dtype=float32) -> Array`.

Shapes are PyTorch's: a weight is (out, in, *window), so its fan-in is in * prod(window). The
defaults of the layers are PyTorch's too, `kaiming_uniform(sqrt(5))` for weights and the same bound
for biases. Depends on `rtfunc.random`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line

Initializer: TypeAlias = Callable[..., Array]

#: Standard deviation of a normal distribution truncated at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


def fans(shape: Sequence[int], in_axis: int = 1, out_axis: int = 0) -> tuple[int, int]:
    """Numbers of inputs to and outputs of one unit of a weight: `(fan_in, fan_out)`.

    >>> fans((16, 3, 5, 5))
    (75, 400)
    """
    if len(shape) < 2:
        raise ShapeError(
            at_user_line(
                f"The fan-in of a parameter of shape {tuple(shape)} is not defined: it takes two "
                "axes or more, (out, in, *window)."
            )
        )
    receptive = math.prod(shape) // max(shape[in_axis] * shape[out_axis], 1)
    return shape[in_axis] * receptive, shape[out_axis] * receptive


def zeros(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
    """All zeros.

    >>> zeros(None, (2,))
    Array([0., 0.], dtype=float32)
    """
    return rnp.zeros(shape, dtype)


def ones(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
    """All ones.

    >>> ones(None, (2,))
    Array([1., 1.], dtype=float32)
    """
    return rnp.ones(shape, dtype)


def constant(value: float) -> Initializer:
    """All `value`.

    >>> constant(0.5)(None, (2,))
    Array([0.5, 0.5], dtype=float32)
    """
    return lambda key, shape, dtype=dtypes.float32: rnp.full(shape, value, dtype)


def uniform(low: float = 0.0, high: float = 1.0) -> Initializer:
    """Uniform over the interval from `low` to `high`.

    >>> from rtfunc import random
    >>> uniform(-0.1, 0.1)(random.key(0), (3, 2)).shape
    (3, 2)
    """
    return lambda key, shape, dtype=dtypes.float32: random.uniform(
        key, tuple(shape), dtype, low, high
    )


def normal(stddev: float = 1.0, mean: float = 0.0) -> Initializer:
    """Normal with the given standard deviation and mean.

    >>> from rtfunc import random
    >>> normal(0.02)(random.key(0), (3, 2)).shape
    (3, 2)
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
        return random.normal(key, tuple(shape), dtype) * stddev + mean

    return init


def truncated_normal(
    stddev: float = 1.0, mean: float = 0.0, low: float = -2.0, high: float = 2.0
) -> Initializer:
    """Normal with the given standard deviation before truncation to the values `low` to `high`.

    As `torch.nn.init.trunc_normal_`: the bounds are values, not multiples of `stddev`.

    >>> from rtfunc import random
    >>> bool(abs(truncated_normal(0.02, low=-0.04, high=0.04)(random.key(0), (9,))).max() <= 0.04)
    True
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
        standard = random.truncated_normal(
            key, (low - mean) / stddev, (high - mean) / stddev, tuple(shape), dtype
        )
        return standard * stddev + mean

    return init


def variance_scaling(
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    in_axis: int = 1,
    out_axis: int = 0,
) -> Initializer:
    """Mean 0 and variance `scale / n`, where n is a fan of the shape.

    Arguments: mode: n is "fan_in", "fan_out" or their mean "fan_avg"; distribution: "uniform",
    "normal" or "truncated_normal" (at two standard deviations); in_axis, out_axis: axes of the
    weight that count inputs and outputs, PyTorch's by default; the others are the window.

    >>> from rtfunc import random
    >>> w = variance_scaling(2.0, "fan_in", "normal")(random.key(0), (100, 400))
    >>> round(float(w.std()), 3)
    0.071
    """
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise ArgumentError(
            at_user_line(f"variance_scaling: mode is fan_in, fan_out or fan_avg, not {mode!r}.")
        )
    if distribution not in ("uniform", "normal", "truncated_normal"):
        raise ArgumentError(
            at_user_line(
                "variance_scaling: distribution is uniform, normal or truncated_normal, "
                f"not {distribution!r}."
            )
        )

    def init(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
        fan_in, fan_out = fans(shape, in_axis, out_axis)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        stddev = math.sqrt(scale / max(n, 1))
        if distribution == "uniform":
            bound = math.sqrt(3) * stddev
            return uniform(-bound, bound)(key, shape, dtype)
        if distribution == "normal":
            return normal(stddev)(key, shape, dtype)
        stddev /= _TRUNCATED_STDDEV
        return truncated_normal(stddev, 0.0, -2 * stddev, 2 * stddev)(key, shape, dtype)

    return init


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """The factor by which a weight makes up for the nonlinearity after it, as PyTorch's.

    Arguments: slope: the negative slope, for "leaky_relu".

    >>> round(gain("relu"), 4)
    1.4142
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    if nonlinearity not in gains:
        raise ArgumentError(
            at_user_line(f"gain is known for {', '.join(sorted(gains))}, not for {nonlinearity!r}.")
        )
    return gains[nonlinearity]


def kaiming_uniform(
    slope: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Initializer:
    """Uniform with variance gain**2 / fan (He et al. 2015, https://arxiv.org/abs/1502.01852).

    Arguments: slope: negative slope of the leaky ReLU that follows.

    >>> from rtfunc import random
    >>> w = kaiming_uniform(5**0.5)(random.key(0), (10, 100))  # PyTorch's default for its layers
    >>> bool(abs(w).max() <= 0.1)
    True
    """
    return variance_scaling(gain(nonlinearity, slope) ** 2, mode, "uniform")


def kaiming_normal(
    slope: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Initializer:
    """Normal with variance gain**2 / fan; see `kaiming_uniform`."""
    return variance_scaling(gain(nonlinearity, slope) ** 2, mode, "normal")


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform with variance 2 gain**2 / (fan_in + fan_out).

    Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html.

    >>> from rtfunc import random
    >>> bool(abs(xavier_uniform()(random.key(0), (300, 300))).max() <= 0.1)
    True
    """
    return variance_scaling(gain**2, "fan_avg", "uniform")


def xavier_normal(gain: float = 1.0) -> Initializer:
    """Normal with variance 2 gain**2 / (fan_in + fan_out); see `xavier_uniform`."""
    return variance_scaling(gain**2, "fan_avg", "normal")


def lecun_uniform() -> Initializer:
    """Uniform with variance 1 / fan_in (LeCun et al. 1998, "Efficient BackProp")."""
    return variance_scaling(1.0, "fan_in", "uniform")


def lecun_normal() -> Initializer:
    """Truncated normal with variance 1 / fan_in; see `lecun_uniform`."""
    return variance_scaling(1.0, "fan_in", "truncated_normal")


def orthogonal(gain: float = 1.0) -> Initializer:
    """A matrix with orthonormal rows, or columns where there are fewer of those, times `gain`.

    The weight counts as a matrix of its first axis by all others. Saxe et al. 2013,
    https://arxiv.org/abs/1312.6120.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import random
    >>> w = orthogonal()(random.key(0), (2, 3))
    >>> bool(abs(w @ w.T - rnp.eye(2)).max() < 1e-6)
    True
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
        if len(shape) < 2:
            raise ShapeError(
                at_user_line(f"orthogonal takes a shape with two axes or more, not {tuple(shape)}.")
            )
        from rtfunc.numpy.linalg import qr

        rows, columns = shape[0], math.prod(shape[1:])
        long, short = max(rows, columns), min(rows, columns)
        q, r = qr(random.normal(key, (long, short), dtype))
        # With a positive diagonal of r the distribution is uniform.
        q = q * rnp.where(rnp.diagonal(r) < 0, -1, 1).astype(q.dtype)
        return (q.T if rows < columns else q).reshape(tuple(shape)) * gain

    return init


def dirac(groups: int = 1) -> Initializer:
    """A convolution that returns its input: 1 in the middle of the window where channels agree.

    Arguments: groups: how many groups of output channels each return the input channels, as in
    `torch.nn.init.dirac_`. Shapes are (out, in, *window).

    >>> dirac()(None, (1, 1, 3))
    Array([[[0., 1., 0.]]], dtype=float32)
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
        if not 3 <= len(shape) <= 5 or shape[0] % groups:
            raise ShapeError(
                at_user_line(
                    f"dirac takes a shape (out, in, *window) with 1 to 3 window axes and out a "
                    f"multiple of {groups} groups, not {tuple(shape)}."
                )
            )
        per_group = shape[0] // groups
        place = np.zeros(tuple(shape))
        middle = tuple(n // 2 for n in shape[2:])
        for channel in range(min(per_group, shape[1])):
            place[(slice(channel, None, per_group), channel, *middle)] = 1
        return rnp.asarray(place, dtype)

    return init


def sparse(sparsity: float, stddev: float = 0.01) -> Initializer:
    """A normal matrix (out, in) of which a share `sparsity` of each column is 0.

    Martens 2010, "Deep learning via Hessian-free optimization".

    >>> from rtfunc import random
    >>> w = sparse(0.75)(random.key(0), (8, 3))
    >>> (w == 0).sum(axis=0).tolist()
    [6, 6, 6]
    """
    if not 0 <= sparsity <= 1:
        raise ArgumentError(
            at_user_line(f"sparse: sparsity is a share from 0 to 1, but got {sparsity}.")
        )

    def init(key: Any, shape: Sequence[int], dtype: Any = dtypes.float32) -> Array:
        if len(shape) != 2:
            raise ShapeError(at_user_line(f"sparse takes a shape (out, in), not {tuple(shape)}."))
        value_key, place_key = random.split(key)
        values = random.normal(value_key, tuple(shape), dtype) * stddev
        ranks = rnp.argsort(rnp.argsort(random.uniform(place_key, tuple(shape)), axis=0), axis=0)
        return rnp.where(ranks < math.ceil(sparsity * shape[0]), 0.0, values).astype(values.dtype)

    return init


he_uniform, he_normal = kaiming_uniform, kaiming_normal
glorot_uniform, glorot_normal = xavier_uniform, xavier_normal

#: PyTorch's default for the weights of its linear and convolutional layers.
default_weight = kaiming_uniform(math.sqrt(5))


def default_bias(fan_in: int) -> Initializer:
    """PyTorch's default for a bias: uniform within 1 / sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return uniform(-bound, bound)
