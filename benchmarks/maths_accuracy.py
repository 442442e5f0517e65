"""Worst error and time of every elementary function of `rtfunc.compiler.cpu.maths`.

The page's second part, errors of the eager special functions, transforms and factorizations, comes
from `array_accuracy`.

`python -m benchmarks.maths_accuracy` compiles each function for float32 and float64 as a scalar
loop that LLVM vectorises, measures both, checks special values against NumPy, and writes
docs/maths-accuracy.md. Names given as arguments are measured and printed alone. The error is
|result - exact| in units of the last place of the exact result rounded to the format; the spacing
of denormal numbers below the normal ones. Many arguments are compared with the C library's 64-bit
significand long double, or float32 with this package's float64 function, to find the worst; those
and some thousand more are measured with mpmath.
"""

from __future__ import annotations

import ctypes
import datetime
import math
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding as llvm
import mpmath
import numpy as np
from llvmlite import ir

from benchmarks import array_accuracy
from rtfunc.compiler.cpu.maths import FUNCTIONS
from rtfunc.compiler.cpu.maths.trigonometric import ACCURATE_BELOW

mp = mpmath.mp
Array = np.ndarray
Long = np.longdouble
REPORT = Path(__file__).parents[1] / "docs/maths-accuracy.md"
MANY, SOME, FEW = 300_000, 2_000, 200
HAS_EXTENDED = np.finfo(Long).nmant >= 63
FORMATS: dict[int, type] = {32: np.float32, 64: np.float64}
INTEGERS: dict[int, type] = {32: np.int32, 64: np.int64}


@dataclass(frozen=True)
class Subject:
    """How to test a function: exact values, and where its arguments usually lie.

    `exact` takes and returns multiple-precision numbers; `extended` takes and returns arrays of
    long double; `ranges` are sampled evenly, beside all magnitudes logarithmically.
    """

    exact: Callable[..., object]
    extended: Callable[..., Array] | None
    ranges: tuple[tuple[float, float], ...]
    operands: int = 1
    limit: dict[int, float] | None = None
    positive: bool = False


def exact_erf_inv(x: object) -> object:
    """Newton's method, as mpmath's `erfinv` stops early near ±1."""
    a = abs(x)
    if a >= 1 or a == 0:
        return mpmath.sign(x) * mpmath.inf if a == 1 else (x if a == 0 else mpmath.nan)
    y = mpmath.sqrt(-mpmath.log(1 - a)) if a > 0.9 else a * mpmath.sqrt(mpmath.pi) / 2
    for _ in range(100):
        error = mpmath.erfc(y) - (1 - a) if a > 0.5 else a - mpmath.erf(y)
        step = error * mpmath.exp(y * y) * mpmath.sqrt(mpmath.pi) / 2
        y += step
        if abs(step) < abs(y) * mpmath.mpf(2) ** -90:
            break
    return mpmath.sign(x) * y


def exact_lgamma(x: object) -> object:
    return mpmath.inf if x <= 0 and x == mpmath.floor(x) else mpmath.loggamma(x).real


def exact_digamma(x: object) -> object:
    return mpmath.nan if x <= 0 and x == mpmath.floor(x) else mpmath.digamma(x)


def real_power(x: object, y: object) -> object:
    if x < 0 and y != mpmath.floor(y):
        return mpmath.nan
    if x == 0:
        return mpmath.nan
    size = mpmath.exp(y * mpmath.log(abs(x)))
    return -size if x < 0 and int(y) % 2 else size


