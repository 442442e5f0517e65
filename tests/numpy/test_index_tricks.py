"""Objects that make arrays of what stands between brackets; index arrays of triangles; copies with
diagonals and places filled."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from tests.messages import raises

A, B = np.array([1, 2, 3]), np.array([4, 5, 6])
M = np.arange(6).reshape(2, 3)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(
    "key",
    [
        np.s_[A, 0, 0, B],
        np.s_[1:4, 0, 4],
        np.s_[0:1:5j],
        np.s_[A],
        np.s_["r", A, B],
        np.s_["c", A, B],
        np.s_["-1", M, M],
        np.s_["0,2", A, B],
        np.s_["0,2,0", A, B],
        np.s_["1,2,0", A, B],
        np.s_["0,3,1", M],
        np.s_[M, M],
    ],
    ids=str,
)
def test_r_is_numpys(key):
    # New ranges are int32 and float32.
    np.testing.assert_allclose(rnp.r_[key], np.asarray(np.r_[key]), rtol=1e-7)


@pytest.mark.parametrize("key", [np.s_[A, B], np.s_[A], np.s_[M, M], np.s_[0:3, A]], ids=str)
def test_c_is_numpys(key):
    np.testing.assert_array_equal(rnp.c_[key], np.c_[key])


def test_indices_are_given_back():
    assert rnp.s_[1:, None] == (slice(1, None), None)
    assert rnp.s_[2] == 2
    assert rnp.index_exp[2] == (2,)
    with raises(ArgumentError, "'x,y' is no directive"):
        rnp.r_["x,y", A]


def test_joining_in_brackets_is_differentiable():
    gradient = rf.grad(lambda x: rnp.sum(rnp.r_[x, 2.0, x * x]))(A * 1.0)
    np.testing.assert_array_equal(gradient, 1 + 2 * A)


def test_sizes_are_not_negative():
    with raises(ArgumentError, "tril_indices: a size is not negative, got -1"):
        rnp.tril_indices(-1)
    with raises(ShapeError, "triu_indices_from takes a matrix, not an array of shape (3,)"):
        rnp.triu_indices_from(A)
    with raises(ShapeError, "two or more axes of one size, not the shape (2, 3)"):
        rnp.diag_indices_from(M)


def test_what_numpy_changes_in_place_is_copied():
    x = rnp.zeros((2, 2))
    for function, arguments in (
        (rnp.fill_diagonal, (1.0,)),
        (rnp.put, ([0], [1.0])),
        (rnp.place, (x == 0, [1.0])),
    ):
        with raises(ArgumentError, "arrays are immutable. Pass inplace=False"):
            function(x, *arguments)
        assert function(x, *arguments, inplace=False).shape == (2, 2)
    with raises(ShapeError, "fill_diagonal takes two axes, or more of one size"):
        rnp.fill_diagonal(rnp.zeros(3), 1.0, inplace=False)
    with raises(ArgumentError, "mode is 'clip' or 'wrap', not 'raise'"):
        rnp.put(x, [0], 1.0, "raise", inplace=False)
    with raises(ShapeError, "a mask of shape (3,) does not fit the shape (2, 2)"):
        rnp.place(x, np.ones(3, bool), 1.0, inplace=False)
