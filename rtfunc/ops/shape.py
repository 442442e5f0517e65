"""Shape: reshape, transpose, broadcast, reverse, squeeze and expand.

None of them computes anything: the compiler turns them into index maps. The module to imitate for a new
structural primitive. Depends on `convert`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval, as_shape
from rtfunc.core.batching import at_front
from rtfunc.core.dtypes import as_dtype
from rtfunc.core.errors import AxisError, DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, linear_jvp, primitives, transposing
from rtfunc.ops.convert import convert, owned_array


def normalize_axis(operation: str, axis: Any, ndim: int) -> int:
    """`axis` counted from the front; `AxisError` when it is out of range."""
    try:
        number = operator.index(axis)
    except TypeError:
        raise DtypeError(
            at_user_line(f"{operation} takes integers as axes, not {type(axis).__name__}.")
        ) from None
    if not -ndim <= number < ndim:
        raise AxisError(
            at_user_line(
                f"{operation}: axis {number} is out of bounds for an array with {ndim} "
                f"{'axis' if ndim == 1 else 'axes'}"
                + (f" (valid are {-ndim} to {ndim - 1})." if ndim else ".")
            )
        )
    return number % ndim


def normalize_axes(operation: str, axes: Any, ndim: int) -> tuple[int, ...]:
    """`axes` (one, several, or None for all) counted from the front, in the given order.

    Raises `AxisError` for an axis that is out of range or given twice.
    """
    if axes is None:
        return tuple(range(ndim))
    if not isinstance(axes, (tuple, list)):
        return (normalize_axis(operation, axes, ndim),)
    found = tuple(normalize_axis(operation, a, ndim) for a in axes)
    if len(set(found)) != len(found):
        raise AxisError(at_user_line(f"{operation}: an axis is given twice in {tuple(axes)}."))
    return found


# reshape


def reshape(x: ArrayLike, shape: int | Sequence[int]) -> Array:
    """`x` with its elements, in row-major order, at another shape; one size may be -1.

    Raises `ShapeError` when the number of elements differs.

    >>> reshape(np.arange(6, dtype="int32"), (2, -1))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    x = owned_array("reshape", x)
    return reshape_p.bind(x, shape=_fill_unknown(x.shape, shape))


