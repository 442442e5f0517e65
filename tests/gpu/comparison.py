"""The same computation on the GPU and on the CPU, compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import rtfunc as rf
from rtfunc.core.array import Array

DEVICE = "gpu"

#: Relative to the largest element of a result. The functions of CUDA are within 2 units in the last place
#: (https://docs.nvidia.com/cuda/cuda-programming-guide, "Mathematical Functions"), NumPy's within 1 to 4,
#: and sums and matrix products are added up in another order: some tens of eps.
TOLERANCE = {"float64": 1e-11, "float32": 2e-5, "complex128": 1e-11, "complex64": 2e-5}
#: 16-bit results are rounded once, from float32 values that differ by the above.
TOLERANCE |= {"float16": 2e-3, "bfloat16": 1.6e-2}


def on_gpu(tree: Any) -> Any:
    """The arrays of a pytree on the GPU."""
    return rf.device_put(tree, DEVICE)


def assert_on_gpu(tree: Any, what: str = "") -> None:
    """Every Array of the pytree lies on the GPU."""
    for leaf in rf.tree.leaves(tree):
        if isinstance(leaf, Array):
            assert leaf.device.platform == DEVICE, f"{what}: {leaf.aval} lies on {leaf.device}"


def assert_close(found: Any, expected: Any, what: str = "", factor: float = 1.0) -> None:
    """Pytrees with equal shapes and dtypes, and values within TOLERANCE times `factor`."""
    a, b = rf.tree.leaves(found), rf.tree.leaves(expected)
    assert len(a) == len(b), what
    for one, other in zip(a, b):
        _assert_array_close(np.asarray(one), np.asarray(other), what, factor)


def _assert_array_close(a: np.ndarray, b: np.ndarray, what: str, factor: float) -> None:
    assert a.shape == b.shape, f"{what}: {a.shape}, expected {b.shape}"
    assert a.dtype == b.dtype, f"{what}: {a.dtype}, expected {b.dtype}"
    tolerance = TOLERANCE.get(a.dtype.name, 0.0) * factor
    if a.dtype.name in ("float16", "bfloat16"):
        a, b = a.astype(np.float64), b.astype(np.float64)
    if not tolerance:
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    finite = b[np.isfinite(b)]
    scale = max(1.0, float(np.max(np.abs(finite)))) if finite.size else 1.0
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=what)


def check(function: Callable[..., Any], *args: Any, factor: float = 1.0, jit: bool = True) -> None:
    """`function` gives on the GPU what it gives on the CPU, eagerly and compiled."""
    expected = function(*args)
    placed = on_gpu(args)
    found = function(*placed)
    assert_on_gpu(found, "eager")
    assert_close(found, expected, "eager", factor)
    if jit:
        compiled = rf.jit(function)(*placed)
        assert_on_gpu(compiled, "compiled")
        assert_close(compiled, expected, "compiled", factor)
