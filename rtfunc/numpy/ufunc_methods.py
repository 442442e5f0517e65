"""`reduce`, `accumulate`, `outer` and `at` of the elementwise functions of two operands.

NumPy's functions are objects with these methods; ours are functions, which get them as attributes:
`add.reduce` is `sum` along the first axis. Importing this module attaches them. Depends on
`elementwise`, `reductions`, `cumulation` and `index_update`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtfunc.core.array import Array, ArrayLike
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.numpy import cumulation, elementwise, logic, reductions
from rtfunc.ops import cumulative
from rtfunc.ops.convert import as_array
from rtfunc.ops.shape import reshape

#: Function: (what reduces, what accumulates, the method of `x.at[...]`).
_METHODS: dict[Callable[..., Any], tuple[Any, Any, str | None]] = {
    elementwise.add: (reductions.sum, cumulation.cumsum, "add"),
    elementwise.subtract: (None, None, "subtract"),
    elementwise.multiply: (reductions.prod, cumulation.cumprod, "multiply"),
    elementwise.true_divide: (None, None, "divide"),
    elementwise.power: (None, None, "power"),
    elementwise.maximum: (reductions.max, cumulative.cummax, "max"),
    elementwise.minimum: (reductions.min, cumulative.cummin, "min"),
    logic.logical_and: (reductions.all, None, None),
    logic.logical_or: (reductions.any, None, None),
    **dict.fromkeys(
        (
            elementwise.arctan2,
            elementwise.hypot,
            elementwise.logaddexp,
            elementwise.remainder,
            elementwise.floor_divide,
            logic.equal,
            logic.not_equal,
            logic.less,
            logic.less_equal,
            logic.greater,
            logic.greater_equal,
            logic.bitwise_and,
            logic.bitwise_or,
            logic.bitwise_xor,
        ),
        (None, None, None),
    ),
}


def _reduce(reduction: Callable[..., Array]) -> Callable[..., Array]:
    def reduce(a: ArrayLike, axis: Any = 0, **options: Any) -> Array:
        """The function of all elements along `axis`, the first one by default."""
        return reduction(a, axis, **options)

    return reduce


def _accumulate(scan: Callable[..., Array]) -> Callable[..., Array]:
    def accumulate(a: ArrayLike, axis: int = 0) -> Array:
        """All intermediate results along `axis`, the first one by default."""
        return scan(a, axis)

    return accumulate


def _outer(function: Callable[..., Array]) -> Callable[..., Array]:
    def outer(a: ArrayLike, b: ArrayLike, /) -> Array:
        """The function of every pair of elements, the axes of `a` first."""
        x, y = as_array("outer", a), as_array("outer", b)
        if not y.ndim:
            return function(a, b)
        return function(reshape(x, (*x.shape, *(1,) * y.ndim)) if x.ndim else a, b)

    return outer


def _at(method: str) -> Callable[..., Array]:
    def at(a: ArrayLike, indices: Any, b: ArrayLike, /, *, inplace: bool = True) -> Array:
        """A copy of `a` with the function applied at `indices`; wants `inplace=False`."""
        if inplace:
            raise ArgumentError(
                at_user_line(
                    "at: arrays are immutable. Pass inplace=False and use the copy that it returns, "
                    f"or write a.at[indices].{method}(b)."
                )
            )
        return getattr(as_array("at", a).at[indices], method)(b)

    return at


for _function, (_reduction, _scan, _method) in _METHODS.items():
    _attributes: dict[str, Any] = {"outer": _outer(_function)}
    if _reduction is not None:
        _attributes["reduce"] = _reduce(_reduction)
    if _scan is not None:
        _attributes["accumulate"] = _accumulate(_scan)
    if _method is not None:
        _attributes["at"] = _at(_method)
    for _name, _attribute in _attributes.items():
        setattr(_function, _name, _attribute)
