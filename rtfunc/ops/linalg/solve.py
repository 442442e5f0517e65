"""Linear systems and inverses of square matrices by LU factorization. Depends on `lu`."""

from __future__ import annotations

from typing import Any

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import broadcast_shapes
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.lu import factored_solve, lu_p
from rtfunc.ops.shape import reshape_p, transpose_p


def solve(a: ArrayLike, b: ArrayLike) -> Array:
    """The x [..., n, k] with a x = b.

    Arguments:
      a: matrices [..., n, n].
      b: right-hand sides [..., n, k]; leading axes broadcast against those of a.

    One factorization serves the solution and all its derivatives. Where a is singular the result is
    infinite or NaN. Raises `ShapeError` for shapes that do not fit.
    """
    a, b = mx.matrix_operands("solve", a, b)
    mx.check_matrices("solve", a.aval, square=True)
    mx.check_matrices("solve", b.aval)
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            at_user_line(
                f"solve: the matrices of shape {a.shape} have {a.shape[-1]} rows, the right-hand "
                f"sides of shape {b.shape} have {b.shape[-2]}. They must have as many."
            )
        )
    lead = broadcast_shapes("solve", a.shape[:-2], b.shape[:-2])
    n, k = b.shape[-2:]
    if len(lead) > a.ndim - 2 == 0:
        # One matrix for a stack of right-hand sides: they stand side by side.
        order = (len(lead), *range(len(lead)), len(lead) + 1)
        flat = transpose_p.bind(b, permutation=order)
        flat = reshape_p.bind(flat, shape=(n, b.size // n if n else 0))
        x = solve_square(a, flat)
        x = reshape_p.bind(x, shape=(n, *lead, k))
        return transpose_p.bind(x, permutation=(*range(1, len(lead) + 1), 0, len(lead) + 1))
    return solve_square(broadcast_to(a, (*lead, n, n)), broadcast_to(b, (*lead, n, k)))


def solve_square(a: Any, b: Any) -> Any:
    """As `solve`, of operands with equal leading axes, for derivative rules."""
    factors, _, permutation = lu_p.bind(a)
    return factored_solve(a, factors, permutation, b)


def inverse(a: Any) -> Any:
    """The inverses of square matrices [..., n, n]."""
    return solve_square(a, mx.identity(a.shape[-1], a.dtype, a.shape[:-2]))
