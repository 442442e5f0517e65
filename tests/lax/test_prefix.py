"""associative_scan: values for all lengths and axes, errors, JAX's semantics."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.lax as lax
import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ArgumentError, ShapeError, TreeError
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.arithmetic import add
from rtfunc.ops.reduce import reduce_sum


def compose(one, two):
    """Affine maps after one another: not commutative."""
    return {"a": one["a"] * two["a"], "b": two["a"] * one["b"] + two["b"]}


@pytest.mark.parametrize("length", range(10))
@pytest.mark.parametrize("reverse", [False, True])
def test_all_lengths(length, reverse):
    generator = np.random.default_rng(length)
    a, b = generator.normal(size=(2, length, 2))
    out = lax.associative_scan(compose, {"a": a, "b": b}, reverse=reverse)
    order = range(length)[:: -1 if reverse else 1]
    total_a, total_b = np.ones(2), np.zeros(2)
    for i in order:
        total_a, total_b = total_a * a[i], a[i] * total_b + b[i]
        # Products are bracketed otherwise: float64 rounding.
        np.testing.assert_allclose(np.asarray(out["a"])[i], total_a, rtol=1e-13)
        np.testing.assert_allclose(np.asarray(out["b"])[i], total_b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_axes(axis):
    x = np.arange(24, dtype="int32").reshape(2, 3, 4)
    out = lax.associative_scan(add, x, axis=axis)
    np.testing.assert_array_equal(np.asarray(out), np.cumsum(x, axis, dtype="int32"))


def test_the_number_of_rounds_is_logarithmic():
    graph, _ = trace_to_graph(lambda x: [lax.associative_scan(add, x)], [Aval((1024,), "float32")])
    assert sum(e.primitive.name == "add" for e in graph.equations) == 2 * 10 - 1


def test_errors():
    with pytest.raises(ShapeError, match=r"different: elems\['a'\] has 3, elems\['b'\] has 2"):
        lax.associative_scan(compose, {"a": np.ones(3), "b": np.ones(2)})
    with pytest.raises(TreeError, match="must return the structure of elems"):
        lax.associative_scan(lambda x, y: (x, y), np.ones(3))
    with pytest.raises(ShapeError, match=r"was given elems of shape \(1,\) and returned \(\)"):
        lax.associative_scan(lambda x, y: reduce_sum(x), np.ones(3))
    with pytest.raises(ArgumentError, match="elems holds no arrays"):
        lax.associative_scan(add, ())


@pytest.mark.oracle
def test_brackets_are_those_of_jax():
    jax = pytest.importorskip("jax")
    x = np.arange(7.0, dtype="float32")
    for reverse in (False, True):
        # Subtraction is not associative, so the brackets show.
        ours = lax.associative_scan(lambda a, b: a - b, Array(x), reverse=reverse)
        theirs = jax.lax.associative_scan(lambda a, b: a - b, x, reverse=reverse)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
