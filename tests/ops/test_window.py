"""Windowed reductions against loops written out, jax.lax and torch."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rtfunc.numpy  # noqa: F401  (the operators of Arrays)
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, UnsupportedError
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops.arithmetic import add, maximum, mul
from rtfunc.ops.window import (
    reduce_window,
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
    select_and_gather_add_p,
    select_and_scatter_add_p,
)

#: float64 sums of a few dozen terms, in another order.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
KINDS = {
    "sum": (reduce_window_sum, sum, 0.0),
    "max": (reduce_window_max, max, -np.inf),
    "min": (reduce_window_min, min, np.inf),
}


def windows_of(shape, params):
    """(index of the window, indices of the elements in it), one window at a time."""
    window, strides, padding, base, apart = params.values()
    counts = []
    for n, w, s, (low, high), b, d in zip(shape, *params.values()):
        total = ((n - 1) * b + 1 if n else 0) + low + high
        counts.append(max((total - ((w - 1) * d + 1)) // s + 1, 0))
    for out in itertools.product(*map(range, counts)):
        inside = []
        for element in itertools.product(*map(range, window)):
            at = [
                o * s + k * d - low
                for o, s, k, d, (low, _) in zip(out, strides, element, apart, padding)
            ]
            if all(a % b == 0 and 0 <= a // b < n for a, b, n in zip(at, base, shape)):
                inside.append(tuple(a // b for a, b in zip(at, base)))
        yield out, inside


@st.composite
def geometries(draw):
    ndim = draw(st.integers(0, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    plain = draw(st.booleans())
    ones = (1,) * ndim
    params = {
        "window_dimensions": each(1, 3) if ndim != 1 else each(1, 20),
        "window_strides": ones if draw(st.booleans()) else each(1, 3),
        "padding": tuple(zip(each(-1, 3), each(-1, 3))),
        "base_dilation": ones if plain else each(1, 3),
        "window_dilation": ones if plain else each(1, 2),
    }
    return each(0, 6) if ndim != 1 else each(0, 30), params


def _values(shape, seed):
    return np.asarray(np.random.default_rng(seed).normal(size=shape))


@settings(max_examples=120, deadline=None)
@given(geometries(), st.sampled_from(sorted(KINDS)), st.integers(0, 2**32 - 1))
def test_values_are_those_of_the_definition(geometry, kind, seed):
    shape, params = geometry
    function, combine, identity = KINDS[kind]
    x = _values(shape, seed)
    out = np.asarray(function(x, **params))
    found = list(windows_of(shape, params))
    assert out.size == len(found)
    for index, inside in found:
        reference = combine([x[i] for i in inside]) if inside else identity
        np.testing.assert_allclose(out[index], reference, **TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(geometries(), st.sampled_from(sorted(KINDS)), st.integers(0, 2**32 - 1))
def test_cotangents_go_to_the_elements_that_count(geometry, kind, seed):
    shape, params = geometry
    function, combine, _ = KINDS[kind]
    x = _values(shape, seed)
    (out,), pullback = vjp_flat(lambda a: [function(a, **params)], [Array(x)], [True])
    ct = _values(out.shape, seed + 1)
    reference = np.zeros(shape)
    for index, inside in windows_of(shape, params):
        for i in inside:
            if kind == "sum" or x[i] == combine([x[j] for j in inside]):
                reference[i] += ct[index]
    np.testing.assert_allclose(np.asarray(pullback([Array(ct)])[0]), reference, **TOLERANCE)


def test_the_first_of_equal_elements_gets_the_cotangent():
    x = np.array([[1.0, 2.0, 2.0], [2.0, 0.0, 2.0]])
    (out,), pullback = vjp_flat(lambda a: [reduce_window_max(a, (2, 3))], [Array(x)], [True])
    (found,) = pullback([out])
    np.testing.assert_array_equal(np.asarray(found), [[0, 2, 0], [0, 0, 0]])


def test_elements_at_infinity_come_before_padding():
    x = np.full(2, -np.inf)
    _, pullback = vjp_flat(
        lambda a: [reduce_window_max(a, (3,), (1,), [(1, 1)])], [Array(x)], [True]
    )
    (found,) = pullback([Array(np.array([1.0, 10.0]))])
    np.testing.assert_array_equal(np.asarray(found), [11.0, 0.0])


def test_not_a_number_wins_and_gets_the_cotangent():
    x = np.array([1.0, np.nan, 3.0, 2.0])
    for function in (reduce_window_max, reduce_window_min):
        (out,), pullback = vjp_flat(lambda a: [function(a, (2,))], [Array(x)], [True])
        np.testing.assert_array_equal(np.isnan(np.asarray(out)), [True, True, False])
        (found,) = pullback([Array(np.ones(3))])
        assert np.asarray(found)[1] == 2.0


def test_gather_and_scatter_are_transposes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 6))
    params = {
        "select": "max",
        "window_dimensions": (3, 2),
        "window_strides": (2, 1),
        "padding": ((1, 1), (0, 1)),
        "base_dilation": (1, 1),
        "window_dilation": (1, 2),
    }
    values = rng.normal(size=x.shape)
    gathered = select_and_gather_add_p.bind(Array(values), Array(x), **params)
    source = rng.normal(size=gathered.shape)
    scattered = select_and_scatter_add_p.bind(Array(source), Array(x), **params)
    np.testing.assert_allclose(
        np.sum(np.asarray(gathered) * source), np.sum(values * np.asarray(scattered)), **TOLERANCE
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_float32(dtype):
    import ml_dtypes

    ones = np.ones(4096, ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert float(np.asarray(reduce_window_sum(ones, (4096,)))[0]) == 4096.0


# reduce_window


@pytest.mark.parametrize(
    ("computation", "kind"),
    [
        (add, "sum"),
        (operator.add, "sum"),
        (np.add, "sum"),
        (lambda x, y: y + x, "sum"),
        (maximum, "max"),
        (max, "max"),
        (np.maximum, "max"),
        (lambda x, y: maximum(x, y), "max"),
        (min, "min"),
        (np.minimum, "min"),
    ],
)
def test_computations_are_recognised(computation, kind):
    x = _values((4, 5), 0)
    function, _, identity = KINDS[kind]
    found = reduce_window(x, identity, computation, (2, 2), (1, 2), "SAME")
    np.testing.assert_array_equal(
        np.asarray(found), np.asarray(function(x, (2, 2), (1, 2), "SAME"))
    )


def test_the_initial_value_starts_each_window():
    x = np.array([1.0, -2.0, 3.0])
    pads = [(1, 0)]
    assert reduce_window(x, 10.0, operator.add, (2,), None, pads).tolist() == [11.0, 9.0, 11.0]
    assert reduce_window(x, 0.5, max, (2,), None, pads).tolist() == [1.0, 1.0, 3.0]
    assert reduce_window(x, 0.5, min, (2,), None, pads).tolist() == [0.5, -2.0, -2.0]
    assert reduce_window(x, 2.0, mul, (2,), None, pads).tolist() == [2.0, -4.0, -12.0]


def test_other_computations_are_refused_with_advice():
    for computation in (lambda x, y: x * x + y, lambda x, y: x, operator.sub, lambda: 0):
        with pytest.raises(UnsupportedError, match="addition, multiplication, maximum and minimum"):
            reduce_window(np.ones(3), 0.0, computation, (2,))


def test_malformed_arguments_are_refused():
    x = np.ones((2, 3), "float32")
    with pytest.raises(ArgumentError, match="2 positive integers as window_dimensions"):
        reduce_window_sum(x, (2,))
    with pytest.raises(ArgumentError, match="2 positive integers as window_strides"):
        reduce_window_max(x, (2, 2), (0, 1))
    with pytest.raises(ArgumentError, match="or a pair"):
        reduce_window_max(x, (2, 2), (1, 1), 3)
    with pytest.raises(DtypeError, match="of that dtype, not float32"):
        reduce_window(np.ones(3, "int32"), -np.inf, max, (2,))
    with pytest.raises(ShapeError, match="a scalar init_value"):
        reduce_window(x, np.zeros(3, "float32"), max, (2, 2))
    with pytest.raises(DtypeError, match="reduce_window_max does not take complex128"):
        reduce_window_max(x.astype(complex), (2, 2))


def test_a_result_does_not_follow_later_changes_of_its_operand():
    x = np.ones(3)
    out = reduce_window_sum(x, (1,))
    x[0] = 5.0
    assert out.tolist() == [1.0, 1.0, 1.0]


# Oracles


@pytest.mark.oracle
@settings(max_examples=25, deadline=None)
@given(geometries(), st.integers(0, 2**32 - 1))
def test_agrees_with_jax(geometry, seed):
    jax = pytest.importorskip("jax")
    shape, params = geometry
    assume(shape)  # without axes jax leaves out the initial value
    x = _values(shape, seed).astype("float32")
    for ours, theirs, init in (
        (operator.add, jax.lax.add, 0.0),
        (max, jax.lax.max, -np.inf),
        (operator.add, lambda a, b: a + b, 1.5),
        (operator.mul, lambda a, b: a * b, 0.5),
    ):
        try:
            wanted = jax.lax.reduce_window(x, np.float32(init), theirs, **params)
        except TypeError:  # jax refuses padding that cuts more than there is
            return
        found = reduce_window(x, init, ours, **params)
        # float32 sums and products of up to 27 terms.
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("window", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_pooling_agrees_with_torch(window, stride, padding):
    """Max-pooling, with ties, and its gradient."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (2, 3, 7, 8)).astype("float64")
    theirs = torch.tensor(x, requires_grad=True)
    reference = torch.nn.functional.max_pool2d(theirs, window, stride, padding)
    ct = rng.normal(size=tuple(reference.shape))
    reference.backward(torch.tensor(ct))
    pads = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    (out,), pullback = vjp_flat(
        lambda a: [reduce_window_max(a, (1, 1, window, window), (1, 1, stride, stride), pads)],
        [Array(x)],
        [True],
    )
    np.testing.assert_array_equal(np.asarray(out), reference.detach().numpy())
    (found,) = pullback([Array(ct)])
    np.testing.assert_allclose(np.asarray(found), theirs.grad.numpy(), **TOLERANCE)
