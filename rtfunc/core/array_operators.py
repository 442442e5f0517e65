"""The operators of Array: each is the function of `rtfunc.numpy` that has its meaning.

Written out, since a call through a table would cost more than a small addition. Depends on `errors`;
`array.install_namespace` puts `rtfunc.numpy` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtfunc.core.errors import DtypeError, at_user_line

if TYPE_CHECKING:
    from rtfunc.core.array import Array

_numpy: Any = None  # the module rtfunc.numpy, once it is imported


class ArrayOperators:
    """Base of Array: what `+`, `==`, `@` and the like do."""

    __slots__ = ()

    def __neg__(self) -> Array:
        return _numpy.negative(self)

    def __pos__(self) -> Array:
        return _numpy.positive(self)

    def __abs__(self) -> Array:
        return _numpy.abs(self)

    def __invert__(self) -> Array:
        return _numpy.bitwise_not(self)

    def __round__(self, digits: int | None = None) -> Array:
        return _numpy.round(self, digits or 0)

    def __add__(self, other: Any) -> Array:
        return _numpy.add(self, other) if isinstance(other, array_like) else _refused("add", other)

    def __radd__(self, other: Any) -> Array:
        return _numpy.add(other, self) if isinstance(other, array_like) else _refused("add", other)

    def __sub__(self, other: Any) -> Array:
        return (
            _numpy.subtract(self, other)
            if isinstance(other, array_like)
            else _refused("subtract", other)
        )

    def __rsub__(self, other: Any) -> Array:
        return (
            _numpy.subtract(other, self)
            if isinstance(other, array_like)
            else _refused("subtract", other)
        )

    def __mul__(self, other: Any) -> Array:
        return (
            _numpy.multiply(self, other)
            if isinstance(other, array_like)
            else _refused("multiply", other)
        )

    def __rmul__(self, other: Any) -> Array:
        return (
            _numpy.multiply(other, self)
            if isinstance(other, array_like)
            else _refused("multiply", other)
        )

    def __truediv__(self, other: Any) -> Array:
        return (
            _numpy.true_divide(self, other)
            if isinstance(other, array_like)
            else _refused("true_divide", other)
        )

    def __rtruediv__(self, other: Any) -> Array:
        return (
            _numpy.true_divide(other, self)
            if isinstance(other, array_like)
            else _refused("true_divide", other)
        )

    def __floordiv__(self, other: Any) -> Array:
        return (
            _numpy.floor_divide(self, other)
            if isinstance(other, array_like)
            else _refused("floor_divide", other)
        )

    def __rfloordiv__(self, other: Any) -> Array:
        return (
            _numpy.floor_divide(other, self)
            if isinstance(other, array_like)
            else _refused("floor_divide", other)
        )

    def __mod__(self, other: Any) -> Array:
        return (
            _numpy.remainder(self, other)
            if isinstance(other, array_like)
            else _refused("remainder", other)
        )

    def __rmod__(self, other: Any) -> Array:
        return (
            _numpy.remainder(other, self)
            if isinstance(other, array_like)
            else _refused("remainder", other)
        )

    def __divmod__(self, other: Any) -> tuple[Array, Array]:
        return (
            _numpy.divmod(self, other)
            if isinstance(other, array_like)
            else _refused("divmod", other)
        )

    def __rdivmod__(self, other: Any) -> tuple[Array, Array]:
        return (
            _numpy.divmod(other, self)
            if isinstance(other, array_like)
            else _refused("divmod", other)
        )

    def __pow__(self, other: Any) -> Array:
        return (
            _numpy.power(self, other) if isinstance(other, array_like) else _refused("power", other)
        )

    def __rpow__(self, other: Any) -> Array:
        return (
            _numpy.power(other, self) if isinstance(other, array_like) else _refused("power", other)
        )

    def __matmul__(self, other: Any) -> Array:
        return (
            _numpy.matmul(self, other)
            if isinstance(other, array_like)
            else _refused("matmul", other)
        )

    def __rmatmul__(self, other: Any) -> Array:
        return (
            _numpy.matmul(other, self)
            if isinstance(other, array_like)
            else _refused("matmul", other)
        )

    def __and__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_and(self, other)
            if isinstance(other, array_like)
            else _refused("bitwise_and", other)
        )

    def __rand__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_and(other, self)
            if isinstance(other, array_like)
            else _refused("bitwise_and", other)
        )

    def __or__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_or(self, other)
            if isinstance(other, array_like)
            else _refused("bitwise_or", other)
        )

    def __ror__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_or(other, self)
            if isinstance(other, array_like)
            else _refused("bitwise_or", other)
        )

    def __xor__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_xor(self, other)
            if isinstance(other, array_like)
            else _refused("bitwise_xor", other)
        )

    def __rxor__(self, other: Any) -> Array:
        return (
            _numpy.bitwise_xor(other, self)
            if isinstance(other, array_like)
            else _refused("bitwise_xor", other)
        )

    def __lshift__(self, other: Any) -> Array:
        return (
            _numpy.left_shift(self, other)
            if isinstance(other, array_like)
            else _refused("left_shift", other)
        )

    def __rlshift__(self, other: Any) -> Array:
        return (
            _numpy.left_shift(other, self)
            if isinstance(other, array_like)
            else _refused("left_shift", other)
        )

    def __rshift__(self, other: Any) -> Array:
        return (
            _numpy.right_shift(self, other)
            if isinstance(other, array_like)
            else _refused("right_shift", other)
        )

    def __rrshift__(self, other: Any) -> Array:
        return (
            _numpy.right_shift(other, self)
            if isinstance(other, array_like)
            else _refused("right_shift", other)
        )

    def __eq__(self, other: Any) -> Array:  # type: ignore[override]
        return (
            _numpy.equal(self, other) if isinstance(other, array_like) else _refused("equal", other)
        )

    def __ne__(self, other: Any) -> Array:  # type: ignore[override]
        return (
            _numpy.not_equal(self, other)
            if isinstance(other, array_like)
            else _refused("not_equal", other)
        )

    def __lt__(self, other: Any) -> Array:
        return (
            _numpy.less(self, other) if isinstance(other, array_like) else _refused("less", other)
        )

    def __le__(self, other: Any) -> Array:
        return (
            _numpy.less_equal(self, other)
            if isinstance(other, array_like)
            else _refused("less_equal", other)
        )

    def __gt__(self, other: Any) -> Array:
        return (
            _numpy.greater(self, other)
            if isinstance(other, array_like)
            else _refused("greater", other)
        )

    def __ge__(self, other: Any) -> Array:
        return (
            _numpy.greater_equal(self, other)
            if isinstance(other, array_like)
            else _refused("greater_equal", other)
        )


def _refused(operation: str, other: Any) -> Any:
    """What an operator makes of an operand that is not an array.

    Python's containers raise: `x + [1, 2]` would otherwise fail without a hint, and `x == [1, 2]` be
    False. Types that may know about Arrays get their turn, and comparing with None or a string is
    False.
    """
    sequence = isinstance(other, (list, tuple))
    comparing = operation in ("equal", "not_equal")
    if sequence or (isinstance(other, (str, bytes, dict, set, type(None))) and not comparing):
        advice = " Convert it with rtfunc.numpy.asarray(...)." if sequence else ""
        raise DtypeError(
            at_user_line(
                f"{operation} takes arrays and numbers, but the other operand is of type "
                f"{type(other).__name__}.{advice}"
            )
        )
    return NotImplemented


#: Types that operators accept beside an Array. Lists are refused: their cost and dtype surprise.
array_like = (ArrayOperators, np.ndarray, np.generic, int, float, complex)
