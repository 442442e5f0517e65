"""The workloads in PyTorch under `torch.compile`. Depends on `torch_`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.workloads import torch_

wait = torch_.wait

WORKLOADS: dict[str, Callable[[], Callable[[], Any]]] = {
    **torch_.programs(torch.compile),
    "dispatch": lambda: torch_.dispatch(torch.compile),
    "dispatch-50": lambda: torch_.dispatch_50(torch.compile),
}
