"""Draws are what jax.random draws: against recorded values, and jax where it is installed."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc import random
from tests.random.cases import CASES, KEYS, ROUNDED, digest, draw, name, needs_64_bits

#: Made by `record.py`, which says how.
RECORDED = json.loads((pathlib.Path(__file__).parent / "recorded.json").read_text())

#: One test per function: there are hundreds of cases.
by_function = pytest.mark.parametrize("function", sorted({case[0] for case in CASES}))


@by_function
def test_draws_are_the_recorded_ones(function):
    wrong = [
        (case, words)
        for case in CASES
        if case[0] == function
        for words, expected in zip(KEYS, RECORDED["digests"][name(case)])
        if digest(draw(random, np.array(words, "uint32"), case)) != expected
    ]
    assert not wrong


@pytest.mark.parametrize("text", RECORDED["values"])
def test_values_in_full(text):
    found = draw(random, np.array(KEYS[1], "uint32"), json.loads(text))
    expected = np.array(RECORDED["values"][text], found.dtype)
    np.testing.assert_array_equal(found, expected)


#: jax computes the smaller root of Wald's quadratic with cancellation.
AMPLIFIED = {"wald": 1e-3}


def assert_rounded(case, found, expected):
    """Within some ulp: 1e-5 leaves room for the few steps in which rounding is amplified."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=AMPLIFIED.get(case[0], 1e-5), atol=1e-6)


@pytest.mark.parametrize("case", ROUNDED, ids=name)
def test_distributions_are_the_recorded_ones(case):
    found = draw(random, np.array(KEYS[1], "uint32"), case)
    assert_rounded(case, found, np.array(RECORDED["rounded"][name(case)], found.dtype))


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    yield jax
    jax.config.update("jax_enable_x64", before)


def _rounded_by_processor(case):
    """jax's own float16 products and sums are fused on some processors and not on others."""
    function, arguments = case
    return function == "uniform" and arguments["dtype"] == "float16" and arguments["minval"] != 0


def _differences(jax, cases):
    words = np.array([7, 2**32 - 5], "uint32")
    wrong = []
    for case in cases:
        jax.config.update("jax_enable_x64", needs_64_bits(case))
        found, expected = draw(random, words, case), draw(jax.random, words, case)
        if _rounded_by_processor(case):
            scale = case[1]["maxval"] - case[1]["minval"]
            same = np.abs(found - expected).max(initial=0) <= 2**-10 * scale
        else:
            same = digest(found) == digest(expected)
        if not same:
            wrong.append(case)
    return wrong


@pytest.mark.oracle
def test_draws_are_jaxs(jax):
    assert not _differences(jax, CASES[::29])  # jax compiles each case anew


@pytest.mark.oracle
@pytest.mark.slow
def test_all_draws_are_jaxs(jax):
    assert not _differences(jax, CASES)


@pytest.mark.oracle
def test_array_parameters_as_in_jax(jax):
    jax.config.update("jax_enable_x64", False)
    key = np.array([3, 4], "uint32")
    low = np.array([0, 5, -3], "int32")
    np.testing.assert_array_equal(
        random.randint(key, (4, 3), low, low + 7), jax.random.randint(key, (4, 3), low, low + 7)
    )
    low = np.array([[0.0], [5.0], [-3.0], [0.1]], "float32")
    np.testing.assert_array_equal(
        random.uniform(key, (4, 3), "float32", low, low + np.float32(1.7)),
        jax.random.uniform(key, (4, 3), "float32", low, low + np.float32(1.7)),
    )
    p = np.array([0.1, 0.5, 0.9], "float32")
    np.testing.assert_array_equal(random.bernoulli(key, p), jax.random.bernoulli(key, p))
    x = np.arange(24.0, dtype="float32").reshape(4, 6)
    for axis in (0, 1):
        for independent in (False, True):
            np.testing.assert_array_equal(
                random.permutation(key, x, axis, independent),
                jax.random.permutation(key, x, axis, independent=independent),
            )
        np.testing.assert_array_equal(
            random.choice(key, x, (2, 3), axis=axis), jax.random.choice(key, x, (2, 3), axis=axis)
        )


@pytest.mark.oracle
def test_weighted_choices_as_in_jax(jax):
    # They hang on logarithms and cumulative sums, which could differ in the last place; not here.
    jax.config.update("jax_enable_x64", False)
    key = np.array([3, 4], "uint32")
    generator = np.random.default_rng(0)
    p = generator.random(10).astype("float32")
    for replace in (True, False):
        np.testing.assert_array_equal(
            random.choice(key, 10, (2, 3), replace, p),
            jax.random.choice(key, 10, (2, 3), replace, p),
        )
    logits = generator.normal(size=(4, 5, 6)).astype("float32")
    for axis in (0, -1):
        np.testing.assert_array_equal(
            random.categorical(key, logits, axis), jax.random.categorical(key, logits, axis)
        )
        batch = np.delete(logits.shape, axis).tolist()
        for shape, replace in (((3, 7, *batch), True), ((2, 2, *batch), False)):
            np.testing.assert_array_equal(
                random.categorical(key, logits, axis, shape, replace),
                jax.random.categorical(key, logits, axis, shape, replace),
            )


@pytest.mark.oracle
@pytest.mark.parametrize("case", ROUNDED, ids=name)
def test_distributions_as_in_jax(jax, case):
    """Other keys than the recorded one."""
    jax.config.update("jax_enable_x64", False)
    function, arguments = case
    for words in KEYS[2:]:
        key = np.array(words, "uint32")
        found, expected = draw(random, key, case), draw(jax.random, key, case)
        assert found.dtype == expected.dtype
        assert_rounded(case, found, expected)


@pytest.mark.oracle
def test_many_samples_as_in_jax(jax):
    """Loops with many elements: all take the turns that jax's take."""
    jax.config.update("jax_enable_x64", False)
    key = np.array([3, 4], "uint32")
    generator = np.random.default_rng(0)
    a = generator.uniform(0.05, 30, 5000).astype("float32")
    p = generator.uniform(0, 1, 5000).astype("float32")
    for function, arguments in (
        ("gamma", (a,)),
        ("loggamma", (a,)),
        ("beta", (a, a[::-1])),
        ("poisson", (a * 10,)),
        ("binomial", (np.round(a * 10), p)),
    ):
        found, expected = (
            np.asarray(getattr(module, function)(key, *arguments))
            for module in (random, jax.random)
        )
        # A comparison that hangs on the last bit may accept one sample and not the other.
        different = np.abs(found - expected) > 1e-6 + 1e-4 * np.abs(expected)
        assert different.mean() < 1e-3, function


@pytest.mark.oracle
def test_normal_in_other_dtypes_as_in_jax(jax):
    key = np.array([3, 4], "uint32")
    jax.config.update("jax_enable_x64", True)
    for dtype, steps in (("float64", 3), ("float16", 0), ("bfloat16", 0)):
        dtype = jax.numpy.dtype(dtype)
        found, expected = (
            np.asarray(module.normal(key, (70001,), dtype)) for module in (random, jax.random)
        )
        bits = np.dtype(f"int{dtype.itemsize * 8}")
        difference = found.view(bits).astype("int64") - expected.view(bits).astype("int64")
        assert np.max(np.abs(difference)) <= steps
    found = random.normal(key, (1000,), "complex64")
    expected = jax.random.normal(key, (1000,), "complex64")
    np.testing.assert_allclose(found, expected, rtol=3e-7)
