"""Samples for `rtfunc.ops.arithmetic`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.9, 0.9]])
Y = np.array([[1.1, 0.6, -0.8], [2.3, -1.7, 1.4]])
POSITIVE = np.array([0.3, 1.0, 2.7, 9.5])
Z = np.array([0.7 + 0.4j, -1.2 + 0.9j, 0.5 - 1.1j])
W = np.array([1.3 - 0.2j, 0.4 + 0.8j, -0.9 - 0.6j])
HALF = ("float32", "float64", "float16", "bfloat16")


def _binary(positive: bool = False) -> list[Sample]:
    x, y = (np.abs(X), np.abs(Y)) if positive else (X, Y)
    return [
        Sample((x, y), dtypes=HALF),
        Sample((x, y[0]), note="broadcast rows"),
        Sample((x[:, :1], y[:1]), note="broadcast both"),
        Sample((np.array(1.5), np.array(0.7)), note="0-d"),
        Sample((x, np.array(0.8)), note="array and 0-d"),
        Sample((x[:, ::-2], y[::-1, ::2]), note="negative strides"),
        Sample((np.zeros((0, 3)), np.ones((1, 3))), note="size 0"),
    ]


def _unary(x: np.ndarray) -> list[Sample]:
    return [
        Sample((x,), dtypes=HALF),
        Sample((x.reshape(-1)[0],), note="0-d"),
        Sample((np.zeros((0, 2)),), note="size 0"),
        Sample((np.stack([x, x], -1).T[::-1],), note="transposed"),
    ]


COMPLEX = [Sample((Z, W), note="complex"), Sample((Z[:, None], W), note="complex broadcast")]
INTEGERS = [
    Sample((np.array([7, -7, 5, 0], "int32"), np.array([2, 2, -3, 4], "int32")), note="integers"),
    Sample((np.array([200, 3], "uint8"), np.array([7, 9], "uint8")), note="unsigned"),
]
BY_ZERO = Sample(
    (np.array([7, -7, -128], "int8"), np.array([0, 0, -1], "int8")), note="integers by zero"
)
TIES = Sample(
    (np.array([1.0, 2.0, np.nan]), np.array([1.0, 1.0, 0.0])), check_derivatives=False, note="ties"
)
UNEQUAL = (np.array([0.5, 2.0, -1.0]), np.array([[1.0], [-3.0]]))

SAMPLES = {
    "add": [*_binary(), *COMPLEX, *INTEGERS, Sample((np.array([True, False]), np.array(True)))],
    "sub": [*_binary(), *COMPLEX, *INTEGERS],
    "mul": [*_binary(), *COMPLEX, *INTEGERS, Sample((np.array([True, False]), np.array(True)))],
    "div": [*_binary(), *COMPLEX, *INTEGERS, BY_ZERO],
    "rem": [*_binary(), *INTEGERS, BY_ZERO],
    "neg": [*_unary(X), Sample((Z,), note="complex"), Sample((np.array([3, 0], "uint8"),))],
    "max": [*_binary(), *INTEGERS, TIES, Sample(UNEQUAL), Sample((np.array([True]),) * 2)],
    "min": [*_binary(), *INTEGERS, TIES, Sample(UNEQUAL), Sample((np.array([True]),) * 2)],
    "integer_pow": [
        *(Sample((X,), {"exponent": n}, dtypes=HALF) for n in (-3, -1, 0, 1, 2, 3, 7)),
        Sample((np.array(1.5),), {"exponent": 4}, note="0-d"),
        Sample((np.zeros((0,)),), {"exponent": 3}, note="size 0"),
        Sample((np.array([0.0, 1.0]),), {"exponent": 2}, note="zero"),
        Sample((Z,), {"exponent": -2}, note="complex"),
        Sample((np.array([-3, 4], "int32"),), {"exponent": 5}, note="integers"),
    ],
    "square": [*_unary(X), Sample((Z,), note="complex"), Sample((np.array([-3, 4], "int8"),))],
    "sqrt": [*_unary(POSITIVE), Sample((Z,), note="complex")],
    "rsqrt": [*_unary(POSITIVE), Sample((Z,), note="complex")],
    "cbrt": [*_unary(X), *_unary(POSITIVE)],
    "nextafter": [
        Sample((X, Y), note="no derivative", check_derivatives=False),
        Sample((np.array([0.0, -0.0, np.inf]), np.array(1.0)), check_derivatives=False),
        Sample((np.zeros((0,)), np.array(1.0)), note="size 0"),
    ],
}
