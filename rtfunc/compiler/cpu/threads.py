"""One pool of native threads for all compiled code.

Compiled code calls the symbol `rtfunc_parallel_for`:

    void rtfunc_parallel_for(void (*body)(void *context, int64 begin, int64 end, int64 worker),
                             void *context, int64 total, int64 grain)

It runs `body` over the chunks `[0, grain)`, `[grain, 2 grain)` ... of `[0, total)` and returns when
all are done. The chunks depend on `total` and `grain` alone, whatever the number of threads: a body
that treats each chunk alike gives the same bits on every machine size. Chunks are handed out in
order to whoever is free, the caller among them.

- `worker` is below `get_num_threads()` as it was at the call, and differs between chunks that run
  at the same time within one call: it may index scratch memory that belongs to the call. Chunks
  that run on the caller's thread have worker 0.
- A call inside a body runs serially on that body's thread, and so does a call while another thread
  of the program has a parallel call going. It sees the same chunks.
- Workers start at the first call that needs them, spin for a while after each call and then sleep
  (`set_spin_microseconds`). Nothing here takes the GIL, and bodies must not.
- A forked child starts with no workers and makes its own at need; bodies must not fork. At
  interpreter exit workers are ended in order.
- On Windows all calls run serially: there the pool has no threads yet.

Depends on `library`.
"""

from __future__ import annotations

import atexit
import functools
import math
import os
import sys
import threading
import time
from ctypes import c_int64
from pathlib import Path

from rtfunc.compiler.cpu import library

PARALLEL_FOR = "rtfunc_parallel_for"
"""Symbol of the pool's entry; the linker knows it once this module is imported."""

MAX_THREADS = 1024

_SPIN_MICROSECONDS = 100.0
_lock = threading.Lock()


class _Pool:
    """The compiled pool and its settings; made once a process by `load`."""

    def __init__(self) -> None:
        self.module = library.load("pool")
        self.configure = self.module.function("pool_configure", None, c_int64, c_int64)
        self.count_threads = self.module.function("pool_threads", c_int64)
        self.count_workers = self.module.function("pool_workers", c_int64)
        self.count_regions = self.module.function("pool_regions", c_int64)
        self.reset = self.module.function("pool_reset", None)
        self.stop = self.module.function("pool_stop", None)
        self.pauses_per_microsecond = self._measure_pause()
        self.spin_microseconds = _SPIN_MICROSECONDS
        self.reset()
        self.set_threads(initial_threads())
        atexit.register(self.finish)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.reset)

    def set_threads(self, count: int) -> None:
        spins = int(self.spin_microseconds * self.pauses_per_microsecond)
        self.configure(1 if sys.platform == "win32" else count, spins)

    def finish(self) -> None:
        self.set_threads(1)
        self.stop()

    def _measure_pause(self) -> float:
        spin = self.module.function("pool_spin", None, c_int64)
        times = []
        for _ in range(3):
            started = time.perf_counter_ns()
            spin(500)
            times.append(time.perf_counter_ns() - started)
        return 500 / max(min(times) / 1000, 0.1)


@functools.cache
def _load() -> _Pool:
    return _Pool()


def load() -> _Pool:
    """Make the pool ready; later calls do nothing, and nobody has to call this.

    Takes about a millisecond when the pool's code is in the disk cache.
    """
    with _lock:
        return _load()


def _after_fork() -> None:
    """In a forked child: the thread that was making the pool, if one was, is not there any more."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def get_num_threads() -> int:
    """How many threads a parallel call may use, the caller's included."""
    return int(load().count_threads())


def set_num_threads(count: int) -> None:
    """Set how many threads parallel calls may use from now on, the caller's included.

    1 turns the pool off. Waits for a parallel call that is open in another thread.

    Args:
        count: from 1 to 1024. More than `available_cpus()` makes everything slower.

    Raises:
        ValueError: a count outside this range.
    """
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"the number of threads must be from 1 to {MAX_THREADS}, got {count}")
    load().set_threads(count)


def set_spin_microseconds(duration: float) -> None:
    """Set how long an idle worker looks for work before it sleeps: 100 µs unless told.

    Longer makes calls that follow one another more slowly start faster, at the price of processor
    time; a sleeping worker takes some 5 to 50 µs to wake, in which the caller works alone.
    """
    if not 0 <= duration <= 1e6:
        raise ValueError(f"spin time must be from 0 to 1e6 µs, got {duration}")
    pool = load()
    pool.spin_microseconds = duration
    pool.set_threads(get_num_threads())


def available_cpus() -> int:
    """Processors that this process may use, by its affinity and its control group's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, int(min(count, _cgroup_quota())))


def initial_threads() -> int:
    """How many threads a process uses unless told otherwise: `RTFUNC_NUM_THREADS`, or all processors."""
    setting = os.environ.get("RTFUNC_NUM_THREADS", "").strip()
    if not setting:
        # What other libraries go by; its first number is for the outermost parallel loop.
        general = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        if general.isdigit() and int(general):
            return min(int(general), MAX_THREADS)
        return min(available_cpus(), MAX_THREADS)
    if not setting.isdigit() or not 1 <= int(setting) <= MAX_THREADS:
        raise ValueError(
            f"RTFUNC_NUM_THREADS must be a number from 1 to {MAX_THREADS}, got {setting!r}"
        )
    return int(setting)


def _cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Processors' worth of time that control groups allow, infinite where they set no limit."""
    quotas = [math.inf]
    folder = root
    for name in ("", *_cgroup_path().parts):
        folder = folder / name if name != "/" else folder
        quotas.append(_read_quota(folder / "cpu.max"))
    try:
        quota = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period = int((root / "cpu/cpu.cfs_period_us").read_text())
        quotas.append(quota / period if quota > 0 else math.inf)
    except (OSError, ValueError):
        pass
    return min(quotas)


def _cgroup_path() -> Path:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return Path("/")
    paths = [line.split(":", 2)[2] for line in lines if line.startswith("0::")]
    return Path(paths[0]) if paths else Path("/")


def _read_quota(file: Path) -> float:
    try:
        quota, period = file.read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def resolve(name: str) -> int | None:
    """The address of the pool's entry."""
    return load().module.address(PARALLEL_FOR) if name == PARALLEL_FOR else None
