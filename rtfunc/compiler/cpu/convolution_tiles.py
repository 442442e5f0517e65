"""The register tiles of a convolution: loops that cover a block of pixels, and the kernels they call.

A kernel is one function for one shape of tile, shared by all phases and blocks. Pixels at constant
distances are its rows (or vectors, in mode "pixels"), and the loop nest over taps is inside.
Depends on `convolution_plan`, `register_tile`, `emission`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from rtfunc.compiler.cpu.convolution_geometry import Phase
from rtfunc.compiler.cpu.convolution_plan import ConvolutionPlan
from rtfunc.compiler.cpu.emission import (
    Code,
    Index,
    constant_table,
    i64,
    new_function,
    pointer,
)
from rtfunc.compiler.cpu.register_tile import (
    Epilogue,
    Level,
    StoreLayout,
    Table,
    TileShape,
    balanced,
    emit_store,
    emit_sums,
)

_LONGEST_TABLE = 640


class TileEmitter:
    """Emits the tiles of one convolution and keeps its kernels."""

    def __init__(
        self, module: ir.Module, name: str, plan: ConvolutionPlan, epilogue: Epilogue | None
    ) -> None:
        self.module, self.name, self.plan, self.epilogue = module, name, plan, epilogue
        self.kernels: dict[object, ir.Function] = {}
        self.tables: dict[tuple[int, ...], ir.GlobalVariable] = {}

    def emit(
        self,
        code: Code,
        phase: Sequence[Phase],
        firsts: Sequence[Index],
        taps: Sequence[Index],
        patch: ir.Value,
        panel: ir.Value,
        out: ir.Value,
        offset: Index,
        feature: Index,
        valid: int,
        kind: str,
    ) -> None:
        """Run the register tiles over a block of pixels for one panel.

        `kind` is "sum" (to the output), "accumulate" (into partial sums) or "finish" (partial sums to
        the output).
        """
        x = self.plan.x
        if any(p.out_count == 0 for p in phase):
            return
        for i, dim in enumerate(x.dimensions):
            shift = phase[i].base - dim.lowest if phase[i].tap_count else 0
            if kind != "finish":
                patch = code.at(patch, shift * self.plan.strides[i], self.plan.element)
        axes = []
        unit = self.plan.lanes if self.plan.mode == "pixels" else 1
        for position, i in enumerate(self.plan.pixel_axes):
            dim, block = x.dimensions[i], self.plan.pixel_block[i]
            size = phase[i].out_count
            count: Index = size
            if block < dim.most_out:
                if size == dim.most_out and size % block == 0:
                    count = block
                else:
                    count = code.maximum(code.minimum(block, code.sub(size, firsts[i])), 0)
            elements = unit if position == 0 else 1
            if elements > 1:
                count = -(-size // unit)
            axes.append(
                _TileAxis(
                    count,
                    dim.output_step * self.plan.strides[i] * elements,
                    dim.out_step * dim.out_stride * elements,
                    self.plan.partial_stride(i) * elements,
                    min(block, size) if elements == 1 else -(-size // unit),
                )
            )
        row_vectors, last_valid = 1, 0
        if self.plan.mode == "pixels":
            size = phase[self.plan.pixel_axes[0]].out_count
            row_vectors = -(-size // unit)
            last_valid = size - (row_vectors - 1) * unit
        limit = self.plan.columns if self.plan.mode == "pixels" else self.plan.rows
        table = self._table(phase, taps) if kind != "finish" else None
        state = _Call(self, taps, panel, out, valid, kind, table, row_vectors, last_valid)
        _tile_loops(code, axes, limit, state, patch, offset, feature, self.plan.mode == "pixels")

    def _table(self, phase: Sequence[Phase], taps: Sequence[Index]) -> tuple[int, list[int]] | None:
        """How many of the innermost tap axes are taken from a table, and the table."""
        axes = self.plan.tap_axes
        if not axes or any(taps[i] == 0 for i in axes):
            return None
        innermost = taps[axes[-1]]
        if isinstance(innermost, int) and innermost >= 16 and self.plan.strides[axes[-1]] >= 1:
            return None
        size, taken = 1, 0
        for i in reversed(axes):
            count = taps[i]
            if not isinstance(count, int) or size * count > _LONGEST_TABLE:
                break
            size *= count
            taken += 1
        if taken == 0 or size == 1:
            return None
        steps = [
            [
                j * self.plan.x.dimensions[i].tap_step * self.plan.strides[i]
                for j in range(int(taps[i]))
            ]  # type: ignore[arg-type]
            for i in axes[len(axes) - taken :]
        ]
        return taken, [sum(offsets) for offsets in itertools.product(*steps)]


@dataclass(frozen=True)
class _TileAxis:
    """An axis of pixels: how many points, and how far apart they are in the patch, in the output and
    in partial sums. `most` is a bound of `count` that is known."""

    count: Index
    patch: int
    out: int
    partial: int
    most: int


@dataclass(frozen=True)
class _Call:
    """What calls of a kernel have in common."""

    owner: TileEmitter
    taps: Sequence[Index]
    panel: ir.Value
    out: ir.Value
    valid: int
    kind: str
    table: tuple[int, list[int]] | None
    row_vectors: int
    last_valid: int

    def __call__(
        self,
        code: Code,
        patch: ir.Value,
        offset: Index,
        feature: Index,
        points: Sequence[tuple[int, int, int]],
        last: bool,
    ) -> None:
        """One register tile: `points` are its pixels' distances in patch, output and partial sums."""
        kernel = _kernel(self, tuple(points), last)
        owner = self.owner
        nested = owner.plan.tap_axes
        arguments = [patch, self.panel, self.out, code.value(offset), code.value(feature)]
        if self.table is not None:
            taken, entries = self.table
            nested = nested[: len(nested) - taken]
            key = tuple(entries)
            if key not in owner.tables:
                owner.tables[key] = constant_table(owner.module, f"{owner.name}.taps", entries)
            arguments += [owner.tables[key], code.value(len(entries))]
        if self.kind != "finish":
            arguments += [code.value(self.taps[i]) for i in nested]
        code.b.call(kernel, arguments)


