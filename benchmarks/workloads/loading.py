"""What the loaders read: rows of arrays, and PNG files. Depends on NumPy, and on Pillow for files.

Items are of the size of MNIST's. `endless` makes of a loader, which is iterated epoch by epoch, a
call that gives one batch after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

BATCH, IMAGE_BATCH = 128, 64
WORKERS = 2


def rows() -> tuple[np.ndarray, np.ndarray]:
    """float32 [60000, 784] and int64 [60000]."""
    generator = np.random.default_rng(0)
    return generator.random((60000, 784), np.float32), generator.integers(0, 10, 60000)


class ImageFiles:
    """The PNG files of a folder as uint8 arrays, by Pillow."""

    def __init__(self, paths: list[str]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        from PIL import Image

        with Image.open(self.paths[index]) as image:
            return np.asarray(image), index % 10


def write_images(folder: str, count: int, side: int) -> list[str]:
    """Smooth pictures with some noise, which compress about as photographs do."""
    from PIL import Image

    paths = []
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8))
        picture = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(picture + rng.integers(-4, 5, picture.shape), 0, 255).astype(np.uint8)
        paths.append(str(Path(folder, f"{number}.png")))
        Image.fromarray(noisy).save(paths[-1], compress_level=3)
    return paths


def endless(loader: Iterable[Any]) -> Callable[[], Any]:
    """A function that returns the next batch, of the next epoch where one is over."""

    def batches() -> Any:
        while True:
            yield from loader

    iterator = batches()
    return lambda: next(iterator)
