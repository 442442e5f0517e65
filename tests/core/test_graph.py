"""Graphs: evaluation, checking, printing."""

from __future__ import annotations

import gc
import re
import weakref

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core.aval import Aval
from rtfunc.core.errors import GraphError, ShapeError
from rtfunc.core.graph import Equation, Graph, Literal, Variable, evaluate, sub_graphs
from rtfunc.core.primitive import primitives
from rtfunc.core.trace import context

F32 = Aval((), "float32")


def equation(name, inputs, outputs, **params):
    return Equation(primitives[name], tuple(inputs), params, tuple(outputs))


# check


def test_a_good_graph_is_returned():
    a, b = Variable(F32), Variable(F32)
    graph = Graph((a,), (equation("sin", [a], [b]),), (b,))
    assert graph.check() is graph


def test_use_before_definition():
    a, b, c = (Variable(F32) for _ in range(3))
    with pytest.raises(GraphError, match=r"float32\[\] is used before .* equation 0 \(sin\)"):
        Graph((a,), (equation("sin", [b], [c]), equation("cos", [a], [b])), (c,)).check()
    with pytest.raises(GraphError, match="used before it is defined, in the outputs"):
        Graph((a,), (), (b,)).check()


def test_defined_twice():
    a, b = Variable(F32), Variable(F32)
    with pytest.raises(GraphError, match="defined twice, in the inputs"):
        Graph((a, a), (), (a,)).check()
    with pytest.raises(GraphError, match=r"defined twice, in equation 1 \(cos\)"):
        Graph((a,), (equation("sin", [a], [b]), equation("cos", [a], [b])), (b,)).check()
    with pytest.raises(GraphError, match="defined twice, in the constants"):
        Graph((a,), (), (a,), {a: rnp.float32(1)}).check()


def test_types_that_do_not_fit():
    a, b = Variable(F32), Variable(Aval((2,), "float32"))
    with pytest.raises(GraphError, match=r"equation 0 \(sin\).*float32\[2\].*float32\[\]"):
        Graph((a,), (equation("sin", [a], [b]),), (b,)).check()
    with pytest.raises(GraphError, match=r"constant has type int32\[3\], its variable float32"):
        Graph((), (), (a,), {a: rnp.arange(3)}).check()
    c = Variable(Aval((3,), "float32"))
    with pytest.raises(ShapeError, match="add"):
        Graph((b, c), (equation("add", [b, c], [a]),), (a,)).check()


def test_sub_graphs_are_checked():
    good = rf.make_graph(lambda x: rf.jit(rnp.sin)(x))(1.0)
    (call,) = good.equations
    inner = call.params["graph"]
    with_constants = Graph(
        inner.inputs, inner.equations, inner.outputs, {Variable(F32): rnp.float32(1)}
    )
    broken = Graph(inner.inputs, inner.equations, (Variable(inner.out_avals[0]),))
    for bad, message in (
        (with_constants, "sub-graph of equation 0 .* has constants"),
        (broken, "used before"),
    ):
        changed = call.replace(params={**call.params, "graph": bad})
        with pytest.raises(GraphError, match=message):
            Graph(good.inputs, (changed,), good.outputs).check()


# evaluation


def test_evaluate_restores_the_context():
    graph = rf.make_graph(lambda x: rnp.sin(x) + 1)(1.0)

    def f(x):
        with rf.named_scope("outer"):
            y = evaluate(graph, [x])[0]
            assert context.scopes == ("outer",)
        assert context.source is None
        return y

    assert float(rf.jit(f)(0.0)) == 1.0
    with pytest.raises(ValueError):
        evaluate(graph, [])


