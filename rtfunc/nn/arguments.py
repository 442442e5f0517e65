"""What functions of this package check about their arguments. Depends on `core`."""

from __future__ import annotations

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.core.trace import Tracer


def check_range(
    operation: str, what: str, values: Array, size: int, ignored: int | None = None
) -> None:
    """Raise `ArgumentError` when an integer of `values` is neither in 0..size-1 nor `ignored`.

    Traced values and those on a GPU are not looked at: that would need them, or wait for them.
    """
    if isinstance(values, Tracer) or not isinstance(values._buffer, np.ndarray):
        return
    buffer = values._buffer
    wrong = (buffer < 0) | (buffer >= size)
    if ignored is not None:
        wrong &= buffer != ignored
    if wrong.any():
        raise ArgumentError(
            at_user_line(
                f"{operation}: {what} must be from 0 to {size - 1}, but "
                f"{int(buffer[wrong].flat[0])} is among them."
            )
        )
