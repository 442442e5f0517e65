"""Losses of sequences: connectionist temporal classification. Depends on `lax`, `losses.reduction`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc import lax
from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.core.trace import Tracer
from rtfunc.nn.losses.reduction import reduced
from rtfunc.ops.convert import as_array, promote_inexact, scalar
from rtfunc.ops.exponential import logaddexp
from rtfunc.ops.pad_slice import shift_in
from rtfunc.ops.select import select


def ctc_loss(
    log_probabilities: ArrayLike,
    targets: ArrayLike,
    input_lengths: ArrayLike,
    target_lengths: ArrayLike,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
    reduction: str = "mean",
) -> Array:
    """-log of the probability of a sequence of labels whose places in time are unknown.

    The sum is over all ways to say the labels in order, each one or more times, with blanks
    between: Graves et al. 2006, https://doi.org/10.1145/1143844.1143891. It is computed by the
    forward recursion in logarithms, one step of a `scan` for each time.

    Arguments:
      log_probabilities: (T, N, C), logarithms of the classes' probabilities at each time, as
        `log_softmax` gives them; or (T, C) for one example.
      targets: labels, none of them `blank`: (N, S), of which target_lengths count; or all of them
        one after the other, (sum(target_lengths),); (S,) for one example.
      input_lengths, target_lengths: (N,), or numbers for one example. 0 is a length.
      blank: the class that says nothing.
      zero_infinity: whether the loss of a target that is too long for its input counts as 0, with
        derivative 0, rather than infinity (whose derivative says nothing).
      reduction: "mean" divides each loss by its target's length, then averages; "sum" or "none".

    The derivative is that of the formula. PyTorch's adds exp(log_probabilities) to it, which
    `log_softmax` takes away again: derivatives by what was given to it are the same.

    Raises `ShapeError` for shapes that do not fit, `DtypeError` for labels that are no integers,
    and `ArgumentError` for lengths and labels that cannot be, where their values are known.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> even = nn.log_softmax(rnp.zeros((2, 1, 2)))  # two times, blank and one label
    >>> loss = nn.ctc_loss(even, rnp.array([[1]]), rnp.array([2]), rnp.array([1]))
    >>> round(float(rnp.exp(-loss)), 6)  # three of four ways: "1 1", "1 blank", "blank 1"
    0.75
    """
    (x,) = promote_inexact("ctc_loss", log_probabilities)
    labels, times, lengths = (
        as_array("ctc_loss", a) for a in (targets, input_lengths, target_lengths)
    )
    for what, given in (("targets", labels), ("lengths", times), ("lengths", lengths)):
        if not dtypes.is_integer(given.dtype):
            raise DtypeError(at_user_line(f"ctc_loss takes integers as {what}, not {given.dtype}."))
    single = x.ndim == 2
    if single:
        x, labels = rnp.expand_dims(x, 1), rnp.expand_dims(labels, 0)
        times, lengths = times.reshape((-1,)), lengths.reshape((-1,))
    _check(x, labels, times, lengths, blank)
    labels = _padded(labels, lengths)
    losses = -_log_likelihood(x, labels, times, lengths, blank)
    zero = scalar(0, losses.dtype)
    if zero_infinity:
        losses = select(losses == np.inf, zero, losses)
    if reduction == "mean":
        losses = losses / rnp.maximum(lengths, 1).astype(losses.dtype)
    losses = losses.astype(x.dtype)
    return reduced("ctc_loss", losses[0] if single else losses, reduction)


def _check(x: Array, labels: Array, times: Array, lengths: Array, blank: int) -> None:
    if x.ndim != 3:
        raise ShapeError(
            at_user_line(
                f"ctc_loss takes log-probabilities (T, N, C), or (T, C) for one example, not of "
                f"shape {x.shape}."
            )
        )
    number = x.shape[1]
    if times.shape != (number,) or lengths.shape != (number,):
        raise ShapeError(
            at_user_line(
                f"ctc_loss: log-probabilities of shape {x.shape} go with {number} lengths of "
                f"inputs and targets, not {times.shape} and {lengths.shape}."
            )
        )
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.shape[0] != number):
        raise ShapeError(
            at_user_line(
                f"ctc_loss: log-probabilities of shape {x.shape} go with targets ({number}, S) or "
                f"(sum(target_lengths),), not {labels.shape}."
            )
        )
    if not 0 <= blank < x.shape[2]:
        raise ArgumentError(
            at_user_line(f"ctc_loss: blank {blank} is none of the {x.shape[2]} classes.")
        )
    known_times, known = _value(times), _value(lengths)
    if known_times is not None and ((known_times < 0) | (known_times > x.shape[0])).any():
        raise ArgumentError(
            at_user_line(
                f"ctc_loss: input_lengths are from 0 to {x.shape[0]}, but got "
                f"{known_times.tolist()}."
            )
        )
    if known is None:
        return
    most = labels.shape[-1]
    if (known < 0).any() or (known.max() if labels.ndim == 2 else known.sum()) > most:
        raise ArgumentError(
            at_user_line(
                f"ctc_loss: target_lengths {known.tolist()} do not fit targets of shape "
                f"{labels.shape}."
            )
        )
    values = _value(_padded(labels, lengths))
    if values is not None:
        used = values[np.arange(values.shape[1]) < known[:, None]]
        wrong = used[(used < 0) | (used >= x.shape[2]) | (used == blank)]
        if wrong.size:
            raise ArgumentError(
                at_user_line(
                    f"ctc_loss: targets are from 0 to {x.shape[2] - 1} and not the blank {blank}, "
                    f"but {int(wrong[0])} is among them."
                )
            )


def _value(x: Array) -> np.ndarray | None:
    """What `x` holds, where that is known here."""
    known = not isinstance(x, Tracer) and isinstance(x._buffer, np.ndarray)
    return np.asarray(x) if known else None


def _padded(labels: Array, lengths: Array) -> Array:
    """Labels (N, S): those that stand one after the other are put into rows."""
    if labels.ndim == 2:
        return labels
    known = _value(lengths)
    most = labels.shape[0] if known is None else int(known.max(initial=0))
    if not labels.shape[0]:
        return rnp.zeros((lengths.shape[0], 0), labels.dtype)
    starts = rnp.cumsum(lengths) - lengths
    places = rnp.expand_dims(starts, 1) + rnp.arange(most, dtype=starts.dtype)
    return rnp.take(labels, rnp.clip(places, 0, labels.shape[0] - 1), axis=0)


def _log_likelihood(x: Array, labels: Array, times: Array, lengths: Array, blank: int) -> Array:
    """Logarithm of the probability of each target (N,), by the forward recursion."""
    number, most = labels.shape
    x = x.astype(dtypes.compute_dtype(x.dtype))
    classes = x.shape[2]
    # Labels with a blank before, between and behind them: places 0 to 2 S.
    used = rnp.arange(most) < rnp.expand_dims(lengths, 1)
    labels = rnp.clip(rnp.where(used, labels, blank), 0, classes - 1)
    blanks = rnp.full_like(labels, blank)
    between = rnp.stack([blanks, labels], axis=2).reshape((number, 2 * most))
    extended = rnp.concatenate([between, rnp.full((number, 1), blank, labels.dtype)], axis=1)
    # A blank may be left out between two labels that differ.
    before = shift_in(shift_in(extended, 1, blank, forward=True), 1, blank, forward=True)
    skips = rnp.logical_and(extended != blank, extended != before)
    never = scalar(-np.inf, x.dtype)
    emitted = rnp.take_along_axis(x, rnp.expand_dims(extended, 0), axis=2)

    def step(state: Any, at_time: Any) -> Any:
        alpha, time = state
        following = shift_in(alpha, 1, never, forward=True)
        skipping = shift_in(following, 1, never, forward=True)
        ways = logaddexp(logaddexp(alpha, following), select(skips, skipping, never))
        going = rnp.expand_dims(time < times, 1)
        return (select(going, ways + at_time, alpha), time + 1), None

    # Before the first time all is at place 0, from which place 1 can be reached too.
    start = select(rnp.arange(2 * most + 1) == 0, scalar(0, x.dtype), never)
    start = rnp.broadcast_to(start, (number, 2 * most + 1))
    (alpha, _), _ = lax.scan(step, (start, rnp.zeros((), times.dtype)), emitted)
    last = 2 * rnp.expand_dims(lengths, 1)
    place = rnp.arange(2 * most + 1, dtype=last.dtype)
    ends = [
        rnp.max(select(place == end, alpha, never), axis=1) for end in (last, last - 1)
    ]  # none where a target has no labels
    return logaddexp(ends[0], ends[1])


__all__ = ["ctc_loss"]
