"""Compiled code among processes: forks at any time, pools of either kind, and one cache for all of them."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import stat
import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.compiler import cache, forks

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
quiet_forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def start_python(code, **environment):
    """A fresh process that runs `code`."""
    environment = {
        **{k: v for k, v in os.environ.items() if k not in environment},
        **{k: v for k, v in environment.items() if v is not None},
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def output_of(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out.strip()


def run_python(code, **environment):
    """What a fresh process prints."""
    return output_of(start_python(code, **environment))


def fork(work, seconds=60):
    """Run `work` in a forked child; whether it returned True in time."""
    import signal

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)  # ends a child that hangs
            status = 0 if work() else 2
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


# --- Pools of processes


@rf.jit
def product(x):
    """At the top level, where children that are spawned find it."""
    return rnp.tanh(x @ x) + rnp.sum(x, axis=0)


def work(seed):
    x = rnp.asarray(np.random.default_rng(seed).standard_normal((70, 70)).astype(np.float32))
    return np.asarray(product(x)), np.asarray(rf.jit(lambda x: rnp.cos(x * seed))(x))


POOL = """
import multiprocessing
import numpy as np
from {module} import work

if __name__ == "__main__":
    expected = [work(seed) for seed in range(4)]
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        found = pool.map(work, range(4))
    same = [(a == b).all() for one, two in zip(expected, found) for a, b in zip(one, two)]
    print(all(same), len(same))
"""


@quiet_forks
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes_compute_what_their_parent_does(method, tmp_path):
    # As a file, since children that are spawned run the main module again.
    script = tmp_path / "main.py"
    script.write_text(POOL.format(module=__name__, method=method))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True 8"


@needs_fork
@quiet_forks
def test_forks_while_other_threads_compile(monkeypatch, tmp_path):
    monkeypatch.setenv("RTFUNC_CACHE_DIR", str(tmp_path))
    x, stop, errors = rnp.ones((20, 20)), threading.Event(), []

    def compile_many(start):
        try:
            number = start
            while not stop.is_set():
                number += 1
                rf.jit(lambda x: rnp.sum(rnp.sin(x + number) @ x) * number)(x)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=compile_many, args=(n * 1000,)) for n in range(2)]
    for worker in workers:
        worker.start()
    try:
        for n in range(6):
            factor = n + 2.5
            assert fork(lambda: float(rf.jit(lambda x: rnp.sum(x * factor))(x)) == 400 * factor)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert not errors


@needs_fork
def test_a_fork_in_the_middle_of_compiling_does_not_wait_for_itself():
    with forks.held_off(), forks.held_off():
        assert fork(lambda: float(rf.jit(lambda x: x * 3.75)(2.0)) == 7.5)
    assert not forks._compilations.running


# --- The cache


CACHED = """
import numpy as np, rtfunc as rf, rtfunc.numpy as rnp
x = rnp.asarray(np.arange(900, dtype=np.float32).reshape(30, 30) / 900)
f = rf.jit(lambda x: rnp.sum(rnp.sort(x @ x)[0]))
print(float(f(x)))
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run_python(CACHED, RTFUNC_CACHE_DIR=str(tmp_path_factory.mktemp("cache")))


def test_processes_that_fill_one_cache_at_once(tmp_path, expected):
    folder = str(tmp_path / "not yet there")
    together = [start_python(CACHED, RTFUNC_CACHE_DIR=folder) for _ in range(3)]
    assert [output_of(process) for process in together] == [expected] * 3
    left = list((tmp_path / "not yet there").glob("*/.new-*"))
    assert not left
    assert run_python(CACHED, RTFUNC_CACHE_DIR=folder) == expected


@pytest.mark.parametrize("place", ["HOME", "XDG_CACHE_HOME", "RTFUNC_CACHE_DIR"])
def test_a_cache_in_a_folder_that_cannot_be_made(tmp_path, place, expected):
    (tmp_path / "file").write_text("not a folder")
    unset = dict.fromkeys(("XDG_CACHE_HOME", "RTFUNC_CACHE_DIR"))
    assert run_python(CACHED, **{**unset, place: str(tmp_path / "file")}) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="sets permissions")
def test_a_folder_that_is_read_only(tmp_path, expected):
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert run_python(CACHED, RTFUNC_CACHE_DIR=str(folder)) == expected
        if os.geteuid():  # to root all folders are writeable
            assert not list(folder.iterdir())
    finally:
        folder.chmod(stat.S_IRWXU)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files by a signal")
def test_a_disk_that_is_full(tmp_path, expected):
    # Files may not grow beyond 100 bytes: writing fails as on a full disk.
    code = f"""
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    {CACHED.strip().replace(chr(10), chr(10) + "    ")}
    """
    folder = tmp_path / "cache"
    assert run_python(code, RTFUNC_CACHE_DIR=str(folder)) == expected
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_no_home(tmp_path, expected):
    unset = dict.fromkeys(("XDG_CACHE_HOME", "RTFUNC_CACHE_DIR", "HOME"))
    # The home of the account is not this test's to fill.
    code = f"""
    import os
    os.chdir({str(tmp_path)!r})
    os.path.expanduser = lambda path: path  # as where the account has no home either
    {CACHED.strip().replace(chr(10), chr(10) + "    ")}
    """
    assert run_python(code, **unset) == expected
    assert not list(tmp_path.iterdir())


def test_the_folder_of_an_account_without_home(monkeypatch):
    for name in ("XDG_CACHE_HOME", "RTFUNC_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    folder = cache.DiskCache()
    folder.put("key", b"content")
    assert folder.get("key") is None


# --- Other processors


def has_conversions_of_halves():
    """Whether the compiler's runtime library, that of GCC 12 and later, converts float16."""
    try:
        ctypes.CDLL("libgcc_s.so.1").__getattr__("__extendhfsf2")
    except (OSError, AttributeError):
        return False
    return platform.machine() in ("x86_64", "AMD64")


@pytest.mark.skipif(not has_conversions_of_halves(), reason="needs a runtime library of x86-64")
def test_processors_without_instructions_for_float16(tmp_path):
    code = """
    import dataclasses
    import numpy as np, rtfunc as rf, rtfunc.numpy as rnp
    from rtfunc.compiler.cpu import target

    older = dict(cpu="nehalem", features="+sse4.2,+popcnt", vector_bytes=16)
    target._host = dataclasses.replace(target.host(), **older)
    x = np.linspace(-3, 60000, 37).astype("float16")
    f = rf.jit(lambda x: (x / 2 + 1, x.astype(rnp.float64).astype(rnp.float16), rnp.sum(x / 99)))
    found = [np.asarray(v) for v in f(rnp.asarray(x))]
    expected = [x / np.float16(2) + np.float16(1), x, np.sum(x.astype("f4") / 99)]
    print([np.allclose(a, b, rtol=2e-3) for a, b in zip(found, expected)])
    """
    assert run_python(code, RTFUNC_CACHE_DIR=str(tmp_path)) == "[True, True, True]"
