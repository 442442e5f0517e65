"""Pooling: PyTorch's numbers and gradients for every option, also where windows hang over."""

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

DTYPES = ["float32", "float64"]


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


def both(oracle, name, x, *args, dtype="float64", **options):
    oracle.assert_same(
        lambda x: getattr(nn, name)(x, *args, **options),
        lambda x: getattr(oracle.torch.nn.functional, name)(x, *args, **options),
        x,
        dtype=dtype,
    )


WINDOWS = {
    "1d": ((2, 3, 9), 3, {}),
    "1d all": ((2, 3, 10), 3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    "1d single": ((3, 9), 2, {"stride": 1}),
    "2d": ((2, 3, 7, 6), 2, {}),
    "2d by axis": ((2, 3, 7, 8), (3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    "2d hanging over": ((1, 2, 6, 7), 3, {"stride": 2, "ceil_mode": True}),
    # The last window would start in the padding, and is left out.
    "2d starting behind": ((1, 2, 5, 6), 2, {"stride": 3, "padding": 1, "ceil_mode": True}),
    "2d apart": ((1, 2, 6, 7), 2, {"stride": 5, "ceil_mode": True}),
    "3d": ((1, 2, 4, 5, 6), (2, 3, 2), {"stride": (1, 2, 2), "padding": (1, 1, 0)}),
    "3d ceil": ((1, 2, 4, 5, 3), 2, {"ceil_mode": True}),
}


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", WINDOWS)
def test_max_pool_is_pytorchs(oracle, case, dtype):
    shape, window, options = WINDOWS[case]
    both(oracle, f"max_pool{case[:2]}", oracle.numbers(*shape), window, dtype=dtype, **options)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options",
    [{"dilation": 2}, {"dilation": (2, 1), "stride": 2, "padding": 1, "ceil_mode": True}],
)
def test_dilated_max_pool_is_pytorchs(oracle, options):
    both(oracle, "max_pool2d", oracle.numbers(2, 3, 8, 7), (3, 2), **options)


@pytest.mark.oracle
@pytest.mark.parametrize("case", WINDOWS)
def test_indices_of_maxima_are_pytorchs(oracle, case):
    shape, window, options = WINDOWS[case]
    name = f"max_pool{case[:2]}"
    x = np.random.default_rng(0).integers(0, 9, shape).astype(float)  # with equal ones
    wanted = getattr(oracle.torch.nn.functional, name)(
        oracle.torch.tensor(x), window, return_indices=True, **options
    )

    def ours(x):
        return getattr(nn, name)(x, window, return_indices=True, **options)

    for function in (ours, jit(ours)):
        for found, expected in zip(function(x), wanted, strict=True):
            np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("shape", "window", "options", "output_size"),
    [
        ((2, 3, 8), 2, {}, None),
        ((3, 9), 2, {}, (9,)),
        ((2, 3, 6, 8), (2, 3), {"stride": (2, 3), "padding": (0, 1)}, (6, 8)),
        ((1, 2, 7, 6), 2, {"stride": 3}, (7, 6)),
        ((1, 2, 4, 4, 6), 2, {}, None),
    ],
)
def test_unpooling_is_pytorchs(oracle, shape, window, options, output_size):
    rank = (output_size and len(output_size)) or len(shape) - 2
    x, functional = oracle.numbers(*shape), oracle.torch.nn.functional
    pooled, indices = getattr(nn, f"max_pool{rank}d")(x, window, return_indices=True, **options)
    name = f"max_unpool{rank}d"
    tensor = oracle.torch.tensor(np.asarray(indices, "int64"))
    oracle.assert_same(
        lambda y: getattr(nn, name)(y, indices, window, output_size=output_size, **options),
        lambda y: getattr(functional, name)(y, tensor, window, output_size=output_size, **options),
        np.asarray(pooled),
    )


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["max_pool2d", "adaptive_max_pool2d"])
def test_the_gradient_goes_to_the_first_of_equal_maxima(oracle, name):
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 6, 7)).astype(float)
    both(oracle, name, x, (3, 3), **({"stride": 2} if name == "max_pool2d" else {}))


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("case", WINDOWS)
def test_avg_pool_is_pytorchs(oracle, case, include, dtype):
    shape, window, options = WINDOWS[case]
    both(
        oracle,
        f"avg_pool{case[:2]}",
        oracle.numbers(*shape),
        window,
        count_include_pad=include,
        dtype=dtype,
        **options,
    )