def test_values_are_dropped_after_their_last_use():
    alive = []
    graph = rf.make_graph(lambda x: rnp.sin(rnp.cos(rnp.exp(x))))(np.ones(3))
    x = rf.Array(np.ones(3))
    alive.append(weakref.ref(x))
    args = [x]
    del x
    out = evaluate(graph, [args.pop()])
    gc.collect()
    assert alive[0]() is None
    np.testing.assert_allclose(out[0], np.sin(np.cos(np.exp(np.ones(3)))))


def test_outputs_that_are_inputs_constants_and_literals():
    table = rnp.arange(2)
    graph = rf.make_graph(lambda x: (x, table, 2.5, x))(1.0)
    assert not graph.equations
    out = evaluate(graph, [rnp.float32(7)])
    assert [np.asarray(o).tolist() for o in out] == [7.0, [0, 1], 2.5, 7.0]


def test_graphs_with_effects_and_axes():
    @rf.custom_jvp
    def f(x):
        return lax.psum(x, "i")

    f.defjvps(lambda t, y, x: t)
    graphs = []
    rf.vmap(
        lambda x: (graphs.append(rf.make_graph(lambda x: rf.jit(f)(x))(x)), x)[1], axis_name="i"
    )(np.ones(2))
    assert graphs[0].axis_names == {"i"}
    (call,) = graphs[0].equations
    assert len(list(sub_graphs(call))) == 1


# printing


def layered(x, t):
    with rf.named_scope("layer"):
        with rf.named_scope("inner"):
            y = rnp.sin(x) * 2.0
        return y + t


def test_printed_equations():
    text = str(rf.make_graph(layered)(np.ones(3, "float32"), 1.0))
    lines = text.splitlines()
    first = layered.__code__.co_firstlineno
    assert lines[0] == "graph(a: float32[3], b: float32[]*) {"
    assert re.fullmatch(
        rf"  c: float32\[3\] = sin\(a\) +# layer/inner test_graph.py:{first + 3}", lines[1]
    )
    assert "mul(c, 2.0:float32)" in lines[2]
    assert re.search(rf"add\(d, b\) +# layer test_graph.py:{first + 4}", lines[3])
    assert lines[-2:] == ["  return e", "}"]
    assert repr(rf.make_graph(layered)(1.0, 1.0)).startswith("graph(a: float32[]*")


def test_derivatives_point_to_the_line_that_was_differentiated():
    graph = rf.make_graph(rf.grad(layered))(1.0, 1.0)
    first = layered.__code__.co_firstlineno
    lines = {e.source.line for e in graph.equations}
    assert lines <= {first + 3, first + 4}
    backward = [e for e in graph.equations if e.primitive.name in ("cos", "mul")]
    assert all(e.scopes == ("layer", "inner") for e in backward), graph


def test_nested_graphs_are_indented():
    text = str(
        rf.make_graph(lambda x: lax.scan(lambda c, y: (rf.jit(rnp.sin)(c) * y, c), 1.0, x))(
            np.ones(3)
        )
    )
    assert re.search(r"^    body: graph\(", text, re.MULTILINE)
    assert re.search(r"^        graph: graph\(", text, re.MULTILINE)
    text = str(rf.make_graph(lambda x: lax.cond(x > 0, rnp.sin, rnp.cos, x))(1.0))
    assert "branches[0]: graph(" in text
    assert "branches[1]: graph(" in text


def test_names_run_beyond_the_alphabet():
    def f(x):
        for _ in range(30):
            x = rnp.sin(x)
        return x

    text = str(rf.make_graph(f)(1.0))
    assert "z: float32[]* = sin(y)" in text
    assert "aa: float32[]* = sin(z)" in text
    assert "  return ae" in text


def test_long_params_are_cut():
    graph = rf.make_graph(
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1,) * 30, (1,) * 30, "VALID")
    )(np.ones((1,) * 30))
    assert "..." in str(graph)


def test_literals_print_their_dtype():
    assert str(Literal(np.float32(2.5).reshape(()))) == "2.5:float32[]"
    assert "2:int32" in str(rf.make_graph(lambda x: x * 2)(1))
