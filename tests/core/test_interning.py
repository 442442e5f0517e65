"""Interning: what makes two Graphs equal."""

from __future__ import annotations

import numpy as np

import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.interning import interned
from rtfunc.core.staging import trace_to_graph
from rtfunc.lax import scan
from rtfunc.ops.reduce import reduce_sum
from rtfunc.ops.trigonometry import sin
from rtfunc.transforms.custom import custom_jvp

VECTOR = Aval((3,), "float32")


def graph_of(function, *avals):
    return trace_to_graph(function, avals or [VECTOR])[0]


def affine(factor):
    return lambda x: [sin(x * factor)]


def test_equal_graphs_become_one():
    first, second = graph_of(affine(2.0)), graph_of(affine(2.0))
    assert first is not second
    assert interned(first) is first
    assert interned(second) is first


def test_other_values_types_and_params_make_other_graphs():
    graphs = [
        graph_of(affine(2.0)),
        graph_of(affine(3.0)),
        graph_of(affine(0.0)),
        graph_of(affine(-0.0)),
        graph_of(affine(2.0), Aval((4,), "float32")),
        graph_of(affine(2.0), Aval((3,), "float64")),
        graph_of(affine(2.0), Aval((3,), "float32", True)),
        graph_of(lambda x: [reduce_sum(x, 0)]),
        graph_of(lambda x: [reduce_sum(x, ())]),
    ]
    assert len({id(interned(g)) for g in graphs}) == len(graphs)


def test_source_lines_stay_right():
    one = graph_of(lambda x: [sin(x)])
    two = graph_of(lambda x: [sin(x)])
    assert interned(one) is not interned(two)


def test_loops_in_loops_are_found_again():
    xs = Array(np.ones((2, 3), "float32"))

    def nested(x):
        def step(h, x):
            return scan(lambda k, _: (k * x, None), h, length=2)[0], None

        return [scan(step, x, xs)[0]]

    first, second = (graph_of(nested) for _ in range(2))
    bodies = [g.equations[-1].params["body"] for g in (first, second)]
    assert bodies[0] is bodies[1]


def test_functions_with_rules_of_their_own_are_not_kept():
    def made():
        f = custom_jvp(lambda x: sin(x))
        f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
        return graph_of(lambda x: [f(x)])

    one, two = made(), made()
    assert interned(one) is one
    assert interned(two) is two
