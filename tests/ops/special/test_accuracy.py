"""Special functions against mpmath: the limits are the documented accuracies."""

from __future__ import annotations

import numpy as np
import pytest

from rtfunc.core.array import Array
from rtfunc.ops import special
from rtfunc.ops.special.faddeeva import wofz_p
from rtfunc.ops.special.incomplete_beta import betainc_grad_ab_p
from rtfunc.ops.special.incomplete_gamma import igamma_grad_a_p
from rtfunc.ops.special.owens_t import owens_t_p

mpmath = pytest.importorskip("mpmath")
mpf = mpmath.mpf


def units(function, exact, *arguments, dtype="float64"):
    """The error of each result in units of the last place; `exact` gets multiple-precision numbers."""
    arguments = [np.asarray(a) if a.dtype.kind == "i" else a.astype(dtype) for a in arguments]
    found = np.asarray(function(*(Array(a) for a in arguments)))
    assert found.dtype == dtype
    errors = []
    with mpmath.workdps(45):
        for value, *at in zip(found, *arguments):
            expected = exact(*(int(v) if v.dtype.kind == "i" else mpf(float(v)) for v in at))
            step = mpf(float(np.spacing(np.abs(value.dtype.type(float(expected))))))
            errors.append(float(abs(mpf(float(value)) - expected) / step))
    return np.array(errors)


def uniform(low, high, n=60, seed=0):
    return np.random.default_rng(seed).uniform(low, high, n)


def magnitudes(low, high, n=60, seed=1):
    return 10.0 ** uniform(low, high, n, seed)


def near(point, width, n=20):
    return point + width * np.random.default_rng(2).normal(size=n)


DIGAMMA_ROOT, EI_ROOT = 1.4616321449683622, 0.3725074107813666
POSITIVE = np.concatenate([uniform(0, 3), uniform(0, 20), near(1, 1e-5), near(2, 1e-5)])
WIDE = np.concatenate([POSITIVE, magnitudes(-37, 37)])

#: name: (exact, arguments, limit in float64); in float32 all are within 1.
UNARY = {
    "lgamma": (mpmath.loggamma, WIDE, 4),
    "digamma": (mpmath.digamma, np.concatenate([WIDE, near(DIGAMMA_ROOT, 1e-7)]), 4),
    "gamma": (mpmath.gamma, np.concatenate([uniform(0.1, 34), -uniform(0, 30)]), 8),
    "bessel_i0e": (
        lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x),
        np.concatenate([uniform(-12, 12), magnitudes(-5, 4)]),
        6,
    ),
    "bessel_i1e": (
        lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x),
        np.concatenate([uniform(-12, 12), magnitudes(-5, 4)]),
        10,
    ),
    "expi": (mpmath.ei, np.concatenate([uniform(-20, 80), near(EI_ROOT, 1e-6)]), 8),
    "spence": (
        lambda x: mpmath.re(mpmath.polylog(2, 1 - x)),
        np.concatenate([uniform(0, 2), near(1, 1e-3), uniform(2, 9)]),
        4,
    ),
    "dawsn": (
        lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x),
        np.concatenate([uniform(-3, 3), uniform(-25, 25), magnitudes(-12, 0)]),
        8,
    ),
    "fresnel_s": (mpmath.fresnels, np.concatenate([uniform(-3, 3), uniform(-60, 60)]), 16),
    "fresnel_c": (mpmath.fresnelc, np.concatenate([uniform(-3, 3), uniform(-60, 60)]), 16),
    "sine_integral": (mpmath.si, np.concatenate([uniform(-6, 6), uniform(-90, 90)]), 8),
    "erfcx": (lambda x: mpmath.exp(x * x) * mpmath.erfc(x), uniform(-8, 25), 3),
    "log_ndtr": (
        lambda x: mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
        np.concatenate([uniform(-30, 3), uniform(-2, 2)]),
        12,
    ),
    "ndtri": (
        lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1),
        np.concatenate([uniform(0.01, 0.99), magnitudes(-12, -2)]),
        8,
    ),
}


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_argument(name):
    exact, x, limit = UNARY[name]
    function = getattr(special, name)
    assert units(function, exact, x).max() < limit
    assert units(function, exact, x[::3], dtype="float32").max() < 1


def test_lgamma_of_negative_numbers_is_accurate_beside_what_it_reflects():
    x = -uniform(0, 20, 100)
    found = np.asarray(special.lgamma(x))
    with mpmath.workdps(30):
        for value, at in zip(found, x):
            expected = mpmath.log(abs(mpmath.gamma(at)))
            scale = 1 + abs(mpmath.loggamma(-mpf(at)))
            assert abs(value - expected) < 4 * 2.0**-52 * scale


def exact_zeta(s, q):
    with mpmath.workdps(150):  # its precision is absolute
        return mpmath.zeta(s, q)


