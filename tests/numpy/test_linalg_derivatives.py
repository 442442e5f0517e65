"""Derivatives of rtfunc.numpy.linalg: beyond the primitives', in degenerate cases, and JAX's."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import UnsupportedError
from rtfunc.testing import check_grads
from tests.matrices import (  # noqa: F401
    assert_close,
    hermitian,
    positive,
    regular,
    same_matrices,
    values,
)
from tests.messages import raises

LA = rnp.linalg


def test_derivatives_of_solve_reuse_the_factorization():
    a, b = regular(3, 3), values(3, 2)
    check_grads(LA.solve, (a, b), order=3)
    check_grads(LA.solve, (regular(2, 3, 3), values(3)))
    check_grads(LA.inv, (a,))
    graph = str(rf.make_graph(rf.hessian(lambda a: LA.solve(a, b).sum()))(a))
    assert graph.count("= lu(") == 1


def test_derivatives_of_complex_functions():
    """Of functions that do not depend on the complex factors of eigenvectors."""
    z = hermitian(3, 3, dtype="complex128")
    check_grads(lambda z: abs(LA.eigh(z).eigenvectors) ** 2, (z,))
    check_grads(LA.eigvalsh, (z,))

    def low_rank(z):
        u, s, vh = LA.svd(z, full_matrices=False)
        return u[:, :1] * s[:1] @ vh[:1]

    for shape in ((3, 3), (4, 2), (2, 4)):
        check_grads(low_rank, (values(*shape, dtype="complex128"),))
    check_grads(lambda z: LA.slogdet(z)[1], (regular(3, 3, dtype="complex128"),))


def test_derivatives_of_determinants_of_singular_matrices():
    """To second order; that of rank n - 2 is all that is left where the gradient is zero."""
    for n in (2, 3, 4, 5):
        for rank in (n - 1, n - 2):
            check_grads(LA.det, (values(n, rank) @ values(rank, n),), order=2)
    complex_ = values(4, 3, dtype="complex128") @ values(3, 4)
    check_grads(lambda a: LA.det(a).real, (complex_,), order=2)
    second = rf.hessian(LA.det)(np.diag([2.0, 3.0, 0.0, 0.0]))
    assert float(second[2, 2, 3, 3]) == pytest.approx(6)
    assert float(second[2, 3, 3, 2]) == pytest.approx(-6)
    first_column = values(4, 4)
    first_column[:, 0] = 0
    check_grads(LA.det, (first_column,), order=2)
    np.testing.assert_allclose(rf.grad(LA.det)(np.zeros((4, 4))), np.zeros((4, 4)))
    check_grads(LA.det, (regular(4, 4),), order=3)


def test_derivatives_with_equal_eigenvalues():
    """Those of values, of inverses and of exponentials exist; those of vectors do not."""
    one = np.eye(3)
    np.testing.assert_allclose(rf.grad(lambda a: LA.eigvalsh(a).sum())(one), one)
    np.testing.assert_allclose(rf.grad(lambda a: LA.svdvals(a).sum())(one), one)
    np.testing.assert_allclose(rf.grad(lambda a: LA.pinv(a).sum())(one), -np.ones((3, 3)))
    check_grads(LA.pinv, (one,))
    check_grads(LA.expm, (one,))
    assert not np.isfinite(np.asarray(rf.grad(lambda a: LA.eigh(a)[1].sum())(one))).all()


def test_derivative_of_pinv_of_low_rank():
    """Along matrices of the same rank, where the pseudo-inverse is smooth."""
    check_grads(lambda u, v: LA.pinv(u @ v), (values(4, 2), values(2, 3)))
    check_grads(lambda a, b: LA.lstsq(a, b).x, (values(5, 2), values(5)))
    check_grads(lambda a, b: LA.lstsq(a, b).residuals, (values(5, 2), values(5, 2)))


def test_derivative_of_full_singular_vectors_is_refused():
    with raises(
        UnsupportedError, "svd with full_matrices=True has no derivative", "full_matrices=False"
    ):
        rf.grad(lambda a: LA.svd(a).U.sum())(values(3, 2))
    check_grads(lambda a: LA.svd(a).S, (values(3, 3),))


def test_gradient_of_norms_at_zero_is_zero():
    for x in (np.zeros(3), np.zeros((2, 2))):
        np.testing.assert_array_equal(rf.grad(LA.norm)(x), x)
    check_grads(lambda x: LA.norm(x, axis=0), (values(3, 2),))


@pytest.mark.oracle
def test_derivatives_are_jaxs():
    """In float32, jax's default: values to 1e-3 of the largest at these well-conditioned matrices."""
    jax = pytest.importorskip("jax")
    a = (positive(4, 4) + np.diag([1.0, 3.0, 6.0, 10.0])).astype("float32")
    z = (a + 0.2j * values(4, 4)).astype("complex64")
    w = values(4, 4).astype("float32")

    def check(function, x):
        def loss(np_, x):
            return (np_.abs(function(np_.linalg)(x)) * w[:4]).sum()

        expected = jax.grad(lambda x: loss(jax.numpy, x))(x)
        assert_close(rf.grad(lambda x: loss(rnp, x))(x), np.asarray(expected), 1e-3)

    for x in (a, z):
        check(lambda la: lambda x: la.cholesky(x @ x.conj().T), x)
        check(lambda la: la.inv, x)
        check(lambda la: lambda x: la.qr(x)[0], x)
        check(lambda la: lambda x: la.qr(x)[1], x)
        check(lambda la: lambda x: la.svd(x)[0], x)
        check(lambda la: lambda x: la.svd(x)[1], x)
        check(lambda la: lambda x: la.eigh(x)[1], x)
        check(lambda la: lambda x: la.eigh(x)[0], x)
        check(lambda la: la.det, x)
        check(lambda la: lambda x: la.slogdet(x)[1], x)
        check(lambda la: la.eigvals, x)
        check(lambda la: la.pinv, x)
        check(lambda la: lambda x: la.norm(x, "nuc"), x)
