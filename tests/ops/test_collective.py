"""Collectives under vmap: against jax, against each other's transposes, and their errors."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, UnboundAxisError
from rtfunc.ops import collective
from rtfunc.transforms.jit import jit
from rtfunc.transforms.jvp import jvp
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

N = 3
X = np.random.default_rng(0).normal(size=(N, N, 6, 4))
RING = [(0, 1), (1, 2), (2, 0)]
#: `case(module, x)`, with the module ours or jax.lax.
CASES = {
    "psum": lambda m, x: m.psum(x, "i"),
    "pmean": lambda m, x: m.pmean(x, "i"),
    "pmax": lambda m, x: m.pmax(x, "i"),
    "pmin": lambda m, x: m.pmin(x, "i"),
    "all_gather": lambda m, x: m.all_gather(x, "i"),
    "all_gather_2": lambda m, x: m.all_gather(x, "i", axis=2),
    "all_gather_tiled": lambda m, x: m.all_gather(x, "i", axis=1, tiled=True),
    "psum_scatter": lambda m, x: m.psum_scatter(x, "i"),
    "psum_scatter_tiled": lambda m, x: m.psum_scatter(x, "i", scatter_dimension=1, tiled=True),
    "all_to_all": lambda m, x: m.all_to_all(x, "i", 0, 2),
    "all_to_all_0": lambda m, x: m.all_to_all(x, "i", 0, 0),
    "all_to_all_tiled": lambda m, x: m.all_to_all(x, "i", 1, 2, tiled=True),
    "all_to_all_tiled_1": lambda m, x: m.all_to_all(x, "i", 1, 1, tiled=True),
    "ppermute": lambda m, x: m.ppermute(x, "i", RING),
}
PARTIAL = {"ppermute_partial": lambda m, x: m.ppermute(x, "i", [(0, 1), (1, 2)])}
every = pytest.mark.parametrize("case", {**CASES, **PARTIAL}.values(), ids={**CASES, **PARTIAL})
in_jax = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
axes = pytest.mark.parametrize("axis", [0, 1])


def loss(case):
    """A scalar function of one member with derivatives of all orders."""

    def value(x):
        out = case(collective, rnp.sin(x))
        return rnp.sum(rnp.sin(out) * rnp.cos(out * out))

    return value


def close(found, expected):
    # float64 sums of a few hundred terms
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@every
@axes
def test_gradient_in_vmap_is_that_of_the_total(case, axis):
    """Reverse mode of a member's loss gives the derivative of the sum of all members' losses."""
    total = lambda x: rnp.sum(vmap(loss(case), in_axes=axis, axis_name="i")(x))  # noqa: E731
    inside = vmap(grad(loss(case)), in_axes=axis, out_axes=axis, axis_name="i")(X)
    close(inside, grad(total)(X))


@every
@axes
def test_jvp_in_vmap_is_that_of_the_batch(case, axis):
    inside = vmap(lambda x: jvp(loss(case), (x,), (x * x,))[1], in_axes=axis, axis_name="i")(X)
    close(inside, jvp(vmap(loss(case), in_axes=axis, axis_name="i"), (X,), (X * X,))[1])


@every
def test_staged_is_eager(case):
    def apply(x):
        return case(collective, rnp.sin(x))

    expected = vmap(apply, axis_name="i")(X)
    close(vmap(jit(apply), axis_name="i")(X), expected)
    close(jit(vmap(apply, axis_name="i"))(X), expected)
    close(vmap(grad(jit(loss(case))), axis_name="i")(X), vmap(grad(loss(case)), axis_name="i")(X))


@every
def test_other_batch_axes_are_carried_along(case):
    x = np.stack([X, X * 2], 2)  # (i, _, other, ...)

    def apply(x):
        return case(collective, x)

    expected = np.stack([vmap(apply, axis_name="i")(x[:, :, b]) for b in range(2)])
    inner = vmap(vmap(apply, axis_name="i"), in_axes=2, axis_name="other")(x)
    close(inner, expected)
    outer = vmap(vmap(apply, in_axes=1), axis_name="i")(x)
    close(outer, np.moveaxis(expected, 0, 1))


@every
def test_a_value_that_all_members_share_is_a_batch_of_copies(case):
    shared = X[0]
    found = vmap(lambda x: case(collective, shared), axis_name="i")(X)
    expected = vmap(lambda x: case(collective, x), axis_name="i")(np.stack([shared] * N))
    close(found, expected)


def test_several_axes():
    x = np.arange(6.0).reshape(2, 3)

    def over(names, f):
        return vmap(vmap(lambda v: f(v, names), axis_name="k"), axis_name="i")(x)

    close(over(("i", "k"), collective.psum), np.full((2, 3), 15.0))
    close(over(("k",), collective.psum), np.repeat(x.sum(1, keepdims=True), 3, 1))
    close(over(("i", "k"), collective.all_gather)[1, 2], x.reshape(-1))
    close(over(("k", "i"), collective.all_gather)[0, 0], x.T.reshape(-1))
    close(over(("i", "k"), lambda v, n: collective.axis_index(n)), np.arange(6).reshape(2, 3))
    close(over(("k", "i"), lambda v, n: collective.axis_index(n)), [[0, 2, 4], [1, 3, 5]])


def test_an_inner_axis_hides_an_outer_one_of_the_same_name():
    x = np.arange(6.0).reshape(2, 3)
    f = vmap(vmap(lambda v: collective.psum(v, "i"), axis_name="i"), axis_name="i")
    close(f(x), np.repeat(x.sum(1, keepdims=True), 3, 1))


def test_pytrees_python_numbers_and_booleans():
    out = vmap(
        lambda x: collective.psum({"a": x, "b": (2, True), "c": x > 1}, "i"),
        axis_name="i",
        out_axes=None,
    )(np.arange(3.0))
    assert float(out["a"]) == 3.0
    assert [int(v) for v in out["b"]] == [6, 3]
    assert (int(out["c"]), out["c"].dtype) == (1, np.int32)


def test_axis_size_is_a_python_integer():
    sizes = []
    vmap(lambda x: sizes.append(collective.axis_size("i")) or x, axis_name="i")(np.zeros(4))
    assert sizes == [4]
    assert type(sizes[0]) is int


def test_axis_index_without_any_batched_value():
    out = vmap(lambda: collective.axis_index("i"), axis_name="i", axis_size=3)()
    np.testing.assert_array_equal(out, [0, 1, 2])


def test_unbound_names():
    text = r"psum: no surrounding vmap provides an axis named 'q' \(names in scope: none\)"
    with pytest.raises(UnboundAxisError, match=text):
        collective.psum(1.0, "q")
    with pytest.raises(UnboundAxisError, match=r"names in scope: 'i'\).*axis_name='q'"):
        vmap(lambda x: collective.pmax(x, "q"), axis_name="i")(X)
    with pytest.raises(UnboundAxisError, match="axis_index: no surrounding vmap"):
        jit(lambda: collective.axis_index("q"))()
    vmap(lambda x: x, axis_name="i")(X)
    with pytest.raises(UnboundAxisError, match="psum"):  # gone again after the vmap
        collective.psum(1.0, "i")


def test_errors():
    def call(f):
        return vmap(f, axis_name="i")(X[..., 0])  # members of shape (3, 6)

    with pytest.raises(
        ShapeError, match=r"all_to_all: axis 1 of float64\[3,6\] has size 6, which is"
    ):
        call(lambda x: collective.all_to_all(x, "i", 1, 0))
    with pytest.raises(ShapeError, match=r"psum_scatter: axis 0 of .* has size 2, which is not 3"):
        call(lambda x: collective.psum_scatter(x[:2], "i"))
    with pytest.raises(ArgumentError, match="different numbers from 0 to 2, but perm is"):
        call(lambda x: collective.ppermute(x, "i", [(0, 1), (0, 2)]))
    with pytest.raises(ArgumentError, match="psum: an axis name is given twice"):
        call(lambda x: collective.psum(x, ("i", "i")))
    with pytest.raises(ArgumentError, match="ppermute works over one axis at a time"):
        vmap(lambda x: call(lambda y: collective.ppermute(x, ("i", "k"), [])), axis_name="k")(X)
    with pytest.raises(DtypeError, match="psum takes arrays and numbers"):
        call(lambda x: collective.psum("text", "i"))


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


@pytest.mark.oracle
@in_jax
@axes
def test_values_are_jaxs(jax, case, axis):
    expected = jax.vmap(lambda x: case(jax.lax, x), in_axes=axis, axis_name="i")(X)
    close(vmap(lambda x: case(collective, x), in_axes=axis, axis_name="i")(X), expected)


@pytest.mark.oracle
@pytest.mark.parametrize("name", [n for n in CASES if n not in ("pmax", "pmin", "all_to_all")])
def test_gradients_are_jaxs(jax, name):
    # jax has no derivative of pmax, and that of all_to_all fails on these shapes
    case = CASES[name]

    def value(x):
        out = case(jax.lax, jax.numpy.sin(x))
        return jax.numpy.sum(jax.numpy.sin(out) * jax.numpy.cos(out * out))

    close(vmap(grad(loss(case)), axis_name="i")(X), jax.vmap(jax.grad(value), axis_name="i")(X))

    def second(grad, f):
        return lambda x: grad(lambda y: (grad(f)(y) * y).sum())(x)

    close(
        vmap(second(grad, loss(case)), axis_name="i")(X),
        jax.vmap(second(jax.grad, value), axis_name="i")(X),
    )
