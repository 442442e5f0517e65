"""Elementwise functions of numbers under NumPy's names: arithmetic, powers, exponentials,
trigonometry, extremes, complex parts.

Where a primitive does what NumPy's function does, the name here *is* the function of `rtfunc.ops`,
so calling it costs nothing more; the others are compositions. `floating` has the functions that
round floats and take them apart, `logic` comparisons and bits. Where JAX and NumPy differ, JAX is
followed: integers become the default float (float32), and integer division by zero gives a value
rather than a warning. Depends on `ops`.
"""

from __future__ import annotations

import math

import numpy as np  # noqa: F401  (the examples use it)

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.numpy.arguments import constant, refuse_out
from rtfunc.ops.arithmetic import add as add
from rtfunc.ops.arithmetic import cbrt as cbrt
from rtfunc.ops.arithmetic import div, integer_pow, neg, rem, sub
from rtfunc.ops.arithmetic import maximum as maximum
from rtfunc.ops.arithmetic import minimum as minimum
from rtfunc.ops.arithmetic import mul as mul
from rtfunc.ops.arithmetic import nextafter as nextafter
from rtfunc.ops.arithmetic import reciprocal as reciprocal
from rtfunc.ops.arithmetic import sqrt as sqrt
from rtfunc.ops.arithmetic import square as _square
from rtfunc.ops.comparison import bitwise_and, bitwise_not, bitwise_or, eq, gt, lt, ne
from rtfunc.ops.complex import abs_
from rtfunc.ops.complex import conj as _conj
from rtfunc.ops.complex import imag as _imag
from rtfunc.ops.complex import real as _real
from rtfunc.ops.complex import sign as sign
from rtfunc.ops.convert import as_array, convert, owned_array, promote, promote_inexact, scalar
from rtfunc.ops.elementwise import broadcast_to as _broadcast_to
from rtfunc.ops.exponential import LN2
from rtfunc.ops.exponential import exp as exp
from rtfunc.ops.exponential import exp2 as exp2
from rtfunc.ops.exponential import expm1 as expm1
from rtfunc.ops.exponential import log as log
from rtfunc.ops.exponential import log1p as log1p
from rtfunc.ops.exponential import log2 as log2
from rtfunc.ops.exponential import log10 as log10
from rtfunc.ops.exponential import logaddexp as logaddexp
from rtfunc.ops.exponential import power as _power
from rtfunc.ops.rounding import is_finite, round_
from rtfunc.ops.select import select
from rtfunc.ops.stop_gradient import stop_gradient_p
from rtfunc.ops.trigonometry import acos as acos
from rtfunc.ops.trigonometry import acosh as acosh
from rtfunc.ops.trigonometry import asin as asin
from rtfunc.ops.trigonometry import asinh as asinh
from rtfunc.ops.trigonometry import atan as atan
from rtfunc.ops.trigonometry import atan2 as atan2
from rtfunc.ops.trigonometry import atanh as atanh
from rtfunc.ops.trigonometry import cos as cos
from rtfunc.ops.trigonometry import cosh as cosh
from rtfunc.ops.trigonometry import sin as sin
from rtfunc.ops.trigonometry import sinh as sinh
from rtfunc.ops.trigonometry import tan as tan
from rtfunc.ops.trigonometry import tanh as tanh

# Names that NumPy or the array API standard gives to the same functions.

subtract = sub
multiply = mul
negative = neg
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh


def _integral(operation: str, x: ArrayLike) -> Array:
    """`x` as an Array; booleans, which have no arithmetic of their own, as the default integer."""
    x = as_array(operation, x)
    return convert(x, dtypes.default_int) if x.dtype == dtypes.bool_ else x


