"""Linearization: the values of a function, and its derivative written down as a Graph.

`linearize_flat` runs a function in forward mode with tangents that are staged while everything else
is computed at once, so Python control flow on values works and the Graph holds the linear part alone.
An operation whose `jvp` rule computes value and tangent in one (calls, loops, branches, sorting) gets
its value from the operation itself; the Graph then computes it again along with the tangent. Depends
on `forward`, `staging`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.forward import ForwardTrace, ForwardTracer
from rtfunc.core.graph import Graph
from rtfunc.core.primitive import Primitive
from rtfunc.core.staging import GraphTracer, LinearTrace, finish_graph
from rtfunc.core.trace import context, own_trace, use_trace


class _ValueTrace(ForwardTrace):
    """Forward mode over a `LinearTrace` that keeps values from being staged with the tangents."""

    __slots__ = ()

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        out = super().process(primitive, args, params)
        outs = out if primitive.multiple_results else [out]
        if not any(self._staged(o) for o in outs):
            return out
        primals, _ = self._split(args)
        with use_trace(self.parent):
            values = primitive.bind(*primals, **params)
        if not primitive.multiple_results:
            return self._with_value(values, out)
        return [self._with_value(v, o) for v, o in zip(values, outs, strict=True)]

    def process_custom(self, call: Any, args: Sequence[Any]) -> Sequence[Any]:
        outs = super().process_custom(call, args)
        if not any(self._staged(o) for o in outs):
            return outs
        primals, _ = self._split(args)
        with use_trace(self.parent):
            values = call.bind(primals)
        return [self._with_value(v, o) for v, o in zip(values, outs, strict=True)]

    def _staged(self, out: Any) -> bool:
        """Whether the value of a result is known to the Graph of the tangents only."""
        value = out.primal if self._mine(out) else out
        return type(value) is GraphTracer and value._trace is self.parent

    def _with_value(self, value: Any, out: Any) -> Any:
        return self._wrap(value, out.tangent if self._mine(out) else None)

    def _mine(self, out: Any) -> bool:
        return type(out) is ForwardTracer and out._trace is self


def linearize_flat(
    function: Callable[..., Sequence[Any]], primals: Sequence[Array]
) -> tuple[list[Any], tuple[bool, ...], Graph, list[Any]]:
    """The outputs of `function(*primals)` and its derivative there, over flat sequences.

    Returns (outputs, which of them have a tangent that is not zero, graph, captured): the Graph
    takes the captured values and then a tangent for every inexact primal, and returns the tangents
    that are not zero.
    """
    linear = LinearTrace(context.trace)
    inputs = [
        linear.input(Aval(p.shape, p.dtype)) if is_inexact(p.dtype) else None for p in primals
    ]
    with own_trace(linear):
        trace = _ValueTrace(linear)
        args = [p if t is None else ForwardTracer(trace, p, t) for p, t in zip(primals, inputs)]
        with own_trace(trace):
            results = function(*args)
        outs = [r.primal if trace._mine(r) else r for r in results]
        tangents = [r.tangent if trace._mine(r) else None for r in results]
        graph, captured = finish_graph(
            linear, [i for i in inputs if i is not None], [t for t in tangents if t is not None]
        )
    return outs, tuple(t is not None for t in tangents), graph, captured