def test_zeta_and_polygamma():
    s, q = 1 + magnitudes(-3, 1.5), magnitudes(-2, 2.5, seed=3)
    assert units(special.zeta, exact_zeta, s, q).max() < 5
    n, x = np.random.default_rng(4).integers(0, 12, 60), magnitudes(-2, 3)
    assert units(special.polygamma, mpmath.polygamma, n, x).max() < 8


def test_polygamma_of_negative_numbers():
    x = -uniform(0, 12, 60)
    for n in (1, 2, 3):
        found = np.asarray(special.polygamma(n, x))
        with mpmath.workdps(30):
            expected = np.array([float(mpmath.polygamma(n, mpf(float(v)))) for v in x])
            distance = np.abs(x - np.rint(x))
        # The terms that are added are of the size of the nearest pole's, or of 1.
        scale = 1 + (n + 1) / distance ** (n + 1)
        assert np.all(np.abs(found - expected) < 1e-14 * scale)


def test_zeta_differentiated_by_s():
    s, q = 1 + magnitudes(-2, 1, 20), magnitudes(-1, 1, 20, seed=3)
    by_s = special.zeta.__globals__["zeta_p"].bind(Array(s), Array(q), order=1)
    with mpmath.workdps(30):
        expected = [float(mpmath.zeta(mpf(a), mpf(b), 1)) for a, b in zip(s, q)]
    np.testing.assert_allclose(by_s, expected, rtol=2e-14)


def test_expn():
    n, x = np.random.default_rng(4).integers(1, 60, 80), magnitudes(-3, 2, 80)
    assert units(special.expn, mpmath.expint, n, x).max() < 8


def shapes_and_variates(count):
    a = magnitudes(-3, 3, count)
    x = a * (1 + 2 * np.random.default_rng(5).normal(size=count) / np.sqrt(a + 1))
    return a, np.where(x > 0, x, magnitudes(-4, 0, count))


def test_igamma_and_igammac():
    a, x = shapes_and_variates(100)
    for function, lower in ((special.igamma, True), (special.igammac, False)):

        def exact(a, x, lower=lower):
            ends = (0, x) if lower else (x, mpmath.inf)
            return mpmath.gammainc(a, *ends, regularized=True)

        errors = units(function, exact, a, x)
        tail = -np.log(np.asarray(function(a, x)))
        assert np.all(errors * 2.0**-53 < 1e-15 * (1 + tail))
        assert units(function, exact, a[::4], x[::4], dtype="float32").max() < 1


def test_igamma_at_large_shapes_is_normal():
    z = np.linspace(-6, 6, 13)
    for a in (1e9, 1e13):
        found = np.asarray(special.igamma(a, a + z * np.sqrt(a)))
        corrected = np.exp(np.asarray(special.log_ndtr(z)))
        # Of the order of the next term of the asymptotic expansion, z**3 / sqrt(a), and of the
        # rounding of x, z sqrt(a) eps.
        np.testing.assert_allclose(found, corrected, rtol=80 / np.sqrt(a) + 6e-16 * np.sqrt(a))


def difference(function, a, step):
    """A fourth-order difference quotient; `step` is small beside a, in 60 digits."""
    far, close = 2 * step, step
    values = function(a - far), function(a - close), function(a + close), function(a + far)
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def test_igamma_grad_a_and_random_gamma_grad():
    a, x = (v[:25] for v in shapes_and_variates(40))
    keep = a < 300
    a, x = a[keep], x[keep]

    def by_a(a, x):
        with mpmath.workdps(60):
            lower = lambda a: mpmath.gammainc(a, 0, x, regularized=True)  # noqa: E731
            return difference(lower, a, a * mpf(10) ** -9)

    def movement(a, x):
        return -by_a(a, x) / (x ** (a - 1) * mpmath.exp(-x) / mpmath.gamma(a))

    assert units(special.igamma_grad_a, by_a, a, x).max() * 2.0**-53 < 1e-14
    assert units(special.random_gamma_grad, movement, a, x).max() * 2.0**-53 < 1e-14
    assert units(special.random_gamma_grad, movement, a, x, dtype="float32").max() < 1


def test_second_derivative_of_igamma_by_a():
    a, x = (v[:8] for v in shapes_and_variates(12))
    found = np.asarray(igamma_grad_a_p.bind(Array(a), Array(x), order=2))
    with mpmath.workdps(60):
        for value, shape, at in zip(found, a, x):
            shape, at = mpf(float(shape)), mpf(float(at))
            lower = lambda v, at=at: mpmath.gammainc(v, 0, at, regularized=True)  # noqa: E731
            first = lambda v, lower=lower: difference(lower, v, v * mpf(10) ** -9)  # noqa: E731
            expected = difference(first, shape, shape * mpf(10) ** -9)
            assert abs(value / expected - 1) < 1e-12