def _same_dtype(operation: str, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    a, b = promote(operation, x, y)
    return _integral(operation, a), _integral(operation, b)


# Division


def true_divide(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x / y, elementwise; integers are divided as floats.

    >>> true_divide(np.int32(1), 2)
    Array(0.5, dtype=float32)
    """
    if not (isinstance(x, Array) and isinstance(y, Array)) or x.dtype is not y.dtype:
        x, y = promote("true_divide", x, y)
    if x.dtype.kind in "biu":
        x, y = promote_inexact("true_divide", x, y)
    return div(x, y)


divide = true_divide


def floor_divide(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The largest integer not above x / y, elementwise.

    >>> floor_divide(np.array([-7, 7], "int32"), 2)
    Array([-4,  3], dtype=int32)
    """
    x, y = _same_dtype("floor_divide", x, y)
    if x.dtype.kind == "u":
        return div(x, y)
    if dtypes.is_integer(x.dtype):
        lower = bitwise_and(ne(sign(x), sign(y)), ne(rem(x, y), constant(0, x)))
        quotient = div(x, y)
        return select(lower, sub(quotient, constant(1, x)), quotient)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"floor_divide takes real numbers, not {x.dtype}."))
    return _float_divmod(x, y)[0]


def remainder(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The remainder of `floor_divide(x, y)`: it has the sign of y.

    >>> remainder(np.array([-7, 7], "int32"), 3)
    Array([2, 1], dtype=int32)
    """
    x, y = _same_dtype("remainder", x, y)
    truncated = rem(x, y)
    if x.dtype.kind == "u":
        return truncated
    zero = constant(0, x)
    shift = bitwise_and(ne(lt(truncated, zero), lt(y, zero)), ne(truncated, zero))
    shifted = select(shift, add(truncated, y), truncated)
    return shifted if dtypes.is_integer(x.dtype) else _with_sign_of_zero(shifted, y)


def _with_sign_of_zero(remainder_: Array, y: Array) -> Array:
    """The remainder, where it is zero with the sign of y; its derivatives stay the same."""
    zero = constant(0, remainder_)
    signed = select(lt(y, zero), constant(-0.0, remainder_), zero)
    nothing = sub(stop_gradient_p.bind(remainder_), remainder_)
    return select(eq(remainder_, zero), sub(signed, nothing), remainder_)


mod = remainder


def _float_divmod(x: Array, y: Array) -> tuple[Array, Array]:
    """Quotient and remainder of floats, the quotient rounded so that both agree."""
    truncated = rem(x, y)
    quotient = div(sub(x, truncated), y)
    zero, one = constant(0, x), constant(1, x)
    shift = bitwise_and(ne(truncated, zero), ne(sign(y), sign(truncated)))
    remainder_ = select(shift, add(truncated, y), truncated)
    quotient = round_(select(shift, sub(quotient, one), quotient))
    exact = div(x, y)
    quotient = select(eq(quotient, zero), mul(zero, exact), quotient)
    return select(eq(y, zero), exact, quotient), _with_sign_of_zero(remainder_, y)


def divmod(x: ArrayLike, y: ArrayLike, /) -> tuple[Array, Array]:
    """`floor_divide(x, y)` and `remainder(x, y)`.

    >>> divmod(np.int32(-7), np.int32(2))
    (Array(-4, dtype=int32), Array(1, dtype=int32))
    """
    x, y = _same_dtype("divmod", x, y)
    if dtypes.is_integer(x.dtype):
        return floor_divide(x, y), remainder(x, y)
    return _float_divmod(x, y)


def fmod(x: ArrayLike, y: ArrayLike, /) -> Array:
    """Remainder of x / y with the sign of x, elementwise, as C's `fmod`.

    >>> fmod(np.array([-7, 7], "int32"), 3)
    Array([-1,  1], dtype=int32)
    """
    return rem(*_same_dtype("fmod", x, y))


# Powers


def power(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x**y, elementwise. A Python integer exponent multiplies repeatedly and is exact.

    Raises `DtypeError` for an integer array to a negative Python integer; a negative element of an
    integer array of exponents gives 0 (1 and -1 for those bases).

    >>> power(np.array([1, 2, 3], "float32"), 2)
    Array([1., 4., 9.], dtype=float32)
    """
    if type(y) is int:
        base = _integral("power", x)
        if not (base.weak_type and isinstance(x, int)):
            return _square(base) if y == 2 else integer_pow(base, y)
    return _power(*_same_dtype("power", x, y))


pow = power


def float_power(x: ArrayLike, y: ArrayLike, /) -> Array:
    """x**y, elementwise, in floating point: integers are converted first.

    >>> float_power(np.int32(2), -1)
    Array(0.5, dtype=float32)
    """
    return _power(*promote_inexact("float_power", x, y))


def square(x: ArrayLike, /) -> Array:
    """x * x, elementwise.

    >>> square(3.0)
    Array(9., dtype=float32, weak_type=True)
    """
    return _square(_integral("square", x))


def hypot(x: ArrayLike, y: ArrayLike, /) -> Array:
    """sqrt(x**2 + y**2), elementwise, without overflow or underflow in between.

    Infinite when either operand is. The derivative at the origin is 0.

    >>> hypot(3.0, 4.0)
    Array(5., dtype=float32, weak_type=True)
    """
    x, y = promote_inexact("hypot", x, y)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"hypot takes real numbers, not {x.dtype}."))
    size = maximum(abs_(x), abs_(y))
    zero, one = constant(0, x), constant(1, x)
    origin = eq(size, zero)
    # The scale cancels out, so that no derivative has to flow through it.
    scale = stop_gradient_p.bind(
        select(bitwise_or(origin, bitwise_not(is_finite(size))), one, size)
    )
    total = add(_square(div(x, scale)), _square(div(y, scale)))
    result = mul(scale, sqrt(select(origin, one, total)))
    infinite = bitwise_or(eq(abs_(x), _infinity(x)), eq(abs_(y), _infinity(x)))
    return select(infinite, _infinity(x), select(origin, zero, result))


