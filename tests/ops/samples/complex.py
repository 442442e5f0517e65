"""Samples for `rtfunc.ops.complex`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.9, 0.9]])
Z = np.array([[0.7 + 0.4j, -1.2 + 0.9j, 0.5 - 1.1j], [2.0 - 0.3j, -0.6j, 1.5 + 0.2j]])

COMPLEX = [
    Sample((Z,)),
    Sample((np.array(1.2 - 0.7j),), note="0-d"),
    Sample((Z[:, ::-2],), note="negative strides"),
    Sample((np.zeros((0, 2), "complex128"),), note="size 0"),
]
REAL = [
    Sample((X,), note="real", dtypes=("float32", "float64", "float16", "bfloat16")),
    Sample((np.array(-1.5),), note="real 0-d"),
    Sample((np.zeros((0,)),), note="real size 0"),
    Sample((np.array([0.0, -0.0, np.nan, np.inf]),), check_derivatives=False, note="special"),
    Sample((np.array([3, -4, 0], "int32"),), note="integers"),
    Sample((np.array([3, 0], "uint8"),), note="unsigned"),
    Sample((np.zeros((2,), "complex128"),), check_derivatives=False, note="complex zero"),
]

SAMPLES = {
    "real": COMPLEX,
    "imag": COMPLEX,
    "conj": COMPLEX,
    "complex": [
        Sample((X, -2 * X)),
        Sample((X, X[0]), note="broadcast"),
        Sample((X[:, :1], np.array(2.0)), note="broadcast 0-d"),
        Sample((np.array(1.0), np.array(2.0)), note="0-d"),
        Sample((np.zeros((0, 1)), np.zeros((1, 2))), note="size 0"),
    ],
    "abs": [*COMPLEX, *REAL],
    "sign": [*COMPLEX, *REAL],
}
