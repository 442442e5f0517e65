"""Which compiler made a program: a digest that changes when the source of this package does.

Depends on the standard library alone.
"""

from __future__ import annotations

import functools
import os

from rtfunc.compiler.cache import blake2b


@functools.cache
def source_fingerprint() -> str:
    """Hex digest of names, sizes and times of the files that decide what a Graph compiles to."""
    digest = blake2b(digest_size=16)
    package = os.path.dirname(os.path.dirname(__file__))
    waiting = [os.path.join(package, folder) for folder in ("compiler", "ops", "core")]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    found = entry.name, status.st_size, status.st_mtime_ns
                    digest.update(repr(found).encode())
                elif entry.name != "__pycache__" and entry.is_dir():
                    waiting.append(entry.path)
    return digest.hexdigest()
