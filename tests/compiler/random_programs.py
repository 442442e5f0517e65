"""The grammar of random programs: steps, each of which makes a new value of earlier ones.

A step is a name and a few small numbers: which values it takes, counted from the last, and how. Values are
arrays of any dtype; operations of real numbers convert what they get. `program(steps)` is a function of some
arrays that returns the last values. Depends on the public interface of rtfunc.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import lax
from rtfunc.core import dtypes

#: Shapes of inputs, some of awkward sizes for vectors.
SHAPES = [
    (), (1,), (3,), (4, 3), (3, 4), (1, 4), (2, 1, 3), (17,), (5, 17), (2, 3, 4), (31,), (2, 33), (65, 3),
    (3, 129), (2, 3, 5, 6), (0, 3), (1025,), (200, 31), (37, 300),
]  # fmt: skip
DTYPES = [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int32",
    "int8",
    "uint8",
    "bool",
    "complex64",
]
#: Values larger than this are not kept.
LARGEST = 20_000

Step = tuple[str, int, int, int]


# Conversions of what an operation gets


def real(x: Any) -> Any:
    """A real floating-point value of moderate size."""
    if dtypes.is_complex(x.dtype):
        x = rnp.real(x) + rnp.imag(x)
    if not dtypes.is_float(x.dtype):
        x = x.astype(rnp.float32)
    return x


def tame(x: Any) -> Any:
    """A real value between -3 and 3."""
    return rnp.clip(real(x), -3, 3)


def whole(x: Any) -> Any:
    """An integer value."""
    if dtypes.is_integer(x.dtype):
        return x
    if x.dtype == rnp.bool_:
        return x.astype(rnp.int32)
    return rnp.round(rnp.clip(rnp.nan_to_num(real(x)), -30, 30) * 3).astype(rnp.int32)


def fitting(x: Any, y: Any) -> tuple[Any, Any]:
    """Two values that broadcast: the second is reduced to a scalar where it does not fit."""
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        y = rnp.max(real(y)) if y.size else rnp.float32(0.5)
    return x, y


def axis_of(x: Any, k: int) -> int | None:
    return k % x.ndim if x.ndim else None


def some(x: Any) -> bool:
    """Whether there is an axis, and something along each."""
    return bool(x.ndim and x.size)


# Shapes


def _reshape(x: Any, k: int) -> Any:
    shapes = [(x.size,), (1, x.size), (x.size, 1), (*x.shape, 1)]
    if x.size % 2 == 0 and x.size:
        shapes.append((2, x.size // 2))
    if x.size % 3 == 0 and x.size:
        shapes.append((x.size // 3, 3))
    return rnp.reshape(x, shapes[k % len(shapes)])


def _transpose(x: Any, k: int) -> Any:
    return rnp.moveaxis(x, k % x.ndim, 0) if x.ndim else x


def _concatenate(x: Any, y: Any, k: int) -> Any:
    if not x.ndim:
        return rnp.stack([x, rnp.max(y).astype(x.dtype) if y.size else x])
    fill = rnp.sum(y).astype(x.dtype)
    return rnp.concatenate([x, rnp.zeros(x.shape, x.dtype) + fill, x], axis=k % x.ndim)


def _pad(x: Any, k: int) -> Any:
    if not x.ndim:
        return x
    modes: list[Callable[[], Any]] = [
        lambda: rnp.pad(x, [(k % 3, k % 2)] * x.ndim, constant_values=1),
        lambda: lax.pad(x, rnp.zeros((), x.dtype), [(1, -1, k % 2)] * x.ndim),
        lambda: rnp.pad(x, [(1, 2)] * x.ndim, mode="edge") if x.size else x,
    ]
    return modes[k % 3]()


def _index(x: Any, k: int) -> Any:
    if not some(x):
        return x
    choices = [x[0], x[-1:], x[::-1], x[:, None] if x.ndim > 1 else x[None], x[..., ::2]]
    choices += [x[..., 1:], x[::-2]]
    return choices[k % len(choices)]


# Reductions and what goes along an axis


def _softmax(x: Any, k: int) -> Any:
    x = tame(x)
    if not x.size:
        return x
    axis = axis_of(x, k)
    e = rnp.exp(x - rnp.max(x, axis=axis, keepdims=True))
    return e / rnp.sum(e, axis=axis, keepdims=True)


def _normalized(x: Any, k: int) -> Any:
    x, axis = tame(x), axis_of(x, k)
    m = rnp.mean(x, axis=axis, keepdims=True)
    return (x - m) / rnp.sqrt(rnp.mean((x - m) ** 2, axis=axis, keepdims=True) + 1.0)


def _reduce(x: Any, k: int) -> Any:
    axis = axis_of(x, k)
    if not x.size:
        return rnp.sum(x, axis=axis)
    kinds: list[Callable[[], Any]] = [
        lambda: rnp.sum(x, axis=axis),
        lambda: rnp.max(real(x), axis=axis, keepdims=True),
        lambda: rnp.min(whole(x), axis=axis),
        lambda: rnp.mean(real(x), axis=axis, keepdims=True),
        lambda: rnp.any(real(x) > 0.5, axis=axis),
        lambda: rnp.all(real(x) > -1, axis=axis, keepdims=True),
        lambda: rnp.prod(1 + tame(x) / 64, axis=axis),
        lambda: rnp.var(tame(x), axis=axis),
        lambda: rnp.sum(whole(x), axis=tuple(range(x.ndim))[k % 2 :]),
        lambda: rnp.argmax(real(x), axis=axis),
        lambda: rnp.argmin(whole(x), axis=axis),
        lambda: rnp.sum(rnp.tanh(real(x)), axis=tuple(range(x.ndim))[:-1]),
    ]
    return kinds[k % len(kinds)]()


def _cumulative(x: Any, k: int) -> Any:
    if not x.ndim:
        return x
    axis, reverse = k % x.ndim, k % 2 == 1
    kinds: list[Callable[[], Any]] = [
        lambda: lax.cumsum(x if x.dtype != rnp.bool_ else whole(x), axis, reverse),
        lambda: lax.cumprod(1 + tame(x) / 64, axis, reverse),
        lambda: lax.cummax(real(x), axis, reverse),
        lambda: lax.cummin(whole(x), axis, reverse),
        lambda: lax.cumlogsumexp(tame(x), axis, reverse),
        lambda: lax.associative_scan(rnp.add, tame(x), reverse, axis),
    ]
    return kinds[k % len(kinds)]()


def _sorted(x: Any, k: int) -> Any:
    if not some(x):
        return x
    x = real(x) if dtypes.is_complex(x.dtype) else x
    kinds: list[Callable[[], Any]] = [
        lambda: rnp.sort(x, axis=k % x.ndim),
        lambda: rnp.argsort(x, axis=-1),
        lambda: lax.top_k(x, 1 + k % x.shape[-1])[k % 2],
        lambda: lax.sort_key_val(whole(x), x)[1],
        lambda: rnp.flip(rnp.sort(x, axis=-1), -1),
    ]
    return kinds[k % len(kinds)]()


# Reading and writing at computed positions


def _positions(y: Any, k: int) -> Any:
    """A few integers, some out of bounds."""
    flat = whole(y).reshape(-1)[: 1 + k % 7]
    return rnp.concatenate([flat.astype(rnp.int32) % 9 - 2, rnp.array([0, k, -1], rnp.int32)])


_modes = ("clip", "fill", "wrap")


def _gather(x: Any, y: Any, k: int) -> Any:
    if not some(x):
        return x
    axis, mode = k % x.ndim, _modes[k % 3]
    if k % 4 == 3:
        order = rnp.argsort(real(x), axis=axis)
        return rnp.take_along_axis(x, order, axis=axis)
    if k % 4 == 2:
        return x.at[_positions(y, k)].get(mode="fill" if k % 3 else "clip", fill_value=1)
    return rnp.take(x, _positions(y, k), axis=axis, mode=mode)


def _scatter(x: Any, y: Any, k: int) -> Any:
    if not some(x):
        return x
    at = x.at[_positions(y, k)]
    value = (rnp.max(real(y)) if y.size else rnp.float32(2)).astype(x.dtype)
    mode = ("drop", "clip")[k % 2]
    if x.dtype == rnp.bool_ or dtypes.is_complex(x.dtype):
        return at.set(value, mode=mode)
    kinds = [at.set, at.add, at.min, at.max]
    if k % 5 == 4:
        rows = x[:1] * 2
        return x.at[rnp.array([0, x.shape[0] - 1, 0])].add(
            rnp.broadcast_to(rows, (3, *x.shape[1:]))
        )
    return kinds[k % 4](value, mode=mode)


def _dynamic(x: Any, y: Any, k: int) -> Any:
    if not some(x):
        return x
    start = whole(y).reshape(-1)[:1].astype(rnp.int32) if y.size else rnp.array([k], rnp.int32)
    at = [start[0] - k if a == k % x.ndim else rnp.int32(k - 1) for a in range(x.ndim)]
    sizes = [max(1, n - (k + a) % 3) for a, n in enumerate(x.shape)]
    if k % 2:
        return lax.dynamic_slice(x, at, sizes)
    part = lax.slice(x, (0,) * x.ndim, sizes)
    return lax.dynamic_update_slice(x, part + part if x.dtype != rnp.bool_ else part, at)


# Products and convolutions


def _product(x: Any, y: Any, k: int) -> Any:
    """Matrices, vectors, batches and transposes, in the dtype of the value and in half precision."""
    x = rnp.atleast_1d(tame(x))
    y = rnp.tanh(rnp.mean(real(y))).astype(x.dtype) + 0.5 if y.size else 1.0
    kind = k % 9
    if kind == 0:  # vector with vector
        return rnp.vdot(x, x * y)
    if kind == 1:  # matrix with vector
        return x @ (x.reshape(-1)[: x.shape[-1]] * y) if x.size else x
    x = rnp.atleast_2d(x)
    other = rnp.swapaxes(x, -1, -2) * y
    if kind == 2:  # the first operand transposed
        return rnp.swapaxes(x, -1, -2) @ x * y
    if kind == 3:  # a batch
        return rnp.stack([x, x * 0.5, x - 1.0]) @ other
    if kind == 4:  # batch and contraction in any place
        contract = ((x.ndim - 1,), (x.ndim - 1,))
        return lax.dot_general(x, x * y, (contract, ((x.ndim - 2,), (x.ndim - 2,))))
    if kind == 5:
        return x @ rnp.swapaxes(rnp.broadcast_to(y, x.shape) + x, -1, -2)
    if kind == 6:  # several axes contracted at once, whose result is wider
        z = rnp.broadcast_to(x, (2, *x.shape))
        axes = tuple(range(1, z.ndim))
        return lax.dot_general(z, z[::-1], ((axes, axes), ((), ())))
    if kind == 7:  # integers
        n = whole(x)
        return n @ rnp.swapaxes(n, -1, -2)
    dtype = (rnp.float16, rnp.bfloat16)[x.shape[-1] % 2]
    # A short sum of halves, whose rounding does not depend on the order by much.
    return x.astype(dtype)[..., :1] @ other.astype(dtype)[..., :1, :]


def _convolution(x: Any, y: Any, k: int) -> Any:
    if not some(x):
        return x
    x = tame(x)
    n = 1 + k % 2
    channels = 1 + k % 3
    image = x.reshape(1, 1, -1)[..., :120]
    if n == 2:
        image = image[..., : image.shape[-1] // 2 * 2].reshape(1, 1, 2, -1)
        if not image.size:
            return x
    image = rnp.concatenate([image * (c + 1) / 2 for c in range(channels)], axis=1)
    groups = channels if k % 4 == 3 else 1
    shape = (2 * groups, channels // groups, *((2, 3)[-n:]))
    kernel = rnp.cos(rnp.arange(float(np.prod(shape)))).astype(x.dtype).reshape(shape)
    kernel = kernel * (rnp.tanh(rnp.mean(real(y))).astype(x.dtype) if y.size else 1)

    def apply(image: Any, kernel: Any) -> Any:
        return lax.conv_general_dilated(
            image,
            kernel,
            (1 + k % 2,) * n,
            ("SAME", "VALID", [(1, 2)] * n)[k % 3] if n == 1 or k % 3 == 0 else [(1, 1)] * n,
            rhs_dilation=(1 + (k % 5 == 4),) * n,
            feature_group_count=groups,
        )

    if k % 4 == 1:
        return rf.grad(lambda w: rnp.sum(rnp.sin(apply(image, w))))(kernel)
    if k % 4 == 2:
        return rf.grad(lambda v: rnp.sum(rnp.sin(apply(v, kernel))))(image)
    return rnp.maximum(apply(image, kernel) + 0.25, 0)


def _pool(x: Any, k: int) -> Any:
    if not some(x):
        return x
    x = tame(x)
    window = tuple(min(1 + (k + a) % 3, n) for a, n in enumerate(x.shape))
    strides = tuple(1 + (k + a) % 2 for a in range(x.ndim))
    kinds = [(-rnp.inf, lax.max), (0.0, lax.add), (rnp.inf, lax.min)]
    start, function = kinds[k % 3]
    padding = ("VALID", "SAME")[k % 2]

    def apply(v: Any) -> Any:
        return lax.reduce_window(v, rnp.asarray(start, v.dtype), function, window, strides, padding)

    if k % 5 == 4:
        # Distinct values, so that one of them is the largest.
        distinct = x + rnp.arange(float(x.size)).astype(x.dtype).reshape(x.shape) / 64
        return rf.grad(lambda v: rnp.sum(rnp.sin(apply(v))))(distinct)
    return apply(x)


# Loops, branches and transforms


def _scan(x: Any, k: int) -> Any:
    if not x.ndim:
        return x
    x = tame(x)

    def step(carry: Any, v: Any) -> Any:
        inner = rnp.tanh(carry + v)
        if k % 3 == 2:
            inner = lax.fori_loop(0, 2, lambda i, w: rnp.sin(w) + i / 8, inner)
        if k % 4 == 3:
            inner = lax.cond(rnp.sum(v) > 0, lambda w: w, lambda w: w * 0.5, inner)
        return inner.astype(carry.dtype), carry * v

    start = rnp.zeros(x.shape[1:], x.dtype)
    carry, ys = lax.scan(step, start, x, reverse=bool(k % 2))
    return carry if k % 5 == 4 else ys


def _while(x: Any, k: int) -> Any:
    x = tame(x)
    step = (lambda v: rnp.sin(v) + 0.5, lambda v: v * 0.5 + rnp.flip(v) / 4)[k % 2]
    return lax.while_loop(
        lambda c: c[0] < k % 4, lambda c: (c[0] + 1, step(c[1]).astype(x.dtype)), (0, x)
    )[1]


def _cond(x: Any, k: int) -> Any:
    x = tame(x)
    if k % 2:
        return lax.switch(k % 3, [rnp.cos, lambda v: v * 2, lambda v: v], x)
    return lax.cond(rnp.sum(x) > k % 3 - 1, rnp.cos, lambda v: v * rnp.asarray(0.5, v.dtype), x)


_differentiable: list[Callable[[Any, int], Any]] = [
    lambda v, k: rnp.tanh(v),
    _softmax,
    _normalized,
    lambda v, k: rnp.square(v),
    _scan,
    _while,
    _cond,
    _cumulative,
    lambda v, k: _product(v, v, k % 6),
    lambda v, k: _gather(v, v, k),
    lambda v, k: _scatter(v, v, k % 2),
    lambda v, k: _dynamic(v, v, k),
    lambda v, k: _index(v, k),
    lambda v, k: _pad(v, k),
    lambda v, k: _concatenate(v, v, k),
    lambda v, k: _convolution(v, v, k),
    _pool,
    lambda v, k: rnp.sort(v, axis=-1) if v.ndim else v,
    lambda v, k: rnp.prod(1 + v / 64, axis=axis_of(v, k)),
]


def _inner(v: Any, k: int, j: int) -> Any:
    out = _differentiable[k % len(_differentiable)](v, j)
    return out if dtypes.is_float(out.dtype) else rnp.sin(v)


def _gradient(x: Any, y: Any, k: int) -> Any:
    x, j = tame(x), y.ndim + k // 3
    kind = k % 3
    if kind == 0 and k % 2 and not _has_while(k):
        return rf.grad(lambda v: rnp.sum(rnp.sin(_inner(v, k, j))))(x)
    if kind == 1 and not _has_while(k):
        loss = rf.checkpoint(lambda v: rnp.sum(rnp.cos(_inner(v, k, j)) * 0.5))
        return rf.grad(loss)(x)
    return rf.jvp(lambda v: _inner(v, k, j), (x,), (rnp.cos(x),))[1]


def _has_while(k: int) -> bool:
    """Whether what is differentiated has a loop of unknown length: forward mode only."""
    return _differentiable[k % len(_differentiable)] is _while


def _vmap(x: Any, y: Any, k: int) -> Any:
    if not some(x):
        return x
    x, j = tame(x), y.ndim + k // 2
    if k % 3 == 2 and not _has_while(k):
        return rf.vmap(rf.grad(lambda v: rnp.sum(rnp.sin(_inner(v, k, j)))))(x)
    if k % 4 == 1:  # loops and branches whose conditions differ from member to member
        return rf.vmap(
            lambda v: lax.while_loop(
                lambda c: (rnp.max(c[1]) < 4) & (c[0] < 6),
                lambda c: (c[0] + 1, c[1] * 1.5 + 0.5),
                (0, v),
            )[1]
        )(x)
    return rf.vmap(lambda v: _inner(v, k, j), in_axes=k % x.ndim)(x)


# Dtypes


def _cast(x: Any, k: int) -> Any:
    dtype = np.dtype(DTYPES[k % len(DTYPES)]) if DTYPES[k % 9] != "bfloat16" else rnp.bfloat16
    if dtypes.is_complex(x.dtype) and dtype != np.dtype("complex64"):
        x = real(x)
    if dtypes.is_float(x.dtype) and not dtypes.is_inexact(dtype):
        x = whole(x)
    return x.astype(dtype)


def _complex(x: Any, y: Any, k: int) -> Any:
    x, y = fitting(tame(x), tame(y))
    x, y = rnp.broadcast_arrays(x.astype(rnp.float32), y.astype(rnp.float32))
    z = lax.complex(x, y)
    kinds: list[Callable[[], Any]] = [
        lambda: z,
        lambda: z * rnp.conj(z) + z,
        lambda: rnp.exp(z),
        lambda: rnp.abs(z),
        lambda: rnp.sum(z, axis=axis_of(z, k)),
        lambda: rnp.atleast_2d(z) @ rnp.swapaxes(rnp.atleast_2d(z), -1, -2),
        lambda: z / (2 + rnp.abs(z)),
        lambda: rnp.sin(z),
        lambda: rnp.where(x > y, z, -z),
    ]
    return kinds[k % len(kinds)]()


def _bits(x: Any, y: Any, k: int) -> Any:
    a, b = fitting(whole(x), whole(y))
    b = whole(b)
    kinds: list[Callable[[], Any]] = [
        lambda: a & b,
        lambda: a | b,
        lambda: a ^ b,
        lambda: a << (b & 3),
        lambda: a >> (b & 3),
        lambda: a // rnp.where(b == 0, 1, b),
        lambda: a % rnp.where(b == 0, 7, b),
        lambda: a * b - a,
        lambda: rnp.abs(a) - rnp.sign(b),
        lambda: lax.population_count(a),
        lambda: ~a,
        lambda: rnp.clip(a, 0, 5) ** 2,
    ]
    return kinds[k % len(kinds)]()


def _compare(x: Any, y: Any, k: int) -> Any:
    a, b = fitting(real(x), real(y))
    return [a > b, a <= b, (a > 0) & (b > 0), rnp.isfinite(a) ^ (b < a)][k % 4]


def _where(x: Any, y: Any, k: int) -> Any:
    a, b = fitting(x, y)
    return rnp.where(real(a) > real(b), a, b * 2 if k % 2 and b.dtype != rnp.bool_ else b)


def _arithmetic(x: Any, y: Any, k: int) -> Any:
    a, b = fitting(x, y)
    if x.dtype == rnp.bool_ or b.dtype == rnp.bool_:
        a, b = real(a), real(b)
    kinds: list[Callable[[], Any]] = [
        lambda: a + b,
        lambda: a - b,
        lambda: rnp.tanh(real(a)) * real(b),
        lambda: real(a) / (1.0 + rnp.abs(real(b))),
        lambda: rnp.maximum(real(a), real(b)),
        lambda: rnp.minimum(whole(a), whole(b)),
        lambda: rnp.arctan2(real(a), real(b) + 4),
        lambda: (rnp.abs(tame(a)) + 0.5) ** tame(b),
        lambda: a * b,
        lambda: rnp.hypot(tame(a), tame(b)),
    ]
    return kinds[k % len(kinds)]()


_functions: list[Callable[[Any], Any]] = [
    lambda x: rnp.tanh(real(x)),
    lambda x: rnp.exp(-rnp.abs(real(x))),
    lambda x: rnp.log1p(rnp.abs(real(x))),
    lambda x: rnp.square(tame(x)),
    lambda x: rnp.round(tame(x) * 4),
    lambda x: rnp.floor(tame(x)),
    lambda x: rnp.sqrt(rnp.abs(real(x))),
    lambda x: rf.lax.erf(tame(x)),
    lambda x: lax.logistic(tame(x)),
    lambda x: rnp.sin(tame(x)) + rnp.cos(tame(x)),
    lambda x: -x if x.dtype != rnp.bool_ else ~x,
    lambda x: rnp.cbrt(tame(x)),
    lambda x: tame(x) ** 3,
    lambda x: rnp.abs(tame(x)),
]


def _broadcast(x: Any, k: int) -> Any:
    return rnp.broadcast_to(x, (2 + k % 2, *x.shape)) if x.ndim < 4 else x


UNARY: dict[str, Callable[[Any, int], Any]] = {
    "function": lambda x, k: _functions[k % len(_functions)](x),
    "reduce": _reduce,
    "transpose": _transpose,
    "reshape": _reshape,
    "broadcast": _broadcast,
    "flip": lambda x, k: rnp.flip(x, axis_of(x, k)),
    "index": _index,
    "pad": _pad,
    "softmax": _softmax,
    "normalized": _normalized,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "sort": _sorted,
    "cumulative": _cumulative,
    "pool": _pool,
    "cast": _cast,
    "jit": lambda x, k: rf.jit(lambda v: rnp.sin(tame(v)) * k)(x),
}
BINARY: dict[str, Callable[[Any, Any, int], Any]] = {
    "arithmetic": _arithmetic,
    "where": _where,
    "compare": _compare,
    "bits": _bits,
    "complex": _complex,
    "concatenate": _concatenate,
    "product": _product,
    "gather": _gather,
    "scatter": _scatter,
    "dynamic": _dynamic,
    "convolution": _convolution,
    "gradient": _gradient,
    "vmap": _vmap,
}
NAMES = sorted((*UNARY, *BINARY))
#: How large the number is that says how.
KINDS = 60


def program(steps: Sequence[Step]) -> Callable[..., list[Any]]:
    """A function of arrays that applies the steps to earlier values and returns the last ones."""

    def run(*inputs: Any) -> list[Any]:
        values = list(inputs)
        for name, i, j, k in steps:
            x = values[-1 - i % len(values)]
            if name in UNARY:
                out = UNARY[name](x, k)
            else:
                out = BINARY[name](x, values[-1 - j % len(values)], k)
            if out.size <= LARGEST and out.ndim <= 5:
                values.append(out)
        return values[len(inputs) :][-3:] or values[:1]

    return run


def inputs_of(shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> list[np.ndarray]:
    """Operands for a program: the same numbers for the same shapes."""
    generator = np.random.default_rng(0)
    found = []
    for shape, name in zip(shapes, names, strict=True):
        dtype = rnp.bfloat16 if name == "bfloat16" else np.dtype(name)
        x = generator.standard_normal(shape) * (1 if np.dtype(dtype).kind in "fcV" else 5)
        if name == "complex64":
            x = x + 1j * generator.standard_normal(shape)
        if name == "bool":
            x = x > 0
        with np.errstate(invalid="ignore"):
            found.append(np.asarray(np.abs(x) if name == "uint8" else x).astype(dtype))
    return found
