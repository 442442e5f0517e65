"""Samples move smoothly with the parameters: derivatives along fixed random numbers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import random
from rtfunc.ops import special

KEY = random.key(5)
#: Step of central differences in float64: errors of 1e-16 / 1e-6 and 1e-12 times the third derivative.
STEP = 1e-6

EXPLICIT = {
    "lognormal": (lambda s: random.lognormal(KEY, s, (6,)), (0.7,)),
    "pareto": (lambda b: random.pareto(KEY, b, (6,)), (2.5,)),
    "rayleigh": (lambda s: random.rayleigh(KEY, s, (6,)), (1.5,)),
    "weibull_min": (lambda s, c: random.weibull_min(KEY, s, c, (6,)), (2.0, 1.5)),
    "double_sided_maxwell": (lambda m, s: random.double_sided_maxwell(KEY, m, s, (6,)), (0.5, 2.0)),
    "triangular": (lambda a, b, c: random.triangular(KEY, a, b, c, (6,)), (-1.0, 0.3, 2.0)),
    "wald": (lambda m: random.wald(KEY, m, (6,)), (1.7,)),
    "truncated_normal": (lambda a, b: random.truncated_normal(KEY, a, b, (6,)), (-0.7, 1.2)),
}


@pytest.mark.parametrize(("draw", "at"), EXPLICIT.values(), ids=EXPLICIT)
def test_explicit_reparametrisation(draw, at):
    weights = np.cos(np.arange(6.0))
    total = lambda *parameters: rnp.sum(draw(*parameters) * weights)  # noqa: E731
    at = [np.float64(p) for p in at]
    gradients = rf.grad(total, argnums=tuple(range(len(at))))(*at)
    compiled = rf.jit(rf.grad(total, argnums=tuple(range(len(at)))))(*at)
    for i, (g, c) in enumerate(zip(gradients, compiled)):
        high, low = (float(total(*at[:i], at[i] + step, *at[i + 1 :])) for step in (STEP, -STEP))
        np.testing.assert_allclose(g, (high - low) / (2 * STEP), rtol=1e-6)
        np.testing.assert_allclose(c, g, rtol=1e-12)


def test_derivatives_reach_the_mean_where_samples_are_sums():
    p = rf.grad(lambda m: random.double_sided_maxwell(KEY, m, 2.0))(3.0)
    assert p == 1


def implicit(a, x):
    """dx / da with the gamma distribution function held fixed, by differences in 30 digits."""
    with mpmath.workdps(30):
        a, x = mpmath.mpf(float(a)), mpmath.mpf(float(x))
        by_a = mpmath.diff(lambda b: mpmath.gammainc(b, 0, x, regularized=True), a)
        density = x ** (a - 1) * mpmath.exp(-x) / mpmath.gamma(a)
        return float(-by_a / density)


def test_implicit_reparametrisation_of_gamma():
    a = np.array([0.3, 1.0, 4.2, 30.0])
    x, t = rf.jvp(lambda a: random.gamma(KEY, a), (a,), (np.ones(4),))
    expected = np.array([implicit(*pair) for pair in zip(a, np.asarray(x))])
    np.testing.assert_allclose(t, expected, rtol=1e-6)
    y, t = rf.jvp(lambda a: random.loggamma(KEY, a), (a,), (np.ones(4),))
    expected = np.array([implicit(b, np.exp(z)) / np.exp(z) for b, z in zip(a, np.asarray(y))])
    np.testing.assert_allclose(t, expected, rtol=1e-6)


def test_derivatives_of_the_gamma_family():
    a = np.array([0.6, 2.0, 5.0])
    gradient = rf.grad(lambda a: rnp.sum(random.gamma(KEY, a) * rnp.arange(1.0, 4.0)))
    expected = np.asarray(gradient(a))
    np.testing.assert_allclose(rf.jit(gradient)(a), expected, rtol=1e-10)
    batch = np.stack([a, a + 1])
    np.testing.assert_allclose(rf.vmap(gradient)(batch)[0], expected, rtol=1e-10)
    # the sum of a Dirichlet vector is 1 whatever its concentrations
    total = rf.grad(lambda a: rnp.sum(random.dirichlet(KEY, a)))(a)
    np.testing.assert_allclose(total, 0, atol=1e-12)
    for draw in (
        lambda a: random.beta(KEY, a, 2.0),
        lambda a: random.t(KEY, a),
        lambda a: random.chisquare(KEY, a),
        lambda a: random.f(KEY, a, 3.0),
        lambda a: random.generalized_normal(KEY, a),
        lambda a: random.ball(KEY, 3, a, dtype="float64")[0],
    ):
        g = float(rf.grad(lambda a, draw=draw: rnp.sum(draw(a)))(np.float64(2.0)))
        assert np.isfinite(g)
        assert g != 0


def test_the_mean_of_the_derivative_is_the_derivative_of_the_mean():
    """E[x] = a for gamma, so E[dx/da] = 1; the limit is 5 standard errors of 4000 samples."""
    for a in (0.5, 3.0):
        slopes = rf.jvp(
            lambda a: random.gamma(KEY, a, (4000,)), (np.float64(a),), (np.float64(1.0),)
        )[1]
        slopes = np.asarray(slopes)
        assert abs(slopes.mean() - 1) < 5 * slopes.std() / np.sqrt(4000)


def test_derivatives_of_gamma_nest():
    """Of second order, along the quantile function, and one for every key of a batch."""
    draw = lambda a: random.gamma(KEY, a)  # noqa: E731
    for a in (0.4, 3.0):
        x, slope = (float(f(np.float64(a))) for f in (draw, rf.grad(draw)))
        found = float(rf.grad(rf.grad(draw))(np.float64(a)))
        high, low = (
            float(special.random_gamma_grad(np.float64(a + h), np.float64(x + h * slope)))
            for h in (1e-5, -1e-5)
        )
        np.testing.assert_allclose(found, (high - low) / 2e-5, rtol=1e-6)
    keys = random.split(KEY, 3)
    each = lambda key: rf.grad(lambda a: random.gamma(key, a))(np.float64(2.0))  # noqa: E731
    expected = [float(each(keys[i])) for i in range(3)]
    np.testing.assert_allclose(rf.vmap(each)(keys), expected, rtol=1e-10)
    np.testing.assert_allclose(rf.jit(rf.vmap(each))(keys), expected, rtol=1e-10)


def test_derivatives_where_samples_are_zero():
    """For a this small most samples are 0 in float32, and stay there; their logarithms move."""
    a = np.full(20, 1e-3, "float32")
    x, t = rf.jvp(lambda a: random.gamma(KEY, a), (a,), (np.ones_like(a),))
    assert (np.asarray(x) == 0).any()
    np.testing.assert_array_equal(np.asarray(t)[np.asarray(x) == 0], 0)
    t = rf.jvp(lambda a: random.loggamma(KEY, a), (a,), (np.ones_like(a),))[1]
    assert np.isfinite(t).all()


def test_counts_are_constants():
    for draw in (
        lambda p: random.poisson(KEY, 10 * p).astype("float32"),
        lambda p: random.binomial(KEY, 9.0, p),
        lambda p: random.geometric(KEY, p).astype("float32"),
        lambda p: rnp.sum(random.multinomial(KEY, 9, rnp.stack([p, 1 - p]))),
    ):
        assert rf.grad(draw)(0.4) == 0
        assert rf.jit(rf.grad(draw))(0.4) == 0
