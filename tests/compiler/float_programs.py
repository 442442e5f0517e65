"""Small random programs of float32 arrays: what tests of memory and donation run.

`random_programs` has the larger grammar, of all dtypes.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax

SHAPES = [(), (1,), (3,), (4, 3), (3, 4), (1, 4), (2, 1, 3), (17,), (5, 17), (2, 3, 4)]


def _same_shape(x, y):
    """Two values that broadcast: the second is reduced to a scalar where it does not fit."""
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        y = rnp.sum(y)
    return x, y


def _reshape(x, k):
    shapes = [(x.size,), (1, x.size), (x.size, 1), (*x.shape, 1)]
    if x.size % 2 == 0 and x.size:
        shapes.append((2, x.size // 2))
    return rnp.reshape(x, shapes[k % len(shapes)])


def _axis(x, k):
    return k % x.ndim if x.ndim else None


def _concatenate(x, y, k):
    if not x.ndim:
        return rnp.stack([x, rnp.mean(y)])
    axis = k % x.ndim
    return rnp.concatenate([x, rnp.zeros(x.shape, x.dtype) + rnp.mean(y), x], axis=axis)


def _softmax(x, k):
    axis = _axis(x, k)
    e = rnp.exp(x - rnp.max(x, axis=axis, keepdims=True))
    return e / rnp.sum(e, axis=axis, keepdims=True)


def _normalized(x, k):
    axis = _axis(x, k)
    m = rnp.mean(x, axis=axis, keepdims=True)
    return (x - m) / rnp.sqrt(rnp.mean((x - m) ** 2, axis=axis, keepdims=True) + 1.0)


def _matmul(x, y):
    x = rnp.atleast_2d(x)
    return x @ rnp.swapaxes(rnp.broadcast_to(rnp.mean(y), x.shape) + x, -1, -2)


def _product(x, y, k):
    """Matrices, vectors, batches and transposes, in float32 and in half precision."""
    x, y = rnp.atleast_1d(rnp.tanh(x)), rnp.tanh(rnp.mean(y)) + 0.5
    kind = k % 6
    if kind == 0:  # vector with vector
        return rnp.vdot(x, x * y)
    if kind == 1:  # matrix with vector
        return x @ (x.reshape(-1)[: x.shape[-1]] * y)
    x = rnp.atleast_2d(x)
    other = rnp.swapaxes(x, -1, -2) * y
    if kind == 2:  # the first operand transposed
        return rnp.swapaxes(x, -1, -2) @ x * y
    if kind == 3:  # a batch
        return rnp.stack([x, x * 0.5, x - 1.0]) @ other
    if kind == 4:  # batch and contraction in any place
        contract = ((x.ndim - 1,), (x.ndim - 1,))
        return lax.dot_general(x, x * y, (contract, ((x.ndim - 2,), (x.ndim - 2,))))
    dtype = (rnp.float16, rnp.bfloat16)[x.shape[-1] % 2]
    # A short sum of halves, whose rounding does not depend on the order by much.
    return (x.astype(dtype)[..., :1] @ other.astype(dtype)[..., :1, :]).astype(rnp.float32)


def _scan(x, k):
    if not x.ndim:
        return x
    return lax.scan(
        lambda c, v: (rnp.tanh(c + v), c * v), rnp.zeros(x.shape[1:]), x, reverse=bool(k % 2)
    )[1]


def _while(x, k):
    return lax.while_loop(
        lambda c: c[0] < k % 4, lambda c: (c[0] + 1, rnp.sin(c[1]) + 0.5), (0, x)
    )[1]


def _cond(x, k):
    return lax.cond(rnp.sum(x) > k % 3 - 1, rnp.cos, lambda v: v * 0.5, x)


def _updated(x, k):
    """A loop that updates what it carries, in parts or as a whole, or only hands it on."""
    rows = rnp.atleast_2d(x)

    def step(i, state):
        a, b = state
        return [
            (a.at[i % 2].set(a[0] * 0.5), b * 2),
            (a.at[i % 2].add(b[-1]), a + rnp.cos(b)),
            (b, a * 0.5),
            (lax.cond(rnp.sum(a) > 0, lambda v: v.at[0].set(1.0), lambda v: v, a), b + a[0]),
            (a, b + rnp.exp(-a * a) * i),
        ][k % 5]

    a, b = lax.fori_loop(0, 2 + k % 2, step, (rows, rows * 2))
    return a + b


def _repeated(x, k):
    """A loop with work that is the same at every step."""

    def step(c, v):
        weights = rnp.tanh(x) if k % 2 else rnp.broadcast_to(rnp.sin(rnp.mean(x)), x.shape)
        return c * 0.5 + weights * v, rnp.sum(rnp.exp(weights) + c)

    c, ys = lax.scan(step, rnp.cos(x), rnp.arange(float(k)).astype(rnp.float32))
    return c + rnp.sum(ys)


def _pad(x, k):
    return rnp.pad(x, [(k % 3, k % 2)] * x.ndim, constant_values=0.5) if x.ndim else x


def _index(x, k):
    if not x.ndim or not x.shape[0]:
        return x
    choices = [x[0], x[-1:], x[::-1], x[:, None] if x.ndim > 1 else x[None], x[..., ::2]]
    return choices[k % len(choices)]


def _gradient(x, k):
    inner = [rnp.tanh, lambda v: _softmax(v, k), lambda v: _normalized(v, k), rnp.square]
    return rf.grad(lambda v: rnp.sum(inner[k % 4](v) * rnp.cos(v)))(x)


UNARY = {
    "tanh": lambda x, k: rnp.tanh(x),
    "exp": lambda x, k: rnp.exp(-rnp.abs(x)),
    "log1p": lambda x, k: rnp.log1p(rnp.abs(x)),
    "square": lambda x, k: rnp.square(rnp.clip(x, -3, 3)),
    "sum": lambda x, k: rnp.sum(x, axis=_axis(x, k)),
    "max": lambda x, k: rnp.max(x, axis=_axis(x, k), keepdims=bool(k % 2)),
    "mean": lambda x, k: rnp.mean(x, axis=_axis(x, k), keepdims=True),
    "transpose": lambda x, k: rnp.transpose(x),
    "reshape": _reshape,
    "broadcast": lambda x, k: rnp.broadcast_to(x, (2, *x.shape)) if x.ndim < 4 else x,
    "flip": lambda x, k: rnp.flip(x),
    "index": _index,
    "pad": _pad,
    "softmax": _softmax,
    "normalized": _normalized,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "updated": _updated,
    "repeated": _repeated,
    "gradient": _gradient,
    "sort": lambda x, k: rnp.sort(x) if x.ndim else x,
    "cumsum": lambda x, k: rnp.cumsum(x, axis=-1) if x.ndim else x,
    "round": lambda x, k: rnp.round(x * 4),
    "bool": lambda x, k: (x > 0).astype(rnp.float32),
    "half": lambda x, k: x.astype(rnp.float16).astype(rnp.float32),
    "jit": lambda x, k: rf.jit(lambda v: rnp.sin(v) * k)(x),
    "vmap": lambda x, k: rf.vmap(lambda v: _softmax(v, 0) + k)(x) if x.ndim else x,
}
BINARY = {
    "add": lambda x, y, k: rnp.add(*_same_shape(x, y)),
    "sub": lambda x, y, k: rnp.subtract(*_same_shape(x, y)),
    "mul": lambda x, y, k: rnp.multiply(*_same_shape(rnp.tanh(x), y)),
    "div": lambda x, y, k: (lambda a, b: a / (1.0 + rnp.abs(b)))(*_same_shape(x, y)),
    "where": lambda x, y, k: (lambda a, b: rnp.where(a > b, a, b * 0.5))(*_same_shape(x, y)),
    "maximum": lambda x, y, k: rnp.maximum(*_same_shape(x, y)),
    "concatenate": _concatenate,
    "matmul": lambda x, y, k: _matmul(x, y),
    "product": _product,
}

step = st.one_of(
    st.tuples(st.sampled_from(sorted(UNARY)), st.integers(0, 9), st.just(0), st.integers(0, 5)),
    st.tuples(
        st.sampled_from(sorted(BINARY)), st.integers(0, 9), st.integers(0, 9), st.integers(0, 5)
    ),
)


def program(steps, largest=4000):
    """A function of a few arrays that applies the steps to earlier values and returns the last ones.

    Values of more than `largest` elements are left out.
    """

    def run(*inputs):
        values = list(inputs)
        for name, i, j, k in steps:
            x = values[-1 - i % len(values)]
            if name in UNARY:
                out = UNARY[name](x, k)
            else:
                out = BINARY[name](x, values[-1 - j % len(values)], k)
            if out.size <= largest:
                values.append(out)
        return values[len(inputs) :][-3:] or values[:1]

    return run
