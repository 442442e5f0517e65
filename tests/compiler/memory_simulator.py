"""Runs a lowered Program on symbols instead of numbers, byte by byte, to see whether its memory plan holds.

Every value is an integer that stands for how it came about (a hash of the operation and its operands). A run
with `shared=True` places variables as the plan says, one with `shared=False` gives each a memory of its own;
where the plan is right, both end with the same symbols. Points of a Kernel are taken in random order and in
random groups, as threads and vectors do: all values of a group are computed before the first of them is
stored. Nothing here looks at how the plan came about.
"""

from __future__ import annotations

import itertools
import random

from rtfunc.compiler.in_place import carried_in_place
from rtfunc.compiler.kernel import Kernel

_STEPS = 3


class Memory:
    """A piece of memory: for each byte, which value it belongs to, and which byte of that it is."""

    def __init__(self, size, name):
        self.bytes = [(hash((name, i)), 0) for i in range(size)]


class Place:
    """An address: a byte of a memory."""

    def __init__(self, memory, start=0):
        self.memory, self.start = memory, start

    def __add__(self, offset):
        return Place(self.memory, self.start + offset)

    def __eq__(self, other):
        return self.memory is other.memory and self.start == other.start

    def __ne__(self, other):
        return not self == other

    def read(self, index, size):
        start = self.start + index * size
        found = self.memory.bytes[start : start + size]
        assert len(found) == size, "a read beyond the end"
        value = found[0][0]
        whole = [(value, i) for i in range(size)] == found
        return value if whole else hash(("torn", tuple(found)))

    def write(self, index, size, value):
        start = self.start + index * size
        assert start + size <= len(self.memory.bytes), "a write beyond the end"
        self.memory.bytes[start : start + size] = [(value, i) for i in range(size)]


