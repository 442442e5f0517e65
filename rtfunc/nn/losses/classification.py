"""Losses of classes and of probabilities: cross entropies, focal and dice losses, divergence.

Depends on `activations`, `losses.reduction`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.nn.activations import is_class, log_softmax, sigmoid
from rtfunc.nn.arguments import check_range
from rtfunc.nn.losses.reduction import at_least, reduced, same_shape
from rtfunc.ops.comparison import bitwise_and, gt, le
from rtfunc.ops.convert import as_array, promote_inexact, scalar
from rtfunc.ops.exponential import logaddexp
from rtfunc.ops.select import select
from rtfunc.ops.shape import normalize_axis


def cross_entropy(
    logits: ArrayLike,
    targets: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """-log softmax(logits)[target].

    Arguments:
      logits: (N, C), (C,) or (N, C, ...): classes are on axis 1 (0 when there is one only), or on
        `axis`.
      targets: integer labels, of the shape of logits without the class axis; or probabilities, of
      the
        shape of logits.
      weight: (C,), a factor for each class; the mean is then weighted (for labels).
      ignore_index: examples with this label have loss 0 and do not count in the mean.
      label_smoothing: the share of the target that is spread evenly over all classes.
      reduction: "mean", "sum" or "none".

    Raises `ShapeError` when shapes do not fit, and `ArgumentError` for a label out of range where
    its value is known (inside `jit` such an example has loss 0).

    >>> import rtfunc.numpy as rnp
    >>> cross_entropy(rnp.zeros((2, 4)), rnp.array([3, 0]))
    Array(1.3862944, dtype=float32)
    """
    (logits,) = promote_inexact("cross_entropy", logits)
    targets = as_array("cross_entropy", targets)
    axis = _class_axis("cross_entropy", logits, axis)
    log_probabilities = log_softmax(logits, axis)
    if dtypes.is_integer(targets.dtype):
        return _of_labels(
            "cross_entropy",
            log_probabilities,
            targets,
            weight,
            axis,
            ignore_index,
            label_smoothing,
            reduction,
        )
    if targets.shape != logits.shape:
        raise ShapeError(
            at_user_line(
                f"cross_entropy: probabilities as targets have the shape of the logits, "
                f"{logits.shape}, not {targets.shape}. Labels are integers, not {targets.dtype}."
            )
        )
    classes = logits.shape[axis]
    targets = targets.astype(logits.dtype)
    if label_smoothing:
        targets = targets * (1 - label_smoothing) + label_smoothing / classes
    terms = log_probabilities * targets
    if weight is not None:
        terms = terms * _along(weight, logits.ndim, axis)
    return reduced("cross_entropy", -rnp.sum(terms, axis=axis), reduction)


def nll_loss(
    log_probabilities: ArrayLike,
    targets: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    """-log_probabilities[target]: cross entropy after `log_softmax`.

    Arguments and errors are those of `cross_entropy`; targets are labels.

    >>> import rtfunc.numpy as rnp
    >>> nll_loss(rnp.log(rnp.array([[0.25, 0.75]])), rnp.array([0]))
    Array(1.3862944, dtype=float32)
    """
    (log_probabilities,) = promote_inexact("nll_loss", log_probabilities)
    targets = _checked_labels("nll_loss", targets)
    axis = _class_axis("nll_loss", log_probabilities, axis)
    return _of_labels(
        "nll_loss", log_probabilities, targets, weight, axis, ignore_index, 0.0, reduction
    )


def _checked_labels(loss: str, targets: ArrayLike) -> Array:
    labels = as_array(loss, targets)
    if not dtypes.is_integer(labels.dtype):
        raise DtypeError(
            at_user_line(f"{loss} takes integer labels as targets, not {labels.dtype}.")
        )
    return labels


def _class_axis(loss: str, logits: Array, axis: int | None) -> int:
    if not logits.ndim:
        raise ShapeError(at_user_line(f"{loss} takes predictions with an axis of classes."))
    if axis is None:
        return 1 if logits.ndim > 1 else 0
    return normalize_axis(loss, axis, logits.ndim)


def _along(weight: ArrayLike, ndim: int, axis: int) -> Array:
    """A vector over classes, as it broadcasts against an array with classes on `axis`."""
    return rnp.reshape(weight, (-1,) + (1,) * (ndim - axis - 1))


def _of_labels(
    loss: str,
    log_probabilities: Array,
    labels: Array,
    weight: ArrayLike | None,
    axis: int,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
) -> Array:
    classes = log_probabilities.shape[axis]
    kept, chosen = _places(loss, log_probabilities, labels, axis, ignore_index)
    # A selection rather than a look-up: it is one pass, and so is its derivative.
    zero = scalar(0, log_probabilities.dtype)
    values = log_probabilities
    if weight is not None:
        factors = _along(weight, log_probabilities.ndim, axis)
        values = log_probabilities * factors
        counts = rnp.sum(select(chosen, factors.astype(zero.dtype), zero), axis=axis)
    else:
        counts = kept.astype(zero.dtype)
    losses = -rnp.sum(select(chosen, values, zero), axis=axis)
    if label_smoothing:
        spread_evenly = -rnp.sum(values, axis=axis) / classes
        spread_evenly = select(kept, spread_evenly, zero)
        losses = losses * (1 - label_smoothing) + spread_evenly * label_smoothing
    if reduction == "mean":
        return rnp.sum(losses) / rnp.sum(counts)
    return reduced(loss, losses, reduction)


def _places(
    loss: str, predictions: Array, labels: Array, axis: int, ignore_index: int
) -> tuple[Array, Array]:
    """Which examples count, and at which place of the class axis their label is."""
    shape, classes = predictions.shape, predictions.shape[axis]
    expected = shape[:axis] + shape[axis + 1 :]
    if labels.shape != expected:
        last = "" if axis == len(shape) - 1 else ", or pass axis=-1 if classes are on the last axis"
        raise ShapeError(
            at_user_line(
                f"{loss}: predictions of shape {shape} with classes on axis {axis} go with labels "
                f"of shape {expected}, not {labels.shape}. Reshape one of them{last}."
            )
        )
    check_range(loss, "labels", labels, classes, ignore_index)
    kept = labels != ignore_index
    return kept, bitwise_and(is_class(loss, labels, classes, axis), rnp.expand_dims(kept, axis))


def binary_cross_entropy(
    probabilities: ArrayLike,
    targets: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    reduction: str = "mean",
) -> Array:
    """-(y log p + (1 - y) log(1 - p)), logarithms being limited to -100 as in PyTorch.

    Prefer `binary_cross_entropy_with_logits`, which is accurate for every x.

    >>> import rtfunc.numpy as rnp
    >>> binary_cross_entropy(rnp.array([0.5, 0.5]), rnp.array([0.0, 1.0]))
    Array(0.6931472, dtype=float32)
    """
    p, y = same_shape("binary_cross_entropy", probabilities, targets)
    values = -(y * _limited_log(p) + (1.0 - y) * _limited_log(1.0 - p))
    values = values if weight is None else values * weight
    return reduced("binary_cross_entropy", values, reduction)


def _limited_log(p: Array) -> Array:
    """max(log(p), -100); the derivative at 0 is 0 rather than infinite."""
    none = le(p, scalar(0, p.dtype))
    logarithms = rnp.log(select(none, scalar(1, p.dtype), p))
    return select(none, scalar(-100, p.dtype), at_least(logarithms, -100.0))


def binary_cross_entropy_with_logits(
    logits: ArrayLike,
    targets: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    pos_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> Array:
    """-(y log sigmoid(x) + (1 - y) log(1 - sigmoid(x))).

    Arguments: logits, targets: one shape, targets from 0 to 1; weight: a factor for each element;
    pos_weight: a factor of the first term, for each class.

    >>> import rtfunc.numpy as rnp
    >>> binary_cross_entropy_with_logits(rnp.array([0.0, 0.0]), rnp.array([0.0, 1.0]))
    Array(0.6931472, dtype=float32)
    """
    x, y = same_shape("binary_cross_entropy_with_logits", logits, targets)
    # -log sigmoid(x) = softplus(-x), and -log(1 - sigmoid(x)) = x + softplus(-x)
    soft = logaddexp(-x, scalar(0, x.dtype))
    if pos_weight is None:
        values = x - x * y + soft
    else:
        values = (1.0 - y) * x + (
            (as_array("binary_cross_entropy_with_logits", pos_weight, x.dtype) - 1.0) * y + 1.0
        ) * soft
    values = values if weight is None else values * weight
    return reduced("binary_cross_entropy_with_logits", values, reduction)


def sigmoid_focal_loss(
    logits: ArrayLike,
    targets: ArrayLike,
    alpha: float = 0.25,
    gamma: float = 2.0,
    *,
    reduction: str = "none",
) -> Array:
    """Binary cross entropy that counts less what is classified well already.

    Arguments: logits, targets: one shape, targets 0 or 1; alpha: weight of the positive class (and
    1 - alpha of the negative), or negative for none; gamma: how much less. As torchvision's
    `sigmoid_focal_loss`, whose default is no reduction too.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002.

    >>> import rtfunc.numpy as rnp
    >>> sigmoid_focal_loss(rnp.array([0.0]), rnp.array([1.0]))
    Array([0.0433217], dtype=float32)
    """
    x, y = same_shape("sigmoid_focal_loss", logits, targets)
    p = sigmoid(x)
    entropy = binary_cross_entropy_with_logits(x, y, reduction="none")
    wrong = 1.0 - (p * y + (1.0 - p) * (1.0 - y))
    values = entropy * (rnp.square(wrong) if gamma == 2.0 else wrong**gamma)
    if alpha >= 0:
        values = values * (y * alpha + (1.0 - y) * (1 - alpha))
    return reduced("sigmoid_focal_loss", values, reduction)


def softmax_focal_loss(
    logits: ArrayLike,
    targets: ArrayLike,
    alpha: float | Sequence[float] | ArrayLike = 1.0,
    gamma: float = 2.0,
    *,
    axis: int | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Array:
    """-alpha (1 - p)**gamma log p, where p is the softmax at the label.

    Arguments: logits, targets, axis, ignore_index: as for `cross_entropy`, targets being labels;
    alpha: a factor, or one for each class (C,); gamma: how much less counts what is classified well
    already. The mean is over the examples that count.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002, section 3.

    >>> import rtfunc.numpy as rnp
    >>> softmax_focal_loss(rnp.zeros((1, 2)), rnp.array([1]))
    Array([0.1732868], dtype=float32)
    """
    (logits,) = promote_inexact("softmax_focal_loss", logits)
    labels = _checked_labels("softmax_focal_loss", targets)
    axis = _class_axis("softmax_focal_loss", logits, axis)
    log_probabilities = log_softmax(logits, axis)
    kept, chosen = _places("softmax_focal_loss", logits, labels, axis, ignore_index)
    zero = scalar(0, logits.dtype)
    log_p = rnp.sum(select(chosen, log_probabilities, zero), axis=axis)
    wrong = -rnp.expm1(log_p)
    values = -log_p * (rnp.square(wrong) if gamma == 2.0 else wrong**gamma)
    factors = rnp.asarray(alpha, logits.dtype)
    if factors.ndim:
        along = rnp.broadcast_to(_along(factors, logits.ndim, axis), logits.shape)
        factors = rnp.sum(select(chosen, along, zero), axis=axis)
    values = values * factors
    if reduction == "mean":
        return rnp.sum(values) / rnp.sum(kept.astype(zero.dtype))
    return reduced("softmax_focal_loss", values, reduction)


def dice_loss(
    probabilities: ArrayLike,
    targets: ArrayLike,
    *,
    axis: int | Sequence[int] | None = None,
    smooth: float = 1.0,
    reduction: str = "mean",
) -> Array:
    """1 - (2 sum(p y) + smooth) / (sum(p) + sum(y) + smooth): one minus the overlap of two sets.

    Arguments: probabilities, targets: one shape, values from 0 to 1; axis: what is summed over, by
    default all axes after (N, C), so that there is a loss for each class of each example; smooth:
    keeps the loss of empty sets at 0.

    Milletari et al. 2016, https://arxiv.org/abs/1606.04797 (who square in the denominator).

    >>> import rtfunc.numpy as rnp
    >>> dice_loss(rnp.array([[[1.0, 0.0]]]), rnp.array([[[1.0, 1.0]]]))
    Array(0.25, dtype=float32)
    """
    p, y = same_shape("dice_loss", probabilities, targets)
    if axis is None and p.ndim < 3:
        raise ShapeError(
            at_user_line(
                f"dice_loss takes (N, C, ...), or an axis to sum over, not the shape {p.shape}."
            )
        )
    axes = tuple(range(2, p.ndim)) if axis is None else axis
    axes = tuple(axes) if isinstance(axes, Sequence) else axes
    both = rnp.sum(p * y, axis=axes)
    total = rnp.sum(p, axis=axes) + rnp.sum(y, axis=axes)
    return reduced("dice_loss", 1.0 - (2.0 * both + smooth) / (total + smooth), reduction)


def kl_div(
    log_probabilities: ArrayLike,
    targets: ArrayLike,
    *,
    log_target: bool = False,
    reduction: str = "mean",
) -> Array:
    """targets * (log(targets) - log_probabilities): the Kullback-Leibler divergence, elementwise.

    Arguments: targets: probabilities, or their logarithms with `log_target`; reduction: the
    divergence proper is "sum", and "batchmean" divides that by the size of the first axis.

    >>> import rtfunc.numpy as rnp
    >>> kl_div(rnp.log(rnp.array([[0.5, 0.5]])), rnp.array([[1.0, 0.0]]), reduction="batchmean")
    Array(0.6931472, dtype=float32)
    """
    x, y = same_shape("kl_div", log_probabilities, targets)
    if log_target:
        values = rnp.exp(y) * (y - x)
    else:
        positive = gt(y, scalar(0, y.dtype))
        safe = select(positive, y, scalar(1, y.dtype))
        values = select(positive, safe * rnp.log(safe), scalar(0, y.dtype)) - y * x
    if reduction == "batchmean":
        return rnp.sum(values) / max(values.shape[0] if values.ndim else 1, 1)
    return reduced("kl_div", values, reduction)


__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dice_loss",
    "kl_div",
    "nll_loss",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
]
