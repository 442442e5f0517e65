"""What the CPU runtime costs: thread pool, calls from Python, compilation, matrix products.

`python -m benchmarks.runtime [section ...]` prints a table for each of the sections `pool`,
`entry`, `compile` and `load`. PyTorch stands beside where it is installed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import time
from collections.abc import Callable
from ctypes import c_int32, c_int64, c_void_p

import numpy as np

from benchmarks import runtime_kernels
from rtfunc.compiler.cpu import engine, entry, machine_code, target, threads

# `meet`: both chunks wait for each other, so the time of the call includes the worker's arrival.
# `nothing`: a body that does no work. `measure` notes the nanoseconds of each of many calls.
POOL_PROGRAM = """
@there = internal global i64 0, align 128
declare void @rtfunc_parallel_for(ptr, ptr, i64, i64)
declare i32 @clock_gettime(i32, ptr)
declare i32 @usleep(i32)

define void @meet(ptr %context, i64 %begin, i64 %end, i64 %worker) nounwind {
entry:
  %0 = atomicrmw add ptr @there, i64 1 acq_rel
  br label %look
look:
  %now = load atomic i64, ptr @there acquire, align 8
  %wait = icmp ult i64 %now, 2
  br i1 %wait, label %look, label %leave
leave:
  ret void
}

define void @nothing(ptr %context, i64 %begin, i64 %end, i64 %worker) nounwind {
  ret void
}

define private i64 @nanoseconds() nounwind {
  %time = alloca {i64, i64}
  %status = call i32 @clock_gettime(i32 MONOTONIC, ptr %time)
  %seconds = load i64, ptr %time
  %rest.p = getelementptr {i64, i64}, ptr %time, i64 0, i32 1
  %rest = load i64, ptr %rest.p
  %scaled = mul i64 %seconds, 1000000000
  %sum = add i64 %scaled, %rest
  ret i64 %sum
}

define void @measure(ptr %body, i64 %total, i32 %sleep, ptr %out, i64 %count) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%i.next, %call]
  store atomic i64 0, ptr @there release, align 8
  %sleeps = icmp sgt i32 %sleep, 0
  br i1 %sleeps, label %pause, label %call
pause:
  %status = call i32 @usleep(i32 %sleep)
  br label %call
call:
  %start = call i64 @nanoseconds()
  call void @rtfunc_parallel_for(ptr %body, ptr null, i64 %total, i64 1)
  %stop = call i64 @nanoseconds()
  %time = sub i64 %stop, %start
  %slot = getelementptr i64, ptr %out, i64 %i
  store i64 %time, ptr %slot
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %count
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def bench_pool() -> None:
    """Latency of a fork and join, with the workers spinning and asleep."""
    source = POOL_PROGRAM.replace("MONOTONIC", "6" if sys.platform == "darwin" else "1")
    module = engine.compile_module(source)
    measure = module.function("measure", None, c_void_p, c_int64, c_int32, c_void_p, c_int64)

    def times(body: str, total: int, sleep: int, count: int) -> str:
        out = np.zeros(count, np.int64)
        for repeats in (50, count):
            measure(module.address(body), total, sleep, out.ctypes.data, repeats)
        middle, high = np.percentile(out / 1000, [50, 99])
        return f"median {middle:8.2f} µs   99 % {high:9.2f} µs"

    print("\nfork and join (the two clock readings are about 0.05 µs of it)")
    threads.set_num_threads(1)
    print("  1 thread, 2 chunks of nothing            ", times("nothing", 2, 0, 20000))
    threads.set_num_threads(2)
    print("  2 threads, 2 chunks of nothing           ", times("nothing", 2, 0, 20000))
    print("  2 threads, 64 chunks of nothing          ", times("nothing", 64, 0, 20000))
    print("  2 threads, both must come, spinning      ", times("meet", 2, 0, 20000))
    threads.set_spin_microseconds(0)
    print("  2 threads, both must come, worker asleep ", times("meet", 2, 200, 2000))
    print("  2 threads, 2 chunks of nothing, asleep   ", times("nothing", 2, 200, 2000))
    threads.set_spin_microseconds(100)


def bench_entry() -> None:
    """Cost of a call from Python of a program that does nothing."""
    module = engine.compile_module("define i32 @program(ptr %buffers) nounwind {\n ret i32 0\n}")
    address = module.address("program")
    ctypes_call = ctypes.CFUNCTYPE(c_int32, c_void_p)(address)
    print("\ncall of an empty program, ns by number of arrays")
    print(f"  {'':44}" + "".join(f"{count:8}" for count in (1, 4, 16, 40)))
    rows: dict[str, list[float]] = {}
    for count in (1, 4, 16, 40):
        arrays = [np.zeros(4) for _ in range(count)]
        packed = (c_void_p * count)(*[array.ctypes.data for array in arrays])
        packed_address = ctypes.addressof(packed)
        ctypes_all = ctypes.CFUNCTYPE(c_int32, *[c_void_p] * count)(address)
        holding = entry.make_entry(address, count, release_gil=False, keep=module)
        releasing = entry.make_entry(address, count, keep=module)

        def pack_and_call(arrays=arrays, packed=packed) -> None:
            for index, array in enumerate(arrays):
                packed[index] = array.ctypes.data
            ctypes_call(packed)

        calls: dict[str, tuple[Callable[..., object], tuple[object, ...]]] = {
            "entry, GIL held": (holding, tuple(arrays)),
            "entry, GIL released": (releasing, tuple(arrays)),
            "ctypes, addresses packed beforehand": (ctypes_call, (packed_address,)),
            "ctypes, an argument each, addresses known": (ctypes_all, tuple(packed)),
            "ctypes, addresses taken and packed": (pack_and_call, ()),
        }
        for label, (function, arguments) in calls.items():
            rows.setdefault(label, []).append(_nanoseconds(function, arguments))
    for label, values in rows.items():
        print(f"  {label:44}" + "".join(f"{value:8.0f}" for value in values))


