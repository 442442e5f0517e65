"""Links that limit gradients. Depends on `base`."""

from __future__ import annotations

from typing import Any

from rtfunc import numpy as rnp
from rtfunc import tree
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.optim.base import (
    GradientTransformation,
    Updates,
    as_leaf,
    cast_like,
    global_norm,
    needs_params,
    stateless,
)


def _positive(link: str, name: str, value: float) -> None:
    if value <= 0:
        raise ArgumentError(at_user_line(f"{link}: {name} is positive, but got {value}."))


def clip(max_delta: float) -> GradientTransformation:
    """Every element limited to the interval from -max_delta to max_delta.

    As `torch.nn.utils.clip_grad_value_`.

    >>> from rtfunc import optim
    >>> float(optim.clip(1.0).update(-3.0, optim.EmptyState())[0])
    -1.0
    """
    _positive("clip", "max_delta", max_delta)
    return stateless(
        lambda updates, params: tree.map(lambda u: rnp.clip(u, -max_delta, max_delta), updates)
    )


def clip_by_global_norm(max_norm: float) -> GradientTransformation:
    """All leaves scaled by min(1, max_norm / (norm + 1e-6)), norm being that of all together.

    As `torch.nn.utils.clip_grad_norm_`. Pascanu et al. 2012, https://arxiv.org/abs/1211.5063.

    >>> from rtfunc import optim
    >>> updates, _ = optim.clip_by_global_norm(1.0).update({"a": 3.0, "b": 4.0}, optim.EmptyState())
    >>> round(float(updates["a"]), 4), round(float(updates["b"]), 4)
    (0.6, 0.8)
    """
    _positive("clip_by_global_norm", "max_norm", max_norm)

    def clipped(updates: Updates, params: Any) -> Updates:
        factor = rnp.minimum(max_norm / (global_norm(updates) + 1e-6), 1.0)
        return tree.map(lambda u: as_leaf(u) * cast_like(factor, as_leaf(u)), updates)

    return stateless(clipped)


def unitwise_norm(x: Array) -> Array:
    """The 2-norm of each unit's weights: over all axes but the first, which are kept as size 1.

    For vectors and scalars, that of all elements.

    >>> import rtfunc.numpy as rnp
    >>> unitwise_norm(rnp.array([[3.0, 4.0], [6.0, 8.0]]))
    Array([[ 5.],
           [10.]], dtype=float32)
    """
    axes = tuple(range(1 if x.ndim > 1 else 0, x.ndim))
    return rnp.sqrt(rnp.sum(rnp.square(x), axis=axes, keepdims=True))


def adaptive_grad_clip(clipping: float = 0.01, epsilon: float = 1e-3) -> GradientTransformation:
    """Each unit's gradient limited to `clipping` times its weights' norm (at least `epsilon`).

    Units are the rows of PyTorch's layout (out, in, ...). Brock et al. 2021,
    https://arxiv.org/abs/2102.06171.

    >>> from rtfunc import optim
    >>> link = optim.adaptive_grad_clip(0.5)
    >>> round(float(link.update(4.0, optim.EmptyState(), 2.0)[0]), 4)
    1.0
    """
    _positive("adaptive_grad_clip", "clipping", clipping)

    def clipped(updates: Updates, params: Any) -> Updates:
        needs_params("adaptive_grad_clip", params)

        def one(u: Any, p: Any) -> Array:
            u, p = as_leaf(u), as_leaf(p)
            limit = rnp.maximum(unitwise_norm(p), epsilon) * clipping
            norm = unitwise_norm(u)
            return rnp.where(norm > limit, u * (limit / rnp.maximum(norm, 1e-6)), u)

        return tree.map(one, updates, params)

    return stateless(clipped)
