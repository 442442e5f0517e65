"""Native windowed reductions against the eager primitives, over layouts, strides, pads and dilations."""

from __future__ import annotations

from ctypes import c_void_p

import numpy as np
import pytest
from llvmlite import ir

from rtfunc.compiler.cpu import engine, threads
from rtfunc.compiler.cpu.pooling import emit_reduce_window
from rtfunc.compiler.cpu.pooling_derivative import emit_select_and_scatter_add
from rtfunc.compiler.cpu.windows import WindowSpec
from rtfunc.core import dtypes
from rtfunc.ops import window
from rtfunc.ops.convert import as_array

# Sums of at most 100 terms in another order; everything else is exact.
TOLERANCE = {"float32": 1e-5, "float64": 1e-13, "float16": 2e-3, "bfloat16": 1.6e-2}


def compiled(emit, spec, out_shape, *operands):
    module = ir.Module("test")
    emitted = emit(module, "pooling", spec)
    emitted.function.linkage = ""
    code = engine.compile_module(module)
    function = code.function("pooling", None, *[c_void_p] * (len(operands) + 2))
    memory = np.full(emitted.scratch_bytes + 64, 0xFF, np.uint8)
    scratch = memory.ctypes.data + -memory.ctypes.data % 64
    size = int(np.prod(out_shape))
    out = np.full(size + 64, 77, spec.dtype)
    function(out[32:].ctypes.data, *[x.ctypes.data for x in operands], scratch)
    assert (out[:32] == 77).all()
    assert (out[size + 32 :] == 77).all()
    return out[32 : size + 32].reshape(out_shape)


def params_of(spec):
    names = (
        "window_dimensions",
        "window_strides",
        "padding",
        "base_dilation",
        "window_dilation",
    )
    return {name: getattr(spec, name) for name in names}


def eager_reduce(spec, x):
    primitive = getattr(window, f"reduce_window_{spec.kind}_p")
    return np.asarray(primitive.evaluate([as_array("test", x)], params_of(spec)))


def eager_scatter(spec, source, x):
    arrays = [as_array("test", source), as_array("test", x)]
    params = {"select": spec.kind, **params_of(spec)}
    return np.asarray(window.select_and_scatter_add_p.evaluate(arrays, params))


