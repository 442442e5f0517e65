"""`vmap`: axes of arguments and results."""

from __future__ import annotations

import collections

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import errors
from tests.messages import raises

A = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("out_axis", [0, 1, -1, -2])
def test_one_axis(axis, out_axis):
    out = rf.vmap(lambda x: x * 2, in_axes=axis, out_axes=out_axis)(A)
    np.testing.assert_array_equal(out, np.moveaxis(A * 2, axis, out_axis))


def test_axes_by_argument():
    f = rf.vmap(rnp.dot, in_axes=(0, None))
    np.testing.assert_array_equal(f(A[0], np.ones(4)), A[0].sum(1))
    f = rf.vmap(rnp.dot, in_axes=[None, 1])  # a list is as good
    np.testing.assert_array_equal(f(np.ones(3), A[0]), A[0].sum(0))
    f = rf.vmap(rnp.add, in_axes=(0, -1))
    np.testing.assert_array_equal(f(A[0], A[0].T), 2 * A[0])


def test_axes_by_leaf():
    point = collections.namedtuple("point", "x y")
    tree = {"a": A[0], "b": (A[0].T, 5.0), "c": point(A[0], None)}

    def f(t, scale):
        return t["a"].sum() + t["b"][0].sum() + t["b"][1] * scale + t["c"].x.sum()

    axes = ({"a": 0, "b": (1, None), "c": point(0, None)}, None)
    np.testing.assert_array_equal(rf.vmap(f, in_axes=axes)(tree, 2.0), 3 * A[0].sum(1) + 10)


def test_a_prefix_covers_what_stands_below():
    tree = {"a": A[0], "b": [A[0], (A[0],)]}
    out = rf.vmap(lambda t: rf.tree.map(rnp.sum, t), in_axes=({"a": 1, "b": 1},))(tree)
    for leaf in rf.tree.leaves(out):
        np.testing.assert_array_equal(leaf, A[0].sum(0))
    out = rf.vmap(lambda x, t: t["b"] * x, in_axes=(0, None))(np.arange(2.0), {"a": 1.0, "b": 3.0})
    np.testing.assert_array_equal(out, [0.0, 3.0])


def test_keywords_are_mapped_over_axis_0():
    def f(x, *, y, z=1.0):
        return x + y["k"] * z

    out = rf.vmap(f, in_axes=None)(10.0, y={"k": np.arange(3.0)})
    np.testing.assert_array_equal(out, [10.0, 11.0, 12.0])
    out = rf.vmap(f)(np.zeros(3), y={"k": np.arange(3.0)}, z=np.array([1.0, 10.0, 100.0]))
    np.testing.assert_array_equal(out, [0.0, 10.0, 200.0])


def test_axis_size():
    out = rf.vmap(lambda x: x + lax.axis_index("i"), None, axis_name="i", axis_size=3)(10)
    np.testing.assert_array_equal(out, [10, 11, 12])
    np.testing.assert_array_equal(rf.vmap(lambda: 1.0, axis_size=2)(), [1.0, 1.0])
    np.testing.assert_array_equal(rf.vmap(lambda x: x, axis_size=2)(np.ones(2)), [1.0, 1.0])


def test_out_axes_by_output():
    def f(x):
        return {"same": x, "sum": x.sum(), "constant": 7.0}

    out = rf.vmap(f, out_axes={"same": 1, "sum": 0, "constant": None})(A[0])
    np.testing.assert_array_equal(out["same"], A[0].T)
    np.testing.assert_array_equal(out["sum"], A[0].sum(1))
    assert float(out["constant"]) == 7.0
    out = rf.vmap(lambda x: [x, x], out_axes=(0, -1))(A[0])
    np.testing.assert_array_equal(out[1], A[0].T)
    assert isinstance(out, list)


def test_outputs_that_are_not_batched_are_repeated():
    out = rf.vmap(lambda x: (1.0, rnp.arange(2)), out_axes=(0, 1))(np.zeros(3))
    np.testing.assert_array_equal(out[0], [1.0] * 3)
    np.testing.assert_array_equal(out[1], [[0] * 3, [1] * 3])


def test_weak_types_stay():
    assert rf.vmap(lambda x: x * 2)(np.ones(2, "float16")).dtype == np.float16
    assert rf.vmap(lambda x: 1.0)(np.ones(2)).weak_type


