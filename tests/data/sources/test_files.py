"""Readers of files: what is in them, what is damaged in them, and what is missing."""

import builtins
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from rtfunc import data
from rtfunc.core.errors import ArgumentError, MissingDependencyError
from rtfunc.data import DataLoader
from rtfunc.io import FileFormatError
from rtfunc.random import key

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist"


def idx(array, code):
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")]
)
def test_idx_of_every_dtype(tmp_path, code, dtype, compressed):
    for shape in [(), (0,), (5,), (2, 3, 4)]:
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        content = idx(array, code)
        path = tmp_path / "file"
        path.write_bytes(gzip.compress(content) if compressed else content)
        result = data.read_idx(path)
        assert result.dtype == array.dtype
        assert result.dtype.isnative
        assert np.array_equal(result, array)
        assert result.shape == shape


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n", "not an IDX file: it begins with b'"),
        (bytes([0, 0, 10, 1]), "not an IDX file"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 1]), "truncated"),
        (idx(np.zeros(5, "u1"), 8)[:-1], "4 of the 5 bytes"),
        (idx(np.zeros(5, "u1"), 8) + b"x", r"more than its shape \(5,\) says"),
        (bytes([0, 0, 14, 4]) + b"\xff" * 16, "0 of the .* bytes"),
    ],
)
def test_damaged_idx_files(tmp_path, content, match, compressed):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(FileFormatError, match=match) as caught:
        data.read_idx(path)
    assert str(caught.value).startswith(str(path))


