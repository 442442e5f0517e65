"""The native backend: Graphs as executables on the CPU.

`compile_graph` lowers, prints and compiles a Graph, or takes the machine code from the disk cache;
the `Executable` calls it with the buffers of Arrays. Depends on `lowered`, `cpu`.
"""

from __future__ import annotations

import ctypes
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.buffers import SMALL_BYTES, new_buffer
from rtfunc.compiler.cpu import engine, threads
from rtfunc.compiler.cpu.entry import make_entry
from rtfunc.compiler.cpu.program import HostCall, print_program
from rtfunc.compiler.cpu.templates import scratch_bytes
from rtfunc.compiler.inspect import (
    CostAnalysis,
    MemoryAnalysis,
    cost_analysis,
    format_program,
    memory_analysis,
)
from rtfunc.compiler.lowered import Lowered, lower
from rtfunc.compiler.memory import ALIGNMENT
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.core.graph import Graph
from rtfunc.core.trace import use_trace

_HostFunction = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p)


@dataclasses.dataclass(frozen=True)
class CompileStats:
    """Where compile time went, in seconds, and what was made."""

    lower: float
    print: float
    parse: float
    passes: float
    codegen: float
    link: float
    steps: int
    functions: int
    cached: bool

    @property
    def total(self) -> float:
        """All stages together."""
        return self.lower + self.print + self.parse + self.passes + self.codegen + self.link


class Executable:
    """A compiled Graph: a function from Arrays to Arrays."""

    def __init__(self, graph: Graph):
        self.graph = graph
        start = time.perf_counter()
        self.lowered: Lowered = lower(graph, scratch_bytes)
        lowered_at = time.perf_counter()
        threads.load()
        printed = print_program(self.lowered, engine.vector_bytes())
        self.text = str(printed.module)
        printed_at = time.perf_counter()
        self.module = engine.compile_cached(self.text)
        timings = self.module.timings
        self.stats = CompileStats(
            lowered_at - start,
            printed_at - lowered_at,
            timings.parse,
            timings.passes,
            timings.codegen,
            timings.link,
            len(self.lowered.program.steps),
            printed.kernels,
            not timings.codegen,
        )
        self.hosts = printed.hosts
        self._constants = [np.ascontiguousarray(np.asarray(c)) for c in printed.constants]
        self._outs = [
            (np.empty if a.size * a.dtype.itemsize < SMALL_BYTES else new_buffer, a.shape, a.dtype)
            for a in graph.out_avals
        ]
        self._weak = [a.weak_type for a in graph.out_avals]
        self.arena_bytes = printed.arena_bytes
        self._arenas: list[tuple[np.ndarray, int]] = []
        self._failures: dict[int, BaseException] = {}
        # ctypes makes this a C function, which takes the GIL when it is called.
        self._host = _HostFunction(_host_runner(printed.hosts, self._failures))
        address = ctypes.cast(self._host, ctypes.c_void_p).value or 0
        self._tail = [address if printed.hosts else 0]
        self._entry = make_entry(
            self.module.address("program"),
            len(graph.inputs) + len(self._constants) + len(self._outs) + 2,
            keep=self.module,
        )

    def as_text(self, stage: str) -> str:
        """The program as text: its "kernels", "llvm" code or "asm"."""
        if stage == "kernels":
            return format_program(self.lowered)
        if stage == "llvm":
            return self.text
        if stage == "asm":
            return engine.compile_module(self.text).as_asm()
        raise ArgumentError(
            at_user_line(f"as_text shows 'graph', 'kernels', 'llvm' or 'asm', not {stage!r}.")
        )

    def memory_analysis(self) -> MemoryAnalysis:
        """Memory of one call."""
        return memory_analysis(self.lowered, sum(c.nbytes for c in self._constants))

    def cost_analysis(self) -> CostAnalysis:
        """Operations and memory traffic of one call."""
        return cost_analysis(self.lowered)

    def __call__(self, args: Sequence[Array]) -> list[Array]:
        """Run on Arrays of the Graph's input types."""
        return self.run([a._buffer for a in args])

    def run(self, buffers: Sequence[Any]) -> list[Array]:
        """Run on the buffers of such Arrays."""
        outs = [make(shape, dtype) for make, shape, dtype in self._outs]
        try:
            arena = self._arenas.pop()
        except IndexError:
            arena = _new_arena(self.arena_bytes)
        try:
            status = self._entry(*buffers, *self._constants, *outs, arena[1], *self._tail)
        except (ValueError, TypeError):
            # Not contiguous, misaligned, or of a subclass of ndarray.
            buffers = [np.require(b, requirements=["C", "A", "E"]) for b in buffers]
            status = self._entry(*buffers, *self._constants, *outs, arena[1], *self._tail)
        self._arenas.append(arena)
        if status:
            raise self._failures.pop(threading.get_ident())
        return [Array(o, weak) for o, weak in zip(outs, self._weak)]


def _new_arena(size: int) -> tuple[np.ndarray, int]:
    """Memory for one call's arena, and the first address in it that a vector register likes."""
    memory = new_buffer((size + ALIGNMENT,), np.dtype(np.uint8))
    address = memory.ctypes.data
    return memory, address + -address % ALIGNMENT


def _host_runner(
    hosts: Sequence[HostCall], failures: dict[int, BaseException]
) -> Callable[[int, int], int]:
    """What compiled code calls for the steps that Python runs; 1 if one raised."""

    def run(number: int, pointers: int) -> int:
        try:
            _run_equation(hosts[number], pointers)
        except BaseException as error:
            failures[threading.get_ident()] = error
            return 1
        return 0

    return run


def _run_equation(call: HostCall, pointers: int) -> None:
    equation = call.equation
    avals = [a.aval for a in (*equation.inputs, *equation.outputs)]
    addresses = (ctypes.c_void_p * len(avals)).from_address(pointers)
    views = [_view(address or 0, aval) for address, aval in zip(addresses, avals)]
    count = len(equation.inputs)
    # What the operation keeps must not be memory that this program will use again.
    operands = [Array(v.copy(), a.weak_type) for v, a in zip(views[:count], avals)]
    with use_trace(None):
        result = equation.primitive.evaluate(operands, equation.params)
    results = result if equation.primitive.multiple_results else [result]
    for view, value in zip(views[count:], results, strict=True):
        np.copyto(view, np.asarray(value), casting="no")


def _view(address: int, aval: Any) -> np.ndarray:
    size = aval.size * aval.dtype.itemsize
    if not size:
        return np.empty(aval.shape, aval.dtype)
    memory = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memory, np.uint8).view(aval.dtype).reshape(aval.shape)


def compile_graph(graph: Graph) -> Executable:
    """The native executable of `graph`."""
    return Executable(graph)