@pytest.mark.oracle
def test_avg_pool_with_a_divisor_is_pytorchs(oracle):
    x = oracle.numbers(1, 2, 6, 7)
    both(oracle, "avg_pool2d", x, 3, padding=1, divisor_override=5)
    both(oracle, "avg_pool3d", x[:, :, None], (1, 3, 3), ceil_mode=True, divisor_override=-2)


@pytest.mark.oracle
@pytest.mark.parametrize("p", [1, 2, 3.5])
@pytest.mark.parametrize(
    ("name", "shape", "window", "options"),
    [
        ("lp_pool1d", (2, 3, 8), 3, {}),
        ("lp_pool2d", (2, 3, 7, 6), (3, 2), {"stride": 2, "ceil_mode": True}),
        ("lp_pool3d", (1, 2, 4, 4, 4), 2, {}),
    ],
)
def test_lp_pool_is_pytorchs(oracle, name, shape, window, options, p):
    both(oracle, name, oracle.numbers(*shape, low=0.1), p, window, **options)


def test_lp_pool_of_zeros_has_a_finite_derivative():
    x = rnp.array([[[0.0, 0.0, 3.0, 4.0]]])
    np.testing.assert_allclose(
        grad(lambda x: nn.lp_pool1d(x, 2, 2).sum())(x), [[[0, 0, 0.6, 0.8]]], rtol=1e-6
    )


ADAPTIVE = {
    "1d": ((2, 3, 7), 3),
    "1d even": ((2, 3, 8), 4),
    "1d more than there is": ((2, 3, 3), 5),
    "2d": ((2, 3, 7, 5), (3, 2)),
    "2d even on one axis": ((2, 3, 6, 5), (3, 2)),
    "2d to one": ((2, 3, 6, 5), 1),
    "2d one given": ((2, 3, 6, 5), (None, 3)),
    "2d single": ((3, 6, 5), (2, 3)),
    "3d": ((1, 2, 5, 4, 3), (2, 3, 3)),
}


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("case", ADAPTIVE)
def test_adaptive_pool_is_pytorchs(oracle, case, kind, dtype):
    shape, size = ADAPTIVE[case]
    name = f"adaptive_{kind}_pool{case[:2]}"
    both(oracle, name, oracle.numbers(*shape), size, dtype=dtype)


def test_an_infinity_stays_in_its_bins():
    x = np.ones((1, 1, 7))
    x[..., -1] = np.inf
    out = nn.adaptive_avg_pool1d(x, 3)
    np.testing.assert_array_equal(out, [[[1, 1, np.inf]]])


def test_global_pools():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(nn.global_avg_pool(x), x.mean((2, 3)), rtol=1e-12)
    np.testing.assert_array_equal(nn.global_max_pool(x), x.max((2, 3)))
    assert nn.global_avg_pool(x, keepdims=True).shape == (2, 3, 1, 1)
    assert nn.global_max_pool(x, keepdims=True).shape == (2, 3, 1, 1)
    one = grad(lambda x: nn.global_max_pool(x).sum())(np.ones((1, 1, 3)))
    assert one.tolist() == [[[1, 0, 0]]]


def test_padding_by_name_and_by_pairs():
    x = np.arange(5.0).reshape(1, 1, 5)
    assert nn.max_pool1d(x, 2, 1, "SAME").tolist() == [[[1, 2, 3, 4, 4]]]
    assert nn.avg_pool1d(x, 2, 2, ((0, 1),)).tolist() == [[[0.5, 2.5, 2]]]
    assert nn.avg_pool1d(x, 2, 2, "same", count_include_pad=False).tolist() == [[[0.5, 2.5, 4]]]


def test_integers_have_maxima():
    x = rnp.arange(6).reshape(1, 1, 6)
    out = nn.max_pool1d(x, 3, padding=1)
    assert (out.tolist(), out.dtype) == ([[[1, 4]]], x.dtype)


def test_half_precision_is_kept_and_added_in_single():
    x = rnp.full((1, 1, 1024), 1.0078125, "bfloat16")
    for out in (nn.avg_pool1d(x, 1024), nn.adaptive_avg_pool1d(x, 1), nn.global_avg_pool(x)):
        assert str(out.dtype) == "bfloat16"
        assert float(out.reshape(())) == 1.0078125


