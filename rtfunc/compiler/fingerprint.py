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
    for folder in ("compiler", "compiler/cpu", "compiler/cpu/maths", "ops", "core"):
        with os.scandir(os.path.join(package, folder)) as entries:
            found = sorted(
                (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
                for entry in entries
                if entry.name.endswith(".py")
            )
        digest.update(repr((folder, found)).encode())
    return digest.hexdigest()
