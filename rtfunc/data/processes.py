"""Worker processes: a pool that carries out tasks outside this interpreter.

Each worker is joined to the pool by one socket. Tasks go one way; batches come back as a small
message that says in which segment of shared memory the arrays lie (`shared_memory`), and the Arrays
that the user gets are views of it. When they are garbage, the segment's number goes back to the
worker with the next task. Workers are started by "forkserver" or "spawn", never by a plain fork,
which would copy the locks of threads that it does not copy. They end when their socket closes, so
also when this process is killed. Depends on `fetch`, `shared_memory`, `threads`.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import mmap
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Sequence
from multiprocessing import connection as connections
from multiprocessing import reduction
from queue import SimpleQueue
from typing import Any

import numpy as np

from rtfunc.core.errors import ArgumentError, RtfuncError, at_user_line
from rtfunc.data import shared_memory
from rtfunc.data.shared_memory import Scratch
from rtfunc.data.threads import PATIENCE, Fetcher

#: Of each worker, how many segments the user may keep by holding on to batches. Further batches are
#: copied, since every segment takes a file descriptor and as much memory as its whole batch.
_KEPT = 8


class WorkerError(RtfuncError, RuntimeError):
    """A worker process died, could not start, or failed with an exception that cannot be sent."""


class WorkerTraceback(Exception):
    """The traceback in the worker process; the `__cause__` of the exception that is raised here."""

    def __init__(self, text: str):
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"in the worker process:\n\n{self.text.rstrip()}"


# Messages. A worker first gets the fetcher, then tasks.


@dataclasses.dataclass
class _Task:
    number: int
    task: Any
    #: Segments that the worker can use again.
    returned: list[int]


@dataclasses.dataclass
class _Batch:
    """A result: a pickle, and its buffers either here or in a segment."""

    number: int
    data: bytes
    buffers: list[bytearray] | None = None
    segment: int = 0
    spans: shared_memory.Spans = dataclasses.field(default_factory=list)
    #: Whether the descriptor of the segment follows.
    is_new: bool = False
    dropped: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Failure:
    """An exception. `number` is None when the fetcher could not be loaded."""

    number: int | None
    error: bytes | None
    summary: str
    traceback: str


def _send(connection: Any, message: Any, descriptor: int | None = None) -> None:
    connection.send_bytes(pickle.dumps(message, 5))
    if descriptor is not None:
        reduction.send_handle(connection, descriptor, None)  # type: ignore[arg-type]


class _Worker:
    """A worker process as the pool sees it."""

    def __init__(self, process: Any, connection: Any):
        self.process = process
        self.connection = connection
        self.waiting = 0  # tasks without a result yet
        self.error: WorkerError | None = None  # once it has ended; its tasks have no results
        self.segments: dict[int, mmap.mmap] = {}
        self.kept: set[int] = set()  # segments that the user's arrays lie in
        self.returned: collections.deque[int] = collections.deque()

    def take_returned(self) -> list[int]:
        """The segments that became free since the last call."""
        returned = []
        with contextlib.suppress(IndexError):  # it may grow at any moment, by garbage collection
            while True:
                returned.append(self.returned.popleft())
        return returned

    def _release(self, segment: int) -> None:
        self.kept.discard(segment)
        self.returned.append(segment)

    def unpack(self, batch: _Batch) -> Any:
        """The object that the worker sent."""
        for number in batch.dropped:
            del self.segments[number]
        if batch.is_new:
            descriptor = reduction.recv_handle(self.connection)
            try:
                self.segments[batch.segment] = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
            finally:
                os.close(descriptor)
        if batch.buffers is not None:
            return pickle.loads(batch.data, buffers=batch.buffers)
        memory = self.segments[batch.segment]
        if len(self.kept) >= _KEPT:
            copies = [bytearray(memory[start:end]) for start, end in batch.spans]
            self.returned.append(batch.segment)
            return pickle.loads(batch.data, buffers=copies)
        # All views refer to this array: when it goes, none is left.
        lent: Any = np.frombuffer(memory, np.uint8)
        self.kept.add(batch.segment)
        weakref.finalize(lent, self._release, batch.segment).atexit = False
        return shared_memory.load(batch.data, memoryview(lent), batch.spans)


class ProcessPool:
    """`workers` processes, each with up to `prefetch` tasks under way or finished.

    Raises `ArgumentError` when the fetcher, that is the dataset or the collate function, cannot be
    pickled; `take` raises `WorkerError` when a worker dies.
    """

    fresh = True

    def __init__(self, fetcher: Fetcher, workers: int, prefetch: int):
        self.capacity = workers * prefetch
        self.workers = workers
        self._owner = os.getpid()
        self._submitted = 0
        self._taken = 0
        self._of_task: dict[int, _Worker] = {}
        self._done: dict[int, Any] = {}
        self._workers: list[_Worker] = []
        _check_program()
        try:
            data, buffers = shared_memory.dump(fetcher)
        except Exception as error:
            raise ArgumentError(
                at_user_line(
                    "DataLoader: worker_mode='process' sends the dataset and the collate function "
                    f"to the workers by pickle, and this failed: {error}. Move functions and "
                    "classes to module level (lambdas and local ones cannot be pickled), or use "
                    "worker_mode='thread'."
                )
            ) from error
        try:
            context = _context()
            for number in range(workers):
                self._workers.append(_start(context, number))
            self._send_fetcher(data, buffers)
        except BaseException:
            self.close()
            raise

    def _send_fetcher(self, data: bytes, buffers: Sequence[memoryview]) -> None:
        """The fetcher goes to all workers in one segment: arrays of the dataset exist once."""
        if not shared_memory.available:
            message = data, [bytearray(buffer) for buffer in buffers]
            for worker in self._workers:
                self._send(worker, message)
            return
        parts = [*buffers, memoryview(data)]
        spans, size = shared_memory.layout(parts)
        memory, descriptor = shared_memory.make_segment(size)
        try:
            for span, part in zip(spans, parts):
                shared_memory.write(memory, span, part)
            for worker in self._workers:
                self._send(worker, spans, descriptor)
        finally:
            os.close(descriptor)

    def _send(self, worker: _Worker, message: Any, descriptor: int | None = None) -> None:
        try:
            _send(worker.connection, message, descriptor)
        except OSError:
            while self._receive_from(worker):  # what it had to say before its end
                pass

    def submit(self, task: Any, worker: int | None = None) -> None:
        """Send a task, by default to the worker that has the fewest."""
        if worker is None:
            chosen = min(self._workers, key=lambda w: w.waiting)
        else:
            chosen = self._workers[worker]
        chosen.waiting += 1
        self._of_task[self._submitted] = chosen
        if chosen.error is None:
            self._send(chosen, _Task(self._submitted, task, chosen.take_returned()))
        self._submitted += 1

    def take(self) -> Any:
        """Wait for the oldest task."""
        number = self._taken
        while number not in self._done:
            error = self._of_task[number].error
            if error is not None:
                raise error
            self._receive()
        self._taken += 1
        del self._of_task[number]
        result = self._done.pop(number)
        if isinstance(result, _Failure):
            raise _error_of(result)
        return result

    def _receive(self) -> None:
        """Wait for a message of any worker that has tasks, and take in what is there."""
        busy = [worker for worker in self._workers if worker.waiting and worker.error is None]
        ready = connections.wait(
            [x for worker in busy for x in (worker.connection, worker.process.sentinel)]
        )
        for worker in busy:
            has_ended = worker.process.sentinel in ready
            if worker.connection in ready or has_ended:
                received = self._receive_from(worker)
                if has_ended and not received and worker.error is None:
                    worker.error = self._death(worker)

    def _receive_from(self, worker: _Worker) -> bool:
        """Take in one message if there is one. Sets `worker.error` at its end."""
        try:
            if worker.error is not None or not worker.connection.poll(0):
                return False
            message: Any = pickle.loads(worker.connection.recv_bytes())
            number = message.number
            if number is None:
                worker.error = _start_error(message)
                return False
            worker.waiting -= 1
            is_batch = isinstance(message, _Batch)
            self._done[number] = worker.unpack(message) if is_batch else message
        except (EOFError, ConnectionError):
            worker.error = self._death(worker)
            return False
        return True

    def _death(self, worker: _Worker) -> WorkerError:
        """What to tell about a worker that has ended."""
        worker.process.join(1.0)
        code = worker.process.exitcode
        tasks = [n for n, w in self._of_task.items() if w is worker and n not in self._done]
        advice = (
            "The traceback above says more. If it speaks of a process that 'has finished its "
            "bootstrapping phase', put the program's start under if __name__ == '__main__':."
        )
        how = f"with exit code {code}"
        if code is None:
            how, advice = "its connection", "The dataset or a library may have closed it."
        elif code < 0:
            how = f"by signal {_signal_name(-code)}"
            advice = (
                "SIGKILL often comes from the system when memory runs out: use fewer workers, a "
                "smaller prefetch or smaller batches. SIGSEGV comes from native code that the "
                "dataset calls."
            )
        return WorkerError(
            at_user_line(
                f"DataLoader: worker process {self._workers.index(worker)} (pid "
                f"{worker.process.pid}) ended {how} with {len(tasks)} batches to make. {advice}"
            )
        )

    @property
    def is_own(self) -> bool:
        """Whether this process made it, rather than the one that this is a forked copy of."""
        return os.getpid() == self._owner

    def close(self) -> None:
        """End the processes: by closing their sockets, by a signal where that is not enough."""
        if not self.is_own:
            return
        workers, self._workers = self._workers, []
        self._done.clear()
        self._of_task.clear()
        for worker in workers:
            worker.connection.close()
        deadline = time.monotonic() + PATIENCE
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            for end in (worker.process.terminate, worker.process.kill):
                if worker.process.is_alive():
                    end()
                    worker.process.join(1.0)
            worker.process.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _start_error(failure: _Failure) -> WorkerError:
    error = WorkerError(
        at_user_line(
            f"DataLoader: a worker process could not load the dataset: {failure.summary}. Classes "
            "and functions of a notebook or an interactive session do not exist in other "
            "processes: move them to a module, or use worker_mode='thread'."
        )
    )
    error.__cause__ = WorkerTraceback(failure.traceback)
    return error


def _error_of(failure: _Failure) -> BaseException:
    """The worker's exception, with its traceback as cause."""
    error: Any = None
    if failure.error is not None:
        with contextlib.suppress(Exception):
            error = pickle.loads(failure.error)
    if not isinstance(error, BaseException):
        error = WorkerError(f"DataLoader: a worker process raised {failure.summary}")
    error.__cause__ = WorkerTraceback(failure.traceback)
    return error


