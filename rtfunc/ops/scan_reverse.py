"""Reverse mode of scan: a forward scan that keeps values, and a scan in the other direction.

The body is split by `vjp_graph` into a forward half, a pullback, and residuals that the pullback
reads. A residual is kept once, in the cheapest way there is:

- a constant of the loop, or what is computed from constants alone: once, not per step (computed
  before the loop);
- a slice of xs or of ys: these exist already;
- a carry that steps take, where the carry that they return is also one of ys: ys moved by one step,
  put together when the pullback runs;
- a carry that a step returns, where the carries that steps take are kept as well: the latter are
  the same values one step later, so the backward scan hands them on;
- anything else: stacked as a further result of the forward scan.

The backward scan carries the cotangent of the carry and the sums of the constants' cotangents, and
returns those of xs. Time and memory are proportional to those of the forward scan. Depends on
`sub_graphs`, `pad_slice`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rtfunc.core.aval import Aval
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.graph import Atom, Graph, Variable, evaluate
from rtfunc.core.graph_transforms import GraphVJP, lifted, stage, vjp_graph
from rtfunc.core.primitive import Primitive, add_tangents, zeros_like
from rtfunc.core.staging import live_part
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.shape import reshape
from rtfunc.ops.sub_graphs import derivative_flow, either, invariant_variables, split

#: Where the pullback of one step finds a residual: an operand that is the same in every step
#: ("operand"), a value computed before the loop ("hoisted"), a slice of an operand ("slice"), a
#: slice of a result ("result"), of ys moved by one step ("moved"), or a carry handed on backward
#: ("handed on").
Source = tuple[str, int]
_IN_EVERY_STEP = ("operand", "hoisted")


def differentiated_operands(
    body: Graph, constants: int, carry: int, needed: tuple[bool, ...]
) -> tuple[bool, ...]:
    """The marked inexact operands, and the carries that a derivative flows into at any step."""
    marks = tuple(n and is_inexact(a.dtype) for n, a in zip(needed, body.in_avals, strict=True))
    end = constants + carry
    while True:
        moving = either(marks[constants:end], derivative_flow(body, marks)[:carry])
        grown = marks[:constants] + moving + marks[end:]
        if grown == marks:
            return marks
        marks = grown


@dataclasses.dataclass(frozen=True, eq=False)
class _Plan:
    """How one scan is differentiated with respect to some of its operands.

    Attributes:
      constants, carry: numbers of constants and carries among the operands.
      marks: for each operand, whether a cotangent is followed into it.
      halves: the derivative of the body.
      hoisted: what is computed before the loop from the operands numbered `fixed`.
      forward: the body (hoisted values, operands) -> (outputs, values to be stacked).
      sources: for each residual, where it is kept.
      handed_on: for each carry that is handed on backward, the source of the carry that a step
        takes.
    """

    constants: int
    carry: int
    marks: tuple[bool, ...]
    halves: GraphVJP
    fixed: tuple[int, ...]
    hoisted: Graph
    forward: Graph
    sources: tuple[Source, ...]
    handed_on: dict[int, Source]
    #: For each carry, the number of the ys that is the same value, or None.
    among_ys: tuple[int | None, ...]
    backward: dict[tuple[bool, ...], Graph] = dataclasses.field(default_factory=dict)

    @property
    def in_every_step(self) -> list[Source]:
        """The sources that the backward scan takes as constants."""
        return [s for s in dict.fromkeys(self.sources) if s[0] in _IN_EVERY_STEP]

    @property
    def sliced(self) -> list[Source]:
        """The sources that the backward scan walks along."""
        every = dict.fromkeys([*self.sources, *self.handed_on.values()])
        return [s for s in every if s[0] in ("slice", "result", "moved")]

    @property
    def summed(self) -> list[int]:
        """The constants that get a cotangent."""
        return [i for i in range(self.constants) if self.halves.in_nonzero[i]]

    @property
    def followed(self) -> list[int]:
        """The carries whose cotangent is carried."""
        return [j for j in range(self.carry) if self.marks[self.constants + j]]

    @property
    def emitted(self) -> list[int]:
        """The operands among xs that get a cotangent."""
        start = self.constants + self.carry
        return [i for i in range(start, len(self.marks)) if self.halves.in_nonzero[i]]


def _plan(body: Graph, constants: int, carry: int, needed: tuple[bool, ...]) -> _Plan:
    key = (_plan, constants, carry, needed)
    if key not in body.derived:
        body.derived[key] = _make_plan(body, constants, carry, needed)
    return body.derived[key]


def _make_plan(body: Graph, constants: int, carry: int, needed: tuple[bool, ...]) -> _Plan:
    marks = differentiated_operands(body, constants, carry, needed)
    halves = vjp_graph(body, marks)
    graph, count = halves.forward, len(body.outputs)
    outputs = graph.outputs
    # A carry that every step returns as it took it is a constant of the loop.
    fixed = tuple(range(constants)) + tuple(
        constants + j for j in range(carry) if outputs[j] is graph.inputs[constants + j]
    )
    invariant = invariant_variables(graph, [graph.inputs[i] for i in fixed])
    stacked: dict[Atom, int] = {}
    hoisted: dict[Variable, int] = {}
    handed_on: dict[int, Source] = {}

    def keep(atom: Atom) -> Source:
        if isinstance(atom, Variable) and atom in invariant:
            for variable in invariant[atom].outputs:  # type: ignore[union-attr]
                hoisted.setdefault(variable, len(hoisted))
            return "hoisted", hoisted[atom]
        if atom in outputs[carry:count]:
            return "result", carry + outputs[carry:count].index(atom)
        return "result", count + stacked.setdefault(atom, len(stacked))

    def keep_output(i: int) -> Source:
        atom = outputs[i]
        existing = atom in invariant or atom in outputs[carry:count]
        if i >= carry or existing or ("input", constants + i) not in halves.residuals:
            return keep(atom)
        handed_on[i] = keep_input(constants + i)
        return "handed on", i

    def keep_input(i: int) -> Source:
        if i in fixed:
            return "operand", i
        if i >= constants + carry:
            return "slice", i
        if outputs[i - constants] in outputs[carry:count]:
            return "moved", i - constants
        return keep(graph.inputs[i])

    sources = tuple(
        keep_input(i)
        if kind == "input"
        else keep_output(i)
        if kind == "output"
        else keep(outputs[count + i])
        for kind, i in halves.residuals
    )
    before = {invariant[v] for v in hoisted}
    computable = set(invariant.values())
    return _Plan(
        constants=constants,
        carry=carry,
        marks=marks,
        halves=halves,
        fixed=fixed,
        hoisted=live_part(
            Graph(
                tuple(graph.inputs[i] for i in fixed),
                tuple(e for e in graph.equations if e in computable),
                tuple(hoisted),
                graph.constants,
            )
        ),
        forward=live_part(
            Graph(
                (*hoisted, *graph.inputs),
                tuple(e for e in graph.equations if e not in before),
                (*outputs[:count], *stacked),
                graph.constants,
            )
        ),
        sources=sources,
        handed_on=handed_on,
        among_ys=tuple(
            outputs.index(a, carry) if a in outputs[carry:count] else None for a in outputs[:carry]
        ),
    )


def _moved(init: Any, ys: Any, reverse: bool) -> Any:
    """The carries that the steps of a scan took, given the first of them and those returned."""
    length = ys.shape[0]
    if not length:
        return ys
    first = reshape(init, (1, *init.shape))
    if reverse:
        return concatenate([slice_in_dim(ys, 1, length), first], 0)
    return concatenate([first, slice_in_dim(ys, 0, length - 1)], 0)


def _backward_body(plan: _Plan, ys_given: tuple[bool, ...]) -> Graph:
    """The body of the backward scan, for the ys that have a cotangent.

    It takes (residuals that are the same in every step), (cotangents of the carry, sums for the
    constants, carries handed on) and (slices of residuals, cotangents of ys).
    """
    if ys_given in plan.backward:
        return plan.backward[ys_given]
    halves, carry = plan.halves, plan.carry
    in_avals = [Aval(a.shape, a.dtype) for a in halves.forward.in_avals]
    out_avals = [
        Aval(a.shape, a.dtype) for a in halves.forward.out_avals[: len(halves.out_inexact)]
    ]
    avals = dict(zip(plan.sources, halves.pullback.in_avals))
    for j, source in plan.handed_on.items():
        avals[source] = in_avals[plan.constants + j]
    carried = [in_avals[plan.constants + j] for j in plan.followed]
    sums = [in_avals[i] for i in plan.summed]
    handed = [in_avals[plan.constants + j] for j in plan.handed_on]
    ys = [a for a, given in zip(out_avals[carry:], ys_given) if given]
    whole, sliced = plan.in_every_step, plan.sliced

    def step(*args: Any) -> list[Any]:
        fixed, of_carry, totals, later, slices, of_ys = split(
            args, len(whole), len(carried), len(sums), len(handed), len(sliced)
        )
        values = dict(zip([*whole, *sliced], [*fixed, *slices]))
        values.update((("handed on", j), x) for j, x in zip(plan.handed_on, later))
        cotangents: list[Any] = [None] * len(out_avals)
        for j, ct in zip(plan.followed, of_carry):
            cotangents[j] = ct
        given = iter(of_ys)
        cotangents[carry:] = [next(given) if g else None for g in ys_given]
        residuals = [values[source] for source in plan.sources]
        into = halves.spread(evaluate(halves.pullback, [*residuals, *halves.fill(cotangents)]))
        of_carry = [into[plan.constants + j] for j in plan.followed]
        return [
            *(zeros_like(a) if ct is None else ct for ct, a in zip(of_carry, carried)),
            *(add_tangents(total, into[i]) for total, i in zip(totals, plan.summed)),
            *(values[source] for source in plan.handed_on.values()),
            *(into[i] for i in plan.emitted),
        ]

    graph = stage(
        step,
        [
            *(avals[s] for s in whole),
            *carried,
            *sums,
            *handed,
            *(avals[s] for s in sliced),
            *ys,
        ],
    )
    plan.backward[ys_given] = graph
    return graph


def scan_vjp(
    primitive: Primitive,
    needed: Sequence[bool],
    operands: Sequence[Any],
    *,
    body: Graph,
    constants: int,
    carry: int,
    length: int,
    reverse: bool,
    unroll: int,
) -> Any:
    """The `vjp` rule of scan."""
    plan = _plan(body, constants, carry, tuple(needed))
    hoisted = evaluate(plan.hoisted, [operands[i] for i in plan.fixed])
    forward, extra = lifted(plan.forward)
    results = primitive.bind(
        *extra,
        *hoisted,
        *operands,
        body=forward,
        constants=len(extra) + len(hoisted) + constants,
        carry=carry,
        length=length,
        reverse=reverse,
        unroll=unroll,
    )
    outs = list(results[: len(body.outputs)])
    kept = {"operand": operands, "hoisted": hoisted, "slice": operands, "result": results}
    whole = [kept[kind][i] for kind, i in plan.in_every_step]
    kept["moved"] = [
        None if k is None else (operands[constants + j], results[k])
        for j, k in enumerate(plan.among_ys)
    ]
    sliced = [kept[kind][i] for kind, i in plan.sliced]
    handed = [outs[j] for j in plan.handed_on]
    in_avals, out_avals = body.in_avals, [o.aval for o in outs]

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        into: list[Any] = [None] * len(in_avals)
        usable = [ct if is_inexact(a.dtype) else None for ct, a in zip(cotangents, out_avals)]
        ys_given = tuple(ct is not None for ct in usable[carry:])
        if True not in plan.halves.in_nonzero:
            return into
        backward, extra = lifted(_backward_body(plan, ys_given))
        start = [
            zeros_like(out_avals[j]) if usable[j] is None else usable[j] for j in plan.followed
        ]
        sums = [zeros_like(in_avals[i]) for i in plan.summed]
        found = primitive.bind(
            *extra,
            *whole,
            *start,
            *sums,
            *handed,
            *(_moved(x[0], x[1], reverse) if isinstance(x, tuple) else x for x in sliced),
            *(ct for ct in usable[carry:] if ct is not None),
            body=backward,
            constants=len(extra) + len(whole),
            carry=len(start) + len(sums) + len(handed),
            length=length,
            reverse=not reverse,
            unroll=unroll,
        )
        of_carry, totals, _, of_xs = split(found, len(start), len(sums), len(handed))
        places = [*(constants + j for j in plan.followed), *plan.summed, *plan.emitted]
        for i, ct in zip(places, [*of_carry, *totals, *of_xs], strict=True):
            into[i] = ct
        return into

    return outs, pullback
