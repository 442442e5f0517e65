"""Functions that oscillate, and integrals related to them and to the normal distribution.

Fresnel, sine and cosine integrals, Dawson's integral, the Faddeeva function, Owen's T, Bessel functions
and spherical harmonics.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, TracerError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.index_expressions import known_values
from rtfunc.ops.convert import as_array, convert, promote_inexact
from rtfunc.ops.special import (
    bessel_j,
    cosine_integral,
    fresnel_c,
    fresnel_s,
    owens_t_p,
    sine_integral,
    wofz_p,
)
from rtfunc.ops.special import dawsn as dawsn


def fresnel(x: ArrayLike) -> tuple[Array, Array]:
    """The Fresnel integrals (S(x), C(x)) of sin(pi t**2 / 2) and cos(pi t**2 / 2) over t in [0, x].

    >>> fresnel(1.0)[0]
    Array(0.43825915, dtype=float32, weak_type=True)
    """
    return fresnel_s(x), fresnel_c(x)


def sici(x: ArrayLike) -> tuple[Array, Array]:
    """The sine integral Si(x) and the cosine integral Ci(|x|), elementwise.

    Si(x) is the integral of sin(t) / t from 0 to x, Ci(x) minus that of cos(t) / t from x on.

    >>> sici(1.0)[0]
    Array(0.94608307, dtype=float32, weak_type=True)
    """
    return sine_integral(x), cosine_integral(x)


def wofz(z: ArrayLike) -> Array:
    """The Faddeeva function exp(-z**2) erfc(-i z), elementwise; always complex.

    In the upper half plane within some units in the last place of |w|; below, with the accuracy of
    exp(-z**2).

    >>> wofz(1j)
    Array(0.42758358+0.j, dtype=complex64, weak_type=True)
    """
    (z,) = promote_inexact("wofz", z)
    return wofz_p.bind(convert(z, dtypes.complex_of(z.dtype), z.weak_type))


def owens_t(h: ArrayLike, a: ArrayLike) -> Array:
    """Owen's T: the probability of X > h and 0 < Y < a X for independent normal X, Y.

    It is the integral of exp(-h**2 (1 + x**2) / 2) / (1 + x**2) / (2 pi) over x from 0 to a. In
    float64 within some 50 ulp, most of them those of exp(-h**2 / 2) for large h.

    >>> owens_t(0.0, 1.0)
    Array(0.125, dtype=float32, weak_type=True)
    """
    return owens_t_p.bind(*promote_inexact("owens_t", h, a))


def bessel_jn(z: ArrayLike, *, v: int, n_iter: int = 50) -> Array:
    """The Bessel functions of the first kind of the orders 0 to v at real z, stacked on a new first axis.

    Arguments: v: the largest order, not negative; n_iter: taken for JAX's sake; as many steps are made
    as the accuracy of `rtfunc.ops.special.bessel_j` needs.

    >>> bessel_jn(1.0, v=1)
    Array([0.7651977 , 0.44005057], dtype=float32, weak_type=True)
    """
    order = as_integer("bessel_jn", "v", v)
    if order < 0:
        raise ArgumentError(at_user_line(f"bessel_jn: v is not negative, got {order}."))
    (z,) = promote_inexact("bessel_jn", z)
    if dtypes.is_complex(z.dtype):
        raise DtypeError(at_user_line(f"bessel_jn takes real numbers, not {z.dtype}."))
    orders = np.arange(order + 1, dtype=np.int32).reshape(-1, *(1,) * z.ndim)
    return bessel_j(orders, z)


def sph_harm_y(
    n: ArrayLike,
    m: ArrayLike,
    theta: ArrayLike,
    phi: ArrayLike,
    diff_n: int | None = None,
    n_max: int | None = None,
) -> Array:
    """The spherical harmonics Y_n^m(theta, phi), complex, with the Condon-Shortley phase.

    Arguments:
      n, m: degree n >= 0 and order, |m| <= n, whole numbers; 0 where |m| > n.
      theta: the angle from the pole (colatitude), in radians.
      phi: the angle around it (longitude), in radians.
      diff_n: not supported; differentiate the function instead.
      n_max: the largest degree, needed where n is traced.

    All broadcast; derivatives flow to the angles. The normalized associated Legendre functions come
    from their recurrences in m, then in n (NIST Digital Library of Mathematical Functions, 14.10.3).

    >>> sph_harm_y(0, 0, 0.3, 0.1)
    Array(0.2820948+0.j, dtype=complex64)
    """
    if diff_n is not None:
        raise ArgumentError(
            at_user_line("sph_harm_y: diff_n= is not supported. Use grad or jvp of the function.")
        )
    n, m = (as_array("sph_harm_y", x) for x in (n, m))
    if not (dtypes.is_integer(n.dtype) and dtypes.is_integer(m.dtype)):
        raise DtypeError(
            at_user_line(f"sph_harm_y takes whole n and m, not {n.dtype} and {m.dtype}.")
        )
    theta, phi = promote_inexact("sph_harm_y", theta, phi)
    if dtypes.is_complex(theta.dtype):
        raise DtypeError(at_user_line(f"sph_harm_y takes real angles, not {theta.dtype}."))
    if n_max is None:
        values = known_values(n)
        if values is None:
            raise TracerError(
                at_user_line(
                    "sph_harm_y: the largest degree has to be known, but n is traced. Pass n_max=..."
                )
            )
        n_max = int(values.max(initial=0))
    x, sine, order = rnp.cos(theta), rnp.sin(theta), rnp.abs(m)
    legendre = _normalized_legendre(n, order, x, sine, as_integer("sph_harm_y", "n_max", n_max))
    sign = rnp.where((m < 0) & (order % 2 == 1), -1.0, 1.0)
    angle = rnp.astype(m, phi.dtype) * phi
    size = sign * legendre
    return rnp.where(order <= n, size, 0.0) * (rnp.cos(angle) + 1j * rnp.sin(angle))


def _normalized_legendre(n: Array, m: Array, x: Array, sine: Any, n_max: int) -> Array:
    """The associated Legendre functions times their norm, of degrees n and orders m >= 0."""
    order = rnp.astype(m, x.dtype)
    square = order * order
    here: Any = math.sqrt(1 / (4 * math.pi)) + 0 * (x + order)
    for k in range(1, n_max + 1):  # of degree m
        here = rnp.where(k <= m, -math.sqrt((2 * k + 1) / (2 * k)) * sine * here, here)
    below, out = 0 * here, rnp.where(n == m, here, 0.0)
    for k in range(1, n_max + 1):  # from degree k - 1 to k, where that is at least m
        above_order = k > m
        gap = rnp.where(above_order, k * k - square, 1.0)
        last = rnp.where(above_order, (k - 1) ** 2 - square, 0.0)
        step = rnp.sqrt((4 * k * k - 1) / gap) * x * here
        if k > 1:
            # not the root itself where it is 0, for its derivative's sake
            step = step - rnp.sqrt(last / gap * ((2 * k + 1) / (2 * k - 3))) * below
        below, here = rnp.where(above_order, here, below), rnp.where(above_order, step, here)
        out = rnp.where(n == k, here, out)
    return out
