"""Discrete Fourier transforms, under the names of `numpy.fft` and of the array API standard.

Forward transforms have exp(-2 pi i j k / n), inverse ones exp(+2 pi i j k / n). `norm` says which of
the two is divided by n: "backward" (the inverse one, the default), "forward", or "ortho" (each by the
square root of n). Single precision stays single; integers, booleans and half floats become float32.
Against a DFT in 40 digits, the root-mean-square error of the result relative to its root-mean-square
is below 1.2 eps log2(n) (eps = 6e-8 in single, 1.1e-16 in double precision) at all lengths tested, 2
to 4096, powers of two or primes.

Everything can be traced, batched and differentiated. Depends on `ops.fft`.

>>> import rtfunc.numpy as rnp
>>> rnp.fft.rfft(rnp.array([1.0, 0.0, -1.0, 0.0]))
Array([0.+0.j, 2.+0.j, 0.+0.j], dtype=complex64)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.batching import move_axis
from rtfunc.core.device import Device
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.numpy.arguments import as_integer, as_sequence
from rtfunc.numpy.creation import asarray
from rtfunc.numpy.shape import roll
from rtfunc.ops.arithmetic import div, mul
from rtfunc.ops.complex import conj
from rtfunc.ops.convert import as_array, convert, owned_array, scalar
from rtfunc.ops.fft import fft_p, transformable
from rtfunc.ops.pad_slice import pad, slice_in_dim
from rtfunc.ops.shape import normalize_axes, normalize_axis, transpose

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

Sizes = Sequence[int] | None
Axes = Sequence[int] | None


# One axis


def fft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The Fourier transform along `axis`: out[k] = sum_j x[j] exp(-2 pi i j k / n).

    Arguments:
      n: the number of points; `x` is cropped at its end, or filled up with zeros, to this size. By
        default the size of the axis.
      norm: "backward" (no factor), "ortho" (1 / sqrt(n)) or "forward" (1 / n).

    Returns complex numbers of the precision of `x`. Raises `ArgumentError` for another `norm` or
    n < 1, and `AxisError` for an axis that `x` does not have.

    >>> fft(np.array([1, 2, 3, 4], "float32"))
    Array([10.+0.j, -2.+2.j, -2.+0.j, -2.-2.j], dtype=complex64)
    """
    return _along("fft", "fft", x, n, axis, norm)


def ifft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `fft`: out[j] = sum_k x[k] exp(2 pi i j k / n) / n.

    Arguments and errors as in `fft`; `norm` "backward" divides by n, "forward" by nothing.

    >>> ifft(np.array([10, -2 + 2j, -2, -2 - 2j], "complex64"))
    Array([1.+0.j, 2.+0.j, 3.+0.j, 4.+0.j], dtype=complex64)
    """
    return _along("ifft", "ifft", x, n, axis, norm)


def rfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The first n // 2 + 1 outputs of `fft` of a real `x`; the others are their conjugates.

    Arguments and errors as in `fft`, and `DtypeError` for complex `x`.

    >>> rfft(np.array([1, 2, 3, 4], "float32"))
    Array([10.+0.j, -2.+2.j, -2.+0.j], dtype=complex64)
    """
    return _along("rfft", "rfft", x, n, axis, norm)


def irfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `rfft`: the real array of `n` points whose transform begins with `x`.

    Arguments:
      n: size of the result along `axis`, by default 2 (m - 1) for m elements of `x`: give it where
        it is odd. `x` is cropped, or filled up with zeros, to n // 2 + 1 elements.
      norm: as in `ifft`.

    Imaginary parts of x[0], and for even n of x[n // 2], are ignored. Errors as in `fft`.

    >>> irfft(np.array([10, -2 + 2j, -2], "complex64"))
    Array([1., 2., 3., 4.], dtype=float32)
    """
    return _along("irfft", "irfft", x, n, axis, norm)


def hfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The real transform of `n` points (2 (m - 1) by default) of a Hermitian signal.

    `x` has its first n // 2 + 1 elements; the others are their conjugates. Errors as in `fft`.

    >>> hfft(np.array([1, 2, 3], "complex64"))
    Array([ 8., -2.,  0., -2.], dtype=float32)
    """
    return _along("hfft", "irfft", _conjugate("hfft", x), n, axis, _opposite("hfft", norm))


def ihfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `hfft`: the first n // 2 + 1 elements of the signal whose transform is `x`.

    Raises `DtypeError` for complex `x`; other errors as in `fft`.

    >>> ihfft(np.array([8, -2, 0, -2], "float32"))
    Array([1.-0.j, 2.-0.j, 3.-0.j], dtype=complex64)
    """
    return conj(_along("ihfft", "rfft", x, n, axis, _opposite("ihfft", norm)))


# Several axes


def fftn(x: ArrayLike, s: Sizes = None, axes: Axes = None, norm: str | None = None) -> Array:
    """The Fourier transform along several axes.

    Arguments:
      s: the number of points of each axis, -1 meaning its own size; `x` is cropped, or filled up
        with zeros, at the ends.
      axes: by default the last len(s), or all.
      norm: as in `fft`, n being the number of all points.

    Raises `ShapeError` when `s` and `axes` differ in length, `AxisError` for an axis out of range or
    given twice, and `ArgumentError` for another `norm` or a number of points below 1.

    >>> fftn(np.ones((2, 2), "float32"))
    Array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _several("fftn", "fft", x, s, axes, norm)


def ifftn(x: ArrayLike, s: Sizes = None, axes: Axes = None, norm: str | None = None) -> Array:
    """The inverse of `fftn`, with its arguments.

    >>> ifftn(np.array([[4, 0], [0, 0]], "complex64"))
    Array([[1.+0.j, 1.+0.j],
           [1.+0.j, 1.+0.j]], dtype=complex64)
    """
    return _several("ifftn", "ifft", x, s, axes, norm)


def rfftn(x: ArrayLike, s: Sizes = None, axes: Axes = None, norm: str | None = None) -> Array:
    """`fftn` of a real `x`: `rfft` along the last of the axes, `fft` along the others.

    Arguments and errors as in `fftn`, and `DtypeError` for complex `x`.

    >>> rfftn(np.ones((2, 2), "float32"))
    Array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _several("rfftn", "rfft", x, s, axes, norm)


def irfftn(x: ArrayLike, s: Sizes = None, axes: Axes = None, norm: str | None = None) -> Array:
    """The inverse of `rfftn`: `ifft` along all of the axes but the last, `irfft` along that.

    Arguments and errors as in `fftn`; the last number of points is by default, and where `s` has
    -1, 2 (m - 1) for m elements along the axis (NumPy reads that -1 as m).

    >>> irfftn(np.array([[4, 0], [0, 0]], "complex64"))
    Array([[1., 1.],
           [1., 1.]], dtype=float32)
    """
    return _several("irfftn", "irfft", x, s, axes, norm)


def fft2(x: ArrayLike, s: Sizes = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """`fftn` along two axes, the last ones by default.

    >>> fft2(np.eye(2, dtype="float32"))
    Array([[2.+0.j, 0.+0.j],
           [0.+0.j, 2.+0.j]], dtype=complex64)
    """
    return _several("fft2", "fft", x, s, axes, norm)


def ifft2(x: ArrayLike, s: Sizes = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """`ifftn` along two axes, the last ones by default.

    >>> ifft2(np.array([[2, 0], [0, 2]], "complex64"))
    Array([[1.+0.j, 0.+0.j],
           [0.+0.j, 1.+0.j]], dtype=complex64)
    """
    return _several("ifft2", "ifft", x, s, axes, norm)


def rfft2(x: ArrayLike, s: Sizes = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """`rfftn` along two axes, the last ones by default.

    >>> rfft2(np.eye(2, dtype="float32"))
    Array([[2.+0.j, 0.+0.j],
           [0.+0.j, 2.+0.j]], dtype=complex64)
    """
    return _several("rfft2", "rfft", x, s, axes, norm)


def irfft2(x: ArrayLike, s: Sizes = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """`irfftn` along two axes, the last ones by default.

    >>> irfft2(np.array([[2, 0], [0, 2]], "complex64"))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return _several("irfft2", "irfft", x, s, axes, norm)


# What they share


def _along(operation: str, kind: str, x: Any, n: Any, axis: Any, norm: Any) -> Array:
    array = transformable(operation, x)
    number = normalize_axis(operation, axis, array.ndim)
    if n is None:
        points = _natural(kind, array.shape[number])
    else:
        points = as_integer(operation, "n", n)
    return _transform(operation, kind, array, (number,), (points,), norm)


def _several(operation: str, kind: str, x: Any, s: Any, axes: Any, norm: Any) -> Array:
    array = transformable(operation, x)
    if s is not None:
        s = [as_integer(operation, "an entry of s", n) for n in as_sequence(operation, "sizes", s)]
        if axes is None:
            axes = tuple(range(-len(s), 0))
    numbers = normalize_axes(operation, axes, array.ndim)
    sizes = [array.shape[a] for a in numbers]
    if sizes:
        sizes[-1] = _natural(kind, sizes[-1])
    if s is not None:
        if len(s) != len(sizes):
            raise ShapeError(
                at_user_line(
                    f"{operation}: s has {len(s)} sizes, but axes has {len(sizes)}: {numbers}."
                )
            )
        sizes = [own if given == -1 else given for own, given in zip(sizes, s)]
    if not sizes and kind in ("rfft", "irfft"):
        raise ArgumentError(at_user_line(f"{operation} needs at least one axis to transform."))
    return _transform(operation, kind, array, numbers, tuple(sizes), norm)


def _natural(kind: str, size: int) -> int:
    """The number of points that an axis of `size` means by default."""
    return 2 * (size - 1) if kind == "irfft" else size


def _transform(
    operation: str,
    kind: str,
    x: Array,
    axes: tuple[int, ...],
    lengths: tuple[int, ...],
    norm: str | None,
) -> Array:
    """The transform of `kind` at `lengths` points along `axes`."""
    if any(n < 1 for n in lengths):
        raise ArgumentError(
            at_user_line(
                f"{operation}: an axis is transformed at 1 or more points, but got {lengths} for an "
                f"array of shape {x.shape}."
            )
        )
    if kind == "rfft" and dtypes.is_complex(x.dtype):
        raise DtypeError(
            at_user_line(
                f"{operation} takes real arrays, not {x.aval}. Take its real part, or use the "
                "transform of complex arrays."
            )
        )
    factor = _factor(operation, kind, math.prod(lengths), norm)
    if kind == "irfft":
        x = convert(x, dtypes.complex_of(x.dtype))
    for i, (axis, n) in enumerate(zip(axes, lengths)):
        halved = kind == "irfft" and i == len(axes) - 1
        x = _resized(x, axis, n // 2 + 1 if halved else n)
    last = tuple(range(x.ndim - len(axes), x.ndim))
    x = fft_p.bind(_moved(x, axes, last), kind=kind, lengths=lengths)
    x = _moved(x, last, axes)
    return x if factor == 1 else mul(x, scalar(factor, dtypes.real_of(x.dtype)))


def _factor(operation: str, kind: str, size: int, norm: str | None) -> float:
    """What the primitive's result is multiplied with: its inverse kinds divide by the size."""
    _opposite(operation, norm)  # checks it
    inverse = kind in ("ifft", "irfft")
    if norm == "ortho":
        return math.sqrt(size) if inverse else 1 / math.sqrt(size)
    if norm == "forward":
        return size if inverse else 1 / size
    return 1


def _opposite(operation: str, norm: str | None) -> str:
    """The `norm` with which the other direction has the same factor."""
    opposites = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}
    if norm not in opposites:
        raise ArgumentError(
            at_user_line(f"{operation}: norm is 'backward', 'ortho' or 'forward', not {norm!r}.")
        )
    return opposites[norm]


def _resized(x: Array, axis: int, size: int) -> Array:
    """`x` cropped, or filled up with zeros, to `size` elements along `axis`."""
    have = x.shape[axis]
    if size < have:
        return slice_in_dim(x, 0, size, axis=axis)
    if size == have:
        return x
    config = [(0, size - have if a == axis else 0, 0) for a in range(x.ndim)]
    return pad(x, scalar(0, x.dtype), config)


def _moved(x: Array, source: tuple[int, ...], destination: tuple[int, ...]) -> Array:
    """`x` with the axes `source` at the places `destination`."""
    if source == destination:
        return x
    if len(source) == 1:
        return move_axis(x, source[0], destination[0])
    order = [a for a in range(x.ndim) if a not in source]
    for place, axis in sorted(zip(destination, source)):
        order.insert(place, axis)
    return transpose(x, order)


def _conjugate(operation: str, x: ArrayLike) -> Array:
    array = transformable(operation, x)
    return conj(array) if dtypes.is_complex(array.dtype) else array


# Frequencies


def fftfreq(
    n: int,
    d: ArrayLike = 1.0,
    *,
    dtype: DtypeLike = None,
    device: Device | str | None = None,
) -> Array:
    """The frequencies of the outputs of `fft` at `n` points: [0, 1, ..., -2, -1] / (n d).

    Those from n / 2 (rounded up) on are negative.

    Arguments:
      d: the distance of samples; a number, or a scalar array, through which derivatives flow.
      dtype: float32 by default, or that of an array `d`.
      device: where the result is put.

    Raises `DtypeError` where `n` is no integer or `dtype` no real floating-point dtype, and
    `ArgumentError` for n < 1.

    >>> fftfreq(4, 0.5)
    Array([ 0. ,  0.5, -1. , -0.5], dtype=float32)
    """
    return _frequencies("fftfreq", n, d, dtype, device)


def rfftfreq(
    n: int,
    d: ArrayLike = 1.0,
    *,
    dtype: DtypeLike = None,
    device: Device | str | None = None,
) -> Array:
    """The frequencies of the outputs of `rfft` at `n` points: [0, 1, ..., n // 2] / (n d).

    Arguments and errors as in `fftfreq`.

    >>> rfftfreq(4, 0.5)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return _frequencies("rfftfreq", n, d, dtype, device)


def _frequencies(operation: str, n: Any, d: Any, dtype: Any, device: Any) -> Array:
    n = as_integer(operation, "n", n)
    if n < 1:
        raise ArgumentError(at_user_line(f"{operation}: n is {n}; it is 1 or more."))
    if operation == "rfftfreq":
        numbers = np.arange(n // 2 + 1)
    else:
        numbers = np.arange(n)
        numbers[(n + 1) // 2 :] -= n
    spacing = None if type(d) in (int, float) else as_array(operation, d)
    if dtype is None:
        wanted = dtypes.default_float if spacing is None else dtypes.to_inexact(spacing.dtype)
    else:
        wanted = dtypes.as_dtype(dtype)
    if wanted not in dtypes.floats:
        raise DtypeError(
            at_user_line(f"{operation} returns real floating-point numbers, not {wanted}.")
        )
    if spacing is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            return asarray((numbers / (n * np.float64(d))).astype(wanted), device=device)
    if spacing.shape:
        raise ShapeError(at_user_line(f"{operation}: d is a scalar, not {spacing.aval}."))
    span = mul(convert(spacing, wanted), scalar(n, wanted))
    return asarray(div(Array(numbers.astype(wanted)), span), device=device)


def fftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
    """`x` with the frequency zero in the middle of `axes` (all by default) rather than in front.

    Raises `AxisError` for an axis that `x` does not have, or twice.

    >>> fftshift(fftfreq(5, 0.2))
    Array([-2., -1.,  0.,  1.,  2.], dtype=float32)
    """
    return _shifted("fftshift", x, axes, lambda n: n // 2)


def ifftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
    """The inverse of `fftshift`; they differ where sizes are odd.

    >>> ifftshift(np.array([-2, -1, 0, 1, 2], "int32"))
    Array([ 0,  1,  2, -2, -1], dtype=int32)
    """
    return _shifted("ifftshift", x, axes, lambda n: -(n // 2))


def _shifted(operation: str, x: ArrayLike, axes: Any, shift: Any) -> Array:
    array = owned_array(operation, x)
    numbers = normalize_axes(operation, axes, array.ndim)
    if not numbers:
        return array
    return roll(array, [shift(array.shape[a]) for a in numbers], numbers)
