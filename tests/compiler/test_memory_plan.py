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
from tests.compiler import float_programs
from tests.compiler.memory_simulator import Simulator

EXAMPLES = int(os.environ.get("RTFUNC_FUZZ_EXAMPLES", "100"))
SHAPES = [(), (3,), (2, 3), (3, 2), (1, 4), (2, 1, 3)]


def apart(graph):
    """Lowered with a buffer for every value."""
    with mock.patch.object(lowered, "share_buffers"):
        return lower(graph)


def assert_plan_holds(graph, donated=(), seed=0):
    found = Simulator(True, seed).run(lower(graph, donated=donated))
    assert found == Simulator(False, seed).run(apart(graph))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="RTFUNC_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    shapes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3),
    steps=st.lists(float_programs.step, min_size=1, max_size=8),
    donate=st.integers(0, 7),
    seed=st.integers(0, 99),
)
def test_what_shares_memory_ends_as_what_does_not(shapes, steps, donate, seed):
    graph = rf.make_graph(float_programs.program(steps, largest=60))(
        *[np.ones(s, np.float32) for s in shapes]
    )
    note(str(graph))
    assert_plan_holds(graph, [i for i in range(len(shapes)) if donate >> i & 1], seed)


BROKEN = {
    "reversed": lambda x: rnp.sort(rnp.sort(x)[::-1] + 1),
    "product": lambda x: ((x @ x) @ x) @ x,
    "transposed": lambda x: rnp.sort(rnp.sort(x).T + 1),
    "read at later passes": lambda x: (lambda y: (y - rnp.max(y, 1, keepdims=True)) * y + y.T)(
        rnp.sort(x)
    ),
    "carried": lambda x: lax.fori_loop(0, 3, lambda i, c: c[::-1] * 2 + 1, x),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_simulator_sees_what_must_not_share_memory(name):
    graph = rf.make_graph(BROKEN[name])(np.ones((4, 4), np.float32))
    assert_plan_holds(graph)
    expected = Simulator(False).run(apart(graph))
    with mock.patch.object(in_place, "writes_in_place", return_value=True):
        found = [Simulator(True, seed).run(lower(graph)) for seed in range(8)]
    assert any(result != expected for result in found)


# What shares memory


def arena(f, *args, donated=()):
    return lower(rf.make_graph(f)(*args), donated=donated).plan.size


X = np.ones((64, 64), np.float32)
BYTES = X.nbytes


def test_elementwise_results_take_the_place_of_what_ends_there():
    def f(x):
        for _ in range(4):
            x = rnp.sort(rnp.tanh(x) + 1)
        return rnp.sum(x)

    assert arena(f, X) == 2 * BYTES  # what is sorted, and the result


def test_rows_are_normalized_in_place():
    def softmax(x):
        e = rnp.exp(x - rnp.max(x, axis=1, keepdims=True))
        return e / rnp.sum(e, axis=1, keepdims=True)

    assert arena(lambda x: rnp.sort(softmax(rnp.sort(x))), X) == BYTES


@pytest.mark.parametrize("shape", [(17,), (1024,), (3, 65)])
def test_what_a_pass_has_kept_reads_no_operand_for_the_results_after_it(shape):
    """The exponentials of a softmax wait in a row of their own for its division: the pass that divides
    reads the operand for the other result alone, which must not come after the first is written."""

    def f(x):
        x = rnp.sort(x, axis=-1)
        e = rnp.exp(x - rnp.max(x, axis=-1, keepdims=True))
        moved = x - rnp.mean(x, axis=-1, keepdims=True)
        deviation = rnp.sqrt(rnp.mean(rnp.square(moved), axis=-1, keepdims=True) + 1)
        return e / rnp.sum(e, axis=-1, keepdims=True), moved / deviation

    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for found, expected in zip(rf.jit(f)(x), f(rnp.asarray(x)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_each_of_several_results_takes_the_place_of_one_operand():
    def f(x):
        a, b = rnp.sort(x), rnp.sort(x, axis=0)
        return rnp.sort(a * b), rnp.sort(a - b)

    assert arena(f, X) == 2 * BYTES


def test_views_of_a_buffer_are_one_with_it():
    def f(x):
        a = rnp.sort(x)
        b = rnp.sort(rnp.tanh(a.reshape(-1)))
        return b, rnp.sort(a.reshape(2, -1), axis=0)

    assert_plan_holds(rf.make_graph(f)(X[:4, :4]))
    assert arena(f, X) == 2 * BYTES  # the tangent cannot go over what is sorted once more


def test_a_result_goes_to_the_place_of_an_operand_of_another_dtype():
    assert arena(lambda x: rnp.sort(rnp.sort(x).astype(rnp.int32)), X) == BYTES


def test_donated_arguments_are_written_over():
    def f(p, m, g):
        m = 0.9 * m + g
        return p - rnp.tanh(m), m, rnp.sum(g)

    graph = rf.make_graph(f)(X, X, X)
    assert lower(graph, donated=(0, 1)).overlays == {0: 0, 1: 1}
    assert lower(graph).overlays == {}
    assert_plan_holds(rf.make_graph(f)(X[:3, :3], X[:3, :3], X[:3, :3]), donated=(0, 1))


def test_other_readers_of_a_donated_argument_come_first():
    def f(p, x):
        new = p * 0.5
        return new, new @ x, p @ x

    graph = rf.make_graph(f)(X[:3, :3], X[:3, :3])
    assert lower(graph, donated=(0,)).overlays == {0: 0}
    assert_plan_holds(graph, donated=(0,))


def test_an_argument_that_is_read_after_the_result_is_not_written_over():
    def f(p):
        return p @ rnp.sort(p[::-1] * 2)

    graph = rf.make_graph(f)(X[:3, :3])
    assert lower(graph, donated=(0,)).overlays == {}
    assert_plan_holds(graph, donated=(0,))


# Loops


LOOPS = {
    "set": lambda x, row: lax.fori_loop(0, 9, lambda i, c: c.at[i].set(row * i), x),
    "add": lambda x, row: lax.fori_loop(1, 9, lambda i, c: c.at[i].add(c[i - 1] + row), x),
    "slices": lambda x, row: lax.while_loop(
        lambda s: s[0] < 9,
        lambda s: (s[0] + 1, lax.dynamic_update_slice(s[1], row[None] * 2, (s[0], 0))),
        (0, x),
    ),
    "read before": lambda x, row: lax.scan(
        lambda c, i: ((c[0].at[i].set(c[1]), c[1] * 2), c[0][i + 1]), (x, row), rnp.arange(9)
    ),
    "branch": lambda x, row: lax.fori_loop(
        0, 9, lambda i, c: lax.cond(i % 2 == 0, lambda c: c.at[i].set(row), lambda c: c, c), x
    ),
    "nested": lambda x, row: lax.fori_loop(
        0, 3, lambda i, c: lax.fori_loop(0, 3, lambda j, c: c.at[3 * i + j].add(row), c), x
    ),
    "row by row": lambda x, row: rf.vmap(
        lambda c: lax.fori_loop(0, 9, lambda i, c: c.at[i].add(1.0), c)
    )(x),
}


def copied_bytes(part, inside=False):
    """Bytes that steps inside of loops write, those of updates and loops in place left out."""
    total = 0
    for step in part.program.steps:
        inner = part.inner.get(getattr(step, "equation", None), [])
        for other in inner:
            total += copied_bytes(other, True)
        if inside and not inner and not is_update(part, step):
            total += sum(map(in_place.buffer_bytes, in_place.written(step)))
    return total


def is_update(part, step):
    if isinstance(step, in_place.Kernel):  # a copy of what is there already
        loads = [s.node for s in step.stores]
        return all(n.op == "load" and n.params["variable"] in part.program.inputs for n in loads)
    names = ("scatter", "dynamic_update_slice")
    return step.equation.primitive.name in names


def loops_of(part):
    for step in part.program.steps:
        if isinstance(step, in_place.Call) and step.equation in part.inner:
            inner = part.inner[step.equation]
            if step.equation.primitive.name != "cond":
                yield step.equation, inner
            for other in inner:
                yield from loops_of(other)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_update_what_they_carry_in_place(name):
    x, row = np.zeros((64, 64), np.float32), np.ones(64, np.float32)
    graph = rf.make_graph(LOOPS[name])(x, row)
    found = lower(graph)
    for equation, inner in loops_of(found):
        alone = in_place.carried_in_place(equation, inner)
        large = [v.aval.size == x.size for v in equation.outputs]
        assert [one for one, big in zip(alone, large) if big] == [True]
    assert found.plan.size < BYTES
    assert copied_bytes(found) < BYTES // 2
    text = format_program(found)
    assert "in place" in text
    small = rf.make_graph(LOOPS[name])(x[:12, :4], row[:12] if name == "row by row" else row[:4])
    for seed in range(3):
        assert_plan_holds(small, seed=seed)
