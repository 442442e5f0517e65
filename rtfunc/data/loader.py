"""DataLoader: batches of a dataset, in an order fixed by a key, made ahead of time by workers.

The loader decides the order and hands tasks to a pool; the pool carries them out and returns the
results in the order of the tasks. Which batch comes when therefore depends on the sampler alone,
never on the number or kind of workers. The position counts the batches that the user has received,
so a saved state knows nothing of prefetching. Depends on `fetch`, `samplers`, `threads`,
`processes`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes, pytree
from rtfunc.core.array import Array, device_put_buffer
from rtfunc.core.device import Device, as_device
from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.data.datasets import describe, is_indexable, kind_of
from rtfunc.data.fetch import EndOfShard, ItemFetcher, NextOf, StreamFetcher
from rtfunc.data.processes import ProcessPool, WorkerError
from rtfunc.data.samplers import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    check_count,
)
from rtfunc.data.shuffle import as_key, fold_in
from rtfunc.data.streams import IterableDataset, Shard, as_stream
from rtfunc.data.threads import InlinePool, Pool, ThreadPool
from rtfunc.ops.convert import as_array


@dataclasses.dataclass
class _Progress:
    """How far a pass over the data has come: `position` batches of `epoch` were handed out."""

    epoch: int
    position: int


class DataLoader:
    """Batches of `dataset` as pytrees of Arrays.

    Every `iter(loader)` is one epoch: the first is number 0, the next number 1. With `shuffle`,
    epoch e has the order drawn from `rtfunc.random.fold_in(key, e)`. The batches and their order
    are the same for any number and kind of workers.

    Arguments:
      dataset: anything with `__len__` and `__getitem__`; or a stream (`rtfunc.data.iterable` or any
        iterable object), which takes no sampler and no `shuffle`.
      batch_size: items in a batch; the last batch may have fewer.
      shuffle: read the items in random order. Needs `key`.
      key: uint32[2], as made by `rtfunc.random.key(seed)`.
      sampler: the order of the items: a sampler of `rtfunc.data` or an iterable of indices.
      batch_sampler: the batches of indices, in place of all arguments above and `drop_last`.
      drop_last: leave out a last batch that is not full.
      collate: a function from a list of items to a batch; `default_collate` if None. Arrays that it
        returns belong to the loader, except views of other arrays, which are copied.
      num_workers: workers that make batches ahead of time; with 0 each is made when it is asked for.
      worker_mode: "thread" for work that releases the GIL (NumPy, decoding, reading files);
        "process" for datasets that compute in Python. These must be picklable: classes and functions
        at module level, and the program's start under `if __name__ == "__main__":`.
      prefetch: for each worker, how many batches may be under way or waiting to be used.
      device: where the Arrays lie: "cpu" (the default), "gpu" or a Device.
      convert: a function from a batch of NumPy arrays to what the loader yields, called in the
        consumer's thread, in place of the conversion to Arrays: `lambda batch: batch` keeps NumPy.
      persistent_workers: keep worker processes for the next epoch, with the dataset as it was when
        they started; `close` ends them.

    An exception in the dataset is raised where the loop waits for that batch, with the item's index
    and the worker as notes. Workers end with the iteration: at its end, when the loop is left in
    any way, and with the interpreter.

    >>> from rtfunc.data import ArrayDataset
    >>> data = ArrayDataset(np.arange(5, dtype="float32"))
    >>> for batch in DataLoader(data, batch_size=2):
    ...     print(batch)
    [0. 1.]
    [2. 3.]
    [4.]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        key: Any = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        drop_last: bool = False,
        collate: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        worker_mode: str = "thread",
        prefetch: int = 2,
        device: Device | str | None = None,
        convert: Callable[[Any], Any] | None = None,
        persistent_workers: bool = False,
    ):
        self.dataset = dataset
        self.key = None if key is None else as_key("DataLoader", key)
        self.collate = collate
        self.num_workers = check_count("DataLoader", "num_workers", num_workers, least=0)
        self.worker_mode = worker_mode
        self.prefetch = check_count("DataLoader", "prefetch", prefetch, least=1)
        self.device = None if device is None else as_device(device)
        self.convert = convert
        self.persistent_workers = persistent_workers
        if worker_mode not in ("thread", "process"):
            raise ArgumentError(
                at_user_line(
                    f"DataLoader: worker_mode is 'thread' or 'process', not {worker_mode!r}."
                )
            )
        for name, function in (("collate", collate), ("convert", convert)):
            if function is not None and not callable(function):
                raise ArgumentError(
                    at_user_line(
                        f"DataLoader: {name} must be a function, not {type(function).__name__}."
                    )
                )
        self.stream = _stream_of(dataset)
        self.batch_size = check_count("DataLoader", "batch_size", batch_size, least=1)
        self.drop_last = drop_last
        self.shuffle = shuffle
        _check_order(
            self.stream is not None, batch_size, shuffle, key, sampler, batch_sampler, drop_last
        )
        self._sampler = sampler
        self._batch_sampler = batch_sampler
        #: What may be exhausted after one pass, and how many passes were begun.
        self._iterator = next(
            (x for x in (dataset, sampler, batch_sampler) if isinstance(x, Iterator)), None
        )
        self._passes = 0
        #: Of the iterator started last.
        self._progress = _Progress(0, 0)
        #: What the next iterator begins with.
        self._next = _Progress(0, 0)
        self._idle_pool: ProcessPool | None = None

    @property
    def batch_sampler(self) -> Any:
        """What the batches of indices come from; None for a stream."""
        if self.stream is not None or self._batch_sampler is not None:
            return self._batch_sampler
        sampler = self._sampler
        if sampler is None:
            length = len(self.dataset)
            sampler = RandomSampler(length, self.key) if self.shuffle else SequentialSampler(length)
        return BatchSampler(sampler, self.batch_size, self.drop_last)

    @property
    def epoch(self) -> int:
        """The epoch that the loader is in: the next one as soon as a pass is complete."""
        return self._progress.epoch

    def __len__(self) -> int:
        """Batches in an epoch. Raises `DtypeError`, a TypeError, where it is not known."""
        sampler = self.batch_sampler
        try:
            return len(sampler)
        except TypeError:
            what = "a stream" if self.stream is not None else "a sampler without __len__"
            raise DtypeError(
                at_user_line(f"The number of batches of {what} is not known before its end.")
            ) from None

    def __iter__(self) -> LoaderIterator:
        """The next epoch from its beginning, or from where `restore` has set it."""
        progress = self._progress = self._next
        self._next = _Progress(progress.epoch + 1, 0)
        self._passes += 1
        return LoaderIterator(self, progress)

    def state(self) -> dict[str, Any]:
        """Where the iteration stands, as a small dict for a checkpoint.

        It speaks of the iterator started last: `position` batches of `epoch` have been handed out.
        The same loader, or one made with the same arguments, goes on from there after `restore`.

        >>> loader = DataLoader([10, 11, 12, 13], batch_size=2)
        >>> iterator = iter(loader)
        >>> _ = next(iterator)
        >>> loader.state()
        {'epoch': 0, 'position': 1, 'batch_size': 2, 'length': 4, 'key': None}
        """
        return {
            "epoch": self._progress.epoch,
            "position": self._progress.position,
            "batch_size": self.batch_size,
            "length": -1 if self.stream is not None else len(self.dataset),
            "key": None if self.key is None else self.key.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Make the next `iter(loader)` go on with the batch that came next when `state` was taken.

        Iterators that exist already are not affected. Raises `ArgumentError` when the state is of a
        loader with another batch size, number of items or kind of order.

        >>> loader = DataLoader([10, 11, 12, 13], batch_size=2)
        >>> loader.restore({"epoch": 0, "position": 1, "batch_size": 2, "length": 4, "key": None})
        >>> [batch.tolist() for batch in loader]
        [[12, 13]]
        """
        own = self.state()
        if not isinstance(state, dict) or set(state) != set(own):
            raise ArgumentError(
                at_user_line(
                    f"DataLoader.restore takes what state() returned, a dict of {', '.join(own)}, "
                    f"not {state!r}."
                )
            )
        for name in ("batch_size", "length"):
            if int(state[name]) != own[name]:
                raise ArgumentError(
                    at_user_line(
                        f"DataLoader.restore: the state was saved with {name} {int(state[name])}, "
                        f"but this loader has {own[name]}. Make the loader with the same arguments."
                    )
                )
        if (state["key"] is None) != (self.key is None):
            one, other = ("with", "none") if self.key is None else ("without", "one")
            raise ArgumentError(
                at_user_line(
                    f"DataLoader.restore: the state was saved {one} a key, but this loader has "
                    f"{other}. Make the loader with the same arguments."
                )
            )
        if self.key is not None:
            self.key = as_key("DataLoader.restore", state["key"]).copy()
        position = check_count("DataLoader.restore", "position", int(state["position"]), least=0)
        epoch = check_count("DataLoader.restore", "epoch", int(state["epoch"]), least=0)
        with contextlib.suppress(DtypeError):  # of an unknown length
            if position > len(self):
                raise ArgumentError(
                    at_user_line(
                        f"DataLoader.restore: the state is that after {position} batches, but an "
                        f"epoch of this loader has {len(self)}. Make the loader with the same "
                        "arguments."
                    )
                )
        self._progress = self._next = _Progress(epoch, position)

    def close(self) -> None:
        """End the worker processes that `persistent_workers` keeps between epochs."""
        if self._idle_pool is not None:
            self._idle_pool.close()
            self._idle_pool = None

    def _make_pool(self) -> Pool:
        """Where the next iterator's tasks are carried out."""
        if self.stream is None:
            fetcher: Any = ItemFetcher(self.dataset, self.collate)
            workers = self.num_workers
        else:
            fetcher = StreamFetcher(self.stream, self.collate, self.batch_size, self.drop_last)
            workers = min(self.num_workers, self.stream.shards)
        if not workers:
            return InlinePool(fetcher)
        if self.worker_mode == "thread":
            return ThreadPool(fetcher, workers, self.prefetch)
        pool, self._idle_pool = self._idle_pool, None
        if pool is None or not pool.is_own:
            pool = ProcessPool(fetcher, workers, self.prefetch)
            if self.persistent_workers:
                weakref.finalize(self, pool.close)
        return pool

    def _release_pool(self, pool: Pool) -> None:
        """Take back the pool of an iterator that has come to its end."""
        if isinstance(pool, ProcessPool) and self.persistent_workers and self._idle_pool is None:
            self._idle_pool = pool
        else:
            pool.close()

    def __repr__(self) -> str:
        workers = f", {self.num_workers} {self.worker_mode} workers" if self.num_workers else ""
        order = ", shuffled" if self.shuffle else ""
        return f"DataLoader({describe(self.dataset)}, batch_size={self.batch_size}{order}{workers})"


class LoaderIterator(Iterator[Any]):
    """One epoch of a DataLoader. Made by `iter(loader)`.

    It ends its workers when it is exhausted, when an exception passes through it, by `close`, and
    when nothing refers to it any more.
    """

    def __init__(self, loader: DataLoader, progress: _Progress):
        self._loader = loader
        self._progress = progress
        self._skip = progress.position  # batches that were handed out before the state was saved
        self._ended: set[int] = set()  # shards of a stream that have no more
        self._waiting = 0
        self._is_empty = True  # whether it has not handed out a batch
        self._owner = os.getpid()
        self._device = loader.device
        self._convert = loader.convert
        if loader.stream is not None:
            self._tasks = _shard_tasks(loader, progress, self._ended)
        else:
            self._tasks = ((batch, None) for batch in _index_batches(loader, progress))
            self._skip = 0
        self._pool: Pool | None = loader._make_pool()
        self._finalizer = weakref.finalize(self, self._pool.close)

    def __iter__(self) -> LoaderIterator:
        return self

    def __next__(self) -> Any:
        pool, convert = self._pool, self._convert
        if pool is None:
            raise StopIteration
        if self._owner != os.getpid() and not isinstance(pool, InlinePool):
            raise WorkerError(
                at_user_line(
                    "DataLoader: this process is a forked copy of the one whose workers make the "
                    "batches of this iterator. Call iter(loader) here, after the fork."
                )
            )
        try:
            while True:
                self._fill(pool)
                if not self._waiting:
                    break
                self._waiting -= 1
                batch = pool.take()
                if isinstance(batch, EndOfShard):
                    self._ended.add(batch.index)
                    continue
                if self._skip:
                    self._skip -= 1
                    continue
                self._fill(pool)
                batch = convert(batch) if convert else _to_arrays(batch, pool.fresh, self._device)
                self._progress.position += 1
                self._is_empty = False
                return batch
            self._check_exhausted()
        except BaseException as error:
            self.close()
            place = f"batch {self._progress.position} of epoch {self._progress.epoch}"
            error.add_note(at_user_line(f"for {place} of {self._loader!r}"))
            if isinstance(error, StopIteration):  # it would end the loop as if all were well
                raise RuntimeError("The dataset raised StopIteration.") from error
            raise
        self._finish(pool)
        raise StopIteration

    def _fill(self, pool: Pool) -> None:
        """Hand in tasks as far as the pool's bound allows."""
        while self._waiting < pool.capacity:
            entry = next(self._tasks, None)
            if entry is None:
                return
            task, worker = entry
            pool.submit(task, None if worker is None else worker % pool.workers)
            self._waiting += 1

    def _check_exhausted(self) -> None:
        """An epoch of no batches is an error where an earlier one has used up what they came from."""
        source = self._loader._iterator
        if self._is_empty and source is not None and self._loader._passes > 1:
            kind = type(source).__name__
            raise ArgumentError(
                at_user_line(
                    f"DataLoader: the {kind} was exhausted by an earlier epoch. In place of an "
                    "iterator give what can be iterated again: a list or a sampler, or "
                    f"rtfunc.data.iterable(lambda shard: ...) with a function that makes the {kind}."
                )
            )

    def _finish(self, pool: Pool) -> None:
        self._progress.epoch += 1
        self._progress.position = 0
        self._finalizer.detach()
        self._pool = None
        self._loader._release_pool(pool)

    def close(self) -> None:
        """End the workers; the iterator has no more batches."""
        self._pool = None
        self._finalizer()


_storable = frozenset(dtypes.storable)


def _to_arrays(batch: Any, fresh: bool, device: Device | None) -> Any:
    """The batch with its NumPy arrays and numbers as Arrays on `device`."""
    leaves, treedef = pytree.flatten(batch)
    return pytree.unflatten(treedef, [_to_array(leaf, fresh, device) for leaf in leaves])


def _to_array(leaf: Any, fresh: bool, device: Device | None) -> Any:
    if isinstance(leaf, np.ndarray):
        if leaf.dtype not in _storable:
            return leaf  # strings, objects, dates
        if not fresh and leaf.base is not None and leaf.flags.writeable:
            leaf = leaf.copy()  # a view of an array that its owner may change
        array = as_array("DataLoader", leaf)
    elif isinstance(leaf, Array | np.generic | bool | int | float | complex):
        array = as_array("DataLoader", leaf)
    else:
        return leaf
    return array if device is None else Array(device_put_buffer(array._buffer, device))


def _stream_of(dataset: Any) -> IterableDataset | None:
    """The dataset as a stream if it is one; `DtypeError` if it is no dataset at all."""
    if not isinstance(dataset, IterableDataset) and is_indexable(dataset):
        return None
    if not isinstance(dataset, Iterable):
        raise DtypeError(
            at_user_line(
                "DataLoader takes a dataset with __len__ and __getitem__, or an iterable, not "
                f"{kind_of(dataset) if isinstance(dataset, type) else 'a ' + kind_of(dataset)}."
            )
        )
    return as_stream(dataset)


def _check_order(
    is_stream: bool,
    batch_size: int,
    shuffle: bool,
    key: Any,
    sampler: Any,
    batch_sampler: Any,
    drop_last: bool,
) -> None:
    """`ArgumentError` for arguments that contradict each other."""
    message = ""
    if is_stream and (shuffle or sampler is not None or batch_sampler is not None):
        message = (
            "a stream is read in its own order, without shuffle, sampler or batch_sampler. "
            "Shuffle in the stream itself: its Shard has a key"
        )
    elif batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        message = "batch_sampler replaces batch_size, shuffle, sampler and drop_last"
    elif sampler is not None and shuffle:
        message = "sampler and shuffle=True both fix the order: give one of them"
    elif shuffle and key is None:
        message = (
            "shuffle=True needs a key, which fixes the order: "
            "DataLoader(dataset, shuffle=True, key=rtfunc.random.key(0))"
        )
    elif batch_sampler is not None and not (
        callable(getattr(batch_sampler, "batches", None)) or isinstance(batch_sampler, Iterable)
    ):
        message = (
            "a batch_sampler has a method batches(epoch) or is an iterable of lists of indices, "
            f"which {type(batch_sampler).__name__} is not"
        )
    if message:
        raise ArgumentError(at_user_line(f"DataLoader: {message}."))
    if sampler is not None:
        BatchSampler(sampler, 1)  # checks its type


def _index_batches(loader: DataLoader, progress: _Progress) -> Iterator[Any]:
    """The index batches that are still to come."""
    sampler = loader.batch_sampler
    batches = (
        sampler.batches(progress.epoch)
        if callable(getattr(sampler, "batches", None))
        else iter(sampler)
    )
    for batch in itertools.islice(batches, progress.position, None):
        if not isinstance(batch, Iterable):
            raise DtypeError(
                at_user_line(
                    "DataLoader: a batch_sampler gives lists of indices, but one of its batches is "
                    f"{batch!r}. For single indices pass it as sampler=."
                )
            )
        yield batch if isinstance(batch, Sequence | np.ndarray) else list(batch)


def _shard_tasks(
    loader: DataLoader, progress: _Progress, ended: set[int]
) -> Iterator[tuple[NextOf, int]]:
    """Tasks for the shards in turn, as long as they have not ended, with the worker of each."""
    stream = loader.stream
    assert stream is not None
    key = None if loader.key is None else fold_in(loader.key, progress.epoch)
    shards = [
        Shard(i, stream.shards, progress.epoch, None if key is None else fold_in(key, i))
        for i in range(stream.shards)
    ]
    number = 0
    while len(ended) < len(shards):
        for shard in shards:
            if shard.index not in ended:
                # The first tasks are surely among those to skip: their items need no collating.
                yield NextOf(shard, number < progress.position), shard.index
                number += 1
