"""Eigenvalues and eigenvectors of general matrices, always complex.

An eigenvector is determined by LAPACK's convention: its norm is 1 and its largest component is real.
Derivatives are those of the vectors under this convention. They exist where all eigenvalues are
distinct and no eigenvector has two components tied for the largest; elsewhere they are NaN, infinite
or meaningless. Those of the eigenvalues need distinct ones only. Source: M. Giles, Collected matrix
derivative results for forward and reverse mode algorithmic differentiation, 2008, section 3.1.
Depends on `matrices`, `solve`, `lapack`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import add, div, mul, neg, reciprocal, sub
from rtfunc.ops.comparison import eq
from rtfunc.ops.complex import abs_, complex_, imag, real
from rtfunc.ops.convert import convert, scalar
from rtfunc.ops.iota import broadcasted_iota
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.lu import factored_solve, lu_p
from rtfunc.ops.reduce import argmax_p, reduce_sum_p


def eig(
    x: ArrayLike,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
) -> list[Array]:
    """Eigenvalues, left and right eigenvectors of square matrices.

    Arguments: x: matrices [..., n, n].

    Returns [w, vl, vr], without those that are not asked for; all complex. x vr = vr diag(w) and
    vl^H x = diag(w) vl^H; eigenvectors are columns. NaN where x is not finite.

    >>> eig(np.array([[0.0, 1.0], [-1.0, 0.0]]))[0]
    Array([0.+1.j, 0.-1.j], dtype=complex128)
    """
    (x,) = mx.matrix_operands("eig", x)
    return list(
        eig_p.bind(
            x,
            compute_left_eigenvectors=bool(compute_left_eigenvectors),
            compute_right_eigenvectors=bool(compute_right_eigenvectors),
        )
    )


def _infer(
    x: Aval, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool
) -> tuple[Aval, ...]:
    mx.check_matrices("eig", x, square=True)
    dtype = dtypes.complex_of(x.dtype)
    count = int(compute_left_eigenvectors) + int(compute_right_eigenvectors)
    return (Aval(x.shape[:-1], dtype), *(Aval(x.shape, dtype) for _ in range(count)))


def _kernel(
    x: np.ndarray, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool
) -> list[np.ndarray]:
    mx.check_matrices("eig", Aval(x.shape, x.dtype), square=True)
    return lapack.geev(x, compute_left_eigenvectors, compute_right_eigenvectors)


class _Basis:
    """Eigenvectors v of a matrix, and the factors with which to solve with them."""

    def __init__(self, w: Any, v: Any):
        self.w, self.v = w, v
        self.factors, _, self.permutation = lu_p.bind(v)

    def to_basis(self, x: Any) -> Any:
        """v^-1 x."""
        return factored_solve(self.v, self.factors, self.permutation, x)

    def from_basis(self, x: Any) -> Any:
        """v^-H x."""
        y = factored_solve(self.v, self.factors, self.permutation, mx.conj(x), transpose=True)
        return mx.conj(y)

    def reciprocal_gaps(self) -> Any:
        """The matrix 1 / (w[j] - w[i]) with a zero diagonal."""
        gaps = sub(mx.as_row(self.w), mx.as_column(self.w))
        unit = mx.identity(self.w.shape[-1], self.w.dtype)
        return sub(reciprocal(add(gaps, unit)), unit)

    def largest(self) -> tuple[Any, Any]:
        """The positions of the largest components as ones among zeros, and those components."""
        v = self.v
        position = argmax_p.bind(abs_(v), axis=v.ndim - 2, dtype=dtypes.int32)
        row = broadcasted_iota(dtypes.int32, v.shape, v.ndim - 2)
        ones = convert(eq(row, mx.as_row(position)), v.dtype)
        return ones, real(_sum_rows(mul(ones, v)))

    def push(self, inner: Any) -> Any:
        """The tangent of v, from v^-1 dx v."""
        v = self.v
        if not v.size:
            return v
        moved = mx.product(v, mul(self.reciprocal_gaps(), inner))
        ones, components = self.largest()
        length = real(_sum_rows(mul(mx.conj(v), moved)))
        turn = div(imag(_sum_rows(mul(ones, moved))), components)
        factor = complex_(neg(length), neg(turn))
        return add(moved, mul(v, mx.as_row(factor)))

    def pull(self, g: Any) -> Any:
        """The cotangent of v^-1 dx v from that of v: the adjoint of `push`."""
        v = self.v
        if not v.size:
            return g
        ones, components = self.largest()
        factor = _sum_rows(mul(mx.conj(v), g))
        length = convert(real(factor), v.dtype)
        turn = div(imag(factor), components)
        turn = complex_(scalar(0, turn.dtype), turn)
        g = sub(g, mul(v, mx.as_row(length)))
        g = sub(g, mul(ones, mx.as_row(turn)))
        return mul(mx.conj(self.reciprocal_gaps()), mx.product(mx.adjoint(v), g))


def _sum_rows(x: Any) -> Any:
    return reduce_sum_p.bind(x, axes=(x.ndim - 2,))


def _forward(primitive: Primitive, x: Any, left: bool) -> tuple[Any, Any, Any]:
    outs = primitive.bind(x, compute_left_eigenvectors=left, compute_right_eigenvectors=True)
    return outs[0], outs[1] if left else None, outs[-1]


def _jvp(
    primitive: Primitive,
    primals: Any,
    tangents: Any,
    *,
    compute_left_eigenvectors: bool,
    compute_right_eigenvectors: bool,
) -> Any:
    (x,), (t,) = primals, tangents
    w, vl, vr = _forward(primitive, x, compute_left_eigenvectors)
    t = convert(t, w.dtype)
    right = _Basis(w, vr)
    inner = mx.product(right.to_basis(t), vr)
    outs, pushed = [w], [mx.diagonal(inner)]
    if compute_left_eigenvectors:
        left = _Basis(mx.conj(w), vl)
        outs.append(vl)
        pushed.append(left.push(mx.product(left.to_basis(mx.adjoint(t)), vl)))
    if compute_right_eigenvectors:
        outs.append(vr)
        pushed.append(right.push(inner))
    return outs, pushed


def _vjp(
    primitive: Primitive,
    needed: Any,
    operands: Any,
    *,
    compute_left_eigenvectors: bool,
    compute_right_eigenvectors: bool,
) -> Any:
    (x,) = operands
    w, vl, vr = _forward(primitive, x, compute_left_eigenvectors)
    outs = [w, *([vl] * compute_left_eigenvectors), *([vr] * compute_right_eigenvectors)]

    def pullback(cts: Sequence[Any]) -> list[Any]:
        total = None
        w_ct = cts[0]
        vr_ct = cts[-1] if compute_right_eigenvectors else None
        if w_ct is not None or vr_ct is not None:
            right = _Basis(w, vr)
            g = None if w_ct is None else mx.diagonal_matrix(mx.conj(w_ct))
            if vr_ct is not None:
                g = add_tangents(g, right.pull(mx.conj(vr_ct)))
            total = mx.product(right.from_basis(g), mx.adjoint(vr))
        if compute_left_eigenvectors and cts[1] is not None:
            left = _Basis(mx.conj(w), vl)
            g = left.from_basis(left.pull(mx.conj(cts[1])))
            total = add_tangents(total, mx.product(vl, mx.adjoint(g)))
        if total is None:
            return [None]
        return [mx.conj(total) if dtypes.is_complex(x.dtype) else real(total)]

    return outs, pullback


eig_p = Primitive(
    "eig",
    infer=_infer,
    impl=mx.on_host(_kernel),
    jvp=_jvp,
    vjp=_vjp,
    batch=mx.batch_stack,
    multiple_results=True,
    weak="strong",
)
