"""CIFAR-10 and CIFAR-100 in their binary version: 32×32 colour pictures of 10 or 100 classes.

A record is the label (in CIFAR-100 first that of the superclass) and 3,072 bytes: red, green, blue,
row by row. Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009,
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.data.datasets import ArrayDataset
from rtfunc.io.files import FileFormatError, PathLike

_SHAPE = (3, 32, 32)


def cifar10(folder: PathLike, part: str = "train") -> ArrayDataset:
    """CIFAR-10: images uint8 [n, 3, 32, 32], labels int32 [n].

    Arguments:
      folder: has `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, itself or in
        `cifar-10-batches-bin`.
      part: "train" (50,000 images) or "test" (10,000).

    Raises `FileNotFoundError` where a file is missing and `FileFormatError` where it is damaged.
    """
    names = [f"data_batch_{i}.bin" for i in range(1, 6)]
    paths = _paths("cifar10", folder, "cifar-10-batches-bin", part, names, "test_batch.bin")
    images, labels = _records(paths, label_bytes=1, classes=(10,))
    return ArrayDataset(images, labels[:, 0])


def cifar100(folder: PathLike, part: str = "train", *, coarse: bool = False) -> ArrayDataset:
    """CIFAR-100: images uint8 [n, 3, 32, 32], labels int32 [n].

    Arguments:
      folder: has `train.bin` and `test.bin`, itself or in `cifar-100-binary`.
      part: "train" (50,000 images) or "test" (10,000).
      coarse: the labels of the 20 superclasses rather than of the 100 classes.

    Raises `FileNotFoundError` where a file is missing and `FileFormatError` where it is damaged.
    """
    paths = _paths("cifar100", folder, "cifar-100-binary", part, ["train.bin"], "test.bin")
    images, labels = _records(paths, label_bytes=2, classes=(20, 100))
    return ArrayDataset(images, labels[:, 0 if coarse else 1])


def _paths(
    operation: str, folder: PathLike, inner: str, part: str, train: Sequence[str], test: str
) -> list[Path]:
    if part not in ("train", "test"):
        raise ArgumentError(
            at_user_line(f"{operation}: part is 'train' or 'test', but got {part!r}.")
        )
    names = train if part == "train" else [test]
    for place in (Path(folder), Path(folder, inner)):
        if (place / names[0]).exists():
            return [place / name for name in names]
    raise FileNotFoundError(
        at_user_line(
            f"{operation}: {os.fspath(folder)} has no file {names[0]} or {inner}/{names[0]}."
        )
    )


def _records(
    paths: Sequence[Path], label_bytes: int, classes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    size = label_bytes + 3072
    for path in paths:
        data = np.fromfile(path, np.uint8)
        if not data.size or data.size % size:
            raise FileFormatError(f"{path}: its {data.size} bytes are not whole records of {size}")
        rows = data.reshape(-1, size)
        if (rows[:, :label_bytes] >= np.array(classes)).any():
            raise FileFormatError(
                f"{path}: it holds a label that is none of the {classes[-1]} classes"
            )
        labels.append(rows[:, :label_bytes].astype(np.int32))
        images.append(rows[:, label_bytes:].reshape(-1, *_SHAPE))
    return np.concatenate(images), np.concatenate(labels)
