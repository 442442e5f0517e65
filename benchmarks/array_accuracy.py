"""Errors of the special functions, of the Fourier transforms and of the matrix factorizations.

`python -m benchmarks.array_accuracy` prints the second part of docs/maths-accuracy.md, which
`benchmarks.maths_accuracy` writes. Special functions are compared with mpmath at random arguments, in
units of the last place of the exact result, or of the scale that a row names where the relative error
is unbounded. Transforms are compared with NumPy's in long double, factorizations by how well they give
back the matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.ops.special import bessel_j
from rtfunc.scipy import linalg, special

mp, mpf = mpmath.mp, mpmath.mpf
RNG = np.random.default_rng(11)
COUNT = 120
Scale = Callable[..., Any] | None


def uniform(low: float, high: float) -> np.ndarray:
    return RNG.uniform(low, high, COUNT)


def magnitudes(low: float, high: float) -> np.ndarray:
    return 10.0 ** RNG.uniform(low, high, COUNT)


def whole(low: int, high: int) -> np.ndarray:
    return RNG.integers(low, high, COUNT).astype(np.int32)


def quadrature_of_owens_t(h: Any, a: Any) -> Any:
    def density(x: Any) -> Any:
        return mpmath.exp(-h * h * (1 + x * x) / 2) / (1 + x * x)

    return mpmath.quad(density, mpmath.linspace(0, a, 9)) / (2 * mpmath.pi)


def zeta(s: Any, q: Any) -> Any:
    with mpmath.workdps(150):  # its precision is absolute
        return mpmath.zeta(s, q)


def or_one(e: Any, *_: Any) -> Any:
    return max(abs(e), 1)


def or_amplitude(e: Any, *arguments: Any) -> Any:
    return max(abs(e), mpmath.sqrt(2 / (mpmath.pi * max(abs(arguments[-1]), 25))))


#: name: (function, exact, arguments, what else the error is measured against, in words, and as a function)
SPECIAL: dict[str, tuple[Any, Any, tuple[np.ndarray, ...], str, Scale]] = {
    "gammaln, x > 0": (special.gammaln, mpmath.loggamma, (magnitudes(-9, 9),), "", None),
    "digamma, x > 0": (special.digamma, mpmath.digamma, (magnitudes(-6, 9),), "", None),
    "gamma": (special.gamma, mpmath.gamma, (uniform(-30, 34),), "", None),
    "polygamma, n < 12": (special.polygamma, mpmath.polygamma, (whole(0, 12), magnitudes(-2, 3)), "", None),
    "zeta": (special.zeta, zeta, (1 + magnitudes(-3, 1.4), magnitudes(-2, 2)), "", None),
    "beta": (special.beta, mpmath.beta, (magnitudes(-2, 1.3), magnitudes(-2, 1.3)), "", None),
    "betaln": (
        special.betaln, lambda a, b: mpmath.log(mpmath.beta(a, b)),
        (magnitudes(-2, 3), magnitudes(-2, 3)), "1", or_one,
    ),
    "betainc": (
        special.betainc, lambda a, b, x: mpmath.betainc(a, b, 0, x, regularized=True),
        (uniform(0.1, 20), uniform(0.1, 20), uniform(0.02, 0.98)), "", None,
    ),
    "gammainc": (
        special.gammainc, lambda a, x: mpmath.gammainc(a, 0, x, regularized=True),
        (uniform(0.1, 30), uniform(0.1, 40)), "", None,
    ),
    "gammaincc": (
        special.gammaincc, lambda a, x: mpmath.gammainc(a, x, mpmath.inf, regularized=True),
        (uniform(0.1, 30), uniform(0.1, 40)), "", None,
    ),
    "erf": (special.erf, mpmath.erf, (uniform(-4, 4),), "", None),
    "erfc": (special.erfc, mpmath.erfc, (uniform(-4, 9),), "", None),
    "erfinv": (special.erfinv, mpmath.erfinv, (uniform(-0.99, 0.99),), "", None),
    "erfcx": (special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), (uniform(-5, 25),), "", None),
    "log_ndtr": (special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), (uniform(-12, 3),), "", None),
    "ndtri": (
        special.ndtri, lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1), (uniform(0.01, 0.99),), "", None,
    ),
    "i0e": (special.i0e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), (uniform(-30, 30),), "", None),
    "i1e": (special.i1e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), (uniform(-30, 30),), "", None),
    "bessel_j (bessel_jn)": (
        bessel_j, mpmath.besselj, (whole(-20, 30), uniform(-70, 70)),
        "amplitude beyond 25", or_amplitude,
    ),
    "expi": (special.expi, mpmath.ei, (uniform(-20, 80),), "", None),
    "exp1": (special.exp1, mpmath.e1, (magnitudes(-4, 1.8),), "", None),
    "expn": (special.expn, mpmath.expint, (whole(0, 20), magnitudes(-3, 1.5)), "", None),
    "spence": (special.spence, lambda x: mpmath.re(mpmath.polylog(2, 1 - x)), (uniform(0, 9),), "", None),
    "dawsn": (
        special.dawsn, lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x),
        (uniform(-20, 20),), "", None,
    ),
    "fresnel, S": (lambda x: special.fresnel(x)[0], mpmath.fresnels, (uniform(-40, 40),), "", None),
    "fresnel, C": (lambda x: special.fresnel(x)[1], mpmath.fresnelc, (uniform(-40, 40),), "", None),
    "sici, Si": (lambda x: special.sici(x)[0], mpmath.si, (uniform(-60, 60),), "", None),
    "sici, Ci": (
        lambda x: special.sici(x)[1], lambda x: mpmath.ci(abs(x)), (uniform(-60, 60),),
        "1 / (1 + x)", lambda e, x: max(abs(e), 1 / (1 + abs(x))),
    ),
    "owens_t": (special.owens_t, quadrature_of_owens_t, (uniform(-6, 6)[:40], uniform(-3, 3)[:40]), "", None),
    "hyp1f1": (
        special.hyp1f1, mpmath.hyp1f1, (uniform(0.2, 5), uniform(0.2, 5), uniform(0, 100)), "", None,
    ),
    "hyp2f1": (
        special.hyp2f1, mpmath.hyp2f1, (uniform(0.2, 4), uniform(0.2, 4), uniform(4, 6), uniform(0, 1)),
        "", None,
    ),
    "i0": (special.i0, lambda x: mpmath.besseli(0, x), (uniform(-20, 20),), "", None),
}  # fmt: skip


def worst_units(name: str, dtype: str) -> float:
    """The largest error found, in units of the last place."""
    function, exact, arguments, _, scale = SPECIAL[name]
    arrays = [a if a.dtype.kind == "i" else a.astype(dtype) for a in arguments]
    results = np.asarray(function(*map(rnp.asarray, arrays)))
    worst = 0.0
    with mpmath.workdps(40):
        for result, *at in zip(results, *arrays):
            numbers = [int(a) if a.dtype.kind == "i" else mpf(float(a)) for a in at]
            expected = mpmath.re(exact(*numbers))
            size = abs(expected) if scale is None else scale(expected, *numbers)
            if size > float(np.finfo(dtype).max):
                continue
            unit = float(np.spacing(np.dtype(dtype).type(float(size))))
            worst = max(worst, float(abs(mpf(float(result)) - expected)) / unit)
    return worst


# Transforms and factorizations, in units of eps times the norm.


def sizes_of_error(found: Any, expected: Any) -> float:
    """|found - expected| over |expected|, as norms, in units of eps."""
    eps = np.finfo(np.asarray(found).dtype).eps
    wide = np.asarray(found).astype(np.clongdouble)
    return float(
        np.linalg.norm(np.ravel(wide - expected)) / np.linalg.norm(np.ravel(expected)) / eps
    )


def transforms(dtype: str) -> dict[str, float]:
    """Of 1000, 1024 and the prime 997 points."""
    found: dict[str, float] = {}
    for n in (1000, 1024, 997):
        x = RNG.normal(size=n).astype(dtype)
        z = (x + 1j * RNG.normal(size=n)).astype(np.result_type(dtype, np.complex64))
        long_x, long_z = x.astype(np.longdouble), z.astype(np.clongdouble)
        rows = {
            "fft": (rnp.fft.fft(z), np.fft.fft(long_z)),
            "ifft": (rnp.fft.ifft(z), np.fft.ifft(long_z)),
            "rfft": (rnp.fft.rfft(x), np.fft.rfft(long_x)),
            "irfft": (rnp.fft.irfft(z), np.fft.irfft(long_z)),
            "fft2": (
                rnp.fft.fft2(z[:900].reshape(30, 30)),
                np.fft.fft2(long_z[:900].reshape(30, 30)),
            ),
        }
        for name, pair in rows.items():
            found[name] = max(found.get(name, 0.0), sizes_of_error(*pair))
    return found


def adjoint(x: Any) -> np.ndarray:
    return np.asarray(x).conj().T


def factorizations(dtype: str) -> dict[str, float]:
    """Of a random matrix of 60 rows (and of one with 60 rows and 40 columns)."""
    n = 60
    kind = np.dtype(dtype)
    a = RNG.normal(size=(n, n)).astype(dtype)
    if kind.kind == "c":
        a = (a + 1j * RNG.normal(size=(n, n))).astype(dtype)
    tall, b = a[:, :40], a[:, :3].copy()
    hermitian = (a + adjoint(a)) / 2
    positive = (a @ adjoint(a) + n * np.eye(n)).astype(dtype)
    la = rnp.linalg

    def numpy(xs: Any) -> list[np.ndarray]:
        return [np.asarray(x) for x in xs]

    p, lower, upper = numpy(linalg.lu(a))
    q, r = numpy(la.qr(tall))
    u, s, vh = numpy(la.svd(tall, full_matrices=False))
    w, v = numpy(la.eigh(hermitian))
    values, vectors = numpy(la.eig(a))
    t, z = numpy(linalg.schur(a))
    factor = np.asarray(la.cholesky(positive))
    x = np.asarray(la.solve(a, b))
    root = np.asarray(lax.linalg.triangular_solve(factor, b, left_side=True, lower=True))
    eps = np.finfo(kind).eps

    def residual(left: np.ndarray, right: np.ndarray) -> float:
        return float(np.linalg.norm(left - right) / np.linalg.norm(right) / eps)

    def beside(left: np.ndarray, right: np.ndarray, *factors: np.ndarray) -> float:
        scale = np.prod([np.linalg.norm(f) for f in factors])
        return float(np.linalg.norm(left - right) / scale / eps)

    return {
        "lu": residual(p @ lower @ upper, a),
        "qr": residual(q @ r, tall),
        "qr, orthogonality": residual(adjoint(q) @ q, np.eye(40, dtype=kind)),
        "cholesky": residual(factor @ adjoint(factor), positive),
        "triangular_solve": beside(factor @ root, b, factor, root),
        "solve": beside(a @ x, b, a, x),
        "svd": residual(u * s @ vh, tall),
        "eigh": residual(v * w @ adjoint(v), hermitian),
        "eig": beside(a @ vectors, vectors * values, a, vectors),
        "schur": residual(z @ t @ adjoint(z), a),
    }


def report() -> str:
    """The second part of the page."""
    lines = [
        "# Accuracy of the special functions, transforms and factorizations",
        "",
        "Written by `python -m benchmarks.array_accuracy`. Worst error found at some hundred random "
        "arguments in units in the last place of the exact result, by mpmath, or of the larger one "
        "that the last column names, where the function has zeros. Eager results; compiled code "
        "calls the same kernels, but for the functions in the table above.",
        "",
        "| function | float32 | float64 | or beside |",
        "|---|--:|--:|---|",
    ]
    for name, (*_, beside, _) in SPECIAL.items():
        errors = [f"{worst_units(name, dtype):.2f}" for dtype in ("float32", "float64")]
        lines.append(f"| {name} | {errors[0]} | {errors[1]} | {beside} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "Fourier transforms of 1000, 1024 and 997 points: the norm of the error over that of the "
        "result, in units of eps, against NumPy's in long double.",
        "",
        "| transform | float32 | float64 |",
        "|---|--:|--:|",
    ]
    columns = [transforms(dtype) for dtype in ("float32", "float64")]
    lines += [f"| {n} | {columns[0][n]:.2f} | {columns[1][n]:.2f} |" for n in columns[0]]
    lines += [
        "",
        "Factorizations and solutions with random matrices of 60 rows: the norm of what is left when "
        "they are multiplied out over that of the matrix (of the factors, for solutions and `eig`), in "
        "units of eps.",
        "",
        "| | float32 | float64 | complex64 | complex128 |",
        "|---|--:|--:|--:|--:|",
    ]
    kinds = [factorizations(dtype) for dtype in ("float32", "float64", "complex64", "complex128")]
    lines += [f"| {n} | " + " | ".join(f"{k[n]:.1f}" for k in kinds) + " |" for n in kinds[0]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(report())
