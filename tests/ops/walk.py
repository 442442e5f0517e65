"""The checks that the registry walk (`test_registry.py`) makes of every primitive and sample.

Each check takes a primitive and a `Sample` and raises AssertionError. Derivatives are compared
along random directions with central differences of fourth order in float64, complex numbers
counting as pairs of reals; cotangents follow JAX's convention, in which reverse mode preserves
`sum(real(cotangent * output tangent))`.
"""

from __future__ import annotations

import importlib
import itertools
import pathlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import rtfunc.numpy
import rtfunc.ops
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat
from rtfunc.core.errors import RtfuncError
from rtfunc.core.forward import jvp_flat
from rtfunc.core.graph import Graph, evaluate
from rtfunc.core.primitive import BatchAxis, Primitive, zeros_like
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from tests.ops.sample import Sample

for _module in pkgutil.iter_modules(rtfunc.ops.__path__):
    importlib.import_module(f"rtfunc.ops.{_module.name}")  # registers its primitives

#: Step of the finite differences. With the fourth-order stencil the truncation error is about
#: STEP**4 = 1e-16 times the fifth derivative, and the rounding error 1e-16 / STEP = 1e-12.
STEP = 1e-4
#: Relative to the largest element: the errors above, with room for derivatives that grow.
TOLERANCE = 2e-7
#: Batched kernels may sum in another order than single ones.
BATCH_TOLERANCE = 1e-11
BATCH_SIZE = 3

Function = Callable[..., list[Any]]


def samples() -> dict[str, list[Sample]]:
    """All samples by primitive, from the modules in `tests/ops/samples`."""
    folder = pathlib.Path(__file__).parent / "samples"
    found: dict[str, list[Sample]] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules([str(folder)])):
        for name, items in importlib.import_module(f"tests.ops.samples.{module}").SAMPLES.items():
            found.setdefault(name, []).extend(items)
    return found


def function_of(primitive: Primitive, params: dict[str, Any]) -> Function:
    """The primitive as a function from Arrays to a list of Arrays."""

    def apply(*args: Any) -> list[Any]:
        out = primitive.bind(*args, **params)
        return list(out) if primitive.multiple_results else [out]

    return apply


def operands(sample: Sample, dtype: str = "float64", weak_type: bool = False) -> list[Array]:
    """The operands with the floating-point ones as `dtype` (complex ones as its complex dtype)."""
    return [Array(_as_dtype(np.asarray(a), dtype), weak_type) for a in sample.args]


def _as_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    target = dtypes.as_dtype(dtype)
    if dtypes.is_complex(x.dtype):
        return x.astype(dtypes.complex_of(target)) if dtypes.is_inexact(target) else x
    with np.errstate(all="ignore"):  # NaN to an integer
        return x.astype(target) if dtypes.is_float(x.dtype) else x


def _values(arrays: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(a) for a in arrays]


def _wide(x: np.ndarray) -> np.ndarray:
    """float16 and the like as float64, for comparisons by NumPy."""
    return x.astype(np.float64) if dtypes.is_float(x.dtype) else x


def assert_same(found: Any, expected: Any, what: str, tolerance: float = 0.0) -> None:
    """Equal shape and dtype, values within `tolerance` times the largest expected one."""
    a, b = np.asarray(found), np.asarray(expected)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    assert a.dtype == b.dtype, f"{what}: dtype {a.dtype}, expected {b.dtype}"
    assert_close(a, b, what, tolerance)


def assert_close(found: Any, expected: Any, what: str, tolerance: float) -> None:
    """Values within `tolerance` times the largest expected one, or 1; NaN equals NaN."""
    a, b = _wide(np.asarray(found)), _wide(np.asarray(expected))
    finite = b[np.isfinite(b)]
    scale = max(1.0, float(np.max(np.abs(finite)))) if finite.size else 1.0
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale, err_msg=what)


# What comes out


def has_all_rules(primitive: Primitive) -> None:
    missing = [
        rule
        for rule, value in (
            ("infer", primitive.infer_rule),
            ("impl", primitive.impl),
            ("jvp", primitive.jvp),
            ("vjp", primitive.vjp),
            ("batch", primitive.batch),
        )
        if value is None
    ]
    assert not missing, f"{primitive.name} has no rule {', '.join(missing)}"


#: Tried beside a sample's own dtypes, where the primitive's shape rule accepts them.
_other_dtypes = ("float16", "bfloat16", "int8", "uint8", "int32", "int64", "uint32", "bool")


