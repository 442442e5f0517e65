"""gather and scatter: modes, kinds, kernels, derivatives and errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtfunc.core.array import Array
from rtfunc.core.errors import (
    ArgumentError,
    DtypeError,
    IndexingError,
    ShapeError,
    UnsupportedError,
)
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops import gather as ops
from rtfunc.ops.convert import convert_element_type
from rtfunc.ops.gather import GatherDimensionNumbers, ScatterDimensionNumbers
from tests.ops.samples.gather import SAMPLES

ROWS = GatherDimensionNumbers((1,), (0,), (0,))
ELEMENTS = GatherDimensionNumbers((), (0,), (0,))

SCATTERS = {
    "set": ops.scatter,
    "add": ops.scatter_add,
    "mul": ops.scatter_mul,
    "min": ops.scatter_min,
    "max": ops.scatter_max,
}


def reference_gather(x, i, n, sizes, mode, fill):
    """The formula of the module's docstring, element by element."""
    window_axes = n.window_axes(x.ndim)
    batch_shape = i.shape[:-1]
    out_ndim = len(batch_shape) + len(window_axes)
    sizes_of = dict(zip(n.offset_dims, (sizes[d] for d in window_axes)))
    batch = iter(batch_shape)
    out = np.empty(
        [sizes_of[a] if a in sizes_of else next(batch) for a in range(out_ndim)], x.dtype
    )
    for place, source in reference_places(x.shape, i, n, sizes, out.shape, mode):
        out[place] = fill if source is None else x[source]
    return out


def reference_places(shape, i, n, sizes, out_shape, mode):
    """(place in the output, place in the operand or None) in row-major order of the indices."""
    window_axes = n.window_axes(len(shape))
    batch_axes = [a for a in range(len(out_shape)) if a not in n.offset_dims]
    for b in np.ndindex(*(out_shape[a] for a in batch_axes)):
        start = [0] * len(shape)
        for k, d in enumerate(n.start_index_map):
            start[d] = int(i[(*b, k)])
        for d, axis in zip(n.operand_batching_dims, n.start_indices_batching_dims):
            start[d] = b[axis]
        inside = all(0 <= s <= m - k for s, m, k in zip(start, shape, sizes))
        if mode == "clip":
            start = [min(max(s, 0), m - k) for s, m, k in zip(start, shape, sizes)]
        for w in np.ndindex(*(out_shape[a] for a in n.offset_dims)):
            place = [0] * len(out_shape)
            source = list(start)
            for axis, v in zip(batch_axes, b):
                place[axis] = v
            for axis, d, v in zip(n.offset_dims, window_axes, w):
                place[axis] = v
                source[d] += v
            yield tuple(place), tuple(source) if inside or mode != "fill" else None


@pytest.mark.parametrize("sample", SAMPLES["gather"], ids=lambda s: s.note)
def test_gather_is_its_formula(sample):
    (x, i), p = sample.args, sample.params
    fill = p["fill_value"]
    expected = reference_gather(
        x, i, p["dimension_numbers"], p["slice_sizes"], p["mode"], np.nan if fill is None else fill
    )
    for order in "CF":
        found = ops.gather_p.bind(Array(np.array(x, order=order)), Array(i), **p)
        np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("sample", SAMPLES["scatter"], ids=lambda s: s.note)
def test_scatter_is_its_formula(sample):
    (x, i, y), p = sample.args, sample.params
    n = p["dimension_numbers"]
    sizes = ops.window_sizes(x.shape, y.shape, n)
    expected = x.copy()
    combine = {
        "set": lambda a, b: b,
        "add": np.add,
        "mul": np.multiply,
        "min": np.minimum,
        "max": np.maximum,
    }[p["kind"]]
    if x.size:
        for place, target in reference_places(x.shape, i, n, sizes, y.shape, p["mode"]):
            if target is not None:
                expected[target] = combine(expected[target], y[place])
    found = ops.scatter_p.bind(Array(x), Array(i), Array(y), **p)
    np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("width", [1, 3, 600])
