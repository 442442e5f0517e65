"""Samples for `rtfunc.ops.multiply_add`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.9, 0.9]])
Y = np.array([[1.1, 0.6, -0.8], [2.3, -1.7, 1.4]])
W = np.array([[0.2, 2.6, 0.5], [-1.3, 0.7, -0.4]])

SAMPLES = {
    "fma": [
        Sample((X, Y, W), dtypes=("float32", "float64", "float16", "bfloat16")),
        Sample((X[:, :1], Y[0], np.array(0.3)), note="broadcast"),
        Sample((np.array(0.7), np.array(-1.1), np.array(0.4)), note="0-d"),
        Sample((X[::-1], Y[:, ::-1], W), note="negative strides"),
        Sample((np.zeros((0, 3)), Y[:1], W[:1]), note="size 0"),
        Sample(
            (np.array([np.inf, np.nan, 1e300]), np.array([0.0, 1.0, 1e10]), np.array(1.0)),
            check_derivatives=False,
            note="not finite",
        ),
    ]
}
