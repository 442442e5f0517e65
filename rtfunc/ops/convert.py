"""Operands and dtypes: turning what users pass into Arrays of one dtype.

Holds the primitives `convert_element_type` and `bitcast_convert`, and `promote`, which every function of
several operands calls first. Depends on `core`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, no_jvp, no_vjp
from rtfunc.core.trace import context

_python_scalars = {
    bool: dtypes.bool_,
    int: dtypes.int32,
    float: dtypes.float32,
    complex: dtypes.complex64,
}


def scalar(value: Any, dtype: np.dtype, weak_type: bool = False) -> Array:
    """A concrete 0-d Array."""
    if type(value) is int and not weak_type:
        return _integer(value, dtype)
    return Array(np.asarray(value, dtype), weak_type)


@functools.lru_cache(maxsize=1024)
def _integer(value: int, dtype: np.dtype) -> Array:
    """A small constant such as 0, 1 or 2: Arrays do not change, so one of each will do."""
    buffer = np.asarray(value, dtype)
    buffer.flags.writeable = False  # not even by item assignment
    return Array(buffer)


def as_array(
    operation: str, x: ArrayLike, dtype: np.dtype | None = None, weak_type: bool = False
) -> Array:
    """`x` as an Array, without a copy where that is safe: for operands that are read at once.

    With `dtype` and `weak_type` it is converted to them. A Python number is rounded once: 0.1 as
    float64 is the double, where `convert(as_array(...), float64)` would go by way of float32.
    Without a dtype Python scalars become weakly typed. Raises `DtypeError` for lists and other
    types, naming `operation`.
    """
    if dtype is not None:
        if isinstance(x, (float, complex)) and not isinstance(x, np.generic):
            wide = dtypes.float64 if isinstance(x, float) else dtypes.complex128
            return convert(Array(np.asarray(x, wide)), dtype, weak_type)
        return convert(as_array(operation, x), dtype, weak_type)
    if isinstance(x, Array):
        return x
    kind = _python_scalars.get(type(x))
    if kind is not None:
        return Array(_python_scalar(x, kind), kind is not dtypes.bool_)
    if isinstance(x, (np.ndarray, np.generic)):
        buffer = np.asarray(x)
        dtype = dtypes.as_dtype(buffer.dtype)
        if dtype != buffer.dtype:
            buffer = buffer.astype(dtype)
        elif buffer.flags.writeable and context.trace is not None:
            buffer = buffer.copy()  # a trace keeps it
        return Array(buffer)
    if isinstance(x, (bool, int, float, complex)):  # subclasses: enums, IntFlag
        return as_array(operation, next(t for t in _python_scalars if isinstance(x, t))(x))
    if type(x).__module__.startswith("cupy"):
        return Array(x)
    raise DtypeError(
        at_user_line(
            f"{operation} takes arrays and numbers, but got an argument of type "
            f"{type(x).__name__}. Convert it first, for example with rtfunc.numpy.asarray(...)."
        )
    )


def owned_array(
    operation: str, x: ArrayLike, dtype: np.dtype | None = None, weak_type: bool = False
) -> Array:
    """As `as_array`, but never sharing memory that its owner may change: writeable arrays are copied.

    For operations whose result may be a view of their operand, or the operand itself.
    """
    kept = dtype is None or getattr(x, "dtype", None) == dtype
    if kept and isinstance(x, np.ndarray) and x.flags.writeable:
        x = x.copy()
    return as_array(operation, x, dtype, weak_type)


def _python_scalar(x: Any, dtype: np.dtype) -> np.ndarray:
    if dtype is dtypes.int32 and not -(2**31) <= x < 2**31:
        if not -(2**63) <= x < 2**64:
            raise DtypeError(at_user_line(f"The integer {x} does not fit in 64 bits."))
        dtype = dtypes.int64 if x < 2**63 else dtypes.uint64
    return context.quiet(np.asarray, x, dtype)  # a float that overflows becomes infinite


def promote(operation: str, *operands: ArrayLike) -> list[Array]:
    """The operands as Arrays of their common dtype.

    Python scalars take the dtype of the arrays where its kind allows (weak promotion).
    """
    if len(operands) == 2:  # an Array and a number: by far the most frequent case
        x, y = operands
        if isinstance(x, Array) and type(y) in _python_scalars:
            return _with_number(operation, x, y)
        if isinstance(y, Array) and type(x) in _python_scalars:
            return _with_number(operation, y, x)[::-1]
    arrays = [as_array(operation, x) for x in operands]
    dtype, weak = arrays[0].dtype, arrays[0].weak_type
    for x in arrays[1:]:
        dtype, weak = dtypes.promote(dtype, weak, x.dtype, x.weak_type)
    return [
        x if x.dtype == dtype else _promote_one(operation, x, original, dtype, weak)
        for x, original in zip(arrays, operands)
    ]


def _with_number(operation: str, x: Array, number: Any) -> list[Array]:
    kind = _python_scalars[type(number)]
    dtype, weak = dtypes.promote(x.dtype, x.weak_type, kind, kind is not dtypes.bool_)
    if x.dtype != dtype:
        x = convert(x, dtype, weak)
    return [x, Array(_literal(operation, number, dtype), weak or kind is not dtypes.bool_)]


def promote_inexact(operation: str, *operands: ArrayLike) -> list[Array]:
    """As `promote`, with integers and booleans becoming the default float."""
    arrays = promote(operation, *operands)
    dtype = dtypes.to_inexact(arrays[0].dtype)
    return [convert(x, dtype, x.weak_type) for x in arrays]


def _promote_one(
    operation: str, x: Array, original: Any, dtype: np.dtype, weak_type: bool
) -> Array:
    # An integer array beside a weak float becomes a weak float, as in JAX: the result then yields to
    # a third operand's float dtype.
    weak_type = weak_type or x.weak_type
    if type(original) in _python_scalars:
        # Computed in Python, so that a literal is exact and stays a literal in Graphs.
        return Array(_literal(operation, original, dtype), weak_type)
    return convert(x, dtype, weak_type)


def _literal(operation: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """A Python number in the dtype that it takes beside an array."""
    try:
        return context.quiet(np.asarray, value, dtype)
    except OverflowError:
        raise DtypeError(
            at_user_line(
                f"{operation}: the integer {value} does not fit in {dtype}, the dtype of the other "
                "operand. Convert that to a wider dtype first, for example with x.astype('int64')."
            )
        ) from None


def convert(x: Array, dtype: np.dtype, weak_type: bool = False) -> Array:
    """`x` as `dtype`; itself if that changes nothing."""
    if x.dtype == dtype and x.weak_type == weak_type:
        return x
    if type(x) is Array and not x.shape and isinstance(x._buffer, np.ndarray):
        return Array(context.quiet(cast, x._buffer, dtype), weak_type)  # a literal stays one
    return convert_element_type_p.bind(x, dtype=dtype, weak_type=weak_type)


def convert_element_type(x: ArrayLike, dtype: DtypeLike) -> Array:
    """`x` converted to `dtype`.

    Floats become integers by truncation, saturating at the limits, with NaN becoming 0. Complex numbers
    lose their imaginary part.

    >>> convert_element_type(2.7, "int8")
    Array(2, dtype=int8)
    """
    return as_array("convert_element_type", x, dtypes.as_dtype(dtype))


def cast(x: Any, dtype: np.dtype, xp: Any = np) -> Any:
    """A buffer as `dtype` with the semantics of `convert_element_type`."""
    source = x.dtype
    if dtypes.is_complex(source) and not dtypes.is_complex(dtype) and dtype != dtypes.bool_:
        x, source = x.real, x.real.dtype
    if dtypes.is_integer(dtype) and dtypes.is_float(source):
        return _float_to_integer(x, dtype, xp)
    if (
        dtypes.is_integer(source)
        and source.itemsize == 8
        and dtypes.is_float(dtype)
        and dtype.itemsize < 4
    ):
        x = x.astype(dtypes.float64)
    return x.astype(dtype)


def _float_to_integer(x: Any, dtype: np.dtype, xp: Any) -> Any:
    """Truncation that saturates and takes NaN to 0, as XLA and LLVM's fptosi.sat do."""
    limits = np.iinfo(dtype)
    wide = x.astype(dtypes.float64)
    # The largest float64 that does not exceed the limit: 2**63 - 1 is not one.
    top = float(limits.max) if dtype.itemsize < 8 else np.nextafter(float(limits.max), 0.0)
    inside = xp.clip(xp.where(xp.isnan(wide), 0.0, wide), float(limits.min), top).astype(dtype)
    return xp.where(wide > top, dtype.type(limits.max), inside).astype(dtype)


