"""What the elementwise families share: shape rule, broadcasting, derivatives, batching.

An elementwise primitive takes operands of one dtype, broadcasts them as NumPy does, and has one
derivative rule per operand, `rule(t, out, *operands, **params)`, the product of `t` with the partial
derivative. Multiplication being symmetric, that one rule serves both forward and reverse mode. Most
have no params. Depends on `convert` and the primitives it looks up by name (`reduce_sum`,
`broadcast_in_dim`, `reshape`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval, broadcast_shapes
from rtfunc.core.batching import at_front
from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.core.primitive import Primitive, add_tangents, no_jvp, no_vjp, primitives
from rtfunc.core.trace import context
from rtfunc.ops.convert import as_array, check_same_dtype, promote, promote_inexact

Rule = Callable[..., Any]
no_params: dict[str, Any] = {}


def elementwise(
    name: str,
    impl: Callable[..., Any] | str,
    *,
    over: Sequence[np.dtype],
    derivatives: Sequence[Rule | None] = (),
    out: Callable[[np.dtype], np.dtype] | None = None,
    jvp: Rule | None = None,
    vjp: Rule | None = None,
    half: bool = True,
) -> Primitive:
    """Make an elementwise primitive.

    Arguments:
      impl: the name of a ufunc of NumPy and CuPy, or a function `impl(xp, *buffers, **params)`.
      over: dtypes that operands may have.
      derivatives: for each operand `rule(t, out, *operands, **params)`, or None where it is zero;
        nothing at all for an operation without derivative.
      out: dtype of the result from that of the operands; the same by default.
      jvp, vjp: replace the rules made from `derivatives`, for operations that are not complex-linear.
      half: whether `impl` computes float16 and bfloat16 in float32 and rounds once.
    """

    def infer(*operands: Aval, **params: Any) -> Aval:
        dtype = check_same_dtype(name, operands)
        if dtype not in over:
            raise DtypeError(at_user_line(_wrong_dtype(name, dtype, over)))
        shape = broadcast_shapes(name, *(x.shape for x in operands))
        return Aval(shape, dtype if out is None else out(dtype))

    kernel = _restricted(_by_name(impl) if isinstance(impl, str) else impl, frozenset(over))
    return Primitive(
        name,
        infer=infer,
        impl=_rounding_once(kernel) if half else kernel,
        jvp=jvp or (jvp_from(derivatives) if derivatives else no_jvp),
        vjp=vjp or (vjp_from(derivatives) if derivatives else no_vjp),
        batch=batch_elementwise,
        ufunc=getattr(np, impl) if isinstance(impl, str) else None,
    )


def _restricted(impl: Callable[..., Any], over: frozenset[np.dtype]) -> Callable[..., Any]:
    """`impl`, refusing other dtypes: NumPy would compute with float8, which is for storage."""

    def restricted(xp: Any, *buffers: Any, **params: Any) -> Any:
        if buffers[0].dtype not in over:
            raise TypeError(buffers[0].dtype)  # `infer` has the message
        return impl(xp, *buffers, **params)

    return restricted


def _by_name(ufunc: str) -> Callable[..., Any]:
    return lambda xp, *buffers: getattr(xp, ufunc)(*buffers)


def _wrong_dtype(name: str, dtype: np.dtype, over: Sequence[np.dtype]) -> str:
    kinds = [
        text
        for text, members in (
            ("booleans", (dtypes.bool_,)),
            ("integers", dtypes.integers),
            ("real floats", dtypes.floats),
            ("complex numbers", dtypes.complexes),
        )
        if any(d in over for d in members)
    ]
    advice = " Convert it first, for example with x.astype(float)."
    if dtype in dtypes.float8s:
        advice = " float8 is for storage; convert it first, for example with x.astype('float32')."
    return f"{name} takes {' or '.join(kinds)}, but got {dtype}.{advice}"


def _rounding_once(impl: Callable[..., Any]) -> Callable[..., Any]:
    def rounded(xp: Any, *buffers: Any, **params: Any) -> Any:
        dtype = buffers[0].dtype
        if dtype.itemsize == 2 and dtypes.is_float(dtype):
            wide = impl(xp, *(b.astype(dtypes.float32) for b in buffers), **params)
            return wide.astype(dtype) if wide.dtype == dtypes.float32 else wide
        return impl(xp, *buffers, **params)

    return rounded


def unbroadcast(x: Any, shape: tuple[int, ...]) -> Any:
    """Sum `x` over the axes along which `shape` was broadcast: the transpose of broadcasting."""
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    axes = (
        *range(extra),
        *(i + extra for i, n in enumerate(shape) if n == 1 != x.shape[i + extra]),
    )
    x = primitives["reduce_sum"].bind(x, axes=axes)
    return x if x.shape == shape else primitives["reshape"].bind(x, shape=shape)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` at a shape that it broadcasts to, NumPy's way."""
    if x.shape == shape:
        return x
    if len(x.shape) and any(n == 1 != m for n, m in zip(x.shape[::-1], shape[::-1])):
        kept = [i for i, n in enumerate(x.shape) if n == shape[i - len(x.shape)]]
        axes = tuple(i + len(shape) - x.ndim for i in kept)
        x = primitives["reshape"].bind(x, shape=tuple(x.shape[i] for i in kept))
    else:
        axes = tuple(range(len(shape) - x.ndim, len(shape)))
    return primitives["broadcast_in_dim"].bind(x, shape=shape, axes=axes)


