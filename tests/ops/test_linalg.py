"""The primitives of linear algebra as functions: what the registry walk does not see."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, UnsupportedError
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops.convert import as_array
from rtfunc.ops.linalg import lapack
from rtfunc.ops.linalg.determinant import adjugate
from rtfunc.ops.linalg.eig import eig_p
from rtfunc.testing import check_grads
from tests.matrices import (  # noqa: F401
    DTYPES,
    TOLERANCE,
    adjoint,
    assert_close,
    regular,
    same_matrices,
    values,
)
from tests.messages import raises

LA = lax.linalg


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("left_side", [True, False])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("op", ["", "T", "C", "TC"])
@pytest.mark.parametrize("unit_diagonal", [True, False])
def test_triangular_solve_solves(dtype, left_side, lower, op, unit_diagonal):
    a, b = regular(2, 3, 3, dtype=dtype), values(2, 3, 3, dtype=dtype)
    how = {
        "left_side": left_side,
        "lower": lower,
        "transpose_a": "T" in op,
        "conjugate_a": "C" in op,
        "unit_diagonal": unit_diagonal,
    }
    full = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        full[:, range(3), range(3)] = 1
    full = full.mT if "T" in op else full
    full = full.conj() if "C" in op else full
    x = np.asarray(LA.triangular_solve(a, b, **how))
    assert_close(full @ x if left_side else x @ full, b)
    assert_close(LA.triangular_solve(a, b[:, 0], **how), x[:, 0] if not left_side else np.asarray(
        LA.triangular_solve(a, b[:, 0, :, None], **how))[..., 0])  # fmt: skip


def test_triangular_solve_of_strided_and_of_read_only_operands():
    a, b = np.tril(regular(6, 6)), values(6, 8)
    expected = np.linalg.solve(a[::2, ::2], b[::2, ::2])
    assert_close(
        LA.triangular_solve(a[::2, ::2], b[::2, ::2], left_side=True, lower=True), expected
    )
    flipped = LA.triangular_solve(a.T, b.T, lower=False)
    assert_close(np.asarray(flipped).T, np.linalg.solve(a, b))


def test_triangular_solve_refuses_what_does_not_fit():
    with raises(
        ShapeError, "triangular_solve of shapes (3, 3) and (2, 3)", "the rows of the second"
    ):
        LA.triangular_solve(np.eye(3), np.ones((2, 3)), left_side=True)
    with raises(ShapeError, "the columns of the second"):
        LA.triangular_solve(np.eye(3), np.ones((3, 2)))
    with raises(ShapeError, "the leading axes must be equal"):
        LA.triangular_solve(np.ones((2, 3, 3)), np.ones((1, 3, 3)))
    with raises(ShapeError, "takes square matrices"):
        LA.triangular_solve(np.ones((2, 3)), np.ones((2, 2)))
    with raises(ShapeError, "takes matrices"):
        LA.triangular_solve(np.ones(3), np.ones(3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(4, 4), (5, 3), (3, 5), (2, 3, 3), (1, 1), (0, 3), (3, 0), (0, 2, 2)]
)
def test_lu(shape, dtype):
    a = values(*shape, dtype=dtype)
    lu, pivots, permutation = map(np.asarray, LA.lu(a))
    k = min(shape[-2:])
    lower = np.tril(lu[..., :k], -1) + np.eye(shape[-2], k)
    upper = np.triu(lu[..., :k, :])
    assert_close((lower @ upper).astype(dtype), np.take_along_axis(a, permutation[..., None], -2))
    assert (np.abs(lower) < 1.5).all()  # pivots are the largest elements, by |re| + |im|
    assert pivots.dtype == permutation.dtype == np.int32
    np.testing.assert_array_equal(LA.lu_pivots_to_permutation(pivots, shape[-2]), permutation)


@pytest.mark.parametrize("trans", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_lu_solve(trans, dtype):
    a, b = values(2, 3, 3, dtype=dtype), values(1, 3, 4, dtype=dtype)
    lu, _, permutation = LA.lu(a)
    op = (a, a.mT, adjoint(a))[trans]
    assert_close(LA.lu_solve(lu, permutation, b, trans), np.linalg.solve(op, b))
    vectors = values(2, 3, dtype=dtype)
    assert_close(
        LA.lu_solve(lu, permutation, vectors, trans),
        np.linalg.solve(op, vectors[..., None])[..., 0],
    )

    def solve(a, b):
        lu, _, permutation = LA.lu(a)
        return LA.lu_solve(lu, permutation, b, trans)

    check_grads(solve, (regular(2, 3, 3, dtype=dtype), b))


def test_lu_refuses_what_does_not_fit():
    lu, pivots, permutation = LA.lu(np.eye(3))
    with raises(ArgumentError, "trans is 0, 1 or 2, not 3"):
        LA.lu_solve(lu, permutation, np.ones(3), 3)
    with raises(ShapeError, "right-hand sides of shape (2, 1) do not fit"):
        LA.lu_solve(lu, permutation, np.ones(2))
    with raises(DtypeError, "takes int32 pivots, not float64"):
        LA.lu_pivots_to_permutation(np.ones(2), 2)
    with raises(ShapeError, "pivots of shape (3,) do not make a permutation of 2 rows"):
        LA.lu_pivots_to_permutation(pivots, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 3), (1, 1), (0, 0)])
def test_left_and_right_eigenvectors(shape, dtype):
    a = values(*shape, dtype=dtype)
    w, vl, vr = map(np.asarray, LA.eig(a))
    assert_close(a @ vr, vr * w[..., None, :])
    assert_close(adjoint(vl) @ a, w[..., None] * adjoint(vl))
    assert len(LA.eig(a, compute_left_eigenvectors=False)) == 2
    assert len(LA.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False)) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 3), (1, 1), (0, 0)])
def test_schur(shape, dtype):
    a = values(*shape, dtype=dtype)
    t, q = map(np.asarray, LA.schur(a))
    assert_close(q @ t @ adjoint(q), a)
    assert not np.tril(t, -2 if dtype.startswith("float") else -1).any()
    assert_close(LA.schur(a, compute_schur_vectors=False), t)


def test_schur_has_no_derivative():
    a = values(3, 3)
    message = "The Schur decomposition has no derivative. Differentiate eig or eigh"
    with raises(UnsupportedError, message, builtin=NotImplementedError):
        rf.grad(lambda a: LA.schur(a)[0].sum())(a)
    with raises(UnsupportedError, message):
        rf.jvp(lambda a: LA.schur(a)[0], (a,), (a,))
    stopped = rf.grad(lambda a: (LA.schur(rf.stop_gradient(a))[0] * a).sum())(a)
    assert_close(stopped, LA.schur(a)[0])


def test_the_other_functions_have_jaxs_defaults():
    a = values(3, 3)
    symmetric = (a + a.T) / 2
    v, w = LA.eigh(a)
    assert_close(w, np.linalg.eigvalsh(symmetric))
    assert_close(symmetric @ np.asarray(v), np.asarray(v) * np.asarray(w))
    assert_close(LA.eigh(a, lower=False, symmetrize_input=False)[1], np.linalg.eigvalsh(a, "U"))
    assert LA.qr(values(4, 2))[0].shape == (4, 4)
    assert LA.svd(values(4, 2))[0].shape == (4, 4)
    assert_close(LA.svd(a, compute_uv=False), np.linalg.svdvals(a))
    assert_close(LA.cholesky(a @ a.T), np.linalg.cholesky(a @ a.T))
    assert_close(LA.cholesky(a @ a.T, symmetrize_input=False), np.linalg.cholesky(a @ a.T))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_adjugates_of_regular_and_of_singular_matrices(n, rank, dtype):
    """Against the definition by minors; of rank `n - rank`."""
    a = values(n, max(n - rank, 0), dtype=dtype) @ values(max(n - rank, 0), n, dtype=dtype)
    minors = [
        [np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for i in range(n)] for j in range(n)
    ]
    signs = (-1.0) ** np.add.outer(np.arange(n), np.arange(n))
    expected = np.asarray(minors).reshape(n, n) * signs
    found = np.asarray(adjugate(as_array("test", a)))
    # Both sum up to 120 products of elements up to 10, which cancel.
    scale = max(1.0, np.linalg.norm(a, 2)) ** (n - 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=20 * TOLERANCE[dtype] * scale)


def test_cotangents_that_are_zero_are_not_computed():
    """Equal eigenvalues do no harm to what does not use eigenvectors."""
    one = as_array("test", np.eye(2))
    (w, _), pullback = vjp_flat(
        lambda a: eig_p.bind(a, compute_left_eigenvectors=False, compute_right_eigenvectors=True),
        [one],
        [True],
    )
    assert np.isfinite(np.asarray(pullback([w, None])[0])).all()


def test_matrices_do_not_change():
    """LAPACK works in place, on copies."""
    for order in ("C", "F"):
        a = np.array(regular(3, 3), order=order)
        kept = a.copy()
        for function in (LA.lu, LA.eig, LA.schur, rnp.linalg.expm, rnp.linalg.inv):
            function(a)
        LA.triangular_solve(a, a)
        np.testing.assert_array_equal(a, kept)


def test_large_matrices_use_what_threads_there_are():
    """Large enough for OpenBLAS to split its work, from several Python threads at once."""
    from concurrent.futures import ThreadPoolExecutor

    a = [regular(150, 150) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: np.asarray(rf.jit(rnp.linalg.solve)(x, x)), a))
    for x in found:
        assert_close(x, np.eye(150))


def test_the_library_is_the_dependency():
    assert "scipy_openblas" in lapack._library()._name


@pytest.mark.oracle
@pytest.mark.parametrize("left", [True, False])
def test_derivatives_of_eigenvectors_are_jaxs(left):
    jax = pytest.importorskip("jax")
    a = np.array([[0.3, 1.7, -0.4], [-0.9, 0.2, 0.8], [0.5, -0.6, 1.9]], "float32")
    weights = values(3, 3).astype("float32")

    def loss(module, x):
        how = {"compute_left_eigenvectors": left, "compute_right_eigenvectors": not left}
        if module is jax:
            how["enable_eigvec_derivs"] = True
        out = module.lax.linalg.eig(x, **how)[1]
        return (out.real * weights + out.imag**2).sum()

    expected = np.asarray(jax.grad(lambda x: loss(jax, x))(a))
    # Two float32 computations of a derivative with gaps of about 1.
    np.testing.assert_allclose(rf.grad(lambda x: loss(rf, x))(a), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_householder_product_is_the_q_of_what_lapack_leaves(dtype):
    a = values(5, 3, dtype=dtype)
    raw, taus = np.linalg.qr(a, mode="raw")
    q = np.linalg.qr(a)[0]
    assert_close(lax.linalg.householder_product(raw.T, taus), q)
    stack = [np.stack([x, x]) for x in (raw.T, taus)]
    assert_close(rf.jit(lax.linalg.householder_product)(*stack), np.stack([q, q]))
    assert lax.linalg.householder_product(a[:, :0], taus[:0]).shape == (5, 0)


def test_householder_product_has_derivatives_and_checks_shapes():
    check_grads(lax.linalg.householder_product, (values(4, 3), values(2)), order=1)
    with raises(ShapeError, "takes m >= n >= k, not m = 2, n = 3, k = 1"):
        lax.linalg.householder_product(np.ones((2, 3)), np.ones(1))
    with raises(ShapeError, "matrices of shape (3, 2) and scales of shape (4, 2) do not fit"):
        lax.linalg.householder_product(np.ones((3, 2)), np.ones((4, 2)))
