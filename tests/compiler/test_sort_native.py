"""Native sort and top_k against the eager primitives: equal bits, order of ties included."""

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

DTYPES = ("bool", *INTEGERS, *FLOATS, "complex64", "complex128")
LENGTHS = (1, 2, 3, 16, 17, 31, 64, 65, 128, 129, 300)


def check(name, operands, **params):
    actual, expected = native(name, operands, **params), eager(name, operands, **params)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == e.dtype
        assert a.shape == e.shape
        assert a.tobytes() == e.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_of_one_operand(dtype):
    rng = np.random.default_rng(len(dtype))
    for shape, axis in (((3, 9), 1), ((140, 2), 0)):
        check("sort", [random_values(rng, dtype, shape)], axis=axis, num_keys=1)


@pytest.mark.parametrize("length", LENGTHS)
def test_rows_of_every_length(length):
    # The index shows that ties, equal zeros and NaNs keep their order.
    rng = np.random.default_rng(length)
    index = np.tile(np.arange(length, dtype="int32"), (2, 1))
    for dtype in ("float32", "float64"):
        x = random_values(rng, dtype, (2, length))
        check("sort", [x, index], axis=1, num_keys=1)


@pytest.mark.parametrize("seed", range(12))
def test_several_keys_and_carried_operands(seed):
    rng = np.random.default_rng(seed)
    shape = random_shape(rng, 8000)
    count = int(rng.integers(1, 4))
    operands = [random_values(rng, str(rng.choice(DTYPES)), shape) for _ in range(count)]
    keys = int(rng.integers(1, count + 1))
    check("sort", operands, axis=int(rng.integers(len(shape))), num_keys=keys)


def test_carried_operands_may_have_any_bits():
    # Signalling and negative NaNs and denormals come out as they went in.
    bits = np.array([0x7F800001, 0xFFC12345, 1, 0x80000000, 0, 0x3F800000], "uint32")
    x = bits.view("float32")
    check("sort", [np.array([3, 1, 1, 2, 0, 0], "int32"), x], axis=0, num_keys=1)
    check("sort", [x], axis=0, num_keys=1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_top_k(dtype):
    rng = np.random.default_rng(len(dtype))
    for length in (9, 200):
        k = int(rng.integers(1, length + 1))
        check("top_k", [random_values(rng, dtype, (3, length))], k=k)


@pytest.mark.parametrize(("length", "k"), [(5000, 1), (5000, 7), (5000, 60), (40_000, 300)])
def test_few_of_many(length, k):
    rng = np.random.default_rng(k)
    x = rng.standard_normal((2, length)).astype("float32")
    for row in (x, np.round(x), np.sort(x), np.zeros_like(x), np.where(x > 1, np.nan, x)):
        check("top_k", [row], k=k)


@pytest.mark.parametrize("shape", [(20_000, 12), (300, 400), (5, 20_000), (2, 70_000)])
def test_threads_do_not_change_the_result(shape):
    x = np.random.default_rng(4).standard_normal(shape).astype("float32")
    for axis in (0, 1):
        same_on_one_and_two_threads("sort", [x], axis=axis, num_keys=1)
    same_on_one_and_two_threads("top_k", [x], k=5)


def test_a_long_row():
    x = np.random.default_rng(5).standard_normal(200_000).astype("float32")
    check("sort", [x], axis=0, num_keys=1)
    check("sort", [x.astype("float64")], axis=0, num_keys=1)
