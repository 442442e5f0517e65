"""Samples for `rtfunc.ops.select`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
P = np.array([[True, False, True], [False, False, True]])
X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.9, 0.9]])
Y = np.array([1.1, 0.6, -0.8])

SAMPLES = {
    "select": [
        Sample((P, X, -X), dtypes=HALF),
        Sample((P, X, Y), note="broadcast"),
        Sample((np.array(True), X, Y), note="0-d predicate"),
        Sample((P, np.array(1.0), np.array(2.0)), note="0-d branches"),
        Sample((np.array(False), np.array(1.0), np.array(2.0)), note="0-d"),
        Sample((P[:, :1], X[:1], X[:1, :1]), note="all broadcast"),
        Sample((np.zeros((0, 3), bool), Y, np.array(1.0)), note="size 0"),
        Sample((P, X * 1j, X + 1j), note="complex"),
        Sample((P, np.array(1, "int32"), np.array([1, 2, 3], "int32")), note="integers"),
        Sample((P[::-1, ::-1], X, X[::-1]), note="negative strides"),
    ],
    "clamp": [
        Sample((np.array(-0.5), X, np.array(1.5)), dtypes=HALF),
        Sample((X - 1, X, X + 1), note="inside"),
        Sample((X + 1, X, X + 2), note="below"),
        Sample((X - 2, X, X - 1), note="above"),
        Sample((Y - 1, X, np.array(2.0)), note="broadcast"),
        Sample((np.array(0.0), np.array(0.5), np.array(1.0)), note="0-d"),
        Sample((np.array(0.0), np.zeros((0, 2)), np.array(1.0)), note="size 0"),
        Sample(
            (np.array(0.0), np.array([0.0, 1.0, np.nan]), np.array(1.0)),
            check_derivatives=False,
            note="at the bounds",
        ),
        Sample(
            (np.array(1, "int32"), np.array([0, 1, 5], "int32"), np.array(3, "int32")),
            note="integers",
        ),
    ],
}
