"""Logarithms with their limits at 0: entropies, divergences, the logit, Box-Cox transforms.

0 log(0) is 0 here, and the derivatives at such points are those of the formula, infinite where it is
steep, as in JAX. Compositions of primitives, so that compiled code fuses them.
"""

from __future__ import annotations

import math
from typing import Any

from rtfunc.core.array import Array, ArrayLike
from rtfunc.numpy.arguments import constant
from rtfunc.ops.arithmetic import add, div, mul, neg, sub
from rtfunc.ops.comparison import bitwise_and, bitwise_or, eq, ge, gt, lt, ne
from rtfunc.ops.complex import abs_
from rtfunc.ops.convert import promote_inexact
from rtfunc.ops.exponential import expm1, log, log1p
from rtfunc.ops.exponential import logistic as expit  # noqa: F401
from rtfunc.ops.select import select
from rtfunc.ops.trigonometry import atanh
from rtfunc.transforms.custom import custom_jvp


def _unless_zero(x: Any, value: Any, other: Any) -> Array:
    """`value`, but 0 where x is 0 and `other` is not NaN."""
    zero = constant(0, x)
    return select(bitwise_and(eq(x, zero), eq(other, other)), zero, value)


def _times_quotient(t: Any, x: Any, y: Any) -> Array:
    """t x / y, and 0 for x = y = 0."""
    return mul(t, _unless_zero(x, div(x, y), y))


@custom_jvp
def _xlogy(x: Any, y: Any) -> Any:
    return _unless_zero(x, mul(x, log(y)), y)


@_xlogy.defjvp
def _xlogy_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (tx, ty) = primals, tangents
    return _xlogy(x, y), add(mul(tx, log(y)), _times_quotient(ty, x, y))


def xlogy(x: ArrayLike, y: ArrayLike) -> Array:
    """x log(y), elementwise, and 0 where x is 0 (unless y is NaN).

    >>> xlogy(0.0, 0.0)
    Array(0., dtype=float32, weak_type=True)
    """
    return _xlogy(*promote_inexact("xlogy", x, y))


@custom_jvp
def _xlog1py(x: Any, y: Any) -> Any:
    return _unless_zero(x, mul(x, log1p(y)), y)


@_xlog1py.defjvp
def _xlog1py_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (tx, ty) = primals, tangents
    by_y = _times_quotient(ty, x, add(y, constant(1, y)))
    return _xlog1py(x, y), add(mul(tx, log1p(y)), by_y)


def xlog1py(x: ArrayLike, y: ArrayLike) -> Array:
    """x log(1 + y), elementwise, accurate near y = 0, and 0 where x is 0 (unless y is NaN).

    >>> xlog1py(0.0, -1.0)
    Array(0., dtype=float32, weak_type=True)
    """
    return _xlog1py(*promote_inexact("xlog1py", x, y))


@custom_jvp
def _xlogx(x: Any) -> Any:
    return _unless_zero(x, mul(x, log(x)), x)


@_xlogx.defjvp
def _xlogx_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _xlogx(x), mul(t, add(log(x), constant(1, x)))


def entr(x: ArrayLike) -> Array:
    """The entropy -x log(x), elementwise; 0 at 0 and minus infinity for x < 0.

    >>> entr(0.5)
    Array(0.3465736, dtype=float32, weak_type=True)
    """
    (x,) = promote_inexact("entr", x)
    return select(lt(x, constant(0, x)), constant(-math.inf, x), neg(_xlogx(x)))


@custom_jvp
def _divergence(p: Any, q: Any) -> Any:
    return _unless_zero(p, mul(p, log(div(p, q))), q)


@_divergence.defjvp
def _divergence_jvp(primals: Any, tangents: Any) -> Any:
    (p, q), (tp, tq) = primals, tangents
    by_p = mul(tp, add(log(div(p, q)), constant(1, p)))
    return _divergence(p, q), sub(by_p, _times_quotient(tq, p, q))


def rel_entr(p: ArrayLike, q: ArrayLike) -> Array:
    """p log(p / q), elementwise: 0 for p = 0 and q >= 0, infinite for other p, q that are not positive.

    >>> rel_entr(1.0, 0.5)
    Array(0.6931472, dtype=float32, weak_type=True)
    """
    p, q = promote_inexact("rel_entr", p, q)
    zero, one = constant(0, p), constant(1, p)
    both = bitwise_and(gt(p, zero), gt(q, zero))
    empty = bitwise_and(eq(p, zero), ge(q, zero))
    defined = bitwise_or(both, bitwise_or(empty, bitwise_or(ne(p, p), ne(q, q))))
    value = _divergence(select(defined, p, one), select(defined, q, one))
    return select(defined, value, constant(math.inf, p))


def kl_div(p: ArrayLike, q: ArrayLike) -> Array:
    """p log(p / q) - p + q, elementwise: the summands of the Kullback-Leibler divergence.

    >>> kl_div(1.0, 0.5)
    Array(0.19314718, dtype=float32, weak_type=True)
    """
    p, q = promote_inexact("kl_div", p, q)
    return add(sub(rel_entr(p, q), p), q)


def logit(p: ArrayLike) -> Array:
    """log(p / (1 - p)), elementwise: the inverse of `expit`, accurate near 0, 1/2 and 1.

    >>> logit(0.5)
    Array(0., dtype=float32, weak_type=True)
    """
    (p,) = promote_inexact("logit", p)
    half, quarter = constant(0.5, p), constant(0.25, p)
    offset = sub(p, half)
    near = lt(abs_(offset), quarter)
    middle = atanh(mul(constant(2, p), select(near, offset, constant(0, p))))
    safe = select(near, quarter, p)
    return select(near, mul(constant(2, p), middle), sub(log(safe), log1p(neg(safe))))


def boxcox(x: ArrayLike, lmbda: ArrayLike) -> Array:
    """(x**lmbda - 1) / lmbda, elementwise, and log(x) for lmbda = 0.

    >>> boxcox(4.0, 0.5)
    Array(2., dtype=float32, weak_type=True)
    """
    x, power = promote_inexact("boxcox", x, lmbda)
    return _power_transform(log(x), power)


def boxcox1p(x: ArrayLike, lmbda: ArrayLike) -> Array:
    """((1 + x)**lmbda - 1) / lmbda, elementwise, and log(1 + x) for lmbda = 0.

    >>> boxcox1p(3.0, 0.5)
    Array(2., dtype=float32, weak_type=True)
    """
    x, power = promote_inexact("boxcox1p", x, lmbda)
    return _power_transform(log1p(x), power)


def _power_transform(logarithm: Any, power: Any) -> Array:
    """expm1(power logarithm) / power; near power = 0 its expansion, which derivatives need."""
    product = mul(power, logarithm)
    small = lt(abs_(product), constant(1e-3, power))
    zero = eq(power, constant(0, power))
    near = bitwise_or(small, zero)
    half, sixth, last = (constant(v, power) for v in (1 / 2, 1 / 6, 1 / 24))
    series = add(half, mul(product, add(sixth, mul(product, last))))
    series = mul(logarithm, add(constant(1, power), mul(product, series)))
    safe = select(near, constant(1, power), power)
    return select(near, series, div(expm1(mul(safe, logarithm)), safe))