@pytest.mark.parametrize("kind", ["set", "add", "mul", "min", "max"])
def test_every_kernel_combines_in_order(kind, width, monkeypatch):
    """One element, few and many columns, and more updates than go at once take different ways."""
    monkeypatch.setattr("rtfunc.ops.gather_kernels._chunk", 64)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(7, width)), generator.normal(size=(100, width))
    i = generator.integers(-2, 9, 100)
    expected = x.copy()
    combine = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}.get(kind)
    for row, update in zip(i, y):
        if 0 <= row < 7:
            expected[row] = update if combine is None else combine(expected[row], update)
    found = SCATTERS[kind](x, i[:, None], y, ROWS)
    np.testing.assert_array_equal(np.asarray(found), expected)


def test_the_last_update_wins():
    i = np.zeros((1000, 1), np.int32)
    found = ops.scatter(np.zeros(2), i, np.arange(1000.0), ELEMENTS)
    assert found.tolist() == [999, 0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_sums_are_rounded_once(dtype):
    """1 + 4096 * 2**-12 is 2; adding 2**-12 to 1 in half precision leaves 1."""
    x = convert_element_type(np.ones(1, "float32"), dtype)
    y = convert_element_type(np.full(4096, 2.0**-12, "float32"), dtype)
    found = ops.scatter_add(x, np.zeros((4096, 1), int), y, ELEMENTS)
    assert str(found.dtype) == dtype
    assert found.tolist() == [2.0]


def test_unsigned_and_small_index_dtypes():
    x = np.arange(300.0)
    for dtype in ("uint8", "int8", "uint64", "int64"):
        i = np.array([[3], [100]], dtype)
        assert ops.gather(x, i, ELEMENTS, (1,)).tolist() == [3, 100]
    huge = np.array([[2**64 - 1]], np.uint64)
    assert ops.gather(x, huge, ELEMENTS, (1,), mode="clip").tolist() == [299]
    assert np.isnan(ops.gather(x, huge, ELEMENTS, (1,), mode="fill").tolist()[0])


def test_a_broken_promise_reads_and_writes_inside():
    x, i = np.arange(4.0), np.array([[9], [-9]])
    ops.gather(x, i, ELEMENTS, (1,), mode="promise_in_bounds")
    ops.scatter_add(x, i, np.ones(2), ELEMENTS, mode="promise_in_bounds")
    two = GatherDimensionNumbers((), (0, 1), (0, 1))
    grid = np.arange(4.0).reshape(2, 2).T
    ops.gather(grid, np.array([[9, -9]]), two, (1, 1), mode="promise_in_bounds")


def test_scatter_takes_jaxs_dimension_numbers():
    numbers = ScatterDimensionNumbers(
        update_window_dims=[1], inserted_window_dims=[0], scatter_dims_to_operand_dims=[0]
    )
    found = ops.scatter_sub(np.ones((3, 2)), np.array([[1]]), np.full((1, 2), 3.0), numbers)
    assert found.tolist() == [[1, 1], [-2, -2], [1, 1]]


def test_windows_that_clipping_moves_together_are_not_unique():
    i = np.array([[5], [9]])
    found = ops.scatter_add(np.zeros(3), i, np.ones(2), ELEMENTS, mode="clip", unique_indices=True)
    assert found.tolist() == [0, 0, 2]


# Derivatives


def test_ties_share_the_derivative_of_an_extremum():
    x, y, i = np.array([1.0, 5.0]), np.array([1.0, 1.0, 0.0]), np.array([[0], [0], [1]])
    _, pullback = vjp_flat(
        lambda x, y: [ops.scatter_max(x, i, y, ELEMENTS)], [Array(x), Array(y)], [True, True]
    )
    into_x, into_y = pullback([Array(np.array([3.0, 7.0]))])
    np.testing.assert_allclose(np.asarray(into_x), [1, 7], rtol=1e-15)
    np.testing.assert_allclose(np.asarray(into_y), [1, 1, 0], rtol=1e-15)


def test_nan_elements_keep_their_derivative():
    x, i = np.array([np.nan, 2.0]), np.array([[1]])
    _, pullback = vjp_flat(
        lambda x: [ops.scatter_min(x, i, np.array([3.0]), ELEMENTS)], [Array(x)], [True]
    )
    (into,) = pullback([Array(np.array([3.0, 7.0]))])
    assert into.tolist() == [3, 7]


def test_factors_of_repeated_positions_have_no_derivative():
    x, i = np.ones(2), np.array([[0], [0]])
    with pytest.raises(UnsupportedError, match=r"pass unique_indices=True[\s\S]*test_gather.py"):
        vjp_flat(lambda y: [ops.scatter_mul(x, i, y, ELEMENTS)], [Array(np.ones(2))], [True])


def _jax_numbers(lax, n, scatter):
    kind = lax.ScatterDimensionNumbers if scatter else lax.GatherDimensionNumbers
    return kind(
        n.offset_dims,
        n.collapsed_slice_dims,
        n.start_index_map,
        n.operand_batching_dims,
        n.start_indices_batching_dims,
    )


def _comparable(name: str) -> list:
    """JAX wants axes of size 1 or more, and leaves broken promises undefined."""
    return [
        s
        for s in SAMPLES[name]
        if all(np.asarray(a).size for a in s.args) and s.params["mode"] != "promise_in_bounds"
    ]


@pytest.mark.oracle
@pytest.mark.parametrize("sample", _comparable("gather"), ids=lambda s: s.note)
def test_gather_and_its_gradient_are_jaxs(sample):
    jax = pytest.importorskip("jax")
    x, i, p = sample.args[0].astype("complex64"), sample.args[1].astype("int32"), sample.params
    x = x if np.iscomplexobj(sample.args[0]) else x.real
    numbers = _jax_numbers(jax.lax, p["dimension_numbers"], scatter=False)

    def oracle(x):
        return jax.lax.gather(
            x, i, numbers, p["slice_sizes"], mode=p["mode"], fill_value=p["fill_value"]
        )

    expected, pull = jax.vjp(oracle, x)
    (found,), pullback = vjp_flat(
        lambda x: [ops.gather_p.bind(x, Array(i), **p)], [Array(x)], [True]
    )
    np.testing.assert_array_equal(np.asarray(found), expected)
    ct = np.cos(np.arange(expected.size)).reshape(expected.shape).astype(x.dtype)
    # Sums of a few float32 numbers of size 1 in another order.
    np.testing.assert_allclose(np.asarray(pullback([Array(ct)])[0]), pull(ct)[0], atol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("sample", _comparable("scatter"), ids=lambda s: s.note)
def test_scatter_and_its_gradients_are_jaxs(sample):
    jax = pytest.importorskip("jax")
    x, i, y = sample.args
    p, i = sample.params, i.astype("int32")
    dtype = "complex64" if np.iscomplexobj(x) else "float32"
    x, y = x.astype(dtype), y.astype(dtype)
    name = {"set": "scatter"}.get(p["kind"], f"scatter_{p['kind']}")
    numbers = _jax_numbers(jax.lax, p["dimension_numbers"], scatter=True)
    options = {"mode": p["mode"], "unique_indices": p["unique_indices"]}

    def oracle(x, y):
        return getattr(jax.lax, name)(x, i, y, numbers, **options)

    expected, pull = jax.vjp(oracle, x, y)
    (found,), pullback = vjp_flat(
        lambda x, y: [SCATTERS[p["kind"]](x, Array(i), y, p["dimension_numbers"], **options)],
        [Array(x), Array(y)],
        [True, True],
    )
    # Sums and products of a few float32 numbers of size up to 5, perhaps in another order.
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-6)
    ct = np.cos(np.arange(expected.size)).reshape(expected.shape).astype(dtype)
    if p["kind"] in ("min", "max") and p["mode"] == "clip":
        return  # JAX 0.10 gives infinity; finite differences, in the registry walk, agree with us
    for a, b in zip(pullback([Array(ct)]), pull(ct)):
        np.testing.assert_allclose(np.asarray(a), b, atol=2e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "int8", "int32", "uint8", "bool", "complex64"])
