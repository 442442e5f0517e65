"""The emitted elementary functions against NumPy, the math module and mpmath."""

import ctypes
import itertools
import math

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest
from llvmlite import ir

from rtfunc.compiler.cpu.maths import FUNCTIONS, integer_pow

FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
SHAPES = {
    "float": FLOAT,
    "float8": ir.VectorType(FLOAT, 8),
    "double": DOUBLE,
    "double4": ir.VectorType(DOUBLE, 4),
}
BINARY = {"pow", "atan2"}

# Stated bounds in units in the last place, float32 and float64: a little above what
# benchmarks/maths_accuracy.py finds over many more arguments (docs/maths-accuracy.md).
BOUNDS = {
    "exp": (1.0, 1.0),
    "exp2": (1.0, 1.1),
    "expm1": (1.6, 2.1),
    "log": (1.0, 1.0),
    "log2": (1.7, 1.7),
    "log10": (1.6, 1.6),
    "log1p": (1.7, 1.9),
    "sin": (1.6, 1.6),
    "cos": (1.6, 1.6),
    "tan": (2.4, 2.4),
    "asin": (2.1, 2.1),
    "acos": (1.3, 1.3),
    "atan": (1.8, 1.8),
    "atan2": (2.0, 2.0),
    "sinh": (1.8, 1.8),
    "cosh": (1.5, 1.5),
    "tanh": (1.5, 1.5),
    "asinh": (2.0, 2.2),
    "acosh": (2.2, 2.2),
    "atanh": (2.3, 2.3),
    "logistic": (2.4, 2.4),
    "pow": (1.0, 1.0),
    "sqrt": (0.501, 0.501),
    "rsqrt": (1.51, 1.51),
    "cbrt": (0.8, 0.8),
    "erf": (1.1, 1.1),
    "erfc": (4.0, 4.0),
    "erf_inv": (2.5, 2.5),
    "lgamma": (0.6, 4.0),
    "digamma": (0.6, 4.0),
    "bessel_i0e": (0.6, 6.0),
    "bessel_i1e": (0.6, 10.0),
}
# Where sampled arguments lie: all magnitudes in both signs unless a range stands here.
DOMAINS = {
    "sin": (-(2.0**45), 2.0**45),
    "cos": (-(2.0**45), 2.0**45),
    "tan": (-(2.0**45), 2.0**45),
    "lgamma": (0.0, math.inf),
    "digamma": (0.0, math.inf),
    "bessel_i0e": (-1e9, 1e9),
    "bessel_i1e": (-1e9, 1e9),
}


def erf_inv_exact(x):
    a = abs(x)
    if a == 0 or a >= 1:
        return mpmath.sign(x) * mpmath.inf if a == 1 else (x if a == 0 else mpmath.nan)
    y = mpmath.sqrt(-mpmath.log(1 - a)) if a > 0.9 else a * mpmath.sqrt(mpmath.pi) / 2
    for _ in range(100):
        error = mpmath.erfc(y) - (1 - a) if a > 0.5 else a - mpmath.erf(y)
        step = error * mpmath.exp(y * y) * mpmath.sqrt(mpmath.pi) / 2
        y += step
        if abs(step) < abs(y) * mpmath.mpf(2) ** -80:
            break
    return mpmath.sign(x) * y


def real_power(x, y):
    if x == 0 or (x < 0 and y != mpmath.floor(y)):
        return mpmath.nan
    size = mpmath.exp(y * mpmath.log(abs(x)))
    return -size if x < 0 and int(y) % 2 else size


EXACT = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "atan2": mpmath.atan2,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "pow": real_power,
    "sqrt": mpmath.sqrt,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "erf": mpmath.erf,
    "erfc": lambda x: mpmath.erfc(max(-100, min(x, 100))),
    "erf_inv": erf_inv_exact,
    "lgamma": lambda x: mpmath.loggamma(x).real,
    "digamma": mpmath.digamma,
    "bessel_i0e": lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x),
    "bessel_i1e": lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x),
}


def each(function):
    """A function of Python floats as one of arrays, in float64."""
    return lambda *a: np.vectorize(function, otypes=[np.float64])(*a)


