"""What all distributions do with arguments: common dtype, standard variate, support."""

from __future__ import annotations

import math
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.numpy.arguments import constant
from rtfunc.ops.convert import promote_inexact


def real_arguments(operation: str, *operands: ArrayLike) -> list[Array]:
    """The operands in their common float dtype; `DtypeError` for complex numbers."""
    arrays = promote_inexact(operation, *operands)
    if dtypes.is_complex(arrays[0].dtype):
        raise DtypeError(
            at_user_line(f"{operation} takes real numbers, but got {arrays[0].dtype}.")
        )
    return arrays


def within(support: Any, x: Array, inside: float) -> Array:
    """`x` where it lies in the support, and a harmless value elsewhere, for derivatives' sake."""
    return rnp.where(support, x, constant(inside, x))


def outside_impossible(support: Any, logarithm: Array, x: Array) -> Array:
    """`logarithm`, and minus infinity where `x` is not in the support; NaN stays."""
    out = rnp.where(support, logarithm, constant(-math.inf, logarithm))
    return rnp.where(rnp.isnan(x), x, out)
