"""Losses, with PyTorch's names, argument orders, formulas and reductions.

Each takes predictions first and targets second, and `reduction`: "mean" and "sum" give a scalar,
"none" a loss for each example. Shapes of predictions and targets must agree: a broadcast between
(N, 1) and (N,) is an error here, not an N by N loss. Depends on `activations`.
"""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.nn.activations import is_class, log_softmax, sigmoid
from rtfunc.nn.arguments import check_range
from rtfunc.ops.comparison import bitwise_and, gt, le, lt
from rtfunc.ops.convert import as_array, promote_inexact, scalar
from rtfunc.ops.exponential import logaddexp
from rtfunc.ops.select import select
from rtfunc.ops.shape import normalize_axis


def _reduced(loss: str, values: Array, reduction: str) -> Array:
    if reduction == "mean":
        return rnp.mean(values)
    if reduction == "sum":
        return rnp.sum(values)
    if reduction == "none":
        return values
    raise ArgumentError(
        at_user_line(f"{loss}: reduction is 'mean', 'sum' or 'none', not {reduction!r}.")
    )


def _same_shape(loss: str, *operands: ArrayLike) -> list[Array]:
    """Predictions, targets and so on as floats of one dtype; `ShapeError` unless shapes agree."""
    arrays = promote_inexact(loss, *operands)
    if any(a.shape != arrays[0].shape for a in arrays):
        raise ShapeError(
            at_user_line(
                f"{loss} takes predictions and targets of one shape, but got "
                f"{' and '.join(str(a.shape) for a in arrays)}. Reshape one of them, for example "
                "with x.squeeze(-1)."
            )
        )
    return arrays


# Classes


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
    return _reduced("cross_entropy", -rnp.sum(terms, axis=axis), reduction)


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
    targets = as_array("nll_loss", targets)
    if not dtypes.is_integer(targets.dtype):
        raise DtypeError(
            at_user_line(f"nll_loss takes integer labels as targets, not {targets.dtype}.")
        )
    axis = _class_axis("nll_loss", log_probabilities, axis)
    return _of_labels(
        "nll_loss", log_probabilities, targets, weight, axis, ignore_index, 0.0, reduction
    )


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
    shape, classes = log_probabilities.shape, log_probabilities.shape[axis]
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
    chosen = bitwise_and(is_class(loss, labels, classes, axis), rnp.expand_dims(kept, axis))
    # A selection rather than a look-up: it is one pass, and so is its derivative.
    zero = scalar(0, log_probabilities.dtype)
    values = log_probabilities
    if weight is not None:
        factors = _along(weight, len(shape), axis)
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
    return _reduced(loss, losses, reduction)


