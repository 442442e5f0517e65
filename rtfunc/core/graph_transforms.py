"""Derivatives and batches of Graphs.

Calls and control flow hold Graphs; their rules need the derivative or the batch of a Graph as another
Graph. Each function here stages the corresponding trace over the evaluation of the Graph, and keeps the
result on the Graph (`Graph.derived`), so it is made once. Depends on `staging`, `reverse`, `forward`,
`batching`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.batching import batch_flat, to_axis
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.forward import jvp_flat
from rtfunc.core.graph import Atom, Equation, Graph, Literal, Variable, evaluate
from rtfunc.core.primitive import BatchAxis, zeros_like
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import has_effect, live_part, trace_to_graph
from rtfunc.core.trace import use_trace


def stage(function: Callable[..., Sequence[Any]], in_avals: Sequence[Aval]) -> Graph:
    """The Graph of a function that closes over no Arrays (what it captures is a mistake here)."""
    with use_trace(None):
        graph, captured = trace_to_graph(function, in_avals)
    if captured:
        graph = dataclasses.replace(
            graph,
            inputs=graph.inputs[len(captured) :],
            constants=dict(zip(graph.inputs, captured)),
            derived={},
        )
    return graph


def jvp_graph(graph: Graph, nonzero: tuple[bool, ...]) -> tuple[Graph, tuple[bool, ...]]:
    """The Graph (primals, tangents of the inputs marked `nonzero`) -> (outputs, output tangents).

    Only the output tangents that are not known to be zero are returned; the second result marks them.
    """
    key = (jvp_graph, nonzero)
    if key not in graph.derived:
        out_nonzero: tuple[bool, ...] = ()

        def pushed(*args: Any) -> list[Any]:
            nonlocal out_nonzero
            primals, given = args[: len(nonzero)], iter(args[len(nonzero) :])
            tangents = [next(given) if n else None for n in nonzero]
            outs, out_tangents = jvp_flat(lambda *xs: evaluate(graph, xs), primals, tangents)
            out_nonzero = tuple(t is not None for t in out_tangents)
            return [*outs, *(t for t in out_tangents if t is not None)]

        avals = [*graph.in_avals, *(a for a, n in zip(graph.in_avals, nonzero) if n)]
        graph.derived[key] = stage(pushed, avals), out_nonzero
    return graph.derived[key]


@dataclasses.dataclass(frozen=True, eq=False)
class GraphVJP:
    """The two halves of the reverse-mode derivative of a Graph.

    Attributes:
      forward: inputs -> (outputs, then the values only the pullback needs).
      pullback: (residuals, then cotangents of the inexact outputs) -> cotangents of the inputs that
        are marked in `in_nonzero`.
      residuals: where each residual comes from: ("input", i), ("output", i), or ("saved", i), the
        i-th additional output of `forward`.
      in_nonzero: for each input, whether the pullback returns a cotangent.
      out_inexact: for each output, whether the pullback takes a cotangent.
    """

    forward: Graph
    pullback: Graph
    residuals: tuple[tuple[str, int], ...]
    in_nonzero: tuple[bool, ...]
    out_inexact: tuple[bool, ...]

    @property
    def saved_avals(self) -> tuple[Aval, ...]:
        """Avals of the additional outputs of `forward`."""
        return self.forward.out_avals[len(self.out_inexact) :]

    def gather(self, args: Sequence[Any], outs: Sequence[Any], saved: Sequence[Any]) -> list[Any]:
        """The residuals, given the inputs, outputs and additional outputs of the forward half."""
        values = {"input": args, "output": outs, "saved": saved}
        return [values[kind][i] for kind, i in self.residuals]

    def fill(self, cotangents: Sequence[Any]) -> list[Any]:
        """The cotangents that the pullback takes, with zeros for None."""
        avals = self.forward.out_avals
        return [
            zeros_like(avals[i]) if ct is None else ct
            for i, (ct, inexact) in enumerate(zip(cotangents, self.out_inexact))
            if inexact
        ]

    def spread(self, results: Sequence[Any]) -> list[Any]:
        """The results of the pullback, one per input, None where it is zero."""
        found = iter(results)
        return [next(found) if n else None for n in self.in_nonzero]


def vjp_graph(
    graph: Graph,
    needed: tuple[bool, ...],
    saveable: Callable[[Equation], bool] | None = None,
) -> GraphVJP:
    """Forward and pullback Graphs with respect to the inputs marked `needed`.

    Forward and backward are staged as one Graph, which is then split: what the outputs need is forward,
    and what the rest reads of it are the residuals. With `saveable`, only
    results of equations for which it holds are residuals; the others are computed again backward.
    """
    key = (vjp_graph, needed, saveable)
    if key not in graph.derived:
        graph.derived[key] = _vjp_graph(graph, needed, saveable)
    return graph.derived[key]


def _vjp_graph(
    graph: Graph, needed: tuple[bool, ...], saveable: Callable[[Equation], bool] | None
) -> GraphVJP:
    out_inexact = tuple(is_inexact(a.dtype) for a in graph.out_avals)
    in_nonzero: tuple[bool, ...] = ()

    def joint(*args: Any) -> list[Any]:
        nonlocal in_nonzero
        primals, given = args[: len(needed)], iter(args[len(needed) :])
        outs, pullback = vjp_flat(lambda *xs: evaluate(graph, xs), primals, needed)
        into = pullback([next(given) if inexact else None for inexact in out_inexact])
        in_nonzero = tuple(ct is not None for ct in into)
        return [*outs, *(ct for ct in into if ct is not None)]

    cotangents = [a for a, inexact in zip(graph.out_avals, out_inexact) if inexact]
    whole = stage(joint, [*graph.in_avals, *(_strong(a) for a in cotangents)])
    n_in, n_out = len(graph.inputs), len(graph.outputs)
    return _split(whole, n_in, n_out, in_nonzero, out_inexact, saveable)


def _strong(aval: Aval) -> Aval:
    return Aval(aval.shape, aval.dtype)


def _split(
    whole: Graph,
    n_in: int,
    n_out: int,
    in_nonzero: tuple[bool, ...],
    out_inexact: tuple[bool, ...],
    saveable: Callable[[Equation], bool] | None,
) -> GraphVJP:
    """Split a joint Graph (inputs, cotangents) -> (outputs, input cotangents) into its halves.

    The forward half holds what the outputs need and no more: partial derivatives and the like are
    computed backward, so that their operands are kept rather than more results.
    """
    inputs, outputs = whole.inputs[:n_in], whole.outputs[:n_out]
    # Equations with effects are live on their own account: those on cotangents belong backward.
    of_cotangents: set[Atom] = set(whole.inputs[n_in:])
    for equation in whole.equations:
        if not of_cotangents.isdisjoint(equation.inputs):
            of_cotangents.update(equation.outputs)
    candidates = tuple(e for e in whole.equations if of_cotangents.isdisjoint(e.inputs))
    before = live_part(Graph(inputs, candidates, outputs, whole.constants)).equations
    forward_only = set(before)
    after = [e for e in whole.equations if e not in forward_only]
    after = _recomputed(before, after, whole, n_out, saveable) + after

    computed = {v for e in after for v in e.outputs} | {*whole.inputs[n_in:], *whole.constants}
    reads = [a for e in after for a in e.inputs] + list(whole.outputs[n_out:])
    residuals: dict[Variable, tuple[str, int]] = {}
    saved: list[Variable] = []
    for atom in reads:
        if not isinstance(atom, Variable) or atom in computed or atom in residuals:
            continue
        if atom in inputs:
            residuals[atom] = ("input", inputs.index(atom))
        elif atom in outputs:
            residuals[atom] = ("output", outputs.index(atom))
        else:
            residuals[atom] = ("saved", len(saved))
            saved.append(atom)
    forward = Graph(inputs, tuple(before), (*outputs, *saved), whole.constants)
    pullback = Graph(
        (*residuals, *whole.inputs[n_in:]), tuple(after), whole.outputs[n_out:], whole.constants
    )
    return GraphVJP(
        _used_constants(live_part(forward)),
        _used_constants(live_part(pullback)),
        tuple(residuals.values()),
        in_nonzero,
        out_inexact,
    )


#: Primitives whose results are cheaper to compute again than to keep: they only spread out scalars
#: or count. Known to the split of forward and backward.
recomputed_always = {"broadcast_in_dim", "iota"}


def _recomputed(
    before: Sequence[Equation],
    after: list[Equation],
    whole: Graph,
    n_out: int,
    saveable: Callable[[Equation], bool] | None,
) -> list[Equation]:
    """The equations of the forward half that the backward half computes again, in order."""
    wanted = {a for e in after for a in e.inputs} | set(whole.outputs[n_out:])
    again = []
    for equation in reversed(before):
        cheap = (
            not saveable(equation)
            if saveable is not None
            else equation.primitive.name in recomputed_always
            and all(isinstance(a, Literal) for a in equation.inputs)
        )
        if cheap and not has_effect(equation) and any(v in wanted for v in equation.outputs):
            again.append(equation)
            wanted.update(equation.inputs)
    return again[::-1]


def _used_constants(graph: Graph) -> Graph:
    used: set[Atom] = {a for e in graph.equations for a in e.inputs} | set(graph.outputs)
    constants = {v: c for v, c in graph.constants.items() if v in used}
    return dataclasses.replace(graph, constants=constants, derived={})


def batch_graph(
    graph: Graph,
    axis: BatchAxis,
    batched: tuple[bool, ...],
    force: tuple[bool, ...] | bool = False,
) -> tuple[Graph, tuple[bool, ...]]:
    """The Graph over a batch: marked inputs, and marked outputs, carry the batch on axis 0.

    `force` marks outputs that must be batched even where they do not depend on the batch (or all).
    The second result says which outputs are batched.
    """
    key = (batch_graph, axis, batched, force)
    if key not in graph.derived:
        out_batched: tuple[bool, ...] = ()
        forced = (force,) * len(graph.outputs) if isinstance(force, bool) else force

        def whole(*args: Any) -> list[Any]:
            nonlocal out_batched
            axes = [0 if b else None for b in batched]
            outs, out_axes = batch_flat(lambda *xs: evaluate(graph, xs), axis, args, axes)
            out_batched = tuple(a is not None or f for a, f in zip(out_axes, forced))
            return [
                to_axis(o, a, 0, axis.size) if b else o
                for o, a, b in zip(outs, out_axes, out_batched)
            ]

        avals = [
            Aval((axis.size, *a.shape), a.dtype, a.weak_type) if b else a
            for a, b in zip(graph.in_avals, batched)
        ]
        graph.derived[key] = stage(whole, avals), out_batched
    return graph.derived[key]


def lifted(graph: Graph) -> tuple[Graph, list[Array]]:
    """The Graph with its constants as leading inputs, and the constants: the form of sub-graphs."""
    if not graph.constants:
        return graph, []
    if lifted not in graph.derived:
        inputs = (*graph.constants, *graph.inputs)
        graph.derived[lifted] = Graph(inputs, graph.equations, graph.outputs)
    return graph.derived[lifted], list(graph.constants.values())
