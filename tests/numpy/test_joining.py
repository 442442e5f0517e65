"""Joining and splitting, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, IndexingError, ShapeError
from rtfunc.testing import check_grads
from rtfunc.transforms.vmap import vmap

X = np.arange(6.0).reshape(2, 3)
Y = -np.arange(6.0).reshape(2, 3)
V = np.array([1.0, 2.0, 4.0])

CASES = [
    ("concatenate", ([X, Y],), {}),
    ("concatenate", ([X, Y, X],), {"axis": -1}),
    ("concatenate", ([X, V],), {"axis": None}),
    ("concat", ([X, X[:0]],), {}),
    ("stack", ([X, Y],), {}),
    ("stack", ([X, Y],), {"axis": -1}),
    ("stack", ([1.0, 2.0],), {}),
    ("vstack", ([V, X],), {}),
    ("hstack", ([V, V],), {}),
    ("hstack", ([X, Y],), {}),
    ("dstack", ([X, Y],), {}),
    ("dstack", ([V, V],), {}),
    ("column_stack", ([V, V],), {}),
    ("column_stack", ([X, X[:, 0]],), {}),
    ("block", ([[X, Y], [Y, X]],), {}),
    ("block", ([[X], [V[None]]],), {}),
    ("block", ([V, V],), {}),
    ("block", ([[[X]], [[Y]]],), {}),
    ("block", (3.0,), {}),
    ("append", (X, Y), {}),
    ("append", (X, Y), {"axis": 1}),
    ("insert", (V, 1, 9.0), {}),
    ("insert", (V, [0, 3], [8.0, 9.0]), {}),
    ("insert", (V, [1, 1], 7.0), {}),
    ("insert", (V, -1, [7.0, 8.0]), {}),
    ("insert", (X, 1, V), {"axis": 0}),
    ("insert", (X, 1, [8.0, 9.0]), {"axis": 1}),
    ("insert", (X, [0, 2], [[8.0, 9.0]]), {"axis": 1}),
    ("insert", (X, slice(0, 2), 5.0), {"axis": 1}),
    ("delete", (V, 1), {}),
    ("delete", (V, -1), {}),
    ("delete", (X, [0, 2]), {"axis": 1}),
    ("delete", (X, slice(0, None, 2)), {"axis": 1}),
    ("delete", (V, np.array([True, False, True])), {}),
    ("delete", (X, 4), {}),
    ("delete", (V, []), {}),
]


@pytest.mark.parametrize(
    ("name", "args", "options"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_joining_is_numpys(name, args, options):
    found = getattr(rnp, name)(*args, **options)
    expected = getattr(np, name)(*args, **options)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sections", [1, 3, 6, [2], [1, 4], [0, 2, 9], []])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_splitting_is_numpys(sections, axis):
    x = np.arange(36.0).reshape(6, 6)
    for found, expected in zip(
        rnp.split(x, sections, axis), np.split(x, sections, axis), strict=True
    ):
        np.testing.assert_array_equal(found, expected, strict=True)
    if isinstance(sections, int):
        parts = rnp.array_split(x[:5, :5], sections, axis)
        for found, expected in zip(parts, np.array_split(x[:5, :5], sections, axis), strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)


def test_split_along_fixed_axes():
    x = np.arange(16.0).reshape(2, 2, 4)
    for name in ("vsplit", "hsplit", "dsplit"):
        for found, expected in zip(getattr(rnp, name)(x, 2), getattr(np, name)(x, 2), strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)


def test_dtypes_are_promoted():
    assert rnp.concatenate([np.int8([1]), np.int16([2])]).dtype == np.int16
    assert rnp.concatenate([np.int32([1]), np.float16([2])]).dtype == np.float16
    assert rnp.stack([1, 2.5]).dtype == np.float32
    assert rnp.stack([X, Y], dtype="float32").dtype == np.float32
    assert rnp.append(np.int32([1]), 2.5).dtype == np.float32


def test_an_array_is_a_sequence_of_its_parts():
    np.testing.assert_array_equal(rnp.concatenate(rnp.asarray(X)), np.concatenate(X))
    np.testing.assert_array_equal(rnp.stack(X, axis=1), X.T)


def test_derivatives_and_batches():
    check_grads(lambda x, y: rnp.concatenate([x, y * y, x], 1), (X, Y))
    check_grads(lambda x, y: rnp.stack([x, y], 1) ** 2, (X, Y))
    check_grads(lambda x: rnp.split(x, 3, 1)[1] * rnp.delete(x, 0, 1)[:, :1], (X,))
    check_grads(lambda x, v: rnp.insert(x, [0, 2], v) ** 2, (V, np.array([2.0, 3.0])))
    found = vmap(lambda x, y: rnp.concatenate([x, y]), in_axes=(0, None))(X, V)
    np.testing.assert_array_equal(found, [np.concatenate([x, V]) for x in X])
    found = vmap(lambda x: rnp.stack([x, V], 1))(X)
    np.testing.assert_array_equal(found, [np.stack([x, V], 1) for x in X])


def test_errors():
    with pytest.raises(
        ShapeError, match=r"concatenate along axis 0: the shapes \(2, 3\), \(3,\) differ"
    ):
        rnp.concatenate([X, V])
    with pytest.raises(ShapeError, match="0-d arrays have no axis to join along"):
        rnp.concatenate([1.0, 2.0])
    with pytest.raises(ShapeError, match="stack takes arrays of one shape"):
        rnp.stack([X, V])
    with pytest.raises(ArgumentError, match="concatenate needs at least one array"):
        rnp.concatenate([])
    with pytest.raises(ShapeError, match="split: 4 equal parts of size 3"):
        rnp.split(V, 4)
    with pytest.raises(ArgumentError, match="into 0 parts"):
        rnp.array_split(V, 0)
    with pytest.raises(
        IndexingError, match="delete: index 3 is out of bounds for an axis of size 3"
    ):
        rnp.delete(V, 3)
    with pytest.raises(IndexingError, match="insert: index 4 is out of bounds"):
        rnp.insert(V, 4, 0.0)
    with pytest.raises(DtypeError, match="delete takes integer indices, not float64"):
        rnp.delete(V, 1.5)
    with pytest.raises(ArgumentError, match="block: the lists must not be empty"):
        rnp.block([[X], Y])
    with pytest.raises(
        ArgumentError, match="delete: the size of the result follows from the indices"
    ):
        vmap(lambda i: rnp.delete(V, i))(np.array([0, 1]))
