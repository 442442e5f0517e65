"""Reductions over axes: sum, max, min, all, any; argmax and argmin. (`product` has the product.)

Depends on `arithmetic` and `shape`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, linear_jvp, no_jvp, no_vjp, transposing
from rtfunc.ops.arithmetic import div, mul
from rtfunc.ops.comparison import eq
from rtfunc.ops.convert import as_array, convert
from rtfunc.ops.shape import broadcast_in_dim_p, normalize_axes, reshape_p


def infer_reduction(name: str, over: Sequence[np.dtype]) -> Callable[..., Aval]:
    """The shape rule of a reduction over dtypes `over`."""

    def infer(x: Aval, *, axes: tuple[int, ...]) -> Aval:
        if x.dtype not in over:
            raise DtypeError(at_user_line(f"{name} does not take {x.dtype}."))
        axes = normalize_axes(name, axes, x.ndim)
        return Aval(tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype)

    return infer


def batch_reduction(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, axes: Any
) -> Any:
    """The batch rule of reductions."""
    d = batch_axes[0]
    shifted = tuple(a + (a >= d) for a in axes)
    return primitive.bind(*operands, axes=shifted), d - sum(a < d for a in shifted)


def keep_axes(reduced: Any, like: Any, axes: tuple[int, ...]) -> Any:
    """A reduced array with its axes back as size 1, so that it broadcasts against `like`."""
    shape = tuple(1 if i in axes else n for i, n in enumerate(like.shape))
    return reduced if reduced.shape == shape else reshape_p.bind(reduced, shape=shape)


def spread(ct: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """`ct` repeated along the reduced axes of `x`."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    return broadcast_in_dim_p.bind(ct, shape=x.shape, axes=kept) if axes else ct


def _sum_impl(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    if not axes:
        return x
    if x.dtype == dtypes.bool_:
        return xp.any(x, axis=axes)
    wide = dtypes.compute_dtype(x.dtype)
    if wide is x.dtype:
        return x.sum(axis=axes, dtype=wide)
    return x.astype(wide).sum(axis=axes).astype(x.dtype)


reduce_sum_p = Primitive(
    "reduce_sum",
    infer=infer_reduction("reduce_sum", dtypes.numeric),
    impl=lambda xp, x, *, axes: _sum_impl(xp, x, axes=axes),
    jvp=linear_jvp(0),
    vjp=transposing(lambda ct, x, *, axes: spread(ct, x, axes)),
    batch=batch_reduction,
)


def _chosen(x: Any, out: Any, axes: tuple[int, ...]) -> Any:
    """The share of each element in a maximum or minimum: ties share equally."""
    location = convert(eq(x, keep_axes(out, x, axes)), x.dtype)
    count = reduce_sum_p.bind(location, axes=axes)
    return div(location, keep_axes(count, x, axes))


def _extremum_jvp(primitive: Primitive, primals: Any, tangents: Any, *, axes: Any) -> Any:
    (x,), (t,) = primals, tangents
    out = primitive.bind(x, axes=axes)
    return out, reduce_sum_p.bind(mul(t, _chosen(x, out, axes)), axes=axes)


def _extremum_vjp(primitive: Primitive, needed: Any, operands: Any, *, axes: Any) -> Any:
    (x,) = operands
    out = primitive.bind(x, axes=axes)
    return out, lambda ct: [mul(keep_axes(ct, x, axes), _chosen(x, out, axes))]


def _extremum(name: str, kernel: str, identity: Callable[[np.dtype], Any]) -> Primitive:
    def impl(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
        if not axes:
            return x
        if any(x.shape[a] == 0 for a in axes):
            shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
            return xp.full(shape, identity(x.dtype), x.dtype)
        return getattr(xp, kernel)(x, axis=axes)

    return Primitive(
        name,
        infer=infer_reduction(name, dtypes.everything),
        impl=impl,
        jvp=_extremum_jvp,
        vjp=_extremum_vjp,
        batch=batch_reduction,
    )


reduce_max_p = _extremum("reduce_max", "max", dtypes.lowest)
reduce_min_p = _extremum("reduce_min", "min", dtypes.highest)


def _logical(name: str, kernel: str) -> Primitive:
    return Primitive(
        name,
        infer=infer_reduction(name, (dtypes.bool_,)),
        impl=lambda xp, x, *, axes: getattr(xp, kernel)(x, axis=axes) if axes else x,
        jvp=no_jvp,
        vjp=no_vjp,
        batch=batch_reduction,
    )


reduce_and_p = _logical("reduce_and", "all")
reduce_or_p = _logical("reduce_or", "any")


def reduction_function(primitive: Primitive, doc: str) -> Callable[..., Array]:
    """The function for users of a reduction; `doc` says what it reduces to."""
    name = primitive.name

    def function(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
        x = as_array(name, x)
        return primitive.bind(x, axes=tuple(sorted(normalize_axes(name, axes, x.ndim))))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} over `axes` (all by default)."
    return function


reduce_sum = reduction_function(reduce_sum_p, "Sum")
reduce_max = reduction_function(
    reduce_max_p, "Maximum; NaN wins, minus infinity or the lowest integer for none,"
)
reduce_min = reduction_function(
    reduce_min_p, "Minimum; NaN wins, infinity or the highest integer for none,"
)
reduce_and = reduction_function(reduce_and_p, "Whether all booleans are true")
reduce_or = reduction_function(reduce_or_p, "Whether any boolean is true")


# argmax and argmin


def _arg_infer(name: str) -> Callable[..., Aval]:
    def infer(x: Aval, *, axis: int, dtype: np.dtype) -> Aval:
        (number,) = normalize_axes(name, axis, x.ndim)
        if x.shape[number] == 0:
            raise ShapeError(
                at_user_line(f"{name} of an empty sequence: axis {axis} of {x} has size 0.")
            )
        if dtypes.is_complex(x.dtype) or not dtypes.is_integer(dtype):
            raise DtypeError(
                at_user_line(f"{name} takes ordered values, got {x.dtype} -> {dtype}.")
            )
        return Aval(x.shape[:number] + x.shape[number + 1 :], dtype)

    return infer


def _arg_batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, axis: int, dtype: Any
) -> Any:
    return primitive.bind(at_front(operands[0], batch_axes[0]), axis=axis + 1, dtype=dtype), 0


def _arg(name: str, kernel: str) -> Primitive:
    infer = _arg_infer(name)

    def impl(xp: Any, x: Any, *, axis: int, dtype: np.dtype) -> Any:
        if x.shape[axis] == 0:
            infer(Aval(x.shape, x.dtype), axis=axis, dtype=dtype)
        wide = x.astype(dtypes.compute_dtype(x.dtype), copy=False)
        return getattr(xp, kernel)(wide, axis=axis).astype(dtype)

    return Primitive(
        name, infer=infer, impl=impl, jvp=no_jvp, vjp=no_vjp, batch=_arg_batch, weak="strong"
    )


argmax_p = _arg("argmax", "argmax")
argmin_p = _arg("argmin", "argmin")


def _arg_function(primitive: Primitive, doc: str) -> Callable[..., Array]:
    name = primitive.name

    def function(x: ArrayLike, axis: int, dtype: Any = dtypes.int32) -> Array:
        x = as_array(name, x)
        (number,) = normalize_axes(name, axis, x.ndim)
        return primitive.bind(x, axis=number, dtype=dtypes.as_dtype(dtype))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


argmax = _arg_function(argmax_p, "Index of the first maximum (or first NaN) along `axis`.")
argmin = _arg_function(argmin_p, "Index of the first minimum (or first NaN) along `axis`.")
