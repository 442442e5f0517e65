"""A Kernel as functions in CUDA C: the printer for GPUs.

A Kernel without reduced axes has a thread for each point. One with reduced axes shares each row, a point of
its parallel axes, among several threads:

- `lanes` neighbouring threads step through the points of a row, where neighbouring points of a row lie
  together in memory: part of a warp for short rows, a whole block for long ones;
- or, where it is neighbouring *rows* that lie together, a column of `_COLUMN` threads of a block does, while
  the threads beside it have the rows beside it.

Each thread reduces its points in order, and the partial results are combined in an order that depends on
the sizes alone: results are the same in every run. Passes over a row (the stages of `kernel`) follow each
other in one function, since the reductions of one pass are known to all threads of the row in the next.
Few and long rows are cut into chunks: a first function leaves partial results, and a second one combines
them. Depends on `scalars`, `kernel`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rtfunc.compiler.collapse import collapse
from rtfunc.compiler.cuda import scalars
from rtfunc.compiler.cuda.scalars import Operation, memory_type, printers, register_type
from rtfunc.compiler.kernel import Affine, Kernel, Node, Store
from rtfunc.core.graph import Variable

_BLOCK = 256
#: Rows and columns of a block in which columns of threads share a row.
_ROWS, _COLUMN = 32, 8
#: Blocks that keep a large GPU busy: some for each of its 100 to 150 multiprocessors.
_MANY_BLOCKS = 512
#: A chunk of a row has at least so many points for each thread.
_CHUNK_POINTS = 8
_MAX_CHUNKS = 256
_MAX_GRID = 1 << 20


@dataclasses.dataclass(frozen=True)
class Launch:
    """One function to call: which, over how many blocks of how many threads.

    Attributes: function: its number among those of the program; arguments: positions among the buffers of
    the Kernel, then of its partial results.
    """

    function: int
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    arguments: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class PrintedKernel:
    """How to run a Kernel.

    Attributes: variables: whose buffers it takes; partials: dtype and size of partial results that it
    needs memory for; launches: in order.
    """

    variables: tuple[Variable, ...]
    partials: tuple[tuple[np.dtype, int], ...]
    launches: tuple[Launch, ...]


class Functions:
    """The functions of a program: Kernels that differ in their buffers only share them."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self._known: dict[str, int] = {}

    def name(self, number: int) -> str:
        """What a function is called."""
        return f"kernel_{number}"

    def add(
        self, parameters: Sequence[str], comment: str, body: Sequence[str], threads: int = _BLOCK
    ) -> int:
        """The number of the function with these parameters and this body, for blocks of `threads`."""
        content = "\n".join(body)
        key = "\n".join([*parameters, content])
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self.sources)
            head = f'extern "C" __global__ void __launch_bounds__({threads}) {self.name(number)}(\n    '
            head += ",\n    ".join(parameters) + ") {\n"
            self.sources.append(f"// {comment}\n{head}{content}\n}}\n")
        return number


def print_kernel(kernel: Kernel, functions: Functions) -> PrintedKernel:
    """Print `kernel` among `functions`."""
    return _Printer(collapse(kernel), functions).run()


def _indent(lines: Iterable[str], depth: int = 1) -> list[str]:
    return ["  " * depth + line for line in lines]


