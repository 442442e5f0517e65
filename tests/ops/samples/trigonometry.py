"""Samples for `rtfunc.ops.trigonometry`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
ANY = np.array([[0.7, -1.3, 2.1], [-0.4, 1.2, 0.0]])
UNIT = np.array([[0.7, -0.3, 0.1], [-0.8, 0.9, 0.0]])
ABOVE_ONE = np.array([[1.7, 1.1, 3.0], [20.0, 1.5, 2.0]])
Z = np.array([0.7 + 0.4j, -0.5 + 0.3j, 0.2 - 1.1j])


def _unary(x: np.ndarray, z: np.ndarray = Z) -> list[Sample]:
    return [
        Sample((x,), dtypes=HALF),
        Sample((x[0, 0],), note="0-d"),
        Sample((x[::-1, ::-2],), note="negative strides"),
        Sample((np.zeros((0, 2)),), note="size 0"),
        Sample((np.array([np.inf, np.nan, -np.inf]),), check_derivatives=False, note="special"),
        Sample((z,), note="complex"),
    ]


SAMPLES = {
    **{name: _unary(ANY) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: _unary(ANY) for name in ("atan", "asinh")},
    **{name: _unary(UNIT) for name in ("asin", "acos", "atanh")},
    "acosh": _unary(ABOVE_ONE),
    "atan2": [
        Sample((ANY, UNIT + 1.5), dtypes=HALF),
        Sample(
            (np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])), note="quadrants"
        ),
        Sample((ANY, UNIT[0] + 2), note="broadcast"),
        Sample((np.array(0.5), np.array(-1.5)), note="0-d"),
        Sample((np.zeros((0, 1)), np.zeros((3,))), note="size 0"),
        Sample(
            (np.array([0.0, 1.0]), np.array([0.0, 0.0])), check_derivatives=False, note="origin"
        ),
    ],
}
