"""Products that sum: matmul, dot, tensordot, inner, outer, kron, cross, trace and multi_dot.

All of them are `dot_general` between reshapes and transpositions, which are worked out once per
shape. `einsum` stands in `einstein`. Depends on `ops.contract`, `ops.shape`, `ops.pad_slice`.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.arguments import as_sequence
from rtfunc.numpy.diagonals import diagonal_of
from rtfunc.numpy.einstein import einsum, sum_over
from rtfunc.ops.arithmetic import mul, sub
from rtfunc.ops.complex import conj
from rtfunc.ops.contract import as_preferred_type, dot_general_p
from rtfunc.ops.convert import as_array, convert, promote
from rtfunc.ops.pad_slice import concatenate, slice_in_dim
from rtfunc.ops.shape import (
    broadcast_in_dim_p,
    normalize_axes,
    normalize_axis,
    reshape_p,
    transpose,
    transpose_p,
)


def _operands(operation: str, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    if isinstance(x, Array) and isinstance(y, Array) and x.dtype is y.dtype:
        return x, y
    a, b = promote(operation, x, y)
    return a, b


def _dot_general(x: Array, y: Array, numbers: Any, preferred: DtypeLike | None) -> Array:
    return dot_general_p.bind(
        x,
        y,
        dimension_numbers=numbers,
        preferred_element_type=None if preferred is None else as_preferred_type(preferred),
    )


def matmul(
    x1: ArrayLike, x2: ArrayLike, /, *, preferred_element_type: DtypeLike | None = None
) -> Array:
    """The matrix product `x1 @ x2`, with NumPy's rules for vectors and stacks of matrices.

    Arguments:
      x1: array [..., m, k] or vector [k].
      x2: array [..., k, n] or vector [k]; the leading axes broadcast against those of x1.
      preferred_element_type: dtype of the result and, at least, of the sums.

    Raises `ShapeError` for scalars and sizes that do not fit.

    >>> import rtfunc.numpy as rnp
    >>> rnp.matmul(rnp.ones((5, 2, 3)), rnp.ones((3, 4))).shape
    (5, 2, 4)
    """
    x, y = _operands("matmul", x1, x2)
    x_shape, y_shape, numbers, permutation = _matmul_plan(x.shape, y.shape)
    if x_shape is not None:
        x = reshape_p.bind(x, shape=x_shape)
    if y_shape is not None:
        y = reshape_p.bind(y, shape=y_shape)
    out = _dot_general(x, y, numbers, preferred_element_type)
    return out if permutation is None else transpose_p.bind(out, permutation=permutation)


@functools.lru_cache(4096)
def _matmul_plan(x: tuple[int, ...], y: tuple[int, ...]) -> Any:
    """(shape of x, shape of y, dimension numbers, permutation of the result); None: as it is.

    Leading axes along which only one operand extends are free axes of that operand, not batch axes.
    """
    if not x or not y:
        raise ShapeError(
            at_user_line(
                f"matmul takes arrays with at least one axis, but got shapes {x} and {y}. "
                "Multiply by scalars with *."
            )
        )
    x_lead, y_lead = x[:-2], y[:-2]
    y_contract = max(len(y) - 2, 0)
    if x[-1] != y[y_contract]:
        raise ShapeError(
            at_user_line(
                f"matmul of shapes {x} and {y}: the last axis of the first (size {x[-1]}) is "
                f"summed with axis {y_contract} of the second (size {y[y_contract]}); the sizes "
                "must be equal. Transpose one operand, for example with x.mT."
            )
        )
    rank = max(len(x_lead), len(y_lead))
    x_all = (1,) * (rank - len(x_lead)) + x_lead
    y_all = (1,) * (rank - len(y_lead)) + y_lead
    if any(a != b and 1 not in (a, b) for a, b in zip(x_all, y_all)):
        raise ShapeError(
            at_user_line(
                f"matmul of shapes {x} and {y}: the leading axes {x_lead} and {y_lead} do not "
                "broadcast; sizes must be equal or 1."
            )
        )
    # The leading axes that each operand keeps, as labels of the result's axes.
    x_labels = [i for i in range(rank) if _extends(i, rank, x_lead, y_all)]
    y_labels = [i for i in range(rank) if _extends(i, rank, y_lead, x_all)]
    both = [i for i in x_labels if i in y_labels]
    x_shape = (*(x_all[i] for i in x_labels), *x[-2:])
    y_shape = (*(y_all[i] for i in y_labels), *y[-2:])
    numbers = (
        ((len(x_shape) - 1,), (len(y_labels),)),
        (tuple(x_labels.index(i) for i in both), tuple(y_labels.index(i) for i in both)),
    )
    matrix = ["row"] * (len(x) > 1), ["column"] * (len(y) > 1)
    result: list[Any] = [
        *both,
        *(i for i in x_labels if i not in both),
        *matrix[0],
        *(i for i in y_labels if i not in both),
        *matrix[1],
    ]
    wanted: list[Any] = [*range(rank), *matrix[0], *matrix[1]]
    permutation = tuple(result.index(label) for label in wanted)
    return (
        None if x_shape == x else x_shape,
        None if y_shape == y else y_shape,
        numbers,
        None if permutation == tuple(range(len(permutation))) else permutation,
    )


def _extends(i: int, rank: int, lead: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether an operand with leading axes `lead` keeps the result's axis i."""
    own = i - (rank - len(lead))
    if own < 0:
        return False
    return lead[own] != 1 or other[i] == 1