class _Printer:
    def __init__(self, kernel: Kernel, functions: Functions):
        self.kernel, self.functions = kernel, functions
        self.variables = tuple(kernel.touches())
        self.written = set(kernel.writes())
        self.index = "int" if self._is_small() else "int64"
        self.parallel = [a for a, r in enumerate(kernel.reduced) if not r]
        self.reduced = [a for a, r in enumerate(kernel.reduced) if r]
        self.reduces = [n for n in kernel.nodes if n.op == "reduce"]

    def run(self) -> PrintedKernel:
        kernel = self.kernel
        if not kernel.size:
            return PrintedKernel(self.variables, (), ())
        if not any(kernel.reduced):
            return self._points()
        by_column = not kernel.reduced[-1] and kernel.domain[-1] >= 8
        rows, size = kernel.rows, kernel.row_size
        lanes = 0 if by_column else _lanes(rows, size)
        threads = _ROWS * _COLUMN if by_column else max(lanes, 128)
        blocks = -(-rows // (_ROWS if by_column else threads // lanes))
        sharing = _COLUMN if by_column else lanes
        last = max((n.stage for n in kernel.nodes if n.full), default=0)
        chunks = min(_MANY_BLOCKS // blocks, size // (sharing * _CHUNK_POINTS), _MAX_CHUNKS)
        if last == 0 and self.reduces and chunks > 1:
            return self._chunks(lanes, threads, blocks, chunks)
        body = self._rows(lanes, rows)
        number = self.functions.add(self._parameters(), self._comment(), body, threads)
        block = (_ROWS, _COLUMN, 1) if by_column else (threads, 1, 1)
        return self._printed([(number, (min(blocks, _MAX_GRID), 1, 1), block)])

    def _printed(self, launches: Sequence[tuple[int, tuple, tuple]]) -> PrintedKernel:
        arguments = tuple(range(len(self.variables)))
        return PrintedKernel(
            self.variables, (), tuple(Launch(f, g, b, arguments) for f, g, b in launches)
        )

    def _is_small(self) -> bool:
        """Whether all indices and offsets fit into 31 bits."""
        kernel = self.kernel
        limit = 1 << 31
        if kernel.size >= limit:
            return False
        offsets = [n.params["offset"] for n in kernel.nodes if n.op in ("load", "index")]
        offsets += [s.offset for s in kernel.stores]
        for o in offsets:
            reach = sum(abs(c) * (n - 1) for c, n in zip(o.coefficients, kernel.domain))
            if reach + abs(o.constant) >= limit:
                return False
        return all(v.aval.size < limit for v in self.variables)

    # What stands at the head.

    def _comment(self) -> str:
        kernel = self.kernel
        axes = ", ".join(
            f"i{a}<{n}{'*' if r else ''}"
            for a, (n, r) in enumerate(zip(kernel.domain, kernel.reduced))
        )
        names = [
            f"reduce_{n.params['kind']}" if n.op == "reduce" else n.op
            for n in kernel.nodes
            if n.op not in ("load", "literal", "index")
        ]
        return f"({axes}): {', '.join(names) or 'copy'}"

    def _parameters(self) -> list[str]:
        found = []
        read = set(self.kernel.reads())
        for number, v in enumerate(self.variables):
            const = "" if v in self.written else "const "
            # What is both read and written has one pointer only.
            restrict = "" if v in self.written and v in read else " __restrict__"
            found.append(f"{const}{memory_type(v.aval.dtype)}*{restrict} v{number}")
        return found

    # Parts of bodies.

    def _coordinates(self, axes: Sequence[int], position: str) -> list[str]:
        """The indices along `axes` of the point number `position` of the box that they span."""
        lines = []
        stride = 1
        for k, axis in enumerate(reversed(axes)):
            n = self.kernel.domain[axis]
            text = position if stride == 1 else f"{position} / {stride}"
            if k < len(axes) - 1:
                text = f"({text}) % {n}" if stride > 1 else f"{text} % {n}"
            lines.append(f"const {self.index} i{axis} = {text};")
            stride *= n
        return lines[::-1]

    def _affine(self, offset: Affine) -> str:
        terms = []
        for axis, c in enumerate(offset.coefficients):
            if c and self.kernel.domain[axis] > 1:
                terms.append(f"i{axis}" if c == 1 else f"{c} * i{axis}")
        if offset.constant or not terms:
            terms.append(str(offset.constant))
        return " + ".join(terms).replace("+ -", "- ")

    def _operand(self, node: Node) -> str:
        if node.op == "literal":
            return scalars.literal(node.params["value"], node.dtype)
        return f"n{node.number}"

    def _node(self, node: Node) -> Iterator[str]:
        """The line that computes a node."""
        if node.op == "literal":
            return
        if node.op == "load":
            variable = node.params["variable"]
            offset = self._affine(node.params["offset"])
            for start, stride in zip(node.args, node.params.get("strides", ())):
                offset += f" + {stride} * ({self.index}){self._operand(start)}"
            place = f"v{self.variables.index(variable)}[{offset}]"
            text = scalars.from_memory(place, variable.aval.dtype)
        elif node.op == "index":
            text = f"({self.index})({self._affine(node.params['offset'])})"
            number = np.dtype(np.int32 if self.index == "int" else np.int64)
            text = scalars.convert(text, number, node.dtype)
        else:
            dtype = node.args[-1].dtype
            args = [self._operand(a) for a in node.args]
            text = printers[node.op](Operation(args, dtype, node.dtype, node.params))
        yield f"const {register_type(node.dtype)} n{node.number} = {text};"

    def _store(self, store: Store) -> str:
        dtype = store.variable.aval.dtype
        value = scalars.to_memory(self._operand(store.node), dtype)
        return f"v{self.variables.index(store.variable)}[{self._affine(store.offset)}] = {value};"

    # One thread for each point.

    def _points(self) -> PrintedKernel:
        kernel = self.kernel
        lines = self._coordinates(range(len(kernel.domain)), "point") if kernel.domain else []
        for node in kernel.nodes:
            lines += self._node(node)
        lines += [self._store(s) for s in kernel.stores]
        size = kernel.size
        body = [
            f"  const {self.index} step = ({self.index})gridDim.x * blockDim.x;",
            f"  for ({self.index} point = ({self.index})blockIdx.x * blockDim.x + threadIdx.x; "
            f"point < {size}; point += step) {{",
            *_indent(lines, 2),
            "  }",
        ]
        number = self.functions.add(self._parameters(), self._comment(), body)
        # Several points for each thread of a large Kernel keep more loads in flight.
        blocks = -(-size // _BLOCK)
        if blocks > 8 * _MANY_BLOCKS:
            blocks = -(-blocks // 4)
        return self._printed([(number, (min(blocks, _MAX_GRID), 1, 1), (_BLOCK, 1, 1))])

    # Several threads for each row.

    def _rows(self, lanes: int, rows: int) -> list[str]:
        """The body for whole rows; `lanes` is 0 where columns of threads share a row."""
        inner = self._row_nodes(-1)
        last = max(n.stage for n in self.kernel.nodes if n.full)
        start, step = self._lane(lanes)
        for stage in range(last + 1):
            inner += self._pass(stage, start, step)
            for node in self.reduces:
                if node.stage == stage:
                    inner += self._across(node, lanes)
            inner += self._row_nodes(stage)
        inner += self._row_stores(lanes)
        return self._row_loop(lanes, rows, inner)

    def _lane(self, lanes: int) -> tuple[str, str]:
        """A thread's first point of a row, and the distance to its next."""
        if not lanes:
            return "threadIdx.y", str(_COLUMN)
        return "lane", str(lanes)

    def _row_loop(self, lanes: int, rows: int, inner: Sequence[str]) -> list[str]:
        """`inner` for every row; the threads of a block stay together, past the last row too."""
        kind = self.index
        if lanes:
            per_block = max(lanes, 128) // lanes
            mine = f"threadIdx.x / {lanes}"
            head = [f"  const int lane = threadIdx.x % {lanes};"]
        else:
            per_block, mine, head = _ROWS, "threadIdx.x", []
        if per_block == 1:
            head += [
                f"  for ({kind} row = blockIdx.x; row < {rows}; row += gridDim.x) {{",
                "    const bool active = true;",
            ]
        else:
            head += [
                f"  for ({kind} first = ({kind})blockIdx.x * {per_block}; first < {rows}; "
                f"first += ({kind})gridDim.x * {per_block}) {{",
                f"    const bool active = first + {mine} < {rows};",
                f"    const {kind} row = active ? first + {mine} : {rows - 1};",
            ]
        coordinates = self._coordinates(self.parallel, "row") if self.parallel else []
        return [*head, *_indent([*coordinates, *inner], 2), "  }"]

    def _row_nodes(self, stage: int) -> list[str]:
        """The nodes that are known for a row after pass `stage`, reductions apart."""
        lines: list[str] = []
        for node in self.kernel.nodes:
            if not node.full and node.op != "reduce" and node.stage == stage:
                lines += self._node(node)
        return lines

    def _row_stores(self, lanes: int) -> list[str]:
        stores = [self._store(s) for s in self.kernel.stores if not s.node.full]
        if not stores:
            return []
        first = "lane == 0" if lanes else "threadIdx.y == 0"
        return [f"if (active && {first}) {{", *_indent(stores), "}"]

    def _needed(self, roots: Iterable[Node]) -> list[Node]:
        """The full nodes that computing `roots` takes, in order."""
        found: set[Node] = set()
        waiting = [n for n in roots if n.full]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += [a for a in node.args if a.full]
        return [n for n in self.kernel.nodes if n in found]

    def _pass(self, stage: int, start: str, step: str, end: str | None = None) -> list[str]:
        """One pass over the points of a row: what is reduced and what is stored in it."""
        reduces = [n for n in self.reduces if n.stage == stage]
        stores = [s for s in self.kernel.stores if s.node.full and s.node.stage == stage]
        if not reduces and not stores:
            return []
        lines: list[str] = []
        for node in reduces:
            unit = scalars.identity(node.params["kind"], node.dtype)
            lines.append(f"{register_type(node.dtype)} n{node.number} = {unit};")
        body = self._coordinates(self.reduced, "point")
        for node in self._needed([*(n.args[0] for n in reduces), *(s.node for s in stores)]):
            body += self._node(node)
        for node in reduces:
            name, value = f"n{node.number}", self._operand(node.args[0])
            body.append(
                f"{name} = {scalars.combined(node.params['kind'], name, value, node.dtype)};"
            )
        if stores:
            body += ["if (active) {", *_indent(self._store(s) for s in stores), "}"]
        end = end or str(self.kernel.row_size)
        loop = f"for ({self.index} point = {start}; point < {end}; point += {step}) {{"
        return [*lines, loop, *_indent(body), "}"]

    def _across(self, node: Node, lanes: int) -> list[str]:
        """Combine what the threads of a row have found; all of them then know the result."""
        name, of = f"n{node.number}", register_type(node.dtype)

        def combine(x: str, y: str) -> str:
            return scalars.combined(node.params["kind"], x, y, node.dtype)

        if not lanes:
            shared = f"part_{node.number}"
            other = f"{shared}[y][threadIdx.x]"
            return [
                f"__shared__ {of} {shared}[{_COLUMN}][{_ROWS}];",
                f"{shared}[threadIdx.y][threadIdx.x] = {name};",
                "__syncthreads();",
                f"{name} = {shared}[0][threadIdx.x];",
                f"for (int y = 1; y < {_COLUMN}; ++y) {name} = {combine(name, other)};",
                "__syncthreads();",
            ]
        width = min(lanes, 32)
        lines = []
        if width > 1:
            other = f"from_lane<{of}>({name}, other, {width})"
            lines.append(
                f"for (int other = {width // 2}; other; other /= 2) {name} = {combine(name, other)};"
            )
        if lanes > 32:
            shared = f"part_{node.number}"
            lines += [
                f"__shared__ {of} {shared}[{lanes // 32}];",
                f"if (lane % 32 == 0) {shared}[lane / 32] = {name};",
                "__syncthreads();",
                f"{name} = {shared}[0];",
                f"for (int w = 1; w < {lanes // 32}; ++w) {name} = {combine(name, f'{shared}[w]')};",
                "__syncthreads();",
            ]
        return lines

    # Few and long rows, in chunks.

    def _chunks(self, lanes: int, threads: int, blocks: int, chunks: int) -> PrintedKernel:
        """Two functions: one leaves a partial result for each chunk of a row, one combines them."""
        kernel = self.kernel
        rows, size = kernel.rows, kernel.row_size
        width = -(-size // chunks)
        first = self._row_nodes(-1)
        start, step = self._lane(lanes)
        kind = self.index
        first.append(f"const {kind} begin = ({kind}){width} * blockIdx.y;")
        first.append(f"const {kind} end = minimum<{kind}>({size}, begin + {width});")
        first += self._pass(0, f"begin + {start}", step, "end")
        saved = []
        for node in self.reduces:
            first += self._across(node, lanes)
            value = (
                f"(uint8)n{node.number}"
                if register_type(node.dtype) == "bool"
                else f"n{node.number}"
            )
            saved.append(f"p{node.number}[blockIdx.y * ({self.index}){rows} + row] = {value};")
        is_first = "lane == 0" if lanes else "threadIdx.y == 0"
        first += [f"if (active && {is_first}) {{", *_indent(saved), "}"]
        partials = [(n, scalars.register_dtype(n.dtype)) for n in self.reduces]
        written = [f"{memory_type(d)}* __restrict__ p{n.number}" for n, d in partials]
        one = self.functions.add(
            [*self._parameters(), *written],
            f"{self._comment()}, in {chunks} chunks",
            self._row_loop(lanes, rows, first),
            threads,
        )
        second = self._row_nodes(-1)
        for node, _ in partials:
            kind = node.params["kind"]
            unit = scalars.identity(kind, node.dtype)
            part = f"p{node.number}[chunk * ({self.index}){rows} + row]"
            part = f"({part} != 0)" if register_type(node.dtype) == "bool" else part
            name = f"n{node.number}"
            second += [
                f"{register_type(node.dtype)} {name} = {unit};",
                f"for (int chunk = lane; chunk < {chunks}; chunk += 32) "
                f"{name} = {scalars.combined(kind, name, part, node.dtype)};",
                *self._across(node, 32),
            ]
        second += self._row_nodes(0)
        second += self._row_stores(32)
        read = [f"const {memory_type(d)}* __restrict__ p{n.number}" for n, d in partials]
        two = self.functions.add(
            [*self._parameters(), *read],
            f"{self._comment()}, the chunks combined",
            self._row_loop(32, rows, second),
            128,
        )
        arguments = tuple(range(len(self.variables) + len(partials)))
        block = (threads, 1, 1) if lanes else (_ROWS, _COLUMN, 1)
        grid = (min(blocks, _MAX_GRID), chunks, 1)
        combining = (min(-(-rows // 4), _MAX_GRID), 1, 1)
        return PrintedKernel(
            self.variables,
            tuple((d, chunks * rows) for _, d in partials),
            (Launch(one, grid, block, arguments), Launch(two, combining, (128, 1, 1), arguments)),
        )


def _lanes(rows: int, size: int) -> int:
    """How many threads share a row of `size` points."""
    lanes = 1
    while lanes < 32 and lanes * 4 < size:
        lanes *= 2
    if size > 1024 or (rows < 1024 and size > 256):
        lanes = 128
        while lanes < 1024 and lanes * 8 < size:
            lanes *= 2
    return lanes
