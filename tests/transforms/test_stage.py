"""`make_graph` and `eval_shape`."""

from __future__ import annotations

import numpy as np

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import errors
from rtfunc.core.graph import evaluate
from tests.messages import raises


def test_the_graph_of_a_function():
    graph = rf.make_graph(lambda p, x: {"y": rnp.sin(p["w"]) * x})({"w": np.ones(3)}, 2.0)
    graph.check()
    assert [str(a) for a in graph.in_avals] == ["float64[3]", "float32[]*"]
    assert [str(a) for a in graph.out_avals] == ["float64[3]"]
    out = evaluate(graph, [rnp.zeros(3, "float64"), rnp.float32(1)])
    np.testing.assert_array_equal(out[0], np.zeros(3))
    assert rf.make_jaxpr is rf.make_graph


def test_nothing_is_computed():
    seen = []
    rf.make_graph(lambda x: rf.debug_callback(lambda v: seen.append(v), x))(1.0)
    rf.eval_shape(lambda x: rf.debug_callback(lambda v: seen.append(v), x), 1.0)
    huge = rf.ShapeDtypeStruct((10**6, 10**6), "float32")
    assert rf.eval_shape(lambda x: x @ x.T, huge).shape == (10**6, 10**6)
    assert rf.eval_shape(lambda: rnp.zeros((10**7, 10**7)) + 1).size == 10**14
    assert not seen


def test_captured_arrays_are_constants():
    table = rnp.arange(3.0)
    graph = rf.make_graph(lambda x: x + table)(1.0)
    (value,) = graph.constants.values()
    assert value is table
    assert len(graph.inputs) == 1
    scalar = rf.make_graph(lambda x: x + rnp.float32(2.5))(1.0)
    assert not scalar.constants
    assert "2.5" in str(scalar)


def test_optimize():
    def f(x):
        unused = rnp.exp(x)
        return (rnp.sin(x) + rnp.sin(x)) * (2.0 * 3.0), rnp.full((), 2.0) * 4, unused is None

    plain = rf.make_graph(lambda x: f(x)[:2])(1.0)
    names = [e.primitive.name for e in plain.equations]
    assert names.count("sin") == 2
    assert "exp" not in names
    optimized = rf.make_graph(lambda x: f(x)[:2], optimize=True)(1.0).check()
    names = [e.primitive.name for e in optimized.equations]
    assert names.count("sin") == 1
    assert float(optimized.outputs[1].value) == 8.0


def test_static_arguments_and_keywords():
    def f(x, n, *, k):
        return x * n + k["b"]

    graph = rf.make_graph(f, static_argnums=1)(1.0, 3, k={"b": 2.0})
    assert len(graph.inputs) == 2
    assert "3.0" in str(graph)
    assert len(rf.make_graph(f, static_argnums=(-1,))(1.0, 3, k={"b": 2.0}).inputs) == 2
    with raises(errors.DtypeError, "make_graph: argument 1 is of type str", "ShapeDtypeStruct"):
        rf.make_graph(lambda x, mode: x)(1.0, "a")
    with raises(errors.ArgumentError, "make_graph: argument number 5"):
        rf.make_graph(f, static_argnums=5)


def test_eval_shape():
    spec = rf.ShapeDtypeStruct((2, 3), "bfloat16")
    out = rf.eval_shape(lambda x, *, y: {"a": x @ y, "b": [x.sum()]}, spec, y=np.ones((3, 4), "f"))
    assert (out["a"].shape, out["a"].dtype) == ((2, 4), np.float32)
    assert out["b"][0] == rf.ShapeDtypeStruct((), "bfloat16")
    assert rf.eval_shape(lambda x: x * 2, 1).weak_type

    class Spec:  # anything with a shape and a dtype
        shape, dtype = (2,), np.dtype("int8")

    assert rf.eval_shape(lambda x: x, Spec()).dtype == np.int8
    with raises(errors.ShapeError, "matmul"):
        rf.eval_shape(lambda x: x @ x, spec)


def test_derivatives_of_transforms_stage():
    graph = rf.make_graph(
        rf.grad(lambda x: lax.scan(lambda c, _: (c * x, None), 1.0, length=3)[0])
    )(2.0)
    assert [e.primitive.name for e in graph.check().equations].count("scan") == 2


def test_names_of_what_is_made():
    assert rf.make_graph(rnp.sin).__name__ == "make_graph(sin)"
