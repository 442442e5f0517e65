"""Schedules: functions from the step, 0 at first, to a learning rate or another number.

They take Python integers and traced ones. Their numbers are computed in float64 and weakly typed, so
that what they multiply keeps its dtype, and parameters in float64 get all digits. Where PyTorch has
the scheduler of that name, `schedule(n)` is its rate after n calls of `step()`. Depends on
`rtfunc.numpy`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import as_array

Schedule: TypeAlias = Callable[[Any], Any]


def as_number(x: Any) -> Array:
    """A step, or a number that a schedule gave, in float64 and weakly typed.

    >>> as_number(0.1)
    Array(0.1, dtype=float64, weak_type=True)
    """
    return as_array("schedule", x, dtypes.float64, weak_type=True)


def _steps(schedule: str, name: str, value: int, least: int = 1) -> None:
    if value < least:
        raise ArgumentError(
            at_user_line(f"{schedule}: {name} is at least {least}, but got {value}.")
        )


def constant_schedule(value: float) -> Schedule:
    """Always `value`.

    >>> constant_schedule(0.1)(7)
    0.1
    """
    return lambda step: value


def step_schedule(initial: float, step_size: int, factor: float = 0.1) -> Schedule:
    """initial * factor**(step // step_size), as `torch.optim.lr_scheduler.StepLR`.

    >>> float(step_schedule(1.0, 10, 0.5)(25))
    0.25
    """
    _steps("step_schedule", "step_size", step_size)
    return lambda step: initial * factor ** rnp.floor(as_number(step) / step_size)


def multi_step_schedule(initial: float, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """initial * factor**(number of milestones reached), as `MultiStepLR`.

    >>> float(multi_step_schedule(1.0, [10, 20], 0.5)(10))
    0.5
    """
    return piecewise_constant_schedule(initial, dict.fromkeys(milestones, factor))


def piecewise_constant_schedule(initial: float, factors: Mapping[int, float]) -> Schedule:
    """`initial` times the factors of all steps that were reached.

    Arguments: factors: from a step to the factor that holds from there on.

    >>> float(piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.1})(3))
    0.5
    """

    def schedule(step: Any) -> Array:
        t, value = as_number(step), as_number(initial)
        for boundary, factor in sorted(factors.items()):
            value = rnp.where(t >= boundary, value * factor, value)
        return value

    return schedule


def exponential_schedule(initial: float, factor: float, steps: int = 1) -> Schedule:
    """initial * factor**(step / steps); as `ExponentialLR` for steps = 1.

    >>> float(exponential_schedule(1.0, 0.5)(2))
    0.25
    """
    _steps("exponential_schedule", "steps", steps)
    return lambda step: initial * factor ** (as_number(step) / steps)


def polynomial_schedule(
    initial: float, final: float, steps: int, power: float = 1.0, begin: int = 0
) -> Schedule:
    """(initial - final) * (1 - step / steps)**power + final, and `final` after `steps` steps.

    Arguments: begin: the step at which it starts to move. As `PolynomialLR` for final = 0, and
    `LinearLR` for power 1.

    >>> round(float(polynomial_schedule(1.0, 0.0, 10)(4)), 6)
    0.6
    """
    _steps("polynomial_schedule", "steps", steps)

    def schedule(step: Any) -> Array:
        left = 1.0 - rnp.clip(as_number(step) - begin, 0.0, float(steps)) / steps
        return (initial - final) * (left if power == 1 else left**power) + final

    return schedule


def linear_schedule(initial: float, final: float, steps: int, begin: int = 0) -> Schedule:
    """In a straight line from `initial` to `final` in `steps` steps, and `final` from there on.

    >>> float(linear_schedule(0.0, 1.0, 4)(1))
    0.25
    """
    return polynomial_schedule(initial, final, steps, 1.0, begin)


def cosine_schedule(initial: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine wave from `initial` to `final` in `steps` steps, and `final` from there on.

    final + (initial - final) * (1 + cos(pi step / steps)) / 2, as `CosineAnnealingLR`. Loshchilov
    and Hutter 2016, https://arxiv.org/abs/1608.03983.

    >>> round(float(cosine_schedule(1.0, 10)(5)), 6)
    0.5
    """
    _steps("cosine_schedule", "steps", steps)
    return lambda step: _cosine(initial, final, rnp.minimum(as_number(step) / steps, 1.0))


def _cosine(start: Any, end: Any, share: Array) -> Array:
    return end + (start - end) * (1.0 + rnp.cos(share * math.pi)) * 0.5


