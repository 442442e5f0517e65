"""Datasets and functions that worker processes can import."""

import os
import signal
import threading
import time
import warnings

import numpy as np


class Images:
    """`length` dicts of an array with some noise of its own, a label and a name."""

    def __init__(self, length, side=40):
        self.length = length
        self.side = side

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        image = np.random.default_rng(index).random((self.side, self.side), np.float32)
        return {"image": image, "label": index % 10, "name": f"image {index}"}


class Uneven(Images):
    """As Images; every third item takes longer than the others."""

    def __getitem__(self, index):
        if index % 3 == 0:
            time.sleep(0.0005)
        return super().__getitem__(index)


class Faulty:
    """Does something bad at one index."""

    def __init__(self, at, what, length=20):
        self.at = at
        self.what = what
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index == self.at:
            if self.what == "value":
                raise ValueError("broken file")
            if self.what == "stop":
                raise StopIteration
            if self.what == "two arguments":
                raise TwoArguments(1, 2)
            if self.what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == "lambda":
                return lambda: 0
            if self.what == "sleep":
                time.sleep(30)
        return np.full((100, 100), index)


class TwoArguments(Exception):
    """An exception that pickle cannot make again."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class ProcessIds:
    """Items are the id of the process and whether its main thread reads them."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        is_main = threading.current_thread() is threading.main_thread()
        return np.array([os.getpid(), is_main])


class Noted:
    """Adds a byte to a file for each item that is read."""

    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 100

    def __getitem__(self, index):
        with open(self.path, "ab") as file:
            file.write(b"x")
        return index


class Unloadable:
    """Can be pickled and not unpickled."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return index

    def __reduce__(self):
        return refuse, ()


def refuse():
    raise AttributeError("Can't get attribute 'Mine' on <module '__main__'>")


def count_in_shard(shard):
    """The numbers 0 to 22, divided among the shards unevenly."""
    return range(shard.index, 23 - 4 * shard.index, shard.count)


def fail_in_shard(shard):
    """Fails after five items of shard 1."""
    for i in range(10):
        if shard.index == 1 and i == 5:
            raise ValueError("broken stream")
        yield i


def triple(x):
    """For `map`."""
    return 3 * x


def sum_and_names(items):
    """A collate function."""
    return {
        "sum": np.sum([item["image"] for item in items], axis=0),
        "names": [item["name"] for item in items],
    }


def in_forked_copy(function):
    """The first line of what `function` returns or raises in a forked copy of this process."""
    receiving, sending = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if not child:
        try:
            text = str(function())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(sending, text.split("\n")[0].encode())
        os._exit(0)
    os.close(sending)
    with open(receiving, "rb") as file:
        text = file.read().decode()
    os.waitpid(child, 0)
    return text
