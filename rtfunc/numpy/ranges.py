"""Counting: arange, linspace, logspace, geomspace and grids of coordinates.

With concrete ends the numbers are computed in float64 and rounded once. Depends on `creation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape, broadcast_shapes
from rtfunc.core.device import Device
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TracerError, at_user_line
from rtfunc.core.trace import Tracer, context
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.creation import asarray, promote_data
from rtfunc.ops.arithmetic import add, div, mul, sub
from rtfunc.ops.convert import as_array, convert, promote, scalar
from rtfunc.ops.exponential import log, power
from rtfunc.ops.iota import broadcasted_iota, iota
from rtfunc.ops.rounding import floor
from rtfunc.ops.shape import broadcast_in_dim, normalize_axis, reshape


def arange(
    start: ArrayLike,
    stop: ArrayLike | None = None,
    step: ArrayLike | None = None,
    dtype: DtypeLike = None,
    *,
    device: Device | str | None = None,
) -> Array:
    """The numbers from `start` (0 by default) up to but not including `stop`, `step` (1) apart.

    The dtype is that of the arguments, int32 or float32 for Python numbers. Their values must be
    known while tracing, since the size follows from them.

    >>> arange(3), arange(1, 2, 0.25)
    (Array([0, 1, 2], dtype=int32), Array([1.  , 1.25, 1.5 , 1.75], dtype=float32))
    """
    if type(start) is int and dtype is None and context.trace is None and device is None:
        if stop is None:
            if start < 2**31:
                return Array(np.arange(start, dtype=dtypes.int32))
        elif type(stop) is int and step is None and start >= -(2**31) and stop < 2**31:
            return Array(np.arange(start, stop, dtype=dtypes.int32))
    only_stop = stop is None
    if only_stop:
        start, stop = 0, start
    step, only_unit = (1, True) if step is None else (step, False)
    ends = [as_array("arange", v) for v in (start, stop, step)]
    if any(isinstance(v, Tracer) for v in ends):
        raise TracerError(
            at_user_line(
                "arange: its size follows from its arguments, so they must be concrete, but one is "
                "traced. Make it a static argument, or count with arange(n) and scale the result."
            )
        )
    if any(v.ndim for v in ends) or any(dtypes.is_complex(v.dtype) for v in ends):
        raise DtypeError(
            at_user_line(f"arange takes real scalars, not {', '.join(str(v.aval) for v in ends)}.")
        )
    given = ends[only_stop : 2 if only_unit else 3]
    wanted = promote("arange", *given)[0].dtype if dtype is None else as_dtype(dtype)
    if dtype is None and wanted == dtypes.bool_:
        wanted = dtypes.default_int
    known: list[Any] = [
        v if type(v) is float else end.item()  # of a Python number all digits count
        for v, end in zip((start, stop, step), ends)
    ]
    first, last, gap = known
    if gap == 0:
        raise ArgumentError(at_user_line("arange: the step is 0."))
    if context.trace is not None and dtypes.is_integer(wanted) and (first, gap) == (0, 1):
        result = iota(wanted, max(0, math.ceil(last)))  # a Graph counts rather than holds numbers
    else:
        # Integers are counted exactly; floats in float64.
        exact = all(isinstance(v, int) for v in (first, last, gap))
        numbers = np.arange(first, last, gap, dtype=np.int64 if exact else np.float64)
        result = convert(Array(numbers), wanted)
    return result if device is None else asarray(result, device=device)


def _count(operation: str, num: Any) -> int:
    count = as_integer(operation, "the number of samples", num)
    if count < 0:
        raise ArgumentError(at_user_line(f"{operation}: the number of samples is {count}."))
    return count


def linspace(
    start: ArrayLike,
    stop: ArrayLike,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DtypeLike = None,
    axis: int = 0,
    *,
    device: Device | str | None = None,
) -> Any:
    """`num` numbers at equal distances from `start` to `stop`, which is the last with `endpoint`.

    Arguments: start, stop: numbers or arrays that broadcast; axis: where the samples lie in the
    result; retstep: whether to return the distance too; dtype: by default that of the ends, or
    float32; to an integer dtype the numbers are rounded down.

    >>> linspace(0, 1, 3)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    count = _count("linspace", num)
    (start, stop), wanted = _ends("linspace", dtype, start, stop)
    shape = broadcast_shapes("linspace", start.shape, stop.shape)
    place = normalize_axis("linspace", axis, len(shape) + 1)
    parts = count - 1 if endpoint else count
    if not isinstance(start, Tracer) and not isinstance(stop, Tracer):
        wide = [_wide(v) for v in (start, stop)]
        numbers = np.linspace(wide[0], wide[1], count, endpoint, axis=place)
        step = Array(np.asarray((wide[1] - wide[0]) / parts if parts else np.nan * wide[0]))
        step = convert(step, start.dtype)
        result = Array(np.floor(numbers) if dtypes.is_integer(wanted) else numbers)
    else:
        step = div(sub(stop, start), scalar(parts or np.nan, start.dtype))
        full_shape = (*shape[:place], count, *shape[place:])
        index = broadcasted_iota(dtypes.real_of(start.dtype), full_shape, place)
        fraction = convert(div(index, scalar(max(parts, 1), index.dtype)), start.dtype)
        kept = [i for i in range(len(full_shape)) if i != place]
        one = scalar(1, start.dtype)
        a, b = (broadcast_in_dim(v, full_shape, kept[len(kept) - v.ndim :]) for v in (start, stop))
        result = add(mul(a, sub(one, fraction)), mul(b, fraction))
        if dtypes.is_integer(wanted):
            result = floor(result)
    result = convert(result, wanted)
    result = result if device is None else asarray(result, device=device)
    return (result, step) if retstep else result


