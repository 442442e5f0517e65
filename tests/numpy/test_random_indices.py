"""Random index expressions, against NumPy: reading, every kind of update, derivatives, batches, and
compiled code."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import IndexingError, UnsupportedError
from rtfunc.numpy.index_expressions import parse, read
from rtfunc.testing import check_grads

KERNELS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "min": np.minimum,
    "max": np.maximum,
    "power": np.power,
}


@st.composite
def index_cases(draw, positive: bool = False):
    """The shape of an array and an index for it, of every form; `positive`: no axis of size 0."""
    shape = tuple(draw(st.lists(st.integers(1 if positive else 0, 4), max_size=4)))
    batch = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    consumed = draw(st.integers(0, len(shape)))
    front = draw(st.none() | st.integers(0, consumed))
    axes = list(range(consumed))
    if front is not None:  # an ellipsis after so many
        axes = [*range(front), ..., *range(len(shape) - consumed + front, len(shape))]
    items = []
    skipped = False
    for place, axis in enumerate(axes):
        if skipped:  # the second axis of a mask
            skipped = False
            continue
        if axis is ...:
            items.append(...)
            continue
        if draw(st.booleans()) and draw(st.booleans()):
            items.append(None)
        n = shape[axis]
        kinds = ["slice", "mask", *(["int", "array", "scalar", "list"] if n else [])]
        if place + 1 < len(axes) and axes[place + 1] is not ...:
            kinds.append("wide mask")
        kind = draw(st.sampled_from(kinds))
        if kind == "slice":
            bound = st.none() | st.integers(-5, 5)
            items.append(
                slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, -1, -3])))
            )
        elif kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "scalar":
            items.append(np.array(draw(st.integers(-n, n - 1)), np.int32))
        elif kind == "wide mask":
            sizes = (n, shape[axes[place + 1]])
            flags = [draw(st.booleans()) for _ in range(sizes[0] * sizes[1])]
            items.append(np.array(flags, bool).reshape(sizes))
            skipped = True
        elif kind == "list":
            items.append([draw(st.integers(-n, n - 1)) for _ in range(batch[-1] if batch else 1)])
        elif kind == "mask":
            items.append(np.array([draw(st.booleans()) for _ in range(n)], bool))
        else:
            kept = draw(st.integers(0, len(batch)))
            own = [1 if draw(st.booleans()) else b for b in batch[kept:]]
            values = [draw(st.integers(-n, n - 1)) for _ in range(int(np.prod(own)))]
            items.append(np.array(values, np.int32).reshape(own))
    return shape, tuple(items)


def _values(shape: tuple[int, ...], start: float = 1.0) -> np.ndarray:
    """Distinct positive numbers in no order."""
    count = int(np.prod(shape))
    return (start + (np.arange(count) * 7 % max(count, 1) + 0.1 * np.arange(count)) / 10).reshape(
        shape
    )


def _with_arrays(idx: tuple[Any, ...]) -> tuple[list[int], Any]:
    """Where integer arrays stand in `idx`, and the index with others in their place."""
    places = [i for i, e in enumerate(idx) if isinstance(e, np.ndarray) and e.dtype != bool]

    def index(arrays: Any) -> tuple[Any, ...]:
        given = dict(zip(places, arrays))
        return tuple(given.get(i, e) for i, e in enumerate(idx))

    return places, index


def _selected(shape: tuple[int, ...], idx: Any) -> np.ndarray:
    """How often each element is selected."""
    seen = np.zeros(shape, int)
    np.add.at(seen, idx, 1)
    return seen


@settings(max_examples=200, deadline=None, derandomize=True)
@given(index_cases())
def test_reading_is_numpys_and_so_is_refusing(case):
    shape, idx = case
    x = _values(shape)
    array = rnp.asarray(x)
    try:
        expected = x[idx]
    except IndexError:
        for attempt in (lambda: array[idx], lambda: read(array, parse(shape, idx))):
            with pytest.raises(IndexingError):
                attempt()
        return
    places, index = _with_arrays(idx)
    arrays = [rnp.asarray(idx[i]) for i in places]
    plain = array[index(arrays)]
    assert isinstance(plain, Array)
    np.testing.assert_array_equal(plain, expected, strict=True)
    np.testing.assert_array_equal(read(array, parse(shape, idx)), expected, strict=True)
    graph = rf.make_graph(lambda x, *arrays: x[index(arrays)])(array, *arrays)
    graph.check()
    (spec,) = graph.out_avals
    assert (spec.shape, spec.dtype) == (expected.shape, expected.dtype)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(index_cases(), st.sampled_from(["set", *KERNELS]), st.booleans())
def test_updates_are_numpys(case, kind, scalar):
    shape, idx = case
    x = _values(shape)
    try:
        part = x[idx]
    except IndexError:
        return
    value = _values(part.shape, 0.5)
    if scalar:
        value = value[..., :1] if value.ndim else value
    expected = x.copy()
    if kind == "set":
        assume(scalar or _selected(shape, idx).max(initial=0) < 2)  # NumPy does not say which wins
        value = np.float64(3.0) if scalar else value
        expected[idx] = value
    else:
        KERNELS[kind].at(expected, idx, value)
    places, index = _with_arrays(idx)
    arrays = [rnp.asarray(idx[i]) for i in places]

    def update(x: Any, value: Any, *arrays: Any) -> Any:
        return getattr(x.at[index(arrays)], kind)(value)

    # Several factors for one element are multiplied in another order.
    close = functools.partial(np.testing.assert_allclose, rtol=1e-14)
    close(update(rnp.asarray(x), value, *arrays), expected)
    axes = (0, None, *[None] * len(arrays))
    batched = rf.vmap(update, in_axes=axes)(np.stack([x, x]), value, *arrays)
    close(batched, np.stack([expected, expected]))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(index_cases())
def test_reading_is_differentiated_and_batched(case):
    shape, idx = case
    x = _values(shape)
    try:
        part = x[idx]
    except IndexError:
        return
    cotangent = _values(part.shape, -0.7)
    expected = np.zeros(shape)
    np.add.at(expected, idx, cotangent)
    places, index = _with_arrays(idx)
    arrays = [idx[i] for i in places]
    _, pullback = rf.vjp(lambda x: x[index(arrays)], x)
    # A few numbers of size 1 are added in another order.
    np.testing.assert_allclose(pullback(rnp.asarray(cotangent))[0], expected, atol=1e-14)
    # A batch of arrays, of index arrays, and of both.
    negative = [np.where(a < 0, a, a - n) for a, n in zip(arrays, _sizes(shape, idx, places))]
    xs, pairs = np.stack([x, -x]), [np.stack([a, b]) for a, b in zip(arrays, negative)]
    for x_axis, axis in ((0, None), (None, 0), (0, 0)):
        if x_axis is None and not arrays:
            continue
        found = rf.vmap(
            lambda x, *arrays: x[index(arrays)], in_axes=(x_axis, *[axis] * len(arrays))
        )(x if x_axis is None else xs, *(arrays if axis is None else pairs))
        np.testing.assert_array_equal(found, [part, part if x_axis is None else -part])


def _sizes(shape: tuple[int, ...], idx: tuple[Any, ...], places: list[int]) -> list[int]:
    """The sizes of the axes that the entries at `places` index."""
    consumed = [
        0 if e is None or e is ... else e.ndim if np.asarray(e).dtype == np.bool_ else 1
        for e in idx
    ]
    ellipsis = next((i for i, e in enumerate(idx) if e is ...), len(idx))
    rest = len(shape) - sum(consumed)
    return [shape[sum(consumed[:i]) + (rest if i > ellipsis else 0)] for i in places]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(index_cases(positive=True), st.sampled_from(["set", *KERNELS]))
def test_updates_are_differentiated(case, kind):
    shape, idx = case
    x = _values(shape)
    try:
        part = x[idx]
    except IndexError:
        return
    assume(part.size)
    value = _values(part.shape, 0.53)
    once = _selected(shape, idx).max() < 2

    def update(x: Any, v: Any) -> Any:
        return getattr(x.at[idx], kind)(v)

    if kind in ("multiply", "divide", "power") and not once:
        # As in JAX: the products of all other factors would be needed.
        with pytest.raises(UnsupportedError, match="pass unique_indices=True"):
            rf.vjp(lambda v: update(rnp.asarray(x), v), value)
        check_grads(lambda x: update(x, value / 10), (x,), order=1)
    else:
        check_grads(update, (x, value), order=1)
    if once:
        check_grads(lambda x: x.at[idx].apply(rnp.sin), (x,), order=1)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(index_cases(), st.sampled_from(["get", "set", "add", "multiply", "min", "divide"]))
def test_compiled_code_does_the_same(case, kind):
    shape, idx = case
    x = rnp.asarray(_values(shape))
    try:
        part = np.asarray(x)[idx]
    except IndexError:
        return
    places, index = _with_arrays(idx)
    arrays = [rnp.asarray(idx[i]) for i in places]
    value = [] if kind == "get" else [rnp.asarray(_values(part.shape, 0.5))]

    def function(x: Any, arrays: Any, value: Any) -> Any:
        return getattr(x.at[index(arrays)], kind)(*value)

    np.testing.assert_allclose(
        rf.jit(function)(x, arrays, value), function(x, arrays, value), rtol=1e-14
    )


@pytest.mark.parametrize("mode", ["clip", "drop", "fill", "promise_in_bounds"])
@pytest.mark.parametrize("kind", ["set", *KERNELS])
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_modes_of_updates(kind, mode, jit):
    x = np.array([2.0, 3.0, 5.0, 7.0])
    inside = mode == "promise_in_bounds"
    i = np.array([1, -1, 0] if inside else [1, 9, -9])
    v = np.array([1.5, 2.5, 3.5])
    expected = x.copy()
    used = np.clip(np.where(i < 0, i + 4, i), 0, 3)
    kept = np.ones(3, bool) if mode == "clip" or inside else (i >= -4) & (i < 4)
    if kind == "set":
        expected[used[kept]] = v[kept]
    else:
        KERNELS[kind].at(expected, used[kept], v[kept])

    def update(x: Any, i: Any, v: Any) -> Any:
        return getattr(x.at[i], kind)(v, mode=mode)

    found = (rf.jit(update) if jit else update)(rnp.asarray(x), rnp.asarray(i), rnp.asarray(v))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_negative_positions_may_count_as_out_of_bounds():
    x = rnp.arange(4.0)
    i = rnp.asarray([-1, 1])
    options: dict[str, Any] = {"wrap_negative_indices": False}
    for function in (lambda f: f, rf.jit):
        set_ = function(lambda x, i: x.at[i].set(9.0, **options))
        np.testing.assert_array_equal(set_(x, i), [0, 9, 2, 3])
        get = function(lambda x, i: x.at[i].get(mode="fill", fill_value=7.0, **options))
        np.testing.assert_array_equal(get(x, i), [7, 1])
        clipped = function(lambda x, i: x.at[i].get(mode="clip", **options))
        np.testing.assert_array_equal(clipped(x, i), [0, 1])
    np.testing.assert_array_equal(x.at[-1].set(9.0, **options), [0, 1, 2, 3])
    np.testing.assert_array_equal(x.at[-1].get(mode="fill", **options), np.nan)
    np.testing.assert_array_equal(x.at[-1].set(9.0), [0, 1, 2, 9])


def test_promises_about_indices_do_not_change_results():
    x, i = rnp.zeros(5), rnp.asarray([0, 2, 3])
    for options in ({"unique_indices": True}, {"indices_are_sorted": True}):
        np.testing.assert_array_equal(x.at[i].add(1.0, **options), [1, 0, 1, 1, 0])
        np.testing.assert_array_equal(x.at[i].get(**options), [0, 0, 0])
        np.testing.assert_array_equal(
            rf.jit(lambda x, i: x.at[i].multiply(2.0, **options))(x + 1, i), [2, 1, 2, 2, 1]
        )
