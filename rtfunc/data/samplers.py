"""Samplers: in which order a loader reads its dataset.

A sampler is a pure function of the epoch. `indices(epoch)` returns the order of one epoch, as a
range or an int64 NumPy array; a batch sampler's `batches(epoch)` iterates over such index arrays.
Since nothing is remembered between calls, a loader that resumes asks for the same epoch again.
Plain iterables of indices (or of lists of indices, as batch sampler) are samplers too: they are
iterated once an epoch. Depends on `shuffle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.data.shuffle import as_key, fold_in, permutation, uniform

Indices = Sequence[int] | np.ndarray


class SequentialSampler:
    """The indices from 0 to `length - 1` in order.

    >>> SequentialSampler(4).indices(epoch=0)
    range(0, 4)
    """

    def __init__(self, length: int):
        self.length = check_count("SequentialSampler", "length", length, least=0)

    def __len__(self) -> int:
        return self.length

    def indices(self, epoch: int) -> range:
        """The order of any epoch."""
        return range(self.length)


class RandomSampler:
    """The indices below `length` in random order; epoch e draws with `fold_in(key, e)`.

    >>> sampler = RandomSampler(5, np.array([0, 1], "uint32"))
    >>> sorted(sampler.indices(epoch=0).tolist())
    [0, 1, 2, 3, 4]
    """

    def __init__(self, length: int, key: Any):
        self.length = check_count("RandomSampler", "length", length, least=0)
        self.key = as_key("RandomSampler", key)

    def __len__(self) -> int:
        return self.length

    def indices(self, epoch: int) -> np.ndarray:
        """The order of one epoch, int64[length]."""
        return permutation(fold_in(self.key, epoch), self.length)


class WeightedSampler:
    """`count` indices, each drawn with a probability in proportion to its weight.

    Without `replacement` no index is drawn twice, by the method of Efraimidis and Spirakis
    ("Weighted random sampling with a reservoir", 2006). Raises `ArgumentError` for weights that are
    negative, not finite or all zero, and where `count` distinct indices with a weight above zero do
    not exist.

    >>> WeightedSampler([0.0, 1.0, 0.0], 4, np.array([0, 1], "uint32")).indices(epoch=0)
    array([1, 1, 1, 1])
    """

    def __init__(self, weights: Any, count: int, key: Any, replacement: bool = True):
        self.weights = np.asarray(weights, np.float64)
        self.count = check_count("WeightedSampler", "count", count, least=0)
        self.key = as_key("WeightedSampler", key)
        self.replacement = replacement
        if self.weights.ndim != 1:
            raise ShapeError(
                at_user_line(
                    f"WeightedSampler takes one weight per item, not shape {self.weights.shape}."
                )
            )
        usable = np.isfinite(self.weights).all() and (self.weights >= 0).all()
        if not usable or not self.weights.sum() > 0:
            raise ArgumentError(
                at_user_line(
                    "WeightedSampler: the weights must be finite, not negative and not all zero."
                )
            )
        positive = np.count_nonzero(self.weights)
        if not replacement and count > positive:
            raise ArgumentError(
                at_user_line(
                    f"WeightedSampler: {count} different indices were asked for, but only "
                    f"{positive} have a weight above zero. Use replacement=True."
                )
            )

    def __len__(self) -> int:
        return self.count

    def indices(self, epoch: int) -> np.ndarray:
        """The indices of one epoch, int64[count]."""
        key = fold_in(self.key, epoch)
        if self.replacement:
            bounds = np.cumsum(self.weights)
            draws = uniform(key, self.count) * bounds[-1]
            # side="right" never lands on a weight of zero; rounding may reach the last bound.
            last = np.flatnonzero(self.weights)[-1]
            return np.minimum(np.searchsorted(bounds, draws, side="right"), last)
        # Exponential waiting times with the weights as rates: the first `count` to arrive.
        with np.errstate(divide="ignore"):
            times = -np.log1p(-uniform(key, len(self.weights))) / self.weights
        times[self.weights == 0] = np.inf
        return np.argsort(times, kind="stable")[: self.count]


class BatchSampler:
    """Batches of `batch_size` consecutive indices of a sampler; the last may be shorter.

    `drop_last` leaves that shorter batch out.

    >>> list(BatchSampler(SequentialSampler(5), 2).batches(epoch=0))
    [range(0, 2), range(2, 4), range(4, 5)]
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False):
        if not _has_indices(sampler) and not isinstance(sampler, Iterable):
            raise DtypeError(
                at_user_line(
                    "A sampler has a method indices(epoch) or is an iterable of indices; "
                    f"{type(sampler).__name__} is neither."
                )
            )
        self.sampler: Any = sampler
        self.batch_size = check_count("BatchSampler", "batch_size", batch_size, least=1)
        self.drop_last = drop_last

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def batches(self, epoch: int) -> Iterator[Indices]:
        """The index batches of one epoch."""
        order: Any = self.sampler
        if _has_indices(order):
            order = order.indices(epoch)
        if isinstance(order, Array):
            order = np.asarray(order)
        size = self.batch_size
        if isinstance(order, range | list | tuple | np.ndarray):
            stop = len(order) - len(order) % size if self.drop_last else len(order)
            for start in range(0, stop, size):
                yield order[start : start + size]
            return
        batch: list[int] = []
        for index in order:
            batch.append(index)
            if len(batch) == size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch


