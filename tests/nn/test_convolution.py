"""Convolutions: PyTorch's numbers, gradients, names and defaults, and refusals of what is wrong."""

import numpy as np
import pytest

from rtfunc import nn, random, tree
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

KEY = random.key(0)
DTYPES = ["float32", "float64"]


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


# x, weight, options that PyTorch's function takes
CONVOLUTIONS = {
    "1d": ((2, 4, 9), (6, 4, 3), {}),
    "1d strided, padded, dilated": (
        (2, 4, 9),
        (6, 4, 3),
        {"stride": 2, "padding": 3, "dilation": 2},
    ),
    "1d same": ((2, 2, 7), (3, 2, 4), {"padding": "same"}),
    "1d valid": ((2, 2, 7), (3, 2, 4), {"padding": "valid"}),
    "2d": ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    "2d by axis": (
        (2, 3, 7, 6),
        (4, 3, 3, 2),
        {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    ),
    "2d same, dilated": ((1, 2, 6, 6), (3, 2, 3, 2), {"padding": "same", "dilation": (2, 3)}),
    "2d groups": ((2, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    "2d depthwise": ((2, 4, 5, 5), (8, 1, 3, 3), {"groups": 4, "stride": 2}),
    "2d pointwise": ((2, 4, 5, 5), (3, 4, 1, 1), {}),
    "2d single": ((3, 6, 5), (4, 3, 3, 2), {"padding": 1}),
    "3d": ((1, 2, 4, 5, 4), (3, 2, 2, 3, 2), {"stride": (1, 2, 1), "padding": (0, 1, 1)}),
    "3d groups": ((1, 4, 3, 4, 3), (2, 2, 2, 2, 2), {"groups": 2, "dilation": (2, 1, 1)}),
}


# PyTorch warns that it copies its input there.
of_even_window = pytest.mark.filterwarnings("ignore:Using padding='same'")


@pytest.mark.oracle
@of_even_window
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution_is_pytorchs(oracle, case, dtype):
    x, w, options = CONVOLUTIONS[case]
    name = f"conv{len(w) - 2}d"
    arrays = [oracle.numbers(*x), oracle.numbers(*w, seed=1), oracle.numbers(w[0], seed=2)]
    oracle.assert_same(
        lambda x, w, b: getattr(nn, name)(x, w, b, **options),
        lambda x, w, b: getattr(oracle.torch.nn.functional, name)(x, w, b, **options),
        *arrays,
        dtype=dtype,
    )


TRANSPOSED = {
    "1d": ((2, 4, 5), (4, 3, 3), {}),
    "1d all": (
        (2, 4, 5),
        (4, 3, 3),
        {"stride": 3, "padding": 2, "output_padding": 1, "dilation": 2},
    ),
    "2d": ((2, 3, 4, 5), (3, 4, 3, 2), {}),
    "2d by axis": (
        (2, 3, 4, 3),
        (3, 2, 4, 3),
        {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2), "dilation": (1, 2)},
    ),
    "2d groups": ((2, 4, 3, 3), (4, 3, 3, 3), {"groups": 2, "stride": 2, "padding": 1}),
    "2d depthwise": ((2, 4, 3, 3), (4, 1, 2, 2), {"groups": 4, "stride": 2}),
    "2d single": ((3, 4, 4), (3, 2, 3, 3), {"stride": 2}),
    "2d padding wider than the window": ((1, 2, 6, 6), (2, 3, 2, 2), {"padding": 2}),
    "3d": ((1, 2, 3, 2, 3), (2, 3, 2, 2, 2), {"stride": (1, 2, 1), "output_padding": (0, 1, 0)}),
    "3d groups": ((1, 4, 2, 3, 2), (4, 2, 2, 2, 2), {"groups": 2, "stride": 2}),
}


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolution_is_pytorchs(oracle, case, dtype):
    x, w, options = TRANSPOSED[case]
    name, features = f"conv_transpose{len(w) - 2}d", w[1] * options.get("groups", 1)
    arrays = [oracle.numbers(*x), oracle.numbers(*w, seed=1), oracle.numbers(features, seed=2)]
    oracle.assert_same(
        lambda x, w, b: getattr(nn, name)(x, w, b, **options),
        lambda x, w, b: getattr(oracle.torch.nn.functional, name)(x, w, b, **options),
        *arrays,
        dtype=dtype,
    )


def close_trees(ours, theirs, oracle, dtype="float64"):
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        oracle.assert_close(value, theirs[name], dtype, name)


def check_layer(oracle, ours, theirs, x):
    """Output, gradients of input and parameters, names and shapes agree, eager and compiled."""
    torch = oracle.torch
    theirs = theirs.double()
    weights = {k: v.detach().numpy() for k, v in theirs.state_dict().items()}
    params, state = ours.init(KEY, rnp.zeros(x.shape, "float64"))
    assert {k: v.shape for k, v in nn.state_dict(params, state).items()} == {
        k: v.shape for k, v in weights.items()
    }
    params, state = nn.load_state_dict(weights, params, state)
    tensor = torch.tensor(x, requires_grad=True)
    expected = theirs(tensor)
    cotangent = oracle.numbers(*expected.shape, seed=9)
    expected.backward(torch.tensor(cotangent))
    wanted = {k: p.grad.numpy() for k, p in theirs.named_parameters()}

    def loss(params, x):
        out, _ = ours.apply(params, state, x)
        return (out * cotangent).sum(), out

    for compile_ in (lambda f: f, jit):
        (of_params, of_x), out = compile_(grad(loss, (0, 1), has_aux=True))(params, x)
        oracle.assert_close(out, expected.detach().numpy(), "float64")
        oracle.assert_close(of_x, tensor.grad.numpy(), "float64")
        close_trees(nn.state_dict(of_params), wanted, oracle)


@pytest.mark.oracle
@of_even_window
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(1, 2), "same"])
def test_padding_modes_are_pytorchs(oracle, mode, padding):
    settings = {"padding": padding, "padding_mode": mode, "dilation": (1, 2)}
    theirs = oracle.torch.nn.Conv2d(2, 3, (3, 2), **settings)
    check_layer(oracle, nn.conv(3, (3, 2), **settings), theirs, oracle.numbers(2, 2, 5, 6))


