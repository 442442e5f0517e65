"""The loader without workers and with threads; `test_loader_processes` has what processes add."""

import _thread
import gc
import pickle
import threading
import time

import numpy as np
import pytest
from worker_datasets import (
    Faulty,
    Images,
    Uneven,
    count_in_shard,
    fail_in_shard,
    in_forked_copy,
    sum_and_names,
)

import rtfunc.numpy as rnp
from rtfunc import tree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DeviceError, DtypeError, MissingDependencyError
from rtfunc.data import (
    ArrayDataset,
    BatchSampler,
    BucketSampler,
    ConcatDataset,
    DataLoader,
    IterableDataset,
    SequentialSampler,
    Subset,
    WeightedSampler,
    iterable,
    map,
)
from rtfunc.random import fold_in, key, permutation


def values(batches):
    """Batches as nested lists, for comparing bit for bit."""
    return [tree.map(lambda x: x.tolist() if isinstance(x, Array) else x, b) for b in batches]


def workers_now():
    return [t for t in threading.enumerate() if t.name.startswith("rtfunc-data")]


def make_items(**options):
    return DataLoader(Uneven(23, 3), 4, shuffle=True, key=key(1), **options)


def make_arrays(**options):
    x = np.arange(46, dtype="float32").reshape(23, 2)
    return DataLoader(ArrayDataset(x, np.arange(23)), 4, shuffle=True, key=key(1), **options)


def make_stream(**options):
    return DataLoader(iterable(count_in_shard, shards=3), 2, **options)


def make_buckets(**options):
    lengths = np.arange(23) % 5
    return DataLoader(
        ArrayDataset(lengths), batch_sampler=BucketSampler(lengths, 4, key(2)), **options
    )


def make_weighted(**options):
    sampler = WeightedSampler(np.arange(23), 18, key(2))
    return DataLoader(ArrayDataset(np.arange(23)), 4, sampler=sampler, drop_last=True, **options)


makers = pytest.mark.parametrize(
    "make", [make_items, make_arrays, make_stream, make_buckets, make_weighted]
)


def test_batches_are_arrays_in_the_order_of_the_key():
    x = np.arange(20.0).reshape(10, 2)
    loader = DataLoader(ArrayDataset(x, np.arange(10)), 4, shuffle=True, key=key(9))
    for epoch in range(2):
        order = np.asarray(permutation(fold_in(key(9), epoch), 10))
        batches = list(loader)
        assert [len(b[1]) for b in batches] == [4, 4, 2]
        assert all(type(leaf) is Array for b in batches for leaf in b)
        assert np.array_equal(np.concatenate([b[1] for b in batches]), order)
        assert np.array_equal(np.concatenate([b[0] for b in batches]), x[order])
        assert batches[0][0].dtype == np.float64


@makers
def test_the_same_batches_for_any_number_of_threads(make):
    loader = make()
    epochs = [values(loader), values(loader)]
    for count in (1, 2, 3, 7):
        loader = make(num_workers=count, prefetch=count)
        assert [values(loader), values(loader)] == epochs


def test_a_gathered_batch_is_the_collated_batch():
    data = ArrayDataset(np.arange(7), {"y": np.eye(7)})
    gathered = DataLoader(data, 3, shuffle=True, key=key(0))
    collated = DataLoader([data[i] for i in range(7)], 3, shuffle=True, key=key(0))
    mapped = DataLoader(map(lambda item: item, data), 3, shuffle=True, key=key(0))
    both = DataLoader(
        ConcatDataset([Subset(data, [0, 1]), Subset(data, range(2, 7))]),
        3,
        shuffle=True,
        key=key(0),
    )
    expected = values(gathered)
    assert values(collated) == values(mapped) == values(both) == expected


