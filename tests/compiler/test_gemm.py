"""Native matrix products against NumPy's: sizes, strides, transposes, batches, accumulation, epilogues."""

from __future__ import annotations

import dataclasses
from ctypes import c_void_p

import numpy as np
import pytest
from llvmlite import ir

from rtfunc.compiler.cpu import engine, threads
from rtfunc.compiler.cpu.gemm import GemmSpec, choose_gemm, contiguous_gemm, emit_gemm
from rtfunc.core import dtypes

FLOAT32 = np.dtype("float32")

# A sum of k products of normal numbers is some sqrt(k) large; its rounding error in another order is
# some sqrt(k) ulp of that. Inputs of 16 bits are exact in float32, the result is rounded once.
TOLERANCE = {"float32": 1e-5, "float64": 1e-14, "float16": 2e-3, "bfloat16": 1.6e-2}


def extent(sizes, strides):
    return 1 + sum((n - 1) * s for n, s in zip(sizes, strides)) if 0 not in sizes else 0


def compiled(spec, epilogue=None):
    module = ir.Module("test")
    emitted = emit_gemm(module, "gemm", spec, epilogue=epilogue)
    emitted.function.linkage = ""
    function = engine.compile_module(module).function("gemm", None, *[c_void_p] * 4)
    memory = np.full(emitted.scratch_bytes + 64, 0xFF, np.uint8)
    scratch = memory.ctypes.data + -memory.ctypes.data % 64

    def run(out, lhs, rhs):
        function(out.ctypes.data, lhs.ctypes.data, rhs.ctypes.data, scratch)

    run.memory = memory
    return run


