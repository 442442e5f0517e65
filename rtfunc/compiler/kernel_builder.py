"""Building a Kernel while roots are being placed into it.

A value is computed where it is read: its equation's operation becomes a node, its operands are read through
the index maps of the views between, down to what has a buffer. `try_add` adds a root, or leaves the Kernel
as it was where the root does not fit. Depends on `kernel`, `views`, `classify`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from rtfunc.compiler.classify import reductions
from rtfunc.compiler.kernel import Affine, Kernel, Node, Store
from rtfunc.compiler.views import (
    IndexMap,
    broadcast_map,
    identity_map,
    linear_offset,
    plan_gather,
    row_major_strides,
)
from rtfunc.core import dtypes
from rtfunc.core.graph import Atom, Equation, Literal, Variable

_MAX_NODES = 240
_LONG_ROW = 1 << 16
_FEW_ROWS = 8


class Scheduling(Protocol):
    """What a KernelBuilder asks the scheduler.

    Attributes: roots: variables with buffers; producer: the equation of each variable; kinds: what each
    equation is; inside: parts of concatenations; parts: of each concatenation.
    """

    roots: set[Variable]
    producer: dict[Variable, Equation]
    kinds: dict[Equation, str]
    inside: dict[Variable, Any]
    parts: dict[Variable, list[Variable]]

    def base(self, variable: Variable) -> Variable:
        """The variable whose buffer `variable` shares."""
        ...

    def depends_on(self, variables: Iterable[Variable]) -> int:
        """The units that the variables depend on, as a bit mask."""
        ...

    def through(self, equation: Equation, index: IndexMap, domain: Sequence[int]) -> Any:
        """The index map of a view's operand, or None."""
        ...

    def locate(self, variable: Variable, index: IndexMap, ndim: int) -> tuple[Variable, Affine]:
        """The buffer that holds a variable, and the offset there of what `index` reads."""
        ...


class NeedsBuffer(Exception):
    """A value is read in a way that takes a buffer."""

    def __init__(self, variable: Variable):
        self.variable = variable


class Unfit(Exception):
    """A root does not fit into the Kernel that was tried."""


class KernelBuilder:
    """A Kernel while roots are being placed into it."""

    def __init__(self, scheduler: Scheduling, domain: tuple[int, ...], reduced: tuple[bool, ...]):
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
                    raise Unfit
            elif domain != self.domain and not (any(self.reduced) and domain == self._row_domain()):
                raise Unfit
            self.reads: set[Variable] = set()
            self.shares = False
            self.number = number
            node = self._root_value(atom, reduced, full=bool(reduced) or domain == self.domain)
            # Only what shares data with what is here saves anything by being here.
            if self.stores and not self.shares and not self.reads & (before[2] | set(self.values)):
                raise Unfit
            if len(self.nodes) > _MAX_NODES or self._too_long(node):
                raise Unfit
            inputs = self.scheduler.depends_on(self.reads - set(self.values))
            if inputs >> number & 1:
                raise Unfit
        except Unfit:
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
        held = scheduler.base(variable)
        inside = self.values.get(held)
        if inside is not None:
            offset = linear_offset(index, variable.aval.shape, ndim)
            if offset == linear_offset(self._own_index(held, inside), held.aval.shape, ndim):
                self.reads.add(held)
                return inside
            raise Unfit
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
        held = self.scheduler.base(variable)
        if any(part in self.values for part in self.scheduler.parts.get(held, ())):
            raise Unfit
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
            moved = scheduler.through(equation, index, self.domain)
            if moved is not None:
                return self._value(source, moved)
            assert isinstance(source, Variable)
            held = scheduler.base(source)
            if held in self.values or source in scheduler.inside:
                raise Unfit if held in self.values else NeedsBuffer(source)
            if source in scheduler.roots or source not in scheduler.producer:
                linear = linear_offset(index, variable.aval.shape, len(self.domain))
                return self._load(source, held, linear)
            raise NeedsBuffer(source)
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
        strides = row_major_strides(operand.aval.shape)
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
        held = self.scheduler.base(variable)
        if held in self.values or any(p in self.values for p in self.scheduler.parts.get(held, ())):
            raise Unfit
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

    def finish(self, needed: Collection[Variable]) -> Kernel | None:
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
