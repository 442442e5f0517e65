"""What functions of this package do with arguments: constants beside them, and refusing `out=`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.ops.elementwise import refused_out


def constant(value: Any, like: Array) -> Array:
    """A weak scalar of the dtype of `like`: whether a result is weak is left to the others."""
    return Array(np.asarray(value, like.dtype), True)


def refuse_out(operation: str, out: Any) -> None:
    """Raise `ArgumentError` when a caller asks for a result to be written into `out`."""
    if out is not None:
        raise refused_out(operation)
