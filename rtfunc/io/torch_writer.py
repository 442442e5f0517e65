"""Writes files that `torch.load(weights_only=True)` reads, without PyTorch.

The object is pickled by a printer of this module, since the globals that a tensor needs, such as
`torch._utils._rebuild_tensor_v2`, must be named without existing. The storages follow as members of
a zip archive. The same object gives the same bytes.
"""

import io
import struct
from collections import OrderedDict
from collections.abc import Sequence
from typing import IO, Any, NamedTuple, cast

import numpy as np

from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.io.files import PathLike, atomic_write, little_endian_bytes
from rtfunc.io.torch_dtypes import NAME_OF_DTYPE, STORAGE_OF_DTYPE
from rtfunc.io.zip_archive import ALIGNMENT, ZipWriter

_ROOT = "archive"
_MAX_DEPTH = 200
_MAX_INTEGER_BYTES = 255


def write(object: Any, path_or_file: PathLike | IO[bytes]) -> None:
    """Write an object as `torch.save` would, NumPy arrays becoming tensors.

    Arrays that overlap in memory stay shared, written once, where they have one dtype and that
    takes no more room than copies; any other array is written contiguous. A path is replaced
    atomically: after a failure the old file is still there.

    Args:
        object: arrays and NumPy scalars (which become 0-d tensors) of the dtypes that PyTorch has,
            None, bool, int, float, complex, str, bytes and dtypes, in dict, OrderedDict, list and
            tuple, nested as one likes. The keys of a dict are among these values.
        path_or_file: a path, or a file open for binary writing.

    Raises:
        DtypeError: the object holds something else; the message says where.
        ArgumentError: a container contains itself, or nesting is deeper than 200.
        OSError: the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> from rtfunc.io import torch_reader, torch_writer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "weights.pth")
        ...     torch_writer.write({"bias": np.arange(3.0)}, path)
        ...     torch_reader.read(path)
        {'bias': array([0., 1., 2.])}
    """
    printer = _PicklePrinter()
    pickle = printer.print(object)
    with atomic_write(path_or_file) as file:
        archive = ZipWriter(file)
        archive.write(f"{_ROOT}/data.pkl", pickle)
        archive.write(f"{_ROOT}/.format_version", b"1")
        archive.write(f"{_ROOT}/.storage_alignment", str(ALIGNMENT).encode())
        archive.write(f"{_ROOT}/byteorder", b"little")
        for key, storage in enumerate(printer.storages):
            archive.write(f"{_ROOT}/data/{key}", little_endian_bytes(storage))
        archive.write(f"{_ROOT}/version", b"3\n")
        archive.finish()


class _Placement(NamedTuple):
    """Where a tensor lies: its storage, and offset and strides in elements."""

    storage: np.ndarray
    offset: int
    strides: tuple[int, ...]


