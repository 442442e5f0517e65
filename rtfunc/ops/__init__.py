"""The primitives: one module per family, each primitive with all its rules in one place.

Importing this package registers them all. `elementwise` holds the factory that the elementwise families
share; `arithmetic` is the one to read first, `shape` the one for structural primitives.
"""

from rtfunc.ops import arithmetic as arithmetic
from rtfunc.ops import branch as branch
from rtfunc.ops import call as call
from rtfunc.ops import callback as callback
from rtfunc.ops import collective as collective
from rtfunc.ops import comparison as comparison
from rtfunc.ops import complex as complex
from rtfunc.ops import contract as contract
from rtfunc.ops import conv as conv
from rtfunc.ops import convert as convert
from rtfunc.ops import cumulative as cumulative
from rtfunc.ops import dynamic_slice as dynamic_slice
from rtfunc.ops import exponential as exponential
from rtfunc.ops import fft as fft
from rtfunc.ops import gather as gather
from rtfunc.ops import integer as integer
from rtfunc.ops import iota as iota
from rtfunc.ops import linalg as linalg
from rtfunc.ops import loop as loop
from rtfunc.ops import multiply_add as multiply_add
from rtfunc.ops import pad_slice as pad_slice
from rtfunc.ops import product as product
from rtfunc.ops import random_bits as random_bits
from rtfunc.ops import recurrence as recurrence
from rtfunc.ops import reduce as reduce
from rtfunc.ops import rounding as rounding
from rtfunc.ops import scan as scan
from rtfunc.ops import select as select
from rtfunc.ops import shape as shape
from rtfunc.ops import sort as sort
from rtfunc.ops import special as special
from rtfunc.ops import stop_gradient as stop_gradient
from rtfunc.ops import trigonometry as trigonometry
from rtfunc.ops import window as window
