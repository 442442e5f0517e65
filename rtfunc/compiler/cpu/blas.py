"""BLAS and LAPACK for compiled code: OpenBLAS from the `scipy-openblas32` package, by C pointer.

Generated code declares `rtfunc_blas_NAME` for any routine `NAME` of the library (`cblas_sgemm`,
`spotrf_`) and calls it; the linker finds the address through this module. Integers are 32 bits
wide, Fortran routines take pointers to everything.

OpenBLAS runs its parallel parts on the pool of `rtfunc.compiler.cpu.threads`: a large product
outside of any parallel call uses all threads of the pool, and the same product inside a parallel
call uses the thread that it is called on. (OpenBLAS's setting is one number for the process: while
a parallel call is open it stands at 1.) OpenBLAS splits work by its number of threads, so the last
bits of its results may depend on `get_num_threads`; those inside a parallel call do not.

Depends on `engine`, `threads` and scipy_openblas32.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_void_p
from pathlib import Path

from rtfunc.compiler.cpu import engine, threads

SYMBOL_PREFIX = "rtfunc_blas_"

_LIBRARY_PREFIX = "scipy_"
_SET_CALLBACK = "openblas_set_threads_callback_function"
_load_lock = threading.Lock()


class BlasError(RuntimeError):
    """The OpenBLAS library or one of its routines is missing."""


class _Library:
    """The loaded shared library; made once a process."""

    def __init__(self) -> None:
        self.path = _find_library(_package_folder() / "lib")
        with _environment(OPENBLAS_THREAD_TIMEOUT="4"):
            # OpenBLAS keeps idle threads of its own: this lets them sleep at once rather than spin
            # for 0.1 s first.
            self.dll = ctypes.CDLL(str(self.path))
        self.uses_pool = self._join_pool()

    def address(self, name: str) -> int | None:
        try:
            routine = getattr(self.dll, _LIBRARY_PREFIX + name)
        except AttributeError:
            return None
        return ctypes.cast(routine, c_void_p).value

    def _join_pool(self) -> bool:
        pool = threads.load()
        jobs = "rtfunc_blas_jobs"
        set_callback = getattr(self.dll, f"{_LIBRARY_PREFIX}{_SET_CALLBACK}", None)
        joined = False
        if set_callback is not None and jobs in pool.module.functions:
            set_callback(c_void_p(pool.module.address(jobs)))
            joined = True
        # From here on the pool tells OpenBLAS its number of threads, and 1 while a call is open.
        pool.set_blas(self.address("openblas_set_num_threads"))
        pool.set_threads(threads.get_num_threads())
        return joined


@functools.cache
def _library() -> _Library:
    return _Library()


def load() -> _Library:
    """Load OpenBLAS and join it to the pool; done at first use, later calls do nothing."""
    with _load_lock:
        return _library()


def has(name: str) -> bool:
    """Whether the library has the routine `name`: `has("sbgemm_")`, say, differs between builds."""
    return load().address(name) is not None


def address(name: str) -> int:
    """Address of a routine: `cblas_sgemm`, `cblas_dgemv`, `spotrf_`, `zheevd_`, ...

    Args:
        name: as in the C header of CBLAS, or for Fortran routines with their trailing underscore.

    Raises:
        BlasError: the library has no such routine.
    """
    found = load().address(name)
    if found is None:
        raise BlasError(f"OpenBLAS at {load().path} has no routine {name!r}")
    return found


def symbol(name: str) -> str:
    """The name by which generated code calls `name`; raises `BlasError` where it is missing."""
    address(name)
    return SYMBOL_PREFIX + name


def description() -> str:
    """Version and kernel in use: `OpenBLAS 0.3.29 ... SkylakeX MAX_THREADS=64`."""
    return _text("openblas_get_config")


def kernel_name() -> str:
    """Name of the processor family whose kernels OpenBLAS chose."""
    return _text("openblas_get_corename")


def uses_pool() -> bool:
    """Whether OpenBLAS runs on the pool's threads; if not, it has as many of its own."""
    return load().uses_pool


def _text(name: str) -> str:
    result = ctypes.CFUNCTYPE(ctypes.c_char_p)(address(name))()
    return (result or b"").decode()


def _package_folder() -> Path:
    # Importing the package would load the library with its symbols open to all, where SciPy's own
    # copy would meet them.
    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is None or not spec.submodule_search_locations:
        raise BlasError("the package scipy-openblas32 is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _find_library(folder: Path) -> Path:
    found = sorted(
        path
        for path in folder.glob("*scipy_openblas*")
        if path.name.endswith((".so", ".dylib", ".dll"))
    )
    if not found:
        raise BlasError(f"no OpenBLAS library in {folder}")
    return found[0]


@contextmanager
def _environment(**defaults: str) -> Iterator[None]:
    """Set environment variables that are not set already, for the time of a block."""
    added = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _resolve(name: str) -> int | None:
    return load().address(name[len(SYMBOL_PREFIX) :]) if name.startswith(SYMBOL_PREFIX) else None


engine.add_resolver(_resolve)
