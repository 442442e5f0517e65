"""Traces: what happens when a primitive is applied.

One trace is current in each thread. With none, primitives compute at once on Arrays. A transform
makes its own trace current while it runs the user's function; the trace's `process` then decides
what each primitive application means, and does its own work under its parent trace. Traces
therefore nest like the transforms do, and a value that a trace does not know is a constant to it
(this is the scheme of JAX's "stackless" core).

A `Tracer` is the value that a trace hands to the user's function. It is an Array whose contents are
not at hand. Depends on `array`.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import LeakedTracerError, TracerError, at_user_line
from rtfunc.core.source import SourceLine, user_line

if TYPE_CHECKING:
    from rtfunc.core.primitive import Primitive


class _Context(threading.local):
    """The state of tracing in one thread."""

    #: The current trace; None computes eagerly.
    trace: Trace | None = None
    #: Sizes of the named axes that surrounding `vmap`s provide.
    axis_sizes: dict[str, int] = {}
    #: Line of the equation that is being evaluated again; None outside such an evaluation.
    source: SourceLine | None = None
    #: Names given by `named_scope`, outermost first.
    scopes: tuple[str, ...] = ()

    def __init__(self) -> None:
        # NumPy keeps its floating-point error handling in a context variable. Kernels run in a
        # context of their own in which division by zero, overflow and NaN pass silently.
        quiet = contextvars.copy_context()
        quiet.run(np.seterr, all="ignore")
        #: `quiet(kernel, *buffers)` calls a kernel without NumPy's warnings. Not re-entrant.
        self.quiet = quiet.run


context = _Context()


class Trace:
    """The meaning that a transform gives to primitives. Subclasses implement `process`.

    Arguments: parent: the trace that was current when this one was made.
    """

    __slots__ = ("alive", "parent")

    def __init__(self, parent: Trace | None):
        self.parent = parent
        #: False once the transform that owns this trace has returned.
        self.alive = True

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply `primitive`; returns one value, or a sequence if it has multiple results."""
        raise NotImplementedError

    def process_custom(self, call: Any, args: Sequence[Any]) -> Sequence[Any]:
        """Apply a function with a user's derivative rule (`core.custom`) to flat arguments."""
        raise NotImplementedError


class Tracer(Array):
    """An Array that stands for a value which its trace knows and Python does not."""

    __slots__ = ("_trace",)

    _trace: Trace

    @property
    def has_value(self) -> bool:
        """Whether Python can read the value: only derivatives trace it (eager `grad`, `jvp`)."""
        return False

    @property
    def aval(self) -> Aval:
        """Shape, dtype and weakness."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        return self.aval.dtype

    @property
    def weak_type(self) -> bool:
        return self.aval.weak_type

    @property
    def _buffer(self) -> Any:
        raise _no_value(self, "as a NumPy array")

    def _concrete(self, use: str) -> np.ndarray:
        """The value behind this tracer where one exists (eager `grad`), else an error."""
        raise _no_value(self, use)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.aval})"

    def __str__(self) -> str:
        try:
            return str(self._concrete("str"))
        except (TracerError, LeakedTracerError):
            return repr(self)  # `print` in traced code shows what kind of value is there

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        value = self._concrete("format")
        return format(value.item() if value.ndim == 0 else str(value), spec)


_advice = {
    "format": "Use rtfunc.debug.print to print values while the function runs",
    "bool": (
        "Use rtfunc.numpy.where or rtfunc.lax.cond for a choice that depends on traced values, "
        "rtfunc.lax.while_loop for a loop"
    ),
    "int": (
        "If it is a shape, an axis or a loop count, pass it as a static argument "
        "(jit's static_argnums) or read it from x.shape"
    ),
    "float": (
        "Use the function of rtfunc.numpy instead of that of math (rtfunc.numpy.sin, not math.sin), "
        "or pass a number that does not change as a static argument (jit's static_argnums)"
    ),
    "as a NumPy array": (
        "Use the function of rtfunc.numpy instead of numpy's, or rtfunc.pure_callback "
        "to call NumPy from traced code; to index a NumPy array by a traced value, make it an Array "
        "first (rtfunc.numpy.asarray(a)[i])"
    ),
}


def _no_value(tracer: Tracer, use: str) -> TracerError | LeakedTracerError:
    check_alive(tracer)
    if use == "as a NumPy array" and tracer.has_value:
        return TracerError(
            at_user_line(
                f"A value of type {tracer.aval} that is being differentiated was used {use}, which "
                "would lose its derivative. Use the function of rtfunc.numpy instead of numpy's, or "
                "rtfunc.stop_gradient(x) first to go on without the derivative."
            )
        )
    described = use if use.startswith("as ") else f"in {use}(...)"
    if use == "bool":
        described = "as a condition (`if`, `while`, `and`, `or`, `not`, bool())"
    advice = _advice.get(use, _advice["int"])
    return TracerError(
        at_user_line(
            f"A traced value of type {tracer.aval} was used {described}, which needs its concrete "
            f"value, but it is only known when the transformed function runs. {advice}; "
            "or compute this part outside jit/vmap."
        )
    )


def check_alive(tracer: Tracer) -> None:
    """Raise `LeakedTracerError` when the transform that made `tracer` has returned."""
    if not tracer._trace.alive:
        raise leaked(tracer)


def leaked(tracer: Tracer) -> LeakedTracerError:
    """The error for a tracer that is used outside its transform."""
    return LeakedTracerError(
        at_user_line(
            f"A traced value of type {tracer.aval} was used after the transform "
            "(grad, vmap, jit, scan ...) that made it had returned. It was probably saved by a side "
            "effect: assigned to a global, an attribute, or appended to a list. Return it from the "
            "transformed function instead."
        )
    )


@contextlib.contextmanager
def use_trace(trace: Trace | None) -> Iterator[None]:
    """Make `trace` current in this thread for the duration of a `with` block."""
    previous = context.trace
    context.trace = trace
    try:
        yield
    finally:
        context.trace = previous


@contextlib.contextmanager
def own_trace(trace: Trace) -> Iterator[None]:
    """Make `trace` current, and mark it as finished at the end: its tracers must not outlive it."""
    previous = context.trace
    context.trace = trace
    try:
        yield
    finally:
        context.trace = previous
        trace.alive = False


@contextlib.contextmanager
def named_axis(name: Any, size: int) -> Iterator[None]:
    """Provide the named axis to collectives for the duration of a `with` block."""
    previous = context.axis_sizes
    context.axis_sizes = {**previous, name: size} if name is not None else previous
    try:
        yield
    finally:
        context.axis_sizes = previous


@contextlib.contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Name the operations traced inside a `with` block; the names show in printed Graphs.

    >>> import rtfunc as rf
    >>> def f(x):
    ...     with rf.named_scope("attention"):
    ...         return x * 2
    """
    previous = context.scopes
    context.scopes = (*previous, name)
    try:
        yield
    finally:
        context.scopes = previous


def current_source() -> SourceLine | None:
    """The user's line for an equation made now."""
    return context.source or user_line(2)
