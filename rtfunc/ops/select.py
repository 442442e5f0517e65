"""select and clamp: choosing between values elementwise. Depends on `elementwise` and `convert`."""

from __future__ import annotations

from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval, broadcast_shapes
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.comparison import bitwise_and, bitwise_not, ge, le
from rtfunc.ops.convert import as_array, check_same_dtype, promote, scalar
from rtfunc.ops.elementwise import batch_elementwise, broadcast_to, elementwise, unbroadcast


def select(predicate: ArrayLike, on_true: ArrayLike, on_false: ArrayLike) -> Array:
    """`on_true` where `predicate` holds, else `on_false`; all three broadcast.

    No derivative flows to the side that was not chosen, so NaN there does no harm (unless the NaN
    arises in the derivative of what computed it).

    >>> select(1 < 2, 1, 2)
    Array(1, dtype=int32, weak_type=True)
    """
    if (
        not isinstance(on_true, Array)
        or not isinstance(on_false, Array)
        or on_true.dtype is not on_false.dtype
    ):
        on_true, on_false = promote("select", on_true, on_false)
    if not isinstance(predicate, Array):
        predicate = as_array("select", predicate)
    return select_p.bind(predicate, on_true, on_false)


def _select_infer(predicate: Aval, on_true: Aval, on_false: Aval) -> Aval:
    if predicate.dtype != dtypes.bool_:
        raise DtypeError(
            at_user_line(
                f"select takes a boolean predicate, but got {predicate.dtype}. "
                "Compare explicitly, for example with x != 0."
            )
        )
    dtype = check_same_dtype("select", (on_true, on_false))
    shape = broadcast_shapes("select", predicate.shape, on_true.shape, on_false.shape)
    return Aval(shape, dtype, on_true.weak_type and on_false.weak_type)


def _select_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    predicate = primals[0]
    _, t, f = tangents
    out = primitive.bind(*primals)
    if t is None and f is None:
        return out, None
    t = scalar(0, out.dtype) if t is None else t
    f = scalar(0, out.dtype) if f is None else f
    return out, broadcast_to(primitive.bind(predicate, t, f), out.shape)


def _select_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    predicate, on_true, on_false = operands
    out = primitive.bind(*operands)

    def pullback(ct: Any) -> list[Any]:
        zero = scalar(0, ct.dtype)
        return [
            None,
            unbroadcast(select_p.bind(predicate, ct, zero), on_true.shape) if needed[1] else None,
            unbroadcast(select_p.bind(predicate, zero, ct), on_false.shape) if needed[2] else None,
        ]

    return out, pullback


def _select_impl(xp: Any, predicate: Any, on_true: Any, on_false: Any) -> Any:
    out = xp.where(predicate, on_true, on_false)
    return out if out.dtype == on_true.dtype else out.astype(on_true.dtype)  # CuPy's bfloat16


select_p = Primitive(
    "select",
    infer=_select_infer,
    impl=_select_impl,
    jvp=_select_jvp,
    vjp=_select_vjp,
    batch=batch_elementwise,
    weak="explicit",
)


def _clamp_impl(xp: Any, low: Any, x: Any, high: Any) -> Any:
    return xp.minimum(xp.maximum(x, low), high)


def _within(t: Any, low: Any, x: Any, high: Any) -> Any:
    inside = bitwise_and(ge(x, low), le(x, high))
    return select(inside, t, scalar(0, t.dtype))


clamp_p = elementwise(
    "clamp",
    _clamp_impl,
    over=dtypes.real_numeric,
    derivatives=(
        lambda t, y, low, x, high: select(bitwise_not(ge(x, low)), t, scalar(0, t.dtype)),
        lambda t, y, low, x, high: _within(t, low, x, high),
        lambda t, y, low, x, high: select(bitwise_not(le(x, high)), t, scalar(0, t.dtype)),
    ),
    half=False,
)


def clamp(low: ArrayLike, x: ArrayLike, high: ArrayLike) -> Array:
    """`x` limited to the interval from `low` to `high`, elementwise; NaN stays NaN.

    >>> clamp(0.0, 2.5, 1.0)
    Array(1., dtype=float32, weak_type=True)
    """
    return clamp_p.bind(*promote("clamp", low, x, high))
