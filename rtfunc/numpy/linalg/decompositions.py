"""Factorizations of matrices: Cholesky, QR, eigenvalues and singular values.

Accuracy, as residuals of 200 random matrices of 2 to 64 rows divided by the norm of the matrix and
the machine epsilon: below 30 for `qr`, `svd`, `eigh` and `cholesky`, as NumPy's, which calls the same
LAPACK routines. Depends on `ops.linalg`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, overload

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.numpy.indexing import take_along_axis
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.complex import abs_, sign
from rtfunc.ops.convert import convert
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.cholesky import cholesky_p
from rtfunc.ops.linalg.eig import eig_p
from rtfunc.ops.linalg.eigh import eigh_p
from rtfunc.ops.linalg.qr import qr_p
from rtfunc.ops.linalg.svd import bind_svd
from rtfunc.ops.shape import rev
from rtfunc.ops.sort import argsort, sort


class EigResult(NamedTuple):
    """Eigenvalues [..., n] and eigenvectors [..., n, n], as columns."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """Eigenvalues [..., n], ascending, and eigenvectors [..., n, n], as columns."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """Q with orthonormal columns and the upper triangular R."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """Left singular vectors U, singular values S, and adjoint right singular vectors Vh."""

    U: Array
    S: Array
    Vh: Array


def cholesky(a: ArrayLike, /, *, upper: bool = False, symmetrize_input: bool = True) -> Array:
    """The lower triangular l with a = l l^H, or the upper triangular u with a = u^H u.

    Arguments:
      a: Hermitian positive definite matrices [..., n, n].
      upper: return u instead of l.
      symmetrize_input: factorize (a + a^H) / 2, as JAX; otherwise only the lower triangle is read
        (the upper one with `upper`), as NumPy does, and gradients flow to that triangle alone.

    Returns NaN where a is not positive definite (NumPy raises). Raises `ShapeError` for matrices
    that are not square.

    >>> import rtfunc.numpy as rnp
    >>> cholesky(rnp.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    (x,) = mx.matrix_operands("cholesky", a)
    mx.check_matrices("cholesky", x.aval, square=True)
    if symmetrize_input:
        x = mx.symmetrize(x)
    elif upper:
        x = mx.adjoint(x)
    factor = cholesky_p.bind(x)
    return mx.adjoint(factor) if upper else factor


@overload
def qr(a: ArrayLike, /, *, mode: Literal["r"]) -> Array: ...
@overload
def qr(a: ArrayLike, /, *, mode: str = "reduced") -> QRResult: ...
def qr(a: ArrayLike, /, *, mode: str = "reduced") -> Array | QRResult:
    """The factorization a = Q R with orthonormal columns of Q and R upper triangular.

    Arguments:
      a: matrices [..., m, n]; k = min(m, n).
      mode: "reduced" (Q [..., m, k], R [..., k, n]), "complete" (Q [..., m, m], R [..., m, n]) or "r"
        (the reduced R alone).

    Derivatives exist where the first k columns are linearly independent. Raises `ArgumentError` for
    another mode (NumPy's "raw" is not offered).

    >>> import rtfunc.numpy as rnp
    >>> qr(rnp.array([[3.0], [4.0]])).R
    Array([[-5.]], dtype=float32)
    """
    if mode not in ("reduced", "complete", "full", "r"):
        raise ArgumentError(
            at_user_line(f"qr: mode is 'reduced', 'complete' or 'r', not {mode!r}.")
        )
    (x,) = mx.matrix_operands("qr", a)
    q, r = qr_p.bind(x, full_matrices=mode in ("complete", "full"))
    return r if mode == "r" else QRResult(q, r)


@overload
def svd(
    a: ArrayLike,
    /,
    full_matrices: bool = True,
    compute_uv: Literal[True] = True,
    hermitian: bool = False,
) -> SVDResult: ...
@overload
def svd(
    a: ArrayLike, /, full_matrices: bool = True, *, compute_uv: bool, hermitian: bool = False
) -> Array | SVDResult: ...
def svd(
    a: ArrayLike,
    /,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
) -> Array | SVDResult:
    """The singular value decomposition a = U diag(S) Vh.

    Arguments:
      a: matrices [..., m, n]; k = min(m, n).
      full_matrices: U is [..., m, m] and Vh [..., n, n]; otherwise [..., m, k] and [..., k, n]. The
        full ones of matrices that are not square have no derivative.
      compute_uv: without it, only S is returned.
      hermitian: promise that a is Hermitian, which allows for a faster algorithm.

    S [..., k] is real, not negative and descending. Derivatives of the vectors exist where the
    singular values are distinct, those of S everywhere.

    >>> import rtfunc.numpy as rnp
    >>> svd(rnp.array([[3.0, 0.0], [0.0, -4.0]])).S
    Array([4., 3.], dtype=float32)
    """
    (x,) = mx.matrix_operands("svd", a)
    if hermitian:
        return _hermitian_svd(x, compute_uv)
    outs = bind_svd(x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))
    return SVDResult(outs[1], outs[0], outs[2]) if compute_uv else outs[0]


