"""Fewer axes for a Kernel: what every access steps through as one axis becomes one.

Depends on `kernel`.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from rtfunc.compiler.kernel import Affine, Kernel


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
    return kernel.with_axes(domain, reduced, joined)
