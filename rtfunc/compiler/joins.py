"""Pads as concatenations, and sums of pads as one.

A concatenation costs nothing beyond computing its parts, which are stored where they belong. The gradient
of a split is a sum of pads, each zero where the others are not: it is a concatenation too. (It differs from
the sum in the sign of zeros alone.) Depends on `inline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.graph import Atom, Equation, Graph, Literal, Variable
from rtfunc.core.primitive import Primitive
from rtfunc.ops.control_dce import drop_unused
from rtfunc.ops.pad_slice import concatenate_p, slice_p
from rtfunc.ops.shape import broadcast_in_dim_p


class _Writer:
    """Collects equations that stand in the place of others."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []

    def apply(
        self, origin: Equation, primitive: Primitive, inputs: Sequence[Atom], **params: Any
    ) -> Variable:
        out = Variable(primitive.infer([a.aval for a in inputs], params))
        self.equations.append(
            Equation(primitive, tuple(inputs), params, (out,), origin.source, origin.scopes)
        )
        return out

    def join(self, origin: Equation, pieces: Sequence[Atom], axis: int, out: Variable) -> None:
        """Define `out` as the concatenation of pieces."""
        self.equations.append(
            Equation(
                concatenate_p, tuple(pieces), {"axis": axis}, (out,), origin.source, origin.scopes
            )
        )


def join_pads(graph: Graph) -> Graph:
    """The Graph with concatenations in the place of pads, where no pad is between elements."""
    names = {e.primitive.name for e in graph.equations}
    if "pad" not in names:
        return graph
    producer = {v: e for e in graph.equations for v in e.outputs}
    readers: dict[Variable, int] = {}
    for equation in graph.equations:
        for a in equation.inputs:
            if isinstance(a, Variable):
                readers[a] = readers.get(a, 0) + 1
    for a in graph.outputs:
        if isinstance(a, Variable):
            readers[a] = readers.get(a, 0) + 1

    def leaves(atom: Atom, top: bool) -> list[Equation] | None:
        """The pads that are summed in `atom`, None if it is anything else."""
        equation = producer.get(atom) if isinstance(atom, Variable) else None
        if equation is None or (not top and readers.get(equation.outputs[0], 0) > 1):
            return None
        if equation.primitive.name == "pad":
            return [equation]
        if equation.primitive.name != "add":
            return None
        left, right = (leaves(a, False) for a in equation.inputs)
        return None if left is None or right is None else left + right

    # Only the outermost sum of each tree is rewritten.
    inner = {
        a
        for e in graph.equations
        if e.primitive.name == "add"
        for a in e.inputs
        if isinstance(a, Variable) and readers.get(a, 0) == 1
    }
    writer = _Writer()
    for equation in graph.equations:
        name = equation.primitive.name
        out = equation.outputs[0] if equation.outputs else None
        if name == "add" and out not in inner:
            pads = leaves(equation.outputs[0], True)
            spans = None if pads is None else _disjoint(pads)
            if spans is not None:
                _write_sum(writer, equation, *spans)
                continue
        if name == "pad" and _plain(equation):
            _write_pad(writer, equation)
            continue
        writer.equations.append(equation)
    # The pads of a sum that is a concatenation now, and the parts of that sum, are left without readers.
    return drop_unused(Graph(graph.inputs, tuple(writer.equations), graph.outputs, graph.constants))


def _plain(pad: Equation) -> bool:
    params = pad.params
    return (
        not any(params["interior"])
        and pad.inputs[0].aval.size > 0
        and pad.outputs[0].aval.size > 0
        and all(
            low + n > 0 and high + n > 0 and low + n + high > 0
            for low, high, n in zip(params["low"], params["high"], pad.inputs[0].aval.shape)
        )
    )


def _disjoint(pads: Sequence[Equation]) -> tuple[int, list[tuple[int, int, Atom]]] | None:
    """The axis along which zero pads lie beside each other, and their spans; None if they do not."""
    axis: int | None = None
    spans = []
    for pad in pads:
        value = pad.inputs[1]
        if not isinstance(value, Literal) or value.value != 0 or not _plain(pad):
            return None
        low, high = pad.params["low"], pad.params["high"]
        axes = [a for a in range(len(low)) if low[a] or high[a]]
        if len(axes) != 1 or min(*low, *high) < 0 or axis not in (None, axes[0]):
            return None
        axis = axes[0]
        start = low[axis]
        spans.append((start, start + pad.inputs[0].aval.shape[axis], pad.inputs[0]))
    if axis is None:
        return None
    spans.sort(key=lambda span: span[0])
    if any(first[1] > second[0] for first, second in zip(spans, spans[1:])):
        return None
    return axis, spans


def _write_sum(
    writer: _Writer, origin: Equation, axis: int, spans: list[tuple[int, int, Atom]]
) -> None:
    out = origin.outputs[0]
    zero = Literal(np.zeros((), out.aval.dtype))
    pieces: list[Atom] = []
    position = 0

    def gap(size: int) -> None:
        if size:
            shape = (*out.aval.shape[:axis], size, *out.aval.shape[axis + 1 :])
            pieces.append(writer.apply(origin, broadcast_in_dim_p, [zero], shape=shape, axes=()))

    for start, end, x in spans:
        gap(start - position)
        pieces.append(x)
        position = end
    gap(out.aval.shape[axis] - position)
    writer.join(origin, pieces, axis, out)


def _write_pad(writer: _Writer, pad: Equation) -> None:
    """One axis after the other; negative padding cuts."""
    x, value = pad.inputs
    low, high = list(pad.params["low"]), list(pad.params["high"])
    if any(i < 0 for i in (*low, *high)):
        shape = x.aval.shape
        start = tuple(max(-i, 0) for i in low)
        limit = tuple(n - max(-i, 0) for n, i in zip(shape, high))
        x = writer.apply(pad, slice_p, [x], start=start, limit=limit, stride=(1,) * len(shape))
        low, high = [max(i, 0) for i in low], [max(i, 0) for i in high]
    axes = [a for a in range(len(low)) if low[a] or high[a]]
    if not axes:
        shape = x.aval.shape
        writer.equations.append(
            Equation(
                slice_p,
                (x,),
                {"start": (0,) * len(shape), "limit": shape, "stride": (1,) * len(shape)},
                pad.outputs,
                pad.source,
                pad.scopes,
            )
        )
        return
    for axis in axes:
        pieces: list[Atom] = []
        for size in (low[axis], None, high[axis]):
            if size is None:
                pieces.append(x)
            elif size:
                shape = (*x.aval.shape[:axis], size, *x.aval.shape[axis + 1 :])
                pieces.append(writer.apply(pad, broadcast_in_dim_p, [value], shape=shape, axes=()))
        if axis == axes[-1]:
            writer.join(pad, pieces, axis, pad.outputs[0])
            return
        x = writer.apply(pad, concatenate_p, pieces, axis=axis)
