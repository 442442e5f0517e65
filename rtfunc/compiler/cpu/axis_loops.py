"""Arrays seen along one axis, as the templates of cumulations, arg-reductions and sorting see them.

An operation along an axis sees its operand as a box (outer, length, inner): the axes before it, the
axis, and the axes after it. Its sequences are independent, so they are spread over the pool in
chunks that depend on the shape alone. Depends on `emission`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llvmlite import ir

from rtfunc.compiler.cpu.emission import BODY, Code, i64, pointer

#: Work, in units of about 0.2 ns, that is worth a second thread, and a chunk.
_PARALLEL_COST = 60_000
_CHUNK_COST = 30_000
_MAX_CHUNKS = 64


def around_axis(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Sizes before, along and after an axis."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def emit_items(
    module: ir.Module,
    name: str,
    items: int,
    cost: int,
    body: Callable[[Code, ir.Value, ir.Value, ir.Value], None],
    grain: int | None = None,
) -> None:
    """Print `void name(ptr table)`, which runs a body over items, in parallel where that pays.

    Arguments: cost: of an item, in units of about 0.2 ns; body: prints what is done with the items
    from the second to the third argument, given the table; grain: items of a chunk, chosen by cost
    if None.
    """
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer]), name)
    function.attributes.add("nounwind")
    inner = ir.Function(module, BODY, f"{name}_items")
    inner.linkage = "internal"
    inner.attributes.add("nounwind")
    inner.attributes.add("noinline")
    code = Code(ir.IRBuilder(inner.append_basic_block("entry")))
    table, begin, end, _ = inner.args
    body(code, table, begin, end)
    code.b.ret_void()
    code = Code(ir.IRBuilder(function.append_basic_block("entry")))
    (table,) = function.args
    if grain is None and items * cost < _PARALLEL_COST:
        grain = items
    if items == 1 or grain == items:
        code.b.call(inner, [table, i64(0), i64(items), i64(0)])
    else:
        if grain is None:
            grain = max(-(-_CHUNK_COST // cost), -(-items // _MAX_CHUNKS))
        code.parallel_for(inner, table, items, grain)
    code.b.ret_void()


def stack_array(code: Code, of: ir.Type, count: int) -> ir.Value:
    """Memory on the stack for any type of access, at the start of a cache line."""
    array = code.slot(of, count)
    array.align = 64
    array.type = pointer
    return array
