"""Other libraries computing on rtfunc Arrays, where they need more than the array API standard gives.

Arrays conform to the standard, so most code that asks for `__array_namespace__` takes them as they
are: SciPy and scikit-learn (with their array API switches on), `einops.array_api`, opt_einsum. Two
things need a word: code that assigns items, since Arrays do not change (`item_assignment`), and
einops' own functions, which know a fixed list of libraries (`register_with_einops`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import rtfunc.numpy
from rtfunc.core.array import Array, allow_item_assignment
from rtfunc.core.errors import MissingDependencyError, at_user_line


@contextlib.contextmanager
def item_assignment() -> Iterator[None]:
    """Within this context `x[index] = value` works, for libraries that assign items.

    The name's Array takes a changed copy as its contents, `x.at[index].set(value)`; memory is never
    written to, so that other Arrays, views of it and exported buffers keep their values. Traced
    values and read-only scalars cannot be assigned to. Holds for the current thread and asyncio task.

    scikit-learn's preprocessing and metrics and some of SciPy's functions need it:

    >>> import rtfunc.numpy as rnp
    >>> x = rnp.arange(3.0)
    >>> y = x + 0
    >>> with item_assignment():
    ...     y[1] = 7.0
    >>> y, x
    (Array([0., 7., 2.], dtype=float32), Array([0., 1., 2.], dtype=float32))
    """
    token = allow_item_assignment.set(True)
    try:
        yield
    finally:
        allow_item_assignment.reset(token)


def register_with_einops() -> None:
    """Make einops' functions (`rearrange`, `reduce`, `repeat` ...) take Arrays and traced values.

    Call it once. `einops.array_api` works without. Raises `MissingDependencyError` where einops is
    not installed.

    >>> import pytest
    >>> einops = pytest.importorskip("einops")
    >>> register_with_einops()
    >>> einops.rearrange(rtfunc.numpy.ones((2, 3)), "a b -> b a").shape
    (3, 2)
    """
    try:
        from einops import _backends
    except ImportError:
        raise MissingDependencyError(
            at_user_line("register_with_einops needs einops: pip install einops.")
        ) from None
    if any(known.framework_name == "rtfunc" for known in _backends.NumpyBackend.__subclasses__()):
        return

    class RtfuncBackend(_backends.NumpyBackend):
        """einops finds the classes that derive from its own; the name is the module's."""

        framework_name = "rtfunc"

        def __init__(self) -> None:
            super().__init__()
            self.numpy, self.np = self.np, rtfunc.numpy

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, Array)

        def from_numpy(self, x: Any) -> Array:
            return rtfunc.numpy.asarray(x)

        def to_numpy(self, x: Any) -> Any:
            return self.numpy.asarray(x)

    # einops looks among subclasses; this keeps the class alive.
    register_with_einops.backend = RtfuncBackend  # type: ignore[attr-defined]