class Case:
    """Operands of a spec, at offsets into memory whose other elements are marked."""

    def __init__(self, spec, seed=0):
        self.spec = spec
        rng = np.random.default_rng(seed)
        b = spec.batch
        self.lhs, self.lhs_view = self.array(
            rng, (*b, spec.m, spec.k), (*spec.lhs_batch, *spec.lhs)
        )
        self.rhs, self.rhs_view = self.array(
            rng, (*b, spec.k, spec.n), (*spec.rhs_batch, *spec.rhs)
        )
        self.out, self.out_view = self.array(
            rng, (*b, spec.m, spec.n), (*spec.out_batch, *spec.out)
        )

    def array(self, rng, sizes, strides):
        size = extent(sizes, strides)
        memory = rng.standard_normal(size + 64).astype(self.spec.dtype)
        view = np.lib.stride_tricks.as_strided(
            memory[32:], sizes, [s * memory.itemsize for s in strides]
        )
        return memory, view

    def expected(self):
        wide = np.float64
        found = self.lhs_view.astype(wide) @ self.rhs_view.astype(wide)
        return found + self.out_view.astype(wide) if self.spec.accumulate else found

    def check(self, function=lambda x: x, epilogue=None):
        expected = function(self.expected())
        touched = np.zeros(self.out.shape, bool)
        np.lib.stride_tricks.as_strided(
            touched[32:],
            self.out_view.shape,
            [s // self.out.itemsize for s in self.out_view.strides],
        )[...] = True
        before = self.out.copy()
        compiled(self.spec, epilogue)(self.out[32:], self.lhs[32:], self.rhs[32:])
        tolerance = TOLERANCE[str(self.spec.dtype)] * max(1, np.sqrt(self.spec.k))
        np.testing.assert_allclose(
            self.out_view.astype(np.float64), expected, rtol=tolerance, atol=tolerance,
            err_msg=str(self.spec),
        )  # fmt: skip
        assert before[~touched].tobytes() == self.out[~touched].tobytes(), "wrote elsewhere"


def random_spec(rng, dtype, largest=90):
    sizes = [1, 2, 3, 5, 8, 10, 16, 17, 31, 32, 33, 50, 64, largest]
    m, n, k = (int(v) for v in rng.choice(sizes, 3))
    batch = tuple(int(v) for v in rng.choice([1, 2, 3], int(rng.integers(0, 3))))

    def pair(rows, columns, spread):
        """Strides of a matrix: rows or columns contiguous, with room between or not."""
        gap = int(rng.integers(0, 3))
        inner = int(spread and rng.random() < 0.3) + 1
        if rng.random() < 0.5:
            return (columns * inner + gap, inner), (columns * inner + gap) * rows
        return (inner, rows * inner + gap), (rows * inner + gap) * columns

    def strides(size, shared):
        found = []
        for n in reversed(batch):
            found.insert(0, size)
            size *= n
        return tuple(0 if shared and rng.random() < 0.3 else s for s in found)

    lhs, lhs_size = pair(m, k, True)
    rhs, rhs_size = pair(k, n, True)
    out, out_size = pair(m, n, True)
    return GemmSpec(
        m, n, k, dtypes.as_dtype(dtype), lhs, rhs, out, batch,
        strides(lhs_size, True), strides(rhs_size, True), strides(out_size, False),
        bool(rng.random() < 0.3),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_products(dtype, seed):
    rng = np.random.default_rng((seed, len(dtype), ord(dtype[5])))
    for number in range(12):
        Case(random_spec(rng, dtype), number).check()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_products_of_16_bit_floats_sum_in_float32(dtype):
    rng = np.random.default_rng(3)
    for number in range(6):
        spec = dataclasses.replace(random_spec(rng, dtype, 40), accumulate=False)
        Case(spec, number).check()


@pytest.mark.parametrize(
    ("m", "n", "k", "options"),
    [
        (300, 150, 200, {}),
        (130, 300, 520, {"lhs_transposed": True}),  # a packed left operand
        (64, 512, 128, {"rhs_transposed": True}),
        (70, 520, 100, {}),  # a packed right operand, and part of a tile at both ends
        (100, 200, 1, {}),
        (100, 200, 8, {"batch": 3}),
        (28, 600, 70, {"lhs_transposed": True, "batch": 2}),
    ],
)
def test_products_of_several_blocks(m, n, k, options):
    Case(contiguous_gemm(m, n, k, FLOAT32, **options)).check()


@pytest.mark.parametrize("offset", [0, 4])
def test_large_thin_products_are_stored_past_the_caches_where_the_output_is_aligned(offset):
    spec = contiguous_gemm(260, 528, 1, FLOAT32, batch=32)
    rng = np.random.default_rng(0)
    lhs, rhs = (rng.standard_normal((32, 1, n)).astype("f") for n in (260, 528))
    memory = np.zeros(32 * 260 * 528 + 64, "f")
    start = -memory.ctypes.data % 64 // 4 + offset
    out = memory[start : start + 32 * 260 * 528]
    compiled(spec)(out, lhs, rhs)
    expected = lhs.transpose(0, 2, 1) * rhs
    np.testing.assert_array_equal(out.reshape(expected.shape), expected)
    assert not memory[:start].any()
    assert not memory[start + out.size :].any()


def test_empty_and_zero_sizes():
    for m, n, k, batch in ((0, 3, 4, 0), (3, 0, 4, 0), (3, 4, 0, 0), (3, 4, 5, 0)):
        Case(contiguous_gemm(m, n, k, FLOAT32, batch=batch)).check()
    spec = dataclasses.replace(contiguous_gemm(3, 4, 5, FLOAT32, batch=1), batch=(0,))
    Case(spec).check()
    Case(dataclasses.replace(contiguous_gemm(3, 4, 0, FLOAT32), accumulate=True)).check()


@pytest.mark.parametrize(
    "spec",
    [
        contiguous_gemm(50, 70, 30, FLOAT32),
        contiguous_gemm(70, 5, 30, FLOAT32),  # lanes along m
        contiguous_gemm(20, 40, 30, FLOAT32, batch=2),
        dataclasses.replace(contiguous_gemm(40, 70, 30, FLOAT32), out=(1, 40)),
        dataclasses.replace(contiguous_gemm(40, 70, 30, FLOAT32), accumulate=True),
        dataclasses.replace(contiguous_gemm(10, 20, 30, FLOAT32), out=(80, 3)),
    ],
)
def test_the_epilogue_adds_a_bias_by_column(spec):
    bias = np.arange(spec.n, dtype="f")

    def epilogue(b, values, position):
        (value,) = values
        i32, i64 = ir.IntType(32), ir.IntType(64)
        for lane in range(position.lanes):
            step = ir.Constant(i64, lane * position.feature_step)
            feature = b.sitofp(b.add(position.feature, step), ir.FloatType())
            if position.lanes == 1:
                return [b.fadd(value, feature)]
            part = b.fadd(b.extract_element(value, ir.Constant(i32, lane)), feature)
            value = b.insert_element(value, part, ir.Constant(i32, lane))
        return [value]

    Case(spec).check(lambda x: x + bias, epilogue)


def test_bits_do_not_depend_on_the_number_of_threads():
    before = threads.get_num_threads()
    specs = [
        contiguous_gemm(200, 300, 150, FLOAT32),
        contiguous_gemm(60, 40, 50, FLOAT32, batch=20, rhs_transposed=True),
        contiguous_gemm(260, 270, 300, FLOAT32, lhs_transposed=True),
    ]
    try:
        for spec in specs:
            case, results = Case(spec), []
            run = compiled(spec)
            for count in (1, 2, 5):
                threads.set_num_threads(count)
                run(case.out[32:], case.lhs[32:], case.rhs[32:])
                results.append(case.out.tobytes())
            assert results[0] == results[1] == results[2]
    finally:
        threads.set_num_threads(before)


def test_the_choice_leaves_large_products_to_openblas_and_takes_what_it_cannot_do():
    assert choose_gemm(contiguous_gemm(32, 32, 32, FLOAT32)) == "own"
    assert choose_gemm(contiguous_gemm(4096, 4096, 4096, FLOAT32)) == "blas"
    assert choose_gemm(contiguous_gemm(4096, 4096, 4096, np.dtype("float16"))) == "own"
    strided = dataclasses.replace(contiguous_gemm(4096, 4096, 4096, FLOAT32), lhs=(9000, 2))
    assert choose_gemm(strided) == "own"
