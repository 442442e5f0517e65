"""What `print` and f-strings show in traced code."""

import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.core.errors import TracerError


def shown(transform, *args, text=str):
    seen = []

    def f(x):
        seen.append(text(x))
        return x**2

    transform(f)(*args)
    return seen


def test_print_under_eager_grad_shows_the_value():
    assert shown(rf.grad, 3.0) == ["3.0"]
    assert shown(rf.grad, 3.0, text="{}".format) == ["3.0"]
    assert shown(rf.grad, 3.0, text="{:.2f}".format) == ["3.00"]


@pytest.mark.parametrize("text", [str, repr, "{}".format])
def test_print_where_there_is_no_value_shows_the_type(text):
    assert shown(rf.jit, rnp.ones(2), text=text) == ["GraphTracer(float32[2])"]
    assert shown(rf.vmap, rnp.ones(2), text=text) == ["BatchTracer(float32[])"]


def test_formatting_where_there_is_no_value_points_to_debug_print():
    with pytest.raises(TracerError, match=r"in format\(.*Use rtfunc\.debug\.print"):
        rf.jit(lambda x: f"{x:.2f}" and x)(1.0)


def test_a_leaked_tracer_can_be_printed():
    kept = []

    def leak(x):
        kept.append(x)
        return x

    rf.grad(rf.jit(leak))(1.0)
    assert str(kept[0]) == repr(kept[0])