class _PicklePrinter:
    """Prints one object as a pickle of protocol 2, and collects the storages that it refers to."""

    def __init__(self) -> None:
        self.storages: list[np.ndarray] = []
        self._out = io.BytesIO()
        self._memo: dict[Any, int] = {}
        self._placements: dict[int, _Placement] = {}
        self._numbers: dict[int, int] = {}  # by the id of a storage

    def print(self, root: Any) -> bytes:
        """The pickle."""
        arrays: dict[int, np.ndarray] = {}
        _collect_arrays(root, arrays, "the object", [])
        self._place(list(arrays.values()))
        self._put(b"\x80\x02")
        self._value(root)
        self._put(b".")
        return self._out.getvalue()

    def _put(self, *parts: bytes) -> None:
        for part in parts:
            self._out.write(part)

    # Storages.

    def _place(self, arrays: Sequence[np.ndarray]) -> None:
        for group in _overlapping(arrays):
            storage = _common_storage(group) if len(group) > 1 else None
            for array in group:
                self._placements[id(array)] = (
                    _Placement(array, 0, _contiguous_strides(array.shape))
                    if storage is None
                    else _view_of(storage, array)
                )

    def _storage_number(self, storage: np.ndarray) -> int:
        """The storages are numbered as the pickle names them: some readers count on it."""
        number = self._numbers.setdefault(id(storage), len(self.storages))
        if number == len(self.storages):
            self.storages.append(storage)
        return number

    # The memo: a value that was printed before is referred to.

    def _recall(self, key: Any) -> bool:
        number = self._memo.get(key)
        if number is None:
            return False
        self._put(b"h" + bytes([number]) if number < 256 else b"j" + struct.pack("<I", number))
        return True

    def _remember(self, key: Any) -> None:
        number = self._memo[key] = len(self._memo)
        self._put(b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number))

    # Values.

    def _value(self, value: Any) -> None:
        _PRINTERS[_kind_of(value)](self, value)

    def _global(self, name: str) -> None:
        if not self._recall(("global", name)):
            module, _, attribute = name.rpartition(".")
            self._put(f"c{module}\n{attribute}\n".encode())
            self._remember(("global", name))

    def _none(self, _: None) -> None:
        self._put(b"N")

    def _bool(self, value: bool) -> None:
        self._put(b"\x88" if value else b"\x89")

    def _int(self, value: int) -> None:
        if 0 <= value < 256:
            self._put(b"K", bytes([value]))
        elif 0 <= value < 65536:
            self._put(b"M", struct.pack("<H", value))
        elif -(2**31) <= value < 2**31:
            self._put(b"J", struct.pack("<i", value))
        else:
            length = value.bit_length() // 8 + 1
            if length > _MAX_INTEGER_BYTES:
                raise ArgumentError(at_user_line(f"an integer of {length} bytes cannot be written"))
            self._put(b"\x8a", bytes([length]), value.to_bytes(length, "little", signed=True))

    def _float(self, value: float) -> None:
        self._put(b"G", struct.pack(">d", value))

    def _complex(self, value: complex) -> None:
        self._global("__builtin__.complex")
        self._value((value.real, value.imag))
        self._put(b"R")

    def _str(self, value: str) -> None:
        if not self._recall(("str", value)):
            data = value.encode("utf-8", "surrogatepass")
            self._put(b"X", struct.pack("<I", len(data)), data)
            self._remember(("str", value))

    def _bytes(self, value: bytes) -> None:
        self._global("_codecs.encode")
        self._value((value.decode("latin1"), "latin1"))
        self._put(b"R")

    def _dtype(self, value: np.dtype) -> None:
        self._global(f"torch.{NAME_OF_DTYPE[value.newbyteorder('=')]}")

    def _tuple(self, value: tuple) -> None:
        if 0 < len(value) <= 3:
            for item in value:
                self._value(item)
            self._put((b"\x85", b"\x86", b"\x87")[len(value) - 1])
        elif not value:
            self._put(b")")
        else:
            self._put(b"(")
            for item in value:
                self._value(item)
            self._put(b"t")

    def _list(self, value: list) -> None:
        if self._recall(id(value)):
            return
        self._put(b"]")
        self._remember(id(value))
        if value:
            self._put(b"(")
            for item in value:
                self._value(item)
            self._put(b"e")

    def _dict(self, value: dict) -> None:
        if self._recall(id(value)):
            return
        self._put(b"}")
        self._remember(id(value))
        self._items(value)

    def _ordered_dict(self, value: OrderedDict) -> None:
        if self._recall(id(value)):
            return
        self._empty_ordered_dict()
        self._remember(id(value))
        self._items(value)
        metadata = vars(value).get("_metadata")
        if metadata is not None:
            self._put(b"}")
            self._str("_metadata")
            self._value(metadata)
            self._put(b"sb")

    def _empty_ordered_dict(self) -> None:
        self._global("collections.OrderedDict")
        self._put(b")R")

    def _items(self, value: dict) -> None:
        if value:
            self._put(b"(")
            for key, item in value.items():
                self._value(key)
                self._value(item)
            self._put(b"u")

    def _array(self, value: np.ndarray) -> None:
        if self._recall(id(value)):
            return
        placement = self._placements[id(value)]
        dtype = value.dtype.newbyteorder("=")
        typed = STORAGE_OF_DTYPE.get(dtype)
        storage_size = placement.storage.size
        self._global("torch._utils._rebuild_tensor_v" + ("2" if typed else "3"))
        self._put(b"((")
        self._str("storage")
        self._global(f"torch.{typed}" if typed else "torch.storage.UntypedStorage")
        self._str(str(self._storage_number(placement.storage)))
        self._str("cpu")
        self._int(storage_size if typed else storage_size * dtype.itemsize)
        self._put(b"tQ")
        self._int(placement.offset)
        self._tuple(value.shape)
        self._tuple(placement.strides)
        self._bool(False)  # requires_grad
        self._empty_ordered_dict()  # backward hooks
        if not typed:
            self._dtype(dtype)
        self._put(b"tR")
        self._remember(id(value))

    def _scalar(self, value: np.generic) -> None:
        array = np.asarray(value)
        self._place([array])  # which keeps it alive, so that its id stays its own
        self._array(array)


_PRINTERS: dict[type, Any] = {
    type(None): _PicklePrinter._none,
    bool: _PicklePrinter._bool,
    int: _PicklePrinter._int,
    float: _PicklePrinter._float,
    complex: _PicklePrinter._complex,
    str: _PicklePrinter._str,
    bytes: _PicklePrinter._bytes,
    tuple: _PicklePrinter._tuple,
    list: _PicklePrinter._list,
    dict: _PicklePrinter._dict,
    OrderedDict: _PicklePrinter._ordered_dict,
    np.dtype: _PicklePrinter._dtype,
    np.ndarray: _PicklePrinter._array,
    np.generic: _PicklePrinter._scalar,
}


