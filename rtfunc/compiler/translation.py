"""From a Graph to LLVM code: lowering and printing, with what there is to know of the result.

Depends on `lowered`, `inspect`, `cpu`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection

from rtfunc.compiler.cpu import engine
from rtfunc.compiler.cpu.machine_code import CompiledModule
from rtfunc.compiler.cpu.program import Printed, print_program
from rtfunc.compiler.cpu.target import vector_bytes
from rtfunc.compiler.cpu.templates import scratch_bytes
from rtfunc.compiler.inspect import (
    CostAnalysis,
    MemoryAnalysis,
    cost_analysis,
    format_program,
    memory_analysis,
)
from rtfunc.compiler.lowered import Lowered, lower
from rtfunc.core.graph import Graph


@dataclasses.dataclass(frozen=True)
class Translation:
    """A Graph's steps, and the LLVM code for them.

    Attributes: lowered; printed; text: the code; lower_seconds, print_seconds: what they took.
    """

    lowered: Lowered
    printed: Printed
    text: str
    lower_seconds: float
    print_seconds: float

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.lowered.program.steps)

    def compile(self) -> CompiledModule:
        """The machine code."""
        if self.printed.hosts:  # the program is not stored whole, so its machine code is
            return engine.compile_cached(self.text)
        return engine.compile_module(self.text)

    def as_kernels(self) -> str:
        """The steps as text."""
        return format_program(self.lowered)

    def as_assembly(self) -> str:
        """The machine's instructions as text."""
        return engine.assembly(self.text)

    def memory_analysis(self, constants: int) -> MemoryAnalysis:
        """Memory of one call, given the bytes of the constants."""
        return memory_analysis(self.lowered, constants)

    def cost_analysis(self) -> CostAnalysis:
        """Operations and memory traffic of one call."""
        return cost_analysis(self.lowered)


def translate(graph: Graph, donated: Collection[int] = ()) -> Translation:
    """Lower and print; results may be written over the inputs at the positions `donated`."""
    start = time.perf_counter()
    lowered = lower(graph, scratch_bytes, donated)
    lowered_at = time.perf_counter()
    printed = print_program(lowered, vector_bytes())
    text = str(printed.module)
    end = time.perf_counter()
    return Translation(lowered, printed, text, lowered_at - start, end - lowered_at)
