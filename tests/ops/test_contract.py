"""`dot_general` against sums written out, numpy.einsum and jax."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat
from rtfunc.core.errors import ArgumentError, AxisError, DtypeError, ShapeError
from rtfunc.core.primitive import BatchAxis
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.contract import dot, dot_general, dot_general_p

RNG = np.random.default_rng(0)
#: float64 sums of a few dozen products, in another order.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def expected(lhs, rhs, numbers):
    """The definition, by numpy.einsum."""
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = numbers
    labels = itertools.count()
    x, y = [next(labels) for _ in range(lhs.ndim)], [next(labels) for _ in range(rhs.ndim)]
    for a, b in zip((*lhs_contract, *lhs_batch), (*rhs_contract, *rhs_batch)):
        y[b] = x[a]
    out = [x[a] for a in lhs_batch]
    out += [x[a] for a in range(lhs.ndim) if a not in (*lhs_contract, *lhs_batch)]
    out += [y[a] for a in range(rhs.ndim) if a not in (*rhs_contract, *rhs_batch)]
    return np.einsum(lhs, x, rhs, y, out)


@st.composite
def contractions(draw):
    """(lhs shape, rhs shape, dimension numbers) with sizes from 0 to 3."""
    n_batch, n_contract, n_lhs, n_rhs = (draw(st.integers(0, 2)) for _ in range(4))
    sizes = st.integers(0, 3) if draw(st.booleans()) else st.integers(1, 4)
    shared = [draw(sizes) for _ in range(n_batch + n_contract)]
    shapes, axes = [], []
    for n_free in (n_lhs, n_rhs):
        order = draw(st.permutations(range(len(shared) + n_free)))
        all_sizes = [*shared, *(draw(sizes) for _ in range(n_free))]
        shapes.append(tuple(all_sizes[i] for i in order))
        axes.append([order.index(i) for i in range(len(shared))])
    batch, contract = (
        tuple(tuple(a[s]) for a in axes) for s in (slice(n_batch), slice(n_batch, None))
    )
    return (*shapes, (contract, batch))


@settings(max_examples=150, deadline=None)
@given(contractions(), st.integers(0, 2**32 - 1))
def test_values_are_those_of_einsum(contraction, seed):
    lhs_shape, rhs_shape, numbers = contraction
    rng = np.random.default_rng(seed)
    lhs, rhs = rng.normal(size=lhs_shape), rng.normal(size=rhs_shape)
    out = np.asarray(dot_general(lhs, rhs, numbers))
    reference = expected(lhs, rhs, numbers)
    assert out.shape == reference.shape
    np.testing.assert_allclose(out, reference, **TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(contractions(), st.integers(0, 2**32 - 1))
def test_cotangents_are_those_of_the_bilinear_form(contraction, seed):
    """<ct, lhs . rhs> is linear in each operand, and the cotangent is its coefficient."""
    lhs_shape, rhs_shape, numbers = contraction
    rng = np.random.default_rng(seed)
    lhs, rhs = rng.normal(size=lhs_shape), rng.normal(size=rhs_shape)
    (out,), pullback = vjp_flat(
        lambda x, y: [dot_general(x, y, numbers)], [Array(lhs), Array(rhs)], [True, True]
    )
    ct = rng.normal(size=out.shape)
    of_lhs, of_rhs = pullback([Array(ct)])
    assert of_lhs.shape == lhs.shape
    assert of_rhs.shape == rhs.shape
    dx, dy = rng.normal(size=lhs.shape), rng.normal(size=rhs.shape)
    for pulled, moved in (
        (np.sum(np.asarray(of_lhs) * dx), expected(dx, rhs, numbers)),
        (np.sum(np.asarray(of_rhs) * dy), expected(lhs, dy, numbers)),
    ):
        np.testing.assert_allclose(pulled, np.sum(ct * moved), **TOLERANCE)


def test_an_operand_without_the_batch_is_not_broadcast():
    """The batch of one operand becomes a free axis: one product, no batch axes, no copies."""
    numbers = (((1,), (0,)), ((), ()))

    def batched(x, y):
        outs, axes = batch_flat(
            lambda a, b: [dot_general(a, b, numbers)], BatchAxis(5), [x, y], [0, None]
        )
        assert axes == [0]
        return outs

    avals = [Array(np.ones((5, 2, 3))).aval, Array(np.ones((3, 4))).aval]
    graph, _ = trace_to_graph(batched, avals)
    assert [e.primitive.name for e in graph.equations] == ["dot_general"]
    assert graph.equations[0].params["dimension_numbers"] == (((2,), (0,)), ((), ()))


@pytest.mark.parametrize("transposed", list(itertools.product((False, True), repeat=2)))
def test_gradient_of_a_matrix_product_takes_no_transposition(transposed):
    lhs, rhs = (4, 3) if transposed[0] else (3, 4), (5, 4) if transposed[1] else (4, 5)
    numbers = (((0,) if transposed[0] else (1,), (1,) if transposed[1] else (0,)), ((), ()))

    def gradient(x, y, ct):
        return vjp_flat(lambda a, b: [dot_general(a, b, numbers)], [x, y], [True, True])[1]([ct])

    avals = [Array(np.ones(s)).aval for s in (lhs, rhs, (3, 5))]
    graph, _ = trace_to_graph(gradient, avals)
    assert {e.primitive.name for e in graph.equations} == {"dot_general"}


# Dtypes


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint64"])
@pytest.mark.parametrize("size", [4, 300])
def test_integers_wrap_as_numpys(dtype, size):
    """The large size takes the way through floating-point BLAS, which must be exact."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(1)
    x, y = (rng.integers(info.min, info.max, (size, size), dtype=dtype) for _ in range(2))
    x[0], y[:, 0] = info.min, info.min
    np.testing.assert_array_equal(np.asarray(dot(x, y)), np.dot(x, y))