def _variants(primitive: Primitive, sample: Sample) -> Iterator[tuple[str, list[Array]]]:
    """The operands in the sample's dtypes, in others that the primitive takes, and weakly typed."""
    has_floats = any(dtypes.is_float(np.asarray(a).dtype) for a in sample.args)
    own = sample.dtypes if has_floats else sample.dtypes[:1]
    for dtype in own:
        yield dtype, operands(sample, dtype)
        yield f"weak {dtype}", operands(sample, dtype, weak_type=True)
    if not has_floats or any(isinstance(p, (Graph, np.dtype)) for p in sample.params.values()):
        return
    for dtype in _other_dtypes:
        if dtype in own:
            continue
        args = operands(sample, dtype)
        try:
            primitive.infer([a.aval for a in args], sample.params)
        except RtfuncError:
            continue
        yield dtype, args


def inferred_is_computed(primitive: Primitive, sample: Sample) -> None:
    """The shape rule says exactly what the eager computation returns."""
    for dtype, args in _variants(primitive, sample):
        inferred = primitive.infer([a.aval for a in args], sample.params)
        inferred = list(inferred) if primitive.multiple_results else [inferred]
        outs = function_of(primitive, sample.params)(*args)
        assert len(outs) == len(inferred)
        for out, aval in zip(outs, inferred):
            assert isinstance(out._buffer, np.ndarray), f"{dtype}: {type(out._buffer)}"
            assert out.aval == aval, f"{dtype}: computed {out.aval}, inferred {aval}"
            assert all(type(n) is int for n in aval.shape), f"{dtype}: sizes of {aval.shape}"


def staged_is_eager(primitive: Primitive, sample: Sample) -> None:
    """A Graph of the primitive checks, and evaluates to what it computes eagerly."""
    for dtype, args in _variants(primitive, sample):
        _assert_staged(function_of(primitive, sample.params), args, f"{primitive.name}, {dtype}")


def _assert_staged(function: Function, args: Sequence[Array], what: str) -> None:
    expected = function(*args)
    graph, captured = trace_to_graph(function, [a.aval for a in args])
    graph.check()
    found = evaluate(graph, [*captured, *args])
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected)):
        assert a.aval == b.aval, f"{what}: output {i} staged {a.aval}, eager {b.aval}"
        assert a.aval == graph.out_avals[i]
        assert_same(a, b, f"{what}: output {i} staged")


# Batching


def batched_is_looped(primitive: Primitive, sample: Sample) -> None:
    """The batch rule does what a Python loop does, for every choice of batched operands."""
    _assert_batched(function_of(primitive, sample.params), operands(sample), primitive.name)


def _subsets(n: int) -> list[tuple[int, ...]]:
    if n <= 3:
        return [s for k in range(1, n + 1) for s in itertools.combinations(range(n), k)]
    return [*((i,) for i in range(n)), tuple(range(n))]


