"""Attention as a function of queries, keys and values.

Scores and softmax are computed in float32 where the operands are 16-bit floats. Depends on
`activations`, `dropout`.
"""

from __future__ import annotations

import math
from typing import Any, Literal, overload

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.nn.activations import softmax
from rtfunc.nn.functional.dropout import dropout
from rtfunc.ops.convert import as_array, convert, promote_inexact
from rtfunc.transforms.custom import stop_gradient


@overload
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout_rate: float = 0.0,
    random_key: Any = None,
    return_weights: Literal[False] = False,
) -> Array: ...
@overload
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout_rate: float = 0.0,
    random_key: Any = None,
    return_weights: Literal[True],
) -> tuple[Array, Array]: ...
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    dropout_rate: float = 0.0,
    random_key: Any = None,
    return_weights: bool = False,
) -> Any:
    """softmax(query @ key.T * scale + mask) @ value over the last two axes.

    Arguments:
      query: (..., heads, queries, features); key: (..., heads, keys, features); value: (..., heads,
        keys, out). Heads and the axes before them broadcast, or are absent.
      attn_mask: broadcasts to (..., heads, queries, keys). Booleans say what takes part (True), as
        in PyTorch's function of this name; its MultiheadAttention has it the other way round.
        Floats are added to the scores.
      is_causal: whether query i sees keys 0 to i alone; in addition to the mask.
      scale: 1 / sqrt(features) by default.
      enable_gqa: whether each head of key and value serves several heads of the query, neighbours,
        the number of which it divides.
      dropout_rate, random_key: for dropout of the weights.
      return_weights: whether to return (out, weights), weights (..., heads, queries, keys) being
        those before dropout.

    Returns (..., heads, queries, out). A query that sees no key gets 0.

    Raises `ShapeError` for operands that do not fit, and `ArgumentError` for dropout without a key.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; shared heads: Ainslie et al. 2023,
    https://arxiv.org/abs/2305.13245.

    >>> import rtfunc.numpy as rnp
    >>> keys, values = rnp.eye(3) * 1000, rnp.arange(6.0).reshape(3, 2)
    >>> scaled_dot_product_attention(rnp.eye(3), keys, values)
    Array([[0., 1.],
           [2., 3.],
           [4., 5.]], dtype=float32)
    """
    name = "scaled_dot_product_attention"
    q, k, v = promote_inexact(name, query, key, value)
    shared = _heads_per_key(name, q, k, v, enable_gqa)
    scale = 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale
    wide = dtypes.compute_dtype(q.dtype)

    def grouped(x: Array) -> Array:
        """The heads that share keys, as one with so many queries."""
        if shared == 1:
            return x
        *outer, heads, queries, size = x.shape
        return x.reshape((*outer, heads // shared, shared * queries, size))

    scores = rnp.matmul(grouped(q) * scale, k.mT, preferred_element_type=wide)
    if shared > 1:
        scores = scores.reshape((*scores.shape[:-3], -1, q.shape[-2], k.shape[-2]))
    allowed, bias = _masks(name, attn_mask, is_causal, scores.shape)
    weights = masked_softmax(scores, allowed, bias)
    dropped = weights
    if dropout_rate:
        if random_key is None:
            raise ArgumentError(
                at_user_line(f"{name}: dropout draws random numbers: pass a random_key.")
            )
        dropped = dropout(weights, dropout_rate, random_key)
    out = rnp.matmul(grouped(convert(dropped, v.dtype)), v)
    if shared > 1:
        out = out.reshape((*out.shape[:-3], -1, q.shape[-2], v.shape[-1]))
    return (out, convert(weights, v.dtype)) if return_weights else out


def masked_softmax(
    scores: ArrayLike, allowed: ArrayLike | None = None, bias: ArrayLike | None = None
) -> Array:
    """softmax(scores + bias) over the last axis among those that are allowed; the others are 0.

    Arguments: scores: (..., keys); allowed: booleans, all True by default; bias: -inf in it forbids
    a key. All broadcast. A row without an allowed key is 0.

    >>> import rtfunc.numpy as rnp
    >>> masked_softmax(rnp.zeros((2, 2)), rnp.array([[True, False], [False, False]]))
    Array([[1., 0.],
           [0., 0.]], dtype=float32)
    """
    (x,) = promote_inexact("masked_softmax", scores)
    if bias is not None:
        bias = as_array("masked_softmax", bias, x.dtype)
        finite = stop_gradient(bias) > -rnp.inf
        x = x + rnp.where(finite, bias, 0)
        allowed = finite if allowed is None else rnp.logical_and(finite, allowed)
    if allowed is None:
        return softmax(x)
    # The lowest number rather than -inf, so that a row of them alone makes no NaN.
    lowest = float(dtypes.finfo(x.dtype).min)
    weights = softmax(rnp.where(allowed, x, lowest))
    return rnp.where(allowed, weights, 0)


def causal_mask(queries: int, keys: int | None = None, offset: ArrayLike = 0) -> Array:
    """Which keys each query sees (booleans, (queries, keys)): those up to its own position.

    Arguments: offset: position of the first query among the keys.

    >>> causal_mask(2, 3).tolist()
    [[True, False, False], [True, True, False]]
    """
    positions = rnp.arange(queries) + offset
    return positions[:, None] >= rnp.arange(queries if keys is None else keys)


def alibi_bias(num_heads: int, queries: int, keys: int | None = None) -> Array:
    """Scores that fall with the distance of a key, for causal attention: (num_heads, queries, keys).

    -slope * (i - j) for query i and key j, the last query being at the last key. The slopes of n
    heads are 2 ** (-8 k / n) for k = 1 ... n; where n is no power of two, those of the power below,
    and every second one of the power above.

    Press et al. 2022, https://arxiv.org/abs/2108.12409.

    >>> alibi_bias(8, 1, 3)[:2, 0].tolist()
    [[-1.0, -0.5, -0.0], [-0.5, -0.25, -0.0]]
    """
    if num_heads < 1:
        raise ArgumentError(
            at_user_line(f"alibi_bias: num_heads is a positive integer, but got {num_heads}.")
        )
    keys = queries if keys is None else keys
    below = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * (k + 1) / below) for k in range(below)]
    above = [2 ** (-8 * (k + 1) / (2 * below)) for k in range(0, 2 * below, 2)]
    slopes += above[: num_heads - below]
    distance = rnp.arange(keys - queries, keys)[:, None] - rnp.arange(keys)
    return -rnp.asarray(slopes, "float32")[:, None, None] * distance