def _tile_loops(
    code: Code,
    axes: Sequence[_TileAxis],
    limit: int,
    call: _Call,
    patch: ir.Value,
    offset: Index,
    feature: Index,
    masked_first: bool,
) -> None:
    """Cover the box of pixels with tiles of at most `limit` points, inner axes first.

    With `masked_first` the points of the first axis are vectors of pixels of which the last may be
    partly filled.
    """
    element = call.owner.plan.element
    kind = call.kind
    points = [(0, 0, 0)]
    position = 0
    while position < len(axes):
        axis = axes[position]
        if not isinstance(axis.count, int) or axis.count * len(points) > limit:
            break
        points = _repeat(points, axis, axis.count)
        position += 1
    whole_rows = position > 0

    def step(axis: _TileAxis) -> tuple[int, int]:
        """Distances that the patch's pointer and the output's offset move."""
        if kind == "finish":
            return axis.partial, axis.out
        return axis.patch, axis.partial if kind == "accumulate" else axis.out

    def run(
        patch: ir.Value, offset: Index, begin: Index, stop: Index, size: int, last: bool
    ) -> None:
        """Tiles of `size` points of the axis at `position`, from `begin`."""
        axis = axes[position]
        source, target = step(axis)
        tile = _repeat(points, axis, size)
        place = code.at(patch, code.mul(begin, source), element)
        with code.walk(stop, [(place, source * size, element)], begin, size) as (index, (place,)):
            call(code, place, code.add(offset, code.mul(index, target)), feature, tile, last)

    def partial_axis(patch: ir.Value, offset: Index) -> None:
        if position == len(axes):
            call(code, patch, offset, feature, points, masked_first)
            return
        axis = axes[position]
        most = max(1, limit // len(points))
        size = balanced(axis.most, most)
        masked = masked_first and not whole_rows
        if isinstance(axis.count, int):
            if masked:
                # The tile with the partly filled vector comes last and apart.
                full = (axis.count - 1) // size * size
                if full:
                    run(patch, offset, 0, full, size, False)
                run(patch, offset, full, axis.count, axis.count - full, True)
                return
            full = axis.count // size * size
            if full:
                run(patch, offset, 0, full, size, masked_first)
            if full < axis.count:
                run(patch, offset, full, axis.count, axis.count - full, masked_first)
            return
        quotient, _ = code.divide(axis.count, size)
        full_count = code.mul(quotient, size)
        run(patch, offset, 0, full_count, size, masked_first)
        if size > 1:
            run(patch, offset, full_count, axis.count, 1, masked_first)

    # The axis at `position` is the innermost loop, those after it are around it.
    def around(number: int, patch: ir.Value, offset: Index) -> None:
        if number == position or position >= len(axes):
            partial_axis(patch, offset)
            return
        source, target = step(axes[number])
        with code.walk(axes[number].count, [(patch, source, element)]) as (index, (patch,)):
            around(number - 1, patch, code.add(offset, code.mul(index, target)))

    around(len(axes) - 1, patch, offset)


def _repeat(
    points: Sequence[tuple[int, int, int]], axis: _TileAxis, count: int
) -> list[tuple[int, int, int]]:
    return [
        (patch + n * axis.patch, out + n * axis.out, partial + n * axis.partial)
        for n in range(count)
        for patch, out, partial in points
    ]


def _kernel(call: _Call, points: tuple[tuple[int, int, int], ...], last: bool) -> ir.Function:
    """The function of one register tile, made at first use.

    Its arguments: patch, panel, output, offset in the output, first feature, then the table of taps and
    its length, if any, then the counts of the nest.
    """
    owner = call.owner
    x, lanes, width = owner.plan.x, owner.plan.lanes, owner.plan.width
    taken = call.table[0] if call.table is not None else 0
    nested = (
        owner.plan.tap_axes[: len(owner.plan.tap_axes) - taken] if call.kind != "finish" else []
    )
    key = (points, last, call.valid, call.kind, taken, call.row_vectors, call.last_valid)
    if key in owner.kernels:
        return owner.kernels[key]
    arguments = [pointer] * 3 + [i64] * 2
    arguments += [pointer, i64] if call.table is not None else []
    name = owner.module.get_unique_name(f"{owner.name}.{call.kind}")
    function, code = new_function(owner.module, name, [*arguments, *[i64] * len(nested)])
    owner.kernels[key] = function
    patch, panel, out, offset, feature = function.args[:5]
    counts = list(function.args[len(arguments) :])
    by_pixels = owner.plan.mode == "pixels"
    shape = _shape(owner, points)
    partial_rows = StoreLayout(
        owner.plan.wide,
        tuple(p[2] for p in points),
        tuple(range(0, width, lanes)),
        1,
        (lanes,) * (width // lanes),
        "lanes",
    )
    start = None
    if call.kind != "sum":
        source, place = (out, offset) if call.kind == "accumulate" else (patch, 0)
        start = _load_tile(code, source, place, partial_rows, owner)
    if call.kind == "finish" and start is not None:
        tile = _add_splits(code, start, patch, partial_rows, owner)
    else:
        levels, step = [], code.mul(width, function.args[6]) if taken else width
        for i, count in reversed(list(zip(nested, counts))):
            distance = x.dimensions[i].tap_step * owner.plan.strides[i]
            row, column = (step, distance) if by_pixels else (distance, step)
            levels.insert(0, Level(count, row, column))
            step = code.mul(step, count)
        table = None
        if taken:
            table = Table(function.args[5], function.args[6], not by_pixels, width)
        rows, columns = (panel, patch) if by_pixels else (patch, panel)
        tile = emit_sums(code, shape, rows, columns, levels, table, start)
    if call.kind == "accumulate":
        emit_store(code, tile, partial_rows, out, offset, feature)
    elif by_pixels:
        layout = _pixel_layout(owner, points, call, last)
        emit_store(code, tile[: call.valid], layout, out, offset, feature, owner.epilogue)
    else:
        features = tuple(c * lanes * x.out_feature for c in range(width // lanes))
        valid = tuple(min(max(call.valid - c * lanes, 0), lanes) for c in range(width // lanes))
        rows = tuple(p[1] for p in points)
        layout = StoreLayout(owner.plan.out_dtype, rows, features, x.out_feature, valid, "lanes")
        emit_store(code, tile, layout, out, offset, feature, owner.epilogue)
    code.b.ret_void()
    return function


def _shape(owner: TileEmitter, points: Sequence[tuple[int, int, int]]) -> TileShape:
    patch = tuple(p[0] for p in points)
    if owner.plan.mode == "pixels":
        inner = owner.plan.x.dimensions[owner.plan.pixel_axes[0]]
        return TileShape(
            owner.plan.wide,
            owner.plan.lanes,
            tuple(range(owner.plan.width)),
            patch,
            inner.output_step,
        )
    columns = tuple(range(0, owner.plan.width, owner.plan.lanes))
    return TileShape(
        owner.plan.wide, owner.plan.lanes, patch, columns, row_vectors=owner.plan.mode == "groups"
    )


def _pixel_layout(
    owner: TileEmitter, points: Sequence[tuple[int, int, int]], call: _Call, last: bool
) -> StoreLayout:
    """Where a tile goes whose lanes are pixels."""
    inner = owner.plan.x.dimensions[owner.plan.pixel_axes[0]]
    valid = [owner.plan.lanes] * len(points)
    if last:
        rows = max(len(points) // call.row_vectors, 1)
        run = len(points) // rows
        for row in range(rows):
            valid[row * run + run - 1] = call.last_valid
    return StoreLayout(
        owner.plan.out_dtype,
        tuple(r * owner.plan.x.out_feature for r in range(call.valid)),
        tuple(p[1] for p in points),
        inner.out_step * inner.out_stride,
        tuple(valid),
        "rows",
    )


def _load_tile(
    code: Code, source: ir.Value, place: Index, layout: StoreLayout, owner: TileEmitter
) -> list[list[ir.Value]]:
    base = code.at(source, place, owner.plan.element)
    return [
        [
            code.load(code.at(base, r + c, owner.plan.element), owner.plan.wide, owner.plan.lanes)
            for c in layout.columns
        ]
        for r in layout.rows
    ]


def _add_splits(
    code: Code,
    start: list[list[ir.Value]],
    first: ir.Value,
    layout: StoreLayout,
    owner: TileEmitter,
) -> list[list[ir.Value]]:
    """`start` and the partial sums of all other splits."""
    distance = owner.plan.partial_elements * owner.plan.items
    width = len(layout.columns)
    sums = [value for row in start for value in row]
    with code.walk(owner.plan.splits, [], 1, carried=sums) as (split, _):
        source = code.at(first, code.mul(split, distance), owner.plan.element)
        tile = _load_tile(code, source, 0, layout, owner)
        sums[:] = [code.b.fadd(a, b) for a, b in zip(sums, itertools.chain(*tile))]
    return [sums[i : i + width] for i in range(0, len(sums), width)]
