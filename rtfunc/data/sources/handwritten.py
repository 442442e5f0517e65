"""The handwritten digits that come with the package, for first steps, examples and tests.

`digits.md` beside this file has the source and the licence of the digits. Depends on `datasets`.
"""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np

from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.data.datasets import ArrayDataset


def digits(part: str = "all") -> ArrayDataset:
    """1,797 handwritten digits: images float32 [n, 8, 8], 0 is paper and 1 ink; labels int32 [n].

    Arguments: part: "all"; or "train" (1,442 images) and "test" (355), a fixed split: of each class
    every fifth image in the order of the file is for testing.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, 1998, https://doi.org/10.24432/C50P49, CC BY 4.0.

    >>> images, labels = digits("train").arrays
    >>> images.shape, labels.shape
    ((1442, 8, 8), (1442,))
    """
    images, labels, held_out = _digits()
    if part == "all":
        return ArrayDataset(images, labels)
    if part == "train":
        return ArrayDataset(images[~held_out], labels[~held_out])
    if part == "test":
        return ArrayDataset(images[held_out], labels[held_out])
    raise ArgumentError(
        at_user_line(f"digits: part is 'all', 'train' or 'test', but got {part!r}.")
    )


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels, and which of them are held out."""
    file = resources.files("rtfunc.data.sources").joinpath("digits.npz")
    with file.open("rb") as stream, np.load(stream) as stored:
        images = stored["images"].astype(np.float32) / 16
        labels = stored["labels"].astype(np.int32)
    held_out = np.zeros(len(labels), bool)
    for label in range(10):
        held_out[np.flatnonzero(labels == label)[4::5]] = True
    for array in (images, labels, held_out):
        array.flags.writeable = False
    return images, labels, held_out
