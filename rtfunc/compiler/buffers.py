"""Memory for results: large blocks are kept and used again.

Fresh pages from the operating system cost more than the arithmetic that fills them: 100 MB are
25,000 page faults. A large result therefore takes a block that an earlier one has given back when
its Array died. What is kept is bounded, and goes back to the operating system when memory runs short:
before a large new block is asked for that does not fit into what is available, and when an allocation
fails. Arenas of compiled functions go too. Depends on NumPy.
"""

from __future__ import annotations

import collections
import math
import os
import re
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

#: Results smaller than this come from NumPy's own allocator.
SMALL_BYTES = 1 << 18
#: Blocks from this size on are asked for only after a look at how much memory there is.
_LARGE_BYTES = 1 << 25

#: Where blocks and parts of arenas begin: multiples of so many bytes.
ALIGNMENT = 64


def _number_in(path: str, word: str = "") -> int | None:
    """The first number in a file, after `word`."""
    try:
        with open(path) as file:
            found = re.search(word + r"\s*(\d+)", file.read())
    except OSError:
        return None
    return None if found is None else int(found[1])


def available_bytes() -> float:
    """How much memory the operating system has for this process; infinite where it does not tell.

    On Linux, what is free or easily freed, within the limit of the process's control group.
    """
    available: float = math.inf
    kilobytes = _number_in("/proc/meminfo", "MemAvailable:")
    if kilobytes is not None:
        available = 1024 * kilobytes
    for limit, used in _CONTROL_GROUP_FILES:
        most, now = _number_in(limit), _number_in(used)
        if most is not None and now is not None:
            available = min(available, most - now)
    return available


_CONTROL_GROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def _most_kept() -> int:
    """An eighth of the machine's memory, from 256 MB to 8 GB."""
    kilobytes = _number_in("/proc/meminfo", "MemTotal:") or 1 << 23
    limits = [_number_in(limit) for limit, _ in _CONTROL_GROUP_FILES]
    total = min([1024 * kilobytes, *(n for n in limits if n is not None)])
    return min(max(total // 8, 1 << 28), 1 << 33)


#: At most this much memory waits for its next use; `set_kept_bytes` changes it.
KEPT_BYTES = _most_kept()


class _Blocks:
    """Free blocks by size, the one given back last on top."""

    def __init__(self) -> None:
        self.free: collections.OrderedDict[int, list[np.ndarray]] = collections.OrderedDict()
        self.kept = 0
        self.lock = threading.RLock()

    def take(self, size: int) -> np.ndarray:
        with self.lock:
            blocks = self.free.get(size)
            if blocks:
                self.kept -= size
                return blocks.pop()
        if size >= _LARGE_BYTES and size > available_bytes():
            release_memory()
        try:
            return np.empty(size, np.uint8)
        except MemoryError:
            # What waits for its next use may be what is missing.
            release_memory()
        return np.empty(size, np.uint8)

    def give(self, block: np.ndarray) -> None:
        size = block.size
        with self.lock:
            if size > KEPT_BYTES:
                return
            self.free.setdefault(size, []).append(block)
            self.free.move_to_end(size)
            self.kept += size
            self.trim()

    def trim(self) -> None:
        """Let go of the sizes that were used longest ago, as far as there is too much."""
        with self.lock:
            while self.kept > KEPT_BYTES:
                oldest = next(iter(self.free))
                blocks = self.free[oldest]
                if blocks:
                    blocks.pop()
                    self.kept -= oldest
                if not blocks:
                    del self.free[oldest]

    def clear(self) -> None:
        with self.lock:
            self.free.clear()
            self.kept = 0


_blocks = _Blocks()


def _after_fork() -> None:
    """In a forked child: no thread is left that could release the lock."""
    _blocks.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Lease:
    """The owner of a block while an array uses it; gives it back when the array is gone."""

    __slots__ = ("__array_interface__", "__weakref__", "block")

    def __init__(self, block: np.ndarray, size: int):
        self.block = block
        address = block.ctypes.data
        start = -address % ALIGNMENT
        self.__array_interface__: dict[str, Any] = {
            "data": (address + start, False),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }

    def __del__(self) -> None:
        if _blocks is not None:
            _blocks.give(self.block)


def new_buffer(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised contiguous array, of memory used before where it is large.

    Where the operating system has no more memory, what waits for its next use is given back to it
    and the request made once more, before `MemoryError` is raised.
    """
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size < SMALL_BYTES:
        return np.empty(shape, dtype)
    # Sizes are rounded up so that nearly equal ones share blocks.
    rounded = 1 << (size - 1).bit_length()
    rounded = min(rounded, -(-size // (rounded // 8)) * (rounded // 8)) + ALIGNMENT
    lease = _Lease(_blocks.take(rounded), size)
    return np.asarray(lease).view(dtype).reshape(shape)


def get_kept_bytes() -> int:
    """How much memory may wait for its next use."""
    return KEPT_BYTES


def set_kept_bytes(size: int) -> None:
    """Keep at most `size` bytes from now on; what is over it goes back to the operating system."""
    global KEPT_BYTES
    KEPT_BYTES = size
    _blocks.trim()


def as_type(buffer: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The memory of a contiguous array as one of another type of as many bytes."""
    if buffer.shape == shape and buffer.dtype == dtype:
        return buffer
    return buffer.reshape(-1).view(dtype).reshape(shape)


def has_no_other_owner(buffers: Sequence[Any], position: int) -> bool:
    """Whether the memory of an array may be written to: no array shares it that is not in the list.

    The list has to hold the only reference to the array; the array, or the one that it is a view of, has
    memory from NumPy or from here.
    """
    if sys.implementation.name != "cpython" or type(buffers[position]) is not np.ndarray:
        return False
    if not buffers[position].flags.carray:  # contiguous, aligned, writeable
        return False
    if sys.getrefcount(buffers[position]) != _REFERENCES:
        return False
    base = buffers[position].base
    if base is None:
        return True
    if type(base) is not np.ndarray or not (base.base is None or type(base.base) is _Lease):
        return False
    del base
    return sys.getrefcount(buffers[position].base) == _REFERENCES


#: Of an array that only a list refers to, as `has_no_other_owner` counts: the list, and the count's own.
_REFERENCES = 2


class Keeper(Protocol):
    """What keeps memory for later calls."""

    def release_memory(self) -> None:
        """Let go of it."""
        ...


#: Whatever keeps memory beside the blocks here: compiled functions, their arenas.
keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


def release_memory() -> None:
    """Give all memory that waits for its next use back to the operating system."""
    for keeper in list(keepers):
        keeper.release_memory()
    _blocks.clear()
