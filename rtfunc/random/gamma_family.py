"""The gamma distribution, and those that are made of it: beta, Dirichlet, chi-square, F, Student's t,
generalised normal.

Gamma numbers are drawn by rejection (Marsaglia and Tsang, "A simple method for generating gamma
variables", ACM TOMS 26, 2000), each element with a key of its own and all elements at once, in a loop
that ends when the last is accepted. The algorithm and its use of keys are those of `jax.random`, whose
values these equal up to rounding. Derivatives with respect to the concentration a are those of the
implicit reparametrisation x(a) with cdf(x; a) held fixed (Figurnov, Mohamed and Mnih, "Implicit
reparameterization gradients", 2018): dx/da = -(d cdf / da) / pdf, `random_gamma_grad`. Their means are
the derivatives of means. They are not how a sample moves when `a` does at the same key, which depends on
how the sampler rejects.

Parameters broadcast with each other and to `shape`, which is their common shape by default; the dtype
is theirs by default (float32 for Python numbers). float16 and bfloat16 are drawn in float32 and rounded.
Depends on `distributions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.lax.loops import while_loop
from rtfunc.ops.arithmetic import add, div, maximum, mul, neg, sqrt, square, sub
from rtfunc.ops.comparison import bitwise_and, bitwise_or, eq, ge, le
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.exponential import exp, log, log1p, power
from rtfunc.ops.pad_slice import filled
from rtfunc.ops.reduce import reduce_max, reduce_or, reduce_sum
from rtfunc.ops.select import select
from rtfunc.ops.shape import expand_dims
from rtfunc.ops.special import normal_from_uniform_p
from rtfunc.ops.stop_gradient import stop_gradient_p
from rtfunc.random.distributions import above_minus_1, draw_normal
from rtfunc.random.keys import (
    element_words,
    random_words_of_each,
    split_each,
    split_words,
    words,
)
from rtfunc.random.uniform_bits import (
    Words,
    as_parameters,
    broadcast_parameters,
    draw_signs,
    scaled_floats,
    unit_floats_of,
)
from rtfunc.transforms.custom import custom_jvp

Shape = int | Sequence[int] | None


def gamma(key: ArrayLike, a: ArrayLike, shape: Shape = None, dtype: DtypeLike = None) -> Array:
    """Gamma distributed numbers: density x**(a - 1) exp(-x) / Gamma(a) for x >= 0, with a > 0.

    Divide by a rate, or multiply with a scale, for the other parameter. For small a most numbers
    are too small for the dtype and become 0: see `loggamma`. The result is 0 for a = 0, and NaN for
    a < 0. Derivatives flow to `a`: see the module.

    >>> from rtfunc.random import key
    >>> gamma(key(0), np.array([0.5, 3.0], "float32")).shape
    (2,)
    """
    key_words = words("gamma", key)
    dtype, (a,) = as_parameters("gamma", dtype, a)
    return draw_gamma(key_words, a, broadcast_parameters("gamma", shape, a))


def loggamma(key: ArrayLike, a: ArrayLike, shape: Shape = None, dtype: DtypeLike = None) -> Array:
    """Logarithms of gamma distributed numbers, accurate also where `gamma` would be 0.

    exp(loggamma(key, a)) is gamma(key, a) up to rounding, where that is not 0.

    >>> from rtfunc.random import key
    >>> loggamma(key(0), 0.001).shape
    ()
    """
    key_words = words("loggamma", key)
    dtype, (a,) = as_parameters("loggamma", dtype, a)
    return draw_loggamma(key_words, a, broadcast_parameters("loggamma", shape, a))


def draw_gamma(key_words: Words, a: Array, shape: tuple[int, ...]) -> Array:
    """As `gamma`, of the words of a key."""
    return _in_single(_gamma, key_words, broadcast_to(a, shape))


def draw_loggamma(key_words: Words, a: Array, shape: tuple[int, ...]) -> Array:
    """As `loggamma`, of the words of a key."""
    return _in_single(_loggamma, key_words, broadcast_to(a, shape))


def _in_single(sampler: Any, key_words: Words, a: Array) -> Array:
    wide = dtypes.compute_dtype(a.dtype)
    return convert(sampler(*key_words, convert(a, wide)), a.dtype)


@custom_jvp
def _gamma(first: Array, second: Array, a: Array) -> Array:
    d, v, boost_key = _marsaglia_tsang((first, second), a)
    one = scalar(1, a.dtype)
    u = sub(one, unit_floats_of(random_words_of_each(boost_key), a.dtype))
    boost = select(ge(a, one), one, power(u, div(one, a)))
    return _where_valid(a, mul(mul(d, v), boost))


@_gamma.defjvp
def _gamma_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    a, t = primals[2], tangents[2]
    x = _gamma(*primals)
    return x, mul(t, _slope(a, x))


@custom_jvp
def _loggamma(first: Array, second: Array, a: Array) -> Array:
    d, v, boost_key = _marsaglia_tsang((first, second), a)
    one, zero = scalar(1, a.dtype), scalar(0, a.dtype)
    log_u = log1p(neg(unit_floats_of(random_words_of_each(boost_key), a.dtype)))
    boosted = bitwise_or(ge(a, one), eq(log_u, zero))
    boost = select(boosted, zero, div(log_u, a))
    return _where_valid(a, add(add(log(d), log(v)), boost))


@_loggamma.defjvp
def _loggamma_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    a, t = primals[2], tangents[2]
    y = _loggamma(*primals)
    tiny = scalar(float(dtypes.finfo(a.dtype).tiny), a.dtype)
    x = maximum(exp(y), tiny)  # the ratio tends to a constant there
    return y, mul(t, div(_slope(a, x), x))


def _slope(a: Array, x: Array) -> Array:
    """The derivative of the sample x with respect to a."""
    from rtfunc.ops.special import random_gamma_grad

    return random_gamma_grad(a, x)


def _where_valid(a: Array, x: Array) -> Array:
    return select(ge(a, scalar(0, a.dtype)), x, scalar(np.nan, a.dtype))


def _marsaglia_tsang(key_words: Words, a: Array) -> tuple[Array, Array, Words]:
    """d and v of which d v is gamma distributed, of concentration a or, if that is below 1, a + 1.

    Also a key for each element, to come from a + 1 to a: with uniform u, a number times u**(1 / a).
    """
    one, third = scalar(1, a.dtype), scalar(1 / 3, a.dtype)
    half, squeeze = scalar(0.5, a.dtype), scalar(0.0331, a.dtype)
    keys, boost_key = split_each(element_words(key_words, a.shape))
    d = sub(select(ge(a, one), a, add(a, one)), third)
    c = div(third, sqrt(d))

    def attempt(state: Any) -> Any:
        keys, v, pending = state
        keys, for_v, for_u = split_each(keys, 3)
        x, root = _positive(for_v, c)
        square_x, cube = square(x), mul(square(root), root)
        u = unit_floats_of(random_words_of_each(for_u), a.dtype)
        rejected = bitwise_and(
            ge(u, sub(one, mul(squeeze, square(square_x)))),
            ge(log(u), add(mul(square_x, half), mul(d, add(sub(one, cube), log(cube))))),
        )
        return keys, select(pending, cube, v), bitwise_and(pending, rejected)

    start = keys, filled(a.shape, 1, a.dtype), filled(a.shape, True, dtypes.bool_)
    _, v, _ = while_loop(lambda state: reduce_or(state[2]), attempt, start)
    return d, v, boost_key


def _positive(keys: Words, c: Array) -> tuple[Array, Array]:
    """Normal numbers x with 1 + c x > 0, and that; those that are not are drawn again."""
    dtype, shape = c.dtype, c.shape
    zero, one = scalar(0, dtype), scalar(1, dtype)

    def attempt(state: Any) -> Any:
        keys, x, v = state
        keys, for_x = split_each(keys)
        floats = unit_floats_of(random_words_of_each(for_x), dtype)
        new = normal_from_uniform_p.bind(scaled_floats(floats, above_minus_1(dtype), 1.0))
        again = le(v, zero)
        return keys, select(again, new, x), select(again, add(one, mul(new, c)), v)

    start = keys, filled(shape, 0, dtype), filled(shape, -1, dtype)
    _, x, v = while_loop(lambda state: reduce_or(le(state[2], zero)), attempt, start)
    return x, v


# What is made of it


def beta(
    key: ArrayLike, a: ArrayLike, b: ArrayLike, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """Beta distributed numbers: density proportional to x**(a - 1) (1 - x)**(b - 1) in [0, 1].

    G_a / (G_a + G_b) of gamma numbers of concentrations a and b, taken from their logarithms.

    >>> from rtfunc.random import key
    >>> beta(key(0), 2.0, 3.0, (3,)).shape
    (3,)
    """
    key_words = words("beta", key)
    _, (a, b) = as_parameters("beta", dtype, a, b)
    shape = broadcast_parameters("beta", shape, a, b)
    for_a, for_b = split_words(key_words)
    log_a, log_b = draw_loggamma(for_a, a, shape), draw_loggamma(for_b, b, shape)
    largest = stop_gradient_p.bind(maximum(log_a, log_b))
    part_a, part_b = exp(sub(log_a, largest)), exp(sub(log_b, largest))
    return div(part_a, add(part_a, part_b))


def dirichlet(
    key: ArrayLike, alpha: ArrayLike, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """Vectors of non-negative numbers with sum 1, of density proportional to prod(x**(alpha - 1)).

    Arguments: alpha: concentrations, [..., n]; shape: the result's shape without its last axis, to
    which `alpha` without its last axis broadcasts.

    Gamma numbers of concentrations alpha over their sum, taken from their logarithms. Raises
    `ShapeError` for a scalar `alpha`.

    >>> from rtfunc.random import key
    >>> dirichlet(key(0), np.ones(3, "float32"), (2,)).shape
    (2, 3)
    """
    key_words = words("dirichlet", key)
    _, (alpha,) = as_parameters("dirichlet", dtype, alpha)
    if not alpha.ndim:
        raise ShapeError(
            at_user_line("random.dirichlet takes a vector of concentrations, not a scalar.")
        )
    n = alpha.shape[-1]
    if shape is not None:
        shape = (*as_shape(shape), n)
    logs = draw_loggamma(key_words, alpha, broadcast_parameters("dirichlet", shape, alpha))
    if not n:
        return logs
    last = logs.ndim - 1
    parts = exp(sub(logs, expand_dims(stop_gradient_p.bind(reduce_max(logs, -1)), (last,))))
    return div(parts, expand_dims(reduce_sum(parts, -1), (last,)))


def chisquare(key: ArrayLike, df: ArrayLike, shape: Shape = None, dtype: DtypeLike = None) -> Array:
    """Chi-square distributed numbers: density x**(df / 2 - 1) exp(-x / 2) / c for x >= 0, df > 0.

    Twice a gamma number of concentration df / 2; c = 2**(df / 2) Gamma(df / 2).

    >>> from rtfunc.random import key
    >>> chisquare(key(0), 3.0, (2,)).shape
    (2,)
    """
    key_words = words("chisquare", key)
    _, (df,) = as_parameters("chisquare", dtype, df)
    return _draw_chisquare(key_words, df, broadcast_parameters("chisquare", shape, df))


def _draw_chisquare(key_words: Words, df: Array, shape: tuple[int, ...]) -> Array:
    two = scalar(2, df.dtype)
    return mul(exp(draw_loggamma(key_words, div(df, two), shape)), two)


def f(
    key: ArrayLike, dfnum: ArrayLike, dfden: ArrayLike, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """F distributed numbers: the ratio of two chi-square numbers over their degrees of freedom.

    The density is proportional to x**(m / 2 - 1) (1 + x m / n)**(-(m + n) / 2) for x >= 0, with
    m = `dfnum` and n = `dfden`.

    >>> from rtfunc.random import key
    >>> f(key(0), 3.0, 5.0, (2,)).shape
    (2,)
    """
    key_words = words("f", key)
    _, (dfnum, dfden) = as_parameters("f", dtype, dfnum, dfden)
    shape = broadcast_parameters("f", shape, dfnum, dfden)
    for_den, for_num = split_words(key_words)
    numerator = div(_draw_chisquare(for_num, dfnum, shape), dfnum)
    return div(numerator, div(_draw_chisquare(for_den, dfden, shape), dfden))


def t(key: ArrayLike, df: ArrayLike, shape: Shape = None, dtype: DtypeLike = None) -> Array:
    """Student's t distributed numbers: density proportional to (1 + x**2 / df)**(-(df + 1) / 2).

    z sqrt((df / 2) / G) of normal z and gamma G of concentration df / 2.

    >>> from rtfunc.random import key
    >>> t(key(0), 4.0, (2,)).shape
    (2,)
    """
    key_words = words("t", key)
    dtype, (df,) = as_parameters("t", dtype, df)
    shape = broadcast_parameters("t", shape, df)
    for_normal, for_gamma = split_words(key_words)
    half = div(df, scalar(2, dtype))
    z = draw_normal(for_normal, shape, dtype)
    return mul(z, sqrt(div(half, draw_gamma(for_gamma, half, shape))))


def generalized_normal(
    key: ArrayLike, p: ArrayLike, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """Numbers of density exp(-|x|**p) / (2 Gamma(1 + 1/p)), with p > 0.

    p = 1 is the Laplace distribution, p = 2 the normal one of variance 1/2. A gamma number of
    concentration 1 / p to the power 1 / p, with a random sign.

    >>> from rtfunc.random import key
    >>> generalized_normal(key(0), 3.0, (2,)).shape
    (2,)
    """
    key_words = words("generalized_normal", key)
    _, (p,) = as_parameters("generalized_normal", dtype, p)
    return draw_generalized_normal(
        key_words, p, broadcast_parameters("generalized_normal", shape, p)
    )


def draw_generalized_normal(key_words: Words, p: Array, shape: tuple[int, ...]) -> Array:
    """As `generalized_normal`, of the words of a key."""
    for_size, for_sign = split_words(key_words)
    inverse = div(scalar(1, p.dtype), p)
    size = power(draw_gamma(for_size, inverse, shape), inverse)
    return mul(convert(draw_signs(for_sign, shape), p.dtype), size)