SUBJECTS: dict[str, Subject] = {
    "exp": Subject(mpmath.exp, np.exp, ((-80, 80), (-110, -80), (-750, 710), (-1, 1))),
    "exp2": Subject(
        lambda x: mpmath.mpf(2) ** x, np.exp2, ((-120, 128), (-150, -120), (-1075, 1024))
    ),
    "expm1": Subject(mpmath.expm1, np.expm1, ((-80, 80), (-2, 2), (0, 710))),
    "log": Subject(mpmath.log, np.log, ((0, 2), (0, 100))),
    "log2": Subject(lambda x: mpmath.log(x, 2), np.log2, ((0, 2), (0, 100))),
    "log10": Subject(mpmath.log10, np.log10, ((0, 2), (0, 100))),
    "log1p": Subject(mpmath.log1p, np.log1p, ((-1, 2), (-0.1, 0.1), (0, 100))),
    "sin": Subject(mpmath.sin, np.sin, ((-10, 10), (-1e5, 1e5)), limit=ACCURATE_BELOW),
    "cos": Subject(mpmath.cos, np.cos, ((-10, 10), (-1e5, 1e5)), limit=ACCURATE_BELOW),
    "tan": Subject(mpmath.tan, np.tan, ((-10, 10), (-1e5, 1e5)), limit=ACCURATE_BELOW),
    "asin": Subject(mpmath.asin, np.arcsin, ((-1, 1),)),
    "acos": Subject(mpmath.acos, np.arccos, ((-1, 1), (0.9, 1))),
    "atan": Subject(mpmath.atan, np.arctan, ((-2, 2), (-10, 10))),
    "atan2": Subject(mpmath.atan2, np.arctan2, ((-2, 2), (-10, 10)), operands=2),
    "sinh": Subject(mpmath.sinh, np.sinh, ((-2, 2), (-90, 90), (-710, 710))),
    "cosh": Subject(mpmath.cosh, np.cosh, ((-2, 2), (-90, 90), (-710, 710))),
    "tanh": Subject(mpmath.tanh, np.tanh, ((-1, 1), (-20, 20))),
    "asinh": Subject(mpmath.asinh, np.arcsinh, ((-2, 2), (-100, 100))),
    "acosh": Subject(mpmath.acosh, np.arccosh, ((1, 2), (1, 100))),
    "atanh": Subject(mpmath.atanh, np.arctanh, ((-1, 1), (-0.1, 0.1))),
    "logistic": Subject(
        lambda x: 1 / (1 + mpmath.exp(-x)),
        lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
        ((-10, 10), (-110, 20), (-750, 40)),
    ),
    "pow": Subject(real_power, np.power, ((0, 4), (-20, 20)), operands=2),
    "sqrt": Subject(mpmath.sqrt, np.sqrt, ((0, 10),)),
    "rsqrt": Subject(lambda x: 1 / mpmath.sqrt(x), lambda x: 1 / np.sqrt(x), ((0, 10),)),
    "cbrt": Subject(lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), np.cbrt, ((-10, 10),)),
    "erf": Subject(mpmath.erf, None, ((-1.1, 1.1), (-6, 6))),
    "erfc": Subject(
        lambda x: mpmath.erfc(max(-100, min(x, 100))), None, ((-2, 2), (-6, 10), (0, 27))
    ),
    "erf_inv": Subject(exact_erf_inv, None, ((-1, 1), (0.99, 1), (0.9999999, 1))),
    "lgamma": Subject(exact_lgamma, None, ((0, 4), (0, 20), (0, 1000)), positive=True),
    "digamma": Subject(exact_digamma, None, ((0, 4), (0, 20), (0, 1000)), positive=True),
    "bessel_i0e": Subject(
        lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x),
        None,
        ((-8, 8), (-60, 60), (-1000, 1000)),
        limit={32: 1e9, 64: 1e9},
    ),
    "bessel_i1e": Subject(
        lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x),
        None,
        ((-8, 8), (-60, 60), (-1000, 1000)),
        limit={32: 1e9, 64: 1e9},
    ),
}
SPECIAL = (math.nan, math.inf, 0.0, 5e-324, 1e-310, 1e-45, 1e-40, 2.0**-126, 2.0**-1022)
SPECIAL += (0.5, 1.0, 2.0, 2.5, 3.0, 88.72, 88.73, 103.9, 104.1, 128.0, 149.0, 150.5)
SPECIAL += (709.78, 709.79, 745.1, 745.2, 1024.0, 1074.0, 1075.5, 3.4028234663852886e38)
SPECIAL += (1.7976931348623157e308,)

Compiled = Callable[..., Array]


