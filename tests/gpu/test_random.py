"""Random numbers on the GPU: the bits are those of the CPU, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
from rtfunc import random
from tests.gpu.comparison import assert_close, assert_on_gpu, on_gpu

#: Made of bits by integer and exact floating-point arithmetic.
EXACT = {
    "bits": lambda key: random.bits(key, (1000,)),
    "bits of 8": lambda key: random.bits(key, (1001,), "uint8"),
    "split": lambda key: random.split(key, 5),
    "fold_in": lambda key: random.fold_in(key, 7),
    "uniform": lambda key: random.uniform(key, (1000,)),
    "uniform float64": lambda key: random.uniform(key, (1000,), "float64"),
    "uniform bfloat16": lambda key: random.uniform(key, (1000,), "bfloat16"),
    "randint": lambda key: random.randint(key, (1000,), -5, 1000),
    "bernoulli": lambda key: random.bernoulli(key, 0.3, (1000,)),
    "permutation": lambda key: random.permutation(key, 100),
    "choice": lambda key: random.choice(key, 50, (20,), replace=False),
    "rademacher": lambda key: random.rademacher(key, (100,)),
}
#: Through elementary functions, which differ in their last places.
CLOSE = {
    "normal": lambda key: random.normal(key, (1000,)),
    "exponential": lambda key: random.exponential(key, (1000,)),
    "gumbel": lambda key: random.gumbel(key, (1000,)),
    "truncated_normal": lambda key: random.truncated_normal(key, -1.0, 1.0, (1000,)),
    "gamma": lambda key: random.gamma(key, 2.0, (100,)),
    "orthogonal normal": lambda key: random.normal(key, (8, 8), "float64"),
}


@pytest.mark.parametrize("name", EXACT)
def test_bits_are_equal(name):
    key = random.key(42)
    expected = EXACT[name](key)
    for function in (EXACT[name], rf.jit(EXACT[name])):
        found = function(on_gpu(key))
        assert_on_gpu(found)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), strict=True)


@pytest.mark.parametrize("name", CLOSE)
def test_values_are_close(name):
    key = random.key(42)
    expected = CLOSE[name](key)
    for function in (CLOSE[name], rf.jit(CLOSE[name])):
        found = function(on_gpu(key))
        assert_on_gpu(found)
        # The inverse error function is steep at the ends, where one unit in its argument is many.
        assert_close(found, expected, name, factor=10)
