"""How the walk of native code checks a Case: native results against those of the eager kernels.

Several Cases make one program, so that compiling costs little. The operands come as views of the program's
inputs (`VIEWS`: transposed, strided, reversed), which kernels and calls then read through index maps; the
inputs come in several memory layouts (`LAYOUTS`), which must not change a bit. Depends on `cases`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import rtfunc.numpy  # noqa: F401  (operators of Array)
from rtfunc.compiler.native import Executable
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import RtfuncError
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.elementwise import batch_elementwise
from rtfunc.ops.pad_slice import slice_p
from rtfunc.ops.shape import rev_p, transpose_p
from tests.compiler.cases import Case

#: In units of the last place of the result's dtype, relative to the result (elementwise operations) or to
#: the largest element of results and operands (those that sum, in an order of their own). Elementary
#: functions are within 4 on either side; halves are rounded once more by the eager kernels.
ELEMENTWISE_ULPS = 10
SUM_ULPS = 64
#: Operations that round once at most, so that every bit is given.
EXACT = frozenset(
    "convert_element_type add sub mul neg abs square sqrt floor ceil trunc round max min clamp select fma "
    "reshape transpose broadcast_in_dim rev slice pad concatenate gather dynamic_slice dynamic_update_slice "
    "sort top_k cummax cummin reduce_max reduce_min reduce_window_max reduce_window_min real imag conj "
    "complex bitcast is_finite sign".split()
)
#: Of the eager kernels that add or multiply one element after the other.
LONG_SUM_ULPS = 1024
_one_by_one = frozenset(("cumlogsumexp", "reduce_prod"))
#: Of complex numbers: exp(y log x) has the error of the logarithm times the size of the exponent, and NumPy's
#: log1p in complex64 is some hundred units off near 0; the logistic function has poles.
COMPLEX_ULPS = {"pow": 128, "log1p": 512, "logistic": 128}
#: Which zero comes out of two of different signs differs among NumPy's own loops.
_either_zero = frozenset(("max", "min"))
#: Sums of numbers and logarithms, which cancel where the result is small: lgamma and digamma do that beside
#: their zeros on the negative axis.
_cancelling = frozenset(("digamma", "lgamma", "logaddexp"))


# Operands as views


def _reversed_axes(x: np.ndarray) -> tuple[int, ...]:
    return tuple(range(x.ndim))


def _strided(x: np.ndarray) -> np.ndarray:
    out = np.zeros(tuple(2 * n + 1 for n in x.shape), x.dtype)
    out[tuple(slice(1, 2 * n + 1, 2) for n in x.shape)] = x
    return out


#: For each view, what is given for an operand, and how the program makes the operand of it.
VIEWS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[Any], Any]]] = {
    "plain": (lambda x: x, lambda x: x),
    "transposed": (
        lambda x: x.T.copy(order="C"),
        lambda x: transpose_p.bind(x, permutation=tuple(range(x.ndim))[::-1]),
    ),
    "reversed": (
        lambda x: x[(slice(None, None, -1),) * x.ndim].copy(order="C"),
        lambda x: rev_p.bind(x, axes=_reversed_axes(x)),
    ),
    "strided": (
        _strided,
        lambda x: slice_p.bind(x, start=(1,) * x.ndim, limit=x.shape, stride=(2,) * x.ndim),
    ),
}


# Inputs in memory


def _after(x: np.ndarray, count: int) -> np.ndarray:
    """`x` in a buffer that begins `count` bytes after an aligned address."""
    raw = np.empty(x.nbytes + 128, np.uint8)
    start = -raw.ctypes.data % 64 + count
    out = raw[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def _fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x)


def _backward(x: np.ndarray) -> np.ndarray:
    every = (slice(None, None, -1),) * x.ndim
    return x[every].copy(order="C")[every]


def _apart(x: np.ndarray) -> np.ndarray:
    out = np.empty((*x.shape, 2), x.dtype)
    out[..., 0] = x
    return out[..., 0]


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


#: How an input may lie in memory.
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one element into a buffer": lambda x: _after(x, x.dtype.itemsize),
    "one byte into a buffer": lambda x: _after(x, 1),
    "column-major": _fortran,
    "negative strides": _backward,
    "every other element": _apart,
    "read-only": _read_only,
}


# Checks


def apply(case: Case, args: Sequence[Any]) -> list[Any]:
    """The results of the primitive under the current trace."""
    out = case.primitive.bind(*args, **case.params)
    return list(out) if case.primitive.multiple_results else [out]


def is_computed(case: Case) -> bool:
    """Whether the eager kernels compute it, rather than raise an error."""
    try:
        expected(case)
    except RtfuncError:
        return False
    return True


@functools.lru_cache(maxsize=64)
def expected(case: Case) -> list[np.ndarray]:
    """What the eager kernels compute."""
    with np.errstate(all="ignore"):
        return [np.asarray(a) for a in apply(case, [Array(a) for a in case.args])]


class Compiled:
    """Cases as one native program."""

    def __init__(self, cases: Sequence[Case], view: str = "plain"):
        self.cases = list(cases)
        give, take = VIEWS[view]
        self.buffers = [np.require(give(a), requirements="C") for c in cases for a in c.args]

        def program(*inputs: Any) -> list[Any]:
            given = iter(inputs)
            outs = []
            for case in self.cases:
                outs += apply(case, [take(next(given)) for _ in case.args])
            return outs

        graph, captured = trace_to_graph(program, [Array(b).aval for b in self.buffers])
        self.captured = [np.asarray(c) for c in captured]
        self.executable = Executable(graph)

    def run(self, layout: Callable[[np.ndarray], np.ndarray] | None = None) -> list[np.ndarray]:
        """The results, with the inputs in a layout."""
        buffers = self.buffers if layout is None else [layout(b) for b in self.buffers]
        arrays = [Array(b) for b in (*self.captured, *buffers)]
        return [np.asarray(a) for a in self.executable(arrays)]


def check(cases: Sequence[Case], view: str = "plain") -> list[str]:
    """What is wrong with the native form of Cases, a line each."""
    cases = [case for case in cases if is_computed(case)]
    if not cases:
        return []
    try:
        program = Compiled(cases, view)
        found = program.run()
    except Exception as error:
        if len(cases) == 1:
            return [f"{cases[0]} [{view}]: {type(error).__name__}: {error}"]
        return [problem for case in cases for problem in check([case], view)]
    problems = []
    at = 0
    for case in cases:
        values = expected(case)
        for number, value in enumerate(values):
            problem = difference(case, found[at], value)
            if problem:
                problems.append(f"{case} [{view}] result {number}: {problem}")
            at += 1
    assert at == len(found)
    for name, layout in LAYOUTS.items():
        again = program.run(layout)
        problems += [
            f"{case} [{view}], inputs {name}: other results"
            for case, same in zip(owners(cases, found), _equal_bits(found, again))
            if not same
        ]
    return problems


def owners(cases: Sequence[Case], results: Sequence[Any]) -> list[Case]:
    """The Case that each result belongs to."""
    found: list[Case] = []
    for case in cases:
        count = len(expected(case)) if case.primitive.multiple_results else 1
        found += [case] * count
    assert len(found) == len(results)
    return found


def _equal_bits(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> list[bool]:
    return [x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)]


def difference(case: Case, found: np.ndarray, value: np.ndarray) -> str | None:
    """How a result differs from what is expected; None if it does not."""
    if (found.dtype, found.shape) != (value.dtype, value.shape):
        return f"{found.dtype}{found.shape} instead of {value.dtype}{value.shape}"
    if not dtypes.is_inexact(value.dtype):
        wrong = _raw(found) != _raw(value)
        return _report(found, value, wrong) if wrong.any() else None
    is_elementwise = case.primitive.batch is batch_elementwise
    is_exact = case.primitive.name in EXACT and (
        case.args[0].dtype.kind != "c" or not is_elementwise
    )
    eps = float(dtypes.finfo(dtypes.real_of(value.dtype)).eps)
    wide = np.complex128 if value.dtype.kind == "c" else np.float64
    a, b = found.astype(wide), value.astype(wide)
    with np.errstate(all="ignore"):
        same = (_raw(found) == _raw(value)) | (np.isnan(a) & np.isnan(b))
        ulps = ELEMENTWISE_ULPS
        if wide is np.complex128:
            ulps = COMPLEX_ULPS.get(case.primitive.name, ulps)
        allowed = np.abs(b) * ulps * eps
        if is_exact:
            allowed = np.zeros(b.shape)
        elif is_elementwise:
            # Results below the smallest normal number have fewer digits.
            allowed += 2 * float(dtypes.finfo(dtypes.real_of(value.dtype)).smallest_subnormal)
            if case.primitive.name in _cancelling:
                allowed += 2 * eps
        else:
            ulps = LONG_SUM_ULPS if case.primitive.name in _one_by_one and case.large else SUM_ULPS
            allowed = np.maximum(allowed, ulps * eps * _scale(case, b))
        close = np.abs(a - b) <= allowed
        if is_elementwise and wide is np.complex128:
            # Which parts of a result are infinite or NaN where an operand is differs with the formula.
            same |= ~np.isfinite(sum(np.broadcast_arrays(*case.args)))
        if is_elementwise and wide is np.float64 and case.primitive.name not in _either_zero:
            close &= (np.signbit(a) == np.signbit(b)) | (b != 0)
    wrong = ~(same | close)
    return _report(found, value, wrong) if wrong.any() else None


def _raw(x: np.ndarray) -> np.ndarray:
    if x.dtype.itemsize > 8:
        return x
    return (
        np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")
        if x.ndim
        else x[None].view(f"u{x.dtype.itemsize}").reshape(())
    )


def _scale(case: Case, value: np.ndarray) -> float:
    """The size of what was added up."""
    parts = [value, *(a for a in case.args if dtypes.is_inexact(a.dtype))]
    largest = 1e-30
    for part in parts:
        sizes = np.abs(part.astype(np.complex128)) if part.size else np.zeros(1)
        finite = sizes[np.isfinite(sizes)]
        if finite.size:
            largest = max(largest, float(finite.max()))
    return largest


def _report(found: np.ndarray, value: np.ndarray, wrong: np.ndarray) -> str:
    places = np.argwhere(np.atleast_1d(wrong))
    shown = [
        f"{tuple(map(int, p))}: {np.atleast_1d(found)[tuple(p)]!r} "
        f"instead of {np.atleast_1d(value)[tuple(p)]!r}"
        for p in places[:3]
    ]
    return f"{len(places)} of {math.prod(value.shape)} wrong, {'; '.join(shown)}"
