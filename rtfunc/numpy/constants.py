"""Constants: Python floats, so that they take the dtype of what they meet."""

from __future__ import annotations

import math

pi = math.pi
e = math.e
inf = math.inf
nan = math.nan
euler_gamma = 0.57721566490153286060651209008240243
newaxis = None
