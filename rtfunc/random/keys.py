"""Keys: making, splitting, and drawing 32-bit words from them.

A key is two uint32 words. Word i of an array drawn from it is the encryption of the 64-bit counter
i, and so is the i-th key that it is split into. Depends on `ops.random_bits`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.ops.comparison import shift_right_logical
from rtfunc.ops.convert import as_array, convert, owned_array, scalar
from rtfunc.ops.iota import iota_p
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.random_bits import threefry2x32_p
from rtfunc.ops.shape import reshape_p


def key(seed: int | ArrayLike) -> Array:
    """A key made from an integer seed: a uint32 Array of shape (2,).

    A seed that fits in 32 bits gives the words (0, seed), as in JAX; others are read as 64 bits.
    Raises `DtypeError` for a seed that is not an integer and `ShapeError` for one that is not a
    scalar.

    >>> key(42)
    Array([ 0, 42], dtype=uint32)
    """
    seed = as_array("random.key", seed)
    if not dtypes.is_integer(seed.dtype):
        raise DtypeError(at_user_line(f"random.key takes an integer seed, not {seed.aval}."))
    if seed.shape:
        raise ShapeError(
            at_user_line(
                f"random.key takes a scalar seed, but got one of shape {seed.shape}. "
                "Use rtfunc.vmap(rtfunc.random.key) for an array of keys."
            )
        )
    low = convert(seed, dtypes.uint32)
    if seed.dtype.itemsize < 8:
        high = scalar(0, dtypes.uint32)
    else:
        shift = scalar(32, seed.dtype)
        high = convert(shift_right_logical(seed, shift), dtypes.uint32)
    return _pair(high, low)


def PRNGKey(seed: int | ArrayLike) -> Array:
    """JAX's other name for `key`.

    >>> PRNGKey(0)
    Array([0, 0], dtype=uint32)
    """
    return key(seed)


def _pair(high: Array, low: Array) -> Array:
    return concatenate(
        [reshape_p.bind(word, shape=(*word.shape, 1)) for word in (high, low)], len(low.shape)
    )


def words(operation: str, key: ArrayLike) -> tuple[Array, Array]:
    """The two words of a key, as scalars; checks that it is one key."""
    key = as_array(f"random.{operation}", key)
    _check(operation, key)
    if key.ndim != 1:
        raise ShapeError(
            at_user_line(
                f"random.{operation} takes one key, of shape (2,), but got keys of shape "
                f"{key.shape}. Use rtfunc.vmap to draw with many keys."
            )
        )
    return _word(key, 0), _word(key, 1)


def _word(vector: Array, i: int) -> Array:
    """Element i of a vector."""
    if type(vector) is Array and isinstance(vector._buffer, np.ndarray):
        return scalar(vector._buffer[i], dtypes.uint32)  # known: a literal in Graphs
    return reshape_p.bind(slice_in_dim(vector, i, i + 1), shape=())


def _check(operation: str, key: Array) -> None:
    if key.dtype != dtypes.uint32 or not key.ndim or key.shape[-1] != 2:
        raise DtypeError(
            at_user_line(
                f"random.{operation} takes a key, a uint32 array of shape (2,), but got {key.aval}"
                ". Make one with rtfunc.random.key(seed)."
            )
        )


def counters(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The high and the low words of the numbers 0, 1, 2 ... in an array of `shape`.

    The high word is one scalar 0 unless there are more than 2**32 numbers.
    """
    size = math.prod(shape)
    if size <= 2**32:
        count = iota_p.bind(shape=(size,), dtype=dtypes.uint32, axis=0)
        low = count if len(shape) == 1 else reshape_p.bind(count, shape=shape)
        return scalar(0, dtypes.uint32), low
    count = iota_p.bind(shape=(size,), dtype=dtypes.uint64, axis=0)
    count = reshape_p.bind(count, shape=shape)
    high = shift_right_logical(count, scalar(32, dtypes.uint64))
    return convert(high, dtypes.uint32), convert(count, dtypes.uint32)


