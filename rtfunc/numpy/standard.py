"""What the Python array API standard asks of a namespace beside its functions: inspection.

https://data-apis.org/array-api/2024.12/API_specification/inspection.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtfunc.core import dtypes as _dtypes
from rtfunc.core.device import Device
from rtfunc.core.device import devices as _devices
from rtfunc.numpy.dtypes import isdtype

__array_api_version__ = "2024.12"


class _NamespaceInfo:
    """Answers of `__array_namespace_info__()`."""

    def capabilities(self) -> dict[str, Any]:
        """What the namespace can do; shapes that depend on data only outside `jit`."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """The device of new arrays."""
        return Device("cpu")

    def devices(self) -> list[Device]:
        """The devices of this machine."""
        return _devices()

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """Dtypes of new arrays by kind."""
        return {
            "real floating": _dtypes.default_float,
            "complex floating": _dtypes.default_complex,
            "integral": _dtypes.default_int,
            "indexing": _dtypes.default_int,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype]:
        """The standard's dtypes by name, all or those of a kind (as in `isdtype`)."""
        standard = [d for d in _dtypes.everything if d not in (_dtypes.float16, _dtypes.bfloat16)]
        return {str(d): d for d in standard if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> _NamespaceInfo:
    """Inspection of the namespace: `capabilities`, `devices`, `dtypes` and defaults.

    >>> __array_namespace_info__().default_dtypes()["integral"]
    dtype('int32')
    """
    return _NamespaceInfo()
