"""Activation functions, elementwise and along an axis, with PyTorch's definitions and derivatives.

Plain functions of arrays; `nn.sequential` and the other combinators take them as layers. One with
other settings is `functools.partial(nn.leaky_relu, negative_slope=0.2)`. At a kink the derivative
is the one that PyTorch gives (0 for relu at 0), and no branch that is not taken can bring a NaN
into a derivative. Depends on `rtfunc.numpy`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.ops.comparison import ge, gt, le
from rtfunc.ops.convert import as_array, promote_inexact, scalar
from rtfunc.ops.exponential import logaddexp, logistic
from rtfunc.ops.select import select
from rtfunc.ops.shape import normalize_axis
from rtfunc.ops.special import erfc
from rtfunc.transforms.custom import stop_gradient

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _float(operation: str, x: ArrayLike) -> Array:
    return promote_inexact(operation, x)[0]


# Rectifiers: comparisons are written so that NaN passes through.


def relu(x: ArrayLike) -> Array:
    """max(x, 0); derivative 0 at 0.

    >>> import rtfunc.numpy as rnp
    >>> relu(rnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    x = as_array("relu", x)
    zero = scalar(0, x.dtype, True)
    return select(le(x, zero), zero, x)


def relu6(x: ArrayLike) -> Array:
    """min(max(x, 0), 6).

    >>> import rtfunc.numpy as rnp
    >>> relu6(rnp.array([-1.0, 2.0, 8.0]))
    Array([0., 2., 6.], dtype=float32)
    """
    return hard_tanh(x, 0.0, 6.0)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Array:
    """x where x > 0, else negative_slope * x.

    >>> import rtfunc.numpy as rnp
    >>> leaky_relu(rnp.array([-1.0, 2.0]), 0.5)
    Array([-0.5,  2. ], dtype=float32)
    """
    x = _float("leaky_relu", x)
    return select(gt(x, scalar(0, x.dtype)), x, x * negative_slope)


def prelu(x: ArrayLike, weight: ArrayLike) -> Array:
    """x where x > 0, else weight * x, the weight being learned.

    Arguments: x: channels on axis 1; weight: one number, or (C,).

    He et al. 2015, https://arxiv.org/abs/1502.01852.

    >>> import rtfunc.numpy as rnp
    >>> prelu(rnp.array([[-1.0, -1.0]]), rnp.array([0.5, 0.25]))
    Array([[-0.5 , -0.25]], dtype=float32)
    """
    x, weight = promote_inexact("prelu", x, weight)
    if weight.size != 1:
        if x.ndim < 2 or weight.shape != (x.shape[1],):
            raise ShapeError(
                at_user_line(
                    f"prelu: a weight of shape {weight.shape} does not go with channels on axis 1 "
                    f"of an input of shape {x.shape}. It is one number or one for each channel."
                )
            )
        weight = weight.reshape((-1,) + (1,) * (x.ndim - 2))
    elif weight.ndim:
        weight = weight.reshape(())
    return select(gt(x, scalar(0, x.dtype)), x, x * weight)


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha * (exp(x) - 1).

    Clevert et al. 2015, https://arxiv.org/abs/1511.07289.

    >>> import rtfunc.numpy as rnp
    >>> elu(rnp.array([-1.0, 2.0]))
    Array([-0.63212055,  2.        ], dtype=float32)
    """
    return _exponential_unit("elu", x, alpha, 1.0, 1.0)


def celu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha * (exp(x / alpha) - 1); its derivative is continuous.

    Barron 2017, https://arxiv.org/abs/1704.07483.

    >>> import rtfunc.numpy as rnp
    >>> celu(rnp.array([-1.0, 2.0]))
    Array([-0.63212055,  2.        ], dtype=float32)
    """
    return _exponential_unit("celu", x, alpha, 1.0, 1.0 / alpha)


def selu(x: ArrayLike) -> Array:
    """The scaled elu that keeps mean 0 and variance 1 from layer to layer.

    Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.

    >>> import rtfunc.numpy as rnp
    >>> selu(rnp.array([-1.0, 1.0]))
    Array([-1.1113307,  1.050701 ], dtype=float32)
    """
    return _exponential_unit("selu", x, _SELU_ALPHA * _SELU_SCALE, _SELU_SCALE, 1.0)


def _exponential_unit(
    operation: str, x: ArrayLike, below: float, above: float, rate: float
) -> Array:
    x = _float(operation, x)
    zero = scalar(0, x.dtype)
    negative = le(x, zero)
    # The exponential of a large positive x, though not chosen, would give 0 * inf in the
    # derivative.
    decay = below * rnp.expm1(select(negative, x, zero) * rate)
    return select(negative, decay, x if above == 1.0 else x * above)


# Smooth units


def gelu(x: ArrayLike, approximate: str = "none") -> Array:
    """x times the probability that a standard normal variable is below x.

    Arguments: approximate: "none" for the exact function, "tanh" for the approximation by tanh.

    Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415.

    >>> import rtfunc.numpy as rnp
    >>> gelu(rnp.array([-1.0, 1.0]))
    Array([-0.15865526,  0.8413447 ], dtype=float32)
    """
    x = _float("gelu", x)
    if approximate == "none":
        return x * 0.5 * erfc(x * -math.sqrt(0.5))
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return x * 0.5 * (rnp.tanh(inner) + 1.0)
    raise ArgumentError(
        at_user_line(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}.")
    )


def silu(x: ArrayLike) -> Array:
    """x * sigmoid(x), also called swish.

    >>> import rtfunc.numpy as rnp
    >>> silu(rnp.array([-100.0, 0.0, 100.0]))
    Array([ -0.,   0., 100.], dtype=float32)
    """
    x = _float("silu", x)
    return x * logistic(x)


swish = silu


def mish(x: ArrayLike) -> Array:
    """x * tanh(softplus(x)).

    Misra 2019, https://arxiv.org/abs/1908.08681.

    >>> import rtfunc.numpy as rnp
    >>> mish(rnp.array([-1.0, 1.0]))
    Array([-0.30340147,  0.8650984 ], dtype=float32)
    """
    x = _float("mish", x)
    return x * rnp.tanh(logaddexp(x, scalar(0, x.dtype)))


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x)).

    >>> sigmoid(0.0)
    Array(0.5, dtype=float32, weak_type=True)
    """
    return logistic(x)


def log_sigmoid(x: ArrayLike) -> Array:
    """log(sigmoid(x)), accurate for every x.

    >>> import rtfunc.numpy as rnp
    >>> log_sigmoid(rnp.array([-100.0, -200.0]))
    Array([-100., -200.], dtype=float32)
    """
    x = _float("log_sigmoid", x)
    return -logaddexp(-x, scalar(0, x.dtype))


def softplus(x: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold.

    >>> import rtfunc.numpy as rnp
    >>> softplus(rnp.array([0.0, 30.0]))
    Array([ 0.6931472, 30.       ], dtype=float32)
    """
    x = _float("softplus", x)
    y = x if beta == 1.0 else x * beta
    soft = logaddexp(y, scalar(0, x.dtype))
    return select(gt(y, scalar(threshold, x.dtype)), x, soft if beta == 1.0 else soft / beta)


