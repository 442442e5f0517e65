"""The methods of Array: the functions of `rtfunc.numpy` with the array as first argument.

`array.install_namespace` puts `rtfunc.numpy` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtfunc.core.array import Array

_numpy: Any = None  # the module rtfunc.numpy, once it is imported


class ArrayMethods:
    """Base of Array: NumPy's methods."""

    __slots__ = ()

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

    def argpartition(self, kth: int, axis: int | None = -1) -> Array:
        """Indices in the order of `rtfunc.numpy.partition`."""
        return _numpy.argpartition(self, kth, axis)

    def choose(self, choices: Any, mode: str = "raise", **options: Any) -> Array:
        """Elements of `choices` that this array numbers."""
        return _numpy.choose(self, choices, mode=mode, **options)

    def compress(self, condition: Any, axis: int | None = None, **options: Any) -> Array:
        """Slices along `axis` at which `condition` holds."""
        return _numpy.compress(condition, self, axis, **options)

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
