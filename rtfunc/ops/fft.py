"""The discrete Fourier transform: one primitive for its complex and real kinds.

`fft` transforms the last `len(lengths)` axes. With w = exp(-2 pi i / n), along one axis:

- "fft": out[k] = sum_j x[j] w**(j k); "ifft" has w**(-j k) and divides by n. Real operands are
  taken as they are, which spares half of the work.
- "rfft", of a real x: the first n // 2 + 1 outputs of "fft", which determine the others. Of several
  axes the last is halved.
- "irfft": the real x of length n of which its operand is the "rfft". What does not fit a real x (the
  imaginary parts that must be zero, and their like over several axes) is ignored.

The computation is NumPy's (pocketfft) or CuPy's (cuFFT), in the precision of the operand. All kinds
are linear, and the transpose of each is another one. Depends on `arithmetic`, `complex`, `shape`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import move_axis
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, linear_jvp, transposing
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.complex import conj, real
from rtfunc.ops.convert import as_array, convert
from rtfunc.ops.shape import reshape_p

KINDS = ("fft", "ifft", "rfft", "irfft")
_REAL = (dtypes.float32, dtypes.float64)


def fft(x: ArrayLike, fft_type: str, fft_lengths: int | Sequence[int]) -> Array:
    """The Fourier transform of the last axes of `x`, as `jax.lax.fft`.

    Arguments:
      fft_type: "fft", "ifft", "rfft" or "irfft", in small or capital letters (also an enum with such
        a name): see the module.
      fft_lengths: the length n of each of the last axes, one to three in JAX, any number here.

    Integers, booleans and half floats are computed as float32. Inverse kinds divide by the number of
    elements. Raises `ArgumentError` for another kind or a length below 1, `DtypeError` for complex
    input of "rfft", and `ShapeError` for lengths that are not those of `x`.

    >>> fft(np.array([1, 0, 0, 0], "float32"), "rfft", 4)
    Array([1.+0.j, 1.+0.j, 1.+0.j], dtype=complex64)
    """
    kind = getattr(fft_type, "name", fft_type)
    kind = kind.lower() if isinstance(kind, str) else kind
    lengths = _as_lengths(fft_lengths)
    array = transformable("fft", x)
    if kind == "irfft":
        array = convert(array, dtypes.complex_of(array.dtype))
    return fft_p.bind(array, kind=kind, lengths=lengths)


def transformable(operation: str, x: ArrayLike) -> Array:
    """`x` in a dtype that transforms compute in: float32, float64, complex64 or complex128."""
    array = as_array(operation, x)
    if array.dtype in _REAL or array.dtype in dtypes.complexes:
        return array
    if array.dtype not in dtypes.everything:
        raise DtypeError(
            at_user_line(
                f"{operation} does not take {array.dtype}, which is for storage. "
                "Convert it first, for example with x.astype('float32')."
            )
        )
    return convert(array, dtypes.float32, array.weak_type)


def _as_lengths(lengths: Any) -> tuple[int, ...]:
    sizes = lengths if isinstance(lengths, (tuple, list)) else (lengths,)
    try:
        return tuple(int(n.__index__()) for n in sizes)
    except AttributeError:
        raise DtypeError(at_user_line(f"fft takes integers as lengths, not {lengths!r}.")) from None


def _infer(x: Aval, *, kind: str, lengths: tuple[int, ...]) -> Aval:
    if kind not in KINDS:
        raise ArgumentError(
            at_user_line(f"fft: the kind is one of {', '.join(map(repr, KINDS))}, not {kind!r}.")
        )
    wanted = {"rfft": _REAL, "irfft": dtypes.complexes}.get(kind, _REAL + dtypes.complexes)
    if x.dtype not in wanted:
        raise DtypeError(
            at_user_line(
                f"fft of kind {kind!r} takes {' or '.join(map(str, wanted))}, not {x.dtype}."
            )
        )
    count = len(lengths)
    if any(n < 1 for n in lengths):
        raise ArgumentError(
            at_user_line(f"fft: an axis is transformed at 1 or more points, not {lengths}.")
        )
    halved = (*lengths[:-1], lengths[-1] // 2 + 1) if count else ()
    expected = halved if kind == "irfft" else lengths
    if count > x.ndim or x.shape[x.ndim - count :] != expected:
        raise ShapeError(
            at_user_line(
                f"fft of kind {kind!r} with lengths {lengths} takes an array whose last axes have "
                f"the sizes {expected}, not {x}."
            )
        )
    batch = x.shape[: x.ndim - count]
    if kind == "irfft":
        return Aval((*batch, *lengths), dtypes.real_of(x.dtype))
    return Aval((*batch, *(halved if kind == "rfft" else lengths)), dtypes.complex_of(x.dtype))


def _impl(xp: Any, x: Any, *, kind: str, lengths: tuple[int, ...]) -> Any:
    out = _infer(Aval(x.shape, x.dtype), kind=kind, lengths=lengths)
    if not lengths:
        return x.astype(out.dtype)
    if not x.size:
        return xp.zeros(out.shape, out.dtype)
    axes = tuple(range(x.ndim - len(lengths), x.ndim))
    if kind == "irfft":
        return _irfft(xp, x, axes, lengths[len(lengths) - 1])
    transform = {"fft": xp.fft.fftn, "ifft": xp.fft.ifftn, "rfft": xp.fft.rfftn}[kind]
    return transform(x, axes=axes)


def _irfft(xp: Any, x: Any, axes: tuple[int, ...], last: int) -> Any:
    """Complex transforms of all axes but the last, and a real one of that, at `last` points."""
    *others, axis = axes
    if others:
        x = xp.fft.ifftn(x, axes=others)
    if xp is not np:  # cuFFT reads the imaginary parts that are ignored here
        x = x.copy()
        x[..., 0] = x[..., 0].real
        if last % 2 == 0:
            x[..., -1] = x[..., -1].real
    return xp.fft.irfft(x, n=last, axis=axis)


def _transpose(ct: Any, x: Any, *, kind: str, lengths: tuple[int, ...]) -> Any:
    if kind in ("fft", "ifft"):  # a symmetric matrix
        out = fft_p.bind(ct, kind=kind, lengths=lengths)
        return out if dtypes.is_complex(x.dtype) else real(out)
    if not lengths:
        return real(ct) if kind == "rfft" else convert(ct, x.dtype)
    # Outputs of "rfft" that stand for two, k and n - k, are summed by "irfft" twice.
    size, last = math.prod(lengths), lengths[len(lengths) - 1]
    if kind == "rfft":
        once = mul(conj(ct), _multiplicity(ct, last, -1, size))
        return fft_p.bind(once, kind="irfft", lengths=lengths)
    spectrum = fft_p.bind(ct, kind="rfft", lengths=lengths)
    return conj(mul(spectrum, _multiplicity(spectrum, last, 1, 1 / size)))


def _multiplicity(spectrum: Any, length: int, power: int, factor: float) -> Array:
    """factor * m**power, where m is how many elements of the full spectrum each of the half's is."""
    m = np.full(length // 2 + 1, 2.0)
    m[0] = 1
    if length % 2 == 0:
        m[-1] = 1
    weights = Array((factor * m**power).astype(spectrum.dtype))
    return reshape_p.bind(weights, shape=(1,) * (spectrum.ndim - 1) + weights.shape)


def _batch(
    primitive: Primitive,
    batch: Any,
    operands: Any,
    batch_axes: Any,
    *,
    kind: str,
    lengths: tuple[int, ...],
) -> Any:
    (x,), (axis,) = operands, batch_axes
    if axis > x.ndim - 1 - len(lengths):  # among the transformed axes
        x, axis = move_axis(x, axis, 0), 0
    return primitive.bind(x, kind=kind, lengths=lengths), axis


fft_p = Primitive(
    "fft",
    infer=_infer,
    impl=_impl,
    jvp=linear_jvp(0),
    vjp=transposing(_transpose),
    batch=_batch,
    weak="strong",
)
