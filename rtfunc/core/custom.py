"""Functions with derivative rules of the user's own, over flat sequences of Arrays.

`CustomVJP` and `CustomJVP` say what each transform does with such a function; `custom_call` is the
primitive that stands for it in Graphs. `transforms.custom` wraps them for pytrees. Depends on
`graph_transforms`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core.batching import batch_flat, move_axis, to_axis
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.errors import ShapeError, TransformError, at_user_line
from rtfunc.core.graph import Equation, Graph, Variable, evaluate
from rtfunc.core.primitive import BatchAxis, Primitive, primitives, zeros_like
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import GraphTrace, GraphTracer, trace_to_graph
from rtfunc.core.trace import context, current_source

FlatFunction = Callable[..., Sequence[Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class CustomCall:
    """A function over flat Arrays. Subclasses add the derivative rule.

    Attributes: function: the computation; name: for messages and printed Graphs; graph: the staged
    function, once it is part of a Graph.
    """

    function: FlatFunction
    name: str
    graph: Graph | None = None

    def __str__(self) -> str:
        return self.name

    def bind(self, args: Sequence[Any]) -> Sequence[Any]:
        """Apply the function under the current trace."""
        trace = context.trace
        return self.function(*args) if trace is None else trace.process_custom(self, args)

    def vjp(self, needed: Sequence[bool], args: Sequence[Any]) -> tuple[Sequence[Any], Any]:
        """Outputs and pullback."""
        raise NotImplementedError

    def jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Outputs and their tangents."""
        raise NotImplementedError

    def batched(self, axis: BatchAxis, axes: Sequence[int | None]) -> tuple[CustomCall, list[Any]]:
        """The call over a batch, and a list that receives the output axes when it is applied."""
        raise NotImplementedError

    def batch(
        self, axis: BatchAxis, values: Sequence[Any], axes: Sequence[int | None]
    ) -> tuple[Sequence[Any], Sequence[int | None]]:
        """Apply to a batch."""
        call, out_axes = self.batched(axis, axes)
        outs = call.bind(values)
        return outs, list(out_axes)

    def stage(self, trace: GraphTrace, args: Sequence[Any]) -> Sequence[Any]:
        """Write the call down as one equation."""
        atoms = [trace.atom(a) for a in args]
        graph, captured = trace_to_graph(self.function, [a.aval for a in atoms])
        inputs = (*(trace.atom(c) for c in captured), *atoms)
        count = len(captured)

        def run(*operands: Any) -> Sequence[Any]:
            return evaluate(graph, operands)

        call = self._after_captured(count, run, graph)
        outputs = tuple(Variable(aval) for aval in graph.out_avals)
        source = context.source or current_source()
        trace.equations.append(
            Equation(custom_call, inputs, {"call": call}, outputs, source, context.scopes)
        )
        return [GraphTracer(trace, v) for v in outputs]

    def check_rule(self, rule: str, outs: Sequence[Any]) -> None:
        """Raise `ShapeError` where a rule's outputs differ from those that the Graph relies on."""
        if self.graph is None:
            return
        for out, aval in zip(outs, self.graph.out_avals, strict=True):
            if out.shape != aval.shape or out.dtype != aval.dtype:
                raise ShapeError(
                    at_user_line(
                        f"The {rule} of {self.name} returned an output of type {out.aval}, where "
                        f"{self.name} itself returns {aval}. They must be equal."
                    )
                )

    def _after_captured(self, count: int, run: FlatFunction, graph: Graph) -> CustomCall:
        """This call with `count` leading operands more, captured: no derivative flows to them."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, eq=False)
class CustomVJP(CustomCall):
    """A function whose reverse-mode rule is given.

    Attributes: forward: args -> (outputs, residuals), flat; backward: (residuals, cotangents with
    zeros instantiated) -> a cotangent or None per argument.
    """

    forward: Callable[..., tuple[Sequence[Any], Sequence[Any]]] = None  # type: ignore[assignment]
    backward: Callable[..., Sequence[Any]] = None  # type: ignore[assignment]

    def vjp(self, needed: Sequence[bool], args: Sequence[Any]) -> tuple[Sequence[Any], Any]:
        outs, residuals = self.forward(*args)
        self.check_rule("forward rule", outs)

        def pullback(cotangents: Sequence[Any]) -> Sequence[Any]:
            return self.backward(residuals, cotangents, [o.aval for o in outs])

        return outs, pullback

    def jvp(self, primals: Any, tangents: Any) -> Any:
        raise TransformError(
            at_user_line(
                f"{self.name} has a custom_vjp rule, which has no forward mode (jvp, jacfwd, hessian, "
                "linearize). Define it with custom_jvp instead, which serves both modes."
            )
        )

    def batched(self, axis: BatchAxis, axes: Sequence[int | None]) -> tuple[CustomCall, list[Any]]:
        out_axes: list[Any] = []
        residual_axes: list[Any] = []

        def function(*values: Any) -> Sequence[Any]:
            outs, out_axes[:] = batch_flat(self.function, axis, values, axes)
            return outs

        def forward(*values: Any) -> tuple[Sequence[Any], Sequence[Any]]:
            count = 0

            def both(*args: Any) -> list[Any]:
                nonlocal count
                outs, residuals = self.forward(*args)
                count = len(outs)
                return [*outs, *residuals]

            results, result_axes = batch_flat(both, axis, values, axes)
            out_axes[:] = result_axes[:count]
            residual_axes[:] = result_axes[count:]
            return results[:count], results[count:]

        def backward(residuals: Any, cotangents: Any, avals: Any) -> Sequence[Any]:
            n = len(residuals)
            given = [i for i, ct in enumerate(cotangents) if ct is not None]
            zero: list[bool] = []

            def inner(*args: Any) -> list[Any]:
                spread = [None] * len(cotangents)
                for i, ct in zip(given, args[n:]):
                    spread[i] = ct
                inner_avals = [
                    a if ax is None else a.with_shape(a.shape[:ax] + a.shape[ax + 1 :])
                    for a, ax in zip(avals, out_axes)
                ]
                into = self.backward(args[:n], spread, inner_avals)
                zero[:] = [ct is None for ct in into]
                return [ct for ct in into if ct is not None]

            in_axes = [*residual_axes, *(out_axes[i] for i in given)]
            values = [*residuals, *(cotangents[i] for i in given)]
            into, into_axes = batch_flat(inner, axis, values, in_axes)
            found = iter(zip(into, into_axes))
            result = []
            for is_zero, wanted in zip(zero, axes):
                if is_zero:
                    result.append(None)
                    continue
                ct, ct_axis = next(found)
                if wanted is None:
                    ct = to_axis(ct, ct_axis, 0, axis.size)
                    ct = primitives["reduce_sum"].bind(ct, axes=(0,))
                else:
                    ct = to_axis(ct, ct_axis, wanted, axis.size)
                result.append(ct)
            return result

        return CustomVJP(function, self.name, None, forward, backward), out_axes

    def _after_captured(self, count: int, run: FlatFunction, graph: Graph) -> CustomCall:
        def forward(*args: Any) -> Any:
            return self.forward(*args[count:])

        def backward(residuals: Any, cotangents: Any, avals: Any) -> Sequence[Any]:
            return [None] * count + list(self.backward(residuals, cotangents, avals))

        return CustomVJP(run, self.name, graph, forward, backward)


@dataclasses.dataclass(frozen=True, eq=False)
class CustomJVP(CustomCall):
    """A function whose forward-mode rule is given; reverse mode transposes it.

    Attributes: rule: (primals, tangents with zeros instantiated) -> (outputs, output tangents),
    flat.
    """

    rule: Callable[..., tuple[Sequence[Any], Sequence[Any]]] = None  # type: ignore[assignment]

    def jvp(
        self, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        outs, out_tangents = self.rule(primals, tangents)
        self.check_rule("rule", outs)
        return outs, out_tangents

    def vjp(self, needed: Sequence[bool], args: Sequence[Any]) -> tuple[Sequence[Any], Any]:
        # The rule is linear in the tangents, so its transpose is its pullback at any tangents.
        wanted = [n and is_inexact(a.dtype) for n, a in zip(needed, args)]
        outs: Sequence[Any] = []
        nonzero: list[bool] = []

        def push(*tangents: Any) -> list[Any]:
            nonlocal outs
            given = iter(tangents)
            spread = [next(given) if w else None for w in wanted]
            outs, out_tangents = self.jvp(args, spread)
            nonzero[:] = [t is not None for t in out_tangents]
            return [t for t in out_tangents if t is not None]

        zeros = [zeros_like(a) for a, w in zip(args, wanted) if w]
        _, transpose = vjp_flat(push, zeros, [True] * len(zeros))

        def pullback(cotangents: Sequence[Any]) -> list[Any]:
            into = iter(transpose([ct for ct, n in zip(cotangents, nonzero) if n]))
            return [next(into) if w else None for w in wanted]

        return outs, pullback

    def batched(self, axis: BatchAxis, axes: Sequence[int | None]) -> tuple[CustomCall, list[Any]]:
        out_axes: list[Any] = []

        def function(*values: Any) -> Sequence[Any]:
            outs, out_axes[:] = batch_flat(self.function, axis, values, axes)
            return outs

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            n = len(primals)
            given = [i for i, t in enumerate(tangents) if t is not None]
            zero: list[bool] = []
            count = 0

            def inner(*args: Any) -> list[Any]:
                nonlocal count
                spread = [None] * n
                for i, t in zip(given, args[n:]):
                    spread[i] = t
                outs, out_tangents = self.rule(args[:n], spread)
                count = len(outs)
                zero[:] = [t is None for t in out_tangents]
                return [*outs, *(t for t in out_tangents if t is not None)]

            values = [*primals, *(tangents[i] for i in given)]
            in_axes = [*axes, *(axes[i] for i in given)]
            results, result_axes = batch_flat(inner, axis, values, in_axes)
            outs, found = list(results[:count]), iter(zip(results[count:], result_axes[count:]))
            final_axes, out_tangents = [], []
            for i, is_zero in enumerate(zero):
                out_axis = result_axes[i]
                t, t_axis = (None, None) if is_zero else next(found)
                if t is not None and t_axis != out_axis:
                    if out_axis is None:
                        assert t_axis is not None  # they differ
                        outs[i], out_axis = to_axis(outs[i], None, t_axis, axis.size), t_axis
                    elif t_axis is None:
                        t = to_axis(t, None, out_axis, axis.size)
                    else:
                        t = move_axis(t, t_axis, out_axis)
                final_axes.append(out_axis)
                out_tangents.append(t)
            out_axes[:] = final_axes
            return outs, out_tangents

        return CustomJVP(function, self.name, None, rule), out_axes

    def _after_captured(self, count: int, run: FlatFunction, graph: Graph) -> CustomCall:
        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            return self.rule(primals[count:], tangents[count:])

        return CustomJVP(run, self.name, graph, rule)


class _CustomCallPrimitive(Primitive):
    """`custom_call`: applying it goes through the call's own rules."""

    __slots__ = ()

    def bind(self, *args: Any, **params: Any) -> Any:
        return params["call"].bind(args)


def _no_rule(*args: Any, **params: Any) -> Any:
    raise AssertionError("custom_call is processed by CustomCall")


custom_call = _CustomCallPrimitive(
    "custom_call",
    infer=lambda *avals, call: call.graph.out_avals,
    impl=_no_rule,
    jvp=_no_rule,
    vjp=_no_rule,
    batch=_no_rule,
    multiple_results=True,
    weak="explicit",
    leaf=False,
)
