"""Where in the user's code an operation was written.

A `SourceLine` is the innermost stack frame outside this package. Equations of a Graph carry one,
and error messages end with one. While a Graph is evaluated again by another transform, the context
(`trace.context.source`) holds the line of the equation at hand, which then takes precedence, so a
derivative's equations point to the line that was differentiated. Depends on nothing.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_EXAMPLES = os.path.join(_PACKAGE, "examples") + os.sep


class SourceLine(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        place = f"{notebook_cell(self.file) or self.file}:{self.line}"
        return place if self.function == "<module>" else f"{place} in {self.function}"

    @property
    def short(self) -> str:
        """`file.py:12`, for listings."""
        return f"{notebook_cell(self.file) or os.path.basename(self.file)}:{self.line}"


def notebook_cell(file: str) -> str | None:
    """`In[3]` for the file name that IPython and Jupyter give to a cell, None for other files."""
    ipython = sys.modules.get("IPython")  # there if the code runs in it
    shell = getattr(ipython, "get_ipython", lambda: None)()
    label = getattr(getattr(shell, "compile", None), "format_code_name", lambda name: None)(file)
    return None if label is None else label[1]


_is_internal: dict[str, bool] = {}


def _internal(file: str) -> bool:
    answer = file.startswith(_PACKAGE) and not file.startswith(_EXAMPLES)
    _is_internal[file] = answer
    return answer


def user_line(depth: int = 1) -> SourceLine | None:
    """The innermost frame outside rtfunc, or None when there is none.

    Frames of `functools`, `contextlib` and other modules between the user and rtfunc count as the
    user's: the walk only skips this package's own files.
    """
    frame = sys._getframe(depth)
    known = _is_internal
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        internal = known.get(file)
        if internal is None:
            internal = _internal(file)
        if not internal:
            return SourceLine(file, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return None
