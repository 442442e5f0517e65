"""Samples for `rtfunc.ops.stop_gradient`: its derivative is not that of its values."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

SAMPLES = {
    "stop_gradient": [
        Sample((np.array([0.5, -1.0]),), check_derivatives=False),
        Sample((np.array(2.0),), check_derivatives=False, note="0-d"),
        Sample((np.zeros((0, 2)),), check_derivatives=False, note="size 0"),
        Sample((np.array([1 + 2j]),), check_derivatives=False, note="complex"),
        Sample((np.array([1, 2], "int32"),), note="integers"),
    ],
}
