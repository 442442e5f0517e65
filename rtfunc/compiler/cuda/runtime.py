"""CuPy as a compiled program needs it: memory, modules, launches on the current stream.

All that this back end asks of CuPy stands here, so that a test can put another runtime in its place.
Depends on CuPy, which is imported by whoever makes a `CupyRuntime`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.device import Device, import_cupy

#: Results are those of IEEE arithmetic, operation by operation, as on the CPU: products and sums are not
#: contracted, and no fast approximations are used.
OPTIONS = ("--std=c++17", "--fmad=false")


class CupyRuntime:
    """Memory of CuPy's pool, functions compiled by NVRTC, the stream that is current at a call."""

    def __init__(self, device: Device):
        self.device = device
        self.xp: Any = import_cupy()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A contiguous array with whatever contents."""
        return self.xp.empty(shape, dtype)

    def functions(self, source: str, names: Sequence[str]) -> list[Any]:
        """The functions `names` of a CUDA C source, compiled when first called."""
        module = self.xp.RawModule(code=source, options=OPTIONS)
        return [module.get_function(name) for name in names]

    def launch(
        self, function: Any, grid: tuple[int, ...], block: tuple[int, ...], arrays: Sequence[Any]
    ) -> None:
        """Run a function on arrays."""
        function(grid, block, arrays)
