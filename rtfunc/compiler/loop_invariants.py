"""What is the same at every step of a loop is computed once, before the loop.

Work on what a loop holds constant (a function of the weights, a layout for a library call, the zeros that an
inner loop starts from) moves out of the bodies of `scan` and `while`; so does a carry that the body returns
as it is, which is a constant by another name. Work stays where it costs nothing: views and cheap
elementwise operations are part of the Kernels that read them, and what a `while` may not come to do at all
moves out only if it is a matter of elementwise work or layouts. Depends on `inline`, `graph_passes`,
`classify`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtfunc.compiler.classify import elementwise_cost, kind_of
from rtfunc.compiler.graph_passes import expand, optimize, without_markers
from rtfunc.compiler.inline import copy_into, inline_calls
from rtfunc.core.graph import Atom, Equation, Graph, Variable, sub_graphs
from rtfunc.ops.control_dce import drop_unused
from rtfunc.ops.sub_graphs import invariant_variables

#: A value that is dearer than this is not computed at every step.
_CHEAP = 3
#: What a library call counts as; elementwise work of more than this is worth memory.
_DEAR = 64
#: What is larger than all that it is made of is kept only up to so many bytes.
_GROWN_BYTES = 1 << 24

_loops = ("scan", "while")
#: Calls that write over their first operand, which is made anew at every step therefore.
_updates = ("scatter", "dynamic_update_slice")


def hoist_invariants(graph: Graph) -> Graph:
    """The Graph with work that is the same at every step of a loop before the loop."""
    if not any(e.primitive.name in _loops for e in graph.equations):
        return graph

    def hoisted(equation: Equation) -> tuple[Sequence[Equation], Sequence[Atom]]:
        if equation.primitive.name not in _loops or not equation.params.get("length", 1):
            return [equation], equation.outputs
        loop, fixed = _constants_uncarried(_with_plain_body(equation))
        before, loop = _hoisted(loop)
        return [*before, loop], [fixed.get(v, v) for v in equation.outputs]

    return expand(graph, hoisted)


def _with_plain_body(equation: Equation) -> Equation:
    """The loop with the calls in its body inlined, and nothing left to hoist in it."""
    body = equation.params["body"]
    plain = body.derived.get(_with_plain_body)
    if plain is None:
        plain = drop_unused(optimize(without_markers(inline_calls(body))))
        plain = body.derived[_with_plain_body] = hoist_invariants(plain)
    if plain is body:
        return equation
    return equation.replace(params={**equation.params, "body": plain})


def _first_carried(equation: Equation) -> int:
    """Which input of the body is the first that is carried: those before it are constants."""
    params = equation.params
    return params["constants" if equation.primitive.name == "scan" else "body_constants"]


def _constants_uncarried(equation: Equation) -> tuple[Equation, dict[Variable, Atom]]:
    """The loop without carries that the body returns as they are; and what their results are."""
    params, body = equation.params, equation.params["body"]
    first = _first_carried(equation)
    count = params["carry"] if equation.primitive.name == "scan" else len(body.outputs)
    same = [body.outputs[k] is body.inputs[first + k] for k in range(count)]
    if not any(same):
        return equation, {}
    operands = list(equation.inputs)
    start = params.get("condition_constants", 0) + first  # of the carry among the operands
    carried = operands[start : start + count]
    fixed = [k for k in range(count) if same[k]]
    moving = [k for k in range(count) if not same[k]]

    def sorted_inputs(inputs: Sequence[Variable], first: int) -> tuple[Variable, ...]:
        own, state, rest = inputs[:first], inputs[first : first + count], inputs[first + count :]
        return (*own, *(state[k] for k in fixed), *(state[k] for k in moving), *rest)

    inside = Graph(
        sorted_inputs(body.inputs, first),
        body.equations,
        tuple(v for k, v in enumerate(body.outputs) if k >= count or not same[k]),
        body.constants,
    )
    new = {**params, "body": inside}
    held = [carried[k] for k in fixed]
    inputs = [*operands[:start], *held, *(carried[k] for k in moving), *operands[start + count :]]
    if equation.primitive.name == "scan":
        new.update(constants=first + len(fixed), carry=len(moving))
    else:
        condition, n = params["condition"], params["condition_constants"]
        new["condition"] = Graph(
            sorted_inputs(condition.inputs, n), condition.equations, condition.outputs
        )
        new.update(condition_constants=n + len(fixed), body_constants=first + len(fixed))
        inputs = [*operands[:n], *held, *operands[n:start], *held, *(carried[k] for k in moving)]
    outputs = tuple(v for k, v in enumerate(equation.outputs) if k >= count or not same[k])
    changed = equation.replace(inputs=tuple(inputs), params=new, outputs=outputs)
    return changed, {equation.outputs[k]: carried[k] for k in fixed}


def _hoisted(equation: Equation) -> tuple[list[Equation], Equation]:
    """The equations to compute before the loop, and the loop."""
    params, body = equation.params, equation.params["body"]
    first = _first_carried(equation)
    fixed = body.inputs[:first]
    makers = invariant_variables(body, fixed)
    if all(maker is None or not _may_move(maker, equation) for maker in makers.values()):
        return [], equation
    found = _worthwhile(body, makers, equation)
    if not found:
        return [], equation
    needed, moved = set(found), []
    for e in reversed(body.equations):
        if any(v in needed for v in e.outputs):
            moved.append(e)
            needed.update(a for a in e.inputs if isinstance(a, Variable))
    operands = equation.inputs[params.get("condition_constants", 0) :]
    outside = Graph(tuple(fixed), tuple(reversed(moved)), tuple(found), body.constants)
    before, values = copy_into(outside, operands[:first], equation)
    inside = drop_unused(
        Graph(
            (*fixed, *found, *body.inputs[first:]),
            tuple(e for e in body.equations if not set(e.outputs) <= set(found)),
            body.outputs,
            body.constants,
        )
    )
    name = "constants" if equation.primitive.name == "scan" else "body_constants"
    at = params.get("condition_constants", 0) + first
    return before, equation.replace(
        inputs=(*equation.inputs[:at], *values, *equation.inputs[at:]),
        params={**params, "body": inside, name: first + len(found)},
    )


def _may_move(maker: Equation, loop: Equation) -> bool:
    if maker.primitive.name == "host_callback" or "axis_names" in maker.params:
        return False
    if loop.primitive.name == "scan":  # which takes at least one step
        return True
    return kind_of(maker) != "call" and not any(True for _ in sub_graphs(maker))


def _worthwhile(
    body: Graph, makers: dict[Variable, Equation | None], loop: Equation
) -> list[Variable]:
    """The invariant values that are best kept, of those that are read by what moves with the steps."""
    cost: dict[Variable, int] = {}
    source: dict[Variable, int] = {v: _bytes(v) for v, maker in makers.items() if maker is None}
    movable: set[Variable] = set(source)
    plain: set[Variable] = set(source)  # views, of one kind, of what the loop is given
    for e in body.equations:
        if not all(v in makers for v in e.outputs) or not _may_move(e, loop):
            continue
        inputs = [a for a in e.inputs if isinstance(a, Variable)]
        if not all(a in movable for a in inputs):
            continue
        kind = _kind(e)
        own = {"view": 0, "squeeze": 0, "iota": 0, "concatenate": 1}.get(kind, _DEAR)
        if kind == "elementwise":
            own = elementwise_cost.get(e.primitive.name, 3)
        total = own + sum(cost.get(a, 0) for a in inputs)
        for v in e.outputs:
            movable.add(v)
            cost[v] = total
            source[v] = max([_bytes(v) if kind == "call" else 0, *(source[a] for a in inputs)])
            if kind == "view" and inputs and makers.get(inputs[0], e) is None:
                plain.add(v)
    wanted: dict[Variable, bool] = {}  # whether a call needs it in memory
    for e in body.equations:
        if all(v in movable for v in e.outputs):
            continue
        for position, a in enumerate(e.inputs):
            if a in movable and makers[a] is not None:  # type: ignore[index]
                call = _kind(e) == "call"
                if call and e.primitive.name in _updates and position == 0:
                    continue
                if call and e.primitive.name == "dot_general" and a in plain:
                    call = False  # read as it lies
                wanted[a] = wanted.get(a, False) or call  # type: ignore[index]
    for a in body.outputs:
        if isinstance(a, Variable) and a in movable and makers[a] is not None:
            wanted.setdefault(a, False)

    def pays(v: Variable, call: bool) -> bool:
        if _bytes(v) <= max(source[v], 64):
            return call or cost[v] > _CHEAP
        return _bytes(v) <= _GROWN_BYTES and (call or cost[v] > _DEAR)

    return [v for v, call in wanted.items() if pays(v, call)]


def _kind(equation: Equation) -> str:
    """`kind_of`, which a contraction over nothing, a product of elements, is "elementwise" for."""
    if equation.primitive.name == "dot_general":
        shape = equation.inputs[0].aval.shape
        contracted = equation.params["dimension_numbers"][0][0]
        if all(shape[a] == 1 for a in contracted):
            return "elementwise"
    return kind_of(equation)


def _bytes(atom: Atom) -> int:
    return atom.aval.size * atom.aval.dtype.itemsize
