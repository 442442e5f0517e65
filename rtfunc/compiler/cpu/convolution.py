"""Convolution as a native template: implicit matrix products on register tiles.

    sums[q, o] = sum over taps j of input[q * step + j * tap step] * kernel[o, j]

The kernel's elements are packed into panels (see `packing`); the input's are read where they lie, or from
a slab, a padded copy of the piece that is worked on. No matrix of patches is ever made: the address of an
input element is affine in q and j, so a register tile takes its rows at constant distances. Either of
three axes is laid along vectors: output features ("features"), pixels of an output row where there are
few features ("pixels"), or groups of a depthwise convolution in a channels-last layout ("groups").

Where sums are short, each piece of the output is summed up at once ("by pixels"). Where they are long and
the output is small, as in the gradient by the kernel, the taps are cut into blocks, a fixed number of
ranges of blocks is summed up at the same time, and the partial sums are added in order ("by taps"). How
work is cut depends on shapes alone, and so do the bits of the result.

Depends on `convolution_geometry`, `packing`, `register_tile`, `emission`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llvmlite import ir

from rtfunc.compiler.cpu.convolution_geometry import (
    Contraction,
    ConvolutionSpec,
    Phase,
    contraction,
    lanes_from_groups,
)
from rtfunc.compiler.cpu.emission import (
    BODY,
    Code,
    Emitted,
    Index,
    compute_dtype,
    compute_type,
    constant_table,
    i64,
    new_function,
    pointer,
)
from rtfunc.compiler.cpu.packing import PackAxis, PanelPacker, SlabAxis, emit_slab, slab_strides
from rtfunc.compiler.cpu.register_tile import (
    Epilogue,
    Level,
    StoreLayout,
    Table,
    TileShape,
    balanced,
    emit_store,
    emit_sums,
    lanes_of,
    memory_of,
    most_rows,
    vector_registers,
)
from rtfunc.compiler.cpu.threads_ir import MAX_THREADS

_SLAB_BYTES = 256 << 10
_FEWEST_PIXELS = 196
_MOST_PIXELS = 4096
_MOST_TAPS = 2048
_TAP_BLOCK = 256
_LONGEST_TABLE = 640
_MOST_CHUNKS = 256
_PARTIAL_BYTES = 16 << 20


def emit_convolution(
    module: ir.Module,
    name: str,
    spec: ConvolutionSpec,
    *,
    epilogue: Epilogue | None = None,
    workers: int = MAX_THREADS,
) -> Emitted:
    """Define a convolution as a function `name` of `module`.

    Args:
        module: gets the function, and more whose names begin with `name`.
        name: free in the module.
        spec: what to compute.
        epilogue: applied to every result before it is stored.
        workers: the most threads that a call will run on; scratch memory is for so many.

    Results do not depend on the number of threads.
    """
    x = contraction(spec)
    if math.prod(spec.out_shape) == 0:
        function, code = new_function(module, name, [pointer] * 4)
        code.b.ret_void()
        return Emitted(function, 0)
    return _Convolution(module, name, spec, x, epilogue, workers).emit()


def _rounded(n: int) -> int:
    return -(-n // 64) * 64


class _Convolution:
    """One convolution while it is emitted: the choices made, then the functions."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        spec: ConvolutionSpec,
        x: Contraction,
        epilogue: Epilogue | None,
        workers: int,
    ) -> None:
        self.module, self.name, self.epilogue, self.workers = module, name, epilogue, workers
        self.dtype = spec.dtype
        self.out_dtype = spec.out_dtype or spec.dtype
        self.wide = compute_dtype(spec.dtype)
        self.element = compute_type(spec.dtype)
        self.lanes = lanes_of(spec.dtype)
        self.mode, self.x = self._choose_mode(x)
        x = self.x
        order = sorted(range(len(x.dimensions)), key=lambda i: x.dimensions[i].out_stride)
        self.pixel_axes = [i for i in order if x.dimensions[i].out > 1]
        order = sorted(range(len(x.dimensions)), key=lambda i: -abs(x.dimensions[i].rhs_stride))
        self.tap_axes = [
            i for i in order if any(p.tap_count != 1 for p in x.dimensions[i].phases)
        ]
        self._choose_tile()
        self._choose_blocks()
        self.kernels: dict[object, ir.Function] = {}
        self.packer = PanelPacker(self.dtype, x.rhs_feature, self.width)

    # Choices.

    def _choose_mode(self, x: Contraction) -> tuple[str, Contraction]:
        if x.features >= self.lanes:
            return "features", x
        grouped = lanes_from_groups(x)
        few = grouped is not None and x.features * 2 <= grouped.features
        if grouped is not None and few and grouped.lhs_lane == 1:
            return "groups", grouped
        inner = min(
            (d for d in x.dimensions if d.out > 1), key=lambda d: d.out_stride, default=None
        )
        if (
            inner is not None
            and inner is x.dimensions[-1]
            and inner.output_step in (1, 2)
            and inner.lhs_stride == 1
            and inner.most_out > x.features
            and x.taps <= _MOST_TAPS
            and inner.dilation == 1
            and not (few and inner.most_out <= self.lanes // 2)
        ):
            return "pixels", x
        if grouped is not None and few and grouped.features * 2 > self.lanes:
            return "groups", grouped
        return "features", x

    def _choose_tile(self) -> None:
        x, lanes = self.x, self.lanes
        if self.mode == "pixels":
            row = -(-x.dimensions[self.pixel_axes[0]].most_out // lanes)
            self.width = balanced(x.features, 8 if vector_registers() == 32 else 4)
            most = max(1, (vector_registers() - 2) // (self.width + 1))
            self.columns = min(most, 8 if self.width > 1 else 6)
            if row > self.columns:
                self.columns = balanced(row, self.columns)
            return
        count = -(-x.features // lanes)
        self.columns = count if count in (1, 3) else 2
        if self.mode == "groups":
            self.columns = min(count, 2)
        self.width = self.columns * lanes
        self.rows = min(most_rows(self.columns), 16)
        if self.mode == "groups":
            self.rows = min(self.rows, 8)

    @property
    def feature_tiles(self) -> int:
        """How many panels the features of a group fill."""
        return -(-self.x.features // self.width)

    def _choose_blocks(self) -> None:
        x, dims = self.x, self.x.dimensions
        self.by_taps = self.mode != "pixels" and self._has_long_sums()
        self.lane_block = x.features if x.lhs_lane else 1
        if x.lhs_lane:
            self.lane_block = min(_round_up(x.features, self.width), 4 * self.width)
        self.direct = self._is_direct()
        self.tap_block = [d.most_taps for d in dims]
        room = _TAP_BLOCK
        while self.by_taps:
            left = room
            for i in reversed(self.tap_axes):
                block = max(balanced(dims[i].most_taps, max(left, 1)), 1)
                self.tap_block[i] = block
                left = left // block if block == dims[i].most_taps else 0
            self.pixel_block = [d.most_out if d.taps > 1 else 1 for d in dims]
            if self.direct or room < 32 or self._slab_bytes(self.pixel_block) <= _SLAB_BYTES // 2:
                break
            room //= 2
        self._choose_pixel_block()
        if self.direct:
            self.strides = [d.lhs_stride for d in dims]
            self.slab_elements = 0
        else:
            extents = self._extents(self.pixel_block)
            strides = slab_strides(extents, self.wide.itemsize)
            self.strides, self.slab_extents = list(strides[: len(dims)]), extents
            first = strides[0] * extents[0] if extents else 1
            self.slab_strides = strides
            self.slab_elements = first + 3 * self.lanes
        self._choose_items()

    def _has_long_sums(self) -> bool:
        """Whether sums are cut into blocks of taps."""
        x = self.x
        few_pixels = x.taps > 8 * x.pixels * x.groups and x.taps > 1024
        # Where channels are contiguous, a block of few of them makes a poor slab.
        last = x.dimensions[-1] if x.dimensions else None
        channels = last is not None and last.lhs_stride == 1 and last.out > 1 and last.taps == 1
        return x.taps > _MOST_TAPS or few_pixels or (x.taps > 1024 and channels)

    def _is_direct(self) -> bool:
        """Whether the input is read where it lies: without padding, and at distances at which caches
        and address translation keep up."""
        x = self.x
        if self.dtype != self.wide or not all(d.inside for d in x.dimensions):
            return False
        if self.mode == "groups":
            return x.lhs_lane == 1 and x.features % self.width == 0
        if self.mode == "pixels":
            return False
        for i in self.tap_axes:
            distance = x.dimensions[i].lhs_stride * self.wide.itemsize
            if x.dimensions[i].most_taps > 16 and (distance % 1024 == 0 or distance >= 4096):
                return False
        return True

    def _slab_bytes(self, pixel_block: Sequence[int]) -> int:
        return math.prod(self._extents(pixel_block)) * self.wide.itemsize

    def _extents(self, pixel_block: Sequence[int]) -> list[int]:
        """How much of the input a piece of work needs, by dimension."""
        found = [
            max(
                d.spread + (q - 1) * d.output_step + (max(t, 1) - 1) * d.tap_step + 1,
                1,
            )
            for d, q, t in zip(self.x.dimensions, pixel_block, self.tap_block)
        ]
        return found + [self.lane_block] * bool(self.x.lhs_lane)

    def _choose_pixel_block(self) -> None:
        x = self.x
        self.pixel_block = [1 for _ in x.dimensions]
        total = x.pixels * x.groups
        most = _MOST_PIXELS if self.by_taps else min(max(total // 16, _FEWEST_PIXELS), _MOST_PIXELS)
        for position, i in enumerate(self.pixel_axes):
            size = x.dimensions[i].most_out
            block, pieces = size, 1
            while block > 1 and not self._fits(i, block, most):
                pieces += 1
                block = -(-size // pieces)
            if position == 0 and self.mode == "pixels":
                block = size
            self.pixel_block[i] = block
            if block < size:
                break

    def _fits(self, axis: int, block: int, most: int) -> bool:
        blocks = list(self.pixel_block)
        blocks[axis] = block
        if math.prod(blocks) > most:
            return False
        return self.direct or self._slab_bytes(blocks) <= _SLAB_BYTES

    def _choose_items(self) -> None:
        """How the work is cut into items that are done at the same time."""
        x = self.x
        self.grid = [
            -(-d.most_out // block) for d, block in zip(x.dimensions, self.pixel_block)
        ]
        self.lane_grid = -(-x.features // self.lane_block) if x.lhs_lane else 1
        items = math.prod(self.grid) * x.groups * self.lane_grid
        self.tap_grid = [
            -(-d.most_taps // max(block, 1)) for d, block in zip(x.dimensions, self.tap_block)
        ]
        self.feature_blocks = 1
        if not self.by_taps:
            if not x.lhs_lane:
                self.feature_blocks = min(self.feature_tiles, max(1, -(-16 // items)))
            return
        pixels = math.prod(self.pixel_block) * sum(
            math.prod(1 if p.out_count else 0 for p in phase) for phase in x.phases()
        )
        self.partial_elements = _round_up(
            self.tiles_of_item * self.width * pixels, 64 // self.wide.itemsize
        )
        bytes_a_split = self.partial_elements * items * self.wide.itemsize
        blocks = math.prod(self.tap_grid)
        wanted = min(-(-32 // items), max(1, _PARTIAL_BYTES // bytes_a_split), blocks)
        self.blocks_a_split = -(-blocks // max(wanted, 1))
        self.splits = -(-blocks // self.blocks_a_split)

    @property
    def tiles_of_item(self) -> int:
        """How many panels an item works with."""
        if self.x.lhs_lane:
            return self.lane_block // self.width
        return -(-self.feature_tiles // getattr(self, "feature_blocks", 1))

    # Functions.

    def emit(self) -> Emitted:
        """Define all functions."""
        panels = self._panels
        function, code = new_function(self.module, self.name, [pointer] * 4)
        for argument, label in zip(function.args, ("out", "lhs", "rhs", "scratch")):
            argument.name = label
        context = code.context(function.args)
        if self.by_taps:
            scratch = self._emit_by_taps(code, context)
        else:
            total = self.x.groups * self.feature_tiles * panels
            self._run(code, context, "panels", self.x.groups * self.feature_tiles, self._pack_item)
            items = self.x.groups * math.prod(self.grid) * self.lane_grid * self.feature_blocks
            self.worker_offset = _rounded(total * self.wide.itemsize)
            self.worker_bytes = _rounded(self.slab_elements * self.wide.itemsize)
            chunks = self._run(code, context, "tiles", items, self._pixel_item)
            scratch = self.worker_offset + self.worker_bytes * min(chunks, self.workers)
        code.b.ret_void()
        return Emitted(function, scratch)

    @property
    def _panels(self) -> int:
        """Elements of a panel with the taps of all phases."""
        return self.width * sum(
            math.prod(p.tap_count for p in phase) for phase in self.x.phases()
        )

    def _run(
        self,
        code: Code,
        context: ir.Value,
        label: str,
        items: int,
        body: Callable[..., None],
    ) -> int:
        """Run `body` for each item on the pool; returns how many chunks there are."""
        function = ir.Function(self.module, BODY, f"{self.name}.{label}")
        function.linkage = "internal"
        function.attributes.add("nounwind")
        inner = Code(ir.IRBuilder(function.append_basic_block("entry")))
        inner_context, begin, end, worker = function.args
        arrays = inner.from_context(inner_context, 4)
        with inner.loop(end, begin) as item:
            body(inner, item, worker, *arrays)
        inner.b.ret_void()
        grain = -(-items // _MOST_CHUNKS)
        code.parallel_for(function, context, items, grain)
        return -(-items // grain)

    def _bytes(self, code: Code, base: ir.Value, offset: Index) -> ir.Value:
        return code.at(base, offset, ir.IntType(8))

    def _pack_item(
        self,
        code: Code,
        item: Index,
        worker: Index,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        scratch: ir.Value,
    ) -> None:
        """Pack one panel of one group, for all phases."""
        group, tile = code.unravel(item, [self.x.groups, self.feature_tiles])
        base = code.at(rhs, code.mul(group, self.x.rhs_group), memory_of(self.dtype))
        target = code.at(scratch, code.mul(item, self._panels), self.element)

        def pack(tile: Index, valid: int) -> None:
            source = code.at(
                base, code.mul(tile, self.width * self.x.rhs_feature), memory_of(self.dtype)
            )
            self._pack_phases(code, source, target, valid)

        self._by_fullness(code, tile, pack)

    def _by_fullness(
        self, code: Code, tile: Index, body: Callable[[Index, int], None]
    ) -> None:
        """`body(tile, valid features)`, for the last panel, which may be partly filled, apart."""
        last, rest = self.feature_tiles - 1, self.x.features % self.width
        if rest == 0:
            body(tile, self.width)
        elif last == 0:
            body(0, rest)
        else:
            with code.when(code.less(tile, last)):
                body(tile, self.width)
            with code.when(code.less(last - 1, tile)):
                body(last, rest)

    def _pack_phases(
        self, code: Code, source: ir.Value, target: ir.Value, valid: int
    ) -> None:
        for phase in self.x.phases():
            axes, distance, offset = [], self.width, self.x.rhs_offset
            for i, dim in enumerate(self.x.dimensions):
                offset += phase[i].tap_start * dim.rhs_stride * bool(phase[i].tap_count)
            for i in reversed(self.tap_axes):
                dim = self.x.dimensions[i]
                count = phase[i].tap_count
                axes.insert(0, PackAxis(count, dim.rhs_stride * dim.phase_tap_step, distance))
                distance *= count
            if distance:
                place = code.at(source, offset, memory_of(self.dtype))
                self.packer.emit(code, place, target, axes, valid)
            target = code.at(target, distance, self.element)

    def _pixel_item(
        self,
        code: Code,
        item: Index,
        worker: Index,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        scratch: ir.Value,
    ) -> None:
        """All sums of one block of pixels."""
        x = self.x
        sizes = [x.groups, *self.grid, self.lane_grid, self.feature_blocks]
        group, *blocks, lane_block, feature_block = code.unravel(item, sizes)
        firsts = [code.mul(b, q) for b, q in zip(blocks, self.pixel_block)]
        patch = self._patch(
            code, lhs, scratch, worker, group, firsts, [0] * len(firsts), lane_block
        )
        count = self.tiles_of_item
        start = code.add(code.mul(feature_block, count), code.mul(lane_block, count))
        stop = code.minimum(code.add(start, count), self.feature_tiles)

        def tile(number: Index, valid: int) -> None:
            panel = code.add(code.mul(group, self.feature_tiles), number)
            panel_pointer = code.at(scratch, code.mul(panel, self._panels), self.element)
            here = patch
            if x.lhs_lane:
                here = code.at(patch, code.mul(code.sub(number, start), self.width), self.element)
            feature = code.mul(number, self.width)
            for phase in x.phases():
                offset = code.add(
                    code.mul(group, x.out_group), code.mul(feature, x.out_feature)
                )
                for p, dim, first in zip(phase, x.dimensions, firsts):
                    place = code.add(p.out_start, code.mul(first, dim.out_step))
                    offset = code.add(offset, code.mul(place, dim.out_stride))
                counts = [p.tap_count for p in phase]
                number_of = code.add(code.mul(group, x.features), feature)
                if x.lhs_lane:  # features are the groups of the whole
                    number_of = code.add(code.mul(feature, x.groups), group)
                self._tiles(
                    code, phase, firsts, counts, here, panel_pointer, out, offset, number_of, valid,
                    "sum",
                )  # fmt: skip
                distance = self.width * math.prod(counts)
                panel_pointer = code.at(panel_pointer, distance, self.element)

        with code.loop(stop, start) as number:
            self._by_fullness(code, number, tile)

    def _patch(
        self,
        code: Code,
        lhs: ir.Value,
        scratch: ir.Value,
        worker: Index,
        group: Index,
        firsts: Sequence[Index],
        taps: Sequence[Index],
        lane_block: Index,
    ) -> ir.Value:
        """Address of the input's element of position `firsts` and tap `taps`, lowest phase."""
        x = self.x
        lhs = code.at(lhs, code.mul(group, x.lhs_group), memory_of(self.dtype))
        lane = code.mul(lane_block, self.lane_block)  # direct only where lanes are contiguous
        starts = [
            code.add(d.lowest, code.mul(q, d.output_step), code.mul(t, d.tap_step))
            for d, q, t in zip(x.dimensions, firsts, taps)
        ]
        if self.direct:
            terms = [code.mul(s, d.lhs_stride) for s, d in zip(starts, x.dimensions)]
            return code.at(lhs, code.add(0, *terms, lane), memory_of(self.dtype))
        offset = code.add(self.worker_offset, code.mul(worker, self.worker_bytes))
        slab = self._bytes(code, scratch, offset)
        axes = [
            SlabAxis(extent, d.size, d.lhs_stride, start, d.inside and self._even(i), d.dilation)
            for i, (extent, d, start) in enumerate(zip(self.slab_extents, x.dimensions, starts))
        ]
        if x.lhs_lane:
            inside = x.features % self.lane_block == 0
            axes.append(SlabAxis(self.lane_block, x.features, x.lhs_lane, lane, inside))
        strides = list(self.slab_strides)
        while len(axes) > 1 and _mergeable(*axes[-2:]) and strides[-2] == axes[-1].extent:
            outer, inner = axes[-2:]
            n = inner.extent
            axes[-2:] = [
                SlabAxis(outer.extent * n, outer.size * n, 1, code.mul(outer.first, n), outer.inside)
            ]
            strides.pop(-2)
        self._call_slab(code, lhs, slab, axes, strides)
        return slab

    def _call_slab(
        self,
        code: Code,
        lhs: ir.Value,
        slab: ir.Value,
        axes: Sequence[SlabAxis],
        strides: Sequence[int],
    ) -> None:
        """Fill a slab by a function of its own: LLVM takes long over deep loop nests."""
        moving = [i for i, a in enumerate(axes) if not isinstance(a.first, int)]
        name = f"{self.name}.slab"
        function, inner = new_function(self.module, name, [pointer] * 2 + [i64] * len(moving))
        known = list(axes)
        for i, first in zip(moving, function.args[2:]):
            known[i] = replace(known[i], first=first)
        emit_slab(inner, *function.args[:2], known, strides, self.dtype)
        inner.b.ret_void()
        code.b.call(function, [lhs, slab, *(code.value(axes[i].first) for i in moving)])

    def _even(self, i: int) -> bool:
        """Whether no block of a dimension reaches over its end."""
        dim = self.x.dimensions[i]
        return (
            dim.most_out % self.pixel_block[i] == 0
            and (dim.most_taps <= 1 or dim.most_taps % max(self.tap_block[i], 1) == 0)
            and len(dim.phases) == 1
        )

    def _tiles(
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
        x = self.x
        if any(p.out_count == 0 for p in phase):
            return
        for i, dim in enumerate(x.dimensions):
            shift = phase[i].base - dim.lowest if phase[i].tap_count else 0
            if kind != "finish":
                patch = code.at(patch, shift * self.strides[i], self.element)
        axes = []
        unit = self.lanes if self.mode == "pixels" else 1
        for position, i in enumerate(self.pixel_axes):
            dim, block = x.dimensions[i], self.pixel_block[i]
            size = phase[i].out_count
            count: Index = size
            if block < dim.most_out:
                whole = size % block == 0
                count = block if whole else code.minimum(block, code.sub(size, firsts[i]))
                if size < dim.most_out - dim.most_out % block:
                    count = code.maximum(code.minimum(block, code.sub(size, firsts[i])), 0)
            elements = unit if position == 0 else 1
            if elements > 1:
                count = -(-size // unit)
            axes.append(
                _TileAxis(
                    count,
                    dim.output_step * self.strides[i] * elements,
                    dim.out_step * dim.out_stride * elements,
                    self._partial_stride(i) * elements,
                    min(block, size) if elements == 1 else -(-size // unit),
                )
            )
        row_vectors, last_valid = 1, 0
        if self.mode == "pixels":
            size = phase[self.pixel_axes[0]].out_count
            row_vectors = -(-size // unit)
            last_valid = size - (row_vectors - 1) * unit
        limit = self.columns if self.mode == "pixels" else self.rows
        table = self._table(phase, taps) if kind != "finish" else None
        state = _Call(self, taps, panel, out, valid, kind, table, row_vectors, last_valid)
        _tile_loops(code, axes, limit, state, patch, offset, feature, self.mode == "pixels")

    def _partial_stride(self, i: int) -> int:
        """Distance of positions in partial sums."""
        inner = self.pixel_axes[: self.pixel_axes.index(i)]
        return self.width * math.prod(self.pixel_block[k] for k in inner)

    def _table(self, phase: Sequence[Phase], taps: Sequence[Index]) -> tuple[int, list[int]] | None:
        """How many of the innermost tap axes are taken from a table, and the table."""
        axes = self.tap_axes
        if not axes or any(taps[i] == 0 for i in axes):
            return None
        innermost = taps[axes[-1]]
        if isinstance(innermost, int) and innermost >= 16 and self.strides[axes[-1]] >= 1:
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
            [j * self.x.dimensions[i].tap_step * self.strides[i] for j in range(int(taps[i]))]  # type: ignore[arg-type]
            for i in axes[len(axes) - taken :]
        ]
        return taken, [sum(offsets) for offsets in itertools.product(*steps)]

    # By taps.

    def _emit_by_taps(self, code: Code, context: ir.Value) -> int:
        """Emit the pass over blocks of taps and the one that adds partial sums."""
        x = self.x
        items = x.groups * math.prod(self.grid) * self.lane_grid
        itemsize = self.wide.itemsize
        partials = self.partial_elements * items * self.splits * itemsize
        self.items = items
        taps = [max(t, 1) for t in self.tap_block]
        self.block_panel = self.width * math.prod(taps)
        self.worker_offset = _rounded(partials)
        slab = _rounded(self.slab_elements * itemsize)
        self.panel_offset = slab
        self.worker_bytes = slab + _rounded(self.block_panel * self.tiles_of_item * itemsize)
        chunks = self._run(code, context, "sums", items * self.splits, self._tap_item)
        self._run(code, context, "finish", items, self._finish_item)
        return self.worker_offset + self.worker_bytes * min(chunks, self.workers)

    def _item_tiles(
        self, code: Code, lane_block: Index, body: Callable[[Index, Index, int], None]
    ) -> None:
        """`body(panel within the item, panel, valid)` for the panels of an item."""
        count = self.tiles_of_item
        start = code.mul(lane_block, count)
        stop = code.minimum(code.add(start, count), self.feature_tiles)
        with code.loop(stop, start) as number:
            self._by_fullness(code, number, lambda t, v: body(code.sub(t, start), t, v))

    def _partial_offsets(self) -> list[int]:
        """Where the partial sums of each phase begin, within those of a panel; last, their size."""
        size = self.width * math.prod(self.pixel_block)
        return [size * i for i in range(len(self.x.phases()) + 1)]

    def _tap_item(
        self,
        code: Code,
        item: Index,
        worker: Index,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        scratch: ir.Value,
    ) -> None:
        """Partial sums of a block of pixels over a range of blocks of taps."""
        x = self.x
        split, rest = code.divide(item, self.items)
        group, *blocks, lane_block = code.unravel(rest, [x.groups, *self.grid, self.lane_grid])
        firsts = [code.mul(b, q) for b, q in zip(blocks, self.pixel_block)]
        partial = code.at(scratch, code.mul(item, self.partial_elements), self.element)
        zero = ir.Constant(ir.VectorType(self.element, self.lanes), None)
        with code.loop(self.partial_elements, 0, self.lanes) as i:
            code.store(zero, code.at(partial, i, self.element), self.wide)
        begin = code.mul(split, self.blocks_a_split)
        end = code.minimum(code.add(begin, self.blocks_a_split), math.prod(self.tap_grid))
        order = [*self.tap_axes, *(i for i in range(len(self.tap_grid)) if i not in self.tap_axes)]
        offset = code.add(
            self.worker_offset, self.panel_offset, code.mul(worker, self.worker_bytes)
        )
        panels = self._bytes(code, scratch, offset)
        rhs = code.at(rhs, code.mul(group, x.rhs_group), memory_of(self.dtype))
        offsets = self._partial_offsets()
        with code.loop(end, begin) as number:
            coordinates = code.unravel(number, [self.tap_grid[i] for i in order])
            first_taps: list[Index] = [0] * len(order)
            for i, coordinate in zip(order, coordinates):
                first_taps[i] = code.mul(coordinate, self.tap_block[i])
            patch = self._patch(code, lhs, scratch, worker, group, firsts, first_taps, lane_block)
            for n, phase in enumerate(x.phases()):
                if 0 in [p.tap_count for p in phase]:
                    continue
                counts = [self._taps_here(code, i, phase[i], first_taps[i]) for i in range(len(phase))]

                def tile(
                    here: Index, number: Index, valid: int, n=n, phase=phase, counts=counts,
                    first_taps=first_taps, patch=patch,
                ) -> None:  # fmt: skip
                    panel = code.at(panels, code.mul(here, self.block_panel), self.element)
                    source: Index = code.add(
                        x.rhs_offset, code.mul(number, self.width * x.rhs_feature)
                    )
                    for p, dim, first in zip(phase, x.dimensions, first_taps):
                        tap = code.add(p.tap_start, code.mul(first, dim.phase_tap_step))
                        source = code.add(source, code.mul(tap, dim.rhs_stride))
                    axes: list[PackAxis] = []
                    distance: Index = self.width
                    for i in reversed(self.tap_axes):
                        dim = x.dimensions[i]
                        step = dim.rhs_stride * dim.phase_tap_step
                        axes.insert(0, PackAxis(counts[i], step, distance))
                        distance = code.mul(distance, counts[i])
                    place = code.at(rhs, source, memory_of(self.dtype))
                    self.packer.emit(code, place, panel, axes, valid)
                    lane_patch = patch
                    if x.lhs_lane:
                        lane_patch = code.at(patch, code.mul(here, self.width), self.element)
                    place_of_sums = code.add(code.mul(here, offsets[-1]), offsets[n])
                    self._tiles(
                        code, phase, firsts, counts, lane_patch, panel, partial, place_of_sums, 0,
                        valid, "accumulate",
                    )  # fmt: skip

                self._item_tiles(code, lane_block, tile)

    def _taps_here(self, code: Code, i: int, phase: Phase, first: Index) -> Index:
        dim, block = self.x.dimensions[i], self.tap_block[i]
        if block >= dim.most_taps:
            return phase.tap_count
        if phase.tap_count % block == 0 and phase.tap_count == dim.most_taps:
            return block
        return code.maximum(code.minimum(block, code.sub(phase.tap_count, first)), 0)

    def _finish_item(
        self,
        code: Code,
        item: Index,
        worker: Index,
        out: ir.Value,
        lhs: ir.Value,
        rhs: ir.Value,
        scratch: ir.Value,
    ) -> None:
        """Add partial sums and store them."""
        x = self.x
        group, *blocks, lane_block = code.unravel(item, [x.groups, *self.grid, self.lane_grid])
        firsts = [code.mul(b, q) for b, q in zip(blocks, self.pixel_block)]
        partial = code.at(scratch, code.mul(item, self.partial_elements), self.element)
        offsets = self._partial_offsets()

        def tile(here: Index, number: Index, valid: int) -> None:
            feature = code.mul(number, self.width)
            number_of = code.add(code.mul(group, x.features), feature)
            if x.lhs_lane:
                number_of = code.add(code.mul(feature, x.groups), group)
            for n, phase in enumerate(x.phases()):
                offset = code.add(
                    code.mul(group, x.out_group), code.mul(feature, x.out_feature)
                )
                for p, dim, first in zip(phase, x.dimensions, firsts):
                    place = code.add(p.out_start, code.mul(first, dim.out_step))
                    offset = code.add(offset, code.mul(place, dim.out_stride))
                sums = code.add(code.mul(here, offsets[-1]), offsets[n])
                self._tiles(
                    code, phase, firsts, [0] * len(phase),
                    code.at(partial, sums, self.element), partial, out, offset, number_of, valid,
                    "finish",
                )  # fmt: skip

        self._item_tiles(code, lane_block, tile)


def _round_up(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def _mergeable(outer: SlabAxis, inner: SlabAxis) -> bool:
    return (
        inner.source == 1
        and inner.inside
        and isinstance(inner.first, int)
        and inner.first == 0
        and inner.extent == inner.size == outer.source
        and outer.dilation == inner.dilation == 1
    )


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

    owner: _Convolution
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
        nested = owner.tap_axes
        arguments = [patch, self.panel, self.out, code.value(offset), code.value(feature)]
        if self.table is not None:
            taken, entries = self.table
            nested = nested[: len(nested) - taken]
            key = ("table", *entries)
            if key not in owner.kernels:
                owner.kernels[key] = constant_table(owner.module, f"{owner.name}.taps", entries)
            arguments += [owner.kernels[key], code.value(len(entries))]
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
    element = call.owner.element
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

    def outer(number: int, patch: ir.Value, offset: Index) -> None:
        if number == len(axes):
            partial_axis(patch, offset)
            return
        source, target = step(axes[number])
        with code.walk(axes[number].count, [(patch, source, element)]) as (index, (patch,)):
            outer(number + 1, patch, code.add(offset, code.mul(index, target)))

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
    x, lanes, width = owner.x, owner.lanes, owner.width
    taken = call.table[0] if call.table is not None else 0
    nested = owner.tap_axes[: len(owner.tap_axes) - taken] if call.kind != "finish" else []
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
    by_pixels = owner.mode == "pixels"
    shape = _shape(owner, points)
    partial_rows = StoreLayout(
        owner.wide,
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
    if call.kind == "finish":
        tile = _add_splits(code, start, patch, partial_rows, owner)
    else:
        levels, step = [], code.mul(width, function.args[6]) if taken else width
        for i, count in reversed(list(zip(nested, counts))):
            distance = x.dimensions[i].tap_step * owner.strides[i]
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
        layout = StoreLayout(owner.out_dtype, rows, features, x.out_feature, valid, "lanes")
        emit_store(code, tile, layout, out, offset, feature, owner.epilogue)
    code.b.ret_void()
    return function


def _shape(owner: _Convolution, points: Sequence[tuple[int, int, int]]) -> TileShape:
    patch = tuple(p[0] for p in points)
    if owner.mode == "pixels":
        inner = owner.x.dimensions[owner.pixel_axes[0]]
        return TileShape(
            owner.wide, owner.lanes, tuple(range(owner.width)), patch, inner.output_step
        )
    columns = tuple(range(0, owner.width, owner.lanes))
    return TileShape(
        owner.wide, owner.lanes, patch, columns, row_vectors=owner.mode == "groups"
    )


def _pixel_layout(
    owner: _Convolution, points: Sequence[tuple[int, int, int]], call: _Call, last: bool
) -> StoreLayout:
    """Where a tile goes whose lanes are pixels."""
    inner = owner.x.dimensions[owner.pixel_axes[0]]
    valid = [owner.lanes] * len(points)
    if last:
        rows = max(len(points) // call.row_vectors, 1)
        run = len(points) // rows
        for row in range(rows):
            valid[row * run + run - 1] = call.last_valid
    return StoreLayout(
        owner.out_dtype,
        tuple(r * owner.x.out_feature for r in range(call.valid)),
        tuple(p[1] for p in points),
        inner.out_step * inner.out_stride,
        tuple(valid),
        "rows",
    )


def _load_tile(
    code: Code, source: ir.Value, place: Index, layout: StoreLayout, owner: _Convolution
) -> list[list[ir.Value]]:
    base = code.at(source, place, owner.element)
    return [
        [code.load(code.at(base, r + c, owner.element), owner.wide, owner.lanes) for c in layout.columns]
        for r in layout.rows
    ]


def _add_splits(
    code: Code,
    start: list[list[ir.Value]],
    first: ir.Value,
    layout: StoreLayout,
    owner: _Convolution,
) -> list[list[ir.Value]]:
    """`start` and the partial sums of all other splits."""
    distance = owner.partial_elements * owner.items
    vector = start[0][0].type
    slots = [[code.slot(vector) for _ in row] for row in start]
    for slot_row, row in zip(slots, start):
        for slot, value in zip(slot_row, row):
            code.b.store(value, slot)
    with code.loop(owner.splits, 1) as split:
        source = code.at(first, code.mul(split, distance), owner.element)
        tile = _load_tile(code, source, 0, layout, owner)
        for slot_row, row in zip(slots, tile):
            for slot, value in zip(slot_row, row):
                code.b.store(code.b.fadd(code.b.load(slot, typ=vector), value), slot)
    return [[code.b.load(slot, typ=vector) for slot in row] for row in slots]
