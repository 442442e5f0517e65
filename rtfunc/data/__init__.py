"""Data: datasets, samplers, collating, and the loader that feeds a training step.

    data = rtfunc.data.ArrayDataset(images, labels)
    loader = rtfunc.data.DataLoader(data, batch_size=64, shuffle=True, key=rtfunc.random.key(0))
    for images, labels in loader:
        params = step(params, images, labels)

`datasets` has what loaders read from and `streams` what can only be iterated, `sources` the data
that is at hand, `samplers` the orders, `collate` how items become a batch, `loader` the DataLoader.
`fetch`, `threads`, `processes`, `shared_memory` and `shuffle` are its machinery.
"""

from rtfunc.data.collate import default_collate as default_collate
from rtfunc.data.collate import pad_collate as pad_collate
from rtfunc.data.datasets import ArrayDataset as ArrayDataset
from rtfunc.data.datasets import ConcatDataset as ConcatDataset
from rtfunc.data.datasets import Dataset as Dataset
from rtfunc.data.datasets import Subset as Subset
from rtfunc.data.datasets import map as map
from rtfunc.data.datasets import random_split as random_split
from rtfunc.data.loader import DataLoader as DataLoader
from rtfunc.data.loader import LoaderIterator as LoaderIterator
from rtfunc.data.processes import WorkerError as WorkerError
from rtfunc.data.samplers import BatchSampler as BatchSampler
from rtfunc.data.samplers import BucketSampler as BucketSampler
from rtfunc.data.samplers import RandomSampler as RandomSampler
from rtfunc.data.samplers import SequentialSampler as SequentialSampler
from rtfunc.data.samplers import WeightedSampler as WeightedSampler
from rtfunc.data.sources import digits as digits
from rtfunc.data.streams import IterableDataset as IterableDataset
from rtfunc.data.streams import Shard as Shard
from rtfunc.data.streams import iterable as iterable
