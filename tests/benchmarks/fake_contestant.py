"""Workloads that behave in every way that a contestant's might."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any


def wait(result: Any) -> None:
    pass


def fails_to_prepare() -> Callable[[], Any]:
    raise ValueError("no such data")


def fails_to_run() -> Any:
    raise ArithmeticError("cannot be computed")


def knows_its_processors() -> Any:
    """Raises unless affinity and environment say the same."""
    count = len(os.sched_getaffinity(0))
    assert os.environ["RTFUNC_NUM_THREADS"] == os.environ["OMP_NUM_THREADS"] == str(count)


WORKLOADS: dict[str, Callable[[], Callable[[], Any]]] = {
    "fine": lambda: lambda: sum(range(10)),
    "prints": lambda: lambda: print("not an answer"),
    "fails-to-prepare": fails_to_prepare,
    "fails-to-run": lambda: fails_to_run,
    "crashes": lambda: lambda: os._exit(7),
    "hangs": lambda: lambda: time.sleep(60),
    "knows-its-processors": lambda: knows_its_processors,
}
