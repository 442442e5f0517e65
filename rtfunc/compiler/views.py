"""Index maps: reading an array through views without copying it.

An index map says, for every axis of an array, which of its elements a point of a domain reads: one
`Affine` per axis. Reading the result of a transpose, broadcast, slice, rev or reshape is reading its
operand through another index map; `through_view` finds it. Reshapes are followed as far as the map stays
affine. Depends on `kernel`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from rtfunc.compiler.kernel import Affine
from rtfunc.core.graph import Atom, Equation
from rtfunc.ops.gather import default_fill

IndexMap = tuple[Affine, ...]

#: Primitives that `through_view` understands.
view_primitives = frozenset({"transpose", "broadcast_in_dim", "reshape", "slice", "rev"})


def row_major_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a contiguous array."""
    strides = [1] * len(shape)
    for a in range(len(shape) - 2, -1, -1):
        strides[a] = strides[a + 1] * shape[a + 1]
    return tuple(strides)


def identity_map(shape: Sequence[int], axes: Sequence[int], ndim: int) -> IndexMap:
    """The map that reads element i of an array at the point with indices i on `axes` of the domain.

    `axes` has an entry for each axis of `shape` whose size is not 1, in order.
    """
    found = iter(axes)
    zero = Affine((0,) * ndim)
    result = []
    for n in shape:
        if n == 1:
            result.append(zero)
            continue
        axis = next(found)
        result.append(Affine(tuple(int(a == axis) for a in range(ndim))))
    return tuple(result)


def broadcast_map(index: IndexMap, shape: Sequence[int]) -> IndexMap:
    """The map of an operand of `shape` that is broadcast, NumPy's way, to what `index` reads."""
    ndim = len(index[0].coefficients) if index else 0
    trailing = index[len(index) - len(shape) :]
    zero = Affine((0,) * ndim)
    return tuple(zero if n == 1 else a for n, a in zip(shape, trailing))


def through_view(equation: Equation, index: IndexMap, domain: Sequence[int]) -> IndexMap | None:
    """The map of a view's operand, given that of its result; None where it is not affine."""
    name, params = equation.primitive.name, equation.params
    shape = equation.inputs[0].aval.shape
    if name == "transpose":
        result = list(index)
        for i, p in enumerate(params["permutation"]):
            result[p] = index[i]
        return tuple(result)
    if name == "broadcast_in_dim":
        zero = Affine((0,) * len(domain))
        return tuple(zero if n == 1 else index[a] for n, a in zip(shape, params["axes"]))
    if name == "slice":
        return tuple(
            a.scale(step, start) for a, step, start in zip(index, params["stride"], params["start"])
        )
    if name == "rev":
        return tuple(
            a.scale(-1, n - 1) if axis in params["axes"] else a
            for axis, (a, n) in enumerate(zip(index, shape))
        )
    if name == "reshape":
        linear = linear_offset(index, params["shape"], len(domain))
        return split_offset(linear, shape, domain)
    return None


def linear_offset(index: IndexMap, shape: Sequence[int], ndim: int) -> Affine:
    """The position, in row-major order, of the element of an array of `shape` that `index` reads."""
    total = Affine((0,) * ndim)
    stride = 1
    for a, n in zip(reversed(index), reversed(shape)):
        total = total + a.scale(stride)
        stride *= n
    return total


def split_offset(offset: Affine, shape: Sequence[int], domain: Sequence[int]) -> IndexMap | None:
    """The index along each axis of `shape` of the element at a row-major position.

    Each term of the position must belong to one axis: None where a term crosses axes.
    """
    ndim = len(domain)
    remaining = list(offset.coefficients)
    constant = offset.constant
    result: list[Affine] = []
    stride = math.prod(shape)
    for n in shape:
        stride //= max(n, 1)
        if n == 1:
            result.append(Affine((0,) * ndim))
            continue
        mine = [0] * ndim
        for axis, c in enumerate(remaining):
            if c and domain[axis] > 1 and abs(c) >= stride:
                if c % stride:
                    return None
                mine[axis] = c // stride
                remaining[axis] = 0
        low, high = _range(remaining, domain)
        # What is left must stay inside one step of this axis, whatever the point.
        start = (constant + low) // stride if stride else 0
        rest = constant - start * stride
        if rest + low < 0 or rest + high >= stride:
            return None
        constant = rest
        mine_low, mine_high = _range(mine, domain)
        if start + mine_low < 0 or start + mine_high >= n:
            return None
        result.append(Affine(tuple(mine), start))
    if any(c and domain[a] > 1 for a, c in enumerate(remaining)) or constant:
        return None
    return tuple(result)


def _range(coefficients: Sequence[int], domain: Sequence[int]) -> tuple[int, int]:
    """Smallest and largest value of a sum of terms over the domain."""
    ends = [c * (n - 1) for c, n in zip(coefficients, domain) if n]
    return sum(e for e in ends if e < 0), sum(e for e in ends if e > 0)


class GatherPlan(NamedTuple):
    """How a gather or dynamic slice reads its operand at a point of the domain.

    Attributes: within: the static part of the index on each axis of the operand; starts: for each axis
    with a computed start, the axis, the array that holds the start, and where in it; window: sizes of
    the window; fill: the value read where the window is not inside, or None where it is moved inside.
    """

    within: IndexMap
    starts: tuple[tuple[int, Atom, IndexMap], ...]
    window: tuple[int, ...]
    fill: Any


def plan_gather(equation: Equation, index: IndexMap, ndim: int) -> GatherPlan:
    """The plan for what `index` reads of the result."""
    params = equation.params
    if equation.primitive.name == "dynamic_slice":
        starts = tuple((axis, atom, ()) for axis, atom in enumerate(equation.inputs[1:]))
        return GatherPlan(index, starts, tuple(params["sizes"]), None)
    operand, indices = (a.aval for a in equation.inputs)
    numbers, window = params["dimension_numbers"], tuple(params["slice_sizes"])
    batch_positions = [a for a in range(len(index)) if a not in numbers.offset_dims]
    batch = [index[a] for a in batch_positions]
    zero = Affine((0,) * ndim)
    within = [zero] * operand.ndim
    absent = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    kept = [a for a in range(operand.ndim) if a not in absent]
    for axis, out_axis in zip(kept, numbers.offset_dims, strict=True):
        within[axis] = index[out_axis]
    for axis, position in zip(
        numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True
    ):
        within[axis] = batch[position]
    starts = tuple(
        (axis, equation.inputs[1], (*batch, Affine((0,) * ndim, k)))
        for k, axis in enumerate(numbers.start_index_map)
    )
    fill = None
    if params["mode"] == "fill":
        given = params["fill_value"]
        fill = default_fill(operand.dtype) if given is None else given
    assert indices.ndim == len(batch) + 1
    return GatherPlan(tuple(within), starts, window, fill)
