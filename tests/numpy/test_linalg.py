"""rtfunc.numpy.linalg against NumPy: values, derivatives, compiled code, bad input."""

from __future__ import annotations

import subprocess
import sys

import mpmath
import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import (
    ArgumentError,
    AxisError,
    DtypeError,
    ShapeError,
    TracerError,
)
from tests.matrices import (  # noqa: F401
    DTYPES,
    TOLERANCE,
    adjoint,
    assert_close,
    hermitian,
    positive,
    regular,
    same_matrices,
    values,
)
from tests.messages import raises

LA = rnp.linalg
#: All shapes of stacks of n×n matrices that are tried.
STACKS = [(3, 3), (2, 4, 4), (2, 3, 1, 1), (0, 0), (0, 2, 2), (2, 0, 0)]
SHAPES = [(4, 2), (2, 4), (3, 3), (2, 3, 2), (0, 3), (3, 0), (0, 2, 3)]


# Factorizations are compared through what they multiply to, and with NumPy's own.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", STACKS)
def test_cholesky(shape, dtype):
    a = positive(*shape, dtype=dtype)
    assert_close(LA.cholesky(a), np.linalg.cholesky(a))
    assert_close(LA.cholesky(a, upper=True), adjoint(np.linalg.cholesky(a)))


def test_cholesky_reads_one_triangle_without_symmetrization():
    a = positive(3, 3)
    lower, upper = np.tril(a) + np.triu(values(3, 3), 1), np.triu(a) + np.tril(values(3, 3), -1)
    assert_close(LA.cholesky(lower, symmetrize_input=False), np.linalg.cholesky(a))
    assert_close(LA.cholesky(upper, upper=True, symmetrize_input=False), np.linalg.cholesky(a).T)
    gradient = np.asarray(rf.grad(lambda a: LA.cholesky(a, symmetrize_input=False).sum())(lower))
    assert not np.triu(gradient, 1).any()
    symmetric = np.asarray(rf.grad(lambda a: LA.cholesky(a).sum())(a))
    np.testing.assert_allclose(symmetric, symmetric.T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        np.tril(symmetric + symmetric.T, -1), np.tril(gradient, -1), atol=1e-12
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(shape, dtype):
    a = values(*shape, dtype=dtype)
    for mode in ("reduced", "complete"):
        q, r = LA.qr(a, mode=mode)
        if a.size:
            for found, expected in zip((q, r), np.linalg.qr(a, mode)):
                assert_close(found, expected)
        assert_close(np.asarray(q) @ np.asarray(r), a)
        assert_close(
            adjoint(q) @ np.asarray(q),
            np.broadcast_to(np.eye(q.shape[-1], dtype=dtype), (*shape[:-2], *q.shape[-1:] * 2)),
        )
    assert_close(LA.qr(a, mode="r"), LA.qr(a).R)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd(shape, dtype):
    a = values(*shape, dtype=dtype)
    for full in (True, False):
        u, s, vh = LA.svd(a, full_matrices=full)
        k = s.shape[-1]
        assert_close(
            np.asarray(u)[..., :k] * np.asarray(s)[..., None, :] @ np.asarray(vh)[..., :k, :], a
        )
        expected = np.linalg.svd(a, full_matrices=full)
        assert (u.shape, s.shape, vh.shape) == tuple(x.shape for x in expected)
        assert_close(s, expected.S)
    assert_close(LA.svdvals(a), expected.S)
    assert_close(LA.svd(a, compute_uv=False), expected.S)


@pytest.mark.parametrize("dtype", DTYPES)
def test_svd_of_hermitian_matrices(dtype):
    a = hermitian(2, 4, 4, dtype=dtype) - 4 * np.eye(4, dtype=dtype)
    u, s, vh = LA.svd(a, hermitian=True)
    assert_close(np.asarray(u) * np.asarray(s)[..., None, :] @ np.asarray(vh), a)
    assert_close(s, np.linalg.svd(a, compute_uv=False))
    assert_close(LA.svd(a, compute_uv=False, hermitian=True), s)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", STACKS)
def test_eigh(shape, dtype):
    a = hermitian(*shape, dtype=dtype)
    expected = np.linalg.eigvalsh(a)
    w, v = LA.eigh(a)
    assert_close(w, expected)
    assert_close(LA.eigvalsh(a), expected)
    assert_close(a @ np.asarray(v), np.asarray(v) * np.asarray(w)[..., None, :].astype(dtype))
    other = values(*shape, dtype=dtype)
    for uplo in "LU":
        w = LA.eigvalsh(other, uplo, symmetrize_input=False)
        assert_close(w, np.linalg.eigvalsh(other, uplo))
        assert_close(LA.eigh(other, uplo, symmetrize_input=False).eigenvalues, w)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", STACKS)
def test_eig(shape, dtype):
    a = values(*shape, dtype=dtype)
    w, v = LA.eig(a)
    assert w.dtype == v.dtype == np.result_type(dtype, np.complex64)
    assert_close(a @ np.asarray(v), np.asarray(v) * np.asarray(w)[..., None, :])
    np.testing.assert_allclose(np.linalg.norm(v, axis=-2), 1, atol=1e-6)
    assert_close(np.sort(np.asarray(LA.eigvals(a))), np.sort(np.asarray(w)))
    assert_close(np.sort(np.asarray(w)), np.sort(np.linalg.eigvals(a)).astype(w.dtype))


# Solving


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", STACKS)
def test_inverses_and_determinants(shape, dtype):
    a = regular(*shape, dtype=dtype)
    assert_close(LA.inv(a), np.linalg.inv(a))
    assert_close(LA.det(a), np.linalg.det(a))
    for found, expected in zip(LA.slogdet(a), np.linalg.slogdet(a)):
        assert_close(found, expected)
    for n in (-2, 0, 1, 5):  # products of five matrices: some times the error of one
        assert_close(LA.matrix_power(a, n), np.linalg.matrix_power(a, n), 10 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 3, 3), (3, 2)),
        ((3, 3), (2, 3, 4)), ((3, 3), (2, 5, 3, 4)), ((2, 1, 3, 3), (4, 3, 2)), ((0, 0), (0,)),
        ((0, 0), (0, 2)), ((3, 3), (3, 0)), ((0, 2, 2), (2, 1)), ((0, 0), (2, 0, 3)),
    ],
)  # fmt: skip
def test_solve(a, b, dtype):
    a, b = regular(*a, dtype=dtype), values(*b, dtype=dtype)
    assert_close(LA.solve(a, b), np.linalg.solve(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_pinv_and_rank(shape, dtype):
    a = values(*shape, dtype=dtype)
    assert_close(LA.pinv(a), np.linalg.pinv(a))
    if a.size:  # NumPy refuses empty matrices
        np.testing.assert_array_equal(LA.matrix_rank(a), np.linalg.matrix_rank(a))
    assert LA.matrix_rank(a).shape == shape[:-2]
    assert LA.matrix_rank(a).dtype == np.int32


def test_tolerances_of_pinv_and_rank():
    a = np.diag([4.0, 2.0, 1e-3])
    for rtol in (1e-4, 1e-2, 0.6):
        assert_close(LA.pinv(a, rtol), np.linalg.pinv(a, rtol=rtol))
        assert_close(LA.pinv(a, rcond=rtol), np.linalg.pinv(a, rtol=rtol))
        assert int(LA.matrix_rank(a, rtol)) == np.linalg.matrix_rank(a, rtol=rtol)
        assert int(LA.matrix_rank(a, tol=rtol)) == np.linalg.matrix_rank(a, tol=rtol)
    stack, rtol = np.stack([a, a]), np.array([1e-2, 1e-4])
    assert_close(LA.pinv(stack, rtol), np.linalg.pinv(stack, rtol=rtol))
    np.testing.assert_array_equal(LA.matrix_rank(stack, rtol), [2, 3])
    assert int(LA.matrix_rank(np.zeros((3, 2)))) == 0
    assert int(LA.matrix_rank(np.ones(4))) == 1
    with raises(ArgumentError, "rtol or tol, not both"):
        LA.matrix_rank(a, 1e-3, tol=1e-3)


@pytest.mark.parametrize("b", [(6,), (6, 2)])
@pytest.mark.parametrize("rank", [3, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lstsq(b, rank, dtype):
    a, b = values(6, rank, dtype=dtype) @ values(rank, 3, dtype=dtype), values(*b, dtype=dtype)
    a /= np.linalg.norm(a)
    rcond = 1e-5  # above the rounding of what should be 0, in float32 too
    x, residuals, found_rank, s = LA.lstsq(a, b, rcond)
    expected = np.linalg.lstsq(a, b, rcond)
    assert_close(x, expected[0], 100 * TOLERANCE[dtype])
    assert int(found_rank) == expected[2] == rank
    assert_close(s, expected[3])
    sums = np.sum(np.abs(b - a @ expected[0]) ** 2, axis=0, keepdims=b.ndim == 1)
    assert_close(residuals, sums)
    assert LA.lstsq(a, b, rcond, numpy_resid=True).residuals.shape == expected[1].shape


def test_lstsq_of_wide_and_empty_matrices():
    a, b = values(2, 4), values(2)
    for rcond in (None, -1):
        assert_close(LA.lstsq(a, b, rcond).x, np.linalg.lstsq(a, b, rcond)[0])
    assert_close(LA.lstsq(np.zeros((3, 0)), np.ones(3)).x, np.zeros(0))
    assert_close(LA.lstsq(np.zeros((0, 2)), np.ones(0)).x, np.zeros(2))
    assert int(LA.lstsq(np.zeros((2, 2)), b).rank) == 0


def test_tensor_equations():
    a, b = values(2, 3, 6), values(2, 3)
    assert_close(LA.tensorsolve(a, b), np.linalg.tensorsolve(a, b))
    assert_close(LA.tensorinv(a, 2), np.linalg.tensorinv(a, 2))
    swapped = np.moveaxis(values(2, 3, 6), 2, 0)
    assert_close(LA.tensorsolve(swapped, b, (0,)), np.linalg.tensorsolve(swapped, b, (0,)))
    with raises(ShapeError, "the first 1 axes have 2 elements, the others 18"):
        LA.tensorinv(a, 1)
    with raises(ArgumentError, "ind is at least 1, not 0"):
        LA.tensorinv(a, 0)
    with raises(ShapeError, "tensorsolve of shapes (2, 3, 6) and (3,)"):
        LA.tensorsolve(a, values(3))


# Norms


@pytest.mark.filterwarnings("ignore:divide by zero")  # NumPy's, of 0 to a negative power
@pytest.mark.parametrize("dtype", ["float64", "complex128", "int32"])
def test_norms(dtype):
    x = (4 * values(3, 4, 5, dtype="complex128" if dtype == "complex128" else "float64")).astype(
        dtype
    )
    wide = x.astype("float32") if dtype == "int32" else x  # integers become float32
    tolerance = 1e-5 if dtype == "int32" else 1e-12
    for keep in (False, True):
        for order in (None, 0, 1, 2, 3, -1, 0.5, np.inf, -np.inf):
            assert_close(
                LA.norm(x, order, axis=1, keepdims=keep),
                np.linalg.norm(wide, order, 1, keep),
                tolerance,
            )
            if order is None:
                continue
            for axis in (1, (0, 2), None):
                found = LA.vector_norm(x, axis=axis, keepdims=keep, ord=order)
                assert_close(
                    found,
                    np.linalg.vector_norm(wide, axis=axis, keepdims=keep, ord=order),
                    tolerance,
                )
        for order in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
            for axis in ((0, 1), (-1, 0)):
                assert_close(
                    LA.norm(x, order, axis, keep),
                    np.linalg.norm(wide, order, axis, keep),
                    tolerance,
                )
            if order is not None:
                assert_close(
                    LA.matrix_norm(x, ord=order, keepdims=keep),
                    np.linalg.matrix_norm(wide, ord=order, keepdims=keep),
                    tolerance,
                )
        assert_close(LA.norm(x, keepdims=keep), np.linalg.norm(wide, keepdims=keep), tolerance)
    assert_close(LA.norm(x[0]), np.linalg.norm(wide[0]), tolerance)
    assert_close(LA.norm(x[0], 1), np.linalg.norm(wide[0], 1), tolerance)
    assert_close(LA.norm(x[0, 0], 1), np.linalg.norm(wide[0, 0], 1), tolerance)


def test_norms_of_half_precision():
    x = rnp.asarray([3.0, 4.0], dtype="bfloat16")
    assert LA.norm(x).dtype == rnp.bfloat16
    assert float(LA.norm(x)) == 5


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"])
def test_cond(p):
    a = regular(2, 3, 3)
    assert_close(LA.cond(a, p), np.linalg.cond(a, p))
    singular = np.ones((2, 2))
    if p not in (-2,):
        assert float(LA.cond(singular, p)) > 1e15
    assert np.isnan(float(LA.cond(np.full((2, 2), np.nan), p)))
    with raises(ShapeError, "cond takes matrices that are not empty, but got shape (0, 2)"):
        LA.cond(np.zeros((0, 2)))


# Products


def test_products_and_diagonals_work_on_the_last_axes():
    a, b = values(2, 3, 4), values(2, 3, 4)
    assert_close(LA.diagonal(a, offset=1), np.linalg.diagonal(a, offset=1))
    assert_close(LA.trace(a, offset=-1), np.linalg.trace(a, offset=-1))
    assert LA.trace(a, dtype="float32").dtype == np.float32
    assert_close(LA.cross(a[..., :3], b[..., :3]), np.linalg.cross(a[..., :3], b[..., :3]))
    assert_close(LA.cross(a, b, axis=1), np.linalg.cross(a, b, axis=1))
    assert_close(LA.outer(a[0, 0], b[0, 1]), np.linalg.outer(a[0, 0], b[0, 1]))
    assert_close(LA.vecdot(a, b, axis=1), np.linalg.vecdot(a, b, axis=1))
    assert_close(
        LA.tensordot(a, b, axes=((0, 1), (0, 1))), np.linalg.tensordot(a, b, axes=((0, 1), (0, 1)))
    )
    assert_close(LA.matmul(a, b.mT), np.linalg.matmul(a, b.mT))
    assert_close(LA.matrix_transpose(a), a.mT)
    assert_close(LA.multi_dot([a[0], b[0].T, a[1]]), np.linalg.multi_dot([a[0], b[0].T, a[1]]))
    with raises(ShapeError, "axis -1 of shape (2, 3, 4) has size 4"):
        LA.cross(a, b)
    with raises(ShapeError, "linalg.outer takes vectors, but got shapes (2, 3, 4) and (2, 3, 4)"):
        LA.outer(a, b)


def test_powers_of_integers():
    a = np.array([[1, 1], [1, 0]])
    assert_close(LA.matrix_power(a, 10), np.linalg.matrix_power(a, 10))
    assert LA.matrix_power(a, -1).dtype == np.float32


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.1, 0.5, 1.0, 4.0, 60.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_expm(scale, dtype):
    """Against the eigenvalues of a matrix that is made of well-conditioned eigenvectors."""
    v, w = regular(4, 4).astype("complex128"), scale * values(4, dtype="complex128").imag * 1j
    if dtype.startswith("float"):  # two conjugate pairs
        v, w = (
            np.linalg.qr(values(4, 4))[0] @ np.kron(np.eye(2), [[1, 1], [1j, -1j]]),
            np.array([1j, -1j, 2j, -2j]) * scale,
        )
    a = v * w @ np.linalg.inv(v)
    exact = v * np.exp(w) @ np.linalg.inv(v)
    a, exact = ((x.real if dtype.startswith("float") else x).astype(dtype) for x in (a, exact))
    # The condition of exp grows with the norm of the matrix.
    assert_close(LA.expm(a), exact, TOLERANCE[dtype] * max(1, 4 * scale))


@pytest.mark.parametrize("scale", [0.01, 0.2, 1, 8])
def test_expm_is_that_of_many_digits(scale):
    with mpmath.workdps(40):
        a = scale * values(5, 5)
        exact = mpmath.expm(mpmath.matrix(a.tolist()), method="taylor").tolist()
    # Products of the 5 or so squarings that these norms need lose some tens of eps.
    error = np.linalg.norm(np.asarray(LA.expm(a)) - np.array(exact, float))
    assert error < 2e-14 * np.linalg.norm(np.array(exact, float))


def test_exponential_of_stacks_and_of_what_is_not_finite():
    a = values(2, 3, 3)
    assert_close(LA.expm(a), np.stack([np.asarray(LA.expm(x)) for x in a]))
    assert np.isnan(np.asarray(LA.expm(np.full((2, 2), np.inf)))).all()
    assert LA.expm(np.zeros((0, 0))).shape == (0, 0)


# No exceptions for values


def test_what_has_no_factorization_is_nan():
    bad = np.stack([np.eye(2), -np.eye(2), np.full((2, 2), np.nan)])
    found = np.asarray(LA.cholesky(bad))
    np.testing.assert_array_equal(found[0], np.eye(2))
    np.testing.assert_array_equal(found[1:, 0, 1], 0)
    assert np.isnan(found[1:, [0, 1, 1], [0, 0, 1]]).all()
    nan = np.full((3, 2, 2), np.nan)
    nan[0] = np.eye(2)
    for function in (LA.eigh, LA.eig, LA.svd, LA.qr):
        for out in map(np.asarray, function(nan)):
            assert np.isfinite(out[0]).all()
            assert np.isnan(out[1:]).all() or function is LA.qr
    assert np.isnan(LA.pinv(nan)[1:]).all()
    for out in LA.eig(np.full((2, 2), np.inf)):
        assert np.isnan(np.asarray(out).real).all()
        assert np.isnan(np.asarray(out).imag).all()


def test_singular_systems_are_not_finite():
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert not np.isfinite(np.asarray(LA.solve(singular, np.ones(2)))).any()
    assert not np.isfinite(np.asarray(LA.inv(np.zeros((2, 2))))).any()
    sign, logarithm = LA.slogdet(singular)
    assert (float(sign), float(logarithm)) == (0, -np.inf)


# Compiled, batched


@pytest.mark.parametrize(
    "function",
    [
        LA.cholesky, LA.inv, LA.det, LA.slogdet, LA.eigh, LA.eig, LA.svd, LA.svdvals, LA.qr, LA.pinv,
        LA.expm, LA.matrix_rank, LA.cond, LA.norm, LA.trace,
        lambda a: LA.solve(a, a[0]), lambda a: LA.lstsq(a, a[:, 0]), lambda a: LA.matrix_power(a, -3),
        rf.grad(LA.det), rf.grad(lambda a: LA.slogdet(a)[1]), rf.grad(lambda a: LA.cholesky(a).sum()),
        rf.grad(lambda a: LA.eigh(a)[1][0].sum()), rf.hessian(lambda a: LA.solve(a, a[0]).sum()),
    ],
)  # fmt: skip
def test_compiled_and_batched_is_eager(function):
    """float64, in which both have 1e-12 at these well-conditioned matrices."""
    stack = positive(3, 3, 3) + np.diag([1.0, 2.0, 4.0])
    expected = [rf.tree.leaves(function(a)) for a in map(rnp.asarray, stack)]
    for i, a in enumerate(stack):
        for found, value in zip(rf.tree.leaves(rf.jit(function)(a)), expected[i], strict=True):
            assert_close(found, value, 1e-11)
    for mapped in (rf.vmap(function), rf.jit(rf.vmap(function))):
        for i, found in enumerate(rf.tree.leaves(mapped(stack))):
            assert_close(found, np.stack([np.asarray(e[i]) for e in expected]), 1e-11)


def test_shared_matrices_are_factorized_once_for_a_batch():
    a, b = regular(3, 3), values(5, 3)
    assert_close(rf.vmap(lambda b: LA.solve(a, b))(b), np.linalg.solve(a, b.T).T)
    graph = str(rf.make_graph(rf.vmap(lambda b: LA.solve(a, b)))(b))
    assert "float64[3,5]" in graph


# Bad input

SQUARE = [
    LA.cholesky,
    LA.inv,
    LA.det,
    LA.slogdet,
    LA.eig,
    LA.eigvals,
    LA.eigh,
    LA.eigvalsh,
    LA.expm,
]
MATRICES = [*SQUARE, LA.svd, LA.svdvals, LA.qr, LA.pinv]


@pytest.mark.parametrize("function", MATRICES)
def test_matrices_are_asked_for(function):
    name = "svd" if function is LA.svdvals else function.__name__
    with pytest.raises(
        ShapeError, match=r"takes matrices: an array with at least two axes, not shape \(3,\)"
    ):
        function(np.ones(3))
    with pytest.raises(
        DtypeError,
        match=rf"{name[:3]}.* computes in float32, float64, complex64 or complex128, but got float16",
    ):
        function(np.ones((2, 2), "float16"))
    with pytest.raises(
        DtypeError,
        match=r"but got bfloat16. Convert it first, for example with x.astype\('float32'\)",
    ):
        function(rnp.ones((2, 2), "bfloat16"))
    with pytest.raises(
        DtypeError, match="takes arrays and numbers, but got an argument of type list"
    ):
        function([[1.0]])


@pytest.mark.parametrize("function", SQUARE)
def test_square_matrices_are_asked_for(function):
    with raises(ShapeError, "takes square matrices, but the last two axes of shape (3, 2) differ"):
        function(np.ones((3, 2)))


@pytest.mark.parametrize("function", [*MATRICES, lambda a: LA.solve(a, a)])
def test_integers_become_float32(function):
    a = np.array([[2, 1], [1, 3]])
    for found, expected in zip(
        rf.tree.leaves(function(a)), rf.tree.leaves(function(a.astype("float32")))
    ):
        assert_close(found, expected)


def test_other_bad_arguments():
    a = np.ones((2, 2))
    with raises(ShapeError, "have 2 rows, the right-hand sides of shape (3, 1) have 3"):
        LA.solve(a, np.ones(3))
    with raises(ShapeError, "solve got shapes that do not broadcast"):
        LA.solve(np.ones((2, 2, 2)), np.ones((3, 2, 1)))
    with raises(ArgumentError, "mode is 'reduced', 'complete' or 'r', not 'raw'"):
        LA.qr(a, mode="raw")
    with raises(ArgumentError, "UPLO is 'L' or 'U', not 'X'"):
        LA.eigh(a, "X")
    with raises(ArgumentError, "'nuc' is not an order of a norm of vectors"):
        LA.norm(np.ones(2), "nuc")
    with raises(ArgumentError, "3 is not an order of a norm of matrices"):
        LA.norm(a, 3)
    with raises(ShapeError, "one axis (of vectors) or two (of matrices), but got 3"):
        LA.norm(np.ones((2, 2, 2)), 2)
    with raises(AxisError, "norm: axis 2 is out of bounds"):
        LA.norm(a, axis=2)
    with raises(ShapeError, "matrix_norm takes an array with at least two axes, not shape (2,)"):
        LA.matrix_norm(np.ones(2))
    with raises(DtypeError, "matrix_power: n is an integer, not 0.5"):
        LA.matrix_power(a, 0.5)
    with raises(ShapeError, "matrix_power takes square matrices, but got shape (2, 3)"):
        LA.matrix_power(np.ones((2, 3)), 2)
    with raises(ShapeError, "lstsq takes a matrix [m, n]"):
        LA.lstsq(a, np.ones(3))
    with pytest.raises(TracerError):
        rf.jit(lambda a: LA.lstsq(a, np.ones(3), numpy_resid=True))(np.ones((3, 2)))


def test_results_are_named_as_numpys():
    a = np.eye(2)
    for name in ("qr", "svd", "eig", "eigh", "slogdet"):
        assert getattr(LA, name)(a)._fields == getattr(np.linalg, name)(a)._fields


def test_the_module_is_loaded_when_used():
    program = (
        "import sys, rtfunc.numpy as n; assert 'rtfunc.numpy.linalg' not in sys.modules; n.linalg"
    )
    assert subprocess.run([sys.executable, "-c", program], check=True).returncode == 0
    assert "linalg" in dir(rnp)
    with pytest.raises(AttributeError, match="has no attribute 'linear'"):
        _ = rnp.linear


def test_the_standards_extension_is_complete():
    """https://data-apis.org/array-api/2024.12/extensions/linear_algebra_functions.html"""
    names = (
        "cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank "
        "matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm"
    )
    assert not [name for name in names.split() if not hasattr(LA, name)]
    numpys = [name for name in dir(np.linalg) if not name.startswith("_") and name.islower()]
    assert {n for n in numpys if not hasattr(LA, n)} <= {"linalg", "test"}