def _infinity(x: Array) -> Array:
    return constant(math.inf, x)


# Exponentials


def logaddexp2(x: ArrayLike, y: ArrayLike, /) -> Array:
    """log2(2**x + 2**y), elementwise.

    >>> logaddexp2(3.0, 3.0)
    Array(4., dtype=float32, weak_type=True)
    """
    x, y = promote_inexact("logaddexp2", x, y)
    factor = constant(LN2, x)
    return div(logaddexp(mul(x, factor), mul(y, factor)), factor)


def sinc(x: ArrayLike, /) -> Array:
    """sin(pi x) / (pi x), elementwise, 1 at 0; its derivatives are exact there too.

    >>> sinc(np.array([0.0, 0.5], "float32"))
    Array([1.        , 0.63661975], dtype=float32)
    """
    (x,) = promote_inexact("sinc", x)
    angle_ = mul(constant(math.pi, x), x)
    near = lt(abs_(angle_), scalar(0.5, dtypes.real_of(x.dtype)))
    one = constant(1, x)
    safe = select(near, one, angle_)
    # Taylor's series where the quotient would lose its derivatives: the term after the last one is
    # below 1e-18 at 1/2.
    squared = _square(select(near, angle_, constant(0, x)))
    series = one
    for n in (14, 12, 10, 8, 6, 4, 2):
        series = sub(one, mul(mul(squared, constant(1 / (n * (n + 1)), x)), series))
    return select(near, series, div(sin(safe), safe))


# Trigonometry


def deg2rad(x: ArrayLike, /) -> Array:
    """Degrees as radians, elementwise.

    >>> deg2rad(180.0)
    Array(3.1415927, dtype=float32, weak_type=True)
    """
    (x,) = promote_inexact("deg2rad", x)
    return mul(x, constant(math.pi / 180, x))


def rad2deg(x: ArrayLike, /) -> Array:
    """Radians as degrees, elementwise.

    >>> rad2deg(np.float32(np.pi))
    Array(180., dtype=float32)
    """
    (x,) = promote_inexact("rad2deg", x)
    return mul(x, constant(180 / math.pi, x))


radians, degrees = deg2rad, rad2deg


# Signs and sizes


def positive(x: ArrayLike, /) -> Array:
    """+x: x itself.

    >>> positive(2)
    Array(2, dtype=int32, weak_type=True)
    """
    return owned_array("positive", x)


