"""Samples for `rtfunc.ops.convert`."""

from __future__ import annotations

import numpy as np

from rtfunc.core import dtypes
from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1], [-0.4, 300.9, 0.0]])
SPECIAL = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.5])
I = np.array([[5, -3, 0], [127, -128, 1]], "int8")
Z = np.array([0.7 + 0.4j, -1.2 + 0.9j])


def _to(x, dtype, weak_type=False, **options):
    return Sample((x,), {"dtype": np.dtype(dtype), "weak_type": weak_type}, **options)


def _bits(x, dtype, **options):
    return Sample((x,), {"dtype": np.dtype(dtype)}, **options)


EVERY = ("float32", "float64", "float16", "bfloat16")

SAMPLES = {
    "convert_element_type": [
        _to(X, "float64", dtypes=EVERY),
        _to(X, "float64", weak_type=True, note="weak"),
        _to(X, "complex128", note="to complex"),
        _to(Z, "float64", note="from complex"),
        _to(Z, "complex128"),
        # Finite differences would see the rounding to the narrow result.
        _to(X, "float32", check_derivatives=False),
        _to(X, dtypes.bfloat16, check_derivatives=False, dtypes=EVERY),
        _to(X, "float16", check_derivatives=False),
        _to(X, dtypes.float8_e4m3fn, check_derivatives=False, note="float8"),
        *(
            _to(SPECIAL, d, check_derivatives=False, note=f"saturating {d}", dtypes=EVERY)
            for d in ("int8", "uint8", "int32", "uint32", "int64", "uint64", "bool")
        ),
        _to(I, "float64", note="from integers"),
        _to(I, "uint16", note="between integers"),
        _to(np.array([True, False]), "float32", note="from booleans"),
        _to(np.array(2.5), "int32", check_derivatives=False, note="0-d"),
        _to(np.zeros((0, 2)), "int32", note="size 0"),
        _to(X[:, ::-1], "complex64", check_derivatives=False, note="negative strides"),
    ],
    "bitcast": [
        _bits(X, "int64", dtypes=("float64",)),
        _bits(X, "int32", dtypes=("float32",), note="same size"),
        _bits(X[:, ::-1], "uint32", dtypes=("float64",), note="to smaller"),
        _bits(I[:, :2], "int16", note="to larger"),
        _bits(np.array(1.5), "uint8", dtypes=("float64", "float32"), note="0-d"),
        _bits(np.zeros((0, 3)), "int64", dtypes=("float64",), note="size 0"),
        _bits(np.zeros((0, 8), "uint8"), "float64", note="size 0 to larger"),
    ],
}
