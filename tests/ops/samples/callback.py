"""Samples for `rtfunc.ops.callback`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core.aval import Aval
from tests.ops.sample import Sample


def order(x: np.ndarray) -> list[np.ndarray]:
    return [np.argsort(x, axis=-1, kind="stable").astype("int32")]


def shifted(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    return [x + y, (x * 0.5 - y).astype("float32")]


def nothing(x: np.ndarray) -> list[np.ndarray]:
    return []


def _call(callback: Any, *result_avals: Aval, method: str = "sequential", effect: bool = False):
    return {
        "callback": callback,
        "result_avals": result_avals,
        "operation": "pure_callback",
        "vmap_method": method,
        "has_effect": effect,
    }


VECTOR = np.array([3, 1, 2], "int32")
TWO = (Aval((3,), "int32"), Aval((3,), "float32"))

SAMPLES = {
    "host_callback": [
        Sample((np.array([0.3, -1.0, 0.1]),), _call(order, Aval((3,), "int32"))),
        Sample((VECTOR, VECTOR[::-1]), _call(shifted, *TWO), note="two results"),
        Sample(
            (VECTOR, VECTOR[::-1]), _call(shifted, *TWO, method="expand_dims"), note="expand_dims"
        ),
        Sample(
            (VECTOR, VECTOR), _call(shifted, *TWO, method="broadcast_all"), note="broadcast_all"
        ),
        Sample((np.array(2.5),), _call(nothing, effect=True), note="0-d, no results"),
        Sample((np.zeros((0,)),), _call(order, Aval((0,), "int32")), note="size 0"),
    ]
}
