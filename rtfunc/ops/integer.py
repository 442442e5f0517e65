"""Integer arithmetic without derivatives: the greatest common divisor. Depends on `elementwise`."""

from __future__ import annotations

from rtfunc.core import dtypes
from rtfunc.ops.elementwise import binary, elementwise

gcd_p = elementwise("gcd", "gcd", over=dtypes.integers)

gcd = binary(
    gcd_p,
    """The greatest common divisor, elementwise: not negative, and gcd(0, x) is abs(x).

    >>> import numpy as np
    >>> gcd(np.array([12, 0], "int32"), 18)
    Array([ 6, 18], dtype=int32)
    """,
)