@makers
@pytest.mark.parametrize("count", [0, 2])
def test_resuming_at_every_position(make, count):
    """The next batches after `restore` are those of a loader that was never interrupted."""
    loader = make(num_workers=count)
    epochs = [values(loader) for _ in range(3)]
    flat = [batch for epoch in epochs for batch in epoch]
    for position in range(len(flat)):
        loader = make(num_workers=count, prefetch=3)
        taken = 0
        while taken <= position:  # always stops inside an epoch, with batches in flight
            for _ in loader:
                taken += 1
                if taken > position:
                    break
        state = pickle.loads(pickle.dumps(loader.state()))
        resumed = make(num_workers=count)
        resumed.restore(state)
        assert resumed.state() == state if state["key"] is None else True
        rest = [batch for _ in range(3) for batch in values(resumed)]
        assert rest[: len(flat) - taken] == flat[taken:]


def test_the_state_counts_what_was_handed_out():
    loader = make_arrays(num_workers=2, prefetch=3)
    assert (loader.state()["epoch"], loader.state()["position"]) == (0, 0)
    iterator = iter(loader)
    for position in range(1, 7):
        next(iterator)
        time.sleep(0.001)  # workers run ahead
        assert (loader.state()["epoch"], loader.state()["position"]) == (0, position)
    assert list(iterator) == []
    assert (loader.epoch, loader.state()["position"]) == (1, 0)
    for _ in loader:
        break
    assert (loader.epoch, loader.state()["position"]) == (1, 1)
    next(iter(loader))  # a new iterator is a new epoch
    assert loader.epoch == 2
    assert loader.state()["key"].tolist() == np.asarray(key(1)).tolist()
    loader.state()["key"][:] = 0  # a copy
    assert loader.state()["key"].tolist() == np.asarray(key(1)).tolist()


def test_restore_takes_the_key_and_arrays_in_place_of_numbers():
    loader = make_arrays()
    expected = values(loader)
    state = {k: rnp.asarray(v) for k, v in make_arrays().state().items()}
    state["position"] = rnp.asarray(4)
    other = DataLoader(loader.dataset, 4, shuffle=True, key=key(77))
    other.restore(state)
    assert values(other) == expected[4:]


def test_restore_refuses_states_of_other_loaders():
    loader = make_arrays()
    state = loader.state()
    with pytest.raises(ArgumentError, match="saved with batch_size 5, but this loader has 4"):
        loader.restore({**state, "batch_size": 5})
    with pytest.raises(ArgumentError, match="saved with length 99, but this loader has 23"):
        loader.restore({**state, "length": 99})
    with pytest.raises(ArgumentError, match="saved without a key, but this loader has one"):
        loader.restore({**state, "key": None})
    with pytest.raises(ArgumentError, match="a dict of epoch, position"):
        loader.restore({"epoch": 1})
    with pytest.raises(ArgumentError, match="position must be an integer of at least 0, not -1"):
        loader.restore({**state, "position": -1})
    loader.restore({**state, "position": 6})  # after the last batch
    assert list(loader) == []
    with pytest.raises(ArgumentError, match="after 7 batches, but an epoch of this loader has 6"):
        loader.restore({**state, "position": 7})


def test_several_iterators_at_once():
    expected = make_items()
    epochs = values(expected), values(expected)
    loader = make_items(num_workers=2)
    pairs = list(zip(loader, loader))
    assert values(a for a, _ in pairs) == epochs[0]
    assert values(b for _, b in pairs) == epochs[1]


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize(
    ("length", "size", "drop", "sizes"),
    [(0, 3, False, []), (2, 5, False, [2]), (2, 5, True, []), (6, 3, True, [3, 3]),
     (7, 3, True, [3, 3]), (7, 3, False, [3, 3, 1]), (1, 1, False, [1])],
)  # fmt: skip
def test_odd_lengths(length, size, drop, sizes, count):
    for data in (ArrayDataset(np.arange(length)), list(range(length))):
        for options in ({}, {"shuffle": True, "key": key(0)}):
            loader = DataLoader(data, size, drop_last=drop, num_workers=count, **options)
            assert [len(b) for b in loader] == sizes
            assert len(loader) == len(sizes)
    stream = DataLoader(iter_anew(length), size, drop_last=drop, num_workers=count)
    assert [len(b) for b in stream] == sizes
    assert [len(b) for b in stream] == sizes


def iter_anew(length):
    return iterable(lambda shard: range(length))


