"""Bringing operands into the form that register tiles read: panels and padded copies.

A panel holds, for each point of a loop nest, the elements of a few consecutive features next to
each other. A slab is a copy of the part of an input that one piece of work needs, in the input's
own order, with the padding and the zeros of dilation written out and 16-bit floats widened. Both
stay in the cache. Depends on `emission`, `register_tile`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.emission import (
    Code,
    Index,
    compute_dtype,
    compute_type,
)
from rtfunc.compiler.cpu.register_tile import lanes_of, memory_of
from rtfunc.compiler.cpu.scalars import from_memory, memory_type
from rtfunc.compiler.cpu.transposition import emit_transposition


class PackAxis(NamedTuple):
    """An axis of what is packed.

    Attributes:
        count: points.
        source: distance of the points in the array, in elements.
        target: distance in the panel, in elements.
    """

    count: Index
    source: int
    target: Index


class PanelPacker:
    """Packs panels of `width` features from an array of `dtype`.

    Attributes:
        feature_stride: distance of consecutive features in the array.
        width: of the panel.
        valid: how many features there are; those beyond are 0 in the panel.
    """

    def __init__(self, dtype: np.dtype, feature_stride: int, width: int) -> None:
        self.dtype = dtype
        self.feature_stride = feature_stride
        self.width = width
        self.lanes = lanes_of(dtype)
        self.converts = dtype != compute_dtype(dtype)
        self._transposing: dict[tuple[int, int, int], ir.Function] = {}

    def emit(
        self,
        code: Code,
        source: ir.Value,
        target: ir.Value,
        axes: Sequence[PackAxis],
        valid: int,
    ) -> None:
        """Pack the panel at `target` from `source`, the address of its first element."""
        axes, source_offset, target_offset = _upwards(_merged(axes))
        source = code.at(source, source_offset, memory_of(self.dtype))
        target = code.at(target, target_offset, compute_type(self.dtype))
        if any(isinstance(a.count, int) and a.count == 0 for a in axes):
            return
        run = next((a for a in axes if a.source == 1 and isinstance(a.count, int)), None)
        if self.feature_stride == 1 and self.width >= 4:
            self._loops(code, axes, source, target, lambda s, t: self._copy(code, s, t, valid))
        elif run is not None and run.count >= 4 and valid >= 4 and not self.converts:
            others = [a for a in axes if a is not run]
            self._loops(
                code, others, source, target, lambda s, t: self._turn(code, s, t, run, valid)
            )
        else:
            self._loops(code, axes, source, target, lambda s, t: self._gather(code, s, t, valid))

    def _loops(
        self, code: Code, axes: Sequence[Any], source: Any, target: Any, body: Callable[..., None]
    ) -> None:
        if not axes:
            body(source, target)
            return
        first = axes[0]
        moving = [
            (source, first.source, memory_of(self.dtype)),
            (target, first.target, compute_type(self.dtype)),
        ]
        with code.walk(first.count, moving) as (_, (inner_source, inner_target)):
            self._loops(code, axes[1:], inner_source, inner_target, body)

    def _copy(self, code: Code, source: ir.Value, target: ir.Value, valid: int) -> None:
        """One point whose features are contiguous."""
        wide, lanes = compute_dtype(self.dtype), self.lanes
        for first in range(0, self.width, lanes):
            count = min(max(valid - first, 0), lanes)
            place = code.at(source, first, memory_of(self.dtype))
            vector = ir.VectorType(compute_type(self.dtype), lanes)
            value = (
                code.load(place, self.dtype, lanes, count) if count else ir.Constant(vector, None)
            )
            here = min(lanes, self.width - first)
            code.store(value, code.at(target, first, vector.element), wide, here)

    def _gather(self, code: Code, source: ir.Value, target: ir.Value, valid: int) -> None:
        """One point whose features lie anywhere."""
        wide, element = compute_dtype(self.dtype), compute_type(self.dtype)
        moving = [(source, self.feature_stride, memory_of(self.dtype)), (target, 1, element)]
        if valid:
            with code.walk(min(valid, self.width), moving) as (_, (place, goal)):
                code.store(code.load(place, self.dtype), goal, wide)
        with code.loop(self.width, valid) as index:
            code.store(ir.Constant(element, 0.0), code.at(target, index, element), wide)

    def _turn(
        self, code: Code, source: ir.Value, target: ir.Value, run: PackAxis, valid: int
    ) -> None:
        """A run of points that are contiguous, features apart: a transposition."""
        wide, element = compute_dtype(self.dtype), compute_type(self.dtype)
        if valid < self.width:
            zero = ir.Constant(element, 0.0)
            with (
                code.walk(run.count, [(target, run.target, element)]) as (_, (place,)),
                code.loop(self.width, valid) as i,
            ):
                code.store(zero, code.at(place, i, element), wide)
        stride, bits = self.feature_stride, 8 * wide.itemsize
        emit_transposition(
            code, bits, source, stride, target, run.target, min(valid, self.width), run.count
        )


def _merged(axes: Sequence[PackAxis]) -> list[PackAxis]:
    """Axes without those of one point, and those that step together as one."""
    found: list[PackAxis] = []
    for axis in axes:
        if isinstance(axis.count, int) and axis.count == 1:
            continue
        outer = found[-1] if found else None
        if (
            outer is not None
            and isinstance(axis.count, int)
            and isinstance(outer.count, int)
            and isinstance(axis.target, int)
            and outer.source == axis.count * axis.source
            and outer.target == axis.count * axis.target
        ):
            found[-1] = PackAxis(outer.count * axis.count, axis.source, axis.target)
        else:
            found.append(axis)
    return found


def _upwards(axes: list[PackAxis]) -> tuple[list[PackAxis], int, Index]:
    """Axes that run backwards through the array turned round, and where they start then."""
    source, target, found = 0, 0, []
    for axis in axes:
        if axis.source < 0 and isinstance(axis.count, int) and isinstance(axis.target, int):
            source += (axis.count - 1) * axis.source
            target += (axis.count - 1) * axis.target
            axis = PackAxis(axis.count, -axis.source, -axis.target)
        found.append(axis)
    return found, source, target


class SlabAxis(NamedTuple):
    """An axis of a slab.

    Attributes:
        extent: how long it is in the slab.
        size: of the array's axis.
        source: distance of its elements in the array.
        first: which position of the array's axis, zeros of dilation included, comes first; may be
            negative or beyond the end, where the slab is 0.
        inside: whether all positions are elements of the array.
        dilation: elements of the array lie so far apart in the slab.
    """

    extent: int
    size: int
    source: int
    first: Index
    inside: bool
    dilation: int = 1


def slab_strides(extents: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Distances of the positions of each axis of a slab, in elements.

    Planes are kept from lying a multiple of 1 KiB apart, where few of them fit into the cache at
    once.
    """
    strides, distance = [], 1
    for extent in reversed(extents):
        strides.append(distance)
        distance *= max(extent, 1)
        if distance * itemsize % 1024 == 0:
            distance += 64 // itemsize
    return tuple(reversed(strides))


