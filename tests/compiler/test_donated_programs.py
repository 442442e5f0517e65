"""Random programs whose arguments are donated.

Longer, with other programs each time:

    RTFUNC_FUZZ_EXAMPLES=20000 python -m pytest tests/compiler/test_donated_programs.py
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import rtfunc as rf
from rtfunc.core.array import Array
from rtfunc.core.graph import evaluate
from tests.compiler.float_programs import SHAPES, program, step

EXAMPLES = int(os.environ.get("RTFUNC_FUZZ_EXAMPLES", "60"))


def assert_same(actual, expected):
    for a, e in zip(actual, expected, strict=True):
        a, e = np.asarray(a), np.asarray(e)
        assert a.dtype == e.dtype
        assert a.shape == e.shape
        # Sums in another order and 4-ulp functions, through up to a dozen steps.
        np.testing.assert_allclose(a, e, rtol=2e-3, atol=2e-3)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RTFUNC_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    shapes=st.lists(st.sampled_from(SHAPES), min_size=2, max_size=4),
    steps=st.lists(step, min_size=1, max_size=12),
    donate=st.integers(1, 15),
    same=st.booleans(),
    seen=st.booleans(),
    returned=st.booleans(),
)
def test_donated_arguments_change_no_result(shapes, steps, donate, same, seen, returned):
    """Whether results are written over arguments, other arguments and other Arrays are left alone.

    same: the last two arguments are one Array; seen: a NumPy view of the first is kept; returned: the
    arguments are results too.
    """
    generator = np.random.default_rng(0)
    values = [np.asarray(generator.standard_normal(s), np.float32) for s in shapes]
    if same:
        values[-1] = values[-2]
    donated = [i for i in range(len(values)) if donate >> i & 1]
    run = program(steps)

    def both(*xs):
        return [*run(*xs), *(xs if returned else ())]

    graph = rf.make_graph(both)(*values)
    note(str(graph))
    with np.errstate(all="ignore"):
        expected = evaluate(graph, [Array(v) for v in values])
    f = rf.jit(both, donate_argnums=donated)
    refused = same and (len(values) - 1 in donated) != (len(values) - 2 in donated)
    for _ in range(2):
        given = [Array(v.copy()) for v in values]
        if same:
            given[-1] = given[-2]
        views = [np.asarray(given[0])] if seen else []
        if refused:
            with pytest.raises(rf.errors.ArgumentError, match="which is not"):
                f(*given)
        else:
            assert_same(f(*given), expected)
        for i, (array, value) in enumerate(zip(given, values)):
            if refused or i not in donated:
                np.testing.assert_array_equal(array, value)
            else:
                with pytest.raises(rf.errors.DonatedArrayError):
                    np.asarray(array)
        for view in views:
            np.testing.assert_array_equal(view, values[0])
