"""The Python interpreter, set for compiling.

Compiling makes many small objects and drops most of them within milliseconds, which sets the garbage
collector looking through all that a process holds; and several threads take turns, between calls of LLVM,
at an interpreter that lets each of them run for 5 ms. Both are changed while something is compiled and put
back after it. Forks wait meanwhile. Depends on the standard library alone.
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
    """What was set before the first of those threads that compile now began, and which they are."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.compiling: list[int] = []
        self.collects = False
        self.switch_seconds = 0.0

    def enter(self) -> None:
        with self.changed:
            if not self.compiling:
                self.collects, self.switch_seconds = gc.isenabled(), sys.getswitchinterval()
                gc.disable()
                sys.setswitchinterval(min(self.switch_seconds, _SWITCH_SECONDS))
            self.compiling.append(threading.get_ident())

    def leave(self) -> None:
        with self.changed:
            self.compiling.remove(threading.get_ident())
            if not self.compiling:
                self.restore()
                self.changed.notify_all()

    def restore(self) -> None:
        sys.setswitchinterval(self.switch_seconds)
        if self.collects:
            gc.enable()

    def wait_for_others(self) -> None:
        with self.changed:
            if threading.get_ident() not in self.compiling:
                self.changed.wait_for(lambda: not self.compiling)


_settings = _Settings()


def _before_fork() -> None:
    """A fork waits for other threads that compile: its child would have their locks, but not them."""
    _settings.wait_for_others()


def _after_fork() -> None:
    """In a forked child. A thread may have begun to compile just before the fork."""
    global _settings
    if _settings.compiling:
        _settings.restore()
    _settings = _Settings()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


@contextlib.contextmanager
def set_for_compiling() -> Iterator[None]:
    """No garbage collection, quick turns among threads, and no forks by others until the block ends."""
    settings = _settings
    settings.enter()
    try:
        yield
    finally:
        settings.leave()
