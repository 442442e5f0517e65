"""What losses share: one shape for predictions and targets, and reductions. Depends on `numpy`."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.ops.comparison import lt
from rtfunc.ops.convert import promote_inexact, scalar
from rtfunc.ops.select import select


def reduced(loss: str, values: Array, reduction: str) -> Array:
    """`values` as they are, or their mean or sum; `ArgumentError` for another reduction."""
    if reduction == "mean":
        return rnp.mean(values)
    if reduction == "sum":
        return rnp.sum(values)
    if reduction == "none":
        return values
    raise ArgumentError(
        at_user_line(f"{loss}: reduction is 'mean', 'sum' or 'none', not {reduction!r}.")
    )


def same_shape(loss: str, *operands: ArrayLike) -> list[Array]:
    """Predictions, targets and so on as floats of one dtype; `ShapeError` unless shapes agree."""
    arrays = promote_inexact(loss, *operands)
    if any(a.shape != arrays[0].shape for a in arrays):
        raise ShapeError(
            at_user_line(
                f"{loss} takes predictions and targets of one shape, but got "
                f"{' and '.join(str(a.shape) for a in arrays)}. Reshape one of them, for example "
                "with x.squeeze(-1)."
            )
        )
    return arrays


def positive_part(x: Array) -> Array:
    """max(x, 0), as `at_least`."""
    return at_least(x, 0.0)


def at_least(x: Array, low: float) -> Array:
    """max(x, low), whose derivative at `low` is 1, as that of torch.clamp_min is."""
    bottom = scalar(low, x.dtype)
    return select(lt(x, bottom), bottom, x)
