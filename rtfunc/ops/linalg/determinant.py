"""Determinants, their logarithms, and adjugates.

The derivative of det(a) is the adjugate: adj(a) = det(a) a^-1 where the inverse exists, and finite
everywhere. So the gradient of a determinant is right for singular matrices too, and so is its
second derivative, that of the adjugate. Derivatives of higher order are right for all matrices of
at most 3 rows, whose adjugates are written out, and for larger ones that are not singular. Depends
on `matrices`, `solve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.aval import Aval
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import add, mul, neg, sub
from rtfunc.ops.complex import complex_, imag
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.solve import inverse, solve_square
from rtfunc.ops.pad_slice import concatenate_p, slice_in_dim
from rtfunc.ops.reduce import reduce_sum_p
from rtfunc.ops.shape import reshape_p


def _determinant_infer(x: Aval) -> Aval:
    mx.check_matrices("det", x, square=True)
    return Aval(x.shape[:-2], x.dtype)


def _determinant_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return primitive.bind(x), _sum_of_products(mx.swap(adjugate(x)), t)


def _determinant_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    (x,) = operands
    return primitive.bind(x), lambda ct: [mul(_as_matrices(ct), mx.swap(adjugate(x)))]


def _as_matrices(x: Any) -> Any:
    return reshape_p.bind(x, shape=(*x.shape, 1, 1))


def _sum_of_products(x: Any, y: Any) -> Any:
    return reduce_sum_p.bind(mul(x, y), axes=(x.ndim - 2, x.ndim - 1))


determinant_p = Primitive(
    "determinant",
    infer=_determinant_infer,
    impl=mx.computing(lambda xp, x: xp.linalg.det(x)),
    jvp=_determinant_jvp,
    vjp=_determinant_vjp,
    batch=mx.batch_stack,
    weak="strong",
)


# Adjugates


def adjugate(x: Any) -> Any:
    """The transposed cofactors of square matrices [..., n, n]."""
    n = x.shape[-1]
    if n == 1:
        return mx.identity(1, x.dtype, x.shape[:-2])
    if n == 2:
        (a, b), (c, d) = _entries(x)
        return _matrix([[d, neg(b)], [neg(c), a]])
    if n == 3:
        e = _entries(x)
        return _matrix([[_cofactor(e, j, i) for j in range(3)] for i in range(3)])
    return adjugate_p.bind(x)


def _entries(x: Any) -> list[list[Any]]:
    """The elements of small matrices, as stacks of matrices of one element."""
    n, last = x.shape[-1], x.ndim - 1
    rows = [slice_in_dim(x, i, i + 1, axis=last - 1) for i in range(n)]
    return [[slice_in_dim(row, j, j + 1, axis=last) for j in range(n)] for row in rows]


def _matrix(entries: list[list[Any]]) -> Any:
    last = entries[0][0].ndim - 1
    rows = [concatenate_p.bind(*row, axis=last) for row in entries]
    return concatenate_p.bind(*rows, axis=last - 1)


def _cofactor(e: list[list[Any]], i: int, j: int) -> Any:
    """The signed minor without row i and column j; the cyclic order has the sign in it."""
    (r, s), (p, q) = ((i + 1) % 3, (i + 2) % 3), ((j + 1) % 3, (j + 2) % 3)
    return sub(mul(e[r][p], e[s][q]), mul(e[r][q], e[s][p]))


def _adjugate_infer(x: Aval) -> Aval:
    mx.check_matrices("adjugate", x, square=True)
    return Aval(x.shape, x.dtype)


def _adjugate_kernel(x: np.ndarray) -> list[np.ndarray]:
    n = x.shape[-1]
    if not x.size:
        return [np.zeros_like(x)]
    flat = x.reshape(-1, n, n)
    out = np.full_like(flat, np.nan)
    pivots = np.abs(np.diagonal(lapack.getrf(flat)[0], axis1=1, axis2=2))
    finite = np.isfinite(flat).all(axis=(1, 2))
    # Where a pivot is small, both factors of det(x) x^-1 have lost digits.
    loss = np.sqrt(np.finfo(dtypes.real_of(x.dtype)).eps)
    regular = finite & (pivots.min(axis=1) > loss * pivots.max(axis=1))
    if regular.any():
        chosen = flat[regular]
        out[regular] = np.linalg.det(chosen)[:, None, None] * np.linalg.inv(chosen)
    rest = finite & ~regular
    if rest.any():
        for i in np.flatnonzero(rest):
            out[i] = mx.or_nan(_adjugate_by_svd, flat[i])[0]
    return [out.reshape(x.shape)]


def _adjugate_by_svd(x: np.ndarray) -> np.ndarray:
    u, s, vh = np.linalg.svd(x)
    before = np.concatenate([[1], np.cumprod(s[:-1])])
    after = np.concatenate([np.cumprod(s[:0:-1])[::-1], [1]])
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return (sign * vh.conj().T * (before * after) @ u.conj().T).astype(x.dtype)


def _adjugate_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return primitive.bind(x), adjugate_derivative_p.bind(x, t)


def _adjugate_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    (x,) = operands
    return primitive.bind(x), lambda ct: [_transposed_derivative(x, ct)]


def _transposed_derivative(x: Any, ct: Any) -> Any:
    """The derivative of the adjugate as a linear map, transposed.

    trace(d adj(x)[t] s) is the second derivative of det(x) in the directions s and t, which is
    symmetric; therefore the transpose of the map is the map itself between transposed matrices.
    """
    return mx.swap(adjugate_derivative_p.bind(x, mx.swap(ct)))


adjugate_p = Primitive(
    "adjugate",
    infer=_adjugate_infer,
    impl=lambda xp, x: mx.on_host(_adjugate_kernel)(xp, x)[0],
    jvp=_adjugate_jvp,
    vjp=_adjugate_vjp,
    batch=mx.batch_stack,
    weak="strong",
)


# The derivative of the adjugate in a direction. With x = u diag(s) v^H it is det(u v^H) v m u^H, where
# m is the derivative of the adjugate at diag(s) in the direction u^H t v: without a division, so
# that it is right for singular matrices.


def _derivative_infer(x: Aval, t: Aval) -> Aval:
    mx.check_matrices("adjugate", x, square=True)
    return Aval(x.shape, x.dtype)


def _derivative_kernel(x: np.ndarray, t: np.ndarray) -> list[np.ndarray]:
    if not x.size:
        return [np.zeros_like(x)]
    return list(mx.or_nan(_derivative_by_svd, x, t))


def _derivative_by_svd(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    n = x.shape[-1]
    u, s, vh = np.linalg.svd(x)
    u_h, v = u.conj().swapaxes(-1, -2), vh.conj().swapaxes(-1, -2)
    factor = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    # products[i, j] of all singular values but the i-th and the j-th
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :])
    one = np.ones_like(others[..., :1])
    before = np.cumprod(np.concatenate([one, others[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, others[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    products = np.where(np.eye(n, dtype=bool), 0, before * after)
    moved = u_h @ t @ v
    diagonal = products @ np.diagonal(moved, axis1=-2, axis2=-1)[..., None]
    m = np.where(np.eye(n, dtype=bool), diagonal, -moved * products)
    return (factor * (v @ m @ u_h)).astype(x.dtype)


def _second_derivative(x: Any, s: Any, t: Any) -> Any:
    """The second derivative of the adjugate in the directions s and t, of matrices with an inverse.

    adj(x) = det(x) x^-1, so that d adj(x)[t] = trace(y) adj(x) - y adj(x) with y = x^-1 t.
    """
    y, z = solve_square(x, t), solve_square(x, s)
    out, along = adjugate(x), adjugate_derivative_p.bind(x, s)
    zy = mx.product(z, y)
    of_y = sub(mul(_as_matrices(mx.trace(y)), along), mx.product(y, along))
    of_zy = sub(mx.product(zy, out), mul(_as_matrices(mx.trace(zy)), out))
    return add(of_y, of_zy)


def _derivative_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    x, t = primals
    x_t, t_t = tangents
    change = None if t_t is None else primitive.bind(x, t_t)
    if x_t is not None:
        change = add_tangents(change, _second_derivative(x, t, x_t))
    return primitive.bind(x, t), change


def _derivative_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    x, t = operands

    def pullback(ct: Any) -> list[Any]:
        # trace(d2 adj(x)[s, t] r) is the third derivative of det(x), symmetric in all directions.
        of_x = mx.swap(_second_derivative(x, t, mx.swap(ct))) if needed[0] else None
        return [of_x, _transposed_derivative(x, ct) if needed[1] else None]

    return primitive.bind(x, t), pullback


adjugate_derivative_p = Primitive(
    "adjugate_derivative",
    infer=_derivative_infer,
    impl=lambda xp, x, t: mx.on_host(_derivative_kernel)(xp, x, t)[0],
    jvp=_derivative_jvp,
    vjp=_derivative_vjp,
    batch=mx.batch_stack,
    weak="strong",
)


# Sign and logarithm


def _slogdet_infer(x: Aval) -> tuple[Aval, Aval]:
    mx.check_matrices("slogdet", x, square=True)
    return Aval(x.shape[:-2], x.dtype), Aval(x.shape[:-2], dtypes.real_of(x.dtype))


def _slogdet_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    sign, logarithm = primitive.bind(x)
    change = mx.trace(solve_square(x, t))
    sign_t = mul(sign, mx.imaginary(change)) if dtypes.is_complex(x.dtype) else None
    return [sign, logarithm], [sign_t, mx.real_part(change)]


def _slogdet_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    (x,) = operands
    sign, logarithm = primitive.bind(x)

    def pullback(cts: Sequence[Any]) -> list[Any]:
        sign_ct, factor = cts
        if dtypes.is_complex(x.dtype):
            factor = None if factor is None else convert(factor, x.dtype)
            if sign_ct is not None:
                turn = imag(mul(sign_ct, sign))
                turn = complex_(scalar(0, turn.dtype), turn)
                factor = turn if factor is None else add(factor, turn)
        if factor is None:
            return [None]
        return [mul(_as_matrices(factor), mx.swap(inverse(x)))]

    return [sign, logarithm], pullback


slogdet_p = Primitive(
    "slogdet",
    infer=_slogdet_infer,
    impl=mx.computing(lambda xp, x: list(xp.linalg.slogdet(x))),
    jvp=_slogdet_jvp,
    vjp=_slogdet_vjp,
    batch=mx.batch_stack,
    multiple_results=True,
    weak="strong",
)