@pytest.mark.oracle
def test_layers_are_pytorchs(oracle):
    made = oracle.torch.nn
    check_layer(
        oracle,
        nn.conv(4, 3, stride=2, padding=1, groups=2, bias=False),
        made.Conv3d(2, 4, 3, stride=2, padding=1, groups=2, bias=False),
        oracle.numbers(2, 2, 3, 4, 3),
    )
    check_layer(
        oracle,
        nn.conv_transpose(4, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
        made.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
        oracle.numbers(2, 2, 3, 4),
    )
    check_layer(
        oracle,
        nn.sequential(nn.conv(3, 3, padding=1), nn.relu, nn.conv_transpose(2, (4,), stride=(2,))),
        made.Sequential(
            made.Conv1d(2, 3, 3, padding=1), made.ReLU(), made.ConvTranspose1d(3, 2, 4, stride=2)
        ),
        oracle.numbers(2, 2, 7),
    )


@pytest.mark.oracle
@pytest.mark.parametrize("transposed", [False, True])
def test_initial_values_have_pytorchs_bounds(oracle, transposed):
    kind = "ConvTranspose2d" if transposed else "Conv2d"
    theirs = getattr(oracle.torch.nn, kind)(8, 64, 5, groups=2)
    layer = (nn.conv_transpose if transposed else nn.conv)(64, 5, groups=2)
    params, _ = layer.init(KEY, (1, 8, 9, 9))
    for name, value in theirs.state_dict().items():
        ours, bound = np.abs(np.asarray(params[name])), float(value.abs().max())
        # The largest of at least 64 uniform numbers is within a tenth of the bound nearly always.
        assert 0.85 < ours.max() / bound < 1.15, name


def plain_convolution(x, w, stride, pads, dilation):
    """A loop over everything, as the definition says."""
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation)]
    sizes = [(n - span) // s + 1 for n, span, s in zip(x.shape[2:], spans, stride)]
    out = np.zeros((x.shape[0], w.shape[0], *sizes))
    for place in np.ndindex(*sizes):
        window = tuple(
            slice(p * s, p * s + span, d) for p, s, span, d in zip(place, stride, spans, dilation)
        )
        out[(..., *place)] = np.tensordot(
            x[(..., *window)], w, (range(1, x.ndim), range(1, w.ndim))
        )
    return out


@pytest.mark.parametrize(
    ("padding", "pads"),
    [
        (((1, 0), (0, 2)), ((1, 0), (0, 2))),
        ([1, 2], ((1, 1), (2, 2))),
        ("VALID", ((0, 0), (0, 0))),
        ("SAME", ((1, 1), (0, 1))),
    ],
)
def test_convolution_is_its_definition(padding, pads):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 2))
    wanted = plain_convolution(x, w, (2, 3), pads, (1, 2))
    if padding == "SAME":
        assert wanted.shape[2:] == (4, 2)  # ceil(7 / 2), ceil(6 / 3)
    out = nn.conv2d(x, w, None, (2, 3), padding, (1, 2))
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)  # a few roundings


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 0),)])
def test_transposed_convolution_is_the_convolutions_transpose(padding, window, stride):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 2, window))
    size = {"SAME": 4 * stride, "VALID": 3 * stride + window}.get(padding, 3 * stride + window - 1)
    x = rng.normal(size=(2, 2, size))
    y = nn.conv1d(x, w, None, stride, padding)
    assert y.shape == (2, 3, 4)
    ct = rng.normal(size=y.shape)
    wanted = grad(lambda x: (nn.conv1d(x, w, None, stride, padding) * ct).sum())(x)
    out = nn.conv_transpose1d(ct, w, None, stride, padding)
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)


