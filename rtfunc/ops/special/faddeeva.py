"""The Faddeeva function w(z) = exp(-z**2) erfc(-i z) of complex numbers.

In the first quadrant the midpoint or the trapezoidal rule for its integral, with the residue of the
pole at z where that is near, as M. Al Azah and S. Chandler-Wilde have it (Computation of the complex
error function using modified trapezoidal rules, SIAM Journal on Numerical Analysis 59, 2021, table 1);
elsewhere by symmetry. Depends on `blocks`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.ops.arithmetic import mul, sub
from rtfunc.ops.convert import scalar
from rtfunc.ops.elementwise import elementwise
from rtfunc.ops.special.blocks import fill, in_blocks

_COUNT = 11
_STEP = math.sqrt(math.pi / (_COUNT + 1))


def _rule(z: Any, places: list[float]) -> Any:
    """The sum of exp(-t**2) / (z**2 - t**2) over the places t, times 2 i h z / pi."""
    square = z * z
    total = 0.0
    for t in reversed(places):
        total = total + math.exp(-t * t) / (square - t * t)
    return 2j * _STEP / math.pi * z * total


def _midpoint(z: Any) -> Any:
    return _rule(z, [(k + 0.5) * _STEP for k in range(_COUNT + 1)])


def _trapezoidal(z: Any) -> Any:
    return 1j * _STEP / math.pi / z + _rule(z, [k * _STEP for k in range(1, _COUNT + 1)])


def _residue(xp: Any, z: Any, sign: int) -> Any:
    """2 exp(-z**2) / (1 + sign exp(-2 pi i z / h)), whose exponential may be too large."""
    turn = xp.exp(2j * math.pi / _STEP * z)
    return 2 * xp.exp(-z * z) * turn / (turn + sign)


def _first_quadrant(xp: Any, z: Any) -> Any:
    x, y = z.real, z.imag
    out = xp.empty_like(z)
    alone = y >= xp.maximum(x, math.pi / _STEP)
    fraction = x / _STEP - xp.floor(x / _STEP)
    between = (y < x) & (fraction >= 0.25) & (fraction <= 0.75)
    fill(xp, out, alone, _midpoint, z)
    fill(xp, out, ~alone & between, lambda z: _trapezoidal(z) + _residue(xp, z, -1), z)
    fill(xp, out, ~alone & ~between, lambda z: _midpoint(z) + _residue(xp, z, 1), z)
    return out


def _kernel(xp: Any, z: Any) -> Any:
    z = z.astype(np.complex128)
    x, y = xp.abs(z.real), xp.abs(z.imag)
    q = x + 1j * y
    out = xp.full_like(z, complex(math.nan, math.nan))
    far = (x > 1e8) | (y > 1e8)
    usual = ~far & (x == x) & (y == y)
    fill(xp, out, usual, lambda z: _first_quadrant(xp, z), q)
    # i / (sqrt(pi) z), of which infinite parts leave 0
    size = xp.maximum(x, y)
    fill(xp, out, far & (size < np.inf), lambda z: 1j / (math.sqrt(math.pi) * z), q)
    out[far & (size == np.inf)] = 0
    below = z.imag < 0
    # w(-z) = 2 exp(-z**2) - w(z), and the conjugate of w(z) is w of minus the conjugate of z
    fill(xp, out, below, lambda q, w: 2 * xp.exp(-q * q) - w, q, out)
    return xp.where((z.real < 0) ^ below, xp.conj(out), out)


def _slope(t: Any, w: Any, z: Any) -> Array:
    constant = scalar(2j / math.sqrt(math.pi), z.dtype)
    return mul(t, sub(constant, mul(scalar(2, z.dtype), mul(z, w))))


wofz_p = elementwise(
    "wofz",
    in_blocks(_kernel),
    over=dtypes.complexes,
    derivatives=(_slope,),
)
