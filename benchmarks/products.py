"""Matrix products of many shapes, by the library's own routine and by PyTorch's.

`python -m benchmarks.products [threads]` prints GFLOP/s, the best of some calls in turn. `N` and `T` say how
the operands lie: as they are, or transposed. Depends on the compiler's product library.
"""

from __future__ import annotations

import sys
import time
from ctypes import c_void_p

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu import engine, threads
from rtfunc.compiler.cpu.product_library import emit_product
from rtfunc.compiler.cpu.product_plan import contiguous_product, plan_product

FLOAT32 = np.dtype("float32")

PRODUCTS: list[tuple[int, int, int, int, str]] = [
    (0, 8, 8, 8, "NN"),
    (0, 16, 16, 16, "NN"),
    (0, 32, 32, 32, "NN"),
    (0, 64, 64, 64, "NN"),
    (0, 64, 64, 64, "NT"),
    (0, 128, 128, 128, "NN"),
    (0, 256, 256, 256, "NN"),
    (0, 512, 512, 512, "NN"),
    (0, 1024, 1024, 1024, "NN"),
    (0, 2048, 2048, 512, "NN"),
    (0, 128, 1024, 784, "NN"),
    (0, 128, 784, 1024, "NT"),
    (0, 784, 1024, 128, "TN"),
    (0, 1024, 768, 256, "NN"),
    (0, 1024, 256, 768, "NT"),
    (0, 256, 768, 1024, "TN"),
    (0, 128, 10, 1024, "NN"),
    (0, 1024, 16, 64, "NN"),
    (0, 128, 1024, 1, "NN"),
    (0, 1000, 1000, 8, "NN"),
    (0, 64, 64, 4096, "NN"),
    (1000, 8, 8, 8, "NN"),
    (256, 16, 16, 16, "NN"),
    (32, 128, 128, 64, "NT"),
    (32, 128, 64, 128, "NN"),
    (16, 256, 256, 256, "NN"),
    (128, 784, 256, 1, "NN"),
    (64, 64, 1, 64, "NN"),
]


def measure(batch: int, m: int, n: int, k: int, kind: str) -> tuple[float, float]:
    """GFLOP/s of both."""
    import torch

    spec = contiguous_product(
        m, n, k, FLOAT32, lhs_transposed=kind[0] == "T", rhs_transposed=kind[1] == "T", batch=batch
    )
    plan = plan_product(spec)
    module = ir.Module("benchmark")
    of = ir.FunctionType(ir.VoidType(), [ir.PointerType()] * 4)
    function = ir.Function(module, of, "product")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit_product(module, builder, plan, *function.args)
    builder.ret_void()
    compiled = engine.compile_module(module).function("product", None, *[c_void_p] * 4)
    rng, count = np.random.default_rng(0), max(batch, 1)
    lhs, rhs = (rng.standard_normal(count * size).astype("f") for size in (m * k, k * n))
    out, memory = np.empty(count * m * n, "f"), np.empty(plan.scratch_bytes + 64, np.uint8)
    scratch = memory.ctypes.data + -memory.ctypes.data % 64
    addresses = [a.ctypes.data for a in (out, lhs, rhs)]
    left = torch.from_numpy(
        lhs.reshape(count, k, m).mT if kind[0] == "T" else lhs.reshape(count, m, k)
    )
    right = torch.from_numpy(
        rhs.reshape(count, n, k).mT if kind[1] == "T" else rhs.reshape(count, k, n)
    )
    times: list[list[float]] = [[], []]
    started = time.perf_counter()
    while len(times[0]) < 5 or time.perf_counter() - started < 0.3:
        for found, call in zip(
            times, (lambda: compiled(*addresses, scratch), lambda: torch.matmul(left, right))
        ):
            begin = time.perf_counter()
            call()
            found.append(time.perf_counter() - begin)
    flops = 2 * count * m * n * k
    return flops / min(times[0]) / 1e9, flops / min(times[1]) / 1e9


def main() -> None:
    """Print the table."""
    import torch

    count = int(sys.argv[1]) if len(sys.argv) > 1 else threads.get_num_threads()
    threads.set_num_threads(count)
    torch.set_num_threads(count)
    print(f"products in GFLOP/s, {count} thread(s)")
    for batch, m, n, k, kind in PRODUCTS:
        own, other = measure(batch, m, n, k, kind)
        label = f"{batch or 1} x {m} x {n} x {k} {kind}"
        print(f"  {label:28} rtfunc {own:7.1f}   torch {other:7.1f}   ratio {own / other:5.2f}")


if __name__ == "__main__":
    main()
