"""Cumulative sum, product, maximum, minimum and log-sum-exp along an axis.

Each element of the result combines all elements up to its own place: out[i] = combine(out[i - 1],
x[i]). The derivative follows the same fold, so it is a linear recurrence whose coefficients are the
partial derivatives of `combine`; at ties a maximum divides its derivative equally, as `maximum`
does. Depends on `recurrence`, `arithmetic`, `exponential`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.primitive import Primitive, linear_jvp, transposing
from rtfunc.ops.arithmetic import mul, sub
from rtfunc.ops.comparison import eq
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.exponential import exp
from rtfunc.ops.pad_slice import shift_in
from rtfunc.ops.recurrence import linear_recurrence_p
from rtfunc.ops.select import select
from rtfunc.ops.shape import normalize_axis

#: `partials(x, out[i - 1], out)` are the derivatives of out[i] by out[i - 1] and by x[i].
Partials = Callable[[Any, Any, Any], tuple[Any, Any]]


def _infer(name: str, over: Sequence[np.dtype]) -> Callable[..., Aval]:
    def infer(x: Aval, *, axis: int, reverse: bool) -> Aval:
        if x.dtype not in over:
            raise DtypeError(at_user_line(f"{name} does not take {x.dtype}."))
        normalize_axis(name, axis, x.ndim)
        return x

    return infer


def _scanning(
    name: str, over: Sequence[np.dtype], accumulate: Callable[..., Any]
) -> Callable[..., Any]:
    """The kernel `accumulate(xp, x, axis)` run from either end, halves accumulated in float32."""
    infer = _infer(name, over)

    def impl(xp: Any, x: Any, *, axis: int, reverse: bool) -> Any:
        if x.dtype not in over:
            infer(Aval(x.shape, x.dtype), axis=axis, reverse=reverse)
        wide = x.astype(dtypes.compute_dtype(x.dtype), copy=False)
        out = accumulate(xp, xp.flip(wide, axis) if reverse else wide, axis)
        return (xp.flip(out, axis) if reverse else out).astype(x.dtype, copy=False)

    return impl


def _batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, axis: int, reverse: bool
) -> Any:
    d = batch_axes[0]
    return primitive.bind(*operands, axis=axis + (axis >= d), reverse=reverse), d


def _fold(
    name: str,
    over: Sequence[np.dtype],
    accumulate: Callable[..., Any],
    identity: Callable[[np.dtype], Any],
    partials: Partials,
) -> Primitive:
    """A cumulative primitive whose derivative is the linear recurrence of `partials`.

    `identity` is the value that stands before the first element.
    """

    def coefficients(x: Any, out: Any, axis: int, reverse: bool) -> tuple[Any, Any]:
        before = shift_in(out, axis, identity(x.dtype), forward=not reverse)
        return partials(x, before, out)

    def jvp(primitive: Primitive, primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
        (x,), (t,) = primals, tangents
        out = primitive.bind(x, axis=axis, reverse=reverse)
        by_before, by_x = coefficients(x, out, axis, reverse)
        t = linear_recurrence_p.bind(by_before, mul(t, by_x), axis=axis, reverse=reverse)
        return out, t

    def vjp(primitive: Primitive, needed: Any, operands: Any, *, axis: int, reverse: bool) -> Any:
        (x,) = operands
        out = primitive.bind(x, axis=axis, reverse=reverse)

        def pullback(ct: Any) -> list[Any]:
            by_before, by_x = coefficients(x, out, axis, reverse)
            back = shift_in(by_before, axis, 0, forward=reverse)
            into = linear_recurrence_p.bind(back, ct, axis=axis, reverse=not reverse)
            return [mul(into, by_x)]

        return out, pullback

    return Primitive(
        name,
        infer=_infer(name, over),
        impl=_scanning(name, over, accumulate),
        jvp=jvp,
        vjp=vjp,
        batch=_batch,
    )


cumsum_p = Primitive(
    "cumsum",
    infer=_infer("cumsum", dtypes.numeric),
    impl=_scanning(
        "cumsum", dtypes.numeric, lambda xp, x, axis: xp.cumsum(x, axis=axis, dtype=x.dtype)
    ),
    jvp=linear_jvp(0),
    vjp=transposing(
        lambda ct, x, *, axis, reverse: cumsum_p.bind(ct, axis=axis, reverse=not reverse)
    ),
    batch=_batch,
)

cumprod_p = _fold(
    "cumprod",
    dtypes.numeric,
    lambda xp, x, axis: xp.cumprod(x, axis=axis, dtype=x.dtype),
    lambda dtype: 1,
    lambda x, before, out: (x, before),
)


def _shares(x: Any, before: Any, out: Any) -> tuple[Any, Any]:
    one, zero, half = (scalar(v, x.dtype) for v in (1, 0, 0.5))
    tie = eq(x, before)
    return (
        select(tie, half, select(eq(before, out), one, zero)),
        select(tie, half, select(eq(x, out), one, zero)),
    )


def _running(kernel: str) -> Callable[..., Any]:
    def accumulate(xp: Any, x: Any, axis: int) -> Any:
        if xp is np:
            return getattr(np, kernel).accumulate(x, axis=axis) if x.size else x
        return _doubling(xp, getattr(xp, kernel), x, axis)

    return accumulate


def _doubling(xp: Any, combine: Callable[..., Any], x: Any, axis: int) -> Any:
    """The running fold of an associative operation in log2(n) passes: for GPUs."""
    out = xp.moveaxis(x, axis, 0).copy()
    step = 1
    while step < len(out):
        out[step:] = combine(out[:-step], out[step:])
        step *= 2
    return xp.moveaxis(out, 0, axis)


cummax_p = _fold("cummax", dtypes.everything, _running("maximum"), dtypes.lowest, _shares)
cummin_p = _fold("cummin", dtypes.everything, _running("minimum"), dtypes.highest, _shares)


def _weights(x: Any, before: Any, out: Any) -> tuple[Any, Any]:
    # Where both are the same infinity the difference counts as 0.
    zero = scalar(0, x.dtype)
    return (
        exp(select(eq(before, out), zero, sub(before, out))),
        exp(select(eq(x, out), zero, sub(x, out))),
    )


cumlogsumexp_p = _fold(
    "cumlogsumexp", dtypes.floats, _running("logaddexp"), dtypes.lowest, _weights
)


def _function(primitive: Primitive, doc: str, prepare: Callable[[str, ArrayLike], Array]) -> Any:
    name = primitive.name

    def function(x: ArrayLike, axis: int = 0, reverse: bool = False) -> Array:
        array = prepare(name, x)
        number = normalize_axis(name, axis, array.ndim)
        return primitive.bind(array, axis=number, reverse=bool(reverse))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _counting(name: str, x: ArrayLike) -> Array:
    """Booleans are counted in the default integer."""
    x = as_array(name, x)
    return convert(x, dtypes.default_int) if x.dtype == dtypes.bool_ else x


cumsum = _function(
    cumsum_p,
    """Sums of the elements up to each place along `axis` (from the end with `reverse`).

    Integers keep their dtype and wrap; booleans are counted in int32. Raises `AxisError` for an
    axis that x does not have.

    >>> cumsum(np.arange(4, dtype="int32"))
    Array([0, 1, 3, 6], dtype=int32)
    """,
    _counting,
)
cumprod = _function(
    cumprod_p,
    """Products of the elements up to each place along `axis` (from the end with `reverse`).

    The derivative is exact where elements are zero.

    >>> cumprod(np.array([1, 2, 3], "int32"), reverse=True)
    Array([6, 6, 3], dtype=int32)
    """,
    _counting,
)
cummax = _function(
    cummax_p,
    """The largest element up to each place along `axis`; NaN from the first NaN on.

    >>> cummax(np.array([1, 3, 2], "int32"))
    Array([1, 3, 3], dtype=int32)
    """,
    as_array,
)
cummin = _function(
    cummin_p,
    """The smallest element up to each place along `axis`; NaN from the first NaN on.

    >>> cummin(np.array([2, 1, 3], "int32"))
    Array([2, 1, 1], dtype=int32)
    """,
    as_array,
)
cumlogsumexp = _function(
    cumlogsumexp_p,
    """log(sum(exp(x))) over the elements up to each place along `axis`, without overflow.

    >>> cumlogsumexp(np.array([1000.0, 1000.0], "float32"))
    Array([1000.    , 1000.6932], dtype=float32)
    """,
    lambda name, x: promote_inexact(name, x)[0],
)
