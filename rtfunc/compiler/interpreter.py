"""The Python interpreter, set for compiling.

Compiling makes many small objects and drops most of them within milliseconds, which sets the garbage
collector looking through all that a process holds; and several threads take turns, between calls of LLVM,
at an interpreter that lets each of them run for 5 ms. Both are changed while something is compiled and put
back after it. Depends on the standard library alone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator

#: Seconds after which a thread that waits for the interpreter gets it.
_SWITCH_SECONDS = 5e-4


class _Settings:
    """What was set before the first of the threads that compile now began, and how many there are."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.compiling = 0
        self.collects = False
        self.switch_seconds = 0.0

    def enter(self) -> None:
        with self.lock:
            if not self.compiling:
                self.collects, self.switch_seconds = gc.isenabled(), sys.getswitchinterval()
                gc.disable()
                sys.setswitchinterval(min(self.switch_seconds, _SWITCH_SECONDS))
            self.compiling += 1

    def leave(self) -> None:
        with self.lock:
            self.compiling -= 1
            if not self.compiling:
                self.restore()

    def restore(self) -> None:
        sys.setswitchinterval(self.switch_seconds)
        if self.collects:
            gc.enable()


_settings = _Settings()


def _after_fork() -> None:
    """In a forked child: the threads that compiled are not there any more."""
    global _settings
    if _settings.compiling:
        _settings.restore()
    _settings = _Settings()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def set_for_compiling() -> Iterator[None]:
    """No garbage collection, and quick turns among threads, until the block ends."""
    settings = _settings
    settings.enter()
    try:
        yield
    finally:
        settings.leave()
