"""What a worker does: turn a task into a batch of NumPy arrays.

A task is a list of indices for a dataset, or a request for the next batch of a shard for a stream.
The fetchers here are the same in the main thread, in worker threads and in worker processes, which
get them pickled. Depends on `collate`, `datasets`, `streams`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rtfunc.data.collate import Empty, default_collate
from rtfunc.data.datasets import gather_batch, take_items
from rtfunc.data.streams import IterableDataset, Shard


@dataclasses.dataclass
class ItemFetcher:
    """Batches of a dataset: a task is a sequence of indices."""

    dataset: Any
    collate: Callable[[list[Any]], Any] | None

    def __call__(self, indices: Any, empty: Empty = np.empty) -> Any:
        """The batch of the items at `indices`; `empty` makes the arrays of the default collate."""
        if self.collate is None:
            batch = gather_batch(self.dataset, indices)
            if batch is not NotImplemented:
                return batch
        items = take_items(self.dataset, indices)
        return default_collate(items, empty=empty) if self.collate is None else self.collate(items)


@dataclasses.dataclass(frozen=True)
class NextOf:
    """The task for a stream: the next batch of `shard`, whose items are dropped if `skip`."""

    shard: Shard
    skip: bool = False


@dataclasses.dataclass(frozen=True)
class EndOfShard:
    """Stands in the place of a batch when the shard with this index has no more."""

    index: int


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Stands in the place of a batch whose items were dropped."""


@dataclasses.dataclass
class StreamFetcher:
    """Batches of a stream: a task is a `NextOf`.

    Tasks of one shard must come to the same fetcher, in order.
    """

    dataset: IterableDataset
    collate: Callable[[list[Any]], Any] | None
    batch_size: int
    drop_last: bool
    #: For each shard that has begun, its epoch and the iterator.
    begun: dict[int, tuple[int, Iterator[Any]]] = dataclasses.field(default_factory=dict)

    def __call__(self, task: NextOf, empty: Empty = np.empty) -> Any:
        """The next batch of the task's shard, or `EndOfShard`, or `Skipped`."""
        shard = task.shard
        epoch, iterator = self.begun.get(shard.index, (None, iter(())))
        items: list[Any] = []
        try:
            if epoch != shard.epoch:
                iterator = self.dataset.iterate(shard)
                self.begun[shard.index] = shard.epoch, iterator
            items.extend(itertools.islice(iterator, self.batch_size))
        except BaseException as error:
            error.add_note(
                f"while reading shard {shard.index} of {shard.count} of {self.dataset!r}"
                f" (item {len(items)} of the batch)"
            )
            raise
        if not items or (self.drop_last and len(items) < self.batch_size):
            return EndOfShard(shard.index)
        if task.skip:
            return Skipped()
        return default_collate(items, empty=empty) if self.collate is None else self.collate(items)
