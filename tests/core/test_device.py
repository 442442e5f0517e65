"""Where an operation runs, on stand-ins for buffers on GPUs; tests/gpu has the real ones."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
from rtfunc.core.device import Device, buffers_on, computing_device, cpu
from rtfunc.core.errors import DeviceError


class _Buffer:
    """What `device_of` asks of CuPy's arrays."""

    def __init__(self, number):
        self.device = type("Device", (), {"id": number})()


def test_an_operation_runs_where_its_operands_are():
    host, first = np.ones(3), _Buffer(0)
    assert computing_device("add", []) == cpu
    assert computing_device("add", [host, host]) == cpu
    assert computing_device("add", [host, first, first]) == Device("gpu", 0)


def test_arrays_on_two_gpus_do_not_meet():
    with pytest.raises(
        DeviceError, match=r"add got arrays on different devices \(gpu:0, gpu:1\)"
    ) as e:
        computing_device("add", [_Buffer(0), np.ones(3), _Buffer(1)])
    assert "rtfunc.device_put(x, device)" in str(e.value)
    assert "test_device.py" in str(e.value)


def test_a_guard_forbids_copies_to_a_gpu():
    there = _Buffer(0)
    with (
        rf.transfer_guard("disallow"),
        pytest.raises(DeviceError, match="forbids moving them unasked"),
    ):
        buffers_on(Device("gpu"), "add", [there, np.ones(3)])
    assert buffers_on(Device("gpu"), "add", [there]) == [there]
    with (
        pytest.raises(DeviceError, match="takes 'allow' or 'disallow', not 'log'"),
        rf.transfer_guard("log"),
    ):
        pass
