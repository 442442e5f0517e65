"""Sorting: order, stability, derivatives, errors."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.errors import ArgumentError, AxisError, DtypeError, ShapeError
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops.convert import as_array
from rtfunc.ops.sort import argsort, sort, sort_key_val, top_k

X = np.random.default_rng(0).normal(size=(5, 6, 3))
ODD = np.array([3.0, np.nan, -0.0, 0.0, -0.0, np.inf, -np.inf, -np.nan, 3.0])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int16", "bool"])
def test_sorts_as_numpy(axis, dtype):
    x = as_array("test", X * 3)
    x = np.asarray(x.astype(dtype))
    expected = np.sort(x.astype("float64"), axis=axis)
    np.testing.assert_array_equal(np.asarray(sort(x, axis)).astype("float64"), expected)


def test_order_is_stable_with_nan_last_and_zeros_equal():
    keys, places = sort_key_val(ODD, np.arange(9, dtype="int32"))
    np.testing.assert_array_equal(places, [6, 2, 3, 4, 0, 8, 5, 1, 7])
    np.testing.assert_array_equal(keys, ODD[[6, 2, 3, 4, 0, 8, 5, 1, 7]])
    np.testing.assert_array_equal(np.signbit(np.asarray(sort(ODD))[1:4]), [True, False, True])


def test_complex_order_is_real_then_imaginary():
    z = np.array(
        [1 + 2j, 1 + 1j, complex(np.nan, 1), complex(1, np.nan), 2 - 1j, complex(np.nan, 0)]
    )
    np.testing.assert_array_equal(sort(z), z[[1, 0, 3, 4, 5, 2]])
    np.testing.assert_array_equal(sort((z, np.arange(6)))[1], [1, 0, 3, 4, 5, 2])


def test_several_keys():
    a, b = np.array([1, 0, 1, 0], "int32"), np.array([2.0, 1.0, 1.0, 0.0])
    c = np.arange(4, dtype="int8")
    out = sort((a, b, c), num_keys=2)
    np.testing.assert_array_equal(out[2], [3, 1, 2, 0])
    assert [o.dtype for o in out] == [a.dtype, b.dtype, c.dtype]


def test_argsort():
    x = np.array([3, 1, 2, 1, 3], "int32")
    np.testing.assert_array_equal(argsort(x), [1, 3, 2, 0, 4])
    np.testing.assert_array_equal(argsort(x, descending=True), [0, 4, 2, 1, 3])
    assert argsort(x).dtype == np.int32
    np.testing.assert_array_equal(argsort(X, 1), np.argsort(X, 1, kind="stable"))


def test_top_k_takes_the_first_of_equals():
    values, indices = top_k(np.array([[1, 3, 3, 2], [0, 0, 0, 0]], "uint8"), 3)
    np.testing.assert_array_equal(values, [[3, 3, 2], [0, 0, 0]])
    np.testing.assert_array_equal(indices, [[1, 2, 3], [0, 1, 2]])
    assert (values.dtype, indices.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(top_k(ODD, 4)[1], [1, 7, 5, 0])


def test_cotangents_go_back_to_their_elements():
    x = np.array([3.0, 1.0, 2.0])
    _, pullback = vjp_flat(lambda x: [sort(x)], [as_array("test", x)], [True])
    ct = as_array("test", np.array([10.0, 20.0, 30.0]))
    np.testing.assert_array_equal(pullback([ct])[0], [30.0, 10.0, 20.0])
    _, pullback = vjp_flat(lambda x: [top_k(x, 2)[0]], [as_array("test", x)], [True])
    ct = as_array("test", np.array([10.0, 20.0]))
    np.testing.assert_array_equal(pullback([ct])[0], [10.0, 0.0, 20.0])


def test_errors():
    with pytest.raises(AxisError, match="sort: axis 3 is out of bounds"):
        sort(X, 3)
    with pytest.raises(AxisError, match=r"argsort: axis 0 is out of bounds .* 0 axes"):
        argsort(1.0, 0)
    with pytest.raises(ShapeError, match=r"sort takes operands of one shape, got \(2,\), \(3,\)"):
        sort((np.zeros(2), np.zeros(3)))
    with pytest.raises(
        ArgumentError, match="sort of 2 operands takes num_keys between 1 and 2, got 3"
    ):
        sort((np.zeros(2), np.zeros(2)), num_keys=3)
    with pytest.raises(ArgumentError, match="at least one operand"):
        sort(())
    with pytest.raises(
        ArgumentError, match="k = 4 is not between 0 and 3, the size of the last axis"
    ):
        top_k(X, 4)
    with pytest.raises(ShapeError, match="top_k takes an array with at least one axis"):
        top_k(1.0, 1)
    with pytest.raises(DtypeError, match="sort does not order float8_e5m2"):
        sort(as_array("test", X).astype("float8_e5m2"))


@pytest.mark.oracle
def test_order_is_jaxs():
    jax = pytest.importorskip("jax")
    generator = np.random.default_rng(3)
    x = generator.choice([np.nan, 0.0, -0.0, 1.0, -1.0, np.inf, -np.inf], (20, 9)).astype("float32")
    z = np.stack([x, x[::-1]], -1).view("complex64")[..., 0]
    payload = np.arange(x.size, dtype="int32").reshape(x.shape)
    for axis in (0, 1):
        for keys in ((x,), (z,), (x, z)):
            expected = jax.lax.sort((*keys, payload), dimension=axis, num_keys=len(keys))
            found = sort((*keys, payload), axis, num_keys=len(keys))
            np.testing.assert_array_equal(found[-1], expected[-1])
    positive_nan = np.abs(x)  # jax's top_k tells zeros and NaNs apart by sign
    for k in (0, 3, 9):
        expected, found = jax.lax.top_k(positive_nan, k), top_k(positive_nan, k)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
