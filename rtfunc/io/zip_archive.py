"""The part of the zip format that PyTorch's files use, read from hostile input and written.

PyTorch stores its members uncompressed, with each member's data aligned by padding in the local
header, so that a storage can be mapped into memory from the middle of the archive. The reader takes
any zip whose members do not overlap; the writer repeats the layout of PyTorch's own, to the byte.
Reference: PKWARE APPNOTE 6.3.3, sections 4.3 and 4.5.3. Depends on `files` only.
"""

import struct
import zlib
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

import numpy as np

from rtfunc.io.files import Budget, FileFormatError, Source

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW, _UTF8_NAME = 0x1, 0x8, 0x800
_ZIP64_EXTRA, _PADDING_EXTRA = 1, 0x4246  # "FB", PyTorch's own

ALIGNMENT = 64
MAX_32 = 0xFFFFFFFF
MAX_16 = 0xFFFF
_WIDE_FROM = MAX_32  # a number from here on is written in a field of 64 bits


class Member(NamedTuple):
    """One file in an archive, as the central directory describes it."""

    name: str
    raw_name: bytes
    method: int
    flags: int
    checksum: int
    stored_size: int
    size: int
    header_offset: int
    limit: int  # where the next member, or the central directory, begins


class ZipReader:
    """Reads the members of a zip archive.

    Args:
        source: the archive's bytes.
        budget: what inflating compressed members may take.

    Raises:
        FileFormatError: the archive is damaged, or uses a feature that PyTorch's files never do.
    """

    def __init__(self, source: Source, budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self.members: Mapping[str, Member] = _read_directory(source)

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def read(self, name: str) -> bytes:
        """A member's whole content, its checksum verified."""
        return self.array(name, alignment=1, mapped=False).tobytes()

    def array(self, name: str, *, alignment: int, mapped: bool) -> np.ndarray:
        """A member's content as a uint8 vector.

        Args:
            name: the member.
            alignment: of the items that will be seen in it; a worse aligned member is copied.
            mapped: share memory with the mapped file, if it is mapped; the checksum is then left
                unverified, as that would read all of it. PyTorch records a checksum of 0 where it
                was told to compute none.
        """
        member = self.members[name]
        offset = self._data_offset(member)
        source = self._source
        if member.method == _STORED:
            if mapped and source.mapped:
                return source.array(offset, member.size, alignment)
            data = np.empty(member.size, np.uint8)
            source.read_into(offset, data)
        else:
            self._budget.charge(member.size, f"the compressed member {name!r}")
            data = np.frombuffer(_inflate(source.read(offset, member.stored_size), member), "u1")
        if member.checksum and zlib.crc32(data.data) != member.checksum:
            raise FileFormatError(f"the checksum of {name!r} does not match: the file is damaged")
        return data

    def _data_offset(self, member: Member) -> int:
        header = self._source.read(member.header_offset, _LOCAL_HEADER.size)
        signature, *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        name_offset = member.header_offset + _LOCAL_HEADER.size
        if signature != b"PK\x03\x04" or name_length != len(member.raw_name):
            raise FileFormatError(f"the local header of {member.name!r} is damaged")
        if self._source.read(name_offset, name_length) != member.raw_name:
            raise FileFormatError(f"the local header of {member.name!r} bears another name")
        offset = name_offset + name_length + extra_length
        if offset + member.stored_size > member.limit:
            raise FileFormatError(f"the member {member.name!r} overlaps what follows it")
        return offset


def _inflate(data: bytes, member: Member) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than declared tells a member that is longer than it says.
        content = inflater.decompress(data, member.size + 1)
    except zlib.error as error:
        raise FileFormatError(f"cannot decompress {member.name!r}: {error}") from None
    if len(content) != member.size:
        raise FileFormatError(f"the member {member.name!r} does not have the size that it declares")
    return content


def _read_directory(source: Source) -> dict[str, Member]:
    count, offset, size, end = _find_directory(source)
    if offset + size > end:
        raise FileFormatError("the zip directory is damaged")
    if count * _CENTRAL_HEADER.size > size:
        raise FileFormatError(f"the zip directory cannot hold the {count} members that it declares")
    directory = source.read(offset, size)
    entries = []
    position = 0
    for _ in range(count):
        entry, position = _read_entry(directory, position)
        entries.append(entry)
    entries.sort(key=lambda entry: entry.header_offset)
    members: dict[str, Member] = {}
    limits = [entry.header_offset for entry in entries[1:]] + [offset]
    for entry, limit in zip(entries, limits):
        least = _LOCAL_HEADER.size + len(entry.raw_name) + entry.stored_size
        if entry.header_offset + least > limit:
            raise FileFormatError(f"the member {entry.name!r} overlaps what follows it")
        if entry.name in members:
            raise FileFormatError(f"the member {entry.name!r} stands twice in the zip directory")
        members[entry.name] = entry._replace(limit=limit)
    return members


def _find_directory(source: Source) -> tuple[int, int, int, int]:
    """Number of members, offset and size of the central directory, and where its end record is."""
    tail_size = min(source.size, _END.size + MAX_16)
    tail = source.read(source.size - tail_size, tail_size)
    found = tail.rfind(b"PK\x05\x06", 0, max(len(tail) - _END.size, 0) + 4)
    if found < 0:
        raise FileFormatError("the zip archive has no end record: it is truncated")
    end = source.size - tail_size + found
    _, disk, first_disk, _, count, size, offset, _ = _END.unpack_from(tail, found)
    if disk or first_disk:
        raise FileFormatError("zip archives of several parts are not supported")
    if count != MAX_16 and MAX_32 not in (size, offset):
        return count, offset, size, end
    locator = source.read(end - _LOCATOR_64.size, _LOCATOR_64.size)
    signature, _, end_64, _ = _LOCATOR_64.unpack(locator)
    if signature != b"PK\x06\x07":
        return count, offset, size, end
    record = _END_64.unpack(source.read(end_64, _END_64.size))
    if record[0] != b"PK\x06\x06":
        raise FileFormatError("the zip64 end record is damaged")
    return record[7], record[9], record[8], end_64


def _read_entry(directory: bytes, position: int) -> tuple[Member, int]:
    after = position + _CENTRAL_HEADER.size
    if after > len(directory):
        raise FileFormatError("the zip directory is truncated")
    fields = _CENTRAL_HEADER.unpack_from(directory, position)
    signature, _, _, flags, method, _, _, checksum, stored_size, size = fields[:10]
    name_length, extra_length, comment_length, _, _, _, header_offset = fields[10:]
    end = after + name_length + extra_length + comment_length
    if signature != b"PK\x01\x02" or end > len(directory):
        raise FileFormatError("the zip directory is damaged")
    raw_name = directory[after : after + name_length]
    name = raw_name.decode("utf-8", "surrogateescape")
    extra = directory[after + name_length : after + name_length + extra_length]
    size, stored_size, header_offset = _apply_zip64(extra, [size, stored_size, header_offset])
    if flags & _ENCRYPTED:
        raise FileFormatError(f"the member {name!r} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise FileFormatError(f"the member {name!r} is compressed by an unsupported method")
    if method == _STORED and size != stored_size:
        raise FileFormatError(f"the member {name!r} declares two different sizes")
    member = Member(
        name, raw_name, method, flags, checksum, stored_size, size, header_offset, limit=0
    )
    return member, end


def _apply_zip64(extra: bytes, values: list[int]) -> list[int]:
    """Take the values that are full from the zip64 extra field, in the order of the standard."""
    if MAX_32 not in values:
        return values
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, position)
        field = extra[position + 4 : position + 4 + length]
        position += 4 + length
        if tag == _ZIP64_EXTRA:
            wide = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            return [next(wide, value) if value == MAX_32 else value for value in values]
    return values


class ZipWriter:
    """Writes members one after the other into a file, each aligned to 64 bytes as PyTorch's are.

    The layout is that of PyTorch's archives, so that a reader which computes the place of a storage
    rather than looking it up finds it: sizes in a descriptor after the data, padding before it.
    The same members give the same bytes.

    Args:
        file: open for binary writing; only its `write` is called.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0
        self._directory: list[bytes] = []

    def _put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view.nbytes:
            written = self._file.write(view)
            written = view.nbytes if written is None else written
            view = view[written:]
            self._position += written

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Append a member.

        Args:
            name: its path in the archive.
            data: its content.
        """
        raw_name = name.encode()
        size = len(data)
        checksum = zlib.crc32(data)
        offset = self._position
        flags = _UTF8_NAME | (_SIZES_FOLLOW if size else 0)
        local_extra = _padded(
            _zip64_extra([size, size, offset] if size >= _WIDE_FROM else [offset]),
            offset + _LOCAL_HEADER.size + len(raw_name),
        )
        names = (len(raw_name), len(local_extra))
        self._put(
            _LOCAL_HEADER.pack(b"PK\x03\x04", 0, flags, _STORED, 0, 0, 0, 0, 0, *names)
            + raw_name
            + local_extra
        )
        self._put(data)
        wide = size >= _WIDE_FROM or offset >= _WIDE_FROM
        if size:
            form = "<4sI2Q" if wide else "<4s3I"
            self._put(struct.pack(form, b"PK\x07\x08", checksum, size, size))
        extra = _zip64_extra([size, size, offset])
        lengths = (len(raw_name), len(extra), 0, 0, 0, 0)
        sizes = (_narrow(size), _narrow(size))
        versions = (0, 0, flags, _STORED, 0, 0)
        self._directory.append(
            _CENTRAL_HEADER.pack(
                b"PK\x01\x02", *versions, checksum, *sizes, *lengths, _narrow(offset)
            )
            + raw_name
            + extra
        )

    def finish(self) -> None:
        """Append the central directory and the end records."""
        offset, count = self._position, len(self._directory)
        self._put(b"".join(self._directory))
        size, end_64 = self._position - offset, self._position
        record_size = _END_64.size - 12  # counted from after this very field
        versions = (0x031E, 45, 0, 0)
        self._put(_END_64.pack(b"PK\x06\x06", record_size, *versions, count, count, size, offset))
        self._put(_LOCATOR_64.pack(b"PK\x06\x07", 0, end_64, 1))
        counts = (min(count, MAX_16),) * 2
        place = (_narrow(size), _narrow(offset))
        self._put(_END.pack(b"PK\x05\x06", 0, 0, *counts, *place, 0))


def _narrow(value: int) -> int:
    """`value` as a field of 32 bits has it: full where the true one stands elsewhere."""
    return value if value < _WIDE_FROM else MAX_32


def _zip64_extra(values: list[int]) -> bytes:
    """The extra field with those of `values` that do not fit 32 bits; empty when all fit."""
    wide = [value for value in values if value >= _WIDE_FROM]
    return struct.pack(f"<2H{len(wide)}Q", _ZIP64_EXTRA, 8 * len(wide), *wide) if wide else b""


def _padded(extra: bytes, position: int) -> bytes:
    """`extra`, to stand at `position`, with a field of padding so that it ends aligned."""
    padding = -(position + len(extra) + 4) % ALIGNMENT
    return extra + struct.pack("<2H", _PADDING_EXTRA, padding) + b"Z" * padding
