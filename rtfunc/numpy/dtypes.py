"""Dtypes under NumPy's names: the types themselves, promotion, limits, kinds, conversion and views.

A name such as `float32` is a `ScalarType`: it is accepted wherever a dtype is, equals
`numpy.dtype("float32")`, and called with a value it makes an Array of that dtype. Depends on
`creation`.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from rtfunc.core import dtypes as _dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.device import Device
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.dtypes import finfo as finfo
from rtfunc.core.dtypes import iinfo as iinfo
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.creation import asarray
from rtfunc.ops.complex import complex_ as _complex_from_parts
from rtfunc.ops.complex import imag, real
from rtfunc.ops.convert import as_array, bitcast, convert, owned_array
from rtfunc.ops.pad_slice import concatenate
from rtfunc.ops.shape import expand_dims, reshape_p


class ScalarType:
    """A dtype that can be called: `float32(x)` is `asarray(x, dtype="float32")`.

    >>> float32(1), float32 == np.dtype("float32")
    (Array(1., dtype=float32), True)
    """

    __slots__ = ("dtype",)

    dtype: np.dtype

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype

    def __call__(self, x: Any = 0) -> Array:
        """`x` as an Array of this dtype."""
        return asarray(x, dtype=self.dtype)

    def __eq__(self, other: object) -> builtins.bool:
        try:
            found: Any = other if isinstance(other, type) else getattr(other, "dtype", other)
            return self.dtype == np.dtype(found)
        except TypeError:
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return ScalarType, (self.dtype,)

    def __repr__(self) -> str:
        return f"rtfunc.numpy.{self.dtype}"

    @property
    def name(self) -> str:
        """Name of the dtype."""
        return self.dtype.name


bool = bool_ = ScalarType(_dtypes.bool_)
int8, int16, int32, int64 = (ScalarType(d) for d in _dtypes.signed)
uint8, uint16, uint32, uint64 = (ScalarType(d) for d in _dtypes.unsigned)
float16, bfloat16, float32, float64 = (ScalarType(d) for d in _dtypes.floats)
complex64, complex128 = (ScalarType(d) for d in _dtypes.complexes)
float8_e4m3fn = ScalarType(_dtypes.float8_e4m3fn)
float8_e5m2 = ScalarType(_dtypes.float8_e5m2)
float8_e4m3fnuz = ScalarType(_dtypes.float8_e4m3fnuz)
float8_e5m2fnuz = ScalarType(_dtypes.float8_e5m2fnuz)
float8_e4m3b11fnuz = ScalarType(_dtypes.float8_e4m3b11fnuz)

# The defaults, and C's names.
int_, uint, float_, complex_ = int32, uint32, float32, complex64
single, double, csingle, cdouble = float32, float64, complex64, complex128

dtype = np.dtype
generic, number, inexact, floating = np.generic, np.number, np.inexact, np.floating
integer, signedinteger, unsignedinteger = np.integer, np.signedinteger, np.unsignedinteger
complexfloating = np.complexfloating


# Promotion


def _kind(operation: str, x: Any) -> tuple[np.dtype, builtins.bool]:
    """The dtype and weakness of an array, a scalar or a dtype."""
    if isinstance(x, Array):
        return x.dtype, x.weak_type
    if isinstance(x, (builtins.bool, int, float, complex)):
        x = as_array(operation, x)
        return x.dtype, x.weak_type
    if isinstance(x, (list, tuple)):
        return asarray(x).dtype, False
    return as_dtype(x), False


def result_type(*args: Any) -> np.dtype:
    """The dtype of an operation on the given arrays, numbers and dtypes.

    >>> result_type(np.ones(2, "int8"), 1.5), result_type("int8", "uint8")
    (dtype('float32'), dtype('int16'))
    """
    if not args:
        raise ArgumentError(at_user_line("result_type needs at least one argument."))
    found, weak = _kind("result_type", args[0])
    for x in args[1:]:
        found, weak = _dtypes.promote(found, weak, *_kind("result_type", x))
    return found


def promote_types(a: DtypeLike, b: DtypeLike) -> np.dtype:
    """The smallest dtype to which both convert, by JAX's lattice.

    >>> promote_types("int32", "float16")
    dtype('float16')
    """
    return _dtypes.promote(as_dtype(a), False, as_dtype(b), False)[0]


def can_cast(source: Any, target: DtypeLike, casting: str = "safe") -> builtins.bool:
    """Whether a dtype (or an array's) converts to `target` under NumPy's rule `casting`.

    >>> can_cast("int32", "float64"), can_cast("float64", "float32")
    (True, False)
    """
    rules = ("no", "equiv", "safe", "same_kind", "unsafe")
    if not isinstance(casting, str) or casting not in rules:
        raise ArgumentError(
            at_user_line(f"can_cast: casting is one of {', '.join(rules)}, not {casting!r}.")
        )
    return np.can_cast(_kind("can_cast", source)[0], as_dtype(target), casting=casting)


# Kinds

_kinds = {
    "bool": (_dtypes.bool_,),
    "signed integer": _dtypes.signed,
    "unsigned integer": _dtypes.unsigned,
    "integral": _dtypes.integers,
    "real floating": (*_dtypes.floats, *_dtypes.float8s),
    "complex floating": _dtypes.complexes,
    "numeric": (*_dtypes.numeric, *_dtypes.float8s),
}


def isdtype(dtype: DtypeLike, kind: Any) -> builtins.bool:
    """Whether a dtype is of a kind: "bool", "signed integer", "unsigned integer", "integral",
    "real floating", "complex floating", "numeric", a dtype, or a tuple of those.

    >>> isdtype("bfloat16", "real floating")
    True
    """
    found = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, k) for k in kind)
    if isinstance(kind, str) and kind in _kinds:
        return found in _kinds[kind]
    if isinstance(kind, str) and " " in kind:
        raise ArgumentError(
            at_user_line(f"isdtype: {kind!r} is not a kind of dtype; kinds are {list(_kinds)}.")
        )
    return found == as_dtype(kind)


def issubdtype(dtype: Any, category: Any) -> builtins.bool:
    """Whether a dtype belongs to a NumPy category such as `floating` or `integer`, or equals it.

    >>> issubdtype(bfloat16, floating)
    True
    """
    if isinstance(dtype, type) and issubclass(dtype, np.generic) and dtype.__module__ == "numpy":
        found: Any = dtype
    else:
        found = as_dtype(dtype)
    if not (isinstance(category, type) and issubclass(category, np.generic)):
        category = as_dtype(category)
        return found == category
    if isinstance(found, np.dtype) and found in _kinds["real floating"]:
        if issubclass(np.floating, category):  # ml_dtypes' types are no subclasses of it
            return True
        return found == np.dtype(category) if category not in _abstract else False
    return np.issubdtype(found, category)


_abstract = (np.integer, np.signedinteger, np.unsignedinteger, np.complexfloating, np.flexible)


def iscomplexobj(x: Any) -> builtins.bool:
    """Whether `x` (an array, a number or a sequence) has a complex dtype.

    >>> iscomplexobj(1j)
    True
    """
    return _dtypes.is_complex(_kind("iscomplexobj", x)[0])


def isrealobj(x: Any) -> builtins.bool:
    """Whether the dtype of `x` is not complex.

    >>> isrealobj(1.0)
    True
    """
    return not iscomplexobj(x)


def isscalar(x: Any) -> builtins.bool:
    """Whether `x` is a number or an array without axes.

    >>> isscalar(3.0), isscalar([3.0])
    (True, False)
    """
    if isinstance(x, (builtins.bool, int, float, complex, np.generic)):
        return True
    return isinstance(x, (Array, np.ndarray)) and x.ndim == 0


# Conversion


def astype(
    x: ArrayLike,
    dtype: DtypeLike,
    /,
    *,
    copy: builtins.bool = False,
    device: Device | str | None = None,
) -> Array:
    """`x` converted to `dtype`.

    Floats become integers by truncation, saturating at the limits, with NaN becoming 0; complex
    numbers lose their imaginary part.

    >>> astype(np.array([1.7, -1.7]), "int32")
    Array([ 1, -1], dtype=int32)
    """
    wanted = as_dtype(dtype)
    result = owned_array("astype", x, wanted)
    return asarray(result, copy=copy or None, device=device) if copy or device else result


def view(x: ArrayLike, dtype: DtypeLike) -> Array:
    """The bits of `x` read as `dtype`; the last axis grows or shrinks where the sizes differ.

    >>> view(np.array([1.0], "float32"), "uint8")
    Array([  0,   0, 128,  63], dtype=uint8)
    """
    x, wanted = owned_array("view", x), as_dtype(dtype)
    if x.dtype == wanted:
        return x
    if _dtypes.is_complex(x.dtype):
        parts = [expand_dims(part(x), (x.ndim,)) for part in (real, imag)]
        if not x.ndim:
            raise _not_divisible(x, wanted)
        pairs = concatenate(parts, x.ndim)
        return view(reshape_p.bind(pairs, shape=(*x.shape[:-1], 2 * x.shape[-1])), wanted)
    if _dtypes.is_complex(wanted):
        x = view(x, _dtypes.real_of(wanted))
        if not x.ndim or x.shape[-1] % 2:
            raise _not_divisible(x, wanted)
        pairs = reshape_p.bind(x, shape=(*x.shape[:-1], x.shape[-1] // 2, 2))
        return _complex_from_parts(pairs[..., 0], pairs[..., 1])
    if x.dtype == _dtypes.bool_:
        return view(convert(x, _dtypes.uint8), wanted)
    if wanted == _dtypes.bool_:
        return convert(view(x, _dtypes.uint8), wanted)
    old, new = x.dtype.itemsize, wanted.itemsize
    if old == new:
        return bitcast(x, wanted)
    if not x.ndim or (new > old and x.shape[-1] % (new // old)):
        raise _not_divisible(x, wanted)
    if old > new:
        found = bitcast(x, wanted)
        return reshape_p.bind(found, shape=(*x.shape[:-1], x.shape[-1] * (old // new)))
    shape = (*x.shape[:-1], x.shape[-1] // (new // old), new // old)
    return bitcast(reshape_p.bind(x, shape=shape), wanted)


def _not_divisible(x: Array, wanted: np.dtype) -> ShapeError:
    return ShapeError(
        at_user_line(
            f"view of {x.aval} as {wanted}: the bytes of the last axis do not fill whole elements."
        )
    )
