"""Continuous distributions: normal, truncated normal, exponential, Gumbel, Laplace, logistic.

Each is the quantile function of the distribution at uniform floats, as in `jax.random`; results
differ from JAX's by the rounding of the functions involved, a few ulp. Depends on `uniform_bits`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.arithmetic import add, div, mul, neg, nextafter, sub
from rtfunc.ops.comparison import ge
from rtfunc.ops.complex import abs_, complex_, sign
from rtfunc.ops.convert import scalar
from rtfunc.ops.exponential import log, log1p
from rtfunc.ops.pad_slice import slice_in_dim
from rtfunc.ops.select import clamp, select
from rtfunc.ops.shape import reshape_p
from rtfunc.ops.special import erf, erf_inv, normal_from_uniform_p
from rtfunc.random.keys import split_words, words
from rtfunc.random.uniform_bits import (
    Words,
    as_parameter,
    broadcast_parameters,
    draw_uniform,
    float_dtype,
    uniform,
)


def normal(key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "float32") -> Array:
    """Standard normal numbers: mean 0, variance 1.

    A complex dtype has independent real and imaginary parts of variance 1/2 each. Equal to
    `jax.random.normal` on CPUs bit for bit, within 3 ulp in float64.

    >>> from rtfunc.random import key
    >>> normal(key(0), (2,))
    Array([1.6226422, 2.0252647], dtype=float32)
    """
    key_words = words("normal", key)
    dtype, shape = dtypes.as_dtype(dtype), as_shape(shape)
    if dtype in dtypes.complexes:
        part = dtypes.real_of(dtype)
        factor = scalar(math.sqrt(0.5), part)
        real, imaginary = (
            mul(_draw_normal(half, shape, part), factor) for half in split_words(key_words)
        )
        return complex_(real, imaginary)
    return _draw_normal(key_words, shape, float_dtype("normal", dtype))


def _draw_normal(key_words: Words, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    above = float(np.nextafter(np.array(-1, dtype), np.array(0, dtype)))
    return normal_from_uniform_p.bind(draw_uniform(key_words, shape, dtype, above, 1.0))


def truncated_normal(
    key: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    shape: int | Sequence[int] | None = None,
    dtype: DtypeLike = "float32",
) -> Array:
    """Standard normal numbers, given that they lie between `lower` and `upper`.

    The bounds broadcast to `shape`, which is their common shape by default. Derivatives flow to
    them.

    >>> from rtfunc.random import key
    >>> truncated_normal(key(0), -2.0, 2.0, (2,)).shape
    (2,)
    """
    dtype = float_dtype("truncated_normal", dtype)
    low, high = (as_parameter("truncated_normal", v, dtype) for v in (lower, upper))
    shape = broadcast_parameters("truncated_normal", shape, low, high)
    sqrt_2 = scalar(math.sqrt(2), dtype)
    drawn = uniform(key, shape, dtype, erf(div(low, sqrt_2)), erf(div(high, sqrt_2)))
    value = mul(sqrt_2, erf_inv(drawn))
    # Rounding must not carry the result to the bounds or past them.
    infinity = scalar(np.inf, dtype)
    return clamp(nextafter(low, infinity), value, nextafter(high, neg(infinity)))


def exponential(
    key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "float32"
) -> Array:
    """Exponentially distributed numbers of mean 1: density exp(-x) for x >= 0.

    >>> from rtfunc.random import key
    >>> exponential(key(0), (3,)).shape
    (3,)
    """
    key_words, dtype = words("exponential", key), float_dtype("exponential", dtype)
    return neg(log1p(neg(draw_uniform(key_words, as_shape(shape), dtype))))


def gumbel(
    key: ArrayLike,
    shape: int | Sequence[int] = (),
    dtype: DtypeLike = "float32",
    mode: str = "low",
) -> Array:
    """Gumbel distributed numbers: density exp(-(x + exp(-x))).

    With mode "low" the largest possible float32 is about 16; with "high", at twice the cost, about
    32.

    >>> from rtfunc.random import key
    >>> gumbel(key(0), (3,)).shape
    (3,)
    """
    key_words, dtype = words("gumbel", key), float_dtype("gumbel", dtype)
    return draw_gumbel(key_words, as_shape(shape), dtype, mode)


def draw_gumbel(
    key_words: Words, shape: tuple[int, ...], dtype: np.dtype, mode: str = "low"
) -> Array:
    """As `gumbel`, of the words of a key."""
    tiny = float(dtypes.finfo(dtype).tiny)
    if mode == "low":
        return neg(log(neg(log(draw_uniform(key_words, shape, dtype, tiny, 1.0)))))
    if mode != "high":
        raise ArgumentError(at_user_line(f"random.gumbel: mode is 'low' or 'high', not {mode!r}."))
    both = draw_uniform(key_words, (2, *shape), dtype)
    high, low = (reshape_p.bind(slice_in_dim(both, i, i + 1), shape=shape) for i in range(2))
    step = scalar(2.0 ** -int(dtypes.finfo(dtype).nmant), dtype)
    fine = add(add(high, mul(step, low)), scalar(tiny, dtype))
    x = select(ge(high, scalar(0.5, dtype)), high, fine)
    return neg(log(neg(log1p(neg(x)))))


def laplace(key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "float32") -> Array:
    """Laplace distributed numbers: density exp(-|x|) / 2.

    >>> from rtfunc.random import key
    >>> laplace(key(0), (3,)).shape
    (3,)
    """
    key_words, dtype = words("laplace", key), float_dtype("laplace", dtype)
    above = -1.0 + float(dtypes.finfo(dtype).epsneg)
    u = draw_uniform(key_words, as_shape(shape), dtype, above, 1.0)
    return mul(sign(u), log1p(neg(abs_(u))))


def logistic(
    key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "float32"
) -> Array:
    """Logistically distributed numbers: density exp(-x) / (1 + exp(-x))**2.

    >>> from rtfunc.random import key
    >>> logistic(key(0), (3,)).shape
    (3,)
    """
    key_words, dtype = words("logistic", key), float_dtype("logistic", dtype)
    tiny = float(dtypes.finfo(dtype).tiny)
    x = draw_uniform(key_words, as_shape(shape), dtype, tiny, 1.0)
    return sub(log(x), log1p(neg(x)))
