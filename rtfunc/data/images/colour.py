"""What changes the values of pixels: conversion, normalisation, brightness, contrast, hue and so on.

The formulas are those of Pillow's ImageEnhance and ImageOps, which torchvision's functions of the
same names follow, on floating-point images in [0, 1]. Factors may be numbers or arrays with one
number an image. Depends on `layout`, `rtfunc.random`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc import lax, random
from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.data.images.layout import as_images, flat_batch, per_image
from rtfunc.ops.convert import as_array

#: Shares of red, green and blue in brightness, by ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


def to_float(images: ArrayLike, dtype: Any = "float32") -> Array:
    """uint8 images, 0 to 255, as floating-point numbers in [0, 1].

    >>> to_float(np.full((1, 1, 1), 255, np.uint8)).tolist()
    [[[1.0]]]
    """
    images = as_images("images.to_float", images)
    if images.dtype != np.uint8:
        raise DtypeError(at_user_line(f"images.to_float takes uint8 images, not {images.dtype}."))
    return images.astype(dtype) / 255


def to_uint8(images: ArrayLike) -> Array:
    """Floating-point images in [0, 1] as uint8, rounded; what is beyond is clipped."""
    images = as_images("images.to_uint8", images, floating=True)
    return rnp.round(rnp.clip(images, 0, 1) * 255).astype("uint8")


def normalize(images: ArrayLike, mean: Sequence[float], std: Sequence[float]) -> Array:
    """(images - mean) / std, with a mean and a standard deviation for each channel.

    >>> normalize(rnp.ones((1, 1, 1)), mean=[0.5], std=[0.25]).tolist()
    [[[2.0]]]
    """
    images = as_images("images.normalize", images, floating=True)
    channels = images.shape[-3]
    values = []
    for name, value in (("mean", mean), ("std", std)):
        vector = rnp.asarray(value, dtype=images.dtype).reshape(-1)
        if vector.size not in (1, channels):
            raise ShapeError(
                at_user_line(
                    f"images.normalize: {name} has {vector.size} values for {channels} channels."
                )
            )
        values.append(vector.reshape(-1, 1, 1))
    return (images - values[0]) / values[1]


def grayscale(images: ArrayLike, channels: int = 1) -> Array:
    """The brightness of images of three channels (red, green, blue), repeated to `channels`."""
    images = as_images("images.grayscale", images, floating=True)
    gray = _gray(images)
    return rnp.broadcast_to(gray, (*gray.shape[:-3], channels, *gray.shape[-2:]))


def _gray(images: Array) -> Array:
    if images.shape[-3] == 1:
        return images
    if images.shape[-3] != 3:
        raise ShapeError(
            at_user_line(
                f"The brightness of images with {images.shape[-3]} channels is not defined; they "
                "have 3 (red, green, blue) or 1."
            )
        )
    weights = rnp.asarray(LUMA, dtype=images.dtype).reshape(3, 1, 1)
    return rnp.sum(images * weights, axis=-3, keepdims=True)


def _factor(operation: str, factor: ArrayLike, images: Array) -> Array:
    value = as_array(operation, factor)
    return value if value.ndim == 0 else per_image(value, images)


def _blend(images: Array, other: Array | float, factor: Array) -> Array:
    """`other` at factor 0, the images at 1, beyond them above, in [0, 1]."""
    return rnp.clip(other + (images - other) * factor, 0, 1).astype(images.dtype)


def adjust_brightness(images: ArrayLike, factor: ArrayLike) -> Array:
    """Images times `factor`: 0 is black, 1 the image, 2 twice as bright.

    >>> adjust_brightness(rnp.full((1, 1, 1), 0.25), 2.0).tolist()
    [[[0.5]]]
    """
    images = as_images("images.adjust_brightness", images, floating=True)
    return _blend(images, 0.0, _factor("images.adjust_brightness", factor, images))


def adjust_contrast(images: ArrayLike, factor: ArrayLike) -> Array:
    """Images away from their mean brightness by `factor`: 0 is uniformly grey, 1 the image."""
    images = as_images("images.adjust_contrast", images, floating=True)
    mean = rnp.mean(_gray(images), axis=(-3, -2, -1), keepdims=True)
    return _blend(images, mean, _factor("images.adjust_contrast", factor, images))


def adjust_saturation(images: ArrayLike, factor: ArrayLike) -> Array:
    """Images away from grey by `factor`: 0 is black and white, 1 the image."""
    images = as_images("images.adjust_saturation", images, floating=True)
    return _blend(images, _gray(images), _factor("images.adjust_saturation", factor, images))


def adjust_sharpness(images: ArrayLike, factor: ArrayLike) -> Array:
    """Images away from a smoothed version by `factor`: 0 is blurred, 1 the image, 2 sharpened.

    The smoothing is Pillow's: the mean of 3 by 3 pixels with the middle counted five times; the
    outermost pixels stay.
    """
    images = as_images("images.adjust_sharpness", images, floating=True)
    height, width = images.shape[-2:]
    if min(height, width) < 3:
        return images
    parts = [images[..., i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    smooth = (sum(parts) + 4 * parts[4]) / 13
    blurred = images.at[..., 1:-1, 1:-1].set(smooth)
    return _blend(images, blurred, _factor("images.adjust_sharpness", factor, images))


def adjust_hue(images: ArrayLike, shift: ArrayLike) -> Array:
    """Images of three channels with their hue turned by `shift`, in turns: ±0.5 is the complement."""
    images = as_images("images.adjust_hue", images, floating=True)
    if images.shape[-3] == 1:
        return images
    _gray(images)  # checks the channels
    shift = _factor("images.adjust_hue", shift, images)
    shift = shift[..., 0, :, :] if shift.ndim else shift  # beside [..., height, width]
    red, green, blue = (images[..., i, :, :] for i in range(3))
    high = rnp.max(images, axis=-3)
    spread = high - rnp.min(images, axis=-3)
    divisor = rnp.where(spread > 0, spread, 1)
    sector = rnp.where(
        high == red,
        (green - blue) / divisor,
        rnp.where(high == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue = 6 * rnp.mod(sector / 6 + shift, 1.0)

    def channel(offset: int) -> Array:
        """From A. Smith, Color gamut transform pairs, SIGGRAPH 1978, without its case by sectors."""
        distance = rnp.mod(offset + hue, 6.0)
        share = rnp.clip(rnp.minimum(distance, 4 - distance), 0, 1)
        return high - spread * share

    return rnp.stack([channel(5), channel(3), channel(1)], axis=-3).astype(images.dtype)


def _levels(images: Array) -> Array:
    """The 256 levels of 8-bit images, as floats."""
    return rnp.round(rnp.clip(images, 0, 1) * 255)


def posterize(images: ArrayLike, bits: ArrayLike) -> Array:
    """Images with only the first `bits` of the 8 bits of each value, 0 to 8."""
    images = as_images("images.posterize", images, floating=True)
    step = 2.0 ** (8 - _factor("images.posterize", bits, images))
    return (rnp.floor(_levels(images) / step) * step / 255).astype(images.dtype)


def solarize(images: ArrayLike, threshold: ArrayLike) -> Array:
    """Images with the values from `threshold` on inverted."""
    images = as_images("images.solarize", images, floating=True)
    limit = _factor("images.solarize", threshold, images)
    return rnp.where(images >= limit, 1 - images, images)


def autocontrast(images: ArrayLike) -> Array:
    """Images with each channel stretched from its least and greatest value to 0 and 1."""
    images = as_images("images.autocontrast", images, floating=True)
    low = rnp.min(images, axis=(-2, -1), keepdims=True)
    spread = rnp.max(images, axis=(-2, -1), keepdims=True) - low
    return rnp.where(spread > 0, (images - low) / rnp.where(spread > 0, spread, 1), images)


def equalize(images: ArrayLike) -> Array:
    """Images in which each channel has all brightnesses about as often: its histogram made flat.

    Values are rounded to 8 bits, and the table is Pillow's, `ImageOps.equalize`.
    """
    images = as_images("images.equalize", images, floating=True)
    channels = _levels(images).astype("int32").reshape(-1, images.shape[-2] * images.shape[-1])
    rows = rnp.arange(channels.shape[0])[:, None]
    counts = rnp.zeros((channels.shape[0], 256), dtype="int32").at[rows, channels].add(1)
    # Pillow's step: all pixels but those of the highest value, over 255.
    highest = rnp.max(channels, axis=1, keepdims=True)
    total = channels.shape[1]
    step = (total - rnp.take_along_axis(counts, highest, axis=1)) // 255
    before = rnp.cumsum(counts, axis=1) - counts
    table = rnp.clip((before + step // 2) // rnp.maximum(step, 1), 0, 255)
    table = rnp.where(step > 0, table, rnp.arange(256, dtype="int32"))
    levels = rnp.take_along_axis(table, channels, axis=1)
    return (levels.astype(images.dtype) / 255).reshape(images.shape)


def color_jitter(
    key: ArrayLike,
    images: ArrayLike,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Array:
    """Images with brightness, contrast, saturation and hue changed at random, in a random order.

    The factors of the first three are uniform between 1 - x (at least 0) and 1 + x, the turn of the
    hue between -x and x, with x at most 0.5, as in torchvision's ColorJitter. They are drawn for each
    image, and so is the order.
    """
    images = as_images("images.color_jitter", images, floating=True)
    amounts = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    for name, amount in amounts.items():
        if not 0 <= amount <= (0.5 if name == "hue" else float("inf")):
            raise ArgumentError(
                at_user_line(
                    f"images.color_jitter: {name} is 0 or more"
                    f"{', and at most 0.5' if name == 'hue' else ''}, not {amount!r}."
                )
            )
    batch = flat_batch(images)
    order_key, *keys = random.split(key, 5)
    draws = {
        name: random.uniform(
            k,
            (len(batch),),
            images.dtype if images.dtype == dtypes.float64 else "float32",
            minval=-amount if name == "hue" else max(0.0, 1 - amount),
            maxval=amount if name == "hue" else 1 + amount,
        ).astype(images.dtype)
        for (name, amount), k in zip(amounts.items(), keys)
    }
    functions = {
        "brightness": adjust_brightness,
        "contrast": adjust_contrast,
        "saturation": adjust_saturation,
        "hue": adjust_hue,
    }
    used = [name for name, amount in amounts.items() if amount]
    if not used:
        return images
    if len(used) == 1:
        return functions[used[0]](batch, draws[used[0]]).reshape(images.shape)

    def jitter(values: tuple[Array, Array, dict[str, Array]]) -> Array:
        """One image, by its order and draws: a branch in a loop computes what is chosen alone."""
        image, order, own = values
        branches = [lambda x, name=name: functions[name](x, own[name]) for name in used]
        for number in order:
            image = lax.switch(number, branches, image)
        return image

    orders = rnp.argsort(random.uniform(order_key, (len(batch), len(used))), axis=1)
    chosen = {name: draws[name] for name in used}
    return lax.map(jitter, (batch, orders, chosen)).reshape(images.shape)
