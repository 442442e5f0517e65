"""The combinator `bidirectional`: a layer of any kind along a sequence in both directions.

Depends on `layer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    apply_child,
    as_layer,
    check_mappings,
    init_child,
    put,
    split_keys,
)
from rtfunc.ops.convert import as_array
from rtfunc.ops.shape import normalize_axis


def bidirectional(
    forward: Any, backward: Any = None, *, merge: str = "concatenate", time_axis: int = 0
) -> Layer:
    """One layer along a sequence and another one along its reverse, their outputs merged.

    Inputs: x, and lengths (batch,) of the sequences, the other axis of the first two being the
    batch. With lengths each sequence is reversed within its length, and the output past its end is
    0. Where a part returns several values, such as `lstm` its output and state, the first is taken.

    Arguments: forward, backward: layers from sequences to sequences, that do not look ahead; the
    second is like the first by default, with parameters of its own; merge: "concatenate" on the
    last axis, "sum", "mean" or "multiply"; time_axis: of x and of the outputs, 0 or 1.

    Parameters stand under "forward" and "backward".

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.bidirectional(nn.gru(4, batch_first=True), time_axis=1)
    >>> params, state = layer.init(random.key(0), (5, 7, 3))
    >>> layer.apply(params, state, rnp.ones((5, 7, 3)))[0].shape
    (5, 7, 8)
    """
    first = as_layer("bidirectional", forward)
    second = first if backward is None else as_layer("bidirectional", backward)
    merges: dict[str, Callable[[Array, Array], Array]] = {
        "concatenate": lambda a, b: rnp.concatenate([a, b], axis=-1),
        "sum": lambda a, b: a + b,
        "mean": lambda a, b: (a + b) / 2,
        "multiply": lambda a, b: a * b,
    }
    if merge not in merges:
        raise ArgumentError(
            at_user_line(f"bidirectional: merge is one of {', '.join(merges)}, not {merge!r}.")
        )
    children = (("forward", first), ("backward", second))

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        params: dict[str, Any] = {}
        state: dict[str, Any] = {}
        for (child, layer), k in zip(children, split_keys(key, 2)):
            p, s = init_child(child, layer, k, specs[:1])
            put(params, child, p)
            put(state, child, s)
        return params, state

    def apply(
        params: Params,
        state: State,
        x: Any,
        lengths: Any = None,
        *,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, State]:
        check_mappings("bidirectional", params, state)
        x = as_array("bidirectional", x)
        axis = normalize_axis("bidirectional", time_axis, x.ndim)
        if axis > 1 or (lengths is not None and x.ndim < 3):
            raise ShapeError(
                at_user_line(
                    f"bidirectional: the time is axis 0 or 1, and with lengths the batch is the "
                    f"other one, but x has shape {x.shape} and time_axis is {time_axis}."
                )
            )
        outs: list[Array] = []
        new_state: dict[str, Any] = {}
        for (child, layer), k in zip(children, split_keys(key, 2)):
            given = _reversed(x, axis, lengths) if child == "backward" else x
            out, s = apply_child(child, layer, params, state, (given,), k, train)
            out = out[0] if isinstance(out, tuple) else out
            outs.append(_reversed(out, axis, lengths) if child == "backward" else out)
            put(new_state, child, s)
        merged = merges[merge](*outs)
        if lengths is not None:
            merged = rnp.where(_within(merged, axis, lengths), merged, 0)
        return merged, new_state

    return Layer(init, apply, "bidirectional", children)


def _steps(x: Any, axis: int) -> Array:
    """The numbers of the steps, along the time of (time, batch) or (batch, time)."""
    return rnp.arange(x.shape[axis]).reshape((-1, 1) if axis == 0 else (1, -1))


def _lengths(x: Any, axis: int, lengths: Any) -> Array:
    lengths = as_array("bidirectional", lengths)
    if lengths.shape != (x.shape[1 - axis],):
        raise ShapeError(
            at_user_line(
                f"bidirectional: lengths has shape {lengths.shape}, but the batch is of "
                f"{x.shape[1 - axis]}."
            )
        )
    return lengths.reshape((1, -1) if axis == 0 else (-1, 1))


def _within(x: Any, axis: int, lengths: Any) -> Array:
    inside = _steps(x, axis) < _lengths(x, axis, lengths)
    return inside.reshape((*inside.shape, *[1] * (x.ndim - 2)))


def _reversed(x: Array, axis: int, lengths: Any) -> Array:
    """x back to front: all of it, or each sequence within its length, what follows staying."""
    if lengths is None:
        return rnp.flip(x, axis)
    steps, ends = _steps(x, axis), _lengths(x, axis, lengths)
    source = rnp.where(steps < ends, ends - 1 - steps, steps)
    return rnp.take_along_axis(x, source.reshape((*source.shape, *[1] * (x.ndim - 2))), axis)
