"""Dtypes: which exist, and how two of them meet.

All dtypes are `numpy.dtype` objects; bfloat16 and the float8 kinds come from ml_dtypes. Promotion is
JAX's lattice with weak Python scalars and without an x64 flag: new arrays default to int32, float32 and
complex64, and 64-bit data that is given explicitly stays 64-bit. Depends on numpy and ml_dtypes only.

Source of the lattice: https://docs.jax.dev/en/latest/type_promotion.html
"""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line

DtypeLike: TypeAlias = Any

bool_ = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
float16, float32, float64 = (np.dtype(f"float{n}") for n in (16, 32, 64))
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")
bfloat16 = np.dtype(ml_dtypes.bfloat16)
float8_e4m3fn = np.dtype(ml_dtypes.float8_e4m3fn)
float8_e5m2 = np.dtype(ml_dtypes.float8_e5m2)
float8_e4m3fnuz = np.dtype(ml_dtypes.float8_e4m3fnuz)
float8_e5m2fnuz = np.dtype(ml_dtypes.float8_e5m2fnuz)
float8_e4m3b11fnuz = np.dtype(ml_dtypes.float8_e4m3b11fnuz)

#: Dtype of derivatives with respect to integers and booleans: they carry no information.
float0 = np.dtype([("float0", np.void, 0)])

signed = (int8, int16, int32, int64)
unsigned = (uint8, uint16, uint32, uint64)
integers = signed + unsigned
float8s = (float8_e4m3fn, float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz, float8_e4m3b11fnuz)
floats = (float16, bfloat16, float32, float64)
complexes = (complex64, complex128)
inexacts = floats + complexes
numeric = integers + floats + complexes
real_numeric = integers + floats
everything = (bool_, *numeric)
storable = everything + float8s

_kinds: dict[np.dtype, str] = {
    bool_: "bool",
    **dict.fromkeys(signed, "signed"),
    **dict.fromkeys(unsigned, "unsigned"),
    **dict.fromkeys(floats + float8s, "float"),
    **dict.fromkeys(complexes, "complex"),
}

default_int, default_float, default_complex = int32, float32, complex64

# The lattice: each node's direct successors. "i*", "f*", "c*" are the weak Python scalar types.
_successors: dict[Any, tuple[Any, ...]] = {
    bool_: ("i*",),
    "i*": (uint8, int8),
    uint8: (int16, uint16),
    int8: (int16,),
    uint16: (int32, uint32),
    int16: (int32,),
    uint32: (int64, uint64),
    int32: (int64,),
    uint64: ("f*",),
    int64: ("f*",),
    "f*": ("c*", *float8s, bfloat16, float16),
    **dict.fromkeys(float8s, ()),
    bfloat16: (float32,),
    float16: (float32,),
    float32: (float64, complex64),
    float64: (complex128,),
    "c*": (complex64,),
    complex64: (complex128,),
    complex128: (),
}
_weak_defaults = {"i*": default_int, "f*": default_float, "c*": default_complex}


@functools.cache
def _upper_bounds(node: Any) -> frozenset[Any]:
    bounds = {node}
    for successor in _successors[node]:
        bounds |= _upper_bounds(successor)
    return frozenset(bounds)


def _node(dtype: np.dtype, weak_type: bool) -> Any:
    if not weak_type:
        return dtype
    kind = _kinds[dtype]
    return {"bool": bool_, "float": "f*", "complex": "c*"}.get(kind, "i*")


@functools.cache
def promote(a: np.dtype, a_weak: bool, b: np.dtype, b_weak: bool) -> tuple[np.dtype, bool]:
    """The dtype and weakness of an operation on operands of dtypes `a` and `b`.

    >>> promote(int32, False, float16, False)[0]
    dtype('float16')
    >>> promote(float32, True, bfloat16, False)[0]
    dtype(bfloat16)
    """
    for dtype in (a, b):
        if dtype not in _kinds:
            raise DtypeError(at_user_line(f"dtype {dtype} is not one that rtfunc computes with."))
    if a == b:
        return a, a_weak and b_weak
    common = _upper_bounds(_node(a, a_weak)) & _upper_bounds(_node(b, b_weak))
    least = [n for n in common if common <= _upper_bounds(n)]
    if not least:
        raise DtypeError(
            at_user_line(
                f"dtypes {a} and {b} have no implicit promotion. "
                "Convert one of them explicitly, for example with x.astype(...)."
            )
        )
    if isinstance(least[0], str):
        # Two weak operands of one kind keep the wider of their dtypes.
        kind = {"i*": ("signed", "unsigned"), "f*": ("float",), "c*": ("complex",)}[least[0]]
        wide = [d for d, weak in ((a, a_weak), (b, b_weak)) if weak and _kinds[d] in kind]
        default = _weak_defaults[least[0]]
        # The result is weak though one operand may be strong (an integer array and 2.5), as in JAX.
        return max([default, *wide], key=lambda d: d.itemsize), True
    return least[0], False


