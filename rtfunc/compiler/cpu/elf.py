"""Linking an object file into memory: ELF for x86-64, as LLVM writes it on Linux.

Much less work than an LLVM linker, and done without loading LLVM: a program from the disk cache runs some
milliseconds after it was asked for. Code and constants are mapped read-only and executable, data writable.
Code is position independent in the small code model: what lies outside of the module is called through stubs
and read through a table of addresses, both of which stand behind its code.

Source: System V ABI, AMD64 supplement, 4.4 "Relocation". Depends on `symbols` and NumPy.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import platform
import struct
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from rtfunc.compiler.cpu.symbols import require

_SECTION = np.dtype([
    ("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("address", "<u8"), ("offset", "<u8"),
    ("size", "<u8"), ("link", "<u4"), ("info", "<u4"), ("align", "<u8"), ("entry", "<u8"),
])  # fmt: skip
_SYMBOL = np.dtype([
    ("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"),
    ("size", "<u8"),
])  # fmt: skip
_RELOCATION = np.dtype([("offset", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])

_SYMTAB, _RELA, _NOBITS = 2, 4, 8
_WRITE, _ALLOC = 1, 2
_X86_64, _GLOBAL = 62, 1
_ABS64, _PC32, _PLT32, _GOTPCREL, _PC64, _GOTPCRELX, _REX_GOTPCRELX = 1, 2, 4, 9, 24, 41, 42
_OF_TABLE = (_GOTPCREL, _GOTPCRELX, _REX_GOTPCRELX)
_STUB = b"\xff\x25\x00\x00\x00\x00"  # jmp *0(%rip), with the address behind it
_STUB_SIZE = 16
_PAGE = mmap.PAGESIZE
_LARGEST = 1 << 31  # bytes of a section: the small code model reaches no further


class UnknownObjectError(ValueError):
    """An object file with something in it that this linker does not know."""


def is_supported() -> bool:
    """Whether objects of this platform can be linked here."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


