"""Line searches: how far to go in a direction, as the last link of an optimizer.

They evaluate the loss at several points, so `update` takes it:

    value, grad = value_and_grad(loss)(params)
    updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss)

The link before them gives the direction, with a step of 1 as the first guess. Value and gradient at
the point that is chosen are kept in the state, and `value_and_grad_from_state` takes them from
there. Everything is one `lax.while_loop`, so that it works under `jit`. Depends on `base`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rtfunc import lax, tree
from rtfunc import numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import as_array, convert
from rtfunc.optim.base import (
    GradientTransformation,
    OptimizerState,
    Updates,
    apply_updates,
    as_leaf,
    cast_like,
    dot,
    needs_params,
    step_count,
    widest_dtype,
    zeros_like,
)
from rtfunc.transforms.vjp import value_and_grad

T = TypeVar("T")


class LineSearchState(NamedTuple):
    """The last search: its step, value and gradient at its end, and how often it evaluated them."""

    step: Array
    value: Array
    grad: Any
    evaluations: Array


class _Point(NamedTuple):
    """A place on the line: the step to it, and the value, slope and gradient there."""

    step: Array
    value: Array
    slope: Array
    grad: Any


Evaluate = Callable[[Array], _Point]
#: From the line's points, its start, the dtype of scalars and the direction to (end, evaluations).
Search = Callable[[Evaluate, _Point, np.dtype, Any], tuple[_Point, Array]]


def _line_search(link: str, search: Search) -> GradientTransformation:
    """The link that goes along its incoming updates as far as `search` says."""

    def init(params: Any) -> LineSearchState:
        wide = widest_dtype(params)
        return LineSearchState(
            rnp.zeros((), wide), rnp.full((), np.inf, wide), zeros_like(params), step_count()
        )

    def update(
        updates: Updates,
        state: LineSearchState,
        params: Any = None,
        *,
        value: Any = None,
        grad: Any = None,
        value_fn: Callable[[Any], Any] | None = None,
        **extra: Any,
    ) -> tuple[Updates, LineSearchState]:
        needs_params(link, params)
        given = {"value": value, "grad": grad, "value_fn": value_fn}
        missing = [f"{name}=" for name, argument in given.items() if argument is None]
        if value_fn is None or missing:
            raise ArgumentError(
                at_user_line(
                    f"{link} evaluates the loss along a line and lacks {', '.join(missing)}: write "
                    "`optimizer.update(grads, state, params, value=value, grad=grads, "
                    "value_fn=loss)`, where loss(params) is the loss and value what it is now."
                )
            )
        wide = state.step.dtype
        like = tree.map(as_leaf, state.grad)

        def number(x: Any) -> Array:
            return as_array(link, x, wide)

        def same(x: Any, old: Array) -> Array:
            return convert(as_leaf(x), old.dtype)

        def moved(step: Array) -> Updates:
            return tree.map(lambda u: as_leaf(u) * cast_like(step, as_leaf(u)), updates)

        def evaluate(step: Array) -> _Point:
            there, slopes = value_and_grad(value_fn)(apply_updates(params, moved(step)))
            there = number(there)
            # What is not a number counts as a wall: the search turns back before it.
            there = rnp.where(rnp.isfinite(there), there, np.inf)
            slopes = tree.map(same, slopes, like)
            return _Point(step, there, dot(slopes, updates, wide), slopes)

        start = _Point(
            rnp.zeros((), wide), number(value), dot(grad, updates, wide), tree.map(same, grad, like)
        )
        end, evaluations = search(evaluate, start, wide, updates)
        return moved(end.step), LineSearchState(end.step, end.value, end.grad, evaluations)

    return GradientTransformation(init, update)


def _choose(condition: Any, a: T, b: T) -> T:
    """`a` if the condition holds, else `b`: trees of one structure."""
    return tree.map(lambda x, y: rnp.where(condition, x, y), a, b)


# Backtracking


class _Backtracking(NamedTuple):
    evaluations: Array
    next: Array
    found: Array
    point: _Point


def scale_by_backtracking(
    initial_step: float = 1.0, factor: float = 0.5, c1: float = 1e-4, max_steps: int = 30
) -> GradientTransformation:
    """The direction times the first of initial_step, initial_step * factor, ... that goes down.

    Down enough, that is (Armijo's condition): f(p + t d) <= f(p) + c1 t d.grad. No step is taken
    when none of `max_steps` does, nor when the direction does not point downhill.

    `update` takes value=, grad= and value_fn=, as the module's description shows.

    Armijo 1966, https://msp.org/pjm/1966/16-1/p01.xhtml; Nocedal and Wright, Numerical
    Optimization, algorithm 3.1.

    >>> from rtfunc import optim
    >>> link = optim.scale_by_backtracking()
    >>> loss = lambda x: x**2
    >>> updates, state = link.update(
    ...     -8.0, link.init(1.0), 1.0, value=1.0, grad=2.0, value_fn=loss
    ... )
    >>> float(updates), int(state.evaluations)
    (-1.0, 4)
    """
    if not 0 < factor < 1:
        raise ArgumentError(
            at_user_line(f"scale_by_backtracking: factor is above 0 and below 1, but got {factor}.")
        )

    def search(
        evaluate: Evaluate, start: _Point, wide: np.dtype, direction: Any
    ) -> tuple[_Point, Array]:
        def searching(s: _Backtracking) -> Array:
            return ~s.found & (s.evaluations < max_steps) & (start.slope < 0)

        def step(s: _Backtracking) -> _Backtracking:
            point = evaluate(s.next)
            found = point.value <= start.value + c1 * point.step * start.slope
            return _Backtracking(
                s.evaluations + 1, s.next * factor, found, _choose(found, point, s.point)
            )

        first = _Backtracking(
            step_count(), rnp.full((), initial_step, wide), rnp.asarray(False), start
        )
        end = lax.while_loop(searching, step, first)
        return end.point, end.evaluations

    return _line_search("scale_by_backtracking", search)


# The strong Wolfe conditions

_BRACKETING, _ZOOMING, _DONE = 0, 1, 2


class _Wolfe(NamedTuple):
    """A search for a point of strong Wolfe.

    `evaluations` so far; `phase`; `next`, where to evaluate; `low` and `high`, the ends of the
    bracket, of lower and higher value (while bracketing, `low` is the point before); `low_first`,
    whether `low` is in the first of the bracket's two places, which decides between equal values;
    `cautious`, whether the last guess was close to an end.
    """

    evaluations: Array
    phase: Array
    next: Array
    low: _Point
    high: _Point
    low_first: Array
    cautious: Array


def scale_by_strong_wolfe(
    initial_step: float = 1.0,
    c1: float = 1e-4,
    c2: float = 0.9,
    max_steps: int = 25,
    tolerance: float = 0.0,
) -> GradientTransformation:
    """The direction times a step t at which the loss is lower and flatter.

    f(p + t d) <= f(p) + c1 t f'(0) and abs(f'(t)) <= c2 abs(f'(0)), where f' is the slope along d.
    Steps grow until they bracket such a point, and cubic interpolation finds it, as in
    `torch.optim.LBFGS(line_search_fn="strong_wolfe")`; where the loss is not finite the bracket is
    halved.

    Arguments: initial_step: the first guess of t; max_steps: evaluations after the first one;
    tolerance: no step is taken where f'(0) is above -tolerance, and the search ends when no
    parameter changes by `tolerance` between the ends of the bracket (PyTorch's tolerance_change,
    1e-9 there).

    `update` takes value=, grad= and value_fn=, as the module's description shows.

    Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6.

    >>> from rtfunc import optim
    >>> link = optim.scale_by_strong_wolfe()
    >>> loss = lambda x: x**2
    >>> updates, state = link.update(
    ...     -8.0, link.init(1.0), 1.0, value=1.0, grad=2.0, value_fn=loss
    ... )
    >>> round(float(updates), 5), int(state.evaluations)
    (-1.0, 2)
    """
    if not 0 < c1 < c2 < 1:
        raise ArgumentError(
            at_user_line(
                f"scale_by_strong_wolfe: 0 < c1 < c2 < 1 must hold, but got c1={c1} and c2={c2}."
            )
        )

    def search(
        evaluate: Evaluate, start: _Point, wide: np.dtype, direction: Any
    ) -> tuple[_Point, Array]:
        size = rnp.zeros((), wide)
        for leaf in map(as_leaf, tree.leaves(direction)):
            size = rnp.maximum(size, convert(rnp.max(rnp.abs(leaf), initial=0), wide))

        def searching(s: _Wolfe) -> Array:
            return (s.phase != _DONE) & (s.evaluations <= max_steps)

        def step(s: _Wolfe) -> _Wolfe:
            point = evaluate(s.next)
            high = point.value > start.value + c1 * point.step * start.slope
            flat = rnp.abs(point.slope) <= -c2 * start.slope
            bracketed = _bracket(s, start, point, high, flat, s.evaluations == max_steps)
            zoomed = _zoom(s, point, high, flat)
            new = _choose(s.phase == _BRACKETING, bracketed, zoomed)
            guess, cautious = _guess(new)
            narrow = rnp.abs(new.high.step - new.low.step) * size < tolerance
            zooming = new.phase == _ZOOMING
            return new._replace(
                evaluations=s.evaluations + 1,
                phase=rnp.where(zooming & narrow, _DONE, new.phase),
                next=rnp.where(zooming, guess, new.next),
                cautious=cautious & zooming,
            )

        phase = rnp.where(start.slope > -tolerance, _DONE, _BRACKETING)
        first = rnp.full((), initial_step, wide)
        none = rnp.asarray(False)
        end = lax.while_loop(
            searching, step, _Wolfe(step_count(), phase, first, start, start, none, none)
        )
        return end.low, end.evaluations

    return _line_search("scale_by_strong_wolfe", search)


def _bracket(
    s: _Wolfe, start: _Point, point: _Point, high: Array, flat: Array, last: Array
) -> _Wolfe:
    """Bracketing goes on from `point`: to a bracket, the end, or a longer step."""
    before = s.low
    over = high | ((s.evaluations > 1) & (point.value >= before.value))
    accepted = ~last & ~over & flat
    enclosed = ~last & ~accepted & (over | (point.slope >= 0))
    least = point.step + 0.01 * (point.step - before.step)
    longer = _interpolate(before, point, least, point.step * 10.0)
    other = _choose(last, start, before)
    low, high_end, low_first = _in_order(other, point)
    return s._replace(
        phase=rnp.where(accepted | last, _DONE, rnp.where(enclosed, _ZOOMING, _BRACKETING)),
        next=longer,
        low=_choose(enclosed | last, low, point),
        high=_choose(enclosed | last, high_end, point),
        low_first=low_first,
        cautious=rnp.zeros_like(s.cautious),
    )


def _zoom(s: _Wolfe, point: _Point, high: Array, flat: Array) -> _Wolfe:
    """The bracket without the part that `point` rules out."""
    worse = high | (point.value >= s.low.value)
    # The point takes the place of `high`.
    low, high_end, low_first = _in_order(
        _choose(s.low_first, s.low, point), _choose(s.low_first, point, s.low)
    )
    turned = ~flat & (point.slope * (s.high.step - s.low.step) >= 0)
    return s._replace(
        phase=rnp.where(~worse & flat, _DONE, _ZOOMING),
        low=_choose(worse, low, point),
        high=_choose(worse, high_end, _choose(turned, s.low, s.high)),
        low_first=rnp.where(worse, low_first, s.low_first),
    )


def _in_order(a: _Point, b: _Point) -> tuple[_Point, _Point, Array]:
    """The lower of the points in the first and second place, the higher, whether a is lower."""
    lower = a.value <= b.value
    return _choose(lower, a, b), _choose(lower, b, a), lower


def _guess(s: _Wolfe) -> tuple[Array, Array]:
    """Where to evaluate in the bracket, and whether that is close to an end.

    Twice in a row it may not be: then it moves inwards by a tenth of the bracket.
    """
    left = rnp.minimum(s.low.step, s.high.step)
    right = rnp.maximum(s.low.step, s.high.step)
    guess = _interpolate(s.low, s.high, left, right)
    margin = 0.1 * (right - left)
    close = rnp.minimum(right - guess, guess - left) < margin
    moved = close & (s.cautious | (guess >= right) | (guess <= left))
    inwards = rnp.where(
        rnp.abs(guess - right) < rnp.abs(guess - left), right - margin, left + margin
    )
    return rnp.where(moved, inwards, guess), close & ~moved


def _interpolate(a: _Point, b: _Point, least: Array, most: Array) -> Array:
    """The minimum, between `least` and `most`, of the cubic with values and slopes of a and b.

    Halfway where the cubic has none, or a value is not finite. Nocedal and Wright, equation 3.59.
    """
    ordered = a.step <= b.step
    left = _Point(*(rnp.where(ordered, x, y) for x, y in zip(a[:3], b[:3])), grad=None)
    right = _Point(*(rnp.where(ordered, y, x) for x, y in zip(a[:3], b[:3])), grad=None)
    width = right.step - left.step
    d1 = left.slope + right.slope - 3.0 * (right.value - left.value) / width
    square = d1 * d1 - left.slope * right.slope
    d2 = rnp.sqrt(rnp.maximum(square, 0.0))
    place = right.step - width * ((right.slope + d2 - d1) / (right.slope - left.slope + 2.0 * d2))
    known = (square >= 0) & rnp.isfinite(place)
    return rnp.where(known, rnp.clip(place, least, most), 0.5 * (least + most))


def value_and_grad_from_state(
    value_fn: Callable[[Any], Any],
) -> Callable[[Any, OptimizerState], tuple[Any, Any]]:
    """A function `(params, state) -> (value, grad)` that takes both from a line search's state.

    They were evaluated by the last search, at the parameters that its updates led to; before the
    first one they are calculated. Only for a `value_fn` that is the same in every step.

    Raises `ArgumentError` when no line search has a part in the state.

    >>> from rtfunc import optim
    >>> loss = lambda x: (x - 3.0) ** 2
    >>> optimizer = optim.lbfgs()
    >>> x, state = 0.0, optimizer.init(0.0)
    >>> for _ in range(3):
    ...     value, grad = optim.value_and_grad_from_state(loss)(x, state)
    ...     updates, state = optimizer.update(
    ...         grad, state, x, value=value, grad=grad, value_fn=loss
    ...     )
    ...     x = optim.apply_updates(x, updates)
    >>> round(float(x), 4)
    3.0
    """

    def value_and_gradient(params: Any, state: OptimizerState) -> tuple[Any, Any]:
        parts = tree.leaves(state, is_leaf=lambda part: isinstance(part, LineSearchState))
        kept = [part for part in parts if isinstance(part, LineSearchState)]
        if not kept:
            raise ArgumentError(
                at_user_line(
                    "value_and_grad_from_state: the state has no part of a line search. Give it "
                    "the state of an optimizer such as optim.lbfgs(), or use value_and_grad."
                )
            )
        last = kept[-1]

        def calculated(params: Any) -> tuple[Any, Any]:
            value, grad = value_and_grad(value_fn)(params)
            grad = tree.map(lambda g, old: convert(as_leaf(g), old.dtype), grad, last.grad)
            return convert(as_leaf(value), last.value.dtype), grad

        return lax.cond(
            rnp.isfinite(last.value), lambda _: (last.value, last.grad), calculated, params
        )

    return value_and_gradient
