"""Complex functions as formulas over real arrays: what `complex_parts` puts in place of complex ones.

A complex value is a `Parts`, its real and its imaginary array. Sums, products and quotients round as
NumPy's do, in the dtype of the parts (quotients by Smith's algorithm, "Algorithm 116: Complex division",
CACM 1962). Elementary functions of complex64 are evaluated in float64, where neither squares overflow nor
cancellation shows; those of complex128 are scaled where overflow threatens. Errors are some units in the
last place of the magnitude of the result. Infinities give what NumPy gives where that is a number or an
infinity. Depends on `ops`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rtfunc.core import dtypes
from rtfunc.ops.arithmetic import add, div, maximum, minimum, mul, neg, sqrt, sub
from rtfunc.ops.comparison import bitwise_and, bitwise_not, bitwise_or, eq, ge, gt, le, lt, ne
from rtfunc.ops.complex import abs_
from rtfunc.ops.convert import bitcast, convert, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.exponential import exp, expm1, log, log1p
from rtfunc.ops.rounding import is_finite
from rtfunc.ops.select import select
from rtfunc.ops.trigonometry import asinh, atan2, cos, cosh, sin, sinh, tan, tanh


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """A complex value: two real arrays of one dtype that broadcast against each other."""

    real: Any
    imag: Any

    @property
    def dtype(self) -> Any:
        """Dtype of the parts."""
        return self.real.dtype


def _number(value: float, like: Any) -> Any:
    return scalar(value, like.dtype)


def _is(x: Any, value: float) -> Any:
    return eq(x, _number(value, x))


def _half(x: Any) -> Any:
    return mul(x, _number(0.5, x))


# Arithmetic.


def add_parts(x: Parts, y: Parts) -> Parts:
    """x + y."""
    return Parts(add(x.real, y.real), add(x.imag, y.imag))


def sub_parts(x: Parts, y: Parts) -> Parts:
    """x - y."""
    return Parts(sub(x.real, y.real), sub(x.imag, y.imag))


def neg_parts(x: Parts) -> Parts:
    """-x."""
    return Parts(neg(x.real), neg(x.imag))


def mul_parts(x: Parts, y: Parts) -> Parts:
    """x y."""
    return product(mul, x, y)


def product(multiply: Callable[[Any, Any], Any], x: Parts, y: Parts) -> Parts:
    """The complex form of a bilinear operation."""
    return Parts(
        sub(multiply(x.real, y.real), multiply(x.imag, y.imag)),
        add(multiply(x.real, y.imag), multiply(x.imag, y.real)),
    )


def square(x: Parts) -> Parts:
    """x x."""
    return mul_parts(x, x)


def div_parts(x: Parts, y: Parts) -> Parts:
    """x / y."""
    by_real = ge(abs_(y.real), abs_(y.imag))
    large, small = select(by_real, y.real, y.imag), select(by_real, y.imag, y.real)
    is_zero = _is(large, 0)
    ratio = select(is_zero, _number(0, large), div(small, large))
    one = _number(1, large)
    scale = div(one, select(is_zero, abs_(large), add(large, mul(small, ratio))))
    a, b = select(by_real, x.real, x.imag), select(by_real, x.imag, x.real)
    real = mul(add(a, mul(b, ratio)), scale)
    imag = mul(sub(b, mul(a, ratio)), scale)
    return Parts(real, select(by_real, imag, neg(imag)))


def reciprocal(x: Parts) -> Parts:
    """1 / x."""
    return div_parts(Parts(_number(1, x.real), _number(0, x.real)), x)


def integer_pow(x: Parts, exponent: int) -> Parts:
    """x to a constant integer power, by squaring."""
    n, base, result = abs(exponent), x, None
    while n:
        if n & 1:
            result = base if result is None else mul_parts(result, base)
        n >>= 1
        if n:
            base = square(base)
    if result is None:
        one, zero = (broadcast_to(_number(v, x.real), x.real.shape) for v in (1, 0))
        return Parts(one, zero)
    return reciprocal(result) if exponent < 0 else result


# Comparisons: complex numbers are ordered by the real part, then by the imaginary one.


def eq_parts(x: Parts, y: Parts) -> Any:
    """x == y."""
    return bitwise_and(eq(x.real, y.real), eq(x.imag, y.imag))


def ne_parts(x: Parts, y: Parts) -> Any:
    """x != y."""
    return bitwise_or(ne(x.real, y.real), ne(x.imag, y.imag))


def ordered(strict: Callable[..., Any], last: Callable[..., Any]) -> Callable[[Parts, Parts], Any]:
    """A comparison that is `strict` in the real parts, or `last` in the imaginary ones."""

    def compare(x: Parts, y: Parts) -> Any:
        numbers = bitwise_and(eq(x.imag, x.imag), eq(y.imag, y.imag))
        first = bitwise_and(strict(x.real, y.real), numbers)
        return bitwise_or(first, bitwise_and(eq(x.real, y.real), last(x.imag, y.imag)))

    return compare


def is_finite_parts(x: Parts) -> Any:
    """Whether both parts are finite."""
    return bitwise_and(is_finite(x.real), is_finite(x.imag))


# Magnitude.


def magnitude(x: Parts) -> Any:
    """|x|: within 1 ulp in float32 and 2 ulp in float64; infinite if a part is."""
    return convert(_magnitude(_wide(x)), x.dtype) if _is_narrow(x) else _scaled_magnitude(x)


def _is_narrow(x: Parts) -> bool:
    return x.dtype == dtypes.float32


def _wide(x: Parts) -> Parts:
    return Parts(convert(x.real, dtypes.float64), convert(x.imag, dtypes.float64))


def _has_infinity(x: Parts) -> Any:
    return bitwise_or(_is(abs_(x.real), math.inf), _is(abs_(x.imag), math.inf))


def _magnitude(x: Parts) -> Any:
    """|x| where squares stay in range."""
    size = sqrt(add(mul(x.real, x.real), mul(x.imag, x.imag)))
    return select(_has_infinity(x), _number(math.inf, size), size)


def _scaled_magnitude(x: Parts) -> Any:
    a, b = abs_(x.real), abs_(x.imag)
    large, small = maximum(a, b), minimum(a, b)
    is_zero = _is(large, 0)
    ratio = div(small, select(is_zero, _number(1, large), large))
    size = mul(large, sqrt(add(_number(1, ratio), mul(ratio, ratio))))
    return select(_has_infinity(x), _number(math.inf, size), size)


def sign(x: Parts) -> Parts:
    """x / |x|, and 0 for 0."""
    size = magnitude(x)
    size = select(_is(size, 0), _number(1, size), size)
    return Parts(div(x.real, size), div(x.imag, size))


# Elementary functions. Each works on float64 parts; `narrow` says that they came from float32 ones, so
# that squares and exponentials stay in range wherever the rounded result does.


def _evaluated_wide(function: Callable[[Parts, bool], Parts]) -> Callable[[Parts], Parts]:
    def evaluate(x: Parts) -> Parts:
        if not _is_narrow(x):
            return function(x, False)
        out = function(_wide(x), True)
        return Parts(convert(out.real, x.dtype), convert(out.imag, x.dtype))

    evaluate.__doc__ = function.__doc__
    return evaluate


def _times(size: Any, factor: Any) -> Any:
    """`size` times `factor`, where 0 wins against infinity."""
    wins = bitwise_and(_is(factor, 0), bitwise_not(is_finite(size)))
    return select(wins, factor, mul(size, factor))


def _exp(x: Parts, narrow: bool) -> Parts:
    """e^x = e^re (cos(im) + i sin(im))."""
    if narrow:
        size = exp(x.real)
        real, imag = mul(size, cos(x.imag)), _times(size, sin(x.imag))
    else:
        # By halves, so that the product may be in range where e^re is not.
        half = exp(_half(x.real))
        real = mul(mul(half, cos(x.imag)), half)
        imag = _times(half, _times(half, sin(x.imag)))
    vanishes = _is(x.real, -math.inf)
    zero = _number(0, x.real)
    return Parts(select(vanishes, zero, real), select(vanishes, zero, imag))


def _log(x: Parts, narrow: bool) -> Parts:
    """log|x| + i arg(x); near the unit circle from |x|² - 1, which does not cancel."""
    a, b = abs_(x.real), abs_(x.imag)
    large, small = maximum(a, b), minimum(a, b)
    one = _number(1, large)
    rest = add(mul(sub(large, one), add(large, one)), mul(small, small))
    near = bitwise_and(gt(rest, _number(-0.5, rest)), lt(rest, one))
    size = _magnitude(x) if narrow else _scaled_magnitude(x)
    inside = select(near, rest, _number(0, rest))
    return Parts(select(near, _half(log1p(inside)), log(size)), atan2(x.imag, x.real))


def _log1p(x: Parts, narrow: bool) -> Parts:
    """log(1 + x), from |1 + x|² - 1 = re (2 + re) + im² where x is small."""
    one = _number(1, x.real)
    rest = add(mul(x.real, add(_number(2, one), x.real)), mul(x.imag, x.imag))
    shifted = Parts(add(one, x.real), x.imag)
    far = _log(shifted, narrow)
    near = lt(maximum(abs_(x.real), abs_(x.imag)), _number(0.5, one))
    inside = select(near, rest, _number(0, rest))
    return Parts(select(near, _half(log1p(inside)), far.real), far.imag)


def _expm1(x: Parts, narrow: bool) -> Parts:
    """e^x - 1 = expm1(re) cos(im) - 2 sin(im/2)² + i e^re sin(im)."""
    s = sin(_half(x.imag))
    twice = mul(_number(2, s), mul(s, s))
    real = sub(mul(expm1(x.real), cos(x.imag)), twice)
    return Parts(real, _times(exp(x.real), sin(x.imag)))


def _has_sign(x: Any) -> Any:
    """Whether the sign bit is set: of zeros too."""
    return lt(bitcast(x, dtypes.int64), scalar(0, dtypes.int64))


def _signed(size: float, x: Any) -> Any:
    """A number with the sign of x, zeros included."""
    return select(_has_sign(x), neg(_number(size, x)), _number(size, x))


def _sqrt(x: Parts, narrow: bool) -> Parts:
    """t = sqrt((|x| + |re|) / 2) is one part up to its sign, and im / (2 t) the other."""
    size = _magnitude(x) if narrow else _scaled_magnitude(x)
    t = sqrt(add(_half(size), _half(abs_(x.real))))
    is_zero = _is(t, 0)
    twice = select(is_zero, _number(1, t), add(t, t))
    other = div(x.imag, twice)
    # The sign of zero chooses the side of the cut along the negative axis.
    signed = select(_has_sign(x.imag), neg(t), t)
    right = ge(x.real, _number(0, t))
    real, imag = select(right, t, abs_(other)), select(right, other, signed)
    zero = _number(0, t)
    endless = _is(abs_(x.imag), math.inf)
    real = select(endless, _number(math.inf, t), select(is_zero, zero, real))
    return Parts(real, select(bitwise_or(endless, is_zero), x.imag, imag))


def _sinh(x: Parts, narrow: bool) -> Parts:
    """sinh(re) cos(im) + i cosh(re) sin(im)."""
    real = _times(cos(x.imag), sinh(x.real))
    return Parts(real, _times(cosh(x.real), sin(x.imag)))


def _cosh(x: Parts, narrow: bool) -> Parts:
    """cosh(re) cos(im) + i sinh(re) sin(im)."""
    return Parts(mul(cosh(x.real), cos(x.imag)), _times(sinh(x.real), sin(x.imag)))


def _tanh(x: Parts, narrow: bool) -> Parts:
    """With h = tanh(re), t = tan(im): (h (1 + t²) + i t (1 - h²)) / (1 + h² t²)."""
    h, t = tanh(x.real), tan(x.imag)
    c = cosh(x.real)
    one = _number(1, h)
    squares = mul(t, t)
    below = add(one, mul(mul(h, h), squares))
    # 1 - h² = 1 / cosh², without the cancellation.
    rest = div(one, mul(c, c))
    real, imag = div(mul(h, add(one, squares)), below), div(mul(t, rest), below)
    # There im does not matter, infinite or not.
    saturated = _is(abs_(x.real), math.inf)
    return Parts(select(saturated, h, real), select(saturated, _signed(0, t), imag))


def _logistic(x: Parts, narrow: bool) -> Parts:
    """1 / (1 + e^-x)."""
    e = _exp(neg_parts(x), narrow)
    return reciprocal(Parts(add(_number(1, e.real), e.real), e.imag))


def _turned(function: Callable[[Parts, bool], Parts]) -> Callable[[Parts, bool], Parts]:
    """-i f(i x): sin from sinh, tan from tanh."""

    def turned(x: Parts, narrow: bool) -> Parts:
        out = function(Parts(neg(x.imag), x.real), narrow)
        return Parts(out.imag, neg(out.real))

    return turned


def _cos(x: Parts, narrow: bool) -> Parts:
    return _cosh(Parts(neg(x.imag), x.real), narrow)


# The inverse functions are Kahan's ("Branch cuts for complex elementary functions, or much ado about
# nothing's sign bit", 1987): products of roots that respect the sign of zeros along the cuts.


def _roots(x: Parts, narrow: bool) -> tuple[Parts, Parts]:
    """sqrt(1 - x) and sqrt(1 + x)."""
    one = _number(1, x.real)
    below = Parts(sub(one, x.real), neg(x.imag))
    return _sqrt(below, narrow), _sqrt(Parts(add(one, x.real), x.imag), narrow)


def _finite_product(x: Any, y: Any) -> Any:
    """x y, where 0 wins against infinity."""
    wins = bitwise_and(_is(x, 0), bitwise_not(is_finite(y)))
    return select(wins, x, _times(x, y))


def _asin(x: Parts, narrow: bool) -> Parts:
    p, q = _roots(x, narrow)
    real = atan2(x.real, sub(_finite_product(p.real, q.real), _finite_product(p.imag, q.imag)))
    imag = sub(_finite_product(p.real, q.imag), _finite_product(p.imag, q.real))
    return Parts(real, asinh(imag))


def _diagonal_angle(x: Parts, angle: Any) -> Any:
    """`angle`, save where both parts are infinite: there that of a diagonal."""
    diagonal = bitwise_and(_is(abs_(x.real), math.inf), _is(abs_(x.imag), math.inf))
    right, left = (_number(k * math.pi / 4, x.real) for k in (1, 3))
    return select(diagonal, select(_has_sign(x.real), left, right), angle)


def _acos(x: Parts, narrow: bool) -> Parts:
    p, q = _roots(x, narrow)
    angle = atan2(p.real, q.real)
    angle = _diagonal_angle(x, add(angle, angle))
    return Parts(angle, asinh(sub(mul(q.real, p.imag), mul(q.imag, p.real))))


def _acosh(x: Parts, narrow: bool) -> Parts:
    one = _number(1, x.real)
    p = _sqrt(Parts(sub(x.real, one), x.imag), narrow)
    q = _sqrt(Parts(add(x.real, one), x.imag), narrow)
    angle = atan2(p.imag, q.real)
    angle = add(angle, angle)
    size = _diagonal_angle(x, angle)
    angle = select(_has_sign(x.imag), neg(abs_(size)), abs_(size))
    return Parts(asinh(add(mul(p.real, q.real), mul(p.imag, q.imag))), angle)


def _atanh(x: Parts, narrow: bool) -> Parts:
    """log1p(4 re / ((1 - re)² + im²)) / 4 + i arg(1 - |x|² + 2 i im) / 2."""
    one, four, quarter = (_number(v, x.real) for v in (1, 4, 0.25))
    # Odd, and more accurate to the right of zero.
    a, gap = abs_(x.real), sub(one, abs_(x.real))
    distance = add(mul(gap, gap), mul(x.imag, x.imag))
    real = mul(quarter, log1p(div(mul(four, a), distance)))
    real = select(_has_sign(x.real), neg(real), real)
    inside = sub(mul(gap, add(one, a)), mul(x.imag, x.imag))
    imag = _half(atan2(add(x.imag, x.imag), inside))
    # Far out, where squares overflow, x is as good as infinite.
    far = gt(maximum(a, abs_(x.imag)), _number(1e100, a))
    return Parts(
        select(far, _signed(0, x.real), real), select(far, _signed(math.pi / 2, x.imag), imag)
    )


def _scaled(
    function: Callable[[Parts, bool], Parts], before: float, after: float
) -> Callable[[Parts, bool], Parts]:
    """after · f(before · x)."""

    def times(x: Parts, factor: float) -> Parts:
        if factor == 1:
            return x
        return Parts(mul(x.real, _number(factor, x.real)), mul(x.imag, _number(factor, x.imag)))

    return lambda x, narrow: times(function(times(x, before), narrow), after)


def _pow(x: Parts, y: Parts, narrow: bool) -> Parts:
    """e^(y log x); 0^0 is 1, and 0 to what has a positive real part is 0."""
    zero = _number(0, x.real)
    out = _exp(mul_parts(y, _log(x, narrow)), narrow)
    at_zero = bitwise_and(_is(x.real, 0), _is(x.imag, 0))
    no_power = bitwise_and(_is(y.real, 0), _is(y.imag, 0))
    vanishes = bitwise_and(at_zero, gt(y.real, zero))
    real = select(no_power, _number(1, zero), select(vanishes, zero, out.real))
    return Parts(real, select(bitwise_or(no_power, vanishes), zero, out.imag))


def power(x: Parts, y: Parts) -> Parts:
    """x^y."""
    if not _is_narrow(x):
        return _pow(x, y, False)
    out = _pow(_wide(x), _wide(y), True)
    return Parts(convert(out.real, x.dtype), convert(out.imag, x.dtype))


sqrt_parts = _evaluated_wide(_sqrt)

#: Functions of complex values to complex values, by the names of their primitives.
functions: dict[str, Callable[..., Parts]] = {
    "add": add_parts,
    "sub": sub_parts,
    "neg": neg_parts,
    "mul": mul_parts,
    "div": div_parts,
    "square": square,
    "sign": sign,
    "pow": power,
    "conj": lambda x: Parts(x.real, neg(x.imag)),
    "sqrt": sqrt_parts,
    "rsqrt": lambda x: reciprocal(sqrt_parts(x)),
    "exp": _evaluated_wide(_exp),
    "exp2": _evaluated_wide(_scaled(_exp, math.log(2), 1)),
    "expm1": _evaluated_wide(_expm1),
    "log": _evaluated_wide(_log),
    "log2": _evaluated_wide(_scaled(_log, 1, 1 / math.log(2))),
    "log10": _evaluated_wide(_scaled(_log, 1, 1 / math.log(10))),
    "log1p": _evaluated_wide(_log1p),
    "logistic": _evaluated_wide(_logistic),
    "sin": _evaluated_wide(_turned(_sinh)),
    "cos": _evaluated_wide(_cos),
    "tan": _evaluated_wide(_turned(_tanh)),
    "sinh": _evaluated_wide(_sinh),
    "cosh": _evaluated_wide(_cosh),
    "tanh": _evaluated_wide(_tanh),
    "asin": _evaluated_wide(_asin),
    "acos": _evaluated_wide(_acos),
    "atan": _evaluated_wide(_turned(_atanh)),
    "asinh": _evaluated_wide(_turned(_asin)),
    "acosh": _evaluated_wide(_acosh),
    "atanh": _evaluated_wide(_atanh),
}

#: Functions of complex values to real ones or booleans.
to_real: dict[str, Callable[..., Any]] = {
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "abs": magnitude,
    "eq": eq_parts,
    "ne": ne_parts,
    "lt": ordered(lt, lt),
    "le": ordered(lt, le),
    "gt": ordered(gt, gt),
    "ge": ordered(gt, ge),
    "is_finite": is_finite_parts,
}
