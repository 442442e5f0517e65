"""Aval: the abstract value of an array, that is its shape, dtype and weakness.

Transforms compute with Avals where values are not known. `ShapeDtypeStruct`, which users pass to
`eval_shape` and ahead-of-time compilation, is the same class. Depends on `dtypes`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable

import numpy as np

from rtfunc.core.dtypes import DtypeLike, as_dtype
from rtfunc.core.errors import DtypeError, ShapeError, TracerError, at_user_line


class Aval:
    """Shape, dtype and weakness of an array, without its values.

    >>> Aval((2, 3), "float32")
    Aval(float32[2,3])
    """

    __slots__ = ("dtype", "shape", "weak_type")

    shape: tuple[int, ...]
    dtype: np.dtype
    weak_type: bool

    def __init__(self, shape: Iterable[int], dtype: DtypeLike, weak_type: bool = False):
        self.shape = shape if type(shape) is tuple else as_shape(shape)
        self.dtype = dtype if type(dtype) is np.dtype else as_dtype(dtype)
        self.weak_type = weak_type

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Aval)
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak_type == other.weak_type
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak_type))

    def __str__(self) -> str:
        shape = ",".join(map(str, self.shape))
        return f"{self.dtype}[{shape}]" + ("*" if self.weak_type else "")

    def __repr__(self) -> str:
        return f"Aval({self})"

    def with_shape(self, shape: tuple[int, ...]) -> Aval:
        """The same dtype and weakness at another shape."""
        return Aval(shape, self.dtype, self.weak_type)


def as_shape(shape: int | Iterable[int]) -> tuple[int, ...]:
    """A shape as a tuple of non-negative Python ints.

    Raises `ShapeError` for negative sizes and `DtypeError` for sizes that are not integers.
    """
    try:
        sizes = (operator.index(shape),)  # type: ignore[arg-type]
    except TracerError:
        raise
    except TypeError:
        try:
            sizes = tuple(operator.index(size) for size in shape)  # type: ignore[union-attr]
        except TracerError:
            raise
        except TypeError:
            raise DtypeError(
                at_user_line(f"A shape is an integer or a sequence of integers, not {shape!r}.")
            ) from None
    if any(size < 0 for size in sizes):
        raise ShapeError(at_user_line(f"Sizes of a shape are not negative, but got {sizes}."))
    return sizes


def broadcast_shapes(operation: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape under NumPy's broadcasting rules; `ShapeError` names `operation`."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    ndim = max(map(len, shapes))
    result = [1] * ndim
    for shape in shapes:
        for axis, size in enumerate(shape, ndim - len(shape)):
            if size != 1:
                if result[axis] not in (1, size):
                    raise ShapeError(
                        at_user_line(
                            f"{operation} got shapes that do not broadcast: "
                            f"{', '.join(map(str, shapes))} "
                            f"(sizes {result[axis]} and {size} meet on axis {axis - ndim}). "
                            "Sizes must be equal or 1, counted from the last axis; "
                            "reshape one operand, for example with x[:, None]."
                        )
                    )
                result[axis] = size
    return tuple(result)
