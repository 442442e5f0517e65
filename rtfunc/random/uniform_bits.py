"""What is drawn with integers and uniform floats: bits, uniform, integers, Bernoulli, Rademacher.

The values equal those of `jax.random` bit for bit. Depends on `keys`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape, broadcast_shapes
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.ops.arithmetic import add, maximum, mul, rem, sub
from rtfunc.ops.comparison import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    gt,
    le,
    lt,
    shift_left,
    shift_right_logical,
)
from rtfunc.ops.convert import as_array, bitcast_p, convert, promote_inexact, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.multiply_add import fma_p
from rtfunc.ops.pad_slice import slice_in_dim
from rtfunc.ops.select import clamp, select
from rtfunc.ops.shape import reshape_p
from rtfunc.random.keys import random_words, split_words, words

Words = tuple[Array, Array]


def bits(key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "uint32") -> Array:
    """Random bits, as unsigned integers of `dtype` (uint8, uint16, uint32 or uint64).

    >>> from rtfunc.random import key
    >>> bits(key(0), (2,))
    Array([4070199207, 4202968722], dtype=uint32)
    """
    key_words = words("bits", key)
    dtype = dtypes.uint32 if dtype is None else dtypes.as_dtype(dtype)
    if dtype not in dtypes.unsigned:
        raise DtypeError(
            at_user_line(f"random.bits returns unsigned integers, but dtype is {dtype}.")
        )
    return draw_bits(key_words, as_shape(shape), dtype)


def draw_bits(key_words: Words, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """As `bits`, of the words of a key."""
    return bits_of(random_words(key_words, shape), dtype)


def bits_of(drawn: Words, dtype: np.dtype) -> Array:
    """Unsigned integers of `dtype` from pairs of random words."""
    high, low = drawn
    if dtype == dtypes.uint64:
        shifted = shift_left(convert(high, dtype), scalar(32, dtype))
        return bitwise_or(shifted, convert(low, dtype))
    return convert(bitwise_xor(high, low), dtype)


def float_dtype(operation: str, dtype: DtypeLike) -> np.dtype:
    """`dtype`, which must be one of the floats that are computed with; None is the default one."""
    dtype = dtypes.default_float if dtype is None else dtypes.as_dtype(dtype)
    if dtype not in dtypes.floats:
        raise DtypeError(
            at_user_line(
                f"random.{operation} returns float16, bfloat16, float32 or float64, "
                f"but dtype is {dtype}."
            )
        )
    return dtype


def integer_dtype(operation: str, dtype: DtypeLike) -> np.dtype:
    """`dtype`, which must be an integer dtype; None is the default one."""
    dtype = dtypes.default_int if dtype is None else dtypes.as_dtype(dtype)
    if not dtypes.is_integer(dtype):
        raise DtypeError(
            at_user_line(f"random.{operation} returns integers, but dtype is {dtype}.")
        )
    return dtype


def as_parameter(operation: str, value: ArrayLike, dtype: np.dtype) -> Array:
    """A parameter of a distribution in the dtype of the result."""
    if isinstance(value, (int, float)):
        return scalar(value, dtype)  # directly, not by way of the default dtype
    array = as_array(f"random.{operation}", value)
    if dtypes.is_complex(array.dtype):
        raise DtypeError(
            at_user_line(f"random.{operation} takes real parameters, not {array.aval}.")
        )
    return convert(array, dtype)


def as_parameters(
    operation: str, dtype: DtypeLike, *values: ArrayLike
) -> tuple[np.dtype, list[Array]]:
    """The dtype of the result, that of the parameters by default, and the parameters in it.

    Python numbers and integers mean float32.
    """
    if dtype is None:
        arrays = promote_inexact(f"random.{operation}", *values)
        dtype = dtypes.real_of(arrays[0].dtype)
    wanted = float_dtype(operation, dtype)
    return wanted, [as_parameter(operation, v, wanted) for v in values]


def broadcast_parameters(
    operation: str, shape: int | Sequence[int] | None, *parameters: Any
) -> tuple[int, ...]:
    """The shape of the result: `shape`, to which the parameters must broadcast, or their own."""
    common = broadcast_shapes(f"random.{operation}", (), *(p.shape for p in parameters))
    if shape is None:
        return common
    shape = as_shape(shape)
    if broadcast_shapes(f"random.{operation}", shape, common) != shape:
        raise ShapeError(
            at_user_line(
                f"random.{operation}: parameters of shape {common} do not broadcast to the shape "
                f"{shape} of the result."
            )
        )
    return shape


def uniform(
    key: ArrayLike,
    shape: int | Sequence[int] = (),
    dtype: DtypeLike = "float32",
    minval: ArrayLike = 0.0,
    maxval: ArrayLike = 1.0,
) -> Array:
    """Random floats, uniform in [minval, maxval), which broadcast to `shape`.

    They lie on a grid with as many steps as the dtype has mantissas (2**23 in float32). Derivatives
    flow to minval and maxval.

    >>> from rtfunc.random import key
    >>> uniform(key(0), (2,))
    Array([0.947667 , 0.9785799], dtype=float32)
    """
    key_words = words("uniform", key)
    dtype, shape = float_dtype("uniform", dtype), as_shape(shape)
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)):
        return draw_uniform(key_words, shape, dtype, float(minval), float(maxval))
    low, high = (as_parameter("uniform", v, dtype) for v in (minval, maxval))
    broadcast_parameters("uniform", shape, low, high)
    return draw_between(key_words, shape, low, high)


def draw_between(key_words: Words, shape: tuple[int, ...], low: Array, high: Array) -> Array:
    """As `uniform`, of the words of a key and bounds that may be traced."""
    floats = _unit_floats(key_words, shape, low.dtype)
    return maximum(low, _scale(floats, sub(high, low), low))


def draw_uniform(
    key_words: Words,
    shape: tuple[int, ...],
    dtype: np.dtype,
    minval: float = 0.0,
    maxval: float = 1.0,
) -> Array:
    """As `uniform`, of the words of a key and static bounds."""
    return scaled_floats(_unit_floats(key_words, shape, dtype), minval, maxval)


def scaled_floats(floats: Array, minval: float = 0.0, maxval: float = 1.0) -> Array:
    """Floats in [0, 1) moved to [minval, maxval)."""
    dtype = floats.dtype
    low, high = dtype.type(minval), dtype.type(maxval)
    span = dtype.type(high - low)
    if low == 0 and span == 1:
        return floats
    low_array, span_array = scalar(low, dtype), scalar(span, dtype)
    if math.frexp(float(span))[0] == 0.5:  # a power of two: the product is exact
        scaled = floats if span == 1 else mul(floats, span_array)
        return maximum(low_array, add(scaled, low_array))
    return maximum(low_array, _scale(floats, span_array, low_array))


def _scale(floats: Array, span: Array, low: Array) -> Array:
    """floats * span + low with the roundings of XLA's code on CPUs.

    It fuses multiplication and addition, so that only the result is rounded, except in bfloat16.
    """
    dtype = floats.dtype
    if dtype == dtypes.bfloat16:
        return add(mul(floats, span), low)
    if dtype == dtypes.float16:  # the product of two float16 is exact in float32
        wide = (convert(v, dtypes.float32) for v in (floats, span, low))
        x, y, z = wide
        return convert(add(mul(x, y), z), dtype)
    return fma_p.bind(floats, span, low)


def _unit_floats(key_words: Words, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    return unit_floats_of(random_words(key_words, shape), dtype)


def unit_floats_of(words_drawn: Words, dtype: np.dtype) -> Array:
    """Floats in [0, 1) from pairs of random words: mantissas under the exponent of 1, minus 1."""
    width, mantissa = dtype.itemsize * 8, int(dtypes.finfo(dtype).nmant)
    unsigned = np.dtype(f"uint{width}")
    drawn = width if mantissa >= 8 else 8
    random = convert(bits_of(words_drawn, np.dtype(f"uint{drawn}")), unsigned)
    one = np.ones((), dtype).view(unsigned)
    random = shift_right_logical(random, scalar(drawn - mantissa, unsigned))
    pattern = bitwise_or(random, scalar(one, unsigned))
    return sub(bitcast_p.bind(pattern, dtype=dtype), scalar(1, dtype))


def randint(
    key: ArrayLike,
    shape: int | Sequence[int],
    minval: ArrayLike,
    maxval: ArrayLike,
    dtype: DtypeLike = "int32",
) -> Array:
    """Random integers, uniform in [minval, maxval), which broadcast to `shape`.

    minval is returned where maxval <= minval. The remainder of twice as many random bits as `dtype`
    has is taken, at least 64, so the bias toward small values is below 2**-32 for spans below
    2**32.

    >>> from rtfunc.random import key
    >>> randint(key(0), (4,), 0, 10)
    Array([9, 0, 2, 3], dtype=int32)
    """
    key_words, dtype, shape = (
        words("randint", key),
        integer_dtype("randint", dtype),
        as_shape(shape),
    )
    low, high = (as_array("random.randint", v) for v in (minval, maxval))
    for bound in (low, high):
        if not dtypes.is_integer(bound.dtype):
            raise DtypeError(
                at_user_line(f"random.randint takes integers as bounds, not {bound.aval}.")
            )
    broadcast_parameters("randint", shape, low, high)
    if dtype.itemsize >= 4:
        return _draw_integers(key_words, shape, low, high, dtype)
    limits = np.iinfo(dtype)
    low = clamp(limits.min, convert(low, dtypes.int32), limits.max)
    high = clamp(limits.min, convert(high, dtypes.int32), limits.max + 1)
    return convert(_draw_integers(key_words, shape, low, high, dtypes.int32), dtype)


def _draw_integers(
    key_words: Words, shape: tuple[int, ...], low: Array, high: Array, dtype: np.dtype
) -> Array:
    limits = np.iinfo(dtype)
    beyond = gt(high, scalar(_clipped(limits.max, high.dtype), high.dtype))
    low, high = _saturated(low, dtype), _saturated(high, dtype)
    width = dtype.itemsize * 8
    unsigned = np.dtype(f"uint{width}")
    one = scalar(1, unsigned)
    # At least 1; 0, which leaves all bits as they are, for the whole range of the dtype.
    span = select(le(high, low), one, convert(sub(high, low), unsigned))
    span = select(bitwise_and(beyond, gt(high, low)), add(span, one), span)
    # (upper * 2**width + lower) % span without overflow.
    factor = rem(scalar(2 ** (width // 2), unsigned), span)
    factor = rem(mul(factor, factor), span)
    upper_words, lower_words = split_words(key_words)
    offset = rem(draw_bits(lower_words, shape, unsigned), span)
    if not _is_zero(factor):
        upper = draw_bits(upper_words, shape, unsigned)
        offset = rem(add(mul(rem(upper, span), factor), offset), span)
    return add(low, convert(offset, dtype))


def _is_zero(x: Array) -> bool:
    """Whether `x` is known to be 0, so that what it multiplies need not be computed."""
    return type(x) is Array and isinstance(x._buffer, np.ndarray) and not x._buffer.any()


def _clipped(value: int, dtype: np.dtype) -> int:
    limits = np.iinfo(dtype)
    return min(max(value, int(limits.min)), int(limits.max))


def _saturated(x: Array, dtype: np.dtype) -> Array:
    """`x` as another integer dtype; what does not fit becomes the nearest limit."""
    limits = np.iinfo(dtype)
    low, high = (scalar(_clipped(int(v), x.dtype), x.dtype) for v in (limits.min, limits.max))
    return convert(clamp(low, x, high), dtype)


def bernoulli(
    key: ArrayLike,
    p: ArrayLike = 0.5,
    shape: int | Sequence[int] | None = None,
    mode: str = "low",
) -> Array:
    """Random booleans that are True with probability `p`, which broadcasts to `shape`.

    The shape is that of `p` by default. With mode "low" a probability is resolved to one step of a
    uniform float (1.2e-7 in float32), with "high" to its square, at twice the cost.

    >>> from rtfunc.random import key
    >>> bernoulli(key(0), 0.5, (4,))
    Array([False, False,  True,  True], dtype=bool)
    """
    key_words = words("bernoulli", key)
    p = as_array("random.bernoulli", p)
    if mode not in ("low", "high"):
        raise ArgumentError(
            at_user_line(f"random.bernoulli: mode is 'low' or 'high', not {mode!r}.")
        )
    if p.dtype not in dtypes.floats:
        raise DtypeError(
            at_user_line(f"random.bernoulli takes floats as probabilities, not {p.aval}.")
        )
    shape = broadcast_parameters("bernoulli", shape, p)
    if mode == "low":
        return lt(draw_uniform(key_words, shape, p.dtype), broadcast_to(p, shape))
    both = draw_uniform(key_words, (2, *shape), p.dtype)
    first, second = (reshape_p.bind(slice_in_dim(both, i, i + 1), shape=shape) for i in range(2))
    step = scalar(2.0 ** -int(dtypes.finfo(p.dtype).nmant), p.dtype)
    return lt(mul(second, step), sub(p, first))


def rademacher(
    key: ArrayLike, shape: int | Sequence[int] = (), dtype: DtypeLike = "int32"
) -> Array:
    """-1 or 1 with probability 1/2 each, in any dtype of signed numbers.

    Equal to `jax.random.rademacher`. Raises `DtypeError` for booleans and unsigned integers.

    >>> from rtfunc.random import key
    >>> rademacher(key(0), (4,))
    Array([-1, -1,  1,  1], dtype=int32)
    """
    key_words = words("rademacher", key)
    dtype = dtypes.default_int if dtype is None else dtypes.as_dtype(dtype)
    if dtypes.kind(dtype) not in ("signed", "float", "complex"):
        raise DtypeError(
            at_user_line(f"random.rademacher returns signed numbers, but dtype is {dtype}.")
        )
    return convert(draw_signs(key_words, as_shape(shape)), dtype)


def draw_signs(key_words: Words, shape: tuple[int, ...]) -> Array:
    """As `rademacher`, of the words of a key."""
    positive = lt(draw_uniform(key_words, shape, dtypes.float32), scalar(0.5, dtypes.float32))
    return select(positive, scalar(1, dtypes.int32), scalar(-1, dtypes.int32))
