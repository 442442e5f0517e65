"""Samples of slice, pad, concatenate, dynamic_slice and dynamic_update_slice."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.sample import Sample

_x = np.arange(24.0).reshape(4, 6) / 7 - 1
_c = _x[:2, :3] + 1j * _x[1:3, :3]
_backward = _x[::-1, ::-1]
_spread = np.broadcast_to(_x[0], (4, 6))
_scalar = np.array(0.5)


def _slice(x: Any, start: Any, limit: Any, stride: Any, note: str = "") -> Sample:
    return Sample((x,), {"start": start, "limit": limit, "stride": stride}, note=note)


def _pad(x: Any, low: Any, high: Any, interior: Any, note: str = "") -> Sample:
    value = np.asarray(_scalar, np.asarray(x).dtype)
    return Sample((x, value), {"low": low, "high": high, "interior": interior}, note=note)


def _starts(*starts: int) -> tuple[np.ndarray, ...]:
    return tuple(np.array(s, np.int32) for s in starts)


SAMPLES: dict[str, list[Sample]] = {
    "slice": [
        _slice(_x, (1, 2), (3, 5), (1, 1)),
        _slice(_x, (0, 1), (4, 6), (3, 2), "strides"),
        _slice(_backward, (0, 1), (4, 5), (2, 3), "negative strides in memory"),
        _slice(_spread, (1, 0), (3, 6), (1, 5), "broadcast in memory"),
        _slice(_x, (2, 0), (2, 6), (1, 1), "size 0 out"),
        _slice(np.zeros((0, 3)), (0, 1), (0, 3), (1, 2), "size 0 in"),
        _slice(np.array(2.0), (), (), (), "0-d"),
        _slice(_c, (0, 1), (2, 3), (1, 1), "complex"),
    ],
    "pad": [
        _pad(_x, (1, 0), (2, 1), (0, 0)),
        _pad(_x, (0, 2), (1, 0), (2, 1), "interior"),
        _pad(_x, (-1, -2), (-1, -1), (0, 0), "crop"),
        _pad(_x, (-2, 1), (3, -4), (1, 2), "crop after interior padding"),
        _pad(_x, (-5, 0), (9, 0), (1, 0), "crop into the padding"),
        _pad(_x, (-4, 0), (2, 0), (0, 0), "nothing left but padding"),
        _pad(_x, (3, 0), (-7, 0), (0, 0), "crop all from the other side"),
        _pad(_backward, (1, 1), (1, 1), (1, 0), "negative strides in memory"),
        _pad(np.zeros((0, 2)), (1, 0), (1, 0), (2, 1), "size 0 in"),
        _pad(_x, (-2, 0), (-2, 0), (0, 0), "size 0 out"),
        _pad(np.array(2.0), (), (), (), "0-d"),
        _pad(_c, (1, 0), (0, 1), (0, 1), "complex"),
    ],
    "concatenate": [
        Sample((_x, _x[:1], _x[:0]), {"axis": 0}, note="with one of size 0"),
        Sample((_x[:, :2], _backward), {"axis": 1}, note="negative strides in memory"),
        Sample((_x,), {"axis": 1}, note="one operand"),
        Sample((_c, _c * 2), {"axis": 0}, note="complex"),
    ],
    "dynamic_slice": [
        Sample((_x, *_starts(1, 2)), {"sizes": (2, 3)}),
        Sample((_x, *_starts(3, -4)), {"sizes": (2, 3)}, note="moved inside"),
        Sample((_x, *_starts(0, 1)), {"sizes": (4, 1)}, note="whole axis"),
        Sample((_backward, *_starts(1, 0)), {"sizes": (1, 6)}, note="negative strides"),
        Sample((np.array(2.0),), {"sizes": ()}, note="0-d"),
        Sample((np.zeros((0, 3)), *_starts(0, 2)), {"sizes": (0, 2)}, note="size 0"),
        Sample((_x, np.array(1, np.uint8), np.array(2, np.int64)), {"sizes": (2, 0)}, note="mixed"),
        Sample((_c, *_starts(1, 1)), {"sizes": (1, 2)}, note="complex"),
    ],
    "dynamic_update_slice": [
        Sample((_x, _x[:2, 1:4] * 3, *_starts(1, 2))),
        Sample((_x, _x[:2, 1:4] * 3, *_starts(3, -4)), note="moved inside"),
        Sample((_x, _backward, *_starts(1, 1)), note="all of it"),
        Sample((_spread, _x[:, :1], *_starts(0, 5)), note="broadcast in memory"),
        Sample((np.array(2.0), np.array(3.0)), note="0-d"),
        Sample((_x, np.zeros((0, 2)), *_starts(1, 2)), note="size 0"),
        Sample((_c, _c[:1, 1:] * 2, *_starts(1, 0)), note="complex"),
    ],
}