def softsign(x: ArrayLike) -> Array:
    """x / (1 + |x|).

    >>> import rtfunc.numpy as rnp
    >>> softsign(rnp.array([-1.0, 3.0]))
    Array([-0.5 ,  0.75], dtype=float32)
    """
    x = _float("softsign", x)
    return x / (rnp.abs(x) + 1.0)


def tanh(x: ArrayLike) -> Array:
    """Hyperbolic tangent.

    >>> tanh(0.0)
    Array(0., dtype=float32, weak_type=True)
    """
    return rnp.tanh(x)


# Piecewise linear stand-ins for smooth units


def hard_tanh(x: ArrayLike, low: float = -1.0, high: float = 1.0) -> Array:
    """x limited to the interval from `low` to `high`; derivative 0 at the bounds.

    >>> import rtfunc.numpy as rnp
    >>> hard_tanh(rnp.array([-3.0, 0.5]))
    Array([-1. ,  0.5], dtype=float32)
    """
    x = _float("hard_tanh", x)
    bottom, top = scalar(low, x.dtype), scalar(high, x.dtype)
    return select(le(x, bottom), bottom, select(ge(x, top), top, x))


def hard_sigmoid(x: ArrayLike) -> Array:
    """x / 6 + 1/2, limited to the interval from 0 to 1.

    >>> import rtfunc.numpy as rnp
    >>> hard_sigmoid(rnp.array([-4.0, 0.0, 4.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return hard_tanh(_float("hard_sigmoid", x) + 3.0, 0.0, 6.0) / 6.0


def hard_swish(x: ArrayLike) -> Array:
    """x * hard_sigmoid(x).

    Howard et al. 2019, https://arxiv.org/abs/1905.02244.

    >>> import rtfunc.numpy as rnp
    >>> hard_swish(rnp.array([-4.0, 1.0, 4.0]))
    Array([0.       , 0.6666667, 4.       ], dtype=float32)
    """
    x = _float("hard_swish", x)
    low, high = scalar(-3, x.dtype), scalar(3, x.dtype)
    middle = x * (x + 3.0) / 6.0
    return select(le(x, low), scalar(0, x.dtype), select(ge(x, high), x, middle))


# Thresholds: what is small becomes a constant.


def threshold(x: ArrayLike, threshold: float, value: float) -> Array:
    """x where x > threshold, else `value`.

    >>> import rtfunc.numpy as rnp
    >>> threshold(rnp.array([0.5, 2.0]), 1.0, -1.0)
    Array([-1.,  2.], dtype=float32)
    """
    x = _float("threshold", x)
    return select(le(x, scalar(threshold, x.dtype)), scalar(value, x.dtype), x)


def hardshrink(x: ArrayLike, lambd: float = 0.5) -> Array:
    """x where |x| > lambd, else 0.

    >>> import rtfunc.numpy as rnp
    >>> hardshrink(rnp.array([-1.0, 0.25, 1.0]))
    Array([-1.,  0.,  1.], dtype=float32)
    """
    x = _float("hardshrink", x)
    return select(le(rnp.abs(x), scalar(lambd, x.dtype)), scalar(0, x.dtype), x)


def softshrink(x: ArrayLike, lambd: float = 0.5) -> Array:
    """x moved toward 0 by lambd, and 0 where |x| is less.

    >>> import rtfunc.numpy as rnp
    >>> softshrink(rnp.array([-1.0, 0.25, 1.0]))
    Array([-0.5,  0. ,  0.5], dtype=float32)
    """
    x = _float("softshrink", x)
    low, high = scalar(-lambd, x.dtype), scalar(lambd, x.dtype)
    return select(le(x, high), select(ge(x, low), scalar(0, x.dtype), x + lambd), x - lambd)


def tanhshrink(x: ArrayLike) -> Array:
    """x - tanh(x).

    >>> tanhshrink(0.0)
    Array(0., dtype=float32, weak_type=True)
    """
    x = _float("tanhshrink", x)
    return x - rnp.tanh(x)


# Gates: half of an axis opens and closes the other.


def glu(x: ArrayLike, axis: int = -1) -> Array:
    """a * sigmoid(b), where a and b are the halves of x along `axis`.

    Dauphin et al. 2016, https://arxiv.org/abs/1612.08083.

    >>> import rtfunc.numpy as rnp
    >>> glu(rnp.array([3.0, 0.0]))
    Array([1.5], dtype=float32)
    """
    a, b = _halves("glu", x, axis)
    return a * logistic(b)


def swiglu(x: ArrayLike, axis: int = -1) -> Array:
    """silu(a) * b, where a and b are the halves of x along `axis`.

    Shazeer 2020, https://arxiv.org/abs/2002.05202.

    >>> import rtfunc.numpy as rnp
    >>> swiglu(rnp.array([1.0, 2.0]))
    Array([1.4621172], dtype=float32)
    """
    a, b = _halves("swiglu", x, axis)
    return silu(a) * b


def geglu(x: ArrayLike, axis: int = -1) -> Array:
    """gelu(a) * b, where a and b are the halves of x along `axis`.

    Shazeer 2020, https://arxiv.org/abs/2002.05202.

    >>> import rtfunc.numpy as rnp
    >>> geglu(rnp.array([1.0, 2.0]))
    Array([1.6826894], dtype=float32)
    """
    a, b = _halves("geglu", x, axis)
    return gelu(a) * b


def _halves(operation: str, x: ArrayLike, axis: int) -> tuple[Array, Array]:
    x = _float(operation, x)
    axis = normalize_axis(operation, axis, x.ndim)
    size = x.shape[axis]
    if size % 2:
        raise ShapeError(
            at_user_line(
                f"{operation} halves axis {axis} of its input, whose shape {x.shape} has the odd "
                f"size {size} there."
            )
        )
    before = (slice(None),) * axis
    return x[(*before, slice(None, size // 2))], x[(*before, slice(size // 2, None))]


# Along an axis


def softmax(x: ArrayLike, axis: int | Sequence[int] = -1) -> Array:
    """exp(x) / sum(exp(x)) over `axis`.

    >>> import rtfunc.numpy as rnp
    >>> softmax(rnp.array([0.0, 0.0, 0.0, 0.0]))
    Array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """
    x = _float("softmax", x)
    exponentials = rnp.exp(_below_maximum(x, axis))
    return exponentials / rnp.sum(exponentials, axis=axis, keepdims=True)


def log_softmax(x: ArrayLike, axis: int | Sequence[int] = -1) -> Array:
    """log(softmax(x)) over `axis`, accurate for every x.

    >>> import rtfunc.numpy as rnp
    >>> log_softmax(rnp.array([0.0, 100.0]))
    Array([-100.,    0.], dtype=float32)
    """
    shifted = _below_maximum(_float("log_softmax", x), axis)
    return shifted - rnp.log(rnp.sum(rnp.exp(shifted), axis=axis, keepdims=True))


def softmin(x: ArrayLike, axis: int | Sequence[int] = -1) -> Array:
    """softmax(-x) over `axis`.

    >>> import rtfunc.numpy as rnp
    >>> softmin(rnp.array([0.0, 1000.0]))
    Array([1., 0.], dtype=float32)
    """
    return softmax(-_float("softmin", x), axis)


def gumbel_softmax(
    logits: ArrayLike, key: Any, temperature: float = 1.0, *, hard: bool = False, axis: int = -1
) -> Array:
    """A sample of the classes that `logits` describe, as something like a one-hot vector.

    softmax((logits + Gumbel noise) / temperature): the lower the temperature, the nearer to 1 and 0.

    Arguments: hard: whether the result is one-hot, while derivatives are those of the soft one
    ("straight through").

    Jang et al. 2016, https://arxiv.org/abs/1611.01144.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import random
    >>> sorted(gumbel_softmax(rnp.zeros(3), random.key(0), hard=True).tolist())
    [0.0, 0.0, 1.0]
    """
    logits = _float("gumbel_softmax", logits)
    axis = normalize_axis("gumbel_softmax", axis, logits.ndim)
    noise = random.gumbel(key, logits.shape, logits.dtype)
    soft = softmax((logits + noise) / temperature, axis)
    if not hard:
        return soft
    chosen = one_hot(rnp.argmax(soft, axis=axis), logits.shape[axis], soft.dtype, axis)
    return chosen + (soft - stop_gradient(soft))


def _below_maximum(x: Array, axis: int | Sequence[int]) -> Array:
    """x minus its maximum, which changes no softmax: a constant to derivatives."""
    if not x.size:
        return x
    return x - stop_gradient(rnp.max(x, axis=axis, keepdims=True))


def one_hot(
    labels: ArrayLike, num_classes: int, dtype: Any = dtypes.float32, axis: int = -1
) -> Array:
    """1 at each label's place on a new axis, 0 elsewhere; all 0 for a label out of range.

    Arguments: labels: integers of any shape; num_classes: size of the new axis; axis: where the new
    axis stands in the result.

    >>> import rtfunc.numpy as rnp
    >>> one_hot(rnp.array([2, 0]), 3)
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = as_array("one_hot", labels)
    if not dtypes.is_integer(labels.dtype):
        raise DtypeError(at_user_line(f"one_hot takes integers, not {labels.dtype}."))
    return is_class("one_hot", labels, num_classes, axis).astype(dtypes.as_dtype(dtype))


