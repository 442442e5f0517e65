"""Transforms in any order and depth: every composition computes the same numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core.execution import use_backend


@rf.custom_jvp
def softplus(x):
    return rnp.log1p(rnp.exp(x))


softplus.defjvps(lambda t, y, x: t / (1 + rnp.exp(-x)))


@rf.custom_vjp
def square(x):
    return x * x


square.defvjp(lambda x: (x * x, x), lambda x, ct: (2 * x * ct,))


def loop(x):
    return lax.scan(lambda c, k: (c * rnp.sin(x) + k, c), 0.3, rnp.arange(3.0, dtype="float64"))[0]


FUNCTIONS = {
    "elementwise": lambda x: rnp.sin(x) * rnp.exp(-x),
    "scan": loop,
    "cond": lambda x: lax.cond(x > 0.1, lambda x: rnp.sin(x) * x, lambda x: rnp.cos(x), x),
    "while": lambda x: lax.fori_loop(0, 3, lambda i, c: c * rnp.sin(c) + x, x),
    "custom_jvp": lambda x: softplus(x * x),
    "jit": lambda x: rf.jit(lambda y: rf.jit(rnp.sin)(y) * x)(x),
    "checkpoint": rf.checkpoint(lambda x: rnp.sin(rnp.sin(x))),
    "vmap": lambda x: rf.vmap(lambda y: rnp.sin(x * y))(np.array([1.0, 2.0])).sum(),
    "checkpointed scan": lambda x: lax.scan(
        rf.checkpoint(lambda c, _: (rnp.sin(c * x), None)), x, length=3
    )[0],
    "gather": lambda x: (rnp.array([0.0, 1.0]) * x).at[1].add(x * x)[rnp.array([1, 1])].sum(),
}

# As the derivative of order n of a function of one number.
DERIVATIVES = {
    "grad": rf.grad,
    "jvp": lambda f: lambda x: rf.jvp(f, (x,), (np.float64(1),))[1],
    "linearize": lambda f: lambda x: rf.linearize(f, x)[1](np.float64(1)),
    "vjp": lambda f: lambda x: rf.vjp(f, x)[1](np.float64(1))[0],
    "jacfwd": rf.jacfwd,
    "jacrev": rf.jacrev,
}
# What leaves a function of one number the same.
WRAPS = {
    "plain": lambda f: f,
    "jit": rf.jit,
    "vmap": lambda f: lambda x: rf.vmap(f)(rnp.stack([x, x + 1]))[0],
    "checkpoint": rf.checkpoint,
    "jit vmap": lambda f: lambda x: rf.jit(rf.vmap(f))(rnp.stack([x, x + 1]))[0],
    "vmap jit": lambda f: lambda x: rf.vmap(rf.jit(f))(rnp.stack([x, x + 1]))[0],
}
X = np.float64(0.7)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("first", DERIVATIVES)
@pytest.mark.parametrize("second", ["grad", "jvp", "linearize"])
def test_second_derivatives(name, first, second):
    f = FUNCTIONS[name]
    expected = float(rf.grad(rf.grad(f))(X))
    step = 1e-4
    slope = [float(rf.grad(f)(X + s)) for s in (-step, step)]
    # Central differences: an error of step**2 = 1e-8 times a third derivative of order 10.
    assert expected == pytest.approx((slope[1] - slope[0]) / (2 * step), rel=1e-6, abs=1e-6)
    got = float(DERIVATIVES[second](DERIVATIVES[first](f))(X))
    assert got == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("inner", WRAPS)
def test_wrapped_inside_and_outside(name, inner):
    f = FUNCTIONS[name]
    with use_backend("reference"):  # every order of transforms; native code has the next test
        value, slope, curve = float(f(X)), float(rf.grad(f)(X)), float(rf.grad(rf.grad(f))(X))
        wrapped = WRAPS[inner](f)
        # float64: batched and staged programs order a few operations differently.
        close = {"rel": 1e-12, "abs": 1e-14}
        assert float(wrapped(X)) == pytest.approx(value, **close)
        assert float(rf.grad(wrapped)(X)) == pytest.approx(slope, **close)
        assert float(rf.grad(rf.grad(wrapped))(X)) == pytest.approx(curve, **close)
        assert float(rf.jacfwd(rf.grad(wrapped))(X)) == pytest.approx(curve, **close)
        for outer in ("jit", "vmap jit"):
            whole = WRAPS[outer](rf.grad(WRAPS[inner](rf.grad(wrapped))))
            assert float(whole(X)) == pytest.approx(curve, **close)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled(name):
    f = FUNCTIONS[name]
    with use_backend("reference"):
        slope, curve = float(rf.grad(f)(X)), float(rf.grad(rf.grad(f))(X))
    with use_backend("native"):
        # float64, compiled functions within a few ulp of NumPy's, amplified by two derivatives.
        assert float(rf.jit(rf.grad(rf.grad(f)))(X)) == pytest.approx(curve, rel=1e-11, abs=1e-13)
        assert float(rf.grad(rf.grad(rf.jit(f)))(X)) == pytest.approx(curve, rel=1e-11, abs=1e-13)
        batch = rf.jit(rf.vmap(rf.grad(f)))(np.array([X, X]))
        np.testing.assert_allclose(batch, [slope, slope], rtol=1e-11)


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["grad", "vmap", "jit"])), ids=lambda o: "-".join(o)
)
def test_all_orders(order, backend):
    """`grad` is of a sum where it stands outside of `vmap`."""
    x = np.linspace(0.1, 0.9, 4)
    f = lambda x: square(rnp.sin(x)) + loop(x)  # noqa: E731
    expected = [float(rf.grad(f)(v)) for v in x]
    g = f
    seen_vmap = False
    for name in order[::-1]:
        if name == "vmap":
            g, seen_vmap = rf.vmap(g), True
        elif name == "jit":
            g = rf.jit(g)
        else:
            g = rf.grad((lambda h: lambda x: h(x).sum())(g) if seen_vmap else g)
    np.testing.assert_allclose(g(x), expected, rtol=1e-12)


def test_deep_stacks(backend):
    f = rnp.sin
    for _ in range(3):
        f = rf.jit(rf.grad(rf.jit(f)))
    assert float(f(X)) == pytest.approx(-np.cos(0.7), rel=1e-12)
    g = rf.vmap(rf.jit(rf.vmap(rf.grad(rf.jit(rf.grad(rnp.sin))))))
    np.testing.assert_allclose(g(np.full((2, 3), 0.7)), np.full((2, 3), -np.sin(0.7)), rtol=1e-12)


def test_grad_of_scan_inside_vmap_inside_jit(backend):
    def loss(w, xs):
        return lax.scan(lambda c, x: (rnp.tanh(w * c + x), c), 0.0, xs)[1].sum()

    w, xs = np.array([0.5, -0.3]), np.random.default_rng(0).normal(size=(2, 5))
    expected = [float(rf.grad(loss)(a, b)) for a, b in zip(w, xs)]
    for f in (
        rf.vmap(rf.grad(loss)),
        rf.jit(rf.vmap(rf.grad(loss))),
        rf.vmap(rf.grad(rf.jit(loss))),
    ):
        np.testing.assert_allclose(f(w, xs), expected, rtol=1e-12)
    g = rf.grad(lambda w: rf.jit(rf.vmap(loss))(w, xs).sum())
    np.testing.assert_allclose(g(w), expected, rtol=1e-12)


def test_transforms_inside_scan(backend):
    def newton(x):
        f = lambda y: y**3 - x  # noqa: E731
        step = lambda y, _: (y - f(y) / rf.grad(f)(y), None)  # noqa: E731
        return lax.scan(step, x, length=30)[0]

    assert float(newton(np.float64(8))) == pytest.approx(2.0, rel=1e-12)
    assert float(rf.grad(newton)(np.float64(8))) == pytest.approx(1 / 12, rel=1e-9)
    np.testing.assert_allclose(
        rf.jit(rf.vmap(rf.grad(newton)))(np.array([8.0, 27.0])), [1 / 12, 1 / 27], rtol=1e-9
    )


def test_values_of_outer_transforms_in_inner_ones(backend):
    def f(x):
        g = rf.jit(lambda y: rf.vmap(lambda z: x * y * z)(np.arange(3.0)).sum())
        return rf.grad(g)(x) * rf.jvp(g, (x,), (x,))[1]

    # g = 3 x y, g' = 3 x, so f = 3 x * 3 x * x.
    assert float(rf.grad(f)(np.float64(2))) == pytest.approx(9 * 3 * 4, rel=1e-12)
    assert float(rf.jit(rf.grad(f))(np.float64(2))) == pytest.approx(108, rel=1e-12)
    np.testing.assert_allclose(rf.vmap(rf.grad(f))(np.array([1.0, 2.0])), [27.0, 108.0], rtol=1e-12)


def test_batched_jvp_with_an_unbatched_value(backend):
    """The tangent is batched, the value is not."""
    f = lambda t: rf.jvp(lambda x: softplus(x) * loop(x), (X,), (t,))  # noqa: E731
    value, tangent = rf.vmap(f)(np.array([1.0, 2.0]))
    np.testing.assert_allclose(tangent[1], 2 * tangent[0], rtol=1e-12)
    np.testing.assert_allclose(value, [float(softplus(X) * loop(X))] * 2, rtol=1e-12)


@pytest.mark.oracle
def test_as_jax_does():
    jax = pytest.importorskip("jax")

    def program(lib, xp, ops):
        def loss(w, x):
            h = ops.scan(lambda c, r: (xp.tanh(c @ w + r), xp.sum(c)), x[0], x)
            return xp.sum(h[0]) + xp.sum(h[1] ** 2)

        per_example = lib.vmap(lib.grad(lib.jit(loss)), in_axes=(None, 0))
        return lib.jit(lib.jacrev(lambda w, x: xp.sum(per_example(w, x) ** 2)))

    r = np.random.default_rng(3)
    w, x = r.normal(size=(3, 3)).astype("f"), r.normal(size=(2, 4, 3)).astype("f")
    ours = program(rf, rnp, lax)(w, x)
    theirs = program(jax, jax.numpy, jax.lax)(w, x)
    # float32 through second derivatives of a recurrence.
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)
