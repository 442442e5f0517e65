"""Links that treat leaves as wholes: learning rate, weight decay, momentum, trust ratios.

In formulas g is the incoming update, p the parameter, t the step, 1 at first. `adaptive` has the
links that scale each element. Depends on `base`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rtfunc import numpy as rnp
from rtfunc import tree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import as_array
from rtfunc.optim.base import (
    GradientTransformation,
    ScalarOrSchedule,
    Updates,
    as_leaf,
    cast_like,
    identity,
    masked,
    needs_params,
    split_map,
    stateless,
    step_count,
    zeros_like,
)

# Learning rate and weight decay


class ScheduleState(NamedTuple):
    """The number of updates so far."""

    count: Array


def scale(factor: float) -> GradientTransformation:
    """g * factor.

    >>> link = scale(0.5)
    >>> link.update(2.0, link.init(0.0))[0]
    1.0
    """
    return stateless(lambda updates, params: tree.map(lambda u: u * factor, updates))


def scale_by_schedule(schedule: Callable[[Any], Any]) -> GradientTransformation:
    """g * schedule(t - 1).

    >>> from rtfunc import optim
    >>> link = optim.scale_by_schedule(lambda step: 2.0 - step)
    >>> updates, state = link.update(1.0, link.init(0.0))
    >>> float(updates), float(link.update(1.0, state)[0])
    (2.0, 1.0)
    """

    def init(params: Any) -> ScheduleState:
        return ScheduleState(step_count())

    def update(
        updates: Updates, state: ScheduleState, params: Any = None, **extra: Any
    ) -> tuple[Updates, ScheduleState]:
        factor = schedule(state.count)

        def scaled(u: Any) -> Any:
            u = as_array("scale_by_schedule", u)
            return u * cast_like(factor, u)

        return tree.map(scaled, updates), ScheduleState(state.count + 1)

    return GradientTransformation(init, update)


def scale_by_learning_rate(learning_rate: ScalarOrSchedule) -> GradientTransformation:
    """-learning_rate * g: the last link of an optimizer.

    Arguments: learning_rate: a number, or a schedule: a function from the step, 0 at first, to one.

    >>> link = scale_by_learning_rate(0.5)
    >>> link.update(2.0, link.init(0.0))[0]
    -1.0
    """
    if callable(learning_rate):
        schedule: Any = learning_rate
        return scale_by_schedule(lambda step: -1.0 * schedule(step))
    if isinstance(learning_rate, Array):
        return stateless(
            lambda updates, params: tree.map(
                lambda u: u * cast_like(-learning_rate, as_leaf(u)), updates
            )
        )
    kinds: Any = (int, float, np.generic, np.ndarray)
    if not isinstance(learning_rate, kinds):
        raise ArgumentError(
            at_user_line(
                "A learning rate is a number or a schedule (a function of the step), but got "
                f"{learning_rate!r}."
            )
        )
    if learning_rate < 0:
        raise ArgumentError(
            at_user_line(f"A learning rate is not negative, but got {learning_rate}.")
        )
    return scale(-learning_rate)


def add_decayed_weights(weight_decay: float | Array, mask: Any = None) -> GradientTransformation:
    """g + weight_decay * p.

    Before adaptive scaling this is L2 regularisation (`adam`), after it decoupled weight decay
    (`adamw`).

    Arguments: mask: which leaves to decay, as for `masked`; all by default.

    >>> link = add_decayed_weights(0.5)
    >>> link.update(1.0, link.init(4.0), 4.0)[0]
    3.0
    """
    if not isinstance(weight_decay, Array):
        if weight_decay < 0:
            raise ArgumentError(
                at_user_line(f"weight_decay is not negative, but got {weight_decay}.")
            )
        if weight_decay == 0:
            return identity()

    def decayed(updates: Updates, params: Any) -> Updates:
        needs_params("Weight decay", params)
        return tree.map(lambda u, p: u + p * cast_like(weight_decay, as_leaf(p)), updates, params)

    link = stateless(decayed)
    return link if mask is None else masked(link, mask)


def centralize() -> GradientTransformation:
    """g minus its mean over all axes but the first, for leaves with two axes or more.

    Yong et al. 2020, https://arxiv.org/abs/2004.01461.

    >>> import rtfunc.numpy as rnp
    >>> link = centralize()
    >>> link.update(rnp.array([[1.0, 3.0]]), link.init(None))[0]
    Array([[-1.,  1.]], dtype=float32)
    """

    def centered(u: Any) -> Any:
        u = as_array("centralize", u)
        if u.ndim < 2:
            return u
        return u - rnp.mean(u, axis=tuple(range(1, u.ndim)), keepdims=True)

    return stateless(lambda updates, params: tree.map(centered, updates))


# Momentum


class TraceState(NamedTuple):
    """The momentum buffer, and the number of updates so far."""

    count: Array
    trace: Any


def trace(decay: float, nesterov: bool = False, dampening: float = 0.0) -> GradientTransformation:
    """Momentum: m = decay * m + (1 - dampening) * g, at first g; returns m, or g + decay * m.

    Arguments: nesterov: return g + decay * m. As `torch.optim.SGD`.

    >>> link = trace(0.5)
    >>> updates, state = link.update(1.0, link.init(0.0))
    >>> float(link.update(1.0, state)[0])
    1.5
    """
    if nesterov and dampening:
        raise ArgumentError(at_user_line("Nesterov momentum goes with dampening 0 only."))

    def init(params: Any) -> TraceState:
        return TraceState(step_count(), zeros_like(params))

    def update(
        updates: Updates, state: TraceState, params: Any = None, **extra: Any
    ) -> tuple[Updates, TraceState]:
        first = state.count == 0

        def moved(g: Any, m: Any) -> tuple[Any, Any]:
            g = as_array("trace", g)
            if dampening:
                m = m * decay + rnp.where(first, g, g * (1 - dampening))
            else:
                m = m * decay + g
            return (g + m * decay if nesterov else m), m

        out, buffers = split_map(moved, 2, updates, state.trace)
        return out, TraceState(state.count + 1, buffers)

    return GradientTransformation(init, update)


# Scaling by the size of the parameters


def scale_by_trust_ratio(coefficient: float = 1.0, epsilon: float = 0.0) -> GradientTransformation:
    """g * coefficient * norm(p) / (norm(g) + epsilon) for each leaf; g where a norm is 0.

    You et al. 2019, https://arxiv.org/abs/1904.00962.

    >>> link = scale_by_trust_ratio()
    >>> float(link.update(0.5, link.init(0.0), 2.0)[0])
    2.0
    """

    def scaled(updates: Updates, params: Any) -> Updates:
        needs_params("scale_by_trust_ratio", params)
        return tree.map(
            lambda u, p: _trusted(u, p, coefficient, lambda _, of_u: of_u + epsilon),
            updates,
            params,
        )

    return stateless(scaled)


def scale_by_layerwise_rate(
    coefficient: float = 0.001, weight_decay: float = 0.0, epsilon: float = 0.0
) -> GradientTransformation:
    """(g + weight_decay p) * coefficient * norm(p) / (norm(g) + weight_decay norm(p) + epsilon).

    For each leaf; without the ratio where norm(p) or norm(g) is 0. The rule of LARS.

    You et al. 2017, https://arxiv.org/abs/1708.03888.

    >>> link = scale_by_layerwise_rate(0.5)
    >>> float(link.update(4.0, link.init(0.0), 2.0)[0])
    1.0
    """

    def scaled(updates: Updates, params: Any) -> Updates:
        needs_params("scale_by_layerwise_rate", params)

        def size(of_p: Any, of_u: Any) -> Any:
            return of_u + weight_decay * of_p + epsilon

        def one(u: Any, p: Any) -> Any:
            return _trusted(u, p, coefficient, size, u + p * weight_decay)

        return tree.map(one, updates, params)

    return stateless(scaled)


def _trusted(
    u: Any, p: Any, coefficient: float, size: Callable[[Any, Any], Any], out: Any = None
) -> Any:
    of_p, of_u = (rnp.sqrt(rnp.sum(rnp.square(as_leaf(x)))) for x in (p, u))
    zero = (of_p == 0) | (of_u == 0)
    ratio = coefficient * of_p / rnp.where(zero, 1.0, size(of_p, of_u))
    out = u if out is None else out
    return out * cast_like(rnp.where(zero, 1.0, ratio), as_leaf(out))
