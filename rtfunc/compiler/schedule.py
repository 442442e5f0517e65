"""Scheduling: from a Graph to a Program of Kernels and calls, in order.

Some variables get a buffer ("roots"): outputs, what calls read and write, results of reductions, and
values that are dear to compute twice. Everything else is computed where it is read: elementwise
operations inside their consumers, views as index maps. Each root is placed into a Kernel over its own
domain, an existing one if that has the same domain, shares data with it, and no cycle arises; so chains,
siblings, and the passes of a softmax end up in one loop nest. Depends on `kernel_builder`, `classify`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from rtfunc.compiler.classify import elementwise_cost, kind_of
from rtfunc.compiler.kernel import Affine, Kernel
from rtfunc.compiler.kernel_builder import KernelBuilder, NeedsBuffer
from rtfunc.compiler.views import (
    IndexMap,
    identity_map,
    linear_offset,
    row_major_strides,
    through_view,
)
from rtfunc.core.array import Array
from rtfunc.core.graph import Atom, Equation, Graph, Literal, Variable

_GATHER_COST = 8
#: A value with several readers gets a buffer when computing it costs more than this.
_CHEAP = 3
#: Chains of operations are cut at this length: the rest of the scheduler follows them recursively.
_DEEP = 48


@dataclasses.dataclass(slots=True)
class Call:
    """An equation that is not computed in Kernels: a library call, a loop, or Python.

    Attributes: equation; operands: for each input the variable that holds it, and the index map, over
    the axes of the input, through which it is read (None: as it lies); epilogue: a Kernel that is run on each
    part of the result as soon as the call has made it.
    """

    equation: Equation
    operands: tuple[tuple[Variable, Affine | None], ...]
    epilogue: Kernel | None = None


@dataclasses.dataclass(slots=True)
class Program:
    """Steps in order of execution over buffers.

    Attributes: inputs; constants: variables with fixed contents; steps: Kernels and Calls; outputs: one
    variable each, all different, none of them an input; aliases: variables that share the buffer of
    another (the same elements in the same order at another shape).
    """

    inputs: tuple[Variable, ...]
    constants: dict[Variable, Array]
    steps: list[Kernel | Call]
    outputs: tuple[Variable, ...]
    aliases: dict[Variable, Variable]

    def base(self, variable: Variable) -> Variable:
        """The variable whose buffer `variable` lies in."""
        while variable in self.aliases:
            variable = self.aliases[variable]
        return variable


def schedule(graph: Graph, absorb: Any = None) -> Program:
    """Make a Program of a Graph.

    Arguments: absorb: `absorb(equation, position, strides) -> bool` says whether a call can read an
    operand through the given view rather than from a buffer of its own.
    """
    buffered: set[Variable] = set()
    while True:
        try:
            return _Scheduler(graph, buffered, absorb).run()
        except NeedsBuffer as need:
            buffered.add(need.variable)


class _Scheduler:
    def __init__(self, graph: Graph, buffered: Iterable[Variable], absorb: Any):
        self.graph = graph
        self.absorb = absorb
        self.producer: dict[Variable, Equation] = {v: e for e in graph.equations for v in e.outputs}
        self.kinds = {e: kind_of(e) for e in graph.equations}
        self.constants: dict[Variable, Array] = dict(graph.constants)
        self.aliases: dict[Variable, Variable] = {}
        #: Parts of concatenations: the whole that each is stored in, and the strides and the offset
        #: of its elements there.
        self.inside: dict[Variable, tuple[Variable, tuple[int, ...], int]] = {}
        self.parts: dict[Variable, list[Variable]] = {}
        self.copies: dict[Variable, Atom] = {}
        self.forced = frozenset(buffered)
        self.roots: set[Variable] = set(buffered)
        self.units: list[KernelBuilder | Call] = []
        self.depends: list[int] = []
        self.unit_of: dict[Variable, int] = {}
        self.needed: set[Variable] = set()

    # Which variables get buffers.

    def run(self) -> Program:
        graph = self.graph
        copies = self._output_copies()
        self._choose_roots()
        for equation in graph.equations:
            if self.kinds[equation] == "call":
                self._add_call(equation)
                continue
            if self.kinds[equation] == "concatenate":
                self._place_parts(equation)
                continue
            for variable in equation.outputs:
                if variable in self.roots:
                    self._place(variable)
        outputs = []
        for atom, copy in zip(graph.outputs, copies):
            if copy is None:
                assert isinstance(atom, Variable)
                outputs.append(atom)
                self.needed.add(self.base(atom))
            else:
                self._place_copy(atom, copy)
                outputs.append(copy)
                self.needed.add(copy)
        steps = [self._finish(self.units[i]) for i in self._order()]
        return Program(
            graph.inputs,
            self.constants,
            [s for s in steps if s is not None],
            tuple(outputs),
            self.aliases,
        )

    def _output_copies(self) -> list[Variable | None]:
        """For each output that cannot be a computed buffer of its own, the variable for its copy."""
        seen: set[Variable] = {*self.graph.inputs, *self.graph.constants}
        copies: list[Variable | None] = []
        for atom in self.graph.outputs:
            base = self._storage_root(atom) if isinstance(atom, Variable) else None
            if base is None or base in seen:
                copies.append(Variable(atom.aval))
            else:
                seen.add(base)
                copies.append(None)
        return copies

    def _storage_root(self, variable: Variable) -> Variable:
        """The variable whose buffer a chain of reshapes would share."""
        equation = self.producer.get(variable)
        while equation is not None and self._is_reshape(equation):
            variable = equation.inputs[0]  # type: ignore[assignment]
            equation = self.producer.get(variable)
        return variable

    def _is_reshape(self, equation: Equation) -> bool:
        return (
            equation.primitive.name == "reshape" or self.kinds[equation] == "squeeze"
        ) and isinstance(equation.inputs[0], Variable)

    def _choose_roots(self) -> None:
        graph, roots = self.graph, self.roots
        readers: dict[Variable, int] = {}
        for equation in graph.equations:
            for atom in set(equation.inputs):
                if isinstance(atom, Variable):
                    readers[atom] = readers.get(atom, 0) + 1
        for atom in graph.outputs:
            if isinstance(atom, Variable):
                roots.add(atom)
        for equation in graph.equations:
            kind = self.kinds[equation]
            if kind == "call":
                roots.update(equation.outputs)
                roots.update(v for v in self._call_bases(equation))
            elif kind == "reduce":
                roots.update(equation.outputs)
            elif kind == "gather" and isinstance(equation.inputs[0], Variable):
                roots.add(equation.inputs[0])
        # A reshape that crosses axes of something that is not laid out plainly needs that laid out.
        for equation in graph.equations:
            if equation.primitive.name == "reshape" and self.kinds[equation] == "view":
                source = equation.inputs[0]
                if isinstance(source, Variable) and source in self.producer:
                    shape = equation.outputs[0].aval.shape
                    domain = tuple(n for n in shape if n != 1)
                    index = identity_map(shape, range(len(domain)), len(domain))
                    if through_view(equation, index, domain) is None:
                        roots.add(source)
        cost: dict[Variable, int] = {}
        depth: dict[Variable, int] = {}
        for equation in graph.equations:
            kind = self.kinds[equation]
            if kind not in ("elementwise", "view", "squeeze", "gather"):
                continue
            out = equation.outputs[0]
            own = elementwise_cost.get(equation.primitive.name, 0) if kind == "elementwise" else 0
            if kind == "gather":
                own = _GATHER_COST
            if equation.primitive.name == "integer_pow":
                own = abs(equation.params["exponent"]).bit_length() * 2
            total = own + sum(
                cost.get(a, 0)
                for a in equation.inputs
                if isinstance(a, Variable) and a not in roots
            )
            steps = 1 + max(
                (depth.get(a, 0) for a in equation.inputs if isinstance(a, Variable)), default=0
            )
            for out in equation.outputs:
                shared = readers.get(out, 0) > 1 and total > _CHEAP
                if kind in ("elementwise", "gather") and (shared or steps > _DEEP):
                    roots.add(out)
                cost[out] = total
                depth[out] = 0 if out in roots else steps
            if len(equation.outputs) > 1:
                roots.update(equation.outputs)
        self._choose_parts()
        # A root that only renames another buffer shares it.
        for equation in graph.equations:
            if self._is_reshape(equation) and equation.outputs[0] in roots:
                source = equation.inputs[0]
                assert isinstance(source, Variable)
                inner = self.producer.get(source)
                if inner is None or self.kinds[inner] != "view" or self._is_reshape(inner):
                    if source not in self.inside:
                        roots.add(source)

    def _choose_parts(self) -> None:
        """Decide where the operands of concatenations are stored: in the result, if they can be."""
        fixed = {a for a in self.graph.outputs if isinstance(a, Variable)} | self.forced
        for equation in self.graph.equations:
            if self.kinds[equation] == "call":
                fixed.update(self._call_bases(equation))
                fixed.update(a for a in equation.inputs if isinstance(a, Variable))
            elif self.kinds[equation] == "gather" and isinstance(equation.inputs[0], Variable):
                fixed.add(equation.inputs[0])
        for equation in self.graph.equations:
            if self.kinds[equation] != "concatenate":
                continue
            (whole,) = equation.outputs
            self.roots.add(whole)
            axis = equation.params["axis"]
            strides = row_major_strides(whole.aval.shape)
            position = 0
            parts = []
            for atom in equation.inputs:
                part = atom if isinstance(atom, Variable) else None
                maker = self.producer.get(part) if part is not None else None
                if (
                    part is None
                    or maker is None
                    or part in fixed
                    or part in self.inside
                    or self.kinds[maker] not in ("elementwise", "reduce", "iota", "gather")
                ):
                    part = Variable(atom.aval)
                    self.copies[part] = atom
                self.roots.add(part)
                self.inside[part] = (whole, strides, position * strides[axis])
                parts.append(part)
                position += atom.aval.shape[axis]
            self.parts[whole] = parts

    def locate(self, variable: Variable, index: IndexMap, ndim: int) -> tuple[Variable, Affine]:
        """The buffer that holds a variable, and the offset there of the element that `index` reads."""
        found = self.inside.get(variable)
        if found is None:
            return self.base(variable), linear_offset(index, variable.aval.shape, ndim)
        whole, strides, start = found
        total = Affine((0,) * ndim, start)
        for a, stride in zip(index, strides):
            total = total + a.scale(stride)
        return whole, total

    def _call_bases(self, equation: Equation) -> list[Variable]:
        """The variables that a call reads from, after views that it can absorb."""
        return [self._call_operand(equation, i)[0] for i in range(len(equation.inputs))]

    def _call_operand(self, equation: Equation, position: int) -> tuple[Variable, Affine | None]:
        atom = equation.inputs[position]
        if isinstance(atom, Literal):
            return self._constant(atom), None
        if self.absorb is None:
            return atom, None
        shape = atom.aval.shape
        axes = [a for a, n in enumerate(shape) if n != 1]
        domain = tuple(shape[a] for a in axes)
        index = identity_map(shape, range(len(domain)), len(domain))
        variable = atom
        found: tuple[Variable, Affine | None] = (atom, None)
        while variable not in self.roots:
            inner = self.producer.get(variable)
            if inner is None or self.kinds[inner] not in ("view", "squeeze"):
                break
            moved = self.through(inner, index, domain)
            if moved is None or not isinstance(inner.inputs[0], Variable):
                break
            variable, index = inner.inputs[0], moved
            offset = linear_offset(index, variable.aval.shape, len(domain))
            spread = [0] * len(shape)
            for a, c in zip(axes, offset.coefficients):
                spread[a] = c
            strided = Affine(tuple(spread), offset.constant)
            if self.absorb(equation, position, strided):
                found = (variable, strided)
        return found

    def _constant(self, literal: Literal) -> Variable:
        variable = Variable(literal.aval)
        self.constants[variable] = Array(literal.value, literal.aval.weak_type)
        return variable

    def through(self, equation: Equation, index: IndexMap, domain: Sequence[int]) -> Any:
        if self.kinds[equation] == "squeeze":
            found = iter(index)
            zero = Affine((0,) * len(domain))
            axes = equation.params["axes"]
            ndim = equation.inputs[0].aval.ndim
            return tuple(zero if a in axes else next(found) for a in range(ndim))
        return through_view(equation, index, domain)

    # Units: Kernels and calls, and what they depend on.

    def base(self, variable: Variable) -> Variable:
        while variable in self.aliases:
            variable = self.aliases[variable]
        return variable

    def depends_on(self, variables: Iterable[Variable]) -> int:
        mask = 0
        for v in variables:
            base = self.base(v)
            for one in self.parts.get(base, (base,)):
                unit = self.unit_of.get(one)
                if unit is not None:
                    mask |= self.depends[unit] | (1 << unit)
        return mask

    def _add_call(self, equation: Equation) -> None:
        operands = tuple(self._call_operand(equation, i) for i in range(len(equation.inputs)))
        number = len(self.units)
        self.units.append(Call(equation, operands))
        self.depends.append(self.depends_on(v for v, _ in operands))
        self.needed.update(self.base(v) for v, _ in operands)
        for v in equation.outputs:
            self.unit_of[v] = number
            self.needed.add(v)

    def _place(self, root: Variable) -> None:
        equation = self.producer[root]
        if self._is_reshape(equation):
            source = equation.inputs[0]
            assert isinstance(source, Variable)
            if source in self.roots or source not in self.producer:
                if source not in self.inside and root not in self.inside:
                    self.aliases[root] = source
                    return
        self._place_into_kernel(root, root, equation)

    def _place_parts(self, equation: Equation) -> None:
        for part in self.parts[equation.outputs[0]]:
            if part in self.copies:
                self._place_into_kernel(part, self.copies[part], None)
            self.needed.add(part)

    def _place_copy(self, atom: Atom, copy: Variable) -> None:
        self._place_into_kernel(copy, atom, None)

    def _place_into_kernel(self, root: Variable, atom: Atom, equation: Equation | None) -> None:
        """Compute `atom` into the buffer of `root`, in a Kernel that suits."""
        if equation is not None and self.kinds[equation] == "reduce":
            shape = equation.inputs[0].aval.shape
            axes = equation.params["axes"]
            reduced = tuple(a in axes for a, n in enumerate(shape) if n != 1)
        else:
            shape = atom.aval.shape
            reduced = ()
        domain = tuple(n for n in shape if n != 1)
        for number in self._candidates():
            kernel = self.units[number]
            assert isinstance(kernel, KernelBuilder)
            if reduced and domain == kernel.domain and not any(kernel.reduced):
                kernel = self._with_reduction(kernel, reduced, number)
            reads = kernel.try_add(root, atom, domain, reduced, number)
            if reads is not None:
                self.units[number] = kernel
                self._joined(number, root, reads)
                return
        number = len(self.units)
        kernel = KernelBuilder(self, domain, reduced or (False,) * len(domain))
        self.units.append(kernel)
        self.depends.append(0)
        reads = kernel.try_add(root, atom, domain, reduced, number)
        assert reads is not None
        self._joined(number, root, reads)

    def _joined(self, number: int, root: Variable, reads: set[Variable]) -> None:
        self.unit_of[root] = number
        added = self.depends_on(reads) & ~(1 << number)
        if added & ~self.depends[number]:
            self.depends[number] |= added
            for other in range(len(self.depends)):
                if self.depends[other] >> number & 1:
                    self.depends[other] |= self.depends[number]
        self.needed.update(self.base(v) for v in reads)

    def _with_reduction(
        self, kernel: KernelBuilder, reduced: tuple[bool, ...], number: int
    ) -> KernelBuilder:
        """The same roots in a Kernel that reduces: what is the same along a row is read once a row."""
        result = KernelBuilder(self, kernel.domain, reduced)
        for root, atom in kernel.added:
            placed = result.try_add(root, atom, kernel.domain, (), number)
            assert placed is not None
        return result

    def _candidates(self) -> list[int]:
        """Kernels that a root might join, the latest first."""
        return [
            i
            for i in range(len(self.units) - 1, max(-1, len(self.units) - 24), -1)
            if isinstance(self.units[i], KernelBuilder)
        ]

    def _order(self) -> list[int]:
        """Units in an order that respects what they depend on, and otherwise as they came."""
        done = 0
        left = list(range(len(self.units)))
        order: list[int] = []
        while left:
            for i in left:
                if not self.depends[i] & ~done:
                    break
            else:
                raise AssertionError("the units of a Program depend on each other in a circle")
            left.remove(i)
            order.append(i)
            done |= 1 << i
        return order

    def _finish(self, unit: KernelBuilder | Call) -> Kernel | Call | None:
        if isinstance(unit, Call):
            return unit
        return unit.finish(self.needed)