def _fill_unknown(old: tuple[int, ...], shape: Any) -> tuple[int, ...]:
    sizes: Any = shape
    try:
        sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        unknown = [i for i, n in enumerate(sizes) if operator.index(n) == -1]
    except TypeError:
        return as_shape(sizes)  # which says what a shape is
    if len(unknown) > 1:
        raise ShapeError(at_user_line(f"reshape: only one size may be -1, but got {sizes}."))
    if unknown:
        known = math.prod(n for n in sizes if n != -1)
        total = math.prod(old)
        if known == 0 or total % known:
            raise ShapeError(
                at_user_line(
                    f"reshape: {total} elements of shape {old} do not fill the shape {sizes}."
                )
            )
        sizes = tuple(total // known if n == -1 else n for n in sizes)
    return as_shape(sizes)


def _reshape_infer(x: Aval, *, shape: tuple[int, ...]) -> Aval:
    if math.prod(shape) != x.size:
        raise ShapeError(
            at_user_line(
                f"reshape: an array of shape {x.shape} has {x.size} elements, "
                f"the shape {shape} takes {math.prod(shape)}."
            )
        )
    return Aval(shape, x.dtype)


def _reshape_batch(
    primitive: Any, batch: Any, operands: Any, batch_axes: Any, *, shape: Any
) -> Any:
    x = at_front(operands[0], batch_axes[0])
    return primitive.bind(x, shape=(batch.size, *shape)), 0


reshape_p = Primitive(
    "reshape",
    infer=_reshape_infer,
    impl=lambda xp, x, *, shape: x.reshape(shape),
    jvp=linear_jvp(0),
    vjp=transposing(lambda ct, x, *, shape: reshape_p.bind(ct, shape=x.shape)),
    batch=_reshape_batch,
)


# transpose


def transpose(x: ArrayLike, permutation: Sequence[int] | None = None) -> Array:
    """`x` with its axes in the order `permutation`; reversed by default.

    >>> transpose(np.zeros((2, 3, 4), "float32"), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x = owned_array("transpose", x)
    if permutation is None:
        order = tuple(range(x.ndim))[::-1]
    else:
        several = isinstance(permutation, (Iterable, np.ndarray))
        order = normalize_axes("transpose", tuple(permutation) if several else permutation, x.ndim)
        if len(order) != x.ndim:
            raise AxisError(
                at_user_line(
                    f"transpose of an array of shape {x.shape} takes {x.ndim} axes, got {order}."
                )
            )
    return x if order == tuple(range(x.ndim)) else transpose_p.bind(x, permutation=order)


def _transpose_infer(x: Aval, *, permutation: tuple[int, ...]) -> Aval:
    if sorted(permutation) != list(range(x.ndim)):
        raise AxisError(
            at_user_line(f"transpose: {permutation} is not an order of the axes of {x}.")
        )
    return Aval(tuple(x.shape[i] for i in permutation), x.dtype)


def _inverse(permutation: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def _transpose_batch(
    primitive: Any, batch: Any, operands: Any, batch_axes: Any, *, permutation: Any
) -> Any:
    # The batch axis becomes the first of the result; the others follow in the asked order.
    d = batch_axes[0]
    order = (d, *(i + (i >= d) for i in permutation))
    return primitive.bind(*operands, permutation=order), 0


transpose_p = Primitive(
    "transpose",
    infer=_transpose_infer,
    impl=lambda xp, x, *, permutation: x.transpose(permutation),
    jvp=linear_jvp(0),
    vjp=transposing(
        lambda ct, x, *, permutation: transpose_p.bind(ct, permutation=_inverse(permutation))
    ),
    batch=_transpose_batch,
)


# broadcast_in_dim


def broadcast_in_dim(x: ArrayLike, shape: Sequence[int], axes: Sequence[int]) -> Array:
    """`x` spread out to `shape`: its axis i becomes axis `axes[i]`, sizes 1 are repeated.

    >>> broadcast_in_dim(np.arange(2, dtype="int32"), (2, 3), (0,))
    Array([[0, 0, 0],
           [1, 1, 1]], dtype=int32)
    """
    array = owned_array("broadcast_in_dim", x)
    shape, axes = as_shape(shape), tuple(axes)
    _broadcast_infer(array.aval, shape=shape, axes=axes)
    kept = [i for i, n in enumerate(array.shape) if n == shape[axes[i]]]
    if len(kept) != array.ndim:  # the primitive repeats whole axes only
        array = reshape_p.bind(array, shape=tuple(array.shape[i] for i in kept))
        axes = tuple(axes[i] for i in kept)
    return array if array.shape == shape else broadcast_in_dim_p.bind(array, shape=shape, axes=axes)


def _broadcast_infer(x: Aval, *, shape: tuple[int, ...], axes: tuple[int, ...]) -> Aval:
    increasing = all(a < b for a, b in zip(axes, axes[1:]))
    if len(axes) != x.ndim or not increasing or any(not 0 <= a < len(shape) for a in axes):
        raise AxisError(
            at_user_line(
                f"broadcast_in_dim of {x} to shape {shape} takes {x.ndim} increasing axes of the "
                f"result, got {axes}."
            )
        )
    if any(n not in (1, shape[a]) for n, a in zip(x.shape, axes)):
        raise ShapeError(
            at_user_line(
                f"broadcast_in_dim: an array of shape {x.shape} does not spread to {shape} "
                f"with its axes at {axes}: sizes must be equal or 1."
            )
        )
    return Aval(shape, x.dtype)


def _broadcast_impl(xp: Any, x: Any, *, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    aligned = [1] * len(shape)
    for n, a in zip(x.shape, axes):
        aligned[a] = n
    out = xp.broadcast_to(x.reshape(aligned), shape)
    # Programs for a GPU read contiguous arrays: a filled one is laid out now, not at each call.
    return out if xp is np or x.ndim else xp.ascontiguousarray(out)


def _broadcast_transpose(ct: Any, x: Any, *, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    repeated = {a for n, a in zip(x.shape, axes) if n != shape[a]}
    summed = tuple(a for a in range(len(shape)) if a not in axes or a in repeated)
    ct = primitives["reduce_sum"].bind(ct, axes=summed)
    return ct if ct.shape == x.shape else reshape_p.bind(ct, shape=x.shape)


def _broadcast_batch(
    primitive: Any, batch: Any, operands: Any, batch_axes: Any, *, shape: Any, axes: Any
) -> Any:
    x = at_front(operands[0], batch_axes[0])
    inner = (0, *(a + 1 for a in axes))
    return primitive.bind(x, shape=(batch.size, *shape), axes=inner), 0


broadcast_in_dim_p = Primitive(
    "broadcast_in_dim",
    infer=_broadcast_infer,
    impl=_broadcast_impl,
    jvp=linear_jvp(0),
    vjp=transposing(_broadcast_transpose),
    batch=_broadcast_batch,
)


def full(shape: int | Sequence[int], value: ArrayLike, dtype: Any = None) -> Array:
    """An Array of `shape` filled with the scalar `value`.

    >>> full((2,), 7)
    Array([7, 7], dtype=int32)
    """
    value = owned_array("full", value, None if dtype is None else as_dtype(dtype))
    value = convert(value, value.dtype)
    return broadcast_in_dim(value, as_shape(shape), ()) if not value.shape else value


# rev


def rev(x: ArrayLike, axes: Sequence[int]) -> Array:
    """`x` with the order of its elements reversed along `axes`.

    >>> rev(np.arange(3, dtype="int32"), (0,))
    Array([2, 1, 0], dtype=int32)
    """
    x = owned_array("rev", x)
    return rev_p.bind(x, axes=normalize_axes("rev", axes, x.ndim))


def _rev_infer(x: Aval, *, axes: tuple[int, ...]) -> Aval:
    normalize_axes("rev", axes, x.ndim)
    return Aval(x.shape, x.dtype)


def _rev_batch(primitive: Any, batch: Any, operands: Any, batch_axes: Any, *, axes: Any) -> Any:
    d = batch_axes[0]
    return primitive.bind(*operands, axes=tuple(a + (a >= d) for a in axes)), d


rev_p = Primitive(
    "rev",
    infer=_rev_infer,
    impl=lambda xp, x, *, axes: xp.flip(x, axes),
    jvp=linear_jvp(0),
    vjp=transposing(lambda ct, x, *, axes: rev_p.bind(ct, axes=axes)),
    batch=_rev_batch,
)


def squeeze(x: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    """`x` without the given axes, which must have size 1; without all such axes by default.

    >>> squeeze(np.zeros((1, 3, 1), "float32"), (0,)).shape
    (3, 1)
    """
    x = owned_array("squeeze", x)
    if axes is None:
        dropped = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        dropped = normalize_axes("squeeze", axes, x.ndim)
    for a in dropped:
        if x.shape[a] != 1:
            raise ShapeError(
                at_user_line(f"squeeze: axis {a} of shape {x.shape} has size {x.shape[a]}, not 1.")
            )
    shape = tuple(n for i, n in enumerate(x.shape) if i not in dropped)
    return reshape_p.bind(x, shape=shape) if dropped else x


def expand_dims(x: ArrayLike, axes: Sequence[int]) -> Array:
    """`x` with new axes of size 1 at the positions `axes` of the result.

    >>> expand_dims(np.zeros((3,), "float32"), (0, 2)).shape
    (1, 3, 1)
    """
    x = owned_array("expand_dims", x)
    ndim = x.ndim + len(axes)
    added = normalize_axes("expand_dims", tuple(axes), ndim)
    sizes = iter(x.shape)
    shape = tuple(1 if i in added else next(sizes) for i in range(ndim))
    return reshape_p.bind(x, shape=shape) if added else x
