"""Recurrent networks as functions: a step of each kind of cell, and walks along a sequence.

A walk projects the inputs of all steps in one matrix product and scans over the results, so that
a step of the loop multiplies the hidden state alone. Weights and the order of the gates in them
are PyTorch's. Depends on `lax.scan` and `linear`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from rtfunc import lax
from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.nn.activations import relu, sigmoid, tanh
from rtfunc.nn.arguments import check_range
from rtfunc.nn.functional.linear import linear
from rtfunc.ops.convert import as_array, promote

#: What a step hands to the next one: the hidden state first.
Carry: TypeAlias = tuple[Array, ...]
#: From the projected input of a step and the carry to the next carry.
Step: TypeAlias = Callable[[Array, Carry], Carry]

_nonlinearities: dict[str, Callable[[Array], Array]] = {"tanh": tanh, "relu": relu}


def rnn_cell(
    x: ArrayLike,
    hidden: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    nonlinearity: str = "tanh",
) -> Array:
    """tanh(x @ weight_ih.T + bias_ih + hidden @ weight_hh.T + bias_hh), or relu of it.

    Arguments: x: (..., in); hidden: (..., hidden); weight_ih: (hidden, in); weight_hh: (hidden,
    hidden); biases: (hidden,). Returns the next hidden state.

    Elman 1990, https://doi.org/10.1207/s15516709cog1402_1.

    >>> import rtfunc.numpy as rnp
    >>> rnn_cell(rnp.ones(2), rnp.zeros(3), rnp.ones((3, 2)), rnp.ones((3, 3)), None, None, "relu")
    Array([2., 2., 2.], dtype=float32)
    """
    x, hidden, weight_ih, weight_hh = promote("rnn_cell", x, hidden, weight_ih, weight_hh)
    step = _rnn_step(weight_hh, nonlinearity)
    return step(_projected("rnn_cell", x, weight_ih, bias_ih, bias_hh), (hidden,))[0]


def lstm_cell(
    x: ArrayLike,
    state: tuple[ArrayLike, ArrayLike],
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    weight_hr: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """One step of a long short-term memory.

    With i, f, g, o the quarters of x @ weight_ih.T + hidden @ weight_hh.T and the biases,

        cell' = sigmoid(f) * cell + sigmoid(i) * tanh(g)
        hidden' = sigmoid(o) * tanh(cell')

    and hidden' @ weight_hr.T in its place where that is given.

    Arguments: x: (..., in); state: hidden (..., hidden) and cell (..., cells); weight_ih:
    (4 cells, in); weight_hh: (4 cells, hidden); biases: (4 cells,); weight_hr: (hidden, cells).
    Returns the next pair.

    Hochreiter and Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; projection: Sak et
    al. 2014, https://arxiv.org/abs/1402.1128.

    >>> import rtfunc.numpy as rnp
    >>> state = rnp.zeros(3), rnp.ones(3)
    >>> hidden, cell = lstm_cell(rnp.ones(2), state, rnp.zeros((12, 2)), rnp.zeros((12, 3)))
    >>> cell
    Array([0.5, 0.5, 0.5], dtype=float32)
    """
    hidden, cell = _pair("lstm_cell", state)
    x, hidden, cell, weight_ih, weight_hh = promote(
        "lstm_cell", x, hidden, cell, weight_ih, weight_hh
    )
    step = _lstm_step(weight_hh, weight_hr)
    hidden, cell = step(_projected("lstm_cell", x, weight_ih, bias_ih, bias_hh), (hidden, cell))
    return hidden, cell


def gru_cell(
    x: ArrayLike,
    hidden: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
) -> Array:
    """One step of a gated recurrent unit, the reset gate after the product, as in PyTorch.

    With the thirds r, z, n of x @ weight_ih.T + bias_ih, and those of hidden @ weight_hh.T +
    bias_hh with a prime,

        n = tanh(n + sigmoid(r + r') * n')
        hidden' = n + sigmoid(z + z') * (hidden - n)

    Arguments: x: (..., in); hidden: (..., hidden); weight_ih: (3 hidden, in); weight_hh:
    (3 hidden, hidden); biases: (3 hidden,). Returns the next hidden state.

    Cho et al. 2014, https://arxiv.org/abs/1406.1078.

    >>> import rtfunc.numpy as rnp
    >>> gru_cell(rnp.ones(2), rnp.ones(3), rnp.zeros((9, 2)), rnp.zeros((9, 3)))
    Array([0.5, 0.5, 0.5], dtype=float32)
    """
    x, hidden, weight_ih, weight_hh = promote("gru_cell", x, hidden, weight_ih, weight_hh)
    step = _gru_step(weight_hh, bias_hh)
    return step(_projected("gru_cell", x, weight_ih, bias_ih), (hidden,))[0]


def rnn(
    x: ArrayLike,
    hidden: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    nonlinearity: str = "tanh",
    *,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """`rnn_cell` along a sequence, time first.

    Arguments:
      x: (time, batch, in); hidden: (batch, hidden), the initial state; weights as in `rnn_cell`.
      lengths: (batch,), how many steps of each sequence count. The steps after them leave the
        state alone and put out 0, as PyTorch's packed sequences do.
      reverse: whether to walk from the last step (of each sequence) to the first.

    Returns the hidden states (time, batch, hidden) and the final one.

    Raises `ArgumentError` for a length below 0 or beyond the time.

    >>> import rtfunc.numpy as rnp
    >>> x, h, w = rnp.ones((4, 1, 1)), rnp.zeros((1, 1)), rnp.ones((1, 1))
    >>> rnn(x, h, w, w, nonlinearity="relu", lengths=rnp.array([3]))[0][:, 0, 0]
    Array([1., 2., 3., 0.], dtype=float32)
    """
    x, hidden, weight_ih, weight_hh = promote("rnn", x, hidden, weight_ih, weight_hh)
    step = _rnn_step(weight_hh, nonlinearity)
    x, active = _masked("rnn", x, lengths)
    gates = _projected("rnn", x, weight_ih, bias_ih, bias_hh)
    out, (hidden,) = _walk(step, gates, (hidden,), active, reverse)
    return out, hidden


def lstm(
    x: ArrayLike,
    state: tuple[ArrayLike, ArrayLike],
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    weight_hr: ArrayLike | None = None,
    *,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, tuple[Array, Array]]:
    """`lstm_cell` along a sequence, time first.

    Arguments: x: (time, batch, in); state: initial hidden (batch, hidden) and cell (batch, cells);
    weights as in `lstm_cell`; lengths, reverse as in `rnn`.

    Returns the hidden states (time, batch, hidden), and the final hidden and cell.

    >>> import rtfunc.numpy as rnp
    >>> zeros = rnp.zeros((5, 3))
    >>> weights = rnp.ones((12, 2)), rnp.ones((12, 3))
    >>> out, (hidden, cell) = lstm(rnp.ones((7, 5, 2)), (zeros, zeros), *weights)
    >>> out.shape, hidden.shape
    ((7, 5, 3), (5, 3))
    """
    hidden, cell = _pair("lstm", state)
    x, hidden, cell, weight_ih, weight_hh = promote("lstm", x, hidden, cell, weight_ih, weight_hh)
    step = _lstm_step(weight_hh, weight_hr)
    x, active = _masked("lstm", x, lengths)
    gates = _projected("lstm", x, weight_ih, bias_ih, bias_hh)
    out, (hidden, cell) = _walk(step, gates, (hidden, cell), active, reverse)
    return out, (hidden, cell)


def gru(
    x: ArrayLike,
    hidden: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike | None = None,
    bias_hh: ArrayLike | None = None,
    *,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """`gru_cell` along a sequence, time first.

    Arguments: x: (time, batch, in); hidden: (batch, hidden), the initial state; weights as in
    `gru_cell`; lengths, reverse as in `rnn`.

    Returns the hidden states (time, batch, hidden) and the final one.

    >>> import rtfunc.numpy as rnp
    >>> out, hidden = gru(
    ...     rnp.ones((7, 5, 2)), rnp.zeros((5, 3)), rnp.ones((9, 2)), rnp.ones((9, 3))
    ... )
    >>> out.shape, hidden.shape
    ((7, 5, 3), (5, 3))
    """
    x, hidden, weight_ih, weight_hh = promote("gru", x, hidden, weight_ih, weight_hh)
    step = _gru_step(weight_hh, bias_hh)
    x, active = _masked("gru", x, lengths)
    out, (hidden,) = _walk(
        step, _projected("gru", x, weight_ih, bias_ih), (hidden,), active, reverse
    )
    return out, hidden


def check_nonlinearity(operation: str, nonlinearity: str) -> None:
    """Raise `ArgumentError` unless an `rnn` can have this nonlinearity."""
    if nonlinearity not in _nonlinearities:
        raise ArgumentError(
            at_user_line(
                f"{operation}: the nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}."
            )
        )


# Steps: what the loop does with the projected input and the carry


def _rnn_step(weight_hh: Array, nonlinearity: str) -> Step:
    check_nonlinearity("rnn", nonlinearity)
    function = _nonlinearities[nonlinearity]
    return lambda gates, carry: (function(gates + linear(carry[0], weight_hh)),)


def _lstm_step(weight_hh: Array, weight_hr: ArrayLike | None) -> Step:
    def step(gates: Array, carry: Carry) -> Carry:
        hidden, cell = carry
        i, f, g, o = rnp.split(gates + linear(hidden, weight_hh), 4, axis=-1)
        cell = sigmoid(f) * cell + sigmoid(i) * tanh(g)
        hidden = sigmoid(o) * tanh(cell)
        return (hidden if weight_hr is None else linear(hidden, weight_hr)), cell

    return step


def _gru_step(weight_hh: Array, bias_hh: ArrayLike | None) -> Step:
    def step(gates: Array, carry: Carry) -> Carry:
        (hidden,) = carry
        r, z, n = rnp.split(gates, 3, axis=-1)
        r_hidden, z_hidden, n_hidden = rnp.split(linear(hidden, weight_hh, bias_hh), 3, axis=-1)
        n = tanh(n + sigmoid(r + r_hidden) * n_hidden)
        return (n + sigmoid(z + z_hidden) * (hidden - n),)

    return step


# What they share


def _pair(operation: str, state: Any) -> tuple[Any, Any]:
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise ShapeError(
            at_user_line(f"{operation}: the state is a pair (hidden, cell), not {state!r:.60}.")
        )
    return state[0], state[1]


def _projected(operation: str, x: Array, weight: Array, *biases: ArrayLike | None) -> Array:
    """x @ weight.T and the biases: for all steps at once where x has a time axis."""
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            at_user_line(
                f"{operation}: the input has shape {x.shape}, but weight_ih of shape "
                f"{weight.shape} expects {weight.shape[-1]} features on the last axis."
            )
        )
    given = [rnp.asarray(b) for b in biases if b is not None]
    return linear(x, weight, sum(given[1:], given[0]) if given else None)


def _masked(operation: str, x: Array, lengths: ArrayLike | None) -> tuple[Array, Array | None]:
    """x with zeros after the ends of the sequences, and which steps count (time, batch, 1)."""
    if x.ndim != 3:
        raise ShapeError(
            at_user_line(f"{operation} takes an input (time, batch, in), not of shape {x.shape}.")
        )
    if lengths is None:
        return x, None
    lengths = as_array(operation, lengths)
    if not dtypes.is_integer(lengths.dtype):
        raise DtypeError(at_user_line(f"{operation}: lengths are integers, not {lengths.dtype}."))
    if lengths.shape != (x.shape[1],):
        raise ShapeError(
            at_user_line(
                f"{operation}: lengths has shape {lengths.shape}, but the batch is of {x.shape[1]}."
            )
        )
    check_range(operation, "lengths", lengths, x.shape[0] + 1)
    active = (rnp.arange(x.shape[0])[:, None] < lengths)[..., None]
    # What lies there is of no account, not even a NaN for the gradient of the weights.
    return rnp.where(active, x, 0), active


def _walk(
    step: Step, gates: Array, carry: Carry, active: Array | None, reverse: bool
) -> tuple[Array, Carry]:
    """The hidden states of all steps, and the final carry."""

    def walk(carry: Carry, x: Any) -> tuple[Carry, Array]:
        new = step(x, carry)
        return new, new[0]

    def walk_where_active(carry: Carry, x: Any) -> tuple[Carry, Array]:
        projected, on = x
        new = step(projected, carry)
        kept = tuple(rnp.where(on, n, old) for n, old in zip(new, carry))
        return kept, rnp.where(on, new[0], 0)

    if active is None:
        carry, out = lax.scan(walk, carry, gates, reverse=reverse)
    else:
        carry, out = lax.scan(walk_where_active, carry, (gates, active), reverse=reverse)
    return out, carry
