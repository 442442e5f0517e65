"""Losses of numbers: PyTorch's values and derivatives for every option, and refusals."""

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
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
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("ours", "options"),
    [
        ("mse_loss", {}),
        ("l1_loss", {}),
        ("huber_loss", {"delta": 0.7}),
        ("smooth_l1_loss", {"beta": 0.7}),
        ("smooth_l1_loss", {"beta": 0.0}),
    ],
)
def test_regression_loss(oracle, ours, options, reduction, dtype):
    x, y = oracle.numbers(5, 3), oracle.numbers(5, 3, seed=1)
    y[0, 0] = x[0, 0]  # a difference of 0, where l1 has its kink
    both(oracle, ours, ours, x, y, dtype=dtype, reduction=reduction, **options)


def test_predictions_do_not_broadcast_against_targets():
    with pytest.raises(ShapeError, match=r"mse_loss .* one shape, but got \(3, 1\) and \(3,\)"):
        nn.mse_loss(rnp.ones((3, 1)), rnp.ones(3))


def test_an_unknown_reduction_is_named():
    with pytest.raises(ArgumentError, match="'mean', 'sum' or 'none', not 'average'"):
        nn.mse_loss(1.0, 2.0, reduction="average")


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("variances", [(5, 3), (5, 1), (5,)])
def test_gaussian_nll_loss(oracle, variances, full, reduction, dtype):
    v = oracle.numbers(*variances, low=0.1, seed=2)
    v.flat[0] = 1e-9  # below epsilon
    theirs = oracle.torch.nn.functional.gaussian_nll_loss
    oracle.assert_same(
        lambda x, y, v: nn.gaussian_nll_loss(x, y, v, full=full, epsilon=0.01, reduction=reduction),
        lambda x, y, v: theirs(x, y, v, full=full, eps=0.01, reduction=reduction),
        oracle.numbers(5, 3),
        oracle.numbers(5, 3, seed=1),
        v,
        dtype=dtype,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("log_input", [False, True])
def test_poisson_nll_loss(oracle, log_input, full, reduction, dtype):
    x = oracle.numbers(5, 3, low=-3 if log_input else 0.1)
    y = oracle.numbers(5, 3, low=0, high=4, seed=1).round()
    theirs = oracle.torch.nn.functional.poisson_nll_loss
    settings = {"log_input": log_input, "full": full, "reduction": reduction}
    # The counts are data, to which PyTorch's derivative of its approximation is not of use.
    oracle.assert_same(
        lambda x: nn.poisson_nll_loss(x, y.astype(dtype), **settings),
        lambda x: theirs(x, oracle.torch.tensor(y.astype(dtype)), **settings),
        x,
        dtype=dtype,
    )


def test_gaussian_nll_loss_is_minus_the_log_density():
    x, y, v = np.array([1.0]), np.array([3.0]), np.array([4.0])
    density = np.exp(-((x - y) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
    np.testing.assert_allclose(nn.gaussian_nll_loss(x, y, v, full=True), -np.log(density[0]))


def test_variances_of_another_shape_are_refused():
    with pytest.raises(
        ShapeError, match=r"means of shape \(5, 3\) go with variances .* not \(3,\)"
    ):
        nn.gaussian_nll_loss(rnp.ones((5, 3)), rnp.ones((5, 3)), rnp.ones(3))
