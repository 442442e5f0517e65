"""Results that are written over what they are made of.

A result may lie in the memory of an operand that nothing reads afterwards, if the step that makes it reads
each element of the operand before it writes there: an elementwise Kernel does, and so does an update of a
few elements, or a loop that carries the operand. `may_overlay` answers for one result and one input of a
whole Program, which is how loops and donated arguments ask; `share_buffers` lets buffers between steps share
memory, and `order_readers` puts the other readers of an operand before the step that writes over it. Code
for steps is the same whether their buffers are one or not, so a place may also be left apart.
Depends on `schedule`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from rtfunc.compiler.classify import elementwise_cost
from rtfunc.compiler.kernel import Affine, Kernel, Node, Store
from rtfunc.compiler.schedule import Call, Program
from rtfunc.core.graph import Equation, Variable

Base: TypeAlias = Callable[[Variable], Variable]


class Part(Protocol):
    """A Program, and those of the sub-graphs of its calls in the order of the params."""

    @property
    def program(self) -> Program:
        """The steps."""
        ...

    @property
    def inner(self) -> Mapping[Equation, Sequence[Part]]:
        """For each call with sub-graphs, their Programs."""
        ...


Inner: TypeAlias = Mapping[Equation, Sequence[Part]]


def touched(step: Kernel | Call) -> list[Variable]:
    """The variables that a step reads or writes."""
    return [*read(step), *written(step)]


def read(step: Kernel | Call) -> list[Variable]:
    """The variables that a step reads."""
    if isinstance(step, Kernel):
        return step.reads()
    found = [v for v, _ in step.operands]
    return found if step.epilogue is None else [*found, *step.epilogue.reads()]


def written(step: Kernel | Call) -> list[Variable]:
    """The variables that a step writes."""
    if isinstance(step, Kernel):
        return step.writes()
    found = list(step.equation.outputs)
    return found if step.epilogue is None else [*found, *step.epilogue.writes()]


def lifetimes(program: Program) -> dict[Variable, tuple[int, int]]:
    """For each buffer that a step touches, the first and the last step that do.

    Outputs live until after the last step.
    """
    lives: dict[Variable, tuple[int, int]] = {}
    for number, step in enumerate(program.steps):
        for variable in touched(step):
            base = program.base(variable)
            first, _ = lives.get(base, (number, number))
            lives[base] = first, number
    end = len(program.steps)
    for variable in program.outputs:
        base = program.base(variable)
        if base in lives:
            lives[base] = lives[base][0], end
    return lives


def buffer_bytes(variable: Variable) -> int:
    """Size of a variable's buffer."""
    return variable.aval.size * variable.aval.dtype.itemsize


def may_overlay(part: Part, output: Variable, operand: Variable) -> bool:
    """Whether an output of a Program may lie in the memory of one of its inputs.

    True if every element of the input is read before anything is written in its place. The answers for
    pairs of different outputs and inputs hold together.
    """
    program = part.program
    target, source = program.base(output), program.base(operand)
    if target is source or buffer_bytes(target) != buffer_bytes(source):
        return False
    lives = lifetimes(program)
    if source not in lives or target not in lives:
        return True
    first, last = lives[target][0], lives[source][1]
    if first == last:
        return writes_in_place(program.steps[first], target, source, program.base, part.inner)
    return last < first


def writes_in_place(
    step: Kernel | Call, target: Variable, source: Variable, base: Base, inner: Inner
) -> bool:
    """Whether a step that reads the buffer `source` may write the buffer `target` in its memory."""
    if buffer_bytes(target) != buffer_bytes(source):
        return False
    if isinstance(step, Kernel):
        return _kernel_in_place(step, target, source, base)
    if step.epilogue is not None:
        # Its points read their own places, of the call's result too, once a block of that is complete. What
        # the call reads must last until all blocks are, and its result is written before.
        operands = {base(v) for v, _ in step.operands}
        if source in operands or target in operands.union(map(base, step.equation.outputs)):
            return False
        return _kernel_in_place(step.epilogue, target, source, base)
    positions = [i for i, (v, _) in enumerate(step.operands) if base(v) is source]
    outputs = [i for i, v in enumerate(step.equation.outputs) if base(v) is target]
    if len(positions) != 1 or len(outputs) != 1:
        return False
    rule = _calls_in_place.get(step.equation.primitive.name)
    return rule is not None and rule(
        step.equation, outputs[0], positions[0], inner.get(step.equation, ())
    )


