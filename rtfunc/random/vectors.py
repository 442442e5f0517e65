"""Random vectors and matrices: multivariate normal, orthogonal matrices, points in a ball.

The algorithms are those of `jax.random`. Depends on `distributions`, `gamma_family` and
`rtfunc.numpy.linalg`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np  # noqa: F401  (the examples use it)

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.aval import as_shape, broadcast_shapes
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, at_user_line
from rtfunc.numpy.contraction import matmul
from rtfunc.numpy.diagonals import diagonal
from rtfunc.numpy.shape import matrix_transpose
from rtfunc.ops.arithmetic import add, div, mul, neg, sqrt
from rtfunc.ops.complex import abs_, sign
from rtfunc.ops.convert import scalar
from rtfunc.ops.exponential import log1p, power
from rtfunc.ops.reduce import reduce_sum
from rtfunc.ops.shape import expand_dims, squeeze
from rtfunc.random.distributions import draw_normal
from rtfunc.random.gamma_family import draw_generalized_normal
from rtfunc.random.keys import split_words, words
from rtfunc.random.uniform_bits import as_parameters, draw_uniform

METHODS = ("cholesky", "svd", "eigh")


def multivariate_normal(
    key: ArrayLike,
    mean: ArrayLike,
    cov: ArrayLike,
    shape: int | Sequence[int] | None = None,
    dtype: DtypeLike = None,
    method: str = "cholesky",
) -> Array:
    """Normal vectors of given mean and covariance: mean + F z of standard normal z with F F^T = cov.

    Arguments:
      mean: [..., n].
      cov: [..., n, n], symmetric and positive definite.
      shape: the result's shape without its last axis, to which the leading axes of `mean` and `cov`
        broadcast; by default their common shape.
      dtype: by default that of `mean` and `cov`.
      method: how `cov` is factored: "cholesky", or "svd" or "eigh", which take singular ones too.

    Derivatives flow to `mean` and `cov`. Raises `ShapeError` where the shapes do not fit and
    `ArgumentError` for another method.

    >>> from rtfunc.random import key
    >>> multivariate_normal(key(0), np.zeros(2), np.eye(2), (3,)).shape
    (3, 2)
    """
    from rtfunc.numpy import linalg

    key_words = words("multivariate_normal", key)
    if method not in METHODS:
        raise ArgumentError(
            at_user_line(
                f"random.multivariate_normal: method is 'cholesky', 'svd' or 'eigh', not {method!r}."
            )
        )
    dtype, (mean, cov) = as_parameters("multivariate_normal", dtype, mean, cov)
    if not mean.ndim or cov.ndim < 2 or cov.shape[-2:] != (mean.shape[-1],) * 2:
        raise ShapeError(
            at_user_line(
                "random.multivariate_normal takes a mean [..., n] and a covariance [..., n, n], but "
                f"they have the shapes {mean.shape} and {cov.shape}."
            )
        )
    common = broadcast_shapes("random.multivariate_normal", mean.shape[:-1], cov.shape[:-2])
    batch = common if shape is None else as_shape(shape)
    if broadcast_shapes("random.multivariate_normal", batch, common) != batch:
        raise ShapeError(
            at_user_line(
                f"random.multivariate_normal: parameters for vectors of shape {common} do not "
                f"broadcast to the shape {batch} of the result."
            )
        )
    if method == "cholesky":
        factor = linalg.cholesky(cov)
    elif method == "svd":
        vectors, values, _ = linalg.svd(cov)
        factor = mul(vectors, sqrt(expand_dims(values, (values.ndim - 1,))))
    else:
        values, vectors = linalg.eigh(cov)
        factor = mul(vectors, sqrt(expand_dims(values, (values.ndim - 1,))))
    z = draw_normal(key_words, (*batch, mean.shape[-1]), dtype)
    moved = matmul(factor, expand_dims(z, (z.ndim,)))
    return add(mean, squeeze(moved, (moved.ndim - 1,)))


def orthogonal(
    key: ArrayLike,
    n: int,
    shape: int | Sequence[int] = (),
    dtype: DtypeLike = "float32",
    m: int | None = None,
) -> Array:
    """Orthogonal matrices, uniform over the group O(n); unitary ones for a complex dtype.

    With `m` other than n, [*shape, n, m]: the rows are orthonormal if there are fewer of them, else
    the columns. The Q of a QR decomposition of normal numbers, its columns signed so that R has a
    positive diagonal: Mezzadri, "How to generate random matrices from the classical compact groups",
    Notices of the AMS 54 (2007). Raises `DtypeError` and `ArgumentError` for sizes that are not
    integers, or negative.

    >>> from rtfunc.random import key
    >>> orthogonal(key(0), 3, (2,)).shape
    (2, 3, 3)
    """
    from rtfunc.numpy import linalg

    key_words = words("orthogonal", key)
    rows = _size("orthogonal", "n", n)
    columns = rows if m is None else _size("orthogonal", "m", m)
    dtype = dtypes.default_float if dtype is None else dtypes.as_dtype(dtype)
    tall = (*as_shape(shape), max(rows, columns), min(rows, columns))
    q, r = linalg.qr(draw_normal(key_words, tall, dtype, "orthogonal"))
    signs = sign(diagonal(r, axis1=-2, axis2=-1))
    q = mul(q, expand_dims(signs, (signs.ndim - 1,)))
    return matrix_transpose(q) if rows < columns else q


def ball(
    key: ArrayLike,
    d: int,
    p: ArrayLike = 2.0,
    shape: int | Sequence[int] = (),
    dtype: DtypeLike = "float32",
) -> Array:
    """Points uniform in the unit ball of the Lp norm in `d` dimensions: [*shape, d].

    `p` is a positive number. g / (sum(|g|**p) + e)**(1 / p) of generalised normal g and exponential e:
    Barthe, Guédon, Mendelson and Naor, "A probabilistic approach to the geometry of the l_p^n-ball"
    (2005). Raises `DtypeError` and `ArgumentError` for a `d` that is not an integer, or negative.

    >>> from rtfunc.random import key
    >>> ball(key(0), 3, shape=(2,)).shape
    (2, 3)
    """
    key_words = words("ball", key)
    count, sizes = _size("ball", "d", d), as_shape(shape)
    dtype, (p,) = as_parameters("ball", dtypes.default_float if dtype is None else dtype, p)
    if p.shape:
        raise ShapeError(at_user_line(f"random.ball: p is a scalar, not {p.aval}."))
    for_direction, for_radius = split_words(key_words)
    g = draw_generalized_normal(for_direction, p, (*sizes, count))
    e = neg(log1p(neg(draw_uniform(for_radius, sizes, dtype))))
    total = add(reduce_sum(power(abs_(g), p), -1), e)
    norm = power(total, div(scalar(1, dtype), p))
    return div(g, expand_dims(norm, (norm.ndim,)))


def _size(operation: str, what: str, value: int) -> int:
    try:
        size = operator.index(value)
    except TypeError as error:
        if isinstance(value, Array):  # traced: its message says what to do
            raise
        raise DtypeError(
            at_user_line(f"random.{operation}: {what} is an integer, not {type(value).__name__}.")
        ) from error
    if size < 0:
        raise ArgumentError(at_user_line(f"random.{operation}: {what} is {size}, below 0."))
    return size
