"""CUDA programs on the CPU: printed code compiled by g++ with `host_gpu.h`, arrays from NumPy."""

from __future__ import annotations

import ctypes
import pathlib
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.cuda.executable import CudaExecutable
from rtfunc.compiler.cuda.prelude import PRELUDE
from rtfunc.compiler.cuda.products import Operand, Product
from rtfunc.compiler.cuda.runtime import Recording
from rtfunc.core.device import cpu
from rtfunc.core.graph import Graph

HEADER = pathlib.Path(__file__).with_name("host_gpu.h")


def _copy_all() -> None:
    """Stands for the function that copies buffers."""


class HostRuntime:
    """As `CupyRuntime`, for one program of a library that was compiled for several."""

    xp = recordable = np

    def __init__(self) -> None:
        self.library: Any = None
        self.first = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Memory full of ones, which are no number: what is not written shows."""
        return np.full((*shape, dtype.itemsize), 0xFF, np.uint8).view(dtype).reshape(shape)

    def functions(self, source: str, names: Sequence[str]) -> list[int]:
        """The functions' numbers in the library."""
        if names == ["copy_all"]:
            return [_copy_all]
        return [self.first + i for i in range(len(names))]

    def record(self, run: Any, buffers: Sequence[np.ndarray]) -> Recording:
        """What computes the outputs again, in place."""
        inputs = [b.copy() for b in buffers]
        outputs = run(inputs)
        for x in (*inputs, *outputs):
            x.setflags(write=True)

        def launch() -> None:
            for output, value in zip(outputs, run(inputs), strict=True):
                output[...] = value

        return Recording(launch, inputs, outputs, None)

    def stream(self) -> int:
        """There is one only."""
        return 0

    def product(self, product: Product, first: Any, second: Any, out: np.ndarray) -> None:
        """What BLAS does, by columns."""
        p = product

        def matrices(x: np.ndarray, of: Operand, rows: int, columns: int) -> np.ndarray:
            flat = x.reshape(-1)[of.start :]
            if of.transposed:
                rows, columns = columns, rows
            assert of.leading >= rows
            strides = [n * x.itemsize for n in (of.batch, 1, of.leading)]
            found = np.lib.stride_tricks.as_strided(flat, (p.count, rows, columns), strides)
            last = (p.count - 1) * of.batch + (columns - 1) * of.leading + rows
            assert last <= flat.size
            return found.swapaxes(1, 2) if of.transposed else found

        a = matrices(first, p.first, p.rows, p.terms)
        b = matrices(second, p.second, p.terms, p.columns)
        out.reshape(p.count, p.columns, p.rows)[...] = (a @ b).swapaxes(1, 2)

    def launch(self, function: int, grid: Any, block: Any, arrays: Sequence[np.ndarray]) -> None:
        """Run a function on arrays."""
        if function is _copy_all:
            assert grid[1] == len(arrays) // 2
            for source, target in zip(arrays[::2], arrays[1::2]):
                target[...] = source
            return
        for array in arrays:
            assert array.flags.c_contiguous
        pointers = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        sizes = [(ctypes.c_uint * 3)(*size) for size in (grid, block)]
        assert self.library.run(function, pointers, *sizes), f"deadlock in function {function}"


def host_executables(graphs: Sequence[Graph], folder: pathlib.Path) -> list[CudaExecutable]:
    """Executables of the Graphs, whose kernels run on the CPU; one library for all of them."""
    runtimes = [HostRuntime() for _ in graphs]
    executables = [CudaExecutable(g, cpu, r) for g, r in zip(graphs, runtimes)]
    sources, calls, known = [PRELUDE], [], {}
    for executable, runtime in zip(executables, runtimes):
        runtime.first = len(calls)
        for i, source in enumerate(executable._context.functions.sources):
            name = f"kernel_{i}"
            content = source.split("\n", 1)[1].replace(f" {name}(", " NAME(")
            if content not in known:
                known[content] = f"program_{len(known)}"
                sources.append(content.replace("NAME", known[content]))
            calls.append(known[content])
    cases = "".join(
        f"    case {i}: return run_grid([](void **a) {{ call({name}, a); }}, given, grid, block);\n"
        for i, name in enumerate(calls)
    )
    text = f'#include "{HEADER}"\n' + "\n".join(sources)
    text += (
        'extern "C" int run(int number, void **given, unsigned *grid, unsigned *block) {\n'
        f"  switch (number) {{\n{cases}  }}\n  return 0;\n}}\n"
    )
    code, built = folder / "kernels.cpp", folder / "kernels.so"
    code.write_text(text)
    compiler = shutil.which("g++")
    assert compiler
    options = ["-std=c++17", "-O0", "-ffp-contract=off", "-fPIC", "-shared", "-w"]
    subprocess.run([compiler, *options, str(code), "-o", str(built)], check=True)
    library = ctypes.CDLL(str(built))
    for runtime in runtimes:
        runtime.library = library
    return executables
