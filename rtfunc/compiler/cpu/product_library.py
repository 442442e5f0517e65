"""Matrix products: the code that all programs share, compiled once for a machine.

`emit_product` prints a call of

    void rtfunc_product(ptr numbers, ptr functions, ptr out, ptr lhs, ptr rhs, ptr scratch)

into a program, with the numbers of a `ProductPlan`. The routine packs operands that want it and then shares
out blocks of register tiles to the pool's threads. `functions` are the two packing routines and four tiles
(whole ones, and those with fewer rows, fewer columns, or both). Tiles are compiled one by one when a program
first needs them, and kept in the disk cache, so that a new product costs a program next to no compile time.

Depends on `product_plan`, `register_tile`, `transposition`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu.emission import (
    BODY,
    Code,
    Index,
    call_address,
    compute_dtype,
    compute_type,
    i64,
    pointer,
)
from rtfunc.compiler.cpu.product_plan import ProductPlan
from rtfunc.compiler.cpu.register_tile import Level, TileShape, emit_sums, lanes_of, memory_of
from rtfunc.compiler.cpu.transposition import emit_transposition
from rtfunc.core import dtypes

DRIVER = "rtfunc_product"
_TILE = re.compile(r"rtfunc_tile_(\w+)_(\w+)_(\d+)x(\d+)(m?)")
_PACK = re.compile(r"rtfunc_pack_(\w+)")

#: void tile(k, lhs, step, rhs, step, out, step, valid, accumulate): sums over k, their operands being
#: apart by a step, in elements; `valid` lanes of the last vector are stored.
_tile_type = ir.FunctionType(
    ir.VoidType(), [i64, pointer, i64, pointer, i64, pointer, i64, i64, i64]
)
#: void pack(source, feature stride, k stride, panel, width, valid, k): strides in bytes.
_pack_type = ir.FunctionType(ir.VoidType(), [pointer, i64, i64, pointer, i64, i64, i64])
_driver_type = ir.FunctionType(ir.VoidType(), [pointer] * 6)

# Names of the numbers, in order; what follows them is a list of batch axes, and for each operand that is
# packed a list of its own batch axes.
_SIDE = ("width", "feature", "k", "features", "packed", "offset", "panels", "panel_bytes", "batch")
_NUMBERS = (
    "k", "k_block", "k_blocks", "items", "chunk", "pack_items", "pack_chunk", "lhs_items",
    "tiles_down", "tiles_across", "blocks_down", "blocks_across", "down", "across",
    "last_rows", "last_valid", "lanes_valid", "out_row", "out_down", "out_across", "accumulate",
    "size", "axes",
    *(f"lhs_{name}" for name in _SIDE), *(f"rhs_{name}" for name in _SIDE),
)  # fmt: skip
_AXIS = 4  # size, and the distances in lhs, rhs and out
_FUNCTIONS = ("pack_lhs", "pack_rhs", "tile", "tile_down", "tile_across", "tile_both")


def emit_product(
    module: ir.Module,
    builder: ir.IRBuilder,
    plan: ProductPlan,
    out: ir.Value,
    lhs: ir.Value,
    rhs: ir.Value,
    scratch: ir.Value,
) -> None:
    """Print a call that computes a product; `scratch` has `plan.scratch_bytes`."""
    spec = plan.spec
    if 0 in (spec.m, spec.n, *spec.batch):
        return
    tables = _tables(module, plan)
    driver = _declared(module, DRIVER, _driver_type)
    builder.call(driver, [*tables, out, lhs, rhs, scratch])


def _declared(module: ir.Module, name: str, of: ir.FunctionType) -> ir.Function:
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, of, name)


def _tables(module: ir.Module, plan: ProductPlan) -> tuple[ir.Value, ir.Value]:
    """The numbers and the functions of a plan, as constants that equal products share."""
    numbers, functions = _numbers(plan), _function_names(plan)
    name = "product." + ".".join(map(str, (*numbers, *functions)))
    found = module.globals.get(name)
    if found is None:
        kind = ir.ArrayType(i64, len(numbers))
        found = _constant(module, name, kind, [ir.Constant(i64, n) for n in numbers])
        pointers = [
            _declared(module, f, _pack_type if "pack" in f else _tile_type)
            if f
            else ir.Constant(pointer, None)
            for f in functions
        ]
        _constant(module, f"{name}.functions", ir.ArrayType(pointer, len(functions)), pointers)
    return found, module.globals[f"{name}.functions"]


def _constant(
    module: ir.Module, name: str, kind: ir.Type, values: Sequence[ir.Value]
) -> ir.GlobalVariable:
    table = ir.GlobalVariable(module, kind, name)
    table.linkage = "internal"
    table.global_constant = True
    table.initializer = ir.Constant(kind, list(values))
    return table


def _numbers(plan: ProductPlan) -> list[int]:
    spec = plan.spec
    size = compute_dtype(spec.dtype).itemsize
    out_size = (spec.out_dtype or spec.dtype).itemsize
    width = plan.columns * plan.lanes
    blocks = [-(-t // b) for t, b in zip(plan.tiles, plan.blocks)]
    k_blocks = -(-spec.k // plan.k_block) if spec.k else 1
    valid = plan.last_columns % plan.lanes or plan.lanes
    pack_items = [
        side.matrices(spec.batch) * side.panels * side.packed for side in (plan.lhs, plan.rhs)
    ]
    numbers = [
        spec.k, plan.k_block, k_blocks, plan.items, plan.chunk, sum(pack_items), plan.pack_chunk,
        pack_items[0], *plan.tiles, *blocks, *plan.blocks,
        plan.last_rows, valid, plan.lanes,
        spec.out, plan.rows * spec.out * out_size, width * out_size, int(spec.accumulate),
        size, len(spec.batch),
    ]  # fmt: skip
    lists: list[int] = []
    for n, *strides in zip(
        spec.batch,
        plan.lhs.packed_batch(spec.batch) if plan.lhs.packed else plan.lhs.batch,
        plan.rhs.packed_batch(spec.batch) if plan.rhs.packed else plan.rhs.batch,
        (s * out_size for s in spec.out_batch),
        strict=True,
    ):
        lists += [n, *strides]
    sides: list[int] = []
    place = len(_NUMBERS) + len(lists)
    for side in (plan.lhs, plan.rhs):
        own = [(n, s) for n, s in zip(spec.batch, side.batch) if s]
        sides += [
            side.width, side.feature, side.k, side.features, int(side.packed), side.offset,
            side.panels, side.panel_bytes, place,
        ]  # fmt: skip
        lists += [len(own), *(number for axis in own for number in axis)]
        place = len(_NUMBERS) + len(lists)
    return [*numbers, *sides, *lists]


def _function_names(plan: ProductPlan) -> list[str]:
    spec = plan.spec
    wide, out = compute_dtype(spec.dtype), spec.out_dtype or spec.dtype
    pack = f"rtfunc_pack_{spec.dtype}"
    vectors = -(-plan.last_columns // plan.lanes)
    # Whole vectors are read from panels; from the operand itself only what is there.
    partly = plan.last_columns % plan.lanes and not plan.rhs.packed
    tiles = [
        f"rtfunc_tile_{wide}_{out}_{rows}x{columns}{'m' if masked else ''}"
        for columns, masked in ((plan.columns, False), (vectors, partly))
        for rows in (plan.rows, plan.last_rows)
    ]
    return [pack if plan.lhs.packed else "", pack if plan.rhs.packed else "", *tiles]


# The routine.


class _Reader:
    """The tables, where they are read."""

    def __init__(self, code: Code, numbers: ir.Value, functions: ir.Value):
        self.code, self.numbers, self.functions = code, numbers, functions

    def __getitem__(self, name: str) -> ir.Value:
        return self.at(_NUMBERS.index(name))

    def at(self, index: Index) -> ir.Value:
        return self.code.b.load(self.code.at(self.numbers, index, i64), typ=i64)

    def function(self, name: str) -> ir.Value:
        place = self.code.at(self.functions, _FUNCTIONS.index(name), pointer)
        return self.code.b.load(place, typ=pointer)


def _define_driver(module: ir.Module) -> None:
    bodies = []
    for label, body in (("pack", _pack_item), ("compute", _compute_item)):
        function = ir.Function(module, BODY, f"product.{label}")
        function.linkage = "internal"
        code = Code(ir.IRBuilder(function.append_basic_block("entry")))
        context, begin, end, _ = function.args
        numbers, functions, *arrays, part = code.from_context(context, 7)
        with code.loop(end, begin) as item:
            body(code, _Reader(code, numbers, functions), code.value(item), arrays, part)
        code.b.ret_void()
        bodies.append(function)
    function = ir.Function(module, _driver_type, DRIVER)
    code = Code(ir.IRBuilder(function.append_basic_block("entry")))
    b = code.b
    context = code.context([*function.args, ir.Constant(pointer, None)])
    read = _Reader(code, function.args[0], function.args[1])
    items, chunk = read["items"], read["chunk"]
    pack_items, pack_chunk = read["pack_items"], read["pack_chunk"]
    with code.loop(read["k_blocks"]) as part:
        b.store(b.inttoptr(code.value(part), pointer), code.at(context, 6, pointer))
        with code.when(code.less(0, pack_items)):
            code.parallel_for(bodies[0], context, pack_items, pack_chunk)
        code.parallel_for(bodies[1], context, items, chunk)
    b.ret_void()


def _pack_item(
    code: Code, read: _Reader, item: ir.Value, arrays: list[ir.Value], part: ir.Value
) -> None:
    """Pack one panel."""
    b = code.b
    _, lhs, rhs, scratch = arrays
    of_lhs = b.icmp_signed("<", item, read["lhs_items"])

    def either(name: str) -> ir.Value:
        return b.select(of_lhs, read[f"lhs_{name}"], read[f"rhs_{name}"])

    own = b.select(of_lhs, item, b.sub(item, read["lhs_items"]))
    panels, width = either("panels"), either("width")
    number, panel = b.udiv(own, panels), b.urem(own, panels)
    table = either("batch")
    place = b.mul(panel, b.mul(width, either("feature")))
    carried = [number, place]
    count = read.at(table)
    with code.walk(count, [], carried=carried) as (axis, _):  # from the last to the first
        entry = code.add(table, 1, code.mul(code.sub(code.sub(count, 1), axis), 2))
        size = read.at(entry)
        term = b.mul(b.urem(carried[0], size), read.at(code.add(entry, 1)))
        carried[:] = [b.udiv(carried[0], size), b.add(carried[1], term)]
    place = carried[1]
    start = b.mul(b.ptrtoint(part, i64), read["k_block"])
    place = b.add(place, b.mul(start, either("k")))
    count_k = _minimum(code, read["k_block"], b.sub(read["k"], start))
    valid = _minimum(code, width, b.sub(either("features"), b.mul(panel, width)))
    source = b.gep(b.select(of_lhs, lhs, rhs), [place], source_etype=ir.IntType(8))
    target = b.add(either("offset"), b.mul(own, either("panel_bytes")))
    target = b.gep(scratch, [target], source_etype=ir.IntType(8))
    pack = b.select(of_lhs, read.function("pack_lhs"), read.function("pack_rhs"))
    arguments = [source, either("feature"), either("k"), target, width, valid, count_k]
    call_address(b, pack, _pack_type, arguments)


def _compute_item(
    code: Code, read: _Reader, item: ir.Value, arrays: list[ir.Value], part: ir.Value
) -> None:
    """A block of tiles of one matrix."""
    b, byte = code.b, ir.IntType(8)
    out, lhs, rhs, scratch = arrays
    blocks_down, blocks_across = read["blocks_down"], read["blocks_across"]
    block_across = b.urem(item, blocks_across)
    rest = b.udiv(item, blocks_across)
    block_down, number = b.urem(rest, blocks_down), b.udiv(rest, blocks_down)
    start = b.mul(b.ptrtoint(part, i64), read["k_block"])
    count_k = _minimum(code, read["k_block"], b.sub(read["k"], start))

    def side(name: str, base: ir.Value) -> tuple[ir.Value, ...]:
        """Where it begins, how far a panel and a step of k are."""
        packed = b.icmp_signed("!=", read[f"{name}_packed"], code.value(0))
        width, k = read[f"{name}_width"], read[f"{name}_k"]
        begin = b.select(packed, read[f"{name}_offset"], b.mul(start, k))
        panel = b.select(packed, read[f"{name}_panel_bytes"], b.mul(width, read[f"{name}_feature"]))
        step = b.select(packed, width, b.sdiv(k, read["size"]))
        base = b.select(packed, scratch, base)
        return b.gep(base, [begin], source_etype=byte), panel, step

    lhs, lhs_panel, lhs_step = side("lhs", lhs)
    rhs, rhs_panel, rhs_step = side("rhs", rhs)
    carried = [number, code.value(0), code.value(0), code.value(0)]
    axes = read["axes"]
    with code.walk(axes, [], carried=carried) as (axis, _):
        back = code.sub(code.sub(axes, 1), axis)
        entry = code.add(len(_NUMBERS), code.mul(back, _AXIS))
        size = read.at(entry)
        index = b.urem(carried[0], size)
        following = [b.udiv(carried[0], size)]
        for i in range(3):
            term = b.mul(index, read.at(code.add(entry, 1 + i)))
            following.append(b.add(carried[1 + i], term))
        carried[:] = following
    lhs, rhs, out = (
        b.gep(base, [offset], source_etype=byte)
        for base, offset in zip((lhs, rhs, out), carried[1:])
    )
    down, across = read["down"], read["across"]
    tiles_down, tiles_across = read["tiles_down"], read["tiles_across"]
    first_down, first_across = b.mul(block_down, down), b.mul(block_across, across)
    stop_down = _minimum(code, b.add(first_down, down), tiles_down)
    stop_across = _minimum(code, b.add(first_across, across), tiles_across)
    last_down, last_across = b.sub(tiles_down, code.value(1)), b.sub(tiles_across, code.value(1))
    whole, lower = read.function("tile"), read.function("tile_down")
    whole_right, lower_right = read.function("tile_across"), read.function("tile_both")
    out_row, out_down, out_across = read["out_row"], read["out_down"], read["out_across"]
    last_valid, all_valid = read["last_valid"], read["lanes_valid"]
    later = b.icmp_signed("<", code.value(0), start)
    accumulate = b.select(later, code.value(1), read["accumulate"])

    def place(base: ir.Value, number: ir.Value, distance: ir.Value) -> ir.Value:
        return b.gep(base, [b.mul(number, distance)], source_etype=byte)

    with code.loop(stop_across, first_across) as column:
        column = code.value(column)
        at_right = b.icmp_signed("==", column, last_across)
        upper = b.select(at_right, whole_right, whole)
        bottom = b.select(at_right, lower_right, lower)
        valid = b.select(at_right, last_valid, all_valid)
        rhs_tile, out_column = place(rhs, column, rhs_panel), place(out, column, out_across)
        with code.loop(stop_down, first_down) as row:
            row = code.value(row)
            tile = b.select(b.icmp_signed("==", row, last_down), bottom, upper)
            arguments = [
                count_k, place(lhs, row, lhs_panel), lhs_step, rhs_tile, rhs_step,
                place(out_column, row, out_down), out_row, valid, accumulate,
            ]  # fmt: skip
            call_address(b, tile, _tile_type, arguments)


def _minimum(code: Code, x: ir.Value, y: ir.Value) -> ir.Value:
    return code.value(code.minimum(x, y))


# Tiles.


def _define_tile(
    module: ir.Module,
    name: str,
    wide: np.dtype,
    out: np.dtype,
    rows: int,
    columns: int,
    masked: bool,
) -> None:
    function = ir.Function(module, _tile_type, name)
    code = Code(ir.IRBuilder(function.append_basic_block("entry")))
    k, lhs, lhs_step, rhs, rhs_step, target, target_step, valid, accumulate = function.args
    lanes = lanes_of(wide)
    shape = TileShape(
        wide,
        lanes,
        tuple(range(rows)),
        tuple(range(0, columns * lanes, lanes)),
        column_valid=valid if masked else None,
    )
    sums = emit_sums(code, shape, lhs, rhs, [Level(k, lhs_step, rhs_step)])
    row_pointers = [target]
    for _ in range(rows - 1):
        row_pointers.append(code.at(row_pointers[-1], target_step, memory_of(out)))
    places = [
        [code.at(row, c * lanes, memory_of(out)) for c in range(columns)] for row in row_pointers
    ]

    def store(values: Sequence[Sequence[ir.Value]]) -> None:
        for value_row, place_row in zip(values, places):
            for c, (value, place) in enumerate(zip(value_row, place_row)):
                code.store(value, place, out, valid if c == columns - 1 else None)

    adds = code.b.icmp_signed("!=", accumulate, code.value(0))
    with code.when(adds):
        added = []
        for value_row, place_row in zip(sums, places):
            row = []
            for c, (value, place) in enumerate(zip(value_row, place_row)):
                old = code.load(place, out, lanes, valid if c == columns - 1 else None)
                row.append(code.b.fadd(value, old))
            added.append(row)
        store(added)
    with code.when(code.b.not_(adds)):
        store(sums)
    code.b.ret_void()


# Packing.


def _define_pack(module: ir.Module, name: str, dtype: np.dtype) -> None:
    """Bring features of an operand next to each other, widened to the dtype of computation."""
    function = ir.Function(module, _pack_type, name)
    code = Code(ir.IRBuilder(function.append_basic_block("entry")))
    source, feature, k_stride, target, width, valid, k = function.args
    b, byte = code.b, ir.IntType(8)
    wide, element, lanes = compute_dtype(dtype), compute_type(dtype), lanes_of(dtype)
    size = code.value(dtype.itemsize)

    def copy_rows() -> None:
        """Features are contiguous."""
        whole = b.sub(valid, b.urem(valid, code.value(lanes)))
        moving = [(source, k_stride, byte), (target, width, element)]
        with code.walk(k, moving) as (_, (row, goal)):
            with code.loop(whole, 0, lanes) as i:
                value = code.load(code.at(row, i, memory_of(dtype)), dtype, lanes)
                code.store(value, code.at(goal, i, element), wide)
            with code.loop(valid, whole) as i:
                value = code.load(code.at(row, i, memory_of(dtype)), dtype)
                code.store(value, code.at(goal, i, element), wide)

    def turn() -> None:
        """Elements of a sum are contiguous: a transposition, of widened elements."""
        bits = 8 * wide.itemsize
        if dtype == wide:
            distance = b.sdiv(feature, size)
            emit_transposition(code, bits, source, distance, target, width, valid, k)
            return
        room = 64  # elements of a sum at a time, of 16 features
        slot = code.slot(element, 16 * room)
        stack = b.inttoptr(b.ptrtoint(slot, i64), pointer)  # free of the type of its elements
        with code.loop(valid, 0, 16) as first, code.loop(k, 0, room) as start:
            count = _minimum(code, code.value(room), code.value(code.sub(k, start)))
            rows = _minimum(code, code.value(16), code.value(code.sub(valid, first)))
            with code.loop(rows) as row:
                place = code.at(source, code.mul(code.add(first, row), feature), byte)
                with code.loop(count, 0, lanes) as i:
                    part = code.at(place, code.add(start, i), memory_of(dtype))
                    value = code.load(part, dtype, lanes, code.sub(count, i))
                    code.store(
                        value, code.at(stack, code.add(code.mul(row, room), i), element), wide
                    )
            goal = code.at(target, code.add(code.mul(start, width), first), element)
            emit_transposition(code, bits, stack, room, goal, width, rows, count)

    def gather() -> None:
        moving = [(source, k_stride, byte), (target, width, element)]
        with (
            code.walk(k, moving) as (_, (row, goal)),
            code.walk(valid, [(row, feature, byte), (goal, 1, element)]) as (_, (place, end)),
        ):
            code.store(code.load(place, dtype), end, wide)

    rest = code.sub(width, valid)  # features that are not there count as 0
    columns = [(code.at(target, valid, element), width, element)]
    with code.walk(k, columns) as (_, (goal,)), code.loop(rest) as i:
        code.store(ir.Constant(element, 0.0), code.at(goal, i, element), wide)
    together = b.icmp_signed("==", feature, size)
    runs = b.icmp_signed("==", k_stride, size)
    others = b.not_(together)
    with code.when(together):
        copy_rows()
    with code.when(b.and_(others, runs)):
        turn()
    with code.when(b.and_(others, b.not_(runs))):
        gather()
    code.b.ret_void()


# The library.


def routines(library: str) -> ir.Module:
    """The routine of this name."""
    module = ir.Module(library)
    tile, pack = _TILE.fullmatch(library), _PACK.fullmatch(library)
    if tile:
        wide, out, rows, columns, masked = tile.groups()
        _define_tile(
            module, library, dtypes.as_dtype(wide), dtypes.as_dtype(out), int(rows), int(columns),
            bool(masked),
        )  # fmt: skip
    elif pack:
        _define_pack(module, library, dtypes.as_dtype(pack[1]))
    else:
        _define_driver(module)
    return module
