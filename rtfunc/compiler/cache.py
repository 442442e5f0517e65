"""A content-addressed cache of compiled code on disk.

An entry is a file named by its key, the digest of everything that its content depends on; so
entries are never changed, only written whole, read and thrown away. Writers put a temporary file in
place by rename, readers check a digest that the file carries: any number of processes may share a
folder, and a torn, foreign or damaged entry counts as missing. Nothing here raises for a disk that
is full or read-only: a cache that cannot be used is an empty one.

Depends on the standard library alone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

try:  # hashlib loads OpenSSL, which takes longer than all else that a cached program needs
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"RTFC\x01\n"
_DIGEST_SIZE = 16
_SUFFIX = ".bin"
# Each write adds to a count; the folder is measured once in this many writes, since listing it
# costs more than a write.
_WRITES_BETWEEN_MEASUREMENTS = 32


def content_key(*parts: str | bytes) -> str:
    """A key from all that an entry depends on: 64 hex digits, different for different sequences of
    parts.

    Args:
        parts: the graph or IR, options, target fingerprint, library versions ...

    >>> content_key("ab", "c") == content_key("a", "bc")
    False
    """
    digest = blake2b(digest_size=32)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def default_folder() -> Path:
    """Where entries go: `RTFUNC_CACHE_DIR`, or `rtfunc` under the user's cache folder of the
    platform.

    That is `$XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
    Windows.
    """
    from pathlib import Path

    return Path(_default_folder())


def _default_folder() -> str:
    if chosen := os.environ.get("RTFUNC_CACHE_DIR"):
        return chosen
    if base := os.environ.get("XDG_CACHE_HOME"):
        return os.path.join(base, "rtfunc")
    if sys.platform == "win32" and (base := os.environ.get("LOCALAPPDATA")):
        return os.path.join(base, "rtfunc", "cache")
    folder = "~/Library/Caches/rtfunc" if sys.platform == "darwin" else "~/.cache/rtfunc"
    expanded = os.path.expanduser(folder)
    # An account without home, as in some containers, has no cache: nothing can be put into this.
    return os.path.join(os.devnull, "rtfunc") if expanded == folder else expanded


class DiskCache:
    """A folder of entries, bounded in size; the entries not used for longest go first.

    Example:
        >>> import tempfile
        >>> cache = DiskCache(tempfile.mkdtemp())
        >>> key = content_key("source", "options")
        >>> cache.get(key) is None
        True
        >>> cache.put(key, b"object code")
        >>> cache.get(key)
        b'object code'
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, max_bytes: int = 1 << 30):
        """Make a cache in a folder, which is created when the first entry is written.

        Args:
            folder: the folder; `default_folder()` when None.
            max_bytes: size of all entries together above which old ones are removed, bytes.
        """
        self._folder = os.fspath(folder) if folder is not None else _default_folder()
        self._max_bytes = max_bytes
        self._writes = 0

    @property
    def folder(self) -> Path:
        """The folder of the entries."""
        from pathlib import Path

        return Path(self._folder)

    def get(self, key: str) -> bytes | None:
        """The content stored under `key`, or None where none is whole; marks it as used."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        header = len(_MAGIC) + _DIGEST_SIZE
        content = data[header:]
        if data[:header] != _MAGIC + _checksum(key, content):
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Store `content` under `key`; does nothing where the disk does not allow it."""
        path = self._path(key)
        temporary = None
        try:
            folder = os.path.dirname(path)
            os.makedirs(folder, exist_ok=True)
            temporary = os.path.join(folder, f".new-{os.getpid()}-{os.urandom(8).hex()}")
            with open(temporary, "xb") as file:
                file.write(_MAGIC + _checksum(key, content) + content)
            os.replace(temporary, path)
        except OSError:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            return
        if self._writes % _WRITES_BETWEEN_MEASUREMENTS == 0:
            self.evict()
        self._writes += 1

    def get_or_make(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The content under `key`; where there is none, that of `make()`, which is stored."""
        content = self.get(key)
        if content is None:
            content = make()
            self.put(key, content)
        return content

    def remove(self, key: str) -> None:
        """Remove the entry under `key`, if there is one."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(key))

    def evict(self) -> None:
        """Remove the entries that were used longest ago until the rest fits into three quarters of
        `max_bytes`.

        Does nothing while all entries fit into `max_bytes`. Temporary files that a killed writer
        left more than an hour ago go too.
        """
        entries, total, newest = [], 0, 0.0
        for path in self.folder.glob("??/*"):
            try:
                status = path.stat()
            except OSError:
                continue
            entries.append((status.st_mtime, status.st_size, path))
            total += status.st_size
            newest = max(newest, status.st_mtime)
        abandoned = [
            entry for entry in entries if entry[2].suffix != _SUFFIX and entry[0] < newest - 3600
        ]
        whole = sorted(entry for entry in entries if entry[2].suffix == _SUFFIX)
        surplus = total - self._max_bytes * 3 // 4 if total > self._max_bytes else 0
        for _, size, path in abandoned + whole:
            if surplus <= 0 and path.suffix == _SUFFIX:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                surplus -= size

    def _path(self, key: str) -> str:
        return os.path.join(self._folder, key[:2], f"{key}{_SUFFIX}")


def user_cache() -> DiskCache:
    """The cache in `default_folder()`."""
    return _cache_in(_default_folder())


@functools.cache
def _cache_in(folder: str) -> DiskCache:
    """One object for each folder: it counts the writes after which the folder is measured."""
    return DiskCache(folder)


def _checksum(key: str, content: bytes) -> bytes:
    digest = blake2b(key.encode(), digest_size=_DIGEST_SIZE)
    digest.update(content)
    return digest.digest()
