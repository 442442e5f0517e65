"""Batching: values that carry one more axis than the user's function sees.

`BatchTrace` runs each primitive's `batch` rule. An operand whose batch axis is None is the same for
all members of the batch. `move_axis` and `at_front` bring batch axes into place for rules. Depends
on `primitive`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtfunc.core.aval import Aval
from rtfunc.core.graph import names_axis
from rtfunc.core.primitive import BatchAxis, Primitive, primitives
from rtfunc.core.trace import Trace, Tracer, context, named_axis, own_trace


class BatchTracer(Tracer):
    """A batch of values: `value` has the batch along `axis`."""

    __slots__ = ("_aval", "axis", "value")

    value: Any
    axis: int

    def __init__(self, trace: Trace, value: Any, axis: int):
        self._trace = trace
        self.value = value
        self.axis = axis
        aval = value.aval
        self._aval = Aval(aval.shape[:axis] + aval.shape[axis + 1 :], aval.dtype, aval.weak_type)

    @property
    def aval(self) -> Aval:
        return self._aval

    @property
    def device(self) -> Any:
        return self.value.device


class BatchTrace(Trace):
    """Applies every primitive that touches one of its tracers to the whole batch at once."""

    __slots__ = ("axis",)

    def __init__(self, parent: Trace | None, axis: BatchAxis):
        super().__init__(parent)
        self.axis = axis

    def _split(self, args: Sequence[Any]) -> tuple[list[Any], list[int | None]]:
        values, axes = [], []
        for a in args:
            mine = type(a) is BatchTracer and a._trace is self
            values.append(a.value if mine else a)
            axes.append(a.axis if mine else None)
        return values, axes

    def wrap(self, value: Any, axis: int | None) -> Any:
        """The tracer for a batched value; the value itself when it is not batched."""
        return value if axis is None else BatchTracer(self, value, axis)

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        values, axes = self._split(args)
        context.trace = self.parent
        try:
            if all(axis is None for axis in axes) and not self._names_my_axis(params):
                return primitive.bind(*values, **params)
            out, out_axes = primitive.batch(primitive, self.axis, values, axes, **params)
        finally:
            context.trace = self
        if primitive.multiple_results:
            return [self.wrap(o, axis) for o, axis in zip(out, out_axes, strict=True)]
        return self.wrap(out, out_axes)

    def _names_my_axis(self, params: dict[str, Any]) -> bool:
        """Whether this is a collective (or a call that holds one) over this trace's named axis."""
        return self.axis.name is not None and names_axis(params, self.axis.name)

    def process_custom(self, call: Any, args: Sequence[Any]) -> Sequence[Any]:
        values, axes = self._split(args)
        context.trace = self.parent
        try:
            # With a named axis, the function may hold a collective over it.
            if self.axis.name is None and all(axis is None for axis in axes):
                return call.bind(values)
            out, out_axes = call.batch(self.axis, values, axes)
        finally:
            context.trace = self
        return [self.wrap(o, axis) for o, axis in zip(out, out_axes, strict=True)]


def batch_flat(
    function: Callable[..., Sequence[Any]],
    axis: BatchAxis,
    values: Sequence[Any],
    axes: Sequence[int | None],
) -> tuple[list[Any], list[int | None]]:
    """Outputs of `function` on a batch, and the axis at which each carries the batch (or None)."""
    trace = BatchTrace(context.trace, axis)
    args = [trace.wrap(v, a) for v, a in zip(values, axes, strict=True)]
    with own_trace(trace), named_axis(axis.name, axis.size):
        results = function(*args)
    outs, out_axes = [], []
    for r in results:
        mine = type(r) is BatchTracer and r._trace is trace
        outs.append(r.value if mine else r)
        out_axes.append(r.axis if mine else None)
    return outs, out_axes


def move_axis(x: Any, source: int, destination: int) -> Any:
    """`x` with the axis `source` at `destination`; both are not negative."""
    if source == destination:
        return x
    order = [i for i in range(x.ndim) if i != source]
    order.insert(destination, source)
    return primitives["transpose"].bind(x, permutation=tuple(order))


def at_front(x: Any, batch_axis: int | None, size: int | None = None) -> Any:
    """`x` with its batch axis first; with `size`, an unbatched `x` is broadcast to a batch."""
    if batch_axis is not None:
        return move_axis(x, batch_axis, 0)
    if size is None:
        return x
    shape = (size, *x.shape)
    return primitives["broadcast_in_dim"].bind(x, shape=shape, axes=tuple(range(1, len(shape))))


def to_axis(x: Any, batch_axis: int | None, destination: int, size: int) -> Any:
    """`x` with its batch axis at `destination`, broadcast along it when it has none."""
    if batch_axis is None:
        x, batch_axis = at_front(x, None, size), 0
    return move_axis(x, batch_axis, destination)
