"""Arithmetic: + - * / with their relatives, minimum and maximum, integer powers and roots.

The module to imitate for a new elementwise primitive: each is its NumPy kernel, the dtypes it takes and
one derivative per operand. Depends on `elementwise`, `comparison`,
`rounding` and `select`, which have no derivatives to speak of.
"""

from __future__ import annotations

import operator
from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.comparison import eq
from rtfunc.ops.convert import as_array, promote_inexact, scalar
from rtfunc.ops.elementwise import batch_elementwise, binary, elementwise, unary
from rtfunc.ops.rounding import trunc
from rtfunc.ops.select import select

add_p = elementwise(
    "add",
    "add",
    over=dtypes.everything,
    derivatives=(lambda t, z, x, y: t, lambda t, z, x, y: t),
)
add = binary(add_p, "x + y, elementwise.")

sub_p = elementwise(
    "sub",
    "subtract",
    over=dtypes.numeric,
    derivatives=(lambda t, z, x, y: t, lambda t, z, x, y: neg(t)),
)
sub = binary(sub_p, "x - y, elementwise.")

mul_p = elementwise(
    "mul",
    "multiply",
    over=dtypes.everything,
    derivatives=(lambda t, z, x, y: mul(t, y), lambda t, z, x, y: mul(x, t)),
)
mul = binary(mul_p, "x * y, elementwise.")


def _div_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind in "iu":
        return _truncated_division(xp, x, y)[0]
    return xp.true_divide(x, y)


