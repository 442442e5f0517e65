"""Samples for `rtfunc.ops.special`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
ALL_REGIONS = np.array([[0.1, -0.6, 0.95], [-1.1, 1.7, 3.1]])
INSIDE = np.array([[0.1, -0.6, 0.8], [-0.45, 0.9, -0.85]])
ENDS = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 7.0, -30.0])


def _unary(x: np.ndarray, ends: np.ndarray) -> list[Sample]:
    return [
        Sample((x,), dtypes=HALF),
        Sample((x[0, 0],), note="0-d"),
        Sample((x[::-1, ::-2],), note="negative strides"),
        Sample((np.zeros((0, 2)),), note="size 0"),
        Sample((ends,), check_derivatives=False, note="ends"),
    ]


SAMPLES = {
    "erf": _unary(ALL_REGIONS, ENDS),
    "erfc": _unary(ALL_REGIONS, ENDS),
    "erf_inv": _unary(INSIDE, np.array([1.5, np.nan, -0.0])),
    "normal_from_uniform": _unary(INSIDE, np.array([-0.99999994, 0.0, np.nan])),
}
