"""Samples for `rtfunc.ops.rounding`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.9, 12.6]])

ROUNDING = [
    Sample((X,), dtypes=HALF),
    Sample((np.array(-1.7),), note="0-d"),
    Sample((X[:, ::-1],), note="negative strides"),
    Sample((np.zeros((0, 2)),), note="size 0"),
    Sample(
        (np.array([0.5, 1.5, -0.5, 3.0, np.nan, np.inf, -np.inf]),),
        check_derivatives=False,
        note="halves and special",
        dtypes=HALF,
    ),
]

SAMPLES = {
    **dict.fromkeys(("floor", "ceil", "trunc", "round"), ROUNDING),
    "is_finite": [*ROUNDING, Sample((np.array([1j, complex(np.inf, 0)]),), note="complex")],
}
