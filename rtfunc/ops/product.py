"""The product over axes. Its derivative, exact at zeros, needs cumulative products.

Depends on `reduce` for what all reductions share, and on `cumulative`.
"""

from __future__ import annotations

from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.primitive import Primitive
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.cumulative import cumprod_p
from rtfunc.ops.pad_slice import shift_in
from rtfunc.ops.reduce import (
    batch_reduction,
    infer_reduction,
    reduce_sum_p,
    reduction_function,
    spread,
)
from rtfunc.ops.shape import reshape_p, transpose


def _impl(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    if not axes:
        return x
    wide = x.astype(dtypes.compute_dtype(x.dtype), copy=False)
    return xp.prod(wide, axis=axes, dtype=wide.dtype).astype(x.dtype, copy=False)


def _product_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """For each element, the product of all the others along `axes`.

    It is the product of those before times that of those after, which needs no division.
    """
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*kept, *axes)
    moved = transpose(x, order)
    last = len(kept)
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    flat = reshape_p.bind(moved, shape=(*moved.shape[:last], count))
    from_left = cumprod_p.bind(flat, axis=last, reverse=False)
    from_right = cumprod_p.bind(flat, axis=last, reverse=True)
    before = shift_in(from_left, last, 1, forward=True)
    after = shift_in(from_right, last, 1, forward=False)
    others = reshape_p.bind(mul(before, after), shape=moved.shape)
    return transpose(others, tuple(order.index(i) for i in range(x.ndim)))


def _jvp(primitive: Primitive, primals: Any, tangents: Any, *, axes: tuple[int, ...]) -> Any:
    (x,), (t,) = primals, tangents
    out = primitive.bind(x, axes=axes)
    return out, reduce_sum_p.bind(mul(t, _product_of_others(x, axes)), axes=axes) if axes else t


def _vjp(primitive: Primitive, needed: Any, operands: Any, *, axes: tuple[int, ...]) -> Any:
    (x,) = operands
    out = primitive.bind(x, axes=axes)
    return out, lambda ct: [mul(spread(ct, x, axes), _product_of_others(x, axes)) if axes else ct]


reduce_prod_p = Primitive(
    "reduce_prod",
    infer=infer_reduction("reduce_prod", dtypes.numeric),
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=batch_reduction,
)
reduce_prod = reduction_function(reduce_prod_p, "Product")