def _convert_infer(x: Aval, *, dtype: np.dtype, weak_type: bool) -> Aval:
    return Aval(x.shape, dtype, weak_type)


def _convert_impl(xp: Any, x: Any, *, dtype: np.dtype, weak_type: bool) -> Any:
    return x if x.dtype == dtype else cast(x, dtype, xp)


def _convert_jvp(primitive: Any, primals: Any, tangents: Any, **params: Any) -> Any:
    out = primitive.bind(*primals, **params)
    if not dtypes.is_inexact(params["dtype"]):
        return out, None
    return out, convert(tangents[0], params["dtype"])


def _convert_vjp(primitive: Any, needed: Any, operands: Any, **params: Any) -> Any:
    (x,) = operands
    return primitive.bind(x, **params), lambda ct: [convert(ct, x.dtype)]


def _convert_batch(
    primitive: Any, batch: Any, operands: Any, batch_axes: Any, **params: Any
) -> Any:
    return primitive.bind(*operands, **params), batch_axes[0]


convert_element_type_p = Primitive(
    "convert_element_type",
    infer=_convert_infer,
    impl=_convert_impl,
    jvp=_convert_jvp,
    vjp=_convert_vjp,
    batch=_convert_batch,
    weak="explicit",
)


def bitcast(x: ArrayLike, dtype: DtypeLike) -> Array:
    """The bits of `x` read as `dtype`.

    Between dtypes of different sizes a last axis appears or disappears: float64[3] is uint32[3,2].
    Raises `ShapeError` when the sizes do not fit and `DtypeError` for booleans and complex numbers.

    >>> bitcast(np.float32(1.0), "int32")
    Array(1065353216, dtype=int32)
    """
    return bitcast_p.bind(as_array("bitcast", x), dtype=dtypes.as_dtype(dtype))


