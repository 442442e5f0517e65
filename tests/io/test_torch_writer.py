import doctest
import io
import os
import stat
import zipfile
from collections import Counter, OrderedDict, defaultdict, namedtuple

import ml_dtypes
import numpy as np
import pytest

from rtfunc.io import torch_reader, torch_writer, zip_archive
from rtfunc.io.torch_dtypes import DTYPE_OF_NAME


def written(value) -> bytes:
    file = io.BytesIO()
    torch_writer.write(value, file)
    return file.getvalue()


def round_trip(value):
    return torch_reader.read(io.BytesIO(written(value)))


def storages(value) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(written(value))) as archive:
        assert archive.testzip() is None
        return {
            name.rpartition("/")[2]: archive.read(name)
            for name in archive.namelist()
            if "/data/" in name
        }


PLAIN = {
    "numbers": [0, 255, 256, 65536, -1, 2**31, -(2**31) - 1, 2**300, 1.5, -0.0, 1 - 2j],
    "text": ["", "naïve ☺", "\ud800", b"", b"\x00\xff"],
    "flags": (None, True, False),
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "empty": [{}, [], OrderedDict()],
    ("a", 1): {1: {2.5: {None: {True: "deep"}}}},
    "dtype": np.dtype(np.float32),
}


def test_plain_values_come_back():
    result = round_trip(PLAIN)
    assert result == PLAIN
    assert [type(value) for value in result["numbers"]] == [type(v) for v in PLAIN["numbers"]]
    assert type(result["empty"][2]) is OrderedDict


@pytest.mark.parametrize("dtype", DTYPE_OF_NAME.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)], ids=str)
def test_arrays_of_every_dtype_and_shape_come_back(dtype, shape):
    array = np.ones(shape, np.float32).astype(dtype)
    result = round_trip({"a": array})["a"]
    assert result.dtype == dtype
    assert result.shape == shape
    assert result.tobytes() == array.tobytes()


def test_arrays_in_any_layout_come_back():
    base = np.arange(24.0).reshape(2, 3, 4)
    values = [
        base.transpose(2, 0, 1).copy(order="F"),
        base[:, ::-1].copy()[:, ::-1],
        base.astype(">f8"),
        np.broadcast_to(np.float32(3), (2, 3)),
        base.copy()[1, ::2, 1:3],
    ]
    for value, result in zip(values, round_trip(values), strict=True):
        np.testing.assert_array_equal(result, value)
        assert result.flags.c_contiguous
        assert result.dtype.isnative


def test_numpy_scalars_become_tensors_without_dimensions():
    result = round_trip({"loss": np.float32(0.5), "step": np.int64(3), "done": np.bool_(True)})
    assert {key: (value.shape, value.dtype.name) for key, value in result.items()} == {
        "loss": ((), "float32"),
        "step": ((), "int64"),
        "done": ((), "bool"),
    }


def test_a_memory_mapped_array_is_written(tmp_path):
    mapped = np.memmap(tmp_path / "array", np.int32, "w+", shape=(3,))
    mapped[:] = [1, 2, 3]
    np.testing.assert_array_equal(round_trip([mapped])[0], [1, 2, 3])


# Sharing.


def test_arrays_that_share_memory_are_written_once_and_stay_shared():
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    value = {"w": weight, "transposed": weight.T, "row": weight[1], "column": weight[:, 2]}
    assert {key: len(content) for key, content in storages(value).items()} == {"0": 48}
    result = round_trip(value)
    for key in value:
        np.testing.assert_array_equal(result[key], value[key])
        assert np.shares_memory(result[key], result["w"])


def test_an_array_that_stands_twice_is_one_array():
    array = np.ones(3)
    first, second = round_trip([array, array])
    assert first is second


def test_overlapping_windows_share_the_stretch_that_they_cover():
    base = np.arange(100, dtype=np.int16)
    value = [base[10:30], base[20:40], base[60:70]]
    assert sorted(map(len, storages(value).values())) == [20, 60]
    first, second, third = round_trip(value)
    assert np.shares_memory(first, second)
    assert not np.shares_memory(first, third)
    for result, expected in zip((first, second, third), value):
        np.testing.assert_array_equal(result, expected)


