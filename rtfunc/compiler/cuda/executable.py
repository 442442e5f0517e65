"""Graphs as executables on a GPU (step by step, first version)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc.core.array import Array
from rtfunc.core.device import Device, buffers_on, move_buffer, use_gpu
from rtfunc.core.graph import Graph, evaluate
from rtfunc.core.trace import use_trace


class CudaExecutable:
    """A Graph for one GPU."""

    def __init__(self, graph: Graph, device: Device):
        self.graph, self.device = graph, device
        self._weak = [a.weak_type for a in graph.out_avals]

    def __call__(self, args: Sequence[Array]) -> list[Array]:
        """Run on Arrays."""
        return self.run([a._buffer for a in args])

    def run(self, buffers: Sequence[Any]) -> list[Array]:
        """Run on buffers."""
        with use_gpu(self.device), use_trace(None):
            placed = buffers_on(self.device, "jit", buffers)
            args = [Array(b, a.weak_type) for b, a in zip(placed, self.graph.in_avals)]
            outs = evaluate(self.graph, args)
            return [
                Array(move_buffer(o._buffer, self.device), w) for o, w in zip(outs, self._weak)
            ]


def compile_graph(graph: Graph, device: Device) -> CudaExecutable:
    """The executable of `graph` for a GPU."""
    return CudaExecutable(graph, device)
