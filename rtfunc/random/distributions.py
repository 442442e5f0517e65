"""Continuous distributions without a shape parameter: normal (also truncated), exponential, Gumbel,
Laplace, logistic, Cauchy, Maxwell.

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
from rtfunc.ops.arithmetic import add, div, mul, neg, nextafter, sqrt, square, sub
from rtfunc.ops.comparison import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    clz,
    eq,
    ge,
    lt,
    shift_left,
    shift_right_logical,
)
from rtfunc.ops.complex import abs_, complex_, sign
from rtfunc.ops.convert import bitcast_p, convert, scalar
from rtfunc.ops.exponential import log, log1p
from rtfunc.ops.pad_slice import slice_in_dim
from rtfunc.ops.reduce import reduce_sum
from rtfunc.ops.select import clamp, select
from rtfunc.ops.shape import reshape_p
from rtfunc.ops.special import erf, erf_inv, normal_from_uniform_p
from rtfunc.ops.trigonometry import tan
from rtfunc.random.keys import split_words, words
from rtfunc.random.uniform_bits import (
    Words,
    as_parameters,
    broadcast_parameters,
    draw_between,
    draw_bits,
    draw_uniform,
    float_dtype,
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
    dtype = dtypes.default_float if dtype is None else dtypes.as_dtype(dtype)
    return draw_normal(key_words, as_shape(shape), dtype)


def draw_normal(
    key_words: Words, shape: tuple[int, ...], dtype: np.dtype, operation: str = "normal"
) -> Array:
    """As `normal`, of the words of a key."""
    if dtype in dtypes.complexes:
        part = dtypes.real_of(dtype)
        factor = scalar(math.sqrt(0.5), part)
        real, imaginary = (
            mul(draw_normal(half, shape, part), factor) for half in split_words(key_words)
        )
        return complex_(real, imaginary)
    dtype = float_dtype(operation, dtype)
    return normal_from_uniform_p.bind(
        draw_uniform(key_words, shape, dtype, above_minus_1(dtype), 1.0)
    )


def above_minus_1(dtype: np.dtype) -> float:
    """The least float greater than -1: from there to 1, normal deviates are finite."""
    return float(np.nextafter(np.array(-1, dtype), np.array(0, dtype)))


def truncated_normal(
    key: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    shape: int | Sequence[int] | None = None,
    dtype: DtypeLike = None,
) -> Array:
    """Standard normal numbers, given that they lie between `lower` and `upper`.

    The bounds broadcast to `shape`, which is their common shape by default, and the dtype is theirs.
    Derivatives flow to them. The uniform floats lie between erf of the bounds, so in float32 bounds
    beyond 5.6 standard deviations cut nothing off, and an interval out there is drawn coarsely.

    >>> from rtfunc.random import key
    >>> truncated_normal(key(0), -2.0, 2.0, (2,)).shape
    (2,)
    """
    key_words = words("truncated_normal", key)
    dtype, (low, high) = as_parameters("truncated_normal", dtype, lower, upper)
    shape = broadcast_parameters("truncated_normal", shape, low, high)
    sqrt_2 = scalar(math.sqrt(2), dtype)
    drawn = draw_between(key_words, shape, erf(div(low, sqrt_2)), erf(div(high, sqrt_2)))
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
    32; with "highest" (float32; as "high" in other dtypes) uniform numbers of 64 bits are rounded to
    floats, so that both tails are resolved: from -3.8 to 44.

    >>> from rtfunc.random import key
    >>> gumbel(key(0), (3,)).shape
    (3,)
    """
    key_words, dtype = words("gumbel", key), float_dtype("gumbel", dtype)
    return draw_gumbel(key_words, as_shape(shape), dtype, mode)


