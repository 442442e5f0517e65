"""The native backend: Graphs as executables on the CPU.

`compile_graph` takes the machine code of a Graph from the disk cache, or has it made (`translation`); the
`Executable` calls it with the buffers of Arrays. Depends on `stored_program`, `graph_key`, `cpu.entry`.
"""

from __future__ import annotations

import ctypes
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtfunc.compiler.buffers import ALIGNMENT, SMALL_BYTES, new_buffer
from rtfunc.compiler.cache import content_key, user_cache
from rtfunc.compiler.calls import called_graph
from rtfunc.compiler.cpu import library
from rtfunc.compiler.cpu.entry import make_entry
from rtfunc.compiler.cpu.machine_code import InvalidModuleError
from rtfunc.compiler.cpu.target import host
from rtfunc.compiler.fingerprint import source_fingerprint
from rtfunc.compiler.graph_key import graph_key
from rtfunc.compiler.stored_program import StoredProgram
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.core.graph import Equation, Graph, sub_graphs
from rtfunc.core.trace import use_trace

if TYPE_CHECKING:
    from rtfunc.compiler.translation import Translation

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
        self._translation: Translation | None = None
        program = self._compiled()
        self.module, self.arena_bytes = program.module, program.arena_bytes
        self._constants = program.constants
        self.hosts = program.hosts
        self._outs = [
            (np.empty if a.size * a.dtype.itemsize < SMALL_BYTES else new_buffer, a.shape, a.dtype)
            for a in graph.out_avals
        ]
        self._weak = [a.weak_type for a in graph.out_avals]
        self._arenas: list[tuple[np.ndarray, int]] = []
        self._failures: dict[int, BaseException] = {}
        # ctypes makes this a C function, which takes the GIL when it is called.
        self._host = _HostFunction(_host_runner(self.hosts, self._failures))
        address = ctypes.cast(self._host, ctypes.c_void_p).value or 0
        self._tail = [address if self.hosts else 0]
        self._entry = make_entry(
            self.module.address("program"),
            len(graph.inputs) + len(self._constants) + len(self._outs) + 2,
            keep=self.module,
        )

    def _compiled(self) -> StoredProgram:
        """The program, from the disk cache where it has it."""
        start = time.perf_counter()
        digest = graph_key(self.graph)
        key = content_key("program", digest or "", host().fingerprint, source_fingerprint())
        stored = user_cache().get(key) if digest else None
        if stored is not None:
            try:
                program = StoredProgram.load(stored)
            except InvalidModuleError:
                user_cache().remove(key)
            else:
                link = time.perf_counter() - start
                self.stats = CompileStats(
                    0.0, 0.0, 0.0, 0.0, 0.0, link, program.steps, program.kernels, True
                )
                return program
        with library.loading(_likely_libraries(self.graph)):
            translation = self.translation
            module = translation.compile()
        printed, timings = translation.printed, module.timings
        constants = [np.ascontiguousarray(np.asarray(c)) for c in printed.constants]
        program = StoredProgram(
            module,
            constants,
            printed.arena_bytes,
            translation.steps,
            printed.kernels,
            printed.hosts,
        )
        self.stats = CompileStats(
            translation.lower_seconds,
            translation.print_seconds,
            timings.parse,
            timings.passes,
            timings.codegen,
            timings.link,
            program.steps,
            program.kernels,
            not timings.codegen,
        )
        if digest and not printed.hosts:
            user_cache().put(key, program.dump())
        return program

    @property
    def translation(self) -> Translation:
        """The steps and the LLVM code of the program; made now if the program came from the cache."""
        if self._translation is None:
            self._translation = translate(self.graph)
        return self._translation

    def as_text(self, stage: str) -> str:
        """The program as text: its "kernels", "llvm" code or "asm"."""
        if stage == "kernels":
            return self.translation.as_kernels()
        if stage == "llvm":
            return self.translation.text
        if stage == "asm":
            return self.translation.as_assembly()
        raise ArgumentError(
            at_user_line(
                f"as_text of a program for the CPU shows 'kernels', 'llvm' or 'asm', not {stage!r}."
            )
        )

    def memory_analysis(self) -> Any:
        """Memory of one call."""
        return self.translation.memory_analysis(sum(c.nbytes for c in self._constants))

    def cost_analysis(self) -> Any:
        """Operations and memory traffic of one call."""
        return self.translation.cost_analysis()

    def __call__(self, args: Sequence[Array]) -> list[Array]:
        """Run on Arrays of the Graph's input types."""
        return self.run([a._buffer for a in args])

    def run(self, buffers: Sequence[Any]) -> list[Array]:
        """Run on the buffers of such Arrays.

        Raises:
            MemoryError: there is no memory for the results or for what is computed on the way.
        """
        try:
            outs = [make(shape, dtype) for make, shape, dtype in self._outs]
            try:
                arena = self._arenas.pop()
            except IndexError:
                arena = _new_arena(self.arena_bytes)
        except (
            MemoryError,
            ValueError,
        ) as error:  # NumPy's for more bytes than there are addresses
            raise self._out_of_memory() from error
        try:
            status = self._entry(*buffers, *self._constants, *outs, arena[1], *self._tail)
        except (ValueError, TypeError):
            # Not contiguous, misaligned, or of a subclass of ndarray.
            buffers = [np.require(b, requirements=["C", "A", "E"]) for b in buffers]
            status = self._entry(*buffers, *self._constants, *outs, arena[1], *self._tail)
        self._arenas.append(arena)
        if status:
            raise self._failures.pop(threading.get_ident())
        return list(map(Array, outs, self._weak))

    def _out_of_memory(self) -> MemoryError:
        """What to raise when a call does not get its memory."""
        results = sum(a.size * a.dtype.itemsize for a in self.graph.out_avals)
        types = ", ".join(str(a) for a in self.graph.out_avals[:4])
        more = ", ..." if len(self.graph.out_avals) > 4 else ""
        return MemoryError(
            at_user_line(
                f"A compiled call needs {results:,} bytes for its results ({types}{more}) and "
                f"{self.arena_bytes:,} bytes for intermediate values, which this process cannot "
                "get. Work on smaller arrays or in batches, or free what is no longer needed."
            )
        )


