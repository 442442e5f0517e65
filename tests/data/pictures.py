"""Pictures for the tests, as arrays and as Pillow's images."""

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")


def picture(height=13, width=18, seed=0):
    """uint8 [3, height, width]: smooth, with some noise and both extremes."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    phase = np.array([0.0, 1.5, 3.0])[:, None, None]
    values = (
        127 + 110 * np.sin(x / 4 + phase) * np.cos(y / 5) + generator.normal(0, 8, (3, *x.shape))
    )
    values = values.clip(0, 255)
    values[:, 0, 0], values[:, -1, -1] = 0, 255
    return values.astype(np.uint8)


def as_pillow(image):
    return Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))


def as_array(image):
    return np.asarray(image).transpose(2, 0, 1)
