"""jit_call and checkpoint_call: what their derivatives keep and compute again."""

from __future__ import annotations

import numpy as np

import rtfunc.numpy  # noqa: F401
from rtfunc.core import staging
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.graph import evaluate
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.call import checkpoint_call, checkpoint_call_p, jit_call, jit_call_p
from rtfunc.ops.exponential import exp
from rtfunc.ops.trigonometry import sin
from rtfunc.transforms.custom import custom_vjp

VECTOR = Aval((3,), "float32")


def chain():
    return trace_to_graph(lambda x, y: [exp(sin(x)) * y], [VECTOR, VECTOR])[0]


def gradient_graph(call):
    def pulled(x, y, ct):
        outs, pullback = vjp_flat(call, [x, y], [True, False])
        return [*outs, pullback([ct])[0]]

    return trace_to_graph(pulled, [VECTOR] * 3)[0].check()


def names(graph):
    return [e.primitive.name for e in graph.equations]


def keeps_sines(equation):
    return equation.primitive.name == "sin"


def test_a_jitted_call_keeps_what_its_pullback_reads():
    inner = chain()
    graph = gradient_graph(lambda x, y: jit_call(inner, [x, y], name="chain"))
    forward, backward = (e for e in graph.equations if e.primitive is jit_call_p)
    assert len(forward.outputs) == 2  # the result and exp(sin(x))
    assert names(forward.params["graph"]) == ["sin", "exp", "mul"]
    assert "exp" not in names(backward.params["graph"])
    assert backward.params["name"] == "chain"


def test_halves_are_made_once():
    inner = chain()
    first, second = (
        [
            id(e.params["graph"])
            for e in gradient_graph(lambda x, y: jit_call(inner, [x, y], name="f")).equations
            if e.primitive is jit_call_p
        ]
        for _ in range(2)
    )
    assert first == second


def test_a_checkpoint_keeps_operands_only():
    inner = chain()
    graph = gradient_graph(lambda x, y: checkpoint_call(inner, [x, y]))
    forward, backward = (e for e in graph.equations if e.primitive is checkpoint_call_p)
    assert len(forward.outputs) == 1
    assert names(backward.params["graph"])[:2] == ["sin", "exp"]
    assert backward.params["prevent_cse"] is True
    assert set(backward.inputs) == set(graph.inputs)


def test_a_policy_keeps_more():
    inner = chain()
    graph = gradient_graph(
        lambda x, y: checkpoint_call(inner, [x, y], policy=keeps_sines, prevent_cse=False)
    )
    forward, backward = (e for e in graph.equations if e.primitive is checkpoint_call_p)
    assert len(forward.outputs) == 2
    assert "sin" not in names(backward.params["graph"])
    assert "exp" in names(backward.params["graph"])
    assert backward.params["prevent_cse"] is False


def test_the_eager_tape_of_a_checkpoint_holds_one_step():
    inner = chain()
    x, y = Array(np.ones(3, "float32")), Array(np.full(3, 2.0, "float32"))
    _, pullback = vjp_flat(lambda *xs: checkpoint_call(inner, xs), [x, y], [True, True])
    found = pullback([Array(np.ones(3, "float32"))])
    expected = np.exp(np.sin(1.0)) * np.array([2 * np.cos(1.0), 1.0])
    # float32 rounding of three operations
    np.testing.assert_allclose([np.asarray(f)[0] for f in found], expected, rtol=1e-6)


def test_constants_become_operands():
    large = Array(np.arange(3.0, dtype="float32"))
    inner, captured = trace_to_graph(lambda x: [x * large], [VECTOR])
    assert captured[0] is large
    x = Array(np.ones(3, "float32"))
    np.testing.assert_array_equal(
        np.asarray(evaluate(inner, [large, x])[0]),
        np.asarray(jit_call(inner, [large, x], name="f")[0]),
    )


def test_effects_of_a_backward_rule_stay_backward(monkeypatch):
    monkeypatch.setattr(staging, "effectful", {"exp"})
    rule = custom_vjp(lambda x: sin(x))
    rule.defvjp(lambda x: (sin(x), None), lambda _, ct: (exp(ct),))
    inner = trace_to_graph(lambda x: [rule(x)], [VECTOR])[0]
    graph = gradient_graph(lambda x, y: jit_call(inner, [x], name="f"))
    forward, backward = (e for e in graph.equations if e.primitive is jit_call_p)
    assert names(forward.params["graph"]) == ["sin"]
    assert names(backward.params["graph"]) == ["exp"]
