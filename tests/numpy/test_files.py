"""Arrays in NumPy's files and texts, and how they are printed."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.array import Array


def test_files_are_numpys(tmp_path):
    x = np.arange(6.0).reshape(2, 3)
    path = tmp_path / "x.npy"
    rnp.save(path, rnp.asarray(x))
    np.testing.assert_array_equal(np.load(path), x, strict=True)
    found = rnp.load(path)
    assert isinstance(found, Array)
    np.testing.assert_array_equal(found, x, strict=True)
    path = tmp_path / "several.npz"
    rnp.savez(path, x, y=rnp.ones(2, dtype="bfloat16"))
    found = rnp.load(path)
    assert sorted(found) == ["arr_0", "y"]
    np.testing.assert_array_equal(found["arr_0"], x)
    assert found["y"].dtype == "float32"  # the format knows no bfloat16


def test_pickles_are_not_loaded(tmp_path):
    path = tmp_path / "object.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        rnp.load(path)


def test_raw_bytes_texts_and_iterators(tmp_path):
    path = tmp_path / "raw"
    np.arange(4, dtype="int16").tofile(path)
    np.testing.assert_array_equal(rnp.fromfile(path, "int16", count=2, offset=2), [1, 2])
    np.testing.assert_array_equal(rnp.fromstring("1 2", dtype=int, sep=" "), [1, 2])
    found = rnp.fromiter(iter([1.5, 2.5]), float, count=1)
    np.testing.assert_array_equal(found, np.array([1.5], "float32"), strict=True)


def test_printing_follows_numpys_options():
    x = rnp.asarray(np.array([1 / 3, 1e-9]))
    assert rnp.array_str(x, precision=3, suppress_small=True) == "[0.333 0.   ]"
    assert rnp.array_repr(x, precision=3, suppress_small=True) == (
        "Array([0.333, 0.   ], dtype=float64)"
    )
    with rnp.printoptions(precision=2):
        assert repr(x[:1]) == "Array([0.33], dtype=float64)"
    assert rnp.get_printoptions() == np.get_printoptions()
