"""Where arrays lie: `device_put`, `device_get`, `block_until_ready`, over pytrees."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import pytree
from rtfunc.core.array import Array, device_put_buffer
from rtfunc.core.device import Device, as_device, cpu
from rtfunc.core.trace import Tracer
from rtfunc.ops.convert import as_array


def device_put(x: Any, device: Device | str | None = None) -> Any:
    """`x` (a pytree of arrays) on `device`: "cpu", "gpu", "gpu:1" or a Device; the CPU by default.

    Raises `MissingDependencyError` for a GPU without CuPy, `DeviceError` where there is no such GPU.

    >>> device_put([1.0])
    [Array(1., dtype=float32, weak_type=True)]
    """
    target = cpu if device is None else as_device(device)

    def put(leaf: Any) -> Any:
        array = as_array("device_put", leaf)
        if isinstance(array, Tracer):
            return array
        buffer = array._buffer
        if isinstance(leaf, np.ndarray) and leaf.flags.writeable and target == cpu:
            buffer = buffer.copy()
        return Array(device_put_buffer(buffer, target), array.weak_type)

    return pytree.map(put, x)


def device_get(x: Any) -> Any:
    """`x` (a pytree of arrays) as NumPy arrays.

    >>> device_get([device_put(1.0)])
    [array(1., dtype=float32)]
    """
    return pytree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, Array) else leaf, x)


def block_until_ready(x: Any) -> Any:
    """Wait until all arrays of the pytree `x` are computed; returns `x`."""
    for leaf in pytree.leaves(x):
        if isinstance(leaf, Array) and not isinstance(leaf, Tracer):
            leaf.block_until_ready()
    return x