def beta_arguments(count):
    a, b = magnitudes(-2, 2.5, count), magnitudes(-2, 2.5, count, seed=6)
    mean = a / (a + b)
    width = np.sqrt(mean * (1 - mean) / (a + b + 1))
    x = mean + 2 * width * np.random.default_rng(7).normal(size=count)
    return a, b, np.where((x > 0) & (x < 1), x, uniform(0, 1, count))


def exact_betainc(a, b, x):
    return mpmath.betainc(a, b, 0, x, regularized=True)


def test_betainc_and_betaln():
    a, b, x = beta_arguments(60)
    errors = units(special.betainc, exact_betainc, a, b, x)
    tail = -np.log(np.asarray(special.betainc(a, b, x)))
    assert np.all(errors * 2.0**-53 < 1e-15 * (4 + tail + np.sqrt(a + b)))
    few = [v[::4] for v in (a, b, x)]
    assert units(special.betainc, exact_betainc, *few, dtype="float32").max() < 1
    a, b = magnitudes(-3, 4), magnitudes(-3, 12, seed=8)
    with mpmath.workdps(40):
        expected = [mpmath.log(mpmath.beta(mpf(float(p)), mpf(float(q)))) for p, q in zip(a, b)]
    size = np.array([float(e) for e in expected])
    error = [float(mpf(float(v)) - e) for v, e in zip(np.asarray(special.betaln(a, b)), expected)]
    assert np.all(np.abs(error) < 8 * 2.0**-53 * (1 + np.abs(size)))


@pytest.mark.parametrize("orders", [(1, 0), (0, 1), (1, 1)])
def test_betainc_differentiated_by_a_and_b(orders):
    arguments = np.array(beta_arguments(20))
    found = np.asarray(betainc_grad_ab_p.bind(*map(Array, arguments), orders=orders))
    kept = np.abs(found) > 1e-12  # smaller ones are lost in mpmath's
    assert kept.sum() > 10
    step = mpf(10) ** -9

    def by_a(a, b, x, function=exact_betainc):
        return (
            difference(lambda v: function(v, b, x), a, a * step) if orders[0] else function(a, b, x)
        )

    def by_b(a, b, x):
        return difference(lambda v: exact_betainc(a, v, x), b, b * step)

    with mpmath.workdps(60):
        for value, at in zip(found[kept], arguments.T[kept]):
            at = [mpf(float(v)) for v in at]
            expected = by_a(*at, function=by_b if orders[1] else exact_betainc)
            assert abs(value / expected - 1) < 1e-12


def test_cosine_integral_beside_its_amplitude():
    x = np.concatenate([uniform(-6, 6), uniform(-90, 90)])
    found = np.asarray(special.cosine_integral(x))
    with mpmath.workdps(30):
        for value, at in zip(found, x):
            expected = mpmath.ci(abs(mpf(float(at))))
            scale = max(abs(expected), 1 / (1 + abs(mpf(float(at)))))
            assert abs(value - expected) < 16 * 2.0**-52 * scale


def test_bessel_functions_of_whole_orders():
    n = np.random.default_rng(5).integers(-30, 40, 60)
    small, large = uniform(-7, 7), uniform(-70, 70, seed=6)
    assert units(special.bessel_j, mpmath.besselj, n, small).max() < 32
    assert units(special.bessel_j, mpmath.besselj, n, small, dtype="float32").max() < 1
    found = np.asarray(special.bessel_j(n, large))
    for value, order, x in zip(found, n, large):  # near the zeros beside the amplitude
        expected = mpmath.besselj(int(order), mpf(float(x)))
        scale = max(abs(expected), mpmath.sqrt(2 / (mpmath.pi * abs(x))))
        assert abs(value - expected) < 12 * 2.0**-52 * scale


def test_owens_t():
    h, a = uniform(-6, 6, 30), uniform(-3, 3, 30, seed=7)

    def exact(h, a):
        def density(x):
            return mpmath.exp(-h * h * (1 + x * x) / 2) / (1 + x * x)

        return mpmath.quad(density, mpmath.linspace(0, a, 9)) / (2 * mpmath.pi)

    assert units(owens_t_p.bind, exact, h, a).max() < 64
    assert units(owens_t_p.bind, exact, h, a, dtype="float32").max() < 1


def test_faddeeva_function():
    """Below the real axis the error is that of exp(-z**2), 2 |z|**2 roundings of its argument."""
    rng = np.random.default_rng(8)
    z = (rng.normal(size=100) + 1j * rng.normal(size=100)) * rng.choice([0.01, 0.3, 1, 3], 100)
    found = np.asarray(wofz_p.bind(Array(z)))
    with mpmath.workdps(60):
        for value, at in zip(found, z):
            at = mpmath.mpc(complex(at))
            expected = mpmath.exp(-at * at) * mpmath.erfc(-1j * at)
            room = 16 + (4 * abs(at) ** 2 if at.imag < 0 else 0)
            assert abs(mpmath.mpc(complex(value)) - expected) < room * 2.0**-52 * abs(expected)
