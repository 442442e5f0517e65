"""The one family of exceptions that rtfunc raises.

Every class derives from `RtfuncError` and from the built-in exception that a NumPy user expects for
that kind of mistake, so `except ValueError` keeps working. Messages name the operation, the shapes
or the path in the pytree, the user's own line and what to do. Depends on `source` for the user's
line.
"""

from __future__ import annotations

from rtfunc.core.source import user_line


class RtfuncError(Exception):
    """Base class of every exception that rtfunc raises on purpose."""


class ShapeError(RtfuncError, ValueError):
    """Shapes or sizes do not fit the operation."""


class DtypeError(RtfuncError, TypeError):
    """An operand has a dtype or a Python type that the operation does not take."""


class AxisError(RtfuncError, ValueError, IndexError):
    """An axis is out of range or given twice (NumPy's `AxisError` has the same bases)."""


class ArgumentError(RtfuncError, ValueError):
    """An argument has a value that the function does not take."""


class IndexingError(RtfuncError, IndexError):
    """An index is malformed or statically out of bounds."""


class TreeError(RtfuncError, ValueError):
    """A pytree does not have the structure that was asked for."""


class TransformError(RtfuncError, TypeError):
    """A function or an argument does not fit the transform (for example `grad` of a vector)."""


class TracerError(RtfuncError, TypeError):
    """A traced value was used where a concrete value is needed."""


class LeakedTracerError(RtfuncError, TypeError):
    """A traced value was used after the transform that made it had returned."""


class ImmutableArrayError(RtfuncError, TypeError):
    """An attempt to change an Array in place."""


class UnhashableError(RtfuncError, TypeError, ValueError):
    """An Array or another unhashable value was used where a hash is needed."""


class UnboundAxisError(RtfuncError, NameError):
    """A collective names an axis that no surrounding `vmap` provides."""


class DeviceError(RtfuncError, RuntimeError):
    """A device does not exist, or operands lie on different devices."""


class DonatedArrayError(RtfuncError, RuntimeError):
    """An Array was used after its buffer was donated to a jitted call."""


class GraphError(RtfuncError, ValueError):
    """A Graph is malformed: `Graph.check` says where."""


class UnsupportedError(RtfuncError, NotImplementedError):
    """The operation has no rule for this transform or these arguments."""


class MissingDependencyError(RtfuncError, ImportError):
    """An optional package is not installed; the message names the extra to install."""


def at_user_line(message: str) -> str:
    """Append the user's own file and line to `message`, when one is known."""
    line = user_line()
    return f"{message}\n  at {line}" if line else message
