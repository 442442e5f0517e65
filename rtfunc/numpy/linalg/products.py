"""Products, powers, exponentials, diagonals and traces of matrices.

Several differ from the functions of the same name in `rtfunc.numpy` in that they work on the last
axes, as the array API standard has them. Depends on `contraction`, `diagonals`, `solving`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ShapeError, at_user_line
from rtfunc.numpy import contraction
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.diagonals import diagonal_of
from rtfunc.numpy.linalg.solving import inv
from rtfunc.ops.convert import as_array, owned_array, promote
from rtfunc.ops.linalg import matrices as mx
from rtfunc.ops.linalg.functions import matrix_function_p
from rtfunc.ops.shape import normalize_axis


def cross(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1) -> Array:
    """The cross products of vectors with 3 components along `axis`; other axes broadcast.

    Raises `ShapeError` for another number of components.

    >>> import rtfunc.numpy as rnp
    >>> cross(rnp.array([1, 0, 0]), rnp.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    a, b = promote("cross", x1, x2)
    for x in (a, b):
        size = x.shape[normalize_axis("cross", axis, x.ndim)]
        if size != 3:
            raise ShapeError(
                at_user_line(
                    f"linalg.cross takes vectors of 3 components, but axis {axis} of shape "
                    f"{x.shape} has size {size}."
                )
            )
    return contraction.cross(a, b, axis=axis)


def outer(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """All products [m, n] of an element of the vector x1 [m] with one of x2 [n].

    Raises `ShapeError` for arrays that are not vectors.

    >>> import rtfunc.numpy as rnp
    >>> outer(rnp.array([1, 2]), rnp.array([3, 4]))
    Array([[3, 4],
           [6, 8]], dtype=int32)
    """
    a, b = promote("outer", x1, x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(
            at_user_line(
                f"linalg.outer takes vectors, but got shapes {a.shape} and {b.shape}. "
                "rtfunc.numpy.outer flattens its arguments."
            )
        )
    return contraction.outer(a, b)


def vecdot(x1: ArrayLike, x2: ArrayLike, /, *, axis: int = -1) -> Array:
    """The sums of conj(x1) * x2 along `axis`; the other axes broadcast.

    >>> import rtfunc.numpy as rnp
    >>> vecdot(rnp.ones((4, 3)), rnp.ones(3))
    Array([3., 3., 3., 3.], dtype=float32)
    """
    return contraction.vecdot(x1, x2, axis=axis)


def tensordot(x1: ArrayLike, x2: ArrayLike, /, *, axes: int | Sequence[Any] = 2) -> Array:
    """The sums of products over pairs of axes, as `rtfunc.numpy.tensordot`.

    >>> import rtfunc.numpy as rnp
    >>> tensordot(rnp.ones((2, 3)), rnp.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    return contraction.tensordot(x1, x2, axes)


def diagonal(x: ArrayLike, /, *, offset: int = 0) -> Array:
    """The diagonals [..., k] of matrices [..., m, n], `offset` above the main one.

    >>> import rtfunc.numpy as rnp
    >>> diagonal(rnp.arange(8).reshape(2, 2, 2))
    Array([[0, 3],
           [4, 7]], dtype=int32)
    """
    return diagonal_of("diagonal", owned_array("diagonal", x), offset, -2, -1)


def trace(x: ArrayLike, /, *, offset: int = 0, dtype: DtypeLike | None = None) -> Array:
    """The sums [...] of the diagonals of matrices [..., m, n], `offset` above the main one.

    >>> import rtfunc.numpy as rnp
    >>> trace(rnp.arange(8).reshape(2, 2, 2))
    Array([ 3, 11], dtype=int32)
    """
    return contraction.trace(x, offset, -2, -1, dtype)


def matrix_power(a: ArrayLike, n: int, /) -> Array:
    """The n-th powers of square matrices [..., m, m], by repeated squaring.

    Negative powers are those of the inverse. Integers keep their dtype for n >= 0. Raises
    `ShapeError` for matrices that are not square and `DtypeError` for an n that is no integer.

    >>> import rtfunc.numpy as rnp
    >>> matrix_power(rnp.array([[1, 1], [1, 0]]), 10)
    Array([[89, 55],
           [55, 34]], dtype=int32)
    """
    exponent = as_integer("matrix_power", "n", n)
    x = as_array("matrix_power", a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            at_user_line(f"matrix_power takes square matrices, but got shape {x.shape}.")
        )
    if exponent < 0:
        x, exponent = inv(x), -exponent
    if exponent == 0:
        return mx.identity(x.shape[-1], x.dtype, x.shape[:-2])
    result = None
    while True:
        if exponent & 1:
            result = x if result is None else contraction.matmul(result, x)
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        x = contraction.matmul(x, x)


def expm(a: ArrayLike, /) -> Array:
    """The exponentials 1 + a + a^2 / 2 + ... of square matrices [..., n, n].

    Scaling and squaring with Padé approximants; NaN where a is not finite. Source: N. Higham, The
    scaling and squaring method for the matrix exponential revisited, 2005.

    >>> import rtfunc.numpy as rnp
    >>> expm(rnp.array([[0.0, 1.0], [0.0, 0.0]]))
    Array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    (x,) = mx.matrix_operands("expm", a)
    return matrix_function_p.bind(x, function="expm")
