"""cond: what its derivatives keep and how its batches look. Values are in tests/lax."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.batching import batch_flat
from rtfunc.core.errors import GraphError
from rtfunc.core.graph import evaluate
from rtfunc.core.primitive import BatchAxis
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.lax import cond, switch
from rtfunc.ops.branch import cond_p
from rtfunc.ops.exponential import exp
from rtfunc.ops.trigonometry import cos, sin, tanh

VECTOR = Aval((3,), "float32")
PREDICATE = Aval((), "bool")


def conds(graph):
    return [e for e in graph.equations if e.primitive is cond_p]


def gradient_graph(function, *avals, needed):
    def pulled(*values):
        outs, pullback = vjp_flat(function, values[:-1], needed)
        return [*outs, *(ct for ct in pullback(values[-1:]) if ct is not None)]

    return trace_to_graph(pulled, [*avals, VECTOR])[0].check()


def test_branches_share_the_memory_of_what_they_keep():
    def program(p, x):
        # Each branch keeps two vectors that are neither operands nor results.
        return [cond(p, lambda x: sin(exp(sin(x))), lambda x: cos(exp(cos(x))), x)]

    forward, backward = conds(gradient_graph(program, PREDICATE, VECTOR, needed=[False, True]))
    kept = [str(v.aval) for v in forward.outputs[1:]]
    alone = conds(
        gradient_graph(
            lambda p, x: [cond(p, lambda x: sin(exp(sin(x))), lambda x: x, x)],
            PREDICATE,
            VECTOR,
            needed=[False, True],
        )
    )[0]
    assert kept == [str(v.aval) for v in alone.outputs[1:]]
    assert len(backward.params["branches"]) == 2


def test_operands_and_results_are_not_kept_again():
    forward, backward = conds(
        gradient_graph(
            lambda p, x: [cond(p, lambda x: tanh(x), lambda x: x * x, x)],
            PREDICATE,
            VECTOR,
            needed=[False, True],
        )
    )
    assert len(forward.outputs) == 1
    assert forward.outputs[0] in backward.inputs


def test_a_branch_without_derivative_gives_zeros():
    x = Array(np.array([1.0, 2.0]))
    for index, expected in ((0, [2.0, 4.0]), (1, [0.0, 0.0])):
        branches = [lambda x: x * x, _ones]
        _, pullback = vjp_flat(lambda x, i=index, b=branches: [switch(i, b, x)], [x], [True])
        np.testing.assert_array_equal(np.asarray(pullback([Array(np.ones(2))])[0]), expected)


def _ones(x):
    return Array(np.ones(2))


def test_an_index_without_batch_stays_one_branch_under_batching():
    def program(x):
        outs, axes = batch_flat(
            lambda x: [cond(True, lambda x: sin(x), lambda x: x * 0.0, x)], BatchAxis(3), [x], [0]
        )
        assert axes == [0]
        return outs

    graph = trace_to_graph(program, [Aval((3, 2), "float32")])[0]
    assert [e.primitive.name for e in graph.equations] == ["cond"]


def test_a_batched_index_selects():
    def program(p, x):
        return batch_flat(
            lambda p, x: [cond(p, lambda x: sin(x), lambda x: x, x)], BatchAxis(3), [p, x], [0, 0]
        )[0]

    graph = trace_to_graph(program, [Aval((3,), "bool"), Aval((3, 2), "float32")])[0]
    names = [e.primitive.name for e in graph.equations]
    assert "cond" not in names
    assert "select" in names


def test_only_the_chosen_branch_runs_eagerly():
    graph = trace_to_graph(lambda x: [sin(x)], [VECTOR])[0]
    other = trace_to_graph(lambda x: [exp(x)], [VECTOR])[0]
    x = Array(np.zeros(3, "float32"))
    outs = cond_p.bind(Array(np.array(1, "int32")), x, branches=(other, graph))
    np.testing.assert_array_equal(np.asarray(outs[0]), np.zeros(3))
    assert evaluate in graph.derived
    assert evaluate not in other.derived


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (Aval((1,), "int32"), "int32 scalar as index"),
        (Aval((), "int64"), "int32 scalar as index"),
    ],
)
def test_an_index_that_is_not_an_int32_scalar(index, message):
    graph = trace_to_graph(lambda x: [sin(x)], [VECTOR])[0]
    with pytest.raises(GraphError, match=message):
        cond_p.infer([index, VECTOR], {"branches": (graph,)})


def test_branches_of_different_types():
    one = trace_to_graph(lambda x: [sin(x)], [VECTOR])[0]
    two = trace_to_graph(lambda x: [x > 0], [VECTOR])[0]
    with pytest.raises(GraphError, match="return different types"):
        cond_p.infer([Aval((), "int32"), VECTOR], {"branches": (one, two)})
