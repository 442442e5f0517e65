"""Loops as users call them: structures, dtypes, errors, JAX's semantics.

Derivatives and batches are in test_transforms.py.
"""

from __future__ import annotations

import collections

import numpy as np
import pytest

import rtfunc.lax as lax
import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    RtfuncError,
    ShapeError,
    TransformError,
    TreeError,
)
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.convert import convert_element_type
from rtfunc.ops.pad_slice import concatenate
from rtfunc.ops.reduce import reduce_sum
from rtfunc.transforms.vjp import grad
from rtfunc.transforms.vmap import vmap

XS = np.arange(4.0, dtype="float32")


def array(value, dtype=None):
    return Array(np.asarray(value, dtype))


def add_up(total, x):
    return total + x, total


# scan


def test_scan_over_trees():
    Pair = collections.namedtuple("Pair", ["a", "b"])
    init = {"n": 0, "pair": Pair(array([1.0, 2.0]), None)}
    xs = (XS, [np.arange(4, dtype="int32")])

    def step(carry, x):
        a = carry["pair"].a * x[0]
        return {"n": carry["n"] + x[1][0], "pair": Pair(a, None)}, {"a": a, "none": None}

    carry, ys = lax.scan(step, init, xs)
    assert int(carry["n"]) == 6
    assert isinstance(carry["pair"], Pair)
    assert ys["none"] is None
    assert ys["a"].shape == (4, 2)


def test_no_xs():
    carry, ys = lax.scan(lambda c, x: (c * 2, x), 1, None, length=5)
    assert int(carry) == 32
    assert ys is None


@pytest.mark.parametrize("length", [0, 1])
def test_short_scans(length):
    carry, ys = lax.scan(add_up, np.float32(1.0), XS[:length])
    assert float(carry) == 1.0
    assert ys.shape == (length,)
    assert ys.dtype == np.float32


def test_reverse_keeps_the_places_of_ys():
    carry, ys = lax.scan(add_up, np.float32(0), XS, reverse=True)
    assert float(carry) == 6.0
    assert np.asarray(ys).tolist() == [6.0, 5.0, 3.0, 0.0]


def test_a_weak_initial_carry_takes_the_dtype_it_meets():
    carry, _ = lax.scan(lambda c, x: (c + x, None), 0.0, XS.astype("float64"))
    assert carry.dtype == np.float64
    carry, _ = lax.scan(lambda c, x: (c + x, None), 0, XS.astype("float16"))
    assert carry.dtype == np.float16


def test_unroll_changes_nothing():
    expected = np.asarray(lax.scan(add_up, np.float32(0), XS)[1])
    for unroll in (2, 3, True, False):
        np.testing.assert_array_equal(
            np.asarray(lax.scan(add_up, np.float32(0), XS, unroll=unroll)[1]), expected
        )


def test_results_do_not_share_memory_with_numpy_arguments():
    x = np.zeros(3)
    kept, _ = lax.scan(lambda c, _: (c, None), x, None, length=0)
    chosen = lax.cond(True, lambda x: x, lambda x: x, x)
    looped = lax.while_loop(lambda x: False, lambda x: x, x)
    last, _ = lax.scan(lambda c, v: (v, None), x[0], x)
    x[:] = 1.0
    for out in (kept, chosen, looped, last):
        assert not np.any(np.asarray(out))


def test_eager_calls_see_changed_globals():
    factor = 2.0

    def step(c, _):
        return c * factor, None

    assert float(lax.scan(step, 1.0, length=2)[0]) == 4.0
    factor = 3.0
    assert float(lax.scan(step, 1.0, length=2)[0]) == 9.0


# errors


def raises(error, *parts):
    class Raises:
        def __enter__(self):
            self.context = pytest.raises(error)
            self.info = self.context.__enter__()

        def __exit__(self, *exception):
            result = self.context.__exit__(*exception)
            message = str(self.info.value)
            assert isinstance(self.info.value, RtfuncError)
            assert "test_loops.py" in message, message
            for part in parts:
                assert part in message, message
            return result

    return Raises()