def _bitcast_infer(x: Aval, *, dtype: np.dtype) -> Aval:
    for d in (x.dtype, dtype):
        if d == dtypes.bool_ or dtypes.is_complex(d):
            raise DtypeError(at_user_line(f"bitcast works on integers and floats, not on {d}."))
    old, new = x.dtype.itemsize, dtype.itemsize
    if old == new:
        return Aval(x.shape, dtype)
    if old > new:
        return Aval((*x.shape, old // new), dtype)
    if not x.shape or x.shape[-1] != new // old:
        raise ShapeError(
            at_user_line(
                f"bitcast of {x} to {dtype} joins {new // old} elements into one: "
                f"the last axis must have that size."
            )
        )
    return Aval(x.shape[:-1], dtype)


def _bitcast_impl(xp: Any, x: Any, *, dtype: np.dtype) -> Any:
    shape = _bitcast_infer(Aval(x.shape, x.dtype), dtype=dtype).shape
    return xp.ascontiguousarray(x).reshape(-1).view(dtype).reshape(shape)


def _bitcast_batch(
    primitive: Any, batch: Any, operands: Any, batch_axes: Any, *, dtype: np.dtype
) -> Any:
    return primitive.bind(at_front(operands[0], batch_axes[0]), dtype=dtype), 0


bitcast_p = Primitive(
    "bitcast",
    infer=_bitcast_infer,
    impl=_bitcast_impl,
    jvp=no_jvp,
    vjp=no_vjp,
    batch=_bitcast_batch,
    weak="strong",
)


def check_same_dtype(operation: str, operands: Sequence[Aval]) -> np.dtype:
    """The operands' common dtype; `DtypeError` if they differ."""
    dtype = operands[0].dtype
    if any(x.dtype != dtype for x in operands):
        raise DtypeError(
            at_user_line(
                f"{operation} takes operands of one dtype, but got "
                f"{', '.join(str(x.dtype) for x in operands)}."
            )
        )
    return dtype