def logistic_reference(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else math.exp(max(x, -800.0))


def lgamma_reference(x):
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # poles, and results past the largest float
        return math.inf


# What a result must be at special values: NumPy's function, or the math module's.
REFERENCE = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "logistic": each(logistic_reference),
    "pow": np.power,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "cbrt": np.cbrt,
    "erf": each(math.erf),
    "erfc": each(math.erfc),
    "lgamma": each(lgamma_reference),
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round_half_even": np.rint,
}
SPECIAL = [math.nan, math.inf, 0.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-300]
SPECIAL += [1e-45, 1e-40, 1.1754943508222875e-38, 1e-30, 1e-10, 0.25, 0.5, 0.999999, 1.0, 1.000001]
SPECIAL += [1.5, 2.0, 2.5, 3.0, 4.0, 10.0, 50.5, 87.3, 88.72, 88.73, 89.41, 89.42, 103.9, 104.1]
SPECIAL += [127.9, 128.0, 149.0, 150.5, 709.78, 709.79, 710.47, 710.48, 745.1, 745.2, 1023.9]
SPECIAL += [1024.0, 1074.0, 1075.5, 1e4, 65537.0, 1e6, 8388607.5, 8388609.0, 1e9]
SPECIAL += [3.4028234663852886e38, 1e300, 1.7976931348623157e308]


