"""Samples for `rtfunc.ops.reduce`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
X = np.array(
    [
        [[0.7, -1.3, 2.1, 0.2], [-0.4, 1.9, 0.9, -2.2]],
        [[1.4, 0.5, -0.6, 0.3], [3.1, -0.1, 0.8, 1.2]],
    ]
)
EMPTY = np.zeros((2, 0, 3))
INTEGERS = np.array([[7, -3, 100], [50, 0, -2]], "int8")
BOOLEANS = np.array([[True, False, True], [True, True, True]])

AXES = [(), (0,), (2,), (0, 2), (1, 2), (0, 1, 2)]
FLOATS = [
    *(Sample((X,), {"axes": axes}, dtypes=HALF) for axes in AXES),
    Sample((np.array(1.5),), {"axes": ()}, note="0-d"),
    Sample((EMPTY,), {"axes": (0, 2)}, note="beside size 0"),
    Sample((X.T[::-1],), {"axes": (0, 1)}, note="transposed"),
    Sample(
        (np.array([[1.0, np.nan], [np.inf, 1.0]]),),
        {"axes": (1,)},
        check_derivatives=False,
        note="special",
    ),
]
WHOLE = [
    Sample((INTEGERS,), {"axes": (0,)}, note="int8"),
    Sample((INTEGERS.astype("uint8"),), {"axes": (1,)}, note="uint8"),
]
COMPLEX = [
    Sample((X + 1j * X[::-1],), {"axes": (0, 2)}, note="complex"),
    Sample((X[0, 0] * (1 + 1j),), {"axes": (0,)}, note="complex row"),
]
TIES = [
    Sample(
        (np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]]),),
        {"axes": (1,)},
        check_derivatives=False,
        note="ties",
    ),
    Sample((BOOLEANS,), {"axes": (1,)}, note="booleans"),
]
ZEROS = [
    Sample(
        (np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 4.0], [1.0, 2.0, 3.0]]),),
        {"axes": (1,)},
        note="zeros",
    ),
]
OVER_NOTHING = Sample((EMPTY,), {"axes": (1,)}, note="over size 0")
INFINITE = Sample((EMPTY,), {"axes": (1,)}, check_derivatives=False, note="over size 0")
LOGICAL = [
    *(Sample((BOOLEANS,), {"axes": axes}) for axes in ((), (0,), (1,), (0, 1))),
    Sample((np.array(True),), {"axes": ()}, note="0-d"),
    Sample((np.zeros((2, 0), bool),), {"axes": (1,)}, note="size 0"),
    Sample((BOOLEANS.T[::-1],), {"axes": (1,)}, note="transposed"),
]
INT32, INT64 = np.dtype("int32"), np.dtype("int64")
ARG = [
    *(Sample((X,), {"axis": axis, "dtype": INT32}, dtypes=HALF) for axis in range(3)),
    Sample((X,), {"axis": 1, "dtype": INT64}, note="int64"),
    Sample(
        (np.array([[1.0, 3.0, 3.0], [np.nan, 5.0, np.nan]]),),
        {"axis": 1, "dtype": INT32},
        note="ties and nan",
    ),
    Sample((np.zeros((0, 3)),), {"axis": 1, "dtype": INT32}, note="beside size 0"),
    Sample((INTEGERS,), {"axis": 0, "dtype": INT32}, note="int8"),
    Sample((BOOLEANS,), {"axis": 1, "dtype": INT32}, note="booleans"),
    Sample((X.T[::-1],), {"axis": 0, "dtype": INT32}, note="transposed"),
]

SAMPLES = {
    "reduce_sum": [*FLOATS, OVER_NOTHING, *WHOLE, *COMPLEX],
    "reduce_prod": [*FLOATS, OVER_NOTHING, *WHOLE, *COMPLEX, *ZEROS],
    "reduce_max": [*FLOATS, INFINITE, *WHOLE, *TIES],
    "reduce_min": [*FLOATS, INFINITE, *WHOLE, *TIES],
    "reduce_and": LOGICAL,
    "reduce_or": LOGICAL,
    "argmax": ARG,
    "argmin": ARG,
}