def dot(a: ArrayLike, b: ArrayLike, *, preferred_element_type: DtypeLike | None = None) -> Array:
    """The dot product: the last axis of `a` with the last but one of `b` (or its only one).

    Scalars multiply. The result has the other axes of `a`, then those of `b`.

    >>> import rtfunc.numpy as rnp
    >>> rnp.dot(rnp.ones((2, 3)), rnp.ones((4, 3, 5))).shape
    (2, 4, 5)
    """
    a, b = _operands("dot", a, b)
    if a.ndim and b.ndim:
        pair = ((a.ndim - 1,), (max(b.ndim - 2, 0),))
    else:
        pair = ((), ())
    return _dot_general(a, b, (pair, ((), ())), preferred_element_type)


def vdot(a: ArrayLike, b: ArrayLike, *, preferred_element_type: DtypeLike | None = None) -> Array:
    """The sum of conj(a) * b over all elements of two arrays of one size.

    >>> import rtfunc.numpy as rnp
    >>> rnp.vdot(rnp.array([1j, 2]), rnp.array([1j, 2]))
    Array(5.+0.j, dtype=complex64)
    """
    a, b = _operands("vdot", a, b)
    if a.size != b.size:
        raise ShapeError(
            at_user_line(f"vdot takes arrays of one size, but got shapes {a.shape} and {b.shape}.")
        )
    a, b = _conjugate(_flat(a)), _flat(b)
    return _dot_general(a, b, (((0,), (0,)), ((), ())), preferred_element_type)


def _flat(x: Array) -> Array:
    return x if x.ndim == 1 else reshape_p.bind(x, shape=(x.size,))


def _conjugate(x: Array) -> Array:
    return conj(x) if dtypes.is_complex(x.dtype) else x


def vecdot(
    x1: ArrayLike,
    x2: ArrayLike,
    /,
    *,
    axis: int = -1,
    preferred_element_type: DtypeLike | None = None,
) -> Array:
    """The sum of conj(x1) * x2 along `axis`; the other axes broadcast.

    >>> import rtfunc.numpy as rnp
    >>> rnp.vecdot(rnp.ones((4, 3)), rnp.ones(3)).shape
    (4,)
    """
    x, y = _operands("vecdot", x1, x2)
    x_axis, y_axis = normalize_axis("vecdot", axis, x.ndim), normalize_axis("vecdot", axis, y.ndim)
    if x.shape[x_axis] != y.shape[y_axis]:
        raise ShapeError(
            at_user_line(
                f"vecdot of shapes {x.shape} and {y.shape}: axis {axis} has sizes "
                f"{x.shape[x_axis]} and {y.shape[y_axis]}, which must be equal."
            )
        )
    x, y = _last(x, x_axis), _last(y, y_axis)
    x = reshape_p.bind(_conjugate(x), shape=(*x.shape[:-1], 1, x.shape[-1]))
    y = reshape_p.bind(y, shape=(*y.shape, 1))
    out = matmul(x, y, preferred_element_type=preferred_element_type)
    return reshape_p.bind(out, shape=out.shape[:-2])


