"""Native matrix products against NumPy's: sizes, strides, transposes, batches, accumulation, epilogues."""

from __future__ import annotations

from ctypes import c_void_p

import numpy as np
import pytest
from llvmlite import ir

from rtfunc.compiler.cpu import engine, threads
from rtfunc.compiler.cpu.product_library import emit_product
from rtfunc.compiler.cpu.product_plan import ProductSpec, contiguous_product, plan_product
from rtfunc.core import dtypes

FLOAT32 = np.dtype("float32")

# A sum of k products of normal numbers is some sqrt(k) large; its rounding error in another order is
# some sqrt(k) ulp of that. Inputs of 16 bits are exact in float32, the result is rounded once.
TOLERANCE = {"float32": 1e-5, "float64": 1e-14, "float16": 2e-3, "bfloat16": 1.6e-2}


def extent(sizes, strides):
    return 1 + sum((n - 1) * s for n, s in zip(sizes, strides)) if 0 not in sizes else 0


def compiled(spec):
    module = ir.Module("test")
    plan = plan_product(spec)
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType()] * 4)
    function = ir.Function(module, kind, "product")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit_product(module, builder, plan, *function.args)
    builder.ret_void()
    entry = engine.compile_module(module).function("product", None, *[c_void_p] * 4)
    memory = np.full(plan.scratch_bytes + 64, 0xFF, np.uint8)
    scratch = memory.ctypes.data + -memory.ctypes.data % 64

    def run(out, lhs, rhs):
        entry(out.ctypes.data, lhs.ctypes.data, rhs.ctypes.data, scratch)

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
            rng, (*b, spec.m, spec.n), (*spec.out_batch, spec.out, 1), spec.out_dtype
        )

    def array(self, rng, sizes, strides, dtype=None):
        size = extent(sizes, strides)
        memory = rng.standard_normal(size + 64).astype(dtype or self.spec.dtype)
        view = np.lib.stride_tricks.as_strided(
            memory[32:], sizes, [s * memory.itemsize for s in strides]
        )
        return memory, view

    def expected(self):
        wide = np.float64
        found = self.lhs_view.astype(wide) @ self.rhs_view.astype(wide)
        return found + self.out_view.astype(wide) if self.spec.accumulate else found

    def check(self):
        expected = self.expected()
        touched = np.zeros(self.out.shape, bool)
        np.lib.stride_tricks.as_strided(
            touched[32:],
            self.out_view.shape,
            [s // self.out.itemsize for s in self.out_view.strides],
        )[...] = True
        before = self.out.copy()
        compiled(self.spec)(self.out[32:], self.lhs[32:], self.rhs[32:])
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
    out = n + int(rng.integers(0, 3))
    out_size = out * m
    return ProductSpec(
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
        spec = random_spec(rng, dtype, 40)._replace(accumulate=False)
        Case(spec, number).check()
        Case(spec._replace(out_dtype=FLOAT32), number).check()


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
        (20, 30, 2500, {}),  # sums in several parts
        (20, 30, 2500, {"rhs_transposed": True, "lhs_transposed": True}),
        (1, 1000, 1030, {}),
        (1000, 1, 40, {}),
    ],
)
def test_products_of_several_blocks(m, n, k, options):
    Case(contiguous_product(m, n, k, FLOAT32, **options)).check()


def test_empty_and_zero_sizes():
    for m, n, k, batch in ((0, 3, 4, 0), (3, 0, 4, 0), (3, 4, 0, 0), (3, 4, 5, 0)):
        Case(contiguous_product(m, n, k, FLOAT32, batch=batch)).check()
    spec = contiguous_product(3, 4, 5, FLOAT32, batch=1)._replace(batch=(0,))
    Case(spec).check()
    Case(contiguous_product(3, 4, 0, FLOAT32)._replace(accumulate=True)).check()


def test_bits_do_not_depend_on_the_number_of_threads():
    before = threads.get_num_threads()
    specs = [
        contiguous_product(200, 300, 150, FLOAT32),
        contiguous_product(60, 40, 50, FLOAT32, batch=20, rhs_transposed=True),
        contiguous_product(260, 270, 300, FLOAT32, lhs_transposed=True),
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