def test_default_fill_values_are_jaxs(dtype):
    jax = pytest.importorskip("jax")
    x, i = np.ones(2, dtype), np.array([[5], [0]], "int32")
    numbers = _jax_numbers(jax.lax, ELEMENTS, scatter=False)
    expected = jax.lax.gather(x, i, numbers, (1,), mode="fill")
    found = ops.gather(x, i, ELEMENTS, (1,), mode="fill")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(np.asarray(found).real, np.asarray(expected).real)


# Errors


@pytest.mark.parametrize(
    ("numbers", "indices", "sizes", "message"),
    [
        (ROWS, np.zeros((2, 2), int), (1, 3), "one entry|an entry for each"),
        (ROWS, np.zeros((2, 1), int), (1,), "one size per axis"),
        (ROWS, np.zeros((2, 1), int), (2, 3), "window size 1"),
        (ROWS, np.zeros((2, 1), int), (1, 4), "not larger than the operand"),
        (GatherDimensionNumbers((5,), (0,), (0,)), np.zeros((2, 1), int), (1, 3), "offset_dims"),
        (GatherDimensionNumbers((1,), (0,), (7,)), np.zeros((2, 1), int), (1, 3), "distinct axes"),
        (
            GatherDimensionNumbers((), (1,), (1,), (0,), (0,)),
            np.zeros((2, 1), int),
            (1, 1),
            "agree in number and size",
        ),
    ],
)
def test_dimension_numbers_must_fit(numbers, indices, sizes, message):
    with pytest.raises(ShapeError, match=message) as caught:
        ops.gather(np.zeros((5, 3)), indices, numbers, sizes)
    assert "gather of an operand of shape (5, 3)" in str(caught.value)
    assert "test_gather.py" in str(caught.value)


