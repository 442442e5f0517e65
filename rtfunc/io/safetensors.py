"""Reads and writes safetensors files, the native format of weights.

A file is the length of the header as 8 bytes, the header, and the tensors' bytes. The header is
JSON: for each name a dtype, a shape, and where the bytes begin and end. Nothing in it can be
executed, and every byte of the data belongs to one tensor exactly.
Reference: https://github.com/huggingface/safetensors, its README, section "Format".
Depends on `files`.
"""

import hashlib
import json
import math
import struct
import sys
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.io.files import (
    FileFormatError,
    PathLike,
    Source,
    atomic_write,
    check_booleans,
    component_size,
    little_endian_bytes,
    open_source,
    read_only,
    swapped,
)

_MAX_HEADER = 100_000_000
_MAX_DIMENSIONS = 64
_METADATA = "__metadata__"

# The checksum stands in the metadata, and is taken over the file with zeros in its place.
_CHECKSUM = "checksum"
_CHECKSUM_BYTES = 16
_NO_CHECKSUM = "0" * (2 * _CHECKSUM_BYTES)
_CHUNK = 1 << 22

# In the order of the reference implementation, which lays out tensors by it, the last first.
_DTYPES: dict[str, np.dtype] = {
    name: np.dtype(scalar)
    for name, scalar in {
        "BOOL": np.bool_,
        "U8": np.uint8,
        "I8": np.int8,
        "F8_E5M2": ml_dtypes.float8_e5m2,
        "F8_E4M3": ml_dtypes.float8_e4m3fn,
        "F8_E8M0": ml_dtypes.float8_e8m0fnu,
        "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
        "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
        "I16": np.int16,
        "U16": np.uint16,
        "F16": np.float16,
        "BF16": ml_dtypes.bfloat16,
        "I32": np.int32,
        "U32": np.uint32,
        "F32": np.float32,
        "C64": np.complex64,
        "F64": np.float64,
        "I64": np.int64,
        "U64": np.uint64,
    }.items()
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_RANK = {name: rank for rank, name in enumerate(_DTYPES)}


def read(
    path: PathLike, mmap: bool = True, verify: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read all tensors of a file.

    Args:
        path: the file.
        mmap: let the arrays share the memory-mapped file, which is then read where and when they
            are looked at, and must not be changed meanwhile; otherwise each is read into memory.
        verify: compare the whole file with the checksum that `write` has put into its metadata.

    Returns:
        The tensors by name in the order of the header, as read-only arrays, and the metadata.

    Raises:
        FileFormatError: the file is not a safetensors file or is damaged, as the specification
            defines it, or has a dtype that NumPy and ml_dtypes do not; or `verify` is asked for and
            the checksum is missing or another.
        OSError: the file cannot be opened or read.

    Example:
        >>> import os, tempfile
        >>> from rtfunc.io import safetensors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "weights.safetensors")
        ...     safetensors.write({"bias": np.arange(3.0)}, path, {"step": "7"})
        ...     safetensors.read(path, mmap=False)
        ({'bias': array([0., 1., 2.])}, {'step': '7'})
    """
    with open_source(path, mmap=mmap) as source:
        header, start = _read_header(source)
        metadata = _checked_metadata(header.pop(_METADATA, None))
        entries = {name: _checked_entry(name, entry) for name, entry in header.items()}
        _check_layout(entries, source.size - start)
        if verify:
            _check_checksum(source, metadata.get(_CHECKSUM))
        arrays = {
            name: _read_array(source, dtype, shape, start + first)
            for name, (dtype, shape, first, _) in entries.items()
        }
        return arrays, metadata


def read_metadata(path: PathLike) -> dict[str, str]:
    """Read the metadata of a file, without its tensors.

    Raises:
        FileFormatError: the header is damaged.
        OSError: the file cannot be opened or read.
    """
    with open_source(path, mmap=False) as source:
        header, _ = _read_header(source)
        return _checked_metadata(header.get(_METADATA))


def _check_checksum(source: Source, recorded: str | None) -> None:
    if recorded is None:
        raise FileFormatError("the file has no checksum")
    digest = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
    (length,) = struct.unpack("<Q", source.read(0, 8))
    header = source.read(0, 8 + length)
    digest.update(header.replace(_checksum_entry(recorded), _checksum_entry(_NO_CHECKSUM), 1))
    for first in range(8 + length, source.size, _CHUNK):
        digest.update(source.read(first, min(_CHUNK, source.size - first)))
    if digest.hexdigest() != recorded:
        raise FileFormatError("the checksum does not match: the file is damaged")


def _checksum_entry(value: str) -> bytes:
    """The checksum as the header has it; in a text of the user the quotes would be escaped."""
    return json.dumps({_CHECKSUM: value}, separators=(",", ":"))[1:-1].encode()


def _read_header(source: Source) -> tuple[dict[str, Any], int]:
    if source.size < 8:
        raise FileFormatError("not a safetensors file: it has less than 8 bytes")
    (length,) = struct.unpack("<Q", source.read(0, 8))
    if length > _MAX_HEADER:
        raise FileFormatError(f"the header of {length} bytes exceeds the limit of {_MAX_HEADER}")
    if length > source.size - 8:
        raise FileFormatError("the header reaches over the end of the file")
    data = source.read(8, length)
    if not data.startswith(b"{"):
        raise FileFormatError("the header does not begin with '{'")
    try:
        header = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except FileFormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"the header is not JSON: {error!s:.200}") from None
    return header, 8 + length


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise FileFormatError("the header holds a key twice")
    for key in result:
        if not key.isascii():
            _check_text(key)
    return result


def _refuse_constant(name: str) -> Any:
    raise FileFormatError(f"the header holds {name}, which is not JSON")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FileFormatError("the header holds text that is not Unicode") from None


def _checked_metadata(metadata: Any) -> dict[str, str]:
    if metadata is None:
        return {}
    if type(metadata) is not dict or any(type(value) is not str for value in metadata.values()):
        raise FileFormatError("the metadata does not map text to text")
    for value in metadata.values():
        _check_text(value)
    return metadata


def _checked_entry(name: str, entry: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Dtype, shape, and where the bytes of a tensor begin and end."""
    if type(entry) is not dict or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise FileFormatError(f"the entry of {name!r:.100} lacks a dtype, shape or data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(dtype) is not str or dtype not in _DTYPES:
        raise FileFormatError(f"the dtype {dtype!r:.50} of {name!r:.100} is not supported")
    for values in (shape, offsets):
        if type(values) is not list or any(type(value) is not int for value in values):
            raise FileFormatError(f"the entry of {name!r:.100} holds other things than numbers")
        if any(not 0 <= value < 1 << 64 for value in values):
            raise FileFormatError(f"the entry of {name!r:.100} holds a number out of range")
    if len(offsets) != 2 or len(shape) > _MAX_DIMENSIONS:
        raise FileFormatError(f"the entry of {name!r:.100} has too many or too few numbers")
    first, end = offsets
    if math.prod(shape) * _DTYPES[dtype].itemsize != end - first:
        raise FileFormatError(
            f"{name!r:.100} of shape {shape} and {dtype} does not have {end - first} bytes"
        )
    if math.prod(max(size, 1) for size in shape) * _DTYPES[dtype].itemsize >= 1 << 62:
        raise FileFormatError(f"the shape {shape} of {name!r:.100} is too large for any machine")
    return _DTYPES[dtype], tuple(shape), first, end


def _check_layout(
    entries: Mapping[str, tuple[np.dtype, tuple[int, ...], int, int]], size: int
) -> None:
    """Raise unless the tensors cover the `size` bytes of data without overlap or hole."""
    position = 0
    for name, (_, _, first, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if first != position:
            fault = "overlaps another tensor" if first < position else "follows a hole"
            raise FileFormatError(f"the data of {name!r:.100} {fault}")
        position = end
    if position != size:
        raise FileFormatError(f"the tensors take {position} bytes, but the file holds {size}")


def _read_array(source: Source, dtype: np.dtype, shape: tuple[int, ...], offset: int) -> np.ndarray:
    data = source.array(offset, math.prod(shape) * dtype.itemsize, dtype.alignment)
    if dtype == np.bool_:
        check_booleans(data)
    if sys.byteorder == "big":
        data = swapped(data, component_size(dtype))
    return read_only(np.ndarray(shape, dtype, data))


def write(
    tensors: Mapping[str, np.ndarray],
    path: PathLike,
    metadata: Mapping[str, str] | None = None,
    checksum: bool = False,
) -> None:
    """Write arrays to a file, which is replaced atomically.

    The same tensors give the same bytes, in whatever order they come.

    Args:
        tensors: arrays by name. One that is not contiguous is written as if it were; arrays that
            share memory are written each for itself, since the format knows no sharing.
        path: the file.
        metadata: any text that shall go with them.
        checksum: add an entry "checksum" to the metadata, for `read` to verify.

    Raises:
        DtypeError: a name is not a str, a tensor is not an array, its dtype has no place in the
            format, or the metadata is not text.
        ArgumentError: a tensor has the name "__metadata__", or the names are too long for a header.
        OSError: the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> from rtfunc.io import safetensors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "weights.safetensors")
        ...     safetensors.write({"scale": np.ones((), np.float32)}, path)
        ...     os.path.getsize(path)
        76
    """
    names = {name: _dtype_name(name, array) for name, array in tensors.items()}
    order = sorted(tensors, key=lambda name: (-_RANK[names[name]], name.encode()))
    header: dict[str, Any] = {}
    if metadata is not None or checksum:
        text = {**(metadata or {}), **({_CHECKSUM: _NO_CHECKSUM} if checksum else {})}
        if any(type(part) is not str for item in text.items() for part in item):
            raise DtypeError(at_user_line("the metadata must map str to str"))
        header[_METADATA] = dict(sorted(text.items()))
    position = 0
    for name in order:
        end = position + tensors[name].nbytes
        shape = list(tensors[name].shape)
        header[name] = {"dtype": names[name], "shape": shape, "data_offsets": [position, end]}
        position = end
    data = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    data += b" " * (-len(data) % 8)
    if len(data) > _MAX_HEADER:
        raise ArgumentError(
            at_user_line(f"the header of {len(data)} bytes exceeds the limit of {_MAX_HEADER}")
        )
    head = struct.pack("<Q", len(data)) + data
    if checksum:
        digest = hashlib.blake2b(head, digest_size=_CHECKSUM_BYTES)
        for name in order:
            digest.update(little_endian_bytes(tensors[name]))
        entry = _checksum_entry(digest.hexdigest())
        head = head.replace(_checksum_entry(_NO_CHECKSUM), entry, 1)
    with atomic_write(path) as file:
        file.write(head)
        for name in order:
            file.write(little_endian_bytes(tensors[name]))


def _dtype_name(name: Any, array: Any) -> str:
    if type(name) is not str:
        raise DtypeError(at_user_line(f"the name of a tensor must be a str, not {name!r:.50}"))
    if name == _METADATA:
        raise ArgumentError(at_user_line(f"a tensor cannot have the name {_METADATA!r}"))
    if not isinstance(array, np.ndarray):
        raise DtypeError(
            at_user_line(f"the tensor {name!r} is a {type(array).__name__}, not an array")
        )
    dtype = array.dtype.newbyteorder("=")
    if dtype not in _NAMES:
        raise DtypeError(
            at_user_line(f"the tensor {name!r} has the dtype {dtype}, which the format has not")
        )
    return _NAMES[dtype]
