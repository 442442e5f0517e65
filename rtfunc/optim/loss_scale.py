"""Scaling of the loss, so that 16-bit gradients neither vanish nor overflow.

The loss is multiplied by a large number before it is differentiated, and the gradients are divided
by it again. The number is found by trial: it grows now and then, and falls when a gradient has
overflown, in which case the step is left out. Depends on `base`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rtfunc import numpy as rnp
from rtfunc import tree
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, TreeError, at_user_line
from rtfunc.ops.convert import convert
from rtfunc.optim.base import (
    GradientTransformation,
    OptimizerState,
    Updates,
    as_leaf,
    cast_like,
    step_count,
)


class LossScaleState(NamedTuple):
    """The scale for the next loss, steps since it changed, steps left out, and the inner state."""

    scale: Array
    good_steps: Array
    skipped: Array
    inner: OptimizerState


def dynamic_loss_scale(
    inner: GradientTransformation,
    initial_scale: float = 2.0**16,
    *,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
    growth_interval: int = 2000,
    min_scale: float = 1.0,
    max_scale: float = 2.0**24,
) -> GradientTransformation:
    """`inner`, given gradients of a loss that `scale_loss` has scaled: PyTorch's `GradScaler`.

    Gradients are divided by the scale. Where one is infinite or NaN, `inner` is left alone, the
    updates are zero and the scale is multiplied by `backoff_factor`; after `growth_interval` steps
    in a row without one it is multiplied by `growth_factor`.

    It is the outermost link, so that clipping and the like see gradients in their true size.

    Arguments: min_scale, max_scale: bounds of the scale (PyTorch's has none).

    Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740.

    >>> import rtfunc as rf
    >>> from rtfunc import optim
    >>> optimizer = optim.dynamic_loss_scale(optim.sgd(1.0), 8.0)
    >>> state = optimizer.init(3.0)
    >>> gradient = rf.grad(lambda w: optim.scale_loss(state, w**2))(3.0)
    >>> updates, state = optimizer.update(gradient, state, 3.0)
    >>> float(gradient), float(updates)
    (48.0, -6.0)
    >>> updates, state = optimizer.update(float("inf"), state, 3.0)
    >>> float(updates), float(state.scale)
    (0.0, 4.0)
    """
    for name, value, right in (
        ("initial_scale", initial_scale, initial_scale > 0),
        ("growth_factor", growth_factor, growth_factor >= 1),
        ("backoff_factor", backoff_factor, 0 < backoff_factor < 1),
        ("growth_interval", growth_interval, growth_interval >= 1),
        ("min_scale", min_scale, 0 < min_scale <= max_scale),
    ):
        if not right:
            raise ArgumentError(
                at_user_line(f"dynamic_loss_scale: {name} is {value}, which is not in its range.")
            )

    def init(params: Any) -> LossScaleState:
        scale = rnp.asarray(initial_scale, dtype=dtypes.float32)
        return LossScaleState(scale, step_count(), step_count(), inner.init(params))

    def update(
        updates: Updates, state: LossScaleState, params: Any = None, **extra: Any
    ) -> tuple[Updates, LossScaleState]:
        finite = rnp.asarray(True)
        for leaf in tree.leaves(updates):
            finite = finite & rnp.all(rnp.isfinite(as_leaf(leaf)))

        def unscaled(gradient: Any) -> Array:
            gradient = as_leaf(gradient)
            wide = dtypes.compute_dtype(gradient.dtype)
            small = convert(gradient, wide) / cast_like(state.scale, convert(gradient, wide))
            return convert(small, gradient.dtype)

        new, own = inner.update(tree.map(unscaled, updates), state.inner, params, **extra)
        # Both outcomes are computed and one is selected: no NaN passes through a selection.
        new = tree.map(lambda u: rnp.where(finite, u, rnp.zeros_like(u)), new)
        own = tree.map(lambda a, b: rnp.where(finite, a, b), own, state.inner)
        good = rnp.where(finite, state.good_steps + 1, 0)
        grows = good == growth_interval
        scale = state.scale * rnp.where(
            finite, rnp.where(grows, growth_factor, 1.0), backoff_factor
        )
        scale = rnp.clip(scale, min_scale, max_scale)
        skipped = state.skipped + rnp.where(finite, 0, 1)
        return new, LossScaleState(scale, rnp.where(grows, 0, good), skipped, own)

    return GradientTransformation(init, update)


def scale_loss(state: OptimizerState, loss: ArrayLike) -> Array:
    """`loss` times the scale in the state of `dynamic_loss_scale`, to be differentiated.

    In float32 at least: a scaled loss does not fit 16 bits.

    >>> from rtfunc import optim
    >>> state = optim.dynamic_loss_scale(optim.sgd(1.0), 1024.0).init(0.0)
    >>> float(optim.scale_loss(state, 0.5))
    512.0
    """
    if not isinstance(state, LossScaleState):
        raise TreeError(
            at_user_line(
                f"scale_loss takes the state of optim.dynamic_loss_scale, not a "
                f"{type(state).__name__}. Make it the outermost link: "
                "optim.dynamic_loss_scale(optim.chain(...))."
            )
        )
    loss = as_leaf(loss)
    wide = convert(loss, dtypes.compute_dtype(dtypes.to_inexact(loss.dtype)))
    return wide * cast_like(state.scale, wide)
