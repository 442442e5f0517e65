"""Control flow in Python: what `rtfunc.lax` is compared with.

Each function has the signature of its namesake in `rtfunc.lax` and runs eagerly, with Python's own
loops and branches on concrete values. Derivatives go through since eager tracers know their values.
"""

from __future__ import annotations

from typing import Any

from rtfunc.core import pytree
from rtfunc.core.array import Array
from rtfunc.ops.convert import as_array
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.shape import reshape


def _at(tree: Any, i: int) -> Any:
    def member(x: Any) -> Any:
        x = as_array("test", x)
        return reshape(slice_in_dim(x, i, i + 1), x.shape[1:])

    return pytree.map(member, tree)


def _stack(trees: list[Any]) -> Any:
    def stacked(*values: Any) -> Array:
        arrays = [as_array("test", v) for v in values]
        return concatenate([reshape(x, (1, *x.shape)) for x in arrays], 0)

    return pytree.map(stacked, trees[0], *trees[1:])


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    length = pytree.leaves(xs)[0].shape[0] if length is None else length
    carry, ys = init, []
    for i in range(length)[:: -1 if reverse else 1]:
        carry, y = f(carry, _at(xs, i))
        ys.append(y)
    return carry, _stack(ys[:: -1 if reverse else 1])


def map(f, xs, *, batch_size=None):
    return scan(lambda c, x: (c, f(x)), (), xs)[1]


def while_loop(cond_fun, body_fun, init_val):
    value = init_val
    while bool(cond_fun(value)):
        value = body_fun(value)
    return value


def fori_loop(lower, upper, body_fun, init_val, *, unroll=None):
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def cond(pred, true_fun, false_fun, *operands):
    return true_fun(*operands) if bool(pred) else false_fun(*operands)


def switch(index, branches, *operands):
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def associative_scan(fn, elems, reverse=False, axis=0):
    assert axis == 0
    length = pytree.leaves(elems)[0].shape[0]
    order = range(length)[:: -1 if reverse else 1]
    results = []
    for i in order:
        x = _at(elems, i)
        results.append(fn(results[-1], x) if results else x)
    return _stack(results[:: -1 if reverse else 1])
