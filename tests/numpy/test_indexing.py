"""Indexing by every form NumPy has, updates, and the functions that select elements."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    IndexingError,
    RtfuncError,
    ShapeError,
    TracerError,
)
from rtfunc.core.graph import evaluate
from rtfunc.core.primitive import BatchAxis
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.numpy import indexing as ix

X = np.arange(120.0).reshape(4, 5, 6)


def array(x, dtype=None) -> Array:
    return Array(np.array(x, dtype))


def staged(function, *args):
    """What the Graph of `function` computes: every operation goes through its traced form."""
    args = [array(a) if not isinstance(a, Array) else a for a in args]
    graph, captured = trace_to_graph(lambda *xs: [function(*xs)], [a.aval for a in args])
    graph.check()
    return np.asarray(evaluate(graph, [*captured, *args])[0])


def names(function, *args) -> list[str]:
    """The primitives in the Graph of `function`."""
    graph, _ = trace_to_graph(lambda *xs: [function(*xs)], [a.aval for a in args])
    return [e.primitive.name for e in graph.equations]


def gradient(function, x, cotangent=None):
    outs, pullback = vjp_flat(lambda x: [function(x)], [array(x)], [True])
    ct = np.ones(outs[0].shape) if cotangent is None else cotangent
    (into,) = pullback([array(ct)])
    return np.asarray(into)


INDICES = {
    "integer": 2,
    "negative integer": (-1, -2),
    "numpy integer": np.int16(3),
    "slice": slice(1, 3),
    "slices": (slice(None, None, 2), slice(4, 0, -2)),
    "reversed": (slice(None, None, -1), 0),
    "empty slice": (slice(3, 1), slice(0, 0, -1)),
    "slice beyond the end": (slice(2, 99), slice(-99, 2)),
    "ellipsis": (..., 1),
    "empty ellipsis": (0, ..., slice(1, 2), 3),
    "new axes": (None, 1, None, ..., None),
    "nothing": (),
    "array": np.array([3, 0, 3]),
    "array of arrays": np.array([[3, 0], [-1, 2]]),
    "list": [0, 2],
    "nested list": [[0, 1], [2, 3]],
    "empty list": [],
    "0-d array": np.array(2),
    "two arrays": (np.array([0, 1]), np.array([4, 2])),
    "arrays that broadcast": (np.array([[0], [1]]), np.array([4, 2, 0])),
    "three arrays": (np.array([0, 1]), np.array([4, 2]), np.array([5, 5])),
    "array after slice": (slice(1, 3), np.array([0, 2])),
    "arrays after slice": (slice(1, 3), np.array([0, 2]), np.array([1, 1])),
    "separated arrays": (np.array([0, 2]), slice(None), np.array([1, 1])),
    "separated by a new axis": (np.array([0, 2]), None, np.array([1, 1])),
    "separated by an empty ellipsis": (np.array([0, 2]), np.array([1, 1]), ..., np.array([0, 3])),
    "array and integer": (np.array([0, 2]), 1),
    "integer, slice, array": (0, slice(None), np.array([1, 2])),
    "integer next to array": (slice(None), 1, np.array([1, 2])),
    "array, reversed slice": (np.array([0, 2]), slice(None, None, -2)),
    "array, reversed axes": (slice(None, None, -1), np.array([0, 2]), slice(None, None, -1)),
    "unsigned array": np.array([3, 0], np.uint8),
    "small array": (slice(None), slice(None), np.array([-1, 3], np.int8)),
    "mask": X[:, 0, 0] > 20,
    "mask of two axes": X[:, :, 0] % 4 == 0,
    "mask of all": X > 100,
    "mask of the last axes": (slice(None), X[0] % 5 == 1),
    "mask and array": (X[:, 0, 0] > 50, np.array([1, 4])),
    "mask and slice": (slice(1, 3), X[0, :, 0] % 4 == 0),
    "true": True,
    "false": (False, 1),
    "true and array": (True, np.array([1, 2])),
    "list of booleans": [True, False, True, True],
    "empty array": np.zeros((0, 2), int),
}
every_index = pytest.mark.parametrize("idx", INDICES.values(), ids=INDICES.keys())


@every_index
def test_eager_indexing_is_numpys(idx):
    found = array(X)[idx]
    np.testing.assert_array_equal(np.asarray(found), X[idx])
    assert found.dtype == X.dtype


@every_index
def test_traced_indexing_is_numpys(idx):
    np.testing.assert_array_equal(staged(lambda x: x[idx], X), X[idx])


@every_index
def test_updates_are_numpys_eagerly_and_traced(idx):
    value = np.cos(np.arange(X[idx].size)).reshape(X[idx].shape)
    # Every element once: NumPy leaves open which of several wins, and combines in place.
    seen = np.zeros(X.shape)
    np.add.at(seen, idx, 1)
    for kind, kernel in (("set", None), ("add", np.add), ("max", np.maximum)):
        if kind == "set" and seen.max(initial=0) > 1:
            continue
        expected = X.copy()
        if kernel is None:
            expected[idx] = value
        else:
            kernel.at(expected, idx, value)
        np.testing.assert_array_equal(np.asarray(getattr(array(X).at[idx], kind)(value)), expected)
        found = staged(lambda x, v: getattr(x.at[idx], kind)(v), X, value)
        np.testing.assert_array_equal(found, expected)


@every_index
def test_gradient_of_reading_adds_up_what_was_read(idx):
    cotangent = np.cos(np.arange(X[idx].size)).reshape(X[idx].shape)
    expected = np.zeros(X.shape)
    np.add.at(expected, idx, cotangent)
    # Sums of at most a few numbers of size 1, perhaps in another order.
    np.testing.assert_allclose(gradient(lambda x: x[idx], X, cotangent), expected, atol=1e-15)


@every_index
def test_batched_indexing_is_looped(idx):
    batch = np.stack([X, -X], axis=1)
    (out,), (axis,) = batch_flat(lambda x: [x[idx]], BatchAxis(2), [array(batch)], [1])
    np.testing.assert_array_equal(np.moveaxis(np.asarray(out), axis, 0), [X[idx], -X[idx]])


# What an index may not be


@pytest.mark.parametrize("read_it", [lambda x, i: x[i], lambda x, i: staged(lambda y: y[i], x)])
@pytest.mark.parametrize(
    ("idx", "message"),
    [
        (7, r"shape \(4, 5, 6\): index 7 is out of bounds for axis 0 with size 4"),
        ((0, -6), "index -6 is out of bounds for axis 1 with size 5"),
        ((slice(None), 5), "index 5 is out of bounds for axis 1"),
        ((0, 0, 0, 0), "4 indices for 3 axes"),
        ((..., 0, ...), "at most one ellipsis"),
        (1.5, "not of a float"),
        ("x", "not of a str"),
        (np.array([0.5]), "not of a float64 array"),
        (np.array([True, False]), r"mask of shape \(2,\) does not fit axes of sizes \(4,\)"),
        (
            (np.array([0, 1]), np.array([0, 1, 2])),
            r"do not broadcast together: shapes \(2,\), \(3,\)",
        ),
        (slice(0, 1.5), "not a slice of integers"),
    ],
)
def test_malformed_indices_say_what_is_wrong(read_it, idx, message):
    with pytest.raises(IndexingError, match=message) as caught:
        read_it(array(X), idx)
    assert isinstance(caught.value, IndexError)
    assert "test_indexing.py" in str(caught.value)


def test_traced_masks_and_bounds_are_refused_with_advice():
    x, mask, n = array(X), array(X[:, 0, 0] > 1), array(2)
    with pytest.raises(TracerError, match=r"rtfunc\.numpy\.where"):
        staged(lambda x, m: x[m], x, mask)
    with pytest.raises(TracerError, match="dynamic_slice_in_dim"):
        staged(lambda x, n: x[:n], x, n)
    with pytest.raises(IndexingError, match=r"rtfunc.numpy.stack"):
        staged(lambda x, n: x[[n, n]], x, n)


def test_iteration_ends_by_its_length_and_index_error():
    assert [float(e) for e in array([1.0, 2.0])] == [1.0, 2.0]


def test_results_of_basic_indexing_do_not_follow_a_changed_numpy_array():
    source = np.arange(4.0)
    found = ix.take(source, np.array([1, 2])), ix.where(True, source, source)
    source[:] = 9
    np.testing.assert_array_equal(np.asarray(found[0]), [1, 2])
    np.testing.assert_array_equal(np.asarray(found[1]), [0, 1, 2, 3])


# Traced positions


def test_traced_scalars_become_slices_that_clamp():
    def function(x, i):
        return x[i, 1:, i]

    assert "dynamic_slice" in names(function, array(X), array(1, "int32"))
    assert "gather" not in names(function, array(X), array(1, "int32"))
    for i, expected in ((1, 1), (-1, -1), (99, -1), (-99, 0)):
        found = staged(function, X, array(i, "int32"))
        np.testing.assert_array_equal(found, X[expected, 1:, expected])


def test_known_positions_inside_need_no_bounds_checks():
    graph, _ = trace_to_graph(lambda x: [x[np.array([0, -1])]], [array(X).aval])
    (gather,) = [e for e in graph.equations if e.primitive.name == "gather"]
    assert gather.params["mode"] == "promise_in_bounds"


def test_small_index_dtypes_do_not_overflow():
    x = np.arange(300)
    i = np.array([-1, 100, -128], np.int8)
    np.testing.assert_array_equal(staged(lambda x, i: x[i], x, i), x[i])
    u = np.array([255, 3], np.uint8)
    np.testing.assert_array_equal(staged(lambda x, i: x[i], x, u), x[u])
    mixed = staged(
        lambda x, i, j: x[i, j], X, np.array([-1, 2], np.int8), np.array([1, 4], np.uint64)
    )
    np.testing.assert_array_equal(mixed, X[[-1, 2], [1, 4]])


@pytest.mark.parametrize(("trace"), [True, False])
def test_out_of_bounds_reads(trace):
    x, i = np.arange(5.0), np.array([7, -7, -1, 2])

    def got(**options):
        def function(x, i):
            return x.at[i].get(**options)

        return staged(function, x, i) if trace else np.asarray(function(array(x), array(i)))

    plain = staged(lambda x, i: x[i], x, i) if trace else np.asarray(array(x)[array(i)])
    np.testing.assert_array_equal(plain, [4, 0, 4, 2])
    np.testing.assert_array_equal(got(), [4, 0, 4, 2])
    np.testing.assert_array_equal(got(mode="clip"), [4, 0, 4, 2])
    np.testing.assert_array_equal(got(mode="fill"), [np.nan, np.nan, 4, 2])
    np.testing.assert_array_equal(got(fill_value=-3), [-3, -3, 4, 2])
    np.testing.assert_array_equal(got(mode="promise_in_bounds")[2:], [4, 2])


@pytest.mark.parametrize(
    ("dtype", "fill"), [("int32", -(2**31)), ("uint8", 255), ("bool", True), ("int8", -128)]
)
def test_integers_and_booleans_are_filled_with_their_limits(dtype, fill):
    found = array([0, 1], dtype).at[np.array([5])].get(mode="fill")
    assert found.dtype == dtype
    assert found.tolist() == [fill]


def test_out_of_bounds_updates_are_dropped_unless_clipped():
    x, i = array(np.zeros(4)), np.array([9, -9, 1])
    assert x.at[i].set(1.0).tolist() == [0, 1, 0, 0]
    assert x.at[i].add(1.0, mode="clip").tolist() == [1, 1, 0, 1]
    assert x.at[array(9)].set(1.0).tolist() == [0, 0, 0, 0]
    with pytest.raises(IndexingError, match="index 9 is out of bounds"):
        x.at[9].set(1.0)
    with pytest.raises(ArgumentError, match="mode is 'clip', 'fill'"):
        x.at[i].set(1.0, mode="wrap")


def test_empty_axes_have_nothing_to_select():
    x = array(np.zeros((0, 3)))
    assert x[np.zeros(0, int)].shape == (0, 3)
    assert x.at[np.array([1])].get(mode="fill").shape == (1, 3)
    with pytest.raises(IndexingError, match="size 0"):
        x[np.array([1])]
    with pytest.raises(IndexingError, match="size 0"):
        staged(lambda x, i: x[i], x, array(0))


# Updates


def test_repeated_positions_combine_in_order():
    x, i = array(np.ones(3)), np.array([1, 1, 0])
    v = np.array([2.0, 3.0, 5.0])
    assert x.at[i].set(v).tolist() == [5, 3, 1]
    assert x.at[i].add(v).tolist() == [6, 6, 1]
    assert x.at[i].subtract(v).tolist() == [-4, -4, 1]
    assert x.at[i].multiply(v).tolist() == [5, 6, 1]
    assert x.at[i].mul(v).tolist() == [5, 6, 1]
    assert x.at[i].min(-v).tolist() == [-5, -3, 1]
    assert x.at[i].max(v).tolist() == [5, 3, 1]
    np.testing.assert_allclose(x.at[i].divide(v).tolist(), [1 / 5, 1 / 6, 1], rtol=1e-15)
    assert (x * 2).at[i].power(v).tolist() == [32, 64, 2]
    assert x.at[i].apply(lambda part: part + 1).tolist() == [2, 2, 1]


def test_single_positions_take_every_kind_of_update():
    x = np.arange(1.0, 7).reshape(2, 3)
    for idx in ((0, slice(None, None, -2)), np.array([1]), x > 3, (slice(None), np.array([2, 0]))):
        for name, kernel in (
            ("subtract", np.subtract),
            ("multiply", np.multiply),
            ("divide", np.divide),
            ("power", np.power),
            ("min", np.minimum),
        ):
            expected = x.copy()
            expected[idx] = kernel(expected[idx], 2.0)
            found = getattr(array(x).at[idx], name)(2.0)
            np.testing.assert_array_equal(np.asarray(found), expected)
            np.testing.assert_array_equal(
                staged(lambda x: getattr(x.at[idx], name)(2.0), x),
                expected,
            )


def test_traced_masks_update():
    x, row = np.arange(6.0).reshape(2, 3) - 2, np.array([10.0, 20.0, 30.0])
    mask = x > 0
    expected = x.copy()
    expected[mask] = 7
    np.testing.assert_array_equal(staged(lambda x, m: x.at[m].set(7.0), x, mask), expected)
    rows = np.array([False, True])
    expected = x.copy()
    expected[rows] += row
    np.testing.assert_array_equal(staged(lambda x, m, v: x.at[m].add(v), x, rows, row), expected)
    inverse = staged(lambda x, m: x.at[m].divide(x[0, 0]), x, mask)
    np.testing.assert_array_equal(inverse, np.where(mask, x / x[0, 0], x))
    with pytest.raises(TracerError, match="mask"):
        staged(lambda x, m: x.at[m].set(np.arange(3.0)), x, mask)


def test_no_nan_comes_from_where_a_mask_does_not_select():
    x, mask = array([1.0, 4.0]), array([False, False])
    assert gradient(lambda y: x.at[mask].divide(y), 0.0) == 0
    assert gradient(lambda x: x.at[mask].divide(array(0.0)), x).tolist() == [1, 1]


def test_slices_are_updated_in_place_by_compiled_code():
    x = array(X)
    assert names(lambda x: x.at[1:3, 0].set(0.0), x)[-1] == "dynamic_update_slice"
    assert "scatter" not in names(lambda x: x.at[1:3, ::2].add(1.0), x)
    assert names(lambda x, i: x.at[i].set(0.0), x, array(1, "int32"))[-1] == "scatter"
    assert names(lambda x: x[...], x) == []


def test_values_must_fit():
    x = array(np.zeros((2, 3)), "float32")
    with pytest.raises(ShapeError, match=r"shape \(2,\) does not broadcast to the shape \(3,\)"):
        x.at[0].set(np.ones(2, "float32"))
    with pytest.raises(DtypeError, match="complex64 does not go into an array of dtype float32"):
        x.at[0].set(np.ones(3, "complex64"))
    integers = array([1, 2])
    with pytest.raises(DtypeError, match="without loss"):
        integers.at[0].set(1.5)
    with pytest.raises(DtypeError, match="quotients do not fit in int64"):
        integers.at[0].divide(2)
    with pytest.raises(ArgumentError, match="300 does not fit in uint8"):
        array([1], "uint8").at[0].set(300)
    assert x.at[0].set(np.float64(2)).dtype == "float32"
    assert x.at[0].set(np.ones((1, 3))).shape == (2, 3)
    assert integers.at[0].add(True).tolist() == [2, 2]


def test_python_numbers_keep_the_precision_of_the_array():
    assert array([0.0]).at[0].set(0.1).tolist() == [0.1]
    assert array([0.0]).at[np.array([0])].subtract(0.1).tolist() == [-0.1]


@pytest.mark.parametrize("make", [lambda x: x.at[:].set(1.0), lambda x: x.at[0].set(1.0)])
def test_updates_do_not_weaken(make):
    assert not make(array([0.0])).weak_type
    graph, _ = trace_to_graph(lambda x: [make(x)], [array([0.0]).aval])
    assert not graph.out_avals[0].weak_type


def test_gradient_of_updates():
    x, v = np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0])
    i = np.array([2, 0])
    weight = np.array([0.5, -1.0, 2.0])
    assert gradient(lambda x: x.at[i].set(v), x, weight).tolist() == [0, -1, 0]
    assert gradient(lambda v: array(x).at[i].set(v), v, weight).tolist() == [2, 0.5]
    assert gradient(lambda v: array(x).at[i].multiply(v), v, weight).tolist() == [6, 0.5]
    assert gradient(lambda v: array(x).at[1:].add(v), v, weight).tolist() == [-1, 2]
    assert gradient(lambda v: array(x).at[::2].set(v), v, weight).tolist() == [0.5, 2]
    twice = np.array([1, 1])
    assert gradient(lambda v: array(x).at[twice].set(v), v, weight).tolist() == [0, -1]
    assert gradient(lambda v: array(x).at[twice].max(v), v, weight).tolist() == [0, -1]


# The functions


def test_take():
    x = np.arange(12.0).reshape(3, 4)
    i = np.array([[2, -1], [0, 7]])
    for axis in (0, 1, -1):
        inside = np.array([[2, -1], [0, 1]])
        np.testing.assert_array_equal(
            np.asarray(ix.take(x, inside, axis)), np.take(x, inside, axis)
        )
        for mode in ("clip", "wrap"):
            expected = np.take(x, i, axis, mode=mode)
            np.testing.assert_array_equal(np.asarray(ix.take(x, i, axis, mode=mode)), expected)
            found = staged(lambda x, i: ix.take(x, i, axis, mode=mode), x, i)
            np.testing.assert_array_equal(found, expected)
    assert ix.take(x, 5).tolist() == 5
    assert ix.take(x, np.array([1, 99]), fill_value=-1).tolist() == [1, -1]
    assert ix.take(x, [1, 2]).tolist() == [1, 2]
    with pytest.raises(ArgumentError, match="mode is 'fill', 'clip' or 'wrap'"):
        ix.take(x, 0, mode="raise")
    with pytest.raises(DtypeError, match="integer indices"):
        ix.take(x, 0.5)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    ("shape", "index_shape"),
    [
        ((3, 4, 2), (3, 4, 2)),
        ((3, 4, 2), (1, 1, 2)),
        ((1, 4, 1), (3, 2, 2)),
        ((3, 4, 2), (3, 4, 1)),
    ],
)
def test_along_axis(axis, shape, index_shape):
    x = np.arange(float(np.prod(shape))).reshape(shape)
    i = np.random.default_rng(0).integers(-shape[axis], shape[axis], index_shape)
    try:
        expected = np.take_along_axis(x, i, axis)
    except (IndexError, ValueError):
        with pytest.raises(RtfuncError):
            ix.take_along_axis(x, i, axis)
        return
    np.testing.assert_array_equal(np.asarray(ix.take_along_axis(x, i, axis)), expected)
    np.testing.assert_array_equal(
        staged(lambda x, i: ix.take_along_axis(x, i, axis), x, i), expected
    )
    changed = x.copy()
    try:
        np.put_along_axis(changed, i, -1.0, axis)
    except (IndexError, ValueError):
        return
    np.testing.assert_array_equal(np.asarray(ix.put_along_axis(x, i, -1.0, axis)), changed)


def test_along_axis_out_of_bounds_and_flat():
    x = np.arange(6.0).reshape(2, 3)
    i = np.array([7, -1])
    assert ix.take_along_axis(x, i, None, mode="clip").tolist() == [5, 5]
    np.testing.assert_array_equal(np.asarray(ix.take_along_axis(x, i, None)), [np.nan, 5])
    assert ix.put_along_axis(x, i, np.array([8, 9]), None).tolist() == [[0, 1, 2], [3, 4, 9]]
    with pytest.raises(ArgumentError, match="immutable"):
        ix.put_along_axis(x, i, 1.0, None, inplace=True)
    with pytest.raises(ShapeError, match="same number of axes"):
        ix.take_along_axis(x, i, 0)
    with pytest.raises(ShapeError, match="do not broadcast on axis 1"):
        ix.take_along_axis(x, np.zeros((1, 2), int), 0)


def test_where():
    c, x = np.array([[True], [False]]), np.array([1.0, 2.0], "float32")
    np.testing.assert_array_equal(np.asarray(ix.where(c, x, -1)), np.where(c, x, -1))
    assert ix.where(c, x, -1).dtype == "float32"
    assert ix.where(np.array([0, 2]), 1, 0).tolist() == [0, 1]
    assert [p.tolist() for p in ix.where(c)] == [[0], [0]]
    with pytest.raises(ArgumentError, match="both x and y"):
        ix.where(c, x)


def test_select_and_choose():
    x = np.arange(6)
    conditions, choices = [x < 2, x > 3, x == 5], [x, x * 10, x * 100]
    np.testing.assert_array_equal(
        np.asarray(ix.select(conditions, choices, -1)), np.select(conditions, choices, -1)
    )
    options = [np.array([[1], [2]]), np.array([10, 20, 30]), np.array(7)]
    a = np.array([2, 0, 1])
    np.testing.assert_array_equal(np.asarray(ix.choose(a, options)), np.choose(a, options))
    for mode in ("wrap", "clip"):
        wild = np.array([-4, 5, 1])
        expected = np.choose(wild, options, mode=mode)
        np.testing.assert_array_equal(np.asarray(ix.choose(wild, options, mode=mode)), expected)
        found = staged(lambda a: ix.choose(a, options, mode=mode), wild)
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(IndexingError, match="out of bounds for the size 3"):
        ix.choose(np.array([3, 0, 0]), options)
    with pytest.raises(TracerError, match="mode='clip'"):
        staged(lambda a: ix.choose(a, options), a)


def test_positions():
    shape = (3, 4, 5)
    flat = np.array([[0, 59], [17, 31]])
    expected = np.unravel_index(flat, shape)
    for found, e in zip(ix.unravel_index(flat, shape), expected):
        np.testing.assert_array_equal(np.asarray(found), e)
    assert [int(p) for p in ix.unravel_index(-1, shape)] == [2, 3, 4]
    assert [int(p) for p in ix.unravel_index(99, shape)] == [2, 3, 4]
    for order in "CF":
        found = ix.ravel_multi_index(expected, shape, order=order)
        np.testing.assert_array_equal(
            np.asarray(found), np.ravel_multi_index(expected, shape, order=order)
        )
    wild = (np.array([3, -1]), np.array([0, 9]))
    for mode in ("clip", "wrap", ("clip", "wrap")):
        found = ix.ravel_multi_index(wild, (3, 4), mode=mode)
        np.testing.assert_array_equal(
            np.asarray(found), np.ravel_multi_index(wild, (3, 4), mode=mode)
        )
    with pytest.raises(IndexingError, match="out of bounds"):
        ix.ravel_multi_index(wild, (3, 4))
    rows, columns = ix.ix_(np.array([0, 2]), np.array([True, False, True]))
    np.testing.assert_array_equal(
        np.asarray(array(X)[0][rows, columns]), X[0][np.ix_([0, 2], [0, 2])]
    )


@pytest.mark.parametrize("size", [0, 2, 3, 6])
def test_nonzero_of_a_fixed_size(size):
    x = np.array([[0, 3, 0], [4, 0, 5]])
    expected = [np.full(size, -1) for _ in range(2)]
    for e, p in zip(expected, np.nonzero(x)):
        e[: min(3, size)] = p[:size]
    for axis in range(2):
        eager = ix.nonzero(x, size=size, fill_value=-1)[axis]
        np.testing.assert_array_equal(np.asarray(eager), expected[axis])
        traced = staged(lambda x: ix.nonzero(x, size=size, fill_value=-1)[axis], x)
        np.testing.assert_array_equal(traced, expected[axis])
    rows = staged(lambda x: ix.argwhere(x, size=size, fill_value=-1), x)
    np.testing.assert_array_equal(rows, np.stack(expected, 1))


def test_nonzero_and_relatives():
    x = np.array([[0, 3, 0], [4, 0, 5]])
    assert [p.tolist() for p in ix.nonzero(x)] == [[0, 1, 1], [1, 0, 2]]
    assert ix.flatnonzero(x).tolist() == [1, 3, 5]
    assert ix.argwhere(x).tolist() == np.argwhere(x).tolist()
    assert ix.argwhere(np.array(3)).shape == (1, 0)
    with pytest.raises(TracerError, match="Pass size="):
        staged(lambda x: ix.nonzero(x)[0], x)
    with pytest.raises(ShapeError, match="atleast_1d"):
        ix.nonzero(np.array(3))


def test_compress_and_extract():
    x = np.arange(6.0).reshape(2, 3)
    flags = np.array([True, False, True])
    np.testing.assert_array_equal(
        np.asarray(ix.compress(flags, x, axis=1)), np.compress(flags, x, axis=1)
    )
    np.testing.assert_array_equal(np.asarray(ix.compress([False, True], x)), [1])
    np.testing.assert_array_equal(
        staged(lambda c, x: ix.compress(c, x, axis=1, size=3, fill_value=9), flags, x),
        [[0, 2, 9], [3, 5, 9]],
    )
    np.testing.assert_array_equal(np.asarray(ix.extract(x > 2, x)), [3, 4, 5])
    with pytest.raises(IndexingError, match="selects beyond axis 0"):
        ix.compress([False, False, True], x, axis=0)
