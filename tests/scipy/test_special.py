"""`rtfunc.scipy.special`: values at special points, derivatives, compiled code, errors, SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rtfunc as rf
from rtfunc import lax
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    TracerError,
    UnsupportedError,
)
from rtfunc.scipy import special
from rtfunc.testing import check_grads
from tests.messages import raises

X = np.array([0.3, 1.7, 2.6])
Y = np.array([0.8, 2.1, 0.4])
P = np.array([0.15, 0.5, 0.93])
A = np.array([[0.5, -1.5, 2.0], [0.0, 3.0, 1.0]])

#: A call of each differentiable function, smooth around its arguments.
CALLS = {
    "beta": (special.beta, X, Y),
    "betainc": (special.betainc, X, Y, P),
    "betaln": (special.betaln, X, Y),
    "boxcox": (special.boxcox, X, Y),
    "boxcox1p": (special.boxcox1p, X, np.array([0.0, 1e-5, 0.4])),
    "comb": (special.comb, X + 3, Y),
    "bessel_jn": (lambda x: special.bessel_jn(x, v=2), X),
    "dawsn": (special.dawsn, X),
    "digamma": (special.digamma, X),
    "entr": (special.entr, X),
    "erf": (special.erf, X),
    "erfc": (special.erfc, X),
    "erfcx": (special.erfcx, X),
    "erfinv": (special.erfinv, P),
    "exp1": (special.exp1, X),
    "expi": (special.expi, X),
    "expit": (special.expit, X),
    "expn": (lambda x: special.expn(3, x), X),
    "factorial": (special.factorial, X),
    "fresnel": (lambda x: special.fresnel(x)[0] + special.fresnel(x)[1], X),
    "hyp1f1": (special.hyp1f1, X, Y, P),
    "hyp2f1": (special.hyp2f1, X, Y, X + 2, P / 2),
    "loggamma": (special.loggamma, X),
    "owens_t": (special.owens_t, X, Y),
    "sici": (lambda x: special.sici(x)[0] * special.sici(x)[1], X),
    "sph_harm_y": (lambda t, p: special.sph_harm_y(3, 1, t, p).real, X, Y),
    "gamma": (special.gamma, X),
    "gammainc": (special.gammainc, X, Y),
    "gammaincc": (special.gammaincc, X, Y),
    "gammaln": (special.gammaln, X),
    "i0": (special.i0, X),
    "i0e": (special.i0e, X),
    "i1": (special.i1, X),
    "i1e": (special.i1e, X),
    "kl_div": (special.kl_div, X, Y),
    "log_ndtr": (special.log_ndtr, X),
    "log_softmax": (lambda x: special.log_softmax(x, axis=-1), A),
    "logit": (special.logit, np.array([0.1, 0.45, 0.9])),
    "logsumexp": (special.logsumexp, A),
    "logsumexp of factors": (lambda a, b: special.logsumexp(a, axis=1, b=b), A, A + 2),
    "multigammaln": (lambda a: special.multigammaln(a, 2), X + 1),
    "ndtr": (special.ndtr, X),
    "ndtri": (special.ndtri, P),
    "poch": (special.poch, X, Y),
    "polygamma": (lambda x: special.polygamma(1, x), X),
    "rel_entr": (special.rel_entr, X, Y),
    "softmax": (lambda x: special.softmax(x, axis=0), A),
    "spence": (special.spence, X),
    "xlog1py": (special.xlog1py, X, Y),
    "xlogy": (special.xlogy, X, Y),
    "zeta": (special.zeta, X + 1.5, Y),
}


@pytest.mark.parametrize("name", CALLS)
def test_derivatives(name):
    function, *arguments = CALLS[name]
    # Fourth-order differences of functions whose fifth derivatives are large.
    check_grads(function, arguments, order=1, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CALLS)
def test_compiled_and_batched_are_eager(name):
    function, *arguments = CALLS[name]
    expected = np.asarray(function(*arguments))
    assert expected.dtype == np.float64
    # A few ulp: native code has its own elementary functions.
    np.testing.assert_allclose(rf.jit(function)(*arguments), expected, rtol=1e-14, atol=1e-15)
    twice = [np.stack([a, a]) for a in arguments]
    np.testing.assert_allclose(
        rf.vmap(function)(*twice), np.stack([expected] * 2), rtol=1e-14, atol=1e-15
    )


def gradient(function, *arguments):
    argnums = tuple(range(len(arguments)))
    return [float(v) for v in rf.grad(function, argnums)(*map(np.float64, arguments))]


def test_limits_at_0():
    np.testing.assert_array_equal(special.xlogy(0.0, 0.0), 0.0)
    assert math.isnan(special.xlogy(0.0, math.nan))
    assert float(special.xlog1py(0.0, -1.0)) == 0.0
    np.testing.assert_array_equal(special.entr(np.array([0.0, -1.0, 1.0])), [0.0, -np.inf, 0.0])
    p, q = np.array([0.0, 0.0, 1.0, -1.0]), np.array([0.0, 2.0, 0.0, 1.0])
    np.testing.assert_array_equal(special.rel_entr(p, q), [0.0, 0.0, np.inf, np.inf])
    np.testing.assert_array_equal(special.kl_div(p, q), [0.0, 2.0, np.inf, np.inf])
    np.testing.assert_array_equal(special.logit(np.array([0.0, 1.0])), [-np.inf, np.inf])


def test_derivatives_at_0():
    assert gradient(special.xlogy, 0.0, 0.0) == [-math.inf, 0.0]
    assert gradient(special.xlogy, 0.0, 2.0) == pytest.approx([math.log(2.0), 0.0])
    assert gradient(special.xlog1py, 0.0, -1.0) == [-math.inf, 0.0]
    assert gradient(special.entr, 0.0) == [math.inf]
    assert gradient(special.rel_entr, 0.0, 2.0) == [-math.inf, 0.0]
    assert gradient(special.spence, 1.0) == [-1.0]
    assert gradient(special.i1e, 0.0) == [0.5]
    assert gradient(special.boxcox, 2.0, 0.0) == pytest.approx([0.5, math.log(2.0) ** 2 / 2])
    second = rf.grad(rf.grad(special.spence))(np.float64(1.0))
    assert float(second) == pytest.approx(0.5)


def test_logsumexp_with_infinities():
    inf = math.inf
    gradient_of = rf.grad(special.logsumexp)
    x = np.array([-inf, 0.0, 1.0])
    assert float(special.logsumexp(x)) == pytest.approx(math.log(1 + math.e))
    share = 1 / (1 + math.e)
    np.testing.assert_allclose(gradient_of(x), [0, share, 1 - share], rtol=1e-14)
    empty = np.array([-inf, -inf])
    assert float(special.logsumexp(empty)) == -inf
    np.testing.assert_array_equal(gradient_of(empty), [0.0, 0.0])
    assert float(special.logsumexp(np.array([inf, 0.0]))) == inf
    assert float(special.logsumexp(np.zeros(0))) == -inf


def test_logsumexp_with_factors_and_signs():
    a, b = np.array([[1.0, 2.0], [3.0, 1000.0]]), np.array([[1.0, -1.0], [2.0, 0.0]])
    value, sign = special.logsumexp(a, axis=1, b=b, return_sign=True, keepdims=True)
    assert value.shape == sign.shape == (2, 1)
    np.testing.assert_array_equal(sign, [[-1.0], [1.0]])
    expected = [[math.log(math.exp(2) - math.e)], [3 + math.log(2)]]
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    assert math.isnan(special.logsumexp(a[0], b=b[0]))
    masked = special.logsumexp(a, axis=0, where=np.array([[True, False], [True, True]]))
    np.testing.assert_allclose(masked, [np.logaddexp(1, 3), 1000.0], rtol=1e-14)
    assert special.logsumexp(np.float32([1.0, 2.0])).dtype == np.float32


def test_hazard_of_log_ndtr_in_the_tails():
    slope = rf.grad(special.log_ndtr)
    for x in (-1e4, -50.0, 0.0, 40.0):
        expected = 1e4 + 1e-4 if x == -1e4 else None
        found = float(slope(np.float64(x)))
        assert math.isfinite(found)
        if expected:
            assert found == pytest.approx(expected, rel=1e-11)
    assert float(rf.grad(slope)(np.float64(40.0))) == 0.0
    assert float(slope(np.float32(-300.0))) == pytest.approx(300.00333, rel=1e-6)


def test_bernoulli_numbers():
    numbers = np.asarray(special.bernoulli(10))
    expected = [1, -1 / 2, 1 / 6, 0, -1 / 30, 0, 1 / 42, 0, -1 / 30, 0, 5 / 66]
    np.testing.assert_array_equal(numbers, np.float32(expected))
    with pytest.raises(ArgumentError, match="bernoulli: n is a whole number that is not negative"):
        special.bernoulli(-1)


def test_gammasgn_and_poles():
    x = np.array([-0.0, 0.0, -0.5, -1.5, -2.0, 3.0, np.nan])
    np.testing.assert_array_equal(special.gammasgn(x), [-1, 1, -1, 1, np.nan, 1, np.nan])
    poles = np.array([0.0, -1.0, -2.0])
    np.testing.assert_array_equal(special.gammaln(poles), [np.inf] * 3)
    np.testing.assert_array_equal(special.gamma(poles), [np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(special.digamma(poles), [-np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(special.polygamma(1, poles), [np.inf] * 3)
    np.testing.assert_array_equal(special.factorial(np.array([0, 3, -1])), [1, 6, 0])
    np.testing.assert_array_equal(special.comb(5, np.array([-1, 0, 2, 6])), [0, 1, 10, 0])
    assert float(special.poch(2.0, 0.0)) == 1.0


def test_half_precision_is_computed_in_float64():
    x = np.float16([0.3, 1.7, 12.0])
    for function in (special.gammaln, special.digamma, special.i0e, special.expi):
        found = np.asarray(function(x))
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, np.asarray(function(x.astype("f8"))).astype("f2"))


def test_integers_are_promoted():
    assert special.gammaln(3).dtype == np.float32
    assert special.gammainc(2, np.int32(1)).dtype == np.float32
    assert special.betainc(1, 2, np.float64(0.5)).dtype == np.float64
    assert special.polygamma(1, 2).dtype == np.float32
    assert special.polygamma(np.array([0.0, 1.0, 0.5]), 1.0).shape == (3,)
    assert math.isnan(special.polygamma(0.5, 1.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: special.gammaln(z), "lgamma takes real floats, but got complex128"),
        (lambda z: special.betainc(z, 1.0, 0.5), "betainc takes real floats, but got complex128"),
        (lambda z: special.polygamma(1, z), "polygamma takes real floats, but got complex128"),
        (
            lambda z: special.polygamma(z, 1.0),
            "polygamma takes integer orders n, but got complex128",
        ),
        (lambda z: special.expn(1, z), "expn takes real floats, but got complex128"),
        (lambda z: special.expn(z, 1.0), "expn takes integer orders n, but got complex128"),
        (lambda z: special.logsumexp(z), "logsumexp takes real numbers, not complex128"),
        (lambda z: special.i0e("x"), "bessel_i0e takes arrays and numbers"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(DtypeError, match=message):
        call(np.array(1j))


def test_other_errors():
    with pytest.raises(ArgumentError, match="multigammaln: d is a positive integer, not 0"):
        special.multigammaln(3.0, 0)
    with pytest.raises(
        UnsupportedError, match=r"factorial: exact=True .* Use Python's math.factorial"
    ):
        special.factorial(3, exact=True)
    with pytest.raises(ShapeError, match="igamma"):
        special.gammainc(np.ones(2), np.ones(3))


def test_lax_has_them():
    assert float(lax.lgamma(3.0)) == pytest.approx(math.log(2.0))
    for name in "digamma polygamma zeta igamma igammac igamma_grad_a random_gamma_grad".split():
        assert callable(getattr(lax, name))
    for name in "betainc bessel_i0e bessel_i1e".split():
        assert callable(getattr(lax, name))


OTHERWISE = ("expn", "polygamma", "bessel_jn", "fresnel", "sici", "sph_harm_y")
ORACLE = [name for name in CALLS if hasattr(special, name) and name not in OTHERWISE]


@pytest.mark.oracle
@pytest.mark.parametrize("name", ORACLE)
def test_scipy_agrees(name):
    scipy = pytest.importorskip("scipy.special")
    function, *arguments = CALLS[name]
    if name in ("softmax", "log_softmax"):
        expected = getattr(scipy, name)(A, axis=-1 if name == "log_softmax" else 0)
    elif name == "multigammaln":
        expected = [scipy.multigammaln(a, 2) for a in arguments[0]]
    else:
        expected = getattr(scipy, name)(*arguments)
    # SciPy's own errors are some 1e-14.
    np.testing.assert_allclose(function(*arguments), expected, rtol=2e-13)


@pytest.mark.oracle
def test_scipy_agrees_at_the_ends():
    scipy = pytest.importorskip("scipy.special")
    ends = np.array([0.0, 1.0, 2.5, 1e-300, 1e300, np.inf, np.nan, -1.0])
    a, x = np.meshgrid(ends, ends)
    for name in ("gammainc", "gammaincc"):
        ours, theirs = np.asarray(getattr(special, name)(a, x)), getattr(scipy, name)(a, x)
        both_infinite = np.isinf(a) & np.isinf(x)
        np.testing.assert_allclose(ours[~both_infinite], theirs[~both_infinite], rtol=1e-12)
    x = np.array([0.0, -0.0, np.inf, np.nan, -30.0, 700.0, 1e-300])
    for name in ("i0e", "i1e", "erfcx", "log_ndtr", "expi", "exp1", "gammasgn", "ndtr", "entr"):
        ours, theirs = getattr(special, name)(x), getattr(scipy, name)(x)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, err_msg=name)


@pytest.mark.oracle
def test_jax_has_the_same_derivatives():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        for name in ("gammainc", "gammaincc", "zeta", "xlogy", "rel_entr", "kl_div"):
            function, x, y = CALLS[name]
            which = 1 if name == "zeta" else (0, 1)
            ours = rf.jacrev(function, which)(x, y)
            theirs = jax.jacfwd(getattr(jax.scipy.special, name), which)(x, y)
            np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-10, atol=1e-12)
        ours = lax.random_gamma_grad(X, Y)
        np.testing.assert_allclose(ours, jax.lax.random_gamma_grad(X, Y), rtol=1e-10)


PARAMETERS = [(1.3, 2.1), (0.4, 5.5), (3.0, 3.0), (4.5, 0.7)]


@pytest.mark.parametrize(("a", "b"), PARAMETERS)
def test_confluent_hypergeometric_function(a, b):
    """1e-12 relative: the gamma function's ulps at large x, e**x on the negative axis."""
    mpmath = pytest.importorskip("mpmath")
    x = np.array([-25.0, -3.0, -0.2, 0.0, 0.7, 12.0, 59.0, 140.0])
    expected = [float(mpmath.hyp1f1(a, b, v)) for v in x]
    a, b = np.float64(a), np.float64(b)
    np.testing.assert_allclose(special.hyp1f1(a, b, x), expected, rtol=1e-12)
    np.testing.assert_allclose(rf.jit(special.hyp1f1)(a, b, x), expected, rtol=1e-12)
    np.testing.assert_allclose(
        special.hyp1f1(*np.float32([a, b]), x[3:6]), expected[3:6], rtol=1e-5
    )
    for point in (0.7, 12.0, -0.2):
        check_grads(special.hyp1f1, (a, b, np.float64(point)), order=2, rtol=1e-4)