def bench_compile() -> None:
    """Milliseconds of each stage by pass list, and the speed of what comes out."""
    width = target.vector_bytes() // 4
    rows = 14 if width == 16 else 6
    kernels = {
        "elementwise": runtime_kernels.elementwise(width),
        "softmax": runtime_kernels.softmax(width),
        "gemm": runtime_kernels.gemm_micro_kernel(width, rows, 2),
    }
    print(f"\ncompile stages, ms, best of 7; kernels of {width} floats a vector")
    print(f"  {'':26}{'parse':>8}{'passes':>8}{'codegen':>8}{'link':>8}   speed of the code")
    for kernel, ir in kernels.items():
        for pipeline in ("none", "lean", "O1", "O2", "O3", "vectorize"):
            modules = [engine.compile_module(ir, optimize=pipeline) for _ in range(7)]
            stages = [
                min(getattr(module.timings, stage) for module in modules) * 1e3
                for stage in ("parse", "passes", "codegen", "link")
            ]
            speed = _kernel_speed(kernel, modules[-1], width, rows)
            numbers = "".join(f"{stage:8.2f}" for stage in stages)
            print(f"  {kernel:12} {pipeline:12} {numbers}   {speed}")
    stored = modules[-1].serialize()
    loading = min(machine_code.load_module(stored).timings.link for _ in range(50))
    print(f"  load_module from bytes: {loading * 1e3:.2f} ms")


def bench_load() -> None:
    """Milliseconds to the first use of the runtime in a fresh process."""
    import subprocess

    program = """
import time
start = time.perf_counter()
import numpy
numpy_done = time.perf_counter()
import llvmlite.binding
llvmlite_done = time.perf_counter()
from rtfunc.compiler.cpu import engine, entry, threads
imported = time.perf_counter()
threads.load()
pool = time.perf_counter()
steps = (start, numpy_done, llvmlite_done, imported, pool)
names = ("import numpy", "import llvmlite", "import the runtime", "pool")
print("   ".join(f"{n} {(b - a) * 1e3:.1f}" for n, a, b in zip(names, steps, steps[1:])))
"""
    print("\nfresh process, ms")
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        print("  " + (result.stdout or result.stderr).strip())


def _torch():
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch


def _kernel_speed(kernel: str, module: engine.CompiledModule, width: int, rows: int) -> str:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 256)).astype(np.float32)
    y = np.empty_like(x)
    if kernel == "gemm":
        depth, columns = 1024, 2 * width
        a, b = (
            generator.random(depth * rows, np.float32),
            generator.random(depth * columns, np.float32),
        )
        c = np.zeros((rows, columns), np.float32)
        function = module.function(kernel, None, c_void_p, c_void_p, c_void_p, c_int64, c_int64)
        arguments = (a.ctypes.data, b.ctypes.data, c.ctypes.data, columns, depth)
        return f"{2 * rows * columns * depth / _nanoseconds(function, arguments):.0f} GFLOP/s"
    shape = (c_int64,) if kernel == "elementwise" else (c_int64, c_int64)
    sizes = (x.size,) if kernel == "elementwise" else x.shape
    function = module.function(kernel, None, c_void_p, c_void_p, *shape)
    time_ = _nanoseconds(function, (x.ctypes.data, y.ctypes.data, *sizes))
    return f"{time_ / x.size:.3f} ns an element"


def _nanoseconds(function: Callable[..., object], arguments: tuple[object, ...]) -> float:
    """Best time of one call, with the time of the loop taken off."""

    def loop(count: int, called: Callable[..., object]) -> float:
        start = time.perf_counter_ns()
        for _ in range(count):
            called(*arguments)
        return (time.perf_counter_ns() - start) / count

    once = max(loop(2, function), 10.0)
    count = int(min(max(2e7 / once, 2), 200_000))
    # `range` itself takes part of each round; an empty loop measures it.
    start = time.perf_counter_ns()
    for _ in range(100_000):
        pass
    empty = (time.perf_counter_ns() - start) / 100_000
    return min(loop(count, function) for _ in range(5)) - empty


SECTIONS: dict[str, Callable[[], None]] = {
    "pool": bench_pool,
    "entry": bench_entry,
    "compile": bench_compile,
    "load": bench_load,
}


def main() -> None:
    machine = target.host()
    print(f"{machine.triple}, {machine.cpu}, vectors of {machine.vector_bytes} bytes")
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main()
