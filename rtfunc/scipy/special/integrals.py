"""Exponential integrals, Spence's function and modified Bessel functions."""

from __future__ import annotations

from rtfunc.core.array import Array, ArrayLike
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.complex import abs_
from rtfunc.ops.convert import promote_inexact
from rtfunc.ops.exponential import exp
from rtfunc.ops.special import bessel_i0e, bessel_i1e
from rtfunc.ops.special import expi as expi
from rtfunc.ops.special import expn as expn
from rtfunc.ops.special import spence as spence

i0e = bessel_i0e
i1e = bessel_i1e


def exp1(x: ArrayLike) -> Array:
    """The exponential integral E1(x), the integral of exp(-t) / t over t >= x, elementwise; NaN for x < 0.

    >>> exp1(1.0)
    Array(0.21938394, dtype=float32, weak_type=True)
    """
    return expn(1, x)


def i1(x: ArrayLike) -> Array:
    """The modified Bessel function of the first kind of order 1, elementwise.

    >>> i1(1.0)
    Array(0.56515914, dtype=float32, weak_type=True)
    """
    (x,) = promote_inexact("i1", x)
    return mul(exp(abs_(x)), bessel_i1e(x))
