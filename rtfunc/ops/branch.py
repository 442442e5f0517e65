"""cond: one of several Graphs, chosen by an index that is known when the program runs.

All branches take the same operands and return the same types. An index outside the range counts as
the nearest branch. Depends on `sub_graphs`, `comparison`, `select`.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import int32, is_inexact
from rtfunc.core.errors import GraphError, at_user_line
from rtfunc.core.graph import Graph, Variable, evaluate
from rtfunc.core.graph_transforms import GraphVJP, batch_graph, jvp_graph, vjp_graph
from rtfunc.core.primitive import Primitive, zeros_like
from rtfunc.ops.comparison import ge_p
from rtfunc.ops.convert import scalar
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

Branches = tuple[Graph, ...]


def _infer(index: Aval, *operands: Aval, branches: Branches) -> tuple[Aval, ...]:
    if index.shape or index.dtype != int32:
        raise GraphError(at_user_line(f"cond takes an int32 scalar as index, not {index}."))
    outs = branches[0].out_avals
    for branch in branches:
        check_operands("cond", operands, branch.in_avals)
        if len(branch.outputs) != len(outs) or not all(map(same_type, outs, branch.out_avals)):
            raise GraphError(at_user_line("cond: the branches return different types."))
        outs = joined(outs, branch.out_avals)
    return outs


def _impl(xp: Any, index: Any, *buffers: Any, branches: Branches) -> list[Any]:
    # Eagerly the branch is known here, and runs as any other eager code does.
    return run(branches[min(max(int(index), 0), len(branches) - 1)], buffers)


def _with_common_constants(graphs: Sequence[Graph]) -> tuple[Branches, list[Any]]:
    """Branches that take the constants of all of them as leading operands, and these constants."""
    if not any(g.constants for g in graphs):
        return tuple(graphs), []
    values = [value for g in graphs for value in g.constants.values()]
    key = (_with_common_constants, tuple(graphs))
    if key in graphs[0].derived:
        return graphs[0].derived[key], values
    branches = []
    for number, graph in enumerate(graphs):
        leading = [
            variable if i == number else Variable(variable.aval)
            for i, g in enumerate(graphs)
            for variable in g.constants
        ]
        branches.append(Graph((*leading, *graph.inputs), graph.equations, graph.outputs))
    graphs[0].derived[key] = tuple(branches)
    return tuple(branches), values


# Forward mode


def _jvp(primitive: Primitive, primals: Any, tangents: Any, *, branches: Branches) -> Any:
    index, *operands = primals
    nonzero = tuple(t is not None for t in tangents[1:])
    pushed, out_nonzero = _jvp_branches(branches, nonzero)
    pushed, constants = _with_common_constants(pushed)
    given = chosen(nonzero, tangents[1:])
    results = primitive.bind(index, *constants, *operands, *given, branches=pushed)
    count = len(branches[0].outputs)
    return results[:count], spread(out_nonzero, results[count:])


def _jvp_branches(
    branches: Branches, nonzero: tuple[bool, ...]
) -> tuple[Branches, tuple[bool, ...]]:
    """The branches' derivatives, with zeros for a tangent that only other branches have."""
    key = (_jvp_branches, branches, nonzero)
    home = branches[0].derived
    if key not in home:
        derivatives = [jvp_graph(branch, nonzero) for branch in branches]
        union = functools.reduce(either, (marks for _, marks in derivatives))
        count = len(branches[0].outputs)
        equal = []
        for graph, marks in derivatives:
            primal, tangent = graph.outputs[:count], spread(marks, graph.outputs[count:])
            filled = [v.aval if t is None else t for v, t in zip(primal, tangent)]
            equal.append(rearranged(graph, graph.inputs, [*primal, *chosen(union, filled)]))
        home[key] = tuple(equal), union
    return home[key]


# Reverse mode


@dataclasses.dataclass(frozen=True, eq=False)
class _Reverse:
    """The halves of the derivative of a cond.

    Forward branches return the outputs, then the slots: values that the pullback needs. Branches
    share slots of equal type, and fill those that they do not need with zeros. Backward branches
    take the operands numbered `inputs`, the results numbered `outputs`, the slots and the
    cotangents.
    """

    forward: Branches
    backward: Branches
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    in_nonzero: tuple[bool, ...]


def _reverse(branches: Branches, needed: tuple[bool, ...]) -> _Reverse:
    key = (_reverse, branches, needed)
    home = branches[0].derived
    if key not in home:
        home[key] = _make_reverse(branches, needed)
    return home[key]


def _make_reverse(branches: Branches, needed: tuple[bool, ...]) -> _Reverse:
    halves = [vjp_graph(branch, needed) for branch in branches]
    inputs, outputs = (
        tuple(sorted({i for h in halves for kind, i in h.residuals if kind == wanted}))
        for wanted in ("input", "output")
    )
    counts = [collections.Counter((a.shape, a.dtype) for a in h.saved_avals) for h in halves]
    most = functools.reduce(lambda a, b: a | b, counts)
    slots = [Aval(*kind) for kind in most.elements()]
    in_nonzero = functools.reduce(either, (h.in_nonzero for h in halves))
    layouts = [_slot_layout(h, slots) for h in halves]
    return _Reverse(
        tuple(_forward_branch(h, slots, layout) for h, layout in zip(halves, layouts)),
        tuple(
            _backward_branch(h, layout, inputs, outputs, slots, in_nonzero)
            for h, layout in zip(halves, layouts)
        ),
        inputs,
        outputs,
        in_nonzero,
    )


