"""The Cholesky factorization a = l l^H of Hermitian positive definite matrices.

The primitive reads the lower triangle alone, and its derivative is that of a function of the lower
triangle. Derivatives: I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527,
equations 8 and 9. Depends on `matrices`, `triangular`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.primitive import Primitive
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.convert import scalar
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.triangular import solve_triangular


def cholesky(x: ArrayLike, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular l with a positive diagonal and x = l l^H.

    Arguments:
      x: Hermitian positive definite matrices [..., n, n].
      symmetrize_input: factorize (x + x^H) / 2, so that gradients are symmetric. Otherwise only the
        lower triangle is read, and gradients flow to it alone.

    Returns matrices of the shape of x; NaN in the lower triangle where x is not positive definite.
    Raises `ShapeError` for matrices that are not square.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float64)
    """
    (x,) = mx.matrix_operands("cholesky", x)
    _infer(x.aval)
    return cholesky_p.bind(mx.symmetrize(x) if symmetrize_input else x)


def _infer(x: Aval) -> Aval:
    mx.check_matrices("cholesky", x, square=True)
    return Aval(x.shape, x.dtype)


def _impl(xp: Any, x: Any) -> Any:
    if xp is np:
        (factor,) = mx.or_nan(np.linalg.cholesky, x)
    else:
        import cupyx  # pyright: ignore[reportMissingImports]

        with cupyx.errstate(linalg="ignore"):
            factor = xp.linalg.cholesky(x)
        failed = ~xp.isfinite(xp.diagonal(factor, axis1=-2, axis2=-1)).all(axis=-1)
        factor = xp.where(failed[..., None, None], xp.nan, factor).astype(x.dtype)
    return xp.tril(factor)


def _half_diagonal(x: Any) -> Any:
    """The lower triangle with half the diagonal: x where x + x^H is given."""
    lower = mx.lower_part(x)
    return mul(lower, _weights(x))


def _weights(x: Any) -> Any:
    half = mul(mx.identity(x.shape[-1], x.dtype), scalar(-0.5, x.dtype))
    return half + scalar(1, x.dtype)


def _jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    factor = primitive.bind(x)
    t = mx.mirror(t, lower=True)
    t = solve_triangular(factor, t, left_side=False, adjoint_a=True)
    t = solve_triangular(factor, t)
    return factor, mx.product(factor, _half_diagonal(t))


def _vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    (x,) = operands
    factor = primitive.bind(x)

    def pullback(ct: Any) -> list[Any]:
        g = _half_diagonal(mx.product(mx.adjoint(factor), mx.conj(ct)))
        g = solve_triangular(factor, g, left_side=False)
        g = solve_triangular(factor, g, adjoint_a=True)
        return [mx.conj(mx.unmirror(g, lower=True))]

    return factor, pullback


cholesky_p = Primitive(
    "cholesky",
    infer=_infer,
    impl=mx.computing(_impl),
    jvp=_jvp,
    vjp=_vjp,
    batch=mx.batch_stack,
    weak="strong",
)
