"""Samples for `rtfunc.ops.random_bits`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

ONE, TWO = np.array(0x13198A2E, "uint32"), np.array(0x03707344, "uint32")
COUNT = np.arange(6, dtype="uint32").reshape(2, 3)

SAMPLES = {
    "threefry2x32": [
        Sample((ONE, TWO, ONE, TWO), note="0-d"),
        Sample((ONE, TWO, COUNT, COUNT + np.uint32(7))),
        Sample((COUNT[:, :1], TWO, ONE, COUNT[:1]), note="broadcast"),
        Sample((COUNT, COUNT[::-1], COUNT[:, ::-1], ONE), note="negative strides"),
        Sample((ONE, TWO, COUNT[:0], COUNT[:0]), note="size 0"),
    ]
}