def matvec(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Products of matrices [..., m, n] with vectors [..., n]; the leading axes broadcast.

    >>> import rtfunc.numpy as rnp
    >>> rnp.matvec(rnp.ones((5, 2, 3)), rnp.ones((5, 3))).shape
    (5, 2)
    """
    x, y = _operands("matvec", x1, x2)
    _matrix_and_vector("matvec", x, y, x.shape[-1:])
    out = matmul(x, reshape_p.bind(y, shape=(*y.shape, 1)))
    return reshape_p.bind(out, shape=out.shape[:-1])


def vecmat(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Products of conjugated vectors [..., n] with matrices [..., n, m]; the leading axes broadcast.

    >>> import rtfunc.numpy as rnp
    >>> rnp.vecmat(rnp.ones((5, 3)), rnp.ones((5, 3, 2))).shape
    (5, 2)
    """
    x, y = _operands("vecmat", x1, x2)
    _matrix_and_vector("vecmat", y, x, y.shape[-2:-1])
    x = _conjugate(x)
    out = matmul(reshape_p.bind(x, shape=(*x.shape[:-1], 1, x.shape[-1])), y)
    return reshape_p.bind(out, shape=(*out.shape[:-2], out.shape[-1]))


def _matrix_and_vector(operation: str, matrix: Array, vector: Array, size: Any) -> None:
    if matrix.ndim < 2 or not vector.ndim or vector.shape[-1:] != size:
        raise ShapeError(
            at_user_line(
                f"{operation}: matrices of shape {matrix.shape} and vectors of shape "
                f"{vector.shape} do not fit."
            )
        )


def _last(x: Array, axis: int) -> Array:
    """`x` with `axis` (not negative) moved to the end."""
    return transpose(x, (*(i for i in range(x.ndim) if i != axis), axis))


def inner(a: ArrayLike, b: ArrayLike, *, preferred_element_type: DtypeLike | None = None) -> Array:
    """The sum of products over the last axes of both; scalars multiply.

    >>> import rtfunc.numpy as rnp
    >>> rnp.inner(rnp.ones((2, 3)), rnp.ones((4, 3))).shape
    (2, 4)
    """
    a, b = _operands("inner", a, b)
    pair = ((a.ndim - 1,), (b.ndim - 1,)) if a.ndim and b.ndim else ((), ())
    return _dot_general(a, b, (pair, ((), ())), preferred_element_type)


def outer(a: ArrayLike, b: ArrayLike) -> Array:
    """All products of an element of `a` with one of `b`, as a matrix [a.size, b.size].

    >>> import rtfunc.numpy as rnp
    >>> rnp.outer(rnp.arange(2), rnp.arange(3))
    Array([[0, 0, 0],
           [0, 1, 2]], dtype=int32)
    """
    a, b = _operands("outer", a, b)
    return _dot_general(_flat(a), _flat(b), (((), ()), ((), ())), None)


def tensordot(
    a: ArrayLike,
    b: ArrayLike,
    axes: int | Sequence[Any] = 2,
    *,
    preferred_element_type: DtypeLike | None = None,
) -> Array:
    """The sum of products over pairs of axes.

    Arguments:
      axes: a number n (the last n axes of `a` with the first n of `b`, in order), or a pair of axes
        or of sequences of axes.

    Returns an array with the remaining axes of `a`, then those of `b`.

    >>> import rtfunc.numpy as rnp
    >>> rnp.tensordot(rnp.ones((2, 3, 4)), rnp.ones((4, 3, 5)), ((1, 2), (1, 0))).shape
    (2, 5)
    """
    a, b = _operands("tensordot", a, b)
    try:
        count = operator.index(axes)  # type: ignore[arg-type]
    except TypeError:
        try:
            a_axes, b_axes = axes  # type: ignore[misc]
        except (TypeError, ValueError):
            raise ArgumentError(
                at_user_line(f"tensordot takes axes as a number or a pair, not {axes!r}.")
            ) from None
        a_axes = normalize_axes("tensordot", a_axes, a.ndim)
        b_axes = normalize_axes("tensordot", b_axes, b.ndim)
    else:
        if not 0 <= count <= min(a.ndim, b.ndim):
            raise ArgumentError(
                at_user_line(
                    f"tensordot of shapes {a.shape} and {b.shape} sums over at most "
                    f"{min(a.ndim, b.ndim)} axes, got axes={count}."
                )
            )
        a_axes, b_axes = tuple(range(a.ndim - count, a.ndim)), tuple(range(count))
    return _dot_general(a, b, ((a_axes, b_axes), ((), ())), preferred_element_type)


def kron(a: ArrayLike, b: ArrayLike) -> Array:
    """The Kronecker product: blocks of `b` scaled by the elements of `a`.

    >>> import rtfunc.numpy as rnp
    >>> rnp.kron(rnp.array([1, 10]), rnp.array([1, 2]))
    Array([ 1,  2, 10, 20], dtype=int32)
    """
    a, b = _operands("kron", a, b)
    rank = max(a.ndim, b.ndim)
    a_shape = (1,) * (rank - a.ndim) + a.shape
    b_shape = (1,) * (rank - b.ndim) + b.shape
    # Axes of a and of b alternate, and each pair becomes one.
    a = reshape_p.bind(a, shape=tuple(n for m in a_shape for n in (m, 1)))
    b = reshape_p.bind(b, shape=tuple(n for m in b_shape for n in (1, m)))
    return reshape_p.bind(mul(a, b), shape=tuple(n * m for n, m in zip(a_shape, b_shape)))


def cross(
    a: ArrayLike,
    b: ArrayLike,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Array:
    """The cross product of vectors with 3 components, or with 2 and a third that is zero.

    Arguments:
      a, b: arrays whose axes `axisa` and `axisb` hold the components; the others broadcast.
      axisc: where the components stand in the result. Two vectors of 2 components give the third
        component of their product alone, without such an axis.
      axis: replaces all three.

    Raises `ShapeError` for other numbers of components.

    >>> import rtfunc.numpy as rnp
    >>> rnp.cross(rnp.array([1, 0, 0]), rnp.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _operands("cross", a, b)
    a = _last(a, normalize_axis("cross", axisa, a.ndim))
    b = _last(b, normalize_axis("cross", axisb, b.ndim))
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ShapeError(
            at_user_line(
                f"cross takes vectors of 2 or 3 components, but got {a.shape[-1]} and "
                f"{b.shape[-1]} (shapes {a.shape} and {b.shape} with the components last)."
            )
        )

    def components(x: Array) -> list[Array | None]:
        parts = [slice_in_dim(x, i, i + 1, axis=x.ndim - 1) for i in range(x.shape[-1])]
        return [*parts, *(None,) * (3 - len(parts))]

    def minor(p: Array | None, q: Array | None, r: Array | None, s: Array | None) -> Array | None:
        """p q - r s, where None stands for a zero component."""
        left = None if p is None or q is None else mul(p, q)
        right = None if r is None or s is None else mul(r, s)
        if right is None:
            return left
        return sub(_zero_like(right) if left is None else left, right)

    (a0, a1, a2), (b0, b1, b2) = components(a), components(b)
    third = minor(a0, b1, a1, b0)
    assert third is not None
    if a2 is None and b2 is None:
        return reshape_p.bind(third, shape=third.shape[:-1])
    parts = [minor(a1, b2, a2, b1), minor(a2, b0, a0, b2), third]
    out = concatenate([p for p in parts if p is not None], third.ndim - 1)
    last = normalize_axis("cross", axisc, out.ndim)
    order = list(range(out.ndim - 1))
    order.insert(last, out.ndim - 1)
    return transpose(out, order)


def _zero_like(x: Array) -> Array:
    return broadcast_in_dim_p.bind(as_array("cross", 0, x.dtype), shape=x.shape, axes=())


def trace(
    a: ArrayLike,
    offset: int = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: DtypeLike | None = None,
) -> Array:
    """The sum of a diagonal, `offset` above (or, negative, below) the main one.

    Arguments:
      axis1, axis2: the axes of the matrices; by default the first two.
      dtype: of the sum; by default that of `a`, int32 for booleans and smaller integers.

    >>> import rtfunc.numpy as rnp
    >>> rnp.trace(rnp.arange(9).reshape(3, 3))
    Array(12, dtype=int32)
    """
    a = as_array("trace", a)
    if a.ndim < 2:
        raise ShapeError(
            at_user_line(f"trace takes an array with at least two axes, not shape {a.shape}.")
        )
    if dtype is not None:
        a = convert(a, dtypes.as_dtype(dtype))
    elif not dtypes.is_inexact(a.dtype) and a.dtype.itemsize < 4:
        unsigned = dtypes.kind(a.dtype) == "unsigned"
        a = convert(a, dtypes.uint32 if unsigned else dtypes.int32)
    diagonal = diagonal_of("trace", a, offset, axis1, axis2)
    return sum_over(diagonal, (diagonal.ndim - 1,))


def multi_dot(arrays: Sequence[ArrayLike], *, preferred_element_type: Any = None) -> Array:
    """The product of two or more matrices, in the order that takes the fewest multiplications.

    The first and the last may be vectors.

    >>> import rtfunc.numpy as rnp
    >>> multi_dot([rnp.ones((9, 2)), rnp.ones((2, 9)), rnp.ones(9)]).shape
    (9,)
    """
    members = as_sequence("multi_dot", "arrays", arrays)
    if len(members) < 2:
        raise ArgumentError(at_user_line("multi_dot takes at least two arrays."))
    operands = promote("multi_dot", *members)
    for i, x in enumerate(operands):
        ends = i in (0, len(operands) - 1)
        if x.ndim != 2 and not (ends and x.ndim == 1):
            raise ShapeError(
                at_user_line(
                    f"multi_dot takes matrices (and vectors at the ends), but array {i} has shape "
                    f"{x.shape}."
                )
            )
    for i, (x, y) in enumerate(itertools.pairwise(operands)):
        if x.shape[-1] != y.shape[0]:
            raise ShapeError(
                at_user_line(
                    f"multi_dot: arrays {i} and {i + 1} of shapes {x.shape} and {y.shape} do not "
                    "multiply; the last size of one must be the first of the next."
                )
            )
    sizes = [operands[0].shape[0] if operands[0].ndim == 2 else 1]
    sizes += [x.shape[0] for x in operands[1:]]
    sizes += [operands[-1].shape[-1] if operands[-1].ndim == 2 else 1]

    def product(node: Any) -> Array:
        if isinstance(node, int):
            return operands[node]
        left, right = node
        return matmul(product(left), product(right), preferred_element_type=preferred_element_type)

    return product(_chain_order(tuple(sizes)))


@functools.lru_cache(256)
def _chain_order(sizes: tuple[int, ...]) -> Any:
    """The cheapest way to multiply a chain of matrices [sizes[i], sizes[i + 1]], as nested pairs.

    Dynamic programming over intervals: Cormen et al., Introduction to Algorithms, section 15.2.
    """
    n = len(sizes) - 1
    best: dict[tuple[int, int], tuple[int, Any]] = {(i, i): (0, i) for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            best[i, j] = min(
                (
                    (
                        best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1],
                        (best[i, k][1], best[k + 1, j][1]),
                    )
                    for k in range(i, j)
                ),
                key=lambda choice: choice[0],
            )
    return best[0, n - 1][1]


__all__ = [
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "matmul",
    "multi_dot",
    "outer",
    "tensordot",
    "trace",
    "vdot",
    "vecdot",
]
