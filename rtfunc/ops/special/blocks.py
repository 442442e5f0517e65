"""How kernels of special functions are evaluated: in float64, block by block, region by region.

A kernel takes `xp` (numpy or cupy) and flat float64 arrays of one size; `in_float64` makes an `impl`
of it, which broadcasts its operands and rounds once to their dtype. Depends on `gauss_legendre`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.ops.special.gauss_legendre import RULE_24, RULE_40

#: Elements at a time, so that intermediate results stay in the cache.
_BLOCK = 1 << 14

Kernel = Callable[..., Any]


def in_blocks(kernel: Kernel) -> Kernel:
    """A kernel over flat arrays of one size as one over arrays that broadcast, block by block."""

    def impl(xp: Any, *given: Any, **params: Any) -> Any:
        operands: Any = xp.broadcast_arrays(*given) if len(given) > 1 else given
        flat = [x.reshape(-1) for x in operands]
        out = xp.empty(flat[0].shape, operands[-1].dtype)
        step = _BLOCK if xp is np else max(out.size, 1)
        for start in range(0, out.size, step):
            block = slice(start, start + step)
            out[block] = kernel(xp, *(x[block] for x in flat), **params)
        return out.reshape(operands[0].shape)

    return impl


def in_float64(kernel: Kernel) -> Kernel:
    """As `in_blocks`, the kernel being given float64."""
    return in_blocks(
        lambda xp, *operands, **params: kernel(
            xp, *(x.astype(dtypes.float64) for x in operands), **params
        )
    )


def by_quadrature(kernel: Kernel) -> Kernel:
    """As `in_float64`, for `kernel(xp, rule, *operands)`: more nodes where the result is float64."""

    def with_rule(xp: Any, *operands: Any, **params: Any) -> Any:
        rule = RULE_40 if operands[-1].dtype == dtypes.float64 else RULE_24
        wide = (x.astype(dtypes.float64) for x in operands)
        return kernel(xp, rule, *wide, **params)

    return in_blocks(with_rule)


def fill(xp: Any, out: Any, region: Any, function: Callable[..., Any], *operands: Any) -> None:
    """`function` of the elements of the operands in `region`, into `out`."""
    if xp.all(region):
        out[...] = function(*operands)
    elif xp.any(region):
        out[region] = function(*(x[region] for x in operands))


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's scheme; the coefficient of the highest power comes first."""
    total = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        total *= x
        total += c
    return total


def ratio(x: Any, table: tuple[Sequence[float], Sequence[float]]) -> Any:
    """A rational function: the polynomials of numerator and denominator."""
    return polynomial(x, table[0]) / polynomial(x, table[1])


def exp_less_linear(xp: Any, x: Any) -> Any:
    """exp(x) - 1 - x for |x| <= 1, accurate near 0: 19 terms of its series."""
    total = 1 + x / 20
    for k in range(19, 2, -1):
        total *= x
        total /= k
        total += 1
    return 0.5 * x * x * total


def linear_less_log1p(xp: Any, x: Any) -> Any:
    """x - log1p(x), accurate near 0.

    With r = x / (2 + x), log1p(x) is 2 atanh(r), whose series is summed for |x| <= 1/2.
    """
    out = x - xp.log1p(x)
    fill(xp, out, xp.abs(x) <= 0.5, _linear_less_log1p_series, x)
    return out


def _linear_less_log1p_series(x: Any) -> Any:
    r = x / (2 + x)
    square = r * r
    return r * x - 2 * r * square * polynomial(square, [1 / k for k in range(37, 2, -2)])