def _check_program() -> None:
    """`ArgumentError` where this program cannot have worker processes."""
    problem = ""
    if multiprocessing.current_process().daemon:
        problem = "this process is a daemonic one of multiprocessing, which may have no processes"
    elif getattr(sys.modules.get("__main__"), "__file__", None) == "<stdin>":
        problem = (
            "this program came through standard input, and worker processes import it from its file"
        )
    if problem:
        raise ArgumentError(
            at_user_line(
                f"DataLoader: worker_mode='process' is not possible here: {problem}. "
                "Use worker_mode='thread'."
            )
        )


#: The process that has begun to use a fork server, which cannot serve its forked copies.
_served: list[int] = []


def _context() -> Any:
    """How processes are started. A fork server has this package imported already."""
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    if not has_server or _served not in ([], [os.getpid()]):
        return multiprocessing.get_context("spawn")
    _served[:] = [os.getpid()]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return context


def _start(context: Any, number: int) -> _Worker:
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(
        target=run_worker, args=(theirs, number), name=f"rtfunc-data-{number}", daemon=True
    )
    try:
        process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Worker(process, ours)


# In the worker process.


def run_worker(connection: Any, number: int) -> None:
    """The life of a worker process: load the fetcher, carry out tasks until the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the consumer's; it ends the workers
    with contextlib.suppress(EOFError, OSError):  # the consumer has gone
        try:
            fetcher = _receive_fetcher(connection)
        except (EOFError, OSError):
            raise
        except BaseException as error:
            _send(connection, _failure(None, error))
            return
        tasks: SimpleQueue[_Task | None] = SimpleQueue()
        threading.Thread(target=_listen, args=(connection, tasks), daemon=True).start()
        scratch = Scratch()
        while (task := tasks.get()) is not None:
            scratch.give_back(task.returned)
            _carry_out(connection, number, fetcher, task, scratch)
            del task


def _receive_fetcher(connection: Any) -> Fetcher:
    message = pickle.loads(connection.recv_bytes())
    if not shared_memory.available:
        data, buffers = message
        return pickle.loads(data, buffers=buffers)
    descriptor = reduction.recv_handle(connection)
    try:
        # Private: what a dataset writes into its arrays is its own, as after a fork.
        size = os.fstat(descriptor).st_size
        memory = memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY))
    finally:
        os.close(descriptor)
    *spans, (start, end) = message
    return shared_memory.load(bytes(memory[start:end]), memory, spans)


def _listen(connection: Any, tasks: SimpleQueue[_Task | None]) -> None:
    """Take tasks in at once, so that the consumer never waits to send one, and notice its end."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(pickle.loads(connection.recv_bytes()))
    tasks.put(None)
    time.sleep(PATIENCE)  # for the batch at hand
    os._exit(1)


def _carry_out(connection: Any, number: int, fetcher: Any, task: _Task, scratch: Scratch) -> None:
    """Make one batch and send it."""
    descriptor: int | None = None
    scratch.begin()
    try:
        data, buffers = shared_memory.dump(fetcher(task.task, empty=scratch.empty))
        message = _Batch(task.number, data)
        if not shared_memory.available or sum(b.nbytes for b in buffers) <= shared_memory.SMALL:
            message.buffers = [bytearray(buffer) for buffer in buffers]
        else:
            message.segment, message.spans, descriptor, message.dropped = scratch.place(buffers)
            message.is_new = descriptor is not None
    except BaseException as error:
        error.add_note(f"in worker process {number}")
        _send(connection, _failure(task.number, error))
        return
    try:
        _send(connection, message, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _failure(number: int | None, error: BaseException) -> _Failure:
    """An exception as a message; without the exception itself when it does not survive pickling."""
    data: bytes | None
    try:
        data = pickle.dumps(error, 5)
        pickle.loads(data)
    except Exception:
        data = None
    summary = f"{type(error).__name__}: {error}"
    return _Failure(number, data, summary, "".join(traceback.format_exception(error)))
