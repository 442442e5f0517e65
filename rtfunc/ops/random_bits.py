"""The Threefry-2x32 block cipher, from which all random numbers are made.

Threefry (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011) maps a
key and a counter, two 32-bit words each, to two random words, in 20 rounds of addition, rotation
and exclusive or. Depends on `elementwise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval, broadcast_shapes
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.primitive import Primitive, no_jvp, no_vjp
from rtfunc.ops.elementwise import batch_elementwise

_PARITY = 0x1BD11BDA
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_MASK = 0xFFFFFFFF
#: Per group of four rounds: the rotations to the left and to the right, and the number of the
#: group.
_GROUPS = tuple(
    (
        tuple((np.uint32(r), np.uint32(32 - r)) for r in _ROTATIONS[i % 2]),
        np.uint32(i + 1),
    )
    for i in range(5)
)
#: Up to this many elements Python's integers are faster than NumPy's calls.
_FEW = 4
#: Elements at a time: what the rounds work on stays in the second-level cache.
_BLOCK = 1 << 15


def threefry2x32(k0: Array, k1: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
    """The two random words for key (k0, k1) and counter (x0, x1), all uint32; they broadcast.

    >>> zero = Array(np.zeros((), "uint32"))
    >>> threefry2x32(zero, zero, zero, zero)
    (Array(1797259609, dtype=uint32), Array(2579123966, dtype=uint32))
    """
    first, second = threefry2x32_p.bind(k0, k1, x0, x1)
    return first, second


def _infer(*operands: Aval) -> tuple[Aval, Aval]:
    if any(x.dtype != dtypes.uint32 for x in operands):
        raise DtypeError(
            at_user_line(
                "threefry2x32 takes four uint32 operands, but got "
                f"{', '.join(str(x.dtype) for x in operands)}."
            )
        )
    shape = broadcast_shapes("threefry2x32", *(x.shape for x in operands))
    return Aval(shape, dtypes.uint32), Aval(shape, dtypes.uint32)


def _impl(xp: Any, *operands: Any) -> tuple[Any, Any]:
    shape = _infer(*(Aval(x.shape, x.dtype) for x in operands))[0].shape
    first, second = xp.empty(shape, np.uint32), xp.empty(shape, np.uint32)
    if not first.size:
        return first, second
    if xp is np and first.size <= _FEW:
        columns = [np.broadcast_to(x, shape).reshape(-1).tolist() for x in operands]
        pairs = [_encrypt(*words) for words in zip(*columns)]
        first.reshape(-1)[:] = [x for x, _ in pairs]
        second.reshape(-1)[:] = [y for _, y in pairs]
        return first, second
    # Scalars stay scalars; everything else is laid out flat and taken block by block.
    flat = [
        x.reshape(1) if x.size == 1 else xp.broadcast_to(x, shape).reshape(-1) for x in operands
    ]
    outs = first.reshape(-1), second.reshape(-1)
    step = _BLOCK if xp is np else first.size
    scratch = xp.empty(min(step, first.size), np.uint32)
    for start in range(0, first.size, step):
        block = slice(start, start + step)
        parts = [x if x.size == 1 else x[block] for x in flat]
        _rounds(xp, parts, outs[0][block], outs[1][block], scratch)
    return first, second


def _rounds(xp: Any, operands: Sequence[Any], x: Any, y: Any, scratch: Any) -> None:
    """Encrypt into `x` and `y`."""
    k0, k1, x0, x1 = operands
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(_PARITY))
    xp.add(x0, keys[0], out=x)
    xp.add(x1, keys[1], out=y)
    high = scratch[: len(x)]
    for i, (rotations, number) in enumerate(_GROUPS):
        for left, right in rotations:
            xp.add(x, y, out=x)
            xp.left_shift(y, left, out=high)
            xp.right_shift(y, right, out=y)
            xp.bitwise_or(y, high, out=y)
            xp.bitwise_xor(x, y, out=y)
        xp.add(x, keys[(i + 1) % 3], out=x)
        xp.add(y, keys[(i + 2) % 3] + number, out=y)


def _encrypt(k0: int, k1: int, x: int, y: int) -> tuple[int, int]:
    """The same in Python's integers."""
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    x, y = (x + k0) & _MASK, (y + k1) & _MASK
    for i in range(5):
        for r in _ROTATIONS[i % 2]:
            x = (x + y) & _MASK
            y = x ^ ((y << r) & _MASK | y >> (32 - r))
        x = (x + keys[(i + 1) % 3]) & _MASK
        y = (y + keys[(i + 2) % 3] + i + 1) & _MASK
    return x, y


def _batch(primitive: Primitive, batch: Any, operands: Any, batch_axes: Any) -> Any:
    outs, axis = batch_elementwise(primitive, batch, operands, batch_axes)
    return outs, (axis, axis)


threefry2x32_p = Primitive(
    "threefry2x32",
    infer=_infer,
    impl=_impl,
    jvp=no_jvp,
    vjp=no_vjp,
    batch=_batch,
    multiple_results=True,
    weak="strong",
)
