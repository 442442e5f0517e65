"""Programs with control flow, written against a namespace: `rtfunc.lax` or its unrolled twin.

Each takes the namespace and flat Arrays, and returns a list of Arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import rtfunc.numpy  # noqa: F401
from rtfunc.ops.arithmetic import maximum, mul
from rtfunc.ops.convert import convert_element_type
from rtfunc.ops.exponential import exp
from rtfunc.ops.reduce import reduce_sum
from rtfunc.ops.trigonometry import cos, sin, tanh
from rtfunc.transforms.checkpoint import checkpoint
from rtfunc.transforms.custom import custom_jvp, custom_vjp, stop_gradient
from rtfunc.transforms.jit import jit

_generator = np.random.default_rng(7)


def values(*shape: int) -> np.ndarray:
    return _generator.uniform(-1.0, 1.0, shape)


@dataclasses.dataclass(frozen=True)
class Program:
    """A program, operands for it, and which modes of differentiation go through."""

    run: Callable[..., list[Any]]
    args: tuple[np.ndarray, ...]
    reverse: bool = True
    forward: bool = True


PROGRAMS: dict[str, Program] = {}


def program(*args: Any, **modes: bool) -> Callable[[Any], Any]:
    def register(run: Any) -> Any:
        PROGRAMS[run.__name__] = Program(run, tuple(np.asarray(a) for a in args), **modes)
        return run

    return register


@program(values(3), values(3), values(3), values(4, 3))
def recurrent(lax, w, b, h, xs):
    def step(h, x):
        h = tanh(w * h + x + b)
        return h, h

    return list(lax.scan(step, h, xs))


@program(values(3), values(3), values(4, 3))
def recurrent_reverse(lax, w, h, xs):
    last, ys = lax.scan(lambda h, x: (tanh(w * h + x), h * x), h, xs, reverse=True)
    return [last, ys]


@program(values(3), values(3), values(1, 3))
def one_step(lax, w, h, xs):
    return list(lax.scan(lambda h, x: (sin(w * h * x), h), h, xs))


@program(values(3), values(3), values(4, 3))
def tree_carry(lax, w, h, xs):
    def step(carry, x):
        new = {"h": tanh(w * carry["h"] + x), "n": carry["n"] + 1, "kept": carry["kept"]}
        return new, (None, {"y": mul(new["h"], carry["kept"]), "n": carry["n"]})

    carry, (_, ys) = lax.scan(step, {"h": h, "n": 0, "kept": w}, xs)
    return [carry["h"], carry["kept"], ys["y"]]


@program(values(3), values(3), values(4, 3))
def invariants(lax, w, h, xs):
    def step(h, x):
        scale = sin(exp(w))  # depends on constants alone
        return h * scale + x, h * h * cos(scale)

    return list(lax.scan(step, h, xs))


@program(values(3), values(3))
def exchanged(lax, a, b):
    def step(carry, _):
        a, b = carry
        return (b, sin(a) * b), a

    (a, b), ys = lax.scan(step, (a, b), None, length=4)
    return [a, b, ys]


@program(values(3), values(3))
def equal_carries(lax, a, b):
    def step(carry, _):
        a, b = carry
        c = sin(a * b)
        return (c, c), None

    (a, b), _ = lax.scan(step, (a, b), length=3)
    return [a, b]


@program(values(3), values(2), values(4, 3))
def not_differentiated(lax, h, time, xs):
    def step(carry, x):
        h, time, total = carry
        time = stop_gradient(time) * 1.5
        return (tanh(h + x), time, total + stop_gradient(h)), (h * reduce_sum(time), time)

    (h, time, total), (ys, times) = lax.scan(step, (h, time, h), xs)
    return [h, time, total, ys, times]


@program(values(2), values(4, 2), np.array([1, 0, 2, 1], "int32"))
def integer_slices(lax, h, xs, counts):
    def step(h, x):
        x, n = x
        power = convert_element_type(n, h.dtype)
        return sin(h * power + x), (n + 1, h)

    last, (_, ys) = lax.scan(step, h, (xs, counts))
    return [last, ys]


@program(values(2), values(2), values(3, 2, 2))
def nested(lax, w, h, xs):
    def outer(h, x):
        def inner(k, y):
            k = tanh(w * k + y * h)
            return k, k * h

        k, ys = lax.scan(inner, h, x)
        return k + h, reduce_sum(ys, 0)

    return list(lax.scan(outer, h, xs))


@program(values(2), np.array([[0.5, -0.4], [-0.3, -0.1], [0.8, 0.9]]))
def cond_in_scan(lax, h, xs):
    def step(h, x):
        h = lax.cond(reduce_sum(x) > 0, lambda h: sin(h * x), lambda h: h + cos(x), h)
        return h, h

    return list(lax.scan(step, h, xs))


@program(values(2), values(2), np.array([-1, 0, 1, 5], "int32"))
def switch_in_scan(lax, w, h, kinds):
    branches = [lambda h: h * w, lambda h: sin(h) + w, lambda h: h * 0.0 + 1.0]

    def step(h, kind):
        return lax.switch(kind, branches, h), h

    return list(lax.scan(step, h, kinds))


@program(np.array(0.7), values(2), values(3, 2))
def scan_in_cond(lax, p, h, xs):
    def looped(h):
        return lax.scan(lambda h, x: (tanh(h + x) * p, h), h, xs)

    def plain(h):
        return h * reduce_sum(xs, 0), xs * 2.0

    first = lax.cond(p > 0.5, looped, plain, h)
    second = lax.cond(p > 0.8, looped, plain, h)
    return [*first, *second]


@program(np.array(1.2), np.array(0.3), values(3))
def branches(lax, p, x, y):
    first = lax.cond(p > 1, lambda x, y: {"a": x * y, "b": y}, lambda x, y: {"a": y, "b": y}, x, y)
    second = lax.cond(p < 1, lambda: sin(x) * p, lambda: 0.0)
    third = lax.switch(2, [lambda v: v, lambda v: exp(v), lambda v: sin(v) * cos(v)], y)
    return [first["a"], first["b"], second + x, third]


@program(values(3), values(3))
def static_loop(lax, w, x):
    return [lax.fori_loop(1, 5, lambda i, x: sin(w * x) + i, x), lax.fori_loop(3, 1, step_of(w), x)]


def step_of(w):
    return lambda i, x: x * w


@program(values(3), values(4, 3))
def mapped(lax, w, xs):
    return [
        lax.map(lambda x: sin(x) * w, xs),
        lax.map(lambda x: reduce_sum(sin(x) * w), xs, batch_size=3),
    ]


@program(values(5, 2), values(5, 2))
def affine_prefixes(lax, a, b):
    def compose(one, two):
        return one[0] * two[0], two[0] * one[1] + two[1]

    return [
        *lax.associative_scan(compose, (a, b)),
        *lax.associative_scan(compose, (a, b), reverse=True),
    ]


@program(values(2), values(2), values(3, 2))
def custom_rules_inside(lax, w, h, xs):
    @custom_jvp
    def halved(x):
        return x * x

    halved.defjvp(lambda primals, tangents: (halved(*primals), tangents[0] * primals[0]))

    def step(h, x):
        return stop_gradient(w) * halved(h) + x, halved(h * x)

    return list(lax.scan(step, h, xs))


@program(values(2), values(2), values(3, 2), forward=False)
def custom_vjp_inside(lax, w, h, xs):
    @custom_vjp
    def scaled(x, y):
        return x * y

    scaled.defvjp(lambda x, y: (x * y, (x, y)), lambda kept, ct: (ct * kept[1] * 3.0, None))

    def step(h, x):
        h = sin(scaled(h, w)) + x
        return h, scaled(x, h)

    return list(lax.scan(step, h, xs))


@program(values(2), values(2), values(3, 2))
def calls_inside(lax, w, h, xs):
    @jit
    def cell(h, x):
        return tanh(w * h + x)

    @checkpoint
    def layer(h):
        return sin(cos(h) * w)

    return list(lax.scan(lambda h, x: (layer(cell(h, x)), cell(x, h)), h, xs))


@program(values(2), values(2), values(3, 2))
def called(lax, w, h, xs):
    def f(h, xs):
        return lax.scan(lambda h, x: (tanh(w * h + x), sin(h * x)), h, xs)

    return (
        [*jit(f)(h, xs), *checkpoint(f)(h, xs)]
        if lax.__name__ == "rtfunc.lax"
        else [
            *f(h, xs),
            *f(h, xs),
        ]
    )


@program(np.array(1.3), np.array([0.4, 0.9, 0.2]), reverse=False)
def stops_by_value(lax, w, x):
    return list(
        lax.while_loop(
            lambda s: reduce_sum(s[0]) < 4.0, lambda s: (s[0] * w + 0.1, s[1] + sin(s[0])), (x, x)
        )
    )


@program(np.array(1.3), np.array(0.4), np.array(6.0), reverse=False)
def scalar_while(lax, w, x, end):
    n, y = lax.while_loop(lambda s: s[1] < end, lambda s: (s[0] + 1, s[1] * w + 0.2), (0, x))
    return [y, y * convert_element_type(n, y.dtype)]


@program(values(2), np.array([3, 0, 5], "int32"), values(3, 2), reverse=False)
def while_in_scan(lax, h, counts, xs):
    def step(h, args):
        n, x = args
        h = lax.fori_loop(0, n, lambda i, h: sin(h * x) + 0.3, h)
        return h, h

    return list(lax.scan(step, h, (counts, xs)))


@program(np.array(4, "int32"), values(2), reverse=False)
def while_in_cond(lax, n, x):
    def looped(x):
        return lax.while_loop(lambda s: s[0] > 0, lambda s: (s[0] - 1, sin(s[1]) * x), (n, x))[1]

    return [lax.cond(n > 2, looped, lambda x: maximum(x, 0.0), x)]


@program(values(2), values(3, 2))
def metrics_by_while(lax, h, xs):
    """A while loop whose result is not differentiated does not stop reverse mode."""

    def step(h, x):
        n = lax.while_loop(lambda v: reduce_sum(v) < 3.0, lambda v: v + 1.0, stop_gradient(h))
        return tanh(h + x), (h * x, n)

    last, (ys, counts) = lax.scan(step, h, xs)
    return [last, ys, counts]