def abs(x: ArrayLike, /) -> Array:
    """Absolute value, elementwise.

    >>> abs(np.array([-1.5, 2.0], "float32"))
    Array([1.5, 2. ], dtype=float32)
    """
    x = owned_array("abs", x)
    return x if x.dtype == dtypes.bool_ else abs_(x)


absolute = abs


def fabs(x: ArrayLike, /) -> Array:
    """Absolute value, elementwise, as a float.

    >>> fabs(np.int32(-3))
    Array(3., dtype=float32)
    """
    return abs_(promote_inexact("fabs", x)[0])


def heaviside(x: ArrayLike, y: ArrayLike, /) -> Array:
    """0 where x < 0, y where x = 0, 1 where x > 0, elementwise; NaN stays NaN.

    >>> heaviside(np.array([-1.0, 0.0, 2.0], "float32"), 0.5)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    x, y = promote_inexact("heaviside", x, y)
    zero, one = constant(0, x), constant(1, x)
    nan = scalar(math.nan, x.dtype, x.weak_type and y.weak_type)
    step = select(lt(x, zero), zero, select(gt(x, zero), one, nan))
    return select(eq(x, zero), y, step)


# Extremes


def fmax(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The larger of x and y, elementwise; the other one where one is NaN.

    >>> fmax(np.float32(np.nan), 1.0)
    Array(1., dtype=float32)
    """
    x, y = promote("fmax", x, y)
    return select(bitwise_or(gt(x, y), ne(y, y)), x, y)


def fmin(x: ArrayLike, y: ArrayLike, /) -> Array:
    """The smaller of x and y, elementwise; the other one where one is NaN.

    >>> fmin(np.float32(np.nan), 1.0)
    Array(1., dtype=float32)
    """
    x, y = promote("fmin", x, y)
    return select(bitwise_or(lt(x, y), ne(y, y)), x, y)


def clip(
    x: ArrayLike,
    min: ArrayLike | None = None,
    max: ArrayLike | None = None,
    *,
    out: None = None,
) -> Array:
    """x limited to the interval from `min` to `max`, either of which may be None.

    Where `min` exceeds `max` the result is `max`. At a bound, half of the derivative flows to x, as
    in JAX.

    >>> clip(np.array([-1, 5, 20], "int32"), 0, 10)
    Array([ 0,  5, 10], dtype=int32)
    """
    refuse_out("clip", out)
    x = owned_array("clip", x)
    if dtypes.is_complex(x.dtype):
        raise DtypeError(at_user_line(f"clip takes real numbers, not {x.dtype}."))
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


# Complex numbers


def real(x: ArrayLike, /) -> Array:
    """The real part; x itself when it is real.

    >>> real(1 + 2j)
    Array(1., dtype=float32, weak_type=True)
    """
    x = owned_array("real", x)
    return _real(x) if dtypes.is_complex(x.dtype) else x


def imag(x: ArrayLike, /) -> Array:
    """The imaginary part; zeros when x is real.

    >>> imag(1 + 2j)
    Array(2., dtype=float32, weak_type=True)
    """
    x = as_array("imag", x)
    return (
        _imag(x)
        if dtypes.is_complex(x.dtype)
        else _broadcast_to(scalar(0, x.dtype, x.weak_type), x.shape)
    )


def conj(x: ArrayLike, /) -> Array:
    """The complex conjugate; x itself when it is real.

    >>> conj(1 + 2j)
    Array(1.-2.j, dtype=complex64, weak_type=True)
    """
    x = owned_array("conj", x)
    return _conj(x) if dtypes.is_complex(x.dtype) else x


conjugate = conj


def angle(z: ArrayLike, deg: bool = False) -> Array:
    """The angle of z in the complex plane, in radians or with `deg` in degrees.

    >>> angle(1j)
    Array(1.5707964, dtype=float32, weak_type=True)
    """
    (z,) = promote_inexact("angle", z)
    result = atan2(imag(z), real(z))
    return rad2deg(result) if deg else result
