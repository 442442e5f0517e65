"""What the tests of error messages share: the class, the text, and the user's own line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator

import pytest

from rtfunc.core.errors import RtfuncError


@contextlib.contextmanager
def raises(error: type[RtfuncError], *parts: str, builtin: type = Exception) -> Iterator[None]:
    """Expect an `error`, also a `builtin`, whose message has `parts` and the line that raised it.

    The line is the innermost one in the file of the caller.
    """
    file = sys._getframe(2).f_code.co_filename
    with pytest.raises(RtfuncError) as info:
        yield
    message = str(info.value)
    assert type(info.value) is error, f"{type(info.value).__name__}: {message}"
    assert issubclass(error, builtin)
    for part in parts:
        assert part in message, message
    lines = [f.lineno for f in traceback.extract_tb(info.tb) if f.filename == file]
    assert f"\n  at {file}:{lines[-1]} in " in message, message
