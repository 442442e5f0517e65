"""What the functions of images share: their checks, and batches of any number of axes.

Depends on `core` and `rtfunc.numpy`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.ops.convert import as_array

Size = int | Sequence[int]


def as_images(operation: str, images: ArrayLike, *, floating: bool = False) -> Array:
    """Images as an Array [..., channels, height, width], of real numbers."""
    array = as_array(operation, images)
    if array.ndim < 3:
        raise ShapeError(
            at_user_line(
                f"{operation} takes images [..., channels, height, width], not shape {array.shape}."
            )
        )
    if floating and not (dtypes.is_inexact(array.dtype) and not dtypes.is_complex(array.dtype)):
        raise DtypeError(
            at_user_line(
                f"{operation} takes images of floating-point numbers in [0, 1], not {array.dtype}. "
                "Convert them with images.to_float."
            )
        )
    return array


def as_size(operation: str, size: Size) -> tuple[int, int]:
    """A height and a width from one number or two."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or any(not isinstance(n, int) or n < 1 for n in pair):
        raise ArgumentError(
            at_user_line(
                f"{operation}: a size is a positive integer or (height, width), not {size!r}."
            )
        )
    return pair[0], pair[1]


def flat_batch(images: Array) -> Array:
    """Images [n, channels, height, width] with all axes in front as one."""
    return images.reshape(math.prod(images.shape[:-3]), *images.shape[-3:])


def per_image(values: Array, images: Array) -> Array:
    """One number an image, [...] or [n], shaped to be multiplied with images [..., c, h, w]."""
    return values.reshape(*images.shape[:-3], 1, 1, 1)
