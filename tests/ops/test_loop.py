"""while: its refusal of reverse mode, and members of a batch that stop at different steps."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.batching import batch_flat
from rtfunc.core.errors import GraphError, UnsupportedError
from rtfunc.core.primitive import BatchAxis
from rtfunc.core.staging import trace_to_graph
from rtfunc.lax import fori_loop, while_loop
from rtfunc.ops.loop import while_p
from rtfunc.ops.reduce import reduce_sum
from rtfunc.ops.trigonometry import sin
from rtfunc.transforms.custom import stop_gradient
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad


def doubled(x):
    return while_loop(lambda v: v < 10.0, lambda v: v * 2.0, x)


@pytest.mark.parametrize("function", [doubled, jit(doubled)], ids=["eager", "jit"])
def test_reverse_mode_is_refused_with_advice(function):
    with pytest.raises(
        UnsupportedError, match=r"Use scan, or fori_loop with Python integers"
    ) as error:
        grad(function)(1.5)
    assert "test_loop.py" in str(error.value)
    assert "in doubled" in str(error.value)


def test_reverse_mode_is_refused_for_bounds_that_are_traced():
    @jit
    def program(x, n):
        return fori_loop(0, n, lambda i, v: sin(v), x)

    with pytest.raises(UnsupportedError, match="bounds that are not known before it runs"):
        grad(program)(1.5, 3)


def test_results_that_are_not_differentiated_do_not_stop_reverse_mode():
    def program(x):
        steps = while_loop(lambda s: s[1] < 10.0, lambda s: (s[0] + 1, s[1] * 2.0), (0, x))[0]
        bounded = while_loop(lambda v: v < 10.0, lambda v: v * 2.0, stop_gradient(x))
        return x * steps * bounded

    assert float(grad(program)(1.5)) == 3 * 12.0
    assert float(grad(jit(program))(1.5)) == 3 * 12.0


def test_a_threshold_has_zero_derivative():
    def program(end, x):
        # Only the condition depends on end.
        return while_loop(lambda v: v < end, lambda v: v + 1.0, stop_gradient(x)) * x

    assert [float(g) for g in grad(program, (0, 1))(2.5, 1.0)] == [0.0, 3.0]


def test_finished_members_keep_their_values():
    def program(x):
        return list(while_loop(lambda s: s[1] < 20.0, lambda s: (s[0] + 1, s[1] * 2.0), (0, x)))

    x = Array(np.array([1.0, 5.0, 30.0, np.nan]))
    (steps, values), axes = batch_flat(program, BatchAxis(4), [x], [0])
    assert axes == [0, 0]
    assert np.asarray(steps).tolist() == [5, 2, 0, 0]
    np.testing.assert_array_equal(np.asarray(values), [32.0, 20.0, 30.0, np.nan])


def test_an_empty_batch_runs_no_step():
    x = Array(np.zeros((0, 2)))
    (out,), _ = batch_flat(
        lambda x: [while_loop(lambda v: reduce_sum(v) < 3.0, lambda v: v + 1.0, x)],
        BatchAxis(0),
        [x],
        [0],
    )
    assert out.shape == (0, 2)


def test_a_condition_without_batch_stays_one_condition():
    def program(n, x):
        return batch_flat(
            lambda x: [fori_loop(0, n, lambda i, v: sin(v), x)], BatchAxis(3), [x], [0]
        )[0]

    graph = trace_to_graph(program, [Aval((), "int32"), Aval((3, 2), "float32")])[0]
    (equation,) = [e for e in graph.equations if e.primitive is while_p]
    assert [e.primitive.name for e in equation.params["condition"].equations] == ["lt"]
    assert [str(v.aval) for v in equation.outputs] == ["int32[]", "float32[3,2]"]


def test_operands_that_do_not_fit():
    scalar = Aval((), "float32")
    test = trace_to_graph(lambda x: [x < 1.0], [scalar])[0]
    body = trace_to_graph(lambda x: [x * 2.0], [scalar])[0]
    params = {"condition_constants": 0, "body_constants": 0}
    with pytest.raises(GraphError, match="while \\(condition\\): operands of types int32"):
        while_p.infer([Aval((), "int32")], {"condition": test, "body": body, **params})
    with pytest.raises(GraphError, match="one boolean scalar"):
        while_p.infer([scalar], {"condition": body, "body": body, **params})
    with pytest.raises(GraphError, match="types of the carry"):
        while_p.infer([scalar], {"condition": test, "body": test, **params})
