"""Native convolutions against the eager primitive, over layouts, strides, dilations, pads and groups."""

from __future__ import annotations

import itertools
from ctypes import c_void_p

import numpy as np
import pytest
from llvmlite import ir

from rtfunc.compiler.cpu import convolution_plan, engine, threads
from rtfunc.compiler.cpu.convolution import emit_convolution
from rtfunc.compiler.cpu.convolution_geometry import ConvolutionSpec
from rtfunc.compiler.cpu.scalars import call_intrinsic
from rtfunc.core import dtypes
from rtfunc.core.aval import Aval
from rtfunc.core.graph_transforms import stage
from rtfunc.core.reverse import vjp_flat
from rtfunc.ops.conv import ConvDimensionNumbers, conv_general_dilated, conv_general_dilated_p
from rtfunc.ops.convert import as_array

# Sums of n products with rounding u: a blocked sum differs from the exact one by some u * sqrt(n) times
# the size of the terms, from another order by twice that. The largest n here is some 10^4.
TOLERANCE = {"float32": 2e-5, "float64": 4e-14, "float16": 2e-3, "bfloat16": 1.6e-2}


def aligned(count: int) -> np.ndarray:
    memory = np.empty(count + 64, np.uint8)
    memory[: 1 << 20] = 0xFF  # NaN: scratch memory holds anything
    start = -memory.ctypes.data % 64
    return memory[start : start + count]


def compiled(spec, epilogue=None):
    module = ir.Module("test")
    emitted = emit_convolution(module, "convolution", spec, epilogue=epilogue, workers=8)
    emitted.function.linkage = ""
    code = engine.compile_module(module)
    function = code.function("convolution", None, *[c_void_p] * 4)
    scratch = aligned(emitted.scratch_bytes)

    def run(lhs, rhs):
        # What is around the output must stay.
        size = int(np.prod(spec.out_shape))
        memory = np.full(size + 64, 77, spec.out_dtype or spec.dtype)
        function(memory[32:].ctypes.data, lhs.ctypes.data, rhs.ctypes.data, scratch.ctypes.data)
        assert (memory[:32] == 77).all()
        assert (memory[size + 32 :] == 77).all()
        return memory[32 : size + 32].reshape(spec.out_shape)

    return run


def eager(spec, lhs, rhs):
    for axis, flip in zip(spec.rhs_spec[2:], spec.flip):
        rhs = np.flip(rhs, axis) if flip else rhs
    out = conv_general_dilated_p.evaluate(
        [as_array("test", np.ascontiguousarray(x)) for x in (lhs, rhs)],
        {
            "window_strides": spec.window_strides,
            "padding": spec.padding,
            "lhs_dilation": spec.lhs_dilation,
            "rhs_dilation": spec.rhs_dilation,
            "dimension_numbers": ConvDimensionNumbers(spec.lhs_spec, spec.rhs_spec, spec.out_spec),
            "feature_group_count": spec.feature_group_count,
            "batch_group_count": spec.batch_group_count,
            "preferred_element_type": spec.out_dtype,
        },
    )
    return np.asarray(out)


def operands(spec, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal(shape).astype(spec.dtype) for shape in (spec.lhs_shape, spec.rhs_shape)
    ]


def check(spec):
    lhs, rhs = operands(spec)
    expected = eager(spec, lhs, rhs)
    assert expected.shape == spec.out_shape
    found = compiled(spec)(lhs, rhs)
    if expected.size == 0:
        return
    tolerance = TOLERANCE[str(spec.out_dtype or spec.dtype)]
    scale = np.sqrt(max(spec.multiply_adds / expected.size, 1))
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    assert np.max(difference) <= tolerance * scale, spec


