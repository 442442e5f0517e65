"""Functions of functions: vectorize, piecewise, apply_along_axis, ufuncs of Python functions."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import ArgumentError, ShapeError
from tests.messages import raises

X = np.random.default_rng(0).normal(size=(4, 1, 3))
Y = np.random.default_rng(1).normal(size=(2, 3))


@pytest.mark.parametrize(
    ("signature", "function"),
    [
        (None, lambda x, y: x * y + 1),
        ("(n),(n)->()", lambda x, y: x @ y),
        ("(n),(n)->(n)", lambda x, y: x + y[::-1]),
        ("(n),(m)->(n,m)", lambda x, y: x[:, None] * y),
        ("(3),(n)->(2)", lambda x, y: x[:2] * y[0]),
    ],
)
def test_vectorize_is_numpys(signature, function):
    found = rnp.vectorize(function, signature=signature)
    wanted = np.vectorize(function, signature=signature)(X, Y)
    np.testing.assert_allclose(found(X, Y), wanted, rtol=1e-14)
    np.testing.assert_allclose(rf.jit(found)(X, Y), wanted, rtol=1e-14)
    rf.testing.check_grads(found, (X, Y), order=1)


def test_vectorize_of_several_results_and_excluded_arguments():
    both = rnp.vectorize(lambda x: (x.sum(), x * 2), signature="(n)->(),(n)")
    total, doubled = both(X)
    np.testing.assert_allclose(total, X.sum(-1), rtol=1e-14)
    np.testing.assert_array_equal(doubled, 2 * X)
    power = rnp.vectorize(lambda x, n, *, scale: scale * x**n, excluded={1, "scale"})
    np.testing.assert_allclose(power(X, 2, scale=3.0), 3 * X**2)
    named = rnp.vectorize(lambda x, y: x - y)
    np.testing.assert_array_equal(named(X, y=Y), X - Y)
    np.testing.assert_array_equal(rnp.vectorize(lambda x: x + 1)([1, 2]), [2, 3])
    assert rnp.vectorize(lambda x: x + 1)(np.ones((0, 2))).shape == (0, 2)


def test_vectorize_says_what_does_not_fit():
    dot = rnp.vectorize(rnp.dot, signature="(n),(n)->()")
    with raises(ShapeError, "core axis n of the signature '(n),(n)->()' has the sizes 3 and 2"):
        dot(np.ones(3), np.ones(2))
    with raises(ShapeError, "an argument of shape () has fewer axes than (n)"):
        dot(np.ones(3), 1.0)
    with raises(ArgumentError, "has 2 arguments, but 1 were given"):
        dot(np.ones(3))
    with raises(ArgumentError, "'n->m' is not a signature; an example is"):
        rnp.vectorize(rnp.dot, signature="n->m")
    with raises(ShapeError, "the function returned the shape (3,), which does not fit ()"):
        rnp.vectorize(lambda x: x, signature="(n)->()")(np.ones(3))
    with raises(ArgumentError, "returned 1 results, but the signature"):
        rnp.vectorize(lambda x: x, signature="(n)->(n),(n)")(np.ones(3))
    with raises(ArgumentError, "excluded has positions and names, not 1.5"):
        rnp.vectorize(rnp.dot, excluded={1.5})


def test_ufuncs_of_python_functions_have_numpys_methods():
    found = rnp.frompyfunc(lambda x, y: x * y + x, 2, 1)
    wanted = np.frompyfunc(lambda x, y: x * y + x, 2, 1)
    a = np.arange(1.0, 7).reshape(2, 3)
    np.testing.assert_array_equal(found(a, a[0]), wanted(a, a[0]).astype(float))
    for axis in (0, 1):
        np.testing.assert_array_equal(found.reduce(a, axis), wanted.reduce(a, axis).astype(float))
        np.testing.assert_array_equal(
            found.accumulate(a, axis), wanted.accumulate(a, axis).astype(float)
        )
    np.testing.assert_array_equal(found.outer(a, a[0]), wanted.outer(a, a[0]).astype(float))
    assert found.reduce(a, None, keepdims=True).shape == (1, 1)
    add = rnp.frompyfunc(lambda x, y: x + y, 2, 1, identity=0)
    assert float(add.reduce(np.zeros(0))) == 0
    assert add.nargs == 3
    with raises(ShapeError, "reduce of no elements needs initial="):
        found.reduce(np.zeros(0))
    with raises(ArgumentError, "takes 2 arguments, got 1"):
        add(a)
    with raises(ArgumentError, "reduce is for functions of two arguments"):
        rnp.frompyfunc(lambda x: x, 1, 1).reduce(a)


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum"])
def test_elementwise_functions_have_the_methods_of_ufuncs(name):
    ours, numpys = getattr(rnp, name), getattr(np, name)
    a = np.random.default_rng(3).normal(size=(2, 3))
    for axis in (0, 1):
        np.testing.assert_allclose(ours.reduce(a, axis), numpys.reduce(a, axis), rtol=1e-14)
        np.testing.assert_allclose(ours.accumulate(a, axis), numpys.accumulate(a, axis), rtol=1e-14)
    np.testing.assert_allclose(ours.reduce(a), numpys.reduce(a), rtol=1e-14)
    np.testing.assert_array_equal(ours.outer(a, a[0]), numpys.outer(a, a[0]))
    changed = a.copy()
    numpys.at(changed, ([0, 0], [1, 1]), 0.5)
    found = ours.at(a, (np.array([0, 0]), np.array([1, 1])), 0.5, inplace=False)
    np.testing.assert_allclose(found, changed, rtol=1e-14)
    with raises(ArgumentError, "at: arrays are immutable. Pass inplace=False"):
        ours.at(a, 0, 0.5)


def test_piecewise():
    x = np.linspace(-2, 2, 7)
    for conditions, functions in (
        ([x < 0, x >= 0], [lambda v: -v, lambda v: v**2]),
        ([x < -1, x > 1], [-1.0, lambda v: v * 3, lambda v: v + 0.5]),
        (x > 0, [5.0, 7.0]),
        ([x < 1, x < 0], [1.0, 2.0]),
    ):
        found = rnp.piecewise(x, conditions, functions)
        np.testing.assert_allclose(found, np.piecewise(x, conditions, functions))
    scaled = rnp.piecewise(x, [x < 0], [lambda v, k: v * k], 3.0)
    np.testing.assert_allclose(scaled, np.where(x < 0, 3 * x, 0))
    with raises(ArgumentError, "piecewise takes 1 functions for as many conditions, or one more"):
        rnp.piecewise(x, [x < 0], [])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_apply_along_axis_is_numpys(axis):
    x = np.random.default_rng(2).normal(size=(2, 3, 4))
    for function in (lambda v: v.sum(), lambda v: v[::-1] * 2, lambda v: v[:, None] * v[:2]):
        found = rnp.apply_along_axis(function, axis, x)
        np.testing.assert_allclose(found, np.apply_along_axis(function, axis, x), rtol=1e-13)
    with raises(ShapeError, "apply_over_axes: the function made 1 axes of 3"):
        rnp.apply_over_axes(lambda a, axis: a.ravel(), x, axis)
