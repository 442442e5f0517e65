"""How a convolution is cut up: which axis goes along vectors, register tiles, blocks, what is copied.

All of it follows from shapes and the machine's vectors alone. The constants were found by measurement,
with `python -m benchmarks.convolution`. Depends on `convolution_geometry`, `packing`, `register_tile`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from rtfunc.compiler.cpu.convolution_geometry import (
    Contraction,
    ConvolutionSpec,
    contraction,
    lanes_from_groups,
)
from rtfunc.compiler.cpu.emission import compute_dtype, compute_type
from rtfunc.compiler.cpu.packing import slab_strides
from rtfunc.compiler.cpu.register_tile import balanced, lanes_of, most_rows, vector_registers

_SLAB_BYTES = 256 << 10
_FEWEST_PIXELS = 98
_MOST_PIXELS = 4096
_MOST_TAPS = 8192
_TAP_BLOCK = 256
_PARTIAL_BYTES = 16 << 20


@functools.lru_cache(maxsize=256)
def plan_convolution(spec: ConvolutionSpec) -> ConvolutionPlan:
    """The plan of a convolution: several stages of a compilation look at it."""
    return ConvolutionPlan(spec)


class ConvolutionPlan:
    """The choices for one convolution.

    Attributes:
        x: the contraction, with the groups as features in mode "groups".
        dtype, out_dtype, wide: of the operands, of the output, in which sums are kept.
        element, lanes: the LLVM type of `wide`, and how many fit into a vector.
        mode: what lies along vectors: "features", "pixels" or "groups".
        pixel_axes: dimensions with several positions, in the order of the output, innermost first.
        tap_axes: dimensions with taps, in the order of the kernel, outermost first.
        width, columns, rows: features in a panel; vectors and rows of a register tile (in mode "pixels"
            a tile has `width` rows and up to `columns` vectors of pixels).
        by_taps: whether sums are cut into blocks of taps.
        pixel_block, tap_block: how many positions and taps of each dimension a block has.
        lane_block: how many groups are done together in mode "groups".
        direct: whether the input is read where it lies, rather than from a slab.
        strides: of the dimensions in what is read; `slab_extents`, `slab_strides`, `slab_elements`
            describe the slab.
        grid, lane_grid, tap_grid: how many blocks of each kind there are.
        feature_blocks: into how many parts the panels are divided.
        items: by taps, how many blocks of pixels there are in all; each has `partial_elements` sums in
            each of `splits` ranges of `blocks_a_split` blocks of taps.
    """

    def __init__(self, spec: ConvolutionSpec) -> None:
        self.dtype = spec.dtype
        self.out_dtype = spec.out_dtype or spec.dtype
        self.wide = compute_dtype(spec.dtype)
        self.element = compute_type(spec.dtype)
        self.lanes = lanes_of(spec.dtype)
        self.mode, self.x = self._choose_mode(contraction(spec))
        dims = self.x.dimensions
        order = sorted(range(len(dims)), key=lambda i: dims[i].out_stride)
        self.pixel_axes = [i for i in order if dims[i].out > 1]
        order = sorted(range(len(dims)), key=lambda i: -abs(dims[i].rhs_stride))
        self.tap_axes = [i for i in order if any(p.tap_count != 1 for p in dims[i].phases)]
        self._choose_tile()
        self._choose_blocks()

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
        self.rows = min(most_rows(self.columns), 28)
        if self.mode == "groups":
            self.rows = min(self.rows, 8)

    def result_axes(self) -> list[int | None] | None:
        """The axes of the result with several points, outermost first: which dimension each is, None for the
        channels; None if there is no such order, or if blocks cut its last axis anywhere."""
        x = self.x
        if x.lhs_lane or (x.groups > 1 and x.out_group != x.features * x.out_feature):
            return None
        found: list[tuple[int, int, int | None]] = [
            (d.out_stride, d.out, i) for i, d in enumerate(x.dimensions) if d.out > 1
        ]
        if x.groups * x.features > 1:
            found.append((x.out_feature, x.groups * x.features, None))
        found.sort(key=lambda axis: -axis[0])
        inner = 1
        for stride, size, _ in reversed(found):
            if stride != inner:
                return None
            inner *= size
        axes = [number for _, _, number in found]
        if not axes:
            return None
        last = axes[-1]
        whole = (
            x.groups == 1 if last is None else self.pixel_block[last] >= x.dimensions[last].most_out
        )
        return axes if whole else None

    def axis_size(self, axis: int | None) -> int:
        """Points of an axis of `result_axes`."""
        return self.x.groups * self.x.features if axis is None else self.x.dimensions[axis].out

    @property
    def feature_tiles(self) -> int:
        """How many panels the features of a group fill."""
        return -(-self.x.features // self.width)

    def _choose_blocks(self) -> None:
        x, dims = self.x, self.x.dimensions
        self.by_taps = self.mode != "pixels" and self._has_long_sums()
        self.lane_block = x.features if x.lhs_lane else 1
        if x.lhs_lane:
            self.lane_block = min(round_up(x.features, self.width), 4 * self.width)
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
        if not all(d.most_taps for d in x.dimensions):
            return False
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
        self.grid = [-(-d.most_out // block) for d, block in zip(x.dimensions, self.pixel_block)]
        self.lane_grid = -(-x.features // self.lane_block) if x.lhs_lane else 1
        self.items = items = math.prod(self.grid) * x.groups * self.lane_grid
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
        self.partial_elements = round_up(
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
        return -(-self.feature_tiles // self.feature_blocks)

    @property
    def panel_elements(self) -> int:
        """Elements of a panel with the taps of all phases."""
        return self.width * sum(math.prod(p.tap_count for p in phase) for phase in self.x.phases())

    @property
    def block_panel(self) -> int:
        """Elements of a panel with the taps of one block."""
        return self.width * math.prod(max(t, 1) for t in self.tap_block)

    def even(self, i: int) -> bool:
        """Whether no block of a dimension reaches over its end."""
        dim = self.x.dimensions[i]
        return (
            dim.most_out % self.pixel_block[i] == 0
            and (dim.most_taps <= 1 or dim.most_taps % max(self.tap_block[i], 1) == 0)
            and len(dim.phases) == 1
        )

    def partial_stride(self, i: int) -> int:
        """Distance of positions in partial sums."""
        inner = self.pixel_axes[: self.pixel_axes.index(i)]
        return self.width * math.prod(self.pixel_block[k] for k in inner)


def round_up(n: int, unit: int) -> int:
    """n, or the next multiple of `unit`."""
    return -(-n // unit) * unit
