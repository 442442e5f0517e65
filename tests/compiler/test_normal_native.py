"""normal_from_uniform as machine code: the bits of the eager kernel."""

from __future__ import annotations

from ctypes import c_int64, c_void_p

import numpy as np
import pytest
from llvmlite import ir

from rtfunc.compiler.cpu import engine
from rtfunc.compiler.cpu.emission import Code, i64, pointer
from rtfunc.compiler.cpu.scalars import Operation, emitters, memory_type
from rtfunc.core.array import Array
from rtfunc.ops.special import normal_from_uniform_p

LANES = 8


def compiled(dtype):
    """A function that applies the emitter to whole vectors of an array."""
    module = ir.Module("test")
    kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, i64])
    function = ir.Function(module, kind, "apply")
    out, x, count = function.args
    code = Code(ir.IRBuilder(function.append_basic_block("entry")))
    element = memory_type(dtype)
    with code.loop(count, 0, LANES) as at:
        value = code.load(code.at(x, at, element), dtype, LANES)
        value = emitters["normal_from_uniform"](Operation(code.b, (value,), dtype, dtype, {}))
        code.store(value, code.at(out, at, element), dtype)
    code.b.ret_void()
    machine = engine.compile_module(module)
    apply = machine.function("apply", None, c_void_p, c_void_p, c_int64)

    def run(array):
        result = np.empty_like(array)
        apply(result.ctypes.data, array.ctypes.data, array.size)
        return result

    return run


def eager(array):
    return np.asarray(normal_from_uniform_p.bind(Array(array)))


def test_float32_draws_have_the_bits_of_the_eager_kernel():
    # Every 8th of the 2**23 numbers that a draw can be, all near the ends, and the ends.
    ones = np.arange(2**23, dtype="uint32") | 0x3F800000
    chosen = np.r_[ones[::8], ones[:4096], ones[-4096:]]
    x = (chosen.view("float32") - np.float32(1)) * np.float32(2) - np.float32(1)
    x[: 2 * LANES : LANES] = 1, -1
    x[LANES + 1 : LANES + 4] = 0, -0.0, np.nan
    np.testing.assert_array_equal(compiled(x.dtype)(x).view("int32"), eager(x).view("int32"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_equal_too(dtype):
    x = np.linspace(-1, 1, 4096).astype(dtype)
    np.testing.assert_array_equal(compiled(x.dtype)(x).view("int16"), eager(x).view("int16"))


def test_float64_differs_by_the_rounding_of_the_logarithm():
    x = np.r_[np.linspace(-1, 1, 40_000), 1 - 2.0 ** -np.arange(1.0, 53), -0.0, 0.0, 1e-300, np.nan]
    # log is within 1 ulp in NumPy and here, and the polynomials amplify that by less than 2.
    np.testing.assert_allclose(compiled(x.dtype)(x), eager(x), rtol=8e-16)
