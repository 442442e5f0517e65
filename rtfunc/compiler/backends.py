"""Which backends there are.

The native one runs cached programs without the compiler, which is imported when the first Graph has to be
compiled; its arrays on a GPU are computed with by `cuda`. Depends on `native`, `cuda`, `core.execution`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtfunc.compiler.native import compile_graph
from rtfunc.core.device import Device
from rtfunc.core.execution import executors, on_gpu, set_default_backend
from rtfunc.core.graph import Graph

if TYPE_CHECKING:
    from rtfunc.compiler.cuda.executable import CudaExecutable


def _compile_for_gpu(graph: Graph, device: Device) -> CudaExecutable:
    from rtfunc.compiler.cuda.executable import compile_graph

    return compile_graph(graph, device)


executors["native"] = compile_graph
on_gpu["native"] = _compile_for_gpu
set_default_backend("native")
