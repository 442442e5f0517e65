"""scan: a Graph repeated a known number of times, over slices of its operands.

Operands are constants, the initial carry, and xs, whose first axis is walked along. The body takes
(constants, carry, slices of xs) and returns (carry, slices of ys); the results are the final carry
and the stacked ys. Reverse mode is in `scan_reverse`. Depends on `sub_graphs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc.core.aval import Aval
from rtfunc.core.batching import move_axis
from rtfunc.core.errors import GraphError
from rtfunc.core.execution import default_backend, run_equation
from rtfunc.core.graph import Graph
from rtfunc.core.graph_transforms import batch_graph, jvp_graph, lifted
from rtfunc.core.primitive import Primitive, zeros_like
from rtfunc.ops.scan_reverse import differentiated_operands, scan_vjp
from rtfunc.ops.sub_graphs import (
    batched_at_front,
    check_operands,
    chosen,
    derivative_flow,
    either,
    flow_rules,
    joined,
    rearranged,
    run,
    same_type,
    split,
    spread,
)


def _infer(
    *operands: Aval,
    body: Graph,
    constants: int,
    carry: int,
    length: int,
    reverse: bool,
    unroll: int,
) -> tuple[Aval, ...]:
    fixed, state, xs = split(operands, constants, carry)
    if any(x.shape[:1] != (length,) for x in xs):
        raise GraphError(f"scan of length {length} over {', '.join(map(str, xs))}.")
    slices = [x.with_shape(x.shape[1:]) for x in xs]
    check_operands("scan", [*fixed, *state, *slices], body.in_avals)
    state_out, ys = split(body.out_avals, carry)
    if len(state_out) != carry or not all(map(same_type, state, state_out)):
        raise GraphError("scan: the body does not return the types of the carry.")
    state_in = body.in_avals[constants : constants + carry]
    return (*joined(state_in, state_out), *(y.with_shape((length, *y.shape)) for y in ys))


def _impl(
    xp: Any,
    *buffers: Any,
    body: Graph,
    constants: int,
    carry: int,
    length: int,
    reverse: bool,
    unroll: int,
) -> list[Any]:
    if default_backend() != "reference":
        params = {
            "body": body,
            "constants": constants,
            "carry": carry,
            "length": length,
            "reverse": reverse,
            "unroll": unroll,
        }
        return run_equation(scan_p, buffers, params)
    fixed, state, xs = split(buffers, constants, carry)
    ys = [xp.empty((length, *a.shape), a.dtype) for a in body.out_avals[carry:]]
    for i in range(length - 1, -1, -1) if reverse else range(length):
        state, slices = split(run(body, [*fixed, *state, *(x[i, ...] for x in xs)]), carry)
        for y, value in zip(ys, slices):
            y[i, ...] = value
    return [*state, *ys]


def _bind(
    body: Graph, fixed: Sequence[Any], state: Sequence[Any], xs: Sequence[Any], **params: Any
) -> list[Any]:
    """Apply the operation; constants of the Graph become operands."""
    body, extra = lifted(body)
    return scan_p.bind(
        *extra,
        *fixed,
        *state,
        *xs,
        body=body,
        constants=len(extra) + len(fixed),
        carry=len(state),
        **params,
    )


# Forward mode


def _jvp(
    primitive: Primitive,
    primals: Any,
    tangents: Any,
    *,
    body: Graph,
    constants: int,
    carry: int,
    **params: Any,
) -> Any:
    fixed, state, xs = split(primals, constants, carry)
    t_fixed, t_state, t_xs = split(tangents, constants, carry)
    nonzero = tuple(t is not None for t in tangents)
    pushed, moving, ys_nonzero = _jvp_body(body, constants, carry, nonzero)
    starts = [
        zeros_like(x) if t is None else t
        for x, t in zip(chosen(moving, state), chosen(moving, t_state))
    ]
    given_fixed = [t for t in t_fixed if t is not None]
    given_xs = [t for t in t_xs if t is not None]
    results = _bind(pushed, [*fixed, *given_fixed], [*state, *starts], [*xs, *given_xs], **params)
    n_ys = len(body.outputs) - carry
    outs, out_tangents, ys, ys_tangents = split(results, carry, len(starts), n_ys)
    return [*outs, *ys], [*spread(moving, out_tangents), *spread(ys_nonzero, ys_tangents)]


def _jvp_body(
    body: Graph, constants: int, carry: int, nonzero: tuple[bool, ...]
) -> tuple[Graph, tuple[bool, ...], tuple[bool, ...]]:
    """The body over values and tangents; which carries have a tangent, and which ys."""
    key = (_jvp_body, constants, carry, nonzero)
    if key in body.derived:
        return body.derived[key]
    fixed, moving, sliced = map(tuple, split(nonzero, constants, carry))
    while True:  # a tangent that is zero at first may become nonzero in a later step
        pushed, out_nonzero = jvp_graph(body, fixed + moving + sliced)
        grown = either(moving, out_nonzero[:carry])
        if grown == moving:
            break
        moving = grown
    c, k, x, tc, tk, tx = split(
        pushed.inputs, constants, carry, len(sliced), sum(fixed), sum(moving)
    )
    outs, tangents = split(pushed.outputs, len(body.outputs))
    filled = [v.aval if t is None else t for v, t in zip(outs, spread(out_nonzero, tangents))]
    ys_nonzero = out_nonzero[carry:]
    graph = rearranged(
        pushed,
        [*c, *tc, *k, *tk, *x, *tx],
        [
            *outs[:carry],
            *chosen(moving, filled[:carry]),
            *outs[carry:],
            *chosen(ys_nonzero, filled[carry:]),
        ],
    )
    body.derived[key] = graph, moving, ys_nonzero
    return body.derived[key]


# Batches


def _batch(
    primitive: Primitive,
    batch: Any,
    operands: Any,
    batch_axes: Any,
    *,
    body: Graph,
    constants: int,
    carry: int,
    **params: Any,
) -> Any:
    fixed, moving, sliced = map(
        tuple, split([axis is not None for axis in batch_axes], constants, carry)
    )
    while True:  # a carry that is the same for all members at first may not stay so
        whole, found = batch_graph(body, batch, fixed + moving + sliced)
        grown = either(moving, found[:carry])
        if grown == moving:
            break
        moving = grown
    if found[:carry] != moving:
        force = moving + (False,) * (len(found) - carry)
        whole, found = batch_graph(body, batch, fixed + moving + sliced, force)
    before = constants + carry
    placed = batched_at_front(operands[:before], batch_axes[:before], fixed + moving, batch.size)
    xs = [
        x if axis is None else move_axis(x, axis, 1)
        for x, axis in zip(operands[before:], batch_axes[before:])
    ]
    results = _bind(whole, placed[:constants], placed[constants:], xs, **params)
    return results, [(0 if i < carry else 1) if b else None for i, b in enumerate(found)]


def _flow(
    marks: Sequence[bool], *, body: Graph, constants: int, carry: int, **params: Any
) -> tuple[bool, ...]:
    return derivative_flow(body, differentiated_operands(body, constants, carry, tuple(marks)))


scan_p = Primitive(
    "scan",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=scan_vjp,
    batch=_batch,
    multiple_results=True,
    weak="explicit",
    leaf=False,
)
flow_rules[scan_p] = _flow
