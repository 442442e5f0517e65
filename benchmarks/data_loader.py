"""How many batches a second a loader makes, beside PyTorch's.

`python -m benchmarks.data_loader [arrays] [images] [step]` prints a table for each section:

- `arrays`: rows of arrays in memory, shuffled. PyTorch reads a `TensorDataset`.
- `images`: PNG files, decoded by Pillow, as uint8 batches.
- `step`: how much of the time a jitted training step waits for its data.

Every figure is the best of several epochs. Workers are kept from epoch to epoch. The CPU time
counts all processes: it tells more than the rate where the machine has other work.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import psutil

import rtfunc
from benchmarks.workloads.loading import ImageFiles, write_images
from rtfunc.data import ArrayDataset, DataLoader

try:
    import torch
    from torch.utils import data as torch_data
except ImportError:
    torch = torch_data = None

Row = tuple[str, Callable[[], Iterable[Any]]]


class TorchImageFiles(ImageFiles):
    def __getitem__(self, index: int) -> tuple[Any, int]:
        array, label = super().__getitem__(index)
        return torch.from_numpy(array.copy()), label


def processor_seconds() -> float:
    """What this process and its workers have computed."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def table(title: str, rows: list[Row], epochs: int) -> None:
    """Loaders take turns, so that what else the machine does falls on all of them."""
    print(f"\n{title}")
    loaders = [(name, make()) for name, make in rows]
    best = dict.fromkeys((name for name, _ in rows), 0.0)
    work = dict.fromkeys(best, float("inf"))
    for _, loader in loaders:
        next(iter(loader))  # starts the workers that stay
    for _ in range(epochs):
        for name, loader in loaders:
            used, start = processor_seconds(), time.perf_counter()
            count = sum(1 for _ in loader)
            best[name] = max(best[name], count / (time.perf_counter() - start))
            work[name] = min(work[name], (processor_seconds() - used) / count)
    for name, loader in loaders:
        milliseconds = 1e3 * work[name]
        print(f"  {name:<28}{best[name]:>10,.0f} batches/s{milliseconds:>10.2f} ms of CPU a batch")
        if isinstance(loader, DataLoader):
            loader.close()


def own(dataset: Any, size: int, count: int, mode: str = "thread") -> Row:
    name = f"rtfunc, {count} {mode} workers" if count else "rtfunc, no workers"
    return name, lambda: DataLoader(
        dataset,
        size,
        shuffle=True,
        key=rtfunc.random.key(0),
        num_workers=count,
        worker_mode=mode,
        persistent_workers=True,
    )


def peer(dataset: Any, size: int, count: int) -> Row:
    name = f"torch, {count} workers" if count else "torch, no workers"
    return name, lambda: torch_data.DataLoader(
        dataset, size, shuffle=True, num_workers=count, persistent_workers=count > 0
    )


def rows_for(dataset: Any, torch_dataset: Any, size: int) -> list[Row]:
    rows = [own(dataset, size, 0), own(dataset, size, 2), own(dataset, size, 2, "process")]
    if torch_data is not None:
        rows += [peer(torch_dataset, size, 0), peer(torch_dataset, size, 2)]
    return rows


def arrays() -> None:
    for count, shape, size in ((60000, (28, 28), 128), (4096, (3, 64, 64), 64)):
        x = np.random.default_rng(0).random((count, *shape), np.float32)
        y = np.arange(count, dtype=np.int64)
        tensors = None
        if torch_data is not None:
            tensors = torch_data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        title = f"{count} float32 arrays of shape {shape}, batches of {size}"
        table(title, rows_for(ArrayDataset(x, y), tensors, size), 5)


def images() -> None:
    for side, count, size in ((32, 1500, 64), (224, 192, 16)):
        with tempfile.TemporaryDirectory() as folder:
            paths = write_images(folder, count, side)
            title = f"{count} PNG files of {side}x{side}, batches of {size}"
            table(title, rows_for(ImageFiles(paths), TorchImageFiles(paths), size), 5)


def step() -> None:
    """A step of an MLP 784-512-784 on batches of 128: about as short as training steps are."""
    x = np.random.default_rng(0).random((20000, 784), np.float32)
    weight = np.random.default_rng(1).random((784, 512), np.float32) / 784

    @rtfunc.jit
    def train(w: Any, batch: Any) -> Any:
        return w - 1e-3 * rtfunc.grad(lambda w: (((batch @ w) @ w.T - batch) ** 2).mean())(w)

    w = rtfunc.numpy.asarray(weight)
    batch = x[:128]
    train(w, batch)
    start = time.perf_counter()
    for _ in range(300):
        w = train(w, batch)
    alone = (time.perf_counter() - start) / 300
    print(f"\nA jitted step of {1e3 * alone:.2f} ms on batches of 128 of 784 float32")
    for count, mode in ((0, "thread"), (2, "thread"), (2, "process")):
        name, make = own(ArrayDataset(x), 128, count, mode)
        loader: Any = make()
        for _ in loader:  # starts the workers that stay
            pass
        start, waited, steps = time.perf_counter(), 0.0, 0
        for _ in range(3):
            iterator = iter(loader)
            while True:
                asked = time.perf_counter()
                batch = next(iterator, None)
                waited += time.perf_counter() - asked
                if batch is None:
                    break
                w = train(w, batch)
                steps += 1
        elapsed = time.perf_counter() - start
        print(
            f"  {name:<28}{100 * waited / elapsed:>6.1f} % of the time spent waiting, "
            f"{1e3 * elapsed / steps:.2f} ms a step"
        )
        loader.close()


SECTIONS = {"arrays": arrays, "images": images, "step": step}

if __name__ == "__main__":
    for section in sys.argv[1:] or SECTIONS:
        SECTIONS[section]()
