import argparse
import contextlib
import importlib.util
import io
import os
import pickle
import random
import struct
import sys
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from rtfunc.io import torch_reader
from rtfunc.io.files import FileFormatError
from rtfunc.io.torch_reader import read

FILES = Path(__file__).with_name("files")


def _load_fuzz():
    path = Path(__file__).with_name("fuzz_torch_reader.py")
    specification = importlib.util.spec_from_file_location("fuzz_torch_reader", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


fuzz_torch_reader = _load_fuzz()
zip_with, legacy_with = fuzz_torch_reader.zip_with, fuzz_torch_reader.legacy_with


def read_bytes(data: bytes):
    return read(io.BytesIO(data))


def read_pickle(body: bytes, storages: dict[str, bytes] | None = None, **records: bytes):
    return read_bytes(zip_with(b"\x80\x02" + body + b".", storages or {}, **records))


def refused(data: bytes, match: str) -> None:
    with pytest.raises(FileFormatError, match=match) as caught:
        read_bytes(data)
    assert str(caught.value).startswith("<BytesIO>: ")


def refused_pickle(body: bytes, match: str, storages: dict[str, bytes] | None = None) -> None:
    refused(zip_with(b"\x80\x02" + body + b".", storages or {}), match)


def integer(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def sizes(values) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(kind="FloatStorage", key="0", count=4) -> bytes:
    reference = text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu")
    return b"(" + reference + integer(count) + b"tQ"


def tensor(shape=(4,), strides=(1,), offset=0, kind="FloatStorage", key="0", count=4) -> bytes:
    arguments = storage(kind, key, count) + integer(offset) + sizes(shape) + sizes(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89}tR"


def tensor_v3(dtype: str, shape=(2,), strides=(1,), count=4, key="0") -> bytes:
    arguments = storage("UntypedStorage", key, count) + b"K\x00" + sizes(shape) + sizes(strides)
    return (
        b"ctorch._utils\n_rebuild_tensor_v3\n("
        + arguments
        + b"\x89}ctorch\n%s\ntR" % dtype.encode()
    )


FLOATS = {"0": np.arange(4, dtype="<f4").tobytes()}


# Recorded files.


@pytest.mark.parametrize("name", ["state.pt", "state_legacy.pt", "state_protocol_5.pt"])
@pytest.mark.parametrize("mmap", [False, True])
def test_recorded_state_dicts_are_read(name, mmap):
    state = read(FILES / name, mmap=mmap)
    assert type(state) is OrderedDict
    assert list(state) == ["weight", "tied", "steps"]
    np.testing.assert_array_equal(state["weight"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(state["tied"], state["weight"].T)
    assert np.shares_memory(state["tied"], state["weight"])
    assert state["steps"] == 7
    assert state["steps"].shape == ()
    assert not state["weight"].flags.writeable


def test_recorded_dtypes_are_read():
    state = read(FILES / "dtypes_legacy.pt")
    dtypes = {name: array.dtype for name, array in state.items()}
    assert dtypes == {
        "torch.bfloat16": ml_dtypes.bfloat16,
        "torch.uint16": np.uint16,
        "torch.float8_e4m3fn": ml_dtypes.float8_e4m3fn,
        "torch.complex32": np.complex64,
        "torch.bool": np.bool_,
        "conj": np.complex64,
    }
    for name in list(state)[:-1]:
        np.testing.assert_array_equal(state[name].astype(complex), [1, 1])
    np.testing.assert_array_equal(state["conj"], [-1j, -1j])


def test_recorded_trainer_state_is_read():
    state = read(FILES / "trainer_legacy.pt")
    adam = state["optimizer"]["state"][0]
    assert adam["step"] == 1
    np.testing.assert_allclose(adam["exp_avg"], [0.1, 0.1], rtol=1e-6)  # float32
    assert state["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert state["shape"] == (2, 3)
    assert state["dtype"] == np.float16
    assert state["device"] == "cpu"
    np.testing.assert_array_equal(state["array"], [0, 1, 2])
    assert state["array"].dtype == np.int16
    assert state["scalar"] == np.float32(0.5)
    assert state["others"] == [1, 2.5, 1j, None, True, b"\xff", {3}, (1, 2), 2**70]


@pytest.mark.parametrize(
    ("name", "reason"), [("sparse_legacy.pt", "sparse"), ("quantised_legacy.pt", "quantised")]
)
def test_sparse_and_quantised_tensors_are_refused(name, reason):
    with pytest.raises(FileFormatError, match=f"{name}: refused .* {reason} tensors are not"):
        read(FILES / name)


# Sharing, mapping, byte order.


def test_tensors_of_one_storage_share_memory():
    first, second = read_pickle(tensor() + tensor((2,), (2,), 1) + b"\x86", FLOATS)
    np.testing.assert_array_equal(first, [0, 1, 2, 3])
    np.testing.assert_array_equal(second, [1, 3])
    assert np.shares_memory(first, second)


def test_mapped_arrays_share_the_file_and_outlive_its_closing(tmp_path):
    path = tmp_path / "file.pt"
    path.write_bytes(zip_with(b"\x80\x02" + tensor() + b".", FLOATS))
    array = read(path, mmap=True)
    owner = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert type(owner.obj if isinstance(owner, memoryview) else owner).__name__ == "mmap"
    assert array.ctypes.data % 64 == 0
    np.testing.assert_array_equal(array, read(path))


def test_an_open_file_is_read_from_its_position_on():
    for name in ("state.pt", "state_legacy.pt"):
        file = io.BytesIO(b"prefix" + (FILES / name).read_bytes())
        file.seek(6)
        assert read(file)["steps"] == 7


def test_the_bytes_of_a_file_are_read():
    data = zip_with(pickle.dumps([1], 2), {})
    assert read(data) == read(memoryview(data)) == [1]
    with pytest.raises(FileFormatError, match=r"^<bytes>: the zip archive has no end record"):
        read(data[:-30])


def test_big_endian_storages_are_swapped_and_stay_shared():
    content = {"0": np.arange(4, dtype=">f4").tobytes()}
    first, second = read_pickle(tensor() + tensor((2,)) + b"\x86", content, byteorder=b"big")
    np.testing.assert_array_equal(first, [0, 1, 2, 3])
    assert np.shares_memory(first, second)
    numbers = {"0": np.array([1, 258], ">u2").tobytes()}
    untyped = read_pickle(tensor_v3("uint16"), numbers, byteorder=b"big")
    np.testing.assert_array_equal(untyped, [1, 258])
    numbers = {"0": np.array([1 + 2j, 3], ">c8").tobytes()}
    complexes = tensor((2,), kind="ComplexFloatStorage", count=2)
    np.testing.assert_array_equal(read_pickle(complexes, numbers, byteorder=b"big"), [1 + 2j, 3])


def test_an_unknown_byte_order_is_refused():
    refused(zip_with(b"\x80\x02N.", {}, byteorder=b"middle"), "byte order")


def test_a_broadcast_view_and_an_empty_tensor_are_read():
    assert read_pickle(tensor((3, 4), (0, 1)), FLOATS).shape == (3, 4)
    assert read_pickle(tensor((0, 3), (3, 1), 4), FLOATS).shape == (0, 3)
    assert read_pickle(tensor((), (), 2), FLOATS) == 2


def test_the_stride_of_a_single_element_may_be_anything():
    assert read_pickle(tensor((1, 4), (2**61, 1)), FLOATS).shape == (1, 4)


def test_a_view_of_a_legacy_storage_is_read():
    view = b"(" + text("v") + integer(1) + integer(2) + b"t"
    base = storage().replace(b"tQ", view + b"tQ")
    part = b"ctorch._utils\n_rebuild_tensor_v2\n(" + base + b"K\x00K\x02\x85K\x01\x85\x89}tR"
    whole = tensor().replace(b"tQ", b"NtQ")
    data = struct.pack("<q4f", 4, 0, 1, 2, 3)
    first, second = read_bytes(
        legacy_with(b"\x80\x02" + whole + part + b"\x86.", b"\x80\x02]" + text("0") + b"a.", data)
    )
    np.testing.assert_array_equal(second, [1, 2])
    assert np.shares_memory(first, second)


def test_the_tensors_of_the_oldest_files_are_read():
    made = b"ctorch\nFloatTensor\n)\x81q\x05(" + storage() + b"K\x01K\x03\x85K\x01\x85tb"
    first, again = read_pickle(made + b"h\x05\x86", FLOATS)
    np.testing.assert_array_equal(first, [1, 2, 3])
    assert first is again


# Plain objects.


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -1, 300, 70000, 2**40, -(2**80), 1.5, 1 - 2j], "b": (None, True, False)},
        OrderedDict(a=1, b={}),
        Counter("aab"),
        {1, 2},
        frozenset({"a"}),
        b"a\x00\xff",
        bytearray(b"\xff\x01"),
        {(1, "a"): "naïve ☺", None: "", 1.5: (1, 2, 3, 4)},
        argparse.Namespace(rate=0.1, names=["a"]),
        [],
        np.float64(2.5),
        np.bool_(True),
        np.str_("text"),
    ],
    ids=repr,
)
def test_plain_objects_of_every_protocol_are_read(value, protocol):
    result = read_bytes(zip_with(pickle.dumps(value, protocol), {}))
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">f4"),
        np.ones(2, ml_dtypes.bfloat16),
        np.array(["ab", "c"]),
        np.array(7, np.uint8),
        np.zeros((0, 2)),
    ],
    ids=lambda value: str(value.dtype),
)
def test_numpy_arrays_are_read(value, protocol):
    result = read_bytes(zip_with(pickle.dumps([value, value.dtype], protocol), {}))
    np.testing.assert_array_equal(result[0], value)
    assert result[0].dtype == value.dtype.newbyteorder("=")
    assert result[1] == value.dtype
    assert not result[0].flags.writeable