def _heads_per_key(name: str, query: Array, key: Array, value: Array, enable_gqa: bool) -> int:
    """How many heads of the query share one of the keys; `ShapeError` for shapes that do not fit."""
    shapes = f"query {query.shape}, key {key.shape} and value {value.shape}"
    if min(x.ndim for x in (query, key, value)) < 2:
        raise ShapeError(at_user_line(f"{name} takes (..., length, features), not {shapes}."))
    if query.shape[-1] != key.shape[-1]:
        raise ShapeError(at_user_line(f"{name}: {shapes} differ in the features of query and key."))
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(at_user_line(f"{name}: {shapes} differ in the number of keys and values."))
    if not enable_gqa or query.ndim < 3:
        return 1
    heads, groups = query.shape[-3], key.shape[-3] if key.ndim > 2 else 1
    if key.shape[:-2] != value.shape[:-2] or groups < 1 or heads % groups:
        raise ShapeError(
            at_user_line(
                f"{name}: with enable_gqa the heads of the query are a multiple of those of key "
                f"and value, but got {shapes}."
            )
        )
    return heads // groups


def _masks(
    name: str, mask: ArrayLike | None, is_causal: bool, shape: tuple[int, ...]
) -> tuple[Array | None, Array | None]:
    """What may be seen, and what is added, for scores of `shape`."""
    allowed = causal_mask(shape[-2], shape[-1]) if is_causal else None
    if mask is None:
        return allowed, None
    mask = as_array(name, mask)
    fits = mask.ndim <= len(shape) and all(
        m in (1, n) for m, n in zip(mask.shape[::-1], shape[::-1])
    )
    if not fits:
        raise ShapeError(
            at_user_line(f"{name}: a mask of shape {mask.shape} does not fit scores of {shape}.")
        )
    if mask.dtype == dtypes.bool_:
        return (mask if allowed is None else rnp.logical_and(allowed, mask)), None
    if not dtypes.is_float(mask.dtype):
        raise DtypeError(
            at_user_line(f"{name}: a mask is of booleans or floats, not {mask.dtype}.")
        )
    return allowed, mask