def test_damaged_gzip_and_bombs(tmp_path):
    content = gzip.compress(idx(np.arange(200, dtype="u1"), 8))
    path = tmp_path / "file.gz"
    for damaged in (
        content[:30],
        content[:-4] + b"\0\0\0\0",
        content[:15] + b"\xff" + content[16:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"file.gz: "):
            data.read_idx(path)
    path.write_bytes(gzip.compress(idx(np.zeros(4, "u1"), 8) + bytes(1 << 24)))
    with pytest.raises(FileFormatError, match="more than its shape"):
        data.read_idx(path)


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST's files are not beside the repository")
def test_real_mnist():
    images, labels = data.mnist(MNIST, "test").arrays
    assert (images.shape, images.dtype) == ((10000, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((10000,), np.int32)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert images.max() == 255


def test_mnist_finds_its_files(tmp_path):
    images, labels = np.arange(24, dtype="u1").reshape(2, 3, 4), np.array([1, 0], "u1")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images, 8))
    (tmp_path / "train-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels, 8)))
    found = data.mnist(tmp_path).arrays
    assert np.array_equal(found[0], images)
    assert found[1].tolist() == [1, 0]
    with pytest.raises(FileNotFoundError, match=r"no file t10k-images-idx3-ubyte or .*gz"):
        data.mnist(tmp_path, "test")
    with pytest.raises(ArgumentError, match="part is 'train' or 'test', but got 'all'"):
        data.mnist(tmp_path, "all")
    (tmp_path / "train-labels.idx1-ubyte.gz").write_bytes(idx(labels[:1], 8))
    with pytest.raises(FileFormatError, match="do not belong together"):
        data.mnist(tmp_path)


def records(count, label_bytes, classes, seed=0):
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, 256, (count, label_bytes + 3072)).astype("u1")
    for i, limit in enumerate(classes):
        rows[:, i] %= limit
    return rows


def test_cifar(tmp_path):
    inner = tmp_path / "cifar-10-batches-bin"
    inner.mkdir()
    parts = [records(3, 1, (10,), seed) for seed in range(6)]
    for number, rows in enumerate(parts[:5], 1):
        (inner / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
    (inner / "test_batch.bin").write_bytes(parts[5].tobytes())
    for folder in (tmp_path, inner):
        images, labels = data.cifar10(folder).arrays
        assert (images.shape, images.dtype, labels.dtype) == ((15, 3, 32, 32), np.uint8, np.int32)
        assert labels[3:6].tolist() == parts[1][:, 0].tolist()
        assert images[4, 1, 0, 2] == parts[1][1, 1 + 1024 + 2]
    assert len(data.cifar10(tmp_path, "test")) == 3

    rows = records(4, 2, (20, 100))
    (tmp_path / "train.bin").write_bytes(rows.tobytes())
    assert data.cifar100(tmp_path).arrays[1].tolist() == rows[:, 1].tolist()
    assert data.cifar100(tmp_path, coarse=True).arrays[1].tolist() == rows[:, 0].tolist()
    (tmp_path / "train.bin").write_bytes(rows.tobytes()[:-1])
    with pytest.raises(FileFormatError, match="not whole records of 3074"):
        data.cifar100(tmp_path)
    rows[2, 1] = 100
    (tmp_path / "train.bin").write_bytes(rows.tobytes())
    with pytest.raises(FileFormatError, match="a label that is none of the 100 classes"):
        data.cifar100(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file test.bin or cifar-100-binary/test.bin"):
        data.cifar100(tmp_path, "test")
    with pytest.raises(ArgumentError, match="part is"):
        data.cifar10(tmp_path, "valid")


@pytest.fixture
def photos(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    for name, count in (("cats", 3), ("dogs", 2)):
        (tmp_path / name / "more").mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (10 + number, 12, 3)).astype("u1")
            inner = "more" if number == 2 else "."
            Image.fromarray(pixels).save(tmp_path / name / inner / f"{number}.png")
        (tmp_path / name / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_of_pictures(photos):
    folder = data.ImageFolder(photos)
    assert folder.classes == ["cats", "dogs"]
    assert folder.labels.tolist() == [0, 0, 0, 1, 1]
    image, label = folder[1]
    assert (image.shape, image.dtype, label) == ((3, 11, 12), np.uint8, 0)
    from PIL import Image

    assert np.array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(folder.paths[1])))
    assert data.read_image(folder.paths[0], mode="L").shape == (1, 10, 12)
    small = data.ImageFolder(photos, size=(4, 6), mode="L")
    for mode in ("thread", "process"):
        loader = DataLoader(small, 5, num_workers=2, worker_mode=mode)
        images, labels = next(iter(loader))
        assert images.shape == (5, 1, 4, 6)
        assert labels.tolist() == [0, 0, 0, 1, 1]


def test_pictures_that_are_none(photos):
    path = photos / "cats" / "0.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(FileFormatError, match=r"0.png: cannot decode the picture"):
        data.ImageFolder(photos)[0]
    path.write_bytes(b"text")
    with pytest.raises(FileFormatError, match=r"0.png: cannot decode the picture"):
        data.read_image(path)
    with pytest.raises(FileNotFoundError):
        data.read_image(photos / "nothing.png")
    with pytest.raises(ArgumentError, match="no subfolder with pictures"):
        data.ImageFolder(photos / "cats" / "more")


def test_a_picture_too_large_is_refused(photos, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(FileFormatError, match="cannot decode the picture: Image size"):
        data.read_image(photos / "cats" / "0.png")


def test_csv(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "table.csv"
    path.write_text("name,x,n,gap,flag\na,1.5,2,,true\nb,-2,3,7,false\n,0.25,4,8,true\n")
    table = data.read_csv(path)
    columns = table.arrays
    assert {name: column.dtype.kind for name, column in columns.items()} == {
        "name": "U", "x": "f", "n": "i", "gap": "f", "flag": "b",
    }  # fmt: skip
    assert columns["name"].tolist() == ["a", "b", ""]
    assert columns["x"].tolist() == [1.5, -2, 0.25]
    assert np.isnan(columns["gap"][0])
    assert table[1]["n"] == 3
    some = data.read_csv(path, ["n", "x"])
    assert list(some.arrays) == ["n", "x"] or set(some.arrays) == {"n", "x"}
    batch = next(iter(DataLoader(table, 2, shuffle=True, key=key(0))))
    assert batch["x"].shape == (2,)
    path.write_text("a;b\n1;2\n")
    assert data.read_csv(path, delimiter=";").arrays["b"].tolist() == [2]
    with pytest.raises(ArgumentError, match="no column 'c'; it has a, b"):
        data.read_csv(path, ["a", "c"], delimiter=";")
    path.write_text("a,b\n1,2\n3\n")
    with pytest.raises(FileFormatError, match=r"table.csv: CSV parse error"):
        data.read_csv(path)
    with pytest.raises(FileNotFoundError):
        data.read_csv(tmp_path / "nothing.csv")


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "table.parquet"
    columns = {
        "x": np.arange(3, dtype="f4"),
        "label": np.array([1, 0, 2], "i1"),
        "gap": [1, None, 3],
        "word": ["a", None, "c"],
    }
    parquet.write_table(pyarrow.table(columns), path)
    found = data.read_parquet(path).arrays
    assert (found["x"].dtype, found["label"].dtype) == (np.float32, np.int8)
    assert np.isnan(found["gap"][1])
    assert found["word"].tolist() == ["a", "", "c"]
    assert set(data.read_parquet(path, ["x"]).arrays) == {"x"}
    with pytest.raises(ArgumentError, match="no column 'z'"):
        data.read_parquet(path, ["z"])
    parquet.write_table(pyarrow.table({"b": [True, None]}), path)
    with pytest.raises(FileFormatError, match="boolean column 'b' lacks values"):
        data.read_parquet(path)
    parquet.write_table(pyarrow.table({"l": [[1], [2]]}), path)
    with pytest.raises(FileFormatError, match=r"column 'l' of list.* has no dtype"):
        data.read_parquet(path)
    path.write_bytes(b"no table")
    with pytest.raises(FileFormatError, match=r"table.parquet: "):
        data.read_parquet(path)


def test_lines_of_text(tmp_path):
    one, two, empty = tmp_path / "one", tmp_path / "two", tmp_path / "empty"
    one.write_bytes("first\r\nzweite ä\n\nlast".encode())
    two.write_bytes(b"other\n")
    empty.write_bytes(b"")
    lines = data.TextLines([one, empty, two])
    assert list(lines) == ["first", "zweite ä", "", "last", "other"]
    assert lines[-1] == "other"
    assert lines.__getitems__(np.array([4, 0, 3])) == ["other", "first", "last"]
    for mode in ("thread", "process"):
        loader = DataLoader(lines, 3, num_workers=2, worker_mode=mode)
        assert list(loader) == [["first", "zweite ä", ""], ["last", "other"]]
    assert len(data.TextLines(empty)) == 0
    with pytest.raises(IndexError):
        lines[5]
    two.write_bytes(b"good\n\xff\n")
    with pytest.raises(FileFormatError, match="two: line 2 is not utf-8"):
        data.TextLines([one, two])[5]
    assert data.TextLines(two, encoding="latin-1")[1] == "ÿ"


@pytest.mark.parametrize(
    ("call", "package", "extra"),
    [
        (lambda path: data.read_image(path), "PIL", "images"),
        (lambda path: data.read_csv(path), "pyarrow", "tables"),
        (lambda path: data.read_parquet(path), "pyarrow", "tables"),
        (lambda path: data.text.BytePairEncoding.load(path), "tokenizers", "text"),
        (lambda path: data.text.BytePairEncoding.train("a", 300), "tokenizers", "text"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, call, package, extra):
    import importlib

    original, original_module = builtins.__import__, importlib.import_module

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return original(name, *args, **kwargs)

    def refuse_module(name, *args):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return original_module(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(importlib, "import_module", refuse_module)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'rtfunc\[{extra}\]'"):
        call("nothing")
