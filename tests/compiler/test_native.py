"""The native backend computes what the eager kernels compute: every primitive on all its samples."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401  (operators of Array)
from rtfunc.compiler.native import Executable
from rtfunc.core.array import Array
from rtfunc.core.primitive import primitives
from rtfunc.core.staging import trace_to_graph
from tests.ops import samples as sample_modules

SAMPLES = {
    name: found
    for module in pkgutil.iter_modules(sample_modules.__path__)
    for name, found in importlib.import_module(
        f"{sample_modules.__name__}.{module.name}"
    ).SAMPLES.items()
}

# Elementary functions are within 4 ulp, sums are made in another order: some tens of ulp in all.
TOLERANCE = {"float32": 3e-6, "float64": 1e-11, "complex64": 1e-5, "complex128": 1e-11}
# One rounding of the result instead of one after every operation.
HALF = {"float16": 1e-2, "bfloat16": 2e-2}


def assert_same(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if actual.dtype.kind in "biu":
        np.testing.assert_array_equal(actual, expected)
        return
    tolerance = {**TOLERANCE, **HALF}.get(actual.dtype.name, 0)
    wide = np.complex128 if actual.dtype.kind == "c" else np.float64
    np.testing.assert_allclose(
        actual.astype(wide), expected.astype(wide), rtol=tolerance, atol=tolerance
    )


def operands(sample, dtype):
    arrays = [np.asarray(a) for a in sample.args]
    with np.errstate(over="ignore"):
        return [Array(a.astype(dtype) if a.dtype == np.float64 else a) for a in arrays]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_native_equals_eager(name):
    primitive = primitives[name]
    compiled = 0
    for sample in SAMPLES[name]:
        for dtype in sample.dtypes:
            args = operands(sample, dtype)

            def apply(*xs, params=sample.params):
                out = primitive.bind(*xs, **params)
                return out if primitive.multiple_results else [out]

            try:
                expected = apply(*args)
            except TypeError:
                continue  # a dtype that this primitive does not take
            graph, captured = trace_to_graph(apply, [a.aval for a in args])
            results = Executable(graph)([*captured, *args])
            for actual, value in zip(results, expected, strict=True):
                assert_same(actual, value)
            compiled += 1
    assert compiled
