"""CuPy as a compiled program needs it: memory, modules, launches on the current stream.

All that this back end asks of CuPy stands here, so that a test can put another runtime in its place.
Depends on CuPy, which is imported by whoever makes a `CupyRuntime`.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.cuda.products import Product
from rtfunc.core.device import Device, import_cupy

#: Results are those of IEEE arithmetic, operation by operation, as on the CPU: products and sums are not
#: contracted, and no fast approximations are used.
OPTIONS = ("--std=c++17", "--fmad=false")


@dataclasses.dataclass(frozen=True)
class Recording:
    """Launches recorded as a CUDA graph.

    Attributes: launch: executes them on the current stream; inputs, outputs: where they read and write;
    kept: what must live as long.
    """

    launch: Callable[[], None]
    inputs: list[Any]
    outputs: list[Any]
    kept: Any


class CupyRuntime:
    """Memory of CuPy's pool, functions compiled by NVRTC, the stream that is current at a call."""

    def __init__(self, device: Device):
        self.device = device
        self.xp: Any = import_cupy()
        self._cublas: Any = importlib.import_module("cupy_backends.cuda.libs.cublas")
        # BLAS reads its factors through pointers, from the host.
        self._numbers = {4: np.array([1, 0], np.float32), 8: np.array([1, 0], np.float64)}
        self._factors = {
            size: (n.ctypes.data, n.ctypes.data + size) for size, n in self._numbers.items()
        }

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A contiguous array with whatever contents."""
        return self.xp.empty(shape, dtype)

    def functions(self, source: str, names: Sequence[str]) -> list[Any]:
        """The functions `names` of a CUDA C source, compiled when first called."""
        module = self.xp.RawModule(code=source, options=OPTIONS)
        return [module.get_function(name) for name in names]

    def product(self, product: Product, first: Any, second: Any, out: Any) -> None:
        """A matrix product by cuBLAS, in IEEE arithmetic: without TF32."""
        p, size = product, product.dtype.itemsize
        cublas = self._cublas
        gemm = cublas.sgemmStridedBatched if size == 4 else cublas.dgemmStridedBatched
        one, zero = self._factors[size]
        gemm(
            self.xp.cuda.device.get_cublas_handle(),
            int(p.first.transposed),
            int(p.second.transposed),
            *(p.rows, p.columns, p.terms, one),
            *(first.data.ptr + p.first.start * size, p.first.leading, p.first.batch),
            *(second.data.ptr + p.second.start * size, p.second.leading, p.second.batch),
            *(zero, out.data.ptr, p.rows, p.rows * p.columns, p.count),
        )

    def stream(self) -> int:
        """The address of the current stream."""
        return self.xp.cuda.get_current_stream().ptr

    def record(
        self, run: Callable[[Sequence[Any]], list[Any]], buffers: Sequence[Any]
    ) -> Recording | None:
        """The launches that `run` makes, for inputs such as `buffers`; they are not executed.

        None where CUDA refuses, or has no memory for inputs, outputs and what is between.
        """
        cuda = self.xp.cuda
        refusals = (
            cuda.runtime.CUDARuntimeError,
            cuda.driver.CUDADriverError,
            cuda.memory.OutOfMemoryError,
        )
        try:
            return self._record(run, buffers)
        except refusals:
            return None

    def _record(
        self, run: Callable[[Sequence[Any]], list[Any]], buffers: Sequence[Any]
    ) -> Recording:
        cuda = self.xp.cuda
        cuda.get_current_stream().synchronize()
        # Nobody else gets what this pool holds, so that the addresses stay the recording's own.
        pool, stream = cuda.MemoryPool(), cuda.Stream(non_blocking=True)
        with cuda.using_allocator(pool.malloc), stream:
            inputs = [b.copy() for b in buffers]
            run(inputs)  # afterwards the pool has all the memory that the recording asks for
            stream.synchronize()
            stream.begin_capture()
            try:
                outputs = run(inputs)
            finally:
                graph = stream.end_capture()
        stream.synchronize()
        return Recording(graph.launch, inputs, outputs, (graph, pool, stream))

    def launch(
        self, function: Any, grid: tuple[int, ...], block: tuple[int, ...], arrays: Sequence[Any]
    ) -> None:
        """Run a function on arrays."""
        function(grid, block, arrays)
