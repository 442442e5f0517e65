"""Cells: one step of a recurrent layer, with PyTorch's parameters and numbers.

Depends on `functional`, `initializers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rtfunc import numpy as rnp
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, at_user_line
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


def rnn_cell(
    hidden_size: int,
    *,
    nonlinearity: str = "tanh",
    bias: bool = True,
    dtype: DtypeLike | None = None,
) -> Layer:
    """One step of an `rnn`: PyTorch's `RNNCell`.

    Inputs x (..., in) and the hidden state (..., hidden_size), zeros by default; output the next
    hidden state. Parameters: "weight_ih" (hidden_size, in), "weight_hh" (hidden_size, hidden_size),
    "bias_ih" and "bias_hh" (hidden_size,).

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> cell = nn.rnn_cell(4)
    >>> params, state = cell.init(random.key(0), (5, 3))
    >>> cell.apply(params, state, rnp.ones((5, 3)))[0].shape
    (5, 4)
    """
    check_nonlinearity("rnn_cell", nonlinearity)

    def step(*args: Any, **kwargs: Any) -> Any:
        return functional.rnn_cell(*args, nonlinearity=nonlinearity, **kwargs)

    return _cell("rnn_cell", 1, step, hidden_size, bias, dtype)


def lstm_cell(hidden_size: int, *, bias: bool = True, dtype: DtypeLike | None = None) -> Layer:
    """One step of an `lstm`: PyTorch's `LSTMCell`.

    Inputs x (..., in) and the pair of hidden and cell state, (..., hidden_size) each, zeros by
    default; output the next pair. Parameters: "weight_ih" (4 hidden_size, in), "weight_hh"
    (4 hidden_size, hidden_size), "bias_ih" and "bias_hh" (4 hidden_size,).

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> cell = nn.lstm_cell(4)
    >>> params, state = cell.init(random.key(0), (5, 3))
    >>> (hidden, memory), state = cell.apply(params, state, rnp.ones((5, 3)))
    >>> hidden.shape
    (5, 4)
    """
    return _cell("lstm_cell", 4, functional.lstm_cell, hidden_size, bias, dtype)


def gru_cell(hidden_size: int, *, bias: bool = True, dtype: DtypeLike | None = None) -> Layer:
    """One step of a `gru`: PyTorch's `GRUCell`.

    Inputs x (..., in) and the hidden state (..., hidden_size), zeros by default; output the next
    hidden state. Parameters: "weight_ih" (3 hidden_size, in), "weight_hh" (3 hidden_size,
    hidden_size), "bias_ih" and "bias_hh" (3 hidden_size,).

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> cell = nn.gru_cell(4)
    >>> params, state = cell.init(random.key(0), (5, 3))
    >>> cell.apply(params, state, rnp.ones((5, 3)), rnp.ones((5, 4)))[0].shape
    (5, 4)
    """
    return _cell("gru_cell", 3, functional.gru_cell, hidden_size, bias, dtype)


def _cell(
    kind: str,
    gates: int,
    step: Callable[..., Any],
    hidden_size: int,
    bias: bool,
    dtype: DtypeLike | None,
) -> Layer:
    """A layer of one step; `gates` is how many rows of weights a hidden unit has."""
    check_positive(kind, "hidden_size", hidden_size)
    name = f"{kind}({hidden_size})"
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if bias else [])]

    def init(key: Any, *specs: InputSpec) -> tuple[Params, State]:
        if not specs:
            raise ArgumentError(
                at_user_line(f"{name}: init takes a key and the spec of the input, but got none.")
            )
        x, rows = as_spec(specs[0]), gates * hidden_size
        bound = 1 / math.sqrt(hidden_size)
        within = initializers.uniform(-bound, bound)
        shapes = [(rows, x.shape[-1]), (rows, hidden_size), (rows,), (rows,)]
        dtype_ = parameter_dtype(x, dtype)
        keys = split_keys(key, len(names))
        return {n: within(k, s, dtype_) for n, s, k in zip(names, shapes, keys)}, {}

    def apply(
        params: Params,
        state: State,
        x: Any,
        hidden: Any = None,
        *,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, State]:
        x = as_array(name, x)
        values = {n: parameter(name, params, n) for n in names}
        if hidden is None:
            zeros = rnp.zeros((*x.shape[:-1], hidden_size), values["weight_hh"].dtype)
            hidden = (zeros, zeros) if kind == "lstm_cell" else zeros
        return step(x, hidden, **values), state

    return Layer(init, apply, name)
