"""The QR factorization a = q r.

q has orthonormal columns and r is upper triangular, with LAPACK's signs. Derivatives of tall and
square matrices: S. Walter and L. Lehmann, Algorithmic differentiation of linear algebra functions,
arXiv:1001.1654; of wide ones by blocks, the left one square; of the columns that complete q to a
square matrix: D. Denisov et al., arXiv:2409.13374, equations 32 and 33. They exist where the first
min(m, n) columns of a are linearly independent. Depends on `matrices`, `solve`, `triangular`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import add, neg, sub
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.solve import solve_square
from rtfunc.ops.linalg.triangular import solve_triangular
from rtfunc.ops.pad_slice import concatenate_p, pad, slice_in_dim


def qr(x: ArrayLike, *, full_matrices: bool = True) -> tuple[Array, Array]:
    """The factorization x = q r with orthonormal columns of q and r upper triangular.

    Arguments:
      x: matrices [..., m, n].
      full_matrices: q is [..., m, m] and r [..., m, n]; otherwise [..., m, k] and [..., k, n] with
        k = min(m, n).

    >>> q, r = qr(np.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> r
    Array([[-5. , -2.2],
           [ 0. ,  0.4]], dtype=float64)
    """
    (x,) = mx.matrix_operands("qr", x)
    return tuple(qr_p.bind(x, full_matrices=bool(full_matrices)))  # type: ignore[return-value]


def _infer(x: Aval, *, full_matrices: bool) -> tuple[Aval, Aval]:
    mx.check_matrices("qr", x)
    *lead, m, n = x.shape
    k = m if full_matrices else min(m, n)
    return Aval((*lead, m, k), x.dtype), Aval((*lead, k, n), x.dtype)


def _impl(xp: Any, x: Any, *, full_matrices: bool) -> Any:
    mode = "complete" if full_matrices else "reduced"
    if xp is np and not min(x.shape[-2:]):  # NumPy returns an empty q for "complete"
        q, r = _infer(Aval(x.shape, x.dtype), full_matrices=full_matrices)
        return [
            np.broadcast_to(np.eye(*q.shape[-2:], dtype=x.dtype), q.shape),
            np.zeros(r.shape, x.dtype),
        ]
    if xp is np:
        return list(mx.or_nan(lambda x: tuple(np.linalg.qr(x, mode)), x))
    return list(xp.linalg.qr(x, mode))


def _left(x: Any, stop: int, start: int = 0) -> Any:
    return slice_in_dim(x, start, stop, axis=x.ndim - 1)


def _top(x: Any, stop: int, start: int = 0) -> Any:
    return slice_in_dim(x, start, stop, axis=x.ndim - 2)


def _beside(x: Any, y: Any) -> Any:
    return concatenate_p.bind(x, y, axis=x.ndim - 1)


def _above(x: Any, y: Any) -> Any:
    return concatenate_p.bind(x, y, axis=x.ndim - 2)


def _with_zeros(x: Any, rows: int, columns: int) -> Any:
    """x with zeros below it and to the right."""
    *lead, m, n = x.shape
    if (m, n) == (rows, columns):
        return x
    config = [(0, 0, 0)] * len(lead) + [(0, rows - m, 0), (0, columns - n, 0)]
    return pad(x, 0, config)


# Tall and square matrices. With w = dx r^-1 and s = q^H w, the skew-Hermitian part of q^H dq is
# `_skew(s)`: its strictly lower triangle is that of s.


def _skew(s: Any) -> Any:
    lower = mx.lower_part(s, strict=True)
    out = sub(lower, mx.adjoint(lower))
    return add(out, mx.on_diagonal(mx.imaginary(s))) if dtypes.is_complex(s.dtype) else out


def _unskew(g: Any) -> Any:
    """The adjoint of `_skew` as a real-linear map."""
    out = mx.lower_part(sub(g, mx.adjoint(g)), strict=True)
    return add(out, mx.on_diagonal(mx.imaginary(g))) if dtypes.is_complex(g.dtype) else out


def _push_reduced(q: Any, r: Any, t: Any) -> tuple[Any, Any]:
    w = solve_triangular(r, t, left_side=False, lower=False)
    s = mx.product(mx.adjoint(q), w)
    difference = sub(_skew(s), s)
    return add(mx.product(q, difference), w), neg(mx.product(difference, r))


def _pull_reduced(q: Any, r: Any, q_g: Any, r_g: Any) -> Any:
    total = add_tangents(
        None if q_g is None else mx.product(mx.adjoint(q), q_g),
        None if r_g is None else neg(mx.product(r_g, mx.adjoint(r))),
    )
    w_g = add_tangents(q_g, mx.product(q, sub(_unskew(total), total)))
    return solve_triangular(r, w_g, left_side=False, lower=False, adjoint_a=True)


# The columns that complete q. With q = [[q1, p1], [q2, p2]], z = q2 (q1 - 1)^-1.


def _completion(q: Any, n: int) -> tuple[Any, Any]:
    """z, and q[:, :n] + q[:, n:] z."""
    m = q.shape[-1]
    thin = _left(q, n)
    shifted = sub(_top(thin, n), mx.identity(n, q.dtype))
    z = mx.adjoint(solve_square(mx.adjoint(shifted), mx.adjoint(_top(thin, m, n))))
    return z, add(thin, mx.product(_left(q, m, n), z))


def _push_completion(q: Any, n: int, t: Any) -> Any:
    z, b = _completion(q, n)
    e = sub(_top(t, q.shape[-1], n), mx.product(z, _top(t, n)))
    return sub(mx.product(t, mx.adjoint(z)), mx.product(b, mx.adjoint(e)))


def _pull_completion(q: Any, n: int, g: Any) -> Any:
    """The cotangent of q[:, :n] from that of the other columns."""
    z, b = _completion(q, n)
    e = neg(mx.product(mx.adjoint(g), b))
    return add(mx.product(g, z), _above(neg(mx.product(mx.adjoint(z), e)), e))


def _jvp(primitive: Primitive, primals: Any, tangents: Any, *, full_matrices: bool) -> Any:
    (x,), (t,) = primals, tangents
    m, n = x.shape[-2:]
    q, r = primitive.bind(x, full_matrices=full_matrices)
    if m < n:
        q_t, left = _push_reduced(q, _left(r, m), _left(t, m))
        right = add(
            mx.product(mx.adjoint(q_t), _left(x, n, m)),
            mx.product(mx.adjoint(q), _left(t, n, m)),
        )
        return [q, r], [q_t, _beside(left, right)]
    q_t, r_t = _push_reduced(_left(q, n), _top(r, n), t)
    if q.shape[-1] > n:
        q_t = _beside(q_t, _push_completion(q, n, q_t))
    return [q, r], [q_t, _with_zeros(r_t, *r.shape[-2:])]


def _vjp(primitive: Primitive, needed: Any, operands: Any, *, full_matrices: bool) -> Any:
    (x,) = operands
    m, n = x.shape[-2:]
    q, r = primitive.bind(x, full_matrices=full_matrices)

    def pullback(cts: Sequence[Any]) -> list[Any]:
        q_g, r_g = (None if ct is None else mx.conj(ct) for ct in cts)
        if q_g is None and r_g is None:
            return [None]
        if m < n:
            right = None if r_g is None else _left(r_g, n, m)
            left = None if r_g is None else _left(r_g, m)
            if right is not None:
                q_g = add_tangents(q_g, mx.product(_left(x, n, m), mx.adjoint(right)))
            g = _pull_reduced(q, _left(r, m), q_g, left)
            if right is None:
                return [mx.conj(_with_zeros(g, m, n))]
            return [mx.conj(_beside(g, mx.product(q, right)))]
        if q_g is not None and q.shape[-1] > n:
            q_g = add(_left(q_g, n), _pull_completion(q, n, _left(q_g, m, n)))
        r_g = None if r_g is None else _top(r_g, n)
        return [mx.conj(_pull_reduced(_left(q, n), _top(r, n), q_g, r_g))]

    return [q, r], pullback


qr_p = Primitive(
    "qr",
    infer=_infer,
    impl=mx.computing(_impl),
    jvp=_jvp,
    vjp=_vjp,
    batch=mx.batch_stack,
    multiple_results=True,
    weak="strong",
)
