"""Polynomials as arrays of coefficients, the highest power first, as NumPy's `poly1d` has them.

Depends on `filters` for products and, at use, on `rtfunc.numpy.linalg` for roots and fits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, ShapeError, TracerError, at_user_line
from rtfunc.numpy.arguments import as_integer
from rtfunc.numpy.creation import asarray, ones, promote_data, zeros
from rtfunc.numpy.elementwise import sqrt
from rtfunc.numpy.filters import convolve
from rtfunc.numpy.index_expressions import known_values
from rtfunc.numpy.joining import concatenate
from rtfunc.numpy.matrices import eye, vander
from rtfunc.numpy.reductions import sum as _sum
from rtfunc.ops.convert import as_array, convert, promote_inexact
from rtfunc.ops.shape import reshape


def _coefficients(operation: str, p: Any, ndim: int | None = 1) -> Array:
    p = as_array(operation, asarray(p) if isinstance(p, (list, tuple)) else p)
    if not p.ndim:
        p = reshape(p, (1,))
    if ndim is not None and p.ndim != ndim:
        raise ShapeError(
            at_user_line(f"{operation} takes coefficients with one axis, not the shape {p.shape}.")
        )
    return p


def poly(seq_of_zeros: ArrayLike) -> Array:
    """The coefficients of the polynomial with given roots, or a square matrix's characteristic one.

    >>> poly(np.array([1.0, 2.0], "float32"))
    Array([ 1., -3.,  2.], dtype=float32)
    """
    roots_ = _coefficients("poly", seq_of_zeros, None)
    (roots_,) = promote_inexact("poly", roots_)
    if roots_.ndim == 2 and roots_.shape[0] == roots_.shape[1] and roots_.size:
        from rtfunc.numpy import linalg

        roots_ = linalg.eigvals(roots_)
    if roots_.ndim != 1:
        raise ShapeError(
            at_user_line(f"poly takes roots or a square matrix, not the shape {roots_.shape}.")
        )
    found = ones(1, roots_.dtype)
    for k in range(roots_.shape[0]):
        padded = concatenate([found, zeros(1, found.dtype)])
        found = padded - concatenate([zeros(1, found.dtype), found * roots_[k]])
    return found


def roots(p: ArrayLike, *, strip_zeros: bool = True) -> Array:
    """The complex roots of a polynomial: the eigenvalues of its companion matrix.

    Leading and trailing zeros are taken off first, which needs their values; in traced code pass
    `strip_zeros=False`: then zeros in front give roots that are infinite or NaN.

    >>> roots(np.array([1.0, -3.0, 2.0], "float32")).shape
    (2,)
    """
    from rtfunc.numpy import linalg

    (p,) = promote_inexact("roots", _coefficients("roots", p))
    dtype = dtypes.complex_of(p.dtype)
    zero_roots = 0
    if strip_zeros:
        values = known_values(p)
        if values is None:
            raise TracerError(
                at_user_line(
                    "roots of traced coefficients: the number of roots depends on which are zero. "
                    "Pass strip_zeros=False."
                )
            )
        places = np.flatnonzero(values)
        if not len(places):
            return zeros(0, dtype)
        zero_roots = len(values) - 1 - int(places[-1])
        p = p[int(places[0]) : int(places[-1]) + 1]
    degree = p.shape[0] - 1
    if degree < 1:
        return zeros(zero_roots, dtype)
    top = reshape(-p[1:] / p[0], (1, -1))
    companion = concatenate([top, eye(degree, dtype=p.dtype)[:-1]], 0)
    found = convert(linalg.eigvals(companion), dtype)
    return concatenate([found, zeros(zero_roots, dtype)]) if zero_roots else found


def polyval(p: ArrayLike, x: ArrayLike, *, unroll: int = 16) -> Array:
    """The value of the polynomial `p` at each element of `x`, by Horner's scheme.

    `p` may have more axes, which broadcast with those of `x`; `unroll` is accepted as in JAX.

    >>> polyval(np.array([1, 2, 3], "int32"), 2)
    Array(11, dtype=int32)
    """
    p, x = promote_data("polyval", p, x)
    p = _coefficients("polyval", p, None)
    total = x * 0
    for k in range(p.shape[0]):
        total = total * x + p[k]
    return total


def _aligned(operation: str, a: Any, b: Any) -> tuple[Array, Array]:
    a, b = (_coefficients(operation, p) for p in promote_data(operation, a, b))
    size = max(a.shape[0], b.shape[0])
    first, second = (
        concatenate([zeros(size - p.shape[0], p.dtype), p]) if p.shape[0] < size else p
        for p in (a, b)
    )
    return first, second


def polyadd(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The sum of two polynomials.

    >>> polyadd(np.array([1, 2], "int32"), np.array([1, 0, 1], "int32"))
    Array([1, 1, 3], dtype=int32)
    """
    a, b = _aligned("polyadd", a1, a2)
    return a + b


