"""Source lines as users read them."""

import sys
import types

import pytest

import rtfunc as rf
from rtfunc.core.errors import ShapeError
from rtfunc.core.source import SourceLine


def test_a_line_is_written_with_its_file_and_function():
    line = SourceLine("/models/net.py", 12, "loss")
    assert str(line) == "/models/net.py:12 in loss"
    assert line.short == "net.py:12"


def test_a_line_of_a_module_names_no_function():
    assert str(SourceLine("/models/net.py", 3, "<module>")) == "/models/net.py:3"


def test_a_line_of_a_notebook_is_named_by_its_cell(monkeypatch):
    cells = {"/tmp/ipykernel_1/2.py": ("Cell", "In[4]")}
    compiler = types.SimpleNamespace(format_code_name=cells.get)
    shell = types.SimpleNamespace(compile=compiler)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    line = SourceLine("/tmp/ipykernel_1/2.py", 7, "f")
    assert str(line) == "In[4]:7 in f"
    assert line.short == "In[4]:7"
    assert SourceLine("/models/net.py", 12, "loss").short == "net.py:12"


def test_outside_of_a_running_shell_ipython_is_not_asked(monkeypatch):
    module = types.SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert SourceLine("/models/net.py", 12, "loss").short == "net.py:12"


def test_errors_end_with_the_users_line():
    with pytest.raises(ShapeError, match=r"\n  at .*test_source\.py:\d+ in test_errors_end"):
        rf.numpy.ones(3) @ rf.numpy.ones(4)
