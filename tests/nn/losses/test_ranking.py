"""Losses of margins: PyTorch's values and derivatives, at kinks too, and refusals."""

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

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
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_hinge_embedding_loss(oracle, reduction):
    x, y = oracle.numbers(6), np.array([1, -1, 1, -1, -1, 1])
    name = "hinge_embedding_loss"
    both(oracle, name, name, x, y, reduction=reduction, margin=1.5)


def test_hinge_loss_is_the_margin_that_is_missing():
    values = nn.hinge_loss(rnp.array([2.0, 0.5, -1.0]), rnp.array([1, 1, 1]), reduction="none")
    np.testing.assert_array_equal(values, [0.0, 0.5, 2.0])


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cosine_embedding_loss(oracle, reduction, dtype):
    x, y = oracle.numbers(4, 3), oracle.numbers(4, 3, seed=1)
    both(
        oracle,
        "cosine_embedding_loss",
        "cosine_embedding_loss",
        x,
        y,
        np.array([1, -1, -1, 1]),
        reduction=reduction,
        margin=0.1,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_triplet_margin_loss(oracle, p, swap, reduction):
    name = "triplet_margin_loss"
    arrays = [oracle.numbers(6, 3, seed=seed) for seed in range(3)]
    both(oracle, name, name, *arrays, reduction=reduction, swap=swap, p=p)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_margin_ranking_loss(oracle, margin, reduction, dtype):
    x, y = oracle.numbers(6), oracle.numbers(6, seed=1)
    y[0] = x[0]  # at the kink for margin 0
    name, t = "margin_ranking_loss", np.array([1, -1, 1, -1, -1, 1])
    both(oracle, name, name, x, y, t, margin=margin, reduction=reduction, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_soft_margin_loss(oracle, reduction, dtype):
    name, t = "soft_margin_loss", np.array([1, -1, 1, -1, -1, 1])
    both(oracle, name, name, oracle.numbers(6), t, reduction=reduction, dtype=dtype)


def test_soft_margin_loss_of_extreme_scores_is_finite():
    x, y = rnp.array([1e3, -1e3]), rnp.array([-1, -1])
    np.testing.assert_allclose(nn.soft_margin_loss(x, y, reduction="none"), [1e3, 0.0])
    assert np.isfinite(grad(lambda x: nn.soft_margin_loss(x, y))(x)).all()


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin_loss(oracle, p, weighted, reduction, dtype):
    x, labels = oracle.numbers(6, 4), np.array([0, 1, 2, 3, 3, 0])
    x[0] = [1.0, 0.3, 0.0, -1.0]  # at the kink: 0.7 - 1 + 0.3
    weight = oracle.numbers(4, low=0.5, seed=2).astype(dtype) if weighted else None
    torch = oracle.torch
    settings = {"p": p, "margin": 0.7, "reduction": reduction}
    oracle.assert_same(
        lambda x, y: nn.multi_margin_loss(x, y, weight, **settings),
        lambda x, y: torch.nn.functional.multi_margin_loss(
            x, y, weight=None if weight is None else torch.tensor(weight), **settings
        ),
        x,
        labels,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multilabel_margin_loss(oracle, reduction, dtype):
    labels = np.array([[3, 0, -1, 1], [1, 2, 3, 0], [-1, 2, 2, 2], [2, -1, -1, 0]])
    x, name = oracle.numbers(4, 4), "multilabel_margin_loss"
    both(oracle, name, name, x, labels, reduction=reduction, dtype=dtype)
    both(oracle, name, name, x[0], labels[0], reduction=reduction, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_multilabel_soft_margin_loss(oracle, weighted, reduction, dtype):
    y = oracle.numbers(5, 3, low=0, high=1, seed=1).round()
    weight = np.array([0.5, 1.0, 2.0], dtype) if weighted else None
    torch = oracle.torch
    oracle.assert_same(
        lambda x, y: nn.multilabel_soft_margin_loss(x, y, weight, reduction=reduction),
        lambda x, y: torch.nn.functional.multilabel_soft_margin_loss(
            x, y, None if weight is None else torch.tensor(weight), reduction=reduction
        ),
        oracle.numbers(5, 3, low=-30, high=30),
        y,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("swap", [False, True])
def test_triplet_margin_with_distance_loss(oracle, swap):
    functional = oracle.torch.nn.functional
    oracle.assert_same(
        lambda a, b, c: nn.triplet_margin_with_distance_loss(
            a, b, c, distance=lambda x, y: 1 - nn.cosine_similarity(x, y), swap=swap
        ),
        lambda a, b, c: functional.triplet_margin_with_distance_loss(
            a,
            b,
            c,
            distance_function=lambda x, y: 1 - functional.cosine_similarity(x, y),
            swap=swap,
        ),
        *(oracle.numbers(6, 3, seed=seed) for seed in range(3)),
    )


def test_multi_margin_loss_under_vmap_is_that_of_each_example():
    x = np.random.default_rng(0).normal(size=(3, 4))
    labels = np.array([0, 2, 3])
    each = vmap(nn.multi_margin_loss)(x, labels)
    np.testing.assert_allclose(each, nn.multi_margin_loss(x, labels, reduction="none"))


@pytest.mark.parametrize(
    ("error", "match", "function"),
    [
        (
            ShapeError,
            r"takes scores \(N, C\) or \(C,\) and labels of the shape that goes with them, but got "
            r"\(2, 3\) and \(3,\)",
            lambda: nn.multi_margin_loss(rnp.ones((2, 3)), rnp.zeros(3, "int32")),
        ),
        (
            DtypeError,
            "multilabel_margin_loss takes integer labels, not float32",
            lambda: nn.multilabel_margin_loss(rnp.ones((2, 3)), rnp.ones((2, 3))),
        ),
        (
            ArgumentError,
            "targets must be from 0 to 2, but 3 is among them",
            lambda: nn.multi_margin_loss(rnp.ones((1, 3)), rnp.array([3])),
        ),
        (
            ArgumentError,
            "multi_margin_loss: p is 1 or 2, not 3",
            lambda: nn.multi_margin_loss(rnp.ones((1, 3)), rnp.array([0]), p=3),
        ),
    ],
)
def test_what_does_not_fit_is_refused(error, match, function):
    with pytest.raises(error, match=match):
        function()
