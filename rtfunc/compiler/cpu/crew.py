"""Threads that help the one that compiles: tasks that are done beside it, or by it at the end.

LLVM works without the interpreter's lock, so that a program's parts and the routines that it calls can be
compiled while the rest of it is still printed. What comes out does not depend on who did what. Depends on
`threads`.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rtfunc.compiler.cpu.threads import initial_threads

Result = TypeVar("Result")

#: More helpers than this would wait for the interpreter most of the time.
_MOST_HELPERS = 3


class Task(Generic[Result]):
    """What one of the crew has done or will do."""

    def __init__(self, work: Callable[[], Result]):
        self._work = work
        self._result: Result
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it. What is no error of the task's, such as an interrupt by the user, is raised at once."""
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
            if not isinstance(error, Exception):
                raise

    def result(self) -> Result:
        """What came out, once the crew has finished; raises what the task raised."""
        if self._error is not None:
            raise self._error
        return self._result


class Crew:
    """A context manager, in whose block tasks are handed out; no thread outlives the block."""

    def __init__(self, helpers: int | None = None):
        """`helpers`: how many threads to use beside the caller's; None for what the machine has."""
        if helpers is None:
            helpers = min(initial_threads() - 1, _MOST_HELPERS)
        self._helpers = helpers
        self._threads: list[threading.Thread] = []
        self._waiting: collections.deque[Task[Any]] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self._waiting.clear()
        self._join()

    def add(self, work: Callable[[], Result]) -> Task[Result]:
        """Hand out a task; tasks begin in the order in which they are added."""
        task = Task(work)
        with self._changed:
            self._waiting.append(task)
            self._changed.notify()
        if len(self._threads) < self._helpers:
            thread = threading.Thread(target=self._help, name="rtfunc-compile")
            self._threads.append(thread)
            thread.start()
        return task

    def finish(self) -> None:
        """Take part until all tasks are done."""
        while (task := self._next()) is not None:
            task.run()
        self._join()

    def _join(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        while self._threads:
            thread = self._threads.pop()
            # An interrupt may come before a thread has started, which then finds the crew closed.
            with contextlib.suppress(RuntimeError):
                thread.join()

    def _next(self) -> Task[Any] | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _help(self) -> None:
        while True:
            task = self._next()
            if task is not None:
                task.run()
                continue
            with self._changed:
                if self._closed:
                    return
                if not self._waiting:
                    self._changed.wait()
