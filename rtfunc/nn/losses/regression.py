"""Losses of numbers: squares, absolute values, and negative log-likelihoods of distributions.

Depends on `losses.reduction`.
"""

from __future__ import annotations

import math

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.losses.reduction import at_least, reduced, same_shape
from rtfunc.ops.comparison import gt, lt
from rtfunc.ops.convert import promote_inexact, scalar
from rtfunc.ops.select import select
from rtfunc.transforms.custom import stop_gradient


def mse_loss(predictions: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """(x - y)**2.

    >>> import rtfunc.numpy as rnp
    >>> mse_loss(rnp.array([1.0, 2.0]), rnp.array([1.0, 4.0]))
    Array(2., dtype=float32)
    """
    x, y = same_shape("mse_loss", predictions, targets)
    return reduced("mse_loss", rnp.square(x - y), reduction)


def l1_loss(predictions: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """|x - y|.

    >>> import rtfunc.numpy as rnp
    >>> l1_loss(rnp.array([1.0, 2.0]), rnp.array([1.0, 4.0]))
    Array(1., dtype=float32)
    """
    x, y = same_shape("l1_loss", predictions, targets)
    return reduced("l1_loss", rnp.abs(x - y), reduction)


def huber_loss(
    predictions: ArrayLike, targets: ArrayLike, *, delta: float = 1.0, reduction: str = "mean"
) -> Array:
    """(x - y)**2 / 2 where |x - y| < delta, else delta * (|x - y| - delta / 2).

    >>> import rtfunc.numpy as rnp
    >>> huber_loss(rnp.array([1.0, 2.0]), rnp.array([1.0, 4.0]))
    Array(0.75, dtype=float32)
    """
    x, y = same_shape("huber_loss", predictions, targets)
    if delta <= 0:
        raise ArgumentError(at_user_line(f"huber_loss: delta is positive, but got {delta}."))
    difference = rnp.abs(x - y)
    near = rnp.square(difference) * 0.5
    far = (difference - 0.5 * delta) * delta
    return reduced(
        "huber_loss", select(lt(difference, scalar(delta, x.dtype)), near, far), reduction
    )


def smooth_l1_loss(
    predictions: ArrayLike, targets: ArrayLike, *, beta: float = 1.0, reduction: str = "mean"
) -> Array:
    """(x - y)**2 / (2 beta) where |x - y| < beta, else |x - y| - beta / 2.

    >>> import rtfunc.numpy as rnp
    >>> smooth_l1_loss(rnp.array([1.0, 2.0]), rnp.array([1.0, 4.0]))
    Array(0.75, dtype=float32)
    """
    if beta == 0:
        return l1_loss(predictions, targets, reduction=reduction)
    x, y = same_shape("smooth_l1_loss", predictions, targets)
    if beta < 0:
        raise ArgumentError(at_user_line(f"smooth_l1_loss: beta is not negative, but got {beta}."))
    difference = rnp.abs(x - y)
    near = rnp.square(difference) * (0.5 / beta)
    far = difference - 0.5 * beta
    values = select(lt(difference, scalar(beta, x.dtype)), near, far)
    return reduced("smooth_l1_loss", values, reduction)


def gaussian_nll_loss(
    means: ArrayLike,
    targets: ArrayLike,
    variances: ArrayLike,
    *,
    full: bool = False,
    epsilon: float = 1e-6,
    reduction: str = "mean",
) -> Array:
    """(log v + (x - y)**2 / v) / 2: minus the log-density of y under a normal distribution.

    Arguments: means, targets: one shape; variances: of that shape, or with its last axis of size 1
    or left out (one variance for all); full: whether to add the constant log(2 pi) / 2; epsilon:
    what variances count as at least (their derivative is not cut there, as in PyTorch).

    Nix and Weigend 1994, https://doi.org/10.1109/ICNN.1994.374138.

    >>> import rtfunc.numpy as rnp
    >>> gaussian_nll_loss(rnp.array([1.0]), rnp.array([3.0]), rnp.array([4.0]))
    Array(1.1931472, dtype=float32)
    """
    x, y = same_shape("gaussian_nll_loss", means, targets)
    x, y, v = promote_inexact("gaussian_nll_loss", x, y, variances)
    if v.shape != x.shape:
        if v.shape == x.shape[:-1]:
            v = rnp.expand_dims(v, -1)
        elif not x.ndim or v.shape != (*x.shape[:-1], 1):
            raise ShapeError(
                at_user_line(
                    f"gaussian_nll_loss: means of shape {x.shape} go with variances of that shape, "
                    f"or without its last axis, not {v.shape}."
                )
            )
    v = v + stop_gradient(at_least(v, epsilon) - v)
    values = (rnp.log(v) + rnp.square(x - y) / v) * 0.5
    if full:
        values = values + 0.5 * math.log(2 * math.pi)
    return reduced("gaussian_nll_loss", values, reduction)


def poisson_nll_loss(
    rates: ArrayLike,
    targets: ArrayLike,
    *,
    log_input: bool = True,
    full: bool = False,
    epsilon: float = 1e-8,
    reduction: str = "mean",
) -> Array:
    """exp(x) - y x: minus the log-probability of counts y under a Poisson distribution.

    Arguments: rates: logarithms of the expected counts, or, without `log_input`, the counts
    themselves: then it is x - y log(x + epsilon); full: whether to add Stirling's approximation of
    log(y!), y log y - y + log(2 pi y) / 2, where y > 1.

    >>> import rtfunc.numpy as rnp
    >>> poisson_nll_loss(rnp.array([0.0]), rnp.array([2.0]))
    Array(1., dtype=float32)
    """
    x, y = same_shape("poisson_nll_loss", rates, targets)
    values = rnp.exp(x) - y * x if log_input else x - y * rnp.log(x + epsilon)
    if full:
        one = scalar(1, y.dtype)
        many = gt(y, one)
        counts = select(many, y, one)
        stirling = counts * rnp.log(counts) - counts + 0.5 * rnp.log(2 * math.pi * counts)
        values = values + select(many, stirling, scalar(0, y.dtype))
    return reduced("poisson_nll_loss", values, reduction)


__all__ = [
    "gaussian_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]
