import doctest
import json
import os
import random
import struct
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from rtfunc.io import safetensors
from rtfunc.io.files import FileFormatError

FILES = Path(__file__).with_name("files")

DTYPES = {
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
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def file_with(header, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(first=0, end=4, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [first, end]}


def refused(path, data: bytes, match: str) -> None:
    path.write_bytes(data)
    for mmap in (False, True):
        with pytest.raises(FileFormatError, match=match) as caught:
            safetensors.read(path, mmap)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_comes_back(path, name, mmap):
    arrays = {
        str(shape): np.ones(shape, np.float32).astype(DTYPES[name])
        for shape in [(), (0,), (3,), (2, 0, 3), (2, 3)]
    }
    safetensors.write(arrays, path, {"key": "välue ☺"})
    result, metadata = safetensors.read(path, mmap)
    assert metadata == {"key": "välue ☺"}
    assert result.keys() == arrays.keys()
    for key, array in arrays.items():
        assert result[key].dtype == array.dtype
        assert result[key].shape == array.shape
        assert result[key].tobytes() == array.tobytes()
        assert not result[key].flags.writeable


@pytest.mark.parametrize("mmap", [False, True])
def test_a_recorded_file_is_read(mmap):
    arrays, metadata = safetensors.read(FILES / "small.safetensors", mmap)
    assert metadata == {"format": "pt"}
    np.testing.assert_array_equal(arrays["weight"], np.arange(6, dtype="f4").reshape(2, 3))
    np.testing.assert_array_equal(arrays["half"], np.ones(2, ml_dtypes.bfloat16))
    assert arrays["empty"].shape == (0, 3)


def test_arrays_in_any_layout_are_written_as_contiguous(path):
    base = np.arange(24.0).reshape(2, 3, 4)
    arrays = {"a": base.T, "b": base[:, ::-1], "c": base.astype(">i4"), "d": base[1, ::2, 1]}
    safetensors.write(arrays, path)
    result, _ = safetensors.read(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(result[name], array)


def test_the_order_of_the_tensors_does_not_change_the_file(path):
    arrays = {"b": np.ones(3, np.float32), "a": np.ones(3, np.int8), "é": np.ones(2, np.float32)}
    safetensors.write(arrays, path, {"x": "1", "a": "2"})
    first = path.read_bytes()
    safetensors.write(dict(reversed(arrays.items())), path, {"a": "2", "x": "1"})
    assert path.read_bytes() == first


def test_misaligned_data_is_copied_when_it_is_mapped(path):
    header = {"a": entry(0, 1, (1,), "U8"), "b": entry(1, 9, (2,), "F32")}
    path.write_bytes(file_with(header, b"\x07" + np.arange(2, dtype="<f4").tobytes()))
    arrays, _ = safetensors.read(path)
    assert arrays["b"].flags.aligned
    np.testing.assert_array_equal(arrays["b"], [0, 1])


def test_a_header_may_be_padded_and_empty(path):
    path.write_bytes(file_with(b"{}      "))
    assert safetensors.read(path) == ({}, {})


LIMIT = 100_000_000


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "less than 8 bytes"),
        (bytes(7), "less than 8 bytes"),
        (bytes(8), "does not begin with"),
        (struct.pack("<Q", 3) + b"{}", "over the end"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "exceeds the limit"),
        (struct.pack("<Q", LIMIT + 1) + b"{}", "exceeds the limit"),
        (file_with(b" {}"), "does not begin with"),
        (file_with(b"[]"), "does not begin with"),
        (file_with(b"{"), "not JSON"),
        (file_with(b"{}x"), "not JSON"),
        (file_with(b'{"\xff":1}'), "not JSON"),
        (file_with(b'{"a":' + b"[" * 100_000), "not JSON"),
        (file_with(b'{"a":' + b"9" * 5000 + b"}"), "not JSON"),
        (file_with(b'{"a":NaN}'), "NaN"),
        (file_with(b'{"\\ud800":{}}'), "not Unicode"),
        (file_with(b'{"__metadata__":{"a":"1","a":"2"}}'), "a key twice"),
        (file_with(b'{"__metadata__":{"a":1}}'), "text to text"),
        (file_with(b'{"__metadata__":[]}'), "text to text"),
        (file_with(b'{"__metadata__":{"a":"\\ud800"}}'), "not Unicode"),
        (file_with({"a": 1}), "lacks"),
        (file_with({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)), "lacks"),
        (file_with({"a": entry(dtype="F4", shape=(8,))}, bytes(4)), "'F4' of 'a' is not supported"),
        (file_with({"a": entry(dtype="f32")}, bytes(4)), "not supported"),
        (file_with({"a": entry(shape=(2,))}, bytes(4)), "does not have 4 bytes"),
        (file_with({"a": entry(shape=(1.0,))}, bytes(4)), "other things than numbers"),
        (file_with({"a": entry(shape=(True,))}, bytes(4)), "other things than numbers"),
        (file_with({"a": entry(shape=(-1,))}, bytes(4)), "out of range"),
        (file_with({"a": entry(shape=(2**64,))}, bytes(4)), "out of range"),
        (file_with({"a": entry(shape=(2**63, 2**63))}, bytes(4)), "does not have"),
        (file_with({"a": entry(0, 0, (0, 2**62, 2**62))}), "too large for any machine"),
        (file_with({"a": entry(shape=(1,) * 65)}, bytes(4)), "too many or too few"),
        (file_with({"a": entry(4, 0)}, bytes(4)), "does not have -4 bytes"),
        (file_with({"a": entry() | {"data_offsets": [0]}}, bytes(4)), "too many or too few"),
        (file_with({"a": entry()}, bytes(3)), "take 4 bytes, but the file holds 3"),
        (file_with({"a": entry()}, bytes(5)), "take 4 bytes, but the file holds 5"),
        (file_with({"a": entry(4, 8)}, bytes(8)), "follows a hole"),
        (file_with({"a": entry(), "b": entry(8, 12)}, bytes(12)), "follows a hole"),
        (file_with({"a": entry(), "b": entry()}, bytes(4)), "overlaps"),
        (file_with({"a": entry(), "b": entry(2, 6)}, bytes(6)), "overlaps"),
        (file_with({}, bytes(1)), "take 0 bytes"),
        (
            b"".join([struct.pack("<Q", 2 * len(t) - 1), t[:-1], b",", t[1:], bytes(4)])
            if (t := json.dumps({"a": entry()}).encode())
            else b"",
            "a key twice",
        ),
        (file_with({"a": entry(dtype="BOOL", shape=(4,))}, b"\0\1\2\1"), "other than 0 and 1"),
    ],
)
def test_what_the_specification_forbids_is_refused(path, data, match):
    refused(path, data, match)


