"""Samples for `rtfunc.ops.exponential`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1], [-0.4, 1.9, 0.0]])
POSITIVE = np.array([[0.3, 1.0, 2.7], [9.5, 0.8, 1.6]])
Z = np.array([0.7 + 0.4j, -1.2 + 0.9j, 0.5 - 1.1j])
HALF = ("float32", "float64", "float16", "bfloat16")


def _unary(x: np.ndarray, complex_too: bool = True) -> list[Sample]:
    found = [
        Sample((x,), dtypes=HALF),
        Sample((x[0, 0],), note="0-d"),
        Sample((x[::-1, ::-2],), note="negative strides"),
        Sample((np.zeros((0, 2)),), note="size 0"),
        Sample((np.array([np.inf, np.nan, -np.inf]),), check_derivatives=False, note="special"),
    ]
    return [*found, Sample((Z,), note="complex")] if complex_too else found


SAMPLES = {
    "exp": _unary(X),
    "exp2": _unary(X),
    "expm1": [*_unary(X), Sample((np.array([1e-9, 0.0]),), note="near 0")],
    "log": _unary(POSITIVE),
    "log2": _unary(POSITIVE),
    "log10": _unary(POSITIVE),
    "log1p": [*_unary(POSITIVE), Sample((np.array([1e-9, 0.0, -0.5]),), note="near 0")],
    "logistic": [*_unary(X), Sample((np.array([-800.0, 800.0]),), note="far", dtypes=HALF)],
    "logaddexp": [
        Sample((X, POSITIVE), dtypes=HALF),
        Sample((X, X), note="equal"),
        Sample((X, POSITIVE[0]), note="broadcast"),
        Sample((np.array(0.5), np.array(1.5)), note="0-d"),
        Sample((np.zeros((0, 1)), np.zeros((3,))), note="size 0"),
        Sample((np.array([1e3, -1e3]), np.array([1.0, 2.0])), note="far"),
        Sample(
            (np.array([np.inf, -np.inf, -np.inf]), np.array([np.inf, -np.inf, 1.0])),
            check_derivatives=False,
            note="infinite",
        ),
    ],
    "pow": [
        Sample((POSITIVE, X), dtypes=HALF),
        Sample((POSITIVE, X[0]), note="broadcast"),
        Sample((np.array(1.5), np.array(-0.5)), note="0-d"),
        Sample((np.zeros((0, 1)), np.ones((3,))), note="size 0"),
        Sample((POSITIVE, np.zeros((2, 3))), note="exponent 0"),
        Sample((Z, Z[::-1]), note="complex"),
        Sample(
            (np.array([0.0, 0.0, 0.0]), np.array([2.0, 1.0, 0.0])),
            note="base 0",
            check_derivatives=False,
        ),
        Sample(
            (np.array([-2.0, -1.5]), np.array([2.0, 3.0])),
            note="negative base",
            check_derivatives=False,
        ),
        Sample(
            (np.array([2, -3, 1, -1, 0], "int32"), np.array([3, 3, -2, -3, 0], "int32")),
            note="integers",
        ),
        Sample((np.array([[2], [3]], "uint8"), np.array([0, 1, 9], "uint8")), note="unsigned"),
        Sample((np.zeros((0,), "int32"), np.array(2, "int32")), note="integers size 0"),
    ],
}
