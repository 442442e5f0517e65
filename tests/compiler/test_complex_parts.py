"""Graphs on real and imaginary parts compute what the Graphs on complex numbers do."""

from __future__ import annotations

import importlib
import pkgutil

import mpmath
import numpy as np
import pytest

import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.compiler.complex_arithmetic import Parts, functions, to_real
from rtfunc.compiler.complex_parts import complex_parts, edge_array
from rtfunc.compiler.graph_passes import has_complex
from rtfunc.compiler.native import Executable
from rtfunc.core.array import Array
from rtfunc.core.graph import evaluate, sub_graphs
from rtfunc.core.primitive import primitives
from rtfunc.core.staging import trace_to_graph
from tests.ops import samples as sample_modules
from tests.ops.samples import linalg

SAMPLES = {
    name: found
    for module in pkgutil.iter_modules(sample_modules.__path__)
    for name, found in importlib.import_module(
        f"{sample_modules.__name__}.{module.name}"
    ).SAMPLES.items()
}
REAL = {"complex64": np.float32, "complex128": np.float64}
# NumPy's complex64 functions are off by up to 26 ulp (powers), its complex128 ones by 37.
TOLERANCE = {"complex64": 4e-6, "complex128": 1e-14}
#: What has no form in parts, and runs on complex numbers between `complex`, `real` and `imag`.
WHOLE = {"cumprod", "linear_recurrence", "complex", "real", "imag", "fft", "wofz", *linalg.SAMPLES}


def staged(function, *arrays):
    """The Graph of a function on arrays, with what it captured as constants in front."""
    args = [Array(np.asarray(a)) for a in arrays]
    graph, captured = trace_to_graph(function, [a.aval for a in args])
    return graph, [*captured, *args]


def complex_primitives(graph):
    found = set()
    for equation in graph.equations:
        avals = [a.aval for a in (*equation.inputs, *equation.outputs)]
        if any(a.dtype.kind == "c" for a in avals):
            found.add(equation.primitive.name)
        for sub in sub_graphs(equation):
            found |= complex_primitives(sub)
    return found


def check(function, *arrays, tolerance, whole=frozenset()):
    """The rewritten Graph against the original; the rewritten one."""
    graph, args = staged(function, *arrays)
    rewritten = complex_parts(graph).check()
    assert complex_primitives(rewritten) <= set(whole)
    results = evaluate(rewritten, [edge_array(a) for a in args])
    for actual, value in zip(results, evaluate(graph, args), strict=True):
        expected = edge_array(value)
        assert actual.aval == expected.aval
        a, e = (np.asarray(x).astype(np.float64) for x in (actual, expected))
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)
    return rewritten


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_primitive_on_its_samples(name, dtype):
    primitive = primitives[name]
    for sample in SAMPLES[name]:
        arrays = [np.asarray(a) for a in sample.args]
        if not any(a.dtype.kind == "c" for a in arrays) and name not in ("complex", "iota"):
            continue
        kinds = {"c": dtype, "f": REAL[dtype]}
        arrays = [a.astype(kinds[a.dtype.kind]) if a.dtype.kind in "cf" else a for a in arrays]

        def apply(*xs, params=sample.params):
            out = primitive.bind(*xs, **params)
            return out if primitive.multiple_results else [out]

        check(apply, *arrays, tolerance=TOLERANCE[dtype], whole=WHOLE)


# Accuracy of the formulas, in units of the last place of the magnitude of the result, where NumPy's own
# errors are up to 6; powers in complex128 lose the digits of the exponent's integer part.
REFERENCE = {
    "sqrt": mpmath.sqrt,
    "rsqrt": lambda z: 1 / mpmath.sqrt(z),
    "exp": mpmath.exp,
    "exp2": lambda z: mpmath.exp(z * mpmath.log(2)),
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda z: mpmath.log(z) / mpmath.log(2),
    "log10": lambda z: mpmath.log(z) / mpmath.log(10),
    "log1p": lambda z: mpmath.log(1 + z),
    "logistic": lambda z: 1 / (1 + mpmath.exp(-z)),
    **{
        name: getattr(mpmath, name)
        for name in "sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh".split()
    },
    "square": lambda z: z * z,
    "abs": abs,
    "sign": lambda z: z / abs(z),
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
}
LOOSE = {("exp2", "complex128"): 12, ("pow", "complex128"): 80}