def focal_loss(
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
    >>> focal_loss(rnp.array([0.0]), rnp.array([1.0]))
    Array([0.0433217], dtype=float32)
    """
    x, y = _same_shape("focal_loss", logits, targets)
    p = sigmoid(x)
    entropy = binary_cross_entropy_with_logits(x, y, reduction="none")
    wrong = 1.0 - (p * y + (1.0 - p) * (1.0 - y))
    values = entropy * (rnp.square(wrong) if gamma == 2.0 else wrong**gamma)
    if alpha >= 0:
        values = values * (y * alpha + (1.0 - y) * (1 - alpha))
    return _reduced("focal_loss", values, reduction)


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
    p, y = _same_shape("binary_cross_entropy", probabilities, targets)
    values = -(y * _limited_log(p) + (1.0 - y) * _limited_log(1.0 - p))
    values = values if weight is None else values * weight
    return _reduced("binary_cross_entropy", values, reduction)


def _limited_log(p: Array) -> Array:
    """max(log(p), -100); the derivative at 0 is 0 rather than infinite."""
    none = le(p, scalar(0, p.dtype))
    logarithms = rnp.log(select(none, scalar(1, p.dtype), p))
    return select(none, scalar(-100, p.dtype), _at_least(logarithms, -100.0))


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
    x, y = _same_shape("binary_cross_entropy_with_logits", logits, targets)
    # -log sigmoid(x) = softplus(-x), and -log(1 - sigmoid(x)) = x + softplus(-x)
    soft = logaddexp(-x, scalar(0, x.dtype))
    if pos_weight is None:
        values = x - x * y + soft
    else:
        values = (1.0 - y) * x + ((rnp.asarray(pos_weight) - 1.0) * y + 1.0) * soft
    values = values if weight is None else values * weight
    return _reduced("binary_cross_entropy_with_logits", values, reduction)


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
    x, y = _same_shape("kl_div", log_probabilities, targets)
    if log_target:
        values = rnp.exp(y) * (y - x)
    else:
        positive = gt(y, scalar(0, y.dtype))
        safe = select(positive, y, scalar(1, y.dtype))
        values = select(positive, safe * rnp.log(safe), scalar(0, y.dtype)) - y * x
    if reduction == "batchmean":
        return rnp.sum(values) / max(values.shape[0] if values.ndim else 1, 1)
    return _reduced("kl_div", values, reduction)


# Regression


def mse_loss(predictions: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """(x - y)**2.

    >>> import rtfunc.numpy as rnp
    >>> mse_loss(rnp.array([1.0, 2.0]), rnp.array([1.0, 4.0]))
    Array(2., dtype=float32)
    """
    x, y = _same_shape("mse_loss", predictions, targets)
    return _reduced("mse_loss", rnp.square(x - y), reduction)


def l1_loss(predictions: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """|x - y|.

    >>> import rtfunc.numpy as rnp
    >>> l1_loss(rnp.array([1.0, 2.0]), rnp.array([1.0, 4.0]))
    Array(1., dtype=float32)
    """
    x, y = _same_shape("l1_loss", predictions, targets)
    return _reduced("l1_loss", rnp.abs(x - y), reduction)


def huber_loss(
    predictions: ArrayLike, targets: ArrayLike, *, delta: float = 1.0, reduction: str = "mean"
) -> Array:
    """(x - y)**2 / 2 where |x - y| < delta, else delta * (|x - y| - delta / 2).

    >>> import rtfunc.numpy as rnp
    >>> huber_loss(rnp.array([1.0, 2.0]), rnp.array([1.0, 4.0]))
    Array(0.75, dtype=float32)
    """
    x, y = _same_shape("huber_loss", predictions, targets)
    if delta <= 0:
        raise ArgumentError(at_user_line(f"huber_loss: delta is positive, but got {delta}."))
    difference = rnp.abs(x - y)
    near = rnp.square(difference) * 0.5
    far = (difference - 0.5 * delta) * delta
    return _reduced(
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
    x, y = _same_shape("smooth_l1_loss", predictions, targets)
    if beta < 0:
        raise ArgumentError(at_user_line(f"smooth_l1_loss: beta is not negative, but got {beta}."))
    difference = rnp.abs(x - y)
    near = rnp.square(difference) * (0.5 / beta)
    far = difference - 0.5 * beta
    values = select(lt(difference, scalar(beta, x.dtype)), near, far)
    return _reduced("smooth_l1_loss", values, reduction)


# Margins


def hinge_loss(scores: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """max(0, 1 - y x) for targets y of -1 and 1: the loss of support vector machines.

    >>> import rtfunc.numpy as rnp
    >>> hinge_loss(rnp.array([0.5, 3.0]), rnp.array([-1, 1]))
    Array(0.75, dtype=float32)
    """
    x, y = _same_shape("hinge_loss", scores, targets)
    return _reduced("hinge_loss", _positive_part(1.0 - x * y), reduction)


def hinge_embedding_loss(
    distances: ArrayLike, targets: ArrayLike, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """x where the target is 1, max(0, margin - x) where it is -1.

    >>> import rtfunc.numpy as rnp
    >>> hinge_embedding_loss(rnp.array([0.5, 0.25]), rnp.array([1, -1]))
    Array(0.625, dtype=float32)
    """
    x, y = _same_shape("hinge_embedding_loss", distances, targets)
    one, zero = scalar(1, x.dtype), scalar(0, x.dtype)
    apart = select(y != one, _positive_part(margin - x), zero)
    together = select(y != -one, x, zero)
    return _reduced("hinge_embedding_loss", apart + together, reduction)


def cosine_similarity(x: ArrayLike, y: ArrayLike, axis: int = 1, epsilon: float = 1e-8) -> Array:
    """The cosine of the angle between x and y along `axis`; norms count as `epsilon` at least.

    >>> import rtfunc.numpy as rnp
    >>> cosine_similarity(rnp.array([[3.0, 4.0]]), rnp.array([[4.0, 3.0]]))
    Array([0.96], dtype=float32)
    """
    x, y = _same_shape("cosine_similarity", x, y)
    least = epsilon * epsilon
    sizes = [rnp.sqrt(_at_least(rnp.sum(rnp.square(v), axis=axis), least)) for v in (x, y)]
    return rnp.sum(x * y, axis=axis) / (sizes[0] * sizes[1])


def cosine_embedding_loss(
    x: ArrayLike,
    y: ArrayLike,
    targets: ArrayLike,
    *,
    margin: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """1 - cos(x, y) where the target is 1, max(0, cos(x, y) - margin) where it is -1.

    Arguments: x, y: (N, D) or (D,); targets: (N,) or ().

    >>> import rtfunc.numpy as rnp
    >>> cosine_embedding_loss(rnp.array([[3.0, 4.0]]), rnp.array([[4.0, 3.0]]), rnp.array([-1]))
    Array(0.96, dtype=float32)
    """
    x, y = _same_shape("cosine_embedding_loss", x, y)
    targets = as_array("cosine_embedding_loss", targets)
    if targets.shape != x.shape[:-1]:
        raise ShapeError(
            at_user_line(
                f"cosine_embedding_loss: vectors of shape {x.shape} go with targets of shape "
                f"{x.shape[:-1]}, not {targets.shape}."
            )
        )
    # PyTorch adds its epsilon to the squared norms here, unlike in cosine_similarity.
    squares = [rnp.sum(rnp.square(v), axis=-1) + 1e-12 for v in (x, y)]
    cosine = rnp.sum(x * y, axis=-1) / rnp.sqrt(squares[0] * squares[1])
    zero = scalar(0, x.dtype)
    values = select(targets == 1, 1.0 - cosine, zero)
    values = values + select(targets == -1, _positive_part(cosine - margin), zero)
    return _reduced("cosine_embedding_loss", values, reduction)


def triplet_margin_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    epsilon: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being the p-norm distance.

    Arguments: anchor, positive, negative: (N, D) or (D,); epsilon: added to each difference; swap:
    use the distance of positive and negative where that is smaller (Balntas et al. 2016,
    http://www.bmva.org/bmvc/2016/papers/paper119/).

    >>> import rtfunc.numpy as rnp
    >>> a, b = rnp.zeros((1, 3)), rnp.ones((1, 3))
    >>> round(float(triplet_margin_loss(a, b, a)), 3)
    2.732
    """
    a, b, c = _same_shape("triplet_margin_loss", anchor, positive, negative)

    def distance(x: Array, y: Array) -> Array:
        return _norm(x - y + epsilon, p)

    near, far = distance(a, b), distance(a, c)
    if swap:
        far = rnp.minimum(far, distance(b, c))
    return _reduced("triplet_margin_loss", _positive_part(near - far + margin), reduction)


def _norm(x: Array, p: float) -> Array:
    if p == 2:
        return rnp.sqrt(rnp.sum(rnp.square(x), axis=-1))
    if p == 1:
        return rnp.sum(rnp.abs(x), axis=-1)
    return rnp.sum(rnp.abs(x) ** p, axis=-1) ** (1 / p)


def _positive_part(x: Array) -> Array:
    return _at_least(x, 0.0)


def _at_least(x: Array, low: float) -> Array:
    """max(x, low), whose derivative at `low` is 1, as that of torch.clamp_min is."""
    bottom = scalar(low, x.dtype)
    return select(lt(x, bottom), bottom, x)


__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "focal_loss",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
    "triplet_margin_loss",
]
