"""Streams: datasets that can only be read from the beginning to the end.

A stream is divided into shards, whose number belongs to the dataset and not to the loader. That is
what makes a loader's batches independent of its number of workers: a batch holds items of one
shard, batches are taken from the shards in turn, and a worker reads the shards w, w + workers, w +
2 workers and so on. Depends on `core`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rtfunc.core.errors import ArgumentError, at_user_line


class Shard(NamedTuple):
    """The part of a stream that is to be read.

    `index` of `count` shards, in pass number `epoch`. `key` is the loader's key folded with the
    epoch and the shard (uint32[2]), for a stream that shuffles itself; None when the loader has
    none.
    """

    index: int = 0
    count: int = 1
    epoch: int = 0
    key: np.ndarray | None = None


class IterableDataset:
    """A stream of items in `shards` parts: `function(shard)` iterates over one of them.

    The items of all shards together are the dataset, each in one shard. For a loader to resume in
    the middle, `function` must give the same items for the same shard; those already used are read
    again and dropped. Use `iterable` to make one.
    """

    def __init__(self, function: Callable[[Shard], Iterable[Any]], shards: int = 1):
        if not callable(function):
            raise ArgumentError(
                at_user_line(
                    "iterable takes a function from a Shard to an iterable of items, not a "
                    f"{type(function).__name__}. For an object, pass `lambda shard: object`."
                )
            )
        if not isinstance(shards, int) or isinstance(shards, bool) or shards < 1:
            raise ArgumentError(
                at_user_line(f"iterable: shards must be a positive integer, not {shards!r}.")
            )
        self.function = function
        self.shards = shards

    def iterate(self, shard: Shard) -> Iterator[Any]:
        """The items of one shard."""
        # A generator, of which iter() is itself: an object's own __iter__, called again for each
        # batch, may begin anew.
        yield from self.function(shard)

    def __iter__(self) -> Iterator[Any]:
        for index in range(self.shards):
            yield from self.iterate(Shard(index, self.shards))

    def map(self, function: Callable[[Any], Any]) -> IterableDataset:
        """The stream of `function(item)`."""
        return _MappedStream(function, self)

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", self.function)
        return f"iterable({name}, shards={self.shards})"


class _MappedStream(IterableDataset):
    """A stream through a function. A class rather than a closure, so that it can be pickled."""

    def __init__(self, function: Callable[[Any], Any], stream: IterableDataset):
        super().__init__(stream.function, stream.shards)
        self.stream = stream
        self.mapped = function

    def iterate(self, shard: Shard) -> Iterator[Any]:
        for item in self.stream.iterate(shard):
            yield self.mapped(item)

    def __repr__(self) -> str:
        return f"map({getattr(self.mapped, '__name__', self.mapped)}, {self.stream!r})"


class _Iterated:
    """Any iterable object as the function of a stream with one shard."""

    def __init__(self, source: Iterable[Any]):
        self.source = source

    def __call__(self, shard: Shard) -> Iterable[Any]:
        return self.source


def iterable(function: Callable[[Shard], Iterable[Any]], shards: int = 1) -> IterableDataset:
    """A stream from a function: `function(shard)` iterates over the items of one `Shard`.

    `shards` is the number of parts in which the stream can be read at the same time: at most that
    many workers of a loader are busy. Batches come from the shards in turn, so their order does not
    depend on the number of workers.

    >>> count = iterable(lambda shard: range(shard.index, 6, shard.count), shards=2)
    >>> list(count)
    [0, 2, 4, 1, 3, 5]
    """
    return IterableDataset(function, shards)


def as_stream(dataset: Any) -> IterableDataset:
    """A stream from itself or from any object with `__iter__`."""
    return dataset if isinstance(dataset, IterableDataset) else IterableDataset(_Iterated(dataset))
