"""How Arrays are printed: NumPy's options, which `repr` and `str` of an Array follow."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core.array import ArrayLike
from rtfunc.ops.convert import as_array

#: NumPy's own functions: its options hold for Arrays, too.
get_printoptions = np.get_printoptions
set_printoptions = np.set_printoptions
printoptions = np.printoptions


def array_str(
    a: ArrayLike,
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """The values as `str` has them, with a choice of width and digits.

    >>> array_str(np.array([1 / 3, 2.0]), precision=2)
    '[0.33 2.  ]'
    """
    return np.array_str(_values(a), max_line_width, precision, suppress_small)


def array_repr(
    arr: ArrayLike,
    max_line_width: int | None = None,
    precision: int | None = None,
    suppress_small: bool | None = None,
) -> str:
    """The text that `repr` has, with a choice of width and digits.

    >>> array_repr(np.array([1 / 3, 2.0]), precision=2)
    'Array([0.33, 2.  ], dtype=float64)'
    """
    options: dict[str, Any] = {"linewidth": max_line_width, "precision": precision}
    if suppress_small is not None:
        options["suppress"] = suppress_small
    with np.printoptions(**{k: v for k, v in options.items() if v is not None}):
        return repr(as_array("array_repr", arr))


def _values(a: ArrayLike) -> np.ndarray:
    return np.asarray(as_array("array_str", a))
