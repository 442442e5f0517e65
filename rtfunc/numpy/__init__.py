"""NumPy's interface over immutable arrays that can be differentiated, batched and compiled."""

from __future__ import annotations

import sys

import rtfunc.ops
from rtfunc.core.array import install_namespace
from rtfunc.numpy.elementwise import *  # noqa: F403
from rtfunc.numpy.floating import *  # noqa: F403
from rtfunc.numpy.logic import *  # noqa: F403
from rtfunc.ops.reduce import reduce_sum as sum
from rtfunc.ops.shape import reshape as reshape
from rtfunc.ops.shape import transpose as transpose

install_namespace(sys.modules[__name__])
