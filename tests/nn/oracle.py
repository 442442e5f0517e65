"""Comparing a function with PyTorch's: values, and gradients for a fixed cotangent.

Tolerances are those of the project: 1e-5 relative in float32 and 1e-10 in float64, absolute where
the values are below 1 (both sides round intermediate results in their own order).
"""

import numpy as np
import pytest

from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import vjp

torch = pytest.importorskip("torch")

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def numbers(*shape, dtype="float64", seed=0, low=-3.0, high=3.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def assert_close(ours, theirs, dtype, what=""):
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(
        np.asarray(ours), theirs, rtol=tolerance, atol=tolerance, err_msg=what
    )


def assert_same(ours, theirs, *arrays, dtype="float64", compiled=True):
    """`ours`, eager and compiled, and `theirs` agree in value and in all floats' gradients."""
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    expected = theirs(*tensors)
    differentiable = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

    def of_floats(*floats):
        given = list(arrays)
        for i, x in zip(differentiable, floats):
            given[i] = x
        return ours(*given)

    cotangent = numbers(*expected.shape, dtype=dtype, seed=1)
    if expected.requires_grad:
        expected.backward(torch.tensor(cotangent))

    def value_and_gradients(*floats):
        out, pullback = vjp(of_floats, *floats)
        return out, pullback(cotangent) if out.shape == cotangent.shape else ()

    for function in (value_and_gradients, jit(value_and_gradients))[: 1 + compiled]:
        out, gradients = function(*(arrays[i] for i in differentiable))
        assert out.shape == tuple(expected.shape)
        assert str(out.dtype) == dtype
        assert_close(out, expected.detach().numpy(), dtype, "value")
        for i, gradient in zip(differentiable, gradients):
            wanted = tensors[i].grad
            wanted = np.zeros(arrays[i].shape) if wanted is None else wanted.numpy()
            assert_close(gradient, wanted, dtype, f"gradient of argument {i}")