def polysub(a1: ArrayLike, a2: ArrayLike) -> Array:
    """The difference of two polynomials.

    >>> polysub(np.array([1, 2], "int32"), np.array([1, 0, 1], "int32"))
    Array([-1,  1,  1], dtype=int32)
    """
    a, b = _aligned("polysub", a1, a2)
    return a - b


def polymul(a1: ArrayLike, a2: ArrayLike, *, trim_leading_zeros: bool = False) -> Array:
    """The product of two polynomials; `trim_leading_zeros` needs the coefficients' values.

    >>> polymul(np.array([1, 2], "int32"), np.array([1, -2], "int32"))
    Array([ 1,  0, -4], dtype=int32)
    """
    a, b = (_coefficients("polymul", p) for p in promote_data("polymul", a1, a2))
    if trim_leading_zeros:
        a, b = (_trimmed("polymul", p) for p in (a, b))
    return convolve(a, b)


def _trimmed(operation: str, p: Array) -> Array:
    values = known_values(p)
    if values is None:
        raise TracerError(
            at_user_line(f"{operation}: leading zeros of traced coefficients are not known.")
        )
    places = np.flatnonzero(values)
    return p[int(places[0]) :] if len(places) else p[-1:]


def polydiv(u: ArrayLike, v: ArrayLike, *, trim_leading_zeros: bool = False) -> tuple[Array, Array]:
    """Quotient and remainder of the division of polynomials.

    The remainder has as many coefficients as `u`, zeros in front; `trim_leading_zeros` takes them
    off, which needs their values.

    >>> polydiv(np.array([1.0, 0.0, -4.0], "float32"), np.array([1.0, 2.0], "float32"))[0]
    Array([ 1., -2.], dtype=float32)
    """
    rest, divisor = promote_inexact(
        "polydiv", *(_coefficients("polydiv", p) for p in promote_data("polydiv", u, v))
    )
    n, m = rest.shape[0], divisor.shape[0]
    quotient = []
    for k in range(max(n - m + 1, 0)):
        factor = rest[k] / divisor[0]
        quotient.append(reshape(factor, (1,)))
        rest = rest.at[k : k + m].add(-factor * divisor)
    found = concatenate(quotient) if quotient else zeros(1, rest.dtype)
    if trim_leading_zeros:
        values = known_values(rest)
        if values is None:
            raise TracerError(
                at_user_line("polydiv: leading zeros of traced coefficients are not known.")
            )
        places = np.flatnonzero(~np.isclose(values, 0, rtol=1e-14, atol=1e-14))
        rest = rest[int(places[0]) :] if len(places) else rest[-1:]
    return found, rest


def polyder(p: ArrayLike, m: int = 1) -> Array:
    """The coefficients of the `m`-th derivative.

    >>> polyder(np.array([1, 2, 3], "int32"))
    Array([2, 2], dtype=int32)
    """
    m = as_integer("polyder", "the order", m)
    if m < 0:
        raise ArgumentError(at_user_line(f"polyder: the order is not negative, got {m}."))
    p = _coefficients("polyder", p)
    for _ in range(m):
        powers = np.arange(p.shape[0] - 1, 0, -1)
        p = p[:-1] * asarray(powers, p.dtype)
    return p


def polyint(p: ArrayLike, m: int = 1, k: ArrayLike | None = None) -> Array:
    """The coefficients of the `m`-th integral; `k` has the constants of integration (0).

    >>> polyint(np.array([4.0, 2.0], "float32"))
    Array([2., 2., 0.], dtype=float32)
    """
    m = as_integer("polyint", "the order", m)
    if m < 0:
        raise ArgumentError(at_user_line(f"polyint: the order is not negative, got {m}."))
    p, constants = promote_inexact(
        "polyint",
        *(_coefficients("polyint", c) for c in promote_data("polyint", p, 0 if k is None else k)),
    )
    if constants.shape[0] not in (1, m):
        raise ArgumentError(
            at_user_line(f"polyint: {constants.shape[0]} constants for {m} integrations.")
        )
    if m > 1 and constants.shape[0] == 1 and k is not None and np.ndim(k):  # type: ignore[arg-type]
        raise ArgumentError(at_user_line(f"polyint: 1 constant for {m} integrations."))
    for step in range(m):
        divisor = asarray(np.arange(p.shape[0], 0, -1), p.dtype)
        constant = constants[step if constants.shape[0] > 1 else 0]
        p = concatenate([p / divisor, reshape(constant, (1,))])
    return p


