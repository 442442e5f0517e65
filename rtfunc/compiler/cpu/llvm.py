"""Modules of LLVM, worked on by several threads at once.

llvmlite lets one thread at a time into LLVM, and gives up the interpreter's lock at every call, however
short. Modules that stand in contexts of their own have nothing in common, so they are handled here by two
more handles of the same library, with the signatures that llvmlite declares: one that gives up the
interpreter's lock, for calls that take long, and one that keeps it. Depends on llvmlite.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding import ffi


class _Functions:
    """LLVM's functions, by their names in llvmlite's library without the prefix."""

    def __init__(self, kind: type[ctypes.CDLL]):
        self._library = kind(ffi.lib._name, handle=ffi.lib._handle)

    def __getattr__(self, name: str) -> Any:
        declared = getattr(ffi.lib, f"LLVMPY_{name}")
        function = self._library[f"LLVMPY_{name}"]
        function.argtypes, function.restype = declared.argtypes, declared.restype
        setattr(self, name, function)
        return function


_long = _Functions(ctypes.CDLL)
_short = _Functions(ctypes.PyDLL)


class LLVMError(Exception):
    """What LLVM says against a module."""


class Module:
    """A module in a context of its own; `close` frees both, which nothing else does.

    The context goes with the module since LLVM frees constants, types and metadata with it alone.
    """

    def __init__(self, text: str, triple: str, layout: str):
        """Parse and verify `text`; raises `LLVMError`."""
        self._module: Any = None
        self._context = _short.ContextCreate()
        try:
            message = _Message()
            self._module = _long.ParseAssembly(self._context, text.encode(), message.place)
            message.raise_if(not self._module)
            message.raise_if(bool(_long.VerifyModule(self._module, message.place)))
        except BaseException:
            self.close()
            raise
        _short.SetTarget(self._module, triple.encode())
        _short.SetDataLayout(self._module, layout.encode())

    def __enter__(self) -> Module:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def interface(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the exported functions, and of what must come from outside."""
        functions, imports = [], []
        for value, is_function in self._values():
            name = _short.GetValueName(value).decode()
            if _short.IsDeclaration(value):
                if not name.startswith("llvm."):
                    imports.append(name)
            elif is_function and _short.GetLinkage(value) == llvm.Linkage.external:
                functions.append(name)
        return tuple(functions), tuple(imports)

    def _values(self) -> list[tuple[Any, bool]]:
        found: list[tuple[Any, bool]] = []
        for kind in ("Functions", "Globals"):
            iterator = getattr(_short, f"Module{kind}Iter")(self._module)
            following = getattr(_short, f"{kind}IterNext")
            while value := following(iterator):
                found.append((value, kind == "Functions"))
            getattr(_short, f"Dispose{kind}Iter")(iterator)
        return found

    def run(self, passes: llvm.ModulePassManager, builder: llvm.PassBuilder) -> None:
        """Run passes; neither they nor their builder may be in use by another thread."""
        _long.RunNewModulePassManager(passes, self._module, builder)

    def emit(self, machine: llvm.TargetMachine, *, assembly: bool = False) -> bytes:
        """The object file, or assembly text; the machine may not be in use by another thread."""
        message = _Message()
        buffer = _long.TargetMachineEmitToMemory(
            machine, self._module, int(not assembly), message.place
        )
        message.raise_if(not buffer)
        try:
            size = _short.GetBufferSize(buffer)
            return ctypes.string_at(_short.GetBufferStart(buffer), size)
        finally:
            _short.DisposeMemoryBuffer(buffer)

    def close(self) -> None:
        """Free the module."""
        if self._module:
            _long.DisposeModule(self._module)
        if self._context:
            _long.ContextDispose(self._context)
        self._module = self._context = None


class _Message:
    """Room for what LLVM reports."""

    def __init__(self) -> None:
        self._text = ctypes.c_char_p()
        self.place = ctypes.byref(self._text)

    def raise_if(self, failed: bool) -> None:
        text = self._text.value
        if text is not None:
            _short.DisposeString(self._text)
            self._text.value = None
        if failed:
            raise LLVMError((text or b"").decode(errors="replace").strip())
