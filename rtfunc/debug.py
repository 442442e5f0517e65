"""Looking inside traced programs: printing and calling back while they run.

import rtfunc as rf
@rf.jit
def f(x):
    rf.debug.print("x is {}", x)
    return x * 2
"""

from __future__ import annotations

from rtfunc.transforms.callback import debug_callback as callback
from rtfunc.transforms.callback import debug_print as print

__all__ = ["callback", "print"]
