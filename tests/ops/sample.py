"""Sample inputs of a primitive, as the registry walk reads them.

Each module under `tests/ops/samples` has `SAMPLES: dict[str, list[Sample]]` for one family.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Sample:
    """Operands and params with which a primitive is tried.

    Attributes:
      args: NumPy operands. Floating-point ones are given in float64; the walk converts them to the
        other dtypes where `dtypes` allows.
      params: the primitive's params.
      check_derivatives: whether finite differences are meaningful at these operands (to second order).
      dtypes: names of dtypes to which the floating-point operands are converted for the comparison of
        vmap with a loop and jit with eager.
      note: what is special about this sample (0-d, size 0, broadcast, ties ...).
    """

    args: tuple[np.ndarray, ...]
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    check_derivatives: bool = True
    dtypes: tuple[str, ...] = ("float32", "float64")
    note: str = ""
