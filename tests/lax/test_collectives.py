"""Collectives inside control flow, where nothing but the named axis is batched."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.batching import batch_flat
from rtfunc.core.primitive import BatchAxis, Primitive, no_jvp, no_vjp, primitives
from rtfunc.lax import cond, scan, while_loop
from rtfunc.ops.arithmetic import mul
from rtfunc.ops.iota import iota
from rtfunc.ops.reduce import reduce_sum_p
from rtfunc.transforms.checkpoint import checkpoint
from rtfunc.transforms.jit import jit


@pytest.fixture
def total():
    """A sum over the axis "members", and the position on that axis, as primitives of this test."""

    def summed(primitive, batch, operands, batch_axes, *, axis_names):
        (x,), (axis,) = operands, batch_axes
        if axis is None:
            return mul(x, np.asarray(batch.size, x.dtype)), None
        return reduce_sum_p.bind(x, axes=(axis,)), None

    def numbered(primitive, batch, operands, batch_axes, *, axis_names):
        return iota("int32", batch.size), 0

    def missing(*args, **params):
        raise AssertionError("no surrounding batch has this axis")

    rules = {"impl": missing, "jvp": no_jvp, "vjp": no_vjp}
    one = Primitive("sum_for_test", infer=lambda x, axis_names: x, batch=summed, **rules)
    two = Primitive("number_for_test", infer=lambda x, axis_names: x, batch=numbered, **rules)
    yield (
        lambda x: one.bind(x, axis_names=("members",)),
        lambda: two.bind(Array(np.zeros((), "int32")), axis_names=("members",)),
    )
    del primitives["sum_for_test"], primitives["number_for_test"]


def batched(function, *values, axes):
    outs, out_axes = batch_flat(function, BatchAxis(3, "members"), values, axes)
    return [np.asarray(o) for o in outs], out_axes


def in_scan(total, number):
    return [scan(lambda c, _: (c + number(), total(c)), np.int32(0), None, length=3)[1]]


def in_while(total, number):
    return [while_loop(lambda c: c < 10, lambda c: c + total(np.int32(1)) + number(), np.int32(0))]


def in_cond(total, number):
    return [cond(number() > 0, lambda: total(np.int32(4)), lambda: np.int32(1))]


def in_calls(total, number):
    return [jit(lambda: total(number()))(), checkpoint(lambda: total(number()) * 2)()]


def as_arrays(total):
    return lambda x: total(x if isinstance(x, Array) else Array(np.asarray(x)))


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        # Carries 0, n, 2n for members n = 0, 1, 2: the sums are 0, 3, 6.
        (in_scan, [[0, 3, 6]]),
        # Steps of 3, 4 and 5.
        (in_while, [[12, 12, 10]]),
        (in_cond, [[1, 12, 12]]),
        (in_calls, [3, 6]),
    ],
)
def test_nothing_but_the_axis_is_batched(total, program, expected):
    summed, numbered = total
    outs, _ = batched(lambda: program(as_arrays(summed), numbered), axes=[])
    assert [o.tolist() for o in outs] == expected