def _kernel_in_place(kernel: Kernel, target: Variable, source: Variable, base: Base) -> bool:
    """Whether each point reads, of `source`, elements in its own places only, before it writes there.

    Loads do so that have the offset of a store: that is another place at each point, and in each store.
    """
    stores = {s.offset: s for s in kernel.stores if base(s.variable) is target}
    loads: dict[Affine, set[Node]] = {offset: set() for offset in stores}
    for node in kernel.nodes:
        if node.op == "load" and base(node.params["variable"]) is source:
            if node.args or node.params["offset"] not in loads:
                return False
            loads[node.params["offset"]].add(node)
    sizes = {s.variable.aval.dtype.itemsize for s in stores.values()}
    sizes |= {n.params["variable"].aval.dtype.itemsize for found in loads.values() for n in found}
    return len(sizes) == 1 and all(_reads_first(kernel, stores[o], loads[o]) for o in stores)


def _reads_first(kernel: Kernel, store: Store, loads: set[Node]) -> bool:
    """Whether, at each point, the loads come before the store.

    Passes over a row follow one another. In each, values are computed, once, in the order of what needs
    them: first reductions, then stores in turn.
    """
    if not store.node.full:  # stored at the end of a row
        return not any(n.full for n in loads)
    stage = store.node.stage
    earlier: list[Node] = []
    later: list[Node] = []
    reached = False
    for node in kernel.nodes:
        if node.op == "reduce" and node.stage >= stage:
            (earlier if node.stage == stage else later).extend(node.args)
    for other in kernel.stores:
        if other.node.full and other.node.stage >= stage:
            in_time = other.node.stage == stage and not reached
            (earlier if in_time else later).append(other.node)
        reached = reached or other is store
    # What this pass has loaded is at hand for the rest of it, but not for the passes after it.
    again = [n for n in later if n.stage > stage]
    at_hand = _needed(earlier, lambda n: n.stage < stage and _may_be_kept(n))
    return not loads & _needed(again) and loads & _needed(later) <= at_hand


def _may_be_kept(node: Node) -> bool:
    """Whether a back end may keep what a pass computed for the next, which then loads nothing for it."""
    return elementwise_cost.get(node.op, 0) >= elementwise_cost["div"]


def _needed(nodes: Iterable[Node], known: Callable[[Node], bool] = lambda node: False) -> set[Node]:
    """The nodes that are computed at every point for the sake of some, themselves included; for what is
    `known`, nothing else is."""
    found: set[Node] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node not in found and node.full:
            found.add(node)
            if not known(node):
                pending.extend(node.args)
    return found


# Calls: `rule(equation, output, operand, inner)` with positions of the result and the operand.


def _update(equation: Equation, output: int, operand: int, inner: Sequence[Part]) -> bool:
    """A changed copy of the first operand: nothing is copied where it is the same memory."""
    return operand == 0


def _scan(equation: Equation, output: int, operand: int, inner: Sequence[Part]) -> bool:
    constants, carry = equation.params["constants"], equation.params["carry"]
    program = inner[0].program
    if output < carry:
        # A carry that alternates between two buffers starts with the other one if the length is even.
        return operand == constants + output and (
            equation.params["length"] % 2 == 0 or carried_in_place(equation, inner)[output]
        )
    # Each step writes a row of the result, and reads that row of the operand.
    return operand >= constants + carry and may_overlay(
        inner[0], program.outputs[output], program.inputs[operand]
    )


def _while(equation: Equation, output: int, operand: int, inner: Sequence[Part]) -> bool:
    """The first step writes to another buffer than the result if it does not write in place."""
    params = equation.params
    return operand == params["condition_constants"] + params["body_constants"] + output


def _cond(equation: Equation, output: int, operand: int, inner: Sequence[Part]) -> bool:
    return operand > 0 and all(
        may_overlay(branch, branch.program.outputs[output], branch.program.inputs[operand - 1])
        for branch in inner
    )


