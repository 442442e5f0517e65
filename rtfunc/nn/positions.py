"""Layers that tell positions apart, and what lets them and attention go on where they stopped.

In decoding a model is given one new step at a time. A layer made with `cached=True` (or a
`cache_length`) keeps in its state at which position it is, and what it needs of the steps before,
in arrays of fixed size. So a step compiles once, can be scanned over, and gives what the whole
sequence at once would. `initial_state` makes such states. Depends on `functional`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.lax import dynamic_update_slice_in_dim
from rtfunc.nn import functional, initializers
from rtfunc.nn.arguments import check_positive
from rtfunc.nn.initializers import Initializer
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    input_specs,
    parameter,
    parameter_dtype,
    single_input,
)
from rtfunc.ops.convert import as_array, convert


def _start(cached: bool) -> dict[str, Array]:
    return {"position": rnp.zeros((), dtypes.int32)} if cached else {}


def _advance(name: str, state: State, cached: bool, length: int) -> tuple[Array, State]:
    """The positions of `length` more steps, and the state after them."""
    if not cached:
        return rnp.arange(length), state
    position = parameter(name, state, "position")
    return position + rnp.arange(length), {"position": position + length}


def _check_room(name: str, position: Any, length: int, limit: int) -> None:
    """Raise `ArgumentError` when `length` more steps pass `limit`, where the position is known."""
    if isinstance(position, Tracer):
        return
    if int(position) + length > limit:
        raise ArgumentError(
            at_user_line(
                f"{name} has room for {limit} positions, but {length} more are given at position "
                f"{int(position)}."
            )
        )


def check_caches(operation: str, state: State, length: int) -> None:
    """Raise `ArgumentError` unless each `key_value_cache` in a state has room for `length` steps.

    Where the position is traced, it is taken for 0.
    """
    if not isinstance(state, Mapping):
        return
    if {"keys", "values", "position"} <= state.keys():
        position = state["position"]
        known = 0 if isinstance(position, Tracer) else int(position)
        _check_room(f"{operation}: the cache", known, length, state["keys"].shape[-2])
    for part in state.values():
        check_caches(operation, part, length)


def sinusoidal_positions(
    *, base: float = 10000.0, batch_first: bool = True, cached: bool = False
) -> Layer:
    """x plus the sinusoidal encoding of its positions (`functional.sinusoidal_encoding`).

    Input and output (batch, length, features), or (length, batch, features) without `batch_first`.
    State (with `cached`): "position".

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.sinusoidal_positions().apply({}, {}, rnp.zeros((1, 2, 2)))[0]
    Array([[[0.       , 1.       ],
            [0.841471 , 0.5403023]]], dtype=float32)
    """
    name = "sinusoidal_positions"

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        input_specs(name, specs)
        return {}, _start(cached)

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = as_array(name, single_input(name, inputs))
        length = _length(name, x, batch_first)
        positions, state = _advance(name, state, cached, length)
        code = functional.sinusoidal_encoding(positions, x.shape[-1], base=base, dtype=x.dtype)
        return x + (code if batch_first or x.ndim == 2 else code[:, None]), state

    return Layer(init, apply, name)


def learned_positions(
    max_length: int,
    *,
    weight_init: Initializer | None = None,
    batch_first: bool = True,
    cached: bool = False,
    dtype: DtypeLike | None = None,
) -> Layer:
    """x plus a learned vector for each position.

    Input and output (batch, length, features), or (length, batch, features) without `batch_first`.
    Parameter: "weight" (max_length, features), normal with standard deviation 0.02 by default.
    State (with `cached`): "position".

    Raises `ArgumentError` for positions beyond `max_length` where they are known; inside `jit` they
    give NaN.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.learned_positions(16)
    >>> params, state = layer.init(random.key(0), (1, 5, 8))
    >>> layer.apply(params, state, rnp.ones((1, 5, 8)))[0].shape
    (1, 5, 8)
    """
    check_positive("learned_positions", "max_length", max_length)
    name = f"learned_positions({max_length})"

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        (x,) = input_specs(name, specs)
        _length(name, x, batch_first)
        initializer = weight_init or initializers.normal(0.02)
        weight = initializer(key, (max_length, x.shape[-1]), parameter_dtype(x, dtype))
        return {"weight": weight}, _start(cached)

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        x = as_array(name, single_input(name, inputs))
        length = _length(name, x, batch_first)
        weight = parameter(name, params, "weight")
        _check_room(name, state["position"] if cached else 0, length, max_length)
        if cached:
            positions, state = _advance(name, state, cached, length)
            rows = functional.embedding(positions, weight)
        else:
            rows = weight[:length]
        return x + (rows if batch_first or x.ndim == 2 else rows[:, None]), state

    return Layer(init, apply, name)


def rotary_positions(
    *, base: float = 10000.0, interleaved: bool = False, cached: bool = False
) -> Layer:
    """Queries and keys turned by their positions (`functional.rotary_embedding`).

    Inputs: any number of arrays (..., length, features), at the same positions; output the tuple of
    them, or the one. State (with `cached`): "position".

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> query, key = rnp.ones((1, 4, 5, 8)), rnp.ones((1, 2, 5, 8))
    >>> (query, key), _ = nn.rotary_positions().apply({}, {}, query, key)
    >>> query.shape, key.shape
    ((1, 4, 5, 8), (1, 2, 5, 8))
    """
    name = "rotary_positions"

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        return {}, _start(cached)

    def apply(
        params: Params, state: State, *inputs: Any, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        arrays = [as_array(name, x) for x in inputs]
        if len({x.shape[-2:-1] for x in arrays}) != 1:
            raise ShapeError(
                at_user_line(
                    f"{name} takes arrays (..., length, features) of one length, not "
                    f"{', '.join(str(x.shape) for x in arrays)}."
                )
            )
        positions, state = _advance(name, state, cached, arrays[0].shape[-2])
        turned: tuple[Any, ...] = tuple(
            functional.rotary_embedding(x, positions, base=base, interleaved=interleaved)
            for x in arrays
        )
        return (turned if len(arrays) > 1 else turned[0]), state

    return Layer(init, apply, name)


def key_value_cache(length: int) -> Layer:
    """Keys and values of all steps so far, given those of the new ones.

    Inputs: keys (batch, heads, new, features) and values (batch, heads, new, out). Output: all keys
    (batch, heads, length, features), all values, and the mask (new, length) that says which of them
    each new step sees: itself and those before. State: "keys", "values", "position".

    Raises `ArgumentError` for steps beyond `length` where the position is known; inside `jit` they
    give NaN.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> cache = nn.key_value_cache(3)
    >>> new = rnp.ones((1, 1, 2, 1))
    >>> (keys, values, mask), state = cache.apply({}, nn.initial_state(cache, new, new), new, new)
    >>> keys[0, 0, :, 0].tolist(), mask.tolist()
    ([1.0, 1.0, 0.0], [[True, False, False], [True, True, False]])
    """
    check_positive("key_value_cache", "length", length)
    name = f"key_value_cache({length})"

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        keys, values = input_specs(name, specs, 2)
        state = {
            what: rnp.zeros((*x.shape[:-2], length, x.shape[-1]), x.dtype)
            for what, x in (("keys", keys), ("values", values))
        }
        return {}, state | _start(True)

    def apply(
        params: Params,
        state: State,
        keys: Any,
        values: Any,
        *,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, State]:
        new = keys.shape[-2]
        position = parameter(name, state, "position")
        if keys.ndim < 2 or new > length:
            raise ShapeError(
                at_user_line(f"{name}: new keys of shape {keys.shape} do not fit the cache.")
            )
        _check_room(name, position, new, length)
        there = position + new <= length

        def extended(what: str, x: Any) -> Array:
            old = parameter(name, state, what)
            if old.shape[:-2] != x.shape[:-2] or old.shape[-1] != x.shape[-1]:
                raise ShapeError(
                    at_user_line(
                        f"{name}: the cache of shape {old.shape} was made for other {what} than "
                        f"those of shape {x.shape}. Make the state for this batch: "
                        "nn.initial_state(model, x)."
                    )
                )
            x = rnp.where(there, convert(x, old.dtype), rnp.nan)
            return dynamic_update_slice_in_dim(old, x, position, old.ndim - 2)

        now = {"keys": extended("keys", keys), "values": extended("values", values)}
        mask = functional.causal_mask(new, length, position)
        # The cache keeps its dtype, and attention computes in that of the new keys and values.
        out = convert(now["keys"], keys.dtype), convert(now["values"], values.dtype)
        return (*out, mask), now | {"position": position + new}

    return Layer(init, apply, name)


def _length(name: str, x: Any, batch_first: bool) -> int:
    """The length of x (batch, length, features) or (length, features)."""
    if x.ndim not in (2, 3):
        order = "(batch, length, features)" if batch_first else "(length, batch, features)"
        raise ShapeError(at_user_line(f"{name} takes an input {order}, not of shape {x.shape}."))
    return x.shape[1] if batch_first and x.ndim == 3 else x.shape[0]