_places = {"first": lambda ndim: 0, "last": lambda ndim: ndim, "middle": lambda ndim: ndim // 2}


def _assert_batched(
    function: Function,
    args: Sequence[Array],
    what: str,
    subsets: Sequence[tuple[int, ...]] | None = None,
    tolerance: float = BATCH_TOLERANCE,
) -> None:
    members = [_members(np.asarray(a)) for a in args]
    tried = set()
    for chosen in _subsets(len(args)) if subsets is None else subsets:
        expected = [
            function(*(Array(members[i][b]) if i in chosen else a for i, a in enumerate(args)))
            for b in range(BATCH_SIZE)
        ]
        for axes in _axes(args, chosen):
            if (chosen, axes) in tried:
                continue
            tried.add((chosen, axes))
            values = [
                a if axis is None else Array(np.stack(members[i], axis))
                for i, (a, axis) in enumerate(zip(args, axes))
            ]
            outs, out_axes = batch_flat(function, BatchAxis(BATCH_SIZE), values, axes)
            for i, (out, axis) in enumerate(zip(outs, out_axes)):
                stacked = np.stack([np.asarray(e[i]) for e in expected])
                if axis is None:
                    out = np.broadcast_to(np.asarray(out), stacked.shape)
                else:
                    out = np.moveaxis(np.asarray(out), axis, 0)
                assert_same(out, stacked, f"{what}: output {i} at batch axes {axes}", tolerance)


def _axes(args: Sequence[Array], chosen: tuple[int, ...]) -> Iterator[tuple[int | None, ...]]:
    for place in _places.values():
        yield tuple(place(a.ndim) if i in chosen else None for i, a in enumerate(args))
    if len(chosen) > 1:  # at different places in different operands
        places = itertools.cycle(_places.values())
        yield tuple(next(places)(a.ndim) if i in chosen else None for i, a in enumerate(args))


def _members(x: np.ndarray) -> list[np.ndarray]:
    """Variations of `x` that are as valid as it is: floats shrink, integers move along."""
    if dtypes.is_inexact(x.dtype):
        with np.errstate(all="ignore"):
            return [np.asarray(x * (1 - b / 16)).astype(x.dtype) for b in range(BATCH_SIZE)]
    if x.ndim:
        return [np.roll(x, b, axis=0) for b in range(BATCH_SIZE)]
    if x.dtype == np.bool_:
        return [np.asarray(bool(x) ^ bool(b % 2)) for b in range(BATCH_SIZE)]
    return [x] * BATCH_SIZE


# Derivatives


def _generator(primitive: Primitive) -> np.random.Generator:
    return np.random.default_rng([ord(c) for c in primitive.name])


def _direction(generator: np.random.Generator, like: Array) -> Array:
    value = generator.normal(size=like.shape)
    if dtypes.is_complex(like.dtype):
        value = value + 1j * generator.normal(size=like.shape)
    return Array(np.asarray(value).astype(like.dtype))


def _inner(a: Sequence[Any], b: Sequence[Any]) -> float:
    """JAX's pairing of cotangents with tangents; None is zero."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return sum(
            float(np.sum(np.real(np.asarray(x) * np.asarray(y))))
            for x, y in zip(a, b, strict=True)
            if x is not None and y is not None
        )


def _finite_difference(
    function: Function, args: Sequence[Array], tangents: Sequence[Any]
) -> list[np.ndarray]:
    """The derivative of `function` along `tangents` (None: zero), by a fourth-order stencil."""

    def at(step: float) -> list[np.ndarray]:
        moved = [
            a if t is None else Array(np.asarray(np.asarray(a) + step * np.asarray(t)))
            for a, t in zip(args, tangents)
        ]
        return _values(function(*moved))

    far, near = 2 * STEP, STEP
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return [
            (a - 8 * b + 8 * c - d) / (12 * STEP)
            for a, b, c, d in zip(at(-far), at(-near), at(near), at(far))
        ]


def _differentiable(arrays: Sequence[Array]) -> list[int]:
    return [i for i, a in enumerate(arrays) if dtypes.is_inexact(a.dtype)]


def _inexact_outputs(function: Function, args: Sequence[Array]) -> tuple[Function, list[Array]]:
    """`function` with its outputs of inexact dtype only, and those outputs at `args`."""
    outs = function(*args)
    kept = _differentiable(outs)

    def kept_only(*xs: Any) -> list[Any]:
        results = function(*xs)
        return [results[i] for i in kept]

    return kept_only, [outs[i] for i in kept]


def _groups(indices: list[int]) -> list[tuple[int, ...]]:
    """All of them together, then each alone: rules must cope with zero tangents."""
    return [tuple(indices), *((i,) for i in indices if len(indices) > 1)]


def pushed_is_difference(primitive: Primitive, sample: Sample) -> None:
    """The jvp rule agrees with finite differences."""
    args = operands(sample)
    function, outs = _inexact_outputs(function_of(primitive, sample.params), args)
    if not outs or not _differentiable(args):
        return
    _assert_pushed(function, args, _generator(primitive), sample.check_derivatives, primitive.name)


def _assert_pushed(
    function: Function,
    args: Sequence[Array],
    generator: np.random.Generator,
    check_values: bool,
    what: str,
) -> None:
    for group in _groups(_differentiable(args)):
        tangents = [_direction(generator, a) if i in group else None for i, a in enumerate(args)]
        outs, pushed = jvp_flat(function, args, tangents)
        for i, (out, t) in enumerate(zip(outs, pushed)):
            if t is not None:
                assert (t.shape, t.dtype) == (out.shape, out.dtype), (
                    f"{what}: the tangent of output {i}, {out.aval}, is {t.aval}"
                )
        if check_values:
            for i, difference in enumerate(_finite_difference(function, args, tangents)):
                t = zeros_like(outs[i]) if pushed[i] is None else pushed[i]
                assert_close(t, difference, f"{what}: jvp to output {i} of {group}", TOLERANCE)


def pulled_is_pushed_transposed(primitive: Primitive, sample: Sample) -> None:
    """The vjp rule is the transpose of the jvp rule: it keeps the pairing with cotangents."""
    args = operands(sample)
    function, outs = _inexact_outputs(function_of(primitive, sample.params), args)
    if outs and _differentiable(args):
        _assert_pulled(function, args, outs, _generator(primitive), primitive.name)


def _rounding(arrays: Sequence[Array]) -> float:
    """The tolerance for sums of the narrowest dtype among `arrays`, float64's at least."""
    eps = max(float(dtypes.finfo(a.dtype).eps) for a in arrays if dtypes.is_inexact(a.dtype))
    return 4 * eps if eps > 1e-10 else 1e-10


def _assert_pulled(
    function: Function,
    args: Sequence[Array],
    outs: Sequence[Array],
    generator: np.random.Generator,
    what: str,
) -> None:
    tolerance = _rounding([*args, *outs])
    for group in _groups(_differentiable(args)):
        tangents = [_direction(generator, a) if i in group else None for i, a in enumerate(args)]
        _, pushed = jvp_flat(function, args, tangents)
        _, pullback = vjp_flat(function, args, [i in group for i in range(len(args))])
        for targets in _groups(list(range(len(outs)))):
            ct = [_direction(generator, o) if i in targets else None for i, o in enumerate(outs)]
            pulled = pullback(ct)
            for i in group:
                if pulled[i] is not None:
                    found, expected = pulled[i].aval, args[i].aval
                    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), (
                        f"{what}: the cotangent of operand {i}, {expected}, is {found}"
                    )
            by_jvp, by_vjp = _inner(ct, pushed), _inner(pulled, tangents)
            scale = 1.0 + sum(
                float(np.sum(np.abs(np.asarray(c) * np.asarray(t))))
                for c, t in zip(ct, pushed)
                if c is not None and t is not None
            )
            if np.isfinite(by_jvp) or np.isfinite(by_vjp):
                assert abs(by_jvp - by_vjp) <= tolerance * scale, (
                    f"{what}: <ct, jvp> = {by_jvp} but <vjp, t> = {by_vjp}, operands {group}, "
                    f"outputs {targets}"
                )


