"""Initializers: their bounds, means and variances, and PyTorch's fans and gains."""

import math

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.nn import initializers as init

KEY = random.key(0)
SHAPE = (200, 30, 3, 3)  # fan-in 270, fan-out 1800

CASES = {
    "kaiming_uniform": (init.kaiming_uniform(), 2 / 270),
    "pytorch": (init.kaiming_uniform(math.sqrt(5)), 1 / (3 * 270)),
    "kaiming_normal": (init.kaiming_normal(), 2 / 270),
    "kaiming_fan_out": (init.kaiming_normal(mode="fan_out", nonlinearity="relu"), 2 / 1800),
    "xavier_uniform": (init.xavier_uniform(), 2 / 2070),
    "xavier_normal": (init.xavier_normal(2.0), 8 / 2070),
    "lecun_uniform": (init.lecun_uniform(), 1 / 270),
    "lecun_normal": (init.lecun_normal(), 1 / 270),
    "normal": (init.normal(0.5), 0.25),
    "uniform": (init.uniform(-1.0, 1.0), 1 / 3),
}


@pytest.mark.parametrize("name", CASES)
def test_mean_is_0_and_variance_as_stated(name):
    initializer, variance = CASES[name]
    values = np.asarray(initializer(KEY, SHAPE))
    assert values.shape == SHAPE
    assert values.dtype == np.float32
    # 54,000 draws estimate the variance to about 1 % and the mean to 0.5 % of a deviation.
    assert values.var() == pytest.approx(variance, rel=0.03)
    assert abs(values.mean()) < 0.02 * math.sqrt(variance)


@pytest.mark.oracle
def test_fans_and_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    for shape in [(4, 3), SHAPE]:
        expected = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
        assert init.fans(shape) == expected
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-12)
    slope = torch.nn.init.calculate_gain("leaky_relu", 0.3)
    assert init.gain("leaky_relu", 0.3) == pytest.approx(slope, rel=1e-12)


def test_truncated_normal_stays_within_its_bounds():
    values = np.asarray(init.truncated_normal(1.0, 0.5, -1.0, 1.0)(KEY, (10000,)))
    assert values.min() >= -1
    assert values.max() <= 1
    assert values.mean() > 0


def test_constants():
    np.testing.assert_array_equal(init.zeros(KEY, (2,)), [0, 0])
    np.testing.assert_array_equal(init.ones(KEY, (2,)), [1, 1])
    np.testing.assert_array_equal(init.constant(3.0)(KEY, (2,)), [3, 3])


@pytest.mark.parametrize("name", CASES)
def test_the_dtype_is_the_one_asked_for(name):
    assert CASES[name][0](KEY, (4, 3), "float64").dtype == np.float64


def test_a_bias_of_no_inputs_is_0():
    np.testing.assert_array_equal(init.default_bias(0)(KEY, (2,)), [0, 0])


def test_a_vector_has_no_fan_in():
    with pytest.raises(ShapeError, match=r"fan-in of a parameter of shape \(3,\) is not defined"):
        init.kaiming_uniform()(KEY, (3,))


def test_unknown_names_are_refused():
    with pytest.raises(ArgumentError, match="mode is fan_in, fan_out or fan_avg, not 'fan'"):
        init.variance_scaling(1.0, "fan")
    with pytest.raises(ArgumentError, match="distribution is uniform, normal or truncated_normal"):
        init.variance_scaling(1.0, "fan_in", "gamma")
    with pytest.raises(ArgumentError, match=r"gain is known for .*, not for 'sin'"):
        init.gain("sin")


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (8, 2, 3), (3, 4, 2, 2)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    pytest.importorskip("rtfunc.numpy.linalg")
    w = np.asarray(init.orthogonal(2.0)(KEY, shape, "float64")).reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("shape", "groups"), [((3, 2, 3), 1), ((4, 4, 3, 2), 2), ((6, 2, 1, 3, 4), 3), ((2, 5, 4), 1)]
)
def test_dirac_is_pytorchs(shape, groups):
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    np.testing.assert_array_equal(init.dirac(groups)(KEY, shape), expected)


def test_a_dirac_convolution_returns_its_input():
    layer = nn.conv(3, 3, padding="SAME", bias=False, weight_init=init.dirac())
    params, state = layer.init(KEY, (1, 3, 5, 4))
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    np.testing.assert_allclose(layer.apply(params, state, x)[0], x)


def test_sparse_has_zeros_in_every_column():
    w = np.asarray(init.sparse(0.3, 2.0)(KEY, (1000, 7)))
    np.testing.assert_array_equal((w == 0).sum(axis=0), 300)
    # 4,900 draws: the standard deviation of the estimate is 1 %.
    assert w[w != 0].std() == pytest.approx(2.0, rel=0.05)
    assert len({tuple(column) for column in (w == 0).T}) == 7


@pytest.mark.parametrize(
    ("error", "match", "function"),
    [
        (
            ShapeError,
            r"dirac takes a shape \(out, in, \*window\)",
            lambda: init.dirac()(KEY, (3, 3)),
        ),
        (ShapeError, "out a multiple of 2 groups", lambda: init.dirac(2)(KEY, (3, 3, 3))),
        (ShapeError, r"sparse takes a shape \(out, in\)", lambda: init.sparse(0.5)(KEY, (3, 3, 3))),
        (ArgumentError, "sparsity is a share from 0 to 1, but got 2", lambda: init.sparse(2)),
    ],
)
def test_shapes_that_an_initializer_is_not_for_are_refused(error, match, function):
    with pytest.raises(error, match=match):
        function()


def test_orthogonal_takes_a_matrix():
    with pytest.raises(
        ShapeError, match=r"orthogonal takes a shape with two axes or more, not \(3,\)"
    ):
        init.orthogonal()(KEY, (3,))
