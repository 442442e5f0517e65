"""Samples of gather and scatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.ops.gather import GatherDimensionNumbers
from tests.ops.sample import Sample

_x = np.linspace(-2.0, 3.0, 15).reshape(5, 3)
_cube = np.linspace(-1.0, 1.0, 24).reshape(2, 4, 3)
_c = _x[:3] + 1j * _x[2:]
_repeated = np.array([[3], [0], [3], [4]], np.int32)
_distinct = np.array([[3], [0], [4]], np.int64)
_outside = np.array([[3], [7], [-1], [0]], np.int32)

_rows = GatherDimensionNumbers((1,), (0,), (0,))
_elements = GatherDimensionNumbers((), (0, 1), (1, 0))
_blocks = GatherDimensionNumbers((1, 2), (), (0, 1))
_columns_first = GatherDimensionNumbers((0,), (1,), (1,))
_middle = GatherDimensionNumbers((0, 2), (1,), (1,))
_along = GatherDimensionNumbers((), (1,), (1,), (0,), (0,))
_stepping = GatherDimensionNumbers((2,), (1,), (1,), (2,), (1,))


def _gather(
    x: Any, i: Any, n: Any, sizes: Any, mode: str = "clip", note: str = "", **options: Any
) -> Sample:
    params = {
        "dimension_numbers": n,
        "slice_sizes": sizes,
        "mode": mode,
        "fill_value": None,
        "unique_indices": False,
        "indices_are_sorted": False,
        **options,
    }
    return Sample((x, i), params, note=note)


def _scatter(
    x: Any, i: Any, y: Any, n: Any, kind: str, mode: str = "fill", note: str = "", **options: Any
) -> Sample:
    params = {
        "kind": kind,
        "dimension_numbers": n,
        "mode": mode,
        "unique_indices": False,
        "indices_are_sorted": False,
        **options,
    }
    return Sample((x, i, y), params, note=f"{kind} {note}")


def _updates(*shape: int) -> np.ndarray:
    return np.cos(np.arange(np.prod(shape))).reshape(shape) * 2 + 0.1


def _every_kind(x: Any, i: Any, y: Any, n: Any, mode: str = "fill", note: str = "") -> list[Sample]:
    return [_scatter(x, i, y, n, kind, mode, note) for kind in ("set", "add", "min", "max")]


_offset_grid = np.array([[[0, 1], [3, 1]], [[4, 2], [2, 0]]], np.int32)

SAMPLES: dict[str, list[Sample]] = {
    "gather": [
        _gather(_x, _repeated, _rows, (1, 3), note="rows"),
        _gather(_x, _repeated, _rows, (1, 3), "promise_in_bounds", note="rows"),
        _gather(_x, _outside, _rows, (1, 3), note="clipped rows"),
        _gather(_x, _outside, _rows, (1, 3), "fill", note="filled rows", fill_value=2.5),
        _gather(_x, _outside, _rows, (1, 2), "fill", note="part of rows", fill_value=0),
        _gather(_x, np.array([4], np.uint64), _columns_first, (5, 1), note="one column"),
        _gather(_x, np.array([[1, 0], [2, 4], [1, 0]]), _elements, (1, 1), note="elements"),
        _gather(_x[::-1, ::-1], np.array([[1, 3]]), _elements, (1, 1), note="negative strides"),
        _gather(_x.T, np.array([[1, 2]]), _elements, (1, 1), note="transposed in memory"),
        _gather(_x, np.array([[1, 0], [4, 2], [0, 1]]), _blocks, (2, 2), note="blocks"),
        _gather(_x, np.array([[1, 0], [9, 0]]), _blocks, (2, 3), "fill", "blocks", fill_value=1),
        _gather(_cube, np.array([[2], [0]], np.int8), _middle, (2, 1, 3), note="middle axis"),
        _gather(_x, np.arange(10).reshape(5, 2, 1) % 3, _along, (1, 1), note="along an axis"),
        _gather(_cube, np.arange(12).reshape(4, 3, 1) % 4, _stepping, (2, 1, 1), note="batching"),
        _gather(_x, np.zeros((0, 1), np.int32), _rows, (1, 3), note="no indices"),
        _gather(_x, np.zeros((2, 0), np.int32), GatherDimensionNumbers((1, 2), (), ()), (5, 3)),
        _gather(np.zeros((0, 3)), _repeated, _rows, (1, 3), "fill", "nothing there", fill_value=1),
        _gather(_c, _repeated % 3, _rows, (1, 3), note="complex"),
    ],
    "scatter": [
        *_every_kind(_x, _repeated, _updates(4, 3), _rows, note="repeated rows"),
        *_every_kind(_x, _outside, _updates(4, 3), _rows, note="dropped rows"),
        *_every_kind(_x, _outside, _updates(4, 3), _rows, "clip", note="clipped rows"),
        *_every_kind(_x, np.array([[1, 0], [2, 4], [1, 0]]), _updates(3), _elements),
        *_every_kind(_x, np.array([[1, 0], [4, 2], [2, 1]]), _updates(3, 2, 2), _blocks, "clip"),
        *_every_kind(_cube, np.array([[2], [0]]), _updates(2, 2, 3), _middle, note="middle axis"),
        *_every_kind(_x, np.array([[[0], [2]]] * 5), _updates(5, 2), _along, note="along an axis"),
        *_every_kind(_x, np.zeros((0, 1), np.int32), _updates(0, 3), _rows, note="no updates"),
        *_every_kind(np.zeros((0, 3)), _repeated, _updates(4, 3), _rows, note="nothing there"),
        _scatter(_x, _offset_grid, _updates(2, 2), _elements, "add", "clip", "grid"),
        _scatter(_x, _distinct, _updates(3, 3), _rows, "mul", unique_indices=True),
        _scatter(_x, _distinct, _updates(3, 3), _rows, "add", unique_indices=True),
        _scatter(_x, _distinct, _updates(3, 3), _rows, "set", unique_indices=True),
        _scatter(_x, _distinct, _updates(3, 3), _rows, "max", unique_indices=True),
        _scatter(_x, np.array([1]), _updates(3), GatherDimensionNumbers((0,), (0,), (0,)), "set"),
        _scatter(_x[::-1], _distinct, _updates(3, 3), _rows, "set", "promise_in_bounds"),
        _scatter(_c, _repeated % 3, _updates(4, 3) * (1 + 2j), _rows, "add", note="complex"),
        _scatter(_c, _repeated % 3, _updates(4, 3) * (1 + 2j), _rows, "set", note="complex"),
    ],
}
