"""Matrix products in the terms of BLAS: which `gemm` a contraction is.

BLAS stores matrices by columns, Programs by rows: the transpose of a product is the product of the
transposes in the other order, so that `out = lhs rhs` is asked for as `outᵀ = rhsᵀ lhsᵀ`, where what lies
by rows is the transpose that lies by columns. Depends on `inline` (layouts of joined axes).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from rtfunc.compiler.inline import is_product, matrix_layout
from rtfunc.compiler.kernel import Affine
from rtfunc.compiler.views import row_major_strides
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation


@dataclasses.dataclass(frozen=True, slots=True)
class Operand:
    """A matrix, or a batch of them, as BLAS reads it.

    Attributes: transposed: whether it is the transpose of what lies there by columns; leading: elements
    from column to column; batch: elements from matrix to matrix; start: of the first element.
    """

    transposed: bool
    leading: int
    batch: int
    start: int


@dataclasses.dataclass(frozen=True, slots=True)
class Product:
    """`out = first second` by columns: (rows, terms) times (terms, columns), `count` times.

    Attributes: first is of the right operand of the contraction, second of the left one.
    """

    dtype: np.dtype
    rows: int
    columns: int
    terms: int
    count: int
    first: Operand
    second: Operand


def product_of(equation: Equation, views: Sequence[Affine | None]) -> Product | None:
    """The Product that a contraction of operands read through `views` is; None where it is none."""
    if equation.primitive.name != "dot_general" or not is_product(equation):
        return None
    dtype, out = equation.inputs[0].aval.dtype, equation.outputs[0].aval.dtype
    if dtype not in (dtypes.float32, dtypes.float64) or out != dtype:
        return None
    (contract, batch) = equation.params["dimension_numbers"]
    sizes, operands = [], []
    shape = equation.inputs[0].aval.shape
    terms = math.prod(shape[a] for a in contract[0])
    for position, view in enumerate(views):
        shape = equation.inputs[position].aval.shape
        strides = row_major_strides(shape) if view is None else view.coefficients
        start = 0 if view is None else view.constant
        own = (*batch[position], *contract[position])
        free = [a for a in range(len(shape)) if a not in own]
        layout = matrix_layout(shape, strides, free, contract[position])
        step = joined_stride(
            [shape[a] for a in batch[position]], [strides[a] for a in batch[position]]
        )
        if layout is None or step is None:
            return None
        size = math.prod(shape[a] for a in free)
        along_free, along_terms = layout
        # The left operand's rows are its free axes; the right one's are its terms.
        row, column, rows, columns = (
            (along_free, along_terms, size, terms)
            if position == 0
            else (along_terms, along_free, terms, size)
        )
        operand = as_operand(row, column, rows, columns, step, start)
        if operand is None:
            return None
        sizes.append(size)
        operands.append(operand)
    count = math.prod(equation.inputs[0].aval.shape[a] for a in batch[0])
    (lhs, rhs), (m, n) = operands, sizes
    return Product(dtype, n, m, terms, count, rhs, lhs)


def joined_stride(sizes: Sequence[int], strides: Sequence[int]) -> int | None:
    """The one stride of several axes, or None where they do not lie as one."""
    kept = [(n, s) for n, s in zip(sizes, strides) if n != 1]
    if not kept:
        return 0
    for (_, outer), (n, inner) in zip(kept, kept[1:]):
        if outer != inner * n:
            return None
    return kept[-1][1]


def as_operand(
    row: int, column: int, rows: int, columns: int, batch: int, start: int
) -> Operand | None:
    """A matrix of `rows` x `columns` with these strides; None where no stride is 1, or they overlap."""
    if batch < 0:
        return None
    if column == 1 or columns == 1:  # by rows: its transpose lies by columns
        leading = row if rows > 1 else columns
        if leading >= columns and (column == 1 or columns == 1):
            return Operand(False, max(leading, 1), batch, start)
    if row == 1 or rows == 1:
        leading = column if columns > 1 else rows
        if leading >= rows:
            return Operand(True, max(leading, 1), batch, start)
    return None
