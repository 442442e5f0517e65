"""`rtfunc.scipy.stats`: against closed forms and SciPy, derivatives, support, compiled code."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rtfunc as rf
from rtfunc.core.errors import DtypeError, ShapeError
from rtfunc.scipy import stats
from rtfunc.testing import check_grads

X = np.array([0.3, 1.2, 2.6])
INSIDE = np.array([0.1, 0.4, 0.9])
K = np.array([0, 1, 3])

#: Distribution: function, variates, parameters.
CONTINUOUS = {
    "norm": (X, (0.5, 1.5)),
    "uniform": (X, (0.1, 3.5)),
    "expon": (X, (0.1, 1.5)),
    "laplace": (X, (0.5, 1.5)),
    "cauchy": (X, (0.5, 1.5)),
    "gamma": (X, (1.7, 0.1, 1.5)),
    "chi2": (X, (3.5, 0.1, 1.5)),
    "beta": (INSIDE, (1.7, 0.6, -0.1, 1.3)),
    "t": (X, (3.5, 0.1, 1.5)),
    "logistic": (X, (0.5, 1.5)),
    "gumbel_r": (X, (0.5, 1.5)),
    "gumbel_l": (X, (0.5, 1.5)),
    "pareto": (X + 2, (1.7, 0.1, 1.5)),
}
DISCRETE = {"poisson": (1.7,), "bernoulli": (0.3,), "binom": (5.0, 0.3), "nbinom": (3.0, 0.6)}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density_is_the_slope_of_the_distribution_function(name):
    module = getattr(stats, name)
    x, parameters = CONTINUOUS[name]
    parameters = tuple(np.float64(p) for p in parameters)
    check_grads(lambda x, *p: module.logpdf(x, *p), (x, *parameters), order=1, rtol=1e-6)
    np.testing.assert_allclose(module.pdf(x, *parameters), np.exp(module.logpdf(x, *parameters)))
    if hasattr(module, "cdf"):
        slope = rf.vmap(rf.grad(lambda x: module.cdf(x, *parameters)))(x)
        np.testing.assert_allclose(slope, module.pdf(x, *parameters), rtol=1e-12)
    compiled = rf.jit(module.logpdf)(x, *parameters)
    np.testing.assert_allclose(compiled, module.logpdf(x, *parameters), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_sum_to_1(name):
    module = getattr(stats, name)
    parameters = tuple(np.float64(p) for p in DISCRETE[name])
    counts = np.arange(0.0, 40.0)
    assert float(np.sum(np.asarray(module.pmf(counts, *parameters)))) == pytest.approx(1.0)
    assert float(module.logpmf(-1, *parameters)) == -math.inf
    assert float(module.logpmf(0.5, *parameters)) == -math.inf
    check_grads(lambda p: module.logpmf(K[:2], *parameters[:-1], p), parameters[-1:], order=1)


def test_outside_the_support_is_impossible_and_has_no_slope():
    for name in ("expon", "gamma", "chi2", "uniform"):
        x, parameters = CONTINUOUS[name]
        module = getattr(stats, name)
        value, slope = rf.value_and_grad(lambda x: module.logpdf(x, *parameters))(np.float64(-2.0))
        assert float(value) == -math.inf
        assert float(slope) == 0.0
        assert math.isnan(module.logpdf(np.float64(np.nan), *parameters))


def test_tails_of_the_normal_distribution():
    assert float(stats.norm.logcdf(np.float64(-40.0))) == pytest.approx(-804.608442, rel=1e-8)
    q = np.array([1e-12, 0.3, 0.999])
    np.testing.assert_allclose(stats.norm.cdf(stats.norm.ppf(q, 1.0, 2.0), 1.0, 2.0), q, rtol=1e-12)
    np.testing.assert_allclose(stats.norm.sf(stats.norm.isf(q)), q, rtol=1e-12)
    np.testing.assert_allclose(stats.norm.logsf(X), np.log(stats.norm.sf(X)), rtol=1e-12)


def test_dirichlet_and_multinomial():
    x, alpha = np.array([0.2, 0.3, 0.5]), np.array([1.5, 2.0, 0.7])
    expected = (
        math.lgamma(4.2) - sum(math.lgamma(a) for a in alpha) + np.sum((alpha - 1) * np.log(x))
    )
    assert float(stats.dirichlet.logpdf(x, alpha)) == pytest.approx(expected, rel=1e-13)
    assert float(stats.dirichlet.logpdf(x * 1.1, alpha)) == -math.inf
    with pytest.raises(ShapeError, match=r"dirichlet.logpdf takes proportions of shape \[k, ...\]"):
        stats.dirichlet.logpdf(x, alpha[:2])
    counts = np.array([[2, 1, 0], [1, 1, 1], [1, 1, 0]])
    found = stats.multinomial.pmf(counts, 3, x)
    np.testing.assert_allclose(found, [3 * 0.04 * 0.3, 6 * 0.03, 0.0], rtol=1e-13)


def test_complex_numbers_are_refused():
    with pytest.raises(DtypeError, match=r"norm.logpdf takes real numbers, but got complex128"):
        stats.norm.logpdf(np.array(1j))


@pytest.mark.oracle
def test_scipy_agrees():
    scipy = pytest.importorskip("scipy.stats")
    for name, (x, parameters) in CONTINUOUS.items():
        ours, theirs = getattr(stats, name), getattr(scipy, name)
        expected = theirs.logpdf(x, *parameters)
        np.testing.assert_allclose(ours.logpdf(x, *parameters), expected, rtol=1e-12, atol=1e-14)
        if hasattr(ours, "cdf"):
            np.testing.assert_allclose(
                ours.cdf(x, *parameters), theirs.cdf(x, *parameters), rtol=1e-12
            )
    for name, parameters in DISCRETE.items():
        expected = getattr(scipy, name).logpmf(K, *parameters)
        found = getattr(stats, name).logpmf(K, *(np.float64(p) for p in parameters))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


MEAN = np.array([0.5, -1.0, 2.0])
COV = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])


def test_multivariate_normal():
    x = np.array([[0.1, 0.2, 0.3], [0.5, -1.0, 2.0]])
    apart = x - MEAN
    expected = -0.5 * (
        np.einsum("bi,ij,bj->b", apart, np.linalg.inv(COV), apart)
        + np.linalg.slogdet(2 * math.pi * COV)[1]
    )
    of = stats.multivariate_normal
    np.testing.assert_allclose(of.logpdf(x, MEAN, COV), expected, rtol=1e-13)
    np.testing.assert_allclose(of.pdf(x, MEAN, COV), np.exp(expected), rtol=1e-12)
    np.testing.assert_allclose(rf.jit(of.logpdf)(x, MEAN, COV), expected, rtol=1e-13)
    both = np.stack([COV, COV])
    np.testing.assert_allclose(of.logpdf(x[:, None], MEAN, both), expected[:, None] + [0, 0])
    mapped = rf.vmap(of.logpdf, in_axes=(0, None, 0))(x, MEAN, both)
    np.testing.assert_allclose(mapped, expected, rtol=1e-13)
    check_grads(lambda *a: of.logpdf(*a), (x[0], MEAN, COV), rtol=1e-6)
    assert np.isnan(of.logpdf(x, MEAN, -COV)).all()


def test_multivariate_normal_refuses_other_shapes():
    with pytest.raises(ShapeError, match=r"takes vectors \[..., n\], a mean .* \(2,\), \(3,\) and"):
        stats.multivariate_normal.logpdf(np.zeros(2), MEAN, COV)
    with pytest.raises(ShapeError, match=r"but got \(\), \(3,\) and \(3, 3\)"):
        stats.multivariate_normal.logpdf(0.0, MEAN, COV)


@pytest.mark.oracle
def test_multivariate_normal_against_scipy():
    oracle = pytest.importorskip("scipy.stats").multivariate_normal
    x = np.linspace(-2, 2, 12).reshape(4, 3)
    np.testing.assert_allclose(
        stats.multivariate_normal.logpdf(x, MEAN, COV), oracle.logpdf(x, MEAN, COV), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["logistic", "gumbel_r", "gumbel_l", "pareto"])
def test_tails_and_quantiles_belong_to_the_distribution_function(name):
    module = getattr(stats, name)
    x, parameters = CONTINUOUS[name]
    below, above = (np.asarray(f(x, *parameters)) for f in (module.cdf, module.sf))
    np.testing.assert_allclose(below + above, 1, rtol=1e-14)
    np.testing.assert_allclose(module.logcdf(x, *parameters), np.log(below), rtol=1e-12)
    np.testing.assert_allclose(module.logsf(x, *parameters), np.log(above), rtol=1e-12)
    np.testing.assert_allclose(module.ppf(below, *parameters), x, rtol=1e-12)
    if hasattr(module, "isf"):
        np.testing.assert_allclose(module.isf(above, *parameters), x, rtol=1e-12)


def test_geometric_distribution():
    k = np.arange(1.0, 60.0)
    assert float(np.sum(np.asarray(stats.geom.pmf(k, np.float64(0.3))))) == pytest.approx(1.0)
    assert float(stats.geom.logpmf(0, 0.3)) == float(stats.geom.logpmf(1.5, 0.3)) == -math.inf
    check_grads(lambda p: stats.geom.logpmf(k[:3], p), (np.float64(0.3),), order=1)


@pytest.mark.oracle
def test_further_distributions_are_scipys():
    scipy = pytest.importorskip("scipy.stats")
    for name in ("logistic", "gumbel_r", "gumbel_l", "pareto"):
        x, parameters = CONTINUOUS[name]
        for method in ("logpdf", "cdf", "sf"):
            found = getattr(getattr(stats, name), method)(x, *parameters)
            expected = getattr(getattr(scipy, name), method)(x, *parameters)
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(stats.geom.pmf(K, 0.3), scipy.geom.pmf(K, 0.3), rtol=1e-6)
    found = stats.nbinom.pmf(K, np.float64(3), 0.6)
    np.testing.assert_allclose(found, scipy.nbinom.pmf(K, 3, 0.6), rtol=1e-12)