def test_nested(backend):
    f = rf.vmap(rf.vmap(lambda x, y: x * y, in_axes=(0, None)), in_axes=(None, 0))
    for g in (f, rf.jit(f)):
        np.testing.assert_array_equal(
            g(np.arange(3.0), np.arange(2.0)), np.outer([0, 1], [0, 1, 2])
        )
    g = rf.vmap(rf.vmap(rf.vmap(lambda x: x + 1, 2, 0), 0, -1), 1, 0)
    # Axis 1 to the front, then of what is left (2, 4) axis 0 to the back.
    np.testing.assert_array_equal(rf.vmap(rf.vmap(lambda x: x + 1, 0, 0), 1, 0)(A[0]), A[0].T + 1)
    with raises(errors.AxisError, "argument 0 has shape (4,)", "no axis 2"):
        g(A)


def test_what_is_returned_is_not_the_users_memory():
    x = np.ones(3)
    out = rf.vmap(lambda x: x)(x)
    x[:] = 7
    np.testing.assert_array_equal(out, [1.0] * 3)


def test_size_0(backend):
    for f in (rf.vmap(rnp.sin), rf.jit(rf.vmap(rnp.sin)), rf.vmap(rf.grad(rnp.sin))):
        assert f(np.zeros(0)).shape == (0,)
    assert rf.vmap(rnp.sum)(np.zeros((0, 3))).shape == (0,)


def test_per_example_gradients(backend):
    def loss(w, x):
        return rnp.tanh(x @ w).sum() ** 2

    r = np.random.default_rng(1)
    w, x = r.normal(size=(4, 2)), r.normal(size=(5, 4))
    expected = np.stack([rf.grad(loss)(w, row) for row in x])
    for f in (
        rf.vmap(rf.grad(loss), in_axes=(None, 0)),
        rf.jit(rf.vmap(rf.grad(loss), in_axes=(None, 0))),
        rf.vmap(rf.jit(rf.grad(loss)), in_axes=(None, 0)),
        rf.vmap(rf.grad(rf.jit(loss)), in_axes=(None, 0)),
    ):
        # float64: batched products sum in another order.
        np.testing.assert_allclose(f(w, x), expected, rtol=1e-12, atol=1e-14)


def test_a_named_axis_under_jit(backend):
    f = rf.jit(lambda x: x / lax.psum(x, "batch"))
    np.testing.assert_allclose(rf.vmap(f, axis_name="batch")(np.arange(4.0)), np.arange(4.0) / 6)
    np.testing.assert_allclose(  # the size belongs to the signature
        rf.vmap(f, axis_name="batch")(np.arange(3.0)), np.arange(3.0) / 3
    )
    with raises(errors.UnboundAxisError, "batch", builtin=NameError):
        f(1.0)
    constant = rf.jit(lambda x: lax.psum(1, "batch") * x)
    np.testing.assert_array_equal(rf.vmap(constant, axis_name="batch")(np.ones(5)), [5.0] * 5)
    unmapped = rf.vmap(lambda x: rf.jit(lambda: lax.psum(1.0, "batch"))() + x, axis_name="batch")
    np.testing.assert_array_equal(unmapped(np.zeros(3)), [3.0] * 3)


def test_a_named_axis_inside_custom_rules(backend):
    @rf.custom_jvp
    def total(x):
        return lax.psum(x, "batch")

    total.defjvps(lambda t, y, x: lax.psum(t, "batch"))
    f = rf.vmap(lambda x: x + total(2.0), axis_name="batch")
    np.testing.assert_array_equal(f(np.zeros(3)), [6.0] * 3)
    f = rf.vmap(rf.jit(lambda x: x + total(2.0)), axis_name="batch")
    np.testing.assert_array_equal(f(np.zeros(3)), [6.0] * 3)
    f = rf.vmap(lambda x: x + rf.jit(lambda: total(2.0))(), axis_name="batch")
    np.testing.assert_array_equal(f(np.zeros(3)), [6.0] * 3)


def test_bad_axes_types():
    for axes in (1.5, (True,), "x"):
        with raises(errors.TransformError, "integers or None"):
            rf.vmap(lambda x: x, in_axes=axes)(np.ones(3))


@pytest.mark.oracle
@pytest.mark.parametrize("in_axes", [0, (0, None), (None, 1), (-1, 1), (1, -2)])
@pytest.mark.parametrize("out_axes", [0, 1, -1])
def test_as_jax_does(in_axes, out_axes):
    jax = pytest.importorskip("jax")
    a = np.arange(9.0, dtype="f").reshape(3, 3)
    b = a[::-1] ** 2

    def f(xp):
        return lambda x, y: xp.sin(x) + xp.cumsum(y, axis=-1)[..., ::-1]

    ours = rf.vmap(f(rnp), in_axes, out_axes)(a, b)
    theirs = jax.vmap(f(jax.numpy), in_axes, out_axes)(a, b)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)  # float32
