"""rtfunc.scipy.linalg: by what its results multiply to, and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
import rtfunc.scipy.linalg as LA
from rtfunc.core.errors import ArgumentError, ShapeError, UnsupportedError
from rtfunc.testing import check_grads
from tests.matrices import (  # noqa: F401
    DTYPES,
    TOLERANCE,
    adjoint,
    assert_close,
    positive,
    same_matrices,
    values,
)
from tests.messages import raises


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [True, False])
def test_cholesky_and_what_it_solves(lower, dtype):
    a, b = positive(2, 3, 3, dtype=dtype), values(3, 2, dtype=dtype)
    factor = np.asarray(LA.cholesky(a, lower=lower))
    assert_close(factor @ adjoint(factor) if lower else adjoint(factor) @ factor, a)
    assert not (np.triu(factor, 1) if lower else np.tril(factor, -1)).any()
    for right in (b, b[:, 0]):
        x = np.asarray(LA.cho_solve(LA.cho_factor(a, lower=lower), right))
        assert_close(
            x,
            np.linalg.solve(
                a, np.broadcast_to(right, (2, *right.shape)) if right.ndim == 2 else right
            ),
        )
        assert_close(LA.solve(a, right, lower=lower, assume_a="pos"), x)
        assert_close(LA.solve(a, right), x)


def test_solve_of_positive_matrices_reads_one_triangle():
    a, b = positive(3, 3), values(3)
    junk = values(3, 3)
    expected = np.linalg.solve(a, b)
    assert_close(LA.solve(np.tril(a) + np.triu(junk, 1), b, lower=True, assume_a="pos"), expected)
    assert_close(LA.solve(np.triu(a) + np.tril(junk, -1), b, lower=False, assume_a="pos"), expected)
    check_grads(lambda a, b: LA.solve(a @ a.T, b, assume_a="pos"), (a, b))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C"])
def test_solve_triangular(trans, lower, dtype):
    a, b = values(2, 3, 3, dtype=dtype) + 3 * np.eye(3), values(3, 2, dtype=dtype)
    full = np.tril(a) if lower else np.triu(a)
    op = {0: full, 1: full.mT, 2: adjoint(full)}[{"N": 0, "T": 1, "C": 2}.get(trans, trans)]
    assert_close(LA.solve_triangular(a, b, trans, lower), np.linalg.solve(op, b))
    assert_close(LA.solve_triangular(a[0], b[:, 0], trans, lower), np.linalg.solve(op[0], b[:, 0]))
    unit = LA.solve_triangular(a, b, trans, lower, unit_diagonal=True)
    one = np.eye(3)
    assert_close(unit, np.linalg.solve(op - op * one + one, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 3), (0, 2), (1, 1)])
def test_lu(shape, dtype):
    a = values(*shape, dtype=dtype)
    p, l, u = map(np.asarray, LA.lu(a))
    assert_close(p @ l @ u, a)
    k = min(shape[-2:])
    assert (l.shape[-1], u.shape[-2]) == (k, k)
    joined, upper = LA.lu(a, permute_l=True)
    assert_close(joined, p @ l)
    assert_close(upper, u)


@pytest.mark.parametrize("trans", [0, 1, 2])
def test_lu_factor_and_solve(trans):
    a, b = values(4, 4, dtype="complex128"), values(4, 2, dtype="complex128")
    op = (a, a.T, adjoint(a))[trans]
    assert_close(LA.lu_solve(LA.lu_factor(a), b, trans), np.linalg.solve(op, b))
    assert_close(LA.lu_solve(LA.lu_factor(a), b[:, 0], trans), np.linalg.solve(op, b[:, 0]))
    stack = np.stack([a, 2 * a])
    assert_close(LA.lu_solve(LA.lu_factor(stack), b), np.linalg.solve(stack, b))
    assert_close(rf.jit(lambda a, b: LA.lu_solve(LA.lu_factor(a), b))(a, b), np.linalg.solve(a, b))


def test_qr_and_svd_have_scipys_modes():
    a = values(4, 2)
    assert [x.shape for x in LA.qr(a)] == [(4, 4), (4, 2)]
    assert [x.shape for x in LA.qr(a, mode="r")] == [(4, 2)]
    assert_close(LA.qr(a, mode="economic")[1], np.linalg.qr(a).R)
    u, s, vh = LA.svd(a, full_matrices=False)
    assert_close(np.asarray(u) * np.asarray(s) @ np.asarray(vh), a)
    assert_close(LA.svd(a, compute_uv=False), s)
    assert_close(LA.det(a[:2]), np.linalg.det(a[:2]))
    assert_close(LA.inv(a[:2]), np.linalg.inv(a[:2]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigh(dtype):
    a, b = positive(3, 3, dtype=dtype), positive(3, 3, dtype=dtype)
    w, v = map(np.asarray, LA.eigh(a))
    assert_close(a @ v, v * w)
    w, v = map(np.asarray, LA.eigh(a, b))
    assert_close(a @ v, b @ v * w)
    assert_close(adjoint(v) @ b @ v, np.eye(3, dtype=dtype))
    assert_close(LA.eigh(a, b, eigvals_only=True), w)
    upper = np.triu(a) + np.tril(values(3, 3, dtype=dtype), -1)
    assert_close(LA.eigh(upper, lower=False, eigvals_only=True), np.linalg.eigvalsh(a))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", ["real", "complex"])
def test_schur(output, dtype):
    a = values(4, 4, dtype=dtype)
    t, z = map(np.asarray, LA.schur(a, output))
    wide = np.result_type(dtype, "complex64") if output == "complex" else dtype
    assert_close(z @ t @ adjoint(z), a.astype(wide))
    assert not np.tril(t, -1 if wide != dtype or dtype.startswith("c") else -2).any()
    with raises(UnsupportedError, "Schur decomposition has no derivative"):
        rf.grad(lambda a: abs(LA.schur(a, output)[0]).sum())(a)


@pytest.mark.parametrize("dtype", DTYPES)
def test_square_roots(dtype):
    a = positive(2, 3, 3, dtype=dtype)
    root = np.asarray(LA.sqrtm(a))
    assert_close(root @ root, a.astype(root.dtype))
    assert (np.linalg.eigvals(root).real > 0).all()
    turned = np.array([[0, -1], [1, 0]], dtype)
    half = np.sqrt(0.5)
    assert_close(LA.sqrtm(turned), np.array([[half, -half], [half, half]], root.dtype))
    assert_close(LA.sqrtm(np.zeros((2, 2), dtype)), np.zeros((2, 2), root.dtype))
    assert not np.isfinite(
        np.asarray(LA.sqrtm(np.array([[0, 1], [0, 0]], dtype)))
    ).all()  # has none
    check_grads(lambda x: LA.sqrtm(x @ x.T), (positive(3, 3),))


def test_exponential_is_that_of_numpy():
    a = values(3, 3)
    assert_close(LA.expm(a), rnp.linalg.expm(a))
    assert_close(np.asarray(LA.expm(a)) @ np.asarray(LA.expm(-a)), np.eye(3))


def test_block_diag():
    found = LA.block_diag(np.ones((2, 1), "int32"), np.zeros((0, 2), "int32"), [2, 3], 4)
    expected = np.zeros((4, 6), "int32")
    expected[:2, 0], expected[2, 3:5], expected[3, 5] = 1, (2, 3), 4
    assert_close(found, expected)
    assert LA.block_diag(np.ones((1, 1), "int32"), 1.5).dtype == np.float32
    assert LA.block_diag().shape == (1, 0)
    check_grads(lambda a, b: LA.block_diag(a, b), (values(2, 1), values(1, 2)))
    with raises(ShapeError, "block_diag takes matrices, but got an array of shape (1, 1, 1)"):
        LA.block_diag(np.ones((1, 1, 1)))


def test_toeplitz():
    c, r = np.array([1, 2, 3]), np.array([9, 5, 6, 7])
    assert_close(LA.toeplitz(c, r), np.array([[1, 5, 6, 7], [2, 1, 5, 6], [3, 2, 1, 5]]))
    z = np.array([1, 2 + 1j])
    assert_close(LA.toeplitz(z), np.array([[1, 2 - 1j], [2 + 1j, 1]]))
    stack = values(2, 3)
    assert_close(LA.toeplitz(stack), np.stack([np.asarray(LA.toeplitz(x)) for x in stack]))
    assert LA.toeplitz(c, np.zeros(0, int)).shape == (3, 0)
    check_grads(LA.toeplitz, (values(3), values(4)))
    with raises(ShapeError, "toeplitz takes vectors, but got shapes () and ()"):
        LA.toeplitz(1.0)


def test_bad_arguments():
    a = np.eye(2)
    with raises(ArgumentError, "trans is 0, 1 or 2, not 'X'"):
        LA.solve_triangular(a, np.ones(2), "X")
    with raises(
        ShapeError, "solve_triangular: matrices of 2 rows and right-hand sides of shape (3,)"
    ):
        LA.solve_triangular(a, np.ones(3))
    with raises(ArgumentError, "assume_a is 'gen', 'sym', 'her' or 'pos', not 'x'"):
        LA.solve(a, np.ones(2), assume_a="x")
    with raises(ArgumentError, "mode is 'full', 'r' or 'economic', not 'reduced'"):
        LA.qr(a, "reduced")
    with raises(ArgumentError, "output is 'real' or 'complex', not 'x'"):
        LA.schur(a, "x")
    with raises(UnsupportedError, "blocksize of 1"):
        LA.sqrtm(a, 64)


def test_scipys_other_keywords_are_accepted():
    a = positive(3, 3)
    assert_close(LA.cholesky(a, overwrite_a=False, check_finite=False), LA.cholesky(a))
    assert_close(LA.solve(a, a, overwrite_b=True, check_finite=False), np.eye(3))


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_scipys(dtype):
    scipy = pytest.importorskip("scipy.linalg")
    a, b = values(4, 4, dtype=dtype), positive(4, 4, dtype=dtype)
    np.testing.assert_allclose(LA.det(a), scipy.det(a), rtol=10 * TOLERANCE[dtype])
    for name in ("expm", "inv"):
        assert_close(getattr(LA, name)(a), getattr(scipy, name)(a))
    assert_close(LA.sqrtm(b), scipy.sqrtm(b).astype(np.result_type(dtype, "complex64")))
    for name in ("lu", "qr", "lu_factor"):
        for found, expected in zip(getattr(LA, name)(a), getattr(scipy, name)(a)):
            assert np.asarray(found).shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=0, atol=10 * TOLERANCE[dtype])
    assert_close(
        LA.eigh(b, positive(4, 4, dtype=dtype) * 0 + b, eigvals_only=True), np.ones(4, b.real.dtype)
    )
    assert_close(LA.toeplitz(a[0], a[1]), scipy.toeplitz(a[0], a[1]))
    assert_close(LA.block_diag(a, b), scipy.block_diag(a, b))
