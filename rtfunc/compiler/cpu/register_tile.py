"""Register tiles: a small block of sums of products, kept in vector registers over a loop nest.

The micro-kernel of matrix products and convolutions. At each point of the nest it takes a few
elements of one operand (its rows) and a few vectors of the other (its columns) and adds their outer
product to the tile. Operands may be packed, or lie in memory at constant distances: addresses are a
pointer that the nest moves plus constants. Results are stored along whichever axis is contiguous in
the output. Depends on `emission`, `engine`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.emission import (
    Code,
    Index,
    compute_dtype,
    compute_type,
    constant_table,
    i32,
)
from rtfunc.compiler.cpu.target import vector_bytes
from rtfunc.compiler.cpu.transposition import emit_transposition


class OutputPosition(NamedTuple):
    """Where in the output the lanes of a vector go.

    Attributes:
        out: address of the output.
        offset: of the first lane from there, in elements.
        stride: distance of the lanes, in elements.
        feature: output feature (or column of a matrix) of the first lane.
        feature_step: 1 where lanes are consecutive features, 0 where they share one.
        lanes: how many there are.
        valid: how many of the first lanes are real; the others must be computed without a trap and
            are not stored.
    """

    out: ir.Value
    offset: ir.Value
    stride: int
    feature: ir.Value
    feature_step: int
    lanes: int
    valid: int


Epilogue: TypeAlias = Callable[
    [ir.IRBuilder, Sequence[ir.Value], OutputPosition], Sequence[ir.Value]
]
"""What is done to results before they are stored: builder, [value], position -> [value].

A value is a vector of `lanes` numbers in the computing type (float32 for 16-bit floats), or a
scalar for one lane. It is called while emitting, once for each vector of a tile."""


def lanes_of(dtype: np.dtype) -> int:
    """How many numbers fit into a vector of the dtype in which `dtype` is computed."""
    return vector_bytes() // compute_dtype(dtype).itemsize


def vector_registers() -> int:
    """How many vector registers there are."""
    many = vector_bytes() == 64 or platform.machine().lower() in ("arm64", "aarch64")
    return 32 if many else 16


def most_rows(columns: int) -> int:
    """How many rows a tile of so many columns (vectors) may have."""
    return max(1, (vector_registers() - columns - 1) // columns)


def balanced(size: int, limit: int) -> int:
    """A size of pieces for `size` elements: at most `limit`, a divisor if one is large enough."""
    if size <= limit:
        return max(size, 1)
    for piece in range(limit, limit * 3 // 4, -1):
        if size % piece == 0:
            return piece
    return -(-size // -(-size // limit))


class Level(NamedTuple):
    """A loop: how often, and how far each operand's pointer moves a step, in elements."""

    count: Index
    row_step: Index
    column_step: Index


class Table(NamedTuple):
    """The innermost loop, where one operand's steps stand in an array of i32 instead."""

    address: ir.Value
    count: Index
    of_rows: bool
    other_step: int


class TileShape(NamedTuple):
    """A register tile.

    Attributes:
        dtype: in which is computed.
        lanes: in a vector.
        rows: distance of each row from the rows' pointer, in elements.
        columns: distance of each vector of columns from the columns' pointer.
        column_stride: distance between the elements of a vector of columns, 1 or 2. With 2,
            elements in between and one after the last are read too.
        column_valid: how many lanes of the last column may be read; None for all.
        row_dtype: of the rows in memory; None for `dtype`.
        row_vectors: rows are vectors as columns are (one for each column, consecutive), multiplied
            lane by lane, rather than single elements.
    """

    dtype: np.dtype
    lanes: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    column_stride: int = 1
    column_valid: int | None = None
    row_dtype: np.dtype | None = None
    row_vectors: bool = False


Accumulators: TypeAlias = list[list[ir.Value]]