def _has_indices(sampler: Any) -> bool:
    return callable(getattr(sampler, "indices", None))


class BucketSampler:
    """Batches of items of similar length, so that padding wastes little: a batch sampler.

    `lengths` has one number per item. With a key, each epoch shuffles the items with `fold_in(key,
    e)`, sorts every run of `pool` batches by length, cuts the runs into batches and shuffles the
    batches. Without a key, items are taken in order of length. Only the last batch of the items can
    be shorter than `batch_size`, and `drop_last` leaves it out.

    >>> sampler = BucketSampler([5, 1, 4, 2], batch_size=2)
    >>> [batch.tolist() for batch in sampler.batches(epoch=0)]
    [[1, 3], [2, 0]]
    """

    def __init__(
        self,
        lengths: Any,
        batch_size: int,
        key: Any = None,
        drop_last: bool = False,
        pool: int = 64,
    ):
        self.lengths = np.asarray(lengths)
        if self.lengths.ndim != 1:
            raise ShapeError(
                at_user_line(
                    f"BucketSampler takes one length per item, not shape {self.lengths.shape}."
                )
            )
        self.batch_size = check_count("BucketSampler", "batch_size", batch_size, least=1)
        self.key = None if key is None else as_key("BucketSampler", key)
        self.drop_last = drop_last
        self.pool = check_count("BucketSampler", "pool", pool, least=1)

    def __len__(self) -> int:
        count = len(self.lengths)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def batches(self, epoch: int) -> Iterator[np.ndarray]:
        """The index batches of one epoch."""
        if self.key is None:
            order = np.argsort(self.lengths, kind="stable")
        else:
            key = fold_in(self.key, epoch)
            order = permutation(fold_in(key, 0), len(self.lengths))
            if self.drop_last:  # before sorting: otherwise it is always the longest that are lost
                order = order[: len(self) * self.batch_size]
            run = self.pool * self.batch_size
            runs = [order[i : i + run] for i in range(0, len(order), run)]
            order = np.concatenate(
                [part[np.argsort(self.lengths[part], kind="stable")] for part in runs] or [order]
            )
        batches = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self))]
        if self.key is None:
            yield from batches
            return
        for i in permutation(fold_in(key, 1), len(batches)):
            yield batches[i]


def check_count(operation: str, name: str, value: Any, least: int) -> int:
    """`value` as an int of at least `least`; `ArgumentError` naming the argument otherwise."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ArgumentError(
            at_user_line(
                f"{operation}: {name} must be an integer of at least {least}, not {value!r}."
            )
        )
    return int(value)
