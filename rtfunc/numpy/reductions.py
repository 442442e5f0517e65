"""Reductions: sums, products, extremes, truth, counts, means, variances, logsumexp.

As in JAX, small integers are summed in int32 or uint32, booleans count as integers, means of
integers are float32, and 16-bit floats are accumulated in float32. Results are never weakly typed.
`where` selects the elements that take part. Depends on `elementwise` and `ops.reduce`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import broadcast_shapes
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.core.trace import Tracer
from rtfunc.numpy.arguments import constant, number_in, refuse_out
from rtfunc.ops.arithmetic import add, div, maximum, minimum, mul, sqrt, square, sub
from rtfunc.ops.comparison import eq, ne
from rtfunc.ops.complex import abs_
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.exponential import exp, log
from rtfunc.ops.product import reduce_prod_p
from rtfunc.ops.reduce import (
    argmax_p,
    argmin_p,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_sum_p,
)
from rtfunc.ops.rounding import is_finite
from rtfunc.ops.select import select
from rtfunc.ops.shape import normalize_axes, normalize_axis, reshape_p
from rtfunc.ops.stop_gradient import stop_gradient_p

Axis = int | Sequence[int] | None

_all_axes = [tuple(range(n)) for n in range(9)]


def _axes(operation: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return _all_axes[ndim] if ndim < 9 else tuple(range(ndim))
    return tuple(sorted(normalize_axes(operation, axis, ndim)))


def _reduced(primitive: Primitive, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    if not axes:
        return convert(x, x.dtype) if isinstance(x, Tracer) else Array(x._buffer.copy())
    out = primitive.bind(x, axes=axes)
    if keepdims:
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        out = reshape_p.bind(out, shape=shape)
    return convert(out, out.dtype) if out.weak_type else out


def _selected(operation: str, x: Array, where: Any, otherwise: Any) -> Array:
    """`x` where `where` holds, broadcast together, and a neutral value elsewhere."""
    if where is None or where is True:
        return x
    mask = as_array(operation, where)
    if mask.dtype != dtypes.bool_:
        raise DtypeError(
            at_user_line(
                f"{operation}: where= takes booleans, not {mask.dtype}; compare explicitly."
            )
        )
    return select(mask, x, constant(otherwise, x))


def sum_dtype(dtype: np.dtype, asked: DtypeLike) -> np.dtype:
    """The dtype of sums: what was asked for, or that of the elements, at least 32 bits wide."""
    if asked is not None:
        return as_dtype(asked)
    kind = dtype.kind
    if kind in "biu" and dtype.itemsize < 4:
        return dtypes.uint32 if kind == "u" else dtypes.default_int
    return dtype


# Sums and products


def sum(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DtypeLike = None,
    out: None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> Array:
    """The sum over `axis` (all axes by default).

    Arguments:
      dtype: in which to add; by default that of `x`, at least 32 bits wide for integers.
      keepdims: whether reduced axes stay with size 1.
      initial: added to the sum; where: which elements take part.

    >>> sum(np.array([[1, 2], [3, 4]], "int8"), axis=0)
    Array([4, 6], dtype=int32)
    """
    refuse_out("sum", out)
    return _total("sum", reduce_sum_p, x, axis, dtype, keepdims, initial, where, 0)


def prod(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DtypeLike = None,
    out: None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> Array:
    """The product over `axis`; arguments as in `sum`.

    >>> prod(np.array([[1.0, 2.0], [3.0, 4.0]], "float32"))
    Array(24., dtype=float32)
    """
    refuse_out("prod", out)
    return _total("prod", reduce_prod_p, x, axis, dtype, keepdims, initial, where, 1)


def _total(
    operation: str,
    primitive: Primitive,
    x: ArrayLike,
    axis: Axis,
    dtype: DtypeLike,
    keepdims: bool,
    initial: Any,
    where: Any,
    neutral: int,
) -> Array:
    x = number_in(operation, x, dtype)
    wanted = sum_dtype(x.dtype, dtype)
    if x.dtype != wanted:
        x = convert(x, wanted, x.weak_type)
    if where is not None:
        x = _selected(operation, x, where, neutral)
    result = _reduced(primitive, x, _axes(operation, axis, x.ndim), keepdims)
    if initial is None:
        return result
    start = as_array(operation, initial, wanted)
    return add(result, start) if neutral == 0 else mul(result, start)


# Extremes


def max(
    x: ArrayLike,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> Array:
    """The maximum over `axis`; NaN if there is one. Ties share the derivative equally.

    Raises `ShapeError` for no elements without `initial`, the value that is a lower bound, which
    `where` needs too.

    >>> max(np.array([[1, 5], [3, 4]], "int32"), axis=1)
    Array([5, 4], dtype=int32)
    """
    refuse_out("max", out)
    return _extreme("max", reduce_max_p, maximum, x, axis, keepdims, initial, where)


def min(
    x: ArrayLike,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> Array:
    """The minimum over `axis`; NaN if there is one. Arguments as in `max`.

    >>> min(np.array([[1, 5], [3, 4]], "int32"), axis=1)
    Array([1, 3], dtype=int32)
    """
    refuse_out("min", out)
    return _extreme("min", reduce_min_p, minimum, x, axis, keepdims, initial, where)


amax, amin = max, min


def _extreme(
    operation: str,
    primitive: Primitive,
    combine: Any,
    x: ArrayLike,
    axis: Axis,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Array:
    if not isinstance(x, Array):
        x = as_array(operation, x)
    axes = _axes(operation, axis, x.ndim)
    if where is not None:
        if initial is None:
            raise ArgumentError(
                at_user_line(f"{operation}: where= needs initial=, for no element may take part.")
            )
        edge = dtypes.lowest if operation == "max" else dtypes.highest
        x = _selected(operation, x, where, edge(dtypes.real_of(x.dtype)))
    if initial is None and 0 in {x.shape[a] for a in axes}:
        raise ShapeError(
            at_user_line(
                f"{operation} of no elements: shape {x.shape} over axes {axes} has none, and "
                f"{operation} has no neutral value. Give initial=."
            )
        )
    result = _reduced(primitive, x, axes, keepdims)
    if initial is None:
        return result
    return combine(result, as_array(operation, initial, result.dtype))


def ptp(x: ArrayLike, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
    """The maximum minus the minimum over `axis`.

    >>> ptp(np.array([3, 9, 4], "int32"))
    Array(6, dtype=int32)
    """
    refuse_out("ptp", out)
    x = as_array("ptp", x)
    return sub(max(x, axis, keepdims=keepdims), min(x, axis, keepdims=keepdims))


def _arg(
    operation: str, primitive: Primitive, x: Any, axis: int | None, out: Any, keepdims: bool
) -> Array:
    refuse_out(operation, out)
    x = as_array(operation, x)
    shape = x.shape
    if axis is None:
        x = reshape_p.bind(x, shape=(x.size,)) if x.ndim != 1 else x
        number, kept = 0, (1,) * len(shape)
    else:
        number = normalize_axis(operation, axis, x.ndim)
        kept = (*shape[:number], 1, *shape[number + 1 :])
    dtype = dtypes.int32 if x.shape[number] < 2**31 else dtypes.int64
    result = primitive.bind(x, axis=number, dtype=dtype)
    return reshape_p.bind(result, shape=kept) if keepdims else result


def argmax(
    x: ArrayLike, axis: int | None = None, out: None = None, keepdims: bool = False
) -> Array:
    """The index of the first maximum (or first NaN) along `axis`; of the flat array by default.

    >>> argmax(np.array([1.0, 7.0, 3.0]))
    Array(1, dtype=int32)
    """
    return _arg("argmax", argmax_p, x, axis, out, keepdims)


def argmin(
    x: ArrayLike, axis: int | None = None, out: None = None, keepdims: bool = False
) -> Array:
    """The index of the first minimum (or first NaN) along `axis`; of the flat array by default.

    >>> argmin(np.array([4.0, 7.0, 3.0]))
    Array(2, dtype=int32)
    """
    return _arg("argmin", argmin_p, x, axis, out, keepdims)


# Truth


def _truth(operation: str, x: ArrayLike) -> Array:
    x = as_array(operation, x)
    return x if x.dtype == dtypes.bool_ else ne(x, constant(0, x))


def all(
    x: ArrayLike,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
) -> Array:
    """Whether all elements over `axis` are not zero; true for none.

    >>> all(np.array([[1, 0], [2, 3]]), axis=1)
    Array([False,  True], dtype=bool)
    """
    refuse_out("all", out)
    x = _selected("all", _truth("all", x), where, True)
    return _reduced(reduce_and_p, x, _axes("all", axis, x.ndim), keepdims)


def any(
    x: ArrayLike,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
) -> Array:
    """Whether any element over `axis` is not zero; false for none.

    >>> any(np.array([[0, 0], [2, 0]]), axis=1)
    Array([False,  True], dtype=bool)
    """
    refuse_out("any", out)
    x = _selected("any", _truth("any", x), where, False)
    return _reduced(reduce_or_p, x, _axes("any", axis, x.ndim), keepdims)


def count_nonzero(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Array:
    """The number of elements over `axis` that are not zero.

    >>> count_nonzero(np.array([0, 3, 0, 4]))
    Array(2, dtype=int32)
    """
    return sum(_truth("count_nonzero", x), axis, keepdims=keepdims)


# Means and variances


def _computation(x: Array, dtype: DtypeLike) -> tuple[Array, np.dtype]:
    """`x` in the dtype in which means are computed, and the dtype of the result."""
    wanted = dtypes.to_inexact(x.dtype) if dtype is None else as_dtype(dtype)
    wide = dtypes.compute_dtype(dtypes.to_inexact(wanted))
    if dtypes.is_complex(x.dtype) and not dtypes.is_complex(wide):
        wide = dtypes.complex_of(wide)
    return convert(x, wide), wanted


def _count(
    operation: str, x: Array, axes: tuple[int, ...], where: Any, like: np.dtype, keepdims: bool
) -> Array:
    """How many elements take part, as a number of the dtype `like`."""
    if where is None or where is True:
        return scalar(math.prod(x.shape[a] for a in axes), like)
    mask = broadcast_to(as_array(operation, where), x.shape)
    return _reduced(reduce_sum_p, convert(mask, like), axes, keepdims)


def mean(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DtypeLike = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
) -> Array:
    """The arithmetic mean over `axis`; NaN of no elements.

    >>> mean(np.array([[1, 2], [3, 4]]), axis=0)
    Array([2., 3.], dtype=float32)
    """
    refuse_out("mean", out)
    x, wanted = _computation(number_in("mean", x, dtype), dtype)
    axes = _axes("mean", axis, x.ndim)
    total = _reduced(reduce_sum_p, _selected("mean", x, where, 0), axes, keepdims)
    return convert(div(total, _count("mean", x, axes, where, x.dtype, keepdims)), wanted)


def var(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DtypeLike = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
    mean: ArrayLike | None = None,
    correction: float | None = None,
) -> Array:
    """The variance over `axis`: the mean square distance from the mean, computed in two passes.

    `mean`, where it is known already, has the shape that it has with keepdims=True.

    The divisor is the number of elements minus `ddof` (`correction` is the same in the array API
    standard); the result is NaN where it is not positive. It is real for complex `x`.

    >>> var(np.array([1.0, 2.0, 3.0, 6.0], "float32"))
    Array(3.5, dtype=float32)
    """
    refuse_out("var", out)
    return _variance("var", x, axis, dtype, ddof, keepdims, where, correction, mean)


def std(
    x: ArrayLike,
    axis: Axis = None,
    dtype: DtypeLike = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
    mean: ArrayLike | None = None,
    correction: float | None = None,
) -> Array:
    """The standard deviation over `axis`: the square root of `var`, whose arguments it takes.

    >>> std(np.array([2.0, 4.0], "float32"))
    Array(1., dtype=float32)
    """
    refuse_out("std", out)
    return sqrt(_variance("std", x, axis, dtype, ddof, keepdims, where, correction, mean))


def _variance(
    operation: str,
    x: ArrayLike,
    axis: Axis,
    dtype: DtypeLike,
    ddof: float,
    keepdims: bool,
    where: Any,
    correction: float | None,
    mean: ArrayLike | None = None,
) -> Array:
    if correction is not None:
        if ddof:
            raise ArgumentError(
                at_user_line(f"{operation}: ddof and correction are the same; give one of them.")
            )
        ddof = correction
    x, wanted = _computation(number_in(operation, x, dtype), dtype)
    x = _selected(operation, x, where, 0)  # what is left out gives no NaN to derivatives either
    axes = _axes(operation, axis, x.ndim)
    real = dtypes.real_of(x.dtype)
    if mean is not None:
        center = as_array(operation, mean, x.dtype)
        if broadcast_shapes(operation, center.shape, x.shape) != x.shape:
            raise ShapeError(
                at_user_line(
                    f"{operation}: a mean of shape {center.shape} does not fit an array of shape "
                    f"{x.shape}. Compute it with keepdims=True."
                )
            )
        center = broadcast_to(center, x.shape)
    elif axes:
        kept = _reduced(reduce_sum_p, x, axes, True)
        center = div(kept, _count(operation, x, axes, where, x.dtype, True))
    else:
        center = x
    distance = sub(x, center)
    squares = square(abs_(distance) if dtypes.is_complex(x.dtype) else distance)
    total = _reduced(reduce_sum_p, _selected(operation, squares, where, 0), axes, keepdims)
    divisor = sub(_count(operation, x, axes, where, real, keepdims), scalar(ddof, real))
    result = div(total, maximum(divisor, scalar(0, real)))
    return convert(result, dtypes.real_of(wanted))


def average(
    x: ArrayLike,
    axis: Axis = None,
    weights: ArrayLike | None = None,
    returned: bool = False,
    keepdims: bool = False,
) -> Any:
    """The weighted mean over `axis`; with `returned`, also the sum of the weights.

    `weights` has the shape of `x`, or is 1-d along a single axis.

    >>> average(np.array([1.0, 4.0], "float32"), weights=np.array([1.0, 3.0], "float32"))
    Array(3.25, dtype=float32)
    """
    x = as_array("average", x)
    if weights is None:
        result = mean(x, axis, keepdims=keepdims)
        axes = _axes("average", axis, x.ndim)
        weight = scalar(math.prod(x.shape[a] for a in axes), result.dtype)
    else:
        x, factors = promote_inexact("average", x, weights)
        axes = _axes("average", axis, x.ndim)
        if factors.shape != x.shape:
            if axis is None or factors.shape != tuple(x.shape[a] for a in axes):
                raise ShapeError(
                    at_user_line(
                        f"average: weights of shape {factors.shape} do not fit {x.shape} over axis "
                        f"{axis}; they have the shape of x, or of the axes that are averaged."
                    )
                )
            shape = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
            factors = broadcast_to(reshape_p.bind(factors, shape=shape), x.shape)
        weight = sum(factors, axis, keepdims=keepdims)
        result = div(sum(mul(x, factors), axis, keepdims=keepdims), weight)
    return (result, broadcast_to(weight, result.shape)) if returned else result


def logsumexp(
    x: ArrayLike,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    where: ArrayLike | None = None,
) -> Array:
    """log(sum(exp(x))) over `axis`, without overflow; minus infinity of no elements.

    >>> logsumexp(np.array([1000.0, 1000.0], "float32"))
    Array(1000.6932, dtype=float32)
    """
    (x,) = promote_inexact("logsumexp", x)
    return log_of_weighted_sum("logsumexp", x, None, axis, keepdims, where)[0]


def log_of_weighted_sum(
    operation: str, x: Array, factor: Array | None, axis: Axis, keepdims: bool, where: Any
) -> tuple[Array, Array]:
    """log(abs(total)) and total / exp(maximum), with total = sum(factor exp(x)): never overflows.

    The second tells the sign. Where all terms are 0 the logarithm is minus infinity, and no
    derivative flows.
    """
    axes = _axes(operation, axis, x.ndim)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(
            at_user_line(
                f"{operation} takes real numbers, not {x.dtype}. "
                "Take the real part first, with rtfunc.numpy.real(x)."
            )
        )
    wide = convert(_selected(operation, x, where, -math.inf), dtypes.compute_dtype(x.dtype))
    # The shift cancels out, so that no derivative has to flow through it.
    top = stop_gradient_p.bind(_reduced(reduce_max_p, wide, axes, True))
    top = select(is_finite(top), top, constant(0, top))
    terms = exp(sub(wide, top))
    if factor is not None:
        terms = mul(terms, factor)
    total = _reduced(reduce_sum_p, terms, axes, keepdims)
    shift = top if keepdims else reshape_p.bind(top, shape=total.shape)
    size = total if factor is None else abs_(total)
    none = eq(total, constant(0, total))
    logarithm = add(log(select(none, constant(1, total), size)), shift)
    return convert(select(none, constant(-math.inf, total), logarithm), x.dtype), total
