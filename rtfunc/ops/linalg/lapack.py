"""LAPACK and BLAS routines that NumPy does not offer, on stacks of matrices.

Calls the Fortran routines of the OpenBLAS in the `scipy-openblas32` package through ctypes, matrix by
matrix. Fortran's matrices are stored by columns: a kernel here copies its operand with the last two
axes swapped, works in that copy, and returns a view with the axes swapped back. Integers have 32
bits. A routine's `info` that is positive says that it failed numerically; the kernels then return
NaN, never an exception. Depends on numpy and ctypes.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
import os
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.errors import MissingDependencyError

_letters = {
    dtypes.float32: "s",
    dtypes.float64: "d",
    dtypes.complex64: "c",
    dtypes.complex128: "z",
}
#: The CBLAS constants for how a matrix is stored and used.
_ROW_MAJOR, _LEFT, _RIGHT, _UPPER, _LOWER = 101, 141, 142, 121, 122
_NO_TRANSPOSE, _TRANSPOSE, _CONJUGATE_TRANSPOSE = 111, 112, 113
_NON_UNIT, _UNIT = 131, 132


@functools.cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("scipy_openblas32")
    folders = spec.submodule_search_locations if spec else None
    found = [
        path
        for folder in folders or ()
        for path in sorted((Path(folder) / "lib").glob("*scipy_openblas*"))
        if path.suffix in (".so", ".dylib", ".dll")
    ]
    if not found:
        raise MissingDependencyError(
            "Linear algebra needs the OpenBLAS of the package scipy-openblas32, which is one of "
            "rtfunc's dependencies. Install it with pip install scipy-openblas32."
        )
    # OpenBLAS reads this once: its idle threads sleep at once instead of spinning for 0.1 s.
    name = "OPENBLAS_THREAD_TIMEOUT"
    own = name not in os.environ
    os.environ.setdefault(name, "4")
    try:
        return ctypes.CDLL(str(found[0]))
    finally:
        if own:
            os.environ.pop(name, None)


@functools.cache
def _routine(name: str, dtype: np.dtype) -> Callable[..., None]:
    """The routine for a dtype: "?getrf_" is sgetrf_, dgetrf_, cgetrf_ or zgetrf_."""
    function = getattr(_library(), "scipy_" + name.replace("?", _letters[dtype]))
    function.restype = None
    return function


def stacked(x: np.ndarray) -> np.ndarray:
    """[..., rows, columns] as [batch, rows, columns]."""
    return x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])


def _by_columns(x: np.ndarray) -> np.ndarray:
    """A contiguous copy [batch, columns, rows] of a stack of matrices [..., rows, columns]."""
    x = stacked(x)
    out = np.empty((x.shape[0], x.shape[2], x.shape[1]), x.dtype)
    out[...] = x.swapaxes(1, 2)
    return out


def _by_rows(x: np.ndarray, lead: tuple[int, ...]) -> np.ndarray:
    """The stack of matrices `lead` + [rows, columns] that `x` stores by columns."""
    return x.reshape(*lead, *x.shape[-2:]).swapaxes(-1, -2)


def _finite(x: np.ndarray) -> list[bool]:
    """Which matrices of a stack hold neither NaN nor infinity: of others LAPACK may not return."""
    return np.asarray(np.isfinite(x).all(axis=(1, 2))).tolist()


def nan(dtype: np.dtype) -> float | complex:
    """NaN in all parts."""
    return complex(np.nan, np.nan) if dtypes.is_complex(dtype) else np.nan


def _steps(x: np.ndarray) -> tuple[int, int]:
    """Address of the first member of a stack, and the bytes to the next."""
    return x.ctypes.data, x.strides[0] if x.ndim else 0


def getrf(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The LU factors of a [..., m, n] in one matrix, and the pivots [..., min(m, n)] counted from 0.

    Exactly singular matrices are factorized as far as they go: a pivot is then zero.
    """
    *lead, m, n = a.shape
    lu = _by_columns(a)
    pivots = np.zeros((lu.shape[0], min(m, n)), np.int32)
    if lu.size:
        routine = _routine("?getrf_", a.dtype)
        rows, columns, info = byref(c_int(m)), byref(c_int(n)), byref(c_int())
        (at, step), (pivot_at, pivot_step) = _steps(lu), _steps(pivots)
        for i in range(len(lu)):
            matrix, swaps = c_void_p(at + i * step), c_void_p(pivot_at + i * pivot_step)
            routine(rows, columns, matrix, rows, swaps, info)
        pivots -= 1
    return _by_rows(lu, tuple(lead)), pivots.reshape(*lead, min(m, n))


def trsm(
    a: np.ndarray,
    b: np.ndarray,
    *,
    left_side: bool,
    lower: bool,
    transpose: bool,
    conjugate: bool,
    unit_diagonal: bool,
) -> np.ndarray:
    """x with op(a) x = b (or x op(a) = b), a triangular; stacks of equal leading axes."""
    n = a.shape[-1]
    conjugate = conjugate and dtypes.is_complex(a.dtype)
    if conjugate and not transpose:  # BLAS has no such operation
        a = a.conj()
    a = stacked(np.ascontiguousarray(a))
    x = np.array(b, order="C", copy=True)
    if not x.size or not n:
        return x
    routine = _routine("cblas_?trsm", x.dtype)
    how = (_CONJUGATE_TRANSPOSE if conjugate else _TRANSPOSE) if transpose else _NO_TRANSPOSE
    rows, columns = x.shape[-2:]
    if dtypes.is_complex(x.dtype):
        one = np.ones((), x.dtype)
        alpha: Any = c_void_p(one.ctypes.data)
    else:
        alpha = (ctypes.c_float if x.dtype == dtypes.float32 else ctypes.c_double)(1)
    how_solved = (
        _ROW_MAJOR,
        _LEFT if left_side else _RIGHT,
        _LOWER if lower else _UPPER,
        how,
        _UNIT if unit_diagonal else _NON_UNIT,
        rows,
        columns,
        alpha,
    )
    start, at = a.ctypes.data, x.ctypes.data
    a_step, step = n * n * a.itemsize, rows * columns * x.itemsize
    for i in range(len(a)):
        routine(*how_solved, c_void_p(start + i * a_step), n, c_void_p(at + i * step), columns)
    return x


