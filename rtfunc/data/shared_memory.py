"""Memory shared by processes: how arrays reach another process without passing through a pipe.

An object is pickled with its array data out of band (pickle protocol 5), and the data is laid out
in a segment of shared memory; the other process unpickles the object around views of it. Segments
are anonymous: they are made by memfd_create (elsewhere as files without a name), and their
descriptors are sent through sockets. There is no name to clean up, so nothing remains however
processes end, and the size of /dev/shm is no limit. Where descriptors cannot be sent (Windows) the
data passes through the pipe. Depends on nothing.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Whether this system can send descriptors of anonymous memory to other processes.
available = os.name == "posix"

#: Up to so many bytes are sent through the pipe: a segment would cost more than it saves.
SMALL = 1 << 15

_ALIGNMENT = 64

#: Start and end of each buffer in a segment.
Spans = list[tuple[int, int]]


def aligned(size: int) -> int:
    """`size` rounded up so that the next buffer begins at a cache line."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def make_segment(size: int) -> tuple[mmap.mmap, int]:
    """New shared memory of at least `size` bytes, and its descriptor, which the caller closes.

    The memory goes away when no process maps it or holds a descriptor of it.
    """
    size = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rtfunc-data")
    else:
        descriptor, path = tempfile.mkstemp(prefix="rtfunc-data-")
        os.unlink(path)
    try:
        os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size), descriptor
    except BaseException:
        os.close(descriptor)
        raise


def dump(value: Any) -> tuple[bytes, list[memoryview]]:
    """A pickle of `value` and, apart from it, the data of its contiguous NumPy arrays."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return data, [buffer.raw() for buffer in buffers]


def load(data: bytes, memory: memoryview, spans: Spans) -> Any:
    """The object of a pickle made by `dump`, its arrays being views of `memory`."""
    return pickle.loads(data, buffers=[memory[start:end] for start, end in spans])


def layout(buffers: Sequence[memoryview]) -> tuple[Spans, int]:
    """Where the buffers lie in a segment that holds them one after the other, and its size."""
    spans, size = [], 0
    for buffer in buffers:
        spans.append((size, size + buffer.nbytes))
        size += aligned(buffer.nbytes)
    return spans, size


def address(buffer: Any) -> int:
    """Where in this process's memory a buffer begins."""
    return np.frombuffer(buffer, np.uint8).ctypes.data


def write(memory: mmap.mmap, span: tuple[int, int], buffer: memoryview) -> None:
    """Copy a buffer into a segment."""
    if buffer.nbytes:
        target = np.frombuffer(memory, np.uint8)
        target[span[0] : span[1]] = np.frombuffer(buffer, np.uint8)


class Scratch:
    """The segments in which a worker process makes its batches, and which it uses again and again.

    The other process says by `give_back` which segments it no longer looks at.
    """

    def __init__(self) -> None:
        self._segments: dict[int, mmap.mmap] = {}
        self._free: set[int] = set()
        self._count = 0
        #: The segment in which the batch at hand is made, if there is one, and how much is taken.
        self._current: int | None = None
        self._used = 0

    def give_back(self, numbers: Sequence[int]) -> None:
        """These segments can be written to again."""
        self._free.update(numbers)

    def begin(self) -> None:
        """Start a new batch, in the largest segment that is free."""
        self._current = max(self._free, key=lambda n: len(self._segments[n]), default=None)
        self._used = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An uninitialised array, in the current segment if there is room."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        memory = None if self._current is None else self._segments[self._current]
        if memory is None or dtype.hasobject or self._used + size > len(memory):
            return np.empty(shape, dtype)
        start, self._used = self._used, self._used + aligned(size)
        return np.ndarray(shape, dtype, memory, start)

    def place(self, buffers: Sequence[memoryview]) -> tuple[int, Spans, int | None, list[int]]:
        """Bring all buffers into one segment, without a copy for those that lie there already.

        Returns the segment's number, the spans, the descriptor of the segment if it is new (the
        caller sends and closes it), and the numbers of segments that were given up as too small.
        """
        spans = self._place_in_current(buffers)
        if spans is not None and self._current is not None:
            self._free.remove(self._current)
            return self._current, spans, None, []
        # All free segments are smaller than this batch, or there are none.
        spans, size = layout(buffers)
        memory, descriptor = make_segment(size + size // 8)  # room for a somewhat larger batch
        for span, buffer in zip(spans, buffers):
            write(memory, span, buffer)
        dropped = list(self._free)
        for number in dropped:
            del self._segments[number]
        self._free.clear()
        self._count += 1
        self._segments[self._count] = memory
        return self._count, spans, descriptor, dropped

    def _place_in_current(self, buffers: Sequence[memoryview]) -> Spans | None:
        """The spans of the buffers in the current segment; None if they do not fit."""
        if self._current is None:
            return None
        memory = self._segments[self._current]
        start = address(memory)
        spans: Spans = []
        for buffer in buffers:
            offset = address(buffer) - start if buffer.nbytes else 0
            if not 0 <= offset <= len(memory) - buffer.nbytes:
                offset, self._used = self._used, self._used + aligned(buffer.nbytes)
                if offset + buffer.nbytes > len(memory):
                    return None
                write(memory, (offset, offset + buffer.nbytes), buffer)
            spans.append((offset, offset + buffer.nbytes))
        return spans
