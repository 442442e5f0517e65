"""IDX, the file format of MNIST: an array of any dtype and shape, plain or compressed by gzip.

A file is two zero bytes, a byte for the dtype, one for the number of axes, the sizes of the axes
as big-endian 32-bit numbers, and the elements, big-endian.
Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.data.datasets import ArrayDataset
from rtfunc.io.files import FileFormatError, PathLike

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: PathLike) -> np.ndarray:
    """The array in an IDX file, which may be compressed by gzip.

    Raises `FileFormatError` for a file that is damaged or of another format, `OSError` where it
    cannot be read.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "labels-idx1-ubyte")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    name = os.fspath(path)
    with contextlib.ExitStack() as stack:
        file: Any = stack.enter_context(open(path, "rb"))
        if file.read(2) == b"\x1f\x8b":
            file.seek(0)
            file = stack.enter_context(gzip.GzipFile(fileobj=file))
        else:
            file.seek(0)
        try:
            return _read(file)
        except FileFormatError as error:
            raise FileFormatError(f"{name}: {error}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileFormatError(f"{name}: cannot decompress it: {error}") from None


def _read(file: IO[bytes]) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES:
        raise FileFormatError(f"not an IDX file: it begins with {head!r}")
    dtype, ndim = np.dtype(_DTYPES[head[2]]), head[3]
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise FileFormatError("the file is truncated")
    shape = struct.unpack(f">{ndim}I", sizes)
    size = math.prod(shape) * dtype.itemsize
    # Piece by piece: the sizes may lie, and gzip may turn little into much.
    pieces, found = [], 0
    while piece := file.read(min(size - found + 1, 1 << 22)):
        pieces.append(piece)
        found += len(piece)
        if found > size:
            raise FileFormatError(f"the file holds more than its shape {shape} says")
    if found < size:
        raise FileFormatError(
            f"the file is truncated: {found} of the {size} bytes of its shape {shape} are there"
        )
    array = np.frombuffer(b"".join(pieces), dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def mnist(folder: PathLike, part: str = "train") -> ArrayDataset:
    """MNIST, or a set in the same files such as Fashion-MNIST: images uint8 [n, 28, 28], labels
    int32 [n].

    Arguments:
      folder: has `train-images-idx3-ubyte` and the others, with `.gz` at the end or without.
      part: "train" (60,000 images) or "test" (10,000).

    Raises `FileNotFoundError` where a file is missing and `FileFormatError` where it is damaged.
    """
    if part not in ("train", "test"):
        raise ArgumentError(at_user_line(f"mnist: part is 'train' or 'test', but got {part!r}."))
    prefix = "train" if part == "train" else "t10k"
    images = read_idx(_find(folder, f"{prefix}-images", "idx3-ubyte"))
    labels = read_idx(_find(folder, f"{prefix}-labels", "idx1-ubyte"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise FileFormatError(
            f"{os.fspath(folder)}: images of shape {images.shape} and labels of shape "
            f"{labels.shape} do not belong together"
        )
    return ArrayDataset(images, labels.astype(np.int32))


def _find(folder: PathLike, name: str, kind: str) -> Path:
    names = [f"{name}{dash}{kind}{end}" for end in ("", ".gz") for dash in "-."]
    for candidate in names:
        if (path := Path(folder, candidate)).exists():
            return path
    raise FileNotFoundError(
        at_user_line(f"{os.fspath(folder)} has no file {names[0]} or {names[2]}.")
    )