@pytest.mark.parametrize("size", [3, 300])
def test_booleans_ask_whether_any_pair_is_true(size):
    rng = np.random.default_rng(1)
    x, y = (rng.random((size, size)) < 1 / size for _ in range(2))
    np.testing.assert_array_equal(np.asarray(dot(x, y)), (x[:, :, None] & y).any(axis=1))


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    """4096 ones: a float16 or bfloat16 accumulator would stop at 2048 or 256."""
    ones = np.ones(4097, dtype)
    out = dot(ones, ones)
    assert out.dtype == dtype
    assert float(out) == 4096.0
    assert float(dot(ones, ones, preferred_element_type="float32")) == 4097.0


def test_preferred_element_type_widens_the_sums():
    x = np.full(300, 100, "int8")
    out = dot(x, x, preferred_element_type="int32")
    assert out.dtype == np.int32
    assert int(out) == 3_000_000
    assert dot(x, x, preferred_element_type="float32").dtype == np.float32


def test_preferred_element_type_holds_for_gradients_too():
    """The cotangent comes in float32; what is pulled back has the operands' dtype."""
    x = Array(np.ones((2, 3), "float16"))
    y = Array(np.ones((3, 2), "float16"))
    (out,), pullback = vjp_flat(
        lambda a, b: [dot(a, b, preferred_element_type="float32")], [x, y], [True, True]
    )
    assert out.dtype == np.float32
    ct = Array(np.full((2, 2), 1 + 2**-12, "float32"))
    assert [c.dtype for c in pullback([ct])] == [np.float16, np.float16]


def test_mixed_dtypes_promote():
    assert dot(np.ones(2, "int32"), np.ones(2, "float16")).dtype == np.float16


def test_not_a_number_stays_where_it_belongs():
    x = np.array([[np.nan, 1.0], [1.0, 1.0]])
    out = np.asarray(dot(x, np.eye(2)))
    assert np.isnan(out[0]).all()
    assert np.array_equal(out[1], [1.0, 1.0])


# Errors


def test_sizes_that_differ_are_named():
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(4, 5\) pairs axis 1 .*size 3.* axis 0"):
        dot(np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(ShapeError, match="as batch axes"):
        dot_general(np.ones((2, 3)), np.ones((1, 3)), (((1,), (1,)), ((0,), (0,))))
    # Merged axes of equal product must differ too.
    with pytest.raises(ShapeError, match="pairs axis 0"):
        dot_general(np.ones((2, 3, 4)), np.ones((3, 2, 4)), (((0, 1), (0, 1)), ((), ())))


def test_bad_axes_are_refused():
    x = np.ones((2, 2))
    with pytest.raises(AxisError, match="axis 2 is out of bounds for an array with 2 axes"):
        dot_general(x, x, (((2,), (0,)), ((), ())))
    with pytest.raises(AxisError, match="must be different axes of lhs"):
        dot_general(x, x, (((0,), (0,)), ((0,), (1,))))
    with pytest.raises(ArgumentError, match="pairs the axes"):
        dot_general(x, x, (((0, 1), (0,)), ((), ())))
    with pytest.raises(ArgumentError, match="dimension_numbers of the form"):
        dot_general(x, x, ((0,), (0,), ()))


def test_bad_dtypes_are_refused():
    x = np.ones((2, 2), "float32")
    with pytest.raises(DtypeError, match="not narrower"):
        dot(x, x, preferred_element_type="float16")
    with pytest.raises(DtypeError, match="same kind"):
        dot(x, x, preferred_element_type="int32")
    with pytest.raises(DtypeError, match="storage"):
        dot(x.astype(ml_dtypes.float8_e5m2), x.astype(ml_dtypes.float8_e5m2))
    with pytest.raises(DtypeError, match="operands of one dtype"):
        dot_general_p.bind(
            Array(x),
            Array(x.astype("int32")),
            dimension_numbers=(((1,), (0,)), ((), ())),
            preferred_element_type=None,
        )


def test_dot_takes_vectors_and_matrices():
    with pytest.raises(ShapeError, match="dot takes vectors and matrices"):
        dot(np.ones((2, 2, 2)), np.ones((2, 2)))


@pytest.mark.oracle
@settings(max_examples=25, deadline=None)
@given(contractions())
def test_agrees_with_jax(contraction):
    jax = pytest.importorskip("jax")
    lhs_shape, rhs_shape, numbers = contraction
    lhs, rhs = RNG.normal(size=lhs_shape), RNG.normal(size=rhs_shape)
    lhs, rhs = lhs.astype("float32"), rhs.astype("float32")
    reference, pull = jax.vjp(lambda x, y: jax.lax.dot_general(x, y, numbers), lhs, rhs)
    (out,), pullback = vjp_flat(
        lambda x, y: [dot_general(x, y, numbers)], [Array(lhs), Array(rhs)], [True, True]
    )
    # float32 sums of at most 16 products.
    np.testing.assert_allclose(np.asarray(out), reference, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(pullback([out]), pull(reference)):
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-4, atol=1e-4)
