"""cond and switch as users call them: structures, weak types, errors, JAX's semantics."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.lax as lax
import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    TransformError,
    TreeError,
)
from rtfunc.core.staging import trace_to_graph
from rtfunc.transforms.vjp import grad

X = Array(np.array([1.0, 2.0], "float32"))


@pytest.mark.parametrize("pred", [True, np.True_, 1, 2.5, -1, np.float32(0.5), np.int8(3)])
def test_true_predicates(pred):
    assert int(lax.cond(pred, lambda: 1, lambda: 0)) == 1


@pytest.mark.parametrize("pred", [False, 0, 0.0, -0.0, np.uint8(0)])
def test_false_predicates(pred):
    assert int(lax.cond(pred, lambda: 1, lambda: 0)) == 0


def test_both_branches_are_traced():
    traced = []

    def branch(name):
        def run(x):
            traced.append(name)
            return x

        return run

    lax.cond(True, branch("true"), branch("false"), X)
    assert sorted(traced) == ["false", "true"]


def test_operands_and_results_are_trees():
    out = lax.cond(
        False,
        lambda a, b: {"x": a["v"], "n": (b, None)},
        lambda a, b: {"x": -a["v"], "n": (b + 1, None)},
        {"v": X},
        3,
    )
    np.testing.assert_array_equal(np.asarray(out["x"]), [-1.0, -2.0])
    assert int(out["n"][0]) == 4
    assert out["n"][1] is None


def test_values_that_branches_close_over_are_operands_once():
    w, v = (Array(np.full(2, n, "float32")) for n in (2.0, 3.0))
    graph, captured = trace_to_graph(
        lambda p: [lax.cond(p, lambda: w * v, lambda: w + w)], [Array(np.array(True)).aval]
    )
    assert {id(c) for c in captured} == {id(w), id(v)}
    (equation,) = [e for e in graph.equations if e.primitive.name == "cond"]
    assert len(equation.inputs) == 3
    graph.check()


def test_derivatives_reach_what_branches_close_over():
    def f(w):
        return lax.cond(True, lambda: w * w, lambda: 0.0)

    assert float(grad(f)(3.0)) == 6.0


def test_weak_results_take_the_dtype_of_the_others():
    out = lax.cond(True, lambda x: x, lambda x: 0, np.float16(2.0))
    assert (out.dtype, out.weak_type) == (np.float16, False)
    out = lax.switch(1, [lambda: 1.0, lambda: 2, lambda: np.float64(3.0)])
    assert (float(out), out.dtype) == (2.0, np.float64)
    assert lax.cond(True, lambda: 1.0, lambda: 2.0).weak_type
    assert not lax.cond(True, lambda: 1.0, lambda: np.float32(2.0)).weak_type


@pytest.mark.parametrize(("index", "expected"), [(-7, 0), (0, 0), (1, 1), (2, 2), (99, 2)])
def test_switch_clamps_its_index(index, expected):
    branches = [lambda n=n: n for n in range(3)]
    assert int(lax.switch(index, branches)) == expected
    for dtype in ("int8", "int64", "uint32", "uint64"):
        if index >= 0 or dtype in ("int8", "int64"):
            assert int(lax.switch(np.asarray(index, dtype), branches)) == expected
    assert int(lax.switch(np.int64(2**40), branches)) == 2
    assert int(lax.switch(np.int64(-(2**40)), branches)) == 0


def test_one_branch_is_called():
    assert float(lax.switch(5, [lambda x: x * 2], 1.5)) == 3.0


def check_message(error, *parts):
    message = str(error.value)
    assert "test_branches.py" in message
    for part in parts:
        assert part in message, message


def test_results_of_different_types():
    with pytest.raises(TransformError) as error:
        lax.cond(True, lambda x: {"a": x}, lambda x: {"a": x[:1]}, X)
    check_message(
        error, "cond: the output['a'] is float32[1] in false_fun and float32[2] in true_fun"
    )
    with pytest.raises(TransformError) as error:
        lax.switch(0, [lambda x: x, lambda x: x > 0], X)
    check_message(
        error, "switch: the output is float32[2] in branches[0] and bool[2] in branches[1]"
    )
    with pytest.raises(TransformError) as error:
        lax.cond(True, lambda: 1.5, lambda: 1)
    check_message(error, "cond: the output is int32[]* in false_fun and float32[]* in true_fun")


def test_results_of_different_structure():
    with pytest.raises(TreeError) as error:
        lax.cond(True, lambda x: {"a": x}, lambda x: {"a": x, "b": x}, X)
    check_message(error, "cond: false_fun and true_fun return different structures", "['b']")


def test_predicates_that_are_no_scalars():
    with pytest.raises(ShapeError) as error:
        lax.cond(X > 0, lambda: 1, lambda: 2)
    check_message(error, "cond: pred must be a scalar, but its shape is (2,)", "where")
    with pytest.raises(DtypeError) as error:
        lax.cond(1j, lambda: 1, lambda: 2)
    check_message(error, "pred must be a boolean or a number", "complex64")


def test_indices_that_are_no_integers():
    with pytest.raises(DtypeError) as error:
        lax.switch(1.0, [lambda: 1, lambda: 2])
    check_message(error, "switch: index must be an integer scalar, not float32[]*")
    with pytest.raises(ShapeError) as error:
        lax.switch(np.array([1]), [lambda: 1, lambda: 2])
    check_message(error, "switch: index must be an integer scalar")
    with pytest.raises(ArgumentError) as error:
        lax.switch(0, [])
    check_message(error, "at least one branch")


def test_arguments_that_are_no_functions():
    with pytest.raises(TransformError, match="cond takes a function"):
        lax.cond(True, 1, 2)


@pytest.mark.oracle
def test_semantics_are_those_of_jax():
    jax = pytest.importorskip("jax")
    x = np.array([1.0, 2.0], "float32")
    cases = [
        lambda m: m.cond(True, lambda v: v * 2, lambda v: v, x),
        lambda m: m.cond(0.0, lambda: 1, lambda: 2),
        lambda m: m.cond(3, lambda: 1.0, lambda: np.float32(2)),
        *[lambda m, i=i: m.switch(i, [lambda: 10, lambda: 20, lambda: 30]) for i in (-3, 0, 2, 9)],
        lambda m: m.switch(np.uint8(200), [lambda v: v, lambda v: -v], x),
    ]
    for number, case in enumerate(cases):
        ours, theirs = case(lax), case(jax.lax)
        assert (ours.dtype, ours.weak_type) == (theirs.dtype, theirs.weak_type), number
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs), err_msg=str(number))
