"""Memory shared by processes: how arrays reach another process without passing through a pipe.

An object is pickled with its array data out of band (pickle protocol 5); the data is laid out in a
segment of shared memory, and the other process unpickles the object around views of it. Segments are
anonymous: they are made by memfd_create (elsewhere as files without a name), and their descriptors are
sent through sockets. There is no name to clean up, so nothing remains however processes end, and the size
of /dev/shm is no limit. Where that is impossible (Windows) the data passes through the pipe. Depends on
nothing.
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

#: Less data than this is sent through the pipe.
SMALL = 1 << 15

_ALIGNMENT = 64


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
        return map_segment(descriptor, size), descriptor
    except BaseException:
        os.close(descriptor)
        raise


def map_segment(descriptor: int, size: int = 0) -> mmap.mmap:
    """The memory behind a descriptor. It stays mapped while something refers to it."""
    return mmap.mmap(descriptor, size or os.fstat(descriptor).st_size)


class Packed:
    """A pickled object and the buffers of its arrays, which are not part of the pickle."""

    def __init__(self, value: Any):
        self.buffers: list[memoryview] = []
        picklebuffers: list[pickle.PickleBuffer] = []
        self.pickle = pickle.dumps(value, 5, buffer_callback=picklebuffers.append)
        self.buffers = [buffer.raw() for buffer in picklebuffers]
        #: Where each buffer begins in a segment that holds them all, and the segment's size.
        self.offsets: list[int] = []
        self.size = 0
        for buffer in self.buffers:
            self.offsets.append(self.size)
            self.size += -(-buffer.nbytes // _ALIGNMENT) * _ALIGNMENT

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Start and end of each buffer in the segment."""
        return [(o, o + b.nbytes) for o, b in zip(self.offsets, self.buffers)]

    def write(self, memory: mmap.mmap) -> None:
        """Copy the buffers into a segment, except those that lie there already."""
        target = np.frombuffer(memory, np.uint8)
        start = target.ctypes.data
        for number, buffer in enumerate(self.buffers):
            source = np.frombuffer(buffer, np.uint8)
            place = source.ctypes.data - start
            if 0 <= place < len(target):
                self.offsets[number] = place
            elif buffer.nbytes:
                offset = self.offsets[number]
                target[offset : offset + buffer.nbytes] = source


class Lent(np.ndarray):
    """The bytes of a segment, as the base of the arrays of one unpickled object.

    A class of its own so that arrays can be recognised as views of a segment (`is_lent`).
    """


def unpack(data: bytes, memory: mmap.mmap, spans: Sequence[tuple[int, int]]) -> tuple[Any, Lent]:
    """The object that was packed, around views of the segment; and what these views keep alive.

    When the second result is garbage, so are all views, and the segment can be used again.
    """
    lent = np.frombuffer(memory, np.uint8).view(Lent)
    view = memoryview(lent)
    return pickle.loads(data, buffers=[view[start:end] for start, end in spans]), lent


def is_lent(x: np.ndarray) -> bool:
    """Whether `x` is a view of a segment made by `unpack`, whose memory nobody else changes."""
    base: Any = x
    while isinstance(base, np.ndarray) and not isinstance(base, Lent):
        base = base.base
        if isinstance(base, memoryview):
            base = base.obj
    return isinstance(base, Lent)
