"""Samples have the distribution that they should have: at fixed keys, so the outcomes are fixed too.

Continuous samples are compared with the distribution function by the statistic of Kolmogorov and
Smirnov, counts with the probabilities by chi-square. Distribution functions are elementary ones where
there are, and SciPy's in the tests marked `oracle`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc import random

KEY = random.key(1234)
COUNT = 10000
#: The limit of sqrt(n) D that one in a thousand samples of the right distribution exceeds.
LIMIT = 1.95


def assert_distributed(sample, cdf):
    x = np.sort(np.asarray(sample, "float64").reshape(-1))
    assert np.isfinite(x).all()
    n = len(x)
    f = cdf(x)
    distance = max(np.max(np.arange(1, n + 1) / n - f), np.max(f - np.arange(n) / n))
    assert distance * math.sqrt(n) < LIMIT


erf = np.vectorize(math.erf)


def normal_cdf(x):
    return (1 + erf(x / math.sqrt(2))) / 2


def maxwell_cdf(x):
    return erf(x / math.sqrt(2)) - math.sqrt(2 / math.pi) * x * np.exp(-x * x / 2)


def triangular_cdf(x):
    """Between -1 and 3, with the top at 0."""
    return np.where(x < 0, (x + 1) ** 2 / 4, 1 - (3 - x) ** 2 / 12)


def wald_cdf(x):
    """Of mean 2."""
    root = np.sqrt(1 / x)
    return normal_cdf(root * (x / 2 - 1)) + math.exp(1) * normal_cdf(-root * (x / 2 + 1))


N = (COUNT,)
CONTINUOUS = {
    "uniform": (lambda: random.uniform(KEY, N, "float32", -1.0, 3.0), lambda x: (x + 1) / 4),
    "normal": (lambda: random.normal(KEY, N), normal_cdf),
    "normal 64": (lambda: random.normal(KEY, N, "float64"), normal_cdf),
    "truncated_normal": (
        lambda: random.truncated_normal(KEY, -1.0, np.float64(0.5), N),
        lambda x: (normal_cdf(x) - normal_cdf(-1.0)) / (normal_cdf(0.5) - normal_cdf(-1.0)),
    ),
    "exponential": (lambda: random.exponential(KEY, N), lambda x: 1 - np.exp(-x)),
    **{
        f"gumbel {mode}": (
            lambda mode=mode: random.gumbel(KEY, N, mode=mode),
            lambda x: np.exp(-np.exp(-x)),
        )
        for mode in ("low", "high", "highest")
    },
    "laplace": (
        lambda: random.laplace(KEY, N),
        lambda x: np.where(x < 0, np.exp(-np.abs(x)) / 2, 1 - np.exp(-np.abs(x)) / 2),
    ),
    "logistic": (lambda: random.logistic(KEY, N), lambda x: 1 / (1 + np.exp(-x))),
    "cauchy": (lambda: random.cauchy(KEY, N), lambda x: 0.5 + np.arctan(x) / np.pi),
    "maxwell": (lambda: random.maxwell(KEY, N), maxwell_cdf),
    "double_sided_maxwell": (
        lambda: random.double_sided_maxwell(KEY, 1.0, 2.0, N),
        lambda x: 0.5 + np.sign(x - 1) * maxwell_cdf(np.abs(x - 1) / 2) / 2,
    ),
    "lognormal": (lambda: random.lognormal(KEY, 0.5, N), lambda x: normal_cdf(np.log(x) / 0.5)),
    "pareto": (lambda: random.pareto(KEY, 3.0, N), lambda x: 1 - x**-3),
    "rayleigh": (lambda: random.rayleigh(KEY, 2.0, N), lambda x: 1 - np.exp(-x * x / 8)),
    "weibull_min": (
        lambda: random.weibull_min(KEY, 2.0, 1.5, N),
        lambda x: 1 - np.exp(-((x / 2) ** 1.5)),
    ),
    "triangular": (lambda: random.triangular(KEY, -1.0, 0.0, 3.0, N), triangular_cdf),
    "wald": (lambda: random.wald(KEY, 2.0, N), wald_cdf),
    "gamma 3": (
        lambda: random.gamma(KEY, 3.0, N),
        lambda x: 1 - np.exp(-x) * (1 + x + x * x / 2),
    ),
    "gamma 1/2": (lambda: random.gamma(KEY, 0.5, N), lambda x: erf(np.sqrt(x))),
    "gamma 64": (lambda: random.gamma(KEY, np.float64(0.5), N), lambda x: erf(np.sqrt(x))),
    "gamma bfloat16": (
        lambda: random.gamma(KEY, 1.0, (1000,), "bfloat16"),
        lambda x: 1 - np.exp(-x),
    ),
    # For small a, a log(x) + log(Gamma(a + 1)) is that of a uniform number, at the lower end.
    "loggamma": (
        lambda: random.loggamma(KEY, 1e-3, N),
        lambda x: np.minimum(np.exp(1e-3 * x - math.lgamma(1 + 1e-3)), 1),
    ),
    "beta": (lambda: random.beta(KEY, 2.0, 3.0, N), lambda x: x**2 * (6 - 8 * x + 3 * x**2)),
    "dirichlet": (
        lambda: np.asarray(random.dirichlet(KEY, np.ones(3, "float32"), N))[:, 1],
        lambda x: 1 - (1 - x) ** 2,
    ),
    "chisquare": (
        lambda: random.chisquare(KEY, 4.0, N),
        lambda x: 1 - np.exp(-x / 2) * (1 + x / 2),
    ),
    "f": (lambda: random.f(KEY, 2.0, 6.0, N), lambda x: 1 - (1 + x / 3) ** -3),
    "t": (lambda: random.t(KEY, 2.0, N), lambda x: 0.5 + x / (2 * np.sqrt(2 + x * x))),
    "generalized_normal": (
        lambda: random.generalized_normal(KEY, 2.0, N),
        lambda x: (1 + erf(x)) / 2,
    ),
    "ball, radius": (
        lambda: np.linalg.norm(random.ball(KEY, 3, shape=N), axis=1),
        lambda r: r**3,
    ),
    "ball, direction": (
        # by Archimedes, coordinates of points on a sphere are uniform
        lambda: (lambda x: x[:, 0] / np.linalg.norm(x, axis=1))(
            np.asarray(random.ball(KEY, 3, shape=N))
        ),
        lambda x: (x + 1) / 2,
    ),
    "ball of the maximum of p = 1": (
        lambda: np.abs(random.ball(KEY, 2, 1.0, N)).sum(1),
        lambda r: r**2,
    ),
}


@pytest.mark.parametrize(("draw", "cdf"), CONTINUOUS.values(), ids=CONTINUOUS)
def test_continuous(draw, cdf):
    assert_distributed(draw(), cdf)


def assert_counts(sample, probability, high):
    """Chi-square over the counts 0 to `high` - 1, and the rest; rare ones are put together."""
    x = np.asarray(sample).astype("int64").reshape(-1)
    assert x.min() >= 0
    expected = np.array([probability(k) for k in range(high)]) * len(x)
    found = np.bincount(np.minimum(x, high), minlength=high + 1)
    expected = np.append(expected, max(len(x) - expected.sum(), 0))
    group = np.floor(np.cumsum(expected) / 25)  # about 25 or more in each
    expected, found = (
        np.bincount(np.unique(group, return_inverse=True)[1], v) for v in (expected, found)
    )
    keep = expected > 5
    degrees = keep.sum() - 1
    statistic = np.sum((found[keep] - expected[keep]) ** 2 / expected[keep])
    assert degrees > 1
    assert statistic < degrees + 4 * math.sqrt(2 * degrees)


def poisson_probability(lam):
    return lambda k: math.exp(k * math.log(lam) - lam - math.lgamma(k + 1))


def binomial_probability(n, p):
    return lambda k: math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(p) + (n - k) * math.log1p(-p)
    ) if k <= n else 0.0  # fmt: skip


@pytest.mark.parametrize("lam", [0.3, 4.0, 9.9, 10.0, 35.0, 1000.0])
def test_poisson(lam):
    sample = random.poisson(KEY, lam, N)
    assert sample.dtype == np.int32
    assert_counts(sample, poisson_probability(lam), int(lam + 6 * math.sqrt(lam) + 6))


@pytest.mark.parametrize(
    ("n", "p"), [(3, 0.5), (12, 0.3), (30, 0.9), (60, 0.5), (1000, 0.02), (5000, 0.7), (1, 0.25)]
)
def test_binomial(n, p):
    sample = random.binomial(KEY, n, p, N)
    assert sample.dtype == np.float32
    if n == 1:
        assert abs(np.mean(sample) - p) < 5 * math.sqrt(p * (1 - p) / COUNT)
    else:
        assert_counts(sample, binomial_probability(n, p), n + 1)


@pytest.mark.parametrize("p", [0.02, 0.5, 0.9])
def test_geometric(p):
    sample = random.geometric(KEY, p, N)
    assert sample.dtype == np.int32
    assert_counts(sample, lambda k: p * (1 - p) ** (k - 1) if k else 0.0, int(10 / p))


def test_multinomial():
    p = np.array([0.2, 0.5, 0.0, 0.3])
    x = np.asarray(random.multinomial(KEY, 40, p, shape=(4000,)))
    assert (x.shape, x.dtype) == ((4000, 4), np.float64)
    assert (x.sum(1) == 40).all()
    assert (x[:, 2] == 0).all()
    for i in (0, 1, 3):
        assert_counts(x[:, i], binomial_probability(40, p[i]), 41)
    covariance = np.cov(x.T)
    expected = 40 * (np.diag(p) - np.outer(p, p))
    np.testing.assert_allclose(covariance, expected, atol=5 * 10 / math.sqrt(4000))


def test_rademacher():
    x = np.asarray(random.rademacher(KEY, N))
    assert set(x.tolist()) == {-1, 1}
    assert abs(x.mean()) < 5 / math.sqrt(COUNT)
    for dtype in ("int8", "float32", "complex64"):
        signs = random.rademacher(KEY, N, dtype)
        assert signs.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(np.asarray(signs).real, x)


def test_edges_of_parameters():
    nan = np.nan
    lam = np.array([0.0, nan, -1.0, np.inf, 2e9], "float32")
    counts = np.asarray(random.poisson(KEY, lam))
    assert counts[:4].tolist() == [0, -1, -1, -1]
    assert abs(counts[4] / 2e9 - 1) < 1e-3
    n = np.array([5, 5, 0, -1, 5, 5, nan, np.inf, np.inf, 2.9], "float32")
    p = np.array([0, 1, 0.5, 0.5, 1.5, nan, 0.5, 0.5, -1, 1], "float32")
    drawn = np.asarray(random.binomial(KEY, n, p))
    np.testing.assert_array_equal(drawn, [0, 5, 0, nan, nan, nan, nan, np.inf, nan, 2])
    np.testing.assert_array_equal(
        random.gamma(KEY, np.array([0.0, -1.0, nan], "float32")), [0, nan, nan]
    )
    assert random.geometric(KEY, 1.0) == 1
    np.testing.assert_array_equal(random.beta(KEY, 0.0, 1.0), 0)
    assert np.isfinite(random.gamma(KEY, np.array([1e-30, 1e30], "float32"))).all()


EMPTY = {
    "gamma": lambda **k: random.gamma(KEY, 1.0, **k),
    "beta": lambda **k: random.beta(KEY, 1.0, 2.0, **k),
    "poisson": lambda **k: random.poisson(KEY, 3.0, **k),
    "binomial": lambda **k: random.binomial(KEY, 3.0, 0.5, **k),
    "cauchy": lambda **k: random.cauchy(KEY, **k),
    "wald": lambda **k: random.wald(KEY, 1.0, **k),
}


@pytest.mark.parametrize("draw", EMPTY.values(), ids=EMPTY)
def test_shapes(draw):
    for shape in ((), (0,), (3, 0), (2, 1, 3), 5):
        expected = (shape,) if isinstance(shape, int) else shape
        assert draw(shape=shape).shape == expected


def test_shapes_of_vectors():
    assert random.dirichlet(KEY, np.ones((2, 3))).shape == (2, 3)
    assert random.dirichlet(KEY, np.ones((2, 3)), (4, 2)).shape == (4, 2, 3)
    assert random.dirichlet(KEY, np.ones(0)).shape == (0,)
    assert random.multinomial(KEY, np.array([[1.0], [2.0]]), np.ones((2, 3)) / 3).shape == (2, 2, 3)
    assert random.multinomial(KEY, 3, np.ones(3), shape=(0, 2)).shape == (0, 2, 3)
    assert random.multinomial(KEY, 3, np.ones(0)).shape == (0,)
    assert random.ball(KEY, 0, shape=(2,)).shape == (2, 0)
    assert random.double_sided_maxwell(KEY, np.zeros(3), 1.0, (2,)).shape == (2, 3)


def test_dtypes_of_parameters_and_results():
    half, double = np.ones(2, "float16"), np.ones(2)
    for draw in (random.gamma, random.loggamma, random.t, random.pareto, random.wald):
        assert draw(KEY, 2.0).dtype == np.float32
        assert draw(KEY, 2).dtype == np.float32
        assert draw(KEY, half).dtype == np.float16
        assert draw(KEY, double).dtype == np.float64
        assert draw(KEY, double, dtype="bfloat16").dtype == rnp.bfloat16
    assert random.binomial(KEY, 3, double).dtype == np.float64
    assert random.poisson(KEY, double, dtype="uint8").dtype == np.uint8
    for draw in (random.uniform, random.normal, random.bits, random.rademacher):
        assert draw(KEY, (), None).dtype == draw(KEY).dtype


SCIPY = {
    "gamma": [(0.3,), (1.0,), (2.5,), (50.0,), (1e4,)],
    "beta": [(0.2, 0.3), (1.0, 5.0), (80.0, 20.0)],
    "chisquare": [(0.5,), (1.0,), (30.0,)],
    "f": [(1.0, 2.0), (10.0, 7.0)],
    "t": [(0.7,), (1.0,), (30.0,)],
    "generalized_normal": [(0.5,), (1.0,), (4.0,)],
    "wald": [(0.1,), (3.0,)],
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", SCIPY)
def test_against_scipy(name):
    stats = pytest.importorskip("scipy.stats")
    of = {"chisquare": stats.chi2, "generalized_normal": stats.gennorm, "wald": stats.invgauss}
    for i, parameters in enumerate(SCIPY[name]):
        scale = {}
        if name == "wald":  # SciPy's invgauss(mu) has the mean mu scale
            scale = {"scale": 1.0}
        distribution = of.get(name) or getattr(stats, name)
        frozen = distribution(*parameters, **scale)
        key = random.fold_in(KEY, i)
        for dtype in ("float32", "float64"):
            sample = getattr(random, name)(key, *parameters, N, dtype)
            assert_distributed(sample, frozen.cdf)


@pytest.mark.oracle
def test_large_counts_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    for dtype, lam in (("float32", 1e5), ("float32", 1e6), ("float64", 1e9)):
        sample = np.asarray(random.poisson(KEY, np.array(lam, dtype), N)).astype("float64")
        # Steps of the count are small beside the deviation; uniform numbers make it continuous.
        smooth = sample + np.asarray(random.uniform(random.fold_in(KEY, 1), N)) - 0.5
        assert_distributed(smooth, lambda x, lam=lam: stats.poisson(lam).cdf(x + 0.5) - 0.0)
    for dtype, n, p in (("float32", 1e5, 0.3), ("float64", 1e8, 0.6)):
        sample = np.asarray(random.binomial(KEY, np.array(n, dtype), p, N)).astype("float64")
        smooth = sample + np.asarray(random.uniform(random.fold_in(KEY, 1), N)) - 0.5
        deviation = math.sqrt(n * p * (1 - p))
        assert_distributed(smooth, lambda x, n=n, p=p, s=deviation: normal_cdf((x - n * p) / s))
