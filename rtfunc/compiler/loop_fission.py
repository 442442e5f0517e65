"""Splitting scans: matrix products that need no carry are done for all steps at once.

A recurrent network multiplies its input by the same weights at every step, and its gradient adds one more
product to the weights' gradient at every step. The first kind depends on the slices of xs alone, and is done
before the loop; the second only adds up, and is done after it, as one product that sums over the steps
too; so is one that only ys depend on. One large product in the place of many small ones reads the weights
once, wakes the threads once, and fills its tiles.

    carry, ys = scan(body, init, xs)        body: z = x @ w; carry = f(carry, z); sum = sum + x.T @ carry

becomes

    zs = xs @ w                              before: one product
    carry, carries = scan(body, init, zs)    body: carry = f(carry, z)
    sum = sum + xs.T @ carries               after: one product, over the steps as well

What the products read is stacked; this is done where that takes no more memory than the loop's own stacked
operands and results (or little). Sums over steps are added in another order, as native reductions are.
Depends on `inline`, `graph_passes`, `views`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc.compiler.graph_passes import expand
from rtfunc.compiler.inline import copy_into
from rtfunc.compiler.views import view_primitives
from rtfunc.core import dtypes
from rtfunc.core.graph import Atom, Equation, Graph, Variable
from rtfunc.core.graph_transforms import batch_graph
from rtfunc.core.primitive import BatchAxis, Primitive
from rtfunc.core.staging import has_effect
from rtfunc.ops.arithmetic import add_p
from rtfunc.ops.contract import dot_general_p
from rtfunc.ops.control_dce import drop_unused
from rtfunc.ops.reduce import reduce_sum_p
from rtfunc.ops.scan import scan_p
from rtfunc.ops.shape import transpose_p

#: Stacks of at most so many bytes are made whatever the loop's own are.
_SMALL_BYTES = 16 << 20

# What a value depends on.
_SLICES, _CARRY = 1, 2


def split_loops(graph: Graph) -> Graph:
    """The Graph with scans split, where that makes products larger.

    Their bodies are as `hoist_invariants` leaves them: simplified, and without calls.
    """
    if not any(_is_candidate(e) for e in graph.equations):
        return graph

    def split(equation: Equation) -> tuple[Sequence[Equation], Sequence[Atom]]:
        if not _is_candidate(equation):
            return [equation], equation.outputs
        return _Splitter(equation).run()

    return drop_unused(expand(graph, split))


def _is_candidate(equation: Equation) -> bool:
    return equation.primitive is scan_p and equation.params["length"] > 1


class _Splitter:
    """Splits one scan."""

    def __init__(self, equation: Equation):
        self.equation = equation
        params = equation.params
        self.length, self.carry = params["length"], params["carry"]
        self.body = body = params["body"]
        constants = params["constants"]
        self.fixed = list(body.inputs[:constants])
        self.state = list(body.inputs[constants : constants + self.carry])
        self.slices = list(body.inputs[constants + self.carry :])
        self.operands = dict(zip(body.inputs, equation.inputs, strict=True))
        self.equations = list(body.equations)
        self.outputs = list(body.outputs)
        self.before: list[Equation] = []
        self.after: list[Equation] = []
        self.extra_xs: list[Atom] = []
        self._index()

    def run(self) -> tuple[list[Equation], list[Atom]]:
        """The equations in the scan's place, and what stands for its outputs."""
        budget = self._budget()
        self._split_before(budget)
        results: dict[int, list[Variable]] = {}
        for position in range(len(self.outputs)):
            found = self._summed(position) if position < self.carry else self._mapped(position)
            if found:
                results[position] = found
        if not self.before and not results:
            return [self.equation], list(self.equation.outputs)
        return self._rebuilt(results, budget)

    def _index(self) -> None:
        self.maker = {v: e for e in self.equations for v in e.outputs}
        self.readers: dict[Variable, int] = {}
        for atom in (*(a for e in self.equations for a in e.inputs), *self.outputs):
            if isinstance(atom, Variable):
                self.readers[atom] = self.readers.get(atom, 0) + 1
        self.depends: dict[Variable, int] = dict.fromkeys(self.fixed, 0)
        self.depends.update(dict.fromkeys(self.body.constants, 0))
        self.depends.update(dict.fromkeys(self.state, _CARRY))
        self.depends.update(dict.fromkeys(self.slices, _SLICES))
        for equation in self.equations:
            mask = 0
            for atom in equation.inputs:
                mask |= self._depends(atom)
            if has_effect(equation):
                mask |= _CARRY  # it stays where it is
            self.depends.update(dict.fromkeys(equation.outputs, mask))

    def _depends(self, atom: Atom) -> int:
        return self.depends[atom] if isinstance(atom, Variable) else 0

    def _budget(self) -> int:
        """How many bytes of stacks may be made."""
        stacked = sum(_bytes(self.operands[x]) for x in self.slices)
        stacked += sum(_bytes(y) for y in self.equation.outputs[self.carry :])
        return max(stacked, _SMALL_BYTES)

    # Before the loop.

    def _split_before(self, budget: int) -> None:
        """Products of slices with what is the same at every step."""
        products = [
            e
            for e in self.equations
            if _is_product(e)
            and self.depends[e.outputs[0]] == _SLICES
            and not all(self._depends(a) for a in e.inputs)
        ]
        size = sum(self.length * _bytes(e.outputs[0]) for e in products)
        if not products or size > budget:
            return
        wanted = [e.outputs[0] for e in products]
        for step, whole in zip(wanted, self._for_all_steps(wanted, [], self.before)):
            fresh = Variable(step.aval)
            self.equations = [
                e.replace(inputs=tuple(fresh if a is step else a for a in e.inputs))
                for e in self.equations
            ]
            self.outputs = [fresh if a is step else a for a in self.outputs]
            self.slices.append(fresh)
            self.operands[fresh] = whole
        self._index()

    # After the loop.

    def _summed(self, position: int) -> list[Variable]:
        """The terms that a step adds to a carry which is otherwise left alone, if all are sums."""
        state, out = self.state[position], self.outputs[position]
        if self.readers.get(state, 0) != 1 or out is state or not isinstance(out, Variable):
            return []
        if dtypes.is_inexact(out.aval.dtype) and out.aval.dtype.itemsize < 4:
            return []  # a step's sum is rounded: keep to that
        terms: list[Variable] = []
        waiting: list[Atom] = [out]
        seen = False
        while waiting:
            atom = waiting.pop()
            if atom is state:
                seen = True
                continue
            maker = self.maker.get(atom) if isinstance(atom, Variable) else None
            if maker is None:
                return []
            if maker.primitive is add_p and self.readers[maker.outputs[0]] == 1:
                waiting += maker.inputs
                continue
            if not self._is_sum(maker):
                return []
            terms.append(maker.outputs[0])
        return terms if seen else []

    def _is_sum(self, maker: Equation) -> bool:
        if maker.primitive is transpose_p:
            inner = self.maker.get(maker.inputs[0])  # type: ignore[arg-type]
            return inner is not None and self._is_sum(inner)
        if maker.primitive is reduce_sum_p:
            return self._depends(maker.inputs[0]) != 0
        return _is_product(maker) and all(self._depends(a) for a in maker.inputs)

    def _mapped(self, position: int) -> list[Variable]:
        """A slice of ys that is a product with what is the same at every step, for ys alone."""
        out = atom = self.outputs[position]
        while isinstance(atom, Variable) and self.readers[atom] == 1 and atom in self.maker:
            maker = self.maker[atom]
            if _is_product(maker):
                varying = [self._depends(a) for a in maker.inputs]
                once = 0 in varying and max(varying) & _CARRY
                return [out] if once else []  # type: ignore[list-item]
            if maker.primitive.name not in view_primitives:
                break
            atom = maker.inputs[0]
        return []

    def _rebuilt(
        self, results: dict[int, list[Variable]], budget: int
    ) -> tuple[list[Equation], list[Atom]]:
        """The scan with fewer products, and the products after it."""
        new: dict[Variable, None] = {}
        accepted: dict[int, list[Variable]] = {}
        # Sums over an axis alone follow products whose operands they share; else they stay.
        for products in (True, False):
            for position, terms in results.items():
                if any(_is_product(self._core(t)) for t in terms) is not products:
                    continue
                needed = [v for t in terms for v in self._cuts(t) if not self._stacked(v)]
                size = sum(self.length * _bytes(v) for v in {*new, *needed})
                if size <= budget if products else set(needed) <= set(new):
                    new.update(dict.fromkeys(needed))
                    accepted[position] = terms
        outputs = list(self.outputs)
        for position in accepted:
            if position < self.carry:
                outputs[position] = self.state[position]
        body = Graph(
            (*self.fixed, *self.state, *self.slices),
            tuple(self.equations),
            (*outputs, *new),
            self.body.constants,
        )
        scanned = [Variable(v.aval) for v in self.equation.outputs]
        stacks = [Variable(v.aval.with_shape((self.length, *v.aval.shape))) for v in new]
        scan = self.equation.replace(
            inputs=tuple(self.operands[v] for v in body.inputs),
            params={**self.equation.params, "body": body},
            outputs=(*scanned, *stacks),
        )
        starts = [self.operands[v] for v in self.state]
        for step, whole in (
            *zip(self.outputs[self.carry :], scanned[self.carry :]),
            *zip(new, stacks),
        ):
            if isinstance(step, Variable) and step not in self.slices:
                self.operands[step] = whole
        found: list[Atom] = list(scanned)
        for position, terms in accepted.items():
            if position < self.carry:
                total = starts[position]
                for term in terms:
                    total = self._apply(add_p, total, self._sum(term))
                found[position] = total
            else:
                (found[position],) = self._for_all_steps(terms, self._cuts(terms[0]), self.after)
        return [*self.before, scan, *self.after], found

    def _core(self, term: Variable) -> Equation:
        """The product or the sum that a term is a view of."""
        maker = self.maker[term]
        while maker.primitive.name in view_primitives:
            maker = self.maker[maker.inputs[0]]  # type: ignore[index]
        return maker

    def _stacked(self, variable: Variable) -> bool:
        """Whether the loop stacks this value as it is."""
        return any(variable is y for y in self.outputs[self.carry :])

    def _cuts(self, term: Variable) -> list[Variable]:
        """The values of the loop from which a term can be computed afterwards."""
        found: dict[Variable, None] = {}
        for atom in self._core(term).inputs:
            while isinstance(atom, Variable) and self.depends[atom] and atom not in self.slices:
                maker = self.maker.get(atom)
                if maker is None or maker.primitive.name not in view_primitives:
                    found[atom] = None
                    break
                atom = maker.inputs[0]
        return list(found)

    def _sum(self, term: Variable) -> Variable:
        """The sum of a term over all steps."""
        maker = self.maker[term]
        if maker.primitive is transpose_p:
            return self._apply(transpose_p, self._sum(maker.inputs[0]), **maker.params)  # type: ignore[arg-type]
        wholes = self._for_all_steps(maker.inputs, self._cuts(term), self.after)
        if maker.primitive is reduce_sum_p:
            axes = (0, *(a + 1 for a in maker.params["axes"]))
            return self._apply(reduce_sum_p, *wholes, **{**maker.params, "axes": axes})
        (contract, batch) = maker.params["dimension_numbers"]
        moved = tuple((0, *(a + 1 for a in axes)) for axes in contract)
        kept = tuple(tuple(a + 1 for a in axes) for axes in batch)
        return self._apply(
            dot_general_p, *wholes, **{**maker.params, "dimension_numbers": (moved, kept)}
        )

    def _apply(self, primitive: Primitive, *inputs: Atom, **params: Any) -> Variable:
        out = Variable(primitive.infer([a.aval for a in inputs], params))
        origin = self.equation
        self.after.append(Equation(primitive, inputs, params, (out,), origin.source, origin.scopes))
        return out

    def _for_all_steps(
        self,
        wanted: Sequence[Atom],
        cuts: Sequence[Variable],
        equations: list[Equation],
    ) -> list[Variable]:
        """Values of the body, of all steps along a first axis, computed outside the loop from what the
        loop is given and from `cuts`."""
        stop = {*cuts, *self.slices, *self.fixed, *self.body.constants}
        kept: list[Equation] = []
        need = {a for a in wanted if isinstance(a, Variable)}
        for equation in reversed(self.equations):
            if any(v in need and v not in stop for v in equation.outputs):
                kept.append(equation)
                need.update(a for a in equation.inputs if isinstance(a, Variable))
        given = [v for v in need if v in stop]
        batched = tuple(v not in self.fixed and v not in self.body.constants for v in given)
        inner = Graph(tuple(given), tuple(reversed(kept)), tuple(wanted))
        whole, _ = batch_graph(inner, BatchAxis(self.length), batched, force=True)
        operands: list[Atom] = [self.operands[v] for v in given]
        added, outputs = copy_into(whole, operands, self.equation)
        equations += added
        return outputs  # type: ignore[return-value]


def _is_product(equation: Equation) -> bool:
    return equation.primitive is dot_general_p and dtypes.is_inexact(equation.outputs[0].aval.dtype)


def _bytes(atom: Atom) -> int:
    return atom.aval.size * atom.aval.dtype.itemsize
