"""How many batches a second a loader makes, beside PyTorch's.

`python -m benchmarks.data_loader [arrays] [images] [step]` prints a table for each section:

- `arrays`: rows of arrays in memory, shuffled. PyTorch reads a `TensorDataset`.
- `images`: PNG files, decoded by Pillow, as uint8 batches.
- `step`: how much of the time a training step on NumPy arrays waits for its data.

Every figure is the best of several epochs. Workers are kept from epoch to epoch. The CPU time
counts all processes: it tells more than the rate where the machine has other work.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import rtfunc
from rtfunc.data import ArrayDataset, DataLoader

try:
    import torch
    from torch.utils import data as torch_data
except ImportError:
    torch = torch_data = None

Row = tuple[str, Callable[[], Iterable[Any]]]


class ImageFiles:
    """The PNG files of a folder as uint8 arrays."""

    def __init__(self, paths: list[str]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        from PIL import Image

        with Image.open(self.paths[index]) as image:
            return np.asarray(image), index % 10


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


def write_images(folder: str, count: int, side: int) -> list[str]:
    """Smooth pictures with some noise, which compress about as photographs do."""
    from PIL import Image

    paths = []
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8))
        picture = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(picture + rng.integers(-4, 5, picture.shape), 0, 255).astype(np.uint8)
        paths.append(str(Path(folder, f"{number}.png")))
        Image.fromarray(noisy).save(paths[-1], compress_level=3)
    return paths


def images() -> None:
    for side, count, size in ((32, 1500, 64), (224, 192, 16)):
        with tempfile.TemporaryDirectory() as folder:
            paths = write_images(folder, count, side)
            title = f"{count} PNG files of {side}x{side}, batches of {size}"
            table(title, rows_for(ImageFiles(paths), TorchImageFiles(paths), size), 5)


def step() -> None:
    """A step of matrix products, as a jitted step would be: it releases the GIL."""
    x = np.random.default_rng(0).random((20000, 784), np.float32)
    w = np.random.default_rng(1).random((784, 512), np.float32)

    def train(batch: np.ndarray) -> None:
        for _ in range(2):
            (batch @ w) @ w.T

    batch = x[:128]
    start = time.perf_counter()
    for _ in range(200):
        train(batch)
    alone = (time.perf_counter() - start) / 200
    print(f"\nA step of {1e3 * alone:.2f} ms on batches of 128 of 784 float32")
    for count, mode in ((0, "thread"), (2, "thread"), (2, "process")):
        name, make = own(ArrayDataset(x), 128, count, mode)
        loader: Any = make()
        iterator = iter(loader)
        next(iterator)
        start, waited = time.perf_counter(), 0.0
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            waited += time.perf_counter() - asked
            if batch is None:
                break
            train(np.asarray(batch))
        share = waited / (time.perf_counter() - start)
        print(f"  {name:<28}{100 * share:>6.1f} % of the time spent waiting")
        loader.close()


SECTIONS = {"arrays": arrays, "images": images, "step": step}

if __name__ == "__main__":
    for section in sys.argv[1:] or SECTIONS:
        SECTIONS[section]()
