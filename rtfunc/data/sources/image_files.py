"""Pictures in files, decoded by Pillow, and folders of them with a subfolder for each class.

Arrays are uint8 [channels, height, width], as convolutions and `rtfunc.data.images` take them.
Pillow, the extra `images`, is imported when the first picture is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtfunc.core.errors import ArgumentError, MissingDependencyError, at_user_line
from rtfunc.io.files import FileFormatError, PathLike

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_image(
    path: PathLike, *, mode: str = "RGB", size: tuple[int, int] | None = None
) -> np.ndarray:
    """A picture as a uint8 array [channels, height, width].

    Arguments:
      path: a file that Pillow can read.
      mode: what it is converted to: "RGB", "L" (grey, one channel) or another mode of Pillow.
      size: (height, width) to resize it to, by Pillow's bilinear filter.

    Raises `MissingDependencyError` without Pillow, `FileFormatError` for a file that is damaged, no
    picture, or of a size that Pillow takes for an attack; `OSError` where it cannot be read.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependencyError(
            at_user_line("Pictures need Pillow: pip install 'rtfunc[images]'")
        ) from None
    with open(path, "rb") as file:
        try:
            with Image.open(file) as picture:
                if size is not None:
                    picture.draft(mode, (size[1], size[0]))  # JPEG: decode no more than is needed
                converted = picture.convert(mode)
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise FileFormatError(
                f"{os.fspath(path)}: cannot decode the picture: {error}"
            ) from None
    if size is not None and converted.size != (size[1], size[0]):
        converted = converted.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    array = np.asarray(converted)
    channels_last = array[:, :, None] if array.ndim == 2 else array
    return np.ascontiguousarray(channels_last.transpose(2, 0, 1))


class ImageFolder:
    """A dataset of the pictures in a folder, the names of whose subfolders are the classes.

    An item is (image uint8 [channels, height, width], label); pictures are read when they are asked
    for, so that the workers of a loader decode them.

    Arguments:
      folder: has a subfolder for each class, with pictures in it or in folders below it.
      mode, size: as of `read_image`; with `size`, all items have one shape and can be batched.
      extensions: of the names of files that count as pictures.

    Attributes: `classes` the names in alphabetical order, `paths` and `labels` of the items.

    Raises `ArgumentError` where the folder holds no pictures.

    >>> ImageFolder("/nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    rtfunc.core.errors.ArgumentError: ImageFolder: /nowhere is not a folder...
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        mode: str = "RGB",
        size: tuple[int, int] | None = None,
        extensions: Sequence[str] = EXTENSIONS,
    ):
        root = Path(folder)
        if not root.is_dir():
            raise ArgumentError(at_user_line(f"ImageFolder: {root} is not a folder."))
        self.classes = sorted(path.name for path in root.iterdir() if path.is_dir())
        found = [
            (str(path), label)
            for label, name in enumerate(self.classes)
            for path in sorted((root / name).rglob("*"))
            if path.suffix.lower() in extensions and path.is_file()
        ]
        if not found:
            raise ArgumentError(
                at_user_line(
                    f"ImageFolder: {root} has no subfolder with pictures in it "
                    f"({', '.join(extensions)})."
                )
            )
        self.paths = [path for path, _ in found]
        self.labels = np.array([label for _, label in found], np.int32)
        self.mode, self.size = mode, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Any]:
        return read_image(self.paths[index], mode=self.mode, size=self.size), self.labels[index]

    def __repr__(self) -> str:
        return f"ImageFolder({len(self)} pictures of {len(self.classes)} classes)"