def random_words(key_words: tuple[Array, Array], shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Two independent random words for each element of an array of `shape`."""
    first, second = threefry2x32_p.bind(*key_words, *counters(shape))
    return first, second


def split_words(key_words: tuple[Array, Array], count: int = 2) -> list[tuple[Array, Array]]:
    """The words of `count` new keys."""
    first, second = random_words(key_words, (count,))
    return [(_word(first, i), _word(second, i)) for i in range(count)]


def split(key: ArrayLike, num: int | Sequence[int] = 2) -> Array:
    """`num` new keys, or an array of them if `num` is a shape: uint32[*num, 2].

    >>> a, b = split(key(0))
    >>> a
    Array([1797259609, 2579123966], dtype=uint32)
    """
    return _pair(*random_words(words("split", key), as_shape(num)))


def fold_in(key: ArrayLike, data: int | ArrayLike) -> Array:
    """A new key made from `key` and an integer, such as the number of a step or of a process.

    `data` is read modulo 2**32. Raises `DtypeError` if it is not an integer and `ShapeError` if it
    is not a scalar.

    >>> fold_in(PRNGKey(0), 1).shape
    (2,)
    """
    key_words = words("fold_in", key)
    data = as_array("random.fold_in", data)
    if not dtypes.is_integer(data.dtype):
        raise DtypeError(at_user_line(f"random.fold_in takes an integer, not {data.aval}."))
    if data.shape:
        raise ShapeError(
            at_user_line(
                f"random.fold_in takes a scalar, but got an array of shape {data.shape}. "
                "Use rtfunc.vmap to fold in many numbers."
            )
        )
    low = convert(data, dtypes.uint32)
    return _pair(*threefry2x32_p.bind(*key_words, scalar(0, dtypes.uint32), low))


def key_data(keys: ArrayLike) -> Array:
    """The words of keys: the keys themselves, which are uint32 arrays here.

    >>> key_data(key(7))
    Array([0, 7], dtype=uint32)
    """
    keys = owned_array("random.key_data", keys)
    _check("key_data", keys)
    return keys


def wrap_key_data(data: ArrayLike) -> Array:
    """Keys from their words, such as `jax.random.key_data` returns: uint32[..., 2].

    >>> wrap_key_data(np.array([1, 2], "uint32"))
    Array([1, 2], dtype=uint32)
    """
    data = owned_array("random.wrap_key_data", data)
    _check("wrap_key_data", data)
    return data


def clone(keys: ArrayLike) -> Array:
    """The same keys again, for code that marks on purpose that it reuses them, as in JAX.

    >>> clone(key(7))
    Array([0, 7], dtype=uint32)
    """
    keys = owned_array("random.clone", keys)
    _check("clone", keys)
    return keys


def key_impl(keys: ArrayLike) -> str:
    """The name of the generator that keys belong to: there is one, "threefry2x32".

    >>> key_impl(key(7))
    'threefry2x32'
    """
    _check("key_impl", as_array("random.key_impl", keys))
    return "threefry2x32"


# A key for each element of an array: its words are arrays of the shape of that array.


def element_words(key_words: tuple[Array, Array], shape: tuple[int, ...]) -> tuple[Array, Array]:
    """The words of a key for each element of an array of `shape`: `split(key, shape)`."""
    return random_words(key_words, shape)


def split_each(key_words: tuple[Array, Array], count: int = 2) -> list[tuple[Array, Array]]:
    """`split_words` of every element's key: `count` keys for each element."""
    return [_encrypted(key_words, i) for i in range(count)]


def random_words_of_each(key_words: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two random words from every element's key: `random_words` of a scalar."""
    return _encrypted(key_words, 0)


def _encrypted(key_words: tuple[Array, Array], counter: int) -> tuple[Array, Array]:
    zero, low = (scalar(n, dtypes.uint32) for n in (0, counter))
    first, second = threefry2x32_p.bind(*key_words, zero, low)
    return first, second
