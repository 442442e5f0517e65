"""What all file codecs share: the one error class, bounded reading, and atomic writing.

A codec trusts nothing that a file says about itself. `Source` gives random access which never reads
past the end, `Budget` bounds what a small file may make its reader allocate, and `KeyHashes` how
long it may make dicts take. `atomic_write` replaces a file as a whole or not at all. Depends on
`core.errors`.
"""

import contextlib
import io
import mmap as memory_map
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np

from rtfunc.core.errors import DtypeError, RtfuncError, at_user_line

PathLike = str | os.PathLike[str]


class FileFormatError(RtfuncError, ValueError):
    """A file is damaged, of another format, or asks for something that the reader refuses.

    The message names the file and what was found in it.

    Example:
        >>> import io
        >>> from rtfunc.io import torch_reader
        >>> torch_reader.read(io.BytesIO(b""))
        Traceback (most recent call last):
        ...
        rtfunc.io.files.FileFormatError: <BytesIO>: the file is empty
    """


class Budget:
    """How much memory reading one file may take beyond the file's own bytes.

    Decompression, broadcast views and conversions can turn a few bytes of file into any amount of
    memory; each asks here first.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.spent = 0

    def charge(self, amount: int, purpose: str) -> None:
        """Take `amount` bytes for `purpose`; raises FileFormatError when they are not left."""
        self.spent += amount
        if self.spent > self.limit:
            raise FileFormatError(
                f"{purpose} needs {amount} bytes; reading a file of this size may take no more "
                f"than {self.limit} bytes beyond its own"
            )


class KeyHashes:
    """Bounds how many keys of one hash a file may put into dicts and sets.

    A dict of n such keys takes time in proportion to n². Numbers and tuples of one hash are easily
    found, such as the multiples of 2⁶¹ - 1; hashes of text and bytes depend on a secret of the
    process, and smaller integers are their own hash.
    """

    def __init__(self) -> None:
        self._keys: dict[int, set[Any]] = {}

    def add(self, key: Any) -> None:
        """Note a key; raises FileFormatError when there are too many of its hash."""
        kind = type(key)
        if kind is str or kind is bytes or (kind is int and -_HASH_MODULUS < key < _HASH_MODULUS):
            return
        same = self._keys.setdefault(hash(key), set())
        same.add(key)
        if len(same) > _MAX_SAME_HASH:
            raise FileFormatError(f"it holds more than {_MAX_SAME_HASH} keys of one hash")


_HASH_MODULUS = sys.hash_info.modulus
_MAX_SAME_HASH = 100


class Source:
    """Random access to the bytes of an open file, from its position at the start to its end.

    Args:
        file: an open, seekable binary file.
        name: what error messages call it.
        mapped: share arrays with the memory-mapped file rather than reading them.
    """

    def __init__(self, file: BinaryIO, name: str, mapped: bool) -> None:
        self.name = name
        self._file = file
        self._start = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._start
        self._map: memory_map.mmap | None = None
        if mapped and self.size > 0:
            self._map = memory_map.mmap(file.fileno(), 0, access=memory_map.ACCESS_READ)

    @property
    def mapped(self) -> bool:
        """Whether arrays share the memory-mapped file."""
        return self._map is not None

    def _check_range(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise FileFormatError(
                f"bytes {offset} to {offset + length} lie outside the file, which has {self.size}: "
                "it is truncated or damaged"
            )

    def read(self, offset: int, length: int) -> bytes:
        """The `length` bytes at `offset`; raises FileFormatError where the file has them not."""
        self._check_range(offset, length)
        self._file.seek(self._start + offset)
        data = self._file.read(length)
        if len(data) != length:
            raise FileFormatError("the file ended while it was read")
        return data

    def read_into(self, offset: int, target: np.ndarray) -> None:
        """Fill `target`, a contiguous uint8 vector, with the bytes at `offset`."""
        self._check_range(offset, target.size)
        self._file.seek(self._start + offset)
        view = target.data
        done = 0
        readinto = getattr(self._file, "readinto", None)
        while done < target.size:
            if readinto is not None:
                count = readinto(view[done:]) or 0
            else:
                chunk = self._file.read(min(target.size - done, 1 << 24))
                count = len(chunk)
                view[done : done + count] = chunk
            if count == 0:
                raise FileFormatError("the file ended while it was read")
            done += count

    def array(self, offset: int, length: int, alignment: int) -> np.ndarray:
        """The bytes at `offset` as a uint8 vector; of the mapped file if that is `alignment`-ed."""
        self._check_range(offset, length)
        if self._map is not None and length > 0 and offset % alignment == 0:
            return np.ndarray((length,), np.uint8, self._map, offset)
        target = np.empty(length, np.uint8)
        self.read_into(offset, target)
        return target


def open_source(
    path_or_file: PathLike | IO[bytes] | bytes, *, mmap: bool
) -> contextlib.AbstractContextManager[Source]:
    """Open a file for one reading; a FileFormatError raised inside gets the file's name in front.

    Args:
        path_or_file: a path, an open seekable binary file, read from its position on, or the bytes
            that a file would hold.
        mmap: map the file into memory; takes effect for paths only.

    Raises:
        FileFormatError: what the reading raised, with the name.
        OSError: the file cannot be opened or read.
        DtypeError: not one of these.
    """
    if isinstance(path_or_file, str | os.PathLike):
        return _opened(open(path_or_file, "rb"), os.fspath(path_or_file), mmap)
    if isinstance(path_or_file, bytes | bytearray | memoryview):
        return _opened(io.BytesIO(path_or_file), "<bytes>", False)
    name = _file_name(path_or_file)
    return _opened(contextlib.nullcontext(path_or_file), name, False)


@contextlib.contextmanager
def _opened(
    opened: contextlib.AbstractContextManager[Any], name: str, mmap: bool
) -> Iterator[Source]:
    try:
        with opened as file:
            yield Source(file, name, mmap)
    except FileFormatError as error:
        raise FileFormatError(f"{name}: {error}") from error.__cause__


def _file_name(file: Any) -> str:
    if not (hasattr(file, "read") and hasattr(file, "seek")):
        raise DtypeError(
            at_user_line(
                f"expected a path, an open binary file or bytes, not {type(file).__name__}"
            )
        )
    if not isinstance(file.read(0), bytes):
        raise DtypeError(at_user_line("the file must be opened in binary mode"))
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else f"<{type(file).__name__}>"


@contextlib.contextmanager
def atomic_write(path_or_file: PathLike | IO[bytes]) -> Iterator[BinaryIO]:
    """Open a target for writing so that a path gets the whole new content or keeps its old one.

    The bytes go to a temporary file in the target's folder, which is flushed to the disk and then
    renamed onto the target; a failure removes it. A symbolic link is followed and an existing
    file's permissions are kept. An open file is written to directly.

    Args:
        path_or_file: a path, or a file open for binary writing.

    Raises:
        OSError: the file cannot be written.
    """
    if not isinstance(path_or_file, str | os.PathLike):
        yield cast(BinaryIO, path_or_file)
        return
    target = Path(os.path.realpath(path_or_file))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        with open(temporary, "xb") as file:
            _lock(file)
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.utime(temporary)  # its lock ends here: fresh again, for `remove_stale`
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def remove_stale(folder: PathLike, prefix: str) -> None:
    """Remove what `atomic_write` of files whose names begin with `prefix` left when it was killed.

    A file that is being written is locked by its process, also by one on another machine where the
    file system knows locks; the lock goes with the process. Windows does not remove a file that is
    open. Where there is neither, what has not been written to for a day counts as left. What is
    younger than a minute stays in any case, since a file is not locked in the moment in which it is
    made.
    """
    for path in Path(folder).glob(f".{prefix}*{_TEMPORARY}"):
        with contextlib.suppress(OSError):
            age = time.time() - path.stat().st_mtime
            if age <= _FRESH:
                continue
            with open(path, "rb") as file:
                locked = _lock(file)
                if locked:
                    path.unlink()
            if locked is None and (_OPEN_FILES_STAY or age > _OLD):
                path.unlink()


_TEMPORARY = ".tmp"
_FRESH = 60.0  # seconds
_OLD = 24 * 3600.0
_OPEN_FILES_STAY = os.name == "nt"


def _lock(file: IO[bytes]) -> bool | None:
    """Take the lock of an open file: False where another has it, None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system lets a folder be opened (not Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_only(array: np.ndarray) -> np.ndarray:
    """`array` itself, marked read-only."""
    array.flags.writeable = False
    return array


def check_booleans(data: np.ndarray) -> None:
    """Raise FileFormatError unless `data`, the uint8 vector under a bool array, is all 0 and 1."""
    if data.size and int(data.max()) > 1:
        raise FileFormatError("a bool array holds bytes other than 0 and 1")


def component_size(dtype: np.dtype) -> int:
    """Bytes that change places between byte orders: an item, or half of a complex one."""
    return dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize


def swapped(data: np.ndarray, size: int) -> np.ndarray:
    """A copy of `data`, a uint8 vector, with the bytes of each number of `size` bytes reversed."""
    return data.view(f"u{size}").byteswap().view(np.uint8)


def little_endian_bytes(array: np.ndarray) -> memoryview:
    """The content of `array` in C order as a vector of bytes, copied only where it must be."""
    flat = np.ascontiguousarray(array).reshape(-1)
    in_big_endian = (sys.byteorder == "big") == flat.dtype.isnative
    data = flat.view(np.uint8)
    size = component_size(flat.dtype)
    return (swapped(data, size) if in_big_endian and size > 1 else data).data
