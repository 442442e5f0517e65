"""Running one primitive eagerly and natively, for the tests of templates that work along an axis."""

from __future__ import annotations

import numpy as np

from rtfunc.compiler.cpu import threads
from rtfunc.compiler.native import Executable
from rtfunc.core.array import Array
from rtfunc.core.primitive import primitives
from rtfunc.core.staging import trace_to_graph

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
SIZES = (1, 2, 3, 7, 16, 17, 33, 70, 150)


def compiled(name, operands, **params):
    """The native form of a primitive: no step of it runs in Python, but for selections of complex values."""
    primitive = primitives[name]

    def apply(*xs):
        out = primitive.bind(*xs, **params)
        return out if primitive.multiple_results else [out]

    args = [Array(x) for x in operands]
    graph, captured = trace_to_graph(apply, [a.aval for a in args])
    executable = Executable(graph)
    if not any(np.iscomplexobj(x) for x in operands):
        assert not executable.hosts
    return lambda: [np.asarray(out) for out in executable([*captured, *args])]


def native(name, operands, **params):
    return compiled(name, operands, **params)()


def eager(name, operands, **params):
    primitive = primitives[name]
    out = primitive.bind(*(Array(x) for x in operands), **params)
    return [np.asarray(x) for x in (out if primitive.multiple_results else [out])]


def same_on_one_and_two_threads(name, operands, **params):
    """The results, which are bitwise equal on one and on two threads."""
    run = compiled(name, operands, **params)
    before = threads.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            threads.set_num_threads(count)
            results.append(run())
    finally:
        threads.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()
    return results[0]


def random_shape(rng, most=20_000, sizes=SIZES):
    while True:
        shape = tuple(int(n) for n in rng.choice(sizes, rng.integers(1, 4)))
        if np.prod(shape) <= most:
            return shape


def random_values(rng, dtype, shape):
    """Values with ties; of floats NaN, infinities and both zeros among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        least = 0 if dtype.kind == "u" else -60
        return rng.integers(least, 60, shape).astype(dtype)
    if dtype.kind == "c":
        parts = [random_values(rng, "float64", shape) for _ in range(2)]
        x = np.empty(shape, dtype)
        x.real, x.imag = parts
        return x
    x = np.round(rng.standard_normal(shape) * 2, int(rng.integers(0, 3)))
    special = rng.random(shape)
    for limit, value in ((0.02, np.nan), (0.04, np.inf), (0.06, -np.inf), (0.1, -0.0)):
        x = np.where((special < limit) & (special >= limit - 0.02), value, x)
    return x.astype(dtype)
