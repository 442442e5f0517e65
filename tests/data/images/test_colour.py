"""Values of pixels: against Pillow's ImageEnhance and ImageOps, and colorsys."""

import colorsys

import numpy as np
import pytest
from pictures import as_array, as_pillow, picture

import rtfunc as rf
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.data import images
from rtfunc.random import key, split

ImageEnhance = pytest.importorskip("PIL.ImageEnhance")
ImageOps = pytest.importorskip("PIL.ImageOps")

IMAGE = picture()
FLOAT = IMAGE.astype("f4") / np.float32(255)


def levels(result):
    return np.asarray(result) * 255


def test_conversions():
    assert np.array_equal(images.to_uint8(images.to_float(IMAGE)), IMAGE)
    assert images.to_float(IMAGE).dtype == np.float32
    assert images.to_float(IMAGE, "bfloat16").dtype == rf.bfloat16
    assert images.to_uint8(np.array([[[-1.0, 2.0]]])).tolist() == [[[0, 255]]]
    with pytest.raises(DtypeError, match="takes uint8 images, not float32"):
        images.to_float(FLOAT)
    with pytest.raises(DtypeError, match=r"not uint8. Convert them with images.to_float"):
        images.normalize(IMAGE, [0.5], [0.5])


def test_normalize():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    result = images.normalize(FLOAT[None], mean, std)
    expected = (FLOAT - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(result[0], expected, rtol=1e-5, atol=1e-6)  # float32 of float64
    with pytest.raises(ShapeError, match="std has 2 values for 3 channels"):
        images.normalize(FLOAT, mean, std[:2])


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("function", "enhance"),
    [
        (images.adjust_brightness, "Brightness"),
        (images.adjust_contrast, "Contrast"),
        (images.adjust_saturation, "Color"),
        (images.adjust_sharpness, "Sharpness"),
    ],
)
def test_factors_are_those_of_pillow(function, enhance, factor):
    expected = as_array(getattr(ImageEnhance, enhance)(as_pillow(IMAGE)).enhance(factor))
    # Pillow cuts fractions of a level off, also of the grey image or the mean between which and the
    # image it goes, up to a factor of 0.7 beyond: less than 1 + 0.7 levels in all, and one for luma.
    assert np.abs(levels(function(FLOAT, factor)) - expected).max() < 2.5
    if factor == 1:
        np.testing.assert_allclose(function(FLOAT, factor), FLOAT, atol=1e-6)


def test_each_image_may_have_a_factor_of_its_own():
    batch = np.stack([FLOAT, FLOAT / 2])
    for function in (
        images.adjust_brightness,
        images.adjust_contrast,
        images.adjust_saturation,
        images.adjust_sharpness,
        images.adjust_hue,
        images.solarize,
        images.posterize,
    ):
        factors = (
            np.array([3, 5], "f4") if function is images.posterize else np.array([0.3, 0.8], "f4")
        )
        both = function(batch, factors)
        for i in range(2):
            np.testing.assert_allclose(both[i], function(batch[i], factors[i]), atol=1e-6)


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.0, 0.1, 0.45])
def test_hue_is_turned(shift):
    result = np.asarray(images.adjust_hue(FLOAT, shift)).reshape(3, -1).T
    for pixel, found in zip(FLOAT.reshape(3, -1).T.tolist(), result):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        expected = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
        # The hue is good to some units in the last place of 6, times a spread of at most 1.
        np.testing.assert_allclose(found, expected, atol=5e-6)


def test_grey():
    expected = np.asarray(as_pillow(IMAGE).convert("L"), float)
    assert np.abs(levels(images.grayscale(FLOAT))[0] - expected).max() < 1  # Pillow rounds
    assert images.grayscale(FLOAT, 3).shape == FLOAT.shape
    single = FLOAT[:1]
    assert np.array_equal(images.grayscale(single), single)
    assert np.array_equal(images.adjust_hue(single, 0.3), single)
    with pytest.raises(ShapeError, match="with 2 channels is not defined"):
        images.grayscale(FLOAT[:2])


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(bits):
    expected = as_array(ImageOps.posterize(as_pillow(IMAGE), bits))
    np.testing.assert_allclose(levels(images.posterize(FLOAT, bits)), expected, atol=1e-4)