class LinkedObject:
    """An object file in memory; the memory goes with the Python object.

    Attributes:
        addresses: of the functions that it exports.
    """

    def __init__(self, data: bytes, known: Mapping[str, int] = MappingProxyType({})) -> None:
        """Link `data`, with the addresses of symbols that are `known` beside those of `symbols`.

        Raises:
            UnresolvedSymbolError: it refers to a symbol that is not defined.
            UnknownObjectError: it is no object file that this linker understands.
        """
        try:
            self._link(data, known)
        except (struct.error, ValueError, IndexError, KeyError, OverflowError) as error:
            raise UnknownObjectError(f"an object file that cannot be read: {error}") from error

    def _link(self, data: bytes, known: Mapping[str, int]) -> None:
        if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", data, 18)[0] != _X86_64:
            raise ValueError("not an ELF file for x86-64")
        (table,) = struct.unpack_from("<Q", data, 40)
        (count,) = struct.unpack_from("<H", data, 60)
        sections = _records(data, _SECTION, count, table)
        symtab = next((s for s in sections if s["type"] == _SYMTAB), None)
        if symtab is None:
            raise ValueError("no table of symbols")
        count = int(symtab["size"]) // _SYMBOL.itemsize
        symbols = _records(data, _SYMBOL, count, int(symtab["offset"]))
        names_at = int(sections[symtab["link"]]["offset"])
        section_names = int(sections[struct.unpack_from("<H", data, 62)[0]]["offset"])

        def text(offset: int) -> str:
            if offset > len(data):
                raise ValueError("a name outside of the file")
            return data[offset : data.index(b"\0", offset)].decode()

        # Where each section goes: first what is never written, and the stubs; then what is.
        places: dict[int, int] = {}
        loaded = []
        for number, section in enumerate(sections):
            name = text(section_names + int(section["name"]))
            if section["flags"] & _ALLOC and section["size"] and name != ".eh_frame":
                _check_section(section, len(data))
                constant = not section["flags"] & _WRITE or name.startswith(".data.rel.ro")
                loaded.append((not constant, number))
        relocations = [
            (places_of, _records(data, _RELOCATION, int(s["size"]) // 24, int(s["offset"])))
            for s in sections
            if s["type"] == _RELA and (places_of := int(s["info"])) in {n for _, n in loaded}
        ]
        # Symbols that get a stub and an entry in the table of addresses.
        outside = {i for i, s in enumerate(symbols) if i and not s["section"] and s["info"] >> 4}
        for number, entries in relocations:
            _check_relocations(entries, int(sections[number]["size"]), len(symbols))
            of_table = (entries["type"][:, None] == _OF_TABLE).any(axis=1)
            outside.update(entries["symbol"][of_table].tolist())
        end, writable = 0, None
        stubs = table_at = 0
        for is_written, number in [*sorted(loaded), (True, -1)]:
            if is_written and writable is None:
                stubs = -(-end // 16) * 16
                table_at = stubs + _STUB_SIZE * len(outside)
                end = table_at + 8 * len(outside)
                writable = end = -(-end // _PAGE) * _PAGE
            if number >= 0:
                align = max(int(sections[number]["align"]), 1)
                end = -(-end // align) * align
                places[number] = end
                end += int(sections[number]["size"])
        size = max(-(-end // _PAGE) * _PAGE, _PAGE)

        # Private: what code of a forked child writes to its data is no business of the parent.
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for number, place in places.items():
            section = sections[number]
            if section["type"] != _NOBITS:
                start, length = int(section["offset"]), int(section["size"])
                memory[place : place + length] = data[start : start + length]
        # The address of every symbol, and for those outside where their stub and entry are.
        values = symbols["value"].astype(np.int64)
        for number, place in places.items():
            values[symbols["section"] == number] += base + place
        stub_of, entry_of = values.copy(), np.zeros(len(symbols), np.int64)
        for i, symbol in enumerate(sorted(outside)):
            stub, entry = stubs + _STUB_SIZE * i, table_at + 8 * i
            entry_of[symbol] = base + entry
            if not symbols[symbol]["section"]:
                name = text(names_at + int(symbols[symbol]["name"]))
                values[symbol] = known.get(name) or require(name)
                stub_of[symbol] = base + stub
            address = int(values[symbol])
            memory[stub : stub + 14] = _STUB + struct.pack("<Q", address)
            memory[entry : entry + 8] = struct.pack("<Q", address)
        table = np.frombuffer(memory, np.uint8)
        for number, entries in relocations:
            _relocate(table, base, places[number], entries, values, stub_of, entry_of)
        del table
        _protect(base, writable or 0)
        self.memory = memory
        exported = (symbols["info"] == (_GLOBAL << 4 | 2)) & (symbols["section"] != 0)
        self.addresses = {
            text(names_at + int(symbols[i]["name"])): int(values[i])
            for i in np.flatnonzero(exported)
        }


def _records(data: bytes, dtype: np.dtype, count: int, offset: int) -> np.ndarray:
    """`count` records of the file from `offset` on."""
    if offset + count * dtype.itemsize > len(data):
        raise ValueError("a table outside of the file")
    return np.frombuffer(data, dtype, count, offset)


def _check_section(section: np.void, file_size: int) -> None:
    """Raise `ValueError` for a section that cannot be loaded as it says."""
    size, align = int(section["size"]), int(section["align"])
    if section["type"] != _NOBITS and int(section["offset"]) + size > file_size:
        raise ValueError("a section outside of the file")
    if size > _LARGEST:
        raise ValueError(f"a section of {size} bytes")
    if align > _PAGE or align & (align - 1):
        raise ValueError(f"a section aligned to {align} bytes")


def _check_relocations(relocations: np.ndarray, size: int, symbols: int) -> None:
    """Raise `ValueError` for a relocation outside of its section of `size` bytes, or of no symbol."""
    wide = (relocations["type"][:, None] == (_ABS64, _PC64)).any(axis=1)
    room = np.where(wide, 8, 4)
    if (relocations["offset"] > size).any() or (
        relocations["offset"].astype(np.int64) + room > size
    ).any():
        raise ValueError("a relocation outside of its section")
    if (relocations["symbol"] >= symbols).any():
        raise ValueError("a relocation that refers to no symbol")


def _relocate(
    table: np.ndarray,
    base: int,
    place: int,
    relocations: np.ndarray,
    values: np.ndarray,
    stub_of: np.ndarray,
    entry_of: np.ndarray,
) -> None:
    """Write the addresses that a section refers to."""
    kinds = relocations["type"]
    at = relocations["offset"].astype(np.int64) + place
    for kind in set(kinds.tolist()):
        chosen = kinds == kind
        target = relocations["symbol"][chosen]
        where, addend = at[chosen], relocations["addend"][chosen]
        if kind == _ABS64:
            _write(table, where, values[target] + addend, 8)
            continue
        if kind in _OF_TABLE:
            address = entry_of[target]
        elif kind in (_PC32, _PLT32, _PC64):
            address = stub_of[target]
        else:
            raise ValueError(f"relocation of type {kind}")
        _write(table, where, address + addend - (where + base), 8 if kind == _PC64 else 4)


def _write(table: np.ndarray, where: np.ndarray, numbers: np.ndarray, size: int) -> None:
    """Numbers of `size` bytes at places that need not be aligned."""
    limit = 1 << (8 * size - 1)
    if size < 8 and ((numbers >= limit) | (numbers < -limit)).any():
        raise ValueError("a relocation out of range")
    parts = numbers.astype(f"<i{size}").view(np.uint8).reshape(-1, size)
    table[where[:, None] + np.arange(size)] = parts


def _protect(base: int, size: int) -> None:
    """Make `size` bytes read-only and executable."""
    if size and _mprotect()(base, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError("the operating system does not let this process make code executable")


@functools.cache
def _mprotect() -> Callable[..., int]:
    function = ctypes.CDLL(None).mprotect
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function