def emit_sums(
    code: Code,
    shape: TileShape,
    row_pointer: ir.Value,
    column_pointer: ir.Value,
    nest: Sequence[Level],
    table: Table | None = None,
    start: Accumulators | None = None,
) -> Accumulators:
    """Sums of products over a nest, by row and column; `start` is what they begin with."""
    element = compute_type(shape.dtype)
    row_dtype = shape.row_dtype or shape.dtype
    row_type = memory_of(row_dtype)
    zero = ir.Constant(ir.VectorType(element, shape.lanes), None)
    width = len(shape.columns)
    sums = [value for row in start for value in row] if start else [zero] * width * len(shape.rows)

    def products(row_pointer: ir.Value, column_pointer: ir.Value) -> None:
        columns = [_column(code, shape, column_pointer, c) for c in range(width)]
        for r, offset in enumerate(shape.rows):
            address = code.at(row_pointer, offset, row_type)
            if not shape.row_vectors:
                value = code.splat(code.load(address, row_dtype), shape.lanes)
            for c, column in enumerate(columns):
                if shape.row_vectors:
                    part = code.at(address, c * shape.lanes, element)
                    value = code.load(part, shape.dtype, shape.lanes)
                sums[r * width + c] = code.multiply_add(value, column, sums[r * width + c])

    def run(level: int, row_pointer: ir.Value, column_pointer: ir.Value) -> None:
        if level < len(nest):
            loop = nest[level]
            moving = [
                (row_pointer, loop.row_step, row_type),
                (column_pointer, loop.column_step, element),
            ]
            with code.walk(loop.count, moving, carried=sums) as (_, pointers):
                run(level + 1, *pointers)
        elif table is not None:
            other = column_pointer if table.of_rows else row_pointer
            moving = [(table.address, 1, i32), (other, table.other_step, element)]
            with code.walk(table.count, moving, carried=sums) as (_, (entry, other)):
                offset = code.b.sext(code.b.load(entry, typ=i32), ir.IntType(64))
                if table.of_rows:
                    products(code.at(row_pointer, offset, element), other)
                else:
                    products(other, code.at(column_pointer, offset, element))
        else:
            products(row_pointer, column_pointer)

    run(0, row_pointer, column_pointer)
    return [sums[i : i + width] for i in range(0, len(sums), width)]


def _column(code: Code, shape: TileShape, base: ir.Value, c: int) -> ir.Value:
    address = code.at(base, shape.columns[c], compute_type(shape.dtype))
    lanes = shape.lanes
    if shape.column_stride == 1:
        valid = shape.column_valid if c == len(shape.columns) - 1 else None
        return code.load(address, shape.dtype, lanes, valid)
    both = code.load(address, shape.dtype, 2 * lanes)
    return code.shuffle(both, ir.Constant(both.type, ir.Undefined), range(0, 2 * lanes, 2))


class StoreLayout(NamedTuple):
    """Where a tile goes.

    Attributes:
        dtype: of the output.
        rows: distance of each row from the tile's place, in elements.
        columns: distance of each vector of columns.
        lane_stride: distance between lanes.
        valid: how many lanes of each column are stored.
        features: "lanes" where lanes are consecutive features, column after column, "rows" where
            rows are.
    """

    dtype: np.dtype
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    lane_stride: int
    valid: tuple[int, ...]
    features: str
    streaming: bool = False


def emit_store(
    code: Code,
    tile: Accumulators,
    layout: StoreLayout,
    out: ir.Value,
    offset: ir.Value,
    feature: ir.Value,
    epilogue: Epilogue | None = None,
) -> None:
    """Store a tile at `offset` elements from `out`, through the epilogue."""
    store = _Store(code, layout, out, offset, feature, epilogue)
    lanes = tile[0][0].type.count
    if layout.lane_stride == 1:
        for r, row in enumerate(tile):
            for c, value in enumerate(row):
                place = layout.rows[r] + layout.columns[c]
                on_lanes = layout.features == "lanes"
                number = c * lanes if on_lanes else r
                store(value, place, 1, number, int(on_lanes), layout.valid[c])
    elif _is_run(layout.rows) and len(layout.rows) > 1 and _is_even(layout, lanes):
        _store_transposed(store, tile, layout)
    else:
        _store_one_by_one(store, tile, layout)