@pytest.mark.parametrize("threshold", [0, 100, 255])
def test_solarize_is_pillows(threshold):
    expected = as_array(ImageOps.solarize(as_pillow(IMAGE), threshold))
    result = images.solarize(FLOAT, np.float32(threshold) / np.float32(255))
    np.testing.assert_allclose(levels(result), expected, atol=1e-4)


def test_autocontrast_is_pillows():
    narrow = (IMAGE // 3 + 40).astype("u1")
    narrow[1] = 90  # a channel without contrast
    expected = as_array(ImageOps.autocontrast(as_pillow(narrow)))
    result = levels(images.autocontrast(narrow.astype("f4") / 255))
    assert np.abs(result - expected).max() < 1.01  # Pillow cuts fractions off


@pytest.mark.parametrize("size", [(13, 18), (40, 50), (4, 5)])
def test_equalize_is_pillows(size):
    image = picture(*size) // 2 + 20
    image[2] = 77  # a channel of one value
    expected = as_array(ImageOps.equalize(as_pillow(image)))
    result = images.equalize(image.astype("f4") / np.float32(255))
    np.testing.assert_allclose(levels(result), expected, atol=1e-4)
    batch = np.stack([image, image // 2]).astype("f4") / np.float32(255)
    np.testing.assert_array_equal(images.equalize(batch)[0], result)


def test_jitter_draws_for_each_image_within_the_ranges():
    gray = np.full((400, 1, 2, 2), 0.5, "f4")
    result = np.asarray(images.color_jitter(key(0), gray, brightness=0.4))[:, 0, 0, 0]
    assert 0.3 <= result.min() < 0.31
    assert 0.69 < result.max() <= 0.7
    # Uniform between 0.3 and 0.7: five standard errors of the mean.
    assert abs(result.mean() - 0.5) < 5 * 0.4 / np.sqrt(12 * 400)
    assert images.color_jitter(key(0), FLOAT).tolist() == FLOAT.tolist()


def test_jitter_applies_all_in_an_order_of_each_image():
    """The order is found by trying all."""
    import itertools

    from rtfunc.random import uniform

    amounts = {"brightness": 0.4, "contrast": 0.5, "saturation": 0.6, "hue": 0.2}
    functions = {
        "brightness": images.adjust_brightness,
        "contrast": images.adjust_contrast,
        "saturation": images.adjust_saturation,
        "hue": images.adjust_hue,
    }
    batch = np.stack([FLOAT] * 12)
    result = np.asarray(images.color_jitter(key(0), batch, **amounts))
    _, *keys = split(key(0), 5)
    draws = {
        name: uniform(
            k, (12,), minval=-a if name == "hue" else 1 - a, maxval=a if name == "hue" else 1 + a
        )
        for (name, a), k in zip(amounts.items(), keys)
    }
    fitting = [set() for _ in batch]
    for order in itertools.permutations(amounts):
        x = batch
        for name in order:
            x = functions[name](x, draws[name])
        for i in np.flatnonzero(np.abs(np.asarray(x) - result).max((1, 2, 3)) < 1e-6):
            fitting[i].add(order)
    assert all(fitting)
    assert not set.intersection(*fitting)  # no order fits all


def test_jit_and_vmap_give_the_same():
    def function(k, x):
        return images.color_jitter(k, x, 0.4, 0.4, 0.4, 0.1)

    batch = np.stack([picture(seed=i) for i in range(4)]).astype("f4") / 255
    # The hue of a pixel near grey depends on the last places of its channels.
    np.testing.assert_allclose(rf.jit(function)(key(1), batch), function(key(1), batch), atol=1e-4)
    keys = split(key(2), 2)
    both = rf.vmap(function)(keys, batch.reshape(2, 2, *batch.shape[1:]))
    np.testing.assert_allclose(both[1], function(keys[1], batch[2:]), atol=1e-4)
    assert function(key(1), batch.astype("f8")).dtype == np.float64


def test_wrong_amounts():
    with pytest.raises(ArgumentError, match=r"hue is 0 or more, and at most 0.5, not 0.7"):
        images.color_jitter(key(0), FLOAT, hue=0.7)
    with pytest.raises(ArgumentError, match="contrast is 0 or more, not -1"):
        images.color_jitter(key(0), FLOAT, contrast=-1)