def target_machine(vector_width: int = 0) -> llvm.TargetMachine:
    """This machine; `vector_width` 256 or 512 is the width that LLVM is told to prefer."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    if vector_width:
        features += ",+prefer-256-bit" if vector_width == 256 else ",-prefer-256-bit"
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )


def loop_module(name: str, bits: int, operands: int) -> ir.Module:
    """`void loop(out, x, [y,] n)` over contiguous arrays, one element a turn."""
    element = ir.FloatType() if bits == 32 else ir.DoubleType()
    index, pointer = ir.IntType(64), element.as_pointer()
    module = ir.Module()
    signature = ir.FunctionType(ir.VoidType(), [pointer] * (1 + operands) + [index])
    function = ir.Function(module, signature, "loop")
    for argument in function.args[:-1]:
        argument.add_attribute("noalias")
    entry, body, done = (function.append_basic_block(b) for b in ("entry", "body", "done"))
    ir.IRBuilder(entry).branch(body)
    builder = ir.IRBuilder(body)
    i = builder.phi(index)
    i.add_incoming(index(0), entry)
    loaded = [builder.load(builder.gep(p, [i])) for p in function.args[1:-1]]
    builder.store(FUNCTIONS[name](builder, *loaded), builder.gep(function.args[0], [i]))
    following = builder.add(i, index(1))
    i.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("<", following, function.args[-1]), body, done)
    ir.IRBuilder(done).ret_void()
    return module


def optimised(source: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """The module after LLVM's O3 pipeline, loop vectoriser included."""
    module = llvm.parse_assembly(source)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def compile_loop(name: str, bits: int, vector_width: int = 0) -> Compiled:
    """The function on arrays: `apply(x, [y,] out=None)`."""
    operands = SUBJECTS[name].operands
    machine = target_machine(vector_width)
    module = optimised(str(loop_module(name, bits, operands)), machine)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    address = engine.get_function_address("loop")
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (1 + operands), ctypes.c_int64)(address)

    def apply(*arrays: Array, out: Array | None = None) -> Array:
        arrays = tuple(np.ascontiguousarray(a, FORMATS[bits]) for a in arrays)
        out = np.empty_like(arrays[0]) if out is None else out
        call(out.ctypes.data, *(a.ctypes.data for a in arrays), out.size)
        return out

    apply.engine = engine  # type: ignore[attr-defined]  # keeps the code alive
    apply.call = call  # type: ignore[attr-defined]
    return apply


def sample(subject: Subject, bits: int, count: int, rng: np.random.Generator) -> list[Array]:
    """One array of arguments per operand."""
    kind = FORMATS[bits]
    columns = []
    for _ in range(subject.operands):
        patterns = rng.integers(
            np.iinfo(INTEGERS[bits]).min, np.iinfo(INTEGERS[bits]).max, count, INTEGERS[bits]
        )
        parts = [patterns.view(kind)]
        parts += [rng.uniform(low, high, count).astype(kind) for low, high in subject.ranges]
        # around the natural scale, where relative accuracy at zero shows
        parts.append(
            (np.exp2(rng.uniform(-30, 8, count)) * rng.choice([-1, 1], count)).astype(kind)
        )
        columns.append(np.concatenate(parts))
    if subject.operands == 2:
        columns[1] = rng.permutation(columns[1])
    keep = np.all([np.isfinite(c) for c in columns], axis=0)
    if subject.positive:
        keep &= columns[0] > 0
    if subject.limit:
        keep &= np.abs(columns[0]) <= subject.limit[bits]
    return [c[keep] for c in columns]


def units(result: Array, exact: Array, kind: type) -> Array:
    """|result - exact| in last places, 0 where both are the same infinity or NaN."""
    with np.errstate(all="ignore"):
        near = exact.astype(kind)
        spacing = np.spacing(np.minimum(np.abs(near), np.finfo(kind).max)).astype(Long)
        distance = np.abs(result.astype(Long) - exact) / spacing
        overflow = np.isinf(near) | np.isinf(result)
        distance = np.where(overflow, np.where(near == result, 0, np.inf), distance)
        unknown = np.isnan(exact)
        return np.where(unknown, np.where(np.isnan(result), 0, np.inf), distance)


def exact_units(subject: Subject, arguments: tuple, result: float, bits: int) -> float:
    """The same for one result, by mpmath."""
    if any(not math.isfinite(a) for a in arguments):
        return 0.0
    try:
        exact = subject.exact(*(mpmath.mpf(float(a)) for a in arguments))
    except (ValueError, ZeroDivisionError):
        return 0.0  # a pole: among the special values
    if isinstance(exact, mpmath.mpc) or mpmath.isnan(exact):
        return 0.0 if math.isnan(result) else math.inf
    kind = FORMATS[bits]
    with np.errstate(over="ignore"):
        near = kind(float(exact))
    if not math.isfinite(near) or not math.isfinite(result):
        return 0.0 if near == result else math.inf
    return float(abs(mpmath.mpf(float(result)) - exact) / float(np.spacing(np.abs(near))))


