"""L-BFGS: Newton's direction from the last few steps and changes of the gradient.

For losses that are smooth and the same in every step (all the data at once), where it needs far
fewer steps than first-order optimizers. Depends on `base` and `line_search`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rtfunc import lax, tree
from rtfunc import numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.ops.convert import convert
from rtfunc.optim.base import (
    GradientTransformation,
    Updates,
    as_leaf,
    cast_like,
    chain,
    dot,
    needs_params,
    step_count,
    widest_dtype,
    zeros_like,
)
from rtfunc.optim.line_search import scale_by_backtracking, scale_by_strong_wolfe
from rtfunc.optim.scaling import scale, scale_by_learning_rate


class LbfgsState(NamedTuple):
    """What the direction is made of.

    Number of updates; parameters and gradients of the last one; the last `memory` steps s and
    changes y of the gradient, the oldest first, (memory, ...) for each leaf; 1 / (s.y) of each, 0
    for a place not yet taken; and the scale s.y / (y.y) of the newest.
    """

    count: Array
    params: Any
    grads: Any
    steps: Any
    changes: Any
    inverses: Array
    scale: Array


def scale_by_lbfgs(memory: int = 10) -> GradientTransformation:
    """H g, where H approximates the inverse of the Hessian by the last `memory` steps.

    In the first update g min(1, 1 / norm1(g)). Pairs of a step s and a change y of the gradient
    with s.y <= 1e-10 are left out. Otherwise as `torch.optim.LBFGS`, whose history_size is `memory`.

    Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5.

    >>> from rtfunc import optim
    >>> link = optim.scale_by_lbfgs()
    >>> loss_gradient = lambda x: 4.0 * (x - 2.0)
    >>> _, state = link.update(loss_gradient(0.0), link.init(0.0), 0.0)
    >>> float(link.update(loss_gradient(1.0), state, 1.0)[0])  # to the minimum
    -1.0
    """
    if memory < 1:
        raise ArgumentError(
            at_user_line(f"scale_by_lbfgs: memory is at least 1, but got {memory}.")
        )

    def init(params: Any) -> LbfgsState:
        wide = widest_dtype(params)
        places = tree.map(
            lambda p: rnp.zeros((memory, *as_leaf(p).shape), as_leaf(p).dtype), params
        )
        zeros = zeros_like(params)
        return LbfgsState(
            step_count(),
            zeros,
            zeros,
            places,
            places,
            rnp.zeros((memory,), wide),
            rnp.ones((), wide),
        )

    def update(
        updates: Updates, state: LbfgsState, params: Any = None, **extra: Any
    ) -> tuple[Updates, LbfgsState]:
        needs_params("L-BFGS", params)
        grads, params = tree.map(as_leaf, updates), tree.map(as_leaf, params)
        wide = state.scale.dtype
        state = _remembering(state, params, grads)

        def times(x: Any, factor: Array) -> Any:
            return tree.map(lambda leaf: leaf * cast_like(factor, leaf), x)

        def plus(x: Any, y: Any) -> Any:
            return tree.map(lambda a, b: a + b, x, y)

        def from_the_newest(q: Any, pair: Any) -> tuple[Any, Array]:
            step, change, inverse = pair
            share = inverse * dot(step, q, wide)
            return plus(q, times(change, -share)), share

        def from_the_oldest(r: Any, pair: Any) -> tuple[Any, None]:
            step, change, inverse, share = pair
            return plus(r, times(step, share - inverse * dot(change, r, wide))), None

        pairs = state.steps, state.changes, state.inverses
        q, shares = lax.scan(from_the_newest, grads, pairs, reverse=True)
        out, _ = lax.scan(from_the_oldest, times(q, state.scale), (*pairs, shares))
        size = rnp.zeros((), wide)
        for leaf in tree.leaves(grads):
            size = size + rnp.sum(convert(rnp.abs(leaf), wide))
        first = 1.0 / rnp.maximum(size, 1.0)
        return times(out, rnp.where(state.count == 1, first, 1.0)), state

    return GradientTransformation(init, update)


def _remembering(state: LbfgsState, params: Any, grads: Any) -> LbfgsState:
    """The state with the step that led to `params`, if it says something about the curvature."""
    wide = state.scale.dtype
    step = tree.map(lambda p, old: p - old, params, state.params)
    change = tree.map(lambda g, old: g - old, grads, state.grads)
    product = dot(step, change, wide)
    useful = (state.count > 0) & (product > 1e-10)
    safe = rnp.where(useful, product, 1.0)

    def with_newest(places: Any, newest: Any) -> Any:
        return tree.map(
            lambda old, new: rnp.where(useful, rnp.concatenate([old[1:], new[None]]), old),
            places,
            newest,
        )

    return LbfgsState(
        state.count + 1,
        params,
        grads,
        with_newest(state.steps, step),
        with_newest(state.changes, change),
        with_newest(state.inverses, 1.0 / safe),
        rnp.where(useful, safe / rnp.where(useful, dot(change, change, wide), 1.0), state.scale),
    )


def lbfgs(
    learning_rate: float = 1.0,
    memory: int = 10,
    line_search: str | GradientTransformation | None = "strong_wolfe",
) -> GradientTransformation:
    """L-BFGS with a line search, as `torch.optim.LBFGS(line_search_fn="strong_wolfe")`.

    d = -H g with H from the last `memory` steps (`scale_by_lbfgs`); p += t d with t from the line
    search. One update is one iteration of PyTorch's `max_iter`.

    Arguments: learning_rate: the line search's first guess of t, or t itself without one; memory:
    number of steps to remember (PyTorch's history_size); line_search: "strong_wolfe",
    "backtracking", a link of your own, such as `scale_by_strong_wolfe(c2=0.5)`, or None. With a
    line search, `update` takes value=, grad= and value_fn= (see `line_search`).

    Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116.

    >>> import rtfunc as rf
    >>> from rtfunc import optim
    >>> def loss(x):
    ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> optimizer = optim.lbfgs()
    >>> @rf.jit
    ... def step(x, state):
    ...     value, grad = optim.value_and_grad_from_state(loss)(x, state)
    ...     updates, state = optimizer.update(grad, state, x, value=value, grad=grad, value_fn=loss)
    ...     return optim.apply_updates(x, updates), state
    >>> x = rf.numpy.zeros(2)
    >>> state = optimizer.init(x)
    >>> for _ in range(25):
    ...     x, state = step(x, state)
    >>> [round(float(v), 3) for v in x]
    [1.0, 1.0]
    """
    direction = scale_by_lbfgs(memory)
    if line_search is None:
        return chain(direction, scale_by_learning_rate(learning_rate))
    searches = {"strong_wolfe": scale_by_strong_wolfe, "backtracking": scale_by_backtracking}
    if not isinstance(line_search, str):
        link = line_search
    elif line_search in searches:
        link = searches[line_search](learning_rate)
    else:
        raise ArgumentError(
            at_user_line(
                "lbfgs: line_search is 'strong_wolfe', 'backtracking', a link or None, not "
                f"{line_search!r}."
            )
        )
    return chain(direction, scale(-1.0), link)