def warm_restarts_schedule(
    initial: float, period: int, multiplier: int = 1, final: float = 0.0
) -> Schedule:
    """The cosine schedule over and over, each period `multiplier` times as long as the one before.

    As `CosineAnnealingWarmRestarts`. Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983.

    >>> schedule = warm_restarts_schedule(1.0, 10, 2)
    >>> [round(float(schedule(step)), 6) for step in (0, 5, 10, 20)]
    [1.0, 0.5, 1.0, 0.5]
    """
    _steps("warm_restarts_schedule", "period", period)
    _steps("warm_restarts_schedule", "multiplier", multiplier)

    def schedule(step: Any) -> Array:
        t = as_number(step)
        if multiplier == 1:
            return _cosine(initial, final, rnp.remainder(t, float(period)) / period)
        # Periods begin at period * (multiplier**n - 1) / (multiplier - 1). The logarithm may be a
        # rounding error below a whole number at such a step: half a step more decides rightly.
        ratio = (t + 0.5) * (multiplier - 1) / period + 1.0
        length = multiplier ** rnp.floor(rnp.log(ratio) / math.log(multiplier))
        began = period * (length - 1.0) / (multiplier - 1)
        return _cosine(initial, final, (t - began) / (period * length))

    return schedule


def warm_up_schedule(peak: float, steps: int, after: Schedule | None = None) -> Schedule:
    """In a straight line from 0 to `peak` in `steps` steps, then `after` (from its step 0).

    Arguments: after: what follows; `peak` for ever by default.

    >>> schedule = warm_up_schedule(1.0, 4, cosine_schedule(1.0, 10))
    >>> [round(float(schedule(step)), 6) for step in (2, 4, 9)]
    [0.5, 1.0, 0.5]
    """
    return join_schedules(
        [linear_schedule(0.0, peak, steps), after or constant_schedule(peak)], [steps]
    )


def warm_up_cosine_schedule(
    peak: float, warm_up_steps: int, steps: int, final: float = 0.0
) -> Schedule:
    """In a straight line from 0 to `peak`, then half a cosine wave to `final`, `steps` in all.

    >>> schedule = warm_up_cosine_schedule(1.0, 10, 110)
    >>> [round(float(schedule(step)), 6) for step in (5, 10, 60)]
    [0.5, 1.0, 0.5]
    """
    _steps("warm_up_cosine_schedule", "steps", steps, warm_up_steps + 1)
    if not warm_up_steps:
        return cosine_schedule(peak, steps, final)
    return warm_up_schedule(
        peak, warm_up_steps, cosine_schedule(peak, steps - warm_up_steps, final)
    )


def one_cycle_schedule(
    peak: float,
    steps: int,
    *,
    warm_up_share: float = 0.3,
    initial_divisor: float = 25.0,
    final_divisor: float = 1e4,
    three_phases: bool = False,
    anneal: str = "cosine",
) -> Schedule:
    """Up from peak / initial_divisor to `peak`, then down to a small rate, `steps` in all.

    Arguments: warm_up_share: the share of the steps that go up; final_divisor: the last rate is the
    first one divided by it; three_phases: first come down to the initial rate in as many steps as
    it took to go up; anneal: "cosine" or "linear". As `OneCycleLR`. Smith and Topin 2017,
    https://arxiv.org/abs/1708.07120.

    >>> schedule = one_cycle_schedule(1.0, 101)
    >>> round(float(schedule(0)), 2), round(float(schedule(29)), 2)
    (0.04, 1.0)
    """
    _steps("one_cycle_schedule", "steps", steps, 2)
    if anneal not in ("cosine", "linear"):
        raise ArgumentError(
            at_user_line(f"one_cycle_schedule: anneal is 'cosine' or 'linear', not {anneal!r}.")
        )
    first = peak / initial_divisor
    last = first / final_divisor
    top = warm_up_share * steps - 1
    ends = [(top, first, peak)]
    if three_phases:
        ends.append((2 * warm_up_share * steps - 2, peak, first))
    ends.append((steps - 1, ends[-1][2], last))

    def schedule(step: Any) -> Array:
        t = rnp.minimum(as_number(step), float(steps - 1))
        value, begin = None, 0.0
        for i, (end, start, stop) in enumerate(ends):
            share = rnp.clip((t - begin) / max(end - begin, 1e-9), 0.0, 1.0)
            phase = (
                _cosine(start, stop, share)
                if anneal == "cosine"
                else start + (stop - start) * share
            )
            value = phase if value is None else rnp.where(t > ends[i - 1][0], phase, value)
            begin = end
        return value  # type: ignore[return-value]

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after the other, each counting its own steps from 0.

    Arguments: boundaries: the steps at which the second, third, ... begin. As `SequentialLR`.

    >>> schedule = join_schedules([constant_schedule(1.0), exponential_schedule(1.0, 0.5)], [10])
    >>> float(schedule(9)), float(schedule(11))
    (1.0, 0.5)
    """
    if len(boundaries) != len(schedules) - 1:
        raise ArgumentError(
            at_user_line(
                f"join_schedules of {len(schedules)} schedules takes {len(schedules) - 1} "
                f"boundaries, but got {len(boundaries)}."
            )
        )

    def schedule(step: Any) -> Array:
        step = as_array("schedule", step)
        value = as_number(schedules[0](step))
        for boundary, following in zip(boundaries, schedules[1:]):
            later = as_number(following(rnp.maximum(step - boundary, 0)))
            value = rnp.where(step < boundary, value, later)
        return value

    return schedule
