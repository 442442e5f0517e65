"""Native argmax and argmin against the eager primitives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiler.along_axis import (
    FLOATS,
    INTEGERS,
    eager,
    native,
    random_shape,
    random_values,
    same_on_one_and_two_threads,
)

NAMES = ("argmax", "argmin")


def check(name, x, axis, dtype="int32"):
    params = {"axis": axis, "dtype": np.dtype(dtype)}
    (actual,), (expected,) = native(name, [x], **params), eager(name, [x], **params)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])
def test_first_occurrence_with_ties_nan_and_zeros(dtype):
    rng = np.random.default_rng(len(dtype))
    for name in NAMES * 2:
        shape = random_shape(rng)
        check(name, random_values(rng, dtype, shape), int(rng.integers(len(shape))))


@pytest.mark.parametrize("size", [1, 5, 16, 31, 32, 64, 65, 127, 300])
def test_rows_of_every_length(size):
    rng = np.random.default_rng(size)
    x = rng.integers(0, 9, (3, size)).astype("float32")
    for name in NAMES:
        check(name, x, 1)
        check(name, x.T.copy(), 0)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_extreme_values_of_integers(dtype):
    for value in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        x = np.full((2, 9), value, dtype)
        for name in NAMES:
            check(name, x, 1)


def test_nan_is_first_whatever_its_sign():
    x = np.array([1.0, -np.nan, np.inf, np.nan, -np.inf] * 9, "float64")
    for name in NAMES:
        check(name, x, 0)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_dtype_of_the_indices(dtype):
    x = np.random.default_rng(2).standard_normal((40, 50)).astype("float32")
    for axis in (0, 1):
        check("argmax", x, axis, dtype)


@pytest.mark.parametrize(("shape", "axis"), [((30_000, 10), 1), ((500, 600), 0), ((600, 500), 1)])
def test_threads_do_not_change_the_result(shape, axis):
    x = np.random.default_rng(3).integers(0, 50, shape).astype("float32")
    same_on_one_and_two_threads("argmax", [x], axis=axis, dtype=np.dtype("int32"))
