"""Fractional max pooling: PyTorch's windows and gradients for its random numbers, and refusals."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc import numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import vjp

pool = nn.functional.fractional_max_pool


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("shape", "kernel", "size"),
    [
        ((2, 3, 9, 7), 2, (5, 4)),
        ((2, 3, 9, 7), (3, 2), (1, 6)),
        ((1, 2, 6, 7, 8), (2, 3, 2), (4, 3, 5)),
    ],
)
def test_it_is_pytorchs(shape, kernel, size, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    # Few values, so that a window has several maxima.
    x = rng.integers(0, 4, shape).astype(dtype)
    samples = rng.uniform(size=(*shape[:2], len(size))).astype(dtype)
    theirs = getattr(torch.nn.functional, f"fractional_max_pool{len(size)}d")
    tensor = torch.tensor(x, requires_grad=True)
    expected = theirs(tensor, kernel, size, _random_samples=torch.tensor(samples))
    cotangent = rng.normal(size=expected.shape).astype(dtype)
    expected.backward(torch.tensor(cotangent))
    for function in (pool, jit(pool, static_argnums=(1, 2))):
        out, pullback = vjp(lambda x, f=function: f(x, kernel, size, samples=samples), x)
        np.testing.assert_array_equal(out, expected.detach())
        # Sums of at most eight cotangents in another order.
        tolerance = 1e-12 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(pullback(cotangent)[0], tensor.grad, rtol=tolerance, atol=1e-6)


def test_the_layer_draws_in_training_and_is_even_otherwise():
    layer = nn.fractional_max_pool(2, output_ratio=(0.5, 0.75))
    x = random.normal(random.key(0), (2, 3, 12, 8))
    first, again, other = (
        layer.apply({}, {}, x, key=random.key(i), train=True)[0] for i in (0, 0, 1)
    )
    assert first.shape == (2, 3, 6, 6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    even, _ = layer.apply({}, {}, x)
    np.testing.assert_array_equal(even, pool(x, 2, (6, 6), samples=np.full((2, 3, 2), 0.5)))


def test_what_is_refused_is_named():
    x = rnp.ones((1, 1, 5, 5))
    with pytest.raises(ArgumentError, match="an output_size or an output_ratio, and not both"):
        pool(x, 2, random_key=random.key(0))
    with pytest.raises(ArgumentError, match="pass random_key=, or samples= themselves"):
        pool(x, 2, 3)
    with pytest.raises(ShapeError, match=r"\(5, 5\) windows of size \(2, 2\) do not fit"):
        pool(x, 2, 5, random_key=random.key(0))
    with pytest.raises(ShapeError, match=r"have the shape \(1, 1, 2\), not \(1, 1\)"):
        pool(x, 2, 3, samples=np.ones((1, 1)))
    with pytest.raises(ArgumentError, match="draws random numbers in training: pass a key"):
        nn.fractional_max_pool(2, output_size=3).apply({}, {}, x, train=True)
