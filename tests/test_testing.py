"""`rtfunc.testing.check_grads` passes right derivatives and fails wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError
from rtfunc.testing import check_grads
from rtfunc.transforms.custom import custom_jvp, custom_vjp

X = np.array([[0.5, -1.2], [0.3, 2.0]])


def test_passes_pytrees_of_arguments():
    def f(params, x, *, scale=2.0):
        return {"y": rnp.tanh(x * params["w"] + params["b"]) * scale, "n": (x**2,)}

    check_grads(f, ({"w": X, "b": np.array([0.1, 0.2])}, X + 0.3))


@pytest.mark.parametrize("dtype", ["float32", "float16", "complex64", "complex128"])
def test_passes_other_dtypes(dtype):
    check_grads(lambda x: rnp.sin(x) * x, (X.astype(dtype),))


def test_integer_arguments_are_left_alone():
    check_grads(lambda x, n: x * n, (X, np.array(3)))


def test_passes_third_order():
    check_grads(rnp.exp, (X,), order=3)


def _wrong_jvp(factor):
    @custom_jvp
    def square(x):
        return x * x

    @square.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        return square(x), factor * x * t

    return square


def test_passes_a_right_custom_jvp():
    check_grads(_wrong_jvp(2.0), (X,))


@pytest.mark.parametrize("modes", [("fwd",), ("rev",)])
def test_fails_a_wrong_custom_jvp(modes):
    with pytest.raises(AssertionError, match=rf"check_grads \({modes[0]}\).*args\[0\]\['a'\]"):
        check_grads(lambda p: _wrong_jvp(2.01)(p["a"]), ({"a": X},), modes=modes)


def _custom_vjp(factor, second=1.0):
    @custom_vjp
    def sine(x):
        return rnp.sin(x)

    slope = _wrong_cosine(second)
    sine.defvjp(lambda x: (rnp.sin(x), x), lambda x, ct: (factor * ct * slope(x),))
    return sine


def _wrong_cosine(factor):
    @custom_jvp
    def cosine(x):
        return rnp.cos(x)

    @cosine.defjvp
    def _(primals, tangents):
        return cosine(primals[0]), -factor * rnp.sin(primals[0]) * tangents[0]

    return cosine


def test_passes_a_right_custom_vjp():
    check_grads(_custom_vjp(1.0), (X,), modes=["rev"])


def test_fails_a_wrong_custom_vjp_and_shows_both_numbers():
    with pytest.raises(AssertionError) as caught:
        check_grads(_custom_vjp(-1.0), (X,), modes=["rev"])
    text = str(caught.value)
    assert "along a random direction of args[0], float64[2,2]" in text
    found = float(text.split("the derivative is ")[1].split(",")[0])
    expected = float(text.split("finite differences give ")[1].split(" ")[0])
    assert found == pytest.approx(-expected)  # and both are shown


def test_fails_a_wrong_second_derivative():
    with pytest.raises(AssertionError, match=r"rev of rev"):
        check_grads(_custom_vjp(1.0, second=1.1), (X,), modes=["rev"])
    check_grads(_custom_vjp(1.0, second=1.1), (X,), order=1, modes=["rev"])


def test_fails_nan():
    with pytest.raises(AssertionError, match="nan"), np.errstate(invalid="ignore"):
        check_grads(rnp.log, (-X[0, :1],), order=1)


def test_refuses_unknown_modes_and_bare_arguments():
    with pytest.raises(ArgumentError, match="modes is a sequence of 'fwd' and 'rev', not 'rev'"):
        check_grads(rnp.sin, (X,), modes="rev")
    with pytest.raises(ArgumentError, match="as a tuple or list"):
        check_grads(rnp.sin, X)
    with pytest.raises(ArgumentError, match=r"nothing to differentiate by; got int64\[\]"):
        check_grads(rnp.sin, (np.array(2),))
