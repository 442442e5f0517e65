import collections
import functools

import ml_dtypes
import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TreeError
from rtfunc.data import DataLoader, default_collate, pad_collate

Pair = collections.namedtuple("Pair", "x y")


def test_leaves_are_stacked_in_the_structure_of_the_items():
    items = [
        {"a": Pair(np.full((2, 3), i, "float64"), rnp.ones(2)), "b": [np.int8(i), f"n{i}", None]}
        for i in range(4)
    ]
    batch = default_collate(items)
    assert isinstance(batch["a"], Pair)
    assert batch["a"].x.shape == (4, 2, 3)
    assert batch["a"].x.dtype == np.float64
    assert isinstance(batch["a"].y, np.ndarray)
    assert batch["b"][0].tolist() == [0, 1, 2, 3]
    assert batch["b"][0].dtype == np.int8
    assert batch["b"][1:] == [["n0", "n1", "n2", "n3"], None]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int32"),
        ([1, 2**40], "int64"),
        ([1.5, 2], "float32"),
        ([True, False], "bool"),
        ([1j, 2.0], "complex64"),
        ([np.float64(1), np.float64(2)], "float64"),
        ([ml_dtypes.bfloat16(1), ml_dtypes.bfloat16(2)], ml_dtypes.bfloat16),
    ],
)
def test_dtypes_of_numbers(values, dtype):
    batch = default_collate(values)
    assert batch.dtype == dtype
    assert batch.tolist() == values


def test_integers_of_more_than_64_bits_are_named():
    assert default_collate([-(2**63), 2**63 - 1]).tolist() == [-(2**63), 2**63 - 1]
    assert default_collate([-(2**31), 2**31 - 1]).dtype == np.int32
    for value in (2**63, -(2**63) - 1):
        with pytest.raises(DtypeError, match=f"item 1 of the batch at .'id'. .*64 bits: {value}"):
            default_collate([{"id": 1}, {"id": value}])


class Foreign:
    """An array of another library."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __array__(self, dtype=None, copy=None):
        return self.array


def test_arrays_of_other_libraries_are_stacked():
    rows = [np.arange(3, dtype="f4"), np.ones(3, "f4")]
    batch = default_collate([(Foreign(row), 1) for row in rows])
    np.testing.assert_array_equal(batch[0], rows)


@pytest.mark.oracle
def test_a_dataset_of_pytorch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.arange(6.0).reshape(3, 2), torch.arange(3))
    (x, y), _ = DataLoader(data, 2, num_workers=1)
    assert (x.tolist(), y.tolist(), y.dtype) == ([[0, 1], [2, 3]], [0, 1], np.int64)


def test_results_do_not_share_memory_with_the_items():
    item = np.zeros((1, 3))
    assert not np.shares_memory(default_collate([item]), item)
    assert not np.shares_memory(pad_collate([item]), item)


def test_items_that_do_not_fit_are_named():
    zeros = np.zeros
    with pytest.raises(ShapeError, match=r"at \['x'\]\[1\]: item 0 .* \(3,\), item 2 \(4,\).*pad_"):
        default_collate([{"x": (0, zeros(n))} for n in (3, 3, 4)])
    with pytest.raises(DtypeError, match=r"differ in dtype at \[0\]: .* float64, item 1 float32"):
        default_collate([(zeros(2),), (zeros(2, "float32"),)])
    with pytest.raises(
        TreeError, match=r"items 0 and 1 of the batch differ in structure: .*\['b'\]"
    ):
        default_collate([{"a": 1}, {"a": 1, "b": 2}])
    with pytest.raises(TreeError, match="Lists are containers"):
        default_collate([[1, 2], [1, 2, 3]])
    with pytest.raises(DtypeError, match=r"differ in type: item 0 .* a str, item 1 a int"):
        default_collate(["a", 1])
    with pytest.raises(DtypeError, match=r"a ndarray, item 1 a float"):
        default_collate([zeros(2), 1.0])
    with pytest.raises(DtypeError, match=r"hold a set at \['x'\]\. Convert it in the dataset"):
        default_collate([{"x": {1}}])
    with pytest.raises(ArgumentError, match="at least one item"):
        default_collate([])


def test_padding():
    items = [{"t": np.arange(n), "l": np.ones((n, 2)), "n": n} for n in (2, 5, 3)]
    value = {"t": -1, "l": 0.5, "n": 0}
    batch = pad_collate(items, value=value, multiple=4)
    assert batch["t"].shape == (3, 8)
    assert batch["t"][0].tolist() == [0, 1] + [-1] * 6
    assert batch["l"].shape == (3, 8, 2)
    assert (batch["l"][2, 3:] == 0.5).all()
    assert batch["n"].tolist() == [2, 5, 3]
    images = [np.ones((2, 5)), np.ones((3, 4))]
    assert pad_collate(images, axis=(0, 1)).shape == (2, 3, 5)
    assert pad_collate([np.float32(1), np.float32(2)]).tolist() == [1, 2]
    partial = functools.partial(pad_collate, value=7)
    assert partial([np.zeros(1), np.zeros(2)])[0].tolist() == [0, 7]


def test_padding_refuses_other_axes():
    with pytest.raises(ShapeError, match=r"other axes than \[0\].*\(2, 5\), item 1 \(3, 4\)"):
        pad_collate([np.ones((2, 5)), np.ones((3, 4))])
    with pytest.raises(ShapeError, match=r"\(2,\), item 1 \(3, 4\)"):
        pad_collate([np.ones(2), np.ones((3, 4))])
    with pytest.raises(ArgumentError, match="multiple must be a positive integer, not 0"):
        pad_collate([np.ones(2)], multiple=0)
    with pytest.raises(TreeError, match=r"pad_collate \(value\)"):
        pad_collate([{"a": np.ones(2)}], value={"b": 0})
