"""Epilogues: what follows a matrix product point by point is done block by block."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.nn as nn
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core.execution import use_backend

_generator = np.random.default_rng(0)


def array(*shape, dtype="float64"):
    return rnp.asarray(_generator.normal(size=shape).astype(dtype))


def epilogues(f, *args):
    """How many products of a compiled function have one, and how many other Kernels there are."""
    text = rf.jit(f).lower(*args).as_text("kernels")
    attached = text.count("then, block by block")
    return attached, text.count("kernel over") - attached


def check(f, *args, attached=1, kernels=0, rtol=1e-11):
    assert epilogues(f, *args) == (attached, kernels)
    with use_backend("reference"):
        expected = rf.tree.leaves(f(*args))
    for found, want in zip(rf.tree.leaves(rf.jit(f)(*args)), expected, strict=True):
        assert found.dtype == want.dtype
        scale = np.max(np.abs(np.asarray(want, "float64")), initial=1.0)
        np.testing.assert_allclose(
            np.asarray(found, "float64"), np.asarray(want, "float64"), rtol=0, atol=rtol * scale
        )


def layer(x, w, b):
    return nn.relu(x @ w + b)


@pytest.mark.parametrize("rows", [1, 5, 64, 700])
@pytest.mark.parametrize("columns", [33, 64, 96, 1030])
def test_bias_and_activation(rows, columns):
    check(layer, array(rows, 7), array(7, columns), array(columns))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(dtype):
    args = [array(*shape, dtype=dtype) for shape in ((40, 30), (30, 70), (70,))]
    rtol = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    check(lambda x, w, b: rnp.tanh(x @ w / 8 + b), *args, rtol=rtol)


def test_a_result_of_another_width():
    args = array(40, 30, dtype="float32"), array(30, 72, dtype="float32")
    check(lambda x, w: (x @ w).astype("float64") * 2, *args, rtol=1e-5)
    check(lambda x, w: x @ w > 0.5, *args, rtol=0.0)


def test_sums_in_several_parts():
    """The epilogue waits for the last of them."""
    check(layer, array(50, 5000), array(5000, 48), array(48))


def test_batches():
    check(lambda x, w, b: rnp.sin(x @ w + b), array(4, 9, 6), array(4, 6, 40), array(40))
    check(lambda x, w, r: x @ w + r, array(4, 9, 6), array(6, 40), array(4, 9, 40))
    # The heads of attention: columns that the Kernel has as two axes.
    heads = array(8, 16)
    check(lambda x, w, h: (x @ w).reshape(4, 9, 8, 16) * h, array(4, 9, 6), array(6, 128), heads)


def test_several_results_and_the_product_itself():
    check(lambda x, w: (x @ w, rnp.cos(x @ w), x @ w > 0), array(20, 9), array(9, 80))


def test_an_update_of_weights():
    def step(w, m, x, g):
        gradient = x.T @ g
        m = 0.9 * m + gradient
        return w - 0.1 * m, m

    check(step, array(30, 64), array(30, 64), array(12, 30), array(12, 64))


def test_residual_connections_wait_for_what_they_read():
    def f(x, w, u):
        return x @ w + rnp.tanh(x @ u)

    attached, kernels = epilogues(f, array(20, 9), array(9, 64), array(9, 64))
    assert attached + kernels >= 1
    check(f, array(20, 9), array(9, 64), array(9, 64), attached=attached, kernels=kernels)


def test_what_reads_elsewhere_is_a_step_of_its_own():
    check(lambda x, w: (x @ w).T * 2, array(20, 9), array(9, 64), attached=0, kernels=1)
    check(lambda x, w: rnp.flip(x @ w, 1) * 2, array(20, 9), array(9, 64), attached=0, kernels=1)
    check(lambda x, w: nn.softmax(x @ w, -1), array(20, 9), array(9, 64), attached=0, kernels=1)


def test_products_in_loops():
    def f(xs, w, u, b):
        def cell(h, x):
            h = rnp.tanh(x @ w + h @ u + b)
            return h, h * 2

        return lax.scan(cell, rnp.zeros((3, 64), "float64"), xs)

    args = array(5, 3, 10), array(10, 64), array(64, 64) * 0.1, array(64)
    with use_backend("reference"):
        expected = f(*args)
    assert epilogues(f, *args)[0] == 1
    for found, want in zip(rf.jit(f)(*args), expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-11)


def test_donated_weights_are_written_over():
    def step(w, x, g):
        return w - 0.1 * (x.T @ g)

    w, x, g = array(300, 640), array(12, 300), array(12, 640)
    expected = np.asarray(w) - 0.1 * (np.asarray(x).T @ np.asarray(g))
    f = rf.jit(step, donate_argnums=0)
    address = w._buffer.ctypes.data
    out = f(w, x, g)
    assert out._buffer.ctypes.data == address
    np.testing.assert_allclose(out, expected, rtol=1e-11)


def test_an_operand_of_the_product_is_not_written_over():
    def step(w, x):
        return w - 0.1 * (w @ x)

    w, x = array(300, 300), array(300, 300)
    expected = np.asarray(w) - 0.1 * (np.asarray(w) @ np.asarray(x))
    np.testing.assert_allclose(rf.jit(step, donate_argnums=0)(w, x), expected, rtol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_threads_change_nothing(count):
    args = array(300, 90), array(90, 500), array(500)
    before = rf.config.num_threads
    f = rf.jit(layer)
    expected = np.asarray(f(*args)).tobytes()
    try:
        rf.config.num_threads = count
        assert np.asarray(f(*args)).tobytes() == expected
    finally:
        rf.config.num_threads = before


CONVOLUTIONS = {
    "plain": ((2, 3, 16, 16), (20, 3, 3, 3), {}),
    "padded": ((2, 3, 17, 13), (33, 3, 3, 3), {"padding": "SAME"}),
    "strided": ((3, 8, 19, 21), (16, 8, 3, 3), {"stride": 2, "padding": ((1, 1), (1, 1))}),
    "dilated": ((1, 4, 20, 20), (17, 4, 3, 3), {"rhs_dilation": (2, 2)}),
    "transposed": (
        (2, 5, 7, 9),
        (18, 5, 3, 3),
        {"lhs_dilation": (2, 3), "padding": ((1, 2), (2, 1))},
    ),
    "far apart": (
        (2, 5, 7, 9),
        (18, 5, 2, 2),
        {"lhs_dilation": (4, 4), "padding": ((1, 1), (1, 1))},
    ),
    "one by one": ((4, 30, 8, 8), (40, 30, 1, 1), {}),
    "few channels": ((2, 2, 40, 40), (3, 2, 5, 5), {}),
    "grouped": ((2, 8, 12, 12), (32, 4, 3, 3), {"feature_group_count": 2}),
    "depthwise": ((2, 32, 12, 12), (32, 1, 3, 3), {"feature_group_count": 32}),
    "long sums": ((1, 600, 4, 9), (16, 600, 3, 3), {"padding": "SAME"}),
    "large": ((8, 16, 64, 64), (24, 16, 3, 3), {"padding": "SAME"}),
}


def convolution(x, w, stride=1, padding="VALID", **options):
    return lax.conv_general_dilated(x, w, (stride, stride), padding, **options)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_convolutions(name, dtype):
    shape, kernel, options = CONVOLUTIONS[name]
    x, w, b = (array(*s, dtype=dtype) for s in (shape, kernel, (kernel[0], 1, 1)))
    residual = array(*convolution(x, w, **options).shape, dtype=dtype)

    def f(x, w, b, residual):
        y = convolution(x, w, **options)
        return nn.relu(y + b) * residual, y > 0

    assert epilogues(f, x, w, b, residual)[0] == 1
    rtol = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 2e-2}[dtype]
    with use_backend("reference"):
        expected = f(x, w, b, residual)
    found = rf.jit(f)(x, w, b, residual)
    want = np.asarray(expected[0], "float64")
    np.testing.assert_allclose(
        np.asarray(found[0], "float64"), want, rtol=0, atol=rtol * np.abs(want).max()
    )
    if dtype == "float64":
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("spec", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NHWC")])
def test_layouts_of_convolutions(spec):
    sizes = {"N": 3, "C": 5, "H": 11, "W": 12, "O": 48, "I": 5}
    x = array(*(sizes[c] for c in spec[0]))
    w = array(*({**sizes, "H": 3, "W": 3}[c] for c in spec[1]))

    def f(x, w, b):
        y = lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=spec)
        return rnp.tanh(y + b)

    check(f, x, w, array(48))


def test_depthwise_convolutions_of_contiguous_channels():
    def f(x, w, b):
        y = lax.conv_general_dilated(
            x,
            w,
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=40,
        )
        return rnp.tanh(y + b)

    x, w, b = array(2, 9, 9, 40), array(3, 3, 1, 40), array(40)
    with use_backend("reference"):
        expected = f(x, w, b)
    np.testing.assert_allclose(rf.jit(f)(x, w, b), expected, rtol=1e-11, atol=1e-12)


def test_convolutions_of_one_and_three_dimensions():
    one = lambda x, w: rnp.sin(lax.conv_general_dilated(x, w, (1,), "SAME"))  # noqa: E731
    check(one, array(3, 4, 50), array(20, 4, 5))
    three = lambda x, w: rnp.sin(lax.conv_general_dilated(x, w, (1, 2, 1), "SAME"))  # noqa: E731
    check(three, array(2, 4, 6, 7, 9), array(20, 4, 3, 3, 3))