@pytest.mark.parametrize(
    "value",
    [
        np.array([None, 1], object),
        np.zeros(2, [("a", int), ("b", float)]),
        np.array(["2020-01-01"], "M8[D]"),
        np.ma.masked_array([1, 2], [True, False]),
    ],
    ids=["object", "structured", "datetime", "masked"],
)
def test_other_numpy_arrays_are_refused(value):
    refused(zip_with(pickle.dumps(value, 2), {}), "numpy")


def test_state_dict_metadata_is_kept():
    body = b"ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00_metadata}X\x01\x00\x00\x00aK\x02ssb"
    assert read_pickle(body)._metadata == {"a": 2}
    harmless = body.replace(b"_metadata", b"metadata_")
    assert not vars(read_pickle(harmless))


# Hostile pickles.

HOSTILE_GLOBALS = [
    "os system",
    "posix system",
    "nt system",
    "builtins eval",
    "__builtin__ eval",
    "builtins exec",
    "builtins getattr",
    "builtins __import__",
    "subprocess Popen",
    "functools partial",
    "operator attrgetter",
    "torch load",
    "torch.storage _load_from_bytes",
    "torch.serialization load",
    "numpy load",
    "numpy.core.multiarray fromstring",
    "rtfunc.io.torch_reader read",
    "collections OrderedDict.fromkeys",
    "pickle loads",
]


