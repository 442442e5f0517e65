"""Samples for `rtfunc.ops.fft`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.sample import Sample

X = np.array([[0.7, -1.3, 2.1, 0.2], [-0.4, 1.9, 0.9, -1.1], [1.2, 0.5, -0.6, 0.8]])
Z = X + 1j * np.array([[1.1, 0.6, -0.8, 2.2], [2.3, -1.7, 1.4, 0.3], [0.1, 0.9, -0.5, 0.4]])


def _kind(kind: str, *lengths: int) -> dict[str, Any]:
    return {"kind": kind, "lengths": lengths}


SAMPLES = {
    "fft": [
        *(Sample((Z,), _kind(kind, 4)) for kind in ("fft", "ifft")),
        *(Sample((Z,), _kind(kind, 3, 4), note="two axes") for kind in ("fft", "ifft")),
        *(Sample((X,), _kind(kind, 3, 4), note="real operand") for kind in ("fft", "ifft")),
        Sample((Z[::-1, ::-2],), _kind("fft", 2), note="negative strides"),
        Sample((Z[:0],), _kind("fft", 4), note="size 0"),
        Sample((Z[0, 0],), _kind("ifft"), note="no axes"),
        Sample((X[0, 0],), _kind("fft"), note="no axes, real operand"),
        Sample((X,), _kind("rfft", 4), note="even"),
        Sample((X[:, :3],), _kind("rfft", 3), note="odd"),
        Sample((X,), _kind("rfft", 3, 4), note="two axes"),
        Sample((X[:, :1],), _kind("rfft", 1), note="one point"),
        Sample((X[:0],), _kind("rfft", 4), note="size 0"),
        Sample((Z,), _kind("irfft", 6), note="even"),
        Sample((Z,), _kind("irfft", 7), note="odd"),
        Sample((Z,), _kind("irfft", 3, 6), note="two axes"),
        Sample((Z[:, :1],), _kind("irfft", 1), note="one point"),
        Sample((Z[:, :2],), _kind("irfft", 2), note="two points"),
        Sample((Z[:0],), _kind("irfft", 6), note="size 0"),
    ],
}
