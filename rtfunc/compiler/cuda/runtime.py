"""CuPy as a compiled program needs it: memory, modules, launches on the current stream.

All that this back end asks of CuPy stands here, so that a test can put another runtime in its place.
Depends on CuPy, which is imported by whoever makes a `CupyRuntime`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.cuda.blas import Blas, BlasError
from rtfunc.compiler.cuda.products import Product
from rtfunc.core.device import Device, import_cupy

#: Results are those of IEEE arithmetic, operation by operation, as on the CPU: products and sums are not
#: contracted, and no fast approximations are used.
OPTIONS = ("--std=c++17", "--fmad=false")

#: Bytes of scratch memory for the products of a recording: what cuBLAS takes for itself on Hopper.
_WORKSPACE = 32 << 20


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


class _Recordable:
    """CuPy, but for `matmul`."""

    def __init__(self, cupy: Any, matmul: Callable[[Any, Any], Any]):
        self._cupy, self.matmul = cupy, matmul

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cupy, name)


class CupyRuntime:
    """Memory of CuPy's pool, functions compiled by NVRTC, the stream that is current at a call."""

    def __init__(self, device: Device):
        self.device = device
        self.xp: Any = import_cupy()
        self._blas = Blas(self.xp)
        #: CuPy with products that can be recorded.
        self.recordable: Any = _Recordable(self.xp, self._blas.matmul)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A contiguous array with whatever contents."""
        return self.xp.empty(shape, dtype)

    def functions(self, source: str, names: Sequence[str]) -> list[Any]:
        """The functions `names` of a CUDA C source, compiled when first called."""
        module = self.xp.RawModule(code=source, options=OPTIONS)
        return [module.get_function(name) for name in names]

    def product(self, product: Product, first: Any, second: Any, out: Any) -> None:
        """A matrix product by cuBLAS, in IEEE arithmetic: without TF32."""
        self._blas.multiply(product, first.data.ptr, second.data.ptr, out.data.ptr)

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
            BlasError,
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
            workspace = self.empty((_WORKSPACE,), np.dtype(np.uint8))
            stream.synchronize()
            with self._blas.workspace(workspace.data.ptr, _WORKSPACE):
                stream.begin_capture()
                try:
                    outputs = run(inputs)
                finally:
                    graph = stream.end_capture()
        stream.synchronize()
        return Recording(graph.launch, inputs, outputs, (graph, pool, stream, workspace))

    def launch(
        self, function: Any, grid: tuple[int, ...], block: tuple[int, ...], arrays: Sequence[Any]
    ) -> None:
        """Run a function on arrays."""
        function(grid, block, arrays)
