"""Convolutions against loops written out, jax.lax and torch."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.core.primitive import BatchAxis
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops import conv_kernels
from rtfunc.ops.conv import (
    ConvDimensionNumbers,
    conv,
    conv_dimension_numbers,
    conv_general_dilated,
    conv_transpose,
    conv_with_general_padding,
)

#: float64 sums of up to a few hundred products, in another order.
TOLERANCE = {"rtol": 1e-11, "atol": 1e-11}


def expected(lhs, rhs, strides, padding, lhs_dilation, rhs_dilation, groups, batch_groups):
    """The definition, one position of the result and element of the kernel at a time (NCH, OIH)."""
    n, c = lhs.shape[:2]
    o, _, *windows = rhs.shape
    padded = []
    for axis, (low, high), d in zip(range(2, lhs.ndim), padding, lhs_dilation):
        shape = list(lhs.shape)
        shape[axis] = max((shape[axis] - 1) * d + 1, 0)
        spread = np.zeros(shape)
        spread[(slice(None),) * axis + (slice(None, None, d),)] = lhs
        pads = [(0, 0)] * lhs.ndim
        pads[axis] = (max(low, 0), max(high, 0))
        lhs = np.pad(spread, pads)
        cut = slice(max(-low, 0), lhs.shape[axis] - max(-high, 0))
        lhs = lhs[(slice(None),) * axis + (cut,)]
        padded.append(lhs.shape[axis])
    extents = [(k - 1) * d + 1 for k, d in zip(windows, rhs_dilation)]
    out = [max((m - e) // s + 1, 0) for m, e, s in zip(padded, extents, strides)]
    result = np.zeros((n // batch_groups, o, *out))
    for g in range(max(groups, batch_groups)):
        batch = (
            slice(None)
            if groups > 1 or batch_groups == 1
            else slice(g * (n // batch_groups), (g + 1) * (n // batch_groups))
        )
        features = slice(g * (c // groups), (g + 1) * (c // groups)) if groups > 1 else slice(None)
        outs = slice(
            g * (o // max(groups, batch_groups)), (g + 1) * (o // max(groups, batch_groups))
        )
        for position in itertools.product(*map(range, out)):
            for element in itertools.product(*map(range, windows)):
                at = tuple(
                    p * s + k * d for p, s, k, d in zip(position, strides, element, rhs_dilation)
                )
                result[(slice(None), outs, *position)] += (
                    lhs[(batch, features, *at)] @ rhs[(outs, slice(None), *element)].T
                )
    return result


@st.composite
def convolutions(draw, max_spatial=2):
    """(lhs shape, rhs shape, params), batch and features first."""
    n_spatial = draw(st.integers(0, max_spatial))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n_spatial))

    groups, batch_groups = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2)]))
    # More output features than 2 per group take another way through the kernels.
    o = draw(st.integers(1, 4)) * max(groups, batch_groups)
    c = draw(st.integers(1, 3))
    n = draw(st.integers(1, 3)) * batch_groups
    plain = draw(st.booleans())
    params = {
        "window_strides": each(1, 3) if draw(st.booleans()) else (1,) * n_spatial,
        "padding": tuple(zip(each(-1, 3), each(0, 3))),
        "lhs_dilation": (1,) * n_spatial if plain else each(1, 3),
        "rhs_dilation": each(1, 2),
        "feature_group_count": groups,
        "batch_group_count": batch_groups,
    }
    return (n, c * groups, *each(2, 6)), (o, c, *each(1, 3)), params


def _operands(lhs_shape, rhs_shape, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=lhs_shape), rng.normal(size=rhs_shape)


@settings(max_examples=120, deadline=None)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_values_are_those_of_the_definition(convolution, seed):
    lhs_shape, rhs_shape, params = convolution
    lhs, rhs = _operands(lhs_shape, rhs_shape, seed)
    out = np.asarray(conv_general_dilated(lhs, rhs, **params))
    reference = expected(lhs, rhs, *params.values())
    assert out.shape == reference.shape
    np.testing.assert_allclose(out, reference, **TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_cotangents_are_those_of_the_bilinear_form(convolution, seed):
    lhs_shape, rhs_shape, params = convolution
    lhs, rhs = _operands(lhs_shape, rhs_shape, seed)
    (out,), pullback = vjp_flat(
        lambda x, y: [conv_general_dilated(x, y, **params)], [Array(lhs), Array(rhs)], [True, True]
    )
    rng = np.random.default_rng(seed)
    ct = rng.normal(size=out.shape)
    of_lhs, of_rhs = map(np.asarray, pullback([Array(ct)]))
    dx, dy = rng.normal(size=lhs_shape), rng.normal(size=rhs_shape)
    assert of_lhs.shape == lhs_shape
    assert of_rhs.shape == rhs_shape
    for pulled, moved in (
        (np.sum(of_lhs * dx), expected(dx, rhs, *params.values())),
        (np.sum(of_rhs * dy), expected(lhs, dy, *params.values())),
    ):
        np.testing.assert_allclose(pulled, np.sum(ct * moved), **TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(
    convolutions(), st.sampled_from(["lhs", "rhs", "both"]), st.integers(0, 3), st.integers(0, 9)
)
def test_a_batch_is_a_loop(convolution, which, size, place):
    lhs_shape, rhs_shape, params = convolution
    axis = place % (len(lhs_shape) + 1)
    rng = np.random.default_rng(place)
    lhs = rng.normal(size=(size, *lhs_shape) if which != "rhs" else lhs_shape)
    rhs = rng.normal(size=(size, *rhs_shape) if which != "lhs" else rhs_shape)
    values, axes = [], []
    for x, batched in ((lhs, which != "rhs"), (rhs, which != "lhs")):
        values.append(Array(np.moveaxis(x, 0, axis) if batched else x))
        axes.append(axis if batched else None)

    def function(x, y):
        return [conv_general_dilated(x, y, **params)]

    (out,), (out_axis,) = batch_flat(function, BatchAxis(size), values, axes)
    out = np.moveaxis(np.asarray(out), out_axis, 0)
    assert len(out) == size
    for i in range(size):
        one = function(lhs[i] if which != "rhs" else lhs, rhs[i] if which != "lhs" else rhs)[0]
        np.testing.assert_allclose(out[i], np.asarray(one), **TOLERANCE)


@pytest.mark.parametrize("specs", [("NHWC", "HWIO", "NHWC"), ("HNWC", "IHOW", "CWNH")])
@pytest.mark.parametrize("patch_bytes", [1 << 22, 2000])
def test_layouts_and_pieces(specs, patch_bytes, monkeypatch):
    """The same numbers in every layout, and when the patches are multiplied in small pieces."""
    monkeypatch.setattr(conv_kernels, "_patch_bytes", patch_bytes)
    rng = np.random.default_rng(0)
    lhs, rhs = rng.normal(size=(3, 4, 12, 9)), rng.normal(size=(5, 4, 3, 2))
    arguments = ((2, 1), ((1, 0), (2, 2)), (1, 1), (1, 2))
    reference = expected(lhs, rhs, *arguments, 1, 1)
    orders = [
        [spec.index(letter) for letter in letters]
        for spec, letters in zip(specs, ("NCHW", "OIHW", "NCHW"))
    ]
    moved = [x.transpose(np.argsort(order)) for x, order in zip((lhs, rhs, reference), orders)]
    (out,), pullback = vjp_flat(
        lambda x, y: [conv_general_dilated(x, y, *arguments, dimension_numbers=specs)],
        [Array(moved[0]), Array(moved[1])],
        [True, True],
    )
    np.testing.assert_allclose(np.asarray(out), moved[2], **TOLERANCE)
    plain = vjp_flat(
        lambda x, y: [conv_general_dilated(x, y, *arguments)], [Array(lhs), Array(rhs)], [True] * 2
    )[1]([Array(reference)])
    for found, wanted, order in zip(pullback([out]), plain, orders):
        np.testing.assert_allclose(
            np.asarray(found).transpose(order), np.asarray(wanted), **TOLERANCE
        )


@pytest.mark.parametrize("slab_bytes", [1 << 19, 100])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_depthwise_in_pieces(slab_bytes, layout, monkeypatch):
    monkeypatch.setattr(conv_kernels, "_slab_bytes", slab_bytes)
    rng = np.random.default_rng(0)
    lhs, rhs = rng.normal(size=(3, 4, 6, 5)), rng.normal(size=(8, 1, 3, 2))
    arguments = ((1, 2), ((1, 1), (0, 2)), (1, 1), (2, 1))
    order = [layout.index(letter) for letter in "NCHW"]
    out = conv_general_dilated(
        lhs.transpose(np.argsort(order)),
        rhs,
        *arguments,
        dimension_numbers=(layout, "OIHW", layout),
        feature_group_count=4,
    )
    reference = expected(lhs, rhs, *arguments, 4, 1)
    np.testing.assert_allclose(np.asarray(out).transpose(order), reference, **TOLERANCE)


@pytest.mark.parametrize(
    ("padding", "pads"), [("SAME", (1, 2)), ("same_lower", (2, 1)), ("VALID", (0, 0))]
)
def test_named_padding(padding, pads):
    lhs, rhs = _operands((2, 3, 8), (4, 3, 4), 0)
    found = conv(lhs, rhs, (1,), padding)
    wanted = conv_with_general_padding(lhs, rhs, (1,), [pads])
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


# Dtypes


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    out = conv(np.ones((1, 1, 4097), dtype), np.ones((1, 1, 4097), dtype), (1,), "VALID")
    assert out.dtype == dtype
    assert float(np.asarray(out)[0, 0, 0]) == 4096.0


def test_integers_and_preferred_element_type():
    x, w = np.full((1, 1, 3), 100, "int8"), np.full((1, 1, 3), 100, "int8")
    assert conv(x, w, (1,), "VALID").item() == np.int64(30000).astype("int8")
    wide = conv(x, w, (1,), "VALID", preferred_element_type="int32")
    assert wide.dtype == np.int32
    assert wide.item() == 30000


# Errors


def test_features_that_do_not_fit_are_named():
    with pytest.raises(
        ShapeError, match=r"has 3 features \(axis 1\), the kernel takes 2 \(axis 1\)"
    ):
        conv(np.ones((1, 3, 4)), np.ones((1, 2, 3)), (1,), "VALID")
    with pytest.raises(ShapeError, match="in each of 2 groups"):
        conv_general_dilated(
            np.ones((1, 3, 4)), np.ones((2, 3, 3)), (1,), "VALID", feature_group_count=2
        )
    with pytest.raises(ShapeError, match="must divide the kernel's 3 output features"):
        conv_general_dilated(
            np.ones((1, 4, 4)), np.ones((3, 2, 3)), (1,), "VALID", feature_group_count=2
        )
    with pytest.raises(ShapeError, match="the batch of 3"):
        conv_general_dilated(
            np.ones((3, 2, 4)), np.ones((2, 2, 3)), (1,), "VALID", batch_group_count=2
        )


def test_malformed_arguments_are_refused():
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))
    with pytest.raises(ArgumentError, match="2 positive integers as window_strides"):
        conv(x, w, (1,), "VALID")
    with pytest.raises(ArgumentError, match="'VALID', 'SAME', 'SAME_LOWER' or pairs"):
        conv(x, w, (1, 1), "FULL")
    with pytest.raises(ArgumentError, match="a padding pair for each of 2 axes, got 1"):
        conv_with_general_padding(x, w, (1, 1), [(0, 0)])
    with pytest.raises(ArgumentError, match="use conv_transpose"):
        conv_with_general_padding(x, w, (1, 1), "SAME", lhs_dilation=(2, 2))
    with pytest.raises(ArgumentError, match="of which one is 1"):
        conv_general_dilated(x, w, (1, 1), "VALID", feature_group_count=2, batch_group_count=2)
    with pytest.raises(ShapeError, match="cuts more than the 4 elements"):
        conv_with_general_padding(x, w, (1, 1), [(-3, -2), (0, 0)])
    with pytest.raises(ShapeError, match="of equal rank, at least 2"):
        conv(x, w[0], (1, 1), "VALID")
    with pytest.raises(DtypeError, match="takes numbers, not bool"):
        conv(x > 0, w > 0, (1, 1), "VALID")


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (("NCHW", "OIHW"), "are three strings"),
        (("NCHW", "OIHW", "NCH"), "for operands with 4 axes"),
        (("NCHH", "OIHW", "NCHW"), "'NCHH' must have N and C once each"),
        (("NCHW", "ONHW", "NCHW"), "'ONHW' must have O and I once each"),
        (("NCHW", "OIHX", "NCHW"), "share their spatial letters"),
    ],
)
def test_malformed_dimension_numbers_are_refused(specs, message):
    with pytest.raises(ArgumentError, match=message):
        conv_dimension_numbers((1, 1, 4, 4), (1, 1, 2, 2), specs)


def test_dimension_numbers():
    found = conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWC", "WHIO", "CNHW"))
    # The spatial axes come in the kernel's order.
    assert found == ConvDimensionNumbers((0, 3, 2, 1), (3, 2, 0, 1), (1, 0, 3, 2))


# Oracles


@pytest.mark.oracle
@settings(max_examples=25, deadline=None)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_agrees_with_jax(convolution, seed):
    jax = pytest.importorskip("jax")
    lhs_shape, rhs_shape, params = convolution
    lhs, rhs = (x.astype("float32") for x in _operands(lhs_shape, rhs_shape, seed))
    reference, pull = jax.vjp(lambda x, y: jax.lax.conv_general_dilated(x, y, **params), lhs, rhs)
    (out,), pullback = vjp_flat(
        lambda x, y: [conv_general_dilated(x, y, **params)], [Array(lhs), Array(rhs)], [True, True]
    )
    # float32 sums of up to a hundred products.
    np.testing.assert_allclose(np.asarray(out), reference, rtol=1e-4, atol=1e-4)
    for found, wanted in zip(pullback([out]), pull(reference)):
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.oracle
@pytest.mark.parametrize("transpose_kernel", [False, True])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 2), (0, 1))])
@pytest.mark.parametrize("consistent", [False, True])
def test_conv_transpose_agrees_with_jax(transpose_kernel, strides, padding, consistent):
    jax = pytest.importorskip("jax")
    features = (4, 3) if transpose_kernel else (3, 4)
    lhs, rhs = _operands((2, 5, 4, 3), (3, 2, *features), 0)
    options = {
        "rhs_dilation": (1, 2),
        "transpose_kernel": transpose_kernel,
        "use_consistent_padding": consistent,
    }
    found = conv_transpose(lhs, rhs, strides, padding, **options)
    wanted = jax.lax.conv_transpose(lhs.astype("f"), rhs.astype("f"), strides, padding, **options)
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-4, atol=1e-4)  # jax in float32


@pytest.mark.oracle
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_agree_with_torch(groups, stride):
    torch = pytest.importorskip("torch")
    lhs, rhs = _operands((2, 4, 7, 6), (8, 4 // groups, 3, 3), groups)
    x, w = (torch.tensor(a, requires_grad=True) for a in (lhs, rhs))
    reference = torch.nn.functional.conv2d(x, w, stride=stride, padding=1, groups=groups)
    (reference**2).sum().backward()
    (out,), pullback = vjp_flat(
        lambda a, b: [
            conv_general_dilated(
                a, b, (stride, stride), ((1, 1), (1, 1)), feature_group_count=groups
            )
        ],
        [Array(lhs), Array(rhs)],
        [True, True],
    )
    np.testing.assert_allclose(np.asarray(out), reference.detach().numpy(), **TOLERANCE)
    for found, wanted in zip(pullback([Array(2 * np.asarray(out))]), (x.grad, w.grad)):
        np.testing.assert_allclose(np.asarray(found), wanted.numpy(), **TOLERANCE)
