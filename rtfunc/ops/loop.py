"""while: a Graph repeated as long as another Graph says so.

Operands are the condition's constants, the body's constants, and the carry. The number of steps is
not known before the loop runs, so there is no reverse mode: it would have to keep values of every
step. Depends on `sub_graphs`, `reduce`, `select`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import bool_
from rtfunc.core.errors import GraphError, UnsupportedError
from rtfunc.core.execution import default_backend, run_equation
from rtfunc.core.graph import Graph, Variable, evaluate
from rtfunc.core.graph_transforms import batch_graph, jvp_graph, lifted, stage
from rtfunc.core.primitive import Primitive, zeros_like
from rtfunc.core.trace import current_source
from rtfunc.ops.comparison import and_p
from rtfunc.ops.reduce import reduce_or_p
from rtfunc.ops.select import select_p
from rtfunc.ops.shape import reshape_p
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
    *operands: Aval, condition: Graph, body: Graph, condition_constants: int, body_constants: int
) -> tuple[Aval, ...]:
    for_condition, for_body, carry = split(operands, condition_constants, body_constants)
    check_operands("while (condition)", [*for_condition, *carry], condition.in_avals)
    check_operands("while (body)", [*for_body, *carry], body.in_avals)
    test = condition.out_avals
    if len(test) != 1 or test[0].shape or test[0].dtype != bool_:
        raise GraphError("while: the condition does not return one boolean scalar.")
    if len(body.outputs) != len(carry) or not all(map(same_type, body.out_avals, carry)):
        raise GraphError("while: the body does not return the types of the carry.")
    return joined(body.in_avals[body_constants:], body.out_avals)


def _impl(
    xp: Any,
    *buffers: Any,
    condition: Graph,
    body: Graph,
    condition_constants: int,
    body_constants: int,
) -> list[Any]:
    if default_backend() != "reference":
        params = {
            "condition": condition,
            "body": body,
            "condition_constants": condition_constants,
            "body_constants": body_constants,
        }
        return run_equation(while_p, buffers, params)
    for_condition, for_body, carry = split(buffers, condition_constants, body_constants)
    while bool(run(condition, [*for_condition, *carry])[0]):
        carry = run(body, [*for_body, *carry])
    return carry


def _bind(
    condition: Graph,
    for_condition: Sequence[Any],
    body: Graph,
    for_body: Sequence[Any],
    carry: Sequence[Any],
) -> list[Any]:
    """Apply the operation; constants of the Graphs become operands."""
    condition, condition_extra = lifted(condition)
    body, body_extra = lifted(body)
    for_condition, for_body = [*condition_extra, *for_condition], [*body_extra, *for_body]
    return while_p.bind(
        *for_condition,
        *for_body,
        *carry,
        condition=condition,
        body=body,
        condition_constants=len(for_condition),
        body_constants=len(for_body),
    )


# Forward mode


def _jvp(
    primitive: Primitive,
    primals: Any,
    tangents: Any,
    *,
    condition: Graph,
    body: Graph,
    condition_constants: int,
    body_constants: int,
) -> Any:
    sizes = condition_constants, body_constants
    for_condition, for_body, carry = split(primals, *sizes)
    _, t_body, t_carry = split(tangents, *sizes)
    fixed = tuple(t is not None for t in t_body)
    moving = tuple(t is not None for t in t_carry)
    new_condition, new_body, moving = _jvp_graphs(
        condition, body, condition_constants, fixed, moving
    )
    starts = [
        zeros_like(x) if t is None else t
        for x, t in zip(chosen(moving, carry), chosen(moving, t_carry))
    ]
    results = _bind(
        new_condition,
        for_condition,
        new_body,
        [*for_body, *chosen(fixed, t_body)],
        [*carry, *starts],
    )
    outs, out_tangents = split(results, len(carry))
    return outs, spread(moving, out_tangents)


def _jvp_graphs(
    condition: Graph,
    body: Graph,
    condition_constants: int,
    fixed: tuple[bool, ...],
    moving: tuple[bool, ...],
) -> tuple[Graph, Graph, tuple[bool, ...]]:
    """Condition and body over the carry and its tangents, and which parts of the carry have one."""
    key = (_jvp_graphs, condition, condition_constants, fixed, moving)
    if key in body.derived:
        return body.derived[key]
    while True:  # a tangent that is zero at first may become nonzero in a later step
        pushed, out_nonzero = jvp_graph(body, fixed + moving)
        grown = either(moving, out_nonzero)
        if grown == moving:
            break
        moving = grown
    constants, carry, t_constants, t_carry = split(
        pushed.inputs, len(fixed), len(moving), sum(fixed)
    )
    outs, found = split(pushed.outputs, len(moving))
    tangents = [v.aval if t is None else t for v, t in zip(outs, spread(out_nonzero, found))]
    new_body = rearranged(
        pushed, [*constants, *t_constants, *carry, *t_carry], [*outs, *chosen(moving, tangents)]
    )
    ignored = [Variable(v.aval) for v in chosen(moving, condition.inputs[condition_constants:])]
    new_condition = rearranged(condition, [*condition.inputs, *ignored], condition.outputs)
    body.derived[key] = new_condition, new_body, moving
    return body.derived[key]


# Reverse mode is refused, once a cotangent arrives: results may be used without being
# differentiated.


def _vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
    outs = primitive.bind(*operands, **params)
    reached = _flow(needed, **params)
    line = current_source()

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        if any(r and ct is not None for r, ct in zip(reached, cotangents, strict=True)):
            place = f"\n  at {line}" if line else ""
            raise UnsupportedError(
                "Reverse-mode differentiation does not go through while_loop (nor fori_loop with "
                "bounds that are not known before it runs): the values of every step would have to "
                "be kept, and their number is unknown. Use scan, or fori_loop with Python integers "
                f"as bounds; or forward mode (jvp, jacfwd).{place}"
            )
        return [None] * len(operands)

    return outs, pullback


def _flow(
    marks: Sequence[bool],
    *,
    condition: Graph,
    body: Graph,
    condition_constants: int,
    body_constants: int,
) -> tuple[bool, ...]:
    _, fixed, moving = split(marks, condition_constants, body_constants)
    while True:
        grown = either(moving, derivative_flow(body, [*fixed, *moving]))
        if grown == tuple(moving):
            return grown
        moving = list(grown)


# Batches


def _batch(
    primitive: Primitive,
    batch: Any,
    operands: Any,
    batch_axes: Any,
    *,
    condition: Graph,
    body: Graph,
    condition_constants: int,
    body_constants: int,
) -> Any:
    sizes = condition_constants, body_constants
    marks = [axis is not None for axis in batch_axes]
    test_fixed, body_fixed, moving = map(tuple, split(marks, *sizes))
    while True:
        body_marks = batch_graph(body, batch, body_fixed + moving)[1]
        test_batched = batch_graph(condition, batch, test_fixed + moving)[1][0]
        # Members that stop at different steps need a carry of their own.
        grown = (True,) * len(moving) if test_batched else either(moving, body_marks)
        if grown == moving:
            break
        moving = grown

    whole_body, found = batch_graph(body, batch, body_fixed + moving)
    if found != moving:
        whole_body, _ = batch_graph(body, batch, body_fixed + moving, moving)
    whole_test, _ = batch_graph(condition, batch, test_fixed + moving)
    batched = test_fixed + body_fixed + moving
    placed = batched_at_front(operands, batch_axes, batched, batch.size)
    for_condition, for_body, carry = split(placed, *sizes)
    out_axes = [0 if m else None for m in moving]
    if not test_batched:
        return _bind(whole_test, for_condition, whole_body, for_body, carry), out_axes
    (running,) = evaluate(whole_test, [*for_condition, *carry])
    any_running, step = _masked(batch.size, whole_test, whole_body, condition_constants)
    results = _bind(any_running, [], step, [*for_condition, *for_body], [running, *carry])
    return results[1:], out_axes


def _masked(
    size: int, condition: Graph, body: Graph, condition_constants: int
) -> tuple[Graph, Graph]:
    """Condition and body for members that stop at different steps.

    Which members still run is part of the carry, in front; the others keep their values.
    """
    key = (_masked, condition, condition_constants)
    if key in body.derived:
        return body.derived[key]
    n_test = condition_constants
    n_body = len(body.inputs) - len(body.outputs)
    running = Aval((size,), bool_)

    def any_running(mask: Any, *carry: Any) -> list[Any]:
        return [reduce_or_p.bind(mask, axes=(0,))]

    def step(*args: Any) -> list[Any]:
        for_condition, for_body, (mask,), carry = split(args, n_test, n_body, 1)
        kept = []
        for old, new in zip(carry, evaluate(body, [*for_body, *carry])):
            shape = (size, *(1,) * (new.ndim - 1))
            wide = mask if new.ndim == 1 else reshape_p.bind(mask, shape=shape)
            kept.append(select_p.bind(wide, new, old))
        (still,) = evaluate(condition, [*for_condition, *kept])
        return [and_p.bind(mask, still), *kept]

    avals = [running, *body.in_avals[n_body:]]
    constants = [*condition.in_avals[:n_test], *body.in_avals[:n_body]]
    body.derived[key] = stage(any_running, avals), stage(step, [*constants, *avals])
    return body.derived[key]


while_p = Primitive(
    "while",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    multiple_results=True,
    weak="explicit",
    leaf=False,
)
flow_rules[while_p] = _flow
