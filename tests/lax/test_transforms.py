"""All transforms of all kinds of control flow, against the same programs unrolled in Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import rtfunc.lax
from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat, to_axis
from rtfunc.core.dtypes import is_inexact
from rtfunc.core.execution import executors, use_backend
from rtfunc.core.forward import jvp_flat
from rtfunc.core.graph import evaluate
from rtfunc.core.primitive import BatchAxis
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from tests.lax import unrolled
from tests.lax.programs import PROGRAMS

#: float64; the two sides add in different orders.
TOLERANCE = 1e-11
BATCH = 3

every_program = pytest.mark.parametrize("name", PROGRAMS)
pushable = pytest.mark.parametrize("name", [n for n, p in PROGRAMS.items() if p.forward])
reversible = pytest.mark.parametrize("name", [n for n, p in PROGRAMS.items() if p.reverse])


every_backend = pytest.mark.parametrize("backend", sorted(executors))


@pytest.fixture(autouse=True)
def backend_of_loops(request):
    """Eager loops run in Python, but for tests that name a backend."""
    with use_backend(request.node.callspec.params.get("backend", "reference")):
        yield


def arrays(program):
    return [Array(a) for a in program.args]


def both(name):
    run = PROGRAMS[name].run
    return [lambda *xs, lax=lax: run(lax, *xs) for lax in (rtfunc.lax, unrolled)]


def direction(like, seed):
    return Array(np.random.default_rng(seed).normal(size=like.shape))


def assert_same(found, expected):
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected)):
        if a is None and b is None:  # a zero derivative
            continue
        a = np.zeros(b.shape) if a is None else np.asarray(a)
        b = np.zeros(a.shape) if b is None else np.asarray(b)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"output {i}")


def forward(function, n):
    """The derivative of `function` as a function of (operands, tangents)."""

    def pushed(*values):
        xs, ts = values[:n], values[n:]
        given = iter(ts)
        tangents = [next(given) if is_inexact(x.dtype) else None for x in xs]
        return [o * 0.0 if t is None else t for o, t in zip(*jvp_flat(function, xs, tangents))]

    return pushed


def backward(function, n):
    """The pullback of `function` as a function of (operands, cotangents)."""

    def pulled(*values):
        xs, cts = values[:n], values[n:]
        _, pullback = vjp_flat(function, xs, [True] * n)
        into = pullback(list(cts))
        return [x * 0.0 if ct is None else ct for x, ct in zip(xs, into) if is_inexact(x.dtype)]

    return pulled


def with_tangents(args):
    return [*args, *(direction(a, i) for i, a in enumerate(args) if is_inexact(a.dtype))]


def with_cotangents(function, args):
    return [*args, *(direction(o, 50 + i) for i, o in enumerate(function(*args)))]


@every_backend
@every_program
def test_values(name, backend):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    assert_same(structured(*args), plain(*args))


@pushable
def test_forward_mode(name):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    values = with_tangents(args)
    assert_same(forward(structured, len(args))(*values), forward(plain, len(args))(*values))


@pushable
def test_forward_mode_of_each_operand(name):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    for i, x in enumerate(args):
        tangents = [direction(x, i) if i == j else None for j in range(len(args))]
        assert_same(*(jvp_flat(function, args, tangents)[1] for function in (structured, plain)))


@every_backend
@reversible
def test_reverse_mode(name, backend):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    values = with_cotangents(plain, args)
    assert_same(backward(structured, len(args))(*values), backward(plain, len(args))(*values))


@reversible
def test_reverse_mode_of_each_operand_and_output(name):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    outs = plain(*args)
    for i, j in itertools.product(range(len(args)), range(len(outs))):
        needed = [i == k for k in range(len(args))]
        cts = [direction(o, j) if k == j else None for k, o in enumerate(outs)]
        found = vjp_flat(structured, args, needed)[1](cts)
        expected = vjp_flat(plain, args, needed)[1](cts)
        assert_same([found[i]], [expected[i]])


@reversible
@pytest.mark.parametrize(
    "order", ["forward over reverse", "reverse over reverse", "reverse over forward"]
)
def test_second_order(name, order):
    if "forward" in order and not PROGRAMS[name].forward:
        pytest.skip("a custom_vjp rule has no forward mode")
    args = arrays(PROGRAMS[name])
    n = len(args)
    results = []
    for function in both(name):
        if order == "forward over reverse":
            values = with_cotangents(function, args)
            second = forward(backward(function, n), len(values))
            values = with_tangents(values)
        elif order == "reverse over reverse":
            values = with_cotangents(function, args)
            first = backward(function, n)
            second = backward(first, len(values))
            values = with_cotangents(first, values)
        else:
            values = with_tangents(args)
            first = forward(function, n)
            second = backward(first, len(values))
            values = with_cotangents(first, values)
        results.append(second(*values))
    assert_same(*results)


def varied(x):
    """A batch of values like `x`: numbers that differ, integers that do not."""
    numbers = [1 - b / 8 if is_inexact(x.dtype) else 1 for b in range(BATCH)]
    return [Array(np.asarray(np.asarray(x) * n, x.dtype)) for n in numbers]


def assert_batched(function, plain, args, subsets):
    """`function` over a batch does what `plain` does to each member."""
    members = [varied(x) for x in args]
    for chosen in subsets:
        stacked = [
            Array(np.stack([np.asarray(m) for m in members[i]], min(x.ndim, i % 2)))
            if i in chosen
            else x
            for i, x in enumerate(args)
        ]
        axes = [min(x.ndim, i % 2) if i in chosen else None for i, x in enumerate(args)]
        outs, out_axes = batch_flat(function, BatchAxis(BATCH), stacked, axes)
        expected = [
            plain(*(members[i][b] if i in chosen else x for i, x in enumerate(args)))
            for b in range(BATCH)
        ]
        for i, (out, axis) in enumerate(zip(outs, out_axes)):
            want = np.stack([np.asarray(e[i]) for e in expected])
            got = np.asarray(out) if axis is None else np.moveaxis(np.asarray(out), axis, 0)
            assert axis is None or got.shape == want.shape
            np.testing.assert_allclose(
                np.broadcast_to(got, want.shape),
                want,
                rtol=TOLERANCE,
                atol=TOLERANCE,
                err_msg=f"output {i}, operands {chosen} batched",
            )


def all_subsets(n):
    return [s for k in range(1, n + 1) for s in itertools.combinations(range(n), k)]


@every_program
def test_batched(name):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    assert_batched(structured, plain, args, all_subsets(len(args)))


@pushable
def test_batched_forward_mode(name):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    values, n = with_tangents(args), len(args)
    subsets = [tuple(range(len(values))), (0,), (n,)]
    assert_batched(forward(structured, n), forward(plain, n), values, subsets)


@reversible
def test_batched_gradient(name):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    values, n = with_cotangents(plain, args), len(args)
    subsets = [tuple(range(len(values))), *((i,) for i in range(len(values)))]
    assert_batched(backward(structured, n), backward(plain, n), values, subsets)


@reversible
def test_gradient_of_batched(name):
    args = arrays(PROGRAMS[name])
    n = len(args)

    structured, plain = both(name)

    def batched(*xs):
        outs, axes = batch_flat(structured, BatchAxis(BATCH), xs, [0] * n)
        return [to_axis(o, a, 0, BATCH) for o, a in zip(outs, axes)]

    variations = [varied(x) for x in args]
    stacked = [Array(np.stack([np.asarray(x) for x in xs])) for xs in variations]
    values = with_cotangents(batched, stacked)
    found = backward(batched, n)(*values)
    for b, member in enumerate(zip(*variations)):
        cotangents = [Array(np.asarray(ct)[b, ...]) for ct in values[n:]]
        expected = backward(plain, n)(*member, *cotangents)
        assert_same([Array(np.asarray(f)[b, ...]) for f in found], expected)


@every_program
def test_staged(name):
    structured, _ = both(name)
    args = arrays(PROGRAMS[name])
    assert_staged(structured, args)
    if PROGRAMS[name].forward:
        assert_staged(forward(structured, len(args)), with_tangents(args))


@reversible
def test_staged_gradient(name):
    structured, plain = both(name)
    args = arrays(PROGRAMS[name])
    assert_staged(backward(structured, len(args)), with_cotangents(plain, args))


def assert_staged(function, args):
    graph, captured = trace_to_graph(function, [a.aval for a in args])
    graph.check()
    assert_same(evaluate(graph, [*captured, *args]), function(*args))
