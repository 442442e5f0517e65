"""Pixels moved: against Pillow's numbers and torchvision's documented formulas."""

import math

import numpy as np
import pytest
from pictures import Image, as_array, as_pillow, picture

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.data import images
from rtfunc.data.images.geometry import random_boxes
from rtfunc.random import key, split
from rtfunc.testing import check_grads

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize("size", [(13, 18), (26, 40), (5, 6), (1, 1), (20, 7), (3, 30)])
def test_resize_is_pillows(method, size):
    image = picture()
    expected = [
        np.asarray(Image.fromarray(c.astype("f4")).resize(size[::-1], FILTERS[method]))
        for c in image
    ]
    result = images.resize(image.astype("f4"), size, method)
    # Pillow computes float images with weights in float64: float32 of values to 255 differ less.
    np.testing.assert_allclose(result, expected, atol=1e-3)
    whole = as_array(as_pillow(image).resize(size[::-1], FILTERS[method]))
    made = images.resize(image, size, method)
    assert made.dtype == np.uint8
    # Pillow computes in fixed point. Which pass it takes first depends on its version, and matters
    # for what the bicubic filter overshoots: at most 7 % of the step between pixels, here 255.
    bound = {"nearest": 0, "bilinear": 1, "bicubic": 19}[method]
    difference = np.abs(np.asarray(made, int) - whole.astype(int))
    assert difference.max() <= bound
    assert np.mean(difference > 1) < 0.1


def test_resize_takes_any_axes_in_front_and_is_linear():
    batch = np.stack([picture(seed=i) for i in range(4)]).reshape(2, 2, 3, 13, 18) / np.float32(255)
    result = images.resize(batch, (6, 8))
    assert result.shape == (2, 2, 3, 6, 8)
    one = images.resize(batch[1, 0], (6, 8))
    np.testing.assert_allclose(result[1, 0], one, atol=1e-6)  # order of summation only
    np.testing.assert_allclose(rf.jit(lambda x: images.resize(x, (6, 8)))(batch), result, atol=1e-6)
    check_grads(lambda x: images.resize(x, (3, 2), "bicubic"), (batch[0, 0].astype("f8"),), order=1)


def test_crops_and_padding():
    image = np.arange(2 * 5 * 6).reshape(2, 5, 6)
    assert np.array_equal(images.crop(image, 1, 2, (3, 2)), image[:, 1:4, 2:4])
    # torchvision: int(round((5 - 2) / 2.0)) = 2, int(round((6 - 3) / 2.0)) = 2
    assert np.array_equal(images.center_crop(image, (2, 3)), image[:, 2:4, 2:5])
    padded = images.pad(image, (1, 2, 3, 4), value=7)
    assert padded.shape == (2, 5 + 2 + 4, 6 + 1 + 3)
    assert np.array_equal(padded[:, 2:7, 1:7], image)
    assert padded[0, 0, 0] == 7
    assert images.pad(image, (1, 2)).shape == (2, 7, 10)
    assert np.array_equal(images.pad(image, 1, mode="edge")[:, 0, 1:-1], image[:, 0])
    with pytest.raises(ArgumentError, match="at row 3 and column 0 reach over the image of 5 by 6"):
        images.crop(image, 3, 0, 3)
    with pytest.raises(ArgumentError, match=r"a size is a positive integer or \(height, width\)"):
        images.crop(image, 0, 0, (3,))
    with pytest.raises(ArgumentError, match="padding is 1, 2 or 4 numbers"):
        images.pad(image, (1, 2, 3))
    with pytest.raises(ShapeError, match=r"\[..., channels, height, width\], not shape \(5, 6\)"):
        images.flip(np.zeros((5, 6)))


def test_random_crops_are_parts_at_all_places():
    image = np.arange(36).reshape(1, 6, 6)
    batch = np.broadcast_to(image, (500, 1, 6, 6))
    result = np.asarray(images.random_crop(key(0), batch, 4))
    corners = {tuple(divmod(int(i), 6)) for i in result[:, 0, 0, 0]}
    assert corners == {(a, b) for a in range(3) for b in range(3)}
    for part in result[:20]:
        top, left = divmod(int(part[0, 0, 0]), 6)
        assert np.array_equal(part, image[:, top : top + 4, left : left + 4])
    assert np.array_equal(images.random_crop(key(0), batch, 4), result)
    assert not np.array_equal(images.random_crop(key(1), batch, 4), result)
    padded = np.asarray(images.random_crop(key(0), batch + 1, 6, padding=2))
    assert padded.shape == batch.shape
    assert (padded == 0).any()