def jvp_from(derivatives: Sequence[Rule | None]) -> Rule:
    """The jvp rule made of one derivative per operand."""

    def jvp(primitive: Primitive, primals: Any, tangents: Any, **params: Any) -> Any:
        out = primitive.bind(*primals, **params)
        total = None
        for rule, t in zip(derivatives, tangents):
            if rule is not None and t is not None:
                total = add_tangents(total, rule(t, out, *primals, **params))
        return out, None if total is None else broadcast_to(total, out.shape)

    return jvp


def vjp_from(derivatives: Sequence[Rule | None]) -> Rule:
    """The vjp rule made of one derivative per operand."""

    def vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
        out = primitive.bind(*operands, **params)

        def pullback(ct: Any) -> list[Any]:
            return [
                unbroadcast(rule(ct, out, *operands, **params), x.shape)
                if n and rule is not None
                else None
                for n, rule, x in zip(needed, derivatives, operands)
            ]

        return out, pullback

    return vjp


def batch_elementwise(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any
) -> Any:
    """The batch rule of elementwise primitives: batch axes meet, ranks are aligned with axes of 1."""
    batched = {(x.ndim, d) for x, d in zip(operands, batch_axes) if d is not None}
    if len(batched) == 1 and all(d is not None or not x.ndim for x, d in zip(operands, batch_axes)):
        return primitive.bind(*operands, **params), batched.pop()[1]
    rank = max(x.ndim - (d is not None) for x, d in zip(operands, batch_axes))
    aligned = []
    for x, d in zip(operands, batch_axes):
        if d is not None:
            x = at_front(x, d)
            missing = rank - (x.ndim - 1)
            if missing:
                shape = (x.shape[0], *(1,) * missing, *x.shape[1:])
                x = primitives["reshape"].bind(x, shape=shape)
        aligned.append(x)
    return primitive.bind(*aligned, **params), 0


def unary(primitive: Primitive, doc: str, *, inexact: bool = True) -> Callable[[Any], Array]:
    """The function of one operand for users; with `inexact`, integers become the default float."""
    name = primitive.name

    def function(x: Any, /, *, out: None = None) -> Array:
        if out is not None:
            raise refused_out(name)
        if not isinstance(x, Array):
            x = as_array(name, x)
        if inexact and x.dtype.kind in "biu":
            (x,) = promote_inexact(name, x)
        return primitive.bind(x)

    return _described(function, name, doc)


def binary(primitive: Primitive, doc: str, *, inexact: bool = False) -> Callable[[Any, Any], Array]:
    """The function of two operands for users: promotes, broadcasts."""
    name = primitive.name

    def function(x: Any, y: Any, /, *, out: None = None) -> Array:
        if out is not None:
            raise refused_out(name)
        if type(x) is Array and type(y) is Array and context.trace is None and not inexact:
            if x._buffer.dtype is y._buffer.dtype:  # the quick way for what needs no preparation
                return primitive.evaluate((x, y), no_params)
        if not (isinstance(x, Array) and isinstance(y, Array)) or x.dtype is not y.dtype:
            x, y = promote(name, x, y)
        if inexact and x.dtype.kind in "biu":
            x, y = promote_inexact(name, x, y)
        return primitive.bind(x, y)

    return _described(function, name, doc)


def refused_out(operation: str) -> ArgumentError:
    """The error for NumPy's `out=`."""
    return ArgumentError(
        at_user_line(
            f"{operation}: arrays are immutable, so out= is not supported. "
            "Use the result that the function returns."
        )
    )


def _described(function: Any, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function
