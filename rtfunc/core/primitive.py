"""Primitives: the operations that transforms know, each a name and its rules.

A rule takes the operation's operands and its `params` (keyword arguments that are not arrays: axes,
shapes, dtypes, sub-graphs). For operands x, y and params p the rules are:

- `infer(x_aval, y_aval, **p) -> Aval` (a tuple of Avals with `multiple_results`): checks shapes and
  dtypes, raises the error that a user sees, and says what comes out.
- `impl(xp, x_buffer, y_buffer, **p) -> buffer`: computes, with `xp` being numpy or cupy.
- `jvp(primitive, primals, tangents, **p) -> (out, tangent)`: None stands for a zero tangent.
- `vjp(primitive, needed, operands, **p) -> (out, pullback)`: `pullback(cotangent)` returns a
  cotangent (None for zero) for every operand; only those with `needed[i]` are looked at. With
  multiple results it takes a sequence of cotangents, some of them None. `transposing` builds this
  rule from one function per operand.
- `batch(primitive, batch, operands, batch_axes, **p) -> (out, out_axis)`: operands carry an
  additional axis at `batch_axes[i]` (None: not batched) of size `batch.size`.

`jvp`, `vjp` and `batch` are handed the primitive so that one rule can serve a family of them. They
are written with other primitives, so transforms nest. `primitives` is the registry; the test suite
walks it. Depends on `trace`, `array`, `device`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array, placed_like
from rtfunc.core.aval import Aval
from rtfunc.core.device import (
    Device,
    buffers_on,
    computing_device,
    computing_on,
    cpu,
    move_buffer,
)
from rtfunc.core.errors import RtfuncError
from rtfunc.core.trace import context

#: Every primitive by name.
primitives: dict[str, Primitive] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class BatchAxis:
    """The axis that `vmap` adds: its size, and its name where collectives may refer to it."""

    size: int
    name: Any = None


class Primitive:
    """An operation and its rules; making one registers it.

    Arguments (the rules' contracts are in the module's docstring):
      name: unique name, shown in printed Graphs.
      multiple_results: whether rules return sequences of outputs instead of one.
      weak: how outputs become weakly typed: "inherit" (if all operands are), "strong" (never), or
        "explicit" (as the Aval that `infer` returns says).
      leaf: whether `impl` calls no other primitive and no user code, so that it can run in the
        context that silences NumPy's warnings.
      ufunc: the NumPy ufunc that `impl` is, if it is one: the quick way for plain operands.
      lower: how the compiler turns an equation into a kernel; filled in by `rtfunc.compiler`.
    """

    __slots__ = (
        "batch",
        "impl",
        "infer_rule",
        "jvp",
        "leaf",
        "lower",
        "multiple_results",
        "name",
        "ufunc",
        "vjp",
        "weak",
    )

    def __init__(
        self,
        name: str,
        *,
        infer: Callable[..., Any],
        impl: Callable[..., Any],
        jvp: Callable[..., Any] | None,
        vjp: Callable[..., Any] | None,
        batch: Callable[..., Any],
        multiple_results: bool = False,
        weak: str = "inherit",
        leaf: bool = True,
        ufunc: np.ufunc | None = None,
        lower: Any = None,
    ):
        self.name = name
        self.infer_rule = infer
        self.impl = impl
        self.jvp = jvp
        self.vjp = vjp
        self.batch = batch
        self.multiple_results = multiple_results
        self.weak = weak
        self.leaf = leaf
        self.ufunc = ufunc
        self.lower = lower
        if name in primitives:
            raise ValueError(f"There is a primitive {name!r} already.")
        primitives[name] = self

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return _lookup, (self.name,)

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply the primitive to Arrays under the current trace."""
        trace = context.trace
        if trace is None:
            return self.evaluate(args, params)
        return trace.process(self, args, params)

    def infer(self, avals: Sequence[Aval], params: dict[str, Any]) -> Any:
        """The Aval (or tuple of Avals) of the result, with its weakness."""
        out = self.infer_rule(*avals, **params)
        if self.weak == "explicit":
            return out
        weak = self.weak == "inherit" and bool(avals) and all(a.weak_type for a in avals)
        if self.multiple_results:
            return tuple(Aval(o.shape, o.dtype, weak) for o in out)
        return out if out.weak_type == weak else Aval(out.shape, out.dtype, weak)

    def evaluate(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Compute at once on concrete Arrays."""
        if self.ufunc is not None:
            out = self._evaluate_ufunc(self.ufunc, args)
            if out is not None:
                return out
        buffers = tuple([a._buffer for a in args])
        device = cpu
        for buffer in buffers:
            if type(buffer) is not np.ndarray:
                device = computing_device(self.name, buffers)
                break
        try:
            if device is not cpu:
                out = self.compute_on(device, buffers, params)
            elif self.leaf:
                out = context.quiet(self.impl, np, *buffers, **params)
            else:
                out = self.impl(np, *buffers, **params)
        except RtfuncError:
            raise
        except Exception:
            # NumPy refused: the shape rule has the message that a user of this library understands.
            self.infer([a.aval for a in args], params)
            raise
        if self.weak == "inherit":
            weak = bool(args)
            for a in args:
                if not a._weak:
                    weak = False
                    break
            if self.multiple_results:
                return [Array(as_buffer(o), weak) for o in out]
            return Array(out if type(out) is np.ndarray else as_buffer(out), weak)
        if self.weak == "explicit":
            avals = self.infer([a.aval for a in args], params)
            if self.multiple_results:
                return [Array(as_buffer(o), aval.weak_type) for o, aval in zip(out, avals)]
            return Array(as_buffer(out), avals.weak_type)
        if self.multiple_results:
            return [Array(as_buffer(o)) for o in out]
        return Array(as_buffer(out))

    def compute_on(self, device: Device, buffers: Sequence[Any], params: dict[str, Any]) -> Any:
        """What `impl` computes on a GPU, to which buffers on the CPU are taken along.

        What CuPy lacks (a dtype, a function, an option) is computed on the CPU by NumPy, and the result
        moved back: slower, but the same. `computed_on_host` has the names of such operations.
        """
        with computing_on(device) as xp:
            operands = buffers_on(device, self.name, buffers)
            if not self.leaf:  # it computes by other primitives, for each of which this holds
                return _moved(self.impl(xp, *operands, **params), device)
            try:
                return _moved(context.quiet(self.impl, xp, *operands, **params), device)
            except RtfuncError:
                raise
            except _lacking as error:
                self.infer([Aval(b.shape, b.dtype) for b in operands], params)
                computed_on_host.setdefault(self.name, error)
            host = [move_buffer(b, cpu) for b in operands]
            return _moved(context.quiet(self.impl, np, *host, **params), device)

    def _evaluate_ufunc(self, ufunc: np.ufunc, args: Sequence[Any]) -> Array | None:
        """The result for NumPy operands of four or more bytes; None leaves others to `impl`."""
        first = args[0]
        buffer = first._buffer
        if type(buffer) is not np.ndarray or buffer.dtype.itemsize < 4:
            return None
        try:
            if len(args) == 1:
                out = context.quiet(ufunc, buffer)
                weak = first._weak
            else:
                second = args[1]
                other = second._buffer
                if type(other) is not np.ndarray:
                    return None
                out = context.quiet(ufunc, buffer, other)
                weak = first._weak and second._weak
        except Exception:
            return None
        return Array(out if type(out) is np.ndarray else np.asarray(out), weak)


def _lookup(name: str) -> Primitive:
    return primitives[name]


def as_buffer(value: Any) -> Any:
    """NumPy returns scalars for 0-d results: make them arrays again."""
    return np.asarray(value) if isinstance(value, np.generic) else value


#: How CuPy says that it does not have something. Want of memory and failures of the GPU are others.
_lacking = (AttributeError, TypeError, ValueError, NotImplementedError, ImportError, KeyError)

#: Operations on GPU arrays that NumPy computed for want of a form in CuPy, with the first error.
computed_on_host: dict[str, Exception] = {}


def _moved(result: Any, device: Device) -> Any:
    """One buffer or several, each on `device`."""
    if isinstance(result, (list, tuple)):
        return [move_buffer(as_buffer(r), device) for r in result]
    return move_buffer(as_buffer(result), device)


def transposing(*rules: Callable[..., Any] | None) -> Callable[..., Any]:
    """A `vjp` rule from one function per operand: `rule(cotangent, *operands, **params)`.

    For operations whose derivative does not need the output. None marks an operand that no
    derivative flows to.
    """

    def vjp(
        primitive: Primitive, needed: Sequence[bool], operands: Sequence[Any], **params: Any
    ) -> Any:
        out = primitive.bind(*operands, **params)

        def pullback(cotangent: Any) -> list[Any]:
            return [
                rule(cotangent, *operands, **params) if n and rule is not None else None
                for n, rule in zip(needed, rules)
            ]

        return out, pullback

    return vjp


def linear_jvp(*linear_in: int) -> Callable[..., Any]:
    """A `jvp` rule for an operation that is linear in each of the operands numbered `linear_in`.

    The tangent is the sum over those operands of the operation with that operand replaced by its
    tangent (the product rule). With no numbers given, all operands together form one linear
    argument (such as `concatenate`'s): missing tangents are then instantiated as zeros.
    """

    def jvp(
        primitive: Primitive, primals: Sequence[Any], tangents: Sequence[Any], **params: Any
    ) -> Any:
        out = primitive.bind(*primals, **params)
        total = None
        if linear_in:
            for i in linear_in:
                if tangents[i] is not None:
                    operands = [*primals[:i], tangents[i], *primals[i + 1 :]]
                    total = add_tangents(total, primitive.bind(*operands, **params))
        else:
            filled = [
                zeros_like(p) if t is None else t for p, t in zip(primals, tangents, strict=True)
            ]
            total = primitive.bind(*filled, **params)
        return out, total

    return jvp


def no_jvp(
    primitive: Primitive, primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> Any:
    """The `jvp` rule of an operation whose derivative is zero (comparisons, rounding, integers)."""
    out = primitive.bind(*primals, **params)
    return out, ([None] * len(out) if primitive.multiple_results else None)


def no_vjp(
    primitive: Primitive, needed: Sequence[bool], operands: Sequence[Any], **params: Any
) -> Any:
    """The `vjp` rule of an operation whose derivative is zero."""
    return primitive.bind(*operands, **params), lambda cotangent: [None] * len(operands)


def add_tangents(a: Any, b: Any) -> Any:
    """The sum of two tangents or cotangents, either of which may be None for zero."""
    if a is None:
        return b
    if b is None:
        return a
    return primitives["add"].bind(a, b)


def zeros_like(x: Any) -> Any:
    """Zeros of the shape and dtype of `x` (an Array or an Aval)."""
    aval = x.aval if isinstance(x, Array) else x
    zero = placed_like(Array(np.zeros((), aval.dtype), aval.weak_type), x)
    return (
        primitives["broadcast_in_dim"].bind(zero, shape=aval.shape, axes=()) if aval.shape else zero
    )