@pytest.mark.parametrize("name", HOSTILE_GLOBALS)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_hostile_global_is_refused_by_name(name, legacy):
    module, attribute = name.split()
    calls = b"c%s\n%s\nX\x04\x00\x00\x00true\x85R" % (module.encode(), attribute.encode())
    data = b"\x80\x02" + calls + b"."
    expected = f"{module.replace('__builtin__', 'builtins')}.{attribute}"
    expected = expected.replace("numpy.core", "numpy._core")
    refused(legacy_with(data, b"", b"") if legacy else zip_with(data, {}), f"'{expected}'")


def test_a_real_exploit_does_not_run(tmp_path, monkeypatch):
    class Exploit:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'pwned'}",)

    for protocol in range(2, 6):
        for value in (Exploit(), {"a": [Exploit()]}, [OrderedDict(a=Exploit())]):
            refused(zip_with(pickle.dumps(value, protocol), {}), "refused to load")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"K\x01)R", "calls a int"),
        (b"](K\x01eK\x01\x85R", "calls a list"),
        (b"ctorch\nfloat32\n)R", "calls a Float32DType"),
        (b"cnumpy\nndarray\n(K\x0atR", "calls a numpy.ndarray"),
        (b"ccollections\nOrderedDict\n](K\x01eR", "without a tuple"),
        (b"ccollections\nOrderedDict\n", "bare collections.OrderedDict"),
        (b"ctorch\nFloatTensor\n)\x81", "bare torch.Tensor"),
        (b"K\x01}b", "sets the state of a int"),
        (b"]K\x01b", "sets the state of a list"),
        (b"K\x01K\x02a", "appends to a int"),
        (b"]K\x01K\x02s", "sets items of a list"),
        (b"}(K\x01u", "without a value"),
        (b"}]K\x02s", "uses a list as a key"),
        (b"}" + tensor() + b"K\x02s", "uses a ndarray as a key"),
        (b"Q", "stack is empty"),
        (b"(Q", "stack is empty"),
        (b"t", "stack is empty"),
        (b"h\x07", "does not hold"),
        (b"j\xff\xff\xff\xff", "does not hold"),
        (b"K\x01Q", "not a storage"),
        (b"(K\x01K\x02K\x03K\x04K\x05tQ", "not a storage"),
        (b"(" + tensor() + b"NNNNtQ", "not a storage"),  # an array, which compares as an array
        (storage(), "bare Storage"),
        (b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R", "bare numpy.dtype"),
        (b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R", "'O8' is not supported"),
        (b"cnumpy\ndtype\nX\x05\x00\x00\x00f4,f4\x89\x88\x87R", "not supported"),
        (b"cnumpy\ndtype\nX\x02\x00\x00\x00S0\x89\x88\x87R", "'S0' is not supported"),
        (b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R", "builtins.bytearray"),
        (b"ccollections\nCounter\nX\x02\x00\x00\x00ab\x85R", "collections.Counter"),
        (b"\x8b\xff\xff\xff\x7f", "integer of"),
        (b"X\xff\xff\xff\xff", "truncated"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "truncated"),
        (b"X\x01\x00\x00\x00\xff", "not UTF-8"),
        (b"c" + b"a" * 2000, "without an end"),
        (b"2", "opcode 0x32"),
        (b"I1\n", "opcode 0x49"),
        (b"\x92", "opcode 0x92"),
        (b"\x82\x01", "opcode 0x82"),
        (b"\x80\xff", "protocol 255"),
        (b"]q\x00h\x00a", "contains itself"),
        (b"]" * 500 + b"a" * 499, "deeper than"),
        (b"\x85".join([b")"] + [b""] * 300), "deeper than"),
    ],
)
def test_a_malformed_pickle_is_refused(body, match):
    refused_pickle(body, match, FLOATS)


def test_a_whole_module_is_refused_with_advice():
    refused_pickle(b"ctorch.nn.modules.linear\nLinear\n)\x81}b", r"save its state_dict\(\)")


def test_a_deeply_nested_key_cannot_overflow_the_stack():
    refused_pickle(b"})" + b"\x85" * 500_000 + b"K\x01s", "as a key")


def test_a_key_of_repeated_parts_cannot_hang():
    doubled = b")" + b"q\x00h\x00\x86" * 60
    refused_pickle(b"}" + doubled + b"K\x01s", "as a key")


COLLIDING = [integer(n * (2**61 - 1)) for n in range(5000)]


@pytest.mark.parametrize(
    "body",
    [
        b"}(" + b"N".join(COLLIDING) + b"Nu",
        b"}" + b"Ns".join(COLLIDING) + b"Ns",
        b"\x8f(" + b"".join(COLLIDING) + b"\x90",
        b"(" + b"".join(COLLIDING) + b"\x91",
        b"c__builtin__\nset\n](" + b"".join(COLLIDING) + b"e\x85R",
    ],
    ids=["dict", "item by item", "set", "frozenset", "built set"],
)
def test_keys_of_one_hash_cannot_hang(body):
    """A dict of n keys of one hash takes time in proportion to n²."""
    refused_pickle(body, "more than 100 keys of one hash")


def test_keys_whose_hashes_are_their_own_are_read():
    keys = [*range(-3000, 3000), 2**61, *(x / 7 for x in range(500)), (1, "a"), None, True]
    assert read(io.BytesIO(zip_with(pickle.dumps(dict.fromkeys(keys), 2), {}))) == dict.fromkeys(
        keys
    )


def test_an_object_of_repeated_parts_is_refused():
    doubled = b"]K\x01a" + b"q\x00]h\x00ah\x00a" * 60
    refused_pickle(doubled, "repeats its parts")


@pytest.mark.parametrize(
    "body",
    [
        b"(" + b"\x8f" * 300_000 + b"t",
        b"ccollections\nOrderedDict\nq\x00(" + b"h\x00)R" * 50_000 + b"t",
        b"c__builtin__\nset\nq\x00("
        + b"".join(map(integer, range(5000)))
        + b"\x6c".replace(b"\x6c", b"tq\x01(")
        + b"h\x00h\x01\x85R" * 5000
        + b"t",
        b"c_codecs\nencode\nq\x00X\x00\x00\x08\x00" + b"a" * 0x80000 + b"q\x01("
        b"X\x06\x00\x00\x00latin1q\x02" + b"h\x00h\x01h\x02\x86R" * 2000 + b"t",
        b"r\xff\xff\xff\xff".join([b"N"] * 50),
    ],
    ids=["sets", "dicts", "copied sets", "copied bytes", "memo"],
)
def test_objects_take_memory_in_proportion_to_the_pickle(body):
    data = zip_with(b"\x80\x02" + body + b".", {})
    tracemalloc.start()
    try:
        read_bytes(data)
    except FileFormatError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # 128 bytes of objects to a byte of pickle, the stack's pointers, and what is at hand anyway.
    assert peak < 160 * len(data) + (4 << 20)


# Tensors that lie.


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (tensor((5,)), "reaches over the end"),
        (tensor((4,), (2,)), "reaches over the end"),
        (tensor((4,), offset=1), "reaches over the end"),
        (tensor((2,), (2**62 - 1,)), "reaches over the end"),
        (tensor((2**40, 2**40), (1, 1)), "too large for any machine"),
        (tensor((2**61,), (0,)), "too large for any machine|larger than its storage"),
        (tensor((2**40,), (0,)), "larger than its storage"),
        (tensor((-4,)), "sizes hold -4"),
        (tensor((4,), (-1,)), "strides hold -1"),
        (tensor((2**70,)), "sizes hold"),
        (tensor((4,), offset=-1), "storage offset is -1"),
        (tensor((4,), offset=2**80), "reaches over the end"),
        (tensor((4,), (1, 1)), "1 sizes but 2 strides"),
        (tensor((1,) * 65, (1,) * 65), "at most 64"),
        (tensor((1,), count=3), "16 bytes, but 12 are declared"),
        (tensor(count=5), "16 bytes, but 20 are declared"),
        (tensor(count=2**62), "are declared"),
        (tensor(count=-1), "unsuitable key or size"),
        (tensor(key="1"), "no storage"),
        (tensor(key="../data.pkl"), "no storage"),
        (tensor() + tensor(kind="LongStorage", count=2, shape=(2,)) + b"\x86", "is declared as"),
        (tensor(kind="QInt8Storage"), "quantised"),
        (tensor(kind="MysteryStorage"), "MysteryStorage"),
        (tensor((16,), kind="BoolStorage", count=16), "other than 0 and 1"),
        (tensor_v3("bool", (16,), count=16), "other than 0 and 1"),
        (tensor_v3("int4", count=16), "not supported"),
        (tensor_v3("float32", (5,), count=16), "reaches over the end"),
        (tensor_v3("complex32", (5,), count=16), "reaches over the end"),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(body, match):
    refused_pickle(body, match, FLOATS)


def test_huge_sizes_next_to_a_zero_are_refused():
    refused_pickle(tensor((0, 2**61, 2**61), (1, 1, 1)), "too large", FLOATS)


def test_many_broadcast_views_are_refused():
    views = b"(" + tensor((2**20,), (0,)) * 20 + b"t"
    refused_pickle(views, "larger than its storage", FLOATS)


# Archives that lie.


def deflated(content: bytes, name="archive/data.pkl", **others: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        for other, data in others.items():
            archive.writestr(f"archive/data/{other}", data)
    return file.getvalue()


def test_a_repacked_compressed_archive_is_read():
    key = "0"
    data = deflated(b"\x80\x02" + tensor() + b".", **{key: FLOATS["0"]})
    np.testing.assert_array_equal(read_bytes(data), [0, 1, 2, 3])


def test_a_zip_bomb_is_refused():
    bomb = deflated(b"\x80\x02" + bytes(64 << 20))
    assert len(bomb) < 100_000
    tracemalloc.start()
    refused(bomb, "compressed member 'archive/data.pkl' needs")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_member_larger_than_declared_is_refused():
    data = deflated(b"\x80\x02" + b"N" * 1000 + b".")
    true = struct.pack("<I", 1003)
    assert data.count(true) == 2
    refused(data.replace(true, struct.pack("<I", 10)), "size that it declares")


def test_overlapping_members_are_refused():
    data = zip_with(b"\x80\x02N.", {"0": bytes(64), "1": bytes(64)})
    first = data.index(b"PK\x01\x02")
    entries = data[first:].split(b"PK\x01\x02")
    # The last member's entry gets the place of the one before it.
    entries[3] = entries[3][:38] + entries[2][38:42] + entries[3][42:]
    refused(data[:first] + b"PK\x01\x02".join(entries), "overlaps")


def test_a_member_that_stands_twice_is_refused():
    file = io.BytesIO()
    archive = fuzz_torch_reader.ZipWriter(file)
    archive.write("archive/data.pkl", b"\x80\x02N.")
    archive.write("archive/data.pkl", b"\x80\x02K\x01.")
    archive.finish()
    refused(file.getvalue(), "stands twice")


def test_a_damaged_storage_is_found_by_its_checksum():
    data = zip_with(b"\x80\x02" + tensor() + b".", FLOATS)
    at = data.index(FLOATS["0"])
    refused(data[:at] + b"\x01" + data[at + 1 :], "checksum of 'archive/data/0'")


def test_a_checksum_of_zero_is_not_verified(tmp_path):
    # torch.serialization.set_crc32_options(False) writes zeros.
    data = zip_with(b"\x80\x02" + tensor() + b".", FLOATS)
    at = data.rindex(b"archive/data/0") - 46 + 16
    data = data[:at] + bytes(4) + data[at + 4 :]
    data = data.replace(FLOATS["0"], np.arange(4, 8, dtype="<f4").tobytes())
    np.testing.assert_array_equal(read_bytes(data), [4, 5, 6, 7])


def encrypted() -> bytes:
    data = bytearray(zip_with(b"\x80\x02N.", {}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def zip_of(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04", "truncated"),
        (zip_of("a/readme"), "without a data.pkl"),
        (zip_of("data.pkl"), "without a data.pkl"),
        (zip_of("a/data.pkl", "b/data.pkl"), "more than one data.pkl"),
        (zip_of("a/data.pkl", "a/constants.pkl"), "TorchScript"),
        (zip_of("a/data.pkl", "a/code/__torch__.py"), "TorchScript"),
        (encrypted(), "encrypted"),
        (zip_with(b"\x80\x02N.", {})[:-1], "truncated"),
        (pickle.dumps({"a": 1}), "a pickle, but not one of torch.save"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x93NUMPY\x01\x00", "numpy.load"),
        (b'\x10\x00\x00\x00\x00\x00\x00\x00{"a":{}}', "safetensors"),
        (bytes(257) + b"ustar\x00", "tar archive"),
        (b"random bytes", "begins with"),
    ],
)
def test_foreign_files_are_refused(data, match):
    refused(data, match)


@pytest.mark.parametrize(
    ("keys", "storages", "match"),
    [
        (b"\x80\x02].", b"", "does not hold the storages"),
        (b"\x80\x02]X\x01\x00\x00\x000a.", struct.pack("<q", 4), "outside the file"),
        (b"\x80\x02]X\x01\x00\x00\x000a.", struct.pack("<q4f", 5, 0, 1, 2, 3), "5 elements"),
        (b"\x80\x02]X\x01\x00\x00\x000a.", struct.pack("<q4f", -4, 0, 1, 2, 3), "-4 elements"),
        (b"\x80\x02N.", b"", "are not a list"),
        (b"", b"", "truncated"),
    ],
)
def test_legacy_storages_that_lie_are_refused(keys, storages, match):
    refused(legacy_with(b"\x80\x02" + tensor() + b".", keys, storages), match)


def test_legacy_storages_larger_than_the_file_are_refused():
    huge = tensor((2**40,), count=2**40)
    refused(legacy_with(b"\x80\x02" + huge + b".", b"", b""), "more bytes than the file")


# Truncation and mutation.


@pytest.mark.parametrize("name", ["state.pt", "state_legacy.pt", "trainer_legacy.pt"])
def test_a_file_truncated_anywhere_is_refused(name):
    data = (FILES / name).read_bytes()
    for length in range(len(data)):
        with pytest.raises(FileFormatError):
            read_bytes(data[:length])


def test_mutated_files_are_read_or_refused():
    good, tried = fuzz_torch_reader.fuzz(seed=20, count=2000)
    assert tried == 2000
    assert 0 < good < tried


def test_mutated_mapped_files_are_read_or_refused(tmp_path):
    path = tmp_path / "file.pt"
    for data, _ in zip(fuzz_torch_reader.cases(seed=21), range(300)):
        path.write_bytes(data)
        with contextlib.suppress(FileFormatError):
            fuzz_torch_reader.touch(read(path, mmap=True))


# Errors that are not the file's.


def test_a_missing_file_and_a_wrong_argument_keep_their_own_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.pt")
    with pytest.raises(TypeError, match="not int"):
        read(3)
    with pytest.raises(TypeError, match="binary mode"):
        read(io.StringIO("text"))


def test_nothing_is_imported_for_a_pickle():
    before = set(sys.modules)
    refused_pickle(b"cthis\ns\n", "'this.s'")
    assert "this" not in set(sys.modules) - before


def test_the_examples_hold():
    import doctest

    from rtfunc.io import files

    for module in (torch_reader, files):
        assert doctest.testmod(module).failed == 0


# Against PyTorch.


def compare(torch, expected, actual) -> None:
    if isinstance(expected, torch.Tensor):
        expected = expected.detach().resolve_conj().resolve_neg()
        assert tuple(expected.shape) == actual.shape
        if expected.dtype == torch.complex32:
            expected = expected.to(torch.complex64)
        flat = expected.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
        assert flat.numpy().tobytes() == np.ascontiguousarray(actual).tobytes()
        assert str(expected.dtype).removeprefix("torch.") == actual.dtype.name
    elif isinstance(expected, dict):
        assert list(expected) == list(actual)
        for key in expected:
            compare(torch, expected[key], actual[key])
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(actual)
        for one, other in zip(expected, actual):
            compare(torch, one, other)
    else:
        assert expected == actual


def all_dtypes(torch):
    names = (
        "float64 float32 float16 bfloat16 complex64 complex128 complex32 int64 int32 int16 int8 "
        "uint8 bool uint16 uint32 uint64 float8_e4m3fn float8_e4m3fnuz float8_e5m2 "
        "float8_e5m2fnuz float8_e8m0fnu"
    )
    return [getattr(torch, name) for name in names.split()]


def with_attributes(torch):
    values = [torch.nn.Parameter(torch.ones(2)), torch.ones(3), torch.nn.Buffer(torch.ones(4))]
    for value in values:
        value.note = "some text"
    return values


def torch_objects(torch):
    base = torch.arange(24.0).reshape(2, 3, 4)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(5, 3)).sum().backward()
    optimizer.step()
    return {
        "views": [base, base.permute(2, 0, 1), base[1, ::2], base[..., 1], base[:, :0]],
        "expanded": torch.ones(1, 3).expand(4, 3),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scalar": torch.tensor(3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "attributes": with_attributes(torch),
        "conj": torch.tensor([1 + 2j]).conj(),
        "neg": torch.tensor([1 + 2j]).conj().imag,
    }


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_torch_saves_is_read(tmp_path, legacy, protocol):
    torch = pytest.importorskip("torch")
    path = tmp_path / "file.pt"
    value = torch_objects(torch)
    value["dtypes"] = [torch.ones(3).to(dtype) for dtype in all_dtypes(torch)]
    torch.save(value, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    for mmap in (False, True):
        actual = read(path, mmap=mmap)
        compare(torch, value, actual)
        for view in actual["views"][1:-1]:
            assert np.shares_memory(view, actual["views"][0])
        assert actual["model"]._metadata == value["model"]._metadata


@pytest.mark.oracle
def test_what_torch_saves_without_checksums_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(3)}, tmp_path / "file.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    np.testing.assert_array_equal(read(tmp_path / "file.pt")["a"], [1, 1, 1])


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_archive_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "file.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(FileFormatError, match="TorchScript"):
        read(path)
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(FileFormatError, match="state_dict"):
        read(path)


@pytest.mark.oracle
def test_mutated_pickles_that_torch_loads_too_give_the_same():
    torch = pytest.importorskip("torch")
    value = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": [1, "x", np.ones(3, "i2")]}
    content, storages = fuzz_torch_reader.pickle_and_storages(fuzz_torch_reader.written(value))
    generator = random.Random(3)
    compared = 0
    for _ in range(1500):
        data = zip_with(fuzz_torch_reader.mutate(content, generator), storages, version=b"3\n")
        try:
            actual = read_bytes(data)
            expected = torch.load(io.BytesIO(data), weights_only=True)
        except Exception:
            continue
        compare(torch, expected, actual)
        compared += 1
    assert compared > 20
