"""What moves pixels: resizing, crops, flips, padding, affine maps.

Resampling is two matrix products, one for the rows and one for the columns, with Pillow's weights:
the output's pixels are averages of the input's under a filter that is stretched where the image is
made smaller ("antialias"). The weights may depend on traced numbers, so that each image of a batch
can have a part of its own resized. Depends on `layout`, `rtfunc.random`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc import lax, random
from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.data.images.layout import Size, as_images, as_size, flat_batch, per_image
from rtfunc.transforms.vmap import vmap

METHODS = ("nearest", "bilinear", "bicubic")


def _triangle(x: Array) -> Array:
    return rnp.maximum(1 - rnp.abs(x), 0)


def _cubic(x: Array) -> Array:
    """Keys' cubic convolution with a = -1/2 (IEEE ASSP 29, 1981), as Pillow has it."""
    a = -0.5
    x = rnp.abs(x)
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return rnp.where(x < 1, near, rnp.where(x < 2, far, 0))


_KERNELS: dict[str, Callable[[Array], Array]] = {"bilinear": _triangle, "bicubic": _cubic}


def _weights(size: int, of: int, begin: Any, length: Any, method: str, dtype: Any) -> Array:
    """The matrix [size, of] that resamples the pixels from `begin` to `begin + length` of `of`."""
    scale = length / size
    stretch = rnp.maximum(scale, 1.0)
    centers = begin + (rnp.arange(size, dtype=dtype)[:, None] + 0.5) * scale
    pixels = rnp.arange(of, dtype=dtype)[None, :]
    inside = (pixels >= begin) & (pixels < begin + length)
    weights = rnp.where(inside, _KERNELS[method]((pixels + 0.5 - centers) / stretch), 0)
    return (weights / rnp.sum(weights, axis=1, keepdims=True)).astype(dtype)


def _resample(images: Array, rows: Array, columns: Array) -> Array:
    """Images through the matrices of the rows and of the columns, in their own dtype.

    The cheaper product comes first. Integer images are rounded after each, as in Pillow.
    """
    height, old_height = rows.shape[-2:]
    width, old_width = columns.shape[-2:]
    columns = rnp.swapaxes(columns, -1, -2)
    rows_first = height * old_width * (old_height + width)
    columns_first = old_height * width * (old_width + height)
    if columns_first <= rows_first:
        part = _as(images.astype(columns.dtype) @ columns, images.dtype)
        return _as(rows @ part.astype(rows.dtype), images.dtype)
    part = _as(rows @ images.astype(rows.dtype), images.dtype)
    return _as(part.astype(columns.dtype) @ columns, images.dtype)


def _as(values: Array, dtype: np.dtype) -> Array:
    """Floats as `dtype`; as an integer one rounded, and clipped to what it holds."""
    if dtypes.is_inexact(dtype):
        return values.astype(dtype)
    limits = dtypes.iinfo(dtype)
    return rnp.clip(rnp.round(values), limits.min, limits.max).astype(dtype)


def _working_dtype(images: Array) -> np.dtype:
    return dtypes.float64 if images.dtype == dtypes.float64 else dtypes.float32


def _check_method(operation: str, method: str) -> None:
    if method not in METHODS:
        raise ArgumentError(
            at_user_line(f"{operation}: method is one of {', '.join(METHODS)}, not {method!r}.")
        )


def resize(images: ArrayLike, size: Size, method: str = "bilinear") -> Array:
    """Images resized to `size`, a height and width or one number for both.

    `method` is "nearest", "bilinear" or "bicubic"; the last two average where the image becomes
    smaller, as Pillow's `Image.resize` does, whose values these are. (Of uint8 images within 1, since
    Pillow computes in fixed point; overshoots of "bicubic" are cut between the passes, and other
    versions of Pillow may take the passes in the other order.)

    >>> resize(rnp.arange(4.0).reshape(1, 1, 4), (1, 2)).round(2)
    Array([[[0.71, 2.29]]], dtype=float32)
    """
    images = as_images("images.resize", images)
    height, width = as_size("images.resize", size)
    _check_method("images.resize", method)
    old_height, old_width = images.shape[-2:]
    if method == "nearest":
        rows = ((np.arange(height) + 0.5) * old_height / height).astype(int)
        columns = ((np.arange(width) + 0.5) * old_width / width).astype(int)
        return images[..., rows, :][..., columns]
    dtype = _working_dtype(images)
    rows = _weights(height, old_height, 0.0, float(old_height), method, dtype)
    columns = _weights(width, old_width, 0.0, float(old_width), method, dtype)
    return _resample(images, rows, columns)