def test_vmap_over_examples_is_the_batch():
    layer = nn.conv(4, (3, 3), padding=1)
    params, state = layer.init(KEY, (1, 2, 5, 5))
    x = rnp.array(np.random.default_rng(0).normal(size=(3, 2, 5, 5)), "float32")
    whole = layer.apply(params, state, x)[0]
    each = vmap(lambda x: layer.apply(params, state, x)[0])(x)
    np.testing.assert_allclose(each, whole, rtol=1e-5, atol=1e-6)  # sums in another order


def test_half_precision_is_kept():
    layer = nn.conv(4, 3)
    params, state = layer.init(KEY, rnp.zeros((1, 2, 5, 5), "bfloat16"))
    assert {str(p.dtype) for p in tree.leaves(params)} == {"bfloat16"}
    out, _ = layer.apply(params, state, rnp.ones((1, 2, 5, 5), "bfloat16"))
    assert str(out.dtype) == "bfloat16"


def test_names_say_what_matters():
    assert repr(nn.conv(8, 3)) == "conv(8, 3)"
    assert repr(nn.conv(8, [3, 1], stride=(2, 1))) == "conv(8, (3, 1), stride=(2, 1))"
    assert repr(nn.conv_transpose(8, 3, groups=4)) == "conv_transpose(8, 3, groups=4)"


def test_summary_counts_convolutions():
    table = nn.summary(nn.sequential(nn.conv(8, 3, padding=1, groups=2), nn.relu), (1, 4, 5, 5))
    (row, _) = table.rows
    assert row.output.shape == (1, 8, 5, 5)
    assert row.parameters == 8 * 2 * 9 + 8
    assert row.flops == 2 * 200 * 2 * 9 + 200  # products and sums, and the bias


MODEL = nn.sequential(nn.relu, nn.residual(nn.sequential({"conv1": nn.conv(4, 3, padding=1)})))


