"""Random orders from keys, as NumPy arrays.

Keys are those of `rtfunc.random`: two uint32 words. Everything here is a pure function of its key,
so an order can be made again when a loader resumes. Depends on `rtfunc.random`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc import random
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line


def as_key(operation: str, key: Any) -> np.ndarray:
    """A key as uint32[2]; `ArgumentError` for anything else."""
    words = np.asarray(key) if isinstance(key, Array | np.ndarray) else None
    if words is None or words.shape != (2,) or words.dtype != np.uint32:
        found = type(key).__name__ if words is None else f"{words.dtype}{list(words.shape)}"
        raise ArgumentError(
            at_user_line(
                f"{operation} takes a key of type uint32[2], not {found}. "
                "Make one with rtfunc.random.key(seed)."
            )
        )
    return words


def fold_in(key: np.ndarray, number: int) -> np.ndarray:
    """Another key for each `number`."""
    return np.asarray(random.fold_in(key, number))


def permutation(key: np.ndarray, length: int) -> np.ndarray:
    """The integers below `length` in random order, int64."""
    return np.asarray(random.permutation(key, length)).astype(np.int64)


def uniform(key: np.ndarray, count: int) -> np.ndarray:
    """`count` float64 numbers in [0, 1) with all 53 bits random."""
    words = np.asarray(random.bits(key, (count, 2))).astype(np.uint64)
    bits = (words[:, 0] >> np.uint64(5) << np.uint64(26)) | (words[:, 1] >> np.uint64(6))
    return bits.astype(np.float64) * 2.0**-53
