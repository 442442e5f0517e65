"""drop_unused: what goes, what stays, and that values do not change."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.lax
from rtfunc.core import staging
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.execution import use_backend
from rtfunc.core.graph import evaluate
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.lax import cond, scan, while_loop
from rtfunc.ops.branch import cond_p
from rtfunc.ops.control_dce import drop_unused
from rtfunc.ops.exponential import exp
from rtfunc.ops.loop import while_p
from rtfunc.ops.scan import scan_p
from rtfunc.ops.trigonometry import cos, sin
from rtfunc.transforms.jit import jit
from tests.lax.programs import PROGRAMS

VECTOR = Aval((3,), "float32")
XS = Aval((5, 3), "float32")


@pytest.fixture(autouse=True)
def loops_in_python():
    with use_backend("reference"):
        yield


def graph_of(function, *avals):
    return trace_to_graph(function, avals)[0]


def only(graph, primitive):
    (equation,) = [e for e in graph.equations if e.primitive is primitive]
    return equation


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_stay(name):
    program = PROGRAMS[name]
    args = [Array(a) for a in program.args]
    n_outs = len(program.run(rtfunc.lax, *args))
    for i in range(n_outs):
        graph, captured = trace_to_graph(
            lambda *xs, i=i: [program.run(rtfunc.lax, *xs)[i]], [a.aval for a in args]
        )
        trimmed = drop_unused(graph).check()
        found, expected = (evaluate(g, [*captured, *args])[0] for g in (trimmed, graph))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("name", [n for n, p in PROGRAMS.items() if p.reverse])
def test_gradients_stay(name):
    program = PROGRAMS[name]
    args = [Array(a) for a in program.args]

    def gradient(*xs):
        outs, pullback = vjp_flat(lambda *xs: program.run(rtfunc.lax, *xs), xs, [True] * len(args))
        return [
            ct
            for ct in pullback([outs[0] * 0.0 + 1.0] + [None] * (len(outs) - 1))
            if ct is not None
        ]

    graph, captured = trace_to_graph(gradient, [a.aval for a in args])
    trimmed = drop_unused(graph).check()
    for found, expected in zip(
        evaluate(trimmed, [*captured, *args]), evaluate(graph, [*captured, *args])
    ):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_unused_ys_carries_and_operands_of_scan_go():
    def program(w, h, xs):
        def step(carry, x):
            h, other = carry
            return (sin(h * x), exp(other + h)), (h, cos(other * w))

        (h, _), (ys, _) = scan(step, (h, h), xs)
        return [h, ys]

    equation = only(drop_unused(graph_of(program, VECTOR, VECTOR, XS)), scan_p)
    assert len(equation.outputs) == 2
    assert (equation.params["constants"], equation.params["carry"]) == (0, 1)
    assert [e.primitive.name for e in equation.params["body"].equations] == ["mul", "sin"]


def test_carries_that_others_need_stay():
    def program(a, b, c):
        def step(carry, _):
            a, b, c = carry
            return (b, c, sin(a)), None

        return [scan(step, (a, b, c), length=3)[0][0]]

    equation = only(drop_unused(graph_of(program, VECTOR, VECTOR, VECTOR)), scan_p)
    assert equation.params["carry"] == 3


def test_inner_loops_are_trimmed():
    def program(h, xs):
        def step(h, x):
            k, ys = scan(lambda k, _: (sin(k * x), exp(k)), h, length=2)
            return k, (ys, k)

        return [scan(step, h, xs)[0]]

    outer = only(drop_unused(graph_of(program, VECTOR, XS)), scan_p)
    inner = only(outer.params["body"], scan_p)
    assert (len(outer.outputs), len(inner.outputs)) == (1, 1)
    assert [e.primitive.name for e in inner.params["body"].equations] == ["mul", "sin"]


def test_unused_results_of_cond_go():
    def program(p, x, y):
        return [cond(p, lambda: (sin(x), exp(y)), lambda: (cos(x), y))[0]]

    equation = only(drop_unused(graph_of(program, Aval((), "bool"), VECTOR, VECTOR)), cond_p)
    assert len(equation.inputs) == 2
    assert len(equation.outputs) == 1


def test_unused_carries_of_while_go():
    def program(x, w):
        def step(carry):
            n, x, y = carry
            return n + 1, sin(x), y * w

        return [while_loop(lambda c: c[0] < 3, step, (0, x, x))[1]]

    equation = only(drop_unused(graph_of(program, VECTOR, VECTOR)), while_p)
    assert [str(v.aval) for v in equation.outputs] == ["int32[]*", "float32[3]"]
    assert equation.params["body_constants"] == 0


def test_calls_are_trimmed():
    @jit
    def f(x, y):
        return sin(x), exp(y)

    (equation,) = drop_unused(graph_of(lambda x, y: [f(x, y)[0]], VECTOR, VECTOR)).equations
    assert len(equation.inputs) == 1
    assert len(equation.outputs) == 1


def test_effects_stay(monkeypatch):
    monkeypatch.setattr(staging, "effectful", {"exp"})

    def program(h, xs):
        return [scan(lambda h, x: (sin(h), exp(x)), h, xs)[0]]

    equation = only(drop_unused(graph_of(program, VECTOR, XS)), scan_p)
    assert [e.primitive.name for e in equation.params["body"].equations] == ["sin", "exp"]
    assert len(equation.outputs) == 1


def test_it_is_done_once():
    graph = graph_of(lambda x: [sin(x)], VECTOR)
    assert drop_unused(graph) is drop_unused(graph)
    assert drop_unused(drop_unused(graph)) is drop_unused(graph)
