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

#: Rows that are turned together.
_GROUP = 4


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

    # Two short loops by way of the stack: one network of shuffles for all would take four times as long to
    # compile. The first turns groups of rows, after which each vector has the rows of a group, column by
    # column; the second brings the groups of a column together.
    group = min(_GROUP, lanes)
    groups = lanes // group
    stack = code.slot(vector, lanes)

    def square(source: ir.Value, target: ir.Value, rows: Index, columns: Index) -> None:
        """A block of at most a vector of rows and one of columns; sizes are ints if full."""
        with code.loop(_parts(code, rows, group)) as number:
            first, loaded = code.mul(number, group), []
            for i in range(group):
                row: Index = code.add(first, i)
                if rows != lanes:
                    row = code.minimum(row, code.sub(rows, 1))
                place = code.at(source, code.mul(source_stride, row), element)
                loaded.append(_load(code, place, vector, columns, align))
            for i, value in enumerate(code.transpose(loaded)):
                place = code.at(stack, code.add(code.mul(i, groups), number), vector)
                code.b.store(value, place, align=vector_bytes())
        with code.loop(_parts(code, columns, groups)) as number:
            first, loaded = code.mul(number, groups), []
            for i in range(groups):
                place = code.at(stack, code.add(first, i), vector)
                loaded.append(code.b.load(place, typ=vector, align=vector_bytes()))
            for i, value in enumerate(code.transpose(loaded, together=group)):
                column = code.add(first, i)
                with code.when(columns == lanes or code.less(column, columns)):
                    place = code.at(target, code.mul(target_stride, column), element)
                    _store(code, value, place, rows, align)

    with code.loop(rows, 0, lanes) as first_row, code.loop(columns, 0, lanes) as first_column:
        from_place = code.add(code.mul(source_stride, first_row), first_column)
        to_place = code.add(code.mul(target_stride, first_column), first_row)
        block_source, block_target = (
            code.at(source, from_place, element),
            code.at(target, to_place, element),
        )
        rows_left = code.minimum(code.sub(rows, first_row), lanes)
        columns_left = code.minimum(code.sub(columns, first_column), lanes)
        assert isinstance(rows_left, ir.Value)
        assert isinstance(columns_left, ir.Value)
        for condition, sizes in _forms(code, lanes, rows_left, columns_left):
            with code.when(condition):
                square(block_source, block_target, *sizes)
    code.b.ret_void()


def _parts(code: Code, size: Index, of: int) -> Index:
    """How many parts of a size there are, the last one perhaps smaller."""
    return code.divide(code.add(size, of - 1), of)[0]


def _load(code: Code, place: ir.Value, of: ir.VectorType, valid: Index, align: int) -> ir.Value:
    if valid == of.count:
        return code.b.load(place, typ=of, align=align)
    mask = code.lane_mask(valid, of.count)
    return code.masked_load(place, of.element, align, mask, of.count)


def _store(code: Code, value: ir.Value, place: ir.Value, valid: Index, align: int) -> None:
    lanes = value.type.count
    if valid == lanes:
        code.b.store(value, place, align=align)
        return
    name = f"llvm.masked.store.v{lanes}{value.type.element.intrinsic_name}.p0"
    mask = code.lane_mask(valid, lanes)
    code.intrinsic(name, ir.VoidType(), value, place, ir.Constant(i32, align), mask)


def _forms(
    code: Code, lanes: int, rows: ir.Value, columns: ir.Value
) -> list[tuple[ir.Value | bool, tuple[Index, Index]]]:
    """Conditions, and for each the sizes of the block, ints if full."""
    if vector_bytes() == 64:  # masks cost nothing there: one form serves all
        return [(True, (rows, columns))]
    size = code.value(lanes)
    whole_columns = code.b.icmp_signed("<=", size, columns)
    full = code.b.and_(code.b.icmp_signed("<=", size, rows), whole_columns)
    return [(full, (lanes, lanes)), (code.b.not_(full), (rows, columns))]


def routines(library: str) -> ir.Module:
    """The routine of this name."""
    module = ir.Module(library)
    _define(module, int(library.removeprefix(SYMBOL_PREFIX)))
    return module
