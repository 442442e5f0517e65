"""Measuring: contestants in processes of their own, round by round in turn.

Each contestant runs in a `worker` process, so that thread pools and allocators do not meet; while
one is timed the others sleep, waiting for a command. A round times every contestant once, and each
round starts with another, so that a machine that slows down slows all of them alike. What a row
reports is the median over the rounds. Depends on `catalogue`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.catalogue import EXTRA, GROUPS, OURS, Contestant, Row

ROOT = Path(__file__).parents[1]
# Set to the number of threads for a worker that gets fewer processors than there are.
THREAD_VARIABLES = (
    "RTFUNC_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
# By device: on "cpu" all contestants run on the processor, whatever else the machine has. On a GPU, JAX
# must not take its memory from the others.
ENVIRONMENTS = {
    "cpu": {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "BENCHMARK_DEVICE": "cpu"},
    "gpu": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "BENCHMARK_DEVICE": "gpu"},
}
CACHE_VARIABLES = ("RTFUNC_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")

# Seconds before a measurement. Thread pools go on spinning for some time after their work (OpenBLAS
# some 25 ms), which would take processors from whoever comes next.
PAUSE = 0.05


class Failed(Exception):
    """A command that did not succeed; `detail` is the traceback or what the process wrote last."""

    def __init__(self, message: str, detail: str = ""):
        super().__init__(message)
        self.detail = detail


@dataclass
class Cell:
    """What one contestant did in one row: a value per round, or the failure."""

    values: list[float] = field(default_factory=list)
    failure: Failed | None = None

    @property
    def median(self) -> float | None:
        """The median over rounds; None after a failure."""
        return statistics.median(self.values) if self.values and not self.failure else None


@dataclass(frozen=True)
class Result:
    """A measured row: `cells` by contestant, without those that have no such workload."""

    row: Row
    cells: dict[str, Cell]

    @property
    def ours(self) -> float | None:
        """Our median."""
        return self.cells[OURS].median if OURS in self.cells else None

    def ratio(self, against: Sequence[str] = ()) -> float | None:
        """The best of the peers' medians (of those in `against`, if given) divided by ours."""
        peers = [
            cell.median
            for name, cell in self.cells.items()
            if name != OURS and (not against or name in against) and cell.median is not None
        ]
        if not self.ours or not peers or GROUPS[self.row.group].unit == "speedup":
            return None
        return min(peers) / self.ours

    @property
    def holds(self) -> bool | None:
        """Whether the row's aim is reached; None without an aim or a figure to compare."""
        if self.row.limit is not None:
            return None if self.ours is None else self.ours <= self.row.limit
        ratio = self.ratio(self.row.against)
        if self.row.aim is None or ratio is None:
            return None
        return ratio >= self.row.aim