def _ends(operation: str, dtype: DtypeLike, *ends: Any) -> tuple[list[Array], np.dtype]:
    """The ends in the dtype of the computation, which has the digits of the result; that dtype."""
    found = promote_data(operation, *ends)
    common = dtypes.to_inexact(found[0].dtype)
    wanted = common if dtype is None else as_dtype(dtype)
    if dtypes.is_inexact(wanted):
        common, _ = dtypes.promote(common, False, wanted, False)
    if found[0].dtype == common:
        return found, wanted
    return promote_data(operation, *ends, dtype=common), wanted


def _wide(x: Array) -> np.ndarray:
    dtype = np.complex128 if dtypes.is_complex(x.dtype) else np.float64
    return np.asarray(x).astype(dtype)


def logspace(
    start: ArrayLike,
    stop: ArrayLike,
    num: int = 50,
    endpoint: bool = True,
    base: ArrayLike = 10.0,
    dtype: DtypeLike = None,
    axis: int = 0,
) -> Array:
    """`num` numbers from base**start to base**stop with equal ratios.

    >>> logspace(0, 2, 3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    (start, stop, base), wanted = _ends("logspace", dtype, start, stop, base)
    shape = broadcast_shapes("logspace", start.shape, stop.shape)
    axis = normalize_axis("logspace", axis, len(shape) + 1)
    if not any(isinstance(v, Tracer) for v in (start, stop, base)):
        lower, upper, root = (_wide(v) for v in (start, stop, base))
        exponents = np.linspace(lower, upper, _count("logspace", num), endpoint, axis=axis)
        return convert(Array(np.asarray(np.power(root, exponents))), wanted)
    return convert(power(base, linspace(start, stop, num, endpoint, axis=axis)), wanted)


def geomspace(
    start: ArrayLike,
    stop: ArrayLike,
    num: int = 50,
    endpoint: bool = True,
    dtype: DtypeLike = None,
    axis: int = 0,
) -> Array:
    """`num` numbers from `start` to `stop` with equal ratios; both positive or both negative.

    >>> geomspace(1, 100, 3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    (start, stop), wanted = _ends("geomspace", dtype, start, stop)
    shape = broadcast_shapes("geomspace", start.shape, stop.shape)
    axis = normalize_axis("geomspace", axis, len(shape) + 1)
    if not isinstance(start, Tracer) and not isinstance(stop, Tracer):
        wide = [_wide(v) for v in (start, stop)]
        if any((v == 0).any() for v in wide):
            raise ArgumentError(at_user_line("geomspace: the ends must not be 0."))
        count = _count("geomspace", num)
        return convert(Array(np.geomspace(wide[0], wide[1], count, endpoint, axis=axis)), wanted)
    ratio = linspace(scalar(0, start.dtype), log(div(stop, start)), num, endpoint, axis=axis)
    return convert(mul(start, power(scalar(math.e, start.dtype), ratio)), wanted)


# Grids


def meshgrid(
    *xi: ArrayLike, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> list[Array]:
    """Coordinate arrays from 1-d coordinates: each varies along its own axis.

    With `indexing` "xy" the first two axes are exchanged (columns first), with "ij" they are not;
    with `sparse` the other axes have size 1.

    >>> [g.shape for g in meshgrid(np.arange(2), np.arange(3))]
    [(3, 2), (3, 2)]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(at_user_line(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}."))
    axes = [asarray(x) for x in xi]
    if any(x.ndim > 1 for x in axes):
        raise ShapeError(
            at_user_line(f"meshgrid takes 1-d arrays, not shapes {[x.shape for x in axes]}.")
        )
    axes = [reshape(x, (1,)) if x.ndim == 0 else x for x in axes]
    places = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        places[:2] = [1, 0]
    shape = [1] * len(axes)
    for x, place in zip(axes, places):
        shape[place] = x.shape[0]
    grids = []
    for x, place in zip(axes, places):
        sizes = [n if i == place or not sparse else 1 for i, n in enumerate(shape)]
        grids.append(broadcast_in_dim(x, sizes, (place,)))
    return grids


def indices(
    dimensions: Sequence[int], dtype: DtypeLike = int, sparse: bool = False
) -> Array | tuple[Array, ...]:
    """For each axis of an array of shape `dimensions`, the index along it, stacked in front.

    With `sparse`, a tuple of arrays that broadcast to `dimensions`.

    >>> indices((2, 2))[1]
    Array([[0, 1],
           [0, 1]], dtype=int32)
    """
    sizes = as_shape(dimensions)
    ranges = [arange(n, dtype=dtype) for n in sizes]
    if sparse:
        return tuple(meshgrid(*ranges, sparse=True, indexing="ij"))
    if not sizes:
        return asarray([], dtype=dtype)
    return asarray(meshgrid(*ranges, indexing="ij"))


def fromfunction(
    function: Callable[..., Any], shape: Sequence[int], *, dtype: DtypeLike = float, **options: Any
) -> Any:
    """`function` of the index arrays of an array of the given shape (`options` are passed on).

    >>> fromfunction(lambda i, j: i + j, (2, 2), dtype=int)
    Array([[0, 1],
           [1, 2]], dtype=int32)
    """
    sizes = as_shape(shape)
    if not callable(function):
        raise ArgumentError(
            at_user_line(f"fromfunction takes a function, not {type(function).__name__}.")
        )
    return function(
        *(broadcasted_iota(as_dtype(dtype), sizes, axis) for axis in range(len(sizes))), **options
    )


class _Grid:
    """`mgrid` and `ogrid`: slices as ranges, where an imaginary step counts the samples."""

    def __init__(self, sparse: bool):
        self._sparse = sparse

    def __repr__(self) -> str:
        return "ogrid" if self._sparse else "mgrid"

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return slice_range(key)
        ranges = promote(repr(self), *(slice_range(k) for k in key))
        grids = meshgrid(*ranges, indexing="ij", sparse=self._sparse)
        return grids if self._sparse else asarray(grids)


def slice_range(key: slice) -> Array:
    """The numbers from `start` to `stop` in steps; so many of them for an imaginary step."""
    start = 0 if key.start is None else key.start
    step = 1 if key.step is None else key.step
    if isinstance(step, complex):
        return linspace(start, key.stop, int(abs(step)))
    return arange(start, key.stop, step)


#: `mgrid[0:2, 0:3]` is the stacked index arrays; `mgrid[0:1:5j]` is five numbers from 0 to 1.
mgrid = _Grid(sparse=False)
#: As `mgrid`, with arrays that broadcast instead of being repeated.
ogrid = _Grid(sparse=True)