def _gradient(function: Function, n: int) -> Function:
    """The pullback as a function of n operands and cotangents; it returns the nonzero ones."""

    def pull(*values: Any) -> list[Any]:
        _, pullback = vjp_flat(function, values[:n], [True] * n)
        return [ct for ct in pullback(values[n:]) if ct is not None]

    return pull


def second_derivatives(primitive: Primitive, sample: Sample) -> None:
    """Forward over reverse, reverse over reverse and forward over forward are right."""
    generator = _generator(primitive)
    args = operands(sample)
    function, outs = _inexact_outputs(function_of(primitive, sample.params), args)
    if not outs or not _differentiable(args):
        return
    pull = _gradient(function, len(args))
    values = [*args, *(_direction(generator, o) for o in outs)]
    pulled = pull(*values)
    if not pulled:
        return
    name = f"gradient of {primitive.name}"
    _assert_pushed(pull, values, generator, sample.check_derivatives, name)
    _assert_pulled(pull, values, pulled, generator, name)

    tangents = [_direction(generator, a) for a in args]

    def push(*xs: Any) -> list[Any]:
        ts = [t if dtypes.is_inexact(x.dtype) else None for x, t in zip(xs, tangents)]
        return [t for t in jvp_flat(function, xs, ts)[1] if t is not None]

    _assert_pushed(push, args, generator, sample.check_derivatives, f"jvp of {primitive.name}")


def gradient_nests(primitive: Primitive, sample: Sample) -> None:
    """The vjp rule can be staged and batched, and keeps the dtypes of operands."""
    for dtype in sample.dtypes:
        args = operands(sample, dtype)
        function, outs = _inexact_outputs(function_of(primitive, sample.params), args)
        if not outs or not _differentiable(args):
            return
        generator = _generator(primitive)
        n = len(args)
        pull = _gradient(function, n)
        values = [*args, *(_direction(generator, o) for o in outs)]
        pulled = vjp_flat(function, args, [True] * n)[1](values[n:])
        for a, ct in zip(args, pulled):
            if ct is not None:
                assert (ct.shape, ct.dtype) == (a.shape, a.dtype), (
                    f"{dtype}: {ct.aval} for {a.aval}"
                )
        if dtype != "float64":
            continue
        _assert_staged(pull, values, f"gradient of {primitive.name}")
        everything = [tuple(range(len(values)))]
        _assert_batched(pull, values, f"gradient of {primitive.name}", everything, tolerance=1e-9)
