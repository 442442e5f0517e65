"""From a Graph to machine code: lowering, printing and compiling, with what there is to know of the result.

The parts of a program are compiled while the rest is printed. Depends on `lowered`, `inspect`, `cpu`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from llvmlite import ir

from rtfunc.compiler.cache import content_key, user_cache
from rtfunc.compiler.cpu import library
from rtfunc.compiler.cpu.crew import Crew, Task
from rtfunc.compiler.cpu.epilogues import attach_epilogues
from rtfunc.compiler.cpu.machine_code import CompiledModule, ObjectCode, cached
from rtfunc.compiler.cpu.program import Printed, print_program, runs_in_python
from rtfunc.compiler.cpu.target import host, vector_bytes
from rtfunc.compiler.cpu.templates import scratch_bytes
from rtfunc.compiler.lowered import Lowered, lower
from rtfunc.core.graph import Graph

if TYPE_CHECKING:  # imported when it is used: it has no part in compiling
    from rtfunc.compiler.inspect import CostAnalysis, MemoryAnalysis


class Translation(NamedTuple):
    """A Graph's steps, and the LLVM code for them.

    Attributes: lowered; printed; lower_seconds, print_seconds: what they took.
    """

    lowered: Lowered
    printed: Printed
    lower_seconds: float
    print_seconds: float

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.lowered.program.steps)

    @property
    def text(self) -> str:
        """The code of all modules."""
        return "\n".join(map(str, self.printed.modules))

    def as_kernels(self) -> str:
        """The steps as text."""
        from rtfunc.compiler.inspect import format_program

        return format_program(self.lowered)

    def as_assembly(self) -> str:
        """The machine's instructions as text."""
        from rtfunc.compiler.cpu import engine

        return "\n".join(map(engine.assembly, self.printed.modules))

    def memory_analysis(self, constants: int) -> MemoryAnalysis:
        """Memory of one call, given the bytes of the constants."""
        from rtfunc.compiler.inspect import memory_analysis

        return memory_analysis(self.lowered, constants)

    def cost_analysis(self) -> CostAnalysis:
        """Operations and memory traffic of one call."""
        from rtfunc.compiler.inspect import cost_analysis

        return cost_analysis(self.lowered)


def translate(graph: Graph, donated: Collection[int] = ()) -> Translation:
    """Lower and print; results may be written over the inputs at the positions `donated`."""
    start = time.perf_counter()
    lowered = lower(graph, scratch_bytes, donated, attach_epilogues)
    lowered_at = time.perf_counter()
    printed = print_program(lowered, vector_bytes())
    return Translation(lowered, printed, lowered_at - start, time.perf_counter() - lowered_at)


def compile_program(
    graph: Graph, crew: Crew, donated: Collection[int] = ()
) -> tuple[Translation, CompiledModule]:
    """Translate, and compile with the help of a crew."""
    tasks: list[Task[ObjectCode]] = []
    start = time.perf_counter()
    lowered = lower(graph, scratch_bytes, donated, attach_epilogues)
    lowered_at = time.perf_counter()

    def hand_out(module: ir.Module) -> None:
        tasks.append(crew.add(lambda: _compile(module)))

    def request(symbols: Iterable[str]) -> None:
        library.request(crew, symbols)

    # The machine code of a program with steps in Python is stored under its text: it is not stored whole.
    whole = not runs_in_python(lowered)
    printed = print_program(
        lowered, vector_bytes(), hand_out if whole else lambda module: None, request
    )
    printed_at = time.perf_counter()
    translation = Translation(lowered, printed, lowered_at - start, printed_at - lowered_at)

    def finished(modules: list[ir.Module], control: ir.Module) -> CompiledModule:
        for module in modules:
            hand_out(module)
        last = crew.add(lambda: _compile(control, control=True))
        crew.finish()
        return CompiledModule([*(task.result() for task in tasks), last.result()])

    *kernels, control = printed.modules
    if whole:
        return translation, finished([], control)
    key = content_key("program text", translation.text, host().fingerprint)
    return translation, cached(key, user_cache(), lambda: finished(kernels, control))


def _compile(module: ir.Module, control: bool = False) -> ObjectCode:
    from rtfunc.compiler.cpu.engine import compile_object

    if control:
        # It runs once a call, from the first step to the last.
        return compile_object(module, optimize="none", codegen=0)
    return compile_object(module)