def test_any_iterable_is_a_stream():
    class Numbers:
        def __iter__(self):
            return iter(range(5))

    assert values(DataLoader(Numbers(), 2, num_workers=4)) == [[0, 1], [2, 3], [4]]
    with pytest.raises(TypeError, match="number of batches of a stream is not known"):
        len(DataLoader(Numbers(), 2))


@pytest.mark.parametrize("count", [0, 2])
def test_an_exhausted_iterator_is_no_epoch_of_no_batches(count):
    """Otherwise a training would go on without data and without a word."""
    for loader in (
        DataLoader((i for i in range(3)), 2, num_workers=count),
        DataLoader(range(3), 2, sampler=iter([0, 1, 2]), num_workers=count),
        DataLoader(range(3), batch_sampler=iter([[0, 1], [2]]), num_workers=count),
    ):
        assert values(loader) == [[0, 1], [2]]
        with pytest.raises(
            ArgumentError, match=r"(iterator|generator) was exhausted by an earlier"
        ):
            list(loader)

    class Restarted:
        def __iter__(self):
            self.left = [0, 1, 2]
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            return self.left.pop()

    loader = DataLoader(Restarted(), 2, num_workers=count)
    assert values(loader) == values(loader) == [[2, 1], [0]]
    empty = DataLoader(iter([]), 2, num_workers=count)
    assert list(empty) == []


