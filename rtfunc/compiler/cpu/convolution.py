"""Convolution as a native template: implicit matrix products on register tiles.

    sums[q, o] = sum over taps j of input[q * step + j * tap step] * kernel[o, j]

The kernel's elements are packed into panels (see `packing`); the input's are read where they lie, or from
a slab, a padded copy of the piece that is worked on. No matrix of patches is ever made: the address of an
input element is affine in q and j, so a register tile takes its rows at constant distances. One of three
axes is laid along vectors: output features ("features"), pixels of an output row where there are few
features ("pixels"), or the groups of a depthwise convolution ("groups").

Where sums are short, each piece of the output is summed up at once ("by pixels"). Where they are long and
the output is small, as in the gradient by the kernel, the taps are cut into blocks, a fixed number of
ranges of blocks is summed up at the same time, and the partial sums are added in order ("by taps"). How
work is cut depends on shapes alone, and so do the bits of the result.

Depends on `convolution_plan`, `convolution_tiles`, `packing`, `emission`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llvmlite import ir

from rtfunc.compiler.cpu.convolution_geometry import ConvolutionSpec, Phase
from rtfunc.compiler.cpu.convolution_plan import ConvolutionPlan, plan_convolution
from rtfunc.compiler.cpu.convolution_tiles import TileEmitter
from rtfunc.compiler.cpu.emission import (
    BODY,
    Code,
    Emitted,
    Index,
    check_float,
    i64,
    new_function,
    pointer,
)
from rtfunc.compiler.cpu.packing import PackAxis, PanelPacker, SlabAxis, emit_slab
from rtfunc.compiler.cpu.register_tile import Epilogue, memory_of
from rtfunc.compiler.cpu.threads_ir import MAX_THREADS

_MOST_CHUNKS = 256


def emit_convolution(
    module: ir.Module,
    name: str,
    spec: ConvolutionSpec,
    *,
    epilogue: Epilogue | None = None,
    then: str | None = None,
    workers: int = MAX_THREADS,
) -> Emitted:
    """Define a convolution as a function `name` of `module`.

    Args:
        module: gets the function, and more whose names begin with `name`.
        name: free in the module.
        spec: what to compute.
        epilogue: applied to every result before it is stored.
        then: name of a function `void(ptr frame, ptr bounds)` of the module, called for each block of the
            result that is complete; `bounds` has two numbers for each of the plan's `result_axes`, where
            the block begins and where it ends. The convolution then takes `frame` as its last argument.
        workers: the most threads that a call will run on; scratch memory is for so many.

    Results do not depend on the number of threads.

    Raises:
        ValueError: the dtype is not one of floating-point numbers.
    """
    check_float("a native convolution", spec.dtype)
    if math.prod(spec.out_shape) == 0:
        function, code = new_function(module, name, [pointer] * 4)
        code.b.ret_void()
        return Emitted(function, 0)
    return _Convolution(module, name, plan_convolution(spec), epilogue, then, workers).emit()


def _rounded(n: int) -> int:
    return -(-n // 64) * 64


class _Convolution:
    """Emits the functions of one convolution."""

    def __init__(
        self,
        module: ir.Module,
        name: str,
        plan: ConvolutionPlan,
        epilogue: Epilogue | None,
        then: str | None,
        workers: int,
    ) -> None:
        self.then = then
        self.module, self.name, self.plan, self.workers = module, name, plan, workers
        self.tiles = TileEmitter(module, name, plan, epilogue)
        self.packer = PanelPacker(plan.dtype, plan.x.rhs_feature, plan.width)
        # Where each worker's slab lies in the scratch memory, and its panels within.
        self.worker_offset = self.worker_bytes = self.panel_offset = 0

    def emit(self) -> Emitted:
        """Define all functions."""
        panels = self.plan.panel_elements
        labels = ("out", "lhs", "rhs", "scratch", *(["frame"] if self.then else []))
        function, code = new_function(self.module, self.name, [pointer] * len(labels))
        for argument, label in zip(function.args, labels):
            argument.name = label
        context = code.context(function.args)
        if self.plan.by_taps:
            scratch = self._emit_by_taps(code, context)
        else:
            total = self.plan.x.groups * self.plan.feature_tiles * panels
            self._run(
                code,
                context,
                "panels",
                self.plan.x.groups * self.plan.feature_tiles,
                self._pack_item,
            )
            items = (
                self.plan.x.groups
                * math.prod(self.plan.grid)
                * self.plan.lane_grid
                * self.plan.feature_blocks
            )
            self.worker_offset = _rounded(total * self.plan.wide.itemsize)
            self.worker_bytes = _rounded(self.plan.slab_elements * self.plan.wide.itemsize)
            chunks = self._run(code, context, "tiles", items, self._pixel_item)
            scratch = self.worker_offset + self.worker_bytes * min(chunks, self.workers)
        code.b.ret_void()
        return Emitted(function, scratch)

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
        arrays = inner.from_context(inner_context, 5 if self.then else 4)
        self.frame = arrays.pop() if self.then else None
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
        group, tile = code.unravel(item, [self.plan.x.groups, self.plan.feature_tiles])
        base = code.at(rhs, code.mul(group, self.plan.x.rhs_group), memory_of(self.plan.dtype))
        target = code.at(scratch, code.mul(item, self.plan.panel_elements), self.plan.element)

        def pack(tile: Index, valid: int) -> None:
            source = code.at(
                base,
                code.mul(tile, self.plan.width * self.plan.x.rhs_feature),
                memory_of(self.plan.dtype),
            )
            self._pack_phases(code, source, target, valid)

        self._by_fullness(code, tile, pack)

    def _by_fullness(self, code: Code, tile: Index, body: Callable[[Index, int], None]) -> None:
        """`body(tile, valid features)`, for the last panel, which may be partly filled, apart."""
        last, rest = self.plan.feature_tiles - 1, self.plan.x.features % self.plan.width
        if rest == 0:
            body(tile, self.plan.width)
        elif last == 0:
            body(0, rest)
        else:
            with code.when(code.less(tile, last)):
                body(tile, self.plan.width)
            with code.when(code.less(last - 1, tile)):
                body(last, rest)

    def _pack_phases(self, code: Code, source: ir.Value, target: ir.Value, valid: int) -> None:
        for phase in self.plan.x.phases():
            axes, distance, offset = [], self.plan.width, self.plan.x.rhs_offset
            for i, dim in enumerate(self.plan.x.dimensions):
                offset += phase[i].tap_start * dim.rhs_stride * bool(phase[i].tap_count)
            for i in reversed(self.plan.tap_axes):
                dim = self.plan.x.dimensions[i]
                count = phase[i].tap_count
                axes.insert(0, PackAxis(count, dim.rhs_stride * dim.phase_tap_step, distance))
                distance *= count
            if distance:
                place = code.at(source, offset, memory_of(self.plan.dtype))
                self.packer.emit(code, place, target, axes, valid)
            target = code.at(target, distance, self.plan.element)

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
        x = self.plan.x
        sizes = [x.groups, *self.plan.grid, self.plan.lane_grid, self.plan.feature_blocks]
        group, *blocks, lane_block, feature_block = code.unravel(item, sizes)
        firsts = [code.mul(b, q) for b, q in zip(blocks, self.plan.pixel_block)]
        patch = self._patch(
            code, lhs, scratch, worker, group, firsts, [0] * len(firsts), lane_block
        )
        count = self.plan.tiles_of_item
        start = code.add(code.mul(feature_block, count), code.mul(lane_block, count))
        stop = code.minimum(code.add(start, count), self.plan.feature_tiles)

        def tile(number: Index, valid: int) -> None:
            panel = code.add(code.mul(group, self.plan.feature_tiles), number)
            panel_pointer = code.at(
                scratch, code.mul(panel, self.plan.panel_elements), self.plan.element
            )
            here = patch
            if x.lhs_lane:
                here = code.at(
                    patch, code.mul(code.sub(number, start), self.plan.width), self.plan.element
                )
            feature = code.mul(number, self.plan.width)
            for phase in x.phases():
                offset = code.add(code.mul(group, x.out_group), code.mul(feature, x.out_feature))
                for p, dim, first in zip(phase, x.dimensions, firsts):
                    place = code.add(p.out_start, code.mul(first, dim.out_step))
                    offset = code.add(offset, code.mul(place, dim.out_stride))
                counts = [p.tap_count for p in phase]
                number_of = code.add(code.mul(group, x.features), feature)
                if x.lhs_lane:  # features are the groups of the whole
                    number_of = code.add(code.mul(feature, x.groups), group)
                self.tiles.emit(
                    code, phase, firsts, counts, here, panel_pointer, out, offset, number_of, valid,
                    "sum",
                )  # fmt: skip
                distance = self.plan.width * math.prod(counts)
                panel_pointer = code.at(panel_pointer, distance, self.plan.element)

        with code.loop(stop, start) as number:
            self._by_fullness(code, number, tile)
        self._go_on(code, group, firsts, start, stop)

    def _go_on(
        self, code: Code, group: Index, firsts: Sequence[Index], start: Index, stop: Index
    ) -> None:
        """Call what follows with the block that begins at some positions, for some panels of features."""
        axes = self.plan.result_axes() if self.then else None
        if axes is None:
            return
        x, width = self.plan.x, self.plan.width
        bounds = code.slot(i64, 2 * len(axes))
        for place, axis in enumerate(axes):
            if axis is None:
                first = code.mul(group, x.features)
                last = code.add(first, code.minimum(code.mul(stop, width), x.features))
                first = code.add(first, code.mul(start, width))
            else:
                dim, count = x.dimensions[axis], self.plan.pixel_block[axis]
                first = code.mul(firsts[axis], dim.out_step)
                last = code.mul(code.add(firsts[axis], count), dim.out_step)
                last = code.minimum(last, dim.out)
            for k, bound in enumerate((first, last)):
                code.b.store(code.value(bound), code.at(bounds, 2 * place + k, i64))
        code.b.call(self.module.globals[self.then], [self.frame, bounds])

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
        x = self.plan.x
        lhs = code.at(lhs, code.mul(group, x.lhs_group), memory_of(self.plan.dtype))
        lane = code.mul(lane_block, self.plan.lane_block)  # direct only where lanes are contiguous
        starts = [
            code.add(d.lowest, code.mul(q, d.output_step), code.mul(t, d.tap_step))
            for d, q, t in zip(x.dimensions, firsts, taps)
        ]
        if self.plan.direct:
            terms = [code.mul(s, d.lhs_stride) for s, d in zip(starts, x.dimensions)]
            return code.at(lhs, code.add(0, *terms, lane), memory_of(self.plan.dtype))
        offset = code.add(self.worker_offset, code.mul(worker, self.worker_bytes))
        slab = self._bytes(code, scratch, offset)
        axes = [
            SlabAxis(
                extent, d.size, d.lhs_stride, start, d.inside and self.plan.even(i), d.dilation
            )
            for i, (extent, d, start) in enumerate(
                zip(self.plan.slab_extents, x.dimensions, starts)
            )
        ]
        if x.lhs_lane:
            inside = x.features % self.plan.lane_block == 0
            axes.append(SlabAxis(self.plan.lane_block, x.features, x.lhs_lane, lane, inside))
        strides = list(self.plan.slab_strides)
        while len(axes) > 1 and _mergeable(*axes[-2:]) and strides[-2] == axes[-1].extent:
            outer, inner = axes[-2:]
            n = inner.extent
            axes[-2:] = [
                SlabAxis(
                    outer.extent * n, outer.size * n, 1, code.mul(outer.first, n), outer.inside
                )
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
        source, target, *firsts = function.args
        for i, first in zip(moving, firsts):
            known[i] = known[i]._replace(first=first)
        emit_slab(inner, source, target, known, strides, self.plan.dtype)
        inner.b.ret_void()
        code.b.call(function, [lhs, slab, *(code.value(axes[i].first) for i in moving)])

    # By taps.

    def _emit_by_taps(self, code: Code, context: ir.Value) -> int:
        """Emit the pass over blocks of taps and the one that adds partial sums."""
        plan = self.plan
        itemsize = plan.wide.itemsize
        sums = plan.items * plan.splits
        self.worker_offset = _rounded(plan.partial_elements * sums * itemsize)
        self.panel_offset = _rounded(plan.slab_elements * itemsize)
        panels = plan.block_panel * plan.tiles_of_item * itemsize
        self.worker_bytes = self.panel_offset + _rounded(panels)
        chunks = self._run(code, context, "sums", sums, self._tap_item)
        self._run(code, context, "finish", plan.items, self._finish_item)
        return self.worker_offset + self.worker_bytes * min(chunks, self.workers)

    def _item_panels(self, code: Code, lane_block: Index) -> tuple[Index, Index]:
        """The first panel of an item, and the one after its last."""
        start = code.mul(lane_block, self.plan.tiles_of_item)
        return start, code.minimum(
            code.add(start, self.plan.tiles_of_item), self.plan.feature_tiles
        )

    def _item_tiles(
        self, code: Code, lane_block: Index, body: Callable[[Index, Index, int], None]
    ) -> None:
        """`body(panel within the item, panel, valid)` for the panels of an item."""
        start, stop = self._item_panels(code, lane_block)
        with code.loop(stop, start) as number:
            self._by_fullness(code, number, lambda t, v: body(code.sub(t, start), t, v))

    def _partial_offsets(self) -> list[int]:
        """Where the partial sums of each phase begin, within those of a panel; last, their size."""
        size = self.plan.width * math.prod(self.plan.pixel_block)
        return [size * i for i in range(len(self.plan.x.phases()) + 1)]

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
        x = self.plan.x
        split, rest = code.divide(item, self.plan.items)
        group, *blocks, lane_block = code.unravel(
            rest, [x.groups, *self.plan.grid, self.plan.lane_grid]
        )
        firsts = [code.mul(b, q) for b, q in zip(blocks, self.plan.pixel_block)]
        partial = code.at(scratch, code.mul(item, self.plan.partial_elements), self.plan.element)
        zero = ir.Constant(ir.VectorType(self.plan.element, self.plan.lanes), None)
        with code.loop(self.plan.partial_elements, 0, self.plan.lanes) as i:
            code.store(zero, code.at(partial, i, self.plan.element), self.plan.wide)
        begin = code.mul(split, self.plan.blocks_a_split)
        end = code.minimum(code.add(begin, self.plan.blocks_a_split), math.prod(self.plan.tap_grid))
        order = [
            *self.plan.tap_axes,
            *(i for i in range(len(self.plan.tap_grid)) if i not in self.plan.tap_axes),
        ]
        offset = code.add(
            self.worker_offset, self.panel_offset, code.mul(worker, self.worker_bytes)
        )
        panels = self._bytes(code, scratch, offset)
        rhs = code.at(rhs, code.mul(group, x.rhs_group), memory_of(self.plan.dtype))
        offsets = self._partial_offsets()
        with code.loop(end, begin) as number:
            coordinates = code.unravel(number, [self.plan.tap_grid[i] for i in order])
            first_taps: list[Index] = [0] * len(order)
            for i, coordinate in zip(order, coordinates):
                first_taps[i] = code.mul(coordinate, self.plan.tap_block[i])
            patch = self._patch(code, lhs, scratch, worker, group, firsts, first_taps, lane_block)
            for n, phase in enumerate(x.phases()):
                if 0 in [p.tap_count for p in phase]:
                    continue
                counts = [
                    self._taps_here(code, i, phase[i], first_taps[i]) for i in range(len(phase))
                ]

                def tile(
                    here: Index, number: Index, valid: int, n=n, phase=phase, counts=counts,
                    first_taps=first_taps, patch=patch,
                ) -> None:  # fmt: skip
                    panel = code.at(
                        panels, code.mul(here, self.plan.block_panel), self.plan.element
                    )
                    source: Index = code.add(
                        x.rhs_offset, code.mul(number, self.plan.width * x.rhs_feature)
                    )
                    for p, dim, first in zip(phase, x.dimensions, first_taps):
                        tap = code.add(p.tap_start, code.mul(first, dim.phase_tap_step))
                        source = code.add(source, code.mul(tap, dim.rhs_stride))
                    axes: list[PackAxis] = []
                    distance: Index = self.plan.width
                    for i in reversed(self.plan.tap_axes):
                        dim = x.dimensions[i]
                        step = dim.rhs_stride * dim.phase_tap_step
                        axes.insert(0, PackAxis(counts[i], step, distance))
                        distance = code.mul(distance, counts[i])
                    place = code.at(rhs, source, memory_of(self.plan.dtype))
                    self.packer.emit(code, place, panel, axes, valid)
                    lane_patch = patch
                    if x.lhs_lane:
                        lane_patch = code.at(
                            patch, code.mul(here, self.plan.width), self.plan.element
                        )
                    place_of_sums = code.add(code.mul(here, offsets[-1]), offsets[n])
                    self.tiles.emit(
                        code, phase, firsts, counts, lane_patch, panel, partial, place_of_sums, 0,
                        valid, "accumulate",
                    )  # fmt: skip

                self._item_tiles(code, lane_block, tile)

    def _taps_here(self, code: Code, i: int, phase: Phase, first: Index) -> Index:
        dim, block = self.plan.x.dimensions[i], self.plan.tap_block[i]
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
        x = self.plan.x
        group, *blocks, lane_block = code.unravel(
            item, [x.groups, *self.plan.grid, self.plan.lane_grid]
        )
        firsts = [code.mul(b, q) for b, q in zip(blocks, self.plan.pixel_block)]
        partial = code.at(scratch, code.mul(item, self.plan.partial_elements), self.plan.element)
        offsets = self._partial_offsets()

        def tile(here: Index, number: Index, valid: int) -> None:
            feature = code.mul(number, self.plan.width)
            number_of = code.add(code.mul(group, x.features), feature)
            if x.lhs_lane:
                number_of = code.add(code.mul(feature, x.groups), group)
            for n, phase in enumerate(x.phases()):
                offset = code.add(code.mul(group, x.out_group), code.mul(feature, x.out_feature))
                for p, dim, first in zip(phase, x.dimensions, firsts):
                    place = code.add(p.out_start, code.mul(first, dim.out_step))
                    offset = code.add(offset, code.mul(place, dim.out_stride))
                sums = code.add(code.mul(here, offsets[-1]), offsets[n])
                self.tiles.emit(
                    code, phase, firsts, [0] * len(phase),
                    code.at(partial, sums, self.plan.element), partial, out, offset, number_of, valid,
                    "finish",
                )  # fmt: skip

        self._item_tiles(code, lane_block, tile)
        start, stop = self._item_panels(code, lane_block)
        self._go_on(code, group, firsts, start, stop)


def _mergeable(outer: SlabAxis, inner: SlabAxis) -> bool:
    return (
        inner.source == 1
        and inner.inside
        and isinstance(inner.first, int)
        and inner.first == 0
        and inner.extent == inner.size == outer.source
        and outer.dilation == inner.dilation == 1
    )