LAYERS = {
    "max_pool(3, stride=2)": (nn.max_pool(3, stride=2), "max_pool2d", (3, 2), {}),
    "avg_pool((2, 3))": (
        nn.avg_pool((2, 3), padding=1, count_include_pad=False),
        "avg_pool2d",
        ((2, 3), None, 1),
        {"count_include_pad": False},
    ),
    "lp_pool(2)": (nn.lp_pool(2, 2), "lp_pool2d", (2, 2), {}),
    "adaptive_avg_pool((2, None))": (
        nn.adaptive_avg_pool((2, None)),
        "adaptive_avg_pool2d",
        ((2, None),),
        {},
    ),
    "adaptive_max_pool(3)": (nn.adaptive_max_pool(3), "adaptive_max_pool2d", (3,), {}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_apply_their_function(name):
    layer, function, args, options = LAYERS[name]
    assert repr(layer) == name
    x = np.random.default_rng(0).uniform(0.1, 1, (2, 3, 7, 6))
    params, state = layer.init(None, x.shape)
    assert not params
    assert not state
    wanted = np.asarray(getattr(nn, function)(x, *args, **options))

    def of(x):
        return layer.apply(params, state, x)[0]

    np.testing.assert_array_equal(of(x), wanted)
    # Compiled sums may be in another order.
    np.testing.assert_allclose(jit(of)(x), wanted, rtol=1e-12)
    np.testing.assert_allclose(vmap(of)(x[None])[0], wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("error", "match", "function"),
    [
        (
            ArgumentError,
            r"max_pool2d: padding 2 is more than half of the window \(3, 3\)",
            lambda: nn.max_pool2d(rnp.ones((1, 1, 8, 8)), 3, padding=2),
        ),
        (
            ShapeError,
            r"avg_pool2d: the window \(9, 9\) is larger than the input of shape \(1, 1, 8, 8\)",
            lambda: nn.avg_pool2d(rnp.ones((1, 1, 8, 8)), 9),
        ),
        (
            ShapeError,
            r"max_pool1d takes an input \(N, C, L\) or, without a batch, \(C, L\), not one of "
            r"shape \(1, 1, 8, 8\)",
            lambda: nn.max_pool1d(rnp.ones((1, 1, 8, 8)), 2),
        ),
        (
            ArgumentError,
            "kernel_size is one positive integer or 2 of them",
            lambda: nn.max_pool2d(rnp.ones((1, 1, 8, 8)), (2, 2, 2)),
        ),
        (
            ArgumentError,
            "output_size is one positive integer or 2 of them",
            lambda: nn.adaptive_avg_pool2d(rnp.ones((1, 1, 8, 8)), (2, None, 2)),
        ),
        (
            ShapeError,
            r"adaptive_avg_pool2d does not take an input of shape \(1, 1, 0, 8\)",
            lambda: nn.adaptive_avg_pool2d(rnp.ones((1, 1, 0, 8)), 1),
        ),
        (
            ArgumentError,
            "divisor_override is not 0",
            lambda: nn.avg_pool1d(rnp.ones((1, 1, 8)), 2, divisor_override=0),
        ),
        (
            ArgumentError,
            "norm_type is not 0",
            lambda: nn.lp_pool1d(rnp.ones((1, 1, 8)), 0, 2),
        ),
        (
            DtypeError,
            "max_pool1d does not take complex64",
            lambda: nn.max_pool1d(rnp.ones((1, 1, 8), "complex64"), 2),
        ),
        (
            ShapeError,
            r"In layer '1.pool': max_pool takes an input \(N, C, \*spatial\) of rank 3 or more",
            lambda: nn.sequential(nn.relu, nn.sequential({"pool": nn.max_pool(2)})).apply(
                {}, {}, rnp.ones((1, 8))
            ),
        ),
        (
            ShapeError,
            r"the input has shape \(1, 1, 2\), the indices int32 \(1, 1, 3\)",
            lambda: nn.max_unpool1d(rnp.ones((1, 1, 2)), rnp.zeros((1, 1, 3), "int32"), 2),
        ),
        (
            ArgumentError,
            "max_unpool1d: indices must be from 0 to 3, but 4 is among them",
            lambda: nn.max_unpool1d(rnp.ones((1, 1, 2)), rnp.array([[[0, 4]]]), 2),
        ),
        (
            ArgumentError,
            r"max_pool\(2\) takes one input, but got 2",
            lambda: nn.max_pool(2).apply({}, {}, rnp.ones((1, 1, 8)), rnp.ones((1, 1, 8))),
        ),
    ],
)
def test_what_does_not_fit_is_refused(error, match, function):
    with pytest.raises(error, match=match):
        function()
