"""Staging: what becomes an equation, a literal, a captured input."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError
from rtfunc.core.graph import Graph, Literal, evaluate
from rtfunc.core.staging import live_part, trace_to_graph
from rtfunc.core.trace import context

VECTOR = Aval((3,), "float32")


def test_constants_are_staged_not_built():
    graph, captured = trace_to_graph(lambda x: [x + rnp.zeros((3,))], [VECTOR])
    assert captured == []
    assert [e.primitive.name for e in graph.equations][-1] == "add"


def test_scalars_are_literals_and_arrays_are_captured_once():
    table = rnp.arange(3.0)
    graph, captured = trace_to_graph(lambda x: [x * table + table * rnp.float32(2)], [VECTOR])
    assert len(captured) == 1
    assert captured[0] is table
    assert len(graph.inputs) == 2
    assert any(isinstance(a, Literal) for e in graph.equations for a in e.inputs)


def test_what_is_not_used_is_neither_staged_nor_captured():
    table = rnp.arange(3.0)

    def f(x):
        rnp.exp(x * table)
        return [x + 1]

    graph, captured = trace_to_graph(f, [VECTOR, VECTOR][:1])
    assert captured == []
    assert [e.primitive.name for e in graph.equations] == ["add"]


def test_effects_stay():
    graph, _ = trace_to_graph(lambda x: (rf.debug_callback(print, x), [x])[1], [VECTOR])
    assert len(graph.equations) == 1
    assert live_part(graph) is graph


def test_effects_inside_calls_stay():
    shown = rf.jit(lambda x: (rf.debug_callback(print, x), x)[1])
    graph, _ = trace_to_graph(lambda x: (shown(x), [x])[1], [VECTOR])
    assert [e.primitive.name for e in graph.equations] == ["jit_call"]


def test_live_part_keeps_order_and_constants():
    graph = rf.make_graph(lambda x: (rnp.sin(x), rnp.cos(x)))(1.0)
    half = live_part(Graph(graph.inputs, graph.equations, graph.outputs[1:]))
    assert [e.primitive.name for e in half.equations] == ["cos"]


def test_outer_tracers_are_captured():
    def f(x):
        graph, captured = trace_to_graph(lambda y: [x * y], [Aval((), "float32")])
        assert len(captured) == 1
        assert captured[0] is x
        return evaluate(graph, [captured[0], rnp.float32(3)])[0]

    assert float(rf.grad(f)(2.0)) == 3.0
    np.testing.assert_array_equal(rf.vmap(f)(np.ones(2, "float32")), [3.0, 3.0])


def test_an_output_that_is_not_an_array():
    with pytest.raises(DtypeError, match="returned str, not an Array"):
        trace_to_graph(lambda x: ["text"], [VECTOR])
    assert context.trace is None


def test_numpy_arrays_are_copied_while_tracing():
    table = np.ones(3, "float32")
    graph, captured = trace_to_graph(lambda x: [x + table], [VECTOR])
    table[:] = 5
    np.testing.assert_array_equal(captured[0], [1.0, 1.0, 1.0])
