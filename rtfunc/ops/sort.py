"""Sorting: `sort` of several operands by one or more of them, `top_k`, and what is made of them.

The order is JAX's: ascending, stable, NaN last, -0.0 equal to 0.0, complex numbers by real part and
then by imaginary part. The derivative is a permutation, and sorting applies permutations: tangents
are sorted along as further operands, and sorting cotangents by the permutation undoes it. Depends
on `iota`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front, to_axis
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.convert import as_array
from rtfunc.ops.iota import iota_p
from rtfunc.ops.pad_slice import pad, slice_in_dim
from rtfunc.ops.shape import normalize_axis, rev_p


def sort(
    operands: ArrayLike | Sequence[ArrayLike], axis: int = -1, num_keys: int = 1
) -> Array | tuple[Array, ...]:
    """`operands` in ascending order along `axis`; stable, with NaN last.

    A tuple or list of arrays of one shape is sorted by its first `num_keys` members, the first
    being the most significant, and the others are carried along. Raises `ShapeError` for different
    shapes and `ArgumentError` for a `num_keys` that is not between 1 and the number of operands.

    >>> sort(np.array([3, 1, 2], "int32"))
    Array([1, 2, 3], dtype=int32)
    """
    if isinstance(operands, (tuple, list)):
        arrays = [as_array("sort", x) for x in operands]
        if not arrays:
            raise ArgumentError(at_user_line("sort takes at least one operand."))
        number = normalize_axis("sort", axis, arrays[0].ndim)
        _infer(*(x.aval for x in arrays), axis=number, num_keys=num_keys)
        return tuple(sort_p.bind(*arrays, axis=number, num_keys=num_keys))
    x = as_array("sort", operands)  # type: ignore[arg-type]
    if num_keys != 1:
        _infer(x.aval, axis=0, num_keys=num_keys)
    return sort_p.bind(x, axis=normalize_axis("sort", axis, x.ndim), num_keys=1)[0]


def sort_key_val(keys: ArrayLike, values: ArrayLike, axis: int = -1) -> tuple[Array, Array]:
    """`keys` in ascending order along `axis`, and `values` in the same order.

    >>> sort_key_val(np.array([2, 1], "int32"), np.array([5.0, 6.0], "float32"))[1]
    Array([6., 5.], dtype=float32)
    """
    return sort((keys, values), axis)  # type: ignore[return-value]


def argsort(x: ArrayLike, axis: int = -1, descending: bool = False) -> Array:
    """The int32 indices that sort `x` along `axis`: stable, NaN last (first with `descending`).

    >>> argsort(np.array([30, 10, 20], "int32"))
    Array([1, 2, 0], dtype=int32)
    """
    x = as_array("argsort", x)
    number = normalize_axis("argsort", axis, x.ndim)
    return (_descending if descending else _ascending)(x, number)[1]


def _ascending(x: Any, axis: int, *carried: Any) -> list[Any]:
    """`x` sorted, the index that each element had, and `carried` in the same order."""
    index = iota_p.bind(shape=x.shape, dtype=_index_dtype(x.shape[axis]), axis=axis)
    return sort_p.bind(x, index, *carried, axis=axis, num_keys=1)


def _descending(x: Any, axis: int, *carried: Any) -> list[Any]:
    """As `_ascending` with the largest first; equal elements keep their order.

    Sorting back to front and reading back to front reverses the order and keeps it stable.
    """
    index = iota_p.bind(shape=x.shape, dtype=_index_dtype(x.shape[axis]), axis=axis)
    flipped = [rev_p.bind(a, axes=(axis,)) for a in (x, index, *carried)]
    return [rev_p.bind(a, axes=(axis,)) for a in sort_p.bind(*flipped, axis=axis, num_keys=1)]


def _index_dtype(size: int) -> np.dtype:
    return dtypes.int32 if size <= np.iinfo(np.int32).max else dtypes.int64


def _infer(*operands: Aval, axis: int, num_keys: int) -> tuple[Aval, ...]:
    if not 1 <= num_keys <= len(operands):
        raise ArgumentError(
            at_user_line(
                f"sort of {len(operands)} operands takes num_keys between 1 and {len(operands)}, "
                f"got {num_keys}."
            )
        )
    shapes = {x.shape for x in operands}
    if len(shapes) > 1:
        raise ShapeError(
            at_user_line(
                "sort takes operands of one shape, got "
                f"{', '.join(str(x.shape) for x in operands)}."
            )
        )
    normalize_axis("sort", axis, operands[0].ndim)
    for x in operands[:num_keys]:
        _check_orderable("sort", x.dtype)
    return operands


def _check_orderable(operation: str, dtype: np.dtype) -> None:
    if dtype not in dtypes.everything:
        raise DtypeError(at_user_line(f"{operation} does not order {dtype}; convert it first."))


def _impl(xp: Any, *operands: Any, axis: int, num_keys: int) -> list[Any]:
    first = operands[0]
    if len(operands) == 1 and not dtypes.is_complex(first.dtype):
        key = _comparable(first)
        return [xp.sort(key, axis=axis, kind="stable").astype(first.dtype, copy=False)]
    order = _order(xp, [part for x in operands[:num_keys] for part in _parts(x)], axis)
    return [xp.take_along_axis(x, order, axis=axis) for x in operands]


def _comparable(x: Any) -> Any:
    """The same order in a dtype that NumPy itself knows."""
    return x.astype(dtypes.compute_dtype(x.dtype), copy=False)


def _parts(x: Any) -> list[Any]:
    return [x.real, x.imag] if dtypes.is_complex(x.dtype) else [_comparable(x)]


def _order(xp: Any, keys: Sequence[Any], axis: int) -> Any:
    """Indices of a stable sort by several keys: sort by the least significant one first."""
    order = None
    for key in reversed(keys):
        if order is None:
            order = xp.argsort(key, axis=axis, kind="stable")
        else:
            key = xp.take_along_axis(key, order, axis=axis)
            step = xp.argsort(key, axis=axis, kind="stable")
            order = xp.take_along_axis(order, step, axis=axis)
    return order


def _jvp(primitive: Primitive, primals: Any, tangents: Any, *, axis: int, num_keys: int) -> Any:
    given = [i for i, t in enumerate(tangents) if t is not None]
    moving = [tangents[i] for i in given]
    outs = primitive.bind(*primals, *moving, axis=axis, num_keys=num_keys)
    out_tangents: list[Any] = [None] * len(primals)
    for i, t in zip(given, outs[len(primals) :]):
        out_tangents[i] = t
    return outs[: len(primals)], out_tangents


def _vjp(primitive: Primitive, needed: Any, operands: Any, *, axis: int, num_keys: int) -> Any:
    x = operands[0]
    index = iota_p.bind(shape=x.shape, dtype=_index_dtype(x.shape[axis]), axis=axis)
    *outs, permutation = primitive.bind(*operands, index, axis=axis, num_keys=num_keys)

    def pullback(cts: Sequence[Any]) -> list[Any]:
        into: list[Any] = [None] * len(operands)
        given = [i for i, ct in enumerate(cts) if ct is not None and needed[i]]
        if given:
            moving = [cts[i] for i in given]
            back = primitive.bind(permutation, *moving, axis=axis, num_keys=1)[1:]
            for i, ct in zip(given, back):
                into[i] = ct
        return into

    return outs, pullback


def _batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, axis: int, num_keys: int
) -> Any:
    if all(d is not None for d in batch_axes) and len(set(batch_axes)) == 1:
        d = batch_axes[0]
        outs = primitive.bind(*operands, axis=axis + (axis >= d), num_keys=num_keys)
        return outs, [d] * len(outs)
    aligned = [to_axis(x, d, 0, batch.size) for x, d in zip(operands, batch_axes)]
    outs = primitive.bind(*aligned, axis=axis + 1, num_keys=num_keys)
    return outs, [0] * len(outs)


sort_p = Primitive(
    "sort",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    multiple_results=True,
    weak="explicit",
)


# top_k


def top_k(x: ArrayLike, k: int) -> tuple[Array, Array]:
    """The `k` largest elements along the last axis in descending order, and their int32 indices.

    Of equal elements the one with the lower index comes first; NaN counts as the largest. Raises
    `ArgumentError` when the axis has fewer than `k` elements.

    >>> top_k(np.array([1, 5, 3], "int32"), 2)
    (Array([5, 3], dtype=int32), Array([1, 2], dtype=int32))
    """
    x = as_array("top_k", x)
    values, indices = top_k_p.bind(x, k=int(k))
    return values, indices


def _top_k_infer(x: Aval, *, k: int) -> tuple[Aval, Aval]:
    if not x.ndim:
        raise ShapeError(at_user_line("top_k takes an array with at least one axis, got a scalar."))
    if not 0 <= k <= x.shape[-1]:
        raise ArgumentError(
            at_user_line(
                f"top_k: k = {k} is not between 0 and {x.shape[-1]}, the size of the last axis of "
                f"shape {x.shape}."
            )
        )
    _check_orderable("top_k", x.dtype)
    shape = (*x.shape[:-1], k)
    return Aval(shape, x.dtype, x.weak_type), Aval(shape, dtypes.int32)


def _top_k_impl(xp: Any, x: Any, *, k: int) -> tuple[Any, Any]:
    _top_k_infer(Aval(x.shape, x.dtype), k=k)
    size = x.shape[-1]
    flipped = x[..., ::-1]
    order = _order(xp, _parts(flipped), -1)[..., ::-1][..., :k]
    indices = size - 1 - order
    return xp.take_along_axis(x, indices, axis=-1), indices.astype(dtypes.int32)


def _top_k_jvp(primitive: Primitive, primals: Any, tangents: Any, *, k: int) -> Any:
    (x,), (t,) = primals, tangents
    values, indices, moved = (
        slice_in_dim(a, 0, k, axis=x.ndim - 1) for a in _descending(x, x.ndim - 1, t)
    )
    return [values, indices], [moved, None]


def _top_k_vjp(primitive: Primitive, needed: Any, operands: Any, *, k: int) -> Any:
    (x,) = operands
    last = x.ndim - 1
    ordered, permutation = _descending(x, last)

    def pullback(cts: Sequence[Any]) -> list[Any]:
        ct = cts[0]
        if ct is None:
            return [None]
        ct = pad(ct, 0, [(0, 0, 0)] * last + [(0, x.shape[last] - k, 0)])
        return [sort_p.bind(permutation, ct, axis=last, num_keys=1)[1]]

    values, indices = (slice_in_dim(a, 0, k, axis=last) for a in (ordered, permutation))
    return [values, indices], pullback


def _top_k_batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, k: int
) -> Any:
    return primitive.bind(at_front(operands[0], batch_axes[0]), k=k), [0, 0]


top_k_p = Primitive(
    "top_k",
    infer=_top_k_infer,
    impl=_top_k_impl,
    jvp=_top_k_jvp,
    vjp=_top_k_vjp,
    batch=_top_k_batch,
    multiple_results=True,
    weak="explicit",
)