@pytest.mark.parametrize(("a", "b"), PARAMETERS)
@pytest.mark.parametrize("c", [0.9, 4.0, 6.5])
def test_gauss_hypergeometric_function(a, b, c):
    """1e-11 relative: of opposite signs where c < b and x < 0."""
    mpmath = pytest.importorskip("mpmath")
    x = np.array([-6.0, -0.5, 0.0, 0.3, 0.9])
    expected = [float(mpmath.hyp2f1(a, b, c, v)) for v in x]
    a, b, c = np.float64([a, b, c])
    np.testing.assert_allclose(special.hyp2f1(a, b, c, x), expected, rtol=1e-11)
    check_grads(special.hyp2f1, (a, b, c, np.float64(0.3)), order=1, rtol=1e-4)
    near_1 = special.hyp2f1(a, b, c, np.float64(0.97))
    if c > min(a, b):
        assert float(near_1) == pytest.approx(float(mpmath.hyp2f1(a, b, c, 0.97)), rel=1e-12)
    else:
        assert np.isnan(near_1)
    at_1 = float(special.hyp2f1(a, b, c, np.float64(1)))
    assert at_1 == (pytest.approx(float(mpmath.hyp2f1(a, b, c, 1))) if c > a + b else np.inf)


def test_loggamma_has_no_jumps():
    mpmath = pytest.importorskip("mpmath")
    z = np.array([3 + 4j, -2.5 + 0.1j, -7.2 - 3j, 0.1 - 0.2j, 30 + 1j, -40.3 + 20j, 1 + 1e-9j])
    expected = [complex(mpmath.loggamma(complex(v))) for v in z]
    for value, wanted in zip(np.asarray(special.loggamma(z)), expected):
        assert abs(value - wanted) < 2e-14 * max(1, abs(wanted))
    np.testing.assert_allclose(special.loggamma(np.array([0.5, 4.0])), np.log([np.pi**0.5, 6.0]))
    assert np.isnan(special.loggamma(-0.5))
    slope = rf.jvp(special.loggamma, (z[:1],), (np.ones(1, complex),))[1]
    assert complex(slope[0]) == pytest.approx(complex(mpmath.digamma(complex(z[0]))))