def crop(images: ArrayLike, top: int, left: int, size: Size) -> Array:
    """The part of `size` whose upper left corner is at row `top` and column `left`.

    Raises `ArgumentError` where it does not lie in the image.
    """
    images = as_images("images.crop", images)
    height, width = as_size("images.crop", size)
    if not (0 <= top <= images.shape[-2] - height and 0 <= left <= images.shape[-1] - width):
        raise ArgumentError(
            at_user_line(
                f"images.crop: {height} by {width} pixels at row {top} and column {left} reach over "
                f"the image of {images.shape[-2]} by {images.shape[-1]}."
            )
        )
    return images[..., top : top + height, left : left + width]


def center_crop(images: ArrayLike, size: Size) -> Array:
    """The part of `size` in the middle; an odd pixel is cut at the lower right, as torchvision does.

    >>> center_crop(rnp.arange(5).reshape(1, 1, 5), (1, 3)).tolist()
    [[[1, 2, 3]]]
    """
    images = as_images("images.center_crop", images)
    height, width = as_size("images.center_crop", size)
    # Python rounds halves to even, which is what torchvision's documented numbers come from.
    top, left = round((images.shape[-2] - height) / 2), round((images.shape[-1] - width) / 2)
    return crop(images, top, left, (height, width))


def pad(
    images: ArrayLike, padding: int | Sequence[int], value: float = 0, mode: str = "constant"
) -> Array:
    """Images with more pixels around: `padding` is their number on all sides, (rows, columns), or
    (left, top, right, bottom), as in torchvision. `mode` is one of `rnp.pad`: "constant", "edge",
    "reflect", "symmetric".
    """
    images = as_images("images.pad", images)
    given = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(given) not in (1, 2, 4):
        raise ArgumentError(
            at_user_line(f"images.pad: padding is 1, 2 or 4 numbers, not {padding!r}.")
        )
    if len(given) == 4:
        left, top, right, bottom = given
    else:
        (top, left) = (bottom, right) = (given[0], given[-1])
    widths = [(0, 0)] * (images.ndim - 2) + [(top, bottom), (left, right)]
    options = {"constant_values": value} if mode == "constant" else {}
    return rnp.pad(images, widths, mode=mode, **options)


def random_crop(
    key: ArrayLike,
    images: ArrayLike,
    size: Size,
    padding: int | Sequence[int] = 0,
    value: float = 0,
) -> Array:
    """Of each image a part of `size` at a random place, after `pad` with `padding` and `value`.

    >>> random_crop(random.key(0), rnp.ones((8, 3, 32, 32)), 32, padding=4).shape
    (8, 3, 32, 32)
    """
    images = pad(as_images("images.random_crop", images), padding, value)
    height, width = as_size("images.random_crop", size)
    crop(images, 0, 0, (height, width))  # checks the size
    batch = flat_batch(images)
    row_key, column_key = random.split(key)
    tops = random.randint(row_key, (len(batch),), 0, images.shape[-2] - height + 1)
    lefts = random.randint(column_key, (len(batch),), 0, images.shape[-1] - width + 1)

    def part(image: Array, top: Array, left: Array) -> Array:
        return lax.dynamic_slice(image, (0, top, left), (image.shape[0], height, width))

    parts = vmap(part)(batch, tops, lefts)
    return parts.reshape(*images.shape[:-2], height, width)


def flip(images: ArrayLike, vertical: bool = False) -> Array:
    """Images mirrored: left and right, or top and bottom."""
    return rnp.flip(as_images("images.flip", images), -2 if vertical else -1)


def random_flip(
    key: ArrayLike, images: ArrayLike, probability: float = 0.5, vertical: bool = False
) -> Array:
    """Each image mirrored with a probability, as by `flip`."""
    images = as_images("images.random_flip", images)
    chosen = random.bernoulli(key, probability, images.shape[:-3])
    return rnp.where(per_image(chosen, images), flip(images, vertical), images)


def random_resized_crop(
    key: ArrayLike,
    images: ArrayLike,
    size: Size,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    method: str = "bilinear",
) -> Array:
    """Of each image a part of random area, shape and place, resized to `size`.

    The area is uniform in `scale`, relative to the image's, and the ratio of width to height
    uniform in the logarithm of `ratio`. As torchvision's RandomResizedCrop does, the first of ten
    tries is taken that fits the image, and if none does, the largest part in the middle whose ratio
    is allowed. `method` is "bilinear" or "bicubic".

    C. Szegedy et al., Going deeper with convolutions, CVPR 2015.
    """
    images = as_images("images.random_resized_crop", images)
    height, width = as_size("images.random_resized_crop", size)
    if method not in _KERNELS:
        raise ArgumentError(
            at_user_line(
                f"images.random_resized_crop: method is 'bilinear' or 'bicubic', not {method!r}."
            )
        )
    batch = flat_batch(images)
    boxes = random_boxes(key, len(batch), images.shape[-2:], scale, ratio)
    dtype = _working_dtype(images)
    rows, columns = images.shape[-2:]

    def part(image: Array, top: Array, left: Array, tall: Array, wide: Array) -> Array:
        return _resample(
            image,
            _weights(height, rows, top.astype(dtype), tall.astype(dtype), method, dtype),
            _weights(width, columns, left.astype(dtype), wide.astype(dtype), method, dtype),
        )

    parts = vmap(part)(batch, *boxes)
    return parts.reshape(*images.shape[:-2], height, width)