def _likely_libraries(graph: Graph) -> list[str]:
    """Libraries that take long to compile and that a program will need, by the look of its Graph."""
    found: set[str] = set()
    waiting = [graph]
    while waiting:
        for equation in waiting.pop().equations:
            called = called_graph(equation)
            waiting += sub_graphs(equation) if called is None else [called]
            if equation.primitive.name != "dot_general":
                continue
            dtype = equation.inputs[0].aval.dtype
            if dtypes.is_float(dtype):
                bits = 8 * dtypes.compute_dtype(dtype).itemsize
                found |= {"rtfunc_product", f"rtfunc_pack_{dtype}", f"rtfunc_transpose_{bits}"}
    return sorted(found)


def _new_arena(size: int) -> tuple[np.ndarray, int]:
    """Memory for one call's arena, and the first address in it that a vector register likes."""
    memory = new_buffer((size + ALIGNMENT,), np.dtype(np.uint8))
    address = memory.ctypes.data
    return memory, address + -address % ALIGNMENT


def _host_runner(
    hosts: Sequence[Equation], failures: dict[int, BaseException]
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


def _run_equation(equation: Equation, pointers: int) -> None:
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


def translate(graph: Graph) -> Translation:
    """The Graph as LLVM code. The compiler is imported here: cached programs do without it."""
    from rtfunc.compiler.translation import translate

    return translate(graph)


def compile_graph(graph: Graph) -> Executable:
    """The native executable of `graph`."""
    return Executable(graph)
