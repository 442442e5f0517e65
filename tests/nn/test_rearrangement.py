"""Shuffles, unfold and fold, unflatten: PyTorch's orders of elements, and refusals."""

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ShapeError
from rtfunc.nn import functional


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


def both(oracle, name, x, *args, **options):
    oracle.assert_same(
        lambda x: getattr(functional, name)(x, *args, **options),
        lambda x: getattr(oracle.torch.nn.functional, name)(x, *args, **options),
        x,
    )


@pytest.mark.oracle
def test_shuffles_are_pytorchs(oracle):
    both(oracle, "pixel_shuffle", oracle.numbers(2, 18, 2, 3), 3)
    both(oracle, "pixel_shuffle", oracle.numbers(2, 3, 4, 2, 3), 2)
    both(oracle, "pixel_unshuffle", oracle.numbers(2, 2, 6, 4), 2)
    both(oracle, "channel_shuffle", oracle.numbers(2, 6, 2, 3), 3)


WINDOWS = [
    {"kernel_size": (2, 3)},
    {"kernel_size": 2, "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    {"kernel_size": 3, "stride": 4, "padding": 1},
]


@pytest.mark.oracle
@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("shape", [(2, 3, 6, 7), (3, 6, 7)])
def test_unfold_is_pytorchs(oracle, shape, options):
    if len(shape) == 3:
        options = {**options, "kernel_size": np.broadcast_to(options["kernel_size"], 2).tolist()}
    both(oracle, "unfold", oracle.numbers(*shape), **options)


@pytest.mark.oracle
@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("batch", [(2,), ()])
def test_fold_is_pytorchs(oracle, batch, options):
    columns = functional.unfold(np.zeros((1, 3, 6, 7)), **options).shape
    both(oracle, "fold", oracle.numbers(*batch, *columns[1:]), (6, 7), **options)


def test_unfold_and_fold_of_other_ranks_are_transposes():
    rng = np.random.default_rng(0)
    for sizes in ((7,), (4, 5, 3)):
        settings = {"kernel_size": 2, "stride": 2, "padding": 1}
        x = rng.normal(size=(2, 3, *sizes))
        columns = functional.unfold(x, **settings)
        y = rng.normal(size=columns.shape)
        back = functional.fold(y, sizes, **settings)
        # A sum of some hundred products, in another order.
        np.testing.assert_allclose((back * x).sum(), (columns * y).sum(), rtol=1e-10)


def test_convolution_is_a_product_with_windows():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 2, 3))
    columns = functional.unfold(x, (2, 3), padding=1)
    product = rnp.matmul(w.reshape(4, -1), columns)
    wanted = np.asarray(nn.conv2d(x, w, padding=1))
    np.testing.assert_allclose(product.reshape(wanted.shape), wanted, rtol=1e-10, atol=1e-12)


LAYERS = {
    "pixel_shuffle(2)": (nn.pixel_shuffle(2), "PixelShuffle", (2,), (2, 8, 3, 2)),
    "pixel_unshuffle(2)": (nn.pixel_unshuffle(2), "PixelUnshuffle", (2,), (2, 3, 4, 2)),
    "channel_shuffle(2)": (nn.channel_shuffle(2), "ChannelShuffle", (2,), (2, 4, 3, 2)),
    "unflatten(1, (2, -1))": (nn.unflatten(1, [2, -1]), "Unflatten", (1, (2, -1)), (2, 8, 3)),
    "unfold(3)": (nn.unfold(3, stride=2), "Unfold", (3, 1, 0, 2), (2, 3, 5, 7)),
    "fold(4, 2)": (nn.fold(4, 2, stride=2), "Fold", (4, 2, 1, 0, 2), (2, 12, 4)),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_pytorchs(oracle, name):
    layer, theirs, args, shape = LAYERS[name]
    assert repr(layer) == name
    oracle.assert_same(
        lambda x: layer.apply({}, {}, x)[0],
        getattr(oracle.torch.nn, theirs)(*args),
        oracle.numbers(*shape),
    )


def test_unshuffle_undoes_shuffle():
    x = rnp.arange(2 * 8 * 3 * 5.0).reshape(2, 8, 3, 5)
    assert (functional.pixel_unshuffle(functional.pixel_shuffle(x, 2), 2) == x).all()


@pytest.mark.parametrize(
    ("match", "function"),
    [
        (
            r"pixel_shuffle by 2 takes channels in multiples of 4, but the input of shape "
            r"\(1, 6, 2, 2\) has 6",
            lambda: functional.pixel_shuffle(rnp.ones((1, 6, 2, 2)), 2),
        ),
        (
            r"pixel_unshuffle by 2 takes heights and widths in multiples of it",
            lambda: functional.pixel_unshuffle(rnp.ones((1, 6, 3, 2)), 2),
        ),
        (
            r"pixel_shuffle takes an input \(..., C, H, W\), not one of shape \(4, 2\)",
            lambda: functional.pixel_shuffle(rnp.ones((4, 2)), 2),
        ),
        (
            r"\(1, 6, 2\) is not \(N, C, ...\) with channels that divide into 4 groups",
            lambda: functional.channel_shuffle(rnp.ones((1, 6, 2)), 4),
        ),
        (
            r"unflatten: axis 1 of an input of shape \(1, 6\) does not split into \(4, -1\)",
            lambda: functional.unflatten(rnp.ones((1, 6)), 1, (4, -1)),
        ),
        (
            r"unfold: the window \(3, 3\) with dilation \(1, 1\) is larger than the spatial sizes "
            r"\(2, 2\) with padding 0",
            lambda: functional.unfold(rnp.ones((1, 6, 2, 2)), 3),
        ),
        (
            r"fold to \(4, 4\) with a window \(2, 2\) takes an input \(N, C \* 4, 9\), not one of "
            r"shape \(1, 4, 8\)",
            lambda: functional.fold(rnp.ones((1, 4, 8)), 4, 2),
        ),
        (
            "In layer '0': pixel_shuffle by 3 takes channels",
            lambda: nn.sequential(nn.pixel_shuffle(3)).apply({}, {}, rnp.ones((1, 6, 2, 2))),
        ),
    ],
)
def test_what_does_not_fit_is_refused(match, function):
    with pytest.raises(ShapeError, match=match):
        function()
