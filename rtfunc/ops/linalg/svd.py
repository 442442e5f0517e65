"""The singular value decomposition a = u diag(s) v^H.

Singular vectors are determined up to a common factor of absolute value 1; derivatives of functions
that do not depend on it are right. Those of the vectors do not exist where singular values are equal
(NaN or infinite, as in JAX); those of the singular values alone do. Sources: J. Townsend,
Differentiating the singular value decomposition, 2016; Z. Wan and S. Zhang, arXiv:1909.02659, for
complex matrices. Depends on `matrices`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.errors import UnsupportedError, at_user_line
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import add, div, mul, reciprocal, sub
from rtfunc.ops.comparison import eq
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.select import select


def svd(
    x: ArrayLike, *, full_matrices: bool = True, compute_uv: bool = True
) -> Array | tuple[Array, Array, Array]:
    """The singular value decomposition x = u diag(s) vh.

    Arguments:
      x: matrices [..., m, n]; k = min(m, n).
      full_matrices: u is [..., m, m] and vh [..., n, n]; otherwise [..., m, k] and [..., k, n]. The
        full ones of matrices that are not square have no derivative.
      compute_uv: without it, only s is returned.

    Returns (u, s, vh) with s [..., k] real, not negative and descending.

    >>> svd(np.array([[3.0, 0.0], [0.0, -4.0]]), compute_uv=False)
    Array([4., 3.], dtype=float64)
    """
    (x,) = mx.matrix_operands("svd", x)
    outs = bind_svd(x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    return (outs[1], outs[0], outs[2]) if compute_uv else outs[0]


def bind_svd(x: Any, *, full_matrices: bool, compute_uv: bool) -> Any:
    """The primitive, with `full_matrices` only where that makes a difference."""
    square = x.ndim >= 2 and x.shape[-1] == x.shape[-2]
    full = full_matrices and compute_uv and not square
    return svd_p.bind(x, full_matrices=full, compute_uv=compute_uv)


def _infer(x: Aval, *, full_matrices: bool, compute_uv: bool) -> tuple[Aval, ...]:
    mx.check_matrices("svd", x)
    *lead, m, n = x.shape
    k = min(m, n)
    s = Aval((*lead, k), dtypes.real_of(x.dtype))
    if not compute_uv:
        return (s,)
    rows, columns = (m, n) if full_matrices else (k, k)
    return s, Aval((*lead, m, rows), x.dtype), Aval((*lead, columns, n), x.dtype)


def _impl(xp: Any, x: Any, *, full_matrices: bool, compute_uv: bool) -> Any:
    def decompose(x: Any) -> Any:
        out = xp.linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)
        return (out[1], out[0], out[2]) if compute_uv else out

    if xp is np:
        return list(mx.or_nan(decompose, x))
    out = decompose(x)
    return list(out) if compute_uv else [out]


def _no_full_derivative(full_matrices: bool) -> None:
    if full_matrices:
        raise UnsupportedError(
            at_user_line(
                "svd with full_matrices=True has no derivative for matrices that are not square: "
                "the additional singular vectors are not determined. Use full_matrices=False."
            )
        )


def _safe_reciprocal(s: Any) -> Any:
    """1 / s, and 0 for zeros."""
    zero, one = scalar(0, s.dtype), scalar(1, s.dtype)
    return select(eq(s, zero), zero, reciprocal(select(eq(s, zero), one, s)))


def _reciprocal_gaps(s: Any) -> Any:
    """The matrix 1 / (s[j]^2 - s[i]^2) with a zero diagonal."""
    row, column = mx.as_row(s), mx.as_column(s)
    gaps = mul(add(row, column), sub(row, column))
    unit = mx.identity(s.shape[-1], s.dtype)
    return sub(reciprocal(add(gaps, unit)), unit)


def _outside(u: Any, x: Any) -> Any:
    """The part of the columns of x that is orthogonal to the columns of u."""
    return sub(x, mx.product(u, mx.product(mx.adjoint(u), x)))


def _jvp(
    primitive: Primitive, primals: Any, tangents: Any, *, full_matrices: bool, compute_uv: bool
) -> Any:
    _no_full_derivative(full_matrices)
    (x,), (t,) = primals, tangents
    s, u, vh = primitive.bind(x, full_matrices=False, compute_uv=True)
    v = mx.adjoint(vh)
    inner = mx.product(mx.adjoint(u), mx.product(t, v))
    s_t = mx.real_part(mx.diagonal(inner))
    if not compute_uv:
        return [s], [s_t]
    wide = convert(s, x.dtype)
    row, column = mx.as_row(wide), mx.as_column(wide)
    gaps = convert(_reciprocal_gaps(s), x.dtype)
    scaled = mul(inner, row)
    of_u = mul(gaps, add(scaled, mx.adjoint(scaled)))
    if dtypes.is_complex(x.dtype):
        turn = mul(mx.on_diagonal(mx.imaginary(inner)), _row_reciprocal(s, x.dtype))
        of_u = add(of_u, turn)
    scaled = mul(column, inner)
    of_v = mul(gaps, add(scaled, mx.adjoint(scaled)))
    u_t, v_t = mx.product(u, of_u), mx.product(v, of_v)
    m, n = x.shape[-2:]
    if m > n:
        u_t = add(u_t, div(_outside(u, mx.product(t, v)), row))
    if n > m:
        v_t = add(v_t, div(_outside(v, mx.product(mx.adjoint(t), u)), row))
    return [s, u, vh], [s_t, u_t, mx.adjoint(v_t)]


def _row_reciprocal(s: Any, dtype: Any) -> Any:
    return mx.as_row(convert(_safe_reciprocal(s), dtype))


def _vjp(
    primitive: Primitive, needed: Any, operands: Any, *, full_matrices: bool, compute_uv: bool
) -> Any:
    _no_full_derivative(full_matrices)
    (x,) = operands
    s, u, vh = primitive.bind(x, full_matrices=False, compute_uv=True)

    def pullback(cts: Sequence[Any]) -> list[Any]:
        s_ct, u_ct, vh_ct = cts if compute_uv else (cts[0], None, None)
        if s_ct is None and u_ct is None and vh_ct is None:
            return [None]
        wide = convert(s, x.dtype)
        row, column = mx.as_row(wide), mx.as_column(wide)
        m, n = x.shape[-2:]
        inner = None if s_ct is None else mx.diagonal_matrix(convert(s_ct, x.dtype))
        rest = None
        gaps = None
        if u_ct is not None or vh_ct is not None:
            gaps = convert(_reciprocal_gaps(s), x.dtype)
        if u_ct is not None:
            u_g = mx.conj(u_ct)
            projected = mx.product(mx.adjoint(u), u_g)
            both = mul(gaps, projected)
            inner = add_tangents(inner, mul(add(both, mx.adjoint(both)), row))
            if dtypes.is_complex(x.dtype):
                turn = mul(mx.on_diagonal(mx.imaginary(projected)), _row_reciprocal(s, x.dtype))
                inner = add(inner, turn)
            if m > n:
                rest = mx.product(_outside(u, div(u_g, row)), vh)
        if vh_ct is not None:
            v_g = mx.adjoint(mx.conj(vh_ct))
            v = mx.adjoint(vh)
            both = mul(gaps, mx.product(vh, v_g))
            inner = add_tangents(inner, mul(column, add(both, mx.adjoint(both))))
            if n > m:
                rest = add_tangents(rest, mx.product(u, mx.adjoint(_outside(v, div(v_g, row)))))
        g = mx.product(mx.product(u, inner), vh)
        return [mx.conj(add_tangents(g, rest))]

    return [s, u, vh] if compute_uv else [s], pullback


svd_p = Primitive(
    "svd",
    infer=_infer,
    impl=mx.computing(_impl),
    jvp=_jvp,
    vjp=_vjp,
    batch=mx.batch_stack,
    multiple_results=True,
    weak="strong",
)
