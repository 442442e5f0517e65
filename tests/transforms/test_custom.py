"""`custom_vjp`, `custom_jvp`, `stop_gradient`."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import errors
from tests.messages import raises


@rf.custom_vjp
def marked(x, y):
    """x times y, with a derivative that is easy to tell from the true one."""
    return x * y


marked.defvjp(lambda x, y: (x * y, (x, y)), lambda res, ct: (100.0 * ct * res[1], 1000.0 * ct))


@rf.custom_jvp
def tripled(x):
    return rnp.sin(x)


tripled.defjvp(lambda primals, tangents: (tripled(primals[0]), 3.0 * tangents[0]))

X = np.array([1.0, 2.0])


# custom_vjp


def test_the_rule_is_used_by_every_composition(backend):
    f = marked
    assert float(f(2.0, 3.0)) == 6.0
    assert marked.__doc__.startswith("x times y")
    for g in (
        rf.grad(f, (0, 1)),
        rf.jit(rf.grad(f, (0, 1))),
        rf.grad(rf.jit(f), (0, 1)),
        rf.grad(lambda x, y: rf.jit(lambda x: f(x, y))(x), (0, 1)),
        rf.grad(rf.checkpoint(f), (0, 1)),
        rf.grad(rf.jit(rf.checkpoint(f)), (0, 1)),
        rf.grad(lambda x, y: lax.scan(lambda c, _: (f(c, y), None), x, length=1)[0], (0, 1)),
        rf.grad(lambda x, y: lax.cond(True, f, lambda x, y: x, x, y), (0, 1)),
    ):
        assert [float(v) for v in g(2.0, 3.0)] == [300.0, 1000.0]
    batched = rf.vmap(rf.grad(f, (0, 1)), in_axes=(0, None))
    outer = rf.grad(lambda x, y: rf.vmap(f, in_axes=(0, None))(x, y).sum(), (0, 1))
    for wrap in (lambda g: g, rf.jit):
        gx, gy = wrap(batched)(X, 3.0)
        np.testing.assert_array_equal(gx, [300.0, 300.0])
        np.testing.assert_array_equal(gy, [1000.0, 1000.0])
        gx, gy = wrap(outer)(X, 3.0)
        np.testing.assert_array_equal(gx, [300.0, 300.0])
        assert float(gy) == 2000.0  # summed over the batch


def test_the_rule_is_differentiated_itself(backend):
    second = rf.grad(rf.grad(marked), 1)  # d/dy (100 y)
    assert float(second(2.0, 3.0)) == 100.0
    assert float(rf.jit(second)(2.0, 3.0)) == 100.0
    assert float(rf.grad(rf.jit(rf.grad(marked)), 1)(2.0, 3.0)) == 100.0
    assert float(rf.jvp(rf.grad(marked), (2.0, 3.0), (1.0, 1.0))[1]) == 100.0


def test_forward_mode_is_refused():
    for f in (marked, rf.jit(marked)):
        with raises(errors.TransformError, "marked has a custom_vjp rule", "custom_jvp"):
            rf.jvp(f, (1.0, 2.0), (1.0, 1.0))
        with raises(errors.TransformError, "no forward mode"):
            rf.linearize(f, 1.0, 2.0)


def test_pytrees_residuals_and_none_cotangents():
    @rf.custom_vjp
    def f(p, unused, n):
        return {"y": p["a"] * n, "z": p["b"][0]}

    def forward(p, unused, n):
        return f(p, unused, n), {"n": n, "note": "text", "none": None, "k": 7}

    def backward(res, ct):
        assert (res["note"], res["none"], res["k"]) == ("text", None, 7)
        return {"a": ct["y"] * res["n"], "b": (ct["z"] * 5.0, None), "c": [None]}, None, None

    f.defvjp(forward, backward)
    args = ({"a": 2.0, "b": (3.0, 4.0), "c": [None]}, np.ones(2), 3)
    for g in (f, rf.jit(f), rf.jit(rf.jit(f))):
        out, pullback = rf.vjp(g, *args)
        assert (float(out["y"]), float(out["z"])) == (6.0, 3.0)
        into = pullback({"y": 1.0, "z": 10.0})
        assert [float(v) for v in (into[0]["a"], *into[0]["b"])] == [3.0, 50.0, 0.0]
        np.testing.assert_array_equal(into[1], [0.0, 0.0])
        # Only one output is used: the other's cotangent is zero, not missing.
        assert float(rf.grad(lambda p: g(p, *args[1:])["z"])(args[0])["b"][0]) == 5.0


def test_nondiff_argnums(backend):
    @functools.partial(rf.custom_vjp, nondiff_argnums=(0, 2))
    def apply(f, x, mode="plain"):
        return f(x)

    def forward(f, x, mode):
        return f(x), x

    def backward(f, mode, res, ct):
        return (ct * {"plain": 10.0, "other": 20.0}[mode] * f(res),)

    apply.defvjp(forward, backward)
    square = lambda x: x * x  # noqa: E731
    assert float(apply(square, 3.0)) == 9.0
    assert float(rf.grad(lambda x: apply(square, x))(3.0)) == 90.0  # the default reaches the rules
    assert float(rf.grad(lambda x: apply(square, x, "other"))(3.0)) == 180.0
    assert float(rf.grad(lambda x: apply(square, x, mode="other"))(3.0)) == 180.0
    assert float(rf.grad(rf.jit(lambda x: apply(square, x)))(3.0)) == 90.0
    assert float(rf.jit(rf.grad(lambda x: apply(mode="other", f=square, x=x)))(3.0)) == 180.0


def test_nondiff_argnums_out_of_range():
    f = rf.custom_vjp(lambda x: x, nondiff_argnums=1)
    f.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
    with raises(errors.ArgumentError, "custom_vjp: argument 1", "1 positional argument"):
        f(1.0)


def test_methods():
    class Layer:
        scale = 2.0

        @functools.partial(rf.custom_vjp, nondiff_argnums=(0,))
        def __call__(self, x):
            return x * self.scale

        __call__.defvjp(lambda self, x: (x * self.scale, None), lambda self, _, ct: (ct * 50.0,))

    layer = Layer()
    assert float(layer.__call__(1.0)) == 2.0
    assert float(rf.grad(lambda x: layer(x))(1.0)) == 50.0


def test_integer_arguments_and_outputs():
    @rf.custom_vjp
    def f(x, n):
        return x * n, n + 1

    f.defvjp(lambda x, n: (f(x, n), n), lambda n, ct: (ct[0] * n * 10, None))
    for g in (f, rf.jit(f)):
        assert float(rf.grad(lambda x: g(x, 3)[0])(1.0)) == 30.0


def test_a_rule_sees_values_in_eager_mode():
    @rf.custom_vjp
    def f(x):
        return x

    f.defvjp(lambda x: (x if x > 0 else -x, None), lambda _, ct: (ct if ct > 5 else -ct,))
    assert float(rf.grad(lambda x: 10 * f(x))(1.0)) == 10.0
    assert float(rf.grad(f)(1.0)) == -1.0


def test_closures():
    def f(x, scale):
        @rf.custom_vjp
        def g(y):
            return y * scale

        g.defvjp(lambda y: (y * scale, scale), lambda scale, ct: (ct * scale * 10,))
        return g(x)

    assert float(rf.grad(f)(1.0, 3.0)) == 30.0
    assert float(rf.jit(rf.grad(f))(1.0, 3.0)) == 30.0
    np.testing.assert_array_equal(rf.vmap(rf.grad(f))(X, X), 10 * X)
    # The rule would run after `jit` has finished tracing: JAX refuses this too.
    with pytest.raises(errors.LeakedTracerError):
        rf.grad(rf.jit(f))(1.0, 3.0)


def test_errors_of_custom_vjp():
    @rf.custom_vjp
    def f(x, y):
        return x * y.sum()

    args = (1.0, np.ones(2))
    with raises(errors.TransformError, "No derivative rule is defined for f", "f.defvjp("):
        f(*args)

    def check(forward, backward, error, *parts):
        f.defvjp(forward, backward)
        with raises(error, *parts):
            rf.grad(f)(*args)

    good = lambda x, y: (f(x, y), None)  # noqa: E731
    check(
        good, lambda _, ct: ct, errors.TreeError, "a tuple with a cotangent for each of its 2", "1"
    )
    check(good, lambda _, ct: (ct,), errors.TreeError, "it returned 1")
    check(good, lambda _, ct: (ct, ct), errors.ShapeError, "shape () for argument 1", "shape (2,)")
    check(good, lambda _, ct: ({"a": ct}, None), errors.DtypeError, "backward rule of f", "dict")
    check(good, lambda _, ct: ("text", None), errors.DtypeError, "backward rule", "str")
    check(lambda x, y: x, lambda _, ct: ct, errors.TransformError, "pair (output, residuals)")
    with raises(errors.TransformError, "does not take these arguments", "'y'"):
        f(1.0)
    f.defvjp(lambda x, y: ([f(x, y)], None), lambda _, ct: (ct, None))
    with raises(errors.TreeError, "forward rule of f", "the function itself"):
        rf.grad(rf.jit(f))(*args)
    f.defvjp(lambda x, y: (y, None), lambda _, ct: (ct, None))
    with raises(errors.ShapeError, "forward rule of f returned", "float64[2]", "float64[]"):
        rf.grad(rf.jit(f))(*args)
    with raises(errors.TransformError, "custom_vjp takes a function"):
        rf.custom_vjp(3)
    keyword = rf.custom_vjp(lambda x, *, k=1: x)
    keyword.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
    with raises(errors.TransformError, "keyword-only"):
        keyword(1.0, k=2)


# custom_jvp


def test_a_forward_rule_serves_both_modes(backend):
    f = tripled
    assert float(f(0.0)) == 0.0
    for g in (
        rf.grad(f),
        rf.jit(rf.grad(f)),
        rf.grad(rf.jit(f)),
        rf.jacfwd(f),
        rf.grad(rf.checkpoint(f)),
        lambda x: rf.jvp(f, (x,), (1.0,))[1],
        lambda x: rf.jvp(rf.jit(f), (x,), (1.0,))[1],
        lambda x: rf.linearize(f, x)[1](1.0),
        rf.grad(lambda x: lax.scan(lambda c, _: (f(c), None), x, length=1)[0]),
        lambda x: rf.jvp(lambda x: lax.fori_loop(0, 1, lambda i, c: f(c), x), (x,), (1.0,))[1],
    ):
        assert float(g(2.0)) == 3.0
    np.testing.assert_array_equal(rf.vmap(rf.grad(f))(X), [3.0, 3.0])
    np.testing.assert_array_equal(rf.jacrev(rf.vmap(f))(X), 3 * np.eye(2))
    np.testing.assert_array_equal(rf.jit(rf.jacfwd(rf.vmap(f)))(X), 3 * np.eye(2))
    assert float(rf.grad(rf.grad(f))(2.0)) == 0.0


def test_defjvps():
    @rf.custom_jvp
    def f(x, y, z):
        return x * y + z

    f.defjvps(lambda t, out, x, y, z: t * out, None, lambda t, out, x, y, z: 7.0 * t)
    for g in (f, rf.jit(f)):
        assert [float(v) for v in rf.grad(g, (0, 1, 2))(2.0, 3.0, 4.0)] == [10.0, 0.0, 7.0]
        assert float(rf.jvp(g, (2.0, 3.0, 4.0), (1.0, 1.0, 1.0))[1]) == 17.0
    f.defjvps(None, None, None)
    assert float(rf.grad(f)(2.0, 3.0, 4.0)) == 0.0


def test_a_decorated_forward_rule_over_pytrees(backend):
    @functools.partial(rf.custom_jvp, nondiff_argnums=(1,))
    def f(p, mode, x):
        return {"y": p["a"] * x}

    @f.defjvp
    def rule(mode, primals, tangents):
        (p, x), (tp, tx) = primals, tangents
        factor = 10.0 if mode == "ten" else 1.0
        return {"y": p["a"] * x}, {"y": factor * (tp["a"] * x) + p["a"] * tx}

    for g in (f, rf.jit(f, static_argnums=1)):
        grads = rf.grad(lambda p, x: g(p, "ten", x)["y"], (0, 1))({"a": 2.0}, 3.0)
        assert (float(grads[0]["a"]), float(grads[1])) == (30.0, 2.0)


def test_second_derivatives_of_a_rule():
    @rf.custom_jvp
    def f(x):
        return x**3

    f.defjvps(lambda t, y, x: 3 * x**2 * t)
    assert float(rf.grad(rf.grad(f))(2.0)) == 12.0
    assert float(rf.hessian(f)(2.0)) == 12.0
    assert float(rf.jit(rf.hessian(rf.jit(f)))(2.0)) == 12.0


def test_errors_of_custom_jvp():
    @rf.custom_jvp
    def f(x):
        return x

    with raises(errors.TransformError, "No derivative rule", "f.defjvp(rule)"):
        f(1.0)

    def check(rule, error, *parts):
        f.defjvp(rule)
        with raises(error, *parts):
            rf.grad(f)(1.0)

    check(lambda p, t: p[0], errors.TransformError, "pair (output, tangent)")
    check(lambda p, t: (p[0], [t[0]]), errors.TreeError, "The rule of f")
    check(lambda p, t: (p[0], rnp.ones(2)), errors.ShapeError, "tangent of shape (2,)", "shape ()")
    check(lambda p, t: (p[0], "a"), errors.DtypeError, "the tangent", "str")
    g = rf.custom_jvp(lambda x, n: x, nondiff_argnums=1)
    with raises(errors.TransformError, "defjvps does not go with nondiff_argnums"):
        g.defjvps(lambda t, y, x: t)


def test_effects_inside_custom_functions_stay():
    seen = []

    @rf.custom_jvp
    def f(x):
        rf.debug_callback(lambda v: seen.append(float(v)), x)
        return x

    f.defjvps(lambda t, y, x: t)
    rf.jit(lambda x: (f(x), x)[1])(2.0)
    assert seen == [2.0]


# stop_gradient


def test_stop_gradient(backend):
    tree = {"a": 3.0, "n": 2, "s": "text"}
    assert rf.stop_gradient(tree)["s"] == "text"
    f = lambda x: x * rf.stop_gradient({"x": x})["x"]  # noqa: E731
    for g in (rf.grad(f), rf.jit(rf.grad(f)), rf.grad(rf.jit(f)), rf.jacfwd(f)):
        assert float(g(3.0)) == 3.0
    straight_through = lambda x: x + rf.stop_gradient(rnp.round(x) - x)  # noqa: E731
    assert float(rf.grad(straight_through)(2.7)) == 1.0
    np.testing.assert_allclose(rf.vmap(rf.grad(f))(X), X)


@pytest.mark.oracle
def test_closures_as_jax_treats_them():
    """What `custom_vjp` does with a residual that has no derivative, against JAX."""
    jax = pytest.importorskip("jax")
    results = []
    for lib in (rf, jax):
        f = lib.custom_vjp(lambda x, y: x * y)
        f.defvjp(lambda x, y: (x * y, (x, y)), lambda res, ct: (ct * res[1] * 2, None))
        results.append([float(v) for v in lib.grad(lib.jit(f), (0, 1))(2.0, 3.0)])
        results[-1].append(float(lib.grad(lib.grad(f), 1)(2.0, 3.0)))
    assert results[0] == results[1]
