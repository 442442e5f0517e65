"""Splitting scans: the same values from fewer products inside the loop."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.compiler.inline import inline_calls
from rtfunc.compiler.loop_fission import split_loops
from rtfunc.compiler.loop_invariants import hoist_invariants
from rtfunc.core.execution import use_backend
from rtfunc.core.graph import sub_graphs

LENGTH, BATCH, IN, OUT = 5, 3, 4, 6


def array(*shape, dtype="float64", seed=0):
    values = np.random.default_rng([seed, *shape]).normal(size=shape)
    return rnp.asarray(values.astype(dtype))


XS, W, U = array(LENGTH, BATCH, IN), array(IN, OUT), array(OUT, OUT, seed=1) * 0.3
H = array(BATCH, OUT)


def products(graph):
    """How many products there are outside and inside of scans."""
    outside = sum(e.primitive.name == "dot_general" for e in graph.equations)
    inside = [
        e.primitive.name
        for scan in graph.equations
        for body in sub_graphs(scan)
        for e in inline_calls(body).equations
    ].count("dot_general")
    return outside, inside


def split(f, *args):
    """The Graph of a function with its loops split, as the compiler does it."""
    return split_loops(hoist_invariants(inline_calls(rf.make_graph(f)(*args))))


def check(f, *args, outside, inside):
    """The split program has so many products, and computes what the unsplit one does."""
    graph = split(f, *args)
    assert products(graph) == (outside, inside), graph
    with use_backend("reference"):
        expected = f(*args)
    found = rf.jit(f)(*args)
    flat = zip(rf.tree.leaves(found), rf.tree.leaves(expected), strict=True)
    for got, want in flat:
        # Sums over steps are made in another order.
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_inputs_of_a_recurrent_network_are_multiplied_before_the_loop(reverse):
    def network(xs, w, u, h):
        def cell(h, x):
            h = rnp.tanh(x @ w + h @ u)
            return h, h

        return lax.scan(cell, h, xs, reverse=reverse)

    check(network, XS, W, U, H, outside=1, inside=1)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_weights_are_summed_after_the_loop(reverse):
    def loss(w, u, b, h, xs):
        def cell(h, x):
            h = rnp.tanh(x @ w + h @ u + b)
            return h, rnp.sum(h**2)

        h, ys = lax.scan(cell, h, xs, reverse=reverse)
        return rnp.sum(h) + rnp.sum(ys)

    # Forward x @ w; backward the gradients of w, u and, for all steps, of xs.
    check(rf.grad(loss, argnums=(0, 1, 2, 3, 4)), W, U, array(OUT), H, XS, outside=4, inside=2)


def test_products_for_ys_alone_are_made_after_the_loop():
    def decoder(xs, w, h):
        def cell(h, x):
            h = rnp.cos(h * x)
            return h, (h @ w).T

        return lax.scan(cell, h, xs)

    check(decoder, array(LENGTH, BATCH, IN), array(IN, OUT), array(BATCH, IN), outside=1, inside=0)


def test_the_carry_itself_can_be_what_is_summed():
    def f(xs, h):
        def cell(carry, x):
            h, total = carry
            return (rnp.sin(h + x), total + h.T @ x + (x.T @ h).T), None

        return lax.scan(cell, (h, rnp.zeros((4, 4), "float64")), xs)[0]

    check(f, array(LENGTH, BATCH, 4), array(BATCH, 4), outside=2, inside=0)


def test_batched_products_and_batched_loops():
    def f(xs, w, h):
        def cell(carry, x):
            h, total = carry
            h = rnp.sin(h + rnp.einsum("bij,bjk->bik", x, w))
            return (h, total + rnp.einsum("bij,bik->bjk", x, h)), None

        return lax.scan(cell, (h, rnp.zeros((2, 4, 5), "float64")), xs)[0]

    args = array(LENGTH, 2, 3, 4), array(2, 4, 5), array(2, 3, 5)
    check(f, *args, outside=2, inside=0)
    batched = [rnp.stack([a, a * 2]) for a in args]
    check(rf.vmap(f), *batched, outside=2, inside=0)


def test_a_loop_inside_a_loop_is_split_too():
    def f(xs, w, u, h):
        def outer(h, _):
            def cell(h, x):
                return rnp.tanh(x @ w + h @ u), None

            return lax.scan(cell, h, xs)[0], None

        return lax.scan(outer, h, None, length=3)[0]

    with use_backend("reference"):
        expected = f(XS, W, U, H)
    np.testing.assert_allclose(rf.jit(f)(XS, W, U, H), expected, rtol=1e-12)
    loop = rf.jit(f).lower(XS, W, U, H).as_text("kernels")
    assert loop.count("dot_general") == 2


def test_what_must_stay_stays():
    def rounded(xs, h):  # a sum in few bits is rounded at every step
        def cell(total, x):
            return total + x.T @ x, None

        return lax.scan(cell, h, xs)[0]

    args = array(LENGTH, 2, 3, dtype="float16"), rnp.zeros((3, 3), "float16")
    assert products(split(rounded, *args)) == (0, 1)

    def running(xs, h):  # the sum so far is a result of every step
        def cell(total, x):
            total = total + x.T @ x
            return total, total

        return lax.scan(cell, h, xs)

    check(running, XS, rnp.zeros((IN, IN), "float64"), outside=0, inside=1)

    def chained(xs, w):  # the product depends on the carry, and the carry on it
        return lax.scan(lambda h, x: (x * (h @ w), None), xs[0], xs)[0]

    check(chained, array(LENGTH, 3, 3), array(3, 3), outside=0, inside=1)


def test_stacks_that_take_too_much_memory_are_not_made():
    def f(xs, w, h):
        def cell(h, x):
            return h + rnp.sum(rnp.tanh(x @ w)), None

        return lax.scan(cell, h, xs)[0]

    args = rnp.ones((1000, 1, 8)), rnp.ones((8, 8000)), rnp.zeros(())
    assert products(split(f, *args)) == (0, 1)


def test_effects_stay_in_order():
    seen = []

    def f(xs, w):
        def cell(h, x):
            z = x @ w
            rf.debug.callback(lambda value: seen.append(float(value)), rnp.sum(z))
            return h + rnp.sum(z), None

        return lax.scan(cell, rnp.zeros((), "float64"), xs)[0]

    rf.jit(f)(XS, W)
    np.testing.assert_allclose(seen, [float(np.sum(np.asarray(x) @ np.asarray(W))) for x in XS])
