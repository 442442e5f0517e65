"""The thread pool: each chunk once, the same chunks on any number of threads, no way to hang."""

import math
import os
import subprocess
import sys
import threading
import time
import warnings
from ctypes import c_int64, c_void_p
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from rtfunc.compiler.cpu import engine, threads, threads_ir

ROOT = Path(__file__).parents[2]

# `record` notes the end of its chunk and its worker at the chunk's begin, and counts calls. `meet`
# waits until two chunks are inside it, at most some seconds. `nest` runs a parallel call of its own
# for each index.
BODIES = """
declare void @rtfunc_parallel_for(ptr, ptr, i64, i64)

define void @record(ptr %context, i64 %begin, i64 %end, i64 %worker) nounwind {
entry:
  %row = mul i64 %begin, 3
  %p = getelementptr i64, ptr %context, i64 %row
  store i64 %end, ptr %p
  %q = getelementptr i64, ptr %p, i64 1
  store i64 %worker, ptr %q
  %r = getelementptr i64, ptr %p, i64 2
  %old = atomicrmw add ptr %r, i64 1 monotonic
  ret void
}

define void @meet(ptr %context, i64 %begin, i64 %end, i64 %worker) nounwind {
entry:
  %0 = atomicrmw add ptr %context, i64 1 acq_rel
  br label %look
look:
  %i = phi i64 [0, %entry], [%i.next, %look]
  %i.next = add i64 %i, 1
  %there = load atomic i64, ptr %context acquire, align 8
  %wait = icmp slt i64 %there, 2
  %patient = icmp slt i64 %i, 3000000000
  %again = and i1 %wait, %patient
  br i1 %again, label %look, label %leave
leave:
  ret void
}

define void @add_one(ptr %context, i64 %begin, i64 %end, i64 %worker) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%i.next, %loop]
  %p = getelementptr i64, ptr %context, i64 %i
  %old = load i64, ptr %p
  %new = add i64 %old, 1
  store i64 %new, ptr %p
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}

define void @nest(ptr %context, i64 %begin, i64 %end, i64 %worker) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%i.next, %loop]
  %offset = mul i64 %i, 100
  %p = getelementptr i64, ptr %context, i64 %offset
  call void @rtfunc_parallel_for(ptr @add_one, ptr %p, i64 100, i64 7)
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}

define void @run(ptr %body, ptr %context, i64 %total, i64 %grain) nounwind {
  call void @rtfunc_parallel_for(ptr %body, ptr %context, i64 %total, i64 %grain)
  ret void
}
"""


@pytest.fixture(scope="module")
def module():
    return engine.compile_module(BODIES)


@pytest.fixture
def run(module):
    function = module.function("run", None, c_void_p, c_void_p, c_int64, c_int64)
    count = threads.get_num_threads()

    def call(body, array, total, grain):
        function(module.address(body), array.ctypes.data, total, grain)

    yield call
    threads.set_num_threads(count)
    threads.set_spin_microseconds(100)


def chunks(total, grain):
    grain = max(grain, 1)
    return [(begin, min(begin + grain, total)) for begin in range(0, max(total, 0), grain)]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("total", "grain"),
    [(0, 4), (-3, 1), (1, 1), (5, 100), (100, 1), (100, 7), (1000, 10), (10, 0), (10, -5)],
)
def test_chunks_run_once_and_do_not_depend_on_the_thread_count(run, count, total, grain):
    threads.set_num_threads(count)
    expected = chunks(total, grain)
    for _ in range(20):
        table = np.zeros((max(total, 1), 3), np.int64)
        run("record", table, total, grain)
        begins = np.flatnonzero(table[:, 2])
        assert [(begin, table[begin, 0]) for begin in begins] == expected
        assert (table[begins, 2] == 1).all()
        assert (table[begins, 1] < count).all()


def test_workers_take_part(run):
    threads.set_num_threads(2)
    for _ in range(50):
        inside = np.zeros(1, np.int64)
        run("meet", inside, 2, 1)
        assert inside[0] == 2


def test_sleeping_workers_wake(run):
    threads.set_num_threads(2)
    threads.set_spin_microseconds(0)
    for _ in range(20):
        time.sleep(0.001)
        inside = np.zeros(1, np.int64)
        run("meet", inside, 2, 1)
        assert inside[0] == 2


@pytest.mark.parametrize("count", [1, 3])
def test_nested_calls_run_serially(run, count):
    threads.set_num_threads(count)
    values = np.zeros((40, 100), np.int64)
    for _ in range(20):
        run("nest", values, 40, 3)
    assert (values == 20).all()


def test_calls_from_several_python_threads(run):
    threads.set_num_threads(3)
    arrays = [np.zeros((20, 100), np.int64) for _ in range(4)]

    def work(array):
        for _ in range(100):
            run("nest", array, 20, 2)

    workers = [threading.Thread(target=work, args=(array,)) for array in arrays]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((array == 100).all() for array in arrays)


