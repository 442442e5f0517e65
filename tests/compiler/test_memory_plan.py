"""Memory plans: what shares memory may share it, and shares it where it can."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.compiler import in_place, lowered
from rtfunc.compiler.inspect import format_program
from rtfunc.compiler.lowered import lower
from tests.compiler.memory_simulator import Simulator
from tests.compiler.test_random_programs import BINARY, UNARY

EXAMPLES = int(os.environ.get("RTFUNC_FUZZ_EXAMPLES", "25"))
SHAPES = [(), (3,), (2, 3), (3, 2), (1, 4), (2, 1, 3)]


def apart(graph):
    """Lowered with a buffer for every value."""
    with mock.patch.object(lowered, "share_buffers", lambda program, inner: None):
        return lower(graph)


def assert_plan_holds(graph, donated=(), seed=0):
    found = Simulator(True, seed).run(lower(graph, donated=donated))
    assert found == Simulator(False, seed).run(apart(graph))


def loops(x, k):
    """Loops that update what they carry."""
    rows = rnp.atleast_2d(x)

    def step(i, state):
        a, b = state
        return [
            (a.at[i % 2].set(a[0] * 2), b * 2),
            (a.at[i % 2].add(b[-1]), a + b),
            (b, a * 2),
            (lax.cond(a[0, 0] > 0, lambda v: v.at[0].set(1.0), lambda v: v, a), b + a[0]),
        ][k % 4]

    a, b = lax.fori_loop(0, 2 + k % 2, step, (rows, rows * 2))
    return a + b


OPERATIONS = {**UNARY, "loops": loops}

steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 9), st.just(0), st.integers(0, 5)),
        st.tuples(st.sampled_from(sorted(BINARY)), st.integers(0, 9), st.integers(0, 9), st.integers(0, 5)),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip


def program(steps):
    """A function of a few arrays that applies the steps to earlier values and returns the last ones."""

    def run(*inputs):
        values = list(inputs)
        for name, i, j, k in steps:
            x = values[-1 - i % len(values)]
            if name in OPERATIONS:
                out = OPERATIONS[name](x, k)
            else:
                out = BINARY[name](x, values[-1 - j % len(values)], k)
            if out.size <= 60:
                values.append(out)
        return values[len(inputs) :][-3:] or values[:1]

    return run


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RTFUNC_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    shapes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3),
    steps=steps,
    donate=st.integers(0, 7),
    seed=st.integers(0, 99),
)
def test_what_shares_memory_ends_as_what_does_not(shapes, steps, donate, seed):
    graph = rf.make_graph(program(steps))(*[np.ones(s, np.float32) for s in shapes])
    note(str(graph))
    assert_plan_holds(graph, [i for i in range(len(shapes)) if donate >> i & 1], seed)
