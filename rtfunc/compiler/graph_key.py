"""What a Graph is, as a key for the disk cache: equal digests mean equal programs.

Depends on `core.graph`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rtfunc.compiler.cache import blake2b
from rtfunc.compiler.calls import called_graph
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.graph import Graph, Literal, Variable

#: Constants larger than this all together are not worth storing.
_MOST_CONSTANT_BYTES = 1 << 24


class UnknownParamError(TypeError):
    """A param of an equation whose meaning a digest cannot hold."""


def graph_key(graph: Graph) -> str | None:
    """Hex digest of all that decides what a Graph computes; None where that is more than plain data."""
    if sum(c.size * c.dtype.itemsize for c in graph.constants.values()) > _MOST_CONSTANT_BYTES:
        return None
    parts: list[bytes] = []
    try:
        _add_graph(graph, parts)
    except UnknownParamError:
        return None
    digest = blake2b(digest_size=32)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _add_graph(graph: Graph, parts: list[bytes]) -> None:
    numbers: dict[Variable, int] = {}
    avals: dict[Any, str] = {}

    def describe(aval: Aval) -> str:
        key = aval.shape, aval.dtype, aval.weak_type
        text = avals.get(key)
        if text is None:
            avals[key] = text = repr((aval.shape, str(aval.dtype), aval.weak_type))
        return text

    def read(atom: Any) -> str:
        if isinstance(atom, Literal):
            return f"{atom.value.tobytes().hex()}:{describe(atom.aval)}"
        return str(numbers[atom])

    def define(variable: Variable) -> str:
        numbers[variable] = len(numbers)
        return describe(variable.aval)

    lines = [",".join(map(define, graph.inputs))]
    for variable, value in graph.constants.items():
        lines.append(define(variable))
        parts.append(np.ascontiguousarray(np.asarray(value)).tobytes())
    for equation in graph.equations:
        inputs = ",".join(map(read, equation.inputs))
        outputs = ",".join(map(define, equation.outputs))
        lines.append(f"{equation.primitive.name}({inputs})->{outputs}")
        called = called_graph(equation)
        if called is not None:
            _add_graph(called, parts)
            continue
        for name, value in equation.params.items():
            lines.append(name)
            _add_value(value, lines, parts)
    lines.append(",".join(map(read, graph.outputs)))
    parts.append("\n".join(lines).encode())


def _add_value(value: Any, lines: list[str], parts: list[bytes]) -> None:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, slice)):
        lines.append(f"{type(value).__name__}:{value!r}")
    elif isinstance(value, (tuple, list)):
        lines.append(f"{type(value).__name__}:{len(value)}")
        for item in value:
            _add_value(item, lines, parts)
    elif isinstance(value, Graph):
        lines.append("graph")
        _add_graph(value, parts)
    elif isinstance(value, np.dtype):
        lines.append(f"dtype:{value}")
    elif isinstance(value, np.generic):
        lines.append(f"{value.dtype}:{value.tobytes().hex()}")
    elif isinstance(value, (np.ndarray, Array)):
        array = np.ascontiguousarray(np.asarray(value))
        lines.append(f"array:{array.dtype}:{array.shape}")
        parts.append(array.tobytes())
    elif isinstance(value, Aval):
        lines.append(repr((value.shape, str(value.dtype), value.weak_type)))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        lines.append(type(value).__qualname__)
        for field in dataclasses.fields(value):
            lines.append(field.name)
            _add_value(getattr(value, field.name), lines, parts)
    else:
        raise UnknownParamError(type(value).__name__)
