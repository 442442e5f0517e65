"""Which backends there are. The native one is imported when the first Graph is compiled.

Depends on `core.execution`.
"""

from __future__ import annotations

import importlib

from rtfunc.core.execution import Executable, executors, set_default_backend
from rtfunc.core.graph import Graph


def _native(graph: Graph) -> Executable:
    return importlib.import_module("rtfunc.compiler.native").compile_graph(graph)


executors["native"] = _native
set_default_backend("native")
