"""Similarities and distances: PyTorch's values and derivatives."""

import numpy as np
import pytest

from rtfunc import nn
from rtfunc.core.errors import ArgumentError, ShapeError

REDUCTIONS = ["mean", "sum", "none"]
DTYPES = ["float32", "float64"]


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


def both(oracle, ours, theirs, *arrays, dtype="float64", **options):
    oracle.assert_same(
        lambda *xs: getattr(nn, ours)(*xs, **options),
        lambda *xs: getattr(oracle.torch.nn.functional, theirs)(*xs, **options),
        *arrays,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("axis", [0, 1])
def test_cosine_similarity(oracle, axis):
    x, y = oracle.numbers(4, 3), oracle.numbers(4, 3, seed=1)
    oracle.assert_same(
        lambda x, y: nn.cosine_similarity(x, y, axis),
        lambda x, y: oracle.torch.nn.functional.cosine_similarity(x, y, axis),
        x,
        y,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, np.inf])
def test_pairwise_distance(oracle, p, keepdims, dtype):
    x, y = oracle.numbers(4, 3), oracle.numbers(4, 3, seed=1)
    oracle.assert_same(
        lambda x, y: nn.pairwise_distance(x, y, p, keepdims=keepdims),
        lambda x, y: oracle.torch.nn.functional.pairwise_distance(x, y, p, keepdim=keepdims),
        x,
        y,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_the_derivative_of_no_distance_is_0(oracle, p):
    oracle.assert_same(
        lambda x, y: nn.pairwise_distance(x, y, p, 0.0),
        lambda x, y: oracle.torch.nn.functional.pairwise_distance(x, y, p, 0.0),
        np.ones((1, 3)),
        np.ones((1, 3)),
    )


@pytest.mark.oracle
def test_shapes_broadcast(oracle):
    functional = oracle.torch.nn.functional
    x, y = oracle.numbers(4, 1, 3), oracle.numbers(1, 5, 3, seed=1)
    oracle.assert_same(
        lambda x, y: nn.cosine_similarity(x, y, -1),
        lambda x, y: functional.cosine_similarity(x, y, -1),
        x,
        y,
    )
    oracle.assert_same(nn.pairwise_distance, functional.pairwise_distance, x, y)


@pytest.mark.oracle
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_normalize(oracle, p, axis):
    x = oracle.numbers(4, 3, 2)
    x[1, 1], x[2] = 0.0, 0.0  # a vector of zeros for two of the axes
    oracle.assert_same(
        lambda x: nn.normalize(x, p, axis),
        lambda x: oracle.torch.nn.functional.normalize(x, p, axis),
        x,
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"whose shapes broadcast, not \(2, 3\) and \(4, 3\)"):
        nn.pairwise_distance(np.ones((2, 3)), np.ones((4, 3)))
    with pytest.raises(ArgumentError, match="p is positive, but got 0"):
        nn.pairwise_distance(np.ones((2, 3)), np.ones((2, 3)), 0)
    with pytest.raises(ArgumentError, match="normalize: p is positive, but got -1"):
        nn.normalize(np.ones((2, 3)), -1)
