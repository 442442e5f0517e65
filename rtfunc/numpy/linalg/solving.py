"""Linear systems, least squares, inverses, determinants and ranks.

Depends on `ops.linalg`, `decompositions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.contraction import matmul
from rtfunc.numpy.linalg.decompositions import svdvals
from rtfunc.numpy.reductions import max as amax
from rtfunc.numpy.reductions import sum as sum_
from rtfunc.ops import linalg as ops
from rtfunc.ops.arithmetic import mul, sub
from rtfunc.ops.comparison import gt
from rtfunc.ops.convert import as_array, convert, promote_inexact, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.pad_slice import filled
from rtfunc.ops.shape import expand_dims, normalize_axis, reshape, transpose


class SlogdetResult(NamedTuple):
    """Sign (a number of absolute value 1, or 0) and logarithm of the absolute value."""

    sign: Array
    logabsdet: Array


class LstsqResult(NamedTuple):
    """Solution, sums of squared residuals, rank and singular values."""

    x: Array
    residuals: Array
    rank: Array
    s: Array


def solve(a: ArrayLike, b: ArrayLike, /) -> Array:
    """The x with a x = b.

    Arguments:
      a: matrices [..., n, n].
      b: a vector [n], or matrices [..., n, k]; leading axes broadcast.

    One LU factorization serves the solution and all its derivatives. Infinite or NaN where a is
    singular (NumPy raises). Raises `ShapeError` for shapes that do not fit.

    >>> import rtfunc.numpy as rnp
    >>> solve(rnp.array([[2.0, 1.0], [1.0, 3.0]]), rnp.array([3.0, 5.0]))
    Array([0.8, 1.4], dtype=float32)
    """
    x, y = mx.matrix_operands("solve", a, b)
    if y.ndim != 1:
        return ops.solve.solve(x, y)
    out = ops.solve.solve(x, expand_dims(y, (1,)))
    return reshape(out, out.shape[:-1])


def inv(a: ArrayLike, /) -> Array:
    """The inverses of square matrices [..., n, n]; infinite or NaN for singular ones.

    `solve(a, b)` is faster and more accurate than `inv(a) @ b`.

    >>> import rtfunc.numpy as rnp
    >>> inv(rnp.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    (x,) = mx.matrix_operands("inv", a)
    mx.check_matrices("inv", x.aval, square=True)
    return ops.solve.inverse(x)


def det(a: ArrayLike, /) -> Array:
    """The determinants [...] of square matrices [..., n, n].

    The gradient is right for singular matrices too; derivatives of higher order are where a is not
    singular or has at most 3 rows. Large determinants overflow: use `slogdet`.

    >>> import rtfunc.numpy as rnp
    >>> det(rnp.array([[2.0, 1.0], [1.0, 3.0]]))
    Array(5., dtype=float32)
    """
    (x,) = mx.matrix_operands("det", a)
    return ops.determinant.determinant_p.bind(x)


def slogdet(a: ArrayLike, /) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinants of [..., n, n].

    For a singular matrix they are 0 and -inf, with no finite derivative.

    >>> import rtfunc.numpy as rnp
    >>> slogdet(rnp.array([[0.0, 1.0], [1.0, 0.0]]))
    SlogdetResult(sign=Array(-1., dtype=float32), logabsdet=Array(0., dtype=float32))
    """
    (x,) = mx.matrix_operands("slogdet", a)
    return SlogdetResult(*ops.determinant.slogdet_p.bind(x))


def _tolerance(operation: str, x: Array, rtol: ArrayLike | None, factor: float) -> Array:
    """The relative tolerances [...] of matrices: given, or `factor` times the machine epsilon."""
    dtype = dtypes.real_of(x.dtype)
    if rtol is None:
        value = scalar(factor * max(x.shape[-2:]) * float(dtypes.finfo(dtype).eps), dtype)
    else:
        value = as_array(operation, rtol, dtype)
    return broadcast_to(value, x.shape[:-2])


def pinv(
    a: ArrayLike,
    /,
    rtol: ArrayLike | None = None,
    hermitian: bool = False,
    *,
    rcond: ArrayLike | None = None,
) -> Array:
    """The Moore-Penrose inverses [..., n, m] of matrices [..., m, n].

    Arguments:
      rtol: singular values up to rtol times the largest count as 0; by default, as in JAX, 10 times
        max(m, n) times the machine epsilon. One for each matrix, or one for all.
      hermitian: promise that a is Hermitian; accepted for NumPy's sake.
      rcond: NumPy's older name of rtol.

    The derivative is exact where the rank does not change, with equal singular values too.

    >>> import rtfunc.numpy as rnp
    >>> pinv(rnp.array([[2.0], [0.0]]))
    Array([[0.5, 0. ]], dtype=float32)
    """
    (x,) = mx.matrix_operands("pinv", a)
    mx.check_matrices("pinv", x.aval, square=bool(hermitian))
    tolerance = _tolerance("pinv", x, rcond if rtol is None else rtol, 10)
    return ops.pseudo_inverse.pinv_p.bind(x, tolerance)


def matrix_rank(
    M: ArrayLike,
    /,
    rtol: ArrayLike | None = None,
    *,
    tol: ArrayLike | None = None,
    hermitian: bool = False,
) -> Array:
    """The ranks int32 [...] of matrices [..., m, n]: how many singular values are not 0.

    Arguments:
      rtol: singular values up to rtol times the largest count as 0; by default max(m, n) times the
        machine epsilon.
      tol: the same as an absolute bound.
      hermitian: promise that M is Hermitian; accepted for NumPy's sake.

    >>> import rtfunc.numpy as rnp
    >>> matrix_rank(rnp.array([[1.0, 2.0], [2.0, 4.0]]))
    Array(1, dtype=int32)
    """
    (x,) = promote_inexact("matrix_rank", M)
    if rtol is not None and tol is not None:
        raise ArgumentError(at_user_line("matrix_rank takes rtol or tol, not both."))
    if x.ndim < 2:  # a vector is 0 or not
        x = reshape(x, (1, x.size))
    values = svdvals(x)
    if not values.shape[-1]:
        return filled(x.shape[:-2], 0, dtypes.int32)
    if tol is not None:
        bound = broadcast_to(as_array("matrix_rank", tol, values.dtype), x.shape[:-2])
    else:
        bound = mul(amax(values, -1), _tolerance("matrix_rank", x, rtol, 1))
    return sum_(convert(gt(values, expand_dims(bound, (-1,))), dtypes.int32), -1)


def lstsq(
    a: ArrayLike, b: ArrayLike, rcond: float | None = None, *, numpy_resid: bool = False
) -> LstsqResult:
    """The shortest x that makes the sum of squares of a x - b least.

    Arguments:
      a: a matrix [m, n].
      b: a vector [m] or a matrix [m, k].
      rcond: singular values up to rcond times the largest count as 0; by default max(m, n) times the
        machine epsilon, which is also what a negative value stands for.
      numpy_resid: return no residuals where NumPy does not: for a rank below n, and for m <= n. The
        rank must be known then, so this does not go with `jit`.

    Returns (x, residuals [k] or [1], rank, singular values). Raises `ShapeError` for other shapes.

    >>> import rtfunc.numpy as rnp
    >>> lstsq(rnp.array([[1.0], [0.0]]), rnp.array([2.0, 3.0])).x
    Array([2.], dtype=float32)
    """
    x, y = mx.matrix_operands("lstsq", a, b)
    if x.ndim != 2 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise ShapeError(
            at_user_line(
                "lstsq takes a matrix [m, n] and a vector [m] or a matrix [m, k], but got shapes "
                f"{x.shape} and {y.shape}."
            )
        )
    m, n = x.shape
    if rcond is not None and rcond < 0:
        rcond = None
    right = y if y.ndim == 2 else expand_dims(y, (1,))
    tolerance = _tolerance("lstsq", x, rcond, 1)
    values = svdvals(x)
    if values.shape[0]:
        kept = gt(values, mul(tolerance, amax(values)))
        rank = sum_(convert(kept, dtypes.int32))
    else:
        rank = scalar(0, dtypes.int32)
    solution = matmul(ops.pseudo_inverse.pinv_p.bind(x, tolerance), right)
    if numpy_resid and (m <= n or int(rank) < n):
        residuals = filled((0,), 0, values.dtype)
    else:
        rest = sub(right, matmul(x, solution))
        residuals = sum_(mx.absolute_squares(rest), 0)
    out = solution if y.ndim == 2 else reshape(solution, (n,))
    return LstsqResult(out, residuals, rank, values)


def tensorinv(a: ArrayLike, ind: int = 2) -> Array:
    """The inverse of `a` as a map from its last axes to its first `ind` axes.

    tensordot(tensorinv(a, ind), a, ind) is the identity. Raises `ShapeError` unless the first `ind`
    axes have as many elements as the others, and `ArgumentError` for ind < 1.

    >>> import rtfunc.numpy as rnp
    >>> tensorinv(rnp.eye(6).reshape(2, 3, 6), ind=2).shape
    (6, 2, 3)
    """
    (x,) = mx.matrix_operands("tensorinv", a)
    ind = as_integer("tensorinv", "ind", ind)
    if ind < 1:
        raise ArgumentError(at_user_line(f"tensorinv: ind is at least 1, not {ind}."))
    first, last = x.shape[:ind], x.shape[ind:]
    size = math.prod(first)
    if size != math.prod(last):
        raise ShapeError(
            at_user_line(
                f"tensorinv of shape {x.shape}: the first {ind} axes have {size} elements, the "
                f"others {math.prod(last)}. They must have as many."
            )
        )
    return reshape(inv(reshape(x, (size, size))), (*last, *first))


def tensorsolve(a: ArrayLike, b: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    """The x with tensordot(a, x, x.ndim) = b.

    Arguments:
      a: an array [*b.shape, *x.shape].
      b: the right-hand side.
      axes: axes of a that are moved to its end first.

    Raises `ShapeError` where b and x do not have as many elements.

    >>> import rtfunc.numpy as rnp
    >>> tensorsolve(rnp.eye(6).reshape(2, 3, 6), rnp.ones((2, 3))).shape
    (6,)
    """
    x, y = mx.matrix_operands("tensorsolve", a, b)
    if axes is not None:
        moved = [normalize_axis("tensorsolve", axis, x.ndim) for axis in axes]
        x = transpose(x, (*(i for i in range(x.ndim) if i not in moved), *moved))
    unknown = x.shape[y.ndim :]
    if x.size != y.size**2 or math.prod(unknown) != y.size:
        raise ShapeError(
            at_user_line(
                f"tensorsolve of shapes {x.shape} and {y.shape}: the first must have the axes of "
                f"the second and then axes of as many elements, {y.size}."
            )
        )
    out = solve(reshape(x, (y.size, y.size)), reshape(y, (y.size,)))
    return reshape(out, unknown)
