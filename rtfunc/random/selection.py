"""Random choices among elements: permutation, choice, categorical. Depends on `distributions`."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape, broadcast_shapes
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.ops.arithmetic import add, mul, sub
from rtfunc.ops.comparison import ge
from rtfunc.ops.convert import as_array, convert, owned_array, promote_inexact, scalar
from rtfunc.ops.cumulative import cumsum_p
from rtfunc.ops.exponential import log
from rtfunc.ops.gather import GatherDimensionNumbers, gather
from rtfunc.ops.iota import iota_p
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.reduce import argmax
from rtfunc.ops.shape import expand_dims, normalize_axis, reshape_p, transpose
from rtfunc.ops.sort import sort_p, top_k
from rtfunc.random.distributions import draw_gumbel
from rtfunc.random.keys import split_words, words
from rtfunc.random.uniform_bits import (
    Words,
    draw_bits,
    draw_uniform,
    randint,
)


def permutation(
    key: ArrayLike, x: int | ArrayLike, axis: int = 0, independent: bool = False
) -> Array:
    """The elements of `x` along `axis` in random order; the numbers below `x` if it is an integer.

    With `independent`, every line along `axis` is shuffled on its own. Raises `DtypeError` for a
    scalar that is not an integer.

    >>> from rtfunc.random import key
    >>> permutation(key(0), 5)
    Array([0, 1, 4, 3, 2], dtype=int32)
    """
    key_words = words("permutation", key)
    if not np.ndim(x):  # type: ignore[arg-type]
        size = _population("permutation", x)
        return _shuffled(key_words, _numbers(size), 0)
    x = owned_array("random.permutation", x)
    axis = normalize_axis("random.permutation", axis, x.ndim)
    if independent or x.ndim == 1:
        return _shuffled(key_words, x, axis)
    order = _shuffled(key_words, _numbers(x.shape[axis]), 0)
    return _take(x, order, axis)


def _population(operation: str, x: Any) -> int:
    try:
        return operator.index(x)
    except TypeError:
        raise DtypeError(
            at_user_line(
                f"random.{operation} takes an array with at least one axis or a static integer, "
                f"not {x!r}."
            )
        ) from None


def _numbers(size: int) -> Array:
    return iota_p.bind(shape=(max(size, 0),), dtype=dtypes.int32, axis=0)


def _shuffled(key_words: Words, x: Array, axis: int) -> Array:
    """`x` sorted by random keys, several times since 32-bit keys collide."""
    rounds = math.ceil(3 * math.log(max(1, x.size)) / math.log(2**32 - 1))
    for _ in range(rounds):
        key_words, subkey = split_words(key_words)
        order = draw_bits(subkey, x.shape, dtypes.uint32)
        x = sort_p.bind(order, x, axis=axis, num_keys=1)[1]
    return x


def _take(x: Array, indices: Array, axis: int) -> Array:
    """The elements of `x` along `axis` at `indices` (in bounds), whose shape replaces the axis."""
    count = indices.ndim
    window = tuple(range(axis)) + tuple(range(axis + count, x.ndim - 1 + count))
    numbers = GatherDimensionNumbers(window, (axis,), (axis,))
    sizes = tuple(1 if a == axis else n for a, n in enumerate(x.shape))
    starts = reshape_p.bind(indices, shape=(*indices.shape, 1))
    return gather(x, starts, numbers, sizes, mode="promise_in_bounds")


def choice(
    key: ArrayLike,
    a: int | ArrayLike,
    shape: int | Sequence[int] = (),
    replace: bool = True,
    p: ArrayLike | None = None,
    axis: int = 0,
    mode: str = "low",
) -> Array:
    """A random sample of the elements of `a` along `axis`, or of the numbers below the integer `a`.

    Arguments:
      shape: shape of the sample; it stands in the result where `axis` stands in `a`.
      replace: whether an element can be drawn more than once.
      p: probability of each element; all the same by default. Without replacement at least as many
        must be positive as are drawn.
      mode: with `p` and without replacement, how finely small probabilities are resolved: see
        `gumbel`.

    Raises `ArgumentError` for a sample larger than the population without replacement, or an empty
    population, and `ShapeError` when `p` has another length than the population.

    >>> from rtfunc.random import key
    >>> choice(key(0), 10, (3,)).shape
    (3,)
    """
    key_words, shape = words("choice", key), as_shape(shape)
    draws = math.prod(shape)
    elements = None
    if np.ndim(a):  # type: ignore[arg-type]
        elements = owned_array("random.choice", a)
        axis = normalize_axis("random.choice", axis, elements.ndim)
        population = elements.shape[axis]
    else:
        population = _population("choice", a)
    _check_population(population, draws, replace)
    if p is None and replace:
        indices = randint(key, shape, 0, max(population, 1))
    elif p is None:
        indices = slice_in_dim(_shuffled(key_words, _numbers(population), 0), 0, draws)
    else:
        indices = _weighted(key_words, p, population, draws, shape, replace, mode)
    indices = reshape_p.bind(indices, shape=shape)
    return indices if elements is None else _take(elements, indices, axis)


def _check_population(population: int, draws: int, replace: bool) -> None:
    if draws and population <= 0:
        raise ArgumentError(
            at_user_line("random.choice cannot draw from an empty population: `a` has no elements.")
        )
    if not replace and draws > population:
        raise ArgumentError(
            at_user_line(
                f"random.choice cannot draw {draws} elements from {population} with replace=False."
            )
        )


def _weighted(
    key_words: Words,
    p: ArrayLike,
    population: int,
    draws: int,
    shape: tuple[int, ...],
    replace: bool,
    mode: str,
) -> Array:
    """Indices drawn with probabilities `p`."""
    (p,) = promote_inexact("random.choice", p)
    if p.shape != (population,):
        raise ShapeError(
            at_user_line(
                f"random.choice: p has shape {p.shape}, but the population has {population} "
                f"elements, so it must be ({population},)."
            )
        )
    if not replace:
        # Gumbel top-k: Kool, van Hoof and Welling, "Stochastic beams and where to find them", 2019.
        noise = draw_gumbel(key_words, (population,), p.dtype, mode, "choice")
        return top_k(add(noise, log(p)), draws)[1]
    cumulative = cumsum_p.bind(p, axis=0, reverse=False)
    total = slice_in_dim(cumulative, -1, None)
    u = draw_uniform(key_words, (draws,), p.dtype)
    below = mul(total, sub(scalar(1, p.dtype), u))
    return _count_below(cumulative, below) if draws else reshape_p.bind(_numbers(0), shape=shape)


def _count_below(ordered: Array, values: Array) -> Array:
    """For each value, how many elements of the ascending array `ordered` are less than it."""
    count = values.shape[0]
    # Sort both together, values first where equal, and count the elements that come before each.
    merged = concatenate([values, ordered])
    index = _numbers(merged.shape[0])
    is_element = convert(ge(index, scalar(count, dtypes.int32)), dtypes.int32)
    _, index, is_element = sort_p.bind(merged, index, is_element, axis=0, num_keys=1)
    before = cumsum_p.bind(is_element, axis=0, reverse=False)
    return slice_in_dim(sort_p.bind(index, before, axis=0, num_keys=1)[1], 0, count)


def categorical(
    key: ArrayLike,
    logits: ArrayLike,
    axis: int = -1,
    shape: int | Sequence[int] | None = None,
    replace: bool = True,
    mode: str = "low",
) -> Array:
    """Categories (int32 indices) drawn with probabilities softmax(logits, axis).

    Arguments:
      shape: shape of the result, to which the shape of `logits` without `axis` broadcasts, and by
        default that shape.
      replace: False draws distinct categories; then `shape` begins with the axes of the sample.
      mode: see `gumbel`.

    Raises `ArgumentError` for more distinct samples than categories.

    >>> from rtfunc.random import key
    >>> categorical(key(0), np.zeros((3, 5), "float32")).shape
    (3,)
    """
    key_words = words("categorical", key)
    (logits,) = promote_inexact("random.categorical", as_array("random.categorical", logits))
    if not dtypes.is_float(logits.dtype):
        raise DtypeError(at_user_line(f"random.categorical takes real logits, not {logits.aval}."))
    axis = normalize_axis("random.categorical", axis, logits.ndim)
    members = logits.shape[:axis] + logits.shape[axis + 1 :]
    shape = members if shape is None else as_shape(shape)
    common = broadcast_shapes("random.categorical", shape, members)
    if common != shape:
        raise ShapeError(
            at_user_line(
                f"random.categorical: logits of shape {logits.shape} without axis {axis} do not "
                f"broadcast to the shape {shape} of the result."
            )
        )
    sample = shape[: len(shape) - len(members)]
    if replace:
        inner = list(shape[len(sample) :])
        inner.insert(axis, logits.shape[axis])
        noise = draw_gumbel(key_words, (*sample, *inner), logits.dtype, mode, "categorical")
        lifted = expand_dims(logits, tuple(range(len(sample))))
        return argmax(add(noise, lifted), axis + len(sample))
    if shape[len(sample) :] != members:
        raise ShapeError(
            at_user_line(
                f"random.categorical with replace=False: the shape {shape} must end with {members}"
                ", the shape of logits without `axis`."
            )
        )
    return _distinct(key_words, logits, axis, sample, shape, mode)


def _distinct(
    key_words: Words,
    logits: Array,
    axis: int,
    sample: tuple[int, ...],
    shape: tuple[int, ...],
    mode: str,
) -> Array:
    draws = math.prod(sample)
    if draws > logits.shape[axis]:
        raise ArgumentError(
            at_user_line(
                f"random.categorical cannot draw {draws} distinct categories "
                f"of {logits.shape[axis]}."
            )
        )
    noisy = add(logits, draw_gumbel(key_words, logits.shape, logits.dtype, mode, "categorical"))
    last = logits.ndim - 1
    order = (*(a for a in range(logits.ndim) if a != axis), axis)
    indices = top_k(transpose(noisy, order), draws)[1]
    return reshape_p.bind(transpose(indices, (last, *range(last))), shape=shape)
