"""`checkpoint`: the same derivatives, with fewer values kept."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import errors
from rtfunc.core.graph_transforms import vjp_graph
from tests.messages import raises

W = np.linspace(-1, 1, 9).reshape(3, 3)
X = np.array([0.1, -0.2, 0.3])


def network(w, x):
    for _ in range(3):
        x = rnp.tanh(w @ x)
    return rnp.sum(rnp.sin(x))


def saved(policy):
    """How often each primitive's result is kept between the halves of the derivative."""
    f = rf.checkpoint(network, policy=policy)
    graph = rf.make_graph(rf.jit(f))(W, X)
    (call,) = [e for e in rf.jit(f).trace(W, X).equations if e.primitive.name == "checkpoint_call"]
    halves = vjp_graph(call.params["graph"], (True, True), policy or (lambda equation: False))
    assert graph.check()
    makers = {v: e.primitive.name for e in halves.forward.equations for v in e.outputs}
    kept = [makers[v] for v in halves.forward.outputs[len(halves.out_inexact) :]]
    return sorted(kept), halves


def test_nothing_is_kept_by_default():
    kept, halves = saved(None)
    assert kept == []
    assert {kind for kind, _ in halves.residuals} == {"input"}
    again = [e.primitive.name for e in halves.pullback.equations]
    assert again.count("tanh") >= 2  # computed again


def test_everything_saveable():
    kept, halves = saved(rf.checkpoint_policies.everything_saveable)
    assert kept.count("tanh") == 3
    assert "tanh" not in [e.primitive.name for e in halves.pullback.equations]


def test_dots_saveable():
    kept, halves = saved(rf.checkpoint_policies.dots_saveable)
    assert set(kept) == {"dot_general"}
    names = [e.primitive.name for e in halves.pullback.equations]
    assert names.count("tanh") == 3


def test_dots_without_batch_axes_saveable():
    policy = rf.checkpoint_policies.dots_with_no_batch_dims_saveable
    assert set(saved(policy)[0]) == {"dot_general"}
    batched = rf.make_graph(lambda a, b: rnp.matmul(a, b))(np.ones((2, 3, 4)), np.ones((2, 4, 3)))
    (dot,) = [e for e in batched.equations if e.primitive.name == "dot_general"]
    assert not policy(dot)


def test_a_policy_of_the_users_own():
    kept, _ = saved(lambda equation: equation.primitive.name == "tanh")
    assert set(kept) == {"tanh"}


POLICIES = [
    None,
    *(getattr(rf.checkpoint_policies, n) for n in dir(rf.checkpoint_policies) if n[0] != "_"),
]


@pytest.mark.parametrize("policy", POLICIES)
def test_derivatives_are_the_same(policy, backend):
    f = rf.checkpoint(network, policy=policy)
    expected = rf.grad(network, (0, 1))(W, X)
    assert float(f(W, X)) == pytest.approx(float(network(W, X)), rel=1e-12)
    for g in (
        rf.grad(f, (0, 1)),
        rf.jit(rf.grad(f, (0, 1))),
        rf.grad(rf.jit(f), (0, 1)),
        lambda w, x: (rf.jacfwd(f)(w, x), rf.jacfwd(f, 1)(w, x)),
    ):
        for a, b in zip(g(W, X), expected, strict=True):
            # float64; the compiled second computation may contract differently.
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_second_derivatives(backend):
    f = rf.checkpoint(network)
    expected = rf.hessian(network, 1)(W, X)
    for g in (rf.hessian(f, 1), rf.jit(rf.hessian(f, 1)), rf.jacrev(rf.grad(f, 1), 1)):
        np.testing.assert_allclose(g(W, X), expected, rtol=1e-10, atol=1e-12)


def test_inside_scan_inside_grad_inside_jit(backend):
    def f(w, x, wrap):
        body = wrap(lambda c, _: (rnp.tanh(w @ c), c[0]))
        last, firsts = lax.scan(body, x, length=4)
        return last.sum() + firsts.sum()

    expected = rf.grad(lambda w, x: f(w, x, lambda b: b), (0, 1))(W, X)
    for policy in (None, rf.checkpoint_policies.dots_saveable):
        wrap = functools.partial(rf.checkpoint, policy=policy)
        g = rf.grad(lambda w, x, wrap=wrap: f(w, x, wrap), (0, 1))
        for h in (g, rf.jit(g)):
            for a, b in zip(h(W, X), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
        rows = rf.vmap(rf.jit(g), in_axes=(None, 0))(W, np.stack([X, X]))
        np.testing.assert_allclose(rows[0][1], expected[0], rtol=1e-11, atol=1e-13)


def test_decorators_statics_and_keywords():
    @rf.checkpoint(static_argnums=(1,))
    def f(x, n, *, scale=1.0):
        """Doc."""
        return x**n * scale

    assert float(rf.grad(f)(2.0, 3)) == 12.0
    assert float(rf.grad(f)(2.0, 3, scale=10.0)) == 120.0
    assert f.__name__ == "checkpoint(f)"
    assert "Doc." in f.__doc__
    negative = rf.checkpoint(lambda x, n=2: x**n, static_argnums=-1)
    assert float(rf.grad(negative)(3.0)) == 6.0
    assert float(rf.grad(negative)(3.0, 3)) == 27.0
    with raises(errors.ArgumentError, "checkpoint: argument number 2", "takes 1 positional"):
        rf.checkpoint(lambda x: x, static_argnums=2)
    with raises(errors.DtypeError, "checkpoint: argument 1 is of type str"):
        rf.checkpoint(lambda x, mode: x)(1.0, "a")
    assert rf.remat is rf.checkpoint


def test_closures_are_differentiated():
    f = lambda w: rf.checkpoint(lambda x: rnp.sin(w * x))(2.0)  # noqa: E731
    assert float(rf.grad(f)(0.0)) == 2.0
    assert float(rf.jit(rf.grad(f))(0.0)) == 2.0


def test_effects_are_not_computed_again():
    seen = []

    @rf.checkpoint
    def f(x):
        rf.debug_callback(lambda v: seen.append(float(v)), x)
        return rnp.sin(x)

    rf.grad(f)(0.0)
    assert seen == [0.0]
