"""Dropout as functions of an array and a key. Depends on `rtfunc.random`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import promote_inexact

#: The value of the scaled elu far below 0.
_SELU_LOW = -1.7580993408473766


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
    kept = _kept(x, rate, key, broadcast_axes)
    return rnp.where(kept, x / (1 - rate), 0.0)


def alpha_dropout(
    x: ArrayLike, rate: float, key: Any, *, broadcast_axes: Sequence[int] = ()
) -> Array:
    """Dropout for `selu`: elements set to its lowest value, then all scaled and shifted.

    Mean 0 and variance 1 stay what they are. Arguments as `dropout`.

    Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import random
    >>> len(set(alpha_dropout(rnp.ones(100), 0.5, random.key(0)).tolist()))
    2
    """
    (x,) = promote_inexact("alpha_dropout", x)
    if not 0 <= rate <= 1:
        raise ArgumentError(
            at_user_line(f"alpha_dropout: the rate is from 0 to 1, but got {rate}.")
        )
    if rate == 0:
        return x
    if rate == 1:
        return rnp.zeros_like(x)
    factor = ((1 - rate) * (1 + rate * _SELU_LOW**2)) ** -0.5
    shift = -factor * _SELU_LOW * rate
    kept = _kept(x, rate, key, broadcast_axes)
    return rnp.where(kept, x * factor, _SELU_LOW * factor) + shift


def _kept(x: Array, rate: float, key: Any, broadcast_axes: Sequence[int]) -> Array:
    together = {axis % max(x.ndim, 1) for axis in broadcast_axes}
    shape = tuple(1 if i in together else n for i, n in enumerate(x.shape))
    return random.bernoulli(key, 1 - rate, shape)