def test_a_carry_that_changes_shape():
    init = {"h": array([1.0, 2.0, 3.0], "float32"), "n": 0}
    with raises(
        ShapeError, "scan: the carry's leaf ['h'] enters as float32[3] and leaves as float32[6]"
    ):
        lax.scan(lambda c, x: ({**c, "h": concatenate([c["h"], c["h"]])}, None), init, length=2)
    with raises(ShapeError, "while_loop: the carry's leaf ['h'] enters as float32[3]"):
        lax.while_loop(lambda c: True, lambda c: {**c, "h": reduce_sum(c["h"])}, init)
    with raises(
        ShapeError, "fori_loop: the carry's leaf ['h'] enters as float32[3] and leaves as float32[]"
    ):
        lax.fori_loop(0, 2, lambda i, c: {**c, "h": reduce_sum(c["h"])}, init)


def test_a_carry_that_changes_dtype():
    with raises(
        DtypeError, "scan: the carry enters as float32[] and leaves as float64[]", "x.astype(...)"
    ):
        lax.scan(lambda c, x: (c + x, None), np.float32(0), XS.astype("float64"))
    with raises(DtypeError, "fori_loop: the carry enters as int8[] and leaves as float32[]"):
        lax.fori_loop(0, 3, lambda i, v: v * 1.5, np.int8(1))


def test_several_leaves_that_change():
    init = {name: np.float32(0) for name in "abcde"}
    with raises(DtypeError, "leaf ['a']", "leaf ['b']", "leaf ['c']", "and 2 more"):
        lax.scan(
            lambda c, _: ({k: convert_element_type(v, "int32") for k, v in c.items()}, None),
            init,
            length=2,
        )


def test_a_carry_that_changes_structure():
    with raises(TreeError, "scan: the carry enters step with one structure", "['b']"):

        def step(carry, x):
            return {"a": carry["a"]}, None

        lax.scan(step, {"a": 1.0, "b": 2.0}, length=2)
    with raises(TreeError, "while_loop: the carry enters <lambda>"):
        lax.while_loop(lambda c: False, lambda c: (c, c), 1.0)
    with raises(TreeError, "fori_loop: the carry enters <lambda>"):
        lax.fori_loop(0, 2, lambda i, c: None, 1.0)


def test_a_step_that_returns_no_pair():
    with raises(TreeError, "scan: add must return a pair (carry, y)", "a GraphTracer"):

        def add(c, x):
            return c + x

        lax.scan(add, 0.0, XS)
    with raises(TreeError, "a tuple of 3", "return (carry, None)"):
        lax.scan(lambda c, x: (c, x, x), 0.0, XS)


def test_xs_that_do_not_fit():
    with raises(
        ShapeError, "scan: the first axes of xs have different sizes: xs['a'] has 4, xs['b'] has 3"
    ):
        lax.scan(lambda c, x: (c, None), 0, {"a": XS, "b": XS[:3]})
    with raises(ShapeError, "xs has 4, and length is 3"):
        lax.scan(add_up, 0.0, XS, length=3)
    with raises(ShapeError, "scan: xs[1] is a scalar, float64[]", "Close over"):
        lax.scan(lambda c, x: (c, None), 0, (XS, np.float64(1.0)))
    with raises(ArgumentError, "give the number of steps as length"):
        lax.scan(lambda c, x: (c, None), 0)
    with raises(ArgumentError, "length is -1"):
        lax.scan(lambda c, x: (c, None), 0, length=-1)
    with raises(DtypeError, "length is a Python integer, not float"):
        lax.scan(lambda c, x: (c, None), 0, length=2.0)


def test_leaves_that_are_not_arrays():
    with raises(DtypeError, "scan: the initial carry ['name'] is of type str"):
        lax.scan(lambda c, x: (c, None), {"name": "h"}, length=2)
    with raises(DtypeError, "scan: the output of <lambda> [1] is of type str"):
        lax.scan(lambda c, x: (c, "y"), 0, length=2)


def test_arguments_that_are_no_functions():
    with raises(TransformError, "scan takes a function"):
        lax.scan(3, 0, length=2)
    with raises(ArgumentError, "unroll is 0"):
        lax.scan(add_up, 0.0, XS, unroll=0)


def test_conditions_that_are_not_boolean_scalars():
    with raises(DtypeError, "while_loop: <lambda> must return a boolean scalar", "float32[]"):
        lax.while_loop(lambda x: x, lambda x: x, 1.0)
    with raises(ShapeError, "must return a boolean scalar", "bool[4]", ".any()"):
        lax.while_loop(lambda x: x > 0, lambda x: x, XS)


