"""Which backends there are.

The native one runs cached programs without the compiler, which is imported when the first Graph has to be
compiled. Depends on `native`, `core.execution`.
"""

from __future__ import annotations

from rtfunc.compiler.native import compile_graph
from rtfunc.core.execution import executors, set_default_backend

executors["native"] = compile_graph
set_default_backend("native")
