"""Datasets: what a `DataLoader` reads from, and how they are combined.

A dataset is anything with `__len__` and `__getitem__`; no base class is needed. Two optional
methods make whole batches cheaper. `__getitems__(indices)` returns the list of items at once
(PyTorch's protocol, so such datasets work here too). `gather(indices)` returns the finished batch,
or NotImplemented to have the items collated one by one; in-memory arrays answer it with one fancy
index. `streams` holds the datasets that can only be iterated. Depends on `core` and
`rtfunc.random`.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, overload, runtime_checkable

import numpy as np

from rtfunc.core import pytree
from rtfunc.core.errors import ArgumentError, DtypeError, IndexingError, ShapeError, at_user_line
from rtfunc.data.shuffle import as_key, permutation
from rtfunc.data.streams import IterableDataset

Item = TypeVar("Item", covariant=True)


@runtime_checkable
class Dataset(Protocol[Item]):
    """A finite collection of items that can be read in any order.

    Optional methods, used where they exist: `__getitems__(indices) -> list of items` and
    `gather(indices) -> batch or NotImplemented`, where `indices` is a range or an int64 NumPy
    array.

    >>> isinstance([1, 2, 3], Dataset)
    True
    """

    def __len__(self) -> int:
        """Number of items."""
        ...

    def __getitem__(self, index: int, /) -> Item:
        """The item at `index`, below `len(self)`: a pytree of arrays, numbers and strings."""
        ...


def take_items(dataset: Any, indices: Sequence[int] | np.ndarray) -> list[Any]:
    """The items at `indices`; an exception gets a note that says which item it was."""
    whole = getattr(dataset, "__getitems__", None)
    if whole is not None:
        return list(whole(indices))
    items: list[Any] = []
    numbers = indices.tolist() if isinstance(indices, np.ndarray) else indices
    index: Any = None
    try:
        for index in numbers:
            items.append(dataset[index])
    except BaseException as error:
        error.add_note(f"while reading item {index!r} of {describe(dataset)}")
        raise
    return items


def gather_batch(dataset: Any, indices: Sequence[int] | np.ndarray) -> Any:
    """The batch of the items at `indices` by `dataset.gather`; NotImplemented where it has none."""
    gather = getattr(dataset, "gather", None)
    return NotImplemented if gather is None else gather(indices)


def describe(dataset: Any) -> str:
    """The dataset's type and length, for messages."""
    try:
        return f"{type(dataset).__name__} of {len(dataset)} items"
    except Exception:  # a message must not fail, whatever a user's __len__ raises
        return type(dataset).__name__


class ArrayDataset:
    """Items that are rows of arrays in memory.

    `arrays` are NumPy arrays or Arrays, or pytrees of them, with the same first size n. With one
    argument an item has that argument's structure, with several it is a tuple. Items are views of
    the arrays, never copies; a batch is gathered with one fancy index per array.

    Raises `ShapeError` when the first sizes differ or an array has no axes.

    >>> data = ArrayDataset(np.arange(6).reshape(3, 2), np.array([0, 1, 0]))
    >>> len(data), data[1]
    (3, (array([2, 3]), np.int64(1)))
    >>> data.gather(np.array([2, 0]))[1]
    array([0, 0])
    >>> ArrayDataset({"image": np.zeros((5, 8, 8)), "label": np.zeros(5)})[0]["image"].shape
    (8, 8)
    """

    def __init__(self, *arrays: Any):
        if not arrays:
            raise ArgumentError(at_user_line("ArrayDataset takes at least one array."))
        tree = arrays[0] if len(arrays) == 1 else arrays
        leaves, self._treedef = pytree.flatten(tree)
        if not leaves:
            raise ArgumentError(at_user_line("ArrayDataset: the pytree holds no arrays."))
        self._arrays = [np.asarray(leaf) for leaf in leaves]
        sizes = {}
        for path, array in zip(pytree.paths(tree), self._arrays):
            if not array.ndim:
                raise ShapeError(
                    at_user_line(
                        f"ArrayDataset: the leaf {path or 'given'} has no axes, so no items. "
                        "Lists are containers: convert them with numpy.asarray(...)."
                    )
                )
            sizes.setdefault(len(array), f"{path or 'it'} of shape {array.shape}")
        if len(sizes) > 1:
            raise ShapeError(
                at_user_line(
                    "ArrayDataset: all arrays must have the same first size, but there are "
                    f"{' and '.join(sizes.values())}."
                )
            )
        (self._length,) = sizes

    @property
    def arrays(self) -> Any:
        """The arrays, in the structure of the items."""
        return pytree.unflatten(self._treedef, self._arrays)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        return pytree.unflatten(self._treedef, [array[index] for array in self._arrays])

    def gather(self, indices: Sequence[int] | np.ndarray) -> Any:
        """The batch of the items at `indices`, in memory of its own."""
        if isinstance(indices, range) and indices.step == 1 and indices.start >= 0:
            if indices.stop > self._length:
                raise IndexingError(
                    f"ArrayDataset: item {indices.stop - 1} of {self._length} was asked for."
                )
            rows = slice(indices.start, indices.stop)
            batch = [array[rows].copy() for array in self._arrays]
        else:
            rows = np.asarray(indices)
            if rows.size and rows.dtype.kind not in "iu":
                raise DtypeError(
                    f"ArrayDataset: indices are integers, not {rows.dtype}. "
                    "Turn a mask into indices with numpy.flatnonzero(mask)."
                )
            batch = [array.take(rows.astype(np.int64), axis=0) for array in self._arrays]
        return pytree.unflatten(self._treedef, batch)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{array.dtype.name}{list(array.shape)}" for array in self._arrays)
        return f"ArrayDataset({shapes})"


