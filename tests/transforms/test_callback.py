"""Callbacks and debug printing under the transforms."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    TreeError,
    UnsupportedError,
)
from rtfunc.transforms.callback import debug_callback, debug_print, io_callback, pure_callback
from rtfunc.transforms.jit import jit
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

X = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
VECTOR = Aval((3,), "float64")


def test_pure_callback_takes_and_returns_pytrees():
    def host(pair, *, scale):
        assert all(type(v) is np.ndarray and not v.flags.writeable for v in (*pair, scale))
        a, b = pair
        return {"sum": a + b, "scaled": (a * scale).astype("float32")}

    spec = {"sum": VECTOR, "scaled": Aval((3,), "float32")}
    for transform in (lambda f: f, jit):
        out = transform(lambda x, y: pure_callback(host, spec, (x, y), scale=2))(X[0], X[1])
        np.testing.assert_array_equal(out["sum"], X[0] + X[1])
        np.testing.assert_array_equal(out["scaled"], 2 * X[0])
        assert out["scaled"].dtype == np.float32


def test_results_are_copied():
    kept = np.zeros(3)

    def host():
        return kept

    out = pure_callback(host, VECTOR)
    kept[:] = 7
    np.testing.assert_array_equal(out, np.zeros(3))


def test_unused_pure_callback_is_not_called_in_a_graph():
    calls = []

    def host(x):
        calls.append(1)
        return x

    def f(x):
        pure_callback(host, VECTOR, x)
        return x

    jit(f)(X[0])
    assert not calls


def test_exceptions_reach_the_user_unchanged():
    class MyError(Exception):
        pass

    error = MyError("mine")

    def host(x):
        raise error

    for transform in (lambda f: f, jit, lambda f: vmap(f, in_axes=None, axis_size=2)):
        with pytest.raises(MyError) as caught:
            transform(lambda x: pure_callback(host, VECTOR, x))(X[0])
        assert caught.value is error


@pytest.mark.parametrize("method", ["sequential", "expand_dims", "broadcast_all"])
def test_vmap_methods(method):
    shapes = []

    def host(x, y):
        shapes.append((x.shape, y.shape))
        return x + y

    def f(x, y):
        return pure_callback(host, VECTOR, x, y, vmap_method=method)

    y = np.array([1.0, 10.0, 100.0])
    for transform in (lambda f: f, jit):
        shapes.clear()
        out = transform(vmap(f, in_axes=(1, None), out_axes=1))(X.T, y)
        np.testing.assert_array_equal(out, (X + y).T)
    expected = {
        "sequential": [((3,), (3,))] * 2,
        "expand_dims": [((2, 3), (1, 3))],
        "broadcast_all": [((2, 3), (2, 3))],
    }
    assert shapes == expected[method]


def test_sequential_vmap_nests_and_takes_empty_batches():
    def f(x):
        return pure_callback(np.sum, Aval((), "float64"), x, vmap_method="sequential")

    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(vmap(vmap(f))(x), x.sum(-1))
    assert vmap(f)(np.zeros((0, 4))).shape == (0,)


def test_vmap_needs_a_method():
    with pytest.raises(UnsupportedError, match=r'cannot be mapped by vmap .* vmap_method="seq'):
        vmap(lambda x: pure_callback(np.sort, VECTOR, x))(X)
    with pytest.raises(ArgumentError, match=r"vmap_method is one of .*, not 'loop'"):
        pure_callback(np.sort, VECTOR, X[0], vmap_method="loop")


def test_derivatives_are_refused_with_advice():
    with pytest.raises(UnsupportedError, match=r"pure_callback has no derivative.*custom_jvp"):
        grad(lambda x: rnp.sum(pure_callback(np.sin, VECTOR, x)))(X[0])


def test_integer_results_have_no_derivative_to_refuse():
    def f(x):
        order = pure_callback(lambda v: np.argsort(v), Aval((3,), "int64"), x)
        return rnp.sum(x[order] * np.array([1.0, 2.0, 3.0]))

    np.testing.assert_array_equal(grad(f)(rnp.asarray(X[0])), [3.0, 1.0, 2.0])


def test_results_must_be_as_announced():
    x = X[0]
    with pytest.raises(ShapeError, match=r"shape \(\) as result 0, but float64\[3\] was announced"):
        pure_callback(np.sum, VECTOR, x)
    with pytest.raises(
        DtypeError, match=r"dtype float64 as result 0, but int32\[3\] was announced"
    ):
        pure_callback(np.sin, Aval((3,), "int32"), x)
    with pytest.raises(TreeError, match="pure_callback: the callback returned the structure"):
        pure_callback(lambda v: (v, v), VECTOR, x)
    with pytest.raises(DtypeError, match="has a leaf of type str"):
        pure_callback(np.sin, "float32", x)
    with pytest.raises(DtypeError, match="pure_callback takes a function, not int"):
        pure_callback(3, VECTOR, x)


def test_python_numbers_take_the_announced_dtype():
    assert pure_callback(lambda: 2, Aval((), "float32")).dtype == np.float32
    with pytest.raises(DtypeError, match="dtype float64 as result 0"):
        pure_callback(lambda: 2.5, Aval((), "int32"))


def test_io_callback_is_called_once_per_execution_and_in_order():
    seen = []

    def note(x):
        seen.append(float(x))

    def f(x):
        io_callback(note, None, x)
        io_callback(note, None, x * 10)
        return x

    jit(f)(1.0)
    assert seen == [1.0, 10.0]
    seen.clear()
    vmap(f)(np.array([1.0, 2.0]))
    assert sorted(seen) == [1.0, 2.0, 10.0, 20.0]
    counter = iter(range(9))
    draw = jit(lambda: io_callback(lambda: np.int32(next(counter)), Aval((), "int32")))
    assert [int(draw()) for _ in range(3)] == [0, 1, 2]


def test_equal_effects_are_not_merged():
    seen = []

    def note(x):
        seen.append(int(x))

    def f(x):
        io_callback(note, None, x)
        io_callback(note, None, x)
        return x

    jit(f)(1)
    assert seen == [1, 1]


def test_debug_callback_under_grad_sees_the_values_once():
    seen = []

    def f(x):
        y = x * x
        debug_callback(lambda v, name: seen.append((name.item(), v.tolist())), y, name=np.int32(4))
        return rnp.sum(y)

    for g in (grad(f), grad(jit(f)), jit(grad(f))):
        seen.clear()
        np.testing.assert_array_equal(g(np.array([1.0, 2.0])), [2.0, 4.0])
        assert seen == [(4, [1.0, 4.0])]


def test_print_formats_fields(capsys):
    debug_print("{} {x:.2f} {y[0]} {kind!r} {{}}", np.int32(3), x=1.5, y=(np.array(7),), kind="a")
    assert capsys.readouterr().out == "3 1.50 7 'a' {}\n"


def test_print_under_transforms(capsys):
    def f(x):
        debug_print("x = {x}", x=x)
        return x * x

    x = np.array([1.0, 2.0], "float32")
    jit(f)(x)
    assert capsys.readouterr().out == "x = [1. 2.]\n"
    jit(f)(x)  # each execution prints, tracing does not
    assert capsys.readouterr().out == "x = [1. 2.]\n"
    vmap(f)(x)
    assert capsys.readouterr().out == "x = 1.0\nx = 2.0\n"
    jit(vmap(f))(x)
    assert capsys.readouterr().out == "x = 1.0\nx = 2.0\n"
    grad(f)(rnp.float32(3.0))
    assert capsys.readouterr().out == "x = 3.0\n"
    vmap(grad(jit(f)))(x)
    assert capsys.readouterr().out == "x = 1.0\nx = 2.0\n"


def test_print_checks_its_fields_when_it_is_called():
    with pytest.raises(
        ArgumentError, match=r"debug.print: the format '\{y\}' .* no argument for field y"
    ):
        jit(lambda x: debug_print("{y}", x=x))(1.0)
    with pytest.raises(ArgumentError, match="no field for argument x"):
        debug_print("plain", x=1)
    with pytest.raises(ArgumentError, match="1 positional and 0 keyword"):
        debug_print("{} {}", 1)
