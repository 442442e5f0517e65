"""Devices: where an Array's buffer lies.

A CPU buffer is a `numpy.ndarray` and a GPU buffer a `cupy.ndarray`, so the device of an Array
follows from its buffer. CuPy is imported only when a GPU is asked for. Depends on `errors`.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from types import ModuleType
from typing import Any

import numpy as np

from rtfunc.core.errors import DeviceError, MissingDependencyError, at_user_line


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """A CPU or one GPU: `platform` is "cpu" or "gpu", `id` counts the GPUs from 0."""

    platform: str
    id: int = 0

    def __str__(self) -> str:
        return self.platform if self.platform == "cpu" else f"{self.platform}:{self.id}"

    def __repr__(self) -> str:
        return f"Device('{self}')"


cpu = Device("cpu")


@functools.cache
def import_cupy() -> ModuleType:
    """The cupy module; raises an error that says what to install when it or a GPU is missing."""
    try:
        import cupy  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingDependencyError(
            at_user_line(
                "A GPU needs CuPy, which is not installed. Install it with "
                "`pip install 'rtfunc[cuda13x]'` (or `rtfunc[cuda12x]` for CUDA 12)."
            )
        ) from None
    return cupy


def gpu_count() -> int:
    """Number of GPUs that CuPy can use; 0 when CuPy or a driver is missing."""
    try:
        return int(import_cupy().cuda.runtime.getDeviceCount())
    except Exception:
        return 0


def devices(platform: str | None = None) -> list[Device]:
    """The devices of this machine, GPUs first; `platform` ("cpu" or "gpu") selects one kind.

    >>> devices("cpu")
    [Device('cpu')]
    """
    if platform not in (None, "cpu", "gpu"):
        raise DeviceError(at_user_line(f"platform is 'cpu' or 'gpu', not {platform!r}."))
    gpus = [] if platform == "cpu" else [Device("gpu", i) for i in range(gpu_count())]
    return gpus if platform == "gpu" else [*gpus, cpu]


def as_device(device: Device | str) -> Device:
    """A Device from itself or from a name: "cpu", "gpu", "gpu:1" ("cuda" is accepted for "gpu").

    Raises `MissingDependencyError` when a GPU is named and CuPy is not installed, and `DeviceError`
    when that GPU does not exist.
    """
    if isinstance(device, str):
        platform, _, number = device.replace("cuda", "gpu").partition(":")
        if platform not in ("cpu", "gpu") or (number and not number.isdigit()):
            raise DeviceError(
                at_user_line(f"{device!r} is not a device. Devices are 'cpu', 'gpu' and 'gpu:0'.")
            )
        device = Device(platform, int(number or 0))
    elif not isinstance(device, Device):
        raise DeviceError(at_user_line(f"{device!r} is not a Device, 'cpu' or 'gpu'."))
    if device.platform == "gpu":
        import_cupy()
        count = gpu_count()
        if device.id >= count:
            raise DeviceError(
                at_user_line(
                    f"There is no device {device}: CuPy found "
                    f"{f'{count} GPU' + 's' * (count > 1) if count else 'no GPU'} here. "
                    "Check the driver with `nvidia-smi`, or use 'cpu'."
                )
            )
    return device


def device_of(buffer: Any) -> Device:
    """The device on which a NumPy or CuPy buffer lies."""
    return cpu if isinstance(buffer, np.ndarray) else Device("gpu", int(buffer.device.id))


def namespace_of(buffers: tuple[Any, ...]) -> ModuleType:
    """The array module (`numpy` or `cupy`) that computes on `buffers`."""
    for buffer in buffers:
        if type(buffer) is not np.ndarray and type(buffer).__module__.startswith("cupy"):
            return sys.modules["cupy"]
    return np


def move_buffer(buffer: Any, device: Device) -> Any:
    """The buffer's data on `device`: itself when it already lies there."""
    if device_of(buffer) == device:
        return buffer
    if device.platform == "cpu":
        return buffer.get()
    cupy = import_cupy()
    with cupy.cuda.Device(device.id):
        return cupy.asarray(buffer)
