"""The Moore-Penrose inverse of matrices of any shape.

Its derivative needs neither singular vectors nor distinct singular values: G. Golub and V. Pereyra,
The differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate,
1973, theorem 4.3. It holds where the rank does not change. Depends on `matrices`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.aval import Aval
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.arithmetic import add, sub
from rtfunc.ops.linalg import matrices as mx


def _infer(x: Aval, rtol: Aval) -> Aval:
    mx.check_matrices("pinv", x)
    if rtol.dtype != dtypes.real_of(x.dtype):
        raise DtypeError(
            at_user_line(f"pinv of {x.dtype} takes rtol as {dtypes.real_of(x.dtype)}.")
        )
    if rtol.shape != x.shape[:-2]:
        raise ShapeError(
            at_user_line(
                f"pinv of matrices of shape {x.shape} takes one rtol for each, not shape "
                f"{rtol.shape}."
            )
        )
    return Aval((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)


def _impl(xp: Any, x: Any, rtol: Any) -> Any:
    shape = _infer(Aval(x.shape, x.dtype), Aval(rtol.shape, rtol.dtype)).shape
    if not x.size:
        return xp.zeros(shape, x.dtype)

    def decompose(x: Any) -> Any:
        return tuple(xp.linalg.svd(x, full_matrices=False))

    u, s, vh = mx.or_nan(decompose, x) if xp is np else decompose(x)
    kept = s > rtol[..., None] * s.max(axis=-1, keepdims=True)
    s = xp.where(kept, 1 / xp.where(kept, s, 1), 0).astype(s.dtype)
    return xp.matmul(vh.conj().swapaxes(-1, -2) * s[..., None, :], u.conj().swapaxes(-1, -2))


def _projections(x: Any, p: Any) -> tuple[Any, Any]:
    """1 - x p and 1 - p x: what the columns and what the rows of x do not reach."""
    m, n = x.shape[-2:]
    lead = x.shape[:-2]
    rows = sub(mx.identity(m, x.dtype, lead), mx.product(x, p))
    return rows, sub(mx.identity(n, x.dtype, lead), mx.product(p, x))


def _jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    x, rtol = primals
    t = tangents[0]
    p = primitive.bind(x, rtol)
    if t is None:
        return p, None
    rows, columns = _projections(x, p)
    th, ph = mx.adjoint(t), mx.adjoint(p)
    outside = mx.product(mx.product(p, mx.product(ph, th)), rows)
    outside = add(outside, mx.product(columns, mx.product(mx.product(th, ph), p)))
    return p, sub(outside, mx.product(p, mx.product(t, p)))


def _vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    x, rtol = operands
    p = primitive.bind(x, rtol)

    def pullback(ct: Any) -> list[Any]:
        rows, columns = _projections(x, p)
        g, ph = mx.conj(ct), mx.adjoint(p)
        gh = mx.adjoint(g)
        outside = mx.product(rows, mx.product(mx.product(gh, p), ph))
        outside = add(outside, mx.product(mx.product(ph, mx.product(p, gh)), columns))
        return [mx.conj(sub(outside, mx.product(ph, mx.product(g, ph)))), None]

    return p, pullback


pinv_p = Primitive(
    "pinv",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=mx.batch_stack,
    weak="strong",
)
