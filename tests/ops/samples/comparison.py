"""Samples for `rtfunc.ops.comparison`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

X = np.array([[1.0, -2.0, np.nan], [0.0, np.inf, 3.0]])
Y = np.array([1.0, 2.0, 0.0])
I = np.array([[5, -3, 0], [127, -128, 1]], "int8")
J = np.array([5, 4, -1], "int8")
U = np.array([0, 1, 200, 255], "uint8")
B = np.array([True, False, True, False])

FLOATS = [
    Sample((X, Y), note="broadcast, nan", dtypes=("float32", "float64", "float16", "bfloat16")),
    Sample((np.array(1.0), np.array(2.0)), note="0-d"),
    Sample((X[:, ::-1], X), note="negative strides"),
    Sample((np.zeros((2, 0)), np.zeros((1,))), note="size 0"),
]
INTEGERS = [
    Sample((I, J), note="int8"),
    Sample((U, U[::-1]), note="uint8"),
    Sample((np.array(7), np.array(2)), note="0-d"),
    Sample((np.zeros((0, 3), "int32"), np.zeros((3,), "int32")), note="size 0"),
]
BOOLEANS = [Sample((B, B[:2][:, None]), note="booleans")]
COMPLEX = [
    Sample((np.array([1 + 1j, 1 + 1j, 2.0]), np.array([1 + 2j, 1 + 1j, 1.0])), note="complex")
]
SHIFTS = [
    Sample((I, np.array([0, 3, 7], "int8")), note="int8"),
    Sample((U, np.array([0, 1, 7, 3], "uint8")), note="uint8"),
    Sample((I, np.array([8, -1, 100], "int8")), note="count out of range"),
    Sample((np.array(7, "int64"), np.array(2, "int64")), note="0-d"),
]
BITS = [
    Sample((I,), note="int8"),
    Sample((U[::-1],), note="uint8"),
    Sample((np.array(-1, "int64"),), note="0-d"),
    Sample((np.array([0, 1, 2**31], "uint32"),), note="uint32"),
    Sample((np.zeros((0,), "int16"),), note="size 0"),
]

SAMPLES = {
    **{name: [*FLOATS, *INTEGERS, *BOOLEANS, *COMPLEX] for name in ("eq", "ne")},
    **{name: [*FLOATS, *INTEGERS, *BOOLEANS, *COMPLEX] for name in ("lt", "le", "gt", "ge")},
    **{name: [*INTEGERS, *BOOLEANS] for name in ("and", "or", "xor")},
    "not": [*BITS, Sample((B,), note="booleans")],
    **dict.fromkeys(("shift_left", "shift_right_arithmetic", "shift_right_logical"), SHIFTS),
    "population_count": BITS,
    "clz": BITS,
    "gcd": [*INTEGERS, Sample((U, np.array([6, 0, 4, 9], "uint8")), note="divisors")],
}