def test_flips():
    image = np.arange(12).reshape(1, 3, 4)
    assert np.array_equal(images.flip(image), image[:, :, ::-1])
    assert np.array_equal(images.flip(image, vertical=True), image[:, ::-1])
    batch = np.broadcast_to(image, (1000, 1, 3, 4))
    for vertical in (False, True):
        result = np.asarray(images.random_flip(key(3), batch, 0.3, vertical))
        flipped = (result == np.asarray(images.flip(image, vertical))).all((1, 2, 3))
        assert ((result == image).all((1, 2, 3)) | flipped).all()
        # Five standard deviations of a binomial with 1000 draws of 0.3.
        assert abs(flipped.sum() - 300) < 5 * math.sqrt(1000 * 0.3 * 0.7)


def test_random_resized_crop_is_a_part_resized():
    batch = np.stack([picture(20, 30, seed=i) for i in range(6)]).astype("f4")
    options = {"scale": (0.1, 0.8), "ratio": (0.5, 2.0)}
    result = images.random_resized_crop(key(5), batch, (8, 9), **options)
    boxes = np.stack(random_boxes(key(5), 6, (20, 30), **options), axis=1)
    assert len(np.unique(boxes, axis=0)) == 6
    for image, part, (top, left, tall, wide) in zip(batch, result, boxes.tolist()):
        expected = images.resize(image[:, top : top + tall, left : left + wide], (8, 9))
        # The weights' coordinates are rounded differently: 1e-6 of 30 pixels, of 255 values.
        np.testing.assert_allclose(part, expected, atol=0.05)
    assert images.random_resized_crop(key(5), batch.astype("u1"), 8).dtype == np.uint8


def test_the_parts_have_areas_and_ratios_of_their_ranges():
    top, left, tall, wide = (
        np.asarray(x) for x in random_boxes(key(0), 4000, (100, 160), (0.08, 1.0), (3 / 4, 4 / 3))
    )
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + tall <= 100).all()
    assert (left + wide <= 160).all()
    area, ratio = tall * wide / 16000, wide / tall
    # Sides are rounded to whole pixels, of which there are at least 30.
    assert area.min() > 0.07
    assert ratio.min() > 0.72
    assert ratio.max() < 1.37
    # The logarithm of the ratio is symmetric where all shapes fit; five standard errors.
    small = area < 0.4
    logs = np.log(ratio[small])
    assert abs(logs.mean()) < 5 * logs.std() / math.sqrt(small.sum())


@pytest.mark.parametrize(
    ("shape", "box"), [((10, 100), (0, 43, 10, 13)), ((100, 10), (43, 0, 13, 10))]
)
def test_where_no_try_fits_the_middle_is_taken(shape, box):
    """torchvision: w = 10 * 4/3 rounded, and (100 - 13) // 2 = 43."""
    boxes = random_boxes(key(0), 3, shape, (0.9, 1.0), (3 / 4, 4 / 3))
    assert [tuple(int(x[i]) for x in boxes) for i in range(3)] == [box] * 3


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_affine_is_pillows_transform(method):
    image = picture()
    for data in [(1, 0.3, -1.21, 0.1, 0.9, 0.713), (0, 1, 0, 1, 0, 0), (0.5, 0, 3, 0, 2, -4)]:
        expected = as_array(
            as_pillow(image).transform((18, 13), Image.Transform.AFFINE, data, FILTERS[method])
        )
        result = images.affine(image, np.array(data).reshape(2, 3), method=method)
        difference = np.abs(np.asarray(result, int) - expected.astype(int))
        assert difference.max() <= (method == "bilinear")  # which is rounded
    outside = images.affine(image, np.array([[1, 0, 100], [0, 1, 0]]), value=9)
    assert (np.asarray(outside) == 9).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda k, x: images.random_crop(k, x, 9, padding=1),
        lambda k, x: images.random_flip(k, x),
        lambda k, x: images.random_resized_crop(k, x, 7, method="bicubic"),
    ],
)
def test_jit_and_vmap_give_the_same(function):
    batch = np.stack([picture(seed=i) for i in range(4)]).astype("f4") / 255
    expected = function(key(1), batch)
    np.testing.assert_allclose(rf.jit(function)(key(1), batch), expected, atol=1e-4)
    keys = split(key(2), 2)
    both = rf.vmap(function)(keys, batch.reshape(2, 2, *batch.shape[1:]))
    np.testing.assert_allclose(both[1], function(keys[1], batch[2:]), atol=1e-4)


def test_wrong_methods():
    for call in (
        lambda: images.resize(np.zeros((1, 2, 2)), 2, "area"),
        lambda: images.affine(np.zeros((1, 2, 2)), np.eye(2, 3), method="cubic"),
        lambda: images.random_resized_crop(key(0), np.zeros((1, 2, 2)), 2, method="nearest"),
    ):
        with pytest.raises(ArgumentError, match="method is"):
            call()


def test_nothing_is_made_of_no_images():
    empty = rnp.zeros((0, 3, 8, 8))
    assert images.random_crop(key(0), empty, 4).shape == (0, 3, 4, 4)
    assert images.random_resized_crop(key(0), empty, 4).shape == (0, 3, 4, 4)