def is_class(operation: str, labels: Array, num_classes: int, axis: int) -> Array:
    """Booleans with a new axis of `num_classes`: whether the label is that class."""
    axis = normalize_axis(operation, axis, labels.ndim + 1)
    classes = rnp.arange(num_classes, dtype=labels.dtype)
    classes = classes.reshape((-1,) + (1,) * (labels.ndim - axis))
    return rnp.expand_dims(labels, axis) == classes


def standardize(x: ArrayLike, axis: int | Sequence[int] = -1, epsilon: float = 1e-5) -> Array:
    """(x - mean) / sqrt(variance + epsilon) over `axis`.

    >>> import rtfunc.numpy as rnp
    >>> standardize(rnp.array([1.0, 3.0]), epsilon=0.0)
    Array([-1.,  1.], dtype=float32)
    """
    x = _float("standardize", x)
    wide = x.astype(dtypes.compute_dtype(x.dtype))
    axes = tuple(axis) if isinstance(axis, Sequence) else axis
    centered = wide - rnp.mean(wide, axis=axes, keepdims=True)
    variance = rnp.mean(rnp.square(centered), axis=axes, keepdims=True)
    return (centered / rnp.sqrt(variance + epsilon)).astype(x.dtype)


__all__ = [
    "celu",
    "elu",
    "geglu",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hardshrink",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "one_hot",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "standardize",
    "swiglu",
    "swish",
    "tanh",
    "tanhshrink",
    "threshold",
]