def _kind_of(value: Any) -> type:
    """The key in the table of printers; a class of NumPy's counts as the general one."""
    if type(value) is np.memmap:
        return np.ndarray
    if isinstance(value, np.generic | np.dtype):
        return np.dtype if isinstance(value, np.dtype) else np.generic
    return type(value)


def _collect_arrays(value: Any, arrays: dict[int, np.ndarray], where: str, path: list[int]) -> None:
    """Find all arrays in `value`, by id, and raise if it holds what cannot be written.

    Args:
        value: the object.
        arrays: is filled.
        where: how to reach `value`, for the error.
        path: the ids of the containers around it.
    """
    kind = _kind_of(value)
    if kind not in _PRINTERS:
        raise DtypeError(at_user_line(f"cannot write {where}, a {type(value).__name__}"))
    if kind in (np.ndarray, np.generic, np.dtype):
        dtype = value if isinstance(value, np.dtype) else value.dtype
        if dtype.newbyteorder("=") not in NAME_OF_DTYPE:
            raise DtypeError(
                at_user_line(f"cannot write {where}: PyTorch has no dtype for {dtype}")
            )
        if kind is np.ndarray:
            arrays[id(value)] = cast(np.ndarray, value)
    elif kind in (dict, OrderedDict, list, tuple):
        if id(value) in path:
            raise ArgumentError(at_user_line(f"cannot write {where}: it contains itself"))
        if len(path) >= _MAX_DEPTH:
            raise ArgumentError(
                at_user_line(f"cannot write an object that nests deeper than {_MAX_DEPTH}")
            )
        path.append(id(value))
        if isinstance(value, dict):
            for key, item in value.items():
                if _kind_of(key) in (np.ndarray, np.generic):
                    raise DtypeError(
                        at_user_line(f"cannot write a {type(key).__name__} as a key in {where}")
                    )
                _collect_arrays(key, arrays, f"the key {key!r:.50} of {where}", path)
                _collect_arrays(item, arrays, f"{where}[{key!r:.50}]", path)
        else:
            for index, item in enumerate(value):
                _collect_arrays(item, arrays, f"{where}[{index}]", path)
        if kind is OrderedDict and "_metadata" in vars(value):
            _collect_arrays(vars(value)["_metadata"], arrays, f"{where}._metadata", path)
        path.pop()


def _contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """PyTorch's strides of a contiguous tensor, in elements."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _view_of(storage: np.ndarray, array: np.ndarray) -> _Placement:
    """How `array` lies in `storage`, a stretch of the same memory."""
    size = array.dtype.itemsize
    steps = tuple(
        step // size if length > 1 else 1 for length, step in zip(array.shape, array.strides)
    )
    return _Placement(storage, (_extent(array)[0] - _extent(storage)[0]) // size, steps)


def _extent(array: np.ndarray) -> tuple[int, int]:
    """The addresses of the first byte and after the last that the array's elements take."""
    return np.lib.array_utils.byte_bounds(array)


def _overlapping(arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """The arrays in groups that overlap in memory, in the order of their first members."""
    order = {id(array): index for index, array in enumerate(arrays)}
    groups: list[list[np.ndarray]] = [[array] for array in arrays if array.size == 0]
    reach = -1
    for array in sorted((a for a in arrays if a.size), key=lambda a: _extent(a)[0]):
        first, end = _extent(array)
        if first < reach:
            groups[-1].append(array)
        else:
            groups.append([array])
        reach = max(reach, end)
    for group in groups:
        group.sort(key=lambda array: order[id(array)])
    return sorted(groups, key=lambda group: order[id(group[0])])


def _common_storage(group: Sequence[np.ndarray]) -> np.ndarray | None:
    """The stretch of memory that holds all of a group, or None where copies are better or needed.

    PyTorch wants one dtype, offsets in whole elements and no negative strides.
    """
    dtype = group[0].dtype
    size = dtype.itemsize
    first = min(_extent(array)[0] for array in group)
    end = max(_extent(array)[1] for array in group)
    fits = all(
        array.dtype == dtype
        and (_extent(array)[0] - first) % size == 0
        and all(
            step >= 0 and step % size == 0
            for length, step in zip(array.shape, array.strides)
            if length > 1
        )
        for array in group
    )
    if not fits or end - first > sum(array.nbytes for array in group):
        return None
    for array in group:
        if _extent(array) == (first, end) and array.flags.c_contiguous:
            return array.reshape(-1)
    base = _owner(group[0])
    base_first, base_end = _extent(base)
    if first < base_first or end > base_end or not base.flags.forc:
        return None
    whole = base.ravel("K").view(np.uint8)
    return whole[first - base_first : end - base_first].view(dtype)


def _owner(array: np.ndarray) -> np.ndarray:
    """The outermost array whose memory `array` is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
