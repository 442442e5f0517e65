"""Reverse mode: a tape of pullbacks.

`ReverseTrace` runs each primitive's `vjp` rule on the values at hand and records the pullback that
it returns. `vjp_flat` then walks the tape from outputs to inputs. Values are whatever the parent
trace knows, concrete Arrays in eager `grad`, so Python control flow on values works there. Rules
run under the trace that is current when they are called, so derivatives of derivatives need nothing
more. Depends on `primitive`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.primitive import Primitive, add_tangents, no_vjp
from rtfunc.core.trace import Trace, Tracer, context, current_source, own_trace

_numbers = itertools.count()


class _Node:
    """One step of the tape: a pullback and where its operands came from.

    Attributes: number: increases along the tape; pullback: None for an input; parents: for each
    operand, the node and the index among its outputs that it came from, or None; arity: number of
    outputs, or None for a primitive with one result; source, scopes: the user's line and the names
    around it, while staging.
    """

    __slots__ = ("arity", "number", "parents", "pullback", "scopes", "source")

    def __init__(
        self,
        pullback: Callable[[Any], Sequence[Any]] | None,
        parents: Sequence[tuple[_Node, int] | None],
        arity: int | None,
    ):
        self.number = next(_numbers)
        self.pullback = pullback
        self.parents = parents
        self.arity = arity
        self.source = None if context.trace is None else context.source or current_source()
        self.scopes = context.scopes

    def __lt__(self, other: _Node) -> bool:
        return self.number > other.number  # heapq pops the latest step first


class ReverseTracer(Tracer):
    """A value and the step of the tape that made it."""

    __slots__ = ("origin", "primal")

    primal: Any
    origin: tuple[_Node, int]

    def __init__(self, trace: Trace, primal: Any, origin: tuple[_Node, int]):
        self._trace = trace
        self.primal = primal
        self.origin = origin

    @property
    def aval(self) -> Aval:
        return self.primal.aval

    @property
    def shape(self) -> tuple[int, ...]:
        return self.primal.shape

    @property
    def dtype(self) -> np.dtype:
        return self.primal.dtype

    @property
    def weak_type(self) -> bool:
        return self.primal.weak_type

    @property
    def device(self) -> Any:
        return self.primal.device

    @property
    def has_value(self) -> bool:
        return not isinstance(self.primal, Tracer) or self.primal.has_value

    def _concrete(self, use: str) -> np.ndarray:
        return self.primal._concrete(use)

    def __repr__(self) -> str:
        return f"ReverseTracer({self.primal!r})"


class ReverseTrace(Trace):
    """Records the pullback of every primitive that touches one of its tracers."""

    __slots__ = ()

    def input(self, primal: Any) -> ReverseTracer:
        """A tracer for an input of the differentiated function."""
        return ReverseTracer(self, primal, (_Node(None, (), None), 0))

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        parents = []
        values = []
        for a in args:
            if type(a) is ReverseTracer and a._trace is self:
                values.append(a.primal)
                parents.append(a.origin)
            else:
                values.append(a)
                parents.append(None)
        context.trace = self.parent
        try:
            needed = [p is not None for p in parents]
            if True not in needed or primitive.vjp is no_vjp:
                return primitive.bind(*values, **params)
            assert primitive.vjp is not None, primitive
            out, pullback = primitive.vjp(primitive, needed, values, **params)
            node = _Node(pullback, parents, len(out) if primitive.multiple_results else None)
        finally:
            context.trace = self
        if primitive.multiple_results:
            return self._wrap(out, node)
        return ReverseTracer(self, out, (node, 0)) if is_inexact(out.dtype) else out

    def process_custom(self, call: Any, args: Sequence[Any]) -> Sequence[Any]:
        parents = [
            a.origin if type(a) is ReverseTracer and a._trace is self else None for a in args
        ]
        values = [a.primal if p is not None else a for a, p in zip(args, parents)]
        context.trace = self.parent
        try:
            if not any(p is not None for p in parents):
                return call.bind(values)
            out, pullback = call.vjp([p is not None for p in parents], values)
            node = _Node(pullback, parents, len(out))
        finally:
            context.trace = self
        return self._wrap(out, node)

    def _wrap(self, out: Sequence[Any], node: _Node) -> list[Any]:
        return [
            ReverseTracer(self, o, (node, i)) if is_inexact(o.dtype) else o
            for i, o in enumerate(out)
        ]


def _walk_back(
    outputs: Sequence[tuple[_Node, int] | None],
    cotangents: Sequence[Any],
    inputs: Sequence[_Node],
) -> list[Any]:
    """Cotangents of the inputs (None for zero), given those of the outputs."""
    # Cotangents that wait for their step: a value, or a list of them for several outputs.
    pending: dict[_Node, Any] = {}
    heap: list[_Node] = []

    def add(origin: tuple[_Node, int], cotangent: Any) -> None:
        node, index = origin
        waiting = pending.get(node)
        if node.arity is None:
            if waiting is None:
                heapq.heappush(heap, node)
                pending[node] = cotangent
            else:
                pending[node] = add_tangents(waiting, cotangent)
            return
        if waiting is None:
            pending[node] = waiting = [None] * node.arity
            heapq.heappush(heap, node)
        waiting[index] = add_tangents(waiting[index], cotangent)

    for origin, cotangent in zip(outputs, cotangents):
        if origin is not None and cotangent is not None:
            add(origin, cotangent)
    results: dict[_Node, Any] = {}
    tracing = context.trace is not None
    while heap:
        node = heapq.heappop(heap)
        waiting = pending.pop(node)
        if node.pullback is None:
            results[node] = waiting
            continue
        if tracing:
            into = _pull_at_source(node, waiting)
        else:
            into = node.pullback(waiting)
        for origin, cotangent in zip(node.parents, into):
            if origin is not None and cotangent is not None:
                add(origin, cotangent)
    return [results.get(node) for node in inputs]


def _pull_at_source(node: _Node, waiting: Any) -> Sequence[Any]:
    """Run a pullback whose equations point to the line and the scopes of the step itself."""
    assert node.pullback is not None
    outer, context.source = context.source, node.source or context.source
    outer_scopes, context.scopes = context.scopes, node.scopes or context.scopes
    try:
        return node.pullback(waiting)
    finally:
        context.source, context.scopes = outer, outer_scopes


def vjp_flat(
    function: Callable[..., Sequence[Any]], primals: Sequence[Array], needed: Sequence[bool]
) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
    """The outputs of `function(*primals)` and its pullback, over flat sequences.

    `needed` says for which inputs cotangents are wanted; those of integer dtype never get one. The
    pullback takes a cotangent per output and returns one per input, None standing for zero in both.
    """
    trace = ReverseTrace(context.trace)
    args = [
        trace.input(p) if n and is_inexact(p.dtype) else p
        for p, n in zip(primals, needed, strict=True)
    ]
    inputs = [
        a.origin[0] if isinstance(a, ReverseTracer) and a._trace is trace else None for a in args
    ]
    with own_trace(trace):
        results = function(*args)
    outs, origins = [], []
    for r in results:
        mine = type(r) is ReverseTracer and r._trace is trace
        outs.append(r.primal if mine else r)
        origins.append(r.origin if mine else None)

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        found = iter(_walk_back(origins, cotangents, [n for n in inputs if n is not None]))
        return [None if n is None else next(found) for n in inputs]

    return outs, pullback