def emit_slab(
    code: Code,
    source: ir.Value,
    slab: ir.Value,
    axes: Sequence[SlabAxis],
    strides: Sequence[int],
    dtype: np.dtype,
) -> None:
    """Fill a slab from the array at `source`. Up to a vector after its end is written too."""
    element, wide, lanes = compute_type(dtype), compute_dtype(dtype), lanes_of(dtype)
    vector = ir.VectorType(element, lanes)
    source_type = memory_of(dtype)

    def zeros(target: ir.Value, count: int) -> None:
        with code.loop(count, 0, lanes) as index:
            code.store(ir.Constant(vector, None), code.at(target, index, element), wide)

    def fill(level: int, source: ir.Value, target: ir.Value) -> None:
        if level == len(axes):
            code.store(code.load(source, dtype), target, wide)
            return
        axis = axes[level]
        if level == len(axes) - 1 and axis.source == 1 and axis.dilation == 1:
            row(axis, source, target)
            return
        if level == len(axes) - 2 and _turns(axis, axes[-1]) and dtype == wide:
            turned(axis, axes[-1], source, target)
            return
        moving = [(target, strides[level], element)]
        with code.walk(axis.extent, moving) as (position, (target,)):
            place = code.add(axis.first, position)
            if axis.inside:
                fill(level + 1, code.at(source, code.mul(place, axis.source), source_type), target)
                return
            good = code.within(place, (axis.size - 1) * axis.dilation + 1)
            if axis.dilation > 1:
                quotient, rest = code.divide(code.value(place), axis.dilation)
                whole = code.b.icmp_signed("==", rest, code.value(0))
                good = whole if good is True else code.b.and_(good, whole) if good else False
                place = quotient
            if axis.size == 0:
                good = False
            bad = code.b.not_(good) if isinstance(good, ir.Value) else not good
            with code.when(good):
                inner = code.at(source, code.mul(place, axis.source), source_type)
                fill(level + 1, inner, target)
            if level == len(axes) - 1:
                with code.when(bad):
                    code.store(ir.Constant(element, 0.0), target, wide)
            else:
                with code.when(bad):
                    zeros(target, strides[level])

    def row(axis: SlabAxis, source: ir.Value, target: ir.Value) -> None:
        """A row that is contiguous: vectors with 0 in the lanes outside of the array.

        The last one may run over the row's end, which the next row overwrites.
        """
        with code.loop(axis.extent, 0, lanes) as index:
            place = code.add(axis.first, index)
            address = code.at(source, place, source_type)
            goal = code.at(target, index, element)
            mask = code.range_mask(place, axis.size, lanes)
            code.store(_masked(code, address, dtype, lanes, mask), goal, wide)

    def turned(outer: SlabAxis, inner: SlabAxis, source: ir.Value, target: ir.Value) -> None:
        """The outer of the last two axes is the contiguous one in the array."""
        zeros(target, outer.extent * strides[-2])
        low = code.minimum(code.maximum(code.sub(0, outer.first), 0), outer.extent)
        high = code.minimum(code.sub(outer.size, outer.first), outer.extent)
        count = code.maximum(code.sub(high, low), 0)
        rows = code.minimum(inner.extent, code.sub(inner.size, inner.first))
        place = code.add(outer.first, low, code.mul(inner.first, inner.source))
        emit_transposition(
            code,
            8 * wide.itemsize,
            code.at(source, place, source_type),
            inner.source,
            code.at(target, code.mul(low, strides[-2]), element),
            strides[-2],
            rows,
            count,
        )

    fill(0, source, slab)


def _masked(code: Code, address: ir.Value, dtype: np.dtype, lanes: int, mask: ir.Value) -> ir.Value:
    value = code.masked_load(address, memory_type(dtype), dtype.itemsize, mask, lanes)
    return from_memory(code.b, value, dtype)


def _turns(outer: SlabAxis, inner: SlabAxis) -> bool:
    contiguous = outer.source == 1 and inner.source != 1
    return contiguous and outer.dilation == inner.dilation == 1
