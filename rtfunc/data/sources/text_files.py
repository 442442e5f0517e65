"""Lines of text files as a dataset that is read in any order, without holding the text in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from rtfunc.core.errors import at_user_line
from rtfunc.io.files import FileFormatError, PathLike

_CHUNK = 1 << 22


class TextLines:
    """The lines of one or several files, without their ends ("\\n" or "\\r\\n").

    On creation the files are read once to find where lines begin; eight bytes a line stay in memory.

    Arguments: paths: a path or a sequence of paths; encoding: of the text, such that a newline is
    the byte 10 (UTF-8, Latin-1 and most others).

    Raises `OSError` where a file cannot be read; reading a line raises `FileFormatError` where it is
    not of the encoding.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "text")
    ...     with open(path, "w") as file:
    ...         _ = file.write("one\\ntwo\\n\\nfour")
    ...     lines = TextLines(path)
    ...     len(lines), lines[3]
    (4, 'four')
    """

    def __init__(self, paths: PathLike | Sequence[PathLike], encoding: str = "utf-8"):
        several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        self.paths = [os.fspath(path) for path in several]
        self.encoding = encoding
        bounds = [_bounds(path) for path in self.paths]
        #: Where each line begins in its file, and ends.
        self._begins = np.concatenate([b[:-1] for b in bounds] or [np.zeros(0, np.int64)])
        self._ends = np.concatenate([b[1:] for b in bounds] or [np.zeros(0, np.int64)])
        #: The number of the first line of each file.
        self._first = np.cumsum([0, *(len(b) - 1 for b in bounds)])

    def __len__(self) -> int:
        return len(self._begins)

    def __getitem__(self, index: int) -> str:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        lines = [""] * len(indices)
        numbers = [range(len(self))[int(index)] for index in indices]  # IndexError past the end
        owners = np.searchsorted(self._first, numbers, side="right") - 1
        for owner in np.unique(owners):
            with open(self.paths[owner], "rb") as file:
                for place in np.flatnonzero(owners == owner):
                    number = numbers[place]
                    file.seek(self._begins[number])
                    data = file.read(int(self._ends[number] - self._begins[number]))
                    lines[place] = self._text(data, owner, number)
        return lines

    def _text(self, data: bytes, owner: int, number: int) -> str:
        try:
            return data.removesuffix(b"\n").removesuffix(b"\r").decode(self.encoding)
        except UnicodeDecodeError as error:
            line = number - int(self._first[owner]) + 1
            raise FileFormatError(
                at_user_line(f"{self.paths[owner]}: line {line} is not {self.encoding}: {error}")
            ) from None

    def __repr__(self) -> str:
        return f"TextLines({len(self)} lines of {len(self.paths)} files)"


def _bounds(path: str) -> np.ndarray:
    """Where the lines of a file begin, and where the last one ends."""
    parts, size = [np.zeros(1, np.int64)], 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            newlines = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n"))
            parts.append(newlines + size + 1)
            size += len(chunk)
    bounds = np.concatenate(parts)
    return bounds if bounds[-1] == size else np.append(bounds, size)
