"""Traces and tracers: nesting, what a tracer shows, the state of a thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.forward import jvp_flat
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import GraphTrace
from rtfunc.core.trace import Tracer, context, named_axis, own_trace, use_trace


def test_what_a_tracer_shows():
    def f(x):
        assert isinstance(x, rf.Array)
        assert isinstance(x, Tracer)
        assert (x.shape, x.dtype, x.ndim, x.size, x.nbytes) == ((2, 3), np.float32, 2, 6, 24)
        assert not x.weak_type
        assert len(x) == 2
        assert x.T.shape == (3, 2)
        assert len(list(x)) == 2
        return x.sum()

    x = np.ones((2, 3), "float32")
    for g in (
        rf.jit(f),
        rf.grad(f),
        lambda x: rf.jvp(f, (x,), (x,)),
        lambda x: rf.vmap(f)(x[None]),
    ):
        g(x)


def test_representations():
    shown = []
    f = lambda x: (shown.append(repr(x)), x)[1]  # noqa: E731
    rf.jit(f)(1.0), rf.grad(f)(2.0), rf.jvp(f, (3.0,), (1.0,)), rf.vmap(f)(np.ones(2))
    assert shown[0] == "GraphTracer(float32[]*)"
    assert shown[1].startswith("ReverseTracer(Array(2., ")
    assert shown[2].startswith("ForwardTracer(Array(3., ")
    assert shown[3] == "BatchTracer(float64[])"


def test_values_are_at_hand_in_eager_derivatives():
    def f(x):
        assert bool(x > 1)
        assert int(x) == 2
        assert float(x) == 2.0
        assert f"{x:.1f}" == "2.0"
        assert x.item() == 2.0
        assert x.tolist() == 2.0
        assert "2." in str(x)
        return x

    rf.grad(f)(2.0)
    rf.grad(rf.grad(f))(2.0)
    rf.jvp(rf.grad(f), (2.0,), (1.0,))
    rf.linearize(f, 2.0)


def test_values_are_not_at_hand_where_an_outer_transform_stages():
    with pytest.raises(rf.errors.TracerError):
        rf.jit(rf.grad(lambda x: x if x > 0 else -x))(1.0)
    with pytest.raises(rf.errors.TracerError):
        rf.vmap(rf.grad(lambda x: x if x > 0 else -x))(np.ones(2))


def test_integers_carry_no_derivative():
    def f(x):
        n = rnp.round(x).astype("int32")
        assert not isinstance(n, Tracer)
        return x * n

    assert float(rf.grad(f)(2.2)) == 2.0


def test_the_state_is_each_threads_own():
    seen = []
    with use_trace(None), named_axis("i", 3), rf.named_scope("s"):
        assert context.axis_sizes == {"i": 3}
        thread = threading.Thread(
            target=lambda: seen.append((context.trace, context.axis_sizes, context.scopes))
        )
        thread.start()
        thread.join()
    assert seen == [(None, {}, ())]
    assert context.axis_sizes == {}


def test_a_trace_ends_when_the_function_raises():
    seen = []

    def f(x):
        seen.append(x)
        raise LookupError

    with pytest.raises(LookupError):
        vjp_flat(f, [rnp.ones(2)], [True])
    assert context.trace is None
    assert not seen[0]._trace.alive


def test_own_trace_is_not_alive_afterwards():
    trace = GraphTrace(None)
    with own_trace(trace):
        assert context.trace is trace
        assert trace.alive
    assert context.trace is None
    assert not trace.alive


def test_flat_derivatives():
    outs, pullback = vjp_flat(
        lambda x, y: [x * y, y], [rnp.float32(2), rnp.float32(3)], [True, False]
    )
    assert [float(o) for o in outs] == [6.0, 3.0]
    into = pullback([rnp.float32(1), None])
    assert float(into[0]) == 3.0
    assert into[1] is None
    assert pullback([None, None]) == [None, None]
    outs, tangents = jvp_flat(
        lambda x, y: [x * y, y], [rnp.float32(2), rnp.float32(3)], [rnp.float32(1), None]
    )
    assert float(tangents[0]) == 3.0
    assert tangents[1] is None


def test_named_scopes_nest():
    with rf.named_scope("a"):
        with rf.named_scope("b"):
            assert context.scopes == ("a", "b")
        assert context.scopes == ("a",)
    assert context.scopes == ()
