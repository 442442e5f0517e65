"""Linear maps as functions: linear, bilinear, embedding. Depends on `rtfunc.numpy`."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.nn.arguments import check_range
from rtfunc.ops.convert import as_array, promote
from rtfunc.transforms.custom import stop_gradient


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """x @ weight.T + bias.

    Arguments: x: (..., in); weight: (out, in); bias: (out,). Returns (..., out).

    Raises `ShapeError` unless the last axis of x has size in.

    >>> import rtfunc.numpy as rnp
    >>> linear(rnp.ones((2, 3)), rnp.ones((1, 3)), rnp.ones(1))
    Array([[4.],
           [4.]], dtype=float32)
    """
    x, weight = promote("linear", x, weight)
    if weight.ndim != 2:
        raise ShapeError(
            at_user_line(f"linear takes a weight of shape (out, in), not {weight.shape}.")
        )
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            at_user_line(
                f"linear: the input has shape {x.shape}, but the weight of shape {weight.shape} "
                f"expects {weight.shape[1]} features on the last axis."
            )
        )
    out = rnp.matmul(x, weight.mT)
    return out if bias is None else out + bias


def bilinear(x: ArrayLike, y: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """x^T weight[k] y + bias[k] for every k.

    Arguments: x: (..., in1); y: (..., in2); weight: (out, in1, in2); bias: (out,). Returns (...,
    out).

    >>> import rtfunc.numpy as rnp
    >>> bilinear(rnp.ones((2, 3)), rnp.ones((2, 4)), rnp.ones((1, 3, 4)))
    Array([[12.],
           [12.]], dtype=float32)
    """
    x, y, weight = promote("bilinear", x, y, weight)
    if weight.ndim != 3 or (x.shape[-1:], y.shape[-1:]) != (weight.shape[1:2], weight.shape[2:]):
        raise ShapeError(
            at_user_line(
                f"bilinear: inputs of shapes {x.shape} and {y.shape} do not fit the weight of "
                f"shape {weight.shape}, which is (out, in1, in2)."
            )
        )
    out = rnp.einsum("...i,oij,...j->...o", x, weight, y)
    return out if bias is None else out + bias


def embedding(indices: ArrayLike, weight: ArrayLike, padding_index: int | None = None) -> Array:
    """The rows of `weight` at `indices`.

    Arguments: indices: integers (...); weight: (number, features); padding_index: a row that gets
    no gradient. Returns (..., features).

    Raises `ArgumentError` for an index outside the table where the values are known; inside `jit`
    such a row is NaN.

    >>> import rtfunc.numpy as rnp
    >>> embedding(rnp.array([2, 0]), rnp.arange(6.0).reshape(3, 2))
    Array([[4., 5.],
           [0., 1.]], dtype=float32)
    """
    indices, weight = as_array("embedding", indices), as_array("embedding", weight)
    if not dtypes.is_integer(indices.dtype):
        raise DtypeError(at_user_line(f"embedding takes integers as indices, not {indices.dtype}."))
    check_range("embedding", "indices", indices, weight.shape[0])
    out = rnp.take(weight, indices, axis=0)
    if padding_index is None:
        return out
    padded = (indices == padding_index % weight.shape[0])[..., None]
    return rnp.where(padded, stop_gradient(out), out)
