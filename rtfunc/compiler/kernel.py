"""Kernel IR: one loop nest, as both printers read it.

A Kernel runs over a `domain`, a box of points. Some of its axes may be `reduced`; the others are
parallel. Its nodes form a graph of scalar computations, each done at every point ("full") or once
for every point of the parallel axes ("row"). A reduction turns a full node into a row node, and row
nodes may be used at every point again, so softmax or layer norm over a row is one Kernel: its
`stages` are the passes over the reduced axes, each of which needs the reductions of the passes
before.

    kernel rows=(128,) reduced=(10,)
      %0 = load a[10 i0 + i1]            full, stage 0
      %1 = reduce_max %0                 row
      %2 = sub %0 %1                     full, stage 1
      %3 = exp %2                        full, stage 1
      %4 = reduce_sum %3                 row
      %5 = div %3 %4                     full, stage 2
      store b[10 i0 + i1] = %5

Depends on `core`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rtfunc.core.graph import Variable


class Affine(NamedTuple):
    """An integer expression over the axes of a domain: constant + sum of coefficient x index."""

    coefficients: tuple[int, ...]
    constant: int = 0

    def __add__(self, other: Affine) -> Affine:
        sums = tuple(a + b for a, b in zip(self.coefficients, other.coefficients, strict=True))
        return Affine(sums, self.constant + other.constant)

    def scale(self, factor: int, shift: int = 0) -> Affine:
        """factor x self + shift."""
        return Affine(tuple(factor * c for c in self.coefficients), factor * self.constant + shift)

    def __str__(self) -> str:
        terms = [f"{c} i{a}" if c != 1 else f"i{a}" for a, c in enumerate(self.coefficients) if c]
        if self.constant or not terms:
            terms.append(str(self.constant))
        return " + ".join(terms)


class Node:
    """One scalar computation.

    Attributes:
      op: "load", "literal", "index", "reduce", or the name of an elementwise operation.
      args: the Nodes it reads.
      dtype: dtype of the result.
      params: of the operation: for "load" the variable and its offset (Affine, in elements), for
        "literal" the value, for "index" an Affine, for "reduce" its kind.
      full: whether it is computed at every point, or once a row.
      stage: for full nodes, the first pass in which it can be computed; for row nodes, the pass
        after which it is known (-1: before the first).
      number: position in the Kernel.
    """

    __slots__ = ("args", "dtype", "full", "number", "op", "params", "stage")

    def __init__(
        self,
        op: str,
        args: Sequence[Node],
        dtype: np.dtype,
        params: dict[str, Any],
        full: bool,
        stage: int,
        number: int,
    ):
        self.op = op
        self.args = tuple(args)
        self.dtype = dtype
        self.params = params
        self.full = full
        self.stage = stage
        self.number = number


@dataclasses.dataclass(slots=True)
class Store:
    """Write a node into a variable's buffer at an offset in elements."""

    node: Node
    variable: Variable
    offset: Affine


@dataclasses.dataclass(slots=True)
class Kernel:
    """A loop nest: see the module's docstring.

    Attributes: domain: sizes of all axes; reduced: which of them are reduced; nodes: in order of
    definition; stores; name: for listings and symbols.
    """

    domain: tuple[int, ...]
    reduced: tuple[bool, ...]
    nodes: list[Node]
    stores: list[Store]
    name: str = "kernel"

    @property
    def rows(self) -> int:
        """Number of points of the parallel axes."""
        return _product(n for n, r in zip(self.domain, self.reduced) if not r)

    @property
    def row_size(self) -> int:
        """Number of points of the reduced axes."""
        return _product(n for n, r in zip(self.domain, self.reduced) if r)

    @property
    def size(self) -> int:
        """Number of points."""
        return _product(self.domain)

    def reads(self) -> list[Variable]:
        """The variables that are loaded, each once."""
        return list(dict.fromkeys(n.params["variable"] for n in self.nodes if n.op == "load"))

    def writes(self) -> list[Variable]:
        """The variables that are stored, each once."""
        return list(dict.fromkeys(s.variable for s in self.stores))

    def touches(self) -> list[Variable]:
        """The variables that are loaded or stored, each once."""
        return list(dict.fromkeys([*self.reads(), *self.writes()]))

    def with_axes(
        self,
        domain: tuple[int, ...],
        reduced: tuple[bool, ...],
        moved: Callable[[Affine], Affine],
    ) -> Kernel:
        """The same computation over other axes: `moved` gives an offset over them for one over the old."""
        copies: dict[Node, Node] = {}
        for node in self.nodes:
            params = node.params
            if "offset" in params:
                params = {**params, "offset": moved(params["offset"])}
            args = [copies[a] for a in node.args]
            copies[node] = Node(
                node.op, args, node.dtype, params, node.full, node.stage, node.number
            )
        stores = [Store(copies[s.node], s.variable, moved(s.offset)) for s in self.stores]
        return Kernel(domain, reduced, list(copies.values()), stores, self.name)

    def __str__(self) -> str:
        return format_kernel(self, names())


def _product(sizes: Iterable[int]) -> int:
    result = 1
    for n in sizes:
        result *= n
    return result


def names(base: Callable[[Variable], Variable] = lambda v: v) -> Callable[[Variable], str]:
    """A function that names buffers "v0", "v1", ... in the order of its calls: one name for all
    variables with the same `base`."""
    found: dict[Variable, str] = {}
    return lambda variable: found.setdefault(base(variable), f"v{len(found)}")


def format_kernel(kernel: Kernel, name: Callable[[Variable], str]) -> str:
    """The Kernel as text, with names for variables."""
    axes = ", ".join(
        f"i{a}<{n}{'*' if r else ''}" for a, (n, r) in enumerate(zip(kernel.domain, kernel.reduced))
    )
    lines = [f"{kernel.name} over ({axes})" + (" * reduced" if any(kernel.reduced) else "")]
    for node in kernel.nodes:
        args = " ".join(f"%{a.number}" for a in node.args)
        if node.op == "load":
            text = f"load {name(node.params['variable'])}[{node.params['offset']}]"
        elif node.op == "literal":
            text = f"{node.params['value']}"
        elif node.op == "index":
            text = f"index {node.params['offset']}"
        elif node.op == "reduce":
            text = f"reduce_{node.params['kind']} {args}"
        else:
            text = f"{node.op} {args}"
        level = f"stage {node.stage}" if node.full else "row"
        lines.append(f"  %{node.number}: {node.dtype} = {text}".ljust(60) + f"# {level}")
    for store in kernel.stores:
        lines.append(f"  store {name(store.variable)}[{store.offset}] = %{store.node.number}")
    return "\n".join(lines)
