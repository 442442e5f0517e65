"""Compiled code among threads, forks, exceptions, and where memory or the disk fail."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
import warnings
import weakref

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.compiler import buffers
from rtfunc.compiler.cpu import threads
from rtfunc.compiler.native import compile_graph

GENERATOR = np.random.default_rng(0)


def array(*shape):
    return rnp.asarray(GENERATOR.standard_normal(shape).astype(np.float32))


@pytest.fixture
def thread_count():
    before = threads.get_num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


def in_threads(count, work):
    """The results of `work(number)`, called by so many threads at once."""
    results, errors, start = {}, [], threading.Barrier(count)

    def run(number):
        try:
            start.wait()
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert not any(worker.is_alive() for worker in workers), "a deadlock"
    assert not errors, errors
    return [results[number] for number in range(count)]


def run_python(code, **environment):
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- Threads


def test_threads_share_one_function():
    f = rf.jit(lambda x, s: rnp.cumsum((x @ x) * s, axis=0) + rnp.sum(rnp.sin(x)))
    x = array(120, 120)
    expected = [np.asarray(f(x, float(n))) for n in range(6)]

    def work(n):
        return all((np.asarray(f(x, float(n))) == expected[n]).all() for _ in range(20))

    assert all(in_threads(6, work))


def test_threads_may_compile_the_same_function_at_once():
    x = array(40, 40)
    traces = []

    @rf.jit
    def f(x):
        traces.append(threading.get_ident())
        return rnp.tanh(x @ x) + 0.125

    results = in_threads(6, lambda n: np.asarray(f(x)))
    assert all((r == results[0]).all() for r in results)
    count = len(traces)
    f(x)
    assert len(traces) == count


def test_threads_may_compile_different_functions_at_once():
    x = array(33, 33)
    results = in_threads(6, lambda n: np.asarray(rf.jit(lambda x: rnp.cos(x * n) @ x)(x)))
    for n, result in enumerate(results):
        np.testing.assert_allclose(result, np.cos(np.asarray(x) * n) @ np.asarray(x), atol=2e-4)


def test_threads_get_the_exceptions_of_their_own_host_calls():
    def host(v):
        if int(v) % 2:
            raise ZeroDivisionError(str(int(v)))
        return np.asarray(v) * 2

    f = rf.jit(lambda x: lax.fori_loop(0, 3, lambda i, c: rf.pure_callback(host, x, c), x))

    def work(number):
        found = []
        for _ in range(30):
            try:
                found.append(int(f(rnp.int32(number))))
            except ZeroDivisionError as error:
                found.append(str(error))
        return set(found)

    assert in_threads(6, work) == [{8 * n} if n % 2 == 0 else {str(n)} for n in range(6)]


def test_a_host_call_may_call_the_program_that_it_is_part_of():
    def host(v):
        return np.asarray(f(rnp.asarray(v) - 1)) if v[0] > 0 else np.asarray(v)

    f = rf.jit(lambda x: rnp.cumsum(rf.pure_callback(host, x, rnp.cumsum(x) * 0 + x)) + x)

    def plain(x):
        return np.cumsum(plain(x - 1) if x[0] > 0 else x) + x

    x = np.array([3.0, 1.5, 2.5], np.float32)
    assert all(
        (r == plain(x)).all() for r in in_threads(3, lambda n: np.asarray(f(rnp.asarray(x))))
    )


PROGRAMS = {
    "product": lambda x: x @ rnp.sin(x).T,
    "reduction": lambda x: (rnp.sum(x), rnp.sum(x, axis=0), rnp.mean(x, axis=1), rnp.max(x)),
    "softmax": lambda x: rnp.exp(x) / rnp.sum(rnp.exp(x), axis=-1, keepdims=True),
    "scan": lambda x: lax.scan(lambda c, v: (rnp.tanh(c + v), rnp.sum(c * v)), x[0], x),
    "cumulative": lambda x: rnp.cumsum(x, axis=0) + rnp.cumsum(x, axis=1),
    "gradient": rf.grad(lambda x: rnp.sum(rnp.tanh(x @ x) ** 2)),
    "convolution": lambda x: lax.conv_general_dilated(
        x.reshape(1, 1, *x.shape), x[:6, :5].reshape(1, 1, 6, 5), (1, 1), "SAME"
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_bits_do_not_depend_on_the_number_of_threads(name, thread_count):
    f = rf.jit(PROGRAMS[name])
    x = rnp.asarray(np.random.default_rng(1).standard_normal((301, 301)).astype(np.float32))
    found = []
    for count in (1, 2, 5):
        thread_count(count)
        found.append([np.asarray(leaf).tobytes() for leaf in rf.tree.leaves(f(x))])
    assert found[0] == found[1] == found[2]


# --- Processes


@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_call_and_compile():
    f = rf.jit(lambda x: x @ x + 1)
    x = array(200, 200)
    expected = np.asarray(f(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            same = (np.asarray(f(x)) == expected).all()
            again = np.asarray(rf.jit(lambda x: (x @ x + 1) * 2)(x))
            status = 0 if same and (again == expected * 2).all() else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert (np.asarray(f(x)) == expected).all()


@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_other_threads_call():
    f = rf.jit(lambda x: rnp.sum(x @ x))
    x = array(300, 300)
    expected, stop = float(f(x)), threading.Event()

    def call():
        while not stop.is_set():
            f(x)

    worker = threading.Thread(target=call)
    worker.start()
    try:
        for _ in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if float(f(x)) == expected else 2)
                finally:
                    os._exit(1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        worker.join()


# --- Exceptions


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["program", "loop", "branch"])
def test_exceptions_of_host_calls_come_out_and_the_next_call_works(error, place):
    bad = []

    def host(v):
        if bad:
            raise error("from the host")
        return np.asarray(v) * 2

    def step(x):
        return rf.pure_callback(host, x, x)

    programs = {
        "program": lambda x: step(x) + 1,
        "loop": lambda x: lax.fori_loop(0, 3, lambda i, v: step(v), x) / 4 + 1,
        "branch": lambda x: lax.cond(x[0] > -9, step, lambda v: v, x) + 1,
    }
    f = rf.jit(programs[place])
    x = rnp.ones(5)
    assert (np.asarray(f(x)) == 3).all()
    for _ in range(3):
        bad.append(1)
        with pytest.raises(error, match="from the host") as caught:
            f(x)
        assert "host" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        bad.clear()
        assert (np.asarray(f(x)) == 3).all()


NESTED = {
    "scan in cond": lambda step: (
        lambda x: lax.cond(
            rnp.sum(x) > -9,
            lambda v: lax.scan(lambda c, w: (step(c) / 2 + w, step(w)), v, rnp.stack([v, v]))[0],
            lambda v: v,
            x,
        )
    ),
    "cond in while": lambda step: (
        lambda x: lax.while_loop(
            lambda c: c[0] < 3,
            lambda c: (c[0] + 1, lax.cond(c[0] == 1, step, lambda v: v + 1, c[1])),
            (0, x),
        )[1]
    ),
    "while in scan": lambda step: (
        lambda x: lax.scan(
            lambda c, n: (lax.fori_loop(0, n, lambda i, v: step(v) / 2 + 1, c), rnp.sum(c)),
            x,
            rnp.arange(3),
        )[1]
    ),
    "condition of a while": lambda step: (
        lambda x: lax.while_loop(lambda v: step(v)[0] < 99, lambda v: v + 1, x)
    ),
    "gradient of a scan": lambda step: rf.grad(
        lambda x: rnp.sum(lax.scan(lambda c, w: (c * step(w), c), x, rnp.stack([x, x]))[0])
    ),
    "vmap": lambda step: lambda x: rf.vmap(lambda v: step(rnp.sin(v)) + 1)(x),
}


@pytest.mark.parametrize("name", NESTED)
def test_exceptions_of_host_calls_leave_nested_programs_intact(name):
    at, calls = [None], []

    def host(v):
        calls.append(1)
        if at[0] == len(calls):
            raise ZeroDivisionError("from the host")
        return np.asarray(v) * 2

    @rf.custom_jvp
    def step(x):
        return rf.pure_callback(host, x, x, vmap_method="sequential")

    step.defjvp(lambda primals, tangents: (step(*primals), 2 * tangents[0]))
    f = rf.jit(NESTED[name](step))
    x = rnp.arange(1.0, 4.0)
    expected, count = np.asarray(f(x)), len(calls)
    assert count
    for number in range(1, count + 1):  # in each of the calls
        calls.clear()
        at[0] = number
        with pytest.raises(ZeroDivisionError, match="from the host"):
            f(x)
        assert len(calls) == number
        calls.clear()
        at[0] = None
        assert (np.asarray(f(x)) == expected).all()


def test_an_exception_gives_the_memory_of_intermediate_values_back():
    calls = []

    def host(v):
        calls.append(1)
        if len(calls) % 2 == 0:
            raise ZeroDivisionError
        return np.asarray(v)

    def program(x):
        y = rnp.cumsum(x)  # in the arena
        return rnp.cumsum(rf.pure_callback(host, y, y))

    x = rnp.ones(1000)
    graph = rf.make_graph(program)(x)
    executable = compile_graph(graph)
    for _ in range(3):
        executable([x])
        with pytest.raises(ZeroDivisionError):
            executable([x])
        assert len(executable._arenas) == 1


def test_a_host_call_that_raises_value_error_runs_once():
    calls = []

    def host(v):
        calls.append(1)
        raise ValueError("not this")

    f = rf.jit(lambda x: rf.pure_callback(host, x, x))
    with pytest.raises(ValueError, match="not this"):
        f(rnp.ones(3))
    assert len(calls) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "TimeoutError"])
def test_signals_before_a_host_call_are_raised(error):
    # Python handles a signal where the next of its functions begins: that of the host call.
    code = f"""
    import os, signal, threading
    import numpy as np, rtfunc as rf, rtfunc.numpy as rnp
    from rtfunc import lax
    def handle(number, frame):
        raise {error}("by a signal")
    signal.signal(signal.SIGINT, handle)
    step = lambda c: (c[0] + 1, rnp.sin(c[1]) + 0.5)
    def program(n, x):
        y = lax.while_loop(lambda c: c[0] < n, step, (0, x))[1]
        return rf.pure_callback(lambda v: np.asarray(v) * 2, y, y) + 1
    f = rf.jit(program)
    expected = float(f(20_000_000, 0.1))
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        while True:
            f(20_000_000, 0.1)
    except {error} as raised:
        print(raised, float(f(20_000_000, 0.1)) == expected)
    """
    assert run_python(code) == "by a signal True"


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_is_raised_when_the_call_returns():
    code = """
    import os, signal, threading
    import rtfunc as rf, rtfunc.numpy as rnp
    from rtfunc import lax
    step = lambda c: (c[0] + 1, rnp.sin(c[1]) + 0.5)
    f = rf.jit(lambda n, x: lax.while_loop(lambda c: c[0] < n, step, (0, x))[1])
    expected = float(f(20_000_000, 0.1))
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        while True:
            f(20_000_000, 0.1)
    except KeyboardInterrupt:
        print(float(f(20_000_000, 0.1)) == expected)
    """
    assert run_python(code) == "True"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="sends signals at short intervals")
def test_interrupts_while_programs_compile(tmp_path):
    code = """
    import random, signal
    import numpy as np, rtfunc as rf, rtfunc.numpy as rnp
    from rtfunc.compiler import forks
    x = np.random.default_rng(0).standard_normal((40, 40))
    delays = random.Random(0)

    def handle(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, handle)
    interrupted = 0
    for n in range(100):
        f = rf.jit(lambda x: rnp.sum(rnp.sin(x + n) @ x) + rnp.sort(x.ravel())[n])
        try:
            signal.setitimer(signal.ITIMER_REAL, delays.uniform(0.0005, 0.05))
            f(rnp.asarray(x))
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
        expected = np.sum(np.sin(x + n) @ x) + np.sort(x.ravel())[n]
        assert abs(float(f(rnp.asarray(x))) - expected) < 1e-9
    assert not forks._compilations.running
    print(interrupted > 10)
    """
    assert run_python(code, RTFUNC_CACHE_DIR=str(tmp_path)) == "True"


# --- Memory


@pytest.mark.parametrize("sizes", [(2**20, 2**20), (2**31, 2**31)])
def test_results_too_large_name_the_bytes(sizes):
    f = rf.jit(lambda x: rnp.broadcast_to(x, sizes) + 1)
    with pytest.raises(MemoryError, match=rf"needs {4 * sizes[0] * sizes[1]:,} bytes for its res"):
        f(rnp.float32(1))
    assert float(rf.jit(lambda x: x + 1)(1.0)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_kept_memory_is_given_back_before_memory_runs_out():
    code = """
    import resource
    import numpy as np
    from rtfunc.compiler import buffers
    size = 1 << 28
    kept = [buffers.new_buffer((size + i * (size // 4),), np.dtype(np.uint8)) for i in range(2)]
    del kept
    assert buffers._blocks.kept > 2 * size
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + size, -1))
    wanted = buffers.new_buffer((2 * size,), np.dtype(np.uint8))
    assert buffers._blocks.kept == 0
    try:
        buffers.new_buffer((8 * size,), np.dtype(np.uint8))
    except MemoryError:
        print("out of memory")
    """
    assert run_python(code) == "out of memory"


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("place", ["scan", "cond in while", "host call", "gradient"])
def test_nested_programs_that_run_out_of_memory(place):
    code = f"""
    import resource
    import numpy as np
    import rtfunc as rf, rtfunc.numpy as rnp
    from rtfunc import lax

    def spread(x):  # needs four times the memory that there is, for what nothing else reads
        return rnp.sum(rnp.cumsum(rnp.broadcast_to(x, (1 << 28,)) * x))

    programs = {{
        "scan": lambda x: lax.scan(lambda c, v: (c + spread(v), c), x, rnp.ones(3))[0],
        "cond in while": lambda x: lax.while_loop(
            lambda c: c[0] < 2,
            lambda c: (c[0] + 1, lax.cond(c[1] > 0, spread, lambda v: v, c[1])),
            (0, x),
        )[1],
        "host call": lambda x: rf.pure_callback(
            lambda v: np.ones(1 << 28).sum().astype(np.float32) + v, x, x
        ),
        "gradient": rf.grad(lambda x: lax.scan(lambda c, v: (rnp.sin(c * spread(v)), c), x, rnp.ones(3))[0]),
    }}
    g = rf.jit(lambda x: rnp.cumsum(x * rnp.ones(100))[-1])
    x = rnp.float32(1)
    f = rf.jit(programs[{place!r}])
    compiled = f.lower(x).compile()
    before = float(g(x))
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), -1))
    for _ in range(2):
        try:
            compiled(x)
        except MemoryError as error:
            print(str(error)[:21] if {place!r} != "host call" else "A compiled call needs")
        assert float(g(x)) == before
    """
    assert run_python(code) == "\n".join(["A compiled call needs"] * 2)


def test_kept_memory_is_bounded(monkeypatch):
    buffers.release_memory()
    monkeypatch.setattr(buffers, "KEPT_BYTES", 1 << 22)
    for i in range(20):
        buffers.new_buffer((buffers.SMALL_BYTES * (4 + i),), np.dtype(np.uint8))
        assert buffers._blocks.kept <= buffers.KEPT_BYTES
        held = sum(b.size for blocks in buffers._blocks.free.values() for b in blocks)
        assert buffers._blocks.kept == held
    buffers.release_memory()
    assert buffers._blocks.kept == 0


def test_many_sizes_and_huge_blocks_leave_no_more_than_the_bound(monkeypatch):
    buffers.release_memory()
    monkeypatch.setattr(buffers, "KEPT_BYTES", 1 << 24)
    held = []
    for n in range(3000):
        held.append(buffers.new_buffer((buffers.SMALL_BYTES + 4097 * (n % 500),), np.dtype("u1")))
        if n % 7 == 0:
            held.clear()
    held.clear()
    assert 0 < buffers._blocks.kept <= buffers.KEPT_BYTES
    assert len(buffers._blocks.free) < 100  # sizes are rounded to eighths of powers of two
    kept = buffers._blocks.kept
    huge = buffers.new_buffer((1 << 25,), np.dtype("u1"))
    del huge  # larger than all that may be kept
    assert buffers._blocks.kept == kept
    buffers.release_memory()


def test_kept_memory_goes_before_a_block_that_does_not_fit(monkeypatch):
    buffers.release_memory()
    buffers.new_buffer((1 << 23,), np.dtype("u1"))
    assert buffers._blocks.kept
    monkeypatch.setattr(buffers, "available_bytes", lambda: 1 << 27)
    buffers.new_buffer((1 << 26,), np.dtype("u1"))
    kept = buffers._blocks.kept
    assert kept > 1 << 26
    monkeypatch.setattr(buffers, "available_bytes", lambda: 1 << 20)
    large = buffers.new_buffer((1 << 27,), np.dtype("u1"))
    assert buffers._blocks.kept == 0
    del large
    buffers.release_memory()


def test_available_memory_is_within_the_machine():
    available = buffers.available_bytes()
    assert available > 1 << 20
    if sys.platform == "linux":
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        assert available <= total
        assert 1 << 28 <= buffers.KEPT_BYTES <= max(1 << 28, total // 8)


def test_arenas_are_released():
    f = rf.jit(lambda x: rnp.sum(rnp.sort(x)))
    x = rnp.ones(1 << 18)
    f(x)
    executable = f.lower(x).compile()._executable
    (arena,) = executable._arenas
    assert arena[0].nbytes >= x.nbytes
    del arena
    buffers.release_memory()
    assert not executable._arenas
    assert float(f(x)) == x.size


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_arenas_of_other_functions_make_room_for_a_call():
    code = """
    import resource
    import numpy as np
    import rtfunc as rf, rtfunc.numpy as rnp
    from rtfunc.compiler import buffers
    x = rnp.asarray(np.ones((1 << 26,), np.float32))  # 256 MB
    functions = [rf.jit(lambda x, n=n: rnp.sum(rnp.sort(x[: (1 << 24) + n])[0])) for n in range(3)]
    for f in functions:
        f(x)
    g = rf.jit(lambda x: x[: 1 << 25] + 1)  # 128 MB
    g.lower(x).compile()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 26), -1))
    print(float(g(x)[-1]))
    """
    assert run_python(code) == "2.0"


def test_donated_memory_is_used_again():
    buffers.release_memory()
    f = rf.jit(lambda x: x * 2, donate_argnums=0)
    x = f(rnp.ones(1 << 18))
    address = np.asarray(x).ctypes.data
    y = f(x)
    with pytest.raises(rf.errors.DonatedArrayError, match="donated to jit"):
        x + 1
    z = f(y)
    assert np.asarray(z).ctypes.data == address
    assert (np.asarray(z) == 8).all()


def test_donated_memory_of_a_call_that_raises_is_gone():
    """It may be overwritten by half."""

    def host(v):
        raise ZeroDivisionError("from the host")

    f = rf.jit(
        lambda x: (x * 2, rf.pure_callback(host, x[:3], rnp.cumsum(x)[:3])), donate_argnums=0
    )
    x = rf.jit(lambda: rnp.ones(1 << 18) * 3)()
    with pytest.raises(ZeroDivisionError, match="from the host"):
        f(x)
    with pytest.raises(rf.errors.DonatedArrayError, match="donated to jit"):
        x + 1


def test_donated_memory_that_others_see_is_left_alone():
    f = rf.jit(lambda x: x * 2, donate_argnums=0)
    x = rf.jit(lambda x: x + 1)(rnp.ones(1 << 18))
    seen = np.asarray(x)
    y = f(x)
    for _ in range(3):
        y = f(y)
    assert (seen == 2).all()


def test_executables_go_with_their_function():
    f = rf.jit(lambda x: rnp.sin(x) * 3.25)
    f(rnp.ones(7))
    alive = weakref.ref(f)
    del f
    gc.collect()
    assert alive() is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_dropped_functions_leave_no_memory_behind():
    # In a process of its own: what other tests have left there moves its memory by megabytes.
    program = """
        import gc, os
        import rtfunc as rf
        import rtfunc.numpy as rnp

        x = rnp.ones((16, 16))

        def resident():
            gc.collect()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        def compile_and_drop(start, count):
            for n in range(start, start + count):
                rf.jit(lambda x, n=n: rnp.sum(rnp.sin(x + n) @ x))(x)

        compile_and_drop(0, 400)  # until what LLVM and the threads' allocators keep has settled
        before = resident()
        compile_and_drop(400, 200)
        print(resident() - before)
    """
    # A function that stayed would keep its Graph and its code: some 100 kB.
    assert int(run_python(program)) < 200 * 4_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "kind", ["large results", "donated", "host calls", "exceptions", "threads"]
)
def test_calls_leave_no_memory_behind(kind):
    program = f"""
        import gc, os, threading
        import numpy as np
        import rtfunc as rf
        import rtfunc.numpy as rnp

        def resident():
            gc.collect()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        x = rnp.ones(1 << 18)  # a megabyte
        double = rf.jit(lambda x: (x * 2, rnp.cumsum(x)))
        step = rf.jit(lambda x, y: (x + y, rnp.sin(x)), donate_argnums=(0, 1))
        on_host = rf.jit(lambda x: rf.pure_callback(lambda v: np.asarray(v) * 2, x, x))

        def fail(v):
            raise ZeroDivisionError

        failing = rf.jit(lambda x: rf.pure_callback(fail, rnp.cumsum(x), x))

        def large_results(count):
            for _ in range(count):
                double(x)

        def donated(count):
            state = rnp.ones(1 << 18) + 0, rnp.ones(1 << 18) + 1
            for _ in range(count):
                state = step(*state)

        def host_calls(count):
            for _ in range(count):
                on_host(x)

        def exceptions(count):
            for _ in range(count):
                try:
                    failing(x)
                except ZeroDivisionError:
                    pass

        def threads(count):
            workers = [threading.Thread(target=large_results, args=(count // 4,)) for _ in range(4)]
            [w.start() for w in workers]
            [w.join() for w in workers]

        work = {kind.replace(" ", "_")}
        work(40)
        before = resident()
        work(120)
        print(resident() - before)
    """
    # One of the 120 results, or one arena, that stayed would be a megabyte. A few may wait for
    # their next use.
    assert int(run_python(program)) < 12_000_000


# --- The disk


def entries(folder):
    return sorted(path for path in folder.rglob("*.bin"))


CACHED = """
import numpy as np, rtfunc as rf, rtfunc.numpy as rnp
x = rnp.asarray(np.arange(900, dtype=np.float32).reshape(30, 30) / 900)
print(float(rf.jit(lambda x: rnp.sum(rnp.sort(x @ x)[0]))(x)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["empty", "half", "flip", "swap", "garbage", "rewritten"])
def test_damaged_entries_are_made_anew(tmp_path, damage):
    folder = tmp_path / "cache"
    expected = run_python(CACHED, RTFUNC_CACHE_DIR=str(folder))
    found = entries(folder)
    assert len(found) > 3
    whole = [path.read_bytes() for path in found]
    for n, path in enumerate(found):
        data = whole[n]
        if damage == "rewritten":  # a right checksum of wrong bytes, as another version might write
            from rtfunc.compiler.cache import DiskCache

            DiskCache(folder).put(path.stem, b"\x05\0\0\0" + b"12345 something else")
            continue
        path.write_bytes({
            "empty": b"",
            "half": data[: len(data) // 2],
            "flip": data[:-9] + bytes([data[-9] ^ 4]) + data[-8:],
            "swap": whole[n - 1],
            "garbage": bytes(range(256)) * 40,
        }[damage])  # fmt: skip
    assert run_python(CACHED, RTFUNC_CACHE_DIR=str(folder)) == expected
    assert run_python(CACHED, RTFUNC_CACHE_DIR=str(folder)) == expected


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    expected = run_python(CACHED, RTFUNC_CACHE_DIR=str(tmp_path / "cache"))
    assert run_python(CACHED, RTFUNC_CACHE_DIR=str(blocked)) == expected