def target_machine():
    """This machine. An execution engine takes it over and frees it: each engine needs its own."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        jit=True,
    )


def add_loop(module, name, kind, emit, operands):
    """`void name(out, x, [y,] n)`: one value of type `kind` a turn."""
    index = ir.IntType(64)
    arguments = [kind.as_pointer()] * (1 + operands) + [index]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    for argument in function.args[:-1]:
        argument.add_attribute("noalias")
    entry, body, done = (function.append_basic_block() for _ in range(3))
    ir.IRBuilder(entry).branch(body)
    builder = ir.IRBuilder(body)
    i = builder.phi(index)
    i.add_incoming(index(0), entry)
    loaded = [builder.load(builder.gep(p, [i]), align=4) for p in function.args[1:-1]]
    result = emit(builder, *loaded)
    assert builder.block is body, "an emitter must not branch"
    assert result.type == kind
    builder.store(result, builder.gep(function.args[0], [i]), align=4)
    following = builder.add(i, index(1))
    i.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("<", following, function.args[-1]), body, done)
    ir.IRBuilder(done).ret_void()


class Compiled:
    """One function compiled for every shape: `self(shape, x, [y])` on arrays."""

    def __init__(self, emit, operands=1):
        module = ir.Module()
        for shape, kind in SHAPES.items():
            add_loop(module, shape, kind, emit, operands)
        self.declared = {f.name for f in module.functions if f.is_declaration}
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()
        self.engine = llvm.create_mcjit_compiler(parsed, target_machine())
        self.engine.finalize_object()
        self.operands = operands

    def __call__(self, shape, *arrays):
        lanes = getattr(SHAPES[shape], "count", 1)
        dtype = np.float32 if shape.startswith("float") else np.float64
        size = arrays[0].size
        padded = -(-size // lanes) * lanes
        arrays = [np.resize(np.ascontiguousarray(a, dtype), padded) for a in arrays]
        out = np.empty(padded, dtype)
        kinds = [ctypes.c_void_p] * (1 + self.operands) + [ctypes.c_int64]
        address = self.engine.get_function_address(shape)
        pointers = [a.ctypes.data for a in (out, *arrays)]
        ctypes.CFUNCTYPE(None, *kinds)(address)(*pointers, padded // lanes)
        return out[:size]


@pytest.fixture(scope="module")
def compiled():
    cache = {}

    def get(name):
        if name not in cache:
            cache[name] = Compiled(FUNCTIONS[name], 2 if name in BINARY else 1)
        return cache[name]

    return get


def samples(name, dtype, count):
    """Random arguments: all magnitudes, and more of them near one."""
    rng = np.random.default_rng(11)
    integer = np.int32 if dtype == np.float32 else np.int64
    limits = np.iinfo(integer)
    columns = []
    for _ in range(2 if name in BINARY else 1):
        wild = rng.integers(limits.min, limits.max, count, integer).view(dtype)
        scale = np.exp2(rng.uniform(-12, 7, 3 * count)) * rng.choice([-1, 1], 3 * count)
        unit = rng.uniform(-1, 1, 2 * count)
        columns.append(np.concatenate([wild, scale.astype(dtype), unit.astype(dtype)]))
    if len(columns) == 2:
        columns[1] = rng.permutation(columns[1])
    keep = np.all([np.isfinite(column) for column in columns], axis=0)
    low, high = DOMAINS.get(name, (-math.inf, math.inf))
    keep &= (columns[0] > low) & (columns[0] < high)
    return [column[keep] for column in columns]


def error_in_ulps(result, exact, dtype):
    """|result - exact| over the spacing at `exact`; inf where one is special and the other not."""
    exact = mpmath.mpf(exact) if not isinstance(exact, mpmath.mpc) else mpmath.nan
    if mpmath.isnan(exact) or math.isnan(result):
        return 0.0 if mpmath.isnan(exact) == math.isnan(result) else math.inf
    with np.errstate(over="ignore"):
        rounded = dtype(float(exact))
    if np.isinf(rounded) or math.isinf(result):
        return 0.0 if rounded == result else math.inf
    return float(abs(mpmath.mpf(float(result)) - exact) / float(np.spacing(np.abs(rounded))))


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_error_stays_within_the_stated_bound(compiled, name, bits):
    dtype, shape = (np.float32, "float8") if bits == 32 else (np.float64, "double4")
    arguments = samples(name, dtype, 30)
    results = compiled(name)(shape, *arguments)
    bound = BOUNDS[name][bits == 64]
    with mpmath.workprec(120):
        for *values, result in zip(*arguments, results, strict=True):
            try:
                exact = EXACT[name](*(mpmath.mpf(float(v)) for v in values))
            except (ValueError, ZeroDivisionError):
                continue  # poles are among the special values
            assert error_in_ulps(float(result), exact, dtype) <= bound, (values, result)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"integer_pow"}))
def test_scalars_and_vectors_agree_to_the_last_bit(compiled, name):
    for scalar, vector, dtype in (
        ("float", "float8", np.float32),
        ("double", "double4", np.float64),
    ):
        arguments = samples(name, dtype, 500)
        first, second = (compiled(name)(shape, *arguments) for shape in (scalar, vector))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", sorted(set(REFERENCE) & set(BOUNDS) - {"logistic"}))
def test_float32_agrees_with_numpy_in_float64(compiled, name):
    arguments = samples(name, np.float32, 500)
    result = compiled(name)("float8", *arguments).astype(np.float64)
    with np.errstate(all="ignore"):
        exact = REFERENCE[name](*(a.astype(np.float64) for a in arguments))
        rounded = exact.astype(np.float32)
        allowed = (BOUNDS[name][0] + 1e-3) * np.spacing(np.abs(rounded)).astype(np.float64)
        good = (result == rounded) | (np.abs(result - exact) <= allowed)
        good |= np.isnan(result) & np.isnan(exact)
    assert good.all(), [a[~good][:5] for a in arguments]


def assert_same_special(result, expected, bound, arguments):
    with np.errstate(all="ignore"):
        close = np.abs(result - expected) <= (bound + 4) * np.spacing(np.abs(expected))
    same = (result == expected) | (np.isnan(result) & np.isnan(expected)) | close
    sign = (np.signbit(result) == np.signbit(expected)) | np.isnan(expected)
    wrong = ~(same & sign)
    assert not wrong.any(), [
        (tuple(a[i] for a in arguments), result[i], expected[i]) for i in np.flatnonzero(wrong)
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_special_values_are_those_of_numpy(compiled, name, dtype):
    with np.errstate(all="ignore"):
        values = np.array(SPECIAL + [-x for x in SPECIAL]).astype(dtype)
    if name in DOMAINS:
        values = values[(np.abs(values) < DOMAINS[name][1]) | ~np.isfinite(values)]
    if name in BINARY:
        values = np.concatenate([values, np.array([-3, -2, 7, -7, 2**24 + 2, 1e-3], dtype)])
        arguments = list(map(np.array, zip(*itertools.product(values, values), strict=True)))
    else:
        arguments = [values]
    shape = "float8" if dtype == np.float32 else "double4"
    result = compiled(name)(shape, *arguments)
    with np.errstate(all="ignore"):
        expected = REFERENCE[name](*arguments).astype(dtype)
    if name == "lgamma":  # around its zeros the math module is less accurate
        keep = ~np.isfinite(expected) | (arguments[0] > 3)
        arguments, result, expected = [arguments[0][keep]], result[keep], expected[keep]
    assert_same_special(result, expected, BOUNDS.get(name, (0, 0))[0], arguments)


@pytest.mark.parametrize("shape", ["float8", "double4"])
def test_special_values_of_functions_that_numpy_lacks(compiled, shape):
    x = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 1.5, -1.5])
    nan, inf = math.nan, math.inf
    expected = np.array([nan, nan, nan, 0.0, -0.0, inf, -inf, nan, nan])
    np.testing.assert_array_equal(compiled("erf_inv")(shape, x), expected)
    x = np.array([nan, inf, -inf, 0.0, -0.0, -1.0, -2.0, -1e300 if shape == "double4" else -1e30])
    expected = np.array([nan, inf, nan, -inf, inf, nan, nan, nan])
    np.testing.assert_array_equal(compiled("digamma")(shape, x), expected)


@pytest.mark.parametrize("name", ["bessel_i0e", "bessel_i1e"])
@pytest.mark.parametrize("shape", ["float8", "double4"])
def test_scaled_bessel_functions_at_special_values(compiled, name, shape):
    nan, tiny = math.nan, 1e-300 if shape == "double4" else 1e-37
    x = np.array([nan, math.inf, -math.inf, 0.0, -0.0, tiny, 1e30, -1e30])
    limit = math.sqrt(1 / (2 * math.pi * 1e30))
    ends = [nan, 0.0, 0.0, 1.0, 1.0, 1.0, limit, limit]
    if name == "bessel_i1e":
        ends = [nan, 0.0, -0.0, 0.0, -0.0, tiny / 2, limit, -limit]
    result = compiled(name)(shape, x)
    np.testing.assert_allclose(result, ends, rtol=1e-6)  # float32 rounds the last two arguments
    np.testing.assert_array_equal(np.signbit(result[1:]), np.signbit(ends[1:]))


@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.parametrize("shape", ["float8", "double4"])
def test_huge_angles_stay_between_minus_one_and_one(compiled, name, shape):
    x = np.array([1e16, -1e20, 3e38] + [1e200, 1.7e308] * (shape == "double4"))
    assert (np.abs(compiled(name)(shape, x)) <= 1).all()


def test_exact_cases_are_exact(compiled):
    powers = np.arange(-1074, 1024, dtype=np.float64)
    np.testing.assert_array_equal(compiled("exp2")("double4", powers), np.exp2(powers))
    np.testing.assert_array_equal(compiled("log2")("double4", np.exp2(powers)), powers)
    tens = np.arange(0, 23, dtype=np.float64)
    np.testing.assert_array_equal(compiled("log10")("double4", 10**tens), tens)
    cubes = np.arange(-1000, 1000, dtype=np.float64)
    np.testing.assert_array_equal(compiled("cbrt")("double4", cubes**3), cubes)
    np.testing.assert_array_equal(compiled("pow")("double4", cubes, np.full(2000, 3.0)), cubes**3)
    np.testing.assert_array_equal(compiled("cos")("float8", np.zeros(8)), np.ones(8))


@pytest.mark.parametrize("exponent", [-3, -2, -1, 0, 1, 2, 3, 7, 10])
def test_integer_powers(exponent):
    function = Compiled(lambda builder, x: integer_pow(builder, x, exponent))
    x = np.random.default_rng(0).uniform(0.5, 2, 64)
    # every multiplication and the division may lose half a unit
    np.testing.assert_allclose(function("double4", x), x**exponent, rtol=4 * 2.3e-16)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"integer_pow"}))
def test_only_intrinsics_are_called(compiled, name):
    assert all(declared.startswith("llvm.") for declared in compiled(name).declared)


@pytest.mark.parametrize(
    "name", ["exp", "log1p", "sin", "pow", "erfc", "erf_inv", "digamma", "bessel_i1e"]
)
def test_the_loop_vectoriser_takes_the_scalar_code(name):
    machine = target_machine()
    module = ir.Module()
    add_loop(module, "loop", FLOAT, FUNCTIONS[name], 2 if name in BINARY else 1)
    parsed = llvm.parse_assembly(str(module))
    parsed.triple = machine.triple
    parsed.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    assert "x float>" in str(parsed)
