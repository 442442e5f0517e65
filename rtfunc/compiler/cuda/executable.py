"""The native backend's executables for arrays on a GPU.

`compile_graph` lowers a Graph as for the CPU, and prints its Kernels as CUDA C; NVRTC compiles them at the
first call, and CuPy keeps the machine code on disk. Depends on `program`, `prelude`, `runtime`, `lowered`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from rtfunc.compiler.cuda.prelude import PRELUDE
from rtfunc.compiler.cuda.program import Context, Plan
from rtfunc.compiler.cuda.replay import Replay, is_worthwhile, recorded
from rtfunc.compiler.cuda.runtime import CupyRuntime
from rtfunc.compiler.inspect import (
    CostAnalysis,
    MemoryAnalysis,
    cost_analysis,
    format_program,
    memory_analysis,
)
from rtfunc.compiler.lowered import lower
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.device import Device, buffers_on, computing_on, is_current
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.core.graph import Graph
from rtfunc.core.trace import context, use_trace

#: A Program is recorded when it is called for this time: code that runs once is not worth it.
_CALLS_BEFORE_REPLAY = 3


@dataclasses.dataclass(frozen=True)
class CudaStats:
    """Where compile time went, in seconds, and what was made; NVRTC's time is that of the first call."""

    lower: float
    print: float
    steps: int
    functions: int

    @property
    def total(self) -> float:
        """All stages together."""
        return self.lower + self.print


class CudaExecutable:
    """A Graph compiled for one GPU: a function from Arrays to Arrays."""

    def __init__(self, graph: Graph, device: Device, runtime: Any = None):
        self.graph, self.device = graph, device
        self._outs = graph.out_avals
        self._runtime = runtime
        start = time.perf_counter()
        self._lowered = lower(graph, in_place=False)
        lowered_at = time.perf_counter()
        self._context = shared = Context(device)
        self._plan = Plan(self._lowered, shared)
        self.source = "\n".join([PRELUDE, *shared.functions.sources])
        self._replay: Replay | None = None
        self._calls_to_replay = _CALLS_BEFORE_REPLAY if is_worthwhile(self._plan) else -1
        end = time.perf_counter()
        steps, functions = len(self._lowered.program.steps), len(shared.functions.sources)
        self.stats = CudaStats(lowered_at - start, end - lowered_at, steps, functions)

    def _prepare(self) -> None:
        """Compile the functions, at the first call."""
        shared = self._context
        runtime = self._runtime or CupyRuntime(self.device)
        functions = shared.functions
        if functions.sources:
            names = [functions.name(i) for i in range(len(functions.sources))]
            shared.compiled = runtime.functions(self.source, names)
        shared.runtime = runtime

    def __call__(self, args: Sequence[Array]) -> list[Array]:
        """Run on Arrays of the Graph's input types."""
        return self.run([a._buffer for a in args])

    def run(self, buffers: Sequence[Any]) -> list[Array]:
        """Run on the buffers of such Arrays; those on the CPU are copied to the GPU."""
        if context.trace is None and is_current(self.device):  # the quick way
            outs = self._outputs(buffers)
        else:
            with computing_on(self.device), use_trace(None):
                outs = self._outputs(buffers)
        return [Array(_as_numbers(o, a), a.weak_type) for o, a in zip(outs, self._outs)]

    def _outputs(self, buffers: Sequence[Any]) -> list[Any]:
        if self._context.runtime is None:
            self._prepare()
        buffers = buffers_on(self.device, "jit", buffers)
        if self._replay is not None:
            outs = self._replay(self._plan.plain(buffers))
            if outs is not None:
                return outs
        elif self._calls_to_replay > 0:
            self._calls_to_replay -= 1
            if not self._calls_to_replay:
                plain = self._plan.plain(buffers)
                self._replay = recorded(self._plan.run, self._context.runtime, plain)
        return self._plan.run(buffers)

    def as_text(self, stage: str) -> str:
        """The program as text: its "kernels", or the "cuda" code."""
        if stage == "kernels":
            return format_program(self._lowered)
        if stage == "cuda":
            return self.source
        raise ArgumentError(
            at_user_line(
                f"as_text of a program for a GPU shows 'graph', 'kernels' or 'cuda', not {stage!r}."
            )
        )

    def memory_analysis(self) -> MemoryAnalysis:
        """Memory of one call; on a GPU the arena is what the intermediate results take at most."""
        constants = sum(value.nbytes for *_, value in self._plan.constants)
        return memory_analysis(self._lowered, constants)

    def cost_analysis(self) -> CostAnalysis:
        """Operations and memory traffic of one call."""
        return cost_analysis(self._lowered)


def _as_numbers(buffer: Any, aval: Aval) -> Any:
    """The buffer of a result; pairs of floats become complex numbers."""
    if buffer.dtype == aval.dtype:
        return buffer
    return buffer.reshape(-1).view(aval.dtype).reshape(aval.shape)


def compile_graph(graph: Graph, device: Device) -> CudaExecutable:
    """The executable of `graph` for a GPU."""
    return CudaExecutable(graph, device)
