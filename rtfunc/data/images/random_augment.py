"""RandAugment: a few operations, drawn at random from a fixed list, on each image.

The list, the ranges and the scale of magnitudes are torchvision's. Each image is augmented by
itself in a loop of the compiled program, so that only the operations that were drawn are computed.
Depends on `colour`, `geometry`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rtfunc import lax, random
from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.data.images import colour
from rtfunc.data.images.geometry import affine
from rtfunc.data.images.layout import as_images, flat_batch

#: Number of steps of the scale of magnitudes.
STEPS = 31

Operation = Callable[[Array, Array], Array]


def rand_augment(
    key: ArrayLike,
    images: ArrayLike,
    operations: int = 2,
    magnitude: int = 9,
    value: float = 0.0,
) -> Array:
    """Each image through `operations` operations in turn, drawn from 14 with repetition.

    They are: identity, shear and translation along x and y, rotation, brightness, colour, contrast,
    sharpness, posterize, solarize, autocontrast, equalize.

    Arguments:
      images: [..., 3 or 1, height, width], floating-point in [0, 1].
      magnitude: how strong they are, from 0 to 30; the direction is drawn.
      value: of pixels that come from outside the image.

    E. Cubuk, B. Zoph, J. Shlens, Q. Le, RandAugment: Practical automated data augmentation with a
    reduced search space, 2019.

    >>> rand_augment(random.key(0), rnp.ones((4, 3, 8, 8)) / 2).shape
    (4, 3, 8, 8)
    """
    images = as_images("images.rand_augment", images, floating=True)
    if not isinstance(magnitude, int) or not 0 <= magnitude < STEPS:
        raise ArgumentError(
            at_user_line(
                f"images.rand_augment: magnitude is an integer from 0 to {STEPS - 1}, not "
                f"{magnitude!r}."
            )
        )
    batch = flat_batch(images)
    table = list(operations_of(images.shape[-2], images.shape[-1], magnitude, value).values())

    def augmented(given: tuple[Array, Array]) -> Array:
        key, image = given
        for _ in range(operations):
            key, choice_key, sign_key = random.split(key, 3)
            sign = 1.0 - 2.0 * random.bernoulli(sign_key).astype(image.dtype)
            choice = random.randint(choice_key, (), 0, len(table))
            image = lax.switch(choice, table, image, sign)
        return image

    keys = random.split(key, max(len(batch), 1))[: len(batch)]
    return lax.map(augmented, (keys, batch)).reshape(images.shape)


def operations_of(height: int, width: int, magnitude: int, value: float) -> dict[str, Operation]:
    """The operations by name, as functions of an image [channels, height, width] and a sign ±1."""
    level = magnitude / (STEPS - 1)
    shear, turn, factor = 0.3 * level, math.radians(30 * level), 0.9 * level
    bits = 8 - round(4 * level)

    def moved(image: Array, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Array:
        rows = [
            rnp.stack([rnp.asarray(x, dtype=image.dtype) for x in row])
            for row in ((a, b, c), (d, e, f))
        ]
        return affine(image, rnp.stack(rows), value)

    def rotated(image: Array, sign: Array) -> Array:
        cosine, sine = math.cos(turn), math.sin(turn) * sign
        x, y = width / 2, height / 2
        return moved(
            image,
            cosine, -sine, x - cosine * x + sine * y,
            sine, cosine, y - sine * x - cosine * y,
        )  # fmt: skip

    # The greatest shift is that of the paper's pictures, 150 pixels of 331.
    columns, rows = int(150 / 331 * width * level), int(150 / 331 * height * level)
    return {
        "identity": lambda image, sign: image,
        "shear_x": lambda image, sign: moved(image, 1, shear * sign, 0, 0, 1, 0),
        "shear_y": lambda image, sign: moved(image, 1, 0, 0, shear * sign, 1, 0),
        "translate_x": lambda image, sign: moved(image, 1, 0, columns * sign, 0, 1, 0),
        "translate_y": lambda image, sign: moved(image, 1, 0, 0, 0, 1, rows * sign),
        "rotate": rotated,
        "brightness": lambda image, sign: colour.adjust_brightness(image, 1 + factor * sign),
        "colour": lambda image, sign: colour.adjust_saturation(image, 1 + factor * sign),
        "contrast": lambda image, sign: colour.adjust_contrast(image, 1 + factor * sign),
        "sharpness": lambda image, sign: colour.adjust_sharpness(image, 1 + factor * sign),
        "posterize": lambda image, sign: colour.posterize(image, bits),
        "solarize": lambda image, sign: colour.solarize(image, 1 - level),
        "autocontrast": lambda image, sign: colour.autocontrast(image),
        "equalize": lambda image, sign: colour.equalize(image),
    }
