"""A learning rate that falls when a value, such as the loss, no longer does. Depends on `base`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rtfunc import numpy as rnp
from rtfunc import tree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import as_array
from rtfunc.optim.base import (
    GradientTransformation,
    Updates,
    as_leaf,
    cast_like,
    step_count,
    widest_dtype,
)


class PlateauState(NamedTuple):
    """The factor now in use, and what decides when it changes.

    The best value so far, numbers of bad values in a row and of values left to wait, and the sum
    and number of the values that are being averaged.
    """

    scale: Array
    best: Array
    bad: Array
    waiting: Array
    sum: Array
    count: Array


def reduce_on_plateau(
    factor: float = 0.1,
    patience: int = 10,
    *,
    mode: str = "min",
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_scale: float = 0.0,
    every: int = 1,
) -> GradientTransformation:
    """The updates times a factor, 1 at first, that is multiplied by `factor` on a plateau.

    That is when the value has been no better than the best one more than `patience` times in a row.
    The value is an argument of `update`; put this link after the optimizer:

        optimizer = optim.chain(optim.adam(1e-3), optim.reduce_on_plateau(patience=5))
        updates, state = optimizer.update(grads, state, params, value=loss)

    Arguments: mode: "min" if lower values are better, else "max"; threshold: better means by this
    much, a share of the best value, or an amount with threshold_mode "abs"; cooldown: number of
    values after a reduction during which none count as bad; min_scale: the factor stops there;
    every: take the mean of so many values as one, for example those of an epoch.

    As `torch.optim.lr_scheduler.ReduceLROnPlateau`, each value followed by the step it belongs to.

    >>> link = reduce_on_plateau(0.5, patience=1)
    >>> state = link.init(0.0)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     updates, state = link.update(1.0, state, value=loss)
    >>> float(updates)
    0.5
    """
    if not 0 < factor < 1:
        raise ArgumentError(
            at_user_line(f"reduce_on_plateau: factor is above 0 and below 1, but got {factor}.")
        )
    for name, given, known in (
        ("mode", mode, ("min", "max")),
        ("threshold_mode", threshold_mode, ("rel", "abs")),
    ):
        if given not in known:
            raise ArgumentError(
                at_user_line(
                    f"reduce_on_plateau: {name} is {' or '.join(map(repr, known))}, not {given!r}."
                )
            )
    if every < 1:
        raise ArgumentError(
            at_user_line(f"reduce_on_plateau: every is at least 1, but got {every}.")
        )

    def better(value: Array, best: Array) -> Array:
        if mode == "min":
            return value < (best * (1 - threshold) if threshold_mode == "rel" else best - threshold)
        return value > (best * (1 + threshold) if threshold_mode == "rel" else best + threshold)

    def init(params: Any) -> PlateauState:
        wide = widest_dtype(params)
        worst = np.inf if mode == "min" else -np.inf
        return PlateauState(
            rnp.ones((), wide),
            rnp.full((), worst, wide),
            step_count(),
            step_count(),
            rnp.zeros((), wide),
            step_count(),
        )

    def judged(state: PlateauState, value: Array) -> PlateauState:
        good = better(value, state.best)
        waiting = rnp.maximum(state.waiting - 1, 0)
        bad = rnp.where(good | (state.waiting > 0), 0, state.bad + 1)
        due = bad > patience
        lower = rnp.maximum(state.scale * factor, min_scale)
        return PlateauState(
            rnp.where(due, lower, state.scale),
            rnp.where(good, value, state.best),
            rnp.where(due, 0, bad),
            rnp.where(due, cooldown, waiting),
            rnp.zeros_like(state.sum),
            rnp.zeros_like(state.count),
        )

    def update(
        updates: Updates,
        state: PlateauState,
        params: Any = None,
        *,
        value: Any = None,
        **extra: Any,
    ) -> tuple[Updates, PlateauState]:
        if value is None:
            raise ArgumentError(
                at_user_line(
                    "reduce_on_plateau lacks value=: write "
                    "`optimizer.update(grads, state, params, value=loss)`."
                )
            )
        value = as_array("reduce_on_plateau", value, state.best.dtype)
        state = state._replace(sum=state.sum + value, count=state.count + 1)
        judgement = judged(state, state.sum / every)
        due = state.count == every
        state = tree.map(lambda new, old: rnp.where(due, new, old), judgement, state)
        scaled = tree.map(lambda u: as_leaf(u) * cast_like(state.scale, as_leaf(u)), updates)
        return scaled, state

    return GradientTransformation(init, update)
