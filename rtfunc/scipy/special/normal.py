"""The error functions and the normal distribution."""

from __future__ import annotations

import math

from rtfunc.core.array import Array, ArrayLike
from rtfunc.numpy.arguments import constant
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.convert import promote_inexact
from rtfunc.ops.special import erf as erf
from rtfunc.ops.special import erf_inv
from rtfunc.ops.special import erfc as erfc
from rtfunc.ops.special import erfcx as erfcx
from rtfunc.ops.special import log_ndtr as log_ndtr
from rtfunc.ops.special import ndtri as ndtri

erfinv = erf_inv


def ndtr(x: ArrayLike) -> Array:
    """The normal distribution function: the probability of values below x, elementwise.

    >>> ndtr(0.0)
    Array(0.5, dtype=float32, weak_type=True)
    """
    (x,) = promote_inexact("ndtr", x)
    return mul(constant(0.5, x), erfc(mul(constant(-math.sqrt(0.5), x), x)))
