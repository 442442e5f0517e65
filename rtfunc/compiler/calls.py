"""Equations that merely call a Graph. Depends on `core.graph`."""

from __future__ import annotations

from rtfunc.core.graph import Equation, Graph


def called_graph(equation: Equation) -> Graph | None:
    """The Graph that an equation merely calls, if that is what it does."""
    name, params = equation.primitive.name, equation.params
    if name in ("jit_call", "checkpoint_call"):
        return params["graph"]
    if name == "custom_call":
        return params["call"].graph
    return None
