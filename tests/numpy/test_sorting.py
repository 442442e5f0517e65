"""Sorting, searching and sets, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, AxisError, ShapeError, TracerError
from rtfunc.testing import check_grads
from rtfunc.transforms.vmap import vmap
from tests.messages import raises

X = np.random.default_rng(0).integers(-5, 5, (4, 6)).astype("float64")
SPECIAL = np.array([3.0, np.nan, -np.inf, 0.0, -0.0, np.inf, 3.0, np.nan])


@pytest.mark.parametrize("axis", [0, -1, None])
@pytest.mark.parametrize(
    "x", [X, X.astype("int32"), X > 0, X + 1j * X[::-1], np.zeros((0, 3))], ids=str
)
def test_sorting_is_numpys(x, axis):
    np.testing.assert_array_equal(rnp.sort(x, axis), np.sort(x, axis), strict=True)
    np.testing.assert_array_equal(rnp.argsort(x, axis), np.argsort(x, axis, stable=True))
    assert rnp.argsort(x, axis).dtype == np.int32


def test_special_values_sort_last():
    np.testing.assert_array_equal(rnp.sort(SPECIAL), np.sort(SPECIAL))
    np.testing.assert_array_equal(rnp.argsort(SPECIAL), np.argsort(SPECIAL, stable=True))


def test_descending_is_stable():
    x = np.array([2, 1, 2, 3])
    np.testing.assert_array_equal(rnp.sort(x, descending=True), [3, 2, 2, 1])
    np.testing.assert_array_equal(rnp.argsort(x, descending=True), [3, 0, 2, 1])


def test_lexsort():
    keys = np.random.default_rng(1).integers(0, 3, (3, 20))
    np.testing.assert_array_equal(rnp.lexsort(keys), np.lexsort(keys))
    np.testing.assert_array_equal(
        rnp.lexsort((keys[0], keys[1] * 1.5)), np.lexsort((keys[0], keys[1]))
    )
    np.testing.assert_array_equal(
        rnp.lexsort(keys.reshape(3, 4, 5), 0), np.lexsort(keys.reshape(3, 4, 5), 0)
    )
    with pytest.raises(ShapeError, match="lexsort takes keys of one shape"):
        rnp.lexsort((np.ones(2), np.ones(3)))


def test_partition():
    for kth in (0, 2, -1):
        found = np.asarray(rnp.partition(X, kth))
        np.testing.assert_array_equal(found[:, kth], np.partition(X, kth)[:, kth])
        places = np.asarray(rnp.argpartition(X, kth))
        np.testing.assert_array_equal(np.take_along_axis(X, places, -1), found)
    with pytest.raises(AxisError, match=r"partition \(kth\): axis 6 is out of bounds"):
        rnp.partition(X, 6)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 8])
def test_searchsorted(side, size):
    x = np.sort(np.random.default_rng(size).integers(-4, 4, size)).astype("float64")
    if size > 6:
        x[-2:] = np.nan
    v = np.array([[-9, -1, 0, 1.5, 9, np.nan]])
    expected = np.searchsorted(x, v, side)
    found = rnp.searchsorted(x, v, side)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32
    traced = vmap(lambda v: rnp.searchsorted(x, v, side))(v)
    np.testing.assert_array_equal(traced, expected)


def test_searchsorted_with_a_sorter_and_errors():
    x = np.array([3, 1, 2])
    assert int(rnp.searchsorted(x, 2, sorter=np.argsort(x))) == 1
    with pytest.raises(ArgumentError, match="side is 'left' or 'right', not 'middle'"):
        rnp.searchsorted(x, 1, "middle")
    with pytest.raises(ShapeError, match="searchsorted searches in one axis"):
        rnp.searchsorted(X, 1)


@pytest.mark.parametrize("right", [False, True])
def test_digitize(right):
    bins = np.array([-2.0, 0.0, 1.0, 3.0])
    for b in (bins, bins[::-1], bins[:1]):
        np.testing.assert_array_equal(rnp.digitize(X, b, right), np.digitize(X, b, right))


@pytest.mark.parametrize("x", [X, X.astype("int32"), X > 0, SPECIAL, np.zeros(0)], ids=str)
@pytest.mark.parametrize("equal_nan", [True, False])
def test_unique(x, equal_nan):
    expected = np.unique(x, True, True, True, equal_nan=equal_nan)
    found = rnp.unique(x, True, True, True, equal_nan=equal_nan)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(rnp.unique(x, equal_nan=equal_nan), expected[0])


def test_unique_along_an_axis():
    x = np.array([[1, 2], [1, 2], [0, 5]])
    np.testing.assert_array_equal(rnp.unique(x, axis=0), np.unique(x, axis=0))


@pytest.mark.parametrize("size", [1, 3, 8])
def test_unique_of_a_fixed_size_is_the_same_traced(size):
    x = np.array([[3, 1, 3, 2], [7, 7, 7, 7]])
    options = {"return_index": True, "return_inverse": True, "return_counts": True, "size": size}
    for fill in (None, -1):
        traced = vmap(lambda v, fill=fill: rnp.unique(v, fill_value=fill, **options))(x)
        for i in range(2):
            concrete = rnp.unique(x[i], fill_value=fill, **options)
            for k, (a, b) in enumerate(zip(traced, concrete)):
                np.testing.assert_array_equal(a[i], b, err_msg=f"result {k}")
    np.testing.assert_array_equal(rnp.unique(x[0], size=5), [1, 2, 3, 1, 1])


def test_unique_of_traced_values_needs_a_size():
    with pytest.raises(TracerError, match=r"unique of a traced .*Pass size="):
        vmap(rnp.unique)(X)


def test_unique_of_the_standard():
    x = np.array([2, 1, 2])
    assert rnp.unique_all(x)._fields == ("values", "indices", "inverse_indices", "counts")
    np.testing.assert_array_equal(rnp.unique_counts(x).counts, [1, 2])
    np.testing.assert_array_equal(rnp.unique_inverse(x).inverse_indices, [1, 0, 1])
    assert len(rnp.unique_values(SPECIAL)) == len(np.unique_values(SPECIAL))


def test_isin():
    among = [1, 3.0]
    np.testing.assert_array_equal(rnp.isin(X, among), np.isin(X, among))
    np.testing.assert_array_equal(rnp.isin(X, among, invert=True), np.isin(X, among, invert=True))


def test_derivatives():
    x = np.array([[0.3, -1.2, 2.5], [1.0, 0.1, -0.4]])
    check_grads(lambda x: rnp.sort(x) ** 2, (x,))
    check_grads(lambda x: rnp.sort(x, 0, descending=True) ** 2, (x,))
    check_grads(lambda x: rnp.unique(x, size=6) ** 2, (x,))


def test_bad_options():
    with pytest.raises(ArgumentError, match="sort: 'bubble' is not a kind of sorting"):
        rnp.sort(X, kind="bubble")
    with pytest.raises(ArgumentError, match="order= is not supported"):
        rnp.sort(X, order="field")


def test_hints_of_jax_change_nothing():
    x, v = np.array([1.0, 3.0, 5.0]), np.array([0.0, 3.0, 9.0])
    for method in ("scan", "sort", "compare_all"):
        np.testing.assert_array_equal(rnp.searchsorted(x, v, method=method), [0, 1, 3])
        np.testing.assert_array_equal(rnp.digitize(v, x, method=method), [0, 2, 3])
    np.testing.assert_array_equal(rnp.isin(x, v, method="sort"), [False, True, False])
    np.testing.assert_array_equal(rnp.unique(x[::-1], sorted=False), x)
    np.testing.assert_array_equal(rnp.delete(x, np.array([0, 2]), assume_unique_indices=True), [3])
    with raises(ArgumentError, "searchsorted: method is one of auto, scan", "not 'magic'"):
        rnp.searchsorted(x, v, method="magic")
    i = np.array([-1, 1])
    np.testing.assert_array_equal(rnp.take_along_axis(x, i, 0), [5, 3])
    found = rnp.take_along_axis(x, i, 0, wrap_negative_indices=False)
    np.testing.assert_array_equal(found, [np.nan, 3])
    rows, columns = rnp.mask_indices(2, np.triu, size=4)
    np.testing.assert_array_equal([rows, columns], [[0, 0, 1, 0], [0, 1, 1, 0]])
