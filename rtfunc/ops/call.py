"""Calls: a Graph as one operation.

`jit_call` is a jitted function inside a trace; `checkpoint_call` is a function whose intermediate
values are computed again backward instead of kept. Their derivatives and batches are calls of
derived Graphs, made once per Graph. Depends on `sub_graphs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.device import computing_device
from rtfunc.core.execution import executor_of
from rtfunc.core.graph import Equation, Graph
from rtfunc.core.graph_transforms import GraphVJP, batch_graph, jvp_graph, lifted, vjp_graph
from rtfunc.core.primitive import Primitive
from rtfunc.ops.sub_graphs import (
    batched_at_front,
    check_operands,
    chosen,
    derivative_flow,
    flow_rules,
    run,
    spread,
)


def _infer(name: str) -> Callable[..., tuple[Aval, ...]]:
    def infer(*operands: Aval, graph: Graph, **params: Any) -> tuple[Aval, ...]:
        check_operands(name, operands, graph.in_avals)
        return graph.out_avals

    return infer


def _bind(primitive: Primitive, graph: Graph, operands: Sequence[Any], params: Any) -> list[Any]:
    graph, constants = lifted(graph)
    return list(primitive.bind(*constants, *operands, graph=graph, **params))


def _jvp(primitive: Primitive, primals: Any, tangents: Any, *, graph: Graph, **params: Any) -> Any:
    nonzero = tuple(t is not None for t in tangents)
    pushed, out_nonzero = jvp_graph(graph, nonzero)
    results = _bind(primitive, pushed, [*primals, *chosen(nonzero, tangents)], params)
    count = len(graph.outputs)
    return results[:count], spread(out_nonzero, results[count:])


def _vjp_through(
    primitive: Primitive, halves: GraphVJP, operands: Sequence[Any], params: dict[str, Any]
) -> Any:
    """Outputs and pullback as calls of the two halves of a derivative."""
    results = _bind(primitive, halves.forward, operands, params)
    count = len(halves.out_inexact)
    outs = results[:count]
    residuals = halves.gather(operands, outs, results[count:])

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        if True not in halves.in_nonzero:
            return [None] * len(halves.in_nonzero)
        into = _bind(primitive, halves.pullback, [*residuals, *halves.fill(cotangents)], params)
        return halves.spread(into)

    return outs, pullback


def _batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, graph: Graph, **params: Any
) -> Any:
    batched = tuple(axis is not None for axis in batch_axes)
    whole, out_batched = batch_graph(graph, batch, batched)
    operands = batched_at_front(operands, batch_axes, batched, batch.size)
    return _bind(primitive, whole, operands, params), [0 if b else None for b in out_batched]


# jit_call: params graph; name, for people; backend, or None for the default one.


def _jit_impl(xp: Any, *buffers: Any, graph: Graph, name: str, backend: str | None) -> list[Any]:
    arrays = [Array(b, a.weak_type) for b, a in zip(buffers, graph.in_avals)]
    run = executor_of(graph, backend, device=computing_device(name, buffers))
    return [out._buffer for out in run(arrays)]


def _jit_vjp(
    primitive: Primitive, needed: Any, operands: Any, *, graph: Graph, **params: Any
) -> Any:
    return _vjp_through(primitive, vjp_graph(graph, tuple(needed)), operands, params)


jit_call_p = Primitive(
    "jit_call",
    infer=_infer("jit_call"),
    impl=_jit_impl,
    jvp=_jvp,
    vjp=_jit_vjp,
    batch=_batch,
    multiple_results=True,
    weak="explicit",
    leaf=False,
)
flow_rules[jit_call_p] = lambda marks, *, graph, **params: derivative_flow(graph, marks)


def jit_call(
    graph: Graph, operands: Sequence[Any], *, name: str, backend: str | None = None
) -> list[Any]:
    """The results of `graph` on `operands`, as one operation that a backend runs as a whole.

    Constants of the Graph become operands.
    """
    return _bind(jit_call_p, graph, operands, {"name": name, "backend": backend})


# checkpoint_call: params graph; policy, which equations' results may be kept (None: of none);
# prevent_cse, whether a compiler must not merge the second computation with the first.


def _nothing_saveable(equation: Equation) -> bool:
    return False


def _checkpoint_impl(
    xp: Any, *buffers: Any, graph: Graph, policy: Any, prevent_cse: bool
) -> list[Any]:
    return run(graph, buffers)


def _checkpoint_vjp(
    primitive: Primitive, needed: Any, operands: Any, *, graph: Graph, policy: Any, **params: Any
) -> Any:
    halves = vjp_graph(graph, tuple(needed), policy or _nothing_saveable)
    return _vjp_through(primitive, halves, operands, {"policy": policy, **params})


checkpoint_call_p = Primitive(
    "checkpoint_call",
    infer=_infer("checkpoint_call"),
    impl=_checkpoint_impl,
    jvp=_jvp,
    vjp=_checkpoint_vjp,
    batch=_batch,
    multiple_results=True,
    weak="explicit",
    leaf=False,
)
flow_rules[checkpoint_call_p] = lambda marks, *, graph, **params: derivative_flow(graph, marks)


def checkpoint_call(
    graph: Graph,
    operands: Sequence[Any],
    *,
    policy: Callable[[Equation], bool] | None = None,
    prevent_cse: bool = True,
) -> list[Any]:
    """The results of `graph` on `operands`; reverse mode keeps the operands and computes again.

    `policy(equation)` says which equations' results are kept nevertheless. Constants of the Graph
    become operands.
    """
    params = {"policy": policy, "prevent_cse": prevent_cse}
    return _bind(checkpoint_call_p, graph, operands, params)
