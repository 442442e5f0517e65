"""host_callback: calling a Python function on NumPy arrays from within traced code.

The primitive serves `pure_callback`, `io_callback` and debug printing. Its params hold the function
and the types of its results; with `has_effect` the call stays in Graphs even where nothing reads
its results, and keeps its place among other such calls. Depends on `shape`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front
from rtfunc.core.device import cpu, move_buffer
from rtfunc.core.dtypes import is_inexact, kind
from rtfunc.core.errors import DtypeError, ShapeError, UnsupportedError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.core.staging import effectful
from rtfunc.ops.shape import reshape_p

#: A function from NumPy arrays to a sequence of arrays.
HostFunction = Callable[..., Sequence[Any]]

_ranks = {"bool": 0, "unsigned": 1, "signed": 1, "float": 2, "complex": 3, "other": 4}

#: What `vmap` does with a callback; None refuses.
VMAP_METHODS = (None, "sequential", "expand_dims", "broadcast_all")


def check_results(
    operation: str, results: Sequence[Any], avals: Sequence[Aval]
) -> list[np.ndarray]:
    """The results of a callback as NumPy arrays, copied since their owner may change them.

    Raises `ShapeError` or `DtypeError` where they are not what was announced.
    """
    arrays = []
    for i, (result, aval) in enumerate(zip(results, avals, strict=True)):
        array = np.asarray(result)
        if array.shape != aval.shape:
            raise ShapeError(
                f"{operation}: the callback returned an array of shape {array.shape} as result {i}"
                f", but {aval} was announced in result_shape_dtypes."
            )
        if array.dtype != aval.dtype:
            # Python's numbers have no dtype of their own; they may widen in kind.
            python_number = type(result) in (bool, int, float, complex)
            if not python_number or _ranks[kind(array.dtype)] > _ranks[kind(aval.dtype)]:
                raise DtypeError(
                    f"{operation}: the callback returned dtype {array.dtype} as result {i}, but "
                    f"{aval} was announced in result_shape_dtypes. Convert the result with "
                    ".astype(...)."
                )
            array = array.astype(aval.dtype)
        arrays.append(np.array(array, copy=True))
    return arrays


def _infer(*operands: Aval, result_avals: tuple[Aval, ...], **params: Any) -> tuple[Aval, ...]:
    return result_avals


def _impl(
    xp: Any,
    *operands: Any,
    callback: HostFunction,
    result_avals: tuple[Aval, ...],
    operation: str,
    vmap_method: str | None,
    has_effect: bool,
) -> list[Any]:
    views = []
    for operand in operands:
        view = move_buffer(operand, cpu).view()
        view.flags.writeable = False
        views.append(view)
    results = check_results(operation, callback(*views), result_avals)
    return results if xp is np else [xp.asarray(r) for r in results]


def _refuse_derivative(operation: str, result_avals: Sequence[Aval]) -> None:
    if any(is_inexact(aval.dtype) for aval in result_avals):
        raise UnsupportedError(
            at_user_line(
                f"{operation} has no derivative: the callback is not known to rtfunc. Give it one "
                "with rtfunc.custom_jvp or rtfunc.custom_vjp, or apply rtfunc.stop_gradient to its "
                "arguments."
            )
        )


def _jvp(primitive: Primitive, primals: Any, tangents: Any, **params: Any) -> Any:
    _refuse_derivative(params["operation"], params["result_avals"])
    outs = primitive.bind(*primals, **params)
    return outs, [None] * len(outs)


def _vjp(primitive: Primitive, needed: Any, operands: Any, **params: Any) -> Any:
    _refuse_derivative(params["operation"], params["result_avals"])
    return primitive.bind(*operands, **params), lambda cts: [None] * len(operands)


@dataclasses.dataclass(frozen=True)
class HostLoop:
    """A callback called once for each member of a batch, which stands on axis 0 of its arguments.

    Attributes: function: the callback of one member; batched: which arguments carry the batch;
    size: number of members; result_avals: types of one member's results; operation: for messages.
    """

    function: HostFunction
    batched: tuple[bool, ...]
    size: int
    result_avals: tuple[Aval, ...]
    operation: str

    def __call__(self, *args: np.ndarray) -> list[np.ndarray]:
        """The results of all members, stacked."""
        outs = [np.empty((self.size, *a.shape), a.dtype) for a in self.result_avals]
        for i in range(self.size):
            member = [a[i] if b else a for a, b in zip(args, self.batched)]
            results = check_results(self.operation, self.function(*member), self.result_avals)
            for out, result in zip(outs, results):
                out[i] = result
        return outs


def _batch(
    primitive: Primitive,
    batch: Any,
    operands: Any,
    batch_axes: Any,
    *,
    callback: HostFunction,
    result_avals: tuple[Aval, ...],
    operation: str,
    vmap_method: str | None,
    has_effect: bool,
) -> Any:
    batched = tuple(d is not None for d in batch_axes)
    if vmap_method == "sequential":
        operands = [at_front(x, d) for x, d in zip(operands, batch_axes)]
        callback = HostLoop(callback, batched, batch.size, result_avals, operation)
    elif vmap_method == "broadcast_all":
        operands = [at_front(x, d, batch.size) for x, d in zip(operands, batch_axes)]
    elif vmap_method == "expand_dims":
        operands = [
            reshape_p.bind(x, shape=(1, *x.shape)) if d is None else at_front(x, d)
            for x, d in zip(operands, batch_axes)
        ]
    else:
        raise UnsupportedError(
            at_user_line(
                f"{operation} cannot be mapped by vmap before it is told how: pass "
                'vmap_method="sequential" to call it once per member, or "expand_dims" or '
                '"broadcast_all" to call it once with a leading batch axis.'
            )
        )
    outs = primitive.bind(
        *operands,
        callback=callback,
        result_avals=tuple(a.with_shape((batch.size, *a.shape)) for a in result_avals),
        operation=operation,
        vmap_method=vmap_method,
        has_effect=has_effect,
    )
    return outs, [0] * len(outs)


host_callback_p = Primitive(
    "host_callback",
    infer=_infer,
    impl=_impl,
    jvp=_jvp,
    vjp=_vjp,
    batch=_batch,
    multiple_results=True,
    weak="strong",
    leaf=False,
)
effectful.add("host_callback")
