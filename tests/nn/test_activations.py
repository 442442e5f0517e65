"""Activations: PyTorch's values and derivatives, at kinks and far out too."""

import functools

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

ELEMENTWISE = {
    "relu": (nn.relu, "relu", {}),
    "relu6": (nn.relu6, "relu6", {}),
    "leaky_relu": (nn.leaky_relu, "leaky_relu", {}),
    "leaky_relu_steep": (
        functools.partial(nn.leaky_relu, negative_slope=0.3),
        "leaky_relu",
        {"negative_slope": 0.3},
    ),
    "elu": (functools.partial(nn.elu, alpha=1.5), "elu", {"alpha": 1.5}),
    "selu": (nn.selu, "selu", {}),
    # PyTorch rounds 1 / alpha to float32 in the derivative, so one that it can hold.
    "celu": (functools.partial(nn.celu, alpha=0.5), "celu", {"alpha": 0.5}),
    "gelu": (nn.gelu, "gelu", {}),
    "gelu_tanh": (
        functools.partial(nn.gelu, approximate="tanh"),
        "gelu",
        {"approximate": "tanh"},
    ),
    "silu": (nn.silu, "silu", {}),
    "mish": (nn.mish, "mish", {}),
    "sigmoid": (nn.sigmoid, "sigmoid", {}),
    "log_sigmoid": (nn.log_sigmoid, "logsigmoid", {}),
    "softplus": (nn.softplus, "softplus", {}),
    "softplus_sharp": (
        functools.partial(nn.softplus, beta=2.0, threshold=4.0),
        "softplus",
        {"beta": 2.0, "threshold": 4.0},
    ),
    "softsign": (nn.softsign, "softsign", {}),
    "tanh": (nn.tanh, "tanh", {}),
    "hard_tanh": (nn.hard_tanh, "hardtanh", {}),
    "hard_swish": (nn.hard_swish, "hardswish", {}),
    "threshold": (
        functools.partial(nn.threshold, threshold=1.0, value=-0.5),
        "threshold",
        {"threshold": 1.0, "value": -0.5},
    ),
    "hardshrink": (nn.hardshrink, "hardshrink", {}),
    "softshrink": (
        functools.partial(nn.softshrink, lambd=2.5),
        "softshrink",
        {"lambd": 2.5},
    ),
    "tanhshrink": (nn.tanhshrink, "tanhshrink", {}),
}
# Ordinary values, every kink, and values at which exponentials over- or underflow in float32.
POINTS = np.concatenate(
    [np.linspace(-8, 8, 33), [-1.0, 0.0, 1.0, 2.5, 6.0, -3.0, 3.0, 25.0, -25.0, 90.0, -90.0]]
)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_activation_is_pytorchs(name, dtype):
    oracle = pytest.importorskip("tests.nn.oracle")
    ours, theirs, options = ELEMENTWISE[name]
    function = getattr(oracle.torch.nn.functional, theirs)
    oracle.assert_same(ours, lambda x: function(x, **options), POINTS, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hard_sigmoid_is_a_shifted_relu6(dtype):
    # torch.nn.functional.hardsigmoid rounds 1/6 to float32 in its derivative.
    oracle = pytest.importorskip("tests.nn.oracle")
    relu6 = oracle.torch.nn.functional.relu6
    oracle.assert_same(nn.hard_sigmoid, lambda x: relu6(x + 3) / 6, POINTS, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "glu"])
def test_activation_along_an_axis_is_pytorchs(name, axis, dtype):
    oracle = pytest.importorskip("tests.nn.oracle")
    x = oracle.numbers(4, 6, 2, low=-20, high=20)
    function = getattr(oracle.torch.nn.functional, name)
    oracle.assert_same(
        lambda x: getattr(nn, name)(x, axis), lambda x: function(x, dim=axis), x, dtype=dtype
    )


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "gate"), [("geglu", "gelu"), ("swiglu", "silu")])
def test_gates_are_products_of_halves(name, gate):
    oracle = pytest.importorskip("tests.nn.oracle")

    def theirs(x):
        a, b = x.chunk(2, dim=1)
        return getattr(oracle.torch.nn.functional, gate)(a) * b

    oracle.assert_same(lambda x: getattr(nn, name)(x, 1), theirs, oracle.numbers(4, 6, 2))


@pytest.mark.oracle
@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_is_pytorchs_for_the_same_noise(hard, monkeypatch):
    oracle = pytest.importorskip("tests.nn.oracle")
    torch, key = oracle.torch, random.key(3)
    noise = torch.tensor(np.asarray(random.gumbel(key, (4, 3, 2), "float64")))
    # PyTorch draws exponential numbers, whose logarithms are the noise.
    draw = lambda self: self.copy_(torch.exp(-noise))  # noqa: E731
    monkeypatch.setattr(torch.Tensor, "exponential_", draw)
    oracle.assert_same(
        lambda x: nn.gumbel_softmax(x, key, 0.7, hard=hard, axis=1),
        lambda x: torch.nn.functional.gumbel_softmax(x, 0.7, hard, dim=1),
        oracle.numbers(4, 3, 2),
    )


