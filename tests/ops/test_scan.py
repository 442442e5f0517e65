"""scan: what its derivatives keep, and what its rules refuse. Values are in tests/lax."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import GraphError
from rtfunc.core.graph import Graph, evaluate
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.lax import scan
from rtfunc.ops.exponential import exp
from rtfunc.ops.scan import scan_p
from rtfunc.ops.trigonometry import cos, sin, tanh
from rtfunc.transforms.custom import stop_gradient

LENGTH = 5
VECTOR = Aval((3,), "float32")
XS = Aval((LENGTH, 3), "float32")


def gradient_graph(function, *avals):
    """The Graph of (operands, cotangents) -> cotangents of the operands."""
    graph, captured = trace_to_graph(function, avals)
    assert not captured
    n = len(avals)

    def pulled(*values):
        outs, pullback = vjp_flat(lambda *xs: evaluate(graph, xs), values[:n], [True] * n)
        return [*outs, *(ct for ct in pullback(values[n:]) if ct is not None)]

    whole, _ = trace_to_graph(pulled, [*avals, *graph.out_avals])
    return whole.check()


def scans(graph):
    return [e for e in graph.equations if e.primitive is scan_p]


def result_types(equation):
    return [str(v.aval) for v in equation.outputs]


def test_what_ys_hold_is_not_stacked_again():
    def recurrent(w, h, xs):
        def step(h, x):
            h = tanh(w * h + x)  # the derivative needs w, h and the result
            return h, h

        return list(scan(step, h, xs))

    graph = gradient_graph(recurrent, VECTOR, VECTOR, XS)
    forward, backward = scans(graph)
    assert result_types(forward) == ["float32[3]", "float32[5,3]"]
    # The carries that steps took are ys moved by one step, put together outside the loop.
    (moved,) = [e for e in graph.equations if e.primitive.name == "concatenate"]
    assert forward.outputs[1] in backward.inputs
    assert moved.outputs[0] in backward.inputs


def test_xs_are_not_stacked_again():
    graph = gradient_graph(lambda h, xs: list(scan(lambda h, x: (h * x, h), h, xs)), VECTOR, XS)
    forward, backward = scans(graph)
    assert result_types(forward) == ["float32[3]", "float32[5,3]"]
    assert graph.inputs[1] in backward.inputs
    assert forward.outputs[1] in backward.inputs


def test_values_that_depend_on_constants_alone_are_computed_once():
    def program(w, h, xs):
        def step(h, x):
            return h * sin(exp(w)) + x, None

        return [scan(step, h, xs)[0]]

    graph = gradient_graph(program, VECTOR, VECTOR, XS)
    forward, backward = scans(graph)
    # h is kept for the derivative by w; exp(w) and sin(exp(w)) are not stacked.
    assert result_types(forward) == ["float32[3]", "float32[5,3]"]
    inside = [e.primitive.name for e in forward.params["body"].equations]
    assert inside == ["mul", "add"]
    outside = [e.primitive.name for e in graph.equations]
    assert outside.index("exp") < outside.index("sin") < outside.index("scan")
    assert "exp" not in [e.primitive.name for e in backward.params["body"].equations]


def test_a_carry_that_no_step_changes_is_a_constant():
    def program(w, h, xs):
        def step(carry, x):
            w, h = carry
            return (w, sin(h * w)), None

        return list(scan(step, (w, h), xs)[0])

    forward, _ = scans(gradient_graph(program, VECTOR, VECTOR, XS))
    # Two carries, then h and h * w; no stack of w.
    assert len(forward.outputs) == 4


def test_a_returned_carry_is_handed_on_backward():
    def program(w, h):
        # The derivative needs both the carry that a step takes and the one that it returns.
        return [scan(lambda h, _: (exp(h * h * w), None), h, None, length=LENGTH)[0]]

    forward, backward = scans(gradient_graph(program, VECTOR, VECTOR))
    assert forward.outputs[0] in backward.inputs
    taken = [v for v in forward.outputs[1:] if str(v.aval) == "float32[5,3]"]
    assert len(taken) == 2  # h and h * h, not the result of exp


def test_cotangents_of_what_is_not_differentiated_are_not_carried():
    def program(h, xs):
        def step(carry, x):
            h, n, mean = carry
            return (sin(h * x), n + 1, mean + stop_gradient(h)), None

        return list(scan(step, (h, 0, stop_gradient(h)), xs)[0])

    _, backward = scans(gradient_graph(program, VECTOR, XS))
    # The cotangent of h; none of the counter and of the mean.
    assert backward.params["carry"] == 1


def test_the_size_of_a_gradient_does_not_depend_on_the_length():
    def program(w, h, xs):
        return list(scan(lambda h, x: (tanh(w * h + cos(x)), h), h, xs))

    sizes = [
        len(gradient_graph(program, VECTOR, VECTOR, Aval((n, 3), "float32")).equations)
        for n in (2, 50)
    ]
    assert sizes[0] == sizes[1]


def test_derived_graphs_are_made_once():
    body = trace_to_graph(lambda h, x: [sin(h * x)], [VECTOR, VECTOR])[0]
    params = {
        "body": body,
        "constants": 0,
        "carry": 1,
        "length": LENGTH,
        "reverse": False,
        "unroll": 1,
    }

    def graph():
        return trace_to_graph(
            lambda h, xs: vjp_flat(lambda *a: scan_p.bind(*a, **params), [h, xs], [True, True])[1](
                [h]
            ),
            [VECTOR, XS],
        )[0]

    first, second = (
        [e.params["body"] for e in g.equations if e.primitive is scan_p] for g in (graph(), graph())
    )
    assert [id(g) for g in first] == [id(g) for g in second]


def test_an_integer_carry_has_no_cotangent():
    x = Array(np.ones(3))

    def program(x):
        (x, n), _ = scan(lambda c, _: ((c[0] * 2.0, c[1] + 1), None), (x, 0), length=3)
        return [x, n]

    outs, pullback = vjp_flat(program, [x], [True])
    assert int(outs[1]) == 3
    np.testing.assert_array_equal(np.asarray(pullback([x, None])[0]), np.full(3, 8.0))


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        ([Aval((2,), "float32"), XS], "operands of types"),
        ([VECTOR, Aval((4, 3), "float32")], "scan of length 5"),
    ],
)
def test_operands_that_do_not_fit(operands, message):
    body = Graph(*_body())
    params = {"constants": 0, "carry": 1, "length": LENGTH, "reverse": False, "unroll": 1}
    with pytest.raises(GraphError, match=message):
        scan_p.infer(operands, {"body": body, **params})


def _body():
    graph = trace_to_graph(lambda h, x: [h + x], [VECTOR, VECTOR])[0]
    return graph.inputs, graph.equations, graph.outputs