def worst_error(name: str, bits: int, apply: Compiled) -> tuple[float, tuple[float, ...]]:
    """The largest error found, and the arguments it was found at."""
    subject, rng = SUBJECTS[name], np.random.default_rng(7)
    kind = FORMATS[bits]
    mp.prec = 120
    candidates = sample(subject, bits, SOME, rng)
    if bits == 32 or (subject.extended and HAS_EXTENDED):
        candidates = [column[:: SOME // FEW] for column in candidates]
        many = sample(subject, bits, MANY, rng)
        if subject.extended and HAS_EXTENDED:
            with np.errstate(all="ignore"):
                exact = subject.extended(*(c.astype(Long) for c in many))
        else:
            exact = compile_loop(name, 64)(*many)
        errors = units(apply(*many), exact.astype(Long), kind)
        top = np.argsort(-errors)[:20]
        candidates = [np.concatenate([c, m[top]]) for c, m in zip(candidates, many)]
    results = apply(*candidates)
    worst, where = 0.0, (0.0,) * subject.operands
    for *arguments, result in zip(*candidates, results):
        error = exact_units(subject, tuple(arguments), result, bits)
        if error > worst:
            worst, where = error, tuple(map(float, arguments))
    return worst, where


def special_values(name: str, bits: int, apply: Compiled) -> str:
    """At how many special values the result is not NumPy's, to four units in the last place."""
    subject, kind = SUBJECTS[name], FORMATS[bits]
    if subject.extended is None:
        return "-"
    with np.errstate(all="ignore"):
        values = np.array(SPECIAL + tuple(-x for x in SPECIAL)).astype(kind)
        if subject.limit:
            values = values[(np.abs(values) < subject.limit[bits]) | ~np.isfinite(values)]
        grid = np.meshgrid(*[values] * subject.operands)
        arguments = [np.ascontiguousarray(column.ravel()) for column in grid]
        expected, result = subject.extended(*arguments), apply(*arguments)
        close = np.abs(result - expected) <= 4 * np.spacing(np.abs(expected))
    same = ((result == expected) | close) & (np.signbit(result) == np.signbit(expected))
    same |= np.isnan(result) & np.isnan(expected)
    return f"{np.count_nonzero(~same)} of {same.size}"


def nanoseconds(name: str, bits: int, apply: Compiled) -> float:
    """Time per element on arguments in cache, the best of several."""
    subject, rng = SUBJECTS[name], np.random.default_rng(3)
    low, high = subject.ranges[0]
    arrays = [rng.uniform(low, high, 16384).astype(FORMATS[bits]) for _ in range(subject.operands)]
    out = np.empty_like(arrays[0])
    call, pointers = apply.call, [a.ctypes.data for a in (out, *arrays)]  # type: ignore[attr-defined]
    best = math.inf
    for _ in range(50):
        start = time.perf_counter()
        call(*pointers, out.size)
        call(*pointers, out.size)
        best = min(best, time.perf_counter() - start)
    return best / (2 * out.size) * 1e9


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
        name = next(s.split(":")[1].strip() for s in text.splitlines() if "model name" in s)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name} ({llvm.get_host_cpu_name()} to LLVM)"


def measure(name: str) -> list[str]:
    """One row of the report per format."""
    rows = []
    for bits in (32, 64):
        apply = compile_loop(name, bits)
        wide, narrow = compile_loop(name, bits, 512), compile_loop(name, bits, 256)
        worst, where = worst_error(name, bits, apply)
        at = ", ".join(f"{a:.9g}" if bits == 32 else f"{a:.17g}" for a in where)
        times = " | ".join(f"{nanoseconds(name, bits, f):.2f}" for f in (narrow, wide))
        special = special_values(name, bits, apply)
        rows.append(f"| {name} | float{bits} | {worst:.2f} | {at} | {special} | {times} |")
    return rows


def main(names: list[str]) -> None:
    rows = []
    for name in names or SUBJECTS:
        rows += measure(name)
        print(*rows[-2:], sep="\n", flush=True)
    if names:
        return
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(
        "# Accuracy and speed of the elementary functions\n\n"
        "Written by `python -m benchmarks.maths_accuracy` "
        f"on {datetime.date.today().isoformat()}, {processor()}.\n\n"
        "Worst error found, in units in the last place, over random arguments of all magnitudes "
        "and of each function's usual ranges, against mpmath; time per element of a loop over "
        "arrays in cache on one thread, vectorised by LLVM with 256-bit and 512-bit vectors "
        f"preferred. sin, cos and tan hold for |x| up to {ACCURATE_BELOW[64]:.3g} = 2^45. lgamma "
        "and digamma are measured on the positive axis; on the negative one their relative error "
        "is unbounded at the zeros.\n\n"
        "| function | dtype | worst ulp | at | special values unlike NumPy's | "
        "ns, 256 bit | ns, 512 bit |\n"
        "|---|---|---:|---|---:|---:|---:|\n" + "\n".join(rows) + "\n\n" + array_accuracy.report()
    )


if __name__ == "__main__":
    main(sys.argv[1:])