def test_gumbel_softmax_draws_the_classes_of_the_logits():
    p = np.array([0.1, 0.2, 0.7])
    logits = rnp.broadcast_to(rnp.log(p), (20000, 3))
    draws = np.asarray(nn.gumbel_softmax(logits, random.key(0), hard=True))
    # 20,000 draws: the standard deviation of each share is at most 0.0035.
    np.testing.assert_allclose(draws.mean(0), p, atol=0.015)


@pytest.mark.oracle
@pytest.mark.parametrize("weights", [1, 5])
def test_prelu_is_pytorchs(weights):
    oracle = pytest.importorskip("tests.nn.oracle")
    x, w = oracle.numbers(2, 5, 3), oracle.numbers(weights, seed=2)
    oracle.assert_same(nn.functional.prelu, oracle.torch.nn.functional.prelu, x, w)


@pytest.mark.oracle
def test_one_hot_is_pytorchs():
    oracle = pytest.importorskip("tests.nn.oracle")
    labels = np.array([[0, 3], [2, 2]])
    expected = oracle.torch.nn.functional.one_hot(oracle.torch.tensor(labels), 4).numpy()
    np.testing.assert_array_equal(nn.one_hot(labels, 4), expected)
    np.testing.assert_array_equal(nn.one_hot(labels, 4, axis=0), np.moveaxis(expected, -1, 0))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activation_passes_nan_through(name):
    assert np.isnan(float(ELEMENTWISE[name][0](rnp.array(np.nan))))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_finite_everywhere(name):
    # An unchosen branch that overflows would give 0 * inf = NaN.
    gradient = vmap(grad(ELEMENTWISE[name][0]))(rnp.array(POINTS, dtype="float32"))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_activation_keeps_sixteen_bit_floats(name, dtype):
    x = rnp.array([-1.5, 0.5], dtype=dtype)
    exact = ELEMENTWISE[name][0](x.astype("float64"))
    out = ELEMENTWISE[name][0](x)
    assert out.dtype == x.dtype
    # A handful of roundings to 8 (bfloat16) or 11 (float16) bits.
    np.testing.assert_allclose(np.asarray(out, float), exact, rtol=0.02, atol=0.02)


def test_softmax_of_a_masked_row_ignores_minus_infinity():
    x = rnp.array([0.0, -np.inf, 0.0])
    np.testing.assert_array_equal(nn.softmax(x), [0.5, 0.0, 0.5])
    assert np.isfinite(grad(lambda x: nn.softmax(x)[0])(x)).all()


@pytest.mark.parametrize("function", [nn.softmax, nn.log_softmax, nn.softmin])
def test_softmax_of_nothing_is_empty(function):
    for shape in ((3, 0), (0, 3)):
        assert function(rnp.zeros(shape)).shape == shape


def test_softmax_takes_several_axes():
    x = rnp.array(np.arange(12.0).reshape(2, 2, 3))
    together = nn.softmax(x.reshape((2, 6))).reshape((2, 2, 3))
    # The same sums, in another order: float32 rounding.
    np.testing.assert_allclose(nn.softmax(x, axis=(1, 2)), together, rtol=1e-6)


def test_standardize_gives_mean_0_and_variance_1():
    x = nn.standardize(rnp.array(np.arange(6.0)), epsilon=0.0)
    assert abs(float(x.mean())) < 1e-6
    assert abs(float(x.var()) - 1) < 1e-6


def test_one_hot_of_labels_out_of_range_is_all_zero():
    np.testing.assert_array_equal(nn.one_hot(np.array([-1, 3]), 3), np.zeros((2, 3)))


def test_one_hot_refuses_floats():
    with pytest.raises(DtypeError, match="one_hot takes integers, not float32"):
        nn.one_hot(rnp.ones(2), 3)


def test_glu_refuses_an_odd_axis():
    with pytest.raises(ShapeError, match=r"glu halves axis 1 .* \(2, 3\) has the odd size 3"):
        nn.glu(rnp.ones((2, 3)))


def test_gelu_refuses_an_unknown_approximation():
    with pytest.raises(ArgumentError, match="approximate is 'none' or 'tanh', not 'fast'"):
        nn.gelu(1.0, "fast")


def test_prelu_refuses_a_weight_that_is_not_one_per_channel():
    with pytest.raises(ShapeError, match=r"weight of shape \(3,\) .* input of shape \(2, 5\)"):
        nn.functional.prelu(rnp.ones((2, 5)), rnp.ones(3))
