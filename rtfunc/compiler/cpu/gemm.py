"""Matrix products of small, thin or many matrices, as a native template.

    out[b, m, n] = sum over k of lhs[b, m, k] * rhs[b, k, n]  (+ out[b, m, n])

with all sizes and strides known. Register tiles read the operands where they lie, so there is next to
nothing to do beside the products; only a right operand whose columns are not contiguous is packed first.
Row tiles of all matrices of a batch are shared out to the pool's threads. For large single matrices
OpenBLAS, which also packs the left operand, is the better choice: `choose_gemm` says which.

Depends on `packing`, `register_tile`, `emission`.
"""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from rtfunc.compiler.cpu import engine
from rtfunc.compiler.cpu.emission import (
    BODY,
    Code,
    Emitted,
    Index,
    check_float,
    compute_dtype,
    compute_type,
    i64,
    new_function,
    pointer,
)
from rtfunc.compiler.cpu.packing import PackAxis, PanelPacker
from rtfunc.compiler.cpu.register_tile import (
    Epilogue,
    Level,
    OutputPosition,
    StoreLayout,
    TileShape,
    balanced,
    emit_store,
    emit_sums,
    lanes_of,
    memory_of,
    most_rows,
)

_BLOCK_BYTES = 512 << 10
_STREAM_BYTES = 16 << 20
_PACK_K = 64
_PACK_DISTANCE = 2048
_WORK_OF_CHUNK = 1 << 18
"""Products for which it pays to wake another thread, some 5 µs of them."""


@dataclass(frozen=True)
class GemmSpec:
    """The static parameters of a (batched) matrix product.

    Attributes:
        m, n, k: sizes: lhs is m by k, rhs k by n, out m by n.
        dtype: of all three: float32, float64, float16 or bfloat16; sums of the latter are float32.
        lhs: strides of m and k, in elements.
        rhs: strides of k and n.
        out: strides of m and n.
        batch: sizes of the batch axes.
        lhs_batch, rhs_batch, out_batch: strides of the batch axes; 0 where an operand has none.
        accumulate: add to `out` rather than set it.
        out_dtype: of the output; None for `dtype`.
    """

    m: int
    n: int
    k: int
    dtype: np.dtype
    lhs: tuple[int, int]
    rhs: tuple[int, int]
    out: tuple[int, int]
    batch: tuple[int, ...] = ()
    lhs_batch: tuple[int, ...] = ()
    rhs_batch: tuple[int, ...] = ()
    out_batch: tuple[int, ...] = ()
    accumulate: bool = False
    out_dtype: np.dtype | None = None

    def transposed(self) -> GemmSpec:
        """The product of the transposes in the other order, which is the same sums."""
        return dataclasses.replace(
            self,
            m=self.n,
            n=self.m,
            lhs=self.rhs[::-1],
            rhs=self.lhs[::-1],
            out=self.out[::-1],
            lhs_batch=self.rhs_batch,
            rhs_batch=self.lhs_batch,
        )


def contiguous_gemm(
    m: int,
    n: int,
    k: int,
    dtype: np.dtype,
    *,
    lhs_transposed: bool = False,
    rhs_transposed: bool = False,
    batch: int = 0,
) -> GemmSpec:
    """The spec of a product of C-contiguous matrices, one behind the other if there is a batch.

    >>> contiguous_gemm(4, 5, 6, np.dtype("float32"), rhs_transposed=True).rhs
    (1, 6)
    """
    one = bool(batch)
    return GemmSpec(
        m,
        n,
        k,
        dtype,
        (1, m) if lhs_transposed else (k, 1),
        (1, k) if rhs_transposed else (n, 1),
        (n, 1),
        (batch,) * one,
        (m * k,) * one,
        (k * n,) * one,
        (m * n,) * one,
    )


def choose_gemm(spec: GemmSpec) -> str:
    """Whether a product is better done by this template, "own", or by OpenBLAS, "blas".

    From measurements with `python -m benchmarks.convolution products`. What OpenBLAS cannot do (16-bit
    floats, strides of which neither is 1) is always "own".
    """
    wide = spec.dtype in (np.dtype("float32"), np.dtype("float64"))
    strides = (spec.lhs, spec.rhs, spec.out)
    if not wide or (spec.out_dtype or spec.dtype) != spec.dtype:
        return "own"
    if any(1 not in pair for pair in strides) or spec.out[1] != 1:
        return "own"
    if spec.n == 1 or spec.m == 1:
        return "blas"
    far = spec.lhs[1] != 1 and spec.k > 256
    return "own" if spec.k <= 1024 and spec.m * spec.n * spec.k <= 1 << 29 and not far else "blas"


