"""Padding layers: zero, constant, reflection, replication, circular.

Each takes one number, for both ends of every spatial axis, or PyTorch's sequence (left, right, top,
bottom, ...) that begins with the last axis. Depends on `functional`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.nn import functional
from rtfunc.nn.arguments import spatial_rank
from rtfunc.nn.layer import Layer, of_one_input
from rtfunc.ops.convert import as_array


def zero_pad(padding: int | Sequence[int]) -> Layer:
    """Zeros around the spatial axes: PyTorch's `ZeroPad1d` to `ZeroPad3d`.

    Input and output (N, C, *spatial).

    Arguments: padding: one number, or (left, right, top, bottom, ...); negative numbers cut.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.zero_pad((2, 1)).apply({}, {}, rnp.ones((1, 1, 2)))[0]
    Array([[[0., 0., 1., 1., 0.]]], dtype=float32)
    """
    return _pad("zero_pad", padding, "constant")


def constant_pad(padding: int | Sequence[int], value: float) -> Layer:
    """`value` around the spatial axes: PyTorch's `ConstantPad1d` to `ConstantPad3d`; see `zero_pad`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.constant_pad(1, 0.5).apply({}, {}, rnp.ones((1, 1, 2)))[0]
    Array([[[0.5, 1. , 1. , 0.5]]], dtype=float32)
    """
    return _pad("constant_pad", padding, "constant", value)


def reflection_pad(padding: int | Sequence[int]) -> Layer:
    """The elements next to the edge, mirrored: PyTorch's `ReflectionPad1d` to `ReflectionPad3d`.

    Arguments as `zero_pad`; less than the axis has elements.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.reflection_pad(2).apply({}, {}, rnp.array([[[1.0, 2.0, 3.0]]]))[0]
    Array([[[3., 2., 1., 2., 3., 2., 1.]]], dtype=float32)
    """
    return _pad("reflection_pad", padding, "reflect")


def replication_pad(padding: int | Sequence[int]) -> Layer:
    """The edge, repeated: PyTorch's `ReplicationPad1d` to `ReplicationPad3d`; see `zero_pad`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.replication_pad((1, 2)).apply({}, {}, rnp.array([[[1.0, 2.0]]]))[0]
    Array([[[1., 1., 2., 2., 2.]]], dtype=float32)
    """
    return _pad("replication_pad", padding, "replicate")


def circular_pad(padding: int | Sequence[int]) -> Layer:
    """The other side, as on a ring: PyTorch's `CircularPad1d` to `CircularPad3d`; see `zero_pad`.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn
    >>> nn.circular_pad(1).apply({}, {}, rnp.array([[[1.0, 2.0, 3.0]]]))[0]
    Array([[[3., 1., 2., 3., 1.]]], dtype=float32)
    """
    return _pad("circular_pad", padding, "circular")


def _pad(layer: str, padding: int | Sequence[int], mode: str, value: float = 0.0) -> Layer:
    many = isinstance(padding, Sequence)
    try:
        widths = tuple(operator.index(n) for n in (padding if many else (padding,)))  # type: ignore[union-attr]
    except TypeError:
        widths = ()
    if not widths or (many and len(widths) % 2):
        raise ArgumentError(
            at_user_line(
                f"{layer}: padding is an integer or (left, right, top, bottom, ...), two for each "
                f"spatial axis, the last axis first; not {padding!r}."
            )
        )
    name = f"{layer}({widths if many else widths[0]})"

    def function(x: Any) -> Any:
        x = as_array(name, x)
        given = widths if many else widths * (2 * spatial_rank(name, None, x.ndim))
        return functional.pad(x, given, mode, value)

    return of_one_input(name, function)
