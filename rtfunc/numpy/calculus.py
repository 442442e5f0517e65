"""Differences, gradients on grids, integrals by trapezoids, interpolation, unwrapping of phases.

Compositions of slices and arithmetic, so that they are differentiated and batched as such. Depends
on `joining`, `indexing` and `sorting`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.creation import promote_data
from rtfunc.numpy.cumulation import cumsum
from rtfunc.numpy.elementwise import abs as _abs
from rtfunc.numpy.elementwise import clip, remainder
from rtfunc.numpy.index_expressions import index
from rtfunc.numpy.indexing import take, where
from rtfunc.numpy.joining import concatenate
from rtfunc.numpy.reductions import sum as _sum
from rtfunc.numpy.shape import broadcast_to
from rtfunc.numpy.sorting import argsort, searchsorted
from rtfunc.ops.comparison import bitwise_xor
from rtfunc.ops.convert import as_array, convert, promote, promote_inexact
from rtfunc.ops.pad_slice import slice_in_dim
from rtfunc.ops.shape import normalize_axes, normalize_axis, reshape


def _cut(x: Array, axis: int, start: int | None, stop: int | None, step: int = 1) -> Array:
    first, last, _ = slice(start, stop).indices(x.shape[axis])
    return slice_in_dim(x, first, max(first, last), step, axis)


def _neighbours(x: Array, axis: int) -> Array:
    """Each element minus the one before it."""
    after, before = _cut(x, axis, 1, None), _cut(x, axis, None, -1)
    return bitwise_xor(after, before) if x.dtype == dtypes.bool_ else after - before


def diff(
    a: ArrayLike,
    n: int = 1,
    axis: int = -1,
    prepend: ArrayLike | None = None,
    append: ArrayLike | None = None,
) -> Array:
    """Differences of neighbours along `axis`, taken `n` times; whether they differ, for booleans.

    `prepend` and `append` are joined to `a` before: a scalar, or an array that fits beside it.

    >>> diff(np.array([1, 4, 9], "int32"))
    Array([3, 5], dtype=int32)
    """
    x = as_array("diff", a)
    n = as_integer("diff", "n", n)
    if n < 0:
        raise ArgumentError(at_user_line(f"diff: n is not negative, got {n}."))
    if not x.ndim:
        raise ShapeError(at_user_line("diff takes an array with at least one axis, got a scalar."))
    axis = normalize_axis("diff", axis, x.ndim)
    if not n:
        return convert(x, x.dtype)
    given = [part for part in (prepend, x, append) if part is not None]
    if len(given) > 1:
        one = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        parts = promote("diff", *given)
        x = concatenate([p if p.ndim else broadcast_to(p, one) for p in parts], axis)
    for _ in range(n):
        x = _neighbours(x, axis)
    return convert(x, x.dtype)


def ediff1d(
    ary: ArrayLike, to_end: ArrayLike | None = None, to_begin: ArrayLike | None = None
) -> Array:
    """Differences of neighbours of the flattened array, with `to_begin` before, `to_end` after.

    >>> ediff1d(np.array([1, 4, 9], "int32"), to_end=np.array([0], "int32"))
    Array([3, 5, 0], dtype=int32)
    """
    x = reshape(as_array("ediff1d", ary), (-1,))
    middle = _neighbours(x, 0)
    parts = [middle]
    for end, first in ((to_begin, True), (to_end, False)):
        if end is not None:
            flat = reshape(as_array("ediff1d", end, x.dtype), (-1,))
            parts.insert(0, flat) if first else parts.append(flat)
    return concatenate(parts) if len(parts) > 1 else middle


def gradient(
    f: ArrayLike,
    *varargs: ArrayLike,
    axis: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> Any:
    """Derivatives of samples on a grid: central differences inside, one-sided ones at the ends.

    Arguments:
      varargs: the spacing: nothing (1), one number for all axes, or for each axis a number or the
        coordinates of its samples.
      axis: along which to differentiate (all by default, which gives a list).
      edge_order: 1 or 2, the order of accuracy at the ends.

    Raises `ShapeError` for fewer than `edge_order + 1` samples or coordinates that do not fit.

    >>> gradient(np.array([1.0, 2.0, 4.0, 7.0], "float32"))
    Array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    (x,) = promote_inexact("gradient", f)
    single = axis is not None and not isinstance(axis, (tuple, list))
    axes = normalize_axes("gradient", axis, x.ndim)
    if isinstance(axis, (tuple, list)):  # in the order that was asked for
        axes = tuple(normalize_axis("gradient", a, x.ndim) for a in axis)
    if edge_order not in (1, 2):
        raise ArgumentError(at_user_line(f"gradient: edge_order is 1 or 2, not {edge_order!r}."))
    if len(varargs) == 0:
        spacings: list[Any] = [1.0] * len(axes)
    elif len(varargs) == 1:
        if np.ndim(varargs[0]) and len(axes) > 1:  # type: ignore[arg-type]
            raise ArgumentError(
                at_user_line(
                    f"gradient: coordinates were given for one axis, but there are {len(axes)}; "
                    "give them for each."
                )
            )
        spacings = [varargs[0]] * len(axes)
    elif len(varargs) == len(axes):
        spacings = list(varargs)
    else:
        raise ArgumentError(
            at_user_line(
                f"gradient takes no spacing, one, or one for each of {len(axes)} axes, got "
                f"{len(varargs)}."
            )
        )
    results = []
    for a, spacing in zip(axes, spacings):
        if x.shape[a] < edge_order + 1:
            raise ShapeError(
                at_user_line(
                    f"gradient: axis {a} of size {x.shape[a]} is too small; edge_order="
                    f"{edge_order} needs {edge_order + 1} samples."
                )
            )
        results.append(_gradient_along(x, a, spacing, edge_order))
    if single or (axis is None and len(axes) == 1):
        return results[0]
    return results


