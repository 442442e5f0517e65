"""The native backend: Graphs as executables on the CPU.

`compile_graph` takes the machine code of a Graph from the disk cache, or has it made (`translation`); the
`Executable` calls it with the buffers of Arrays. Depends on `stored_program`, `graph_key`, `cpu.entry`,
`forks`.
"""

from __future__ import annotations

import ctypes
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtfunc.compiler import forks
from rtfunc.compiler.buffers import (
    ALIGNMENT,
    SMALL_BYTES,
    as_type,
    has_no_other_owner,
    keepers,
    new_buffer,
    release_memory,
)
from rtfunc.compiler.cache import content_key, user_cache
from rtfunc.compiler.calls import called_graph
from rtfunc.compiler.cpu import library
from rtfunc.compiler.cpu.entry import HostFunction, make_entry
from rtfunc.compiler.cpu.machine_code import InvalidModuleError
from rtfunc.compiler.cpu.target import Target, host, known_host, open_llvm
from rtfunc.compiler.fingerprint import source_fingerprint
from rtfunc.compiler.graph_key import graph_key
from rtfunc.compiler.stored_program import StoredProgram
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.core.execution import LayoutError, OutOfMemoryError, lay_out
from rtfunc.core.graph import Equation, Graph, sub_graphs
from rtfunc.core.trace import use_trace

if TYPE_CHECKING:
    from rtfunc.compiler.translation import Translation


