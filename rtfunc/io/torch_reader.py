"""Reads the files of `torch.save` without PyTorch, and without running anything that they hold.

Two formats exist. Since PyTorch 1.6 a file is a zip archive: the pickle `data.pkl` refers to
storages, each a member `data/<key>`. Before, it was a sequence of pickles with the storages' bytes
after them. Both pickles run on `pickle_machine`, with the globals of `torch_objects`.
"""

import struct
import sys
from collections.abc import Callable
from typing import IO, Any, cast

import numpy as np

from rtfunc.io.files import Budget, FileFormatError, PathLike, Source, open_source
from rtfunc.io.pickle_machine import PickleInput, PickleMachine, check_tree
from rtfunc.io.torch_objects import Storage, StorageType, TensorBuilder, refusal
from rtfunc.io.zip_archive import ZipReader

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MAX_ALIGNMENT = 8
_OTHER_FORMATS = (
    (257, b"ustar", "a tar archive, the format of PyTorch before 0.1.10, which is not supported"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\x1f\x8b", "compressed by gzip; decompress it first"),
    (0, b"\x93NUMPY", "a NumPy file; read it with numpy.load"),
    (8, b'{"', "a safetensors file; read it with rtfunc.io.safetensors.read"),
)


def read(path_or_file: PathLike | IO[bytes] | bytes, *, mmap: bool = False) -> Any:
    """Read what `torch.save` wrote; tensors become NumPy arrays.

    Nothing in the file is executed: a pickle machine of this package builds tensors and plain
    containers and refuses everything else. The arrays are read-only. Those that shared a storage
    are views of one buffer. Types become: `Parameter` and tensors of any device an array;
    `bfloat16` and `float8` the dtypes of ml_dtypes; `complex32` complex64; `torch.Size` a tuple;
    `torch.dtype` a `numpy.dtype`; `torch.device` a str. Numbers, text, dict, OrderedDict, list,
    tuple, set, NumPy's arrays and scalars, and `argparse.Namespace` stay what they are.

    Args:
        path_or_file: a path, a seekable binary file, read from its position on, or the bytes that a
        file would hold.
        mmap: let the arrays share the memory-mapped file, which is then read where and when they
            are looked at, and must not be changed meanwhile. Checksums of tensors are then not
            verified. Has an effect for paths to uncompressed zip files only.

    Returns:
        The object that was saved.

    Raises:
        FileFormatError: the file is not one of `torch.save`, is damaged, or holds something other
            than tensors and plain containers; the message names the file and the object.
        OSError: the file cannot be opened or read.

    Example:
        >>> import io
        >>> from rtfunc.io import torch_reader, torch_writer
        >>> file = io.BytesIO()
        >>> torch_writer.write({"weight": np.ones((2, 3), np.float32), "step": 7}, file)
        >>> _ = file.seek(0)
        >>> state = torch_reader.read(file)
        >>> state["weight"].shape, state["step"]
        ((2, 3), 7)
    """
    with open_source(path_or_file, mmap=mmap) as source:
        result = _reader_of(source)(source)
        check_tree(result)
        return result


def _reader_of(source: Source) -> Callable[[Source], Any]:
    if source.size == 0:
        raise FileFormatError("the file is empty")
    head = source.read(0, min(source.size, 300))
    if head.startswith(b"PK\x03\x04"):
        return _read_zip
    for offset, signature, description in _OTHER_FORMATS:
        if head[offset : offset + len(signature)] == signature:
            raise FileFormatError(f"not a file of torch.save but {description}")
    if head[0] == 0x80:
        return _read_legacy
    raise FileFormatError(f"not a file of torch.save: it begins with {head[:8]!r}")


def _budget(source: Source) -> Budget:
    return Budget(16 * source.size + (16 << 20))


def _read_zip(source: Source) -> Any:
    budget = _budget(source)
    archive = ZipReader(source, budget)
    root = _archive_root(archive)
    order = archive.read(f"{root}/byteorder") if f"{root}/byteorder" in archive else b"little"
    if order not in (b"little", b"big"):
        raise FileFormatError(f"the byte order {order!r:.50} is unknown")
    swap = order.decode() != sys.byteorder
    storages: dict[str, Storage] = {}

    def persistent_load(identity: Any) -> Storage:
        kind, key, size = _storage_identity(identity, 5)
        name = f"{root}/data/{key}"
        if key not in storages:
            if name not in archive:
                raise FileFormatError(f"the archive has no storage {name!r:.100}")
            data = archive.array(name, alignment=_MAX_ALIGNMENT, mapped=True)
            storages[key] = Storage(kind, data, swap=swap)
        storage = storages[key]
        _check_kind(storage, kind, key)
        if size != storage.data.size:
            raise FileFormatError(
                f"the storage {name!r:.100} has {storage.data.size} bytes, but {size} are declared"
            )
        return storage

    pickle = PickleInput(archive.read(f"{root}/data.pkl"))
    builders = TensorBuilder(budget).builders()
    return PickleMachine(pickle, builders, refusal, persistent_load).run()


def _archive_root(archive: ZipReader) -> str:
    """The folder that all members are in."""
    names = archive.members
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise FileFormatError(
            "a TorchScript archive, made by torch.jit.save, holds a program; "
            "save the state_dict() of the module instead"
        )
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
    roots = [root for root in roots if "/" not in root]
    if len(roots) != 1:
        raise FileFormatError(
            "a zip archive without a data.pkl in its folder is not a file of torch.save"
            if not roots
            else "the zip archive holds more than one data.pkl"
        )
    return roots[0]


def _storage_identity(identity: Any, length: int) -> tuple[StorageType, Any, int]:
    """Storage class, key and number of bytes in the persistent id of a storage."""
    if type(identity) is not tuple or len(identity) != length:
        raise FileFormatError("the pickle refers to something that is not a storage")
    tag, kind, key, _, count = identity[:5]
    tag = tag.decode("latin1") if type(tag) is bytes else tag
    if type(tag) is str and tag == "module":
        raise FileFormatError("the file holds a whole module; save its state_dict() instead")
    if type(tag) is not str or tag != "storage" or not isinstance(kind, StorageType):
        raise FileFormatError("the pickle refers to something that is not a storage")
    if type(key) not in (str, int) or type(count) is not int or count < 0:
        raise FileFormatError("the pickle refers to a storage by an unsuitable key or size")
    return kind, key, count * kind.itemsize


def _check_kind(storage: Storage, kind: StorageType, key: Any) -> None:
    if storage.kind.name != kind.name:
        raise FileFormatError(
            f"the storage {key!r:.50} is declared as {storage.kind.name} and as {kind.name}"
        )


def _read_legacy(source: Source) -> Any:
    """Magic number, protocol version, system, object, storage keys: a pickle each; then the bytes.

    The bytes of a storage come after the pickle of the object, and where they begin is known only
    when all storages are. So the object's pickle runs twice: first over zeros, to learn what
    storages there are, then over their bytes.
    """
    start = _read_legacy_header(source)
    declared: dict[Any, Storage] = {}
    total = 0

    def declare(kind: StorageType, key: Any, size: int) -> Storage:
        nonlocal total
        if key not in declared:
            total += size
            if total > source.size:
                raise FileFormatError("the storages have more bytes than the file: it is truncated")
            declared[key] = Storage(kind, np.zeros(size, np.uint8))
        return declared[key]

    end = _run_legacy(source, start, declare)[1]
    sizes = {key: (storage.kind, storage.data.size) for key, storage in declared.items()}
    declared.clear()
    stored = _legacy_storages(source, end, sizes)
    return _run_legacy(source, start, lambda kind, key, size: stored[key])[0]


def _read_legacy_header(source: Source) -> int:
    """Check the pickles before the object's and return where that begins."""
    stream = PickleInput(source)
    try:
        magic = PickleMachine(stream, {}).run()
    except FileFormatError:
        magic = None
    if type(magic) is not int or magic != _LEGACY_MAGIC:
        raise FileFormatError("a pickle, but not one of torch.save")
    protocol = PickleMachine(stream, {}).run()
    if type(protocol) is not int or protocol != _LEGACY_PROTOCOL:
        raise FileFormatError(f"the legacy protocol version {protocol!r:.50} is unknown")
    if type(PickleMachine(stream, {}).run()) is not dict:
        raise FileFormatError("the legacy header does not describe a system")
    return stream.offset


def _run_legacy(
    source: Source, start: int, find: Callable[[StorageType, Any, int], Storage]
) -> tuple[Any, int]:
    """Run the object's pickle; return the object and where the pickle ends."""
    views: dict[Any, Storage] = {}

    def persistent_load(identity: Any) -> Storage:
        # Before the sixth part was there, a storage was never a view of another.
        length = len(identity) if type(identity) is tuple else 0
        kind, key, size = _storage_identity(identity, 5 if length == 5 else 6)
        storage = find(kind, key, size)
        _check_kind(storage, kind, key)
        if size != storage.data.size:
            raise FileFormatError(f"the storage {key!r:.50} is declared with two sizes")
        view = identity[5] if length == 6 else None
        return storage if view is None else _storage_view(storage, view, views)

    stream = PickleInput(source, start)
    builders = TensorBuilder(_budget(source)).builders()
    result = PickleMachine(stream, builders, refusal, persistent_load).run()
    return result, stream.offset


def _storage_view(storage: Storage, view: Any, views: dict[Any, Storage]) -> Storage:
    if type(view) is not tuple or len(view) != 3:
        raise FileFormatError("a storage is a view of another in an unknown way")
    key, offset, count = view
    if type(key) not in (str, int) or type(offset) is not int or type(count) is not int:
        raise FileFormatError("a storage is a view of another in an unknown way")
    itemsize = storage.kind.itemsize
    if offset < 0 or count < 0 or (offset + count) * itemsize > storage.data.size:
        raise FileFormatError("a view of a storage reaches over its end")
    part = storage.data[offset * itemsize : (offset + count) * itemsize]
    return views.setdefault(key, Storage(storage.kind, part))


def _legacy_storages(
    source: Source, offset: int, declared: dict[Any, tuple[StorageType, int]]
) -> dict[Any, Storage]:
    """The storages, read from after the pickle of their keys, which stands at `offset`."""
    stream = PickleInput(source, offset)
    keys = PickleMachine(stream, {}).run()
    if type(keys) is not list or any(type(key) not in (str, int) for key in keys):
        raise FileFormatError("the keys of the storages are not a list")
    if set(keys) != set(declared) or len(keys) != len(declared):
        raise FileFormatError("the file does not hold the storages that its tensors use")
    offset = stream.offset
    stored: dict[Any, Storage] = {}
    for key in cast(list[Any], keys):
        kind, size = declared[key]
        (count,) = struct.unpack("<q", source.read(offset, 8))
        if count * kind.itemsize != size:
            raise FileFormatError(
                f"the storage {key!r:.50} has {count} elements, but {size // kind.itemsize} "
                "are declared"
            )
        data = source.array(offset + 8, size, _MAX_ALIGNMENT)
        if sys.byteorder == "big" and kind.dtype is not None:
            data = Storage(kind, data, swap=True).items(kind.dtype.itemsize)
        stored[key] = Storage(kind, data)
        offset += 8 + size
    return stored
