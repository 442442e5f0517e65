"""Settings of this process.

    rtfunc.config.num_threads = 1

Attributes:
    num_threads: how many threads a compiled program may use, the caller's included, from 1 to 1024. At the
        start it is what the environment variable `RTFUNC_NUM_THREADS` says, or else `OMP_NUM_THREADS`, or
        else the number of processors that this process may use (by its affinity and its control group).
        Results do not depend on it.
    kept_bytes: how much memory of results that are gone waits for its next use, rather than going back to the
        operating system: an eighth of the machine's, from 256 MiB to 8 GiB, unless told.
        Setting it lower gives back what is over it.

>>> import rtfunc
>>> before = rtfunc.config.num_threads
>>> rtfunc.config.num_threads = 2
>>> rtfunc.config.num_threads
2
>>> rtfunc.config.num_threads = before

Values outside the range, and settings that do not exist, raise `ArgumentError`.
Depends on `compiler` (the pool of threads, buffers), which is made ready when a setting is first used.
"""

from __future__ import annotations

import operator
import sys
import types
from typing import Any

from rtfunc.core.errors import ArgumentError, at_user_line

num_threads: int
kept_bytes: int


class _Configuration(types.ModuleType):
    """This module's type: its attributes are the settings."""

    @property
    def num_threads(self) -> int:
        from rtfunc.compiler.cpu import threads

        return threads.get_num_threads()

    @num_threads.setter
    def num_threads(self, count: int) -> None:
        from rtfunc.compiler.cpu import threads

        count = _whole("num_threads", count, 1, threads.MAX_THREADS)
        threads.set_num_threads(count)

    @property
    def kept_bytes(self) -> int:
        from rtfunc.compiler import buffers

        return buffers.get_kept_bytes()

    @kept_bytes.setter
    def kept_bytes(self, size: int) -> None:
        from rtfunc.compiler import buffers

        buffers.set_kept_bytes(_whole("kept_bytes", size, 0, 1 << 62))

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("__") and name not in ("num_threads", "kept_bytes"):
            raise ArgumentError(
                at_user_line(
                    f"rtfunc.config has no setting {name!r}; there are num_threads and kept_bytes."
                )
            )
        super().__setattr__(name, value)


def _whole(name: str, value: int, low: int, high: int) -> int:
    try:
        found = operator.index(value)
    except TypeError:
        found = None
    if found is None or isinstance(value, bool) or not low <= found <= high:
        raise ArgumentError(
            at_user_line(f"rtfunc.config.{name} is a number from {low} to {high}, not {value!r}.")
        )
    return found


sys.modules[__name__].__class__ = _Configuration
