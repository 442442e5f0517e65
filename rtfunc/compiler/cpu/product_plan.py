"""How a matrix product is cut up: tiles, blocks, and which operands are packed first.

    out[b, m, n] = sum over k of lhs[b, m, k] * rhs[b, k, n]  (+ out[b, m, n])

with all sizes and strides known. The products themselves are done by `product_library`, code that all
programs share; a `ProductPlan` holds the numbers that it works by. Register tiles of some rows by some
vectors of columns read panels of the left operand, whose elements of one column stand together, and rows of
the right operand. An operand that lies otherwise is packed into such panels first, block by block of k.
Depends on `register_tile` and `emission` (forms of the dtypes).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtfunc.compiler.cpu.emission import check_float, compute_dtype
from rtfunc.compiler.cpu.register_tile import balanced, lanes_of, most_rows

_BLOCK_BYTES = 512 << 10
"""Of panels of the left operand that are used together: they stay in the second-level cache."""
_K_BLOCK = 1024
"""Longer sums are done in parts, whose panels stay in the caches."""
_FAR_BYTES = 2048
"""Rows that lie further apart than this suffer from address translation and conflicts in the caches."""
_OFTEN = 4
"""How many tiles have to read such rows before packing them pays."""
_WORK_OF_CHUNK = 1 << 18
"""Products for which it pays to wake another thread, some 2 µs of them."""
_ROWS = (1, 2, 4, 6, 8, 12, 16, 20)
"""Rows of tiles beside the most that the registers hold, and a little less."""
_RARE_FACTOR, _RARE_CYCLES = 1.03, 50
"""What a tile that is not common has to save: compiling it takes 10 ms."""
_ITEMS = 8
"""Items that work is cut into at least, where they stay large enough: they are shared out evenly."""


class ProductSpec(NamedTuple):
    """The static parameters of a (batched) matrix product.

    Attributes:
        m, n, k: sizes: lhs is m by k, rhs k by n, out m by n.
        dtype: of the operands: float32, float64, float16 or bfloat16; sums of the latter are float32.
        lhs: strides of m and k, in elements.
        rhs: strides of k and n.
        out: stride of m; columns are contiguous.
        batch: sizes of the batch axes.
        lhs_batch, rhs_batch, out_batch: strides of the batch axes; 0 where an operand has none.
        accumulate: add to `out` rather than set it.
        out_dtype: of the output: `dtype`, or the one in which it is computed; None for `dtype`.
    """

    m: int
    n: int
    k: int
    dtype: np.dtype
    lhs: tuple[int, int]
    rhs: tuple[int, int]
    out: int
    batch: tuple[int, ...] = ()
    lhs_batch: tuple[int, ...] = ()
    rhs_batch: tuple[int, ...] = ()
    out_batch: tuple[int, ...] = ()
    accumulate: bool = False
    out_dtype: np.dtype | None = None


def contiguous_product(
    m: int,
    n: int,
    k: int,
    dtype: np.dtype,
    *,
    lhs_transposed: bool = False,
    rhs_transposed: bool = False,
    batch: int = 0,
) -> ProductSpec:
    """The spec of a product of C-contiguous matrices, one behind the other if there is a batch.

    >>> contiguous_product(4, 5, 6, np.dtype("float32"), rhs_transposed=True).rhs
    (1, 6)
    """
    one = bool(batch)
    return ProductSpec(
        m,
        n,
        k,
        dtype,
        (1, m) if lhs_transposed else (k, 1),
        (1, k) if rhs_transposed else (n, 1),
        n,
        (batch,) * one,
        (m * k,) * one,
        (k * n,) * one,
        (m * n,) * one,
    )


class Side(NamedTuple):
    """How one operand is read, by byte offsets; a feature is a row of lhs or a column of rhs.

    Attributes:
        features: how many there are.
        width: features in a panel.
        feature, k: distances of features and of elements of a sum.
        batch: of the batch axes.
        first: the number of the first panel that is packed; those after it are too.
        offset: where the packed panels are in scratch memory.
        panels: of one matrix.
        panel_bytes: of a panel with a whole block of k.
    """

    features: int
    width: int
    feature: int
    k: int
    batch: tuple[int, ...]
    first: int
    offset: int
    panels: int
    panel_bytes: int

    @property
    def packed(self) -> int:
        """How many panels of a matrix are packed."""
        return self.panels - self.first

    def packed_panels(self, batch: Sequence[int]) -> int:
        """How many are of all the different matrices."""
        return self.packed * math.prod(n for n, stride in zip(batch, self.batch) if stride)

    def packed_batch(self, batch: Sequence[int]) -> tuple[int, ...]:
        """Distances of the packed matrices along the batch axes."""
        strides, distance = [], self.packed * self.panel_bytes
        for n, stride in zip(reversed(batch), reversed(self.batch)):
            strides.append(distance if stride else 0)
            distance *= n if stride else 1
        return tuple(reversed(strides))


class ProductPlan(NamedTuple):
    """A product cut up.

    Attributes:
        spec: the product.
        rows, columns: of a register tile, the latter in vectors.
        lanes: of a vector.
        lhs, rhs: how operands are read.
        k_block: how long the sums are that are done in one go.
        tiles: down and across.
        blocks: down and across: how many tiles an item of parallel work has.
        chunk: items that are handed out together.
        pack_chunk: panels that are.
        scratch_bytes: memory for panels.
    """

    spec: ProductSpec
    rows: int
    columns: int
    lanes: int
    lhs: Side
    rhs: Side
    k_block: int
    tiles: tuple[int, int]
    blocks: tuple[int, int]
    chunk: int
    pack_chunk: int
    scratch_bytes: int

    @property
    def items(self) -> int:
        """Items of parallel work."""
        down, across = (-(-t // b) for t, b in zip(self.tiles, self.blocks))
        return math.prod(self.spec.batch) * down * across


@functools.lru_cache(maxsize=1024)
def plan_product(spec: ProductSpec) -> ProductPlan:
    """Cut a product up.

    Raises:
        ValueError: the dtype is not one of floating-point numbers.
    """
    check_float("a native matrix product", spec.dtype)
    if 0 in (spec.m, spec.n, *spec.batch):  # nothing to do
        none = Side(0, 1, 0, 0, (0,) * len(spec.batch), 0, 0, 0, 0)
        return ProductPlan(spec, 1, 1, 1, none, none, 1, (0, 0), (1, 1), 1, 1, 0)
    lanes, wide = lanes_of(spec.dtype), compute_dtype(spec.dtype)
    rows, columns = tile_size(spec.m, spec.n, spec.k, lanes)
    width = columns * lanes
    tiles = -(-spec.m // rows), -(-spec.n // width)
    k_block = balanced(spec.k, _K_BLOCK)
    size = wide.itemsize
    lhs = _side(spec, spec.lhs, spec.lhs_batch, spec.m, rows, k_block, tiles[1])
    rhs = _side(spec, (spec.rhs[1], spec.rhs[0]), spec.rhs_batch, spec.n, width, k_block, tiles[0])
    end = _packed_bytes(lhs, spec)
    rhs = rhs._replace(offset=end)
    end += _packed_bytes(rhs, spec)

    work = rows * width * max(k_block, 4)
    blocks = _blocks(spec, tiles, rows, k_block, size, work)
    chunk = max(1, _WORK_OF_CHUNK // (work * blocks[0] * blocks[1]))
    panel = max(s.panel_bytes for s in (lhs, rhs)) // size
    pack_chunk = max(1, _WORK_OF_CHUNK // 16 // panel)
    return ProductPlan(
        spec, rows, columns, lanes, lhs, rhs, k_block, tiles, blocks, chunk, pack_chunk, end
    )


def _side(
    spec: ProductSpec,
    strides: tuple[int, int],
    batch: tuple[int, ...],
    features: int,
    width: int,
    k_block: int,
    uses: int,
) -> Side:
    wide, size = compute_dtype(spec.dtype), spec.dtype.itemsize
    feature, k = (s * size for s in strides)
    far = abs(k) >= _FAR_BYTES and k_block >= 64 and uses >= _OFTEN
    panels = -(-features // width)
    if spec.dtype != wide or far or (feature != size and features > 1):
        first = 0
    else:  # whole tiles are read, so that the last one has to be filled up
        first = features // width
    panel_bytes = -(-width * k_block * wide.itemsize // 64) * 64
    return Side(
        features, width, feature, k, tuple(s * size for s in batch), first, 0, panels, panel_bytes
    )


def _packed_bytes(side: Side, spec: ProductSpec) -> int:
    return side.packed_panels(spec.batch) * side.panel_bytes


def _blocks(
    spec: ProductSpec, tiles: tuple[int, int], rows: int, k_block: int, size: int, work: int
) -> tuple[int, int]:
    """Tiles of an item, down and across."""
    down = min(max(_BLOCK_BYTES // (rows * max(k_block, 1) * size), 1), tiles[0])
    across = min(max(1, _WORK_OF_CHUNK // (work * down)), tiles[1])
    count = math.prod(spec.batch)

    def items() -> int:
        return count * -(-tiles[0] // down) * -(-tiles[1] // across)

    while down > 1 and items() < _ITEMS and work * down * across > _WORK_OF_CHUNK:
        down = -(-down // 2)
    # Equal pieces, rather than a small one at the end.
    return -(-tiles[0] // -(-tiles[0] // down)), -(-tiles[1] // -(-tiles[1] // across))


def tile_size(m: int, n: int, k: int, lanes: int) -> tuple[int, int]:
    """Rows and vectors of columns of a register tile, by estimated processor cycles.

    Tiles come in few sizes, so that programs share their code; the last ones, down and across, may be
    partly filled. Three sizes are common, and another has to be clearly better than they are.
    """
    vectors = -(-n // lanes)
    best, choice = math.inf, (1, 1)
    common = {(8, 1), *((min(most_rows(c), 28) - 1, c) for c in (1, 2))}
    for columns in (1, 2, 3, 4, 6, 8):
        most = min(most_rows(columns), 28)
        if columns > max(vectors, 1):
            break
        if k <= 4:  # bound by stores: long runs of them
            most = min(most, max(1, 8 // columns))
        for rows in sorted({most, most - 1, most - 3, *(r for r in _ROWS if r < most)}):
            if rows < 1:
                continue
            # Two products or two loads a cycle; a product takes four.
            # The columns' operand is the one that comes from a slower cache.
            cycles = max(rows * columns / 2, (rows + columns) / 2 + 0.5, 4) + 0.3 * columns
            count = -(-m // rows) * -(-vectors // columns)
            cost = count * (cycles * k + 2 * rows * columns + 12)
            if (rows, columns) not in common:
                cost = cost * _RARE_FACTOR + _RARE_CYCLES
            if cost < best * (1 - 1e-9):
                best, choice = cost, (rows, columns)
    return choice
