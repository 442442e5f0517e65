"""Integer arithmetic beyond the operators: common divisors and multiples, bits packed into bytes.

Depends on `elementwise`, `padding` and `ops.integer`.
"""

from __future__ import annotations

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.elementwise import abs as _abs
from rtfunc.numpy.indexing import where
from rtfunc.numpy.padding import pad
from rtfunc.numpy.reductions import sum as _sum
from rtfunc.numpy.shape import moveaxis
from rtfunc.ops.comparison import shift_left, shift_right_logical
from rtfunc.ops.convert import as_array, convert, promote
from rtfunc.ops.integer import gcd as gcd
from rtfunc.ops.pad_slice import slice_in_dim
from rtfunc.ops.shape import normalize_axis, reshape


def lcm(x1: ArrayLike, x2: ArrayLike) -> Array:
    """The least common multiple, elementwise: not negative, and 0 if an operand is.

    >>> lcm(np.array([4, 0], "int32"), 6)
    Array([12,  0], dtype=int32)
    """
    a, b = promote("lcm", x1, x2)
    if not dtypes.is_integer(a.dtype):
        raise DtypeError(at_user_line(f"lcm takes integers, not {a.dtype}."))
    a, b = _abs(a), _abs(b)
    divisor = gcd(a, b)
    zero = divisor == 0
    return where(zero, 0, a // where(zero, 1, divisor) * b)


def packbits(a: ArrayLike, axis: int | None = None, bitorder: str = "big") -> Array:
    """Eight elements along `axis` (of the flat array by default) packed as bits of a uint8.

    Elements count as 1 where they are not zero; zeros fill the last byte up. `bitorder` is "big",
    the first element being the highest bit, or "little".

    >>> packbits(np.array([1, 0, 0, 0, 0, 0, 1, 1], "uint8"))
    Array([131], dtype=uint8)
    """
    x = as_array("packbits", a)
    if not (dtypes.is_integer(x.dtype) or x.dtype == dtypes.bool_):
        raise DtypeError(at_user_line(f"packbits takes integers or booleans, not {x.dtype}."))
    places = _bit_places("packbits", bitorder)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis("packbits", axis, x.ndim)
    bits = moveaxis(convert(x != 0, dtypes.uint8), axis, -1)
    count = -(-bits.shape[-1] // 8)
    widths = [(0, 0)] * (bits.ndim - 1) + [(0, 8 * count - bits.shape[-1])]
    bits = reshape(pad(bits, widths), (*bits.shape[:-1], count, 8))
    packed = _sum(shift_left(bits, places), -1, dtype=dtypes.uint8)
    return moveaxis(packed, -1, axis)


def unpackbits(
    a: ArrayLike, axis: int | None = None, count: int | None = None, bitorder: str = "big"
) -> Array:
    """The bits of a uint8 array as zeros and ones along `axis` (of the flat array by default).

    `count` is the number of bits to give: a negative one leaves out so many at the end, and zeros
    are added for more than there are. The opposite of `packbits`.

    >>> unpackbits(np.array([131], "uint8"))
    Array([1, 0, 0, 0, 0, 0, 1, 1], dtype=uint8)
    """
    x = as_array("unpackbits", a)
    if x.dtype != dtypes.uint8:
        raise DtypeError(at_user_line(f"unpackbits takes uint8, not {x.dtype}."))
    places = _bit_places("unpackbits", bitorder)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis("unpackbits", axis, x.ndim)
    x = moveaxis(x, axis, -1)
    bits = shift_right_logical(reshape(x, (*x.shape, 1)), places) & np.uint8(1)
    bits = reshape(bits, (*x.shape[:-1], 8 * x.shape[-1]))
    if count is not None:
        size, given = as_integer("unpackbits", "count", count), bits.shape[-1]
        if size < 0:
            if size < -given:
                raise ArgumentError(
                    at_user_line(f"unpackbits: count {size} leaves out more than {given} bits.")
                )
            size += given
        if size > given:
            bits = pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, size - given)])
        bits = slice_in_dim(bits, 0, size, 1, bits.ndim - 1)
    return moveaxis(bits, -1, axis)


def _bit_places(operation: str, bitorder: str) -> Array:
    if bitorder not in ("big", "little"):
        raise ArgumentError(
            at_user_line(f"{operation}: bitorder is 'big' or 'little', not {bitorder!r}.")
        )
    places = np.arange(8, dtype=np.uint8)
    return Array(places[::-1].copy() if bitorder == "big" else places)
