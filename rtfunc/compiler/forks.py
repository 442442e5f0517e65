"""Forks wait until no program is being compiled.

Of a process that forks, the child has one thread. What another one was doing stays undone in the child, and
its locks locked for ever: LLVM's, llvmlite's, those of modules that it was importing. So a fork is held off
while programs are compiled, and compiling while the process forks. Depends on the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

#: Seconds that a fork waits at most: longer than programs take to compile.
PATIENCE = 30.0


class _Compilations:
    """Which threads compile programs, and whether a fork waits for them."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        #: How many compilations a thread has begun, one within the other.
        self.running: dict[int, int] = {}
        self.forking = False

    def begin(self) -> None:
        thread = threading.get_ident()
        with self.condition:
            if thread not in self.running:
                self.condition.wait_for(lambda: not self.forking, PATIENCE)
            self.running[thread] = self.running.get(thread, 0) + 1

    def end(self) -> None:
        thread = threading.get_ident()
        with self.condition:
            left = self.running.pop(thread) - 1
            if left:
                self.running[thread] = left
            self.condition.notify_all()

    def before_fork(self) -> None:
        # A thread that forks in the middle of compiling is there in the child.
        own = {threading.get_ident()}
        with self.condition:
            self.forking = True
            self.condition.wait_for(lambda: self.running.keys() <= own, PATIENCE)

    def after_fork(self) -> None:
        with self.condition:
            self.forking = False
            self.condition.notify_all()

    def in_child(self) -> None:
        thread = threading.get_ident()
        own = self.running.get(thread)
        self.__init__()
        if own:
            self.running[thread] = own


_compilations = _Compilations()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_compilations.before_fork,
        after_in_parent=_compilations.after_fork,
        after_in_child=_compilations.in_child,
    )


@contextlib.contextmanager
def held_off() -> Iterator[None]:
    """No fork begins during the block, and the block begins in no fork."""
    _compilations.begin()
    try:
        yield
    finally:
        _compilations.end()
