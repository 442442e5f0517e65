"""slice, pad, concatenate: NumPy's and JAX's semantics, and errors."""

from __future__ import annotations

import numpy as np
import pytest

from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, AxisError, DtypeError, IndexingError, ShapeError
from rtfunc.core.primitive import primitives
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops import pad_slice as ops
from tests.ops.samples.pad_slice import SAMPLES

X = np.arange(24.0).reshape(4, 6)


def test_slice():
    found = ops.slice_(X, (1, 0), (4, 5), (2, 3))
    np.testing.assert_array_equal(np.asarray(found), X[1:4:2, 0:5:3])
    np.testing.assert_array_equal(np.asarray(ops.slice_(X, (1, 0), (3, 6))), X[1:3])
    np.testing.assert_array_equal(np.asarray(ops.slice_in_dim(X, -3, -1, axis=1)), X[:, -3:-1])
    np.testing.assert_array_equal(np.asarray(ops.slice_in_dim(X, None, None, 2)), X[::2])


def test_whole_slices_and_paddings_of_nothing_are_no_operations():
    x = Array(X)
    assert ops.slice_(x, (0, 0), (4, 6)) is x
    assert ops.pad(x, 0.0, [(0, 0, 0)] * 2) is x


@pytest.mark.parametrize("sample", SAMPLES["pad"], ids=lambda s: s.note)
def test_pad_is_its_definition(sample):
    x, value = sample.args
    p = sample.params
    dilated = np.full(
        [n + max(n - 1, 0) * i for n, i in zip(x.shape, p["interior"])], value, x.dtype
    )
    dilated[tuple(slice(None, None, i + 1) for i in p["interior"])] = x
    around = [(max(lo, 0), max(hi, 0)) for lo, hi in zip(p["low"], p["high"])]
    wide = np.pad(dilated, around, constant_values=value) if x.ndim else dilated
    crop = tuple(
        slice(max(-lo, 0), n - max(-hi, 0)) for n, lo, hi in zip(wide.shape, p["low"], p["high"])
    )
    found = ops.pad_p.bind(Array(x), Array(value), **p)
    np.testing.assert_array_equal(np.asarray(found), wide[crop])


@pytest.mark.oracle
@pytest.mark.parametrize("sample", SAMPLES["pad"], ids=lambda s: s.note)
def test_pad_is_jaxs(sample):
    jax = pytest.importorskip("jax")
    x, value = sample.args
    dtype = "complex64" if np.iscomplexobj(x) else "float32"
    x, value = x.astype(dtype), value.astype(dtype)
    config = list(zip(*(sample.params[k] for k in ("low", "high", "interior"))))
    np.testing.assert_array_equal(
        np.asarray(ops.pad(x, value, config)), jax.lax.pad(x, value, config)
    )


def test_padding_value_adapts_to_the_array():
    assert ops.pad(np.ones(1, "float16"), 0, [(1, 0, 0)]).dtype == "float16"
    with pytest.raises(DtypeError, match="pad of an int32 array"):
        ops.pad(np.ones(1, "int32"), 0.5, [(1, 0, 0)])
    with pytest.raises(DtypeError, match="one dtype"):
        ops.pad(np.ones(1, "float32"), np.float64(0), [(1, 0, 0)])


def test_padding_keeps_infinities_apart():
    """The derivative of the padding value counts the padding only, and exactly."""
    ct = Array(np.array([np.inf, 2.0, 3.0]))
    params = {"low": (0,), "high": (2,), "interior": (0,)}
    _, pullback = ops.pad_p.vjp(
        ops.pad_p, [True, True], [Array(np.ones(1)), Array(np.array(0.0))], **params
    )
    assert pullback(ct)[1].tolist() == 5.0


def test_shift_in():
    x = Array(np.arange(1, 7).reshape(2, 3))
    assert ops.shift_in(x, 1, 0, forward=True).tolist() == [[0, 1, 2], [0, 4, 5]]
    assert ops.shift_in(x, 1, 9, forward=False).tolist() == [[2, 3, 9], [5, 6, 9]]
    assert ops.shift_in(x, 0, 0, forward=True).tolist() == [[0, 0, 0], [1, 2, 3]]
    assert ops.shift_in(x, 0, 0, forward=True).dtype == x.dtype
    empty = Array(np.zeros((0, 2)))
    assert ops.shift_in(empty, 0, 1, forward=True).shape == (0, 2)


def test_concatenate():
    found = ops.concatenate([X, X[:1].astype("float32"), X[:0]], axis=0)
    np.testing.assert_array_equal(np.asarray(found), np.concatenate([X, X[:1]], 0))
    assert found.dtype == "float64"
    assert ops.concatenate([X[:, :1], X], -1).shape == (4, 7)


def test_results_do_not_follow_a_changed_numpy_array():
    source = np.arange(4.0)
    results = [
        ops.slice_(source, (1,), (3,)),
        ops.slice_in_dim(source, 1, 3),
        ops.pad(source, 0.0, [(-1, -1, 0)]),
        ops.slice_(ops.concatenate([source]), (1,), (3,)),
    ]
    source[:] = 9
    for r in results:
        assert r.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.slice_(X, (0, 0), (5, 6)), IndexingError, "slice 0:5:1 does not fit axis 0"),
        (lambda: ops.slice_(X, (-1, 0), (4, 6)), IndexingError, "slice -1:4:1 does not fit axis 0"),
        (lambda: ops.slice_(X, (0, 0), (4, 6), (1, 0)), IndexingError, "positive stride"),
        (lambda: ops.slice_(X, (0,), (4, 6)), ShapeError, "start has 1 entries"),
        (lambda: ops.slice_(X, (0, 0.5), (4, 6)), DtypeError, "sequence of integers"),
        (lambda: ops.slice_in_dim(X, 0, 1, axis=2), AxisError, "axis 2 is out of bounds"),
        (lambda: ops.pad(X, 0.0, [(1, 1, 0)]), ShapeError, "got 1"),
        (lambda: ops.pad(X, 0.0, [(-3, -3, 0), (0, 0, 0)]), ShapeError, "not negative"),
        (lambda: ops.pad(X, X, [(1, 1, 0)] * 2), ShapeError, "a scalar as padding value"),
        (lambda: ops.concatenate([]), ArgumentError, "at least one array"),
        (lambda: ops.concatenate([X, X.T], 0), ShapeError, r"got \(4, 6\), \(6, 4\)"),
        (lambda: ops.concatenate([X, X], 2), AxisError, "axis 2 is out of bounds"),
    ],
)
def test_errors_say_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "test_pad_slice.py" in str(caught.value)


def test_derivatives_are_slices_and_pads():
    """Nothing dense: the compiler makes index maps of them."""
    graph, _ = trace_to_graph(
        lambda x: [
            ops.slice_p.vjp(ops.slice_p, [True], [x], start=(1, 0), limit=(3, 6), stride=(1, 2))[1](
                ops.slice_(x, (1, 0), (3, 6), (1, 2))
            )[0]
        ],
        [Array(X).aval],
    )
    assert [e.primitive for e in graph.equations] == [ops.slice_p, primitives["pad"]]
