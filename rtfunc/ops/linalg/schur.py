"""The Schur form a = q t q^H; it has no derivative here, as in JAX. Depends on `lapack`."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.errors import UnsupportedError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg import matrices as mx


def schur(x: ArrayLike, *, compute_schur_vectors: bool = True) -> Array | tuple[Array, Array]:
    """The Schur form t and vectors q of x = q t q^H.

    Arguments:
      x: matrices [..., n, n].
      compute_schur_vectors: without them, only t is returned.

    Returns (t, q): q unitary, t upper triangular; for real x, q is orthogonal and t has blocks of
    size 2 on its diagonal for pairs of complex eigenvalues. NaN where x is not finite. Raises
    `UnsupportedError` when differentiated.

    >>> t = schur(np.array([[0.0, 2.0], [2.0, 3.0]]), compute_schur_vectors=False)
    >>> t.shape
    (2, 2)
    """
    (x,) = mx.matrix_operands("schur", x)
    out = schur_p.bind(x, compute_schur_vectors=bool(compute_schur_vectors))
    return tuple(out) if compute_schur_vectors else out[0]


def _infer(x: Aval, *, compute_schur_vectors: bool) -> tuple[Aval, ...]:
    mx.check_matrices("schur", x, square=True)
    return (Aval(x.shape, x.dtype),) * (2 if compute_schur_vectors else 1)


def _kernel(x: np.ndarray, *, compute_schur_vectors: bool) -> list[np.ndarray]:
    mx.check_matrices("schur", Aval(x.shape, x.dtype), square=True)
    return lapack.gees(x, compute_schur_vectors)


def _no_derivative(*_: Any, **__: Any) -> NoReturn:
    raise UnsupportedError(
        at_user_line(
            "The Schur decomposition has no derivative. Differentiate eig or eigh, or pass the "
            "operand through rtfunc.stop_gradient."
        )
    )


schur_p = Primitive(
    "schur",
    infer=_infer,
    impl=mx.on_host(_kernel),
    jvp=_no_derivative,
    vjp=_no_derivative,
    batch=mx.batch_stack,
    multiple_results=True,
    weak="strong",
)