def _gradient_along(x: Array, axis: int, spacing: Any, edge_order: int) -> Array:
    h = promote_inexact("gradient", *promote_data("gradient", x, spacing))[1]
    if h.ndim > 1 or (h.ndim == 1 and h.shape[0] != x.shape[axis]):
        raise ShapeError(
            at_user_line(
                f"gradient: coordinates of shape {h.shape} do not fit axis {axis} of size "
                f"{x.shape[axis]}."
            )
        )
    h = convert(h, x.dtype) if not h.ndim else h
    if h.ndim:
        steps = _neighbours(h, 0)
        steps = reshape(steps, tuple(-1 if a == axis else 1 for a in range(x.ndim)))
    else:
        steps = broadcast_to(h, tuple(x.shape[axis] - 1 if a == axis else 1 for a in range(x.ndim)))

    def value(i: int) -> Array:
        return _cut(x, axis, i, i + 1 if i != -1 else None)

    def step(i: int) -> Array:
        return _cut(steps, axis, i, i + 1 if i != -1 else None)

    left, right = _cut(steps, axis, None, -1), _cut(steps, axis, 1, None)
    before, middle, after = _cut(x, axis, None, -2), _cut(x, axis, 1, -1), _cut(x, axis, 2, None)
    if h.ndim:
        inside = (
            -right / (left * (left + right)) * before
            + (right - left) / (left * right) * middle
            + left / (right * (left + right)) * after
        )
    else:
        inside = (after - before) / (2 * left)
    if edge_order == 1:
        first = (value(1) - value(0)) / step(0)
        last = (value(-1) - value(-2)) / step(-1)
    else:
        one, two = step(0), step(1)
        first = (
            -(2 * one + two) / (one * (one + two)) * value(0)
            + (one + two) / (one * two) * value(1)
            - one / (two * (one + two)) * value(2)
        )
        one, two = step(-2), step(-1)
        last = (
            two / (one * (one + two)) * value(-3)
            - (two + one) / (one * two) * value(-2)
            + (2 * two + one) / (two * (one + two)) * value(-1)
        )
    return concatenate([first, inside, last], axis)


def trapezoid(
    y: ArrayLike, x: ArrayLike | None = None, dx: ArrayLike = 1.0, axis: int = -1
) -> Array:
    """The integral of samples `y` along `axis` by the trapezoidal rule.

    Arguments: x: where the samples lie, of the shape of `y` or with the axis alone; dx: their
    distance otherwise.

    >>> trapezoid(np.array([1.0, 2.0, 3.0], "float32"), dx=2.0)
    Array(8., dtype=float32)
    """
    if x is None:
        y, dx = promote_inexact("trapezoid", y, dx)
        axis = normalize_axis("trapezoid", axis, y.ndim)
        width: Any = dx
    else:
        y, x = promote_inexact("trapezoid", y, x)
        axis = normalize_axis("trapezoid", axis, y.ndim)
        if x.ndim == 1:
            width = reshape(_neighbours(x, 0), tuple(-1 if a == axis else 1 for a in range(y.ndim)))
        else:
            width = _neighbours(x, normalize_axis("trapezoid", axis - y.ndim, x.ndim))
    heights = _cut(y, axis, 1, None) + _cut(y, axis, None, -1)
    return _sum(width * heights / 2, axis)


