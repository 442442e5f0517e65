"""The modules of `rtfunc.scipy` are there without an import of each, and are not loaded unused."""

import subprocess
import sys

import pytest

import rtfunc as rf


def test_modules_are_loaded_when_first_used():
    code = (
        "import sys, rtfunc as rf\n"
        "rf.scipy\n"
        "assert 'rtfunc.scipy.stats' not in sys.modules\n"
        "assert {'linalg', 'special', 'stats'} <= set(dir(rf.scipy))\n"
        "print(rf.scipy.linalg.det.__name__, rf.scipy.special.i0(0.0), rf.scipy.stats.norm.pdf)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match=r"module 'rtfunc.scipy' has no attribute 'sparse'"):
        _ = rf.scipy.sparse