def _hermitian_svd(x: Array, compute_uv: bool) -> Array | SVDResult:
    """Singular values are the absolute values of eigenvalues, in another order."""
    if not compute_uv:
        w = eigvalsh(x)
        return rev(sort(abs_(w)), (w.ndim - 1,))  # type: ignore[arg-type]
    w, v = eigh(x)
    order = argsort(abs_(w), descending=True)
    w, v = take_along_axis(w, order, -1), take_along_axis(v, mx.as_row(order), -1)
    signs = mx.as_row(convert(sign(w), v.dtype))
    return SVDResult(v, abs_(w), mx.adjoint(mul(v, signs)))


def svdvals(x: ArrayLike, /) -> Array:
    """The singular values [..., min(m, n)] of matrices [..., m, n], descending.

    >>> import rtfunc.numpy as rnp
    >>> svdvals(rnp.array([[3.0, 0.0], [0.0, -4.0]]))
    Array([4., 3.], dtype=float32)
    """
    (a,) = mx.matrix_operands("svdvals", x)
    return bind_svd(a, full_matrices=False, compute_uv=False)[0]


def _reads_lower(operation: str, uplo: str | None) -> bool:
    if uplo not in (None, "L", "U", "l", "u"):
        raise ArgumentError(at_user_line(f"{operation}: UPLO is 'L' or 'U', not {uplo!r}."))
    return uplo not in ("U", "u")


def eigh(a: ArrayLike, /, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Eigenvalues and eigenvectors of Hermitian matrices.

    Arguments:
      a: matrices [..., n, n].
      UPLO: "L" (the default) or "U": the triangle that is read.
      symmetrize_input: decompose (a + a^H) / 2 instead, whatever UPLO says, as JAX does. Without it
        the function is NumPy's, and gradients flow to the triangle that is read.

    Derivatives of the eigenvectors exist where the eigenvalues are distinct; those of functions that
    depend on the sign or complex factor of eigenvectors mean nothing.

    >>> import rtfunc.numpy as rnp
    >>> eigh(rnp.array([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    Array([1., 3.], dtype=float32)
    """
    x, lower = _hermitian("eigh", a, UPLO, symmetrize_input)
    return EighResult(*eigh_p.bind(x, lower=lower, compute_vectors=True))


def eigvalsh(a: ArrayLike, /, UPLO: str | None = None, *, symmetrize_input: bool = True) -> Array:
    """The eigenvalues [..., n] of Hermitian matrices, ascending; arguments as of `eigh`.

    >>> import rtfunc.numpy as rnp
    >>> eigvalsh(rnp.array([[2.0, 1.0], [1.0, 2.0]]))
    Array([1., 3.], dtype=float32)
    """
    x, lower = _hermitian("eigvalsh", a, UPLO, symmetrize_input)
    return eigh_p.bind(x, lower=lower, compute_vectors=False)[0]


def _hermitian(
    operation: str, a: ArrayLike, uplo: str | None, symmetrize_input: bool
) -> tuple[Array, bool]:
    lower = _reads_lower(operation, uplo)
    (x,) = mx.matrix_operands(operation, a)
    mx.check_matrices(operation, x.aval, square=True)
    return (mx.symmetrize(x) if symmetrize_input else x), lower


def eig(a: ArrayLike, /) -> EigResult:
    """Eigenvalues and right eigenvectors of square matrices.

    Arguments: a: matrices [..., n, n].

    Returns complex arrays, as JAX; NumPy's are real where all eigenvalues are. Eigenvectors have
    norm 1 and a real largest component; their derivatives exist where the eigenvalues are distinct
    and one component is the largest.

    >>> import rtfunc.numpy as rnp
    >>> eig(rnp.array([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues
    Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    (x,) = mx.matrix_operands("eig", a)
    return EigResult(
        *eig_p.bind(x, compute_left_eigenvectors=False, compute_right_eigenvectors=True)
    )


def eigvals(a: ArrayLike, /) -> Array:
    """The eigenvalues [..., n] of square matrices, complex.

    >>> import rtfunc.numpy as rnp
    >>> eigvals(rnp.array([[2.0, 1.0], [0.0, 3.0]]))
    Array([2.+0.j, 3.+0.j], dtype=complex64)
    """
    (x,) = mx.matrix_operands("eigvals", a)
    return eig_p.bind(x, compute_left_eigenvectors=False, compute_right_eigenvectors=False)[0]
