"""Shapes under NumPy's names: reshaping, reordering, broadcasting, flipping, rolling, repeating.

`joining` puts arrays together and takes them apart, `padding` extends them. Depends on `ops.shape`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import aval, dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape
from rtfunc.core.errors import (
    ArgumentError,
    AxisError,
    DtypeError,
    ShapeError,
    TracerError,
    at_user_line,
)
from rtfunc.core.trace import Tracer
from rtfunc.numpy.arguments import as_integer, as_sequence
from rtfunc.numpy.creation import asarray
from rtfunc.numpy.creation import copy as _copy
from rtfunc.numpy.index_expressions import index
from rtfunc.numpy.ranges import arange
from rtfunc.ops import elementwise as _elementwise
from rtfunc.ops.arithmetic import sub
from rtfunc.ops.convert import as_array, owned_array, scalar
from rtfunc.ops.cumulative import cumsum
from rtfunc.ops.pad_slice import concatenate, slice_
from rtfunc.ops.shape import broadcast_in_dim_p, normalize_axes, normalize_axis, reshape_p, rev
from rtfunc.ops.shape import expand_dims as _expand_dims
from rtfunc.ops.shape import reshape as _reshape
from rtfunc.ops.shape import squeeze as _squeeze
from rtfunc.ops.shape import transpose as _transpose


def transpose(x: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    """The axes in the order `axes`, reversed by default.

    >>> transpose(np.zeros((2, 3, 4)), axes=(0, 2, 1)).shape
    (2, 4, 3)
    """
    return _transpose(x, axes)


def permute_dims(x: ArrayLike, /, axes: Sequence[int]) -> Array:
    """The axes in the order `axes`: `transpose` under the array API standard's name.

    >>> permute_dims(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return _transpose(x, axes)


def _check_order(operation: str, order: str) -> None:
    if order not in ("C", "F", "A", "K"):
        raise ArgumentError(at_user_line(f"{operation}: order is 'C' or 'F', not {order!r}."))


def reshape(
    x: ArrayLike, shape: int | Sequence[int], order: str = "C", *, copy: bool | None = None
) -> Array:
    """The elements of `x` in row-major order (column-major for "F") at another shape.

    One size may be -1: it follows from the others. Raises `ShapeError` when the number of elements
    differs.

    >>> reshape(np.arange(6, dtype="int32"), (2, -1))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    _check_order("reshape", order)
    if copy:
        x = _copy(x)
    if order != "F":
        return _reshape(x, shape)
    sizes = (
        (shape,) if isinstance(shape, (int, np.integer)) else as_sequence("reshape", "sizes", shape)
    )
    return transpose(_reshape(transpose(x), sizes[::-1]))


def ravel(x: ArrayLike, order: str = "C") -> Array:
    """The elements of `x` on one axis, in row-major order (column-major for "F").

    >>> ravel(np.array([[1, 2], [3, 4]], "int32"))
    Array([1, 2, 3, 4], dtype=int32)
    """
    _check_order("ravel", order)
    x = owned_array("ravel", x)
    if order == "F":
        x = transpose(x)
    return x if x.ndim == 1 else reshape_p.bind(x, shape=(x.size,))


def matrix_transpose(x: ArrayLike, /) -> Array:
    """The last two axes exchanged.

    >>> matrix_transpose(np.zeros((5, 2, 3))).shape
    (5, 3, 2)
    """
    x = as_array("matrix_transpose", x)
    if x.ndim < 2:
        raise ShapeError(
            at_user_line(f"matrix_transpose takes two axes or more, not shape {x.shape}.")
        )
    return swapaxes(x, -1, -2)


def swapaxes(x: ArrayLike, axis1: int, axis2: int) -> Array:
    """Two axes exchanged.

    >>> swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = owned_array("swapaxes", x)
    a, b = (normalize_axis("swapaxes", axis, x.ndim) for axis in (axis1, axis2))
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return transpose(x, order)


def moveaxis(x: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """The axes `source` at the places `destination`; the others keep their order.

    >>> moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = owned_array("moveaxis", x)
    origins = normalize_axes("moveaxis", source, x.ndim)
    targets = normalize_axes("moveaxis", destination, x.ndim)
    if len(origins) != len(targets):
        raise AxisError(
            at_user_line(
                f"moveaxis takes as many places as axes, not {len(origins)} and {len(targets)}."
            )
        )
    order = [i for i in range(x.ndim) if i not in origins]
    for target, origin in sorted(zip(targets, origins)):
        order.insert(target, origin)
    return transpose(x, order)


def rollaxis(x: ArrayLike, axis: int, start: int = 0) -> Array:
    """The axis `axis` moved in front of the axis that is at `start`; `moveaxis` is clearer.

    >>> rollaxis(np.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    x = owned_array("rollaxis", x)
    origin = normalize_axis("rollaxis", axis, x.ndim)
    place = normalize_axis("rollaxis", start, x.ndim + 1)
    return moveaxis(x, origin, place - (place > origin))


def squeeze(x: ArrayLike, axis: int | Sequence[int] | None = None) -> Array:
    """Without the axes of size 1 (all of them, or those in `axis`).

    Raises `ShapeError` for an axis of another size.

    >>> squeeze(np.zeros((1, 3, 1))).shape
    (3,)
    """
    return _squeeze(x, (axis,) if isinstance(axis, (int, np.integer)) else axis)


def expand_dims(x: ArrayLike, axis: int | Sequence[int]) -> Array:
    """New axes of size 1 at the places `axis` of the result.

    >>> expand_dims(np.zeros(3), (0, -1)).shape
    (1, 3, 1)
    """
    axes: Any = axis if isinstance(axis, (tuple, list)) else (axis,)
    return _expand_dims(x, tuple(axes))


# Broadcasting


def broadcast_shapes(*shapes: int | Sequence[int]) -> tuple[int, ...]:
    """The common shape of arrays of the given shapes.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    if not shapes:
        return ()
    return aval.broadcast_shapes("broadcast_shapes", *(as_shape(shape) for shape in shapes))


def broadcast_to(x: ArrayLike, shape: int | Sequence[int]) -> Array:
    """`x` repeated along axes of size 1, and new ones in front, to `shape`.

    >>> broadcast_to(np.array([1, 2], "int32"), (2, 2))
    Array([[1, 2],
           [1, 2]], dtype=int32)
    """
    x, sizes = owned_array("broadcast_to", x), as_shape(shape)
    fits = x.ndim <= len(sizes) and all(n in (1, m) for n, m in zip(x.shape[::-1], sizes[::-1]))
    if not fits:
        raise ShapeError(
            at_user_line(
                f"broadcast_to: shape {x.shape} does not spread to {sizes}. Counted from the last "
                "axis, its sizes must be 1 or equal."
            )
        )
    return _elementwise.broadcast_to(x, sizes)


def broadcast_arrays(*arrays: ArrayLike) -> list[Array]:
    """The arrays repeated to their common shape.

    >>> [x.shape for x in broadcast_arrays(np.zeros((2, 1)), np.zeros(3))]
    [(2, 3), (2, 3)]
    """
    found = [owned_array("broadcast_arrays", x) for x in arrays]
    if not found:
        return []
    shape = aval.broadcast_shapes("broadcast_arrays", *(x.shape for x in found))
    return [_elementwise.broadcast_to(x, shape) for x in found]


def _at_least(operation: str, ndim: int, arrays: Sequence[Any]) -> Any:
    results = []
    for x in arrays:
        x = x if isinstance(x, Array) else asarray(x)
        if x.ndim < ndim:
            if ndim == 3 and x.ndim:  # NumPy puts the axes of 1-d and 2-d arrays first
                shape = (1, *x.shape, 1) if x.ndim == 1 else (*x.shape, 1)
            else:
                shape = (1,) * (ndim - x.ndim) + x.shape
            x = reshape_p.bind(x, shape=shape)
        results.append(x)
    return results[0] if len(results) == 1 else results


def atleast_1d(*arrays: Any) -> Any:
    """Arrays with one axis at least: one Array, or a list for several.

    >>> atleast_1d(3.0)
    Array([3.], dtype=float32, weak_type=True)
    """
    return _at_least("atleast_1d", 1, arrays)


def atleast_2d(*arrays: Any) -> Any:
    """Arrays with two axes at least; new axes come first.

    >>> atleast_2d(np.zeros(3)).shape
    (1, 3)
    """
    return _at_least("atleast_2d", 2, arrays)


def atleast_3d(*arrays: Any) -> Any:
    """Arrays with three axes at least: shape (n,) becomes (1, n, 1) and (m, n) becomes (m, n, 1).

    >>> atleast_3d(np.zeros(3)).shape
    (1, 3, 1)
    """
    return _at_least("atleast_3d", 3, arrays)


# Flipping and rolling


def flip(x: ArrayLike, axis: int | Sequence[int] | None = None) -> Array:
    """The elements in reverse order along `axis` (all axes by default).

    >>> flip(np.array([1, 2, 3], "int32"))
    Array([3, 2, 1], dtype=int32)
    """
    x = owned_array("flip", x)
    axes = normalize_axes("flip", axis, x.ndim)
    return rev(x, axes) if axes else x


def _flip_axis(operation: str, x: ArrayLike, axis: int) -> Array:
    x = as_array(operation, x)
    if x.ndim <= axis:
        raise ShapeError(
            at_user_line(f"{operation} takes {axis + 1} axes or more, not shape {x.shape}.")
        )
    return flip(x, axis)


def flipud(x: ArrayLike) -> Array:
    """The rows (the first axis) in reverse order.

    >>> flipud(np.array([[1], [2]], "int32"))
    Array([[2],
           [1]], dtype=int32)
    """
    return _flip_axis("flipud", x, 0)


def fliplr(x: ArrayLike) -> Array:
    """The columns (the second axis) in reverse order.

    >>> fliplr(np.array([[1, 2]], "int32"))
    Array([[2, 1]], dtype=int32)
    """
    return _flip_axis("fliplr", x, 1)


def rot90(x: ArrayLike, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """Rotated by `k` quarter turns in the plane of `axes`, from the first toward the second.

    >>> rot90(np.array([[1, 2], [3, 4]], "int32"))
    Array([[2, 4],
           [1, 3]], dtype=int32)
    """
    x = owned_array("rot90", x)
    first, second = normalize_axes("rot90", tuple(axes), x.ndim)
    turns = as_integer("rot90", "k", k) % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (first, second))
    exchanged = swapaxes(x, first, second)
    return flip(exchanged, first if turns == 1 else second)


def roll(
    x: ArrayLike, shift: ArrayLike | Sequence[int], axis: int | Sequence[int] | None = None
) -> Array:
    """The elements moved along `axis` by `shift` places; those beyond the end come in at the start.

    Without an axis the flat array is rolled. A traced `shift` is possible.

    >>> roll(np.array([1, 2, 3, 4], "int32"), 1)
    Array([4, 1, 2, 3], dtype=int32)
    """
    x = owned_array("roll", x)
    if axis is None:
        return reshape_p.bind(roll(ravel(x), shift, 0), shape=x.shape)
    axes = [normalize_axis("roll", a, x.ndim) for a in _several(axis)]
    shifts = _several(shift)
    if len(shifts) == 1:
        shifts = shifts * len(axes)
    elif len(axes) == 1:
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise ArgumentError(
            at_user_line(f"roll: {len(shifts)} shifts do not fit {len(axes)} axes.")
        )
    for amount, a in zip(shifts, axes):
        if not x.shape[a]:
            continue
        if isinstance(amount, Tracer):
            places = sub(arange(x.shape[a]), amount)
            wrapped = _modulo(places, x.shape[a])
            x = index(x, (*(slice(None),) * a, wrapped))
            continue
        places = as_integer("roll", "a shift", amount) % x.shape[a]
        if places:
            x = concatenate(
                [_cut(x, a, x.shape[a] - places, x.shape[a]), _cut(x, a, 0, x.shape[a] - places)], a
            )
    return x


def _modulo(x: Array, n: int) -> Array:
    from rtfunc.numpy.elementwise import remainder

    return remainder(x, scalar(n, x.dtype))


def _several(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return list(value)
    if isinstance(value, (Array, np.ndarray)) and value.ndim == 1:
        return [value[i] for i in range(value.shape[0])]
    return [value]


def _cut(x: Array, axis: int, start: int, stop: int) -> Array:
    low, high = [0] * x.ndim, list(x.shape)
    low[axis], high[axis] = start, stop
    return slice_(x, tuple(low), tuple(high))


# Repeating


def tile(x: ArrayLike, reps: int | Sequence[int]) -> Array:
    """`x` repeated `reps` times along each axis; axes are added in front where `reps` has more.

    >>> tile(np.array([1, 2], "int32"), (2, 2))
    Array([[1, 2, 1, 2],
           [1, 2, 1, 2]], dtype=int32)
    """
    x = owned_array("tile", x)
    counts = as_shape(reps)
    ndim = max(x.ndim, len(counts))
    shape = (1,) * (ndim - x.ndim) + x.shape
    counts = (1,) * (ndim - len(counts)) + counts
    if x.shape == tuple(n * c for n, c in zip(shape, counts)):
        return x
    x = _reshape(x, tuple(n for n in shape))
    spread = tuple(n for pair in zip(counts, shape) for n in pair)
    repeated = broadcast_in_dim_p.bind(x, shape=spread, axes=tuple(range(1, 2 * ndim, 2)))
    return reshape_p.bind(repeated, shape=tuple(c * n for c, n in zip(counts, shape)))


def repeat(
    x: ArrayLike,
    repeats: ArrayLike | Sequence[int],
    axis: int | None = None,
    *,
    total_repeat_length: int | None = None,
) -> Array:
    """Each element repeated along `axis` (of the flat array by default), one number or one each.

    Under a trace, `repeats` that is an array must be concrete or come with `total_repeat_length`,
    the size of the result, to which it is cut or filled up with the last element.

    >>> repeat(np.array([1, 2], "int32"), np.array([1, 3]))
    Array([1, 2, 2, 2], dtype=int32)
    """
    x = owned_array("repeat", x)
    if axis is None:
        x, axis = ravel(x), 0
    a = normalize_axis("repeat", axis, x.ndim)
    counts = asarray(repeats)
    if not dtypes.is_integer(counts.dtype):
        raise DtypeError(at_user_line(f"repeat takes integers as repeats, not {counts.dtype}."))
    if counts.ndim > 1 or (counts.ndim == 1 and counts.shape[0] not in (1, x.shape[a])):
        raise ShapeError(
            at_user_line(
                f"repeat: repeats of shape {counts.shape} do not fit axis {a} of shape {x.shape}."
            )
        )
    if isinstance(counts, Tracer):
        if total_repeat_length is None:
            raise TracerError(
                at_user_line(
                    "repeat by traced repeats: the shape of the result would depend on their "
                    "values. Pass total_repeat_length=..., the size of the result."
                )
            )
        return _traced_repeat(x, counts, a, total_repeat_length)
    known = np.asarray(counts)
    if (known < 0).any():
        raise ArgumentError(at_user_line("repeat: repeats must not be negative."))
    if known.size == 1 and total_repeat_length is None:
        n = int(known.reshape(-1)[0])
        shape = (*x.shape[: a + 1], n, *x.shape[a + 1 :])
        axes = tuple(i for i in range(x.ndim + 1) if i != a + 1)
        spread = broadcast_in_dim_p.bind(x, shape=shape, axes=axes)
        return reshape_p.bind(spread, shape=(*x.shape[:a], x.shape[a] * n, *x.shape[a + 1 :]))
    places = np.repeat(np.arange(x.shape[a]), np.broadcast_to(known, (x.shape[a],)))
    if total_repeat_length is not None:
        last = places[-1:] if places.size else np.array([max(x.shape[a] - 1, 0)])
        missing = max(0, total_repeat_length - places.size)
        places = np.concatenate([places, np.repeat(last, missing)])[:total_repeat_length]
    return index(x, (*(slice(None),) * a, places))


def _traced_repeat(x: Array, counts: Array, axis: int, length: int) -> Array:
    from rtfunc.numpy.sorting import searchsorted

    ends = cumsum(_elementwise.broadcast_to(counts, (x.shape[axis],)))
    places = searchsorted(ends, arange(length, dtype=ends.dtype), side="right")
    return index(x, (*(slice(None),) * axis, _at_most(places, x.shape[axis] - 1)))


def _at_most(x: Array, limit: int) -> Array:
    from rtfunc.ops.arithmetic import minimum

    return minimum(x, scalar(limit, x.dtype))


def resize(x: ArrayLike, new_shape: int | Sequence[int]) -> Array:
    """The elements of `x`, repeated as often as needed, at a shape of any size.

    >>> resize(np.array([1, 2, 3], "int32"), (2, 2))
    Array([[1, 2],
           [3, 1]], dtype=int32)
    """
    flat, shape = ravel(x), as_shape(new_shape)
    size = math.prod(shape)
    if not flat.shape[0]:
        if size:
            raise ShapeError(at_user_line(f"resize: no elements do not fill the shape {shape}."))
        return reshape_p.bind(flat, shape=shape)
    repeated = tile(flat, -(-size // flat.shape[0]))
    return reshape_p.bind(slice_(repeated, (0,), (size,)), shape=shape)


def unstack(x: ArrayLike, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts of `x` along `axis`, without that axis.

    >>> unstack(np.array([[1, 2], [3, 4]], "int32"))
    (Array([1, 2], dtype=int32), Array([3, 4], dtype=int32))
    """
    x = owned_array("unstack", x)
    if not x.ndim:
        raise ShapeError(at_user_line("unstack takes one axis or more, not a 0-d array."))
    a = normalize_axis("unstack", axis, x.ndim)
    shape = x.shape[:a] + x.shape[a + 1 :]
    return tuple(reshape_p.bind(_cut(x, a, i, i + 1), shape=shape) for i in range(x.shape[a]))
