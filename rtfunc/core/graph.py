"""Graph: a traced program as typed single-assignment equations.

A Graph has input variables, constants, equations and outputs. It is printable, checkable, and can
be evaluated under any trace, which is how the transforms of graphs are made
(`core.graph_transforms`). Control flow holds sub-graphs in its params; sub-graphs have no constants
(what they capture becomes an operand), only the outermost Graph has. Depends on `primitive`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rtfunc.core.array import Array
from rtfunc.core.aval import Aval
from rtfunc.core.errors import GraphError
from rtfunc.core.primitive import Primitive
from rtfunc.core.source import SourceLine
from rtfunc.core.trace import context


class Variable:
    """A value of a Graph; compared by identity."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval):
        self.aval = aval

    def __repr__(self) -> str:
        return f"Variable({self.aval})"


class Literal:
    """A scalar constant written in place."""

    __slots__ = ("aval", "value")

    def __init__(self, value: np.ndarray, weak_type: bool = False):
        self.value = value
        self.aval = Aval((), value.dtype, weak_type)

    def __repr__(self) -> str:
        return f"Literal({self})"

    def __str__(self) -> str:
        return f"{self.value}:{self.aval}"


Atom = Variable | Literal


class Equation:
    """One application of a primitive.

    Attributes: primitive; inputs: Variables and Literals; params: keyword arguments of the
    primitive; outputs: the Variables that it defines; source: the user's line, if known; scopes:
    names given by `named_scope`.
    """

    __slots__ = ("inputs", "outputs", "params", "primitive", "scopes", "source")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Atom, ...],
        params: dict[str, Any],
        outputs: tuple[Variable, ...],
        source: SourceLine | None = None,
        scopes: tuple[str, ...] = (),
    ):
        self.primitive = primitive
        self.inputs = inputs
        self.params = params
        self.outputs = outputs
        self.source = source
        self.scopes = scopes

    def replace(self, **changes: Any) -> Equation:
        """A copy with some attributes changed."""
        fields = {name: getattr(self, name) for name in Equation.__slots__}
        return Equation(**{**fields, **changes})


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A traced program: `inputs` and `constants` in, `equations` in order, `outputs` out."""

    inputs: tuple[Variable, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Atom, ...]
    constants: Mapping[Variable, Array] = dataclasses.field(default_factory=dict)
    #: Graphs and executables that were derived from this one, by the function that derived them.
    derived: dict[Any, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def in_avals(self) -> tuple[Aval, ...]:
        """Avals of the inputs."""
        return tuple(v.aval for v in self.inputs)

    @property
    def out_avals(self) -> tuple[Aval, ...]:
        """Avals of the outputs."""
        return tuple(v.aval for v in self.outputs)

    @property
    def axis_names(self) -> frozenset[Any]:
        """Names of the mapped axes that collectives in this Graph refer to."""
        names = self.derived.get("axis_names")
        if names is None:
            found: set[Any] = set()
            for equation in self.equations:
                found.update(equation.params.get("axis_names", ()))
                for sub in sub_graphs(equation):
                    found.update(sub.axis_names)
            self.derived["axis_names"] = names = frozenset(found)
        return names

    def __str__(self) -> str:
        from rtfunc.core.graph_print import format_graph

        return format_graph(self)

    def __repr__(self) -> str:
        return str(self)

    def check(self) -> Graph:
        """Verify that every variable is defined once, before its use, with the type inferred.

        Returns the Graph; raises `GraphError` that names the equation.
        """
        defined: set[int] = set()

        def define(variable: Variable, where: str) -> None:
            if id(variable) in defined:
                raise GraphError(
                    f"A variable of type {variable.aval} is defined twice, in {where}."
                )
            defined.add(id(variable))

        def use(atom: Atom, where: str) -> None:
            if isinstance(atom, Variable) and id(atom) not in defined:
                raise GraphError(
                    f"A variable of type {atom.aval} is used before it is defined, in {where}."
                )

        for variable in self.inputs:
            define(variable, "the inputs")
        for variable, value in self.constants.items():
            define(variable, "the constants")
            if value.aval != variable.aval:
                raise GraphError(f"A constant has type {value.aval}, its variable {variable.aval}.")
        for number, equation in enumerate(self.equations):
            where = f"equation {number} ({equation.primitive.name})"
            for atom in equation.inputs:
                use(atom, where)
            avals = equation.primitive.infer([a.aval for a in equation.inputs], equation.params)
            avals = avals if equation.primitive.multiple_results else (avals,)
            if tuple(avals) != tuple(v.aval for v in equation.outputs):
                raise GraphError(
                    f"The outputs of {where} have types {[str(v.aval) for v in equation.outputs]}, "
                    f"its rule infers {[str(a) for a in avals]}."
                )
            for sub in sub_graphs(equation):
                if sub.constants:
                    raise GraphError(f"A sub-graph of {where} has constants.")
                sub.check()
            for variable in equation.outputs:
                define(variable, where)
        for atom in self.outputs:
            use(atom, "the outputs")
        return self


def sub_graphs(equation: Equation) -> Iterator[Graph]:
    """The Graphs in an equation's params."""
    return graphs_in(equation.params)


def graphs_in(params: Mapping[str, Any]) -> Iterator[Graph]:
    """The Graphs among the values of `params`: alone, in tuples, or of a call with custom rules."""
    for value in params.values():
        if isinstance(value, Graph):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Graph))
        elif isinstance(graph := getattr(value, "graph", None), Graph):
            yield graph


def names_axis(params: Mapping[str, Any], name: Any) -> bool:
    """Whether an operation with these params is, or contains, a collective over the axis `name`."""
    return name in params.get("axis_names", ()) or any(
        name in graph.axis_names for graph in graphs_in(params)
    )


def evaluate(graph: Graph, args: Sequence[Any]) -> list[Any]:
    """Run a Graph on Arrays or tracers, equation by equation, under the current trace.

    Values are dropped after their last use.
    """
    last_use = graph.derived.get(evaluate)
    if last_use is None:
        graph.derived[evaluate] = last_use = _last_uses(graph)
    values: dict[Variable, Any] = dict(graph.constants)
    values.update(zip(graph.inputs, args, strict=True))

    def read(atom: Atom) -> Any:
        if isinstance(atom, Literal):
            return Array(atom.value, atom.aval.weak_type)
        return values[atom]

    outer, outer_scopes = context.source, context.scopes
    try:
        for equation, dead in zip(graph.equations, last_use):
            operands = [read(a) for a in equation.inputs]
            if context.trace is not None:
                context.source = equation.source or outer
                context.scopes = equation.scopes or outer_scopes
            for variable in dead:
                values.pop(variable, None)
            out = equation.primitive.bind(*operands, **equation.params)
            if equation.primitive.multiple_results:
                values.update(zip(equation.outputs, out))
            else:
                values[equation.outputs[0]] = out
        return [read(a) for a in graph.outputs]
    finally:
        context.source, context.scopes = outer, outer_scopes


def _last_uses(graph: Graph) -> list[list[Variable]]:
    """For each equation, the variables that nothing reads after it."""
    seen: set[Variable] = {a for a in graph.outputs if isinstance(a, Variable)}
    dead: list[list[Variable]] = []
    for equation in reversed(graph.equations):
        used = {a for a in equation.inputs if isinstance(a, Variable)}
        dead.append(list(used - seen))
        seen |= used
    return dead[::-1]