@dataclasses.dataclass(frozen=True)
class CompileStats:
    """Where compile time went, in seconds of all threads together, and what was made."""

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

    def __init__(self, graph: Graph, donated: tuple[int, ...] = ()):
        self.graph, self.donated = graph, donated
        program = self._compiled()
        self.module, self.arena_bytes = program.module, program.arena_bytes
        self._constants = program.constants
        self.hosts = program.hosts
        self.overlays = program.overlays
        self._outs = [
            (np.empty if a.size * a.dtype.itemsize < SMALL_BYTES else new_buffer, a.shape, a.dtype)
            for a in graph.out_avals
        ]
        self._weak = [a.weak_type for a in graph.out_avals]
        self._arenas: list[tuple[np.ndarray, int]] = []
        keepers.add(self)
        self._host = HostFunction(_host_runner(self.hosts)) if self.hosts else None
        self._tail = [0 if self._host is None else self._host.pair]
        self._entry = make_entry(
            self.module.address("program"),
            len(graph.inputs) + len(self._constants) + len(self._outs) + 2,
            keep=self.module,
        )

    def _compiled(self) -> StoredProgram:
        """The program, from the disk cache where it has it."""
        digest = graph_key(self.graph)
        return self._stored(digest) or self._made(digest)

    def _stored(self, digest: str | None) -> StoredProgram | None:
        """The program of a Graph with this digest in the disk cache."""
        start = time.perf_counter()
        target = known_host()
        if digest is None or target is None:  # LLVM would know the target: nothing is stored yet
            return None
        key = _key(digest, self.donated, target)
        stored = user_cache().get(key)
        if stored is None:
            return None
        try:
            program = StoredProgram.load(stored)
        except InvalidModuleError:
            user_cache().remove(key)
            return None
        link = time.perf_counter() - start
        counts = program.steps, program.kernels
        self.stats = CompileStats(0.0, 0.0, 0.0, 0.0, 0.0, link, *counts, True)
        return program

    def _made(self, digest: str | None) -> StoredProgram:
        """The program, compiled and stored."""
        from rtfunc.compiler.cpu.crew import Crew
        from rtfunc.compiler.interpreter import set_for_compiling

        with set_for_compiling(), Crew() as crew:
            # LLVM and what all programs need are loaded beside the compiler's own modules.
            crew.add(open_llvm)
            crew.add(host)
            crew.add(lambda: library.load("entry"))
            library.request(crew, _likely_symbols(self.graph))
            from rtfunc.compiler.translation import compile_program

            translation, module = compile_program(self.graph, crew, self.donated)
        printed, timings = translation.printed, module.timings
        constants = [np.ascontiguousarray(np.asarray(c)) for c in printed.constants]
        program = StoredProgram(
            module,
            constants,
            printed.arena_bytes,
            translation.steps,
            printed.kernels,
            list(translation.lowered.overlays.items()),
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
        if digest is not None and not printed.hosts:
            user_cache().put(_key(digest, self.donated, host()), program.dump())
        return program

    @property
    def translation(self) -> Translation:
        """The steps and the LLVM code of the program, made anew: they are large."""
        return translate(self.graph, self.donated)

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
        try:
            return self.run([a._buffer for a in args])
        except LayoutError:
            lay_out(args)
        return self.run([a._buffer for a in args])

    def run(self, buffers: Sequence[Any], donating: bool = False) -> list[Array]:
        """Run on the buffers of such Arrays.

        Where a call is `donating`, results are written over the buffers of donated arguments to which the
        list holds the only references.

        Raises:
            LayoutError: a buffer is not contiguous, misaligned, or of a subclass of ndarray.
            OutOfMemoryError: there is no memory for the results or for what is computed on the way.
        """
        try:
            if donating:
                outs = self._outs_over(buffers)
            else:
                outs = [make(shape, dtype) for make, shape, dtype in self._outs]
            try:
                arena = self._arenas.pop()
            except IndexError:
                arena = _new_arena(self.arena_bytes)
        except (MemoryError, ValueError):  # ValueError: more bytes than there are addresses
            outs, arena = self._memory_again(buffers, donating)
        try:
            self._entry(*buffers, *self._constants, *outs, arena[1], *self._tail)
        except (ValueError, TypeError) as error:
            if all(map(_is_plain, buffers)):  # then a host call raised it
                raise
            raise LayoutError from error
        finally:
            self._arenas.append(arena)
        return list(map(Array, outs, self._weak))

    def release_memory(self) -> None:
        """Give up the arenas that are kept for later calls."""
        self._arenas.clear()

    def _memory_again(self, buffers: Sequence[Any], donating: bool) -> Any:
        """Results and arena of a call, once nothing waits for its next use any more."""
        release_memory()
        try:
            if donating:
                return self._outs_over(buffers), _new_arena(self.arena_bytes)
            outs = [make(shape, dtype) for make, shape, dtype in self._outs]
            return outs, _new_arena(self.arena_bytes)
        except (MemoryError, ValueError) as error:
            raise self._out_of_memory() from error

    def _outs_over(self, buffers: Sequence[Any]) -> list[np.ndarray]:
        """Memory for the results, that of donated arguments where the plan allows it."""
        outs: list[Any] = [None] * len(self._outs)
        for output, operand in self.overlays:
            if has_no_other_owner(buffers, operand):
                _, shape, dtype = self._outs[output]
                outs[output] = as_type(buffers[operand], shape, dtype)
        return [
            make(shape, dtype) if out is None else out
            for out, (make, shape, dtype) in zip(outs, self._outs)
        ]

    def _out_of_memory(self) -> OutOfMemoryError:
        """What to raise when a call does not get its memory."""
        results = sum(a.size * a.dtype.itemsize for a in self.graph.out_avals)
        types = ", ".join(str(a) for a in self.graph.out_avals[:4])
        more = ", ..." if len(self.graph.out_avals) > 4 else ""
        return OutOfMemoryError(
            at_user_line(
                f"A compiled call needs {results:,} bytes for its results ({types}{more}) and "
                f"{self.arena_bytes:,} bytes for intermediate values, which this process cannot "
                "get. Work on smaller arrays or in batches, or free what is no longer needed."
            )
        )


def _key(digest: str, donated: tuple[int, ...], target: Target) -> str:
    return content_key("program", digest, repr(donated), target.fingerprint, source_fingerprint())


def _likely_symbols(graph: Graph) -> list[str]:
    """Routines that take long to compile and that a program will need, by the look of its Graph."""
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
                found |= {f"rtfunc_transpose_{bits}", "rtfunc_product", f"rtfunc_pack_{dtype}"}
    return sorted(found, reverse=True)


def _new_arena(size: int) -> tuple[np.ndarray, int]:
    """Memory for one call's arena, and the first address in it that a vector register likes."""
    memory = new_buffer((size + ALIGNMENT,), np.dtype(np.uint8))
    address = memory.ctypes.data
    return memory, address + -address % ALIGNMENT


def _is_plain(buffer: Any) -> bool:
    """Whether compiled code takes an array as it is: contiguous, aligned, no subclass of ndarray."""
    return type(buffer) is np.ndarray and buffer.flags.c_contiguous and buffer.flags.aligned


def _host_runner(hosts: Sequence[Equation]) -> Callable[[int, int], None]:
    """What compiled code calls for the steps that Python runs."""
    return lambda number, pointers: _run_equation(hosts[number], pointers)


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


def translate(graph: Graph, donated: tuple[int, ...]) -> Translation:
    """The Graph as LLVM code. The compiler is imported here: cached programs do without it."""
    from rtfunc.compiler.translation import translate

    return translate(graph, donated)


def compile_graph(graph: Graph, donated: tuple[int, ...] = ()) -> Executable:
    """The native executable of `graph`, which may write results over the inputs at some positions."""
    with forks.held_off():
        return Executable(graph, donated)
