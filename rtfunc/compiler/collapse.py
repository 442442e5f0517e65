"""Fewer axes for a Kernel: what every access steps through as one axis becomes one.

Depends on `kernel`.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from rtfunc.compiler.kernel import Affine, Kernel, Node, Store


def collapse(kernel: Kernel, barriers: Collection[int] = ()) -> Kernel:
    """The same Kernel with neighbouring axes joined where every access steps through them as one.

    Axes before a barrier are not joined with those from there on.
    """
    offsets = [n.params["offset"] for n in kernel.nodes if n.op in ("load", "index")]
    offsets += [s.offset for s in kernel.stores]
    groups: list[list[int]] = []
    for axis, n in enumerate(kernel.domain):
        if groups and axis not in barriers:
            last = groups[-1][-1]
            if kernel.reduced[last] == kernel.reduced[axis] and all(
                o.coefficients[last] == o.coefficients[axis] * n for o in offsets
            ):
                groups[-1].append(axis)
                continue
        groups.append([axis])
    if len(groups) == len(kernel.domain):
        return kernel

    def joined(offset: Affine) -> Affine:
        return Affine(tuple(offset.coefficients[g[-1]] for g in groups), offset.constant)

    domain = tuple(math.prod(kernel.domain[a] for a in g) for g in groups)
    reduced = tuple(kernel.reduced[g[0]] for g in groups)
    copies: dict[Node, Node] = {}
    for node in kernel.nodes:
        params = node.params
        if "offset" in params:
            params = {**params, "offset": joined(params["offset"])}
        args = [copies[a] for a in node.args]
        copies[node] = Node(node.op, args, node.dtype, params, node.full, node.stage, node.number)
    stores = [Store(copies[s.node], s.variable, joined(s.offset)) for s in kernel.stores]
    return Kernel(domain, reduced, list(copies.values()), stores, kernel.name)
