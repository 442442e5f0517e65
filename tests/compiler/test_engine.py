"""LLVM set-up: modules compile, link, serialize, fail with a message and leave no memory behind."""

import gc
import importlib.util
import sys
from ctypes import c_double, c_float, c_int64, c_void_p
from pathlib import Path

import numpy as np
import pytest

from rtfunc.compiler.cache import DiskCache
from rtfunc.compiler.cpu import engine, machine_code, symbols, target


def load_sample_kernels():
    file = Path(__file__).parents[2] / "benchmarks" / "runtime_kernels.py"
    spec = importlib.util.spec_from_file_location("runtime_kernels", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runtime_kernels = load_sample_kernels()

ADD = """
define i64 @add(i64 %a, i64 %b) nounwind {
  %c = add i64 %a, %b
  ret i64 %c
}
"""
COSINE = """
declare double @cos(double)
@table = internal constant [2 x double] [double 10.0, double 20.0]
define double @shifted_cosine(double %x, i64 %i) {
  %p = getelementptr double, ptr @table, i64 %i
  %t = load double, ptr %p
  %c = call double @cos(double %x)
  %s = fadd double %c, %t
  ret double %s
}
"""


@pytest.mark.parametrize("optimize", [*engine.PIPELINES, (), ("sroa", "new_gvn")])
def test_every_pipeline_gives_working_code(optimize):
    module = engine.compile_module(ADD, optimize=optimize)
    assert module.functions == ("add",)
    assert module.function("add", c_int64, c_int64, c_int64)(40, 2) == 42


def test_code_may_call_the_process_and_read_its_constants():
    module = engine.compile_module(COSINE)
    function = module.function("shifted_cosine", c_double, c_double, c_int64)
    assert function(0.5, 1) == np.cos(0.5) + 20.0


def test_defined_symbols_are_found():
    square = engine.compile_module(
        "define i64 @f(i64 %x) {\n %y = mul i64 %x, %x\n ret i64 %y\n}", optimize="none"
    )
    symbols.define_symbol("rtfunc_test_square", square.address("f"))
    caller = engine.compile_module("""
declare i64 @rtfunc_test_square(i64)
define i64 @g(i64 %x) {
  %y = call i64 @rtfunc_test_square(i64 %x)
  %z = add i64 %y, 1
  ret i64 %z
}""")
    assert caller.function("g", c_int64, c_int64)(7) == 50


def test_resolvers_are_asked_for_unknown_symbols():
    target = engine.compile_module("define i64 @f() {\n ret i64 5\n}")
    asked = []

    def resolve(name):
        asked.append(name)
        return target.address("f") if name == "rtfunc_test_lazy" else None

    symbols.add_resolver(resolve)
    caller = engine.compile_module("""
declare i64 @rtfunc_test_lazy()
define i64 @g() {
  %y = call i64 @rtfunc_test_lazy()
  ret i64 %y
}""")
    assert caller.function("g", c_int64)() == 5
    assert asked == ["rtfunc_test_lazy"]


def test_unknown_symbols_are_named():
    with pytest.raises(symbols.UnresolvedSymbolError, match="rtfunc_test_nowhere"):
        engine.compile_module(
            "declare void @rtfunc_test_nowhere()\n"
            "define void @f() {\n call void @rtfunc_test_nowhere()\n ret void\n}"
        )


def test_invalid_ir_is_refused_with_llvms_reason():
    with pytest.raises(machine_code.InvalidModuleError, match="float"):
        engine.compile_module("define float @f() {\n ret i32 0\n}")


@pytest.mark.parametrize("optimize", ["fast", "O9", ("no_such",)])
def test_unknown_pipelines_are_refused(optimize):
    with pytest.raises(ValueError, match=r"optimize|no_such"):
        engine.compile_module(ADD, optimize=optimize)


def test_missing_function_is_a_key_error():
    with pytest.raises(KeyError):
        engine.compile_module(ADD).address("subtract")


def test_timings_cover_the_stages():
    timings = engine.compile_module(ADD).timings
    stages = [timings.parse, timings.passes, timings.codegen, timings.link]
    assert all(stage > 0 for stage in stages)
    assert timings.total == pytest.approx(sum(stages))


def test_serialized_modules_load_without_compiling():
    stored = engine.compile_module(COSINE).serialize()
    module = machine_code.load_module(stored)
    function = module.function("shifted_cosine", c_double, c_double, c_int64)
    assert function(0.25, 0) == np.cos(0.25) + 10.0
    assert module.timings.codegen == module.timings.parse == 0
    assert module.serialize() == stored


def test_foreign_and_damaged_modules_are_refused():
    stored = engine.compile_module(ADD).serialize()
    with pytest.raises(machine_code.InvalidModuleError, match="serialized"):
        machine_code.load_module(b"\x7fELF" + stored)
    with pytest.raises(machine_code.InvalidModuleError, match="header"):
        machine_code.load_module(stored[:30])
    fingerprint = target.host().fingerprint.encode()
    with pytest.raises(machine_code.InvalidModuleError, match="another processor"):
        machine_code.load_module(stored.replace(fingerprint, b"0" * len(fingerprint)))


def test_cached_compilation_survives_entries_of_other_processors(tmp_path):
    cache = DiskCache(tmp_path)
    first = engine.compile_cached(ADD, cache=cache)
    assert first.timings.codegen > 0
    again = engine.compile_cached(ADD, cache=cache)
    assert again.timings.codegen == 0
    (file,) = tmp_path.glob("*/*.bin")
    cache.put(file.stem, b"RTFO not this")
    third = engine.compile_cached(ADD, cache=cache)
    assert third.timings.codegen > 0
    assert third.function("add", c_int64, c_int64, c_int64)(1, 2) == 3


def test_functions_keep_their_module_alive():
    function = engine.compile_module(ADD).function("add", c_int64, c_int64, c_int64)
    gc.collect()
    for _ in range(50):
        engine.compile_module(ADD, optimize="none")
    assert function(1, 2) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_modules_leave_no_memory_behind():
    def resident_kilobytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4

    def compile_one(number):
        # Names and constants all differ, as in real programs: LLVM keeps them in its context.
        engine.compile_module(
            f"define float @f{number}(float %x) {{\n"
            f" %y = fadd float %x, {runtime_kernels.float_literal(number * 0.37)}\n"
            " ret float %y\n}"
        )

    stored = engine.compile_module(COSINE).serialize()
    for number in range(150):
        compile_one(number)
        machine_code.load_module(stored)
    gc.collect()
    before = resident_kilobytes()
    for number in range(150, 550):
        compile_one(number)
    for _ in range(2000):
        machine_code.load_module(stored)
    gc.collect()
    # A page of code and its bookkeeping would be 8 kB a module, 19 MB in all.
    assert resident_kilobytes() - before < 2500


def test_vector_width_is_used_by_generated_code():
    width = target.vector_bytes() // 4
    source = runtime_kernels.elementwise(width)
    module = engine.compile_module(source)
    function = module.function("elementwise", None, c_void_p, c_void_p, c_int64)
    x = np.linspace(-4, 4, 16 * width, dtype=np.float32)
    y = np.empty_like(x)
    function(x.ctypes.data, y.ctypes.data, x.size)
    wide = x.astype(np.float64)
    bell = np.exp(-wide * wide)
    # The polynomial is good to 2 units in the last place of its terms, which reach 9 here.
    np.testing.assert_allclose(y, bell + 2 * wide + wide / (1 + bell), rtol=0, atol=4e-6)
    if target.vector_bytes() == 64:
        assert "zmm" in engine.assembly(source)


@pytest.mark.parametrize("optimize", ["lean", "O2"])
def test_sample_kernels_agree_with_numpy(optimize):
    width = target.vector_bytes() // 4
    gemm_ir = runtime_kernels.gemm_micro_kernel(width, 6, 2)
    module = engine.compile_module(gemm_ir, optimize=optimize)
    gemm = module.function("gemm", None, c_void_p, c_void_p, c_void_p, c_int64, c_int64)
    generator = np.random.default_rng(0)
    a = generator.random((50, 6), np.float32)
    b = generator.random((50, 2 * width), np.float32)
    c = np.zeros((6, 2 * width), np.float32)
    gemm(a.ctypes.data, b.ctypes.data, c.ctypes.data, 2 * width, 50)
    np.testing.assert_allclose(c, a.T @ b, rtol=1e-5)

    module = engine.compile_module(runtime_kernels.softmax(width), optimize=optimize)
    softmax = module.function("softmax", None, c_void_p, c_void_p, c_int64, c_int64)
    x = generator.normal(size=(3, 4 * width)).astype(np.float32)
    y = np.empty_like(x)
    softmax(x.ctypes.data, y.ctypes.data, *x.shape)
    exponentials = np.exp(x.astype(np.float64))
    expected = exponentials / exponentials.sum(1, keepdims=True)
    np.testing.assert_allclose(y, expected, rtol=2e-6)


def test_float_literals_are_exact():
    ir = f"define float @f() {{\n ret float {runtime_kernels.float_literal(0.1)}\n}}"
    assert engine.compile_module(ir).function("f", c_float)() == np.float32(0.1)
