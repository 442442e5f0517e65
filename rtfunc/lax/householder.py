"""Products of Householder reflections, which `qr` in NumPy's mode "raw" leaves. Depends on `loops`."""

from __future__ import annotations

from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.lax.loops import scan
from rtfunc.ops.convert import promote_inexact


def householder_product(a: ArrayLike, taus: ArrayLike) -> Array:
    """The first columns of the product of Householder reflections, as LAPACK stores them.

    Arguments:
      a: [..., m, n] with m >= n; below the diagonal of column i the vector v_i, whose element on the
        diagonal is 1 and which is 0 above.
      taus: [..., k] with k <= n, the scales of the reflections 1 - taus[i] v_i v_i^H.

    Returns the matrices [..., m, n] of the first n columns of H_0 H_1 ... H_(k-1); derivatives flow to
    both arguments. Raises `ShapeError` for shapes that do not fit.

    >>> householder_product(rnp.array([[0.0], [1.0]]), rnp.array([1.0]))
    Array([[ 0.],
           [-1.]], dtype=float32)
    """
    a, taus = promote_inexact("householder_product", a, taus)
    if a.ndim < 2 or taus.shape[:-1] != a.shape[:-2] or not taus.ndim:
        raise ShapeError(
            at_user_line(
                f"householder_product: matrices of shape {a.shape} and scales of shape {taus.shape} "
                "do not fit."
            )
        )
    (m, n), k = a.shape[-2:], taus.shape[-1]
    if m < n or k > n:
        raise ShapeError(
            at_user_line(f"householder_product takes m >= n >= k, not m = {m}, n = {n}, k = {k}.")
        )
    reflectors = rnp.tril(a[..., :k], -1) + rnp.eye(m, k, dtype=a.dtype)

    def step(q: Any, reflection: Any) -> tuple[Any, None]:
        v, tau = reflection
        conjugate = rnp.conj(v) if dtypes.is_complex(v.dtype) else v
        row = rnp.matmul(conjugate[..., None, :], q)
        return q - tau[..., None, None] * (v[..., :, None] * row), None

    start = rnp.broadcast_to(rnp.eye(m, n, dtype=a.dtype), a.shape)
    stacked = rnp.moveaxis(reflectors, -1, 0), rnp.moveaxis(taus, -1, 0)
    return scan(step, start, stacked, reverse=True)[0]
