"""The process in which one contestant runs: commands by standard input, answers by output.

`python -m benchmarks.worker MODULE [CPUS]` runs the workloads of MODULE, on CPUS processors if
given. MODULE has `WORKLOADS`, a dict from names to functions that make the inputs and return the
call to measure, and `wait(result)`, which returns when a result is there. A command is a line, an
answer one line of JSON, `{"value": ...}` or `{"error": ..., "traceback": ...}`:

    import NAME         seconds that the import takes
    prepare WORKLOAD    True, or False where the contestant has no such workload
    first WORKLOAD      seconds of the first call
    warm WORKLOAD       seconds of a call, roughly, once warm
    time WORKLOAD N     seconds of a call, the mean of N, after one more
    drop WORKLOAD       forget it
    peak                most bytes of memory that the process has held

Imports nothing but the standard library, so that `import` and `peak` mean the contestant.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

# A call longer than this is waited for before the next, which costs it nothing and keeps results
# of a library that returns early from piling up; of shorter ones the last is waited for.
WAIT_FOR_EACH = 1e-3
# How long calls are repeated to see what one takes.
TRIAL = 0.02


class Session:
    """What a worker does; every public method is a command."""

    def __init__(self, module: str):
        self._module = module
        self._calls: dict[str, Callable[[], Any]] = {}
        self._roughly: dict[str, float] = {}

    def import_(self, name: str) -> float:
        start = time.perf_counter()
        importlib.import_module(name)
        return time.perf_counter() - start

    def prepare(self, workload: str) -> bool:
        module = importlib.import_module(self._module)
        if workload not in module.WORKLOADS:
            return False
        self._calls[workload] = module.WORKLOADS[workload]()
        return True

    def first(self, workload: str) -> float:
        return self._run(workload, 1)

    def warm(self, workload: str) -> float:
        self._run(workload, 1)
        n, total = 1, self._run(workload, 1)
        while total < TRIAL:
            n *= 2
            total = self._run(workload, n)
        self._roughly[workload] = total / n
        return total / n

    def time(self, workload: str, n: str) -> float:
        self._run(workload, 1)  # threads and caches are cold from the others' turns
        return self._run(workload, int(n)) / int(n)

    def drop(self, workload: str) -> None:
        self._calls.pop(workload, None)

    def peak(self) -> int:
        try:
            # Not getrusage: Linux hands its figure on from the parent process.
            status = Path("/proc/self/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) * 1024
        except (OSError, IndexError):
            import resource  # not on Windows

            largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return largest if sys.platform == "darwin" else largest * 1024

    def _run(self, workload: str, n: int) -> float:
        """Seconds that n calls take together."""
        call = self._calls[workload]
        wait = importlib.import_module(self._module).wait
        if self._roughly.get(workload, 0.0) > WAIT_FOR_EACH:
            start = time.perf_counter()
            for _ in range(n):
                wait(call())
            return time.perf_counter() - start
        start = time.perf_counter()
        for _ in range(n):
            result = call()
        wait(result)
        return time.perf_counter() - start


def serve(session: Session, commands: TextIO, answers: TextIO) -> None:
    """Obey until the commands end."""
    for line in commands:
        name, *arguments = line.split()
        try:
            method = getattr(session, "import_" if name == "import" else name)
            answer = {"value": method(*arguments)}
        except Exception as error:
            answer = {
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exc(),
            }
        print(json.dumps(answer), file=answers, flush=True)


def main(module: str, cpus: str | None = None) -> None:
    """Serve on the standard streams."""
    if cpus is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cpus)])
    # What libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    faulthandler.enable()
    serve(Session(module), sys.stdin, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