def polyfit(
    x: ArrayLike,
    y: ArrayLike,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: ArrayLike | None = None,
    cov: bool | str = False,
) -> Any:
    """The polynomial of degree `deg` that fits the points (x, y) best, in the sense of least squares.

    Arguments:
      y: values, with one axis, or a second one for several fits.
      rcond: relative size below which singular values count as zero.
      full: whether to return also the residuals, rank, singular values and rcond.
      w: factors of the residuals.
      cov: whether to return also the covariance matrix of the coefficients; "unscaled" leaves out
        the estimate of the noise.

    >>> x = np.array([0.0, 1.0, 2.0], "float32")
    >>> polyfit(x, 3 * x + 1, 1).shape
    (2,)
    """
    from rtfunc.numpy import linalg

    deg = as_integer("polyfit", "the degree", deg)
    if deg < 0:
        raise ArgumentError(at_user_line(f"polyfit: the degree is not negative, got {deg}."))
    x, y = promote_inexact("polyfit", x, y)
    if x.ndim != 1 or not x.size or y.ndim not in (1, 2) or y.shape[0] != x.shape[0]:
        raise ShapeError(
            at_user_line(
                "polyfit takes coordinates with one axis, not empty, and as many values with one "
                f"or two, not the shapes {x.shape} and {y.shape}."
            )
        )
    order = deg + 1
    if rcond is None:
        rcond = x.shape[0] * float(dtypes.finfo(x.dtype).eps)
    lhs, rhs = vander(x, order), y
    if w is not None:
        factors = as_array("polyfit", w, x.dtype)
        if factors.shape != x.shape:
            raise ShapeError(
                at_user_line(f"polyfit: w of shape {factors.shape} does not fit {x.shape}.")
            )
        column = reshape(factors, (-1, 1))
        lhs = lhs * column
        rhs = rhs * (column if rhs.ndim == 2 else factors)
    scale = sqrt(_sum(lhs * lhs, 0))
    lhs = lhs / scale
    found, residuals, rank, singular = linalg.lstsq(lhs, rhs, rcond)
    found = found / (reshape(scale, (-1, 1)) if found.ndim == 2 else scale)
    if full:
        return found, residuals, rank, singular, rcond
    if not cov:
        return found
    base = linalg.inv(lhs.T @ lhs) / reshape(scale, (-1, 1)) / scale
    if y.ndim == 2:
        base = base[:, :, None]  # for each of the fits
    if cov == "unscaled":
        return found, base
    if x.shape[0] <= order:
        raise ArgumentError(
            at_user_line(f"polyfit: a covariance needs more than {order} points, not {x.shape[0]}.")
        )
    left = residuals / (x.shape[0] - order)
    return found, base * left


def trim_zeros(filt: ArrayLike, trim: str = "fb") -> Array:
    """`filt` without the zeros at its front ("f") and back ("b"), which needs its values.

    >>> trim_zeros(np.array([0, 1, 0, 2, 0]))
    Array([1, 0, 2], dtype=int64)
    """
    x = as_array("trim_zeros", asarray(filt) if isinstance(filt, (list, tuple)) else filt)
    if not isinstance(trim, str) or trim.lower() not in ("f", "b", "fb", "bf"):
        raise ArgumentError(at_user_line(f"trim_zeros: trim is 'f', 'b' or 'fb', not {trim!r}."))
    if x.ndim != 1:
        raise ShapeError(at_user_line(f"trim_zeros takes one axis, not the shape {x.shape}."))
    values = known_values(x)
    if values is None:
        raise TracerError(
            at_user_line(
                f"trim_zeros of a traced {x.aval}: the shape of the result would depend on its "
                "values. Call it outside jit, or mask the values with where(...)."
            )
        )
    places = np.flatnonzero(values)
    if not len(places):
        return x[:0]
    first = int(places[0]) if "f" in trim.lower() else 0
    last = int(places[-1]) + 1 if "b" in trim.lower() else len(values)
    return x[first:last]