def _slot_layout(halves: GraphVJP, slots: Sequence[Aval]) -> list[int]:
    """For each saved value of a branch, the slot that keeps it."""
    free = list(range(len(slots)))
    layout = []
    for aval in halves.saved_avals:
        slot = next(i for i in free if same_type(slots[i], aval))
        free.remove(slot)
        layout.append(slot)
    return layout


def _forward_branch(halves: GraphVJP, slots: Sequence[Aval], layout: Sequence[int]) -> Graph:
    graph, count = halves.forward, len(halves.out_inexact)
    kept: list[Any] = list(slots)
    for slot, atom in zip(layout, graph.outputs[count:], strict=True):
        kept[slot] = atom
    return rearranged(graph, graph.inputs, [*graph.outputs[:count], *kept])


def _backward_branch(
    halves: GraphVJP,
    layout: Sequence[int],
    inputs: Sequence[int],
    outputs: Sequence[int],
    slots: Sequence[Aval],
    in_nonzero: Sequence[bool],
) -> Graph:
    graph = halves.pullback
    variables = dict(zip(halves.residuals, graph.inputs))
    in_slot = {slot: ("saved", i) for i, slot in enumerate(layout)}
    in_avals, out_avals = halves.forward.in_avals, halves.forward.out_avals
    wanted = [
        *((("input", i), in_avals[i]) for i in inputs),
        *((("output", i), out_avals[i]) for i in outputs),
        *((in_slot.get(slot), aval) for slot, aval in enumerate(slots)),
    ]
    leading = [variables.get(source) or Variable(aval) for source, aval in wanted]
    cotangents = graph.inputs[len(halves.residuals) :]
    found = halves.spread(graph.outputs)
    filled = [a if v is None else v for v, a in zip(found, in_avals)]
    return rearranged(graph, [*leading, *cotangents], chosen(in_nonzero, filled))


def _vjp(primitive: Primitive, needed: Any, operands: Any, *, branches: Branches) -> Any:
    index, *args = operands
    plan = _reverse(branches, tuple(needed[1:]))
    forward, constants = _with_common_constants(plan.forward)
    results = primitive.bind(index, *constants, *args, branches=forward)
    outs, slots = split(results, len(branches[0].outputs))
    kept = [*(args[i] for i in plan.inputs), *(outs[i] for i in plan.outputs), *slots]
    out_avals = [o.aval for o in outs]

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        if True not in plan.in_nonzero:
            return [None] * len(needed)
        filled = [
            zeros_like(a) if ct is None else ct
            for ct, a in zip(cotangents, out_avals)
            if is_inexact(a.dtype)
        ]
        backward, constants = _with_common_constants(plan.backward)
        into = primitive.bind(index, *constants, *kept, *filled, branches=backward)
        return [None, *spread(plan.in_nonzero, into)]

    return outs, pullback


def _flow(marks: Sequence[bool], *, branches: Branches) -> tuple[bool, ...]:
    return functools.reduce(either, (derivative_flow(branch, marks[1:]) for branch in branches))


# Batches


def _batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, branches: Branches
) -> Any:
    (index, *args), (index_axis, *axes) = operands, batch_axes
    batched = tuple(axis is not None for axis in axes)
    args = batched_at_front(args, axes, batched, batch.size)
    marks = [batch_graph(branch, batch, batched)[1] for branch in branches]
    union = functools.reduce(either, marks)
    if index_axis is not None:
        return _select_branches(
            batch, index, args, [batch_graph(b, batch, batched) for b in branches]
        )
    whole = [
        batch_graph(b, batch, batched, m != union and union)[0] for b, m in zip(branches, marks)
    ]
    whole, constants = _with_common_constants(whole)
    outs = primitive.bind(index, *constants, *args, branches=whole)
    return outs, [0 if b else None for b in union]


def _select_branches(batch: Any, index: Any, args: Any, branches: Sequence[Any]) -> Any:
    """Members of the batch take different branches: run them all and select."""
    (first, marks), *others = branches
    outs = evaluate(first, args)
    for number, (graph, its_marks) in enumerate(others, 1):
        here = ge_p.bind(index, scalar(number, int32))
        for i, out in enumerate(evaluate(graph, args)):
            rank = max(out.ndim - its_marks[i], outs[i].ndim - marks[i])
            mask = reshape_p.bind(here, shape=(batch.size, *(1,) * rank)) if rank else here
            outs[i] = select_p.bind(mask, out, outs[i])
        marks = (True,) * len(outs)
    return outs, [0 if m else None for m in marks]


cond_p = Primitive(
    "cond",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    multiple_results=True,
    weak="explicit",
    leaf=False,
)
flow_rules[cond_p] = _flow
