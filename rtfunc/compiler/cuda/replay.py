"""Replays: a Program's launches recorded as one CUDA graph, and launched together.

A launch from Python takes some 5 µs, more than most kernels run; the launches of a graph follow each other
without Python. A graph has fixed addresses, though, while the arrays of a call are new ones each time: a
replay copies the inputs to where the graph reads them, in one launch, and the results to fresh memory, in
another. It pays where there are many launches for what there is to copy (`is_worthwhile`), and is possible
where the steps are kernels and products alone. Depends on `program`, `runtime`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.cuda.program import Plan

_FEWEST_LAUNCHES = 4
#: A recording longer than this (a scan of many steps) takes too long to make.
_MOST_LAUNCHES = 20_000
#: Copying so much takes about as long as a launch from Python does.
_BYTES_PER_LAUNCH = 4 << 20
#: Buffers in one launch: the parameters of a kernel are limited to 4 KiB.
_GROUP = 100
_THREADS = 256

_COPY = r"""
typedef unsigned long long uint64;
struct alignas(16) Quad { unsigned int x, y, z, w; };

template <class T> __device__ inline void copy_as(const void* from, void* to, uint64 count) {
  const uint64 step = (uint64)gridDim.x * blockDim.x;
  for (uint64 i = (uint64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
    ((T*)to)[i] = ((const T*)from)[i];
}
__device__ inline void copy(const void* from, void* to, uint64 size) {
  const uint64 together = (uint64)from | (uint64)to | size;
  if (together % 16 == 0) copy_as<Quad>(from, to, size / 16);
  else if (together % 4 == 0) copy_as<unsigned int>(from, to, size / 4);
  else copy_as<unsigned char>(from, to, size);
}
"""


def copying_source(sizes: Sequence[int], name: str) -> str:
    """A function `name` that copies buffers of `sizes` bytes, given the pairs of from and to."""
    parameters = ",\n    ".join(f"const void* from{i}, void* to{i}" for i in range(len(sizes)))
    cases = "\n".join(
        f"    case {i}: copy(from{i}, to{i}, {size}ULL); break;" for i, size in enumerate(sizes)
    )
    return (
        f'{_COPY}\nextern "C" __global__ void __launch_bounds__({_THREADS}) {name}(\n    {parameters}) {{\n'
        f"  switch (blockIdx.y) {{\n{cases}\n  }}\n}}\n"
    )


class _Copies:
    """Copies buffers of known sizes to others, all in one launch."""

    def __init__(self, runtime: Any, sizes: Sequence[int]):
        self._runtime = runtime
        filled = [i for i, size in enumerate(sizes) if size]
        self._groups = []
        for start in range(0, len(filled), _GROUP):
            members = filled[start : start + _GROUP]
            chosen = [sizes[i] for i in members]
            (function,) = runtime.functions(copying_source(chosen, "copy_all"), ["copy_all"])
            blocks = min(-(-max(chosen) // (16 * _THREADS)), 1024)
            self._groups.append((function, members, (blocks, len(members), 1)))

    def __call__(self, sources: Sequence[Any], targets: Sequence[Any]) -> None:
        for function, members, grid in self._groups:
            arrays = []
            for i in members:
                arrays += (sources[i], targets[i])
            self._runtime.launch(function, grid, (_THREADS, 1, 1), arrays)


def is_worthwhile(plan: Plan) -> bool:
    """Whether replays of a Program are possible, and quicker than launching its steps."""
    if not plan.is_pure or not _FEWEST_LAUNCHES <= plan.launches <= _MOST_LAUNCHES:
        return False
    avals = [*(aval for _, aval in plan.inputs), *(v.aval for v in plan.program.outputs)]
    copied = sum(a.size * a.dtype.itemsize for a in avals)
    return copied <= plan.launches * _BYTES_PER_LAUNCH


def recorded(
    run: Callable[[Sequence[Any]], list[Any]], runtime: Any, buffers: Sequence[Any]
) -> Replay | None:
    """The Replay of the launches that `run` makes for `buffers`; None where it cannot be recorded."""
    recording = runtime.record(run, buffers)
    return None if recording is None else Replay(runtime, recording)


class Replay:
    """A recorded Program: a function from the buffers of inputs to those of outputs."""

    def __init__(self, runtime: Any, recording: Any):
        self._runtime = runtime
        self._recording = recording
        self._outs = [(o.shape, np.dtype(o.dtype)) for o in self._recording.outputs]
        self._copy_in = _Copies(runtime, [b.nbytes for b in self._recording.inputs])
        self._copy_out = _Copies(runtime, [b.nbytes for b in self._recording.outputs])
        # Calls take turns with the recording's memory, in the order of one stream.
        self._stream = runtime.stream()
        self._lock = threading.Lock()

    def __call__(self, buffers: Sequence[Any]) -> list[Any] | None:
        """The outputs; None on another stream than the one that it was made on."""
        runtime, recording = self._runtime, self._recording
        if runtime.stream() != self._stream:
            return None
        outs = [runtime.empty(shape, dtype) for shape, dtype in self._outs]
        with self._lock:
            self._copy_in(buffers, recording.inputs)
            recording.launch()
            self._copy_out(recording.outputs, outs)
        return outs
