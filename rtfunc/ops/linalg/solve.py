"""Linear systems and inverses of square matrices by LU factorization.

`solve` is one call of LAPACK's driver for a whole stack where only the solution is wanted; its
derivative rules factorize the matrices once and reuse the factors. Depends on `lu`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval, broadcast_shapes
from rtfunc.core.batching import to_axis
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.convert import check_same_dtype
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.lu import factored_solve_p, lu_kernel, lu_p
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
    return solve_p.bind(a, b)


def inverse(a: Any) -> Any:
    """The inverses of square matrices [..., n, n]."""
    return solve_square(a, mx.identity(a.shape[-1], a.dtype, a.shape[:-2]))


def _infer(a: Aval, b: Aval) -> Aval:
    check_same_dtype("solve", (a, b))
    mx.check_matrices("solve", a, square=True)
    mx.check_matrices("solve", b)
    if b.shape[:-1] != a.shape[:-1]:
        raise ShapeError(
            at_user_line(
                f"solve: matrices of shape {a.shape} and right-hand sides of shape {b.shape} do "
                "not fit."
            )
        )
    return Aval(b.shape, b.dtype)


def _impl(xp: Any, a: Any, b: Any) -> Any:
    if b.shape[:-1] != a.shape[:-1] or a.dtype != b.dtype or a.dtype not in mx.over:
        raise TypeError("operands do not fit")  # `infer` explains; NumPy would broadcast them
    if xp is not np:
        import cupyx  # pyright: ignore[reportMissingImports]

        with cupyx.errstate(linalg="ignore"):
            return xp.linalg.solve(a, b)
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:  # one is singular: the factors say where that shows
        factors, _, permutation = lu_kernel(a)
        return factored_solve_p.impl(np, a, factors, permutation, b, transpose=False)


def _factored(a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    factors, _, permutation = lu_p.bind(a)
    return a, factors, permutation, b


def _jvp(primitive: Primitive, primals: Any, tangents: Any) -> Any:
    a_t, b_t = tangents
    rule: Any = factored_solve_p.jvp
    return rule(factored_solve_p, _factored(*primals), (a_t, None, None, b_t), transpose=False)


def _vjp(primitive: Primitive, needed: Sequence[bool], operands: Any) -> Any:
    of_a, of_b = needed
    rule: Any = factored_solve_p.vjp
    out, pull = rule(
        factored_solve_p, (of_a, False, False, of_b), _factored(*operands), transpose=False
    )

    def pullback(ct: Any) -> list[Any]:
        a_ct, _, _, b_ct = pull(ct)
        return [a_ct, b_ct]

    return out, pullback


def _batch(primitive: Primitive, batch: Any, operands: Any, batch_axes: Any) -> Any:
    if batch_axes[0] is not None:
        return mx.batch_stack(primitive, batch, operands, batch_axes)
    # One matrix for all members: they become further right-hand sides.
    a, b = operands
    axis = a.ndim - 1
    b = to_axis(b, batch_axes[1], axis, batch.size)
    merged = reshape_p.bind(b, shape=(*a.shape[:-1], b.shape[-2] * b.shape[-1]))
    return reshape_p.bind(primitive.bind(a, merged), shape=b.shape), axis


solve_p = Primitive(
    "solve",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    weak="strong",
)