def test_a_small_view_does_not_drag_its_base_along():
    base = np.zeros(10_000)
    assert {len(content) for content in storages([base[5:7]]).values()} == {16}
    # Far apart elements of interleaved views: a shared storage would be larger than copies.
    assert sorted(map(len, storages([base[::1000], base[1::1000]]).values())) == [80, 80]


@pytest.mark.parametrize(
    "views",
    [
        lambda base: [base, base.view(np.int32)],
        lambda base: [base, base[::-1]],
        lambda base: [np.frombuffer(base, np.uint8)[:-1].view("S1").view("u1"), base],
        lambda base: [np.frombuffer(base)[:3], np.frombuffer(base)[1:]],
    ],
    ids=["two dtypes", "reversed", "unaligned", "two owners"],
)
def test_sharing_that_pytorch_cannot_express_becomes_copies(views):
    value = views(np.arange(4.0))
    for result, expected in zip(round_trip(value), value, strict=True):
        np.testing.assert_array_equal(result, expected)


def test_shared_containers_stay_shared_and_temporaries_do_not_confuse():
    shared = {"a": [1]}
    result = round_trip([shared, shared, shared["a"]])
    assert result[0] is result[1]
    assert result[2] is result[0]["a"]
    states = []
    for number in range(50):
        state = OrderedDict(a=number)
        state._metadata = {"version": number}
        states.append(state)
    assert [state._metadata["version"] for state in round_trip(states)] == list(range(50))


# The file.


def test_the_same_object_gives_the_same_bytes():
    value = {"a": np.arange(3.0), "b": [np.ones(2, ml_dtypes.bfloat16), "text"], "c": PLAIN}
    again = {"a": np.arange(3.0), "b": [np.ones(2, ml_dtypes.bfloat16), "text"], "c": PLAIN}
    assert written(value) == written(again)


def test_storages_are_aligned_to_64_bytes():
    data = written([np.full(3, 7, np.uint8), np.full(5, 9, np.float32), "x" * 99])
    assert data.index(bytes([7, 7, 7])) % 64 == 0
    assert data.index(np.full(5, 9, np.float32).tobytes()) % 64 == 0


def test_large_numbers_are_written_in_fields_of_64_bits(monkeypatch):
    value = {str(number): np.full(100, number) for number in range(4)}
    monkeypatch.setattr(zip_archive, "_WIDE_FROM", 1000)
    with zipfile.ZipFile(io.BytesIO(written(value))) as archive:
        assert archive.testzip() is None
        assert {len(archive.read(f"archive/data/{key}")) for key in range(4)} == {800}
    result = round_trip(value)
    monkeypatch.setattr(zip_archive, "_WIDE_FROM", 500)
    assert result["3"][99] == round_trip(value)["3"][99] == 3


