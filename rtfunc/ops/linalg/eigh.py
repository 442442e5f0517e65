"""Eigenvalues and eigenvectors of Hermitian matrices.

The primitive reads one triangle, and its derivative is that of a function of this triangle.
Eigenvectors are determined up to a factor of absolute value 1; their derivative is the one that is
orthogonal to the eigenvector itself, so derivatives of functions that do not depend on the factor
are right. It does not exist where eigenvalues are equal (NaN or infinite, as in JAX); that of the
eigenvalues alone does. Source: M. Giles, Collected matrix derivative results for forward and
reverse mode algorithmic differentiation, 2008, section 3.1. Depends on `matrices`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import add, mul, reciprocal, sub
from rtfunc.ops.convert import convert
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg import matrices as mx


def eigh(x: ArrayLike, *, lower: bool = True, symmetrize_input: bool = True) -> tuple[Array, Array]:
    """Eigenvectors and eigenvalues of Hermitian matrices, in JAX's order (v, w).

    Arguments:
      x: matrices [..., n, n].
      lower: which triangle is read.
      symmetrize_input: decompose (x + x^H) / 2 instead.

    Returns (v, w): v [..., n, n] with the eigenvectors as columns, and w [..., n], real and ascending.

    >>> eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))[1]
    Array([1., 3.], dtype=float64)
    """
    (x,) = mx.matrix_operands("eigh", x)
    mx.check_matrices("eigh", x.aval, square=True)
    if symmetrize_input:
        x = mx.symmetrize(x)
    w, v = eigh_p.bind(x, lower=bool(lower), compute_vectors=True)
    return v, w


def _infer(x: Aval, *, lower: bool, compute_vectors: bool) -> tuple[Aval, ...]:
    mx.check_matrices("eigh", x, square=True)
    w = Aval(x.shape[:-1], dtypes.real_of(x.dtype))
    return (w, Aval(x.shape, x.dtype)) if compute_vectors else (w,)


def _impl(xp: Any, x: Any, *, lower: bool, compute_vectors: bool) -> Any:
    triangle = "L" if lower else "U"
    if compute_vectors:

        def decompose(x: Any) -> Any:
            return tuple(xp.linalg.eigh(x, triangle))
    else:

        def decompose(x: Any) -> Any:
            return xp.linalg.eigvalsh(x, triangle)

    if xp is not np:
        out = decompose(x)
        return list(out) if compute_vectors else [out]
    outs = list(mx.or_nan(decompose, x))
    finite = np.asarray(np.isfinite(outs[0]).all(axis=-1))
    if not finite.all():  # LAPACK may return some numbers beside NaN
        for out in outs:
            out[~finite] = lapack.nan(out.dtype)
    return outs


def _reciprocal_gaps(w: Any) -> Any:
    """The matrix 1 / (w[j] - w[i]) with a zero diagonal."""
    gaps = sub(mx.as_row(w), mx.as_column(w))
    unit = mx.identity(w.shape[-1], w.dtype)
    return sub(reciprocal(add(gaps, unit)), unit)


def _jvp(
    primitive: Primitive, primals: Any, tangents: Any, *, lower: bool, compute_vectors: bool
) -> Any:
    (x,), (t,) = primals, tangents
    w, v = primitive.bind(x, lower=lower, compute_vectors=True)
    inner = mx.product(mx.adjoint(v), mx.product(mx.mirror(t, lower), v))
    w_t = mx.real_part(mx.diagonal(inner))
    if not compute_vectors:
        return [w], [w_t]
    gaps = convert(_reciprocal_gaps(w), x.dtype)
    return [w, v], [w_t, mx.product(v, mul(gaps, inner))]


def _vjp(
    primitive: Primitive, needed: Any, operands: Any, *, lower: bool, compute_vectors: bool
) -> Any:
    (x,) = operands
    w, v = primitive.bind(x, lower=lower, compute_vectors=True)

    def pullback(cts: Sequence[Any]) -> list[Any]:
        g = None
        if cts[0] is not None:
            g = mx.diagonal_matrix(convert(cts[0], x.dtype))
        if compute_vectors and cts[1] is not None:
            gaps = convert(_reciprocal_gaps(w), x.dtype)
            g = add_tangents(g, mul(gaps, mx.product(mx.adjoint(v), mx.conj(cts[1]))))
        if g is None:
            return [None]
        g = mx.product(mx.product(v, g), mx.adjoint(v))
        return [mx.conj(mx.unmirror(g, lower))]

    return [w, v] if compute_vectors else [w], pullback


eigh_p = Primitive(
    "eigh",
    infer=_infer,
    impl=mx.computing(_impl),
    jvp=_jvp,
    vjp=_vjp,
    batch=mx.batch_stack,
    multiple_results=True,
    weak="strong",
)
