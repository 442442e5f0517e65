"""Distributions of counts: Poisson, binomial, multinomial, geometric.

Small means are drawn by adding up waiting times, large ones by transformed rejection: Hörmann, "The
transformed rejection method for generating Poisson random variables" (1993) and "The generation of
binomial random variates" (1993). All elements go through one loop, which ends when the last of them is
accepted. The algorithms and their use of keys are those of `jax.random`, whose values these equal but
where a comparison hangs on the last bits: more often so for large means, whose logarithms of
probabilities are computed here without the cancellation. Counts have no derivatives. Depends on
`uniform_bits`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.lax.loops import scan, while_loop
from rtfunc.numpy.indexing import take
from rtfunc.ops.arithmetic import add, div, maximum, mul, neg, sqrt, sub
from rtfunc.ops.comparison import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    eq,
    ge,
    gt,
    le,
    lt,
)
from rtfunc.ops.complex import abs_
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.cumulative import cumsum_p
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.exponential import log, log1p
from rtfunc.ops.pad_slice import filled
from rtfunc.ops.reduce import reduce_or
from rtfunc.ops.rounding import ceil, floor, is_finite
from rtfunc.ops.select import clamp, select
from rtfunc.ops.shape import transpose
from rtfunc.ops.stop_gradient import stop_gradient_p
from rtfunc.random.keys import split, split_words, words
from rtfunc.random.uniform_bits import (
    Words,
    as_parameters,
    broadcast_parameters,
    draw_uniform,
    integer_dtype,
)

Shape = int | Sequence[int] | None


def _constants(
    operation: str, dtype: DtypeLike, *values: ArrayLike
) -> tuple[np.dtype, list[Array]]:
    """Parameters as floats of 32 or 64 bits, through which no derivative flows."""
    dtype, arrays = as_parameters(operation, dtype, *values)
    wide = dtypes.compute_dtype(dtype)
    return dtype, [stop_gradient_p.bind(convert(x, wide)) for x in arrays]


def geometric(
    key: ArrayLike, p: ArrayLike, shape: Shape = None, dtype: DtypeLike = "int32"
) -> Array:
    """How many trials of success probability `p` it takes to the first success: 1, 2, 3 ...

    Probability p (1 - p)**(k - 1) of k. floor(log(u) / log(1 - p)) + 1 of uniform u. Raises
    `DtypeError` where `dtype` is no integer dtype; counts that do not fit become its maximum.

    >>> from rtfunc.random import key
    >>> geometric(key(0), 0.5, (3,)).shape
    (3,)
    """
    key_words, dtype = words("geometric", key), integer_dtype("geometric", dtype)
    _, (p,) = _constants("geometric", None, p)
    shape = broadcast_parameters("geometric", shape, p)
    one = scalar(1, p.dtype)
    u = draw_uniform(key_words, shape, p.dtype)
    u = select(eq(u, scalar(0, p.dtype)), one, u)
    return convert(add(floor(div(log(u), log1p(neg(p)))), one), dtype)


# Poisson


def poisson(
    key: ArrayLike, lam: ArrayLike, shape: Shape = None, dtype: DtypeLike = "int32"
) -> Array:
    """Poisson distributed counts: probability lam**k exp(-lam) / k! of k = 0, 1, 2 ...

    `lam` broadcasts to `shape`, by default its own. Below 10, counts are drawn by Knuth's method,
    above by Hörmann's PTRS. Where `lam` is negative, infinite or NaN, the result is -1 (0 in an
    unsigned dtype). Computed in float32, or float64 where `lam` is that, so counts above 2**24 (2**53)
    are not exact. Raises `DtypeError` where `dtype` is no integer dtype.

    >>> from rtfunc.random import key
    >>> poisson(key(0), 4.0, (3,)).shape
    (3,)
    """
    key_words, dtype = words("poisson", key), integer_dtype("poisson", dtype)
    _, (lam,) = _constants("poisson", None, lam)
    rate: Array = broadcast_to(lam, broadcast_parameters("poisson", shape, lam))
    number = _numbers_of(rate.dtype)
    valid = bitwise_and(ge(rate, number(0)), is_finite(rate))
    small = bitwise_or(lt(rate, number(10)), bitwise_not(valid))
    count = select(
        small,
        _poisson_by_waiting(key_words, select(bitwise_and(small, valid), rate, number(0))),
        _poisson_by_rejection(key_words, select(small, number(1e5), rate)),
    )
    return convert(select(valid, count, number(-1)), dtype)


def _poisson_by_waiting(key_words: Words, lam: Array) -> Array:
    """Knuth, "The Art of Computer Programming", volume 2: exponential waiting times up to lam."""
    dtype, shape = lam.dtype, lam.shape
    one, limit = scalar(1, dtype), neg(lam)

    def step(state: Any) -> Any:
        keys, count, total = state
        keys, subkey = split_words(keys)
        u = draw_uniform(subkey, shape, dtype)
        return keys, select(gt(total, limit), add(count, one), count), add(total, log(u))

    start = key_words, filled(shape, 0, dtype), filled(shape, 0, dtype)
    _, count, _ = while_loop(lambda state: reduce_or(gt(state[2], limit)), step, start)
    return maximum(sub(count, one), scalar(0, dtype))


def _poisson_by_rejection(key_words: Words, lam: Array) -> Array:
    """Hörmann's algorithm PTRS, for lam >= 10."""
    dtype, shape = lam.dtype, lam.shape
    number = _numbers_of(dtype)
    b = add(number(0.931), mul(number(2.53), sqrt(lam)))
    a = add(number(-0.059), mul(number(0.02483), b))
    inv_alpha = add(number(1.1239), div(number(1.1328), sub(b, number(3.4))))
    v_r = sub(number(0.9277), div(number(3.6224), sub(b, number(2))))

    def attempt(state: Any) -> Any:
        keys, count, pending = state
        keys, for_u, for_v = split_words(keys, 3)
        u = sub(draw_uniform(for_u, shape, dtype), number(0.5))
        v = draw_uniform(for_v, shape, dtype)
        us = sub(number(0.5), abs_(u))
        k = floor(add(add(mul(add(div(mul(number(2), a), us), b), u), lam), number(0.43)))
        s = log(div(mul(v, inv_alpha), add(div(a, mul(us, us)), b)))
        at_once = bitwise_and(ge(us, number(0.07)), le(v, v_r))
        out = bitwise_or(lt(k, number(0)), bitwise_and(lt(us, number(0.013)), gt(v, us)))
        accepted = bitwise_or(
            at_once, bitwise_and(bitwise_not(out), le(s, _log_poisson(maximum(k, number(0)), lam)))
        )
        # As JAX does, the last accepted number counts, not the first: either is a sample.
        return keys, select(accepted, k, count), bitwise_and(pending, bitwise_not(accepted))

    start = key_words, filled(shape, -1, dtype), filled(shape, True, dtypes.bool_)
    return while_loop(lambda state: reduce_or(state[2]), attempt, start)[1]


