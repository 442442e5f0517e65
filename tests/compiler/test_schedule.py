"""What the scheduler puts together into one Kernel."""

import numpy as np
import pytest

import rtfunc as rf
from rtfunc import numpy as rnp
from rtfunc.core.execution import use_backend
from rtfunc.transforms.jit import jit


def test_what_follows_a_column_sum_is_stored_once_per_column():
    # The kernel reads `b` at every point for the first result before it becomes a reduction; a
    # result of one value per column that reads `b` again must not be stored at every point.
    def f(x, b):
        y = x * b
        return y, b - rnp.sum(y, axis=0)

    x = rnp.array(np.random.default_rng(0).normal(size=(64, 16)).astype("float32"))
    b = rnp.arange(16, dtype="float32")
    with use_backend("native"):
        outs = jit(f)(x, b)
    for out, expected in zip(outs, f(x, b)):
        # float32 sums of 64 numbers of size 15 in another order
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("columns", [1, 2, 5, 9, 15, 16, 17, 31, 33, 64, 65, 1000, 1025])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_of_every_length_relative_to_vectors(columns, dtype):
    # A last vector with one lane, with some, and with all; rows that fit into the stack, and others.
    def f(x):
        e = rnp.exp(x - rnp.max(x, axis=1, keepdims=True))
        return e / rnp.sum(e, axis=1, keepdims=True)

    x = rnp.array(np.random.default_rng(0).normal(size=(7, columns)).astype(dtype))
    with use_backend("native"):
        out = jit(f)(x)
    tolerance = {"float16": 1e-3, "float32": 1e-6, "float64": 1e-14}[dtype]  # of values up to 1
    np.testing.assert_allclose(
        np.asarray(out, np.float64), np.asarray(f(x), np.float64), rtol=tolerance, atol=tolerance
    )


def test_the_gradient_of_a_split_is_one_concatenation():
    """The pads that it is a sum of leave nothing behind: no Kernel stores zeros."""

    def f(x):
        a, b, c = rnp.split(x, 3, axis=1)
        return rnp.sum(rnp.sin(a) * rnp.cos(b) * c)

    text = jit(rf.grad(f)).lower(rnp.ones((4, 9))).as_text("kernels")
    assert text.count("over (") == 1