def test_bounds_that_are_not_integers():
    with raises(DtypeError, "fori_loop: upper is an integer scalar, not float32[]"):
        lax.fori_loop(0, 3.0, lambda i, x: x, 0)
    with raises(ArgumentError, "unroll needs bounds that are Python integers"):
        trace_to_graph(
            lambda n: [lax.fori_loop(0, n, lambda i, x: x, 0, unroll=2)], [array(3).aval]
        )


def test_a_traced_value_as_a_condition_of_python():
    with pytest.raises(RtfuncError, match="while_loop"):
        lax.scan(lambda c, x: (c if x > 1 else -c, None), 0.0, XS)


# map


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 4, 9])
def test_map_in_batches(batch_size):
    xs = {"a": np.arange(14.0).reshape(7, 2), "b": np.arange(7)}
    out = lax.map(lambda x: (x["a"] * 2.0, x["b"] + 1), xs, batch_size=batch_size)
    np.testing.assert_array_equal(np.asarray(out[0]), xs["a"] * 2)
    np.testing.assert_array_equal(np.asarray(out[1]), xs["b"] + 1)


def test_map_of_nothing():
    for batch_size in (None, 2):
        out = lax.map(lambda x: x * 2.0, np.zeros((0, 3)), batch_size=batch_size)
        assert out.shape == (0, 3)
    with raises(ArgumentError, "map: batch_size is 0"):
        lax.map(lambda x: x, XS, batch_size=0)


# fori_loop


def test_static_bounds_have_reverse_mode():
    def power(x):
        return lax.fori_loop(0, 3, lambda i, v: v * x, np.float64(1.0))

    assert float(grad(power)(2.0)) == 12.0
    assert float(vmap(grad(power))(array([2.0, 3.0], "float64"))[1]) == 27.0


def test_an_empty_range_returns_the_initial_value():
    assert int(lax.fori_loop(3, 1, lambda i, x: x + 1, 7)) == 7


# JAX's semantics


@pytest.mark.oracle
def test_semantics_are_those_of_jax():
    jax = pytest.importorskip("jax")
    cases = [
        lambda m: m.scan(lambda c, x: (c + x, c), 0.0, XS),
        lambda m: m.scan(lambda c, x: (c * x, c), np.float32(1), XS, reverse=True),
        lambda m: m.scan(lambda c, x: (c + 1, {"y": c}), 0, None, length=3),
        lambda m: m.scan(lambda c, x: (c + 1, None), 0.0, None, length=0),
        lambda m: m.scan(lambda c, x: (c + x, x), 0, XS.astype("float16")),
        lambda m: m.scan(lambda c, x: (c, x), None, (XS, {"i": np.arange(4, dtype="int32")})),
        lambda m: m.scan(lambda c, x: (x["a"], c), np.float32(0), {"a": XS, "b": None}),
        lambda m: m.while_loop(lambda x: x < 100, lambda x: x * 2, 3),
        lambda m: m.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2.0), (0, XS)),
        lambda m: m.fori_loop(0, 5, lambda i, x: x + i, 0),
        lambda m: m.fori_loop(5, 2, lambda i, x: x + i, 7),
        lambda m: m.fori_loop(-2, 3, lambda i, x: x * i, np.int8(1)),
        lambda m: m.fori_loop(np.int32(1), 4, lambda i, x: x + i, np.int32(0)),
        lambda m: m.map(lambda x: (x, x * 2), XS),
        lambda m: m.map(lambda x: x + 1, XS, batch_size=3),
    ]
    for number, case in enumerate(cases):
        ours, theirs = case(lax), case(jax.lax)
        ours_leaves = [np.asarray(x) for x in jax.tree.leaves(ours, is_leaf=_is_ours)]
        theirs_leaves = [np.asarray(x) for x in jax.tree.leaves(theirs)]
        assert jax.tree.structure(ours, is_leaf=_is_ours) == jax.tree.structure(theirs), number
        for a, b in zip(ours_leaves, theirs_leaves, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), number
            np.testing.assert_array_equal(a, b, err_msg=str(number))


def _is_ours(x):
    return isinstance(x, Array)