def _log_poisson(k: Array, lam: Array) -> Array:
    """log(lam**k exp(-lam) / k!), without cancellation between terms of the size of lam."""
    number = _numbers_of(lam.dtype)
    above = add(k, number(1))
    delta = div(sub(lam, above), above)
    whole = sub(mul(k, sub(log1p(delta), delta)), delta)
    half = mul(number(0.5), log(mul(above, number(2 * math.pi))))
    return sub(sub(whole, half), _stirling_tail(k))


def _numbers_of(dtype: np.dtype) -> Any:
    return lambda value: scalar(value, dtype)


#: log(k!) minus Stirling's (k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2, for k from 0 to 9.
_TAILS = (0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
          0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
          0.00925546218271273, 0.00833056343336287)  # fmt: skip


def _stirling_tail(k: Array) -> Array:
    """What Stirling's formula lacks to log(k!): tabulated, or its series."""
    number = _numbers_of(k.dtype)
    table = Array(np.array(_TAILS, k.dtype))
    in_table = convert(clamp(number(0), k, number(9)), dtypes.int32)
    above = add(k, number(1))
    squared = mul(above, above)
    series = sub(number(1 / 360), div(number(1 / 1260), squared))
    series = div(sub(number(1 / 12), div(series, squared)), above)
    return select(le(k, number(9)), take(table, in_table), series)


