"""Names that compiled code may refer to, and the addresses behind them.

A symbol is one that was defined here, one of a runtime library of this package, which is loaded when code
first asks for it, or one of the process (the C library, say). Depends on the standard library alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
from collections.abc import Callable

#: Which module answers for the symbols that begin so: its `resolve(name)` returns an address or None.
_PROVIDERS = {
    "rtfunc_parallel_for": "rtfunc.compiler.cpu.threads",
    "rtfunc_python_": "rtfunc.compiler.cpu.entry",
    "rtfunc_": "rtfunc.compiler.cpu.library",
}
_defined: dict[str, int] = {}
_resolvers: list[Callable[[str], int | None]] = []


class UnresolvedSymbolError(RuntimeError):
    """A module needs a symbol that is defined neither in it nor elsewhere."""


def define_symbol(name: str, address: int) -> None:
    """Make `name` resolve to `address` in every module linked from now on.

    What stands at the address must outlive the modules that use it.
    """
    _defined[name] = address


def add_resolver(resolve: Callable[[str], int | None]) -> None:
    """Ask `resolve` for the address of each name that a module needs and that is not defined yet.

    Args:
        resolve: from a symbol to its address, or None where the name is not its business.
    """
    _resolvers.append(resolve)


def resolve(name: str) -> int | None:
    """The address of a symbol that generated code can refer to, or None where it is not defined."""
    address = _defined.get(name)
    if address is not None:
        return address
    for prefix, provider in _PROVIDERS.items():
        if name.startswith(prefix):
            address = importlib.import_module(provider).resolve(name)
            break
    for resolver in _resolvers if address is None else ():
        address = resolver(name)
        if address is not None:
            break
    if address is None:
        return _of_process(name)
    _defined[name] = address
    return address


def require(name: str) -> int:
    """`resolve`, raising `UnresolvedSymbolError` where there is no such symbol."""
    address = resolve(name)
    if address is None:
        raise UnresolvedSymbolError(f"undefined symbols in compiled code: {name}")
    return address


def _of_process(name: str) -> int | None:
    # The interpreter's library stands for all that the process has loaded. What processors without an
    # instruction for it call, such as conversions of float16, is in the compiler's runtime library.
    for library in (lambda: ctypes.pythonapi, lambda: ctypes.CDLL("libgcc_s.so.1")):
        with contextlib.suppress(AttributeError, OSError):
            return ctypes.cast(getattr(library(), name), ctypes.c_void_p).value
    return None