class Length:
    """A dataset whose length is `length`, or raises it."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        if isinstance(self.length, Exception):
            raise self.length
        return self.length

    def __getitem__(self, index):
        return [10, 20][index]


@pytest.mark.parametrize("count", [0, 2])
def test_lengths_that_fail_or_lie(count):
    for error in (RuntimeError("no length today"), TypeError("not countable")):
        loader = DataLoader(Length(error), 2, num_workers=count)
        assert "DataLoader(Length, batch_size=2" in repr(loader)
        for use in (len, list, DataLoader.state):
            with pytest.raises(type(error), match=str(error)):
                use(loader)
    with pytest.raises(IndexError) as caught:
        list(DataLoader(Length(5), 2, num_workers=count))
    assert "while reading item 2 of Length of 5 items" in caught.value.__notes__


def test_a_length_that_fails_later_does_not_hide_what_went_wrong():
    data = Length(5)
    iterator = iter(DataLoader(data, 2))
    next(iterator)
    data.length = RuntimeError("no length today")
    with pytest.raises(IndexError) as caught:
        next(iterator)
    assert "while reading item 2 of Length" in caught.value.__notes__


def test_indices_that_are_none():
    data = ArrayDataset(np.arange(4))
    for sampler in ([0.0, 1.0], ["a"], [True, False, True, False]):
        with pytest.raises(DtypeError, match=r"indices are integers, not .*numpy.flatnonzero"):
            list(DataLoader(data, 4, sampler=sampler))
    with pytest.raises(DtypeError, match="gives lists of indices, but one of its batches is 0"):
        list(DataLoader([1, 2], batch_sampler=[0, 1]))
    batches = [(i for i in [0, 2]), rnp.array([1, 3])]
    assert values(DataLoader(data, batch_sampler=batches)) == [[0, 2], [1, 3]]


def test_an_iterator_of_threads_is_not_used_in_a_forked_copy():
    loader = make_items(num_workers=1)
    iterator = iter(loader)
    expected = [next(iterator)]
    assert in_forked_copy(lambda: next(iterator)) == (
        "WorkerError: DataLoader: this process is a forked copy of the one whose workers make the "
        "batches of this iterator. Call iter(loader) here, after the fork."
    )
    assert in_forked_copy(lambda: len(list(loader))) == "6"
    assert len(expected + list(iterator)) == 6


def test_shards_know_epoch_and_key():
    seen = []

    def note(shard):
        seen.append(shard)
        return [0]

    loader = DataLoader(iterable(note, shards=2), key=key(4))
    list(loader)
    list(loader)
    assert [(s.index, s.count, s.epoch) for s in seen] == [
        (0, 2, 0),
        (1, 2, 0),
        (0, 2, 1),
        (1, 2, 1),
    ]
    assert len({s.key.tobytes() for s in seen}) == 4
    seen.clear()
    list(DataLoader(IterableDataset(note)))
    assert seen[0].key is None


def test_samplers_of_plain_python():
    data = ArrayDataset(np.arange(10, 20))
    assert values(DataLoader(data, 2, sampler=[5, 1, 3])) == [[15, 11], [13]]
    assert values(DataLoader(data, 2, sampler=rnp.asarray([5, 1, 3]))) == [[15, 11], [13]]
    batches = [[0], [2, 1], [9, 8, 7]]
    loader = DataLoader(data, batch_sampler=batches)
    assert values(loader) == [[10], [12, 11], [19, 18, 17]]
    assert len(loader) == 3
    by_name = {"a": 1, "b": 2}
    assert values(DataLoader(by_name, 2, sampler=["b", "a"])) == [[2, 1]]
    unsized = DataLoader(data, sampler=(i for i in range(2)))
    with pytest.raises(DtypeError, match="a sampler without __len__ is not known"):
        len(unsized)


def test_collate_and_convert():
    data = Images(6, 2)
    loader = DataLoader(data, 3, collate=sum_and_names, num_workers=1)
    batch = next(iter(loader))
    assert type(batch["sum"]) is Array
    assert batch["names"] == ["image 0", "image 1", "image 2"]
    as_numpy = next(iter(DataLoader(data, 3, convert=lambda batch: batch)))
    assert isinstance(as_numpy["image"], np.ndarray)
    assert as_numpy["label"].dtype == np.int32


def test_arrays_never_share_memory_that_the_user_can_write():
    source = np.zeros((4, 3))
    data = ArrayDataset(source)
    views = DataLoader(data, 2, collate=lambda items: source[:2])
    for loader in (DataLoader(data, 2), DataLoader(data, 4), views):
        batch = next(iter(loader))
        assert not np.shares_memory(np.asarray(batch), source)


def test_devices():
    assert next(iter(DataLoader([1, 2], device="cpu"))).device.platform == "cpu"
    with pytest.raises((DeviceError, MissingDependencyError), match=r"gpu:77|CuPy"):
        DataLoader([1, 2], device="gpu:77")


@pytest.mark.parametrize("count", [0, 2])
def test_exceptions_keep_their_type_and_tell_where(count):
    loader = DataLoader(Faulty(7, "value"), 2, num_workers=count)
    iterator = iter(loader)
    got = [next(iterator) for _ in range(3)]
    assert [b[:, 0, 0].tolist() for b in got] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="broken file") as caught:
        next(iterator)
    notes = "\n".join(caught.value.__notes__)
    assert "while reading item 7 of Faulty of 20 items" in notes
    assert "for batch 3 of epoch 0 of DataLoader(" in notes
    assert ("in worker thread" in notes) == bool(count)
    assert caught.traceback[-1].name == "__getitem__"
    assert loader.state()["position"] == 3
    assert not workers_now()
    assert list(iterator) == []


@pytest.mark.parametrize("count", [0, 2])
def test_exceptions_in_streams_collate_and_convert(count):
    loader = DataLoader(iterable(fail_in_shard, shards=2), 2, num_workers=count)
    with pytest.raises(ValueError, match="broken stream") as caught:
        list(loader)
    assert "while reading shard 1 of 2" in caught.value.__notes__[0]
    with pytest.raises(ZeroDivisionError) as in_map:
        list(DataLoader(map(lambda x: 1 / (x - 3), range(5)), 2, num_workers=count))
    assert "in the function of map(<lambda>, range(0, 5)) for item 3" in in_map.value.__notes__
    with pytest.raises(ValueError, match="differ in shape"):
        list(DataLoader([np.zeros(2), np.zeros(3)], 2, num_workers=count))
    with pytest.raises(ZeroDivisionError):
        list(DataLoader([1], convert=lambda batch: 1 / 0, num_workers=count))


@pytest.mark.parametrize("count", [0, 2])
def test_stop_iteration_does_not_end_the_epoch(count):
    with pytest.raises(RuntimeError, match="dataset raised StopIteration"):
        list(DataLoader(Faulty(7, "stop"), 2, num_workers=count))


def test_threads_end_with_the_iteration():
    loader = make_items(num_workers=3)
    for _ in loader:
        assert len(workers_now()) == 3
        break
    assert not workers_now()  # the loop was left: nothing refers to the iterator
    iterator = iter(loader)
    next(iterator)
    iterator.close()
    assert not workers_now()
    assert list(iterator) == []
    fail_at_the_first_batch(loader)
    assert not workers_now()
    list(loader)
    assert not workers_now()


def fail_at_the_first_batch(loader):
    try:
        for _ in loader:
            raise KeyError
    except KeyError:
        pass


def test_an_iterator_in_a_cycle_is_collected():
    iterator = iter(make_items(num_workers=2))
    next(iterator)
    cycle = [iterator]
    cycle.append(cycle)
    del iterator, cycle
    gc.collect()
    assert not workers_now()


def test_ctrl_c_while_waiting():
    """The interrupt arrives while the consumer waits for a worker."""
    release = threading.Event()
    loader = DataLoader(map(lambda i: release.wait(5) if i == 2 else i, range(5)), num_workers=1)
    iterator = iter(loader)
    assert values([next(iterator), next(iterator)]) == [[0], [1]]
    timer = threading.Timer(0.1, lambda: (_thread.interrupt_main(), release.set()))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        next(iterator)
    timer.join()
    assert not workers_now()
    assert loader.state()["position"] == 2


@pytest.mark.parametrize(("count", "prefetch"), [(1, 1), (2, 2), (3, 1)])
def test_workers_run_ahead_by_no_more_than_prefetch(count, prefetch):
    read = []
    data = map(lambda i: read.append(i) or i, range(100))
    iterator = iter(DataLoader(data, num_workers=count, prefetch=prefetch))
    assert int(next(iterator)[0]) == 0
    deadline = time.monotonic() + 5
    while len(read) < 1 + count * prefetch and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(read) == 1 + count * prefetch
    iterator.close()


def test_wrong_arguments():
    data = [1, 2, 3]

    def refused(match, *args, **options):
        with pytest.raises((ArgumentError, DtypeError), match=match):
            DataLoader(*args, **options)

    refused(r"shuffle=True needs a key.*DataLoader\(dataset, shuffle=True, key=rtfunc", data,
            shuffle=True)  # fmt: skip
    refused(r"key of type uint32\[2\], not int", data, shuffle=True, key=3)
    refused("batch_size must be an integer of at least 1, not 0", data, 0)
    refused("batch_size must be an integer of at least 1, not True", data, True)
    refused("num_workers must be an integer of at least 0, not -1", data, num_workers=-1)
    refused("prefetch must be an integer of at least 1, not 0", data, prefetch=0)
    refused("'thread' or 'process', not 'threads'", data, worker_mode="threads")
    refused("sampler and shuffle=True both", data, sampler=[0], shuffle=True, key=key(0))
    refused("batch_sampler replaces", data, 2, batch_sampler=[[0]])
    refused("batch_sampler replaces", data, batch_sampler=[[0]], drop_last=True)
    refused(r"batches\(epoch\).*int is not", data, batch_sampler=3)
    refused(r"indices\(epoch\).*int is neither", data, sampler=3)
    refused("collate must be a function, not int", data, collate=3)
    refused("not a int", 3)
    refused("or an iterable, not the class Images", Images)
    stream = iterable(lambda shard: data)
    refused("a stream is read in its own order", stream, shuffle=True, key=key(0))
    refused("a stream is read in its own order", stream, sampler=[0])


def test_repr_says_what_it_is():
    loader = make_items(num_workers=2)
    text = "DataLoader(Uneven of 23 items, batch_size=4, shuffled, 2 thread workers)"
    assert repr(loader) == text
    assert "IterableDataset" in repr(DataLoader(iterable(lambda shard: [1])))


def test_batch_sampler_property():
    loader = DataLoader(range(5), 2)
    assert isinstance(loader.batch_sampler, BatchSampler)
    assert isinstance(loader.batch_sampler.sampler, SequentialSampler)