def random_spec(rng, spatial, dtype="float32", layout=None, largest=18):
    """A spec with everything drawn: often valid, otherwise None."""
    many = rng.random() < 0.5
    groups = int(rng.choice([1, 1, 1, 2, 3, 5, 20, 150]))
    many = many and groups < 20
    in_features = int(rng.integers(1, 20 if many else 4)) if rng.random() < 0.8 else 1
    features = int(rng.choice([1, 2, 3, 7, 8, 16, 17, 33, 64])) if many else int(rng.integers(1, 5))
    batch = int(rng.integers(1, 5))
    batch_groups = feature_groups = 1
    if groups > 1 and rng.random() < 0.5:
        batch_groups = groups
    elif groups > 1:
        feature_groups = groups
    sizes = rng.integers(1, largest, spatial)
    windows = rng.choice([1, 1, 2, 3, 4, 5], spatial)
    if rng.random() < 0.2:  # as in a gradient by the kernel
        windows = np.maximum(1, sizes - rng.integers(0, 3, spatial))
    pads = [tuple(int(v) for v in rng.integers(-2, 4, 2)) for _ in range(spatial)]
    simple = rng.random() < 0.4
    draw = (
        (lambda: (1,) * spatial)
        if simple
        else lambda: tuple(int(v) for v in rng.choice([1, 1, 2, 3], spatial))
    )
    strides, base, apart = draw(), draw(), draw()

    def spec_of(fixed):
        if fixed is not None:
            return fixed
        return tuple(int(v) for v in rng.permutation(spatial + 2))

    first = tuple(range(spatial + 2))
    last = (0, spatial + 1, *range(1, spatial + 1))
    kernel_last = (spatial + 1, spatial, *range(spatial))
    specs = {
        "first": (first, first, first),
        "last": (last, kernel_last, last),
        None: (None, None, None),
    }[layout]
    lhs_spec, rhs_spec, out_spec = (spec_of(s) for s in specs)
    lhs_sizes = (batch * batch_groups, in_features * feature_groups, *sizes)
    rhs_sizes = (features * groups, in_features, *windows)
    for size, window, (low, high), b, d in zip(sizes, windows, pads, base, apart):
        if (size - 1) * b + 1 + low + high < (window - 1) * d + 1:
            return None
    return ConvolutionSpec(
        _placed(lhs_sizes, lhs_spec),
        _placed(rhs_sizes, rhs_spec),
        strides,
        tuple(pads),
        base,
        apart,
        lhs_spec,
        rhs_spec,
        out_spec,
        np.dtype(dtype),
        feature_groups,
        batch_groups,
        flip=tuple(bool(v) for v in rng.integers(0, 2, spatial)) if rng.random() < 0.3 else (),
    )


def _placed(sizes, spec):
    shape = [0] * len(sizes)
    for size, axis in zip(sizes, spec):
        shape[axis] = int(size)
    return tuple(shape)


@pytest.mark.parametrize(
    ("spatial", "layout", "seed"),
    list(itertools.product((0, 1, 2, 3), ("first", "last", None), range(2))),
)
def test_random_convolutions_equal_the_eager_primitive(spatial, layout, seed):
    rng = np.random.default_rng((spatial, len(layout or ""), seed))
    done = 0
    while done < 9:
        dtype = "float32" if rng.random() < 0.7 else "float64"
        largest = {0: 2, 1: 80, 2: 18, 3: 8}[spatial]
        spec = random_spec(rng, spatial, dtype, layout, largest)
        if spec is None or spec.multiply_adds > 3e6:
            continue
        check(spec)
        done += 1


@pytest.mark.parametrize("seed", range(6))
def test_every_schedule_on_small_convolutions(monkeypatch, seed):
    # With small limits, slabs, blocks of taps and of pixels and their last parts all occur.
    rng = np.random.default_rng((9, seed))
    done = 0
    while done < 8:
        spatial = int(rng.integers(1, 4))
        spec = random_spec(rng, spatial, "float64", None, (0, 60, 16, 7)[spatial])
        if spec is None or spec.multiply_adds > 1e6:
            continue
        for name, values in (
            ("_MOST_TAPS", (20, 200)),
            ("_SLAB_BYTES", (2000, 20000)),
            ("_TAP_BLOCK", (8, 40)),
            ("_FEWEST_PIXELS", (3, 20)),
        ):
            monkeypatch.setattr(convolution_plan, name, int(rng.choice(values)))
        check(spec)
        done += 1


def test_dilated_inputs_of_which_some_outputs_meet_nothing():
    order, channels = (0, 1, 2), (0, 2, 1)
    for lhs, rhs, numbers, strides, pads, base, apart in (
        # No position at all, one in three, blocks that end before the longest phase does.
        ((2, 64, 5), (1, 5, 17), (channels, (2, 1, 0), channels), 3, (2, -1), 3, 1),
        ((3, 4, 8), (6, 4, 1), (order, order, order), 1, (1, -1), 3, 1),
        ((1, 3, 21), (2, 3, 4), (order, order, order), 1, (2, 1), 4, 2),
    ):
        check(
            ConvolutionSpec(
                lhs, rhs, (strides,), (pads,), (base,), (apart,), *numbers, np.dtype("float64")
            )
        )