def test_calls_do_not_hold_the_gil(run):
    threads.set_num_threads(1)
    inside = np.zeros(1, np.int64)

    def come_along():
        while inside[0] == 0:
            pass
        inside[0] += 1

    other = threading.Thread(target=come_along)
    other.start()
    # With the GIL held nobody could come, and `meet` would give up with one inside.
    run("meet", inside, 1, 1)
    other.join()
    assert inside[0] == 2


def test_changing_the_count_stops_and_starts_no_calls(run):
    values = np.zeros((20, 100), np.int64)
    for count in [1, 4, 2, 5, 1, 3]:
        threads.set_num_threads(count)
        assert threads.get_num_threads() == count
        run("nest", values, 20, 1)
    assert (values == 6).all()


def test_stopped_pool_starts_again(run):
    threads.set_num_threads(3)
    values = np.zeros((20, 100), np.int64)
    run("nest", values, 20, 1)
    threads.load().stop()
    assert threads.load().count_workers() == 0
    run("nest", values, 20, 1)
    assert threads.load().count_workers() == 2
    assert (values == 2).all()


@pytest.mark.filterwarnings("ignore:os.fork")  # jax warns of it, if an oracle test imported it
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_have_a_pool_of_their_own(run):
    threads.set_num_threads(2)
    inside = np.zeros(1, np.int64)
    run("meet", inside, 2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            before = threads.load().count_workers()
            inside[0] = 0
            run("meet", inside, 2, 1)
            status = 0 if before == 0 and inside[0] == 2 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    inside[0] = 0
    run("meet", inside, 2, 1)
    assert inside[0] == 2


@pytest.mark.parametrize("count", [0, -1, 10**6])
def test_impossible_counts_are_refused(count):
    with pytest.raises(ValueError, match="number of threads"):
        threads.set_num_threads(count)


def run_python(program, tmp_path, **environment):
    # Compiled code goes to a folder of the test's own, which makes the first run one without a
    # cache.
    settings = os.environ | {"RTFUNC_CACHE_DIR": str(tmp_path)} | environment
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_environment_sets_the_count(tmp_path):
    program = "from rtfunc.compiler.cpu import threads; print(threads.get_num_threads())"
    result = run_python(program, tmp_path, RTFUNC_NUM_THREADS="3")
    assert (result.stdout, result.returncode) == ("3\n", 0), result.stderr
    result = run_python(program, tmp_path, RTFUNC_NUM_THREADS="many")
    assert "RTFUNC_NUM_THREADS must be a number" in result.stderr


def test_exit_is_clean_while_threads_are_busy(tmp_path):
    program = f"""
import threading, time
from ctypes import c_int64, c_void_p
import numpy as np
from rtfunc.compiler.cpu import engine, threads
threads.set_num_threads(3)
module = engine.compile_module('''{BODIES}''')
run = module.function("run", None, c_void_p, c_void_p, c_int64, c_int64)
values = np.zeros((500, 100), np.int64)
def work():
    while True:
        run(module.address("nest"), values.ctypes.data, 500, 5)
threading.Thread(target=work, daemon=True).start()
while not values.any():
    time.sleep(0.001)
print("leaving")
"""
    for _ in range(2):
        result = run_python(program, tmp_path)
        assert (result.stdout, result.stderr, result.returncode) == ("leaving\n", "", 0)


def test_quota_of_control_groups_is_read(tmp_path):
    quota = threads._cgroup_quota
    assert quota(tmp_path) == math.inf
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert quota(tmp_path) == math.inf
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    assert quota(tmp_path) == 2.5
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert quota(tmp_path) == 2.5
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("150000\n")
    assert quota(tmp_path) == 1.5
    assert threads.available_cpus() >= 1


@pytest.mark.parametrize(
    ("system", "machine"),
    [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("linux", "riscv64")],
)
def test_pool_is_valid_ir_on_all_platforms(system, machine):
    ir = threads_ir.pool_ir(system, machine)
    llvm.parse_assembly(ir, llvm.create_context()).verify()


def test_serial_pool_of_other_platforms_has_the_same_interface():
    pool = engine.compile_module(threads_ir.pool_ir("win32", "AMD64"))
    full = engine.compile_module(threads_ir.pool_ir("linux", "x86_64"), optimize="none")
    assert set(full.functions) == set(pool.functions)
    parallel_for = pool.function("rtfunc_parallel_for", None, c_void_p, c_void_p, c_int64, c_int64)
    bodies = engine.compile_module(BODIES)
    table = np.zeros((10, 3), np.int64)
    parallel_for(bodies.address("record"), table.ctypes.data, 10, 4)
    assert [tuple(table[begin, [0, 2]]) for begin in (0, 4, 8)] == [(4, 1), (8, 1), (10, 1)]
    parallel_for(bodies.address("record"), table.ctypes.data, 0, 4)
    assert table[:, 2].sum() == 3
