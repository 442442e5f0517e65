"""Memory plan: which buffer lies where, for how long.

Every variable that is neither argument, constant nor output lives in one arena, between the step
that writes it and the last that reads it; variables whose lives do not overlap may share memory.
Depends on `in_place`, `schedule`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from rtfunc.compiler.buffers import ALIGNMENT
from rtfunc.compiler.in_place import buffer_bytes, lifetimes
from rtfunc.compiler.schedule import Call, Program
from rtfunc.core.graph import Variable


class Plan(NamedTuple):
    """Offsets in bytes into an arena of `size` bytes: variables, and the calls' workspaces."""

    size: int
    offsets: Mapping[Variable, int]
    workspaces: Mapping[int, int]


def plan_memory(
    program: Program,
    fixed: set[Variable],
    workspace_bytes: Callable[[Call], int],
) -> Plan:
    """Place all variables of `program` that are not in `fixed`.

    `workspace_bytes` says how much scratch memory a call takes while it runs.
    """
    lives = lifetimes(program)
    blocks: list[tuple[int, int, int, object]] = []  # size, first step, last step, what
    for variable, (first, last) in lives.items():
        if variable not in fixed:
            blocks.append((aligned(buffer_bytes(variable)), first, last, variable))
    for number, step in enumerate(program.steps):
        if isinstance(step, Call):
            size = workspace_bytes(step)
            if size:
                blocks.append((aligned(size), number, number, number))
    offsets: dict[Variable, int] = {}
    workspaces: dict[int, int] = {}
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first step, last step
    total = 0
    # Largest first, each at the lowest place that is free during its life.
    for size, first, last, what in sorted(blocks, key=lambda block: (-block[0], block[1])):
        busy = sorted((o, e) for o, e, f, s in placed if f <= last and first <= s)
        offset = 0
        for start, end in busy:
            if start - offset >= size:
                break
            offset = max(offset, end)
        placed.append((offset, offset + size, first, last))
        total = max(total, offset + size)
        if isinstance(what, Variable):
            offsets[what] = offset
        else:
            assert isinstance(what, int)
            workspaces[what] = offset
    return Plan(total, offsets, workspaces)


def aligned(size: int) -> int:
    """The bytes that a block of `size` bytes takes in an arena."""
    return max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
