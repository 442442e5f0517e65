"""Samples for `rtfunc.ops.shape`."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

HALF = ("float32", "float64", "float16", "bfloat16")
X = np.linspace(-1.0, 1.0, 24).reshape(2, 3, 4)
ZERO_D = np.array(1.5)
EMPTY = np.zeros((2, 0, 3))
INTEGERS = np.arange(6, dtype="int32").reshape(2, 3)
BOOLEANS = INTEGERS % 2 == 0

SAMPLES = {
    "reshape": [
        Sample((X,), {"shape": (4, 6)}, dtypes=HALF),
        Sample((X,), {"shape": (24,)}),
        Sample((X,), {"shape": (2, 1, 3, 4, 1)}),
        Sample((X.T,), {"shape": (8, 3)}, note="transposed"),
        Sample((X[::-1, :, ::-1],), {"shape": (6, 4)}, note="negative strides"),
        Sample((ZERO_D,), {"shape": (1, 1)}, note="from 0-d"),
        Sample((ZERO_D[None],), {"shape": ()}, note="to 0-d"),
        Sample((EMPTY,), {"shape": (0, 7)}, note="size 0"),
        Sample((INTEGERS,), {"shape": (6,)}, note="integers"),
        Sample((X + 1j,), {"shape": (6, 4)}, note="complex"),
    ],
    "transpose": [
        *(
            Sample((X,), {"permutation": p}, dtypes=HALF)
            for p in ((0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1))
        ),
        Sample((ZERO_D,), {"permutation": ()}, note="0-d"),
        Sample((EMPTY,), {"permutation": (2, 0, 1)}, note="size 0"),
        Sample((BOOLEANS,), {"permutation": (1, 0)}, note="booleans"),
        Sample((X * 1j,), {"permutation": (1, 2, 0)}, note="complex"),
    ],
    "broadcast_in_dim": [
        Sample((X[0],), {"shape": (2, 3, 4), "axes": (1, 2)}, dtypes=HALF),
        Sample((X[0],), {"shape": (3, 5, 4), "axes": (0, 2)}, note="between"),
        Sample((X[0],), {"shape": (3, 4, 2), "axes": (0, 1)}, note="behind"),
        Sample((ZERO_D,), {"shape": (2, 3), "axes": ()}, note="0-d"),
        Sample((ZERO_D,), {"shape": (), "axes": ()}, note="0-d to itself"),
        Sample((X[:, :1],), {"shape": (2, 3, 4), "axes": (0, 1, 2)}, note="sizes of 1"),
        Sample((X[0, :1, :1],), {"shape": (2, 1, 4), "axes": (1, 2)}, note="sizes of 1 kept"),
        Sample((ZERO_D,), {"shape": (0, 3), "axes": ()}, note="to size 0"),
        Sample((EMPTY,), {"shape": (2, 0, 4, 3), "axes": (0, 1, 3)}, note="size 0"),
        Sample((INTEGERS,), {"shape": (4, 2, 3), "axes": (1, 2)}, note="integers"),
    ],
    "rev": [
        Sample((X,), {"axes": (0,)}, dtypes=HALF),
        Sample((X,), {"axes": (0, 2)}),
        Sample((X,), {"axes": ()}, note="no axes"),
        Sample((ZERO_D,), {"axes": ()}, note="0-d"),
        Sample((EMPTY,), {"axes": (1, 2)}, note="size 0"),
        Sample((X[::-1],), {"axes": (0, 1)}, note="negative strides"),
        Sample((BOOLEANS,), {"axes": (1,)}, note="booleans"),
    ],
}