def missing(contestant: Contestant) -> str | None:
    """Why a contestant cannot take part, and what to install; None if it can."""
    absent = [name for name in contestant.requires if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    return f"{contestant.name} is left out: {' and '.join(absent)} not installed ({EXTRA})."


def available_cpus() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Worker:
    """A process that runs one contestant's workloads; `benchmarks.worker` has the commands."""

    def __init__(
        self,
        contestant: Contestant,
        *,
        cache: str,
        cpus: int | None = None,
        timeout: float = 300.0,
        device: str = "cpu",
    ):
        """Start it: `cache` is a folder for compiled code, `timeout` in seconds per command."""
        self._timeout = timeout
        # Modules are compiled to bytecode once, as an installer does for the peers.
        left_out = ("JAX_COMPILATION_CACHE_DIR", "PYTHONDONTWRITEBYTECODE")
        environment = {k: v for k, v in os.environ.items() if k not in left_out}
        environment |= ENVIRONMENTS[device] | dict.fromkeys(CACHE_VARIABLES, cache)
        paths = [str(ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        if cpus is not None:
            environment |= dict.fromkeys(THREAD_VARIABLES, str(cpus))
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long-lived as we)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", contestant.module]
            + ([str(cpus)] if cpus is not None else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )

    @property
    def alive(self) -> bool:
        """Whether it still takes commands."""
        return self._process.poll() is None

    def ask(self, *command: Any) -> Any:
        """The answer to a command. Raises `Failed` for an error, a crash or a lapse of time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._timeout, stop)
        timer.start()
        line = ""
        try:
            with contextlib.suppress(OSError):  # a broken pipe: the process is gone
                print(*command, file=self._process.stdin, flush=True)
                line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if late.is_set():
            self._process.wait()
            raise Failed(f"no answer within {self._timeout:g} s", self._last_words())
        if not line:
            self._process.wait()
            raise Failed(
                f"the process ended with status {self._process.returncode}", self._last_words()
            )
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"], answer["traceback"])
        return answer["value"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):  # unsent commands of a dead process
                if stream is not None:
                    stream.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-4000:]


class Contest:
    """Measures rows among contestants. A context manager, which ends the processes."""

    def __init__(
        self,
        contestants: Sequence[Contestant],
        *,
        rounds: int = 5,
        seconds: float = 0.3,
        timeout: float = 300.0,
        device: str = "cpu",
    ):
        """Set up a contest; no process starts yet.

        Args:
            contestants: those that take part, ours first.
            rounds: measurements per row and contestant.
            seconds: how long a timed measurement takes; as many calls are made as fit.
            timeout: seconds after which a command counts as failed.
            device: where the contestants compute, "cpu" or "gpu".
        """
        self._device = device
        self._contestants = list(contestants)
        self._rounds, self._seconds, self._timeout = rounds, seconds, timeout
        self._workers: dict[tuple[str, int | None], Worker] = {}
        self._startups: dict[str, tuple[dict[str, Cell], dict[str, Cell]]] = {}
        self._cache = tempfile.TemporaryDirectory()

    def __enter__(self) -> Contest:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close_workers()
        self._cache.cleanup()

    def run(self, rows: Sequence[Row]) -> Iterator[Result]:
        """The results, each as soon as it is there."""
        group = None
        for row in rows:
            if row.group != group:
                self._close_workers()
                group = row.group
            measure: Callable[[Row], dict[str, Cell]] = getattr(self, GROUPS[row.group].kind)
            cells = measure(row)
            yield Result(row, {n: c for n, c in cells.items() if c.values or c.failure})

    def steady(self, row: Row) -> dict[str, Cell]:
        """Seconds of a call, in workers that stay."""
        return self._timed(row.workload, None)

    def scaling(self, row: Row) -> dict[str, Cell]:
        """How many times faster all processors are than one, by round."""
        one = self._timed(row.workload, 1)
        every = self._timed(row.workload, available_cpus())
        return {
            name: Cell(
                [a / b for a, b in zip(one[name].values, cell.values)],
                one[name].failure or cell.failure,
            )
            for name, cell in every.items()
            if name in one
        }

    def start(self, row: Row) -> dict[str, Cell]:
        """Seconds of an import, or of tracing."""
        if row.workload != "import":
            return self.steady(row)
        cells: dict[str, Cell] = {c.name: Cell() for c in self._contestants}
        for contestant in self._in_turns(self._contestants):

            def imported(worker: Worker, contestant: Contestant = contestant) -> float:
                return worker.ask("import", contestant.library)

            self._fresh(contestant, cells, imported, self._cache.name)
        return cells

    def first_call(self, row: Row) -> dict[str, Cell]:
        """Seconds of the first call, disk cache empty."""
        return self._startup(row.workload)[0]

    def cached_call(self, row: Row) -> dict[str, Cell]:
        """Seconds of the first call, ours with the disk cache that an earlier process filled."""
        cold, cached = self._startup(row.workload)
        return {**cold, **cached}

    def peak_memory(self, row: Row) -> dict[str, Cell]:
        """Bytes that a process needs that does the work a few times."""
        cells: dict[str, Cell] = {c.name: Cell() for c in self._contestants}

        def peak(worker: Worker) -> float | None:
            if not worker.ask("prepare", row.workload):
                return None
            worker.ask("warm", row.workload)
            return worker.ask("peak")

        for contestant in self._in_turns(self._contestants):
            self._fresh(contestant, cells, peak, self._cache.name)
        return cells

    def _timed(self, workload: str, cpus: int | None) -> dict[str, Cell]:
        """Seconds of a call on a number of processors, all that there are for None."""
        cells: dict[str, Cell] = {}
        calls: dict[str, int] = {}
        for contestant in self._contestants:
            worker = self._worker(contestant, cpus)
            try:
                if not worker.ask("prepare", workload):
                    continue
                cells[contestant.name] = Cell()
                roughly = worker.ask("warm", workload)
                calls[contestant.name] = max(1, round(self._seconds / roughly))
            except Failed as failure:
                cells[contestant.name] = Cell(failure=failure)
        for contestant in self._in_turns([c for c in self._contestants if c.name in calls]):
            cell = cells[contestant.name]
            if cell.failure:
                continue
            try:
                worker = self._worker(contestant, cpus)
                time.sleep(PAUSE)
                cell.values.append(worker.ask("time", workload, calls[contestant.name]))
            except Failed as failure:
                cell.failure = failure
        for contestant in self._contestants:
            self._worker(contestant, cpus).ask("drop", workload)
        return cells

    def _startup(self, workload: str) -> tuple[dict[str, Cell], dict[str, Cell]]:
        """Seconds of the first call: of all with an empty disk cache, of ours with a full one."""
        if workload in self._startups:
            return self._startups[workload]
        compilers = [c for c in self._contestants if c.compiles]
        cold: dict[str, Cell] = {c.name: Cell() for c in compilers}
        cached: dict[str, Cell] = {c.name: Cell() for c in compilers if c.name == OURS}

        def first(worker: Worker) -> float | None:
            return worker.ask("first", workload) if worker.ask("prepare", workload) else None

        for contestant in self._in_turns(compilers):
            with tempfile.TemporaryDirectory() as cache:
                self._fresh(contestant, cold, first, cache)
                if contestant.name in cached:
                    self._fresh(contestant, cached, first, cache)
        self._startups[workload] = cold, cached
        return cold, cached

    def _in_turns(self, contestants: Sequence[Contestant]) -> Iterator[Contestant]:
        """Every contestant once a round, a different one first in each."""
        for i in range(self._rounds if contestants else 0):
            shift = i % len(contestants)
            yield from [*contestants[shift:], *contestants[:shift]]

    def _fresh(
        self,
        contestant: Contestant,
        cells: dict[str, Cell],
        measure: Callable[[Worker], float | None],
        cache: str,
    ) -> None:
        """Measure in a process of its own; what is None does not count, what failed stays."""
        cell = cells[contestant.name]
        if cell.failure:
            return
        worker = Worker(contestant, cache=cache, timeout=self._timeout, device=self._device)
        try:
            value = measure(worker)
        except Failed as failure:
            cell.failure = failure
        else:
            if value is not None:
                cell.values.append(value)
        finally:
            worker.close()

    def _worker(self, contestant: Contestant, cpus: int | None) -> Worker:
        """The lasting worker of a contestant, a new one in place of one that has died."""
        key = contestant.name, cpus
        worker = self._workers.get(key)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.close()
            worker = Worker(
                contestant,
                cache=self._cache.name,
                cpus=cpus,
                timeout=self._timeout,
                device=self._device,
            )
            self._workers[key] = worker
        return worker

    def _close_workers(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
