"""Samples for `rtfunc.ops.iota`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample


def _iota(shape: tuple[int, ...], dtype: str, axis: int, note: str = "") -> Sample:
    return Sample((), {"shape": shape, "dtype": np.dtype(dtype), "axis": axis}, note=note)


SAMPLES = {
    "iota": [
        _iota((4,), "int32", 0),
        _iota((2, 3), "float32", 1),
        _iota((3, 2), "int64", 0),
        _iota((0, 2), "uint8", 0, "size 0"),
        _iota((300,), "uint8", 0, "wraps"),
        _iota((3,), "complex64", 0, "complex"),
        _iota((3000,), "float16", 0, "rounds"),
    ]
}
