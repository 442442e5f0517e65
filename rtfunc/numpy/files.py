"""Arrays from and to files and texts in NumPy's formats: `.npy`, `.npz`, raw bytes, numbers as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.numpy.creation import asarray
from rtfunc.ops.convert import as_array


def save(file: Any, arr: ArrayLike, allow_pickle: bool = True) -> None:
    """Write one array to `file`, a path or a binary file object, in NumPy's `.npy` format.

    Nothing is pickled, whatever `allow_pickle` says: Arrays hold numbers.

    >>> import io
    >>> file = io.BytesIO()
    >>> save(file, np.arange(3))
    >>> _ = file.seek(0)
    >>> load(file)
    Array([0, 1, 2], dtype=int64)
    """
    np.save(file, _plain(arr), allow_pickle=False)


def savez(file: Any, *args: ArrayLike, **kwargs: ArrayLike) -> None:
    """Write several arrays to `file` in NumPy's `.npz` format, under `arr_0`, ... or their keywords.

    >>> import io
    >>> file = io.BytesIO()
    >>> savez(file, x=np.arange(3))
    >>> _ = file.seek(0)
    >>> load(file)["x"].shape
    (3,)
    """
    named = {name: _plain(value) for name, value in kwargs.items()}
    np.savez(file, *map(_plain, args), allow_pickle=False, **named)


def _plain(x: ArrayLike) -> np.ndarray:
    """The values; `.npy` files know only NumPy's own dtypes, so bfloat16 and float8 are widened."""
    value = np.asarray(as_array("save", asarray(x) if isinstance(x, (list, tuple)) else x))
    own = value.dtype.kind in "biufc"
    return value if own else value.astype(np.float32)


def load(file: Any, *, mmap_mode: None = None) -> Any:
    """The Array in an `.npy` file, or a dictionary of those in an `.npz` file; pickles are refused.

    >>> import io
    >>> file = io.BytesIO()
    >>> save(file, np.float32(2.0))
    >>> _ = file.seek(0)
    >>> load(file)
    Array(2., dtype=float32)
    """
    found = np.load(file, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return asarray(found)
    with found:
        return {name: asarray(found[name]) for name in found.files}


def fromfile(
    file: Any, dtype: DtypeLike = float, count: int = -1, sep: str = "", offset: int = 0
) -> Array:
    """An array with one axis from raw bytes (or numbers separated by `sep`) in a file.

    `dtype` is float32 by default, as everywhere here, where NumPy reads float64.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "numbers")
    >>> np.arange(2, dtype="float32").tofile(path)
    >>> fromfile(path)
    Array([0., 1.], dtype=float32)
    """
    return Array(np.fromfile(file, as_dtype(dtype), count, sep, offset))


def fromstring(string: str, dtype: DtypeLike = float, count: int = -1, *, sep: str) -> Array:
    """An array with one axis from numbers in a text, separated by `sep`.

    >>> fromstring("1, 2, 3", dtype=int, sep=",")
    Array([1, 2, 3], dtype=int32)
    """
    return Array(np.fromstring(string, as_dtype(dtype), count, sep=sep))


def fromiter(iter: Iterable[Any], dtype: DtypeLike, count: int = -1) -> Array:
    """An array with one axis from the numbers that an iterable gives.

    >>> fromiter((i * i for i in range(3)), int)
    Array([0, 1, 4], dtype=int32)
    """
    try:
        found = np.fromiter(iter, as_dtype(dtype), count)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            at_user_line(f"fromiter takes an iterable of numbers: {error}.")
        ) from None
    return Array(found)