class Simulator:
    """One run of a Program."""

    def __init__(self, shared, seed=0):
        self.shared = shared
        self.random = random.Random(seed)
        self.place = {}

    def run(self, lowered):
        """The symbols of all outputs; inputs that no output overlays must not change."""
        program = lowered.program
        overlaid = lowered.overlays if self.shared else {}
        for number, v in enumerate(program.inputs):
            self.place[v] = place = self.fresh(v, ("input", number))
            for i in range(v.aval.size):
                place.write(i, v.aval.dtype.itemsize, hash(("input", number, i)))
        for v in program.constants:
            self.constant(v)
        for number, v in enumerate(program.outputs):
            at = overlaid.get(number)
            place = self.fresh(v, "output") if at is None else self.place[program.inputs[at]]
            self.place[program.base(v)] = place
        self.steps(lowered, Place(Memory(lowered.plan.size, "arena")))
        for number, v in enumerate(program.inputs):
            if number not in overlaid.values():
                symbols = [hash(("input", number, i)) for i in range(v.aval.size)]
                assert self.symbols(self.place[v], v) == symbols, "an argument was written to"
        return [self.symbols(self.at(program, v), v) for v in program.outputs]

    def fresh(self, variable, name):
        return Place(Memory(variable.aval.size * variable.aval.dtype.itemsize, name))

    def constant(self, variable):
        self.place[variable] = place = self.fresh(variable, "constant")
        for i in range(variable.aval.size):
            place.write(i, variable.aval.dtype.itemsize, hash(("constant", variable.aval.shape, i)))

    def symbols(self, place, variable):
        size = variable.aval.dtype.itemsize
        return [place.read(i, size) for i in range(variable.aval.size)]

    def at(self, program, variable):
        base = program.base(variable)
        if base not in self.place:
            assert not self.shared
            self.place[base] = self.fresh(base, "own")
        return self.place[base]

    def steps(self, lowered, arena):
        program = lowered.program
        if self.shared:
            for v, offset in lowered.plan.offsets.items():
                self.place[v] = arena + offset
        for number, step in enumerate(program.steps):
            if isinstance(step, Kernel):
                self.kernel(program, step)
                continue
            workspace = None
            if self.shared:
                workspace = arena + lowered.plan.workspaces.get(number, 0)
            self.call(lowered, step, workspace)

    # Kernels.

    def kernel(self, program, kernel):
        reduced = kernel.reduced
        rows = list(itertools.product(*(range(n) for n, r in zip(kernel.domain, reduced) if not r)))
        inner = list(itertools.product(*(range(n) for n, r in zip(kernel.domain, reduced) if r)))
        self.random.shuffle(rows)
        stages = 1 + max([0, *(n.stage for n in kernel.nodes)])

        def point(row, rest):
            row, rest = iter(row), iter(rest)
            return tuple(next(rest if r else row) for r in reduced)

        for group in self.groups(rows):
            known = {}  # (node, row) of row nodes
            for stage in range(-1, stages):
                if stage >= 0 and any(reduced):
                    sums = {}
                    for span in self.groups(inner):
                        self.span(program, kernel, stage, group, span, point, known, sums)
                    for key, values in sums.items():
                        known[key] = hash(("reduce", tuple(sorted(values))))
                for node in kernel.nodes:
                    if not node.full and node.op != "reduce" and node.stage == stage:
                        for row in group:
                            at = point(row, (0,) * len(inner[0]))
                            known[node, row] = self.value(program, node, at, row, known)
            if not any(reduced):
                self.span(program, kernel, 0, group, [()], point, {}, {})
            for store in kernel.stores:
                if not store.node.full:
                    for row in group:
                        at = point(row, (0,) * len(inner[0]))
                        self.store(program, store, at, known[store.node, row])

    def groups(self, items):
        while items:
            count = self.random.choice([1, 2, 5, len(items)])
            yield items[:count]
            items = items[count:]

    def span(self, program, kernel, stage, rows, columns, point, known, sums):
        """A group of points in one pass: reductions, then stores in turn."""
        values = [dict(known) for _ in range(len(rows) * len(columns))]
        points = [(r, point(r, c)) for r in rows for c in columns]
        for node in kernel.nodes:
            if node.op == "reduce" and node.stage == stage:
                for (row, at), memory in zip(points, values):
                    value = self.value(program, node.args[0], at, row, memory)
                    sums.setdefault((node, row), []).append(value)
        for store in kernel.stores:
            if store.node.full and store.node.stage == stage:
                found = [
                    self.value(program, store.node, at, row, memory)
                    for (row, at), memory in zip(points, values)
                ]
                for (_, at), value in zip(points, found):
                    self.store(program, store, at, value)

    def value(self, program, node, at, row, known):
        """The symbol of a node at a point, computed once."""
        key = (node, at) if node.full else (node, row)
        if key not in known:
            args = [self.value(program, a, at, row, known) for a in node.args]
            known[key] = self.compute(program, node, args, at)
        return known[key]

    def compute(self, program, node, args, at):
        if node.op == "load":
            variable, offset = node.params["variable"], position(node.params["offset"], at)
            if args:
                offset = hash(tuple(args)) % variable.aval.size
            return self.at(program, variable).read(offset, variable.aval.dtype.itemsize)
        if node.op == "literal":
            return hash(("literal", str(node.params["value"]), str(node.dtype)))
        if node.op == "index":
            return hash(("index", position(node.params["offset"], at)))
        if node.op == "copy":
            return args[0]
        return hash((node.op, str(node.params.get("part")), *args))

    def store(self, program, store, at, value):
        place = self.at(program, store.variable)
        place.write(position(store.offset, at), store.variable.aval.dtype.itemsize, value)

    # Calls.

    def call(self, lowered, call, workspace):
        program, equation = lowered.program, call.equation
        operands = [(self.at(program, v), v) for v, _ in call.operands]
        outs = [(self.at(program, v), v) for v in equation.outputs]
        inner = lowered.inner.get(equation, [])
        name = equation.primitive.name
        if name in ("scan", "while", "cond"):
            getattr(self, name)(equation, inner, operands, outs, workspace)
        elif name in ("scatter", "dynamic_update_slice"):
            self.update(operands, outs)
        else:
            for place, v in outs:  # nothing may be read once something was written
                for i in range(v.aval.size):
                    place.write(i, v.aval.dtype.itemsize, hash("unfinished"))
            read = tuple(s for place, v in operands for s in self.symbols(place, v))
            for number, (place, v) in enumerate(outs):
                for i in range(v.aval.size):
                    place.write(i, v.aval.dtype.itemsize, hash((name, number, i, read)))

    def update(self, operands, outs):
        (old, v), (out, _) = operands[0], outs[0]
        copy(old, out, v)
        size = v.aval.dtype.itemsize
        for i in self.random.sample(range(v.aval.size), v.aval.size):
            read = tuple(s for place, u in operands[1:] for s in self.symbols(place, u))
            out.write(i, size, hash(("update", out.read(i, size), i, read)))

    def inside(self, part, inputs, outputs, arena):
        program = part.program
        self.place.update(zip(program.inputs, inputs, strict=True))
        if not self.shared:
            for step in program.steps:  # what the last turn left is not there any more
                for v in self.written(step):
                    self.place[program.base(v)] = self.fresh(v, "own")
        for v, place in zip(program.outputs, outputs, strict=True):
            self.place[program.base(v)] = place
        for v in program.constants:
            self.constant(v)
        self.steps(part, arena)

    def written(self, step):
        return step.writes() if isinstance(step, Kernel) else step.equation.outputs

    def parts(self, equation, inner, workspace):
        if not self.shared:
            return [None] * len(inner)
        found, offset = [], 0
        for part in inner:
            found.append(workspace + offset)
            offset += -(-max(part.plan.size, 1) // 64) * 64
        self.rest = workspace + offset
        return found

    def second(self, variable):
        """A buffer beside a result, for a value that is carried."""
        if not self.shared:
            return self.fresh(variable, "second")
        place = self.rest
        size = variable.aval.size * variable.aval.dtype.itemsize
        self.rest = self.rest + -(-max(size, 1) // 64) * 64
        return place

    def carried(self, equation, inner, init, outs):
        """For each carried value: where it is, and the places it is written to in turn."""
        alone = carried_in_place(equation, inner)
        found = []
        for (start, _), (out, v), one in zip(init, outs, alone):
            if not self.shared:
                found.append((start, self.fresh(v, "first"), self.fresh(v, "second")))
            elif one:
                found.append((start, out, out))
            else:
                found.append((start, self.second(v), out))
        return found

    def scan(self, equation, inner, operands, outs, workspace):
        (body,) = inner
        params = equation.params
        constants, carry, length = params["constants"], params["carry"], params["length"]
        (arena,) = self.parts(equation, inner, workspace)
        init, xs = operands[constants : constants + carry], operands[constants + carry :]
        state = self.carried(equation, inner, init, outs)
        if length % 2:  # the last step writes the result
            state = [(now, other, first) for now, first, other in state]
        for step in reversed(range(length)) if params["reverse"] else range(length):
            rows = [
                place + step * (v.aval.size * v.aval.dtype.itemsize // length) for place, v in xs
            ]
            targets = [first for _, first, _ in state]
            for place, v in outs[carry:]:
                targets.append(place + step * (v.aval.size * v.aval.dtype.itemsize // length))
            inputs = [*(p for p, _ in operands[:constants]), *(now for now, _, _ in state), *rows]
            self.inside(body, inputs, targets, arena)
            state = [(first, other, first) for _, first, other in state]
        for (now, _, _), (out, v) in zip(state, outs):
            assert not self.shared or not length or now == out
            copy(now, out, v)

    def while_(self, equation, inner, operands, outs, workspace):
        params = equation.params
        names = [k for k in params if k in ("condition", "body")]
        graphs = dict(zip(names, inner))
        arenas = dict(zip(names, self.parts(equation, inner, workspace)))
        n, m = params["condition_constants"], params["body_constants"]
        places = [p for p, _ in operands]
        state = self.carried(equation, inner, operands[n + m :], outs)
        for _ in range(_STEPS):
            condition = graphs["condition"]
            (test,) = condition.program.outputs
            flag = self.fresh(test, "flag")
            carried = [now for now, _, _ in state]
            self.inside(condition, [*places[:n], *carried], [flag], arenas["condition"])
            if flag.read(0, 1) % 5 == 0:
                break
            targets = [first for _, first, _ in state]
            self.inside(graphs["body"], [*places[n : n + m], *carried], targets, arenas["body"])
            state = [(first, other, first) for _, first, other in state]
        for (now, _, _), (out, v) in zip(state, outs):
            copy(now, out, v)

    def cond(self, equation, inner, operands, outs, workspace):
        arenas = self.parts(equation, inner, workspace)
        index = operands[0][0].read(0, 4) % len(inner)
        if self.shared:
            offset = sum(-(-max(p.plan.size, 1) // 64) * 64 for p in inner[:index])
            assert arenas[index] == workspace + offset
        inputs = [p for p, _ in operands[1:]]
        self.inside(inner[index], inputs, [p for p, _ in outs], arenas[index])


setattr(Simulator, "while", Simulator.while_)


def position(offset, at):
    """What an Affine is at a point."""
    return offset.constant + sum(c * i for c, i in zip(offset.coefficients, at))


def copy(source, target, variable):
    """Copy where source and target are not the same."""
    if source == target:
        return
    size = variable.aval.dtype.itemsize
    for i in range(variable.aval.size):
        target.write(i, size, source.read(i, size))
