"""Windowed reductions: sum, max and min over sliding windows, and the derivative of max-pooling.

A window of sizes `window_dimensions`, its elements `window_dilation` apart, slides in steps of
`window_strides` over an operand whose elements lie `base_dilation` apart, with `padding` around it.
What is padding or lies between elements does not take part. The derivative of a windowed maximum
sends each window's cotangent to its first maximum: `select_and_scatter_add`, whose transpose is
`select_and_gather_add`; the pair is closed under differentiation.

All kernels go over the elements of the window, and for each element over all windows at once: the
windows and operand positions that meet there are two strided slices (`sliding.meeting_slices`), so
no padded or dilated copy is made. Depends on `arithmetic`, `shape`, `pad_slice`, `sliding`.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import to_axis
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    UnsupportedError,
    at_user_line,
)
from rtfunc.core.graph_transforms import stage
from rtfunc.core.primitive import Primitive, linear_jvp, transposing, zeros_like
from rtfunc.ops.arithmetic import add, maximum, minimum, mul
from rtfunc.ops.convert import check_same_dtype, promote, scalar
from rtfunc.ops.pad_slice import owned_array, pad, slice_
from rtfunc.ops.sliding import (
    as_pads,
    dilated,
    meeting_slices,
    pads_of_transpose,
    positive,
    taps,
    window_count,
)


def _meetings(shape: Sequence[int], out_shape: Sequence[int], params: dict[str, Any]) -> Any:
    """`meeting_slices` of every axis."""
    return [
        meeting_slices(n, w, s, low, b, d, m)
        for n, w, s, (low, _), b, d, m in zip(
            shape,
            params["window_dimensions"],
            params["window_strides"],
            params["padding"],
            params["base_dilation"],
            params["window_dilation"],
            out_shape,
        )
    ]


def _out_shape(shape: tuple[int, ...], params: dict[str, Any]) -> tuple[int, ...]:
    return tuple(
        window_count(dilated(n, b) + low + high, dilated(w, d), s)
        for n, w, s, (low, high), b, d in zip(
            shape,
            params["window_dimensions"],
            params["window_strides"],
            params["padding"],
            params["base_dilation"],
            params["window_dilation"],
        )
    )


# Sum, max and min.


def _infer(name: str, over: Sequence[np.dtype]) -> Callable[..., Aval]:
    def infer(x: Aval, **params: Any) -> Aval:
        if x.dtype not in over:
            raise DtypeError(at_user_line(f"{name} does not take {x.dtype}."))
        if any(len(p) != x.ndim for p in params.values()):
            raise ShapeError(
                at_user_line(
                    f"{name} of {x} takes a window with {x.ndim} axes, got the window "
                    f"{params['window_dimensions']} with strides {params['window_strides']} and "
                    f"padding {params['padding']}."
                )
            )
        return Aval(_out_shape(x.shape, params), x.dtype)

    return infer


def _slide(
    xp: Any, ufunc: Any, identity: Any, x: Any, axis: int, out_size: int, meetings: Any
) -> Any:
    """Reduce windows along one axis."""
    before = (slice(None),) * axis
    if len(meetings) == 1 and meetings[0] == (slice(0, out_size, 1), slice(0, out_size, 1)):
        return x[(*before, slice(0, out_size))]
    out = None
    shape = (*x.shape[:axis], out_size, *x.shape[axis + 1 :])
    everywhere = slice(0, out_size, 1)
    for meeting in meetings:
        if meeting is None:
            continue
        windows, elements = meeting
        part = x[(*before, elements)]
        if out is None and windows == everywhere:
            out = part.copy()
            continue
        if out is None:
            out = xp.full(shape, identity, x.dtype)
        target = out[(*before, windows)]
        ufunc(target, part, out=target)
    return xp.full(shape, identity, x.dtype) if out is None else out


def _slide_doubling(xp: Any, ufunc: Any, x: Any, axis: int, window: int) -> Any:
    """Windows of step 1 over `x`, without padding: each size from windows of half that size."""
    before = (slice(None),) * axis
    out_size = x.shape[axis] - window + 1
    power, size, taken, out = x, 1, 0, None
    while True:
        if window & size:
            part = power[(*before, slice(taken, taken + out_size))]
            out = part if out is None else ufunc(out, part)
            taken += size
        if 2 * size > window:
            return out
        length = power.shape[axis] - size
        power = ufunc(
            power[(*before, slice(0, length))], power[(*before, slice(size, size + length))]
        )
        size *= 2


def _reduce_window(name: str, ufunc: str, identity: Any, over: Any, derivatives: Any) -> Primitive:
    allowed = frozenset(over)

    def impl(xp: Any, x: Any, **params: Any) -> Any:
        dtype = x.dtype
        if dtype not in allowed or any(len(p) != x.ndim for p in params.values()):
            raise ValueError("dtype or rank")  # `infer` explains
        out_shape = _out_shape(x.shape, params)
        operation = getattr(xp, ufunc)
        x = x.astype(dtypes.compute_dtype(dtype), copy=False)
        start = identity(x.dtype)
        # The window is separable: one axis after the other, those that shrink the most first.
        axes = sorted(range(x.ndim), key=lambda a: out_shape[a] / max(x.shape[a], 1))
        for axis in axes:
            window, stride = params["window_dimensions"][axis], params["window_strides"][axis]
            low, high = params["padding"][axis]
            base, apart = params["base_dilation"][axis], params["window_dilation"][axis]
            if window > 8 and stride == base == apart == 1 and out_shape[axis]:
                x = _padded(xp, x, axis, low, high, start)
                x = _slide_doubling(xp, operation, x, axis, window)
                continue
            meetings = meeting_slices(
                x.shape[axis], window, stride, low, base, apart, out_shape[axis]
            )
            x = _slide(xp, operation, start, x, axis, out_shape[axis], meetings)
        return x if x.dtype == dtype else x.astype(dtype)

    jvp, vjp = derivatives
    return Primitive(name, infer=_infer(name, over), impl=impl, jvp=jvp, vjp=vjp, batch=_batch)


def _padded(xp: Any, x: Any, axis: int, low: int, high: int, value: Any) -> Any:
    """`x` with `value` around it along one axis; negative padding cuts."""
    start, stop = max(-low, 0), x.shape[axis] - max(-high, 0)
    x = x[(slice(None),) * axis + (slice(start, max(stop, start)),)]
    low, high = max(low, 0), max(high, 0)
    if not low and not high:
        return x
    shape = (*x.shape[:axis], low + x.shape[axis] + high, *x.shape[axis + 1 :])
    out = xp.full(shape, value, x.dtype)
    out[(slice(None),) * axis + (slice(low, low + x.shape[axis]),)] = x
    return out


def _batch(primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any) -> Any:
    axis = next(d for d in batch_axes if d is not None)
    operands = [to_axis(x, d, axis, batch.size) for x, d in zip(operands, batch_axes)]
    return primitive.bind(*operands, **_with_axis(params, axis)), axis


def _with_axis(params: dict[str, Any], axis: int) -> dict[str, Any]:
    """The params for an operand with one more axis, along which windows have size 1."""

    def insert(values: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
        return (*values[:axis], value, *values[axis:])

    return {
        name: insert(v, (0, 0) if name == "padding" else 1) if isinstance(v, tuple) else v
        for name, v in params.items()
    }


def _sum_transpose(ct: Any, x: Any, **params: Any) -> Any:
    if 0 in ct.shape:
        return zeros_like(Aval(x.shape, x.dtype))
    pads = tuple(
        pads_of_transpose(n, w, s, m, low, b, d)
        for n, w, s, m, (low, _), b, d in zip(
            x.shape,
            params["window_dimensions"],
            params["window_strides"],
            ct.shape,
            params["padding"],
            params["base_dilation"],
            params["window_dilation"],
        )
    )
    return reduce_window_sum_p.bind(
        ct,
        window_dimensions=params["window_dimensions"],
        window_strides=params["base_dilation"],
        padding=pads,
        base_dilation=params["window_strides"],
        window_dilation=params["window_dilation"],
    )


reduce_window_sum_p = _reduce_window(
    "reduce_window_sum",
    "add",
    lambda dtype: dtype.type(0),
    dtypes.numeric,
    (linear_jvp(0), transposing(_sum_transpose)),
)


def _extremum_derivatives(select: str) -> tuple[Any, Any]:
    def jvp(primitive: Primitive, primals: Any, tangents: Any, **params: Any) -> Any:
        (x,), (t,) = primals, tangents
        out = primitive.bind(x, **params)
        return out, select_and_gather_add_p.bind(t, x, select=select, **params)

    def vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
        (x,) = operands
        out = primitive.bind(x, **params)
        return out, lambda ct: [select_and_scatter_add_p.bind(ct, x, select=select, **params)]

    return jvp, vjp


_ordered = (dtypes.bool_, *dtypes.real_numeric)

reduce_window_max_p = _reduce_window(
    "reduce_window_max", "maximum", dtypes.lowest, _ordered, _extremum_derivatives("max")
)
reduce_window_min_p = _reduce_window(
    "reduce_window_min", "minimum", dtypes.highest, _ordered, _extremum_derivatives("min")
)


# The derivative of max and min.


def _select_infer(name: str, windows_first: bool) -> Callable[..., Aval]:
    def infer(values: Aval, x: Aval, *, select: str, **params: Any) -> Aval:
        check_same_dtype(name, (values, x))
        inner = _infer(name, dtypes.real_numeric)(x, **params)
        expected, out = (inner, x) if windows_first else (x, inner)
        if values.shape != expected.shape:
            raise ShapeError(
                at_user_line(
                    f"{name}: the values have shape {values.shape}, but these windows over an "
                    f"operand of shape {x.shape} need {expected.shape}."
                )
            )
        return Aval(out.shape, x.dtype)

    return infer


def _chosen(xp: Any, x: Any, select: str, params: dict[str, Any]) -> Iterator[Any]:
    """(slices of windows, slices of the operand, where that element is the window's choice).

    The choice is the first extremum in row-major order, or the first NaN.
    """
    meetings = _meetings(x.shape, _out_shape(x.shape, params), params)
    name = "reduce_window_max" if select == "max" else "reduce_window_min"
    extremum = _extrema[name].impl(xp, x, **params)
    undecided = xp.ones(extremum.shape, bool)
    # Nothing is read back from a GPU, which would have to be waited for.
    has_nan = dtypes.is_float(x.dtype) and (xp is not np or bool(np.isnan(extremum).any()))
    for windows, elements in taps(meetings):
        part = x[elements]
        hit = part == extremum[windows]
        if has_nan:
            hit |= part != part
        hit &= undecided[windows]
        undecided[windows] ^= hit
        yield windows, elements, hit


_extrema = {p.name: p for p in (reduce_window_max_p, reduce_window_min_p)}


def _scatter_impl(xp: Any, source: Any, x: Any, *, select: str, **params: Any) -> Any:
    dtype = source.dtype
    if source.shape != _out_shape(x.shape, params) or dtype != x.dtype:
        raise ValueError("shapes differ")  # `infer` explains
    out = xp.zeros(x.shape, dtypes.compute_dtype(dtype))
    for windows, elements, hit in _chosen(xp, x, select, params):
        target = out[(*elements, ...)]  # a view, even without axes
        xp.add(target, xp.where(hit, source[windows], dtype.type(0)), out=target)
    return out if out.dtype == dtype else out.astype(dtype)


def _gather_impl(xp: Any, values: Any, x: Any, *, select: str, **params: Any) -> Any:
    if values.shape != x.shape or values.dtype != x.dtype:
        raise ValueError("shapes differ")  # `infer` explains
    out = xp.zeros(_out_shape(x.shape, params), values.dtype)
    for windows, elements, hit in _chosen(xp, x, select, params):
        out[windows] = xp.where(hit, values[elements], out[windows])
    return out


def _select_batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, select: str, **params: Any
) -> Any:
    return _batch(primitive, batch, operands, batch_axes, select=select, **params)


select_and_scatter_add_p = Primitive(
    "select_and_scatter_add",
    infer=_select_infer("select_and_scatter_add", True),
    impl=_scatter_impl,
    jvp=linear_jvp(0),
    vjp=transposing(
        lambda ct, source, x, **params: select_and_gather_add_p.bind(ct, x, **params), None
    ),
    batch=_select_batch,
)

select_and_gather_add_p = Primitive(
    "select_and_gather_add",
    infer=_select_infer("select_and_gather_add", False),
    impl=_gather_impl,
    jvp=linear_jvp(0),
    vjp=transposing(
        lambda ct, values, x, **params: select_and_scatter_add_p.bind(ct, x, **params), None
    ),
    batch=_select_batch,
)


# Functions for users.


def _params(
    operation: str,
    shape: tuple[int, ...],
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
    base_dilation: Any,
    window_dilation: Any,
) -> dict[str, Any]:
    """Checked params of a windowed reduction over an operand of `shape`."""
    ndim = len(shape)
    if window_dimensions is None:
        raise ArgumentError(at_user_line(f"{operation} needs window_dimensions."))
    window = positive(operation, "window_dimensions", window_dimensions, ndim)
    strides = positive(operation, "window_strides", window_strides, ndim)
    base = positive(operation, "base_dilation", base_dilation, ndim)
    apart = positive(operation, "window_dilation", window_dilation, ndim)
    pads = as_pads(
        operation,
        padding,
        [dilated(n, b) for n, b in zip(shape, base)],
        [dilated(w, d) for w, d in zip(window, apart)],
        strides,
    )
    return {
        "window_dimensions": window,
        "window_strides": strides,
        "padding": pads,
        "base_dilation": base,
        "window_dilation": apart,
    }


def _window_function(primitive: Primitive, doc: str) -> Callable[..., Array]:
    name = primitive.name

    def function(
        operand: ArrayLike,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int] | None = None,
        padding: str | Sequence[tuple[int, int]] = "VALID",
        base_dilation: Sequence[int] | None = None,
        window_dilation: Sequence[int] | None = None,
    ) -> Array:
        x = owned_array(name, operand)
        params = _params(
            name,
            x.shape,
            window_dimensions,
            window_strides,
            padding,
            base_dilation,
            window_dilation,
        )
        return primitive.bind(x, **params)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}; arguments as `reduce_window`."
    return function


reduce_window_sum = _window_function(reduce_window_sum_p, "The sum of each window")
reduce_window_max = _window_function(
    reduce_window_max_p, "The maximum of each window, minus infinity or the lowest integer for none"
)
reduce_window_min = _window_function(
    reduce_window_min_p, "The minimum of each window, infinity or the highest integer for none"
)


def reduce_window(
    operand: ArrayLike,
    init_value: ArrayLike,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Array:
    """Reduce each window of `operand` with `computation`, as `jax.lax.reduce_window`.

    Arguments:
      operand: array of rank n.
      init_value: scalar that starts each window. What is padding does not take part.
      computation: addition, multiplication, maximum or minimum: a function of rtfunc, operator,
        NumPy or Python, or one of your own that does the same.
      window_dimensions, window_strides, base_dilation, window_dilation: n positive integers;
        strides and dilations are 1 by default.
      padding: "VALID", "SAME", "SAME_LOWER", or n pairs (low, high), which may be negative.

    Raises `UnsupportedError` for another computation.

    >>> x = np.arange(6, dtype="float32")
    >>> reduce_window(x, -np.inf, max, (2,), (2,))
    Array([1., 3., 5.], dtype=float32)
    """
    x = owned_array("reduce_window", operand)
    params = _params(
        "reduce_window",
        x.shape,
        window_dimensions,
        window_strides,
        padding,
        base_dilation,
        window_dilation,
    )
    _, init = promote("reduce_window", x, init_value)
    if init.dtype != x.dtype:
        raise DtypeError(
            at_user_line(
                f"reduce_window of {x.dtype} takes an init_value of that dtype, not {init.dtype}. "
                "For integers, start a maximum with rtfunc.numpy.iinfo(dtype).min."
            )
        )
    if init.shape:
        raise ShapeError(
            at_user_line(f"reduce_window takes a scalar init_value, not shape {init.shape}.")
        )
    kind = _computation(computation, x.dtype)
    if kind in ("max", "min"):
        out = (reduce_window_max_p if kind == "max" else reduce_window_min_p).bind(x, **params)
        identity = dtypes.lowest(x.dtype) if kind == "max" else dtypes.highest(x.dtype)
        if _is_value(init, identity):
            return out
        return maximum(out, init) if kind == "max" else minimum(out, init)
    if kind == "mul":
        return mul(_window_product(x, params), init)
    out = reduce_window_sum_p.bind(x, **params)
    return out if _is_value(init, 0) else add(out, init)


def _is_value(x: Array, value: Any) -> bool:
    """Whether `x` is known to be this scalar."""
    return type(x) is Array and bool(np.asarray(x) == value)


_known: dict[Any, str] = {
    operator.add: "add",
    operator.mul: "mul",
    builtins.max: "max",
    builtins.min: "min",
    np.add: "add",
    np.multiply: "mul",
    np.maximum: "max",
    np.minimum: "min",
    add: "add",
    mul: "mul",
    maximum: "max",
    minimum: "min",
}


def _computation(computation: Any, dtype: np.dtype) -> str:
    """Which operation `computation` is: "add", "mul", "max" or "min"."""
    kind = _known.get(computation) if isinstance(computation, Hashable) else None
    if kind is None:
        kind = _traced_computation(computation, dtype)
    if dtype == dtypes.bool_:
        kind = {"or": "max", "and": "min", "add": "max", "mul": "min"}.get(kind, kind)
    if kind not in ("add", "mul", "max", "min"):
        raise UnsupportedError(
            at_user_line(
                "reduce_window has kernels for addition, multiplication, maximum and minimum, "
                f"which {getattr(computation, '__name__', computation)!r} is not. Take the "
                "windows apart with slices and reduce them along an axis of their own."
            )
        )
    return kind


def _traced_computation(computation: Any, dtype: np.dtype) -> str:
    """The name of the one primitive that `computation` applies to its two arguments, or ""."""
    try:
        graph = stage(lambda x, y: [computation(x, y)], [Aval((), dtype)] * 2)
    except Exception:  # a function that does not take traced scalars is simply not recognised
        return ""
    if len(graph.equations) != 1 or graph.outputs != graph.equations[0].outputs:
        return ""
    (equation,) = graph.equations
    return equation.primitive.name if {*equation.inputs} == {*graph.inputs} else ""


def _window_product(x: Any, params: dict[str, Any]) -> Any:
    """The product of each window, one axis after the other."""
    for axis in range(x.ndim):
        window, stride = params["window_dimensions"][axis], params["window_strides"][axis]
        low, high = params["padding"][axis]
        apart = params["window_dilation"][axis]
        config = [(0, 0, 0)] * x.ndim
        base = params["base_dilation"][axis]
        high = max(high, -low - dilated(x.shape[axis], base))  # cut all, but no more
        config[axis] = (low, high, base - 1)
        x = pad(x, scalar(1, x.dtype), config)
        count = window_count(x.shape[axis], dilated(window, apart), stride)
        start, limit, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
        steps[axis] = stride
        product = None
        for k in range(window):
            start[axis] = k * apart if count else 0
            limit[axis] = start[axis] + (count - 1) * stride + 1 if count else 0
            part = slice_(x, start, limit, steps)
            product = part if product is None else mul(product, part)
        x = product
    return x