# Binomial


def binomial(
    key: ArrayLike, n: ArrayLike, p: ArrayLike, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """How many of `n` trials of success probability `p` succeed, as floats.

    Probability n! / (k! (n - k)!) p**k (1 - p)**(n - k) of k. `n` and `p` broadcast to `shape`, by
    default their common shape; the dtype is theirs by default. For min(p, 1 - p) n up to 10 the trials
    between two successes are drawn, above it goes by Hörmann's BTRS. `n` that is no integer is rounded
    down; the result is NaN for negative `n` or `p` outside [0, 1] and infinite for infinite `n`.

    >>> from rtfunc.random import key
    >>> binomial(key(0), 10, 0.3, (3,)).shape
    (3,)
    """
    key_words = words("binomial", key)
    dtype, (n, p) = _constants("binomial", dtype, n, p)
    shape = broadcast_parameters("binomial", shape, n, p)
    return convert(_draw_binomial(key_words, broadcast_to(n, shape), broadcast_to(p, shape)), dtype)


def _draw_binomial(key_words: Words, n: Array, p: Array) -> Array:
    number = _numbers_of(p.dtype)
    rare = lt(p, number(0.5))
    q = select(rare, p, sub(number(1), p))
    valid = bitwise_and(ge(q, number(0)), ge(n, number(0)))  # neither is NaN
    infinite = eq(n, number(np.inf))
    q = select(valid, q, number(0.01))
    few = bitwise_or(bitwise_not(valid), le(mul(n, q), number(10)))
    plain = bitwise_and(valid, bitwise_not(infinite))
    n = floor(n)
    count = select(
        few,
        _binomial_by_waiting(key_words, select(bitwise_and(few, plain), n, number(0)), q),
        _binomial_by_rejection(
            key_words,
            select(bitwise_or(few, infinite), number(1e4), n),
            select(few, number(0.5), q),
        ),
    )
    count = select(rare, count, sub(n, count))
    return select(valid, select(infinite, n, count), number(np.nan))


def _binomial_by_waiting(key_words: Words, n: Array, q: Array) -> Array:
    """How many geometric numbers fit into n trials."""
    dtype, shape = q.dtype, q.shape
    number = _numbers_of(dtype)
    log_failure = log1p(neg(q))

    def step(state: Any) -> Any:
        keys, count, total = state
        subkey, keys = split_words(keys)
        count = select(le(total, n), add(count, number(1)), count)
        u = draw_uniform(subkey, shape, dtype)
        return keys, count, add(total, ceil(div(log(u), log_failure)))

    start = key_words, filled(shape, 0, dtype), filled(shape, 0, dtype)
    _, count, _ = while_loop(lambda state: reduce_or(le(state[2], n)), step, start)
    return sub(count, number(1))


def _binomial_by_rejection(key_words: Words, n: Array, q: Array) -> Array:
    """Hörmann's algorithm BTRS, for n q >= 10."""
    dtype, shape = q.dtype, q.shape
    number = _numbers_of(dtype)
    one, half = number(1), number(0.5)
    stddev = sqrt(mul(mul(n, q), sub(one, q)))
    b = add(number(1.15), mul(number(2.53), stddev))
    a = add(add(number(-0.0873), mul(number(0.0248), b)), mul(number(0.01), q))
    c = add(mul(n, q), half)
    v_r = sub(number(0.92), div(number(4.2), b))
    odds = div(q, sub(one, q))
    alpha = mul(add(number(2.83), div(number(5.1), b)), stddev)
    m = floor(mul(add(n, one), q))
    n_above, above_m = add(n, one), add(sub(n, m), one)
    at_mode = add(
        mul(add(m, half), log(div(add(m, one), mul(odds, above_m)))),
        add(_stirling_tail(m), _stirling_tail(sub(n, m))),
    )

    def attempt(state: Any) -> Any:
        keys, count, pending = state
        keys, for_u, for_v = split_words(keys, 3)
        u = sub(draw_uniform(for_u, shape, dtype), half)
        v = draw_uniform(for_v, shape, dtype)
        us = sub(half, abs_(u))
        at_once = bitwise_and(ge(us, number(0.07)), le(v, v_r))
        k = floor(add(mul(add(div(mul(number(2), a), us), b), u), c))
        inside = bitwise_and(ge(k, number(0)), le(k, n))
        v = log(div(mul(v, alpha), add(div(a, mul(us, us)), b)))
        j = clamp(number(0), k, n)  # where it is outside, what is computed is not used
        above = add(sub(n, j), one)
        bound = add(
            add(at_mode, mul(n_above, log(div(above_m, above)))),
            mul(add(j, half), log(div(mul(odds, above), add(j, one)))),
        )
        bound = sub(sub(bound, _stirling_tail(j)), _stirling_tail(sub(n, j)))
        accepted = bitwise_or(at_once, bitwise_and(inside, le(v, bound)))
        return keys, select(accepted, k, count), bitwise_and(pending, bitwise_not(accepted))

    start = key_words, filled(shape, -1, dtype), filled(shape, True, dtypes.bool_)
    return while_loop(lambda state: reduce_or(state[2]), attempt, start)[1]


def multinomial(
    key: ArrayLike, n: ArrayLike, p: ArrayLike, *, shape: Shape = None, dtype: DtypeLike = None
) -> Array:
    """How often each of several outcomes comes in `n` trials, as floats: [..., k], summing to n.

    Probability n! / (x_1! ... x_k!) p_1**x_1 ... p_k**x_k.

    Arguments:
      n: trials; broadcasts to `shape`.
      p: probabilities of the outcomes, [..., k], up to a factor.
      shape: the result's shape without its last axis, to which `p` without its last axis broadcasts.

    Each outcome is drawn by `binomial` among the trials that are left, given that none of the earlier
    ones has come. Raises `ShapeError` for a scalar `p`.

    >>> from rtfunc.random import key
    >>> multinomial(key(0), 10, np.array([0.2, 0.3, 0.5])).sum()
    Array(10., dtype=float64)
    """
    words("multinomial", key)
    dtype, (n, p) = _constants("multinomial", dtype, n, p)
    if not p.ndim:
        raise ShapeError(
            at_user_line("random.multinomial takes a vector of probabilities, not a scalar.")
        )
    k = p.shape[-1]
    whole = None if shape is None else (*as_shape(shape), k)
    lifted = broadcast_parameters("multinomial", None, n)
    whole = broadcast_parameters("multinomial", whole, p, filled((*lifted, 1), 0, p.dtype))
    trials: Array = broadcast_to(n, whole[:-1])
    each: Array = broadcast_to(p, whole)
    if not k:
        return convert(each, dtype)
    each = transpose(each, (each.ndim - 1, *range(each.ndim - 1)))
    left = cumsum_p.bind(each, axis=0, reverse=True)
    number = _numbers_of(each.dtype)
    ratios = div(each, select(eq(left, number(0)), number(1), left))
    ratios = clamp(number(0), ratios, number(1))

    def outcome(left: Any, given: Any) -> Any:
        ratio, subkey = given
        count = _draw_binomial(words("multinomial", subkey), left, ratio)
        return sub(left, count), count

    _, counts = scan(outcome, trials, (ratios, split(key, k)))
    return convert(transpose(counts, (*range(1, counts.ndim), 0)), dtype)
