"""Array: an immutable buffer on a device.

An Array owns a NumPy or CuPy buffer and remembers whether its dtype is weak. Its operators and
methods (`array_operators`, `array_methods`) are the functions of `rtfunc.numpy`, which registers
itself here (`install_namespace`) because it stands above this layer. Tracers are Arrays too
(`trace.Tracer`), so everything here works on them unless it needs the values. Depends on `aval`,
`device`, `errors`.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from rtfunc.core import array_methods, array_operators
from rtfunc.core.aval import Aval
from rtfunc.core.device import Device, as_device, buffers_on, device_of, move_buffer
from rtfunc.core.errors import (
    DonatedArrayError,
    DtypeError,
    ImmutableArrayError,
    ShapeError,
    UnhashableError,
    at_user_line,
)

_numpy: Any = None  # the module rtfunc.numpy, once it is imported

#: Whether `x[i] = v` gives the Array new contents (`rtfunc.interoperation.item_assignment`).
allow_item_assignment: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "allow_item_assignment", default=False
)


def install_namespace(namespace: Any) -> None:
    """Tell Array which module's functions are its operators and methods."""
    global _numpy
    _numpy = array_operators._numpy = array_methods._numpy = namespace


class Array(array_operators.ArrayOperators, array_methods.ArrayMethods):
    """An n-dimensional array that never changes.

    Made by the functions of `rtfunc.numpy` and by transforms, not by calling this class.
    `np.asarray(x)` is a read-only view without a copy on the CPU, and NumPy arrays are accepted
    wherever an Array is. `x.at[i].set(v)` returns a changed copy.

    >>> import rtfunc.numpy as rnp
    >>> x = rnp.arange(4.0)
    >>> x.at[1].set(10.0)
    Array([ 0., 10.,  2.,  3.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_buffer", "_weak")
    __array_priority__ = 1000

    _buffer: Any
    _weak: bool

    def __init__(self, buffer: Any, weak_type: bool = False):
        self._buffer = buffer
        self._weak = weak_type

    # What the array is.

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._buffer.shape

    @property
    def dtype(self) -> np.dtype:
        """Data type of the elements."""
        return self._buffer.dtype

    @property
    def weak_type(self) -> bool:
        """Whether the dtype yields to the other operand's, as a Python scalar's does."""
        return self._weak

    @property
    def aval(self) -> Aval:
        """Shape, dtype and weakness."""
        return Aval(self._buffer.shape, self._buffer.dtype, self._weak)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def device(self) -> Device:
        """The device on which the buffer lies."""
        return device_of(self._buffer)

    def devices(self) -> set[Device]:
        """The set of devices that hold this array: one."""
        return {self.device}

    def to_device(self, device: Device | str, /, *, stream: Any = None) -> Array:
        """This array on `device` ("cpu", "gpu", "gpu:1" or a Device)."""
        return _numpy.asarray(self, device=device)

    def block_until_ready(self) -> Array:
        """Wait until the values are computed (GPU work is asynchronous); returns the array."""
        if not isinstance(self._buffer, np.ndarray):
            self._buffer.device.synchronize()
        return self

    # The values.

    def _concrete(self, use: str) -> np.ndarray:
        """The values as a NumPy array. Tracers raise an error that says what `use` was."""
        return move_buffer(self._buffer, device_of(np.empty(0)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self._concrete_array()
        if dtype is not None and np.dtype(dtype) != value.dtype:
            if copy is False:
                raise ShapeError(
                    f"Viewing {value.dtype} as {dtype} without a copy is not possible."
                )
            return value.astype(dtype)
        if copy:
            return value.copy()
        value = value.view()
        value.flags.writeable = False
        return value

    def _concrete_array(self) -> np.ndarray:
        buffer = self._buffer  # a tracer raises here, even where a value exists
        return buffer if isinstance(buffer, np.ndarray) else buffer.get()

    def __dlpack__(self, **options: Any) -> Any:
        buffer = self._buffer
        if isinstance(buffer, np.ndarray):
            if options.get("max_version") is None:
                buffer = buffer.copy()  # this protocol cannot say that the memory is read-only
            else:
                buffer = buffer.view()
                buffer.flags.writeable = False
            if buffer.dtype.kind not in "biufc":
                raise BufferError(
                    f"DLPack between NumPy's arrays does not know {buffer.dtype}; convert the Array "
                    "before, for example with x.astype('float32')."
                )
        return buffer.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self._buffer.__dlpack_device__()

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version is not None and api_version > "2024.12":
            raise DtypeError(f"rtfunc.numpy follows array API 2024.12, not {api_version}.")
        return _numpy

    def _scalar(self, use: str) -> Any:
        value = self._concrete(use)
        if value.ndim:
            raise DtypeError(
                at_user_line(
                    f"{use}() takes an array with one element and no axes, not {self.aval}."
                )
            )
        return value[()]

    def __bool__(self) -> bool:
        value = self._concrete("bool")
        if value.size != 1:
            raise ShapeError(
                at_user_line(
                    f"The truth value of an array of shape {self.shape} is ambiguous. "
                    "Use x.any() or x.all()."
                )
            )
        return bool(value.reshape(())[()])

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise DtypeError(at_user_line(f"Only integer arrays are indices, not {self.aval}."))
        return int(self._scalar("int"))

    def item(self, *index: int) -> bool | int | float | complex:
        """The one element (or the element at `index`) as a Python scalar."""
        return self._concrete("item").item(*index)

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars."""
        return self._concrete("tolist").tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """The bytes of all elements, row by row."""
        return self._concrete("tobytes").tobytes(order)

    def __len__(self) -> int:
        if not self.shape:
            raise DtypeError(at_user_line("len() of an array without axes."))
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        if not self.shape:
            raise DtypeError(at_user_line("Iteration over an array without axes."))
        return (self[i] for i in range(self.shape[0]))

    def __reversed__(self) -> Iterator[Array]:
        return (self[i] for i in reversed(range(len(self))))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __hash__(self) -> int:  # type: ignore[override]
        raise UnhashableError(
            at_user_line(
                f"Arrays are not hashable (this one is {self.aval}). As a dictionary key use "
                "x.item() or id(x); a static argument of jit must be a hashable Python value."
            )
        )

    def __repr__(self) -> str:
        value = self._concrete("repr")
        prefix = "Array("
        text = np.array2string(value, separator=", ", prefix=prefix, suffix=",")
        if value.size == 0:
            text = f"[], shape={value.shape}" if value.shape != (0,) else "[]"
        weak = ", weak_type=True" if self._weak else ""
        return f"{prefix}{text}, dtype={value.dtype.name}{weak})"

    def __str__(self) -> str:
        return str(self._concrete("str"))

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.ndim == 0 else str(self), spec)

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Array:
        return Array(self._buffer.copy(), self._weak)

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, (self._concrete_array(), self._weak)

    # Changing in place is refused.

    def __setitem__(self, index: Any, value: Any) -> None:
        shared = self.ndim == 0 and type(self) is Array and _is_read_only(self._buffer)
        if allow_item_assignment.get() and type(self) is Array and not shared:
            updated = self.at[index].set(_numpy.asarray(value))
            if type(updated) is Array:
                self._buffer = updated._buffer
                return
        raise ImmutableArrayError(
            at_user_line(
                "Arrays are immutable: x[i] = v is not possible. "
                "Write x = x.at[i].set(v), which returns a changed copy."
            )
        )

    def __delitem__(self, index: Any) -> None:
        raise ImmutableArrayError(
            at_user_line("Arrays are immutable: elements are not deleted. Use rtfunc.numpy.delete.")
        )

    @property
    def at(self) -> Any:
        """Functional update: `x.at[index].set/add/multiply/min/max/get...(value)`."""
        return _numpy.IndexUpdater(self)

    def __getitem__(self, index: Any) -> Array:
        return _numpy.index(self, index)


