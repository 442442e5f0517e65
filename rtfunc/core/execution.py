"""Execution: how a whole Graph is run at once.

A backend turns a Graph into an executable, a function from Arrays to Arrays. The "reference"
backend evaluates the Graph equation by equation with the eager kernels; `rtfunc.compiler` registers
others in `executors`. A backend may have another take its place for arrays on a GPU (`on_gpu`).
Executables are kept on the Graph that they were made from. Depends on `graph`, `staging`, `device`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.device import Device, computing_device, cpu
from rtfunc.core.errors import ArgumentError, at_user_line
from rtfunc.core.graph import Graph, evaluate, graphs_in
from rtfunc.core.primitive import Primitive
from rtfunc.core.staging import trace_to_graph

Executable: TypeAlias = Callable[[Sequence[Array]], list[Array]]

#: For each backend, what makes the executable of a Graph; where some of its inputs are donated, their
#: positions are a second argument.
executors: dict[str, Callable[..., Executable]] = {}

#: For backends that take NumPy's buffers only, what makes the executable for a GPU.
on_gpu: dict[str, Callable[[Graph, Device], Executable]] = {}

_default = "reference"


class LayoutError(Exception):
    """An executable that wants its buffers contiguous and aligned got one that is not."""


class OutOfMemoryError(MemoryError):
    """There was no memory to start a call with."""


def lay_out(arrays: Sequence[Array]) -> None:
    """Give each Array a buffer that compiled code can read: contiguous, aligned, a plain ndarray.

    Its elements stay what they are; from then on it owns them, where it was a view of others. So an
    Array that is passed to many calls is laid out once.
    """
    for array in arrays:
        array._buffer = np.require(array._buffer, requirements=["C", "A", "E"])


class _Choice(threading.local):
    #: The backend that this thread is inside of; None leaves the choice to the default.
    backend: str | None = None


_choice = _Choice()


def default_backend() -> str:
    """Name of the backend that runs Graphs for which none was asked."""
    return _choice.backend or _default


def set_default_backend(name: str) -> None:
    """Run Graphs with the backend `name` from now on; `ArgumentError` if there is none such."""
    global _default
    _default = _known(name)


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Make `name` the default backend of this thread for the duration of a `with` block."""
    outer = _choice.backend
    _choice.backend = _known(name)
    try:
        yield
    finally:
        _choice.backend = outer


def _known(name: str) -> str:
    if name not in executors:
        raise ArgumentError(
            at_user_line(f"There is no backend {name!r}; there are {', '.join(sorted(executors))}.")
        )
    return name


def executor_of(
    graph: Graph,
    backend: str | None = None,
    donated: tuple[int, ...] = (),
    device: Device = cpu,
) -> Executable:
    """The executable of `graph` for arrays on `device`, made on first use.

    `backend` is its name, or None for the default one; `donated` are the positions of inputs whose memory a
    call may use for results.
    """
    name = backend or default_backend()
    key = (executor_of, name, donated, device)
    executable = graph.derived.get(key)
    if executable is None:
        make = executors[_known(name)]
        if device != cpu and name in on_gpu:
            executable = on_gpu[name](graph, device)
        else:
            executable = make(graph, donated) if donated else make(graph)
        graph.derived[key] = executable
    return executable


def run_equation(primitive: Primitive, buffers: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """The results of one operation that holds Graphs, run as a Graph by the default backend.

    For eager loops: the one-equation Graph is kept on the first of the Graphs in `params`, so the
    loop is compiled once.
    """
    home = next(graphs_in(params))
    key = (run_equation, primitive, tuple(params.items()))
    graph = home.derived.get(key)
    if graph is None:
        avals = [Aval(b.shape, b.dtype) for b in buffers]
        graph, _ = trace_to_graph(lambda *xs: primitive.bind(*xs, **params), avals)
        home.derived[key] = graph
    device = computing_device(primitive.name, buffers)
    run = executor_of(graph, device=device)
    return [out._buffer for out in run([Array(b) for b in buffers])]


def _reference(graph: Graph, donated: tuple[int, ...] = ()) -> Executable:
    def run(args: Sequence[Array]) -> list[Array]:
        outer = _choice.backend
        _choice.backend = "reference"  # loops and calls inside the Graph run in Python too
        try:
            return evaluate(graph, args)
        finally:
            _choice.backend = outer

    return run


executors["reference"] = _reference
