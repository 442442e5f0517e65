"""dynamic_slice and dynamic_update_slice: clamping, batches, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat
from rtfunc.core.errors import DtypeError, ShapeError
from rtfunc.core.graph import evaluate
from rtfunc.core.primitive import BatchAxis
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops import dynamic_slice as ops

X = np.arange(24.0).reshape(4, 6)


def _scalar(i, dtype="int32") -> Array:
    return Array(np.array(i, dtype))


def _primitives(function, *args):
    graph, captured = trace_to_graph(lambda *xs: [function(*xs)], [a.aval for a in args])
    out = evaluate(graph, [*captured, *args])[0]
    return [e.primitive.name for e in graph.equations], np.asarray(out)


@pytest.mark.oracle
@pytest.mark.parametrize("starts", [(1, 2), (-1, -7), (9, -2), (3, 5)])
def test_starts_are_clamped_as_jax_does(starts):
    jax = pytest.importorskip("jax")
    x, y = X.astype("float32"), np.ones((2, 3), "float32")
    for given in (starts, tuple(map(_scalar, starts)), np.array(starts)):
        expected = jax.lax.dynamic_slice(x, starts, (2, 3))
        np.testing.assert_array_equal(np.asarray(ops.dynamic_slice(x, given, (2, 3))), expected)
        expected = jax.lax.dynamic_update_slice(x, y, starts)
        np.testing.assert_array_equal(np.asarray(ops.dynamic_update_slice(x, y, given)), expected)


def test_traced_starts_give_the_same():
    x, y = Array(X), Array(np.ones((2, 3)))
    for starts in ((1, 2), (-1, -7), (9, -2)):
        given = Array(np.array(starts))
        _, found = _primitives(lambda x, s: ops.dynamic_slice(x, s, (2, 3)), x, given)
        np.testing.assert_array_equal(found, np.asarray(ops.dynamic_slice(x, starts, (2, 3))))
        _, found = _primitives(lambda x, y, s: ops.dynamic_update_slice(x, y, s), x, y, given)
        np.testing.assert_array_equal(found, np.asarray(ops.dynamic_update_slice(x, y, starts)))


def test_known_starts_make_a_static_slice():
    names, found = _primitives(lambda x: ops.dynamic_slice(x, (1, 2), (2, 3)), Array(X))
    assert names == ["slice"]
    np.testing.assert_array_equal(found, X[1:3, 2:5])


def test_along_one_axis():
    np.testing.assert_array_equal(np.asarray(ops.dynamic_slice_in_dim(X, 2, 3, 1)), X[:, 2:5])
    np.testing.assert_array_equal(np.asarray(ops.dynamic_index_in_dim(X, -1, 1)), X[:, 5:])
    np.testing.assert_array_equal(
        np.asarray(ops.dynamic_index_in_dim(X, _scalar(2), keepdims=False)), X[2]
    )
    expected = X.copy()
    expected[:, 4:] = 0
    found = ops.dynamic_update_slice_in_dim(X, np.zeros((4, 2)), _scalar(4), 1)
    np.testing.assert_array_equal(np.asarray(found), expected)
    expected = X.copy()
    expected[1] = 0
    for update in (np.zeros(6), np.zeros((1, 6))):
        found = ops.dynamic_update_index_in_dim(X, update, 1, 0)
        np.testing.assert_array_equal(np.asarray(found), expected)


def _choices(n: int) -> list[tuple[bool, ...]]:
    """Which of n operands are batched: all ways but none."""
    return list(itertools.product([False, True], repeat=n))[1:]


BATCH = np.stack([X, -X, X * 2], 1)  # batch axis 1
STARTS = (np.array([0, 9, 1], "int32"), np.array([2, 0, 5], "int32"))


@pytest.mark.parametrize("batched", _choices(3))
def test_batches_at_different_positions(batched):
    values = [Array(BATCH if batched[0] else X)]
    values += [Array(s) if b else _scalar(s[1]) for s, b in zip(STARTS, batched[1:])]
    axes = [1 if batched[0] else None, *(0 if b else None for b in batched[1:])]
    expected = []
    for b in range(3):
        x = BATCH[:, b] if batched[0] else X
        starts = [int(s[b] if own else s[1]) for s, own in zip(STARTS, batched[1:])]
        expected.append(np.asarray(ops.dynamic_slice(x, starts, (2, 3))))
    (out,), (axis,) = batch_flat(
        lambda x, i, j: [ops.dynamic_slice(x, (i, j), (2, 3))], BatchAxis(3), values, axes
    )
    np.testing.assert_array_equal(np.moveaxis(np.asarray(out), axis, 0), expected)


@pytest.mark.parametrize("batched", _choices(4))
def test_batches_of_updates_and_their_gradients(batched):
    y = np.linspace(0, 1, 18).reshape(2, 3, 3)  # batch axis 2
    values = [Array(BATCH if batched[0] else X), Array(y if batched[1] else y[..., 0])]
    values += [Array(s) if b else _scalar(s[1]) for s, b in zip(STARTS, batched[2:])]
    axes = [
        1 if batched[0] else None,
        2 if batched[1] else None,
        *(0 if b else None for b in batched[2:]),
    ]

    def function(x, y, i, j):
        outs, pullback = vjp_flat(
            lambda x, y: [ops.dynamic_update_slice(x, y, (i, j))], [x, y], [True, True]
        )
        return [*outs, *pullback([Array(X)])]

    outs, out_axes = batch_flat(function, BatchAxis(3), values, axes)
    for b in range(3):
        args = [
            Array(np.take(np.asarray(v), b, axis)) if axis is not None else v
            for v, axis in zip(values, axes)
        ]
        for out, axis, expected in zip(outs, out_axes, function(*args)):
            member = np.asarray(out) if axis is None else np.take(np.asarray(out), b, axis)
            np.testing.assert_array_equal(member, np.asarray(expected))


def test_unbatched_positions_stay_slices():
    def batched(x, i):
        (out,), _ = batch_flat(
            lambda x: [ops.dynamic_slice(x, (i, i), (2, 3))], BatchAxis(3), [x], [1]
        )
        return out

    names, _ = _primitives(batched, Array(BATCH), _scalar(1))
    assert "gather" not in names
    assert "dynamic_slice" in names


def test_small_and_unsigned_starts():
    x = Array(np.arange(300.0))
    assert ops.dynamic_slice(x, (_scalar(-1, "int8"),), (1,)).tolist() == [299]
    assert ops.dynamic_slice(x, (_scalar(200, "uint8"),), (1,)).tolist() == [200]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.dynamic_slice(X, (0,), (1, 1)), ShapeError, "takes 2 starts, got 1"),
        (lambda: ops.dynamic_slice(X, (0, 0), (5, 1)), ShapeError, r"block of shape \(5, 1\)"),
        (lambda: ops.dynamic_slice(X, (0, 0.5), (1, 1)), DtypeError, "integer scalars"),
        (
            lambda: ops.dynamic_slice(X, np.zeros((2, 1), int), (1, 1)),
            ShapeError,
            "one-dimensional",
        ),
        (lambda: ops.dynamic_update_slice(X, np.ones((5, 1)), (0, 0)), ShapeError, "does not fit"),
        (lambda: ops.dynamic_update_slice(X, np.ones((1, 1), "int8"), (0, 0)), DtypeError, "dtype"),
        (
            lambda: ops.dynamic_update_index_in_dim(X, np.ones(()), 0, 0),
            ShapeError,
            r"update of shape \(\)",
        ),
    ],
)
def test_errors_say_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "test_dynamic_slice.py" in str(caught.value)
