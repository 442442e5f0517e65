"""These tests need CuPy and a GPU, and are skipped without."""

from __future__ import annotations

import functools

import pytest


@functools.cache
def what_is_missing() -> str | None:
    """Why nothing here can run, or None."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no GPU: {error}"
    return None if count else "there is no GPU"


@pytest.fixture(autouse=True)
def gpu() -> None:
    """Skip where there is no GPU."""
    missing = what_is_missing()
    if missing:
        pytest.skip(missing)