class _Store:
    """Stores vectors of one tile."""

    def __init__(
        self,
        code: Code,
        layout: StoreLayout,
        out: ir.Value,
        offset: ir.Value,
        feature: ir.Value,
        epilogue: Epilogue | None,
    ) -> None:
        self.code = code
        self.layout = layout
        self.out = out
        self.offset = offset
        self.feature = feature
        self.epilogue = epilogue

    def __call__(
        self,
        value: ir.Value,
        place: Index,
        stride: int,
        feature: Index,
        feature_step: int,
        valid: int,
    ) -> None:
        if valid <= 0:
            return
        code = self.code
        lanes = value.type.count if isinstance(value.type, ir.VectorType) else 1
        offset = code.value(code.add(self.offset, place))
        if self.epilogue is not None:
            number = code.value(code.add(self.feature, feature))
            position = OutputPosition(self.out, offset, stride, number, feature_step, lanes, valid)
            (value,) = self.epilogue(code.b, [value], position)
        address = code.b.gep(self.out, [offset], source_etype=memory_of(self.layout.dtype))
        streaming = self.layout.streaming and valid == lanes > 1
        code.store(value, address, self.layout.dtype, valid if lanes > 1 else None, streaming)


def memory_of(dtype: np.dtype) -> ir.Type:
    """A type with the size of `dtype`, for addresses."""
    return ir.IntType(8 * dtype.itemsize)


def _is_run(offsets: Sequence[int]) -> bool:
    return all(offset == i for i, offset in enumerate(offsets))


def _is_even(layout: StoreLayout, lanes: int) -> bool:
    """Whether all lanes are equally far apart, from column to column, up to the last valid one."""
    distance = lanes * layout.lane_stride
    even = all(place == c * distance for c, place in enumerate(layout.columns))
    return even and all(valid == lanes for valid in layout.valid[:-1])


def _store_transposed(store: _Store, tile: Accumulators, layout: StoreLayout) -> None:
    """Rows are contiguous in the output: through the stack, one vector of rows for each lane."""
    code, count = store.code, len(tile)
    vector = tile[0][0].type
    lanes, columns = vector.count, len(tile[0])
    element, bits = vector.element, 8 * compute_dtype(layout.dtype).itemsize
    stack = code.slot(vector, count * columns)
    for r, row in enumerate(tile):
        for c, value in enumerate(row):
            code.b.store(value, code.at(stack, r * columns + c, vector), align=vector_alignment())
    valid = sum(layout.valid)
    if store.epilogue is None and layout.dtype == compute_dtype(layout.dtype):
        target = code.at(store.out, store.offset, element)
        emit_transposition(
            code, bits, stack, columns * lanes, target, layout.lane_stride, count, valid
        )
        return
    room = -(-count // lanes)
    turned = code.slot(vector, columns * lanes * room)
    emit_transposition(code, bits, stack, columns * lanes, turned, lanes * room, count, valid)
    with code.loop(valid) as lane:
        for part in range(room):
            index = code.add(code.mul(lane, room), part)
            value = code.b.load(
                code.at(turned, index, vector), typ=vector, align=vector_alignment()
            )
            place = code.add(code.mul(lane, layout.lane_stride), part * lanes)
            here = min(lanes, count - part * lanes)
            if layout.features == "lanes":
                store(value, place, 1, lane, 0, here)
            else:
                store(value, place, 1, part * lanes, 1, here)


def _store_one_by_one(store: _Store, tile: Accumulators, layout: StoreLayout) -> None:
    """By way of the stack, in a loop over rows and lanes."""
    code = store.code
    vector = tile[0][0].type
    lanes, columns = vector.count, len(tile[0])
    stack = code.slot(vector, len(tile) * columns)
    for r, row in enumerate(tile):
        for c, value in enumerate(row):
            code.b.store(value, code.at(stack, r * columns + c, vector), align=vector_alignment())
    table = constant_table(code.module, "row_offsets", layout.rows)
    with code.loop(len(tile)) as row:
        row_offset = code.b.load(code.at(table, row, i32), typ=i32)
        row_offset = code.b.sext(row_offset, ir.IntType(64))
        for c in range(columns):
            with code.loop(layout.valid[c]) as lane:
                index = code.add(code.mul(code.add(code.mul(row, columns), c), lanes), lane)
                value = code.b.load(code.at(stack, index, vector.element), typ=vector.element)
                place = code.add(row_offset, layout.columns[c], code.mul(lane, layout.lane_stride))
                on_lanes = layout.features == "lanes"
                number = code.add(c * lanes, lane) if on_lanes else row
                store(value, place, layout.lane_stride, number, int(on_lanes), 1)


def vector_alignment() -> int:
    """Alignment of vectors on the stack, bytes."""
    return vector_bytes()
