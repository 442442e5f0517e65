"""Devices: where an Array's buffer lies.

A CPU buffer is a `numpy.ndarray` and a GPU buffer a `cupy.ndarray`, so the device of an Array
follows from its buffer. CuPy is imported only when a GPU is asked for.

An operation runs where its operands are. Operands on the CPU follow those on a GPU, as JAX's
uncommitted arrays do: what a rule or a layer makes on the way, and what a user passes from NumPy,
meets the parameters where they lie. `transfer_guard` makes an error of it. Depends on `errors`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from rtfunc.core.errors import DeviceError, DtypeError, MissingDependencyError, at_user_line


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
    return cpu if isinstance(buffer, (np.ndarray, np.generic)) else _gpu(buffer.device.id)


@functools.cache
def _gpu(number: int) -> Device:
    return Device("gpu", int(number))


class _Transfers(threading.local):
    #: Whether arrays may follow others to a GPU without being asked to, in this thread.
    allowed: bool = True


_transfers = _Transfers()


@contextlib.contextmanager
def transfer_guard(level: str) -> Iterator[None]:
    """Allow or forbid implicit transfers to a GPU in this thread, for a `with` block.

    An operation whose operands lie on the CPU and on a GPU takes those on the CPU along to the GPU. Under
    `"disallow"` it raises `DeviceError`, which names the line; numbers and arrays without axes may
    always follow, and `device_put` is always allowed. The levels are JAX's; `"allow"` is the default.

    >>> import rtfunc as rf
    >>> with rf.transfer_guard("disallow"):
    ...     pass  # everything in here lies where it was put
    """
    if level not in ("allow", "disallow"):
        raise DeviceError(
            at_user_line(f"transfer_guard takes 'allow' or 'disallow', not {level!r}.")
        )
    outer, _transfers.allowed = _transfers.allowed, level == "allow"
    try:
        yield
    finally:
        _transfers.allowed = outer


def computing_device(operation: str, buffers: Sequence[Any]) -> Device:
    """The device on which an operation on `buffers` runs: the GPU that any of them is on, or the CPU.

    Raises `DeviceError` for buffers on two GPUs.
    """
    found = cpu
    for buffer in buffers:
        if type(buffer) is np.ndarray:
            continue
        device = device_of(buffer)
        if device in (cpu, found):
            continue
        if found != cpu:
            raise DeviceError(
                at_user_line(
                    f"{operation} got arrays on different devices ({found}, {device}). "
                    "Move them with rtfunc.device_put(x, device)."
                )
            )
        found = device
    return found


def buffers_on(
    device: Device, operation: str, buffers: Sequence[Any], unasked: bool = True
) -> list[Any]:
    """`buffers`, those on the CPU copied to `device`, a GPU.

    Raises `DeviceError` where that happens `unasked` and `transfer_guard` forbids it.
    """
    moved = []
    for buffer in buffers:
        if not isinstance(buffer, np.ndarray):
            moved.append(buffer)
        elif not buffer.ndim:
            moved.append(_scalar_on(device, buffer.dtype, buffer.tobytes()))
        elif _transfers.allowed or not unasked:
            moved.append(move_buffer(buffer, device))
        else:
            raise DeviceError(
                at_user_line(
                    f"{operation} got arrays on different devices (cpu, {device}), and "
                    "transfer_guard('disallow') forbids moving them unasked. Move them with "
                    "rtfunc.device_put(x, device)."
                )
            )
    return moved


@functools.lru_cache(maxsize=4096)
def _scalar_on(device: Device, dtype: np.dtype, content: bytes) -> Any:
    """An array without axes on a GPU. Nothing writes to it, so that one serves all its uses."""
    return move_buffer(np.frombuffer(content, dtype).reshape(()), device)


def is_current(device: Device) -> bool:
    """Whether `device` is the GPU that CuPy allocates and computes on now, or the CPU."""
    return device == cpu or import_cupy().cuda.runtime.getDevice() == device.id


@contextlib.contextmanager
def computing_on(device: Device) -> Iterator[ModuleType]:
    """What computes on `device`, for a `with` block: CuPy, allocating on that GPU, or NumPy."""
    if device == cpu:
        yield np
        return
    cupy = import_cupy()
    if is_current(device):
        yield cupy
        return
    with cupy.cuda.Device(device.id):
        yield cupy


def move_buffer(buffer: Any, device: Device) -> Any:
    """The buffer's data on `device`: itself when it already lies there."""
    if device_of(buffer) == device:
        return buffer
    if device.platform == "cpu":
        return buffer.get()
    cupy = import_cupy()
    if _lacks_cupy(buffer.dtype):
        raise DtypeError(
            at_user_line(
                f"CuPy has no dtype {buffer.dtype}: arrays of it stay on the CPU. Convert it before, for "
                "example with x.astype('bfloat16')."
            )
        )
    with cupy.cuda.Device(device.id):
        return cupy.asarray(buffer)


def _lacks_cupy(dtype: np.dtype) -> bool:
    """Whether CuPy cannot hold a dtype: the float8 kinds (ml_dtypes' other than bfloat16)."""
    return dtype.name.startswith("float8")
