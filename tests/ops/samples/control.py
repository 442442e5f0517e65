"""Samples for `rtfunc.ops.call`, `branch`, `loop` and `scan`, traced from small functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.aval import Aval
from rtfunc.core.graph import Graph
from rtfunc.core.staging import trace_to_graph
from rtfunc.ops.arithmetic import add, div, mul, sub
from rtfunc.ops.comparison import gt, lt
from rtfunc.ops.convert import convert_element_type
from rtfunc.ops.exponential import exp
from rtfunc.ops.reduce import reduce_sum
from rtfunc.ops.select import select
from rtfunc.ops.shape import broadcast_in_dim, transpose
from rtfunc.ops.trigonometry import sin, tanh
from tests.ops.sample import Sample

X = np.array([0.7, -1.3, 0.4])
Y = np.array([-0.2, 0.9, 1.1])
SCALAR = np.array(0.6)
XS = np.array([[0.3, -0.8, 0.5], [1.1, 0.2, -0.6]])
COUNTS = np.array([2, 5, 1], "int32")


def index(i: int) -> np.ndarray:
    return np.array(i, "int32")


def traced(function: Callable[..., Sequence[Any]], *operands: np.ndarray) -> Graph:
    graph, captured = trace_to_graph(function, [Aval(x.shape, x.dtype) for x in operands])
    assert not captured
    return graph


def sample(args: Sequence[np.ndarray], params: dict[str, Any], note: str, **more: Any) -> Sample:
    """The Graphs are of one dtype, so no other is tried."""
    return Sample(tuple(args), params, dtypes=("float64",), note=note, **more)


# Calls


def gated(x, y):
    return [mul(sin(x), y), reduce_sum(mul(x, x)), gt(x, y)]


def call(name: str, function: Any, *args: np.ndarray, note: str) -> Sample:
    graph = traced(function, *args)
    if name == "jit_call":
        return sample(args, {"graph": graph, "name": function.__name__, "backend": None}, note)
    return sample(args, {"graph": graph, "policy": None, "prevent_cse": True}, note)


def keeps_sines(equation: Any) -> bool:
    return equation.primitive.name == "sin"


CALLS = {
    name: [
        call(name, gated, X, Y, note="several outputs"),
        call(name, gated, SCALAR, SCALAR / 2, note="0-d"),
        call(name, gated, X[:0], Y[:0], note="size 0"),
        call(name, lambda x, n: [n, x, mul(x, x)], X, COUNTS, note="inputs returned"),
        call(name, lambda x: [exp(sin(exp(sin(x))))], X[::-1], note="negative strides"),
    ]
    for name in ("jit_call", "checkpoint_call")
}
CALLS["checkpoint_call"].append(
    sample(
        (X, Y),
        {"graph": traced(gated, X, Y), "policy": keeps_sines, "prevent_cse": False},
        "policy",
    )
)


# Branches


def branches(*functions: Any, args: Sequence[np.ndarray], at: int, note: str) -> Sample:
    graphs = tuple(traced(f, *args) for f in functions)
    return sample((index(at), *args), {"branches": graphs}, note)


def product(x, y):
    return [mul(sin(x), y), signs(x)]


def signs(x):
    return convert_element_type(gt(x, 0.0), "int32")


def quotient(x, y):
    return [div(x, add(exp(y), 1.0)), signs(y)]


def constant(x, y):
    return [broadcast_in_dim(convert_element_type(2.5, x.dtype), x.shape, ()), signs(x)]


BRANCHES = [
    branches(product, quotient, args=(X, Y), at=0, note="first"),
    branches(product, quotient, args=(X, Y), at=1, note="second"),
    branches(product, constant, quotient, args=(X, Y), at=1, note="constant branch"),
    branches(product, constant, quotient, args=(X, Y), at=7, note="clamped above"),
    branches(product, quotient, args=(X, Y), at=-2, note="clamped below"),
    branches(product, quotient, args=(SCALAR, SCALAR * 2), at=1, note="0-d"),
    branches(product, quotient, args=(X[:0], X[:0]), at=1, note="size 0"),
    branches(lambda x, y: [y], lambda x, y: [x], args=(X, Y), at=1, note="operands returned"),
    branches(product, args=(X, Y), at=0, note="one branch"),
]


# while


def loop(condition: Any, body: Any, *args: np.ndarray, constants: tuple[int, int], note: str):
    for_condition, for_body = constants
    carry = args[for_condition + for_body :]
    params = {
        "condition": traced(condition, *args[:for_condition], *carry),
        "body": traced(body, *args[for_condition : for_condition + for_body], *carry),
        "condition_constants": for_condition,
        "body_constants": for_body,
    }
    return sample(args, params, note)


LOOPS = [
    loop(
        lambda end, i, x: [lt(i, end)],
        lambda w, i, x: [add(i, 1), sin(mul(w, x))],
        *(index(3), Y, index(0), X),
        constants=(1, 1),
        note="counter",
    ),
    loop(
        lambda x, total: [lt(reduce_sum(total), 4.0)],
        lambda x, total: [mul(x, 1.25), add(total, mul(x, x))],
        *(X, Y),
        constants=(0, 0),
        note="stops by value",
    ),
    loop(
        lambda end, x: [lt(x, end)],
        lambda w, x: [mul(x, w)],
        *(np.array(40.0), np.array(1.7), SCALAR),
        constants=(1, 1),
        note="0-d, power of a constant",
    ),
    loop(
        lambda i: [lt(i, 0)],
        lambda i: [add(i, 1)],
        *(index(3),),
        constants=(0, 0),
        note="no step",
    ),
    loop(
        lambda n, m: [gt(n, 1)],
        lambda n, m: [select(gt(n, 2), sub(n, 1), sub(n, 2)), mul(m, n)],
        *(index(4), np.array(1, "int32")),
        constants=(0, 0),
        note="integers",
    ),
]


# scan


def scan(
    body: Any,
    constants: Sequence[np.ndarray],
    carry: Sequence[np.ndarray],
    xs: Sequence[np.ndarray],
    *,
    length: int,
    note: str,
    reverse: bool = False,
) -> Sample:
    slices = [np.zeros(x.shape[1:], x.dtype) for x in xs]
    params = {
        "body": traced(body, *constants, *carry, *slices),
        "constants": len(constants),
        "carry": len(carry),
        "length": length,
        "reverse": reverse,
        "unroll": 1,
    }
    return sample((*constants, *carry, *xs), params, note)


def recurrent(w, h, x):
    h = tanh(add(mul(w, h), x))
    return [h, h]


def hidden(w, h, n, x):
    scaled = mul(exp(w), h)  # exp(w) does not change from step to step
    return [add(sin(scaled), x), add(n, 1), mul(scaled, h), n]


SCANS = [
    scan(recurrent, [Y], [X], [XS], length=2, note="recurrent"),
    scan(recurrent, [Y], [X], [XS], length=2, reverse=True, note="reverse"),
    scan(recurrent, [Y], [X], [XS[:0]], length=0, note="length 0"),
    scan(recurrent, [Y], [X], [XS[:1]], length=1, note="length 1"),
    scan(recurrent, [SCALAR], [SCALAR], [Y], length=3, note="0-d"),
    scan(recurrent, [X[:0]], [X[:0]], [XS[:, :0]], length=2, note="size 0"),
    scan(hidden, [Y], [X, index(2)], [XS], length=2, note="invariant, integer carry"),
    scan(lambda x: [mul(x, x)], [], [], [XS[::-1, ::-1]], length=2, note="map, negative strides"),
    scan(lambda w, h: [mul(w, sin(h))], [Y], [X], [], length=3, note="no xs"),
    scan(lambda a, b: [b, mul(a, b)], [], [X, Y], [], length=4, note="exchanged carries"),
    scan(lambda a, b, x: [a, mul(a, add(b, x))], [], [X, Y], [XS], length=2, note="carry kept"),
    scan(
        lambda w, h, x, n: [add(h, mul(transpose(w), x)), select(gt(n, 1), x, h)],
        *(
            [np.stack([X, Y, X * Y])],
            [np.stack([Y, X, Y])],
            [np.stack([XS] * 2)[:, :1], COUNTS[:2]],
        ),
        length=2,
        note="matrices and integers",
    ),
]

SAMPLES = {**CALLS, "cond": BRANCHES, "while": LOOPS, "scan": SCANS}
