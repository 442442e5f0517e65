"""Hoisting: what is the same at every step of a loop is computed before it."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.compiler.graph_passes import optimize
from rtfunc.compiler.inline import inline_calls
from rtfunc.compiler.loop_invariants import hoist_invariants
from rtfunc.core.execution import use_backend
from rtfunc.core.graph import evaluate

X = rnp.asarray(np.random.default_rng(0).normal(size=(4, 4)))
W = rnp.asarray(np.random.default_rng(1).normal(size=(4, 4)))


def hoisted(f, *args):
    """The Graph of `f` after the pass, checked and run against the Graph before."""
    before = optimize(rf.make_graph(f)(*args))
    after = hoist_invariants(inline_calls(before))
    after.check()
    with use_backend("reference"):
        expected = evaluate(before, args)
        for found, value in zip(evaluate(after, args), expected, strict=True):
            np.testing.assert_array_equal(found, value)
    for found, value in zip(rf.tree.leaves(rf.jit(f)(*args)), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-10)  # float64 in another order
    return optimize(after)


def names(graph):
    return [e.primitive.name for e in graph.equations]


def loops(graph, *kinds):
    return [e for e in graph.equations if e.primitive.name in (kinds or ("scan", "while"))]


def body(graph):
    (loop,) = loops(graph)
    return names(loop.params["body"])


SCANS = {
    "dear functions": (lambda w, c: rnp.exp(w) * c, "exp"),
    "chains of cheap ones": (lambda w, c: (w * 2 + 1) * (w - 3) * (w + 2) * c, "sub"),
    "sums": (lambda w, c: rnp.sum(w, axis=0) + c, "reduce_sum"),
    "products": (lambda w, c: (w @ w) * c, "dot_general"),
    "calls": (lambda w, c: rnp.sort(w) + c, "sort"),
    "operands of products": (lambda w, c: c @ (w * 2), "mul"),
    "layouts that a product does not read": (
        lambda w, c: c @ rnp.swapaxes(w.reshape(2, 2, 4), 0, 1).reshape(4, 4),
        "transpose",
    ),
    "jitted functions": (lambda w, c: rf.jit(lambda w: rnp.tanh(w))(w) + c, "tanh"),
}


@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("loop", ["scan", "fori_loop"])
def test_work_on_constants_moves_out(name, loop):
    function, operation = SCANS[name]

    def f(x, w):
        if loop == "scan":
            return lax.scan(lambda c, v: (function(w, c) + v, v), x, x)[0]
        return lax.fori_loop(0, 3, lambda i, c: function(w, c), x)

    graph = hoisted(f, X, W)
    assert operation in names(graph)
    assert body(graph).count(operation) == 0


def test_cheap_work_and_views_stay():
    def f(x, w):
        return lax.scan(lambda c, v: ((w.T + 1) * c + w[0] + v, c @ w.T), x, x)

    graph = hoisted(f, X, W)
    assert names(graph) == ["scan"]


def test_what_grows_stays():
    def f(x, w):
        return lax.scan(lambda c, v: (c + rnp.sum(rnp.outer(w, w) * v), None), x[0], x[0])[0]

    graph = hoisted(f, X, W)
    largest = max(v.aval.size for e in graph.equations for v in e.outputs)
    assert largest <= W.size


def test_a_carry_that_is_handed_on_is_a_constant():
    def f(x, w):
        return lax.fori_loop(0, 5, lambda i, s: (s[0], s[1] + s[0] * i), (w, x))

    graph = hoisted(f, X, W)
    (loop,) = loops(graph)
    assert loop.params["carry"] == 2  # the number of the step, and the sum
    assert graph.outputs[0] is graph.inputs[1]


def test_a_constant_carry_of_while_is_one_for_condition_and_body():
    def f(x, w):
        return lax.while_loop(
            lambda s: s[1][0, 0] < 30 * rnp.abs(s[0][0, 0]) + s[2],
            lambda s: (s[0], s[1] + rnp.exp(s[0]), s[2]),
            (w, x, 1.0),
        )

    graph = hoisted(f, X, W)
    (loop,) = loops(graph)
    assert len(loop.outputs) == 1
    assert "exp" in names(graph)
    assert body(graph) == ["add"]


def test_while_does_not_do_ahead_what_it_may_never_do():
    def f(x, w):
        def step(c):
            inner = lax.while_loop(lambda v: v < 3, lambda v: v + 1, w[0, 0])
            return c + inner + rnp.sort(w)

        return lax.while_loop(lambda c: c[0, 0] < -100, step, x)

    assert not {"sort", "add"} & set(names(hoisted(f, X, W)))


def test_loops_in_loops():
    def f(x, w):
        def inner(j, c):
            return c + rnp.sin(w) * j

        def outer(i, c):
            return lax.fori_loop(0, 3, inner, c) * rnp.cos(w)

        return lax.fori_loop(0, 3, outer, x)

    graph = hoisted(f, X, W)
    assert {"sin", "cos"} <= set(names(graph))
    (loop,) = loops(graph)
    assert "sin" not in str(loop.params["body"])


def test_host_calls_stay():
    def f(x, w):
        def host(v):
            return np.asarray(v) + 1

        return lax.fori_loop(0, 2, lambda i, c: c + rf.pure_callback(host, w, w), x)

    assert names(hoisted(f, X, W)) == ["scan"]


def test_gradients_of_recurrent_loops():
    def f(w, x):
        def cell(h, v):
            return rnp.tanh(h @ (w * rnp.exp(w)) + v), h

        return rnp.sum(lax.scan(cell, x[0], x)[1])

    graph = hoisted(rf.grad(f), W, X)
    for loop in loops(graph):
        assert "exp" not in names(loop.params["body"])


def test_a_graph_without_loops_stays_itself():
    graph = rf.make_graph(lambda x: rnp.exp(x))(X)
    assert hoist_invariants(graph) is graph
