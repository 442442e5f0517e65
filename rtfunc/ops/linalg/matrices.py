"""What the rules of matrix factorizations are written in: products, adjoints, triangles, diagonals.

All functions take stacks of matrices [..., m, n] and are made of primitives, so that derivative
rules differentiate and batch again. The cotangents of transforms pair with tangents by
`sum(real(cotangent * tangent))`, without a conjugate; the formulas in the literature have one. Pull
back rules therefore begin with `conj` of the cotangents and end with `conj` of their results. Also
holds what the primitives' other rules share: checks of operands, batching, kernels on NumPy and on
CuPy. Depends on `contract`, `shape`, `select`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import Aval
from rtfunc.core.batching import at_front
from rtfunc.core.errors import DtypeError, ShapeError, at_user_line
from rtfunc.core.primitive import Primitive
from rtfunc.ops import complex as parts
from rtfunc.ops.arithmetic import add, mul, square
from rtfunc.ops.comparison import eq, ge, gt
from rtfunc.ops.contract import dot_general_p
from rtfunc.ops.convert import convert, promote_inexact, scalar
from rtfunc.ops.elementwise import broadcast_to
from rtfunc.ops.iota import broadcasted_iota
from rtfunc.ops.linalg import lapack
from rtfunc.ops.reduce import reduce_sum_p
from rtfunc.ops.select import select
from rtfunc.ops.shape import reshape_p, transpose_p

#: The dtypes that LAPACK computes in.
over = (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128)


# Matrices


def swap(x: Any) -> Any:
    """The transposes of matrices."""
    n = x.ndim
    return transpose_p.bind(x, permutation=(*range(n - 2), n - 1, n - 2))


def conj(x: Any) -> Any:
    """The complex conjugate; real arrays as they are."""
    return parts.conj(x) if dtypes.is_complex(x.dtype) else x


def adjoint(x: Any) -> Any:
    """The conjugate transposes of matrices."""
    return swap(conj(x))


def real_part(x: Any) -> Any:
    """The real part; real arrays as they are."""
    return parts.real(x) if dtypes.is_complex(x.dtype) else x


def absolute_squares(x: Any) -> Any:
    """|x|^2, real."""
    if dtypes.is_complex(x.dtype):
        return add(square(parts.real(x)), square(parts.imag(x)))
    return square(x)


def imaginary(x: Any) -> Any:
    """The imaginary part times i, as complex numbers."""
    imag = parts.imag(x)
    return parts.complex_(scalar(0, imag.dtype), imag)


def product(x: Any, y: Any) -> Any:
    """The matrix products of two stacks with equal leading axes."""
    lead = tuple(range(x.ndim - 2))
    numbers = (((x.ndim - 1,), (y.ndim - 2,)), (lead, lead))
    return dot_general_p.bind(x, y, dimension_numbers=numbers, preferred_element_type=None)


def _indices(x: Any) -> tuple[Any, Any]:
    return tuple(broadcasted_iota(dtypes.int32, x.shape[-2:], axis) for axis in (0, 1))  # type: ignore[return-value]


def _zero(x: Any) -> Any:
    return scalar(0, x.dtype)


def lower_part(x: Any, strict: bool = False) -> Any:
    """Matrices with zeros above the diagonal; with `strict`, on it too."""
    row, column = _indices(x)
    return select((gt if strict else ge)(row, column), x, _zero(x))


def upper_part(x: Any, strict: bool = False) -> Any:
    """Matrices with zeros below the diagonal; with `strict`, on it too."""
    row, column = _indices(x)
    return select((gt if strict else ge)(column, row), x, _zero(x))


def on_diagonal(x: Any) -> Any:
    """Matrices with zeros off the diagonal."""
    return select(eq(*_indices(x)), x, _zero(x))


def off_diagonal(x: Any) -> Any:
    """Matrices with zeros on the diagonal."""
    return select(eq(*_indices(x)), _zero(x), x)


def diagonal(x: Any) -> Any:
    """The diagonals [..., n] of square matrices."""
    return reduce_sum_p.bind(on_diagonal(x), axes=(x.ndim - 2,))


def diagonal_matrix(d: Any) -> Any:
    """The square matrices [..., n, n] with the diagonals d [..., n]."""
    n = d.shape[-1]
    return on_diagonal(broadcast_to(as_row(d), (*d.shape[:-1], n, n)))


def as_row(d: Any) -> Any:
    """[..., n] as matrices [..., 1, n], which scale columns."""
    return reshape_p.bind(d, shape=(*d.shape[:-1], 1, d.shape[-1]))


def as_column(d: Any) -> Any:
    """[..., n] as matrices [..., n, 1], which scale rows."""
    return reshape_p.bind(d, shape=(*d.shape, 1))


def identity(n: int, dtype: np.dtype, lead: tuple[int, ...] = ()) -> Any:
    """A stack of unit matrices."""
    row, column = (broadcasted_iota(dtypes.int32, (n, n), axis) for axis in (0, 1))
    return broadcast_to(convert(eq(row, column), dtype), (*lead, n, n))


def trace(x: Any) -> Any:
    """The sums [...] of the diagonals of square matrices."""
    return reduce_sum_p.bind(on_diagonal(x), axes=(x.ndim - 2, x.ndim - 1))


def symmetrize(x: Any) -> Any:
    """(x + x^H) / 2."""
    return mul(add(x, adjoint(x)), scalar(0.5, x.dtype))


def mirror(x: Any, lower: bool) -> Any:
    """The Hermitian matrices whose lower (or upper) triangle is that of x."""
    strict = (lower_part if lower else upper_part)(x, strict=True)
    return add(add(strict, adjoint(strict)), _real_diagonal(x))


def unmirror(x: Any, lower: bool) -> Any:
    """The adjoint of `mirror` as a real-linear map."""
    both = add(x, adjoint(x))
    return add((lower_part if lower else upper_part)(both, strict=True), _real_diagonal(x))


def _real_diagonal(x: Any) -> Any:
    return convert(real_part(on_diagonal(x)), x.dtype)


# Operands


def matrix_operands(operation: str, *operands: ArrayLike) -> list[Array]:
    """Operands of one inexact dtype; integers and booleans become float32."""
    return promote_inexact(operation, *operands)


def check_matrices(operation: str, x: Aval, *, square: bool = False) -> None:
    """Raise `DtypeError` or `ShapeError` unless x is a stack of matrices that LAPACK can take."""
    if x.dtype not in over:
        raise DtypeError(
            at_user_line(
                f"{operation} computes in float32, float64, complex64 or complex128, but got "
                f"{x.dtype}. Convert it first, for example with x.astype('float32')."
            )
        )
    if x.ndim < 2:
        raise ShapeError(
            at_user_line(
                f"{operation} takes matrices: an array with at least two axes, not shape {x.shape}."
            )
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            at_user_line(
                f"{operation} takes square matrices, but the last two axes of shape {x.shape} "
                "differ."
            )
        )


# Batching


def batch_stack(
    primitive: Primitive, batch: Any, operands: Any, batch_axes: Any, **params: Any
) -> Any:
    """The `batch` rule of operations on stacks: the batch is one more leading axis of everything."""
    operands = [at_front(x, axis, batch.size) for x, axis in zip(operands, batch_axes)]
    out = primitive.bind(*operands, **params)
    return out, ([0] * len(out) if primitive.multiple_results else 0)


# Kernels


def or_nan(factorize: Callable[..., Any], *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The results of a function of `numpy.linalg`, NaN for the matrices at which it fails."""
    try:
        return _tuple(factorize(*arrays))
    except np.linalg.LinAlgError:
        a = arrays[0]
        if a.ndim == 2:
            like = [np.eye(*a.shape, dtype=a.dtype), *(np.zeros_like(x) for x in arrays[1:])]
            return tuple(np.full_like(x, lapack.nan(x.dtype)) for x in _tuple(factorize(*like)))
    lead = a.shape[:-2]
    flat = [x.reshape(math.prod(lead), *x.shape[len(lead) :]) for x in arrays]
    found = [or_nan(factorize, *members) for members in zip(*flat)]
    return tuple(np.stack(xs).reshape(*lead, *xs[0].shape) for xs in zip(*found))


def _tuple(x: Any) -> tuple[np.ndarray, ...]:
    return tuple(x) if isinstance(x, tuple) else (x,)


def computing(impl: Callable[..., Any]) -> Callable[..., Any]:
    """An `impl` rule that refuses other dtypes: NumPy takes bfloat16 for something like float64."""

    def checked(xp: Any, x: Any, **params: Any) -> Any:
        if x.dtype not in over:
            raise TypeError(x.dtype)  # `infer` has the message
        return impl(xp, x, **params)

    return checked


def on_host(kernel: Callable[..., Sequence[np.ndarray]]) -> Callable[..., Any]:
    """A kernel for NumPy as an `impl` rule; arrays of a GPU are copied to the CPU and back."""

    def impl(xp: Any, *buffers: Any, **params: Any) -> Any:
        if xp is np:
            return list(kernel(*buffers, **params))
        return [xp.asarray(x) for x in kernel(*map(xp.asnumpy, buffers), **params)]

    return impl
