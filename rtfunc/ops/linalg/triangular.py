"""Solving with triangular matrices, as JAX's `triangular_solve`. Depends on `matrices`, `lapack`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front, to_axis
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, add_tangents
from rtfunc.ops.arithmetic import neg
from rtfunc.ops.convert import check_same_dtype
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.shape import reshape_p


def triangular_solve(
    a: ArrayLike,
    b: ArrayLike,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """The x with op(a) x = b, or with x op(a) = b unless `left_side`.

    Arguments:
      a: triangular matrices [..., n, n]; the other triangle is not read.
      b: matrices [..., n, k] for `left_side`, else [..., k, n], with the leading axes of a; or one
        axis less for a single vector.
      lower: which triangle of a.
      transpose_a, conjugate_a: whether op transposes, and whether it conjugates.
      unit_diagonal: take the diagonal of a as 1 without reading it.

    Returns an array of the shape of b; infinite or NaN where a has a zero on its diagonal. Raises
    `ShapeError` for shapes that do not fit.

    >>> triangular_solve(np.array([[2.0, 0.0], [1.0, 4.0]]), np.array([2.0, 9.0]), left_side=True,
    ...                  lower=True)
    Array([1., 2.], dtype=float64)
    """
    a, b = mx.matrix_operands("triangular_solve", a, b)
    vector = b.ndim == a.ndim - 1 > 0
    shape = b.shape
    if vector:
        b = (mx.as_column if left_side else mx.as_row)(b)
    out = triangular_solve_p.bind(
        a,
        b,
        left_side=bool(left_side),
        lower=bool(lower),
        transpose_a=bool(transpose_a),
        conjugate_a=bool(conjugate_a) and dtypes.is_complex(a.dtype),
        unit_diagonal=bool(unit_diagonal),
    )
    return reshape_p.bind(out, shape=shape) if vector else out


def solve_triangular(
    a: Any,
    b: Any,
    *,
    left_side: bool = True,
    lower: bool = True,
    adjoint_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """`triangular_solve` of checked matrices in the words that derivative rules use."""
    return triangular_solve_p.bind(
        a,
        b,
        left_side=left_side,
        lower=lower,
        transpose_a=adjoint_a,
        conjugate_a=adjoint_a and dtypes.is_complex(a.dtype),
        unit_diagonal=unit_diagonal,
    )


def _infer(a: Aval, b: Aval, *, left_side: bool, **_: Any) -> Aval:
    check_same_dtype("triangular_solve", (a, b))
    mx.check_matrices("triangular_solve", a, square=True)
    mx.check_matrices("triangular_solve", b)
    if a.shape[-1] != b.shape[-2 if left_side else -1] or a.shape[:-2] != b.shape[:-2]:
        raise ShapeError(
            at_user_line(
                f"triangular_solve of shapes {a.shape} and {b.shape}: the leading axes must be "
                f"equal, and the {'rows' if left_side else 'columns'} of the second as many as "
                "those of the first."
            )
        )
    return Aval(b.shape, b.dtype)


def _impl(
    xp: Any,
    a: Any,
    b: Any,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    conjugate_a: bool,
    unit_diagonal: bool,
) -> Any:
    # BLAS would read beyond arrays that do not fit.
    _infer(Aval(a.shape, a.dtype), Aval(b.shape, b.dtype), left_side=left_side)
    return triangular_kernel(
        xp,
        a,
        b,
        left_side=left_side,
        lower=lower,
        transpose=transpose_a,
        conjugate=conjugate_a,
        unit_diagonal=unit_diagonal,
    )


def triangular_kernel(
    xp: Any,
    a: Any,
    b: Any,
    *,
    left_side: bool,
    lower: bool,
    transpose: bool,
    conjugate: bool = False,
    unit_diagonal: bool,
) -> Any:
    """The solution for buffers of shapes and dtypes that fit."""
    if xp is np:
        return lapack.trsm(
            a,
            b,
            left_side=left_side,
            lower=lower,
            transpose=transpose,
            conjugate=conjugate,
            unit_diagonal=unit_diagonal,
        )
    if not b.size:
        return xp.empty_like(b)
    from cupyx.scipy.linalg import solve_triangular  # pyright: ignore[reportMissingImports]

    if not left_side:  # x op(a) = b is op(a)^T x^T = b^T
        b, transpose = b.swapaxes(-1, -2), not transpose
    if conjugate and not transpose:
        a = a.conj()
    trans = (2 if conjugate else 1) if transpose else 0
    flat_a, flat_b = lapack.stacked(a), lapack.stacked(b)
    out = xp.empty(flat_b.shape, b.dtype)
    for i in range(len(flat_a)):
        out[i] = solve_triangular(
            flat_a[i], flat_b[i], trans=trans, lower=lower, unit_diagonal=unit_diagonal
        )
    out = out.reshape(b.shape)
    return out if left_side else out.swapaxes(-1, -2)


def _triangle(x: Any, lower: bool, unit_diagonal: bool) -> Any:
    return (mx.lower_part if lower else mx.upper_part)(x, strict=unit_diagonal)


def _jvp(primitive: Primitive, primals: Any, tangents: Any, **params: Any) -> Any:
    (a, b), (a_t, b_t) = primals, tangents
    x = primitive.bind(a, b, **params)
    if a_t is not None:
        a_t = _triangle(a_t, params["lower"], params["unit_diagonal"])
        if params["transpose_a"]:
            a_t = mx.swap(a_t)
        if params["conjugate_a"]:
            a_t = mx.conj(a_t)
        moved = mx.product(a_t, x) if params["left_side"] else mx.product(x, a_t)
        b_t = add_tangents(b_t, neg(moved))
    return x, primitive.bind(a, b_t, **params)


def _vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
    a, b = operands
    x = primitive.bind(a, b, **params)

    def pullback(ct: Any) -> list[Any]:
        # Without conjugation in the pairing, the transpose of solving is solving with the transpose.
        flipped = {**params, "transpose_a": not params["transpose_a"]}
        of_b = primitive.bind(a, ct, **flipped)
        if not needed[0]:
            return [None, of_b]
        if params["left_side"]:
            of_a = mx.product(of_b, mx.swap(x))
        else:
            of_a = mx.product(mx.swap(x), of_b)
        if params["transpose_a"]:
            of_a = mx.swap(of_a)
        if params["conjugate_a"]:
            of_a = mx.conj(of_a)
        return [neg(_triangle(of_a, params["lower"], params["unit_diagonal"])), of_b]

    return x, pullback


def _batch(primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any) -> Any:
    a, b = operands
    a_axis, b_axis = batch_axes
    if a_axis is not None:
        operands = [at_front(x, axis, batch.size) for x, axis in zip(operands, batch_axes)]
        return primitive.bind(*operands, **params), 0
    # One matrix for all members: they become further right-hand sides.
    lead = a.ndim - 2
    axis = lead + 1 if params["left_side"] else lead
    b = to_axis(b, b_axis, axis, batch.size)
    merged = b.shape[axis] * b.shape[axis + 1]
    shape = (*b.shape[:axis], merged, *b.shape[axis + 2 :])
    out = primitive.bind(a, reshape_p.bind(b, shape=shape), **params)
    return reshape_p.bind(out, shape=b.shape), axis


triangular_solve_p = Primitive(
    "triangular_solve",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    weak="strong",
)
