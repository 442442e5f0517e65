"""Optimizers around optimizers: gradients that are not finite, accumulation, averages, flat minima.

Depends on `base`, `schedules` and `lax.cond`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rtfunc import lax, tree
from rtfunc import numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.optim.adaptive import unbias
from rtfunc.optim.base import (
    GradientTransformation,
    OptimizerState,
    Updates,
    as_leaf,
    cast_like,
    global_norm,
    needs_params,
    split_map,
    step_count,
    zeros_like,
)
from rtfunc.optim.schedules import as_number


class ApplyIfFiniteState(NamedTuple):
    """Numbers of non-finite updates in a row and in all, and the inner state."""

    in_a_row: Array
    total: Array
    inner: OptimizerState


def apply_if_finite(
    inner: GradientTransformation, max_in_a_row: int | None = None
) -> GradientTransformation:
    """`inner`, which is left alone (with updates of zero) when a gradient is infinite or NaN.

    Arguments: max_in_a_row: after so many non-finite gradients in a row they are applied after all,
    so that a broken run shows; never by default.

    >>> from rtfunc import optim
    >>> optimizer = optim.apply_if_finite(optim.sgd(1.0))
    >>> updates, state = optimizer.update(float("nan"), optimizer.init(1.0), 1.0)
    >>> float(updates), int(state.total)
    (0.0, 1)
    """

    def init(params: Any) -> ApplyIfFiniteState:
        return ApplyIfFiniteState(step_count(), step_count(), inner.init(params))

    def update(
        updates: Updates, state: ApplyIfFiniteState, params: Any = None, **extra: Any
    ) -> tuple[Updates, ApplyIfFiniteState]:
        finite = rnp.asarray(True)
        for leaf in tree.leaves(updates):
            finite = finite & rnp.all(rnp.isfinite(as_leaf(leaf)))
        in_a_row = rnp.where(finite, 0, state.in_a_row + 1)
        applied = finite if max_in_a_row is None else finite | (in_a_row > max_in_a_row)
        new, own = inner.update(updates, state.inner, params, **extra)
        # Both outcomes are computed and one is selected: no NaN passes through a selection.
        new = tree.map(lambda u: rnp.where(applied, u, rnp.zeros_like(u)), new)
        own = tree.map(lambda a, b: rnp.where(applied, a, b), own, state.inner)
        total = state.total + rnp.where(finite, 0, 1)
        return new, ApplyIfFiniteState(in_a_row, total, own)

    return GradientTransformation(init, update)


class AccumulateState(NamedTuple):
    """How many gradients are summed up, their sum, and the inner state."""

    count: Array
    sum: Any
    inner: OptimizerState


def accumulate(inner: GradientTransformation, steps: int) -> GradientTransformation:
    """`inner` once every `steps` updates, with the mean of the gradients; zero in between.

    A batch that does not fit in memory is so taken in `steps` parts of equal size.

    >>> from rtfunc import optim
    >>> optimizer = optim.accumulate(optim.sgd(1.0), 2)
    >>> updates, state = optimizer.update(1.0, optimizer.init(0.0), 0.0)
    >>> float(updates), float(optimizer.update(3.0, state, 0.0)[0])
    (0.0, -2.0)
    """
    if steps < 1:
        raise ArgumentError(at_user_line(f"accumulate: steps is at least 1, but got {steps}."))

    def init(params: Any) -> AccumulateState:
        return AccumulateState(step_count(), zeros_like(params), inner.init(params))

    def update(
        updates: Updates, state: AccumulateState, params: Any = None, **extra: Any
    ) -> tuple[Updates, AccumulateState]:
        total = tree.map(lambda s, u: s + u, state.sum, updates)

        def apply(total: Any, own: Any) -> tuple[Updates, Any, Any]:
            mean = tree.map(lambda s: s / steps, total)
            new, own = inner.update(mean, own, params, **extra)
            new = tree.map(lambda n, s: rnp.asarray(n, dtype=s.dtype), new, total)
            return new, zeros_like(total), own

        def wait(total: Any, own: Any) -> tuple[Updates, Any, Any]:
            return zeros_like(total), total, own

        due = state.count == steps - 1
        new, total, own = lax.cond(due, apply, wait, total, state.inner)
        return new, AccumulateState(rnp.where(due, 0, state.count + 1), total, own)

    return GradientTransformation(init, update)


class EmaState(NamedTuple):
    """The number of values so far, and their running average."""

    count: Array
    average: Any


def ema(decay: float, debias: bool = True) -> GradientTransformation:
    """The running average of what is passed.

    a = decay a + (1 - decay) x, divided by 1 - decay**t with `debias`.

    As a link it averages updates. For an average of the parameters give it those after each step:

    >>> from rtfunc import optim
    >>> average = optim.ema(0.5)
    >>> state = average.init({"w": 0.0})
    >>> for w in (1.0, 4.0):
    ...     averaged, state = average.update({"w": w}, state)
    >>> float(averaged["w"])
    3.0
    """
    if not 0 <= decay < 1:
        raise ArgumentError(at_user_line(f"ema: decay is from 0 to below 1, but got {decay}."))

    def init(params: Any) -> EmaState:
        return EmaState(step_count(), zeros_like(params))

    def update(
        updates: Updates, state: EmaState, params: Any = None, **extra: Any
    ) -> tuple[Updates, EmaState]:
        count = state.count + 1
        correction = unbias(decay, count)
        average = tree.map(
            lambda a, x: a * decay + as_leaf(x) * (1 - decay), state.average, updates
        )
        out = tree.map(lambda a: a / correction(a), average) if debias else average
        return out, EmaState(count, average)

    return GradientTransformation(init, update)


class LookaheadState(NamedTuple):
    """The number of updates since the slow weights moved, those weights, and the inner state."""

    count: Array
    slow: Any
    inner: OptimizerState


def lookahead(
    inner: GradientTransformation, steps: int = 5, alpha: float = 0.5
) -> GradientTransformation:
    """`inner`, drawn back every `steps` updates towards weights that follow slowly.

    Then slow += alpha (p - slow) and p = slow. Evaluate at the slow weights: after a multiple of
    `steps` updates they are the parameters, in between `state.slow`.

    Zhang et al. 2019, https://arxiv.org/abs/1907.08610.

    >>> from rtfunc import optim
    >>> optimizer = optim.lookahead(optim.sgd(1.0), 2, 0.5)
    >>> w, state = 8.0, optimizer.init(8.0)
    >>> for _ in range(2):
    ...     updates, state = optimizer.update(2.0, state, w)
    ...     w = optim.apply_updates(w, updates)
    >>> float(w)  # halfway from 8 to 4
    6.0
    """
    if steps < 1:
        raise ArgumentError(at_user_line(f"lookahead: steps is at least 1, but got {steps}."))
    if not 0 <= alpha <= 1:
        raise ArgumentError(at_user_line(f"lookahead: alpha is from 0 to 1, but got {alpha}."))

    def init(params: Any) -> LookaheadState:
        # Not the parameters' own buffers, which a step may donate.
        slow = tree.map(lambda p: rnp.array(as_leaf(p), copy=True), params)
        return LookaheadState(step_count(), slow, inner.init(params))

    def update(
        updates: Updates, state: LookaheadState, params: Any = None, **extra: Any
    ) -> tuple[Updates, LookaheadState]:
        needs_params("lookahead", params)
        new, own = inner.update(updates, state.inner, params, **extra)
        due = state.count == steps - 1

        def moved(p: Any, u: Any, slow: Any) -> tuple[Any, Any]:
            p = as_leaf(p)
            followed = slow + (p + as_leaf(u) - slow) * alpha
            return rnp.where(due, followed - p, u), rnp.where(due, followed, slow)

        out, slow = split_map(moved, 2, params, new, state.slow)
        return out, LookaheadState(rnp.where(due, 0, state.count + 1), slow, own)

    return GradientTransformation(init, update)


def sam(
    inner: GradientTransformation, rho: float = 0.05, adaptive: bool = False
) -> GradientTransformation:
    """Sharpness-aware minimisation: `inner` with the gradient at the worst point nearby.

    At p + rho g / norm(g), or with `adaptive` at p + rho p**2 g / norm(p g). It takes two
    evaluations a step, the second through `grad_fn`:

        updates, state = optimizer.update(grads, state, params, grad_fn=rf.grad(loss))

    Arguments: rho: how far away; larger, about 0.5 to 2, if adaptive. `grad_fn` takes the
    parameters alone and returns the gradient (of the same batch as `grads`).

    Foret et al. 2020, https://arxiv.org/abs/2010.01412; Kwon et al. 2021,
    https://arxiv.org/abs/2102.11600.

    >>> import rtfunc as rf
    >>> from rtfunc import optim
    >>> gradient = rf.grad(lambda w: w**2)
    >>> optimizer = optim.sam(optim.sgd(0.1), rho=0.5)
    >>> updates, _ = optimizer.update(gradient(1.0), optimizer.init(1.0), 1.0, grad_fn=gradient)
    >>> round(float(updates), 6)  # of the gradient at 1.5
    -0.3
    """
    if rho < 0:
        raise ArgumentError(at_user_line(f"sam: rho is not negative, but got {rho}."))

    def update(
        updates: Updates,
        state: OptimizerState,
        params: Any = None,
        *,
        grad_fn: Callable[[Any], Any] | None = None,
        **extra: Any,
    ) -> tuple[Updates, OptimizerState]:
        needs_params("sam", params)
        if grad_fn is None:
            raise ArgumentError(
                at_user_line(
                    "sam takes a second gradient and lacks grad_fn=: write "
                    "`optimizer.update(grads, state, params, grad_fn=rf.grad(loss))`, where "
                    "loss(params) is the loss of the same batch."
                )
            )
        scaled = tree.map(lambda g, p: g * p, updates, params) if adaptive else updates
        norm = global_norm(scaled)
        factor = rho / rnp.where(norm > 0, norm, 1.0)

        def away(p: Any, s: Any) -> Array:
            p = as_leaf(p)
            return p + (p * s if adaptive else s) * cast_like(factor, p)

        there = grad_fn(tree.map(away, params, scaled))
        return inner.update(there, state, params, **extra)

    return GradientTransformation(inner.init, update)


class InjectState(NamedTuple):
    """The number of updates so far, the hyperparameters now in use, and the inner state."""

    count: Array
    hyperparameters: dict[str, Array]
    inner: OptimizerState


def inject_hyperparameters(
    make: Callable[..., GradientTransformation], names: Sequence[str] = ("learning_rate",)
) -> Callable[..., GradientTransformation]:
    """A function like `make` (such as `optim.adam`), but with hyperparameters `names` in the state.

    They can be read in `state.hyperparameters` and changed to other numbers between steps, without
    compiling again; a schedule among them is followed.

    Arguments: names: "learning_rate", "weight_decay", "epsilon": what the links only calculate
    with, unlike a momentum, whose value decides what they do.

    >>> from rtfunc import optim
    >>> optimizer = optim.inject_hyperparameters(optim.sgd)(learning_rate=0.5)
    >>> state = optimizer.init(1.0)
    >>> state.hyperparameters["learning_rate"] = 0.25
    >>> float(optimizer.update(1.0, state, 1.0)[0])
    -0.25
    """
    signature = inspect.signature(make)
    unknown = [name for name in names if name not in signature.parameters]
    if unknown:
        raise ArgumentError(
            at_user_line(
                f"inject_hyperparameters: {make.__name__} has no {', '.join(unknown)}, but "
                f"{', '.join(signature.parameters)}."
            )
        )

    def made(*args: Any, **kwargs: Any) -> GradientTransformation:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        fixed = {k: v for k, v in given.arguments.items() if k not in names}
        moving = {k: given.arguments[k] for k in names}
        schedules = {k: v for k, v in moving.items() if callable(v)}

        def followed(count: Array, values: dict[str, Any]) -> dict[str, Any]:
            return values | {k: as_number(v(count)) for k, v in schedules.items()}

        def init(params: Any) -> InjectState:
            count = step_count()
            numbers = {k: rnp.asarray(v) for k, v in moving.items() if k not in schedules}
            now = followed(count, numbers)
            return InjectState(count, now, make(**fixed, **now).init(params))

        def update(
            updates: Updates, state: InjectState, params: Any = None, **extra: Any
        ) -> tuple[Updates, InjectState]:
            given = {k: rnp.asarray(v) for k, v in state.hyperparameters.items()}
            now = followed(state.count, given)
            new, own = make(**fixed, **now).update(updates, state.inner, params, **extra)
            return new, InjectState(state.count + 1, now, own)

        return GradientTransformation(init, update)

    return made