def draw(rng, shape, dtype, special=True):
    """Values with many ties, and some NaN and infinities if the dtype has them."""
    x = rng.integers(-5, 6, shape).astype(dtype)
    if special and dtypes.is_float(np.dtype(dtype)) and x.size and rng.random() < 0.5:
        flat = x.reshape(-1)
        flat[rng.integers(0, x.size, x.size // 10)] = np.nan
        flat[rng.integers(0, x.size, x.size // 5)] = -np.inf
        flat[rng.integers(0, x.size, x.size // 10)] = np.inf
    return x


def random_spec(rng, ndim, kind, dtype, dilated=True):
    shape = rng.choice([1, 2, 3, 5, 8, 16, 21, 37, 70], ndim)
    while np.prod(shape) > 20000:
        shape = np.maximum(1, shape // 2)
    some = rng.random(ndim) < 0.6
    windows = np.where(some, rng.choice([1, 2, 3, 5, 9], ndim), 1)
    strides = np.where(some, rng.choice([1, 2, 2, 3], ndim), 1)
    if rng.random() < 0.3:  # the common kind: windows beside each other
        strides = windows
    pads = np.where(some[:, None], rng.integers(-1, 3, (ndim, 2)), 0)
    many = dilated and rng.random() < 0.4
    base = np.where(some & many, rng.choice([1, 2, 3], ndim), 1)
    apart = np.where(some & many, rng.choice([1, 2, 3], ndim), 1)

    def ints(values):
        return tuple(int(v) for v in values)

    return WindowSpec(
        ints(shape),
        ints(windows),
        ints(strides),
        tuple(ints(p) for p in pads),
        ints(base),
        ints(apart),
        kind,
        dtypes.as_dtype(dtype),
    )


def assert_same(found, expected, spec):
    tolerance = TOLERANCE.get(str(spec.dtype), 0)
    if spec.kind != "sum" and str(spec.dtype) in ("float32", "float64"):
        tolerance = 1e-6  # sums of few small integers in the derivative
    np.testing.assert_allclose(
        found.astype(np.float64),
        expected.astype(np.float64),
        rtol=tolerance,
        atol=10 * tolerance,
        err_msg=str(spec),
    )


@pytest.mark.parametrize("kind", ["max", "min", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bfloat16", "float16"])
def test_random_reductions_equal_the_eager_primitive(kind, dtype):
    rng = np.random.default_rng((len(kind), ord(kind[1]), *dtype.encode()))
    for number in range(8):
        spec = random_spec(rng, int(rng.integers(1, 5)), kind, dtype)
        x = draw(rng, spec.shape, spec.dtype, special=kind != "sum" or number % 2)
        with np.errstate(all="ignore"):
            expected = eager_reduce(spec, x)
        assert expected.shape == spec.out_shape
        found = compiled(emit_reduce_window, spec, spec.out_shape, x)
        if expected.size:
            assert_same(found, expected, spec)


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_random_derivatives_equal_the_eager_primitive(kind, dtype):
    rng = np.random.default_rng((len(kind), ord(kind[1]), *dtype.encode(), 1))
    done = 0
    while done < 12:
        spec = random_spec(rng, int(rng.integers(1, 5)), kind, dtype, done % 2)
        if 0 in spec.out_shape:
            continue
        x = draw(rng, spec.shape, spec.dtype)
        source = rng.integers(1, 9, spec.out_shape).astype(dtype)
        expected = eager_scatter(spec, source, x)
        found = compiled(emit_select_and_scatter_add, spec, spec.shape, source, x)
        assert_same(found, expected, spec)
        done += 1


def pool(shape, window, stride, pad, kind="max", dtype="float32", last=False):
    """Pooling over two axes, which are the last two or those before the channels."""

    def four(a, b):
        return (b, a, a, b) if last else (b, b, a, a)

    return WindowSpec(
        shape,
        four(window, 1),
        four(stride, 1),
        four((pad, pad), (0, 0)),
        (1,) * 4,
        (1,) * 4,
        kind,
        np.dtype(dtype),
    )


POOLS = [
    pool((3, 5, 32, 32), 2, 2, 0),
    pool((2, 3, 28, 56), 3, 2, 1),
    pool((2, 3, 33, 31), 3, 2, 1),
    pool((2, 3, 9, 40), 3, 1, 1),
    pool((2, 3, 18, 18), 3, 3, 0),
    pool((2, 16, 14, 20), 2, 2, 0, last=True),
    pool((2, 15, 15, 33), 3, 2, 1, last=True),
    pool((1, 1, 7, 7), 7, 7, 0),
]


@pytest.mark.parametrize("number", range(len(POOLS)))
def test_poolings_of_networks(number):
    spec = POOLS[number]
    rng = np.random.default_rng(number)
    x = rng.integers(-9, 9, spec.shape).astype("f")
    np.testing.assert_array_equal(
        compiled(emit_reduce_window, spec, spec.out_shape, x), eager_reduce(spec, x)
    )
    source = rng.integers(1, 9, spec.out_shape).astype("f")
    np.testing.assert_array_equal(
        compiled(emit_select_and_scatter_add, spec, spec.shape, source, x),
        eager_scatter(spec, source, x),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_derivative_of_16_bit_floats(dtype):
    spec = pool((2, 3, 8, 32), 2, 2, 0)
    spec = WindowSpec(**{**vars_of(spec), "dtype": dtypes.as_dtype(dtype)})
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, spec.shape).astype(spec.dtype)
    source = rng.integers(1, 9, spec.out_shape).astype(spec.dtype)
    np.testing.assert_array_equal(
        compiled(emit_select_and_scatter_add, spec, spec.shape, source, x),
        eager_scatter(spec, source, x),
    )
    overlapping = WindowSpec(**{**vars_of(spec), "window_dimensions": (1, 1, 3, 3)})
    with pytest.raises(NotImplementedError, match="float32"):
        emit_select_and_scatter_add(ir.Module("test"), "pooling", overlapping)


def vars_of(spec):
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def test_empty_operands_and_results():
    for shape in ((0, 3, 8, 8), (2, 3, 0, 8)):
        spec = pool(shape, 2, 2, 0)
        x = np.zeros(shape, "f")
        found = compiled(emit_reduce_window, spec, spec.out_shape, x)
        assert found.shape == eager_reduce(spec, x).shape
    spec = pool((1, 2, 0, 4), 2, 2, 2, "sum")  # windows that hold padding alone
    x = np.zeros((1, 2, 0, 4), "f")
    np.testing.assert_array_equal(
        compiled(emit_reduce_window, spec, spec.out_shape, x), eager_reduce(spec, x)
    )


def test_bits_do_not_depend_on_the_number_of_threads():
    before = threads.get_num_threads()
    rng = np.random.default_rng(0)
    spec = pool((8, 16, 40, 40), 3, 2, 1)
    total = pool((8, 16, 40, 40), 3, 1, 1, "sum")
    x = rng.standard_normal(spec.shape).astype("f")
    source = rng.standard_normal(spec.out_shape).astype("f")
    try:
        results = []
        for count in (1, 2, 5):
            threads.set_num_threads(count)
            results.append(
                (
                    compiled(emit_select_and_scatter_add, spec, spec.shape, source, x).tobytes(),
                    compiled(emit_reduce_window, total, total.out_shape, x).tobytes(),
                )
            )
    finally:
        threads.set_num_threads(before)
    assert results[0] == results[1] == results[2]
