"""Matrix products: the code that all programs share, compiled once for a machine.

`emit_product` prints a call of

    void rtfunc_product(ptr numbers, ptr functions, ptr out, ptr lhs, ptr rhs, ptr scratch, ptr frame)

into a program, with the numbers of a `ProductPlan`. The routine packs operands that want it and then shares
out blocks of register tiles to the pool's threads. `functions` are the packing routine, the tile, and the
epilogue or null: what is run, with the pointers in `frame`, on each block of the result that is complete.
Tiles are compiled one by one when a program first needs them, and kept in the disk cache, so that a new
product costs a program next to no compile time.

Depends on `product_plan`, `register_tile`, `transposition`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

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
from rtfunc.compiler.cpu.register_tile import (
    Level,
    TileShape,
    emit_sums,
    lanes_of,
    memory_of,
    vector_alignment,
)
from rtfunc.compiler.cpu.transposition import emit_transposition
from rtfunc.core import dtypes

DRIVER = "rtfunc_product"
_TILE = re.compile(r"rtfunc_tile_(\w+)_(\w+)_(\d+)x(\d+)")
_PACK = re.compile(r"rtfunc_pack_(\w+)")

#: void tile(k, lhs, step, rhs, step, out, step, rows, columns, accumulate): sums over k, their operands
#: being apart by a step, in elements; so many rows and columns of the tile are stored.
_tile_type = ir.FunctionType(
    ir.VoidType(), [i64, pointer, i64, pointer, i64, pointer, i64, i64, i64, i64]
)
#: void pack(source, feature stride, k stride, panel, width, valid, k): strides in bytes.
_pack_type = ir.FunctionType(ir.VoidType(), [pointer, i64, i64, pointer, i64, i64, i64])
_driver_type = ir.FunctionType(ir.VoidType(), [pointer] * 7)
#: void epilogue(frame, first row, end of rows, first column, end of columns); rows are those of all matrices.
epilogue_type = ir.FunctionType(ir.VoidType(), [pointer, i64, i64, i64, i64])

# Names of the numbers, in order; what follows them is a list of batch axes, and for each operand that is
# packed a list of its own batch axes.
_SIDE = ("width", "feature", "k", "features", "first", "packed", "offset", "panel_bytes", "batch")
_NUMBERS = (
    "k", "k_block", "k_blocks", "items", "chunk", "pack_items", "pack_chunk", "lhs_items",
    "tiles_down", "tiles_across", "blocks_down", "blocks_across", "down", "across",
    "m", "n", "rows", "width", "out_row", "out_down", "out_across", "accumulate",
    "size", "axes",
    *(f"lhs_{name}" for name in _SIDE), *(f"rhs_{name}" for name in _SIDE),
)  # fmt: skip
_AXIS = 6  # size, and the distances in lhs, rhs, packed lhs, packed rhs and out
_FUNCTIONS = ("pack", "tile", "epilogue")


def emit_product(
    module: ir.Module,
    builder: ir.IRBuilder,
    plan: ProductPlan,
    out: ir.Value,
    lhs: ir.Value,
    rhs: ir.Value,
    scratch: ir.Value,
    epilogue: tuple[str, ir.Value] | None = None,
) -> None:
    """Print a call that computes a product; `scratch` has `plan.scratch_bytes`.

    `epilogue` is the name of a function of `epilogue_type`, and its frame.
    """
    spec = plan.spec
    if 0 in (spec.m, spec.n, *spec.batch):
        return
    following, frame = (None, ir.Constant(pointer, None)) if epilogue is None else epilogue
    tables = _tables(module, plan, following)
    driver = _declared(module, DRIVER, _driver_type)
    builder.call(driver, [*tables, out, lhs, rhs, scratch, frame])


def _declared(module: ir.Module, name: str, of: ir.FunctionType) -> ir.Function:
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, of, name)


def _tables(
    module: ir.Module, plan: ProductPlan, epilogue: str | None
) -> tuple[ir.Value, ir.Value]:
    """The numbers and the functions of a plan, as constants that equal products share."""
    numbers, functions = _numbers(plan), _function_names(plan)
    name = "product." + ".".join(map(str, (*numbers, *functions, epilogue or "")))
    found = module.globals.get(name)
    if found is None:
        kind = ir.ArrayType(i64, len(numbers))
        found = _constant(module, name, kind, [ir.Constant(i64, n) for n in numbers])
        pointers = [
            _declared(module, f, _pack_type if "pack" in f else _tile_type) for f in functions
        ]
        if epilogue is None:
            pointers.append(ir.Constant(pointer, None))
        else:
            pointers.append(_declared(module, epilogue, epilogue_type))
        _constant(module, f"{name}.functions", ir.ArrayType(pointer, len(pointers)), pointers)
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
    pack_items = [side.packed_panels(spec.batch) for side in (plan.lhs, plan.rhs)]
    numbers = [
        spec.k, plan.k_block, k_blocks, plan.items, plan.chunk, sum(pack_items), plan.pack_chunk,
        pack_items[0], *plan.tiles, *blocks, *plan.blocks,
        spec.m, spec.n, plan.rows, width,
        spec.out, plan.rows * spec.out * out_size, width * out_size, int(spec.accumulate),
        size, len(spec.batch),
    ]  # fmt: skip
    lists: list[int] = []
    for n, *strides in zip(
        spec.batch,
        plan.lhs.batch,
        plan.rhs.batch,
        plan.lhs.packed_batch(spec.batch),
        plan.rhs.packed_batch(spec.batch),
        (s * out_size for s in spec.out_batch),
        strict=True,
    ):
        lists += [n, *strides]
    sides: list[int] = []
    place = len(_NUMBERS) + len(lists)
    for side in (plan.lhs, plan.rhs):
        own = [(n, s) for n, s in zip(spec.batch, side.batch) if s]
        sides += [
            side.width, side.feature, side.k, side.features, side.first, side.packed, side.offset,
            side.panel_bytes, place,
        ]  # fmt: skip
        lists += [len(own), *(number for axis in own for number in axis)]
        place = len(_NUMBERS) + len(lists)
    return [*numbers, *sides, *lists]


def _function_names(plan: ProductPlan) -> list[str]:
    spec = plan.spec
    wide, out = compute_dtype(spec.dtype), spec.out_dtype or spec.dtype
    tile = f"rtfunc_tile_{wide}_{out}_{plan.rows}x{plan.columns}"
    return [f"rtfunc_pack_{spec.dtype}", tile]


# The routine.


Panels: TypeAlias = Callable[[ir.Value], tuple[ir.Value, ir.Value]]
"""From the number of a panel to its address and the distance of its steps of k, in elements."""


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
        numbers, functions, *arrays, part = code.from_context(context, 8)
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
        b.store(b.inttoptr(code.value(part), pointer), code.at(context, 7, pointer))
        with code.when(code.less(0, pack_items)):
            code.parallel_for(bodies[0], context, pack_items, pack_chunk)
        code.parallel_for(bodies[1], context, items, chunk)
    b.ret_void()


def _pack_item(
    code: Code, read: _Reader, item: ir.Value, arrays: list[ir.Value], part: ir.Value
) -> None:
    """Pack one panel."""
    b = code.b
    _, lhs, rhs, scratch, _ = arrays
    of_lhs = b.icmp_signed("<", item, read["lhs_items"])

    def either(name: str) -> ir.Value:
        return b.select(of_lhs, read[f"lhs_{name}"], read[f"rhs_{name}"])

    own = b.select(of_lhs, item, b.sub(item, read["lhs_items"]))
    panels, width = either("packed"), either("width")
    number, panel = b.udiv(own, panels), b.add(b.urem(own, panels), either("first"))
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
    pack = read.function("pack")
    arguments = [source, either("feature"), either("k"), target, width, valid, count_k]
    call_address(b, pack, _pack_type, arguments)


def _compute_item(
    code: Code, read: _Reader, item: ir.Value, arrays: list[ir.Value], part: ir.Value
) -> None:
    """A block of tiles of one matrix."""
    b, byte = code.b, ir.IntType(8)
    out, lhs, rhs, scratch, frame = arrays
    blocks_down, blocks_across = read["blocks_down"], read["blocks_across"]
    block_across = b.urem(item, blocks_across)
    rest = b.udiv(item, blocks_across)
    block_down, number = b.urem(rest, blocks_down), b.udiv(rest, blocks_down)
    start = b.mul(b.ptrtoint(part, i64), read["k_block"])
    count_k = _minimum(code, read["k_block"], b.sub(read["k"], start))

    carried = [number, *[code.value(0)] * (_AXIS - 1)]
    axes = read["axes"]
    with code.walk(axes, [], carried=carried) as (axis, _):
        back = code.sub(code.sub(axes, 1), axis)
        entry = code.add(len(_NUMBERS), code.mul(back, _AXIS))
        size = read.at(entry)
        index = b.urem(carried[0], size)
        following = [b.udiv(carried[0], size)]
        for i, place in enumerate(carried[1:]):
            following.append(b.add(place, b.mul(index, read.at(code.add(entry, 1 + i)))))
        carried[:] = following
    _, lhs_place, rhs_place, lhs_packed, rhs_packed, out_place = carried
    out = b.gep(out, [out_place], source_etype=byte)

    def panels(name: str, base: ir.Value, place: ir.Value, packed: ir.Value) -> Panels:
        """Where an operand's panels are, and how far steps of k in them."""
        k, first, distance = read[f"{name}_k"], read[f"{name}_first"], read[f"{name}_panel_bytes"]
        width, feature = read[f"{name}_width"], read[f"{name}_feature"]
        plain = b.gep(base, [b.add(place, b.mul(start, k))], source_etype=byte)
        packed = b.sub(b.add(packed, read[f"{name}_offset"]), b.mul(first, distance))
        held = b.gep(scratch, [packed], source_etype=byte)
        plain_distance, plain_step = b.mul(width, feature), b.sdiv(k, read["size"])

        def panel(number: ir.Value) -> tuple[ir.Value, ir.Value]:
            is_packed = b.icmp_signed("<=", first, number)
            far = b.mul(number, b.select(is_packed, distance, plain_distance))
            address = b.gep(b.select(is_packed, held, plain), [far], source_etype=byte)
            return address, b.select(is_packed, width, plain_step)

        return panel

    lhs_panel = panels("lhs", lhs, lhs_place, lhs_packed)
    rhs_panel = panels("rhs", rhs, rhs_place, rhs_packed)
    down, across = read["down"], read["across"]
    tiles_down, tiles_across = read["tiles_down"], read["tiles_across"]
    first_down, first_across = b.mul(block_down, down), b.mul(block_across, across)
    stop_down = _minimum(code, b.add(first_down, down), tiles_down)
    stop_across = _minimum(code, b.add(first_across, across), tiles_across)
    tile, rows, width = read.function("tile"), read["rows"], read["width"]
    out_row, out_down, out_across = read["out_row"], read["out_down"], read["out_across"]
    m, n = read["m"], read["n"]
    later = b.icmp_signed("<", code.value(0), start)
    accumulate = b.select(later, code.value(1), read["accumulate"])

    def place(base: ir.Value, number: ir.Value, distance: ir.Value) -> ir.Value:
        return b.gep(base, [b.mul(number, distance)], source_etype=byte)

    with code.loop(stop_across, first_across) as column:
        column = code.value(column)
        columns = _minimum(code, width, b.sub(n, b.mul(column, width)))
        (rhs_tile, rhs_step), out_column = rhs_panel(column), place(out, column, out_across)
        with code.loop(stop_down, first_down) as row:
            row = code.value(row)
            arguments = [
                count_k, *lhs_panel(row), rhs_tile, rhs_step,
                place(out_column, row, out_down), out_row,
                _minimum(code, rows, b.sub(m, b.mul(row, rows))), columns, accumulate,
            ]  # fmt: skip
            call_address(b, tile, _tile_type, arguments)
    epilogue = read.function("epilogue")
    complete = b.icmp_signed("<=", read["k"], b.add(start, read["k_block"]))
    wanted = b.icmp_unsigned("!=", b.ptrtoint(epilogue, i64), code.value(0))
    with code.when(b.and_(complete, wanted)):
        above = b.mul(number, m)
        arguments = [
            frame,
            b.add(above, b.mul(first_down, rows)),
            b.add(above, _minimum(code, m, b.mul(stop_down, rows))),
            b.mul(first_across, width),
            _minimum(code, n, b.mul(stop_across, width)),
        ]
        call_address(b, epilogue, epilogue_type, arguments)


