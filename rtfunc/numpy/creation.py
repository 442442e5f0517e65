"""Making arrays: from data, filled, counted, identity and triangular matrices, grids.

New arrays are int32, float32 or complex64 unless a dtype is given or 64-bit data comes in. Data
that belongs to someone else and may still be changed is copied. Depends on `ops`.
"""

from __future__ import annotations

import array as python_array
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike, device_put_buffer, placed_like
from rtfunc.core.aval import as_shape
from rtfunc.core.device import Device, import_cupy
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.trace import Tracer, context
from rtfunc.ops.convert import as_array, convert, owned_array, promote
from rtfunc.ops.pad_slice import concatenate
from rtfunc.ops.shape import broadcast_in_dim, expand_dims

Shape = int | Sequence[int]

_default_of_kind = {
    "b": dtypes.bool_,
    "i": dtypes.default_int,
    "f": dtypes.default_float,
    "c": dtypes.default_complex,
}
_python_scalars = (bool, int, float, complex)


# From data


def asarray(
    x: Any,
    dtype: DtypeLike = None,
    *,
    order: str | None = None,
    copy: bool | None = None,
    device: Device | str | None = None,
) -> Array:
    """`x` as an Array: numbers, nested sequences, NumPy and CuPy arrays, DLPack objects, Arrays.

    Python numbers become int32, float32 or complex64 (int64 where an int does not fit), and a
    bare number is weakly typed; NumPy arrays keep their dtype. Sequences may hold Arrays and traced
    values, which are stacked.

    Arguments:
      dtype: converted to it where given.
      order: memory order is not part of an Array; "C", "K", "A" and None are accepted.
      copy: True copies always; False raises `ArgumentError` where a copy would be needed; with
        None a NumPy array is copied if it is writeable.
      device: "cpu", "gpu", "gpu:1" or a Device; by default where the data is.

    Raises `DtypeError` for strings, objects, None, sets and dicts, and `ShapeError` for nested
    sequences of unequal lengths.

    >>> asarray([[1, 2], [3, 4]])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    if order not in (None, "C", "K", "A"):
        raise ArgumentError(
            at_user_line(f"asarray: Arrays have no memory order to choose, but order is {order!r}.")
        )
    wanted = None if dtype is None else as_dtype(dtype)
    result = _from_data(x, wanted, copy)
    if wanted is not None and (result.dtype != wanted or result.weak_type):
        if copy is False and result.dtype != wanted:
            raise ArgumentError(
                at_user_line(
                    f"asarray: {result.dtype} as {wanted} needs a copy, but copy is False."
                )
            )
        result = convert(result, wanted)
    if device is not None and not isinstance(result, Tracer):
        result = Array(device_put_buffer(result._buffer, device), result.weak_type)
    return result


def promote_data(operation: str, *values: Any, dtype: np.dtype | None = None) -> list[Array]:
    """Numbers, arrays and lists as Arrays of `dtype`, or of their common dtype.

    Python numbers are rounded once, also those in lists: beside float64, 0.1 is the double. Arrays
    are not copied.

    >>> promote_data("f", [0.1], np.array([2.0]))[0]
    Array([0.1], dtype=float64)
    """
    listed = [isinstance(v, (list, tuple)) for v in values]
    given = [asarray(v) if is_list else v for v, is_list in zip(values, listed)]
    if dtype is None:
        found = promote(operation, *given)
    else:
        found = [as_array(operation, v, dtype) for v in given]
    if not any(listed):
        return found
    return [
        asarray(value, after.dtype) if is_list and after.dtype != before.dtype else after
        for value, is_list, before, after in zip(values, listed, given, found)
    ]


def promote_elements(operation: str, values: Any, dtype: np.dtype | None = None) -> list[Array]:
    """As `promote_data`, for all that `asarray` takes, with memory of its own for each."""
    if dtype is None and set(map(type, values)) == {Array}:  # the most frequent case
        return promote(operation, *values)
    known = (Array, float, complex, list, tuple)
    return promote_data(
        operation, *(v if isinstance(v, known) else asarray(v) for v in values), dtype=dtype
    )


def array(
    x: Any,
    dtype: DtypeLike = None,
    copy: bool = True,
    order: str | None = None,
    ndmin: int = 0,
    *,
    device: Device | str | None = None,
) -> Array:
    """As `asarray`, copying by default; axes of size 1 are put in front up to `ndmin` axes.

    >>> array([1.0, 2.0], ndmin=2)
    Array([[1., 2.]], dtype=float32)
    """
    result = asarray(x, dtype, order=order, copy=copy or None, device=device)
    missing = ndmin - result.ndim
    return expand_dims(result, range(missing)) if missing > 0 else result


ascontiguousarray = asarray


def copy(x: Any, order: str | None = None) -> Array:
    """A copy in memory of its own.

    >>> copy(np.array([1, 2], "int32"))
    Array([1, 2], dtype=int32)
    """
    return asarray(x, order=order, copy=True)


def _from_data(x: Any, dtype: np.dtype | None, copy: bool | None) -> Array:
    if isinstance(x, Array):
        if copy and not isinstance(x, Tracer):
            return Array(x._buffer.copy(), x.weak_type)
        return x
    if isinstance(x, (list, tuple, range)):
        return _from_sequence(list(x) if isinstance(x, range) else x, dtype)
    if isinstance(x, _python_scalars):
        return _from_python([x], x, dtype) if dtype is not None else as_array("asarray", x)
    if isinstance(x, (np.ndarray, np.generic)):
        return _from_numpy(x, copy)
    if type(x).__module__.startswith("cupy"):
        return Array(x.copy() if copy is not False else x)
    if hasattr(x, "__dlpack_device__") and int(x.__dlpack_device__()[0]) != _DLPACK_CPU:
        return from_dlpack(x, copy=copy)
    if hasattr(x, "__array__"):
        return _from_numpy(np.asarray(x), True if copy is None else copy)
    if hasattr(x, "__dlpack__"):
        return from_dlpack(x, copy=copy)
    if isinstance(x, (memoryview, bytearray, python_array.array)):
        return _from_numpy(np.asarray(x), copy)
    raise DtypeError(
        at_user_line(
            f"An object of type {type(x).__name__} does not become an array. Pass numbers, nested "
            "lists of numbers, or an array (NumPy, CuPy, DLPack)."
        )
    )


def _from_numpy(x: Any, copy: bool | None) -> Array:
    buffer = np.asarray(x)
    native = _numeric_dtype(buffer.dtype)
    if native != buffer.dtype:  # the other byte order
        return Array(buffer.astype(native))
    if copy is False:
        if isinstance(x, np.ndarray) and x.flags.writeable:
            raise ArgumentError(
                at_user_line(
                    "asarray: a writeable NumPy array has to be copied, because Arrays never "
                    "change, but copy is False. Make it read-only first: "
                    "x.flags.writeable = False."
                )
            )
        return Array(buffer)
    return Array(buffer.copy() if copy or buffer.flags.writeable else buffer)


def _numeric_dtype(dtype: np.dtype) -> np.dtype:
    if dtype.kind in "OSUMm":
        what = {"O": "objects", "M": "dates", "m": "times"}.get(dtype.kind, "strings")
        raise DtypeError(
            at_user_line(f"Arrays hold numbers and booleans, not {what} (dtype {dtype}).")
        )
    return as_dtype(dtype)


def _from_sequence(x: Any, dtype: np.dtype | None) -> Array:
    kinds: set[type] = set()
    _leaf_types(x, kinds)
    if all(issubclass(kind, _python_scalars) and kind.__module__ == "builtins" for kind in kinds):
        return _from_python(x, x, dtype)
    if any(issubclass(kind, (str, bytes, dict, set, frozenset)) for kind in kinds) or (
        type(None) in kinds
    ):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DtypeError(
            at_user_line(f"Arrays hold numbers and booleans, but the list holds {names}.")
        )
    elements = promote_elements("asarray", x, dtype)
    shapes = {element.shape for element in elements}
    if len(shapes) > 1:
        raise _ragged(sorted(shapes))
    if context.trace is None and all(type(e._buffer) is np.ndarray for e in elements):
        return Array(np.stack([e._buffer for e in elements]))
    strong = [expand_dims(convert(element, element.dtype), (0,)) for element in elements]
    return concatenate(strong, 0)


def _leaf_types(x: Any, found: set[type]) -> None:
    """Collect the types of the leaves of nested sequences."""
    kinds = set(map(type, x))
    for kind in kinds:
        if issubclass(kind, (list, tuple, range)):
            for element in x:
                if type(element) is kind:
                    _leaf_types(element, found)
        else:
            found.add(kind)


def _from_python(values: Any, original: Any, dtype: np.dtype | None) -> Array:
    """Python numbers, in nested lists, as the default dtype of their kind or as `dtype`."""
    try:
        found = np.array(values)
    except ValueError:
        raise _ragged() from None
    except OverflowError:
        raise DtypeError(at_user_line("An integer in the list does not fit in 64 bits.")) from None
    if found.dtype.kind == "O" or (found.dtype.kind == "f" and _all_integers(values)):
        raise DtypeError(
            at_user_line("The integers in the list fit neither in int64 nor in uint64.")
        )
    if not isinstance(original, (list, tuple)):
        found = found[0]
    if dtype is None:
        dtype = _default_of_kind.get(found.dtype.kind, found.dtype)  # uint64 stays
        if dtype == dtypes.int32 and found.size:
            limits = dtypes.iinfo(dtype)
            if found.min() < limits.min or found.max() > limits.max:
                dtype = found.dtype
        return Array(np.asarray(found).astype(dtype))
    if dtypes.is_integer(dtype) and found.dtype.kind in "iu" and found.size:
        limits = dtypes.iinfo(dtype)
        if int(found.min()) < limits.min or int(found.max()) > limits.max:
            raise DtypeError(
                at_user_line(
                    f"asarray: the integers {found.min()} to {found.max()} do not fit in {dtype}."
                )
            )
    return convert(Array(np.asarray(found)), dtype)


def _all_integers(values: Any) -> bool:
    kinds: set[type] = set()
    _leaf_types(values, kinds)
    return bool(kinds) and kinds <= {int, bool}


def _ragged(shapes: Sequence[tuple[int, ...]] = ()) -> ShapeError:
    found = f": {', '.join(map(str, shapes))}" if shapes else ""
    return ShapeError(
        at_user_line(
            f"The elements of the list have different shapes{found}. "
            "Make them equal, or pad the shorter ones."
        )
    )


_DLPACK_CPU = 1


def from_dlpack(
    x: Any, /, *, device: Device | str | None = None, copy: bool | None = None
) -> Array:
    """An Array from any object with `__dlpack__` (PyTorch, CuPy, JAX, NumPy ...).

    The data is copied, since its owner may change it, unless it is read-only or `copy` is False:
    then memory is shared, and the owner must not write to it any more.

    >>> from_dlpack(np.array([1.0, 2.0]))
    Array([1., 2.], dtype=float64)
    """
    if isinstance(x, Array):
        return asarray(x, copy=copy, device=device)
    if not hasattr(x, "__dlpack__"):
        raise DtypeError(
            at_user_line(f"from_dlpack takes objects with __dlpack__, not {type(x).__name__}.")
        )
    if int(x.__dlpack_device__()[0]) == _DLPACK_CPU:
        try:
            buffer = np.from_dlpack(x)
        except (RuntimeError, BufferError) as error:
            raise DtypeError(
                at_user_line(
                    f"from_dlpack: NumPy does not take this {type(x).__name__} "
                    f"(dtype {getattr(x, 'dtype', 'unknown')}): {error} Dtypes that NumPy lacks, "
                    "such as bfloat16, are converted before: to float32, for example."
                )
            ) from None
    else:
        buffer = import_cupy().from_dlpack(x)
    if copy or (copy is None and getattr(buffer.flags, "writeable", True)):
        buffer = buffer.copy()
    elif isinstance(buffer, np.ndarray):
        buffer = buffer.view()
        buffer.flags.writeable = False
    _numeric_dtype(np.dtype(buffer.dtype))
    return Array(device_put_buffer(buffer, device))


def frombuffer(buffer: Any, dtype: DtypeLike = float, count: int = -1, offset: int = 0) -> Array:
    """A 1-d Array of the bytes of `buffer` (bytes, memoryview ...) read as `dtype`.

    >>> frombuffer(bytes([1, 0, 2, 0]), "int16")
    Array([1, 2], dtype=int16)
    """
    found = np.frombuffer(buffer, as_dtype(dtype), count, offset)
    return Array(found.copy() if found.flags.writeable else found)


# Filled


def _filled(shape: Any, value: ArrayLike, dtype: DtypeLike, device: Any) -> Array:
    value = owned_array("full", value, None if dtype is None else as_dtype(dtype))
    result = value
    sizes = as_shape(shape)
    if value.shape != sizes:
        first = len(sizes) - value.ndim
        if first < 0:
            raise ShapeError(
                at_user_line(
                    f"full: a value of shape {value.shape} does not fill the shape {sizes}."
                )
            )
        result = broadcast_in_dim(value, sizes, range(first, len(sizes)))
    return result if device is None else asarray(result, device=device)


def _constant(make: Any, shape: Any, value: bool, dtype: DtypeLike, device: Any) -> Array:
    wanted = dtypes.default_float if dtype is None else as_dtype(dtype)
    if context.trace is not None or device is not None:
        return _filled(shape, value, wanted, device)
    return Array(make(as_shape(shape), wanted))


def zeros(shape: Shape, dtype: DtypeLike = float, *, device: Device | str | None = None) -> Array:
    """An Array of zeros, float32 by default.

    >>> zeros((2, 2))
    Array([[0., 0.],
           [0., 0.]], dtype=float32)
    """
    return _constant(np.zeros, shape, False, dtype, device)


def ones(shape: Shape, dtype: DtypeLike = float, *, device: Device | str | None = None) -> Array:
    """An Array of ones, float32 by default.

    >>> ones(2, dtype=int)
    Array([1, 1], dtype=int32)
    """
    return _constant(np.ones, shape, True, dtype, device)


empty = zeros


def full(
    shape: Shape,
    fill_value: ArrayLike,
    dtype: DtypeLike = None,
    *,
    device: Device | str | None = None,
) -> Array:
    """An Array filled with `fill_value`, which may be an array that broadcasts to `shape`.

    >>> full((2,), 7, dtype="int8")
    Array([7, 7], dtype=int8)
    """
    return _filled(shape, fill_value, dtype, device)


def _like(x: Any, value: Any, dtype: DtypeLike, shape: Any, device: Any) -> Array:
    x = x if isinstance(x, Array) else asarray(x)
    if dtype is None:
        value = owned_array("full_like", value, x.dtype, x.weak_type)
    else:
        value = owned_array("full_like", value, as_dtype(dtype))
    if device is None:
        value = placed_like(value, x)
    return _filled(x.shape if shape is None else shape, value, dtype, device)


def zeros_like(
    x: Any,
    dtype: DtypeLike = None,
    shape: Shape | None = None,
    *,
    device: Device | str | None = None,
) -> Array:
    """Zeros with the shape and dtype of `x`, unless others are given.

    >>> zeros_like(np.ones(2, "int16"))
    Array([0, 0], dtype=int16)
    """
    return _like(x, False, dtype, shape, device)


def ones_like(
    x: Any,
    dtype: DtypeLike = None,
    shape: Shape | None = None,
    *,
    device: Device | str | None = None,
) -> Array:
    """Ones with the shape and dtype of `x`, unless others are given.

    >>> ones_like(np.zeros(2, "int16"))
    Array([1, 1], dtype=int16)
    """
    return _like(x, True, dtype, shape, device)


empty_like = zeros_like


def full_like(
    x: Any,
    fill_value: ArrayLike,
    dtype: DtypeLike = None,
    shape: Shape | None = None,
    *,
    device: Device | str | None = None,
) -> Array:
    """An Array with the shape and dtype of `x`, filled with `fill_value`.

    >>> full_like(np.zeros(2, "int16"), 3)
    Array([3, 3], dtype=int16)
    """
    return _like(x, fill_value, dtype, shape, device)