def draw_gumbel(
    key_words: Words,
    shape: tuple[int, ...],
    dtype: np.dtype,
    mode: str = "low",
    operation: str = "gumbel",
) -> Array:
    """As `gumbel`, of the words of a key."""
    if mode not in ("low", "high", "highest"):
        raise ArgumentError(
            at_user_line(f"random.{operation}: mode is 'low', 'high' or 'highest', not {mode!r}.")
        )
    tiny = float(dtypes.finfo(dtype).tiny)
    if mode == "low":
        return neg(log(neg(log(draw_uniform(key_words, shape, dtype, tiny, 1.0)))))
    if mode == "highest" and dtype == dtypes.float32:
        return _gumbel_of_64_bits(key_words, shape)
    high, low = _halves(draw_uniform(key_words, (2, *shape), dtype), shape)
    step = scalar(2.0 ** -int(dtypes.finfo(dtype).nmant), dtype)
    fine = add(add(high, mul(step, low)), scalar(tiny, dtype))
    x = select(ge(high, scalar(0.5, dtype)), high, fine)
    return neg(log(neg(log1p(neg(x)))))


def _halves(both: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    first, second = (reshape_p.bind(slice_in_dim(both, i, i + 1), shape=shape) for i in range(2))
    return first, second


def _gumbel_of_64_bits(key_words: Words, shape: tuple[int, ...]) -> Array:
    """-log(-log(v)) for v = u / 2**64, u an integer of 64 bits; from u or its complement."""
    high, low = _halves(draw_bits(key_words, (2, *shape), dtypes.uint32), shape)
    one = scalar(1, dtypes.uint32)
    # 2**64 - u in two words: the complement plus one, with the carry.
    complement, carry = add(bitwise_not(low), one), eq(low, scalar(0, dtypes.uint32))
    small = lt(high, scalar(2**31, dtypes.uint32))
    x = _float_of_64_bits(
        select(small, high, add(bitwise_not(high), convert(carry, dtypes.uint32))),
        select(small, low, complement),
    )
    return select(small, neg(log(neg(log1p(neg(x))))), neg(log(neg(log(x)))))


def _float_of_64_bits(high: Array, low: Array) -> Array:
    """The float32 next below (high * 2**32 + low) / 2**64, for any number of leading zeros."""
    in_low = eq(high, scalar(0, dtypes.uint32))
    zeros, zeros_in_low = clz(high), clz(low)
    word = dtypes.uint32
    joined = bitwise_or(
        shift_left(high, zeros),
        select(
            in_low,
            shift_left(low, zeros_in_low),
            shift_right_logical(low, sub(scalar(32, word), zeros)),
        ),
    )
    mantissa = bitwise_and(
        shift_right_logical(joined, scalar(8, word)), scalar((1 << 23) - 1, word)
    )
    leading = select(in_low, add(scalar(32, word), zeros_in_low), zeros)
    exponent = shift_left(sub(scalar(126, word), leading), scalar(23, word))
    exponent = bitwise_and(exponent, scalar((1 << 30) - (1 << 22), word))
    return bitcast_p.bind(bitwise_or(exponent, mantissa), dtype=dtypes.float32)


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


def cauchy(key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "float32") -> Array:
    """Cauchy distributed numbers: density 1 / (pi (1 + x**2)); they have no mean.

    tan(pi (u - 1/2)) of uniform u.

    >>> from rtfunc.random import key
    >>> cauchy(key(0), (3,)).shape
    (3,)
    """
    key_words, dtype = words("cauchy", key), float_dtype("cauchy", dtype)
    eps = float(dtypes.finfo(dtype).eps)
    u = draw_uniform(key_words, as_shape(shape), dtype, eps, 1.0)
    return tan(mul(scalar(math.pi, dtype), sub(u, scalar(0.5, dtype))))


def maxwell(key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "float32") -> Array:
    """Maxwell distributed numbers: density sqrt(2 / pi) x**2 exp(-x**2 / 2) for x >= 0.

    The length of a vector of three normal numbers.

    >>> from rtfunc.random import key
    >>> maxwell(key(0), (3,)).shape
    (3,)
    """
    key_words, dtype = words("maxwell", key), float_dtype("maxwell", dtype)
    return draw_maxwell(key_words, as_shape(shape), dtype)


def draw_maxwell(key_words: Words, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """As `maxwell`, of the words of a key."""
    parts = draw_normal(key_words, (*shape, 3), dtype)
    return sqrt(reduce_sum(square(parts), -1))