def _minimum(code: Code, x: ir.Value, y: ir.Value) -> ir.Value:
    return code.value(code.minimum(x, y))


# Tiles.


def _define_tile(
    module: ir.Module, name: str, wide: np.dtype, out: np.dtype, rows: int, columns: int
) -> None:
    function = ir.Function(module, _tile_type, name)
    code = Code(ir.IRBuilder(function.append_basic_block("entry")))
    k, lhs, lhs_step, rhs, rhs_step, target, step, valid_rows, valid_columns, accumulate = (
        function.args
    )
    b, lanes = code.b, lanes_of(wide)
    places = tuple(range(0, columns * lanes, lanes))
    shape = TileShape(wide, lanes, tuple(range(rows)), places)
    sums = emit_sums(code, shape, lhs, rhs, [Level(k, lhs_step, rhs_step)])
    whole = b.and_(
        b.icmp_signed("==", valid_rows, code.value(rows)),
        b.icmp_signed("==", valid_columns, code.value(columns * lanes)),
    )
    plain = b.and_(whole, b.icmp_signed("==", accumulate, code.value(0)))
    with code.when(plain):
        row = target
        for values in sums:
            for c, value in enumerate(values):
                code.store(value, code.at(row, places[c], memory_of(out)), out)
            row = code.at(row, step, memory_of(out))
    with code.when(b.not_(plain)):
        # Edges, and sums in parts: row by row from the stack, with what is there already.
        vector = sums[0][0].type
        stack = code.slot(vector, rows * columns)
        for i, value in enumerate(value for values in sums for value in values):
            b.store(value, code.at(stack, i, vector), align=vector_alignment())
        adds = b.icmp_signed("!=", accumulate, code.value(0))
        moving = [(target, step, memory_of(out)), (stack, columns, vector)]
        with code.walk(valid_rows, moving) as (_, (row, held)):
            for c in range(columns):
                valid = code.sub(valid_columns, places[c])
                place = code.at(row, places[c], memory_of(out))
                value = b.load(code.at(held, c, vector), typ=vector, align=vector_alignment())
                with code.when(adds):
                    old = code.load(place, out, lanes, valid)
                    code.store(b.fadd(value, old), place, out, valid)
                with code.when(b.not_(adds)):
                    code.store(value, place, out, valid)
    b.ret_void()


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
        wide, out, rows, columns = tile.groups()
        dtype = dtypes.as_dtype(wide)
        _define_tile(module, library, dtype, dtypes.as_dtype(out), int(rows), int(columns))
    elif pack:
        _define_pack(module, library, dtypes.as_dtype(pack[1]))
    else:
        _define_driver(module)
    return module
