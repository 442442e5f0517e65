"""Samples for `rtfunc.ops.cumulative`, `rtfunc.ops.recurrence` and `rtfunc.ops.product`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1, 0.2], [-0.4, 1.9, 0.9, -1.1], [1.2, 0.5, -0.6, 0.8]])
ZEROS = np.array([0.7, 0.0, 1.4, 0.0, -1.2])
Z = np.array([0.7 + 0.4j, -1.2 + 0.9j, 0.5 - 1.1j])
INTEGERS = np.array([[100, 3, -2], [50, -7, 2]], "int8")
NAN = np.array([1.0, np.nan, 0.5, 3.0])
TIES = np.array([1.0, 1.0, 0.5, 1.0, 2.0, 2.0])
HALF = ("float32", "float64", "float16", "bfloat16")


def _along(axis: int, reverse: bool = False) -> dict[str, Any]:
    return {"axis": axis, "reverse": reverse}


def _cumulative(complex_too: bool, integers: bool = True) -> list[Sample]:
    samples = [
        Sample((X,), _along(0), dtypes=HALF),
        Sample((X,), _along(1, True)),
        Sample((X[:, ::-2],), _along(1), note="negative strides"),
        Sample((np.array([1.7]),), _along(0), note="one element"),
        Sample((np.zeros((0, 2)),), _along(0), note="size 0 along the axis"),
        Sample((np.zeros((2, 0)),), _along(0), note="size 0 beside the axis"),
        Sample((NAN,), _along(0), check_derivatives=False, note="nan"),
    ]
    if integers:
        samples.append(Sample((INTEGERS,), _along(1), note="integers wrap"))
    if complex_too:
        samples.append(Sample((Z,), _along(0), note="complex"))
    return samples


def _ordered() -> list[Sample]:
    return [
        *_cumulative(complex_too=False),
        Sample((TIES,), _along(0), check_derivatives=False, note="ties"),
        Sample((np.array([False, True, False]),), _along(0), note="booleans"),
    ]


DECAY = np.array([[0.5, -0.9, 0.0, 1.1], [0.3, 0.8, -0.2, 0.6], [-1.2, 0.4, 0.7, 0.1]])
WIDE = np.linspace(-1.0, 1.0, 36).reshape(4, 9)

SAMPLES = {
    "cumsum": _cumulative(complex_too=True),
    "cumprod": [
        *_cumulative(complex_too=True),
        Sample((ZEROS,), _along(0), note="zeros"),
        Sample((ZEROS,), _along(0, True), note="zeros reversed"),
    ],
    "cummax": _ordered(),
    "cummin": _ordered(),
    "cumlogsumexp": [
        *_cumulative(complex_too=False, integers=False),
        Sample((np.array([800.0, 801.0, -800.0]),), _along(0), note="large"),
        Sample(
            (np.array([-np.inf, -np.inf, 0.3, np.inf]),),
            _along(0),
            check_derivatives=False,
            note="infinite",
        ),
    ],
    "linear_recurrence": [
        Sample((DECAY, X), _along(0), dtypes=HALF),
        Sample((DECAY, X), _along(1, True)),
        Sample((WIDE, WIDE[::-1] + 0.3), _along(0), note="many sequences"),
        Sample((DECAY[0, ::-1], X[0, ::-1]), _along(0), note="negative strides"),
        Sample((Z, Z[::-1]), _along(0), note="complex"),
        Sample((np.zeros((0, 2)),) * 2, _along(0), note="size 0"),
        Sample((INTEGERS, INTEGERS), _along(1), note="integers"),
    ],
    "reduce_prod": [
        Sample((X,), {"axes": (0,)}, dtypes=HALF),
        Sample((X,), {"axes": (0, 1)}),
        Sample((X.reshape(3, 2, 2),), {"axes": (0, 2)}, note="axes apart"),
        Sample((X,), {"axes": ()}, note="no axes"),
        Sample((ZEROS,), {"axes": (0,)}, note="two zeros"),
        Sample((ZEROS[:3],), {"axes": (0,)}, note="one zero"),
        Sample((np.array(1.5),), {"axes": ()}, note="0-d"),
        Sample((np.zeros((0, 3)),), {"axes": (0,)}, note="size 0"),
        Sample((Z,), {"axes": (0,)}, note="complex"),
        Sample((INTEGERS,), {"axes": (1,)}, note="integers wrap"),
    ],
}