def test_a_path_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    torch_writer.write({"a": 1}, path)
    os.chmod(path, 0o640)
    torch_writer.write({"a": 2}, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(TypeError):
        torch_writer.write({"a": object()}, path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        torch_writer.write({"a": 3}, path)
    assert torch_reader.read(path) == {"a": 2}
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target.pth", tmp_path / "link.pth"
    target.write_bytes(b"")
    link.symlink_to(target)
    torch_writer.write([1], link)
    assert link.is_symlink()
    assert torch_reader.read(target) == [1]


# What cannot be written.


Point = namedtuple("Point", "x")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [1, {2, 3}]}, r"the object\['a'\]\[1\], a set"),
        (object(), "the object, a object"),
        ({"a": Counter()}, "a Counter"),
        (defaultdict(list), "a defaultdict"),
        ([Point(1)], r"the object\[0\], a Point"),
        (np.array([None]), "no dtype for object"),
        (np.array(["text"]), "no dtype for <U4"),
        ({"a": np.zeros(1, np.longdouble)}, r"the object\['a'\]: PyTorch has no dtype"),
        (np.dtype("M8[s]"), "no dtype for datetime64"),
        ({np.int64(1): 2}, "a int64 as a key"),
        (np.ma.masked_array([1]), "a MaskedArray"),
        (lambda: None, "a function"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_what_pytorch_would_not_read_is_refused_with_its_place(value, where):
    with pytest.raises(TypeError, match=where):
        written(value)


def test_endless_objects_are_refused():
    endless = [1]
    endless.append({"again": endless})
    with pytest.raises(ValueError, match=r"the object\[1\]\['again'\]: it contains itself"):
        written(endless)
    deep = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(ValueError, match="deeper than 200"):
        written(deep)
    with pytest.raises(ValueError, match="an integer of"):
        written(1 << 4000)


def test_the_example_holds():
    assert doctest.testmod(torch_writer).failed == 0


# Against PyTorch.


@pytest.fixture
def load(tmp_path):
    torch = pytest.importorskip("torch")

    def load(value, **options):
        path = tmp_path / "file.pt"
        torch_writer.write(value, path)
        return torch.load(path, weights_only=True, **options)

    return load


@pytest.mark.oracle
@pytest.mark.parametrize("mmap", [False, True])
def test_torch_loads_plain_values(load, mmap):
    import torch

    result = load(PLAIN, mmap=mmap)
    assert result.pop("dtype") == torch.float32
    assert result == {key: value for key, value in PLAIN.items() if key != "dtype"}


@pytest.mark.oracle
@pytest.mark.parametrize("name", DTYPE_OF_NAME)
def test_torch_loads_every_dtype(load, name):
    import torch

    array = np.arange(6).reshape(2, 3).astype(np.float32).astype(DTYPE_OF_NAME[name])
    for value in (array, array[:1, 0], array.T, array[0, 0].reshape(()), array[:0]):
        for mmap in (False, True):
            tensor = load([value], mmap=mmap)[0]
            assert str(tensor.dtype) == f"torch.{name}"
            assert tuple(tensor.shape) == value.shape
            flat = tensor.contiguous().reshape(-1).view(torch.uint8)
            assert flat.numpy().tobytes() == value.tobytes()


@pytest.mark.oracle
def test_torch_shares_what_was_shared(load):
    weight = np.arange(12.0).reshape(3, 4)
    result = load({"w": weight, "t": weight.T, "row": weight[1]})
    pointers = {tensor.untyped_storage().data_ptr() for tensor in result.values()}
    assert len(pointers) == 1
    assert result["t"].stride() == (1, 4)
    assert result["row"].storage_offset() == 4
    assert result["row"].tolist() == [4, 5, 6, 7]


VIEWS = np.arange(90.0)
MANY = [np.zeros(0), np.float32(1), VIEWS[3:], VIEWS[:9], np.ones(200), np.uint16(2)]


@pytest.mark.oracle
@pytest.mark.parametrize("mmap", [False, True])
def test_torch_finds_storages_where_it_calculates_them(load, monkeypatch, mmap):
    from torch.utils.serialization import config

    # PyTorch then also compares with the place that the archive names.
    monkeypatch.setenv("TORCH_SERIALIZATION_DEBUG", "1")
    with config.patch({"load.calculate_storage_offsets": True}):
        result = load(MANY, mmap=mmap)
    for tensor, expected in zip(result, MANY, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), expected)


@pytest.mark.oracle
@pytest.mark.parametrize("mmap", [False, True])
def test_torch_reads_numbers_in_fields_of_64_bits(load, monkeypatch, mmap):
    monkeypatch.setattr(zip_archive, "_WIDE_FROM", 700)
    for tensor, expected in zip(load(MANY, mmap=mmap), MANY, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), expected)


@pytest.mark.oracle
def test_a_module_loads_the_state_that_was_read_and_written(tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(5, 3)).sum().backward()
    optimizer.step()
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, first)
    torch_writer.write(torch_reader.read(first, mmap=True), second)
    state = torch.load(second, weights_only=True)
    assert state["model"]._metadata == model.state_dict()._metadata
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    other.load_state_dict(state["model"])
    other_optimizer = torch.optim.Adam(other.parameters())
    other_optimizer.load_state_dict(state["optimizer"])
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        moments = (optimizer.state[one]["exp_avg"], other_optimizer.state[two]["exp_avg"])
        assert torch.equal(*moments)
