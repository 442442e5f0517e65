"""Interning: equal Graphs become one.

Eager control flow traces the user's function at every call, so that it sees what the function sees.
The Graph is then exchanged for an equal one from an earlier call, which has its derivatives,
batches and executables with it. Only Graphs of plain data are interned, a bounded number of them.
Depends on `graph`.
"""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Hashable
from typing import Any

import numpy as np

from rtfunc.core.graph import Equation, Graph, Literal, Variable

#: How many Graphs are remembered, the least recently used being forgotten first.
CAPACITY = 256

_graphs: collections.OrderedDict[Hashable, Graph] = collections.OrderedDict()
_lock = threading.Lock()


def _after_fork() -> None:
    """In a forked child: the thread that held the lock, if one did, is not there any more."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def interned(graph: Graph) -> Graph:
    """An equal Graph that was interned before, or this one."""
    key = _key(graph)
    if key is None:
        return graph
    with _lock:
        known = _graphs.get(key)
        if known is not None:
            _graphs.move_to_end(key)
            return known
        _graphs[key] = graph
        graph.derived[interned] = True
        if len(_graphs) > CAPACITY:
            _graphs.popitem(last=False)
    return graph


def _key(graph: Graph) -> Hashable | None:
    """What two Graphs have in common if they are equal, source lines included; None if unknown."""
    if graph.constants:
        return None
    numbers: dict[Variable, int] = {}

    def read(atom: Any) -> Hashable:
        if isinstance(atom, Literal):
            return atom.value.tobytes(), atom.aval
        return numbers[atom]

    def define(variable: Variable) -> Hashable:
        numbers[variable] = len(numbers)
        return variable.aval

    def describe(equation: Equation) -> Hashable:
        inputs = tuple([read(a) for a in equation.inputs])
        params = tuple([(k, distinct(v)) for k, v in equation.params.items()])
        outputs = tuple([define(v) for v in equation.outputs])
        return equation.primitive, inputs, params, outputs, equation.source, equation.scopes

    inputs = tuple([define(v) for v in graph.inputs])
    equations = []
    for equation in graph.equations:
        if not all(_is_plain(value) for value in equation.params.values()):
            return None
        equations.append(describe(equation))
    return inputs, tuple(equations), tuple([read(a) for a in graph.outputs])


def distinct(value: Any) -> Hashable:
    """`value` such that 1, 1.0 and True differ, and 0.0 and -0.0; NaN equals itself."""
    if isinstance(value, tuple):
        return tuple(map(distinct, value))
    return (type(value), repr(value)) if isinstance(value, (bool, float, complex)) else value


def _is_plain(value: Any) -> bool:
    """Whether equality of a param is equality of what it means, and it holds on to nothing."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    if isinstance(value, Graph):
        return interned in value.derived
    return value is None or isinstance(
        value, (bool, int, float, complex, str, bytes, slice, np.dtype, np.generic)
    )