def emit_gemm(
    module: ir.Module, name: str, spec: GemmSpec, *, epilogue: Epilogue | None = None
) -> Emitted:
    """Define a product as a function `name` of `module`: `void name(out, lhs, rhs, scratch)`.

    Args:
        module: gets the function, and more whose names begin with `name`.
        name: free in the module.
        spec: what to compute.
        epilogue: applied to every sum (with the old output, where it is accumulated) before it is
            stored; the feature of a position is the column n.

    Raises:
        ValueError: the dtype is not one of floating-point numbers.
    """
    check_float("a native matrix product", spec.dtype)
    if 0 in (spec.m, spec.n, *spec.batch):
        function, code = new_function(module, name, [pointer] * 4)
        code.b.ret_void()
        return Emitted(function, 0)
    return _Gemm(module, name, spec, epilogue).emit()


class _Gemm:
    """One product while it is emitted."""

    def __init__(
        self, module: ir.Module, name: str, spec: GemmSpec, epilogue: Epilogue | None
    ) -> None:
        self.module, self.name = module, name
        self.lanes = lanes_of(spec.dtype)
        self.swapped = _better_transposed(spec, self.lanes)
        self.out_dtype = spec.out_dtype or spec.dtype
        if spec.accumulate:
            epilogue = _accumulating(epilogue, self.out_dtype)
        self.epilogue = epilogue
        self.spec = spec = spec.transposed() if self.swapped else spec
        self.wide, self.element = compute_dtype(spec.dtype), compute_type(spec.dtype)
        self.rows, self.columns = _tile_size(spec.m, spec.n, spec.k, self.lanes)
        self.width = self.columns * self.lanes
        self.packs = self._packs()
        self.packs_lhs = self._packs_lhs()
        self.row_tiles, self.rest = divmod(spec.m, self.rows)
        self.tiles_down = self.row_tiles + bool(self.rest)
        self.tiles_across = -(-spec.n // self.width)
        self._choose_blocks()
        self.streaming = False
        self.kernels: dict[tuple[int, int], ir.Function] = {}

    def _packs(self) -> bool:
        """Whether the right operand is packed: it has to be, or its rows lie so far apart that caches
        and address translation suffer, and are used often enough."""
        spec = self.spec
        if spec.rhs[1] != 1 or spec.dtype != self.wide:
            return True
        distance = spec.rhs[0] * self.wide.itemsize
        return spec.k >= _PACK_K and distance >= _PACK_DISTANCE and spec.m >= 4 * self.rows

    def _may_stream(self) -> bool:
        """Whether the output is so large, and made so fast, that storing past the caches pays."""
        spec = self.spec
        size = math.prod(spec.batch) * spec.m * spec.n * self.wide.itemsize
        distances = (spec.out[0], *spec.out_batch)
        return (
            self.thin
            and size >= _STREAM_BYTES
            and not spec.accumulate
            and spec.out[1] == 1
            and self.out_dtype == self.wide
            and all(d % self.lanes == 0 for d in distances)
            and platform.machine().lower() in ("x86_64", "amd64")
        )

    def _packs_lhs(self) -> bool:
        """Whether the left operand is packed: its columns lie far apart and are used often enough."""
        spec = self.spec
        distance = spec.lhs[1] * self.wide.itemsize
        far = spec.k >= _PACK_K and distance >= _PACK_DISTANCE // 2
        often = spec.n >= 4 * self.width and self.rows >= 4
        return far and often and spec.dtype == self.wide

    def _choose_blocks(self) -> None:
        """Cut the product into blocks of tiles: the rows of one stay in the second-level cache."""
        spec = self.spec
        work = self.rows * self.width * max(spec.k, 4)
        room = _BLOCK_BYTES // (self.rows * max(spec.k, 1) * self.wide.itemsize)
        down = min(max(room, 1), self.tiles_down)
        across = min(max(1, _WORK_OF_CHUNK // (work * down)), self.tiles_across)
        # Short sums are bound by stores, which go along rows then.
        self.thin = spec.k <= 32
        if self.thin:
            across = self.tiles_across
            down = min(max(1, _WORK_OF_CHUNK // (work * across)), self.tiles_down)
        count = math.prod(spec.batch)
        while (
            down > 1 and count * -(-self.tiles_down // down) * -(-self.tiles_across // across) < 8
        ):
            if work * down * across <= _WORK_OF_CHUNK:
                break
            down = -(-down // 2)
        self.block_down = -(-self.tiles_down // -(-self.tiles_down // down))
        self.block_across = across
        self.blocks = (-(-self.tiles_down // self.block_down), -(-self.tiles_across // across))
        self.block_work = work * self.block_down * across

    def emit(self) -> Emitted:
        """Define all functions."""
        spec = self.spec
        function, code = new_function(self.module, self.name, [pointer] * 4)
        context = code.context(function.args)
        # A right operand that the whole batch shares is packed once.
        self.packed = [b if s else 1 for b, s in zip(spec.batch, spec.rhs_batch)]
        scratch = 0
        if self.packs:
            panel = self.width * spec.k
            items = math.prod(self.packed) * self.tiles_across
            self._run(code, context, "panels", items, panel, self._pack_item)
            scratch = -(-items * panel * self.wide.itemsize // 64) * 64
        self.lhs_offset = scratch
        self.lhs_packed = [b if s else 1 for b, s in zip(spec.batch, spec.lhs_batch)]
        if self.packs_lhs:
            parts = -(-spec.k // 64)
            self.lhs_items = [math.prod(self.lhs_packed), parts, self.tiles_down]
            work = self.rows * -(-spec.k // parts)
            self._run(code, context, "rows", math.prod(self.lhs_items), work, self._pack_lhs_item)
            count = math.prod(self.lhs_packed) * self.tiles_down * self.rows * spec.k
            scratch += count * self.wide.itemsize + 64
        items = math.prod(spec.batch) * math.prod(self.blocks)
        if self._may_stream():
            # Arrays of the program are aligned so; one that the user gave may not be.
            address = code.b.ptrtoint(function.args[0], i64)
            rest = code.b.and_(address, code.value(engine.vector_bytes() - 1))
            aligned = code.b.icmp_signed("==", rest, code.value(0))
            with code.when(aligned):
                self.streaming = True
                self._run(code, context, "stream", items, self.block_work, self._tile_item)
                self.streaming = False
            with code.when(code.b.not_(aligned)):
                self._run(code, context, "tiles", items, self.block_work, self._tile_item)
        else:
            self._run(code, context, "tiles", items, self.block_work, self._tile_item)
        code.b.ret_void()
        return Emitted(function, scratch)

    def _run(
        self,
        code: Code,
        context: ir.Value,
        label: str,
        items: int,
        work: int,
        body: Callable[..., None],
    ) -> None:
        """Run `body` for each item, on the pool if there is enough work."""
        function = ir.Function(self.module, BODY, f"{self.name}.{label}")
        function.linkage = "internal"
        function.attributes.add("nounwind")
        inner = Code(ir.IRBuilder(function.append_basic_block("entry")))
        inner_context, begin, end, _ = function.args
        out, lhs, rhs, scratch = inner.from_context(inner_context, 4)
        arrays = (out, rhs, lhs, scratch) if self.swapped else (out, lhs, rhs, scratch)
        with inner.loop(end, begin) as item:
            body(inner, item, *arrays)
        inner.b.ret_void()
        grain = max(1, _WORK_OF_CHUNK // max(work, 1))
        if items <= grain:
            arguments = [context, code.value(0), code.value(items), code.value(0)]
            code.b.call(function, arguments)
        else:
            code.parallel_for(function, context, items, grain)

    def _pack_item(
        self,
        code: Code,
        item: Index,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        scratch: ir.Value,
    ) -> None:
        spec = self.spec
        number, tile = code.unravel(item, [math.prod(self.packed), self.tiles_across])
        place: Index = code.mul(tile, self.width * spec.rhs[1])
        for index, stride in zip(code.unravel(number, self.packed), spec.rhs_batch):
            place = code.add(place, code.mul(index, stride))
        packer = PanelPacker(spec.dtype, spec.rhs[1], self.width)
        source = code.at(rhs, place, memory_of(spec.dtype))
        target = code.at(scratch, code.mul(item, self.width * spec.k), self.element)
        axes = [PackAxis(spec.k, spec.rhs[0], self.width)]
        self._by_fullness(
            code, tile, lambda _, valid: packer.emit(code, source, target, axes, valid)
        )

    def _pack_lhs_item(
        self,
        code: Code,
        item: Index,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        scratch: ir.Value,
    ) -> None:
        """Pack some columns of the rows of one tile; neighbours in memory are packed in succession."""
        spec = self.spec
        number, part, tile = code.unravel(item, self.lhs_items)
        size = -(-spec.k // self.lhs_items[1])
        first = code.mul(part, size)
        place: Index = code.add(
            code.mul(tile, self.rows * spec.lhs[0]), code.mul(first, spec.lhs[1])
        )
        for index, stride in zip(code.unravel(number, self.lhs_packed), spec.lhs_batch):
            place = code.add(place, code.mul(index, stride))
        packer = PanelPacker(spec.dtype, spec.lhs[0], self.rows)
        source = code.at(lhs, place, memory_of(spec.dtype))
        target = code.at(scratch, self.lhs_offset, ir.IntType(8))
        panel = code.add(code.mul(number, self.tiles_down), tile)
        start = code.mul(code.add(code.mul(panel, spec.k), first), self.rows)
        target = code.at(target, start, self.element)
        count: Index = size
        if spec.k % size:
            count = code.minimum(size, code.sub(spec.k, first))
        axes = [PackAxis(count, spec.lhs[1], self.rows)]
        if self.row_tiles:
            with code.when(code.less(tile, self.row_tiles)):
                packer.emit(code, source, target, axes, self.rows)
        if self.rest:
            with code.when(code.less(self.row_tiles - 1, tile) if self.row_tiles else True):
                packer.emit(code, source, target, axes, self.rest)

    def _by_fullness(self, code: Code, tile: Index, body: Callable[[Index, int], None]) -> None:
        """`body(tile, valid columns)`, for the last tile, which may be partly filled, apart."""
        last, rest = self.tiles_across - 1, self.spec.n % self.width
        if rest == 0:
            body(tile, self.width)
        elif last == 0:
            body(0, rest)
        else:
            with code.when(code.less(tile, last)):
                body(tile, self.width)
            with code.when(code.less(last - 1, tile)):
                body(last, rest)

    def _tile_item(
        self,
        code: Code,
        item: Index,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        scratch: ir.Value,
    ) -> None:
        """A block of tiles of one matrix."""
        spec = self.spec
        *indices, block_down, block_across = code.unravel(item, [*spec.batch, *self.blocks])
        first_down = code.mul(block_down, self.block_down)
        stop_down = code.minimum(code.add(first_down, self.block_down), self.tiles_down)
        first_across = code.mul(block_across, self.block_across)
        stop_across = code.minimum(code.add(first_across, self.block_across), self.tiles_across)
        starts: list[Index] = []
        panel: Index
        places = (
            spec.lhs_batch,
            spec.rhs_batch,
            spec.out_batch,
        )
        for strides in places:
            start: Index = 0
            for index, stride in zip(indices, strides):
                start = code.add(start, code.mul(index, stride))
            starts.append(start)
        down_distance = self.rows * spec.lhs[0]
        if self.packs_lhs:
            panel = 0
            for index, size, stride in zip(indices, self.lhs_packed, spec.lhs_batch):
                panel = code.add(code.mul(panel, size), index if stride else 0)
            down_distance = self.rows * spec.k
            lhs = code.at(scratch, self.lhs_offset, ir.IntType(8))
            start = code.mul(panel, down_distance * self.tiles_down)
            lhs = code.at(lhs, start, self.element)
        else:
            lhs = code.at(lhs, starts[0], memory_of(spec.dtype))
        across = self.width * spec.rhs[1]
        if self.packs:
            panel = 0
            for index, size, stride in zip(indices, self.packed, spec.rhs_batch):
                panel = code.add(code.mul(panel, size), index if stride else 0)
            across = self.width * spec.k
            rhs = code.at(scratch, code.mul(panel, across * self.tiles_across), self.element)
        else:
            rhs = code.at(rhs, starts[1], self.element)

        def tile(down: Index, rows: int, number: Index, valid: int) -> None:
            row, column = code.mul(down, self.rows), code.mul(number, self.width)
            place = (code.mul(row, spec.out[0]), code.mul(column, spec.out[1]))
            arguments = [
                out,
                code.at(lhs, code.mul(down, down_distance), memory_of(spec.dtype)),
                code.at(rhs, code.mul(number, across), self.element),
                code.value(code.add(starts[2], *place)),
                code.value(row if self.swapped else column),
            ]
            if self.thin:  # a call would take as long as the sums
                self._emit_tile(code, rows, valid, *arguments)
            else:
                code.b.call(self._kernel(rows, valid), arguments)

        def row_of_tiles(down: Index, rows: int) -> None:
            with code.loop(stop_across, first_across) as number:
                self._by_fullness(code, number, lambda n, valid: tile(down, rows, n, valid))

        if self.thin:
            with code.loop(code.minimum(stop_down, self.row_tiles), first_down) as down:
                row_of_tiles(down, self.rows)
            if self.rest:
                with code.when(code.less(self.row_tiles, stop_down)):
                    row_of_tiles(self.row_tiles, self.rest)
            return

        def column_of_tiles(number: Index, valid: int) -> None:
            with code.loop(code.minimum(stop_down, self.row_tiles), first_down) as down:
                tile(down, self.rows, number, valid)
            if self.rest:
                with code.when(code.less(self.row_tiles, stop_down)):
                    tile(self.row_tiles, self.rest, number, valid)

        with code.loop(stop_across, first_across) as number:
            self._by_fullness(code, number, column_of_tiles)

    def _kernel(self, rows: int, valid: int) -> ir.Function:
        """The function (out, rows of lhs, columns of rhs, offset in out, feature) of one tile."""
        if (rows, valid) in self.kernels:
            return self.kernels[rows, valid]
        name = self.module.get_unique_name(f"{self.name}.tile")
        function, code = new_function(self.module, name, [pointer] * 3 + [i64] * 2)
        self.kernels[rows, valid] = function
        self._emit_tile(code, rows, valid, *function.args)
        code.b.ret_void()
        return function

    def _emit_tile(
        self,
        code: Code,
        rows: int,
        valid: int,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        offset: ir.Value,
        feature: ir.Value,
    ) -> None:
        """Compute and store one tile."""
        spec, lanes = self.spec, self.lanes
        count = -(-valid // lanes)
        shape = TileShape(
            self.wide,
            lanes,
            tuple(range(rows)) if self.packs_lhs else tuple(r * spec.lhs[0] for r in range(rows)),
            tuple(range(0, count * lanes, lanes)),
            column_valid=None if self.packs else valid - (count - 1) * lanes,
            row_dtype=spec.dtype,
        )
        step = self.width if self.packs else spec.rhs[0]
        row_step = self.rows if self.packs_lhs else spec.lhs[1]
        tile = emit_sums(code, shape, lhs, rhs, [Level(spec.k, row_step, step)])
        layout = StoreLayout(
            self.out_dtype,
            tuple(r * spec.out[0] for r in range(rows)),
            tuple(c * lanes * spec.out[1] for c in range(count)),
            spec.out[1],
            tuple(min(lanes, valid - c * lanes) for c in range(count)),
            "rows" if self.swapped else "lanes",
            self.streaming,
        )
        emit_store(code, tile, layout, out, offset, feature, self.epilogue)


def _accumulating(epilogue: Epilogue | None, dtype: np.dtype) -> Epilogue:
    """An epilogue that adds what stands in the output first; it needs the output's address."""

    def add(
        builder: ir.IRBuilder, values: Sequence[ir.Value], position: OutputPosition
    ) -> Sequence[ir.Value]:
        code = Code(builder)
        (value,) = values
        address = builder.gep(position.out, [position.offset], source_etype=memory_of(dtype))
        lanes = position.lanes
        old = code.load(address, dtype, lanes, position.valid if lanes > 1 else None)
        value = builder.fadd(value, old)
        return [value] if epilogue is None else epilogue(builder, [value], position)

    return add


def _better_transposed(spec: GemmSpec, lanes: int) -> bool:
    """Whether lanes should go along m rather than n."""
    if spec.out[1] != 1 and spec.out[0] == 1:
        return True
    if spec.out[0] == 1 and spec.n == 1:
        return True

    def filled(n: int) -> float:
        return n / (-(-n // lanes) * lanes)

    # A store across the lanes and a packed left operand have to be worth it.
    return spec.m >= lanes and filled(spec.n) < 0.7 * filled(spec.m) and spec.k >= 8


def _tile_size(m: int, n: int, k: int, lanes: int) -> tuple[int, int]:
    """Rows and vectors of columns of a register tile, by estimated processor cycles."""
    vectors = -(-n // lanes)
    best, choice = math.inf, (1, 1)
    for columns in range(1, min(vectors, 8) + 1):
        limit = min(most_rows(columns), 28)
        if k <= 4:  # bound by stores: long runs of them
            limit = min(limit, max(1, 8 // columns))
        rows = balanced(m, limit)
        cost = 0.0
        for height, count in ((rows, m // rows), (m % rows, int(m % rows > 0))):
            # Two products or two loads a cycle; a product takes four.
            # The columns' operand is the one that comes from a slower cache.
            cycles = max(height * columns / 2, (height + columns) / 2 + 0.5, 4) + 0.3 * columns
            cost += count * -(-vectors // columns) * (cycles * k + 2 * height * columns + 12)
        if cost < best * (1 - 1e-9):
            best, choice = cost, (rows, columns)
    return choice
