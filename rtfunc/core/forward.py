"""Forward mode: values that carry tangents.

`ForwardTrace` runs each primitive's `jvp` rule. A tangent of None is zero, so constants cost
nothing. Depends on `primitive`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.primitive import Primitive
from rtfunc.core.trace import Trace, Tracer, context, own_trace


class ForwardTracer(Tracer):
    """A value and its tangent."""

    __slots__ = ("primal", "tangent")

    primal: Any
    tangent: Any

    def __init__(self, trace: Trace, primal: Any, tangent: Any):
        self._trace = trace
        self.primal = primal
        self.tangent = tangent

    @property
    def aval(self) -> Aval:
        return self.primal.aval

    @property
    def device(self) -> Any:
        return self.primal.device

    @property
    def has_value(self) -> bool:
        return not isinstance(self.primal, Tracer) or self.primal.has_value

    def _concrete(self, use: str) -> np.ndarray:
        return self.primal._concrete(use)

    def __repr__(self) -> str:
        return f"ForwardTracer({self.primal!r}, tangent={self.tangent!r})"


class ForwardTrace(Trace):
    """Propagates tangents through every primitive that touches one of its tracers."""

    __slots__ = ()

    def _split(self, args: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        primals, tangents = [], []
        for a in args:
            mine = type(a) is ForwardTracer and a._trace is self
            primals.append(a.primal if mine else a)
            tangents.append(a.tangent if mine else None)
        return primals, tangents

    def _wrap(self, primal: Any, tangent: Any) -> Any:
        if tangent is None or not is_inexact(primal.dtype):
            return primal
        return ForwardTracer(self, primal, tangent)

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        primals, tangents = self._split(args)
        context.trace = self.parent
        try:
            if all(t is None for t in tangents):
                return primitive.bind(*primals, **params)
            assert primitive.jvp is not None, primitive
            out, tangent = primitive.jvp(primitive, primals, tangents, **params)
        finally:
            context.trace = self
        if primitive.multiple_results:
            return [self._wrap(o, t) for o, t in zip(out, tangent, strict=True)]
        return self._wrap(out, tangent)

    def process_custom(self, call: Any, args: Sequence[Any]) -> Sequence[Any]:
        primals, tangents = self._split(args)
        context.trace = self.parent
        try:
            if all(t is None for t in tangents):
                return call.bind(primals)
            out, tangent = call.jvp(primals, tangents)
        finally:
            context.trace = self
        return [self._wrap(o, t) for o, t in zip(out, tangent, strict=True)]


def jvp_flat(
    function: Callable[..., Sequence[Any]], primals: Sequence[Array], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """Outputs of `function(*primals)` and their tangents (None for zero), over flat sequences."""
    trace = ForwardTrace(context.trace)
    args = [
        p if t is None or not is_inexact(p.dtype) else ForwardTracer(trace, p, t)
        for p, t in zip(primals, tangents, strict=True)
    ]
    with own_trace(trace):
        results = function(*args)
    outs, out_tangents = [], []
    for r in results:
        mine = type(r) is ForwardTracer and r._trace is trace
        outs.append(r.primal if mine else r)
        out_tangents.append(r.tangent if mine else None)
    return outs, out_tangents