class ConcatDataset:
    """The items of several datasets, one dataset after the other.

    >>> ConcatDataset([[1, 2], [3, 4, 5]])[3]
    4
    """

    def __init__(self, datasets: Sequence[Any]):
        self.datasets = list(datasets)
        for dataset in self.datasets:
            _check_indexable("ConcatDataset", dataset)
        #: Where each dataset begins, and the total.
        self._starts = list(itertools.accumulate((len(d) for d in self.datasets), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Any:
        index = _checked_index("ConcatDataset", index, len(self))
        number = bisect.bisect_right(self._starts, index) - 1
        return self.datasets[number][index - self._starts[number]]

    def gather(self, indices: Sequence[int] | np.ndarray) -> Any:
        """The batch of the items at `indices`, if all the datasets that they are in can gather."""
        rows = np.asarray(indices)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        numbers = np.unique(owners)
        if len(numbers) == 1 and numbers[0] < len(self.datasets):
            number = int(numbers[0])
            return gather_batch(self.datasets[number], rows - self._starts[number])
        parts = []
        for number in numbers:
            if not 0 <= number < len(self.datasets):
                return NotImplemented  # reading the items one by one raises the clear error
            places = np.flatnonzero(owners == number)
            part = gather_batch(self.datasets[number], rows[places] - self._starts[number])
            if part is NotImplemented:
                return NotImplemented
            parts.append((places, *pytree.flatten(part)))
        return _merge(len(rows), parts)

    def __repr__(self) -> str:
        return f"ConcatDataset({self.datasets!r})"


def _merge(length: int, parts: Sequence[tuple[np.ndarray, list[Any], Any]]) -> Any:
    """One batch from parts (places, leaves, structure); NotImplemented where they do not fit."""
    if not parts:
        return NotImplemented
    _, first, treedef = parts[0]
    kinds = [(x.dtype, x.shape[1:]) if isinstance(x, np.ndarray) else None for x in first]
    merged = [np.empty((length, *kind[1]), kind[0]) if kind else None for kind in kinds]
    for places, leaves, structure in parts:
        if structure != treedef:
            return NotImplemented
        for out, leaf, kind in zip(merged, leaves, kinds):
            if out is None or kind is None or (leaf.dtype, leaf.shape[1:]) != kind:
                return NotImplemented
            out[places] = leaf
    return pytree.unflatten(treedef, merged)


class Subset:
    """The items of `dataset` at `indices`, in that order.

    Raises `IndexingError` for indices that the dataset does not have.

    >>> list(Subset(["a", "b", "c"], [2, 0]))
    ['c', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray):
        _check_indexable("Subset", dataset)
        self.dataset = dataset
        self.indices = np.asarray(indices)
        if not self.indices.size:
            self.indices = self.indices.astype(np.int64)
        if self.indices.ndim != 1 or self.indices.dtype.kind not in "iu":
            raise DtypeError(
                at_user_line(
                    "Subset takes indices as a sequence of integers, not "
                    f"{self.indices.dtype}{list(self.indices.shape)}. "
                    "Turn a mask into indices with numpy.flatnonzero(mask)."
                )
            )
        length = len(dataset)
        if self.indices.size and not (
            self.indices.min() >= -length and self.indices.max() < length
        ):
            raise IndexingError(
                at_user_line(
                    f"Subset: the indices go from {self.indices.min()} to {self.indices.max()}, "
                    f"but the dataset has {length} items."
                )
            )
        self.indices = np.where(self.indices < 0, self.indices + length, self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> list[Any]:
        return take_items(self.dataset, self.indices[np.asarray(indices, np.int64)])

    def gather(self, indices: Sequence[int] | np.ndarray) -> Any:
        """The batch of the items at `indices`, if the dataset can gather."""
        if not hasattr(self.dataset, "gather"):
            return NotImplemented
        return self.dataset.gather(self.indices[np.asarray(indices, np.int64)])

    def __repr__(self) -> str:
        return f"Subset({self.dataset!r}, {len(self)} items)"


def random_split(dataset: Any, lengths: Sequence[int] | Sequence[float], key: Any) -> list[Subset]:
    """`dataset` divided at random, by `key`, into subsets without common items.

    `lengths` are numbers of items with the dataset's length as their sum, or fractions with sum 1:
    each is rounded down and the items left over go one each to the first subsets. Raises
    `ArgumentError` for another sum.

    >>> train, test = random_split(range(10), [0.8, 0.2], np.array([0, 7], "uint32"))
    >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
    (8, 2, True)
    """
    _check_indexable("random_split", dataset)
    total = len(dataset)
    counts = _counts(lengths, total)
    order = permutation(as_key("random_split", key), total)
    bounds = list(itertools.accumulate(counts, initial=0))
    return [Subset(dataset, order[a:b]) for a, b in itertools.pairwise(bounds)]


def _counts(lengths: Sequence[Any], total: int) -> list[int]:
    """Numbers of items from numbers or fractions."""
    if not len(lengths) or any(length < 0 for length in lengths):
        raise ArgumentError(
            at_user_line(f"random_split takes lengths of 0 and more, not {list(lengths)}.")
        )
    if all(isinstance(length, int | np.integer) for length in lengths) and sum(lengths) == total:
        return [int(length) for length in lengths]
    if not math.isclose(math.fsum(lengths), 1.0, rel_tol=1e-6):
        raise ArgumentError(
            at_user_line(
                f"random_split: the lengths {list(lengths)} must have the sum {total} (the number "
                "of items) or, as fractions, the sum 1."
            )
        )
    # The small term undoes the rounding of fractions such as 0.29 * 100 = 28.999999999999996.
    counts = [math.floor(total * fraction + 1e-9 * total) for fraction in lengths]
    for i in range(total - sum(counts)):
        counts[i % len(counts)] += 1
    return counts


class MappedDataset:
    """`function` applied to each item of `dataset` when it is read; made by `map`."""

    def __init__(self, function: Callable[[Any], Any], dataset: Any):
        self.function = function
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.function(self.dataset[index])

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> list[Any]:
        items = take_items(self.dataset, indices)
        number = 0
        try:
            for number, item in enumerate(items):
                items[number] = self.function(item)
        except BaseException as error:
            error.add_note(f"in the function of {self!r} for item {indices[number]}")
            raise
        return items

    def __repr__(self) -> str:
        return f"map({getattr(self.function, '__name__', self.function)}, {self.dataset!r})"


@overload
def map(function: Callable[[Any], Any], dataset: IterableDataset) -> IterableDataset: ...
@overload
def map(function: Callable[[Any], Any], dataset: Any) -> MappedDataset: ...
def map(function: Callable[[Any], Any], dataset: Any) -> MappedDataset | IterableDataset:
    """A dataset whose items are `function(item)`, computed each time that one is read.

    For worker processes `function` must be defined at module level. A stream gives a stream.

    >>> map(lambda x: 10 * x, [1, 2, 3])[2]
    30
    """
    if not callable(function):
        raise ArgumentError(
            at_user_line(
                f"map takes a function and a dataset, but the first argument is a "
                f"{type(function).__name__}."
            )
        )
    if isinstance(dataset, IterableDataset):
        return dataset.map(function)
    _check_indexable("map", dataset)
    return MappedDataset(function, dataset)


def is_indexable(dataset: Any) -> bool:
    """Whether `dataset` is an object with `__len__` and `__getitem__`."""
    return (
        not isinstance(dataset, type)
        and hasattr(dataset, "__len__")
        and hasattr(dataset, "__getitem__")
    )


def _check_indexable(operation: str, dataset: Any) -> None:
    if not is_indexable(dataset):
        raise DtypeError(
            at_user_line(
                f"{operation} takes datasets with __len__ and __getitem__, which "
                f"{kind_of(dataset)} does not have."
            )
        )


def kind_of(value: Any) -> str:
    """What a value is, for messages: its type, or "the class X" for a class instead of an object."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _checked_index(operation: str, index: int, length: int) -> int:
    if not -length <= index < length:
        raise IndexingError(f"{operation}: item {index} of {length} was asked for.")
    return index + length if index < 0 else index
