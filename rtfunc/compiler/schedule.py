"""Scheduling: from a Graph to a Program of Kernels and calls, in order.

Some variables get a buffer ("roots"): outputs, what calls read and write, results of reductions, and
values that are dear to compute twice. Everything else is computed where it is read: elementwise
operations inside their consumers, views as index maps. Each root is placed into a Kernel over its own
domain, an existing one if that has the same domain, shares data with it, and no cycle arises; so chains,
siblings, and the passes of a softmax end up in one loop nest. Depends on `kernel`, `views`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rtfunc.compiler.kernel import Affine, Kernel, Node, Store
from rtfunc.compiler.views import (
    IndexMap,
    broadcast_map,
    identity_map,
    linear_offset,
    plan_gather,
    through_view,
    view_primitives,
)
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.graph import Atom, Equation, Graph, Literal, Variable

#: Elementwise primitives that Kernels compute, with their cost in simple operations.
elementwise_cost = {
    **dict.fromkeys(
        "add sub mul neg max min abs sign square select clamp convert_element_type eq ne lt le gt ge "
        "and or xor not shift_left shift_right_arithmetic shift_right_logical is_finite".split(),
        1,
    ),
    **dict.fromkeys("floor ceil trunc round population_count clz".split(), 1),
    **dict.fromkeys("div rem sqrt rsqrt".split(), 4),
    **dict.fromkeys("exp exp2 expm1 log log2 log10 log1p logistic tanh".split(), 12),
    **dict.fromkeys("sin cos tan asin acos atan sinh cosh asinh acosh atanh cbrt".split(), 20),
    **dict.fromkeys("erf erfc erf_inv atan2 pow logaddexp".split(), 24),
    "integer_pow": 3,
    "threefry2x32": 60,
    "bitcast": 1,
    "fma": 2,
}

reductions = {
    "reduce_sum": "sum",
    "reduce_prod": "prod",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_and": "and",
    "reduce_or": "or",
}

#: Dtypes that Kernels compute with; others go through calls.
kernel_dtypes = frozenset((dtypes.bool_, *dtypes.integers, *dtypes.floats))

_GATHER_COST = 8
_MAX_NODES = 240
_LONG_ROW = 1 << 16
_FEW_ROWS = 8
#: A value with several readers gets a buffer when computing it costs more than this.
_CHEAP = 3


@dataclasses.dataclass(slots=True)
class Call:
    """An equation that is not computed in Kernels: a library call, a loop, or Python.

    Attributes: equation; operands: for each input the variable that holds it, and the index map, over
    the axes of the input, through which it is read (None: as it lies).
    """

    equation: Equation
    operands: tuple[tuple[Variable, Affine | None], ...]


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


class _NeedsBuffer(Exception):
    """A value is read in a way that takes a buffer."""

    def __init__(self, variable: Variable):
        self.variable = variable


class _Unfit(Exception):
    """A root does not fit into the Kernel that was tried."""


def kind_of(equation: Equation) -> str:
    """How an equation is scheduled: "elementwise", "view", "reduce", "squeeze", "iota",
    "concatenate", "gather" or "call"."""
    name = equation.primitive.name
    avals = [a.aval for a in (*equation.inputs, *equation.outputs)]
    if name in view_primitives and all(a.size for a in avals):
        return "view"
    if any(a.dtype not in kernel_dtypes or a.size == 0 for a in avals):
        return "call"
    if name == "pow" and not dtypes.is_float(avals[0].dtype):
        return "call"
    if name == "bitcast" and not _same_width(avals[0].dtype, avals[1].dtype):
        return "call"
    if name == "fma" and avals[0].dtype.itemsize < 4:
        return "call"
    if name in elementwise_cost:
        return "elementwise"
    if name == "iota":
        return "iota"
    if name == "concatenate":
        return "concatenate"
    if name in ("gather", "dynamic_slice"):
        return "gather"
    if name in reductions:
        shape = equation.inputs[0].aval.shape
        axes = equation.params["axes"]
        return "reduce" if any(shape[a] > 1 for a in axes) else "squeeze"
    return "call"


def _same_width(a: np.dtype, b: np.dtype) -> bool:
    """Whether registers of two dtypes hold the same bits: half floats are held as wider ones."""
    return a.itemsize == b.itemsize and (
        a.itemsize >= 4 or not (dtypes.is_float(a) or dtypes.is_float(b))
    )


def _row_major(shape: Sequence[int]) -> tuple[int, ...]:
    strides = [1] * len(shape)
    for a in range(len(shape) - 2, -1, -1):
        strides[a] = strides[a + 1] * shape[a + 1]
    return tuple(strides)


def schedule(graph: Graph, absorb: Any = None) -> Program:
    """Make a Program of a Graph.

    Arguments: absorb: `absorb(equation, position, strides) -> bool` says whether a call can read an
    operand through the given view rather than from a buffer of its own.
    """
    buffered: set[Variable] = set()
    while True:
        try:
            return _Scheduler(graph, buffered, absorb).run()
        except _NeedsBuffer as need:
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
        self.units: list[_KernelBuilder | Call] = []
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
                self.needed.add(self._base(atom))
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
            for out in equation.outputs:
                if kind in ("elementwise", "gather") and readers.get(out, 0) > 1 and total > _CHEAP:
                    roots.add(out)
                cost[out] = total
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
            strides = _row_major(whole.aval.shape)
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
            return self._base(variable), linear_offset(index, variable.aval.shape, ndim)
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
            moved = self._through(inner, index, domain)
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

    def _through(self, equation: Equation, index: IndexMap, domain: Sequence[int]) -> Any:
        if self.kinds[equation] == "squeeze":
            found = iter(index)
            zero = Affine((0,) * len(domain))
            axes = equation.params["axes"]
            ndim = equation.inputs[0].aval.ndim
            return tuple(zero if a in axes else next(found) for a in range(ndim))
        return through_view(equation, index, domain)

    # Units: Kernels and calls, and what they depend on.

    def _base(self, variable: Variable) -> Variable:
        while variable in self.aliases:
            variable = self.aliases[variable]
        return variable

    def _depends_on(self, variables: Iterable[Variable]) -> int:
        mask = 0
        for v in variables:
            base = self._base(v)
            for one in self.parts.get(base, (base,)):
                unit = self.unit_of.get(one)
                if unit is not None:
                    mask |= self.depends[unit] | (1 << unit)
        return mask

    def _add_call(self, equation: Equation) -> None:
        operands = tuple(self._call_operand(equation, i) for i in range(len(equation.inputs)))
        number = len(self.units)
        self.units.append(Call(equation, operands))
        self.depends.append(self._depends_on(v for v, _ in operands))
        self.needed.update(self._base(v) for v, _ in operands)
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
            assert isinstance(kernel, _KernelBuilder)
            if reduced and domain == kernel.domain and not any(kernel.reduced):
                kernel = self._with_reduction(kernel, reduced, number)
            reads = kernel.try_add(root, atom, domain, reduced, number)
            if reads is not None:
                self.units[number] = kernel
                self._joined(number, root, reads)
                return
        number = len(self.units)
        kernel = _KernelBuilder(self, domain, reduced or (False,) * len(domain))
        self.units.append(kernel)
        self.depends.append(0)
        reads = kernel.try_add(root, atom, domain, reduced, number)
        assert reads is not None
        self._joined(number, root, reads)

    def _joined(self, number: int, root: Variable, reads: set[Variable]) -> None:
        self.unit_of[root] = number
        added = self._depends_on(reads) & ~(1 << number)
        if added & ~self.depends[number]:
            self.depends[number] |= added
            for other in range(len(self.depends)):
                if self.depends[other] >> number & 1:
                    self.depends[other] |= self.depends[number]
        self.needed.update(self._base(v) for v in reads)

    def _with_reduction(
        self, kernel: _KernelBuilder, reduced: tuple[bool, ...], number: int
    ) -> _KernelBuilder:
        """The same roots in a Kernel that reduces: what is the same along a row is read once a row."""
        result = _KernelBuilder(self, kernel.domain, reduced)
        for root, atom in kernel.added:
            placed = result.try_add(root, atom, kernel.domain, (), number)
            assert placed is not None
        return result

    def _candidates(self) -> list[int]:
        """Kernels that a root might join, the latest first."""
        return [
            i
            for i in range(len(self.units) - 1, max(-1, len(self.units) - 24), -1)
            if isinstance(self.units[i], _KernelBuilder)
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

    def _finish(self, unit: _KernelBuilder | Call) -> Kernel | Call | None:
        if isinstance(unit, Call):
            return unit
        return unit.finish(self.needed)


class _KernelBuilder:
    """A Kernel while roots are being placed into it."""

    def __init__(self, scheduler: _Scheduler, domain: tuple[int, ...], reduced: tuple[bool, ...]):
        self.scheduler = scheduler
        self.domain = domain
        self.reduced = reduced
        self.nodes: list[Node] = []
        self.known: dict[Any, Node] = {}
        self.values: dict[Variable, Node] = {}
        self.stores: list[tuple[Variable, Node]] = []
        self.added: list[tuple[Variable, Atom]] = []
        self.loaded: set[Variable] = set()

    def try_add(
        self,
        root: Variable,
        atom: Atom,
        domain: tuple[int, ...],
        reduced: tuple[bool, ...],
        number: int,
    ) -> set[Variable] | None:
        """Compute `atom` here for the buffer of `root`; the variables read, or None if it does not fit."""
        before = len(self.nodes), dict(self.known), set(self.loaded)
        try:
            if reduced:
                if domain != self.domain or reduced != self.reduced:
                    raise _Unfit
            elif domain != self.domain and not (any(self.reduced) and domain == self._row_domain()):
                raise _Unfit
            self.reads: set[Variable] = set()
            self.shares = False
            self.number = number
            node = self._root_value(atom, reduced, full=bool(reduced) or domain == self.domain)
            # Only what shares data with what is here saves anything by being here.
            if self.stores and not self.shares and not self.reads & (before[2] | set(self.values)):
                raise _Unfit
            if len(self.nodes) > _MAX_NODES or self._too_long(node):
                raise _Unfit
            inputs = self.scheduler._depends_on(self.reads - set(self.values))
            if inputs >> number & 1:
                raise _Unfit
        except _Unfit:
            count, self.known, self.loaded = before
            del self.nodes[count:]
            return None
        self.values[root] = node
        self.stores.append((root, node))
        self.added.append((root, atom))
        return self.reads - set(self.values)

    def _row_domain(self) -> tuple[int, ...]:
        return tuple(n for n, r in zip(self.domain, self.reduced) if not r)

    def _too_long(self, node: Node) -> bool:
        """Whether this would be a further pass over rows so long, or few, that passes had better be
        Kernels of their own."""
        if not node.full or node.stage == 0 or not any(self.reduced):
            return False
        rows, size = 1, 1
        for n, r in zip(self.domain, self.reduced):
            rows, size = (rows, size * n) if r else (rows * n, size)
        return size > _LONG_ROW or (rows < _FEW_ROWS and size > 4096)

    def _root_value(self, atom: Atom, reduced: tuple[bool, ...], full: bool) -> Node:
        ndim = len(self.domain)
        if reduced:
            equation = self.scheduler.producer[atom]  # type: ignore[index]
            (operand,) = equation.inputs
            index = identity_map(operand.aval.shape, range(ndim), ndim)
            value = self._value(operand, index)
            kind = reductions[equation.primitive.name]
            value = self._as_full(value)
            return self._add("reduce", [value], atom.aval.dtype, {"kind": kind}, False, value.stage)
        axes = range(ndim) if full else [a for a, r in enumerate(self.reduced) if not r]
        index = identity_map(atom.aval.shape, axes, ndim)
        node = (
            self._compute(atom, index) if isinstance(atom, Variable) else self._value(atom, index)
        )
        return self._as_full(node) if full and any(self.reduced) else node

    def _as_full(self, node: Node) -> Node:
        """A node that is available at every point, for what reads or stores it there."""
        if node.full:
            return node
        return self._add("copy", [node], node.dtype, {}, True, node.stage + 1)

    def _compute(self, variable: Variable, index: IndexMap) -> Node:
        """The value of a variable from its equation, although it is a root."""
        equation = self.scheduler.producer.get(variable)
        stored = ("call", "reduce", "concatenate")
        if equation is None or self.scheduler.kinds[equation] in stored:
            return self._value(variable, index)
        return self._from_equation(equation, variable, index)

    def _value(self, atom: Atom, index: IndexMap) -> Node:
        """The node for what `atom` holds at `index`."""
        if isinstance(atom, Literal):
            return self._literal(atom)
        key = (atom, index)
        node = self.known.get(key)
        if node is None:
            self.known[key] = node = self._new_value(atom, index)
        else:
            self.shares = True
        return node

    def _literal(self, literal: Literal) -> Node:
        value = literal.value[()]
        key = (value.dtype, value.tobytes())
        node = self.known.get(key)
        if node is None:
            stage = 0 if not any(self.reduced) else -1
            node = self._add(
                "literal", [], literal.aval.dtype, {"value": value}, not any(self.reduced), stage
            )
            self.known[key] = node
        return node

    def _new_value(self, variable: Variable, index: IndexMap) -> Node:
        scheduler = self.scheduler
        ndim = len(self.domain)
        held = scheduler._base(variable)
        inside = self.values.get(held)
        if inside is not None:
            offset = linear_offset(index, variable.aval.shape, ndim)
            if offset == linear_offset(self._own_index(held, inside), held.aval.shape, ndim):
                self.reads.add(held)
                return inside
            raise _Unfit
        equation = scheduler.producer.get(variable)
        if held is variable and equation is not None and variable not in scheduler.roots:
            return self._from_equation(equation, variable, index)
        return self._load(variable, *scheduler.locate(variable, index, ndim))

    def _own_index(self, variable: Variable, node: Node) -> IndexMap:
        """Which element of a root of this Kernel a point computes."""
        ndim = len(self.domain)
        axes = range(ndim) if node.full else [a for a, r in enumerate(self.reduced) if not r]
        return identity_map(variable.aval.shape, axes, ndim)

    def _load(self, variable: Variable, buffer: Variable, offset: Affine) -> Node:
        held = self.scheduler._base(variable)
        if any(part in self.values for part in self.scheduler.parts.get(held, ())):
            raise _Unfit
        key = (buffer, offset)
        node = self.known.get(key)
        if node is None:
            full = not any(self.reduced) or any(
                c for c, r in zip(offset.coefficients, self.reduced) if r
            )
            params = {"variable": buffer, "offset": offset}
            node = self._add("load", [], variable.aval.dtype, params, full, 0 if full else -1)
            self.known[key] = node
        self.loaded.add(held)
        self.reads.add(held)
        return node

    def _from_equation(self, equation: Equation, variable: Variable, index: IndexMap) -> Node:
        scheduler = self.scheduler
        kind = scheduler.kinds[equation]
        if kind == "iota":
            axis = equation.params["axis"]
            full = not any(self.reduced) or any(
                c for c, r in zip(index[axis].coefficients, self.reduced) if r
            )
            return self._add(
                "index", [], variable.aval.dtype, {"offset": index[axis]}, full, 0 if full else -1
            )
        if kind in ("view", "squeeze"):
            source = equation.inputs[0]
            moved = scheduler._through(equation, index, self.domain)
            if moved is not None:
                return self._value(source, moved)
            assert isinstance(source, Variable)
            held = scheduler._base(source)
            if held in self.values or source in scheduler.inside:
                raise _Unfit if held in self.values else _NeedsBuffer(source)
            if source in scheduler.roots or source not in scheduler.producer:
                linear = linear_offset(index, variable.aval.shape, len(self.domain))
                return self._load(source, held, linear)
            raise _NeedsBuffer(source)
        if kind == "gather":
            return self._gather(equation, index)
        if kind != "elementwise":
            raise AssertionError(equation.primitive.name)
        args = [self._value(a, broadcast_map(index, a.aval.shape)) for a in equation.inputs]
        node = self._apply(equation.primitive.name, args, variable.aval.dtype)
        node.params = dict(equation.params)
        if len(equation.outputs) > 1:
            node.params["part"] = equation.outputs.index(variable)
        return node

    def _gather(self, equation: Equation, index: IndexMap) -> Node:
        """Read at positions that are computed: a load with the starts of the window as operands."""
        operand = equation.inputs[0]
        if not isinstance(operand, Variable):
            return self._literal(operand)
        plan = plan_gather(equation, index, len(self.domain))
        strides = _row_major(operand.aval.shape)
        starts, valid = [], None
        for axis, atom, position in plan.starts:
            start = self._convert(self._value(atom, position), dtypes.int64)
            last = operand.aval.shape[axis] - plan.window[axis]
            low, high = self._number(0), self._number(last)
            if plan.fill is not None:
                for op, limit in (("ge", low), ("le", high)):
                    test = self._apply(op, [start, limit], dtypes.bool_)
                    valid = (
                        test if valid is None else self._apply("and", [valid, test], dtypes.bool_)
                    )
            starts.append((self._apply("clamp", [low, start, high], dtypes.int64), strides[axis]))
        node = self._load_at(
            operand, linear_offset(plan.within, operand.aval.shape, len(self.domain)), starts
        )
        if valid is None:
            return node
        fill = self._literal(Literal(np.asarray(plan.fill).astype(operand.aval.dtype)))
        return self._apply("select", [valid, node, fill], operand.aval.dtype)

    def _load_at(
        self, variable: Variable, offset: Affine, starts: Sequence[tuple[Node, int]]
    ) -> Node:
        held = self.scheduler._base(variable)
        if held in self.values or any(p in self.values for p in self.scheduler.parts.get(held, ())):
            raise _Unfit
        self.loaded.add(held)
        self.reads.add(held)
        args = [n for n, _ in starts]
        moves = any(c for c, r in zip(offset.coefficients, self.reduced) if r)
        full = not any(self.reduced) or moves or any(a.full for a in args)
        stage = max([0 if full else -1, *(a.stage if a.full else a.stage + full for a in args)])
        params = {
            "variable": held,
            "offset": offset,
            "strides": tuple(stride for _, stride in starts),
        }
        return self._add("load", args, variable.aval.dtype, params, full, stage)

    def _number(self, value: int) -> Node:
        return self._literal(Literal(np.asarray(value, np.int64)))

    def _convert(self, node: Node, dtype: np.dtype) -> Node:
        return node if node.dtype == dtype else self._apply("convert_element_type", [node], dtype)

    def _apply(self, op: str, args: Sequence[Node], dtype: np.dtype) -> Node:
        """An elementwise node."""
        full = any(a.full for a in args)
        stage = max((a.stage if a.full else a.stage + full for a in args), default=0)
        return self._add(op, args, dtype, {}, full, stage)

    def _add(
        self,
        op: str,
        args: Sequence[Node],
        dtype: np.dtype,
        params: Mapping[str, Any],
        full: bool,
        stage: int,
    ) -> Node:
        node = Node(op, args, dtype, dict(params), full, stage, len(self.nodes))
        self.nodes.append(node)
        return node

    def finish(self, needed: set[Variable]) -> Kernel | None:
        """The Kernel, with stores of what is read elsewhere, without the nodes that nothing needs."""
        stores = []
        for variable, node in self.stores:
            if variable in needed:
                index = self._own_index(variable, node)
                buffer, offset = self.scheduler.locate(variable, index, len(self.domain))
                stores.append(Store(node, buffer, offset))
        if not stores:
            return None
        live: set[Node] = {s.node for s in stores}
        for node in reversed(self.nodes):
            if node in live:
                live.update(node.args)
        nodes = [n for n in self.nodes if n in live]
        for i, n in enumerate(nodes):
            n.number = i
        return Kernel(self.domain, self.reduced, nodes, stores)
