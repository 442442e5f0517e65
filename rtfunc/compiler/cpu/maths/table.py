"""The emitters of all elementary functions, by name.

A function of this package is written on `Lanes`; an emitter takes and returns LLVM values. Depends
on the modules of the functions.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from . import (
    bessel,
    error_function,
    exponential,
    gamma,
    logarithm,
    power,
    rounding,
    trigonometric,
)
from .lanes import Lanes

Emitter = Callable[..., ir.Value]
"""`emit(builder, x)` or `emit(builder, x, y)`: instructions at the builder's position, their value.

x and y are of type float or double, or vectors of these with any number of lanes.
"""


def emitter(function: Callable[..., Lanes]) -> Emitter:
    """`function`, of one or two `Lanes`, as a function of a builder and LLVM values."""

    def emit(builder: ir.IRBuilder, *operands: ir.Value) -> ir.Value:
        return function(*(Lanes(builder, operand) for operand in operands)).value

    emit.__name__ = emit.__qualname__ = function.__name__
    emit.__doc__ = function.__doc__
    return emit


def integer_pow(builder: ir.IRBuilder, x: ir.Value, exponent: int) -> ir.Value:
    """x to a constant integer power: see `power.integer_pow`."""
    return power.integer_pow(Lanes(builder, x), exponent).value


FUNCTIONS: dict[str, Emitter] = {
    "exp": emitter(exponential.exp),
    "exp2": emitter(exponential.exp2),
    "expm1": emitter(exponential.expm1),
    "log": emitter(logarithm.log),
    "log2": emitter(logarithm.log2),
    "log10": emitter(logarithm.log10),
    "log1p": emitter(logarithm.log1p),
    "sin": emitter(trigonometric.sin),
    "cos": emitter(trigonometric.cos),
    "tan": emitter(trigonometric.tan),
    "asin": emitter(trigonometric.asin),
    "acos": emitter(trigonometric.acos),
    "atan": emitter(trigonometric.atan),
    "atan2": emitter(trigonometric.atan2),
    "sinh": emitter(exponential.sinh),
    "cosh": emitter(exponential.cosh),
    "tanh": emitter(exponential.tanh),
    "asinh": emitter(logarithm.asinh),
    "acosh": emitter(logarithm.acosh),
    "atanh": emitter(logarithm.atanh),
    "logistic": emitter(exponential.logistic),
    "pow": emitter(power.pow),
    "integer_pow": integer_pow,
    "sqrt": emitter(power.sqrt),
    "rsqrt": emitter(power.rsqrt),
    "cbrt": emitter(power.cbrt),
    "erf": emitter(error_function.erf),
    "erfc": emitter(error_function.erfc),
    "erf_inv": emitter(error_function.erf_inv),
    "lgamma": emitter(gamma.lgamma),
    "digamma": emitter(gamma.digamma),
    "bessel_i0e": emitter(bessel.bessel_i0e),
    "bessel_i1e": emitter(bessel.bessel_i1e),
    "sign": emitter(rounding.sign),
    "floor": emitter(rounding.floor),
    "ceil": emitter(rounding.ceil),
    "trunc": emitter(rounding.trunc),
    "round_half_even": emitter(rounding.round_half_even),
}
"""Name to emitter. `integer_pow` takes a Python integer where the others take a second value."""
