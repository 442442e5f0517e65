"""Complex numbers: parts, conjugate, absolute value, sign.

Derivatives follow JAX: the cotangent of a function of z is its transpose as a real-linear map in the
basis (dz), so that grad(|z|^2) is 2 conj(z). Depends on `arithmetic`.
"""

from __future__ import annotations

from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.primitive import Primitive
from rtfunc.ops.arithmetic import div, mul, neg
from rtfunc.ops.comparison import eq
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.elementwise import binary, broadcast_to, elementwise, unary, unbroadcast
from rtfunc.ops.select import select


def _linear_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    return primitive.bind(*primals), primitive.bind(*tangents)


def _zero(x: Any) -> Any:
    return scalar(0, x.dtype)


def _real_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    return primitive.bind(*operands), lambda ct: [complex_(ct, _zero(ct))]


def _imag_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    return primitive.bind(*operands), lambda ct: [complex_(_zero(ct), neg(ct))]


real_p = elementwise(
    "real",
    lambda xp, x: xp.real(x).copy(),
    over=dtypes.complexes,
    out=dtypes.real_of,
    jvp=_linear_jvp,
    vjp=_real_vjp,
)
real = unary(real_p, "Real part of a complex array.", inexact=False)

imag_p = elementwise(
    "imag",
    lambda xp, x: xp.imag(x).copy(),
    over=dtypes.complexes,
    out=dtypes.real_of,
    jvp=_linear_jvp,
    vjp=_imag_vjp,
)
imag = unary(imag_p, "Imaginary part of a complex array.", inexact=False)


def _complex_impl(xp: Any, x: Any, y: Any) -> Any:
    out = xp.empty(xp.broadcast(x, y).shape, dtypes.complex_of(x.dtype))
    out.real, out.imag = x, y
    return out


def _complex_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    out = primitive.bind(*primals)
    t = primitive.bind(*(_zero(x) if t is None else t for x, t in zip(primals, tangents)))
    return out, broadcast_to(t, out.shape)


def _complex_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    x, y = operands

    def pullback(ct: Any) -> list[Any]:
        return [unbroadcast(real(ct), x.shape), unbroadcast(neg(imag(ct)), y.shape)]

    return primitive.bind(x, y), pullback


complex_p = elementwise(
    "complex",
    _complex_impl,
    over=(dtypes.float32, dtypes.float64),
    out=dtypes.complex_of,
    jvp=_complex_jvp,
    vjp=_complex_vjp,
)
complex_ = binary(complex_p, "x + iy from real x and y.", inexact=True)


def _conj_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    return primitive.bind(*operands), lambda ct: [conj(ct)]


conj_p = elementwise("conj", "conj", over=dtypes.complexes, jvp=_linear_jvp, vjp=_conj_vjp)
conj = unary(conj_p, "Complex conjugate.", inexact=False)


def _abs_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    if dtypes.is_complex(x.dtype):
        return primitive.bind(x), real(mul(t, conj(sign(x))))
    return primitive.bind(x), mul(t, sign(x))


def _abs_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    (x,) = operands
    out = primitive.bind(x)
    if dtypes.is_complex(x.dtype):
        return out, lambda ct: [mul(convert(ct, x.dtype), conj(sign(x)))]
    return out, lambda ct: [mul(ct, sign(x))]


abs_p = elementwise(
    "abs",
    "abs",
    over=dtypes.numeric,
    out=dtypes.real_of,
    jvp=_abs_jvp,
    vjp=_abs_vjp,
)
abs_ = unary(abs_p, "Absolute value, elementwise.", inexact=False)


def _sign_impl(xp: Any, x: Any) -> Any:
    if x.dtype.kind == "c":
        size = xp.abs(x)
        return xp.where(size == 0, x, x / xp.where(size == 0, 1, size)).astype(x.dtype)
    return xp.sign(x)


def _sign_push(t: Any, s: Any, x: Any) -> Any:
    """The part of `t` across the direction `s` of `x`, over |x|: i s Im(conj(s) t) / |x|."""
    across = imag(mul(conj(s), t))
    size = abs_(x)
    size = select(eq(size, _zero(size)), scalar(1, size.dtype), size)
    return mul(s, complex_(_zero(across), div(across, size)))


def _sign_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    out = primitive.bind(x)
    return out, _sign_push(t, out, x) if dtypes.is_complex(x.dtype) else None


def _sign_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    (x,) = operands
    out = primitive.bind(x)
    if not dtypes.is_complex(x.dtype):
        return out, lambda ct: [None]
    # As a map of the plane the derivative is symmetric; in the basis dz the transpose of a symmetric
    # real-linear map L is ct -> conj(L(conj(ct))).
    return out, lambda ct: [conj(_sign_push(conj(ct), out, x))]


sign_p = elementwise("sign", _sign_impl, over=dtypes.numeric, jvp=_sign_jvp, vjp=_sign_vjp)
sign = unary(sign_p, "-1, 0 or 1 by the sign of x; x / |x| for complex numbers.", inexact=False)