def _is_read_only(buffer: Any) -> bool:
    return isinstance(buffer, np.ndarray) and not buffer.flags.writeable


ArrayLike: TypeAlias = Array | np.ndarray | np.generic | bool | int | float | complex


def device_put_buffer(buffer: Any, device: Device | str | None) -> Any:
    """The buffer on `device`; on the device where it lies when `device` is None."""
    return buffer if device is None else move_buffer(buffer, as_device(device))


def placed_like(x: Any, like: Any) -> Any:
    """The Array `x` on the GPU that `like` lies on, if that is a concrete Array on one."""
    if type(like) is not Array or type(x) is not Array or isinstance(like._buffer, np.ndarray):
        return x
    if not isinstance(x._buffer, np.ndarray):
        return x
    (buffer,) = buffers_on(like.device, "device_put", [x._buffer], unasked=False)
    return Array(buffer, x._weak)


class DonatedBuffer:
    """Stands in the place of a buffer that was donated to a jitted call: any use raises."""

    def __init__(self, call: str, aval: Aval):
        object.__setattr__(self, "_message", (call, aval))

    def __getattr__(self, name: str) -> Any:
        call, aval = object.__getattribute__(self, "_message")
        raise DonatedArrayError(
            at_user_line(
                f"This Array of type {aval} was donated to {call}, which has reused its memory. "
                "Use the call's result instead, or do not donate this argument."
            )
        )
