"""Settings of the process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.compiler import buffers
from rtfunc.core.errors import ArgumentError
from tests.messages import raises


@pytest.fixture(autouse=True)
def _restored():
    threads, kept = rf.config.num_threads, rf.config.kept_bytes
    yield
    rf.config.num_threads, rf.config.kept_bytes = threads, kept


def test_results_do_not_depend_on_the_number_of_threads():
    x = rnp.asarray(np.random.default_rng(0).normal(size=(300, 1000)).astype("float32"))
    f = rf.jit(lambda x: (rnp.sum(rnp.exp(x)), x @ x.T, rnp.mean(x, 0)))
    found = []
    for count in (1, 2, 3):
        rf.config.num_threads = count
        assert rf.config.num_threads == count
        found.append([np.asarray(a).tobytes() for a in f(x)])
    assert found[0] == found[1] == found[2]


def test_less_memory_is_kept():
    f = rf.jit(lambda x: x + 1)
    f(rnp.ones(1 << 20))  # the result's block waits now
    rf.config.kept_bytes = 0
    assert rf.config.kept_bytes == buffers._blocks.kept == 0
    f(rnp.ones(1 << 20))
    assert buffers._blocks.kept == 0


@pytest.mark.parametrize("count", [0, 1025, 1.5, "2", True])
def test_wrong_counts(count):
    with raises(ArgumentError, "rtfunc.config.num_threads is a number from 1 to 1024, not"):
        rf.config.num_threads = count


def test_settings_that_do_not_exist():
    with raises(ArgumentError, "rtfunc.config has no setting 'threads'; there are num_threads"):
        rf.config.threads = 2


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"RTFUNC_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
    ],
)
def test_environment_variables(environment, count, monkeypatch):
    monkeypatch.delenv("RTFUNC_NUM_THREADS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    program = "import rtfunc; print(rtfunc.config.num_threads)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(result.stdout) == count
