"""Muon: momentum whose updates are made orthogonal, for weight matrices, and AdamW for the rest.

The orthogonal factor of a matrix, U V^T of its singular value decomposition U S V^T, is
approximated by a few matrix products (a Newton-Schulz iteration). Depends on `base`, `scaling` and
`optimizers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from rtfunc import numpy as rnp
from rtfunc import tree
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.ops.convert import as_array, convert
from rtfunc.optim.base import (
    GradientTransformation,
    ScalarOrSchedule,
    Updates,
    as_leaf,
    chain,
    multi_transform,
    split_map,
    zeros_like,
)
from rtfunc.optim.optimizers import adamw
from rtfunc.optim.scaling import add_decayed_weights, scale_by_learning_rate

#: A polynomial a x + b x**3 + c x**5, steep at 0, that keeps large values within a third of 1.
JORDAN = (3.4445, -4.7750, 2.0315)


def orthogonalize(
    matrix: Any,
    steps: int = 5,
    coefficients: tuple[float, float, float] = JORDAN,
    epsilon: float = 1e-7,
    dtype: DtypeLike | None = None,
) -> Array:
    """A matrix with the singular vectors of `matrix` and singular values near 1.

    X = matrix / norm(matrix), then `steps` times X = a X + (b A + c A**2) X with A = X X^T. With
    the default coefficients singular values end up within about a third of 1, which serves as well
    as 1 and is reached in 5 steps.

    Arguments: matrix: (m, n); coefficients: (a, b, c); epsilon: the least norm to divide by; dtype:
    what to calculate in, that of `matrix` (float32 at least) by default; PyTorch takes bfloat16.

    Raises `ShapeError` when it is not a matrix.

    Jordan 2024, https://kellerjordan.github.io/posts/muon/.

    >>> import rtfunc.numpy as rnp
    >>> x = orthogonalize(rnp.array([[3.0, 1.0], [0.0, 2.0]]))
    >>> [round(float(row @ row), 1) for row in x]
    [0.7, 0.7]
    """
    given = as_array("orthogonalize", matrix)
    if given.ndim != 2:
        raise ShapeError(
            at_user_line(f"orthogonalize takes a matrix, but got an array of shape {given.shape}.")
        )
    a, b, c = coefficients
    inner = dtypes.compute_dtype(given.dtype) if dtype is None else dtypes.as_dtype(dtype)
    wide = dtypes.compute_dtype(inner)

    def product(x: Array, y: Array) -> Array:
        return rnp.matmul(x, y, preferred_element_type=wide)

    def sum_of(x: Array, a: float, y: Array, b: float = 1.0) -> Array:
        return convert(convert(x, wide) * a + y * b, inner)  # rounded once

    tall = given.shape[0] > given.shape[1]
    x = convert(given.T if tall else given, inner)
    x = x / rnp.maximum(convert(rnp.sqrt(rnp.sum(rnp.square(convert(x, wide)))), inner), epsilon)
    for _ in range(steps):
        gram = convert(product(x, x.T), inner)
        x = sum_of(x, a, product(sum_of(gram, b, product(gram, gram), c), x))
    return convert(x.T if tall else x, given.dtype)


class MuonState(NamedTuple):
    """The running average of g."""

    mu: Any


def scale_by_muon(
    momentum: float = 0.95,
    nesterov: bool = True,
    *,
    adjust: str = "original",
    steps: int = 5,
    coefficients: tuple[float, float, float] = JORDAN,
    epsilon: float = 1e-7,
    dtype: DtypeLike | None = None,
) -> GradientTransformation:
    """orthogonalize(m), m = momentum m + (1 - momentum) g, times a factor for the shape.

    Arguments: nesterov: use momentum m + (1 - momentum) g instead of m; adjust: the factor for a
    matrix of m rows (outputs) and n columns (inputs): "original", sqrt(max(1, m / n)), or
    "match_rms_adamw", 0.2 sqrt(max(m, n)), with which rates that suit AdamW suit too; the others as
    for `orthogonalize`. All leaves must be matrices.

    >>> import rtfunc.numpy as rnp
    >>> link = scale_by_muon()
    >>> g = rnp.array([[4.0, 0.0], [0.0, 2.0]])
    >>> bool(rnp.abs(link.update(g, link.init(g))[0] - rnp.eye(2)).max() < 1 / 3)
    True
    """
    if not 0 <= momentum < 1:
        raise ArgumentError(
            at_user_line(f"scale_by_muon: momentum is from 0 to below 1, but got {momentum}.")
        )
    if adjust not in ("original", "match_rms_adamw"):
        raise ArgumentError(
            at_user_line(
                f"scale_by_muon: adjust is 'original' or 'match_rms_adamw', not {adjust!r}."
            )
        )

    def factor(rows: int, columns: int) -> float:
        if adjust == "original":
            return math.sqrt(max(1.0, rows / max(columns, 1)))
        return 0.2 * math.sqrt(max(rows, columns))

    def init(params: Any) -> MuonState:
        return MuonState(zeros_like(params))

    def update(
        updates: Updates, state: MuonState, params: Any = None, **extra: Any
    ) -> tuple[Updates, MuonState]:
        def moved(g: Any, m: Any) -> tuple[Any, Any]:
            g = as_leaf(g)
            m = m + (g - m) * (1 - momentum)
            ahead = g + (m - g) * momentum if nesterov else m
            out = orthogonalize(ahead, steps, coefficients, epsilon, dtype)
            return out * factor(*out.shape), m

        out, mu = split_map(moved, 2, updates, state.mu)
        return out, MuonState(mu)

    return GradientTransformation(init, update)


def muon(
    learning_rate: ScalarOrSchedule = 1e-3,
    momentum: float = 0.95,
    *,
    nesterov: bool = True,
    weight_decay: float = 0.1,
    adjust: str = "original",
    steps: int = 5,
    coefficients: tuple[float, float, float] = JORDAN,
    epsilon: float = 1e-7,
    dtype: DtypeLike | None = None,
    others: GradientTransformation | None = None,
    labels: Callable[[Any], Any] | Any = None,
) -> GradientTransformation:
    """Muon for the weight matrices, as `torch.optim.Muon`, and another optimizer for the rest.

    m = momentum m + (1 - momentum) g; p -= lr weight_decay p; p -= lr f O, where O is the
    orthogonalised momentum and f a factor for the shape (see `scale_by_muon`).

    Arguments: others: the optimizer of all other leaves, by default
    `adamw(learning_rate, weight_decay=weight_decay)`; labels: which leaf gets which, "muon" or
    "others", as for `multi_transform`. By default leaves with two axes get "muon". Embeddings and
    the last layer are usually left to "others": `labels_by_path({"embedding.*": "others",
    "head.*": "others", "*.weight": "muon"}, "others")`; dtype: what the orthogonalisation is
    calculated in, that of the parameter by default; PyTorch takes bfloat16.

    Jordan 2024, https://kellerjordan.github.io/posts/muon/; Liu et al. 2025,
    https://arxiv.org/abs/2502.16982.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import optim
    >>> params = {"weight": rnp.eye(2), "bias": rnp.zeros(2)}
    >>> optimizer = optim.muon(0.02, others=optim.adamw(3e-4))
    >>> updates, state = optimizer.update(params, optimizer.init(params), params)
    >>> bool(updates["weight"][0, 0] < -0.01)
    True
    """
    matrices = chain(
        scale_by_muon(
            momentum,
            nesterov,
            adjust=adjust,
            steps=steps,
            coefficients=coefficients,
            epsilon=epsilon,
            dtype=dtype,
        ),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(learning_rate),
    )
    rest = adamw(learning_rate, weight_decay=weight_decay) if others is None else others

    def by_axes(params: Any) -> Any:
        return tree.map(lambda p: "muon" if as_leaf(p).ndim == 2 else "others", params)

    return multi_transform(
        {"muon": matrices, "others": rest}, by_axes if labels is None else labels
    )
