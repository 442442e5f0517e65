"""Array: an immutable buffer on a device.

An Array owns a NumPy or CuPy buffer and remembers whether its dtype is weak. Its operators and
methods are the functions of `rtfunc.numpy`, which registers itself here (`install_namespace`)
because it stands above this layer. Tracers are Arrays too (`trace.Tracer`), so everything here
works on them unless it needs the values. Depends on `aval`, `device`, `errors`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from rtfunc.core.aval import Aval
from rtfunc.core.device import Device, as_device, device_of, move_buffer
from rtfunc.core.errors import (
    DonatedArrayError,
    DtypeError,
    ImmutableArrayError,
    ShapeError,
    UnhashableError,
    at_user_line,
)

_numpy: Any = None  # the module rtfunc.numpy, once it is imported


def install_namespace(namespace: Any) -> None:
    """Tell Array which module's functions are its operators and methods."""
    global _numpy
    _numpy = namespace


class Array:
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

    # Operators.

    def __neg__(self) -> Array:
        return _numpy.negative(self)

    def __pos__(self) -> Array:
        return _numpy.positive(self)

    def __abs__(self) -> Array:
        return _numpy.abs(self)

    def __invert__(self) -> Array:
        return _numpy.bitwise_not(self)

    def __round__(self, digits: int | None = None) -> Array:
        return _numpy.round(self, digits or 0)

    def __add__(self, other: Any) -> Array:
        return _numpy.add(self, other) if isinstance(other, array_like) else _refused("add", other)

    def __radd__(self, other: Any) -> Array:
        return _numpy.add(other, self) if isinstance(other, array_like) else _refused("add", other)

    def __sub__(self, other: Any) -> Array:
        return (
            _numpy.subtract(self, other)
            if isinstance(other, array_like)
            else _refused("subtract", other)
        )

    def __rsub__(self, other: Any) -> Array:
        return (
            _numpy.subtract(other, self)
            if isinstance(other, array_like)
            else _refused("subtract", other)
        )

    def __mul__(self, other: Any) -> Array:
        return (
            _numpy.multiply(self, other)
            if isinstance(other, array_like)
            else _refused("multiply", other)
        )

    def __rmul__(self, other: Any) -> Array:
        return (
            _numpy.multiply(other, self)
            if isinstance(other, array_like)
            else _refused("multiply", other)
        )

    def __truediv__(self, other: Any) -> Array:
        return (
            _numpy.true_divide(self, other)
            if isinstance(other, array_like)
            else _refused("true_divide", other)
        )

    def __rtruediv__(self, other: Any) -> Array:
        return (
            _numpy.true_divide(other, self)
            if isinstance(other, array_like)
            else _refused("true_divide", other)
        )

    def __floordiv__(self, other: Any) -> Array:
        return (
            _numpy.floor_divide(self, other)
            if isinstance(other, array_like)
            else _refused("floor_divide", other)
        )

    def __rfloordiv__(self, other: Any) -> Array:
        return (
            _numpy.floor_divide(other, self)
            if isinstance(other, array_like)
            else _refused("floor_divide", other)
        )

    def __mod__(self, other: Any) -> Array:
        return (
            _numpy.remainder(self, other)
            if isinstance(other, array_like)
            else _refused("remainder", other)
        )

    def __rmod__(self, other: Any) -> Array:
        return (
            _numpy.remainder(other, self)
            if isinstance(other, array_like)
            else _refused("remainder", other)
        )

    def __divmod__(self, other: Any) -> tuple[Array, Array]:
        return (
            _numpy.divmod(self, other)
            if isinstance(other, array_like)
            else _refused("divmod", other)
        )

    def __rdivmod__(self, other: Any) -> tuple[Array, Array]:
        return (
            _numpy.divmod(other, self)
            if isinstance(other, array_like)
            else _refused("divmod", other)
        )

    def __pow__(self, other: Any) -> Array:
        return (
            _numpy.power(self, other) if isinstance(other, array_like) else _refused("power", other)
        )

    def __rpow__(self, other: Any) -> Array:
        return (
            _numpy.power(other, self) if isinstance(other, array_like) else _refused("power", other)
        )

    def __matmul__(self, other: Any) -> Array:
        return (
            _numpy.matmul(self, other)
            if isinstance(other, array_like)
            else _refused("matmul", other)
        )

    def __rmatmul__(self, other: Any) -> Array:
        return (
            _numpy.matmul(other, self)
            if isinstance(other, array_like)
            else _refused("matmul", other)
        )

    def __and__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_and(self, other)
            if isinstance(other, array_like)
            else _refused("bitwise_and", other)
        )

    def __rand__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_and(other, self)
            if isinstance(other, array_like)
            else _refused("bitwise_and", other)
        )

    def __or__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_or(self, other)
            if isinstance(other, array_like)
            else _refused("bitwise_or", other)
        )

    def __ror__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_or(other, self)
            if isinstance(other, array_like)
            else _refused("bitwise_or", other)
        )

    def __xor__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_xor(self, other)
            if isinstance(other, array_like)
            else _refused("bitwise_xor", other)
        )

    def __rxor__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_xor(other, self)
            if isinstance(other, array_like)
            else _refused("bitwise_xor", other)
        )

    def __lshift__(self, other: Any) -> Array:
        return (
            _numpy.left_shift(self, other)
            if isinstance(other, array_like)
            else _refused("left_shift", other)
        )

    def __rlshift__(self, other: Any) -> Array:
        return (
            _numpy.left_shift(other, self)
            if isinstance(other, array_like)
            else _refused("left_shift", other)
        )

    def __rshift__(self, other: Any) -> Array:
        return (
            _numpy.right_shift(self, other)
            if isinstance(other, array_like)
            else _refused("right_shift", other)
        )

    def __rrshift__(self, other: Any) -> Array:
        return (
            _numpy.right_shift(other, self)
            if isinstance(other, array_like)
            else _refused("right_shift", other)
        )

    def __eq__(self, other: Any) -> Array:  # type: ignore[override]
        return (
            _numpy.equal(self, other) if isinstance(other, array_like) else _refused("equal", other)
        )

    def __ne__(self, other: Any) -> Array:  # type: ignore[override]
        return (
            _numpy.not_equal(self, other)
            if isinstance(other, array_like)
            else _refused("not_equal", other)
        )

    def __lt__(self, other: Any) -> Array:
        return (
            _numpy.less(self, other) if isinstance(other, array_like) else _refused("less", other)
        )

    def __le__(self, other: Any) -> Array:
        return (
            _numpy.less_equal(self, other)
            if isinstance(other, array_like)
            else _refused("less_equal", other)
        )

    def __gt__(self, other: Any) -> Array:
        return (
            _numpy.greater(self, other)
            if isinstance(other, array_like)
            else _refused("greater", other)
        )

    def __ge__(self, other: Any) -> Array:
        return (
            _numpy.greater_equal(self, other)
            if isinstance(other, array_like)
            else _refused("greater_equal", other)
        )

    # Methods: the functions of rtfunc.numpy with this array as first argument.

    @property
    def T(self) -> Array:
        """The axes in reverse order."""
        return _numpy.transpose(self)

    @property
    def mT(self) -> Array:
        """The last two axes exchanged."""
        return _numpy.matrix_transpose(self)

    @property
    def real(self) -> Array:
        """Real part."""
        return _numpy.real(self)

    @property
    def imag(self) -> Array:
        """Imaginary part."""
        return _numpy.imag(self)

    @property
    def flat(self) -> Array:
        """All elements in row-major order, as a one-dimensional Array."""
        return _numpy.ravel(self)

    def astype(self, dtype: Any, copy: bool = False) -> Array:
        """Convert to `dtype`; as `rtfunc.numpy.astype`."""
        return _numpy.astype(self, dtype)

    def view(self, dtype: Any) -> Array:
        """The same bits as `dtype`."""
        return _numpy.view(self, dtype)

    def copy(self) -> Array:
        """A copy in memory of its own."""
        return _numpy.array(self, copy=True)

    def conj(self) -> Array:
        """Complex conjugate."""
        return _numpy.conj(self)

    conjugate = conj

    def sum(
        self, axis: Any = None, dtype: Any = None, keepdims: bool = False, **options: Any
    ) -> Array:
        """Sum over `axis`; as `rtfunc.numpy.sum`."""
        return _numpy.sum(self, axis=axis, dtype=dtype, keepdims=keepdims, **options)

    def prod(
        self, axis: Any = None, dtype: Any = None, keepdims: bool = False, **options: Any
    ) -> Array:
        """Product over `axis`; as `rtfunc.numpy.prod`."""
        return _numpy.prod(self, axis=axis, dtype=dtype, keepdims=keepdims, **options)

    def mean(
        self, axis: Any = None, dtype: Any = None, keepdims: bool = False, **options: Any
    ) -> Array:
        """Mean over `axis`; as `rtfunc.numpy.mean`."""
        return _numpy.mean(self, axis=axis, dtype=dtype, keepdims=keepdims, **options)

    def var(
        self,
        axis: Any = None,
        dtype: Any = None,
        ddof: int = 0,
        keepdims: bool = False,
        **options: Any,
    ) -> Array:
        """Variance over `axis`; as `rtfunc.numpy.var`."""
        return _numpy.var(self, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, **options)

    def std(
        self,
        axis: Any = None,
        dtype: Any = None,
        ddof: int = 0,
        keepdims: bool = False,
        **options: Any,
    ) -> Array:
        """Standard deviation over `axis`; as `rtfunc.numpy.std`."""
        return _numpy.std(self, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, **options)

    def max(self, axis: Any = None, keepdims: bool = False, **options: Any) -> Array:
        """Maximum over `axis`; as `rtfunc.numpy.max`."""
        return _numpy.max(self, axis=axis, keepdims=keepdims, **options)

    def min(self, axis: Any = None, keepdims: bool = False, **options: Any) -> Array:
        """Minimum over `axis`; as `rtfunc.numpy.min`."""
        return _numpy.min(self, axis=axis, keepdims=keepdims, **options)

    def ptp(self, axis: Any = None, keepdims: bool = False, **options: Any) -> Array:
        """Maximum minus minimum over `axis`; as `rtfunc.numpy.ptp`."""
        return _numpy.ptp(self, axis=axis, keepdims=keepdims, **options)

    def all(self, axis: Any = None, keepdims: bool = False, **options: Any) -> Array:
        """Whether all elements over `axis` are true."""
        return _numpy.all(self, axis=axis, keepdims=keepdims, **options)

    def any(self, axis: Any = None, keepdims: bool = False, **options: Any) -> Array:
        """Whether any element over `axis` is true."""
        return _numpy.any(self, axis=axis, keepdims=keepdims, **options)

    def argmax(self, axis: int | None = None, keepdims: bool = False, **options: Any) -> Array:
        """Index of the maximum along `axis`."""
        return _numpy.argmax(self, axis=axis, keepdims=keepdims, **options)

    def argmin(self, axis: int | None = None, keepdims: bool = False, **options: Any) -> Array:
        """Index of the minimum along `axis`."""
        return _numpy.argmin(self, axis=axis, keepdims=keepdims, **options)

    def cumsum(self, axis: int | None = None, dtype: Any = None, **options: Any) -> Array:
        """Cumulative sum along `axis`."""
        return _numpy.cumsum(self, axis=axis, dtype=dtype, **options)

    def cumprod(self, axis: int | None = None, dtype: Any = None, **options: Any) -> Array:
        """Cumulative product along `axis`."""
        return _numpy.cumprod(self, axis=axis, dtype=dtype, **options)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Array:
        """The same elements at another shape; one size may be -1."""
        sizes = shape[0] if len(shape) == 1 else shape
        return _numpy.reshape(self, sizes, order=order, copy=copy)

    def ravel(self, order: str = "C") -> Array:
        """The elements on one axis."""
        return _numpy.ravel(self, order)

    def flatten(self, order: str = "C") -> Array:
        """The elements on one axis."""
        return _numpy.ravel(self, order)

    def squeeze(self, axis: Any = None) -> Array:
        """Without the axes of size 1."""
        return _numpy.squeeze(self, axis=axis)

    def transpose(self, *axes: Any) -> Array:
        """The axes in the given order, reversed by default."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return _numpy.transpose(self, order or None)

    def swapaxes(self, axis1: int, axis2: int) -> Array:
        """Two axes exchanged."""
        return _numpy.swapaxes(self, axis1, axis2)

    def repeat(self, repeats: Any, axis: int | None = None, **options: Any) -> Array:
        """Elements repeated along `axis`."""
        return _numpy.repeat(self, repeats, axis=axis, **options)

    def take(self, indices: Any, axis: int | None = None, **options: Any) -> Array:
        """Elements at `indices` along `axis`."""
        return _numpy.take(self, indices, axis=axis, **options)

    def dot(self, other: Any) -> Array:
        """Dot product; as `rtfunc.numpy.dot`."""
        return _numpy.dot(self, other)

    def clip(self, min: Any = None, max: Any = None, **options: Any) -> Array:
        """Values limited to the interval from `min` to `max`."""
        return _numpy.clip(self, min, max, **options)

    def round(self, decimals: int = 0, **options: Any) -> Array:
        """Values rounded to `decimals` places, halves to even."""
        return _numpy.round(self, decimals, **options)

    def sort(self, axis: int | None = -1, **options: Any) -> Array:
        """Sorted copy along `axis`."""
        return _numpy.sort(self, axis=axis, **options)

    def argsort(self, axis: int | None = -1, **options: Any) -> Array:
        """Indices that sort along `axis`."""
        return _numpy.argsort(self, axis=axis, **options)

    def nonzero(self, **options: Any) -> tuple[Array, ...]:
        """Indices of the elements that are not zero."""
        return _numpy.nonzero(self, **options)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
        """A diagonal; as `rtfunc.numpy.diagonal`."""
        return _numpy.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
        """Sum of a diagonal; as `rtfunc.numpy.trace`."""
        return _numpy.trace(self, offset, axis1, axis2)

    def searchsorted(self, values: Any, side: str = "left", **options: Any) -> Array:
        """Positions at which `values` keep this sorted array sorted."""
        return _numpy.searchsorted(self, values, side=side, **options)


def _refused(operation: str, other: Any) -> Any:
    """What an operator makes of an operand that is not an array.

    Python's containers raise: `x + [1, 2]` would otherwise fail without a hint, and `x == [1, 2]` be
    False. Types that may know about Arrays get their turn, and comparing with None or a string is
    False.
    """
    sequence = isinstance(other, (list, tuple))
    comparing = operation in ("equal", "not_equal")
    if sequence or (isinstance(other, (str, bytes, dict, set, type(None))) and not comparing):
        advice = " Convert it with rtfunc.numpy.asarray(...)." if sequence else ""
        raise DtypeError(
            at_user_line(
                f"{operation} takes arrays and numbers, but the other operand is of type "
                f"{type(other).__name__}.{advice}"
            )
        )
    return NotImplemented


#: Types that operators accept beside an Array. Lists are refused: their cost and dtype surprise.
array_like = (Array, np.ndarray, np.generic, int, float, complex)

ArrayLike: TypeAlias = Array | np.ndarray | np.generic | bool | int | float | complex


def device_put_buffer(buffer: Any, device: Device | str | None) -> Any:
    """The buffer on `device`; on the device where it lies when `device` is None."""
    return buffer if device is None else move_buffer(buffer, as_device(device))


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
