"""Routines that compiled programs share: compiled once for a machine, loaded when code first refers to them.

A routine's machine code stands in the disk cache under its name, so that loading it neither loads LLVM nor
makes its IR. Depends on `machine_code`; the modules that print the routines are imported when one of them
has to be compiled.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rtfunc.compiler.cache import content_key, user_cache
from rtfunc.compiler.cpu.machine_code import CompiledModule, cached
from rtfunc.compiler.cpu.target import host
from rtfunc.compiler.fingerprint import source_fingerprint

if TYPE_CHECKING:
    from rtfunc.compiler.cpu.crew import Crew

#: Symbols that begin so, the library that defines them (None: one for each symbol), and the module whose
#: `routines(library)` prints it.
_LIBRARIES = (
    ("rtfunc_transpose_", None, "transposition"),
    ("rtfunc_rank_", "sorting", "sorting"),
    ("rtfunc_radix_", "sorting", "sorting"),
    ("rtfunc_product", None, "product_library"),
    ("rtfunc_tile_", None, "product_library"),
    ("rtfunc_pack_", None, "product_library"),
)
_PRINTERS = {"pool": "threads_ir", "entry": "entry"}
#: Libraries that hand out work rather than do it: compiling them quickly matters more than their code.
_CONTROL = ("pool", "entry", "rtfunc_product")
_locks: dict[str, threading.RLock] = {}
#: Libraries that a crew has been asked for.
_requested: set[str] = set()

if hasattr(os, "register_at_fork"):
    # In a child, the threads that held these are gone.
    os.register_at_fork(after_in_child=_locks.clear)


def load(library: str) -> CompiledModule:
    """The library of this name, whose code stays in memory until the process ends."""
    # A lock each: a library may wait for another that it refers to.
    with _locks.setdefault(library, threading.RLock()):
        return _load(library)


def request(crew: Crew, symbols: Iterable[str]) -> None:
    """Have the crew load the libraries of those symbols that belong to one.

    What goes wrong comes up again where a routine is needed.
    """
    for symbol in symbols:
        library = _library_of(symbol)
        if library is not None and library not in _requested:
            _requested.add(library)
            crew.add(functools.partial(load, library))


def _library_of(symbol: str) -> str | None:
    if symbol == "rtfunc_parallel_for":
        return "pool"
    for prefix, library, _ in _LIBRARIES:
        if symbol.startswith(prefix):
            return library or symbol
    return None


@functools.cache
def _load(library: str) -> CompiledModule:
    key = content_key("library", library, host().fingerprint, source_fingerprint())
    module = cached(key, user_cache(), lambda: _compile(library))
    # Native threads may be in it while the interpreter shuts down.
    module.make_permanent()
    return module


def _compile(library: str) -> CompiledModule:
    from rtfunc.compiler.cpu.engine import LEAN, compile_module

    printer = _PRINTERS.get(library) or next(
        module
        for prefix, name, module in _LIBRARIES
        if library == name or library.startswith(prefix)
    )
    module = importlib.import_module(f"rtfunc.compiler.cpu.{printer}")
    return compile_module(
        module.routines(library),
        optimize=("always_inliner", *LEAN),
        codegen=0 if library in _CONTROL else 2,
    )


def resolve(symbol: str) -> int | None:
    """The address of a routine, or None where it is none of these libraries' business."""
    library = _library_of(symbol)
    return None if library is None else load(library).address(symbol)
