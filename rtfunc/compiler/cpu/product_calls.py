"""Contractions as matrix products: what a call of `dot_general` computes, in the terms of the library.

Depends on `product_plan`, `compiler.inline` (layouts of joined axes).
"""

from __future__ import annotations

import math

from rtfunc.compiler.cpu.product_plan import ProductPlan, ProductSpec, plan_product
from rtfunc.compiler.inline import is_product, matrix_layout
from rtfunc.compiler.schedule import Call
from rtfunc.compiler.views import row_major_strides


def is_swapped(call: Call) -> bool:
    """Whether the product of the transposes in the other order is computed: the same numbers.

    For a matrix by a vector: the columns of a tile then go along the vector that comes out.
    """
    spec = _spec(call)
    return spec.n == 1 and spec.m > 1


def product_plan(call: Call) -> ProductPlan | None:
    """How the matrix product of a call is done; None where it is not one."""
    if call.equation.primitive.name != "dot_general" or not is_product(call.equation):
        return None
    spec = _spec(call)
    if is_swapped(call):
        spec = spec._replace(
            m=1,
            n=spec.m,
            lhs=(spec.rhs[1], spec.rhs[0]),
            rhs=(spec.lhs[1], spec.lhs[0]),
            out=spec.m,
            lhs_batch=spec.rhs_batch,
            rhs_batch=spec.lhs_batch,
        )
    return plan_product(spec)


def _spec(call: Call) -> ProductSpec:
    equation = call.equation
    (contract, batch) = equation.params["dimension_numbers"]
    sizes, layouts, batches = [], [], []
    for position, (_, offset) in enumerate(call.operands):
        aval = equation.inputs[position].aval
        strides = row_major_strides(aval.shape) if offset is None else offset.coefficients
        own = (*batch[position], *contract[position])
        free = [a for a in range(aval.ndim) if a not in own]
        layout = matrix_layout(aval.shape, strides, free, contract[position])
        assert layout is not None
        sizes.append(math.prod(aval.shape[a] for a in free))
        layouts.append(layout)
        batches.append(tuple(strides[a] for a in batch[position]))
    shape = equation.inputs[0].aval.shape
    k = math.prod(shape[a] for a in contract[0])
    batch_shape = tuple(shape[a] for a in batch[0])
    m, n = sizes
    out = equation.outputs[0].aval.dtype
    dtype = equation.inputs[0].aval.dtype
    out_batch = tuple(s * m * n for s in row_major_strides(batch_shape))
    (lhs, rhs), (lhs_batch, rhs_batch) = layouts, batches
    return ProductSpec(
        m, n, k, dtype, lhs, (rhs[1], rhs[0]), n, batch_shape, lhs_batch, rhs_batch, out_batch,
        out_dtype=out,
    )  # fmt: skip
