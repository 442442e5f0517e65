"""Continuous distributions with parameters that are explicit functions of simpler draws.

Lognormal, Pareto, Rayleigh, Weibull, two-sided Maxwell, triangular, Wald. The algorithms are those of
`jax.random`, whose values these equal up to rounding. Parameters broadcast with each other and to
`shape`, which is their common shape by default; the dtype is theirs by default (float32 for Python
numbers), and derivatives flow to them. Depends on `distributions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np  # noqa: F401  (the examples use it)

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape
from rtfunc.core.dtypes import DtypeLike
from rtfunc.ops.arithmetic import add, div, mul, neg, sqrt, square, sub
from rtfunc.ops.comparison import le, lt
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.exponential import exp, log, log1p, power
from rtfunc.ops.select import select
from rtfunc.random.distributions import draw_maxwell, draw_normal
from rtfunc.random.keys import split_words, words
from rtfunc.random.uniform_bits import (
    as_parameters,
    broadcast_parameters,
    draw_signs,
    draw_uniform,
)

Shape = int | Sequence[int] | None


def lognormal(
    key: ArrayLike, sigma: ArrayLike = 1.0, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """exp(sigma z) of normal z: density exp(-log(x)**2 / (2 sigma**2)) / (x sigma sqrt(2 pi)).

    >>> from rtfunc.random import key
    >>> lognormal(key(0), 0.5, (3,)).shape
    (3,)
    """
    key_words = words("lognormal", key)
    dtype, (sigma,) = as_parameters("lognormal", dtype, sigma)
    shape = broadcast_parameters("lognormal", shape, sigma)
    return exp(mul(draw_normal(key_words, shape, dtype), sigma))


def pareto(key: ArrayLike, b: ArrayLike, shape: Shape = None, dtype: DtypeLike = None) -> Array:
    """Pareto distributed numbers: density b / x**(b + 1) for x >= 1, with b > 0.

    exp(e / b) of exponential e.

    >>> from rtfunc.random import key
    >>> pareto(key(0), 3.0, (3,)).shape
    (3,)
    """
    key_words = words("pareto", key)
    dtype, (b,) = as_parameters("pareto", dtype, b)
    shape = broadcast_parameters("pareto", shape, b)
    e = neg(log1p(neg(draw_uniform(key_words, shape, dtype))))
    return exp(div(e, b))


def rayleigh(
    key: ArrayLike, scale: ArrayLike = 1.0, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """Rayleigh distributed numbers: density x exp(-x**2 / (2 scale**2)) / scale**2 for x >= 0.

    scale sqrt(-2 log(u)) of uniform u.

    >>> from rtfunc.random import key
    >>> rayleigh(key(0), 2.0, (3,)).shape
    (3,)
    """
    key_words = words("rayleigh", key)
    dtype, (scale,) = as_parameters("rayleigh", dtype, scale)
    shape = broadcast_parameters("rayleigh", shape, scale)
    # The tiny lower end is lost in rounding but for u = 0, of which there is no logarithm.
    u = draw_uniform(key_words, shape, dtype, float(dtypes.finfo(dtype).tiny), 1.0)
    return mul(scale, sqrt(mul(log(u), scalar(-2, dtype))))


def weibull_min(
    key: ArrayLike,
    scale: ArrayLike,
    concentration: ArrayLike,
    shape: Shape = None,
    dtype: DtypeLike = None,
) -> Array:
    """Weibull distributed numbers: density c / s (x / s)**(c - 1) exp(-(x / s)**c) for x >= 0.

    With s = `scale` and c = `concentration`, both positive: s e**(1 / c) of exponential e.

    >>> from rtfunc.random import key
    >>> weibull_min(key(0), 1.0, 2.0, (3,)).shape
    (3,)
    """
    key_words = words("weibull_min", key)
    dtype, (scale, c) = as_parameters("weibull_min", dtype, scale, concentration)
    shape = broadcast_parameters("weibull_min", shape, scale, c)
    e = neg(log1p(neg(draw_uniform(key_words, shape, dtype))))
    return mul(power(e, div(scalar(1, dtype), c)), scale)


def double_sided_maxwell(
    key: ArrayLike,
    loc: ArrayLike,
    scale: ArrayLike,
    shape: int | Sequence[int] = (),
    dtype: DtypeLike = None,
) -> Array:
    """loc + scale times a Maxwell distributed number with a random sign.

    The density is z**2 exp(-z**2 / 2) / (scale sqrt(2 pi)) with z = (x - loc) / scale. As in JAX,
    `shape` stands in front of the common shape of the parameters.

    >>> from rtfunc.random import key
    >>> double_sided_maxwell(key(0), 0.0, np.ones(2, "float32"), (3,)).shape
    (3, 2)
    """
    key_words = words("double_sided_maxwell", key)
    dtype, (loc, scale) = as_parameters("double_sided_maxwell", dtype, loc, scale)
    shape = (*as_shape(shape), *broadcast_parameters("double_sided_maxwell", None, loc, scale))
    for_size, for_sign = split_words(key_words)
    size = draw_maxwell(for_size, shape, dtype)
    return add(mul(mul(convert(draw_signs(for_sign, shape), dtype), size), scale), loc)


def triangular(
    key: ArrayLike,
    left: ArrayLike,
    mode: ArrayLike,
    right: ArrayLike,
    shape: Shape = None,
    dtype: DtypeLike = None,
) -> Array:
    """Numbers between `left` and `right` whose density is a triangle with its top at `mode`.

    The quantile function at uniform floats.

    >>> from rtfunc.random import key
    >>> triangular(key(0), 0.0, 1.0, 4.0, (3,)).shape
    (3,)
    """
    key_words = words("triangular", key)
    dtype, (left, mode, right) = as_parameters("triangular", dtype, left, mode, right)
    shape = broadcast_parameters("triangular", shape, left, mode, right)
    u = draw_uniform(key_words, shape, dtype)
    width, rise, fall = sub(right, left), sub(mode, left), sub(right, mode)
    on_left = lt(u, div(rise, width))
    # One root for both sides: the derivative of an unused one, at 0, would be infinite times 0.
    part = select(on_left, mul(u, rise), mul(sub(scalar(1, dtype), u), fall))
    root = sqrt(mul(part, width))
    return select(on_left, add(left, root), sub(right, root))


def wald(key: ArrayLike, mean: ArrayLike, shape: Shape = None, dtype: DtypeLike = None) -> Array:
    """Wald (inverse Gaussian) distributed numbers of scale 1.

    The density is exp(-(x - m)**2 / (2 m**2 x)) / sqrt(2 pi x**3) for x > 0, with m = `mean` > 0.
    Source: Michael, Schucany and Haas, "Generating random variates using transformations with
    multiple roots", The American Statistician 30 (1976).

    >>> from rtfunc.random import key
    >>> wald(key(0), 2.0, (3,)).shape
    (3,)
    """
    key_words = words("wald", key)
    dtype, (mean,) = as_parameters("wald", dtype, mean)
    shape = broadcast_parameters("wald", shape, mean)
    for_root, for_choice = split_words(key_words)
    y = square(draw_normal(for_root, shape, dtype))
    z = draw_uniform(for_choice, shape, dtype)
    # The smaller root of (x - m)**2 = m**2 x y, written without the cancellation of
    # m + m**2 y / 2 - m / 2 sqrt(4 m y + m**2 y**2).
    two, four = scalar(2, dtype), scalar(4, dtype)
    my = mul(mean, y)
    root = sqrt(add(mul(four, my), square(my)))
    x = div(mul(two, mean), add(add(two, my), root))
    return select(le(z, div(mean, add(mean, x))), x, div(square(mean), x))
