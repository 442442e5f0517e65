"""What kind of work each equation is for the scheduler, and what elementwise operations cost.

Depends on `views`.
"""

from __future__ import annotations

import numpy as np

from rtfunc.compiler.views import view_primitives
from rtfunc.core import dtypes
from rtfunc.core.graph import Equation

#: Elementwise primitives that Kernels compute, with their cost in simple operations.
elementwise_cost = {
    **dict.fromkeys(
        "add sub mul neg max min abs sign square select clamp convert_element_type eq ne lt le gt ge "
        "and or xor not shift_left shift_right_arithmetic shift_right_logical is_finite".split(),
        1,
    ),
    **dict.fromkeys("floor ceil trunc round population_count clz".split(), 1),
    **dict.fromkeys("div rem sqrt rsqrt".split(), 4),
    **dict.fromkeys("exp exp2 expm1 log log2 log10 log1p logistic tanh".split(), 12),
    **dict.fromkeys("sin cos tan asin acos atan sinh cosh asinh acosh atanh cbrt".split(), 20),
    **dict.fromkeys("erf erfc erf_inv atan2 pow logaddexp".split(), 24),
    **dict.fromkeys("lgamma digamma bessel_i0e bessel_i1e".split(), 60),
    "integer_pow": 3,
    "threefry2x32": 60,
    "normal_from_uniform": 48,
    "bitcast": 1,
    "fma": 2,
}

reductions = {
    "reduce_sum": "sum",
    "reduce_prod": "prod",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_and": "and",
    "reduce_or": "or",
}

#: Dtypes that Kernels compute with; others go through calls.
kernel_dtypes = frozenset((dtypes.bool_, *dtypes.integers, *dtypes.floats))


def kind_of(equation: Equation) -> str:
    """How an equation is scheduled: "elementwise", "view", "reduce", "squeeze", "iota",
    "concatenate", "gather" or "call"."""
    name = equation.primitive.name
    avals = [a.aval for a in (*equation.inputs, *equation.outputs)]
    if name in view_primitives and all(a.size for a in avals):
        return "view"
    if any(a.dtype not in kernel_dtypes or a.size == 0 for a in avals):
        return "call"
    if name == "pow" and not dtypes.is_float(avals[0].dtype):
        return "call"
    if name == "bitcast" and not _same_width(avals[0].dtype, avals[1].dtype):
        return "call"
    if name == "fma" and avals[0].dtype.itemsize < 4:
        return "call"
    if name in elementwise_cost:
        return "elementwise"
    if name == "iota":
        return "iota"
    if name == "concatenate":
        return "concatenate"
    if name in ("gather", "dynamic_slice"):
        return "gather"
    if name in reductions:
        shape = equation.inputs[0].aval.shape
        axes = equation.params["axes"]
        return "reduce" if any(shape[a] > 1 for a in axes) else "squeeze"
    return "call"


def _same_width(a: np.dtype, b: np.dtype) -> bool:
    """Whether registers of two dtypes hold the same bits: half floats are held as wider ones."""
    return a.itemsize == b.itemsize and (
        a.itemsize >= 4 or not (dtypes.is_float(a) or dtypes.is_float(b))
    )
