"""`linearize`: values at once, the derivative as a Graph of its own."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import errors
from rtfunc.core.dtypes import float0
from tests.messages import raises

X = np.array([0.5, -1.0, 2.0])
T = np.array([1.0, 0.1, -2.0])


@rf.custom_jvp
def sine(x):
    return rnp.sin(x)


sine.defjvps(lambda t, y, x: rnp.cos(x) * t)


FUNCTIONS = {
    "elementwise": lambda x: rnp.sin(x) * x,
    "jit": lambda x: rf.jit(lambda y: rnp.sin(y) * y)(x) * 2,
    "checkpoint": lambda x: rf.checkpoint(lambda y: rnp.sin(y) * y)(x),
    "scan": lambda x: lax.scan(lambda c, y: (c * rnp.sin(y), c), 1.0, x),
    "while": lambda x: lax.while_loop(lambda c: c.sum() < 9, lambda c: c * x + 4, x),
    "cond": lambda x: lax.cond(x[0] > 0, rnp.sin, rnp.cos, x),
    "custom": lambda x: sine(x) * x,
    "sort": lambda x: rnp.sort(x),
    "max": lambda x: rnp.max(x),
    "vmap": lambda x: rf.vmap(lambda y: y * rnp.sin(y))(x),
    "grad": rf.grad(lambda x: (x**3).sum()),
    "solve": lambda x: rnp.cumsum(x) / x,
    "constant": lambda x: (rnp.ones(2), x),
    "branch": lambda x: x * 2 if x[0] > 0 else x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_agrees_with_jvp(name, backend):
    f = FUNCTIONS[name]
    expected, expected_tangent = rf.jvp(f, (X,), (T,))
    for linearized in (rf.linearize, lambda f, x: rf.linearize(rf.jit(f), x)):
        if name == "branch" and linearized is not rf.linearize:
            continue
        out, pushforward = linearized(f, X)
        for a, b in zip(rf.tree.leaves(out), rf.tree.leaves(expected), strict=True):
            # float64; compiled code orders its sums differently.
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
        for _ in range(2):
            for a, b in zip(
                rf.tree.leaves(pushforward(T)), rf.tree.leaves(expected_tangent), strict=True
            ):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_values_are_read_while_the_derivative_is_staged():
    def f(x):
        count = 0
        while x < 10:
            x = rf.jit(lambda x: x * 2)(x)  # the value must not be staged with the tangent
            count += 1
        return x * count

    out, pushforward = rf.linearize(f, 3.0)
    assert float(out) == 24.0
    assert float(pushforward(1.0)) == 8.0


def test_under_jit_and_vmap(backend):
    def f(x, t):
        out, pushforward = rf.linearize(lambda x: rnp.sin(x) * x, x)
        return out, pushforward(t), pushforward(2 * t)

    expected = f(X, T)
    for g in (rf.jit(f), rf.vmap(f), rf.jit(rf.vmap(f))):
        for a, b in zip(g(X, T), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_under_grad():
    def f(x):
        return rf.linearize(lambda x: x**3, x)[1](1.0)

    assert float(rf.grad(f)(2.0)) == 12.0


def test_the_graph_holds_the_linear_part_alone():
    calls = []

    def expensive(x):
        calls.append(None)
        return rnp.exp(rnp.sin(x))

    _, pushforward = rf.linearize(expensive, X)
    graph = rf.make_graph(pushforward)(T)
    assert len(calls) == 1
    names = {e.primitive.name for e in graph.equations}
    assert not names & {"exp", "sin", "cos"}, graph


def test_aux_integers_and_pytrees():
    out, pushforward, aux = rf.linearize(
        lambda x, n: ({"y": x * n, "n": n}, "note"), 2.0, 3, has_aux=True
    )
    assert aux == "note"
    tangent = pushforward(1.0, np.zeros((), float0))
    assert float(tangent["y"]) == 3.0
    assert tangent["n"].dtype == float0
    with raises(errors.ShapeError, "tangent of argument 0 has shape (2,)"):
        pushforward(np.ones(2), np.zeros((), float0))
