"""cuBLAS's batched matrix products, called through ctypes.

CuPy refuses to call cuBLAS while launches are recorded, which cuBLAS itself allows. The library is the one
that CuPy has loaded, and the handle is CuPy's, one for each thread. Depends on CuPy.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import pathlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from rtfunc.compiler.cuda.products import Product, as_operand, joined_stride


class BlasError(RuntimeError):
    """cuBLAS reports that it has not done what it was asked for."""


class _State(threading.local):
    #: Whether the handle of this thread has been set up for a recording.
    recording: bool = False


class Blas:
    """The functions of cuBLAS that programs call, on the current stream."""

    def __init__(self, cupy: Any):
        self._cupy = cupy
        self._handle()  # loads the library
        library = _library(cupy.cuda.runtime.runtimeGetVersion() // 1000)
        self._set_stream = library.cublasSetStream_v2
        self._set_stream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._set_workspace = library.cublasSetWorkspace_v2
        self._set_workspace.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self._gemm = {
            4: _typed(library.cublasSgemmStridedBatched),
            8: _typed(library.cublasDgemmStridedBatched),
        }
        # BLAS reads its factors through pointers, from the host.
        self._numbers = {4: np.array([1, 0], np.float32), 8: np.array([1, 0], np.float64)}
        self._factors = {
            size: (n.ctypes.data, n.ctypes.data + size) for size, n in self._numbers.items()
        }
        self._state = _State()

    def _handle(self) -> int:
        return self._cupy.cuda.device.get_cublas_handle()

    def multiply(self, product: Product, first: int, second: int, out: int) -> None:
        """A matrix product of what lies at two addresses, in IEEE arithmetic: without TF32."""
        p, handle = product, self._handle()
        if not self._state.recording:
            stream = self._cupy.cuda.get_current_stream().ptr
            _check(self._set_stream(handle, stream))
        size = p.dtype.itemsize
        one, zero = self._factors[size]
        status = self._gemm[size](
            handle,
            p.first.transposed,
            p.second.transposed,
            *(p.rows, p.columns, p.terms, one),
            *(first + p.first.start * size, p.first.leading, p.first.batch),
            *(second + p.second.start * size, p.second.leading, p.second.batch),
            *(zero, out, p.rows, p.rows * p.columns, p.count),
        )
        _check(status)

    def matmul(self, a: Any, b: Any) -> Any:
        """As CuPy's `matmul` of matrices and stacks of them, of float32 or float64."""
        cupy = self._cupy
        (m, terms), n = a.shape[-2:], b.shape[-1]
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = cupy.empty((*batch, m, n), a.dtype)
        if not out.size or not terms:
            out.fill(0)
            return out
        matrices = (cupy.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
        self._into(out, *matrices)
        return out

    def _into(self, out: Any, a: Any, b: Any) -> None:
        """Products of stacks of one shape; a stack at a time where their strides do not join."""
        operands = []
        for x in (a, b):
            strides = [s // x.itemsize for s in x.strides]
            step = joined_stride(x.shape[:-2], strides[:-2])
            if step is None or step < 0:
                for parts in zip(out, a, b):
                    self._into(*parts)
                return
            (row, column), (rows, columns) = strides[-2:], x.shape[-2:]
            operand = as_operand(row, column, rows, columns, step, 0)
            if operand is None:
                copies = (self._cupy.ascontiguousarray(x) for x in (a, b))
                self._into(out, *copies)
                return
            operands.append(operand)
        count = math.prod(out.shape[:-2])
        (m, n), terms = out.shape[-2:], a.shape[-1]
        product = Product(np.dtype(out.dtype), n, m, terms, count, operands[1], operands[0])
        self.multiply(product, b.data.ptr, a.data.ptr, out.data.ptr)

    @contextlib.contextmanager
    def workspace(self, address: int, size: int) -> Iterator[None]:
        """For a recording of the current stream: scratch memory of its own, at a fixed address."""
        handle = self._handle()
        _check(self._set_stream(handle, self._cupy.cuda.get_current_stream().ptr))
        _check(self._set_workspace(handle, address, size))
        self._state.recording = True
        try:
            yield
        finally:
            self._state.recording = False
            _check(self._set_stream(handle, None))  # and its own workspace again


def _library(version: int) -> ctypes.CDLL:
    """The cuBLAS that this process has loaded, of a CUDA version."""
    if sys.platform == "win32":
        return ctypes.CDLL(f"cublas64_{version}.dll")
    try:
        return ctypes.CDLL(f"libcublas.so.{version}")
    except OSError:  # loaded from a place where the loader does not look
        for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
            if "libcublas.so" in line:
                return ctypes.CDLL(line.split(maxsplit=5)[5])
        raise


def _typed(function: Any) -> Any:
    integer, pointer, stride = ctypes.c_int, ctypes.c_void_p, ctypes.c_longlong
    matrix = [pointer, integer, stride]
    function.argtypes = [
        pointer,
        *[integer] * 5,
        pointer,
        *matrix,
        *matrix,
        pointer,
        *matrix,
        integer,
    ]
    return function


def _check(status: int) -> None:
    if status:
        raise BlasError(f"cuBLAS returned status {status}.")
