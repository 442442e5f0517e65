"""Losses of margins: hinges, rankings, and distances between pairs and triplets.

Depends on `distances`, `losses.reduction`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.nn.activations import is_class, log_sigmoid, relu
from rtfunc.nn.arguments import check_range
from rtfunc.nn.distances import pairwise_distance
from rtfunc.nn.losses.reduction import positive_part, reduced, same_shape
from rtfunc.ops.convert import as_array, promote_inexact, scalar
from rtfunc.ops.exponential import logaddexp
from rtfunc.ops.select import select


def hinge_loss(scores: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """max(0, 1 - y x) for targets y of -1 and 1: the loss of support vector machines.

    >>> import rtfunc.numpy as rnp
    >>> hinge_loss(rnp.array([0.5, 3.0]), rnp.array([-1, 1]))
    Array(0.75, dtype=float32)
    """
    x, y = same_shape("hinge_loss", scores, targets)
    return reduced("hinge_loss", positive_part(1.0 - x * y), reduction)


def hinge_embedding_loss(
    distances: ArrayLike, targets: ArrayLike, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """x where the target is 1, max(0, margin - x) where it is -1.

    >>> import rtfunc.numpy as rnp
    >>> hinge_embedding_loss(rnp.array([0.5, 0.25]), rnp.array([1, -1]))
    Array(0.625, dtype=float32)
    """
    x, y = same_shape("hinge_embedding_loss", distances, targets)
    one, zero = scalar(1, x.dtype), scalar(0, x.dtype)
    apart = select(y != one, positive_part(margin - x), zero)
    together = select(y != -one, x, zero)
    return reduced("hinge_embedding_loss", apart + together, reduction)


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
    x, y = same_shape("cosine_embedding_loss", x, y)
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
    values = values + select(targets == -1, positive_part(cosine - margin), zero)
    return reduced("cosine_embedding_loss", values, reduction)


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
    a, b, c = same_shape("triplet_margin_loss", anchor, positive, negative)

    return triplet_margin_with_distance_loss(
        a,
        b,
        c,
        distance=lambda x, y: pairwise_distance(x, y, p, epsilon),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    *,
    distance: Callable[[Any, Any], Array] = pairwise_distance,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """`triplet_margin_loss` with a distance of your own.

    Arguments: distance: a function of two arrays that gives a distance for each example.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> a, b = rnp.array([[3.0, 4.0]]), rnp.array([[4.0, 3.0]])
    >>> nn.triplet_margin_with_distance_loss(
    ...     a, b, a, distance=lambda x, y: 1 - nn.cosine_similarity(x, y)
    ... )
    Array(1.04, dtype=float32)
    """
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = rnp.minimum(far, distance(positive, negative))
    return reduced(
        "triplet_margin_with_distance_loss", positive_part(near - far + margin), reduction
    )


def margin_ranking_loss(
    x: ArrayLike,
    y: ArrayLike,
    targets: ArrayLike,
    *,
    margin: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """max(0, margin - t (x - y)): where the target t is 1, x is to be the larger, where -1, y.

    >>> import rtfunc.numpy as rnp
    >>> margin_ranking_loss(rnp.array([2.0, 1.0]), rnp.array([1.0, 3.0]), rnp.array([1, 1]))
    Array(1., dtype=float32)
    """
    x, y, t = same_shape("margin_ranking_loss", x, y, targets)
    return reduced("margin_ranking_loss", positive_part(margin - t * (x - y)), reduction)


def soft_margin_loss(scores: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """log(1 + exp(-y x)) for targets y of -1 and 1: the logistic loss.

    >>> import rtfunc.numpy as rnp
    >>> soft_margin_loss(rnp.array([0.0]), rnp.array([1]))
    Array(0.6931472, dtype=float32)
    """
    x, y = same_shape("soft_margin_loss", scores, targets)
    return reduced("soft_margin_loss", logaddexp(-x * y, scalar(0, x.dtype)), reduction)


def multi_margin_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Array:
    """sum over i != y of max(0, margin - x[y] + x[i])**p / C: the hinge loss of many classes.

    Arguments: scores: (N, C) or (C,); targets: labels (N,) or (); weight: (C,), a factor for each
    class; p: 1 or 2.

    Raises `ArgumentError` for a label out of range where its value is known.

    >>> import rtfunc.numpy as rnp
    >>> multi_margin_loss(rnp.array([[0.5, 1.0, -2.0]]), rnp.array([0]))
    Array(0.5, dtype=float32)
    """
    (x,) = promote_inexact("multi_margin_loss", scores)
    labels = _labels("multi_margin_loss", x, targets, x.shape[:-1])
    if p not in (1, 2):
        raise ArgumentError(at_user_line(f"multi_margin_loss: p is 1 or 2, not {p!r}."))
    classes = x.shape[-1]
    check_range("multi_margin_loss", "targets", labels, classes)
    chosen = is_class("multi_margin_loss", labels, classes, -1)
    zero = scalar(0, x.dtype)
    of_target = rnp.sum(select(chosen, x, zero), axis=-1, keepdims=True)
    missing = select(chosen, zero, relu(margin - of_target + x))
    values = missing if p == 1 else rnp.square(missing)
    if weight is not None:
        factors = select(chosen, rnp.broadcast_to(rnp.asarray(weight, x.dtype), x.shape), zero)
        values = values * rnp.sum(factors, axis=-1, keepdims=True)
    return reduced("multi_margin_loss", rnp.sum(values, axis=-1) / classes, reduction)


def multilabel_margin_loss(
    scores: ArrayLike, targets: ArrayLike, *, reduction: str = "mean"
) -> Array:
    """sum over labels y and classes i that are no labels of max(0, 1 - x[y] + x[i]) / C.

    Arguments: scores: (N, C) or (C,); targets: labels, of that shape; from the first negative one
    on they do not count.

    >>> import rtfunc.numpy as rnp
    >>> multilabel_margin_loss(rnp.array([[0.1, 0.2, 0.4, 0.8]]), rnp.array([[3, 0, -1, 1]]))
    Array(0.85, dtype=float32)
    """
    (x,) = promote_inexact("multilabel_margin_loss", scores)
    labels = _labels("multilabel_margin_loss", x, targets, x.shape)
    classes = x.shape[-1]
    counts = rnp.cumsum(labels < 0, axis=-1) == 0
    # chosen[..., k, i]: whether the k-th label is i
    chosen = is_class("multilabel_margin_loss", rnp.where(counts, labels, -1), classes, -1)
    is_label = rnp.any(chosen, axis=-2)
    zero = scalar(0, x.dtype)
    of_target = rnp.sum(select(chosen, _rows(x, chosen.shape), zero), axis=-1, keepdims=True)
    pairs = rnp.logical_and(
        rnp.expand_dims(counts, -1), rnp.logical_not(rnp.expand_dims(is_label, -2))
    )
    missing = relu(1.0 - of_target + rnp.expand_dims(x, -2))
    values = rnp.sum(select(pairs, missing, zero), axis=(-2, -1)) / classes
    return reduced("multilabel_margin_loss", values, reduction)


def multilabel_soft_margin_loss(
    scores: ArrayLike,
    targets: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    reduction: str = "mean",
) -> Array:
    """-mean over classes of y log sigmoid(x) + (1 - y) log sigmoid(-x).

    Arguments: scores, targets: (N, C) or (C,), targets 0 or 1; weight: (C,), a factor for each
    class.

    >>> import rtfunc.numpy as rnp
    >>> multilabel_soft_margin_loss(rnp.array([[0.0, 0.0]]), rnp.array([[1, 0]]))
    Array(0.6931472, dtype=float32)
    """
    x, y = same_shape("multilabel_soft_margin_loss", scores, targets)
    values = -(y * log_sigmoid(x) + (1.0 - y) * log_sigmoid(-x))
    values = values if weight is None else values * weight
    return reduced("multilabel_soft_margin_loss", rnp.mean(values, axis=-1), reduction)


def _labels(loss: str, x: Array, targets: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Integer labels of the shape that goes with scores x, (N, C) or (C,)."""
    labels = as_array(loss, targets)
    if not dtypes.is_integer(labels.dtype):
        raise DtypeError(at_user_line(f"{loss} takes integer labels, not {labels.dtype}."))
    if x.ndim not in (1, 2) or labels.shape != shape:
        raise ShapeError(
            at_user_line(
                f"{loss} takes scores (N, C) or (C,) and labels of the shape that goes with them, "
                f"but got {x.shape} and {labels.shape}."
            )
        )
    return labels


def _rows(x: Array, shape: tuple[int, ...]) -> Array:
    return rnp.broadcast_to(rnp.expand_dims(x, -2), shape)


__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "hinge_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