@pytest.mark.parametrize(
    ("error", "match", "function"),
    [
        (
            ShapeError,
            r"conv2d: the input of shape \(1, 5, 6, 6\) has 5 channels, but the weight of shape "
            r"\(4, 3, 3, 3\) takes 3",
            lambda: nn.conv2d(rnp.ones((1, 5, 6, 6)), rnp.ones((4, 3, 3, 3))),
        ),
        (
            ShapeError,
            r"weight of shape \(4, 3, 3\) in 2 groups takes 6",
            lambda: nn.conv1d(rnp.ones((1, 5, 6)), rnp.ones((4, 3, 3)), groups=2),
        ),
        (
            ShapeError,
            r"conv2d takes an input \(N, C, H, W\) or, without a batch, \(C, H, W\), not one of "
            r"shape \(6, 6\)",
            lambda: nn.conv2d(rnp.ones((6, 6)), rnp.ones((4, 3, 3, 3))),
        ),
        (
            ShapeError,
            r"conv1d takes a weight \(out, in / groups, 1 window axes\), not \(4, 3, 3, 3\)",
            lambda: nn.conv1d(rnp.ones((1, 3, 6)), rnp.ones((4, 3, 3, 3))),
        ),
        (
            ShapeError,
            r"the window \(5, 5\) with dilation \(2, 2\) is larger than the input of shape "
            r"\(1, 3, 6, 6\) with padding 1",
            lambda: nn.conv2d(
                rnp.ones((1, 3, 6, 6)), rnp.ones((4, 3, 5, 5)), padding=1, dilation=2
            ),
        ),
        (
            ShapeError,
            r"the bias of 4 output channels has the shape \(4,\), not \(3,\)",
            lambda: nn.conv1d(rnp.ones((1, 3, 6)), rnp.ones((4, 3, 3)), rnp.ones(3)),
        ),
        (
            ShapeError,
            "the 4 output channels of a weight of shape .* do not divide into 3 groups",
            lambda: nn.conv1d(rnp.ones((1, 3, 6)), rnp.ones((4, 1, 3)), groups=3),
        ),
        (
            ArgumentError,
            "stride is one positive integer or 2 of them, one for each spatial axis, not",
            lambda: nn.conv2d(rnp.ones((1, 3, 6, 6)), rnp.ones((4, 3, 5, 5)), stride=(1, 2, 3)),
        ),
        (
            ArgumentError,
            "padding is 'SAME', 'VALID', an integer, or for each of 2 spatial axes",
            lambda: nn.conv2d(rnp.ones((1, 3, 6, 6)), rnp.ones((4, 3, 5, 5)), padding="HALF"),
        ),
        (
            ArgumentError,
            "padding_mode is 'zeros', 'reflect', 'replicate' or 'circular', not 'mirror'",
            lambda: nn.conv(8, 3, padding_mode="mirror"),
        ),
        (
            ArgumentError,
            r"output_padding \(2,\) is not smaller than the stride \(2,\) or the dilation \(1,\)",
            lambda: nn.conv_transpose1d(
                rnp.ones((1, 3, 6)), rnp.ones((3, 4, 3)), stride=2, output_padding=2
            ),
        ),
        (
            ShapeError,
            r"conv_transpose1d: the input of shape \(1, 5, 6\) has 5 channels, but the weight of "
            r"shape \(3, 4, 3\) takes 3",
            lambda: nn.conv_transpose1d(rnp.ones((1, 5, 6)), rnp.ones((3, 4, 3))),
        ),
        (
            ShapeError,
            "padding 9 cuts everything from the output",
            lambda: nn.conv_transpose1d(rnp.ones((1, 3, 6)), rnp.ones((3, 4, 3)), padding=9),
        ),
        (
            ShapeError,
            r"conv\(4, 3\) takes an input \(N, C, \*spatial\) of rank 3 or more, not of rank 2",
            lambda: nn.conv(4, 3).init(KEY, (1, 3)),
        ),
        (
            ShapeError,
            r"conv\(4, 3, groups=2\): the 3 input channels do not divide into 2 groups",
            lambda: nn.conv(4, 3, groups=2).init(KEY, (1, 3, 8)),
        ),
        (ArgumentError, "features is a positive integer, but got 0", lambda: nn.conv(0, 3)),
        (
            ShapeError,
            r"In layer '1.conv1': conv: the input of shape \(1, 5, 6, 6\) has 5 channels, but the "
            r"weight of shape \(4, 4, 3, 3\) takes 4",
            lambda: MODEL.apply(*MODEL.init(KEY, (1, 4, 6, 6)), rnp.ones((1, 5, 6, 6))),
        ),
    ],
)
def test_what_does_not_fit_is_refused(error, match, function):
    with pytest.raises(error, match=match):
        function()


@pytest.mark.oracle
@pytest.mark.parametrize("size", [(10, 13), (11, 15), (12, 13)])
def test_conv_transpose_to_a_given_size_is_pytorchs(size):
    layers = pytest.importorskip("tests.nn.layer_oracle")
    ours = nn.conv_transpose(4, 3, stride=3, padding=1)
    theirs = layers.torch.nn.ConvTranspose2d(2, 4, 3, 3, 1)
    layers.assert_same_layer(
        ours,
        theirs,
        layers.oracle.numbers(2, 2, 4, 5),
        ours=lambda p, s, x: ours.apply(p, s, x, output_size=size)[0],
        theirs=lambda x: theirs(x, output_size=size),
    )


def test_an_output_size_out_of_reach_is_named():
    with pytest.raises(ShapeError, match=r"output_size \(9,\) of .* is not from \(3,\) to \(4,\)"):
        nn.conv_transpose1d(rnp.ones((1, 1, 2)), rnp.ones((1, 1, 1)), stride=2, output_size=9)
