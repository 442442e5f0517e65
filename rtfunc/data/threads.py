"""Where tasks are carried out: at once in the consumer's thread, or in worker threads.

A pool takes tasks by `submit` and gives their results by `take`, in the order of submission.
`capacity` bounds how many tasks are under way or finished and not yet taken: that is the
back-pressure. `processes` has the third kind of pool. Depends on nothing but the fetcher that it is
given.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

#: Turns a task into its result.
Fetcher = Callable[[Any], Any]

#: Seconds for which `close` waits for workers to finish the batch at hand.
PATIENCE = 5.0


class Pool(Protocol):
    """Carries out tasks; results come in the order of submission."""

    capacity: int
    workers: int
    #: Whether the arrays in the results are in memory that nobody else refers to.
    fresh: bool

    def submit(self, task: Any, worker: int | None = None) -> None:
        """Hand in a task, for a certain worker if one is named."""
        ...

    def take(self) -> Any:
        """The result of the oldest task not yet taken; raises what the task raised."""
        ...

    def close(self) -> None:
        """End all workers and drop all tasks. May be called again, and from any thread."""
        ...


class InlinePool:
    """No workers: a task is carried out when its result is taken."""

    fresh = False

    def __init__(self, fetcher: Fetcher):
        self.capacity = 1
        self.workers = 1
        self._fetcher = fetcher
        self._tasks: collections.deque[Any] = collections.deque()

    def submit(self, task: Any, worker: int | None = None) -> None:
        """Remember a task."""
        self._tasks.append(task)

    def take(self) -> Any:
        """Carry out the oldest task."""
        return self._fetcher(self._tasks.popleft())

    def close(self) -> None:
        """Drop all tasks."""
        self._tasks.clear()


class ThreadPool:
    """`workers` threads, each with up to `prefetch` tasks under way or finished.

    Threads are daemons, so that a dataset which never returns cannot keep the interpreter alive.
    """

    fresh = False

    def __init__(self, fetcher: Fetcher, workers: int, prefetch: int):
        self.capacity = workers * prefetch
        self.workers = workers
        self._results: collections.deque[SimpleQueue[Any]] = collections.deque()
        #: Tasks for whoever is free, and tasks for a certain worker.
        self._shared: SimpleQueue[Any] = SimpleQueue()
        self._own: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(workers)]
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._fetcher = fetcher

    def _start(self, queues: Sequence[SimpleQueue[Any]]) -> None:
        for number, tasks in enumerate(queues):
            thread = threading.Thread(
                target=_work,
                args=(self._fetcher, tasks, self._stopping, number),
                name=f"rtfunc-data-{number}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def submit(self, task: Any, worker: int | None = None) -> None:
        """Queue a task. All tasks of a pool name a worker, or none does."""
        if not self._threads:
            self._start(self._own if worker is not None else [self._shared] * self.workers)
        result: SimpleQueue[Any] = SimpleQueue()
        self._results.append(result)
        (self._shared if worker is None else self._own[worker]).put((task, result))

    def take(self) -> Any:
        """Wait for the oldest task."""
        value, error = self._results.popleft().get()
        if error is None:
            return value
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame: without this, a cycle

    def close(self) -> None:
        """Drop waiting tasks and end the threads when they are done with the batch at hand."""
        self._stopping.set()
        self._results.clear()
        for tasks in (self._shared, *self._own):
            _drain(tasks)
        for _ in self._threads:
            self._shared.put(None)
        for tasks in self._own:
            tasks.put(None)
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            # It is an error to join a thread from itself, where the garbage collector may run this,
            # and to join one whose start was interrupted by Ctrl-C. Both end by themselves.
            with contextlib.suppress(RuntimeError):
                thread.join(max(0.0, deadline - time.monotonic()))
        self._threads.clear()


def _drain(queue: SimpleQueue[Any]) -> None:
    try:
        while True:
            queue.get_nowait()
    except Empty:
        return


def _work(
    fetcher: Fetcher, tasks: SimpleQueue[Any], stopping: threading.Event, number: int
) -> None:
    """The life of a worker thread. It holds no reference to its pool, which can be collected."""
    while (entry := tasks.get()) is not None and not stopping.is_set():
        task, result = entry
        try:
            result.put((fetcher(task), None))
        except BaseException as error:
            error.add_note(f"in worker thread {number}")
            result.put((None, error))
        del entry, task, result  # so that an idle worker keeps no batch alive