def test_a_file_truncated_anywhere_is_refused(path):
    data = (FILES / "small.safetensors").read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FileFormatError):
            safetensors.read(path)


def test_mutated_files_are_read_or_refused(path):
    generator = random.Random(5)
    data = (FILES / "small.safetensors").read_bytes()
    tracemalloc.start()
    for number in range(1000):
        mutated = bytearray(data)
        for _ in range(generator.randint(1, 3)):
            at = generator.randrange(len(data))
            mutated[at] = generator.choice((mutated[at] ^ 1 << generator.randrange(8), 0x30, 0x39))
        path.write_bytes(mutated)
        try:
            arrays, _ = safetensors.read(path, mmap=bool(number % 2))
        except FileFormatError:
            continue
        for array in arrays.values():
            assert len(array.tobytes()) == array.nbytes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "match"),
    [
        ({1: np.ones(1)}, None, TypeError, "name of a tensor must be a str"),
        ({"a": [1.0]}, None, TypeError, "'a' is a list, not an array"),
        ({"a": np.ones(1, complex)}, None, TypeError, "complex128"),
        ({"a": np.array(["x"])}, None, TypeError, "<U1"),
        ({"__metadata__": np.ones(1)}, None, ValueError, "cannot have the name"),
        ({}, {"a": 1}, TypeError, "map str to str"),
    ],
)
def test_what_has_no_place_in_the_format_is_not_written(path, tensors, metadata, error, match):
    with pytest.raises(error, match=match):
        safetensors.write(tensors, path, metadata)
    assert not path.exists()


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    safetensors.write({"a": np.ones(1)}, path)
    old = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        safetensors.write({"a": np.zeros(1)}, path)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_the_examples_hold():
    assert doctest.testmod(safetensors).failed == 0


# Against the reference implementation.


@pytest.mark.oracle
def test_files_are_those_of_the_reference_implementation_to_the_byte(path):
    reference = pytest.importorskip("safetensors.torch")
    import torch

    names = "bool uint8 int8 float8_e5m2 float8_e4m3fn int16 float16 bfloat16 int32 float32"
    names = [*names.split(), "complex64", "float64", "int64", "uint16", "uint32", "uint64"]
    tensors = {}
    for name in names:
        tensors[f"z é\n.{name}"] = torch.ones(2, 3).to(getattr(torch, name))
        tensors[f"a.{name}"] = torch.zeros(5).to(getattr(torch, name))
    path.write_bytes(reference.save(tensors, {"only": "one"}))
    arrays, metadata = safetensors.read(path)
    for name, array in arrays.items():
        expected = tensors[name]
        assert array.dtype.name == str(expected.dtype).removeprefix("torch.")
        assert array.shape == tuple(expected.shape)
        assert array.tobytes() == expected.reshape(-1).view(torch.uint8).numpy().tobytes()
    expected = path.read_bytes()
    del arrays, array
    other = path.with_name("other")
    arrays, _ = safetensors.read(path)
    safetensors.write(arrays, other, metadata)
    assert other.read_bytes() == expected


@pytest.mark.oracle
def test_the_reference_implementation_reads_what_is_written(path):
    reference = pytest.importorskip("safetensors.torch")
    arrays = {
        name: np.arange(6).reshape(2, 3).astype(np.float32).astype(dtype)
        for name, dtype in DTYPES.items()
        if not name.endswith("FNUZ")
    }
    safetensors.write(arrays | {"scalar": np.float32(1)[...], "empty": np.zeros((0, 3))}, path)
    result = reference.load_file(path)
    assert result["empty"].shape == (0, 3)
    assert result["scalar"].item() == 1
    for name, array in arrays.items():
        import torch

        assert result[name].reshape(-1).view(torch.uint8).numpy().tobytes() == array.tobytes()


@pytest.mark.oracle
def test_both_refuse_the_same_mutations(path):
    package = pytest.importorskip("safetensors")
    generator = random.Random(6)
    data = (FILES / "small.safetensors").read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    differences = []
    for _ in range(1500):
        mutated = bytearray(data)
        for _ in range(generator.randint(1, 2)):
            at = generator.randrange(end)
            mutated[at] = generator.choice(b'{}[]",:0123456789 FBUI' + data[at : at + 1])
        mutated = bytes(mutated)
        try:
            package.deserialize(mutated)
            theirs = True
        except package.SafetensorError:
            theirs = False
        path.write_bytes(mutated)
        try:
            safetensors.read(path)
            ours = True
        except FileFormatError:
            ours = False
        if ours != theirs:
            differences.append((ours, mutated[8:end]))
    assert not differences
