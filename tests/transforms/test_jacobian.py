"""`jacfwd`, `jacrev`, `hessian`."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core.dtypes import float0

BOTH = pytest.mark.parametrize("jacobian", [rf.jacfwd, rf.jacrev])
X = np.array([1.0, 2.0, 3.0])


@BOTH
def test_shapes(jacobian, backend):
    a = np.arange(6.0).reshape(2, 3)
    for transform in (jacobian(lambda x: a @ x), rf.jit(jacobian(lambda x: a @ x))):
        np.testing.assert_array_equal(transform(X), a)
    j = jacobian(lambda x: x[:, None] * np.ones((3, 2)))(X)
    assert j.shape == (3, 2, 3)
    np.testing.assert_array_equal(j[:, 0], np.eye(3))
    assert jacobian(lambda x: x * 2)(1.0).shape == ()
    assert jacobian(lambda x: x * X)(1.0).shape == (3,)
    assert jacobian(rnp.sum)(np.ones((2, 3))).shape == (2, 3)


@BOTH
def test_pytrees_and_argnums(jacobian):
    def f(p, y, z):
        return {"s": p["a"] * y, "m": [z.sum() * p["b"][0]]}

    args = ({"a": X, "b": (2.0, None)}, 3.0, np.ones((2, 2)))
    j = jacobian(f, argnums=(0, -1))(*args)
    np.testing.assert_array_equal(j["s"][0]["a"], 3 * np.eye(3))
    np.testing.assert_array_equal(j["s"][0]["b"][0], [0.0] * 3)
    assert j["s"][0]["b"][1] is None
    assert j["s"][1].shape == (3, 2, 2)
    assert float(j["m"][0][0]["b"][0]) == 4.0
    np.testing.assert_array_equal(j["m"][0][1], np.full((2, 2), 2.0))
    np.testing.assert_array_equal(jacobian(f, 1)(*args)["s"], X)
    np.testing.assert_array_equal(jacobian(f, (1,))(*args)["s"][0], X)


@BOTH
def test_aux_and_keywords(jacobian):
    j, aux = jacobian(lambda x, *, k: (x * k, {"x": x, "n": 3}), has_aux=True)(X, k=2.0)
    np.testing.assert_array_equal(j, 2 * np.eye(3))
    np.testing.assert_array_equal(aux["x"], X)
    assert aux["n"] == 3


@BOTH
def test_holomorphic(jacobian):
    z = np.array([1 + 1j, 2j])
    j = jacobian(lambda z: z**2, holomorphic=True)(z)
    np.testing.assert_allclose(j, np.diag(2 * z), rtol=1e-12)


@BOTH
def test_constant_and_empty_outputs(jacobian):
    np.testing.assert_array_equal(jacobian(lambda x: rnp.ones(2))(X), np.zeros((2, 3)))
    assert jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert jacobian(lambda x: x)(np.zeros(0)).shape == (0, 0)


def test_allow_int():
    j = rf.jacrev(lambda x, n: x * n, argnums=(0, 1), allow_int=True)(X, np.array([1, 2, 3]))
    np.testing.assert_array_equal(j[0], np.diag([1.0, 2.0, 3.0]))
    assert j[1].dtype == float0
    assert j[1].shape == (3, 3)


def test_hessian(backend):
    def f(x):
        return (x**3).sum() + x[0] * x[1]

    expected = np.diag(6 * X) + np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    for g in (
        rf.hessian(f),
        rf.jit(rf.hessian(f)),
        rf.hessian(rf.jit(f)),
        rf.jacrev(rf.jacfwd(f)),
        rf.jacrev(rf.grad(f)),
        rf.jacfwd(rf.jacfwd(f)),
    ):
        np.testing.assert_allclose(g(X), expected, rtol=1e-12)
    batch = rf.vmap(rf.hessian(f))(np.stack([X, X]))
    np.testing.assert_allclose(batch, np.stack([expected] * 2), rtol=1e-12)


def test_hessian_of_pytrees_with_aux():
    h, aux = rf.hessian(lambda p: (p["a"] ** 2 * p["b"], p["a"]), has_aux=True)(
        {"a": 2.0, "b": 3.0}
    )
    assert [[float(h[i][j]) for j in "ab"] for i in "ab"] == [[6.0, 4.0], [4.0, 0.0]]
    assert float(aux) == 2.0
    h = rf.hessian(lambda x, y: x * y * y, argnums=(0, 1))(2.0, 3.0)
    assert [[float(v) for v in row] for row in h] == [[0.0, 6.0], [6.0, 4.0]]


def test_hessian_through_control_flow(backend):
    def f(x):
        return lax.scan(lambda c, y: (c * rnp.sin(y) + c, None), 1.0, x)[0]

    def unrolled(x):
        c = 1.0
        for i in range(3):
            c = c * rnp.sin(x[i]) + c
        return c

    np.testing.assert_allclose(rf.hessian(f)(X), rf.hessian(unrolled)(X), rtol=1e-10)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["jacfwd", "jacrev", "hessian"])
def test_as_jax_does(name):
    jax = pytest.importorskip("jax")

    def f(xp):
        return lambda p, x: {"y": xp.tanh(p["w"] @ x) * p["b"], "z": xp.sum(p["w"]) * x[0]}

    r = np.random.default_rng(0)
    p = {"w": r.normal(size=(2, 3)).astype("f"), "b": r.normal(size=2).astype("f")}
    x = r.normal(size=3).astype("f")
    ours = getattr(rf, name)(f(rnp), argnums=(0, 1))(p, x)
    theirs = getattr(jax, name)(f(jax.numpy), argnums=(0, 1))(p, x)
    assert str(rf.tree.paths(ours)) == str(rf.tree.paths(jax.tree.map(np.asarray, theirs)))
    for a, b in zip(rf.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # float32