def evaluated(name, *arrays):
    function = functions.get(name) or to_real[name]
    parts = [Parts(Array(z.real.copy()), Array(z.imag.copy())) for z in arrays]
    out = function(*parts)
    if not isinstance(out, Parts):
        return np.asarray(out)
    result = np.empty(np.broadcast_shapes(out.real.shape, out.imag.shape), arrays[0].dtype)
    result.real, result.imag = np.asarray(out.real), np.asarray(out.imag)
    return result


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("name", REFERENCE)
def test_accuracy(name, dtype):
    rng = np.random.default_rng(0)
    count = 100
    size = 10.0 ** rng.uniform(-8, 1.3, count)
    size[: count // 4] = 1 + 1e-4 * rng.standard_normal(count // 4)  # where log|z| cancels
    z = (size * np.exp(1j * rng.uniform(-np.pi, np.pi, count))).astype(dtype)
    args = [z]
    if name in ("mul", "div", "pow"):
        args.append((rng.standard_normal(count) + 1j * rng.standard_normal(count)).astype(dtype))
    found = evaluated(name, *args)
    bound = LOOSE.get((name, dtype), 5) * np.finfo(dtype).eps
    with mpmath.workprec(160):
        for value, *operands in zip(found, *args):
            exact = REFERENCE[name](*(mpmath.mpc(complex(x)) for x in operands))
            assert abs(mpmath.mpc(complex(value)) - exact) <= bound * abs(exact), operands


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize(
    "name",
    "sqrt exp log abs is_finite sin cos sinh cosh tan tanh asin acos atan asinh acosh atanh conj".split(),
)
def test_infinities_zeros_and_cuts_are_numpys_where_it_gives_no_nan(name, dtype):
    values = np.array([0.0, -0.0, 0.5, -0.5, 2.0, -3.0, np.inf, -np.inf], REAL[dtype])
    real, imag = (a.ravel() for a in np.meshgrid(values, values, indexing="ij"))
    z = np.empty(real.size, dtype)
    z.real, z.imag = real, imag
    with np.errstate(all="ignore"):
        expected = np.asarray(primitives[name].bind(Array(z)))
        found = evaluated(name, z)
    if expected.dtype.kind != "c":
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE[dtype])
        return
    defined = ~np.isnan(expected.real) & ~np.isnan(expected.imag)
    for part in ("real", "imag"):
        a, e = getattr(found, part)[defined], getattr(expected, part)[defined]
        np.testing.assert_allclose(a, e, rtol=TOLERANCE[dtype], atol=1e-15)
        # The sign of zero says on which side of a cut a number lies.
        zero = (e == 0) & np.isfinite(z)[defined]
        np.testing.assert_array_equal(np.signbit(a[zero]), np.signbit(e[zero]))


def test_division_and_magnitude_do_not_overflow_on_the_way():
    z = np.array([3e200 + 4e200j, 3e-200 + 4e-200j])
    np.testing.assert_allclose(evaluated("abs", z), [5e200, 5e-200], rtol=1e-15)
    np.testing.assert_allclose(evaluated("div", z, z), [1, 1], rtol=1e-15)
    z = np.array([709.9 + 0.78j])  # e**709.9 is beyond the largest float64
    np.testing.assert_allclose(evaluated("exp", z), np.exp(z), rtol=1e-13)


def test_a_graph_without_complex_values_is_itself():
    graph, _ = staged(lambda x: [rnp.sin(x)], np.ones(3, "float32"))
    assert not has_complex(graph)
    assert complex_parts(graph) is graph


def test_literals_constants_and_weak_types():
    constant = np.array([1 + 2j, 3 - 1j], "complex64")
    z = np.array([0.5 - 1j, 2j], "complex64")
    check(lambda z: [z * 2j + 1, rnp.abs(z * rnp.asarray(constant))], z, tolerance=1e-6)


def test_real_and_complex_mix():
    x = np.linspace(-1, 1, 12).reshape(3, 4).astype("float32")

    def f(x):
        z = rnp.exp(1j * x)
        return [z, (z * rnp.conj(z)).real, rnp.sum(z, axis=0), z.astype("complex128"), z @ z.T]

    check(f, x, tolerance=3e-6)


def test_control_flow():
    def body(carry, x):
        z, n = carry
        z = lax.cond(rnp.abs(z) > 1.5, lambda z: z / 2, lambda z: z * (1 + 1j), z)
        return (z + x, n + 1), z.imag

    def f(z, xs):
        (z, n), ys = lax.scan(body, (z, 0), xs)
        w = lax.while_loop(lambda w: rnp.abs(w) < 10, lambda w: w * (1.1 + 0.3j), z + 1)
        return [z, ys, w]

    rng = np.random.default_rng(0)
    xs = (rng.standard_normal(6) + 1j * rng.standard_normal(6)).astype("complex64")
    # Some thirty steps, each of a rounding or two.
    rewritten = check(f, np.complex64(0.3 - 0.2j), xs, tolerance=2e-5)
    assert {e.primitive.name for e in rewritten.equations} >= {"scan", "while"}


def test_the_rewritten_graph_compiles_without_calls_into_python():
    rng = np.random.default_rng(1)
    a, b = (
        (rng.standard_normal(s) + 1j * rng.standard_normal(s)).astype("complex64")
        for s in ((5, 7), (7, 4))
    )

    def f(a, b):
        c = a @ b
        return [rnp.exp(c) / (1 + rnp.abs(c)), rnp.sum(c, axis=1), c.T[::-1], rnp.sort(c, axis=0)]

    graph, args = staged(f, a, b)
    executable = Executable(complex_parts(graph))
    assert not executable.hosts
    outs = executable([edge_array(x) for x in args])
    for actual, value in zip(outs, evaluate(graph, args), strict=True):
        # Products of sums of 7 terms in another order, and elementary functions within 2 ulp.
        np.testing.assert_allclose(actual, edge_array(value), rtol=2e-5, atol=2e-6)
