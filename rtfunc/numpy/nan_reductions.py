"""Reductions that leave out NaN, under NumPy's names.

Sums, means and variances are those of `reductions` with `where=` set, and take their arguments from
there. Depends on `reductions` and `cumulation`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np  # noqa: F401  (the examples use it)

from rtfunc.core import dtypes
from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.dtypes import DtypeLike
from rtfunc.numpy.arguments import constant, number_in, refuse_out
from rtfunc.numpy.cumulation import cumprod, cumsum
from rtfunc.numpy.logic import isnan
from rtfunc.numpy.reductions import Axis, any, argmax, argmin, max, mean, min, prod, std, sum, var
from rtfunc.ops.comparison import bitwise_and, bitwise_not
from rtfunc.ops.convert import as_array
from rtfunc.ops.select import select

P = ParamSpec("P")


def _present(x: Array) -> Array | None:
    """Where `x` is not NaN; None when it cannot be."""
    return bitwise_not(isnan(x)) if dtypes.is_inexact(x.dtype) else None


def _both(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return a if b is None else b
    return bitwise_and(a, b)


def _of_present(reduction: Callable[P, Array], doc: str) -> Callable[P, Array]:
    """`reduction`, with its arguments, of the elements that are not NaN, by its `where=`."""
    name = f"nan{reduction.__name__}"
    signature = inspect.signature(reduction)

    def function(*args: P.args, **options: P.kwargs) -> Array:
        given = signature.bind(*args, **options).arguments
        x = number_in(name, given.pop("x"), given.get("dtype"))
        where = _both(given.pop("where", None), _present(x))
        return reduction(x, **given, where=where)  # type: ignore[call-arg]

    return _named(function, name, signature, doc)


def _named(function: Any, name: str, signature: inspect.Signature, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__signature__, function.__doc__ = signature, doc
    return function


nansum = _of_present(
    sum,
    """As `sum`, with NaN counting as 0.

    >>> nansum(np.array([1.0, np.nan], "float32"))
    Array(1., dtype=float32)
    """,
)
nanprod = _of_present(
    prod,
    """As `prod`, with NaN counting as 1.

    >>> nanprod(np.array([2.0, np.nan], "float32"))
    Array(2., dtype=float32)
    """,
)
nanmean = _of_present(
    mean,
    """As `mean`, of the elements that are not NaN.

    >>> nanmean(np.array([1.0, np.nan, 3.0], "float32"))
    Array(2., dtype=float32)
    """,
)
nanvar = _of_present(
    var,
    """As `var`, of the elements that are not NaN.

    >>> nanvar(np.array([1.0, np.nan, 3.0], "float32"))
    Array(1., dtype=float32)
    """,
)
nanstd = _of_present(
    std,
    """As `std`, of the elements that are not NaN.

    >>> nanstd(np.array([1.0, np.nan, 3.0], "float32"))
    Array(1., dtype=float32)
    """,
)


def _nan_extreme(
    operation: str,
    function: Any,
    edge: float,
    x: Any,
    axis: Axis,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Array:
    x = as_array(operation, x)
    present = _present(x)
    if present is None:
        return function(x, axis, keepdims=keepdims, initial=initial, where=where)
    filled = select(present, x, constant(edge, x))
    result = function(filled, axis, keepdims=keepdims, initial=initial, where=where)
    if initial is not None:
        return result
    return select(any(present, axis, keepdims=keepdims), result, constant(math.nan, result))


def nanmax(
    x: ArrayLike,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> Array:
    """As `max`, ignoring NaN; NaN where there is nothing else.

    >>> nanmax(np.array([1.0, np.nan], "float32"))
    Array(1., dtype=float32)
    """
    refuse_out("nanmax", out)
    return _nan_extreme("nanmax", max, -math.inf, x, axis, keepdims, initial, where)


def nanmin(
    x: ArrayLike,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> Array:
    """As `min`, ignoring NaN; NaN where there is nothing else.

    >>> nanmin(np.array([1.0, np.nan], "float32"))
    Array(1., dtype=float32)
    """
    refuse_out("nanmin", out)
    return _nan_extreme("nanmin", min, math.inf, x, axis, keepdims, initial, where)


def _nan_arg(
    operation: str, function: Any, edge: float, x: Any, axis: Any, keepdims: bool
) -> Array:
    x = as_array(operation, x)
    present = _present(x)
    if present is None:
        return function(x, axis, keepdims=keepdims)
    result = function(select(present, x, constant(edge, x)), axis, keepdims=keepdims)
    return select(any(present, axis, keepdims=keepdims), result, constant(-1, result))


def nanargmax(
    x: ArrayLike, axis: int | None = None, out: None = None, keepdims: bool = False
) -> Array:
    """As `argmax`, ignoring NaN; -1 where there is nothing else.

    >>> nanargmax(np.array([1.0, np.nan, 3.0]))
    Array(2, dtype=int32)
    """
    refuse_out("nanargmax", out)
    return _nan_arg("nanargmax", argmax, -math.inf, x, axis, keepdims)


def nanargmin(
    x: ArrayLike, axis: int | None = None, out: None = None, keepdims: bool = False
) -> Array:
    """As `argmin`, ignoring NaN; -1 where there is nothing else.

    >>> nanargmin(np.array([1.0, np.nan, 3.0]))
    Array(0, dtype=int32)
    """
    refuse_out("nanargmin", out)
    return _nan_arg("nanargmin", argmin, math.inf, x, axis, keepdims)


def _filled(operation: str, x: Any, value: int) -> Array:
    x = as_array(operation, x)
    present = _present(x)
    return x if present is None else select(present, x, constant(value, x))


def nancumsum(
    x: ArrayLike, axis: int | None = None, dtype: DtypeLike = None, out: None = None
) -> Array:
    """As `cumsum`, with NaN counting as 0.

    >>> nancumsum(np.array([1.0, np.nan, 3.0], "float32"))
    Array([1., 1., 4.], dtype=float32)
    """
    return cumsum(_filled("nancumsum", number_in("nancumsum", x, dtype), 0), axis, dtype, out)


def nancumprod(
    x: ArrayLike, axis: int | None = None, dtype: DtypeLike = None, out: None = None
) -> Array:
    """As `cumprod`, with NaN counting as 1.

    >>> nancumprod(np.array([2.0, np.nan, 3.0], "float32"))
    Array([2., 2., 6.], dtype=float32)
    """
    return cumprod(_filled("nancumprod", number_in("nancumprod", x, dtype), 1), axis, dtype, out)
