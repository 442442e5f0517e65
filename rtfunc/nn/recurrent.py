"""Recurrent layers with PyTorch's parameters and numbers: rnn, lstm, gru.

Each is a stack of walks (`functional.recurrent`), one for each layer and direction. Depends on
`functional`, `initializers`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.nn import functional, initializers
from rtfunc.nn.arguments import check_positive
from rtfunc.nn.functional.recurrent import check_nonlinearity
from rtfunc.nn.layer import (
    InputSpec,
    Layer,
    Params,
    State,
    as_spec,
    parameter,
    parameter_dtype,
    split_keys,
)
from rtfunc.ops.convert import as_array


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What tells the recurrent layers apart.

    Attributes: gates: how many rows of weights a hidden unit has; walk: the function for a sequence;
    has_cell: whether the state is a pair (hidden, cell).
    """

    name: str
    gates: int
    walk: Callable[..., tuple[Array, Any]]
    has_cell: bool = False


def rnn(
    hidden_size: int,
    num_layers: int = 1,
    *,
    nonlinearity: str = "tanh",
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    return_state: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """hidden = tanh(x @ weight_ih.T + hidden @ weight_hh.T + biases), step by step: PyTorch's `RNN`.

    Inputs: x (time, batch, in), or (batch, time, in) with `batch_first`, or (time, in); the initial
    hidden state (layers * directions, batch, hidden_size), zeros by default; lengths (batch,) of
    the sequences, the time by default. The last two are also keyword arguments of `apply`,
    `initial` and `lengths`.

    Output: the hidden states of the last layer, (time, batch, directions * hidden_size) or batch
    first, and the final hidden state of every layer, in the initial one's shape. Past the end of a
    sequence the output is 0, and the final state is that of its last step, as with PyTorch's packed
    sequences.

    Parameters, for each layer k and with the suffix "_reverse" for the other direction:
    "weight_ih_l{k}" (hidden_size, in), "weight_hh_l{k}" (hidden_size, hidden_size), "bias_ih_l{k}"
    and "bias_hh_l{k}" (hidden_size,).

    Arguments: nonlinearity: "tanh" or "relu"; dropout: rate in training between the layers;
    return_state: False returns the output alone, which is what `sequential` hands on.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.rnn(4, batch_first=True)
    >>> params, state = layer.init(random.key(0), (5, 7, 3))
    >>> (out, hidden), state = layer.apply(params, state, rnp.ones((5, 7, 3)))
    >>> out.shape, hidden.shape
    ((5, 7, 4), (1, 5, 4))
    """
    check_nonlinearity("rnn", nonlinearity)

    def walk(*args: Any, **kwargs: Any) -> Any:
        return functional.rnn(*args, nonlinearity=nonlinearity, **kwargs)

    kind = _Kind("rnn", 1, walk)
    return _recurrent(
        kind,
        hidden_size,
        num_layers,
        bias=bias,
        batch_first=batch_first,
        dropout=dropout,
        bidirectional=bidirectional,
        return_state=return_state,
        dtype=dtype,
    )


def lstm(
    hidden_size: int,
    num_layers: int = 1,
    *,
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    proj_size: int = 0,
    return_state: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Long short-term memory: PyTorch's `LSTM`.

    Inputs and output as those of `rnn`, but that the states, initial and final, are pairs (hidden,
    cell).

    Parameters, for each layer k and with the suffix "_reverse" for the other direction:
    "weight_ih_l{k}" (4 hidden_size, in), "weight_hh_l{k}" (4 hidden_size, hidden_size),
    "bias_ih_l{k}" and "bias_hh_l{k}" (4 hidden_size,), the gates in the order of
    `functional.lstm_cell`; with `proj_size`, "weight_hr_l{k}" (proj_size, hidden_size).

    Arguments: proj_size: size to which hidden states are projected, 0 for none; others as in `rnn`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> layer = nn.lstm(4, num_layers=2, bidirectional=True)
    >>> params, state = layer.init(random.key(0), (7, 5, 3))
    >>> (out, (hidden, cell)), _ = layer.apply(params, state, rnp.ones((7, 5, 3)))
    >>> out.shape, cell.shape
    ((7, 5, 8), (4, 5, 4))
    """
    if proj_size < 0 or proj_size >= hidden_size:
        raise ArgumentError(
            at_user_line(
                f"lstm: proj_size is from 0 to below hidden_size {hidden_size}, but got "
                f"{proj_size}."
            )
        )
    kind = _Kind("lstm", 4, functional.lstm, has_cell=True)
    return _recurrent(
        kind,
        hidden_size,
        num_layers,
        bias=bias,
        batch_first=batch_first,
        dropout=dropout,
        bidirectional=bidirectional,
        proj_size=proj_size,
        return_state=return_state,
        dtype=dtype,
    )


def gru(
    hidden_size: int,
    num_layers: int = 1,
    *,
    bias: bool = True,
    batch_first: bool = False,
    dropout: float = 0.0,
    bidirectional: bool = False,
    return_state: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """Gated recurrent units: PyTorch's `GRU`.

    Inputs, output and arguments as those of `rnn`. Parameters, for each layer k and with the suffix
    "_reverse" for the other direction: "weight_ih_l{k}" (3 hidden_size, in), "weight_hh_l{k}"
    (3 hidden_size, hidden_size), "bias_ih_l{k}" and "bias_hh_l{k}" (3 hidden_size,), the gates in
    the order of `functional.gru_cell`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.sequential(nn.gru(4, batch_first=True, return_state=False), nn.dense(2))
    >>> params, state = model.init(random.key(0), (5, 7, 3))
    >>> model.apply(params, state, rnp.ones((5, 7, 3)))[0].shape
    (5, 7, 2)
    """
    kind = _Kind("gru", 3, functional.gru)
    return _recurrent(
        kind,
        hidden_size,
        num_layers,
        bias=bias,
        batch_first=batch_first,
        dropout=dropout,
        bidirectional=bidirectional,
        return_state=return_state,
        dtype=dtype,
    )


def _recurrent(
    kind: _Kind,
    hidden_size: int,
    num_layers: int,
    *,
    bias: bool,
    batch_first: bool,
    dropout: float,
    bidirectional: bool,
    return_state: bool,
    dtype: DtypeLike | None,
    proj_size: int = 0,
) -> Layer:
    check_positive(kind.name, "hidden_size", hidden_size)
    check_positive(kind.name, "num_layers", num_layers)
    if not 0 <= dropout <= 1:
        raise ArgumentError(
            at_user_line(f"{kind.name}: dropout is a rate from 0 to 1, but got {dropout}.")
        )
    name = (
        f"{kind.name}({hidden_size})"
        if num_layers == 1
        else f"{kind.name}({hidden_size}, {num_layers} layers)"
    )
    directions = ("", "_reverse") if bidirectional else ("",)
    out_size = proj_size or hidden_size

    def weights(layer: int, direction: str) -> list[str]:
        kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if bias else [])]
        kinds += ["weight_hr"] if proj_size else []
        return [f"{what}_l{layer}{direction}" for what in kinds]

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        if not 1 <= len(specs) <= 3:
            raise ArgumentError(
                at_user_line(
                    f"{name}: init takes a key and the specs of the input, and of the initial "
                    f"state and the lengths where they are given, but got {len(specs)} specs."
                )
            )
        x = as_spec(specs[0])
        _check_input(name, x, batch_first)
        size, rows = x.shape[-1], kind.gates * hidden_size
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(num_layers):
            given = (rows, size if layer == 0 else len(directions) * out_size)
            recurrent = [given, (rows, out_size), *[(rows,)] * (2 * bias), (out_size, hidden_size)]
            for direction in directions:
                shapes |= dict(zip(weights(layer, direction), recurrent))
        bound = 1 / math.sqrt(hidden_size)
        within = initializers.uniform(-bound, bound)
        dtype_ = parameter_dtype(x, dtype)
        keys = split_keys(key, len(shapes))
        return {n: within(k, s, dtype_) for (n, s), k in zip(shapes.items(), keys)}, {}

    def walked(
        params: Params, layer: int, direction: str, x: Array, initial: Any, lengths: Any
    ) -> tuple[Array, tuple[Array, ...]]:
        names = weights(layer, direction)
        values = {n[: n.index("_l")]: parameter(name, params, n) for n in names}
        state = initial if kind.has_cell else initial[0]
        options = {"lengths": lengths, "reverse": direction == "_reverse"}
        out, final = kind.walk(x, state, **values, **options)
        return out, final if kind.has_cell else (final,)

    def apply(
        params: Params,
        state: State,
        x: Any,
        initial: Any = None,
        lengths: Any = None,
        *,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, State]:
        x = as_array(name, x)
        _check_input(name, x, batch_first)
        batched = x.ndim == 3
        if not batched:
            x = x[:, None]
            initial = _map(kind, initial, lambda h: h[:, None])
        elif batch_first:
            x = rnp.swapaxes(x, 0, 1)
        if lengths is not None and not batched:
            lengths = rnp.asarray(lengths).reshape((1,))
        sizes = (out_size, hidden_size) if kind.has_cell else (out_size,)
        count = num_layers * len(directions)
        weight = parameter(name, params, "weight_ih_l0")
        carried = _initial(kind, name, initial, count, x, sizes, weight.dtype)
        keys = split_keys(key if train and dropout else None, num_layers)
        finals: list[tuple[Array, ...]] = []
        for layer in range(num_layers):
            if layer and train and dropout:
                if keys[layer] is None:
                    raise ArgumentError(
                        at_user_line(
                            f"{name} drops out values in training: pass a key, as in "
                            "layer.apply(params, state, x, key=key, train=True)."
                        )
                    )
                x = functional.dropout(x, dropout, keys[layer])
            outs = []
            for direction in directions:
                now = tuple(c[len(finals)] for c in carried)
                out, final = walked(params, layer, direction, x, now, lengths)
                outs.append(out)
                finals.append(final)
            x = outs[0] if len(outs) == 1 else rnp.concatenate(outs, axis=-1)
        if not batched:
            x = x[:, 0]
        elif batch_first:
            x = rnp.swapaxes(x, 0, 1)
        if not return_state:
            return x, state
        last = tuple(rnp.stack(part) for part in zip(*finals))
        if not batched:
            last = tuple(h[:, 0] for h in last)
        return (x, last if kind.has_cell else last[0]), state

    return Layer(init, apply, name)


def _check_input(name: str, x: Any, batch_first: bool) -> None:
    if x.ndim not in (2, 3):
        order = "(batch, time, in)" if batch_first else "(time, batch, in)"
        raise ShapeError(
            at_user_line(f"{name} takes an input {order} or (time, in), not of shape {x.shape}.")
        )


def _map(kind: _Kind, initial: Any, function: Callable[[Any], Any]) -> Any:
    if initial is None or not kind.has_cell:
        return initial if initial is None else function(rnp.asarray(initial))
    return tuple(function(rnp.asarray(part)) for part in initial)


def _initial(
    kind: _Kind,
    name: str,
    initial: Any,
    count: int,
    x: Array,
    sizes: tuple[int, ...],
    dtype: Any,
) -> tuple[Array, ...]:
    """The parts of the initial state, (layers * directions, batch, size) each."""
    shapes = [(count, x.shape[1], size) for size in sizes]
    if initial is None:
        return tuple(rnp.zeros(shape, dtype) for shape in shapes)
    if kind.has_cell and not (isinstance(initial, (tuple, list)) and len(initial) == 2):
        raise ShapeError(
            at_user_line(
                f"{name}: the initial state is a pair (hidden, cell), not one "
                f"{type(initial).__name__}."
            )
        )
    given: tuple[Any, ...] = tuple(initial) if kind.has_cell else (initial,)
    parts = tuple(as_array(name, h) for h in given)
    if [p.shape for p in parts] != shapes:
        raise ShapeError(
            at_user_line(
                f"{name}: the initial state has shape {', '.join(str(p.shape) for p in parts)}, "
                f"not (layers * directions, batch, size) = {', '.join(map(str, shapes))}."
            )
        )
    return parts
