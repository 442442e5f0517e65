"""Worker processes import `worker_datasets` by name, tests of images `pictures`: this folder is on
the path."""

import multiprocessing
import os
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def _threads():
    return {t for t in threading.enumerate() if t.name.startswith("rtfunc-data")}


@pytest.fixture(autouse=True)
def _no_workers_left():
    """No test leaves a thread, a process, a descriptor or a named segment behind."""
    threads = _threads()
    segments = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    yield
    assert _threads() <= threads
    assert not multiprocessing.active_children()
    if segments:
        named = set(os.listdir("/dev/shm")) - segments
        assert not {name for name in named if "rtfunc" in name or name.startswith("psm_")}
