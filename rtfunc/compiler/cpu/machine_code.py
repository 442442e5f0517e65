"""Machine code in memory: object files, linked and callable by address, fresh or from the disk cache.

Where the platform is known to `elf`, linking is done there, without LLVM; elsewhere LLVM's linker does it.
Depends on `elf`, `symbols`, `target`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE
from typing import Any, NamedTuple

from rtfunc.compiler.cache import DiskCache
from rtfunc.compiler.cpu import elf
from rtfunc.compiler.cpu.symbols import UnresolvedSymbolError, resolve
from rtfunc.compiler.cpu.target import host

_MAGIC = b"RTFO\x03\n"
_permanent: list[Any] = []


class InvalidModuleError(ValueError):
    """IR that LLVM refuses, or bytes that are not a serialized module for this machine."""


class Timings(NamedTuple):
    """Seconds spent in each stage of making a module; stages that did not run are 0."""

    parse: float = 0.0
    passes: float = 0.0
    codegen: float = 0.0
    link: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the stages, seconds."""
        return self.parse + self.passes + self.codegen + self.link


class ObjectCode(NamedTuple):
    """An object file, which is not linked yet.

    Attributes:
        data: the file's bytes.
        functions: names of the functions that it defines and exports.
        imports: names of what it needs from outside.
        timings: seconds by stage.
    """

    data: bytes
    functions: tuple[str, ...]
    imports: tuple[str, ...]
    timings: Timings = Timings()


class CompiledModule:
    """Machine code in memory, callable by address.

    The code is freed when this object is: whoever keeps an address keeps the module too. Made by
    `compile_module` and `load_module`.

    Attributes:
        objects: the object files that it was linked from; each may refer to functions of those before it.
        functions: names of the functions that the module defines and exports.
        timings: seconds by stage, in all object files together.
    """

    def __init__(self, objects: Sequence[ObjectCode]) -> None:
        started = time.perf_counter()
        self._code, self._addresses = _linked(objects)
        self.objects = tuple(objects)
        self.functions = tuple(name for code in objects for name in code.functions)
        link = time.perf_counter() - started
        spent = [o.timings for o in objects]
        self.timings = Timings(
            sum(t.parse for t in spent),
            sum(t.passes for t in spent),
            sum(t.codegen for t in spent),
            link,
        )

    def address(self, name: str) -> int:
        """Address of the function `name`; raises `KeyError` where it is not exported."""
        return self._addresses[name]

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """The function `name` as a ctypes callable, which releases the GIL during calls and keeps
        the module alive.

        Args:
            name: an exported function.
            result: ctypes type of the result, or None for `void`.
            arguments: ctypes types of the arguments.
        """
        callable_ = CFUNCTYPE(result, *arguments)(self.address(name))
        callable_.module = self  # type: ignore[attr-defined]
        return callable_

    def serialize(self) -> bytes:
        """The module as bytes for `load_module`, good for one `Target.fingerprint`."""
        header = json.dumps(
            {
                "fingerprint": host().fingerprint,
                "objects": [(len(o.data), o.functions, o.imports) for o in self.objects],
            }
        ).encode()
        parts = (_MAGIC, len(header).to_bytes(4, "little"), header)
        return b"".join((*parts, *(o.data for o in self.objects)))

    def make_permanent(self) -> None:
        """Keep the code in memory until the process ends, whatever becomes of this object.

        For code that native threads may be running while the interpreter shuts down.
        """
        _permanent.append(self._code)


def _linked(objects: Sequence[ObjectCode]) -> tuple[Any, dict[str, int]]:
    """What holds the code in memory, and the addresses of its functions."""
    defined: dict[str, int] = {}
    for code in objects:
        missing = [n for n in code.imports if n not in defined and resolve(n) is None]
        if missing:
            raise UnresolvedSymbolError(f"undefined symbols in compiled code: {', '.join(missing)}")
        defined.update(dict.fromkeys(code.functions, 0))
    if elf.is_supported():
        linked = []
        try:
            for code in objects:
                linked.append(elf.LinkedObject(code.data, defined))
                defined.update(linked[-1].addresses)
        except elf.UnknownObjectError as error:
            raise InvalidModuleError(str(error)) from error
        return linked, defined
    from rtfunc.compiler.cpu.engine import link

    return link(objects)


def load_module(data: bytes) -> CompiledModule:
    """Load what `CompiledModule.serialize` wrote, without compiling.

    Raises:
        InvalidModuleError: the bytes are damaged, or were made for another processor or LLVM.
        UnresolvedSymbolError: a symbol that the module needs is not defined in this process.
    """
    start = len(_MAGIC) + 4
    if data[: len(_MAGIC)] != _MAGIC:
        raise InvalidModuleError("not a serialized module of this version")
    size = int.from_bytes(data[len(_MAGIC) : start], "little")
    try:
        header = json.loads(data[start : start + size])
        described = [(int(n), tuple(f), tuple(i)) for n, f, i in header["objects"]]
        fingerprint = header["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidModuleError(f"damaged header of a serialized module: {error}") from error
    if fingerprint != host().fingerprint:
        raise InvalidModuleError("the module was compiled for another processor or LLVM version")
    objects, place = [], start + size
    for length, functions, imports in described:
        objects.append(ObjectCode(data[place : place + length], functions, imports))
        place += length
    return CompiledModule(objects)


def cached(key: str, cache: DiskCache, make: Callable[[], CompiledModule]) -> CompiledModule:
    """The module under a key of the disk cache, or else the one that is made and then stored."""
    stored = cache.get(key)
    if stored is not None:
        try:
            return load_module(stored)
        except InvalidModuleError:
            cache.remove(key)
    module = make()
    cache.put(key, module.serialize())
    return module
