"""The MNIST example, with the package's digits enlarged and written as IDX files."""

import gzip
import struct

import numpy as np
import pytest

from rtfunc.data.sources import digits
from rtfunc.examples import mnist as example


def write_idx(path, array):
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    images, labels = digits().arrays
    large = np.kron(images, np.ones((1, 3, 3)))
    write_idx(folder / example.FILES[0], np.pad(large, ((0, 0), (2, 2), (2, 2))) * 255)
    write_idx(folder / example.FILES[1], labels)
    return folder


def test_it_reads_what_was_written(data):
    train, test = example.load([data / name for name in example.FILES], held_out=300)
    assert train.arrays[0].shape == (1497, 1, 28, 28)
    assert test.arrays[0].dtype == np.float32
    images, labels = digits().arrays
    np.testing.assert_array_equal(test.arrays[1], labels[-300:])
    np.testing.assert_allclose(  # 8 bits
        test.arrays[0][:, 0, 2:-2:3, 2:-2:3], images[-300:], atol=1 / 255
    )


def test_it_learns_and_draws(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(example, "load", lambda files, load=example.load: load(files, 300))
    options = ["--data", str(data), "--output", str(tmp_path), "--steps", "60"]
    assert example.main(options) == 0
    text = capsys.readouterr().out
    assert float(text.split("held-out digits: ")[1].split("%")[0]) > 60  # of ten classes
    pytest.importorskip("matplotlib")
    assert (tmp_path / "mnist.png").read_bytes().startswith(b"\x89PNG")


def test_missing_files_are_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        example.main(["--data", str(tmp_path), "--output", str(tmp_path / "out")])
    text = capsys.readouterr().err
    assert f"{tmp_path} has no t10k-images-idx3-ubyte.gz and no t10k-labels-idx1" in text
    assert "Give the folder with MNIST's test digits as --data FOLDER." in text