def geev(a: np.ndarray, left: bool, right: bool) -> list[np.ndarray]:
    """Eigenvalues of a [..., n, n], then left and right eigenvectors if asked for; all complex."""
    *lead, n, _ = a.shape
    real = not dtypes.is_complex(a.dtype)
    dtype, wide = a.dtype, dtypes.complex_of(a.dtype)
    work_in = _by_columns(a)
    count = len(work_in)
    # LAPACK writes into the stacks: real and imaginary parts of the values if a is real.
    parts = [np.zeros((count, n), dtype) for _ in range(2 if real else 1)]
    stored = [np.zeros((count, n if wanted else 1, n), dtype) for wanted in (left, right)]
    failed = np.zeros(count, bool)
    if count and n:
        routine = _routine("?geev_", dtype)
        jobs = [c_char_p(b"V" if wanted else b"N") for wanted in (left, right)]
        size, info, ask = byref(c_int(n)), c_int(), c_int(-1)
        widths = [byref(c_int(n if wanted else 1)) for wanted in (left, right)]
        real_work = np.empty(2 * n, dtypes.real_of(dtype))
        rest = (*(() if real else (c_void_p(real_work.ctypes.data),)), byref(info))
        characters = (c_size_t(1), c_size_t(1))
        places = [_steps(x) for x in (work_in, *parts, *stored)]

        def call(i: int, work: np.ndarray, length: c_int) -> None:
            matrix, *outputs, vl, vr = (c_void_p(at + i * step) for at, step in places)
            routine(
                *jobs,
                size,
                matrix,
                size,
                *outputs,
                vl,
                widths[0],
                vr,
                widths[1],
                c_void_p(work.ctypes.data),
                byref(length),
                *rest,
                *characters,
            )

        best = np.zeros(1, dtype)
        call(0, best, ask)
        work = np.empty(max(int(best[0].real), 4 * n), dtype)
        length = c_int(work.size)
        for i, finite in enumerate(_finite(work_in)):
            if finite:
                call(i, work, length)
            if not finite or info.value:
                failed[i] = True
                info.value = 0
    values = (parts[0] + 1j * parts[1]).astype(wide) if real else parts[0]
    vectors = [x for x, wanted in zip(stored, (left, right)) if wanted]
    if real:
        vectors = [_paired(x, parts[1]) for x in vectors]
    for x in (values, *vectors):
        x[failed] = nan(wide)
    return [values.reshape(*lead, n), *(_by_rows(v, tuple(lead)) for v in vectors)]


def _paired(stored: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """Complex eigenvectors (in rows here) from LAPACK's real ones, of a stack.

    For a pair of conjugate eigenvalues LAPACK stores the real and the imaginary part of the
    eigenvector of the first one.
    """
    out: Any = stored.astype(dtypes.complex_of(stored.dtype))
    matrix, first = np.nonzero(imaginary > 0)
    out.imag[matrix, first] = stored[matrix, first + 1]
    out[matrix, first + 1] = out[matrix, first].conj()
    return out


def gees(a: np.ndarray, vectors: bool) -> list[np.ndarray]:
    """The Schur form t of a [..., n, n] and, if asked for, q with a = q t q^H; real for real a."""
    *lead, n, _ = a.shape
    real = not dtypes.is_complex(a.dtype)
    t = _by_columns(a)
    count = len(t)
    q = np.zeros((count, n if vectors else 1, n), a.dtype)
    if count and n:
        routine = _routine("?gees_", a.dtype)
        job, sort = c_char_p(b"V" if vectors else b"N"), c_char_p(b"N")
        size, info, sorted_count, ask = c_int(n), c_int(), c_int(), c_int(-1)
        width = c_int(n if vectors else 1)
        parts = np.empty((2, n), a.dtype)
        real_work = np.empty(n, dtypes.real_of(a.dtype))
        logical = np.zeros(n, np.int32)
        outputs = [c_void_p(p.ctypes.data) for p in (parts if real else parts[:1])]

        def call(matrix: int, schur: int, work: np.ndarray, length: c_int) -> None:
            routine(
                job,
                sort,
                None,
                byref(size),
                c_void_p(matrix),
                byref(size),
                byref(sorted_count),
                *outputs,
                c_void_p(schur),
                byref(width),
                c_void_p(work.ctypes.data),
                byref(length),
                *(() if real else (c_void_p(real_work.ctypes.data),)),
                c_void_p(logical.ctypes.data),
                byref(info),
                c_size_t(1),
                c_size_t(1),
            )

        (at, step), (q_at, q_step) = _steps(t), _steps(q)
        best = np.zeros(1, a.dtype)
        call(at, q_at, best, ask)
        work = np.empty(max(int(best[0].real), 3 * n), a.dtype)
        length = c_int(work.size)
        finite = _finite(t)
        for i in range(count):
            if finite[i]:
                call(at + i * step, q_at + i * q_step, work, length)
            if not finite[i] or info.value:
                t[i] = q[i] = nan(t.dtype)
                info.value = 0
    found = [_by_rows(t, tuple(lead))]
    return [*found, _by_rows(q, tuple(lead))] if vectors else found