def unwrap(
    p: ArrayLike, discont: ArrayLike | None = None, axis: int = -1, period: ArrayLike = 2 * math.pi
) -> Array:
    """Phases without jumps along `axis`: differences over half a `period` are made small by periods.

    Jumps up to `discont` (half a period by default) are left as they are.

    >>> unwrap(np.array([0, 3, 1], "int32"), period=4)
    Array([ 0, -1, -3], dtype=int32)
    """
    p = as_array("unwrap", p)
    if dtypes.is_complex(p.dtype):
        raise DtypeError(at_user_line(f"unwrap takes real numbers, not {p.dtype}."))
    p, period = promote("unwrap", p, period)
    if not p.ndim:
        raise ShapeError(at_user_line("unwrap takes an array with at least one axis."))
    axis = normalize_axis("unwrap", axis, p.ndim)
    if p.shape[axis] == 0:
        return convert(p, p.dtype)
    integral = dtypes.is_integer(p.dtype)
    half = period // 2 if integral else period / 2
    limit = half if discont is None else discont
    jumps = _neighbours(p, axis)
    wrapped = remainder(jumps + half, period) - half
    on_edge = (wrapped == -half) & (jumps > 0)
    if integral:
        on_edge = on_edge & (remainder(period, 2) == 0)
    wrapped = where(on_edge, half, wrapped)
    correction = where(_abs(jumps) < limit, 0, wrapped - jumps)
    rest = _cut(p, axis, 1, None) + cumsum(correction, axis)
    return concatenate([_cut(p, axis, 0, 1), convert(rest, p.dtype)], axis)


def interp(
    x: ArrayLike,
    xp: ArrayLike,
    fp: ArrayLike,
    left: ArrayLike | str | None = None,
    right: ArrayLike | str | None = None,
    period: ArrayLike | None = None,
) -> Array:
    """Values at `x` of the piecewise linear function through the points (`xp`, `fp`).

    Arguments:
      xp: ascending coordinates (in any order with `period`), with one axis.
      left, right: the values below the first and above the last point: by default those of the
        points; "extrapolate" continues the outer lines.
      period: of the function.

    Derivatives flow to `x`, `xp` and `fp`.

    >>> interp(2.5, np.array([1.0, 2.0, 3.0], "float32"), np.array([3.0, 2.0, 0.0], "float32"))
    Array(1., dtype=float32)
    """
    f = as_array("interp", fp)
    complex_values = dtypes.is_complex(f.dtype)
    for name, coordinates in (("x", x), ("xp", xp)):
        if dtypes.is_complex(as_array("interp", coordinates).dtype):
            raise DtypeError(at_user_line(f"interp: {name} is real, not complex."))
    values = () if complex_values else (f,)
    cycle = () if period is None else (period,)
    x, nodes, *others = promote_inexact("interp", x, xp, *cycle, *values)
    if period is not None:
        period = others[0]
    if complex_values:
        f = convert(
            f, dtypes.complex_of(x.dtype if f.dtype == dtypes.complex64 else dtypes.float64)
        )
    else:
        f = others[-1]
    if nodes.ndim != 1 or f.shape != nodes.shape:
        raise ShapeError(
            at_user_line(
                f"interp takes coordinates and values with one axis of the same size, not the "
                f"shapes {nodes.shape} and {f.shape}."
            )
        )
    if not nodes.shape[0]:
        raise ShapeError(at_user_line("interp needs at least one point."))
    if period is not None:
        if left is not None or right is not None:
            raise ArgumentError(
                at_user_line("interp: a periodic function has no left and right; leave them out.")
            )
        nodes, x = remainder(nodes, period), remainder(x, period)
        order = argsort(nodes)
        nodes, f = take(nodes, order), take(f, order)
        nodes = concatenate([nodes[-1:] - period, nodes, nodes[:1] + period])
        f = concatenate([f[-1:], f, f[:1]])
    count = nodes.shape[0]
    if count == 1:
        value = broadcast_to(f[0], x.shape)
    else:
        i = clip(searchsorted(nodes, x, side="right"), 1, count - 1)
        x0, x1 = index(nodes, i - 1), index(nodes, i)
        f0, f1 = index(f, i - 1), index(f, i)
        width = x1 - x0
        empty = width == 0
        slope = (f1 - f0) / where(empty, 1, width)
        value = where(empty, f0, f0 + (x - x0) * slope)
    if period is not None:
        return value
    for side, outside, edge in ((left, x < nodes[0], f[0]), (right, x > nodes[-1], f[-1])):
        if isinstance(side, str):
            if side != "extrapolate":
                raise ArgumentError(
                    at_user_line(
                        f"interp: left and right are values or 'extrapolate', not {side!r}."
                    )
                )
            continue
        value = where(outside, edge if side is None else as_array("interp", side, f.dtype), value)
    return value
