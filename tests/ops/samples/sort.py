"""Samples for `rtfunc.ops.sort`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1, 0.2], [-0.4, 1.9, 0.9, -1.1], [1.2, 0.5, -0.6, 0.8]])
Y = np.array([[1.1, 0.6, -0.8, 2.2], [2.3, -1.7, 1.4, 0.3], [0.1, 0.9, -0.5, 0.4]])
TIES = np.array([1.0, 2.0, 1.0, 2.0, 1.0])
NAN = np.array([0.0, np.nan, -0.0, np.inf, -np.inf, np.nan, -1.0])
Z = np.array([0.7 + 0.4j, -1.2 + 0.9j, 0.7 - 1.1j, -1.2 + 0.1j])
KEYS = np.array([3, 1, 2, 1], "int32")
HALF = ("float32", "float64", "float16", "bfloat16")


def _by(axis: int, num_keys: int = 1) -> dict[str, Any]:
    return {"axis": axis, "num_keys": num_keys}


SAMPLES = {
    "sort": [
        Sample((X,), _by(1), dtypes=HALF),
        Sample((X,), _by(0)),
        Sample((X[::-1, ::-2],), _by(0), note="negative strides"),
        Sample((X, Y), _by(1), note="one key, one carried"),
        Sample((np.round(X), Y, X), _by(0, 2), check_derivatives=False, note="two keys"),
        Sample((KEYS, X[0]), _by(0), note="integer keys"),
        Sample((X[0], KEYS), _by(0), note="integers carried"),
        Sample((TIES, np.arange(5.0)), _by(0), check_derivatives=False, note="ties are stable"),
        Sample((NAN, np.arange(7.0)), _by(0), check_derivatives=False, note="nan, zeros"),
        Sample((Z,), _by(0), check_derivatives=False, note="complex, equal real parts"),
        Sample((np.array([True, False]),), _by(0), note="booleans"),
        Sample((np.zeros((0, 2)),), _by(0), note="size 0 along the axis"),
        Sample((np.zeros((2, 0)),), _by(0), note="size 0 beside the axis"),
    ],
    "top_k": [
        Sample((X,), {"k": 2}, dtypes=HALF),
        Sample((X[:, ::-1],), {"k": 4}, note="negative strides, all"),
        Sample((X,), {"k": 0}, note="none"),
        Sample((TIES,), {"k": 3}, check_derivatives=False, note="ties"),
        Sample((NAN,), {"k": 4}, check_derivatives=False, note="nan, zeros"),
        Sample((KEYS,), {"k": 3}, note="integers"),
        Sample((np.zeros((2, 0)),), {"k": 0}, note="size 0"),
        Sample((np.zeros((0, 3)),), {"k": 2}, note="size 0 beside the axis"),
    ],
}