def random_boxes(
    key: ArrayLike,
    count: int,
    shape: Sequence[int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    tries: int = 10,
) -> tuple[Array, Array, Array, Array]:
    """Top, left, height and width, int32 [count] each, of the parts that `random_resized_crop` takes."""
    height, width = shape
    area_key, ratio_key, row_key, column_key = random.split(key, 4)
    drawn = (count, tries)
    area = height * width * random.uniform(area_key, drawn, minval=scale[0], maxval=scale[1])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = rnp.exp(random.uniform(ratio_key, drawn, minval=low, maxval=high))
    wide = rnp.round(rnp.sqrt(area * aspect)).astype("int32")
    tall = rnp.round(rnp.sqrt(area / aspect)).astype("int32")
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    first = rnp.argmax(fits, axis=1)[:, None]
    wide = rnp.take_along_axis(wide, first, axis=1)[:, 0]
    tall = rnp.take_along_axis(tall, first, axis=1)[:, 0]
    found = rnp.any(fits, axis=1)
    # The largest part in the middle.
    largest_wide, largest_tall = width, height
    if width / height < ratio[0]:
        largest_tall = round(width / ratio[0])
    elif width / height > ratio[1]:
        largest_wide = round(height * ratio[1])
    wide = rnp.where(found, wide, largest_wide)
    tall = rnp.where(found, tall, largest_tall)
    # Uniform among the places, of which each image has another number.
    top = _below(random.uniform(row_key, (count,)), height - tall + 1)
    left = _below(random.uniform(column_key, (count,)), width - wide + 1)
    top = rnp.where(found, top, (height - largest_tall) // 2)
    left = rnp.where(found, left, (width - largest_wide) // 2)
    return top, left, tall, wide


def _below(uniform: Array, bound: Array) -> Array:
    """Integers from 0 to `bound` - 1 from uniform numbers, whose rounding may reach the bound."""
    return rnp.minimum((uniform * bound).astype("int32"), bound - 1)


def affine(
    images: ArrayLike, matrix: ArrayLike, value: float = 0, method: str = "nearest"
) -> Array:
    """Images whose pixel at (x, y) is that of the old image at `matrix` @ (x, y, 1).

    Arguments:
      images: [..., channels, height, width].
      matrix: [2, 3], from new coordinates to old, where x counts columns and y rows and a pixel's
        middle is at 0.5, as for Pillow's `Image.transform`.
      value: of pixels that come from outside.
      method: "nearest" or "bilinear".

    >>> shifted = affine(rnp.arange(4.0).reshape(1, 1, 4), np.array([[1, 0, -1], [0, 1, 0]]))
    >>> shifted.tolist()
    [[[0.0, 0.0, 1.0, 2.0]]]
    """
    images = as_images("images.affine", images)
    if method not in ("nearest", "bilinear"):
        raise ArgumentError(
            at_user_line(f"images.affine: method is 'nearest' or 'bilinear', not {method!r}.")
        )
    height, width = images.shape[-2:]
    matrix = rnp.asarray(matrix, dtype=_working_dtype(images))
    x = rnp.arange(width, dtype=matrix.dtype)[None, :] + 0.5
    y = rnp.arange(height, dtype=matrix.dtype)[:, None] + 0.5
    old_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    old_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = (old_x >= 0) & (old_x < width) & (old_y >= 0) & (old_y < height)
    fill = rnp.asarray(value, dtype=images.dtype)
    if method == "nearest":
        return rnp.where(inside, _pixels(images, rnp.floor(old_y), rnp.floor(old_x)), fill)
    # Pixels beyond the edge count as those of the edge, as in Pillow.
    left, top = rnp.floor(old_x - 0.5), rnp.floor(old_y - 0.5)
    right_share, lower_share = old_x - 0.5 - left, old_y - 0.5 - top
    working = images.astype(matrix.dtype)
    upper = _blend(_pixels(working, top, left), _pixels(working, top, left + 1), right_share)
    lower = _blend(
        _pixels(working, top + 1, left), _pixels(working, top + 1, left + 1), right_share
    )
    result = _blend(upper, lower, lower_share)
    return rnp.where(inside, _as(result, images.dtype), fill)


def _pixels(images: Array, y: Array, x: Array) -> Array:
    """The pixels [..., height, width] at rows and columns given as whole floats, clipped."""
    rows = rnp.clip(y, 0, images.shape[-2] - 1).astype("int32")
    columns = rnp.clip(x, 0, images.shape[-1] - 1).astype("int32")
    return images[..., rows, columns]


def _blend(a: Array, b: Array, share: Array) -> Array:
    return a + (b - a) * share
