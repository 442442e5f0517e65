"""`grad` and `value_and_grad`."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core import errors
from rtfunc.core.dtypes import float0
from tests.messages import raises


def product(x, y=3.0, *, scale=1.0):
    """x times y."""
    return x * y * scale


def test_argnums():
    assert float(rf.grad(product)(2.0, 5.0)) == 5.0
    assert float(rf.grad(product, argnums=1)(2.0, 5.0)) == 2.0
    assert float(rf.grad(product, argnums=-1)(2.0, 5.0)) == 2.0
    assert [float(g) for g in rf.grad(product, argnums=(1, 0))(2.0, 5.0)] == [2.0, 5.0]
    assert [float(g) for g in rf.grad(product, (0,))(2.0, 5.0)] == [5.0]
    assert [float(g) for g in rf.grad(product, argnums=[0, -1])(2.0, 5.0)] == [5.0, 2.0]
    assert float(rf.grad(product, argnums=np.int64(1))(2.0, 5.0)) == 2.0


def test_defaults_and_keywords():
    assert float(rf.grad(product)(2.0)) == 3.0
    assert float(rf.grad(product)(2.0, scale=10.0)) == 30.0
    assert float(rf.grad(product)(2.0, y=4.0, scale=10.0)) == 40.0
    assert float(rf.grad(lambda x, f: f(x))(0.0, f=rnp.sin)) == 1.0  # not an array: untouched
    assert float(rf.grad(lambda x, mode: x if mode == "a" else -x)(0.0, "b")) == -1.0


def test_names():
    g = rf.grad(product)
    assert g.__name__ == "grad(product)"
    assert "x times y" in g.__doc__
    assert rf.value_and_grad(product).__name__ == "value_and_grad(product)"


@rf.tree.register_dataclass
@dataclasses.dataclass
class Model:
    weight: object
    layers: list
    name: str = dataclasses.field(default="m", metadata={"static": True})


def test_pytrees():
    model = Model(np.ones(2), [{"b": 1.0}, (2.0, None)], "net")
    value, g = rf.value_and_grad(
        lambda m: (m.weight * m.layers[0]["b"]).sum() + m.layers[1][0] ** 2
    )(model)
    assert float(value) == 6.0
    assert isinstance(g, Model)
    assert g.name == "net"
    np.testing.assert_array_equal(g.weight, [1.0, 1.0])
    assert float(g.layers[0]["b"]) == 2.0
    assert float(g.layers[1][0]) == 4.0
    assert g.layers[1][1] is None


def test_has_aux_keeps_leaves_of_any_kind():
    def f(x):
        return x**2, {
            "x": x,
            "twice": 2 * x,
            "note": "text",
            "none": None,
            "n": 3,
            "np": np.arange(2),
        }

    (value, aux), g = rf.value_and_grad(f, has_aux=True)(3.0)
    assert (float(value), float(g), float(aux["twice"])) == (9.0, 6.0, 6.0)
    assert (aux["note"], aux["none"], aux["n"]) == ("text", None, 3)
    assert type(aux["x"]) is rf.Array
    g, aux = rf.grad(f, has_aux=True)(3.0)
    assert (float(g), float(aux["twice"])) == (6.0, 6.0)
    g, aux = rf.jit(rf.grad(lambda x: (x**2, [x]), has_aux=True))(3.0)
    assert (float(g), float(aux[0])) == (6.0, 3.0)
    inner = rf.grad(lambda x: rf.grad(lambda y: (x * y * y, y * x), has_aux=True)(x)[1])
    assert float(inner(3.0)) == 6.0


def test_python_control_flow_on_values():
    def f(x):
        while x < 100:
            x = x * x if x > 2 else x + 1
        for _ in range(int(x) % 3):
            x = x * 2
        return x if bool(x > 0) else -x

    x = np.float64(3.0)
    y = x  # ((3^2)^2)^2 = 6561, divisible by 3
    assert float(f(rnp.asarray(x))) == y**8
    assert float(rf.grad(f)(x)) == 8 * y**7
    assert float(rf.grad(rf.grad(f))(x)) == 56 * y**6


def test_holomorphic():
    z = np.complex64(1 + 2j)
    assert complex(rf.grad(lambda z: z**3, holomorphic=True)(z)) == pytest.approx(3 * (1 + 2j) ** 2)
    with raises(errors.TransformError, "holomorphic=True takes a complex output, not float32"):
        rf.grad(lambda z: z.real, holomorphic=True)(z)


def test_allow_int():
    g = rf.grad(lambda x, n: x * n.sum(), argnums=(0, 1), allow_int=True)(2.0, np.array([1, 2]))
    assert float(g[0]) == 3.0
    assert g[1].dtype == float0
    assert g[1].shape == (2,)
    assert rf.grad(lambda b: 1.0, allow_int=True)(True).dtype == float0


def test_empty_derivatives_come_out_of_other_transforms(backend):
    g = rf.grad(lambda x, n: x * n.sum(), argnums=(0, 1), allow_int=True)
    n = np.array([1, 2])
    for wrapped in (
        rf.jit(g),
        rf.checkpoint(g),
        rf.jit(rf.jit(g)),
        rf.jit(g).lower(2.0, n).compile(),
    ):
        for x, m in (
            (2.0, n),
            (rnp.asarray(2.0), rnp.asarray(n)),
            (rnp.asarray(2.0), rnp.asarray(n)),
        ):
            out = wrapped(x, m)
            assert float(out[0]) == 3.0
            assert (out[1].dtype, out[1].shape) == (float0, (2,))
    specs = rf.eval_shape(g, 2.0, n)
    assert (specs[1].shape, specs[1].dtype) == ((2,), float0)
    assert rf.jit(g).eval_shape(2.0, n)[1].dtype == float0
    rows = rf.vmap(g, in_axes=(None, 0))(2.0, np.array([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(rows[0], [3.0, 7.0])
    assert rows[1].shape == (2, 2)


def test_dtypes():
    assert rf.grad(lambda x: (x * 2).sum())(np.ones(2)).dtype == np.float64
    assert rf.grad(lambda x: (x * 2).sum())(np.ones(2, "float16")).dtype == np.float16
    assert rf.grad(lambda x: x.sum().astype("float64"))(np.ones(2, "float32")).dtype == np.float32
    assert rf.grad(lambda x: x)(1.0).weak_type is False


def test_an_output_that_does_not_depend_on_the_argument():
    np.testing.assert_array_equal(rf.grad(lambda x: 1.0)(np.ones(2)), [0.0, 0.0])
    np.testing.assert_array_equal(rf.grad(lambda x: (x > 0).sum() * 1.0)(np.ones(2)), [0.0, 0.0])
    np.testing.assert_array_equal(
        rf.jit(rf.grad(lambda x: rf.stop_gradient(x).sum()))(np.ones(2)), [0.0, 0.0]
    )


def test_an_empty_pytree():
    assert rf.grad(lambda p, x: x)({}, 1.0) == {}


def test_callables_of_all_kinds():
    class Squared:
        def __call__(self, x):
            return x * x

        def method(self, x):
            return x * x

    for f in (Squared(), Squared().method, functools.partial(product, y=2.0), rf.jit(product), abs):
        assert float(rf.grad(f)(2.0)) in (4.0, 2.0, 3.0, 1.0)


def test_higher_orders():
    f = rnp.sin
    expected = [np.cos(0.5), -np.sin(0.5), -np.cos(0.5), np.sin(0.5), np.cos(0.5)]
    for value in expected:
        f = rf.grad(f)
        # One rounding in float32 per factor.
        assert float(f(0.5)) == pytest.approx(value, rel=1e-6)


def test_perturbations_do_not_mix():
    # d/dx (x * d/dy (x + y)) = 1, the classic perturbation confusion.
    assert float(rf.grad(lambda x: x * rf.grad(lambda y: x + y)(1.0))(1.0)) == 1.0
    assert float(rf.jvp(lambda x: x * rf.grad(lambda y: x * y)(2.0), (3.0,), (1.0,))[1]) == 6.0
    assert float(rf.grad(lambda x: rf.jvp(lambda y: x * y * y, (x,), (1.0,))[1])(3.0)) == 12.0


def test_a_long_tape_does_not_recurse():
    def f(x):
        for _ in range(5000):
            x = x * 1.0001 + 0.5
        return x

    assert float(rf.grad(f)(np.float64(1.0))) == pytest.approx(1.0001**5000, rel=1e-9)
    graph = rf.make_graph(rf.grad(f))(np.float64(1.0))
    assert len(graph.check().equations) >= 5000
    assert str(graph).count("\n") >= 5000
    assert float(rf.core.graph.evaluate(graph, [rnp.float64(1.0)])[0]) == pytest.approx(
        1.0001**5000, rel=1e-9
    )


@pytest.mark.oracle
def test_as_jax_does():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def loss(xp, params, x):
        h = xp.tanh(x @ params["w"] + params["b"])
        return xp.mean(xp.where(h > 0, h**2, xp.exp(h))) + xp.max(h)

    r = np.random.default_rng(0)
    params = {"w": r.normal(size=(3, 4)).astype("f"), "b": r.normal(size=4).astype("f")}
    x = r.normal(size=(5, 3)).astype("f")
    ours = rf.grad(lambda p, x: loss(rnp, p, x), argnums=(0, 1))(params, x)
    theirs = jax.grad(lambda p, x: loss(jnp, p, x), argnums=(0, 1))(params, x)
    for a, b in zip(rf.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)  # float32, sums of 20 terms
