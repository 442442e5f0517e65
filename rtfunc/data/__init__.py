"""Data: datasets, samplers, collating, and the loader that feeds a training step.

    data = rtfunc.data.ArrayDataset(images, labels)
    loader = rtfunc.data.DataLoader(data, batch_size=64, shuffle=True, key=rtfunc.random.key(0))
    for images, labels in loader:
        params = step(params, images, labels)

`datasets` has what loaders read from and `streams` what can only be iterated, `sources` readers for
files and the data that is at hand, `samplers` the orders, `collate` how items become a batch,
`loader` the DataLoader. `images` and `text` prepare what is read. `fetch`, `threads`, `processes`,
`shared_memory` and `shuffle` are the loader's machinery.
"""

from rtfunc.data import images as images
from rtfunc.data import text as text
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
from rtfunc.data.sources import ImageFolder as ImageFolder
from rtfunc.data.sources import TextLines as TextLines
from rtfunc.data.sources import cifar10 as cifar10
from rtfunc.data.sources import cifar100 as cifar100
from rtfunc.data.sources import digits as digits
from rtfunc.data.sources import mnist as mnist
from rtfunc.data.sources import read_csv as read_csv
from rtfunc.data.sources import read_idx as read_idx
from rtfunc.data.sources import read_image as read_image
from rtfunc.data.sources import read_parquet as read_parquet
from rtfunc.data.streams import IterableDataset as IterableDataset
from rtfunc.data.streams import Shard as Shard
from rtfunc.data.streams import iterable as iterable
