"""A native routine that templates call: transposing a small matrix in vector registers.

    void rtfunc_transpose_BITS(ptr source, i64 source_stride, ptr target, i64 target_stride,
                               i64 rows, i64 columns)

sets target[c * target_stride + r] = source[r * source_stride + c] for elements of BITS bits (32 or 64);
strides are in elements, and the arrays must not overlap. It is one of the `library`, since the shuffles of
such a network take LLVM tens of milliseconds.

Depends on `emission`, `target`.
"""

from __future__ import annotations

from llvmlite import ir

from rtfunc.compiler.cpu.emission import Code, Index, i32, i64, pointer
from rtfunc.compiler.cpu.target import vector_bytes

SYMBOL_PREFIX = "rtfunc_transpose_"


def emit_transposition(
    code: Code,
    bits: int,
    source: ir.Value,
    source_stride: Index,
    target: ir.Value,
    target_stride: Index,
    rows: Index,
    columns: Index,
) -> None:
    """Call the routine."""
    name = f"{SYMBOL_PREFIX}{bits}"
    function = code.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [pointer, i64, pointer, i64, i64, i64])
        function = ir.Function(code.module, kind, name)
    sizes = [code.value(n) for n in (source_stride, target_stride, rows, columns)]
    code.b.call(function, [source, sizes[0], target, *sizes[1:]])


def _define(module: ir.Module, bits: int) -> None:
    lanes = vector_bytes() * 8 // bits
    element: ir.Type = ir.FloatType() if bits == 32 else ir.DoubleType()
    vector = ir.VectorType(element, lanes)
    kind = ir.FunctionType(ir.VoidType(), [pointer, i64, pointer, i64, i64, i64])
    function = ir.Function(module, kind, f"{SYMBOL_PREFIX}{bits}")
    function.attributes.add("nounwind")
    source, source_stride, target, target_stride, rows, columns = function.args
    code = Code(ir.IRBuilder(function.append_basic_block("entry")))
    align = bits // 8

    def square(source: ir.Value, target: ir.Value, count: int, rows: Index, columns: Index) -> None:
        """A block of at most `count` rows and one vector of columns; sizes are ints if full."""
        loaded = []
        for row in range(count):
            number: Index = row if rows == count else code.minimum(row, code.sub(rows, 1))
            place = code.at(source, code.mul(source_stride, number), element)
            if columns == lanes:
                loaded.append(code.b.load(place, typ=vector, align=align))
            else:
                mask = code.lane_mask(columns, lanes)
                loaded.append(code.masked_load(place, element, align, mask, lanes))
        mixed = code.transpose(loaded)
        row_mask = code.lane_mask(rows, lanes)
        for column in range(lanes):
            which, part = divmod(column * count, lanes)
            value = mixed[which]
            if count < lanes:
                chosen = [part + i if i < count else part for i in range(lanes)]
                value = code.shuffle(value, value, chosen)
            place = code.at(target, code.mul(target_stride, column), element)
            if rows == lanes and columns == lanes:
                code.b.store(value, place, align=align)
                continue
            mask = row_mask
            if columns != lanes:
                here = code.splat(code.b.icmp_signed("<", code.value(column), columns), lanes)
                mask = code.b.and_(row_mask, here)
            suffix = f"v{lanes}{element.intrinsic_name}.p0"
            code.intrinsic(
                f"llvm.masked.store.{suffix}",
                ir.VoidType(),
                value,
                place,
                ir.Constant(i32, align),
                mask,
            )

    with code.loop(rows, 0, lanes) as first_row, code.loop(columns, 0, lanes) as first_column:
        from_place = code.add(code.mul(source_stride, first_row), first_column)
        to_place = code.add(code.mul(target_stride, first_column), first_row)
        block_source, block_target = (
            code.at(source, from_place, element),
            code.at(target, to_place, element),
        )
        rows_left, columns_left = code.sub(rows, first_row), code.sub(columns, first_column)
        assert isinstance(rows_left, ir.Value)
        assert isinstance(columns_left, ir.Value)
        for condition, (count, rows_here, columns_here) in _forms(
            code, lanes, rows_left, columns_left
        ):
            with code.when(condition):
                square(block_source, block_target, count, rows_here, columns_here)
    code.b.ret_void()


def _forms(
    code: Code, lanes: int, rows: ir.Value, columns: ir.Value
) -> list[tuple[ir.Value | bool, tuple[int, Index, Index]]]:
    """Conditions, and for each how many rows are loaded, and the sizes of the block, ints if full."""
    if (
        vector_bytes() == 64
    ):  # masks cost nothing there: one form serves all, in a third of the code
        return [(True, (lanes, rows, columns))]
    size = code.value(lanes)
    whole_columns = code.b.icmp_signed("<=", size, columns)
    full = code.b.and_(code.b.icmp_signed("<=", size, rows), whole_columns)
    rest = code.b.not_(full)
    forms: list[tuple[ir.Value | bool, tuple[int, Index, Index]]] = [(full, (lanes, lanes, lanes))]
    if lanes > 2:
        few = code.b.icmp_signed("<=", rows, code.value(lanes // 2))
        few = code.b.and_(few, whole_columns)
        forms.append((few, (lanes // 2, rows, lanes)))
        rest = code.b.and_(rest, code.b.not_(few))
    return [*forms, (rest, (lanes, rows, columns))]


def routines(library: str) -> ir.Module:
    """The routine of this name."""
    module = ir.Module(library)
    _define(module, int(library.removeprefix(SYMBOL_PREFIX)))
    return module
