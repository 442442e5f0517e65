"""Encodings of positions as functions: sinusoidal, and rotary. Depends on `rtfunc.numpy`."""

from __future__ import annotations

from rtfunc import numpy as rnp
from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.ops.convert import as_array, convert, promote_inexact


def sinusoidal_encoding(
    positions: ArrayLike, features: int, *, base: float = 10000.0, dtype: DtypeLike = "float32"
) -> Array:
    """Sines and cosines of positions, in turn: sin(p / base**(2i / features)) at 2i, cos at 2i + 1.

    Arguments: positions: (...). Returns (..., features).

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.

    >>> import rtfunc.numpy as rnp
    >>> sinusoidal_encoding(rnp.arange(2), 2)
    Array([[0.       , 1.       ],
           [0.841471 , 0.5403023]], dtype=float32)
    """
    kind = dtypes.as_dtype(dtype)
    angles = _angles("sinusoidal_encoding", positions, (features + 1) // 2, features, base, kind)
    pairs = rnp.stack([rnp.sin(angles), rnp.cos(angles)], axis=-1)
    out = pairs.reshape((*angles.shape[:-1], -1))[..., :features]
    return convert(out, kind)


def rotary_embedding(
    x: ArrayLike,
    positions: ArrayLike | None = None,
    *,
    base: float = 10000.0,
    interleaved: bool = False,
) -> Array:
    """x with pairs of features turned by angles that grow with the position.

    The pair i turns by position / base**(2i / features), so that the products of rotated queries
    and keys depend on the distances of their positions alone.

    Arguments:
      x: (..., length, features), features being even.
      positions: (length,), or broadcasting to (..., length); 0, 1, ... by default.
      interleaved: whether pairs are neighbours, (0, 1), (2, 3), ..., as in the paper, or the
        feature i with i + features / 2, as in GPT-NeoX and in Llama's weights at Hugging Face.

    Su et al. 2021, https://arxiv.org/abs/2104.09864.

    >>> import rtfunc.numpy as rnp
    >>> rotary_embedding(rnp.array([[1.0, 0.0], [1.0, 0.0]]))
    Array([[1.       , 0.       ],
           [0.5403023, 0.841471 ]], dtype=float32)
    """
    (x,) = promote_inexact("rotary_embedding", x)
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError(
            at_user_line(
                f"rotary_embedding takes (..., length, features) with an even number of features, "
                f"not {x.shape}."
            )
        )
    positions = rnp.arange(x.shape[-2]) if positions is None else positions
    wide = dtypes.compute_dtype(x.dtype)
    half = x.shape[-1] // 2
    angles = _angles("rotary_embedding", positions, half, x.shape[-1], base, wide)
    cos, sin = rnp.cos(angles), rnp.sin(angles)
    given = convert(x, wide)
    if interleaved:
        pairs = given.reshape((*x.shape[:-1], half, 2))
        first, second = pairs[..., 0], pairs[..., 1]
    else:
        first, second = given[..., :half], given[..., half:]
    turned = first * cos - second * sin, second * cos + first * sin
    if interleaved:
        out = rnp.stack(turned, axis=-1).reshape(x.shape)
    else:
        out = rnp.concatenate(turned, axis=-1)
    return convert(out, x.dtype)


def _angles(
    operation: str, positions: ArrayLike, count: int, features: int, base: float, dtype: DtypeLike
) -> Array:
    """positions / base**(2i / features) for i below `count`: (..., count), in float32 or more."""
    wide = dtypes.compute_dtype(dtypes.as_dtype(dtype))
    frequencies = base ** (-2 * rnp.arange(count, dtype=wide) / features)
    return as_array(operation, positions, wide)[..., None] * frequencies