def kind(dtype: np.dtype) -> str:
    """One of "bool", "signed", "unsigned", "float", "complex", or "other"."""
    return _kinds.get(dtype, "other")


def is_inexact(dtype: np.dtype) -> bool:
    """Whether `dtype` is floating point or complex: the dtypes that derivatives flow through."""
    return _kinds.get(dtype, "") in ("float", "complex")


def is_float(dtype: np.dtype) -> bool:
    """Whether `dtype` is a real floating-point dtype."""
    return _kinds.get(dtype, "") == "float"


def is_integer(dtype: np.dtype) -> bool:
    """Whether `dtype` is a signed or unsigned integer dtype."""
    return _kinds.get(dtype, "") in ("signed", "unsigned")


def is_complex(dtype: np.dtype) -> bool:
    """Whether `dtype` is complex64 or complex128."""
    return _kinds.get(dtype, "") == "complex"


def to_inexact(dtype: np.dtype) -> np.dtype:
    """The dtype in which functions such as `sin` compute: itself, or the default float."""
    return dtype if is_inexact(dtype) else default_float


def real_of(dtype: np.dtype) -> np.dtype:
    """The dtype of the real part: float32 for complex64, float64 for complex128, else itself."""
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def complex_of(dtype: np.dtype) -> np.dtype:
    """The complex dtype whose parts hold `dtype`."""
    if is_complex(dtype):
        return dtype
    return complex128 if dtype == float64 else complex64


def compute_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which long sums of `dtype` are accumulated: float32 for 16- and 8-bit floats."""
    return float32 if is_float(dtype) and dtype.itemsize < 4 else dtype


_by_python_type = {bool: bool_, int: default_int, float: default_float, complex: default_complex}
_by_name = {str(d): d for d in storable} | {
    "bool_": bool_,
    "float": default_float,
    "int": default_int,
    "complex": default_complex,
}


def as_dtype(dtype: DtypeLike) -> np.dtype:
    """The `numpy.dtype` that `dtype` names: a dtype, a scalar type, a Python type or a string.

    Python's `int`, `float` and `complex` mean the defaults int32, float32 and complex64.

    >>> as_dtype(float), as_dtype("bfloat16"), as_dtype(np.float64)
    (dtype('float32'), dtype(bfloat16), dtype('float64'))
    """
    if isinstance(dtype, np.dtype):
        found = dtype
    elif isinstance(dtype, str) and dtype in _by_name:
        found = _by_name[dtype]
    elif isinstance(dtype, type) and dtype in _by_python_type:
        found = _by_python_type[dtype]
    else:
        try:
            # Scalar classes have an attribute `dtype` too, which is not theirs.
            found = np.dtype(dtype if isinstance(dtype, type) else getattr(dtype, "dtype", dtype))
        except TypeError:
            raise DtypeError(at_user_line(f"{dtype!r} is not a dtype.")) from None
    if not found.isnative:
        found = found.newbyteorder("=")
    if found not in _kinds and found != float0:
        raise DtypeError(
            at_user_line(
                f"dtype {found} is not supported. rtfunc has bool, (u)int8 to 64, float16, "
                "bfloat16, float32, float64, complex64, complex128, and float8 for storage."
            )
        )
    return found


def finfo(dtype: DtypeLike) -> Any:
    """Machine limits of a floating-point dtype, as `numpy.finfo` (bfloat16 and float8 included)."""
    dtype = real_of(as_dtype(dtype))
    if not is_float(dtype):
        raise ArgumentError(at_user_line(f"finfo takes a floating-point dtype, not {dtype}."))
    return np.finfo(dtype) if dtype in (float16, float32, float64) else ml_dtypes.finfo(dtype)


def iinfo(dtype: DtypeLike) -> Any:
    """Machine limits of an integer dtype, as `numpy.iinfo`."""
    dtype = as_dtype(dtype)
    if not is_integer(dtype):
        raise ArgumentError(at_user_line(f"iinfo takes an integer dtype, not {dtype}."))
    return np.iinfo(dtype)


def lowest(dtype: np.dtype) -> Any:
    """The identity of `max` in `dtype`: minus infinity, the smallest integer, or False."""
    if dtype == bool_:
        return np.zeros((), bool_)[()]
    if is_integer(dtype):
        return dtype.type(np.iinfo(dtype).min)
    return dtype.type(-np.inf)


def highest(dtype: np.dtype) -> Any:
    """The identity of `min` in `dtype`: infinity, the largest integer, or True."""
    if dtype == bool_:
        return np.ones((), bool_)[()]
    if is_integer(dtype):
        return dtype.type(np.iinfo(dtype).max)
    return dtype.type(np.inf)
