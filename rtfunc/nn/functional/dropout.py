"""Dropout as functions of an array and a key. Depends on `rtfunc.random`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import promote_inexact


def dropout(x: ArrayLike, rate: float, key: Any, *, broadcast_axes: Sequence[int] = ()) -> Array:
    """x with elements set to 0 with probability `rate`, the others divided by 1 - rate.

    Arguments: broadcast_axes: axes along which elements are dropped together.

    Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import random
    >>> sorted(set(dropout(rnp.ones(100), 0.5, random.key(0)).tolist()))
    [0.0, 2.0]
    """
    (x,) = promote_inexact("dropout", x)
    if not 0 <= rate <= 1:
        raise ArgumentError(at_user_line(f"dropout: the rate is from 0 to 1, but got {rate}."))
    if rate == 0:
        return x
    if rate == 1:
        return rnp.zeros_like(x)
    together = {axis % max(x.ndim, 1) for axis in broadcast_axes}
    shape = tuple(1 if i in together else n for i, n in enumerate(x.shape))
    kept = random.bernoulli(key, 1 - rate, shape)
    return rnp.where(kept, x / (1 - rate), 0.0)