_calls_in_place: dict[str, Callable[[Equation, int, int, Sequence[Part]], bool]] = {
    "scatter": _update,
    "dynamic_update_slice": _update,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}


def loop_body(equation: Equation, inner: Sequence[Part]) -> tuple[Part, int] | None:
    """The body of a loop, and which of its inputs is the first that the loop carries."""
    params = equation.params
    if equation.primitive.name == "scan":
        return inner[0], params["constants"]
    if equation.primitive.name == "while":
        names = [k for k in params if k in ("condition", "body")]
        return inner[names.index("body")], params["body_constants"]
    return None


def carried_in_place(equation: Equation, inner: Sequence[Part]) -> list[bool]:
    """For each value that a loop carries, whether a step may write the new one over the old one."""
    found = loop_body(equation, inner)
    if found is None:
        return []
    body, start = found
    program = body.program
    carried = program.inputs[start:]
    if equation.primitive.name == "scan":
        carried = carried[: equation.params["carry"]]
    return [may_overlay(body, out, now) for now, out in zip(carried, program.outputs)]


# Plans


def order_readers(program: Program, overwritable: Collection[Variable], inner: Inner) -> None:
    """Move steps that read what another step could write over before that step, where nothing forbids it.

    `overwritable` are the inputs whose memory the Program may write to.
    """
    steps, base = program.steps, program.base
    calls = [s for s in steps if isinstance(s, Call)]
    if not overwritable and not any(c.equation.primitive.name in _calls_in_place for c in calls):
        return
    writers: dict[Variable, int] = {}
    readers: dict[Variable, list[int]] = {}
    before: list[int] = []  # for each step, all that come before it by need, as a bit mask
    for number, step in enumerate(steps):
        mask = 0
        for v in dict.fromkeys(map(base, read(step))):
            readers.setdefault(v, []).append(number)
            mask |= writers.get(v, 0)
        for v in written(step):
            writers[base(v)] = writers.get(base(v), 0) | 1 << number
        before.append(mask)
        while mask:
            other = mask.bit_length() - 1
            before[number] |= before[other]
            mask &= ~(1 << other)
    kept = {*program.inputs, *program.constants, *map(base, program.outputs)}
    kept -= set(overwritable)
    moved = False
    for number, step in enumerate(steps):
        for source in dict.fromkeys(map(base, read(step))):
            later = [r for r in readers[source] if r > number]
            if source in kept or not later or any(before[r] >> number & 1 for r in later):
                continue
            if isinstance(step, Kernel) and source not in overwritable:
                continue  # saves memory only
            if not any(
                writers[base(out)] & -writers[base(out)] == 1 << number
                and writes_in_place(step, base(out), source, base, inner)
                for out in written(step)
            ):
                continue
            added = 0
            for r in later:
                added |= before[r] | 1 << r
            for n in range(len(steps)):
                if n == number or before[n] >> number & 1:
                    before[n] |= added
            moved = True
    if not moved:
        return
    done, left, order = 0, list(range(len(steps))), []
    while left:
        number = next(n for n in left if not before[n] & ~done)
        left.remove(number)
        order.append(number)
        done |= 1 << number
    program.steps[:] = [steps[n] for n in order]


def share_buffers(program: Program, inner: Inner, overwritable: Collection[Variable] = ()) -> None:
    """Let results lie in the memory of operands that end with the step that makes them.

    The operands are buffers between steps; those that a result has replaced count as its own. Where the
    Program may write over some of its inputs, outputs are left free to be written there.
    """
    base = program.base
    lives = lifetimes(program)
    kept = {*program.inputs, *program.constants, *map(base, program.outputs)}
    for number, step in enumerate(program.steps):
        free = [
            v
            for v in dict.fromkeys(map(base, read(step)))
            if v not in kept and lives[v][1] == number
        ]
        if not free:
            continue
        for out in dict.fromkeys(map(base, written(step))):
            if lives[out][0] != number:
                continue
            if overwritable and out in kept and isinstance(step, Call) and step.epilogue:
                continue
            for source in free:
                if source is not out and writes_in_place(step, out, source, base, inner):
                    program.aliases[source] = out
                    lives[out] = lives[source][0], lives[out][1]
                    free.remove(source)
                    break
