"""The primitives: one module per family, each primitive with all its rules in one place.

Importing this package registers them all. `elementwise` holds the factory that the elementwise families
share; `arithmetic` is the one to read first, `shape` the one for structural primitives.
"""

from rtfunc.ops import arithmetic as arithmetic
from rtfunc.ops import comparison as comparison
from rtfunc.ops import complex as complex
from rtfunc.ops import convert as convert
from rtfunc.ops import exponential as exponential
from rtfunc.ops import reduce as reduce
from rtfunc.ops import rounding as rounding
from rtfunc.ops import select as select
from rtfunc.ops import shape as shape
from rtfunc.ops import trigonometry as trigonometry
