"""Functions under SciPy's names, as `jax.scipy` has them: one module for each of SciPy's.

The modules are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtfunc.scipy import linalg as linalg
    from rtfunc.scipy import special as special
    from rtfunc.scipy import stats as stats

_modules = ("linalg", "special", "stats")


def __getattr__(name: str) -> Any:
    if name in _modules:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_modules})
