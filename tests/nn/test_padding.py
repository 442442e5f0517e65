"""Padding: PyTorch's numbers and gradients, and refusals of widths that do not fit."""

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    ("shape", "widths"),
    [
        ((2, 3, 5), (2, 3)),
        ((2, 3, 4, 5), (1, 2, 3, 0)),
        ((2, 3, 4, 5), (-1, 2, 1, -2)),
        ((1, 2, 3, 4, 5), (1, 2, 2, 1, 0, 1)),
    ],
)
def test_padding_is_pytorchs(oracle, shape, widths, mode, dtype):
    if mode == "circular" and min(widths) < 0:
        pytest.skip("PyTorch cuts before it pads around, then pads what it has cut")
    oracle.assert_same(
        lambda x: nn.pad(x, widths, mode),
        lambda x: oracle.torch.nn.functional.pad(x, widths, mode),
        oracle.numbers(*shape),
        dtype=dtype,
    )


LAYERS = {
    "ZeroPad2d": (lambda p: nn.zero_pad(p), ()),
    "ConstantPad2d": (lambda p: nn.constant_pad(p, 2.5), (2.5,)),
    "ReflectionPad2d": (lambda p: nn.reflection_pad(p), ()),
    "ReplicationPad2d": (lambda p: nn.replication_pad(p), ()),
    "CircularPad2d": (lambda p: nn.circular_pad(p), ()),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("padding", [2, (1, 2, 0, 3)])
def test_layers_are_pytorchs(oracle, name, padding):
    ours, more = LAYERS[name]
    oracle.assert_same(
        lambda x: ours(padding).apply({}, {}, x)[0],
        getattr(oracle.torch.nn, name)(padding, *more),
        oracle.numbers(2, 3, 4, 5),
    )


def test_padding_is_what_numpy_does():
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    pairs = ((0, 0), (0, 0), (1, 2), (2, 1))
    for mode, numpys in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")):
        np.testing.assert_array_equal(nn.pad(x, (2, 1, 1, 2), mode), np.pad(x, pairs, numpys))
    wanted = np.pad(x, pairs, constant_values=7)
    np.testing.assert_array_equal(nn.pad(x, (2, 1, 1, 2), value=7), wanted)


def test_integers_are_padded():
    assert nn.pad(rnp.arange(3), (1, 1), "reflect").tolist() == [1, 0, 1, 2, 1]


def test_names_say_the_widths():
    assert repr(nn.zero_pad(1)) == "zero_pad(1)"
    assert repr(nn.circular_pad([1, 2])) == "circular_pad((1, 2))"


@pytest.mark.parametrize(
    ("error", "match", "function"),
    [
        (
            ShapeError,
            r"pad: mode 'reflect' takes up to 2 elements of padding on axis 2 of an input of shape "
            r"\(1, 1, 3\), not 3",
            lambda: nn.pad(rnp.ones((1, 1, 3)), (3, 0), "reflect"),
        ),
        (
            ShapeError,
            "mode 'circular' takes up to 3 elements",
            lambda: nn.pad(rnp.ones((1, 1, 3)), (0, 4), "circular"),
        ),
        (
            ShapeError,
            "mode 'replicate' takes up to 0 elements",
            lambda: nn.pad(rnp.ones((1, 1, 0)), (0, 4), "replicate"),
        ),
        (ArgumentError, "pad takes integers", lambda: nn.pad(rnp.ones((1, 1, 3)), (1,))),
        (ArgumentError, "pad takes integers", lambda: nn.pad(rnp.ones((1, 1, 3)), (1.5, 1.5))),
        (
            ShapeError,
            r"is for 2 axes, the input has shape \(3,\)",
            lambda: nn.pad(rnp.ones(3), (1, 1, 1, 1)),
        ),
        (ShapeError, "cuts more than", lambda: nn.pad(rnp.ones(3), (-2, -2))),
        (
            ArgumentError,
            "mode is 'constant', 'reflect', 'replicate' or 'circular', not 'edge'",
            lambda: nn.pad(rnp.ones(3), (1, 1), "edge"),
        ),
        (
            ArgumentError,
            r"zero_pad: padding is an integer or \(left, right, top, bottom, ...\)",
            lambda: nn.zero_pad((1, 2, 3)),
        ),
        (
            ShapeError,
            r"In layer '0': zero_pad\(1\) takes an input \(N, C, \*spatial\) of rank 3 or more",
            lambda: nn.sequential(nn.zero_pad(1)).apply({}, {}, rnp.ones((2, 3))),
        ),
    ],
)
def test_what_does_not_fit_is_refused(error, match, function):
    with pytest.raises(error, match=match):
        function()
