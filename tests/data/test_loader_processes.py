"""Worker processes: the same batches, and nothing left behind however they end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from test_loader import make_arrays, make_items, make_stream, values
from worker_datasets import (
    Faulty,
    Images,
    Noted,
    ProcessIds,
    Unloadable,
    count_in_shard,
    fail_in_shard,
    in_forked_copy,
    sum_and_names,
    triple,
)

from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError
from rtfunc.data import ArrayDataset, DataLoader, iterable, map
from rtfunc.data.processes import WorkerError, WorkerTraceback
from rtfunc.random import key

process = {"num_workers": 2, "worker_mode": "process"}


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if os.path.isdir("/proc") else True
    )


@pytest.mark.parametrize("make", [make_items, make_arrays, make_stream])
def test_the_same_batches_and_resuming(make):
    loader = make()
    expected = [values(loader), values(loader)]
    loader = make(**process, persistent_workers=True)
    assert [values(loader), values(loader)] == expected
    loader.restore({**loader.state(), "epoch": 0, "position": 3})
    assert values(loader) == expected[0][3:]
    loader.close()


def test_large_arrays_are_views_of_shared_memory_and_stay_as_they_are():
    """Batches that are kept are not overwritten; those let go make room for others."""
    data = Images(60, 40)
    expected = list(DataLoader(data, 8))  # 51 KB a batch
    loader = DataLoader(data, 8, **process, prefetch=3)
    assert values(loader) == values(expected)
    kept = list(DataLoader(data, 2, **process))  # more batches than may stay in shared memory
    assert values(kept) == values(DataLoader(data, 2))
    some = DataLoader(data, 8, num_workers=1, worker_mode="process", prefetch=1)
    iterator = iter(some)
    first = next(iterator)
    for _ in iterator:
        pass
    assert values([first]) == values(expected[:1])
    assert type(first["image"]) is Array
    # Two segments at most are needed at a time when every batch is let go, and one for `first`.
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else 0
    del first
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) < descriptors


def test_segments_are_used_again():
    """File descriptors do not grow with the number of batches."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    loader = DataLoader(Images(200, 100), 2, **process)
    counts = [len(os.listdir("/proc/self/fd")) for _ in loader]
    # One a worker for each batch that may wait, for the one being made and for those just let go.
    assert max(counts) - min(counts) <= 2 * 5


def test_processes_are_others_and_end_with_the_iteration():
    loader = DataLoader(ProcessIds(), **process)
    ids = {int(batch[0, 0]) for batch in loader}
    assert len(ids) == 2
    assert os.getpid() not in ids
    assert not any(is_running(pid) for pid in ids)
    for _ in loader:
        assert len(multiprocessing.active_children()) == 2
        break
    assert not multiprocessing.active_children()
    loader = DataLoader(ProcessIds(), **process, persistent_workers=True)
    first, second = ({int(batch[0, 0]) for batch in loader} for _ in range(2))
    assert first == second
    assert len(multiprocessing.active_children()) == 2
    del loader
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("count", "prefetch"), [(1, 1), (2, 3)])
def test_workers_run_ahead_by_no_more_than_prefetch(tmp_path, count, prefetch):
    path = tmp_path / "read"
    loader = DataLoader(
        Noted(str(path)), 2, num_workers=count, worker_mode="process", prefetch=prefetch
    )
    iterator = iter(loader)
    assert next(iterator).tolist() == [0, 1]
    expected = 2 * (1 + count * prefetch)
    deadline = time.monotonic() + 5
    while path.stat().st_size < expected and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert path.stat().st_size == expected
    iterator.close()


def test_arrays_of_the_dataset_are_sent_once_and_private():
    x = np.arange(300000, dtype="float32").reshape(3000, 100)
    loader = DataLoader(map(triple, ArrayDataset(x)), 1000, **process)
    assert np.array_equal(np.concatenate(list(loader)), 3 * x)


def test_collate_functions_and_strings():
    options = {"batch_size": 4, "collate": sum_and_names}
    data = Images(10, 100)
    assert values(DataLoader(data, **options, **process)) == values(DataLoader(data, **options))


def test_exceptions_keep_their_type_and_carry_the_traceback():
    loader = DataLoader(Faulty(7, "value"), 2, **process)
    iterator = iter(loader)
    assert [next(iterator)[:, 0, 0].tolist() for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="broken file") as caught:
        next(iterator)
    notes = "\n".join(caught.value.__notes__)
    assert "while reading item 7 of Faulty of 20 items" in notes
    assert "in worker process" in notes
    assert "for batch 3 of epoch 0" in notes
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "in __getitem__" in str(caught.value.__cause__)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("what", "match"),
    [
        ("two arguments", "worker process raised TwoArguments: 1 and 2"),
        ("lambda", "item 1 a function"),
        ("stop", "dataset raised StopIteration"),
    ],
)
def test_exceptions_that_cannot_be_sent(what, match):
    with pytest.raises((RuntimeError, TypeError), match=match):
        list(DataLoader(Faulty(7, what), 2, **process))