def test_other_dtypes_are_refused():
    spec = simple_spec(1, 4, 2, 2, 3, dtype=np.dtype("int32"))
    with pytest.raises(ValueError, match="int32"):
        emit_convolution(ir.Module("test"), "convolution", spec)


def layouts(name):
    return {
        "NCHW": ((0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3)),
        "NHWC": ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)),
    }[name]


def simple_spec(
    batch, size, features, out_features, window, stride=1, pad=0, layout="NCHW", **more
):
    lhs, rhs, out = layouts(layout)
    groups = more.get("feature_group_count", 1)
    return ConvolutionSpec(
        _placed((batch, features, size, size), lhs),
        _placed((out_features, features // groups, window, window), rhs),
        (stride, stride),
        ((pad, pad), (pad, pad)),
        (1, 1),
        (1, 1),
        lhs,
        rhs,
        out,
        **{"dtype": np.dtype("float32"), **more},
    )


def equations_of_gradient(spec):
    """The specs of both gradients of a convolution, as the derivative rules make them."""
    numbers = ConvDimensionNumbers(spec.lhs_spec, spec.rhs_spec, spec.out_spec)

    def convolution(x, w):
        return conv_general_dilated(
            x,
            w,
            spec.window_strides,
            spec.padding,
            spec.lhs_dilation,
            spec.rhs_dilation,
            numbers,
            spec.feature_group_count,
            spec.batch_group_count,
        )

    def gradients(x, w, ct):
        _, pullback = vjp_flat(lambda x, w: [convolution(x, w)], [x, w], [True, True])
        return pullback([ct])

    avals = [Aval(shape, spec.dtype) for shape in (spec.lhs_shape, spec.rhs_shape, spec.out_shape)]
    graph = stage(gradients, avals)
    for equation in graph.equations:
        if equation.primitive.name == "conv_general_dilated":
            lhs, rhs = (v.aval.shape for v in equation.inputs)
            params = dict(equation.params)
            numbers = params["dimension_numbers"]
            names = (
                "window_strides",
                "padding",
                "lhs_dilation",
                "rhs_dilation",
                "feature_group_count",
                "batch_group_count",
            )
            yield ConvolutionSpec(
                lhs,
                rhs,
                lhs_spec=numbers.lhs_spec,
                rhs_spec=numbers.rhs_spec,
                out_spec=numbers.out_spec,
                dtype=spec.dtype,
                **{name: params[name] for name in names},
            )


NETWORKS = [
    simple_spec(8, 16, 3, 32, 3, 1, 1),
    simple_spec(8, 12, 32, 64, 3, 1, 1),
    simple_spec(4, 21, 3, 64, 7, 2, 3),
    simple_spec(3, 14, 24, 40, 3, 2, 1),
    simple_spec(4, 7, 64, 96, 1),
    simple_spec(4, 14, 64, 32, 1, 2),
    simple_spec(2, 14, 32, 32, 3, 1, 1, feature_group_count=32),
    simple_spec(2, 15, 32, 32, 3, 2, 1, feature_group_count=32),
    simple_spec(2, 9, 8, 24, 3, 1, 1, feature_group_count=4),
    simple_spec(3, 40, 2, 3, 5, 1, 2),
    simple_spec(2, 70, 1, 1, 3, 1, 1),
]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_layers_of_networks_and_both_their_gradients(number, layout):
    spec = NETWORKS[number]
    lhs, rhs, out = layouts(layout)
    spec = ConvolutionSpec(
        _placed(spec.lhs_shape, lhs),
        _placed(spec.rhs_shape, rhs),
        spec.window_strides,
        spec.padding,
        spec.lhs_dilation,
        spec.rhs_dilation,
        lhs,
        rhs,
        out,
        spec.dtype,
        spec.feature_group_count,
    )
    check(spec)
    gradients = list(equations_of_gradient(spec))
    assert len(gradients) >= 2
    for gradient in gradients:
        check(gradient)


def test_sums_over_blocks_of_taps():
    # Long sums into a small output: the schedule with partial sums, with one phase and with several.
    lhs, rhs, out = (1, 0, 2), (1, 0, 2), (1, 0, 2)
    for dilation, apart in ((1, 1), (2, 1), (1, 2), (3, 2)):
        extent = 599 * dilation + 1
        taps = (extent - 5) // apart
        spec = ConvolutionSpec(
            (20, 3, 600),
            (20, 17, taps),
            (1,),
            ((1, 2),),
            (dilation,),
            (apart,),
            lhs,
            rhs,
            out,
            np.dtype("float32"),
        )
        check(spec)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_half_precision_sums_in_float32(dtype, layout):
    for spec in (
        simple_spec(2, 9, 8, 20, 3, 1, 1, layout, dtype=dtypes.as_dtype(dtype)),
        simple_spec(2, 20, 3, 3, 3, 1, 1, layout, dtype=dtypes.as_dtype(dtype)),
    ):
        check(spec)


def test_empty_and_zero_sized_axes():
    base = simple_spec(2, 5, 3, 4, 3, 1, 1)
    for lhs, rhs in (
        ((0, 3, 5, 5), base.rhs_shape),
        ((2, 0, 5, 5), (4, 0, 3, 3)),
        (base.lhs_shape, (0, 3, 3, 3)),
        ((2, 3, 0, 5), (4, 3, 1, 1)),
    ):
        spec = ConvolutionSpec(
            lhs,
            rhs,
            base.window_strides,
            base.padding,
            base.lhs_dilation,
            base.rhs_dilation,
            base.lhs_spec,
            base.rhs_spec,
            base.out_spec,
            base.dtype,
        )
        x, w = operands(spec)
        np.testing.assert_array_equal(compiled(spec)(x, w), eager(spec, x, w))


@pytest.mark.parametrize(
    "spec",
    [
        simple_spec(8, 16, 16, 32, 3, 1, 1),
        simple_spec(8, 16, 16, 32, 3, 1, 1, "NHWC"),
        simple_spec(2, 30, 3, 3, 3, 1, 1),
        next(iter(list(equations_of_gradient(simple_spec(32, 24, 3, 16, 3, 1, 1)))[1:])),
    ],
)
def test_bits_do_not_depend_on_the_number_of_threads(spec):
    before = threads.get_num_threads()
    lhs, rhs = operands(spec)
    run = compiled(spec)
    try:
        results = []
        for count in (1, 2, 5):
            threads.set_num_threads(count)
            results.append(run(lhs, rhs).copy())
    finally:
        threads.set_num_threads(before)
    for result in results[1:]:
        assert result.tobytes() == results[0].tobytes()


@pytest.mark.parametrize(
    "spec",
    [
        simple_spec(2, 9, 5, 21, 3, 1, 1),
        simple_spec(2, 9, 5, 21, 3, 1, 1, "NHWC"),
        simple_spec(2, 20, 5, 3, 3, 2, 1),
        simple_spec(2, 20, 6, 6, 3, 1, 1, "NHWC", feature_group_count=6),
    ],
)
def test_the_epilogue_sees_each_result_with_its_feature_and_place(spec):
    out_shape = spec.out_shape
    feature_axis = spec.out_spec[1]

    def epilogue(b, values, position):
        # out = max(sum, 0) + feature + place / 2^20
        (value,) = values
        lanes = position.lanes
        count = value.type.count if isinstance(value.type, ir.VectorType) else 1
        assert count == lanes
        results = value
        for lane in range(lanes):
            x = value if lanes == 1 else b.extract_element(value, ir.Constant(ir.IntType(32), lane))
            x = call_intrinsic(b, "llvm.maxnum.f32", x.type, [x, ir.Constant(x.type, 0.0)])
            feature = b.add(
                position.feature, ir.Constant(ir.IntType(64), lane * position.feature_step)
            )
            place = b.add(position.offset, ir.Constant(ir.IntType(64), lane * position.stride))
            x = b.fadd(x, b.sitofp(feature, x.type))
            x = b.fadd(x, b.fmul(b.sitofp(place, x.type), ir.Constant(x.type, 2.0**-20)))
            if lanes == 1:
                results = x
            else:
                results = b.insert_element(results, x, ir.Constant(ir.IntType(32), lane))
        return [results]

    lhs, rhs = operands(spec)
    found = compiled(spec, epilogue)(lhs, rhs)
    expected = np.maximum(eager(spec, lhs, rhs), 0)
    expected += np.expand_dims(
        np.arange(out_shape[feature_axis]), [a for a in range(4) if a != feature_axis]
    )
    expected += np.arange(expected.size).reshape(out_shape) * 2.0**-20
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
