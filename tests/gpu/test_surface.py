"""The public functions on GPU arrays: rtfunc.numpy, indices and updates, linalg, fft, scipy, lax."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.scipy import linalg as scipy_linalg
from rtfunc.scipy import special, stats
from tests.gpu.comparison import assert_close, assert_on_gpu, check, on_gpu

_generator = np.random.default_rng(0)
X = _generator.normal(size=(6, 5)).astype("float32")
Y = _generator.normal(size=(6, 5)).astype("float32")
POSITIVE = np.abs(X) + 0.5
INTEGERS = _generator.integers(-9, 9, size=(6, 5)).astype("int32")
SQUARE = (_generator.normal(size=(3, 4, 4)) + 4 * np.eye(4)).astype("float64")
SYMMETRIC = SQUARE @ SQUARE.swapaxes(1, 2)
B = _generator.normal(size=(3, 4, 2))


FUNCTIONS = {
    "arithmetic": lambda x, y: (
        x + y,
        x - 2,
        3 * x,
        x / y,
        x**2,
        x ** y.astype(int),
        -x,
        x % 2,
        x // 2,
    ),
    "comparison": lambda x, y: (x < y, x == y, rnp.isnan(x), (x > 0) & (y > 0), ~(x > 0)),
    "elementary": lambda x, y: (
        rnp.exp(x),
        rnp.sin(x),
        rnp.tanh(x),
        rnp.log1p(x * x),
        rnp.arctan2(x, y),
    ),
    "rounding": lambda x, y: (rnp.floor(x), rnp.round(x, 1), rnp.trunc(y), rnp.sign(x)),
    "reductions": lambda x, y: (x.sum(), x.mean(0), x.var(1), rnp.prod(y, 1), x.max(), y.min(0)),
    "argreductions": lambda x, y: (x.argmax(), x.argmin(1), rnp.any(x > 0, 0), rnp.all(x > -9)),
    "norms": lambda x, y: (rnp.linalg.norm(x), rnp.linalg.norm(y, axis=1), rnp.median(x, 1)),
    "cumulative": lambda x, y: (rnp.cumsum(x, 0), rnp.cumprod(y, 1), rnp.diff(x), lax.cummax(x)),
    "sorting": lambda x, y: (
        rnp.sort(x),
        rnp.argsort(y, 0),
        rnp.searchsorted(rnp.sort(x[0]), y[0]),
    ),
    "selection": lambda x, y: (
        rnp.where(x > 0, x, y),
        rnp.clip(x, -1, 1),
        rnp.select([x > 1], [y]),
    ),
    "joining": lambda x, y: (
        rnp.concatenate([x, y]),
        rnp.stack([x, y], 1),
        rnp.split(x, 3),
        rnp.tile(x, 2),
    ),
    "shapes": lambda x, y: (
        x.T,
        x.reshape(3, -1),
        rnp.roll(x, 2, 1),
        rnp.flip(x),
        rnp.pad(x, 1),
        x[None],
    ),
    "creation": lambda x, y: (
        x + rnp.arange(5),
        rnp.ones_like(x),
        x + rnp.zeros(5),
        x @ rnp.eye(5),
    ),
    "contraction": lambda x, y: (
        x @ y.T,
        rnp.einsum("ij,kj->ik", x, y),
        rnp.dot(x[0], y[0]),
        rnp.outer(x[0], y[1]),
    ),
    "quantiles": lambda x, y: (rnp.quantile(x, 0.3), rnp.percentile(y, [10, 50], axis=0)),
    "histogram": lambda x, y: rnp.histogram(x, bins=4, range=(-2, 2))[0],
    "interpolation": lambda x, y: rnp.interp(x[0], rnp.arange(5.0), y[0]),
    "polynomials": lambda x, y: rnp.polyval(x[0], y),
    "triangles": lambda x, y: (rnp.tril(x), rnp.triu(y, 1), rnp.diag(x[0]), rnp.trace(y)),
    "meshes": lambda x, y: rnp.meshgrid(x[0], y[0]),
    "complex": lambda x, y: (rnp.abs(x + 1j * y), rnp.real(rnp.exp(1j * x)), rnp.angle(x + 1j * y)),
    "half": lambda x, y: (x.astype("float16") * y.astype("float16"), rnp.exp(x.astype("bfloat16"))),
    "half_products": lambda x, y: (
        x.astype("bfloat16") @ y.T.astype("bfloat16"),
        x.astype("float16") @ y.T.astype("float16"),
    ),
    "convolution": lambda x, y: rnp.convolve(x[0], y[0]),
    "NumPy's arrays follow": lambda x, y: (x + Y, rnp.where(X > 0, x, Y), x @ Y.T),
}

INDICES = {
    "integer": lambda x: x[2],
    "slice": lambda x: x[1:5:2, ::-1],
    "ellipsis": lambda x: x[..., None, 2],
    "list": lambda x: x[[0, 2, 2]],
    "array": lambda x: x[rnp.array([1, 3]), rnp.array([0, 4])],
    "numpy array": lambda x: x[np.array([1, 3])],
    "negative": lambda x: x[rnp.array([-1, -2])],
    "out of bounds": lambda x: x[rnp.array([7, -9])],
    "mixed": lambda x: x[rnp.array([1, 3]), 1:3],
    "take": lambda x: (
        rnp.take(x, rnp.array([3, 1]), axis=0),
        rnp.take_along_axis(x, rnp.argsort(x), 1),
    ),
    "set": lambda x: x.at[1].set(7.0),
    "add": lambda x: x.at[rnp.array([1, 1, 2])].add(1.0),
    "max": lambda x: x.at[rnp.array([1, 1, 2])].max(0.0),
    "multiply": lambda x: x.at[:, 2].multiply(3.0),
    "set many": lambda x: x.at[rnp.array([0, 3]), rnp.array([1, 2])].set(rnp.array([5.0, 6.0])),
    "get": lambda x: x.at[rnp.array([9])].get(mode="fill", fill_value=-1.0),
}

LINALG = {
    "cholesky": lambda s, a, b: rnp.linalg.cholesky(s),
    "solve": lambda s, a, b: rnp.linalg.solve(a, b),
    "inv": lambda s, a, b: (rnp.linalg.inv(a), rnp.linalg.det(a), rnp.linalg.slogdet(a)),
    "eigvalsh": lambda s, a, b: rnp.linalg.eigvalsh(s),
    "eigh": lambda s, a, b: (lambda w, v: (v * w[..., None, :]) @ v.swapaxes(1, 2))(
        *rnp.linalg.eigh(s)
    ),
    "svd": lambda s, a, b: (lambda u, w, v: (u * w[..., None, :]) @ v)(
        *rnp.linalg.svd(a, full_matrices=False)
    ),
    "singular values": lambda s, a, b: rnp.linalg.svd(a, compute_uv=False),
    "qr": lambda s, a, b: (lambda q, r: (q @ r, q.swapaxes(1, 2) @ q))(*rnp.linalg.qr(a)),
    "lstsq": lambda s, a, b: rnp.linalg.lstsq(a[0], b[0])[0],
    "pinv": lambda s, a, b: rnp.linalg.pinv(a),
    "matrix_power": lambda s, a, b: rnp.linalg.matrix_power(a, 3),
    "expm": lambda s, a, b: scipy_linalg.expm(a[0] / 4),
    "lu": lambda s, a, b: scipy_linalg.lu(a[0]),
    "solve_triangular": lambda s, a, b: scipy_linalg.solve_triangular(
        rnp.tril(a[0]), b[0], lower=True
    ),
    "cho_solve": lambda s, a, b: scipy_linalg.cho_solve(scipy_linalg.cho_factor(s[0]), b[0]),
    "eigvals": lambda s, a, b: rnp.sort(rnp.abs(rnp.linalg.eigvals(a)), axis=-1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy(name):
    check(FUNCTIONS[name], rnp.asarray(X), rnp.asarray(Y), factor=4)


@pytest.mark.parametrize("name", INDICES)
def test_indexing(name):
    check(INDICES[name], rnp.asarray(X))


def test_boolean_masks_are_read():
    x = on_gpu(rnp.asarray(X))
    found = x[x > 0]
    assert_on_gpu(found)
    assert_close(found, rnp.asarray(X[X > 0]))
    assert_close(rnp.nonzero(x > 1), rnp.nonzero(rnp.asarray(X) > 1))


def test_integers():
    check(
        lambda i: (i // 3, i % 4, i & 6, i << 2, i >> 1, ~i, i.sum(), abs(i), i**3),
        rnp.asarray(INTEGERS),
    )
    check(
        lambda i: (rnp.unique(i, size=12), rnp.bincount(abs(i).ravel(), length=10)),
        rnp.asarray(INTEGERS),
    )


@pytest.mark.parametrize("name", LINALG)
def test_linalg(name):
    args = [rnp.asarray(a) for a in (SYMMETRIC, SQUARE, B)]
    check(LINALG[name], *args, factor=100)  # condition numbers up to 100


@pytest.mark.parametrize("name", ["cholesky", "solve", "inv", "eigvalsh", "svd", "eigh", "pinv"])
def test_gradients_of_linalg(name):
    args = [rnp.asarray(a) for a in (SYMMETRIC, SQUARE, B)]

    def loss(*xs):
        outs = rf.tree.leaves(LINALG[name](*xs))
        return sum((o * o).sum() for o in outs)

    check(rf.grad(loss, argnums=(0, 1, 2)), *args, factor=1000)


def test_fft():
    def transforms(x):
        z = rnp.fft.fft2(x)
        return (
            *(z, rnp.fft.ifft(z), rnp.fft.rfft(x), rnp.fft.irfft(rnp.fft.rfft(x), n=5)),
            rnp.fft.fftshift(z),
        )

    check(transforms, rnp.asarray(X))
    check(rf.grad(lambda x: rnp.abs(rnp.fft.rfftn(x)).sum()), rnp.asarray(X), factor=10)


SPECIAL = {
    "gamma": lambda x: (special.gammaln(x), special.digamma(x), special.gamma(x)),
    "error": lambda x: (special.erf(x), special.erfc(x), special.ndtr(x), special.log_ndtr(-x)),
    "inverse": lambda x: (special.erfinv(x / 9), special.ndtri(x / 9), special.logit(x / 9)),
    "bessel": lambda x: (special.i0(x), special.i1e(x)),
    "incomplete": lambda x: (special.gammainc(x, x), special.betainc(x, 2.0, x / 9)),
    "information": lambda x: (special.entr(x), special.xlogy(x, x), special.logsumexp(x, axis=0)),
    "zeta": lambda x: (special.zeta(x + 2, 1.0), special.polygamma(1, x)),
    "integrals": lambda x: special.expi(x),
    "densities": lambda x: (
        stats.norm.logpdf(x),
        stats.gamma.logpdf(x, 2.0),
        stats.beta.logpdf(x / 9, 2.0, 3.0),
    ),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special(name):
    check(SPECIAL[name], rnp.asarray(POSITIVE), factor=10)


LAX = {
    "scan": lambda x: lax.scan(lambda c, row: (c * 0.5 + row, rnp.sin(c)), x[0], x),
    "reversed scan": lambda x: lax.scan(lambda c, row: (c + row, c.sum()), x[0], x, reverse=True),
    "fori_loop": lambda x: lax.fori_loop(0, 5, lambda i, c: c * 0.9 + i, x),
    "while_loop": lambda x: lax.while_loop(lambda c: c.sum() < 100, lambda c: c + 1.0, x),
    "cond": lambda x: lax.cond(x.sum() > 0, rnp.sin, rnp.cos, x),
    "switch": lambda x: lax.switch(
        x[0].argmax(), [rnp.sin, rnp.cos, rnp.tanh, rnp.exp, rnp.abs], x
    ),
    "map": lambda x: lax.map(lambda row: rnp.sort(row), x),
    "associative_scan": lambda x: lax.associative_scan(rnp.maximum, x),
    "batched loop": lambda x: rf.vmap(
        lambda r: lax.while_loop(lambda c: c[0] < 9, lambda c: c + rnp.abs(r) + 1, r)
    )(x),
    "gradient of a scan": rf.grad(
        lambda x: lax.scan(lambda c, r: (rnp.tanh(c + r), c.sum()), x[0], x)[1].sum()
    ),
    "gradient of a cond": rf.grad(lambda x: lax.cond(x.sum() > 0, rnp.sin, rnp.cos, x).sum()),
    "hessian": rf.hessian(lambda x: (rnp.sin(x[0]) * x[1]).sum()),
    "jacobian": rf.jacfwd(lambda x: rnp.tanh(x @ x.T)[0]),
    "per-example gradients": lambda x: rf.vmap(rf.grad(lambda r: (rnp.tanh(r) ** 3).sum()))(x),
    "checkpoint": rf.grad(lambda x: rf.checkpoint(lambda a: rnp.sin(a) ** 2)(x).sum()),
    "callback": lambda x: rf.pure_callback(
        lambda a: np.sin(a), rf.ShapeDtypeStruct(x.shape, x.dtype), x
    ),
}


@pytest.mark.parametrize("name", LAX)
def test_transforms_and_control_flow(name):
    check(LAX[name], rnp.asarray(X), factor=10)
