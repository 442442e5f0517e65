"""Printing Graphs for people.

    graph(a: float32[3], b: float32[]) {
      c: float32[3] = mul(a, b)             # model.py:12
      d: float32[] = reduce_sum(c, axes=(0,))
      return d
    }

Depends on `graph`.
"""

from __future__ import annotations

import itertools
from typing import Any

from rtfunc.core.graph import Atom, Graph, Literal, Variable


def _name(number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(97 + digit) + letters
    return letters


def format_graph(graph: Graph, sources: bool = True) -> str:
    """The Graph as text, one equation a line, with the user's source lines as comments."""
    return "\n".join(_lines(graph, sources, head="graph"))


def _lines(graph: Graph, sources: bool, head: str) -> list[str]:
    numbers = itertools.count()
    names: dict[Variable, str] = {}

    def define(variable: Variable) -> str:
        names[variable] = _name(next(numbers))
        return f"{names[variable]}: {variable.aval}"

    def read(atom: Atom) -> str:
        if isinstance(atom, Literal):
            return f"{atom.value}:{atom.aval.dtype}"
        return names.get(atom, "?")

    lines = [f"{head}({', '.join(define(v) for v in graph.inputs)}) {{"]
    lines += [f"  {define(v)} = constant" for v in graph.constants]
    for equation in graph.equations:
        inputs = [read(a) for a in equation.inputs]
        params, below = [], []
        for key, value in equation.params.items():
            blocks = _sub_blocks(key, value, sources)
            if blocks is None:
                params.append(f"{key}={_format_param(value)}")
            else:
                below += blocks
        outputs = ", ".join(define(v) for v in equation.outputs)
        line = f"  {outputs} = {equation.primitive.name}({', '.join(inputs + params)})"
        comment = "/".join(equation.scopes)
        if sources and equation.source is not None:
            comment = f"{comment} {equation.source.short}".strip()
        lines.append(f"{line:<50}  # {comment}" if comment else line)
        lines += [f"    {text}" for text in below]
    outputs = ", ".join(read(a) for a in graph.outputs)
    return [*lines, f"  return {outputs}", "}"]


def _sub_blocks(key: str, value: Any, sources: bool) -> list[str] | None:
    if isinstance(value, Graph):
        return _lines(value, sources, head=f"{key}: graph")
    if isinstance(value, tuple) and value and all(isinstance(item, Graph) for item in value):
        return [
            line
            for number, item in enumerate(value)
            for line in _lines(item, sources, head=f"{key}[{number}]: graph")
        ]
    return None


def _format_param(value: Any) -> str:
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."
