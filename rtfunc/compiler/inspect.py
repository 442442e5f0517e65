"""What a compiled program looks like and costs: its kernels as text, its flops, bytes and memory.

Depends on `lowered`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rtfunc.compiler.classify import elementwise_cost
from rtfunc.compiler.in_place import carried_in_place, touched
from rtfunc.compiler.kernel import Kernel, format_kernel, names
from rtfunc.compiler.lowered import Lowered
from rtfunc.compiler.schedule import Call
from rtfunc.core.graph import Equation, Variable


@dataclasses.dataclass(frozen=True)
class MemoryAnalysis:
    """Memory of one call in bytes: what comes in and goes out, constants, and the arena between.

    `reused` is how much of the outputs takes the place of donated arguments.
    """

    arguments: int
    outputs: int
    constants: int
    arena: int
    reused: int = 0


@dataclasses.dataclass(frozen=True)
class CostAnalysis:
    """An estimate of one call: floating-point operations, and bytes read and written by the steps.

    Elementary functions count as the multiplications and additions that they take. The bodies of `while`
    loops count once.
    """

    flops: int
    bytes: int


def format_program(lowered: Lowered, indent: str = "") -> str:
    """All steps of a program as text, with the sub-graphs of loops and branches indented.

    Variables that share memory have one name.
    """
    lines = []
    program = lowered.program
    name = names(program.base)
    for number, step in enumerate(program.steps):
        if isinstance(step, Kernel):
            text = format_kernel(step, name)
        else:
            text = _format_call(step, name, lowered.inner.get(step.equation, []))
        lines += [f"{indent}{line}" for line in f"[{number}] {text}".splitlines()]
        if isinstance(step, Call):
            if step.epilogue is not None:
                text = format_kernel(step.epilogue, name)
                lines += [
                    f"{indent}      then, block by block: "
                    + text.replace("\n", f"\n{indent}      ")
                ]
            for part in lowered.inner.get(step.equation, []):
                lines.append(format_program(part, indent + "      "))
    return "\n".join(lines)


def _format_call(call: Call, name: Callable[[Variable], str], inner: list[Lowered]) -> str:
    inputs = ", ".join(
        name(v) + ("" if offset is None else f"[{offset}]") for v, offset in call.operands
    )
    outputs = ", ".join(f"{name(v)}: {v.aval}" for v in call.equation.outputs)
    source = "" if call.equation.source is None else f"  # {call.equation.source.short}"
    in_place = carried_in_place(call.equation, inner)
    updated = [name(v) for v, alone in zip(call.equation.outputs, in_place) if alone]
    carries = f" carrying {', '.join(updated)} in place" if updated else ""
    return f"{outputs} = call {call.equation.primitive.name}({inputs}){carries}{source}"


def _size(variable: Variable) -> int:
    return variable.aval.size * variable.aval.dtype.itemsize


def memory_analysis(lowered: Lowered, constants: int) -> MemoryAnalysis:
    """Memory of one call."""
    program = lowered.program
    return MemoryAnalysis(
        sum(_size(v) for v in program.inputs),
        sum(_size(v) for v in program.outputs),
        constants,
        lowered.plan.size,
        sum(_size(program.outputs[output]) for output in lowered.overlays),
    )


def cost_analysis(lowered: Lowered) -> CostAnalysis:
    """Operations and traffic of one call."""
    flops = traffic = 0
    for step in lowered.program.steps:
        kernel = step if isinstance(step, Kernel) else step.epilogue
        if kernel is not None:
            flops += _kernel_flops(kernel)
        if isinstance(step, Kernel):
            traffic += sum(_size(v) for v in touched(step))
            continue
        inner = lowered.inner.get(step.equation)
        if inner is None:
            flops += _call_flops(step.equation)
            traffic += sum(_size(v) for v in touched(step))
            continue
        costs = [cost_analysis(part) for part in inner]
        times = step.equation.params.get("length", 1)
        if step.equation.primitive.name == "cond":
            flops += max(c.flops for c in costs)
            traffic += max(c.bytes for c in costs)
        else:
            flops += times * sum(c.flops for c in costs)
            traffic += times * sum(c.bytes for c in costs)
    return CostAnalysis(flops, traffic)


def _kernel_flops(kernel: Kernel) -> int:
    flops = 0
    for node in kernel.nodes:
        points = kernel.size if node.full or node.op == "reduce" else kernel.rows
        flops += points * elementwise_cost.get(node.op, node.op == "reduce")
    return flops


def _call_flops(equation: Equation) -> int:
    name, params = equation.primitive.name, equation.params
    out: Any = equation.outputs[0].aval if equation.outputs else None
    if name == "dot_general":
        shape = equation.inputs[0].aval.shape
        contracted = math.prod(shape[a] for a in params["dimension_numbers"][0][0])
        return 2 * out.size * contracted
    if name == "conv_general_dilated":
        kernel = equation.inputs[1].aval
        features = out.shape[params["dimension_numbers"].out_spec[1]]
        return 2 * out.size * kernel.size // max(features, 1)
    return out.size if out is not None else 0
