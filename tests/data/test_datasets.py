import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, DtypeError, IndexingError, ShapeError
from rtfunc.data import (
    ArrayDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Shard,
    Subset,
    iterable,
    map,
    random_split,
)
from rtfunc.random import key


def test_array_dataset_items_are_views_and_batches_are_copies():
    x = np.arange(12.0).reshape(4, 3)
    data = ArrayDataset(x, np.arange(4))
    assert isinstance(data, Dataset)
    row, number = data[2]
    assert np.shares_memory(row, x)
    assert number == 2
    for indices in (range(1, 3), np.array([1, 2]), [1, 2], range(2, 0, -1)):
        rows, numbers = data.gather(indices)
        assert not np.shares_memory(rows, x)
        assert np.array_equal(rows, x[list(indices)])
        assert np.array_equal(numbers, list(indices))


def test_array_dataset_takes_pytrees_and_arrays():
    data = ArrayDataset({"a": rnp.ones((3, 2)), "b": [np.zeros(3)]})
    assert len(data) == 3
    assert data[0]["a"].shape == (2,)
    assert data.gather(range(3))["b"][0].shape == (3,)
    assert ArrayDataset(np.arange(3))[1] == 1
    assert "float32[3, 2]" in repr(data)
    assert set(data.arrays) == {"a", "b"}


def test_array_dataset_refuses_arrays_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"\[0\] of shape \(3,\) and \[1\] of shape \(4, 2\)"):
        ArrayDataset(np.zeros(3), np.zeros((4, 2)))
    with pytest.raises(ShapeError, match=r"the leaf \[0\] has no axes.*numpy.asarray"):
        ArrayDataset([1, 2, 3])
    with pytest.raises(ArgumentError, match="at least one array"):
        ArrayDataset()
    with pytest.raises(IndexingError, match="item 3 of 3"):
        ArrayDataset(np.zeros(3)).gather(range(2, 4))
    with pytest.raises(IndexError):
        ArrayDataset(np.zeros(3)).gather(np.array([5]))


def test_concat_dataset():
    a, b = ArrayDataset(np.arange(3)), ArrayDataset(np.arange(10, 15))
    data = ConcatDataset([a, ArrayDataset(np.zeros(0, int)), b])
    assert len(data) == 8
    assert [int(data[i]) for i in range(8)] == [0, 1, 2, 10, 11, 12, 13, 14]
    assert data[-1] == 14
    assert data.gather(np.array([7, 0, 3, 2])).tolist() == [14, 0, 10, 2]
    assert data.gather(range(4, 6)).tolist() == [11, 12]
    assert ConcatDataset([a, [5]]).gather([0, 3]) is NotImplemented
    assert ConcatDataset([a, ArrayDataset(np.zeros(3))]).gather([0, 3]) is NotImplemented
    assert ConcatDataset([a, ArrayDataset(a.arrays, a.arrays)]).gather([0, 3]) is NotImplemented
    assert len(ConcatDataset([])) == 0
    with pytest.raises(IndexingError, match="item 8 of 8"):
        data[8]
    with pytest.raises(DtypeError, match=r"ConcatDataset takes datasets.*generator"):
        ConcatDataset([(i for i in range(3))])


def test_subset():
    data = Subset(ArrayDataset(np.arange(10, 20)), [3, 1, -1])
    assert [int(x) for x in data] == [13, 11, 19]
    assert data.gather(range(2)).tolist() == [13, 11]
    assert Subset(["a", "b"], []).gather(range(0)) is NotImplemented
    assert Subset(["a", "b"], np.array([1])).__getitems__(range(1)) == ["b"]
    with pytest.raises(IndexingError, match="from 0 to 5, but the dataset has 3 items"):
        Subset([1, 2, 3], [0, 5])
    with pytest.raises(DtypeError, match=r"bool\[2\].*flatnonzero"):
        Subset([1, 2], np.array([True, False]))


def test_random_split_is_a_partition_fixed_by_the_key():
    parts = random_split(range(11), [0.5, 0.5], key(1))
    assert [len(p) for p in parts] == [6, 5]
    assert sorted([*parts[0], *parts[1]]) == list(range(11))
    again = random_split(range(11), [6, 5], key(1))
    assert [list(p) for p in again] == [list(p) for p in parts]
    assert list(random_split(range(11), [6, 5], key(2))[0]) != list(parts[0])
    # 0.29 * 100 is 28.999999999999996 in floating point.
    assert [len(p) for p in random_split(range(100), [0.29, 0.71], key(0))] == [29, 71]
    assert [len(p) for p in random_split([], [0.8, 0.2], key(0))] == [0, 0]
    assert [len(p) for p in random_split([5], [1], key(0))] == [1]


@pytest.mark.parametrize("lengths", [[5, 5], [0.5, 0.4], [-1, 12], []])
def test_random_split_refuses_other_sums(lengths):
    with pytest.raises(ArgumentError, match=r"random_split.*(sum 11|lengths of 0 and more)"):
        random_split(range(11), lengths, key(0))


def test_random_split_refuses_what_is_no_key():
    with pytest.raises(ArgumentError, match=r"uint32\[2\], not int.*rtfunc.random.key"):
        random_split(range(3), [3], 0)


def test_map_is_lazy():
    seen = []

    def note(x):
        seen.append(x)
        return -x

    data = map(note, range(100))
    assert len(data) == 100
    assert not seen
    assert data[7] == -7
    assert seen == [7]
    stream = map(note, iterable(lambda shard: [1, 2]))
    assert isinstance(stream, IterableDataset)
    assert list(stream) == [-1, -2]
    assert list(map(abs, stream)) == [1, 2]
    with pytest.raises(ArgumentError, match="first argument is a range"):
        map(range(3), note)
    with pytest.raises(DtypeError, match="map takes datasets"):
        map(note, iter([1]))


def test_streams_are_divided_by_shards():
    stream = iterable(lambda shard: range(shard.index, 7, shard.count), shards=3)
    assert list(stream.iterate(Shard(2, 3))) == [2, 5]
    assert list(stream) == [0, 3, 6, 1, 4, 2, 5]
    with pytest.raises(ArgumentError, match=r"not a list.*lambda shard"):
        iterable([1, 2, 3])
    with pytest.raises(ArgumentError, match="positive integer, not 0"):
        iterable(iter, shards=0)
