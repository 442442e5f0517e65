"""First-order linear recurrences: h[i] = decay[i] * h[i - 1] + x[i].

The derivative of every cumulative operation is one of these, and so is the derivative of the
recurrence itself, so `linear_recurrence` gives exact derivatives of all orders in linear time,
where a division by the elements would fail at zeros. It is also the core of state-space layers.
Depends on `pad_slice`.
"""

from __future__ import annotations

from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval, broadcast_shapes
from rtfunc.core.batching import to_axis
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.convert import check_same_dtype, promote
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.pad_slice import shift_in
from rtfunc.ops.shape import normalize_axis

#: With fewer independent sequences than this, Python's own floats are faster than NumPy's calls.
_FEW = 8


def linear_recurrence(
    decay: ArrayLike, x: ArrayLike, axis: int = 0, reverse: bool = False
) -> Array:
    """h with h[i] = decay[i] * h[i - 1] + x[i] along `axis`, beginning from h[-1] = 0.

    With `reverse`, h[i] = decay[i] * h[i + 1] + x[i]. The operands broadcast against each other.
    Raises `AxisError` for an axis that x does not have and `DtypeError` for booleans.

    >>> import rtfunc.numpy as rnp
    >>> linear_recurrence(0.5, rnp.ones(4))
    Array([1.   , 1.5  , 1.75 , 1.875], dtype=float32)
    """
    factors, terms = promote("linear_recurrence", decay, x)
    shape = broadcast_shapes("linear_recurrence", factors.shape, terms.shape)
    factors, terms = broadcast_to(factors, shape), broadcast_to(terms, shape)
    number = normalize_axis("linear_recurrence", axis, len(shape))
    if terms.dtype == dtypes.bool_:
        _infer(factors.aval, terms.aval, axis=number, reverse=bool(reverse))
    return linear_recurrence_p.bind(factors, terms, axis=number, reverse=bool(reverse))


def _infer(decay: Aval, x: Aval, *, axis: int, reverse: bool) -> Aval:
    dtype = check_same_dtype("linear_recurrence", (decay, x))
    if dtype not in dtypes.numeric:
        raise DtypeError(at_user_line(f"linear_recurrence takes numbers, not {dtype}."))
    if decay.shape != x.shape:
        raise ShapeError(
            at_user_line(
                f"linear_recurrence takes operands of one shape, got {decay.shape} and {x.shape}."
            )
        )
    normalize_axis("linear_recurrence", axis, x.ndim)
    return x


def _impl(xp: Any, decay: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    dtype, shape = x.dtype, x.shape
    if not x.size:
        return x
    wide = dtypes.compute_dtype(dtype)
    decay, x = (xp.moveaxis(a.astype(wide, copy=False), axis, 0) for a in (decay, x))
    if reverse:
        decay, x = decay[::-1], x[::-1]
    if x.size // x.shape[0] <= _FEW and dtypes.is_inexact(wide):
        out = _one_by_one(xp, decay, x)
    else:
        out = xp.empty(x.shape, wide)
        out[0] = x[0]
        for i in range(1, len(x)):
            xp.multiply(decay[i], out[i - 1], out=out[i, ...])
            out[i, ...] += x[i]
    if reverse:
        out = out[::-1]
    return xp.moveaxis(out, 0, axis).astype(dtype, copy=False).reshape(shape)


def _one_by_one(xp: Any, decay: Any, x: Any) -> Any:
    lanes = []
    for factors, terms in zip(
        decay.reshape(len(x), -1).T.tolist(), x.reshape(len(x), -1).T.tolist()
    ):
        h = terms[0]
        lane = [h]
        for factor, term in zip(factors[1:], terms[1:]):
            h = factor * h + term
            lane.append(h)
        lanes.append(lane)
    return xp.asarray(lanes, x.dtype).T.reshape(x.shape)


def _previous(h: Any, axis: int, reverse: bool) -> Any:
    return shift_in(h, axis, 0, forward=not reverse)


def _jvp(primitive: Primitive, primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
    decay, x = primals
    decay_t, x_t = tangents
    h = primitive.bind(decay, x, axis=axis, reverse=reverse)
    if decay_t is not None:
        x_t = add_tangents(x_t, mul(decay_t, _previous(h, axis, reverse)))
    return h, primitive.bind(decay, x_t, axis=axis, reverse=reverse)


def _vjp(primitive: Primitive, needed: Any, operands: Any, *, axis: int, reverse: bool) -> Any:
    decay, x = operands
    h = primitive.bind(decay, x, axis=axis, reverse=reverse)

    def pullback(ct: Any) -> list[Any]:
        back = shift_in(decay, axis, 0, forward=reverse)
        into = primitive.bind(back, ct, axis=axis, reverse=not reverse)
        return [mul(into, _previous(h, axis, reverse)) if needed[0] else None, into]

    return h, pullback


def _batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, axis: int, reverse: bool
) -> Any:
    decay, x = (to_axis(o, d, 0, batch.size) for o, d in zip(operands, batch_axes))
    return primitive.bind(decay, x, axis=axis + 1, reverse=reverse), 0


linear_recurrence_p = Primitive(
    "linear_recurrence", infer=_infer, impl=_impl, jvp=_jvp, vjp=_vjp, batch=_batch
)
