"""Backends: which one runs a Graph, and that executables are made once."""

from __future__ import annotations

import numpy as np
import pytest

import rtfunc.numpy  # noqa: F401
from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ArgumentError
from rtfunc.core.execution import (
    default_backend,
    executor_of,
    executors,
    set_default_backend,
    use_backend,
)
from rtfunc.core.graph import evaluate
from rtfunc.core.staging import trace_to_graph
from rtfunc.lax import scan, while_loop
from rtfunc.ops.trigonometry import sin
from rtfunc.transforms.vjp import grad


@pytest.fixture
def recording():
    """A backend that notes which Graphs it made executables of, and how often these ran."""
    made, runs = [], []

    def executor(graph):
        made.append(graph)

        def run(args):
            runs.append(graph)
            with use_backend("reference"):
                return evaluate(graph, args)

        return run

    executors["recording"] = executor
    yield made, runs
    del executors["recording"]


def test_the_reference_is_there():
    graph, _ = trace_to_graph(lambda x: [sin(x)], [Aval((), "float32")])
    run = executor_of(graph, "reference")
    assert run is executor_of(graph, "reference")
    assert float(run([Array(np.zeros((), "float32"))])[0]) == 0.0


def test_an_unknown_backend_is_named():
    with pytest.raises(ArgumentError, match=r"no backend 'fast'; there are .*reference"):
        set_default_backend("fast")
    with pytest.raises(ArgumentError, match="no backend 'fast'"), use_backend("fast"):
        pass


def test_the_default_can_be_changed_for_a_block(recording):
    outer = default_backend()
    with use_backend("recording"):
        assert default_backend() == "recording"
    assert default_backend() == outer


def test_eager_loops_are_compiled_once(recording):
    made, runs = recording
    xs = np.arange(4.0)

    def total(xs):
        return scan(lambda c, x: (c + x * x, c), np.float64(0.0), xs)[0]

    with use_backend("recording"):
        values = [float(total(xs)) for _ in range(3)]
        gradients = [np.asarray(grad(total)(xs)) for _ in range(2)]
        doubled = float(while_loop(lambda x: x < 5.0, lambda x: x * 2.0, 1.0))
    assert values == [14.0] * 3
    np.testing.assert_array_equal(gradients, [2 * xs] * 2)
    assert doubled == 8.0
    # The loop, its forward and its backward half, and the while loop.
    assert len(made) == 4
    assert all(len(graph.equations) == 1 for graph in made)
    assert len(runs) == 3 + 2 * 2 + 1


def test_inside_the_reference_loops_run_in_python(recording):
    made, _ = recording
    graph, _ = trace_to_graph(
        lambda x: [scan(lambda c, _: (c * 2.0, None), x, length=3)[0]], [Aval((), "float32")]
    )
    with use_backend("recording"):
        out = executor_of(graph, "reference")([Array(np.ones((), "float32"))])
    assert float(out[0]) == 8.0
    assert not made