def test_exceptions_in_streams():
    with pytest.raises(ValueError, match="broken stream"):
        list(DataLoader(iterable(fail_in_shard, shards=2), 2, **process))


def test_a_killed_worker_raises():
    iterator = iter(DataLoader(Faulty(7, "kill"), 2, **process))
    assert [next(iterator)[:, 0, 0].tolist() for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(WorkerError, match=r"worker process \d \(pid \d+\) ended by signal SIGKILL"):
        next(iterator)
    assert not multiprocessing.active_children()


def test_workers_killed_from_outside_raise():
    """Also while they have nothing to do, and when all of them are gone."""
    iterator = iter(DataLoader(ProcessIds(), **process))
    next(iterator)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="SIGKILL"):
        for _ in iterator:
            pass


def test_what_cannot_be_pickled_or_loaded():
    with pytest.raises(ArgumentError, match=r"module level.*worker_mode='thread'"):
        iter(DataLoader(map(lambda x: x, [1]), **process))
    with pytest.raises(WorkerError, match=r"could not load the dataset: .*notebook.*'thread'") as e:
        list(DataLoader(Unloadable(), **process))
    assert "in refuse" in str(e.value.__cause__)


def test_where_there_can_be_no_processes(monkeypatch):
    loader = DataLoader(Images(4), **process)
    with monkeypatch.context() as patched:
        patched.setitem(multiprocessing.current_process()._config, "daemon", True)
        with pytest.raises(ArgumentError, match=r"is a daemonic one .* Use worker_mode='thread'"):
            iter(loader)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "<stdin>", raising=False)
    with pytest.raises(ArgumentError, match=r"through standard input.* Use worker_mode='thread'"):
        iter(loader)


def test_workers_may_be_spawned(monkeypatch):
    """As on systems without a fork server."""
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert values(make_items(**process)) == values(make_items())


def test_a_forked_copy_has_workers_of_its_own():
    loader = make_items(**process, persistent_workers=True)
    expected = values(make_items())
    assert values(loader) == expected
    loader.restore({**loader.state(), "epoch": 0})
    assert in_forked_copy(lambda: (values(loader) == expected, loader.close())) == "(True, None)"
    assert values(loader) == expected
    iterator = iter(loader)
    next(iterator)
    assert in_forked_copy(lambda: next(iterator)).startswith(
        "WorkerError: DataLoader: this process"
    )
    assert len(list(iterator)) == 5
    loader.close()


def test_closing_does_not_wait_for_a_worker_that_hangs(monkeypatch):
    monkeypatch.setattr("rtfunc.data.processes.PATIENCE", 0.1)
    iterator = iter(DataLoader(Faulty(0, "sleep"), num_workers=1, worker_mode="process"))
    iterator._fill(iterator._pool)
    time.sleep(0.3)
    (child,) = multiprocessing.active_children()
    pid = child.pid
    iterator.close()
    assert not is_running(pid)


PROGRAM = """
import os, sys, time
from worker_datasets import ProcessIds
from rtfunc.data import DataLoader

if __name__ == "__main__":
    loader = DataLoader(ProcessIds(), num_workers=2, worker_mode="process", persistent_workers=True)
    list(loader)
    iterator = iter(loader)
    print(*{int(next(iterator)[0, 0]) for _ in range(8)}, flush=True)
    threads = iter(DataLoader(range(100), num_workers=2))
    next(threads)
    WHAT
"""


@pytest.mark.parametrize(
    ("what", "code", "interrupt"),
    [
        ("", 0, None),
        ("os.kill(os.getpid(), 9)", -9, None),
        ("sys.stdin.read()", -2, os.killpg),
        ("sys.stdin.read()", -2, os.kill),
    ],
)
def test_the_end_of_the_program_is_the_end_of_its_workers(tmp_path, what, code, interrupt):
    """At a regular end, after kill -9, and after Ctrl-C, also where it goes to the program alone."""
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM).replace("WHAT", what))
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    program = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = [int(word) for word in program.stdout.readline().split()]
    assert len(pids) == 2
    if interrupt:
        interrupt(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=20)
    assert program.returncode == code, errors
    assert "resource_tracker" not in errors
    assert errors.count("Traceback") == (code == -2)
    deadline = time.monotonic() + 5
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(is_running(pid) for pid in pids)


def test_streams_are_read_by_as_many_workers_as_shards():
    stream = iterable(count_in_shard, shards=1)
    iterator = iter(DataLoader(stream, 4, num_workers=3, worker_mode="process", key=key(0)))
    assert next(iterator).tolist() == [0, 1, 2, 3]
    assert len(multiprocessing.active_children()) == 1
    iterator.close()
