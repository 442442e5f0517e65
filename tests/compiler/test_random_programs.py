"""Random programs: native code computes what the reference backend computes.

Runs briefly with the suite. For long:

    RTFUNC_FUZZ_EXAMPLES=20000 python -m pytest tests/compiler/test_random_programs.py

A failure prints the smallest Graph that was found.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import rtfunc as rf
from rtfunc.compiler.native import Executable
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import RtfuncError
from rtfunc.core.graph import Graph, Literal, evaluate, graphs_in
from tests.compiler.random_programs import DTYPES, KINDS, NAMES, SHAPES, Step, inputs_of, program

EXAMPLES = int(os.environ.get("RTFUNC_FUZZ_EXAMPLES", "60"))

#: Sums in another order and functions of 4 ulp, through up to a dozen steps; by the coarsest dtype in the
#: program, relative to the largest element.
TOLERANCE = {"float64": 1e-8, "float32": 2e-3, "float16": 4e-2, "bfloat16": 0.3}


def coarsest(graph: Graph) -> str:
    """The floating-point dtype with the fewest digits that a program computes with."""
    found = {"float64"}
    waiting = [graph]
    while waiting:
        inner = waiting.pop()
        for equation in inner.equations:
            waiting += graphs_in(equation.params)
            found |= {
                dtypes.real_of(a.aval.dtype).name
                for a in (*equation.inputs, *equation.outputs)
                if dtypes.is_inexact(a.aval.dtype)
            }
    return next(name for name in reversed(TOLERANCE) if name in found)


def perturbed(graph: Graph, inputs: Sequence[Array], seed: int) -> list[np.ndarray]:
    """The results where all inputs and values on the way differ from what they are by a little."""
    generator = np.random.default_rng(seed)

    def moved(a: Array) -> Array:
        x = np.asarray(a)
        if not dtypes.is_inexact(x.dtype):
            return a
        size = TOLERANCE[dtypes.real_of(x.dtype).name] / 16
        factor = 1 + size * generator.uniform(-1, 1, x.shape)
        return Array(np.asarray(x * factor).astype(x.dtype), a.weak_type)

    known: dict[Any, Array] = dict(zip(graph.inputs, map(moved, inputs), strict=True))
    known.update(graph.constants)

    def read(atom: Any) -> Array:
        return Array(atom.value, atom.aval.weak_type) if isinstance(atom, Literal) else known[atom]

    with np.errstate(all="ignore"):
        for equation in graph.equations:
            out = equation.primitive.bind(*map(read, equation.inputs), **equation.params)
            outs = out if equation.primitive.multiple_results else [out]
            known.update(zip(equation.outputs, map(moved, outs), strict=True))
    return [np.asarray(read(a)) for a in graph.outputs]


def check_program(
    shapes: Sequence[tuple[int, ...]], names: Sequence[str], steps: Sequence[Step], donate: bool
) -> str | None:
    """Compare a program's results; what was refused when it was traced, or None."""
    inputs = [Array(x) for x in inputs_of(shapes, names)]
    function = program(steps)
    try:
        graph = rf.make_graph(function)(*inputs)
    except (RtfuncError, TypeError) as error:
        return f"refused: {type(error).__name__}: {error}"
    with np.errstate(all="ignore"):
        expected = [np.asarray(a) for a in evaluate(graph, inputs)]
    try:
        if donate:
            copies = [rf.jit(lambda x: x)(a) for a in inputs]
            actual = rf.jit(function, donate_argnums=tuple(range(len(inputs))))(*copies)
        else:
            actual = Executable(graph)(inputs)
    except Exception as error:
        raise AssertionError(f"native code of\n{graph}") from error
    name = coarsest(graph)
    allowed = TOLERANCE[name]
    moved: list[list[np.ndarray]] = []
    assert len(actual) == len(expected)
    for number, (a, e) in enumerate(zip(actual, expected, strict=True)):
        a = np.asarray(a)
        assert (a.dtype, a.shape) == (e.dtype, e.shape)
        wrong = differs(a, e, allowed)
        if not wrong.any():
            continue
        # Where a result depends on the last digits of what it is made of (at a step of `floor`, at a tie,
        # near a pole), native code may take another side.
        if not moved:
            moved = [perturbed(graph, inputs, seed) for seed in range(32)]
        for other in moved:
            wrong &= ~differs(other[number], e, allowed / 16)
        if wrong.any():
            at = tuple(np.argwhere(np.atleast_1d(wrong))[0])
            found, value = np.atleast_1d(a)[at], np.atleast_1d(e)[at]
            raise AssertionError(
                f"result {number} ({name}): {int(wrong.sum())} of {wrong.size} wrong, "
                f"at {tuple(map(int, at))} {found} instead of {value}\n{graph}"
            )
    return None


def differs(a: np.ndarray, b: np.ndarray, allowed: float) -> np.ndarray:
    """Where two arrays differ by more than `allowed`, relative to the largest element or 1."""
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    a, b = a.astype(wide), b.astype(wide)
    with np.errstate(all="ignore"):
        sizes = np.abs(b)
        scale = max(1.0, float(np.max(sizes, where=np.isfinite(sizes), initial=0.0)))
        return ~((a == b) | (np.abs(a - b) <= allowed * scale) | (np.isnan(a) & np.isnan(b)))


small = st.integers(0, 9)
step = st.tuples(st.sampled_from(NAMES), small, small, st.integers(0, KINDS - 1))
operand = st.tuples(st.sampled_from(SHAPES), st.sampled_from(DTYPES))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RTFUNC_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    operands=st.lists(operand, min_size=1, max_size=3),
    steps=st.lists(step, min_size=1, max_size=12),
    donate=st.booleans(),
)
def test_native_equals_reference(operands, steps, donate):
    shapes, names = zip(*operands)
    assume(check_program(shapes, names, steps, donate) is None)
