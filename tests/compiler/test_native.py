"""Native code computes what the eager kernels compute: every primitive, dtype, shape and layout.

Runs a part of the cases with the suite, another for every primitive; all of them, some 40,000 in each view,
by

    RTFUNC_WALK=all python -m pytest tests/compiler/test_native.py -n auto
"""

from __future__ import annotations

import dataclasses
import os
import zlib
from collections.abc import Sequence

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.compiler.cpu import threads
from rtfunc.core import dtypes
from tests.compiler.cases import Case, cases_of, names
from tests.compiler.native_walk import (
    VIEWS,
    Compiled,
    check,
    difference,
    expected,
    is_computed,
    owners,
)

EVERYTHING = os.environ.get("RTFUNC_WALK") == "all"
#: Cases in one program: enough to share the fixed costs of compiling.
GROUP = 24
#: How many cases of a primitive there are for one that is tried in the suite.
STEP = 64
STEP_OF_LARGE = 24


def grouped(cases: Sequence[Case]) -> list[list[Case]]:
    return [list(cases[i : i + GROUP]) for i in range(0, len(cases), GROUP)]


def chosen(name: str, view: str, large: bool = False) -> list[Case]:
    """The cases of a primitive that this run tries in a view."""
    cases = [case for case in cases_of(name) if case.large == large]
    if EVERYTHING:
        return cases
    step = STEP_OF_LARGE if large else STEP
    return cases[(zlib.crc32(f"{name} {view}".encode()) % min(step, max(len(cases), 1))) :: step]


def fail_with(problems: list[str]) -> None:
    if problems:
        shown = "\n".join(problem[:600] for problem in problems[:10])
        pytest.fail(f"{len(problems)} problems, the first of them:\n{shown}", pytrace=False)


@pytest.mark.parametrize("name", names())
def test_native_equals_eager(name):
    problems = []
    for view in VIEWS:
        for cases in grouped(chosen(name, view)):
            problems += check(cases, view)
    fail_with(problems)


@pytest.fixture
def thread_count():
    before = threads.get_num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


@pytest.mark.parametrize("name", names())
def test_large_arrays_are_right_and_bits_do_not_depend_on_threads(name, thread_count):
    problems = []
    for cases in grouped([c for c in chosen(name, "plain", large=True) if is_computed(c)]):
        program = Compiled(cases)
        results = []
        for count in (1, 2, 3):
            thread_count(count)
            results.append(program.run())
        values = [value for case in cases for value in expected(case)]
        for case, value, found, *others in zip(owners(cases, values), values, *results):
            if any(found.tobytes() != other.tobytes() for other in others):
                problems.append(f"{case}: the bits depend on the number of threads")
            problem = difference(case, found, value)
            if problem:
                problems.append(f"{case}: {problem}")
    fail_with(problems)


def test_every_dtype_and_kind_of_shape_is_tried():
    cases = cases_of("add")
    assert {c.dtype for c in cases} == {d.name for d in dtypes.everything}
    shapes = {c.args[0].shape for c in cases}
    assert {(), (0,), (1,), (17,), (3, 0), (70_003,)} <= shapes


def test_the_comparison_sees_what_is_wrong():
    (case, *_) = [c for c in cases_of("exp") if c.dtype == "float32" and c.args[0].shape == (17,)]
    (value,) = expected(case)
    assert difference(case, value, value) is None
    for wrong in (value * np.float32(1 + 3e-6), value.astype("f8"), value[:-1]):
        assert difference(case, wrong, value)
    other = value.copy()
    other[np.flatnonzero(np.isnan(value))[0]] = 1
    assert difference(case, other, value)
    (case, *_) = [c for c in cases_of("neg") if c.dtype == "float32" and c.args[0].shape == (17,)]
    (value,) = expected(case)
    flipped = np.where(value == 0, -value, value)
    assert "wrong" in (difference(case, flipped, value) or "")


def test_float64_is_rounded_to_float16_once():
    """Through float32 it would be rounded twice; LLVM has a function of a library for some of it."""
    generator = np.random.default_rng(0)
    middles = 1 + (2 * generator.integers(0, 1024, 500) + 1) / 2048  # of neighbours in float16
    x = middles * (1 + generator.choice([-1, 0, 1], 500) * 2.0 ** generator.integers(-50, -24, 500))
    x = np.concatenate(
        [x * 2.0 ** generator.integers(-24, 16, 500), [np.nan, np.inf, 1e300, 5e-324, -0.0]]
    )
    with np.errstate(over="ignore", under="ignore"):
        value = x.astype(np.float16)
    found = np.asarray(rf.jit(lambda x: x.astype(rnp.float16))(rnp.asarray(x)))
    np.testing.assert_array_equal(found, value)
    scalar = rf.jit(lambda x: rnp.copysign(x, -x * x).astype(rnp.float16))
    for number in x[:20]:
        assert np.asarray(scalar(rnp.asarray(number))) == -np.abs(number).astype(np.float16)


def test_a_gather_that_fills_without_a_value_reads_the_default():
    cases = [
        case
        for case in cases_of("gather")
        if case.params["mode"] == "fill" and case.params["fill_value"] is None and not case.large
    ]
    assert len({case.dtype for case in cases}) > 6
    fail_with([problem for group in grouped(cases) for problem in check(group)])


@pytest.mark.parametrize("name", ["dot_general", "conv_general_dilated"])
@pytest.mark.parametrize("result", ["bfloat16", "float32", "float64"])
def test_contractions_with_a_wider_result_are_native(name, result):
    cases = [
        dataclasses.replace(
            case, params={**case.params, "preferred_element_type": np.dtype(result)}
        )
        for case in cases_of(name)
        if case.dtype in ("float16", "bfloat16", "float32", "int8") and case.args[0].size < 2000
    ]
    cases = [case for case in cases if case.is_valid and all(a.size for a in case.args)][::17]
    assert len(cases) > 2
    fail_with([problem for group in grouped(cases) for problem in check(group)])
    assert not Compiled(cases).executable.hosts


@pytest.mark.parametrize("name", ["sign", "fma", "shift_right_arithmetic"])
def test_zeros_and_counts_that_are_out_of_range(name):
    cases = [case for case in cases_of(name) if case.args[0].shape in ((), (17,), (65,))]
    fail_with([problem for group in grouped(cases) for problem in check(group)])
