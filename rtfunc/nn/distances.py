"""Similarities, distances and lengths of vectors. Depends on `rtfunc.numpy`."""

from __future__ import annotations

import math

import numpy as np

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.ops.comparison import le, lt
from rtfunc.ops.convert import promote_inexact, scalar
from rtfunc.ops.select import select
from rtfunc.ops.shape import normalize_axis


def cosine_similarity(x: ArrayLike, y: ArrayLike, axis: int = 1, epsilon: float = 1e-8) -> Array:
    """The cosine of the angle between x and y along `axis`; norms count as `epsilon` at least.

    Arguments: x, y: shapes that broadcast; axis: of the broadcast shape.

    >>> import rtfunc.numpy as rnp
    >>> cosine_similarity(rnp.array([[3.0, 4.0]]), rnp.array([[4.0, 3.0]]))
    Array([0.96], dtype=float32)
    """
    x, y = _broadcast("cosine_similarity", x, y)
    axis = normalize_axis("cosine_similarity", axis, x.ndim)
    least = scalar(epsilon * epsilon, x.dtype)
    squares = [rnp.sum(rnp.square(v), axis=axis) for v in (x, y)]
    sizes = [rnp.sqrt(select(lt(s, least), least, s)) for s in squares]
    return rnp.sum(x * y, axis=axis) / (sizes[0] * sizes[1])


def pairwise_distance(
    x: ArrayLike, y: ArrayLike, p: float = 2.0, epsilon: float = 1e-6, keepdims: bool = False
) -> Array:
    """The p-norm of x - y + epsilon over the last axis.

    Arguments: x, y: (..., D), shapes that broadcast; p: positive, `math.inf` for the largest
    absolute value; epsilon: added to each difference, as in PyTorch; keepdims: whether the last
    axis stays, with size 1. The derivative is 0 where the distance is.

    >>> import rtfunc.numpy as rnp
    >>> pairwise_distance(rnp.array([[3.0, 0.0]]), rnp.array([[0.0, 4.0]]), epsilon=0.0)
    Array([5.], dtype=float32)
    """
    x, y = _broadcast("pairwise_distance", x, y)
    _check_order("pairwise_distance", p)
    difference = x - y + epsilon
    return _norm(difference, p, -1, keepdims)


def normalize(x: ArrayLike, p: float = 2.0, axis: int = 1, epsilon: float = 1e-12) -> Array:
    """x divided by its p-norm along `axis`, which counts as `epsilon` at least.

    >>> import rtfunc.numpy as rnp
    >>> normalize(rnp.array([[3.0, 4.0]]))
    Array([[0.6, 0.8]], dtype=float32)
    """
    (x,) = promote_inexact("normalize", x)
    axis = normalize_axis("normalize", axis, x.ndim)
    _check_order("normalize", p)
    length = _norm(x, p, axis, True)
    least = scalar(epsilon, x.dtype)
    return x / select(lt(length, least), least, length)


def _check_order(operation: str, p: float) -> None:
    if not p > 0:
        raise ArgumentError(at_user_line(f"{operation}: p is positive, but got {p}."))


def _norm(x: Array, p: float, axis: int, keepdims: bool) -> Array:
    """The p-norm over `axis`, with derivative 0 where it is 0."""
    if p == 1:
        return rnp.sum(rnp.abs(x), axis=axis, keepdims=keepdims)
    if p == math.inf:
        return rnp.max(rnp.abs(x), axis=axis, keepdims=keepdims)
    powers = rnp.square(x) if p == 2 else rnp.abs(x) ** p
    sums = rnp.sum(powers, axis=axis, keepdims=keepdims)
    zero = scalar(0, sums.dtype)
    none = le(sums, zero)
    sums = select(none, scalar(1, sums.dtype), sums)
    return select(none, zero, rnp.sqrt(sums) if p == 2 else sums ** (1 / p))


def _broadcast(operation: str, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    x, y = promote_inexact(operation, x, y)
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        shape = ()
    if not shape:
        raise ShapeError(
            at_user_line(
                f"{operation} takes arrays of vectors whose shapes broadcast, not {x.shape} and "
                f"{y.shape}."
            )
        )
    return rnp.broadcast_to(x, shape), rnp.broadcast_to(y, shape)


__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]
