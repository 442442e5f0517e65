"""Resizing: PyTorch's numbers and gradients in every mode, and refusals of what does not go."""

import numpy as np
import pytest

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError

DTYPES = ["float32", "float64"]
SHAPES = {1: (2, 3, 7), 2: (2, 2, 5, 7), 3: (1, 2, 4, 5, 3)}
# Larger, smaller, mixed, to and from one element.
SIZES = {1: [14, 3, 1], 2: [(10, 14), (2, 9), (5, 3), (1, 1)], 3: [(8, 3, 3), (2, 7, 6)]}
FACTORS = {1: [2, 1.7, 0.6], 2: [2, 3, (0.7, 1.9)], 3: [1.5, 2]}


@pytest.fixture
def oracle():
    return pytest.importorskip("tests.nn.oracle")


def both(oracle, rank, dtype, mode, theirs_mode=None, **options):
    theirs = {"mode": theirs_mode or mode, **options}
    if not theirs.get("align_corners", True):
        del theirs["align_corners"]
    oracle.assert_same(
        lambda x: nn.interpolate(x, mode=mode, **options),
        lambda x: oracle.torch.nn.functional.interpolate(x, **theirs),
        oracle.numbers(*SHAPES[rank]),
        dtype=dtype,
        compiled=dtype == "float32",
    )


ASKED = [(rank, {"size": size}) for rank in SIZES for size in SIZES[rank]] + [
    (rank, {"scale_factor": factor}) for rank in FACTORS for factor in FACTORS[rank]
]


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area"])
@pytest.mark.parametrize(("rank", "asked"), ASKED, ids=str)
def test_nearest_and_area_are_pytorchs(oracle, rank, asked, mode, dtype):
    both(oracle, rank, dtype, mode, **asked)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize(("rank", "asked"), ASKED, ids=str)
def test_linear_is_pytorchs(oracle, rank, asked, align, dtype):
    name = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank]
    both(oracle, rank, dtype, name, align_corners=align, **asked)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("asked", [asked for rank, asked in ASKED if rank == 2], ids=str)
def test_bicubic_is_pytorchs(oracle, asked, align, dtype):
    both(oracle, 2, dtype, "bicubic", align_corners=align, **asked)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("asked", [asked for rank, asked in ASKED if rank == 2], ids=str)
def test_antialiased_is_pytorchs(oracle, asked, mode):
    both(oracle, 2, "float64", mode, antialias=True, **asked)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 40, 3)])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_whole_factors_of_short_and_long_axes(oracle, factor, shape, mode):
    oracle.assert_same(
        lambda x: nn.interpolate(x, scale_factor=factor, mode=mode),
        lambda x: oracle.torch.nn.functional.interpolate(x, scale_factor=factor, mode=mode),
        oracle.numbers(*shape),
    )


@pytest.mark.oracle
def test_recomputed_scale_is_pytorchs(oracle):
    options = {"scale_factor": 1.7, "recompute_scale_factor": True}
    both(oracle, 1, "float64", "linear", **options)
    both(oracle, 2, "float64", "nearest", **options)


@pytest.mark.oracle
@pytest.mark.parametrize(("old", "factor"), [(300, 2.3), (97, 3), (1000, 1.1), (500, 0.3)])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_long_axes_round_as_pytorch(oracle, old, factor, mode):
    x = np.arange(old, dtype="float32")[None, None]
    wanted = oracle.torch.nn.functional.interpolate(
        oracle.torch.tensor(x), scale_factor=factor, mode=mode
    )
    np.testing.assert_array_equal(nn.interpolate(x, None, factor, mode), wanted.numpy())


@pytest.mark.oracle
def test_layer_is_pytorchs(oracle):
    for options in (
        {"scale_factor": 2},
        {"size": (3, 9), "mode": "bilinear", "align_corners": True},
    ):
        oracle.assert_same(
            lambda x: nn.upsample(**options).apply({}, {}, x)[0],
            oracle.torch.nn.Upsample(**options),
            oracle.numbers(2, 3, 4, 5),
        )


def test_linear_serves_any_number_of_axes():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    two = nn.interpolate(x, (8, 7), mode="linear")
    np.testing.assert_array_equal(two, nn.interpolate(x, (8, 7), mode="bilinear"))


def test_a_straight_line_stays_one_with_aligned_corners():
    line = np.linspace(0.0, 1.0, 5)[None, None]
    out = nn.interpolate(line, 9, mode="linear", align_corners=True)
    np.testing.assert_allclose(out, np.linspace(0, 1, 9)[None, None], atol=1e-15)


def test_integers_are_repeated():
    out = nn.interpolate(rnp.arange(3).reshape(1, 1, 3), scale_factor=2)
    assert out.tolist() == [[[0, 0, 1, 1, 2, 2]]]
    assert str(out.dtype) == "int32"


def test_half_precision_is_kept():
    x = rnp.ones((1, 1, 4, 4), "bfloat16")
    for mode in ("nearest", "bilinear", "bicubic", "area"):
        assert str(nn.interpolate(x, (3, 6), mode=mode).dtype) == "bfloat16"


X = rnp.ones((1, 1, 4, 4))


@pytest.mark.parametrize(
    ("error", "match", "function"),
    [
        (ArgumentError, "a size or a scale_factor, and not both", lambda: nn.interpolate(X)),
        (ArgumentError, "and not both", lambda: nn.interpolate(X, 3, 2.0)),
        (ArgumentError, "upsample takes a size or a scale_factor", lambda: nn.upsample()),
        (ArgumentError, "mode is 'nearest', ", lambda: nn.upsample(3, mode="cubic")),
        (
            ArgumentError,
            "align_corners is for the modes linear, bilinear, bicubic, trilinear, not 'nearest'",
            lambda: nn.interpolate(X, 3, align_corners=True),
        ),
        (
            ArgumentError,
            "antialias is for bilinear and bicubic, not 'area'",
            lambda: nn.interpolate(X, 3, mode="area", antialias=True),
        ),
        (
            ShapeError,
            r"mode 'trilinear' takes an input \(N, C, 3 spatial axes\), not one of shape "
            r"\(1, 1, 4, 4\)",
            lambda: nn.interpolate(X, 3, mode="trilinear"),
        ),
        (ArgumentError, "has 3 entries for 2", lambda: nn.interpolate(X, (1, 2, 3))),
        (ArgumentError, "size is a positive integer", lambda: nn.interpolate(X, 0)),
        (ArgumentError, "leaves nothing", lambda: nn.interpolate(X, scale_factor=0.1)),
        (
            ShapeError,
            "In layer '0': interpolate in mode 'bilinear' takes an input",
            lambda: nn.sequential(nn.upsample(3, mode="bilinear")).apply({}, {}, X[0]),
        ),
    ],
)
def test_what_does_not_go_is_refused(error, match, function):
    with pytest.raises(error, match=match):
        function()
