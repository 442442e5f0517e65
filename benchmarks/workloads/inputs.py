"""The arrays that all contestants work on, as NumPy arrays: float32, and integer labels.

Each function draws from a generator of its own with the same seed, so that the inputs of a workload
do not depend on which others run. Depends on NumPy alone.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import NamedTuple

import numpy as np

#: Where the contestants put the arrays, "cpu" or "gpu": `contest` says so to its workers.
DEVICE = os.environ.get("BENCHMARK_DEVICE", "cpu")

SEED = 0
PARAMETER_SCALE = 0.05

Layers = list[tuple[np.ndarray, np.ndarray]]


class Normal:
    """Normal variables in float32, of one seed."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(SEED)

    def data(self, *shape: int) -> np.ndarray:
        return self.generator.standard_normal(shape).astype(np.float32)

    def parameter(self, *shape: int) -> np.ndarray:
        return self.data(*shape) * np.float32(PARAMETER_SCALE)

    def labels(self, classes: int, count: int) -> np.ndarray:
        return self.generator.integers(0, classes, count)


def elements() -> np.ndarray:
    """(4000000,)"""
    return Normal().data(4_000_000)


def rows() -> np.ndarray:
    """(4000, 1000)"""
    return elements().reshape(4000, 1000)


def square(size: int) -> np.ndarray:
    """(size, size)"""
    return Normal().data(size, size)


def leaves() -> list[np.ndarray]:
    """50 arrays (3,)"""
    return [np.ones(3, np.float32)] * 50


class Classifier(NamedTuple):
    """Parameters, inputs and labels of a classifier."""

    params: list
    x: np.ndarray
    y: np.ndarray


def mlp(sizes: tuple[int, ...], batch: int) -> Classifier:
    """Pairs of weights (inputs, outputs) and biases (outputs,); x (batch, sizes[0])."""
    normal = Normal()
    params = [(normal.parameter(a, b), np.zeros(b, np.float32)) for a, b in pairwise(sizes)]
    return Classifier(params, normal.data(batch, sizes[0]), normal.labels(sizes[-1], batch))


MLP = (784, 1024, 1024, 10), 128
TINY_MLP = (4, 16, 16, 2), 16
PER_EXAMPLE_MLP = (784, 256, 10), 128
LEARNING_RATE = 1e-3


def cnn() -> Classifier:
    """Three kernels (outputs, inputs, 3, 3) and a matrix (1024, 10); x (64, 3, 32, 32)."""
    normal = Normal()
    shapes = (32, 3, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3), (64 * 4 * 4, 10)
    params = [normal.parameter(*shape) for shape in shapes]
    return Classifier(params, normal.data(64, 3, 32, 32), normal.labels(10, 64))


LSTM_HIDDEN = 128


def lstm() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters, gates in the order i, f, g, o; x (batch 64, time 32, features 128)."""
    normal, gates = Normal(), 4 * LSTM_HIDDEN
    params = {
        "input": normal.parameter(128, gates),
        "hidden": normal.parameter(LSTM_HIDDEN, gates),
        "bias": np.zeros(gates, np.float32),
    }
    return params, normal.data(64, 32, 128)


TRANSFORMER_LAYERS, TRANSFORMER_HEADS = 4, 4


def transformer() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters, the same for every layer; x (batch 8, time 128, features 256)."""
    normal, d = Normal(), 256
    shapes = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    params = {name: normal.parameter(*shape) for name, shape in shapes.items()}
    return params, normal.data(8, 128, d)
