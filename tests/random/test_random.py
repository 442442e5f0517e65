"""Random numbers: keys, transforms, distributions, and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc import random
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.ops.random_bits import threefry2x32
from rtfunc.transforms.jit import jit
from rtfunc.transforms.stage import eval_shape, make_graph
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

KEY = random.key(42)
COUNT = 20000


def test_threefry_known_answers():
    """The vectors of the Random123 distribution (kat_vectors, threefry2x32, 20 rounds)."""
    pi = (0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3)
    ones = (0xFFFFFFFF,) * 4
    for words, expected in (
        ((0, 0, 0, 0), (0x6B200159, 0x99BA4EFE)),
        (ones, (0x1CB996FC, 0xBB002BE7)),
        (pi, (0xC4923A9C, 0x483DF7A0)),
    ):
        scalars = threefry2x32(*(Array(np.array(w, "uint32")) for w in words))
        assert tuple(int(v) for v in scalars) == expected
        # as members of an array, which takes another way
        arrays = threefry2x32(*(Array(np.full((7, 9), w, "uint32")) for w in words))
        assert all((np.asarray(a) == e).all() for a, e in zip(arrays, expected))


def test_keys_of_seeds():
    for seed, words in (
        (0, (0, 0)),
        (42, (0, 42)),
        (-1, (0, 2**32 - 1)),
        (2**31, (0, 2**31)),
        (2**40 + 5, (256, 5)),
        (-(2**40), (2**32 - 256, 0)),
        (np.int64(-1), (2**32 - 1, 2**32 - 1)),
        (np.uint8(7), (0, 7)),
    ):
        key = random.key(seed)
        assert (key.shape, key.dtype, tuple(np.asarray(key).tolist())) == ((2,), np.uint32, words)
    np.testing.assert_array_equal(random.PRNGKey(3), random.key(3))
    np.testing.assert_array_equal(jit(random.key)(3), random.key(3))
    np.testing.assert_array_equal(
        vmap(random.key)(np.arange(3)), np.stack([random.key(i) for i in range(3)])
    )


def test_key_data_and_back():
    words = np.array([1, 2], "uint32")
    key = random.wrap_key_data(words)
    words[0] = 9  # the key is its own
    np.testing.assert_array_equal(random.key_data(key), [1, 2])
    np.testing.assert_array_equal(random.clone(key), key)
    assert random.key_impl(key) == "threefry2x32"


def test_more_than_2_to_the_32_numbers_count_in_two_words():
    size = 2**32 + 8
    assert eval_shape(lambda key: random.bits(key, (size,)), KEY).shape == (size,)
    graph = str(make_graph(lambda key: random.bits(key, (size,)))(KEY))
    assert "shift_right_logical" in graph  # the high words; with fewer numbers they are 0
    assert "shift_right_logical" not in str(make_graph(lambda key: random.bits(key, (9,)))(KEY))


def test_split_keys_are_different():
    keys = np.asarray(random.split(KEY, (50, 20))).reshape(-1, 2)
    assert len({tuple(k) for k in keys.tolist()}) == 1000


A = np.array([0.3, 1.0, 4.0, 7.5], "float32")
DRAWS = {
    "split": lambda key: random.split(key, 3),
    "fold_in": lambda key: random.fold_in(key, 7),
    "bits": lambda key: random.bits(key, (2, 3), "uint64"),
    "uniform": lambda key: random.uniform(key, (2, 3), "float64", -1, 3),
    "randint": lambda key: random.randint(key, (2, 3), 0, 7),
    "bernoulli": lambda key: random.bernoulli(key, 0.3, (5,)),
    "normal": lambda key: random.normal(key, (2, 3)),
    "complex normal": lambda key: random.normal(key, (3,), "complex128"),
    "truncated_normal": lambda key: random.truncated_normal(key, -1.0, 2.0, (4,)),
    "exponential": lambda key: random.exponential(key, (4,)),
    "gumbel": lambda key: random.gumbel(key, (4,)),
    "gumbel high": lambda key: random.gumbel(key, (4,), mode="high"),
    "laplace": lambda key: random.laplace(key, (4,)),
    "logistic": lambda key: random.logistic(key, (4,)),
    "permutation": lambda key: random.permutation(key, 9),
    "permuted rows": lambda key: random.permutation(key, np.arange(12.0).reshape(4, 3)),
    "choice": lambda key: random.choice(key, np.arange(5.0), (3,)),
    "weighted choice": lambda key: random.choice(key, 4, (3,), p=np.array([0.1, 0.2, 0.3, 0.4])),
    "distinct choice": lambda key: random.choice(
        key, 4, (3,), False, np.array([0.1, 0.2, 0.3, 0.4])
    ),
    "categorical": lambda key: random.categorical(key, np.arange(6.0).reshape(2, 3)),
    "rademacher": lambda key: random.rademacher(key, (5,)),
    "gumbel highest": lambda key: random.gumbel(key, (4,), mode="highest"),
    "cauchy": lambda key: random.cauchy(key, (4,)),
    "maxwell": lambda key: random.maxwell(key, (4,)),
    "lognormal": lambda key: random.lognormal(key, A),
    "pareto": lambda key: random.pareto(key, A),
    "rayleigh": lambda key: random.rayleigh(key, A),
    "weibull_min": lambda key: random.weibull_min(key, 2.0, A),
    "double_sided_maxwell": lambda key: random.double_sided_maxwell(key, 1.0, A),
    "triangular": lambda key: random.triangular(key, 0.0, A, 9.0),
    "wald": lambda key: random.wald(key, A),
    "gamma": lambda key: random.gamma(key, A),
    "loggamma": lambda key: random.loggamma(key, A),
    "beta": lambda key: random.beta(key, A, 2.0),
    "dirichlet": lambda key: random.dirichlet(key, A),
    "chisquare": lambda key: random.chisquare(key, A),
    "f": lambda key: random.f(key, A, 3.0),
    "t": lambda key: random.t(key, A),
    "generalized_normal": lambda key: random.generalized_normal(key, 3.0, (4,)),
    "ball": lambda key: random.ball(key, 3, shape=(2,)),
    "geometric": lambda key: random.geometric(key, 0.3, (4,)),
    "poisson": lambda key: random.poisson(key, np.array([3.0, 30.0], "float32"), (3, 2)),
    "binomial": lambda key: random.binomial(key, np.array([3.0, 300.0], "float32"), 0.3),
    "multinomial": lambda key: random.multinomial(key, 20, np.array([0.2, 0.5, 0.3])),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_draws_under_transforms_are_the_same(draw):
    """Staged, and batched over keys, they are what single eager draws are."""
    expected = np.asarray(draw(KEY))
    # logarithms and fused multiplications may round otherwise in compiled code
    same = {"rtol": 1e-6, "atol": 1e-6} if expected.dtype.kind in "fc" else {"rtol": 0}
    np.testing.assert_allclose(jit(draw)(KEY), expected, **same)
    np.testing.assert_allclose(jit(lambda: draw(KEY))(), expected, **same)
    keys = random.split(KEY, 4)
    looped = np.stack([np.asarray(draw(keys[i])) for i in range(4)])
    np.testing.assert_allclose(vmap(draw)(keys), looped, **same)
    np.testing.assert_allclose(jit(vmap(draw, in_axes=1))(keys.T), looped, **same)


def test_derivatives_flow_to_the_bounds():
    u = np.asarray(random.uniform(KEY, (5,), "float64"))
    total = lambda low, high: rnp.sum(random.uniform(KEY, (5,), "float64", low, high))  # noqa: E731
    low, high = grad(total, argnums=(0, 1))(np.float64(-1.0), np.float64(3.0))
    np.testing.assert_allclose(low, np.sum(1 - u), rtol=1e-14)
    np.testing.assert_allclose(high, np.sum(u), rtol=1e-14)
    value = lambda high: random.truncated_normal(KEY, -1.0, high, (), "float64")  # noqa: E731
    slope = (float(value(1.5 + 1e-6)) - float(value(1.5 - 1e-6))) / 2e-6
    np.testing.assert_allclose(grad(value)(np.float64(1.5)), slope, rtol=1e-7)


# Means and variances of 20,000 draws; the limits are about 5 standard errors.


@pytest.mark.parametrize(
    ("draw", "mean", "variance", "fourth"),
    [
        (lambda: random.uniform(KEY, (COUNT,), "float32", -1.0, 1.0), 0, 1 / 3, 1 / 5),
        (lambda: random.normal(KEY, (COUNT,)), 0, 1, 3),
        (lambda: random.normal(KEY, (COUNT,), "float64"), 0, 1, 3),
        (lambda: random.exponential(KEY, (COUNT,)), 1, 1, 9),
        (lambda: random.gumbel(KEY, (COUNT,)), 0.5772157, math.pi**2 / 6, 14.6),
        (lambda: random.gumbel(KEY, (COUNT,), mode="high"), 0.5772157, math.pi**2 / 6, 14.6),
        (lambda: random.laplace(KEY, (COUNT,)), 0, 2, 24),
        (lambda: random.logistic(KEY, (COUNT,)), 0, math.pi**2 / 3, 45.5),
    ],
)
def test_moments(draw, mean, variance, fourth):
    x = np.asarray(draw(), "float64")
    assert np.isfinite(x).all()
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / COUNT)
    assert abs(np.mean((x - mean) ** 2) - variance) < 5 * math.sqrt((fourth - variance**2) / COUNT)


def test_complex_normal_has_variance_1():
    z = np.asarray(random.normal(KEY, (COUNT,), "complex64"))
    assert abs(np.mean(np.abs(z) ** 2) - 1) < 5 / math.sqrt(COUNT)
    assert abs(np.mean(z * z)) < 5 / math.sqrt(COUNT)


def test_truncated_normal_stays_between_its_bounds():
    low, high = np.float32(0.5), np.array([0.5000001, 0.7, 9.0], "float32")
    x = np.asarray(random.truncated_normal(KEY, low, high, (1000, 3)))
    assert (x[:, 1:] > low).all()
    assert (x[:, 1:] < high[1:]).all()
    assert np.isfinite(x).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_uniform_is_below_1_and_reaches_0(dtype):
    x = np.asarray(random.uniform(KEY, (COUNT,), dtype)).astype("float64")
    assert 0 <= x.min() < 0.001
    assert 0.99 < x.max() < 1
    assert random.uniform(KEY, (), dtype).dtype == rnp.dtype(dtype)


def test_randint_covers_its_range():
    x = np.asarray(random.randint(KEY, (COUNT,), -3, 4))
    assert np.unique(x).tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert abs(x.mean()) < 5 * 2 / math.sqrt(COUNT)
    whole = np.asarray(random.randint(KEY, (COUNT,), -128, 128, "int8"))
    assert (whole.min(), whole.max()) == (-128, 127)
    assert (np.asarray(random.randint(KEY, (9,), 5, 3)) == 5).all()


def test_permutations():
    x = np.asarray(random.permutation(KEY, 1000))
    assert np.sort(x).tolist() == list(range(1000))
    assert (x != np.arange(1000)).any()
    table = np.arange(20).reshape(4, 5)
    rows = np.asarray(random.permutation(KEY, table))
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, table.tolist()))
    columns = np.asarray(random.permutation(KEY, table, 1))
    assert sorted(map(tuple, columns.T.tolist())) == sorted(map(tuple, table.T.tolist()))
    each = np.asarray(random.permutation(KEY, table, 1, independent=True))
    np.testing.assert_array_equal(np.sort(each, 1), table)


def test_choices():
    x = np.arange(10.0, 15.0)
    once = np.asarray(random.choice(KEY, x, (5,), replace=False))
    np.testing.assert_array_equal(np.sort(once), x)
    p = np.array([0.0, 0.2, 0.0, 0.8, 0.0])
    drawn = np.asarray(random.choice(KEY, x, (COUNT,), p=p))
    assert set(drawn.tolist()) == {11.0, 13.0}
    assert abs(np.mean(drawn == 13.0) - 0.8) < 5 * 0.4 / math.sqrt(COUNT)
    twice = np.asarray(random.choice(KEY, x, (2,), replace=False, p=p))
    assert set(twice.tolist()) == {11.0, 13.0}
    table = np.arange(12.0).reshape(3, 4)
    assert random.choice(KEY, table, (2, 5), axis=1).shape == (3, 2, 5)
    assert random.choice(KEY, table, (0,)).shape == (0, 4)


def test_categories_have_their_probabilities():
    p = np.array([0.1, 0.6, 0.3])
    x = np.asarray(random.categorical(KEY, np.log(p), shape=(COUNT,)))
    assert x.dtype == np.int32
    np.testing.assert_allclose(np.bincount(x) / COUNT, p, atol=5 * 0.5 / math.sqrt(COUNT))
    x = np.asarray(random.categorical(KEY, np.zeros((6, 2)), 0, (6, 2), replace=False))
    np.testing.assert_array_equal(np.sort(x, 0), np.arange(6)[:, None].repeat(2, 1))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: random.key(1.5), DtypeError, r"random.key takes an integer seed, not float32"),
        (lambda: random.key(np.arange(2)), ShapeError, r"scalar seed.*\(2,\).*vmap"),
        (
            lambda: random.bits(7),
            DtypeError,
            r"random.bits takes a key, a uint32 array of shape \(2,\)",
        ),
        (lambda: random.normal(np.zeros(2)), DtypeError, "random.normal takes a key.*float64"),
        (lambda: random.uniform(random.split(KEY)), ShapeError, r"takes one key.*\(2, 2\).*vmap"),
        (lambda: random.fold_in(KEY, 1.0), DtypeError, "random.fold_in takes an integer"),
        (lambda: random.fold_in(KEY, np.arange(2)), ShapeError, "random.fold_in takes a scalar"),
        (
            lambda: random.bits(KEY, (), "int32"),
            DtypeError,
            "unsigned integers, but dtype is int32",
        ),
        (lambda: random.uniform(KEY, (), "int32"), DtypeError, "random.uniform returns float16"),
        (lambda: random.uniform(KEY, (-1,)), ShapeError, "not negative"),
        (
            lambda: random.uniform(KEY, (2,), "float32", np.zeros(3)),
            ShapeError,
            r"random.uniform got shapes that do not broadcast",
        ),
        (
            lambda: random.normal(KEY, (2,), "float8_e5m2"),
            DtypeError,
            "random.normal returns float16, bfloat16, float32 or float64, but dtype is float8",
        ),
        (lambda: random.randint(KEY, (), 0.0, 2), DtypeError, "integers as bounds, not float32"),
        (
            lambda: random.randint(KEY, (), 0, 2, "float32"),
            DtypeError,
            "returns integers, but dtype",
        ),
        (
            lambda: random.randint(KEY, (), np.zeros(2, int), 2),
            ShapeError,
            r"parameters of shape \(2,\) do not broadcast to the shape \(\) of the result",
        ),
        (lambda: random.bernoulli(KEY, 1), DtypeError, "floats as probabilities, not int32"),
        (
            lambda: random.bernoulli(KEY, 0.5, (), "mid"),
            ArgumentError,
            "'low' or 'high', not 'mid'",
        ),
        (lambda: random.permutation(KEY, 2.0), DtypeError, "a static integer, not 2.0"),
        (lambda: random.choice(KEY, 0, (2,)), ArgumentError, "empty population"),
        (
            lambda: random.choice(KEY, 3, (4,), False),
            ArgumentError,
            "cannot draw 4 elements from 3",
        ),
        (lambda: random.choice(KEY, 3, (), p=np.ones(2)), ShapeError, r"must be \(3,\)"),
        (
            lambda: random.categorical(KEY, np.zeros((2, 3)), shape=(4,)),
            ShapeError,
            "random.categorical got shapes that do not broadcast",
        ),
        (
            lambda: random.categorical(KEY, np.zeros(3), shape=(4,), replace=False),
            ArgumentError,
            "cannot draw 4 distinct categories of 3",
        ),
        *(
            (lambda draw=draw: draw(3), DtypeError, f"random.{name} takes a key, a uint32 array")
            for name, draw in {
                "split": random.split,
                "clone": random.clone,
                "key_impl": random.key_impl,
                "rademacher": random.rademacher,
                "cauchy": random.cauchy,
                "maxwell": random.maxwell,
                "lognormal": random.lognormal,
                "rayleigh": random.rayleigh,
                "gamma": lambda key: random.gamma(key, 1.0),
                "loggamma": lambda key: random.loggamma(key, 1.0),
                "beta": lambda key: random.beta(key, 1.0, 1.0),
                "dirichlet": lambda key: random.dirichlet(key, np.ones(2)),
                "chisquare": lambda key: random.chisquare(key, 1.0),
                "f": lambda key: random.f(key, 1.0, 1.0),
                "t": lambda key: random.t(key, 1.0),
                "generalized_normal": lambda key: random.generalized_normal(key, 1.0),
                "pareto": lambda key: random.pareto(key, 1.0),
                "weibull_min": lambda key: random.weibull_min(key, 1.0, 1.0),
                "double_sided_maxwell": lambda key: random.double_sided_maxwell(key, 1.0, 1.0),
                "triangular": lambda key: random.triangular(key, 0.0, 1.0, 2.0),
                "wald": lambda key: random.wald(key, 1.0),
                "poisson": lambda key: random.poisson(key, 1.0),
                "binomial": lambda key: random.binomial(key, 1, 0.5),
                "multinomial": lambda key: random.multinomial(key, 1, np.ones(2)),
                "geometric": lambda key: random.geometric(key, 0.5),
                "ball": lambda key: random.ball(key, 2),
                "choice": lambda key: random.choice(key, 2),
                "permutation": lambda key: random.permutation(key, 2),
                "categorical": lambda key: random.categorical(key, np.ones(2)),
                "truncated_normal": lambda key: random.truncated_normal(key, 0.0, 1.0),
            }.items()
        ),
        (
            lambda: random.rademacher(KEY, (), "uint8"),
            DtypeError,
            "random.rademacher returns signed numbers, but dtype is uint8",
        ),
        (
            lambda: random.gumbel(KEY, (), mode="mid"),
            ArgumentError,
            "random.gumbel: mode is 'low', 'high' or 'highest', not 'mid'",
        ),
        (
            lambda: random.categorical(KEY, np.zeros(3), mode="mid"),
            ArgumentError,
            "random.categorical: mode is",
        ),
        (
            lambda: random.choice(KEY, 3, (), False, np.ones(3), mode="mid"),
            ArgumentError,
            "random.choice: mode is",
        ),
        (lambda: random.gamma(KEY, 1.0, (-1,)), ShapeError, "not negative"),
        (
            lambda: random.gamma(KEY, 1.0, (2.5,)),
            DtypeError,
            "an integer or a sequence of integers",
        ),
        (
            lambda: random.gamma(KEY, np.ones(3), (2,)),
            ShapeError,
            "random.gamma got shapes that do not broadcast",
        ),
        (
            lambda: random.beta(KEY, np.ones(3), 1.0, ()),
            ShapeError,
            r"random.beta: parameters of shape \(3,\) do not broadcast to the shape \(\)",
        ),
        (lambda: random.gamma(KEY, 1.0, (), "int32"), DtypeError, "random.gamma returns float16"),
        (lambda: random.gamma(KEY, 1j), DtypeError, "random.gamma takes real parameters"),
        (lambda: random.wald(KEY, [1.0]), DtypeError, "random.wald takes arrays and numbers"),
        (lambda: random.poisson(KEY, 1.0, (), "float32"), DtypeError, "poisson returns integers"),
        (lambda: random.geometric(KEY, 0.5, (), "bool"), DtypeError, "geometric returns integers"),
        (lambda: random.binomial(KEY, 3, 0.5, (), "int32"), DtypeError, "binomial returns float16"),
        (lambda: random.dirichlet(KEY, 1.0), ShapeError, "takes a vector of concentrations"),
        (lambda: random.multinomial(KEY, 3, 1.0), ShapeError, "takes a vector of probabilities"),
        (
            lambda: random.multinomial(KEY, np.ones(2), np.ones((3, 4))),
            ShapeError,
            "random.multinomial got shapes that do not broadcast",
        ),
        (lambda: random.ball(KEY, 2.0), DtypeError, "random.ball: d is an integer, not float"),
        (lambda: random.ball(KEY, -2), ArgumentError, "random.ball: d is -2, below 0"),
        (lambda: random.ball(KEY, 2, np.ones(2)), ShapeError, "random.ball: p is a scalar"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
