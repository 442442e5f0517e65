"""A compiled program as bytes: what the disk cache keeps of it. Depends on `cpu.machine_code`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtfunc.compiler.cpu.machine_code import CompiledModule, InvalidModuleError, load_module
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation


class StoredProgram(NamedTuple):
    """Machine code, and what it takes to call it.

    Attributes: module; constants: arrays that are passed after the inputs; arena_bytes: memory for
    intermediate results; steps, kernels: how many there are; overlays: pairs of an output and the input
    that it may be written over, by position; hosts: equations that Python runs, which are not stored.
    """

    module: CompiledModule
    constants: list[np.ndarray]
    arena_bytes: int
    steps: int
    kernels: int
    overlays: Sequence[tuple[int, int]] = ()
    hosts: Sequence[Equation] = ()

    def dump(self) -> bytes:
        """The program as bytes."""
        header = {
            "arena": self.arena_bytes,
            "steps": self.steps,
            "kernels": self.kernels,
            "overlays": list(self.overlays),
            "constants": [(str(c.dtype), c.shape) for c in self.constants],
        }
        head = json.dumps(header).encode()
        values = [c.tobytes() for c in self.constants]
        return b"".join((len(head).to_bytes(4, "little"), head, *values, self.module.serialize()))

    @staticmethod
    def load(data: bytes) -> StoredProgram:
        """The program that `dump` wrote; raises `InvalidModuleError` for other bytes."""
        try:
            start = 4 + int.from_bytes(data[:4], "little")
            header = json.loads(data[4:start])
            constants = []
            for name, shape in header["constants"]:
                dtype = dtypes.as_dtype(name)
                count = int(np.prod(shape, dtype=np.int64))
                end = start + count * dtype.itemsize
                constants.append(
                    np.frombuffer(data[start:end], np.uint8).view(dtype).reshape(shape)
                )
                start = end
            counts = header["arena"], header["steps"], header["kernels"]
            overlays = [(out, operand) for out, operand in header["overlays"]]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidModuleError(f"a damaged program: {error}") from error
        return StoredProgram(load_module(data[start:]), constants, *counts, overlays)