def test_spherical_harmonics_are_orthonormal():
    """Under Gauss-Legendre quadrature, exact for their degrees."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    theta, phi = np.meshgrid(np.arccos(nodes), np.arange(16) * np.pi / 8, indexing="ij")
    pairs = [(n, m) for n in range(4) for m in range(-n, n + 1)]
    n, m = (np.array(v, "int32")[:, None, None] for v in zip(*pairs))
    y = np.asarray(special.sph_harm_y(n, m, theta, phi))
    assert y.dtype == np.complex128
    products = np.einsum("aij,bij,i->ab", y.conj(), y, weights * np.pi / 8)
    np.testing.assert_allclose(products, np.eye(len(pairs)), atol=1e-13)
    y_21 = -np.sqrt(15 / (8 * np.pi)) * np.sin(0.4) * np.cos(0.4) * np.exp(0.3j)
    assert complex(special.sph_harm_y(2, 1, np.float64(0.4), np.float64(0.3))) == pytest.approx(
        y_21
    )
    check_grads(lambda t, p: special.sph_harm_y(3, -2, t, p).real, (np.float64(0.4), np.float64(1)))
    with raises(TracerError, "the largest degree has to be known", "n_max="):
        rf.jit(special.sph_harm_y)(2, 1, 0.4, 0.3)
    with raises(DtypeError, "sph_harm_y takes whole n and m, not float32"):
        special.sph_harm_y(2.0, 1, 0.4, 0.3)


def test_bessel_functions_of_all_orders_are_stacked():
    found = np.asarray(special.bessel_jn(np.array([0.5, 40.0]), v=3))
    assert found.shape == (4, 2)
    # J_n-1(x) + J_n+1(x) = 2 n / x J_n(x)
    np.testing.assert_allclose(
        found[1] + found[3], 4 / np.array([0.5, 40.0]) * found[2], rtol=1e-12
    )
    check_grads(lambda x: special.bessel_jn(x, v=3), (np.float64(2.3),))
    with raises(ArgumentError, "bessel_jn: v is not negative, got -1"):
        special.bessel_jn(1.0, v=-1)
    with raises(DtypeError, "bessel_jn takes real numbers, not complex64"):
        special.bessel_jn(1j, v=1)


@pytest.mark.oracle
def test_oscillating_functions_are_scipys():
    scipy = pytest.importorskip("scipy.special")
    x = np.concatenate([np.linspace(-9, 9, 61), [0.0, np.inf, np.nan, 200.0]])
    for name in ("fresnel", "sici"):
        for found, expected in zip(getattr(special, name)(x), getattr(scipy, name)(x)):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(special.dawsn(x), scipy.dawsn(x), rtol=1e-13)
    h, a = x[:61, None], np.array([-2.0, 0.0, 0.3, 1.0, 40.0])
    np.testing.assert_allclose(special.owens_t(h, a), scipy.owens_t(h, a), rtol=1e-12, atol=1e-16)
    z = x[:61, None] + 1j * np.array([-2.0, -0.1, 0.0, 0.5, 7.0])
    np.testing.assert_allclose(special.wofz(z), scipy.wofz(z), rtol=1e-12)
    np.testing.assert_allclose(special.wofz(0.5), scipy.wofz(0.5), rtol=1e-6)