def test_operands_must_fit():
    x, i = np.zeros((5, 3)), np.zeros((2, 1), int)
    with pytest.raises(DtypeError, match="gather takes integer indices, not float64"):
        ops.gather(x, np.zeros((2, 1)), ROWS, (1, 3))
    with pytest.raises(ArgumentError, match="mode is 'clip', 'fill'"):
        ops.gather(x, i, ROWS, (1, 3), mode="wrap")
    with pytest.raises(IndexingError, match="axis of size 0"):
        ops.gather(np.zeros((0, 3)), i, ROWS, (1, 3), mode="clip")
    with pytest.raises(ShapeError, match=r"takes updates of shape \(2, 3\), got float64\[3,3\]"):
        ops.scatter(x, i, np.zeros((3, 3)), ROWS)
    with pytest.raises(DtypeError, match="ordered values, not complex128"):
        ops.scatter_min(x + 1j, i, np.zeros((2, 3)), ROWS)


def test_results_do_not_depend_on_the_layout_in_memory():
    generator = np.random.default_rng(1)
    base = generator.normal(size=(4, 5, 6))
    i = generator.integers(0, 4, (3, 2))
    numbers = GatherDimensionNumbers((1,), (0, 2), (0, 2))
    expected = None
    for axes in itertools.permutations(range(3)):
        x = base.transpose(axes).copy().transpose(np.argsort(axes))
        found = np.asarray(ops.gather(x, i, numbers, (1, 5, 1)))
        expected = found if expected is None else expected
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(expected, base[i[:, 0], :, i[:, 1]])
