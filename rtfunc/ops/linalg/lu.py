"""LU factorization with partial pivoting: a[permutation] = l u.

`lu` holds both factors in one matrix, l without its unit diagonal. `factored_solve` solves with
factors that are there already, while its derivative is that of solving with the matrix itself: one
factorization serves a solution, its derivatives and theirs. Depends on `matrices`, `triangular`,
`lapack`, `gather`, `sort`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval, broadcast_shapes
from rtfunc.core.batching import at_front, to_axis
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive, add_tangents, no_jvp, no_vjp
from rtfunc.ops.arithmetic import add, neg
from rtfunc.ops.convert import as_array, check_same_dtype, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.gather import gather_p
from rtfunc.ops.gather_kernels import GatherDimensionNumbers
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.triangular import (
    solve_triangular,
    triangular_kernel,
    triangular_solve_p,
)
from rtfunc.ops.pad_slice import concatenate_p, slice_in_dim
from rtfunc.ops.shape import reshape_p
from rtfunc.ops.sort import argsort


def lu(x: ArrayLike) -> tuple[Array, Array, Array]:
    """The factorization x[permutation] = l u by Gaussian elimination with partial pivoting.

    Arguments: x: matrices [..., m, n].

    Returns (lu, pivots, permutation):
      lu: [..., m, n], u in the upper triangle and l, whose diagonal is 1, below it.
      pivots: int32 [..., min(m, n)]: row i was exchanged with row pivots[i], in order.
      permutation: int32 [..., m], the same as a permutation of rows.

    A singular matrix has a zero on the diagonal of u, and derivatives that are not finite.

    >>> lu(np.array([[0.0, 2.0], [4.0, 2.0]]))[0]
    Array([[4., 2.],
           [0., 2.]], dtype=float64)
    """
    (x,) = mx.matrix_operands("lu", x)
    return tuple(lu_p.bind(x))  # type: ignore[return-value]


def _lu_infer(x: Aval) -> tuple[Aval, ...]:
    mx.check_matrices("lu", x)
    *lead, m, n = x.shape
    return (
        Aval(x.shape, x.dtype),
        Aval((*lead, min(m, n)), dtypes.int32),
        Aval((*lead, m), dtypes.int32),
    )


def lu_kernel(x: np.ndarray) -> list[np.ndarray]:
    """Factors, pivots and permutations of a stack of matrices, by LAPACK."""
    factors, pivots = lapack.getrf(x)
    return [factors, pivots, _permutation(pivots, x.shape[-2])]


def _permutation(pivots: np.ndarray, size: int) -> np.ndarray:
    out = np.empty((*pivots.shape[:-1], size), np.int32)
    out[...] = np.arange(size, dtype=np.int32)
    if pivots.ndim == 1:
        for i, j in enumerate(pivots.tolist()):
            if i != j:
                out[i], out[j] = out[j], out[i]
        return out
    count = math.prod(pivots.shape[:-1])
    flat, swaps = out.reshape(count, size), pivots.reshape(count, pivots.shape[-1])
    rows = np.arange(len(flat))
    for i in range(swaps.shape[1]):
        j = swaps[:, i]
        flat[rows, j], flat[:, i] = flat[:, i].copy(), flat[rows, j]
    return out


def permute_rows(x: Any, permutation: Any) -> Any:
    """x[permutation] of matrices [..., m, n], each with its permutation [..., m]."""
    *lead, m, n = x.shape
    if lead:
        count = math.prod(lead)
        x = reshape_p.bind(x, shape=(count, m, n))
        permutation = reshape_p.bind(permutation, shape=(count, m))
        numbers = GatherDimensionNumbers((2,), (1,), (1,), (0,), (0,))
        sizes = (1, 1, n)
    else:
        numbers = GatherDimensionNumbers((1,), (0,), (0,))
        sizes = (1, n)
    out = gather_p.bind(
        x,
        mx.as_column(permutation),
        dimension_numbers=numbers,
        slice_sizes=sizes,
        mode="promise_in_bounds",
        fill_value=None,
        unique_indices=True,
        indices_are_sorted=False,
    )
    return reshape_p.bind(out, shape=(*lead, m, n)) if lead else out


def _extended(factors: Any) -> tuple[Any, Any]:
    """l [..., m, m] and u [..., n, n] of lu [..., m, n], filled up with unit matrices."""
    *lead, m, n = factors.shape
    k = min(m, n)
    lower = mx.lower_part(slice_in_dim(factors, 0, k, axis=len(lead) + 1), strict=True)
    lower = add(_filled_up(lower, m, column=True), mx.identity(m, factors.dtype))
    upper = mx.upper_part(slice_in_dim(factors, 0, k, axis=len(lead)))
    return lower, _filled_up(upper, n, column=False)


def _filled_up(x: Any, n: int, column: bool) -> Any:
    *lead, rows, columns = x.shape
    if rows == columns:
        return x
    rest = n - (columns if column else rows)
    zero = scalar(0, x.dtype)
    if column:
        fill = broadcast_to(zero, (*lead, n, rest))
        return concatenate_p.bind(x, fill, axis=len(lead) + 1)
    unit = slice_in_dim(mx.identity(n, x.dtype), rows, n, axis=0)
    return concatenate_p.bind(x, broadcast_to(unit, (*lead, rest, n)), axis=len(lead))


# x[permutation] = l u; with the products l^-1 dx[permutation] u^-1 = (l^-1 dl) + (du u^-1), the first
# term is strictly lower triangular and the second one upper.


def _lu_jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    factors, pivots, permutation = primitive.bind(x)
    lower, upper = _extended(factors)
    t = permute_rows(t, permutation)
    t = solve_triangular(lower, t, unit_diagonal=True)
    t = solve_triangular(upper, t, left_side=False, lower=False)
    t = add(mx.product(lower, mx.lower_part(t, strict=True)), mx.product(mx.upper_part(t), upper))
    return [factors, pivots, permutation], [t, None, None]


def _lu_vjp(primitive: Primitive, needed: Any, operands: Any) -> Any:
    (x,) = operands
    factors, pivots, permutation = primitive.bind(x)

    def pullback(cts: Sequence[Any]) -> list[Any]:
        if cts[0] is None:
            return [None]
        lower, upper = _extended(factors)
        g = mx.conj(cts[0])
        g = add(
            mx.lower_part(mx.product(mx.adjoint(lower), g), strict=True),
            mx.upper_part(mx.product(g, mx.adjoint(upper))),
        )
        g = solve_triangular(lower, g, adjoint_a=True, unit_diagonal=True)
        g = solve_triangular(upper, g, left_side=False, lower=False, adjoint_a=True)
        return [mx.conj(permute_rows(g, argsort(permutation)))]

    return [factors, pivots, permutation], pullback


lu_p = Primitive(
    "lu",
    infer=_lu_infer,
    impl=mx.on_host(lu_kernel),
    jvp=_lu_jvp,
    vjp=_lu_vjp,
    batch=mx.batch_stack,
    multiple_results=True,
    weak="strong",
)


# Pivots


def lu_pivots_to_permutation(pivots: ArrayLike, permutation_size: int) -> Array:
    """The permutation [..., permutation_size] of rows that exchanging them by `pivots` makes.

    Arguments: pivots: int32 [..., k] with k at most permutation_size, as `lu` returns them.
    Raises `DtypeError` for pivots that are not int32 and `ShapeError` for too many of them.

    >>> lu_pivots_to_permutation(np.array([2, 2, 2], "int32"), 3)
    Array([2, 0, 1], dtype=int32)
    """
    x = as_array("lu_pivots_to_permutation", pivots)
    return lu_pivots_to_permutation_p.bind(x, permutation_size=int(permutation_size))


def _pivots_infer(pivots: Aval, *, permutation_size: int) -> Aval:
    if pivots.dtype != dtypes.int32:
        raise DtypeError(
            at_user_line(f"lu_pivots_to_permutation takes int32 pivots, not {pivots.dtype}.")
        )
    if not pivots.ndim or pivots.shape[-1] > permutation_size:
        raise ShapeError(
            at_user_line(
                f"lu_pivots_to_permutation: pivots of shape {pivots.shape} do not make a "
                f"permutation of {permutation_size} rows."
            )
        )
    return Aval((*pivots.shape[:-1], permutation_size), dtypes.int32)


def _pivots_impl(xp: Any, pivots: Any, *, permutation_size: int) -> Any:
    _pivots_infer(Aval(pivots.shape, pivots.dtype), permutation_size=permutation_size)
    if xp is np:
        return _permutation(pivots, permutation_size)
    return xp.asarray(_permutation(xp.asnumpy(pivots), permutation_size))


lu_pivots_to_permutation_p = Primitive(
    "lu_pivots_to_permutation",
    infer=_pivots_infer,
    impl=_pivots_impl,
    jvp=no_jvp,
    vjp=no_vjp,
    batch=mx.batch_stack,
    weak="strong",
)


# Solving


def lu_solve(lu: ArrayLike, permutation: ArrayLike, b: ArrayLike, trans: int = 0) -> Array:
    """The x with op(a) x = b for a matrix that `lu` has factorized.

    Arguments:
      lu, permutation: [..., n, n] and [..., n] as `lu` returns them.
      b: [..., n, k], or [..., n] with one axis less than `lu`; leading axes broadcast.
      trans: 0 for a itself, 1 for its transpose, 2 for its conjugate transpose.

    Derivatives flow through the factors. Raises `ShapeError` for shapes that do not fit.

    >>> factors, _, order = lu(np.array([[0.0, 2.0], [4.0, 2.0]]))
    >>> lu_solve(factors, order, np.array([2.0, 6.0]))
    Array([1., 1.], dtype=float64)
    """
    vector = np.ndim(b) == np.ndim(lu) - 1
    (right,) = mx.matrix_operands("lu_solve", b)
    x = lu_solve_matrices(lu, permutation, mx.as_column(right) if vector else right, trans)
    return reshape_p.bind(x, shape=x.shape[:-1]) if vector else x


def lu_solve_matrices(lu: ArrayLike, permutation: ArrayLike, b: ArrayLike, trans: int) -> Array:
    """As `lu_solve`, for b [..., n, k] alone."""
    factors, right = mx.matrix_operands("lu_solve", lu, b)
    order = as_array("lu_solve", permutation)
    if trans not in (0, 1, 2):
        raise ArgumentError(at_user_line(f"lu_solve: trans is 0, 1 or 2, not {trans!r}."))
    mx.check_matrices("lu_solve", factors.aval, square=True)
    n = factors.shape[-1]
    if right.ndim < 2 or right.shape[-2] != n or order.shape[-1:] != (n,):
        raise ShapeError(
            at_user_line(
                f"lu_solve: factors of shape {factors.shape}, a permutation of shape {order.shape} "
                f"and right-hand sides of shape {right.shape} do not fit."
            )
        )
    lead = broadcast_shapes("lu_solve", factors.shape[:-2], order.shape[:-1], right.shape[:-2])
    return _lu_solve(
        broadcast_to(factors, (*lead, n, n)),
        broadcast_to(order, (*lead, n)),
        broadcast_to(right, (*lead, *right.shape[-2:])),
        transpose=trans > 0,
        conjugate=trans == 2,
    )


def _lu_solve(factors: Any, permutation: Any, b: Any, *, transpose: bool, conjugate: bool) -> Any:
    conjugate = conjugate and dtypes.is_complex(b.dtype)
    how = {"left_side": True, "transpose_a": transpose, "conjugate_a": conjugate}
    lower = {**how, "lower": True, "unit_diagonal": True}
    upper = {**how, "lower": False, "unit_diagonal": False}
    if not transpose:
        x = triangular_solve_p.bind(factors, permute_rows(b, permutation), **lower)
        return triangular_solve_p.bind(factors, x, **upper)
    x = triangular_solve_p.bind(factors, b, **upper)
    x = triangular_solve_p.bind(factors, x, **lower)
    return permute_rows(x, argsort(permutation))


def factored_solve(
    a: Any, factors: Any, permutation: Any, b: Any, *, transpose: bool = False
) -> Any:
    """The x with a x = b (or a^T x = b), where `factors` and `permutation` are those of a.

    Derivatives flow to a and b, and need no other factorization.
    """
    return factored_solve_p.bind(a, factors, permutation, b, transpose=transpose)


def _solve_infer(a: Aval, factors: Aval, permutation: Aval, b: Aval, *, transpose: bool) -> Aval:
    check_same_dtype("solve", (a, factors, b))
    mx.check_matrices("solve", a, square=True)
    mx.check_matrices("solve", b)
    fits = factors.shape == a.shape and permutation.shape == a.shape[:-1]
    if not fits or b.shape[:-1] != a.shape[:-1]:
        raise ShapeError(
            at_user_line(
                f"solve: matrices of shape {a.shape} and right-hand sides of shape {b.shape} do "
                "not fit."
            )
        )
    return Aval(b.shape, b.dtype)


def _solve_impl(xp: Any, a: Any, factors: Any, permutation: Any, b: Any, *, transpose: bool) -> Any:
    if b.shape[:-1] != a.shape[:-1] or factors.shape != a.shape or b.dtype != factors.dtype:
        raise TypeError("operands do not fit")  # `infer` explains; BLAS would read beyond them
    lower = {"left_side": True, "lower": True, "transpose": transpose, "unit_diagonal": True}
    upper = {**lower, "lower": False, "unit_diagonal": False}
    order = permutation[..., None]
    if not transpose:
        x = triangular_kernel(xp, factors, xp.take_along_axis(b, order, -2), **lower)
        return triangular_kernel(xp, factors, x, **upper)
    x = triangular_kernel(xp, factors, triangular_kernel(xp, factors, b, **upper), **lower)
    return xp.take_along_axis(x, xp.argsort(order, axis=-2), -2)


def _solve_jvp(primitive: Primitive, primals: Any, tangents: Any, *, transpose: bool) -> Any:
    a, factors, permutation, b = primals
    a_t, _, _, b_t = tangents
    x = primitive.bind(a, factors, permutation, b, transpose=transpose)
    if a_t is not None:
        b_t = add_tangents(b_t, neg(mx.product(mx.swap(a_t) if transpose else a_t, x)))
    if b_t is None:
        return x, None
    return x, primitive.bind(a, factors, permutation, b_t, transpose=transpose)


def _solve_vjp(primitive: Primitive, needed: Any, operands: Any, *, transpose: bool) -> Any:
    a, factors, permutation, b = operands
    x = primitive.bind(a, factors, permutation, b, transpose=transpose)

    def pullback(ct: Any) -> list[Any]:
        of_b = primitive.bind(a, factors, permutation, ct, transpose=not transpose)
        if not needed[0]:
            return [None, None, None, of_b]
        pair = (x, of_b) if transpose else (of_b, x)
        return [neg(mx.product(pair[0], mx.swap(pair[1]))), None, None, of_b]

    return x, pullback


def _solve_batch(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, *, transpose: bool
) -> Any:
    if any(axis is not None for axis in batch_axes[:3]):
        operands = [at_front(x, axis, batch.size) for x, axis in zip(operands, batch_axes)]
        return primitive.bind(*operands, transpose=transpose), 0
    # One matrix for all members: they become further right-hand sides.
    a, factors, permutation, b = operands
    axis = a.ndim - 1
    b = to_axis(b, batch_axes[3], axis, batch.size)
    merged = reshape_p.bind(b, shape=(*a.shape[:-1], b.shape[-2] * b.shape[-1]))
    out = primitive.bind(a, factors, permutation, merged, transpose=transpose)
    return reshape_p.bind(out, shape=b.shape), axis


factored_solve_p = Primitive(
    "factored_solve",
    infer=_solve_infer,
    impl=_solve_impl,
    jvp=_solve_jvp,
    vjp=_solve_vjp,
    batch=_solve_batch,
    weak="strong",
)