def _truncated_division(xp: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Integer quotient toward zero and remainder; x / 0 is -1 and x % 0 is x, as in XLA."""
    zero = y == 0
    safe = xp.where(zero, y.dtype.type(1), y)
    remainder = xp.fmod(x, safe)
    quotient = ((x - remainder) // safe).astype(x.dtype)
    everywhere = xp.broadcast_to(x, quotient.shape)
    minus_one = xp.full((), -1).astype(x.dtype)  # unsigned integers wrap
    return xp.where(zero, minus_one, quotient), xp.where(zero, everywhere, remainder)


div_p = elementwise(
    "div",
    _div_impl,
    over=dtypes.numeric,
    derivatives=(
        lambda t, z, x, y: div(t, y),
        lambda t, z, x, y: neg(mul(div(t, y), z)),
    ),
)
div = binary(div_p, "x / y, elementwise; the quotient toward zero for integers.")


def _rem_impl(xp: Any, x: Any, y: Any) -> Any:
    return _truncated_division(xp, x, y)[1] if x.dtype.kind in "iu" else xp.fmod(x, y)


rem_p = elementwise(
    "rem",
    _rem_impl,
    over=dtypes.real_numeric,
    derivatives=(
        lambda t, z, x, y: t,
        lambda t, z, x, y: neg(mul(t, trunc(div(x, y)))),
    ),
)
rem = binary(rem_p, "Remainder of x / y with the sign of x, elementwise (C's fmod).")


neg_p = elementwise(
    "neg",
    "negative",
    over=dtypes.numeric,
    derivatives=(lambda t, y, x: neg(t),),
)
neg = unary(neg_p, "-x, elementwise.", inexact=False)


max_p = elementwise(
    "max",
    "maximum",
    over=dtypes.everything,
    derivatives=(
        lambda t, z, x, y: mul(t, _share(x, z, y)),
        lambda t, z, x, y: mul(t, _share(y, z, x)),
    ),
    half=False,
)
maximum = binary(max_p, "The larger of x and y, elementwise; NaN if either is NaN.")

min_p = elementwise(
    "min",
    "minimum",
    over=dtypes.everything,
    derivatives=(
        lambda t, z, x, y: mul(t, _share(x, z, y)),
        lambda t, z, x, y: mul(t, _share(y, z, x)),
    ),
    half=False,
)
minimum = binary(min_p, "The smaller of x and y, elementwise; NaN if either is NaN.")


def _share(x: Any, chosen: Any, other: Any) -> Any:
    """The part of a derivative that goes to `x`: 1 where it was chosen, 1/2 at ties."""
    one, zero, half = (scalar(v, x.dtype) for v in (1, 0, 0.5))
    return select(eq(x, other), half, select(eq(x, chosen), one, zero))


def integer_pow(x: ArrayLike, exponent: int) -> Array:
    """x**exponent for a Python integer exponent, by repeated squaring.

    Raises `DtypeError` for a negative exponent of an integer array.

    >>> integer_pow(2.0, -2)
    Array(0.25, dtype=float32, weak_type=True)
    """
    x, exponent = as_array("integer_pow", x), operator.index(exponent)
    if exponent < 0 and x.dtype.kind in "biu":  # NumPy would compute a float
        _integer_pow_infer(x.aval, exponent=exponent)
    return integer_pow_p.bind(x, exponent=exponent)


def _integer_pow_infer(x: Aval, *, exponent: int) -> Aval:
    if x.dtype not in dtypes.numeric:
        raise DtypeError(at_user_line(f"integer_pow takes numbers, not {x.dtype}."))
    if exponent < 0 and not dtypes.is_inexact(x.dtype):
        raise DtypeError(
            at_user_line(
                f"Integers to negative integer powers are not allowed ({x.dtype} ** {exponent}). "
                "Convert the base first, for example with x.astype(float)."
            )
        )
    return x


def _integer_pow_impl(xp: Any, x: Any, *, exponent: int) -> Any:
    dtype = x.dtype
    base = x.astype(dtypes.compute_dtype(dtype)) if dtype.itemsize == 2 and dtype.kind != "i" else x
    n, result = abs(exponent), None
    while n:
        if n & 1:
            result = base if result is None else result * base
        n >>= 1
        if n:
            base = base * base
    if result is None:
        return xp.ones_like(x)
    if exponent < 0:
        result = xp.true_divide(result.dtype.type(1), result)
    return result.astype(dtype)


def _integer_pow_push(t: Any, x: Any, exponent: int) -> Any:
    if exponent == 0:
        return None
    factor = scalar(exponent, x.dtype)
    return mul(t, factor if exponent == 1 else mul(factor, integer_pow(x, exponent - 1)))


def _integer_pow_jvp(primitive: Primitive, primals: Any, tangents: Any, *, exponent: int) -> Any:
    out = primitive.bind(*primals, exponent=exponent)
    return out, _integer_pow_push(tangents[0], primals[0], exponent)


def _integer_pow_vjp(primitive: Primitive, needed: Any, operands: Any, *, exponent: int) -> Any:
    out = primitive.bind(*operands, exponent=exponent)
    return out, lambda ct: [_integer_pow_push(ct, operands[0], exponent)]


integer_pow_p = Primitive(
    "integer_pow",
    infer=_integer_pow_infer,
    impl=_integer_pow_impl,
    jvp=_integer_pow_jvp,
    vjp=_integer_pow_vjp,
    batch=batch_elementwise,
)

square_p = elementwise(
    "square",
    "square",
    over=dtypes.numeric,
    derivatives=(lambda t, y, x: mul(t, mul(scalar(2, x.dtype), x)),),
)
square = unary(square_p, "x * x, elementwise.", inexact=False)

sqrt_p = elementwise(
    "sqrt",
    "sqrt",
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: div(mul(t, scalar(0.5, x.dtype)), y),),
)
sqrt = unary(sqrt_p, "Square root, elementwise; NaN for negative real x.")

rsqrt_p = elementwise(
    "rsqrt",
    lambda xp, x: xp.true_divide(x.dtype.type(1), xp.sqrt(x)),
    over=dtypes.inexacts,
    derivatives=(lambda t, y, x: mul(t, mul(scalar(-0.5, x.dtype), div(y, x))),),
)
rsqrt = unary(rsqrt_p, "1 / sqrt(x), elementwise.")


def _cbrt_impl(xp: Any, x: Any) -> Any:
    return xp.cbrt(x)


cbrt_p = elementwise(
    "cbrt",
    _cbrt_impl,
    over=dtypes.floats,
    derivatives=(lambda t, y, x: div(t, mul(scalar(3, x.dtype), square(y))),),
)
cbrt = unary(cbrt_p, "Cube root, elementwise; of negative numbers too.")

nextafter_p = elementwise(
    "nextafter",
    "nextafter",
    over=dtypes.floats,
    half=False,
)
nextafter = binary(nextafter_p, "The next float after x toward y, elementwise.", inexact=True)


def reciprocal(x: ArrayLike) -> Array:
    """1 / x, elementwise.

    >>> reciprocal(4.0)
    Array(0.25, dtype=float32, weak_type=True)
    """
    (x,) = promote_inexact("reciprocal", x)
    return div(scalar(1, x.dtype, x.weak_type), x)
